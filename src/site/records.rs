//! What a site keeps: its stores, the journal before them, and the audit trail. A running site and the command line work on
//! the same.
use super::{SiteConfig, SiteError};
use crate::{
    audit::{Anchor, Anchors, Export, Finding, Format, Head, Verifier, export},
    model::{Action, ActionRecord, Clock, Outcome},
    store::{DataFolder, LogFilter, LogIds, StoreError, Stores, file, sqlite::io_error},
    sync::{Delivery, Journal, Record},
};
use serde_json::json;
use std::{
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Entries read from the log at once where all of them are read.
const PAGE: u32 = 1000;

/// Who acts: a user's number and name, or the console itself.
pub type Actor<'a> = (&'a str, &'a str);

/// The stores of a site with their journal, delivery and audit trail.
pub(super) struct Records {
    pub stores: Stores,
    pub journal: Journal,
    pub delivery: Delivery,
    pub clock: Arc<dyn Clock>,
    /// Which console this is.
    pub console: String,
    /// The data folder.
    pub data: PathBuf,
    log_ids: LogIds,
    anchors: Anchors,
    /// The head written down last.
    anchored: Mutex<Option<Head>>,
}

impl Records {
    /// Opens everything, delivers what an earlier run left in the journal, and claims this console's number.
    ///
    /// # Errors
    /// The first store that cannot be used says why.
    pub async fn open(folder: &DataFolder, config: &SiteConfig, clock: Arc<dyn Clock>) -> Result<Self, SiteError> {
        let stores = Stores::open(folder, &config.stores).await?;
        let journal = Journal::open(folder.journal(), Arc::clone(&clock)).await?;
        let delivery = Delivery::spawn(journal.clone(), stores.clone(), Arc::clone(&clock));
        let _ = std::fs::remove_dir_all(DataFolder::exports_in(folder.path())); // of an export that a crash broke off
        // What an earlier run left in the journal comes first, so that what is read next is whole.
        delivery.flush().await;
        let (head, number) = journal.chain().await?;
        let (console, number) =
            if or_away(stores.actions.newest_place(head.console).await)?.is_some_and(|newest| newest > head.seq) {
                // The journal was put back from a backup: its chain would write over what the log has.
                journal.begin_chain().await?;
                (journal.chain().await?.0.console, None)
            } else {
                (head.console, number)
            };
        let number = match number {
            Some(number) => number,
            // Without a number nothing can be recorded: the first start of a console needs the log once.
            None => {
                let number = stores.actions.claim(console).await?;
                journal.set_console_number(number).await?;
                number
            }
        };
        // Entries of an earlier run may still be in the journal: both count.
        let newest = or_away(stores.actions.newest_id().await)?.flatten().max(journal.newest_log_id().await?);
        Ok(Self {
            log_ids: LogIds::new(number, Arc::clone(&clock), newest),
            anchors: Anchors::new(folder.anchors()),
            data: folder.path().to_owned(),
            anchored: Mutex::default(),
            stores,
            journal,
            delivery,
            clock,
            console: console.to_string(),
        })
    }

    /// An entry of the action log, to be committed with what it is about.
    pub fn entry(&self, who: Actor<'_>, action: Action, outcome: Outcome) -> ActionRecord {
        ActionRecord {
            log_id: self.log_ids.next_id(),
            user_cc: who.0.to_owned(),
            user_name: who.1.to_owned(),
            action,
            log_accessed: None,
            timestamp: self.clock.now(),
            outcome,
            target: None,
            details: serde_json::Value::Null,
            link: None,
        }
    }

    /// Writes the head of this console's chain down outside the log, if it moved since the last time.
    ///
    /// # Errors
    /// The journal's or the anchors' trouble.
    pub async fn anchor(&self) -> Result<(), SiteError> {
        let (head, _) = self.journal.chain().await?;
        if head.seq == 0 || *self.anchored.lock().unwrap_or_else(PoisonError::into_inner) == Some(head) {
            return Ok(());
        }
        let (anchors, now) = (self.anchors.clone(), self.clock.now());
        tokio::task::spawn_blocking(move || anchors.add(&head, now))
            .await
            .map_err(|e| SiteError::Threads(std::io::Error::other(e)))??;
        *self.anchored.lock().unwrap_or_else(PoisonError::into_inner) = Some(head);
        Ok(())
    }

    /// Checks the whole action log: every chain, every anchor, and the end of this console's own chain.
    ///
    /// # Errors
    /// The stores' trouble: then nothing is known.
    pub async fn verify_log(&self) -> Result<(u64, Vec<Finding>), SiteError> {
        self.delivery.flush().await;
        let (own, _) = self.journal.chain().await?;
        let mut verifier = Verifier::new(self.anchors.all()?);
        let mut after: Option<ActionRecord> = None;
        loop {
            let page = self.stores.actions.chained(after.as_ref(), PAGE).await?;
            page.iter().for_each(|entry| verifier.entry(entry));
            match page.into_iter().next_back() {
                Some(last) => after = Some(last),
                None => break,
            }
        }
        // Entries that still wait in the journal are not missing from the log.
        if self.journal.backlog() == 0 {
            verifier.ends_at(own);
        }
        Ok(verifier.finish())
    }

    /// Writes the entries that pass the filter to a file, whole or not at all, and records that.
    ///
    /// # Errors
    /// The store's or the file's trouble; the attempt is recorded all the same.
    pub async fn export_log(
        &self,
        who: Actor<'_>,
        filter: &LogFilter,
        format: Format,
        to: &Path,
    ) -> Result<u64, SiteError> {
        self.delivery.flush().await;
        let written = self.write_log(filter, format, to).await;
        let outcome = written.as_ref().map_or_else(|e| Outcome::Failed(e.to_string()), |_| Outcome::Succeeded);
        let mut entry = self.entry(who, Action::ExportLog, outcome);
        entry.details = json!({ "file": to.display().to_string(), "entries": written.as_ref().ok() });
        self.journal.append(&[Record::Action(entry)]).await?;
        written
    }

    async fn write_log(&self, filter: &LogFilter, format: Format, to: &Path) -> Result<u64, SiteError> {
        let failed = |e: std::io::Error| SiteError::Store(io_error(to, &e));
        let mut entries = Vec::new(); // the log is read newest first, a file begins with the oldest
        let mut before = None;
        loop {
            let page = self.stores.actions.page(filter, before, PAGE).await?;
            before = page.last().map(|last| last.log_id);
            entries.extend(page);
            if before.is_none() {
                break;
            }
        }
        let complete = *filter == LogFilter::default();
        let made_at = self.clock.now();
        let mut anchors = self.anchors.all()?;
        if complete && self.journal.backlog() == 0 {
            let (Head { console, seq, hash }, _) = self.journal.chain().await?;
            anchors.push(Anchor { console, seq, hash, at: made_at });
        }
        file::write_whole(file::folder_of(to), to, |to| {
            let export = Export { complete, made_at, anchors };
            let mut writer = export::Writer::begin(BufWriter::new(to), format, &export)?;
            entries.iter().rev().try_for_each(|entry| writer.entry(entry))?;
            writer.finish()?.flush()
        })
        .map_err(failed)?;
        Ok(entries.len() as u64)
    }
}

/// The store's answer; `None` where it does not answer now.
fn or_away<T>(answer: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.is_away() => Ok(None),
        Err(error) => Err(error),
    }
}
