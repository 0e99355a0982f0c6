//! The gate before every deletion by age: it asks the clocks there are and gives an instant to delete by only while they agree. Where
//! they do not, an alarm and an entry say so once, and that it is over.
use super::{About, NoticeLevel, Shared, console_user, or_away, steady::capital};
use crate::{
    model::{Action, ClockReading, ClockTrust, Judgement, Outcome, Progress, Timestamp, TrustedNow, Witness},
    store::{LogIds, file},
    sync::Record,
};
use serde_json::json;
use std::{
    io::Write as _,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// What was trusted is written down again after so long, and with it for how long a doubted clock has stood.
const WRITE_EVERY: Duration = Duration::from_secs(300);

/// What the site knows of how far its clock can be relied on.
pub(super) struct Trust {
    /// In the data folder: it must outlive the run.
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// `None` until what was known before is read.
    trust: Option<ClockTrust>,
    written: Option<(Progress, Duration)>,
    /// Why nothing is deleted, since when.
    doubt: Option<(String, Timestamp)>,
}

impl Trust {
    /// Begins with the file at `path`, which need not be there.
    pub fn new(path: PathBuf) -> Self {
        Self { path, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why nothing is deleted for its age now, and since when.
    pub fn doubt(&self) -> Option<(String, Timestamp)> {
        self.state().doubt.clone()
    }

    /// A file that cannot be read says nothing: then the newest record is what is known.
    fn read(&self) -> Option<Progress> {
        let bytes = std::fs::read(&self.path).ok()?;
        let read = serde_json::from_slice(&bytes);
        if let Err(error) = &read {
            tracing::warn!(%error, file = %self.path.display(), "what was known of this console's clock cannot be read");
        }
        read.ok()
    }

    fn write(&self, progress: Progress) -> std::io::Result<()> {
        let bytes = serde_json::to_vec(&progress)?;
        file::write_whole(file::folder_of(&self.path), &self.path, |file| file.write_all(&bytes))
    }
}

/// What was judged, and whether that is news.
struct Judged {
    judgement: Judgement,
    began: Option<String>,
    ended: Option<(String, Timestamp)>,
    write: Option<Progress>,
}

impl Shared {
    /// May data be deleted for its age now? `None` while the clocks disagree, or while it is not known.
    pub(super) async fn trusted_now(&self) -> Option<TrustedNow> {
        match self.judge_clock().await? {
            Judgement::Trusted(now) => Some(now),
            Judgement::Doubted { .. } => None,
        }
    }

    /// By which instant it is judged what is needed still: never later than it may be, so that a clock that is ahead ends no promise.
    pub(super) async fn careful_now(&self) -> Timestamp {
        match self.judge_clock().await {
            Some(Judgement::Trusted(now)) => now.instant(),
            Some(Judgement::Doubted { careful, .. }) => careful,
            None => self.records.clock.now(),
        }
    }

    /// `None` where a store that must be asked does not answer: nothing can be deleted there either.
    async fn judge_clock(&self) -> Option<Judgement> {
        let cameras = &self.records.stores.cameras;
        let unread = self.trust.state().trust.is_none();
        if unread {
            let kept = self.trust.read();
            let newest = if kept.is_some() { None } else { self.newest_record().await? };
            self.trust.state().trust.get_or_insert_with(|| ClockTrust::new(kept, newest));
        }
        let database = match cameras.clock().await {
            Ok(database) => database,
            Err(error) if error.is_away() => return None,
            Err(error) => {
                tracing::warn!(%error, "the clock of the cameras database cannot be read");
                return None;
            }
        };
        let Judged { judgement, began, ended, write } = self.compare(database)?;
        if let Some(why) = began {
            let text = format!("Nothing is deleted for its age: {why}. {WHAT_TO_DO}");
            self.tell_of_trust(NoticeLevel::Error, Outcome::Failed(why), text, "deletion by age stopped").await;
        } else if let Some((why, since)) = ended {
            let text = format!(
                "Deletion by age goes on: this console's clock is in order again. Since {} it was not: {why}",
                since.local_date_time()
            );
            self.tell_of_trust(NoticeLevel::Info, Outcome::Succeeded, text, "deletion by age goes on").await;
        }
        if let Some(Err(error)) = write.map(|progress| self.trust.write(progress)) {
            let text = format!("What is known of this console's clock was not written down: {error}");
            self.trouble(About::Everybody, text);
        }
        Some(judgement)
    }

    fn compare(&self, database: Option<Witness>) -> Option<Judged> {
        let clock = self.records.clock.as_ref();
        // A machine that is too busy to read both at once reads them a moment apart, which is nothing here.
        let now = ClockReading::of(clock).unwrap_or_else(|| ClockReading { wall: clock.now(), steady: clock.steady() });
        let mut state = self.trust.state();
        let judgement = state.trust.as_mut()?.judge(now, database);
        let (began, ended) = match &judgement {
            Judgement::Trusted(_) => (None, state.doubt.take()),
            Judgement::Doubted { why, .. } => {
                // The reason may be told in other words later; it is one doubt.
                let began = state.doubt.is_none().then(|| why.clone());
                let since = state.doubt.as_ref().map_or(now.wall, |(_, since)| *since);
                state.doubt = Some((why.clone(), since));
                (began, None)
            }
        };
        let progress = state.trust.as_ref()?.progress();
        let due = state.written.is_none_or(|(_, at)| now.steady.saturating_sub(at) >= WRITE_EVERY);
        let write = (due || began.is_some() || ended.is_some()).then_some(progress);
        if write.is_some() {
            state.written = Some((progress, now.steady));
        }
        Some(Judged { judgement, began, ended, write })
    }

    async fn tell_of_trust(&self, level: NoticeLevel, outcome: Outcome, text: String, what: &str) {
        let mut entry = self.records.entry((&console_user(), ""), Action::NoticeClock, outcome);
        entry.details = json!({ "what": what, "why": text });
        self.commit(&[Record::Action(entry)], "The log does not say what is known of this console's clock").await;
        self.board.lock().notice(self.records.clock.now(), level, capital(&text), About::Everybody);
    }

    /// The newest instant that the stores tell of, for a data folder in which nothing is written down of its clock yet. `None` where they
    /// do not answer.
    async fn newest_record(&self) -> Option<Option<Timestamp>> {
        let stores = &self.records.stores;
        let recorded = stores.cameras.recorded_until().await.ok()?.into_iter().map(|(_, until)| until).max();
        let entered = or_away(stores.actions.newest_id().await).ok()?.flatten().map(LogIds::instant_of);
        Some(recorded.max(entered))
    }
}

/// What whoever reads the alarm can do.
const WHAT_TO_DO: &str =
    "Recordings and data are kept until the clocks agree. Set this console's clock, or have it set by NTP";

#[cfg(test)]
mod tests;
