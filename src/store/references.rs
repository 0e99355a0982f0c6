//! What records name: the objects they have, and the records they are about. Only read by who checks that all of it is there.
use super::{
    CameraStore, StoreError,
    sql::{Row, sql},
};
use crate::model::{CameraId, Timestamp};
use std::collections::BTreeMap;
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

/// A minute whose detections are not as many as are counted for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Miscount {
    /// Which camera.
    pub camera: CameraId,
    /// The minute's begin.
    pub minute: Timestamp,
    /// Of which type.
    pub kind: String,
    /// So many are counted.
    pub counted: i64,
    /// So many there are.
    pub there: i64,
}

const MINUTE: i64 = 60_000_000;
/// Detections of one camera are counted this stretch at a time.
const STRETCH: i64 = 6 * 60 * MINUTE;

impl CameraStore {
    /// Counts the detections of all cameras before `until` and compares them with what is kept for the timeline. Minutes in which
    /// detections still come are not to be compared.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn miscounts(&self, until: Timestamp) -> Result<Vec<Miscount>, StoreError> {
        let mut wrong = Vec::new();
        for camera in self.cameras().await?.into_iter().map(|c| c.id) {
            let mut from = 0;
            let until = until.0.div_euclid(MINUTE) * MINUTE;
            while let Some(next) = self.next_counted(camera, from).await?.filter(|next| *next < until) {
                let start = next.div_euclid(STRETCH) * STRETCH;
                from = start + STRETCH;
                wrong.extend(self.miscounts_between(camera, start, from.min(until)).await?);
            }
        }
        Ok(wrong)
    }

    /// The instant from `from` on of the next detection, or minute with a count.
    async fn next_counted(&self, camera: CameraId, from: i64) -> Result<Option<i64>, StoreError> {
        let seen = sql(
            "SELECT captured_at FROM detections WHERE camera = $1 AND captured_at >= $2 ORDER BY captured_at LIMIT 1",
        );
        let seen = self.db.fetch(seen.bind(camera).bind(Timestamp(from)), |row| row.instant("captured_at")).await?;
        let counted = sql("SELECT minute FROM detections_a_minute WHERE camera = $1 AND minute >= $2 AND n <> 0
             ORDER BY minute LIMIT 1");
        let counted = counted.bind(camera).bind(from.div_euclid(MINUTE));
        let counted = self.db.fetch(counted, |row| row.get::<i64>("minute")).await?;
        Ok(seen.first().map(|t| t.0).into_iter().chain(counted.first().map(|m| m * MINUTE)).min())
    }

    async fn miscounts_between(&self, camera: CameraId, from: i64, until: i64) -> Result<Vec<Miscount>, StoreError> {
        // What is counted, and what there is.
        let mut minutes: BTreeMap<(i64, String), (i64, i64)> = BTreeMap::new();
        let counted =
            sql("SELECT minute, type, n FROM detections_a_minute WHERE camera = $1 AND minute >= $2 AND minute < $3");
        let counted = counted.bind(camera).bind(from.div_euclid(MINUTE)).bind(until.div_euclid(MINUTE));
        let read = |row: &Row| Ok(((row.get("minute")?, row.get("type")?), row.get("n")?));
        for (minute, n) in self.db.fetch(counted, read).await? {
            minutes.entry(minute).or_default().0 = n;
        }
        let seen = sql(
            "SELECT captured_at, type FROM detections WHERE camera = $1 AND captured_at >= $2 AND captured_at < $3",
        );
        let seen = seen.bind(camera).bind(Timestamp(from)).bind(Timestamp(until));
        let read = |row: &Row| Ok((row.instant("captured_at")?, row.json::<Vec<String>>("type")?));
        for (at, kinds) in self.db.fetch(seen, read).await? {
            for kind in kinds {
                minutes.entry((at.0.div_euclid(MINUTE), kind)).or_default().1 += 1;
            }
        }
        let wrong = minutes.into_iter().filter(|(_, (counted, there))| counted != there);
        let miscount = |((minute, kind), (counted, there))| Miscount {
            camera,
            minute: Timestamp(minute * MINUTE),
            kind,
            counted,
            there,
        };
        Ok(wrong.map(miscount).collect())
    }

    /// Puts right what was counted wrongly.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn recount(&self, wrong: &Miscount) -> Result<(), StoreError> {
        let put = sql("INSERT INTO detections_a_minute (camera, minute, type, n) VALUES ($1, $2, $3, $4)
             ON CONFLICT (camera, minute, type) DO UPDATE SET n = excluded.n");
        let minute = wrong.minute.0.div_euclid(MINUTE);
        self.db.execute(put.bind(wrong.camera).bind(minute).bind(&wrong.kind).bind(wrong.there)).await
    }

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
