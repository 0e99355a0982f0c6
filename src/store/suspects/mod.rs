//! The state of the suspects being followed, shared by every console: galleries, characteristics, where each was seen last, open
//! sightings, expiry.
//!
//! It is derived. The cameras database is the truth that it is refilled from when it comes back empty, and whoever compares
//! tracks keeps a copy of its own and never waits for it. Every `put` merges, as [`Suspect::merge`] and [`Sighting::merge`] say, so that a
//! record put twice, or late, changes nothing; what changes something is told to all who [listen](SuspectStore::listen).
mod memory;
mod redis;

use super::{Address, StoreError};
use crate::model::{CameraId, Sighting, Suspect, SuspectId, Timestamp};
use memory::Memory;
use redis::Redis;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use uuid::Uuid;

/// How long a sighting is kept after its last change.
const KEEP_SIGHTINGS: Duration = Duration::from_secs(24 * 3600);
/// Versions kept in the stream of one suspect's sightings.
const STREAM: usize = 1000;
/// Changes kept for listeners that were away for a moment.
const CHANGES: usize = 10_000;
/// How long a listener waits for a change before it looks whether the state is still there.
const LISTEN_FOR: Duration = Duration::from_millis(500);

/// What changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A suspect was marked, learned, edited or ended.
    Suspect(Suspect),
    /// A sighting began, went on, ended or was decided.
    Sighting(Sighting),
}

/// One suspect as it is followed now.
#[derive(Clone, Debug, PartialEq)]
pub struct Followed {
    /// Who, with the gallery.
    pub suspect: Suspect,
    /// Where and when last seen.
    pub last_seen: (CameraId, Timestamp),
    /// Sightings without an exit, earliest entry first.
    pub open: Vec<Sighting>,
}

/// What a listener heard.
#[derive(Debug)]
pub struct Heard {
    /// What anybody changed, this console too, in the order of the changes.
    pub changes: Vec<Change>,
    /// The mark that the last refill left; `None` when the state is empty. See [`SuspectStore::mark`].
    pub mark: Option<Uuid>,
}

/// The state of suspects, in memory or on Redis. Cloning shares it.
#[derive(Clone, Debug)]
pub struct SuspectStore(Backend);

#[derive(Clone, Debug)]
enum Backend {
    Memory(Memory),
    Redis(Redis),
}

/// Runs the same call on either backend.
macro_rules! either {
    ($store:expr, $backend:ident => $call:expr) => {
        match &$store.0 {
            Backend::Memory($backend) => Ok($call),
            Backend::Redis($backend) => $call.await,
        }
    };
}

impl SuspectStore {
    /// The state at `address`: `memory:`, of this process alone, or `redis://user:password@host:port/db?prefix=NAME` (`rediss://` with TLS;
    /// `ca=FILE` names the authority where it is not a public one). All keys begin with the prefix, `vigia` unless told otherwise.
    ///
    /// A server is connected to when it is needed: one that is down does not keep a console from starting.
    ///
    /// # Errors
    /// The address is of no such store.
    pub fn connect(address: &Address) -> Result<Self, StoreError> {
        Ok(Self(match address.scheme() {
            "memory" => Backend::Memory(Memory::default()),
            "redis" | "rediss" => Backend::Redis(Redis::new(address)?),
            _ => return Err(StoreError::unknown_backend(address)),
        }))
    }

    /// Whether other consoles see this state.
    pub fn is_shared(&self) -> bool {
        matches!(self.0, Backend::Redis(_))
    }

    /// Takes a suspect in; it goes by itself when it expires.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn put_suspect(&self, suspect: &Suspect) -> Result<(), StoreError> {
        either!(self, store => store.put_suspect(suspect))
    }

    /// Takes a sighting in.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn put_sighting(&self, sighting: &Sighting) -> Result<(), StoreError> {
        either!(self, store => store.put_sighting(sighting))
    }

    /// All suspects that have not expired, ended ones too, the earliest to expire first.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn suspects(&self) -> Result<Vec<Followed>, StoreError> {
        either!(self, store => store.suspects())
    }

    /// One suspect; `None` when it is not there or has expired.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn suspect(&self, id: SuspectId) -> Result<Option<Followed>, StoreError> {
        either!(self, store => store.suspect(id))
    }

    /// The stream of one suspect's sightings: the versions as they came, newest first, at most `limit`.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn sightings(&self, suspect: SuspectId, limit: usize) -> Result<Vec<Sighting>, StoreError> {
        either!(self, store => store.sightings(suspect, limit))
    }

    /// What the last [`refill`](Self::refill) left: another one than remembered, or none, and the state must be refilled.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn mark(&self) -> Result<Option<Uuid>, StoreError> {
        either!(self, store => store.mark())
    }

    /// Puts everything that is known and marks the state as whole; returns the mark.
    ///
    /// # Errors
    /// The store's trouble, also when the state was emptied meanwhile: then it has no mark.
    pub async fn refill(&self, suspects: &[Suspect], sightings: &[Sighting]) -> Result<Uuid, StoreError> {
        let id = Uuid::new_v4();
        either!(self, store => store.begin_refill(id))?;
        for suspect in suspects {
            self.put_suspect(suspect).await?;
        }
        for sighting in sightings {
            self.put_sighting(sighting).await?;
        }
        either!(self, store => store.end_refill(id))
    }

    /// Listens from now on.
    pub fn listen(&self) -> Listener {
        match &self.0 {
            Backend::Memory(memory) => Listener(Ear::Memory(memory.listen())),
            Backend::Redis(redis) => Listener(Ear::Redis(redis.listen())),
        }
    }
}

/// Hears what changes.
pub struct Listener(Ear);

enum Ear {
    Memory(memory::Ear),
    Redis(redis::Ear),
}

impl Listener {
    /// The next changes, at once when there are some; after half a second without any an empty answer, which tells all the same whether
    /// the state is still there. Changes made while the store could not be reached are heard when it is there again and has
    /// kept them.
    ///
    /// # Errors
    /// The store's trouble; then ask again.
    pub async fn next(&mut self) -> Result<Heard, StoreError> {
        match &mut self.0 {
            Ear::Memory(ear) => Ok(ear.next().await),
            Ear::Redis(ear) => ear.next().await,
        }
    }
}

#[cfg(test)]
mod tests;
