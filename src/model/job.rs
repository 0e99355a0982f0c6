//! An analysis of recorded video, from when it was asked for to what it found.
use super::{CameraId, DetectionKind, SightingId, SuspectId, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use uuid::Uuid;

/// How a job is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "state", content = "why")]
pub enum JobState {
    /// It waits for its turn, or is being worked on.
    Open,
    /// All of it was looked at.
    Done,
    /// Somebody gave it up: who.
    Cancelled(String),
    /// It went wrong for good: why.
    Failed(String),
}

/// What a job found: who or what, where, and from when to when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Of what.
    pub kind: DetectionKind,
    /// On which camera's video.
    pub camera: CameraId,
    /// Which file.
    pub segment: Uuid,
    /// From when.
    pub from: Timestamp,
    /// To when.
    pub until: Timestamp,
    /// Of whom, for a possible match.
    pub suspect: Option<SuspectId>,
    /// The sighting, for a possible match.
    pub sighting: Option<SightingId>,
    /// Probability of the match, or the detector's score, in `0.0..=1.0`.
    pub probability: f32,
}

/// Every picture of some recorded video, looked at for people, weapons and suspects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Identity.
    pub id: Uuid,
    /// What it is, in words.
    pub title: String,
    /// The console that works on it.
    pub console: Uuid,
    /// Who asked: `users.cc` and full name.
    pub by: (String, String),
    /// When.
    pub made_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The files, in the order in which they are looked at.
    pub segments: Vec<Uuid>,
    /// Whose video they are.
    pub cameras: Vec<CameraId>,
    /// Pictures looked at a second; `None`: every picture.
    pub rate: Option<f32>,
    /// How it is doing.
    pub state: JobState,
    /// Files looked at to their end.
    pub finished: usize,
    /// How far the next one was looked at.
    pub position: Duration,
    /// Seconds of video in all files, and looked at so far.
    pub total_s: f64,
    /// See [`total_s`](Self::total_s).
    pub looked_s: f64,
    /// Seconds that took.
    pub worked_s: f64,
    /// Pictures looked at.
    pub pictures: u64,
    /// People followed.
    pub people: u64,
    /// What was found, as it came.
    pub findings: Vec<Finding>,
    /// Files that could not be looked at, or not wholly, and why.
    pub troubles: Vec<String>,
}

impl Job {
    /// How far it is, in `0.0..=1.0`.
    pub fn part(&self) -> f32 {
        if self.state == JobState::Done {
            return 1.0;
        }
        if self.total_s > 0.0 { (self.looked_s / self.total_s).clamp(0.0, 1.0) as f32 } else { 0.0 }
    }

    /// How many times as fast as the video runs; `None` before anything is known.
    pub fn speed(&self) -> Option<f64> {
        (self.worked_s > 0.5 && self.looked_s > 0.0).then(|| self.looked_s / self.worked_s)
    }

    /// Seconds until it is done at the speed so far.
    pub fn remaining_s(&self) -> Option<f64> {
        self.speed().map(|speed| (self.total_s - self.looked_s).max(0.0) / speed)
    }
}
