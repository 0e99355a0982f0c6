-- Failed logins in a row, counted three ways: per badge number at one console (both set), per badge number over all consoles
-- (console empty), and per console whatever number was typed (cc empty). Numbers that nobody has are counted alike.
CREATE TABLE login_attempts (
    cc             TEXT COLLATE "C" NOT NULL,
    console        TEXT COLLATE "C" NOT NULL,
    failures       BIGINT           NOT NULL,
    last_failed_at TIMESTAMPTZ      NOT NULL,
    locked_until   TIMESTAMPTZ,
    PRIMARY KEY (cc, console)
);
CREATE INDEX login_attempts_by_time ON login_attempts (last_failed_at);
INSERT INTO login_attempts (cc, console, failures, last_failed_at, locked_until)
    SELECT cc, '', failures, last_failed_at, locked_until FROM login_failures WHERE cc <> '';
DROP TABLE login_failures;
