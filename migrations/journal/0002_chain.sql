-- The console that writes this journal, and the newest link of its chain in the action log. One row.
CREATE TABLE chain (
    one     INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    console TEXT    NOT NULL,
    number  INTEGER, -- in its log_ids; NULL until the action log gave one
    seq     BIGINT  NOT NULL,
    hash    TEXT    NOT NULL
);
