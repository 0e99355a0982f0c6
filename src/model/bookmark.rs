//! Bookmarks: instants and stretches of time to which an investigator wants to come back.
use super::{CameraId, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A bookmark's identity.
pub type BookmarkId = Uuid;

/// Somebody's words about an instant or a stretch of one camera, or of all. It never changes but once: when it is removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bookmark {
    /// Identity.
    pub id: BookmarkId,
    /// On which camera; `None`: on all.
    pub camera: Option<CameraId>,
    /// From when on.
    pub from: Timestamp,
    /// To when; the same as [`from`](Self::from) for an instant.
    pub until: Timestamp,
    /// What there is to see.
    pub words: String,
    /// The case it belongs to: then it is for the people on that case alone.
    pub case: Option<Uuid>,
    /// Who made it: `users.cc`.
    pub made_by: String,
    /// Full name at the time.
    pub made_by_name: String,
    /// When it was made.
    pub made_at: Timestamp,
    /// Who removed it (`users.cc`), and when.
    pub removed: Option<(String, Timestamp)>,
}

impl Bookmark {
    /// The most letters of [`words`](Self::words).
    pub const WORDS: usize = 300;

    /// Takes over what another version knows: a bookmark that was removed stays so.
    pub fn merge(&mut self, other: &Self) {
        let both = self.removed.take().into_iter().chain(other.removed.clone());
        self.removed = both.min_by(|(by, at), (other, then)| at.cmp(then).then(by.cmp(other)));
    }
}
