//! The action log: what operators did, append only.
use super::{
    Address, StoreError,
    sqlite::{Database, TextColumns as _, to_json},
};
use crate::model::{Action, ActionRecord, Clock, Outcome};
use serde::Deserialize as _;
use serde::de::{IntoDeserializer as _, value::Error as ValueError};
use sqlx::{Row as _, migrate::Migrator, sqlite::SqliteRow};
use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

static SCHEMA: Migrator = sqlx::migrate!("migrations/actions");

/// The embedded action log. Entries are added and read; the file itself refuses to change or delete one. Cloning shares it.
#[derive(Clone, Debug)]
pub struct ActionLog {
    db: Database,
}

impl ActionLog {
    /// Opens the store at `address`, creating it where missing.
    ///
    /// # Errors
    /// [`StoreError`]: not reachable, refused, damaged, newer, read-only, full.
    pub async fn connect(address: &Address) -> Result<Self, StoreError> {
        match address.path() {
            Some(path) => Self::open(path).await,
            None => Err(StoreError::unknown_backend(address)),
        }
    }

    /// Opens the log, creating it where missing.
    ///
    /// # Errors
    /// [`StoreError`]: damaged, newer, read-only, full.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Ok(Self { db: Database::open(path.as_ref(), &SCHEMA, 4).await? })
    }

    /// Adds an entry. An entry that is there already, word for word, is not added again.
    ///
    /// # Errors
    /// [`StoreError::BadRecord`] when its `log_id` belongs to an entry with other words, or when it names a log that was
    /// read without being [`Action::AccessLogs`]; otherwise the file's trouble.
    pub async fn append(&self, record: &ActionRecord) -> Result<(), StoreError> {
        let e = |e| self.db.error(e);
        let mut tx = self.db.write().await?;
        let there = sqlx::query("SELECT * FROM action_logs WHERE log_id = ?1")
            .bind(record.log_id)
            .try_map(|row| from_row(&row))
            .fetch_optional(&mut *tx)
            .await
            .map_err(e)?;
        match there {
            Some(there) if there == *record => return Ok(()),
            Some(_) => {
                let id = record.log_id;
                return Err(StoreError::BadRecord(format!("there is another entry with the number {id} in the log")));
            }
            None => {}
        }
        let (outcome, why) = match &record.outcome {
            Outcome::Succeeded => ("succeeded", None),
            Outcome::Refused(why) => ("refused", Some(why)),
            Outcome::Failed(why) => ("failed", Some(why)),
        };
        sqlx::query(
            "INSERT INTO action_logs
             (_id, log_id, user_cc, user_name, action, log_accessed, timestamp, outcome, why, target, details)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )
        .bind(object_id(record))
        .bind(record.log_id)
        .bind(&record.user_cc)
        .bind(&record.user_name)
        .bind(record.action.as_str())
        .bind(record.log_accessed)
        .bind(record.timestamp.to_string())
        .bind(outcome)
        .bind(why)
        .bind(&record.target)
        .bind(to_json(&record.details)?)
        .execute(&mut *tx)
        .await
        .map_err(e)?;
        tx.commit().await.map_err(e)
    }

    /// The newest entries, newest first, at most `limit`.
    ///
    /// # Errors
    /// The file's trouble.
    pub async fn latest(&self, limit: u32) -> Result<Vec<ActionRecord>, StoreError> {
        sqlx::query("SELECT * FROM action_logs ORDER BY log_id DESC LIMIT ?1")
            .bind(limit)
            .try_map(|row| from_row(&row))
            .fetch_all(self.db.pool())
            .await
            .map_err(|e| self.db.error(e))
    }

    /// `log_id` of the newest entry; `None` while the log is empty.
    ///
    /// # Errors
    /// The file's trouble.
    pub async fn newest_id(&self) -> Result<Option<i64>, StoreError> {
        sqlx::query_scalar("SELECT MAX(log_id) FROM action_logs")
            .fetch_one(self.db.pool())
            .await
            .map_err(|e| self.db.error(e))
    }
}

fn from_row(row: &SqliteRow) -> sqlx::Result<ActionRecord> {
    let action: String = row.try_get("action")?;
    let action = Action::deserialize(action.as_str().into_deserializer())
        .map_err(|e: ValueError| sqlx::Error::ColumnDecode { index: "action".to_owned(), source: e.into() })?;
    let why = row.try_get::<Option<String>, _>("why")?.unwrap_or_default();
    Ok(ActionRecord {
        log_id: row.try_get("log_id")?,
        user_cc: row.try_get("user_cc")?,
        user_name: row.try_get("user_name")?,
        action,
        log_accessed: row.try_get("log_accessed")?,
        timestamp: row.instant("timestamp")?,
        outcome: match row.try_get::<String, _>("outcome")?.as_str() {
            "succeeded" => Outcome::Succeeded,
            "refused" => Outcome::Refused(why),
            _ => Outcome::Failed(why),
        },
        target: row.try_get("target")?,
        details: row.json("details")?,
    })
}

/// `_id`: like every MongoDB ObjectId four bytes of seconds and eight that make it unique, here `log_id`. The same entry
/// has the same `_id` wherever and however often it is delivered.
fn object_id(record: &ActionRecord) -> String {
    let seconds = (record.timestamp.0.div_euclid(1_000_000) & 0xffff_ffff).unsigned_abs();
    format!("{seconds:08x}{:016x}", record.log_id.cast_unsigned())
}

/// Milliseconds of 2025-01-01T00:00:00Z: 41 bits of milliseconds last from then until 2094.
const EPOCH_MS: i64 = 1_735_689_600_000;
/// A clock beyond this (2093) is wrong; a milliard milliseconds are left above it to count on.
const LATEST_MS: i64 = (1 << 41) - (1 << 30);
const COUNTER_BITS: u32 = 12;
const CONSOLE_BITS: u32 = 10;

/// Makes `log_id`s: unique over all consoles and increasing on each, also when the clock goes back.
///
/// From the top: 41 bits of milliseconds, 10 of the console, 12 of a counter within the millisecond; when that is used
/// up, the next millisecond is begun early.
pub struct LogIds {
    console: i64,
    clock: Arc<dyn Clock>,
    last: Mutex<(i64, i64)>,
}

impl LogIds {
    /// The largest number a console can have.
    pub const MAX_CONSOLE: u16 = (1 << CONSOLE_BITS) - 1;

    /// The numbers of one console, all above `newest`: the newest number this console gave before (see
    /// [`ActionLog::newest_id`] and the journal). No two running consoles of a site may have the same number; one above
    /// [`MAX_CONSOLE`](Self::MAX_CONSOLE) counts modulo that + 1.
    pub fn new(console: u16, clock: Arc<dyn Clock>, newest: Option<i64>) -> Self {
        let last_ms = newest.map_or(-1, |id| id >> (COUNTER_BITS + CONSOLE_BITS));
        let full = (1 << COUNTER_BITS) - 1;
        Self { console: i64::from(console & Self::MAX_CONSOLE), clock, last: Mutex::new((last_ms, full)) }
    }

    /// The next number.
    pub fn next_id(&self) -> i64 {
        let now = (self.clock.now().0.div_euclid(1000) - EPOCH_MS).clamp(0, LATEST_MS);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (ms, counter) = *last;
        *last = if now > ms {
            (now, 0)
        } else if counter + 1 < 1 << COUNTER_BITS {
            (ms, counter + 1)
        } else {
            (ms + 1, 0)
        };
        (last.0 << (COUNTER_BITS + CONSOLE_BITS)) | (self.console << COUNTER_BITS) | last.1
    }
}

impl std::fmt::Debug for LogIds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LogIds(console {})", self.console)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ManualClock, Timestamp};
    use proptest::prelude::*;
    use serde_json::json;
    use std::collections::HashSet;

    fn entry(log_id: i64, action: Action, outcome: Outcome) -> ActionRecord {
        ActionRecord {
            log_id,
            user_cc: "12345678".to_owned(),
            user_name: "Ana Sousa".to_owned(),
            action,
            log_accessed: (action == Action::AccessLogs).then_some(log_id - 1),
            timestamp: Timestamp(1_795_000_000_000_001 + log_id),
            outcome,
            target: Some("camera 3".to_owned()),
            details: json!({"camera": 3, "words": "à\n\"quoted\""}),
        }
    }

    #[tokio::test]
    async fn entries_read_back_as_they_were_written_newest_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.sqlite");
        let log = ActionLog::open(&path).await.unwrap();
        assert_eq!(log.newest_id().await.unwrap(), None);
        let entries = [
            entry(1, Action::Login, Outcome::Refused("wrong password".to_owned())),
            entry(2, Action::Login, Outcome::Succeeded),
            entry(3, Action::SelectSuspect, Outcome::Failed("the disk is full".to_owned())),
            entry(4, Action::AccessLogs, Outcome::Succeeded),
        ];
        for e in &entries {
            log.append(e).await.unwrap();
            log.append(e).await.unwrap(); // delivered twice, written once
        }
        let reopened = ActionLog::open(&path).await.unwrap();
        let read = reopened.latest(3).await.unwrap();
        assert_eq!(read, entries[1..].iter().rev().cloned().collect::<Vec<_>>());
        assert_eq!(reopened.newest_id().await.unwrap(), Some(4));
        assert_eq!(read[0].log_accessed, Some(3));

        let (id, action, at): (String, String, String) =
            sqlx::query_as("SELECT _id, action, timestamp FROM action_logs WHERE log_id = 4")
                .fetch_one(log.db.pool())
                .await
                .unwrap();
        assert!(id.len() == 24 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
        assert_eq!(action, "ACCESS_LOGS");
        assert_eq!(at, entries[3].timestamp.to_string());
    }

    #[tokio::test]
    async fn an_entry_cannot_be_forged_under_a_number_that_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let log = ActionLog::open(dir.path().join("log.sqlite")).await.unwrap();
        let first = entry(7, Action::Login, Outcome::Refused("wrong password".to_owned()));
        log.append(&first).await.unwrap();
        let forged = ActionRecord { outcome: Outcome::Succeeded, ..first.clone() };
        assert!(log.append(&forged).await.unwrap_err().is_bad_record());
        assert_eq!(log.latest(10).await.unwrap(), [first]);
        let odd = ActionRecord { log_accessed: Some(1), ..entry(8, Action::Logout, Outcome::Succeeded) };
        assert!(log.append(&odd).await.unwrap_err().is_bad_record());
    }

    #[tokio::test]
    async fn the_file_itself_refuses_to_change_an_entry() {
        let dir = tempfile::tempdir().unwrap();
        let log = ActionLog::open(dir.path().join("log.sqlite")).await.unwrap();
        let first = entry(1, Action::Login, Outcome::Succeeded);
        log.append(&first).await.unwrap();
        for behind_our_back in [
            "UPDATE action_logs SET user_cc = 'somebody else'",
            "DELETE FROM action_logs",
            "INSERT OR REPLACE INTO action_logs SELECT _id, log_id, 'x', user_name, action, log_accessed, timestamp,
             outcome, why, target, details FROM action_logs",
            "INSERT OR IGNORE INTO action_logs SELECT '0123456789abcdef01234567', log_id, 'x', user_name, action,
             log_accessed, timestamp, outcome, why, target, details FROM action_logs",
        ] {
            let error = sqlx::query(behind_our_back).execute(log.db.pool()).await.unwrap_err().to_string();
            assert!(error.contains("append only"), "{behind_our_back}: {error}");
        }
        assert_eq!(log.latest(10).await.unwrap(), [first]);
    }

    struct JumpingClock(Mutex<Vec<i64>>);
    impl Clock for JumpingClock {
        fn now(&self) -> Timestamp {
            Timestamp(self.0.lock().unwrap().pop().unwrap_or_default())
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn numbers_increase_whatever_the_clock_does(
            times in prop::collection::vec(-1_000_000_000i64..9_000_000_000_000_000, 1..200),
            newest in prop::option::of(0..i64::MAX / 2),
            console in 0..=LogIds::MAX_CONSOLE,
        ) {
            let n = times.len();
            let ids = LogIds::new(console, Arc::new(JumpingClock(Mutex::new(times))), newest);
            let mut before = newest.unwrap_or(-1);
            for _ in 0..n {
                let id = ids.next_id();
                prop_assert!(id > before);
                prop_assert_eq!((id >> COUNTER_BITS) & i64::from(LogIds::MAX_CONSOLE), i64::from(console));
                before = id;
            }
        }
    }

    #[test]
    fn consoles_never_give_the_same_number_and_threads_neither() {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp(1_795_000_000_000_000)));
        let consoles = [LogIds::new(1, clock.clone(), None), LogIds::new(2, clock, None)];
        let mut seen = HashSet::new();
        std::thread::scope(|s| {
            let threads: Vec<_> = (0..4)
                .map(|i| {
                    let ids = &consoles[i % 2];
                    s.spawn(move || (0..5000).map(|_| ids.next_id()).collect::<Vec<_>>())
                })
                .collect();
            for t in threads {
                for id in t.join().unwrap() {
                    assert!(id > 0 && seen.insert(id), "{id} twice");
                }
            }
        });
        assert_eq!(seen.len(), 20_000); // more than the 4096 of a standing millisecond
    }
}
