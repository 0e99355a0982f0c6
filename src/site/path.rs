//! One camera's way from its source to the screen and to the analysis, and what is counted on it.
use super::records::Records;
use super::state::{CameraCounters, CameraStatus, CameraView, Keeper, TrackView, WeaponView};
use crate::{
    model::{Camera, ClockOffset, Slot, Timestamp, redact_url},
    video::{Frame, OnPacket, Source, SourceConfig, SourceState},
};
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Rates are means over this long.
const RATE_SECONDS: f64 = 2.0;
/// A camera of which nothing was analysed for so long is not watched: a busy machine takes seconds, not this long.
const UNWATCHED_AFTER: Duration = Duration::from_secs(10);
/// Frames further apart are counted by the time between them.
const SLOW: Duration = Duration::from_secs(1);
/// Latencies kept for the percentiles of the summary.
const LATENCIES: usize = 8192;

/// Counts of one camera.
#[derive(Default)]
pub(super) struct Meters {
    received: AtomicU64,
    offered: AtomicU64,
    shown: AtomicU64,
    analysed: AtomicU64,
    tracks: AtomicU64,
    recent: Mutex<Recent>,
}

/// Frames of one camera since its stream was started.
#[derive(Clone, Copy, Default)]
pub(super) struct Totals {
    pub received: u64,
    /// Handed to the analysis.
    pub offered: u64,
    pub analysed: u64,
}

#[derive(Default)]
struct Recent {
    received: VecDeque<Timestamp>,
    analysed: VecDeque<Timestamp>,
    analysed_last: Option<Timestamp>,
    /// When the last frame came, by a clock that is never set, and how long after the one before.
    received_at: Option<Instant>,
    apart: Duration,
    /// The same by a clock that is never set; before the first, when that was waited for first.
    watched_at: Option<Instant>,
    latencies_ms: VecDeque<f32>,
}

fn rate(times: &mut VecDeque<Timestamp>, now: Timestamp) -> f32 {
    // `abs`: the clock may have been set back
    while times.front().is_some_and(|t| now.seconds_since(*t).abs() > RATE_SECONDS) {
        times.pop_front();
    }
    (times.len() as f64 / RATE_SECONDS) as f32
}

impl Recent {
    /// Frames a second; of a camera that sends few, by the time between the last two.
    fn fps(&mut self, now: Timestamp) -> f32 {
        let rate = rate(&mut self.received, now);
        let slow = self.apart > SLOW && self.received_at.is_some_and(|at| at.elapsed() < self.apart * 4);
        if slow { 1.0 / self.apart.as_secs_f32() } else { rate }
    }
}

impl Meters {
    fn received(&self, now: Timestamp) {
        self.received.fetch_add(1, Ordering::Relaxed);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.received.push_back(now);
        let at = Instant::now();
        if let Some(before) = recent.received_at.replace(at) {
            recent.apart = at.saturating_duration_since(before);
        }
        rate(&mut recent.received, now);
    }

    /// One frame analysed, `latency_ms` after its capture; `new_tracks` people confirmed on it for the first time.
    pub fn analysed(&self, now: Timestamp, latency_ms: f32, new_tracks: u64) {
        self.analysed.fetch_add(1, Ordering::Relaxed);
        self.tracks.fetch_add(new_tracks, Ordering::Relaxed);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.analysed.push_back(now);
        recent.analysed_last = Some(now);
        recent.watched_at = Some(Instant::now());
        rate(&mut recent.analysed, now);
        recent.latencies_ms.push_back(latency_ms);
        if recent.latencies_ms.len() > LATENCIES {
            recent.latencies_ms.pop_front();
        }
    }

    /// Whether frames come and none has been analysed for so long, seconds.
    pub fn is_stuck(&self, now: Timestamp, seconds: f64) -> bool {
        let Totals { offered, analysed, .. } = self.totals();
        let last = self.recent.lock().unwrap_or_else(PoisonError::into_inner).analysed_last;
        offered > analysed && last.is_some_and(|last| now.seconds_since(last).abs() > seconds)
    }

    /// Whether nothing was analysed for some time, for whatever reason: nobody would tell of an event.
    pub fn is_unwatched(&self) -> bool {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.watched_at.get_or_insert_with(Instant::now).elapsed() > UNWATCHED_AFTER
    }

    /// Counts since the stream was started.
    pub fn totals(&self) -> Totals {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        // in this order: a frame under way is never analysed before it was offered, nor offered before it was received
        let analysed = load(&self.analysed);
        let offered = load(&self.offered);
        Totals { analysed, offered, received: load(&self.received) }
    }

    fn counters(&self, now: Timestamp) -> CameraCounters {
        let (received, analysed) = (self.received.load(Ordering::Relaxed), self.analysed.load(Ordering::Relaxed));
        let offered = self.offered.load(Ordering::Relaxed);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        CameraCounters {
            received,
            analysed,
            dropped: offered.saturating_sub(analysed),
            fps: recent.fps(now),
            analysed_fps: rate(&mut recent.analysed, now),
            latency_ms: recent.latencies_ms.back().copied().unwrap_or(0.0),
        }
    }
}

/// Totals of one camera, for the summary of a run without a window.
#[derive(Clone, Debug, serde::Serialize)]
pub struct CameraSummary {
    /// The camera's name.
    pub name: String,
    /// Decoded frames received.
    pub received: u64,
    /// Frames put on the screen.
    pub shown: u64,
    /// Frames analysed.
    pub analysed: u64,
    /// Frames overtaken before their analysis.
    pub dropped: u64,
    /// People confirmed as tracks.
    pub tracks: u64,
    /// Capture to boxes.
    pub latency_ms: Percentiles,
}

/// Milliseconds; 0 when nothing was measured.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct Percentiles {
    /// Median.
    pub p50: f32,
    /// 95th percentile.
    pub p95: f32,
}

/// What the analysis last saw.
#[derive(Clone)]
pub(super) struct Seen {
    /// The connection its frame came by.
    pub epoch: u64,
    pub tracks: Arc<Vec<TrackView>>,
    pub weapons: Arc<Vec<WeaponView>>,
}

/// A camera that runs, or is switched off. What is known of the camera never changes in place: a change makes another path,
/// on the same stream ([`with`](Self::with)) or on a new one.
pub(super) struct CameraPath {
    pub camera: Camera,
    /// How often the stream was started anew with another address, or switched on or off, in this run.
    pub generation: u64,
    /// The whole address, which the configuration or the database keeps.
    address: String,
    /// The camera as it may be shown: its address without credentials.
    public: Camera,
    /// For the analysis: newest frame and connection.
    pub waiting: Slot<(Frame, u64)>,
    /// For the screen.
    pub seen: Slot<Seen>,
    pub meters: Arc<Meters>,
    shown: Slot<(Frame, u64)>,
    last_shown: Arc<AtomicU64>,
    source: Arc<Mutex<Option<Source>>>,
}

/// The epochs of one generation are the lowest 32 bits of those that a path hands out.
const EPOCH_BITS: u32 = 32;

impl CameraPath {
    /// Connects the camera. `wake` is called after every frame handed to the analysis, at most `max_fps` times a second.
    /// Connections of another `generation` are other epochs. `on_packet` takes the encoded pictures.
    pub fn start(
        camera: Camera,
        config: SourceConfig,
        generation: u64,
        max_fps: f32,
        records: &Records,
        wake: impl Fn() + Send + Sync + 'static,
        on_packet: Option<OnPacket>,
    ) -> Self {
        let (shown, waiting) = (Slot::new(), Slot::new());
        let meters = Arc::new(Meters::default());
        let address = config.url.clone();
        let Records { clock, supervisor, .. } = records;
        let source = camera.active.then(|| {
            let (shown, waiting, meters, now) =
                (shown.clone(), waiting.clone(), Arc::clone(&meters), Arc::clone(clock));
            let between = 0.9e6 / f64::from(max_fps.max(0.1));
            let last = AtomicU64::new(0);
            let on_frame = move |frame: Frame, epoch: u64| {
                let (at, epoch) = (now.now(), (generation << EPOCH_BITS) | epoch);
                meters.received(at);
                shown.put((frame.clone(), epoch));
                let at = u64::try_from(at.0).unwrap_or(0);
                // `abs_diff`: a clock that is set back must not stop the analysis
                if at.abs_diff(last.load(Ordering::Relaxed)) as f64 >= between {
                    last.store(at, Ordering::Relaxed);
                    meters.offered.fetch_add(1, Ordering::Relaxed);
                    waiting.put((frame, epoch));
                    wake();
                }
            };
            Source::open_recorded(config, Arc::clone(clock), supervisor, Some(camera.id), on_frame, on_packet)
        });
        Self {
            public: public(&camera),
            camera,
            generation,
            address,
            waiting,
            seen: Slot::new(),
            meters,
            shown,
            last_shown: Arc::new(AtomicU64::new(u64::MAX)),
            source: Arc::new(Mutex::new(source)),
        }
    }

    /// The same stream of a camera of which something else is known now: its name, its place.
    pub fn with(&self, camera: Camera) -> Self {
        Self {
            public: public(&camera),
            camera,
            generation: self.generation,
            address: self.address.clone(),
            waiting: self.waiting.clone(),
            seen: self.seen.clone(),
            meters: Arc::clone(&self.meters),
            shown: self.shown.clone(),
            last_shown: Arc::clone(&self.last_shown),
            source: Arc::clone(&self.source),
        }
    }

    /// The whole address, with its credentials: to connect with, never to be shown.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether the stream can stay as it is for this camera at this address.
    pub fn serves(&self, camera: &Camera, address: &str) -> bool {
        self.camera.active == camera.active && self.address == address
    }

    /// Whether a frame of this epoch came by the stream as it is now, not by one that was given up.
    pub fn is_current(&self, epoch: u64) -> bool {
        epoch >> EPOCH_BITS == self.generation
    }

    /// How the camera is doing.
    pub fn status(&self) -> CameraStatus {
        match self.source.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(Source::state) {
            None if !self.camera.active => CameraStatus::Inactive,
            // Between two streams, as when the address changes: the next one is on its way.
            None => CameraStatus::Connecting,
            Some(SourceState::Connecting) => CameraStatus::Connecting,
            Some(SourceState::Live) => CameraStatus::Live,
            Some(SourceState::Stale { since, reason, retry_at }) => CameraStatus::Stale { since, reason, retry_at },
        }
    }

    /// Whether it is connected, but no picture came yet at which a video can begin.
    pub fn waits_for_key_frame(&self) -> bool {
        let source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        source.as_ref().is_some_and(Source::waits_for_key_frame)
    }

    /// How far the camera's own clock is from the console's, as far as it told.
    pub fn clock_offset(&self) -> Option<ClockOffset> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(Source::clock_offset)
    }

    /// For the screen. Boxes of an earlier connection are not handed out with the picture of a later one, nor with a stale one.
    /// Where `on_screen`, a frame counts as shown the first time it is handed out.
    pub fn view(&self, now: Timestamp, on_screen: bool) -> CameraView {
        let (frame, epoch) = self.shown.get().unzip();
        let status = self.status();
        let seen = self.seen.get().filter(|s| Some(s.epoch) == epoch && status == CameraStatus::Live);
        let (tracks, weapons) = seen.map(|s| (s.tracks, s.weapons)).unwrap_or_default();
        if let (Some(frame), true) = (&frame, on_screen) {
            let stamp = u64::try_from(frame.captured_at().0).unwrap_or(0);
            if self.last_shown.swap(stamp, Ordering::Relaxed) != stamp {
                self.meters.shown.fetch_add(1, Ordering::Relaxed);
            }
        }
        CameraView {
            camera: self.public.clone(),
            status,
            frame,
            tracks,
            weapons,
            counters: self.counters(now),
            clock_offset: self.clock_offset(),
            keeper: Keeper::default(), // these two the site knows
            looked: Arc::default(),
        }
    }

    /// Numbers now.
    pub fn counters(&self, now: Timestamp) -> CameraCounters {
        self.meters.counters(now)
    }

    /// Totals so far.
    pub fn summary(&self, now: Timestamp) -> CameraSummary {
        let c = self.counters(now);
        let recent = self.meters.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sorted: Vec<f32> = recent.latencies_ms.iter().copied().collect();
        sorted.sort_by(f32::total_cmp);
        let at = |q: f64| {
            let i = (sorted.len().saturating_sub(1) as f64 * q).round() as usize;
            sorted.get(i).copied().unwrap_or(0.0)
        };
        CameraSummary {
            name: self.camera.name.clone(),
            received: c.received,
            shown: self.meters.shown.load(Ordering::Relaxed),
            analysed: c.analysed,
            dropped: c.dropped,
            tracks: self.meters.tracks.load(Ordering::Relaxed),
            latency_ms: Percentiles { p50: at(0.5), p95: at(0.95) },
        }
    }

    /// Disconnects, which may take a moment; the last frame stays for whoever still looks.
    pub fn stop(&self) {
        let source = self.source.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(source) = source {
            source.stop();
        }
    }
}

fn public(camera: &Camera) -> Camera {
    Camera { url: redact_url(&camera.url), ..camera.clone() }
}
