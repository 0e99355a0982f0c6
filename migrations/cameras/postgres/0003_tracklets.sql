-- What was seen of one person in one stay in one camera's view.
CREATE TABLE tracklets (
    id              UUID        NOT NULL PRIMARY KEY,
    camera          UUID        NOT NULL REFERENCES cameras (id),
    track           BIGINT      NOT NULL, -- numbers begin anew with every run
    upload          UUID,                 -- the uploaded video; NULL when seen live
    starts_at       TIMESTAMPTZ NOT NULL,
    ends_at         TIMESTAMPTZ NOT NULL,
    width           BIGINT      NOT NULL, -- of the frames that the boxes are in
    height          BIGINT      NOT NULL,
    path            BYTEA       NOT NULL, -- measured boxes, see store::tracklets
    crop_url        TEXT        NOT NULL,
    gallery         BYTEA       NOT NULL, -- appearance vectors, see store::tracklets
    characteristics JSONB       NOT NULL,
    suspect         UUID                  -- whom it was taken for at its end
);
CREATE INDEX tracklets_by_camera ON tracklets (camera, starts_at);
CREATE INDEX tracklets_by_time ON tracklets (starts_at);
CREATE INDEX tracklets_by_end ON tracklets (ends_at);
