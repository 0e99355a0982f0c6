//! The data folder: one site, one running Vigia.
use super::{StoreError, sqlite::io_error};
use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

/// Below this many free bytes a site does not start: the databases alone need room to write anything at all.
pub const MIN_FREE_BYTES: u64 = 64 << 20;

/// Recordings wait in a folder of this name for the objects.
const SPOOL: &str = "spool";

/// Why a data folder cannot be used, in words for the operator.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another Vigia works in it.
    #[error(
        "another Vigia{} is using {}. Close it, or choose another folder with --data-dir",
        pid.as_ref().map(|p| format!(" (process {p})")).unwrap_or_default(),
        path.display()
    )]
    InUse {
        /// The folder.
        path: PathBuf,
        /// Process number of the other one, as it wrote it down.
        pid: Option<String>,
    },
    /// It cannot be written.
    #[error("the data folder {} is read-only for this user. Give it write permission, or choose another one", path.display())]
    ReadOnly {
        /// The folder or the part of it.
        path: PathBuf,
    },
    /// No room.
    #[error(
        "the disk that holds {} is full: {} MiB are free and {} are needed. Free some space, then try again",
        path.display(), free >> 20, MIN_FREE_BYTES >> 20
    )]
    Full {
        /// The folder.
        path: PathBuf,
        /// Free bytes.
        free: u64,
    },
    /// Anything else.
    #[error("the data folder {} cannot be used: {detail}", path.display())]
    Unusable {
        /// The folder or the part of it.
        path: PathBuf,
        /// What went wrong.
        detail: String,
    },
}

/// A folder of files that are needed for a while only. It may be emptied or removed at any time: whoever asks for it, or for a file
/// in it, has it made first, so that nobody can forget to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkFolder(PathBuf);

impl WorkFolder {
    fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// The folder, which is there now, for its owner only.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be made.
    pub fn path(&self) -> Result<&Path, StoreError> {
        private_folders(&self.0).map_err(|e| io_error(&self.0, &e))?;
        Ok(&self.0)
    }

    /// Where the file of this name in it is or will be.
    ///
    /// # Errors
    /// [`StoreError`] when the folder cannot be made.
    pub fn file(&self, name: &str) -> Result<PathBuf, StoreError> {
        Ok(self.path()?.join(name))
    }

    /// A folder of its own in it.
    pub fn within(&self, name: &str) -> Self {
        Self(self.0.join(name))
    }

    /// Removes it with everything in it.
    pub fn remove(&self) {
        let _ = fs::remove_dir_all(&self.0); // may not be there
    }
}

/// A data folder that belongs to this process until the value is dropped.
///
/// `vigia.lock` carries the lock and the process number; `databases/` and `objects/` can be entered by their owner only.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    lock: File, // the lock goes with the file, also when the process is killed
}

impl Drop for DataFolder {
    fn drop(&mut self) {
        // A child process that is just being started holds the file, too, until it runs its own program.
        let _ = self.lock.unlock();
    }
}

impl DataFolder {
    /// Takes the folder, creating it and its layout where missing.
    ///
    /// # Errors
    /// [`FolderError`]: in use, read-only, full, or not a folder.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, FolderError> {
        let path = path.into();
        private_folder(&path)?;
        let lock = take_lock(&path)?;
        let folder = Self { path, lock };
        for part in [folder.databases(), folder.objects(), folder.path.join(SPOOL)] {
            private_folder(&part)?;
            keep_private(&part)?;
        }
        folder.check_space(folder.free_bytes()?)?;
        Ok(folder)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes that this user may still write.
    ///
    /// # Errors
    /// [`FolderError::Unusable`] when the folder is gone.
    pub fn free_bytes(&self) -> Result<u64, FolderError> {
        fs4::available_space(&self.path).map_err(|e| folder_error(&self.path, &e))
    }

    fn check_space(&self, free: u64) -> Result<(), FolderError> {
        if free < MIN_FREE_BYTES { Err(FolderError::Full { path: self.path.clone(), free }) } else { Ok(()) }
    }

    fn databases(&self) -> PathBuf {
        self.path.join("databases")
    }

    /// The database of users.
    pub fn users(&self) -> PathBuf {
        self.databases().join("users.sqlite")
    }

    /// The database of cameras, detections, suspects and sightings.
    pub fn cameras(&self) -> PathBuf {
        self.databases().join("cameras.sqlite")
    }

    /// The action log.
    pub fn actions(&self) -> PathBuf {
        self.databases().join("action_logs.sqlite")
    }

    /// What the console knew last, for a start without the cameras database.
    pub fn known(&self) -> PathBuf {
        self.databases().join("known.json")
    }

    /// What is known of how far this console's clock can be relied on.
    pub fn clock(&self) -> PathBuf {
        self.path.join("clock.json")
    }

    /// The folder of the audit trail's anchors: apart from the databases.
    pub fn anchors(&self) -> PathBuf {
        self.path.join("anchors")
    }

    /// Where videos of a server are put while they are looked at; nothing in it is needed after that.
    pub fn scratch(&self) -> WorkFolder {
        Self::scratch_in(&self.path)
    }

    /// [`scratch`](Self::scratch) of the site whose data folder this is.
    pub fn scratch_in(data: &Path) -> WorkFolder {
        WorkFolder::new(data.join("scratch"))
    }

    /// The list of uploads that are not over yet.
    pub fn uploads(&self) -> PathBuf {
        self.path.join("uploads.json")
    }

    /// The journal.
    pub fn journal(&self) -> PathBuf {
        self.databases().join("journal.sqlite")
    }

    /// The file of the key that signs evidence, of the site whose data folder this is.
    pub fn evidence_key_in(data: &Path) -> PathBuf {
        data.join("keys").join("evidence.key")
    }

    /// Where exports under way keep what they fetched.
    pub fn exports_in(data: &Path) -> WorkFolder {
        WorkFolder::new(data.join("exports"))
    }

    /// Recordings on their way to the objects.
    pub fn spool(&self) -> WorkFolder {
        WorkFolder::new(self.path.join(SPOOL))
    }

    /// Copies of what is kept on servers; may be deleted at any time.
    pub fn cache(&self) -> WorkFolder {
        WorkFolder::new(self.path.join("cache"))
    }

    /// The folder of objects.
    pub fn objects(&self) -> PathBuf {
        self.path.join("objects")
    }
}

fn take_lock(folder: &Path) -> Result<File, FolderError> {
    let path = folder.join("vigia.lock");
    let failed = |e: &io::Error| folder_error(&path, e);
    // not truncated: until the lock is ours, what stands in it is the other process's number
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(|e| failed(&e))?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0).and_then(|()| write!(file, "{}", std::process::id())).map_err(|e| failed(&e))?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let _ = file.take(20).read_to_string(&mut text); // helps to find it; the answer is the same without
            let pid = (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then_some(text);
            Err(FolderError::InUse { path: folder.to_owned(), pid })
        }
        Err(TryLockError::Error(e)) => Err(failed(&e)),
    }
}

/// Creates the folder for its owner only; one that is there already is left as it is.
fn private_folder(path: &Path) -> Result<(), FolderError> {
    private_folders(path).map_err(|e| folder_error(path, &e))
}

fn private_folders(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Takes away what others may do in a folder of ours.
fn keep_private(path: &Path) -> Result<(), FolderError> {
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .map_err(|e| folder_error(path, &e))?;
    #[cfg(not(unix))]
    fs::metadata(path).map_err(|e| folder_error(path, &e))?;
    Ok(())
}

fn folder_error(path: &Path, e: &io::Error) -> FolderError {
    let path = path.to_owned();
    match e.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => FolderError::ReadOnly { path },
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FolderError::Full { path, free: 0 },
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
            FolderError::Unusable { path, detail: "there is a file in its place".to_owned() }
        }
        _ => FolderError::Unusable { path, detail: e.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_serves_one_vigia_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/site");
        let first = DataFolder::open(&path).unwrap();
        let error = DataFolder::open(&path).unwrap_err();
        assert!(error.to_string().contains(&format!("(process {})", std::process::id())), "{error}");
        let inherited = first.lock.try_clone().unwrap(); // by a child process that does not run its own program yet
        drop(first);
        DataFolder::open(&path).unwrap();
        drop(inherited);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_look_inside() {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("site");
        fs::create_dir_all(path.join("objects")).unwrap();
        fs::set_permissions(path.join("objects"), fs::Permissions::from_mode(0o755)).unwrap();
        let folder = DataFolder::open(&path).unwrap();
        assert_eq!((mode(&folder.databases()), mode(&folder.objects())), (0o700, 0o700));
    }

    #[test]
    fn a_working_folder_that_was_removed_is_there_for_whoever_asks() {
        let dir = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(dir.path().join("site")).unwrap();
        let exports = DataFolder::exports_in(folder.path());
        for work in [folder.cache(), folder.scratch(), folder.spool(), exports.within("one")] {
            for _ in 0..2 {
                work.remove();
                fs::write(work.file("a").unwrap(), "x").unwrap();
            }
            assert!(work.path().unwrap().join("a").is_file());
        }
        fs::write(folder.path().join("file"), "x").unwrap();
        let error = WorkFolder::new(folder.path().join("file")).path().unwrap_err().to_string();
        assert!(error.contains("site/file"), "{error}");
    }

    #[test]
    fn a_file_in_place_of_the_folder_and_a_full_disk_are_sentences() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "x").unwrap();
        let error = DataFolder::open(&file).unwrap_err().to_string();
        assert!(error.contains("there is a file in its place"), "{error}");

        let folder = DataFolder::open(dir.path().join("site")).unwrap();
        let error = folder.check_space(MIN_FREE_BYTES - 1).unwrap_err().to_string();
        assert!(error.contains("full: 63 MiB are free and 64 are needed"), "{error}");
        assert!(folder.check_space(MIN_FREE_BYTES).is_ok());
        let error = folder_error(folder.path(), &io::ErrorKind::ReadOnlyFilesystem.into()).to_string();
        assert!(error.contains("read-only"), "{error}");
    }
}
