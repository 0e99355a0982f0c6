//! From the similarity of two appearances to the probability that they are one person.
use crate::model::{DescriptorKind, FittedCurve};
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

    /// The natural logarithm of the odds.
    pub fn log_odds(&self, similarity: f32) -> f64 {
        f64::from(self.slope) * f64::from(similarity) + f64::from(self.offset)
    }

    /// The curve that labelled pairs (similarity, same person?) of one site make of `shipped`: its log-odds are stretched and shifted so
    /// that the pairs become most likely (Platt scaling, by Newton's method), with normal priors on both, around not at all and
    /// with deviations of 0.5 and 1.5, so that few pairs change little. Pairs count as they come: whoever decides sees all matches from some
    /// probability on, whatever they are, so what is said of the rest stays true.
    pub fn refit(shipped: Self, pairs: &[(f32, bool)]) -> Self {
        const PRECISION: (f64, f64) = (4.0, 1.0 / 2.25);
        let (mut stretch, mut shift) = (1.0f64, 0.0f64);
        for _ in 0..100 {
            let (mut ga, mut gb) = (PRECISION.0 * (stretch - 1.0), PRECISION.1 * shift);
            let (mut haa, mut hab, mut hbb) = (PRECISION.0, 0.0, PRECISION.1);
            for &(similarity, same) in pairs {
                let x = shipped.log_odds(similarity).clamp(-20.0, 20.0);
                let p = 1.0 / (1.0 + (-(stretch * x + shift)).exp());
                let (g, h) = (p - f64::from(u8::from(same)), p * (1.0 - p));
                ga += g * x;
                gb += g;
                haa += h * x * x;
                hab += h * x;
                hbb += h;
            }
            let determinant = haa * hbb - hab * hab; // positive: the priors are proper
            let (da, db) = ((hbb * ga - hab * gb) / determinant, (haa * gb - hab * ga) / determinant);
            let shorten = 1.0 / da.abs().max(db.abs()).max(1.0);
            stretch -= da * shorten;
            shift -= db * shorten;
            if da.abs() + db.abs() < 1e-9 {
                break;
            }
        }
        // Who is more alike is never less probable.
        let stretch = stretch.max(0.05);
        let slope = stretch * f64::from(shipped.slope);
        Self { slope: slope as f32, offset: (stretch * f64::from(shipped.offset) + shift) as f32 }
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

/// The curves in use, one a kind of appearance vectors.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Curves {
    stripes: Calibration,
    learned: Calibration,
}

impl Default for Curves {
    fn default() -> Self {
        Self {
            stripes: Calibration::shipped(DescriptorKind::ColourStripes),
            learned: Calibration::shipped(DescriptorKind::Learned),
        }
    }
}

impl Curves {
    /// The shipped ones, but where the site has its own.
    pub fn of(fitted: &[FittedCurve]) -> Self {
        let mut curves = Self::default();
        for own in fitted {
            let curve = Calibration { slope: own.slope as f32, offset: own.intercept as f32 };
            match own.kind {
                DescriptorKind::ColourStripes => curves.stripes = curve,
                DescriptorKind::Learned => curves.learned = curve,
            }
        }
        curves
    }

    /// The curve of a kind.
    pub fn get(&self, kind: DescriptorKind) -> Calibration {
        match kind {
            DescriptorKind::ColourStripes => self.stripes,
            DescriptorKind::Learned => self.learned,
        }
    }
}

/// How true probabilities are: of the pairs said to be one person with probability p, a share p should be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reliability {
    /// Ten bins of equal width, those without pairs left out.
    pub bins: Vec<ReliabilityBin>,
    /// Expected calibration error: the mean distance of said and true over all pairs (Naeini et al., AAAI 2015).
    pub ece: f64,
}

/// The pairs whose probability lies in one tenth.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ReliabilityBin {
    /// From this probability on.
    pub from: f64,
    /// How many pairs.
    pub pairs: usize,
    /// Their mean probability, as said.
    pub said: f64,
    /// The share that is one person, weighted to the prior.
    pub is: f64,
}

impl Reliability {
    /// Of labelled pairs (probability, same person?), weighted as if a share `prior` were one person.
    pub fn of(pairs: &[(f32, bool)], prior: f64) -> Self {
        let same = pairs.iter().filter(|p| p.1).count() as f64;
        let other = pairs.len() as f64 - same;
        let weight = |is_same: bool| if is_same { prior / same.max(1.0) } else { (1.0 - prior) / other.max(1.0) };
        let (mut bins, mut ece) = (Vec::new(), 0.0);
        for tenth in 0..10u8 {
            let inside = |p: f32| (p * 10.0).floor().min(9.0) as u8 == tenth;
            let (mut n, mut mass, mut said, mut is) = (0, 0.0, 0.0, 0.0);
            for (p, is_same) in pairs.iter().filter(|(p, _)| inside(*p)) {
                let w = weight(*is_same);
                n += 1;
                mass += w;
                said += w * f64::from(*p);
                is += if *is_same { w } else { 0.0 };
            }
            if mass > 0.0 {
                ece += (said - is).abs();
                bins.push(ReliabilityBin { from: f64::from(tenth) / 10.0, pairs: n, said: said / mass, is: is / mass });
            }
        }
        Self { bins, ece }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_that_hold_have_no_error_and_boasts_have() {
        let pairs = |said: f32| (0..100).map(|i| (said, i < 70)).collect::<Vec<_>>();
        let honest = Reliability::of(&pairs(0.7), 0.7);
        assert!(honest.ece < 1e-6 && honest.bins.len() == 1 && honest.bins[0].pairs == 100, "{honest:?}");
        assert!((Reliability::of(&pairs(0.95), 0.7).ece - 0.25).abs() < 1e-6);
    }

    #[test]
    fn few_decisions_change_the_shipped_curve_little_and_many_make_it_true() {
        let shipped = Calibration { slope: 20.0, offset: -14.0 }; // even odds at .7
        // At this site strangers look alike: even odds are at .8.
        let truth = Calibration { slope: 20.0, offset: -16.0 };
        let decided = |n: usize| -> Vec<(f32, bool)> {
            (0..n)
                .map(|i| {
                    let similarity = 0.6 + 0.4 * (i * 37 % 101) as f32 / 101.0;
                    (similarity, truth.probability(similarity) > (i * 61 % 103) as f32 / 103.0)
                })
                .collect()
        };
        let off = |c: Calibration| (c.probability(0.8) - 0.5).abs();
        let (few, many) = (Calibration::refit(shipped, &decided(3)), Calibration::refit(shipped, &decided(1000)));
        assert!(off(many) < 0.05, "{many:?}");
        assert!(off(few) > off(many) && off(few) < off(shipped) + 0.05, "{few:?}");
        assert_eq!(Calibration::refit(shipped, &[]), shipped);
        // All confirmed, all alike, and the other way round: finite, and never upside down.
        for same in [true, false] {
            let curve = Calibration::refit(shipped, &vec![(0.9, same); 500]);
            assert!(curve.slope > 0.0 && curve.slope.is_finite() && curve.offset.is_finite());
        }
    }

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
