-- Which console keeps the records of a camera. A file has one console, which needs no such word: this is the twin of the server's
-- table, and empty.
CREATE TABLE IF NOT EXISTS duties (
    camera  TEXT    NOT NULL PRIMARY KEY REFERENCES cameras (id),
    console TEXT    NOT NULL,
    name    TEXT    NOT NULL,
    fitness BIGINT  NOT NULL,
    until   TEXT    NOT NULL,
    cut_at  TEXT
);
