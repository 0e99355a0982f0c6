//! What is done to cases, and the video that is held for them. To whoever does not work on a case, it does not exist.
use super::{About, NoticeLevel, Shared, casework::may_hold};
use crate::{
    model::{
        Action, ActionRecord, CameraId, Case, CaseChange, CaseFact, CaseId, Hold, Outcome, Release, Timestamp, User,
    },
    sync::Record,
};
use serde_json::json;
use uuid::Uuid;

const NOT_DONE: &str = "That was not recorded and not done";
/// Also where there is one that is for others.
const NO_CASE: &str = "there is no such case for this user";
/// The most letters of a reason.
const REASON: usize = 300;

/// What the screen asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaseCommand {
    /// Opens a case.
    Open {
        /// Its number, as people write it.
        number: String,
        /// Its name.
        name: String,
    },
    /// Changes a case in any way but that it is opened, closed or handed out. Of a person to add only the number counts.
    Change(CaseId, CaseChange),
    /// Holds video for a case, so that it is not deleted.
    Hold {
        /// Which case.
        case: CaseId,
        /// Of this camera; `None`: of all, for who may see all.
        camera: Option<CameraId>,
        /// From when on.
        from: Timestamp,
        /// To when.
        until: Timestamp,
        /// Why.
        reason: String,
    },
    /// Lifts a hold: what it held is deleted when its time is over.
    Lift {
        /// Which hold.
        hold: Uuid,
        /// Why.
        reason: String,
    },
    /// Closes a case.
    Close {
        /// Which.
        case: CaseId,
        /// Why.
        why: String,
        /// Whether what is held for it is let go; otherwise it stays held.
        lift_holds: bool,
    },
}

impl Shared {
    pub(super) async fn case_command(&self, user: &User, command: CaseCommand) {
        match command {
            CaseCommand::Open { number, name } => self.open_case(user, number, name).await,
            CaseCommand::Change(case, change) => self.change_case(user, case, change).await,
            CaseCommand::Hold { case, camera, from, until, reason } => {
                self.hold(user, case, camera, (from.min(until), from.max(until)), &reason).await;
            }
            CaseCommand::Lift { hold, reason } => self.lift(user, hold, &reason).await,
            CaseCommand::Close { case, why, lift_holds } => self.close_case(user, case, &why, lift_holds).await,
        }
    }

    async fn open_case(&self, user: &User, number: String, name: String) {
        let id = Uuid::now_v7();
        match named(&number, &name) {
            Ok((number, name)) => {
                let fact = self.fact(user, id, CaseChange::Open { number: number.clone(), name: name.clone() });
                let entry = self.about_case(user, Outcome::Succeeded, (id, &number, &name), &fact.change);
                self.record(vec![fact], Vec::new(), vec![entry]).await;
            }
            Err(why) => {
                let change = CaseChange::Open { number: number.clone(), name: name.clone() };
                self.refuse_case(user, (id, &number, &name), &change, why).await;
            }
        }
    }

    async fn change_case(&self, user: &User, id: CaseId, change: CaseChange) {
        let Some(case) = self.casework.case(id, user) else {
            return self.refuse(user, Action::ChangeCase, id, NO_CASE, json!({ "change": change.word() })).await;
        };
        let about = (id, case.number.as_str(), case.name.as_str());
        match self.checked(user, &case, change.clone()).await {
            Ok(change) => {
                let entry = self.about_case(user, Outcome::Succeeded, about, &change);
                let fact = self.fact(user, id, change);
                self.record(vec![fact], Vec::new(), vec![entry]).await;
            }
            Err(why) => self.refuse_case(user, about, &change, &why).await,
        }
    }

    /// The change as it is to be recorded, or why it is not.
    async fn checked(&self, user: &User, case: &Case, change: CaseChange) -> Result<CaseChange, String> {
        let open = case.closed.is_none();
        let work = |change| if open { Ok(change) } else { Err("the case is closed: open it again first".to_owned()) };
        match change {
            CaseChange::Open { .. } | CaseChange::HandOut(_) | CaseChange::Close { .. } => {
                Err("a case is opened, closed and handed out in other ways".to_owned())
            }
            CaseChange::Rename { number, name } => {
                let (number, name) = named(&number, &name)?;
                work(CaseChange::Rename { number, name })
            }
            CaseChange::AddPerson { cc, .. } => {
                let found = self.records.stores.users.user(cc.trim()).await.map_err(|e| e.to_string())?;
                let person = found.filter(|u| u.active).ok_or("no active user has this number")?;
                if case.people.contains_key(&person.cc) {
                    return Err(format!("{} works on it already", person.name));
                }
                Ok(CaseChange::AddPerson { cc: person.cc, name: person.name })
            }
            CaseChange::RemovePerson { cc } => {
                let may = cc == user.cc || user.is_admin || case.opened.what == user.cc;
                if !case.people.contains_key(&cc) {
                    return Err("nobody with this number works on it".to_owned());
                }
                if !may {
                    return Err("who opened the case, or an administrator, takes it from others".to_owned());
                }
                if case.people.len() == 1 {
                    return Err("nobody else works on it: hand it to somebody first".to_owned());
                }
                Ok(CaseChange::RemovePerson { cc })
            }
            CaseChange::AddSuspect { suspect } => {
                if !self.board.lock().gate().suspect(suspect) {
                    return Err("there is no such suspect for this user".to_owned());
                }
                if case.suspects.contains(&suspect) {
                    return Err("this suspect is in the case already".to_owned());
                }
                work(CaseChange::AddSuspect { suspect })
            }
            CaseChange::RemoveSuspect { suspect } => {
                case.suspects.contains(&suspect).then_some(()).ok_or("this suspect is not in the case")?;
                work(CaseChange::RemoveSuspect { suspect })
            }
            CaseChange::AddUpload { upload, .. } => {
                let uploads = self.records.stores.cameras.uploads(None).await.map_err(|e| e.to_string())?;
                let rights = self.board.lock().rights.clone();
                let found = uploads.into_iter().find(|u| u.id == upload && rights.allow(u.camera));
                let found = found.ok_or("there is no such video for this user")?;
                if case.uploads.iter().any(|(id, _)| *id == upload) {
                    return Err("this video is in the case already".to_owned());
                }
                let name = found.metadata.get("name").and_then(|n| n.as_str()).unwrap_or("a video").to_owned();
                work(CaseChange::AddUpload { upload, name })
            }
            CaseChange::RemoveUpload { upload } => {
                let there = case.uploads.iter().any(|(id, _)| *id == upload);
                there.then_some(()).ok_or("this video is not in the case")?;
                work(CaseChange::RemoveUpload { upload })
            }
            CaseChange::Note { text } => {
                let text = short(&text, Case::NOTE).ok_or("a note needs words")?;
                Ok(CaseChange::Note { text })
            }
            CaseChange::Reopen { why } => {
                let why = short(&why, REASON).ok_or("say why it is opened again")?;
                if open { Err("the case is open".to_owned()) } else { Ok(CaseChange::Reopen { why }) }
            }
        }
    }

    async fn close_case(&self, user: &User, id: CaseId, why: &str, lift_holds: bool) {
        let change = CaseChange::Close { why: short(why, REASON).unwrap_or_default() };
        let Some(case) = self.casework.case(id, user) else {
            return self.refuse(user, Action::ChangeCase, id, NO_CASE, json!({ "change": change.word() })).await;
        };
        let about = (id, case.number.as_str(), case.name.as_str());
        let rights = self.board.lock().rights.clone();
        let held = if lift_holds { self.casework.holds_of(id) } else { Vec::new() };
        let problem = if short(why, REASON).is_none() {
            Some("say why it is closed")
        } else if case.closed.is_some() {
            Some("the case is closed already")
        } else if held.iter().any(|h| !may_hold(h.camera, &rights)) {
            Some("it holds video of cameras that this user may not see: an administrator lets that go")
        } else {
            None
        };
        if let Some(problem) = problem {
            return self.refuse_case(user, about, &change, problem).await;
        }
        let why = format!("the case was closed: {}", why.trim());
        let lifted: Vec<_> = held.into_iter().map(|h| self.lifted(h, user, &why)).collect();
        let mut entries: Vec<_> =
            lifted.iter().map(|h| self.about_hold(user, Outcome::Succeeded, "lifted", h, &case)).collect();
        entries.push(self.about_case(user, Outcome::Succeeded, about, &change));
        let fact = self.fact(user, id, change);
        self.record(vec![fact], lifted, entries).await;
    }

    async fn hold(
        &self,
        user: &User,
        id: CaseId,
        camera: Option<CameraId>,
        (from, until): (Timestamp, Timestamp),
        reason: &str,
    ) {
        let Some(case) = self.casework.case(id, user) else {
            return self.refuse(user, Action::HoldEvidence, id, NO_CASE, json!({ "change": "held" })).await;
        };
        let rights = self.board.lock().rights.clone();
        let problem = if !may_hold(camera, &rights) {
            Some(if camera.is_some() { super::session::HIDDEN } else { "only who may see every camera holds all" })
        } else if camera.is_some_and(|id| self.cameras.get(id).is_none()) {
            Some("there is no such camera")
        } else if case.closed.is_some() {
            Some("the case is closed: open it again first")
        } else if short(reason, REASON).is_none() {
            Some("say why it is held")
        } else {
            None
        };
        let hold = Hold {
            id: Uuid::now_v7(),
            case: Some(id),
            camera,
            from,
            until,
            reason: short(reason, REASON).unwrap_or_default(),
            placed_by: user.cc.clone(),
            placed_at: self.records.clock.now(),
            released: None,
        };
        if let Some(why) = problem {
            let entry = self.about_hold(user, Outcome::Refused(why.to_owned()), "held", &hold, &case);
            self.commit(&[Record::Action(entry)], NOT_DONE).await;
            return self.error(format!("Nothing was held: {why}"));
        }
        let entry = self.about_hold(user, Outcome::Succeeded, "held", &hold, &case);
        self.record(Vec::new(), vec![hold], vec![entry]).await;
    }

    async fn lift(&self, user: &User, id: Uuid, reason: &str) {
        let rights = self.board.lock().rights.clone();
        let Some((hold, case)) = self.casework.hold(id, user, &rights) else {
            let why = "there is no such hold for this user";
            return self.refuse(user, Action::HoldEvidence, id, why, json!({ "change": "lifted" })).await;
        };
        if hold.released.is_some() {
            return; // somebody was faster
        }
        let Some(why) = short(reason, REASON) else {
            let why = "say why it is lifted";
            let entry = self.about_hold(user, Outcome::Refused(why.to_owned()), "lifted", &hold, &case);
            self.commit(&[Record::Action(entry)], NOT_DONE).await;
            return self.error(format!("Nothing was lifted: {why}"));
        };
        let lifted = self.lifted(hold, user, &why);
        let entry = self.about_hold(user, Outcome::Succeeded, "lifted", &lifted, &case);
        self.record(Vec::new(), vec![lifted], vec![entry]).await;
    }

    fn lifted(&self, hold: Hold, user: &User, why: &str) -> Hold {
        let released = Release { at: self.records.clock.now(), by: user.cc.clone(), why: why.to_owned() };
        Hold { released: Some(released), ..hold }
    }

    fn fact(&self, user: &User, case: CaseId, change: CaseChange) -> CaseFact {
        let at = self.casework.after(case, self.records.clock.now());
        CaseFact { id: Uuid::now_v7(), case, at, by: user.cc.clone(), by_name: user.name.clone(), change }
    }

    /// Commits all of it at once, and takes it up.
    async fn record(&self, facts: Vec<CaseFact>, holds: Vec<Hold>, entries: Vec<ActionRecord>) {
        let mut records: Vec<_> = facts.iter().cloned().map(Record::CaseFact).collect();
        records.extend(holds.iter().cloned().map(Record::Hold));
        records.extend(entries.into_iter().map(Record::Action));
        if self.commit(&records, NOT_DONE).await {
            self.casework.take_facts(facts);
            holds.into_iter().for_each(|hold| self.casework.take_hold(hold));
        }
    }

    fn about_case(
        &self,
        user: &User,
        outcome: Outcome,
        (id, number, name): (CaseId, &str, &str),
        change: &CaseChange,
    ) -> ActionRecord {
        let mut entry = self.records.entry((&user.cc, &user.name), Action::ChangeCase, outcome);
        entry.target = Some(id.to_string());
        entry.details = json!({ "change": change.word(), "case": number, "name": name, "what": change });
        if let CaseChange::AddSuspect { suspect } | CaseChange::RemoveSuspect { suspect } = change
            && let Some(details) = entry.details.as_object_mut()
        {
            details.insert("suspect".to_owned(), json!(suspect));
        }
        entry
    }

    fn about_hold(&self, user: &User, outcome: Outcome, change: &str, hold: &Hold, case: &Case) -> ActionRecord {
        let mut entry = self.records.entry((&user.cc, &user.name), Action::HoldEvidence, outcome);
        entry.target = Some(hold.id.to_string());
        entry.details = json!({
            "change": change, "case": case.number, "case_id": case.id, "camera_id": hold.camera,
            "camera": hold.camera.map_or_else(|| "all cameras".to_owned(), |id| self.camera_name(id)),
            "from": hold.from.to_string(), "until": hold.until.to_string(), "reason": hold.reason,
            "lifted_because": hold.released.as_ref().map(|r| &r.why),
        });
        entry
    }

    async fn refuse_case(&self, user: &User, about: (CaseId, &str, &str), change: &CaseChange, why: &str) {
        let entry = self.about_case(user, Outcome::Refused(why.to_owned()), about, change);
        self.commit(&[Record::Action(entry)], NOT_DONE).await;
        self.error(format!("The case was not changed: {why}"));
    }

    pub(super) async fn refuse(
        &self,
        user: &User,
        action: Action,
        target: Uuid,
        why: &str,
        details: serde_json::Value,
    ) {
        let mut entry = self.records.entry((&user.cc, &user.name), action, Outcome::Refused(why.to_owned()));
        entry.target = Some(target.to_string());
        entry.details = details;
        self.commit(&[Record::Action(entry)], NOT_DONE).await;
        self.error(format!("That was not done: {why}"));
    }

    /// Tells that a package was handed out for a case.
    pub(super) fn told_of_packages(&self, user: &User, facts: Vec<CaseFact>) {
        // A case of others takes note, too, and who handed it out learns nothing of that.
        let is_known = facts.iter().any(|fact| self.casework.case(fact.case, user).is_some());
        self.casework.take_facts(facts);
        if is_known {
            let text = "The package is on the list of its case".to_owned();
            let about = About::User(user.cc.clone());
            self.board.lock().notice(self.records.clock.now(), NoticeLevel::Info, text, about);
        }
    }
}

/// The text without spaces around it, cut to so many letters; `None` where nothing is left.
fn short(text: &str, letters: usize) -> Option<String> {
    let text: String = text.trim().chars().take(letters).collect();
    (!text.is_empty()).then_some(text)
}

fn named(number: &str, name: &str) -> Result<(String, String), &'static str> {
    let number = short(number, Case::NAME).ok_or("a case needs a number")?;
    Ok((number, short(name, Case::NAME).ok_or("a case needs a name")?))
}
