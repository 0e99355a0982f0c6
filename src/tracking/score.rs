//! Detectors whose scores are not in `0.0..=1.0`, as DPM's and ACF's are not, brought to the tracker's scale.

/// The share of a detector's scores that lies below its full score. Of five settings tried on the public detections of
/// MOT15, .25 to .4 give HOTA 48.2 to 51.2 and IDF1 65.9 to 72.0, .2 falls to 47.4 and 64.9; this one lies inside.
const FULL_SHARE: f64 = 0.3;
/// So many scores tell the scale; what comes later is not learned from, so that memory and time stay bounded.
const LEARNED: usize = 20_000;

/// A detector's scale of scores, learned from what it has said so far and nothing later.
#[derive(Clone, Debug, Default)]
pub(super) struct ScoreScale {
    /// What was learned from, ascending.
    seen: Vec<f32>,
    /// Whether a score outside `0.0..=1.0` was seen.
    foreign: bool,
}

impl ScoreScale {
    /// Learns from a finite score.
    pub(super) fn learn(&mut self, score: f32) {
        self.foreign |= !(0.0..=1.0).contains(&score);
        if self.seen.len() < LEARNED {
            self.seen.insert(self.seen.partition_point(|s| *s <= score), score);
        }
    }

    /// The score on the tracker's scale. Scores of a detector that has kept to `0.0..=1.0` are returned as they are;
    /// of any other, the lowest seen becomes 0 and the 30th percentile 1. The unit and the zero of such a detector's
    /// scores make no difference.
    pub(super) fn apply(&self, score: f32) -> f32 {
        let full = self.seen.get((self.seen.len() as f64 * FULL_SHARE) as usize);
        let (true, Some(low), Some(full)) = (self.foreign, self.seen.first(), full) else { return score };
        let span = full - low;
        if span > 0.0 { ((score - low) / span).max(0.0) } else { 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn learned(scores: impl IntoIterator<Item = f32>) -> ScoreScale {
        let mut scale = ScoreScale::default();
        scores.into_iter().for_each(|s| scale.learn(s));
        scale
    }

    proptest! {
        #[test]
        fn scores_within_0_and_1_are_left_alone(scores in proptest::collection::vec(0.0f32..=1.0, 1..50)) {
            let scale = learned(scores.iter().copied());
            prop_assert!(scores.iter().all(|s| scale.apply(*s).to_bits() == s.to_bits()));
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
    }

    #[test]
    fn the_lowest_is_0_and_the_30th_percentile_1() {
        let scale = learned((0..=100).map(|s| f32::from(s as u8) - 20.0));
        assert_eq!([-20.0, -5.0, 10.0, 40.0, -99.0].map(|s| scale.apply(s)), [0.0, 0.5, 1.0, 2.0, 0.0]);
        assert_eq!(learned([7.0; 9]).apply(7.0), 1.0, "all alike: all full");
    }
}
