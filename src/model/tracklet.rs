//! What was seen of one person during one stay in one camera's view: what review, search and the player work on.
use super::{CameraId, Descriptor, Rect, SuspectId, Timestamp, TrackId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A tracklet's identity.
pub type TrackletId = Uuid;

/// One stay of one person, live or on a recording. Recorded again while it goes on; the newest version counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tracklet {
    /// Identity.
    pub id: TrackletId,
    /// Where.
    pub camera: CameraId,
    /// The camera's track; numbers begin anew with every run.
    pub track: TrackId,
    /// The uploaded video it is from; `None` when it was seen live.
    pub upload: Option<Uuid>,
    /// First seen.
    pub starts_at: Timestamp,
    /// Last seen.
    pub ends_at: Timestamp,
    /// Width and height in pixels of the frames the boxes are in.
    pub frame: (u32, u32),
    /// The measured box of every analysed frame, ascending in time.
    pub path: Vec<(Timestamp, Rect)>,
    /// Object address of the best crop, a JPEG.
    pub crop_url: String,
    /// A few looks, different from each other, each from a crop good enough to compare with.
    pub gallery: Vec<Descriptor>,
    /// Clothing colours, height and what else is known; null until something is.
    pub characteristics: serde_json::Value,
    /// The suspect it was taken for at its end.
    pub suspect: Option<SuspectId>,
}
