-- Video that was recorded and that a rule deleted: why there is none. Neighbouring stretches that one rule deleted on one day are one row.
CREATE TABLE deleted_video (
    id         TEXT NOT NULL PRIMARY KEY,
    camera     TEXT NOT NULL REFERENCES cameras (id),
    starts_at  TEXT NOT NULL,
    ends_at    TEXT NOT NULL,
    deleted_at TEXT NOT NULL, -- the last part of it
    by_rule    TEXT NOT NULL, -- age, size or disk
    CHECK (ends_at >= starts_at)
);
CREATE INDEX deleted_video_by_camera ON deleted_video (camera, ends_at);

-- Video that a plan of an export promised: not deleted before the instant `until`, which whoever needs it puts off.
CREATE TABLE promised_video (
    promise   TEXT NOT NULL, -- of one plan
    camera    TEXT NOT NULL REFERENCES cameras (id),
    starts_at TEXT NOT NULL,
    ends_at   TEXT NOT NULL,
    until     TEXT NOT NULL,
    PRIMARY KEY (promise, camera, starts_at)
) WITHOUT ROWID;
