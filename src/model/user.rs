//! A user as everybody may see them: never with the password.
use super::CameraId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One row of `users`, without the password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Citizen-card or badge number: the identity.
    pub cc: String,
    /// E-mail address.
    pub email: String,
    /// Full name.
    pub name: String,
    /// May manage users and cameras and read the logs.
    pub is_admin: bool,
    /// A deactivated user cannot log in.
    pub active: bool,
    /// Grows with every change: an edit of an older version is refused.
    pub version: i64,
}

/// Which cameras a user may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Every camera.
    All,
    /// These and no others; what is not among them does not exist for the user.
    Only(BTreeSet<CameraId>),
}

impl Rights {
    /// Whether the camera may be seen.
    pub fn allow(&self, camera: CameraId) -> bool {
        match self {
            Self::All => true,
            Self::Only(cameras) => cameras.contains(&camera),
        }
    }

    /// Whether all that may be seen under the others may be seen under these.
    pub fn covers(&self, others: &Self) -> bool {
        match (self, others) {
            (Self::All, _) => true,
            (Self::Only(_), Self::All) => false,
            (Self::Only(these), Self::Only(others)) => others.is_subset(these),
        }
    }
}
