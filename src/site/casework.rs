//! What investigators keep beside the recordings: known here, kept up with the other consoles, and shown to those whom it is for.
use super::Shared;
use crate::{
    model::{Bookmark, BookmarkId, Rights, User},
    store::StoreError,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Bookmarks known at once, the newest.
const MOST: u32 = 20_000;

/// What whoever is at the console may know.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CaseworkState {
    /// Bookmarks, the latest instant first.
    pub bookmarks: Vec<Bookmark>,
}

/// What is known, whoever may see it. It only grows, so that what was read late undoes nothing.
#[derive(Default)]
pub(super) struct Casework(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// The version that was read last.
    read: Option<i64>,
    bookmarks: BTreeMap<BookmarkId, Bookmark>,
    /// Grows with every change of the above.
    changes: u64,
    shown: Option<Shown>,
}

/// What was shown last, and to whom: made anew only when something changes.
struct Shown {
    user: User,
    rights: Rights,
    changes: u64,
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

    /// A bookmark that is there and that the user may see.
    pub fn bookmark(&self, id: BookmarkId, rights: &Rights) -> Option<Bookmark> {
        self.known().bookmarks.get(&id).filter(|b| is_for(b, rights)).cloned()
    }

    /// For the screen: what is for this user.
    pub fn state(&self, user: &User, rights: &Rights) -> Arc<CaseworkState> {
        let mut known = self.known();
        if let Some(shown) = &known.shown
            && shown.changes == known.changes
            && shown.user == *user
            && shown.rights == *rights
        {
            return Arc::clone(&shown.state);
        }
        let mut bookmarks: Vec<_> = known.bookmarks.values().filter(|b| is_for(b, rights)).cloned().collect();
        bookmarks.sort_by_key(|b| (std::cmp::Reverse(b.from), b.id));
        let state = Arc::new(CaseworkState { bookmarks });
        let changes = known.changes;
        known.shown = Some(Shown { user: user.clone(), rights: rights.clone(), changes, state: Arc::clone(&state) });
        state
    }
}

impl Known {
    fn take_bookmark(&mut self, bookmark: Bookmark) {
        self.changes += 1;
        self.bookmarks.entry(bookmark.id).and_modify(|known| known.merge(&bookmark)).or_insert(bookmark);
    }
}

/// Whether it is there, and for somebody with these rights.
fn is_for(b: &Bookmark, rights: &Rights) -> bool {
    b.removed.is_none() && b.camera.is_none_or(|camera| rights.allow(camera))
}

impl Shared {
    /// Once a second: what other consoles changed; at first everything.
    pub(super) async fn read_casework(&self) {
        if let Err(error) = self.read_changed_casework().await
            && !error.is_away()
        {
            tracing::warn!(%error, "bookmarks cannot be read");
        }
    }

    async fn read_changed_casework(&self) -> Result<(), StoreError> {
        let store = &self.records.stores.cameras;
        let read = self.casework.known().read;
        if read.is_some() && !store.is_shared() {
            return Ok(()); // nobody else changes anything
        }
        let version = store.bookmarks_version().await?;
        if read == Some(version) {
            return Ok(());
        }
        let bookmarks = store.bookmarks(MOST).await?;
        let mut known = self.casework.known();
        bookmarks.into_iter().for_each(|b| known.take_bookmark(b));
        known.read = Some(version);
        Ok(())
    }
}
