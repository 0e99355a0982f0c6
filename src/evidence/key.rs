//! The site's key: it signs packages of evidence, and never leaves the data folder.
use ring::{
    rand::SystemRandom,
    signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey},
};
use std::{
    fmt,
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};
use uuid::Uuid;

/// Why there is no key to sign with.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It cannot be read or made.
    #[error("the site's key {} cannot be used: {why}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        why: io::Error,
    },
    /// What is there is not a key.
    #[error("the site's key {} is damaged. Put it back from a backup; with another key nobody can check new packages by the old public key", .0.display())]
    Damaged(PathBuf),
    /// Others may read it.
    #[error("the site's key {} can be read by other users: take that right away (chmod 600), and think of whether somebody has it", .0.display())]
    Exposed(PathBuf),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers for a key")]
    Random,
    /// Not a public key.
    #[error("a public key is 64 hexadecimal digits, as `vigia evidence key` prints it")]
    Public,
}

/// The pair of keys of a site.
pub struct SiteKey(Ed25519KeyPair);

impl SiteKey {
    /// The key in this file, made where there is none. The file is its owner's alone.
    ///
    /// # Errors
    /// [`KeyError`]: unreadable, damaged, or readable by others.
    pub fn open(path: &Path) -> Result<Self, KeyError> {
        let failed = |why| KeyError::Io { path: path.to_owned(), why };
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                make(path)?;
                fs::read(path).map_err(failed)?
            }
            Err(e) => return Err(failed(e)),
        };
        if fs::metadata(path).map_err(failed)?.permissions().mode() & 0o077 != 0 {
            return Err(KeyError::Exposed(path.to_owned()));
        }
        Ed25519KeyPair::from_pkcs8(&bytes).map(Self).map_err(|_| KeyError::Damaged(path.to_owned()))
    }

    /// What others check signatures by.
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(self.0.public_key().as_ref()).for_each(|(to, from)| *to = *from);
        PublicKey(bytes)
    }

    /// The signature of a message: 64 bytes.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).as_ref().to_vec()
    }
}

/// Makes a key and gives it its place whole; of two at once the first stays.
fn make(path: &Path) -> Result<(), KeyError> {
    let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| KeyError::Random)?;
    let folder = crate::store::file::folder_of(path);
    let temporary = folder.join(format!(".{}", Uuid::new_v4()));
    let made = (|| {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(key.as_ref())?;
        file.sync_all()?;
        fs::hard_link(&temporary, path)?; // unlike a renaming, it takes nobody's place
        fs::File::open(folder)?.sync_all()
    })();
    let _ = fs::remove_file(&temporary);
    match made {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(KeyError::Io { path: path.to_owned(), why: e }),
        _ => Ok(()),
    }
}

/// A site's public key, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Reads what [`fmt::Display`] writes.
    ///
    /// # Errors
    /// [`KeyError::Public`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        crate::model::Hash::parse(text.trim()).map(|bytes| Self(bytes.0)).ok_or(KeyError::Public)
    }

    /// Whether this key's owner signed exactly this.
    pub fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(message, signature).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_stays_and_is_its_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys").join("evidence.key");
        let made = SiteKey::open(&path).unwrap();
        let again = SiteKey::open(&path).unwrap();
        assert_eq!(made.public(), again.public());
        assert_eq!(PublicKey::parse(&format!(" {}\n", made.public())).unwrap(), made.public());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
        let signature = made.sign(b"list");
        assert!(again.public().has_signed(b"list", &signature));
        assert!(
            !again.public().has_signed(b"List", &signature) && !again.public().has_signed(b"list", &signature[1..])
        );
    }

    #[test]
    fn a_key_that_others_read_and_one_that_is_none_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("evidence.key");
        SiteKey::open(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(SiteKey::open(&path), Err(KeyError::Exposed(_))));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "no key").unwrap();
        assert!(matches!(SiteKey::open(&path), Err(KeyError::Damaged(_))));
        assert!(PublicKey::parse("12").is_err());
    }
}
