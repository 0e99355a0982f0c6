//! What a site reads from its stores when it starts, and again when a store that was away answers.
use super::{About, Access, NoticeLevel, Shared, SiteError, consoles::ABANDONED_SECONDS};
use crate::{
    model::{Sighting, Suspect, Timestamp},
    store::StoreError,
    sync::{Others, Record},
};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Sightings of earlier runs shown after a start.
const SIGHTINGS_SHOWN: u32 = 500;
/// Reasons of earlier runs offered again.
const REASONS_SHOWN: u32 = 8;
/// How long what was recorded meanwhile may take into a database that is back, before it is read.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(10);

/// Other consoles are asked for once a second, so after this long what they write is heard.
const HEARING_BEGINS: Duration = Duration::from_secs(2);
/// How often, and how long after the last time, a picture that was not there is asked for.
const PICTURE_ATTEMPTS: u32 = 60;
const PICTURE_PAUSE: Duration = Duration::from_secs(5);

/// Which stores were not there when the site started, and how the users' store, to which nothing is delivered, is doing.
#[derive(Default)]
pub(super) struct Away {
    users: AtomicBool,
    cameras: AtomicBool,
    users_trouble: Mutex<Option<(String, Timestamp)>>,
}

impl Away {
    /// Why the users' store does not answer, and since when.
    pub fn users_trouble(&self) -> Option<(String, Timestamp)> {
        self.users_trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct Found {
    suspects: Vec<Suspect>,
    sightings: Vec<Sighting>,
    reasons: Vec<String>,
}

/// Nobody is let in by what a console remembers: whoever was deactivated meanwhile would be let in, too.
pub(super) fn nobody_gets_in(error: &StoreError) -> Access {
    let error = format!("Nobody can log in now: {error}. Cameras and follows go on, and what they see is recorded");
    Access::LoggedOut { error: Some(error), locked_until: None }
}

impl Shared {
    /// Reads what is known and connects the cameras; what other consoles change from then on is to be heard. Without its database a site goes on with what this console knew last.
    ///
    /// # Errors
    /// A store that answers and cannot be used, or the journal's trouble.
    pub async fn start(self: &Arc<Self>) -> Result<Others, SiteError> {
        // From before the first look on: what somebody changes meanwhile is heard.
        let mut others = self.records.delivery.others();
        match others.begin().await {
            Err(error) if error.is_away() => {} // begins when the database comes
            begun => begun?,
        }
        let access = match self.records.stores.users.any_user().await {
            Ok(any) => outside(any),
            Err(error) if error.is_away() => {
                self.away.users.store(true, Ordering::Relaxed);
                nobody_gets_in(&error)
            }
            Err(error) => return Err(error.into()),
        };
        self.board.lock().access = access;
        match self.read_site().await {
            Err(SiteError::Store(error)) if error.is_away() => {
                self.away.cameras.store(true, Ordering::Relaxed);
                let known = self.known.read();
                self.put_up(Found { suspects: known.suspects, sightings: Vec::new(), reasons: Vec::new() }).await?;
                self.start_cameras(known.cameras).await?;
                self.assume_duties();
            }
            read => {
                read?;
                self.keep_duties().await;
            }
        }
        if let Some(warning) = &self.records.warning {
            self.trouble(About::Everybody, warning.clone());
        }
        self.load_pictures();
        Ok(others)
    }

    /// Again and again: reaches stores that are missing, and takes up what was away at the start.
    pub async fn take_up(self: &Arc<Self>) {
        let stores = &self.records.stores;
        stores.reach().await;
        let asked = stores.users.users_version().await;
        let now = self.records.clock.now();
        {
            let mut trouble = self.away.users_trouble.lock().unwrap_or_else(PoisonError::into_inner);
            let since = trouble.as_ref().map_or(now, |(_, since)| *since);
            *trouble = asked.as_ref().err().map(|error| (error.to_string(), since));
        }
        if self.away.users.load(Ordering::Relaxed)
            && let Ok(any) = stores.users.any_user().await
        {
            self.away.users.store(false, Ordering::Relaxed);
            let mut board = self.board.lock();
            if matches!(board.access, Access::LoggedOut { .. }) {
                board.access = outside(any);
            }
        }
        if self.away.cameras.load(Ordering::Relaxed) && stores.cameras.cameras_version().await.is_ok() {
            // What others write from here on is heard; what was recorded meanwhile belongs to what is read.
            tokio::time::sleep(HEARING_BEGINS).await;
            let _ = tokio::time::timeout(CATCH_UP_WITHIN, self.records.delivery.flush()).await;
            match self.read_site().await {
                Ok(()) => {
                    self.away.cameras.store(false, Ordering::Relaxed);
                    self.load_pictures();
                    self.show_earlier_uploads().await;
                    let text = "The cameras database answers: its cameras and suspects are taken up".to_owned();
                    self.board.lock().notice(now, NoticeLevel::Info, text, About::Everybody);
                }
                Err(error) => tracing::warn!("the cameras database is not taken up yet: {error}"),
            }
        }
    }

    async fn read_site(&self) -> Result<(), SiteError> {
        let store = &self.records.stores.cameras;
        let cameras = store.cameras().await?;
        let mut sightings = store.unfinished_sightings().await?;
        sightings.extend(store.sightings(None, SIGHTINGS_SHOWN).await?);
        let (suspects, reasons) = (store.suspects().await?, store.recent_reasons(REASONS_SHOWN).await?);
        self.put_up(Found { suspects, sightings, reasons }).await?;
        self.start_cameras(cameras).await
    }

    /// Follows the suspects and puts all on the board.
    async fn put_up(&self, found: Found) -> Result<(), SiteError> {
        let trusted = self.trusted_now().await.is_some(); // else every stay may look old
        let _order = self.order.lock().await;
        let now = self.records.clock.now();
        let alone = !self.records.stores.cameras.is_shared(); // else another console may be seeing it
        let mut events = Vec::new();
        {
            let mut follower = self.follower();
            for suspect in &found.suspects {
                events.extend(follower.take_over(suspect, now));
            }
        }
        let mut records = self.records_of(&events, None);
        {
            let mut board = self.board.lock();
            if !found.reasons.is_empty() {
                board.reasons = found.reasons;
            }
            for found in found.suspects {
                let suspect = match board.suspect(found.id) {
                    Some(known) => {
                        let mut both = known.suspect.clone();
                        both.merge(&found);
                        both
                    }
                    None => found,
                };
                board.put_suspect(suspect, None);
            }
            for mut sighting in found.sightings {
                if board.sighting(sighting.id).is_some() {
                    continue; // in both lists, or of this run
                }
                let abandoned = trusted && now.seconds_since(sighting.last_seen_at) > ABANDONED_SECONDS;
                if sighting.left_at.is_none() && (alone || abandoned) {
                    // The run that saw the entry ended before the exit: the last time seen is all that is known.
                    sighting.left_at = Some(sighting.last_seen_at);
                    records.push(Record::Sighting(sighting.clone()));
                }
                board.put_sighting(sighting, None);
            }
        }
        if !records.is_empty() {
            self.records.journal.append(&records).await?;
        }
        self.show(&events, None);
        self.learn_travel();
        Ok(())
    }

    /// Fetches the pictures of what earlier runs stored, without keeping anybody waiting. One that is not there, or whose store
    /// does not answer, is asked for again for a while.
    fn load_pictures(self: &Arc<Self>) {
        let shared = Arc::clone(self);
        self.runtime.spawn(async move {
            for _ in 0..PICTURE_ATTEMPTS {
                shared.load_suspects_pictures().await;
                shared.load_sightings_pictures().await;
                let (suspects, sightings) = shared.without_picture();
                if suspects.is_empty() && sightings.is_empty() {
                    return;
                }
                tokio::time::sleep(PICTURE_PAUSE).await;
            }
        });
    }

    async fn load_suspects_pictures(&self) {
        for suspect in self.without_picture().0 {
            if let Some(picture) = self.picture(&suspect.crop_url).await {
                self.board.lock().picture_of_suspect(suspect.id, picture);
            }
        }
    }

    async fn load_sightings_pictures(&self) {
        for sighting in self.without_picture().1 {
            if let Some(picture) = self.picture(&sighting.crop_url).await {
                self.board.lock().picture_of_sighting(sighting.id, picture);
            }
        }
    }

    /// What lacks its picture on the board: suspects, and sightings that wait for a decision.
    fn without_picture(&self) -> (Vec<Suspect>, Vec<Sighting>) {
        let board = self.board.lock();
        let suspects = board.suspects.iter().filter(|v| v.crop.is_none()).map(|v| v.suspect.clone()).collect();
        let waiting = |v: &Arc<super::SightingView>| v.crop.is_none() && v.sighting.decision.is_pending();
        (suspects, board.sightings().into_iter().filter(waiting).map(|v| v.sighting.clone()).collect())
    }
}

/// What the screen asks of whoever comes: to log in, or to be the first.
fn outside(any_user: bool) -> Access {
    if any_user { Access::LoggedOut { error: None, locked_until: None } } else { Access::FirstStart }
}
