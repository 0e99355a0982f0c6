//! What operators decide, and take back. A decision is about what was on screen: where somebody decided meanwhile nothing is changed, and that is
//! said and entered.
use super::{
    About, Judgement, NoticeLevel, SeenMatch, Shared, Undo, commands::NOT_DONE, records::Actor, session::HIDDEN,
};
use crate::{
    model::{Action, Decision, Outcome, Sighting, SightingId, Suspect, SuspectId, Timestamp, User},
    sync::Record,
};
use serde_json::{Value, json};
use std::time::Duration;

/// Why a decision is refused that was about something else than what is on record; `who` decided meanwhile.
pub(super) fn meanwhile(who: Option<&str>) -> String {
    format!("{} decided about this meanwhile", who.unwrap_or("somebody"))
}

/// What an entry says of a match as it was seen, or as it is.
fn told(decision: &Decision, probability: f32) -> Value {
    json!({ "decision": decision.word(), "by": decision.decided_by(), "probability": probability })
}

impl Shared {
    /// A decision is not done: an entry, and words for the operator.
    pub(super) async fn refuse_decision(
        &self,
        user: &User,
        action: Action,
        target: uuid::Uuid,
        why: &str,
        details: Value,
    ) {
        let mut entry = self.user_action(user, action, Outcome::Refused(why.to_owned()));
        (entry.target, entry.details) = (Some(target.to_string()), details);
        self.commit(&[Record::Action(entry)], "A refusal was not recorded").await;
        let mut text = format!("{why}: nothing was changed");
        if let Some(first) = text.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        self.error(text);
    }

    /// `Possible match of Suspect 2 on Gate`.
    fn match_in_words(&self, sighting: &Sighting) -> String {
        let camera = self.camera_name(sighting.camera);
        let board = self.board.lock();
        let label = board.suspect(sighting.suspect).map_or("a suspect", |v| &v.suspect.label);
        format!("Possible match of {label} on {camera}")
    }

    /// An operator says what a possible match is, having `seen` it so; `None` where it was made for this very decision.
    pub(super) async fn decide(&self, user: &User, id: SightingId, judgement: Judgement, seen: Option<&SeenMatch>) {
        let order = self.order.lock().await;
        let Some(sighting) = self.board.lock().sighting(id).map(|v| v.sighting.clone()) else {
            let details = json!({ "seen": seen.map(|s| told(&s.decision, s.probability)) });
            let why = "this possible match is no longer on record";
            return self.refuse_decision(user, Action::DecideMatch, id, why, details).await;
        };
        if sighting.decision == Decision::Origin {
            return; // the operator clicked this very person: there is nothing to decide
        }
        let mut details = json!({
            "suspect": sighting.suspect, "camera": self.camera_name(sighting.camera), "camera_id": sighting.camera,
            "probability": sighting.probability, "seen": seen.map(|s| told(&s.decision, s.probability)),
            "before": told(&sighting.decision, sighting.probability),
        });
        if seen.is_some_and(|seen| seen.decision != sighting.decision) {
            let why = meanwhile(sighting.decision.decided_by());
            return self.refuse_decision(user, Action::DecideMatch, id, &why, details).await;
        }
        // The last decision counts, also where the clock of whoever decided before it was ahead.
        let before = sighting.decision.decided_at().map_or(Timestamp(0), |t| t.plus(Duration::from_micros(1)));
        let (by, at) = (user.cc.clone(), self.records.clock.now().max(before));
        let decision = match judgement {
            Judgement::Confirm => Decision::Confirmed { by, at },
            Judgement::Reject => Decision::Rejected { by, at },
            Judgement::Undecide if sighting.decision.is_pending() => return,
            Judgement::Undecide => Decision::Withdrawn { by, at },
        };
        self.recall(&sighting).await;
        if let Some(details) = details.as_object_mut() {
            details.insert("decision".to_owned(), decision.word().into());
        }
        let events = self.follower().decide(&sighting, decision.clone());
        let mut records = self.records_of(&events, None);
        let mut entry = self.user_action(user, Action::DecideMatch, Outcome::Succeeded);
        (entry.target, entry.details) = (Some(id.to_string()), details);
        records.push(Record::Action(entry));
        if !self.commit(&records, NOT_DONE).await {
            self.follower().undecide(&sighting);
            return;
        }
        self.show(&events, None);
        self.learn_travel();
        let what = self.match_in_words(&sighting);
        let now = self.records.clock.now();
        if !decision.is_pending() {
            let text = format!("{what}: {}", decision.word());
            return self.board.lock().notice_undo(now, text, &user.cc, Undo::Match { sighting: id, decision });
        }
        let text = format!("{what}: waits for a decision again");
        self.board.lock().notice(now, NoticeLevel::Info, text, About::User(user.cc.clone()));
        drop(order);
        // Only what waits for a decision has its picture on the board.
        if let Some(picture) = self.picture(&sighting.crop_url).await {
            self.board.lock().picture_of_sighting(id, picture);
        }
    }

    /// Takes a decision back, where it is still the last one.
    pub(super) async fn undo(&self, user: &User, undo: Undo) {
        match undo {
            Undo::Match { sighting, decision } => {
                let probability = self.board.lock().sighting(sighting).map(|v| v.sighting.probability);
                let seen = SeenMatch { decision, probability: probability.unwrap_or_default() };
                self.decide(user, sighting, Judgement::Undecide, Some(&seen)).await;
            }
            Undo::End { suspect, ended_at } => {
                let is_it = |s: &Suspect, now: Timestamp| s.ended_at == Some(ended_at) && now < s.expires_at;
                let back = |s: &mut Suspect, now: Timestamp| s.resume(now);
                self.take_back(user, suspect, is_it, back, json!({ "undone": "end of the follow" })).await;
            }
            Undo::Proposal { suspect, until } => self.undo_proposal(user, suspect, until).await,
        }
    }

    /// A proposal that was confirmed or dropped here waits again, while there is time.
    async fn undo_proposal(&self, user: &User, id: SuspectId, until: Timestamp) {
        let confirmed = {
            let mut board = self.board.lock();
            let place = board.confirmed.iter().position(|c| c.suspect == id && c.until == until);
            place.map(|place| board.confirmed.remove(place))
        };
        match confirmed {
            Some(was) => {
                let is_it = |s: &Suspect, now: Timestamp| {
                    s.proposed_until.is_none() && s.marked_by == was.by && s.is_followed(now) && now < until
                };
                let back = |s: &mut Suspect, now: Timestamp| {
                    s.touch(now);
                    s.proposed_until = Some(until);
                    s.marked_by.clone_from(&was.proposed_by);
                };
                self.take_back(user, id, is_it, back, json!({ "undone": "proposal confirmed" })).await;
            }
            None => {
                let is_it = |s: &Suspect, now: Timestamp| {
                    s.ended_at.is_some() && s.proposed_until == Some(until) && now < until
                };
                let back = |s: &mut Suspect, now: Timestamp| s.resume(now);
                self.take_back(user, id, is_it, back, json!({ "undone": "proposal dropped" })).await;
            }
        }
    }

    /// Makes a suspect again what it was, where it still `is` what was made of it.
    async fn take_back(
        &self,
        user: &User,
        id: SuspectId,
        is_it: impl FnOnce(&Suspect, Timestamp) -> bool,
        back: impl FnOnce(&mut Suspect, Timestamp),
        details: Value,
    ) {
        let _order = self.order.lock().await;
        let now = self.records.clock.now();
        let Some(before) = self.board.lock().suspect(id).map(|v| v.suspect.clone()) else {
            return self.refuse_decision(user, Action::EditSuspect, id, HIDDEN, details).await;
        };
        if !is_it(&before, now) {
            let why = "this was decided anew meanwhile, or its time is over";
            return self.refuse_decision(user, Action::EditSuspect, id, why, details).await;
        }
        let mut suspect = before.clone();
        back(&mut suspect, now);
        let events = if before.ended_at.is_some() {
            self.follower().resume(&suspect)
        } else {
            self.follower().take_over(&suspect, now)
        };
        let events = self.duty.of_this_console(events);
        let mut entry = self.user_action(user, Action::EditSuspect, Outcome::Succeeded);
        (entry.target, entry.details) = (Some(id.to_string()), details);
        let mut records = vec![Record::Suspect(suspect.clone())];
        records.extend(self.records_of(&events, None));
        records.push(Record::Action(entry));
        if !self.commit(&records, NOT_DONE).await {
            self.follower().take_over(&before, now);
            return;
        }
        let waits = if suspect.proposed_until.is_some() { ", and waits for a decision again" } else { "" };
        let text = format!("{}: followed as before{waits}", suspect.label);
        self.board.lock().put_suspect(suspect, None);
        self.show(&events, None);
        self.board.lock().notice(now, NoticeLevel::Info, text, About::User(user.cc.clone()));
    }

    /// An operator ends a follow.
    pub(super) async fn end_suspect(&self, user: &User, id: SuspectId) {
        let ended_at = self.end_suspect_as((&user.cc, &user.name), id, Value::Null).await;
        let mut board = self.board.lock();
        let label = board.suspect(id).map(|v| v.suspect.label.clone());
        if let (Some(ended_at), Some(label)) = (ended_at, label) {
            let text = format!("{label}: no longer followed");
            board.notice_undo(self.records.clock.now(), text, &user.cc, Undo::End { suspect: id, ended_at });
        }
    }

    /// Ends a follow; `details` say why where it is not an operator's plain wish. Returns when, where it was done.
    pub(super) async fn end_suspect_as(&self, who: Actor<'_>, id: SuspectId, details: Value) -> Option<Timestamp> {
        let _order = self.order.lock().await;
        self.end_in_order(who, id, details).await
    }

    /// The same for whoever holds [`order`](Shared::order).
    pub(super) async fn end_in_order(&self, who: Actor<'_>, id: SuspectId, details: Value) -> Option<Timestamp> {
        let mut suspect = self.board.lock().suspect(id).map(|v| v.suspect.clone())?;
        if suspect.ended_at.is_some() {
            return None;
        }
        let before = suspect.clone();
        // The last word counts, also where the clock of whoever resumed the follow was ahead.
        let after = suspect.resumed_at.map_or(Timestamp(0), |t| t.plus(Duration::from_micros(1)));
        let ended_at = self.records.clock.now().max(after);
        suspect.ended_at = Some(ended_at);
        suspect.touch(ended_at);
        let events = self.duty.of_this_console(self.follower().end(id));
        let mut records = self.records_of(&events, None);
        records.push(Record::Suspect(suspect.clone()));
        let mut entry = self.records.entry(who, Action::EndSuspect, Outcome::Succeeded);
        entry.target = Some(id.to_string());
        entry.details = details;
        records.push(Record::Action(entry));
        if !self.commit(&records, NOT_DONE).await {
            self.follower().resume(&before);
            return None;
        }
        self.board.lock().put_suspect(suspect, None);
        self.show(&events, None);
        Some(ended_at)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CameraConfig, Clicked, Site, SiteConfig, analysis::Analysis};
    use super::*;
    use crate::{
        cli::prerequisites,
        model::{
            ActionRecord, Class, Clock as _, Descriptor, DescriptorKind, Detection, ManualClock, Rect, SystemClock,
        },
        store::LogFilter,
        video::{Color, Frame},
        vision::Analysed,
    };
    use std::sync::Arc;

    const BOX: Rect = Rect::new(100.0, 40.0, 60.0, 160.0);

    struct Room {
        /// Before the site: it uses the site's threads until it ends.
        analysis: Analysis,
        site: Site,
        clock: Arc<ManualClock>,
        _data: tempfile::TempDir,
    }

    fn user(cc: &str) -> User {
        let (name, email) = (format!("User {cc}"), String::new());
        User { cc: cc.to_owned(), name, email, is_admin: false, active: true, version: 1 }
    }

    impl Room {
        /// Two cameras; somebody is marked on the first, and the second shows somebody who looks so.
        fn new() -> (Self, Sighting) {
            gstreamer::init().unwrap();
            let data = tempfile::tempdir().unwrap();
            let clock = Arc::new(ManualClock::at(SystemClock.now()));
            let camera = |name: &str| CameraConfig { active: false, ..CameraConfig::new(name, "test:") };
            let config = SiteConfig { cameras: vec![camera("Gate"), camera("Hall")], ..SiteConfig::default() };
            let site = Site::open(config, data.path(), &prerequisites::models_dir(None), clock.clone()).unwrap();
            let analysis = Analysis::new(Arc::clone(&site.shared));
            let mut room = Self { analysis, site, clock, _data: data };
            let frame = room.sees(0, 10, 0.05, false).unwrap();
            let (shared, gate) = (&room.site.shared, room.site.shared.cameras.paths()[0].camera.id);
            let track = shared.cameras.paths()[0].seen.get().unwrap().tracks[0].track.id;
            let clicked = Clicked { camera: gate, track, frame, rect: BOX };
            let (by, hour) = (user("1"), Duration::from_secs(3600));
            shared.runtime.block_on(shared.select_suspect(&by, clicked, None, "theft", hour));
            room.clock.advance(Duration::from_secs(20));
            room.sees(1, 10, 0.32, false);
            let waiting: Vec<_> = room.sightings().into_iter().filter(|s| s.decision.is_pending()).collect();
            let [sighting] = &waiting[..] else { panic!("{waiting:?}") };
            let sighting = sighting.clone();
            (room, sighting)
        }

        /// So many frames of a camera with somebody whose look is tilted so far from the usual one.
        fn sees(&mut self, camera: usize, frames: usize, tilt: f32, armed: bool) -> Option<Frame> {
            let long = 1.0f32.hypot(tilt);
            let look = Descriptor { kind: DescriptorKind::ColourStripes, vector: [1.0 / long, tilt / long].into() };
            let bytes: Vec<u8> = (0..320 * 240 * 3 / 2u32).map(|i| (i * 37 % 251) as u8).collect();
            let camera = self.site.shared.cameras.paths()[camera].camera.id;
            let mut last = None;
            for i in 0..frames {
                self.clock.advance(Duration::from_millis(200));
                let frame = Frame::from_i420(320, 240, &bytes, Color::BT601, 0, self.clock.now()).unwrap();
                let (mut detections, mut descriptors) =
                    (vec![Detection { rect: BOX, score: 0.8, class: Class::Person }], vec![Some(look.clone())]);
                if armed && i % 2 == 0 {
                    let rect = Rect::new(158.0, 120.0, 22.0, 10.0);
                    detections.push(Detection { rect, score: 0.7, class: Class::Knife });
                    descriptors.push(None);
                }
                last = Some(frame.clone());
                self.analysis.take(&Analysed { camera, frame, epoch: 0, detections, descriptors });
            }
            last
        }

        fn sightings(&self) -> Vec<Sighting> {
            self.site.shared.board.lock().sightings().iter().map(|v| v.sighting.clone()).collect()
        }

        fn sighting(&self, id: SightingId) -> Sighting {
            self.sightings().into_iter().find(|s| s.id == id).unwrap()
        }

        fn suspect(&self) -> Suspect {
            self.site.shared.board.lock().suspects[0].suspect.clone()
        }

        fn decide(&self, cc: &str, id: SightingId, judgement: Judgement, seen: &SeenMatch) {
            let shared = &self.site.shared;
            shared.runtime.block_on(shared.decide(&user(cc), id, judgement, Some(seen)));
        }

        fn undo(&self, undo: Undo) {
            self.site.shared.runtime.block_on(self.site.shared.undo(&user("1"), undo));
        }

        /// What the newest notice says, and what it offers.
        fn notice(&self) -> (String, Option<Undo>) {
            let board = self.site.shared.board.lock();
            let last = board.notices.back().unwrap();
            (last.text.clone(), last.undo.clone())
        }

        fn log(&self, action: Action) -> Vec<ActionRecord> {
            let records = &self.site.shared.records;
            self.site.shared.runtime.block_on(async {
                assert!(records.delivery.flush().await);
                let page = records.stores.actions.page(&LogFilter::default(), None, 50).await.unwrap();
                page.into_iter().filter(|e| e.action == action).collect()
            })
        }
    }

    fn seen(s: &Sighting) -> SeenMatch {
        SeenMatch { decision: s.decision.clone(), probability: s.probability }
    }

    #[test]
    fn a_decision_about_what_was_decided_meanwhile_or_is_gone_is_refused_and_a_moved_probability_is_entered() {
        let (room, waiting) = Room::new();
        let shown = SeenMatch { probability: 0.11, ..seen(&waiting) };
        room.decide("7", waiting.id, Judgement::Confirm, &shown);
        let confirmed = room.sighting(waiting.id).decision;
        assert!(matches!(&confirmed, Decision::Confirmed { by, .. } if by == "7"), "{confirmed:?}");
        let details = &room.log(Action::DecideMatch)[0].details;
        assert!((details["seen"]["probability"].as_f64().unwrap() - 0.11).abs() < 1e-6, "{details}");
        assert!(details["before"]["probability"].as_f64().unwrap() > 0.3, "{details}");

        room.decide("8", waiting.id, Judgement::Reject, &shown);
        assert_eq!(room.sighting(waiting.id).decision, confirmed);
        assert_eq!(room.notice().0, "7 decided about this meanwhile: nothing was changed");
        let nobody = uuid::Uuid::from_u128(1);
        room.decide("8", nobody, Judgement::Reject, &shown);
        assert!(room.notice().0.contains("no longer on record: nothing was changed"), "{:?}", room.notice());
        let refused: Vec<_> =
            room.log(Action::DecideMatch).into_iter().filter(|e| matches!(e.outcome, Outcome::Refused(_))).collect();
        assert_eq!(refused.iter().filter(|e| e.user_cc == "8").count(), 2, "{refused:?}");
        assert!(refused.iter().any(|e| e.details["before"]["decision"] == "confirmed"), "{refused:?}");
    }

    #[test]
    fn the_last_decision_can_be_taken_back_whole_and_no_other_one() {
        for judgement in [Judgement::Confirm, Judgement::Reject] {
            let (mut room, waiting) = Room::new();
            let gallery = room.suspect().gallery;
            room.decide("1", waiting.id, judgement, &seen(&waiting));
            let (text, undo) = room.notice();
            let word = if judgement == Judgement::Confirm { "confirmed" } else { "rejected" };
            assert_eq!(text, format!("Possible match of Suspect 1 on Hall: {word}"));
            let undo = undo.unwrap();
            room.undo(undo.clone());
            let again = room.sighting(waiting.id);
            assert!(again.decision.is_pending() && again.left_at.is_none(), "{again:?}");
            assert_eq!(room.suspect().gallery, gallery, "after {word}");
            room.sees(1, 5, 0.32, false);
            let goes_on = room.sighting(waiting.id);
            assert!(goes_on.left_at.is_none() && goes_on.last_seen_at > waiting.last_seen_at, "{goes_on:?}");
            // Decided anew: the old way back leads nowhere.
            let other = if judgement == Judgement::Confirm { Judgement::Reject } else { Judgement::Confirm };
            room.decide("9", waiting.id, other, &seen(&goes_on));
            let decided = room.sighting(waiting.id).decision;
            room.undo(undo);
            assert_eq!(room.sighting(waiting.id).decision, decided);
            assert_eq!(room.notice().0, "9 decided about this meanwhile: nothing was changed");
            room.decide("1", waiting.id, Judgement::Undecide, &seen(&room.sighting(waiting.id)));
            assert!(room.sighting(waiting.id).decision.is_pending());
            assert_eq!(room.suspect().gallery, gallery);
            assert_eq!(room.log(Action::DecideMatch).len(), 5);
            // A later start knows it.
            let stored = room.site.shared.runtime.block_on(room.site.shared.records.stores.cameras.sightings(None, 9));
            assert!(stored.unwrap().iter().any(|s| s.decision == room.sighting(waiting.id).decision));
        }
    }

    #[test]
    fn an_ended_follow_goes_on_where_its_end_is_taken_back() {
        let (mut room, waiting) = Room::new();
        let id = room.suspect().id;
        let end = || room.site.shared.runtime.block_on(room.site.shared.end_suspect(&user("1"), id));
        end();
        let (text, undo) = room.notice();
        assert_eq!(text, "Suspect 1: no longer followed");
        assert!(room.sighting(waiting.id).left_at.is_some() && room.suspect().ended_at.is_some());
        let undo = undo.unwrap();
        room.undo(undo.clone());
        assert!(room.suspect().is_followed(room.clock.now()));
        room.undo(undo);
        assert!(room.notice().0.contains("nothing was changed"), "{:?}", room.notice());
        room.sees(1, 5, 0.32, false);
        assert!(room.sighting(waiting.id).left_at.is_none());
        let entries = room.log(Action::EditSuspect);
        assert_eq!(entries.iter().filter(|e| e.outcome == Outcome::Succeeded).count(), 1, "{entries:?}");
        let stored = room.site.shared.runtime.block_on(room.site.shared.records.stores.cameras.suspects()).unwrap();
        assert!(stored[0].ended_at.is_none() && stored[0].resumed_at.is_some());
    }

    #[test]
    fn a_proposal_that_is_no_longer_the_one_shown_is_refused_and_a_decision_on_it_can_be_taken_back() {
        let (mut room, _) = Room::new();
        room.clock.advance(Duration::from_secs(20));
        room.sees(0, 40, 3.0, true);
        let proposed = || {
            let board = room.site.shared.board.lock();
            board.suspects.iter().map(|v| v.suspect.clone()).find(|s| s.reason.starts_with("weapon")).unwrap()
        };
        let (id, until, by) = (proposed().id, proposed().proposed_until.unwrap(), proposed().marked_by);
        let decide = |confirm, until| {
            let shared = &room.site.shared;
            shared.runtime.block_on(shared.decide_proposal(&user("1"), id, confirm, until));
        };
        decide(true, until.plus(Duration::from_secs(1)));
        assert_eq!(proposed().proposed_until, Some(until));
        assert!(room.notice().0.contains("nothing was changed"));
        for confirm in [true, false] {
            decide(confirm, until);
            let undo = room.notice().1.unwrap();
            assert_eq!(undo, Undo::Proposal { suspect: id, until });
            decide(!confirm, until);
            assert!(room.notice().0.contains("nothing was changed"), "decided already");
            room.undo(undo);
            let now = proposed();
            assert_eq!((now.proposed_until, &now.marked_by), (Some(until), &by));
            assert!(now.is_followed(room.clock.now()));
        }
        decide(true, until);
        let undo = room.notice().1.unwrap();
        room.clock.advance(Duration::from_secs(3000));
        room.undo(undo);
        assert_eq!(proposed().proposed_until, None, "its time is over");
    }
}
