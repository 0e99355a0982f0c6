//! Proof of looking: what became of the frames of one camera in one minute, so that *no match* is told apart from *not looked*.
use super::{CameraId, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use uuid::Uuid;

/// One minute of one camera at one console.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looked {
    /// Identity.
    pub id: Uuid,
    /// Which camera.
    pub camera: CameraId,
    /// The minute's begin.
    pub minute: Timestamp,
    /// Frames received and decoded.
    pub received: u64,
    /// Frames analysed.
    pub analysed: u64,
    /// Frames left out because the configured rate of analysis is lower than the stream's.
    pub above_rate: u64,
    /// Frames left out because a newer one came before their turn: the analysis could not keep up.
    pub overtaken: u64,
    /// How the stream was at the minute's end, in words; empty while live.
    pub trouble: String,
    /// Name and SHA-256 of the detector's weights.
    pub model: String,
}

impl Looked {
    /// The begin of the minute in which `t` lies.
    pub fn minute_of(t: Timestamp) -> Timestamp {
        let minute = Duration::from_secs(60).as_micros() as i64;
        Timestamp(t.0.div_euclid(minute) * minute)
    }

    /// What became of the frames, in words.
    pub fn words(&self) -> String {
        let Self { received, analysed, above_rate, overtaken, trouble, model, .. } = self;
        let trouble = if trouble.is_empty() { String::new() } else { format!("; {trouble}") };
        format!(
            "{received} frames received, {analysed} analysed, {above_rate} above the configured rate, {overtaken} overtaken by newer ones{trouble} ({model})"
        )
    }

    /// Whether anything in view for a second would have been seen: at least a frame a second on average was analysed.
    pub fn is_looking(&self) -> bool {
        self.analysed >= 60
    }
}
