//! Copies a whole site to other stores, embedded ones or servers: first it is seen that the target holds nothing but a part of this
//! very copy, then what is missing is added, then all of it is compared both ways. Nothing at the source is changed but for the entry of
//! the log that says so, nothing at the target is replaced. Broken off and begun again it goes on where it was.
use super::{
    SiteConfig, SiteError,
    records::{Actor, Records},
};
use crate::{
    audit::{self, Anchors, Finding},
    model::{Action, Hash, Outcome},
    store::{
        ActionLog, Address, DataFolder, FolderError, LogFilter, ObjectStore, StoreError, Stores, sql::SqlDatabase,
    },
    sync::{JournalError, Record},
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};
use uuid::Uuid;

/// Entries of the log that are read and written at once.
const PAGE: u32 = 1000;
/// Objects under way at once: a server answers each after a while.
const AT_ONCE: usize = 8;
/// The room of the anchors, which are no objects of records.
const ANCHORS: &str = "anchors";

/// Why a site was not copied, in words for the administrator.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// Nothing to do.
    #[error("both configurations name the same stores: there is nothing to copy")]
    Same,
    /// Somebody works with it.
    #[error("{others} other consoles are connected to {place}. Close them, then try again")]
    InUse {
        /// Which database.
        place: String,
        /// How many.
        others: i64,
    },
    /// The source is not whole.
    #[error(
        "{0} records still wait in the journal for their store, so that a copy would not be whole. `vigia check` says which store does not take them"
    )]
    Waiting(u64),
    /// The source's folder is not whole.
    #[error(
        "{} still holds video or uploads on their way: start the console once more, let it finish and close it; or keep this \
         data folder and leave out --to-data-dir", .0.display()
    )]
    OnTheWay(PathBuf),
    /// The target is not empty.
    #[error(
        "the {store} to copy to hold something else already: {what}. Name empty stores, or move away what is there"
    )]
    HoldsOther {
        /// Which store.
        store: &'static str,
        /// What.
        what: String,
    },
    /// What was copied is not what is there.
    #[error("the copy is not the same: {0}. Nothing was lost: the site is still where it was")]
    NotTheSame(String),
    /// An entry that cannot be copied as it is.
    #[error("the action log holds entries that cannot be read: {0}. `vigia audit verify` names them all")]
    Unreadable(String),
    /// A data folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It could not be recorded.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Anything else.
    #[error(transparent)]
    Site(#[from] SiteError),
}

impl MigrateError {
    fn outcome(&self) -> Outcome {
        match self {
            Self::Same | Self::InUse { .. } | Self::Waiting(_) | Self::OnTheWay(_) | Self::HoldsOther { .. } => {
                Outcome::Refused(self.to_string())
            }
            _ => Outcome::Failed(self.to_string()),
        }
    }
}

type Result<T> = std::result::Result<T, MigrateError>;

/// How far a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MigrateStep<'a> {
    /// What is done, such as `copying detections`.
    pub what: &'a str,
    /// So much of it.
    pub done: u64,
    /// Of so much, where that is known.
    pub of: Option<u64>,
}

/// Called now and then.
pub type MigrateProgress<'a> = &'a (dyn Fn(MigrateStep<'_>) + Send + Sync);

/// What was copied, or was there already, and is the same on both sides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Migrated {
    /// Rows of the users' and the cameras' database, by table.
    pub rows: BTreeMap<String, u64>,
    /// Objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Entries of the action log.
    pub entries: u64,
    /// What is wrong with the log, here as there; nothing of it came by copying.
    pub findings: Vec<Finding>,
}

/// A copy under way.
struct Migration<'a> {
    records: &'a Records,
    to: Stores,
    anchors: Anchors,
    /// Which stores have another address: users, cameras, action log, objects, suspect state.
    moves: [bool; 5],
    progress: MigrateProgress<'a>,
}

impl Records {
    /// Copies the site, whose stores are at `here`, to those of `config`, where the embedded ones are in `folder`. Recorded, with its
    /// outcome, in the log that is copied.
    ///
    /// # Errors
    /// [`MigrateError`]; it is recorded, too.
    pub async fn migrate(
        &self,
        who: Actor<'_>,
        here: [Address; 5],
        config: &SiteConfig,
        folder: &DataFolder,
        progress: MigrateProgress<'_>,
    ) -> Result<Migrated> {
        let there = config.stores.in_folder(folder);
        let mut migration = None;
        let migrated = async {
            let moves: [bool; 5] = std::array::from_fn(|i| here.get(i) != there.get(i));
            if !moves.contains(&true) {
                return Err(MigrateError::Same);
            }
            if folder.path() != self.data {
                let here = &self.data;
                let is_idle = is_empty(&here.join("spool")) && is_empty_list(&here.join("uploads.json"));
                if !is_idle {
                    return Err(MigrateError::OnTheWay(here.clone()));
                }
            }
            let to = Stores::open(folder, &config.stores).await?;
            let anchors = Anchors::new(folder.anchors()).locked_in(&to.objects, config.audit.lock_for());
            migration.insert(Migration { records: self, to, anchors, moves, progress }).run().await
        };
        let migrated = migrated.await;
        let outcome = migrated.as_ref().map_or_else(MigrateError::outcome, |_| Outcome::Succeeded);
        let mut entry = self.entry(who, Action::MigrateSite, outcome);
        entry.details =
            json!({ "from": here, "to": there, "data_folder": folder.path(), "copied": migrated.as_ref().ok() });
        self.journal.append(&[Record::Action(entry)]).await?;
        let migrated = migrated?;
        if let Some(migration) = &migration {
            migration.finish().await?;
        }
        Ok(migrated)
    }
}

fn is_empty(folder: &std::path::Path) -> bool {
    std::fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none())
}

fn is_empty_list(file: &std::path::Path) -> bool {
    let Ok(text) = std::fs::read(file) else { return true };
    serde_json::from_slice::<Vec<serde_json::Value>>(&text).is_ok_and(|all| all.is_empty())
}

impl Migration<'_> {
    async fn run(&self) -> Result<Migrated> {
        let from = &self.records.stores;
        if !self.records.delivery.flush().await {
            return Err(MigrateError::Waiting(self.records.journal.backlog()));
        }
        self.nobody_else().await?;
        let [users, cameras, actions, objects, suspects] = self.moves;
        let databases = [
            (users, "users", from.users.database(), self.to.users.database()),
            (cameras, "cameras", from.cameras.database(), self.to.cameras.database()),
        ];
        let databases = databases.into_iter().filter(|(moves, ..)| *moves);

        // First it is seen whether there is room, everywhere.
        for (_, store, here, there) in databases.clone() {
            self.only_a_part(store, here, there).await?;
        }
        let files = if objects { self.objects_to_copy().await? } else { Objects::default() };
        let entries = if actions { Some(self.entries_to_copy().await?) } else { None };
        if suspects {
            self.only_known_suspects().await?;
        }

        let mut migrated = Migrated::default();
        for (_, _, here, there) in databases.clone() {
            for table in here.tables_shared_with(there).await? {
                let what = format!("copying {}", table.name);
                table.compare(here, there, true, &|done| self.tell(&what, done, None)).await?;
            }
        }
        self.copy_objects(&files).await?;
        if let Some(there) = &entries {
            self.copy_log(there).await?;
        }
        let witnesses = self.records.anchors.all().await?;
        self.anchors.take_over(&witnesses, self.records.clock.now()).await?;

        // Then everything is compared, both ways.
        for (_, store, here, there) in databases {
            for table in here.tables_shared_with(there).await? {
                let what = format!("comparing {}", table.name);
                let looked = table.compare(here, there, false, &|done| self.tell(&what, done, None)).await?;
                let back = table.compare(there, here, false, &|_| {}).await?;
                if looked.missing + looked.different + back.missing > 0 || looked.rows != back.rows {
                    let of = looked.missing + looked.different + back.missing;
                    return Err(MigrateError::NotTheSame(format!("{of} rows of {} in {store} differ", table.name)));
                }
                migrated.rows.insert(table.name, looked.rows);
            }
        }
        self.compare_objects(&files).await?;
        (migrated.objects, migrated.bytes) = (files.here.len() as u64, files.here.values().sum());
        if actions {
            let (here, there) = (digests(&from.actions).await?, digests(&self.to.actions).await?);
            if here != there {
                return Err(MigrateError::NotTheSame("an entry of the action log differs".to_owned()));
            }
            migrated.entries = here.len() as u64;
            let (_, findings) = self.records.verdict(&|done| self.tell("verifying the log", done, None)).await?;
            let copied = self.anchors.all().await?;
            let tell = |done| self.tell("verifying the copied log", done, None);
            let (_, found) = self.records.verdict_of(&self.to.actions, copied, &tell).await?;
            if found != findings {
                return Err(MigrateError::NotTheSame("the chains of the action log do not verify alike".to_owned()));
            }
            migrated.findings = findings;
        }
        Ok(migrated)
    }

    fn tell(&self, what: &str, done: u64, of: Option<u64>) {
        (self.progress)(MigrateStep { what, done, of });
    }

    /// No other console works with the databases. (The data folders are locked.)
    async fn nobody_else(&self) -> Result<()> {
        let from = &self.records.stores;
        for stores in [from, &self.to] {
            for (place, database) in [("users", stores.users.database()), ("cameras", stores.cameras.database())] {
                let others = database.others().await?;
                if others > 0 {
                    return Err(MigrateError::InUse { place: format!("the database of {place}"), others });
                }
            }
        }
        Ok(())
    }

    async fn only_a_part(&self, store: &'static str, here: &SqlDatabase, there: &SqlDatabase) -> Result<()> {
        for table in here.tables_shared_with(there).await? {
            let what = format!("looking at {}", table.name);
            let found = table.compare(there, here, false, &|done| self.tell(&what, done, None)).await?;
            let other = found.missing + found.different;
            if other > 0 {
                return Err(MigrateError::HoldsOther { store, what: format!("{other} rows of {}", table.name) });
            }
        }
        Ok(())
    }

    async fn only_known_suspects(&self) -> Result<()> {
        let known: BTreeSet<Uuid> = self.records.stores.cameras.suspects().await?.into_iter().map(|s| s.id).collect();
        let there = self.to.suspects.suspects().await?;
        let strange = there.iter().filter(|followed| !known.contains(&followed.suspect.id)).count();
        if strange > 0 {
            let what = format!("{strange} suspects of another site");
            return Err(MigrateError::HoldsOther { store: "suspect state", what });
        }
        Ok(())
    }

    async fn objects_to_copy(&self) -> Result<Objects> {
        let (here, there) = (all_objects(&self.records.stores.objects).await?, all_objects(&self.to.objects).await?);
        if let Some((key, _)) = there.iter().find(|(key, size)| here.get(*key) != Some(size)) {
            return Err(MigrateError::HoldsOther { store: "objects", what: key.clone() });
        }
        let missing = here.keys().filter(|key| !there.contains_key(*key)).cloned().collect();
        Ok(Objects { here, missing })
    }

    async fn copy_objects(&self, objects: &Objects) -> Result<()> {
        let (done, of) = (AtomicU64::new(0), objects.missing.len() as u64);
        let done = &done;
        let copy = |key: String| async move {
            self.copy_object(&key).await?;
            self.tell("copying objects", done.fetch_add(1, Ordering::Relaxed) + 1, Some(of));
            Ok::<_, MigrateError>(())
        };
        stream::iter(objects.missing.clone()).map(copy).buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn copy_object(&self, key: &str) -> Result<()> {
        let (here, there) = (&self.records.stores.objects, &self.to.objects);
        if let Some(file) = here.local_file(key) {
            return Ok(there.put_file(key, &file, &|_| {}).await?);
        }
        let copy = DataFolder::scratch_in(&self.records.data).file(&format!("migrate-{}", Uuid::new_v4()))?;
        let copied = async {
            if here.get_to_file(key, &copy).await? { there.put_file(key, &copy, &|_| {}).await } else { Ok(()) }
        };
        let copied = copied.await;
        let _ = std::fs::remove_file(&copy); // may not be there
        Ok(copied?) // one that went away meanwhile is missed by the comparison
    }

    async fn compare_objects(&self, objects: &Objects) -> Result<()> {
        if objects.here.is_empty() {
            return Ok(());
        }
        let (here, there) = (&self.records.stores.objects, &self.to.objects);
        if all_objects(there).await? != objects.here {
            return Err(MigrateError::NotTheSame("an object is missing".to_owned()));
        }
        let (done, of) = (AtomicU64::new(0), objects.here.len() as u64);
        let done = &done;
        let compare = |key: String| async move {
            let (a, b) = (here.hash(&key).await?, there.hash(&key).await?);
            self.tell("comparing objects", done.fetch_add(1, Ordering::Relaxed) + 1, Some(of));
            if a.is_none() || a != b {
                Err(MigrateError::NotTheSame(format!("the object {key} differs")))
            } else {
                Ok(())
            }
        };
        let keys: Vec<String> = objects.here.keys().cloned().collect();
        stream::iter(keys).map(compare).buffer_unordered(AT_ONCE).try_collect().await
    }

    /// The entries that the target has already.
    async fn entries_to_copy(&self) -> Result<BTreeMap<i64, Hash>> {
        let (from, to) = (&self.records.stores.actions, &self.to.actions);
        let (here, there) = (digests(from).await?, digests(to).await?);
        let strange = there.iter().filter(|(id, digest)| here.get(id) != Some(digest)).count();
        if strange > 0 {
            let what = format!("{strange} entries of another log");
            return Err(MigrateError::HoldsOther { store: "action log", what });
        }
        let (here, numbers) = (from.consoles().await?, to.consoles().await?);
        if numbers.iter().any(|console| !here.contains(console)) {
            let what = "consoles of another site".to_owned();
            return Err(MigrateError::HoldsOther { store: "action log", what });
        }
        Ok(there)
    }

    async fn copy_log(&self, there: &BTreeMap<i64, Hash>) -> Result<()> {
        let (from, to) = (&self.records.stores.actions, &self.to.actions);
        let numbers = to.consoles().await?;
        for (number, console) in from.consoles().await? {
            if !numbers.contains(&(number, console)) {
                to.number(console, number).await?;
            }
        }
        let (mut before, mut done) = (None, 0);
        loop {
            let page = from.read(&LogFilter::default(), before.as_ref(), PAGE).await?;
            done += page.entries.len() as u64;
            let entries = page.entries.into_iter().filter_map(|kept| kept.entry.ok());
            let missing: Vec<_> = entries.filter(|entry| !there.contains_key(&entry.log_id)).collect();
            to.append_all(&missing).await?;
            self.tell("copying the action log", done, None);
            before = page.older;
            if before.is_none() {
                return Ok(());
            }
        }
    }

    /// The entry about the copy is copied itself, and with it the chain as far as it goes now.
    async fn finish(&self) -> Result<()> {
        let records = self.records;
        if !records.delivery.flush().await {
            return Err(MigrateError::Waiting(records.journal.backlog()));
        }
        records.anchor().await?;
        let [_, _, actions, ..] = self.moves;
        if actions {
            let newest = records.stores.actions.page(&LogFilter::default(), None, PAGE).await?;
            self.to.actions.append_all(&newest).await?;
            let head = records.journal.chain().await?.0;
            if self.to.actions.newest_place(head.console).await? != head.seq {
                return Err(MigrateError::NotTheSame("the newest entry of the log is missing".to_owned()));
            }
        }
        Ok(self.anchors.take_over(&records.anchors.all().await?, records.clock.now()).await?)
    }
}

/// The objects of a site.
#[derive(Default)]
struct Objects {
    /// Keys and lengths.
    here: BTreeMap<String, u64>,
    /// Those that are to be copied.
    missing: Vec<String>,
}

/// Keys and lengths of all objects but the anchors.
async fn all_objects(store: &ObjectStore) -> Result<BTreeMap<String, u64>> {
    let mut all = BTreeMap::new();
    for room in store.rooms().await?.iter().filter(|room| *room != ANCHORS) {
        all.extend(store.list(room, None, usize::MAX).await?.into_iter().map(|o| (o.key, o.size)));
    }
    Ok(all)
}

/// A hash of each entry with everything in it.
async fn digests(log: &ActionLog) -> Result<BTreeMap<i64, Hash>> {
    let (mut all, mut unreadable) = (BTreeMap::new(), None);
    let mut take = |kept: crate::model::KeptAction| match kept.entry {
        Ok(entry) => {
            all.insert(entry.log_id, audit::digest(&entry));
            ControlFlow::Continue(())
        }
        Err(why) => {
            unreadable = Some(why);
            ControlFlow::Break(())
        }
    };
    log.each(&LogFilter::default(), &mut take).await?;
    unreadable.map_or(Ok(all), |why| Err(MigrateError::Unreadable(why)))
}
