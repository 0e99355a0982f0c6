//! Who is whom over all cameras at one instant.
use crate::{
    model::{CameraId, SuspectId, TrackId},
    tracking::{Edge, assign},
};
use std::collections::BTreeMap;

/// A track that may be a suspect, and what it is worth to say so.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Who.
    pub suspect: SuspectId,
    /// Where.
    pub camera: CameraId,
    /// The camera's track.
    pub track: TrackId,
    /// Log-odds above those from which on it is said; only what is above 0 is chosen.
    pub gain: f64,
}

/// How often, within one group of people who can be taken for each other, leaving out the more probable of two places is tried, too.
const MOST_STEPS: u32 = 64;

/// Which candidates are true together, so that the sum of their gains is greatest: a track is one suspect at most, a suspect is one
/// track of a camera at most, and is in two cameras at once only where `may_be_in_both` says so. Only groups of candidates that depend
/// on each other and of which one `matters` are looked at. The answer does not depend on the order of the candidates, but where two
/// answers are worth the same.
///
/// Without the last condition every camera is an assignment problem of its own, solved exactly; where its answer puts somebody into two
/// places at once, the most probable of them either is where the suspect is, or is left out, and the better of both ways is
/// taken (branch and bound). After 64 such steps within one group the suspect is where that is most probable.
pub fn assign_jointly(
    candidates: &[Candidate],
    may_be_in_both: impl Fn(CameraId, CameraId) -> bool,
    matters: impl Fn(&Candidate) -> bool,
) -> Vec<bool> {
    let mut chosen = vec![false; candidates.len()];
    let worth: Vec<usize> =
        (0..candidates.len()).filter(|i| candidates.get(*i).is_some_and(|c| c.gain > 0.0)).collect();
    for group in groups(candidates, &worth) {
        if !group.iter().any(|i| candidates.get(*i).is_some_and(&matters)) {
            continue;
        }
        let mut search = Search { candidates, may_be_in_both: &may_be_in_both, steps: MOST_STEPS };
        for i in search.best(&group).1 {
            if let Some(slot) = chosen.get_mut(i) {
                *slot = true;
            }
        }
    }
    chosen
}

/// Candidates that share a suspect or a track, directly or over others.
fn groups(candidates: &[Candidate], some: &[usize]) -> Vec<Vec<usize>> {
    let mut group_of: Vec<usize> = (0..some.len()).collect();
    let root = |group_of: &[usize], mut i: usize| {
        while let Some(&up) = group_of.get(i).filter(|up| **up != i) {
            i = up;
        }
        i
    };
    let (mut suspects, mut tracks) = (BTreeMap::new(), BTreeMap::new());
    for (i, c) in some.iter().enumerate().filter_map(|(i, n)| Some((i, candidates.get(*n)?))) {
        let (s, t) = (*suspects.entry(c.suspect).or_insert(i), *tracks.entry((c.camera, c.track)).or_insert(i));
        for other in [s, t] {
            let (a, b) = (root(&group_of, i), root(&group_of, other));
            if let Some(slot) = group_of.get_mut(a.max(b)) {
                *slot = a.min(b);
            }
        }
    }
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (i, n) in some.iter().enumerate() {
        groups.entry(root(&group_of, i)).or_default().push(*n);
    }
    groups.into_values().collect()
}

struct Search<'a, F> {
    candidates: &'a [Candidate],
    may_be_in_both: &'a F,
    steps: u32,
}

impl<F: Fn(CameraId, CameraId) -> bool> Search<'_, F> {
    /// The greatest sum of gains of candidates in one group, and of which.
    fn best(&mut self, group: &[usize]) -> (f64, Vec<usize>) {
        let found = self.camera_by_camera(group);
        // Of whom is said to be in two places at once: the most probable of those places.
        let conflicts = |a: &Candidate, b: &Candidate| {
            a.suspect == b.suspect && a.camera != b.camera && !(self.may_be_in_both)(a.camera, b.camera)
        };
        let torn = found.iter().filter(|(_, a)| found.iter().any(|(_, b)| conflicts(a, b)));
        let Some((at, there)) = torn.max_by(|a, b| a.1.gain.total_cmp(&b.1.gain).then(b.0.cmp(&a.0))).copied() else {
            return (found.iter().map(|(_, c)| c.gain).sum(), found.into_iter().map(|(i, _)| i).collect());
        };
        let not_elsewhere = |i: &usize| self.candidates.get(*i).is_some_and(|c| !conflicts(c, &there));
        let compatible: Vec<usize> = group.iter().copied().filter(not_elsewhere).collect();
        let there = self.best_of_groups(&compatible);
        if self.steps == 0 {
            return there;
        }
        self.steps -= 1;
        let rest: Vec<usize> = group.iter().copied().filter(|i| *i != at).collect();
        let most: f64 = self.camera_by_camera(&rest).iter().map(|(_, c)| c.gain).sum();
        if most <= there.0 {
            return there; // what is left out on top of that only lowers it
        }
        let elsewhere = self.best_of_groups(&rest);
        if elsewhere.0 > there.0 { elsewhere } else { there }
    }

    fn best_of_groups(&mut self, some: &[usize]) -> (f64, Vec<usize>) {
        groups(self.candidates, some).iter().fold((0.0, Vec::new()), |(sum, mut all), group| {
            let (gain, chosen) = self.best(group);
            all.extend(chosen);
            (sum + gain, all)
        })
    }

    /// The best assignment of each camera by itself.
    fn camera_by_camera(&self, allowed: &[usize]) -> Vec<(usize, Candidate)> {
        let all: Vec<(usize, Candidate)> =
            allowed.iter().filter_map(|i| self.candidates.get(*i).map(|c| (*i, *c))).collect();
        let mut rows: Vec<_> = all.iter().map(|(_, c)| (c.camera, c.suspect)).collect();
        let mut cols: Vec<_> = all.iter().map(|(_, c)| (c.camera, c.track)).collect();
        rows.sort_unstable();
        rows.dedup();
        cols.sort_unstable();
        cols.dedup();
        let place = |(_, c): &(usize, Candidate)| Edge {
            row: rows.binary_search(&(c.camera, c.suspect)).unwrap_or(rows.len()),
            col: cols.binary_search(&(c.camera, c.track)).unwrap_or(cols.len()),
            gain: c.gain,
        };
        let edges: Vec<Edge> = all.iter().map(place).collect();
        let assigned = assign(rows.len(), cols.len(), &edges);
        let is_taken = |edge: &Edge| assigned.get(edge.row) == Some(&Some(edge.col));
        all.into_iter().zip(&edges).filter(|(_, edge)| is_taken(edge)).map(|(c, _)| c).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn candidate((suspect, camera, track, gain): (u128, u128, u64, f64)) -> Candidate {
        Candidate { suspect: Uuid::from_u128(suspect), camera: Uuid::from_u128(camera), track: TrackId(track), gain }
    }

    /// Cameras 0 and 1 overlap.
    fn overlap(a: CameraId, b: CameraId) -> bool {
        a != b && a.as_u128() < 2 && b.as_u128() < 2
    }

    fn is_possible(chosen: &[&Candidate]) -> bool {
        chosen.iter().enumerate().all(|(n, a)| {
            chosen.iter().skip(n + 1).all(|b| {
                (a.camera, a.track) != (b.camera, b.track) && (a.suspect != b.suspect || overlap(a.camera, b.camera))
            })
        })
    }

    fn of(candidates: &[Candidate], chosen: &[bool]) -> f64 {
        candidates.iter().zip(chosen).filter(|(_, c)| **c).map(|(c, _)| c.gain).sum()
    }

    #[test]
    fn nobody_is_in_two_places_at_once_but_where_views_overlap() {
        let here = [candidate((1, 0, 1, 2.0)), candidate((1, 1, 1, 1.0)), candidate((1, 2, 1, 1.5))];
        assert_eq!(assign_jointly(&here, overlap, |_| true), [true, true, false]);
    }

    #[test]
    fn the_whole_is_what_counts_not_the_greatest_first() {
        // Greedily suspect 1 takes track 1, and nothing is left for suspect 2.
        let two = [candidate((1, 0, 1, 2.0)), candidate((1, 0, 2, 1.8)), candidate((2, 0, 1, 1.9))];
        assert_eq!(assign_jointly(&two, overlap, |_| true), [false, true, true]);
    }

    proptest! {
        #[test]
        fn as_good_as_trying_everything_and_possible_whatever_the_order(
            candidates in proptest::collection::btree_map((0u128..3, 0u128..4, 0u64..2), 0.01f64..3.0, 0..11)
        ) {
            let candidates: Vec<Candidate> =
                candidates.into_iter().map(|((s, c, t), gain)| candidate((s, c, t, gain))).collect();
            let found = assign_jointly(&candidates, overlap, |_| true);
            let chosen: Vec<&Candidate> = candidates.iter().zip(&found).filter(|(_, c)| **c).map(|(c, _)| c).collect();
            prop_assert!(is_possible(&chosen));
            let mut best = 0.0f64;
            for mask in 0u32..1 << candidates.len() {
                let some: Vec<&Candidate> =
                    candidates.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1).map(|(_, c)| c).collect();
                if is_possible(&some) {
                    best = best.max(some.iter().map(|c| c.gain).sum());
                }
            }
            prop_assert!((of(&candidates, &found) - best).abs() < 1e-9, "{} {best}", of(&candidates, &found));
            let backwards: Vec<Candidate> = candidates.iter().rev().copied().collect();
            let found = assign_jointly(&backwards, overlap, |_| true);
            prop_assert!((of(&backwards, &found) - best).abs() < 1e-9);
        }
    }
}
