//! Anchors: heads of chains written down outside the log, so that a log whose end was cut off, or that was written anew, is
//! found out.
//!
//! A file a console in a folder apart from the databases, one JSON line an anchor, only ever added to. Put the folder on
//! another disk, or on a share that the console may only add to, for the anchors to be worth most.
use super::Head;
use crate::{
    model::{Hash, Timestamp},
    store::{StoreError, sqlite::io_error},
};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::PathBuf,
};
use uuid::Uuid;

/// The head of a console's chain as it was once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// Whose chain.
    pub console: Uuid,
    /// Its newest place.
    pub seq: i64,
    /// The hash of the entry there.
    pub hash: Hash,
    /// When it was written down.
    pub at: Timestamp,
}

/// The folder of anchors.
#[derive(Clone, Debug)]
pub struct Anchors {
    folder: PathBuf,
}

impl Anchors {
    /// Anchors in this folder, which is made with the first of them.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Writes down a head; on disk when this returns.
    ///
    /// # Errors
    /// The folder's trouble.
    pub fn add(&self, head: &Head, at: Timestamp) -> Result<(), StoreError> {
        let Head { console, seq, hash } = *head;
        let path = self.folder.join(format!("{console}.jsonl"));
        let written = (|| {
            fs::create_dir_all(&self.folder)?;
            let anchor = serde_json::to_string(&Anchor { console, seq, hash, at }).map_err(io::Error::other)?;
            let line = format!("\n{anchor}\n"); // on a line of its own, also behind one that a crash broke off
            let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
            file.write_all(line.as_bytes())?;
            file.sync_data()
        })();
        written.map_err(|e| io_error(&path, &e))
    }

    /// All anchors. A line that was broken off by a crash is left out; it was never promised.
    ///
    /// # Errors
    /// The folder's trouble; a folder that is not there has none.
    pub fn all(&self) -> Result<Vec<Anchor>, StoreError> {
        let files = match fs::read_dir(&self.folder) {
            Ok(files) => files,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(io_error(&self.folder, &e)),
        };
        let mut anchors = Vec::new();
        for file in files {
            let path = file.map_err(|e| io_error(&self.folder, &e))?.path();
            if path.extension().is_some_and(|e| e == "jsonl") {
                let bytes = fs::read(&path).map_err(|e| io_error(&path, &e))?;
                anchors.extend(
                    String::from_utf8_lossy(&bytes)
                        .lines()
                        .filter_map(|line| serde_json::from_str::<Anchor>(line).ok()),
                );
            }
        }
        Ok(anchors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_are_added_and_read_back_and_a_broken_line_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let anchors = Anchors::new(dir.path().join("anchors"));
        assert_eq!(anchors.all().unwrap(), []);
        let head = Head { console: Uuid::from_u128(1), seq: 4, hash: Hash([7; 32]) };
        anchors.add(&head, Timestamp(5)).unwrap();
        anchors.add(&Head { seq: 6, ..head }, Timestamp(9)).unwrap();
        let path = dir.path().join("anchors").join(format!("{}.jsonl", head.console));
        OpenOptions::new().append(true).open(path).unwrap().write_all(b"{\"console\":\xff").unwrap();
        let seqs = || anchors.all().unwrap().iter().map(|a| a.seq).collect::<Vec<_>>();
        assert_eq!(seqs(), [4, 6]);
        anchors.add(&Head { seq: 8, ..head }, Timestamp(11)).unwrap();
        assert_eq!(seqs(), [4, 6, 8], "the anchor after the broken line is whole");
    }
}
