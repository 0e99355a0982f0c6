//! Retention in the cameras database: what is old enough is deleted in small pieces, except what is held or of a suspect who is
//! still followed. The keys of objects that go with their rows are written down in the same transaction, so that a crash between
//! the two leaves no object behind for ever.
use super::{
    CameraStore, StoreError,
    deleted::{DeletedBy, gone as note_gone, promised},
    key_of_url,
    owed::{Book, Deleted, owe},
    recordings::{hold_from_row, segment_from_row},
    sql::{Row, Statement, sql},
    url_of_key,
};
use crate::model::{AgedBefore, CameraId, CaseId, Hold, Job, SuspectId, Timestamp};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Data that is deleted when it is old enough. In this order what is deleted is never named by what is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aged {
    /// Videos that came as files, with their files; by when they came.
    Uploads,
    /// Detections, with their frames.
    Detections,
    /// Stays of everybody, with their pictures.
    Tracklets,
    /// Minutes of looking.
    Looked,
    /// Missing video.
    Gaps,
    /// Stays of suspects who are not followed any more, with their pictures.
    Sightings,
    /// Such suspects, once nothing is left of them, with their pictures.
    Suspects,
    /// What was found by analyses that have ended; of uploads as long as one of these is there.
    Jobs,
    /// Words about video of which nothing is left.
    Bookmarks,
}

impl Aged {
    /// All of them, in the order in which they are to be deleted.
    pub const ALL: [Self; 9] = [
        Self::Uploads,
        Self::Detections,
        Self::Tracklets,
        Self::Looked,
        Self::Gaps,
        Self::Sightings,
        Self::Suspects,
        Self::Jobs,
        Self::Bookmarks,
    ];

    /// What they are called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uploads => "uploads",
            Self::Detections => "detections",
            Self::Tracklets => "stays",
            Self::Looked => "minutes of looking",
            Self::Gaps => "gaps",
            Self::Sightings => "sightings",
            Self::Suspects => "suspects",
            Self::Jobs => "analyses",
            Self::Bookmarks => "bookmarks",
        }
    }

    /// Rows older than `$1`: id, camera (NULL: all), from when to when, object, suspect, the upload it comes from, and what they are
    /// sorted by; of jobs what the model says, of bookmarks their case.
    fn candidates(self) -> &'static str {
        match self {
            Self::Uploads => {
                "SELECT id, camera, date AS starts_at, date AS ends_at, video_url AS url, metadata ->> 'thumbnail' AS picture,
                 CAST(NULL AS UUID) AS suspect, CAST(NULL AS TEXT) AS upload, metadata ->> 'uploaded_at' AS came, duration,
                 date AS sorted FROM uploads WHERE date < $1"
            }
            Self::Detections => {
                "SELECT id, camera, captured_at AS starts_at, captured_at AS ends_at, image_url AS url, suspect_id AS suspect,
                 metadata ->> 'upload' AS upload, captured_at AS sorted FROM detections WHERE captured_at < $1"
            }
            Self::Tracklets => {
                "SELECT id, camera, starts_at, ends_at, crop_url AS url, suspect, CAST(upload AS TEXT) AS upload,
                 ends_at AS sorted FROM tracklets WHERE ends_at < $1"
            }
            Self::Looked => {
                "SELECT id, camera, minute AS starts_at, minute AS ends_at, '' AS url, CAST(NULL AS UUID) AS suspect,
                 CAST(NULL AS TEXT) AS upload, minute AS sorted FROM looked WHERE minute < $1"
            }
            Self::Gaps => {
                "SELECT id, camera, starts_at, ends_at, '' AS url, CAST(NULL AS UUID) AS suspect,
                 CAST(NULL AS TEXT) AS upload, starts_at AS sorted FROM gaps WHERE ends_at < $1"
            }
            Self::Sightings => {
                "SELECT id, camera, entered_at AS starts_at, last_seen_at AS ends_at, crop_url AS url, suspect,
                 CAST(NULL AS TEXT) AS upload, entered_at AS sorted FROM sightings WHERE entered_at < $1 AND last_seen_at < $1"
            }
            Self::Suspects => {
                "SELECT id, camera, marked_at AS starts_at, marked_at AS ends_at, crop_url AS url, id AS suspect,
                 CAST(NULL AS TEXT) AS upload, marked_at AS sorted FROM suspects
                 WHERE marked_at < $1 AND COALESCE(ended_at, expires_at) < $1
                 AND NOT EXISTS (SELECT 1 FROM sightings s WHERE s.suspect = suspects.id)
                 AND NOT EXISTS (SELECT 1 FROM detections d WHERE d.suspect_id = suspects.id)
                 AND NOT EXISTS (SELECT 1 FROM tracklets t WHERE t.suspect = suspects.id)"
            }
            Self::Jobs => {
                "SELECT id, CAST(NULL AS UUID) AS camera, made_at AS starts_at, made_at AS ends_at, '' AS url,
                 CAST(NULL AS UUID) AS suspect, CAST(NULL AS TEXT) AS upload, job, made_at AS sorted
                 FROM jobs WHERE made_at < $1 AND NOT is_open"
            }
            Self::Bookmarks => {
                "SELECT id, camera, starts_at, ends_at, '' AS url, CAST(NULL AS UUID) AS suspect,
                 CAST(NULL AS TEXT) AS upload, case_id, made_at AS sorted FROM bookmarks WHERE made_at < $1 AND ends_at < $1
                 AND NOT EXISTS (SELECT 1 FROM segments s WHERE (s.camera = bookmarks.camera OR bookmarks.camera IS NULL)
                 AND s.ends_at >= bookmarks.starts_at AND s.starts_at <= bookmarks.ends_at)"
            }
        }
    }

    fn page_order(self) -> (&'static str, &'static str) {
        match self {
            Self::Uploads => (" AND (date, id) > (", " ORDER BY date, id LIMIT "),
            Self::Detections => (" AND (captured_at, id) > (", " ORDER BY captured_at, id LIMIT "),
            Self::Tracklets => (" AND (ends_at, id) > (", " ORDER BY ends_at, id LIMIT "),
            Self::Looked => (" AND (minute, id) > (", " ORDER BY minute, id LIMIT "),
            Self::Gaps => (" AND (starts_at, id) > (", " ORDER BY starts_at, id LIMIT "),
            Self::Sightings => (" AND (entered_at, id) > (", " ORDER BY entered_at, id LIMIT "),
            Self::Suspects => (" AND (marked_at, id) > (", " ORDER BY marked_at, id LIMIT "),
            Self::Jobs | Self::Bookmarks => (" AND (made_at, id) > (", " ORDER BY made_at, id LIMIT "),
        }
    }

    fn delete(self) -> &'static [&'static str] {
        match self {
            Self::Uploads => &["DELETE FROM segments WHERE upload IN (", "DELETE FROM uploads WHERE id IN ("],
            Self::Detections => &["DELETE FROM detections WHERE id IN ("],
            Self::Tracklets => &["DELETE FROM tracklets WHERE id IN ("],
            Self::Looked => &["DELETE FROM looked WHERE id IN ("],
            Self::Gaps => &["DELETE FROM gaps WHERE id IN ("],
            Self::Sightings => &["DELETE FROM sightings WHERE id IN ("],
            Self::Suspects => &["DELETE FROM suspects WHERE id IN ("],
            Self::Jobs => &["DELETE FROM jobs WHERE id IN ("],
            Self::Bookmarks => &["DELETE FROM bookmarks WHERE id IN ("],
        }
    }
}

/// What stays whatever its age, beside what the database itself knows: its holds, and the suspects who are followed.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// Holds that may not have reached the database yet.
    pub holds: Vec<Hold>,
    /// Suspects of open cases, and those that may not have reached the database yet.
    pub suspects: BTreeSet<SuspectId>,
    /// Uploads of open cases.
    pub uploads: BTreeSet<Uuid>,
    /// Open cases.
    pub cases: BTreeSet<CaseId>,
}

/// One piece of a sweep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// What was deleted: its id and its camera; `None`: of several.
    pub deleted: Vec<(Uuid, Option<CameraId>)>,
    /// The oldest and the newest instant of it.
    pub stretch: Option<(Timestamp, Timestamp)>,
    /// Where the next piece begins; `None` when there is nothing behind this one.
    pub next: Option<(Timestamp, Uuid)>,
}

/// Of a camera (`None`: of all), from when to when.
pub(super) type Stretch = (Option<CameraId>, Timestamp, Timestamp);

/// A row that is old enough.
struct Candidate {
    id: Uuid,
    row: Stretch,
    /// What it tells of: the row's own stretch, but of an analysis what that found.
    tells: Vec<Stretch>,
    urls: Vec<String>,
    suspects: Vec<SuspectId>,
    /// Where it comes from.
    uploads: Vec<Uuid>,
    case: Option<CaseId>,
    /// When an upload came.
    came: Option<Timestamp>,
    sorted: Timestamp,
}

impl Candidate {
    fn touches(&self, (camera, from, until): &Stretch) -> bool {
        let (own, starts_at, ends_at) = &self.row;
        own == camera && starts_at <= until && from <= ends_at
    }

    fn is_held(&self, holds: &[Hold]) -> bool {
        self.tells.iter().any(|(camera, from, until)| {
            // What is about all cameras is about whichever is held.
            holds.iter().any(|h| h.keeps(camera.or(h.camera).unwrap_or_default(), *from, *until))
        })
    }
}

impl CameraStore {
    /// Deletes, of at most `limit` rows that are older than `before` and lie behind `after`, those that need not be kept at `now`.
    /// Rows and the keys of their objects change hands in one transaction. What came from an upload stays as long as the upload.
    ///
    /// # Errors
    /// The store's trouble; nothing is deleted then.
    pub async fn sweep(
        &self,
        what: Aged,
        before: AgedBefore,
        now: Timestamp,
        book: &mut Book<'_>,
        after: Option<(Timestamp, Uuid)>,
        limit: u32,
    ) -> Result<Swept, StoreError> {
        let old = before.instant();
        let mut tx = self.db.write().await?;
        let mut holds = tx.fetch(sql("SELECT * FROM holds WHERE released_at IS NULL"), hold_from_row).await?;
        let followed = sql("SELECT id FROM suspects WHERE ended_at IS NULL AND expires_at > $1").bind(now);
        let followed: BTreeSet<SuspectId> = tx.fetch(followed, |row| row.uuid("id")).await?.into_iter().collect();
        let uploads = tx.fetch(sql("SELECT id FROM uploads"), |row| row.uuid("id")).await?;
        let uploads: BTreeSet<Uuid> = uploads.into_iter().collect();
        let promised = promised(&mut tx, now).await?;
        let (behind, order) = what.page_order();
        let mut page = sql(what.candidates()).bind(old);
        if let Some((at, id)) = after {
            page = page.and(behind, at).and(", ", id).text(")");
        }
        let page = tx.fetch(page.and(order, limit), move |row| candidate(what, row)).await?;
        let kept = (book.kept)();
        holds.extend(kept.holds.iter().cloned());
        let last = page.last().map(|c| (c.sorted, c.id));
        let next = last.filter(|_| page.len() >= limit as usize);
        let stays = |c: &Candidate| {
            c.is_held(&holds)
                || (what == Aged::Uploads && promised.iter().any(|p| c.touches(p)))
                || c.suspects.iter().any(|s| followed.contains(s) || kept.suspects.contains(s))
                || c.uploads.iter().any(|u| uploads.contains(u))
                || c.case.is_some_and(|case| kept.cases.contains(&case))
                || (what == Aged::Uploads && (kept.uploads.contains(&c.id) || c.came.is_some_and(|at| at >= old)))
        };
        let gone: Vec<Candidate> = page.into_iter().filter(|c| !stays(c)).collect();
        if gone.is_empty() {
            return Ok(Swept { next, ..Swept::default() });
        }
        let videos = match what {
            Aged::Uploads => {
                let of = listed("SELECT * FROM segments WHERE upload IN (", gone.iter().map(|c| c.id));
                tx.fetch(of, segment_from_row).await?
            }
            _ => Vec::new(),
        };
        for delete in what.delete() {
            tx.execute(listed(delete, gone.iter().map(|c| c.id))).await?;
        }
        for video in &videos {
            note_gone(&mut tx, video, DeletedBy::Age(before), now).await?;
        }
        for key in gone.iter().flat_map(|c| &c.urls).filter_map(|url| key_of_url(url)) {
            let doom = sql("INSERT INTO doomed_objects (object) VALUES ($1) ON CONFLICT (object) DO NOTHING").bind(key);
            tx.execute(doom).await?;
        }
        let from = gone.iter().map(|c| c.row.1).min();
        let stretch = from.zip(gone.iter().map(|c| c.row.2).max());
        let deleted: Vec<_> = gone.into_iter().map(|c| (c.id, c.row.0)).collect();
        owe(&mut tx, (book.entry)(Deleted::Rows(&deleted, stretch))).await?;
        tx.commit().await?;
        Ok(Swept { deleted, stretch, next })
    }

    /// Keys of objects whose rows were deleted, at most `limit`.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn doomed_objects(&self, limit: u32) -> Result<Vec<String>, StoreError> {
        let page = sql("SELECT object FROM doomed_objects ORDER BY object LIMIT $1").bind(limit);
        self.db.fetch(page, |row| row.get("object")).await
    }

    /// Forgets the key of an object that was deleted, or is not to be.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn forget_doomed(&self, key: &str) -> Result<(), StoreError> {
        self.db.execute(sql("DELETE FROM doomed_objects WHERE object = $1").bind(key)).await
    }

    /// Whether a record still names this object: a picture may belong to several.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn names_object(&self, key: &str) -> Result<bool, StoreError> {
        let (room, file) = (key.split('/').next().unwrap_or_default(), key.rsplit('/').next().unwrap_or_default());
        // Those rooms are large: a key ends with the id of its record, by which it is found at once.
        let id = file.split('.').next().and_then(|id| Uuid::parse_str(id).ok());
        let of_id = match (room, id) {
            ("tracklets", Some(id)) => Some(sql("SELECT id FROM tracklets WHERE id = $1").bind(id)),
            ("frames", Some(id)) => Some(sql("SELECT id FROM detections WHERE id = $1").bind(id)),
            _ => None,
        };
        let url = url_of_key(key);
        let mut asked = vec![
            sql("SELECT id FROM suspects WHERE crop_url = $1 LIMIT 1").bind(&url),
            sql("SELECT id FROM sightings WHERE crop_url = $1 LIMIT 1").bind(&url),
            sql("SELECT id FROM uploads WHERE video_url = $1 OR metadata ->> 'thumbnail' = $1 LIMIT 1").bind(&url),
        ];
        asked.extend(of_id.or_else(|| match room {
            "tracklets" => Some(sql("SELECT id FROM tracklets WHERE crop_url = $1 LIMIT 1").bind(&url)),
            "frames" => Some(sql("SELECT id FROM detections WHERE image_url = $1 LIMIT 1").bind(&url)),
            _ => None,
        }));
        for statement in asked {
            if !self.db.fetch(statement, |row| row.uuid("id")).await?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn candidate(what: Aged, row: &Row) -> sqlx::Result<Candidate> {
    let mut urls = vec![row.get::<String>("url")?];
    let (mut until, mut came) = (row.instant("ends_at")?, None);
    if what == Aged::Uploads {
        urls.extend(row.get::<Option<String>>("picture")?);
        let seconds = row.get::<i64>("duration")?.max(0).unsigned_abs();
        until = until.plus(std::time::Duration::from_secs(seconds + 1)); // it was rounded
        came = row.get::<Option<String>>("came")?.and_then(|at| Timestamp::parse(&at));
    }
    let upload = row.get::<Option<String>>("upload")?.and_then(|id| Uuid::parse_str(&id).ok());
    let stretch = (row.uuid_or_null("camera")?, row.instant("starts_at")?, until);
    let mut candidate = Candidate {
        id: row.uuid("id")?,
        row: stretch,
        tells: vec![stretch],
        urls,
        suspects: row.uuid_or_null("suspect")?.into_iter().collect(),
        uploads: upload.into_iter().collect(),
        case: if what == Aged::Bookmarks { row.uuid_or_null("case_id")? } else { None },
        came,
        sorted: row.instant("sorted")?,
    };
    if what == Aged::Jobs {
        let job: Job = row.json("job")?;
        candidate.suspects = job.findings.iter().filter_map(|f| f.suspect).collect();
        candidate.tells = job.findings.iter().map(|f| (Some(f.camera), f.from, f.until)).collect();
        candidate.uploads = job.segments; // the file of an upload has its id
    }
    Ok(candidate)
}

/// `… IN ($1, $2, …)`.
fn listed(begin: &'static str, ids: impl Iterator<Item = Uuid>) -> Statement {
    let mut statement = sql("");
    for (i, id) in ids.enumerate() {
        statement = statement.and(if i == 0 { begin } else { ", " }, id);
    }
    statement.text(")")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{
            Bookmark, Decision, DetectionKind, Finding, Gap, JobState, Looked, Release, Segment, Sighting, Suspect,
            Tracklet, Upload,
        },
        store::{
            cameras::tests::{camera, detection, sighting, suspect},
            sql::tests::backends,
            tracklets::{TrackletFilter, tests::tracklet},
        },
    };
    use serde_json::json;
    use std::time::Duration;

    const DAY: u64 = 86_400;
    const NOW: Timestamp = Timestamp(1_795_000_000_000_000);

    fn ago(days: u64) -> Timestamp {
        NOW.minus(Duration::from_secs(days * DAY))
    }

    async fn sweep_all(store: &CameraStore, kept: &Kept) -> Vec<(Aged, usize)> {
        let mut counts = Vec::new();
        for what in Aged::ALL {
            let (mut after, mut n) = (None, 0);
            loop {
                let swept = store
                    .sweep(
                        what,
                        AgedBefore::of_test(ago(30)),
                        NOW,
                        &mut Book { kept: &|| kept.clone(), entry: &mut |_| None },
                        after,
                        3,
                    )
                    .await
                    .unwrap();
                n += swept.deleted.len();
                after = swept.next;
                if after.is_none() {
                    break;
                }
            }
            counts.push((what, n));
        }
        counts
    }

    fn upload(camera: CameraId, date: Timestamp, came: Timestamp) -> Upload {
        let id = Uuid::now_v7();
        Upload {
            id,
            camera,
            video_url: format!("objects:videos/{id}.mp4"),
            duration: 60,
            resolution: "1280x720".to_owned(),
            size: 6,
            format: "mp4".to_owned(),
            metadata: json!({"uploaded_at": came.to_string(), "thumbnail": format!("objects:thumbnails/{id}.jpg")}),
            date,
        }
    }

    fn hold(camera: CameraId, at: Timestamp) -> Hold {
        Hold {
            id: Uuid::now_v7(),
            case: None,
            camera: Some(camera),
            from: at.minus(Duration::from_secs(60)),
            until: at.plus(Duration::from_secs(60)),
            reason: "case 7".to_owned(),
            placed_by: "1".to_owned(),
            placed_at: NOW,
            released: None,
        }
    }

    fn stay(camera: CameraId, at: Timestamp, suspect: Option<SuspectId>, upload: Option<Uuid>) -> Tracklet {
        let (id, starts_at) = (Uuid::now_v7(), at.minus(Duration::from_secs(5)));
        let crop_url = format!("objects:tracklets/2026-01-01/{id}.jpg");
        Tracklet { id, starts_at, ends_at: at, suspect, upload, crop_url, ..tracklet(camera, 0) }
    }

    /// An analysis of this file, made so many days ago and done, that found something of `of` at that camera.
    fn job(days: u64, segment: Uuid, of: Option<(CameraId, Timestamp, Option<SuspectId>)>) -> Job {
        let finding = |(camera, at, suspect)| Finding {
            kind: DetectionKind::Suspect,
            camera,
            segment,
            from: at,
            until: at,
            suspect,
            sighting: None,
            probability: 0.7,
        };
        Job {
            id: Uuid::now_v7(),
            title: "Video of the gate".to_owned(),
            console: Uuid::from_u128(7),
            by: ("1".to_owned(), "Ana".to_owned()),
            made_at: ago(days),
            ended_at: Some(ago(days)),
            segments: vec![segment],
            cameras: Vec::new(),
            rate: None,
            state: JobState::Done,
            finished: 1,
            position: Duration::ZERO,
            total_s: 9.0,
            looked_s: 9.0,
            worked_s: 0.5,
            pictures: 5,
            people: 1,
            findings: of.map(finding).into_iter().collect(),
            troubles: Vec::new(),
        }
    }

    /// Somebody's words, put so many days ago.
    fn bookmark(camera: Option<CameraId>, of: Timestamp, days: u64) -> Bookmark {
        Bookmark {
            id: Uuid::now_v7(),
            camera,
            from: of,
            until: of,
            words: "hands over a bag".to_owned(),
            case: None,
            made_by: "1".to_owned(),
            made_by_name: "Ana Sousa".to_owned(),
            made_at: ago(days),
            removed: None,
        }
    }

    #[tokio::test]
    async fn what_is_old_goes_and_what_is_held_or_of_a_followed_suspect_stays() {
        for fresh in backends() {
            let store = CameraStore::connect(&fresh.address).await.unwrap();
            let (gate, hall) = (camera(), camera());
            for c in [&gate, &hall] {
                store.upsert_camera(c).await.unwrap();
            }
            let person = |label: &str, marked: Timestamp, expires_at: Timestamp| {
                let s = suspect(gate.id, label);
                let crop_url = format!("objects:crops/{}.jpg", s.id);
                Suspect { marked_at: marked, changed_at: marked, expires_at, crop_url, ..s }
            };
            let followed = person("followed", ago(60), NOW.plus(Duration::from_secs(DAY)));
            let closed = person("closed", ago(60), ago(55));
            let of_a_case = person("of a case", ago(60), ago(55));
            let held = person("held", ago(60), ago(55));
            let fresh_one = person("ended lately", ago(40), ago(20));
            for s in [&followed, &closed, &of_a_case, &held, &fresh_one] {
                store.put_suspect(s).await.unwrap();
                let seen = Sighting {
                    entered_at: s.marked_at,
                    last_seen_at: s.marked_at.plus(Duration::from_secs(9)),
                    decision: Decision::Origin,
                    crop_url: s.crop_url.clone(), // the same picture
                    camera: if s.label == "held" { hall.id } else { gate.id },
                    ..sighting(s)
                };
                store.put_sighting(&seen).await.unwrap();
            }
            store.put_hold(&hold(hall.id, ago(60))).await.unwrap();
            let lifted = Hold {
                released: Some(Release { at: NOW, by: "1".to_owned(), why: String::new() }),
                ..hold(gate.id, ago(45))
            };
            store.put_hold(&lifted).await.unwrap();
            let local = hold(gate.id, ago(50)); // still on its way to the database

            let old_video = upload(gate.id, ago(90), ago(3)); // of long ago, and new here
            let gone_video = upload(gate.id, ago(90), ago(45));
            let case_video = upload(gate.id, ago(90), ago(45));
            let held_video = upload(hall.id, ago(60), ago(58));
            for u in [&old_video, &gone_video, &case_video, &held_video] {
                store.put_upload(u).await.unwrap();
                let s = Segment {
                    id: u.id,
                    camera: u.camera,
                    starts_at: u.date,
                    ends_at: u.date.plus(Duration::from_secs(60)),
                    video_url: u.video_url.clone(),
                    format: "mp4".to_owned(),
                    codec: "h264".to_owned(),
                    width: 2,
                    height: 2,
                    size: 6,
                    sha256: "ab".repeat(32),
                    upload: Some(u.id),
                    clock_offset: None,
                };
                store.put_segment(&s).await.unwrap();
            }

            // (what, whether it stays)
            let of_upload = |u: &Upload| {
                let mut d = detection(gate.id, None, u.date);
                d.metadata = json!({"upload": u.id});
                d
            };
            let mut detections = vec![
                (detection(gate.id, None, ago(29)), true),
                (detection(gate.id, None, ago(31)), false),
                (detection(gate.id, None, ago(45)), false), // under a hold that was lifted
                (detection(gate.id, None, ago(50)), true),  // under one that is on its way
                (detection(hall.id, None, ago(60)), true),  // held
                (detection(gate.id, Some(followed.id), ago(60)), true),
                (detection(gate.id, Some(closed.id), ago(59)), false),
                (detection(gate.id, Some(of_a_case.id), ago(59)), true),
                (of_upload(&old_video), true),
                (of_upload(&gone_video), false),
            ];
            for (d, _) in &mut detections {
                d.image_url = format!("objects:frames/2026-01-01/{}.jpg", d.id);
                store.put_detection(d).await.unwrap();
            }
            let stays = [
                (stay(gate.id, ago(29), None, None), true),
                (stay(gate.id, ago(31), None, None), false),
                (stay(hall.id, ago(60), None, None), true),
                (stay(gate.id, ago(60), Some(followed.id), None), true),
                (stay(gate.id, ago(60), Some(closed.id), None), false),
                (stay(gate.id, ago(90), None, Some(case_video.id)), true),
                (stay(gate.id, ago(90), None, Some(gone_video.id)), false),
            ];
            for (t, _) in &stays {
                store.put_tracklet(t).await.unwrap();
            }
            for (camera, days) in [(gate.id, 31), (gate.id, 29), (hall.id, 60)] {
                let gap =
                    Gap { id: Uuid::now_v7(), camera, from: ago(days), until: Some(ago(days)), reason: String::new() };
                store.put_gap(&gap).await.unwrap();
                let minute = Looked {
                    id: Uuid::now_v7(),
                    camera,
                    minute: ago(days),
                    received: 1,
                    analysed: 1,
                    above_rate: 0,
                    overtaken: 0,
                    trouble: String::new(),
                    model: String::new(),
                };
                store.put_looked(&minute).await.unwrap();
            }
            let recording = Uuid::now_v7();
            let jobs = [
                (job(45, gone_video.id, None), false),
                (job(45, old_video.id, None), true),
                (Job { state: JobState::Open, ended_at: None, ..job(45, recording, None) }, true),
                (job(45, recording, Some((gate.id, ago(45), None))), false),
                (job(45, recording, Some((gate.id, ago(45), Some(followed.id)))), true),
                (job(45, recording, Some((hall.id, ago(60), None))), true), // held
                (job(20, recording, None), true),
            ];
            for (j, _) in &jobs {
                store.put_job(j).await.unwrap();
            }
            let case = Uuid::now_v7();
            let bookmarks = [
                (bookmark(Some(gate.id), ago(45), 45), false),
                (bookmark(None, ago(40), 40), false),
                (Bookmark { removed: Some(("1".to_owned(), ago(44))), ..bookmark(Some(gate.id), ago(45), 45) }, false),
                (Bookmark { case: Some(Uuid::now_v7()), ..bookmark(Some(gate.id), ago(45), 45) }, false), // of a closed case
                (Bookmark { case: Some(case), ..bookmark(Some(gate.id), ago(45), 45) }, true),
                (bookmark(Some(gate.id), ago(45), 3), true), // of long ago, and put lately
                (bookmark(Some(gate.id), ago(90), 45), true), // its video is there
                (bookmark(None, ago(50), 45), true),         // one of the cameras is held
            ];
            for (b, _) in &bookmarks {
                store.put_bookmark(b).await.unwrap();
            }
            let counted = || async {
                let counts = store.detection_counts(None, ago(100), NOW, 1).await.unwrap();
                counts.iter().filter(|c| c.kind == DetectionKind::Knife).map(|c| c.n).sum::<u64>()
            };
            assert_eq!(counted().await, 10);

            let kept = Kept {
                holds: vec![local],
                suspects: BTreeSet::from([of_a_case.id]),
                uploads: BTreeSet::from([case_video.id]),
                cases: BTreeSet::from([case]),
            };
            let counts = sweep_all(&store, &kept).await;
            use Aged::{Bookmarks, Detections, Gaps, Jobs, Looked as L, Sightings, Suspects, Tracklets, Uploads};
            let expected = [
                (Uploads, 1),
                (Detections, 4),
                (Tracklets, 3),
                (L, 1),
                (Gaps, 1),
                (Sightings, 2),
                (Suspects, 1),
                (Jobs, 2),
                (Bookmarks, 4),
            ];
            assert_eq!(counts, expected);
            assert!(sweep_all(&store, &kept).await.iter().all(|(_, n)| *n == 0), "once");

            let left: BTreeSet<_> = store.detections(&Default::default()).await.unwrap().iter().map(|d| d.id).collect();
            let wanted: BTreeSet<_> = detections.iter().filter(|(_, stays)| *stays).map(|(d, _)| d.id).collect();
            assert_eq!(left, wanted);
            assert_eq!(counted().await, 6, "the counts a minute are those of the detections");
            let left: BTreeSet<_> = store.jobs(99).await.unwrap().iter().map(|j| j.id).collect();
            assert_eq!(left, jobs.iter().filter(|(_, stays)| *stays).map(|(j, _)| j.id).collect());
            let left: BTreeSet<_> = store.bookmarks(99).await.unwrap().iter().map(|b| b.id).collect();
            assert_eq!(left, bookmarks.iter().filter(|(_, stays)| *stays).map(|(b, _)| b.id).collect());
            let left = store.tracklets(&TrackletFilter::default()).await.unwrap();
            let left: BTreeSet<_> = left.iter().map(|t| t.id).collect();
            assert_eq!(left, stays.iter().filter(|(_, stays)| *stays).map(|(t, _)| t.id).collect());
            let suspects: BTreeSet<_> = store.suspects().await.unwrap().into_iter().map(|s| s.label).collect();
            let expected = ["followed", "of a case", "held", "ended lately"].map(str::to_owned);
            assert_eq!(suspects, BTreeSet::from(expected));
            let uploads: BTreeSet<_> = store.uploads(None).await.unwrap().into_iter().map(|u| u.id).collect();
            assert_eq!(uploads, BTreeSet::from([old_video.id, case_video.id, held_video.id]));
            assert_eq!(store.segments(None, ago(100), NOW).await.unwrap().len(), 3);
            let gone = store.absences(&[gate.id], gone_video.date, ago(89)).await.unwrap();
            let told = format!("recorded and deleted on {} by the age limit", NOW.utc_day());
            assert_eq!(gone.iter().map(|g| (g.from, &g.reason)).collect::<Vec<_>>(), [(ago(90), &told)]);
            assert!(store.dangling(9).await.unwrap().is_empty());

            // The objects of exactly what went; one that two records share is not named any more when both are gone.
            let doomed = store.doomed_objects(99).await.unwrap();
            assert_eq!(doomed.len(), 2 + 4 + 3 + 2, "{doomed:?}");
            let mut named = Vec::new();
            for key in &doomed {
                if store.names_object(key).await.unwrap() {
                    named.push(key.clone());
                }
                store.forget_doomed(key).await.unwrap();
            }
            assert_eq!(named, [key_of_url(&fresh_one.crop_url).unwrap()], "the suspect still has that picture");
            assert!(store.doomed_objects(9).await.unwrap().is_empty());
        }
    }
}
