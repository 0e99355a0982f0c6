//! Cameras and what was seen on them: detections, suspects, sightings.
//!
//! Every `put` is an upsert by identity: the same record delivered twice is there once. Of a detection the one delivered last
//! replaces the one before. Several consoles change cameras, suspects and sightings at once, and deliver late after an outage:
//! cameras go by their version, suspects by the time of their change, sightings by what was seen last and decided last, as
//! [`Suspect::merge`] and [`Sighting::merge`] say.
use super::{
    Address, StoreError,
    sql::{Row, Schema, SqlDatabase, json, sql},
};
use crate::model::{
    Camera, CameraId, Decision, DetectionRecord, FieldOfView, Rect, Sighting, Suspect, SuspectId, Timestamp, TrackId,
    Witness,
};
use std::{path::Path, time::Duration};

/// Longer than a write to a server may take: it is given up after half of that.
const LONGEST_WRITE: Duration = Duration::from_secs(10);

static SCHEMA: Schema = Schema {
    sqlite: sqlx::migrate!("migrations/cameras/sqlite"),
    postgres: sqlx::migrate!("migrations/cameras/postgres"),
};

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

/// The cameras database, in SQLite or PostgreSQL. Cloning shares it.
#[derive(Clone, Debug)]
pub struct CameraStore {
    pub(super) db: SqlDatabase,
}

impl CameraStore {
    /// Opens the store at `address` (`sqlite:`, created where missing, or `postgres:`).
    ///
    /// # Errors
    /// [`StoreError`]: not reachable, refused, damaged, newer, read-only, full.
    pub async fn connect(address: &Address) -> Result<Self, StoreError> {
        Ok(Self { db: SqlDatabase::connect(address, &SCHEMA).await? })
    }

    /// Like [`connect`](Self::connect); but a server that does not answer now is taken up when it does, and every question until
    /// then ends with [`StoreError::Unavailable`].
    ///
    /// # Errors
    /// [`StoreError`]: refused, damaged, newer, misconfigured, read-only, full.
    pub async fn connect_late(address: &Address) -> Result<Self, StoreError> {
        Ok(Self { db: SqlDatabase::connect_late(address, &SCHEMA).await? })
    }

    /// Why the server has not been reached yet; `None` once it has.
    pub(super) fn trouble(&self) -> Option<String> {
        self.db.trouble()
    }

    /// Tries to reach the server, where it has not been reached yet.
    pub(super) async fn reach(&self) {
        let _ = self.db.get().await; // how it went is what `trouble` says
    }

    /// Opens the database, creating it where missing.
    ///
    /// # Errors
    /// [`StoreError`]: damaged, newer, read-only, full.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::connect(&Address::sqlite(path.as_ref())).await
    }

    /// For whoever copies all of it.
    pub(crate) fn database(&self) -> &SqlDatabase {
        &self.db
    }

    #[cfg(test)]
    pub(super) async fn close(&self) {
        self.db.close().await;
    }

    /// Registers a camera, or replaces what is known of an older version of it. What is known of the same or a newer
    /// version stays: a record that was delivered late undoes nothing.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn upsert_camera(&self, camera: &Camera) -> Result<(), StoreError> {
        let upsert =
            sql(r#"INSERT INTO cameras (id, name, location, added_at, active, url, is_virtual, configured, version,
             heading, angle, "range", placed)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, location = excluded.location,
             added_at = excluded.added_at, active = excluded.active, url = excluded.url,
             is_virtual = excluded.is_virtual, configured = excluded.configured,
             heading = excluded.heading, angle = excluded.angle, "range" = excluded."range", placed = excluded.placed,
             version = excluded.version
             WHERE cameras.version < excluded.version"#)
            .bind(camera.id)
            .bind(&camera.name)
            .bind(camera.location)
            .bind(camera.added_at)
            .bind(camera.active)
            .bind(&camera.url)
            .bind(camera.is_virtual)
            .bind(camera.configured)
            .bind(camera.version)
            .bind(camera.field_of_view.map(|f| f.heading))
            .bind(camera.field_of_view.map(|f| f.angle))
            .bind(camera.field_of_view.map(|f| f.range))
            .bind(camera.placed);
        self.db.execute(upsert).await
    }

    /// Changes name, place, field of view, address and whether the camera is active or virtual; returns the camera as it is now, one
    /// version on.
    ///
    /// # Errors
    /// [`StoreError::Changed`] when somebody else changed it since `camera.version`, [`StoreError::BadRecord`] when it is
    /// not registered; otherwise the store's trouble.
    pub async fn edit_camera(&self, camera: &Camera) -> Result<Camera, StoreError> {
        let edit =
            sql(r#"UPDATE cameras SET name = $3, location = $4, active = $5, url = $6, is_virtual = $7, heading = $8,
             angle = $9, "range" = $10, placed = $11, version = version + 1
             WHERE id = $1 AND version = $2 RETURNING *"#)
            .bind(camera.id)
            .bind(camera.version)
            .bind(&camera.name)
            .bind(camera.location)
            .bind(camera.active)
            .bind(&camera.url)
            .bind(camera.is_virtual)
            .bind(camera.field_of_view.map(|f| f.heading))
            .bind(camera.field_of_view.map(|f| f.angle))
            .bind(camera.field_of_view.map(|f| f.range))
            .bind(camera.placed);
        if let Some(edited) = self.db.fetch(edit, camera_from_row).await?.pop() {
            return Ok(edited);
        }
        let registered = sql("SELECT id FROM cameras WHERE id = $1").bind(camera.id);
        Err(match self.db.fetch(registered, |_| Ok(())).await?.pop() {
            Some(()) => StoreError::Changed(camera.name.clone()),
            None => StoreError::BadRecord(format!("the camera {} is not registered", camera.id)),
        })
    }

    /// All cameras, inactive ones too, in the order in which they were registered.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn cameras(&self) -> Result<Vec<Camera>, StoreError> {
        self.db.fetch(sql("SELECT * FROM cameras ORDER BY added_at, id"), camera_from_row).await
    }

    /// A number that grows whenever a camera is registered or changed: cheap to ask for, again and again.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn cameras_version(&self) -> Result<i64, StoreError> {
        // No row is ever deleted, and versions only grow.
        let sum = sql("SELECT CAST(COALESCE(SUM(version), 0) AS BIGINT) AS version FROM cameras");
        Ok(self.db.fetch(sum, |row| row.get("version")).await?.pop().unwrap_or(0))
    }

    /// Records a detection.
    ///
    /// # Errors
    /// [`StoreError::BadRecord`] when it is of nothing or its camera is not registered; otherwise the store's trouble.
    pub async fn put_detection(&self, d: &DetectionRecord) -> Result<(), StoreError> {
        if d.kinds.is_empty() {
            return Err(StoreError::BadRecord(format!("the detection {} is of nothing", d.id)));
        }
        let upsert = sql(
            "INSERT INTO detections (id, camera, image_url, suspect_id, captured_at, metadata, type, detection_box)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (id) DO UPDATE SET camera = excluded.camera, image_url = excluded.image_url,
             suspect_id = excluded.suspect_id, captured_at = excluded.captured_at, metadata = excluded.metadata,
             type = excluded.type, detection_box = excluded.detection_box",
        )
        .bind(d.id)
        .bind(d.camera)
        .bind(&d.image_url)
        .bind(d.suspect_id)
        .bind(d.captured_at)
        .bind(json(&d.metadata)?)
        .bind(json(&d.kinds)?)
        .bind(d.detection_box.as_slice());
        self.db.execute(upsert).await
    }

    /// The detections that pass the filter, newest first.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn detections(&self, filter: &DetectionFilter) -> Result<Vec<DetectionRecord>, StoreError> {
        let mut page = sql("SELECT * FROM detections WHERE TRUE");
        if let Some(camera) = filter.camera {
            page = page.and(" AND camera = ", camera);
        }
        if let Some(suspect) = filter.suspect {
            page = page.and(" AND suspect_id = ", suspect);
        }
        if let Some(from) = filter.from {
            page = page.and(" AND captured_at >= ", from);
        }
        if let Some(until) = filter.until {
            page = page.and(" AND captured_at < ", until);
        }
        page = page.and(" ORDER BY captured_at DESC, id LIMIT ", filter.limit);
        let read = |row: &Row| {
            Ok(DetectionRecord {
                id: row.uuid("id")?,
                camera: row.uuid("camera")?,
                image_url: row.get("image_url")?,
                suspect_id: row.uuid_or_null("suspect_id")?,
                captured_at: row.instant("captured_at")?,
                metadata: row.json("metadata")?,
                kinds: row.json("type")?,
                detection_box: row.polygon("detection_box")?,
            })
        };
        self.db.fetch(page, read).await
    }

    /// Records a suspect, with its gallery: merged into what is known of it.
    ///
    /// # Errors
    /// [`StoreError::BadRecord`] when its camera is not registered; otherwise the store's trouble.
    pub async fn put_suspect(&self, suspect: &Suspect) -> Result<(), StoreError> {
        let mut tx = self.db.write().await?;
        let known = sql("SELECT * FROM suspects WHERE id = $1").bind(suspect.id);
        let s = match tx.fetch(known, suspect_from_row).await?.pop() {
            Some(mut known) => {
                if !known.merge(suspect) {
                    return Ok(());
                }
                known
            }
            None => suspect.clone(),
        };
        let upsert = sql("INSERT INTO suspects
             (id, label, colour, reason, marked_by, marked_at, camera, expires_at, ended_at, crop_url, gallery, characteristics,
              changed_at, proposed_until, resumed_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
             ON CONFLICT (id) DO UPDATE SET label = excluded.label, colour = excluded.colour, reason = excluded.reason,
             marked_by = excluded.marked_by, marked_at = excluded.marked_at, camera = excluded.camera,
             expires_at = excluded.expires_at, ended_at = excluded.ended_at, crop_url = excluded.crop_url,
             gallery = excluded.gallery, characteristics = excluded.characteristics, changed_at = excluded.changed_at,
             proposed_until = excluded.proposed_until, resumed_at = excluded.resumed_at")
        .bind(s.id)
        .bind(&s.label)
        .bind(json(&s.colour)?)
        .bind(&s.reason)
        .bind(&s.marked_by)
        .bind(s.marked_at)
        .bind(s.camera)
        .bind(s.expires_at)
        .bind(s.ended_at)
        .bind(&s.crop_url)
        .bind(json(&s.gallery)?)
        .bind(json(&s.characteristics)?)
        .bind(s.changed_at)
        .bind(s.proposed_until)
        .bind(s.resumed_at);
        tx.execute(upsert).await?;
        tx.commit().await
    }

    /// All suspects, newest first, also those no longer followed.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn suspects(&self) -> Result<Vec<Suspect>, StoreError> {
        self.db.fetch(sql("SELECT * FROM suspects ORDER BY marked_at DESC, id DESC"), suspect_from_row).await
    }

    /// The suspects whose time is not over at `now`, ended ones too, newest first.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn unexpired_suspects(&self, now: Timestamp) -> Result<Vec<Suspect>, StoreError> {
        let unexpired = sql("SELECT * FROM suspects WHERE expires_at > $1 ORDER BY marked_at DESC, id DESC").bind(now);
        self.db.fetch(unexpired, suspect_from_row).await
    }

    /// Whether several consoles can work on this store at once.
    pub fn is_shared(&self) -> bool {
        self.db.is_server()
    }

    /// What the clock of the server shows, and whether it is of another machine; `None` where the database is a file here.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn clock(&self) -> Result<Option<Witness>, StoreError> {
        if !self.is_shared() {
            return Ok(None);
        }
        Ok(Some(Witness { shows: self.shows().await?, elsewhere: self.db.is_elsewhere() }))
    }

    async fn shows(&self) -> Result<Timestamp, StoreError> {
        let now = self.db.fetch(sql("SELECT clock_timestamp() AS now"), |row| row.instant("now")).await?;
        Ok(now.first().copied().unwrap_or_default())
    }

    /// The suspects and sightings that were written after `since` by the clock of the database, and the instant from which the
    /// next call is to look on: a little before now, since what is being written has a time already. Cheap. `None` begins now.
    /// Only where the store [is shared](Self::is_shared); otherwise nobody else writes.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn changed_since(
        &self,
        since: Option<Timestamp>,
    ) -> Result<(Vec<Suspect>, Vec<Sighting>, Timestamp), StoreError> {
        if !self.is_shared() {
            return Ok((Vec::new(), Vec::new(), Timestamp::default()));
        }
        let now = self.shows().await?.minus(LONGEST_WRITE);
        let since = since.unwrap_or(now);
        let suspects = sql("SELECT * FROM suspects WHERE stored_at > $1").bind(since);
        let suspects = self.db.fetch(suspects, suspect_from_row).await?;
        let sightings = sql("SELECT * FROM sightings WHERE stored_at > $1 ORDER BY entered_at").bind(since);
        Ok((suspects, self.db.fetch(sightings, sighting_from_row).await?, now))
    }

    /// Records a sighting: merged into what is known of it.
    ///
    /// # Errors
    /// [`StoreError::BadRecord`] when its suspect or camera is not registered or its probability is none; otherwise the
    /// store's trouble.
    pub async fn put_sighting(&self, sighting: &Sighting) -> Result<(), StoreError> {
        let mut tx = self.db.write().await?;
        let known = sql("SELECT * FROM sightings WHERE id = $1").bind(sighting.id);
        let s = match tx.fetch(known, sighting_from_row).await?.pop() {
            Some(mut known) => {
                if !known.merge(sighting) {
                    return Ok(());
                }
                known
            }
            None => sighting.clone(),
        };
        let (decision, decided, withdrawn) = match &s.decision {
            Decision::Origin => ("origin", None, None),
            Decision::Pending => ("pending", None, None),
            Decision::Confirmed { by, at } => ("confirmed", Some((by, at)), None),
            Decision::Rejected { by, at } => ("rejected", Some((by, at)), None),
            Decision::Withdrawn { by, at } => ("pending", None, Some((by, at))),
        };
        let Rect { x, y, w, h } = s.rect;
        let upsert =
            sql("INSERT INTO sightings (id, suspect, camera, track, entered_at, last_seen_at, left_at, probability,
             decision, decided_by, decided_at, crop_url, rect, withdrawn_by, withdrawn_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
             ON CONFLICT (id) DO UPDATE SET suspect = excluded.suspect, camera = excluded.camera,
             track = excluded.track, entered_at = excluded.entered_at, last_seen_at = excluded.last_seen_at,
             left_at = excluded.left_at, probability = excluded.probability, decision = excluded.decision,
             decided_by = excluded.decided_by, decided_at = excluded.decided_at, crop_url = excluded.crop_url,
             rect = excluded.rect, withdrawn_by = excluded.withdrawn_by, withdrawn_at = excluded.withdrawn_at")
            .bind(s.id)
            .bind(s.suspect)
            .bind(s.camera)
            .bind(s.track.0.cast_signed()) // SQL has no unsigned integers
            .bind(s.entered_at)
            .bind(s.last_seen_at)
            .bind(s.left_at)
            .bind(s.probability)
            .bind(decision)
            .bind(decided.map(|(by, _)| by))
            .bind(decided.map(|(_, at)| *at))
            .bind(&s.crop_url)
            .bind(json(&[x, y, w, h])?)
            .bind(withdrawn.map(|(by, _)| by))
            .bind(withdrawn.map(|(_, at)| *at));
        tx.execute(upsert).await?;
        tx.commit().await
    }

    /// Sightings, of one suspect or of all, newest entry first, at most `limit`.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn sightings(&self, suspect: Option<SuspectId>, limit: u32) -> Result<Vec<Sighting>, StoreError> {
        let mut page = sql("SELECT * FROM sightings");
        if let Some(suspect) = suspect {
            page = page.and(" WHERE suspect = ", suspect);
        }
        self.db.fetch(page.and(" ORDER BY entered_at DESC, id DESC LIMIT ", limit), sighting_from_row).await
    }

    /// Sightings without an exit, and those that wait for a decision, however old.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn unfinished_sightings(&self) -> Result<Vec<Sighting>, StoreError> {
        let unfinished =
            sql("SELECT * FROM sightings WHERE left_at IS NULL OR decision = 'pending' ORDER BY entered_at DESC, id");
        self.db.fetch(unfinished, sighting_from_row).await
    }

    /// The reasons for which suspects were marked last, newest first, without repeats, at most `limit`.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn recent_reasons(&self, limit: u32) -> Result<Vec<String>, StoreError> {
        let reasons = sql("SELECT reason FROM suspects GROUP BY reason ORDER BY MAX(marked_at) DESC, reason LIMIT $1")
            .bind(limit);
        self.db.fetch(reasons, |row| row.get("reason")).await
    }
}

fn camera_from_row(row: &Row) -> sqlx::Result<Camera> {
    Ok(Camera {
        id: row.uuid("id")?,
        name: row.get("name")?,
        url: row.get("url")?,
        location: row.point_or_null("location")?,
        field_of_view: field_of_view(row)?,
        placed: row.get("placed")?,
        added_at: row.instant("added_at")?,
        active: row.get("active")?,
        is_virtual: row.get("is_virtual")?,
        configured: row.get("configured")?,
        version: row.get("version")?,
    })
}

fn field_of_view(row: &Row) -> sqlx::Result<Option<FieldOfView>> {
    let number = |column: &str| row.get::<Option<f64>>(column);
    let (heading, angle, range) = (number("heading")?, number("angle")?, number("range")?);
    Ok(heading.zip(angle).zip(range).map(|((heading, angle), range)| FieldOfView { heading, angle, range }))
}

fn suspect_from_row(row: &Row) -> sqlx::Result<Suspect> {
    Ok(Suspect {
        id: row.uuid("id")?,
        label: row.get("label")?,
        colour: row.json("colour")?,
        reason: row.get("reason")?,
        marked_by: row.get("marked_by")?,
        marked_at: row.instant("marked_at")?,
        camera: row.uuid("camera")?,
        expires_at: row.instant("expires_at")?,
        ended_at: row.instant_or_null("ended_at")?,
        crop_url: row.get("crop_url")?,
        gallery: row.json("gallery")?,
        characteristics: row.json("characteristics")?,
        changed_at: row.instant("changed_at")?,
        proposed_until: row.instant_or_null("proposed_until")?,
        resumed_at: row.instant_or_null("resumed_at")?,
    })
}

pub(super) fn sighting_from_row(row: &Row) -> sqlx::Result<Sighting> {
    let [x, y, w, h]: [f32; 4] = row.json("rect")?;
    let decided = || Ok::<_, sqlx::Error>((row.get::<String>("decided_by")?, row.instant("decided_at")?));
    Ok(Sighting {
        id: row.uuid("id")?,
        suspect: row.uuid("suspect")?,
        camera: row.uuid("camera")?,
        track: TrackId(row.get::<i64>("track")?.cast_unsigned()),
        entered_at: row.instant("entered_at")?,
        last_seen_at: row.instant("last_seen_at")?,
        left_at: row.instant_or_null("left_at")?,
        probability: row.get::<f64>("probability")? as f32, // it was written as one
        decision: match row.get::<String>("decision")?.as_str() {
            "origin" => Decision::Origin,
            "confirmed" => decided().map(|(by, at)| Decision::Confirmed { by, at })?,
            "rejected" => decided().map(|(by, at)| Decision::Rejected { by, at })?,
            _ => match (row.get::<Option<String>>("withdrawn_by")?, row.instant_or_null("withdrawn_at")?) {
                (Some(by), Some(at)) => Decision::Withdrawn { by, at },
                _ => Decision::Pending,
            },
        },
        crop_url: row.get("crop_url")?,
        rect: Rect::new(x, y, w, h),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::{
        Characteristics, Clock as _, ColourName, Descriptor, DescriptorKind, DetectionKind, SystemClock,
    };
    use crate::store::sql::tests::{Fresh, backends};
    use serde_json::json;
    use uuid::Uuid;

    const T0: Timestamp = Timestamp(1_795_000_000_000_000);

    pub(crate) fn camera() -> Camera {
        Camera {
            id: Uuid::new_v4(),
            name: "Rossio norte".to_owned(),
            url: "rtsp://user:secret@10.0.0.9/1".to_owned(),
            location: Some((38.713_9, -9.139_4)),
            field_of_view: Some(FieldOfView { heading: 90.0, angle: 70.5, range: 25.0 }),
            placed: true,
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
            characteristics: Characteristics {
                upper: Some(ColourName::Red),
                height: Some(0.25),
                notes: "limps, “left” leg".to_owned(),
                ..Characteristics::default()
            },
            changed_at: T0,
            proposed_until: None,
            resumed_at: None,
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

    impl Fresh {
        async fn cameras(&self) -> CameraStore {
            CameraStore::connect(&self.address).await.unwrap()
        }
    }

    #[tokio::test]
    async fn records_read_back_as_written_after_a_restart_and_newer_versions_win() {
        for fresh in backends() {
            let store = fresh.cameras().await;
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
            suspect.touch(T0);
            store.upsert_camera(&camera).await.unwrap();
            store.put_suspect(&suspect).await.unwrap();

            let store = fresh.cameras().await;
            assert_eq!(store.cameras().await.unwrap(), [camera, elsewhere]);
            assert_eq!(store.suspects().await.unwrap(), [suspect]);
            assert_eq!(store.detections(&DetectionFilter::default()).await.unwrap(), [detection]);
            let (by, at) = ("12345678".to_owned(), T0);
            for decision in [
                Decision::Pending,
                Decision::Confirmed { by: by.clone(), at },
                Decision::Rejected { by: by.clone(), at: at.plus(Duration::from_secs(1)) },
                Decision::Withdrawn { by, at: at.plus(Duration::from_secs(2)) },
                Decision::Origin,
            ] {
                sighting.decision = decision;
                sighting.left_at = Some(T0.plus(Duration::from_secs(2)));
                store.put_sighting(&sighting).await.unwrap();
                assert_eq!(store.sightings(None, 10).await.unwrap(), std::slice::from_ref(&sighting));
            }
        }
    }

    #[tokio::test]
    async fn an_edit_of_an_older_version_is_refused_and_a_late_record_undoes_nothing() {
        for fresh in backends() {
            let store = fresh.cameras().await;
            let first = camera();
            store.upsert_camera(&first).await.unwrap();
            let (north, south) = (
                Camera { name: "North".to_owned(), ..first.clone() },
                Camera { name: "South".to_owned(), location: None, field_of_view: None, ..first.clone() },
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
    }

    #[tokio::test]
    async fn the_given_columns_have_the_given_form() {
        for fresh in backends() {
            let store = fresh.cameras().await;
            let camera = camera();
            store.upsert_camera(&camera).await.unwrap();
            let d = detection(camera.id, None, Timestamp(1_795_000_000_000_000));
            store.put_detection(&d).await.unwrap();
            let shown = "SELECT CAST(id AS TEXT) AS id, CAST(captured_at AS TEXT) AS captured_at,
                CAST(type AS TEXT) AS type, CAST(detection_box AS TEXT) AS detection_box, CAST(suspect_id AS TEXT) AS suspect_id
                FROM detections";
            let read = |row: &Row| {
                let text = |column: &str| row.get::<Option<String>>(column);
                Ok(["id", "captured_at", "type", "detection_box", "suspect_id"].map(|column| text(column).unwrap()))
            };
            let row = store.db.fetch(sql(shown), read).await.unwrap().remove(0);
            let location = "SELECT CAST(location AS TEXT) AS location FROM cameras";
            let location = store.db.fetch(sql(location), |row| row.get::<String>("location")).await.unwrap().remove(0);
            let id = d.id.to_string();
            let (expected, place) = if fresh.is_server() {
                let polygon = "((1.5,2),(4.599999904632568,2),(4.599999904632568,6),(1.5,6))";
                ([&*id, "2026-11-18 11:06:40+00", r#"["Suspect", "Knife"]"#, polygon], "(38.7139,-9.1394)")
            } else {
                let polygon = "[[1.5,2.0],[4.6,2.0],[4.6,6.0],[1.5,6.0]]";
                ([&*id, "2026-11-18T11:06:40.000000Z", r#"["Suspect","Knife"]"#, polygon], "[38.7139,-9.1394]")
            };
            assert_eq!(row[..4].iter().map(|column| column.as_deref().unwrap()).collect::<Vec<_>>(), expected);
            assert_eq!((&row[4], location.as_str()), (&None, place));
            let uploads =
                "SELECT id, camera, video_url, duration, resolution, size, format, metadata, date FROM uploads";
            store.db.execute(sql(uploads)).await.unwrap();
        }
    }

    /// Two consoles write versions of the same rows, in any order: each row ends with what was seen last, decided last and changed
    /// last, and whoever asks what was written learns of it once it is there.
    #[tokio::test]
    async fn versions_of_several_consoles_are_merged_and_what_was_written_is_told() {
        for fresh in backends() {
            let store = fresh.cameras().await;
            let (_, _, since) = store.changed_since(None).await.unwrap();
            let camera = camera();
            store.upsert_camera(&camera).await.unwrap();
            let first = suspect(camera.id, "Suspect 1");
            let mut ended = Suspect { ended_at: Some(T0.plus(Duration::from_secs(5))), ..first.clone() };
            ended.touch(T0.plus(Duration::from_secs(5)));
            let mut taught = first.clone();
            taught.gallery.push(Descriptor { kind: DescriptorKind::Learned, vector: [0.0, 1.0].into() });
            taught.touch(T0.plus(Duration::from_secs(6)));
            let seen = sighting(&first);
            let at = T0.plus(Duration::from_secs(3));
            let decided = Sighting { decision: Decision::Rejected { by: "2".to_owned(), at }, ..seen.clone() };
            let later = T0.plus(Duration::from_secs(9));
            let left = Sighting { last_seen_at: later, left_at: Some(later), ..seen.clone() };
            let expected = (
                Suspect { ended_at: ended.ended_at, ..taught.clone() },
                Sighting { decision: decided.decision.clone(), ..left.clone() },
            );
            for order in [[0, 1, 2], [0, 2, 1], [2, 1, 0], [1, 2, 0]] {
                for table in ["DELETE FROM sightings", "DELETE FROM suspects"] {
                    store.db.execute(sql(table)).await.unwrap();
                }
                for i in order {
                    store.put_suspect([&first, &ended, &taught][i]).await.unwrap();
                    store.put_sighting([&seen, &decided, &left][i]).await.unwrap();
                }
                let now = (store.suspects().await.unwrap(), store.sightings(None, 9).await.unwrap());
                assert_eq!(now, (vec![expected.0.clone()], vec![expected.1.clone()]), "{order:?}");
                let (suspects, sightings, _) = store.changed_since(Some(since)).await.unwrap();
                let told = store.is_shared();
                assert_eq!((suspects.len(), sightings.len()), (usize::from(told), usize::from(told)));
            }
            let (suspects, sightings, _) = store.changed_since(Some(SystemClock.now())).await.unwrap();
            assert_eq!((suspects.len(), sightings.len()), (0, 0), "long after the last write");
        }
    }

    /// Regression 11 of the old system: every suspect had id 1.
    #[tokio::test]
    async fn two_suspects_at_once_stay_two() {
        for fresh in backends() {
            let store = fresh.cameras().await;
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
    }

    #[tokio::test]
    async fn filters_combine() {
        for fresh in backends() {
            let store = fresh.cameras().await;
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
            if fresh.is_server() {
                continue; // its planner goes by the number of rows: a few need no index
            }
            let plan = sql("EXPLAIN QUERY PLAN SELECT * FROM detections WHERE TRUE AND camera = 'x'
                 AND captured_at >= 'a' AND captured_at < 'b' ORDER BY captured_at DESC, id LIMIT 3");
            let plan = store.db.fetch(plan, |row| row.get::<String>("detail")).await.unwrap();
            assert!(plan.iter().any(|row| row.contains("detections_by_camera (camera=?")), "{plan:?}");
        }
    }

    #[tokio::test]
    async fn what_does_not_fit_is_refused_as_a_bad_record() {
        for fresh in backends() {
            let store = fresh.cameras().await;
            let camera = camera();
            let suspect = suspect(camera.id, "Suspect 1");
            assert!(store.put_suspect(&suspect).await.unwrap_err().is_bad_record(), "of an unknown camera");
            store.upsert_camera(&camera).await.unwrap();
            assert!(
                store.put_sighting(&sighting(&suspect)).await.unwrap_err().is_bad_record(),
                "of an unknown suspect"
            );
            store.put_suspect(&suspect).await.unwrap();
            for probability in [1.5, -0.1, f32::NAN] {
                let odd = Sighting { probability, ..sighting(&suspect) };
                assert!(store.put_sighting(&odd).await.unwrap_err().is_bad_record(), "{probability}");
            }
            let nothing = DetectionRecord { kinds: Vec::new(), ..detection(camera.id, None, T0) };
            assert!(store.put_detection(&nothing).await.unwrap_err().is_bad_record());
        }
    }

    #[tokio::test]
    async fn reasons_come_newest_first_without_repeats() {
        for fresh in backends() {
            let store = fresh.cameras().await;
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
}
