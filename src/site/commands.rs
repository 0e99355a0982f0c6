//! What the screen asked for, done and entered in the log with its true outcome.
use super::{
    About, Access, Clicked, Command, NoticeLevel, Shared, analysis,
    cards::{self, Card},
    start::nobody_gets_in,
};
use crate::{
    follow::{Event, Stay},
    model::{
        Action, ActionRecord, CameraId, Characteristics, Descriptor, Outcome, Rect, Rights, Suspect, SuspectId,
        TrackId, User,
    },
    store::{LoginOutcome, NewUser, UserError, url_of_key},
    supervise::words,
    sync::Record,
    video::Frame,
    vision,
};
use futures_util::FutureExt as _;
use serde_json::json;
use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio::{sync::mpsc, task::JoinHandle};
use uuid::Uuid;

/// What the operator reads where the journal refuses an action.
pub(super) const NOT_DONE: &str = "That was not recorded and not done";

/// Colours of suspects, easy to tell apart on video and for colour-blind eyes (Okabe & Ito 2008, without black, brightened).
const COLOURS: [[u8; 3]; 7] =
    [[255, 176, 0], [86, 180, 233], [240, 96, 60], [0, 200, 140], [230, 120, 190], [240, 228, 66], [110, 140, 255]];

/// The login that fails as no login should, for tests.
#[cfg(test)]
pub(super) const FAILS: &str = "fails";
/// Commands that may wait; an operator does not get ahead of the site by more.
const WAITING: usize = 64;

/// A command, whoever was logged in when it was given, and the card that was open then.
type Given = (Command, Option<User>, Option<Arc<Card>>);

/// The way in: commands are worked on one after another, each with the rights of whoever was logged in when it was given.
pub(super) struct Queue {
    sender: mpsc::Sender<Given>,
    executor: JoinHandle<()>,
}

impl Queue {
    /// Starts the task that works on commands.
    pub fn start(shared: &Arc<Shared>) -> Self {
        let (sender, mut receiver) = mpsc::channel::<Given>(WAITING);
        let inner = Arc::clone(shared);
        let executor = shared.runtime.spawn(async move {
            while let Some((command, user, card)) = receiver.recv().await {
                // One that fails costs none of those behind it.
                if let Err(panic) = AssertUnwindSafe(inner.execute(command, user, card)).catch_unwind().await {
                    inner.command_failed(&words(panic.as_ref()));
                }
            }
        });
        Self { sender, executor }
    }

    /// Takes a command; never blocks.
    pub fn send(&self, shared: &Arc<Shared>, command: Command) {
        let mut board = shared.board.lock();
        let user = if let Access::LoggedIn(user) = &board.access { Some(user.clone()) } else { None };
        if matches!(command, Command::StillHere) {
            drop(board);
            return shared.still_here();
        }
        let opening = matches!(command, Command::Login { .. } | Command::CreateAdministrator { .. });
        if opening == user.is_some() || (opening && board.access == Access::Working) {
            return; // nobody is logged in, or somebody is already: a screen that asks all the same gets nothing
        }
        if cards::turn(shared, &mut board, &command) {
            return;
        }
        let card = board.card.clone();
        match self.sender.try_send((command, user, card)) {
            // The screen must show at once that it was understood.
            Ok(()) if opening => board.access = Access::Working,
            Ok(()) => {}
            Err(_) => {
                let text = "The console is busy; that was not done. Try again in a moment".to_owned();
                let about = board.asker();
                board.notice(shared.records.clock.now(), NoticeLevel::Error, text, about);
            }
        }
    }

    /// Takes no more and waits until the last command is done.
    pub async fn finish(self) {
        drop(self.sender);
        let _ = self.executor.await;
    }
}

impl Shared {
    fn command_failed(&self, why: &str) {
        tracing::error!("a command failed: {why}");
        let text = format!(
            "That was not done, or not all of it: {why}. What was asked for before and after it is not touched"
        );
        let mut board = self.board.lock();
        if board.access == Access::Working {
            // Whoever was logging in.
            board.access = Access::LoggedOut { error: Some(text), locked_until: None };
            return;
        }
        let about = board.asker();
        board.notice(self.records.clock.now(), NoticeLevel::Error, text, about);
    }

    async fn execute(self: &Arc<Self>, command: Command, user: Option<User>, card: Option<Arc<Card>>) {
        if self.refuses(&command, user.as_ref()).await {
            return;
        }
        if let Some(user) = &user
            && !self.permits(&command, user).await
        {
            return;
        }
        match (command, user) {
            (Command::CreateAdministrator { cc, name, email, password }, _) => {
                self.create_administrator(NewUser { cc, email, name, password, is_admin: true }).await;
            }
            #[cfg(test)]
            (Command::Login { cc, .. }, _) if cc == FAILS => panic!("tripped by a test"),
            (Command::Login { cc, password }, _) => self.login(&cc, &password).await,
            (Command::Logout, Some(user)) => self.logout(&user).await,
            (Command::SelectSuspect { camera, track, frame, rect, reason, expires_in }, Some(user)) => {
                let clicked = Clicked { camera, track, frame, rect };
                self.select_suspect(&user, clicked, card.as_deref(), reason.trim(), expires_in).await;
            }
            (Command::Decide { sighting, judgement, seen }, Some(user)) => {
                self.decide(&user, sighting, judgement, Some(&seen)).await;
            }
            (Command::Undo(undo), Some(user)) => self.undo(&user, undo).await,
            (Command::EditSuspect { suspect, characteristics }, Some(user)) => {
                self.edit_suspect(&user, suspect, characteristics).await;
            }
            (Command::EndSuspect(id), Some(user)) => self.end_suspect(&user, id).await,
            (Command::Administer(asked), Some(user)) => self.administer(&user, asked).await,
            (Command::DecideProposal { suspect, confirm, until }, Some(user)) => {
                self.decide_proposal(&user, suspect, confirm, until).await;
            }
            (Command::Find(command), Some(user)) => self.find(&user, command, card.as_deref()).await,
            (Command::Log(command), Some(user)) => self.log_command(&user, command).await,
            (Command::Job(command), Some(user)) => self.job_command(&user, command).await,
            (Command::Upload(command), Some(user)) => self.upload_command(&user, command).await,
            (Command::Review(command), Some(user)) => self.review_command(&user, command).await,
            (Command::Map(command), Some(user)) => self.map_command(&user, command).await,
            (Command::Export(command), Some(user)) => self.export_command(&user, command).await,
            (Command::Bookmark(command), Some(user)) => self.bookmark_command(&user, command).await,
            (Command::Case(command), Some(user)) => self.case_command(&user, command).await,
            (Command::OfferAgain(ids), Some(user)) => self.offer_again(&user, &ids).await,
            (Command::StillHere | Command::OpenCard(_) | Command::CloseCard, _) | (_, None) => {} // never queued
        }
    }

    /// Trouble with what whoever is at the console asked for: told to nobody else.
    pub(super) fn error(&self, text: String) {
        let mut board = self.board.lock();
        let about = board.asker();
        board.notice(self.records.clock.now(), NoticeLevel::Error, text, about);
    }

    /// Trouble that nobody asked for.
    pub(super) fn trouble(&self, about: About, text: String) {
        self.board.lock().notice(self.records.clock.now(), NoticeLevel::Error, text, about);
    }

    pub(super) fn user_action(&self, user: &User, action: Action, outcome: Outcome) -> ActionRecord {
        self.records.entry((&user.cc, &user.name), action, outcome)
    }

    async fn create_administrator(&self, new: NewUser) {
        let cc = new.cc.trim().to_owned();
        let result = self.records.stores.users.create_first_administrator(new, self.records.clock.now()).await;
        let outcome = result.as_ref().map_or_else(UserError::outcome, |_| Outcome::Succeeded);
        let name = result.as_ref().map(|u| u.name.clone()).unwrap_or_default();
        let mut entries = vec![Record::Action(self.records.entry((&cc, &name), Action::CreateUser, outcome))];
        if result.is_ok() {
            entries.push(Record::Action(self.records.entry((&cc, &name), Action::Login, Outcome::Succeeded)));
        }
        let recorded = self.commit(&entries, NOT_DONE).await;
        let any = self.records.stores.users.any_user().await.unwrap_or(true);
        let mut board = self.board.lock();
        let access = match result {
            Ok(user) if recorded => Access::LoggedIn(user),
            Ok(_) => Access::LoggedOut { error: None, locked_until: None },
            Err(error) => {
                let now = self.records.clock.now();
                board.notice(now, NoticeLevel::Error, error.to_string(), About::Everybody);
                if any { Access::LoggedOut { error: None, locked_until: None } } else { Access::FirstStart }
            }
        };
        board.enter(access, self.records.clock.now());
    }

    async fn login(&self, cc: &str, password: &str) {
        let result =
            self.records.stores.users.verify_login(cc, password, &self.records.console, self.records.clock.now()).await;
        let cc = cc.trim();
        let (access, outcome, name) = match result {
            Ok(LoginOutcome::Granted(user)) => {
                let name = user.name.clone();
                (Access::LoggedIn(user), Outcome::Succeeded, name)
            }
            Ok(LoginOutcome::WrongCredentials { locked_until }) => {
                let error = Some("Badge number or password is wrong".to_owned());
                let why = "badge number or password is wrong".to_owned();
                (Access::LoggedOut { error, locked_until }, Outcome::Refused(why), String::new())
            }
            Ok(LoginOutcome::Deactivated) => {
                let error = Some("This user is deactivated; ask an administrator".to_owned());
                let why = "the user is deactivated".to_owned();
                (Access::LoggedOut { error, locked_until: None }, Outcome::Refused(why), String::new())
            }
            Ok(LoginOutcome::Locked { until }) => {
                let error = Some("Too many wrong passwords".to_owned());
                let why = format!("locked until {until}");
                (Access::LoggedOut { error, locked_until: Some(until) }, Outcome::Refused(why), String::new())
            }
            Err(error) => {
                let text = error.to_string();
                let access = match &error {
                    UserError::Store(away) if away.is_away() => nobody_gets_in(away),
                    _ => Access::LoggedOut { error: Some(text.clone()), locked_until: None },
                };
                (access, Outcome::Failed(text), String::new())
            }
        };
        let entry = self.records.entry((cc, &name), Action::Login, outcome);
        // A login that cannot be recorded does not happen.
        let recorded = self.commit(&[Record::Action(entry)], NOT_DONE).await;
        let rights = if let Access::LoggedIn(user) = &access { self.rights_of(user).await } else { Rights::All };
        let mut board = self.board.lock();
        board.rights = rights;
        let access = match access {
            Access::LoggedIn(_) if !recorded => Access::LoggedOut {
                error: Some("The login could not be recorded, so it was not granted".to_owned()),
                locked_until: None,
            },
            access => access,
        };
        board.enter(access, self.records.clock.now());
    }

    async fn logout(&self, user: &User) {
        {
            let mut board = self.board.lock();
            board.access = Access::LoggedOut { error: None, locked_until: None };
            board.leave();
            self.uploads.forget_drafts();
        }
        self.leave_review().await;
        let entry = Record::Action(self.user_action(user, Action::Logout, Outcome::Succeeded));
        if let Err(error) = self.records.journal.append(&[entry]).await {
            self.error(format!("You are logged out, but the log does not say so: {error}"));
        }
    }

    pub(super) async fn select_suspect(
        self: &Arc<Self>,
        user: &User,
        clicked: Clicked,
        card: Option<&Card>,
        reason: &str,
        expires_in: Duration,
    ) {
        let (gallery, stay) = self.looks_of(&clicked, card).await;
        let Clicked { camera, track, frame, rect } = clicked;
        let at = frame.captured_at();
        let place_in_view = frame.in_whole(rect); // a better look is a part of a picture
        let place = json!({ "camera": self.camera_name(camera), "camera_id": camera, "at": at.to_string(), "track": track, "reason": reason });
        let refuse = |why: &str| {
            let mut entry = self.user_action(user, Action::SelectSuspect, Outcome::Refused(why.to_owned()));
            entry.details = place.clone();
            entry
        };
        if reason.is_empty() {
            self.commit(&[Record::Action(refuse("a reason is needed"))], NOT_DONE).await;
            self.error("A suspect needs a reason".to_owned());
            return;
        }
        let Some(crop) = analysis::crop(&frame, rect) else {
            self.commit(&[Record::Action(refuse("the box lies outside the picture"))], NOT_DONE).await;
            self.error("There is nobody in that box".to_owned());
            return;
        };
        let characteristics = self.characteristics(camera, track, &frame, rect).await;
        let blind = gallery.is_empty();
        let id = Uuid::now_v7();
        let _order = self.order.lock().await;
        let (label, colour) = self.next_label(0);
        let crop_url = url_of_key(&format!("crops/{id}.jpg"));
        let suspect = Suspect {
            id,
            label,
            colour,
            reason: reason.to_owned(),
            marked_by: user.cc.clone(),
            marked_at: at,
            camera,
            expires_at: self.records.clock.now().plus(expires_in),
            ended_at: None,
            crop_url: crop_url.clone(),
            gallery,
            characteristics,
            changed_at: at,
            proposed_until: None,
            resumed_at: None,
        };
        let mut entry = self.user_action(user, Action::SelectSuspect, Outcome::Succeeded);
        entry.target = Some(id.to_string());
        entry.details = place.clone();
        let mut records = vec![Record::Suspect(suspect.clone())];
        records.extend(analysis::object(&crop_url, &crop));
        let mut events = match &stay {
            Some(stay) => {
                let origin = Stay::from(stay).origin(&suspect, place_in_view);
                self.follower().mark_stay(&suspect, origin)
            }
            None => self.follower().mark(&suspect, track, place_in_view),
        };
        self.tell_of_mark(&mut events, id);
        records.extend(self.records_of(&events, None));
        if let Some(Event::Changed(first)) = events.last() {
            records.extend(self.detection_of(first, &frame));
        }
        records.push(Record::Action(entry));
        if !self.commit(&records, NOT_DONE).await {
            self.follower().end(id);
            return;
        }
        let label = suspect.label.clone();
        self.board.lock().put_suspect(suspect, Some(crop));
        self.show(&events, None);
        self.recording.event(camera, at); // also of somebody who is out of view before the next picture is analysed
        if !self.search.ask(id) {
            self.error(format!("{label} is not searched for in the past: too many suspects wait for it. Use Find"));
        }
        let text = if !self.config.follow.live_follow {
            format!("{label} is marked; this site does not look for suspects in other cameras")
        } else if blind {
            format!("{label} is marked, but the picture is too small to compare: nobody can be matched with it")
        } else {
            format!("{label} is followed from now on, in every camera")
        };
        let mut board = self.board.lock();
        board.remember_reason(reason);
        board.notice(self.records.clock.now(), NoticeLevel::Info, text, About::Cameras(vec![camera]));
    }

    /// Label and colour of the suspect that is marked after `before` others at the same instant.
    pub(super) fn next_label(&self, before: usize) -> (String, [u8; 3]) {
        let number = self.board.lock().suspects.len() + before;
        (format!("Suspect {}", number + 1), COLOURS.get(number % COLOURS.len()).copied().unwrap_or([255, 176, 0]))
    }

    /// The appearance of one box, computed off the asynchronous threads; empty where the crop is too small to say anything.
    pub(super) async fn describe(&self, frame: &Frame, rect: Rect) -> Vec<Descriptor> {
        let (appearance, frame) = (Arc::clone(&self.appearance), frame.clone());
        let described = tokio::task::spawn_blocking(move || appearance.describe(&frame, &[rect])).await;
        match described {
            Ok(Ok(found)) => found.into_iter().flatten().collect(),
            Ok(Err(error)) => {
                self.error(error.to_string());
                Vec::new()
            }
            Err(_) => Vec::new(), // the console is closing
        }
    }

    /// Finds the outline of the person in one box, and how that person looks, off the asynchronous threads.
    async fn characteristics(
        self: &Arc<Self>,
        camera: CameraId,
        track: TrackId,
        frame: &Frame,
        rect: Rect,
    ) -> Characteristics {
        let (shared, frame) = (Arc::clone(self), frame.clone());
        let found = tokio::task::spawn_blocking(move || {
            let outlined = shared.outlines.look(camera, track, &frame, rect);
            let outline = shared.outlines.of(camera, track, frame.captured_at());
            (outlined, vision::characteristics(&frame, rect, outline.as_ref()))
        });
        let Ok((outlined, found)) = found.await else { return Characteristics::default() }; // the console is closing
        if let Err(error) = outlined {
            self.error(error.to_string());
        }
        found
    }

    /// Replaces what is said of how a suspect looks; the measured height stays.
    async fn edit_suspect(&self, user: &User, id: SuspectId, characteristics: Characteristics) {
        let _order = self.order.lock().await;
        let Some(before) = self.board.lock().suspect(id).map(|v| v.suspect.clone()) else { return };
        let short = |text: &str| text.trim().chars().take(Characteristics::TEXT).collect::<String>();
        let characteristics = Characteristics {
            height: before.characteristics.height,
            carried: short(&characteristics.carried),
            notes: short(&characteristics.notes),
            ..characteristics
        };
        if characteristics == before.characteristics {
            return;
        }
        let mut entry = self.user_action(user, Action::EditSuspect, Outcome::Succeeded);
        entry.target = Some(id.to_string());
        entry.details = json!({ "before": before.characteristics, "after": characteristics });
        let now = self.records.clock.now();
        let mut suspect = Suspect { characteristics, ..before };
        suspect.touch(now);
        if self.commit(&[Record::Suspect(suspect.clone()), Record::Action(entry)], NOT_DONE).await {
            if suspect.is_followed(now) {
                self.follower().take_over(&suspect, now);
            }
            self.board.lock().put_suspect(suspect, None);
        }
    }
}
