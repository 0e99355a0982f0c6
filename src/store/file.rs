//! Files that are whole or absent.
use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};
use uuid::Uuid;

/// A file that is being written beside its place. Dropped before [`finish`](Self::finish), nothing is left of it.
#[derive(Debug)]
pub struct Draft {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
}

impl Draft {
    /// Begins a new file in the folder `beside`, which is on the same disk as `path`.
    ///
    /// # Errors
    /// What the file system says.
    pub fn begin(beside: &Path, path: &Path) -> io::Result<Self> {
        let temporary = beside.join(format!(".{}", Uuid::new_v4()));
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&temporary)?;
        Ok(Self { file, temporary, path: path.to_owned() })
    }

    /// The file to write to.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Gives the file its place, where it takes the place of what was there. On the disk when this returns.
    ///
    /// # Errors
    /// What the file system says.
    pub fn finish(self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.temporary, &self.path)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.temporary); // not there any more once it has its place
    }
}

/// Writes a new file in the folder `beside`, which is on the same disk, then gives it its place at `path`, where it takes
/// the place of what was there. On the disk when this returns; after a failure nothing is left of it.
///
/// # Errors
/// What the file system or `write` says.
pub fn write_whole(beside: &Path, path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let mut draft = Draft::begin(beside, path)?;
    write(draft.file())?;
    draft.finish()
}

/// The folder that a path lies in; the working folder for a bare name.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
