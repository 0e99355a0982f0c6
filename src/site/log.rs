//! The action log at the console, for administrators: read page by page, verified and exported. Whatever is read is an entry
//! that says what.
use super::{About, Access, NoticeLevel, Shared, SiteError, records::Actor};
use crate::{
    audit::{Finding, Format},
    model::{Action, KeptAction, Outcome, Timestamp, User},
    store::{LogCursor, LogFilter},
    sync::Record,
};
use serde_json::json;
use std::{path::PathBuf, sync::Arc, time::Duration};

/// Entries on one page.
const PAGE: u32 = 500;

/// What the screen of the log may ask for.
#[derive(Clone, Debug, PartialEq)]
pub enum LogCommand {
    /// Reads the newest entries that pass the filter.
    Read(LogFilter),
    /// Reads the next older page.
    Older,
    /// Reads the next newer page.
    Newer,
    /// Writes all entries that pass the filter to a file.
    Export {
        /// Which.
        filter: LogFilter,
        /// How.
        format: Format,
        /// Where.
        to: PathBuf,
        /// Whether a file that is there may be replaced.
        replace: bool,
    },
    /// Checks every chain of the whole log, and its anchors.
    Verify,
}

/// The log as the screen shows it.
#[derive(Clone, Debug, Default)]
pub struct LogView {
    /// The page that was read; `None` before the first.
    pub page: Option<Arc<LogSheet>>,
    /// What is being done; nothing else is begun meanwhile.
    pub work: Option<LogWork>,
    /// What the last verification found.
    pub verdict: Option<Arc<Verdict>>,
}

/// One page of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct LogSheet {
    /// What was asked for.
    pub filter: LogFilter,
    /// Newest first; with those that cannot be read.
    pub entries: Vec<KeptAction>,
    /// How many newer entries were passed by on the way here.
    pub passed: usize,
    /// Whether there are older ones.
    pub older: bool,
    /// When it was read.
    pub read_at: Timestamp,
}

/// Long work with the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogWork {
    /// A page is being read.
    Reading,
    /// The log is being verified; so many entries were looked at.
    Verifying(u64),
    /// The log is being exported; so many entries were written.
    Exporting(u64),
}

/// What a verification found.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// When it ended.
    pub at: Timestamp,
    /// Entries in the log.
    pub entries: u64,
    /// What is wrong; nothing when the log is whole.
    pub findings: Vec<Finding>,
}

/// The log of the one at the console: what is shown, and the way back.
#[derive(Debug, Default)]
pub(super) struct Desk {
    pub view: LogView,
    /// Where the pages before the one shown begin; `None` for the newest.
    before: Vec<Option<LogCursor>>,
    /// Where the page shown begins.
    here: Option<LogCursor>,
    /// Where the next older one begins.
    older: Option<LogCursor>,
}

impl Shared {
    /// Works on what the screen of the log asked for.
    pub(super) async fn log_command(self: &Arc<Self>, user: &User, command: LogCommand) {
        if !user.is_admin {
            let action =
                if matches!(command, LogCommand::Export { .. }) { Action::ExportLog } else { Action::AccessLogs };
            let why = "only administrators read the log";
            let entry = self.records.entry(by(user), action, Outcome::Refused(why.to_owned()));
            self.commit(&[Record::Action(entry)], "A refusal was not recorded").await;
            return self.error("Only administrators read the action log".to_owned());
        }
        let work = match &command {
            LogCommand::Verify => LogWork::Verifying(0),
            LogCommand::Export { .. } => LogWork::Exporting(0),
            _ => LogWork::Reading,
        };
        let free = self.desk(user, |desk| {
            let free = desk.view.work.is_none();
            desk.view.work = desk.view.work.or(Some(work));
            free
        });
        match free {
            Some(true) => {}
            Some(false) => {
                return self.error("The log is being verified or exported: try again when that is done".to_owned());
            }
            None => return, // somebody else is at the console by now
        }
        match command {
            LogCommand::Read(filter) => {
                self.read_log(user, filter, |desk| {
                    desk.before.clear();
                    desk.here = None;
                    Some(0)
                })
                .await;
            }
            LogCommand::Older => {
                let step = |desk: &mut Desk| {
                    let older = desk.older.take()?;
                    let page = desk.view.page.as_ref()?;
                    let passed = page.passed + page.entries.len();
                    desk.before.push(desk.here.replace(older));
                    Some(passed)
                };
                self.turn_page(user, step).await;
            }
            LogCommand::Newer => {
                let step = |desk: &mut Desk| {
                    desk.here = desk.before.pop()?;
                    let passed = desk.view.page.as_ref()?.passed;
                    Some(passed.saturating_sub(PAGE as usize))
                };
                self.turn_page(user, step).await;
            }
            LogCommand::Export { filter, format, to, replace } => {
                let there = !replace && tokio::fs::try_exists(&to).await.unwrap_or(false);
                if there {
                    self.desk(user, |desk| desk.view.work = None);
                    return self.error(format!("{} is there already: choose another name", to.display()));
                }
                let (this, user) = (Arc::clone(self), user.clone());
                self.runtime.spawn(async move { this.export_log(&user, &filter, format, to).await });
            }
            LogCommand::Verify => {
                let (this, user) = (Arc::clone(self), user.clone());
                self.runtime.spawn(async move { this.verify_log(&user).await });
            }
        }
    }

    /// Changes what lies on the desk, unless somebody else is at the console by now.
    fn desk<T>(&self, user: &User, change: impl FnOnce(&mut Desk) -> T) -> Option<T> {
        let mut board = self.board.lock();
        let still = matches!(&board.access, Access::LoggedIn(there) if there.cc == user.cc && there.is_admin);
        still.then(|| change(&mut board.log))
    }

    async fn turn_page(&self, user: &User, step: impl FnOnce(&mut Desk) -> Option<usize>) {
        let filter = self.desk(user, |desk| desk.view.page.as_ref().map(|page| page.filter.clone())).flatten();
        self.read_log(user, filter.unwrap_or_default(), step).await;
    }

    /// Reads the page to which `step` leads; it says how many entries are passed by.
    async fn read_log(&self, user: &User, filter: LogFilter, step: impl FnOnce(&mut Desk) -> Option<usize>) {
        let Some((passed, here)) =
            self.desk(user, |desk| step(desk).map(|passed| (passed, desk.here.clone()))).flatten()
        else {
            self.desk(user, |desk| desk.view.work = None);
            return; // there is no such page
        };
        if here.is_none() {
            // What was done a moment ago is on its way; the reader expects to see it.
            let _ = tokio::time::timeout(Duration::from_secs(2), self.records.delivery.flush()).await;
        }
        let read = self.records.stores.actions.read(&filter, here.as_ref(), PAGE).await;
        let outcome = read.as_ref().map_or_else(|e| Outcome::Failed(e.to_string()), |_| Outcome::Succeeded);
        let mut entry = self.records.entry(by(user), Action::AccessLogs, outcome);
        let entries = read.as_ref().map_or(&[][..], |page| &page.entries);
        entry.log_accessed = entries.first().and_then(|newest| newest.log_id);
        let oldest = entries.last().and_then(|oldest| oldest.log_id);
        entry.details = json!({ "filter": filter, "entries": entries.len(), "oldest": oldest });
        // Who reads unrecorded reads nothing.
        let recorded = self.commit(&[Record::Action(entry)], "That was not recorded and not done").await;
        let read_at = self.records.clock.now();
        let told = self.desk(user, |desk| {
            desk.view.work = None;
            match read {
                Ok(page) if recorded => {
                    let older = page.older.is_some();
                    desk.older = page.older;
                    let entries = page.entries;
                    desk.view.page = Some(Arc::new(LogSheet { filter, entries, passed, older, read_at }));
                    None
                }
                Ok(_) => None,
                Err(error) => Some(error),
            }
        });
        if let Some(error) = told.flatten() {
            self.error(format!("The action log cannot be read: {error}"));
        }
    }

    async fn verify_log(&self, user: &User) {
        let _ = tokio::time::timeout(Duration::from_secs(2), self.records.delivery.flush()).await;
        let progress = |n| self.desk(user, |desk| desk.view.work = Some(LogWork::Verifying(n))).unwrap_or_default();
        let verified = self.records.verify_log(by(user), &progress).await;
        let at = self.records.clock.now();
        self.finish(user, verified, |desk, (entries, findings)| {
            desk.view.verdict = Some(Arc::new(Verdict { at, entries, findings }));
            None
        });
    }

    async fn export_log(&self, user: &User, filter: &LogFilter, format: Format, to: PathBuf) {
        let _ = tokio::time::timeout(Duration::from_secs(2), self.records.delivery.flush()).await;
        let progress = |n| self.desk(user, |desk| desk.view.work = Some(LogWork::Exporting(n))).unwrap_or_default();
        let written = self.records.export_log(by(user), filter, format, &to, &progress).await;
        self.finish(user, written, |_, entries| Some(format!("{entries} entries are in {}", to.display())));
    }

    /// Ends long work; `show` may give words for the operator.
    fn finish<T>(&self, user: &User, done: Result<T, SiteError>, show: impl FnOnce(&mut Desk, T) -> Option<String>) {
        let told = self.desk(user, |desk| {
            desk.view.work = None;
            done.map(|done| show(desk, done))
        });
        match told {
            Some(Ok(Some(text))) => {
                let about = About::User(user.cc.clone());
                self.board.lock().notice(self.records.clock.now(), NoticeLevel::Info, text, about);
            }
            Some(Err(error)) => self.error(error.to_string()),
            _ => {}
        }
    }
}

fn by(user: &User) -> Actor<'_> {
    (&user.cc, &user.name)
}
