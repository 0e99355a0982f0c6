//! The end of recordings. Of each it is asked, in the very transaction that deletes it, whether anything keeps it: a hold, the
//! promise of an export's plan, and, where it would only make room, a suspect who is followed or an open case. What goes leaves a
//! trace, so that nobody says later that there never was any video.
use super::{
    CameraStore, StoreError, key_of_url,
    owed::{Book, Deleted, owe},
    recordings::{hold_from_row, of_cameras, segment_from_row},
    retention::{Kept, Stretch},
    sql::{Row, Transaction, sql},
    timeline::uncovered,
};
use crate::model::{AgedBefore, CameraId, Gap, NOTHING_BEFORE, Segment, SuspectId, Timestamp};
use std::{collections::BTreeSet, time::Duration};
use uuid::Uuid;

/// Deleted stretches at most so far apart are one: recorders leave a moment between two files.
const JOIN: Duration = Duration::from_secs(1);
/// Around the stay of a suspect who is followed, video is kept as well.
const AROUND: Duration = Duration::from_secs(30);

/// By which rule video was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeletedBy {
    /// It was of before this instant, and thereby older than it is to be kept.
    Age(AgedBefore),
    /// There was more than is to be kept.
    Size,
    /// The disk or the store was full.
    Disk,
}

impl DeletedBy {
    fn name(self) -> &'static str {
        match self {
            Self::Age(_) => "age",
            Self::Size => "size",
            Self::Disk => "disk",
        }
    }
}

/// One piece of a sweep over recordings.
#[derive(Clone, Debug, Default)]
pub struct DeletedPiece {
    /// What was deleted, oldest first. Its objects are doomed, and the caller's to delete.
    pub deleted: Vec<Segment>,
    /// How many were kept.
    pub kept: usize,
    /// No more was wanted.
    pub enough: bool,
    /// Where the next piece begins; `None` when there is nothing behind this one.
    pub next: Option<(Timestamp, Uuid)>,
}

impl CameraStore {
    /// Deletes, of at most `limit` recordings behind `after`, oldest first, those that nothing keeps at `now`, for as long as they
    /// are `wanted`. Rows, their trace and the keys of their objects change hands in one transaction.
    ///
    /// # Errors
    /// The store's trouble; nothing is deleted then.
    pub async fn delete_oldest_recorded(
        &self,
        by: DeletedBy,
        now: Timestamp,
        book: &mut Book<'_>,
        after: Option<(Timestamp, Uuid)>,
        limit: u32,
        wanted: &mut (dyn FnMut(&Segment) -> bool + Send),
    ) -> Result<DeletedPiece, StoreError> {
        let mut tx = self.db.write().await?;
        let mut page = sql("SELECT * FROM segments WHERE upload IS NULL");
        if let Some((at, id)) = after {
            page = page.and(" AND (ends_at, id) > (", at).and(", ", id).text(")");
        }
        let page = tx.fetch(page.and(" ORDER BY ends_at, id LIMIT ", limit), segment_from_row).await?;
        let next = page.last().map(|s| (s.ends_at, s.id)).filter(|_| page.len() >= limit as usize);
        let mut holds = tx.fetch(sql("SELECT * FROM holds WHERE released_at IS NULL"), hold_from_row).await?;
        let kept = (book.kept)();
        holds.extend(kept.holds.iter().cloned());
        let mut stretches = promised(&mut tx, now).await?;
        let span = page.iter().map(|s| s.starts_at).min().zip(page.iter().map(|s| s.ends_at).max());
        if let Some((from, until)) = span.filter(|_| !matches!(by, DeletedBy::Age(_))) {
            stretches.extend(needed(&mut tx, now, &kept, from.minus(AROUND), until.plus(AROUND)).await?);
        }
        let aged = matches!(by, DeletedBy::Age(_));
        let stays = |s: &Segment| {
            // By a clock that was not set; of when it truly is, nobody knows.
            (aged && s.starts_at < NOTHING_BEFORE)
                || holds.iter().any(|h| h.keeps(s.camera, s.starts_at, s.ends_at))
                || stretches.iter().any(|(camera, from, until)| {
                    camera.is_none_or(|c| c == s.camera) && s.starts_at <= *until && *from <= s.ends_at
                })
        };
        let mut piece = DeletedPiece { next, ..DeletedPiece::default() };
        for segment in page {
            if stays(&segment) {
                piece.kept += 1;
                continue;
            }
            let young = matches!(by, DeletedBy::Age(before) if segment.ends_at >= before.instant());
            if young || !wanted(&segment) {
                piece.enough = true;
                break;
            }
            tx.execute(sql("DELETE FROM segments WHERE id = $1").bind(segment.id)).await?;
            gone(&mut tx, &segment, by, now).await?;
            if let Some(key) = key_of_url(&segment.video_url) {
                let doom =
                    sql("INSERT INTO doomed_objects (object) VALUES ($1) ON CONFLICT (object) DO NOTHING").bind(key);
                tx.execute(doom).await?;
            }
            piece.deleted.push(segment);
        }
        if !piece.deleted.is_empty() {
            owe(&mut tx, (book.entry)(Deleted::Recordings(&piece.deleted))).await?;
        }
        tx.commit().await?;
        Ok(piece)
    }

    /// Why these cameras have no video in this stretch, as far as it is known: first what was deleted, then the gaps.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn absences(
        &self,
        cameras: &[CameraId],
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Gap>, StoreError> {
        let Some(page) = of_cameras("SELECT * FROM deleted_video WHERE TRUE", Some(cameras)) else {
            return Ok(Vec::new());
        };
        let page = page.and(" AND ends_at > ", from).and(" AND starts_at < ", until);
        let page = page.text(" ORDER BY starts_at, camera, id");
        let mut found = self.db.fetch(page, deleted_from_row).await?;
        found.extend(self.gaps(Some(cameras), from, until).await?);
        Ok(found)
    }

    /// Promises that the video of these stretches stays until then, instead of what `promise` said before.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn promise_video(
        &self,
        promise: Uuid,
        stretches: &[(CameraId, Timestamp, Timestamp)],
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.write().await?;
        tx.execute(sql("DELETE FROM promised_video WHERE promise = $1").bind(promise)).await?;
        for (camera, from, to) in stretches {
            let promised = sql("INSERT INTO promised_video (promise, camera, starts_at, ends_at, until)
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT (promise, camera, starts_at) DO NOTHING");
            tx.execute(promised.bind(promise).bind(*camera).bind(*from).bind(*to).bind(until)).await?;
        }
        tx.commit().await
    }

    /// Forgets promises that ended before this instant; whoever made them was stopped.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn forget_promises(&self, before: AgedBefore) -> Result<(), StoreError> {
        self.db.execute(sql("DELETE FROM promised_video WHERE until < $1").bind(before.instant())).await
    }

    /// Puts the end of a promise off.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn renew_promise(&self, promise: Uuid, until: Timestamp) -> Result<(), StoreError> {
        let renewed = sql("UPDATE promised_video SET until = $2 WHERE promise = $1").bind(promise).bind(until);
        self.db.execute(renewed).await
    }

    /// Nobody needs what was promised any more.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn end_promise(&self, promise: Uuid) -> Result<(), StoreError> {
        self.db.execute(sql("DELETE FROM promised_video WHERE promise = $1").bind(promise)).await
    }
}

/// Stretches of which somebody was told that their video is there.
pub(super) async fn promised(tx: &mut Transaction<'_>, now: Timestamp) -> Result<Vec<Stretch>, StoreError> {
    let page = sql("SELECT camera, starts_at, ends_at FROM promised_video WHERE until > $1").bind(now);
    let read = |row: &Row| Ok((Some(row.uuid("camera")?), row.instant("starts_at")?, row.instant("ends_at")?));
    tx.fetch(page, read).await
}

/// Stretches between two instants in which a suspect was seen who is followed or of an open case, or about which such a case has a
/// word.
async fn needed(
    tx: &mut Transaction<'_>,
    now: Timestamp,
    kept: &Kept,
    from: Timestamp,
    until: Timestamp,
) -> Result<Vec<Stretch>, StoreError> {
    let followed = sql("SELECT id FROM suspects WHERE ended_at IS NULL AND expires_at > $1").bind(now);
    let mut suspects: BTreeSet<SuspectId> = tx.fetch(followed, |row| row.uuid("id")).await?.into_iter().collect();
    suspects.extend(&kept.suspects);
    let stays =
        sql("SELECT suspect AS whose, camera, entered_at AS starts_at, COALESCE(left_at, last_seen_at) AS ends_at
         FROM sightings WHERE decision <> 'rejected'")
        .and(" AND entered_at < ", until)
        .and(" AND COALESCE(left_at, last_seen_at) > ", from);
    let words = sql("SELECT case_id AS whose, camera, starts_at, ends_at FROM bookmarks
         WHERE case_id IS NOT NULL AND removed_at IS NULL")
    .and(" AND starts_at < ", until)
    .and(" AND ends_at > ", from);
    let read = |row: &Row| {
        let stretch = (row.uuid_or_null("camera")?, row.instant("starts_at")?, row.instant("ends_at")?);
        Ok((row.uuid("whose")?, stretch))
    };
    let stays = tx.fetch(stays, read).await?.into_iter().filter(|(suspect, _)| suspects.contains(suspect));
    let mut found: Vec<(Uuid, Stretch)> = stays.collect();
    found.extend(tx.fetch(words, read).await?.into_iter().filter(|(case, _)| kept.cases.contains(case)));
    Ok(found.into_iter().map(|(_, (camera, from, until))| (camera, from.minus(AROUND), until.plus(AROUND))).collect())
}

/// Notes that the video of this segment, whose row is deleted already, is gone.
pub(super) async fn gone(
    tx: &mut Transaction<'_>,
    segment: &Segment,
    by: DeletedBy,
    now: Timestamp,
) -> Result<(), StoreError> {
    uncovered(tx, segment).await?;
    let touching = sql("SELECT id, starts_at, ends_at, deleted_at FROM deleted_video WHERE by_rule = $1")
        .bind(by.name())
        .and(" AND camera = ", segment.camera)
        .and(" AND ends_at >= ", segment.starts_at.minus(JOIN))
        .and(" AND starts_at <= ", segment.ends_at.plus(JOIN));
    let read = |row: &Row| {
        Ok((row.uuid("id")?, row.instant("starts_at")?, row.instant("ends_at")?, row.instant("deleted_at")?))
    };
    let (mut from, mut until) = (segment.starts_at, segment.ends_at);
    for (id, starts_at, ends_at, deleted_at) in tx.fetch(touching, read).await? {
        if deleted_at.utc_day() == now.utc_day() {
            (from, until) = (from.min(starts_at), until.max(ends_at));
            tx.execute(sql("DELETE FROM deleted_video WHERE id = $1").bind(id)).await?;
        }
    }
    let insert = sql("INSERT INTO deleted_video (id, camera, starts_at, ends_at, deleted_at, by_rule)
         VALUES ($1, $2, $3, $4, $5, $6)");
    let insert = insert.bind(Uuid::now_v7()).bind(segment.camera).bind(from).bind(until).bind(now).bind(by.name());
    tx.execute(insert).await
}

fn deleted_from_row(row: &Row) -> sqlx::Result<Gap> {
    let rule = match row.get::<String>("by_rule")?.as_str() {
        "age" => "the age limit",
        "size" => "the size limit",
        "disk" => "a full disk",
        _ => "a rule that this version does not know",
    };
    let day = row.instant("deleted_at")?.utc_day();
    Ok(Gap {
        id: row.uuid("id")?,
        camera: row.uuid("camera")?,
        from: row.instant("starts_at")?,
        until: Some(row.instant("ends_at")?),
        reason: format!("recorded and deleted on {day} by {rule}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{Bookmark, Decision, Sighting, Suspect},
        store::{
            cameras::tests::{camera, sighting, suspect},
            recordings::tests::segment,
            sql::tests::backends,
        },
    };

    const T0: Timestamp = Timestamp(1_795_000_020_000_000);

    /// All is old enough.
    fn all() -> DeletedBy {
        DeletedBy::Age(AgedBefore::of_test(Timestamp(i64::MAX)))
    }

    fn at(seconds: u64) -> Timestamp {
        T0.plus(Duration::from_secs(seconds))
    }

    async fn delete(store: &CameraStore, by: DeletedBy, now: Timestamp, kept: &Kept) -> Vec<Timestamp> {
        let (mut after, mut deleted) = (None, Vec::new());
        loop {
            let mut book = Book { kept: &|| kept.clone(), entry: &mut |_| None };
            let piece = store.delete_oldest_recorded(by, now, &mut book, after, 2, &mut |_| true).await.unwrap();
            deleted.extend(piece.deleted.iter().map(|s| s.starts_at));
            after = piece.next;
            if after.is_none() {
                return deleted;
            }
        }
    }

    #[tokio::test]
    async fn what_was_recorded_by_a_clock_that_was_not_set_goes_only_to_make_room() {
        for fresh in backends() {
            let store = CameraStore::connect(&fresh.address).await.unwrap();
            let camera = camera();
            store.upsert_camera(&camera).await.unwrap();
            let unset = Timestamp::parse("2019-01-01T00:00:00Z").unwrap();
            let ends_at = unset.plus(Duration::from_secs(10));
            let of_2019 = Segment { starts_at: unset, ends_at, ..segment(camera.id, 0, 10) };
            store.put_segment(&of_2019).await.unwrap();
            store.put_segment(&segment(camera.id, 0, 10)).await.unwrap();
            assert_eq!(delete(&store, all(), at(1000), &Kept::default()).await, [at(0)]);
            // Given its time, it goes as everything does, and nothing is left of the other one.
            let redated = Segment { starts_at: at(20), ends_at: at(30), ..of_2019 };
            store.put_segment(&redated).await.unwrap();
            assert_eq!(
                store.coverage(&[camera.id], Timestamp(0), at(1000), 1).await.unwrap(),
                [(camera.id, at(20), at(30))]
            );
            assert_eq!(delete(&store, all(), at(1000), &Kept::default()).await, [at(20)]);
            store.put_segment(&Segment { starts_at: unset, ends_at, ..segment(camera.id, 0, 10) }).await.unwrap();
            assert_eq!(delete(&store, DeletedBy::Size, at(1000), &Kept::default()).await, [unset]);
        }
    }

    #[tokio::test]
    async fn what_is_deleted_leaves_a_trace_whose_neighbours_are_joined_and_its_objects_are_doomed() {
        for fresh in backends() {
            let store = CameraStore::connect(&fresh.address).await.unwrap();
            let camera = camera();
            store.upsert_camera(&camera).await.unwrap();
            for (from, until) in [(0, 10), (10, 20), (20, 30), (100, 110)] {
                store.put_segment(&segment(camera.id, from, until)).await.unwrap();
            }
            let (now, day) = (at(1000), at(1000).utc_day());
            let mut left = 2;
            let mut two = |_: &Segment| {
                left -= 1;
                left >= 0
            };
            let kept = Kept::default();
            let mut book = Book { kept: &|| kept.clone(), entry: &mut |_| None };
            let piece = store.delete_oldest_recorded(DeletedBy::Size, now, &mut book, None, 9, &mut two);
            let piece = piece.await.unwrap();
            assert_eq!((piece.deleted.len(), piece.enough), (2, true));
            assert_eq!(delete(&store, all(), at(2000), &Kept::default()).await, [at(20), at(100)]);
            let told = store.absences(&[camera.id], at(0), at(1000)).await.unwrap();
            let told: Vec<_> = told.into_iter().map(|g| (g.from, g.until.unwrap(), g.reason)).collect();
            let said = |rule: &str| format!("recorded and deleted on {day} by {rule}");
            let expected = [
                (at(0), at(20), said("the size limit")),
                (at(20), at(30), said("the age limit")),
                (at(100), at(110), said("the age limit")),
            ];
            assert_eq!(told, expected);
            assert!(store.coverage(&[camera.id], at(0), at(1000), 1).await.unwrap().is_empty());
            assert_eq!(store.doomed_objects(9).await.unwrap().len(), 4);
        }
    }

    #[tokio::test]
    async fn what_was_promised_stays_until_then_and_what_is_needed_does_not_make_room() {
        for fresh in backends() {
            let store = CameraStore::connect(&fresh.address).await.unwrap();
            let camera = camera();
            store.upsert_camera(&camera).await.unwrap();
            for n in 0..6 {
                store.put_segment(&segment(camera.id, n * 1000, n * 1000 + 10)).await.unwrap();
            }
            // 0: of somebody followed, 1: rejected, 2: of an open case, 3: a word of it, 4: promised, 5: of nobody any more
            let person = |label: &str, expires_at| Suspect { expires_at, ..suspect(camera.id, label) };
            let (followed, of_case) = (person("followed", at(99_999)), person("of a case", at(1)));
            let case = Uuid::now_v7();
            let by = "1".to_owned();
            for (s, n, decision) in [
                (&followed, 0, Decision::Pending),
                (&followed, 1, Decision::Rejected { by, at: at(1) }),
                (&of_case, 2, Decision::Origin),
            ] {
                store.put_suspect(s).await.unwrap();
                let (entered_at, id) = (at(n * 1000 + 2), Uuid::now_v7());
                let left_at = Some(at(n * 1000 + 4));
                let stay =
                    Sighting { id, entered_at, last_seen_at: at(n * 1000 + 4), left_at, decision, ..sighting(s) };
                store.put_sighting(&stay).await.unwrap();
            }
            let word = Bookmark {
                id: Uuid::now_v7(),
                camera: None,
                from: at(3005),
                until: at(3005),
                words: "a bag".to_owned(),
                case: Some(case),
                made_by: "1".to_owned(),
                made_by_name: "Ana".to_owned(),
                made_at: at(1),
                removed: None,
            };
            store.put_bookmark(&word).await.unwrap();
            let promise = Uuid::now_v7();
            store.promise_video(promise, &[(camera.id, at(4001), at(4002))], at(7000)).await.unwrap();
            let kept =
                Kept { suspects: BTreeSet::from([of_case.id]), cases: BTreeSet::from([case]), ..Kept::default() };
            let now = at(6500);
            let mut book = Book { kept: &|| kept.clone(), entry: &mut |_| None };
            let nothing =
                store.delete_oldest_recorded(DeletedBy::Disk, now, &mut book, None, 1, &mut |_| true).await.unwrap();
            assert_eq!((nothing.deleted.len(), nothing.kept, nothing.enough), (0, 1, false));
            assert_eq!(delete(&store, DeletedBy::Size, now, &kept).await, [at(1000), at(5000)]);
            assert_eq!(delete(&store, DeletedBy::Size, now, &kept).await, []);
            assert_eq!(delete(&store, all(), now, &kept).await, [at(0), at(2000), at(3000)]);
            store.renew_promise(promise, at(9000)).await.unwrap();
            assert_eq!(delete(&store, all(), at(8000), &kept).await, []);
            store.end_promise(promise).await.unwrap();
            assert_eq!(delete(&store, all(), at(8000), &kept).await, [at(4000)]);
        }
    }
}
