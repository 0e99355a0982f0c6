-- Where a place on the ground of one view is in another that overlaps it, as this site learned it; walks = 0: not known any more.
CREATE TABLE IF NOT EXISTS grounds (
    camera     TEXT   NOT NULL, -- the lesser id of the two
    other      TEXT   NOT NULL,
    walks      BIGINT NOT NULL, -- people whose ways through both views agreed
    ground     TEXT   NOT NULL, -- model::CommonGround, JSON
    learned_at TEXT   NOT NULL,
    PRIMARY KEY (camera, other)
);
