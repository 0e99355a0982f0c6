-- Analyses of recorded video: how far each is and what it found, as JSON (model::Job).
CREATE TABLE jobs (
    id      TEXT    NOT NULL PRIMARY KEY,
    console TEXT    NOT NULL, -- the one that works on it
    made_at TEXT    NOT NULL,
    is_open BOOLEAN NOT NULL,
    job     TEXT    NOT NULL
);
CREATE INDEX jobs_by_time ON jobs (made_at);
