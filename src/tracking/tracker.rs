//! Association over time: ByteTrack's two stages (Zhang et al., ECCV 2022, <https://arxiv.org/abs/2110.06864>) with
//! height-aware overlap and direction consistency (OC-SORT, CVPR 2023, <https://arxiv.org/abs/2203.14360>; Hybrid-SORT,
//! AAAI 2024, <https://arxiv.org/abs/2308.00783>), OC-SORT's virtual trajectory over occlusions, and the camera's own
//! motion taken from what all boxes have in common, where it has one.
use super::{
    assignment::{Edge, assign},
    kalman::{Motion, Noise},
    shake::Shake,
    sweep::Sweep,
};
use crate::model::{Descriptor, DescriptorKind, Rect, Timestamp, Track, TrackId};
use serde::{Deserialize, Serialize};
use std::{cell::LazyCell, collections::VecDeque};

/// A clock that jumps back by more than this many seconds has been set, or the footage has started anew.
const MAX_BACKWARDS: f64 = 1.0;
/// Coordinates beyond this many pixels are not of an image.
const MAX_COORDINATE: f32 = 1e6;
/// Frames that come no farther apart than this, seconds, are as many as one could wish;
const BRISK: f64 = 0.15;
/// no closer than this they are few, and
const SLOW: f64 = 0.2;
/// less overlap is asked for by this share: people move farther between two frames,
const SLOW_GATE: f64 = 0.2;
/// somebody new needs less of a score by this share, having fewer chances to be seen well,
const SLOW_SCORE: f32 = 0.04;
/// and is taken at the first sight. Found on the demo footage, TUD-Campus, TUD-Stadtmitte and MOT17, all at 5 frames/s.
const SLOW_HITS: u32 = 1;
/// Weight of the newest interval in what is usual.
const INTERVAL_LEARNING: f64 = 0.2;
/// At low frame rates somebody seen twice over this many seconds need not wait for more hits.
const CONFIRM_SECONDS: f64 = 0.2;
/// Weight of the past in a target's appearance, per detection (as in BoT-SORT and DeepSORT's successors).
const APPEARANCE_MEMORY: f32 = 0.9;

/// One detection handed to the tracker.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// Box in pixels of the frame.
    pub rect: Rect,
    /// The detector's confidence.
    pub score: f32,
    /// Appearance of the crop, when it was computed.
    pub descriptor: Option<&'a Descriptor>,
}

/// What a tracker trusts and for how long. Times are in seconds, so that one setting serves 3 to 30 analysed frames
/// a second; lengths are in heights of the person, so that near and far are treated alike.
///
/// [`Default`] suits detectors whose scores reach 1 (measured on the MOTChallenge's public detections of MOT17);
/// [`nanodet`](Self::nanodet) suits ours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrackerConfig {
    /// Detections from this score on are matched first, to everybody; the others only to confirmed people.
    pub high_score: f32,
    /// Detections below this score are not looked at.
    pub low_score: f32,
    /// An unmatched detection from this score on may be somebody new.
    pub new_score: f32,
    /// From this score on it is new at first sight, whatever [`confirm_hits`](Self::confirm_hits) says.
    pub sure_score: f32,
    /// Nobody is new who overlaps somebody followed, the lost among them, by more than this (IoU): it is a second box of the same
    /// person, or the person found again (TrackTrack, CVPR 2025).
    pub apart: f32,
    /// The score from which a box is measured as well as it gets.
    pub full_score: f32,
    /// Least overlap (`0.0..=1.0`, see [`height_power`](Self::height_power)) of a prediction and a high detection.
    pub gate_high: f64,
    /// The same for low detections.
    pub gate_low: f64,
    /// The same for people not yet confirmed.
    pub gate_new: f64,
    /// Overlap is IoU × (overlap of the vertical extents, as their IoU) to this power.
    pub height_power: f64,
    /// How fast the boxes compared grow on every side while somebody is lost, fraction of their size per second.
    pub search_growth: f64,
    /// Detections needed before somebody gets an identity (or two, at least 0.2 s apart: at low rates).
    pub confirm_hits: u32,
    /// An unconfirmed person not seen for so long is forgotten.
    pub max_tentative: f64,
    /// A confirmed person not seen for so long has left for good.
    pub max_lost: f64,
    /// Somebody known for only `t` seconds is waited for at most `least_wait + patience * t`.
    pub least_wait: f64,
    /// See [`least_wait`](Self::least_wait).
    pub patience: f64,
    /// For so long the predicted box of somebody not seen is still reported,
    pub coast: f64,
    /// or for so long while somebody nearer to the camera hides it,
    pub coast_hidden: f64,
    /// covering at least this share of it,
    pub hidden_overlap: f32,
    /// provided the person has been known for so long.
    pub coast_after: f64,
    /// Standard deviation of a measured box at full score, heights.
    pub measurement: f64,
    /// A box of score 0 is measured worse by a factor of one more than this.
    pub score_noise: f64,
    /// Random walk of positions, heights per √s.
    pub drift: f64,
    /// Random walk of velocities, heights/s per √s.
    pub agility: f64,
    /// Standard deviation of a new person's velocity, heights/s.
    pub initial_rate: f64,
    /// Share of these walks that applies to width and height.
    pub shape: f64,
    /// Share of the raw detection in the reported box; the rest is the filter's.
    pub raw_share: f32,
    /// What a confident detection is worth in the assignment, in units of overlap.
    pub score_weight: f64,
    /// What moving on in the same direction is worth.
    pub direction_weight: f64,
    /// Over how many seconds a direction is taken.
    pub direction_span: f64,
    /// What is lost per second (the first only) of not having been seen.
    pub age_penalty: f64,
    /// After a gap longer than this the filter is walked over it on the straight line (OC-SORT's re-update). `None`, the
    /// default, trusts the prediction instead: measured better on MOT17 (HOTA 53.5 against 52.7 at 0.2 s).
    pub replay_after: Option<f64>,
    /// Whether the camera may pan or shake.
    pub camera_motion: bool,
    /// How many times what chance explains a common shift must usually be, squared, before it is taken for the camera's; 0 takes every
    /// one. Well-placed boxes (MOT17's public ones) need no doubt, ours do: on cameras that stand still the median of a few people's
    /// errors, taken for the camera's motion, costs up to 2 HOTA.
    pub camera_doubt: f64,
    /// Share of a common shift that is taken for a lasting motion of the camera.
    pub camera_rate: f64,
    /// What a perfectly equal appearance is worth over an unrelated one. Used where descriptors are given.
    pub appearance_weight: f64,
    /// Appearances less similar than this (cosine) are not the same person.
    pub appearance_veto: f32,
    /// Somebody lost may be found again without overlap where the appearance is at least so similar (cosine): by colour stripes,
    pub appearance_revive: f32,
    /// or by a learned network.
    pub appearance_revive_learned: f32,
    /// How fast somebody may get away while lost, heights/s: where such a revival is looked for.
    pub revive_speed: f64,
    /// Width and height of the frame in pixels; whoever is lost with the centre outside has left.
    pub frame: Option<(f32, f32)>,
}

impl Default for TrackerConfig {
    fn default() -> Self {
        Self {
            high_score: 0.6,
            low_score: 0.1,
            new_score: 0.95,
            sure_score: 0.97,
            apart: 0.28,
            full_score: 1.0,
            gate_high: 0.3,
            gate_low: 0.5,
            gate_new: 0.2,
            height_power: 1.0,
            search_growth: 0.2,
            confirm_hits: 3,
            max_tentative: 0.1,
            max_lost: 2.5,
            least_wait: 0.25,
            patience: 2.0,
            coast: 0.25,
            coast_hidden: 1.0,
            hidden_overlap: 0.2,
            coast_after: 0.6,
            measurement: 0.05,
            score_noise: 3.0,
            drift: 0.2,
            agility: 0.4,
            initial_rate: 2.0,
            shape: 0.3,
            raw_share: 0.3,
            score_weight: 0.1,
            direction_weight: 0.05,
            direction_span: 0.1,
            age_penalty: 0.05,
            replay_after: None,
            camera_motion: true,
            camera_doubt: 0.0,
            camera_rate: 0.3,
            appearance_weight: 0.3,
            appearance_veto: 0.2,
            appearance_revive: 0.9,
            appearance_revive_learned: 0.7,
            revive_speed: 1.0,
            frame: None,
        }
    }
}

impl TrackerConfig {
    /// For NanoDet, whose scores of persons lie between .3 and .8.
    pub fn nanodet() -> Self {
        Self {
            high_score: 0.4,
            low_score: 0.1,
            new_score: 0.6,
            sure_score: 0.65,
            full_score: 0.8,
            confirm_hits: 2,
            camera_doubt: 1.0,
            ..Self::default()
        }
    }

    /// The same for a camera whose frames come `dt` seconds apart. Where frames are few, people move farther between two of
    /// them and have fewer chances to be seen well: less overlap is asked for, and less waiting.
    fn paced(&self, dt: f64) -> Self {
        let slow = ((dt - BRISK) / (SLOW - BRISK)).clamp(0.0, 1.0);
        let gate = 1.0 - SLOW_GATE * slow;
        let score = 1.0 - SLOW_SCORE * slow as f32;
        Self {
            gate_high: self.gate_high * gate,
            gate_low: self.gate_low * gate,
            new_score: self.new_score * score,
            sure_score: self.sure_score * score,
            confirm_hits: if slow >= 0.5 { SLOW_HITS.min(self.confirm_hits) } else { self.confirm_hits },
            least_wait: self.least_wait * (1.0 + slow), // a frame in between may miss anybody
            ..self.clone()
        }
    }

    fn noise(&self) -> Noise {
        Noise {
            measurement: self.measurement,
            drift: self.drift,
            agility: self.agility,
            initial_rate: self.initial_rate,
            shape: self.shape,
        }
    }

    fn confidence(&self, score: f32) -> f64 {
        f64::from((score / self.full_score).clamp(0.0, 1.0))
    }
}

/// What one step made of the observations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// The confirmed tracks of this instant, measured on it or coasting for a short while, sorted by id.
    pub tracks: Vec<Track>,
    /// For every observation, the confirmed track it belongs to; no track twice.
    pub matched: Vec<Option<TrackId>>,
    /// The confirmed tracks that ended with this step, for good; sorted.
    pub ended: Vec<TrackId>,
}

/// Follows people through one camera's detections.
///
/// ```text
/// predict → shift by the camera's motion → high detections ↔ confirmed → low ↔ the rest, → by appearance ↔ the lost,
/// → high ↔ unconfirmed → somebody new
/// ```
#[derive(Clone, Debug)]
pub struct Tracker {
    config: TrackerConfig,
    targets: Vec<Target>,
    last_id: u64,
    now: Option<Timestamp>,
    /// Between two frames, seconds, usually.
    interval: Option<f64>,
    shake: Shake,
}

impl Tracker {
    /// A tracker that has seen nobody yet.
    pub fn new(config: TrackerConfig) -> Self {
        Self { config, targets: Vec::new(), last_id: 0, now: None, interval: None, shake: Shake::default() }
    }

    /// Tells the size of the frames from now on, pixels; see [`TrackerConfig::frame`].
    pub fn set_frame(&mut self, size: (f32, f32)) {
        self.config.frame = Some(size);
    }

    /// Ends all tracks and returns the confirmed ones, sorted; their ids are not used again. The next step may be at
    /// any instant.
    pub fn reset(&mut self) -> Vec<TrackId> {
        self.now = None;
        let mut ended: Vec<TrackId> = self.targets.drain(..).filter_map(|t| t.id).collect();
        ended.sort_unstable();
        ended
    }

    /// Takes the detections of the frame of instant `at`, which may lie any time after the step before.
    ///
    /// Bad input is survived: observations with a NaN, an infinity, an empty box or coordinates beyond a million
    /// pixels are passed over (`None` in [`Step::matched`]). A step that is not later than the one before is taken at
    /// that one's instant; where time has jumped back by more than a second, or ahead by more than
    /// [`max_lost`](TrackerConfig::max_lost), all tracks end and tracking starts anew at `at`.
    pub fn step(&mut self, at: Timestamp, observations: &[Observation<'_>]) -> Step {
        let mut ended = Vec::new();
        let passed = |from: Timestamp| at.0.saturating_sub(from.0) as f64 / 1e6;
        if self.now.is_some_and(|now| passed(now) < -MAX_BACKWARDS || passed(now) > self.config.max_lost) {
            ended = self.reset();
        }
        let dt = self.now.map_or(0.0, |now| passed(now).max(0.0));
        let at = self.now.map_or(at, |now| now.max(at));
        self.now = Some(at);
        // A single gap is not a slow camera.
        let usual = self.interval.map_or(dt, |interval| interval.min(dt));
        if dt > 0.0 {
            self.interval = Some(self.interval.map_or(dt, |interval| interval + INTERVAL_LEARNING * (dt - interval)));
        }
        let config = self.config.paced(usual);
        let noise = config.noise();
        for target in &mut self.targets {
            target.predict(dt, &noise);
        }

        let mut pool = Pool::new(observations, &config);
        let hits = self.associate(&mut pool, dt, &config);

        let mut matched = vec![None; observations.len()];
        for (target, hit) in self.targets.iter_mut().zip(hits) {
            let Some((index, observation)) = hit.and_then(|i| Some((i, observations.get(i)?))) else { continue };
            target.measure(observation, at, &config, &noise);
            if target.id.is_none() && target.is_established(&config) {
                self.last_id += 1;
                target.id = Some(TrackId(self.last_id));
            }
            if let Some(slot) = matched.get_mut(index) {
                *slot = target.id;
            }
        }
        let config = &config;
        self.targets.retain(|target| {
            let stays = target.is_awaited(config);
            if !stays {
                ended.extend(target.id);
            }
            stays
        });
        for (index, observation) in pool.high.left().filter(|(_, o)| o.score >= config.new_score) {
            if !self.is_apart(&observation.rect) {
                continue;
            }
            let mut target = Target::new(observation, at, &noise);
            if target.is_established(config) || observation.score >= config.sure_score {
                self.last_id += 1;
                target.id = Some(TrackId(self.last_id));
            }
            if let Some(slot) = matched.get_mut(index) {
                *slot = target.id;
            }
            self.targets.push(target);
        }
        ended.sort_unstable();
        Step { tracks: self.report(at), matched, ended }
    }

    /// Whether nobody who is followed is or may be there.
    fn is_apart(&self, rect: &Rect) -> bool {
        !self.targets.iter().any(|t| t.id.is_some() && t.motion.rect().iou(rect) > self.config.apart)
    }

    /// For every target, the observation it is matched with.
    fn associate(&mut self, pool: &mut Pool<'_>, dt: f64, config: &TrackerConfig) -> Vec<Option<usize>> {
        let mut hits: Vec<Option<usize>> = vec![None; self.targets.len()];
        let select = |targets: &[Target], hits: &[Option<usize>], wanted: &dyn Fn(&Target) -> bool| -> Vec<usize> {
            let free = hits.iter().map(Option::is_none);
            targets.iter().zip(free).enumerate().filter(|(_, (t, free))| *free && wanted(t)).map(|(i, _)| i).collect()
        };
        let confirmed = |t: &Target| t.id.is_some();

        let everybody = select(&self.targets, &hits, &confirmed);
        let mut pairs = pool.high.match_up(
            &self.targets,
            &everybody,
            |t, o| t.gain(o, config.gate_high, true, config),
            |t, w| t.touching(true, w, config),
        );
        if config.camera_motion
            && let Some((dx, dy)) = self.shake.of(&shifts(&self.targets, &pairs, &pool.high), config.camera_doubt)
        {
            let rate = if dt > 0.0 { config.camera_rate / dt } else { 0.0 };
            self.targets.iter_mut().for_each(|t| t.shift(dx, dy, rate));
            pairs = pool.high.match_up(
                &self.targets,
                &everybody,
                |t, o| t.gain(o, config.gate_high, true, config),
                |t, w| t.touching(true, w, config),
            );
        }
        let targets = &self.targets;
        pool.high.take(&pairs, &mut hits);
        let rest = select(targets, &hits, &confirmed);
        let pairs = pool.low.match_up(
            targets,
            &rest,
            |t, o| t.gain(o, config.gate_low, false, config),
            |t, w| t.touching(false, w, config),
        );
        pool.low.take(&pairs, &mut hits);
        let lost = select(targets, &hits, &|t| confirmed(t) && t.descriptor.is_some());
        let pairs = pool.high.match_up(targets, &lost, |t, o| t.revival(o, config), |t, _| t.within_reach(config));
        pool.high.take(&pairs, &mut hits);
        let unconfirmed = select(targets, &hits, &|t| !confirmed(t));
        let pairs = pool.high.match_up(
            targets,
            &unconfirmed,
            |t, o| t.gain(o, config.gate_new, false, config),
            |t, w| t.touching(false, w, config),
        );
        pool.high.take(&pairs, &mut hits);
        hits
    }

    fn report(&self, at: Timestamp) -> Vec<Track> {
        let config = &self.config;
        let fronts = LazyCell::new(|| Fronts::new(&self.targets));
        let mut tracks: Vec<Track> = self
            .targets
            .iter()
            .filter(|t| {
                let coasts = |limit: f64| t.age <= limit && t.known_for() >= config.coast_after;
                t.age == 0.0 || coasts(config.coast) || coasts(config.coast_hidden) && fronts.hide(t, config)
            })
            .filter_map(|t| {
                let predicted = t.motion.rect();
                let rect = if t.age == 0.0 { between(&predicted, &t.last_rect, config.raw_share) } else { predicted };
                Some(Track {
                    id: t.id?,
                    rect,
                    velocity: t.motion.velocity(),
                    at,
                    measured_at: t.measured_at,
                    first_seen: t.first_seen,
                    score: t.score,
                    hits: t.hits,
                })
            })
            .collect();
        tracks.sort_unstable_by_key(|t| t.id);
        tracks
    }
}

/// Whoever was seen right now, and so may stand before somebody else.
struct Fronts {
    rects: Vec<Rect>,
    sweep: Sweep,
}

impl Fronts {
    fn new(targets: &[Target]) -> Self {
        let rects: Vec<Rect> = targets.iter().filter(|t| t.age == 0.0).map(|t| t.motion.rect()).collect();
        let sweep = Sweep::new(&rects);
        Self { rects, sweep }
    }

    /// Whether somebody whose feet are lower in the picture, and who is so nearer, stands before the target.
    fn hide(&self, target: &Target, config: &TrackerConfig) -> bool {
        let rect = target.motion.rect();
        self.sweep.near(rect.x, rect.right()).filter_map(|i| self.rects.get(i)).any(|front| {
            front.bottom() > rect.bottom() && front.intersection(&rect).area() > config.hidden_overlap * rect.area()
        })
    }
}

/// The observations of a frame.
struct Pool<'a> {
    high: Candidates<'a>,
    low: Candidates<'a>,
}

impl<'a> Pool<'a> {
    fn new(observations: &'a [Observation<'a>], config: &TrackerConfig) -> Self {
        let mut usable: Vec<(usize, &Observation<'_>)> = observations
            .iter()
            .enumerate()
            .filter(|(_, o)| is_box(&o.rect))
            .filter(|(_, o)| o.score.is_finite() && o.score >= config.low_score)
            .collect();
        // Equals keep the caller's order.
        usable.sort_unstable_by(|(i, a), (j, b)| b.score.total_cmp(&a.score).then(i.cmp(j)));
        let low = usable.split_off(usable.partition_point(|(_, o)| o.score >= config.high_score));
        Self { high: Candidates::new(usable), low: Candidates::new(low) }
    }
}

/// Observations, best score first, and which of them nobody has claimed yet.
struct Candidates<'a> {
    /// With their index in the frame's observations.
    all: Vec<(usize, &'a Observation<'a>)>,
    free: Vec<bool>,
    sweep: Sweep,
}

impl<'a> Candidates<'a> {
    fn new(all: Vec<(usize, &'a Observation<'a>)>) -> Self {
        Self { free: vec![true; all.len()], sweep: Sweep::new(all.iter().map(|(_, o)| &o.rect)), all }
    }

    /// The best pairs of targets (those named by `who`) and free candidates, as their indices. `gain` says what a pair is
    /// worth, `columns` where in the picture a candidate must reach for that, given the width of the widest.
    fn match_up(
        &self,
        targets: &[Target],
        who: &[usize],
        gain: impl Fn(&Prepared<'_>, &Observation<'_>) -> Option<f64>,
        columns: impl Fn(&Prepared<'_>, f32) -> (f32, f32),
    ) -> Vec<(usize, usize)> {
        let mut edges = Vec::new();
        for (row, target) in who.iter().enumerate() {
            let Some(target) = targets.get(*target) else { continue };
            let prepared = Prepared::new(target);
            let (from, to) = columns(&prepared, self.sweep.widest());
            for col in self.sweep.near(from, to).filter(|col| self.free.get(*col) == Some(&true)) {
                let gain = self.all.get(col).and_then(|(_, observation)| gain(&prepared, observation));
                edges.extend(gain.map(|gain| Edge { row, col, gain }));
            }
        }
        let chosen = assign(who.len(), self.all.len(), &edges);
        who.iter().zip(chosen).filter_map(|(target, col)| Some((*target, col?))).collect()
    }

    /// Notes the pairs of target and candidate; the candidates are not free any more.
    fn take(&mut self, pairs: &[(usize, usize)], hits: &mut [Option<usize>]) {
        for (target, col) in pairs {
            if let (Some(hit), Some((index, _))) = (hits.get_mut(*target), self.all.get(*col)) {
                *hit = Some(*index);
            }
            if let Some(free) = self.free.get_mut(*col) {
                *free = false;
            }
        }
    }

    /// The free ones, with their index in the frame's observations.
    fn left(&self) -> impl Iterator<Item = (usize, &'a Observation<'a>)> {
        self.all.iter().zip(&self.free).filter(|(_, free)| **free).map(|(candidate, _)| *candidate)
    }
}

/// How far from where they were expected the people seen on the frame before are now.
fn shifts(targets: &[Target], pairs: &[(usize, usize)], candidates: &Candidates<'_>) -> Vec<(f64, f64)> {
    let shift = |(target, observation): &(usize, usize)| {
        let target = targets.get(*target).filter(|t| t.hits >= 3 && t.missed.len() == 1)?;
        let (_, observation) = candidates.all.get(*observation)?;
        Some(offset(&target.motion.rect(), &observation.rect))
    };
    pairs.iter().filter_map(shift).collect()
}

/// Somebody being followed, confirmed (with an id) or not yet.
#[derive(Clone, Debug)]
struct Target {
    id: Option<TrackId>,
    motion: Motion,
    /// [`motion`](Self::motion) as the last measurement left it.
    anchor: Motion,
    last_rect: Rect,
    /// The lengths of the steps since the last measurement, seconds.
    missed: Vec<f64>,
    /// Their sum.
    age: f64,
    /// Measured boxes back to [`TrackerConfig::direction_span`], oldest first.
    trail: VecDeque<(Timestamp, Rect)>,
    descriptor: Option<(DescriptorKind, Vec<f32>)>,
    first_seen: Timestamp,
    measured_at: Timestamp,
    score: f32,
    hits: u32,
}

/// A target with what is the same for all candidates of a step.
struct Prepared<'a> {
    target: &'a Target,
    rect: Rect,
    /// Where it was a moment ago and its direction since, of unit length.
    heading: Option<(Rect, (f64, f64))>,
}

impl<'a> Prepared<'a> {
    fn new(target: &'a Target) -> Self {
        Self { target, rect: target.motion.rect(), heading: target.heading() }
    }

    /// How much boxes are grown on every side before they are compared, fraction of their size.
    fn growth(&self, wide: bool, config: &TrackerConfig) -> f32 {
        if wide { (config.search_growth * self.target.age) as f32 } else { 0.0 }
    }

    /// The columns of the picture into which all reach that [`gain`](Self::gain) may take.
    fn touching(&self, wide: bool, widest: f32, config: &TrackerConfig) -> (f32, f32) {
        let margin = self.growth(wide, config) * (self.rect.w + widest);
        (self.rect.x - margin, self.rect.right() + margin)
    }

    /// The columns into which all reach that [`revival`](Self::revival) may take.
    fn within_reach(&self, config: &TrackerConfig) -> (f32, f32) {
        let (x, _) = self.rect.center();
        let reach = self.reach(config) as f32;
        (x - reach, x + reach)
    }

    /// Whether somebody lost may be there by now.
    fn is_near(&self, b: &Rect, config: &TrackerConfig) -> bool {
        let a = &self.rect;
        let (dx, dy) = offset(a, b);
        a.h.min(b.h) / a.h.max(b.h) > 0.5 && length(dx, dy) <= self.reach(config)
    }

    /// How far away somebody lost may be, pixels.
    fn reach(&self, config: &TrackerConfig) -> f64 {
        f64::from(self.rect.h) * (0.5 + config.revive_speed * self.target.age)
    }

    /// What the pair is worth in the assignment; `None` when they do not overlap enough. `wide`: the boxes of somebody
    /// lost are grown, and score, direction and age count.
    fn gain(&self, observation: &Observation<'_>, gate: f64, wide: bool, config: &TrackerConfig) -> Option<f64> {
        let (a, b, target) = (&self.rect, &observation.rect, self.target);
        let common = a.bottom().min(b.bottom()) - a.y.max(b.y);
        let extent = a.bottom().max(b.bottom()) - a.y.min(b.y);
        if common <= 0.0 {
            return None; // most of those in the same columns
        }
        let growth = self.growth(wide, config);
        let iou = f64::from(if growth > 0.0 { a.grown(growth).iou(&b.grown(growth)) } else { a.iou(b) });
        if iou <= gate {
            return None;
        }
        let heights = f64::from(common / extent);
        let overlap = iou * if config.height_power == 1.0 { heights } else { heights.powf(config.height_power) };
        if overlap < gate {
            return None;
        }
        let mut gain = overlap - gate;
        if wide {
            let confidence = config.confidence(observation.score);
            gain += config.score_weight * confidence - config.age_penalty * target.age.min(1.0);
            if let Some((from, (hx, hy))) = self.heading {
                let (dx, dy) = offset(&from, b);
                let length = length(dx, dy);
                if length > 0.0 {
                    gain += config.direction_weight * confidence * (hx * dx + hy * dy) / length;
                }
            }
        }
        if let Some(similarity) = target.similarity(observation.descriptor) {
            if similarity < config.appearance_veto {
                return None;
            }
            gain += config.appearance_weight * f64::from(similarity);
        }
        Some(gain.max(1e-6)) // whatever else is said, an overlap above the gate is worth something
    }

    /// What finding somebody lost again by appearance alone is worth; `None` when too different or too far.
    fn revival(&self, observation: &Observation<'_>, config: &TrackerConfig) -> Option<f64> {
        if observation.score < config.new_score {
            return None; // what is too weak to be somebody new is too weak to be somebody far away
        }
        let similarity = self.target.similarity(observation.descriptor)?;
        let least = match self.target.descriptor.as_ref()?.0 {
            DescriptorKind::ColourStripes => config.appearance_revive,
            DescriptorKind::Learned => config.appearance_revive_learned,
        };
        let found = similarity >= least && self.is_near(&observation.rect, config);
        found.then_some(f64::from(similarity))
    }
}

impl Target {
    fn new(observation: &Observation<'_>, at: Timestamp, noise: &Noise) -> Self {
        let motion = Motion::new(&observation.rect, noise);
        Self {
            id: None,
            motion,
            anchor: motion,
            last_rect: observation.rect,
            missed: Vec::new(),
            age: 0.0,
            trail: VecDeque::from([(at, observation.rect)]),
            descriptor: observation.descriptor.map(|d| (d.kind, d.vector.to_vec())),
            first_seen: at,
            measured_at: at,
            score: observation.score,
            hits: 1,
        }
    }

    fn predict(&mut self, dt: f64, noise: &Noise) {
        self.motion.predict(dt, noise);
        self.age += dt;
        self.missed.push(dt);
    }

    fn shift(&mut self, dx: f64, dy: f64, rate: f64) {
        self.motion.shift(dx, dy, rate);
        self.anchor.shift(dx, dy, 0.0);
        for rect in self.trail.iter_mut().map(|(_, rect)| rect).chain([&mut self.last_rect]) {
            rect.x += dx as f32;
            rect.y += dy as f32;
        }
    }

    fn measure(&mut self, observation: &Observation<'_>, at: Timestamp, config: &TrackerConfig, noise: &Noise) {
        if self.missed.len() > 1 && config.replay_after.is_some_and(|after| self.age > after) {
            self.replay(&observation.rect, noise);
        }
        let doubt = 1.0 - config.confidence(observation.score);
        self.motion.update(&observation.rect, 1.0 + config.score_noise * doubt, noise);
        self.anchor = self.motion;
        self.last_rect = observation.rect;
        self.missed.clear();
        self.age = 0.0;
        self.trail.push_back((at, observation.rect));
        // The front is the youngest box that is at least the span old.
        while self.trail.get(1).is_some_and(|(t, _)| at.seconds_since(*t) >= config.direction_span - 1e-3) {
            self.trail.pop_front();
        }
        if observation.score >= config.high_score
            && let Some(new) = observation.descriptor
        {
            self.learn(new);
        }
        self.measured_at = at;
        self.score = observation.score;
        self.hits = self.hits.saturating_add(1);
    }

    /// OC-SORT's observation-centric re-update: back to the last measurement, then over the gap on a straight line.
    fn replay(&mut self, found: &Rect, noise: &Noise) {
        self.motion = self.anchor;
        let mut passed = 0.0;
        for (step, dt) in self.missed.iter().enumerate() {
            self.motion.predict(*dt, noise);
            passed += dt;
            if step + 1 < self.missed.len() {
                self.motion.update(&between(&self.last_rect, found, (passed / self.age) as f32), 1.0, noise);
            }
        }
    }

    fn learn(&mut self, new: &Descriptor) {
        match &mut self.descriptor {
            Some((kind, vector)) if *kind == new.kind && vector.len() == new.vector.len() => {
                for (old, new) in vector.iter_mut().zip(new.vector.iter()) {
                    *old = APPEARANCE_MEMORY * *old + (1.0 - APPEARANCE_MEMORY) * new;
                }
                let norm = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
                if norm > 0.0 {
                    vector.iter_mut().for_each(|v| *v /= norm);
                }
            }
            other => *other = Some((new.kind, new.vector.to_vec())),
        }
    }

    /// Cosine similarity, where both sides have comparable descriptors.
    fn similarity(&self, other: Option<&Descriptor>) -> Option<f32> {
        let ((kind, vector), other) = (self.descriptor.as_ref()?, other?);
        let comparable = *kind == other.kind && vector.len() == other.vector.len();
        let cosine = || vector.iter().zip(other.vector.iter()).map(|(a, b)| a * b).sum::<f32>();
        comparable.then(cosine).filter(|cosine| cosine.is_finite())
    }

    fn heading(&self) -> Option<(Rect, (f64, f64))> {
        let ((_, from), (_, to)) = (self.trail.front()?, self.trail.back()?);
        let (dx, dy) = offset(from, to);
        let length = length(dx, dy);
        (length > 0.0).then(|| (*from, (dx / length, dy / length)))
    }

    /// Seconds from the first to the last detection.
    fn known_for(&self) -> f64 {
        self.measured_at.seconds_since(self.first_seen)
    }

    fn is_established(&self, config: &TrackerConfig) -> bool {
        self.hits >= config.confirm_hits || self.hits >= 2 && self.known_for() >= CONFIRM_SECONDS
    }

    fn is_awaited(&self, config: &TrackerConfig) -> bool {
        let (x, y) = self.motion.rect().center();
        let inside = config.frame.is_none_or(|(w, h)| Rect::new(0.0, 0.0, w, h).contains(x, y));
        let limit = if self.id.is_some() {
            config.max_lost.min(config.least_wait + config.patience * self.known_for())
        } else {
            config.max_tentative
        };
        self.age == 0.0 || inside && self.age <= limit
    }
}

/// Whether this can be a box in an image: finite, not empty, within a million pixels.
pub(super) fn is_box(&Rect { x, y, w, h }: &Rect) -> bool {
    // NaN fails every comparison
    [x, y, w, h].iter().all(|v| v.abs() < MAX_COORDINATE) && w > 0.0 && h > 0.0
}

/// From the centre of one box to that of the other.
fn offset(from: &Rect, to: &Rect) -> (f64, f64) {
    let (a, b) = (from.center(), to.center());
    (f64::from(b.0 - a.0), f64::from(b.1 - a.1))
}

/// Pixels; `hypot`'s care for huge numbers costs more than the rest of a pair's gain.
fn length(dx: f64, dy: f64) -> f64 {
    (dx * dx + dy * dy).sqrt()
}

/// The box at `share` of the way from `a` to `b`.
pub(super) fn between(a: &Rect, b: &Rect, share: f32) -> Rect {
    let mix = |a: f32, b: f32| a + (b - a) * share;
    Rect::new(mix(a.x, b.x), mix(a.y, b.y), mix(a.w, b.w), mix(a.h, b.h))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{collections::BTreeSet, sync::Arc};

    type Seen = (Rect, f32);

    fn at(seconds: f64) -> Timestamp {
        Timestamp((seconds * 1e6) as i64)
    }

    fn person(cx: f64, cy: f64) -> Seen {
        (Rect::new(cx as f32 - 20.0, cy as f32 - 50.0, 40.0, 100.0), 0.99)
    }

    fn step(tracker: &mut Tracker, seconds: f64, seen: &[Seen]) -> Step {
        let observations: Vec<Observation<'_>> =
            seen.iter().map(|(rect, score)| Observation { rect: *rect, score: *score, descriptor: None }).collect();
        tracker.step(at(seconds), &observations)
    }

    fn walk(fps: f64, from: f64, to: f64, mut f: impl FnMut(f64)) {
        let (first, last) = ((from * fps).ceil() as u32, (to * fps) as u32);
        (first..=last).for_each(|i| f(f64::from(i) / fps));
    }

    fn any_number() -> impl Strategy<Value = f32> {
        prop_oneof![
            8 => -100.0f32..2000.0,
            1 => any::<f32>(),
            1 => prop_oneof![Just(f32::NAN), Just(f32::INFINITY), Just(0.0), Just(-5.0)],
        ]
    }

    fn any_steps() -> impl Strategy<Value = Vec<(i64, Vec<Seen>)>> {
        let seen = prop_oneof![
            (any_number(), any_number(), any_number(), any_number(), any_number())
                .prop_map(|(x, y, w, h, s)| (Rect::new(x, y, w, h), s)),
            (0..6u8, 0.0f32..8.0, 0.3f32..1.0)
                .prop_map(|(i, dx, s)| { (Rect::new(f32::from(i) * 70.0 + dx, 200.0, 40.0, 100.0), s) }),
        ];
        let gap = prop_oneof![8 => 0i64..200_000, 1 => -3_000_000i64..9_000_000, 1 => any::<i64>()];
        proptest::collection::vec((gap, proptest::collection::vec(seen, 0..8)), 1..25)
    }

    proptest! {
        #[test]
        fn any_input_keeps_the_promises(steps in any_steps()) {
            let mut trackers = [(); 2].map(|()| Tracker::new(TrackerConfig::default()));
            let (mut now, mut highest, mut over) = (0i64, 0, BTreeSet::new());
            for (gap, seen) in steps {
                now = now.saturating_add(gap);
                let observations: Vec<Observation<'_>> =
                    seen.iter().map(|(rect, score)| Observation { rect: *rect, score: *score, descriptor: None }).collect();
                let [step, again] = trackers.each_mut().map(|t| t.step(Timestamp(now), &observations));
                prop_assert_eq!(format!("{step:?}"), format!("{again:?}"), "not deterministic");
                prop_assert_eq!(step.matched.len(), seen.len());
                prop_assert!(step.tracks.is_sorted_by(|a, b| a.id < b.id), "an id twice, or out of order");
                let mut claimed = BTreeSet::new();
                for id in step.matched.iter().flatten() {
                    prop_assert!(claimed.insert(*id), "two observations of one track");
                    let track = step.tracks.iter().find(|t| t.id == *id);
                    prop_assert!(track.is_some_and(|t| t.measured_at == t.at), "matched but not measured");
                }
                over.extend(step.ended.iter().copied());
                for track in &step.tracks {
                    prop_assert!(!over.contains(&track.id), "an ended id came back");
                    prop_assert!([track.rect.x, track.rect.y, track.rect.w, track.rect.h].iter().all(|v| v.is_finite()));
                }
                let newest = step.tracks.iter().map(|t| t.id.0).max().unwrap_or(0);
                highest = highest.max(newest);
            }
            let [mut tracker, _] = trackers;
            over.extend(tracker.reset());
            let mut fresh = None;
            for i in 0..5 {
                fresh = step(&mut tracker, f64::from(i) / 30.0, &[person(500.0, 500.0)]).matched[0].or(fresh);
            }
            prop_assert!(fresh.is_some_and(|id| id.0 > highest && !over.contains(&id)), "an id was used again");
        }

        #[test]
        fn a_steady_walker_keeps_one_id(
            fps in 5.0f64..30.0,
            speed in -80.0f64..80.0,
            jitter in proptest::collection::vec((-2.0f64..2.0, -2.0f64..2.0, 0u8..10), 400),
        ) {
            let mut tracker = Tracker::new(TrackerConfig::default());
            let (mut ids, mut i, mut missed) = (BTreeSet::<TrackId>::new(), 0, false);
            walk(fps, 0.0, 8.0, |t| {
                let (dx, dy, luck) = jitter[i];
                i += 1;
                let seen = person(960.0 + speed * t + dx, 540.0 + dy);
                // one detection in ten is missed, never two in a row, nor the second of all, before which nobody knows where the
                // walker goes, and a whole second behind a pillar
                missed = luck == 0 && !missed && i > 2;
                let hidden = missed || (4.0..5.0).contains(&t);
                ids.extend(step(&mut tracker, t, if hidden { &[] } else { std::slice::from_ref(&seen) }).matched.iter().flatten());
            });
            prop_assert_eq!(ids.len(), 1);
        }
    }

    #[test]
    fn people_who_cross_keep_their_ids() {
        for fps in [5.0, 10.0, 30.0] {
            let mut tracker = Tracker::new(TrackerConfig::default());
            let (mut before, mut after) = (Vec::new(), Vec::new());
            walk(fps, 0.0, 8.0, |t| {
                let pair = [person(600.0 + 60.0 * t, 500.0), person(1080.0 - 60.0 * t, 508.0)];
                let hidden = (3.8..4.2).contains(&t); // the farther one behind the nearer one
                let found = step(&mut tracker, t, if hidden { &pair[1..] } else { &pair });
                if t < 2.0 {
                    before = found.matched;
                } else {
                    after = found.matched;
                }
            });
            assert!(before.iter().all(Option::is_some));
            assert_eq!(before, after, "at {fps} frames/s");
        }
    }

    #[test]
    fn the_lost_move_with_the_camera() {
        let run = |camera_motion| {
            let mut tracker = Tracker::new(TrackerConfig { camera_motion, ..TrackerConfig::default() });
            let mut ids = BTreeSet::<TrackId>::new();
            walk(30.0, 0.0, 3.0, |t| {
                let pan = 200.0 * (t - 1.5).clamp(0.0, 0.6);
                let mut crowd: Vec<Seen> = (0..6).map(|i| person(300.0 + 200.0 * f64::from(i) + pan, 500.0)).collect();
                if (1.4..2.2).contains(&t) {
                    crowd.pop(); // one of them is out of sight while the camera pans
                }
                ids.extend(step(&mut tracker, t, &crowd).matched.iter().flatten().copied());
            });
            ids.len()
        };
        assert_eq!((run(true), run(false)), (6, 7));
    }

    #[test]
    fn low_scores_prolong_tracks_but_never_begin_one() {
        let mut tracker = Tracker::new(TrackerConfig::default());
        let seen = |score| [(person(500.0, 500.0).0, score)];
        walk(30.0, 0.0, 1.0, |t| assert_eq!(step(&mut tracker, t, &seen(0.3)).tracks, []));
        walk(30.0, 1.1, 2.0, |t| drop(step(&mut tracker, t, &seen(0.99))));
        walk(30.0, 2.1, 4.0, |t| assert_eq!(step(&mut tracker, t, &seen(0.3)).matched, [Some(TrackId(1))]));
    }

    #[test]
    fn the_sure_are_taken_at_first_sight_and_a_second_box_never() {
        let config = TrackerConfig::default();
        // after how many frames of the second one there are two people
        let frames = |score: f32, x: f64| {
            let mut tracker = Tracker::new(config.clone());
            walk(30.0, 0.0, 2.0, |t| drop(step(&mut tracker, t, &[person(500.0, 500.0)])));
            let both = [person(500.0, 500.0), (person(x, 500.0).0, score)];
            (1..9).find(|i| step(&mut tracker, 2.0 + f64::from(*i) / 30.0, &both).matched[1].is_some())
        };
        assert_eq!(frames(config.sure_score, 900.0), Some(1));
        assert_eq!(frames(config.new_score, 900.0), Some(config.confirm_hits));
        assert_eq!(frames(config.sure_score, 515.0), None, "a second box of the same person");
    }

    #[test]
    fn where_frames_are_few_all_who_are_new_are_taken_at_first_sight() {
        let first_sight = |fps: f64, gap: f64| {
            let mut tracker = Tracker::new(TrackerConfig { sure_score: 2.0, ..TrackerConfig::default() });
            walk(fps, 0.0, 2.0, |t| drop(step(&mut tracker, t, &[person(500.0, 500.0)])));
            let both = [person(500.0, 500.0), person(900.0, 500.0)];
            step(&mut tracker, 2.0 + gap, &both).matched[1].is_some()
        };
        assert!(first_sight(5.0, 0.2));
        assert!(!first_sight(10.0, 0.1));
        assert!(!first_sight(10.0, 0.3), "one gap does not make a camera slow");
    }

    #[test]
    fn an_unseen_track_coasts_then_hides_then_ends() {
        let config = TrackerConfig::default();
        let mut tracker = Tracker::new(config.clone());
        walk(30.0, 0.0, 2.0, |t| drop(step(&mut tracker, t, &[person(500.0 + 30.0 * t, 500.0)])));
        let coasting = step(&mut tracker, 2.1, &[]);
        assert_eq!((coasting.tracks[0].measured_at, coasting.tracks[0].at), (at(2.0), at(2.1)));
        assert!((coasting.tracks[0].rect.center().0 - 563.0).abs() < 3.0, "moves on at its velocity");
        assert_eq!(step(&mut tracker, 2.0 + config.coast + 0.1, &[]), Step::default(), "no longer shown, not ended");
        assert_eq!(step(&mut tracker, 2.0 + config.max_lost + 0.1, &[]).ended, [TrackId(1)]);
    }

    #[test]
    fn appearance_tells_apart_what_overlap_cannot() {
        let look = |x: f32, y: f32| Descriptor { kind: DescriptorKind::Learned, vector: Arc::from([x, y]) };
        let (red, blue) = (look(1.0, 0.0), look(0.0, 1.0));
        let mut tracker = Tracker::new(TrackerConfig::default());
        let mut run = |t: f64, a: (f64, &Descriptor), b: (f64, &Descriptor)| {
            let seen = [a, b].map(|(x, d)| Observation { rect: person(x, 500.0).0, score: 0.99, descriptor: Some(d) });
            tracker.step(at(t), &seen).matched
        };
        let mut first = Vec::new();
        walk(30.0, 0.0, 1.0, |t| first = run(t, (500.0, &red), (600.0 - 80.0 * t, &blue)));
        // the two have swapped places between two frames, and later, unseen for a while, come back elsewhere
        assert_eq!(run(1.1, (520.0, &red), (500.0, &blue)), first);
        assert_eq!(run(2.1, (590.0, &red), (430.0, &blue)), first);
    }

    #[test]
    fn time_that_jumps_back_begins_anew() {
        let mut tracker = Tracker::new(TrackerConfig::default());
        walk(30.0, 100.0, 101.0, |t| drop(step(&mut tracker, t, &[person(500.0, 500.0)])));
        assert_eq!(step(&mut tracker, 100.9, &[person(500.0, 500.0)]).matched, [Some(TrackId(1))], "a little late");
        let anew = step(&mut tracker, 5.0, &[person(500.0, 500.0)]);
        assert_eq!((anew.ended, anew.matched), (vec![TrackId(1)], vec![Some(TrackId(2))]));
    }
}
