//! What the screen sees, kept under one lock that is only ever held to copy.
use super::cards::Card;
use super::exporting::ExportJob;
use super::log::Desk;
use super::state::{About, Access, Notice, NoticeLevel, SightingView, SuspectView};
use super::{AdminState, SessionConfig, SessionTimes, Undo};
use crate::model::{ClockStep, Picture, Rights, Sighting, SightingId, Suspect, SuspectId, Timestamp};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Notices kept for a screen that was busy; older ones have been in the inbox all along.
const NOTICES: usize = 32;
/// Sightings kept for the screen.
const SIGHTINGS: usize = 500;
/// Reasons offered again.
const REASONS: usize = 8;

/// The shared board.
#[derive(Clone)]
pub(super) struct Board(Arc<Mutex<Contents>>);

/// A proposal that was confirmed, as it was before.
pub(super) struct Confirmed {
    pub suspect: SuspectId,
    pub until: Timestamp,
    /// Whose proposal it was.
    pub proposed_by: String,
    /// Who confirmed it.
    pub by: String,
}

pub(super) struct Contents {
    pub access: Access,
    /// Which cameras the user who is logged in may see.
    pub rights: Rights,
    /// Newest first.
    pub suspects: Vec<Arc<SuspectView>>,
    sightings: BTreeMap<SightingId, Arc<SightingView>>,
    pub reasons: Vec<String>,
    /// Of whoever is at the console.
    pub export: Option<ExportJob>,
    /// How often an export was planned or closed: a plan that comes after that is not shown.
    pub plans: u64,
    /// The movement on the map.
    pub movement: Option<super::map::Read>,
    /// Since when somebody is logged in, and when they used the console last.
    pub session: Option<(Timestamp, Timestamp)>,
    admin: Arc<AdminState>,
    /// The version of the users that were read last.
    pub users_read: i64,
    /// The action log, as far as it was read.
    pub log: Desk,
    pub notices: VecDeque<Notice>,
    serial: u64,
    /// Proposals that were confirmed here: until when they waited, who had marked them, and who has since.
    pub confirmed: Vec<Confirmed>,
    /// The card that is open.
    pub card: Option<Arc<Card>>,
}

impl Board {
    pub fn new(access: Access) -> Self {
        Self(Arc::new(Mutex::new(Contents {
            access,
            rights: Rights::All,
            suspects: Vec::new(),
            sightings: BTreeMap::new(),
            reasons: Vec::new(),
            export: None,
            plans: 0,
            movement: None,
            session: None,
            admin: Arc::default(),
            users_read: -1,
            log: Desk::default(),
            notices: VecDeque::new(),
            serial: 0,
            confirmed: Vec::new(),
            card: None,
        })))
    }

    /// The contents; hold the guard only to copy or to replace values.
    pub fn lock(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Contents {
    /// Tells whoever may know what it is about.
    pub fn notice(&mut self, at: Timestamp, level: NoticeLevel, text: String, about: About) {
        // The same trouble again and again is one notice.
        if level == NoticeLevel::Error && self.notices.back().is_some_and(|n| n.text == text && n.about == about) {
            return;
        }
        self.serial += 1;
        let sighting = if let About::Match { sighting, .. } = about { Some(sighting) } else { None };
        self.notices.push_back(Notice { serial: self.serial, at, level, text, sighting, about, undo: None });
        if self.notices.len() > NOTICES {
            self.notices.pop_front();
        }
    }

    /// Tells the user with this number what they did, with the way back.
    pub fn notice_undo(&mut self, at: Timestamp, text: String, user: &str, undo: Undo) {
        self.notice(at, NoticeLevel::Info, text, About::User(user.to_owned()));
        if let Some(notice) = self.notices.back_mut() {
            notice.undo = Some(undo);
        }
    }

    /// Lets somebody in, or says why not.
    pub fn enter(&mut self, access: Access, now: Timestamp) {
        self.session = matches!(access, Access::LoggedIn(_)).then_some((now, now));
        self.access = access;
    }

    /// When the session ends.
    pub fn session_times(&self, config: SessionConfig) -> Option<SessionTimes> {
        let (since, used_at) = self.session?;
        let minutes = |n: u32| Duration::from_secs(60 * u64::from(n));
        let ends_at_latest = since.plus(minutes(60 * config.longest_hours));
        let ends_at = used_at.plus(minutes(config.idle_minutes)).min(ends_at_latest);
        Some(SessionTimes { used_at, ends_at, ends_at_latest })
    }

    /// The clock was set: the session has lasted as long as before.
    pub fn clock_was_set(&mut self, step: ClockStep) {
        let moved = |at: Timestamp| Timestamp(at.0.saturating_add(step.by()));
        self.session = self.session.map(|(since, used_at)| (moved(since), moved(used_at)));
    }

    /// What answers to whoever is at the console.
    pub fn asker(&self) -> About {
        if let Access::LoggedIn(user) = &self.access { About::User(user.cc.clone()) } else { About::Everybody }
    }

    /// Whether an administrator is at the console.
    pub fn is_admin(&self) -> bool {
        matches!(&self.access, Access::LoggedIn(user) if user.is_admin)
    }

    pub fn admin(&self) -> &AdminState {
        &self.admin
    }

    pub fn change_admin(&mut self, change: impl FnOnce(&mut AdminState)) {
        change(Arc::make_mut(&mut self.admin));
    }

    /// What the screen of whoever is at the console may know of it: others than administrators only how their own command
    /// ended.
    pub fn admin_state(&self) -> Arc<AdminState> {
        if self.is_admin() {
            return Arc::clone(&self.admin);
        }
        let AdminState { answers, answer, .. } = &*self.admin;
        Arc::new(AdminState { answers: *answers, answer: answer.clone(), ..AdminState::default() })
    }

    /// Forgets what was read for the one who was at the console.
    pub fn leave(&mut self) {
        self.log = Desk::default();
        self.movement = None;
        self.confirmed.clear();
        self.card = None;
        self.plans += 1;
        if let Some(job) = self.export.take() {
            job.cancel();
        }
        self.session = self.session.filter(|_| matches!(self.access, Access::LoggedIn(_)));
        let answers = self.admin.answers;
        self.admin = Arc::new(AdminState { answers, ..AdminState::default() });
    }

    pub fn remember_reason(&mut self, reason: &str) {
        self.reasons.retain(|r| r != reason);
        self.reasons.insert(0, reason.to_owned());
        self.reasons.truncate(REASONS);
    }

    /// Adds or replaces; a picture already known is kept when none is given.
    pub fn put_suspect(&mut self, suspect: Suspect, crop: Option<Picture>) {
        match self.suspects.iter_mut().find(|s| s.suspect.id == suspect.id) {
            Some(view) => {
                let crop = crop.or_else(|| view.crop.clone());
                *view = Arc::new(SuspectView { suspect, crop });
            }
            None => {
                let place = self.suspects.partition_point(|s| s.suspect.marked_at > suspect.marked_at);
                self.suspects.insert(place, Arc::new(SuspectView { suspect, crop }));
            }
        }
    }

    /// Adds or replaces; a picture already known is kept when none is given. Only what waits for a decision keeps its picture, and
    /// of what is over and decided only the newest stay: the stores have the rest.
    pub fn put_sighting(&mut self, sighting: Sighting, crop: Option<Picture>) {
        let known = self.sightings.remove(&sighting.id).and_then(|v| v.crop.clone());
        let crop = crop.or(known).filter(|_| sighting.decision.is_pending());
        self.sightings.insert(sighting.id, Arc::new(SightingView { sighting, crop }));
        if self.sightings.len() > SIGHTINGS {
            let over = |s: &Sighting| s.left_at.is_some() && !s.decision.is_pending();
            let oldest = self.sightings.values().map(|v| &v.sighting).filter(|s| over(s)).min_by_key(|s| s.entered_at);
            if let Some(id) = oldest.map(|s| s.id) {
                self.sightings.remove(&id);
            }
        }
    }

    /// Takes sightings off that were deleted.
    pub fn forget_sightings(&mut self, ids: impl Iterator<Item = SightingId>) {
        for id in ids {
            self.sightings.remove(&id);
        }
    }

    /// Takes suspects off that were deleted.
    pub fn forget_suspects(&mut self, ids: &BTreeSet<SuspectId>) {
        self.suspects.retain(|v| !ids.contains(&v.suspect.id));
    }

    pub fn suspect(&self, id: SuspectId) -> Option<&SuspectView> {
        self.suspects.iter().find(|s| s.suspect.id == id).map(|v| &**v)
    }

    pub fn sighting(&self, id: SightingId) -> Option<&SightingView> {
        self.sightings.get(&id).map(|v| &**v)
    }

    /// The newest record, which may have changed since the picture was asked for, gets it.
    pub fn picture_of_suspect(&mut self, id: SuspectId, picture: Picture) {
        if let Some(view) = self.suspects.iter_mut().find(|v| v.suspect.id == id) {
            Arc::make_mut(view).crop = Some(picture);
        }
    }

    /// Like [`picture_of_suspect`](Self::picture_of_suspect); only what waits for a decision keeps its picture.
    pub fn picture_of_sighting(&mut self, id: SightingId, picture: Picture) {
        if let Some(view) = self.sightings.get_mut(&id).filter(|v| v.sighting.decision.is_pending()) {
            Arc::make_mut(view).crop = Some(picture);
        }
    }

    /// Sightings without an exit.
    pub fn open_sightings(&self) -> Vec<Sighting> {
        self.sightings.values().map(|v| &v.sighting).filter(|s| s.left_at.is_none()).cloned().collect()
    }

    /// The sighting like that which was seen last.
    pub fn last_sighting(&self, like: impl Fn(&Sighting) -> bool) -> Option<&Sighting> {
        self.sightings.values().map(|v| &v.sighting).filter(|s| like(s)).max_by_key(|s| s.last_seen_at)
    }

    /// Whether there is a sighting like that.
    pub fn has_sighting(&self, like: impl Fn(&Sighting) -> bool) -> bool {
        self.sightings.values().any(|v| like(&v.sighting))
    }

    /// The suspects that were seen where somebody with these rights may look.
    pub fn seen_on(&self, rights: &Rights) -> impl Iterator<Item = SuspectId> {
        self.sightings.values().map(|v| &v.sighting).filter(|s| rights.allow(s.camera)).map(|s| s.suspect)
    }

    pub fn sighting_count(&self) -> usize {
        self.sightings.len()
    }

    /// Newest first.
    pub fn sightings(&self) -> Vec<Arc<SightingView>> {
        let mut all: Vec<_> = self.sightings.values().cloned().collect();
        all.sort_by(|a, b| b.sighting.entered_at.cmp(&a.sighting.entered_at).then(a.sighting.id.cmp(&b.sighting.id)));
        all
    }
}
