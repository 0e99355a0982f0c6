//! Packages asked for on the screen: planned, watched and cancelled there, and broken off when the session ends.
use super::{
    About, NoticeLevel, Shared,
    board::Contents,
    export::{ExportError, ExportOf, ExportPlan, ExportRequest, Exported},
};
use crate::model::{Action, CaseId, Hash, SuspectId, User};
use serde_json::json;
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use uuid::Uuid;

/// What the screen asks for.
#[derive(Clone, Debug)]
pub enum ExportCommand {
    /// Says what a package would hold, and what is missing.
    Plan {
        /// Of what.
        of: ExportOf,
        /// Of a suspect: also possible matches that nobody has decided about.
        pending: bool,
    },
    /// Writes the package.
    Start(ExportRequest),
    /// Writes the log of a suspect's movement to a file.
    Movement {
        /// Who.
        suspect: SuspectId,
        /// A file that does not exist yet.
        to: PathBuf,
    },
    /// Breaks the export off; nothing of it is left.
    Cancel,
    /// Takes what was planned or is over off the screen.
    Close,
}

/// An export on the screen of whoever asked for it.
#[derive(Clone, Debug)]
pub struct ExportView {
    /// What it is made of.
    pub of: ExportOf,
    /// What it would hold, or why there is nothing to hold.
    pub plan: Result<Arc<ExportPlan>, String>,
    /// How far it is.
    pub stage: ExportStage,
}

/// How far an export is.
#[derive(Clone, Debug, PartialEq)]
pub enum ExportStage {
    /// Not started.
    Planned,
    /// Being written.
    Running {
        /// `0.0..=1.0`.
        done: f32,
        /// What is done now.
        what: String,
    },
    /// Written.
    Done {
        /// Where.
        to: PathBuf,
        /// Bytes.
        bytes: u64,
        /// SHA-256 of the file.
        sha256: Hash,
        /// The public key to check it by.
        key: String,
    },
    /// Not written.
    Failed(String),
}

/// The export of whoever is at the console.
pub(super) struct ExportJob {
    pub view: ExportView,
    /// That the video of the plan stays while this is on the screen.
    promise: Uuid,
    go_on: Arc<AtomicBool>,
}

impl ExportJob {
    /// Breaks it off where it runs.
    pub fn cancel(&self) {
        self.go_on.store(false, Ordering::Relaxed);
    }

    fn runs(&self) -> bool {
        matches!(self.view.stage, ExportStage::Running { .. })
    }
}

/// Seconds around each stay where the screen asks.
const MARGIN: Duration = Duration::from_secs(5);

impl ExportRequest {
    /// A request of the screen; what is left to say is said in its fields.
    pub fn new(of: ExportOf) -> Self {
        Self {
            of,
            to: PathBuf::new(),
            reason: String::new(),
            recipient: String::new(),
            case: None,
            pending: false,
            burn_in: false,
            margin: MARGIN,
        }
    }
}

impl Shared {
    pub(super) async fn export_command(self: &Arc<Self>, user: &User, command: ExportCommand) {
        match command {
            ExportCommand::Plan { of, pending } => {
                // It may wait for a file to be finished, and other commands do not wait for it.
                let shared = Arc::clone(self);
                self.runtime.spawn(async move { shared.plan_export(of, pending).await });
            }
            ExportCommand::Start(request) => match request.case.filter(|case| !self.is_open_for(*case, user)) {
                Some(case) => {
                    let details = json!({ "reason": request.reason, "recipient": request.recipient });
                    let why = "there is no such open case for this user";
                    self.refuse(user, Action::ExportEvidence, case, why, details).await;
                }
                None => self.start_export(user.clone(), request),
            },
            ExportCommand::Movement { suspect, to } => {
                let rights = self.board.lock().rights.clone();
                let who = (user.cc.as_str(), user.name.as_str());
                match self.records.export_movement(who, &rights, suspect, &to).await {
                    Ok(stays) => {
                        let text = format!("{stays} stays are in {}", to.display());
                        let about = About::User(user.cc.clone());
                        self.board.lock().notice(self.records.clock.now(), NoticeLevel::Info, text, about);
                    }
                    Err(error) => self.error(error.to_string()),
                }
            }
            ExportCommand::Cancel => {
                if let Some(job) = &self.board.lock().export {
                    job.cancel();
                }
            }
            ExportCommand::Close => {
                let closed = {
                    let mut board = self.board.lock();
                    board.plans += 1;
                    board.export.take_if(|job| !job.runs())
                };
                if let Some(job) = closed {
                    self.records.end_promise(job.promise).await;
                }
            }
        }
    }

    /// Whether this user works on the case, and it is open.
    fn is_open_for(&self, case: CaseId, user: &User) -> bool {
        self.casework.case(case, user).is_some_and(|case| case.closed.is_none())
    }

    async fn plan_export(&self, of: ExportOf, pending: bool) {
        if matches!(of, ExportOf::Stretch { from, until, .. } if until <= from) {
            return;
        }
        let (rights, number) = {
            let mut board = self.board.lock();
            if board.export.as_ref().is_some_and(ExportJob::runs) {
                return;
            }
            board.plans += 1;
            (board.rights.clone(), board.plans)
        };
        let request = ExportRequest { pending, ..ExportRequest::new(of) };
        let promise = Uuid::now_v7();
        let plan = self.records.plan_and_promise(&rights, &request, promise).await;
        let plan = plan.map(Arc::new).map_err(|e| e.to_string());
        let view = ExportView { of: request.of, plan, stage: ExportStage::Planned };
        let job = ExportJob { view, promise, go_on: Arc::new(AtomicBool::new(true)) };
        let over = {
            let mut board = self.board.lock();
            let is_wanted = board.plans == number && !board.export.as_ref().is_some_and(ExportJob::runs);
            if is_wanted { board.export.replace(job) } else { Some(job) }
        };
        if let Some(over) = over {
            self.records.end_promise(over.promise).await;
        }
    }

    /// What is promised on the screen stays for as long as it is there.
    pub(super) async fn keep_promises(&self) {
        let promise = self.board.lock().export.as_ref().map(|job| job.promise);
        if let Some(promise) = promise
            && let Err(error) = self.records.keep_promise(promise).await
        {
            tracing::warn!(%error, "the promise of a plan cannot be renewed");
        }
    }

    /// Runs beside other commands; the rights are those at its start.
    fn start_export(self: &Arc<Self>, user: User, request: ExportRequest) {
        let (rights, go_on) = {
            let mut board = self.board.lock();
            let rights = board.rights.clone();
            let Some(job) = board.export.as_mut().filter(|j| !j.runs() && j.view.of == request.of) else {
                return;
            };
            job.go_on = Arc::new(AtomicBool::new(true));
            job.view.stage = ExportStage::Running { done: 0.0, what: "Begins".to_owned() };
            (rights, Arc::clone(&job.go_on))
        };
        let shared = Arc::clone(self);
        self.runtime.spawn(async move {
            let (watched, wanted) = (Arc::clone(&shared), Arc::clone(&go_on));
            let progress = move |fraction: f32, now: &str| {
                watched.board.lock().show_export(&wanted, |stage| {
                    if let ExportStage::Running { done, what } = stage {
                        *done = fraction;
                        if !now.is_empty() {
                            now.clone_into(what);
                        }
                    }
                });
                wanted.load(Ordering::Relaxed)
            };
            let who = (user.cc.as_str(), user.name.as_str());
            let site = &shared.config.name;
            let done = shared.records.export_evidence(who, &rights, site, &request, Arc::new(progress)).await;
            let now = shared.records.clock.now();
            if let Ok(done) = &done {
                shared.told_of_packages(&user, done.told.clone());
            }
            let mut board = shared.board.lock();
            if let Ok(done) = &done {
                let text = format!("The package {} is written", done.to.display());
                board.notice(now, NoticeLevel::Info, text, About::User(user.cc.clone()));
            }
            board.show_export(&go_on, |stage| {
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
    /// Changes what is shown of the export with this flag, if it is still on the screen.
    fn show_export(&mut self, flag: &Arc<AtomicBool>, change: impl FnOnce(&mut ExportStage)) {
        if let Some(job) = self.export.as_mut().filter(|job| Arc::ptr_eq(&job.go_on, flag)) {
            change(&mut job.view.stage);
        }
    }
}
