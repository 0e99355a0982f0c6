-- A case is the sum of what was done to it: rows are added, never changed, see model::case.
CREATE TABLE case_facts (
    id           TEXT NOT NULL PRIMARY KEY,
    case_id      TEXT NOT NULL,
    made_at      TEXT NOT NULL,
    made_by      TEXT NOT NULL, -- users.cc
    made_by_name TEXT NOT NULL, -- at the time
    fact         TEXT NOT NULL
);
CREATE INDEX case_facts_by_case ON case_facts (case_id, made_at);

-- Who ended a hold, and why.
ALTER TABLE holds ADD COLUMN released_by TEXT;
ALTER TABLE holds ADD COLUMN released_why TEXT;

-- Objects whose rows retention deleted: written in the same transaction, so that none is left behind for ever.
CREATE TABLE doomed_objects (
    object TEXT NOT NULL PRIMARY KEY -- its key
);
-- Whether a picture still belongs to a record, and whether a suspect is still named by one.
CREATE INDEX suspects_by_crop ON suspects (crop_url);
CREATE INDEX sightings_by_crop ON sightings (crop_url);
CREATE INDEX tracklets_by_suspect ON tracklets (suspect) WHERE suspect IS NOT NULL;
