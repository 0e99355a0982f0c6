//! From the similarity of two appearances to the probability that they are one person.
use crate::model::DescriptorKind;
use serde::{Deserialize, Serialize};

/// A logistic curve (Platt scaling): `p = 1 / (1 + exp(-(slope * similarity + offset)))`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Steepness, per unit of similarity.
    pub slope: f32,
    /// Log-odds at similarity 0.
    pub offset: f32,
}

impl Calibration {
    /// The shipped curve of a kind of descriptor, fitted by `vigia bench appearance` on pairs of tracks seen through different
    /// virtual cameras of the demo footage (PETS09-S2L1's ground truth, 1462 and 1534 pairs, a prior of one in eight). Those
    /// cameras share one sensor and one light, so on a site whose cameras differ it promises too much, the colour stripes most.
    pub fn shipped(kind: DescriptorKind) -> Self {
        match kind {
            DescriptorKind::ColourStripes => Self { slope: 44.13, offset: -40.72 },
            DescriptorKind::Learned => Self { slope: 14.49, offset: -9.54 },
        }
    }

    /// The probability, in `0.0..=1.0`.
    pub fn probability(&self, similarity: f32) -> f32 {
        1.0 / (1.0 + (-(self.slope * similarity + self.offset)).exp())
    }

    /// The curve that makes labelled pairs (similarity, same person?) most likely, by Newton's method on the logistic loss, with
    /// Platt's smoothed targets against overconfidence (Platt 1999; Lin, Lin & Weng 2007). `prior` is the share of same-person pairs
    /// to be expected in use; pairs are weighted to it. `None` without pairs of both kinds.
    pub fn fit(pairs: &[(f32, bool)], prior: f64) -> Option<Self> {
        let same = pairs.iter().filter(|p| p.1).count() as f64;
        let other = pairs.len() as f64 - same;
        if same < 1.0 || other < 1.0 {
            return None;
        }
        let (high, low) = ((same + 1.0) / (same + 2.0), 1.0 / (other + 2.0));
        let (weight_same, weight_other) = (prior / same, (1.0 - prior) / other);
        let (mut a, mut b) = (0.0f64, 0.0f64);
        for _ in 0..100 {
            let (mut ga, mut gb, mut haa, mut hab, mut hbb) = (0.0, 0.0, 1e-9, 0.0, 1e-9);
            for &(s, is_same) in pairs {
                let s = f64::from(s);
                let (target, weight) = if is_same { (high, weight_same) } else { (low, weight_other) };
                let p = 1.0 / (1.0 + (-(a * s + b)).exp());
                let (g, h) = (weight * (p - target), weight * p * (1.0 - p));
                ga += g * s;
                gb += g;
                haa += h * s * s;
                hab += h * s;
                hbb += h;
            }
            let determinant = haa * hbb - hab * hab;
            if determinant.abs() < 1e-18 {
                break;
            }
            let (da, db) = ((hbb * ga - hab * gb) / determinant, (haa * gb - hab * ga) / determinant);
            // Newton overshoots far from the optimum: steps are bounded.
            let shorten = (20.0 / da.abs().max(db.abs()).max(20.0)).min(1.0);
            a -= da * shorten;
            b -= db * shorten;
            if da.abs() + db.abs() < 1e-7 {
                break;
            }
        }
        (a.is_finite() && b.is_finite()).then_some(Self { slope: a as f32, offset: b as f32 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fitted_curve_gives_back_the_odds_it_was_made_of() {
        // same-person share rises from 1 in 10 at similarity .5 to 9 in 10 at .9
        let mut pairs = Vec::new();
        for (s, same) in [(0.5, 10), (0.7, 50), (0.9, 90)] {
            pairs.extend((0..100).map(|i| (s, i < same)));
        }
        let curve = Calibration::fit(&pairs, 0.5).unwrap();
        for (s, p) in [(0.5, 0.1), (0.7, 0.5), (0.9, 0.9)] {
            assert!((curve.probability(s) - p).abs() < 0.03, "{s}: {} {curve:?}", curve.probability(s));
        }
        assert!(Calibration::fit(&[(0.5, true)], 0.5).is_none());
    }
}
