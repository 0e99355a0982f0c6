//! The stores of a site: users, cameras with what was seen on them, the action log, and objects (pictures, videos).
//!
//! Each store is one module and speaks only of `model` values, so that a server can take the place of the embedded
//! backend without its callers noticing. What a method has returned `Ok` for is on disk.
pub mod actions;
pub mod cameras;
pub mod folder;
pub mod objects;
mod password;
pub(crate) mod sqlite;
pub mod users;

pub use actions::{ActionLog, LogIds};
pub use cameras::{CameraStore, DetectionFilter};
pub use folder::{DataFolder, FolderError};
pub use objects::{ObjectStore, key_of_url, url_of_key};
pub use password::PasswordProblem;
pub use users::{LoginOutcome, NewUser, UserError, UserStore};

use std::path::PathBuf;

/// Why a store could not do what it was asked, in words for the operator.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file is not a whole database any more.
    #[error(
        "{} is damaged ({detail}). Put back a backup, or move the file away to start with an empty one",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// A newer Vigia wrote the file.
    #[error(
        "{} was written by a newer version of Vigia (schema {version}). Start that version; this one changed nothing",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The schema version that is not known here.
        version: i64,
    },
    /// No space left.
    #[error("the disk that holds {} is full. Free some space; what was recorded before is safe", path.display())]
    Full {
        /// The file or folder.
        path: PathBuf,
    },
    /// No permission to write.
    #[error("{} cannot be written: it, its folder or its disk is read-only for this user", path.display())]
    ReadOnly {
        /// The file or folder.
        path: PathBuf,
    },
    /// The store does not answer; later it may.
    #[error("{} cannot be used now: {detail}", path.display())]
    Unavailable {
        /// The file or folder.
        path: PathBuf,
        /// What went wrong.
        detail: String,
    },
    /// The store works and refuses this record; trying again will not help.
    #[error("the record is not accepted: {0}")]
    BadRecord(String),
}

impl StoreError {
    /// Whether the record is at fault rather than the store.
    pub fn is_bad_record(&self) -> bool {
        matches!(self, Self::BadRecord(_))
    }
}

/// The four stores of one site. Cloning shares them.
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
}

impl Stores {
    /// Opens the embedded stores of a data folder; a new folder gets empty ones.
    ///
    /// # Errors
    /// The first store that cannot be opened says why; none is changed by that.
    pub async fn open(folder: &DataFolder) -> Result<Self, StoreError> {
        Ok(Self {
            users: UserStore::open(folder.users()).await?,
            cameras: CameraStore::open(folder.cameras()).await?,
            actions: ActionLog::open(folder.actions()).await?,
            objects: ObjectStore::open(folder.objects())?,
        })
    }
}
