-- Which console keeps the records of a camera, for as long as it renews that; all by the clock of this database.
CREATE TABLE IF NOT EXISTS duties (
    camera  UUID        NOT NULL PRIMARY KEY REFERENCES cameras (id),
    console TEXT        NOT NULL, -- its identity
    name    TEXT        NOT NULL, -- what people call it
    fitness BIGINT      NOT NULL, -- how much it can do for the camera; 0 is nothing
    until   TIMESTAMPTZ NOT NULL,
    cut_at  TIMESTAMPTZ           -- when another console asked last for what is being recorded
);
