-- Whether the camera is described in the configuration file; others are kept here alone.
ALTER TABLE cameras ADD COLUMN configured BOOLEAN NOT NULL DEFAULT TRUE;
