//! Records on their way: durable in the [`Journal`] before anybody is told so, then brought to the stores by [`Delivery`].
mod delivery;
mod journal;
mod others;

pub use delivery::{Delivery, Health};
pub use journal::{Journal, JournalError, RefusedRecord};
pub use others::Others;

use crate::model::{
    ActionRecord, Bookmark, Camera, CaseFact, CommonGround, DetectionRecord, FittedCurve, Gap, Hold, Job, Looked,
    Segment, Sighting, Suspect, Tracklet, Upload,
};
use serde::{Deserialize, Serialize};

/// Something that must not be lost. Cameras, suspects, sightings, tracklets and detections may be recorded again when they change:
/// the newest version counts. Actions and objects never change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// An entry of the action log.
    Action(ActionRecord),
    /// A camera.
    Camera(Camera),
    /// A detection.
    Detection(DetectionRecord),
    /// A suspect, with its gallery.
    Suspect(Suspect),
    /// A sighting.
    Sighting(Sighting),
    /// What was seen of one person in one stay.
    Tracklet(Tracklet),
    /// What became of a camera's frames in one minute.
    Looked(Looked),
    /// A file of recorded video; the file itself is stored before.
    Segment(Segment),
    /// Video that is missing.
    Gap(Gap),
    /// An upload; its segment comes after it.
    Upload(Upload),
    /// What retention must not delete.
    Hold(Hold),
    /// An analysis of recorded video, and how far it is.
    Job(Job),
    /// Words about an instant or a stretch of time.
    Bookmark(Bookmark),
    /// Something that was done to a case.
    CaseFact(CaseFact),
    /// The site's own curve from likeness to probability.
    Curve(FittedCurve),
    /// Where places of one view are in another, or that this is not known any more.
    Ground(CommonGround),
    /// A picture or a video.
    Object {
        /// Its key in the store of objects.
        key: String,
        /// What it is, such as `image/jpeg`.
        content_type: String,
        /// The bytes; kept beside the record, not in its JSON.
        #[serde(skip)]
        bytes: Vec<u8>,
    },
}

/// Where records go. Each has a queue of its own: one that is down does not hold up the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Destination {
    Cameras,
    Actions,
    Objects,
    /// Derived from what the cameras database has; what it misses is made up from there.
    Suspects,
}

impl Destination {
    const ALL: [Self; 4] = [Self::Cameras, Self::Actions, Self::Objects, Self::Suspects];

    fn name(self) -> &'static str {
        match self {
            Self::Cameras => "cameras",
            Self::Actions => "action log",
            Self::Objects => "objects",
            Self::Suspects => "suspect state",
        }
    }
}

impl Record {
    fn kind(&self) -> &'static str {
        match self {
            Self::Action(_) => "action",
            Self::Camera(_) => "camera",
            Self::Detection(_) => "detection",
            Self::Suspect(_) => "suspect",
            Self::Sighting(_) => "sighting",
            Self::Tracklet(_) => "tracklet",
            Self::Looked(_) => "looked",
            Self::Segment(_) => "segment",
            Self::Gap(_) => "gap",
            Self::Upload(_) => "upload",
            Self::Hold(_) => "hold",
            Self::Job(_) => "job",
            Self::Bookmark(_) => "bookmark",
            Self::CaseFact(_) => "case",
            Self::Curve(_) => "curve",
            Self::Ground(_) => "ground",
            Self::Object { .. } => "object",
        }
    }

    /// The same for all versions of one record on its way to one store, and for no other.
    fn id_for(&self, destination: Destination) -> String {
        match destination {
            Destination::Suspects => format!("state of {}", self.record_id()),
            _ => self.record_id(),
        }
    }

    /// The same for all versions of one record and for no other record.
    fn record_id(&self) -> String {
        let kind = self.kind();
        match self {
            Self::Action(a) => format!("{kind}:{}", a.log_id),
            Self::Camera(c) => format!("{kind}:{}", c.id),
            Self::Detection(d) => format!("{kind}:{}", d.id),
            Self::Suspect(s) => format!("{kind}:{}", s.id),
            Self::Sighting(s) => format!("{kind}:{}", s.id),
            Self::Tracklet(t) => format!("{kind}:{}", t.id),
            Self::Looked(l) => format!("{kind}:{}", l.id),
            Self::Segment(s) => format!("{kind}:{}", s.id),
            Self::Gap(g) => format!("{kind}:{}", g.id),
            Self::Upload(u) => format!("{kind}:{}", u.id),
            Self::Hold(h) => format!("{kind}:{}", h.id),
            Self::Job(j) => format!("{kind}:{}", j.id),
            Self::Bookmark(b) => format!("{kind}:{}", b.id),
            Self::CaseFact(f) => format!("{kind}:{}", f.id),
            Self::Curve(c) => format!("{kind}:{:?}", c.kind),
            Self::Ground(g) => format!("{kind}:{}:{}", g.cameras.0, g.cameras.1),
            Self::Object { key, .. } => format!("{kind}:{key}"),
        }
    }

    fn destination(&self) -> Destination {
        match self {
            Self::Action(_) => Destination::Actions,
            Self::Camera(_)
            | Self::Detection(_)
            | Self::Suspect(_)
            | Self::Sighting(_)
            | Self::Tracklet(_)
            | Self::Looked(_)
            | Self::Segment(_)
            | Self::Gap(_)
            | Self::Upload(_)
            | Self::Hold(_)
            | Self::Job(_)
            | Self::Bookmark(_)
            | Self::CaseFact(_)
            | Self::Curve(_)
            | Self::Ground(_) => Destination::Cameras,
            Self::Object { .. } => Destination::Objects,
        }
    }

    /// The stores that it goes to.
    fn destinations(&self) -> impl Iterator<Item = Destination> + use<> {
        let followed = matches!(self, Self::Suspect(_) | Self::Sighting(_)).then_some(Destination::Suspects);
        std::iter::once(self.destination()).chain(followed)
    }

    fn may_change(&self) -> bool {
        !matches!(self, Self::Action(_) | Self::Object { .. })
    }

    fn bytes(&self) -> Option<&[u8]> {
        if let Self::Object { bytes, .. } = self { Some(bytes) } else { None }
    }
}
