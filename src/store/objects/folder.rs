//! Objects as the files of a folder.
use super::{Listed, Progress, blocking, changed_meanwhile, hash_of_file, taken};
use crate::{
    model::Hash,
    store::{StoreError, file, sqlite::io_error},
};
use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom, Write},
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

pub(super) const TEMPORARY: &str = ".tmp"; // no key can name it: no part of a key starts with a point

/// Between two reports of how far a copy is.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// The folder.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(super) fn open(root: PathBuf) -> Result<Self, StoreError> {
        let temporary = root.join(TEMPORARY);
        fs::create_dir_all(&temporary).map_err(|e| io_error(&root, &e))?;
        for left in fs::read_dir(&temporary).map_err(|e| io_error(&root, &e))?.flatten() {
            let _ = fs::remove_file(left.path());
        }
        Ok(Self { root })
    }

    pub(super) fn path_of(&self, key: &str) -> PathBuf {
        self.root.join(key)
    }

    pub(super) async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        let (root, path, key) = (self.root.clone(), self.root.join(key), key.to_owned());
        blocking(&self.root, move || match fs::read(&path) {
            Ok(there) if there == bytes => Ok(()),
            Ok(_) => Err(taken(&key)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                write_object(&root, &path, |file| file.write_all(&bytes)).map_err(|e| io_error(&path, &e))
            }
            Err(e) => Err(io_error(&path, &e)),
        })
        .await
    }

    pub(super) async fn put_file(&self, key: &str, file: &Path, progress: Progress<'_>) -> Result<(), StoreError> {
        let (root, path, key, from) = (self.root.clone(), self.root.join(key), key.to_owned(), file.to_owned());
        let copying = Copying::default();
        let copied = Arc::clone(&copying.0);
        let mut stored = std::pin::pin!(blocking(&self.root, move || {
            let (hash, size) = hash_of_file(&from).map_err(|e| io_error(&from, &e))?;
            match hash_of_file(&path) {
                Ok((there, _)) if there == hash => return Ok(size),
                Ok(_) => return Err(taken(&key)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(io_error(&path, &e)),
            }
            let mut source = File::open(&from).map_err(|e| io_error(&from, &e))?;
            write_object(&root, &path, |file| copied.copy(&mut source, file)).map_err(|e| io_error(&path, &e))?;
            let (stored, _) = hash_of_file(&path).map_err(|e| io_error(&path, &e))?;
            if stored == hash {
                return Ok(size);
            }
            fs::remove_file(&path).map_err(|e| io_error(&path, &e))?;
            Err(changed_meanwhile(&from))
        }));
        let size = loop {
            match tokio::time::timeout(PROGRESS_EVERY, &mut stored).await {
                Ok(size) => break size?,
                Err(_) => progress(copying.0.done.load(Ordering::Relaxed)),
            }
        };
        progress(size);
        Ok(())
    }

    pub(super) async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.root.join(key);
        blocking(&self.root, move || where_there(&path, fs::read(&path))).await
    }

    pub(super) async fn hash(&self, key: &str) -> Result<Option<Hash>, StoreError> {
        let path = self.root.join(key);
        blocking(&self.root, move || Ok(where_there(&path, hash_of_file(&path))?.map(|(hash, _)| hash))).await
    }

    pub(super) async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.root.join(key);
        let read = move || {
            let mut file = File::open(&path)?;
            file.seek(SeekFrom::Start(range.start))?;
            let mut bytes = Vec::new();
            file.take(range.end.saturating_sub(range.start)).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let path = self.root.join(key);
        blocking(&self.root, move || where_there(&path, read())).await
    }

    pub(super) async fn get_to_file(&self, key: &str, file: &Path) -> Result<bool, StoreError> {
        let (path, file) = (self.root.join(key), file.to_owned());
        blocking(&self.root, move || {
            let Some(mut source) = where_there(&path, File::open(&path))? else { return Ok(false) };
            let folder = file::folder_of(&file);
            let written = fs::create_dir_all(folder)
                .and_then(|()| file::write_whole(folder, &file, |to| io::copy(&mut source, to).map(drop)));
            written.map(|()| true).map_err(|e| io_error(&file, &e))
        })
        .await
    }

    pub(super) async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Listed>, StoreError> {
        let (root, prefix, after) = (self.root.clone(), prefix.to_owned(), after.unwrap_or_default().to_owned());
        blocking(&self.root, move || {
            let mut listed = Vec::new();
            // Only the deepest folder that the prefix names has to be walked.
            let start = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
            walk(&root.join(start), start, &mut listed).map_err(|e| io_error(&root, &e))?;
            listed.retain(|o| o.key.starts_with(&prefix) && o.key > after);
            listed.sort_unstable_by(|a, b| a.key.cmp(&b.key));
            listed.truncate(limit);
            Ok(listed)
        })
        .await
    }

    pub(super) async fn rooms(&self) -> Result<Vec<String>, StoreError> {
        let root = self.root.clone();
        blocking(&self.root, move || {
            let mut rooms = Vec::new();
            for entry in fs::read_dir(&root).map_err(|e| io_error(&root, &e))? {
                let entry = entry.map_err(|e| io_error(&root, &e))?;
                if entry.file_type().map_err(|e| io_error(&entry.path(), &e))?.is_dir() {
                    rooms.extend(entry.file_name().into_string().ok());
                }
            }
            Ok(rooms)
        })
        .await
    }

    pub(super) async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let path = self.root.join(key);
        blocking(&self.root, move || where_there(&path, fs::remove_file(&path)).map(drop)).await
    }
}

/// A copy under way on another thread. Whoever waits for it and stops doing so ends it: dropping this does.
#[derive(Default)]
struct Copying(Arc<Copied>);

#[derive(Default)]
struct Copied {
    done: AtomicU64,
    given_up: AtomicBool,
}

impl Drop for Copying {
    fn drop(&mut self) {
        self.0.given_up.store(true, Ordering::Relaxed);
    }
}

impl Copied {
    fn copy(&self, from: &mut File, to: &mut File) -> io::Result<()> {
        let mut piece = vec![0; 1 << 20];
        loop {
            if self.given_up.load(Ordering::Relaxed) {
                return Err(io::Error::other("nobody waits for it any more"));
            }
            let read = from.read(&mut piece)?;
            let Some(part) = piece.get(..read).filter(|part| !part.is_empty()) else { return Ok(()) };
            to.write_all(part)?;
            self.done.fetch_add(read as u64, Ordering::Relaxed);
        }
    }
}

fn where_there<T>(path: &Path, answer: io::Result<T>) -> Result<Option<T>, StoreError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(io_error(path, &e)),
    }
}

fn walk(folder: &Path, key: &str, listed: &mut Vec<Listed>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let key = format!("{key}/{name}");
        let about = entry.metadata()?;
        if about.is_dir() {
            walk(&entry.path(), &key, listed)?;
        } else if super::is_key(&key) {
            listed.push(Listed { key, size: about.len() });
        }
    }
    Ok(())
}

/// Writes beside, then renames: a reader and a power cut see all of it or nothing. The folders are synced too, for a
/// rename is a change of the folder.
fn write_object(root: &Path, path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let folder = path.parent().unwrap_or(root);
    fs::create_dir_all(folder)?;
    let temporary = root.join(TEMPORARY);
    fs::create_dir_all(&temporary)?;
    file::write_whole(&temporary, path, write)?;
    for folder in folder.ancestors().take_while(|f| f.starts_with(root)) {
        sync_folder(folder)?;
    }
    Ok(())
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(()) // a folder is no file there; NTFS journals the rename
}
