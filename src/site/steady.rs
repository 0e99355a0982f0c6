//! The watch over this console's own clock: once a second wall time is compared with time that only passes. Who set the clock, and
//! what follows from it, is told once: an entry, a notice, a new file of every camera, and cameras are not blamed for it.
use super::{About, NoticeLevel, Shared, console_user};
use crate::{
    model::{Action, Clock, ClockReading, ClockStep, ClockWatch, Outcome},
    sync::Record,
};
use serde_json::json;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Steps that are remembered: a clock that is set more often is not worth more memory.
const REMEMBERED: usize = 64;
/// For how long a step explains what a camera's clock seems to have done: its offset is measured over ten seconds.
const EXPLAINS_FOR: Duration = Duration::from_secs(30);

/// What is known of this console's clock.
pub(super) struct Steady {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    watch: ClockWatch,
    /// With the steady time at which each was noticed, oldest first.
    steps: VecDeque<(ClockStep, Duration)>,
    untold: Vec<ClockStep>,
}

impl Steady {
    /// Begins to watch.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let steady = Self { clock, state: Mutex::default() };
        steady.look();
        steady
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks whether the clock was set. Cheap: whoever is about to say why time is missing looks first.
    pub fn look(&self) {
        let mut state = self.state();
        // Read under the lock, so that readings are compared in their order.
        let Some(reading) = ClockReading::of(self.clock.as_ref()) else { return };
        let Some(step) = state.watch.look(reading) else { return };
        state.steps.push_back((step, reading.steady));
        if state.steps.len() > REMEMBERED {
            state.steps.pop_front();
        }
        state.untold.push(step);
    }

    /// All that are remembered, oldest first.
    pub fn steps(&self) -> Vec<ClockStep> {
        self.look();
        self.state().steps.iter().map(|(step, _)| *step).collect()
    }

    /// Those that can explain what was measured just now.
    pub fn recent(&self) -> Vec<ClockStep> {
        self.look();
        let now = self.clock.steady();
        let recent = |(step, at): &(ClockStep, Duration)| (now.saturating_sub(*at) <= EXPLAINS_FOR).then_some(*step);
        self.state().steps.iter().filter_map(recent).collect()
    }

    /// Whether some have not been told yet.
    pub fn has_untold(&self) -> bool {
        self.look();
        !self.state().untold.is_empty()
    }

    fn take_untold(&self) -> Vec<ClockStep> {
        self.look();
        std::mem::take(&mut self.state().untold)
    }
}

impl Shared {
    /// Once a second.
    pub(super) async fn look_at_own_clock(&self) {
        for step in self.steady.take_untold() {
            self.clock_was_set(step).await;
        }
    }

    /// Time goes on from what the clock shows now: nothing waits until it is what it was.
    async fn clock_was_set(&self, step: ClockStep) {
        tracing::warn!(from = %step.from, to = %step.to, "{step}");
        self.recording.clock_was_set(step);
        {
            let _order = self.order.lock().await;
            let now = self.records.clock.now();
            let mut events = Vec::new();
            self.follower().clock_set(step.by(), now);
            // Whoever expired by a clock that ran ahead is followed again.
            let followed: Vec<_> = {
                let board = self.board.lock();
                board.suspects.iter().map(|v| v.suspect.clone()).filter(|s| s.is_followed(now)).collect()
            };
            for suspect in &followed {
                events.extend(self.follower().take_over(suspect, now));
            }
            let events = self.duty.of_this_console(events);
            if self.commit(&self.records_of(&events, None), super::analysis::UNRECORDED).await {
                self.show(&events, None);
            }
        }
        self.board.lock().clock_was_set(step);
        let mut entry = self.records.entry((&console_user(), ""), Action::NoticeClock, Outcome::Succeeded);
        entry.details = json!({
            "what": step.to_string(), "by_seconds": step.seconds(), "from": step.from.to_string(), "to": step.to.to_string(),
        });
        self.commit(&[Record::Action(entry)], "The log does not say that this console's clock was set").await;
        let way = if step.was_unset() {
            "It had not been set before: what was recorded meanwhile gets its time"
        } else if step.is_forward() {
            "No video is missing: that time never was"
        } else {
            "This time is there twice in the recordings"
        };
        let text = format!(
            "{}, from {} to {}. {way}",
            capital(&step.to_string()),
            step.from.local_date_time(),
            step.to.local_date_time()
        );
        self.board.lock().notice(step.to, NoticeLevel::Error, text, About::Everybody);
        let _ = self.trusted_now().await; // whether it is to be relied on is told now
    }
}

/// With a capital letter, as a sentence begins.
pub(super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::prerequisites,
        model::{SystemClock, Timestamp},
        site::{
            RecordMode, Site,
            recording::{
                RecordingConfig,
                tests::{config, footage_of, gaps, stored, wait},
            },
        },
        store::LogFilter,
    };
    use std::sync::atomic::{AtomicI64, Ordering};

    /// The machine's clock, as somebody set it.
    #[derive(Default)]
    struct SetClock(AtomicI64);

    impl SetClock {
        fn set(&self, seconds: i64) {
            self.0.fetch_add(seconds * 1_000_000, Ordering::Relaxed);
        }
    }

    impl Clock for SetClock {
        fn now(&self) -> Timestamp {
            Timestamp(SystemClock.now().0 + self.0.load(Ordering::Relaxed))
        }

        fn steady(&self) -> Duration {
            SystemClock.steady()
        }
    }

    #[test]
    fn what_is_recorded_before_the_clock_is_set_gets_its_time_and_the_log_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let video = folder.path().join("gate.mkv");
        footage_of(&video, 60);
        let clock = Arc::new(SetClock::default());
        let behind = SystemClock.now().seconds_since(Timestamp::parse("2019-01-01T12:00:00Z").unwrap()).round() as i64;
        clock.set(-behind);
        let began = SystemClock.now();
        let recording = RecordingConfig { record: RecordMode::Always, segment_s: 1.0, ..RecordingConfig::default() };
        let config = config(format!("file://{}", video.display()), recording);
        let data = folder.path().join("data");
        let site = Site::open(config, &data, &prerequisites::models_dir(None), Arc::<SetClock>::clone(&clock)).unwrap();
        let of_2019 = wait("two files", || Some(stored(&site)).filter(|all| all.len() >= 2));
        assert!(of_2019.iter().all(|s| s.starts_at.to_string().starts_with("2019-01-01")), "{of_2019:?}");
        let shared = &site.shared;
        shared.runtime.block_on(shared.retain_recordings(60));
        clock.set(behind);
        let set = clock.now();
        wait("what was recorded before in its time", || {
            let all = stored(&site);
            let after = all.iter().any(|s| s.starts_at > set);
            (after && all.iter().all(|s| s.starts_at > began)).then_some(())
        });
        shared.runtime.block_on(shared.retain_recordings(60));
        let all = stored(&site);
        for old in &of_2019 {
            let now = all.iter().find(|s| s.id == old.id).unwrap();
            let moved = now.starts_at.seconds_since(old.starts_at) - behind as f64;
            assert!(moved.abs() < 0.1, "moved by {moved} s more than the clock was");
        }
        let said = wait("the entry", || {
            let log =
                shared.runtime.block_on(shared.records.stores.actions.page(&LogFilter::default(), None, 100)).unwrap();
            let told = log.iter().filter_map(|e| e.details["recordings"].as_array());
            let ids: Vec<_> = told.flatten().map(|r| r["id"].as_str().unwrap().to_owned()).collect();
            of_2019.iter().all(|s| ids.contains(&s.id.to_string())).then_some(ids)
        });
        assert!(said.len() >= of_2019.len());
        let long = gaps(&site).into_iter().filter(|g| g.until.is_none_or(|until| until.seconds_since(g.from) > 60.0));
        assert_eq!(long.count(), 0, "{:?}", gaps(&site));
    }

    #[test]
    fn a_clock_that_is_set_is_told_once_makes_new_files_and_no_camera_is_blamed() {
        let folder = tempfile::tempdir().unwrap();
        let video = folder.path().join("gate.mkv");
        footage_of(&video, 60);
        let clock = Arc::new(SetClock::default());
        let recording = RecordingConfig { record: RecordMode::Always, segment_s: 600.0, ..RecordingConfig::default() };
        let config = config(format!("file://{}", video.display()), recording);
        let data = folder.path().join("data");
        let site = Site::open(config, &data, &prerequisites::models_dir(None), Arc::<SetClock>::clone(&clock)).unwrap();
        wait("pictures", || (site.summary().cameras[0].received > 50).then_some(()));
        let told = || -> Vec<String> {
            let shared = &site.shared;
            let log = shared.runtime.block_on(shared.records.stores.actions.page(&LogFilter::default(), None, 100));
            let told = log.unwrap().into_iter().filter(|e| e.action == Action::NoticeClock);
            let told = told.map(|e| e.details["what"].as_str().unwrap_or_default().to_owned());
            told.filter(|what| what.contains("was set by")).collect()
        };
        let by_the_hour = || gaps(&site).into_iter().filter(|g| g.until.is_none_or(|u| u.seconds_since(g.from) > 60.0));

        clock.set(3600);
        wait("the entry", || (told() == ["this console's clock was set by +3600 s"]).then_some(()));
        // Files of ten minutes: the one of before ends here because of the clock.
        wait("the file of before it", || (!stored(&site).is_empty()).then_some(()));
        let gap = wait("the gap that the clock made", || by_the_hour().find(|g| g.until.is_some()));
        assert!(gap.reason.starts_with("This console's clock was set by +3600 s"), "{gap:?}");

        let ahead = clock.now();
        clock.set(-3600);
        wait("the other entry", || {
            told().contains(&"this console's clock was set by -3600 s".to_owned()).then_some(())
        });
        wait("files of both", || {
            let all = stored(&site);
            (all.len() >= 2 && all.iter().any(|s| ahead.seconds_since(s.ends_at) < 60.0)).then_some(())
        });
        let now = clock.now();
        wait("a file of after it", || {
            let finish = site.shared.recording.finish(site.cameras()[0].camera.id, clock.now());
            site.shared.runtime.block_on(finish);
            stored(&site).iter().any(|s| s.ends_at > now && ahead.seconds_since(s.ends_at) > 60.0).then_some(())
        });
        assert_eq!(by_the_hour().map(|g| g.reason).collect::<Vec<_>>(), [gap.reason]);
        assert_eq!(told().len(), 2);
        let notices: Vec<_> = site.shared.board.lock().notices.iter().map(|n| n.text.clone()).collect();
        let clocks = notices.iter().filter(|n| n.contains("clock"));
        assert_eq!(clocks.filter(|n| n.starts_with("This console's clock was set by")).count(), 2, "{notices:?}");
        assert!(!notices.iter().any(|n| n.contains("jumped")), "{notices:?}");
    }
}
