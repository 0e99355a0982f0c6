//! Compares the tracks of every camera with every suspect and keeps the sightings.
use super::{
    Calibration, Curves, Gallery,
    ground::{Grounds, Surveyor},
    homography::Foot,
    joint::{Candidate, assign_jointly},
    topology::{Stop, Topology, Travel},
};
use crate::model::{
    CameraId, Decision, Descriptor, MatchView, Rect, Sighting, SightingId, Suspect, SuspectId, Timestamp, Track,
    TrackId,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, VecDeque, btree_map::Entry};

/// When a match is shown, and how much of an appearance is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FollowConfig {
    /// From this probability on the operator is alerted to a possible match.
    pub alert: f32,
    /// From this probability on somebody seen now or in the past is listed to decide on, without an alert; below it is passed over.
    pub list: f32,
    /// How far back a fresh suspect is searched for, hours; 0 turns it off.
    pub search_back_hours: f64,
    /// How many crops of a track, a fifth of a second apart or more, must have been seen well before it may be a match.
    pub least_crops: u32,
    /// Vectors kept for each suspect.
    pub gallery: usize,
    /// Vectors kept for each track.
    pub track_gallery: usize,
    /// Whether a site learns where places of one view are in others that overlap it, and counts who stands where as evidence.
    pub places: bool,
    /// Whether suspects are looked for in the live picture at all. A site whose law forbids it turns this off; tracking within
    /// each camera and review go on.
    pub live_follow: bool,
}

impl Default for FollowConfig {
    fn default() -> Self {
        Self {
            alert: 0.6,
            list: 0.3,
            search_back_hours: 24.0,
            least_crops: 5,
            gallery: 12,
            track_gallery: 6,
            places: true,
            live_follow: true,
        }
    }
}

/// One track as a camera sees it now.
pub struct Observed<'a> {
    /// The track, at its newest step.
    pub track: &'a Track,
    /// Its appearance on this frame, when there was a good crop.
    pub descriptor: Option<&'a Descriptor>,
    /// Whether it is wholly in the picture, so that it is known where it stands.
    pub stands: bool,
}

/// What changed; each is a record to keep.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A possible match appeared and is to be listed. The crop at the track's box is to be stored under its `crop_url`.
    Opened(Sighting),
    /// A possible match became, or is from the beginning, so probable that the operator is to be alerted; once a stay.
    Alert(Sighting),
    /// A sighting went on, ended, or was decided.
    Changed(Sighting),
    /// A suspect's gallery grew or was cleaned.
    Gallery(Suspect),
}

/// Between two records of a sighting that merely goes on.
const RECORD_EVERY_SECONDS: f64 = 5.0;
/// Looks that count are so far apart, seconds, while a track is new, and later: pictures that follow each other closely err alike.
const FIRST_LOOKS_EVERY_SECONDS: f64 = 0.18;
const LOOK_EVERY_SECONDS: f64 = 0.5;
/// A track's likeness is that of about so many looks, the newest ones.
const LOOKS_WEIGHED: f32 = 8.0;
/// Log-odds for a suspect after n looks count n/(n + this).
const DOUBT: f32 = 0.3;
/// Log-odds by which it is less probable that somebody who once stood beside the suspect came than that the suspect did.
const BYSTANDER: f64 = -1.0;
/// A track not measured for longer, seconds, is not in view now.
const PRESENT_SECONDS: f64 = 1.0;
/// Pairs whose log-odds are so much below those of the list are neither matches nor rivals.
const FLOOR: f64 = -2.0;
/// Whom a track is less like (log-odds) it is compared with on every fourth look only.
const UNLIKE: f64 = -4.0;
const UNLIKE_EVERY: u32 = 4;
/// Log-odds by which a match that is open already is favoured, so that it does not come and go.
const KEEP: f64 = 1.0;
/// How often whoever is in view beside a suspect is looked at, seconds, and how many of them are remembered, those most like it.
const BYSTANDERS_EVERY_SECONDS: f64 = 1.0;
const BYSTANDERS: usize = 24;
/// Boxes that overlap more (IoU) may be of one person.
const ONE_PERSON: f32 = 0.3;
/// Looks of ended sightings that are kept for a late decision.
const LOOKS: usize = 256;
/// Places are compared so often, seconds, in views that overlap, and within so many seconds of each other.
const PLACE_EVERY_SECONDS: f64 = 0.35;
const SAME_TIME_SECONDS: f64 = 0.6;
/// What one comparison adds, of its evidence: errors of neighbouring ones are alike; what remains of the sum with each more; the most that it says.
const PLACE_WEIGHT: f64 = 0.5;
const PLACE_KEEPS: f64 = 0.9;
const MOST_BY_PLACE: f64 = 6.0;
/// From this evidence on a track is a match without having been seen well.
const PLACE_ALONE: f64 = 3.0;
/// Log-odds that a track of which no look is known is a suspect: one in eight.
const NO_LOOK: f64 = -1.95;
/// Rejected looks kept for each suspect.
const STRANGERS: usize = 16;
/// Only boxes the detector is sure of teach a gallery.
const TEACHING_SCORE: f32 = 0.5;
/// Decisions of each suspect that can be taken back whole.
const LESSONS: usize = 64;
/// Follows that were ended and can go on as if they had not been.
const ENDED: usize = 16;

/// What a decision changed, to be taken back.
#[derive(Clone)]
struct Lesson {
    sighting: SightingId,
    /// The gallery without it.
    gallery: Gallery,
    /// What it brought in.
    taught: Vec<Descriptor>,
    /// Where the suspect was for certain last, without it.
    last: Option<Stop>,
    /// What the track looked like as somebody who stood beside the suspect.
    bystander: Option<Gallery>,
    /// Whether the stay went on.
    was_open: bool,
}

impl Lesson {
    /// `gallery` without what this decision did to it.
    fn taken_from(&self, gallery: &Gallery, limit: usize) -> Gallery {
        let mut without = self.gallery.clone();
        for look in gallery.vectors() {
            if !self.gallery.vectors().contains(look) && !self.taught.contains(look) {
                without.add(look, limit);
            }
        }
        without
    }
}

struct Followed {
    suspect: Suspect,
    gallery: Gallery,
    /// The looks of matches that an operator said are somebody else.
    strangers: Vec<(SightingId, Gallery)>,
    /// Who was in view beside the suspect, and is therefore somebody else.
    bystanders: BTreeMap<Key, Gallery>,
    bystanders_at: Timestamp,
    /// Where the suspect was for certain last, by the end of the stay.
    last: Option<Stop>,
    /// What the decisions on its matches changed.
    lessons: VecDeque<Lesson>,
}

impl Followed {
    fn new(suspect: Suspect) -> Self {
        let gallery = Gallery::new(suspect.gallery.clone());
        let bystanders_at = Timestamp(i64::MIN / 2);
        Self {
            suspect,
            gallery,
            strangers: Vec::new(),
            bystanders: BTreeMap::new(),
            bystanders_at,
            last: None,
            lessons: VecDeque::new(),
        }
    }

    /// Everybody who is known to be somebody else, with the log-odds that it was they who came, where they look no less alike.
    fn others(&self) -> impl Iterator<Item = (&Gallery, f64)> {
        let strangers = self.strangers.iter().map(|(_, look)| (look, 0.0));
        strangers.chain(self.bystanders.values().map(|look| (look, BYSTANDER)))
    }

    /// Notes how things are before the first decision on a match.
    fn before(&mut self, sighting: &Sighting, was_open: bool) {
        if self.lessons.iter().any(|lesson| lesson.sighting == sighting.id) {
            return;
        }
        self.lessons.push_back(Lesson {
            sighting: sighting.id,
            gallery: self.gallery.clone(),
            taught: Vec::new(),
            last: self.last,
            bystander: self.bystanders.get(&(sighting.camera, sighting.track)).cloned(),
            was_open,
        });
        if self.lessons.len() > LESSONS {
            self.lessons.pop_front();
        }
    }

    /// Notes what a decision brought into the gallery.
    fn taught(&mut self, sighting: SightingId, look: &Descriptor) {
        if let Some(lesson) = self.lessons.iter_mut().find(|lesson| lesson.sighting == sighting) {
            lesson.taught.retain(|known| self.gallery.vectors().contains(known));
            lesson.taught.push(look.clone());
        }
    }

    /// Forgets what was decided on a match. Of a decision of an earlier run only the looks of a confirmed one are known: they go.
    fn unlearn(&mut self, sighting: &Sighting, look: &Gallery, limit: usize) -> Option<Lesson> {
        self.strangers.retain(|(id, _)| *id != sighting.id);
        let place = self.lessons.iter().position(|lesson| lesson.sighting == sighting.id);
        let Some((place, lesson)) = place.and_then(|place| Some((place, self.lessons.remove(place)?))) else {
            if sighting.decision.is_certain() {
                self.gallery.remove(look);
            }
            return None;
        };
        let is_its = |s: &Stop| s.camera == sighting.camera && s.from == sighting.entered_at;
        let later = self.lessons.iter_mut().skip(place).map(|later| (&mut later.gallery, &mut later.last));
        for (gallery, last) in later.chain([(&mut self.gallery, &mut self.last)]) {
            *gallery = lesson.taken_from(gallery, limit);
            if last.as_ref().is_some_and(is_its) {
                *last = lesson.last;
            }
        }
        if let Some(look) = lesson.bystander.clone() {
            self.bystanders.insert((sighting.camera, sighting.track), look);
        }
        Some(lesson)
    }

    fn stands_beside(&mut self, key: Key, look: &Gallery) {
        self.bystanders.insert(key, look.clone());
        if self.bystanders.len() > BYSTANDERS {
            let like = |g: &Gallery| self.gallery.similarity(g).unwrap_or(-1.0);
            let least = self.bystanders.iter().map(|(key, g)| (like(g), *key)).min_by(|a, b| a.0.total_cmp(&b.0));
            if let Some((_, key)) = least {
                self.bystanders.remove(&key);
            }
        }
    }
}

/// How like a suspect a track's looks were.
#[derive(Clone, Copy)]
struct Likeness {
    mean: f32,
    looks: f32,
}

impl Likeness {
    fn add(&mut self, similarity: f32) {
        self.looks = (self.looks + 1.0).min(LOOKS_WEIGHED);
        self.mean += (similarity - self.mean) / self.looks;
    }
}

/// A track in another view that overlaps.
struct Neighbour {
    /// Where it stands now.
    foot: Option<Foot>,
    whose: Option<SuspectId>,
    not: BTreeSet<SuspectId>,
}

/// What is known of a track and one in another view, of whose person it is known who that is, or that it is not somebody.
struct Link {
    /// The natural logarithm of the odds by which both stand at one place.
    sum: f64,
    at: Timestamp,
    /// Who that is, for certain.
    whose: Option<SuspectId>,
    /// Who that is not.
    not: BTreeSet<SuspectId>,
}

impl Link {
    /// What it says for or against a suspect.
    fn evidence(&self, suspect: SuspectId) -> f64 {
        if self.whose == Some(suspect) {
            self.sum
        } else if self.whose.is_some() || self.not.contains(&suspect) {
            -self.sum.max(0.0)
        } else {
            0.0
        }
    }
}

struct Seen {
    gallery: Gallery,
    crops: u32,
    last_seen: Timestamp,
    first_seen: Timestamp,
    sighting: Option<SightingId>,
    rejected_for: BTreeSet<SuspectId>,
    rect: Rect,
    /// As it was measured last, where it was wholly in view.
    standing: Option<Track>,
    /// With tracks of views that overlap this one.
    links: BTreeMap<Key, Link>,
    /// When a look was compared last.
    compared_at: Timestamp,
    /// With every suspect.
    likeness: BTreeMap<SuspectId, Likeness>,
    /// The suspects that it may be.
    candidates: BTreeSet<SuspectId>,
    /// The suspects whose possible match it was, and whether the operator was alerted.
    offered: BTreeMap<SuspectId, bool>,
}

/// A track of a camera.
type Key = (CameraId, TrackId);

/// The tracks of every camera. Most of what is asked is of one camera, whose tracks have short numbers.
#[derive(Default)]
struct Tracks(BTreeMap<CameraId, BTreeMap<TrackId, Seen>>);

impl Tracks {
    fn get(&self, key: &Key) -> Option<&Seen> {
        self.0.get(&key.0)?.get(&key.1)
    }

    fn get_mut(&mut self, key: &Key) -> Option<&mut Seen> {
        self.0.get_mut(&key.0)?.get_mut(&key.1)
    }

    fn entry(&mut self, key: Key) -> Entry<'_, TrackId, Seen> {
        self.0.entry(key.0).or_default().entry(key.1)
    }

    fn remove(&mut self, key: &Key) -> Option<Seen> {
        self.0.get_mut(&key.0)?.remove(&key.1)
    }

    fn of(&self, camera: CameraId) -> impl Iterator<Item = (TrackId, &Seen)> {
        self.0.get(&camera).into_iter().flatten().map(|(track, seen)| (*track, seen))
    }

    fn values_mut(&mut self) -> impl Iterator<Item = &mut Seen> {
        self.0.values_mut().flat_map(BTreeMap::values_mut)
    }
}

/// All suspects against all tracks.
pub struct Follower {
    config: FollowConfig,
    crop_url: fn(SightingId) -> String,
    suspects: BTreeMap<SuspectId, Followed>,
    tracks: Tracks,
    /// The tracks that each suspect may be, and the log-odds of that by their looks alone.
    possible: BTreeMap<SuspectId, BTreeMap<Key, f64>>,
    sightings: BTreeMap<SightingId, (Sighting, Timestamp)>,
    /// What the tracks of sightings that have ended looked like: people often decide after the exit.
    looks: VecDeque<(SightingId, Gallery)>,
    /// Follows that were ended last, each with the stays that went on then.
    ended: VecDeque<(Followed, Vec<Sighting>)>,
    topology: Topology,
    travel: Travel,
    curves: Curves,
    surveyor: Surveyor,
}

impl Follower {
    /// A follower of nobody. `crop_url` says where the crop of a sighting will be stored.
    pub fn new(config: FollowConfig, crop_url: fn(SightingId) -> String) -> Self {
        Self {
            config,
            crop_url,
            suspects: BTreeMap::new(),
            tracks: Tracks::default(),
            possible: BTreeMap::new(),
            sightings: BTreeMap::new(),
            looks: VecDeque::new(),
            ended: VecDeque::new(),
            topology: Topology::default(),
            travel: Travel::default(),
            curves: Curves::default(),
            surveyor: Surveyor::default(),
        }
    }

    /// Says how probable likeness is at this site; before that the shipped curves are used.
    pub fn set_curves(&mut self, curves: Curves) {
        self.curves = curves;
    }

    /// The curves in use.
    pub fn curves(&self) -> Curves {
        self.curves
    }

    /// Says where places of one view are in others, as it was learned before.
    pub fn set_grounds(&mut self, grounds: Grounds) {
        self.surveyor.set_grounds(grounds);
    }

    /// Where places of one view are in others, as far as it was learned.
    pub fn grounds(&self) -> &Grounds {
        self.surveyor.grounds()
    }

    /// Says how the cameras lie to each other; before that no views overlap and no places are known.
    pub fn set_topology(&mut self, topology: Topology) {
        self.topology = topology;
    }

    /// How the cameras lie to each other, as far as it was said.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Follows a suspect from an earlier run, or one marked on another console.
    pub fn follow(&mut self, suspect: Suspect) {
        self.suspects.insert(suspect.id, Followed::new(suspect));
    }

    /// Follows, learns or ends as another console's version of a suspect says, in which this console's own is merged. What comes of
    /// it are the ends of this console's own sightings.
    pub fn take_over(&mut self, suspect: &Suspect, now: Timestamp) -> Vec<Event> {
        if !suspect.is_followed(now) {
            return self.end(suspect.id);
        }
        match self.suspects.get_mut(&suspect.id) {
            Some(followed) => {
                followed.gallery = Gallery::new(suspect.gallery.clone());
                followed.suspect = suspect.clone();
            }
            None => return self.resume(suspect),
        }
        Vec::new()
    }

    /// An ended follow goes on as if it had not been ended: with the strangers told apart before, and the stays of whoever is still in view.
    /// Where nothing is known of it any more it begins anew.
    pub fn resume(&mut self, suspect: &Suspect) -> Vec<Event> {
        let place = self.ended.iter().position(|(followed, _)| followed.suspect.id == suspect.id);
        let Some((followed, stays)) = place.and_then(|place| self.ended.remove(place)) else {
            self.follow(suspect.clone());
            return Vec::new();
        };
        let gallery = Gallery::new(suspect.gallery.clone());
        self.suspects.insert(suspect.id, Followed { suspect: suspect.clone(), gallery, ..followed });
        stays.into_iter().filter_map(|stay| self.reopen(stay)).collect()
    }

    /// A stay that was closed goes on, where its track is still in view and is nobody else's.
    fn reopen(&mut self, stay: Sighting) -> Option<Event> {
        let seen = self.tracks.get_mut(&(stay.camera, stay.track))?;
        if seen.sighting.is_some() || seen.first_seen > stay.entered_at {
            return None;
        }
        seen.sighting = Some(stay.id);
        let stay = Sighting { left_at: None, ..stay };
        // Recorded again with the next look: of two versions the one that has seen more counts.
        self.sightings.insert(stay.id, (stay.clone(), Timestamp::default()));
        Some(Event::Changed(stay))
    }

    /// Whether the sighting is of a track that this console sees now.
    pub fn sees(&self, sighting: SightingId) -> bool {
        self.sightings.contains_key(&sighting)
    }

    /// The open sightings of one camera.
    pub fn stays(&self, camera: CameraId) -> Vec<Sighting> {
        self.sightings.values().map(|(s, _)| s).filter(|s| s.camera == camera).cloned().collect()
    }

    /// The open sighting `id` is one that another console tells of, too: it goes on here as that one, with what was decided on it.
    pub fn join(&mut self, id: SightingId, other: &Sighting) {
        let Some((mine, recorded)) = self.sightings.remove(&id) else { return };
        let Sighting { track, last_seen_at, left_at, probability, .. } = mine;
        let sighting = Sighting { track, last_seen_at, left_at, probability, ..other.clone() };
        if let Some(seen) = self.tracks.get_mut(&(sighting.camera, track)) {
            seen.sighting = Some(sighting.id);
        }
        if sighting.decision.is_certain() {
            self.is_certainly(&sighting);
        }
        self.sightings.insert(sighting.id, (sighting, recorded));
    }

    /// The appearance seen so far of a track: the first gallery of a suspect marked on it.
    pub fn appearance_of(&self, camera: CameraId, track: TrackId) -> Vec<Descriptor> {
        self.tracks.get(&(camera, track)).map(|t| t.gallery.vectors().to_vec()).unwrap_or_default()
    }

    /// Follows a suspect that was marked on the record of a stay that is over: `origin`, its first sighting.
    pub fn mark_stay(&mut self, suspect: &Suspect, origin: &Sighting) {
        self.follow(suspect.clone());
        self.is_certainly(origin);
    }

    /// Follows a suspect that an operator just marked on `track`: that stay is its first sighting. A possible match of the same
    /// track with another suspect is closed by it. A track that has ended meanwhile gives a sighting that is closed already.
    pub fn mark(&mut self, suspect: &Suspect, track: TrackId, rect: Rect) -> Vec<Event> {
        self.follow(suspect.clone());
        let key = (suspect.camera, track);
        let mut events = Vec::new();
        // Numbers of tracks may begin anew: only one that was in view at the click is the one.
        let was_clicked =
            |seen: &&Seen| seen.first_seen.seconds_since(suspect.marked_at) <= Track::MAX_PREDICTION_SECONDS;
        let (entered_at, last_seen_at, alive) = match self.tracks.get(&key).filter(was_clicked) {
            Some(seen) => (seen.first_seen, seen.last_seen.max(suspect.marked_at), true),
            None => (suspect.marked_at, suspect.marked_at, false),
        };
        let clicked = self.tracks.get_mut(&key).filter(|_| alive);
        if let Some(old) = clicked.and_then(|seen| seen.sighting.take()) {
            events.extend(self.close(old, last_seen_at));
        }
        let id = sighting_id(suspect.id, suspect.camera, track, suspect.marked_at);
        let sighting = Sighting {
            id,
            suspect: suspect.id,
            camera: suspect.camera,
            track,
            entered_at,
            last_seen_at,
            left_at: (!alive).then_some(last_seen_at),
            probability: 1.0,
            decision: Decision::Origin,
            crop_url: suspect.crop_url.clone(),
            rect,
        };
        if let Some(seen) = self.tracks.get_mut(&key).filter(|_| alive) {
            seen.sighting = Some(id);
            self.sightings.insert(id, (sighting.clone(), last_seen_at));
        }
        self.is_certainly(&sighting);
        events.push(Event::Changed(sighting));
        events
    }

    /// Stops following; open sightings are closed.
    pub fn end(&mut self, suspect: SuspectId) -> Vec<Event> {
        let followed = self.suspects.remove(&suspect);
        self.possible.remove(&suspect);
        for seen in self.tracks.values_mut() {
            seen.likeness.remove(&suspect);
            seen.candidates.remove(&suspect);
        }
        let open: Vec<_> =
            self.sightings.values().filter(|(s, _)| s.suspect == suspect).map(|(s, _)| s.clone()).collect();
        if let Some(followed) = followed {
            self.ended.retain(|(other, _)| other.suspect.id != suspect);
            self.ended.push_back((followed, open.clone()));
            if self.ended.len() > ENDED {
                self.ended.pop_front();
            }
        }
        open.into_iter().filter_map(|s| self.close(s.id, s.last_seen_at)).collect()
    }

    /// Stops following whoever has expired at `now`; open sightings are closed.
    pub fn expire(&mut self, now: Timestamp) -> Vec<Event> {
        let expired: Vec<_> =
            self.suspects.values().filter(|f| !f.suspect.is_followed(now)).map(|f| f.suspect.id).collect();
        expired.into_iter().flat_map(|suspect| self.end(suspect)).collect()
    }

    /// A camera is gone: all its tracks end, and with them their sightings.
    pub fn camera_lost(&mut self, camera: CameraId) -> Vec<Event> {
        self.surveyor.camera_lost(camera);
        let tracks: Vec<_> = self.tracks.of(camera).map(|(track, _)| track).collect();
        tracks.into_iter().flat_map(|track| self.track_ended(camera, track)).collect()
    }

    /// The clock was set by so many microseconds and shows `now`: what is remembered by its instant moves along, so that nothing waits
    /// until the clock is what it was, and nobody seems to have come from a time that has not been.
    pub fn clock_set(&mut self, by: i64, now: Timestamp) {
        let moved = |at: Timestamp| Timestamp(at.0.saturating_add(by)).min(now);
        for followed in self.suspects.values_mut().chain(self.ended.iter_mut().map(|(followed, _)| followed)) {
            followed.bystanders_at = moved(followed.bystanders_at);
            if let Some(last) = &mut followed.last {
                last.until = moved(last.until);
            }
        }
        for seen in self.tracks.values_mut() {
            seen.compared_at = moved(seen.compared_at);
            for link in seen.links.values_mut() {
                link.at = moved(link.at);
            }
        }
        for (_, recorded) in self.sightings.values_mut() {
            *recorded = moved(*recorded);
        }
        self.surveyor.clock_set();
    }

    /// What camera `camera` sees at `at`: all its live tracks.
    pub fn observe(&mut self, camera: CameraId, at: Timestamp, observed: &[Observed<'_>]) -> Vec<Event> {
        let mut events = self.expire(at);
        let mut looks = Vec::new();
        for o in observed {
            let measured = o.track.measured_at == o.track.at;
            let seen = self.tracks.entry((camera, o.track.id)).or_insert_with(|| Seen {
                gallery: Gallery::default(),
                crops: 0,
                last_seen: o.track.at,
                first_seen: o.track.first_seen,
                sighting: None,
                rejected_for: BTreeSet::new(),
                rect: o.track.rect,
                standing: None,
                links: BTreeMap::new(),
                compared_at: Timestamp(i64::MIN / 2),
                likeness: BTreeMap::new(),
                candidates: BTreeSet::new(),
                offered: BTreeMap::new(),
            });
            if measured {
                seen.last_seen = at;
                seen.rect = o.track.rect;
                seen.standing = o.stands.then(|| o.track.clone());
                if let Some(descriptor) = o.descriptor {
                    seen.gallery.add(descriptor, self.config.track_gallery);
                    let first = seen.crops < self.config.least_crops;
                    let apart = if first { FIRST_LOOKS_EVERY_SECONDS } else { LOOK_EVERY_SECONDS };
                    if at.seconds_since(seen.compared_at) >= apart {
                        seen.compared_at = at;
                        seen.crops += 1;
                        looks.push((o.track.id, descriptor));
                    }
                }
            }
        }
        if self.config.live_follow {
            self.compare_looks(camera, &looks);
            self.compare_places(camera, at, observed);
            self.note_bystanders(camera, at, observed);
            self.assign(camera, at, observed, &mut events);
        }
        for o in observed.iter().filter(|o| o.track.measured_at == o.track.at) {
            self.go_on(camera, at, o, &mut events);
        }
        events
    }

    /// One more look at each of these tracks: how like every suspect they are, and who they may be therefore.
    fn compare_looks(&mut self, camera: CameraId, looks: &[(TrackId, &Descriptor)]) {
        let Some(tracks) = self.tracks.0.get_mut(&camera) else { return };
        for (track, _) in looks {
            for suspect in tracks.get_mut(track).map(|seen| std::mem::take(&mut seen.candidates)).unwrap_or_default() {
                self.possible.entry(suspect).or_default().remove(&(camera, *track));
            }
        }
        // Suspect by suspect: the vectors of one stay in the processor's cache while all looks are compared with them.
        for (suspect, followed) in &self.suspects {
            for (track, look) in looks {
                let Some(seen) = tracks.get_mut(track) else { continue };
                if let Some(odds) = seen.compare(look, followed, &self.config, &self.curves) {
                    seen.candidates.insert(*suspect);
                    self.possible.entry(*suspect).or_default().insert((camera, *track), odds);
                }
            }
        }
    }

    /// Learns how views that overlap lie to each other, and compares where people stand in this one with where those stand in the others of whom
    /// it is known who they are.
    fn compare_places(&mut self, camera: CameraId, at: Timestamp, observed: &[Observed<'_>]) {
        if !self.config.places || self.topology.overlaps(camera).next().is_none() {
            return;
        }
        let standing = || observed.iter().filter(|o| o.stands && o.track.measured_at == o.track.at);
        self.surveyor.watch(camera, at, standing().map(|o| (o.track.id, Foot::from(&o.track.rect), o.descriptor)));
        self.surveyor.learn(self.topology.pairs(), at);
        let mut others: BTreeMap<Key, Neighbour> = BTreeMap::new();
        for other in self.topology.overlaps(camera) {
            for (track, seen) in self.tracks.of(other) {
                let now = |t: &&Track| at.seconds_since(t.measured_at).abs() <= SAME_TIME_SECONDS;
                let rect = seen.standing.as_ref().filter(now).and_then(|track| track.rect_at(at));
                let (whose, not) = (self.certain(seen), seen.rejected_for.clone());
                others.insert((other, track), Neighbour { foot: rect.as_ref().map(Foot::from), whose, not });
            }
        }
        for o in standing() {
            let here = (camera, Foot::from(&o.track.rect));
            let Some(seen) = self.tracks.get_mut(&(camera, o.track.id)) else { continue };
            for (key, link) in &mut seen.links {
                if let Some(other) = others.get(key) {
                    (link.whose, link.not) = (other.whose, other.not.clone());
                }
            }
            for (key, other) in others.iter().filter(|(_, o)| o.whose.is_some() || !o.not.is_empty()) {
                let link = seen.links.entry(*key).or_insert_with(|| Link {
                    sum: 0.0,
                    at: Timestamp(i64::MIN / 2),
                    whose: other.whose,
                    not: other.not.clone(),
                });
                let Some(foot) = other.foot.filter(|_| at.seconds_since(link.at) >= PLACE_EVERY_SECONDS) else {
                    continue;
                };
                let Some(evidence) = self.surveyor.evidence((key.0, foot), here) else { continue };
                link.at = at;
                link.sum = (PLACE_KEEPS * link.sum + PLACE_WEIGHT * evidence).clamp(-MOST_BY_PLACE, MOST_BY_PLACE);
                if let Some(suspect) = link.whose.filter(|_| link.sum > 0.0)
                    && seen.candidates.insert(suspect)
                {
                    // Not like enough to be one by its looks.
                    let look = o.descriptor.or(seen.gallery.vectors().first());
                    let odds = seen.likeness.get(&suspect).zip(look);
                    let odds = odds.map_or(NO_LOOK, |(l, d)| self.curves.get(d.kind).log_odds(l.mean));
                    self.possible.entry(suspect).or_default().insert((camera, o.track.id), odds.max(UNLIKE));
                }
            }
        }
    }

    /// Whoever is in view beside a suspect that is certain is somebody else.
    fn note_bystanders(&mut self, camera: CameraId, at: Timestamp, observed: &[Observed<'_>]) {
        let measured = || observed.iter().filter(|o| o.track.measured_at == o.track.at);
        for o in measured() {
            let whose = self.tracks.get(&(camera, o.track.id)).and_then(|seen| self.certain(seen));
            let Some(suspect) = whose else { continue };
            let Some(f) = self.suspects.get_mut(&suspect) else { continue };
            f.bystanders.remove(&(camera, o.track.id));
            if at.seconds_since(f.bystanders_at) < BYSTANDERS_EVERY_SECONDS {
                continue;
            }
            f.bystanders_at = at;
            for other in measured().filter(|b| b.track.id != o.track.id && b.track.rect.iou(&o.track.rect) < ONE_PERSON)
            {
                let key = (camera, other.track.id);
                if let Some(seen) = self.tracks.get(&key).filter(|seen| seen.crops >= self.config.least_crops) {
                    f.stands_beside(key, &seen.gallery);
                }
            }
        }
    }

    /// The stay of a track that is, or may be, a suspect's.
    fn stay(&self, seen: &Seen) -> Option<&Sighting> {
        self.sightings.get(&seen.sighting?).map(|(s, _)| s)
    }

    /// Whose certain stay the track is.
    fn certain(&self, seen: &Seen) -> Option<SuspectId> {
        self.stay(seen).filter(|s| s.decision.is_certain()).map(|s| s.suspect)
    }

    /// Opens, goes on with and closes possible matches: those that are true together with the greatest probability, over all cameras.
    fn assign(&mut self, camera: CameraId, at: Timestamp, observed: &[Observed<'_>], events: &mut Vec<Event>) {
        let here: BTreeSet<TrackId> =
            observed.iter().filter(|o| o.track.measured_at == o.track.at).map(|o| o.track.id).collect();
        // Whoever is seen for certain now, and where.
        let mut certain: BTreeMap<SuspectId, Vec<CameraId>> = BTreeMap::new();
        for (s, _) in self.sightings.values().filter(|(s, _)| s.decision.is_certain()) {
            if self.tracks.get(&(s.camera, s.track)).is_some_and(|seen| seen.is_present(at)) {
                certain.entry(s.suspect).or_default().push(s.camera);
            }
        }
        let list = log_odds(self.config.list);
        // A candidate, and whether that is the match which is open now.
        let candidate = |f: &Followed, key: &Key, seen: &Seen, stay: Option<&Sighting>, by_looks: f64| {
            let (camera, suspect) = (key.0, f.suspect.id);
            let elsewhere = |all: &Vec<CameraId>| all.iter().any(|other| !self.may_be_in_both(*other, camera));
            if seen.rejected_for.contains(&suspect) || certain.get(&suspect).is_some_and(elsewhere) {
                return None;
            }
            let travelled = |last| self.travel.evidence(&self.topology, &last, camera, seen.first_seen);
            let gain = by_looks + f.last.map_or(0.0, travelled) + seen.by_place(suspect);
            let is_open = stay.is_some_and(|s| s.suspect == suspect);
            (gain > list + FLOOR).then_some((Candidate { suspect, camera, track: key.1, gain }, is_open))
        };
        // Tracks that were seen well or are known by their place, of which it is not certain who they are; and what they are taken for.
        let comparable = |key: &Key| {
            let enough = |seen: &&Seen| seen.crops >= self.config.least_crops || seen.is_placed();
            let seen = self.tracks.get(key).filter(|seen| seen.is_present(at)).filter(enough)?;
            let stay = self.stay(seen);
            (!stay.is_some_and(|s| s.decision.is_certain())).then_some((seen, stay))
        };
        let mut possible: Vec<(Candidate, bool)> = Vec::new();
        for key in here.iter().map(|track| (camera, *track)) {
            let Some((seen, stay)) = comparable(&key) else { continue };
            for suspect in &seen.candidates {
                let odds = self.possible.get(suspect).and_then(|tracks| tracks.get(&key));
                let of = self.suspects.get(suspect).zip(odds);
                possible.extend(of.and_then(|(f, odds)| candidate(f, &key, seen, stay, *odds)));
            }
        }
        // Who else may be whom these may be, on other cameras; but whoever is taken for somebody else there.
        let wanted: BTreeSet<SuspectId> =
            possible.iter().filter(|(c, is_open)| c.gain > list || *is_open).map(|(c, _)| c.suspect).collect();
        for (suspect, f) in wanted.iter().filter_map(|suspect| Some((*suspect, self.suspects.get(suspect)?))) {
            for (key, odds) in self.possible.get(&suspect).into_iter().flatten().filter(|(key, _)| key.0 != camera) {
                let other = comparable(key).filter(|(_, stay)| stay.is_none_or(|s| s.suspect == suspect));
                possible.extend(other.and_then(|(seen, stay)| candidate(f, key, seen, stay, *odds)));
            }
        }
        if possible.is_empty() && !here.iter().any(|track| self.open_match(camera, *track).is_some()) {
            return;
        }
        let gains: Vec<Candidate> = possible
            .iter()
            .map(|(c, is_open)| Candidate { gain: c.gain - list + if *is_open { KEEP } else { 0.0 }, ..*c })
            .collect();
        let chosen = assign_jointly(&gains, |a, b| self.may_be_in_both(a, b), |c| c.camera == camera);
        let mut taken: BTreeMap<TrackId, (SuspectId, f32)> = BTreeMap::new();
        for ((c, _), _) in possible.iter().zip(&chosen).filter(|((c, _), chosen)| **chosen && c.camera == camera) {
            taken.insert(c.track, (c.suspect, self.posterior(c, possible.iter().map(|(other, _)| other))));
        }
        for track in here {
            let open = self.open_match(camera, track).map(|s| (s.id, s.suspect));
            let match_now = taken.get(&track).copied();
            if let Some((id, suspect)) = open {
                if match_now.is_some_and(|(now, _)| now == suspect) {
                    self.go_on_matching(id, match_now.map_or(0.0, |(_, p)| p), events);
                    continue;
                }
                events.extend(self.close(id, at));
            }
            if let Some((suspect, p)) = match_now.filter(|(_, p)| *p >= self.config.list) {
                self.open(camera, track, suspect, p, at, events);
            }
        }
    }

    /// The sighting of a track that waits for a decision.
    fn open_match(&self, camera: CameraId, track: TrackId) -> Option<&Sighting> {
        self.stay(self.tracks.get(&(camera, track))?).filter(|s| !s.decision.is_certain())
    }

    /// How probable a candidate is against all that it excludes: nobody, other suspects for that track, other tracks for that suspect.
    fn posterior<'a>(&self, c: &Candidate, all: impl Iterator<Item = &'a Candidate>) -> f32 {
        let excluded = |o: &&Candidate| {
            let same_track = (o.camera, o.track) == (c.camera, c.track);
            if o.suspect == c.suspect { !same_track && !self.may_be_in_both(o.camera, c.camera) } else { same_track }
        };
        let rivals: f64 = all.filter(excluded).map(|o| o.gain.exp()).sum();
        let odds = c.gain.exp();
        (odds / (1.0 + odds + rivals)) as f32
    }

    fn go_on_matching(&mut self, id: SightingId, p: f32, events: &mut Vec<Event>) {
        let Some((s, _)) = self.sightings.get_mut(&id) else { return };
        s.probability = p;
        let Some(seen) = self.tracks.get_mut(&(s.camera, s.track)) else { return };
        let alerted = seen.offered.entry(s.suspect).or_default();
        // There is something to decide by.
        let is_shown = seen.crops >= self.config.least_crops || seen.standing.is_some();
        if p >= self.config.alert && !*alerted && is_shown {
            *alerted = true;
            events.push(Event::Alert(s.clone()));
        }
    }

    fn open(
        &mut self,
        camera: CameraId,
        track: TrackId,
        suspect: SuspectId,
        p: f32,
        at: Timestamp,
        events: &mut Vec<Event>,
    ) {
        let Some(seen) = self.tracks.get_mut(&(camera, track)) else { return };
        // The stay is one, also where it was taken for another meanwhile.
        let id = sighting_id(suspect, camera, track, seen.first_seen);
        let sighting = Sighting {
            id,
            suspect,
            camera,
            track,
            entered_at: seen.first_seen,
            last_seen_at: at,
            left_at: None,
            probability: p,
            decision: Decision::Pending,
            crop_url: (self.crop_url)(id),
            rect: seen.rect,
        };
        seen.sighting = Some(id);
        let again = seen.offered.contains_key(&suspect);
        self.sightings.insert(id, (sighting.clone(), at));
        events.push(if again { Event::Changed(sighting) } else { Event::Opened(sighting) });
        self.go_on_matching(id, p, events);
    }

    /// A measured track that belongs to a suspect: the sighting goes on, and a certain one teaches the gallery.
    fn go_on(&mut self, camera: CameraId, at: Timestamp, o: &Observed<'_>, events: &mut Vec<Event>) {
        let Some(id) = self.tracks.get(&(camera, o.track.id)).and_then(|t| t.sighting) else { return };
        let Some((sighting, recorded)) = self.sightings.get_mut(&id) else { return };
        sighting.last_seen_at = sighting.last_seen_at.max(at);
        if at.seconds_since(*recorded) >= RECORD_EVERY_SECONDS {
            *recorded = at;
            events.push(Event::Changed(sighting.clone()));
        }
        let certain = sighting.decision.is_certain();
        let (suspect, descriptor) = (sighting.suspect, o.descriptor);
        if certain && let Some(last) = self.suspects.get_mut(&suspect).and_then(|f| f.last.as_mut()) {
            last.until = last.until.max(at);
        }
        if certain
            && o.track.score >= TEACHING_SCORE
            && let (Some(descriptor), Some(f)) = (descriptor, self.suspects.get_mut(&suspect))
            && f.gallery.add(descriptor, self.config.gallery)
        {
            f.taught(id, descriptor);
            f.suspect.gallery = f.gallery.vectors().to_vec();
            f.suspect.touch(at);
            events.push(Event::Gallery(f.suspect.clone()));
        }
    }

    /// A track ended for good: its sighting gets its exit.
    pub fn track_ended(&mut self, camera: CameraId, track: TrackId) -> Vec<Event> {
        let Some(seen) = self.tracks.get(&(camera, track)) else { return Vec::new() };
        let (sighting, at) = (seen.sighting, seen.last_seen);
        let closed = sighting.and_then(|id| self.close(id, at));
        let seen = self.tracks.remove(&(camera, track));
        for suspect in seen.into_iter().flat_map(|seen| seen.candidates) {
            if let Some(tracks) = self.possible.get_mut(&suspect) {
                tracks.remove(&(camera, track));
            }
        }
        closed.into_iter().collect()
    }

    fn close(&mut self, id: SightingId, at: Timestamp) -> Option<Event> {
        let (mut sighting, _) = self.sightings.remove(&id)?;
        if let Some(seen) = self.tracks.get_mut(&(sighting.camera, sighting.track))
            && seen.sighting == Some(id)
        {
            seen.sighting = None;
            self.looks.push_back((id, seen.gallery.clone()));
            if self.looks.len() > LOOKS {
                self.looks.pop_front();
            }
        }
        sighting.last_seen_at = sighting.last_seen_at.max(at);
        sighting.left_at = Some(sighting.last_seen_at);
        Some(Event::Changed(sighting))
    }

    /// An operator decided on a match, open or closed: `sighting` is the record as it stands. Confirming an open one makes it
    /// certain and teaches the gallery what the track looks like; rejecting frees the track, cleans the gallery of it and remembers
    /// the stranger. The last decision counts: it takes back what the one before had done. Sightings of earlier runs only get the
    /// decision, since what they looked like is known from their picture alone.
    pub fn decide(&mut self, sighting: &Sighting, decision: Decision) -> Vec<Event> {
        if decision.is_pending() {
            return self.withdraw(sighting, decision);
        }
        let mut events = Vec::new();
        let was_open = self.sightings.contains_key(&sighting.id);
        let mut decided = self.sightings.get(&sighting.id).map_or_else(|| sighting.clone(), |(open, _)| open.clone());
        decided.decision = decision;
        let rejected = matches!(decided.decision, Decision::Rejected { .. });
        let key = (decided.camera, decided.track);
        let (alive, look) = self.look_of(&decided);
        if let Some(f) = self.suspects.get_mut(&decided.suspect) {
            let mut changed = false;
            f.before(&decided, was_open);
            f.strangers.retain(|(id, _)| *id != decided.id);
            if rejected {
                changed = f.gallery.remove(&look);
                // What is most like the suspect may be the suspect, whom the track showed before it went over to somebody else.
                f.strangers.push((decided.id, look.least_like(&f.gallery)));
                if f.strangers.len() > STRANGERS {
                    f.strangers.remove(0);
                }
            } else {
                for d in look.vectors() {
                    if f.gallery.add(d, self.config.gallery) {
                        changed = true;
                        f.taught(decided.id, d);
                    }
                }
            }
            if changed {
                f.suspect.gallery = f.gallery.vectors().to_vec();
                f.suspect.touch(decided.decision.decided_at().unwrap_or_default());
                events.push(Event::Gallery(f.suspect.clone()));
            }
        }
        if !rejected {
            self.is_certainly(&decided);
        }
        // Whoever stood at the same place in another view is, or is not, the suspect, too.
        let during = |at: Timestamp| decided.entered_at <= at && at.seconds_since(decided.last_seen_at) <= 1.0;
        for link in self.tracks.values_mut().filter_map(|seen| seen.links.get_mut(&key)).filter(|l| during(l.at)) {
            if rejected {
                link.whose = link.whose.filter(|whose| *whose != decided.suspect);
                link.not.insert(decided.suspect);
            } else {
                link.whose = Some(decided.suspect);
                link.not.remove(&decided.suspect);
            }
        }
        if let Some((open, _)) = self.sightings.get_mut(&decided.id) {
            open.decision = decided.decision.clone();
        }
        if let Some(seen) = self.tracks.get_mut(&key).filter(|_| alive) {
            if rejected {
                seen.rejected_for.insert(decided.suspect);
                if self.sightings.contains_key(&decided.id) {
                    events.extend(self.close(decided.id, decided.last_seen_at));
                    return events;
                }
            } else {
                seen.rejected_for.remove(&decided.suspect);
                if seen.sighting.is_none() && self.suspects.contains_key(&decided.suspect) {
                    // Rejected before, and still in view: the stay goes on.
                    seen.sighting = Some(decided.id);
                    decided.left_at = None;
                    // Recorded again with the next look: of two versions the one that has seen more counts.
                    self.sightings.insert(decided.id, (decided.clone(), Timestamp::default()));
                }
            }
        }
        events.push(Event::Changed(decided));
        events
    }

    /// Whether the track of a sighting is still there, and what is known of how the person looks.
    fn look_of(&self, sighting: &Sighting) -> (bool, Gallery) {
        // Track numbers begin anew with every run: only a track that entered when this sighting did is the one.
        let is_it = |t: &&Seen| t.first_seen == sighting.entered_at || t.sighting == Some(sighting.id);
        match self.tracks.get(&(sighting.camera, sighting.track)).filter(is_it) {
            Some(seen) => (true, seen.gallery.clone()),
            None => {
                let kept = self.looks.iter().find(|(id, _)| *id == sighting.id);
                (false, kept.map(|(_, look)| look.clone()).unwrap_or_default())
            }
        }
    }

    /// An operator takes back what was decided on a match: galleries, strangers and travel are as if it had not been decided, and the stay of
    /// whoever is still in view goes on where the decision had ended it.
    fn withdraw(&mut self, sighting: &Sighting, decision: Decision) -> Vec<Event> {
        let mut events = Vec::new();
        let before = self.sightings.get(&sighting.id).map_or_else(|| sighting.clone(), |(open, _)| open.clone());
        let waiting = Sighting { decision, ..before.clone() };
        let key = (before.camera, before.track);
        let (alive, look) = self.look_of(&before);
        let mut lesson = None;
        if let Some(f) = self.suspects.get_mut(&before.suspect) {
            lesson = f.unlearn(&before, &look, self.config.gallery);
            if f.suspect.gallery != f.gallery.vectors() {
                f.suspect.gallery = f.gallery.vectors().to_vec();
                f.suspect.touch(waiting.decision.decided_at().unwrap_or_default());
                events.push(Event::Gallery(f.suspect.clone()));
            }
        }
        let was_open = lesson.is_none_or(|lesson| lesson.was_open);
        for link in self.tracks.values_mut().filter_map(|seen| seen.links.get_mut(&key)) {
            link.whose = link.whose.filter(|whose| *whose != before.suspect);
            link.not.remove(&before.suspect);
        }
        if let Some(seen) = self.tracks.get_mut(&key).filter(|_| alive) {
            seen.rejected_for.remove(&before.suspect);
        }
        if let Some((open, _)) = self.sightings.get_mut(&before.id) {
            open.decision = waiting.decision.clone();
            if !was_open {
                events.extend(self.close(before.id, before.last_seen_at));
                return events;
            }
        } else if was_open && alive && self.suspects.contains_key(&before.suspect) {
            let left_at = waiting.left_at;
            if let Some(event) = self.reopen(waiting.clone()).filter(|_| left_at.is_some()) {
                events.push(event);
                return events;
            }
        }
        events.push(Event::Changed(waiting));
        events
    }

    /// How probable it is that whoever looks like this is the suspect; `None` when the suspect is not followed.
    pub fn probability_of(&self, suspect: SuspectId, look: &Gallery) -> Option<f32> {
        let f = self.suspects.get(&suspect)?;
        Some(probability_among(&self.curves, &f.gallery, f.others(), look))
    }

    /// Keeps what the person of a sighting looked like, for the decision on it.
    pub fn remember(&mut self, sighting: SightingId, look: Gallery) {
        self.looks.retain(|(id, _)| *id != sighting);
        self.looks.push_back((sighting, look));
        if self.looks.len() > LOOKS {
            self.looks.pop_front();
        }
    }

    /// Whether it is known what the person of a sighting looked like.
    pub fn remembers(&self, sighting: &Sighting) -> bool {
        self.looks.iter().any(|(id, _)| *id == sighting.id)
            || self
                .tracks
                .get(&(sighting.camera, sighting.track))
                .is_some_and(|seen| seen.sighting == Some(sighting.id) && !seen.gallery.is_empty())
    }

    /// Whether two cameras may show one person at the same instant. One camera shows a person once.
    pub fn may_be_in_both(&self, a: CameraId, b: CameraId) -> bool {
        self.topology.may_be_in_both(a, b)
    }

    /// Takes note of a certain stay: of when whoever comes next from there comes, and that the track is nobody else's.
    fn is_certainly(&mut self, sighting: &Sighting) {
        let Some(f) = self.suspects.get_mut(&sighting.suspect) else { return };
        f.bystanders.remove(&(sighting.camera, sighting.track));
        let stop = Stop { camera: sighting.camera, from: sighting.entered_at, until: sighting.last_seen_at };
        if f.last.is_none_or(|last| last.until <= stop.until) {
            f.last = Some(stop);
        }
    }

    /// Learns how long people take between cameras, from all certain stays that are known: those confirmed, and those where somebody
    /// was marked. What was learned before is forgotten.
    pub fn learn_travel(&mut self, sightings: &[Sighting]) {
        let mut stays: BTreeMap<SuspectId, Vec<Stop>> = BTreeMap::new();
        for s in sightings.iter().filter(|s| s.decision.is_certain()) {
            let stop = Stop { camera: s.camera, from: s.entered_at, until: s.left_at.unwrap_or(s.last_seen_at) };
            stays.entry(s.suspect).or_default().push(stop);
        }
        self.travel = Travel::default();
        for (suspect, stops) in &stays {
            self.travel.learn(stops);
            let last = stops.iter().max_by_key(|s| s.until).copied();
            if let Some(f) = self.suspects.get_mut(suspect).filter(|f| f.last.is_none()) {
                f.last = last;
            }
        }
    }

    /// Takes back a decision that could not be recorded: `sighting` is the record as it stood.
    pub fn undecide(&mut self, sighting: &Sighting) {
        if sighting.decision.is_pending() {
            self.withdraw(sighting, sighting.decision.clone());
        }
        if let Some((open, _)) = self.sightings.get_mut(&sighting.id) {
            open.decision = sighting.decision.clone();
        }
    }

    /// Forgets an opened sighting that could not be recorded: it will be opened again.
    pub fn unopen(&mut self, sighting: &Sighting) {
        self.sightings.remove(&sighting.id);
        if let Some(seen) = self.tracks.get_mut(&(sighting.camera, sighting.track)) {
            seen.sighting = None;
            seen.offered.remove(&sighting.suspect);
        }
    }

    /// Who the tracks of one camera are taken for: for certain, or so probably that the operator was alerted.
    pub fn matches(&self, camera: CameraId) -> BTreeMap<TrackId, MatchView> {
        self.tracks
            .of(camera)
            .filter_map(|(track, seen)| {
                let (s, _) = self.sightings.get(&seen.sighting?)?;
                let certain = s.decision.is_certain();
                if !certain && seen.offered.get(&s.suspect) != Some(&true) {
                    return None;
                }
                Some((track, MatchView { suspect: s.suspect, probability: s.probability, certain }))
            })
            .collect()
    }
}

impl Seen {
    fn is_present(&self, at: Timestamp) -> bool {
        at.seconds_since(self.last_seen) <= PRESENT_SECONDS
    }

    /// What the places where it stood say for or against a suspect.
    fn by_place(&self, suspect: SuspectId) -> f64 {
        let all: f64 = self.links.values().map(|link| link.evidence(suspect)).sum();
        all.clamp(-MOST_BY_PLACE, MOST_BY_PLACE)
    }

    /// Whether by its places alone it is known who it is.
    fn is_placed(&self) -> bool {
        self.links.values().any(|link| link.whose.is_some() && link.sum >= PLACE_ALONE)
    }

    /// One more look: how like a suspect it is. Returns the log-odds that the track is that suspect, where it may be.
    fn compare(&mut self, look: &Descriptor, f: &Followed, config: &FollowConfig, curves: &Curves) -> Option<f64> {
        let (id, curve) = (f.suspect.id, curves.get(look.kind));
        let known = self.likeness.get_mut(&id);
        let is_unlike = known.as_ref().is_some_and(|l| curve.log_odds(l.mean) < UNLIKE);
        if is_unlike && !self.crops.is_multiple_of(UNLIKE_EVERY) && self.crops > config.least_crops {
            return None;
        }
        let near = f.gallery.nearest(look)?;
        let likeness = match known {
            Some(likeness) => {
                likeness.add(near);
                *likeness
            }
            None => {
                // Marked after this track came into view: its looks so far count, too.
                let mean = f.gallery.similarity(&self.gallery).unwrap_or(near);
                let first = Likeness { mean, looks: (self.gallery.len() as f32).clamp(1.0, LOOKS_WEIGHED) };
                self.likeness.insert(id, first);
                first
            }
        };
        let odds = curve.log_odds(likeness.mean);
        let placed = self.links.values().any(|link| link.sum > 0.0 && link.whose == Some(id));
        if odds <= log_odds(config.list) + FLOOR && !placed {
            return None;
        }
        let odds = against_others(odds.max(UNLIKE), curve, likeness.mean, f.others(), &self.gallery);
        let doubt = f64::from(likeness.looks / (likeness.looks + DOUBT));
        Some(if odds > 0.0 { odds * doubt } else { odds })
    }
}

/// The log-odds of a probability.
fn log_odds(p: f32) -> f64 {
    let p = f64::from(p).clamp(1e-6, 1.0 - 1e-6);
    (p / (1.0 - p)).ln()
}

/// Log-odds lowered by the nearest of those who are known to be somebody else: the odds between two are those of the curve at their
/// similarities, and those given with each.
fn against_others<'a>(
    odds: f64,
    curve: Calibration,
    near: f32,
    others: impl Iterator<Item = (&'a Gallery, f64)>,
    look: &Gallery,
) -> f64 {
    let against = |(other, prior): (&Gallery, f64)| {
        other.similarity(look).map(|s| odds + prior + f64::from(curve.slope * (s - near)))
    };
    odds - others.filter_map(against).max_by(f64::total_cmp).map_or(0.0, |nearest| nearest.exp().ln_1p())
}

/// How probable it is that whoever looks like `look` is `who`, `0.0..=1.0`; 0 where they cannot be compared. Where strangers were told
/// apart before, the one most like `look` competes: the odds between the two are those of the calibrated curve at their similarities.
pub fn match_probability<'a>(
    curves: &Curves,
    who: &Gallery,
    strangers: impl Iterator<Item = &'a Gallery>,
    look: &Gallery,
) -> f32 {
    probability_among(curves, who, strangers.map(|stranger| (stranger, 0.0)), look)
}

fn probability_among<'a>(
    curves: &Curves,
    who: &Gallery,
    others: impl Iterator<Item = (&'a Gallery, f64)>,
    look: &Gallery,
) -> f32 {
    let (Some(near), Some(kind)) = (who.similarity(look), look.vectors().first().map(|d| d.kind)) else { return 0.0 };
    let curve = curves.get(kind);
    let odds = against_others(curve.log_odds(near), curve, near, others, look);
    (1.0 / (1.0 + (-odds).exp())) as f32
}

/// The same stay has the same identity however often it is computed: a replay yields the same records.
pub fn sighting_id(suspect: SuspectId, camera: CameraId, track: TrackId, entered_at: Timestamp) -> SightingId {
    let mut hash = Sha256::new();
    hash.update(suspect.as_bytes());
    hash.update(camera.as_bytes());
    hash.update(track.0.to_be_bytes());
    hash.update(entered_at.0.to_be_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    let (first, _) = digest.split_at(16);
    uuid::Builder::from_custom_bytes(first.try_into().unwrap_or([0; 16])).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CommonGround, DescriptorKind};
    use uuid::Uuid;

    const A: CameraId = Uuid::from_u128(1);
    const B: CameraId = Uuid::from_u128(2);

    fn crop_url(id: SightingId) -> String {
        format!("objects:crops/{id}.jpg")
    }

    fn descriptor(direction: usize, tilt: f32) -> Descriptor {
        let mut v = vec![0.0f32; 8];
        v[direction] = 1.0;
        v[7] = tilt;
        let n = v.iter().map(|x| x * x).sum::<f32>().sqrt();
        Descriptor { kind: DescriptorKind::ColourStripes, vector: v.into_iter().map(|x| x / n).collect() }
    }

    fn track(id: u64, t: i64) -> Track {
        Track {
            id: TrackId(id),
            rect: Rect::new(10.0, 10.0, 30.0, 80.0),
            velocity: [0.0; 2],
            at: Timestamp(t * 200_000),
            measured_at: Timestamp(t * 200_000),
            first_seen: Timestamp(0),
            score: 0.8,
            hits: 5,
        }
    }

    fn see(f: &mut Follower, camera: CameraId, id: u64, d: &Descriptor, steps: std::ops::Range<i64>) -> Vec<Event> {
        steps
            .flat_map(|t| {
                let track = track(id, t);
                f.observe(camera, track.at, &[Observed { track: &track, descriptor: Some(d), stands: true }])
            })
            .collect()
    }

    fn suspect(id: u128, gallery: Vec<Descriptor>) -> Suspect {
        Suspect {
            id: Uuid::from_u128(id),
            label: format!("Suspect {id}"),
            colour: [255, 0, 0],
            reason: "test".into(),
            marked_by: "1".into(),
            marked_at: Timestamp(600_000),
            camera: A,
            expires_at: Timestamp(3_600_000_000),
            ended_at: None,
            crop_url: "crops/x.jpg".into(),
            gallery,
            characteristics: Default::default(),
            changed_at: Timestamp(0),
            proposed_until: None,
            resumed_at: None,
        }
    }

    /// Suspect 1 marked on track 7 of camera A.
    fn marked() -> (Follower, Descriptor) {
        let mut f = Follower::new(FollowConfig::default(), crop_url);
        let red = descriptor(0, 0.05);
        see(&mut f, A, 7, &red, 0..4);
        let gallery = f.appearance_of(A, TrackId(7));
        assert!(!gallery.is_empty());
        let events = f.mark(&suspect(1, gallery), TrackId(7), Rect::default());
        assert!(matches!(&events[..], [Event::Changed(s)] if s.decision == Decision::Origin && s.left_at.is_none()));
        (f, red)
    }

    #[test]
    fn the_same_look_in_another_camera_opens_one_possible_match_and_ends_with_the_track() {
        let (mut f, _) = marked();
        let events = see(&mut f, B, 3, &descriptor(0, 0.08), 4..12);
        let opened: Vec<_> =
            events.iter().filter_map(|e| if let Event::Opened(s) = e { Some(s) } else { None }).collect();
        assert_eq!(opened.len(), 1);
        assert!(opened[0].probability > 0.6 && opened[0].decision == Decision::Pending && opened[0].camera == B);
        assert!(!f.matches(B)[&TrackId(3)].certain);
        let ended = f.track_ended(B, TrackId(3));
        assert!(matches!(&ended[..], [Event::Changed(s)] if s.left_at == Some(Timestamp(11 * 200_000))), "{ended:?}");
    }

    #[test]
    fn a_clock_that_is_set_back_stops_no_following() {
        let far = Topology::new([], [(A, (38.7, -9.1)), (B, (38.702, -9.1))]); // some 220 m
        let opened = |set: bool| {
            let (mut f, _) = marked();
            f.set_topology(far.clone());
            f.track_ended(A, TrackId(7));
            // Ten minutes later by the time that passes, and half an hour earlier by the clock.
            let (by, then) = (-2_400_000_000, -1_800_000_000);
            if set {
                f.clock_set(by, Timestamp(by));
            }
            let events = see(&mut f, B, 3, &descriptor(0, 0.08), then / 200_000..then / 200_000 + 10);
            events.iter().any(|e| matches!(e, Event::Alert(s) if s.camera == B))
        };
        assert!(!opened(false), "nobody comes from the future");
        assert!(opened(true));
    }

    /// Of two consoles each looks for the other's suspects, learns what the other learned, and stops where the other stops.
    #[test]
    fn a_suspect_of_another_console_is_followed_as_it_stands_there() {
        let now = Timestamp(700_000);
        let theirs = suspect(1, vec![descriptor(0, 0.0)]);
        let mut f = Follower::new(FollowConfig::default(), |id| id.to_string());
        assert_eq!(f.take_over(&theirs, now), []);
        let opened = see(&mut f, B, 3, &descriptor(0, 0.08), 4..10);
        let [Event::Opened(s), Event::Alert(_)] = &opened[..] else { panic!("{opened:?}") };
        assert!(s.suspect == theirs.id && f.sees(s.id));

        // decided there: this console has seen the track, so it is this one that learns
        let taught = f.decide(s, Decision::Confirmed { by: "9".into(), at: Timestamp(2_000_000) });
        let learned = taught.iter().find_map(|e| if let Event::Gallery(s) = e { Some(s.clone()) } else { None });
        let learned = learned.unwrap_or_else(|| theirs.clone());
        let mut more = Suspect { gallery: vec![descriptor(0, 0.0), descriptor(1, 0.0)], ..learned.clone() };
        more.touch(now);
        assert!(more.changed_at > learned.changed_at);
        f.take_over(&more, now);
        let stranger_no_more = see(&mut f, A, 4, &descriptor(1, 0.05), 16..24); // B is left: nobody is in both
        assert!(matches!(&stranger_no_more[..], [Event::Opened(_), ..]), "{stranger_no_more:?}");

        let ended = Suspect { ended_at: Some(now), ..more };
        let closed = f.take_over(&ended, now);
        assert_eq!(closed.len(), 2, "both stays end: {closed:?}");
        assert!(!see(&mut f, B, 5, &descriptor(0, 0.0), 24..32).iter().any(|e| matches!(e, Event::Opened(_))));
    }

    /// What is not probable enough for an alert is listed and not drawn; who is certain elsewhere is not here, but where views overlap.
    #[test]
    fn alerts_need_more_than_a_place_on_the_list_and_nobody_is_in_two_places() {
        let alerts = |events: &[Event]| events.iter().any(|e| matches!(e, Event::Alert(_)));
        let opens = |events: &[Event]| events.iter().any(|e| matches!(e, Event::Opened(_)));
        let beside = |topology: Topology, tilt: f32| {
            let (mut f, red) = marked();
            f.set_topology(topology);
            let mut events = Vec::new();
            for t in 4..16 {
                events.extend(see(&mut f, A, 7, &red, t..t + 1));
                events.extend(see(&mut f, B, 3, &descriptor(0, tilt), t..t + 1));
            }
            let drawn = f.matches(B).contains_key(&TrackId(3));
            assert_eq!(drawn, alerts(&events));
            events
        };
        let overlapping = || Topology::new([vec![A, B]], []);
        assert!(alerts(&beside(overlapping(), 0.1)));
        let unlikely = beside(overlapping(), 0.5);
        assert!(opens(&unlikely) && !alerts(&unlikely), "{unlikely:?}");
        assert!(!opens(&beside(Topology::default(), 0.1)));
    }

    #[test]
    fn whoever_was_seen_beside_the_suspect_is_somebody_else() {
        let (mut f, red) = marked();
        let look = descriptor(0, 0.3);
        for t in 4..12 {
            let (suspect, other) = (track(7, t), Track { rect: Rect::new(200.0, 10.0, 30.0, 80.0), ..track(8, t) });
            let both = [
                Observed { track: &suspect, descriptor: Some(&red), stands: true },
                Observed { track: &other, descriptor: Some(&look), stands: true },
            ];
            f.observe(A, suspect.at, &both);
        }
        assert!(!see(&mut f, B, 3, &look, 20..30).iter().any(|e| matches!(e, Event::Alert(_))));
        assert!(see(&mut f, B, 4, &red, 40..50).iter().any(|e| matches!(e, Event::Alert(_))));
    }

    #[test]
    fn a_different_look_opens_nothing() {
        let (mut f, _) = marked();
        assert_eq!(see(&mut f, B, 3, &descriptor(3, 0.0), 4..30), []);
    }

    #[test]
    fn a_rejected_track_is_never_offered_again_and_its_look_counts_against() {
        let (mut f, _) = marked();
        let look = descriptor(0, 0.3);
        let events = see(&mut f, B, 3, &look, 4..10);
        let Some(Event::Opened(s)) = events.first() else { panic!("{events:?}") };
        let decision = Decision::Rejected { by: "9".into(), at: Timestamp(9) };
        let events = f.decide(s, decision.clone());
        assert!(events.iter().any(|e| matches!(e, Event::Changed(s) if s.decision == decision && s.left_at.is_some())));
        assert!(f.matches(B).is_empty());
        assert!(!see(&mut f, B, 3, &look, 10..20).iter().any(|e| matches!(e, Event::Opened(_))));
        // the same stranger as a new track
        assert!(!see(&mut f, B, 4, &look, 20..30).iter().any(|e| matches!(e, Event::Opened(_))));
    }

    #[test]
    fn a_confirmed_match_is_certain_and_teaches() {
        let (mut f, _) = marked();
        let events = see(&mut f, B, 3, &descriptor(0, 0.32), 4..10);
        let Some(Event::Opened(s)) = events.first() else { panic!("{events:?}") };
        let events = f.decide(s, Decision::Confirmed { by: "9".into(), at: Timestamp(9) });
        assert!(events.iter().any(|e| matches!(e, Event::Gallery(s) if s.gallery.len() == 2)), "{events:?}");
        assert!(f.matches(B)[&TrackId(3)].certain);
    }

    #[test]
    fn two_suspects_keep_apart_and_one_track_is_one_of_them() {
        let (mut f, _) = marked();
        let blue = descriptor(2, 0.05);
        see(&mut f, A, 8, &blue, 4..8);
        let gallery = f.appearance_of(A, TrackId(8));
        f.mark(&suspect(2, gallery), TrackId(8), Rect::default());
        let red = see(&mut f, B, 1, &descriptor(0, 0.06), 14..22);
        let blue = see(&mut f, B, 2, &descriptor(2, 0.06), 14..22);
        assert!(matches!(&red[..], [Event::Opened(s), ..] if s.suspect == Uuid::from_u128(1)), "{red:?}");
        assert!(matches!(&blue[..], [Event::Opened(s), ..] if s.suspect == Uuid::from_u128(2)), "{blue:?}");
    }

    #[test]
    fn of_two_alike_in_one_camera_only_the_better_is_offered() {
        let (mut f, _) = marked();
        let (near, far) = (descriptor(0, 0.06), descriptor(0, 0.3));
        let mut opened = Vec::new();
        for t in 4..12 {
            let (a, b) = (track(1, t), track(2, t));
            let observed = [
                Observed { track: &b, descriptor: Some(&far), stands: true },
                Observed { track: &a, descriptor: Some(&near), stands: true },
            ];
            opened.extend(f.observe(B, a.at, &observed).into_iter().filter(|e| matches!(e, Event::Opened(_))));
        }
        assert!(matches!(&opened[..], [Event::Opened(s)] if s.track == TrackId(1)), "{opened:?}");
    }

    #[test]
    fn at_expiry_the_follow_stops() {
        let (mut f, _) = marked();
        let late = Track { at: Timestamp(3_700_000_000), measured_at: Timestamp(3_700_000_000), ..track(7, 0) };
        let events = f.observe(A, late.at, &[Observed { track: &late, descriptor: None, stands: true }]);
        assert!(matches!(&events[..], [Event::Changed(s)] if s.left_at.is_some()), "{events:?}");
        assert!(f.matches(A).is_empty());
    }

    #[test]
    fn a_site_that_forbids_live_follow_gets_no_matches_across_cameras() {
        let mut f = Follower::new(FollowConfig { live_follow: false, ..FollowConfig::default() }, crop_url);
        let red = descriptor(0, 0.05);
        see(&mut f, A, 7, &red, 0..4);
        f.mark(&suspect(1, vec![red.clone()]), TrackId(7), Rect::default());
        assert_eq!(see(&mut f, B, 3, &red, 4..12), []);
    }

    #[test]
    fn a_rejected_track_that_went_over_from_the_suspect_does_not_hide_the_suspect() {
        let (mut f, red) = marked();
        let mut events = see(&mut f, B, 3, &red, 4..10);
        events.extend(see(&mut f, B, 3, &descriptor(0, 0.5), 10..14));
        let Some(Event::Opened(s)) = events.first() else { panic!("{events:?}") };
        f.decide(s, Decision::Rejected { by: "9".into(), at: Timestamp(9) });
        f.track_ended(B, TrackId(3));
        assert_eq!(alerts(&see(&mut f, B, 4, &red, 20..30)), [TrackId(4)]);
        assert_eq!(alerts(&see(&mut f, B, 5, &descriptor(0, 0.5), 40..50)), []);
    }

    #[test]
    fn the_last_decision_counts() {
        let (mut f, _) = marked();
        let look = descriptor(0, 0.3);
        let events = see(&mut f, B, 3, &look, 4..10);
        let Some(Event::Opened(s)) = events.first() else { panic!("{events:?}") };
        f.decide(s, Decision::Rejected { by: "9".into(), at: Timestamp(9) });
        let events = f.decide(s, Decision::Confirmed { by: "9".into(), at: Timestamp(10) });
        assert!(matches!(events.last(), Some(Event::Changed(s)) if s.left_at.is_none()), "{events:?}");
        assert!(f.matches(B)[&TrackId(3)].certain);
    }

    /// All that decisions change.
    fn learned(f: &Follower) -> String {
        let of = |(id, f): (&SuspectId, &Followed)| {
            let beside: Vec<_> = f.bystanders.iter().map(|(key, g)| (*key, g.vectors().to_vec())).collect();
            let strangers: Vec<_> = f.strangers.iter().map(|(id, g)| (*id, g.vectors().to_vec())).collect();
            let last = f.last.map(|s| (s.camera, s.from, s.until));
            format!("{id} {:?} {:?} {beside:?} {strangers:?} {last:?}", f.gallery.vectors(), f.suspect.gallery)
        };
        let tracks = f.tracks.0.iter().flat_map(|(c, all)| all.iter().map(move |(id, t)| (c, id, t)));
        let tracks: Vec<_> = tracks.map(|(c, id, t)| (c, id, t.sighting, t.rejected_for.clone())).collect();
        let open: Vec<_> =
            f.sightings.values().map(|(s, _)| (s.id, s.left_at, s.decision.is_certain(), s.probability)).collect();
        format!("{:?} {tracks:?} {open:?}", f.suspects.iter().map(of).collect::<Vec<_>>())
    }

    #[test]
    fn a_decision_taken_back_has_never_been_made() {
        let by = || "9".to_owned();
        let confirmed = |at| Decision::Confirmed { by: by(), at: Timestamp(at) };
        let rejected = |at| Decision::Rejected { by: by(), at: Timestamp(at) };
        for decisions in
            [vec![confirmed(9)], vec![rejected(9)], vec![rejected(9), confirmed(10)], vec![confirmed(9), rejected(10)]]
        {
            let (mut f, _) = marked();
            let events = see(&mut f, B, 3, &descriptor(0, 0.32), 4..10);
            let Some(Event::Opened(s)) = events.first() else { panic!("{events:?}") };
            let before = learned(&f);
            let mut record = s.clone();
            for decision in decisions {
                f.decide(&record, decision.clone());
                assert!(learned(&f) != before, "{decision:?}");
                record.decision = decision;
            }
            let events = f.decide(&record, Decision::Withdrawn { by: by(), at: Timestamp(11) });
            assert_eq!(learned(&f), before, "{:?}", record.decision);
            let waits = |e: &Event| matches!(e, Event::Changed(s) if s.decision.is_pending() && s.left_at.is_none());
            assert!(events.iter().any(waits), "{events:?}");
            assert!(f.matches(B).get(&TrackId(3)).is_none_or(|m| !m.certain));
        }
    }

    #[test]
    fn of_two_decisions_the_one_that_stands_keeps_what_it_taught() {
        let (mut f, _) = marked();
        let open = |f: &mut Follower, id: u64, look: &Descriptor, steps: std::ops::Range<i64>| {
            let events = see(f, B, id, look, steps);
            let Some(Event::Opened(s)) = events.first() else { panic!("{events:?}") };
            let s = s.clone();
            f.track_ended(B, TrackId(id));
            s
        };
        let (one, two) = (descriptor(0, 0.32), descriptor(0, -0.32));
        let first = open(&mut f, 3, &one, 4..10);
        let second = open(&mut f, 4, &two, 20..26);
        let confirmed = |at| Decision::Confirmed { by: "9".to_owned(), at: Timestamp(at) };
        for s in [&first, &second] {
            f.decide(s, confirmed(9));
        }
        let knows = |f: &Follower, look: &Descriptor| f.suspects[&first.suspect].gallery.vectors().contains(look);
        assert!(knows(&f, &one) && knows(&f, &two));
        let withdrawn = |at| Decision::Withdrawn { by: "9".to_owned(), at: Timestamp(at) };
        f.decide(&Sighting { decision: confirmed(9), ..first.clone() }, withdrawn(10));
        assert!(!knows(&f, &one) && knows(&f, &two));
        f.decide(&Sighting { decision: confirmed(9), ..second.clone() }, withdrawn(11));
        assert_eq!(f.suspects[&first.suspect].gallery.len(), 1);
    }

    #[test]
    fn an_end_taken_back_has_never_been_and_a_mark_of_who_has_gone_has_the_instant_of_the_click() {
        let (mut f, red) = marked();
        let events = see(&mut f, B, 3, &descriptor(0, 0.3), 4..10);
        let Some(Event::Opened(s)) = events.first() else { panic!("{events:?}") };
        f.decide(s, Decision::Rejected { by: "9".into(), at: Timestamp(9) });
        let (before, suspect_now) = (learned(&f), f.suspects[&s.suspect].suspect.clone());
        f.end(s.suspect);
        assert_ne!(learned(&f), before);
        f.resume(&suspect_now);
        assert_eq!(learned(&f), before);
        // Number 7 is somebody else by now, who came after the click.
        f.track_ended(A, TrackId(7));
        let later = Track { first_seen: Timestamp(9_000_000), ..track(7, 50) };
        f.observe(A, later.at, &[Observed { track: &later, descriptor: Some(&red), stands: true }]);
        let late = suspect(2, vec![red]);
        let events = f.mark(&late, TrackId(7), Rect::default());
        let at = late.marked_at;
        let [Event::Changed(origin)] = &events[..] else { panic!("{events:?}") };
        assert_eq!((origin.entered_at, origin.last_seen_at, origin.left_at), (at, at, Some(at)));
        assert!(!f.matches(A).contains_key(&TrackId(7)));
    }

    #[test]
    fn a_decision_after_the_exit_still_teaches_and_one_on_an_older_run_does_not() {
        let (mut f, _) = marked();
        let look = descriptor(0, 0.32);
        let events = see(&mut f, B, 3, &look, 4..10);
        let Some(Event::Opened(s)) = events.first() else { panic!("{events:?}") };
        f.track_ended(B, TrackId(3));
        let older = Sighting { id: Uuid::from_u128(77), entered_at: Timestamp(-5), ..s.clone() };
        let confirmed = || Decision::Confirmed { by: "9".into(), at: Timestamp(9) };
        see(&mut f, B, 3, &descriptor(4, 0.0), 10..14); // the number again, another person
        assert!(matches!(&f.decide(&older, confirmed())[..], [Event::Changed(_)]));
        let events = f.decide(s, confirmed());
        assert!(events.iter().any(|e| matches!(e, Event::Gallery(s) if s.gallery.len() == 2)), "{events:?}");
    }

    #[test]
    fn a_lost_camera_closes_its_sightings() {
        let (mut f, _) = marked();
        see(&mut f, B, 3, &descriptor(0, 0.08), 4..12);
        let events = f.camera_lost(B);
        assert!(matches!(&events[..], [Event::Changed(s)] if s.camera == B && s.left_at.is_some()), "{events:?}");
        assert!(f.matches(B).is_empty() && !f.matches(A).is_empty());
    }

    /// Camera B shows what A shows, 100 pixels further left.
    fn shared() -> (Follower, Descriptor) {
        let (mut f, red) = marked();
        f.set_topology(Topology::new([vec![A, B]], []));
        let ground = CommonGround {
            cameras: (A, B),
            places: [1.0, 0.0, -100.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
            error: 0.1,
            walks: 9,
            middle: (200.0, 100.0),
            spread: (1e-4, 0.0, 1e-4),
            learned_at: Timestamp(0),
        };
        f.set_grounds([(ground.cameras, ground)].into());
        (f, red)
    }

    /// Both cameras see people who stand still at these places: number, left edge, look.
    fn standing(
        f: &mut Follower,
        steps: std::ops::Range<i64>,
        a: &[(u64, f32, &Descriptor)],
        b: &[(u64, f32, &Descriptor)],
    ) -> Vec<Event> {
        let mut events = Vec::new();
        for t in steps {
            for (camera, people) in [(A, a), (B, b)] {
                let at = |(id, x, look): &(u64, f32, &Descriptor)| {
                    (Track { rect: Rect::new(*x, 10.0, 30.0, 80.0), ..track(*id, t) }, (*look).clone())
                };
                let tracks: Vec<(Track, Descriptor)> = people.iter().map(at).collect();
                let observed: Vec<_> = tracks
                    .iter()
                    .map(|(track, look)| Observed { track, descriptor: Some(look), stands: true })
                    .collect();
                events.extend(f.observe(camera, Timestamp(t * 200_000), &observed));
            }
        }
        events
    }

    fn alerts(events: &[Event]) -> Vec<TrackId> {
        let alert = |e: &Event| if let Event::Alert(s) = e { Some(s.track) } else { None };
        events.iter().filter_map(alert).collect()
    }

    #[test]
    fn whoever_stands_where_the_suspect_stands_is_the_suspect_and_a_double_elsewhere_is_not() {
        let (twin, unlike) = (descriptor(0, 0.08), descriptor(0, 0.55));
        let (mut f, red) = shared();
        let events = standing(&mut f, 4..16, &[(7, 200.0, &red)], &[(1, 100.0, &unlike), (2, 220.0, &twin)]);
        assert_eq!(alerts(&events), [TrackId(1)]);
        // Where nothing is known of places, looks decide.
        let (mut f, red) = shared();
        f.set_grounds(Grounds::new());
        let events = standing(&mut f, 4..16, &[(7, 200.0, &red)], &[(1, 100.0, &unlike), (2, 220.0, &twin)]);
        assert_eq!(alerts(&events), [TrackId(2)]);
    }

    #[test]
    fn whoever_was_rejected_in_one_view_is_not_offered_in_the_other() {
        let (double, other) = (descriptor(0, 0.3), descriptor(0, 0.05)); // from the other side more like the suspect
        let offered = |known: bool| {
            let (mut f, _) = shared();
            if !known {
                f.set_grounds(Grounds::new());
            }
            let events = standing(&mut f, 30..40, &[(8, 200.0, &double)], &[]);
            let Some(Event::Alert(s)) = events.iter().find(|e| matches!(e, Event::Alert(_))) else {
                panic!("{events:?}")
            };
            f.decide(s, Decision::Rejected { by: "9".into(), at: Timestamp(9) });
            alerts(&standing(&mut f, 40..60, &[(8, 200.0, &double)], &[(1, 100.0, &other)]))
        };
        assert_eq!((offered(true), offered(false)), (vec![], vec![TrackId(1)]));
    }
}
