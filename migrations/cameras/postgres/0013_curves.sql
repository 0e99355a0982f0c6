-- From likeness to probability, fitted to what was confirmed and rejected at this site: one a kind of appearance vectors.
CREATE TABLE IF NOT EXISTS curves (
    kind      TEXT   NOT NULL PRIMARY KEY,
    slope     DOUBLE PRECISION NOT NULL, -- per unit of similarity
    intercept DOUBLE PRECISION NOT NULL, -- log-odds at similarity 0
    confirmed BIGINT NOT NULL, -- matches it was fitted to
    rejected  BIGINT NOT NULL,
    fitted_at TIMESTAMPTZ NOT NULL
);
