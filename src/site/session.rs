//! The session of whoever is at the console: what the user may see, and that it ends when the user is deactivated, when nobody
//! uses the console any more, and in any case after a shift.
use super::{
    Access, AdminCommand, BookmarkCommand, Command, ExportCommand, ExportRequest, FindCommand, FindWho, JobCommand,
    MapCommand, Shared, Undo, UploadCommand,
};
use crate::{
    model::{Action, CameraId, Outcome, Rights, SightingId, SuspectId, User},
    sync::Record,
};
use serde_json::json;
use std::collections::BTreeSet;
use uuid::Uuid;

/// Also of what is not there at all: who may not see something does not learn whether there is such a thing.
pub(super) const HIDDEN: &str = "it is not among those this user may see";

impl Shared {
    /// What the user may see; nothing while that cannot be found out.
    pub(super) async fn rights_of(&self, user: &User) -> Rights {
        match self.records.stores.users.may_see(user).await {
            Ok(rights) => rights,
            Err(error) => {
                self.error(format!("Which cameras you may see cannot be found out, so none is shown: {error}"));
                Rights::Only(BTreeSet::new())
            }
        }
    }

    /// Once a second: a user who was deactivated leaves at once, changed rights hold at once. While the users' store does not
    /// answer the session stays as it is.
    pub(super) async fn renew_session(&self) {
        let Access::LoggedIn(before) = self.board.lock().access.clone() else { return };
        let Ok(now) = self.records.stores.users.user(&before.cc).await else { return };
        let Some(user) = now.filter(|u| u.active) else {
            return self.end_session(&before, "deactivated", "You were deactivated by an administrator").await;
        };
        let Ok(rights) = self.records.stores.users.may_see(&user).await else { return };
        let mut board = self.board.lock();
        if matches!(&board.access, Access::LoggedIn(still) if still.cc == user.cc) {
            if before.is_admin && !user.is_admin {
                board.leave(); // was an administrator when it was read
            }
            board.rights = rights;
            board.access = Access::LoggedIn(user);
        }
    }

    /// Somebody uses the console. A session that is over stays over.
    pub(super) fn still_here(&self) {
        let now = self.records.clock.now();
        let mut board = self.board.lock();
        let over = board.session_times(self.config.session).is_none_or(|times| times.ends_at <= now);
        if let Some((_, used_at)) = board.session.as_mut().filter(|_| !over) {
            *used_at = now;
        }
    }

    /// Once a second: a session that nobody uses ends, and so does one that is longer than a shift.
    pub(super) async fn end_idle_session(&self) {
        let now = self.records.clock.now();
        let config = self.config.session;
        let (user, times) = {
            let board = self.board.lock();
            let Access::LoggedIn(user) = &board.access else { return };
            let Some(times) = board.session_times(config).filter(|times| times.ends_at <= now) else { return };
            (user.clone(), times)
        };
        if times.ends_at_latest <= now {
            let words = format!("You were logged out after {} hours: log in again to go on", config.longest_hours);
            self.end_session(&user, "longest", &words).await;
        } else {
            let words = format!("You were logged out: nobody used this console for {} minutes", config.idle_minutes);
            self.end_session(&user, "idle", &words).await;
        }
    }

    async fn end_session(&self, user: &User, why: &str, words: &str) {
        {
            let mut board = self.board.lock();
            if !matches!(&board.access, Access::LoggedIn(still) if still.cc == user.cc) {
                return; // somebody else by now
            }
            let error = Some(words.to_owned());
            board.access = Access::LoggedOut { error, locked_until: None };
            board.leave();
            self.uploads.forget_drafts();
        }
        self.leave_review().await;
        let mut entry = self.records.entry((&user.cc, &user.name), Action::Logout, Outcome::Succeeded);
        entry.details = json!({ "why": why });
        self.commit(&[Record::Action(entry)], "The log does not say that a session ended").await;
    }

    /// Whether the user may do this; a refusal is recorded and told. What one may not see is refused like what is not there.
    pub(super) async fn permits(&self, command: &Command, user: &User) -> bool {
        let (action, is_known, target) = match self.named_by(command, user) {
            Named::Nothing => return true,
            Named::ByAdministrator(asked) => return self.may_administer(asked, user).await,
            Named::These(action, is_known, target) => (action, is_known, target),
        };
        if !is_known {
            let mut entry = self.records.entry((&user.cc, &user.name), action, Outcome::Refused(HIDDEN.to_owned()));
            entry.target = Some(target);
            self.commit(&[Record::Action(entry)], "A refusal was not recorded").await;
            self.error(format!("That was not done: {HIDDEN}"));
        }
        is_known
    }

    /// What the command names, and whether that exists for the user.
    fn named_by<'a>(&self, command: &'a Command, user: &User) -> Named<'a> {
        let gate = self.board.lock().gate();
        let cameras = |action, cameras: &[CameraId]| {
            let names: Vec<_> = cameras.iter().map(ToString::to_string).collect();
            Named::These(action, cameras.iter().all(|c| gate.camera(*c)), names.join(" "))
        };
        let suspect = |action, id: SuspectId| Named::These(action, gate.suspect(id), id.to_string());
        let sighting = |id: SightingId| {
            let camera = self.board.lock().sighting(id).map(|v| v.sighting.camera);
            Named::These(Action::DecideMatch, camera.is_some_and(|c| gate.camera(c)), id.to_string())
        };
        let upload = |id: Uuid| self.uploads.shows(id, user, gate.rights());
        match command {
            Command::CreateAdministrator { .. }
            | Command::Login { .. }
            | Command::StillHere
            | Command::Logout
            | Command::CloseCard => Named::Nothing,
            Command::Administer(asked) => Named::ByAdministrator(asked),
            Command::SelectSuspect { camera, .. } => cameras(Action::SelectSuspect, &[*camera]),
            Command::OpenCard(clicked) => cameras(Action::SelectSuspect, &[clicked.camera]),
            Command::Decide { sighting: id, .. } | Command::Undo(Undo::Match { sighting: id, .. }) => sighting(*id),
            Command::EndSuspect(id) | Command::Undo(Undo::End { suspect: id, .. }) => suspect(Action::EndSuspect, *id),
            Command::EditSuspect { suspect: id, .. }
            | Command::DecideProposal { suspect: id, .. }
            | Command::Undo(Undo::Proposal { suspect: id, .. }) => suspect(Action::EditSuspect, *id),
            Command::Find(FindCommand::Start { who, cameras: some, .. }) => {
                let is_known = match who {
                    FindWho::Suspect(id) => gate.suspect(*id),
                    FindWho::Person { camera, .. } => gate.camera(*camera),
                } && some.iter().flatten().all(|c| gate.camera(*c));
                let target = if let FindWho::Suspect(id) = who { id.to_string() } else { String::new() };
                Named::These(Action::FindPerson, is_known, target)
            }
            Command::Find(FindCommand::Judge { tracklet, .. }) => {
                Named::These(Action::FindPerson, self.search.shows(&gate, *tracklet), tracklet.to_string())
            }
            Command::Find(FindCommand::Close) => Named::Nothing,
            Command::Upload(UploadCommand::Look(_)) => Named::Nothing,
            Command::Upload(UploadCommand::Start { id, camera, .. }) => {
                Named::These(Action::UploadVideo, gate.camera(*camera) && upload(*id), camera.to_string())
            }
            Command::Upload(
                UploadCommand::Pause(id)
                | UploadCommand::Resume(id)
                | UploadCommand::Cancel(id)
                | UploadCommand::Dismiss(id),
            ) => Named::These(Action::UploadVideo, upload(*id), id.to_string()),
            Command::Job(JobCommand::Cancel(id)) => {
                Named::These(Action::StartDetection, self.jobs.shows(*id, &gate), id.to_string())
            }
            // Their videos are asked of the store.
            Command::Job(JobCommand::Analyse { .. } | JobCommand::CheckEverything { .. }) => Named::Nothing,
            Command::Review(asked) => cameras(Action::WatchRecording, asked.cameras()),
            Command::Export(ExportCommand::Plan { of, .. } | ExportCommand::Start(ExportRequest { of, .. })) => {
                Named::These(Action::ExportEvidence, gate.export(of), of.target())
            }
            Command::Export(ExportCommand::Movement { suspect: id, .. }) => suspect(Action::ExportEvidence, *id),
            Command::Export(ExportCommand::Cancel | ExportCommand::Close) => Named::Nothing,
            Command::Bookmark(BookmarkCommand::Put { camera, .. }) => {
                cameras(Action::ChangeBookmark, camera.as_slice())
            }
            Command::Bookmark(BookmarkCommand::Remove(id)) => {
                let is_known = self.casework.bookmark(*id, user, gate.rights()).is_some();
                Named::These(Action::ChangeBookmark, is_known, id.to_string())
            }
            Command::Map(MapCommand::Movement(id)) => suspect(Action::ReadMovement, *id),
            // Whose case it is, and who reads the log or offers records again, is looked at where that is done.
            Command::Case(_) | Command::Log(_) | Command::OfferAgain(_) => Named::Nothing,
        }
    }
}

/// What a command names.
enum Named<'a> {
    /// Nothing that could be hidden from anybody, or it is looked at where the command is worked on.
    Nothing,
    /// What administrators may change.
    ByAdministrator(&'a AdminCommand),
    /// Records and cameras: as what a refusal is recorded, whether all of them exist for the user, and their identities.
    These(Action, bool, String),
}
