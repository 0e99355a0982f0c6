//! What records name: the objects they have, and the records they are about. Only read by who checks that all of it is there.
use super::{
    CameraStore, StoreError,
    sql::{Row, sql},
};
use uuid::Uuid;

/// A record that has an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// `detection`, `suspect`, `sighting`, `tracklet`, `segment` or `upload`.
    pub record: &'static str,
    /// Its identity.
    pub id: Uuid,
    /// The object's address.
    pub url: String,
    /// SHA-256 of the object, hexadecimal, where the record keeps it.
    pub sha256: Option<String>,
}

/// The tables whose rows have an object, with the statement that reads a page of them in the order of their ids.
const OBJECTS: [(&str, &str); 7] = [
    ("detection", "SELECT id, image_url AS url, NULL AS sha256 FROM detections WHERE id > $1 ORDER BY id LIMIT $2"),
    ("suspect", "SELECT id, crop_url AS url, NULL AS sha256 FROM suspects WHERE id > $1 ORDER BY id LIMIT $2"),
    ("sighting", "SELECT id, crop_url AS url, NULL AS sha256 FROM sightings WHERE id > $1 ORDER BY id LIMIT $2"),
    ("tracklet", "SELECT id, crop_url AS url, NULL AS sha256 FROM tracklets WHERE id > $1 ORDER BY id LIMIT $2"),
    ("segment", "SELECT id, video_url AS url, sha256 FROM segments WHERE id > $1 ORDER BY id LIMIT $2"),
    ("upload", "SELECT id, video_url AS url, NULL AS sha256 FROM uploads WHERE id > $1 ORDER BY id LIMIT $2"),
    (
        "upload",
        "SELECT id, metadata ->> 'thumbnail' AS url, NULL AS sha256 FROM uploads
         WHERE metadata ->> 'thumbnail' IS NOT NULL AND id > $1 ORDER BY id LIMIT $2",
    ),
];

/// What names a record that is not there, where the database itself does not keep that from happening.
const DANGLING: [(&str, &str, &str); 3] = [
    (
        "detection",
        "suspect",
        "SELECT id, suspect_id AS missing FROM detections WHERE suspect_id IS NOT NULL
         AND NOT EXISTS (SELECT 1 FROM suspects s WHERE s.id = detections.suspect_id) ORDER BY id LIMIT $1",
    ),
    (
        "tracklet",
        "suspect",
        "SELECT id, suspect AS missing FROM tracklets WHERE suspect IS NOT NULL
         AND NOT EXISTS (SELECT 1 FROM suspects s WHERE s.id = tracklets.suspect) ORDER BY id LIMIT $1",
    ),
    (
        "sighting",
        "suspect",
        "SELECT id, suspect AS missing FROM sightings
         WHERE NOT EXISTS (SELECT 1 FROM suspects s WHERE s.id = sightings.suspect) ORDER BY id LIMIT $1",
    ),
];

impl CameraStore {
    /// How many kinds of references there are for [`references`](Self::references).
    pub const REFERENCES: usize = OBJECTS.len();

    /// A page of the records of one kind (`0..REFERENCES`) that have an object, in the order of their ids behind `after`; at most
    /// `limit`. Nothing for a kind that is not there.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn references(&self, kind: usize, after: Uuid, limit: u32) -> Result<Vec<Reference>, StoreError> {
        let Some((record, page)) = OBJECTS.get(kind) else { return Ok(Vec::new()) };
        let read =
            |row: &Row| Ok(Reference { record, id: row.uuid("id")?, url: row.get("url")?, sha256: row.get("sha256")? });
        self.db.fetch(sql(page).bind(after).bind(limit), read).await
    }

    /// Records (what, its id) that name another (what, its id) which is not there; at most `limit` of each kind.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn dangling(&self, limit: u32) -> Result<Vec<(&'static str, Uuid, &'static str, Uuid)>, StoreError> {
        let mut all = Vec::new();
        for (record, target, statement) in DANGLING {
            let read = |row: &Row| Ok((record, row.uuid("id")?, target, row.uuid("missing")?));
            all.extend(self.db.fetch(sql(statement).bind(limit), read).await?);
        }
        Ok(all)
    }
}
