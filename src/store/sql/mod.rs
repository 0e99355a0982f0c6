//! One SQL for two databases: the same statements on an SQLite file and on a PostgreSQL server.
//!
//! Statements number their values `$1`, `$2`, …, which both take. A [`Value`] becomes the type that its column has there:
//! a UUID, an instant, JSON, a point and a polygon in PostgreSQL, their text in SQLite, which has no such types.
pub(crate) mod copy;
mod postgres;

use super::{
    Address, StoreError,
    late::Late,
    sqlite::{self, TextColumns as _, to_json},
};
use crate::model::Timestamp;
use postgres::{Instant, Jsonb};
use sqlx::{
    AssertSqlSafe, ColumnIndex, Decode, PgExecutor, Postgres, Row as _, Sqlite, SqliteExecutor, Type,
    migrate::Migrator,
    postgres::{
        PgRow,
        types::{PgPoint, PgPolygon},
    },
    sqlite::SqliteRow,
};
use std::borrow::Cow;
use uuid::Uuid;

/// The versions of one store's schema, for each database.
pub(crate) struct Schema {
    pub(crate) sqlite: Migrator,
    pub(crate) postgres: Migrator,
}

/// One SQL database at the newest schema. Cloning shares it.
#[derive(Clone, Debug)]
pub(crate) struct SqlDatabase {
    backend: Late<Backend>,
    is_server: bool,
    is_elsewhere: bool,
}

#[derive(Debug)]
enum Backend {
    Sqlite(sqlite::Database),
    Postgres(postgres::Database),
}

impl Backend {
    async fn connect(address: &Address, schema: &Schema) -> Result<Self, StoreError> {
        match (address.scheme(), address.path()) {
            ("sqlite", Some(path)) => Ok(Self::Sqlite(sqlite::Database::open(path, &schema.sqlite, 4).await?)),
            ("postgres" | "postgresql", _) => {
                Ok(Self::Postgres(postgres::Database::connect(address, &schema.postgres).await?))
            }
            _ => Err(StoreError::unknown_backend(address)),
        }
    }
}

/// What the server at `address` is like, and what the account may do there, in words; changes nothing.
pub(crate) async fn examine(address: &Address) -> Result<String, StoreError> {
    match address.scheme() {
        "postgres" | "postgresql" => postgres::Database::examine(address).await,
        _ => Err(StoreError::unknown_backend(address)),
    }
}

impl SqlDatabase {
    /// Opens the database at `address` and brings its schema up to date: a file (`sqlite:`), made where missing, or a
    /// database of a server (`postgres:`), which must be there.
    pub(crate) async fn connect(address: &Address, schema: &Schema) -> Result<Self, StoreError> {
        let backend = Late::ready(Backend::connect(address, schema).await?);
        let is_server = address.path().is_none();
        Ok(Self { backend, is_server, is_elsewhere: is_server && postgres::is_elsewhere(address) })
    }

    /// Like [`connect`](Self::connect), but a server may come later.
    pub(crate) async fn connect_late(address: &Address, schema: &'static Schema) -> Result<Self, StoreError> {
        let connect = move |address: Address| async move { Backend::connect(&address, schema).await };
        let backend = Late::connect(address, connect).await?;
        let is_server = address.path().is_none();
        Ok(Self { backend, is_server, is_elsewhere: is_server && postgres::is_elsewhere(address) })
    }

    /// Whether the database is one of a server.
    pub(crate) fn is_server(&self) -> bool {
        self.is_server
    }

    /// Whether that server is on another machine.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.is_elsewhere
    }

    /// Why the server has not been reached yet; `None` once it has.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.backend.trouble()
    }

    /// Reaches the server, where that has not been done yet.
    pub(crate) async fn get(&self) -> Result<(), StoreError> {
        self.backend.get().await.map(drop)
    }

    /// Runs a statement; its rows are read by `read`.
    pub(crate) async fn fetch<T>(
        &self,
        statement: Statement,
        read: impl Fn(&Row) -> sqlx::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        match self.backend.get().await? {
            Backend::Sqlite(db) => {
                let rows = statement.on_sqlite(db.pool()).await.map_err(|e| db.error(e))?;
                read_all(&rows, read).map_err(|e| db.error(e))
            }
            Backend::Postgres(db) => read_all(&db.fetch(statement).await?, read).map_err(|e| db.error(&e)),
        }
    }

    /// Runs a statement whose rows do not matter.
    pub(crate) async fn execute(&self, statement: Statement) -> Result<(), StoreError> {
        self.fetch(statement, |_| Ok(())).await.map(drop)
    }

    /// A transaction that holds the only right to such transactions from its start, over all consoles, so that what it
    /// reads is still true when it writes. Dropped without [`commit`](Transaction::commit) it changes nothing.
    pub(crate) async fn write(&self) -> Result<Transaction<'_>, StoreError> {
        Ok(match self.backend.get().await? {
            Backend::Sqlite(db) => Transaction::Sqlite(db, db.write().await?),
            Backend::Postgres(db) => Transaction::Postgres(db, db.write().await?),
        })
    }

    /// How many other processes of Vigia have a connection to this database; none can be seen at a file.
    pub(crate) async fn others(&self) -> Result<i64, StoreError> {
        let Backend::Postgres(_) = self.backend.get().await? else { return Ok(0) };
        let others = sql("SELECT COUNT(DISTINCT application_name) AS n FROM pg_stat_activity
             WHERE datname = current_database() AND application_name LIKE 'vigia %'
             AND application_name <> current_setting('application_name')");
        Ok(self.fetch(others, |row| row.get("n")).await?.pop().unwrap_or(0))
    }

    #[cfg(test)]
    pub(crate) async fn close(&self) {
        let Ok(backend) = self.backend.get().await else { return };
        match backend {
            Backend::Sqlite(db) => db.pool().close().await,
            Backend::Postgres(db) => db.close().await,
        }
    }
}

/// See [`SqlDatabase::write`].
pub(crate) enum Transaction<'a> {
    Sqlite(&'a sqlite::Database, sqlx::SqliteTransaction<'static>),
    Postgres(&'a postgres::Database, sqlx::PgTransaction<'static>),
}

impl Transaction<'_> {
    /// Runs a statement; its rows are read by `read`.
    pub(crate) async fn fetch<T>(
        &mut self,
        statement: Statement,
        read: impl Fn(&Row) -> sqlx::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        match self {
            Self::Sqlite(db, tx) => {
                let rows = statement.on_sqlite(&mut **tx).await.map_err(|e| db.error(e))?;
                read_all(&rows, read).map_err(|e| db.error(e))
            }
            Self::Postgres(db, tx) => {
                let rows = db.in_time(statement.on_postgres(&mut **tx)).await?;
                read_all(&rows, read).map_err(|e| db.error(&e))
            }
        }
    }

    /// Runs a statement whose rows do not matter.
    pub(crate) async fn execute(&mut self, statement: Statement) -> Result<(), StoreError> {
        self.fetch(statement, |_| Ok(())).await.map(drop)
    }

    /// What was done is durable when this returns.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(db, tx) => tx.commit().await.map_err(|e| db.error(e)),
            Self::Postgres(db, tx) => db.in_time(tx.commit()).await,
        }
    }
}

fn read_all<T>(rows: &[Row], read: impl Fn(&Row) -> sqlx::Result<T>) -> sqlx::Result<Vec<T>> {
    rows.iter().map(read).collect()
}

/// SQL with its values.
pub(crate) struct Statement {
    sql: Cow<'static, str>,
    values: Vec<Value>,
}

/// A statement without its values yet.
pub(crate) fn sql(text: &'static str) -> Statement {
    Statement { sql: text.into(), values: Vec::new() }
}

impl Statement {
    /// The next value, `$1` first.
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Adds `text` and the number of a further value.
    pub(crate) fn and(mut self, text: &'static str, value: impl Into<Value>) -> Self {
        self = self.bind(value);
        let number = self.values.len();
        let sql = self.sql.to_mut();
        sql.push_str(text);
        sql.push('$');
        sql.push_str(&number.to_string());
        self
    }

    /// Adds `text`.
    pub(crate) fn text(mut self, text: &'static str) -> Self {
        self.sql.to_mut().push_str(text);
        self
    }

    async fn on_sqlite<'e>(self, on: impl SqliteExecutor<'e>) -> sqlx::Result<Vec<Row>> {
        let mut query = sqlx::query::<Sqlite>(AssertSqlSafe(self.sql));
        for value in self.values {
            query = match value {
                Value::Text(v) => query.bind(v),
                Value::Bool(v) => query.bind(v),
                Value::Int(v) => query.bind(v),
                Value::Real(v) => query.bind(v),
                Value::Uuid(v) => query.bind(v.map(Uuid::hyphenated)),
                Value::Instant(v) => query.bind(v.map(|t| t.to_string())),
                Value::Json(v) => query.bind(v),
                Value::Point(v) => query.bind(v.map(|point| text(&point)).transpose()?),
                Value::Polygon(v) => query.bind(text(&v)?),
                Value::Bytes(v) => query.bind(v),
            };
        }
        Ok(query.fetch_all(on).await?.into_iter().map(Row::Sqlite).collect())
    }

    async fn on_postgres<'e>(self, on: impl PgExecutor<'e>) -> sqlx::Result<Vec<Row>> {
        let mut query = sqlx::query::<Postgres>(AssertSqlSafe(self.sql));
        for value in self.values {
            query = match value {
                Value::Text(v) => query.bind(v),
                Value::Bool(v) => query.bind(v),
                Value::Int(v) => query.bind(v),
                Value::Real(v) => query.bind(v),
                Value::Uuid(v) => query.bind(v),
                Value::Instant(v) => query.bind(v.map(Instant)),
                Value::Json(v) => query.bind(Jsonb(v)),
                Value::Point(v) => query.bind(v.map(|(x, y)| PgPoint { x, y })),
                Value::Polygon(v) => {
                    let point = |[x, y]: [f32; 2]| PgPoint { x: x.into(), y: y.into() };
                    query.bind(PgPolygon { points: v.into_iter().map(point).collect() })
                }
                Value::Bytes(v) => query.bind(v),
            };
        }
        Ok(query.fetch_all(on).await?.into_iter().map(Row::Postgres).collect())
    }
}

/// A value of a statement.
pub(crate) enum Value {
    Text(Option<String>),
    Bool(bool),
    Int(Option<i64>),
    Real(Option<f64>),
    Uuid(Option<Uuid>),
    Instant(Option<Timestamp>),
    /// JSON text, see [`json`].
    Json(String),
    Point(Option<(f64, f64)>),
    Polygon(Vec<[f32; 2]>),
    Bytes(Option<Vec<u8>>),
}

fn text(value: &impl serde::Serialize) -> sqlx::Result<String> {
    serde_json::to_string(value).map_err(|e| sqlx::Error::Encode(e.into()))
}

/// A value as JSON; values without a JSON form are refused.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<Value, StoreError> {
    to_json(value).map(Value::Json)
}

/// Which variant a Rust type is.
macro_rules! values {
    ($($from:ty, $v:ident => $value:expr;)*) => {
        $(impl From<$from> for Value {
            fn from($v: $from) -> Self {
                $value
            }
        })*
    };
}

values! {
    String, v => Self::Text(Some(v));
    &String, v => Self::Text(Some(v.clone()));
    &str, v => Self::Text(Some(v.to_owned()));
    Option<&String>, v => Self::Text(v.cloned());
    bool, v => Self::Bool(v);
    i64, v => Self::Int(Some(v));
    u32, v => Self::Int(Some(v.into()));
    Option<i64>, v => Self::Int(v);
    f32, v => Self::Real(Some(v.into()));
    Option<f64>, v => Self::Real(v);
    Uuid, v => Self::Uuid(Some(v));
    Option<Uuid>, v => Self::Uuid(v);
    Timestamp, v => Self::Instant(Some(v));
    Option<Timestamp>, v => Self::Instant(v);
    Option<(f64, f64)>, v => Self::Point(v);
    &[[f32; 2]], v => Self::Polygon(v.to_vec());
    Vec<u8>, v => Self::Bytes(Some(v));
}

/// A row of either database.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// Text, bytes, a number or a truth value, or one of them or NULL.
    pub(crate) fn get<T>(&self, column: impl ColumnIndex<SqliteRow> + ColumnIndex<PgRow>) -> sqlx::Result<T>
    where
        T: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>,
    {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }

    pub(crate) fn uuid(&self, column: &str) -> sqlx::Result<Uuid> {
        match self {
            Self::Sqlite(row) => row.uuid(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }

    pub(crate) fn uuid_or_null(&self, column: &str) -> sqlx::Result<Option<Uuid>> {
        match self {
            Self::Sqlite(row) => row.try_get::<Option<&str>, _>(column)?.map(|_| row.uuid(column)).transpose(),
            Self::Postgres(row) => row.try_get(column),
        }
    }

    pub(crate) fn instant(&self, column: &str) -> sqlx::Result<Timestamp> {
        match self {
            Self::Sqlite(row) => row.instant(column),
            Self::Postgres(row) => row.try_get(column).map(|Instant(t)| t),
        }
    }

    pub(crate) fn instant_or_null(&self, column: &str) -> sqlx::Result<Option<Timestamp>> {
        match self {
            Self::Sqlite(row) => row.instant_or_null(column),
            Self::Postgres(row) => Ok(row.try_get::<Option<_>, _>(column)?.map(|Instant(t)| t)),
        }
    }

    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self, column: &str) -> sqlx::Result<T> {
        match self {
            Self::Sqlite(row) => row.json(column),
            Self::Postgres(row) => row.try_get(column).map(|sqlx::types::Json(v)| v),
        }
    }

    pub(crate) fn point_or_null(&self, column: &str) -> sqlx::Result<Option<(f64, f64)>> {
        match self {
            Self::Sqlite(row) => row.try_get::<Option<&str>, _>(column)?.map(|_| row.json(column)).transpose(),
            Self::Postgres(row) => Ok(row.try_get::<Option<PgPoint>, _>(column)?.map(|p| (p.x, p.y))),
        }
    }

    /// The corners.
    pub(crate) fn polygon(&self, column: &str) -> sqlx::Result<Vec<[f32; 2]>> {
        match self {
            Self::Sqlite(row) => row.json(column),
            Self::Postgres(row) => {
                let polygon: PgPolygon = row.try_get(column)?;
                #[expect(clippy::cast_possible_truncation, reason = "they were written as f32")]
                Ok(polygon.points.iter().map(|p| [p.x as f32, p.y as f32]).collect())
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{
        servers,
        store::{CameraStore, UserStore},
    };

    /// The address of a new, empty database.
    pub(crate) struct Fresh {
        pub(crate) address: Address,
        _folder: tempfile::TempDir,
    }

    impl Fresh {
        pub(crate) fn is_server(&self) -> bool {
            self.address.path().is_none()
        }
    }

    /// A new, empty database of every backend.
    pub(crate) fn backends() -> [Fresh; 2] {
        let folder = || tempfile::tempdir().unwrap();
        let file = folder();
        [
            Fresh { address: Address::sqlite(&file.path().join("new.sqlite")), _folder: file },
            Fresh { address: Address::parse(&servers::postgres().database()).unwrap(), _folder: folder() },
        ]
    }

    #[tokio::test]
    async fn a_newer_schema_and_a_database_of_another_store_are_refused() {
        let at_version_9999 = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
            VALUES (9999, 'from the future', TRUE, '', 0)";
        for fresh in backends() {
            let store = UserStore::connect(&fresh.address).await.unwrap();
            if fresh.is_server() {
                let error = CameraStore::connect(&fresh.address).await.unwrap_err();
                assert!(error.to_string().contains("a database of its own"), "{error}");
            }
            store.database().execute(sql(at_version_9999)).await.unwrap();
            store.database().close().await;
            let error = UserStore::connect(&fresh.address).await.unwrap_err();
            assert!(matches!(error, StoreError::Newer { version: 9999, .. }), "{error:?}");
            assert!(error.to_string().contains("newer version of Vigia"));
        }
    }

    #[tokio::test]
    async fn a_wrong_password_and_a_dead_server_are_told_apart_and_never_show_the_password() {
        let server = servers::Postgres::start();
        let good = server.database();
        let secret = good.split_once("://").unwrap().1.split_once('@').unwrap().0.split_once(':').unwrap().1.to_owned();
        let wrong = Address::parse(&good.replace(&secret, "not-the-password")).unwrap();
        let error = UserStore::connect(&wrong).await.unwrap_err();
        assert!(matches!(error, StoreError::Denied { .. }), "{error:?}");
        assert!(!error.to_string().contains("not-the-password"), "{error}");

        let store = UserStore::connect(&Address::parse(&good).unwrap()).await.unwrap();
        assert!(!store.any_user().await.unwrap());
        server.kill();
        let error = store.any_user().await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        assert!(!error.to_string().contains(&secret), "{error}");
        server.restart();
        assert!(!store.any_user().await.unwrap());
    }
}
