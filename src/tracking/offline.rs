//! The second pass over a recording: what the tracker could not know because it came later.
//!
//! ```text
//! tracks as followed → longer at both ends → joined over gaps → the weak left out → gaps filled → smoothed → numbered
//! ```
use super::{
    Observation, ResultRow, Step,
    assignment::{Edge, assign},
    tracker::{between, is_box},
};
use crate::model::{Descriptor, DescriptorKind, Rect, Timestamp};
use serde::{Deserialize, Serialize};
use std::{cmp::Ordering, collections::BTreeMap};

/// What the second pass joins, fills and leaves out. Times are in seconds, lengths in heights of the person.
///
/// [`Default`] was chosen on MOT17 02, 04, 10, 13 and on PETS09-S2L1, TUD-Campus and TUD-Stadtmitte with the public
/// detections of both. Joining matters most on the latter (HOTA 49.6 on-line, 55.3); on MOT17 the tracker has joined
/// nearly all that can be joined (of its ends and beginnings within 4 s, 18 pairs are one person).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OfflineConfig {
    /// Tracks of fewer detections are taken apart: what was seen once has no direction, and is free for others.
    pub min_seen: usize,
    /// Over how many seconds at its end the velocity of a track is taken.
    pub velocity_span: f64,
    /// Both ends of a track are followed on over detections nobody has claimed, with pauses of at most so long,
    pub extend_pause: f64,
    /// where they overlap the predicted box by at least this IoU
    pub extend_gate: f32,
    /// and have at least this score.
    pub extend_score: f32,
    /// Two tracks may be one person when the second begins at most so long after the first ended,
    pub join_pause: f64,
    /// at most so far from where it is looked for,
    pub join_reach: f64,
    /// and so much farther for each second between,
    pub join_speed: f64,
    /// where the smaller box is at least this share of the taller one's height,
    pub join_shape: f32,
    /// and, where appearances are known, they are at least so similar (cosine).
    pub join_appearance: f32,
    /// Longer gaps are not filled.
    pub fill_pause: f64,
    /// Both ends go on for so long at the velocity they have there.
    pub tail: f64,
    /// Tracks shorter than this are left out,
    pub min_seconds: f64,
    /// and tracks whose mean score (none counted above 1) is lower than this.
    pub min_score: f32,
    /// Standard deviation of the smoothing in time, for positions
    pub smooth_position: f64,
    /// and for width and height.
    pub smooth_shape: f64,
}

impl Default for OfflineConfig {
    fn default() -> Self {
        Self {
            min_seen: 2,
            velocity_span: 0.8,
            extend_pause: 0.3,
            extend_gate: 0.5,
            extend_score: 0.5,
            join_pause: 1.5,
            join_reach: 0.3,
            join_speed: 0.05,
            join_shape: 0.7,
            join_appearance: 0.5,
            fill_pause: 2.5,
            tail: 0.1,
            min_seconds: 0.5,
            min_score: 0.5,
            smooth_position: 0.1,
            smooth_shape: 0.1,
        }
    }
}

impl OfflineConfig {
    /// For NanoDet, whose scores of persons lie between .3 and .8.
    pub fn nanodet() -> Self {
        Self { extend_score: 0.45, min_score: 0.4, ..Self::default() }
    }
}

/// What a tracker made of a recording's frames, kept for the second pass.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// The instants of the frames, seconds since the first; never falling.
    times: Vec<f64>,
    first: Option<Timestamp>,
    tracks: BTreeMap<u64, Piece>,
    /// Per frame, the detections that are nobody's.
    free: Vec<Vec<Seen>>,
}

/// One detection.
#[derive(Clone, Copy, Debug)]
struct Seen {
    frame: usize,
    rect: Rect,
    score: f32,
}

impl Seen {
    /// An order of detections that does not depend on the order they came in.
    fn order(&self, other: &Self) -> Ordering {
        let key = |s: &Self| [s.rect.x, s.rect.y, s.rect.w, s.rect.h, s.score];
        let by_box = || key(self).iter().zip(key(other)).map(|(a, b)| a.total_cmp(&b)).find(|o| o.is_ne());
        self.frame.cmp(&other.frame).then_with(|| by_box().unwrap_or(Ordering::Equal))
    }
}

/// Part of somebody's way, at least one detection, one a frame at most, by frame.
#[derive(Clone, Debug, Default)]
struct Piece {
    seen: Vec<Seen>,
    /// The sum of its appearances.
    look: Option<(DescriptorKind, Vec<f32>)>,
}

impl Recording {
    /// Notes one frame: what was handed to the tracker and what it made of it. Frames come in order; an instant before
    /// the last frame's counts as that one's.
    pub fn push(&mut self, at: Timestamp, observations: &[Observation<'_>], step: &Step) {
        let since = at.seconds_since(*self.first.get_or_insert(at));
        let frame = self.times.len();
        self.times.push(self.times.last().map_or(0.0, |last| since.max(*last)));
        let mut free = Vec::new();
        for (index, observation) in observations.iter().enumerate() {
            let seen = Seen { frame, rect: observation.rect, score: observation.score };
            match step.matched.get(index).copied().flatten() {
                Some(id) => self.tracks.entry(id.0).or_default().add(seen, observation.descriptor),
                None if is_box(&seen.rect) && seen.score.is_finite() => free.push(seen),
                None => {}
            }
        }
        free.sort_by(Seen::order);
        self.free.push(free);
    }

    /// The tracks of the whole recording: no id twice on a frame, ids from 1 without a gap in the order people first
    /// appear, rows sorted by frame (from 1), then id. The tracker's own ids and the order of a frame's detections make
    /// no difference.
    pub fn finish(self, config: &OfflineConfig) -> Vec<ResultRow> {
        let Self { times, tracks, mut free, .. } = self;
        let (mut pieces, glimpses): (Vec<Piece>, Vec<Piece>) =
            tracks.into_values().partition(|p| p.seen.len() >= config.min_seen);
        for seen in glimpses.into_iter().flat_map(|p| p.seen) {
            if let Some(free) = free.get_mut(seen.frame) {
                free.push(seen);
                free.sort_by(Seen::order);
            }
        }
        // The longest are the surest, and choose first.
        pieces.sort_by(|a, b| b.seen.len().cmp(&a.seen.len()).then_with(|| a.order(b)));
        for piece in &mut pieces {
            piece.extend(&times, &mut free, config);
        }
        pieces.sort_by(Piece::order);
        let mut people = join(pieces, &times, config);
        people.retain(|p| p.is_strong(&times, config));
        people.sort_by(Piece::order);
        let mut rows: Vec<ResultRow> = people
            .iter()
            .zip(1..)
            .flat_map(|(piece, id)| smooth(&piece.filled(&times, config), id, &times, config))
            .collect();
        rows.sort_by_key(|r| (r.frame, r.id));
        rows
    }
}

impl Piece {
    fn add(&mut self, seen: Seen, descriptor: Option<&Descriptor>) {
        self.seen.push(seen);
        let Some(new) = descriptor.filter(|d| d.vector.iter().all(|v| v.is_finite())) else { return };
        match &mut self.look {
            Some((kind, sum)) if *kind == new.kind && sum.len() == new.vector.len() => {
                sum.iter_mut().zip(new.vector.iter()).for_each(|(sum, v)| *sum += v);
            }
            Some(_) => {}
            none => *none = Some((new.kind, new.vector.to_vec())),
        }
    }

    fn order(&self, other: &Self) -> Ordering {
        let differs = self.seen.iter().zip(&other.seen).map(|(a, b)| a.order(b)).find(|o| o.is_ne());
        differs.unwrap_or_else(|| self.seen.len().cmp(&other.seen.len()))
    }

    /// The box at one end, moved `dt` seconds (below 0: back) at the velocity it has there.
    fn predict(&self, end: End, dt: f64, times: &[f64], config: &OfflineConfig) -> Option<Rect> {
        let tip = end.of(&self.seen)?;
        let now = time(times, tip.frame);
        let near = |s: &&Seen| (time(times, s.frame) - now).abs() <= config.velocity_span;
        let close: Vec<&Seen> = match end {
            End::First => self.seen.iter().take_while(near).collect(),
            End::Last => self.seen.iter().rev().take_while(near).collect(),
        };
        let rate = |value: fn(&Rect) -> f32| {
            line(close.iter().map(|s| (time(times, s.frame) - now, f64::from(value(&s.rect)), 1.0))).1
        };
        let (dx, dy) = (rate(|r| r.center().0) * dt, rate(|r| r.center().1) * dt);
        Some(Rect { x: tip.rect.x + dx as f32, y: tip.rect.y + dy as f32, ..tip.rect })
    }

    /// Follows both ends on over what nobody has claimed.
    fn extend(&mut self, times: &[f64], free: &mut [Vec<Seen>], config: &OfflineConfig) {
        for end in [End::First, End::Last] {
            let mut frame = end.of(&self.seen).map(|s| s.frame);
            while let Some(next) = frame.and_then(|f| end.beyond(f)).filter(|f| *f < times.len()) {
                frame = Some(next);
                let Some(tip) = end.of(&self.seen) else { break };
                let dt = time(times, next) - time(times, tip.frame);
                let Some(expected) = self.predict(end, dt, times, config).filter(|_| dt.abs() <= config.extend_pause)
                else {
                    break;
                };
                let Some(candidates) = free.get_mut(next) else { break };
                let best = candidates
                    .iter()
                    .enumerate()
                    .filter(|(_, s)| s.score >= config.extend_score)
                    .map(|(i, s)| (i, s.rect.iou(&expected)))
                    .filter(|(_, iou)| *iou >= config.extend_gate)
                    .max_by(|a, b| a.1.total_cmp(&b.1));
                if let Some((index, _)) = best {
                    let seen = candidates.remove(index);
                    match end {
                        End::First => self.seen.insert(0, seen),
                        End::Last => self.seen.push(seen),
                    }
                }
            }
        }
    }

    /// What it is worth to take `later`, which begins after this one's end, for the same person; `None` when it cannot
    /// be.
    fn gain(&self, later: &Self, times: &[f64], config: &OfflineConfig) -> Option<f64> {
        let (last, first) = (self.seen.last()?, later.seen.first()?);
        let gap = time(times, first.frame) - time(times, last.frame);
        let (a, b) = (&last.rect, &first.rect);
        let unit = a.h.max(b.h);
        if a.h.min(b.h) < config.join_shape * unit {
            return None;
        }
        let distance = |a: &Rect, b: &Rect| {
            let (a, b) = (a.center(), b.center());
            f64::from((a.0 - b.0).hypot(a.1 - b.1) / unit)
        };
        let forward = self.predict(End::Last, gap, times, config)?;
        let backward = later.predict(End::First, -gap, times, config)?;
        let off = (distance(&forward, b) + distance(a, &backward)) / 2.0;
        let reach = config.join_reach + config.join_speed * gap;
        let similarity = self.similarity(later);
        if off > reach || similarity.is_some_and(|s| s < config.join_appearance) {
            return None;
        }
        // A near one before a far one, and an early one before a late one.
        let gain = (1.0 - off / reach) + (1.0 - gap / config.join_pause) + f64::from(similarity.unwrap_or(0.0));
        Some(gain.max(1e-6))
    }

    /// Cosine of the mean appearances, where both are known and comparable.
    fn similarity(&self, other: &Self) -> Option<f32> {
        let ((kind, a), (other, b)) = (self.look.as_ref()?, other.look.as_ref()?);
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let cosine = || dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
        (kind == other && a.len() == b.len()).then(cosine).filter(|c| c.is_finite())
    }

    fn is_strong(&self, times: &[f64], config: &OfflineConfig) -> bool {
        let (Some(first), Some(last)) = (self.seen.first(), self.seen.last()) else { return false };
        let mean = self.seen.iter().map(|s| s.score.min(1.0)).sum::<f32>() / self.seen.len() as f32;
        time(times, last.frame) - time(times, first.frame) >= config.min_seconds && mean >= config.min_score
    }

    /// With boxes on the straight line in gaps that are short enough.
    fn filled(&self, times: &[f64], config: &OfflineConfig) -> Vec<Seen> {
        let mut filled: Vec<Seen> = self.seen.first().copied().into_iter().collect();
        for (a, b) in self.seen.iter().zip(self.seen.iter().skip(1)) {
            let (from, to) = (time(times, a.frame), time(times, b.frame));
            if to - from <= config.fill_pause {
                filled.extend((a.frame + 1..b.frame).map(|frame| {
                    let share = if to > from { ((time(times, frame) - from) / (to - from)) as f32 } else { 0.5 };
                    let score = a.score + (b.score - a.score) * share;
                    Seen { frame, rect: between(&a.rect, &b.rect, share), score }
                }));
            }
            filled.push(*b);
        }
        let before = self.tail(End::First, times, config);
        let after = self.tail(End::Last, times, config);
        before.into_iter().rev().chain(filled).chain(after).collect()
    }

    /// The boxes beyond one end, outwards.
    fn tail(&self, end: End, times: &[f64], config: &OfflineConfig) -> Vec<Seen> {
        let Some(tip) = end.of(&self.seen).filter(|_| config.tail > 0.0) else { return Vec::new() };
        let frames = std::iter::successors(end.beyond(tip.frame), |f| end.beyond(*f)).take_while(|f| *f < times.len());
        let dated = frames.map(|frame| (frame, time(times, frame) - time(times, tip.frame)));
        dated
            .take_while(|(_, dt)| dt.abs() <= config.tail)
            .filter_map(|(frame, dt)| Some(Seen { frame, rect: self.predict(end, dt, times, config)?, ..tip }))
            .collect()
    }
}

/// One of the two ends of a piece.
#[derive(Clone, Copy)]
enum End {
    First,
    Last,
}

impl End {
    fn of(self, seen: &[Seen]) -> Option<Seen> {
        match self {
            Self::First => seen.first().copied(),
            Self::Last => seen.last().copied(),
        }
    }

    /// The next frame outwards.
    fn beyond(self, frame: usize) -> Option<usize> {
        match self {
            Self::First => frame.checked_sub(1),
            Self::Last => frame.checked_add(1),
        }
    }
}

/// Chains the pieces of one person, by the assignment of the greatest total gain: every piece is followed by one other
/// at most, and follows one at most. `pieces` come by the frame they begin on.
fn join(pieces: Vec<Piece>, times: &[f64], config: &OfflineConfig) -> Vec<Piece> {
    let mut edges = Vec::new();
    for (row, earlier) in pieces.iter().enumerate() {
        let Some(last) = earlier.seen.last() else { continue };
        let begins = |piece: &Piece| piece.seen.first().map_or(0, |s| s.frame);
        let after = pieces.partition_point(|p| begins(p) <= last.frame);
        let in_time = |p: &Piece| time(times, begins(p)) - time(times, last.frame) <= config.join_pause;
        for (col, later) in pieces.iter().enumerate().skip(after).take_while(|(_, p)| in_time(p)) {
            if let Some(gain) = earlier.gain(later, times, config) {
                edges.push(Edge { row, col, gain });
            }
        }
    }
    let next = assign(pieces.len(), pieces.len(), &edges);
    let mut leads: Vec<bool> = vec![true; pieces.len()];
    for follower in next.iter().flatten() {
        if let Some(lead) = leads.get_mut(*follower) {
            *lead = false;
        }
    }
    let mut pieces: Vec<Option<Piece>> = pieces.into_iter().map(Some).collect();
    let mut take = |index: usize| pieces.get_mut(index).and_then(Option::take);
    let mut people = Vec::new();
    for (start, _) in leads.iter().enumerate().filter(|(_, lead)| **lead) {
        let Some(mut whole) = take(start) else { continue };
        let mut at = start;
        while let Some(follower) = next.get(at).copied().flatten() {
            at = follower;
            whole.seen.extend(take(at).into_iter().flat_map(|p| p.seen));
        }
        people.push(whole);
    }
    people
}

/// Rows of the boxes on a weighted line through their neighbours in time (local linear regression with a Gaussian
/// kernel: Cleveland and Devlin, JASA 1988). Neighbours beyond an unfilled gap take part like any others.
fn smooth(boxes: &[Seen], id: u64, times: &[f64], config: &OfflineConfig) -> Vec<ResultRow> {
    const REACH: f64 = 3.0;
    let widest = REACH * config.smooth_position.max(config.smooth_shape);
    let mut from = 0;
    let mut rows = Vec::with_capacity(boxes.len());
    for one in boxes {
        let now = time(times, one.frame);
        while boxes.get(from).is_some_and(|s| time(times, s.frame) < now - widest) {
            from += 1;
        }
        let near = || boxes.iter().skip(from).take_while(|s| time(times, s.frame) <= now + widest);
        let value = |value: fn(&Rect) -> f32, sigma: f64| {
            if sigma <= 0.0 {
                return value(&one.rect);
            }
            let weighted = near().map(|s| {
                let dt = time(times, s.frame) - now;
                (dt, f64::from(value(&s.rect)), (-0.5 * (dt / sigma).powi(2)).exp())
            });
            line(weighted).0 as f32
        };
        let w = value(|r| r.w, config.smooth_shape).max(1.0);
        let h = value(|r| r.h, config.smooth_shape).max(1.0);
        let x = value(|r| r.center().0, config.smooth_position) - w / 2.0;
        let y = value(|r| r.center().1, config.smooth_position) - h / 2.0;
        let frame = u32::try_from(one.frame + 1).unwrap_or(u32::MAX);
        rows.push(ResultRow { frame, id, rect: Rect::new(x, y, w, h), score: one.score });
    }
    rows
}

/// The least-squares line through `(t, value, weight)`: its value at 0 and its slope (0 where all `t` are alike).
fn line(points: impl Iterator<Item = (f64, f64, f64)>) -> (f64, f64) {
    let (mut n, mut st, mut sv, mut stt, mut stv) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (t, v, w) in points {
        n += w;
        st += w * t;
        sv += w * v;
        stt += w * t * t;
        stv += w * t * v;
    }
    if n <= 0.0 {
        return (0.0, 0.0);
    }
    let spread = stt - st * st / n;
    let slope = if spread > 1e-9 { (stv - st * sv / n) / spread } else { 0.0 };
    ((sv - slope * st) / n, slope)
}

fn time(times: &[f64], frame: usize) -> f64 {
    times.get(frame).copied().unwrap_or(f64::INFINITY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::TrackId,
        tracking::{Tracker, TrackerConfig},
    };
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    /// Per frame, its instant and its detections, each with the id the tracker gave it.
    type Frames = Vec<(i64, Vec<(Rect, f32, Option<u64>)>)>;

    fn record(frames: &Frames) -> Recording {
        let mut recording = Recording::default();
        for (at, seen) in frames {
            let observations: Vec<Observation<'_>> = seen
                .iter()
                .map(|(rect, score, _)| Observation { rect: *rect, score: *score, descriptor: None })
                .collect();
            let matched = seen.iter().map(|(_, _, id)| id.map(TrackId)).collect();
            recording.push(Timestamp(*at), &observations, &Step { matched, ..Step::default() });
        }
        recording
    }

    /// Crowds near each other, so that there is something to extend and to join, with instants that may stand still or
    /// jump, and boxes that are none among those nobody claimed.
    fn any_frames() -> impl Strategy<Value = Frames> {
        let walker = (0..5u8, -8.0f32..8.0, 0.05f32..1.5, 0..9u64).prop_map(|(i, dx, s, id)| {
            (Rect::new(f32::from(i) * 50.0 + dx, 200.0, 40.0, 100.0 + dx), s, (id < 6).then_some(id))
        });
        let odd = prop_oneof![Just(f32::NAN), Just(f32::INFINITY), Just(-5.0f32), Just(3e7), Just(0.0)];
        let odd = (odd.clone(), odd.clone(), odd).prop_map(|(x, w, s)| (Rect::new(x, 200.0, w, 100.0), s, None));
        let gap = prop_oneof![8 => 20_000i64..200_000, 1 => Just(0), 1 => -500_000i64..5_000_000];
        let seen = proptest::collection::vec(prop_oneof![9 => walker, 1 => odd], 0..7);
        proptest::collection::vec((gap, seen), 0..40).prop_map(|frames| {
            let mut now = 0;
            let dated = frames.into_iter().map(|(gap, mut seen)| {
                now += gap;
                let mut claimed = BTreeSet::new();
                seen.iter_mut().for_each(|(_, _, id)| *id = id.filter(|id| claimed.insert(*id)));
                (now, seen)
            });
            dated.collect()
        })
    }

    /// Everything as it came: nothing followed on, joined, left out or smoothed.
    fn plain() -> OfflineConfig {
        OfflineConfig {
            min_seen: 0,
            extend_gate: 2.0,
            join_shape: 2.0,
            tail: 0.0,
            min_seconds: 0.0,
            min_score: f32::MIN,
            smooth_position: 0.0,
            smooth_shape: 0.0,
            ..OfflineConfig::default()
        }
    }

    proptest! {
        #[test]
        fn any_recording_keeps_the_promises(frames in any_frames(), min_seconds in 0.0f64..0.5) {
            let config = OfflineConfig { min_seconds, min_score: 0.2, ..OfflineConfig::default() };
            let rows = record(&frames).finish(&config);
            prop_assert!(rows.is_sorted_by(|a, b| (a.frame, a.id) < (b.frame, b.id)), "an id twice, or out of order");
            let mut newest = 0;
            for row in &rows {
                prop_assert!((1..=frames.len()).contains(&(row.frame as usize)));
                let Rect { x, y, w, h } = row.rect;
                prop_assert!([x, y, w, h, row.score].iter().all(|v| v.is_finite()) && w >= 1.0 && h >= 1.0, "{row:?}");
            }
            for id in rows.iter().map(|r| r.id) {
                prop_assert!((1..=newest + 1).contains(&id), "ids are not dense in the order people appear");
                newest = newest.max(id);
            }
        }

        #[test]
        fn neither_ids_nor_the_order_of_detections_make_a_difference(
            frames in any_frames(),
            turn in 0usize..7,
            names in Just((0..6u64).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let config = OfflineConfig { min_seconds: 0.0, min_score: 0.0, ..OfflineConfig::default() };
            let mut other = frames.clone();
            for (_, seen) in &mut other {
                let by = turn.min(seen.len());
                seen.rotate_left(by);
                seen.iter_mut().for_each(|(_, _, id)| *id = id.map(|id| 100 + names[id as usize]));
            }
            prop_assert_eq!(record(&frames).finish(&config), record(&other).finish(&config));
        }

        #[test]
        fn boxes_are_added_in_gaps_only_and_between_their_ends(frames in any_frames()) {
            let mut given: BTreeMap<u64, BTreeMap<u32, Rect>> = BTreeMap::new();
            for (frame, (_, seen)) in (1..).zip(&frames) {
                for (rect, _, id) in seen {
                    if let Some(id) = id {
                        given.entry(*id).or_default().insert(frame, *rect);
                    }
                }
            }
            let same = |a: &Rect, b: &Rect| [a.x - b.x, a.y - b.y, a.w - b.w, a.h - b.h].iter().all(|d| d.abs() < 0.01);
            let rows = record(&frames).finish(&plain());
            let mut made: BTreeMap<u64, BTreeMap<u32, Rect>> = BTreeMap::new();
            for r in &rows {
                made.entry(r.id).or_default().insert(r.frame, r.rect);
            }
            prop_assert_eq!(given.len(), made.len());
            for whole in made.values() {
                let source = given.values().find(|g| g.iter().all(|(f, r)| whole.get(f).is_some_and(|w| same(w, r))));
                prop_assert!(source.is_some(), "a detection was moved or lost");
                for (frame, rect) in whole {
                    let source = source.unwrap();
                    let (before, after) = (source.range(..=frame).next_back(), source.range(frame..).next());
                    prop_assert!(before.is_some() && after.is_some(), "added outside of a gap");
                    let (a, b) = (before.unwrap().1, after.unwrap().1);
                    prop_assert!((a.x.min(b.x) - 0.01..=a.x.max(b.x) + 0.01).contains(&rect.x));
                    prop_assert!((a.h.min(b.h) - 0.01..=a.h.max(b.h) + 0.01).contains(&rect.h));
                }
            }
        }
    }

    fn walker(frame: i64, id: Option<u64>) -> (Rect, f32, Option<u64>) {
        (Rect::new(100.0 + 2.0 * frame as f32, 200.0, 40.0, 100.0), 0.99, id)
    }

    fn clip(frames: i64, seen: impl Fn(i64) -> Vec<(Rect, f32, Option<u64>)>) -> Frames {
        (0..frames).map(|f| (f * 40_000, seen(f))).collect()
    }

    #[test]
    fn a_walker_who_was_lost_is_one_person_without_a_gap() {
        let frames = clip(75, |f| match f {
            0..30 => vec![walker(f, Some(7))],
            45.. => vec![walker(f, Some(9))],
            _ => vec![],
        });
        let rows = record(&frames).finish(&OfflineConfig::default());
        assert_eq!(
            rows.iter().map(|r| (r.frame, r.id)).collect::<Vec<_>>(),
            (1..=75).map(|f| (f, 1)).collect::<Vec<_>>()
        );
        for row in rows {
            let expected = walker(i64::from(row.frame) - 1, None).0;
            assert!(row.rect.iou(&expected) > 0.97, "{row:?}");
        }
    }

    #[test]
    fn who_comes_from_elsewhere_is_somebody_else() {
        let frames = clip(75, |f| match f {
            0..30 => vec![walker(f, Some(1))],
            45.. => vec![(Rect::new(700.0, 200.0, 40.0, 100.0), 0.99, Some(2))],
            _ => vec![],
        });
        let ids: BTreeSet<u64> = record(&frames).finish(&OfflineConfig::default()).iter().map(|r| r.id).collect();
        assert_eq!(ids.len(), 2);
    }

    #[test]
    fn what_came_before_a_track_began_is_followed_back() {
        let frames = clip(50, |f| vec![walker(f, (f >= 20).then_some(1))]);
        let rows = record(&frames).finish(&OfflineConfig { tail: 0.0, ..OfflineConfig::default() });
        assert_eq!(rows.iter().map(|r| r.frame).collect::<Vec<_>>(), (1..=50).collect::<Vec<_>>());
    }

    #[test]
    fn a_glimpse_is_free_for_whoever_passes_there() {
        let frames = clip(40, |f| vec![walker(f, Some(if f == 20 { 2 } else { 1 }))]);
        let ids = |min_seen| -> BTreeSet<u64> {
            let config = OfflineConfig { min_seen, min_seconds: 0.0, join_pause: 0.0, ..OfflineConfig::default() };
            record(&frames).finish(&config).iter().map(|r| r.id).collect()
        };
        assert_eq!((ids(2).len(), ids(1).len()), (1, 2));
    }

    #[test]
    fn the_weak_and_the_short_are_left_out() {
        let still = |x: f32, score, id| (Rect::new(x, 200.0, 40.0, 100.0), score, Some(id));
        let frames = clip(50, |f| {
            let mut seen = vec![still(100.0, 0.99, 1), still(500.0, 0.2, 2)];
            seen.extend((f < 3).then(|| still(900.0, 0.99, 3)));
            seen
        });
        let rows = record(&frames).finish(&OfflineConfig::default());
        assert!(rows.len() == 50 && rows.iter().all(|r| r.rect.x < 200.0));
    }

    #[test]
    fn a_tracker_behind_it_gives_the_same_every_time() {
        let run = || {
            let mut tracker = Tracker::new(TrackerConfig::default());
            let mut recording = Recording::default();
            for f in 0..60 {
                let rects = [walker(f, None).0, walker(80 - f, None).0];
                let seen = rects.map(|rect| Observation { rect, score: 0.99, descriptor: None });
                let seen = if (25..33).contains(&f) { &seen[..1] } else { &seen[..] };
                let step = tracker.step(Timestamp(f * 40_000), seen);
                recording.push(Timestamp(f * 40_000), seen, &step);
            }
            recording.finish(&OfflineConfig::default())
        };
        let rows = run();
        assert_eq!(rows.len(), 120, "two people on every frame");
        assert_eq!(crate::tracking::write_results(&rows), crate::tracking::write_results(&run()));
    }
}
