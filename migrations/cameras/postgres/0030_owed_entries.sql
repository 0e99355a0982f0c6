-- Entries of the action log about what was deleted here, written with the deletion, until the journal of their console has them.
CREATE TABLE owed_entries (
    log_id  BIGINT NOT NULL PRIMARY KEY,
    console TEXT NOT NULL,
    entry   TEXT NOT NULL -- JSON
);
