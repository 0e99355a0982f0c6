//! Files that are whole or absent.
use std::{
    fs::{self, File, OpenOptions},
    io,
    path::Path,
};
use uuid::Uuid;

/// Writes a new file in the folder `beside`, which is on the same disk, then gives it its place at `path`, where it takes
/// the place of what was there. On the disk when this returns; after a failure nothing is left of it.
///
/// # Errors
/// What the file system or `write` says.
pub fn write_whole(beside: &Path, path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let temporary = beside.join(format!(".{}", Uuid::new_v4()));
    let written = (|| {
        let mut file = OpenOptions::new().read(true).write(true).create_new(true).open(&temporary)?;
        write(&mut file)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// The folder that a path lies in; the working folder for a bare name.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
