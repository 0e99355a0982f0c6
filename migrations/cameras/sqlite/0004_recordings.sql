-- One file of one camera's video: a segment of the recorder, or an uploaded video.
CREATE TABLE segments (
    id        TEXT    NOT NULL PRIMARY KEY,
    camera    TEXT    NOT NULL REFERENCES cameras (id),
    starts_at TEXT    NOT NULL, -- of the first frame; the frame at file time t is of starts_at + t
    ends_at   TEXT    NOT NULL, -- of the last frame's end
    video_url TEXT    NOT NULL,
    format    TEXT    NOT NULL, -- container
    codec     TEXT    NOT NULL,
    width     INTEGER NOT NULL, -- pixels
    height    INTEGER NOT NULL,
    size      BIGINT  NOT NULL, -- bytes
    sha256    TEXT    NOT NULL, -- of the file, hexadecimal
    upload    TEXT    REFERENCES uploads (id), -- that it came from; NULL: the recorder's
    CHECK (ends_at >= starts_at)
);
CREATE INDEX segments_by_camera ON segments (camera, ends_at, starts_at);
CREATE INDEX segments_by_time ON segments (ends_at);

-- Video that should be there and is not.
CREATE TABLE gaps (
    id        TEXT NOT NULL PRIMARY KEY,
    camera    TEXT NOT NULL REFERENCES cameras (id),
    starts_at TEXT NOT NULL,
    ends_at   TEXT,             -- NULL: it lasts
    reason    TEXT NOT NULL
);
CREATE INDEX gaps_by_camera ON gaps (camera, starts_at);

-- What retention must not delete.
CREATE TABLE holds (
    id          TEXT NOT NULL PRIMARY KEY,
    case_id     TEXT,           -- the case it is for
    camera      TEXT REFERENCES cameras (id), -- NULL: every camera
    starts_at   TEXT NOT NULL,
    ends_at     TEXT NOT NULL,
    reason      TEXT NOT NULL,
    placed_by   TEXT NOT NULL,  -- users.cc
    placed_at   TEXT NOT NULL,
    released_at TEXT,           -- NULL: it holds
    CHECK (ends_at >= starts_at)
);

-- How many detections there are of each type in each minute, kept by triggers: what a timeline of weeks is drawn from,
-- however many detections there are.
CREATE TABLE detections_a_minute (
    camera TEXT    NOT NULL,
    minute BIGINT  NOT NULL, -- since 1970-01-01T00:00Z
    type   TEXT    NOT NULL,
    n      BIGINT  NOT NULL,
    PRIMARY KEY (camera, minute, type)
) WITHOUT ROWID;
INSERT INTO detections_a_minute (camera, minute, type, n)
SELECT camera, CAST(strftime('%s', captured_at) AS INTEGER) / 60, kind.value, COUNT(*)
FROM detections, json_each(detections.type) AS kind GROUP BY 1, 2, 3;

CREATE TRIGGER detection_counted AFTER INSERT ON detections BEGIN
    INSERT INTO detections_a_minute (camera, minute, type, n)
    SELECT NEW.camera, CAST(strftime('%s', NEW.captured_at) AS INTEGER) / 60, kind.value, 1
    FROM json_each(NEW.type) AS kind WHERE TRUE
    ON CONFLICT (camera, minute, type) DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER detection_uncounted AFTER DELETE ON detections BEGIN
    UPDATE detections_a_minute SET n = n - 1
    WHERE camera = OLD.camera AND minute = CAST(strftime('%s', OLD.captured_at) AS INTEGER) / 60
    AND type IN (SELECT value FROM json_each(OLD.type));
END;
CREATE TRIGGER detection_recounted AFTER UPDATE ON detections
WHEN OLD.camera <> NEW.camera OR OLD.captured_at <> NEW.captured_at OR OLD.type <> NEW.type BEGIN
    UPDATE detections_a_minute SET n = n - 1
    WHERE camera = OLD.camera AND minute = CAST(strftime('%s', OLD.captured_at) AS INTEGER) / 60
    AND type IN (SELECT value FROM json_each(OLD.type));
    INSERT INTO detections_a_minute (camera, minute, type, n)
    SELECT NEW.camera, CAST(strftime('%s', NEW.captured_at) AS INTEGER) / 60, kind.value, 1
    FROM json_each(NEW.type) AS kind WHERE TRUE
    ON CONFLICT (camera, minute, type) DO UPDATE SET n = n + 1;
END;
