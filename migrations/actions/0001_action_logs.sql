CREATE TABLE action_logs (
    _id          TEXT   NOT NULL UNIQUE CHECK (length(_id) = 24),
    log_id       BIGINT NOT NULL PRIMARY KEY,
    user_cc      TEXT   NOT NULL,
    user_name    TEXT   NOT NULL,
    action       TEXT   NOT NULL,
    log_accessed BIGINT,
    timestamp    TEXT   NOT NULL,
    outcome      TEXT   NOT NULL CHECK (outcome IN ('succeeded', 'refused', 'failed')),
    why          TEXT,
    target       TEXT,
    details      TEXT   NOT NULL,
    CHECK (log_accessed IS NULL OR action = 'ACCESS_LOGS')
) WITHOUT ROWID;

-- Append only, also for whoever opens the file with another program.
CREATE TRIGGER action_logs_never_change BEFORE UPDATE ON action_logs
BEGIN SELECT RAISE(ABORT, 'the action log is append only'); END;
CREATE TRIGGER action_logs_never_shrink BEFORE DELETE ON action_logs
BEGIN SELECT RAISE(ABORT, 'the action log is append only'); END;
-- INSERT OR REPLACE deletes without asking the trigger above.
CREATE TRIGGER action_logs_never_replace BEFORE INSERT ON action_logs
WHEN EXISTS (SELECT 1 FROM action_logs WHERE log_id = NEW.log_id OR _id = NEW._id)
BEGIN SELECT RAISE(ABORT, 'the action log is append only'); END;
