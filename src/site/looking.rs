//! Proof of looking: at the end of every minute what became of each camera's frames is recorded.
use super::{Shared, path::Totals, state::CameraStatus};
use crate::{
    model::{CameraId, Looked, Timestamp},
    sync::Record,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use uuid::Uuid;

/// What the screen shows of it.
const SHOWN: Duration = Duration::from_secs(3600);

/// The minutes of the last hour, for the screen.
#[derive(Default)]
pub(super) struct Looking(Mutex<BTreeMap<CameraId, Arc<Vec<Looked>>>>);

impl Looking {
    fn cameras(&self) -> MutexGuard<'_, BTreeMap<CameraId, Arc<Vec<Looked>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those of one camera.
    pub fn of(&self, camera: CameraId) -> Arc<Vec<Looked>> {
        self.cameras().get(&camera).cloned().unwrap_or_default()
    }

    fn knows(&self, camera: CameraId) -> bool {
        self.cameras().contains_key(&camera)
    }

    /// Adds minutes, and forgets those that ended longer ago than is shown.
    fn put(&self, camera: CameraId, minutes: impl IntoIterator<Item = Looked>, now: Timestamp) {
        let mut cameras = self.cameras();
        let known = Arc::make_mut(cameras.entry(camera).or_default());
        known.extend(minutes);
        known.retain(|l| l.minute >= Looked::minute_of(now.minus(SHOWN)));
        known.sort_by_key(|l| (l.minute, l.id));
        known.dedup_by_key(|l| l.id);
    }
}

/// The minute under way, and each camera's totals at its begin.
pub(super) struct Minutes {
    minute: Timestamp,
    at_begin: BTreeMap<CameraId, Totals>,
    /// No second has passed yet.
    fresh: bool,
}

impl Minutes {
    /// Begins in the minute of `now`.
    pub fn new(now: Timestamp) -> Self {
        Self { minute: Looked::minute_of(now), at_begin: BTreeMap::new(), fresh: true }
    }
}

impl Shared {
    /// What earlier runs and other consoles looked at within the hour, of cameras of which that is not known yet. A store that does not
    /// answer is asked again with the next minute.
    async fn read_looking(&self, now: Timestamp) {
        // What another console looks at is read again and again.
        let unknown = |id| !self.looking.knows(id) || !self.duty.is_held(id);
        for id in self.cameras.paths().iter().map(|path| path.camera.id).filter(|id| unknown(*id)) {
            match self.records.stores.cameras.looked(id, now.minus(SHOWN), now).await {
                Ok(minutes) => self.looking.put(id, minutes, now),
                Err(_) => return,
            }
        }
    }

    /// Once a second: where a minute has ended, its records. A camera that came meanwhile counts from then on.
    pub(super) async fn record_looking(&self, minutes: &mut Minutes) {
        let now = self.records.clock.now();
        let minute = Looked::minute_of(now);
        if minute == minutes.minute && !minutes.fresh {
            return;
        }
        minutes.fresh = false;
        self.read_looking(now).await;
        if minute == minutes.minute {
            return;
        }
        let ended = std::mem::replace(&mut minutes.minute, minute);
        let mut records = Vec::new();
        let mut at_begin = BTreeMap::new();
        for path in self.cameras.paths().iter().filter(|p| p.camera.active) {
            let now = path.meters.totals();
            at_begin.insert(path.camera.id, now);
            if !self.duty.is_held(path.camera.id) {
                continue; // whoever keeps its records says what was looked at
            }
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
        for record in &records {
            if let Record::Looked(looked) = record {
                self.looking.put(looked.camera, [looked.clone()], self.records.clock.now());
            }
        }
        self.commit(&records, "Which frames were looked at is not recorded").await;
    }
}
