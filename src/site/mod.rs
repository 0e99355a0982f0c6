//! The room that knows everybody: it builds each camera's path from video to record, owns the threads, and publishes state for
//! the screen.
mod administration;
mod analysis;
mod board;
mod cameras;
mod commands;
mod config;
mod consoles;
mod export;
mod office;
mod outlines;
mod path;
mod records;
mod session;
pub mod state;
mod stills;
mod tracklets;
mod upload;

pub use administration::{
    AddressTest, AdminCommand, AdminState, AdministrationError, CameraEdit, TestOutcome, UserView,
};
pub use config::{AnalysisConfig, CameraConfig, ConfigError, SessionConfig, SiteConfig, VideoConfig};
pub use export::{ExportError, ExportPlan, ExportProgress, ExportRequest, Exported, MissingVideo};
pub use office::Office;
pub use path::{CameraSummary, Percentiles};
pub use state::*;
pub use upload::{UploadError, UploadStep, UploadWish, start_of};

use crate::{
    follow::Follower,
    model::{CameraId, Clock, Decision},
    store::{DataFolder, FolderError, StoreError, key_of_url, url_of_key},
    sync::{JournalError, Others, Record},
    vision::{Appearance, Compute, Detector, Outliner, VisionError, Worker},
};
use analysis::Analysis;
use board::Board;
use cameras::Cameras;
use consoles::ABANDONED_SECONDS;
use outlines::Outlines;
use records::Records;
use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::runtime::Runtime;
use upload::Uploads;

/// Sightings of earlier runs shown after a start.
const SIGHTINGS_SHOWN: u32 = 500;
/// Seconds between two anchors of the action log.
const ANCHOR_EVERY: u64 = 60;
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
    runtime: tokio::runtime::Handle,
    records: Records,
    board: Board,
    follower: Mutex<Follower>,
    uploads: Uploads,
    /// Held by whoever changes the follower until what follows from it is committed and on the board.
    order: tokio::sync::Mutex<()>,
    cameras: Cameras,
    model: String,
    analysis: String,
    appearance: Arc<Appearance>,
    outlines: Outlines,
}

impl Shared {
    fn follower(&self) -> MutexGuard<'_, Follower> {
        self.follower.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn camera_name(&self, id: CameraId) -> String {
        self.cameras.get(id).map_or_else(|| "a camera that is gone".to_owned(), |p| p.camera.name.clone())
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
    /// What is done once a second, about the site's own state and about what others changed in the stores; the uploads; and the other
    /// consoles.
    tasks: Vec<tokio::task::JoinHandle<()>>,
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
        let outlines = Outlines::new(Outliner::load(models, compute)?);
        let analysis = format!(
            "{} on {} · appearance: {} · {}",
            detector.name(),
            compute.describe(),
            appearance.name(),
            outlines.describe()
        );
        let model = format!("{} {}", detector.name(), detector.sha256());

        let (records, board, follower, others) = runtime.block_on(Self::open_stores(&folder, &config, clock))?;
        // The worker exists before the cameras, so that each can wake it; it learns of the shared state when that is whole.
        let slot: Arc<Mutex<Option<Analysis>>> = Arc::default();
        let (taker, noticed, now) = (Arc::clone(&slot), board.clone(), Arc::clone(&records.clock));
        let worker = Worker::spawn(
            detector,
            Arc::clone(&appearance),
            move |analysed| {
                if let Some(analysis) = taker.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
                    analysis.take(&analysed);
                }
            },
            move |error| noticed.lock().notice(now.now(), NoticeLevel::Error, error.to_string(), None),
        )?;
        let (uploads, trouble) = Uploads::open(folder.uploads());
        if let Some(trouble) = trouble {
            board.lock().notice(records.clock.now(), NoticeLevel::Error, trouble, None);
        }
        let shared = Arc::new(Shared {
            records,
            config,
            runtime: runtime.handle().clone(),
            board,
            follower: Mutex::new(follower),
            uploads,
            order: tokio::sync::Mutex::new(()),
            cameras: Cameras::new(worker.inputs()),
            model,
            analysis,
            appearance,
            outlines,
        });
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(Analysis::new(Arc::clone(&shared)));
        runtime.block_on(shared.start_cameras())?;
        let commands = Some(commands::Queue::start(&shared));
        let ticking = Arc::clone(&shared);
        let ticker = runtime.spawn(async move {
            let mut seconds = 0_u64;
            let mut second = tokio::time::interval(Duration::from_secs(1));
            loop {
                second.tick().await;
                ticking.tick().await;
                ticking.end_idle_session().await;
                if seconds.is_multiple_of(ANCHOR_EVERY)
                    && let Err(error) = ticking.records.anchor().await
                {
                    ticking.error(format!("The end of the action log could not be written down elsewhere: {error}"));
                }
                seconds += 1;
            }
        });
        let reading = Arc::clone(&shared);
        let reader = runtime.spawn(async move {
            // A store that takes its time is asked again a second after its answer.
            loop {
                reading.renew_session().await;
                reading.read_cameras().await;
                reading.read_users(false).await;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        let uploads = runtime.spawn(Arc::clone(&shared).run_uploads());
        let listener = runtime.spawn(Arc::clone(&shared).follow_others(others));
        let site = Self {
            shared,
            worker: Some(worker),
            commands,
            tasks: vec![ticker, reader, uploads, listener],
            runtime: Some(runtime),
            _folder: folder,
        };
        site.load_pictures();
        Ok(site)
    }

    async fn open_stores(
        folder: &DataFolder,
        config: &SiteConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<(Records, Board, Follower, Others), SiteError> {
        let records = Records::open(folder, config, clock).await?;
        // From before the first look on: what somebody changes meanwhile is heard.
        let mut others = records.delivery.others();
        others.begin().await?;
        let (stores, journal, clock) = (&records.stores, &records.journal, &records.clock);
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
        let alone = !stores.cameras.is_shared(); // else another console may be seeing it
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
                let now = clock.now();
                if sighting.left_at.is_none() && (alone || now.seconds_since(sighting.last_seen_at) > ABANDONED_SECONDS)
                {
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
        Ok((records, board, follower, others))
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
                    shared.board.lock().picture_of_suspect(view.suspect.id, picture);
                }
            }
            for view in sightings.into_iter().filter(|v| v.sighting.decision == Decision::Pending) {
                if let Some(picture) = shared.picture(&view.sighting.crop_url).await {
                    shared.board.lock().picture_of_sighting(view.sighting.id, picture);
                }
            }
        });
    }

    /// What the screen shows now. Copies under short locks; never waits for a store, a camera or the analysis.
    pub fn state(&self) -> SiteState {
        let now = self.shared.records.clock.now();
        let stores = self.shared.records.delivery.health().into_iter().map(|h| StoreHealth {
            store: h.store.to_owned(),
            backlog: h.backlog,
            error: h.error,
            failing_since: h.failing_since,
        });
        let stores = stores.collect();
        let board = self.shared.board.lock();
        let on_screen = matches!(board.access, Access::LoggedIn(_));
        let cameras = self.shared.cameras.paths().iter().map(|p| p.view(now, on_screen)).collect();
        let mut state = SiteState {
            now,
            name: self.shared.config.name.clone(),
            access: board.access.clone(),
            cameras,
            suspects: board.suspects.clone(),
            sightings: board.sightings(),
            recent_reasons: board.reasons.clone(),
            log: board.log.clone(),
            admin: board.admin_state(),
            session: board.session_times(self.shared.config.session),
            uploads: match &board.access {
                Access::LoggedIn(user) => self.shared.uploads.views(user, &board.rights),
                _ => Vec::new(),
            },
            stores,
            notices: board.notices.iter().cloned().collect(),
            analysis: self.shared.analysis.clone(),
        };
        board.hide(&mut state);
        state
    }

    /// Asks for something; the answer is a later [`state`](Self::state). Commands are worked on one after another.
    pub fn send(&self, command: Command) {
        if let Some(commands) = &self.commands {
            commands.send(&self.shared, command);
        }
    }

    /// Totals so far.
    pub fn summary(&self) -> Summary {
        let now = self.shared.records.clock.now();
        let board = self.shared.board.lock();
        Summary {
            cameras: self.shared.cameras.paths().iter().map(|p| p.summary(now)).collect(),
            suspects: board.suspects.len(),
            sightings: board.sighting_count(),
            backlog: self.shared.records.journal.backlog(),
        }
    }

    fn shut_down(&mut self) {
        if let Some(commands) = &self.commands {
            commands.send(&self.shared, Command::Logout); // whoever is logged in leaves with the console
        }
        for task in self.tasks.drain(..) {
            task.abort();
        }
        let paths = self.shared.cameras.paths();
        std::thread::scope(|scope| {
            for path in paths.iter() {
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
                    if let Err(error) = shared.records.anchor().await {
                        tracing::error!("the end of the action log was not written down elsewhere: {error}");
                    }
                    shared.records.delivery.flush().await;
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

impl Shared {
    /// A stored picture; `None` when it is not there (yet) or damaged.
    async fn picture(&self, url: &str) -> Option<crate::model::Picture> {
        let bytes = self.records.stores.objects.get(key_of_url(url)?).await.ok()??;
        stills::from_jpeg(bytes)
    }
}
