//! How the cameras of a site lie to each other: which views overlap, how far apart they stand, and how long people take from one to
//! another.
use crate::model::{CameraId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Nobody on foot is faster, metres a second: sprinters are.
const FASTEST: f64 = 10.0;
/// Metres by which places on a map may be wrong, or by which a view reaches away from its camera.
const SLACK: f64 = 60.0;
/// Natural logarithm of the odds against somebody who would have had to be faster.
const IMPOSSIBLE: f64 = -4.0;
/// Travel times that make as much of an impression as what is believed before any is known: all times alike.
const PRIOR_WEIGHT: f64 = 8.0;
/// A travel time counts for or against at most so much.
const MOST_EVIDENCE: f64 = 2.0;
/// Bins of travel times: overlapping in time, then doubling from a second on; the last is for all that took longer.
const BINS: usize = 14;

/// Overlaps and places.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Topology {
    overlaps: BTreeSet<(CameraId, CameraId)>,
    /// Latitude and longitude, degrees.
    places: BTreeMap<CameraId, (f64, f64)>,
}

impl Topology {
    /// Of each group of cameras every two overlap; `places` are latitudes and longitudes in degrees, where they are known.
    pub fn new(
        groups: impl IntoIterator<Item = Vec<CameraId>>,
        places: impl IntoIterator<Item = (CameraId, (f64, f64))>,
    ) -> Self {
        let mut overlaps = BTreeSet::new();
        for group in groups {
            for a in &group {
                overlaps.extend(group.iter().filter(|b| *b != a).map(|b| (*a, *b)));
            }
        }
        Self { overlaps, places: places.into_iter().collect() }
    }

    /// Whether two cameras may show one person at the same instant. One camera shows a person once.
    pub fn may_be_in_both(&self, a: CameraId, b: CameraId) -> bool {
        self.overlaps.contains(&(a, b))
    }

    /// All pairs of cameras whose views overlap, the lesser id first.
    pub fn pairs(&self) -> impl Iterator<Item = (CameraId, CameraId)> {
        self.overlaps.iter().copied().filter(|(a, b)| a < b)
    }

    /// The cameras whose views overlap that of this one.
    pub fn overlaps(&self, camera: CameraId) -> impl Iterator<Item = CameraId> {
        let all = (camera, Uuid::nil())..=(camera, Uuid::max());
        self.overlaps.range(all).map(|(_, other)| *other)
    }

    /// Metres between two cameras on the ground (equirectangular, good over a site), where both places are known.
    fn distance(&self, a: CameraId, b: CameraId) -> Option<f64> {
        let ((lat_a, lon_a), (lat_b, lon_b)) = (self.places.get(&a)?, self.places.get(&b)?);
        let (dy, dx) = ((lat_b - lat_a) * 111_195.0, (lon_b - lon_a) * 111_195.0 * lat_a.to_radians().cos());
        Some(dx.hypot(dy))
    }
}

/// A stay in a view that is certain to be a suspect's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stop {
    /// Where.
    pub camera: CameraId,
    /// From when.
    pub from: Timestamp,
    /// To when, so far.
    pub until: Timestamp,
}

/// How long people took from one camera to another: for every ordered pair of cameras a histogram over doubling times, smoothed by
/// a prior in which all bins are alike, so that what is not known says nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Travel {
    seen: BTreeMap<(CameraId, CameraId), [f64; BINS]>,
}

fn bin(seconds: f64) -> usize {
    if seconds <= 0.0 { 0 } else { (1.0 + (seconds + 1.0).log2()).min((BINS - 1) as f64) as usize }
}

impl Travel {
    /// Learns from one person's certain stays, in any order: each way from one to the next in another camera counts once.
    pub fn learn(&mut self, stops: &[Stop]) {
        let mut stops = stops.to_vec();
        stops.sort_by_key(|s| (s.from, s.until, s.camera));
        for (a, b) in stops.iter().zip(stops.iter().skip(1)).filter(|(a, b)| a.camera != b.camera) {
            let counts = self.seen.entry((a.camera, b.camera)).or_default();
            if let Some(n) = counts.get_mut(bin(b.from.seconds_since(a.until))) {
                *n += 1.0;
            }
        }
    }

    /// How much more often whoever was last seen in `last` enters `camera` at `at` than somebody else does: the natural logarithm of
    /// the ratio, 0 where nothing is known, never beyond ±2, but for speeds that nobody reaches.
    pub fn evidence(&self, topology: &Topology, last: &Stop, camera: CameraId, at: Timestamp) -> f64 {
        if last.camera == camera {
            return 0.0;
        }
        let seconds = at.seconds_since(last.until);
        if !topology.may_be_in_both(last.camera, camera)
            && let Some(metres) = topology.distance(last.camera, camera)
            && metres - SLACK > FASTEST * seconds.max(0.0)
        {
            return IMPOSSIBLE;
        }
        let Some(counts) = self.seen.get(&(last.camera, camera)) else { return 0.0 };
        let (all, uniform) = (counts.iter().sum::<f64>(), 1.0 / BINS as f64);
        let here = counts.get(bin(seconds)).copied().unwrap_or_default();
        let share = (here + PRIOR_WEIGHT * uniform) / (all + PRIOR_WEIGHT);
        (share / uniform).ln().clamp(-MOST_EVIDENCE, MOST_EVIDENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: CameraId = Uuid::from_u128(1);
    const B: CameraId = Uuid::from_u128(2);
    const C: CameraId = Uuid::from_u128(3);

    fn stop(camera: CameraId, from: i64, until: i64) -> Stop {
        Stop { camera, from: Timestamp(from * 1_000_000), until: Timestamp(until * 1_000_000) }
    }

    fn s(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1_000_000)
    }

    #[test]
    fn every_two_cameras_of_a_group_overlap_and_no_others() {
        let topology = Topology::new([vec![A, B]], []);
        assert!(topology.may_be_in_both(A, B) && topology.may_be_in_both(B, A));
        assert!(!topology.may_be_in_both(A, C) && !topology.may_be_in_both(A, A));
    }

    #[test]
    fn who_comes_when_people_come_is_likelier_and_the_other_way_is_not_known() {
        let (mut travel, none) = (Travel::default(), Topology::default());
        for i in 0..12 {
            travel.learn(&[stop(A, 100 * i, 100 * i + 10), stop(B, 100 * i + 30, 100 * i + 40)]);
        }
        let last = stop(A, 0, 10);
        let evidence = |at| travel.evidence(&none, &last, B, s(at));
        assert!(evidence(31) > 1.0 && evidence(500) < -0.5, "{} {}", evidence(31), evidence(500));
        assert!(travel.evidence(&none, &stop(B, 0, 10), A, s(31)).abs() < 1e-12);
    }

    #[test]
    fn nobody_flies_but_views_that_overlap_show_people_at_once() {
        let places = [(A, (38.7, -9.1)), (B, (38.71, -9.1))]; // 1.1 km
        let (apart, travel, last) = (Topology::new([], places), Travel::default(), stop(A, 0, 10));
        assert!(travel.evidence(&apart, &last, B, s(20)) < -3.0);
        assert!(travel.evidence(&apart, &last, B, s(400)).abs() < 1e-12);
        let overlapping = Topology::new([vec![A, B]], places);
        assert!(travel.evidence(&overlapping, &last, B, s(9)).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn evidence_is_bounded_and_does_not_depend_on_the_order_of_learning(
            stops in proptest::collection::vec((0u128..3, 0i64..1000, 0i64..50), 0..20), at in 0i64..5000,
        ) {
            let stops: Vec<Stop> =
                stops.iter().map(|(c, from, length)| stop(Uuid::from_u128(*c), *from, from + length)).collect();
            let (mut one, mut other, none) = (Travel::default(), Travel::default(), Topology::default());
            one.learn(&stops);
            other.learn(&stops.iter().rev().copied().collect::<Vec<_>>());
            prop_assert_eq!(&one, &other);
            for from in 0..3 {
                let e = one.evidence(&none, &stop(Uuid::from_u128(from), 0, 10), B, s(at));
                prop_assert!(e.abs() <= MOST_EVIDENCE);
            }
        }
    }
}
