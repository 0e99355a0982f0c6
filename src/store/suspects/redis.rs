//! The state of suspects on Redis, version 6.2 or newer.
//!
//! | key | what |
//! |---|---|
//! | `P:suspects` | sorted set of the suspects' identities by expiry, ms |
//! | `P:suspect:ID` | hash: `record` (JSON with gallery and characteristics), `changed_at`, `ended_at`, `resumed_at`, `last_camera`, `last_seen_at`; expires with the suspect |
//! | `P:suspect:ID:open` | set of its sightings without an exit |
//! | `P:suspect:ID:sightings` | stream of the versions of its sightings |
//! | `P:sighting:ID` | hash: `record` and `seen_order`, `decision` and `decision_order` |
//! | `P:changes` | stream of all changes, which every console reads |
//! | `P:filled` | the mark of the last refill: gone when the state was emptied |
//!
//! Instants and orders are digits of equal length, so that they compare as text. Each `put` is one script: it happens whole or not
//! at all, and twice is once.
use super::{CHANGES, Change, Followed, Heard, KEEP_SIGHTINGS, LISTEN_FOR, STREAM};
use crate::{
    model::{CameraId, Clock as _, Decision, Sighting, Suspect, SuspectId, SystemClock, Timestamp},
    store::{Address, StoreError, sqlite::to_json},
};
use ::redis::{
    AsyncConnectionConfig, Client, ErrorKind, FromRedisValue, IntoConnectionInfo as _, Pipeline, RedisError, Script,
    TlsCertificates, aio::MultiplexedConnection, streams::StreamReadReply,
};
use serde::de::DeserializeOwned;
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, LazyLock},
    time::Duration,
};
use tokio::sync::Mutex;
use uuid::Uuid;

/// How long the server may take to accept a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// How long it may take to answer, beyond what it was asked to wait.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// Changes read at once.
const PAGE: usize = 500;
/// All keys begin with it unless the address says otherwise.
const PREFIX: &str = "vigia";

static PUT_SUSPECT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("put_suspect.lua")));
static PUT_SIGHTING: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("put_sighting.lua")));
/// A refill that another FLUSHALL cut in two leaves no mark.
static END_REFILL: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('DEL', KEYS[2]) == 0 then return false end
         redis.call('SET', KEYS[1], ARGV[1], 'NX')
         return redis.call('GET', KEYS[1])",
    )
});

#[derive(Clone)]
pub(super) struct Redis(Arc<Inner>);

struct Inner {
    client: Client,
    place: String,
    prefix: String,
    connection: Mutex<Option<MultiplexedConnection>>,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redis({})", self.0.place)
    }
}

impl Redis {
    pub fn new(address: &Address) -> Result<Self, StoreError> {
        let place = address.to_string();
        let wrong = |detail: String| StoreError::Misconfigured { place: place.clone(), detail };
        let url = url::Url::parse(address.secret()).map_err(|e| wrong(format!("its address cannot be read ({e})")))?;
        let option = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        let prefix = option("prefix").filter(|p| !p.is_empty()).unwrap_or_else(|| PREFIX.to_owned());
        let authority = option("ca").map(|path| {
            std::fs::read(&path).map_err(|e| wrong(format!("the certificate {path} cannot be read ({e})")))
        });
        let authority = authority.transpose()?;
        let unreadable = |e: RedisError| wrong(format!("its address cannot be used ({})", e.category()));
        let info = url.into_connection_info().map_err(unreadable)?;
        let client = match authority {
            Some(authority) => {
                Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert: Some(authority) })
            }
            None => Client::open(info),
        };
        let client = client.map_err(unreadable)?;
        Ok(Self(Arc::new(Inner { client, prefix, connection: Mutex::default(), place })))
    }

    fn key(&self, name: impl AsRef<str>) -> String {
        format!("{}:{}", self.0.prefix, name.as_ref())
    }

    fn suspect_key(&self, id: SuspectId) -> String {
        self.key(format!("suspect:{id}"))
    }

    async fn connect(&self, answer_within: Duration) -> Result<MultiplexedConnection, RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_WITHIN))
            .set_response_timeout(Some(answer_within));
        self.0.client.get_multiplexed_async_connection_with_config(&config).await
    }

    /// Asks over the shared connection, which is made when it is not there, and given up when it does not work.
    async fn ask<T>(
        &self,
        question: impl AsyncFnOnce(&mut MultiplexedConnection) -> Result<T, RedisError>,
    ) -> Result<T, StoreError> {
        let asked = async {
            let mut connection = {
                let mut shared = self.0.connection.lock().await;
                match &*shared {
                    Some(connection) => connection.clone(),
                    None => shared.insert(self.connect(ANSWER_WITHIN).await?).clone(),
                }
            };
            question(&mut connection).await
        };
        let answer = asked.await;
        if answer.as_ref().is_err_and(broke) {
            *self.0.connection.lock().await = None;
        }
        answer.map_err(|e| self.error(&e))
    }

    /// What an error means. The server's words never have the password in them.
    fn error(&self, e: &RedisError) -> StoreError {
        let (place, detail) = (self.0.place.clone(), e.to_string());
        match (e.kind(), e.code()) {
            (ErrorKind::AuthenticationFailed, _) | (_, Some("NOAUTH" | "WRONGPASS" | "NOPERM")) => {
                StoreError::Denied { place, detail }
            }
            (_, Some("OOM")) => StoreError::Full { place },
            (_, Some("READONLY")) => StoreError::ReadOnly { place },
            _ => StoreError::Unavailable { place, detail },
        }
    }

    fn damaged(&self, detail: impl fmt::Display) -> StoreError {
        StoreError::Damaged { place: self.0.place.clone(), detail: detail.to_string() }
    }

    fn read<T: DeserializeOwned>(&self, text: &str) -> Result<T, StoreError> {
        serde_json::from_str(text).map_err(|e| self.damaged(e))
    }

    pub async fn put_suspect(&self, s: &Suspect) -> Result<(), StoreError> {
        let record = to_json(s)?;
        self.ask(async |connection| {
            PUT_SUSPECT
                .prepare_invoke()
                .key(self.suspect_key(s.id))
                .key(self.key("suspects"))
                .key(self.key("changes"))
                .arg(s.id.to_string())
                .arg(digits(s.changed_at))
                .arg(record)
                .arg(s.ended_at.map(digits).unwrap_or_default())
                .arg(s.expires_at.0 / 1000)
                .arg(s.camera.to_string())
                .arg(digits(s.marked_at))
                .arg(CHANGES)
                .arg(s.resumed_at.map(digits).unwrap_or_default())
                .invoke_async(connection)
                .await
        })
        .await
    }

    pub async fn put_sighting(&self, s: &Sighting) -> Result<(), StoreError> {
        let (record, decision) = (to_json(s)?, to_json(&s.decision)?);
        let (last_seen, left, probability) = s.seen_order();
        let seen_order =
            format!("{}{}{probability:010}", digits(last_seen), left.map_or_else(|| digits(Timestamp(0)), digits));
        let (rank, decided, kind, by) = s.decision.order();
        let decision_order = format!("{rank}{}{kind}{by}", digits(decided));
        let suspect = self.suspect_key(s.suspect);
        self.ask(async |connection| {
            PUT_SIGHTING
                .prepare_invoke()
                .key(self.key(format!("sighting:{}", s.id)))
                .key(&suspect)
                .key(format!("{suspect}:open"))
                .key(format!("{suspect}:sightings"))
                .key(self.key("changes"))
                .arg(s.id.to_string())
                .arg(seen_order)
                .arg(record)
                .arg(decision_order)
                .arg(decision)
                .arg(u8::from(s.left_at.is_none()))
                .arg(KEEP_SIGHTINGS.as_secs() * 1000)
                .arg(s.camera.to_string())
                .arg(digits(s.last_seen_at))
                .arg(u8::from(matches!(s.decision, Decision::Rejected { .. })))
                .arg(STREAM)
                .arg(CHANGES)
                .invoke_async(connection)
                .await
        })
        .await
    }

    pub async fn suspects(&self) -> Result<Vec<Followed>, StoreError> {
        let (set, now) = (self.key("suspects"), SystemClock.now().0 / 1000);
        let ids: Vec<String> = self
            .ask(async |connection| {
                let mut pipe = Pipeline::new();
                pipe.cmd("ZREMRANGEBYSCORE").arg(&set).arg("-inf").arg(now).ignore();
                pipe.cmd("ZRANGE").arg(&set).arg(0).arg(-1);
                let (ids,) = pipe.query_async(connection).await?;
                Ok(ids)
            })
            .await?;
        let ids = ids.iter().map(|id| id.parse()).collect::<Result<Vec<SuspectId>, _>>();
        let ids = ids.map_err(|e| self.damaged(e))?;
        Ok(self.followed(&ids).await?.into_iter().flatten().collect())
    }

    pub async fn suspect(&self, id: SuspectId) -> Result<Option<Followed>, StoreError> {
        Ok(self.followed(&[id]).await?.pop().flatten())
    }

    /// These suspects, those that are there, in two round trips.
    async fn followed(&self, ids: &[SuspectId]) -> Result<Vec<Option<Followed>>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        type Fields = (Option<String>, Option<String>, Option<String>, Option<String>, Option<String>);
        let mut pipe = Pipeline::new();
        for id in ids {
            let key = self.suspect_key(*id);
            pipe.cmd("HMGET").arg(&key).arg(&["record", "ended_at", "resumed_at", "last_camera", "last_seen_at"]);
            pipe.cmd("SMEMBERS").arg(format!("{key}:open"));
        }
        let found = self.ask(async |connection| pipe.query_async::<Vec<::redis::Value>>(connection).await).await?;
        let mut entries: Vec<(Fields, Vec<String>)> = Vec::with_capacity(ids.len());
        for pair in found.chunks_exact(2) {
            let [fields, open] = pair else { continue };
            entries.push((self.value(fields)?, self.value(open)?));
        }
        let mut pipe = Pipeline::new();
        for id in entries.iter().flat_map(|(_, open)| open) {
            pipe.cmd("HMGET").arg(self.key(format!("sighting:{id}"))).arg(&["record", "decision"]);
        }
        let mut sightings = Vec::new();
        if entries.iter().any(|(_, open)| !open.is_empty()) {
            sightings = self
                .ask(async |connection| pipe.query_async::<Vec<(Option<String>, Option<String>)>>(connection).await)
                .await?;
        }
        let mut sightings = sightings.into_iter();
        entries
            .into_iter()
            .map(|((record, ended_at, resumed_at, last_camera, last_seen_at), open)| {
                let mut sightings = sightings
                    .by_ref()
                    .take(open.len())
                    .filter_map(|(record, decision)| Some(self.sighting(&record?, &decision?)))
                    .collect::<Result<Vec<_>, _>>()?;
                sightings.sort_by_key(|s| (s.entered_at, s.id));
                let Some(record) = record else { return Ok(None) };
                let suspect = self.suspect_of(&record, ended_at.as_deref(), resumed_at.as_deref())?;
                let last_camera =
                    last_camera.map(|c| c.parse::<CameraId>()).transpose().map_err(|e| self.damaged(e))?;
                let last_seen_at = last_seen_at.map(|at| self.instant(&at)).transpose()?;
                let last_seen = (last_camera.unwrap_or(suspect.camera), last_seen_at.unwrap_or(suspect.marked_at));
                Ok(Some(Followed { suspect, last_seen, open: sightings }))
            })
            .collect()
    }

    fn value<T: FromRedisValue>(&self, value: &::redis::Value) -> Result<T, StoreError> {
        T::from_redis_value(value.clone()).map_err(|e| self.damaged(e))
    }

    fn instant(&self, digits: &str) -> Result<Timestamp, StoreError> {
        digits.parse().map(Timestamp).map_err(|e| self.damaged(e))
    }

    fn suspect_of(
        &self,
        record: &str,
        ended_at: Option<&str>,
        resumed_at: Option<&str>,
    ) -> Result<Suspect, StoreError> {
        let instant = |t: Option<&str>| t.filter(|t| !t.is_empty()).map(|t| self.instant(t)).transpose();
        let (ended_at, resumed_at) = (instant(ended_at)?, instant(resumed_at)?);
        let ended_at = ended_at.filter(|at| Some(*at) > resumed_at);
        Ok(Suspect { ended_at, resumed_at, ..self.read(record)? })
    }

    fn sighting(&self, record: &str, decision: &str) -> Result<Sighting, StoreError> {
        Ok(Sighting { decision: self.read(decision)?, ..self.read(record)? })
    }

    pub async fn sightings(&self, suspect: SuspectId, limit: usize) -> Result<Vec<Sighting>, StoreError> {
        let stream = format!("{}:sightings", self.suspect_key(suspect));
        let entries = self
            .ask(async |connection| {
                let mut newest = ::redis::cmd("XREVRANGE");
                newest.arg(stream).arg("+").arg("-").arg("COUNT").arg(limit);
                newest.query_async::<Vec<(String, HashMap<String, String>)>>(connection).await
            })
            .await?;
        let read =
            |(_, fields): &(String, HashMap<String, String>)| match (fields.get("sighting"), fields.get("decision")) {
                (Some(record), Some(decision)) => self.sighting(record, decision),
                _ => Err(self.damaged("an entry of a stream has not its fields")),
            };
        entries.iter().map(read).collect()
    }

    pub async fn mark(&self) -> Result<Option<Uuid>, StoreError> {
        let key = self.key("filled");
        let mark: Option<String> =
            self.ask(async |connection| ::redis::cmd("GET").arg(key).query_async(connection).await).await?;
        mark.map(|mark| mark.parse()).transpose().map_err(|e| self.damaged(e))
    }

    pub async fn begin_refill(&self, id: Uuid) -> Result<(), StoreError> {
        let key = self.key(format!("filling:{id}"));
        self.ask(async |connection| {
            ::redis::cmd("SET").arg(key).arg(1).arg("EX").arg(600).query_async(connection).await
        })
        .await
    }

    pub async fn end_refill(&self, id: Uuid) -> Result<Uuid, StoreError> {
        let mark: Option<String> = self
            .ask(async |connection| {
                END_REFILL
                    .prepare_invoke()
                    .key(self.key("filled"))
                    .key(self.key(format!("filling:{id}")))
                    .arg(id.to_string())
                    .invoke_async(connection)
                    .await
            })
            .await?;
        let emptied = || StoreError::Unavailable {
            place: self.0.place.clone(),
            detail: "it was emptied while it was filled".to_owned(),
        };
        mark.ok_or_else(emptied)?.parse().map_err(|e| self.damaged(e))
    }

    /// The same state over a connection of its own.
    #[cfg(test)]
    pub fn again(&self) -> Self {
        let Inner { client, place, prefix, .. } = &*self.0;
        let (client, place, prefix) = (client.clone(), place.clone(), prefix.clone());
        Self(Arc::new(Inner { client, place, prefix, connection: Mutex::default() }))
    }

    pub fn listen(&self) -> Ear {
        Ear { redis: self.clone(), connection: None, after: None }
    }
}

/// Whether the connection is of no use any more.
fn broke(e: &RedisError) -> bool {
    e.is_io_error() || e.is_timeout() || e.is_unrecoverable_error()
}

/// An instant that compares as text.
fn digits(t: Timestamp) -> String {
    format!("{:020}", t.0.max(0))
}

/// Reads the stream of changes on a connection of its own, since it waits there.
pub(super) struct Ear {
    redis: Redis,
    connection: Option<MultiplexedConnection>,
    /// The entry heard last.
    after: Option<String>,
}

impl Ear {
    pub async fn next(&mut self) -> Result<Heard, StoreError> {
        let heard = self.hear().await;
        if heard.as_ref().is_err_and(broke) {
            self.connection = None;
        }
        let (reply, mark) = heard.map_err(|e| self.redis.error(&e))?;
        let mark = mark.map(|mark| mark.parse()).transpose().map_err(|e| self.redis.damaged(e))?;
        let mut changes = Vec::new();
        for entry in reply.keys.into_iter().flat_map(|key| key.ids) {
            let field = |name: &str| entry.map.get(name).map(|v| self.redis.value::<String>(v)).transpose();
            match (field("suspect")?, field("ended_at")?, field("sighting")?, field("decision")?) {
                (Some(record), ended_at, ..) => {
                    let resumed_at = field("resumed_at")?;
                    let suspect = self.redis.suspect_of(&record, ended_at.as_deref(), resumed_at.as_deref())?;
                    changes.push(Change::Suspect(suspect));
                }
                (_, _, Some(record), Some(decision)) => {
                    changes.push(Change::Sighting(self.redis.sighting(&record, &decision)?));
                }
                _ => {} // of a newer version: not for us
            }
            self.after = Some(entry.id);
        }
        Ok(Heard { changes, mark })
    }

    async fn hear(&mut self) -> Result<(StreamReadReply, Option<String>), RedisError> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            None => self.connection.insert(self.redis.connect(LISTEN_FOR + ANSWER_WITHIN).await?),
        };
        let stream = self.redis.key("changes");
        let after = match &self.after {
            Some(after) => after.clone(),
            None => {
                let mut newest = ::redis::cmd("XREVRANGE");
                newest.arg(&stream).arg("+").arg("-").arg("COUNT").arg(1);
                let newest: Vec<(String, HashMap<String, String>)> = newest.query_async(connection).await?;
                let newest = newest.into_iter().next().map_or_else(|| "0-0".to_owned(), |(id, _)| id);
                self.after.insert(newest).clone()
            }
        };
        let mut read = ::redis::cmd("XREAD");
        read.arg("COUNT").arg(PAGE).arg("BLOCK").arg(u64::try_from(LISTEN_FOR.as_millis()).unwrap_or(500));
        read.arg("STREAMS").arg(&stream).arg(after);
        let reply: Option<StreamReadReply> = read.query_async(connection).await?;
        let mark = ::redis::cmd("GET").arg(self.redis.key("filled")).query_async(connection).await?;
        Ok((reply.unwrap_or_default(), mark))
    }
}
