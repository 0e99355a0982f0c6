//! What investigators keep beside the recordings: bookmarks, cases and holds, known here, kept up with the other consoles, and shown to
//! those whom it is for.
use super::{Shared, SuspectView, gate::HIDDEN_CAMERA};
use crate::{
    model::{
        Bookmark, BookmarkId, CameraId, Case, CaseFact, CaseId, Hold, Picture, Rights, Suspect, SuspectId, Timestamp,
        User,
    },
    store::StoreError,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use uuid::Uuid;

/// Bookmarks known at once, the newest.
pub(super) const MOST: u32 = 20_000;

/// What whoever is at the console may know.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CaseworkState {
    /// Bookmarks on cameras that the user may see, the latest instant first.
    pub bookmarks: Vec<Bookmark>,
    /// The cases that the user works on, the newest first; for administrators all.
    pub cases: Vec<CaseView>,
}

/// A case with what belongs to it. Of what is on a camera that the user may not see it tells when and what, and
/// [`Uuid::nil`] as the camera.
#[derive(Clone, Debug, PartialEq)]
pub struct CaseView {
    /// The case.
    pub case: Case,
    /// Its suspects, also those whom the user has never seen.
    pub suspects: Vec<CaseSuspect>,
    /// Its bookmarks, the latest instant first.
    pub bookmarks: Vec<Bookmark>,
    /// What is held for it, lifted holds too, the newest first.
    pub holds: Vec<Hold>,
}

/// A suspect of a case: what there is to know of whoever was seen where one may not look.
#[derive(Clone, Debug, PartialEq)]
pub struct CaseSuspect {
    /// Who.
    pub id: SuspectId,
    /// Short name; empty for one whose record is gone.
    pub label: String,
    /// The colour it is drawn in, sRGB.
    pub colour: [u8; 3],
    /// Why it was marked.
    pub reason: String,
    /// When.
    pub marked_at: Timestamp,
    /// Its picture, for who may see where it was taken; `None` until loaded.
    pub crop: Option<Picture>,
}

/// What is known, whoever may see it. It only grows, so that what was read late undoes nothing; but for bookmarks that retention
/// deleted.
#[derive(Default)]
pub(super) struct Casework(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// The version that was read last.
    read: Option<String>,
    bookmarks: BTreeMap<BookmarkId, Bookmark>,
    facts: BTreeMap<Uuid, CaseFact>,
    holds: BTreeMap<Uuid, Hold>,
    /// What the facts make.
    cases: Vec<Case>,
    /// Grows with every change of the above.
    changes: u64,
    shown: Option<Shown>,
}

/// What was shown last, and to whom: made anew only when something changes.
struct Shown {
    user: User,
    rights: Rights,
    changes: u64,
    /// Suspects change on their own.
    suspects: Vec<(SuspectId, Timestamp, bool)>,
    state: Arc<CaseworkState>,
}

impl Casework {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a bookmark up, or that it was removed.
    pub fn take_bookmark(&self, bookmark: Bookmark) {
        self.known().take_bookmark(bookmark);
    }

    /// Takes up what was done to cases.
    pub fn take_facts(&self, facts: impl IntoIterator<Item = CaseFact>) {
        self.known().take_facts(facts);
    }

    /// Takes a hold up, or that it was lifted.
    pub fn take_hold(&self, hold: Hold) {
        self.known().take_hold(hold);
    }

    /// Forgets bookmarks that retention deleted.
    pub fn forget_bookmarks(&self, mut gone: impl FnMut(&Bookmark) -> bool) {
        let mut known = self.known();
        let before = known.bookmarks.len();
        known.bookmarks.retain(|_, b| !gone(b));
        known.changes += u64::from(known.bookmarks.len() < before);
    }

    /// A bookmark that is there and that the user may see.
    pub fn bookmark(&self, id: BookmarkId, user: &User, rights: &Rights) -> Option<Bookmark> {
        let known = self.known();
        known.bookmarks.get(&id).filter(|b| known.shows(b, user, rights)).cloned()
    }

    /// A case that is for this user.
    pub fn case(&self, id: CaseId, user: &User) -> Option<Case> {
        self.known().cases.iter().find(|c| c.id == id && c.is_for(user)).cloned()
    }

    /// The instant of what is done now to a case: later than all that was done to it before, whatever the clock of the console that
    /// did it said.
    pub fn after(&self, case: CaseId, now: Timestamp) -> Timestamp {
        let known = self.known();
        let last = known.facts.values().filter(|f| f.case == case).map(|f| f.at).max();
        last.map_or(now, |at| now.max(at.plus(Duration::from_micros(1))))
    }

    /// The cases that are not closed, whoever works on them.
    pub fn open_cases(&self) -> Vec<Case> {
        self.known().cases.iter().filter(|c| c.closed.is_none()).cloned().collect()
    }

    /// Whether it was read from the store since the start.
    pub fn is_read(&self) -> bool {
        self.known().read.is_some()
    }

    /// A hold for a case that is for this user, on cameras that the user may see.
    pub fn hold(&self, id: Uuid, user: &User, rights: &Rights) -> Option<(Hold, Case)> {
        let known = self.known();
        let hold = known.holds.get(&id).filter(|h| may_hold(h.camera, rights))?;
        let case = known.cases.iter().find(|c| Some(c.id) == hold.case && c.is_for(user))?;
        Some((hold.clone(), case.clone()))
    }

    /// What is held now for a case.
    pub fn holds_of(&self, case: CaseId) -> Vec<Hold> {
        let known = self.known();
        known.holds.values().filter(|h| h.case == Some(case) && h.released.is_none()).cloned().collect()
    }

    /// What is held now as far as this console knows, for all cases.
    pub fn holds(&self) -> Vec<Hold> {
        self.known().holds.values().filter(|h| h.released.is_none()).cloned().collect()
    }

    /// For the screen: what is for this user.
    pub fn state(&self, user: &User, rights: &Rights, suspects: &[Arc<SuspectView>]) -> Arc<CaseworkState> {
        let mut known = self.known();
        let of = |id: SuspectId| suspects.iter().map(|v| &**v).find(|v| v.suspect.id == id);
        let ids = known.cases.iter().filter(|c| c.is_for(user)).flat_map(|c| &c.suspects);
        let versions: Vec<_> = ids
            .map(|id| of(*id).map_or((*id, Timestamp(0), false), |v| (*id, v.suspect.changed_at, v.crop.is_some())))
            .collect();
        if let Some(shown) = &known.shown
            && shown.changes == known.changes
            && shown.user == *user
            && shown.rights == *rights
            && shown.suspects == versions
        {
            return Arc::clone(&shown.state);
        }
        let mut bookmarks: Vec<_> =
            known.bookmarks.values().filter(|b| known.shows(b, user, rights)).cloned().collect();
        bookmarks.sort_by_key(latest);
        let cases = known.cases.iter().rev().filter(|c| c.is_for(user));
        let cases = cases.map(|case| known.view(case.clone(), rights, &of)).collect();
        let state = Arc::new(CaseworkState { bookmarks, cases });
        known.shown = Some(Shown {
            user: user.clone(),
            rights: rights.clone(),
            changes: known.changes,
            suspects: versions,
            state: Arc::clone(&state),
        });
        state
    }
}

impl Known {
    fn take_bookmark(&mut self, bookmark: Bookmark) {
        self.changes += 1;
        self.bookmarks.entry(bookmark.id).and_modify(|known| known.merge(&bookmark)).or_insert(bookmark);
    }

    fn take_facts(&mut self, facts: impl IntoIterator<Item = CaseFact>) {
        let before = self.facts.len();
        self.facts.extend(facts.into_iter().map(|fact| (fact.id, fact)));
        if self.facts.len() > before {
            self.changes += 1;
            self.cases = Case::of(self.facts.values());
        }
    }

    fn take_hold(&mut self, hold: Hold) {
        self.changes += 1;
        let known = self.holds.entry(hold.id).or_insert_with(|| hold.clone());
        known.released = known.released.take().or(hold.released); // lifted stays lifted
    }

    /// Whether the bookmark is there, and for this user.
    fn shows(&self, b: &Bookmark, user: &User, rights: &Rights) -> bool {
        let works_on = |id| self.cases.iter().any(|c| c.id == id && c.is_for(user));
        b.removed.is_none() && b.camera.is_none_or(|camera| rights.allow(camera)) && b.case.is_none_or(works_on)
    }

    fn view<'a>(&self, case: Case, rights: &Rights, of: &impl Fn(SuspectId) -> Option<&'a SuspectView>) -> CaseView {
        let seen = |camera: Option<CameraId>| camera.map(|id| if rights.allow(id) { id } else { HIDDEN_CAMERA });
        let own = self.bookmarks.values().filter(|b| b.case == Some(case.id) && b.removed.is_none());
        let mut bookmarks: Vec<_> = own.map(|b| Bookmark { camera: seen(b.camera), ..b.clone() }).collect();
        bookmarks.sort_by_key(latest);
        let held = self.holds.values().filter(|h| h.case == Some(case.id));
        let mut holds: Vec<_> = held.map(|h| Hold { camera: seen(h.camera), ..h.clone() }).collect();
        holds.sort_by_key(|h| (std::cmp::Reverse(h.placed_at), h.id));
        let suspect = |id: &SuspectId| {
            let view = of(*id);
            // Whoever works on the case is told why its suspects were marked; a picture is only for who may look there.
            let crop = view.filter(|v| rights.allow(v.suspect.camera)).and_then(|v| v.crop.clone());
            let Suspect { label, colour, reason, marked_at, .. } = view.map(|v| v.suspect.clone())?;
            Some(CaseSuspect { id: *id, label, colour, reason, marked_at, crop })
        };
        let gone = |id: &SuspectId| CaseSuspect {
            id: *id,
            label: String::new(),
            colour: [128; 3],
            reason: String::new(),
            marked_at: Timestamp(0),
            crop: None,
        };
        let suspects = case.suspects.iter().map(|id| suspect(id).unwrap_or_else(|| gone(id))).collect();
        CaseView { case, suspects, bookmarks, holds }
    }
}

fn latest(b: &Bookmark) -> (std::cmp::Reverse<Timestamp>, BookmarkId) {
    (std::cmp::Reverse(b.from), b.id)
}

/// Whether somebody with these rights may hold this camera's video, or that of all, and let it go again.
pub(super) fn may_hold(camera: Option<CameraId>, rights: &Rights) -> bool {
    camera.map_or(*rights == Rights::All, |id| rights.allow(id))
}

impl Shared {
    /// Once a second: what other consoles changed; at first everything.
    pub(super) async fn read_casework(&self) {
        if let Err(error) = self.read_changed_casework().await
            && !error.is_away()
        {
            tracing::warn!(%error, "bookmarks and cases cannot be read");
        }
    }

    async fn read_changed_casework(&self) -> Result<(), StoreError> {
        let store = &self.records.stores.cameras;
        let read = self.casework.known().read.clone();
        if read.is_some() && !store.is_shared() {
            return Ok(()); // nobody else changes anything
        }
        let version = store.casework_version().await?;
        if read.as_ref() == Some(&version) {
            return Ok(());
        }
        let (bookmarks, facts, holds) = (store.bookmarks(MOST).await?, store.case_facts().await?, store.holds().await?);
        let mut known = self.casework.known();
        bookmarks.into_iter().for_each(|b| known.take_bookmark(b));
        known.take_facts(facts);
        holds.into_iter().for_each(|h| known.take_hold(h));
        known.read = Some(version);
        Ok(())
    }
}
