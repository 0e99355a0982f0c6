//! Bookmarks put and removed.
use super::{About, NoticeLevel, Shared};
use crate::{
    model::{Action, Bookmark, BookmarkId, CameraId, CaseId, Outcome, Timestamp, User},
    sync::Record,
};
use serde_json::json;
use uuid::Uuid;

const NOT_DONE: &str = "That was not recorded and not done";

/// What the screen asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum BookmarkCommand {
    /// Puts a bookmark.
    Put {
        /// On this camera; `None`: on all.
        camera: Option<CameraId>,
        /// From when on.
        from: Timestamp,
        /// To when; the same for an instant.
        until: Timestamp,
        /// What there is to see.
        words: String,
        /// The case it belongs to: then only the people on that case see it.
        case: Option<CaseId>,
    },
    /// Removes one: for who made it, and administrators.
    Remove(BookmarkId),
}

impl Shared {
    /// Does what was asked; that the user may see the camera, or the bookmark, is known.
    pub(super) async fn bookmark_command(&self, user: &User, command: BookmarkCommand) {
        match command {
            BookmarkCommand::Put { camera, from, until, words, case } => {
                self.put_bookmark(user, camera, (from.min(until), from.max(until)), &words, case).await;
            }
            BookmarkCommand::Remove(id) => self.remove_bookmark(user, id).await,
        }
    }

    async fn put_bookmark(
        &self,
        user: &User,
        camera: Option<CameraId>,
        (from, until): (Timestamp, Timestamp),
        words: &str,
        case: Option<CaseId>,
    ) {
        let words: String = words.trim().chars().take(Bookmark::WORDS).collect();
        let problem = if words.is_empty() {
            Some("a bookmark needs words")
        } else if let Some(id) = case {
            match self.casework.case(id, user) {
                None => Some("there is no such case for this user"),
                Some(case) => case.closed.map(|_| "the case is closed: open it again first"),
            }
        } else {
            None
        };
        let problem =
            problem.or_else(|| camera.filter(|id| self.cameras.get(*id).is_none()).map(|_| "there is no such camera"));
        let outcome = problem.map_or(Outcome::Succeeded, |why| Outcome::Refused(why.to_owned()));
        let made_at = self.records.clock.now();
        let bookmark = Bookmark {
            id: Uuid::now_v7(),
            camera,
            from,
            until,
            words,
            case,
            made_by: user.cc.clone(),
            made_by_name: user.name.clone(),
            made_at,
            removed: None,
        };
        let mut entry = self.records.entry((&user.cc, &user.name), Action::ChangeBookmark, outcome);
        entry.target = problem.is_none().then(|| bookmark.id.to_string());
        entry.details = self.about("put", &bookmark);
        if let Some(why) = problem {
            self.commit(&[Record::Action(entry)], NOT_DONE).await;
            return self.error(format!("No bookmark was put: {why}"));
        }
        if self.commit(&[Record::Bookmark(bookmark.clone()), Record::Action(entry)], NOT_DONE).await {
            self.casework.take_bookmark(bookmark);
            let text = "The bookmark is on the timeline".to_owned();
            self.board.lock().notice(made_at, NoticeLevel::Info, text, About::User(user.cc.clone()));
        }
    }

    async fn remove_bookmark(&self, user: &User, id: BookmarkId) {
        let rights = self.board.lock().rights.clone();
        let Some(mut bookmark) = self.casework.bookmark(id, user, &rights) else { return }; // somebody was faster
        let may = user.is_admin || bookmark.made_by == user.cc;
        let why = "only who put it, or an administrator, removes a bookmark";
        let outcome = if may { Outcome::Succeeded } else { Outcome::Refused(why.to_owned()) };
        let mut entry = self.records.entry((&user.cc, &user.name), Action::ChangeBookmark, outcome);
        entry.target = Some(id.to_string());
        entry.details = self.about("removed", &bookmark);
        if !may {
            self.commit(&[Record::Action(entry)], NOT_DONE).await;
            return self.error(format!("The bookmark was not removed: {why}"));
        }
        bookmark.removed = Some((user.cc.clone(), self.records.clock.now()));
        if self.commit(&[Record::Bookmark(bookmark.clone()), Record::Action(entry)], NOT_DONE).await {
            self.casework.take_bookmark(bookmark);
        }
    }

    fn about(&self, change: &str, b: &Bookmark) -> serde_json::Value {
        json!({
            "change": change, "words": b.words, "from": b.from.to_string(), "until": b.until.to_string(),
            "camera": b.camera.map(|id| self.camera_name(id)), "camera_id": b.camera, "made_by": b.made_by, "case_id": b.case,
        })
    }
}
