//! Plays recorded files: several cameras on one wall-clock instant, to the exact frame.
//!
//! A [`Deck`] is one file: it says which frame is on at a time, cheaply when it is near the last one. A [`Player`] has a thread a
//! camera that shows what that camera's segments have for the instant of the common clock; where they have nothing it says so,
//! and the clock goes on: a gap is never jumped over.
use super::{
    FileError, Frame,
    decoding::{Cause, Seen},
    file::{Running, decoded},
};
use crate::{
    model::{CameraId, Clock, Segment, Slot, Timestamp},
    supervise,
};
use gstreamer::{self as gst, prelude::*};
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;
use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};
use uuid::Uuid;

/// Decoded frames that one file keeps around its position, bytes: steps back, and playing backwards, come out of these.
const KEPT_BYTES: usize = 96 << 20;
/// A position so far ahead of the last frame is decoded up to; what lies further is sought.
const NEAR: Duration = Duration::from_millis(1500);
/// How long a decoder may take for a frame.
const PATIENCE: Duration = Duration::from_secs(10);
/// At this many times the true speed and above, only key frames are shown.
const KEY_FRAMES_FROM: f64 = 8.0;
/// With key frames only, a key frame stands for this long, of the video's time.
const KEY_FRAME_STANDS: Duration = Duration::from_millis(400);
/// Files of one camera that stay open.
const OPEN_FILES: usize = 3;
/// After what could not be worked on.
const FAILED_PAUSE: Duration = Duration::from_secs(1);
/// Between two looks at the clock while playing.
const TICK: Duration = Duration::from_millis(10);

/// One video file, opened for exact positions.
pub struct Deck {
    pipeline: Running,
    sink: gst_app::AppSink,
    path: PathBuf,
    starts_at: Timestamp,
    /// Frames in a row, ascending; what comes next out of the decoder follows the last.
    row: VecDeque<Frame>,
    frames: u64,
    ended: bool,
}

impl Deck {
    /// Opens the file; its first frame is of `starts_at`.
    ///
    /// # Errors
    /// When there is no frame to be had, with the reason.
    pub fn open(path: &Path, starts_at: Timestamp) -> Result<Self, FileError> {
        let seen = Seen::default();
        let (pipeline, sink) = decoded(path, &seen, Some(1), 2)?;
        let _ = pipeline.0.set_state(gst::State::Paused);
        let (changed, ..) = pipeline.0.state(gst::ClockTime::try_from(PATIENCE).ok());
        let mut deck =
            Self { pipeline, sink, path: path.to_owned(), starts_at, row: VecDeque::new(), frames: 0, ended: false };
        if changed.is_err() {
            let bus = deck.pipeline.0.bus();
            while let Some(message) = bus.as_ref().and_then(|b| b.pop()) {
                seen.note_message(&message);
                if let gst::MessageView::Error(error) = message.view() {
                    let text = error.error().message().to_owned();
                    return Err(match seen.cause(&error.error()) {
                        Cause::MissingPlugin(name) => FileError::MissingPlugin(path.to_owned(), name),
                        Cause::NoVideo => FileError::NoVideo(path.to_owned()),
                        Cause::NotMedia => FileError::NotVideo(path.to_owned()),
                        _ => deck.damaged(&text),
                    });
                }
            }
            return Err(deck.damaged("it cannot be opened"));
        }
        let _ = deck.pipeline.0.set_state(gst::State::Playing);
        if deck.pull()?.is_none() {
            return Err(deck.damaged("no picture"));
        }
        Ok(deck)
    }

    /// The frame that is on at file time `t`: the last that begins at or before it; before the first, the first.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn frame_at(&mut self, t: Duration) -> Result<Frame, FileError> {
        let within =
            self.row.front().zip(self.row.back()).is_some_and(|(first, last)| {
                first.stream_time() <= t && (self.ended || t <= last.stream_time() + NEAR)
            });
        if !within {
            self.seek(t)?;
        }
        while !self.ended && self.row.back().is_none_or(|last| last.stream_time() <= t) {
            if self.pull()?.is_none() {
                break;
            }
            self.forget();
        }
        let after = self.row.partition_point(|f| f.stream_time() <= t);
        let frame = self.row.get(after.saturating_sub(1)).cloned();
        frame.ok_or_else(|| self.damaged("there is no picture at this place"))
    }

    /// The frame after the one that is on at `t`; `None` at the end.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn frame_after(&mut self, t: Duration) -> Result<Option<Frame>, FileError> {
        let frame = self.frame_at(t)?;
        let now = frame.stream_time();
        if now > t {
            return Ok(Some(frame)); // before the first picture: that one
        }
        let after = self.row.partition_point(|f| f.stream_time() <= now);
        Ok(self.row.get(after).cloned())
    }

    /// The frame before the one that is on at `t`; `None` at the beginning.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn frame_before(&mut self, t: Duration) -> Result<Option<Frame>, FileError> {
        let now = self.frame_at(t)?.stream_time();
        let Some(before) = now.checked_sub(Duration::from_nanos(1)) else { return Ok(None) };
        let frame = self.frame_at(before)?;
        Ok((frame.stream_time() < now).then_some(frame))
    }

    /// A frame near `t` that costs little: the exact one if it is decoded already, else the key frame before it.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn preview_at(&mut self, t: Duration) -> Result<Frame, FileError> {
        let decoded = self
            .row
            .front()
            .zip(self.row.back())
            .is_some_and(|(first, last)| first.stream_time() <= t && t < last.stream_time());
        if decoded {
            return self.frame_at(t);
        }
        self.seek(t)?;
        self.row.back().cloned().ok_or_else(|| self.damaged("there is no picture at this place"))
    }

    /// Goes to the key frame at or before `t`, which is then the only frame in the row.
    fn seek(&mut self, t: Duration) -> Result<(), FileError> {
        let mut to = t;
        loop {
            self.row.clear();
            self.ended = false;
            let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::KEY_UNIT | gst::SeekFlags::SNAP_BEFORE;
            let position = gst::ClockTime::try_from(to).unwrap_or(gst::ClockTime::ZERO);
            if self.pipeline.0.seek_simple(flags, position).is_err() {
                return Err(self.damaged("it cannot be searched"));
            }
            let first = self.pull()?;
            // A file without an index lands anywhere: go back until it is early enough.
            let early = first.as_ref().is_some_and(|f| f.stream_time() <= t);
            if early || to.is_zero() {
                return Ok(());
            }
            to = to.checked_sub((t - to) * 2 + Duration::from_secs(2)).unwrap_or_default();
        }
    }

    /// The next frame out of the decoder, into the row; `None` at the end.
    fn pull(&mut self) -> Result<Option<Frame>, FileError> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(sample) = self.sink.try_pull_sample(gst::ClockTime::from_mseconds(50)) {
                let frame = self.frame(&sample)?;
                // Some old containers stamp only part of their pictures.
                if self.row.back().is_none_or(|last| last.stream_time() < frame.stream_time()) {
                    self.row.push_back(frame.clone());
                    return Ok(Some(frame));
                }
                continue;
            }
            let bus = self.pipeline.0.bus();
            let failed = bus.is_some_and(|b| b.pop_filtered(&[gst::MessageType::Error]).is_some());
            if self.sink.is_eos() || failed {
                self.ended = true; // what is damaged is used as far as it goes
                return Ok(None);
            }
        }
        Err(self.damaged("the decoder stopped answering"))
    }

    fn frame(&mut self, sample: &gst::Sample) -> Result<Frame, FileError> {
        let unusable = || FileError::Damaged(self.path.clone(), "a decoded picture is unusable".to_owned());
        let buffer = sample.buffer_owned().ok_or_else(unusable)?;
        let info = sample.caps().and_then(|c| gst_video::VideoInfo::from_caps(c).ok()).ok_or_else(unusable)?;
        let segment = sample.segment().and_then(|s| s.downcast_ref::<gst::ClockTime>());
        let at = segment.zip(buffer.pts()).and_then(|(s, pts)| s.to_stream_time(pts)).map(Duration::from);
        let at = at.unwrap_or_else(|| self.row.back().map_or(Duration::ZERO, Frame::stream_time));
        self.frames += 1;
        Frame::new(buffer, &info, self.frames, self.starts_at.plus(at), at).map_err(|_| unusable())
    }

    /// Lets the oldest frames of the row go.
    fn forget(&mut self) {
        let size = self.row.front().map_or(1, |f| f.width() as usize * f.height() as usize * 3 / 2).max(1);
        let most = (KEPT_BYTES / size).max(4);
        while self.row.len() > most {
            self.row.pop_front();
        }
    }

    fn damaged(&self, why: &str) -> FileError {
        FileError::Damaged(self.path.clone(), why.trim_end_matches('.').to_owned())
    }
}

impl std::fmt::Debug for Deck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Deck({}, {} frames kept)", self.path.display(), self.row.len())
    }
}

/// Where the file of a segment lies; may take its time.
pub type Locate = dyn Fn(&Segment) -> Result<PathBuf, String> + Send + Sync;

/// What one camera shows.
#[derive(Clone, Debug)]
pub struct Showing {
    /// The picture; `None` where there is none.
    pub frame: Option<Frame>,
    /// What it is.
    pub what: What,
    /// For this instant of the common clock.
    pub at: Timestamp,
}

/// What is shown of one camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The exact frame.
    Exact,
    /// A key frame near it, for now or because of the speed.
    Preview,
    /// There is no video of this instant.
    Nothing,
    /// A file is being fetched or opened.
    Loading,
    /// A file cannot be played; why.
    Trouble(String),
}

/// The common clock.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Transport {
    at: Timestamp,
    since: Instant,
    /// 0: it stands; negative: backwards.
    rate: f64,
    /// Grows with every change.
    generation: u64,
    /// More positions will follow at once.
    scrubbing: bool,
}

impl Transport {
    fn position(&self) -> Timestamp {
        let moved = self.since.elapsed().as_secs_f64() * self.rate;
        Timestamp(self.at.0.saturating_add((moved * 1e6) as i64))
    }
}

struct Control {
    state: Mutex<State>,
    changed: Condvar,
    clock: Arc<dyn Clock>,
}

struct State {
    transport: Transport,
    /// Frames to go, forwards or backwards, by the frames of this camera.
    step: Option<(CameraId, i32)>,
    stopped: bool,
}

impl Control {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The instant that is shown; never later than now.
    fn position(&self, transport: &Transport) -> Timestamp {
        transport.position().min(self.clock.now())
    }

    fn change(&self, change: impl FnOnce(&mut Transport, Timestamp)) {
        let mut state = self.lock();
        let at = self.position(&state.transport);
        let transport = &mut state.transport;
        transport.generation += 1;
        change(transport, at);
        transport.since = Instant::now();
        drop(state);
        self.changed.notify_all();
    }
}

/// The segments of one camera, oldest first.
type Index = Arc<Mutex<Arc<Vec<Segment>>>>;

/// Cameras being watched. Dropping it closes the files.
pub struct Player {
    control: Arc<Control>,
    cameras: Vec<Camera>,
}

struct Camera {
    id: CameraId,
    showing: Slot<Showing>,
    index: Index,
    thread: Option<JoinHandle<()>>,
}

impl Player {
    /// Opens these cameras at an instant, standing. `locate` is asked on the players' own threads.
    pub fn open(cameras: &[CameraId], at: Timestamp, clock: Arc<dyn Clock>, locate: &Arc<Locate>) -> Self {
        let transport = Transport { at, since: Instant::now(), rate: 0.0, generation: 1, scrubbing: false };
        let state = Mutex::new(State { transport, step: None, stopped: false });
        let control = Arc::new(Control { state, changed: Condvar::new(), clock });
        let cameras = cameras.iter().map(|&id| {
            let (showing, index) = (Slot::new(), Index::default());
            let work = Work {
                camera: id,
                control: Arc::clone(&control),
                showing: showing.clone(),
                index: Arc::clone(&index),
                locate: Arc::clone(locate),
                decks: Vec::new(),
                key: None,
            };
            let thread = std::thread::Builder::new().name("player".into()).spawn(move || work.run_on());
            if let Err(error) = &thread {
                let what = What::Trouble(format!("No thread could be started for this camera ({error})"));
                showing.put(Showing { frame: None, what, at });
            }
            Camera { id, showing, index, thread: thread.ok() }
        });
        let cameras = cameras.collect();
        Self { control, cameras }
    }

    /// The segments of a camera, oldest first; those that a later call leaves out are not shown any more.
    pub fn set_segments(&self, camera: CameraId, segments: Vec<Segment>) {
        let Some(camera) = self.cameras.iter().find(|c| c.id == camera) else { return };
        let mut index = camera.index.lock().unwrap_or_else(PoisonError::into_inner);
        if **index == segments {
            return;
        }
        *index = Arc::new(segments);
        drop(index);
        self.control.lock().transport.generation += 1;
        self.control.changed.notify_all();
    }

    /// The instant that is shown.
    pub fn position(&self) -> Timestamp {
        let transport = self.control.lock().transport;
        self.control.position(&transport)
    }

    /// How fast it plays; 0 when it stands.
    pub fn rate(&self) -> f64 {
        self.control.lock().transport.rate
    }

    /// Goes to an instant; while `scrubbing`, what is cheap is shown first. Standing or playing stays.
    pub fn seek(&self, to: Timestamp, scrubbing: bool) {
        self.control.change(|t, _| (t.at, t.scrubbing) = (to, scrubbing));
    }

    /// Plays at so many times the true speed, backwards when negative; 0 stands.
    pub fn play(&self, rate: f64) {
        self.control.change(|t, at| (t.at, t.rate, t.scrubbing) = (at, rate.clamp(-16.0, 16.0), false));
    }

    /// Stands, and goes so many frames of this camera on, or back when negative.
    pub fn step(&self, camera: CameraId, frames: i32) {
        self.control.change(|t, at| (t.at, t.rate, t.scrubbing) = (at, 0.0, false));
        let mut state = self.control.lock();
        let before = state.step.filter(|(of, _)| *of == camera).map_or(0, |(_, n)| n);
        state.step = Some((camera, before.saturating_add(frames)));
        drop(state);
        self.control.changed.notify_all();
    }

    /// What each camera shows, in the order given.
    pub fn showing(&self) -> Vec<(CameraId, Option<Showing>)> {
        self.cameras.iter().map(|c| (c.id, c.showing.get())).collect()
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        self.control.lock().stopped = true;
        self.control.changed.notify_all();
        // A thread that waits for a file is left to itself: it ends with its answer.
        for camera in &mut self.cameras {
            drop(camera.thread.take());
        }
    }
}

impl std::fmt::Debug for Player {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Player({} cameras at {})", self.cameras.len(), self.position())
    }
}

/// What the thread of one camera has.
struct Work {
    camera: CameraId,
    control: Arc<Control>,
    showing: Slot<Showing>,
    index: Index,
    locate: Arc<Locate>,
    /// Open files, the one used last at the end.
    decks: Vec<(Uuid, Result<Deck, String>)>,
    /// The key frame shown at a high speed.
    key: Option<Frame>,
}

impl Work {
    /// Plays until it is stopped. What cannot be worked on is told, and tried again.
    fn run_on(mut self) {
        while let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.run())) {
            let what = What::Trouble(format!("This recording cannot be shown: {}", supervise::words(panic.as_ref())));
            let at = self.control.position(&self.control.lock().transport);
            self.decks.clear();
            self.showing.put(Showing { frame: None, what, at });
            std::thread::sleep(FAILED_PAUSE);
        }
    }

    fn run(&mut self) {
        let mut shown: Option<(u64, Timestamp)> = None;
        loop {
            let (transport, position, step) = {
                let mut state = self.control.lock();
                loop {
                    if state.stopped {
                        return;
                    }
                    let stepping = state.step.is_some_and(|(of, _)| of == self.camera);
                    let news = shown.is_none_or(|(generation, _)| generation != state.transport.generation);
                    if state.transport.rate != 0.0 || stepping || news {
                        break;
                    }
                    state = self.control.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                let step = state.step.take_if(|(of, _)| *of == self.camera).map(|(_, n)| n);
                (state.transport, self.control.position(&state.transport), step)
            };
            let position = match step {
                Some(frames) => {
                    let to = self.stepped(position, frames);
                    self.control.change(|t, _| (t.at, t.rate) = (to, 0.0));
                    continue;
                }
                None => position,
            };
            if shown == Some((transport.generation, position)) {
                std::thread::sleep(TICK);
                continue;
            }
            self.show(position, &transport);
            shown = Some((transport.generation, position));
            if transport.rate != 0.0 {
                let state = self.control.lock();
                drop(self.control.changed.wait_timeout(state, TICK)); // a change ends the pause
            }
        }
    }

    fn put(&self, frame: Option<Frame>, what: What, at: Timestamp) {
        self.showing.put(Showing { frame, what, at });
    }

    fn show(&mut self, at: Timestamp, transport: &Transport) {
        let Some(segment) = self.segment(at) else { return self.put(None, What::Nothing, at) };
        if self.decks.iter().all(|(id, _)| *id != segment.id) {
            self.put(None, What::Loading, at);
        }
        let fast = transport.rate.abs() >= KEY_FRAMES_FROM;
        let t = segment.file_time(at);
        if fast && let Some(key) = &self.key {
            let since = at.0.saturating_sub(key.captured_at().0).unsigned_abs();
            if segment.shows(key.captured_at()) && Duration::from_micros(since) < KEY_FRAME_STANDS {
                return;
            }
        }
        self.key = None;
        let deck = match self.deck(&segment) {
            Ok(deck) => deck,
            Err(why) => {
                return self.put(None, What::Trouble(why), at);
            }
        };
        let preview = fast || transport.scrubbing;
        let found = if preview { deck.preview_at(t) } else { deck.frame_at(t) };
        match found {
            Ok(frame) if preview => {
                self.put(Some(frame.clone()), What::Preview, at);
                self.key = fast.then_some(frame);
                let waits = self.control.lock().transport.generation == transport.generation;
                // Nothing newer is asked for: the exact frame follows.
                if waits
                    && transport.rate == 0.0
                    && let Ok(deck) = self.deck(&segment)
                    && let Ok(frame) = deck.frame_at(t)
                {
                    self.put(Some(frame), What::Exact, at);
                }
            }
            Ok(frame) => self.put(Some(frame), What::Exact, at),
            Err(error) => self.put(None, What::Trouble(error.to_string()), at),
        }
        if transport.rate > 0.0 {
            self.prepare(&segment, at, transport.rate);
        }
    }

    /// Opens the file that comes next in time.
    fn prepare(&mut self, now: &Segment, at: Timestamp, rate: f64) {
        let left = now.ends_at.seconds_since(at);
        if left > 1.5 * rate {
            return;
        }
        if let Some(next) = self.segment(now.ends_at.plus(Duration::from_millis(50)))
            && next.id != now.id
            && self.decks.iter().all(|(id, _)| *id != next.id)
        {
            let _ = self.deck(&next);
            // The one on show stays the last.
            let _ = self.deck(now);
        }
    }

    fn index(&self) -> Arc<Vec<Segment>> {
        Arc::clone(&self.index.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The segment that shows the instant; of several the one that starts last.
    fn segment(&self, at: Timestamp) -> Option<Segment> {
        self.index().iter().rev().find(|s| s.shows(at)).cloned()
    }

    fn deck(&mut self, segment: &Segment) -> Result<&mut Deck, String> {
        if let Some(i) = self.decks.iter().position(|(id, deck)| *id == segment.id && deck.is_ok()) {
            let deck = self.decks.remove(i);
            self.decks.push(deck);
        } else {
            self.decks.retain(|(id, _)| *id != segment.id);
            let deck =
                (self.locate)(segment).and_then(|file| Deck::open(&file, segment.starts_at).map_err(|e| e.to_string()));
            self.decks.push((segment.id, deck));
            if self.decks.len() > OPEN_FILES {
                drop(self.decks.remove(0));
            }
        }
        match self.decks.last_mut() {
            Some((_, Ok(deck))) => Ok(deck),
            Some((_, Err(why))) => Err(why.clone()),
            None => Err("No file is open".to_owned()), // it was just pushed
        }
    }

    /// The instant so many frames on or back. Where the video ends, the end itself is one step, then comes the next beginning.
    fn stepped(&mut self, from: Timestamp, frames: i32) -> Timestamp {
        let mut at = from;
        for _ in 0..frames.unsigned_abs().min(1000) {
            let next = if frames > 0 { self.next(at) } else { self.previous(at) };
            let Some(next) = next else { break };
            at = next;
        }
        at
    }

    fn next(&mut self, at: Timestamp) -> Option<Timestamp> {
        let Some(segment) = self.segment(at) else {
            return self.index().iter().map(|s| s.starts_at).filter(|s| *s > at).min();
        };
        let t = segment.file_time(at);
        // A file that cannot be read there is no reason to leap to its end.
        let after = self.deck(&segment).ok()?.frame_after(t).ok()?;
        let after = after.map(|f| f.captured_at()).filter(|next| segment.shows(*next));
        Some(after.unwrap_or(segment.ends_at))
    }

    fn previous(&mut self, at: Timestamp) -> Option<Timestamp> {
        if let Some(segment) = self.segment(at) {
            let t = segment.file_time(at);
            let before = self.deck(&segment).ok().and_then(|deck| deck.frame_before(t).ok().flatten());
            if let Some(before) = before {
                return Some(before.captured_at());
            }
        }
        // The last frame of the segment before.
        let before =
            self.index().iter().filter(|s| s.ends_at <= at || s.starts_at < at).max_by_key(|s| s.starts_at).cloned()?;
        let before = if before.shows(at) {
            self.index().iter().filter(|s| s.starts_at < before.starts_at).max_by_key(|s| s.starts_at).cloned()?
        } else {
            before
        };
        let end = before.file_time(before.ends_at);
        let last = self.deck(&before).ok()?.frame_at(end).ok()?;
        Some(last.captured_at())
    }
}

#[cfg(test)]
mod tests;
