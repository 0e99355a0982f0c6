//! Recorded video: what there is of each camera and from when to when, and what is missing.
use super::{CameraId, ClockOffset, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use uuid::Uuid;

/// A stretch of one camera's video in one file: a segment of the recorder, or an uploaded video.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// Identity.
    pub id: Uuid,
    /// Whose video.
    pub camera: CameraId,
    /// Wall clock of the first frame. The frame at file time `t` is of `starts_at + t`.
    pub starts_at: Timestamp,
    /// Wall clock of the last frame's end.
    pub ends_at: Timestamp,
    /// The object that is the whole file.
    pub video_url: String,
    /// Container: `matroska`, `mp4`, ….
    pub format: String,
    /// Of the pictures: `h264`, `h265`, `mjpeg`, ….
    pub codec: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Bytes of the file.
    pub size: u64,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// The row of `uploads` that it came from; `None` for the recorder's own.
    pub upload: Option<Uuid>,
    /// How far the camera's own clock was from the console's; `None` where the camera did not tell, and for uploads.
    #[serde(default)]
    pub clock_offset: Option<ClockOffset>,
}

impl Segment {
    /// Whether it shows the instant.
    pub fn shows(&self, at: Timestamp) -> bool {
        self.starts_at <= at && at < self.ends_at
    }

    /// Where in the file the instant is; from the start for an earlier one.
    pub fn file_time(&self, at: Timestamp) -> Duration {
        Duration::from_micros(u64::try_from(at.0.saturating_sub(self.starts_at.0)).unwrap_or(0))
    }
}

/// Video that should be there and is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Identity.
    pub id: Uuid,
    /// Whose video.
    pub camera: CameraId,
    /// From when on.
    pub from: Timestamp,
    /// To when; `None` while it lasts.
    pub until: Option<Timestamp>,
    /// Why, in words for the operator.
    pub reason: String,
}

/// One row of `uploads`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Upload {
    /// Identity.
    pub id: Uuid,
    /// The camera it was uploaded to.
    pub camera: CameraId,
    /// The object that is the file.
    pub video_url: String,
    /// Seconds.
    pub duration: i64,
    /// `1280x720`.
    pub resolution: String,
    /// Bytes.
    pub size: i64,
    /// Container.
    pub format: String,
    /// What else is known of it: file name, hash, who uploaded it, ….
    pub metadata: serde_json::Value,
    /// Wall clock at which the video starts.
    pub date: Timestamp,
}

/// What retention must not delete: a stretch of time of one camera, or of all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Identity.
    pub id: Uuid,
    /// The case it is for.
    pub case: Option<Uuid>,
    /// Of this camera; `None`: of all.
    pub camera: Option<CameraId>,
    /// From when on.
    pub from: Timestamp,
    /// To when.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
    /// Who: `users.cc`.
    pub placed_by: String,
    /// When.
    pub placed_at: Timestamp,
    /// Who lifted it, when and why; `None` while it holds.
    #[serde(default)]
    pub released: Option<Release>,
}

/// The end of a hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// When.
    pub at: Timestamp,
    /// Who: `users.cc`.
    pub by: String,
    /// Why.
    pub why: String,
}

impl Hold {
    /// Whether it keeps what this camera showed in this stretch.
    pub fn keeps(&self, camera: CameraId, from: Timestamp, until: Timestamp) -> bool {
        self.released.is_none() && self.camera.is_none_or(|c| c == camera) && self.from <= until && from <= self.until
    }
}
