//! Objects: frames, crops and videos, by key. In a folder, or in the buckets of an S3 server.
//!
//! A key is a relative path such as `crops/2026-11-22/0193….jpg`; its first part is its room. A record names an object as
//! `objects:` + key ([`url_of_key`]): the same address whatever backend holds it.
mod folder;
mod s3;
#[cfg(test)]
mod tests;

use super::{Address, StoreError, late::Late};
use crate::model::{Hash, Timestamp};
use folder::Folder;
use s3::S3Buckets;
use sha2::{Digest as _, Sha256};
use std::{
    fs::File,
    io::{self, Read as _},
    ops::Range,
    path::{Path, PathBuf},
    time::Duration,
};

const SCHEME: &str = "objects:";
const MAX_KEY: usize = 255;
/// The room of objects that can be locked: S3 offers locks only in buckets made for it.
const LOCKED_ROOM: &str = "anchors";
/// The longest life of an address that needs no account.
const LONGEST_PRESIGNED: Duration = Duration::from_secs(900);

/// The address under which records name the object with this key.
pub fn url_of_key(key: &str) -> String {
    format!("{SCHEME}{key}")
}

/// The key in an address that [`url_of_key`] made; `None` for any other address and for keys that are not allowed.
pub fn key_of_url(url: &str) -> Option<&str> {
    url.strip_prefix(SCHEME).filter(|key| is_key(key))
}

/// A room of lower-case ASCII letters, then parts of ASCII letters, digits, `-`, `_` and `.`, none of them starting with a
/// point, between single `/`; the last has one of the endings of [`content_type`].
fn is_key(key: &str) -> bool {
    key.len() <= MAX_KEY
        && content_type(key).is_some()
        && key.split_once('/').is_some_and(|(room, rest)| is_room(room) && rest.split('/').all(is_part))
}

/// Short enough to be the end of a bucket's name.
fn is_room(room: &str) -> bool {
    (1..=16).contains(&room.len()) && room.bytes().all(|b| b.is_ascii_lowercase())
}

fn is_part(part: &str) -> bool {
    !part.is_empty()
        && !part.starts_with('.')
        && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// What an object is, by the ending of its key.
pub fn content_type(key: &str) -> Option<&'static str> {
    Some(match key.rsplit_once('.')?.1 {
        "jpg" => "image/jpeg",
        "png" => "image/png",
        "json" => "application/json",
        "mp4" => "video/mp4",
        "mkv" => "video/x-matroska",
        "webm" => "video/webm",
        "264" => "video/H264", // RFC 6184
        "265" => "video/H265", // RFC 7798
        "dav" => "application/octet-stream",
        "mov" => "video/quicktime",
        "avi" => "video/x-msvideo",
        "ts" => "video/mp2t",
        "mpg" => "video/mpeg",
        "ogv" => "video/ogg",
        "flv" => "video/x-flv",
        "wmv" => "video/x-ms-wmv",
        "y4m" => "video/x-yuv4mpeg",
        _ => return None,
    })
}

/// One object of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// Its length in bytes.
    pub size: u64,
}

/// Called with the bytes of a file that are stored so far.
pub type Progress<'a> = &'a (dyn Fn(u64) + Send + Sync);

/// Objects by key. An object is whole or absent, and never changes once written. Cloning shares the store.
#[derive(Clone, Debug)]
pub struct ObjectStore(Late<Backend>);

#[derive(Debug)]
enum Backend {
    Folder(Folder),
    S3(S3Buckets),
}

impl Backend {
    async fn connect(address: &Address) -> Result<Self, StoreError> {
        match (address.scheme(), address.path()) {
            ("file", Some(path)) => Ok(Self::Folder(Folder::open(path.to_owned())?)),
            ("s3" | "s3+http", _) => Ok(Self::S3(S3Buckets::connect(address).await?)),
            _ => Err(StoreError::unknown_backend(address)),
        }
    }
}

/// Calls the same method of whichever backend it is.
macro_rules! each {
    ($store:expr, $backend:ident => $call:expr) => {
        match $store.0.get().await? {
            Backend::Folder($backend) => $call,
            Backend::S3($backend) => $call,
        }
    };
}

impl ObjectStore {
    /// Opens the store at `address`: `file:FOLDER`, `s3://KEY:SECRET@HOST[:PORT]/PREFIX[?region=R&ca=FILE]` over TLS, or
    /// `s3+http://…` for a server on this machine. Folder and buckets (`PREFIX-ROOM`) are made where missing.
    ///
    /// # Errors
    /// [`StoreError`]: not reachable, refused, read-only, full.
    pub async fn connect(address: &Address) -> Result<Self, StoreError> {
        Ok(Self(Late::ready(Backend::connect(address).await?)))
    }

    /// Like [`connect`](Self::connect); but a server that does not answer now is taken up when it does, and every question until
    /// then ends with [`StoreError::Unavailable`].
    ///
    /// # Errors
    /// [`StoreError`]: refused, damaged, newer, misconfigured, read-only, full.
    pub async fn connect_late(address: &Address) -> Result<Self, StoreError> {
        Ok(Self(Late::connect(address, |address| async move { Backend::connect(&address).await }).await?))
    }

    /// Why the server has not been reached yet; `None` once it has.
    pub(super) fn trouble(&self) -> Option<String> {
        self.0.trouble()
    }

    /// Tries to reach the server, where it has not been reached yet.
    pub(super) async fn reach(&self) {
        let _ = self.0.get().await; // how it went is what `trouble` says
    }

    /// Opens the folder, creating it where missing; what an interrupted [`put`](Self::put) left is removed.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, StoreError> {
        Ok(Self(Late::ready(Backend::Folder(Folder::open(root.into())?))))
    }

    /// Whether the objects are on a server, away from this machine.
    pub fn on_server(&self) -> bool {
        self.0.there().is_none_or(|there| matches!(there, Backend::S3(_))) // only a server can be away
    }

    /// Stores an object for good. Storing the same bytes again under the same key changes nothing.
    ///
    /// # Errors
    /// [`StoreError::BadRecord`] for a key that is not allowed, a content type that is not that of the key's ending, and
    /// for other bytes under a key that is taken; otherwise the store's trouble.
    pub async fn put(&self, key: &str, bytes: Vec<u8>, content_type: &str) -> Result<(), StoreError> {
        checked(key)?;
        if self::content_type(key) != Some(content_type) {
            return Err(StoreError::BadRecord(format!("the object {key} cannot be of type {content_type}")));
        }
        each!(self, store => store.put(key, bytes).await)
    }

    /// Stores a file like [`put`](Self::put), never holding more than a part of it in memory. Interrupted and called again, it
    /// goes on where it was, in a folder from the start; on S3 what nobody goes on with is removed after a day. Dropping the
    /// future interrupts it.
    ///
    /// # Errors
    /// Those of [`put`](Self::put), and when the file cannot be read or changes meanwhile.
    pub async fn put_file(&self, key: &str, file: &Path, progress: Progress<'_>) -> Result<(), StoreError> {
        checked(key)?;
        each!(self, store => store.put_file(key, file, progress).await)
    }

    /// Stores an object (in the room `anchors`) that nobody can change or delete before `until`. `false`: it is stored, but the
    /// store offers no locks.
    ///
    /// # Errors
    /// Those of [`put`](Self::put); [`StoreError::BadRecord`] for another room.
    pub async fn put_locked(&self, key: &str, bytes: Vec<u8>, until: Timestamp) -> Result<bool, StoreError> {
        checked(key)?;
        if room_of(key) != LOCKED_ROOM {
            return Err(StoreError::BadRecord(format!("only objects under {LOCKED_ROOM}/ can be locked, not {key}")));
        }
        match self.0.get().await? {
            Backend::Folder(store) => store.put(key, bytes).await.map(|()| false),
            Backend::S3(store) => store.put_locked(key, bytes, until).await,
        }
    }

    /// The object's bytes; `None` where there is none.
    ///
    /// # Errors
    /// [`StoreError::BadRecord`] for a key that is not allowed; on S3 [`StoreError::Damaged`] when the bytes are not those that
    /// were stored; otherwise the store's trouble.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        checked(key)?;
        each!(self, store => store.get(key).await)
    }

    /// The bytes of the object that lie in `range`, fewer where it ends before; `None` where there is no object. No checksum
    /// covers a part, so damage is not found.
    ///
    /// # Errors
    /// [`StoreError::BadRecord`] for a key that is not allowed; otherwise the store's trouble.
    pub async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Option<Vec<u8>>, StoreError> {
        checked(key)?;
        each!(self, store => store.get_range(key, range).await)
    }

    /// Copies the object to a file, which is whole or untouched afterwards; `false` where there is no object.
    ///
    /// # Errors
    /// Those of [`get`](Self::get), and when the file cannot be written.
    pub async fn get_to_file(&self, key: &str, file: &Path) -> Result<bool, StoreError> {
        checked(key)?;
        each!(self, store => store.get_to_file(key, file).await)
    }

    /// The SHA-256 of the object, read anew piece by piece and kept nowhere; `None` where there is no object.
    ///
    /// # Errors
    /// Those of [`get`](Self::get).
    pub async fn hash(&self, key: &str) -> Result<Option<Hash>, StoreError> {
        checked(key)?;
        each!(self, store => store.hash(key).await)
    }

    /// Where the object is or would be on this machine's disk, to be read and never written; `None` on a server.
    pub fn local_file(&self, key: &str) -> Option<PathBuf> {
        match self.0.there()? {
            Backend::Folder(folder) if is_key(key) => Some(folder.path_of(key)),
            _ => None,
        }
    }

    /// The objects whose keys start with `prefix` (a room, and what follows), in the order of their bytes; at most `limit`, all
    /// behind the key `after` where one is given.
    ///
    /// # Errors
    /// [`StoreError::BadRecord`] when `prefix` does not start with a room; otherwise the store's trouble.
    pub async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<Listed>, StoreError> {
        let room = room_of(prefix);
        let rest = prefix.split_once('/').map_or("", |(_, rest)| rest);
        if !is_room(room) || rest.split('/').any(|part| part.starts_with('.')) {
            return Err(StoreError::BadRecord(format!("{prefix:?} cannot be the start of a key")));
        }
        let prefix = format!("{room}/{rest}");
        each!(self, store => store.list(&prefix, after, limit).await)
    }

    /// The rooms that hold, or held, an object; in order.
    ///
    /// # Errors
    /// The store's trouble; [`StoreError::Denied`] for an account that may not list its buckets.
    pub async fn rooms(&self) -> Result<Vec<String>, StoreError> {
        let mut rooms = each!(self, store => store.rooms().await)?;
        rooms.retain(|room| is_room(room));
        rooms.sort_unstable();
        Ok(rooms)
    }

    /// The keys of all that was ever [locked](Self::put_locked) on a server, also of what somebody deleted since: a deletion
    /// hides a locked object and does not remove it. Nothing in a folder.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn list_locked(&self) -> Result<Vec<String>, StoreError> {
        match self.0.get().await? {
            Backend::Folder(_) => Ok(Vec::new()),
            Backend::S3(store) => store.list_ever(&format!("{LOCKED_ROOM}/")).await,
        }
    }

    /// Removes the object. One that is not there is no error.
    ///
    /// # Errors
    /// [`StoreError::BadRecord`] for a key that is not allowed, [`StoreError::Denied`] for a locked one; otherwise the store's
    /// trouble.
    pub async fn delete(&self, key: &str) -> Result<(), StoreError> {
        checked(key)?;
        each!(self, store => store.delete(key).await)
    }

    /// An address that reads the object without an account, for `life` (at most 15 minutes); `None` in a folder.
    ///
    /// # Errors
    /// [`StoreError::BadRecord`] for a key that is not allowed and a longer life.
    pub async fn presigned(&self, key: &str, life: Duration) -> Result<Option<String>, StoreError> {
        checked(key)?;
        if life > LONGEST_PRESIGNED {
            return Err(StoreError::BadRecord("an address without account may live 15 minutes at most".to_owned()));
        }
        match self.0.get().await? {
            Backend::Folder(_) => Ok(None),
            Backend::S3(store) => store.presigned(key, life).await.map(Some),
        }
    }
}

fn checked(key: &str) -> Result<(), StoreError> {
    if is_key(key) { Ok(()) } else { Err(StoreError::BadRecord(format!("{key:?} cannot be the key of an object"))) }
}

fn room_of(key: &str) -> &str {
    key.split_once('/').map_or(key, |(room, _)| room)
}

fn taken(key: &str) -> StoreError {
    StoreError::BadRecord(format!("there is another object under the key {key}"))
}

fn changed_meanwhile(file: &Path) -> StoreError {
    StoreError::BadRecord(format!("{} changed while it was being stored", file.display()))
}

fn hash_of(bytes: &[u8]) -> Hash {
    Hash(Sha256::digest(bytes).into())
}

/// SHA-256 and length of a file, read piece by piece.
fn hash_of_file(path: &Path) -> io::Result<(Hash, u64)> {
    let mut file = File::open(path)?;
    let (mut sha, mut size, mut piece) = (Sha256::new(), 0, vec![0; 1 << 20]);
    loop {
        let read = file.read(&mut piece)?;
        let Some(part) = piece.get(..read).filter(|part| !part.is_empty()) else {
            return Ok((Hash(sha.finalize().into()), size));
        };
        sha.update(part);
        size += part.len() as u64;
    }
}

/// Runs work that waits for a disk. `place` is named when it cannot be run.
async fn blocking<T: Send + 'static>(
    place: &Path,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|e| Err(StoreError::Unavailable { place: place.display().to_string(), detail: e.to_string() }))
}
