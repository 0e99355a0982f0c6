-- Merges one version of a sighting: what was seen and what was decided each by its own order. What changes nothing is not told.
-- KEYS: sighting, suspect, open sightings of the suspect, stream of the suspect, changes
-- ARGV: id, order of what was seen, record, order of the decision, decision, '1' while open, kept for (ms), camera, seen at,
--       '1' when rejected, longest stream of sightings, longest stream of changes
local seen, decided = unpack(redis.call('HMGET', KEYS[1], 'seen_order', 'decision_order'))
local news = false
if not seen or ARGV[2] > seen then
    redis.call('HSET', KEYS[1], 'seen_order', ARGV[2], 'record', ARGV[3])
    redis.call(ARGV[6] == '1' and 'SADD' or 'SREM', KEYS[3], ARGV[1])
    news = true
end
if not decided or ARGV[4] > decided then
    redis.call('HSET', KEYS[1], 'decision_order', ARGV[4], 'decision', ARGV[5])
    news = true
end
if not news then
    return 0
end
redis.call('PEXPIRE', KEYS[1], ARGV[7])
local last = redis.call('HGET', KEYS[2], 'last_seen_at')
if last and ARGV[9] > last and ARGV[10] ~= '1' then
    redis.call('HSET', KEYS[2], 'last_camera', ARGV[8], 'last_seen_at', ARGV[9])
end
local record, decision = unpack(redis.call('HMGET', KEYS[1], 'record', 'decision'))
if last then
    redis.call('XADD', KEYS[4], 'MAXLEN', '~', ARGV[11], '*', 'sighting', record, 'decision', decision)
end
-- Both go with the suspect, or with the last sighting where the suspect is not there.
local left = redis.call('PTTL', KEYS[2])
if left <= 0 then
    left = ARGV[7]
end
redis.call('PEXPIRE', KEYS[3], left)
redis.call('PEXPIRE', KEYS[4], left)
redis.call('XADD', KEYS[5], 'MAXLEN', '~', ARGV[12], '*', 'sighting', record, 'decision', decision)
return 1
