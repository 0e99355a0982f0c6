-- Records accepted and not yet in their store. A record that changes while it waits keeps its place: what comes after
-- it may refer to it.
CREATE TABLE journal (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    record_id  TEXT    NOT NULL UNIQUE,
    revision   INTEGER NOT NULL DEFAULT 0, -- grows when a newer version of the record takes the place of this one
    store      TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    body       TEXT    NOT NULL,
    blob       BLOB,
    created_at TEXT    NOT NULL,
    attempts   INTEGER NOT NULL DEFAULT 0,
    last_error TEXT,
    set_aside  BOOLEAN NOT NULL DEFAULT FALSE
);
CREATE INDEX journal_by_store ON journal (store, set_aside, id);
