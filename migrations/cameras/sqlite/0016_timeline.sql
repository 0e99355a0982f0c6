-- The stretches of each camera of which there is video, files less than a second apart as one: what a timeline of weeks is drawn
-- from, however many files there are. Instants are microseconds since 1970-01-01T00:00Z. Kept by whoever puts or deletes a segment.
CREATE TABLE coverage (
    camera    TEXT   NOT NULL,
    starts_at BIGINT NOT NULL,
    ends_at   BIGINT NOT NULL,
    PRIMARY KEY (camera, starts_at)
) WITHOUT ROWID;
CREATE INDEX coverage_by_end ON coverage (camera, ends_at);
INSERT INTO coverage (camera, starts_at, ends_at)
WITH parts AS (
    SELECT camera,
        CAST(strftime('%s', starts_at) AS INTEGER) * 1000000 + CAST(substr(starts_at, 21, 6) AS INTEGER) AS a,
        CAST(strftime('%s', ends_at) AS INTEGER) * 1000000 + CAST(substr(ends_at, 21, 6) AS INTEGER) AS b
    FROM segments
), marked AS (
    SELECT camera, a, b, CASE WHEN a > MAX(b) OVER
        (PARTITION BY camera ORDER BY a, b ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) + 1000000 THEN 1 ELSE 0 END AS fresh
    FROM parts
), islands AS (
    SELECT camera, a, b, SUM(fresh) OVER (PARTITION BY camera ORDER BY a, b ROWS UNBOUNDED PRECEDING) AS island FROM marked
)
SELECT camera, MIN(a), MAX(b) FROM islands GROUP BY camera, island;

-- The counts a minute again, for ten minutes and for an hour.
CREATE TABLE detections_a_stretch (
    camera  TEXT    NOT NULL,
    minutes INTEGER NOT NULL, -- its length: 10 or 60
    stretch BIGINT  NOT NULL, -- so many of that length after 1970-01-01T00:00Z
    type    TEXT    NOT NULL,
    n       BIGINT  NOT NULL,
    PRIMARY KEY (camera, minutes, stretch, type)
) WITHOUT ROWID;
INSERT INTO detections_a_stretch (camera, minutes, stretch, type, n)
SELECT m.camera, length.value, m.minute / length.value, m.type, SUM(m.n)
FROM detections_a_minute AS m, json_each('[10, 60]') AS length GROUP BY 1, 2, 3, 4;

CREATE TRIGGER minute_counted AFTER INSERT ON detections_a_minute BEGIN
    INSERT INTO detections_a_stretch (camera, minutes, stretch, type, n)
    SELECT NEW.camera, length.value, NEW.minute / length.value, NEW.type, NEW.n FROM json_each('[10, 60]') AS length WHERE TRUE
    ON CONFLICT (camera, minutes, stretch, type) DO UPDATE SET n = n + excluded.n;
END;
CREATE TRIGGER minute_recounted AFTER UPDATE OF n ON detections_a_minute WHEN NEW.n <> OLD.n BEGIN
    UPDATE detections_a_stretch SET n = n + NEW.n - OLD.n
    WHERE camera = NEW.camera AND minutes = 10 AND stretch = NEW.minute / 10 AND type = NEW.type;
    UPDATE detections_a_stretch SET n = n + NEW.n - OLD.n
    WHERE camera = NEW.camera AND minutes = 60 AND stretch = NEW.minute / 60 AND type = NEW.type;
END;

-- People by the colour of what they wear.
CREATE INDEX tracklets_by_upper ON tracklets ((characteristics ->> 'upper'), starts_at);
CREATE INDEX tracklets_by_lower ON tracklets ((characteristics ->> 'lower'), starts_at);
