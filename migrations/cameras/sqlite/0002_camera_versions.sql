-- Grows with every change of the row: an edit based on an older one is refused, a record delivered late undoes nothing.
ALTER TABLE cameras ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
