//! The curve from likeness to probability that a site's own decisions gave.
use super::{DescriptorKind, Timestamp};
use serde::{Deserialize, Serialize};

/// A logistic curve for one kind of appearance vectors, fitted to the matches that were confirmed and rejected at this site.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FittedCurve {
    /// Of what vectors; there is one curve a kind.
    pub kind: DescriptorKind,
    /// Steepness, per unit of similarity.
    pub slope: f64,
    /// Log-odds at similarity 0.
    pub intercept: f64,
    /// From so many confirmed matches.
    pub confirmed: u32,
    /// And so many rejected ones.
    pub rejected: u32,
    /// When; of two fits the later counts.
    pub fitted_at: Timestamp,
}
