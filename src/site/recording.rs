//! What is recorded, and what becomes of it: a recorder for each camera, its files from the spool into the store of objects,
//! gaps with their reason, and retention.
//!
//! When the store does not take files, the spool holds a bounded amount and then loses the oldest first; when the disk is full,
//! the oldest recordings make room for new ones. Both are told and leave a trace: a gap, an entry of the log.
use super::records::Records;
use super::{
    About, Shared, SiteError, duty::Duty, owed::Owing, path::CameraPath, state::CameraStatus, steady::Steady,
    tape::Tape,
};
use crate::{
    model::{Camera, CameraId, Clock, Gap, Segment, Timestamp},
    store::{Book, DataFolder, Deleted, DeletedBy, StoreError, WorkFolder, key_of_url, sqlite::is_there, url_of_key},
    supervise::Supervisor,
    sync::Record,
    video::{OnPacket, Recorded, Recorder, RecorderConfig, RecorderError, Spooled, Why},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};
use storing::Spool;
use tokio::sync::Notify;
use uuid::Uuid;

/// Where recordings are, among the objects.
const ROOM: &str = "segments";
/// A camera without pictures for so long has a gap, seconds.
const GAP_AFTER: f64 = 3.0;
/// A camera whose last picture is not so old, seconds, has none when another console goes on.
const HANDED_OVER_WITHIN: f64 = 1.5;
/// Segments that are known before the store of cameras tells of them.
const RECENT: usize = 512;
/// Pauses after a file that was not stored.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// So long an export waits for the file under way: for its next key frame, and what it takes to be written.
const FINISHED_WITHIN: Duration = Duration::from_secs(15);
/// Between two looks whether it is there.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// What is missing at its end is not waited for, seconds.
const WHOLE_TO: f64 = 0.2;
/// Between two looks at what is too old or too much, seconds.
const SWEEP_EVERY: u64 = 60;
/// Segments deleted by one sweep at most.
const SWEEP: usize = 500;
/// Segments looked at in one transaction.
const PIECE: u32 = 100;
/// Between two words that only such recordings are left as are not to be deleted, seconds.
const TELL_EVERY: f64 = 3600.0;
/// With fewer free bytes, the oldest recordings make room, so many at once.
const LEAST_FREE: u64 = 512 << 20;
const ROOM_FOR: usize = 50;
/// Copies of files of a server that are kept here for the player, bytes.
const CACHE: u64 = 4 << 30;

/// When a camera is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordMode {
    /// All the time.
    Always,
    /// Around weapons, suspects and possible matches.
    Events,
    /// Never.
    #[default]
    Never,
}

/// What is recorded and for how long it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecordingConfig {
    /// `always`, `events` or `never`, for cameras that do not say it themselves.
    pub record: RecordMode,
    /// A file ends with the first key frame after so many seconds.
    pub segment_s: f64,
    /// With `events`: kept before one, seconds.
    pub pre_roll_s: f64,
    /// With `events`: kept after one, seconds.
    pub post_roll_s: f64,
    /// Deleted after so many days, unless held; 0 keeps all.
    pub keep_days: f64,
    /// When there is more than this, 10⁹ bytes, the oldest are deleted, unless held; 0 keeps all.
    pub max_gb: f64,
    /// What may wait on this machine for a store that does not take it, 10⁹ bytes.
    pub spool_gb: f64,
}

impl Default for RecordingConfig {
    fn default() -> Self {
        Self {
            record: RecordMode::Never,
            segment_s: 20.0,
            pre_roll_s: 5.0,
            post_roll_s: 10.0,
            keep_days: 30.0,
            max_gb: 500.0,
            spool_gb: 10.0,
        }
    }
}

impl RecordingConfig {
    /// What of it cannot be.
    pub(super) fn checks(&self) -> [(bool, &'static str); 5] {
        let seconds = |s: f64, most: f64| (0.0..=most).contains(&s);
        [
            ((1.0..=600.0).contains(&self.segment_s), "`recording.segment_s` must be between 1 and 600 seconds"),
            (
                seconds(self.pre_roll_s, 60.0) && seconds(self.post_roll_s, 3600.0),
                "`recording.pre_roll_s` must be at most 60 and `recording.post_roll_s` at most 3600 seconds",
            ),
            (seconds(self.keep_days, 36_500.0), "`recording.keep_days` must be between 0 and 36500"),
            (seconds(self.max_gb, 1e9), "`recording.max_gb` must not be negative"),
            (self.spool_gb > 0.0 && self.spool_gb <= 1e6, "`recording.spool_gb` must be above 0"),
        ]
    }
}

fn bytes(gb: f64) -> u64 {
    (gb * 1e9) as u64
}

/// The recorders of a site and what they have made.
pub(super) struct Recording {
    config: RecordingConfig,
    spool: WorkFolder,
    cache: WorkFolder,
    clock: Arc<dyn Clock>,
    supervisor: Supervisor,
    began_at: Timestamp,
    state: Mutex<State>,
    /// Something is in the spool.
    wake: Notify,
    /// Gets every file too.
    tape: Option<Arc<Tape>>,
    /// Only what this console keeps the records of is recorded, or what a replay needs.
    duty: Arc<Duty>,
    /// Says when this console's clock was set.
    steady: Arc<Steady>,
}

#[derive(Default)]
struct State {
    cameras: BTreeMap<CameraId, PerCamera>,
    /// Whole files that wait for the store, oldest first.
    spooled: Spool,
    /// The newest segments, oldest first.
    recent: VecDeque<Segment>,
    /// Those of them that an earlier run recorded.
    earlier: BTreeSet<Uuid>,
    /// Those that got their time when the clock was set, until the log says so.
    redated: Vec<clock::Redated>,
    /// Gaps to commit.
    owed: Vec<Record>,
    /// What the operator must be told.
    notices: Vec<String>,
    /// And of one camera, whose name stands in front.
    noticed: Vec<(CameraId, String)>,
    /// When it was last told that only recordings are left that are not to be deleted.
    told_of_kept: Option<Timestamp>,
    /// Why files are not stored, and since when.
    failing: Option<(String, Timestamp)>,
}

/// The way of a camera's pictures to its recorder, while there is one.
type Feed = Arc<Mutex<Option<Arc<Recorder>>>>;

#[derive(Default)]
struct PerCamera {
    recorder: Option<Arc<Recorder>>,
    /// Of a camera that is to be recorded.
    feed: Option<Feed>,
    events_only: bool,
    /// Nobody would tell of an event, so everything is recorded.
    unwatched: bool,
    /// The gap that lasts.
    gap: Option<Gap>,
    /// Of the last run, before the first picture of this one.
    covered_until: Option<Timestamp>,
    /// Why nothing is written.
    failure: Option<String>,
}

/// Why there is a gap before the first picture, as far as this console knows.
pub(super) const NOT_RUNNING: &str = "The console was not running, or did not record this camera";

/// Why there is a gap while pictures come.
const NO_KEY_FRAME: &str = "no key frame yet";
/// Of a camera that is recorded around events only.
const UNWATCHED: &str = "is not analysed at present, so no event would be seen: everything is recorded until it is";
const WATCHED_AGAIN: &str = "is analysed again: only the time around events is recorded";

impl PerCamera {
    /// What was recorded before ended when it did, unless a gap says otherwise.
    fn begin_gap(&mut self, camera: CameraId, reason: &str) {
        if let (None, Some(from)) = (&self.gap, self.covered_until) {
            self.gap = Some(Gap { id: Uuid::now_v7(), camera, from, until: None, reason: reason.to_owned() });
        }
    }

    /// Ends the way of the pictures. Whoever drops the recorder waits until it has finished its file and told of it, which needs the
    /// lock of the state.
    fn take_recorder(&mut self) -> Option<Arc<Recorder>> {
        if let Some(feed) = &self.feed {
            feed.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
        let recorder = self.recorder.take();
        // What it has recorded is no gap of whoever goes on.
        self.covered_until = recorder.as_ref().and_then(|recorder| recorder.covered_until()).or(self.covered_until);
        recorder
    }
}

impl Recording {
    /// Takes up what an earlier run left: files in the spool, gaps that last.
    ///
    /// # Errors
    /// When the spool or the store of cameras cannot be read.
    pub async fn open(
        folder: &DataFolder,
        config: RecordingConfig,
        records: &Records,
        tape: Option<Arc<Tape>>,
        duty: Arc<Duty>,
        steady: Arc<Steady>,
    ) -> Result<Self, SiteError> {
        let Records { stores, clock, supervisor, .. } = records;
        let (clock, supervisor) = (Arc::clone(clock), supervisor.clone());
        let (spool, cache) = (folder.spool(), folder.cache());
        cache.remove();
        let place = spool.path()?.to_owned();
        let found = tokio::task::spawn_blocking(move || Spool::found(&place)).await;
        let found = found.map_err(|e| SiteError::Threads(std::io::Error::other(e)))?;
        let mut state = State::default();
        match found {
            Ok(spool) => state.spooled = spool,
            Err(error) => state.notices.push(error.to_string()),
        }
        state.recent.extend(state.spooled.iter().map(|s| s.segment.clone()));
        state.earlier.extend(state.spooled.iter().map(|s| s.segment.id));
        // Of several consoles, whoever gets the duty of a camera asks then.
        if duty.is_alone() {
            // A store that does not answer yet tells nothing of earlier runs; what is recorded from now on is recorded all the same.
            let there = |error: StoreError| if error.is_away() { Ok(Vec::new()) } else { Err(error) };
            for gap in stores.cameras.open_gaps().await.or_else(there)? {
                let per = state.cameras.entry(gap.camera).or_default();
                per.gap = Some(gap);
            }
            let there = |error: StoreError| if error.is_away() { Ok(Vec::new()) } else { Err(error) };
            for (camera, until) in stores.cameras.recorded_until().await.or_else(there)? {
                state.cameras.entry(camera).or_default().covered_until = Some(until);
            }
        }
        for Segment { camera, ends_at, .. } in &state.recent {
            let until = &mut state.cameras.entry(*camera).or_default().covered_until;
            *until = (*until).max(Some(*ends_at));
        }
        if duty.is_alone() {
            state.cameras.iter_mut().for_each(|(camera, per)| per.begin_gap(*camera, NOT_RUNNING));
        }
        let (began_at, wake) = (clock.now(), Notify::new());
        let state = Mutex::new(state);
        Ok(Self { config, spool, cache, clock, supervisor, began_at, state, wake, tape, duty, steady })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts to record the camera, unless it is not to be; what takes its pictures.
    pub fn start(self: &Arc<Self>, camera: &Camera, address: &str, mode: Option<RecordMode>) -> Option<OnPacket> {
        // A replay needs every frame.
        let mode = if self.tape.is_some() { RecordMode::Always } else { mode.unwrap_or(self.config.record) };
        let recorded = camera.active && mode != RecordMode::Never && address != "test:";
        let begins = recorded && (self.duty.is_held(camera.id) || self.tape.is_some());
        let recorder = begins.then(|| self.recorder(camera.id, mode == RecordMode::Events)).flatten();
        let feed: Feed = Arc::new(Mutex::new(recorder.clone()));
        let old = {
            let mut state = self.state();
            let State { cameras, owed, .. } = &mut *state;
            let per = cameras.entry(camera.id).or_default();
            if recorder.is_some() {
                owed.extend(per.gap.clone().map(Record::Gap)); // it lasts until the first picture
            }
            let now = self.clock.now();
            if !recorded && per.feed.is_some() {
                // Nothing is to be recorded any more: what is missing ends here.
                owed.extend(per.gap.take().map(|gap| Record::Gap(Gap { until: Some(now), ..gap })));
            } else if recorded && per.feed.is_none() && per.gap.is_none() && self.duty.is_alone() {
                per.covered_until = Some(now); // nothing was to be recorded before
            }
            per.events_only = mode == RecordMode::Events;
            let old = per.take_recorder();
            (per.recorder, per.feed) = (recorder, recorded.then(|| Arc::clone(&feed)));
            old
        };
        drop(old);
        recorded.then(|| -> OnPacket {
            Box::new(move |packet| {
                if let Some(recorder) = feed.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
                    recorder.take(packet);
                }
            })
        })
    }

    /// The records of the camera are this console's from now on; `gap` and `until` say what the store knows of its video, and `why`
    /// what the reason of a gap is of which it does not know.
    pub fn begin_duty(
        self: &Arc<Self>,
        camera: CameraId,
        gap: Option<Gap>,
        until: Option<Timestamp>,
        why: Option<&str>,
    ) {
        let events_only = {
            let mut state = self.state();
            let per = state.cameras.entry(camera).or_default();
            if per.recorder.is_some() {
                return; // a replay needs it all the time
            }
            per.gap = gap;
            per.covered_until = per.covered_until.max(until);
            match why {
                Some(why) => per.begin_gap(camera, why),
                None => per.covered_until = None, // whoever recorded before says up to when
            }
            per.covered_until = per.covered_until.or(Some(self.clock.now()));
            per.feed.is_some().then_some(per.events_only)
        };
        let Some(recorder) = events_only.and_then(|events_only| self.recorder(camera, events_only)) else { return };
        let surplus = {
            let mut state = self.state();
            let State { cameras, owed, .. } = &mut *state;
            let per = cameras.entry(camera).or_default();
            match &per.feed {
                Some(feed) if per.recorder.is_none() => {
                    owed.extend(per.gap.clone().map(Record::Gap)); // it lasts until the first picture
                    *feed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&recorder));
                    per.recorder = Some(recorder);
                    None
                }
                _ => Some(recorder), // the stream was changed meanwhile
            }
        };
        drop(surplus);
    }

    /// Another console keeps the records of the camera: the file under way, if there is one, is finished, which nobody waits for. Where
    /// that was `handed_over` because there were no pictures here, the gap that this made ends now.
    pub fn end_duty(&self, camera: CameraId, handed_over: bool) {
        if self.tape.is_some() {
            return;
        }
        let now = self.clock.now();
        let recorder = {
            let mut state = self.state();
            let State { cameras, owed, .. } = &mut *state;
            let Some(per) = cameras.get_mut(&camera) else { return };
            if per.recorder.is_none() && per.gap.is_none() {
                return;
            }
            let recorder = per.take_recorder();
            let until = recorder.as_ref().and_then(|r| r.covered_until());
            let silent = until.filter(|until| handed_over && now.seconds_since(*until) > HANDED_OVER_WITHIN);
            let gap = per.gap.take().or_else(|| {
                let reason =
                    "The camera sent no pictures to the console that recorded it; another one goes on".to_owned();
                silent.map(|from| Gap { id: Uuid::now_v7(), camera, from, until: None, reason })
            });
            owed.extend(gap.map(|gap| Record::Gap(Gap { until: Some(now), ..gap })));
            (per.covered_until, per.failure) = (None, None);
            recorder
        };
        drop(tokio::task::spawn_blocking(move || drop(recorder)));
    }

    fn recorder(self: &Arc<Self>, camera: CameraId, events_only: bool) -> Option<Arc<Recorder>> {
        let spool = match self.spool.path() {
            Ok(spool) => spool.to_owned(),
            Err(error) => {
                self.state().notices.push(error.to_string());
                return None;
            }
        };
        let seconds = |s: f64| Duration::try_from_secs_f64(s).unwrap_or_default();
        let config = RecorderConfig {
            camera,
            spool,
            segment: seconds(self.config.segment_s),
            events_only,
            pre_roll: seconds(self.config.pre_roll_s),
            post_roll: seconds(self.config.post_roll_s),
        };
        let weak: Weak<Self> = Arc::downgrade(self);
        let told = move |recorded| {
            if let Some(recording) = weak.upgrade() {
                recording.take(camera, recorded);
            }
        };
        match Recorder::start(config, &self.supervisor, told) {
            Ok(recorder) => Some(Arc::new(recorder)),
            Err(error) => {
                self.state().notices.push(error.to_string());
                None
            }
        }
    }

    fn take(&self, camera: CameraId, recorded: Recorded) {
        if let (Some(tape), Recorded::Segment(spooled)) = (&self.tape, &recorded) {
            tape.video(spooled);
        }
        let mut state = self.state();
        match recorded {
            Recorded::Segment(mut spooled) => {
                // One that was under way when the clock was set.
                if let Some(dated) = self.dated(&spooled.segment) {
                    let seemed = std::mem::replace(&mut spooled.segment, dated.clone()).starts_at;
                    state.redated.push((dated, seemed));
                }
                let spooled = addressed(spooled);
                state.recent.push_back(spooled.segment.clone());
                if state.recent.len() > RECENT {
                    state.recent.pop_front();
                }
                state.spooled.push(spooled);
                self.wake.notify_one();
            }
            Recorded::Resumed { last, at, why } => {
                let ends = self.ends(&state);
                let per = state.cameras.entry(camera).or_default();
                let failure = per.failure.take();
                let reason = match why {
                    Some(Why::NoKeyFrame) => NO_KEY_FRAME.to_owned(),
                    Some(Why::Slow) => RecorderError::Slow.to_string(),
                    Some(Why::Disk) => failure.unwrap_or_else(|| "The recording could not be written".to_owned()),
                    Some(Why::Failed) => "The recorder failed and began again".to_owned(),
                    None => "The camera sent no pictures".to_owned(),
                };
                // Before the first picture of this recorder another one may have recorded.
                let last = last.or(per.covered_until.filter(|until| at.seconds_since(*until) > GAP_AFTER));
                // Told before the clock is, where it was set meanwhile: so the clock is asked first.
                let gaps = match per.gap.take() {
                    Some(gap) => {
                        let mut gaps = self.gaps_between(camera, (gap.from, at), &gap.reason, &ends);
                        match gaps.first_mut().filter(|first| first.reason == gap.reason) {
                            Some(first) => first.id = gap.id,
                            // Nothing of it is left, but it was told of, and it ends.
                            None => gaps.push(Gap { until: Some(gap.from), ..gap }),
                        }
                        gaps
                    }
                    None => last.map(|from| self.gaps_between(camera, (from, at), &reason, &ends)).unwrap_or_default(),
                };
                state.owed.extend(gaps.into_iter().map(Record::Gap));
            }
            Recorded::Lost(from, until, why) => {
                let reason = format!("What was recorded could not be saved after the disk failed: {why}");
                let gap = Gap { id: Uuid::now_v7(), camera, from, until: Some(until), reason };
                state.owed.push(Record::Gap(gap));
            }
            Recorded::Noticed(what) => state.noticed.push((camera, what)),
            Recorded::Failed(error) => {
                let error = error.to_string();
                state.cameras.entry(camera).or_default().failure = Some(error.clone());
                state.notices.push(format!("Recording is interrupted: {error}"));
            }
        }
    }

    /// Something happened on this camera: where only events are recorded, the time around it is kept.
    pub fn event(&self, camera: CameraId, at: Timestamp) {
        let state = self.state();
        if let Some(recorder) = state.cameras.get(&camera).filter(|c| c.events_only).and_then(|c| c.recorder.as_ref()) {
            recorder.event(at);
        }
    }

    /// How much of a camera is to be recorded here, and can be: 0 is nothing, 1 the time around events, 2 everything.
    pub fn fitness(&self, camera: CameraId) -> i64 {
        let state = self.state();
        let per = state.cameras.get(&camera).filter(|per| per.feed.is_some() && per.failure.is_none());
        per.map_or(0, |per| if per.events_only { 1 } else { 2 })
    }

    /// Whether the camera is to be recorded and is not.
    pub fn is_missing(&self, camera: CameraId) -> bool {
        self.state().cameras.get(&camera).is_some_and(|per| per.feed.is_some() && per.recorder.is_none())
    }

    /// Whether pictures come and are recorded here, so that this gap, which is not known here, is over.
    pub fn goes_on_without(&self, gap: &Gap) -> bool {
        let state = self.state();
        let per = state.cameras.get(&gap.camera);
        per.is_some_and(|per| {
            let covered = per.recorder.as_ref().and_then(|recorder| recorder.covered_until());
            per.gap.is_none() && covered.is_some_and(|until| until > gap.from)
        })
    }

    /// The cameras that have a recorder here now: what closing this console would end.
    pub fn recorded(&self) -> Vec<CameraId> {
        self.state().cameras.iter().filter(|(_, per)| per.recorder.is_some()).map(|(id, _)| *id).collect()
    }

    /// Makes what is being recorded now playable, as soon as the next key frame comes.
    pub fn cut(&self, camera: CameraId) {
        if let Some(recorder) = self.state().cameras.get(&camera).and_then(|c| c.recorder.as_ref()) {
            recorder.cut();
        }
    }

    /// Makes what is being recorded of a camera up to then a whole file, and waits for that as long as pictures come, but not for ever.
    pub async fn finish(&self, camera: CameraId, until: Timestamp) {
        let until = until.min(self.clock.now());
        let begun = Instant::now();
        let mut cut = false;
        while begun.elapsed() < FINISHED_WITHIN
            && self.under_way(camera).is_some_and(|gap| until.seconds_since(gap.from) > WHOLE_TO)
        {
            if !cut {
                self.cut(camera);
                cut = true;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The time since the end of the newest whole file of a camera that is being recorded here: of it there is no file yet.
    pub fn under_way(&self, camera: CameraId) -> Option<Gap> {
        let state = self.state();
        let per = state.cameras.get(&camera).filter(|per| per.gap.is_none() && per.failure.is_none())?;
        per.recorder.as_ref()?.covered_until()?;
        // The newest one is the last that came: a clock that was set back has made earlier ones seem newer.
        let whole = state.recent.iter().rev().find(|s| s.camera == camera).map(|s| s.ends_at);
        let mut from = whole.unwrap_or(self.began_at);
        if per.events_only {
            // Of what was longer ago nothing is being kept.
            let RecordingConfig { pre_roll_s, segment_s, post_roll_s, .. } = self.config;
            let open = Duration::try_from_secs_f64(pre_roll_s + segment_s + post_roll_s).unwrap_or_default();
            from = from.max(self.clock.now().minus(open));
        }
        Some(Gap {
            id: Uuid::nil(),
            camera,
            from,
            until: None,
            reason: "not finished yet: it is being recorded".to_owned(),
        })
    }

    /// Whether anything is or was to be recorded here, and how the storing of files is doing: error, since when, waiting.
    pub fn health(&self) -> Option<(Option<(String, Timestamp)>, usize)> {
        let state = self.state();
        let any = state.cameras.values().any(|c| c.recorder.is_some()) || !state.spooled.is_empty();
        let waiting = if state.failing.is_some() { state.spooled.len() } else { 0 };
        any.then(|| (state.failing.clone(), waiting))
    }

    /// Opens the gaps of cameras that send nothing; what is to be committed, and what is to be told.
    fn look(&self, paths: &[Arc<CameraPath>]) -> (Vec<Record>, Vec<String>) {
        let behind = self.is_behind_the_clock();
        let now = self.clock.now();
        let mut state = self.state();
        let ends = self.ends(&state);
        let mut opened = Vec::new();
        let State { cameras, noticed, .. } = &mut *state;
        for (camera, per) in cameras {
            let path = paths.iter().find(|p| p.camera.id == *camera);
            if let (Some(recorder), true) = (&per.recorder, per.events_only) {
                let unwatched = path.is_some_and(|path| path.meters.is_unwatched());
                recorder.unwatched(unwatched);
                if unwatched != std::mem::replace(&mut per.unwatched, unwatched) {
                    noticed.push((*camera, String::from(if unwatched { UNWATCHED } else { WATCHED_AGAIN })));
                }
            }
            let Some(recorder) = per.recorder.as_ref().filter(|_| per.gap.is_none() && !behind) else { continue };
            let from = recorder.covered_until().or(per.covered_until).unwrap_or(self.began_at);
            // A camera that sends few pictures may take some times its own pace.
            let late = Duration::from_secs_f64(now.seconds_since(from).max(0.0)) <= 4 * recorder.pace();
            if late || !self.is_silent(from, now) {
                continue;
            }
            let reason = per.failure.clone().unwrap_or_else(|| match path.map(|p| p.status()) {
                _ if path.is_some_and(|p| p.waits_for_key_frame()) || recorder.waits_for_key_frame() => {
                    NO_KEY_FRAME.to_owned()
                }
                Some(CameraStatus::Stale { reason, .. }) => reason,
                Some(CameraStatus::Connecting) => "The camera was not connected yet".to_owned(),
                Some(CameraStatus::Live) => "The camera's pictures could not be recorded".to_owned(),
                Some(CameraStatus::Inactive) | None => "The camera was switched off".to_owned(),
            });
            let gaps = self.gaps_since(*camera, (from, now), &reason, &ends);
            per.gap = gaps.last().cloned();
            opened.extend(gaps.into_iter().map(Record::Gap));
        }
        state.owed.extend(opened);
        (std::mem::take(&mut state.owed), std::mem::take(&mut state.notices))
    }

    /// Finishes every file; gaps begin.
    pub fn stop(&self) {
        let recorders: Vec<_> = {
            let mut state = self.state();
            state.cameras.iter_mut().filter_map(|(id, per)| Some((*id, per.take_recorder()?))).collect()
        };
        let stopped: Vec<_> = recorders.iter().map(|(id, r)| (*id, r.covered_until())).collect();
        // Side by side, so that one disk that hangs costs five seconds and not five for each camera.
        std::thread::scope(|scope| {
            for (_, recorder) in recorders {
                recorder.end();
                scope.spawn(move || drop(recorder));
            }
        });
        let mut state = self.state();
        for (camera, until) in stopped {
            let per = state.cameras.entry(camera).or_default();
            if let (None, Some(from)) = (&per.gap, until) {
                let reason = "The console was stopped".to_owned();
                let gap = Gap { id: Uuid::now_v7(), camera, from, until: None, reason };
                per.gap = Some(gap.clone());
                state.owed.push(Record::Gap(gap));
            }
        }
    }

    /// The newest segments of these cameras that show anything of this stretch, also those that no store knows yet.
    pub fn recent(&self, cameras: &[CameraId], from: Timestamp, until: Timestamp) -> Vec<Segment> {
        let shows = |s: &&Segment| cameras.contains(&s.camera) && s.ends_at > from && s.starts_at < until;
        self.state().recent.iter().filter(shows).cloned().collect()
    }

    /// The file of a segment that no store has yet.
    pub fn spooled(&self, id: Uuid) -> Option<PathBuf> {
        self.state().spooled.iter().find(|s| s.segment.id == id).map(|s| s.file.clone())
    }
}

/// The file with the address that it will have among the objects.
fn addressed(mut spooled: Spooled) -> Spooled {
    let s = &mut spooled.segment;
    let day = s.starts_at.utc_day();
    s.video_url = url_of_key(&format!("{ROOM}/{}/{day}/{}.mkv", s.camera, s.id));
    spooled
}

impl Shared {
    /// The mode of a camera that the configuration describes.
    pub(super) fn record_mode(&self, camera: &Camera) -> Option<RecordMode> {
        let configured = self.config.cameras.iter().find(|c| camera.configured && c.name == camera.name);
        configured.and_then(|c| c.record)
    }

    /// Once a second: gaps and troubles of the recorders.
    pub(super) async fn look_at_recording(&self) {
        let (records, notices) = self.recording.look(&self.cameras.paths());
        if !self.commit(&records, "Gaps of the recording are not recorded").await {
            self.recording.state().owed.extend(records);
        }
        for notice in notices {
            self.trouble(About::AllCameras, notice);
        }
        let noticed = std::mem::take(&mut self.recording.state().noticed);
        for (camera, what) in noticed {
            self.trouble(About::Cameras(vec![camera]), format!("{} {what}", self.camera_name(camera)));
        }
        self.tell_of_redated().await;
    }

    /// From time to time: what is too old or too much is deleted, and that is recorded.
    pub(super) async fn retain_recordings(&self, seconds: u64) {
        if !seconds.is_multiple_of(SWEEP_EVERY) {
            return;
        }
        self.keep_promises().await;
        self.settle_owed(None).await;
        let config = &self.recording.config;
        if config.keep_days > 0.0
            && let Some(now) = self.trusted_now().await
        {
            let why = format!("older than {} days", config.keep_days);
            self.delete_recordings(DeletedBy::Age(now.days_ago(config.keep_days)), &why, |_, _| true).await;
        }
        if config.max_gb > 0.0 {
            match self.records.stores.cameras.recorded_bytes().await {
                Ok(there) => {
                    let over = there.saturating_sub(bytes(config.max_gb));
                    if over > 0 {
                        let why = format!("more than {} GB are kept", config.max_gb);
                        self.delete_recordings(DeletedBy::Size, &why, |_, deleted| deleted < over).await;
                    }
                }
                Err(error) => tracing::warn!(%error, "how much is recorded cannot be found out"),
            }
        }
        let local = self.records.stores.objects.local_file("segments/x.mkv").is_some();
        if local && self.has_little_room() {
            self.make_room("the disk is almost full").await;
        }
    }

    fn has_little_room(&self) -> bool {
        let free = self.recording.spool.path().ok().and_then(|spool| fs4::available_space(spool).ok());
        free.is_some_and(|free| free < LEAST_FREE)
    }

    /// Deletes the oldest recordings that are not held, to go on with newer ones.
    async fn make_room(&self, why: &str) {
        let mut left = ROOM_FOR;
        let deleted = self
            .delete_recordings(DeletedBy::Disk, why, |_, _| {
                left = left.saturating_sub(1);
                left > 0
            })
            .await;
        if deleted > 0 {
            self.trouble(About::AllCameras, format!("{deleted} of the oldest recordings were deleted: {why}"));
        }
    }

    /// Says, once an hour, that room is needed and only recordings are left that are not to be deleted for it.
    fn tell_of_kept(&self, why: &str) {
        let now = self.records.clock.now();
        let told = self.recording.state().told_of_kept.filter(|told| now.seconds_since(*told).abs() < TELL_EVERY);
        if told.is_none() {
            self.recording.state().told_of_kept = Some(now);
            self.error(format!(
                "Recordings must be deleted ({why}), but all that are left are held, promised to an export, or of a followed \
                 suspect or an open case. Nothing of these is deleted: give more room, end what is not needed any more"
            ));
        }
    }

    /// Deletes recordings, oldest first, for as long as `wanted` (of a segment, and the bytes deleted so far) says so, except those
    /// that something keeps at that moment. One entry says what was deleted and why.
    pub(super) async fn delete_recordings(
        &self,
        by: DeletedBy,
        why: &str,
        mut wanted: impl FnMut(&Segment, u64) -> bool + Send,
    ) -> usize {
        let stores = &self.records.stores;
        self.read_casework().await;
        if !self.casework.is_read() {
            return 0; // what is to be kept is not known
        }
        let (mut size, mut deleted, mut failure) = (0, Vec::<Segment>::new(), None);
        let (mut after, mut kept, mut enough, mut owing) = (None, 0, false, Owing::new(self));
        // What is kept stays in front for ever: look behind it, too.
        while deleted.len() < SWEEP && failure.is_none() {
            // Also what makes room goes by no clock that is ahead: it would end holds' and promises' time, and follows.
            let now = self.careful_now().await;
            let mut more = |segment: &Segment| {
                let more = wanted(segment, size);
                size += if more { segment.size } else { 0 };
                more
            };
            let keeps = || self.kept(now);
            let mut entry = |piece: Deleted<'_>| {
                let Deleted::Recordings(piece) = piece else { return None };
                Some(owing.owe(self, self.told_of_recordings(why, deleted.iter().chain(piece))))
            };
            let mut book = Book { kept: &keeps, entry: &mut entry };
            let piece = stores.cameras.delete_oldest_recorded(by, now, &mut book, after, PIECE, &mut more).await;
            let piece = match piece {
                Ok(piece) => piece,
                Err(error) => {
                    failure = Some(error.to_string());
                    break;
                }
            };
            kept += piece.kept;
            // Their files go now; those that cannot go with the next sweep over what is left behind.
            for key in piece.deleted.iter().filter_map(|segment| key_of_url(&segment.video_url)) {
                let gone = async {
                    stores.objects.delete(key).await?;
                    stores.cameras.forget_doomed(key).await
                };
                if let Err(error) = gone.await {
                    failure = Some(error.to_string());
                    break;
                }
            }
            deleted.extend(piece.deleted);
            (after, enough) = (piece.next, piece.enough);
            if enough || after.is_none() {
                break;
            }
        }
        if !matches!(by, DeletedBy::Age(_)) && !enough && kept > 0 && after.is_none() && failure.is_none() {
            self.tell_of_kept(why);
        }
        if let Some(error) = &failure {
            tracing::warn!(%error, "what is recorded cannot be read or deleted");
        }
        if deleted.is_empty() && failure.is_none() {
            return 0;
        }
        self.recording.state().recent.retain(|s| deleted.iter().all(|d| d.id != s.id));
        self.settle_owed(Some(owing)).await;
        deleted.len()
    }

    /// What the entry of a sweep over recordings says.
    fn told_of_recordings<'a>(
        &self,
        why: &str,
        deleted: impl Iterator<Item = &'a Segment> + Clone,
    ) -> serde_json::Value {
        let mut cameras: BTreeMap<String, usize> = BTreeMap::new();
        for segment in deleted.clone() {
            *cameras.entry(self.camera_name(segment.camera)).or_default() += 1;
        }
        json!({
            "what": "recordings", "why": why, "recordings": deleted.clone().count(), "cameras": cameras,
            "bytes": deleted.clone().map(|s| s.size).sum::<u64>(),
            "from": deleted.clone().map(|s| s.starts_at).min().map(|t| t.to_string()),
            "until": deleted.clone().map(|s| s.ends_at).max().map(|t| t.to_string()),
            "ids": deleted.map(|s| s.id).collect::<Vec<_>>(),
        })
    }

    /// What there is of these cameras in this stretch, oldest first: uploads and recordings, also what no store has yet.
    pub(super) async fn segments(
        &self,
        cameras: &[CameraId],
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Segment>, StoreError> {
        let mut segments = self.records.stores.cameras.segments(Some(cameras), from, until).await?;
        for recent in self.recording.recent(cameras, from, until) {
            if segments.iter().all(|s| s.id != recent.id) {
                segments.push(recent);
            }
        }
        segments.sort_by_key(|s| s.starts_at);
        Ok(segments)
    }

    /// The segment's file on this machine: in the spool, in the folder of objects, or a copy of what is on a server.
    ///
    /// # Errors
    /// When the store does not answer or has no such file.
    pub(super) async fn video_file(&self, segment: &Segment) -> Result<PathBuf, StoreError> {
        if let Some(file) = self.recording.spooled(segment.id) {
            return Ok(file);
        }
        let gone = || StoreError::Unavailable {
            place: "the recording".to_owned(),
            detail: "its file is not in the store any more".to_owned(),
        };
        let objects = &self.records.stores.objects;
        let key = key_of_url(&segment.video_url).ok_or_else(gone)?;
        if let Some(file) = objects.local_file(key) {
            return if is_there(&file)? { Ok(file) } else { Err(gone()) };
        }
        let copy = self.recording.cache.file(&key.replace('/', "_"))?;
        if !is_there(&copy)? {
            shorten_cache(self.recording.cache.path()?);
            if !objects.get_to_file(key, &copy).await? {
                return Err(gone());
            }
        }
        Ok(copy)
    }

    /// Commits what the end of the recorders left, once they have stopped.
    pub(super) async fn recording_stopped(&self) {
        self.look_at_recording().await;
    }
}

/// Deletes the oldest copies while there are too many.
fn shorten_cache(cache: &std::path::Path) {
    let Ok(entries) = fs::read_dir(cache) else { return };
    let mut copies: Vec<_> = entries
        .flatten()
        .filter_map(|e| Some((e.metadata().ok()?.modified().ok()?, e.metadata().ok()?.len(), e.path())))
        .collect();
    copies.sort();
    let mut size: u64 = copies.iter().map(|(_, size, _)| size).sum();
    for (_, of, path) in copies {
        if size <= CACHE {
            break;
        }
        if fs::remove_file(path).is_ok() {
            size -= of;
        }
    }
}

mod clock;
mod storing;
#[cfg(test)]
pub(super) mod tests;
