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
    /// When an end of the follow was taken back last: no end before it counts, whoever tells of it.
    #[serde(default)]
    pub resumed_at: Option<Timestamp>,
}

impl Suspect {
    /// Marks a change made at `now`: later than the version it was made from, whatever the clock of that console said.
    pub fn touch(&mut self, now: Timestamp) {
        self.changed_at = now.max(self.changed_at.plus(Duration::from_micros(1)));
    }

    /// Takes over what another version of this suspect, perhaps of another console, says later; tells whether that changed
    /// anything. Who has been ended stays so, also where a later change did not know of it; only who took the end back says otherwise.
    pub fn merge(&mut self, other: &Self) -> bool {
        let resumed_at = self.resumed_at.max(other.resumed_at);
        let ended_at = self.ended_at.max(other.ended_at).filter(|at| Some(*at) > resumed_at);
        let later = other.changed_at > self.changed_at;
        let news = later || (ended_at, resumed_at) != (self.ended_at, self.resumed_at);
        if later {
            *self = other.clone();
        }
        (self.ended_at, self.resumed_at) = (ended_at, resumed_at);
        news
    }

    /// Takes the end of the follow back at `now`: it goes on.
    pub fn resume(&mut self, now: Timestamp) {
        self.touch(now);
        self.resumed_at = self.ended_at.take().map(|ended| ended.max(now));
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
    /// An operator took back what had been decided: it waits again.
    Withdrawn {
        /// `users.cc`.
        by: String,
        /// When.
        at: Timestamp,
    },
}

impl Decision {
    /// The greater of two counts: that of the click, then the later decision, then none.
    pub fn order(&self) -> (u8, Timestamp, u8, &str) {
        match self {
            Self::Pending => (0, Timestamp(0), 0, ""),
            Self::Rejected { by, at } => (1, *at, 0, by),
            Self::Confirmed { by, at } => (1, *at, 1, by),
            Self::Withdrawn { by, at } => (1, *at, 2, by),
            Self::Origin => (2, Timestamp(0), 0, ""),
        }
    }

    /// Whether somebody is still, or again, to decide.
    pub fn is_pending(&self) -> bool {
        matches!(self, Self::Pending | Self::Withdrawn { .. })
    }

    /// One word for it: `confirmed`, `rejected`, `pending`, ….
    pub fn word(&self) -> &'static str {
        match self {
            Self::Origin => "origin",
            Self::Pending => "pending",
            Self::Confirmed { .. } => "confirmed",
            Self::Rejected { .. } => "rejected",
            Self::Withdrawn { .. } => "withdrawn",
        }
    }

    /// Who decided.
    pub fn decided_by(&self) -> Option<&str> {
        match self {
            Self::Confirmed { by, .. } | Self::Rejected { by, .. } | Self::Withdrawn { by, .. } => Some(by),
            Self::Origin | Self::Pending => None,
        }
    }

    /// Whether a person says it is the suspect.
    pub fn is_certain(&self) -> bool {
        matches!(self, Self::Origin | Self::Confirmed { .. })
    }

    /// When somebody decided, or took that back.
    pub fn decided_at(&self) -> Option<Timestamp> {
        match self {
            Self::Confirmed { at, .. } | Self::Rejected { at, .. } | Self::Withdrawn { at, .. } => Some(*at),
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AT: Timestamp = Timestamp(1_000_000);

    fn sighting(decision: Decision) -> Sighting {
        Sighting {
            id: Uuid::from_u128(1),
            suspect: Uuid::from_u128(2),
            camera: Uuid::from_u128(3),
            track: TrackId(4),
            entered_at: AT,
            last_seen_at: AT,
            left_at: None,
            probability: 0.7,
            decision,
            crop_url: String::new(),
            rect: Rect::default(),
        }
    }

    fn decision() -> impl Strategy<Value = Decision> {
        (0..4, 0..3i64, "[12]").prop_map(|(kind, at, by)| match (kind, Timestamp(at)) {
            (0, _) => Decision::Pending,
            (1, at) => Decision::Confirmed { by, at },
            (2, at) => Decision::Rejected { by, at },
            (_, at) => Decision::Withdrawn { by, at },
        })
    }

    fn suspect() -> impl Strategy<Value = Suspect> {
        let at = || prop::option::of((0..9i64).prop_map(Timestamp));
        (at(), at(), 0..9i64).prop_map(|(ended_at, resumed_at, changed)| Suspect {
            id: Uuid::from_u128(1),
            label: changed.to_string(), // versions of one instant are one
            colour: [0; 3],
            reason: String::new(),
            marked_by: String::new(),
            marked_at: AT,
            camera: Uuid::from_u128(2),
            expires_at: AT,
            ended_at: ended_at.filter(|at| Some(*at) > resumed_at),
            crop_url: String::new(),
            gallery: Vec::new(),
            characteristics: Characteristics::default(),
            changed_at: Timestamp(changed),
            proposed_until: None,
            resumed_at,
        })
    }

    proptest! {
        #[test]
        fn consoles_agree_on_what_was_decided_and_taken_back_in_whatever_order_they_hear(
            decisions in prop::collection::vec(decision(), 1..6).prop_shuffle(),
            suspects in prop::collection::vec(suspect(), 1..6).prop_shuffle(), from in 0usize..6,
        ) {
            let merged = |all: &[Decision]| {
                let mut known = sighting(all[0].clone());
                for d in all {
                    known.merge(&sighting(d.clone()));
                }
                known.decision
            };
            let mut other = decisions.clone();
            other.rotate_left(from % decisions.len());
            prop_assert_eq!(merged(&decisions), merged(&other));
            other.reverse();
            prop_assert_eq!(merged(&decisions), merged(&other));
            let merged = |all: &[Suspect]| {
                let mut known = all[0].clone();
                for s in all {
                    known.merge(s);
                }
                known
            };
            let mut other = suspects.clone();
            other.rotate_left(from % suspects.len());
            prop_assert_eq!(merged(&suspects), merged(&other));
            other.reverse();
            prop_assert_eq!(merged(&suspects), merged(&other));
        }
    }

    #[test]
    fn a_decision_taken_back_waits_again_and_a_follow_goes_on_until_it_is_ended_again() {
        let (by, at) = ("1".to_owned(), AT);
        let mut known = sighting(Decision::Confirmed { by: by.clone(), at });
        assert!(
            known.merge(&sighting(Decision::Withdrawn { by: by.clone(), at })),
            "of one instant what is taken back counts"
        );
        assert!(known.decision.is_pending() && !known.decision.is_certain());
        assert!(!known.merge(&sighting(Decision::Confirmed { by, at })));

        let far = Timestamp(i64::MAX);
        let marked = Suspect { expires_at: far, ..suspect_of(AT) };
        let ended = Suspect { ended_at: Some(AT), ..marked.clone() };
        let mut resumed = ended.clone();
        resumed.resume(AT);
        for order in [[&marked, &ended, &resumed], [&resumed, &ended, &marked], [&ended, &resumed, &marked]] {
            let mut known = order[0].clone();
            for s in order {
                known.merge(s);
            }
            assert!(known.is_followed(AT), "{known:?}");
        }
        let again = Suspect { ended_at: Some(AT.plus(Duration::from_secs(1))), ..resumed.clone() };
        assert!(resumed.merge(&again) && !resumed.is_followed(AT));
    }

    fn suspect_of(marked_at: Timestamp) -> Suspect {
        Suspect {
            id: Uuid::from_u128(1),
            label: "Suspect 1".to_owned(),
            colour: [0; 3],
            reason: String::new(),
            marked_by: "1".to_owned(),
            marked_at,
            camera: Uuid::from_u128(2),
            expires_at: marked_at,
            ended_at: None,
            crop_url: String::new(),
            gallery: Vec::new(),
            characteristics: Characteristics::default(),
            changed_at: marked_at,
            proposed_until: None,
            resumed_at: None,
        }
    }
}
