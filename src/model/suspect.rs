//! Suspects and where they were seen. A suspect is a label on an appearance, never an identity.
use super::{CameraId, Characteristics, Descriptor, Rect, Timestamp, TrackId};
use serde::{Deserialize, Serialize};
use std::time::Duration;
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
    /// How this person looks, measured and typed.
    #[serde(default)]
    pub characteristics: Characteristics,
    /// When this version was made: of two consoles' versions the later one counts.
    #[serde(default)]
    pub changed_at: Timestamp,
    /// The console proposed it, because it holds a weapon, and an operator is to confirm it by then; `None` once somebody has, and
    /// for all whom an operator marked.
    #[serde(default)]
    pub proposed_until: Option<Timestamp>,
}

impl Suspect {
    /// Marks a change made at `now`: later than the version it was made from, whatever the clock of that console said.
    pub fn touch(&mut self, now: Timestamp) {
        self.changed_at = now.max(self.changed_at.plus(Duration::from_micros(1)));
    }

    /// Takes over what another version of this suspect, perhaps of another console, says later; tells whether that changed
    /// anything. Who has been ended stays so, also where a later change did not know of it.
    pub fn merge(&mut self, other: &Self) -> bool {
        let ended_at = self.ended_at.or(other.ended_at);
        let news = other.changed_at > self.changed_at || ended_at != self.ended_at;
        if other.changed_at > self.changed_at {
            *self = other.clone();
        }
        self.ended_at = ended_at;
        news
    }

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

impl Decision {
    /// The greater of two counts: that of the click, then the later decision, then none.
    pub fn order(&self) -> (u8, Timestamp, bool, &str) {
        match self {
            Self::Pending => (0, Timestamp(0), false, ""),
            Self::Confirmed { by, at } => (1, *at, true, by),
            Self::Rejected { by, at } => (1, *at, false, by),
            Self::Origin => (2, Timestamp(0), false, ""),
        }
    }

    /// Whether a person says it is the suspect.
    pub fn is_certain(&self) -> bool {
        matches!(self, Self::Origin | Self::Confirmed { .. })
    }

    /// When somebody decided.
    pub fn decided_at(&self) -> Option<Timestamp> {
        match self {
            Self::Confirmed { at, .. } | Self::Rejected { at, .. } => Some(*at),
            Self::Origin | Self::Pending => None,
        }
    }
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

impl Sighting {
    /// The greater of two versions has seen more: the console that watches the camera makes them.
    pub fn seen_order(&self) -> (Timestamp, Option<Timestamp>, u32) {
        (self.last_seen_at, self.left_at, self.probability.to_bits()) // bits of floats that are not negative sort as they do
    }

    /// Takes over what another version, perhaps of another console, knows better: what was seen goes by
    /// [`seen_order`](Self::seen_order), the decision by [`Decision::order`], in whatever order they come. Tells whether that changed anything.
    pub fn merge(&mut self, other: &Self) -> bool {
        let (seen, decided) = (other.seen_order() > self.seen_order(), other.decision.order() > self.decision.order());
        if seen {
            let decision = self.decision.clone();
            *self = Self { decision, ..other.clone() };
        }
        if decided {
            self.decision = other.decision.clone();
        }
        seen || decided
    }
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
