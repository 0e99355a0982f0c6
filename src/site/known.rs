//! What this console knew last, in a file of its data folder: so that a start without the cameras database goes on with the same
//! cameras and suspects.
use super::{About, Shared};
use crate::{
    model::{Camera, CameraId, Suspect},
    store::file,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    io::{self, Write as _},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

/// Cameras with the addresses of their streams, the suspects being followed, and what other consoles do.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Known {
    pub cameras: Vec<Camera>,
    pub suspects: Vec<Suspect>,
    /// The cameras of which other consoles keep the records.
    #[serde(default)]
    pub others: BTreeSet<CameraId>,
}

impl Known {
    /// The cameras that this console ran, configured ones of its own file among them.
    pub fn ids(&self) -> BTreeSet<CameraId> {
        self.cameras.iter().map(|camera| camera.id).collect()
    }
}

/// The file. Only its owner may look into the folder it lies in: addresses hold passwords.
pub(super) struct KnownFile {
    path: PathBuf,
    /// As it was written last.
    written: Mutex<Vec<u8>>,
}

impl KnownFile {
    /// The file at `path`, which need not be there.
    pub fn new(path: PathBuf) -> Self {
        Self { path, written: Mutex::default() }
    }

    /// What was known last; nothing where there is no file or it cannot be read, which is told in the program's own log.
    pub fn read(&self) -> Known {
        let read = match std::fs::read(&self.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Known::default(),
            read => read,
        };
        read.map_err(|e| e.to_string())
            .and_then(|b| serde_json::from_slice(&b).map_err(|e| e.to_string()))
            .unwrap_or_else(|why| {
                tracing::warn!("what was known last cannot be read from {}: {why}", self.path.display());
                Known::default()
            })
    }

    /// Writes what is known now, where that is something else than before.
    fn write(&self, known: &Known) -> io::Result<()> {
        let bytes = serde_json::to_vec(known)?;
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if *written != bytes {
            file::write_whole(file::folder_of(&self.path), &self.path, |file| file.write_all(&bytes))?;
            *written = bytes;
        }
        Ok(())
    }
}

impl Shared {
    /// Every few seconds: what a start without the cameras database would need. A console whose database is a file of its own
    /// needs none.
    pub async fn keep_known(self: &Arc<Self>) {
        if !self.records.stores.cameras.is_shared() {
            return;
        }
        let now = self.records.clock.now();
        let suspects = {
            let board = self.board.lock();
            board.suspects.iter().map(|v| v.suspect.clone()).filter(|s| s.is_followed(now)).collect()
        };
        let cameras = self.cameras.paths().iter().map(|path| path.camera.clone()).collect();
        let known = Known { suspects, cameras, others: self.duty.of_others() };
        let shared = Arc::clone(self);
        let written = tokio::task::spawn_blocking(move || shared.known.write(&known)).await;
        if let Ok(Err(error)) = written {
            self.trouble(
                About::Everybody,
                format!("What a start without the cameras database would need was not written down: {error}"),
            );
        }
    }
}
