//! The domain's words. Pure values: no I/O, no threads of their own, no clock but the one handed in.
pub mod action;
pub mod camera;
pub mod characteristics;
pub mod geometry;
pub mod job;
pub mod picture;
pub mod recording;
pub mod slot;
pub mod suspect;
pub mod time;
pub mod track;
pub mod tracklet;
pub mod user;

pub use action::{Action, ActionRecord, Hash, KeptAction, Link, Outcome, OutcomeKind};
pub use camera::{Camera, CameraId, is_stream_address, redact_url};
pub use characteristics::{Characteristics, ColourName};
pub use geometry::{Outline, Rect, polygon_contains};
pub use job::{Finding, Job, JobState};
pub use picture::Picture;
pub use recording::{Gap, Hold, Segment, Upload};
pub use slot::Slot;
pub use suspect::{Decision, DetectionKind, DetectionRecord, MatchView, Sighting, SightingId, Suspect, SuspectId};
pub use time::{Clock, ManualClock, SystemClock, Timestamp};
pub use track::{Class, Descriptor, DescriptorKind, Detection, Track, TrackId};
pub use tracklet::{Tracklet, TrackletId};
pub use user::{Rights, User};
