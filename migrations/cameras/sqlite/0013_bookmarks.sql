CREATE TABLE bookmarks (
    id           TEXT NOT NULL PRIMARY KEY,
    camera       TEXT REFERENCES cameras (id), -- NULL: every camera
    starts_at    TEXT NOT NULL,
    ends_at      TEXT NOT NULL, -- the same for an instant
    words        TEXT NOT NULL,
    case_id      TEXT,          -- then it is for the people on that case alone
    made_by      TEXT NOT NULL, -- users.cc
    made_by_name TEXT NOT NULL, -- at the time
    made_at      TEXT NOT NULL,
    removed_by   TEXT,
    removed_at   TEXT,          -- NULL: it is there
    CHECK (ends_at >= starts_at),
    CHECK ((removed_by IS NULL) = (removed_at IS NULL))
);
CREATE INDEX bookmarks_by_time ON bookmarks (made_at);
