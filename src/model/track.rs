//! What the detector found and what the tracker made of it.
use super::{Rect, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a detection is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Class {
    /// A person.
    Person,
    /// A knife.
    Knife,
    /// A gun; only a site's own model finds these.
    Gun,
}

/// One finding on one frame.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// Where, in pixels of the frame.
    pub rect: Rect,
    /// Confidence in `0.0..=1.0`.
    pub score: f32,
    /// Of what.
    pub class: Class,
}

/// Which embedder made a [`Descriptor`]; descriptors of different kinds cannot be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DescriptorKind {
    /// Colour histograms of horizontal stripes: built in, needs no file.
    ColourStripes,
    /// A learned re-identification network.
    Learned,
}

/// The appearance of one crop: a vector of unit length (L2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Descriptor {
    /// Who made it.
    pub kind: DescriptorKind,
    /// The unit vector.
    pub vector: Arc<[f32]>,
}

impl Descriptor {
    /// Cosine similarity in `-1.0..=1.0`; `None` when the kinds or lengths differ.
    pub fn similarity(&self, other: &Self) -> Option<f32> {
        if self.kind != other.kind || self.vector.len() != other.vector.len() {
            return None;
        }
        // Eight sums at once, which a processor adds up side by side; one would wait for itself.
        let ((a, rest_a), (b, rest_b)) = (self.vector.as_chunks::<8>(), other.vector.as_chunks::<8>());
        let mut sums = [0.0f32; 8];
        for (a, b) in a.iter().zip(b) {
            for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
                *sum += a * b;
            }
        }
        Some(sums.iter().sum::<f32>() + rest_a.iter().zip(rest_b).map(|(a, b)| a * b).sum::<f32>())
    }
}

/// A track's identity: unique within one camera's tracker for as long as that tracker lives; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TrackId(pub u64);

/// Tracks of recordings, and people found on a still, have numbers that no live track has.
const OF_A_RECORDING: u64 = 1 << 62;
const ON_A_STILL: u64 = 1 << 61;

impl TrackId {
    /// The track of a stay as it is shown on a recording.
    pub fn recorded(self) -> Self {
        Self(OF_A_RECORDING | self.0)
    }

    /// The track of the stay that is shown under this number; `None` where this is no number of [`recorded`](Self::recorded).
    pub fn of_stay(self) -> Option<Self> {
        (self.0 & OF_A_RECORDING != 0).then_some(Self(self.number()))
    }

    /// Somebody found on a standing picture that belongs to no stay.
    pub fn on_a_still(number: u64) -> Self {
        Self(ON_A_STILL | number)
    }

    /// The number as a person reads it.
    pub fn number(self) -> u64 {
        self.0 & !(OF_A_RECORDING | ON_A_STILL)
    }
}

/// One followed person at the instant of the tracker's last step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Track {
    /// Identity.
    pub id: TrackId,
    /// The box at [`at`](Self::at), in pixels of the frame.
    pub rect: Rect,
    /// Change of `[center x, center y]` in pixels per second.
    pub velocity: [f32; 2],
    /// The instant the box is for.
    pub at: Timestamp,
    /// When a detection last confirmed it. Equal to [`at`](Self::at) when measured on that very frame.
    pub measured_at: Timestamp,
    /// When it was first seen.
    pub first_seen: Timestamp,
    /// Score of the last detection matched.
    pub score: f32,
    /// How many detections have been matched.
    pub hits: u32,
}

impl Track {
    /// Past this age a box is no longer drawn: the person may have turned, and a guess is not an observation.
    pub const MAX_PREDICTION_SECONDS: f64 = 1.0;

    /// The box moved to the instant `t` at constant velocity, of constant size: between two looks it is a stride that changes a
    /// size, not a person. `None` when `t` is more than
    /// [`MAX_PREDICTION_SECONDS`](Self::MAX_PREDICTION_SECONDS) away from the last measurement.
    pub fn rect_at(&self, t: Timestamp) -> Option<Rect> {
        if t.seconds_since(self.measured_at).abs() > Self::MAX_PREDICTION_SECONDS {
            return None;
        }
        let dt = t.seconds_since(self.at) as f32;
        let [vx, vy] = self.velocity;
        Some(Rect { x: self.rect.x + vx * dt, y: self.rect.y + vy * dt, ..self.rect })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_moves_with_its_velocity_and_is_dropped_when_old() {
        let at = Timestamp(1_000_000);
        let track = Track {
            id: TrackId(1),
            rect: Rect::new(0.0, 0.0, 10.0, 20.0),
            velocity: [10.0, 0.0],
            at,
            measured_at: at,
            first_seen: at,
            score: 0.9,
            hits: 3,
        };
        assert_eq!(track.rect_at(Timestamp(1_500_000)), Some(Rect::new(5.0, 0.0, 10.0, 20.0)));
        assert_eq!(track.rect_at(Timestamp(2_100_000)), None);
    }
}
