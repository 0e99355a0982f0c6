//! What a site learns by itself about views that overlap: where a place on the ground of one is in the other.
//!
//! Whoever walks through both views at once gives pairs of places; who that is nobody says, so the homography is the one that most
//! walks of both views agree with (RANSAC), and nothing is learned where they do not agree, or by chance as much.
use super::homography::{Foot, Homography};
use crate::model::{CameraId, CommonGround, Descriptor, Rect, Timestamp, TrackId};
use std::collections::{BTreeMap, VecDeque};

/// Steps of a walk that are kept are so far apart, seconds; between two that are further apart nothing is known.
const STEP_SECONDS: f64 = 0.4;
const GAP_SECONDS: f64 = 1.5;
/// What is kept of a camera: walks, steps of each, seconds.
const WALKS: usize = 80;
const STEPS: usize = 64;
const WINDOW_SECONDS: f64 = 900.0;
/// Two walks at one time: the steps they must have in common, and those that are compared.
const LEAST_COMMON: usize = 4;
const COMMON: usize = 6;
/// One pair of cameras is looked at so often, seconds: what learning costs does not grow with the cameras.
const EVERY_SECONDS: f64 = 1.0;
/// Homographies that are tried.
const TRIES: u32 = 300;
/// Walks of one person are so near on the mean, heights, and never further than this.
const NEAR: f64 = 0.3;
const FAR: f64 = 0.8;
/// So many walks of either view must agree.
const LEAST_WALKS: usize = 5;
/// Of those who should be seen in the other view, the share that must be, and how many times what chance would give; a share below the last
/// is that of a camera that was moved.
const LEAST_SHARE: f64 = 0.6;
const LEAST_OVER_CHANCE: f64 = 2.0;
const LOST_SHARE: f64 = 0.3;
/// So many of the newest steps judge whether what was learned still holds.
const JUDGES: usize = 60;
/// More walks make it no truer.
const ENOUGH_WALKS: u32 = 40;
/// Feet are found no more exactly, heights.
const LEAST_ERROR: f64 = 0.06;
/// Share of feet that are found anywhere: behind a bench, in a bag.
const ASTRAY: f64 = 0.04;
/// Others stand anywhere on so many square heights.
const ROOM: f64 = 30.0;
/// Beyond so many deviations from where people walked when it was learned nothing is said.
const REACH: f64 = 3.0;

/// Two cameras, in their order.
type Pair = (CameraId, CameraId);

/// What is known of a site's grounds, by pairs of cameras, the lesser id first.
pub type Grounds = BTreeMap<Pair, CommonGround>;

/// Whether people walked about there in the first view when it was learned.
fn covers(ground: &CommonGround, foot: &Foot) -> bool {
    let (dx, dy, (xx, xy, yy)) = (foot.x - ground.middle.0, foot.y - ground.middle.1, ground.spread);
    xx * dx * dx + 2.0 * xy * dx * dy + yy * dy * dy <= REACH * REACH
}

/// Whether the whole of a person is in a picture of this size, so that it is known where they stand and how tall they are there.
pub fn stands_in_view(rect: &Rect, (width, height): (f32, f32)) -> bool {
    const EDGE: f32 = 2.0;
    rect.x > EDGE && rect.y > EDGE && rect.right() < width - EDGE && rect.bottom() < height - EDGE
}

impl From<&Rect> for Foot {
    fn from(r: &Rect) -> Self {
        Self { x: f64::from(r.x + r.w / 2.0), y: f64::from(r.bottom()), height: f64::from(r.h) }
    }
}

struct Walk {
    track: TrackId,
    steps: Vec<(Timestamp, Foot)>,
    look: Option<Descriptor>,
}

impl Walk {
    fn at(&self, t: Timestamp) -> Option<Foot> {
        let next = self.steps.partition_point(|(at, _)| *at < t);
        let (after, there) = self.steps.get(next)?;
        if *after == t {
            return Some(*there);
        }
        let (before, here) = self.steps.get(next.checked_sub(1)?)?;
        let (length, part) = (after.seconds_since(*before), t.seconds_since(*before));
        let mix = |a: f64, b: f64| a + (b - a) * part / length;
        (length <= GAP_SECONDS).then(|| Foot {
            x: mix(here.x, there.x),
            y: mix(here.y, there.y),
            height: mix(here.height, there.height),
        })
    }

    fn some(&self, n: usize) -> impl Iterator<Item = &(Timestamp, Foot)> {
        self.steps.iter().step_by(self.steps.len().div_ceil(n).max(1))
    }
}

#[derive(Default)]
struct Watched {
    since: Timestamp,
    until: Timestamp,
    walks: VecDeque<Walk>,
}

/// Learns the grounds of a site from what its cameras see.
#[derive(Default)]
pub struct Surveyor {
    watched: BTreeMap<CameraId, Watched>,
    tried: BTreeMap<Pair, Timestamp>,
    grounds: Grounds,
}

impl Surveyor {
    /// What is known.
    pub fn grounds(&self) -> &Grounds {
        &self.grounds
    }

    /// What was learned before.
    pub fn set_grounds(&mut self, grounds: Grounds) {
        self.grounds = grounds;
    }

    /// A camera is gone; when it comes back it may look elsewhere.
    pub fn camera_lost(&mut self, camera: CameraId) {
        self.watched.remove(&camera);
    }

    /// The clock was set: walks of before it and of after it do not fit together.
    pub fn clock_set(&mut self) {
        self.watched.clear();
    }

    /// Who stands where in a view.
    pub fn watch<'a>(
        &mut self,
        camera: CameraId,
        at: Timestamp,
        people: impl Iterator<Item = (TrackId, Foot, Option<&'a Descriptor>)>,
    ) {
        let watched = self.watched.entry(camera).or_insert_with(|| Watched { since: at, ..Watched::default() });
        if watched.walks.is_empty() || at.seconds_since(watched.until) > 5.0 * GAP_SECONDS {
            (watched.since, watched.walks) = (at, VecDeque::new());
        }
        watched.until = at;
        for (track, foot, look) in people {
            let place = match watched.walks.iter().rposition(|w| w.track == track) {
                Some(place) => place,
                None => {
                    watched.walks.push_back(Walk { track, steps: Vec::new(), look: None });
                    watched.walks.len() - 1
                }
            };
            let Some(walk) = watched.walks.get_mut(place) else { continue };
            if walk.steps.last().is_none_or(|(last, _)| at.seconds_since(*last) >= STEP_SECONDS) {
                walk.steps.push((at, foot));
                if walk.steps.len() > STEPS {
                    walk.steps.remove(0);
                }
            }
            if let Some(look) = look.filter(|_| walk.look.is_none()) {
                walk.look = Some(look.clone());
            }
        }
        let old = |w: &Walk| w.steps.last().is_none_or(|(last, _)| at.seconds_since(*last) > WINDOW_SECONDS);
        while watched.walks.len() > WALKS || watched.walks.front().is_some_and(old) {
            watched.walks.pop_front();
        }
    }

    /// Takes one of the pairs of cameras that overlap, the lesser id first, the one that waits longest, and learns, or finds out that what was
    /// learned is true no more.
    pub fn learn(&mut self, pairs: impl Iterator<Item = (CameraId, CameraId)>, at: Timestamp) {
        let waits = |pair: &Pair| self.tried.get(pair).copied().unwrap_or(Timestamp(i64::MIN / 2));
        if self.tried.values().any(|tried| at.seconds_since(*tried).abs() < EVERY_SECONDS) {
            return;
        }
        let Some(pair) = pairs.min_by_key(waits) else { return };
        self.tried.insert(pair, at);
        let (Some(a), Some(b)) = (self.watched.get(&pair.0), self.watched.get(&pair.1)) else { return };
        let known = self.grounds.get(&pair).copied();
        if let Some(known) = &known
            && judge(&known.places.into(), a, b, JUDGES, 0.0).is_some_and(|share| share < LOST_SHARE)
        {
            self.grounds.remove(&pair);
            // What was seen before it was moved would be in the way.
            for camera in [pair.0, pair.1] {
                self.watched.remove(&camera);
            }
            return;
        }
        if known.is_some_and(|k| k.walks >= ENOUGH_WALKS) {
            return;
        }
        if let Some(found) = survey(pair, a, b, at).filter(|f| known.is_none_or(|k| f.walks > k.walks + k.walks / 4)) {
            self.grounds.insert(pair, found);
        }
    }

    /// Whether the person who stands in one view is the one who stands in the other at the same instant: the natural logarithm of how much more
    /// often one person's feet are so than two people's. `None` where the ground is not known.
    pub fn evidence(&self, one: (CameraId, Foot), other: (CameraId, Foot)) -> Option<f64> {
        let turned = one.0 > other.0;
        let (first, second) = if turned { (other, one) } else { (one, other) };
        let ground = self.grounds.get(&(first.0, second.0)).filter(|g| covers(g, &first.1))?;
        let places = Homography::from(ground.places);
        let off = disagreement(&places, &places.inverse()?, &first.1, &second.1)?;
        let variance = ground.error * ground.error;
        let near = (-off * off / (2.0 * variance)).exp() / (2.0 * std::f64::consts::PI * variance);
        Some(((1.0 - ASTRAY) * near * ROOM + ASTRAY).ln())
    }
}

/// How far apart two feet are in the view in which that is more; `None` where one of them is beyond the other's horizon.
fn disagreement(there: &Homography, back: &Homography, one: &Foot, other: &Foot) -> Option<f64> {
    let forth = other.distance(there.apply((one.x, one.y))?);
    Some(forth.max(one.distance(back.apply((other.x, other.y))?)))
}

/// Two walks at one time, by their numbers.
struct Together {
    one: usize,
    other: usize,
    likeness: f32,
    feet: Vec<(Foot, Foot)>,
}

impl Together {
    /// Whether the walks may be one person's: by how much they disagree on the mean.
    fn error(&self, there: &Homography, back: &Homography) -> Option<f64> {
        let mut sum = 0.0;
        for (one, other) in &self.feet {
            sum += disagreement(there, back, one, other).filter(|d| *d <= FAR)?;
        }
        let mean = sum / self.feet.len() as f64;
        (mean <= NEAR).then_some(mean)
    }
}

fn together(a: &Watched, b: &Watched) -> Vec<Together> {
    let mut all = Vec::new();
    for (i, one) in a.walks.iter().enumerate() {
        for (j, other) in b.walks.iter().enumerate() {
            let feet: Vec<(Foot, Foot)> = one.steps.iter().filter_map(|(t, f)| Some((*f, other.at(*t)?))).collect();
            if feet.len() < LEAST_COMMON {
                continue;
            }
            let likeness = one.look.as_ref().zip(other.look.as_ref()).and_then(|(a, b)| a.similarity(b));
            let last = feet.len() - 1;
            let n = COMMON.min(feet.len());
            let feet = (0..n).filter_map(|k| feet.get(k * last / (n - 1).max(1)).copied()).collect();
            all.push(Together { one: i, other: j, likeness: likeness.unwrap_or(0.0), feet });
        }
    }
    // Those who look alike are tried first, and more often.
    all.sort_by(|x, y| y.likeness.total_cmp(&x.likeness).then((x.one, x.other).cmp(&(y.one, y.other))));
    all
}

/// Those of the walks that agree with a homography, the best of each walk only.
fn agreeing<'a>(all: &'a [Together], places: &Homography) -> Vec<&'a Together> {
    let Some(back) = places.inverse() else { return Vec::new() };
    let found: Vec<(f64, &Together)> = all.iter().filter_map(|t| Some((t.error(places, &back)?, t))).collect();
    let best = |key: &dyn Fn(&Together) -> usize| {
        let mut best: BTreeMap<usize, (f64, usize)> = BTreeMap::new();
        for (n, (error, t)) in found.iter().enumerate() {
            let slot = best.entry(key(t)).or_insert((*error, n));
            if *error < slot.0 {
                *slot = (*error, n);
            }
        }
        best
    };
    let (ones, others) = (best(&|t| t.one), best(&|t| t.other));
    let is_best = |n: usize, t: &Together| {
        ones.get(&t.one).is_some_and(|b| b.1 == n) || others.get(&t.other).is_some_and(|b| b.1 == n)
    };
    found.iter().enumerate().filter(|(n, (_, t))| is_best(*n, t)).map(|(_, (_, t))| *t).collect()
}

/// Walks of either view among these, whichever are fewer.
fn walks(agreeing: &[&Together]) -> usize {
    let count = |key: &dyn Fn(&Together) -> usize| {
        agreeing.iter().map(|t| key(t)).collect::<std::collections::BTreeSet<_>>().len()
    };
    count(&|t| t.one).min(count(&|t| t.other))
}

fn survey(cameras: Pair, a: &Watched, b: &Watched, learned_at: Timestamp) -> Option<CommonGround> {
    let all = together(a, b);
    let mut chance = Chance(0x5eed);
    let mut best: (usize, Option<Homography>) = (0, None);
    for _ in 0..TRIES {
        let (Some(x), Some(y)) = (chance.of(&all), chance.of(&all)) else { return None };
        if x.one == y.one || x.other == y.other {
            continue;
        }
        let corners: Vec<(Foot, Foot)> = x.feet.iter().chain(&y.feet).copied().collect();
        let Some(places) = Homography::fit(&corners) else { continue };
        let agree = agreeing(&all, &places);
        let score = agree.iter().map(|t| t.feet.len()).sum::<usize>().min(COMMON * walks(&agree));
        if score > best.0 {
            best = (score, Some(places));
        }
    }
    let mut places = best.1?;
    for _ in 0..3 {
        let feet: Vec<(Foot, Foot)> = agreeing(&all, &places).iter().flat_map(|t| &t.feet).copied().collect();
        places = Homography::fit(&feet)?;
    }
    let agree = agreeing(&all, &places);
    let walks = walks(&agree);
    if walks < LEAST_WALKS {
        return None;
    }
    let share = judge(&places, a, b, usize::MAX, 0.0)?;
    // The same people, but not at the same time.
    let by_chance = [3.0, -3.0, 7.0, -7.0].iter().filter_map(|shift| judge(&places, a, b, usize::MAX, *shift));
    let by_chance = by_chance.fold(0.0, f64::max);
    if share < LEAST_SHARE || share < LEAST_OVER_CHANCE * by_chance {
        return None;
    }
    let back = places.inverse()?;
    let feet: Vec<&(Foot, Foot)> = agree.iter().flat_map(|t| &t.feet).collect();
    let mut off: Vec<f64> = feet.iter().filter_map(|(a, b)| disagreement(&places, &back, a, b)).collect();
    off.sort_by(f64::total_cmp);
    let n = feet.len() as f64;
    let middle = feet.iter().fold((0.0, 0.0), |(x, y), (f, _)| (x + f.x / n, y + f.y / n));
    let (mut xx, mut xy, mut yy) = (1.0, 0.0, 1.0);
    for (f, _) in &feet {
        let (dx, dy) = (f.x - middle.0, f.y - middle.1);
        (xx, xy, yy) = (xx + dx * dx / n, xy + dx * dy / n, yy + dy * dy / n);
    }
    let determinant = xx * yy - xy * xy;
    Some(CommonGround {
        cameras,
        places: places.into(),
        // The median of a Rayleigh distribution.
        error: (off.get(off.len() / 2)? / 1.1774).max(LEAST_ERROR),
        walks: u32::try_from(walks).unwrap_or(u32::MAX),
        middle,
        spread: (yy / determinant, -xy / determinant, xx / determinant),
        learned_at,
    })
}

/// Of those who should be seen in the other view, because people are seen there, the share that is; judged by the `newest` of them, which
/// must be so many, where they are asked for `later` seconds. `None` where they are too few.
fn judge(places: &Homography, a: &Watched, b: &Watched, newest: usize, later: f64) -> Option<f64> {
    let back = places.inverse()?;
    let mut all: Vec<(Timestamp, bool)> = Vec::new();
    for (from, to, map) in [(a, b, places), (b, a, &back)] {
        for (t, foot) in from.walks.iter().flat_map(|w| w.some(8)) {
            let then = Timestamp(t.0 + (later * 1e6) as i64);
            if then < to.since || then > to.until {
                continue;
            }
            let Some(place) = map.apply((foot.x, foot.y)) else { continue };
            let trodden = |w: &Walk| w.some(16).any(|(_, f)| f.distance(place) < NEAR);
            if to.walks.iter().any(trodden) {
                let there = to.walks.iter().any(|w| w.at(then).is_some_and(|f| f.distance(place) < 1.5 * NEAR));
                all.push((*t, there));
            }
        }
    }
    let least = if newest == usize::MAX { JUDGES / 3 } else { newest };
    if all.len() < least {
        return None;
    }
    all.sort_by_key(|(t, _)| std::cmp::Reverse(*t));
    let n = all.len().min(newest);
    Some(all.iter().take(n).filter(|(_, there)| *there).count() as f64 / n as f64)
}

/// SplitMix64: the same choices every time.
struct Chance(u64);

impl Chance {
    /// One of them, the first ones more often.
    fn of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let part = ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64;
        all.get((part * part * all.len() as f64) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::follow::homography::tests::{View, two_views};
    use proptest::prelude::*;
    use uuid::Uuid;

    const A: CameraId = Uuid::from_u128(1);
    const B: CameraId = Uuid::from_u128(2);

    /// Uniform in 0 to 1.
    fn uniform(chance: &mut Chance) -> f64 {
        let numbers: Vec<f64> = (0..1000).map(|i| f64::from(i) / 1000.0).collect();
        chance.of(&numbers).map_or(0.0, |n| n.sqrt())
    }

    /// People who cross a place of twelve by twelve metres, four or five at a time, for so many seconds: when, who, where.
    fn crossing(seed: u64, seconds: i64) -> Vec<(i64, u64, (f64, f64))> {
        let mut chance = Chance(seed);
        let mut all = Vec::new();
        for who in 0..(seconds / 2) as u64 {
            let mut at = || (12.0 * uniform(&mut chance), 12.0 * uniform(&mut chance));
            let (from, to) = (at(), at());
            let length = (to.0 - from.0).hypot(to.1 - from.1) / 1.3;
            for step in 0..(length * 5.0) as i64 {
                let part = step as f64 / 5.0 / length;
                let place = (from.0 + part * (to.0 - from.0), from.1 + part * (to.1 - from.1));
                all.push((who as i64 * 2_000_000 + step * 200_000, who, place));
            }
        }
        all.sort_by_key(|(at, who, _)| (*at, *who));
        all
    }

    /// A camera's feet are found with errors, and every fifth time not at all.
    fn look(
        surveyor: &mut Surveyor,
        camera: CameraId,
        view: &View,
        people: &[(i64, u64, (f64, f64))],
        errs: &mut Chance,
    ) {
        for at in people.chunk_by(|a, b| a.0 == b.0) {
            let seen: Vec<_> = at
                .iter()
                .filter_map(|(_, who, place)| {
                    let f = view.of(*place)?;
                    let mut off = || 0.1 * f.height * (uniform(errs) - 0.5);
                    let foot = Foot { x: f.x + off(), y: f.y + off(), ..f };
                    (uniform(errs) > 0.2).then_some((TrackId(*who), foot, None))
                })
                .collect();
            let when = at.first().map_or(0, |(at, ..)| *at);
            surveyor.watch(camera, Timestamp(when), seen.into_iter());
        }
    }

    fn surveyed(one: &View, other: &View, seeds: (u64, u64), seconds: i64) -> Surveyor {
        let (mut surveyor, mut errs) = (Surveyor::default(), Chance(7));
        look(&mut surveyor, A, one, &crossing(seeds.0, seconds), &mut errs);
        look(&mut surveyor, B, other, &crossing(seeds.1, seconds), &mut errs);
        surveyor.learn([(A, B)].into_iter(), Timestamp(seconds * 1_000_000));
        surveyor
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn views_that_overlap_find_out_how_and_which_camera_is_first_makes_no_difference(
            (one, other) in two_views(), seed in 1u64..1000,
        ) {
            let surveyor = surveyed(&one, &other, (seed, seed), 120);
            prop_assert_eq!(surveyor.grounds().len(), 1);
            for place in [(5.0, 5.0), (7.0, 6.0), (6.0, 7.5)] {
                let (a, b) = (one.of(place).unwrap(), other.of(place).unwrap());
                let said = surveyor.evidence((A, a), (B, b)).unwrap();
                prop_assert!(said > 1.5, "{said} {:?}", surveyor.grounds());
                prop_assert_eq!(Some(said), surveyor.evidence((B, b), (A, a)));
                let beside = other.of((place.0 + 1.5, place.1 - 1.5)).unwrap();
                let said = surveyor.evidence((A, a), (B, beside)).unwrap();
                prop_assert!(said < -1.5, "{said} {:?}", surveyor.grounds());
            }
        }

        #[test]
        fn views_that_show_different_people_learn_nothing((one, other) in two_views(), seed in 1u64..1000) {
            let surveyor = surveyed(&one, &other, (seed, seed + 5000), 120);
            prop_assert!(surveyor.grounds().is_empty(), "{:?}", surveyor.grounds());
        }
    }

    #[test]
    fn a_camera_that_was_moved_forgets_and_learns_anew() {
        let view = |yaw: f64| View { x: 6.0 - 12.0 * yaw.cos(), y: 6.0 - 12.0 * yaw.sin(), yaw, tilt: 0.45 };
        let (one, other, moved) = (view(0.3), view(1.4), view(2.9));
        let mut surveyor = surveyed(&one, &other, (3, 3), 120);
        let before = surveyor.grounds().clone();
        assert_eq!(before.len(), 1);
        let mut errs = Chance(9);
        let later: Vec<_> =
            crossing(4, 240).into_iter().map(|(at, who, p)| (at + 120_000_000, who + 1000, p)).collect();
        let mut lost = false;
        for some in later.chunks(200) {
            look(&mut surveyor, A, &one, some, &mut errs);
            look(&mut surveyor, B, &moved, some, &mut errs);
            surveyor.learn([(A, B)].into_iter(), Timestamp(some.last().map_or(0, |s| s.0)));
            lost |= surveyor.grounds().is_empty();
        }
        assert!(lost);
        let (a, b) = (one.of((6.0, 6.0)).unwrap(), moved.of((6.0, 6.0)).unwrap());
        assert!(surveyor.evidence((A, a), (B, b)).unwrap() > 1.5, "{:?}", surveyor.grounds());
    }
}
