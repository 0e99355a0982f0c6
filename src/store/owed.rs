//! Entries of the action log that a deletion owes. They are written in the very transaction that deletes, and leave it when the
//! journal has them: whatever ends in between, what is deleted is in the log.
use super::{
    CameraStore, StoreError,
    retention::Kept,
    sql::{Row, Transaction, sql},
    sqlite::to_json,
};
use crate::model::{ActionRecord, CameraId, Segment, Timestamp};
use uuid::Uuid;

/// What is about to be deleted.
#[derive(Clone, Copy, Debug)]
pub enum Deleted<'a> {
    /// Rows, each with its camera (`None`: of several), and the oldest and newest instant of them.
    Rows(&'a [(Uuid, Option<CameraId>)], Option<(Timestamp, Timestamp)>),
    /// Recordings.
    Recordings(&'a [Segment]),
}

/// An entry, and the one of before that it takes the place of because it says more.
#[derive(Clone, Debug)]
pub struct OwedEntry {
    /// As it is to be in the log.
    pub entry: ActionRecord,
    /// Which console owes it.
    pub console: String,
    /// Owed by earlier pieces of the same sweep.
    pub instead_of: Option<i64>,
}

/// What a deletion asks and leaves behind, both within its transaction.
pub struct Book<'a> {
    /// What stays for reasons that the database may not know yet: asked at that instant, not when the sweep began.
    pub kept: &'a (dyn Fn() -> Kept + Send + Sync),
    /// The entry about what is deleted.
    pub entry: &'a mut (dyn FnMut(Deleted<'_>) -> Option<OwedEntry> + Send),
}

impl std::fmt::Debug for Book<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Book")
    }
}

impl CameraStore {
    /// The entries that this console owes, oldest first; where nobody else works on this store, all of them.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn owed_entries(&self, console: &str) -> Result<Vec<ActionRecord>, StoreError> {
        let owed = sql("SELECT entry FROM owed_entries WHERE TRUE");
        let owed = if self.is_shared() { owed.and(" AND console = ", console) } else { owed };
        let read = |row: &Row| row.get::<String>("entry");
        let owed = self.db.fetch(owed.text(" ORDER BY log_id"), read).await?;
        let entry = |text: String| serde_json::from_str(&text).map_err(|e| StoreError::BadRecord(e.to_string()));
        owed.into_iter().map(entry).collect()
    }

    /// The journal has this entry.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn entry_is_kept(&self, log_id: i64) -> Result<(), StoreError> {
        self.db.execute(sql("DELETE FROM owed_entries WHERE log_id = $1").bind(log_id)).await
    }
}

pub(super) async fn owe(tx: &mut Transaction<'_>, owed: Option<OwedEntry>) -> Result<(), StoreError> {
    let Some(OwedEntry { entry, console, instead_of }) = owed else { return Ok(()) };
    if let Some(before) = instead_of {
        tx.execute(sql("DELETE FROM owed_entries WHERE log_id = $1").bind(before)).await?;
    }
    let insert = sql("INSERT INTO owed_entries (log_id, console, entry) VALUES ($1, $2, $3)");
    tx.execute(insert.bind(entry.log_id).bind(console).bind(to_json(&entry)?)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{Action, AgedBefore, Hold, Outcome},
        store::{DeletedBy, cameras::tests::camera, recordings::tests::segment, sql::tests::backends},
    };
    use std::sync::atomic::{AtomicBool, Ordering};

    fn entry(log_id: i64, ids: &[Segment]) -> ActionRecord {
        ActionRecord {
            log_id,
            user_cc: "console:x".to_owned(),
            user_name: String::new(),
            action: Action::DeleteData,
            log_accessed: None,
            timestamp: Timestamp(1_795_000_000_000_000),
            outcome: Outcome::Succeeded,
            target: None,
            details: serde_json::json!({ "ids": ids.iter().map(|s| s.id).collect::<Vec<_>>() }),
            link: None,
        }
    }

    #[tokio::test]
    async fn what_is_deleted_is_owed_to_the_log_until_the_journal_has_it_and_a_hold_counts_until_the_last_instant() {
        for fresh in backends() {
            let store = CameraStore::connect(&fresh.address).await.unwrap();
            let camera = camera();
            store.upsert_camera(&camera).await.unwrap();
            for from in [0, 10, 20, 30] {
                store.put_segment(&segment(camera.id, from, from + 10)).await.unwrap();
            }
            let by = DeletedBy::Age(AgedBefore::of_test(Timestamp(i64::MAX)));
            let (mut all, mut owed, mut after) = (Vec::new(), None, None);
            let (held, far) = (AtomicBool::new(false), Timestamp(i64::MAX / 2));
            for _ in 0..2 {
                // The hold is placed while the deletion is under way: what is not deleted by then stays.
                let kept = || {
                    let hold = Hold {
                        id: Uuid::nil(),
                        case: None,
                        camera: None,
                        from: Timestamp(0),
                        until: far,
                        reason: "case 7".to_owned(),
                        placed_by: "1".to_owned(),
                        placed_at: far,
                        released: None,
                    };
                    Kept {
                        holds: if held.load(Ordering::Relaxed) { vec![hold] } else { Vec::new() },
                        ..Kept::default()
                    }
                };
                let mut note = |deleted: Deleted<'_>| {
                    let Deleted::Recordings(segments) = deleted else { return None };
                    all.extend_from_slice(segments);
                    let instead_of = owed.replace(all.len() as i64);
                    Some(OwedEntry { entry: entry(all.len() as i64, &all), console: "a".to_owned(), instead_of })
                };
                let mut book = Book { kept: &kept, entry: &mut note };
                let piece = store.delete_oldest_recorded(by, far, &mut book, after, 1, &mut |_| true).await.unwrap();
                after = piece.next;
            }
            held.store(true, Ordering::Relaxed);
            let kept = || Kept {
                holds: vec![Hold {
                    id: Uuid::nil(),
                    case: None,
                    camera: None,
                    from: Timestamp(0),
                    until: far,
                    reason: String::new(),
                    placed_by: String::new(),
                    placed_at: far,
                    released: None,
                }],
                ..Kept::default()
            };
            let mut book = Book { kept: &kept, entry: &mut |_| panic!("nothing is deleted, and nothing is owed") };
            let piece = store.delete_oldest_recorded(by, far, &mut book, after, 9, &mut |_| true).await.unwrap();
            assert_eq!((piece.deleted.len(), piece.kept), (0, 2));

            // One entry for both pieces, which says it all.
            let told = store.owed_entries("a").await.unwrap();
            assert_eq!(told, [entry(2, &all)]);
            assert_eq!(all.len(), 2);
            assert_eq!(
                store.owed_entries("b").await.unwrap().len(),
                usize::from(!fresh.is_server()),
                "another console's"
            );
            store.entry_is_kept(2).await.unwrap();
            assert_eq!(store.owed_entries("a").await.unwrap(), []);
        }
    }
}
