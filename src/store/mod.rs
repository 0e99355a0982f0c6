//! The stores of a site: users, cameras with what was seen on them, the action log, and objects (pictures, videos).
//!
//! Each store is one module and speaks only of `model` values, so that a server can take the place of the embedded
//! backend without its callers noticing. What a method has returned `Ok` for is on disk.
pub mod actions;
pub mod address;
mod bookmarks;
pub mod cameras;
mod cases;
mod curves;
mod deleted;
mod duties;
mod examine;
pub mod file;
pub mod folder;
mod grounds;
mod jobs;
mod late;
pub mod looked;
pub mod objects;
pub mod owed;
mod password;
pub mod recordings;
mod references;
mod retention;
pub(crate) mod sql;
pub(crate) mod sqlite;
pub mod suspects;
mod timeline;
pub mod tracklets;
pub mod users;

use crate::model::Timestamp;

pub use actions::{ActionLog, LogCursor, LogFilter, LogIds, LogPage};
pub use address::{Address, AddressError, Addresses};
pub use cameras::{CameraStore, DetectionFilter};
pub use deleted::{DeletedBy, DeletedPiece};
pub use duties::{Duty, DutyWish};
pub use examine::{Examined, examine};
pub use folder::{DataFolder, FolderError, WorkFolder};
pub use objects::{ObjectStore, key_of_url, url_of_key};
pub use owed::{Book, Deleted, OwedEntry};
pub use password::PasswordProblem;
pub use references::{Miscount, Reference};
pub use retention::{Aged, Kept, Swept};
pub use suspects::SuspectStore;
pub use timeline::{Clothes, DetectionCount, stretch_minutes};
pub use tracklets::TrackletFilter;
pub use users::{LoginOutcome, NewUser, UserError, UserStore};

/// Why a store could not do what it was asked, in words for the operator. `place` is the file, folder or server, without
/// credentials.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// What is kept is not whole any more.
    #[error("{place} is damaged ({detail}). Put back a backup, or move it away to start with an empty one")]
    Damaged {
        /// Where.
        place: String,
        /// What was found.
        detail: String,
    },
    /// A newer Vigia wrote it.
    #[error(
        "{place} was written by a newer version of Vigia (schema {version}). Start that version; this one changed nothing"
    )]
    Newer {
        /// Where.
        place: String,
        /// The schema version that is not known here.
        version: i64,
    },
    /// No space left.
    #[error("the disk that holds {place} is full. Free some space; what was recorded before is safe")]
    Full {
        /// Where.
        place: String,
    },
    /// No permission to write.
    #[error("{place} cannot be written: it, its folder or its disk is read-only for this user")]
    ReadOnly {
        /// Where.
        place: String,
    },
    /// The server knows neither user nor password, or the account may not do this.
    #[error("{place} refuses this console: {detail}. Check the account in the configuration")]
    Denied {
        /// Where.
        place: String,
        /// What the server said, without credentials.
        detail: String,
    },
    /// The store does not answer; later it may.
    #[error("{place} cannot be used now: {detail}")]
    Unavailable {
        /// Where.
        place: String,
        /// What went wrong.
        detail: String,
    },
    /// The address, or what is there, is not what this store can use; waiting does not help.
    #[error("{place} cannot be used as it is configured: {detail}")]
    Misconfigured {
        /// Where.
        place: String,
        /// What is wrong, without credentials.
        detail: String,
    },
    /// The store works and refuses this record; trying again will not help.
    #[error("the record is not accepted: {0}")]
    BadRecord(String),
    /// Somebody else changed it after it was read.
    #[error("somebody else changed {0} meanwhile: look at what it is now, then change it again")]
    Changed(String),
}

impl StoreError {
    /// There is no backend for such an address.
    fn unknown_backend(address: &Address) -> Self {
        Self::Misconfigured {
            place: address.to_string(),
            detail: "this store has no backend for such an address".to_owned(),
        }
    }

    /// Whether the store does not answer now and may later.
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// Whether the record is at fault rather than the store.
    pub fn is_bad_record(&self) -> bool {
        matches!(self, Self::BadRecord(_))
    }
}

/// What a failed connection has to do with this console's clock, where its words say so: a certificate is judged by it, and a clock that is
/// wrong makes every server look like an impostor.
fn certificate_time(words: &str, now: Timestamp) -> Option<String> {
    let state = if words.contains("not valid yet") || words.contains("NotValidYet") {
        "is not valid yet"
    } else if words.contains("certificate expired") || words.contains("Expired") {
        "has expired"
    } else {
        return None;
    };
    let shown = now.local_date_time();
    Some(format!(
        "its certificate {state} by this console's clock, which shows {shown}: if that is wrong, set it, or have it set by NTP"
    ))
}

/// The stores of one site. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Stores {
    /// Who may log in.
    pub users: UserStore,
    /// Cameras, detections, suspects, sightings.
    pub cameras: CameraStore,
    /// What operators did.
    pub actions: ActionLog,
    /// Pictures and videos.
    pub objects: ObjectStore,
    /// The state of the suspects being followed.
    pub suspects: SuspectStore,
}

impl Stores {
    /// Opens the stores of a site: each where `addresses` says, else the embedded one of the data folder, created where
    /// missing. A server that does not answer is taken up later; until then its store says so to whoever asks.
    ///
    /// # Errors
    /// The first store that cannot be opened says why; none is changed by that.
    pub async fn open(folder: &DataFolder, addresses: &Addresses) -> Result<Self, StoreError> {
        let [users, cameras, actions, objects, suspects] = addresses.in_folder(folder);
        Ok(Self {
            users: UserStore::connect_late(&users).await?,
            cameras: CameraStore::connect_late(&cameras).await?,
            actions: ActionLog::connect_late(&actions).await?,
            objects: ObjectStore::connect_late(&objects).await?,
            suspects: SuspectStore::connect(&suspects)?,
        })
    }

    /// The stores whose servers have not answered since the start, and why. Cheap.
    pub fn missing(&self) -> Vec<(&'static str, String)> {
        [
            ("users", self.users.trouble()),
            ("cameras", self.cameras.trouble()),
            ("action log", self.actions.trouble()),
            ("objects", self.objects.trouble()),
        ]
        .into_iter()
        .filter_map(|(store, trouble)| Some((store, trouble?)))
        .collect()
    }

    /// Tries to reach the stores that are [missing](Self::missing), all at once.
    pub async fn reach(&self) {
        tokio::join!(self.users.reach(), self.cameras.reach(), self.actions.reach(), self.objects.reach());
    }
}
