-- The given columns, and when the row was made.
CREATE TABLE users (
    cc         TEXT    NOT NULL PRIMARY KEY CHECK (cc <> ''),
    email      TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    password   TEXT    NOT NULL CHECK (password LIKE '$argon2id$%'),
    is_admin   BOOLEAN NOT NULL,
    active     BOOLEAN NOT NULL,
    created_at TEXT    NOT NULL
);

-- Failed logins in a row per badge number typed, whether such a user exists or not: were only real users locked out,
-- the lock would tell who is one.
CREATE TABLE login_failures (
    cc             TEXT    NOT NULL PRIMARY KEY,
    failures       INTEGER NOT NULL,
    last_failed_at TEXT    NOT NULL,
    locked_until   TEXT
);
CREATE INDEX login_failures_by_time ON login_failures (last_failed_at);
