//! Anchors: heads of chains written down outside the log, so that a log whose end was cut off, or that was written anew, is
//! found out.
//!
//! A file a console in a folder apart from the databases, one JSON line an anchor, only ever added to. Put the folder on
//! another disk, or on a share that the console may only add to, for the anchors to be worth most. Where objects are on S3, each
//! anchor is an object there, too, which nobody can change or delete for as long as it is locked; all consoles see those of all.
use super::Head;
use crate::{
    model::{Hash, Timestamp},
    store::{ObjectStore, StoreError, sqlite::io_error},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};
use uuid::Uuid;

/// The room of anchors among the objects.
const ROOM: &str = "anchors";

/// The head of a console's chain as it was once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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

impl Anchor {
    /// The key of its object, which says everything, so that a list of keys is enough to verify.
    fn key(&self) -> String {
        format!("{ROOM}/{}/{:016}-{}-{}.json", self.console, self.seq, self.hash, self.at.0)
    }

    fn of_key(key: &str) -> Option<Self> {
        let (console, rest) = key.strip_prefix(ROOM)?.strip_prefix('/')?.split_once('/')?;
        let mut parts = rest.strip_suffix(".json")?.splitn(3, '-');
        let mut next = || parts.next();
        Some(Self {
            console: console.parse().ok()?,
            seq: next()?.parse().ok()?,
            hash: Hash::parse(next()?)?,
            at: Timestamp(next()?.parse().ok()?),
        })
    }
}

/// Where anchors are kept.
#[derive(Clone, Debug)]
pub struct Anchors {
    folder: PathBuf,
    /// A store that can lock objects, and for how long.
    objects: Option<(ObjectStore, Duration)>,
}

impl Anchors {
    /// Anchors in this folder, which is made with the first of them.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), objects: None }
    }

    /// The same, and in `objects` too where that is a server: each locked for so long.
    #[must_use]
    pub fn locked_in(self, objects: &ObjectStore, lock_for: Duration) -> Self {
        Self { objects: objects.on_server().then(|| (objects.clone(), lock_for)), ..self }
    }

    /// Writes down a head: on disk, and in the store of objects where there is one, when this returns.
    ///
    /// # Errors
    /// The folder's or the store's trouble.
    pub async fn add(&self, head: &Head, at: Timestamp) -> Result<(), StoreError> {
        let Head { console, seq, hash } = *head;
        let anchor = Anchor { console, seq, hash, at };
        let folder = self.folder.clone();
        blocking(&self.folder, move || add_line(&folder, &anchor)).await?;
        let Some((objects, lock_for)) = &self.objects else { return Ok(()) };
        if !lock(objects, &anchor, at.plus(*lock_for)).await? {
            tracing::warn!("the store of objects locks nothing: whoever may write there can take anchors away");
        }
        Ok(())
    }

    /// Adds anchors that were written down elsewhere, where they are not here yet; locked from `now` on.
    ///
    /// # Errors
    /// The folder's or the store's trouble.
    pub async fn take_over(&self, anchors: &[Anchor], now: Timestamp) -> Result<(), StoreError> {
        let (folder, all) = (self.clone(), anchors.to_owned());
        blocking(&self.folder, move || {
            let there: BTreeSet<Anchor> = folder.in_folder()?.into_iter().collect();
            let missing = all.iter().filter(|anchor| !there.contains(anchor));
            missing.into_iter().try_for_each(|anchor| add_line(&folder.folder, anchor))
        })
        .await?;
        let Some((objects, lock_for)) = &self.objects else { return Ok(()) };
        let there: BTreeSet<String> = objects.list_locked().await?.into_iter().collect();
        for anchor in anchors.iter().filter(|anchor| !there.contains(&anchor.key())) {
            lock(objects, anchor, now.plus(*lock_for)).await?;
        }
        Ok(())
    }

    /// All anchors, from the folder and from the store of objects. A line that was broken off by a crash is left out; it was
    /// never promised.
    ///
    /// # Errors
    /// The folder's or the store's trouble; a folder that is not there has none.
    pub async fn all(&self) -> Result<Vec<Anchor>, StoreError> {
        let folder = self.clone();
        let mut anchors = blocking(&self.folder, move || folder.in_folder()).await?;
        if let Some((objects, _)) = &self.objects {
            anchors.extend(objects.list_locked().await?.iter().filter_map(|key| Anchor::of_key(key)));
        }
        Ok(anchors)
    }

    fn in_folder(&self) -> Result<Vec<Anchor>, StoreError> {
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

/// Whether the object of the anchor is locked.
async fn lock(objects: &ObjectStore, anchor: &Anchor, until: Timestamp) -> Result<bool, StoreError> {
    let body = serde_json::to_vec(anchor).map_err(|e| StoreError::BadRecord(e.to_string()))?;
    objects.put_locked(&anchor.key(), body, until).await
}

fn add_line(folder: &Path, anchor: &Anchor) -> Result<(), StoreError> {
    let path = folder.join(format!("{}.jsonl", anchor.console));
    let written = (|| {
        fs::create_dir_all(folder)?;
        let anchor = serde_json::to_string(anchor).map_err(io::Error::other)?;
        let line = format!("\n{anchor}\n"); // on a line of its own, also behind one that a crash broke off
        let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
        file.write_all(line.as_bytes())?;
        file.sync_data()
    })();
    written.map_err(|e| io_error(&path, &e))
}

async fn blocking<T: Send + 'static>(
    place: &Path,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let stopped = |e: tokio::task::JoinError| io_error(place, &io::Error::other(e));
    tokio::task::spawn_blocking(work).await.map_err(stopped)?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{servers, store::Address};

    #[tokio::test]
    async fn anchors_on_s3_are_locked_and_read_by_every_console() {
        let address = Address::parse(&servers::s3().prefix()).unwrap();
        let objects = ObjectStore::connect(&address).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let here = Anchors::new(dir.path().join("a")).locked_in(&objects, Duration::from_secs(3600));
        assert_eq!(here.all().await.unwrap(), [], "no bucket yet");
        let now = crate::model::Clock::now(&crate::model::SystemClock);
        let head = Head { console: Uuid::from_u128(1), seq: 4, hash: Hash([7; 32]) };
        here.add(&head, now).await.unwrap();
        here.add(&Head { seq: 5, ..head }, now).await.unwrap();
        // another console has nothing but the store
        let there = Anchors::new(dir.path().join("b")).locked_in(&objects, Duration::from_secs(3600));
        let anchor = Anchor { console: head.console, seq: 4, hash: head.hash, at: now };
        assert_eq!(there.all().await.unwrap(), [anchor, Anchor { seq: 5, ..anchor }]);
        // whoever may delete hides it from those who list, and not from those who verify
        let _ = objects.delete(&anchor.key()).await;
        assert_eq!(there.all().await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn anchors_are_added_and_read_back_and_a_broken_line_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let anchors = Anchors::new(dir.path().join("anchors"));
        assert_eq!(anchors.all().await.unwrap(), []);
        let head = Head { console: Uuid::from_u128(1), seq: 4, hash: Hash([7; 32]) };
        anchors.add(&head, Timestamp(5)).await.unwrap();
        anchors.add(&Head { seq: 6, ..head }, Timestamp(9)).await.unwrap();
        let path = dir.path().join("anchors").join(format!("{}.jsonl", head.console));
        OpenOptions::new().append(true).open(path).unwrap().write_all(b"{\"console\":\xff").unwrap();
        let seqs = async || anchors.all().await.unwrap().iter().map(|a| a.seq).collect::<Vec<_>>();
        assert_eq!(seqs().await, [4, 6]);
        anchors.add(&Head { seq: 8, ..head }, Timestamp(11)).await.unwrap();
        assert_eq!(seqs().await, [4, 6, 8], "the anchor after the broken line is whole");
    }
}
