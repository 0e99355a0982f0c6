-- Until when an operator is to confirm a suspect that the console proposed; NULL for all others.
ALTER TABLE suspects ADD COLUMN proposed_until TEXT;

-- What became of each camera's frames, minute by minute and console by console: "no match" is told apart from "not looked".
CREATE TABLE looked (
    id         TEXT NOT NULL PRIMARY KEY,
    camera     TEXT NOT NULL REFERENCES cameras (id),
    minute     TEXT NOT NULL, -- its begin
    received   BIGINT NOT NULL, -- frames
    analysed   BIGINT NOT NULL,
    above_rate BIGINT NOT NULL, -- left out: the configured rate is lower than the stream's
    overtaken  BIGINT NOT NULL, -- left out: the analysis could not keep up
    trouble    TEXT   NOT NULL, -- of the stream, in words; empty while live
    model      TEXT   NOT NULL  -- name and SHA-256 of the detector's weights
);
CREATE INDEX looked_by_camera ON looked (camera, minute);
CREATE INDEX looked_by_time ON looked (minute);
