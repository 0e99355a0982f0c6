//! A user as everybody may see them: never with the password.
use serde::{Deserialize, Serialize};

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
}
