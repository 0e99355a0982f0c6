//! Where a place on the ground of one view is in another one: what a site learned of two cameras whose views overlap.
use super::{CameraId, Timestamp};
use serde::{Deserialize, Serialize};

/// The ground that two views share.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CommonGround {
    /// The cameras, the lesser id first.
    pub cameras: (CameraId, CameraId),
    /// From the pixels of the first to those of the second: a homography, row by row.
    pub places: [f64; 9],
    /// By how much feet are found beside where they should be: the deviation, in heights of a person.
    pub error: f64,
    /// People who walked through both views and agreed; 0 says that nothing is known any more, since a camera was moved.
    pub walks: u32,
    /// Where they walked in the first view: the middle, pixels.
    pub middle: (f64, f64),
    /// The inverse of the covariance around it (xx, xy, yy).
    pub spread: (f64, f64, f64),
    /// When; of two the later counts.
    pub learned_at: Timestamp,
}
