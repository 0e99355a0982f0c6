//! Cameras and what was seen on them: detections, suspects, sightings.
//!
//! Every `put` is an upsert by identity: the same record delivered twice is there once, the one delivered last replaces
//! the one before. Cameras, which consoles and administrators change at once, go by their version instead.
use super::{
    Address, StoreError,
    sqlite::{Database, TextColumns as _, to_json},
};
use crate::model::{
    Camera, CameraId, Decision, DetectionRecord, Rect, Sighting, Suspect, SuspectId, Timestamp, TrackId,
};
use sqlx::{QueryBuilder, Row as _, Sqlite, migrate::Migrator, sqlite::SqliteRow};
use std::path::Path;

static SCHEMA: Migrator = sqlx::migrate!("migrations/cameras");

/// Which detections to read; the default is the newest hundred of all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DetectionFilter {
    /// Of one camera only.
    pub camera: Option<CameraId>,
    /// Of one suspect only.
    pub suspect: Option<SuspectId>,
    /// At or after this instant.
    pub from: Option<Timestamp>,
    /// Before this instant.
    pub until: Option<Timestamp>,
    /// At most so many.
    pub limit: u32,
}

impl Default for DetectionFilter {
    fn default() -> Self {
        Self { camera: None, suspect: None, from: None, until: None, limit: 100 }
    }
}

/// The cameras database, in SQLite. Cloning shares it.
#[derive(Clone, Debug)]
pub struct CameraStore {
    db: Database,
}

impl CameraStore {
    /// Opens the store at `address`, creating it where missing.
    ///
    /// # Errors
    /// [`StoreError`]: not reachable, refused, damaged, newer, read-only, full.
    pub async fn connect(address: &Address) -> Result<Self, StoreError> {
        match address.path() {
            Some(path) => Self::open(path).await,
            None => Err(StoreError::unknown_backend(address)),
        }
    }

    /// Opens the database, creating it where missing.
    ///
    /// # Errors
    /// [`StoreError`]: damaged, newer, read-only, full.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Ok(Self { db: Database::open(path.as_ref(), &SCHEMA, 4).await? })
    }

    #[cfg(test)]
    pub(super) async fn close(&self) {
        self.db.pool().close().await;
    }

    /// Registers a camera, or replaces what is known of an older version of it. What is known of the same or a newer
    /// version stays: a record that was delivered late undoes nothing.
    ///
    /// # Errors
    /// The file's trouble.
    pub async fn upsert_camera(&self, camera: &Camera) -> Result<(), StoreError> {
        let location = camera.location.as_ref().map(to_json).transpose()?;
        sqlx::query(
            "INSERT INTO cameras (id, name, location, added_at, active, url, is_virtual, configured, version)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, location = excluded.location,
             added_at = excluded.added_at, active = excluded.active, url = excluded.url,
             is_virtual = excluded.is_virtual, configured = excluded.configured,
             version = excluded.version
             WHERE cameras.version < excluded.version",
        )
        .bind(camera.id.hyphenated())
        .bind(&camera.name)
        .bind(location)
        .bind(camera.added_at.to_string())
        .bind(camera.active)
        .bind(&camera.url)
        .bind(camera.is_virtual)
        .bind(camera.configured)
        .bind(camera.version)
        .execute(self.db.pool())
        .await
        .map_err(|e| self.db.error(e))?;
        Ok(())
    }

    /// Changes name, place, address and whether the camera is active or virtual; returns the camera as it is now, one
    /// version on.
    ///
    /// # Errors
    /// [`StoreError::Changed`] when somebody else changed it since `camera.version`, [`StoreError::BadRecord`] when it is
    /// not registered; otherwise the file's trouble.
    pub async fn edit_camera(&self, camera: &Camera) -> Result<Camera, StoreError> {
        let e = |e| self.db.error(e);
        let location = camera.location.as_ref().map(to_json).transpose()?;
        let mut tx = self.db.write().await?;
        let stored: Option<i64> = sqlx::query_scalar("SELECT version FROM cameras WHERE id = ?1")
            .bind(camera.id.hyphenated())
            .fetch_optional(&mut *tx)
            .await
            .map_err(e)?;
        match stored {
            None => return Err(StoreError::BadRecord(format!("the camera {} is not registered", camera.id))),
            Some(version) if version != camera.version => return Err(StoreError::Changed(camera.name.clone())),
            Some(_) => {}
        }
        let edited = sqlx::query(
            "UPDATE cameras SET name = ?2, location = ?3, active = ?4, url = ?5, is_virtual = ?6, version = version + 1
             WHERE id = ?1 RETURNING *",
        )
        .bind(camera.id.hyphenated())
        .bind(&camera.name)
        .bind(location)
        .bind(camera.active)
        .bind(&camera.url)
        .bind(camera.is_virtual)
        .try_map(|row: SqliteRow| camera_from_row(&row))
        .fetch_one(&mut *tx)
        .await
        .map_err(e)?;
        tx.commit().await.map_err(e)?;
        Ok(edited)
    }

    /// All cameras, inactive ones too, in the order in which they were registered.
    ///
    /// # Errors
    /// The file's trouble.
    pub async fn cameras(&self) -> Result<Vec<Camera>, StoreError> {
        sqlx::query("SELECT * FROM cameras ORDER BY added_at, id")
            .try_map(|row: SqliteRow| camera_from_row(&row))
            .fetch_all(self.db.pool())
            .await
            .map_err(|e| self.db.error(e))
    }

    /// Records a detection.
    ///
    /// # Errors
    /// [`StoreError::BadRecord`] when it is of nothing or its camera is not registered; otherwise the file's trouble.
    pub async fn put_detection(&self, d: &DetectionRecord) -> Result<(), StoreError> {
        if d.kinds.is_empty() {
            return Err(StoreError::BadRecord(format!("the detection {} is of nothing", d.id)));
        }
        sqlx::query(
            "INSERT INTO detections (id, camera, image_url, suspect_id, captured_at, metadata, type, detection_box)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (id) DO UPDATE SET camera = excluded.camera, image_url = excluded.image_url,
             suspect_id = excluded.suspect_id, captured_at = excluded.captured_at, metadata = excluded.metadata,
             type = excluded.type, detection_box = excluded.detection_box",
        )
        .bind(d.id.hyphenated())
        .bind(d.camera.hyphenated())
        .bind(&d.image_url)
        .bind(d.suspect_id.map(|id| id.hyphenated()))
        .bind(d.captured_at.to_string())
        .bind(to_json(&d.metadata)?)
        .bind(to_json(&d.kinds)?)
        .bind(to_json(&d.detection_box)?)
        .execute(self.db.pool())
        .await
        .map_err(|e| self.db.error(e))?;
        Ok(())
    }

    /// The detections that pass the filter, newest first.
    ///
    /// # Errors
    /// The file's trouble.
    pub async fn detections(&self, filter: &DetectionFilter) -> Result<Vec<DetectionRecord>, StoreError> {
        let mut q = QueryBuilder::<Sqlite>::new("SELECT * FROM detections WHERE TRUE");
        if let Some(camera) = filter.camera {
            q.push(" AND camera = ").push_bind(camera.hyphenated());
        }
        if let Some(suspect) = filter.suspect {
            q.push(" AND suspect_id = ").push_bind(suspect.hyphenated());
        }
        if let Some(from) = filter.from {
            q.push(" AND captured_at >= ").push_bind(from.to_string());
        }
        if let Some(until) = filter.until {
            q.push(" AND captured_at < ").push_bind(until.to_string());
        }
        q.push(" ORDER BY captured_at DESC, id LIMIT ").push_bind(filter.limit);
        q.build()
            .try_map(|row: SqliteRow| {
                Ok(DetectionRecord {
                    id: row.uuid("id")?,
                    camera: row.uuid("camera")?,
                    image_url: row.try_get("image_url")?,
                    suspect_id: match row.try_get::<Option<&str>, _>("suspect_id")? {
                        Some(_) => Some(row.uuid("suspect_id")?),
                        None => None,
                    },
                    captured_at: row.instant("captured_at")?,
                    metadata: row.json("metadata")?,
                    kinds: row.json("type")?,
                    detection_box: row.json("detection_box")?,
                })
            })
            .fetch_all(self.db.pool())
            .await
            .map_err(|e| self.db.error(e))
    }

    /// Records a suspect, with its gallery.
    ///
    /// # Errors
    /// [`StoreError::BadRecord`] when its camera is not registered; otherwise the file's trouble.
    pub async fn put_suspect(&self, s: &Suspect) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO suspects
             (id, label, colour, reason, marked_by, marked_at, camera, expires_at, ended_at, crop_url, gallery)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
             ON CONFLICT (id) DO UPDATE SET label = excluded.label, colour = excluded.colour, reason = excluded.reason,
             marked_by = excluded.marked_by, marked_at = excluded.marked_at, camera = excluded.camera,
             expires_at = excluded.expires_at, ended_at = excluded.ended_at, crop_url = excluded.crop_url,
             gallery = excluded.gallery",
        )
        .bind(s.id.hyphenated())
        .bind(&s.label)
        .bind(to_json(&s.colour)?)
        .bind(&s.reason)
        .bind(&s.marked_by)
        .bind(s.marked_at.to_string())
        .bind(s.camera.hyphenated())
        .bind(s.expires_at.to_string())
        .bind(s.ended_at.map(|t| t.to_string()))
        .bind(&s.crop_url)
        .bind(to_json(&s.gallery)?)
        .execute(self.db.pool())
        .await
        .map_err(|e| self.db.error(e))?;
        Ok(())
    }

    /// All suspects, newest first, also those no longer followed.
    ///
    /// # Errors
    /// The file's trouble.
    pub async fn suspects(&self) -> Result<Vec<Suspect>, StoreError> {
        sqlx::query("SELECT * FROM suspects ORDER BY marked_at DESC, id DESC")
            .try_map(|row: SqliteRow| {
                Ok(Suspect {
                    id: row.uuid("id")?,
                    label: row.try_get("label")?,
                    colour: row.json("colour")?,
                    reason: row.try_get("reason")?,
                    marked_by: row.try_get("marked_by")?,
                    marked_at: row.instant("marked_at")?,
                    camera: row.uuid("camera")?,
                    expires_at: row.instant("expires_at")?,
                    ended_at: row.instant_or_null("ended_at")?,
                    crop_url: row.try_get("crop_url")?,
                    gallery: row.json("gallery")?,
                })
            })
            .fetch_all(self.db.pool())
            .await
            .map_err(|e| self.db.error(e))
    }

    /// Records a sighting.
    ///
    /// # Errors
    /// [`StoreError::BadRecord`] when its suspect or camera is not registered or its probability is none; otherwise the
    /// file's trouble.
    pub async fn put_sighting(&self, s: &Sighting) -> Result<(), StoreError> {
        let (decision, decided) = match &s.decision {
            Decision::Origin => ("origin", None),
            Decision::Pending => ("pending", None),
            Decision::Confirmed { by, at } => ("confirmed", Some((by, at))),
            Decision::Rejected { by, at } => ("rejected", Some((by, at))),
        };
        let Rect { x, y, w, h } = s.rect;
        sqlx::query(
            "INSERT INTO sightings (id, suspect, camera, track, entered_at, last_seen_at, left_at, probability,
             decision, decided_by, decided_at, crop_url, rect)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
             ON CONFLICT (id) DO UPDATE SET suspect = excluded.suspect, camera = excluded.camera,
             track = excluded.track, entered_at = excluded.entered_at, last_seen_at = excluded.last_seen_at,
             left_at = excluded.left_at, probability = excluded.probability, decision = excluded.decision,
             decided_by = excluded.decided_by, decided_at = excluded.decided_at, crop_url = excluded.crop_url,
             rect = excluded.rect",
        )
        .bind(s.id.hyphenated())
        .bind(s.suspect.hyphenated())
        .bind(s.camera.hyphenated())
        .bind(s.track.0.cast_signed()) // SQL has no unsigned integers
        .bind(s.entered_at.to_string())
        .bind(s.last_seen_at.to_string())
        .bind(s.left_at.map(|t| t.to_string()))
        .bind(s.probability)
        .bind(decision)
        .bind(decided.map(|(by, _)| by))
        .bind(decided.map(|(_, at)| at.to_string()))
        .bind(&s.crop_url)
        .bind(to_json(&[x, y, w, h])?)
        .execute(self.db.pool())
        .await
        .map_err(|e| self.db.error(e))?;
        Ok(())
    }

    /// Sightings, of one suspect or of all, newest entry first, at most `limit`.
    ///
    /// # Errors
    /// The file's trouble.
    pub async fn sightings(&self, suspect: Option<SuspectId>, limit: u32) -> Result<Vec<Sighting>, StoreError> {
        let mut q = QueryBuilder::<Sqlite>::new("SELECT * FROM sightings");
        if let Some(suspect) = suspect {
            q.push(" WHERE suspect = ").push_bind(suspect.hyphenated());
        }
        q.push(" ORDER BY entered_at DESC, id DESC LIMIT ").push_bind(limit);
        q.build()
            .try_map(|row: SqliteRow| sighting_from_row(&row))
            .fetch_all(self.db.pool())
            .await
            .map_err(|e| self.db.error(e))
    }

    /// Sightings without an exit, and those that wait for a decision, however old.
    ///
    /// # Errors
    /// The file's trouble.
    pub async fn unfinished_sightings(&self) -> Result<Vec<Sighting>, StoreError> {
        sqlx::query(
            "SELECT * FROM sightings WHERE left_at IS NULL OR decision = 'pending' ORDER BY entered_at DESC, id",
        )
        .try_map(|row: SqliteRow| sighting_from_row(&row))
        .fetch_all(self.db.pool())
        .await
        .map_err(|e| self.db.error(e))
    }

    /// The reasons for which suspects were marked last, newest first, without repeats, at most `limit`.
    ///
    /// # Errors
    /// The file's trouble.
    pub async fn recent_reasons(&self, limit: u32) -> Result<Vec<String>, StoreError> {
        sqlx::query_scalar("SELECT reason FROM suspects GROUP BY reason ORDER BY MAX(marked_at) DESC, reason LIMIT ?1")
            .bind(limit)
            .fetch_all(self.db.pool())
            .await
            .map_err(|e| self.db.error(e))
    }
}

fn camera_from_row(row: &SqliteRow) -> sqlx::Result<Camera> {
    Ok(Camera {
        id: row.uuid("id")?,
        name: row.try_get("name")?,
        url: row.try_get("url")?,
        location: match row.try_get::<Option<&str>, _>("location")? {
            Some(_) => Some(row.json("location")?),
            None => None,
        },
        added_at: row.instant("added_at")?,
        active: row.try_get("active")?,
        is_virtual: row.try_get("is_virtual")?,
        configured: row.try_get("configured")?,
        version: row.try_get("version")?,
    })
}

fn sighting_from_row(row: &SqliteRow) -> sqlx::Result<Sighting> {
    let [x, y, w, h]: [f32; 4] = row.json("rect")?;
    let decided = || Ok::<_, sqlx::Error>((row.try_get::<String, _>("decided_by")?, row.instant("decided_at")?));
    Ok(Sighting {
        id: row.uuid("id")?,
        suspect: row.uuid("suspect")?,
        camera: row.uuid("camera")?,
        track: TrackId(row.try_get::<i64, _>("track")?.cast_unsigned()),
        entered_at: row.instant("entered_at")?,
        last_seen_at: row.instant("last_seen_at")?,
        left_at: row.instant_or_null("left_at")?,
        probability: row.try_get("probability")?,
        decision: match row.try_get::<String, _>("decision")?.as_str() {
            "origin" => Decision::Origin,
            "confirmed" => decided().map(|(by, at)| Decision::Confirmed { by, at })?,
            "rejected" => decided().map(|(by, at)| Decision::Rejected { by, at })?,
            _ => Decision::Pending,
        },
        crop_url: row.try_get("crop_url")?,
        rect: Rect::new(x, y, w, h),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::{Descriptor, DescriptorKind, DetectionKind};
    use serde_json::json;
    use std::time::Duration;
    use uuid::Uuid;

    const T0: Timestamp = Timestamp(1_795_000_000_000_000);

    pub(crate) fn camera() -> Camera {
        Camera {
            id: Uuid::new_v4(),
            name: "Rossio norte".to_owned(),
            url: "rtsp://user:secret@10.0.0.9/1".to_owned(),
            location: Some((38.713_9, -9.139_4)),
            added_at: T0,
            active: true,
            is_virtual: false,
            configured: true,
            version: 1,
        }
    }

    pub(crate) fn suspect(camera: CameraId, label: &str) -> Suspect {
        Suspect {
            id: Uuid::new_v4(),
            label: label.to_owned(),
            colour: [255, 128, 0],
            reason: "theft at the kiosk".to_owned(),
            marked_by: "12345678".to_owned(),
            marked_at: T0,
            camera,
            expires_at: T0.plus(Duration::from_secs(3600)),
            ended_at: None,
            crop_url: "objects:crops/a.jpg".to_owned(),
            gallery: vec![Descriptor {
                kind: DescriptorKind::ColourStripes,
                vector: [0.1, 1.0 / 3.0, f32::MIN_POSITIVE, 0.999_999_94].into(),
            }],
        }
    }

    pub(crate) fn sighting(suspect: &Suspect) -> Sighting {
        Sighting {
            id: Uuid::new_v4(),
            suspect: suspect.id,
            camera: suspect.camera,
            track: TrackId(u64::MAX),
            entered_at: T0,
            last_seen_at: T0.plus(Duration::from_millis(40)),
            left_at: None,
            probability: 0.87,
            decision: Decision::Pending,
            crop_url: "objects:crops/b.jpg".to_owned(),
            rect: Rect::new(1.5, -2.25, 30.1, 80.7),
        }
    }

    pub(crate) fn detection(camera: CameraId, suspect_id: Option<SuspectId>, at: Timestamp) -> DetectionRecord {
        DetectionRecord {
            id: Uuid::new_v4(),
            camera,
            image_url: "objects:frames/a.jpg".to_owned(),
            suspect_id,
            captured_at: at,
            metadata: json!({"track": 3, "score": 0.5}),
            kinds: vec![DetectionKind::Suspect, DetectionKind::Knife],
            detection_box: Rect::new(1.5, 2.0, 3.1, 4.0).polygon().to_vec(),
        }
    }

    async fn empty() -> (tempfile::TempDir, CameraStore) {
        let dir = tempfile::tempdir().unwrap();
        let store = CameraStore::open(dir.path().join("cameras.sqlite")).await.unwrap();
        (dir, store)
    }

    #[tokio::test]
    async fn records_read_back_as_written_after_a_restart_and_newer_versions_win() {
        let (dir, store) = empty().await;
        let mut camera = camera();
        let elsewhere = Camera { location: None, added_at: T0.plus(Duration::from_secs(1)), ..self::camera() };
        let mut suspect = suspect(camera.id, "Suspect 1");
        let mut sighting = sighting(&suspect);
        let detection = detection(camera.id, Some(suspect.id), T0);
        for _ in 0..2 {
            for c in [&camera, &elsewhere] {
                store.upsert_camera(c).await.unwrap();
            }
            store.put_suspect(&suspect).await.unwrap();
            store.put_sighting(&sighting).await.unwrap();
            store.put_detection(&detection).await.unwrap();
        }
        camera.active = false;
        camera.version = 2;
        suspect.ended_at = Some(T0.plus(Duration::from_secs(9)));
        suspect.gallery.push(Descriptor { kind: DescriptorKind::Learned, vector: [1.0, 0.0].into() });
        store.upsert_camera(&camera).await.unwrap();
        store.put_suspect(&suspect).await.unwrap();

        let store = CameraStore::open(dir.path().join("cameras.sqlite")).await.unwrap();
        assert_eq!(store.cameras().await.unwrap(), [camera, elsewhere]);
        assert_eq!(store.suspects().await.unwrap(), [suspect]);
        assert_eq!(store.detections(&DetectionFilter::default()).await.unwrap(), [detection]);
        let (by, at) = ("12345678".to_owned(), T0);
        for decision in [
            Decision::Pending,
            Decision::Confirmed { by: by.clone(), at },
            Decision::Rejected { by, at },
            Decision::Origin,
        ] {
            sighting.decision = decision;
            sighting.left_at = Some(T0.plus(Duration::from_secs(2)));
            store.put_sighting(&sighting).await.unwrap();
            assert_eq!(store.sightings(None, 10).await.unwrap(), std::slice::from_ref(&sighting));
        }
    }

    #[tokio::test]
    async fn an_edit_of_an_older_version_is_refused_and_a_late_record_undoes_nothing() {
        let (_dir, store) = empty().await;
        let first = camera();
        store.upsert_camera(&first).await.unwrap();
        let (north, south) = (
            Camera { name: "North".to_owned(), ..first.clone() },
            Camera { name: "South".to_owned(), location: None, ..first.clone() },
        );
        let (a, b) = tokio::join!(store.edit_camera(&north), store.edit_camera(&south));
        let (edited, refused) = match (a, b) {
            (Ok(edited), Err(e)) | (Err(e), Ok(edited)) => (edited, e),
            both => panic!("one of two edits of the same version must be refused: {both:?}"),
        };
        assert!(matches!(refused, StoreError::Changed(_)), "{refused:?}");
        assert_eq!(edited.version, 2);
        assert!([north.name, south.name].contains(&edited.name));
        let late = Camera { name: "Late, of the same version".to_owned(), version: 2, ..first.clone() };
        for late in [&first, &late] {
            store.upsert_camera(late).await.unwrap();
            assert_eq!(store.cameras().await.unwrap(), std::slice::from_ref(&edited));
        }
        let newer = Camera { active: false, version: 3, ..edited };
        store.upsert_camera(&newer).await.unwrap();
        assert_eq!(store.cameras().await.unwrap(), [newer]);
        let stranger = store.edit_camera(&camera()).await.unwrap_err();
        assert!(stranger.is_bad_record(), "{stranger:?}");
    }

    #[tokio::test]
    async fn the_given_columns_have_the_given_form() {
        let (_dir, store) = empty().await;
        let camera = camera();
        store.upsert_camera(&camera).await.unwrap();
        let d = detection(camera.id, None, Timestamp(1_795_000_000_000_000));
        store.put_detection(&d).await.unwrap();
        let row: (String, String, String, String, Option<String>) =
            sqlx::query_as("SELECT id, captured_at, type, detection_box, suspect_id FROM detections")
                .fetch_one(store.db.pool())
                .await
                .unwrap();
        assert_eq!(row.0, d.id.to_string());
        assert_eq!(row.1, "2026-11-18T11:06:40.000000Z");
        assert_eq!(row.2, r#"["Suspect","Knife"]"#);
        assert_eq!(row.3, "[[1.5,2.0],[4.6,2.0],[4.6,6.0],[1.5,6.0]]");
        assert_eq!(row.4, None);
        let location: String =
            sqlx::query_scalar("SELECT location FROM cameras").fetch_one(store.db.pool()).await.unwrap();
        assert_eq!(location, "[38.7139,-9.1394]");
        sqlx::query("SELECT id, camera, video_url, duration, resolution, size, format, metadata, date FROM uploads")
            .fetch_all(store.db.pool())
            .await
            .unwrap();
    }

    /// Regression 11 of the old system: every suspect had id 1.
    #[tokio::test]
    async fn two_suspects_at_once_stay_two() {
        let (_dir, store) = empty().await;
        let camera = camera();
        store.upsert_camera(&camera).await.unwrap();
        let (a, b) = (suspect(camera.id, "Suspect 1"), suspect(camera.id, "Suspect 2"));
        for s in [&a, &b] {
            store.put_suspect(s).await.unwrap();
            store.put_sighting(&sighting(s)).await.unwrap();
            store.put_detection(&detection(camera.id, Some(s.id), T0)).await.unwrap();
        }
        assert_eq!(store.suspects().await.unwrap().len(), 2);
        for s in [&a, &b] {
            let sightings = store.sightings(Some(s.id), 10).await.unwrap();
            assert!(sightings.len() == 1 && sightings[0].suspect == s.id);
            let filter = DetectionFilter { suspect: Some(s.id), ..DetectionFilter::default() };
            let detections = store.detections(&filter).await.unwrap();
            assert!(detections.len() == 1 && detections[0].suspect_id == Some(s.id));
        }
    }

    #[tokio::test]
    async fn filters_combine() {
        let (_dir, store) = empty().await;
        let cameras = [camera(), camera()];
        let mut all = Vec::new();
        for c in &cameras {
            store.upsert_camera(c).await.unwrap();
            for second in 0..10 {
                let d = detection(c.id, None, T0.plus(Duration::from_secs(second)));
                store.put_detection(&d).await.unwrap();
                all.push(d);
            }
        }
        let filter = DetectionFilter {
            camera: Some(cameras[1].id),
            from: Some(T0.plus(Duration::from_secs(3))),
            until: Some(T0.plus(Duration::from_secs(8))),
            limit: 3,
            ..DetectionFilter::default()
        };
        let expected: Vec<_> = [17, 16, 15].into_iter().map(|i: usize| all[i].clone()).collect();
        assert_eq!(store.detections(&filter).await.unwrap(), expected);
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(
            "EXPLAIN QUERY PLAN SELECT * FROM detections WHERE TRUE AND camera = 'x' AND captured_at >= 'a'
             AND captured_at < 'b' ORDER BY captured_at DESC, id LIMIT 3",
        )
        .fetch_all(store.db.pool())
        .await
        .unwrap();
        assert!(plan.iter().any(|row| row.3.contains("detections_by_camera (camera=?")), "{plan:?}");
    }

    #[tokio::test]
    async fn what_does_not_fit_is_refused_as_a_bad_record() {
        let (_dir, store) = empty().await;
        let camera = camera();
        let suspect = suspect(camera.id, "Suspect 1");
        assert!(store.put_suspect(&suspect).await.unwrap_err().is_bad_record(), "of an unknown camera");
        store.upsert_camera(&camera).await.unwrap();
        assert!(store.put_sighting(&sighting(&suspect)).await.unwrap_err().is_bad_record(), "of an unknown suspect");
        store.put_suspect(&suspect).await.unwrap();
        for probability in [1.5, -0.1, f32::NAN] {
            let odd = Sighting { probability, ..sighting(&suspect) };
            assert!(store.put_sighting(&odd).await.unwrap_err().is_bad_record(), "{probability}");
        }
        let nothing = DetectionRecord { kinds: Vec::new(), ..detection(camera.id, None, T0) };
        assert!(store.put_detection(&nothing).await.unwrap_err().is_bad_record());
    }

    #[tokio::test]
    async fn reasons_come_newest_first_without_repeats() {
        let (_dir, store) = empty().await;
        let camera = camera();
        store.upsert_camera(&camera).await.unwrap();
        for (i, reason) in ["theft", "assault", "theft", "missing person"].iter().enumerate() {
            let marked_at = T0.plus(Duration::from_secs(i as u64));
            let s = Suspect { reason: (*reason).to_owned(), marked_at, ..suspect(camera.id, "Suspect") };
            store.put_suspect(&s).await.unwrap();
        }
        assert_eq!(store.recent_reasons(2).await.unwrap(), ["missing person", "theft"]);
        assert_eq!(store.recent_reasons(8).await.unwrap(), ["missing person", "theft", "assault"]);
    }
}
