//! Whoever holds a weapon is proposed as a suspect: followed at once, and confirmed or dropped by an operator within the time that the
//! site sets.
use super::{About, NoticeLevel, Shared, Undo, analysis, board::Confirmed, console_user, decisions::meanwhile};
use crate::{
    follow::{Event, Undecided, WeaponSeen},
    model::{
        Action, CameraId, Class, DetectionKind, MatchView, Outcome, Picture, Suspect, SuspectId, Timestamp, Track,
        TrackId, User,
    },
    store::url_of_key,
    sync::Record,
    video::Frame,
};
use serde_json::json;
use std::{collections::BTreeMap, time::Duration};
use uuid::Uuid;

/// What a weapon leads to: records to commit, then what the screen shows of them.
pub(super) struct Armed {
    /// Where.
    pub camera: CameraId,
    pub seen: WeaponSeen,
    pub records: Vec<Record>,
    pub events: Vec<Event>,
    pub suspect: Option<(Suspect, Option<Picture>)>,
    pub text: String,
}

/// A frame with what is known of the people on it.
pub(super) struct Scene<'a> {
    pub camera: CameraId,
    pub frame: &'a Frame,
    pub tracks: &'a [Track],
    pub matches: &'a BTreeMap<TrackId, MatchView>,
}

fn name_of(seen: &WeaponSeen) -> (&'static str, DetectionKind) {
    match seen.weapon.class {
        Class::Gun => ("gun", DetectionKind::Gun),
        Class::Knife | Class::Person => ("knife", DetectionKind::Knife),
    }
}

fn holder_of<'a>(seen: &WeaponSeen, scene: &Scene<'a>) -> Option<&'a Track> {
    seen.holder.and_then(|id| scene.tracks.iter().find(|t| t.id == id))
}

impl Shared {
    /// Decides what follows from a weapon; its holder is followed from here on. `before` suspects have been proposed on this frame
    /// already. The caller holds [`order`](Shared::order), commits the records, and where that fails takes it back with
    /// [`disarm`](Self::disarm).
    pub(super) fn arm(&self, seen: WeaponSeen, scene: &Scene<'_>, before: usize) -> Armed {
        let (name, kind) = name_of(&seen);
        let holder = holder_of(&seen, scene);
        let known = holder.and_then(|t| scene.matches.get(&t.id)).filter(|m| m.certain).map(|m| m.suspect);
        let mut armed = Armed {
            camera: scene.camera,
            seen,
            records: Vec::new(),
            events: Vec::new(),
            suspect: None,
            text: self.alarm(&seen, scene),
        };
        let mut suspect_id = known;
        if let (None, Some(track), true) = (known, holder, self.config.weapons.propose) {
            suspect_id = Some(self.propose(&mut armed, scene, track, name, before));
        }
        let kinds = if suspect_id.is_some() { vec![kind, DetectionKind::Suspect] } else { vec![kind] };
        let metadata = json!({ "score": seen.weapon.score, "holder": seen.holder, "model": self.model });
        let outline = seen.weapon.rect.polygon().to_vec();
        armed.records.extend(analysis::detection(scene.camera, scene.frame, outline, suspect_id, kinds, metadata));
        armed
    }

    /// What the operator reads of a weapon.
    pub(super) fn alarm(&self, seen: &WeaponSeen, scene: &Scene<'_>) -> String {
        let (name, _) = name_of(seen);
        let place = self.camera_name(scene.camera);
        let held = holder_of(seen, scene).and_then(|t| scene.matches.get(&t.id)).filter(|m| m.certain);
        let Some(held) = held else { return format!("Possible {name} in {place}") };
        let board = self.board.lock();
        let label = board.suspect(held.suspect).map_or("a suspect", |v| &v.suspect.label);
        format!("Possible {name} in {place}, held by {label}")
    }

    fn propose(&self, armed: &mut Armed, scene: &Scene<'_>, track: &Track, weapon: &str, before: usize) -> SuspectId {
        let (now, id) = (self.records.clock.now(), Uuid::now_v7());
        let seconds = |s: f64| Duration::try_from_secs_f64(s).unwrap_or(Duration::from_secs(300));
        let gallery = self.follower().appearance_of(scene.camera, track.id);
        let (label, colour) = self.next_label(before);
        let crop_url = url_of_key(&format!("crops/{id}.jpg"));
        let suspect = Suspect {
            id,
            label,
            colour,
            reason: format!("weapon: {weapon}"),
            marked_by: console_user(),
            marked_at: scene.frame.captured_at(),
            camera: scene.camera,
            expires_at: now.plus(seconds(self.config.weapons.follow_hours * 3600.0)),
            ended_at: None,
            crop_url: crop_url.clone(),
            gallery,
            characteristics: Default::default(),
            changed_at: scene.frame.captured_at(),
            proposed_until: Some(now.plus(seconds(self.config.weapons.decide_within_s))),
            resumed_at: None,
        };
        let crop = analysis::crop(scene.frame, track.rect);
        let mut entry = self.records.entry((&console_user(), ""), Action::SelectSuspect, Outcome::Succeeded);
        entry.target = Some(id.to_string());
        entry.details = json!({
            "camera": self.camera_name(scene.camera), "camera_id": scene.camera, "at": scene.frame.captured_at().to_string(),
            "track": track.id, "reason": suspect.reason, "proposed": true,
        });
        armed.text =
            format!("{}: whoever holds it is followed as {} (proposed). Confirm or drop", armed.text, suspect.label);
        armed.events = self.follower().mark(&suspect, track.id, track.rect);
        self.tell_of_mark(&mut armed.events, id);
        armed.records.push(Record::Suspect(suspect.clone()));
        armed.records.extend(crop.as_ref().and_then(|crop| analysis::object(&crop_url, crop)));
        armed.records.extend(self.records_of(&armed.events, None));
        if let Some(Event::Changed(first)) = armed.events.last() {
            armed.records.extend(self.detection_of(first, scene.frame));
        }
        armed.records.push(Record::Action(entry));
        armed.suspect = Some((suspect, crop));
        id
    }

    /// Shows what was committed.
    pub(super) fn show_armed(&self, armed: Armed, at: Timestamp) {
        let proposed = armed.suspect.as_ref().map(|(suspect, _)| suspect.id);
        if let Some((suspect, crop)) = armed.suspect {
            self.board.lock().put_suspect(suspect, crop);
        }
        self.show(&armed.events, None);
        self.board.lock().notice(at, NoticeLevel::Alert, armed.text, About::Cameras(vec![armed.camera]));
        if let Some(id) = proposed {
            self.search.ask(id); // where too many wait, Find does it
        }
    }

    /// Takes back what could not be committed.
    pub(super) fn disarm(&self, armed: &Armed) {
        if let Some((suspect, _)) = &armed.suspect {
            self.follower().end(suspect.id);
        }
    }

    /// An operator confirms a proposed suspect, or drops it.
    /// `until` is what was shown: a proposal that is no longer this one is refused.
    pub(super) async fn decide_proposal(&self, user: &User, id: SuspectId, confirm: bool, until: Timestamp) {
        let _order = self.order.lock().await;
        let known = self.board.lock().suspect(id).map(|v| v.suspect.clone());
        let waits = |s: &Suspect| s.proposed_until == Some(until) && s.ended_at.is_none();
        let Some(mut suspect) = known.clone().filter(waits) else {
            let action = if confirm { Action::EditSuspect } else { Action::EndSuspect };
            let who = known.as_ref().filter(|s| s.proposed_until.is_none()).map(|s| s.marked_by.as_str());
            let details =
                json!({ "proposal": if confirm { "confirmed" } else { "dropped" }, "shown_until": until.to_string() });
            return self.refuse_decision(user, action, id, &meanwhile(who), details).await;
        };
        if !confirm {
            let who = (user.cc.as_str(), user.name.as_str());
            if self.end_in_order(who, id, json!({ "proposal": "dropped" })).await.is_some() {
                let text = format!("Proposed {}: dropped, no longer followed", suspect.label);
                let undo = Undo::Proposal { suspect: id, until };
                self.board.lock().notice_undo(self.records.clock.now(), text, &user.cc, undo);
            }
            return;
        }
        let proposed_by = suspect.marked_by.clone();
        suspect.proposed_until = None;
        suspect.marked_by.clone_from(&user.cc);
        suspect.touch(self.records.clock.now());
        let mut entry = self.records.entry((&user.cc, &user.name), Action::EditSuspect, Outcome::Succeeded);
        entry.target = Some(id.to_string());
        entry.details = json!({ "proposal": "confirmed", "reason": suspect.reason });
        let records = [Record::Suspect(suspect.clone()), Record::Action(entry)];
        if self.commit(&records, "The confirmation was not recorded and not done").await {
            let now = self.records.clock.now();
            self.follower().take_over(&suspect, now);
            let text = format!("Proposed {}: confirmed, followed on", suspect.label);
            let mut board = self.board.lock();
            board.put_suspect(suspect, None);
            board.confirmed.retain(|c| c.suspect != id);
            board.confirmed.push(Confirmed { suspect: id, until, proposed_by, by: user.cc.clone() });
            board.notice_undo(now, text, &user.cc, Undo::Proposal { suspect: id, until });
        }
    }

    /// Once a second: what becomes of proposals on which nobody decided in time.
    pub(super) async fn drop_undecided(&self) {
        if self.config.weapons.undecided == Undecided::Keep {
            return;
        }
        let now = self.records.clock.now();
        let overdue: Vec<(SuspectId, String)> = {
            let board = self.board.lock();
            let undecided = board.suspects.iter().map(|v| &v.suspect).filter(|s| s.is_followed(now));
            let overdue = undecided.filter(|s| s.proposed_until.is_some_and(|until| until <= now));
            let overdue = overdue.filter(|s| !self.duty.is_of_another(s.camera)); // that one does it
            overdue.map(|s| (s.id, s.label.clone())).collect()
        };
        for (id, label) in overdue {
            let why = json!({ "proposal": "dropped", "why": "nobody decided in time" });
            if self.end_suspect_as((&console_user(), ""), id, why).await.is_none() {
                continue;
            }
            let text = format!("{label} is no longer followed: nobody confirmed the proposal in time");
            self.board.lock().notice(now, NoticeLevel::Info, text, About::Suspect(id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CameraConfig, Site, SiteConfig, analysis::Analysis};
    use super::*;
    use crate::{
        cli::prerequisites,
        model::{Clock as _, Descriptor, DescriptorKind, Detection, DetectionRecord, ManualClock, Rect, SystemClock},
        store::{DetectionFilter, LogFilter},
        video::Color,
        vision::Analysed,
    };
    use std::{path::Path, sync::Arc};

    fn open(data: &Path, config: SiteConfig) -> (Site, Arc<ManualClock>) {
        gstreamer::init().unwrap();
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let camera = CameraConfig { active: false, ..CameraConfig::new("Gate", "test:") };
        let config = SiteConfig { cameras: vec![camera], ..config };
        (Site::open(config, data, &prerequisites::models_dir(None), clock.clone()).unwrap(), clock)
    }

    /// What a detector would say of `frames` frames with somebody who holds a knife in every second one.
    fn armed_person(site: &Site, clock: &ManualClock, analysis: &mut Analysis, frames: usize) {
        let look = Descriptor { kind: DescriptorKind::ColourStripes, vector: [1.0, 0.0].into() };
        let bytes: Vec<u8> = (0..320 * 240 * 3 / 2u32).map(|i| (i * 37 % 251) as u8).collect();
        for i in 0..frames {
            clock.advance(Duration::from_millis(200));
            let frame = Frame::from_i420(320, 240, &bytes, Color::BT601, 0, clock.now()).unwrap();
            let person = Detection { rect: Rect::new(100.0, 40.0, 60.0, 160.0), score: 0.8, class: Class::Person };
            let knife = Detection { rect: Rect::new(158.0, 120.0, 22.0, 10.0), score: 0.7, class: Class::Knife };
            let (mut detections, mut descriptors) = (vec![person], vec![Some(look.clone())]);
            if i % 2 == 0 {
                detections.push(knife);
                descriptors.push(None);
            }
            let camera = site.shared.cameras.paths()[0].camera.id;
            analysis.take(&Analysed { camera, frame, epoch: 0, detections, descriptors });
        }
    }

    fn suspects(site: &Site) -> Vec<Suspect> {
        site.shared.board.lock().suspects.iter().map(|v| v.suspect.clone()).collect()
    }

    fn stored(site: &Site) -> (Vec<DetectionRecord>, Vec<(Action, String)>) {
        let records = &site.shared.records;
        site.shared.runtime.block_on(async {
            assert!(records.delivery.flush().await);
            let detections = records.stores.cameras.detections(&DetectionFilter::default()).await.unwrap();
            let log = records.stores.actions.page(&LogFilter::default(), None, 50).await.unwrap();
            (detections, log.into_iter().map(|e| (e.action, e.details.to_string())).collect())
        })
    }

    #[test]
    fn whoever_holds_a_knife_is_proposed_once_followed_at_once_and_confirmed_by_an_operator() {
        let data = tempfile::tempdir().unwrap();
        let (site, clock) = open(data.path(), SiteConfig::default());
        let mut analysis = Analysis::new(Arc::clone(&site.shared));
        armed_person(&site, &clock, &mut analysis, 3);
        assert_eq!(suspects(&site), [], "two findings are flicker");
        armed_person(&site, &clock, &mut analysis, 40);
        let all = suspects(&site);
        let [proposed] = &all[..] else { panic!("{all:?}") };
        assert_eq!(proposed.reason, "weapon: knife");
        assert!(proposed.proposed_until.is_some_and(|t| t > clock.now()) && !proposed.gallery.is_empty());
        let sightings = site.shared.board.lock().sightings();
        assert!(sightings.len() == 1 && sightings[0].sighting.left_at.is_none(), "followed from here on");
        let alerts = site.shared.board.lock().notices.iter().filter(|n| n.level == NoticeLevel::Alert).count();
        assert_eq!(alerts, 1, "one alert a weapon");
        let (detections, log) = stored(&site);
        let armed: Vec<_> = detections.iter().filter(|d| d.kinds.contains(&DetectionKind::Knife)).collect();
        assert_eq!(armed.len(), 1);
        assert_eq!((armed[0].kinds.len(), armed[0].suspect_id), (2, Some(proposed.id)));
        assert!(detections.iter().any(|d| d.kinds == [DetectionKind::Suspect] && d.suspect_id == Some(proposed.id)));
        assert!(log.iter().any(|(a, d)| *a == Action::SelectSuspect && d.contains("\"proposed\":true")), "{log:?}");

        let user = User {
            cc: "7".to_owned(),
            name: "Rui".to_owned(),
            email: String::new(),
            is_admin: false,
            active: true,
            version: 1,
        };
        let decide = site.shared.decide_proposal(&user, proposed.id, true, proposed.proposed_until.unwrap());
        site.shared.runtime.block_on(decide);
        let after = suspects(&site);
        assert!(after[0].proposed_until.is_none() && after[0].marked_by == "7" && after[0].ended_at.is_none());
        armed_person(&site, &clock, &mut analysis, 30);
        clock.advance(Duration::from_secs(3600));
        site.shared.runtime.block_on(site.shared.drop_undecided());
        let later = suspects(&site);
        assert!(later.len() == 1 && later[0].proposed_until.is_none() && later[0].ended_at.is_none(), "{later:?}");
        let (_, log) = stored(&site);
        assert!(log.iter().any(|(a, d)| *a == Action::EditSuspect && d.contains("confirmed")), "{log:?}");
    }

    #[test]
    fn an_undecided_proposal_is_dropped_with_an_entry_or_kept_as_the_site_says() {
        for undecided in [Undecided::Drop, Undecided::Keep] {
            let data = tempfile::tempdir().unwrap();
            let weapons = crate::follow::WeaponConfig { undecided, decide_within_s: 60.0, ..Default::default() };
            let (site, clock) = open(data.path(), SiteConfig { weapons, ..SiteConfig::default() });
            let mut analysis = Analysis::new(Arc::clone(&site.shared));
            armed_person(&site, &clock, &mut analysis, 10);
            site.shared.runtime.block_on(site.shared.drop_undecided());
            assert!(suspects(&site)[0].is_followed(clock.now()), "time is not over");
            clock.advance(Duration::from_secs(61));
            site.shared.runtime.block_on(site.shared.drop_undecided());
            let kept = undecided == Undecided::Keep;
            assert_eq!(suspects(&site)[0].is_followed(clock.now()), kept);
            let (_, log) = stored(&site);
            let dropped = log.iter().any(|(a, d)| *a == Action::EndSuspect && d.contains("nobody decided in time"));
            assert_eq!(dropped, !kept, "{log:?}");
        }
    }
}
