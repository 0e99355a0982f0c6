//! Where a store is: an embedded one by its path, a server by its address.
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, path::Path};

/// The address of one store: `sqlite:PATH`, `file:PATH`, `memory:`, `postgres://…`, `mongodb://…`, `s3://…`, `redis://…`.
///
/// It may carry credentials, so whatever shows it ([`fmt::Display`], [`fmt::Debug`], serialisation) leaves them out.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(String);

/// Why a text is not the address of a store.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// No known kind of store.
    #[error("an address starts with sqlite:, file:, memory:, postgres://, mongodb://, s3:// or redis://")]
    Scheme,
}

/// Schemes by what they mean; the alternatives of one server come from the server's own documentation.
const SCHEMES: [&str; 11] = [
    "sqlite",
    "file",
    "memory",
    "postgres",
    "postgresql",
    "mongodb",
    "mongodb+srv",
    "s3",
    "s3+http",
    "redis",
    "rediss",
];

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    /// [`AddressError`]: not an address of a store.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let scheme = text.split_once(':').map(|(scheme, _)| scheme).unwrap_or_default();
        if SCHEMES.contains(&scheme) { Ok(Self(text.to_owned())) } else { Err(AddressError::Scheme) }
    }

    /// The address of an SQLite file.
    pub fn sqlite(path: &Path) -> Self {
        Self(format!("sqlite:{}", path.display()))
    }

    /// The address of a folder.
    pub fn folder(path: &Path) -> Self {
        Self(format!("file:{}", path.display()))
    }

    /// What comes before the first colon.
    pub fn scheme(&self) -> &str {
        self.0.split_once(':').map(|(scheme, _)| scheme).unwrap_or_default()
    }

    /// The path of an embedded store (`sqlite:`, `file:`); `None` for servers.
    pub fn path(&self) -> Option<&Path> {
        match self.0.split_once(':') {
            Some(("sqlite" | "file", path)) => Some(Path::new(path.strip_prefix("//").unwrap_or(path))),
            _ => None,
        }
    }

    /// The whole address, with its credentials: for the driver alone, never to be shown.
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path() {
            Some(path) => write!(f, "{}", path.display()),
            None => f.write_str(&crate::model::redact_url(&self.0)),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// Where each store of a site is; `None` is the embedded one in the data folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Addresses {
    /// Who may log in: `sqlite:` or `postgres:`.
    pub users: Option<Address>,
    /// Cameras, detections, suspects, sightings: `sqlite:` or `postgres:`.
    pub cameras: Option<Address>,
    /// The action log: `sqlite:` or `mongodb:`.
    pub action_logs: Option<Address>,
    /// Pictures and videos: `file:` or `s3:`.
    pub objects: Option<Address>,
    /// State of the suspects being followed: `memory:` or `redis:`.
    pub suspects: Option<Address>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_never_shown() {
        let address = Address::parse("postgres://vigia:s3cret@db.example/users?sslmode=verify-full").unwrap();
        for shown in [address.to_string(), format!("{address:?}"), serde_json::to_string(&address).unwrap()] {
            assert!(shown.contains("db.example/users") && !shown.contains("s3cret"), "{shown}");
        }
        assert!(address.secret().contains("s3cret"));
        assert_eq!(address.path(), None);
        assert_eq!(Address::sqlite(Path::new("/a/b.sqlite")).path(), Some(Path::new("/a/b.sqlite")));
        assert!(Address::parse("http://x").is_err());
    }
}
