//! Clips asked for in the player: a stretch of the cameras shown, planned, watched and cancelled there, and broken off when the
//! session ends.
use super::{
    NoticeLevel, Shared,
    board::Contents,
    export::{ClipPlan, ClipRequest, ExportError, Exported},
    exporting::ExportStage,
};
use crate::model::{CameraId, Timestamp, User};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// What the screen asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum ClipCommand {
    /// Says what a clip would hold, and what is missing.
    Plan {
        /// Of these cameras.
        cameras: Vec<CameraId>,
        /// From when.
        from: Timestamp,
        /// Until when.
        until: Timestamp,
    },
    /// Writes the package.
    Start(ClipRequest),
    /// Breaks it off; nothing of it is left.
    Cancel,
    /// Takes what was planned or is over off the screen.
    Close,
}

impl ClipCommand {
    /// The cameras that it is about.
    pub(super) fn cameras(&self) -> &[CameraId] {
        match self {
            Self::Plan { cameras, .. } => cameras,
            Self::Start(request) => &request.cameras,
            Self::Cancel | Self::Close => &[],
        }
    }
}

/// A clip on the screen of whoever asked for it.
#[derive(Clone, Debug)]
pub struct ClipView {
    /// Of these cameras.
    pub cameras: Vec<CameraId>,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// What it would hold, or why there is nothing to hold.
    pub plan: Result<Arc<ClipPlan>, String>,
    /// How far it is.
    pub stage: ExportStage,
}

/// The clip of whoever is at the console.
pub(super) struct ClipJob {
    pub view: ClipView,
    go_on: Arc<AtomicBool>,
}

impl ClipJob {
    /// Breaks it off where it runs.
    pub fn cancel(&self) {
        self.go_on.store(false, Ordering::Relaxed);
    }

    fn runs(&self) -> bool {
        matches!(self.view.stage, ExportStage::Running { .. })
    }
}

impl Shared {
    pub(super) async fn clip_command(self: &Arc<Self>, user: &User, command: ClipCommand) {
        match command {
            ClipCommand::Plan { cameras, from, until } => {
                let (rights, runs) = {
                    let board = self.board.lock();
                    (board.rights.clone(), board.clip.as_ref().is_some_and(ClipJob::runs))
                };
                if runs || until <= from {
                    return;
                }
                let request = ClipRequest {
                    cameras: cameras.clone(),
                    from,
                    until,
                    to: Default::default(),
                    reason: String::new(),
                    recipient: String::new(),
                };
                let plan = self.records.plan_clip(&rights, &request).await;
                let plan = plan.map(Arc::new).map_err(|e| e.to_string());
                let view = ClipView { cameras, from, until, plan, stage: ExportStage::Planned };
                self.board.lock().clip = Some(ClipJob { view, go_on: Arc::new(AtomicBool::new(true)) });
            }
            ClipCommand::Start(request) => self.start_clip(user.clone(), request),
            ClipCommand::Cancel => {
                if let Some(job) = &self.board.lock().clip {
                    job.cancel();
                }
            }
            ClipCommand::Close => {
                let mut board = self.board.lock();
                if board.clip.as_ref().is_some_and(|job| !job.runs()) {
                    board.clip = None;
                }
            }
        }
    }

    /// Runs beside other commands; the rights are those at its start.
    fn start_clip(self: &Arc<Self>, user: User, request: ClipRequest) {
        let (rights, go_on) = {
            let mut board = self.board.lock();
            let rights = board.rights.clone();
            let Some(job) = board.clip.as_mut().filter(|job| !job.runs()) else { return };
            job.go_on = Arc::new(AtomicBool::new(true));
            job.view.stage = ExportStage::Running { done: 0.0, what: "Begins".to_owned() };
            (rights, Arc::clone(&job.go_on))
        };
        let shared = Arc::clone(self);
        self.runtime.spawn(async move {
            let (watched, wanted) = (Arc::clone(&shared), Arc::clone(&go_on));
            let progress = move |fraction: f32, now: &str| {
                watched.board.lock().show_clip(&wanted, |stage| {
                    if let ExportStage::Running { done, what } = stage {
                        *done = fraction;
                        if !now.is_empty() {
                            now.clone_into(what);
                        }
                    }
                });
                wanted.load(Ordering::Relaxed)
            };
            let (who, site) = ((user.cc.as_str(), user.name.as_str()), &shared.config.name);
            let done = shared.records.export_clip(who, &rights, site, &request, Arc::new(progress)).await;
            let now = shared.records.clock.now();
            let mut board = shared.board.lock();
            if let Ok(done) = &done {
                board.notice(now, NoticeLevel::Info, format!("The clip {} is written", done.to.display()), None);
            }
            board.show_clip(&go_on, |stage| {
                *stage = match done {
                    Ok(Exported { to, bytes, sha256, manifest, .. }) => {
                        ExportStage::Done { to, bytes, sha256, key: manifest.key }
                    }
                    Err(ExportError::Cancelled) => ExportStage::Planned,
                    Err(error) => ExportStage::Failed(error.to_string()),
                };
            });
        });
    }
}

impl Contents {
    /// Changes what is shown of the clip with this flag, if it is still on the screen.
    fn show_clip(&mut self, flag: &Arc<AtomicBool>, change: impl FnOnce(&mut ExportStage)) {
        if let Some(job) = self.clip.as_mut().filter(|job| Arc::ptr_eq(&job.go_on, flag)) {
            change(&mut job.view.stage);
        }
    }
}
