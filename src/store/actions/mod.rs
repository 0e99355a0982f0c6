//! The action log: what operators did, append only. Embedded in SQLite, or on MongoDB.
mod ids;
mod mongo;
mod sqlite;

pub use ids::LogIds;

use super::{Address, StoreError, late::Late};
use crate::model::{Action, ActionRecord, KeptAction, OutcomeKind, Timestamp};
use mongo::MongoLog;
use serde::{Deserialize, Serialize};
use sqlite::EmbeddedLog;
use std::{ops::ControlFlow, path::Path};
use uuid::Uuid;

/// Which entries to read; what is `None` does not matter, what is set must hold all together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogFilter {
    /// Of the user with this number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Of this action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// About this camera, see [`ActionRecord::camera`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub camera: Option<String>,
    /// About this suspect, see [`ActionRecord::suspect`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspect: Option<String>,
    /// That ended so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<OutcomeKind>,
    /// At or after this instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Before this instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl LogFilter {
    /// Columns, or fields, that must hold exactly this text.
    fn words(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("user_cc", self.user.as_deref()),
            ("action", self.action.map(Action::as_str)),
            ("camera", self.camera.as_deref()),
            ("suspect", self.suspect.as_deref()),
            ("outcome", self.outcome.map(OutcomeKind::as_str)),
        ]
        .into_iter()
        .filter_map(|(column, word)| Some((column, word?)))
    }
}

/// A place in the log in the order of time: pages lead from one to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogCursor {
    /// RFC 3339, as it is stored.
    at: String,
    log_id: i64,
}

impl LogCursor {
    /// The place of an entry.
    pub fn of(record: &ActionRecord) -> Self {
        Self { at: record.timestamp.to_string(), log_id: record.log_id }
    }
}

/// Some entries, newest first, also those that cannot be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogPage {
    /// The entries.
    pub entries: Vec<KeptAction>,
    /// Where the next older page begins; `None` when there is nothing older.
    pub older: Option<LogCursor>,
}

/// Called with each entry; says whether to go on.
type Visit<'a> = &'a mut (dyn FnMut(KeptAction) -> ControlFlow<()> + Send);

/// In which order to read all of them.
#[derive(Clone, Copy)]
enum Order<'a> {
    /// Console by console, each chain from its start; entries without a chain first.
    Chains,
    /// Those that pass the filter, oldest first.
    Time(&'a LogFilter),
}

/// The action log. Entries are added and read, never changed or deleted. Cloning shares it.
#[derive(Clone, Debug)]
pub struct ActionLog(Late<Backend>);

#[derive(Debug)]
enum Backend {
    Embedded(EmbeddedLog),
    Mongo(MongoLog),
}

/// What the server at `address` is like, and what the account may do there, in words; changes nothing.
pub(super) async fn examine(address: &Address) -> Result<String, StoreError> {
    match address.scheme() {
        "mongodb" | "mongodb+srv" => MongoLog::examine(address).await,
        _ => Err(StoreError::unknown_backend(address)),
    }
}

impl Backend {
    async fn connect(address: &Address) -> Result<Self, StoreError> {
        match (address.scheme(), address.path()) {
            ("sqlite", Some(path)) => Ok(Self::Embedded(EmbeddedLog::open(path).await?)),
            ("mongodb" | "mongodb+srv", _) => Ok(Self::Mongo(MongoLog::connect(address).await?)),
            _ => Err(StoreError::unknown_backend(address)),
        }
    }
}

/// Calls the same method of whichever backend it is.
macro_rules! each {
    ($log:expr, $backend:ident => $call:expr) => {
        match $log.0.get().await? {
            Backend::Embedded($backend) => $call,
            Backend::Mongo($backend) => $call,
        }
    };
}

impl ActionLog {
    /// Opens the log at `address` (`sqlite:` or `mongodb:`), creating it where missing.
    ///
    /// # Errors
    /// [`StoreError`]: not reachable, refused, damaged, newer, read-only, full.
    pub async fn connect(address: &Address) -> Result<Self, StoreError> {
        Ok(Self(Late::ready(Backend::connect(address).await?)))
    }

    /// Like [`connect`](Self::connect); but a server that does not answer now is taken up when it does, and every question until
    /// then ends with [`StoreError::Unavailable`].
    ///
    /// # Errors
    /// [`StoreError`]: refused, damaged, newer, misconfigured, read-only, full.
    pub async fn connect_late(address: &Address) -> Result<Self, StoreError> {
        Ok(Self(Late::connect(address, |address| async move { Backend::connect(&address).await }).await?))
    }

    /// Why the server has not been reached yet; `None` once it has.
    pub(super) fn trouble(&self) -> Option<String> {
        self.0.trouble()
    }

    /// Tries to reach the server, where it has not been reached yet.
    pub(super) async fn reach(&self) {
        let _ = self.0.get().await; // how it went is what `trouble` says
    }

    /// Opens the embedded log, creating it where missing.
    ///
    /// # Errors
    /// [`StoreError`]: damaged, newer, read-only, full.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Ok(Self(Late::ready(Backend::Embedded(EmbeddedLog::open(path.as_ref()).await?))))
    }

    /// Adds an entry. An entry that is there already, word for word, is not added again.
    ///
    /// # Errors
    /// [`StoreError::BadRecord`] when its `log_id` or its place in the chain belongs to an entry with other words, or when
    /// it names a log that was read without being [`Action::AccessLogs`]; otherwise the store's trouble.
    pub async fn append(&self, record: &ActionRecord) -> Result<(), StoreError> {
        if record.log_accessed.is_some() && record.action != Action::AccessLogs {
            return Err(StoreError::BadRecord("only ACCESS_LOGS names a log that was read".to_owned()));
        }
        each!(self, log => log.append(record).await)
    }

    /// Asks the log itself, not what is remembered of it, whether it would take an entry; adds none.
    ///
    /// # Errors
    /// Why it would not.
    pub async fn takes_entries(&self) -> Result<(), StoreError> {
        each!(self, log => log.takes_entries().await)
    }

    /// Adds entries that another log holds, as they are: all of them like [`append`](Self::append), in one go.
    ///
    /// # Errors
    /// Those of [`append`](Self::append); some may have been added then.
    pub async fn append_all(&self, records: &[ActionRecord]) -> Result<(), StoreError> {
        each!(self, log => log.append_all(records).await)
    }

    /// The entries that pass the filter, newest first, at most `limit`, all behind `before` where one is given.
    ///
    /// # Errors
    /// The store's trouble; [`StoreError::Damaged`] names an entry that cannot be read.
    pub async fn page(
        &self,
        filter: &LogFilter,
        before: Option<&LogCursor>,
        limit: u32,
    ) -> Result<Vec<ActionRecord>, StoreError> {
        self.readable(self.read(filter, before, limit).await?.entries).await
    }

    /// Like [`page`](Self::page), with the entries that cannot be read in their places, and where to read on.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn read(
        &self,
        filter: &LogFilter,
        before: Option<&LogCursor>,
        limit: u32,
    ) -> Result<LogPage, StoreError> {
        let mut found: Vec<(KeptAction, LogCursor)> = each!(self, log => log.read(filter, before, limit + 1).await)?;
        let more = found.len() > limit as usize;
        found.truncate(limit as usize);
        let older = found.last().filter(|_| more).map(|(_, cursor)| cursor.clone());
        Ok(LogPage { entries: found.into_iter().map(|(kept, _)| kept).collect(), older })
    }

    /// Reads every entry that passes the filter, oldest first, without holding them all.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn each(
        &self,
        filter: &LogFilter,
        visit: &mut (dyn FnMut(KeptAction) -> ControlFlow<()> + Send),
    ) -> Result<(), StoreError> {
        each!(self, log => log.stream(Order::Time(filter), visit).await)
    }

    /// Reads every entry of the log, console by console and each chain from its start, those without a chain first, without
    /// holding them all.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn each_chain(
        &self,
        visit: &mut (dyn FnMut(KeptAction) -> ControlFlow<()> + Send),
    ) -> Result<(), StoreError> {
        each!(self, log => log.stream(Order::Chains, visit).await)
    }

    /// All that the log says about one suspect, oldest first, each entry with its place in its chain.
    ///
    /// # Errors
    /// The store's trouble; [`StoreError::Damaged`] names an entry that cannot be read.
    pub async fn about(&self, suspect: &str) -> Result<Vec<ActionRecord>, StoreError> {
        let filter = LogFilter { suspect: Some(suspect.to_owned()), ..LogFilter::default() };
        let mut all = Vec::new();
        self.each(&filter, &mut |kept| {
            all.push(kept);
            ControlFlow::Continue(())
        })
        .await?;
        self.readable(all).await
    }

    /// The entries, or which of them cannot be read.
    async fn readable(&self, entries: Vec<KeptAction>) -> Result<Vec<ActionRecord>, StoreError> {
        let place = each!(self, log => log.place());
        let damaged = |log_id: Option<i64>, why: &str| StoreError::Damaged {
            place: place.clone(),
            detail: format!(
                "{} cannot be read: {why}. `vigia audit verify` finds all such entries",
                log_id.map_or_else(|| "an entry".to_owned(), |id| format!("the entry {id}"))
            ),
        };
        entries.into_iter().map(|kept| kept.entry.map_err(|why| damaged(kept.log_id, &why))).collect()
    }

    /// The largest `log_id`; `None` while the log is empty.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn newest_id(&self) -> Result<Option<i64>, StoreError> {
        each!(self, log => log.newest_id().await)
    }

    /// The newest place in the chain of a console; 0 where it has none.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn newest_place(&self, console: Uuid) -> Result<i64, StoreError> {
        each!(self, log => log.newest_place(console).await)
    }

    /// The number of a console in its `log_id`s: the same whenever it asks, and nobody else's.
    ///
    /// # Errors
    /// [`StoreError::BadRecord`] when all numbers are given; otherwise the store's trouble.
    pub async fn claim(&self, console: Uuid) -> Result<u16, StoreError> {
        each!(self, log => log.claim(console).await)
    }

    /// Every console that has a number, with its number.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn consoles(&self) -> Result<Vec<(u16, Uuid)>, StoreError> {
        each!(self, log => log.consoles().await)
    }

    /// Gives a console the number that it has in another log.
    ///
    /// # Errors
    /// The store's trouble, also when the number or the console is there already.
    pub async fn number(&self, console: Uuid, number: u16) -> Result<(), StoreError> {
        each!(self, log => log.number(console, number).await)
    }
}

fn taken(record: &ActionRecord) -> StoreError {
    let id = record.log_id;
    StoreError::BadRecord(format!("there is another entry with the number {id}, or at its place in the chain"))
}

fn no_number_left() -> StoreError {
    StoreError::BadRecord(format!(
        "this log has seen {} consoles, as many as it can",
        u32::from(LogIds::MAX_CONSOLE) + 1
    ))
}

/// `_id`: like every MongoDB ObjectId four bytes of seconds and eight that make it unique, here `log_id`. The same entry
/// has the same `_id` wherever and however often it is delivered.
fn object_id(record: &ActionRecord) -> String {
    let seconds = (record.timestamp.0.div_euclid(1_000_000) & 0xffff_ffff).unsigned_abs();
    format!("{seconds:08x}{:016x}", record.log_id.cast_unsigned())
}

#[cfg(test)]
mod tests {
    //! What every backend does alike, each against a real one.
    use super::*;
    use crate::{
        audit::{Fault, Head, Verifier},
        model::Outcome,
        servers,
    };
    use serde_json::json;
    use std::time::Duration;

    struct Fresh {
        address: Address,
        _dir: tempfile::TempDir,
    }

    impl Fresh {
        async fn log(&self) -> ActionLog {
            ActionLog::connect(&self.address).await.unwrap()
        }
    }

    /// A new log of each backend.
    fn backends() -> [Fresh; 2] {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let embedded = Address::sqlite(&dir.path().join("log.sqlite"));
        let mongo = Address::parse(&servers::mongo().database()).unwrap();
        [Fresh { address: embedded, _dir: dir }, Fresh { address: mongo, _dir: other }]
    }

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
            details: json!({"camera": "Gate", "share": 0.1 + 0.2, "n": 3, "words": "à\n\"quoted\"", "a.b": {"$c": [1, null]}}),
            link: None,
        }
    }

    fn linked(head: &mut Head, mut record: ActionRecord) -> ActionRecord {
        record.link = Some(head.link(&record));
        record
    }

    #[tokio::test]
    async fn entries_read_back_as_they_were_written_newest_first() {
        for fresh in backends() {
            let log = fresh.log().await;
            assert_eq!(log.newest_id().await.unwrap(), None);
            let mut head = Head::new(Uuid::new_v4());
            let entries = [
                entry(1, Action::Login, Outcome::Refused("wrong password".to_owned())),
                linked(&mut head, entry(2, Action::Login, Outcome::Succeeded)),
                linked(&mut head, entry(3, Action::SelectSuspect, Outcome::Failed("the disk is full".to_owned()))),
                linked(&mut head, entry(4, Action::AccessLogs, Outcome::Succeeded)),
            ];
            for e in &entries {
                log.append(e).await.unwrap();
                log.append(e).await.unwrap(); // delivered twice, written once
            }
            let reopened = fresh.log().await;
            let read = reopened.page(&LogFilter::default(), None, 3).await.unwrap();
            assert_eq!(read, entries[1..].iter().rev().cloned().collect::<Vec<_>>(), "{}", fresh.address);
            assert_eq!(reopened.newest_id().await.unwrap(), Some(4));
            assert_eq!(reopened.newest_place(head.console).await.unwrap(), 3);
            assert_eq!(reopened.newest_place(Uuid::new_v4()).await.unwrap(), 0);
        }
    }

    #[tokio::test]
    async fn an_entry_cannot_be_forged_under_a_number_or_at_a_place_that_is_taken() {
        for fresh in backends() {
            let log = fresh.log().await;
            let mut head = Head::new(Uuid::new_v4());
            let first = linked(&mut head, entry(7, Action::Login, Outcome::Refused("wrong password".to_owned())));
            log.append(&first).await.unwrap();
            let forged = ActionRecord { outcome: Outcome::Succeeded, ..first.clone() };
            assert!(log.append(&forged).await.unwrap_err().is_bad_record());
            let same_place = ActionRecord { log_id: 8, ..first.clone() };
            assert!(log.append(&same_place).await.unwrap_err().is_bad_record());
            let odd = ActionRecord { log_accessed: Some(1), ..entry(9, Action::Logout, Outcome::Succeeded) };
            assert!(log.append(&odd).await.unwrap_err().is_bad_record());
            assert_eq!(log.page(&LogFilter::default(), None, 10).await.unwrap(), [first]);
        }
    }

    #[tokio::test]
    async fn filters_hold_together_and_pages_follow_each_other() {
        for fresh in backends() {
            let log = fresh.log().await;
            for n in 1..=40 {
                let action = if n % 2 == 0 { Action::SelectSuspect } else { Action::Login };
                let mut e = entry(n, action, Outcome::Succeeded);
                e.user_cc = format!("user {}", n % 3);
                e.target = (n % 4 == 0).then(|| "suspect".to_owned());
                e.details = json!({ "camera": format!("camera {}", n % 5) });
                log.append(&e).await.unwrap();
            }
            let ids = async |filter: &LogFilter| -> Vec<i64> {
                log.page(filter, None, 100).await.unwrap().iter().map(|e| e.log_id).collect()
            };
            let at = |n: i64| Some(Timestamp(1_795_000_000_000_001 + n));
            let filter =
                LogFilter { user: Some("user 1".to_owned()), from: at(10), until: at(20), ..LogFilter::default() };
            assert_eq!(ids(&filter).await, [19, 16, 13, 10], "user and time together ({})", fresh.address);
            let filter = LogFilter { suspect: Some("suspect".to_owned()), until: at(13), ..LogFilter::default() };
            assert_eq!(ids(&filter).await, [12, 8, 4]);
            let filter =
                LogFilter { action: Some(Action::Login), camera: Some("camera 0".to_owned()), ..LogFilter::default() };
            assert_eq!(ids(&filter).await, [35, 25, 15, 5]);
            let (mut seen, mut before): (Vec<i64>, Option<LogCursor>) = (Vec::new(), None);
            loop {
                let page = log.read(&LogFilter::default(), before.as_ref(), 7).await.unwrap();
                seen.extend(page.entries.iter().filter_map(|kept| kept.log_id));
                before = page.older;
                if before.is_none() {
                    break;
                }
            }
            assert_eq!(seen, (1..=40).rev().collect::<Vec<_>>());
        }
    }

    #[tokio::test]
    async fn consoles_get_numbers_of_their_own_and_keep_them() {
        for fresh in backends() {
            let (a, b) = (fresh.log().await, fresh.log().await);
            let consoles: [Uuid; 6] = std::array::from_fn(|_| Uuid::new_v4());
            let claims = futures_util::future::join_all(consoles.iter().enumerate().map(|(i, console)| {
                let log = if i % 2 == 0 { a.clone() } else { b.clone() };
                async move { log.claim(*console).await.unwrap() }
            }))
            .await;
            let mut numbers = claims.clone();
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(numbers.len(), 6, "{claims:?}");
            assert_eq!(a.claim(consoles[3]).await.unwrap(), claims[3]);
        }
    }

    async fn verify(log: &ActionLog, head: Head) -> Vec<(Option<i64>, Fault)> {
        let mut verifier = Verifier::default();
        verifier.own_end(head);
        log.each_chain(&mut |kept| {
            verifier.kept(&kept);
            ControlFlow::Continue(())
        })
        .await
        .unwrap();
        verifier.ends_at(head);
        verifier.finish().1.into_iter().map(|f| (f.seq, f.fault)).collect()
    }

    /// Somebody edits the store itself, behind Vigia's back and with all rights.
    #[tokio::test]
    async fn interference_with_the_store_is_found_and_located() {
        type Edit = (&'static str, fn(&mut Vec<ActionRecord>), (Option<i64>, Fault));
        let edits: [Edit; 6] = [
            ("change", |log| log[3].user_name = "Somebody Else".to_owned(), (Some(4), Fault::Changed)),
            ("delete", |log| drop(log.remove(4)), (Some(5), Fault::Missing { count: 1 })),
            ("truncate", |log| log.truncate(8), (Some(9), Fault::Truncated { count: 2 })),
            (
                "swap",
                |log| {
                    let (a, b) = (log[1].link.unwrap().seq, log[5].link.unwrap().seq);
                    log[1].link.as_mut().unwrap().seq = b;
                    log[5].link.as_mut().unwrap().seq = a;
                },
                (Some(2), Fault::Changed),
            ),
            (
                "append",
                |log| {
                    let link = log[9].link.unwrap();
                    let mut head = Head { console: link.console, seq: link.seq, hash: link.hash };
                    let forged = ActionRecord { log_id: 99, ..log[9].clone() };
                    log.push(linked(&mut head, forged));
                },
                (Some(11), Fault::Forged),
            ),
            ("unlink", |log| log[6].link = None, (None, Fault::Unchained)),
        ];
        for (what, edit, expected) in edits {
            for fresh in backends() {
                let log = fresh.log().await;
                let mut head = Head::new(Uuid::new_v4());
                let mut entries: Vec<_> =
                    (1..=10).map(|n| linked(&mut head, entry(n * 10, Action::Login, Outcome::Succeeded))).collect();
                for e in &entries {
                    log.append(e).await.unwrap();
                }
                assert_eq!(verify(&log, head).await, [], "{}", fresh.address);
                edit(&mut entries);
                match log.0.there().unwrap() {
                    Backend::Embedded(log) => log.replace_everything(&entries).await,
                    Backend::Mongo(log) => log.replace_everything(&entries).await,
                }
                assert_eq!(verify(&log, head).await[0], expected, "{what} ({})", fresh.address);
            }
        }
    }

    /// `camera`, `suspect` and `_id` are not in the hash: they follow from the entry, and must go on doing so. A cell that cannot
    /// be read is found at its place and hides no other entry.
    #[tokio::test]
    async fn fields_beside_the_hash_and_cells_that_cannot_be_read_are_found_at_their_place() {
        for (field, fault) in [
            ("camera", Fault::Misfiled),
            ("suspect", Fault::Misfiled),
            ("_id", Fault::Misfiled),
            ("details", Fault::Unreadable),
        ] {
            for fresh in backends() {
                let log = fresh.log().await;
                let mut head = Head::new(Uuid::new_v4());
                for n in 1..=9 {
                    let e = linked(&mut head, entry(n * 10, Action::SelectSuspect, Outcome::Succeeded));
                    log.append(&e).await.unwrap();
                }
                match log.0.there().unwrap() {
                    Backend::Embedded(log) => log.spoil(50, field).await,
                    Backend::Mongo(log) => log.spoil(50, field).await,
                }
                assert_eq!(verify(&log, head).await, [(Some(5), fault)], "{field} ({})", fresh.address);
                let page = log.read(&LogFilter::default(), None, 9).await.unwrap();
                let readable: Vec<_> = page.entries.iter().filter(|k| k.entry.is_ok()).map(|k| k.log_id).collect();
                let spoilt = usize::from(fault == Fault::Unreadable);
                assert_eq!((page.entries.len(), readable.len()), (9, 9 - spoilt), "{field} ({})", fresh.address);
                if fault == Fault::Unreadable {
                    let error = log.page(&LogFilter::default(), None, 9).await.unwrap_err().to_string();
                    assert!(error.contains("entry 50") && error.contains("vigia audit verify"), "{error}");
                }
            }
        }
    }

    #[tokio::test]
    async fn an_account_that_may_only_insert_and_find_is_enough() {
        let server = servers::mongo();
        let full = server.database();
        let owner = ActionLog::connect(&Address::parse(&full).unwrap()).await.unwrap(); // makes collection and indexes
        let limited = Address::parse(&server.restricted(&full, "")).unwrap(); // every collection of the database
        let log = ActionLog::connect(&limited).await.unwrap();
        let console = Uuid::new_v4();
        assert_eq!(log.claim(console).await.unwrap(), log.claim(console).await.unwrap());
        let first = entry(1, Action::Login, Outcome::Succeeded);
        log.append(&first).await.unwrap();
        log.append(&first).await.unwrap();
        assert_eq!(owner.page(&LogFilter::default(), None, 10).await.unwrap(), [first]);
    }

    #[tokio::test]
    async fn a_wrong_password_and_a_dead_server_are_told_apart_and_never_show_the_password() {
        let server = servers::Mongo::start();
        let good = server.database();
        let secret = good.split_once("://").unwrap().1.split_once('@').unwrap().0.split_once(':').unwrap().1.to_owned();
        let wrong = Address::parse(&good.replace(&secret, "not-the-password")).unwrap();
        let error = ActionLog::connect(&wrong).await.unwrap_err();
        assert!(matches!(error, StoreError::Denied { .. }), "{error:?}");
        assert!(!error.to_string().contains("not-the-password"));
        let log = ActionLog::connect(&Address::parse(&good).unwrap()).await.unwrap();
        let first = entry(1, Action::Login, Outcome::Succeeded);
        log.append(&first).await.unwrap();
        server.kill();
        let second = entry(2, Action::Login, Outcome::Succeeded);
        let error = tokio::time::timeout(Duration::from_secs(30), log.append(&second)).await.unwrap().unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        assert!(!error.to_string().contains(&secret), "{error}");
        server.restart();
        log.append(&second).await.unwrap();
        assert_eq!(log.page(&LogFilter::default(), None, 10).await.unwrap(), [second, first]);
    }
}
