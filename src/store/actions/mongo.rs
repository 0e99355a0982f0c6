//! The action log in a collection of MongoDB.
//!
//! `action_logs` has the given fields with their given types, `consoles` the number of each console. An account that may only
//! insert and find in these two is enough once somebody with more rights has made the collection and its indexes (Vigia
//! does so at its first start, where it may).
use super::{LogCursor, LogFilter, LogIds, Order, Visit, no_number_left, object_id, taken};
use crate::{
    model::{Action, ActionRecord, Hash, KeptAction, Link, Outcome, Timestamp},
    store::{Address, StoreError, examine::encryption},
};
use futures_util::TryStreamExt as _;
use mongodb::{
    Client, Collection, Database, IndexModel,
    bson::{self, Bson, DateTime, Document, doc, oid::ObjectId},
    error::{Error, ErrorKind, WriteFailure},
    options::{Acknowledgment, ClientOptions, IndexOptions, WriteConcern},
};
use std::{future::Future, time::Duration};
use uuid::Uuid;

const COLLECTION: &str = "action_logs";
const CONSOLES: &str = "consoles";
/// Used where the address names no database.
const DATABASE: &str = "vigia";
/// How long the server may take to be found.
const FIND_WITHIN: Duration = Duration::from_secs(3);
/// How long it may take to answer: the driver itself would wait for a frozen one for ever.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

// Error codes: https://www.mongodb.com/docs/manual/reference/error-codes/
const UNAUTHORIZED: i32 = 13;
const AUTHENTICATION_FAILED: i32 = 18;
const NAMESPACE_EXISTS: i32 = 48;
const DUPLICATE_KEY: i32 = 11000;
const VALIDATION_FAILED: i32 = 121;

/// The log on a server.
#[derive(Clone, Debug)]
pub(super) struct MongoLog {
    db: Database,
    place: String,
}

impl MongoLog {
    async fn reach(address: &Address) -> Result<Self, StoreError> {
        let place = address.to_string();
        let failed = |e: &Error| store_error(&place, e);
        let mut options = ClientOptions::parse(address.secret()).await.map_err(|e| failed(&e))?;
        options.app_name = Some("vigia".to_owned());
        options.server_selection_timeout = Some(FIND_WITHIN);
        options.connect_timeout = Some(FIND_WITHIN);
        // An entry that a server has acknowledged must outlive that server.
        options.write_concern =
            Some(WriteConcern::builder().w(Acknowledgment::Majority).journal(true).w_timeout(ANSWER_WITHIN).build());
        let client = Client::with_options(options).map_err(|e| failed(&e))?;
        let db = client.default_database().unwrap_or_else(|| client.database(DATABASE));
        Ok(Self { db, place })
    }

    pub(super) async fn connect(address: &Address) -> Result<Self, StoreError> {
        let log = Self::reach(address).await?;
        log.prepare().await?;
        Ok(log)
    }

    /// See [`super::examine`].
    pub(super) async fn examine(address: &Address) -> Result<String, StoreError> {
        let log = Self::reach(address).await?;
        let tell = async |question: Document| log.ask(async { log.db.run_command(question).await }).await;
        let build = tell(doc! { "buildInfo": 1 }).await?;
        let version = build.get_str("version").unwrap_or("of an unknown version");
        let status = tell(doc! { "connectionStatus": 1, "showPrivileges": true }).await?;
        let granted = status.get_document("authInfo").and_then(|info| info.get_array("authenticatedUserPrivileges"));
        let granted: Vec<&Document> =
            granted.map(|all| all.iter().filter_map(Bson::as_document).collect()).unwrap_or_default();
        if granted.is_empty() {
            let detail = "the address names no account, or one without any right".to_owned();
            return Err(StoreError::Denied { place: log.place, detail });
        }
        let may = |action: &str| granted.iter().any(|privilege| log.grants(privilege, action));
        if let Some(missing) = ["find", "insert"].into_iter().find(|action| !may(action)) {
            let detail = format!("the account may not {missing} in {COLLECTION}");
            return Err(StoreError::Denied { place: log.place, detail });
        }
        let advice = if may("remove") || may("update") {
            "may read and add, but also change or delete entries: an account that may only insert and find is safer"
        } else {
            "may read and add entries, and neither change nor delete them"
        };
        let options = address.secret();
        let encrypted =
            options.starts_with("mongodb+srv") || options.contains("tls=true") || options.contains("ssl=true");
        Ok(format!("MongoDB {version}, {}; the account {advice}", encryption(address, encrypted)))
    }

    /// Whether a privilege allows the action on the entries.
    fn grants(&self, privilege: &Document, action: &str) -> bool {
        let actions = privilege.get_array("actions").map(Vec::as_slice).unwrap_or_default();
        let Ok(on) = privilege.get_document("resource") else { return false };
        let covers = |field: &str, name: &str| on.get_str(field).is_ok_and(|given| given.is_empty() || given == name);
        let here = on.get_bool("anyResource").unwrap_or(false)
            || (covers("db", self.db.name()) && covers("collection", COLLECTION));
        here && actions.iter().any(|given| given.as_str() == Some(action))
    }

    fn entries(&self) -> Collection<Document> {
        self.db.collection(COLLECTION)
    }

    /// Waits for the server's answer, but not for ever.
    async fn ask<T>(&self, question: impl Future<Output = Result<T, Error>>) -> Result<T, StoreError> {
        match tokio::time::timeout(ANSWER_WITHIN, question).await {
            Ok(answer) => answer.map_err(|e| store_error(&self.place, &e)),
            Err(_) => Err(StoreError::Unavailable { place: self.place.clone(), detail: "no answer".to_owned() }),
        }
    }

    /// Collection, validator and indexes. An account without the right to make them goes on with what is there.
    async fn prepare(&self) -> Result<(), StoreError> {
        self.ask(async {
            let made = self.db.create_collection(COLLECTION).validator(validator()).await;
            let unique = |keys: Document, partial: Option<Document>| {
                let options = IndexOptions::builder().unique(true).partial_filter_expression(partial).build();
                IndexModel::builder().keys(keys).options(options).build()
            };
            let mut indexes = vec![
                unique(doc! { "log_id": -1 }, None),
                unique(doc! { "console": 1, "seq": 1 }, Some(doc! { "console": { "$exists": true } })),
            ];
            // Pages follow each other by time: a stretch of time is a stretch of every index.
            indexes.push(IndexModel::builder().keys(doc! { "timestamp_us": -1, "log_id": -1 }).build());
            for field in ["user_cc", "action", "camera", "suspect", "outcome"] {
                indexes.push(IndexModel::builder().keys(doc! { field: 1, "timestamp_us": -1, "log_id": -1 }).build());
            }
            let indexed = match made {
                Err(e) if code(&e) != Some(NAMESPACE_EXISTS) => Err(e),
                _ => self.entries().create_indexes(indexes).await.map(drop),
            };
            match indexed {
                Err(e) if code(&e) == Some(UNAUTHORIZED) => {
                    tracing::info!("the account of the action log may not make indexes; those that are there are used");
                    // Whether it may read at all is found out here and now.
                    self.entries().find_one(doc! {}).await.map(drop)
                }
                other => other,
            }
        })
        .await
    }

    pub(super) async fn append(&self, record: &ActionRecord) -> Result<(), StoreError> {
        let document = to_document(record)?;
        let inserted = tokio::time::timeout(ANSWER_WITHIN, self.entries().insert_one(document)).await;
        match inserted {
            Ok(Err(e)) if code(&e) == Some(DUPLICATE_KEY) => {
                let there = self.ask(async { self.entries().find_one(doc! { "log_id": record.log_id }).await }).await?;
                match there.map(|d| self.entry_in(d)).transpose()? {
                    Some(there) if there == *record => Ok(()),
                    _ => Err(taken(record)),
                }
            }
            other => self.ask(async { other.unwrap_or_else(|_| Err(timed_out())).map(drop) }).await,
        }
    }

    /// The primary has to answer: without one nothing can be written.
    pub(super) async fn takes_entries(&self) -> Result<(), StoreError> {
        self.newest_id().await.map(drop)
    }

    pub(super) async fn append_all(&self, records: &[ActionRecord]) -> Result<(), StoreError> {
        let documents = records.iter().map(to_document).collect::<Result<Vec<_>, _>>()?;
        if documents.is_empty() {
            return Ok(());
        }
        let insert = async { self.entries().insert_many(documents).ordered(false).await };
        let inserted = tokio::time::timeout(ANSWER_WITHIN, insert).await.unwrap_or_else(|_| Err(timed_out()));
        let Err(error) = inserted else { return Ok(()) };
        if !matches!(error.kind.as_ref(), ErrorKind::InsertMany(_)) {
            return Err(store_error(&self.place, &error));
        }
        // Some are there already, or refused: one by one it is told which.
        for record in records {
            self.append(record).await?;
        }
        Ok(())
    }

    pub(super) async fn read(
        &self,
        filter: &LogFilter,
        before: Option<&LogCursor>,
        limit: u32,
    ) -> Result<Vec<(KeptAction, LogCursor)>, StoreError> {
        let mut query = filtered(filter);
        if let Some(LogCursor { at, log_id }) = before {
            let at = Timestamp::parse(at).unwrap_or_default().0;
            // The bound on time is what an index can use; those of the same instant are told apart behind it.
            let older = doc! { "$or": [{ "timestamp_us": { "$lt": at } }, { "log_id": { "$lt": log_id } }] };
            query = doc! { "$and": [query, { "timestamp_us": { "$lte": at } }, older] };
        }
        let newest_first = doc! { "timestamp_us": -1, "log_id": -1 };
        let found: Vec<Document> = self
            .ask(async {
                let limit = i64::from(limit);
                self.entries().find(query).sort(newest_first).limit(limit).await?.try_collect().await
            })
            .await?;
        let cursor = |d: &Document| {
            let whole = d.get_i64("timestamp_us").ok().zip(d.get_i64("log_id").ok());
            let (at, log_id) = whole.ok_or_else(|| self.damaged("an entry has no timestamp_us or log_id"))?;
            Ok(LogCursor { at: Timestamp(at).to_string(), log_id })
        };
        found.into_iter().map(|d| cursor(&d).map(|at| (kept(d), at))).collect()
    }

    pub(super) async fn stream(&self, order: Order<'_>, visit: Visit<'_>) -> Result<(), StoreError> {
        let parts = match order {
            Order::Time(filter) => vec![(filtered(filter), doc! { "timestamp_us": 1, "log_id": 1 })],
            // in two parts, so that the index of the chains is enough for the second
            Order::Chains => vec![
                (doc! { "console": { "$exists": false } }, doc! { "log_id": 1 }),
                (doc! { "console": { "$exists": true } }, doc! { "console": 1, "seq": 1 }),
            ],
        };
        for (query, sort) in parts {
            let mut found =
                self.ask(async { self.entries().find(query).sort(sort).allow_disk_use(true).await }).await?;
            while let Some(document) = self.ask(found.try_next()).await? {
                if visit(kept(document)).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    pub(super) fn place(&self) -> String {
        self.place.clone()
    }

    pub(super) async fn newest_id(&self) -> Result<Option<i64>, StoreError> {
        let newest = self.ask(async { self.entries().find_one(doc! {}).sort(doc! { "log_id": -1 }).await }).await?;
        Ok(newest.and_then(|d| d.get_i64("log_id").ok()))
    }

    pub(super) async fn newest_place(&self, console: Uuid) -> Result<i64, StoreError> {
        let query = doc! { "console": console.to_string() };
        let newest =
            self.ask(async { self.entries().find_one(query).sort(doc! { "console": -1, "seq": -1 }).await }).await?;
        Ok(newest.and_then(|d| d.get_i64("seq").ok()).unwrap_or(0))
    }

    pub(super) async fn claim(&self, console: Uuid) -> Result<u16, StoreError> {
        let consoles: Collection<Document> = self.db.collection(CONSOLES);
        let console = console.to_string();
        loop {
            let mine = self.ask(async { consoles.find_one(doc! { "console": &console }).await }).await?;
            if let Some(mine) = mine {
                let number = mine.get_i32("_id").ok().and_then(|n| u16::try_from(n).ok());
                return number.ok_or_else(|| self.damaged("a console's number is none"));
            }
            let newest = self.ask(async { consoles.find_one(doc! {}).sort(doc! { "_id": -1 }).await }).await?;
            let next = newest.and_then(|d| d.get_i32("_id").ok()).map_or(0, |n| n + 1);
            if next > i32::from(LogIds::MAX_CONSOLE) {
                return Err(no_number_left());
            }
            // Whoever else takes the same number at once gets a duplicate key and asks again.
            let insert = consoles.insert_one(doc! { "_id": next, "console": &console });
            let taken = tokio::time::timeout(ANSWER_WITHIN, insert).await.unwrap_or_else(|_| Err(timed_out()));
            if let Err(e) = taken
                && code(&e) != Some(DUPLICATE_KEY)
            {
                return Err(store_error(&self.place, &e));
            }
        }
    }

    pub(super) async fn consoles(&self) -> Result<Vec<(u16, Uuid)>, StoreError> {
        let consoles: Collection<Document> = self.db.collection(CONSOLES);
        let all: Vec<Document> =
            self.ask(async { consoles.find(doc! {}).sort(doc! { "_id": 1 }).await?.try_collect().await }).await?;
        let read = |d: &Document| {
            let number = d.get_i32("_id").ok().and_then(|n| u16::try_from(n).ok());
            number.zip(d.get_str("console").ok().and_then(|c| c.parse().ok()))
        };
        all.iter().map(|d| read(d).ok_or_else(|| self.damaged("a console's number is none"))).collect()
    }

    pub(super) async fn number(&self, console: Uuid, number: u16) -> Result<(), StoreError> {
        let consoles: Collection<Document> = self.db.collection(CONSOLES);
        let document = doc! { "_id": i32::from(number), "console": console.to_string() };
        self.ask(async { consoles.insert_one(document).await.map(drop) }).await
    }

    fn entry_in(&self, document: Document) -> Result<ActionRecord, StoreError> {
        from_document(document).map_err(|e| self.damaged(&format!("an entry cannot be read: {e}")))
    }

    fn damaged(&self, detail: &str) -> StoreError {
        StoreError::Damaged { place: self.place.clone(), detail: detail.to_owned() }
    }

    /// What somebody with every right can do to one entry.
    #[cfg(test)]
    pub(super) async fn spoil(&self, log_id: i64, field: &str) {
        let mut entry = self.entries().find_one(doc! { "log_id": log_id }).await.unwrap().unwrap();
        match field {
            "_id" => drop(entry.insert("_id", ObjectId::new())),
            // the server's own schema would not take it
            "details" => drop(entry.insert("user_cc", 5)),
            field => drop(entry.insert(field, "somebody else")),
        }
        self.entries().delete_one(doc! { "log_id": log_id }).await.unwrap();
        self.entries().insert_one(entry).bypass_document_validation(true).await.unwrap();
    }

    /// What somebody with every right can do.
    #[cfg(test)]
    pub(super) async fn replace_everything(&self, entries: &[ActionRecord]) {
        self.entries().delete_many(doc! {}).await.unwrap();
        for entry in entries {
            self.append(entry).await.unwrap();
        }
    }
}

/// What the server itself insists on.
fn validator() -> Document {
    let text = || doc! { "bsonType": "string" };
    doc! { "$jsonSchema": {
        "bsonType": "object",
        "required": ["_id", "log_id", "user_cc", "user_name", "action", "timestamp", "timestamp_us", "outcome"],
        "properties": {
            "_id": { "bsonType": "objectId" },
            "log_id": { "bsonType": "long" },
            "user_cc": text(), "user_name": text(), "why": text(), "target": text(),
            "action": { "bsonType": "string", "pattern": "^[A-Z_]+$" },
            "log_accessed": { "bsonType": "long" },
            "timestamp": { "bsonType": "date" },
            "timestamp_us": { "bsonType": "long" },
            "outcome": { "enum": ["succeeded", "refused", "failed"] },
            "console": text(), "seq": { "bsonType": "long" }, "prev": text(), "hash": text(),
            "camera": text(), "suspect": text(),
        },
    } }
}

fn filtered(filter: &LogFilter) -> Document {
    let mut query: Document = filter.words().map(|(field, word)| (field.to_owned(), word.into())).collect();
    let mut time = Document::new();
    time.extend(filter.from.map(|t| ("$gte".to_owned(), Bson::Int64(t.0))));
    time.extend(filter.until.map(|t| ("$lt".to_owned(), Bson::Int64(t.0))));
    if !time.is_empty() {
        query.insert("timestamp_us", time);
    }
    query
}

/// The entry with what can be said of it where it cannot be read.
fn kept(document: Document) -> KeptAction {
    let log_id = document.get_i64("log_id").ok();
    let console = document.get_str("console").ok().and_then(|c| c.parse().ok());
    let seq = document.get_i64("seq").ok();
    let there = document.clone();
    let entry = from_document(document);
    // A field that is not in the entry's hash must follow from the entry.
    let misfiled = entry.as_ref().ok().filter(|e| e.link.is_some()).and_then(|entry| {
        let due = to_document(entry).ok()?;
        let differs = |key: &&String| there.get(key.as_str()) != due.get(key.as_str());
        there.keys().chain(due.keys()).find(differs).cloned()
    });
    KeptAction { log_id, console, seq, entry, misfiled }
}

fn to_document(record: &ActionRecord) -> Result<Document, StoreError> {
    let bad = |e: &dyn std::fmt::Display| StoreError::BadRecord(e.to_string());
    let (outcome, why) = record.outcome.parts();
    let mut document = doc! {
        "_id": ObjectId::parse_str(object_id(record)).map_err(|e| bad(&e))?,
        "log_id": record.log_id,
        "user_cc": &record.user_cc,
        "user_name": &record.user_name,
        "action": record.action.as_str(),
        // A date of BSON has milliseconds; the whole instant stands beside it.
        "timestamp": DateTime::from_millis(record.timestamp.0.div_euclid(1000)),
        "timestamp_us": record.timestamp.0,
        "outcome": outcome,
        "details": bson::serialize_to_bson(&record.details).map_err(|e| bad(&e))?,
    };
    let link = record.link;
    let optional: [(&str, Option<Bson>); 9] = [
        ("log_accessed", record.log_accessed.map(Bson::Int64)),
        ("why", why.map(Bson::from)),
        ("target", record.target.as_deref().map(Bson::from)),
        ("console", link.map(|l| Bson::String(l.console.to_string()))),
        ("seq", link.map(|l| Bson::Int64(l.seq))),
        ("prev", link.map(|l| Bson::String(l.prev.to_string()))),
        ("hash", link.map(|l| Bson::String(l.hash.to_string()))),
        ("camera", record.camera().map(Bson::from)),
        ("suspect", record.suspect().map(Bson::from)),
    ];
    document.extend(optional.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    Ok(document)
}

fn from_document(mut d: Document) -> Result<ActionRecord, String> {
    let text = |key: &str| d.get_str(key).map(str::to_owned).map_err(|e| e.to_string());
    let hash = |key: &str| Hash::parse(&text(key)?).ok_or_else(|| format!("{key} is no hash"));
    let why = text("why").unwrap_or_default();
    let timestamp_us = d.get_i64("timestamp_us").map_err(|e| e.to_string())?;
    let date = d.get_datetime("timestamp").map_err(|e| e.to_string())?;
    if date.timestamp_millis() != timestamp_us.div_euclid(1000) {
        return Err("its two timestamps differ".to_owned());
    }
    let link = if d.contains_key("console") {
        Some(Link {
            console: text("console")?.parse().map_err(|_| "console is no UUID".to_owned())?,
            seq: d.get_i64("seq").map_err(|e| e.to_string())?,
            prev: hash("prev")?,
            hash: hash("hash")?,
        })
    } else {
        None
    };
    Ok(ActionRecord {
        log_id: d.get_i64("log_id").map_err(|e| e.to_string())?,
        user_cc: text("user_cc")?,
        user_name: text("user_name")?,
        action: Action::parse(&text("action")?).ok_or("action is none that is known here")?,
        log_accessed: d.get_i64("log_accessed").ok(),
        timestamp: Timestamp(timestamp_us),
        // A word that Vigia never writes: the hash will not fit.
        outcome: Outcome::of_parts(&text("outcome")?, why.clone()).unwrap_or(Outcome::Failed(why)),
        target: text("target").ok(),
        link,
        details: bson::deserialize_from_bson(d.remove("details").unwrap_or(Bson::Null)).map_err(|e| e.to_string())?,
    })
}

fn timed_out() -> Error {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}

fn code(e: &Error) -> Option<i32> {
    match e.kind.as_ref() {
        ErrorKind::Command(e) => Some(e.code),
        ErrorKind::Write(WriteFailure::WriteError(e)) => Some(e.code),
        _ => None,
    }
}

/// What an error of the server means. The driver's own words name hosts, never accounts.
fn store_error(place: &str, e: &Error) -> StoreError {
    let place = place.to_owned();
    match (e.kind.as_ref(), code(e)) {
        (ErrorKind::Authentication { .. }, _) | (_, Some(AUTHENTICATION_FAILED)) => {
            StoreError::Denied { place, detail: "it does not know this account or its password".to_owned() }
        }
        (_, Some(UNAUTHORIZED)) => StoreError::Denied { place, detail: "the account may not do this".to_owned() },
        (_, Some(VALIDATION_FAILED)) => StoreError::BadRecord("the server's schema does not accept it".to_owned()),
        (ErrorKind::Bson(_) | ErrorKind::BsonSerialization(_), _) => StoreError::BadRecord(e.to_string()),
        (ErrorKind::InvalidArgument { message, .. }, _) => StoreError::Misconfigured { place, detail: message.clone() },
        (ErrorKind::ServerSelection { .. }, _) => {
            StoreError::Unavailable { place, detail: "it cannot be reached".to_owned() }
        }
        _ => StoreError::Unavailable { place, detail: e.to_string() },
    }
}
