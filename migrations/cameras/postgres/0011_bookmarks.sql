CREATE TABLE bookmarks (
    id           UUID NOT NULL PRIMARY KEY,
    camera       UUID REFERENCES cameras (id), -- NULL: every camera
    starts_at    TIMESTAMPTZ NOT NULL,
    ends_at      TIMESTAMPTZ NOT NULL, -- the same for an instant
    words        TEXT NOT NULL,
    case_id      UUID,          -- then it is for the people on that case alone
    made_by      TEXT NOT NULL, -- users.cc
    made_by_name TEXT NOT NULL, -- at the time
    made_at      TIMESTAMPTZ NOT NULL,
    removed_by   TEXT,
    removed_at   TIMESTAMPTZ,   -- NULL: it is there
    CHECK (ends_at >= starts_at),
    CHECK ((removed_by IS NULL) = (removed_at IS NULL))
);
CREATE INDEX bookmarks_by_time ON bookmarks (made_at);
