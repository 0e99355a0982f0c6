//! One live camera: a supervised pipeline that is rebuilt whenever it ends, fails or stalls.
//!
//! A killed server posts an end of stream, a failed one an error, a frozen one nothing at all: so the supervisor watches
//! the bus *and* the time of the last packet. What is decoded goes another way ([`Branch`]), whose trouble leaves the
//! connection alone.
use super::{
    Frame,
    address::{Address, RtspAddress, scrubbed},
    branch::{Branch, Stamp, Stamps, is_key},
    camera_clock::CameraClock,
    decoding::{Cause, MissingElement, Seen, chain, frame_sink, make, packet_parser},
    recorder::Packet,
};
use crate::model::{Clock, ClockOffset, Timestamp, redact_url};
use gstreamer::{self as gst, prelude::*};
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    time::{Duration, Instant},
};

/// The first pause before a retry; doubles up to [`BACKOFF_MAX`].
const BACKOFF_MIN: Duration = Duration::from_millis(250);
/// The longest pause between two attempts.
const BACKOFF_MAX: Duration = Duration::from_secs(4);
/// The pause after a stream that was live came to its end: a camera that restarts.
const RESTART_PAUSE: Duration = Duration::from_millis(50);
/// A connection that lived shorter than this counts as a failed attempt.
const PROVEN_AFTER: Duration = Duration::from_millis(500);
/// Waiting for a key frame shorter than this is not worth telling.
const KEY_FRAME_SOON: Duration = Duration::from_secs(1);
/// How long the last pictures may be in the decoder when a camera has ended its stream, and a file.
const LAST_PICTURES: Duration = Duration::from_millis(300);
const LAST_PICTURES_OF_FILE: Duration = Duration::from_secs(5);
/// A stamp that lies further back than this, seconds, was made by a clock that was set.
const SET_BACK: f64 = 0.25;
/// How long a pipeline may take to come down before it is left to itself.
const TEARDOWN_MAX: Duration = Duration::from_secs(2);
/// The camera's clock is measured at most so often, nanoseconds.
const MEASURE_EVERY: u64 = 100_000_000;
/// How long [`Source::stop`] waits for the supervisor.
const STOP_MAX: Duration = Duration::from_millis(300);

/// How RTP packets travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// What suits most sites: TCP.
    #[default]
    Auto,
    /// Inside the RTSP connection: nothing is lost.
    Tcp,
    /// Datagrams: less delay on a good network, torn pictures on a bad one.
    Udp,
}

/// A camera's address and how to read it. Durations are written in seconds in configuration files.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// `rtsp://user:password@host/path`, `file:///path` (played at its own speed, over and over) or `test:`.
    pub url: String,
    /// How RTP packets travel.
    #[serde(default)]
    pub transport: Transport,
    /// How long a late or missing packet is waited for.
    #[serde(default = "default_latency", with = "seconds")]
    pub latency: Duration,
    /// A live camera without a packet for this long is stale.
    #[serde(default = "default_stall_after", with = "seconds")]
    pub stall_after: Duration,
    /// An attempt without a first packet for this long has failed.
    #[serde(default = "default_connect_timeout", with = "seconds")]
    pub connect_timeout: Duration,
}

fn default_latency() -> Duration {
    Duration::from_millis(100)
}
fn default_stall_after() -> Duration {
    Duration::from_secs(3)
}
fn default_connect_timeout() -> Duration {
    Duration::from_secs(10)
}

/// Durations as seconds, negative and absurd ones refused.
mod seconds {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::time::Duration;

    pub fn serialize<S: Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_f64(d.as_secs_f64())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(d)?)
            .ok()
            .filter(|d| *d <= Duration::from_secs(3600))
            .ok_or_else(|| D::Error::custom("a duration is a number of seconds from 0 to 3600"))
    }
}

impl SourceConfig {
    /// This address with the usual settings: TCP, 100 ms latency, stale after 3 s, 10 s to connect.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            transport: Transport::Auto,
            latency: default_latency(),
            stall_after: default_stall_after(),
            connect_timeout: default_connect_timeout(),
        }
    }
}

impl fmt::Debug for SourceConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceConfig")
            .field("url", &redact_url(&self.url))
            .field("transport", &self.transport)
            .field("latency", &self.latency)
            .field("stall_after", &self.stall_after)
            .field("connect_timeout", &self.connect_timeout)
            .finish()
    }
}

/// How a source is doing. Never holds credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceState {
    /// The first attempt is under way.
    Connecting,
    /// Frames arrive.
    Live,
    /// No frames; being retried, or connected to a camera whose packets cannot be shown (yet). Stays so until a frame arrives.
    Stale {
        /// When the last frame was captured; `None` when there never was one.
        since: Option<Timestamp>,
        /// What went wrong, one sentence for the operator.
        reason: String,
        /// When the next attempt starts or, in the past, when the one under way, or the connection, started.
        retry_at: Timestamp,
    },
}

/// Takes every encoded picture.
pub type OnPacket = Box<dyn Fn(Packet) + Send + Sync>;

/// A camera being read. Dropping it stops it.
pub struct Source {
    shared: Arc<Shared>,
    wake: SyncSender<Event>,
    done: Receiver<()>,
}

/// What the supervisor waits for.
enum Event {
    /// Look at the flags again.
    Wake,
    /// The pipeline of this attempt says something.
    Message(u64, gst::Message),
    /// So does a decoder of this attempt: the first, the second, ….
    Decoder(u64, u64, gst::Message),
}

struct Shared {
    config: SourceConfig,
    clock: Arc<dyn Clock>,
    on_frame: Box<dyn Fn(Frame, u64) + Send + Sync>,
    on_packet: Option<OnPacket>,
    status: Mutex<Status>,
}

struct Status {
    state: SourceState,
    epoch: u64,
    stopped: bool,
    /// Grows with every pipeline; frames of an older one are dropped.
    attempt: u64,
    /// Of the pipeline that runs now.
    run: Run,
    last_captured: Option<Timestamp>,
}

/// What one connection has shown so far.
#[derive(Default)]
struct Run {
    frames: u64,
    last_frame_at: Option<Instant>,
    last_captured: Option<Timestamp>,
    first_packet_at: Option<Instant>,
    last_packet_at: Option<Instant>,
    /// Since when there is something that can be decoded.
    key_at: Option<Instant>,
    /// Why what comes cannot be shown.
    undecoded: Option<String>,
    camera_clock: CameraClock,
}

impl Run {
    fn packet(&mut self, now: Instant, key: bool) {
        self.first_packet_at.get_or_insert(now);
        self.last_packet_at = Some(now);
        if key {
            self.key_at.get_or_insert(now);
        }
    }
}

/// One connection while it lasts.
struct Connection {
    attempt: u64,
    address: Address,
    pipeline: gst::Pipeline,
    seen: Seen,
    decoder: Arc<Decoder>,
}

/// The decoder of one connection, as its packets find it.
#[derive(Default)]
struct Decoder {
    stamps: Arc<Stamps>,
    branch: Mutex<Option<Branch>>,
    /// How many there were.
    turn: AtomicU64,
}

impl Decoder {
    fn branch(&self) -> MutexGuard<'_, Option<Branch>> {
        self.branch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop(&self) {
        let branch = self.branch().take();
        if let Some(branch) = branch {
            tear_down(branch.pipeline);
        }
    }
}

/// Why an attempt is over.
struct Ended {
    reason: String,
    end_of_stream: bool,
}

impl Source {
    /// Starts reading. Every decoded frame is handed to `on_frame` with the epoch it belongs to, on the decoder's thread:
    /// be quick (a slot's `put`), whatever takes longer costs pictures.
    ///
    /// `Frame::captured_at` is when the picture's first packet reached this machine, smoothed over the network's jitter;
    /// the camera's own delay is unknown and not subtracted. It is stamped once, when the packet comes, and is that of the
    /// recorded packet. It never goes back within an epoch.
    ///
    /// Never fails: what is wrong with the address or the camera shows in [`state`](Self::state).
    pub fn open(
        config: SourceConfig,
        clock: Arc<dyn Clock>,
        on_frame: impl Fn(Frame, u64) + Send + Sync + 'static,
    ) -> Self {
        Self::open_recorded(config, clock, on_frame, None)
    }

    /// Like [`open`](Self::open); `on_packet` gets every encoded picture as well, before the decoder and whatever becomes of it
    /// there. Never wait there: it is the connection's own thread. The test picture is never encoded.
    pub fn open_recorded(
        config: SourceConfig,
        clock: Arc<dyn Clock>,
        on_frame: impl Fn(Frame, u64) + Send + Sync + 'static,
        on_packet: Option<OnPacket>,
    ) -> Self {
        let shared = Arc::new(Shared {
            config,
            clock,
            on_frame: Box::new(on_frame),
            on_packet,
            status: Mutex::new(Status {
                state: SourceState::Connecting,
                epoch: 0,
                stopped: false,
                attempt: 0,
                run: Run::default(),
                last_captured: None,
            }),
        });
        let (wake, events) = sync_channel(32);
        let (finished, done) = sync_channel(1);
        let supervisor = {
            let (shared, wake) = (Arc::clone(&shared), wake.clone());
            move || {
                shared.supervise(&wake, &events);
                let _ = finished.try_send(());
            }
        };
        if let Err(error) = std::thread::Builder::new().name("camera".into()).spawn(supervisor) {
            let retry_at = shared.clock.now();
            let reason = format!("No thread could be started for this camera ({error}). Restart Vigia.");
            shared.status().state = SourceState::Stale { since: None, reason, retry_at };
        }
        Self { shared, wake, done }
    }

    /// How it is doing now.
    pub fn state(&self) -> SourceState {
        self.shared.status().state.clone()
    }

    /// Grows by one with every connection that delivered a frame; 0 before the first.
    pub fn epoch(&self) -> u64 {
        self.shared.status().epoch
    }

    /// Whether packets have come by the connection there is now, be they shown or not.
    pub fn is_connected(&self) -> bool {
        self.shared.status().run.first_packet_at.is_some()
    }

    /// Whether packets come, but none yet at which decoding can begin.
    pub fn waits_for_key_frame(&self) -> bool {
        let status = self.shared.status();
        status.run.first_packet_at.is_some() && status.run.key_at.is_none()
    }

    /// How far the camera's own clock is from the console's, as this connection has told so far. Only cameras that speak RTSP do.
    pub fn clock_offset(&self) -> Option<ClockOffset> {
        self.shared.status().run.camera_clock.offset()
    }

    /// Stops reading within half a second; what takes longer to come down is left to its own thread. No frame is handed
    /// over afterwards.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.shared.status().stopped = true;
        // When the channel is full, the supervisor is awake anyway.
        let _ = self.wake.try_send(Event::Wake);
        let _ = self.done.recv_timeout(STOP_MAX);
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({}, {:?})", redact_url(&self.shared.config.url), self.state())
    }
}

impl Shared {
    fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn supervise(self: &Arc<Self>, wake: &SyncSender<Event>, events: &Receiver<Event>) {
        let mut pause = BACKOFF_MIN;
        loop {
            let attempt = {
                let mut status = self.status();
                if status.stopped {
                    return;
                }
                status.attempt += 1;
                status.run = Run::default();
                status.attempt
            };
            let Some(ended) = self.run(attempt, wake, events) else { return };
            let lived = {
                let status = self.status();
                status
                    .run
                    .first_packet_at
                    .zip(status.run.last_packet_at)
                    .map(|(first, last)| last.duration_since(first))
            };
            if lived.is_some_and(|l| l >= PROVEN_AFTER) {
                pause = BACKOFF_MIN;
            }
            let wait = if ended.end_of_stream && lived.is_some_and(|l| l >= PROVEN_AFTER) {
                RESTART_PAUSE
            } else {
                let wait = pause;
                pause = (pause * 2).min(BACKOFF_MAX);
                wait
            };
            let reason = scrubbed(&ended.reason, &self.config.url);
            tracing::info!(camera = redact_url(&self.config.url), reason, "stale");
            {
                let mut status = self.status();
                status.run = Run::default();
                let retry_at = self.clock.now().plus(wait);
                status.state = SourceState::Stale { since: status.last_captured, reason, retry_at };
            }
            let until = Instant::now() + wait;
            while let Some(left) = until.checked_duration_since(Instant::now()) {
                if self.status().stopped {
                    return;
                }
                let _ = events.recv_timeout(left);
            }
        }
    }

    /// One connection from building to teardown. `None` when the source was stopped.
    fn run(self: &Arc<Self>, attempt: u64, wake: &SyncSender<Event>, events: &Receiver<Event>) -> Option<Ended> {
        let fail = |reason: String| Some(Ended { reason, end_of_stream: false });
        if let Err(error) = super::init() {
            return fail(error.to_string());
        }
        let Some(address) = Address::parse(&self.config.url) else {
            return fail(
                "This is no address of a camera. Write rtsp://user:password@host/path, file:///path or test:. In a user name or password write / as %2F, ? as %3F and @ as %40; in a path write @ as %40."
                    .to_owned(),
            );
        };
        let seen = Seen::default();
        let decoder = Arc::new(Decoder::default());
        let pipeline = match self.build(&address, &seen, attempt, &decoder) {
            Ok(pipeline) => pipeline,
            Err(error) => return fail(error.to_string()),
        };
        if let Some(bus) = pipeline.bus() {
            let wake = wake.clone();
            bus.set_sync_handler(move |_, message| {
                use gst::MessageType;
                if matches!(message.type_(), MessageType::Error | MessageType::Eos | MessageType::Element) {
                    let _ = wake.try_send(Event::Message(attempt, message.clone()));
                }
                gst::BusSyncReply::Drop
            });
        }
        let connection = Connection { attempt, address, pipeline, seen, decoder };
        let ended = self.watch(&connection, wake, events);
        // From here on frames of this pipeline are dropped.
        self.status().attempt += 1;
        tear_down(connection.pipeline);
        connection.decoder.stop();
        ended
    }

    fn watch(
        self: &Arc<Self>,
        connection: &Connection,
        wake: &SyncSender<Event>,
        events: &Receiver<Event>,
    ) -> Option<Ended> {
        let Connection { attempt, address, pipeline, seen, decoder } = connection;
        let attempt = *attempt;
        let begun = Instant::now();
        let failed = |reason: String| Some(Ended { reason, end_of_stream: false });
        let mut decoded = Seen::default();
        let mut pause = BACKOFF_MIN;
        // When the next decoder is to be started; the test picture needs none.
        let mut start_at = Some(begun).filter(|_| !matches!(address, Address::Test));
        let mut started = false;
        let mut ending: Option<(Instant, Ended)> = None;
        loop {
            let (stopped, last) = {
                let status = self.status();
                (status.stopped, status.run.last_packet_at)
            };
            if stopped {
                return None;
            }
            if start_at.is_some_and(|at| at <= Instant::now()) {
                (start_at, decoded) = (None, Seen::default());
                if let Err(error) = self.start_decoder(attempt, wake, &decoded, decoder) {
                    self.undecoded(&error.to_string());
                }
            }
            if !std::mem::replace(&mut started, true) {
                // Not before there is a decoder. A failure to start is on the bus, with its reason.
                let _ = pipeline.set_state(gst::State::Playing);
            }
            self.tell(begun);
            let deadline = last.map_or(begun + self.config.connect_timeout, |last| last + self.config.stall_after);
            let deadline = ending.as_ref().map_or(deadline, |(until, _)| *until);
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                if let Some((_, ended)) = ending {
                    return Some(ended);
                }
                return failed(if last.is_some() {
                    format!(
                        "The camera has sent no picture for {:.0} s.",
                        self.config.stall_after.as_secs_f32().max(1.0)
                    )
                } else {
                    format!("No picture came within {:.0} s.", self.config.connect_timeout.as_secs_f32().max(1.0))
                });
            };
            let start_in = start_at.map_or(left, |at| at.saturating_duration_since(Instant::now()));
            match events.recv_timeout(left.min(start_in).min(Duration::from_secs(1))) {
                Ok(Event::Message(of, message)) if of == attempt => match message.view() {
                    gst::MessageView::Eos(_) if last.is_none() => return failed(words(&Cause::NoVideo, address)),
                    gst::MessageView::Eos(_) => {
                        let (reason, wait) = match address {
                            Address::File(_) => ("The file has ended; it starts again.", LAST_PICTURES_OF_FILE),
                            _ => ("The camera ended the stream.", LAST_PICTURES),
                        };
                        let ended = Ended { reason: reason.to_owned(), end_of_stream: true };
                        match &*decoder.branch() {
                            Some(branch) => branch.end(),
                            None => return Some(ended),
                        }
                        ending = Some((Instant::now() + wait, ended));
                    }
                    gst::MessageView::Error(error) => {
                        self.log(error, "pipeline error");
                        if self.status().run.key_at.is_some() {
                            seen.forget_missing(); // only the decoder, which has its own way
                        }
                        return failed(words(&seen.cause(&error.error()), address));
                    }
                    _ => seen.note_message(&message),
                },
                Ok(Event::Decoder(of, turn, message))
                    if of == attempt && turn == decoder.turn.load(Ordering::Relaxed) =>
                {
                    match message.view() {
                        gst::MessageView::Eos(_) => {
                            if let Some((_, ended)) = ending {
                                return Some(ended);
                            }
                        }
                        gst::MessageView::Error(error) => {
                            self.log(error, "decoder error");
                            if let Some((_, ended)) = ending {
                                return Some(ended);
                            }
                            decoder.stop();
                            match decoded.cause(&error.error()) {
                                // It will not be there at the next packet either.
                                Cause::MissingPlugin(what) => {
                                    self.undecoded(&format!("no decoder for {}", what.trim_end_matches(" decoder")));
                                }
                                _ => {
                                    self.undecoded(&format!("the decoder failed ({})", error.error().message()));
                                    start_at = Some(Instant::now() + pause);
                                    pause = (pause * 2).min(BACKOFF_MAX);
                                }
                            }
                        }
                        _ => decoded.note_message(&message),
                    }
                }
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    fn log(&self, error: &gst::message::Error, what: &str) {
        tracing::debug!(
            error = scrubbed(&error.error().to_string(), &self.config.url),
            debug = scrubbed(error.debug().as_deref().unwrap_or(""), &self.config.url),
            "{what}"
        );
    }

    /// Keeps why what comes cannot be shown, until it can.
    fn undecoded(&self, why: &str) {
        let kept = if self.on_packet.is_some() { "recorded, " } else { "" };
        let why = scrubbed(&format!("{kept}cannot be shown: {why}"), &self.config.url);
        tracing::info!(camera = redact_url(&self.config.url), why, "not decoded");
        self.status().run.undecoded = Some(why);
    }

    /// Says why nothing is shown although packets come.
    fn tell(&self, begun: Instant) {
        let mut status = self.status();
        let (now, run) = (Instant::now(), &status.run);
        let Some(first_packet_at) = run.first_packet_at else { return };
        let since = |at: Instant| now.saturating_duration_since(at);
        let reason = match (run.key_at, &run.undecoded) {
            (None, _) if since(first_packet_at) < KEY_FRAME_SOON => return,
            (None, _) => format!("connected, waits for a key frame ({} s)", since(first_packet_at).as_secs()),
            (_, Some(why)) => why.clone(),
            (Some(key_at), None) => {
                let silent = since(run.last_frame_at.map_or(key_at, |at| at.max(key_at)));
                if silent < self.config.stall_after {
                    return;
                }
                format!("connected, but the decoder has delivered no picture for {} s", silent.as_secs())
            }
        };
        let retry_at = self.clock.now().minus(since(begun));
        status.state = SourceState::Stale { since: status.last_captured, reason, retry_at };
    }

    fn start_decoder(
        self: &Arc<Self>,
        attempt: u64,
        wake: &SyncSender<Event>,
        seen: &Seen,
        decoder: &Arc<Decoder>,
    ) -> Result<(), MissingElement> {
        let turn = decoder.turn.fetch_add(1, Ordering::Relaxed) + 1;
        let wake = wake.clone();
        let tells = move |message: &gst::Message| {
            use gst::MessageType;
            if matches!(message.type_(), MessageType::Error | MessageType::Eos | MessageType::Element) {
                let _ = wake.try_send(Event::Decoder(attempt, turn, message.clone()));
            }
        };
        let (shared, stamps) = (Arc::downgrade(self), Arc::clone(&decoder.stamps));
        let takes = move |sample: &gst::Sample| {
            let shared = shared.upgrade().ok_or(gst::FlowError::Eos)?;
            let stamp = sample.buffer().and_then(|b| b.pts()).and_then(|pts| stamps.take(pts));
            shared.take(attempt, sample, stamp)
        };
        let branch = Branch::start(&decoder.stamps, seen, tells, takes)?;
        *decoder.branch() = Some(branch);
        Ok(())
    }

    fn build(
        self: &Arc<Self>,
        address: &Address,
        seen: &Seen,
        attempt: u64,
        decoder: &Arc<Decoder>,
    ) -> Result<gst::Pipeline, MissingElement> {
        let pipeline = gst::Pipeline::new();
        let bin: &gst::Bin = pipeline.upcast_ref();
        match address {
            Address::Test => {
                let (target, sink) = frame_sink(bin)?;
                sink.set_property("sync", false);
                sink.set_property("max-buffers", 1u32);
                let source = make("videotestsrc")?;
                source.set_property("is-live", true);
                source.set_property_from_str("pattern", "ball");
                let caps = make("capsfilter")?;
                let format = gst_video::VideoCapsBuilder::new()
                    .format(gst_video::VideoFormat::I420)
                    .width(640)
                    .height(480)
                    .framerate(gst::Fraction::new(25, 1))
                    .build();
                caps.set_property("caps", &format);
                chain(bin, &[&source, &caps])?;
                caps.link(&target).map_err(|_| MissingElement("videotestsrc".into()))?;
                let (shared, weak) = (Arc::downgrade(self), pipeline.downgrade());
                let takes = move |sink: &gst_app::AppSink| {
                    let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                    let (Some(shared), Some(pipeline)) = (shared.upgrade(), weak.upgrade()) else {
                        return Err(gst::FlowError::Eos);
                    };
                    let stamp = shared.stamp(&pipeline, &sample).map(|(stamp, _)| stamp);
                    shared.status().run.packet(Instant::now(), true);
                    shared.take(attempt, &sample, stamp)
                };
                sink.set_callbacks(gst_app::AppSinkCallbacks::builder().new_sample(takes).build());
            }
            Address::File(uri) => {
                let source = make("filesrc")?;
                let path = gst::glib::filename_from_uri(uri).map(|(path, _)| path).unwrap_or_default();
                source.set_property("location", path.to_string_lossy().as_ref());
                // A file comes at its own speed, as a camera does.
                let pace = make("clocksync")?;
                let sink = self.tap(attempt, &pipeline, decoder);
                chain(bin, &[&pace, &sink])?;
                chain(bin, &[&source, &packet_parser(&pace, seen)?])?;
            }
            Address::Rtsp(rtsp) => {
                let sink = self.tap(attempt, &pipeline, decoder);
                chain(bin, &[&sink])?;
                let parser = packet_parser(&sink, seen)?;
                let source = self.rtsp(rtsp, &parser, seen)?;
                self.measure_clock(attempt, &pipeline, &source);
                bin.add_many([&source, &parser]).map_err(|_| MissingElement("rtspsrc".into()))?;
            }
        }
        Ok(pipeline)
    }

    fn rtsp(&self, address: &RtspAddress, parser: &gst::Element, seen: &Seen) -> Result<gst::Element, MissingElement> {
        let source = make("rtspsrc")?;
        source.set_property("location", &address.location);
        if let Some((user, password)) = &address.credentials {
            source.set_property("user-id", user);
            source.set_property("user-pw", password);
        }
        let protocols = if self.config.transport == Transport::Udp { "udp" } else { "tcp" };
        source.set_property_from_str("protocols", protocols);
        source.set_property("latency", u32::try_from(self.config.latency.as_millis()).unwrap_or(u32::MAX));
        let micros = u64::try_from(self.config.connect_timeout.as_micros()).unwrap_or(u64::MAX);
        source.set_property("tcp-timeout", micros);
        source.set_property("timeout", micros);
        if source.has_property("add-reference-timestamp-meta") {
            source.set_property("add-reference-timestamp-meta", true); // GStreamer 1.22 and later
        }
        // Only the first video stream is asked for: no sound, no second profile, no metadata.
        let noted = seen.clone();
        let chosen = Mutex::new(None);
        source.connect("select-stream", false, move |values| {
            let number = values.get(1).and_then(|v| v.get::<u32>().ok())?;
            let caps = values.get(2).and_then(|v| v.get::<gst::Caps>().ok());
            let video =
                caps.as_ref().and_then(|c| c.structure(0)).is_some_and(|s| s.get::<&str>("media") == Ok("video"));
            if !video {
                noted.note_other();
                return Some(false.to_value());
            }
            noted.note_video();
            let mut chosen = chosen.lock().unwrap_or_else(PoisonError::into_inner);
            Some((*chosen.get_or_insert(number) == number).to_value())
        });
        let weak = parser.downgrade();
        source.connect_pad_added(move |_, pad| {
            let sink = weak.upgrade().and_then(|d| d.static_pad("sink")).filter(|s| !s.is_linked());
            if let Some(Err(error)) = sink.map(|s| pad.link(&s)) {
                tracing::warn!(%error, "the camera's stream could not be linked");
            }
        });
        Ok(source)
    }

    /// Notes that something comes, even where the parser can make nothing of it yet, and compares what the camera's reports say of its
    /// pictures with when these come.
    fn measure_clock(self: &Arc<Self>, attempt: u64, pipeline: &gst::Pipeline, source: &gst::Element) {
        let (shared, weak) = (Arc::downgrade(self), pipeline.downgrade());
        source.connect_pad_added(move |_, pad| {
            let (shared, weak, last) = (shared.clone(), weak.clone(), AtomicU64::new(0));
            pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
                if let Some(shared) = shared.upgrade() {
                    let mut status = shared.status();
                    if status.attempt == attempt {
                        status.run.packet(Instant::now(), false);
                    }
                }
                let measure = || {
                    let buffer = info.buffer()?;
                    let segment = pad.sticky_event::<gst::event::Segment>(0)?;
                    let running = segment.segment().downcast_ref::<gst::ClockTime>()?.to_running_time(buffer.pts()?)?;
                    if running.nseconds().abs_diff(last.load(Ordering::Relaxed)) < MEASURE_EVERY {
                        return None;
                    }
                    let told = buffer.iter_meta::<gst::ReferenceTimestampMeta>();
                    let ntp =
                        told.filter(|m| m.reference().structure(0).is_some_and(|s| s.name() == "timestamp/x-ntp"));
                    let ntp = ntp.map(|m| m.timestamp()).next()?;
                    let (shared, pipeline) = (shared.upgrade()?, weak.upgrade()?);
                    last.store(running.nseconds(), Ordering::Relaxed);
                    let arrived = shared.captured_at(&pipeline, Some(running));
                    let mut status = shared.status();
                    if status.attempt == attempt {
                        status.run.camera_clock.picture(ntp.nseconds(), arrived);
                    }
                    Some(())
                };
                measure();
                gst::PadProbeReturn::Ok
            });
        });
    }

    /// The wall clock at this running time. Smoothed over the network's jitter, a picture may be of a little later than it came.
    fn captured_at(&self, pipeline: &gst::Pipeline, running: Option<gst::ClockTime>) -> Timestamp {
        // Both clocks must be read at the same instant, and between two readings a thread may lose its turn.
        let mut before = self.clock.now();
        let mut both = (before, running);
        for _ in 0..4 {
            let running_now = pipeline.current_running_time();
            let after = self.clock.now();
            both = (after, running_now.or(running));
            if after.seconds_since(before).abs() < 0.000_5 {
                break;
            }
            before = after;
        }
        let (now, running_now) = both;
        let (then, running_now) = (running.unwrap_or_default(), running_now.or(running).unwrap_or_default());
        let age = Duration::from_nanos(running_now.saturating_sub(then).nseconds());
        let ahead = Duration::from_nanos(then.saturating_sub(running_now).nseconds());
        now.minus(age).plus(ahead)
    }

    /// When this picture came, and its running time. The jitter buffer stamps packets with their smoothed arrival in running time.
    fn stamp(&self, pipeline: &gst::Pipeline, sample: &gst::Sample) -> Option<(Stamp, gst::ClockTime)> {
        let pts = sample.buffer()?.pts()?;
        let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
        let running = segment.to_running_time(pts)?;
        let stream_time = segment.to_stream_time(pts).map_or(Duration::ZERO, Duration::from);
        let captured_at = self.captured_at(pipeline, Some(running));
        Some((Stamp { captured_at, stream_time, arrived: Instant::now() }, running))
    }

    /// The end of the connection's own pipeline: every packet is stamped, handed on, and given to the decoder, if there is one.
    fn tap(self: &Arc<Self>, attempt: u64, pipeline: &gst::Pipeline, decoder: &Arc<Decoder>) -> gst::Element {
        let sink =
            gst_app::AppSink::builder().sync(false).async_(false).enable_last_sample(false).max_buffers(1).build();
        let (shared, weak, decoder) = (Arc::downgrade(self), pipeline.downgrade(), Arc::downgrade(decoder));
        let mut latest: Option<(gst::ClockTime, Timestamp)> = None;
        let takes = move |sink: &gst_app::AppSink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let (Some(shared), Some(pipeline), Some(decoder)) = (shared.upgrade(), weak.upgrade(), decoder.upgrade())
            else {
                return Err(gst::FlowError::Eos);
            };
            let (Some(buffer), Some(caps)) = (sample.buffer_owned(), sample.caps_owned()) else {
                return Ok(gst::FlowSuccess::Ok);
            };
            let stamped = shared.stamp(&pipeline, &sample).map(|(mut stamp, running)| {
                // Clocks that are read twice differ by microseconds; the pictures keep their order all the same.
                match latest {
                    Some((before, at)) if running > before => {
                        let least = at.plus(Duration::from_micros(1));
                        if least.seconds_since(stamp.captured_at) < SET_BACK {
                            stamp.captured_at = stamp.captured_at.max(least);
                        }
                    }
                    Some((after, at)) => stamp.captured_at = at.minus((after - running).into()),
                    None => {}
                }
                if latest.is_none_or(|(before, _)| running > before) {
                    latest = Some((running, stamp.captured_at));
                }
                (stamp, running)
            });
            let offset = {
                let mut status = shared.status();
                if status.stopped || status.attempt != attempt {
                    return Err(gst::FlowError::Eos);
                }
                status.run.packet(Instant::now(), is_key(&buffer));
                status.run.camera_clock.offset()
            };
            if let (Some((stamp, _)), Some(pts)) = (stamped, buffer.pts()) {
                decoder.stamps.put(pts, stamp);
            }
            let encoded = caps.structure(0).is_some_and(|s| !s.name().starts_with("video/x-raw"));
            if let (Some(on_packet), Some((stamp, running)), true) = (&shared.on_packet, stamped, encoded) {
                let (caps, buffer, captured_at) = (caps.clone(), buffer.clone(), stamp.captured_at);
                on_packet(Packet { run: attempt, caps, buffer, at: running.into(), captured_at, offset });
            }
            if let Some(branch) = &mut *decoder.branch() {
                branch.push(&caps, buffer);
            }
            Ok(gst::FlowSuccess::Ok)
        };
        sink.set_callbacks(gst_app::AppSinkCallbacks::builder().new_sample(takes).build());
        sink.upcast()
    }

    /// Makes a frame of the sample and hands it on, unless its pipeline is already given up.
    fn take(
        &self,
        attempt: u64,
        sample: &gst::Sample,
        stamp: Option<Stamp>,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        let buffer = sample.buffer_owned().ok_or(gst::FlowError::Error)?;
        let caps = sample.caps().ok_or(gst::FlowError::Error)?;
        let info = gst_video::VideoInfo::from_caps(caps).map_err(|_| gst::FlowError::NotNegotiated)?;
        let (mut captured_at, stream_time) =
            stamp.map_or_else(|| (self.clock.now(), Duration::ZERO), |s| (s.captured_at, s.stream_time));
        let (frame, epoch) = {
            let mut status = self.status();
            if status.stopped || status.attempt != attempt {
                return Err(gst::FlowError::Eos);
            }
            let status = &mut *status;
            let run = &mut status.run;
            if let Some(last) = run.last_captured {
                captured_at = captured_at.max(last.plus(Duration::from_micros(1)));
            }
            let seq = run.frames;
            let frame = Frame::new(buffer, &info, seq, captured_at, stream_time).map_err(|_| gst::FlowError::Error)?;
            if run.frames == 0 {
                status.epoch += 1;
            }
            run.frames += 1;
            run.last_captured = Some(captured_at);
            run.last_frame_at = Some(Instant::now());
            run.undecoded = None;
            status.state = SourceState::Live;
            status.last_captured = Some(captured_at);
            (frame, status.epoch)
        };
        (self.on_frame)(frame, epoch);
        Ok(gst::FlowSuccess::Ok)
    }
}

/// Brings a pipeline down on a thread of its own, so that one that hangs takes nobody with it.
fn tear_down(pipeline: gst::Pipeline) {
    let (finished, done) = sync_channel(1);
    let work = move || {
        let _ = pipeline.set_state(gst::State::Null);
        let _ = finished.try_send(());
    };
    match std::thread::Builder::new().name("teardown".into()).spawn(work) {
        Ok(_) if done.recv_timeout(TEARDOWN_MAX).is_err() => tracing::warn!("a pipeline takes long to come down"),
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "no thread to bring a pipeline down"),
    }
}

/// The sentence for the operator.
fn words(cause: &Cause, address: &Address) -> String {
    let (what, place) = match address {
        Address::Rtsp(a) => ("camera", a.host.as_str()),
        Address::File(_) => ("file", ""),
        Address::Test => ("test picture", ""),
    };
    match (cause, address) {
        (Cause::NotAuthorized, _) => {
            format!("The {what} refused the user name or password. Correct them in its address.")
        }
        (Cause::NotFound, Address::Rtsp(a)) => {
            format!(
                "{place} has no stream named {}. Correct the path of the address.",
                if a.path.is_empty() { "/" } else { &a.path }
            )
        }
        (Cause::NotFound, _) => format!("The {what} does not exist."),
        (Cause::Unreachable, Address::Rtsp(_)) => {
            format!("{place} cannot be reached. Check the address, the network and whether the camera is on.")
        }
        (Cause::Unreachable, _) => format!("The {what} cannot be opened."),
        (Cause::NotMedia, _) => format!("What the {what} delivers is not video."),
        (Cause::NoVideo, _) => format!("The {what} delivers no video."),
        (Cause::MissingPlugin(name), _) => {
            format!(
                "GStreamer has no decoder for what the {what} delivers: {name} is missing. Install the plugin for it."
            )
        }
        (Cause::Damaged, _) => format!("What the {what} delivers is damaged."),
        (Cause::Other(text), _) => format!("The {what} failed: {text}"),
    }
}
