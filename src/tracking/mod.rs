//! One camera's multi-object tracker: boxes of single frames in, followed people with lasting identities out.
//!
//! Pure and deterministic: time is what the frames say, nothing is random, no collection without an order takes part,
//! so the same input gives the same tracks, bit for bit.
mod assignment;
mod kalman;
pub mod motchallenge;
mod offline;
mod score;
mod shake;
mod sweep;
mod tracker;

pub use assignment::{Edge, assign};
pub use motchallenge::{
    MotDetection, MotError, ResultRow, parse_detections, track_detections, track_recording, write_results,
};
pub use offline::{OfflineConfig, Recording};
pub use tracker::{Observation, Step, Tracker, TrackerConfig};
