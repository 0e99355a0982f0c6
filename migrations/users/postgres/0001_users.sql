-- The given columns, when the row was made, and a version that grows with every change of the row: an edit based on an
-- older one is refused instead of undoing somebody else's. Text is compared byte by byte, as SQLite does.
CREATE TABLE users (
    cc         TEXT COLLATE "C" NOT NULL PRIMARY KEY CHECK (cc <> ''),
    email      TEXT             NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    password   TEXT             NOT NULL CHECK (password LIKE '$argon2id$%'),
    is_admin   BOOLEAN          NOT NULL,
    active     BOOLEAN          NOT NULL,
    created_at TIMESTAMPTZ      NOT NULL,
    version    BIGINT           NOT NULL DEFAULT 1
);

-- Failed logins in a row per badge number typed, whether such a user exists or not: were only real users locked out,
-- the lock would tell who is one.
CREATE TABLE login_failures (
    cc             TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    failures       BIGINT           NOT NULL,
    last_failed_at TIMESTAMPTZ      NOT NULL,
    locked_until   TIMESTAMPTZ
);
CREATE INDEX login_failures_by_time ON login_failures (last_failed_at);

-- Which cameras an operator may see. While the table is empty everybody sees all; once it is not, operators see theirs alone.
CREATE TABLE camera_grants (
    cc     TEXT COLLATE "C" NOT NULL REFERENCES users (cc),
    camera UUID             NOT NULL,
    PRIMARY KEY (cc, camera)
);
