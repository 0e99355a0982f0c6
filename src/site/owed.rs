//! What was deleted is in the log, whatever ended in between: each deletion leaves its entry in its own transaction
//! ([`store::owed`](crate::store::owed)), and from there it comes into the journal.
use super::{Shared, console_user};
use crate::{
    model::{Action, ActionRecord, Outcome},
    store::{LogFilter, OwedEntry, StoreError},
    sync::Record,
};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Around the instant of an entry that is looked for in the log.
const AROUND: Duration = Duration::from_secs(1);
/// More deletions than this are not entered within that.
const MOST: u32 = 200;

/// Entries that sweeps under way still add to: nobody else brings these into the log.
#[derive(Clone, Debug, Default)]
pub(super) struct UnderWay(Arc<Mutex<BTreeSet<i64>>>);

impl UnderWay {
    fn log_ids(&self) -> MutexGuard<'_, BTreeSet<i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The entry of one sweep, which says more with every piece. Dropped, it is anybody's to bring into the log.
pub(super) struct Owing {
    /// The one in the database: committed, or perhaps committed by the transaction that failed last.
    newest: Option<i64>,
    /// All that were made: none of them can be in the log before this sweep brings it there.
    made: Vec<i64>,
    under_way: UnderWay,
}

impl Owing {
    pub fn new(shared: &Shared) -> Self {
        Self { newest: None, made: Vec::new(), under_way: shared.records.owing.clone() }
    }

    /// The entry to leave with the next piece.
    pub fn owe(&mut self, shared: &Shared, details: serde_json::Value) -> OwedEntry {
        let mut entry = shared.records.entry((&console_user(), ""), Action::DeleteData, Outcome::Succeeded);
        entry.details = details;
        self.made.push(entry.log_id);
        self.under_way.log_ids().insert(entry.log_id);
        OwedEntry { console: shared.records.console.clone(), instead_of: self.newest.replace(entry.log_id), entry }
    }
}

impl Drop for Owing {
    fn drop(&mut self) {
        let mut under_way = self.under_way.log_ids();
        for log_id in &self.made {
            under_way.remove(log_id);
        }
    }
}

impl Shared {
    /// Brings the entries that are owed into the journal: those of `sweep`, and what an earlier one left when it was broken off. Where
    /// that cannot be done now, the next sweep does it.
    pub(super) async fn settle_owed(&self, sweep: Option<Owing>) {
        let store = &self.records.stores.cameras;
        let own = sweep.as_ref().map_or(&[][..], |sweep| &sweep.made);
        let settled = async {
            for entry in store.owed_entries(&self.records.console).await? {
                let log_id = entry.log_id;
                let is_own = own.contains(&log_id);
                if !is_own && self.records.owing.log_ids().contains(&log_id) {
                    continue; // the sweep that made it says more yet
                }
                let there = !is_own && self.is_in_log(&entry).await?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::prerequisites,
        model::{AgedBefore, Clock as _, Segment, SystemClock},
        servers,
        site::{CameraConfig, Site, SiteConfig, recording::tests::wait},
        store::{Address, Addresses, Book, Deleted, DeletedBy, Kept, recordings::tests::segment},
    };
    use serde_json::json;
    use std::path::Path;
    use uuid::Uuid;

    fn open(data: &Path, stores: Addresses) -> Site {
        let camera = CameraConfig { active: false, ..CameraConfig::new("Gate", "test:") };
        let config = SiteConfig { cameras: vec![camera], stores, ..SiteConfig::default() };
        Site::open(config, data, &prerequisites::models_dir(None), Arc::new(SystemClock)).unwrap()
    }

    /// The ids that the log says were deleted.
    fn told(site: &Site) -> Vec<Uuid> {
        let shared = &site.shared;
        shared.runtime.block_on(async {
            assert!(shared.records.delivery.flush().await);
            let filter = LogFilter { action: Some(Action::DeleteData), ..LogFilter::default() };
            let log = shared.records.stores.actions.page(&filter, None, 100).await.unwrap();
            log.iter().flat_map(|e| serde_json::from_value::<Vec<Uuid>>(e.details["ids"].clone()).unwrap()).collect()
        })
    }

    #[test]
    fn what_a_console_deleted_before_it_ended_is_in_the_log_once() {
        for on_a_server in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let cameras = on_a_server.then(|| Address::parse(&servers::postgres().database()).unwrap());
            let stores = Addresses { cameras, ..Addresses::default() };
            let site = open(folder.path(), stores.clone());
            let shared = &site.shared;
            let old = SystemClock.now().minus(Duration::from_secs(40 * 86_400));
            let (mut deleted, mut owed) = (Vec::new(), None);
            let mut owing = Owing::new(shared); // while it lives nobody else tells the log
            shared.runtime.block_on(async {
                assert!(shared.records.delivery.flush().await, "the camera is registered");
                let store = &shared.records.stores.cameras;
                let camera = store.cameras().await.unwrap()[0].id;
                for n in 0..3 {
                    let starts_at = old.plus(Duration::from_secs(100 * n));
                    let ends_at = starts_at.plus(Duration::from_secs(10));
                    store.put_segment(&Segment { starts_at, ends_at, ..segment(camera, 0, 10) }).await.unwrap();
                }
                let by = DeletedBy::Age(AgedBefore::of_test(SystemClock.now()));
                let mut entry = |piece: Deleted<'_>| {
                    let Deleted::Recordings(segments) = piece else { return None };
                    deleted.extend(segments.iter().map(|s| s.id));
                    owed = Some(owing.owe(shared, json!({ "ids": deleted })));
                    owed.clone()
                };
                let mut book = Book { kept: &Kept::default, entry: &mut entry };
                let mut after = None;
                for _ in 0..3 {
                    let now = SystemClock.now();
                    let piece =
                        store.delete_oldest_recorded(by, now, &mut book, after, 1, &mut |_| true).await.unwrap();
                    after = piece.next;
                }
            });
            shared.runtime.block_on(shared.settle_owed(None));
            assert!(told(&site).is_empty(), "the sweep is under way");
            drop(site); // the console ends here
            drop(owing);
            let site = open(folder.path(), stores.clone());
            wait("the entry", || (!told(&site).is_empty()).then_some(()));
            assert_eq!((told(&site), deleted.len()), (deleted.clone(), 3));

            // It ends between the journal and the database: the entry is owed still, and in the log already.
            let shared = &site.shared;
            let again = async {
                let store = &shared.records.stores.cameras;
                let camera = store.cameras().await.unwrap()[0].id;
                store.put_segment(&Segment { starts_at: old, ends_at: old, ..segment(camera, 0, 10) }).await.unwrap();
                let mut entry = |_: Deleted<'_>| owed.clone().map(|owed| OwedEntry { instead_of: None, ..owed });
                let mut book = Book { kept: &Kept::default, entry: &mut entry };
                let by = DeletedBy::Age(AgedBefore::of_test(SystemClock.now()));
                store.delete_oldest_recorded(by, SystemClock.now(), &mut book, None, 9, &mut |_| true).await.unwrap();
                assert_eq!(store.owed_entries(&shared.records.console).await.unwrap().len(), 1);
                shared.settle_owed(None).await;
                assert_eq!(store.owed_entries(&shared.records.console).await.unwrap().len(), 0);
            };
            shared.runtime.block_on(again);
            assert_eq!(told(&site), deleted, "once");
        }
    }
}
