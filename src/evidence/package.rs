//! Writing a package.
use super::{
    FileEntry, MANIFEST, Manifest, SIGNATURE, SiteKey,
    container::{self, Writer},
    is_name, movement_csv, movement_report,
};
use crate::model::Hash;
use std::{
    fs::File,
    io::{self, BufWriter, Read, Seek as _, SeekFrom},
    path::PathBuf,
    thread,
};

/// Why a package was not written.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// No file of a package may be called so, or two would be.
    #[error("no file of a package can be called {0:?}")]
    Name(String),
    /// A file that belongs in it cannot be read.
    #[error("{name} cannot be read: {why}")]
    Source {
        /// Its name in the package.
        name: String,
        /// What the system said.
        why: io::Error,
    },
    /// The package cannot be written.
    #[error(transparent)]
    Write(#[from] io::Error),
    /// The operator broke it off.
    #[error("the export was cancelled; nothing was written")]
    Cancelled,
}

/// One file that goes into a package.
pub enum Item {
    /// These bytes.
    Bytes(String, Vec<u8>),
    /// The contents of a file.
    File(String, PathBuf),
}

/// A package to be. The movement log is written by [`write`] itself.
pub struct Contents {
    /// What is signed, but for `files` and `key`, which are filled in.
    pub manifest: Manifest,
    /// Videos, boxes, pictures, the extract of the action log, in this order.
    pub items: Vec<Item>,
}

/// Writes the package into an empty file, streaming; returns its list and the SHA-256 of the whole file. `progress` is called
/// with the bytes written so far and says whether to go on.
///
/// # Errors
/// [`PackageError`]; what was written is then no package.
pub fn write(
    contents: Contents,
    key: &SiteKey,
    file: &mut File,
    mut progress: impl FnMut(u64) -> bool,
) -> Result<(Manifest, Hash), PackageError> {
    let Contents { mut manifest, mut items } = contents;
    let json = serde_json::to_vec_pretty(&manifest.stops).map_err(io::Error::other)?;
    items.push(Item::Bytes("movement.csv".to_owned(), movement_csv(&manifest.stops)?));
    items.push(Item::Bytes("movement.json".to_owned(), json));
    items.push(Item::Bytes("report.html".to_owned(), movement_report(&manifest).into_bytes()));

    let mut writer = Writer::new(BufWriter::with_capacity(1 << 20, &mut *file));
    let (mut written, mut cancelled) = (0, false);
    let mut passed = |n: u64| {
        written += n;
        cancelled = !progress(written);
        if cancelled { Err(io::Error::other("cancelled")) } else { Ok(()) }
    };
    let mut add = |name: &str, from: &mut dyn Read| {
        if !is_name(name) || [MANIFEST, SIGNATURE].contains(&name) || writer.entries().iter().any(|e| e.name == name) {
            return Err(PackageError::Name(name.to_owned()));
        }
        let entry = writer.add(name, from, &mut passed)?;
        manifest.files.push(FileEntry { name: name.to_owned(), size: entry.size, sha256: entry.sha256 });
        Ok(())
    };
    let added = items.iter().try_for_each(|item| match item {
        Item::Bytes(name, bytes) => add(name, &mut bytes.as_slice()),
        Item::File(name, path) => {
            let mut from = File::open(path).map_err(|why| PackageError::Source { name: name.clone(), why })?;
            add(name, &mut from)
        }
    });
    if cancelled {
        return Err(PackageError::Cancelled);
    }
    added?;
    manifest.key = key.public().to_string();
    let list = serde_json::to_vec_pretty(&manifest).map_err(io::Error::other)?;
    writer.add(MANIFEST, list.as_slice(), |_| Ok(()))?;
    writer.add(SIGNATURE, key.sign(&list).as_slice(), |_| Ok(()))?;
    writer.finish()?;
    file.seek(SeekFrom::Start(0))?;
    let written = file.try_clone()?;
    let hash = thread::scope(|scope| {
        let on_disk = scope.spawn(move || written.sync_data()); // both take their time
        let (_, _, hash) = container::copy(file, io::sink(), |_| Ok(()))?;
        on_disk.join().map_err(|_| io::Error::other("the package could not be put on the disk"))??;
        Ok::<_, io::Error>(hash)
    })?;
    Ok((manifest, hash))
}
