-- The given types where PostgreSQL has them; text that is sorted is compared byte by byte, as SQLite does.
CREATE TABLE cameras (
    id         UUID        NOT NULL PRIMARY KEY,
    name       TEXT        NOT NULL,
    location   POINT,               -- (latitude, longitude) in degrees
    added_at   TIMESTAMPTZ NOT NULL,
    active     BOOLEAN     NOT NULL,
    url        TEXT        NOT NULL, -- may carry credentials: never shown as it is
    is_virtual BOOLEAN     NOT NULL,
    configured BOOLEAN     NOT NULL DEFAULT TRUE, -- described in the configuration file; others are kept here alone
    version    BIGINT      NOT NULL DEFAULT 1 -- grows with every change: an edit based on an older one is refused
);

CREATE TABLE uploads (
    id         UUID        NOT NULL PRIMARY KEY,
    camera     UUID        NOT NULL REFERENCES cameras (id),
    video_url  TEXT        NOT NULL,
    duration   BIGINT      NOT NULL, -- seconds
    resolution TEXT        NOT NULL, -- 1280x720
    size       BIGINT      NOT NULL, -- bytes
    format     TEXT        NOT NULL, -- container
    metadata   JSONB       NOT NULL,
    date       TIMESTAMPTZ NOT NULL  -- when the video starts
);
CREATE INDEX uploads_by_camera ON uploads (camera, date);

CREATE TABLE detections (
    id            UUID        NOT NULL PRIMARY KEY,
    camera        UUID        NOT NULL REFERENCES cameras (id),
    image_url     TEXT        NOT NULL,
    suspect_id    UUID,
    captured_at   TIMESTAMPTZ NOT NULL,
    metadata      JSONB       NOT NULL,
    type          JSONB       NOT NULL, -- one or more of ["Knife", "Gun", "Suspect"]
    detection_box POLYGON     NOT NULL  -- in pixels of the frame
);
CREATE INDEX detections_by_camera ON detections (camera, captured_at);
CREATE INDEX detections_by_suspect ON detections (suspect_id, captured_at);
CREATE INDEX detections_by_time ON detections (captured_at);

-- The durable record that the state of the suspects being followed is rebuilt from.
CREATE TABLE suspects (
    id         UUID             NOT NULL PRIMARY KEY,
    label      TEXT             NOT NULL,
    colour     JSONB            NOT NULL, -- [r, g, b]
    reason     TEXT COLLATE "C" NOT NULL,
    marked_by  TEXT             NOT NULL,
    marked_at  TIMESTAMPTZ      NOT NULL,
    camera     UUID             NOT NULL REFERENCES cameras (id),
    expires_at TIMESTAMPTZ      NOT NULL,
    ended_at   TIMESTAMPTZ,
    crop_url   TEXT             NOT NULL,
    gallery    JSONB            NOT NULL  -- appearance vectors, see model::Descriptor
);
CREATE INDEX suspects_by_time ON suspects (marked_at);

CREATE TABLE sightings (
    id           UUID             NOT NULL PRIMARY KEY,
    suspect      UUID             NOT NULL REFERENCES suspects (id),
    camera       UUID             NOT NULL REFERENCES cameras (id),
    track        BIGINT           NOT NULL,
    entered_at   TIMESTAMPTZ      NOT NULL,
    last_seen_at TIMESTAMPTZ      NOT NULL,
    left_at      TIMESTAMPTZ,
    probability  DOUBLE PRECISION NOT NULL CHECK (probability >= 0 AND probability <= 1),
    decision     TEXT             NOT NULL CHECK (decision IN ('origin', 'pending', 'confirmed', 'rejected')),
    decided_by   TEXT,
    decided_at   TIMESTAMPTZ,
    crop_url     TEXT             NOT NULL,
    rect         JSONB            NOT NULL, -- [x, y, width, height] in pixels of the frame
    CHECK ((decision IN ('confirmed', 'rejected')) = (decided_by IS NOT NULL AND decided_at IS NOT NULL))
);
CREATE INDEX sightings_by_suspect ON sightings (suspect, entered_at);
CREATE INDEX sightings_by_time ON sightings (entered_at);
