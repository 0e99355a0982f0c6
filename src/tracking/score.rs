//! A detector's scores brought to the tracker's scale: detectors differ in what they call sure.

/// Of a detector within `0.0..=1.0`, the share of the scores' mass (each weighs what it is above the lowest) below the
/// full score. Scores there pile up at the top, and much rubbish at the bottom weighs little. On MOT17's public FRCNN
/// detections .5 leaves HOTA and IDF1 at 53.5 and 63.1; .05 to .4 give 52.6 to 53.5 and 61.7 to 63.0.
const FULL_MASS: f64 = 0.5;
/// Where the lowest such score comes to lie: FRCNN's lowest, so that a detector like it keeps its scores.
const LOWEST: f32 = 0.05;
/// The lowest such score is taken for at most this share of the full score, or a detector that is always sure would be
/// doubted for small differences.
const LOWEST_SHARE: f32 = 0.5;
/// Of any other detector, the share of the scores below the full score. Of five settings tried on the public detections
/// of MOT15, .25 to .4 give HOTA 48.2 to 51.2 and IDF1 65.9 to 72.0, .2 falls to 47.4 and 64.9; this one lies inside.
/// Known weakness: where such scores have no zero and nothing weak is ever reported, the lowest is doubted all the same.
const FULL_SHARE: f64 = 0.3;
/// So many scores tell the scale; what comes later is not learned from, so that memory and time stay bounded.
const LEARNED: usize = 20_000;

/// Scores within `0.0..=1.0` are added up in units of this, exactly, so that their order makes no difference.
const UNIT: f64 = 1.0 / (1u64 << 40) as f64;

/// A detector's scale of scores, learned from what it has said so far and nothing later.
#[derive(Clone, Debug, Default)]
pub(super) struct ScoreScale {
    /// What was learned from, ascending.
    seen: Vec<f32>,
    /// The sum of all, in units.
    sum: u64,
    /// Where the full score stands, and the sum of all before it.
    at: usize,
    before: u64,
    /// Whether a score outside `0.0..=1.0` was seen, as DPM's and ACF's are.
    foreign: bool,
    /// The scores that become `zero` and 1.
    low: f32,
    full: f32,
    zero: f32,
}

impl ScoreScale {
    /// Learns from the finite scores of one frame.
    pub(super) fn learn(&mut self, scores: impl IntoIterator<Item = f32>) {
        let room = LEARNED.saturating_sub(self.seen.len());
        let mut new = Vec::new();
        let mut foreign = self.foreign;
        for score in scores {
            foreign |= !(0.0..=1.0).contains(&score);
            if new.len() < room {
                new.push(score);
            }
        }
        if new.is_empty() && foreign == self.foreign {
            return;
        }
        self.foreign = foreign;
        self.merge(new);
        self.measure();
    }

    /// Puts the new ones among those seen, in one sweep from the end.
    fn merge(&mut self, mut new: Vec<f32>) {
        new.sort_unstable_by(f32::total_cmp);
        let mut end = self.seen.len();
        self.seen.resize(end + new.len(), 0.0);
        for (smaller, score) in new.into_iter().enumerate().rev() {
            let place = self.seen.get(..end).unwrap_or_default().partition_point(|s| *s <= score);
            self.seen.copy_within(place..end, place + smaller + 1);
            if let Some(slot) = self.seen.get_mut(place + smaller) {
                *slot = score;
            }
            end = place;
            self.sum += units(score);
            if place <= self.at {
                self.at += 1;
                self.before += units(score);
            }
        }
    }

    fn measure(&mut self) {
        let lowest = self.seen.first().copied().unwrap_or(0.0);
        if self.foreign {
            let share = (self.seen.len() as f64 * FULL_SHARE) as usize;
            (self.low, self.full, self.zero) = (lowest, self.seen.get(share).copied().unwrap_or(lowest), 0.0);
            return;
        }
        // The first score at which the mass up to it reaches its share; it is near where it was.
        let least = units(lowest);
        let mass = |sum: u64, scores: usize| sum.saturating_sub(least * scores as u64) as f64;
        let wanted = FULL_MASS * mass(self.sum, self.seen.len());
        let value = |at: usize| self.seen.get(at).copied();
        while let Some(score) = value(self.at)
            && mass(self.before + units(score), self.at + 1) < wanted
        {
            self.before += units(score);
            self.at += 1;
        }
        while let Some(score) = self.at.checked_sub(1).and_then(value)
            && mass(self.before, self.at) >= wanted
        {
            self.before -= units(score);
            self.at -= 1;
        }
        let full = value(self.at).unwrap_or(lowest);
        (self.low, self.full, self.zero) = (lowest.min(LOWEST_SHARE * full), full, LOWEST);
    }

    /// The score on the tracker's scale, from 0; up to 1 for a detector that has kept to `0.0..=1.0`. The unit of a
    /// detector's scores makes no difference, nor does their zero where they are not in `0.0..=1.0`.
    pub(super) fn apply(&self, score: f32) -> f32 {
        let span = self.full - self.low;
        if span <= 0.0 {
            return 1.0;
        }
        let scaled = (self.zero + (1.0 - self.zero) * (score - self.low) / span).max(0.0);
        if self.foreign { scaled } else { scaled.min(1.0) }
    }
}

/// A score in units; one outside `0.0..=1.0` counts as the end of that range it lies beyond.
fn units(score: f32) -> u64 {
    (f64::from(score).clamp(0.0, 1.0) / UNIT) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn learned(scores: impl IntoIterator<Item = f32>) -> ScoreScale {
        let mut scale = ScoreScale::default();
        scale.learn(scores);
        scale
    }

    proptest! {
        #[test]
        fn the_unit_of_scores_within_0_and_1_makes_no_difference(
            scores in proptest::collection::vec(0.0f32..=1.0, 1..50),
            unit in 0.1f32..1.0,
        ) {
            let (plain, other) = (learned(scores.iter().copied()), learned(scores.iter().map(|s| s * unit)));
            for s in &scores {
                let (a, b) = (plain.apply(*s), other.apply(s * unit));
                prop_assert!((0.0..=1.0).contains(&a) && (a - b).abs() < 1e-3, "{a} and {b}");
                prop_assert!(scores.iter().all(|t| (s <= t) <= (a <= plain.apply(*t))), "order is kept");
            }
        }

        #[test]
        fn unit_and_zero_of_foreign_scores_make_no_difference(
            scores in proptest::collection::vec(0u16..1000, 5..50),
            unit in 1u8..50,
            zero in -50i8..0,
        ) {
            let foreign = |s: u16| f32::from(s) * f32::from(unit) + f32::from(zero) - 5000.0;
            let plain = learned(scores.iter().map(|s| f32::from(*s) + 2.0));
            let other = learned(scores.iter().map(|s| foreign(*s)));
            for s in scores {
                let (a, b) = (plain.apply(f32::from(s) + 2.0), other.apply(foreign(s)));
                prop_assert!((a - b).abs() <= 1e-4 * a.abs().max(1.0), "{a} and {b}");
            }
        }

        #[test]
        fn what_is_learned_at_once_and_in_parts_is_the_same(scores in proptest::collection::vec(-0.2f32..1.1, 1..50)) {
            let mut parts = ScoreScale::default();
            scores.iter().for_each(|s| parts.learn([*s]));
            let whole = learned(scores.iter().copied());
            prop_assert!(scores.iter().all(|s| parts.apply(*s).to_bits() == whole.apply(*s).to_bits()));
        }
    }

    proptest! {
        #[test]
        fn half_the_mass_lies_below_the_full_score(scores in proptest::collection::vec(0u16..=1000, 1..80)) {
            let mut scale = ScoreScale::default();
            for frame in scores.chunks(3) {
                scale.learn(frame.iter().map(|s| f32::from(*s) / 1024.0)); // exact in binary
            }
            let mut sorted = scores;
            sorted.sort_unstable();
            let mass = |upto: usize| sorted[..upto].iter().map(|s| u32::from(s - sorted[0])).sum::<u32>();
            let full = (0..sorted.len()).find(|i| 2 * mass(i + 1) >= mass(sorted.len()));
            prop_assert_eq!(scale.full, f32::from(sorted[full.unwrap()]) / 1024.0);
        }
    }

    #[test]
    fn scores_that_reach_from_5_hundredths_to_1_stay_as_they_are() {
        let scale = learned((0..100).map(|i| if i < 20 { 0.05 + i as f32 / 25.0 } else { 1.0 }));
        for s in [0.05, 0.1, 0.6, 0.95, 1.0] {
            assert!((scale.apply(s) - s).abs() < 1e-6, "{s}");
        }
    }

    #[test]
    fn rubbish_does_not_raise_itself() {
        let people = || (0..100).map(|i| 0.6 + i as f32 / 400.0);
        let (clean, dirty) =
            (learned(people().chain([0.0])), learned(people().chain((0..500).map(|i| i as f32 / 1e4))));
        assert!((clean.apply(0.7) - dirty.apply(0.7)).abs() < 0.1);
        assert!(dirty.apply(0.05) < 0.2);
    }

    #[test]
    fn a_detector_that_is_always_sure_is_believed() {
        let scale = learned([0.98, 0.99, 0.97, 0.99]);
        assert!(scale.apply(0.97) > 0.95);
        assert_eq!(learned([0.5; 9]).apply(0.5), 1.0, "all alike: all full");
    }

    #[test]
    fn of_foreign_scores_the_lowest_is_0_and_the_30th_percentile_1() {
        let scale = learned((0..=100).map(|s| f32::from(s as u8) - 20.0));
        assert_eq!([-20.0, -5.0, 10.0, 40.0, -99.0].map(|s| scale.apply(s)), [0.0, 0.5, 1.0, 2.0, 0.0]);
        assert_eq!(learned([7.0; 9]).apply(7.0), 1.0, "all alike: all full");
    }
}
