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

/// A detector's scale of scores, learned from what it has said so far and nothing later.
#[derive(Clone, Debug, Default)]
pub(super) struct ScoreScale {
    /// What was learned from, ascending.
    seen: Vec<f32>,
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
        let before = (self.seen.len(), self.foreign);
        for score in scores {
            self.foreign |= !(0.0..=1.0).contains(&score);
            if self.seen.len() < LEARNED {
                self.seen.insert(self.seen.partition_point(|s| *s <= score), score);
            }
        }
        if before != (self.seen.len(), self.foreign) {
            self.measure();
        }
    }

    fn measure(&mut self) {
        let lowest = self.seen.first().copied().unwrap_or(0.0);
        if self.foreign {
            let share = (self.seen.len() as f64 * FULL_SHARE) as usize;
            (self.low, self.full, self.zero) = (lowest, self.seen.get(share).copied().unwrap_or(lowest), 0.0);
            return;
        }
        let weight = |s: &f32| f64::from(s - lowest);
        let half = FULL_MASS * self.seen.iter().map(weight).sum::<f64>();
        let mut mass = 0.0;
        let full = self.seen.iter().find(|s| {
            mass += weight(s);
            mass >= half
        });
        let full = full.copied().unwrap_or(lowest);
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
