//! Recorded video in the cameras database: segments, gaps, uploads and holds.
use super::{
    CameraStore, StoreError,
    sql::{Row, Statement, json, sql},
    timeline::{covered, uncovered},
};
use crate::model::{CameraId, ClockOffset, Gap, Hold, Release, Segment, Timestamp, Upload};
use std::time::Duration;
#[cfg(test)]
use uuid::Uuid;

/// No file of the recorder is longer.
const LONGEST: Duration = Duration::from_secs(1200);

impl CameraStore {
    /// Records a segment. One that came from an upload needs its row of `uploads` first.
    ///
    /// # Errors
    /// [`StoreError::BadRecord`] when its camera or upload is not registered, or it ends before it starts; otherwise the
    /// store's trouble.
    pub async fn put_segment(&self, s: &Segment) -> Result<(), StoreError> {
        let upsert = sql("INSERT INTO segments
             (id, camera, starts_at, ends_at, video_url, format, codec, width, height, size, sha256, upload, clock_offset)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
             ON CONFLICT (id) DO UPDATE SET camera = excluded.camera, starts_at = excluded.starts_at,
             ends_at = excluded.ends_at, video_url = excluded.video_url, format = excluded.format,
             codec = excluded.codec, width = excluded.width, height = excluded.height, size = excluded.size,
             sha256 = excluded.sha256, upload = excluded.upload, clock_offset = excluded.clock_offset")
        .bind(s.id)
        .bind(s.camera)
        .bind(s.starts_at)
        .bind(s.ends_at)
        .bind(&s.video_url)
        .bind(&s.format)
        .bind(&s.codec)
        .bind(s.width)
        .bind(s.height)
        .bind(i64::try_from(s.size).unwrap_or(i64::MAX))
        .bind(&s.sha256)
        .bind(s.upload)
        .bind(s.clock_offset.map(|offset| offset.0));
        let mut tx = self.db.write().await?;
        let before = tx.fetch(sql("SELECT * FROM segments WHERE id = $1").bind(s.id), segment_from_row).await?;
        tx.execute(upsert).await?;
        // One whose clock was set later is of another time now.
        for before in before.iter().filter(|before| (before.starts_at, before.ends_at) != (s.starts_at, s.ends_at)) {
            uncovered(&mut tx, before).await?;
        }
        covered(&mut tx, s.camera, s.starts_at, s.ends_at).await?;
        tx.commit().await
    }

    /// The segments of these cameras (`None`: of all) that show anything of this stretch, oldest first.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn segments(
        &self,
        cameras: Option<&[CameraId]>,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Segment>, StoreError> {
        let Some(page) = of_cameras("SELECT * FROM segments WHERE TRUE", cameras) else { return Ok(Vec::new()) };
        let page =
            page.and(" AND ends_at > ", from).and(" AND starts_at < ", until).text(" ORDER BY starts_at, camera, id");
        self.db.fetch(page, segment_from_row).await
    }

    /// How far the camera's own clock was from the console's between two instants, as the first recording of that time tells it;
    /// `None` where none does.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn clock_offset(
        &self,
        camera: CameraId,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Option<ClockOffset>, StoreError> {
        let first = sql("SELECT clock_offset FROM segments WHERE clock_offset IS NOT NULL")
            .and(" AND camera = ", camera)
            .and(" AND ends_at > ", from)
            .and(" AND ends_at < ", until.plus(LONGEST))
            .and(" AND starts_at <= ", until)
            .text(" ORDER BY ends_at LIMIT 1");
        Ok(self.db.fetch(first, |row| row.get::<i64>("clock_offset")).await?.pop().map(ClockOffset))
    }

    /// The recorder's oldest segments, by their end, at most `limit`: what retention looks at.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn oldest_recorded(&self, after: Option<Timestamp>, limit: u32) -> Result<Vec<Segment>, StoreError> {
        let mut page = sql("SELECT * FROM segments WHERE upload IS NULL");
        if let Some(after) = after {
            page = page.and(" AND ends_at > ", after);
        }
        self.db.fetch(page.and(" ORDER BY ends_at, id LIMIT ", limit), segment_from_row).await
    }

    /// The end of the newest recording of each camera.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn recorded_until(&self) -> Result<Vec<(CameraId, Timestamp)>, StoreError> {
        // Of each camera one look into the index of its segments.
        let newest = "SELECT camera, ends_at FROM (SELECT id AS camera, (SELECT MAX(ends_at) FROM segments
             WHERE segments.camera = cameras.id AND upload IS NULL) AS ends_at FROM cameras) AS newest
             WHERE ends_at IS NOT NULL";
        self.db.fetch(sql(newest), |row| Ok((row.uuid("camera")?, row.instant("ends_at")?))).await
    }

    /// Bytes of all segments of the recorder.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn recorded_bytes(&self) -> Result<u64, StoreError> {
        let sum = sql("SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) AS size FROM segments WHERE upload IS NULL");
        let sum = self.db.fetch(sum, |row| row.get::<i64>("size")).await?;
        Ok(sum.first().copied().unwrap_or(0).unsigned_abs())
    }

    /// Forgets a segment, without a trace.
    #[cfg(test)]
    pub(super) async fn delete_segment(&self, id: Uuid) -> Result<(), StoreError> {
        let mut tx = self.db.write().await?;
        let gone = sql("SELECT * FROM segments WHERE id = $1").bind(id);
        let Some(gone) = tx.fetch(gone, segment_from_row).await?.pop() else { return Ok(()) };
        tx.execute(sql("DELETE FROM segments WHERE id = $1").bind(id)).await?;
        uncovered(&mut tx, &gone).await?;
        tx.commit().await
    }

    /// Records a gap.
    ///
    /// # Errors
    /// [`StoreError::BadRecord`] when its camera is not registered; otherwise the store's trouble.
    pub async fn put_gap(&self, g: &Gap) -> Result<(), StoreError> {
        let upsert = sql("INSERT INTO gaps (id, camera, starts_at, ends_at, reason) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (id) DO UPDATE SET camera = excluded.camera, starts_at = excluded.starts_at,
             ends_at = excluded.ends_at, reason = excluded.reason")
        .bind(g.id)
        .bind(g.camera)
        .bind(g.from)
        .bind(g.until)
        .bind(&g.reason);
        self.db.execute(upsert).await
    }

    /// The gaps of these cameras (`None`: of all) that touch this stretch, oldest first.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn gaps(
        &self,
        cameras: Option<&[CameraId]>,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Gap>, StoreError> {
        let Some(page) = of_cameras("SELECT * FROM gaps WHERE TRUE", cameras) else { return Ok(Vec::new()) };
        let page = page
            .and(" AND (ends_at IS NULL OR ends_at > ", from)
            .and(") AND starts_at < ", until)
            .text(" ORDER BY starts_at, camera, id");
        self.db.fetch(page, gap_from_row).await
    }

    /// The gaps that nobody has ended yet.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn open_gaps(&self) -> Result<Vec<Gap>, StoreError> {
        self.db.fetch(sql("SELECT * FROM gaps WHERE ends_at IS NULL ORDER BY starts_at, id"), gap_from_row).await
    }

    /// Records an upload.
    ///
    /// # Errors
    /// [`StoreError::BadRecord`] when its camera is not registered; otherwise the store's trouble.
    pub async fn put_upload(&self, u: &Upload) -> Result<(), StoreError> {
        let upsert =
            sql("INSERT INTO uploads (id, camera, video_url, duration, resolution, size, format, metadata, date)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             ON CONFLICT (id) DO UPDATE SET camera = excluded.camera, video_url = excluded.video_url,
             duration = excluded.duration, resolution = excluded.resolution, size = excluded.size,
             format = excluded.format, metadata = excluded.metadata, date = excluded.date")
            .bind(u.id)
            .bind(u.camera)
            .bind(&u.video_url)
            .bind(u.duration)
            .bind(&u.resolution)
            .bind(u.size)
            .bind(&u.format)
            .bind(json(&u.metadata)?)
            .bind(u.date);
        self.db.execute(upsert).await
    }

    /// Uploads to one camera, or to all, the video that starts last first.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn uploads(&self, camera: Option<CameraId>) -> Result<Vec<Upload>, StoreError> {
        let mut page = sql("SELECT * FROM uploads");
        if let Some(camera) = camera {
            page = page.and(" WHERE camera = ", camera);
        }
        let read = |row: &Row| {
            Ok(Upload {
                id: row.uuid("id")?,
                camera: row.uuid("camera")?,
                video_url: row.get("video_url")?,
                duration: row.get("duration")?,
                resolution: row.get("resolution")?,
                size: row.get("size")?,
                format: row.get("format")?,
                metadata: row.json("metadata")?,
                date: row.instant("date")?,
            })
        };
        self.db.fetch(page.text(" ORDER BY date DESC, id"), read).await
    }

    /// Places a hold, or lifts it: one that was lifted stays so, in whatever order its versions come.
    ///
    /// # Errors
    /// [`StoreError::BadRecord`] when its camera is not registered or it ends before it starts; otherwise the store's
    /// trouble.
    pub async fn put_hold(&self, h: &Hold) -> Result<(), StoreError> {
        let upsert = sql("INSERT INTO holds
             (id, case_id, camera, starts_at, ends_at, reason, placed_by, placed_at, released_at, released_by, released_why)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
             ON CONFLICT (id) DO UPDATE SET released_at = excluded.released_at, released_by = excluded.released_by,
             released_why = excluded.released_why WHERE holds.released_at IS NULL")
        .bind(h.id)
        .bind(h.case)
        .bind(h.camera)
        .bind(h.from)
        .bind(h.until)
        .bind(&h.reason)
        .bind(&h.placed_by)
        .bind(h.placed_at)
        .bind(h.released.as_ref().map(|r| r.at))
        .bind(h.released.as_ref().map(|r| &r.by))
        .bind(h.released.as_ref().map(|r| &r.why));
        self.db.execute(upsert).await
    }

    /// All holds, released ones too, newest first.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn holds(&self) -> Result<Vec<Hold>, StoreError> {
        self.db.fetch(sql("SELECT * FROM holds ORDER BY placed_at DESC, id"), hold_from_row).await
    }
}

pub(super) fn hold_from_row(row: &Row) -> sqlx::Result<Hold> {
    let released = match row.instant_or_null("released_at")? {
        Some(at) => {
            let text = |column| Ok::<_, sqlx::Error>(row.get::<Option<String>>(column)?.unwrap_or_default());
            Some(Release { at, by: text("released_by")?, why: text("released_why")? })
        }
        None => None,
    };
    Ok(Hold {
        id: row.uuid("id")?,
        case: row.uuid_or_null("case_id")?,
        camera: row.uuid_or_null("camera")?,
        from: row.instant("starts_at")?,
        until: row.instant("ends_at")?,
        reason: row.get("reason")?,
        placed_by: row.get("placed_by")?,
        placed_at: row.instant("placed_at")?,
        released,
    })
}

/// The statement with ` AND camera IN (…)`; `None` when there is no camera to ask for.
pub(super) fn of_cameras(select: &'static str, cameras: Option<&[CameraId]>) -> Option<Statement> {
    with_cameras(sql(select), cameras)
}

pub(super) fn with_cameras(mut page: Statement, cameras: Option<&[CameraId]>) -> Option<Statement> {
    let Some(cameras) = cameras else { return Some(page) };
    let (first, others) = cameras.split_first()?;
    page = page.and(" AND camera IN (", *first);
    for camera in others {
        page = page.and(", ", *camera);
    }
    Some(page.text(")"))
}

pub(super) fn segment_from_row(row: &Row) -> sqlx::Result<Segment> {
    let pixels = |column: &str| Ok::<_, sqlx::Error>(u32::try_from(row.get::<i64>(column)?).unwrap_or(0));
    Ok(Segment {
        id: row.uuid("id")?,
        camera: row.uuid("camera")?,
        starts_at: row.instant("starts_at")?,
        ends_at: row.instant("ends_at")?,
        video_url: row.get("video_url")?,
        format: row.get("format")?,
        codec: row.get("codec")?,
        width: pixels("width")?,
        height: pixels("height")?,
        size: row.get::<i64>("size")?.unsigned_abs(),
        sha256: row.get("sha256")?,
        upload: row.uuid_or_null("upload")?,
        clock_offset: row.get::<Option<i64>>("clock_offset")?.map(ClockOffset),
    })
}

fn gap_from_row(row: &Row) -> sqlx::Result<Gap> {
    Ok(Gap {
        id: row.uuid("id")?,
        camera: row.uuid("camera")?,
        from: row.instant("starts_at")?,
        until: row.instant_or_null("ends_at")?,
        reason: row.get("reason")?,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::store::{cameras::tests::camera, sql::tests::backends};

    const T0: Timestamp = Timestamp(1_795_000_020_000_000); // a whole minute

    fn at(seconds: u64) -> Timestamp {
        T0.plus(Duration::from_secs(seconds))
    }

    pub(crate) fn segment(camera: CameraId, from: u64, until: u64) -> Segment {
        let id = Uuid::new_v4();
        Segment {
            id,
            camera,
            starts_at: at(from),
            ends_at: at(until),
            video_url: format!("objects:segments/{id}.mkv"),
            format: "matroska".to_owned(),
            codec: "h264".to_owned(),
            width: 1280,
            height: 720,
            size: 5_000_000_000,
            sha256: "ab".repeat(32),
            upload: None,
            clock_offset: Some(ClockOffset(-3_600_000_000)),
        }
    }

    #[tokio::test]
    async fn segments_gaps_uploads_and_holds_read_back_and_newer_versions_win() {
        for fresh in backends() {
            let store = CameraStore::connect(&fresh.address).await.unwrap();
            let camera = camera();
            let mut gap =
                Gap { id: Uuid::new_v4(), camera: camera.id, from: T0, until: None, reason: "stale".to_owned() };
            let upload = Upload {
                id: Uuid::new_v4(),
                camera: camera.id,
                video_url: "objects:uploads/a.mp4".to_owned(),
                duration: 61,
                resolution: "1280x720".to_owned(),
                size: 6_000_000_000,
                format: "mp4".to_owned(),
                metadata: serde_json::json!({"name": "ação.mp4"}),
                date: at(5),
            };
            let uploaded = Segment { upload: Some(upload.id), ..segment(camera.id, 5, 66) };
            let mut hold = Hold {
                id: Uuid::new_v4(),
                case: Some(Uuid::new_v4()),
                camera: Some(camera.id),
                from: T0,
                until: at(9),
                reason: "case 7".to_owned(),
                placed_by: "1".to_owned(),
                placed_at: T0,
                released: None,
            };
            assert!(store.put_gap(&gap).await.unwrap_err().is_bad_record(), "of an unknown camera");
            store.upsert_camera(&camera).await.unwrap();
            assert!(store.put_segment(&uploaded).await.unwrap_err().is_bad_record(), "of an unknown upload");
            assert!(store.put_segment(&segment(camera.id, 5, 4)).await.unwrap_err().is_bad_record());
            for _ in 0..2 {
                store.put_upload(&upload).await.unwrap();
                store.put_segment(&uploaded).await.unwrap();
                store.put_gap(&gap).await.unwrap();
                store.put_hold(&hold).await.unwrap();
            }
            assert_eq!(store.open_gaps().await.unwrap(), [gap.clone()]);
            gap.until = Some(at(3));
            let placed = hold.clone();
            hold.released = Some(Release { at: at(4), by: "2".to_owned(), why: "the court is done".to_owned() });
            store.put_gap(&gap).await.unwrap();
            store.put_hold(&hold).await.unwrap();
            store.put_hold(&placed).await.unwrap(); // delivered once more

            let store = CameraStore::connect(&fresh.address).await.unwrap();
            assert_eq!(store.segments(None, T0, at(1000)).await.unwrap(), std::slice::from_ref(&uploaded));
            assert_eq!(store.gaps(None, T0, at(1000)).await.unwrap(), [gap]);
            assert!(store.open_gaps().await.unwrap().is_empty());
            assert_eq!(store.uploads(Some(camera.id)).await.unwrap(), [upload]);
            assert!(store.uploads(Some(Uuid::new_v4())).await.unwrap().is_empty());
            assert_eq!(store.holds().await.unwrap(), [hold]);
            assert_eq!(
                (store.recorded_bytes().await.unwrap(), store.oldest_recorded(None, 9).await.unwrap()),
                (0, vec![])
            );
            for _ in 0..2 {
                store.delete_segment(uploaded.id).await.unwrap();
            }
            assert!(store.segments(None, T0, at(1000)).await.unwrap().is_empty());
        }
    }

    #[tokio::test]
    async fn a_stretch_has_the_segments_that_show_anything_of_it() {
        for fresh in backends() {
            let store = CameraStore::connect(&fresh.address).await.unwrap();
            let (a, b) = (camera(), camera());
            let mut all = Vec::new();
            for c in [&a, &b] {
                store.upsert_camera(c).await.unwrap();
                for i in [0, 1, 2, 5] {
                    let s = segment(c.id, i * 10, i * 10 + 10);
                    store.put_segment(&s).await.unwrap();
                    all.push(s);
                }
            }
            let of_b = [b.id];
            let found = store.segments(Some(&of_b), at(10), at(21)).await.unwrap();
            assert_eq!(found, [all[5].clone(), all[6].clone()]);
            assert!(store.segments(Some(&[]), at(0), at(99)).await.unwrap().is_empty(), "no camera, no video");
            assert_eq!(store.segments(None, at(10), at(20)).await.unwrap().len(), 2);
            let joined = store.coverage(&of_b, at(0), at(99), 1_000_000).await.unwrap();
            assert_eq!(joined, [(b.id, at(0), at(30)), (b.id, at(50), at(60))]);
            assert_eq!(store.recorded_bytes().await.unwrap(), 8 * 5_000_000_000);
            let mut newest = store.recorded_until().await.unwrap();
            newest.sort_unstable();
            let mut both = [(a.id, at(60)), (b.id, at(60))];
            both.sort_unstable();
            assert_eq!(newest, both);
            let oldest = store.oldest_recorded(None, 2).await.unwrap();
            assert!(oldest.len() == 2 && oldest.iter().all(|s| s.ends_at == at(10)), "{oldest:?}");
            assert_eq!(store.oldest_recorded(Some(at(10)), 9).await.unwrap().len(), 6);
        }
    }

    #[test]
    fn a_hold_keeps_what_it_touches_until_it_is_released() {
        let camera = Uuid::new_v4();
        let hold = Hold {
            id: Uuid::new_v4(),
            case: None,
            camera: Some(camera),
            from: at(10),
            until: at(20),
            reason: String::new(),
            placed_by: String::new(),
            placed_at: T0,
            released: None,
        };
        assert!(hold.keeps(camera, at(0), at(10)) && hold.keeps(camera, at(15), at(16)));
        assert!(!hold.keeps(camera, at(0), at(9)) && !hold.keeps(camera, at(21), at(22)));
        assert!(!hold.keeps(Uuid::new_v4(), at(15), at(16)));
        assert!(Hold { camera: None, ..hold.clone() }.keeps(Uuid::new_v4(), at(15), at(16)));
        assert!(!Hold { released: Some(Release { at: at(5), by: String::new(), why: String::new() }), ..hold }.keeps(
            camera,
            at(15),
            at(16)
        ));
    }
}
