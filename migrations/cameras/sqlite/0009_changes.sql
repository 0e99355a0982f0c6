-- When this version of the suspect was made: of the versions of several consoles the later one counts.
ALTER TABLE suspects ADD COLUMN changed_at TEXT NOT NULL DEFAULT '1970-01-01T00:00:00.000000Z';
UPDATE suspects SET changed_at = marked_at;
