//! From an analysed frame to tracks, follow events and tracklets: what the live cameras and the jobs over recordings have in common.
use super::tracklets::Tracklets;
use crate::{
    follow::{Event, Follower, Observed, WeaponConfig, WeaponSeen, Weapons, stands_in_view},
    model::{CameraId, Class, Descriptor, Detection, MatchView, Timestamp, Track, TrackId},
    sync::Record,
    tracking::{Observation, Tracker, TrackerConfig},
    vision::{Analysed, Look},
};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// A camera without a frame for so long, seconds, has lost whoever was in view.
const GONE_SECONDS: f64 = 10.0;

/// Watches one camera, or one recording.
pub(super) struct Observer {
    camera: CameraId,
    /// Of the pictures, pixels.
    size: (f32, f32),
    tracker: Tracker,
    known: BTreeSet<TrackId>,
    tracklets: Tracklets,
    /// Whether tracklets are recorded.
    kept: bool,
    weapons: Weapons,
}

/// Watches all live cameras.
pub(super) struct Observers {
    weapons: WeaponConfig,
    /// The cameras of which another console keeps the records.
    of_others: BTreeSet<CameraId>,
    cameras: BTreeMap<CameraId, PerCamera>,
}

/// No connection has this number.
const NO_EPOCH: u64 = u64::MAX;

struct PerCamera {
    observer: Observer,
    epoch: u64,
    /// When its last frame came.
    looked_at: Timestamp,
}

impl Observers {
    /// Nobody has been seen yet.
    pub fn new(weapons: WeaponConfig) -> Self {
        Self { weapons, of_others: BTreeSet::new(), cameras: BTreeMap::new() }
    }

    /// Says whether this console keeps the records of a camera from its next frame on. Whoever is in view when that begins has come
    /// then, and has left when it ends: returns the records of those.
    pub fn keep(&mut self, camera: CameraId, kept: bool) -> Vec<Record> {
        let changed = if kept { self.of_others.remove(&camera) } else { self.of_others.insert(camera) };
        let Some(per) = self.cameras.get_mut(&camera).filter(|_| changed) else { return Vec::new() };
        per.observer.kept = kept;
        per.observer.finish()
    }

    /// What is known of a camera's tracks is not to be relied on: they end, and others begin with the next frame.
    pub fn doubt(&mut self, camera: CameraId) {
        if let Some(per) = self.cameras.get_mut(&camera) {
            per.epoch = NO_EPOCH;
        }
    }

    /// Takes one frame of one camera. The records may be of other cameras, which have sent nothing for long.
    pub fn take(&mut self, analysed: &Analysed, follower: &mut Follower) -> Observations {
        let frame = &analysed.frame;
        let at = frame.captured_at();
        let mut tracklets = Vec::new();
        for other in self.cameras.values_mut().filter(|c| at.seconds_since(c.looked_at).abs() > GONE_SECONDS) {
            tracklets.extend(other.observer.finish()); // whoever was in view is taken to have left
        }
        let size = (frame.width() as f32, frame.height() as f32);
        let kept = !self.of_others.contains(&analysed.camera);
        let per = self.cameras.entry(analysed.camera).or_insert_with(|| PerCamera {
            observer: Observer { kept, ..Observer::new(analysed.camera, None, size, self.weapons) },
            epoch: analysed.epoch,
            looked_at: at,
        });
        let (mut ended, mut events) = (Vec::new(), Vec::new());
        if per.epoch != analysed.epoch {
            // Another connection: whoever is in view now need not be who was. Tracks end here.
            per.epoch = analysed.epoch;
            let (tracks, left, records) = per.observer.restart(size, follower);
            (ended, events) = (tracks, left);
            tracklets.extend(records);
        }
        per.looked_at = at;
        let seen = per.observer.observe(analysed, follower);
        ended.extend(&seen.ended);
        events.extend(seen.events);
        tracklets.extend(seen.tracklets);
        Observations { ended, events, tracklets, ..seen }
    }

    /// What a frame of a camera told of a weapon could not be recorded: it will be told again.
    pub fn untell(&mut self, camera: CameraId, weapon: &WeaponSeen) {
        if let Some(per) = self.cameras.get_mut(&camera) {
            per.observer.untell(weapon);
        }
    }

    /// The records of tracklets of everybody in view, taken to have left.
    pub fn finish(&mut self) -> Vec<Record> {
        self.cameras.values_mut().flat_map(|per| per.observer.finish()).collect()
    }
}

/// What one frame brought.
pub(super) struct Observations {
    /// The tracks of the frame.
    pub tracks: Vec<Track>,
    /// How well each of those measured on it is seen.
    pub looks: BTreeMap<TrackId, Look>,
    /// How sharp crops of this camera usually are.
    pub usual_sharpness: Option<f32>,
    /// Those that ended.
    pub ended: Vec<TrackId>,
    /// What changed about suspects.
    pub events: Vec<Event>,
    /// Whom tracks are taken for.
    pub matches: BTreeMap<TrackId, MatchView>,
    /// Records of tracklets.
    pub tracklets: Vec<Record>,
    /// Weapons that are new, or newly in somebody's hands.
    pub weapons: Vec<WeaponSeen>,
    /// All weapons that are on the frame, new ones or not.
    pub armed: Vec<Detection>,
    /// People confirmed for the first time.
    pub new_tracks: u64,
}

impl Observer {
    /// Has seen nobody yet; `size` is that of the frames, pixels. `upload` is the video's, for one that came as a file.
    pub fn new(camera: CameraId, upload: Option<Uuid>, size: (f32, f32), weapons: WeaponConfig) -> Self {
        Self {
            camera,
            size,
            tracker: Tracker::new(TrackerConfig { frame: Some(size), ..TrackerConfig::nanodet() }),
            known: BTreeSet::new(),
            tracklets: Tracklets::new(camera, upload),
            kept: true,
            weapons: Weapons::new(weapons),
        }
    }

    /// Whoever is in view from now on need not be who was: all tracks end. Returns them, with what follows for suspects and
    /// the records of their tracklets.
    pub fn restart(&mut self, size: (f32, f32), follower: &mut Follower) -> (Vec<TrackId>, Vec<Event>, Vec<Record>) {
        let ended = self.tracker.reset();
        let events = ended.iter().flat_map(|id| follower.track_ended(self.camera, *id)).collect();
        self.known.clear();
        self.weapons.reset();
        self.tracker.set_frame(size);
        self.size = size;
        (ended, events, self.tracklets.finish())
    }

    /// The records of tracklets of whoever is in view, taken to have left.
    pub fn finish(&mut self) -> Vec<Record> {
        self.tracklets.finish()
    }

    /// What a frame told of a weapon could not be recorded: it will be told again.
    pub fn untell(&mut self, weapon: &WeaponSeen) {
        self.weapons.untell(weapon);
    }

    /// Takes one frame.
    pub fn observe(&mut self, analysed: &Analysed, follower: &mut Follower) -> Observations {
        let (frame, at) = (&analysed.frame, analysed.frame.captured_at());
        let size = (frame.width() as f32, frame.height() as f32);
        let (mut ended, mut events, mut tracklets) = (Vec::new(), Vec::new(), Vec::new());
        if self.size != size {
            // A camera, or a file, that goes over to another size: where somebody was says nothing of where they are.
            (ended, events, tracklets) = self.restart(size, follower);
        }
        let persons: Vec<(&_, Option<&Descriptor>)> = analysed
            .detections
            .iter()
            .zip(&analysed.descriptors)
            .filter(|(d, _)| d.class == Class::Person)
            .map(|(d, a)| (d, a.as_ref()))
            .collect();
        let observations: Vec<Observation<'_>> = persons
            .iter()
            .map(|(d, descriptor)| Observation { rect: d.rect, score: d.score, descriptor: *descriptor })
            .collect();
        let step = self.tracker.step(at, &observations);
        for id in &step.ended {
            self.known.remove(id);
            tracklets.extend(self.tracklets.end(*id));
            events.extend(follower.track_ended(self.camera, *id));
        }
        let appearance: BTreeMap<TrackId, &Descriptor> = step
            .matched
            .iter()
            .zip(&persons)
            .filter_map(|(id, (_, descriptor))| Some(((*id)?, (*descriptor)?)))
            .collect();
        let looks = self.tracklets.looks(frame, &step.tracks);
        // Only what is seen well may be compared or enter a gallery.
        let seen_well = |id: &TrackId| looks.get(id).is_some_and(|look| look.good);
        let observed: Vec<Observed<'_>> = step
            .tracks
            .iter()
            .map(|track| Observed {
                track,
                descriptor: appearance.get(&track.id).copied().filter(|_| seen_well(&track.id)),
                stands: stands_in_view(&track.rect, size),
            })
            .collect();
        events.extend(follower.observe(self.camera, at, &observed));
        let matches = follower.matches(self.camera);
        if self.kept {
            tracklets.extend(self.tracklets.observe(frame, &step.tracks, &looks, &appearance, &matches));
        }
        let new_tracks = step.tracks.iter().filter(|t| self.known.insert(t.id)).count() as u64;
        let people: Vec<_> = step.tracks.iter().map(|t| (t.id, t.rect)).collect();
        let weapons = self.weapons.step(at, &analysed.detections, &people);
        let armed = self.weapons.standing(at).collect();
        Observations {
            tracks: step.tracks,
            looks,
            usual_sharpness: self.tracklets.usual_sharpness(),
            ended: ended.into_iter().chain(step.ended).collect(),
            events,
            matches,
            tracklets,
            weapons,
            armed,
            new_tracks,
        }
    }
}
