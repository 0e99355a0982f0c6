//! The audit trail of a site: its ends written down elsewhere, verified, exported.
use super::{
    SiteError,
    records::{Actor, Records},
};
use crate::{
    audit::{Anchor, Export, Finding, Format, Head, Verifier, export},
    model::{Action, ActionRecord, Hash, KeptAction, Outcome},
    store::{ActionLog, LogFilter, file, sqlite::io_error},
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
        self.anchors.add(&head, self.clock.now()).await?;
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

    pub(super) async fn verdict(&self, progress: Progress<'_>) -> Result<(u64, Vec<Finding>), SiteError> {
        self.verdict_of(&self.stores.actions, self.anchors.all().await?, progress).await
    }

    /// The same of a log that should be this one, with the anchors that are kept with it.
    pub(super) async fn verdict_of(
        &self,
        log: &ActionLog,
        anchors: Vec<Anchor>,
        progress: Progress<'_>,
    ) -> Result<(u64, Vec<Finding>), SiteError> {
        let mut verifier = Verifier::new(anchors);
        let (own, waiting) = self.journal.waiting_entries().await?;
        verifier.own_end(own);
        for (entry, refused) in &waiting {
            verifier.hears(entry);
            verifier.waits(entry, *refused);
        }
        drop(waiting);
        let begun = LogFilter { action: Some(Action::BeginChain), ..LogFilter::default() };
        let mut heard = |kept: KeptAction| {
            if let Ok(record) = &kept.entry {
                verifier.hears(record);
            }
            ControlFlow::Continue(())
        };
        log.each(&begun, &mut heard).await?;
        let mut read = 0;
        let mut look = |kept: KeptAction| {
            verifier.kept(&kept);
            read += 1;
            if read % STEP == 0 {
                progress(read);
            }
            ControlFlow::Continue(())
        };
        log.each_chain(&mut look).await?;
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
        let mut anchors = self.anchors.all().await?;
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

#[cfg(test)]
mod tests {
    //! The trail of a real console on a real log of each backend, attacked while Vigia is stopped and while it runs.
    use super::*;
    use crate::{
        audit::Fault,
        model::SystemClock,
        servers,
        site::SiteConfig,
        store::{Address, Addresses, DataFolder},
    };
    use std::{fs, sync::Arc};

    struct Console {
        dir: tempfile::TempDir,
        log: Option<Address>,
    }

    fn consoles() -> [Console; 2] {
        let mongo = Address::parse(&servers::mongo().database()).unwrap();
        [None, Some(mongo)].map(|log| Console { dir: tempfile::tempdir().unwrap(), log })
    }

    impl Console {
        /// Runs it and delivers everything.
        async fn run<T>(&self, work: impl AsyncFnOnce(&Records) -> T) -> T {
            let folder = DataFolder::open(self.dir.path()).unwrap();
            let stores = Addresses { action_logs: self.log.clone(), ..Addresses::default() };
            let config = SiteConfig { stores, ..SiteConfig::default() };
            let records = Records::open(&folder, &config, Arc::new(SystemClock)).await.unwrap();
            let done = work(&records).await;
            records.delivery.flush().await;
            let Records { delivery, journal, .. } = records;
            delivery.stop().await;
            journal.close().await;
            done
        }

        async fn log(&self) -> ActionLog {
            let embedded = Address::sqlite(&self.dir.path().join("databases/action_logs.sqlite"));
            ActionLog::connect(self.log.as_ref().unwrap_or(&embedded)).await.unwrap()
        }

        fn place(&self) -> String {
            self.log.as_ref().map_or_else(|| "sqlite".to_owned(), ToString::to_string)
        }
    }

    async fn write(records: &Records, count: usize) {
        for _ in 0..count {
            let entry = records.entry(("1", "Ana"), Action::Login, Outcome::Succeeded);
            records.journal.append(&[Record::Action(entry)]).await.unwrap();
        }
        assert!(records.delivery.flush().await);
    }

    async fn faults(records: &Records) -> Vec<(Option<i64>, Fault)> {
        let (_, findings) = records.verify_log(("1", "Ana"), &|_| {}).await.unwrap();
        findings.into_iter().map(|f| (f.seq, f.fault)).collect()
    }

    /// Somebody who knows how adds a well-linked entry behind the newest one while Vigia is stopped.
    #[tokio::test]
    async fn an_entry_forged_behind_the_newest_while_vigia_was_stopped_is_found() {
        for console in consoles() {
            let head = console.run(async |records: &Records| {
                write(records, 5).await;
                records.anchor().await.unwrap();
                assert_eq!(faults(records).await, []); // an entry itself
                records.delivery.flush().await;
                records.journal.chain().await.unwrap().0
            });
            let mut head = head.await;
            assert_eq!(head.seq, 6);
            let log = console.log().await;
            let newest = log.page(&LogFilter::default(), None, 1).await.unwrap().remove(0);
            let mut forged = ActionRecord { log_id: newest.log_id + 1, user_cc: "666".to_owned(), ..newest };
            forged.link = Some(head.link(&forged));
            log.append(&forged).await.unwrap();
            for start in 0..2 {
                console
                    .run(async |records: &Records| {
                        assert_eq!(records.warning.is_some(), start == 0, "{}", console.place());
                        assert_eq!(faults(records).await, [(Some(7), Fault::Forged)], "{}", console.place());
                        write(records, 3).await;
                        assert_eq!(faults(records).await, [(Some(7), Fault::Forged)], "{}", console.place());
                        records.anchor().await.unwrap();
                    })
                    .await;
            }
            let begun = LogFilter { action: Some(Action::BeginChain), ..LogFilter::default() };
            let begun = log.page(&begun, None, 9).await.unwrap();
            assert_eq!(begun.len(), 1);
            assert_eq!((begun[0].details["seq"].as_i64(), begun[0].details["found"].as_i64()), (Some(6), Some(7)));
            // an export knows it, too, also where there is no journal
            let file = console.dir.path().join("log.jsonl");
            console
                .run(async |records: &Records| {
                    records.export_log(("1", "Ana"), &LogFilter::default(), Format::Jsonl, &file, &|_| {}).await
                })
                .await
                .unwrap();
            let checked = export::verify(fs::File::open(&file).unwrap()).unwrap();
            let found: Vec<_> = checked.findings.iter().map(|f| (f.seq, f.fault)).collect();
            assert_eq!(found, [(Some(7), Fault::Forged)]);
        }
    }

    /// A journal that was put back from a backup is no forgery where an anchor saw what it has forgotten.
    #[tokio::test]
    async fn a_journal_put_back_from_a_backup_begins_a_new_chain_and_nothing_is_wrong() {
        for console in consoles() {
            console.run(async |records: &Records| write(records, 3).await).await;
            let journal = console.dir.path().join("databases/journal.sqlite");
            let backup = fs::read(&journal).unwrap();
            console
                .run(async |records: &Records| {
                    write(records, 4).await;
                    records.anchor().await.unwrap();
                })
                .await;
            for suffix in ["-wal", "-shm"] {
                let _ = fs::remove_file(journal.with_extension(format!("sqlite{suffix}")));
            }
            fs::write(&journal, backup).unwrap();
            console
                .run(async |records: &Records| {
                    assert!(records.warning.is_some());
                    write(records, 2).await;
                    assert_eq!(faults(records).await, [], "{}", console.place());
                })
                .await;
        }
    }

    /// What waits for another store says nothing about the log.
    #[tokio::test]
    async fn a_log_cut_off_at_its_end_is_found_though_another_store_has_a_backlog() {
        let console = Console { dir: tempfile::tempdir().unwrap(), log: None };
        console
            .run(async |records: &Records| {
                write(records, 5).await;
                let objects = console.dir.path().join("objects");
                fs::remove_dir_all(&objects).unwrap();
                fs::write(&objects, "not a folder").unwrap();
                let bytes = vec![1];
                let object = Record::Object { key: "crops/a.jpg".into(), content_type: "image/jpeg".into(), bytes };
                records.journal.append(&[object]).await.unwrap();
                assert!(!records.delivery.flush().await && records.journal.backlog() == 1);
                let database = console.dir.path().join("databases/action_logs.sqlite");
                let address = format!("sqlite:{}", database.display());
                let mut db = <sqlx::SqliteConnection as sqlx::Connection>::connect(&address).await.unwrap();
                for statement in ["DROP TRIGGER action_logs_never_shrink", "DELETE FROM action_logs WHERE seq > 3"] {
                    sqlx::query(statement).execute(&mut db).await.unwrap();
                }
                assert_eq!(faults(records).await, [(Some(4), Fault::Truncated { count: 2 })]);
            })
            .await;
    }

    /// An anchor that speaks of what the log does not have yet would make every other reader believe that its end was cut off.
    #[tokio::test]
    async fn anchors_do_not_run_ahead_of_a_log_that_lags() {
        let server = servers::Mongo::start();
        let console =
            Console { dir: tempfile::tempdir().unwrap(), log: Some(Address::parse(&server.database()).unwrap()) };
        console
            .run(async |records: &Records| {
                write(records, 3).await;
                records.anchor().await.unwrap();
                server.kill();
                for _ in 0..2 {
                    let entry = records.entry(("1", "Ana"), Action::Login, Outcome::Succeeded);
                    records.journal.append(&[Record::Action(entry)]).await.unwrap();
                }
                assert!(!records.delivery.flush().await);
                records.anchor().await.unwrap();
                let seqs = async || records.anchors.all().await.unwrap().iter().map(|a| a.seq).collect::<Vec<_>>();
                assert_eq!(seqs().await, [3]);
                server.restart();
                while !records.delivery.flush().await {}
                records.anchor().await.unwrap();
                assert_eq!(seqs().await, [3, 5]);
                assert_eq!(faults(records).await, []);
            })
            .await;
    }

    #[tokio::test]
    async fn the_log_knows_its_exports_by_their_seals() {
        let console = Console { dir: tempfile::tempdir().unwrap(), log: None };
        console
            .run(async |records: &Records| {
                write(records, 4).await;
                let file = console.dir.path().join("log.csv");
                let filter = LogFilter { user: Some("1".to_owned()), ..LogFilter::default() };
                records.export_log(("1", "Ana"), &filter, Format::Csv, &file, &|_| {}).await.unwrap();
                records.delivery.flush().await;
                let checked = export::verify(fs::File::open(&file).unwrap()).unwrap();
                assert!(checked.findings.is_empty() && !checked.export.complete && checked.export.filter == filter);
                assert!(records.export_entry(checked.seal).await.unwrap().is_some());
                // made again without one entry, and sealed anew
                let mut entries = records.stores.actions.page(&filter, None, 99).await.unwrap();
                entries.reverse();
                entries.remove(1);
                let mut forged = export::Writer::begin(Vec::new(), Format::Csv, &checked.export).unwrap();
                entries.into_iter().for_each(|e| forged.entry(&e).unwrap());
                let (bytes, _) = forged.finish().unwrap();
                let checked = export::verify(bytes.as_slice()).unwrap();
                assert!(checked.findings.is_empty(), "the file alone cannot tell");
                assert!(records.export_entry(checked.seal).await.unwrap().is_none(), "the log can");
            })
            .await;
    }
}
