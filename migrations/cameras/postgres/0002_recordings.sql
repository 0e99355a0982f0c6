-- One file of one camera's video: a segment of the recorder, or an uploaded video.
CREATE TABLE segments (
    id        UUID        NOT NULL PRIMARY KEY,
    camera    UUID        NOT NULL REFERENCES cameras (id),
    starts_at TIMESTAMPTZ NOT NULL, -- of the first frame; the frame at file time t is of starts_at + t
    ends_at   TIMESTAMPTZ NOT NULL, -- of the last frame's end
    video_url TEXT        NOT NULL,
    format    TEXT        NOT NULL, -- container
    codec     TEXT        NOT NULL,
    width     BIGINT      NOT NULL, -- pixels
    height    BIGINT      NOT NULL,
    size      BIGINT      NOT NULL, -- bytes
    sha256    TEXT        NOT NULL, -- of the file, hexadecimal
    upload    UUID        REFERENCES uploads (id), -- that it came from; NULL: the recorder's
    CHECK (ends_at >= starts_at)
);
CREATE INDEX segments_by_camera ON segments (camera, ends_at, starts_at);
CREATE INDEX segments_by_time ON segments (ends_at);

-- Video that should be there and is not.
CREATE TABLE gaps (
    id        UUID        NOT NULL PRIMARY KEY,
    camera    UUID        NOT NULL REFERENCES cameras (id),
    starts_at TIMESTAMPTZ NOT NULL,
    ends_at   TIMESTAMPTZ,          -- NULL: it lasts
    reason    TEXT        NOT NULL
);
CREATE INDEX gaps_by_camera ON gaps (camera, starts_at);

-- What retention must not delete.
CREATE TABLE holds (
    id          UUID        NOT NULL PRIMARY KEY,
    case_id     UUID,                -- the case it is for
    camera      UUID REFERENCES cameras (id), -- NULL: every camera
    starts_at   TIMESTAMPTZ NOT NULL,
    ends_at     TIMESTAMPTZ NOT NULL,
    reason      TEXT        NOT NULL,
    placed_by   TEXT        NOT NULL, -- users.cc
    placed_at   TIMESTAMPTZ NOT NULL,
    released_at TIMESTAMPTZ,         -- NULL: it holds
    CHECK (ends_at >= starts_at)
);

-- How many detections there are of each type in each minute, kept by a trigger: what a timeline of weeks is drawn from,
-- however many detections there are.
CREATE TABLE detections_a_minute (
    camera UUID   NOT NULL,
    minute BIGINT NOT NULL, -- since 1970-01-01T00:00Z
    type   TEXT   NOT NULL,
    n      BIGINT NOT NULL,
    PRIMARY KEY (camera, minute, type)
);
INSERT INTO detections_a_minute (camera, minute, type, n)
SELECT camera, CAST(floor(extract(epoch FROM captured_at) / 60) AS BIGINT), kind, COUNT(*)
FROM detections, jsonb_array_elements_text(detections.type) AS kind GROUP BY 1, 2, 3;

CREATE FUNCTION count_detection() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.camera = NEW.camera AND OLD.captured_at = NEW.captured_at AND OLD.type = NEW.type THEN
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        UPDATE detections_a_minute SET n = n - 1
        WHERE camera = OLD.camera AND minute = CAST(floor(extract(epoch FROM OLD.captured_at) / 60) AS BIGINT)
        AND type IN (SELECT jsonb_array_elements_text(OLD.type));
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO detections_a_minute (camera, minute, type, n)
        SELECT NEW.camera, CAST(floor(extract(epoch FROM NEW.captured_at) / 60) AS BIGINT), kind, 1
        FROM jsonb_array_elements_text(NEW.type) AS kind
        ON CONFLICT (camera, minute, type) DO UPDATE SET n = detections_a_minute.n + 1;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER detection_counted AFTER INSERT OR UPDATE OR DELETE ON detections
FOR EACH ROW EXECUTE FUNCTION count_detection();
