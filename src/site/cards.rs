//! Whoever was clicked, kept from the click on: a person is gone from view long before the operator has typed a reason. What was seen of the
//! track up to the click is pinned at once, so that a mark minutes later is a mark of whoever was clicked.
use super::{Access, CardView, Clicked, Command, Shared, board::Contents};
use crate::{
    model::{CameraId, Descriptor, Rect, Timestamp, TrackId, Tracklet},
    vision,
};
use std::sync::Arc;
use tokio::sync::OnceCell;

/// The card that is open, with what is kept of the person on it once the site has looked.
pub(super) struct Card {
    clicked: Clicked,
    pinned: OnceCell<Pinned>,
}

/// What was seen of whoever was clicked.
pub(super) struct Pinned {
    /// Of the clicked box; empty where the picture is too small to say anything.
    clicked: Vec<Descriptor>,
    /// Of the track, up to the click.
    track: Vec<Descriptor>,
    /// The stay on a recording that the box belongs to.
    stay: Option<Tracklet>,
    /// Why the clicked picture is a bad one to look for somebody by.
    flaw: Option<&'static str>,
}

impl Pinned {
    /// How many looks a suspect would be compared by.
    fn looks(&self) -> usize {
        self.clicked.len() + self.of_track().count()
    }

    fn of_track(&self) -> impl Iterator<Item = &Descriptor> {
        self.track.iter().chain(self.stay.iter().flat_map(|stay| &stay.gallery))
    }

    /// All looks, `first` at their head: a gallery never loses its first.
    fn headed_by(&self, first: Vec<Descriptor>) -> Vec<Descriptor> {
        first.into_iter().chain(self.of_track().cloned()).collect()
    }
}

impl Card {
    fn is_of(&self, camera: CameraId, track: TrackId) -> bool {
        (self.clicked.camera, self.clicked.track) == (camera, track)
    }

    /// What the screen may know of it.
    pub fn view(&self) -> CardView {
        let Clicked { camera, track, frame, .. } = &self.clicked;
        CardView {
            camera: *camera,
            track: *track,
            at: frame.captured_at(),
            looks: self.pinned.get().map(Pinned::looks),
            poor: self.pinned.get().and_then(|pinned| pinned.flaw).map(str::to_owned),
            better: None,
        }
    }
}

/// Which card is open counts when a command is given, not when its turn comes.
pub(super) fn turn(shared: &Arc<Shared>, board: &mut Contents, command: &Command) -> bool {
    match command {
        Command::OpenCard(clicked) => {
            board.card = None;
            if board.rights.allow(clicked.camera) {
                let card = Arc::new(Card { clicked: clicked.clone(), pinned: OnceCell::new() });
                board.card = Some(Arc::clone(&card));
                let kept = Arc::clone(shared);
                // Commands that were given before may take long: what is pinned is what there is now.
                shared.runtime.spawn(async move {
                    kept.pinned(&card).await;
                });
            }
            true
        }
        Command::CloseCard => {
            board.card = None;
            true
        }
        _ => false,
    }
}

impl Contents {
    /// What the screen shows of the card that is open.
    pub(super) fn card_view(&self) -> Option<CardView> {
        let card = self.card.as_ref().filter(|_| matches!(self.access, Access::LoggedIn(_)))?;
        Some(card.view()).filter(|view| self.rights.allow(view.camera))
    }
}

impl Shared {
    /// What is kept of the person on a card; looked for where that has not been done yet.
    async fn pinned<'a>(&self, card: &'a Card) -> &'a Pinned {
        card.pinned.get_or_init(|| self.pin(&card.clicked)).await
    }

    async fn pin(&self, clicked: &Clicked) -> Pinned {
        let Clicked { camera, track, frame, rect } = clicked;
        // First what is there only while the track is.
        let seen = self.follower().appearance_of(*camera, *track);
        let stay = self.recorded_stay(*camera, *track, frame.captured_at()).await;
        let flaw = vision::why_poor(frame, *rect, &self.everybody_on(*camera, frame.captured_at()));
        Pinned { clicked: self.describe(frame, *rect).await, track: seen, stay, flaw }
    }

    /// The boxes of everybody who is known to be on the picture that a camera took then; of one of long ago none.
    fn everybody_on(&self, camera: CameraId, at: Timestamp) -> Vec<Rect> {
        let path = self.cameras.paths().iter().find(|path| path.camera.id == camera).cloned();
        let tracks = path.and_then(|path| path.seen.get()).map(|seen| seen.tracks);
        tracks.iter().flat_map(|tracks| tracks.iter()).filter_map(|view| view.track.rect_at(at)).collect()
    }

    /// How the person in a box looks, the crop of that box first, and the stay on a recording that the box belongs to. Where the card of this very
    /// track is open, it is what was pinned when it was clicked.
    pub(super) async fn looks_of(&self, shown: &Clicked, card: Option<&Card>) -> (Vec<Descriptor>, Option<Tracklet>) {
        let found;
        let (pinned, clicked) = match card.filter(|card| card.is_of(shown.camera, shown.track)) {
            Some(card) => (self.pinned(card).await, &card.clicked),
            None => {
                found = self.pin(shown).await;
                (&found, shown)
            }
        };
        // A better picture of the same person was taken: then the clicked one is a poor one.
        let is_clicked = clicked.frame.captured_at() == shown.frame.captured_at() && clicked.rect == shown.rect;
        let first = if is_clicked { pinned.clicked.clone() } else { self.describe(&shown.frame, shown.rect).await };
        (pinned.headed_by(first), pinned.stay.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CameraConfig, Site, SiteConfig, analysis::Analysis};
    use super::*;
    use crate::{
        cli::prerequisites,
        model::{Clock as _, ManualClock, SystemClock, Timestamp, User},
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

    /// What a detector and an appearance model say of real footage, five frames a second.
    fn footage() -> Vec<Analysed> {
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
            if all.len() < END { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
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

    /// The looks a suspect was marked with, and the tracks of the hall that it was probably on.
    fn run(footage: &[Analysed], mark_at: usize, pins: bool) -> (Vec<Descriptor>, BTreeSet<u64>) {
        let data = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let camera = |name: &str| CameraConfig { active: false, ..CameraConfig::new(name, "test:") };
        let config = SiteConfig { cameras: vec![camera("Gate"), camera("Hall")], ..SiteConfig::default() };
        let site = Site::open(config, data.path(), &prerequisites::models_dir(None), clock.clone()).unwrap();
        let shared = &site.shared;
        let [gate, hall] = [0, 1].map(|i| shared.cameras.paths()[i].camera.id);
        let mut analysis = Analysis::new(Arc::clone(shared));
        let (mut card, mut clicked, mut looks) = (None, None, Vec::new());
        for (i, seen) in footage.iter().enumerate() {
            clock.advance(FRAME);
            let late = i.checked_sub(LATER).and_then(|i| footage.get(i)).map(|seen| (hall, seen));
            for (camera, seen) in [(gate, seen)].into_iter().chain(late) {
                let (detections, descriptors) = (seen.detections.clone(), seen.descriptors.clone());
                let frame = dated(&seen.frame, clock.now());
                analysis.take(&Analysed { camera, frame, epoch: 0, detections, descriptors });
            }
            if i == CLICK {
                // Whoever was seen well, and has gone before the late mark.
                let tracks = shared.cameras.paths()[0].seen.get().unwrap().tracks;
                let tall = |t: &&super::super::TrackView| {
                    t.track.rect.h > 60.0
                        && t.track.score > 0.6
                        && shared.follower().appearance_of(gate, t.track.id).len() > 1
                };
                let tallest = tracks.iter().filter(tall).max_by(|a, b| a.track.rect.h.total_cmp(&b.track.rect.h));
                let track = tallest.unwrap().track.clone();
                let frame = dated(&seen.frame, clock.now());
                let click = Clicked { camera: gate, track: track.id, frame, rect: track.rect };
                clicked = Some(click.clone());
                if pins {
                    assert!(turn(shared, &mut shared.board.lock(), &Command::OpenCard(click)));
                    card = shared.board.lock().card.clone();
                    shared.runtime.block_on(async { assert!(shared.pinned(card.as_ref().unwrap()).await.looks() > 1) });
                }
            }
            if i == mark_at {
                let user = User {
                    cc: "1".to_owned(),
                    name: "Ana".to_owned(),
                    email: String::new(),
                    is_admin: false,
                    active: true,
                    version: 1,
                };
                let is_there = shared.cameras.paths()[0].seen.get().unwrap().tracks;
                let is_there = is_there.iter().any(|t| clicked.as_ref().is_some_and(|c| c.track == t.track.id));
                assert_eq!(is_there, i == CLICK, "at the late mark the track is gone");
                let (click, hours) = (clicked.take().unwrap(), Duration::from_secs(3600));
                shared.runtime.block_on(shared.select_suspect(&user, click, card.as_deref(), "theft", hours));
                looks = shared.board.lock().suspects[0].suspect.gallery.clone();
            }
        }
        let sightings = shared.board.lock().sightings();
        let likely = sightings.iter().map(|v| &v.sighting).filter(|s| s.camera == hall && s.probability >= 0.6);
        (looks, likely.map(|s| s.track.0).collect())
    }

    #[test]
    fn a_mark_half_a_minute_after_the_click_follows_like_one_made_at_once() {
        gstreamer::init().unwrap();
        let footage = footage();
        let (looks, found) = run(&footage, CLICK, true);
        assert!(looks.len() > 1 && !found.is_empty(), "{} looks, {found:?}", looks.len());
        let (later, found_later) = run(&footage, CLICK + LATE, true);
        assert!(later == looks, "{} and {} looks", later.len(), looks.len());
        assert_eq!(found_later, found);
        let (without, _) = run(&footage, CLICK + LATE, false);
        assert!(without.len() < looks.len(), "the track has gone: a mark without a card knows the clicked crop only");
    }
}
