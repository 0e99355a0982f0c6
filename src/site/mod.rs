//! The room that knows everybody: it builds each camera's path from video to record, owns the threads, and publishes state for
//! the screen.
mod analysis;
mod board;
mod commands;
mod config;
mod path;
pub mod state;
mod stills;

pub use config::{AnalysisConfig, CameraConfig, ConfigError, SiteConfig, VideoConfig};
pub use path::{CameraSummary, Percentiles};
pub use state::*;

use crate::{
    follow::Follower,
    model::{Action, ActionRecord, Camera, CameraId, Clock, Decision, Outcome, redact_url},
    store::{DataFolder, FolderError, LogIds, StoreError, Stores, key_of_url, url_of_key},
    sync::{Delivery, Journal, JournalError, Record},
    vision::{Appearance, Compute, Detector, Input, VisionError, Worker},
};
use analysis::Analysis;
use board::Board;
use path::CameraPath;
use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::runtime::Runtime;
use uuid::Uuid;

/// Sightings of earlier runs shown after a start.
const SIGHTINGS_SHOWN: u32 = 500;
/// How long stopping may wait for the stores.
const STOP_WITHIN: Duration = Duration::from_millis(1200);

/// Why a site cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// The data folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The analysis.
    #[error(transparent)]
    Vision(#[from] VisionError),
    /// Threads or the asynchronous runtime.
    #[error("the system gave no thread: {0}")]
    Threads(#[from] std::io::Error),
}

/// What every part of the site shares.
struct Shared {
    config: SiteConfig,
    clock: Arc<dyn Clock>,
    runtime: tokio::runtime::Handle,
    stores: Stores,
    journal: Journal,
    delivery: Delivery,
    log_ids: LogIds,
    board: Board,
    follower: Mutex<Follower>,
    /// Held by whoever changes the follower until what follows from it is committed and on the board.
    order: tokio::sync::Mutex<()>,
    paths: Vec<CameraPath>,
    model: String,
    analysis: String,
    appearance: Arc<Appearance>,
}

impl Shared {
    fn follower(&self) -> MutexGuard<'_, Follower> {
        self.follower.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn camera_name(&self, id: CameraId) -> &str {
        self.paths.iter().find(|p| p.camera.id == id).map_or("a camera that is gone", |p| &p.camera.name)
    }

    /// An entry of the action log, to be committed with what it is about.
    fn action(&self, who: (&str, &str), action: Action, outcome: Outcome) -> ActionRecord {
        ActionRecord {
            log_id: self.log_ids.next_id(),
            user_cc: who.0.to_owned(),
            user_name: who.1.to_owned(),
            action,
            log_accessed: None,
            timestamp: self.clock.now(),
            outcome,
            target: None,
            details: serde_json::Value::Null,
            link: None,
        }
    }
}

/// Totals of a run.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Summary {
    /// One entry a camera.
    pub cameras: Vec<CameraSummary>,
    /// Suspects known.
    pub suspects: usize,
    /// Sightings known.
    pub sightings: usize,
    /// Records accepted and not yet delivered to their stores.
    pub backlog: u64,
}

/// A running site. Dropping it stops it.
pub struct Site {
    shared: Arc<Shared>,
    worker: Option<Worker>,
    commands: Option<commands::Queue>,
    ticker: Option<tokio::task::JoinHandle<()>>,
    runtime: Option<Runtime>,
    _folder: DataFolder,
}

impl Site {
    /// Opens the data folder, the stores and the models, and connects the cameras.
    ///
    /// # Errors
    /// When the data folder, a store, the weights or the device cannot be used; nothing runs then.
    pub fn open(config: SiteConfig, data: &Path, models: &Path, clock: Arc<dyn Clock>) -> Result<Self, SiteError> {
        let folder = DataFolder::open(data)?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("stores").enable_all().build()?;
        let compute = Compute::choose(config.analysis.device, config.analysis.threads)?;
        let detector = Detector::load(models, compute, config.analysis.detector)?;
        let appearance = Arc::new(Appearance::load(models, compute)?);
        let analysis = format!("{} on {} · appearance: {}", detector.name(), compute.describe(), appearance.name());
        let model = format!("{} {}", detector.name(), detector.sha256());

        let mut shared = runtime.block_on(Self::open_stores(
            &folder,
            config,
            clock,
            runtime.handle(),
            model,
            analysis,
            Arc::clone(&appearance),
        ))?;
        // The worker exists before the cameras, so that each can wake it; it learns of the shared state when that is whole.
        let slot: Arc<Mutex<Option<Analysis>>> = Arc::default();
        let (taker, board, now) = (Arc::clone(&slot), shared.board.clone(), Arc::clone(&shared.clock));
        let worker = Worker::spawn(
            detector,
            appearance,
            move |analysed| {
                if let Some(analysis) = taker.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
                    analysis.take(&analysed);
                }
            },
            move |error| board.lock().notice(now.now(), NoticeLevel::Error, error.to_string(), None),
        )?;
        let cameras = runtime.block_on(known_cameras(&shared))?;
        shared.paths = cameras
            .into_iter()
            .zip(&shared.config.cameras)
            .map(|(camera, configured)| {
                let source = shared.config.source(&configured.url);
                CameraPath::start(camera, source, shared.config.analysis.max_fps, &shared.clock, worker.waker())
            })
            .collect();
        let shared = Arc::new(shared);
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(Analysis::new(Arc::clone(&shared)));
        worker.watch(shared.paths.iter().map(|p| Input { camera: p.camera.id, frames: p.waiting.clone() }).collect());
        let commands = Some(commands::Queue::start(&shared));
        let ticking = Arc::clone(&shared);
        let ticker = runtime.spawn(async move {
            let mut second = tokio::time::interval(Duration::from_secs(1));
            loop {
                second.tick().await;
                ticking.tick().await;
            }
        });
        let site = Self {
            shared,
            worker: Some(worker),
            commands,
            ticker: Some(ticker),
            runtime: Some(runtime),
            _folder: folder,
        };
        site.record_start()?;
        site.load_pictures();
        Ok(site)
    }

    async fn open_stores(
        folder: &DataFolder,
        config: SiteConfig,
        clock: Arc<dyn Clock>,
        runtime: &tokio::runtime::Handle,
        model: String,
        analysis: String,
        appearance: Arc<Appearance>,
    ) -> Result<Shared, SiteError> {
        let stores = Stores::open(folder, &config.stores).await?;
        let journal = Journal::open(folder.journal(), Arc::clone(&clock)).await?;
        let delivery = Delivery::spawn(journal.clone(), stores.clone(), Arc::clone(&clock));
        // What an earlier run left in the journal comes first, so that what is read next is whole.
        delivery.flush().await;
        let access = if stores.users.any_user().await? {
            Access::LoggedOut { error: None, locked_until: None }
        } else {
            Access::FirstStart
        };
        let board = Board::new(access);
        let mut follower = Follower::new(config.follow, |id| url_of_key(&format!("crops/{id}.jpg")));
        let suspects = stores.cameras.suspects().await?;
        let mut sightings = stores.cameras.unfinished_sightings().await?;
        sightings.extend(stores.cameras.sightings(None, SIGHTINGS_SHOWN).await?);
        let reasons = stores.cameras.recent_reasons(8).await?;
        let mut left_open = Vec::new();
        {
            let mut contents = board.lock();
            contents.reasons = reasons;
            for suspect in suspects {
                if suspect.is_followed(clock.now()) {
                    follower.follow(suspect.clone());
                }
                contents.put_suspect(suspect, None);
            }
            for mut sighting in sightings {
                if contents.sighting(sighting.id).is_some() {
                    continue; // in both lists
                }
                if sighting.left_at.is_none() {
                    // The run that saw the entry ended before the exit: the last time seen is all that is known.
                    sighting.left_at = Some(sighting.last_seen_at);
                    left_open.push(Record::Sighting(sighting.clone()));
                }
                contents.put_sighting(sighting, None);
            }
        }
        if !left_open.is_empty() {
            journal.append(&left_open).await?;
        }
        let (head, number) = journal.chain().await?;
        let (console, number) = if stores.actions.newest_place(head.console).await? > head.seq {
            // The journal was put back from a backup: its chain would write over what the log has.
            journal.begin_chain().await?;
            (journal.chain().await?.0.console, None)
        } else {
            (head.console, number)
        };
        let number = match number {
            Some(number) => number,
            None => {
                let number = stores.actions.claim(console).await?;
                journal.set_console_number(number).await?;
                number
            }
        };
        // Entries of an earlier run may still be in the journal: both count.
        let newest = stores.actions.newest_id().await?.max(journal.newest_log_id().await?);
        Ok(Shared {
            log_ids: LogIds::new(number, Arc::clone(&clock), newest),
            config,
            clock,
            runtime: runtime.clone(),
            stores,
            journal,
            delivery,
            board,
            follower: Mutex::new(follower),
            order: tokio::sync::Mutex::new(()),
            paths: Vec::new(),
            model,
            analysis,
            appearance,
        })
    }

    /// The entry that says that somebody began to look: detection runs from here on, on these cameras, with this model.
    fn record_start(&self) -> Result<(), SiteError> {
        let active = self.shared.paths.iter().filter(|p| p.camera.active);
        let names: Vec<&str> = active.map(|p| p.camera.name.as_str()).collect();
        if names.is_empty() {
            return Ok(()); // nothing is looked at
        }
        let mut entry = self.shared.action((&console_user(), ""), Action::StartDetection, Outcome::Succeeded);
        entry.details = serde_json::json!({ "cameras": names, "model": self.shared.model });
        let runtime = &self.shared.runtime;
        Ok(runtime.block_on(self.shared.journal.append(&[Record::Action(entry)]))?)
    }

    /// Fetches the pictures of what earlier runs stored, without keeping the start waiting.
    fn load_pictures(&self) {
        let shared = Arc::clone(&self.shared);
        self.shared.runtime.spawn(async move {
            let (suspects, sightings) = {
                let board = shared.board.lock();
                (board.suspects.clone(), board.sightings())
            };
            for view in suspects {
                if let Some(picture) = shared.picture(&view.suspect.crop_url).await {
                    let mut board = shared.board.lock();
                    // The newest record, which may have changed meanwhile, gets the picture.
                    if let Some(suspect) = board.suspect(view.suspect.id).map(|s| s.suspect.clone()) {
                        board.put_suspect(suspect, Some(picture));
                    }
                }
            }
            for view in sightings.into_iter().filter(|v| v.sighting.decision == Decision::Pending) {
                if let Some(picture) = shared.picture(&view.sighting.crop_url).await {
                    let mut board = shared.board.lock();
                    if let Some(sighting) = board.sighting(view.sighting.id).map(|s| s.sighting.clone()) {
                        board.put_sighting(sighting, Some(picture));
                    }
                }
            }
        });
    }

    /// What the screen shows now. Copies under short locks; never waits for a store, a camera or the analysis.
    pub fn state(&self) -> SiteState {
        let now = self.shared.clock.now();
        let stores = self.shared.delivery.health().into_iter().map(|h| StoreHealth {
            store: h.store.to_owned(),
            backlog: h.backlog,
            error: h.error,
            failing_since: h.failing_since,
        });
        let stores = stores.collect();
        let board = self.shared.board.lock();
        let on_screen = matches!(board.access, Access::LoggedIn(_));
        let cameras = self.shared.paths.iter().map(|p| p.view(now, on_screen)).collect();
        SiteState {
            now,
            name: self.shared.config.name.clone(),
            access: board.access.clone(),
            cameras,
            suspects: board.suspects.clone(),
            sightings: board.sightings(),
            recent_reasons: board.reasons.clone(),
            log: board.log.clone(),
            stores,
            notices: board.notices.iter().cloned().collect(),
            analysis: self.shared.analysis.clone(),
        }
    }

    /// Asks for something; the answer is a later [`state`](Self::state). Commands are worked on one after another.
    pub fn send(&self, command: Command) {
        if let Some(commands) = &self.commands {
            commands.send(&self.shared, command);
        }
    }

    /// Totals so far.
    pub fn summary(&self) -> Summary {
        let now = self.shared.clock.now();
        let board = self.shared.board.lock();
        Summary {
            cameras: self.shared.paths.iter().map(|p| p.summary(now)).collect(),
            suspects: board.suspects.len(),
            sightings: board.sighting_count(),
            backlog: self.shared.journal.backlog(),
        }
    }

    fn shut_down(&mut self) {
        if let Some(commands) = &self.commands {
            commands.send(&self.shared, Command::Logout); // whoever is logged in leaves with the console
        }
        if let Some(ticker) = self.ticker.take() {
            ticker.abort();
        }
        std::thread::scope(|scope| {
            for path in &self.shared.paths {
                scope.spawn(|| path.stop());
            }
        });
        drop(self.worker.take());
        if let Some(runtime) = self.runtime.take() {
            let (shared, commands) = (Arc::clone(&self.shared), self.commands.take());
            runtime.block_on(async {
                let _ = tokio::time::timeout(STOP_WITHIN, async {
                    if let Some(commands) = commands {
                        commands.finish().await;
                    }
                    shared.delivery.flush().await;
                })
                .await;
            });
            runtime.shutdown_timeout(Duration::from_millis(300));
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.shut_down();
    }
}

/// Who acts where nobody is logged in: the user of the operating system.
fn console_user() -> String {
    format!("console:{}", std::env::var("USER").unwrap_or_else(|_| "system".to_owned()))
}

/// The configured cameras, each with the identity it had before; new ones are recorded.
async fn known_cameras(shared: &Shared) -> Result<Vec<Camera>, SiteError> {
    let known = shared.stores.cameras.cameras().await?;
    let mut cameras = Vec::with_capacity(shared.config.cameras.len());
    let (mut records, mut changed) = (Vec::new(), Vec::new());
    for wanted in &shared.config.cameras {
        let old = known.iter().find(|c| c.name == wanted.name);
        let mut camera = Camera {
            id: old.map_or_else(Uuid::now_v7, |c| c.id),
            name: wanted.name.clone(),
            url: redact_url(&wanted.url), // credentials stay in the configuration
            location: wanted.location,
            added_at: old.map_or_else(|| shared.clock.now(), |c| c.added_at),
            active: wanted.active,
            is_virtual: wanted.is_virtual,
            version: old.map_or(1, |c| c.version),
        };
        if old != Some(&camera) {
            camera.version += i64::from(old.is_some());
            records.push(Record::Camera(camera.clone()));
            changed.push(camera.name.clone());
        }
        cameras.push(camera);
    }
    for gone in known.into_iter().filter(|k| k.active && shared.config.cameras.iter().all(|c| c.name != k.name)) {
        changed.push(gone.name.clone());
        records.push(Record::Camera(Camera { active: false, version: gone.version + 1, ..gone }));
    }
    if !changed.is_empty() {
        let mut entry = shared.action((&console_user(), ""), Action::ChangeCamera, Outcome::Succeeded);
        entry.details = serde_json::json!({ "cameras": changed, "by": "configuration" });
        records.push(Record::Action(entry));
    }
    if !records.is_empty() {
        shared.journal.append(&records).await?;
    }
    Ok(cameras)
}

impl Shared {
    /// A stored picture; `None` when it is not there (yet) or damaged.
    async fn picture(&self, url: &str) -> Option<crate::model::Picture> {
        let bytes = self.stores.objects.get(key_of_url(url)?).await.ok()??;
        stills::from_jpeg(bytes)
    }
}
