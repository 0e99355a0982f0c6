//! Retention of everything but recordings: what is old enough is deleted, a little at a time, except what is held, of a suspect who
//! is followed, or of an open case. Each sweep that deletes something is an entry, with what and how much.
use super::{About, Shared, casework, owed::Owing};
use crate::{
    model::{CameraId, Timestamp, TrustedNow},
    store::{Aged, Book, Deleted, Kept, StoreError},
    supervise::Pulse,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use uuid::Uuid;

/// Between two sweeps.
const SWEEP_EVERY: Duration = Duration::from_secs(600);
/// Rows looked at in one transaction.
const PIECE: u32 = 200;
/// Between two of them others have their turn.
const PAUSE: Duration = Duration::from_millis(100);
/// Pieces after which what was deleted so far is an entry.
const PIECES: usize = 50;

/// Promises of exports that ended so long ago are forgotten, days.
const FORGOTTEN_AFTER: f64 = 1.0;

/// For how long data is kept, in days; 0 keeps it for ever.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionConfig {
    /// Detections with their frames, stays of everybody with their pictures, minutes of looking, gaps; analyses that have ended, and
    /// bookmarks of which no video is left.
    pub detections_days: f64,
    /// Suspects who are not followed any more, with their sightings and pictures.
    pub suspects_days: f64,
    /// Videos that came as files, by when they came.
    pub uploads_days: f64,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self { detections_days: 30.0, suspects_days: 30.0, uploads_days: 30.0 }
    }
}

impl RetentionConfig {
    fn days(self, what: Aged) -> f64 {
        match what {
            Aged::Uploads => self.uploads_days,
            Aged::Detections | Aged::Tracklets | Aged::Looked | Aged::Gaps | Aged::Jobs | Aged::Bookmarks => {
                self.detections_days
            }
            Aged::Sightings | Aged::Suspects => self.suspects_days,
        }
    }

    pub(super) fn checks(self) -> [(bool, &'static str); 3] {
        let days = |d: f64| (0.0..=36_500.0).contains(&d);
        [
            (days(self.detections_days), "`retention.detections_days` must be between 0 and 36500"),
            (days(self.suspects_days), "`retention.suspects_days` must be between 0 and 36500"),
            (days(self.uploads_days), "`retention.uploads_days` must be between 0 and 36500"),
        ]
    }
}

/// What a sweep deleted of one kind.
#[derive(Clone, Default)]
struct Sum {
    rows: usize,
    cameras: BTreeMap<Option<CameraId>, usize>,
    stretch: Option<(Timestamp, Timestamp)>,
}

impl Sum {
    fn add(&mut self, rows: &[(Uuid, Option<CameraId>)], stretch: Option<(Timestamp, Timestamp)>) {
        self.rows += rows.len();
        for (_, camera) in rows {
            *self.cameras.entry(*camera).or_default() += 1;
        }
        let both = |(from, until): (Timestamp, Timestamp)| {
            let (f, u) = self.stretch.unwrap_or((from, until));
            (f.min(from), u.max(until))
        };
        self.stretch = stretch.map(both).or(self.stretch);
    }
}

impl Shared {
    /// From time to time, for as long as the site runs: what is too old is deleted. A sweep that was broken off goes on.
    pub(super) async fn retain_data(&self, pulse: &Pulse) {
        self.settle_owed(None).await;
        loop {
            pulse.beat();
            tokio::time::sleep(SWEEP_EVERY).await;
            if let Err(error) = self.sweep_data().await
                && !error.is_away()
            {
                self.trouble(About::Everybody, format!("Old data could not be deleted: {error}"));
            }
        }
    }

    /// One sweep over everything, and the objects that rows left behind.
    pub(super) async fn sweep_data(&self) -> Result<(), StoreError> {
        self.settle_owed(None).await;
        self.read_casework().await;
        if !self.casework.is_read() {
            return Ok(()); // what is to be kept is not known
        }
        for what in Aged::ALL {
            let days = self.config.retention.days(what);
            if days > 0.0 {
                self.sweep_kind(what, days).await?;
            }
        }
        self.delete_doomed().await?;
        let Some(now) = self.trusted_now().await else { return Ok(()) };
        self.records.stores.cameras.forget_promises(now.days_ago(FORGOTTEN_AFTER)).await?;
        if self.records.stores.cameras.is_shared() {
            self.forget_gone_suspects(now).await?;
            self.forget_gone_bookmarks(now).await?;
        }
        Ok(())
    }

    /// Takes bookmarks off the screen that another console deleted.
    async fn forget_gone_bookmarks(&self, now: TrustedNow) -> Result<(), StoreError> {
        let days = self.config.retention.days(Aged::Bookmarks);
        if days <= 0.0 {
            return Ok(());
        }
        let before = now.days_ago(days).instant();
        let there = self.records.stores.cameras.bookmarks(casework::MOST).await?;
        let there: BTreeSet<_> = there.into_iter().map(|b| b.id).collect();
        self.casework.forget_bookmarks(|b| !there.contains(&b.id) && b.made_at < before && b.until < before);
        Ok(())
    }

    /// Takes suspects off the screen that another console deleted.
    async fn forget_gone_suspects(&self, now: TrustedNow) -> Result<(), StoreError> {
        let (store, days) = (&self.records.stores.cameras, self.config.retention.suspects_days);
        if days <= 0.0 {
            return Ok(());
        }
        let before = now.days_ago(days).instant();
        let there: BTreeSet<_> = store.suspects().await?.into_iter().map(|s| s.id).collect();
        let mut board = self.board.lock();
        let gone = board.suspects.iter().map(|v| &v.suspect);
        let gone =
            gone.filter(|s| !there.contains(&s.id) && s.marked_at < before && !s.is_followed(before)).map(|s| s.id);
        let gone = gone.collect();
        board.forget_suspects(&gone);
        Ok(())
    }

    async fn sweep_kind(&self, what: Aged, days: f64) -> Result<(), StoreError> {
        let (mut after, mut sum, mut pieces, mut owing) = (None, Sum::default(), 0, Owing::new(self));
        let failure = loop {
            // Asked before each piece: a clock that is set in the middle of a sweep ends it.
            let Some(trusted) = self.trusted_now().await else { break None };
            let (before, now) = (trusted.days_ago(days), trusted.instant());
            let so_far = sum.clone();
            let kept = || self.kept(now);
            let mut entry = |deleted: Deleted<'_>| {
                let Deleted::Rows(rows, stretch) = deleted else { return None };
                sum.add(rows, stretch);
                Some(owing.owe(self, self.told_of_sweep(what, days, &sum)))
            };
            let mut book = Book { kept: &kept, entry: &mut entry };
            let swept = self.records.stores.cameras.sweep(what, before, now, &mut book, after, PIECE).await;
            let swept = match swept {
                Ok(swept) => swept,
                Err(error) => {
                    sum = so_far;
                    break Some(error);
                }
            };
            self.forget(what, swept.deleted.iter().map(|(id, _)| *id));
            after = swept.next;
            if after.is_none() {
                break None;
            }
            pieces += 1;
            if pieces % PIECES == 0 {
                self.settle_owed(Some(std::mem::replace(&mut owing, Owing::new(self)))).await;
                sum = Sum::default();
            }
            tokio::time::sleep(PAUSE).await;
        };
        if sum.rows > 0 || failure.is_some() {
            self.settle_owed(Some(owing)).await;
        }
        failure.map_or(Ok(()), Err)
    }

    /// What stays for other reasons than those that the database knows.
    pub(super) fn kept(&self, now: Timestamp) -> Kept {
        let board = self.board.lock();
        let followed = board.suspects.iter().filter(|v| v.suspect.is_followed(now)).map(|v| v.suspect.id);
        let mut kept = Kept { holds: self.casework.holds(), suspects: followed.collect(), ..Kept::default() };
        for case in self.casework.open_cases() {
            kept.suspects.extend(case.suspects);
            kept.uploads.extend(case.uploads.into_iter().map(|(id, _)| id));
            kept.cases.insert(case.id);
        }
        kept
    }

    /// Takes what was deleted off the screen.
    fn forget(&self, what: Aged, ids: impl Iterator<Item = Uuid>) {
        match what {
            Aged::Sightings => self.board.lock().forget_sightings(ids),
            Aged::Suspects => self.board.lock().forget_suspects(&ids.collect()),
            Aged::Uploads => self.uploads.forget(&ids.collect()),
            Aged::Jobs => self.jobs.forget(&ids.collect()),
            Aged::Bookmarks => {
                let gone: BTreeSet<_> = ids.collect();
                self.casework.forget_bookmarks(|b| gone.contains(&b.id));
            }
            Aged::Detections | Aged::Tracklets | Aged::Looked | Aged::Gaps => {}
        }
    }

    /// What the entry of a sweep says.
    fn told_of_sweep(&self, what: Aged, days: f64, sum: &Sum) -> serde_json::Value {
        let name = |id: Option<CameraId>| id.map_or_else(|| "several cameras".to_owned(), |id| self.camera_name(id));
        let mut cameras: BTreeMap<_, usize> = BTreeMap::new();
        for (id, n) in &sum.cameras {
            *cameras.entry(name(*id)).or_default() += n;
        }
        json!({
            "what": what.name(), "why": format!("older than {days} days"), "count": sum.rows, "cameras": cameras,
            "from": sum.stretch.map(|(from, _)| from.to_string()), "until": sum.stretch.map(|(_, until)| until.to_string()),
        })
    }

    /// Deletes the objects whose rows are gone, also those of a sweep that was broken off. A picture that another record still
    /// names stays.
    async fn delete_doomed(&self) -> Result<(), StoreError> {
        let (cameras, objects) = (&self.records.stores.cameras, &self.records.stores.objects);
        loop {
            let doomed = cameras.doomed_objects(PIECE).await?;
            if doomed.is_empty() {
                return Ok(());
            }
            for key in doomed {
                if !cameras.names_object(&key).await? {
                    objects.delete(&key).await?;
                }
                cameras.forget_doomed(&key).await?;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests;
