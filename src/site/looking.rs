//! Proof of looking: at the end of every minute what became of each camera's frames is recorded.
use super::{Shared, path::Totals, state::CameraStatus};
use crate::{
    model::{CameraId, Looked, Timestamp},
    sync::Record,
};
use std::collections::BTreeMap;
use uuid::Uuid;

/// The minute under way, and each camera's totals at its begin.
pub(super) struct Minutes {
    minute: Timestamp,
    at_begin: BTreeMap<CameraId, Totals>,
}

impl Minutes {
    /// Begins in the minute of `now`.
    pub fn new(now: Timestamp) -> Self {
        Self { minute: Looked::minute_of(now), at_begin: BTreeMap::new() }
    }
}

impl Shared {
    /// Once a second: where a minute has ended, its records. A camera that came meanwhile counts from then on.
    pub(super) async fn record_looking(&self, minutes: &mut Minutes) {
        let minute = Looked::minute_of(self.records.clock.now());
        if minute == minutes.minute {
            return;
        }
        let ended = std::mem::replace(&mut minutes.minute, minute);
        let mut records = Vec::new();
        let mut at_begin = BTreeMap::new();
        for path in self.cameras.paths().iter().filter(|p| p.camera.active) {
            let now = path.meters.totals();
            at_begin.insert(path.camera.id, now);
            let before = minutes.at_begin.get(&path.camera.id).copied().unwrap_or_default();
            // Another stream of the camera counts from zero again.
            let before = if before.received > now.received { Totals::default() } else { before };
            let (received, offered) = (now.received - before.received, now.offered.saturating_sub(before.offered));
            let analysed = now.analysed.saturating_sub(before.analysed);
            records.push(Record::Looked(Looked {
                id: Uuid::now_v7(),
                camera: path.camera.id,
                minute: ended,
                received,
                analysed,
                above_rate: received.saturating_sub(offered),
                overtaken: offered.saturating_sub(analysed),
                trouble: match path.status() {
                    CameraStatus::Live => String::new(),
                    CameraStatus::Connecting => "connecting".to_owned(),
                    CameraStatus::Stale { reason, .. } => reason,
                    CameraStatus::Inactive => "switched off".to_owned(),
                },
                model: self.model.clone(),
            }));
        }
        minutes.at_begin = at_begin;
        self.commit(&records, "Which frames were looked at is not recorded").await;
    }
}
