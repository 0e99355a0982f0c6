//! Suspects across cameras: what each looks like, how probable it is that a track is one of them, and where they were seen.
//!
//! Pure: no threads, no clock, no I/O. The same observations in the same order give the same sightings.
mod calibration;
mod follower;
mod gallery;

pub use calibration::Calibration;
pub use follower::{Event, FollowConfig, Follower, Observed};
pub use gallery::Gallery;
