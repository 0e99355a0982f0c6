//! What is refused while the action log cannot be reached, on a site that wants it so (`[audit] when_unreachable = "refuse"`).
//!
//! Whatever somebody does that belongs into the log is refused before anything of it is done, logging in too; that it was tried waits in the
//! journal. Logging out is never refused. What the console does by itself goes on: cameras, recording, following, retention, work that
//! was asked for before; its entries wait in the journal as ever.
use super::{
    About, Access, AdminCommand, CaseCommand, Command, ExportCommand, ExportRequest, FindCommand, JobCommand,
    LogCommand, MapCommand, NoticeLevel, ReviewCommand, Shared, Undo, UploadCommand, bookmarks::BookmarkCommand,
    config::WhenUnreachable, records::Records,
};
use crate::{
    model::{Action, Outcome, User},
    store::StoreError,
    sync::Record,
};

impl Records {
    /// Why nothing may be done now: the log does not take entries, and the site wants that to count.
    ///
    /// # Errors
    /// What is wrong with the log.
    pub async fn log_is_there(&self) -> Result<(), StoreError> {
        match self.when_unreachable {
            WhenUnreachable::Queue => Ok(()),
            WhenUnreachable::Refuse => self.delivery.reaches_the_log().await,
        }
    }

    /// The same, for the command line: a refusal is recorded.
    ///
    /// # Errors
    /// What is wrong with the log.
    pub async fn permit(&self, who: super::records::Actor<'_>, action: Action) -> Result<(), StoreError> {
        let Err(error) = self.log_is_there().await else { return Ok(()) };
        let entry = self.entry(who, action, Outcome::Refused(refusal(&error)));
        if let Err(worse) = self.journal.append(&[Record::Action(entry)]).await {
            tracing::error!("a refusal was not recorded: {worse}");
        }
        Err(StoreError::Unavailable { place: "the action log".to_owned(), detail: refusal(&error) })
    }
}

fn refusal(error: &StoreError) -> String {
    format!("nothing is done that cannot be entered in the action log now ({error})")
}

impl Shared {
    /// Whether the command is refused because the log is away; recorded and told.
    pub(super) async fn refuses(&self, command: &Command, user: Option<&User>) -> bool {
        let Some((action, target)) = entry_of(command) else { return false };
        let Err(error) = self.records.log_is_there().await else { return false };
        let who = match (user, command) {
            (Some(user), _) => (user.cc.as_str(), user.name.as_str()),
            (None, Command::Login { cc, .. } | Command::CreateAdministrator { cc, .. }) => (cc.trim(), ""),
            (None, _) => ("", ""),
        };
        let why = refusal(&error);
        let mut entry = self.records.entry(who, action, Outcome::Refused(why.clone()));
        entry.target = target;
        self.commit(&[Record::Action(entry)], "A refusal was not recorded").await;
        let now = self.records.clock.now();
        match command {
            Command::Login { .. } => {
                let error = Some(format!("Nobody can log in now: {why}. Cameras, recording and follows go on"));
                self.board.lock().enter(Access::LoggedOut { error, locked_until: None }, now);
            }
            Command::CreateAdministrator { .. } => {
                let mut board = self.board.lock();
                board.notice(now, NoticeLevel::Error, format!("That was not done: {why}"), About::Everybody);
                board.enter(Access::FirstStart, now);
            }
            _ => self.error(format!("That was not done: {why}. Cameras, recording and follows go on")),
        }
        true
    }
}

/// Under which action a command stands in the log, and on what; `None` where it has no entry, or must always be possible.
fn entry_of(command: &Command) -> Option<(Action, Option<String>)> {
    Some(match command {
        Command::Logout | Command::StillHere | Command::OpenCard(_) | Command::CloseCard => return None,
        Command::CreateAdministrator { cc, .. } => (Action::CreateUser, Some(cc.trim().to_owned())),
        Command::Login { .. } => (Action::Login, None),
        Command::SelectSuspect { camera, .. } => (Action::SelectSuspect, Some(camera.to_string())),
        Command::Decide { sighting, .. } => (Action::DecideMatch, Some(sighting.to_string())),
        Command::Undo(Undo::Match { sighting, .. }) => (Action::DecideMatch, Some(sighting.to_string())),
        Command::Undo(Undo::End { suspect, .. } | Undo::Proposal { suspect, .. }) => {
            (Action::EditSuspect, Some(suspect.to_string()))
        }
        Command::EndSuspect(id) => (Action::EndSuspect, Some(id.to_string())),
        Command::EditSuspect { suspect, .. } | Command::DecideProposal { suspect, .. } => {
            (Action::EditSuspect, Some(suspect.to_string()))
        }
        Command::Administer(asked) => return AdminCommand::entry(asked),
        Command::Find(FindCommand::Close) => return None,
        Command::Find(_) => (Action::FindPerson, None),
        Command::Log(LogCommand::Export { .. }) => (Action::ExportLog, None),
        Command::Log(_) => (Action::AccessLogs, None),
        Command::Upload(UploadCommand::Look(_) | UploadCommand::Pause(_) | UploadCommand::Dismiss(_)) => return None,
        Command::Upload(UploadCommand::Start { camera, .. }) => (Action::UploadVideo, Some(camera.to_string())),
        Command::Upload(UploadCommand::Resume(id) | UploadCommand::Cancel(id)) => {
            (Action::UploadVideo, Some(id.to_string()))
        }
        Command::Job(JobCommand::Cancel(id)) => (Action::StartDetection, Some(id.to_string())),
        Command::Job(_) => (Action::StartDetection, None),
        // What is watched already goes on; so do the timeline and the way out.
        Command::Review(ReviewCommand::Open { cameras, .. }) => {
            let names: Vec<_> = cameras.iter().map(ToString::to_string).collect();
            (Action::WatchRecording, Some(names.join(" ")))
        }
        Command::Review(ReviewCommand::Replay(camera)) => (Action::WatchRecording, Some(camera.to_string())),
        Command::Review(_) => return None,
        Command::Export(ExportCommand::Cancel | ExportCommand::Close) => return None,
        Command::Export(ExportCommand::Plan { of, .. } | ExportCommand::Start(ExportRequest { of, .. })) => {
            (Action::ExportEvidence, Some(of.target()))
        }
        Command::Export(ExportCommand::Movement { suspect, .. }) => (Action::ExportEvidence, Some(suspect.to_string())),
        Command::Map(MapCommand::Movement(id)) => (Action::ReadMovement, Some(id.to_string())),
        Command::Case(CaseCommand::Open { .. }) => (Action::ChangeCase, None),
        Command::Case(CaseCommand::Change(case, _) | CaseCommand::Close { case, .. }) => {
            (Action::ChangeCase, Some(case.to_string()))
        }
        Command::Case(CaseCommand::Hold { case: id, .. } | CaseCommand::Lift { hold: id, .. }) => {
            (Action::HoldEvidence, Some(id.to_string()))
        }
        Command::OfferAgain(_) => (Action::RetryRecords, None),
        Command::Bookmark(BookmarkCommand::Put { camera, .. }) => {
            (Action::ChangeBookmark, camera.map(|id| id.to_string()))
        }
        Command::Bookmark(BookmarkCommand::Remove(id)) => (Action::ChangeBookmark, Some(id.to_string())),
    })
}
