-- What a camera sees of the ground: the way it looks (degrees clockwise from north), how wide (degrees) and how far (metres);
-- NULL together where nobody said.
ALTER TABLE cameras ADD COLUMN IF NOT EXISTS heading DOUBLE PRECISION;
ALTER TABLE cameras ADD COLUMN IF NOT EXISTS angle DOUBLE PRECISION;
ALTER TABLE cameras ADD COLUMN IF NOT EXISTS "range" DOUBLE PRECISION;
-- Place and field of view were set by hand: those of the configuration file hold no more.
ALTER TABLE cameras ADD COLUMN IF NOT EXISTS placed BOOLEAN NOT NULL DEFAULT FALSE;
