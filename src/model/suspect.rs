//! Suspects and where they were seen. A suspect is a label on an appearance, never an identity.
use super::{CameraId, Descriptor, Rect, Timestamp, TrackId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A suspect's identity.
pub type SuspectId = Uuid;
/// A sighting's identity.
pub type SightingId = Uuid;

/// Somebody an operator marked, followed until [`expires_at`](Self::expires_at).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suspect {
    /// Identity; two suspects at once never share one.
    pub id: SuspectId,
    /// Short name shown beside the box: `Suspect 1`, `Suspect 2`, …
    pub label: String,
    /// The colour it is drawn in, sRGB.
    pub colour: [u8; 3],
    /// Why the operator marked this person.
    pub reason: String,
    /// Who marked: `users.cc`.
    pub marked_by: String,
    /// When (the time of the frame that was clicked).
    pub marked_at: Timestamp,
    /// On which camera.
    pub camera: CameraId,
    /// When the follow stops by itself.
    pub expires_at: Timestamp,
    /// When an operator stopped the follow before that.
    pub ended_at: Option<Timestamp>,
    /// Object key of the crop that was clicked, a JPEG.
    pub crop_url: String,
    /// Appearance vectors, the first from the clicked crop.
    pub gallery: Vec<Descriptor>,
}

impl Suspect {
    /// Whether the suspect is followed at `now`.
    pub fn is_followed(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && now < self.expires_at
    }
}

/// What a person decided about a possible match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "state")]
pub enum Decision {
    /// The operator clicked this very person: no match to decide on.
    Origin,
    /// Nobody has decided yet.
    Pending,
    /// An operator says it is the suspect.
    Confirmed {
        /// `users.cc`.
        by: String,
        /// When.
        at: Timestamp,
    },
    /// An operator says it is somebody else.
    Rejected {
        /// `users.cc`.
        by: String,
        /// When.
        at: Timestamp,
    },
}

/// One stay of a suspect (or a possible match) in one camera's view.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sighting {
    /// Identity.
    pub id: SightingId,
    /// Of whom.
    pub suspect: SuspectId,
    /// Where.
    pub camera: CameraId,
    /// The camera's track.
    pub track: TrackId,
    /// Entry.
    pub entered_at: Timestamp,
    /// Last seen so far.
    pub last_seen_at: Timestamp,
    /// Exit; `None` while still in view.
    pub left_at: Option<Timestamp>,
    /// How probable the match is, in `0.0..=1.0`; 1 for [`Decision::Origin`].
    pub probability: f32,
    /// What a person decided.
    pub decision: Decision,
    /// Object key of the best crop, a JPEG.
    pub crop_url: String,
    /// Where the crop was in its frame, pixels.
    pub rect: Rect,
}

/// Which suspect a track is taken for, and how surely.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MatchView {
    /// The suspect.
    pub suspect: SuspectId,
    /// Probability in `0.0..=1.0`.
    pub probability: f32,
    /// An operator clicked or confirmed it: drawn solid, without a question mark.
    pub certain: bool,
}

/// What a row of `detections` is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DetectionKind {
    /// A knife.
    Knife,
    /// A gun.
    Gun,
    /// A suspect, or a possible match of one.
    Suspect,
}

/// One row of `detections`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DetectionRecord {
    /// Identity.
    pub id: Uuid,
    /// Where.
    pub camera: CameraId,
    /// Object key of the frame it was seen on, a JPEG.
    pub image_url: String,
    /// Of whom, when of a suspect.
    pub suspect_id: Option<SuspectId>,
    /// The frame's time.
    pub captured_at: Timestamp,
    /// Track id, score, probability, model and what else is known.
    pub metadata: serde_json::Value,
    /// One or more.
    pub kinds: Vec<DetectionKind>,
    /// Corner points in pixels of the frame.
    pub detection_box: Vec<[f32; 2]>,
}
