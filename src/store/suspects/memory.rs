//! The state of suspects of one process.
use super::{CHANGES, Change, Followed, Heard, KEEP_SIGHTINGS, LISTEN_FOR, STREAM};
use crate::model::{CameraId, Clock as _, Decision, Sighting, SightingId, Suspect, SuspectId, SystemClock, Timestamp};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{sync::watch, time::timeout};
use uuid::Uuid;

#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    state: Arc<Mutex<State>>,
    /// How many changes there have been.
    told: Arc<watch::Sender<u64>>,
}

#[derive(Debug, Default)]
struct State {
    mark: Option<Uuid>,
    suspects: BTreeMap<SuspectId, Entry>,
    sightings: BTreeMap<SightingId, (Sighting, Timestamp)>,
    changes: VecDeque<Change>,
}

#[derive(Debug)]
struct Entry {
    suspect: Suspect,
    last_seen: (CameraId, Timestamp),
    stream: VecDeque<Sighting>,
}

impl State {
    /// Forgets what is over.
    fn tidy(&mut self, now: Timestamp) {
        self.suspects.retain(|_, e| now < e.suspect.expires_at);
        self.sightings.retain(|_, (_, changed)| now < changed.plus(KEEP_SIGHTINGS));
    }

    fn followed(&self, entry: &Entry) -> Followed {
        let open = self.sightings.values().map(|(s, _)| s);
        let mut open: Vec<_> = open.filter(|s| s.suspect == entry.suspect.id && s.left_at.is_none()).cloned().collect();
        open.sort_by_key(|s| (s.entered_at, s.id));
        Followed { suspect: entry.suspect.clone(), last_seen: entry.last_seen, open }
    }
}

impl Memory {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, state: &mut State, change: Change) {
        state.changes.push_back(change);
        if state.changes.len() > CHANGES {
            state.changes.pop_front();
        }
        self.told.send_modify(|n| *n += 1);
    }

    pub fn put_suspect(&self, suspect: &Suspect) {
        let mut state = self.state();
        let news = match state.suspects.get_mut(&suspect.id) {
            Some(entry) => {
                if !entry.suspect.merge(suspect) {
                    return;
                }
                entry.suspect.clone()
            }
            None => {
                let last_seen = (suspect.camera, suspect.marked_at);
                let entry = Entry { suspect: suspect.clone(), last_seen, stream: VecDeque::new() };
                state.suspects.insert(suspect.id, entry);
                suspect.clone()
            }
        };
        self.tell(&mut state, Change::Suspect(news));
        state.tidy(SystemClock.now());
    }

    pub fn put_sighting(&self, sighting: &Sighting) {
        let now = SystemClock.now();
        let mut state = self.state();
        let news = match state.sightings.get_mut(&sighting.id) {
            Some((known, changed)) => {
                if !known.merge(sighting) {
                    return;
                }
                *changed = now;
                known.clone()
            }
            None => {
                state.sightings.insert(sighting.id, (sighting.clone(), now));
                sighting.clone()
            }
        };
        if let Some(entry) = state.suspects.get_mut(&news.suspect) {
            let rejected = matches!(news.decision, Decision::Rejected { .. });
            if news.last_seen_at > entry.last_seen.1 && !rejected {
                entry.last_seen = (news.camera, news.last_seen_at);
            }
            entry.stream.push_front(news.clone());
            entry.stream.truncate(STREAM);
        }
        self.tell(&mut state, Change::Sighting(news));
        state.tidy(now);
    }

    pub fn suspects(&self) -> Vec<Followed> {
        let mut state = self.state();
        state.tidy(SystemClock.now());
        let mut all: Vec<_> = state.suspects.values().map(|e| state.followed(e)).collect();
        all.sort_by_key(|f| (f.suspect.expires_at, f.suspect.id));
        all
    }

    pub fn suspect(&self, id: SuspectId) -> Option<Followed> {
        let mut state = self.state();
        state.tidy(SystemClock.now());
        state.suspects.get(&id).map(|e| state.followed(e))
    }

    pub fn sightings(&self, suspect: SuspectId, limit: usize) -> Vec<Sighting> {
        let mut state = self.state();
        state.tidy(SystemClock.now());
        state.suspects.get(&suspect).map(|e| e.stream.iter().take(limit).cloned().collect()).unwrap_or_default()
    }

    pub fn mark(&self) -> Option<Uuid> {
        self.state().mark
    }

    pub fn begin_refill(&self, _: Uuid) {}

    pub fn end_refill(&self, id: Uuid) -> Uuid {
        *self.state().mark.get_or_insert(id)
    }

    pub fn listen(&self) -> Ear {
        let told = self.told.subscribe();
        let heard = *told.borrow();
        Ear { memory: self.clone(), told, heard }
    }

    #[cfg(test)]
    pub fn flush(&self) {
        *self.state() = State::default();
    }
}

pub(super) struct Ear {
    memory: Memory,
    told: watch::Receiver<u64>,
    heard: u64,
}

impl Ear {
    pub async fn next(&mut self) -> Heard {
        let heard = self.heard;
        let _ = timeout(LISTEN_FOR, self.told.wait_for(|n| *n > heard)).await;
        let state = self.memory.state();
        let now = *self.told.borrow();
        let missed = usize::try_from(now - self.heard).unwrap_or(usize::MAX).min(state.changes.len());
        self.heard = now;
        Heard { changes: state.changes.iter().skip(state.changes.len() - missed).cloned().collect(), mark: state.mark }
    }
}
