-- Who took a decision back, and when: the match waits again (decision = 'pending'). NULL together where nobody did.
ALTER TABLE sightings ADD COLUMN withdrawn_by TEXT;
ALTER TABLE sightings ADD COLUMN withdrawn_at TEXT;
-- When the end of a follow was taken back last: no end before it counts. NULL where nobody did.
ALTER TABLE suspects ADD COLUMN resumed_at TEXT;
