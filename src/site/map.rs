//! What the map shows beyond the newest sightings: the whole movement of one suspect, read from the store when it is asked for.
//! Each reading is an entry.
use super::{Shared, SightingView};
use crate::{
    model::{Action, Outcome, Rights, SuspectId, User},
    sync::Record,
};
use std::{path::PathBuf, sync::Arc};

/// Stays that are read at most, the newest.
const MOST: u32 = 20_000;

/// What the screen asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MapCommand {
    /// Every stay of a suspect, however long ago.
    Movement(SuspectId),
}

/// What the map shows.
#[derive(Clone, Debug, Default)]
pub struct MapState {
    /// The archive of tiles under it; a plain grid where there is none.
    pub tiles: Option<PathBuf>,
    /// The movement that was read last.
    pub movement: Option<Arc<Movement>>,
}

/// The stays of one suspect where the user may look.
#[derive(Clone, Debug)]
pub struct Movement {
    /// Who.
    pub suspect: SuspectId,
    /// All stays, rejected ones too, without pictures; or why they cannot be read.
    pub stays: Result<Vec<SightingView>, String>,
}

/// A movement, and the rights it was read with: it is shown to no others.
pub(super) type Read = (Arc<Movement>, Rights);

impl Shared {
    /// Reads what the map asks for.
    pub(super) async fn map_command(&self, user: &User, command: MapCommand) {
        let MapCommand::Movement(suspect) = command;
        let rights = self.board.lock().rights.clone();
        let read = self.records.stores.cameras.sightings(Some(suspect), MOST).await;
        let stays = read.map_err(|e| e.to_string()).map(|mut stays| {
            stays.retain(|s| rights.allow(s.camera));
            stays.into_iter().map(|sighting| SightingView { sighting, crop: None }).collect::<Vec<_>>()
        });
        let outcome = stays.as_ref().map_or_else(|why| Outcome::Failed(why.clone()), |_| Outcome::Succeeded);
        let mut entry = self.records.entry((&user.cc, &user.name), Action::ReadMovement, outcome);
        entry.target = Some(suspect.to_string());
        entry.details = serde_json::json!({ "suspect": suspect, "stays": stays.as_ref().ok().map(Vec::len) });
        if self.commit(&[Record::Action(entry)], "The movement is not shown: the reading was not recorded").await {
            self.board.lock().movement = Some((Arc::new(Movement { suspect, stays }), rights));
        }
    }
}
