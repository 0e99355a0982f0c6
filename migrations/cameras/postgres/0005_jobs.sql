-- Analyses of recorded video: how far each is and what it found (model::Job).
CREATE TABLE jobs (
    id      UUID        NOT NULL PRIMARY KEY,
    console UUID        NOT NULL, -- the one that works on it
    made_at TIMESTAMPTZ NOT NULL,
    is_open BOOLEAN     NOT NULL,
    job     JSONB       NOT NULL
);
CREATE INDEX jobs_by_time ON jobs (made_at);
