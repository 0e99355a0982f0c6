//! Where a store is: an embedded one by its path, a server by its address.
use super::DataFolder;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, path::Path};

/// The address of one store: `sqlite:PATH`, `file:PATH`, `memory:`, `postgres://…`, `mongodb://…`, `s3://…`, `redis://…`.
///
/// `${NAME}` stands for an environment variable and `${file:PATH}` for the first line of a file, so that passwords need not be in
/// the configuration: percent-encoded in the address of a server, as they are in a path. There are no defaults.
///
/// It may carry credentials, so whatever shows it ([`fmt::Display`], [`fmt::Debug`], serialisation) leaves them out.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(String);

/// Why a text is not the address of a store. Never says a secret.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// No known kind of store.
    #[error("an address starts with sqlite:, file:, memory:, postgres://, mongodb://, s3:// or redis://")]
    Scheme,
    /// An environment variable that the address needs.
    #[error("the environment variable {0} is not set, and an address needs it")]
    Variable(String),
    /// A file that the address needs.
    #[error("the first line of {path} cannot be read, and an address needs it: {detail}")]
    File {
        /// The file.
        path: String,
        /// What went wrong.
        detail: String,
    },
    /// `${` without its end.
    #[error("an address has ${{ without the }} that ends it")]
    Unended,
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
    /// Reads an address, with its variables and files.
    ///
    /// # Errors
    /// [`AddressError`]: not an address of a store, or a variable or file is missing.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let (scheme, rest) = text.split_once(':').ok_or(AddressError::Scheme)?;
        let embedded = matches!(scheme, "sqlite" | "file" | "memory");
        if !SCHEMES.contains(&scheme) || !(embedded || rest.starts_with("//")) {
            return Err(AddressError::Scheme);
        }
        Ok(Self(expand(text, !embedded, |name| std::env::var(name).ok())?))
    }

    /// The address of an SQLite file.
    pub fn sqlite(path: &Path) -> Self {
        Self(format!("sqlite:{}", path.display()))
    }

    /// The address of a folder.
    pub fn folder(path: &Path) -> Self {
        Self(format!("file:{}", path.display()))
    }

    /// The address of a store in memory.
    pub fn memory() -> Self {
        Self("memory:".to_owned())
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

/// `text` with every `${…}` replaced by what it stands for.
fn expand(text: &str, encode: bool, variable: impl Fn(&str) -> Option<String>) -> Result<String, AddressError> {
    let mut parts = text.split("${");
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').ok_or(AddressError::Unended)?;
        let value = match name.strip_prefix("file:") {
            Some(path) => first_line(path)?,
            None => variable(name)
                .filter(|value| !value.is_empty())
                .ok_or_else(|| AddressError::Variable(name.to_owned()))?,
        };
        whole += &if encode { percent_encoded(&value) } else { value };
        whole += rest;
    }
    Ok(whole)
}

fn first_line(path: &str) -> Result<String, AddressError> {
    let failed = |detail: String| AddressError::File { path: path.to_owned(), detail };
    let text = std::fs::read_to_string(path).map_err(|e| failed(e.to_string()))?;
    let line = text.lines().next().filter(|line| !line.is_empty());
    line.map(str::to_owned).ok_or_else(|| failed("it is empty".to_owned()))
}

/// Everything but the unreserved characters of RFC 3986 (section 2.3) as %XX.
fn percent_encoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
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
    /// The state of the suspects being followed: `memory:` or `redis:`.
    pub suspects: Option<Address>,
}

impl Addresses {
    /// Where each store is, in the order of the fields; one without an address is the embedded one in this folder.
    pub fn in_folder(&self, folder: &DataFolder) -> [Address; 5] {
        let Self { users, cameras, action_logs, objects, suspects } = self.clone();
        [
            users.unwrap_or_else(|| Address::sqlite(&folder.users())),
            cameras.unwrap_or_else(|| Address::sqlite(&folder.cameras())),
            action_logs.unwrap_or_else(|| Address::sqlite(&folder.actions())),
            objects.unwrap_or_else(|| Address::folder(&folder.objects())),
            suspects.unwrap_or_else(Address::memory),
        ]
    }
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

    #[test]
    fn secrets_come_from_the_environment_and_from_files_and_are_never_defaulted() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("password");
        std::fs::write(&file, "p@ss w/rd%\nsecond line\n").unwrap();
        let variable = |name: &str| match name {
            "DB_USER" => Some("vigia".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let text = format!("postgres://${{DB_USER}}:${{file:{}}}@db.example/users", file.display());
        assert_eq!(expand(&text, true, variable).unwrap(), "postgres://vigia:p%40ss%20w%2Frd%25@db.example/users");
        let path = Address::parse("sqlite:${CARGO_MANIFEST_DIR}/a b.sqlite").unwrap();
        assert_eq!(path.path(), Some(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/a b.sqlite"))));

        for missing in ["ABSENT", "EMPTY"] {
            let error = expand(&format!("redis://:${{{missing}}}@h"), true, variable).unwrap_err();
            assert!(matches!(&error, AddressError::Variable(name) if name == missing), "{error}");
            assert!(error.to_string().contains(missing), "{error}");
        }
        std::fs::write(&file, "\n").unwrap();
        for file in [file, dir.path().join("absent")] {
            let error = expand(&format!("redis://:${{file:{}}}@h", file.display()), true, variable).unwrap_err();
            assert!(error.to_string().contains(&file.display().to_string()), "{error}");
        }
        assert!(matches!(expand("redis://${DB_USER", true, variable), Err(AddressError::Unended)));
    }

    #[test]
    fn a_server_is_named_with_two_slashes() {
        for text in ["postgres:user:s3cret@host", "redis:x", "s3:bucket", "nothing", ""] {
            assert!(matches!(Address::parse(text), Err(AddressError::Scheme)), "{text}");
        }
        assert!(Address::parse("memory:").is_ok());
    }
}
