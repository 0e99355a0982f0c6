//! Suspects across cameras: what each looks like, how probable it is that a track is one of them, and where they were seen.
//!
//! Pure: no threads, no clock, no I/O. The same observations in the same order give the same sightings.
mod calibration;
mod follower;
mod gallery;
mod ground;
mod homography;
mod joint;
mod search;
mod topology;
mod weapons;

pub use calibration::{Calibration, Curves, Reliability, ReliabilityBin};
pub use follower::{Event, FollowConfig, Follower, Observed, match_probability, sighting_id};
pub use gallery::Gallery;
pub use ground::{Grounds, stands_in_view};
pub use search::{Hit, Index, Stay};
pub use topology::Topology;
pub use weapons::{Undecided, WeaponConfig, WeaponSeen, Weapons};
