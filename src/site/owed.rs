//! What was deleted is in the log, whatever ended in between: each deletion leaves its entry in its own transaction
//! ([`store::owed`](crate::store::owed)), and from there it comes into the journal.
use super::{Shared, console_user};
use crate::{
    model::{Action, ActionRecord, Outcome},
    store::{LogFilter, OwedEntry, StoreError},
    sync::Record,
};
use std::time::Duration;

/// Around the instant of an entry that is looked for in the log.
const AROUND: Duration = Duration::from_secs(1);
/// More deletions than this are not entered within that.
const MOST: u32 = 200;

/// The entry of one sweep, which says more with every piece.
#[derive(Default)]
pub(super) struct Owing {
    /// The one in the database: committed, or perhaps committed by the transaction that failed last.
    newest: Option<i64>,
    /// All that were made: none of them can be in the log before this sweep brings it there.
    made: Vec<i64>,
}

impl Owing {
    /// The entry to leave with the next piece.
    pub fn owe(&mut self, shared: &Shared, details: serde_json::Value) -> OwedEntry {
        let mut entry = shared.records.entry((&console_user(), ""), Action::DeleteData, Outcome::Succeeded);
        entry.details = details;
        self.made.push(entry.log_id);
        OwedEntry { console: shared.records.console.clone(), instead_of: self.newest.replace(entry.log_id), entry }
    }
}

impl Shared {
    /// Brings the entries that are owed into the journal, those of `sweep` and what an earlier one left when it was broken off. Where
    /// that cannot be done now, the next sweep does it.
    pub(super) async fn settle_owed(&self, sweep: Owing) {
        let store = &self.records.stores.cameras;
        let settled = async {
            for entry in store.owed_entries(&self.records.console).await? {
                let log_id = entry.log_id;
                let there = !sweep.made.contains(&log_id) && self.is_in_log(&entry).await?;
                let entry = [Record::Action(entry)];
                if !there && !self.commit(&entry, "The log does not say that data was deleted").await {
                    break;
                }
                store.entry_is_kept(log_id).await?;
            }
            Ok::<_, StoreError>(())
        };
        if let Err(error) = settled.await {
            tracing::warn!(%error, "the log does not say yet what was deleted; the database knows it");
        }
    }

    /// Of an entry that an earlier run left: it may have come into the log before that ended.
    async fn is_in_log(&self, entry: &ActionRecord) -> Result<bool, StoreError> {
        let (from, until) = (Some(entry.timestamp), Some(entry.timestamp.plus(AROUND)));
        let filter = LogFilter { action: Some(Action::DeleteData), from, until, ..LogFilter::default() };
        let there = self.records.stores.actions.page(&filter, None, MOST).await?;
        // What waits in the journal is taken once by its number.
        Ok(there.iter().any(|e| e.log_id == entry.log_id))
    }
}
