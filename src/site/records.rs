//! What a site keeps: its stores, the journal before them, and the audit trail. A running site and the command line work on
//! the same.
use super::{SiteConfig, SiteError, WhenUnreachable, console_user, owed::UnderWay, recording::Recording};
use crate::{
    audit::{Anchors, Head, chain},
    model::{Action, ActionRecord, Clock, Outcome},
    store::{DataFolder, LogIds, StoreError, Stores},
    supervise::Supervisor,
    sync::{Delivery, Journal},
};
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock},
};
use uuid::Uuid;

/// Who acts: a user's number and name, or the console itself.
pub type Actor<'a> = (&'a str, &'a str);

/// The stores of a site with their journal, delivery and audit trail.
pub(super) struct Records {
    pub stores: Stores,
    pub journal: Journal,
    pub delivery: Delivery,
    pub clock: Arc<dyn Clock>,
    /// The owner of every thread and task.
    pub supervisor: Supervisor,
    /// Which console this is.
    pub console: String,
    /// The data folder.
    pub data: PathBuf,
    /// What the administrator should know about how the records were found.
    pub warning: Option<String>,
    /// What becomes of an action whose entry cannot reach the log now.
    pub when_unreachable: WhenUnreachable,
    pub(super) anchors: Anchors,
    /// The head written down last.
    pub(super) anchored: Mutex<Option<Head>>,
    /// Who records here, where this site does: knows of video that no store tells of yet.
    pub recording: OnceLock<Arc<Recording>>,
    /// What sweeps under way still add to.
    pub(super) owing: UnderWay,
    log_ids: LogIds,
}

impl Records {
    /// Opens everything, delivers what an earlier run left in the journal, and claims this console's number.
    ///
    /// # Errors
    /// The first store that cannot be used says why.
    pub async fn open(folder: &DataFolder, config: &SiteConfig, clock: Arc<dyn Clock>) -> Result<Self, SiteError> {
        let stores = Stores::open(folder, &config.stores).await?;
        let journal = Journal::open(folder.journal(), Arc::clone(&clock)).await?;
        let supervisor = Supervisor::default();
        let delivery = Delivery::spawn(journal.clone(), stores.clone(), Arc::clone(&clock), &supervisor);
        DataFolder::exports_in(folder.path()).remove(); // of an export that a crash broke off
        // What an earlier run left in the journal comes first, so that what is read next is whole.
        delivery.flush().await;
        let (head, number) = journal.chain().await?;
        // None while the log is away: then what somebody put in meanwhile is found by the next verification.
        let newest = or_away(stores.actions.newest_id().await)?.flatten().max(journal.newest_log_id().await?);
        let beyond = or_away(stores.actions.newest_place(head.console).await)?.unwrap_or(0);
        let strange = beyond > head.seq;
        let number = match number.filter(|_| !strange) {
            Some(number) => number,
            None if strange => begin_chain(&stores, &journal, &clock, newest, (head, beyond)).await?,
            // Without a number nothing can be recorded: the first start of a console needs the log once.
            None => {
                let number = stores.actions.claim(head.console).await?;
                journal.set_console_number(number).await?;
                number
            }
        };
        // Entries of an earlier run may still be in the journal: both count.
        let newest = newest.max(journal.newest_log_id().await?);
        let console = journal.chain().await?.0.console.to_string();
        Ok(Self {
            supervisor,
            owing: UnderWay::default(),
            log_ids: LogIds::new(number, Arc::clone(&clock), newest),
            anchors: Anchors::new(folder.anchors()).locked_in(&stores.objects, config.audit.lock_for()),
            data: folder.path().to_owned(),
            when_unreachable: config.audit.when_unreachable,
            anchored: Mutex::default(),
            recording: OnceLock::new(),
            warning: strange.then(|| {
                let count = beyond - head.seq;
                format!(
                    "The action log holds {count} entries that this console's journal does not know of: the journal was put \
                     back from a backup, or somebody wrote into the log. Verify the log"
                )
            }),
            stores,
            journal,
            delivery,
            clock,
            console,
        })
    }

    /// An entry of the action log, to be committed with what it is about.
    pub fn entry(&self, who: Actor<'_>, action: Action, outcome: Outcome) -> ActionRecord {
        entry(&self.log_ids, self.clock.as_ref(), who, action, outcome)
    }
}

/// The store's answer; `None` where it does not answer now.
pub(super) fn or_away<T>(answer: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.is_away() => Ok(None),
        Err(error) => Err(error),
    }
}

fn entry(log_ids: &LogIds, clock: &dyn Clock, who: Actor<'_>, action: Action, outcome: Outcome) -> ActionRecord {
    ActionRecord {
        log_id: log_ids.next_id(),
        user_cc: who.0.to_owned(),
        user_name: who.1.to_owned(),
        action,
        log_accessed: None,
        timestamp: clock.now(),
        outcome,
        target: None,
        details: serde_json::Value::Null,
        link: None,
    }
}

/// The log has more of this console's chain than the journal knows of. A journal that was put back from a backup would write
/// over it; an entry that somebody forged behind the newest one would be taken for ours. So a new chain begins, and its first
/// entry says where the old one ended as far as is known: what stands behind that is not ours unless an anchor saw it.
/// Returns the number of the new console.
async fn begin_chain(
    stores: &Stores,
    journal: &Journal,
    clock: &Arc<dyn Clock>,
    newest: Option<i64>,
    (known, beyond): (Head, i64),
) -> Result<u16, SiteError> {
    let console = Uuid::new_v4();
    let number = stores.actions.claim(console).await?;
    let log_ids = LogIds::new(number, Arc::clone(clock), newest);
    let mut first = entry(&log_ids, clock.as_ref(), (&console_user(), ""), Action::BeginChain, Outcome::Succeeded);
    first.details = chain::ended(known);
    if let Some(details) = first.details.as_object_mut() {
        details.insert("found".to_owned(), beyond.into());
    }
    journal.begin_chain(console, number, &first).await?;
    tracing::error!(console = %known.console, known = known.seq, found = beyond, "the log holds entries that are not known here");
    Ok(number)
}
