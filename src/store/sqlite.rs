//! What the embedded databases have in common: how a file is opened and what its errors mean.
use super::StoreError;
use crate::model::Timestamp;
use sqlx::{
    ConnectOptions as _, Connection as _, Row, SqlitePool,
    migrate::{MigrateError, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous},
};
use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};
use uuid::Uuid;

/// One SQLite file, at the newest schema. Cloning shares it.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    pool: SqlitePool,
    path: PathBuf,
}

impl Database {
    /// Opens or creates the file and brings its schema up to date. Every commit is on disk when it returns (WAL with
    /// `synchronous = FULL`): a record leaves the journal only once its store has it for good.
    ///
    /// At most `connections` at a time; a file written by everybody at once is best served by a single one, which queues
    /// fairly, while several would poll each other's lock.
    pub(crate) async fn open(path: &Path, schema: &Migrator, connections: u32) -> Result<Self, StoreError> {
        // SQLite takes an empty file for a new database. A table of users that turned up empty would let anybody in.
        let existed = is_there(path)?;
        if existed && path.metadata().is_ok_and(|m| m.len() == 0) {
            return Err(StoreError::Damaged {
                place: path.display().to_string(),
                detail: "the file is empty".to_owned(),
            });
        }
        let opened = Self::open_unchecked(path, schema, connections).await;
        if opened.is_err() && !existed && path.metadata().is_ok_and(|m| m.len() == 0) {
            let _ = std::fs::remove_file(path); // ours, of a moment ago, with nothing in it
        }
        opened
    }

    async fn open_unchecked(path: &Path, schema: &Migrator, connections: u32) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5));
        // On a connection of its own: building an index may need more room than there is memory.
        let e = |e| store_error(path, &e);
        let first = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await.map_err(e)?;
        schema.run(&first).await.map_err(|error| match error {
            MigrateError::VersionMissing(version) => StoreError::Newer { place: path.display().to_string(), version },
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => e(error),
            error => StoreError::Damaged { place: path.display().to_string(), detail: error.to_string() },
        })?;
        first.close().await;
        // A statement that fires a trigger keeps what it changes until it is done, page by page: in memory that costs half the
        // time of a file, and 2 KB instead of 48 written for an entry of the log.
        let options = options.pragma("temp_store", "memory");
        let pool = SqlitePoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(Duration::from_secs(10))
            // A full disk makes SQLite roll back by itself; sqlx then takes the connection to be inside a transaction for
            // ever. The ping waits for the rollback that sqlx starts when a transaction is dropped.
            .after_release(|connection, _| {
                Box::pin(async move {
                    connection.ping().await?;
                    Ok(!connection.is_in_transaction())
                })
            })
            .connect_with(options)
            .await
            .map_err(e)?;
        Ok(Self { pool, path: path.to_owned() })
    }

    /// A connection that remembers nothing of the file; an absent one is not made.
    pub(crate) async fn fresh(&self) -> sqlx::Result<sqlx::SqliteConnection> {
        let patience = Duration::from_secs(2);
        SqliteConnectOptions::new().filename(&self.path).busy_timeout(patience).connect().await
    }

    pub(crate) fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// A transaction that holds the write lock from its start, so that what it reads is still true when it writes.
    pub(crate) async fn write(&self) -> Result<sqlx::SqliteTransaction<'static>, StoreError> {
        self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(|e| self.error(e))
    }

    /// What an error of this file means.
    #[expect(clippy::needless_pass_by_value, reason = "made for map_err")]
    pub(crate) fn error(&self, e: sqlx::Error) -> StoreError {
        store_error(&self.path, &e)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

fn store_error(path: &Path, e: &sqlx::Error) -> StoreError {
    let place = path.display().to_string();
    match e {
        sqlx::Error::Database(e) => {
            let detail = e.message().to_owned();
            // primary result codes, https://www.sqlite.org/rescode.html
            match e.code().and_then(|c| c.parse::<i32>().ok()).unwrap_or(0) & 0xff {
                11 | 26 => StoreError::Damaged { place, detail }, // CORRUPT, NOTADB
                13 => StoreError::Full { place },
                3 | 8 => StoreError::ReadOnly { place },  // PERM, READONLY
                18..=20 => StoreError::BadRecord(detail), // TOOBIG, CONSTRAINT, MISMATCH
                _ => StoreError::Unavailable { place, detail },
            }
        }
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
            StoreError::Damaged { place, detail: format!("a row cannot be read: {e}") }
        }
        sqlx::Error::Io(e) => io_error(path, e),
        _ => StoreError::Unavailable { place, detail: e.to_string() },
    }
}

/// What an I/O error on `path` means.
/// Whether there is such a file. An error is no answer: a disk that fails, or a server that is away, does not say that nothing is there.
///
/// # Errors
/// What the file system says.
pub(crate) fn is_there(path: &Path) -> Result<bool, StoreError> {
    path.try_exists().map_err(|e| io_error(path, &e))
}

pub(crate) fn io_error(path: &Path, e: &io::Error) -> StoreError {
    let place = path.display().to_string();
    match e.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full { place },
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly { place },
        _ => StoreError::Unavailable { place, detail: e.to_string() },
    }
}

/// The columns that are written as text: identities, instants and JSON.
pub(crate) trait TextColumns {
    /// An identity.
    fn uuid(&self, column: &str) -> sqlx::Result<Uuid>;
    /// An instant.
    fn instant(&self, column: &str) -> sqlx::Result<Timestamp>;
    /// An instant or NULL.
    fn instant_or_null(&self, column: &str) -> sqlx::Result<Option<Timestamp>>;
    /// A JSON value.
    fn json<T: serde::de::DeserializeOwned>(&self, column: &str) -> sqlx::Result<T>;
}

impl TextColumns for SqliteRow {
    fn uuid(&self, column: &str) -> sqlx::Result<Uuid> {
        self.try_get::<String, _>(column)?.parse().map_err(|e: uuid::Error| undecodable(column, e.into()))
    }

    fn instant(&self, column: &str) -> sqlx::Result<Timestamp> {
        self.instant_or_null(column)?.ok_or_else(|| undecodable(column, "no instant".into()))
    }

    fn instant_or_null(&self, column: &str) -> sqlx::Result<Option<Timestamp>> {
        self.try_get::<Option<String>, _>(column)?
            .map(|text| {
                Timestamp::parse(&text).ok_or_else(|| undecodable(column, format!("{text:?} is no instant").into()))
            })
            .transpose()
    }

    fn json<T: serde::de::DeserializeOwned>(&self, column: &str) -> sqlx::Result<T> {
        serde_json::from_str(&self.try_get::<String, _>(column)?).map_err(|e| undecodable(column, e.into()))
    }
}

fn undecodable(column: &str, source: Box<dyn std::error::Error + Send + Sync>) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_owned(), source }
}

/// JSON text of a value; values without a JSON form (a NaN where a number must be) are refused.
pub(crate) fn to_json(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|e| StoreError::BadRecord(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{ActionLog, CameraStore};

    #[test]
    fn io_errors_become_sentences() {
        let path = Path::new("/data/objects");
        assert!(io_error(path, &io::ErrorKind::StorageFull.into()).to_string().contains("full"));
        assert!(io_error(path, &io::ErrorKind::ReadOnlyFilesystem.into()).to_string().contains("read-only"));
    }

    #[tokio::test]
    async fn a_damaged_file_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let whole = dir.path().join("whole.db");
        let store = CameraStore::open(&whole).await.unwrap();
        store.close().await;
        let bytes = std::fs::read(&whole).unwrap();
        for (name, damaged) in [
            ("truncated", bytes[..bytes.len() / 2].to_vec()),
            ("empty", Vec::new()),
            ("other", b"this is a text file, not a database, whatever its name says".repeat(100)),
        ] {
            let path = dir.path().join(name);
            std::fs::write(&path, &damaged).unwrap();
            let error = CameraStore::open(&path).await.unwrap_err();
            assert!(matches!(error, StoreError::Damaged { .. }), "{name}: {error:?}");
            assert!(error.to_string().contains("backup"), "{error}");
            assert_eq!(std::fs::read(&path).unwrap(), damaged, "{name} was changed");
        }
    }

    #[tokio::test]
    async fn a_folder_in_place_of_the_file_is_a_clear_error() {
        let dir = tempfile::tempdir().unwrap();
        let error = ActionLog::open(dir.path()).await.unwrap_err();
        assert!(error.to_string().contains("cannot be used now"), "{error}");
    }
}
