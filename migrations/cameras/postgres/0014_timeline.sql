-- The stretches of each camera of which there is video, files less than a second apart as one: what a timeline of weeks is drawn
-- from, however many files there are. Instants are microseconds since 1970-01-01T00:00Z. Kept by whoever puts or deletes a segment.
CREATE TABLE coverage (
    camera    UUID   NOT NULL,
    starts_at BIGINT NOT NULL,
    ends_at   BIGINT NOT NULL,
    PRIMARY KEY (camera, starts_at)
);
CREATE INDEX coverage_by_end ON coverage (camera, ends_at);
INSERT INTO coverage (camera, starts_at, ends_at)
WITH parts AS (
    SELECT camera, CAST(extract(epoch FROM starts_at) * 1000000 AS BIGINT) AS a,
        CAST(extract(epoch FROM ends_at) * 1000000 AS BIGINT) AS b
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
    camera  UUID   NOT NULL,
    minutes BIGINT NOT NULL, -- its length: 10 or 60
    stretch BIGINT NOT NULL, -- so many of that length after 1970-01-01T00:00Z
    type    TEXT   NOT NULL,
    n       BIGINT NOT NULL,
    PRIMARY KEY (camera, minutes, stretch, type)
);
INSERT INTO detections_a_stretch (camera, minutes, stretch, type, n)
SELECT camera, length, minute / length, type, SUM(n)
FROM detections_a_minute, unnest(ARRAY[10, 60]::BIGINT[]) AS length GROUP BY 1, 2, 3, 4;

CREATE FUNCTION count_minute() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO detections_a_stretch (camera, minutes, stretch, type, n)
    SELECT NEW.camera, length, NEW.minute / length, NEW.type, NEW.n - CASE WHEN TG_OP = 'UPDATE' THEN OLD.n ELSE 0 END
    FROM unnest(ARRAY[10, 60]::BIGINT[]) AS length
    ON CONFLICT (camera, minutes, stretch, type) DO UPDATE SET n = detections_a_stretch.n + excluded.n;
    RETURN NULL;
END $$;
CREATE TRIGGER minute_counted AFTER INSERT OR UPDATE OF n ON detections_a_minute
FOR EACH ROW EXECUTE FUNCTION count_minute();

-- People by the colour of what they wear.
CREATE INDEX tracklets_by_upper ON tracklets ((characteristics ->> 'upper'), starts_at);
CREATE INDEX tracklets_by_lower ON tracklets ((characteristics ->> 'lower'), starts_at);
