//! Objects: frames, crops and videos, by key. Here in a folder.
//!
//! A key is a relative path such as `crops/2026-11-22/0193….jpg`. A record names an object as `objects:` + key
//! ([`url_of_key`]): the same address whatever backend holds it.
use super::{Address, StoreError, sqlite::io_error};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};
use uuid::Uuid;

const SCHEME: &str = "objects:";
const TEMPORARY: &str = ".tmp"; // no key can name it: no part of a key starts with a point
const MAX_KEY: usize = 255;

/// The address under which records name the object with this key.
pub fn url_of_key(key: &str) -> String {
    format!("{SCHEME}{key}")
}

/// The key in an address that [`url_of_key`] made; `None` for any other address and for keys that are not allowed.
pub fn key_of_url(url: &str) -> Option<&str> {
    url.strip_prefix(SCHEME).filter(|key| is_key(key))
}

/// Parts of ASCII letters, digits, `-`, `_` and `.`, none of them starting with a point, between single `/`; the last
/// has one of the endings of [`content_type`].
fn is_key(key: &str) -> bool {
    key.len() <= MAX_KEY
        && content_type(key).is_some()
        && key.split('/').all(|part| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        })
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
        "mov" => "video/quicktime",
        "avi" => "video/x-msvideo",
        "ts" => "video/mp2t",
        _ => return None,
    })
}

/// Objects in a folder. An object is whole or absent, and never changes once written. Cloning shares the folder.
#[derive(Clone, Debug)]
pub struct ObjectStore {
    root: PathBuf,
}

impl ObjectStore {
    /// Opens the store at `address`, creating it where missing.
    ///
    /// # Errors
    /// [`StoreError`]: not reachable, refused, damaged, newer, read-only, full.
    pub async fn connect(address: &Address) -> Result<Self, StoreError> {
        match address.path() {
            Some(path) => Self::open(path),
            None => Err(StoreError::unknown_backend(address)),
        }
    }

    /// Opens the folder, creating it where missing; what an interrupted [`put`](Self::put) left is removed.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let root = root.into();
        let temporary = root.join(TEMPORARY);
        fs::create_dir_all(&temporary).map_err(|e| io_error(&root, &e))?;
        for left in fs::read_dir(&temporary).map_err(|e| io_error(&root, &e))?.flatten() {
            let _ = fs::remove_file(left.path());
        }
        Ok(Self { root })
    }

    /// Stores an object for good. Storing the same bytes again under the same key changes nothing.
    ///
    /// # Errors
    /// [`StoreError::BadRecord`] for a key that is not allowed, a content type that is not that of the key's ending, and
    /// for other bytes under a key that is taken; otherwise the folder's trouble.
    pub async fn put(&self, key: &str, bytes: Vec<u8>, content_type: &str) -> Result<(), StoreError> {
        let path = self.path_of(key)?;
        if self::content_type(key) != Some(content_type) {
            return Err(StoreError::BadRecord(format!("the object {key} cannot be of type {content_type}")));
        }
        let (root, key) = (self.root.clone(), key.to_owned());
        blocking(&self.root, move || match fs::read(&path) {
            Ok(there) if there == bytes => Ok(()),
            Ok(_) => Err(StoreError::BadRecord(format!("there is another object under the key {key}"))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                write_whole(&root, &path, &bytes).map_err(|e| io_error(&path, &e))
            }
            Err(e) => Err(io_error(&path, &e)),
        })
        .await
    }

    /// The object's bytes; `None` where there is none.
    ///
    /// # Errors
    /// [`StoreError::BadRecord`] for a key that is not allowed; otherwise the folder's trouble.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path_of(key)?;
        blocking(&self.root, move || match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(io_error(&path, &e)),
        })
        .await
    }

    fn path_of(&self, key: &str) -> Result<PathBuf, StoreError> {
        if is_key(key) {
            Ok(self.root.join(key))
        } else {
            Err(StoreError::BadRecord(format!("{key:?} cannot be the key of an object")))
        }
    }
}

/// Writes beside, then renames: a reader and a power cut see all of it or nothing. The folders are synced too, for a
/// rename is a change of the folder.
fn write_whole(root: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = root.join(TEMPORARY);
    fs::create_dir_all(&temporary)?;
    let beside = temporary.join(Uuid::new_v4().to_string());
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        let folder = path.parent().unwrap_or(root);
        fs::create_dir_all(folder)?;
        fs::rename(&beside, path)?;
        for folder in folder.ancestors().take_while(|f| f.starts_with(root)) {
            sync_folder(folder)?;
        }
        Ok(())
    })();
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(()) // a folder is no file there; NTFS journals the rename
}

async fn blocking<T: Send + 'static>(
    root: &Path,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|e| Err(StoreError::Unavailable { place: root.display().to_string(), detail: e.to_string() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "crops/2026-11-22/a.jpg";

    /// Regression 12 of the old system: what is stored decodes, and shows what was there.
    #[tokio::test]
    async fn a_stored_crop_decodes_to_the_picture_that_was_stored() {
        let dir = tempfile::tempdir().unwrap();
        let store = ObjectStore::open(dir.path()).unwrap();
        let crop = image::RgbImage::from_fn(24, 48, |x, y| image::Rgb([(x * 10) as u8, (y * 5) as u8, 77]));
        let mut png = io::Cursor::new(Vec::new());
        crop.write_to(&mut png, image::ImageFormat::Png).unwrap();
        store.put("crops/a.png", png.into_inner(), "image/png").await.unwrap();

        let bytes = ObjectStore::open(dir.path()).unwrap().get("crops/a.png").await.unwrap().unwrap();
        assert_eq!(image::load_from_memory(&bytes).unwrap().into_rgb8(), crop);
        assert_eq!(store.get("crops/b.png").await.unwrap(), None);
    }

    #[tokio::test]
    async fn an_object_never_changes() {
        let dir = tempfile::tempdir().unwrap();
        let store = ObjectStore::open(dir.path()).unwrap();
        store.put(KEY, b"one".to_vec(), "image/jpeg").await.unwrap();
        store.put(KEY, b"one".to_vec(), "image/jpeg").await.unwrap();
        let error = store.put(KEY, b"two".to_vec(), "image/jpeg").await.unwrap_err();
        assert!(error.is_bad_record(), "{error}");
        assert_eq!(store.get(KEY).await.unwrap().unwrap(), b"one");
        assert_eq!(fs::read_dir(dir.path().join(TEMPORARY)).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn keys_cannot_leave_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let store = ObjectStore::open(dir.path().join("objects")).unwrap();
        let long = format!("crops/{}.jpg", "x".repeat(MAX_KEY));
        for key in [
            "../a.jpg",
            "crops/../../a.jpg",
            "/etc/a.jpg",
            "crops//a.jpg",
            "crops/",
            "",
            ".",
            "..",
            ".tmp/a.jpg",
            "crops/.a.jpg",
            "crops\\a.jpg",
            "crops/a b.jpg",
            "crops/ä.jpg",
            "crops/a\0.jpg",
            "C:/a.jpg",
            "crops/a",
            "crops/a.exe",
            &long,
        ] {
            assert!(store.put(key, b"x".to_vec(), "image/jpeg").await.unwrap_err().is_bad_record(), "{key:?}");
            assert!(store.get(key).await.unwrap_err().is_bad_record(), "{key:?}");
            assert_eq!(key_of_url(&url_of_key(key)), None, "{key:?}");
        }
        assert!(store.put(KEY, b"x".to_vec(), "video/mp4").await.unwrap_err().is_bad_record());
        assert!(!dir.path().join("a.jpg").exists());
        assert_eq!(key_of_url(&url_of_key(KEY)), Some(KEY));
        assert_eq!(key_of_url(KEY), None);
    }

    #[tokio::test]
    async fn what_an_interrupted_write_left_is_removed_and_never_seen() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join(TEMPORARY)).unwrap();
        fs::write(dir.path().join(TEMPORARY).join("half"), "ha").unwrap();
        ObjectStore::open(dir.path()).unwrap();
        assert_eq!(fs::read_dir(dir.path().join(TEMPORARY)).unwrap().count(), 0);
    }
}
