//! Videos that come as files: looked at, stored whole, and entered as video of a camera. One after another; interrupted
//! ones go on, also after a restart.
use super::{
    About, NoticeLevel, Shared,
    records::{Actor, Records},
    state::{StartFrom, UploadStage, UploadView},
    stills,
};
use crate::{
    model::{
        Action, Camera, CameraId, Outcome, Picture, Rect, Rights, Segment, Timestamp, Upload, User, as_text, shown_name,
    },
    store::{StoreError, file, sqlite::is_there, url_of_key},
    supervise::{Pulse, words},
    sync::{JournalError, Record},
    video::{FIRST_BELIEVABLE, FileError, Probe, extension, probe},
};
use futures_util::FutureExt as _;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::{
    collections::BTreeSet,
    fs::File,
    io::{Read as _, Write as _},
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::Notify;
use uuid::Uuid;

/// The longest side of a thumbnail, pixels.
const THUMBNAIL: u32 = 320;
/// Uploads of earlier runs that are shown after a start.
const SHOWN: usize = 200;
/// Between two attempts while a store does not take the file: doubled up to the second.
const RETRY: Duration = Duration::from_secs(2);
const RETRY_AT_MOST: Duration = Duration::from_secs(60);
/// A recorder whose clock is ahead by less than that may have written a video that ends now.
const AHEAD: Duration = Duration::from_secs(300);

/// What the screen asks for.
#[derive(Clone, Debug)]
pub enum UploadCommand {
    /// Looks at files, so that each can be bound to a camera and a start.
    Look(Vec<PathBuf>),
    /// Uploads a file that was looked at.
    Start {
        /// The file.
        id: Uuid,
        /// Whose video it is.
        camera: CameraId,
        /// Wall clock of its first picture.
        starts_at: Timestamp,
    },
    /// Interrupts an upload; it can go on later.
    Pause(Uuid),
    /// Goes on with an interrupted upload.
    Resume(Uuid),
    /// Gives an upload up; nothing of it is kept.
    Cancel(Uuid),
    /// Takes a line off the screen: a file that was only looked at, or one that is over.
    Dismiss(Uuid),
}

/// Why a file was not uploaded, in words for the operator.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// It cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is no such camera, or the user may not see it.
    #[error("there is no camera called {0:?} that you may upload to")]
    NoCamera(String),
    /// Not a container that can be kept.
    #[error("{0} is a container that Vigia does not keep. Convert the file to mp4 or mkv")]
    Container(String),
    /// Uploaded before.
    #[error("this very file was uploaded before: {words}")]
    Duplicate {
        /// What and where, as far as the user may know.
        words: String,
        /// The upload before.
        before: Box<Upload>,
    },
    /// Its pictures would be of the future.
    #[error("the video would start in the future ({0}): correct its start")]
    Future(String),
    /// And so would its last ones.
    #[error("the video would end in the future ({0}): its start is too late, or is that of its end. Correct it")]
    EndsInFuture(String),
    /// No video is that old.
    #[error("the video would start in {0}: that is a clock that was never set. Give its true start")]
    Unset(String),
    /// Nothing says when it starts.
    #[error("neither the name nor the file says when the video starts: give its start")]
    NoStart,
    /// The file cannot be read any more.
    #[error("{} cannot be read: {why}", path.display())]
    Gone {
        /// Which.
        path: PathBuf,
        /// What the system says.
        why: String,
    },
    /// The operator took it back.
    #[error("given up by the operator")]
    GivenUp,
    /// A store's trouble.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It was not recorded, so it does not count.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// No thread.
    #[error("the system gave no thread: {0}")]
    Thread(String),
}

impl UploadError {
    /// Whether the same may work later, without anybody changing the upload.
    fn passes(&self) -> bool {
        match self {
            Self::Store(error) => !error.is_bad_record(),
            Self::Journal(_) => true,
            _ => false,
        }
    }

    fn outcome(&self) -> Outcome {
        match self {
            Self::Duplicate { .. }
            | Self::NoCamera(_)
            | Self::Container(_)
            | Self::Future(_)
            | Self::EndsInFuture(_)
            | Self::Unset(_)
            | Self::NoStart => Outcome::Refused(self.to_string()),
            Self::File(FileError::Missing(_) | FileError::Unreadable(..)) => Outcome::Failed(self.to_string()),
            Self::File(_) => Outcome::Refused(self.to_string()),
            _ => Outcome::Failed(self.to_string()),
        }
    }
}

/// A file that somebody wants to upload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UploadWish {
    /// The file.
    #[serde(with = "as_text")]
    pub path: PathBuf,
    /// Whose video it is.
    pub camera: CameraId,
    /// Wall clock of its first picture.
    pub starts_at: Timestamp,
    /// Where the start comes from.
    pub start_from: StartFrom,
}

/// How far an upload is, bytes of its file.
#[derive(Clone, Copy)]
pub enum UploadStep<'a> {
    /// What the file is.
    Looked(&'a Probe),
    /// Read and hashed.
    Read(u64),
    /// Stored.
    Stored(u64),
}

/// Where the start of a video comes from, without asking anybody: its name, else what the file says.
pub fn start_of(path: &Path, probe: &Probe) -> Option<(Timestamp, StartFrom)> {
    let name = shown_name(path);
    let named = Timestamp::in_file_name(&name).map(|t| (t, StartFrom::Name));
    named.or_else(|| probe.created_at.map(|t| (t, StartFrom::File)))
}

impl Records {
    /// Stores a file and enters it as video of its camera: an object, its row of `uploads` and a segment, all or none. Called
    /// again after an interruption it goes on where it was. Writes no entry of the action log but for what succeeded;
    /// [`not_uploaded`](Self::not_uploaded) writes that of what did not.
    ///
    /// # Errors
    /// [`UploadError`]; nothing counts as uploaded then.
    pub async fn upload(
        &self,
        by: Actor<'_>,
        rights: &Rights,
        wish: &UploadWish,
        progress: &(dyn Fn(UploadStep<'_>) + Send + Sync),
    ) -> Result<Upload, UploadError> {
        let camera = self.camera_of(wish.camera, rights).await?;
        if wish.starts_at > self.clock.now() {
            return Err(UploadError::Future(wish.starts_at.local_with_offset()));
        }
        if wish.starts_at < FIRST_BELIEVABLE {
            return Err(UploadError::Unset(wish.starts_at.local_with_offset()));
        }
        let path = wish.path.clone();
        let found = blocking(move || probe(&path)).await??;
        let ends_at = wish.starts_at.plus(found.duration);
        if ends_at > self.clock.now().plus(AHEAD) {
            return Err(UploadError::EndsInFuture(ends_at.local_with_offset()));
        }
        progress(UploadStep::Looked(&found));
        let ending = extension(&found.container).ok_or_else(|| UploadError::Container(found.container.clone()))?;
        let (sha256, size) = self.hash(&wish.path, progress).await?;
        if let Some(there) = self.uploaded_before(&sha256).await? {
            return Err(UploadError::Duplicate { words: self.words_of(&there, rights).await, before: Box::new(there) });
        }
        // The file's own hash names it: whoever uploads it again, after whatever went wrong, goes on with the same object.
        let id = id_of(&sha256);
        let key = format!("videos/{id}.{ending}");
        self.stores.objects.put_file(&key, &wish.path, &|done| progress(UploadStep::Stored(done))).await.map_err(
            |error| match error {
                StoreError::Unavailable { .. } | StoreError::BadRecord(_)
                    if matches!(is_there(&wish.path), Ok(false)) =>
                {
                    gone(&wish.path, "it is not there any more")
                }
                error => error.into(),
            },
        )?;
        let name = shown_name(&wish.path);
        let thumbnail = thumbnail(&found).and_then(|p| stills::to_jpeg(&p));
        let thumbnail_key = format!("thumbnails/{id}.jpg");
        let upload = Upload {
            id,
            camera: camera.id,
            video_url: url_of_key(&key),
            duration: found.duration.as_secs_f64().round() as i64,
            resolution: format!("{}x{}", found.width, found.height),
            size: i64::try_from(size).unwrap_or(i64::MAX),
            format: found.container.clone(),
            metadata: json!({
                "name": name, "sha256": sha256, "by": by.0, "by_name": by.1, "uploaded_at": self.clock.now().to_string(),
                "codec": found.codec, "duration_s": found.duration.as_secs_f64(), "frames": found.frames,
                "created_at": found.created_at.map(|t| t.to_string()), "start_from": wish.start_from,
                "damage": found.damage, "thumbnail": thumbnail.as_ref().map(|_| url_of_key(&thumbnail_key)),
            }),
            date: wish.starts_at,
        };
        let segment = Segment {
            id,
            camera: camera.id,
            // The first picture is of the start, wherever in the file it is.
            starts_at: wish.starts_at.minus(found.begin),
            ends_at: wish.starts_at.minus(found.begin).plus(found.end),
            video_url: upload.video_url.clone(),
            format: found.container,
            codec: found.codec,
            width: found.width,
            height: found.height,
            size,
            sha256: sha256.clone(),
            upload: Some(id),
            clock_offset: None,
        };
        let mut entry = self.entry(by, Action::UploadVideo, Outcome::Succeeded);
        entry.target = Some(id.to_string());
        entry.details = json!({
            "camera": camera.name, "camera_id": camera.id, "file": name, "sha256": sha256, "size": size,
            "starts_at": wish.starts_at.to_string(), "duration_s": found.duration.as_secs_f64(), "damage": found.damage,
        });
        let mut records: Vec<Record> = thumbnail
            .map(|bytes| Record::Object { key: thumbnail_key, content_type: "image/jpeg".to_owned(), bytes })
            .into_iter()
            .collect();
        records.extend([Record::Upload(upload.clone()), Record::Segment(segment), Record::Action(entry)]);
        self.journal.append(&records).await?;
        Ok(upload)
    }

    /// The one entry of an upload that came to nothing.
    ///
    /// # Errors
    /// The journal's trouble.
    pub async fn not_uploaded(
        &self,
        by: Actor<'_>,
        path: &Path,
        camera: Option<CameraId>,
        error: &UploadError,
    ) -> Result<(), JournalError> {
        let mut entry = self.entry(by, Action::UploadVideo, error.outcome());
        let name = match camera {
            Some(id) => self.stores.cameras.cameras().await.ok().and_then(|all| all.into_iter().find(|c| c.id == id)),
            None => None,
        };
        entry.details = json!({
            "file": shown_name(path), "camera": name.map(|c| c.name), "camera_id": camera,
        });
        self.journal.append(&[Record::Action(entry)]).await
    }

    async fn camera_of(&self, id: CameraId, rights: &Rights) -> Result<Camera, UploadError> {
        let all = self.stores.cameras.cameras().await?;
        let camera = all.into_iter().find(|c| c.id == id && rights.allow(c.id));
        camera.ok_or_else(|| UploadError::NoCamera(id.to_string()))
    }

    async fn hash(
        &self,
        path: &Path,
        progress: &(dyn Fn(UploadStep<'_>) + Send + Sync),
    ) -> Result<(String, u64), UploadError> {
        let file = File::open(path).map_err(|e| gone(path, &e.to_string()))?;
        let (mut file, mut sha, mut size) = (file, Sha256::new(), 0);
        loop {
            // Pieces are read off the asynchronous threads, so that an upload can be interrupted between two of them.
            let read = blocking(move || {
                let mut piece = vec![0; 4 << 20];
                let read = file.read(&mut piece);
                read.map(|n| {
                    sha.update(piece.get(..n).unwrap_or_default());
                    (file, sha, n as u64)
                })
            });
            let n;
            (file, sha, n) = read.await?.map_err(|e| gone(path, &e.to_string()))?;
            if n == 0 {
                let digest: [u8; 32] = sha.finalize().into();
                return Ok((crate::model::Hash(digest).to_string(), size));
            }
            size += n;
            progress(UploadStep::Read(size));
        }
    }

    async fn uploaded_before(&self, sha256: &str) -> Result<Option<Upload>, UploadError> {
        self.delivery.flush().await; // one of a moment ago may be on its way
        let all = self.stores.cameras.uploads(None).await?;
        Ok(all.into_iter().find(|u| u.metadata.get("sha256").and_then(|v| v.as_str()) == Some(sha256)))
    }

    /// What was uploaded before, for somebody who may not see every camera.
    async fn words_of(&self, upload: &Upload, rights: &Rights) -> String {
        if !rights.allow(upload.camera) {
            return "it is among the videos of another camera".to_owned();
        }
        let cameras = self.stores.cameras.cameras().await.unwrap_or_default();
        let camera = cameras.iter().find(|c| c.id == upload.camera).map_or("a camera that is gone", |c| &c.name);
        format!("{} in {camera}, starting {}", name_of(upload), upload.date.local_with_offset())
    }
}

fn gone(path: &Path, why: &str) -> UploadError {
    UploadError::Gone { path: path.to_owned(), why: why.to_owned() }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, UploadError> {
    tokio::task::spawn_blocking(work).await.map_err(|e| UploadError::Thread(e.to_string()))
}

/// The identity of the upload of the file with this hash.
fn id_of(sha256: &str) -> Uuid {
    let mut bytes = [0; 16];
    if let Some(hash) = crate::model::Hash::parse(sha256) {
        bytes.iter_mut().zip(hash.0).for_each(|(to, from)| *to = from);
    }
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// Whether the wish has come true before.
fn is_of(upload: &Upload, by: Actor<'_>, wish: &UploadWish) -> bool {
    let who = upload.metadata.get("by").and_then(|v| v.as_str());
    (upload.camera, upload.date, who) == (wish.camera, wish.starts_at, Some(by.0))
}

fn name_of(upload: &Upload) -> String {
    let name = upload.metadata.get("name").and_then(|v| v.as_str());
    name.map_or_else(|| upload.id.to_string(), str::to_owned)
}

fn thumbnail(probe: &Probe) -> Option<Picture> {
    probe.first.picture(Rect::new(0.0, 0.0, probe.width as f32, probe.height as f32), THUMBNAIL)
}

/// The uploads of this console.
pub(super) struct Uploads {
    items: Mutex<Vec<Item>>,
    wake: Notify,
    /// What is not over yet, for the next start.
    file: PathBuf,
    saving: tokio::sync::Mutex<()>,
}

struct Item {
    view: UploadView,
    by: (String, String),
    start_from: StartFrom,
    path: PathBuf,
    stop: Arc<Notify>,
    attempts: u32,
    /// An earlier run began it, and may have ended just behind its last record.
    resumed: bool,
}

/// An upload that is not over, as it waits for the next start.
#[derive(Serialize, Deserialize)]
struct Pending {
    id: Uuid,
    by: (String, String),
    paused: bool,
    #[serde(flatten)]
    wish: UploadWish,
}

impl Uploads {
    /// What an earlier run left undone is read from `file`. One that cannot be read is told, and moved aside by the next save.
    pub fn open(file: PathBuf) -> (Self, Option<String>) {
        let mut trouble = None;
        let pending: Vec<Pending> = match std::fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|e| {
                trouble =
                    Some(format!("The list of unfinished uploads {} is damaged and was left out: {e}", file.display()));
                let _ = std::fs::rename(&file, file.with_extension("damaged"));
                Vec::new()
            }),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(e) => {
                trouble = Some(format!("The list of unfinished uploads {} cannot be read: {e}", file.display()));
                Vec::new()
            }
        };
        let items = pending.into_iter().map(|p| {
            let stage = if p.paused { UploadStage::Paused } else { UploadStage::Waiting };
            let mut item = Item::new(p.wish.path, p.by, stage);
            item.view.id = p.id;
            item.view.camera = Some(p.wish.camera);
            item.view.starts_at = Some(p.wish.starts_at);
            item.start_from = p.wish.start_from;
            item.resumed = true;
            item
        });
        let items = Mutex::new(items.collect());
        (Self { items, wake: Notify::new(), file, saving: tokio::sync::Mutex::new(()) }, trouble)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Item>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, id: Uuid, change: impl FnOnce(&mut Item)) {
        if let Some(item) = self.lock().iter_mut().find(|i| i.view.id == id) {
            change(item);
        }
    }

    /// Takes uploads off the list that were deleted.
    pub fn forget(&self, ids: &BTreeSet<Uuid>) {
        self.lock().retain(|i| !i.view.upload.is_some_and(|id| ids.contains(&id)));
    }

    /// What the user may see: what belongs to cameras among their rights, and files that they are about to upload.
    pub fn views(&self, user: &User, rights: &Rights) -> Vec<UploadView> {
        let items = self.lock();
        let seen = |i: &&Item| match i.view.stage {
            UploadStage::Looking | UploadStage::Ready | UploadStage::Refused(_) | UploadStage::Failed(_) => {
                i.by.0 == user.cc
            }
            _ => i.view.camera.is_some_and(|c| rights.allow(c)),
        };
        items.iter().filter(seen).map(|i| i.view.clone()).collect()
    }

    /// Whether the user may see this one.
    pub fn shows(&self, id: Uuid, user: &User, rights: &Rights) -> bool {
        let seen = |i: &Item| i.view.camera.map_or(i.by.0 == user.cc, |c| rights.allow(c));
        self.lock().iter().any(|i| i.view.id == id && seen(i))
    }

    /// Forgets files that were only looked at: whoever looked has left.
    pub fn forget_drafts(&self) {
        self.lock()
            .retain(|i| !matches!(i.view.stage, UploadStage::Looking | UploadStage::Ready | UploadStage::Refused(_)));
    }

    /// Keeps what is not over for the next start.
    async fn save(&self) -> std::io::Result<()> {
        let _saving = self.saving.lock().await;
        let pending: Vec<Pending> = self.lock().iter().filter_map(Item::pending).collect();
        let path = self.file.clone();
        let saved = tokio::task::spawn_blocking(move || {
            let text = serde_json::to_vec_pretty(&pending).map_err(std::io::Error::other)?;
            file::write_whole(file::folder_of(&path), &path, |to| to.write_all(&text))
        });
        saved.await.map_err(std::io::Error::other)?
    }
}

impl Item {
    fn new(path: PathBuf, by: (String, String), stage: UploadStage) -> Self {
        let size = std::fs::metadata(&path).map_or(0, |m| m.len());
        let view = UploadView {
            id: Uuid::now_v7(),
            name: shown_name(&path),
            camera: None,
            starts_at: None,
            start_from: None,
            size,
            duration: None,
            resolution: None,
            format: None,
            damage: None,
            thumbnail: None,
            upload: None,
            stage,
        };
        Self { view, by, start_from: StartFrom::Operator, path, stop: Arc::default(), attempts: 0, resumed: false }
    }

    fn show(&mut self, probe: &Probe) {
        self.view.duration = Some(probe.duration);
        self.view.resolution = Some((probe.width, probe.height));
        self.view.format = Some(format!("{} · {}", probe.container, probe.codec));
        self.view.damage.clone_from(&probe.damage);
        self.view.thumbnail = thumbnail(probe);
    }

    fn wish(&self) -> Option<UploadWish> {
        Some(UploadWish {
            path: self.path.clone(),
            camera: self.view.camera?,
            starts_at: self.view.starts_at?,
            start_from: self.start_from,
        })
    }

    fn pending(&self) -> Option<Pending> {
        let paused = match self.view.stage {
            UploadStage::Paused => true,
            UploadStage::Waiting | UploadStage::Reading(_) | UploadStage::Storing(_) | UploadStage::Retrying { .. } => {
                false
            }
            _ => return None,
        };
        Some(Pending { id: self.view.id, by: self.by.clone(), paused, wish: self.wish()? })
    }
}

impl Shared {
    /// Does what the screen asks about uploads.
    pub(super) async fn upload_command(self: &Arc<Self>, user: &User, command: UploadCommand) {
        match command {
            UploadCommand::Look(paths) => self.look_at(user, paths),
            UploadCommand::Start { id, camera, starts_at } => {
                self.uploads.change(id, |item| {
                    if matches!(item.view.stage, UploadStage::Ready | UploadStage::Failed(_)) {
                        if item.view.starts_at != Some(starts_at) {
                            item.start_from = StartFrom::Operator;
                        }
                        item.view.camera = Some(camera);
                        item.view.starts_at = Some(starts_at);
                        item.view.start_from = Some(item.start_from);
                        item.view.stage = UploadStage::Waiting;
                        item.by = (user.cc.clone(), user.name.clone());
                    }
                });
                self.keep_uploads().await;
            }
            UploadCommand::Pause(id) => {
                self.uploads.change(id, |item| {
                    if item.pending().is_some() {
                        item.view.stage = UploadStage::Paused;
                        item.stop.notify_one();
                    }
                });
                self.keep_uploads().await;
            }
            UploadCommand::Resume(id) => {
                self.uploads.change(id, |item| {
                    if item.view.stage == UploadStage::Paused || matches!(item.view.stage, UploadStage::Retrying { .. })
                    {
                        item.view.stage = UploadStage::Waiting;
                        item.attempts = 0;
                    }
                });
                self.keep_uploads().await;
            }
            UploadCommand::Cancel(id) => {
                let mut given_up = None;
                self.uploads.change(id, |item| {
                    if item.pending().is_some() {
                        item.view.stage = UploadStage::Failed(UploadError::GivenUp.to_string());
                        item.stop.notify_one();
                        given_up = Some((item.path.clone(), item.view.camera));
                    }
                });
                if let Some((path, camera)) = given_up {
                    let by = (user.cc.as_str(), user.name.as_str());
                    self.record_not_uploaded(by, &path, camera, &UploadError::GivenUp).await;
                    self.keep_uploads().await;
                }
            }
            UploadCommand::Dismiss(id) => {
                self.uploads.lock().retain(|i| i.view.id != id || i.pending().is_some());
            }
        }
    }

    async fn keep_uploads(&self) {
        if let Err(error) = self.uploads.save().await {
            self.trouble(About::Everybody, format!("Uploads will not go on after a restart: {error}"));
        }
        self.uploads.wake.notify_one();
    }

    async fn record_not_uploaded(&self, by: Actor<'_>, path: &Path, camera: Option<CameraId>, error: &UploadError) {
        if let Err(error) = self.records.not_uploaded(by, path, camera, error).await {
            self.trouble(About::Everybody, format!("An upload that came to nothing was not recorded: {error}"));
        }
    }

    /// Looks at files off the asynchronous threads; each appears at once and is filled in when it is known.
    fn look_at(self: &Arc<Self>, user: &User, paths: Vec<PathBuf>) {
        let mut new = Vec::new();
        {
            let mut items = self.uploads.lock();
            for path in paths {
                // Dropped twice, it is there once.
                if items.iter().any(|i| i.path == path && !i.view.stage.is_over()) {
                    continue;
                }
                let item = Item::new(path.clone(), (user.cc.clone(), user.name.clone()), UploadStage::Looking);
                new.push((item.view.id, path));
                items.insert(0, item);
            }
        }
        let (shared, user) = (Arc::clone(self), user.clone());
        self.runtime.spawn(async move {
            for (id, path) in new {
                let looked = path.clone();
                let found = blocking(move || probe(&looked)).await.and_then(|found| found.map_err(UploadError::from));
                let found = found.and_then(|probe| match extension(&probe.container) {
                    Some(_) => Ok(probe),
                    None => Err(UploadError::Container(probe.container.clone())),
                });
                match found {
                    Ok(probe) => shared.uploads.change(id, |item| {
                        let start = start_of(&path, &probe);
                        item.show(&probe);
                        item.view.starts_at = start.map(|(t, _)| t);
                        item.view.start_from = start.map(|(_, from)| from);
                        item.start_from = start.map_or(StartFrom::Operator, |(_, from)| from);
                        item.view.stage = UploadStage::Ready;
                    }),
                    Err(error) => {
                        shared.record_not_uploaded((&user.cc, &user.name), &path, None, &error).await;
                        shared.uploads.change(id, |item| item.view.stage = UploadStage::Refused(sentence(&error)));
                    }
                }
            }
        });
    }

    /// Works on what waits, one after another, until it is aborted.
    pub(super) async fn run_uploads(&self, pulse: &Pulse) {
        pulse.beat();
        self.show_earlier_uploads().await;
        loop {
            pulse.beat();
            let now = self.records.clock.now();
            let next = {
                let items = self.uploads.lock();
                // Oldest first: new ones are put at the front of the list.
                let due = items.iter().rev().find(|i| match i.view.stage {
                    UploadStage::Waiting => true,
                    // one that lies further ahead than any pause is of a clock that was set back
                    UploadStage::Retrying { at, .. } => at <= now || at > now.plus(RETRY_AT_MOST),
                    _ => false,
                });
                due.and_then(|i| Some((i.view.id, i.by.clone(), i.wish()?, Arc::clone(&i.stop), i.resumed)))
            };
            match next {
                Some((id, by, wish, stop, resumed)) => {
                    let done = AssertUnwindSafe(self.upload_one(id, &by, &wish, &stop, resumed)).catch_unwind().await;
                    if let Err(panic) = done {
                        // The others behind it go on.
                        let why = words(panic.as_ref());
                        self.uploads.change(id, |item| item.view.stage = UploadStage::Failed(why));
                    }
                }
                None => {
                    let _ = tokio::time::timeout(Duration::from_secs(1), self.uploads.wake.notified()).await;
                }
            }
        }
    }

    async fn upload_one(&self, id: Uuid, by: &(String, String), wish: &UploadWish, stop: &Notify, resumed: bool) {
        let by = (by.0.as_str(), by.1.as_str());
        self.uploads.change(id, |item| item.view.stage = UploadStage::Reading(0));
        let stopped = AtomicBool::new(false);
        let progress = |step: UploadStep<'_>| {
            self.uploads.change(id, |item| {
                if !stopped.load(Ordering::Relaxed) && item.pending().is_some_and(|p| !p.paused) {
                    match step {
                        UploadStep::Looked(probe) => item.show(probe),
                        UploadStep::Read(done) => item.view.stage = UploadStage::Reading(done),
                        UploadStep::Stored(done) => item.view.stage = UploadStage::Storing(done),
                    }
                }
            });
        };
        let done = tokio::select! {
            done = async {
                let rights = self.rights_of_uploader(by.0).await?;
                self.records.upload(by, &rights, wish, &progress).await
            } => done,
            () = stop.notified() => {
                stopped.store(true, Ordering::Relaxed);
                return; // whoever stopped it has said what it is now
            }
        };
        let now = self.records.clock.now();
        let done = match done {
            Err(UploadError::Duplicate { before, .. }) if resumed && is_of(&before, by, wish) => Ok(*before),
            done => done,
        };
        match done {
            Ok(upload) => {
                let name = name_of(&upload);
                self.uploads.change(id, |item| {
                    item.view.stage = UploadStage::Done;
                    item.view.upload = Some(upload.id);
                });
                let text = format!("{name} is uploaded");
                self.board.lock().notice(now, NoticeLevel::Info, text, About::Cameras(vec![wish.camera]));
            }
            Err(error) if error.passes() => self.uploads.change(id, |item| {
                let wait = RETRY.saturating_mul(1 << item.attempts.min(5)).min(RETRY_AT_MOST);
                item.attempts += 1;
                item.view.stage = UploadStage::Retrying { why: sentence(&error), at: now.plus(wait) };
            }),
            Err(error) => {
                let text = sentence(&error);
                self.record_not_uploaded(by, &wish.path, Some(wish.camera), &error).await;
                self.uploads.change(id, |item| {
                    item.view.stage = match error.outcome() {
                        Outcome::Refused(_) => UploadStage::Refused(text),
                        _ => UploadStage::Failed(text),
                    };
                });
            }
        }
        self.keep_uploads().await;
    }

    /// The rights of whoever asked for an upload, who may have left by now; none for a user who was deactivated.
    async fn rights_of_uploader(&self, cc: &str) -> Result<Rights, StoreError> {
        let users = &self.records.stores.users;
        match users.user(cc).await? {
            Some(user) if user.active => users.may_see(&user).await,
            _ => Ok(Rights::Only(BTreeSet::new())),
        }
    }

    /// Lists what was uploaded before.
    pub(super) async fn show_earlier_uploads(&self) {
        let uploads = match self.records.stores.cameras.uploads(None).await {
            Ok(uploads) => uploads,
            Err(error) if error.is_away() => return, // listed when the database is taken up
            Err(error) => return self.trouble(About::Everybody, format!("Earlier uploads cannot be listed: {error}")),
        };
        for upload in uploads.into_iter().take(SHOWN) {
            let text = |key: &str| upload.metadata.get(key).and_then(|v| v.as_str()).map(str::to_owned);
            let thumbnail = match text("thumbnail") {
                Some(url) => self.picture(&url).await,
                None => None,
            };
            let pixels = upload.resolution.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
            let mut item = Item::new(PathBuf::new(), Default::default(), UploadStage::Done);
            item.view = UploadView {
                id: upload.id,
                name: name_of(&upload),
                camera: Some(upload.camera),
                starts_at: Some(upload.date),
                start_from: None,
                size: upload.size.unsigned_abs(),
                duration: upload
                    .metadata
                    .get("duration_s")
                    .and_then(|v| v.as_f64())
                    .and_then(|s| Duration::try_from_secs_f64(s).ok()),
                resolution: pixels,
                format: Some(format!("{} · {}", upload.format, text("codec").unwrap_or_default())),
                damage: text("damage"),
                thumbnail,
                upload: Some(upload.id),
                stage: UploadStage::Done,
            };
            let mut items = self.uploads.lock();
            if !items.iter().any(|i| i.view.upload == Some(upload.id)) {
                items.push(item);
            }
        }
    }
}

/// An error as a sentence of its own.
fn sentence(error: &UploadError) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::SystemClock,
        site::{SiteConfig, records::Records},
        store::{DataFolder, cameras::tests::camera},
        video::{ENDINGS, tests::launch},
    };

    #[test]
    fn every_container_that_is_taken_can_be_stored() {
        for (container, ending) in ENDINGS {
            let key = format!("videos/{}.{ending}", Uuid::nil());
            assert_eq!(crate::store::key_of_url(&url_of_key(&key)), Some(key.as_str()), "{container}");
        }
    }

    #[test]
    fn a_start_is_that_of_the_first_picture_and_neither_1970_nor_one_that_leads_into_the_future() {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        // Ten minutes of one picture a second, which begin two seconds into the file.
        let path = folder.path().join("a.mkv");
        launch(&format!(
            "matroskamux name=m ! filesink location=\"{}\" audiotestsrc num-buffers=100 ! audio/x-raw,rate=44100 ! avenc_aac ! m. \
             videotestsrc num-buffers=600 timestamp-offset=2000000000 ! video/x-raw,format=I420,width=64,height=64,framerate=1/1 \
             ! x264enc tune=zerolatency speed-preset=ultrafast ! h264parse ! m.",
            path.display()
        ));
        runtime.block_on(async {
            let data = DataFolder::open(folder.path().join("data")).unwrap();
            let records = Records::open(&data, &SiteConfig::default(), Arc::new(SystemClock)).await.unwrap();
            let camera = camera();
            records.journal.append(&[Record::Camera(camera.clone())]).await.unwrap();
            assert!(records.delivery.flush().await);
            let now = records.clock.now();
            let upload = async |starts_at| {
                let wish =
                    UploadWish { path: path.clone(), camera: camera.id, starts_at, start_from: StartFrom::Operator };
                records.upload(("1", "Ana"), &Rights::All, &wish, &|_| {}).await
            };
            assert!(matches!(upload(Timestamp(0)).await, Err(UploadError::Unset(_))));
            let late = now.minus(Duration::from_secs(200));
            assert!(matches!(upload(late).await, Err(UploadError::EndsInFuture(_))));
            let starts_at = now.minus(Duration::from_secs(3600));
            let stored = upload(starts_at).await.unwrap();
            records.delivery.flush().await;
            let segment = records.stores.cameras.segment(stored.id).await.unwrap().unwrap();
            assert_eq!(stored.date, starts_at);
            let first = segment.file_time(starts_at).as_secs_f64();
            assert!((first - 2.0).abs() < 0.1, "the picture of the start is {first} s into the file");
            assert!((segment.ends_at.seconds_since(starts_at) - 600.0).abs() < 1.5, "{segment:?}");
        });
    }
}
