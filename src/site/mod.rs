//! The room that knows everybody: it builds each camera's path from video to record, owns the threads, and publishes state for
//! the screen.
mod administration;
mod analysis;
mod board;
mod bookmarks;
mod calibration;
mod cameras;
mod cards;
mod cases;
mod casework;
mod check;
mod clocks;
mod commands;
mod config;
mod consoles;
mod decisions;
mod duty;
mod export;
mod exporting;
mod finding;
mod following;
mod gate;
mod grounds;
mod hits;
mod jobs;
mod known;
mod log;
mod looking;
mod looks;
mod map;
mod memory;
mod migrate;
mod observer;
mod office;
mod outlines;
mod owed;
mod path;
mod paused;
mod policy;
mod proposals;
pub(crate) mod recording;
mod records;
mod refused;
pub(crate) mod replay;
mod retention;
mod review;
mod search;
mod session;
#[cfg(test)]
mod small_disk;
mod start;
pub mod state;
mod steady;
mod stills;
pub(crate) mod tape;
mod tracklets;
mod trail;
mod trust;
mod upload;
mod workers;

pub use administration::{
    AddressTest, AdminCommand, AdminState, AdministrationError, CameraEdit, TestOutcome, UserView,
};
pub use bookmarks::BookmarkCommand;
pub use calibration::SiteCalibration;
pub use cases::CaseCommand;
pub use casework::{CaseSuspect, CaseView, CaseworkState};
pub use check::{Checked, Misfit};
pub use config::{
    AnalysisConfig, AuditConfig, CameraConfig, ConfigError, MapConfig, OverlapConfig, ReplayConfig, SessionConfig,
    SiteConfig, VideoConfig, WhenUnreachable,
};
pub use export::{ExportError, ExportOf, ExportPlan, ExportProgress, ExportRequest, Exported, MissingVideo};
pub use exporting::{ExportCommand, ExportStage, ExportView};
pub use finding::{FindError, FindRequest, Found};
pub use log::{LogCommand, LogSheet, LogView, LogWork, Verdict};
pub use map::{MOST as MOST_STAYS, MapCommand, MapState, Movement};
pub use migrate::{MigrateError, MigrateProgress, MigrateStep, Migrated};
pub use office::Office;
pub use path::{CameraSummary, Percentiles};
pub use recording::{RecordMode, RecordingConfig};
pub use replay::{ReplayError, Replayed, replay};
pub use retention::RetentionConfig;
pub use review::{ChannelView, MOST_CAMERAS, ReviewCommand, ReviewState, Timeline};
pub use state::*;
pub use upload::{UploadError, UploadStep, UploadWish, start_of};

use crate::{
    follow::{Follower, Grounds},
    model::{CameraId, Clock},
    store::{DataFolder, FolderError, StoreError, key_of_url, url_of_key},
    sync::{JournalError, RefusedRecord},
    vision::{Appearance, Compute, Detector, Outliner, VisionError, Worker},
};
use analysis::Analysis;
use board::Board;
use cameras::Cameras;
use casework::Casework;
use duty::Duty;
use following::Following;
use jobs::Jobs;
use known::KnownFile;
use outlines::Outlines;
use recording::Recording;
use records::{Records, or_away};
use review::Review;
use search::Search;
use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tape::{Recorded, Tape};
use tokio::runtime::Runtime;
use upload::Uploads;
use workers::Workers;

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
    /// The record for a replay.
    #[error("no record for a replay can be begun in {}: {why}; name a new folder", folder.display())]
    Replay {
        /// Where.
        folder: std::path::PathBuf,
        /// What the system said.
        why: std::io::Error,
    },
    /// The hashes of the record for a replay.
    #[error(transparent)]
    ReplayWeights(#[from] ReplayError),
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
    follower: Mutex<Following>,
    /// The record for a replay, where one is written.
    tape: Option<Arc<Tape>>,
    uploads: Uploads,
    jobs: Jobs,
    /// Held by whoever changes the follower until what follows from it is committed and on the board.
    order: tokio::sync::Mutex<()>,
    cameras: Cameras,
    duty: Arc<Duty>,
    steady: Arc<steady::Steady>,
    trust: trust::Trust,
    known: KnownFile,
    away: start::Away,
    recording: Arc<Recording>,
    review: Review,
    casework: Casework,
    refused: Mutex<Arc<Vec<RefusedRecord>>>,
    /// What is on record of the views that overlap, or on its way there.
    grounds: Mutex<Grounds>,
    model: String,
    analysis: String,
    appearance: Arc<Appearance>,
    outlines: Outlines,
    looks: looks::Looks,
    search: Search,
    looking: looking::Looking,
}

impl Shared {
    fn follower(&self) -> MutexGuard<'_, Following> {
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
    workers: Workers,
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
        let detector = Detector::load_for_site(models, compute, config.analysis.detector, &config.models)?;
        let appearance = Arc::new(Appearance::load_for_site(models, compute, &config.models)?);
        let outlines = Outlines::new(Outliner::load_for_site(models, compute, &config.models)?);
        let analysis = format!(
            "{} on {} · appearance: {} · {}",
            detector.name(),
            compute.describe(),
            appearance.name(),
            outlines.describe()
        );
        let model = format!("{} {}", detector.name(), detector.sha256());

        let records = runtime.block_on(Records::open(&folder, &config, clock))?;
        let board = Board::new(Access::Working);
        let tape = match &config.replay.folder {
            Some(folder) => {
                let recorded = Recorded {
                    detector_sha256: detector.sha256().to_owned(),
                    appearance: replay::appearance_hash(&appearance, models, &config.models)?,
                    analysis: config.analysis.clone(),
                    models: config.models.clone(),
                    follow: config.follow,
                    weapons: config.weapons,
                };
                let tape = Tape::begin(folder, &recorded);
                Some(Arc::new(tape.map_err(|why| SiteError::Replay { folder: folder.clone(), why })?))
            }
            None => None,
        };
        let follower = Follower::new(config.follow, |id| url_of_key(&format!("crops/{id}.jpg")));
        let duty = Arc::new(Duty::new(&records.console, &records.stores));
        let steady = Arc::new(steady::Steady::new(Arc::clone(&records.clock)));
        let recording = Recording::open(
            &folder,
            config.recording.clone(),
            &records,
            tape.clone(),
            Arc::clone(&duty),
            Arc::clone(&steady),
        );
        let recording = Arc::new(runtime.block_on(recording)?);
        let _ = records.recording.set(Arc::clone(&recording)); // the first and only time
        // The worker exists before the cameras, so that each can wake it; it learns of the shared state when that is whole.
        let slot: Arc<Mutex<Option<Analysis>>> = Arc::default();
        let taker = Arc::clone(&slot);
        let worker = Worker::spawn(detector, Arc::clone(&appearance), &records.supervisor, move |analysed| {
            if let Some(analysis) = taker.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
                let taken = catch_unwind(AssertUnwindSafe(|| analysis.take(&analysed)));
                if let Err(panic) = taken {
                    analysis.doubt(analysed.camera);
                    resume_unwind(panic); // the worker tells
                }
            }
        })?;
        let (uploads, trouble) = Uploads::open(folder.uploads());
        if let Some(trouble) = trouble {
            board.lock().notice(records.clock.now(), NoticeLevel::Error, trouble, About::Everybody);
        }
        let shared = Arc::new(Shared {
            records,
            config,
            runtime: runtime.handle().clone(),
            board,
            follower: Mutex::new(Following::new(follower, tape.clone())),
            tape,
            uploads,
            jobs: Jobs::new(folder.scratch()),
            order: tokio::sync::Mutex::new(()),
            cameras: Cameras::new(worker.inputs()),
            duty,
            steady,
            trust: trust::Trust::new(folder.clock()),
            known: KnownFile::new(folder.known()),
            away: start::Away::default(),
            recording,
            review: Review::default(),
            casework: Casework::default(),
            refused: Mutex::default(),
            grounds: Mutex::default(),
            model,
            analysis,
            appearance,
            outlines,
            looks: looks::Looks::default(),
            search: Search::new(),
            looking: looking::Looking::default(),
        });
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(Analysis::new(Arc::clone(&shared)));
        let others = runtime.block_on(shared.start())?;
        let commands = Some(commands::Queue::start(&shared));
        let workers = Workers::start(&shared, &worker.background(compute), others)?;
        Ok(Self { workers, shared, worker: Some(worker), commands, runtime: Some(runtime), _folder: folder })
    }

    /// What the screen shows now: nothing of the site while nobody is logged in. Copies under short locks; never waits for a store, a camera or the analysis.
    pub fn state(&self) -> SiteState {
        let now = self.shared.records.clock.now();
        let stores = self.stores();
        let board = self.shared.board.lock();
        let on_screen = matches!(board.access, Access::LoggedIn(_));
        let view = |path: &Arc<path::CameraPath>| CameraView {
            keeper: self.shared.duty.keeper(path.camera.id),
            looked: self.shared.looking.of(path.camera.id),
            ..path.view(now, on_screen)
        };
        let cameras = self.shared.cameras.paths().iter().map(view).collect();
        let gate = board.gate();
        let sightings = board.sightings();
        let recorded = self.shared.recording.recorded();
        let state = SiteState {
            now,
            name: self.shared.config.name.clone(),
            access: board.access.clone(),
            cameras,
            suspects: board.suspects.clone(),
            recent_reasons: board.reasons.clone(),
            admin: board.admin_state(),
            session: board.session_times(self.shared.config.session),
            review: match &board.access {
                Access::LoggedIn(user) => self.shared.review.state(user, &board.rights, &sightings),
                _ => ReviewState::default(),
            },
            casework: match &board.access {
                Access::LoggedIn(user) => self.shared.casework.state(user, &board.rights, &board.suspects),
                _ => Arc::default(),
            },
            export: board.export.as_ref().map(|job| job.view.clone()),
            uploads: match &board.access {
                Access::LoggedIn(user) => self.shared.uploads.views(user, &board.rights),
                _ => Vec::new(),
            },
            jobs: self.shared.jobs.views(&gate),
            map: MapState {
                tiles: self.shared.config.map.tiles.clone(),
                movement: board
                    .movement
                    .as_ref()
                    .filter(|(_, rights)| gate.covers(rights))
                    .map(|(movement, _)| Arc::clone(movement)),
            },
            log: board.log.view.clone(),
            stores,
            failing: self.shared.failing_workers(),
            refused: match &board.access {
                Access::LoggedIn(user) if user.is_admin => self.shared.refused(),
                _ => Arc::default(),
            },
            notices: board.notices.iter().cloned().collect(),
            analysis: self.shared.analysis.clone(),
            find: self.shared.search.view(&gate),
            card: board.card_view(&self.shared.looks),
            sightings,
            records: !recorded.is_empty(),
            recording: recorded,
        };
        gate.pass(state)
    }

    /// Every camera, whoever is logged in: what a console without a screen tells.
    pub fn cameras(&self) -> Vec<CameraView> {
        let now = self.shared.records.clock.now();
        let keeper = |path: &path::CameraPath| self.shared.duty.keeper(path.camera.id);
        self.shared.cameras.paths().iter().map(|p| CameraView { keeper: keeper(p), ..p.view(now, false) }).collect()
    }

    /// How each store is doing: its delivery, and whether it has been reached at all.
    pub fn stores(&self) -> Vec<StoreHealth> {
        let records = &self.shared.records;
        let users = self.shared.away.users_trouble().unzip();
        let users =
            StoreHealth { store: "users".to_owned(), backlog: 0, error: users.0, failing_since: users.1, set_aside: 0 };
        let delivered = records.delivery.health().into_iter().map(|h| StoreHealth {
            store: h.store.to_owned(),
            backlog: h.backlog,
            error: h.error,
            failing_since: h.failing_since,
            set_aside: h.set_aside,
        });
        let mut stores: Vec<_> = std::iter::once(users).chain(delivered).collect();
        for (missing, why) in records.stores.missing() {
            if let Some(health) = stores.iter_mut().find(|s| s.store == missing && s.error.is_none()) {
                health.error = Some(why);
            }
        }
        if records.when_unreachable == WhenUnreachable::Refuse
            && let Some(log) = stores.iter_mut().find(|s| s.store == "action log" && !s.works())
            && let Some(error) = &mut log.error
        {
            error.push_str(". Until it takes entries nobody can log in, and nothing is done that belongs in it");
        }
        if let Some((why, since)) = self.shared.trust.doubt() {
            let error = format!("Nothing is deleted for its age: {why}");
            let (store, failing_since) = ("clock".to_owned(), Some(since));
            stores.push(StoreHealth { store, backlog: 0, error: Some(error), failing_since, set_aside: 0 });
        }
        if let Some((failing, backlog)) = self.shared.recording.health() {
            let (error, failing_since) = failing.unzip();
            stores.push(StoreHealth {
                store: "recordings".to_owned(),
                backlog: backlog as u64,
                error,
                failing_since,
                set_aside: 0,
            });
        }
        stores
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
        self.workers.stop();
        self.shared.duty.leave(); // but it is renewed until all is recorded
        let paths = self.shared.cameras.paths();
        std::thread::scope(|scope| {
            for path in paths.iter() {
                scope.spawn(|| path.stop());
            }
        });
        self.shared.jobs.stop();
        drop(self.worker.take());
        self.workers.join();
        self.shared.recording.stop();
        if let Some(runtime) = self.runtime.take() {
            let (shared, commands) = (Arc::clone(&self.shared), self.commands.take());
            let duties = self.workers.take_duties();
            runtime.block_on(async {
                let _ = tokio::time::timeout(STOP_WITHIN, async {
                    if let Some(commands) = commands {
                        commands.finish().await;
                    }
                    shared.stop_watching().await;
                    shared.recording_stopped().await;
                    if let Err(error) = shared.records.anchor().await {
                        tracing::error!("the end of the action log was not written down elsewhere: {error}");
                    }
                    shared.keep_known().await;
                    shared.records.delivery.flush().await;
                    duties.iter().for_each(tokio::task::JoinHandle::abort);
                    shared.leave_duties().await;
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
