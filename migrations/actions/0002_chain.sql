-- Where an entry stands in the chain of its console, see audit::chain. Entries of before have none.
ALTER TABLE action_logs ADD COLUMN console TEXT;
ALTER TABLE action_logs ADD COLUMN seq BIGINT;
ALTER TABLE action_logs ADD COLUMN prev TEXT;
ALTER TABLE action_logs ADD COLUMN hash TEXT;
-- What the entry is about, taken out of target and details so that it can be searched for.
ALTER TABLE action_logs ADD COLUMN camera TEXT;
ALTER TABLE action_logs ADD COLUMN suspect TEXT;

CREATE UNIQUE INDEX action_logs_chain ON action_logs (console, seq);
CREATE INDEX action_logs_by_user ON action_logs (user_cc, log_id);
CREATE INDEX action_logs_by_action ON action_logs (action, log_id);
CREATE INDEX action_logs_by_camera ON action_logs (camera, log_id);
CREATE INDEX action_logs_by_suspect ON action_logs (suspect, log_id);
CREATE INDEX action_logs_by_time ON action_logs (timestamp, log_id);

-- Each console that ever wrote here, with the number in its log_ids. Numbers are never given again.
CREATE TABLE consoles (
    number  INTEGER NOT NULL PRIMARY KEY CHECK (number BETWEEN 0 AND 1023),
    console TEXT    NOT NULL UNIQUE
);
