-- When this version of the suspect was made: of the versions of several consoles the later one counts.
ALTER TABLE suspects ADD COLUMN changed_at TIMESTAMPTZ;
UPDATE suspects SET changed_at = marked_at;
ALTER TABLE suspects ALTER COLUMN changed_at SET NOT NULL;

-- When the row was written, by the clock of the database: by it every console learns what the others changed.
ALTER TABLE suspects ADD COLUMN stored_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp();
ALTER TABLE sightings ADD COLUMN stored_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp();
CREATE INDEX suspects_by_change ON suspects (stored_at);
CREATE INDEX sightings_by_change ON sightings (stored_at);

CREATE FUNCTION set_stored_at() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    NEW.stored_at := clock_timestamp();
    RETURN NEW;
END
$$;
CREATE TRIGGER suspects_stored_at BEFORE INSERT OR UPDATE ON suspects FOR EACH ROW EXECUTE FUNCTION set_stored_at();
CREATE TRIGGER sightings_stored_at BEFORE INSERT OR UPDATE ON sightings FOR EACH ROW EXECUTE FUNCTION set_stored_at();
