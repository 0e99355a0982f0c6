//! What a site does all the time: its threads and tasks, and the thread that watches them.
use super::{
    About, Shared, clocks, console_user, looking, memory,
    state::{FailingWorker, NoticeLevel},
    steady::capital,
};
use crate::{
    model::{Action, Outcome},
    supervise::{self, Change, News, Supervisor, Who},
    sync::{Others, Record},
    vision::Background,
};
use serde_json::json;
use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};
use tokio::{sync::Mutex, task::JoinHandle as Task};

/// What is known of stored data is written down so often, for a start without stores, seconds.
const REMEMBER_EVERY: u64 = 5;
/// How often what a duty that came or went left open is settled, seconds.
const SETTLE_EVERY: u64 = 10;
/// How often the end of the action log is written down elsewhere, seconds.
const ANCHOR_EVERY: u64 = 60;
const SECOND: Duration = Duration::from_secs(1);

/// The threads and tasks of a site, beside those of its cameras and of its analysis.
pub(super) struct Workers {
    tasks: Vec<Task<()>>,
    duties: Option<Task<()>>,
    jobs: Option<JoinHandle<()>>,
    watch: Option<JoinHandle<()>>,
    supervisor: Supervisor,
}

impl Workers {
    /// Starts them all.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(shared: &Arc<Shared>, background: &Background, others: Others) -> io::Result<Self> {
        let supervisor = shared.records.supervisor.clone();
        let mut tasks = Vec::new();
        let (stores, any) = (Who::asks_stores, Who::takes_its_time);
        macro_rules! task {
            ($who:expr, $(with $more:ident,)? |$shared:ident, $pulse:ident| $work:expr) => {{
                let all = Arc::clone(shared);
                let task = supervisor.task($who, move |$pulse| {
                    let $shared = Arc::clone(&all);
                    $(let $more = $more.clone();)?
                    async move {
                        $pulse.beat();
                        $work
                    }
                });
                shared.runtime.spawn(task)
            }};
        }
        tasks.push(task!(stores("watch over clocks and sessions"), |shared, pulse| {
            let mut minutes = looking::Minutes::new(shared.records.clock.now());
            let mut clocks = clocks::Clocks::default();
            let mut second = tokio::time::interval(SECOND);
            for seconds in 0_u64.. {
                second.tick().await;
                pulse.beat();
                shared.every_second(seconds, &mut minutes, &mut clocks).await;
            }
        }));
        // A store that takes its time is asked again a second after its answer.
        tasks.push(task!(stores("reading of cameras, users and cases"), |shared, pulse| loop {
            shared.renew_session().await;
            shared.read_cameras().await;
            shared.read_users(false).await;
            shared.read_casework().await;
            shared.read_refused().await;
            tokio::time::sleep(SECOND).await;
            pulse.beat();
        }));
        tasks.push(task!(stores("taking up of stores that were away"), |shared, pulse| loop {
            tokio::time::sleep(SECOND).await;
            pulse.beat();
            shared.take_up().await;
        }));
        let others = Arc::new(Mutex::new(others));
        tasks.push(task!(any("exchange with other consoles"), with others, |shared, pulse| {
            shared.follow_others(&mut *others.lock().await, &pulse).await;
        }));
        let looks = background.clone();
        tasks.push(task!(any("analysis of the picture that stands in Review"), with looks, |shared, pulse| {
            shared.look_at_paused(&looks, &pulse).await;
        }));
        tasks.push(task!(any("uploads"), |shared, pulse| shared.run_uploads(&pulse).await));
        tasks.push(task!(any("search in the past"), |shared, pulse| shared.search_for_fresh_suspects(&pulse).await));
        tasks.push(task!(stores("reading of recordings for Review"), |shared, pulse| shared.run_review(&pulse).await));
        tasks.push(task!(any("storing of recordings"), |shared, pulse| shared.store_recordings(&pulse).await));
        tasks.push(task!(any("deletion of old data"), |shared, pulse| shared.retain_data(&pulse).await));
        tasks.push(task!(any("deletion of old recordings"), |shared, pulse| {
            for seconds in 1_u64.. {
                tokio::time::sleep(SECOND).await;
                pulse.beat();
                shared.retain_recordings(seconds).await;
            }
        }));
        tasks.push(shared.runtime.spawn(supervisor.task(any("giving back of memory"), memory::give_back)));
        let duties = task!(stores("sharing of cameras among consoles"), |shared, pulse| {
            for second in 1_u64.. {
                shared.keep_duties().await;
                if second.is_multiple_of(SETTLE_EVERY) {
                    shared.settle_duties().await;
                }
                tokio::time::sleep(SECOND).await;
                pulse.beat();
            }
        });
        let (working, looks) = (Arc::clone(shared), background.clone());
        let jobs = supervisor.thread("jobs", any("analysis of recordings"), move |pulse| {
            pulse.beat();
            working.run_jobs(&looks, pulse);
        })?;
        let (watching, watched) = (Arc::clone(shared), supervisor.clone());
        let watch = std::thread::Builder::new().name("supervisor".to_owned()).spawn(move || {
            while watched.wait() {
                // Whoever watches the others is watched by nobody: it must not end.
                let looked = catch_unwind(AssertUnwindSafe(|| watched.look().iter().for_each(|n| watching.tell_of(n))));
                if let Err(panic) = looked {
                    tracing::error!("the supervisor failed ({})", supervise::words(panic.as_ref()));
                }
            }
        })?;
        Ok(Self { tasks, duties: Some(duties), jobs: Some(jobs), watch: Some(watch), supervisor })
    }

    /// Ends them all but those that the last recordings need. The jobs have been told to end.
    pub fn stop(&mut self) {
        self.supervisor.stop();
        for task in self.tasks.drain(..) {
            task.abort();
        }
    }

    /// Waits for the threads; at most for a frame, and what it found.
    pub fn join(&mut self) {
        for thread in [self.jobs.take(), self.watch.take()].into_iter().flatten() {
            let _ = thread.join(); // a panic was told
        }
    }

    /// The duties, which are renewed until all is recorded.
    pub fn take_duties(&mut self) -> Option<Task<()>> {
        self.duties.take()
    }
}

impl Shared {
    async fn every_second(self: &Arc<Self>, seconds: u64, minutes: &mut looking::Minutes, clocks: &mut clocks::Clocks) {
        self.look_at_own_clock().await; // first: what follows goes by what it shows
        self.tick().await;
        self.end_idle_session().await;
        self.drop_undecided().await;
        self.record_looking(minutes).await;
        if seconds.is_multiple_of(60) {
            self.tidy_search();
            self.load_curves().await;
            self.load_grounds().await;
        }
        self.look_at_recording().await;
        self.look_at_clocks(clocks);
        if seconds.is_multiple_of(ANCHOR_EVERY)
            && let Err(error) = self.records.anchor().await
        {
            let text = format!("The end of the action log could not be written down elsewhere: {error}");
            self.trouble(About::Everybody, text);
        }
        if seconds.is_multiple_of(REMEMBER_EVERY) {
            self.keep_known().await;
        }
    }

    /// `analysis of Gate`.
    fn name_of(&self, who: &Who) -> String {
        who.camera.map_or_else(|| who.name.clone(), |camera| format!("{} of {}", who.name, self.camera_name(camera)))
    }

    /// News of a worker: on the screen at once, in the log when that takes it.
    fn tell_of(self: &Arc<Self>, news: &News) {
        let name = self.name_of(&news.who);
        let about = news.who.camera.map_or(About::Everybody, |camera| About::Cameras(vec![camera]));
        let (level, text) = match &news.change {
            Change::Silent(silence) => {
                (NoticeLevel::Error, format!("The {name} has given no sign of life for {} s", silence.as_secs()))
            }
            Change::Ended(why, pause) => {
                (NoticeLevel::Error, format!("The {name} failed: {why}. It begins again in {} s", pause.as_secs()))
            }
            Change::Works => (NoticeLevel::Info, format!("The {name} works again")),
        };
        tracing::warn!("{text}");
        self.board.lock().notice(self.records.clock.now(), level, text.clone(), about);
        let outcome = match &news.change {
            Change::Works => Outcome::Succeeded,
            _ => Outcome::Failed(text),
        };
        let mut entry = self.records.entry((&console_user(), ""), Action::NoticeFailure, outcome);
        entry.target = news.who.camera.map(|camera| camera.to_string());
        entry.details = json!({ "what": name });
        let shared = Arc::clone(self);
        self.runtime.spawn(async move {
            shared.commit(&[Record::Action(entry)], "The log does not say that a part of the console failed").await;
        });
    }

    /// The workers that do not work as they should.
    pub(super) fn failing_workers(&self) -> Vec<FailingWorker> {
        let worker = |trouble: supervise::Trouble| FailingWorker {
            name: capital(&self.name_of(&trouble.who)),
            words: trouble.words,
            camera: trouble.who.camera,
        };
        self.records.supervisor.troubles().into_iter().map(worker).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::prerequisites,
        model::{ActionRecord, SystemClock},
        site::{
            Access, Command, RecordMode, Site,
            recording::{
                RecordingConfig,
                tests::{config, footage_of, stored, wait},
            },
        },
        store::LogFilter,
        supervise::Trip,
    };
    use std::{collections::BTreeSet, path::Path};

    /// A site with one recorded camera.
    fn open(folder: &Path) -> Site {
        let video = folder.join("gate.mkv");
        footage_of(&video, 60);
        let recording = RecordingConfig { record: RecordMode::Always, segment_s: 1.0, ..RecordingConfig::default() };
        let config = config(format!("file://{}", video.display()), recording);
        Site::open(config, &folder.join("data"), &prerequisites::models_dir(None), Arc::new(SystemClock)).unwrap()
    }

    /// What the log says of failures.
    fn log(site: &Site) -> Vec<ActionRecord> {
        let shared = &site.shared;
        shared.runtime.block_on(async {
            shared.records.delivery.flush().await;
            let filter = LogFilter { action: Some(Action::NoticeFailure), ..LogFilter::default() };
            shared.records.stores.actions.page(&filter, None, 200).await.unwrap()
        })
    }

    fn notices(site: &Site) -> Vec<String> {
        site.shared.board.lock().notices.iter().map(|notice| notice.text.clone()).collect()
    }

    #[test]
    fn whatever_fails_is_told_begins_again_and_is_in_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let site = open(folder.path());
        let supervisor = site.shared.records.supervisor.clone();
        wait("a file", || (!stored(&site).is_empty()).then_some(()));
        let names: BTreeSet<String> = supervisor.names().into_iter().collect();
        for name in
            ["analysis", "connection", "recording", "analysis of recordings", "storing of recordings", "uploads"]
        {
            assert!(names.contains(name), "{name} is among {names:?}");
        }
        for name in &names {
            supervisor.trip(name, Trip::Panic);
        }
        let of = |log: &[ActionRecord], name: &str, worked: bool| {
            let told = |e: &ActionRecord| {
                let what = e.details["what"].as_str().unwrap_or_default();
                (what == name || what == format!("{name} of Gate")) && (e.outcome == Outcome::Succeeded) == worked
            };
            log.iter().any(told)
        };
        wait("all of it to be told", || {
            let log = log(&site);
            names.iter().all(|name| of(&log, name, false)).then_some(())
        });
        assert!(
            notices(&site).iter().any(|text| text.contains(" failed: an internal error: ")),
            "{:?}",
            notices(&site)
        );
        let before = stored(&site).len();
        wait("the recording to go on", || (stored(&site).len() > before + 1).then_some(()));
        let analysed = || site.cameras().first().map_or(0, |camera| camera.counters.analysed);
        let seen = analysed();
        wait("the analysis to go on", || (analysed() > seen).then_some(()));
        wait("everybody to work again", || site.shared.failing_workers().is_empty().then_some(()));
        wait("all of that to be told", || {
            let log = log(&site);
            names.iter().all(|name| of(&log, name, true)).then_some(())
        });
    }

    #[test]
    fn who_hangs_is_told_and_what_it_does_not_do_is_recorded_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let site = open(folder.path());
        let supervisor = site.shared.records.supervisor.clone();
        wait("a file", || (!stored(&site).is_empty()).then_some(()));
        supervisor.trip("analysis", Trip::Hang(Duration::from_secs(15)));
        wait("its silence", || {
            notices(&site).iter().any(|t| t.starts_with("The analysis has given no sign")).then_some(())
        });
        let before = stored(&site).len();
        wait("the recording to go on", || (stored(&site).len() > before + 1).then_some(()));
        wait("its end", || notices(&site).iter().any(|t| t == "The analysis works again").then_some(()));
        assert_eq!(site.shared.failing_workers(), []);
    }

    #[test]
    fn a_command_that_fails_costs_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let site = open(folder.path());
        site.send(Command::Login { cc: super::super::commands::FAILS.to_owned(), password: String::new() });
        wait("the answer", || match site.state().access {
            Access::LoggedOut { error: Some(error), .. } => error.contains("internal error").then_some(()),
            _ => None,
        });
        site.send(Command::CreateAdministrator {
            cc: "10001".to_owned(),
            name: "Ana Sousa".to_owned(),
            email: "ana@police.example".to_owned(),
            password: "correct horse battery staple".to_owned(),
        });
        wait("the next", || matches!(site.state().access, Access::LoggedIn(_)).then_some(()));
    }
}
