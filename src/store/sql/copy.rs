//! All rows of one database into another one, whatever the two engines are. Tables, columns, keys and types are asked of the
//! databases themselves, so that a new table needs no word here.
//!
//! A row travels as what SQLite stores: integers, numbers, text and bytes. PostgreSQL turns its own types into these and back.
use super::{Backend, Row, SqlDatabase, Statement, Value, sql};
use crate::{model::Timestamp, store::StoreError};
use sqlx::{Row as _, TypeInfo as _, ValueRef as _};
use std::collections::{BTreeMap, BTreeSet};

/// Rows that are read, looked for and written at once.
const PAGE: usize = 500;
/// Columns that each database fills itself, by its own clock.
const OWN: [&str; 1] = ["stored_at"];
/// Tables that triggers fill out of others, and what is of consoles that run.
const DERIVED: [&str; 4] = ["detections_a_minute", "detections_a_stretch", "duties", "promised_video"];

/// What a column holds, where one of the databases has types. A file of SQLite has none: then its values are taken as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Any,
    Text,
    Uuid,
    Instant,
    Json,
    Bool,
    Int,
    Real,
    Bytes,
    Point,
    Polygon,
}

impl Kind {
    /// `typname` of pg_type.dat; `None` for a type that no column has had so far.
    fn of_postgres(name: &str) -> Option<Self> {
        Some(match name {
            "text" | "varchar" => Self::Text,
            "uuid" => Self::Uuid,
            "timestamptz" => Self::Instant,
            "jsonb" => Self::Json,
            "bool" => Self::Bool,
            "int2" | "int4" | "int8" => Self::Int,
            "float4" | "float8" => Self::Real,
            "bytea" => Self::Bytes,
            "point" => Self::Point,
            "polygon" => Self::Polygon,
            _ => return None,
        })
    }

    /// PostgreSQL's expression for the column as SQLite stores it.
    fn read(self, column: &str) -> String {
        match self {
            Self::Any | Self::Text | Self::Bytes => column.to_owned(),
            Self::Uuid | Self::Json => format!("{column}::TEXT"),
            Self::Instant => format!(r#"to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"#),
            Self::Bool => format!("{column}::INT::BIGINT"),
            Self::Int => format!("{column}::BIGINT"),
            Self::Real => format!("{column}::DOUBLE PRECISION"),
            Self::Point => format!("'[' || {column}[0] || ',' || {column}[1] || ']'"),
            Self::Polygon => format!("translate({column}::TEXT, '()', '[]')"),
        }
    }

    /// PostgreSQL's expression for a value that SQLite has stored.
    fn write(self, number: usize) -> String {
        match self {
            Self::Any | Self::Text | Self::Bytes | Self::Int | Self::Real => format!("${number}"),
            Self::Uuid => format!("${number}::UUID"),
            Self::Instant => format!("${number}::TIMESTAMPTZ"),
            Self::Json => format!("${number}::JSONB"),
            Self::Bool => format!("(${number} <> 0)"),
            Self::Point => format!("translate(${number}, '[]', '()')::POINT"),
            Self::Polygon => format!("translate(${number}, '[]', '()')::POLYGON"),
        }
    }
}

/// A value as SQLite stores it.
#[derive(Clone, Debug, PartialEq)]
enum Cell {
    Null,
    Int(i64),
    Real(f64),
    Text(String),
    Bytes(Vec<u8>),
}

impl Cell {
    fn value(&self, kind: Kind) -> Value {
        match (self, kind) {
            (Self::Null, Kind::Int | Kind::Bool) => Value::Int(None),
            (Self::Null, Kind::Real) => Value::Real(None),
            (Self::Null, Kind::Bytes) => Value::Bytes(None),
            (Self::Null, _) => Value::Text(None),
            #[expect(clippy::cast_precision_loss, reason = "it stands in a column of such numbers")]
            (Self::Int(v), Kind::Real) => Value::Real(Some(*v as f64)),
            (Self::Int(v), _) => Value::Int(Some(*v)),
            (Self::Real(v), _) => Value::Real(Some(*v)),
            (Self::Text(v), _) => Value::Text(Some(v.clone())),
            (Self::Bytes(v), _) => Value::Bytes(Some(v.clone())),
        }
    }

    /// Whether both say the same: JSON may be spaced and ordered otherwise, corners are numbers of single precision.
    fn is(&self, other: &Self, kind: Kind) -> bool {
        let texts = if let (Self::Text(a), Self::Text(b)) = (self, other) { Some((a, b)) } else { None };
        match (kind, texts) {
            _ if self == other => true,
            (Kind::Json, Some((a, b))) => {
                let parsed = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
                parsed(a).zip(parsed(b)).is_some_and(|(a, b)| same_json(&a, &b))
            }
            (Kind::Polygon, Some((a, b))) => {
                let parsed = |text: &str| serde_json::from_str::<Vec<[f32; 2]>>(text).ok();
                parsed(a).is_some_and(|a| Some(a) == parsed(b))
            }
            (Kind::Point, Some((a, b))) => {
                let parsed = |text: &str| serde_json::from_str::<[f64; 2]>(text).ok();
                parsed(a).is_some_and(|a| Some(a) == parsed(b))
            }
            (Kind::Instant, Some((a, b))) => Timestamp::parse(a).is_some_and(|a| Some(a) == Timestamp::parse(b)),
            (Kind::Real, None) => matches!((self.number(), other.number()), (Some(a), Some(b)) if a == b),
            _ => false,
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "it stands in a column of such numbers")]
            Self::Int(v) => Some(*v as f64),
            Self::Real(v) => Some(*v),
            _ => None,
        }
    }
}

/// PostgreSQL keeps numbers in JSON by their value: `1e16` comes back as `10000000000000000`.
fn same_json(a: &serde_json::Value, b: &serde_json::Value) -> bool {
    use serde_json::Value::{Array, Number, Object};
    match (a, b) {
        (Number(a), Number(b)) => a == b || a.as_f64().is_some_and(|a| Some(a) == b.as_f64()),
        (Array(a), Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_json(a, b)),
        (Object(a), Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same_json(a, b)))
        }
        _ => a == b,
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Column {
    name: String,
    kind: Kind,
}

/// A table that two databases have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    /// Its name.
    pub(crate) name: String,
    columns: Vec<Column>,
    /// Which columns are the primary key, in its order.
    key: Vec<usize>,
}

/// How the rows of one database are found in another one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Compared {
    /// Rows that were looked for.
    pub(crate) rows: u64,
    /// Rows that are not there.
    pub(crate) missing: u64,
    /// Rows that are there with other values.
    pub(crate) different: u64,
}

/// A column as a database describes it: table, name, type where there are types, and its place in the primary key (0: none).
type Described = (String, String, Option<String>, i64);

impl SqlDatabase {
    async fn columns(&self) -> Result<Vec<Described>, StoreError> {
        let read = |row: &Row| Ok((row.get("tab")?, row.get("col")?, row.get("type")?, row.get("place")?));
        let described = match self.backend.get().await? {
            Backend::Sqlite(_) => sql("SELECT m.name AS tab, c.name AS col, NULL AS type, c.pk AS place
                 FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c
                 WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND m.name <> '_sqlx_migrations'
                 ORDER BY m.name, c.name"),
            Backend::Postgres(_) => {
                sql("SELECT c.relname::TEXT AS tab, a.attname::TEXT AS col, t.typname::TEXT AS type,
                 COALESCE((SELECT k.place FROM unnest(i.indkey::INT2[]) WITH ORDINALITY AS k (attnum, place)
                     WHERE k.attnum = a.attnum), 0) AS place
                 FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                 JOIN pg_type AS t ON t.oid = a.atttypid
                 LEFT JOIN pg_index AS i ON i.indrelid = c.oid AND i.indisprimary
                 WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::REGNAMESPACE
                 AND c.relname <> '_sqlx_migrations' ORDER BY c.relname, a.attname")
            }
        };
        self.fetch(described, read).await
    }

    /// Which table's rows name which other table's.
    async fn references(&self) -> Result<Vec<(String, String)>, StoreError> {
        let references = match self.backend.get().await? {
            Backend::Sqlite(_) => sql(r#"SELECT DISTINCT m.name AS tab, f."table" AS other
                 FROM sqlite_master AS m JOIN pragma_foreign_key_list(m.name) AS f WHERE m.type = 'table'"#),
            Backend::Postgres(_) => {
                sql("SELECT DISTINCT c.relname::TEXT AS tab, o.relname::TEXT AS other FROM pg_constraint AS f
                 JOIN pg_class AS c ON c.oid = f.conrelid JOIN pg_class AS o ON o.oid = f.confrelid
                 WHERE f.contype = 'f' AND c.relnamespace = current_schema()::REGNAMESPACE")
            }
        };
        self.fetch(references, |row| Ok((row.get("tab")?, row.get("other")?))).await
    }

    /// The tables that this database and another one of the same store hold, but for those that are derived; each behind those
    /// that its rows name.
    ///
    /// # Errors
    /// [`StoreError::Misconfigured`] where the two are not of the same store and version, or a column has a type that is not
    /// known here; otherwise a database's trouble.
    pub(crate) async fn tables_shared_with(&self, other: &Self) -> Result<Vec<Table>, StoreError> {
        let wrong = |detail: String| StoreError::Misconfigured { place: "one of the databases".to_owned(), detail };
        let kept = |all: Vec<Described>| all.into_iter().filter(|(_, column, ..)| !OWN.contains(&column.as_str()));
        let here: Vec<Described> = kept(self.columns().await?).collect();
        let there: Vec<Described> = kept(other.columns().await?).collect();
        let named = |all: &[Described]| -> BTreeSet<(String, String)> {
            all.iter().map(|(table, column, ..)| (table.clone(), column.clone())).collect()
        };
        if let Some((table, column)) = named(&here).symmetric_difference(&named(&there)).next() {
            return Err(wrong(format!("only one of them has the column {column} of the table {table}")));
        }
        let mut tables: Vec<Table> = Vec::new();
        for (table, column, kind, _) in &here {
            let elsewhere = there.iter().find(|(t, c, ..)| t == table && c == column);
            let kind = match kind.as_ref().or_else(|| elsewhere?.2.as_ref()) {
                None => Kind::Any,
                Some(name) => Kind::of_postgres(name)
                    .ok_or_else(|| wrong(format!("the column {column} of {table} is of the unknown type {name}")))?,
            };
            if tables.last().is_none_or(|last| last.name != *table) {
                let mut key: Vec<(i64, usize)> = (here.iter().filter(|(t, ..)| t == table).enumerate())
                    .filter(|(_, (.., place))| *place > 0)
                    .map(|(i, (.., place))| (*place, i))
                    .collect();
                key.sort_unstable();
                if key.is_empty() {
                    return Err(wrong(format!("the table {table} has no primary key")));
                }
                let key = key.into_iter().map(|(_, i)| i).collect();
                tables.push(Table { name: table.clone(), columns: Vec::new(), key });
            }
            if let Some(last) = tables.last_mut() {
                last.columns.push(Column { name: column.clone(), kind });
            }
        }
        tables.retain(|table| !DERIVED.contains(&table.name.as_str()));
        in_order(tables, &self.references().await?)
            .ok_or_else(|| wrong("its tables name each other in a circle".into()))
    }

    /// Runs a statement whose rows are read as the cells of a table.
    async fn cells(&self, statement: Statement, table: &Table) -> Result<Vec<Vec<Cell>>, StoreError> {
        let read =
            |row: &Row| (table.columns.iter().enumerate()).map(|(i, column)| cell(row, i, column.kind)).collect();
        self.fetch(statement, read).await
    }

    async fn has_types(&self) -> Result<bool, StoreError> {
        Ok(matches!(self.backend.get().await?, Backend::Postgres(_)))
    }
}

fn in_order(mut left: Vec<Table>, references: &[(String, String)]) -> Option<Vec<Table>> {
    let mut ordered: Vec<Table> = Vec::new();
    while !left.is_empty() {
        let waits = |table: &Table| {
            let mut named = references.iter().filter(|(from, to)| *from == table.name && to != from);
            named.any(|(_, to)| left.iter().any(|other| other.name == *to))
        };
        let next = left.iter().position(|table| !waits(table))?;
        ordered.push(left.remove(next));
    }
    Some(ordered)
}

fn cell(row: &Row, i: usize, kind: Kind) -> sqlx::Result<Cell> {
    match row {
        Row::Sqlite(row) => {
            let raw = row.try_get_raw(i)?;
            if raw.is_null() {
                return Ok(Cell::Null);
            }
            let stored = raw.type_info().name().to_owned();
            Ok(match stored.as_str() {
                "INTEGER" => Cell::Int(row.try_get_unchecked(i)?),
                "REAL" => Cell::Real(row.try_get_unchecked(i)?),
                "BLOB" => Cell::Bytes(row.try_get_unchecked(i)?),
                _ => Cell::Text(row.try_get_unchecked(i)?),
            })
        }
        Row::Postgres(row) => Ok(match kind {
            Kind::Int | Kind::Bool => row.try_get::<Option<_>, _>(i)?.map_or(Cell::Null, Cell::Int),
            Kind::Real => row.try_get::<Option<_>, _>(i)?.map_or(Cell::Null, Cell::Real),
            Kind::Bytes => row.try_get::<Option<_>, _>(i)?.map_or(Cell::Null, Cell::Bytes),
            Kind::Json => match row.try_get::<Option<String>, _>(i)? {
                None => Cell::Null,
                // as it is written to SQLite otherwise: without spaces
                Some(text) => Cell::Text(
                    serde_json::from_str::<serde_json::Value>(&text)
                        .map_err(|e| sqlx::Error::Decode(e.into()))?
                        .to_string(),
                ),
            },
            _ => row.try_get::<Option<_>, _>(i)?.map_or(Cell::Null, Cell::Text),
        }),
    }
}

impl Table {
    /// Looks in `to` for every row of `from`; with `fill` those that are not there are added. `progress` is told of the rows so far.
    /// Holds one page of rows.
    ///
    /// # Errors
    /// A database's trouble: what was added before stays.
    pub(crate) async fn compare(
        &self,
        from: &SqlDatabase,
        to: &SqlDatabase,
        fill: bool,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<Compared, StoreError> {
        let (typed, filled) = (from.has_types().await?, to.has_types().await?);
        let mut compared = Compared::default();
        let mut after: Option<Vec<Cell>> = None;
        loop {
            let page = from.cells(self.page(typed, after.as_deref()), self).await?;
            let Some(last) = page.last() else { return Ok(compared) };
            after = Some(self.key_of(last).cloned().collect());
            let there = to.cells(self.look_for(filled, &page), self).await?;
            let there: BTreeMap<String, &Vec<Cell>> = there.iter().map(|row| (self.name_of(row), row)).collect();
            let mut missing = Vec::new();
            for row in &page {
                match there.get(&self.name_of(row)) {
                    None => missing.push(row),
                    Some(other) => compared.different += u64::from(!self.say_the_same(row, other)),
                }
            }
            compared.rows += page.len() as u64;
            compared.missing += missing.len() as u64;
            if fill && !missing.is_empty() {
                to.execute(self.insert(filled, &missing)).await?;
            }
            progress(compared.rows);
        }
    }

    fn key_of<'a>(&self, row: &'a [Cell]) -> impl Iterator<Item = &'a Cell> + use<'a, '_> {
        self.key.iter().filter_map(|i| row.get(*i))
    }

    /// The key of a row as one text.
    fn name_of(&self, row: &[Cell]) -> String {
        format!("{:?}", self.key_of(row).collect::<Vec<_>>())
    }

    fn say_the_same(&self, a: &[Cell], b: &[Cell]) -> bool {
        self.columns.iter().zip(a.iter().zip(b)).all(|(column, (a, b))| a.is(b, column.kind))
    }

    fn key_columns(&self) -> impl Iterator<Item = &Column> {
        self.key.iter().filter_map(|i| self.columns.get(*i))
    }

    /// `SELECT` of all columns as SQLite stores them, up to a condition.
    fn select(&self, typed: bool) -> String {
        let column = |c: &Column| if typed { c.kind.read(&quoted(&c.name)) } else { quoted(&c.name) };
        let columns: Vec<String> = self.columns.iter().map(column).collect();
        format!("SELECT {} FROM {}", columns.join(", "), quoted(&self.name))
    }

    fn key_names(&self) -> String {
        self.key_columns().map(|c| quoted(&c.name)).collect::<Vec<_>>().join(", ")
    }

    fn page(&self, typed: bool, after: Option<&[Cell]>) -> Statement {
        let mut statement = Statement { sql: self.select(typed).into(), values: Vec::new() };
        if let Some(after) = after {
            statement = statement.owned(&format!(" WHERE ({}) > ", self.key_names()));
            statement = statement.tuple(typed, self.key_columns().zip(after));
        }
        statement.owned(&format!(" ORDER BY {} LIMIT {PAGE}", self.key_names()))
    }

    fn look_for(&self, typed: bool, rows: &[Vec<Cell>]) -> Statement {
        let start = format!("{} WHERE ({}) IN (VALUES ", self.select(typed), self.key_names());
        let mut statement = Statement { sql: start.into(), values: Vec::new() };
        for (i, row) in rows.iter().enumerate() {
            statement = statement.owned(if i > 0 { ", " } else { "" });
            statement = statement.tuple(typed, self.key_columns().zip(self.key_of(row)));
        }
        statement.owned(")")
    }

    fn insert(&self, typed: bool, rows: &[&Vec<Cell>]) -> Statement {
        let names: Vec<String> = self.columns.iter().map(|c| quoted(&c.name)).collect();
        let start = format!("INSERT INTO {} ({}) VALUES ", quoted(&self.name), names.join(", "));
        let mut statement = Statement { sql: start.into(), values: Vec::new() };
        for (i, row) in rows.iter().enumerate() {
            statement = statement.owned(if i > 0 { ", " } else { "" });
            statement = statement.tuple(typed, self.columns.iter().zip(row.iter()));
        }
        statement
    }
}

impl Statement {
    fn owned(mut self, text: &str) -> Self {
        self.sql.to_mut().push_str(text);
        self
    }

    /// Adds values in brackets.
    fn tuple<'a>(mut self, typed: bool, cells: impl Iterator<Item = (&'a Column, &'a Cell)>) -> Self {
        let mut numbers = Vec::new();
        for (column, cell) in cells {
            self.values.push(cell.value(column.kind));
            let number = self.values.len();
            numbers.push(if typed { column.kind.write(number) } else { format!("${number}") });
        }
        self.owned(&format!("({})", numbers.join(", ")))
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{CameraStore, UserStore, sql::tests::backends};

    /// The file and the server have the same tables, each column has a type that travels, and what triggers fill is known: a new
    /// table is copied without a word, and what cannot be is told here.
    #[tokio::test]
    async fn every_table_of_every_schema_can_be_copied() {
        let names = |tables: &[Table]| tables.iter().map(|t| t.name.clone()).collect::<Vec<_>>();
        let [file, server] = backends();
        let (a, b) =
            (CameraStore::connect(&file.address).await.unwrap(), CameraStore::connect(&server.address).await.unwrap());
        let tables = a.database().tables_shared_with(b.database()).await.unwrap();
        assert_eq!(tables, b.database().tables_shared_with(a.database()).await.unwrap());
        for expected in [
            "cameras",
            "uploads",
            "detections",
            "suspects",
            "sightings",
            "segments",
            "gaps",
            "holds",
            "tracklets",
            "jobs",
            "looked",
        ] {
            assert!(names(&tables).iter().any(|n| n == expected), "{expected}: {:?}", names(&tables));
        }
        let place = |name: &str| names(&tables).iter().position(|n| n == name);
        assert!(place("cameras") < place("uploads") && place("uploads") < place("segments"));
        // A trigger that fills a table by itself would fill it twice: such a table belongs into DERIVED.
        let filling = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND sql LIKE '%INSERT INTO%'
            AND sql NOT LIKE '%INSERT INTO detections_a_minute%' AND sql NOT LIKE '%INSERT INTO detections_a_stretch%'";
        let filling: Vec<String> = a.database().fetch(sql(filling), |row| row.get("name")).await.unwrap();
        assert_eq!(filling, Vec::<String>::new(), "what does it fill?");

        let [file, server] = backends();
        let (a, b) =
            (UserStore::connect(&file.address).await.unwrap(), UserStore::connect(&server.address).await.unwrap());
        let tables = a.database().tables_shared_with(b.database()).await.unwrap();
        for expected in ["users", "camera_grants", "login_attempts"] {
            assert!(names(&tables).iter().any(|n| n == expected), "{expected}");
        }
    }

    #[test]
    fn numbers_in_json_are_compared_by_value() {
        let text = |t: &str| Cell::Text(t.to_owned());
        assert!(text(r#"{"a":1e16,"b":[0.1]}"#).is(&text(r#"{"b": [0.1], "a": 10000000000000000}"#), Kind::Json));
        assert!(!text("[0.1]").is(&text("[0.2]"), Kind::Json));
        assert!(text("[[0.1,2]]").is(&text("[[0.10000000149011612,2.0]]"), Kind::Polygon));
        assert!(!text("[[0.1,2]]").is(&text("[[0.1001,2]]"), Kind::Polygon));
        assert!(Cell::Int(3).is(&Cell::Real(3.0), Kind::Real) && !Cell::Null.is(&Cell::Int(0), Kind::Int));
    }
}
