//! The audit trail of a site: its ends written down elsewhere, verified, exported.
use super::{
    SiteError,
    records::{Actor, Records},
};
use crate::{
    audit::{Anchor, Export, Finding, Format, Head, Verifier, export},
    model::{Action, ActionRecord, Hash, KeptAction, Outcome},
    store::{LogFilter, file, sqlite::io_error},
    sync::Record,
};
use serde_json::json;
use std::{
    io::{self, BufWriter, Write as _},
    ops::ControlFlow,
    path::Path,
    sync::PoisonError,
};

/// Called now and then with the number of entries read so far.
pub(super) type Progress<'a> = &'a (dyn Fn(u64) + Send + Sync);

/// Entries between two calls of a [`Progress`].
const STEP: u64 = 1000;

impl Records {
    /// Writes the head of this console's chain down outside the log, as far as the log has it, if it moved since the last time.
    ///
    /// # Errors
    /// The journal's or the anchors' trouble.
    pub async fn anchor(&self) -> Result<(), SiteError> {
        let head = self.journal.delivered_head().await?;
        if head.seq == 0 || *self.anchored.lock().unwrap_or_else(PoisonError::into_inner) == Some(head) {
            return Ok(());
        }
        let (anchors, now) = (self.anchors.clone(), self.clock.now());
        tokio::task::spawn_blocking(move || anchors.add(&head, now))
            .await
            .map_err(|e| SiteError::Threads(io::Error::other(e)))??;
        *self.anchored.lock().unwrap_or_else(PoisonError::into_inner) = Some(head);
        Ok(())
    }

    /// Checks the whole action log: every chain, every anchor, and the end of this console's own chain. Recorded as a reading
    /// of the log.
    ///
    /// # Errors
    /// The stores' trouble: then nothing is known; the attempt is recorded all the same.
    pub async fn verify_log(&self, who: Actor<'_>, progress: Progress<'_>) -> Result<(u64, Vec<Finding>), SiteError> {
        let newest = self.stores.actions.newest_id().await;
        let verdict = self.verdict(progress).await;
        let outcome = verdict.as_ref().map_or_else(|e| Outcome::Failed(e.to_string()), |_| Outcome::Succeeded);
        let mut entry = self.entry(who, Action::AccessLogs, outcome);
        entry.log_accessed = newest.ok().flatten();
        let found = verdict.as_ref().ok();
        entry.details =
            json!({ "verified": found.map(|(entries, _)| entries), "findings": found.map(|(_, found)| found.len()) });
        self.journal.append(&[Record::Action(entry)]).await?;
        verdict
    }

    async fn verdict(&self, progress: Progress<'_>) -> Result<(u64, Vec<Finding>), SiteError> {
        let mut verifier = Verifier::new(self.anchors.all()?);
        let (own, waiting) = self.journal.waiting_entries().await?;
        verifier.own_end(own);
        waiting.iter().for_each(|(entry, refused)| verifier.waits(entry, *refused));
        drop(waiting);
        let begun = LogFilter { action: Some(Action::BeginChain), ..LogFilter::default() };
        let mut heard = |kept: KeptAction| {
            if let Ok(record) = &kept.entry {
                verifier.hears(record);
            }
            ControlFlow::Continue(())
        };
        self.stores.actions.each(&begun, &mut heard).await?;
        let mut read = 0;
        let mut look = |kept: KeptAction| {
            verifier.kept(&kept);
            read += 1;
            if read % STEP == 0 {
                progress(read);
            }
            ControlFlow::Continue(())
        };
        self.stores.actions.each_chain(&mut look).await?;
        verifier.ends_at(self.journal.chain().await?.0);
        Ok(verifier.finish())
    }

    /// The entry that recorded the export with this seal; `None` where the log knows of none.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn export_entry(&self, seal: Hash) -> Result<Option<ActionRecord>, SiteError> {
        let seal = seal.to_string();
        let exports = LogFilter { action: Some(Action::ExportLog), ..LogFilter::default() };
        let mut found = None;
        let mut look = |kept: KeptAction| match kept.entry {
            Ok(record) if record.details.get("seal").and_then(|s| s.as_str()) == Some(&seal) => {
                found = Some(record);
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        };
        self.stores.actions.each(&exports, &mut look).await?;
        Ok(found)
    }

    /// Writes the entries that pass the filter to a file, oldest first, whole or not at all, and records that with the file's
    /// seal. Holds one entry at a time. Returns how many entries there are.
    ///
    /// # Errors
    /// The store's or the file's trouble; the attempt is recorded all the same.
    pub async fn export_log(
        &self,
        who: Actor<'_>,
        filter: &LogFilter,
        format: Format,
        to: &Path,
        progress: Progress<'_>,
    ) -> Result<u64, SiteError> {
        let newest = self.stores.actions.newest_id().await;
        let written = self.write_log(filter, format, to, progress).await;
        let outcome = written.as_ref().map_or_else(|e| Outcome::Failed(e.to_string()), |_| Outcome::Succeeded);
        let mut entry = self.entry(who, Action::ExportLog, outcome);
        let (entries, seal) = written.as_ref().ok().copied().unzip();
        entry.details = json!({
            "file": to.display().to_string(), "entries": entries, "seal": seal, "filter": filter,
            "newest": newest.ok().flatten(),
        });
        self.journal.append(&[Record::Action(entry)]).await?;
        written.map(|(entries, _)| entries)
    }

    async fn write_log(
        &self,
        filter: &LogFilter,
        format: Format,
        to: &Path,
        progress: Progress<'_>,
    ) -> Result<(u64, Hash), SiteError> {
        let failed = |e: io::Error| SiteError::Store(io_error(to, &e));
        let made_at = self.clock.now();
        // Anchors are never ahead of the log: all that they speak of is in what is read from here on.
        let mut anchors = self.anchors.all()?;
        let Head { console, seq, hash } = self.journal.delivered_head().await?;
        if seq > 0 {
            anchors.push(Anchor { console, seq, hash, at: made_at });
        }
        let complete = *filter == LogFilter::default();
        let export = Export { complete, made_at, anchors, filter: filter.clone() };
        let mut draft = file::Draft::begin(file::folder_of(to), to).map_err(failed)?;
        let mut writer = export::Writer::begin(BufWriter::new(draft.file()), format, &export).map_err(failed)?;
        let (mut entries, mut trouble) = (0, None);
        let mut write = |kept: KeptAction| {
            if let Err(error) = writer.kept(&kept) {
                trouble = Some(error);
                return ControlFlow::Break(());
            }
            entries += 1;
            if entries % STEP == 0 {
                progress(entries);
            }
            ControlFlow::Continue(())
        };
        self.stores.actions.each(filter, &mut write).await?;
        if let Some(error) = trouble {
            return Err(failed(error));
        }
        let (mut out, seal) = writer.finish().map_err(failed)?;
        out.flush().map_err(failed)?;
        drop(out);
        draft.finish().map_err(failed)?;
        Ok((entries, seal))
    }
}
