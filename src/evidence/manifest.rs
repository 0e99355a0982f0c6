//! What a package says of itself: the signed list.
use crate::model::{CameraId, ClockOffset, Decision, Hash, Sighting, Suspect, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The version of packages that this program writes and reads.
pub const VERSION: u32 = 1;

/// An instant for people and programs: UTC, and what clocks showed where the package was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// RFC 3339, UTC.
    pub utc: String,
    /// Date, time, offset and name of the zone.
    pub local: String,
}

impl From<Timestamp> for Moment {
    fn from(t: Timestamp) -> Self {
        Self { utc: t.to_string(), local: t.local_with_zone() }
    }
}

/// Everything that is signed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`VERSION`].
    pub vigia_evidence: u32,
    /// The program that wrote it.
    pub program: String,
    /// The site's name.
    pub site: String,
    /// When the package was made.
    pub made_at: Moment,
    /// Whom it is about: a label on an appearance, never an identity. `None` for a clip, which is about a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspect: Option<SuspectEntry>,
    /// Why it was handed out.
    pub reason: String,
    /// To whom.
    pub recipient: String,
    /// Number and name of who exported it.
    pub exported_by: (String, String),
    /// Which model saw: name and SHA-256 of its weights.
    pub model: String,
    /// Cameras that appear in it.
    pub cameras: Vec<CameraEntry>,
    /// Where the suspect, or a possible match, was seen; ordered by time.
    pub stops: Vec<Stop>,
    /// The videos.
    pub clips: Vec<ClipEntry>,
    /// Times asked for of which there is no video, and why.
    pub missing: Vec<Missing>,
    /// Every other file of the package, in its order.
    pub files: Vec<FileEntry>,
    /// The public key of the site, as in [`super::PublicKey`].
    pub key: String,
}

/// Whom a package is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SuspectEntry {
    /// Identity within the site.
    pub id: Uuid,
    /// Label, such as `Suspect 1`.
    pub label: String,
    /// Why this person was marked.
    pub reason: String,
    /// Number of who marked.
    pub marked_by: String,
    /// When (time of the frame that was clicked).
    pub marked_at: Moment,
    /// On which camera.
    pub camera: CameraId,
    /// When the follow ends or ended.
    pub expires_at: Moment,
}

impl From<&Suspect> for SuspectEntry {
    fn from(suspect: &Suspect) -> Self {
        Self {
            id: suspect.id,
            label: suspect.label.clone(),
            reason: suspect.reason.clone(),
            marked_by: suspect.marked_by.clone(),
            marked_at: suspect.marked_at.into(),
            camera: suspect.camera,
            expires_at: suspect.ended_at.unwrap_or(suspect.expires_at).into(),
        }
    }
}

/// One camera.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CameraEntry {
    /// Identity.
    pub id: CameraId,
    /// Name.
    pub name: String,
    /// Latitude and longitude, degrees.
    pub location: Option<(f64, f64)>,
    /// A window cut out of shared footage rather than a device of its own.
    pub is_virtual: bool,
    /// Seconds by which the camera's own clock is ahead of the site's, as its newest video here tells. `None`: the camera did not
    /// tell. All times are those of the site's clock when the picture came in; nothing is corrected by it.
    pub clock_offset: Option<f64>,
}

/// The same in words.
pub fn clock_words(offset: Option<f64>) -> String {
    offset.map_or_else(|| "not told by the camera".to_owned(), |seconds| ClockOffset::from(seconds).to_string())
}

/// One stay in a camera's view.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stop {
    /// The sighting's identity.
    pub sighting: Uuid,
    /// Where.
    pub camera: CameraId,
    /// Its name.
    pub camera_name: String,
    /// Entry.
    pub entered: Moment,
    /// Exit; the last time seen where the exit was not.
    pub left: Moment,
    /// Seconds in view.
    pub seconds: f64,
    /// How probable the match is, in `0.0..=1.0`; 1 where the operator clicked this very person.
    pub probability: f32,
    /// What a person decided, who and when.
    pub decision: Decision,
    /// The best picture, a file of the package.
    pub crop: Option<String>,
    /// Seconds by which the camera's own clock was ahead of the site's then. `None`: the camera did not tell, or was not recorded.
    #[serde(default)]
    pub clock_offset: Option<f64>,
}

impl Stop {
    /// The stop that a sighting is; `clock` is what is known of the camera's own at that time.
    pub fn new(sighting: &Sighting, camera_name: &str, crop: Option<String>, clock: Option<ClockOffset>) -> Self {
        let left = sighting.left_at.unwrap_or(sighting.last_seen_at);
        Self {
            sighting: sighting.id,
            camera: sighting.camera,
            camera_name: camera_name.to_owned(),
            entered: sighting.entered_at.into(),
            left: left.into(),
            seconds: left.seconds_since(sighting.entered_at),
            probability: sighting.probability,
            decision: sighting.decision.clone(),
            crop,
            clock_offset: clock.map(ClockOffset::seconds),
        }
    }

    /// The decision, and who made it, in words.
    pub fn decided(&self) -> (&'static str, &str) {
        match &self.decision {
            Decision::Origin => ("marked by an operator", ""),
            Decision::Pending | Decision::Withdrawn { .. } => ("possible match, not decided", ""),
            Decision::Confirmed { by, .. } => ("confirmed", by),
            Decision::Rejected { by, .. } => ("rejected", by),
        }
    }
}

/// One video.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClipEntry {
    /// The file of the package: the stream as it was recorded.
    pub file: String,
    /// The boxes of what was seen, by frame: a layer of its own, in JSON.
    pub boxes: Option<String>,
    /// The same video encoded anew with the boxes drawn.
    pub burnt_in: Option<String>,
    /// Of which camera.
    pub camera: CameraId,
    /// Its first frame.
    pub from: Moment,
    /// The end of its last frame.
    pub until: Moment,
    /// `h264`, `h265`, …
    pub codec: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// SHA-256 of the recorded files it was cut from.
    pub cut_from: Vec<Hash>,
    /// Seconds by which the camera's own clock was ahead of the site's at its beginning; where that changes within it, `note`
    /// says so. `None`: the camera did not tell.
    #[serde(default)]
    pub clock_offset: Option<f64>,
    /// It came as a file: its times follow from the start that was said when it came.
    #[serde(default)]
    pub uploaded: bool,
    /// What is wrong with it.
    pub note: Option<String>,
}

/// Times of which there is no video.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// Of which camera.
    pub camera: CameraId,
    /// Its name.
    pub camera_name: String,
    /// From when.
    pub from: Moment,
    /// Until when.
    pub until: Moment,
    /// Why.
    pub reason: String,
}

/// One file of a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its path in the package.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Of its bytes.
    pub sha256: Hash,
}
