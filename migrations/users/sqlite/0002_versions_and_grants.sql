-- Grows with every change of the row: an edit based on an older one is refused instead of undoing somebody else's.
ALTER TABLE users ADD COLUMN version BIGINT NOT NULL DEFAULT 1;

-- Which cameras an operator may see. While the table is empty everybody sees all; once it is not, operators see theirs alone.
CREATE TABLE camera_grants (
    cc     TEXT NOT NULL REFERENCES users (cc),
    camera TEXT NOT NULL,
    PRIMARY KEY (cc, camera)
);
