-- What was seen of one person in one stay in one camera's view.
CREATE TABLE tracklets (
    id              TEXT    NOT NULL PRIMARY KEY,
    camera          TEXT    NOT NULL REFERENCES cameras (id),
    track           BIGINT  NOT NULL, -- numbers begin anew with every run
    upload          TEXT,             -- the uploaded video; NULL when seen live
    starts_at       TEXT    NOT NULL,
    ends_at         TEXT    NOT NULL,
    width           BIGINT  NOT NULL, -- of the frames that the boxes are in
    height          BIGINT  NOT NULL,
    path            BLOB    NOT NULL, -- measured boxes, see store::tracklets
    crop_url        TEXT    NOT NULL,
    gallery         BLOB    NOT NULL, -- appearance vectors, see store::tracklets
    characteristics TEXT    NOT NULL,
    suspect         TEXT              -- whom it was taken for at its end
);
CREATE INDEX tracklets_by_camera ON tracklets (camera, starts_at);
CREATE INDEX tracklets_by_time ON tracklets (starts_at);
CREATE INDEX tracklets_by_end ON tracklets (ends_at);
