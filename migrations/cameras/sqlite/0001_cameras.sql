-- Identities are UUIDs in their usual text form, instants RFC 3339 in UTC with microseconds (they sort as text),
-- structured values JSON text. Types and statements are those that SQLite and PostgreSQL share.
CREATE TABLE cameras (
    id         TEXT    NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL,
    location   TEXT,             -- [latitude, longitude] in degrees
    added_at   TEXT    NOT NULL,
    active     BOOLEAN NOT NULL,
    url        TEXT    NOT NULL, -- may carry credentials: never shown as it is
    is_virtual BOOLEAN NOT NULL
);

CREATE TABLE uploads (
    id         TEXT    NOT NULL PRIMARY KEY,
    camera     TEXT    NOT NULL REFERENCES cameras (id),
    video_url  TEXT    NOT NULL,
    duration   INTEGER NOT NULL, -- seconds
    resolution TEXT    NOT NULL, -- 1280x720
    size       BIGINT  NOT NULL, -- bytes
    format     TEXT    NOT NULL, -- container
    metadata   TEXT    NOT NULL,
    date       TEXT    NOT NULL  -- when the video starts
);
CREATE INDEX uploads_by_camera ON uploads (camera, date);

CREATE TABLE detections (
    id            TEXT NOT NULL PRIMARY KEY,
    camera        TEXT NOT NULL REFERENCES cameras (id),
    image_url     TEXT NOT NULL,
    suspect_id    TEXT,
    captured_at   TEXT NOT NULL,
    metadata      TEXT NOT NULL,
    type          TEXT NOT NULL, -- one or more of ["Knife", "Gun", "Suspect"]
    detection_box TEXT NOT NULL  -- [[x, y], …] in pixels of the frame
);
CREATE INDEX detections_by_camera ON detections (camera, captured_at);
CREATE INDEX detections_by_suspect ON detections (suspect_id, captured_at);
CREATE INDEX detections_by_time ON detections (captured_at);

-- The durable record that the state of the suspects being followed is rebuilt from.
CREATE TABLE suspects (
    id         TEXT NOT NULL PRIMARY KEY,
    label      TEXT NOT NULL,
    colour     TEXT NOT NULL, -- [r, g, b]
    reason     TEXT NOT NULL,
    marked_by  TEXT NOT NULL,
    marked_at  TEXT NOT NULL,
    camera     TEXT NOT NULL REFERENCES cameras (id),
    expires_at TEXT NOT NULL,
    ended_at   TEXT,
    crop_url   TEXT NOT NULL,
    gallery    TEXT NOT NULL  -- appearance vectors, see model::Descriptor
);
CREATE INDEX suspects_by_time ON suspects (marked_at);

CREATE TABLE sightings (
    id           TEXT             NOT NULL PRIMARY KEY,
    suspect      TEXT             NOT NULL REFERENCES suspects (id),
    camera       TEXT             NOT NULL REFERENCES cameras (id),
    track        BIGINT           NOT NULL,
    entered_at   TEXT             NOT NULL,
    last_seen_at TEXT             NOT NULL,
    left_at      TEXT,
    probability  DOUBLE PRECISION NOT NULL CHECK (probability >= 0 AND probability <= 1),
    decision     TEXT             NOT NULL CHECK (decision IN ('origin', 'pending', 'confirmed', 'rejected')),
    decided_by   TEXT,
    decided_at   TEXT,
    crop_url     TEXT             NOT NULL,
    rect         TEXT             NOT NULL, -- [x, y, width, height] in pixels of the frame
    CHECK ((decision IN ('confirmed', 'rejected')) = (decided_by IS NOT NULL AND decided_at IS NOT NULL))
);
CREATE INDEX sightings_by_suspect ON sightings (suspect, entered_at);
CREATE INDEX sightings_by_time ON sightings (entered_at);
