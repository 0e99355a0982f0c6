//! Marks by the card, on what a detector and an appearance model say of real footage.
use super::super::{Access, CameraConfig, FindCommand, FindWho, HitView, Site, SiteConfig, analysis::Analysis};
use super::*;
use crate::{
    cli::prerequisites,
    model::{Action, Clock as _, Decision, ManualClock, Sighting, SystemClock, Timestamp, Track, User},
    store::LogFilter,
    video::{Color, Frame, read_file_from},
    vision::{Analysed, Appearance, Compute, Detector, DeviceChoice, SiteModels, describe_persons},
};
use std::{collections::BTreeSet, ops::ControlFlow, time::Duration};

const FRAME: Duration = Duration::from_millis(200);
/// The frame that is clicked, and so many later the hall sees what the gate saw from the first on.
const CLICK: usize = 30;
const LATER: usize = 170;
const END: usize = 240;
/// The late mark, frames after the click: 34 s.
const LATE: usize = 170;
/// Whoever is searched for has left the gate by then, and the hall sees them until this.
const GONE: usize = 230;
const LONG: usize = 330;

/// What a detector and an appearance model say of real footage, five frames a second.
fn footage(frames: usize) -> Vec<Analysed> {
    let models = prerequisites::models_dir(None);
    let compute = Compute::choose(DeviceChoice::Cpu, 2).unwrap();
    let (kind, site) = (SiteConfig::default().analysis.detector, SiteModels::default());
    let detector = Detector::load_for_site(&models, compute, kind, &site).unwrap();
    let appearance = Appearance::load_for_site(&models, compute, &site).unwrap();
    let (mut all, mut number) = (Vec::new(), 0);
    let file = prerequisites::footage("vtest.avi");
    read_file_from(&file, Timestamp(0), |frame| {
        number += 1;
        if number % 2 == 0 {
            let detections = detector.detect(std::slice::from_ref(&frame)).unwrap().pop().unwrap();
            let descriptors = describe_persons(&appearance, &frame, &detections).unwrap();
            all.push(Analysed { camera: CameraId::nil(), frame, epoch: 0, detections, descriptors });
        }
        if all.len() < frames { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })
    .unwrap();
    all
}

/// The picture again, of another instant.
fn dated(frame: &Frame, at: Timestamp) -> Frame {
    let mut bytes = Vec::new();
    for plane in frame.planes() {
        let rows = plane.data.chunks(plane.stride).take(plane.height);
        rows.for_each(|row| bytes.extend_from_slice(&row[..plane.width * plane.bytes_per_sample]));
    }
    Frame::from_i420(frame.width(), frame.height(), &bytes, Color::BT601, 0, at).unwrap()
}

/// A site whose hall sees what its gate saw [`LATER`] frames before.
struct Room<'a> {
    footage: &'a [Analysed],
    /// Before the site: it uses the site's threads until it ends.
    analysis: Analysis,
    site: Site,
    clock: Arc<ManualClock>,
    started: Timestamp,
    frames: usize,
    _data: tempfile::TempDir,
}

impl<'a> Room<'a> {
    fn new(footage: &'a [Analysed]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let camera = |name: &str| CameraConfig { active: false, ..CameraConfig::new(name, "test:") };
        let config = SiteConfig { cameras: vec![camera("Gate"), camera("Hall")], ..SiteConfig::default() };
        let site = Site::open(config, data.path(), &prerequisites::models_dir(None), clock.clone()).unwrap();
        let (analysis, started) = (Analysis::new(Arc::clone(&site.shared)), clock.now());
        Self { footage, analysis, site, clock, started, frames: 0, _data: data }
    }

    fn camera(&self, number: usize) -> CameraId {
        self.site.shared.cameras.paths()[number].camera.id
    }

    /// The picture of the gate of so many frames after the first.
    fn picture(&self, number: usize) -> Frame {
        let after = FRAME * u32::try_from(number + 1).unwrap();
        dated(&self.footage[number].frame, self.started.plus(after))
    }

    fn see_until(&mut self, frames: usize) {
        let footage = self.footage;
        while self.frames < frames {
            self.clock.advance(FRAME);
            let late = self.frames.checked_sub(LATER).and_then(|i| footage.get(i)).map(|seen| (1, seen));
            for (camera, seen) in [(0, &footage[self.frames])].into_iter().chain(late) {
                let (detections, descriptors) = (seen.detections.clone(), seen.descriptors.clone());
                let (camera, frame) = (self.camera(camera), dated(&seen.frame, self.clock.now()));
                self.analysis.take(&Analysed { camera, frame, epoch: 0, detections, descriptors });
            }
            self.frames += 1;
        }
    }

    /// Who is in view at the gate.
    fn tracks(&self) -> Vec<Track> {
        let seen = self.site.shared.cameras.paths()[0].seen.get().unwrap().tracks;
        seen.iter().map(|view| view.track.clone()).collect()
    }

    fn click(&self, track: &Track) -> Clicked {
        let frame = self.picture(self.frames - 1);
        Clicked { camera: self.camera(0), track: track.id, frame, rect: track.rect }
    }

    fn open(&self, click: &Clicked) -> Arc<Card> {
        let shared = &self.site.shared;
        assert!(turn(shared, &mut shared.board.lock(), &Command::OpenCard(click.clone())));
        let card = shared.board.lock().card.clone().unwrap();
        shared.runtime.block_on(async { assert!(shared.pinned(&card).await.looks() > 0) });
        card
    }

    fn user(&self) -> User {
        let (cc, name, email) = ("1".to_owned(), "Ana".to_owned(), String::new());
        User { cc, name, email, is_admin: false, active: true, version: 1 }
    }

    /// Marks; the looks that the suspect has.
    fn mark(&self, click: Clicked, card: Option<&Card>) -> Vec<Descriptor> {
        let (shared, hours) = (&self.site.shared, Duration::from_secs(3600));
        shared.runtime.block_on(shared.select_suspect(&self.user(), click, card, "theft", hours));
        shared.board.lock().suspects[0].suspect.gallery.clone()
    }

    fn sightings(&self) -> Vec<Sighting> {
        self.site.shared.board.lock().sightings().iter().map(|v| v.sighting.clone()).collect()
    }

    /// The tracks of the hall that the suspect was probably on.
    fn found(&self) -> BTreeSet<u64> {
        self.found_since(self.started)
    }

    fn found_since(&self, since: Timestamp) -> BTreeSet<u64> {
        let likely = |s: &Sighting| s.camera == self.camera(1) && s.probability >= 0.6 && s.last_seen_at > since;
        self.sightings().into_iter().filter(likely).map(|s| s.track.0).collect()
    }
}

/// The looks a suspect was marked with, and the tracks of the hall that it was probably on.
fn run(footage: &[Analysed], mark_at: usize, pins: bool) -> (Vec<Descriptor>, BTreeSet<u64>) {
    let mut room = Room::new(footage);
    room.see_until(CLICK + 1);
    // Whoever was seen well, and has gone before the late mark.
    let looks = |t: &Track| room.site.shared.follower().appearance_of(room.camera(0), t.id).len();
    let mut well: Vec<_> = room.tracks();
    well.retain(|t| t.rect.h > 60.0 && t.score > 0.6 && looks(t) > 1);
    let track = well.into_iter().max_by(|a, b| a.rect.h.total_cmp(&b.rect.h)).unwrap();
    let click = room.click(&track);
    let card = pins.then(|| room.open(&click));
    let kept = card.as_ref().and_then(|card| card.view(&room.site.shared.looks).looks);
    assert!(kept.is_none_or(|looks| looks > 1));
    room.see_until(mark_at + 1);
    let is_there = room.tracks().iter().any(|t| t.id == track.id);
    assert_eq!(is_there, mark_at == CLICK, "at the late mark the track is gone");
    let looks = room.mark(click, card.as_deref());
    room.see_until(END);
    (looks, room.found())
}

#[test]
fn a_mark_half_a_minute_after_the_click_follows_like_one_made_at_once() {
    gstreamer::init().unwrap();
    let footage = footage(END);
    let (looks, found) = run(&footage, CLICK, true);
    assert!(looks.len() > 1 && !found.is_empty(), "{} looks, {found:?}", looks.len());
    let (later, found_later) = run(&footage, CLICK + LATE, true);
    assert!(later == looks, "{} and {} looks", later.len(), looks.len());
    assert_eq!(found_later, found);
    let (without, _) = run(&footage, CLICK + LATE, false);
    assert!(without.len() < looks.len(), "the track has gone: a mark without a card knows the clicked crop only");
}

/// The first click on somebody of no track in `done` who is covered by somebody, having been seen well before; with the card and its offer.
fn poor_click(room: &mut Room<'_>, done: &BTreeSet<TrackId>) -> (Clicked, Arc<Card>, Better) {
    loop {
        room.see_until(room.frames + 1);
        assert!(room.frames < 65, "nobody else is covered");
        let looks = &room.site.shared.looks;
        let seen = room.tracks();
        let boxes: Vec<_> = seen.iter().map(|t| t.rect).collect();
        let frame = room.picture(room.frames - 1);
        let flaw = |t: &Track, usual| vision::why_poor(&frame, t.rect, &boxes, usual);
        let is_covered = |t: &&Track| {
            let well_before = looks.best(room.camera(0), t.id).is_some();
            !done.contains(&t.id) && well_before && flaw(t, None) == Some(Flaw::Covered)
        };
        let Some(track) = seen.iter().find(is_covered) else { continue };
        let click = room.click(track);
        let card = room.open(&click);
        let view = card.view(looks);
        assert_eq!(view.poor.as_deref(), Some(Flaw::Covered.words()));
        let better = view.better.expect("a better instant");
        // Whoever is seen well has no other instant offered.
        let usual = looks.usual_sharpness(room.camera(0));
        let well = seen.iter().find(|t| flaw(t, usual).is_none()).unwrap();
        let view = room.open(&room.click(well)).view(looks);
        assert!(view.poor.is_none() && view.better.is_none(), "{view:?}");
        return (click, card, better);
    }
}

/// Marks somebody of no track in `done` by the better instant that a poor click offers, and again by a click at that instant. The track, and whom
/// both found.
fn mark_by_a_better_instant(footage: &[Analysed], done: &BTreeSet<TrackId>) -> (TrackId, BTreeSet<u64>) {
    let mut room = Room::new(footage);
    let (click, card, better) = poor_click(&mut room, done);
    let clicked_at = room.frames;
    assert!(better.at < click.frame.captured_at() && better.frame.is_part(), "{better:?}");
    let clicked = click.track;
    let taken = Clicked { frame: better.frame.clone(), rect: better.rect, ..click };
    // The offer stays while the card is open, also when the track is forgotten.
    room.site.shared.looks.forget(better.at.plus(Duration::from_secs(600)));
    assert!(card.view(&room.site.shared.looks).better.is_some());
    let looks = room.mark(taken, Some(&card));
    let first = room.sightings().remove(0);
    let place = better.frame.in_whole(better.rect);
    assert_eq!((first.track, first.rect, &first.decision), (clicked, place, &Decision::Origin));
    assert!(first.entered_at <= better.at && first.last_seen_at >= better.at, "{first:?}");
    room.see_until(END);

    let number = (better.at.seconds_since(room.started) / FRAME.as_secs_f64()).round() as usize - 1;
    let mut good = Room::new(footage);
    good.see_until(number + 1);
    let track = good.tracks().into_iter().find(|t| t.id == clicked).unwrap();
    assert!(track.rect.iou(&place) > 0.99, "{:?} {place:?}", track.rect);
    let click = good.click(&track);
    good.see_until(clicked_at);
    let as_good = good.mark(click, None);
    good.see_until(END);
    let alike = |a: &Descriptor, b: &Descriptor| a.similarity(b).unwrap() > 0.999;
    let same = looks.len() == as_good.len() && looks.iter().zip(&as_good).all(|(a, b)| alike(a, b));
    assert!(same, "{} and {} looks", looks.len(), as_good.len());
    assert_eq!(room.found(), good.found());
    (track.id, room.found())
}

#[test]
fn a_poor_click_offers_a_better_instant_of_the_track_by_which_a_mark_follows_as_by_a_good_click() {
    gstreamer::init().unwrap();
    let (footage, mut done) = (footage(END), BTreeSet::new());
    // Not everybody comes through the hall in that time.
    while done.len() < 4 {
        let (track, found) = mark_by_a_better_instant(&footage, &done);
        if !found.is_empty() {
            return;
        }
        done.insert(track);
    }
    panic!("nobody was found by either mark");
}

/// Searches for somebody who was clicked, when the stay is over, marks whom the search found, and tells whom the hall saw then; beside it the
/// same for who clicked on that person and marked at the same time.
fn mark_from_a_search(footage: &[Analysed], track: TrackId) -> [BTreeSet<u64>; 2] {
    let mut room = Room::new(footage);
    room.see_until(CLICK + 1);
    let of = |room: &Room<'_>| room.tracks().into_iter().find(|t| t.id == track).unwrap();
    let Clicked { camera, track, frame, rect } = room.click(&of(&room));
    while room.tracks().iter().any(|t| t.id == track) {
        room.see_until(room.frames + 1);
    }
    room.see_until(room.frames + 60); // a track that is out of view ends later, and what is recorded waits a second
    let (marked_at, (user, shared)) = (room.frames, (room.user(), Arc::clone(&room.site.shared)));
    shared.board.lock().enter(Access::LoggedIn(user.clone()), room.clock.now());
    let who = FindWho::Person { camera, track, frame, rect };
    let (cameras, until) = (Some(vec![camera]), room.clock.now());
    shared.runtime.block_on(async {
        assert!(shared.records.delivery.flush().await);
        shared.find(&user, FindCommand::Start { who, cameras, from: room.started, until }, None).await;
    });
    let hits = room.site.state().find.unwrap().hits.clone();
    let is_it = |hit: &&HitView| hit.person.as_ref().is_some_and(|person| person.track == track.recorded());
    let hit = hits.iter().find(is_it).expect("the stay with its picture is in the stores");
    let best = hit.person.clone().unwrap();
    assert_eq!(best.camera, camera);
    let at = best.frame.captured_at();
    assert!(at >= hit.starts_at && at <= hit.ends_at, "{at} {hit:?}");
    let card = room.open(&best);
    let looks = room.mark(best.clone(), Some(&card));
    let origin: Vec<_> = room.sightings().into_iter().filter(|s| s.decision == Decision::Origin).collect();
    let [first] = &origin[..] else { panic!("{origin:?}") };
    assert_eq!((first.track, first.entered_at, first.last_seen_at), (track, hit.starts_at, hit.ends_at));
    assert!(first.rect.iou(&best.frame.in_whole(best.rect)) > 0.99, "{first:?}");
    shared.runtime.block_on(async {
        assert!(shared.records.delivery.flush().await);
        let marks = LogFilter { action: Some(Action::SelectSuspect), ..LogFilter::default() };
        let entries = shared.records.stores.actions.page(&marks, None, 9).await.unwrap();
        assert_eq!(entries[0].details["at"], at.to_string());
    });
    room.see_until(LONG);

    let mut good = Room::new(footage);
    good.see_until(CLICK + 1);
    let click = good.click(&of(&good));
    let card = good.open(&click);
    good.see_until(marked_at);
    let as_clicked = good.mark(click, Some(&card));
    good.see_until(LONG);
    assert!(looks.len() > 1 && as_clicked.len() > 1, "{} {}", looks.len(), as_clicked.len());
    // Live, from the mark on: the search of the past takes its time.
    [&room, &good].map(|room| room.found_since(room.started.plus(FRAME * u32::try_from(marked_at).unwrap())))
}

#[test]
fn whoever_a_search_found_is_followed_at_least_as_well_as_one_who_was_clicked() {
    gstreamer::init().unwrap();
    let footage = footage(LONG);
    let mut room = Room::new(&footage);
    room.see_until(CLICK + 1);
    let looks = |t: &Track| room.site.shared.follower().appearance_of(room.camera(0), t.id).len();
    let mut well = room.tracks();
    well.retain(|t| t.rect.h > 60.0 && t.score > 0.6 && looks(t) > 1);
    well.sort_by(|a, b| b.rect.h.total_cmp(&a.rect.h));
    room.see_until(GONE);
    let there = room.tracks();
    well.retain(|t| there.iter().all(|other| other.id != t.id)); // whose stay is over while the hall still sees them
    drop(room);
    let all: Vec<_> = well.iter().take(3).map(|t| (t.id, mark_from_a_search(&footage, t.id))).collect();
    // The hall sees the gate's pictures, so everybody has the same number there. A stay has more looks than were seen up to the click.
    let rightly = |track: &TrackId, hit: &BTreeSet<u64>| hit.iter().all(|found| *found == track.0);
    assert!(all.iter().all(|(track, [hit, click])| hit.is_superset(click) && rightly(track, hit)), "{all:?}");
    assert!(all.iter().any(|(_, [hit, _])| !hit.is_empty()), "{all:?}");
}
