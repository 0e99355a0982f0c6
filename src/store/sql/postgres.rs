//! PostgreSQL: how a server is reached, what its errors mean, and the types that the driver lacks.
use super::{Address, Row, Statement, StoreError};
use crate::{
    model::{Clock as _, SystemClock, Timestamp},
    store::{certificate_time, examine::encryption},
};
use sqlx::{
    Decode, Encode, PgPool, PgTransaction, Postgres, Type,
    encode::IsNull,
    error::BoxDynError,
    migrate::{MigrateError, Migrator},
    postgres::{PgArgumentBuffer, PgConnectOptions, PgPoolOptions, PgSslMode, PgTypeInfo, PgValueRef, types::Oid},
};
use std::{str::FromStr as _, sync::Arc, time::Duration};

/// A server that takes longer counts as one that does not answer: the journal keeps what is recorded meanwhile.
const PATIENCE: Duration = Duration::from_secs(5);
/// A console asks a few things at once; a server has some hundred connections for all consoles.
const CONNECTIONS: u32 = 6;
/// What transactions that write lock, after their own fashion of a table's lock: any number, the same for all consoles.
const WRITERS: i64 = 0x0056_4947_4941; // "VIGIA"

/// Whether the server is on this machine.
fn is_here(options: &PgConnectOptions) -> bool {
    options.get_socket().is_some() || ["localhost", "127.0.0.1", "::1", "[::1]"].contains(&options.get_host())
}

/// Whether the server at this address is on another machine, with a clock of its own.
pub(super) fn is_elsewhere(address: &Address) -> bool {
    PgConnectOptions::from_str(address.secret()).is_ok_and(|options| !is_here(&options))
}

/// One database of a server. Cloning shares its connections, which are made anew when the server comes back.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    pool: PgPool,
    place: Arc<str>,
}

impl Database {
    /// Servers elsewhere must prove who they are (`verify-full`) unless the address names another `sslmode`.
    async fn reach(address: &Address) -> Result<Self, StoreError> {
        let place: Arc<str> = address.to_string().into();
        // The processes of several consoles can be told apart by whoever looks at the server.
        let name = format!("vigia {}", std::process::id());
        let mut options =
            PgConnectOptions::from_str(address.secret()).map_err(|e| meaning(&place, &e))?.application_name(&name);
        if !is_here(&options) && !["sslmode=", "ssl-mode="].iter().any(|named| address.secret().contains(named)) {
            options = options.ssl_mode(PgSslMode::VerifyFull);
        }
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(PATIENCE)
            .connect_with(options)
            .await
            .map_err(|e| meaning(&place, &e))?;
        Ok(Self { pool, place })
    }

    /// See [`super::examine`].
    pub(super) async fn examine(address: &Address) -> Result<String, StoreError> {
        let db = Self::reach(address).await?;
        let asked = sqlx::query_as::<_, (String, String, bool, bool, i64, i64)>(
            "SELECT current_setting('server_version'), current_user::TEXT,
             COALESCE((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), FALSE),
             COALESCE(has_schema_privilege(current_schema(), 'CREATE'), FALSE),
             COUNT(*),
             COUNT(*) FILTER (WHERE NOT (has_table_privilege(tables.oid, 'SELECT')
                 AND has_table_privilege(tables.oid, 'INSERT') AND has_table_privilege(tables.oid, 'UPDATE')
                 AND has_table_privilege(tables.oid, 'DELETE')))
             FROM pg_class AS tables JOIN pg_namespace AS schemas ON schemas.oid = tables.relnamespace
             WHERE schemas.nspname = current_schema() AND tables.relkind = 'r'",
        );
        let (version, account, encrypted, may_create, tables, closed) = db.in_time(asked.fetch_one(&db.pool)).await?;
        let denied = |detail: String| Err(StoreError::Denied { place: db.place.to_string(), detail });
        if tables == 0 && !may_create {
            return denied(format!("{account} may not create the tables that are not there yet"));
        }
        if closed > 0 {
            return denied(format!("{account} may not read and write {closed} of the {tables} tables"));
        }
        let rights = match (tables, may_create) {
            (0, _) => "may create its tables",
            (_, true) => "may read, write and bring the tables up to date",
            (_, false) => "may read and write; a newer Vigia may need an account that can change tables",
        };
        let encryption = encryption(address, encrypted);
        Ok(format!("PostgreSQL {version}, {encryption}; {account} {rights}"))
    }

    /// Connects and brings the schema up to date, one console after the other.
    pub(super) async fn connect(address: &Address, schema: &Migrator) -> Result<Self, StoreError> {
        let db = Self::reach(address).await?;
        schema.run(&db.pool).await.map_err(|e| match e {
            MigrateError::VersionMissing(version) => StoreError::Newer { place: db.place.to_string(), version },
            MigrateError::VersionMismatch(_) => StoreError::Misconfigured {
                place: db.place.to_string(),
                detail: "it holds something else already: every store needs a database of its own".to_owned(),
            },
            MigrateError::Execute(e) | MigrateError::ExecuteMigration(e, _) => db.error(&e),
            e => StoreError::Damaged { place: db.place.to_string(), detail: e.to_string() },
        })?;
        Ok(db)
    }

    pub(super) async fn fetch(&self, statement: Statement) -> Result<Vec<Row>, StoreError> {
        let mut connection = self.pool.acquire().await.map_err(|e| self.error(&e))?;
        match tokio::time::timeout(PATIENCE, statement.on_postgres(&mut *connection)).await {
            Ok(rows) => rows.map_err(|e| self.error(&e)),
            Err(_) => {
                drop(connection.detach()); // nobody waits for the answer any more
                Err(self.error(&sqlx::Error::PoolTimedOut))
            }
        }
    }

    /// See [`SqlDatabase::write`](super::SqlDatabase::write); the lock ends with the transaction.
    pub(super) async fn write(&self) -> Result<PgTransaction<'static>, StoreError> {
        self.in_time(async {
            let mut tx = self.pool.begin().await?;
            sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(WRITERS).execute(&mut *tx).await?;
            Ok(tx)
        })
        .await
    }

    /// Waits for an answer, but not for ever.
    pub(super) async fn in_time<T>(&self, answer: impl Future<Output = sqlx::Result<T>>) -> Result<T, StoreError> {
        let answer = tokio::time::timeout(PATIENCE, answer).await;
        answer.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map_err(|e| self.error(&e))
    }

    /// What an error of this server means.
    pub(super) fn error(&self, e: &sqlx::Error) -> StoreError {
        meaning(&self.place, e)
    }

    #[cfg(test)]
    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

fn meaning(place: &str, e: &sqlx::Error) -> StoreError {
    let place = place.to_owned();
    match e {
        sqlx::Error::Database(e) => {
            let detail = e.message().to_owned();
            let code = e.code().unwrap_or_default();
            // https://www.postgresql.org/docs/current/errcodes-appendix.html
            match code.as_ref() {
                "42501" => StoreError::Denied { place, detail }, // insufficient_privilege
                "3D000" => StoreError::Misconfigured { place, detail }, // invalid_catalog_name
                "53100" => StoreError::Full { place },           // disk_full
                "25006" => StoreError::ReadOnly { place },       // read_only_sql_transaction
                "XX001" | "XX002" => StoreError::Damaged { place, detail }, // data_corrupted, index_corrupted
                _ => match code.get(..2) {
                    Some("28") => StoreError::Denied { place, detail }, // invalid authorization
                    Some("22" | "23") => StoreError::BadRecord(detail), // data exception, constraint violation
                    _ => StoreError::Unavailable { place, detail },
                },
            }
        }
        sqlx::Error::Encode(e) => StoreError::BadRecord(e.to_string()),
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) => {
            StoreError::Damaged { place, detail: format!("a row cannot be read: {e}") }
        }
        sqlx::Error::Tls(e) if let Some(detail) = certificate_time(&e.to_string(), SystemClock.now()) => {
            StoreError::Unavailable { place, detail }
        }
        sqlx::Error::Configuration(e) | sqlx::Error::Tls(e) => {
            StoreError::Misconfigured { place, detail: e.to_string() }
        }
        sqlx::Error::PoolTimedOut => {
            StoreError::Unavailable { place, detail: format!("no answer within {} s", PATIENCE.as_secs()) }
        }
        e => StoreError::Unavailable { place, detail: e.to_string() },
    }
}

/// A `TIMESTAMPTZ`: microseconds since 2000 in UTC.
pub(super) struct Instant(pub(super) Timestamp);

/// 2000-01-01T00:00:00Z, in microseconds since 1970.
const EPOCH: i64 = 946_684_800_000_000;

impl Type<Postgres> for Instant {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(1184)) // pg_type.dat
    }
}

impl Encode<'_, Postgres> for Instant {
    fn encode_by_ref(&self, buf: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let since = self.0.0.checked_sub(EPOCH).ok_or("an instant before any calendar")?;
        <i64 as Encode<Postgres>>::encode(since, buf)
    }
}

impl Decode<'_, Postgres> for Instant {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        let since = <i64 as Decode<Postgres>>::decode(value)?;
        Ok(Self(Timestamp(since.checked_add(EPOCH).ok_or("an instant after any calendar")?)))
    }
}

/// A `JSONB` from its text.
pub(super) struct Jsonb(pub(super) String);

impl Type<Postgres> for Jsonb {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(3802)) // pg_type.dat
    }
}

impl Encode<'_, Postgres> for Jsonb {
    fn encode_by_ref(&self, buf: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buf.push(1); // the version of the format, which goes before the text
        buf.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }
}
