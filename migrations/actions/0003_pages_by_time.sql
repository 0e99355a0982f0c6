-- Pages follow each other by (timestamp, log_id), whatever is filtered: a stretch of time is a stretch of every index. The
-- table has no rowid, so each index ends in log_id by itself.
DROP INDEX action_logs_by_user;
DROP INDEX action_logs_by_action;
DROP INDEX action_logs_by_camera;
DROP INDEX action_logs_by_suspect;
CREATE INDEX action_logs_by_user ON action_logs (user_cc, timestamp, log_id);
CREATE INDEX action_logs_by_action ON action_logs (action, timestamp, log_id);
CREATE INDEX action_logs_by_camera ON action_logs (camera, timestamp, log_id);
CREATE INDEX action_logs_by_suspect ON action_logs (suspect, timestamp, log_id);
CREATE INDEX action_logs_by_outcome ON action_logs (outcome, timestamp, log_id);
