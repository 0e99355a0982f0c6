-- What a camera sees of the ground: the way it looks (degrees clockwise from north), how wide (degrees) and how far (metres);
-- NULL together where nobody said.
ALTER TABLE cameras ADD COLUMN heading REAL;
ALTER TABLE cameras ADD COLUMN angle REAL;
ALTER TABLE cameras ADD COLUMN "range" REAL;
-- Place and field of view were set by hand: those of the configuration file hold no more.
ALTER TABLE cameras ADD COLUMN placed BOOLEAN NOT NULL DEFAULT FALSE;
