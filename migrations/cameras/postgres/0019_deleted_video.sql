-- Video that was recorded and that a rule deleted: why there is none. Neighbouring stretches that one rule deleted on one day are one row.
CREATE TABLE deleted_video (
    id         UUID NOT NULL PRIMARY KEY,
    camera     UUID NOT NULL REFERENCES cameras (id),
    starts_at  TIMESTAMPTZ NOT NULL,
    ends_at    TIMESTAMPTZ NOT NULL,
    deleted_at TIMESTAMPTZ NOT NULL, -- the last part of it
    by_rule    TEXT NOT NULL, -- age, size or disk
    CHECK (ends_at >= starts_at)
);
CREATE INDEX deleted_video_by_camera ON deleted_video (camera, ends_at);

-- Video that a plan of an export promised: not deleted before the instant `until`, which whoever needs it puts off.
CREATE TABLE promised_video (
    promise   UUID NOT NULL, -- of one plan
    camera    UUID NOT NULL REFERENCES cameras (id),
    starts_at TIMESTAMPTZ NOT NULL,
    ends_at   TIMESTAMPTZ NOT NULL,
    until     TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (promise, camera, starts_at)
);
