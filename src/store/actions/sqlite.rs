//! The action log in an SQLite file.
use super::{LogCursor, LogFilter, LogIds, Order, Visit, no_number_left, object_id, taken};
use crate::{
    model::{Action, ActionRecord, Hash, KeptAction, Link, Outcome},
    store::{
        StoreError,
        sqlite::{Database, TextColumns as _, to_json},
    },
};
use futures_util::TryStreamExt as _;
use sqlx::{Connection as _, QueryBuilder, Row as _, Sqlite, SqliteConnection, migrate::Migrator, sqlite::SqliteRow};
use std::path::Path;
use uuid::Uuid;

static SCHEMA: Migrator = sqlx::migrate!("migrations/actions");

/// The embedded log. The file itself refuses to change or delete an entry.
#[derive(Clone, Debug)]
pub(super) struct EmbeddedLog {
    db: Database,
}

impl EmbeddedLog {
    pub(super) async fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { db: Database::open(path, &SCHEMA, 4).await? })
    }

    pub(super) async fn append(&self, record: &ActionRecord) -> Result<(), StoreError> {
        self.append_all(std::slice::from_ref(record)).await
    }

    /// A connection of its own reads the file anew: those of the pool may know its pages from before it broke.
    pub(super) async fn takes_entries(&self) -> Result<(), StoreError> {
        let asked = async {
            let mut fresh = self.db.fresh().await?;
            sqlx::query("BEGIN IMMEDIATE").execute(&mut fresh).await?;
            let newest = "SELECT log_id FROM action_logs ORDER BY log_id DESC LIMIT 1";
            let read = sqlx::query(newest).fetch_optional(&mut fresh).await.map(drop);
            let undone = sqlx::query("ROLLBACK").execute(&mut fresh).await.map(drop);
            fresh.close().await?;
            read.and(undone)
        };
        asked.await.map_err(|e| self.db.error(e))
    }

    pub(super) async fn append_all(&self, records: &[ActionRecord]) -> Result<(), StoreError> {
        let mut tx = self.db.write().await?;
        for record in records {
            self.append_one(&mut tx, record).await?;
        }
        tx.commit().await.map_err(|e| self.db.error(e))
    }

    async fn append_one(&self, tx: &mut SqliteConnection, record: &ActionRecord) -> Result<(), StoreError> {
        let e = |e| self.db.error(e);
        let (console, seq) = record.link.map(|l| (l.console.to_string(), l.seq)).unzip();
        let there = sqlx::query("SELECT * FROM action_logs WHERE log_id = ?1 OR (console = ?2 AND seq = ?3)")
            .bind(record.log_id)
            .bind(&console)
            .bind(seq)
            .try_map(|row| from_row(&row))
            .fetch_optional(&mut *tx)
            .await
            .map_err(e)?;
        match there {
            Some(there) if there == *record => return Ok(()),
            Some(_) => return Err(taken(record)),
            None => {}
        }
        let (outcome, why) = record.outcome.parts();
        sqlx::query(
            "INSERT INTO action_logs
             (_id, log_id, user_cc, user_name, action, log_accessed, timestamp, outcome, why, target, details,
              console, seq, prev, hash, camera, suspect)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
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
        .bind(console)
        .bind(seq)
        .bind(record.link.map(|l| l.prev.to_string()))
        .bind(record.link.map(|l| l.hash.to_string()))
        .bind(record.camera())
        .bind(record.suspect())
        .execute(tx)
        .await
        .map_err(e)?;
        Ok(())
    }

    pub(super) async fn read(
        &self,
        filter: &LogFilter,
        before: Option<&LogCursor>,
        limit: u32,
    ) -> Result<Vec<(KeptAction, LogCursor)>, StoreError> {
        // A cursor lies within the filter; beside it the filter's own end would keep SQLite from seeking to the cursor.
        let until = filter.until.filter(|_| before.is_none());
        let mut q = filtered(&LogFilter { until, ..filter.clone() });
        if let Some(LogCursor { at, log_id }) = before {
            q.push(" AND (timestamp, log_id) < (").push_bind(at).push(", ").push_bind(log_id).push(")");
        }
        q.push(" ORDER BY timestamp DESC, log_id DESC LIMIT ").push_bind(limit);
        let rows = q.build().fetch_all(self.db.pool()).await.map_err(|e| self.db.error(e))?;
        let cursor = |row: &SqliteRow| {
            Ok::<_, sqlx::Error>(LogCursor { at: row.try_get("timestamp")?, log_id: row.try_get("log_id")? })
        };
        rows.iter().map(|row| Ok((kept(row), cursor(row)?))).collect::<sqlx::Result<_>>().map_err(|e| self.db.error(e))
    }

    pub(super) async fn stream(&self, order: Order<'_>, visit: Visit<'_>) -> Result<(), StoreError> {
        let mut q = match order {
            Order::Time(filter) => {
                let mut q = filtered(filter);
                q.push(" ORDER BY timestamp, log_id");
                q
            }
            // NULL comes first
            Order::Chains => QueryBuilder::new("SELECT * FROM action_logs ORDER BY console, seq, log_id"),
        };
        let mut rows = q.build().fetch(self.db.pool());
        while let Some(row) = rows.try_next().await.map_err(|e| self.db.error(e))? {
            if visit(kept(&row)).is_break() {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn place(&self) -> String {
        self.db.path().display().to_string()
    }

    pub(super) async fn newest_id(&self) -> Result<Option<i64>, StoreError> {
        sqlx::query_scalar("SELECT MAX(log_id) FROM action_logs")
            .fetch_one(self.db.pool())
            .await
            .map_err(|e| self.db.error(e))
    }

    pub(super) async fn newest_place(&self, console: Uuid) -> Result<i64, StoreError> {
        let newest: Option<i64> = sqlx::query_scalar("SELECT MAX(seq) FROM action_logs WHERE console = ?1")
            .bind(console.to_string())
            .fetch_one(self.db.pool())
            .await
            .map_err(|e| self.db.error(e))?;
        Ok(newest.unwrap_or(0))
    }

    pub(super) async fn claim(&self, console: Uuid) -> Result<u16, StoreError> {
        let e = |e| self.db.error(e);
        let mut tx = self.db.write().await?;
        let console = console.to_string();
        let mine: Option<u16> = sqlx::query_scalar("SELECT number FROM consoles WHERE console = ?1")
            .bind(&console)
            .fetch_optional(&mut *tx)
            .await
            .map_err(e)?;
        if let Some(mine) = mine {
            return Ok(mine);
        }
        let next: u16 = sqlx::query_scalar("SELECT COALESCE(MAX(number) + 1, 0) FROM consoles")
            .fetch_one(&mut *tx)
            .await
            .map_err(e)?;
        if next > LogIds::MAX_CONSOLE {
            return Err(no_number_left());
        }
        sqlx::query("INSERT INTO consoles (number, console) VALUES (?1, ?2)")
            .bind(next)
            .bind(&console)
            .execute(&mut *tx)
            .await
            .map_err(e)?;
        tx.commit().await.map_err(e)?;
        Ok(next)
    }

    pub(super) async fn consoles(&self) -> Result<Vec<(u16, Uuid)>, StoreError> {
        sqlx::query("SELECT number, console FROM consoles ORDER BY number")
            .try_map(|row: SqliteRow| Ok((row.try_get("number")?, row.uuid("console")?)))
            .fetch_all(self.db.pool())
            .await
            .map_err(|e| self.db.error(e))
    }

    pub(super) async fn number(&self, console: Uuid, number: u16) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO consoles (number, console) VALUES (?1, ?2)")
            .bind(number)
            .bind(console.to_string())
            .execute(self.db.pool())
            .await
            .map(drop)
            .map_err(|e| self.db.error(e))
    }

    /// What somebody with the file and an SQL shell can do to one entry.
    #[cfg(test)]
    pub(super) async fn spoil(&self, log_id: i64, field: &str) {
        let value = match field {
            "_id" => "0123456789abcdef01234567",
            "details" => "no JSON",
            _ => "somebody else",
        };
        let drop = "DROP TRIGGER action_logs_never_change";
        sqlx::query(drop).execute(self.db.pool()).await.unwrap();
        let mut q = QueryBuilder::<Sqlite>::new("UPDATE action_logs SET ");
        q.push(field).push(" = ").push_bind(value).push(" WHERE log_id = ").push_bind(log_id);
        assert_eq!(q.build().execute(self.db.pool()).await.unwrap().rows_affected(), 1);
    }

    /// What somebody with the file and an SQL shell can do.
    #[cfg(test)]
    pub(super) async fn replace_everything(&self, entries: &[ActionRecord]) {
        for statement in ["DROP TRIGGER action_logs_never_shrink", "DELETE FROM action_logs"] {
            sqlx::query(statement).execute(self.db.pool()).await.unwrap();
        }
        for entry in entries {
            self.append(entry).await.unwrap();
        }
    }
}

fn filtered(filter: &LogFilter) -> QueryBuilder<Sqlite> {
    let mut q = QueryBuilder::new("SELECT * FROM action_logs WHERE TRUE");
    for (column, word) in filter.words() {
        q.push(" AND ").push(column).push(" = ").push_bind(word.to_owned());
    }
    for (bound, at) in [(" AND timestamp >= ", filter.from), (" AND timestamp < ", filter.until)] {
        if let Some(at) = at {
            q.push(bound).push_bind(at.to_string());
        }
    }
    q
}

/// The entry with what can be said of it where it cannot be read.
fn kept(row: &SqliteRow) -> KeptAction {
    let entry = from_row(row).map_err(|e| e.to_string());
    let misfiled = entry.as_ref().ok().filter(|e| e.link.is_some()).and_then(|e| misfiled(row, e));
    KeptAction {
        log_id: row.try_get("log_id").ok(),
        console: row.uuid("console").ok(),
        seq: row.try_get("seq").ok(),
        entry,
        misfiled,
    }
}

/// The column beside the entry that does not follow from it.
fn misfiled(row: &SqliteRow, entry: &ActionRecord) -> Option<String> {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let columns = [
        ("_id", Some(object_id(entry))),
        ("camera", owned(entry.camera())),
        ("suspect", owned(entry.suspect())),
        ("timestamp", Some(entry.timestamp.to_string())),
        ("details", to_json(&entry.details).ok()),
    ];
    let differs = |(column, due): &(&str, Option<String>)| {
        row.try_get::<Option<String>, _>(*column).ok().is_none_or(|there| there != *due)
    };
    columns.into_iter().find(differs).map(|(column, _)| column.to_owned())
}

fn from_row(row: &SqliteRow) -> sqlx::Result<ActionRecord> {
    let unreadable = |column: &str| sqlx::Error::ColumnDecode {
        index: column.to_owned(),
        source: "it is not what the column holds".into(),
    };
    let why = row.try_get::<Option<String>, _>("why")?.unwrap_or_default();
    let hash = |column: &str| Hash::parse(&row.try_get::<String, _>(column)?).ok_or_else(|| unreadable(column));
    let link = if row.try_get::<Option<String>, _>("console")?.is_some() {
        Some(Link { console: row.uuid("console")?, seq: row.try_get("seq")?, prev: hash("prev")?, hash: hash("hash")? })
    } else {
        None
    };
    Ok(ActionRecord {
        log_id: row.try_get("log_id")?,
        user_cc: row.try_get("user_cc")?,
        user_name: row.try_get("user_name")?,
        action: Action::parse(&row.try_get::<String, _>("action")?).ok_or_else(|| unreadable("action"))?,
        log_accessed: row.try_get("log_accessed")?,
        timestamp: row.instant("timestamp")?,
        // A word that Vigia never writes: the hash will not fit.
        outcome: Outcome::of_parts(row.try_get("outcome")?, why.clone()).unwrap_or(Outcome::Failed(why)),
        target: row.try_get("target")?,
        details: row.json("details")?,
        link,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    /// The pool may know every page of it from before.
    #[tokio::test]
    async fn a_file_that_broke_while_it_was_open_is_noticed_by_whoever_asks() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.sqlite");
        let log = EmbeddedLog::open(&path).await.unwrap();
        log.takes_entries().await.unwrap();
        log.takes_entries().await.unwrap(); // and leaves no lock behind
        std::fs::write(&path, b"this is no database any more, whatever its name says".repeat(1000)).unwrap();
        for more in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(path.with_extension(format!("sqlite{more}")));
        }
        assert!(matches!(log.takes_entries().await, Err(StoreError::Damaged { .. })));
    }

    #[tokio::test]
    async fn the_file_itself_refuses_to_change_an_entry() {
        let dir = tempfile::tempdir().unwrap();
        let log = EmbeddedLog::open(&dir.path().join("log.sqlite")).await.unwrap();
        let first = ActionRecord {
            log_id: 1,
            user_cc: "1".to_owned(),
            user_name: "Ana Sousa".to_owned(),
            action: Action::Login,
            log_accessed: None,
            timestamp: Timestamp(1_795_000_000_000_001),
            outcome: Outcome::Succeeded,
            target: None,
            details: serde_json::Value::Null,
            link: None,
        };
        log.append(&first).await.unwrap();
        for behind_our_back in [
            "UPDATE action_logs SET user_cc = 'somebody else'",
            "DELETE FROM action_logs",
            "INSERT OR REPLACE INTO action_logs (_id, log_id, user_cc, user_name, action, timestamp, outcome, details)
             SELECT _id, log_id, 'x', user_name, action, timestamp, outcome, details FROM action_logs",
            "INSERT OR IGNORE INTO action_logs (_id, log_id, user_cc, user_name, action, timestamp, outcome, details)
             SELECT '0123456789abcdef01234567', log_id, 'x', user_name, action, timestamp, outcome, details
             FROM action_logs",
        ] {
            let error = sqlx::query(behind_our_back).execute(log.db.pool()).await.unwrap_err().to_string();
            assert!(error.contains("append only"), "{behind_our_back}: {error}");
        }
        let there = log.read(&LogFilter::default(), None, 10).await.unwrap();
        assert_eq!(there.into_iter().map(|(kept, _)| kept.entry.unwrap()).collect::<Vec<_>>(), [first]);

        let (id, action, at): (String, String, String) =
            sqlx::query_as("SELECT _id, action, timestamp FROM action_logs").fetch_one(log.db.pool()).await.unwrap();
        assert!(id.len() == 24 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
        assert_eq!((action.as_str(), at.as_str()), ("LOGIN", Timestamp(1_795_000_000_000_001).to_string().as_str()));
    }
}
