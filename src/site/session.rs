//! The session of whoever is at the console: what the user may see, and that it ends when the user is deactivated, when nobody
//! uses the console any more, and in any case after a shift.
use super::{
    Access, BookmarkCommand, Command, ExportCommand, ExportOf, ExportRequest, JobCommand, MapCommand, Shared,
    SiteState, UploadCommand, board::Contents,
};
use crate::{
    model::{Action, Outcome, Rights, User},
    sync::Record,
};
use serde_json::json;
use std::{collections::BTreeSet, sync::Arc};

pub(super) const HIDDEN: &str = "the camera is not among those this user may see";

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

    /// Whether the user may do this; a refusal is recorded and told.
    pub(super) async fn permits(&self, command: &Command, user: &User) -> bool {
        if let Command::Administer(asked) = command {
            return self.may_administer(asked, user).await;
        }
        let (action, hidden, target) = {
            let board = self.board.lock();
            match command {
                Command::SelectSuspect { camera, .. } => {
                    (Action::SelectSuspect, !board.rights.allow(*camera), camera.to_string())
                }
                Command::Decide { sighting, .. } => {
                    let seen = board.sighting(*sighting).is_none_or(|v| board.rights.allow(v.sighting.camera));
                    (Action::DecideMatch, !seen, sighting.to_string())
                }
                Command::Job(JobCommand::Cancel(id)) => {
                    (Action::StartDetection, !self.jobs.shows(*id, &board.rights), id.to_string())
                }
                Command::Upload(UploadCommand::Start { camera, .. }) => {
                    (Action::UploadVideo, !board.rights.allow(*camera), camera.to_string())
                }
                Command::Upload(
                    UploadCommand::Pause(id)
                    | UploadCommand::Resume(id)
                    | UploadCommand::Cancel(id)
                    | UploadCommand::Dismiss(id),
                ) => (Action::UploadVideo, !self.uploads.shows(*id, user, &board.rights), id.to_string()),
                Command::Review(asked) => {
                    let hidden = asked.cameras().iter().any(|c| !board.rights.allow(*c));
                    let names: Vec<_> = asked.cameras().iter().map(ToString::to_string).collect();
                    (Action::WatchRecording, hidden, names.join(" "))
                }
                Command::DecideProposal { suspect, .. } | Command::EditSuspect { suspect, .. } => {
                    (Action::EditSuspect, !board.shows_suspect(*suspect), suspect.to_string())
                }
                Command::Export(ExportCommand::Plan { of, .. } | ExportCommand::Start(ExportRequest { of, .. })) => {
                    (Action::ExportEvidence, !board.shows(of), of.target())
                }
                Command::Export(ExportCommand::Movement { suspect, .. }) => {
                    (Action::ExportEvidence, !board.shows_suspect(*suspect), suspect.to_string())
                }
                Command::Bookmark(BookmarkCommand::Put { camera, .. }) => {
                    let hidden = camera.is_some_and(|id| !board.rights.allow(id));
                    (Action::ChangeBookmark, hidden, camera.map(|id| id.to_string()).unwrap_or_default())
                }
                Command::Bookmark(BookmarkCommand::Remove(id)) => {
                    let hidden = self.casework.bookmark(*id, user, &board.rights).is_none();
                    (Action::ChangeBookmark, hidden, id.to_string())
                }
                Command::Map(MapCommand::Movement(id)) => {
                    (Action::ReadMovement, !board.shows_suspect(*id), id.to_string())
                }
                Command::EndSuspect(id) => (Action::EndSuspect, !board.shows_suspect(*id), id.to_string()),
                Command::Find(_) => {
                    drop(board);
                    (Action::FindPerson, self.find_is_hidden(command), String::new())
                }
                _ => return true,
            }
        };
        if hidden {
            let mut entry = self.records.entry((&user.cc, &user.name), action, Outcome::Refused(HIDDEN.to_owned()));
            entry.target = Some(target);
            self.commit(&[Record::Action(entry)], "A refusal was not recorded").await;
            self.error(format!("That was not done: {HIDDEN}"));
        }
        !hidden
    }
}

impl Contents {
    /// Whether the user may see what a package is to be made of.
    pub(super) fn shows(&self, of: &ExportOf) -> bool {
        match of {
            ExportOf::Suspect(id) => self.shows_suspect(*id),
            ExportOf::Stretch { cameras, .. } => cameras.iter().all(|camera| self.rights.allow(*camera)),
        }
    }

    /// Whether the suspect was marked, or seen, where the user may look.
    pub(super) fn shows_suspect(&self, id: crate::model::SuspectId) -> bool {
        self.suspect(id).is_some_and(|v| self.rights.allow(v.suspect.camera))
            || self.has_sighting(|s| s.suspect == id && self.rights.allow(s.camera))
    }

    /// Takes out of the state what the user may not see, and everything while nobody is logged in: it does not exist for them.
    pub(super) fn hide(&self, state: &mut SiteState) {
        if !matches!(state.access, Access::LoggedIn(_)) {
            state.cameras.clear();
            state.suspects.clear();
            state.sightings.clear();
            state.recent_reasons.clear();
            state.find = None;
            state.notices.retain(|n| n.sighting.is_none());
            return;
        }
        if self.rights == Rights::All {
            return;
        }
        let rights = &self.rights;
        state.cameras.retain(|v| rights.allow(v.camera.id));
        state.sightings.retain(|v| rights.allow(v.sighting.camera));
        let seen: BTreeSet<_> = state.sightings.iter().map(|v| v.sighting.suspect).collect();
        state.suspects.retain(|v| rights.allow(v.suspect.camera) || seen.contains(&v.suspect.id));
        let sighting_seen = |id| self.sighting(id).is_none_or(|v| rights.allow(v.sighting.camera));
        if let Some(find) = &mut state.find {
            Arc::make_mut(find).hits.retain(|hit| rights.allow(hit.camera));
        }
        state.notices.retain(|n| n.sighting.is_none_or(sighting_seen));
    }
}
