-- Merges one version of a suspect. What changes nothing is not told.
-- KEYS: suspect, suspects, changes
-- ARGV: id, order of the change, record, ended at or '', expires at (ms), camera, marked at, longest stream of changes, resumed at or ''
local changed_at, ended_at, seen, resumed_at =
    unpack(redis.call('HMGET', KEYS[1], 'changed_at', 'ended_at', 'last_seen_at', 'resumed_at'))
local news = false
if not changed_at or ARGV[2] > changed_at then
    redis.call('HSET', KEYS[1], 'changed_at', ARGV[2], 'record', ARGV[3])
    redis.call('PEXPIREAT', KEYS[1], ARGV[5])
    redis.call('ZADD', KEYS[2], ARGV[5], ARGV[1])
    news = true
end
if ARGV[9] > (resumed_at or '') and redis.call('EXISTS', KEYS[1]) == 1 then
    redis.call('HSET', KEYS[1], 'resumed_at', ARGV[9])
    resumed_at = ARGV[9]
    news = true
end
if ARGV[4] > (ended_at or '') and ARGV[4] > (resumed_at or '') and redis.call('EXISTS', KEYS[1]) == 1 then
    redis.call('HSET', KEYS[1], 'ended_at', ARGV[4])
    news = true
end
if not seen and redis.call('EXISTS', KEYS[1]) == 1 then
    redis.call('HSET', KEYS[1], 'last_camera', ARGV[6], 'last_seen_at', ARGV[7])
end
if news then
    local record, ended, resumed = unpack(redis.call('HMGET', KEYS[1], 'record', 'ended_at', 'resumed_at'))
    redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[8], '*',
        'suspect', record or ARGV[3], 'ended_at', ended or ARGV[4], 'resumed_at', resumed or ARGV[9])
end
return news and 1 or 0
