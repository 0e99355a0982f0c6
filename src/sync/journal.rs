//! The journal: an SQLite file that every record passes through.
use super::{Destination, Record};
use crate::{
    audit::Head,
    model::{ActionRecord, Clock, Hash, Sighting, Suspect, Timestamp},
    store::{
        StoreError,
        sqlite::{Database, TextColumns as _, to_json},
    },
};
use sqlx::{Row as _, SqliteConnection, migrate::Migrator, sqlite::SqliteRow};
use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::watch;
use uuid::Uuid;

static SCHEMA: Migrator = sqlx::migrate!("migrations/journal");

/// Why records were not accepted. None of the batch was; those accepted before are safe.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file's trouble: full disk, read-only, damaged, ….
    #[error("nothing was recorded: {0}")]
    Store(#[from] StoreError),
    /// A record that never changes came again with another content.
    #[error("nothing was recorded: {0} is waiting already with another content")]
    Conflict(String),
}

/// How many records wait for one store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Waiting {
    /// Delivered as soon as the store takes them.
    pub pending: u64,
    /// Refused by the store for what they are; kept and not tried again.
    pub set_aside: u64,
}

type Counts = [Waiting; Destination::ALL.len()];

/// A record in the journal.
pub(super) struct Entry {
    id: i64,
    revision: i64,
    pub attempts: u32,
    pub record: Result<Record, String>,
}

struct Inner {
    db: Database,
    clock: Arc<dyn Clock>,
    counts: watch::Sender<Counts>,
    /// Held while the file and `counts` change, so that they agree.
    writing: tokio::sync::Mutex<()>,
    trouble: Mutex<Option<String>>,
}

/// A record that its store refused for what it is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RefusedRecord {
    /// Its number in the journal.
    pub id: i64,
    /// Which store.
    pub store: String,
    /// What kind of record, and which.
    pub record: String,
    /// Why, in words.
    pub why: String,
    /// When it was recorded.
    pub at: Timestamp,
}

/// The journal of one site. What [`append`](Self::append) has accepted survives a kill and a power cut, and stays until
/// its store has it. Cloning shares the journal.
#[derive(Clone)]
pub struct Journal(Arc<Inner>);

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Journal({}, {} waiting)", self.0.db.path().display(), self.backlog())
    }
}

impl Journal {
    /// Opens the journal, creating it where missing.
    ///
    /// # Errors
    /// [`StoreError`]: damaged, newer, read-only, full.
    pub async fn open(path: impl AsRef<Path>, clock: Arc<dyn Clock>) -> Result<Self, JournalError> {
        // one connection: all that anybody does here is short, and those who wait are served in order
        let db = Database::open(path.as_ref(), &SCHEMA, 1).await?;
        let head = Head::new(Uuid::new_v4());
        sqlx::query("INSERT INTO chain (one, console, seq, hash) VALUES (1, ?1, 0, ?2) ON CONFLICT DO NOTHING")
            .bind(head.console.to_string())
            .bind(head.hash.to_string())
            .execute(db.pool())
            .await
            .map_err(|e| db.error(e))?;
        let mut counts = Counts::default();
        let rows: Vec<(String, bool, i64)> =
            sqlx::query_as("SELECT store, set_aside, COUNT(*) FROM journal GROUP BY store, set_aside")
                .fetch_all(db.pool())
                .await
                .map_err(|e| db.error(e))?;
        for (store, set_aside, n) in rows {
            for (destination, waiting) in Destination::ALL.iter().zip(&mut counts) {
                if destination.name() == store {
                    let count = if set_aside { &mut waiting.set_aside } else { &mut waiting.pending };
                    *count = n.unsigned_abs();
                }
            }
        }
        Ok(Self(Arc::new(Inner {
            db,
            clock,
            counts: watch::Sender::new(counts),
            writing: tokio::sync::Mutex::new(()),
            trouble: Mutex::new(None),
        })))
    }

    /// Accepts records, all or none. When it returns `Ok` they are on disk.
    ///
    /// A record that waits already is replaced by its newer version, in its place; an action or object that waits already
    /// is accepted again only with the same content.
    ///
    /// # Errors
    /// [`JournalError`]: nothing was recorded, and why.
    pub async fn append(&self, records: &[Record]) -> Result<(), JournalError> {
        if records.is_empty() {
            return Ok(());
        }
        let _writing = self.0.writing.lock().await;
        let result = self.append_all(records).await;
        self.note(result.as_ref().err().filter(|e| !matches!(e, JournalError::Conflict(_))));
        let counts = result?;
        self.0.counts.send_modify(|c| add(c, &counts));
        Ok(())
    }

    async fn append_all(&self, records: &[Record]) -> Result<Vec<Change>, JournalError> {
        let mut tx = self.0.db.write().await?;
        let now = self.0.clock.now().to_string();
        let mut changes = Vec::new();
        for record in records {
            for destination in record.destinations() {
                changes.extend(self.append_one(&mut tx, record, destination, &now).await?);
            }
        }
        tx.commit().await.map_err(|e| self.0.db.error(e))?;
        Ok(changes)
    }

    async fn append_one(
        &self,
        tx: &mut SqliteConnection,
        record: &Record,
        destination: Destination,
        now: &str,
    ) -> Result<Option<Change>, JournalError> {
        let e = |e| self.0.db.error(e);
        if let Record::Action(action) = record {
            return self.append_action(tx, action, now).await;
        }
        let (record_id, body) = (record.id_for(destination), to_json(record)?);
        let there: Option<(bool, bool)> =
            sqlx::query_as("SELECT set_aside, body = ?2 AND blob IS ?3 FROM journal WHERE record_id = ?1")
                .bind(&record_id)
                .bind(&body)
                .bind(record.bytes())
                .fetch_optional(&mut *tx)
                .await
                .map_err(e)?;
        match there {
            Some((_, same)) if !record.may_change() => {
                if same {
                    Ok(None)
                } else {
                    Err(JournalError::Conflict(record_id))
                }
            }
            Some((set_aside, _)) => {
                sqlx::query(
                    "UPDATE journal SET body = ?2, revision = revision + 1, attempts = 0, last_error = NULL,
                     set_aside = FALSE WHERE record_id = ?1",
                )
                .bind(&record_id)
                .bind(&body)
                .execute(tx)
                .await
                .map_err(e)?;
                Ok(set_aside.then_some(Change { destination, pending: 1, set_aside: -1 }))
            }
            None => Ok(Some(self.insert(tx, record, destination, &body, now).await?)),
        }
    }

    /// An entry of the action log gets its place in this console's chain with the very commit that accepts it: the order of
    /// the journal is the order of the chain, whatever happens afterwards.
    async fn append_action(
        &self,
        tx: &mut SqliteConnection,
        action: &ActionRecord,
        now: &str,
    ) -> Result<Option<Change>, JournalError> {
        let e = |e| self.0.db.error(e);
        let record_id = Record::Action(action.clone()).record_id();
        let there: Option<String> = sqlx::query_scalar("SELECT body FROM journal WHERE record_id = ?1")
            .bind(&record_id)
            .fetch_optional(&mut *tx)
            .await
            .map_err(e)?;
        if let Some(there) = there {
            let same = matches!(read_record(&there, None), Ok(Record::Action(there)) if there.says_the_same(action));
            return if same { Ok(None) } else { Err(JournalError::Conflict(record_id)) };
        }
        let (mut head, _) = chain(&mut *tx).await.map_err(e)?;
        let record = Record::Action(ActionRecord { link: Some(head.link(action)), ..action.clone() });
        sqlx::query("UPDATE chain SET seq = ?1, hash = ?2")
            .bind(head.seq)
            .bind(head.hash.to_string())
            .execute(&mut *tx)
            .await
            .map_err(e)?;
        let body = to_json(&record)?;
        Ok(Some(self.insert(tx, &record, Destination::Actions, &body, now).await?))
    }

    async fn insert(
        &self,
        tx: &mut SqliteConnection,
        record: &Record,
        destination: Destination,
        body: &str,
        now: &str,
    ) -> Result<Change, JournalError> {
        sqlx::query(
            "INSERT INTO journal (record_id, store, kind, body, blob, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .bind(record.id_for(destination))
        .bind(destination.name())
        .bind(record.kind())
        .bind(body)
        .bind(record.bytes())
        .bind(now)
        .execute(tx)
        .await
        .map_err(|e| self.0.db.error(e))?;
        Ok(Change { destination, pending: 1, set_aside: 0 })
    }

    /// The end of this console's chain of entries, and the console's number in its `log_id`s once it has one.
    ///
    /// # Errors
    /// The file's trouble.
    pub async fn chain(&self) -> Result<(Head, Option<u16>), JournalError> {
        Ok(chain(self.0.db.pool()).await.map_err(|e| self.0.db.error(e))?)
    }

    /// Keeps the number that the action log gave this console.
    ///
    /// # Errors
    /// The file's trouble.
    pub async fn set_console_number(&self, number: u16) -> Result<(), JournalError> {
        sqlx::query("UPDATE chain SET number = ?1")
            .bind(number)
            .execute(self.0.db.pool())
            .await
            .map_err(|e| self.0.db.error(e))?;
        Ok(())
    }

    /// Begins a new chain, as another console with its number, and the first entry of it: for a journal that knows less of its
    /// chain than the log does (it was put back from a backup, or somebody wrote into the log).
    ///
    /// # Errors
    /// [`JournalError`]: nothing was changed.
    pub async fn begin_chain(&self, console: Uuid, number: u16, first: &ActionRecord) -> Result<(), JournalError> {
        let _writing = self.0.writing.lock().await;
        let e = |e| self.0.db.error(e);
        let mut tx = self.0.db.write().await?;
        let head = Head::new(console);
        sqlx::query("UPDATE chain SET console = ?1, number = ?2, seq = 0, hash = ?3")
            .bind(head.console.to_string())
            .bind(number)
            .bind(head.hash.to_string())
            .execute(&mut *tx)
            .await
            .map_err(e)?;
        let now = self.0.clock.now().to_string();
        let change = self.append_action(&mut tx, first, &now).await?;
        tx.commit().await.map_err(e)?;
        self.0.counts.send_modify(|c| add(c, &Vec::from_iter(change)));
        Ok(())
    }

    /// The end of this console's chain, and the entries of the action log that are not in their store yet, oldest first; `true`
    /// for those that the store refused. All of one instant.
    ///
    /// # Errors
    /// The file's trouble.
    pub async fn waiting_entries(&self) -> Result<(Head, Vec<(ActionRecord, bool)>), JournalError> {
        let mut tx = self.0.db.write().await?;
        let (head, _) = chain(&mut *tx).await.map_err(|e| self.0.db.error(e))?;
        let waiting: Vec<(String, bool)> =
            sqlx::query_as("SELECT body, set_aside FROM journal WHERE kind = 'action' ORDER BY id")
                .fetch_all(&mut *tx)
                .await
                .map_err(|e| self.0.db.error(e))?;
        let entry = |(body, set_aside): (String, bool)| match read_record(&body, None) {
            Ok(Record::Action(record)) => Some((record, set_aside)),
            _ => None, // cannot be delivered either: it is set aside with its reason
        };
        Ok((head, waiting.into_iter().filter_map(entry).collect()))
    }

    /// The newest place of this console's chain up to which the action log has everything that it accepts: what an anchor may
    /// say without running ahead of the log.
    ///
    /// # Errors
    /// The file's trouble.
    pub async fn delivered_head(&self) -> Result<Head, JournalError> {
        let mut tx = self.0.db.write().await?;
        let (head, _) = chain(&mut *tx).await.map_err(|e| self.0.db.error(e))?;
        let oldest: Option<String> = sqlx::query_scalar(
            "SELECT body FROM journal WHERE kind = 'action' AND NOT set_aside
             AND json_extract(body, '$.action.link.console') = ?1 ORDER BY id LIMIT 1",
        )
        .bind(head.console.to_string())
        .fetch_optional(&mut *tx)
        .await
        .map_err(|e| self.0.db.error(e))?;
        Ok(match oldest.map(|body| read_record(&body, None)) {
            Some(Ok(Record::Action(ActionRecord { link: Some(link), .. }))) => {
                Head { console: link.console, seq: link.seq - 1, hash: link.prev }
            }
            _ => head,
        })
    }

    /// How many records wait for their store, without those set aside.
    pub fn backlog(&self) -> u64 {
        self.0.counts.borrow().iter().map(|w| w.pending).sum()
    }

    /// `log_id` of the newest entry of the action log that still waits.
    ///
    /// # Errors
    /// The file's trouble.
    pub async fn newest_log_id(&self) -> Result<Option<i64>, JournalError> {
        let id: Option<String> =
            sqlx::query_scalar("SELECT record_id FROM journal WHERE kind = 'action' ORDER BY id DESC LIMIT 1")
                .fetch_optional(self.0.db.pool())
                .await
                .map_err(|e| self.0.db.error(e))?;
        Ok(id.and_then(|id| id.strip_prefix("action:")?.parse().ok()))
    }

    /// Closes the file; whoever still uses the journal gets errors.
    pub async fn close(&self) {
        self.0.db.pool().close().await;
    }

    #[cfg(test)]
    pub(super) async fn recorded(&self) -> i64 {
        sqlx::query_scalar("SELECT COUNT(*) FROM journal").fetch_one(self.0.db.pool()).await.unwrap()
    }

    pub(super) fn trouble(&self) -> Option<String> {
        self.0.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, error: Option<&JournalError>) {
        *self.0.trouble.lock().unwrap_or_else(PoisonError::into_inner) = error.map(ToString::to_string);
    }

    pub(super) fn watch(&self) -> watch::Receiver<Counts> {
        self.0.counts.subscribe()
    }

    pub(super) fn waiting(&self, destination: Destination) -> Waiting {
        self.0.counts.borrow().get(destination as usize).copied().unwrap_or_default()
    }

    /// The suspects and sightings that are not in the cameras database yet.
    pub(super) async fn undelivered_state(&self) -> Result<(Vec<Suspect>, Vec<Sighting>), StoreError> {
        let bodies: Vec<String> = sqlx::query_scalar(
            "SELECT body FROM journal WHERE store = ?1 AND kind IN ('suspect', 'sighting') ORDER BY id",
        )
        .bind(Destination::Cameras.name())
        .fetch_all(self.0.db.pool())
        .await
        .map_err(|e| self.0.db.error(e))?;
        let (mut suspects, mut sightings) = (Vec::new(), Vec::new());
        for body in bodies {
            match read_record(&body, None) {
                Ok(Record::Suspect(suspect)) => suspects.push(suspect),
                Ok(Record::Sighting(sighting)) => sightings.push(sighting),
                Ok(_) | Err(_) => {} // one that cannot be read is told of where it is delivered
            }
        }
        Ok((suspects, sightings))
    }

    /// The records that have waited longest for this store.
    pub(super) async fn oldest(&self, destination: Destination, limit: u32) -> Result<Vec<Entry>, StoreError> {
        sqlx::query(
            "SELECT id, revision, attempts, body, blob FROM journal WHERE store = ?1 AND NOT set_aside
             ORDER BY id LIMIT ?2",
        )
        .bind(destination.name())
        .bind(limit)
        .try_map(|row: SqliteRow| {
            Ok(Entry {
                id: row.try_get("id")?,
                revision: row.try_get("revision")?,
                attempts: row.try_get("attempts")?,
                record: read_record(row.try_get("body")?, row.try_get("blob")?),
            })
        })
        .fetch_all(self.0.db.pool())
        .await
        .map_err(|e| self.0.db.error(e))
    }

    /// The store has these: they leave the journal, except where a newer version has come meanwhile.
    pub(super) async fn delivered(&self, destination: Destination, entries: &[&Entry]) -> Result<(), StoreError> {
        let _writing = self.0.writing.lock().await;
        let mut tx = self.0.db.write().await?;
        let mut gone = 0;
        for entry in entries {
            gone += sqlx::query("DELETE FROM journal WHERE id = ?1 AND revision = ?2")
                .bind(entry.id)
                .bind(entry.revision)
                .execute(&mut *tx)
                .await
                .map_err(|e| self.0.db.error(e))?
                .rows_affected();
        }
        tx.commit().await.map_err(|e| self.0.db.error(e))?;
        let change = Change { destination, pending: -gone.cast_signed(), set_aside: 0 };
        self.0.counts.send_modify(|c| add(c, &[change]));
        Ok(())
    }

    /// The store refused this for what it is: noted, and set aside when asked.
    pub(super) async fn refused(
        &self,
        destination: Destination,
        entry: &Entry,
        why: &str,
        set_aside: bool,
    ) -> Result<(), StoreError> {
        let _writing = self.0.writing.lock().await;
        let changed = sqlx::query(
            "UPDATE journal SET attempts = attempts + 1, last_error = ?3, set_aside = ?4
             WHERE id = ?1 AND revision = ?2",
        )
        .bind(entry.id)
        .bind(entry.revision)
        .bind(why)
        .bind(set_aside)
        .execute(self.0.db.pool())
        .await
        .map_err(|e| self.0.db.error(e))?
        .rows_affected()
        .cast_signed();
        if set_aside {
            let change = Change { destination, pending: -changed, set_aside: changed };
            self.0.counts.send_modify(|c| add(c, &[change]));
        }
        Ok(())
    }

    /// The records that their stores refused for what they are, the oldest first, at most `limit`.
    ///
    /// # Errors
    /// The file's trouble.
    pub async fn refusals(&self, limit: u32) -> Result<Vec<RefusedRecord>, JournalError> {
        let refused = sqlx::query(
            "SELECT id, store, record_id, last_error, created_at FROM journal WHERE set_aside ORDER BY id LIMIT ?1",
        )
        .bind(limit)
        .try_map(|row: SqliteRow| {
            Ok(RefusedRecord {
                id: row.try_get("id")?,
                store: row.try_get("store")?,
                record: row.try_get("record_id")?,
                why: row.try_get::<Option<String>, _>("last_error")?.unwrap_or_default(),
                at: row.instant("created_at")?,
            })
        })
        .fetch_all(self.0.db.pool())
        .await;
        Ok(refused.map_err(|e| self.0.db.error(e))?)
    }

    /// Lets refused records be offered to their stores again; returns which these are.
    ///
    /// # Errors
    /// The file's trouble: nothing was changed.
    pub async fn offer_again(&self, ids: &[i64]) -> Result<Vec<String>, JournalError> {
        let _writing = self.0.writing.lock().await;
        let e = |e| self.0.db.error(e);
        let mut tx = self.0.db.write().await?;
        let (mut changes, mut offered) = (Vec::new(), Vec::new());
        for id in ids {
            let again: Option<(String, String)> = sqlx::query_as(
                "UPDATE journal SET set_aside = FALSE, attempts = 0 WHERE id = ?1 AND set_aside RETURNING store, record_id",
            )
            .bind(id)
            .fetch_optional(&mut *tx)
            .await
            .map_err(e)?;
            let Some((store, record)) = again else { continue };
            let destination = Destination::ALL.into_iter().find(|d| d.name() == store);
            changes.extend(destination.map(|destination| Change { destination, pending: 1, set_aside: -1 }));
            offered.push(record);
        }
        tx.commit().await.map_err(e)?;
        self.0.counts.send_modify(|c| add(c, &changes));
        Ok(offered)
    }

    /// Counts again what waits for this store: an operation that was broken off may have changed the file alone.
    pub(super) async fn recount(&self, destination: Destination) -> Result<(), StoreError> {
        let _writing = self.0.writing.lock().await;
        let pending: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM journal WHERE store = ?1 AND NOT set_aside")
            .bind(destination.name())
            .fetch_one(self.0.db.pool())
            .await
            .map_err(|e| self.0.db.error(e))?;
        self.0.counts.send_if_modified(|c| match c.get_mut(destination as usize) {
            Some(waiting) if waiting.pending != pending.unsigned_abs() => {
                waiting.pending = pending.unsigned_abs();
                true
            }
            _ => false,
        });
        Ok(())
    }

    /// Why the record that was set aside last was refused.
    pub(super) async fn last_refusal(&self, destination: Destination) -> Result<Option<String>, StoreError> {
        sqlx::query_scalar("SELECT last_error FROM journal WHERE store = ?1 AND set_aside ORDER BY id DESC LIMIT 1")
            .bind(destination.name())
            .fetch_optional(self.0.db.pool())
            .await
            .map(Option::flatten)
            .map_err(|e| self.0.db.error(e))
    }
}

async fn chain<'c>(db: impl sqlx::SqliteExecutor<'c>) -> sqlx::Result<(Head, Option<u16>)> {
    sqlx::query("SELECT console, number, seq, hash FROM chain")
        .try_map(|row: SqliteRow| {
            let hash = Hash::parse(&row.try_get::<String, _>("hash")?);
            let hash = hash.ok_or_else(|| sqlx::Error::Decode("the journal's chain has no hash".into()))?;
            Ok((Head { console: row.uuid("console")?, seq: row.try_get("seq")?, hash }, row.try_get("number")?))
        })
        .fetch_one(db)
        .await
}

/// What a transaction changed in the counts of one store.
struct Change {
    destination: Destination,
    pending: i64,
    set_aside: i64,
}

fn add(counts: &mut Counts, changes: &[Change]) {
    for change in changes {
        if let Some(waiting) = counts.get_mut(change.destination as usize) {
            waiting.pending = waiting.pending.saturating_add_signed(change.pending);
            waiting.set_aside = waiting.set_aside.saturating_add_signed(change.set_aside);
        }
    }
}

fn read_record(body: &str, blob: Option<Vec<u8>>) -> Result<Record, String> {
    let mut record = serde_json::from_str(body).map_err(|e| format!("the record cannot be read: {e}"))?;
    if let Record::Object { bytes, .. } = &mut record {
        *bytes = blob.unwrap_or_default();
    }
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{Action, ActionRecord, Camera, CaseChange, CaseFact, Outcome, SystemClock, Timestamp},
        store::{DataFolder, DetectionFilter, LogFilter, Stores, cameras},
        supervise::Supervisor,
        sync::Delivery,
    };
    use std::{
        io::{BufRead as _, BufReader, Write as _},
        process::{Command, Stdio},
    };

    async fn open(path: &Path) -> Journal {
        Journal::open(path, Arc::new(SystemClock)).await.unwrap()
    }

    fn action(log_id: i64) -> Record {
        Record::Action(ActionRecord {
            log_id,
            user_cc: "12345678".to_owned(),
            user_name: "Ana Sousa".to_owned(),
            action: Action::SelectSuspect,
            log_accessed: None,
            timestamp: Timestamp(1_795_000_000_000_000 + log_id),
            outcome: Outcome::Refused("no right".to_owned()),
            target: Some("camera 1".to_owned()),
            details: serde_json::json!({"n": log_id}),
            link: None,
        })
    }

    fn object(key: &str, bytes: &[u8]) -> Record {
        Record::Object { key: key.to_owned(), content_type: "image/jpeg".to_owned(), bytes: bytes.to_vec() }
    }

    async fn records(journal: &Journal, destination: Destination) -> Vec<Record> {
        let unlinked = |record| match record {
            Record::Action(action) => Record::Action(ActionRecord { link: None, ..action }),
            other => other,
        };
        journal.oldest(destination, 100).await.unwrap().into_iter().map(|e| unlinked(e.record.unwrap())).collect()
    }

    #[tokio::test]
    async fn every_kind_of_record_comes_back_as_it_went_in_and_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.sqlite");
        let camera = cameras::tests::camera();
        let suspect = cameras::tests::suspect(camera.id, "Suspect 1");
        let of_cameras = [
            Record::Camera(camera.clone()),
            Record::Suspect(suspect.clone()),
            Record::Sighting(cameras::tests::sighting(&suspect)),
            Record::Detection(cameras::tests::detection(camera.id, Some(suspect.id), Timestamp(1))),
            Record::CaseFact(CaseFact {
                id: camera.id,
                case: suspect.id,
                at: Timestamp(2),
                by: "1".to_owned(),
                by_name: "Ana Sousa".to_owned(),
                change: CaseChange::Note { text: "ação".to_owned() },
            }),
        ];
        let before = open(&path).await;
        before.append(&of_cameras).await.unwrap();
        before.append(&[action(5), object("crops/a.jpg", b"\0bytes\xff"), action(6)]).await.unwrap();
        drop(before);

        let after = open(&path).await;
        assert_eq!(after.backlog(), 8 + 2, "suspect and sighting go to two stores");
        assert_eq!(records(&after, Destination::Cameras).await, of_cameras);
        assert_eq!(records(&after, Destination::Suspects).await, of_cameras[1..3]);
        assert_eq!(records(&after, Destination::Actions).await, [action(5), action(6)]);
        assert_eq!(records(&after, Destination::Objects).await, [object("crops/a.jpg", b"\0bytes\xff")]);
        assert_eq!(after.newest_log_id().await.unwrap(), Some(6));
    }

    #[tokio::test]
    async fn a_record_that_waits_is_replaced_in_its_place_and_one_that_never_changes_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let journal = open(&dir.path().join("journal.sqlite")).await;
        let camera = cameras::tests::camera();
        let renamed = Camera { name: "Rossio sul".to_owned(), ..camera.clone() };
        let suspect = Record::Suspect(cameras::tests::suspect(camera.id, "Suspect 1"));
        journal.append(&[Record::Camera(camera), suspect.clone()]).await.unwrap();
        let under_way = journal.oldest(Destination::Cameras, 1).await.unwrap();
        journal.append(&[Record::Camera(renamed.clone())]).await.unwrap();
        journal.delivered(Destination::Cameras, &[&under_way[0]]).await.unwrap();
        assert_eq!(records(&journal, Destination::Cameras).await, [Record::Camera(renamed), suspect]);
        assert_eq!(journal.backlog(), 3);

        journal.append(&[action(1), object("crops/a.jpg", b"one")]).await.unwrap();
        journal.append(&[action(1), object("crops/a.jpg", b"one")]).await.unwrap();
        assert_eq!(journal.backlog(), 5);
        let error = journal.append(&[action(2), object("crops/a.jpg", b"two")]).await.unwrap_err();
        assert!(matches!(error, JournalError::Conflict(_)), "{error}");
        assert_eq!(records(&journal, Destination::Actions).await, [action(1)], "half of a batch was accepted");
        assert_eq!(records(&journal, Destination::Objects).await, [object("crops/a.jpg", b"one")]);
    }

    #[tokio::test]
    async fn a_full_disk_is_a_clear_error_and_loses_nothing_accepted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.sqlite");
        let journal = open(&path).await;
        journal.append(&[action(1)]).await.unwrap();
        // the same error as that of a full disk, from the limit that SQLite lets one set on a connection
        sqlx::query("PRAGMA max_page_count = 1").execute(journal.0.db.pool()).await.unwrap();
        let error = journal.append(&[action(2), object("crops/a.jpg", &[7; 100_000])]).await.unwrap_err();
        assert!(matches!(error, JournalError::Store(StoreError::Full { .. })), "{error}");
        assert!(error.to_string().contains("nothing was recorded") && error.to_string().contains("Free some space"));
        assert_eq!(journal.trouble(), Some(error.to_string()));
        assert_eq!((journal.backlog(), records(&journal, Destination::Actions).await), (1, vec![action(1)]));

        // the disk has room again
        sqlx::query("PRAGMA max_page_count = 100000").execute(journal.0.db.pool()).await.unwrap();
        journal.append(&[action(2), object("crops/a.jpg", &[7; 100_000])]).await.unwrap();
        assert_eq!((journal.backlog(), journal.trouble()), (3, None));
    }

    #[tokio::test]
    async fn a_read_only_journal_is_a_clear_error() {
        let dir = tempfile::tempdir().unwrap();
        let journal = open(&dir.path().join("journal.sqlite")).await;
        sqlx::query("PRAGMA query_only = TRUE").execute(journal.0.db.pool()).await.unwrap();
        let error = journal.append(&[action(1)]).await.unwrap_err().to_string();
        assert!(error.contains("read-only"), "{error}");
        assert_eq!(journal.backlog(), 0);
    }

    const CHILD: &str = "VIGIA_TEST_JOURNAL_OF_A_PROCESS_TO_BE_KILLED";

    /// Only does something as a process of its own, started by the test below.
    #[tokio::test]
    async fn process_to_be_killed() {
        let Some(folder) = std::env::var_os(CHILD) else { return };
        let folder = DataFolder::open(folder).unwrap();
        let journal = open(&folder.journal()).await;
        let stores = Stores::open(&folder, &Default::default()).await.unwrap();
        let _delivery = Delivery::spawn(journal.clone(), stores, Arc::new(SystemClock), &Supervisor::default());
        let first = journal.newest_log_id().await.unwrap().unwrap_or(0);
        let camera = cameras::tests::camera();
        journal.append(&[Record::Camera(camera.clone())]).await.unwrap();
        for log_id in first + 1.. {
            let at = Timestamp(1_795_000_000_000_000 + log_id);
            let detection = Record::Detection(cameras::tests::detection(camera.id, None, at));
            let object = object(&format!("frames/{log_id}.jpg"), &log_id.to_be_bytes());
            journal.append(&[action(log_id), detection, object]).await.unwrap();
            let mut out = std::io::stdout();
            writeln!(out, "\naccepted {log_id}").unwrap();
            out.flush().unwrap();
        }
    }

    #[tokio::test]
    async fn what_was_accepted_survives_a_kill_and_arrives_exactly_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([&format!("{}::process_to_be_killed", module_path!().split_once("::").unwrap().1), "--exact"])
            .args(["--nocapture", "--test-threads=1"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut accepted = 0;
        while accepted < 40 {
            let line = lines.next().expect("the process ended by itself");
            accepted = line.strip_prefix("accepted ").map_or(accepted, |n| n.parse().unwrap());
        }
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
        accepted = lines.filter_map(|l| l.strip_prefix("accepted ")?.parse().ok()).last().unwrap_or(accepted);

        let folder = DataFolder::open(dir.path()).unwrap(); // the lock went with the process
        let journal = open(&folder.journal()).await;
        let stores = Stores::open(&folder, &Default::default()).await.unwrap();
        let delivery = Delivery::spawn(journal.clone(), stores.clone(), Arc::new(SystemClock), &Supervisor::default());
        assert!(delivery.flush().await, "{delivery:?}");
        delivery.stop().await;
        // one more may have been accepted than the process could say
        let log = stores.actions.page(&LogFilter::default(), None, 1_000_000).await.unwrap();
        let n = log.len() as i64;
        assert!(n == accepted || n == accepted + 1, "{n} entries, {accepted} accepted");
        assert!(log.iter().rev().map(|e| e.log_id).eq(1..=n), "an entry is missing or out of order");
        let filter = DetectionFilter { limit: 1_000_000, ..DetectionFilter::default() };
        assert_eq!(stores.cameras.detections(&filter).await.unwrap().len() as i64, n);
        for log_id in 1..=n {
            let bytes = stores.objects.get(&format!("frames/{log_id}.jpg")).await.unwrap();
            assert_eq!(bytes.as_deref(), Some(log_id.to_be_bytes().as_slice()), "frame {log_id}");
        }
    }
}
