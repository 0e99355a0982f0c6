//! One live camera: a supervised pipeline that is rebuilt whenever it ends, fails or stalls.
//!
//! A killed server posts an end of stream, a failed one an error, a frozen one nothing at all: so the supervisor watches
//! the bus *and* the time of the last packet. What is decoded goes another way ([`Branch`]), whose trouble leaves the
//! connection alone.
mod config;
mod patience;
mod pipeline;
mod tap;

use super::{
    Frame,
    address::{Address, refusal, scrubbed},
    branch::{Branch, Stamp, Stamps},
    camera_clock::CameraClock,
    decoding::{Cause, MissingElement, Seen},
    recorder::Packet,
};
use crate::{
    model::{CameraId, Clock, ClockOffset, Timestamp, redact_url},
    supervise::{Pulse, Supervisor, Who},
};
pub use config::{SourceConfig, Transport};
use gstreamer::{self as gst, prelude::*};
use gstreamer_video as gst_video;
use patience::Patience;
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
/// The pause after a user name or password was refused; grows by as much with each time, up to so many of it.
const REFUSED_PAUSE: Duration = Duration::from_secs(30);
const REFUSED_PAUSES: u32 = 10;
/// A connection that lived shorter than this counts as a failed attempt.
const PROVEN_AFTER: Duration = Duration::from_millis(500);
/// Waiting for a key frame shorter than this is not worth telling.
const KEY_FRAME_SOON: Duration = Duration::from_secs(1);
/// How long the last pictures may be in the decoder when a camera has ended its stream, and a file.
const LAST_PICTURES: Duration = Duration::from_millis(300);
const LAST_PICTURES_OF_FILE: Duration = Duration::from_secs(5);
/// Wall time and the stream's own part by this much, seconds, between two pictures when the clock was set.
const SET: f64 = 0.25;
/// How long a pipeline may take to come down before it is left to itself.
const TEARDOWN_MAX: Duration = Duration::from_secs(2);
/// How long [`Source::stop`] waits for the supervisor.
const STOP_MAX: Duration = Duration::from_millis(300);

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
    patience: Patience,
    /// Of a camera whose transport is left to us: it does not send by TCP.
    by_udp: bool,
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

impl Drop for Connection {
    fn drop(&mut self) {
        tear_down(self.pipeline.clone());
        self.decoder.stop();
    }
}

/// Tells whoever waits that the thread is over.
struct Finished(SyncSender<()>);

impl Drop for Finished {
    fn drop(&mut self) {
        let _ = self.0.try_send(());
    }
}

/// Where the thread fails, what it showed is not live any more.
struct Failing<'a>(&'a Shared);

impl Drop for Failing<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let retry_at = self.0.clock.now();
            let mut status = self.0.status();
            status.attempt += 1;
            status.run = Run::default();
            let reason = "An internal error ended the connection. It is made again.".to_owned();
            status.state = SourceState::Stale { since: status.last_captured, reason, retry_at };
        }
    }
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
    kind: EndedBy,
}

/// What follows from it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum EndedBy {
    /// The stream came to its end.
    EndOfStream,
    /// The user name or password was refused.
    Refusal,
    /// The camera does not send by this transport.
    Transport,
    Failure,
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
        Self::open_recorded(config, clock, &Supervisor::default(), None, on_frame, None)
    }

    /// Like [`open`](Self::open); `on_packet` gets every encoded picture as well, before the decoder and whatever becomes of it
    /// there. Never wait there: it is the connection's own thread. The test picture is never encoded. `camera` is whose connection
    /// the `supervisor` watches.
    pub fn open_recorded(
        config: SourceConfig,
        clock: Arc<dyn Clock>,
        supervisor: &Supervisor,
        camera: Option<CameraId>,
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
                patience: Patience::default(),
                by_udp: false,
                last_captured: None,
            }),
        });
        let (wake, events) = sync_channel(32);
        let (finished, done) = sync_channel(1);
        let work = {
            let (shared, wake, finished) = (Arc::clone(&shared), wake.clone(), Finished(finished));
            move |pulse: &Pulse| {
                let _finished = &finished; // with the thread, however often it begins again
                shared.keep_connected(&wake, &events, pulse);
            }
        };
        let who = Who { camera, ..Who::beats("connection") };
        if let Err(error) = supervisor.thread("camera", who, work) {
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

    fn keep_connected(self: &Arc<Self>, wake: &SyncSender<Event>, events: &Receiver<Event>, pulse: &Pulse) {
        let _failing = Failing(self);
        let mut pause = BACKOFF_MIN;
        let mut refusals = 0;
        loop {
            pulse.beat();
            let attempt = {
                let mut status = self.status();
                if status.stopped {
                    return;
                }
                status.attempt += 1;
                status.run = Run::default();
                status.patience.begin();
                status.attempt
            };
            let Some(ended) = self.run(attempt, wake, events, pulse) else { return };
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
            let mut reason = ended.reason;
            let other_way = ended.kind == EndedBy::Transport && self.try_other_transport();
            let wait = if ended.kind == EndedBy::EndOfStream && lived.is_some_and(|l| l >= PROVEN_AFTER) || other_way {
                RESTART_PAUSE
            } else {
                let wait = pause;
                pause = (pause * 2).min(BACKOFF_MAX);
                wait
            };
            // A camera locks the account of whoever comes with a wrong password again and again.
            refusals = if ended.kind == EndedBy::Refusal { refusals + 1 } else { 0 };
            let wait = if refusals == 0 { wait } else { wait.max(REFUSED_PAUSE * refusals.min(REFUSED_PAUSES)) };
            if other_way {
                reason.push_str(" The other way is tried.");
            }
            tracing::info!(camera = redact_url(&self.config.url), reason, "stale");
            {
                let mut status = self.status();
                status.run = Run::default();
                let retry_at = self.clock.now().plus(wait);
                status.state = SourceState::Stale { since: status.last_captured, reason, retry_at };
            }
            let until = Instant::now() + wait;
            let _rest = pulse.rest();
            while let Some(left) = until.checked_duration_since(Instant::now()) {
                if self.status().stopped {
                    return;
                }
                let _ = events.recv_timeout(left);
            }
        }
    }

    /// One connection from building to teardown. `None` when the source was stopped.
    fn run(
        self: &Arc<Self>,
        attempt: u64,
        wake: &SyncSender<Event>,
        events: &Receiver<Event>,
        pulse: &Pulse,
    ) -> Option<Ended> {
        let fail = |reason: String| Some(Ended { reason, kind: EndedBy::Failure });
        if let Err(error) = super::init() {
            return fail(error.to_string());
        }
        let Some(address) = Address::parse(&self.config.url) else {
            return fail(refusal(&self.config.url).to_owned());
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
        let ended = self.watch(&connection, wake, events, pulse);
        // From here on frames of this pipeline are dropped.
        self.status().attempt += 1;
        ended
    }

    fn watch(
        self: &Arc<Self>,
        connection: &Connection,
        wake: &SyncSender<Event>,
        events: &Receiver<Event>,
        pulse: &Pulse,
    ) -> Option<Ended> {
        let Connection { attempt, address, pipeline, seen, decoder } = connection;
        let attempt = *attempt;
        let begun = Instant::now();
        let failed = |reason: String| Some(Ended { reason, kind: EndedBy::Failure });
        let mut decoded = Seen::default();
        let mut pause = BACKOFF_MIN;
        // When the next decoder is to be started; the test picture needs none.
        let mut start_at = Some(begun).filter(|_| !matches!(address, Address::Test));
        let mut started = false;
        let mut ending: Option<(Instant, Ended)> = None;
        loop {
            pulse.beat();
            let (stopped, last, silence) = {
                let status = self.status();
                (status.stopped, status.run.last_packet_at, status.patience.limit(self.config.stall_after))
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
            let deadline = last.map_or(begun + self.config.connect_timeout, |last| last + silence);
            let deadline = ending.as_ref().map_or(deadline, |(until, _)| *until);
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                if let Some((_, ended)) = ending {
                    return Some(ended);
                }
                return failed(if last.is_some() {
                    format!("The camera has sent no picture for {:.0} s.", silence.as_secs_f32().max(1.0))
                } else {
                    format!("No picture came within {:.0} s.", self.config.connect_timeout.as_secs_f32().max(1.0))
                });
            };
            let start_in = start_at.map_or(left, |at| at.saturating_duration_since(Instant::now()));
            match events.recv_timeout(left.min(start_in).min(Duration::from_secs(1))) {
                Ok(Event::Message(of, message)) if of == attempt => match message.view() {
                    gst::MessageView::Eos(_) if self.status().run.last_packet_at.is_none() => {
                        return failed(words(&Cause::NoVideo, address));
                    }
                    gst::MessageView::Eos(_) => {
                        let (reason, wait) = match address {
                            Address::File(_) => ("The file has ended; it starts again.", LAST_PICTURES_OF_FILE),
                            _ => ("The camera ended the stream.", LAST_PICTURES),
                        };
                        let ended = Ended { reason: reason.to_owned(), kind: EndedBy::EndOfStream };
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
                        let cause = error.debug().and_then(|debug| status_in(&debug)).map(Cause::of_status);
                        let mut cause = cause.unwrap_or_else(|| seen.cause(&error.error()));
                        let is_rtsp = matches!(address, Address::Rtsp(_));
                        if is_rtsp
                            && error.error().matches(gst::StreamError::CodecNotFound)
                            && self.status().run.first_packet_at.is_none()
                        {
                            cause = Cause::Transport; // what rtspsrc says when nothing could be set up
                        }
                        let kind = match cause {
                            Cause::NotAuthorized => EndedBy::Refusal,
                            Cause::Transport => EndedBy::Transport,
                            _ => EndedBy::Failure,
                        };
                        return Some(Ended { reason: words(&self.shown(cause), address), kind });
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

    /// Of a camera that does not send by TCP, where the transport is left to us: the next connection asks for UDP, and those after it.
    fn try_other_transport(&self) -> bool {
        let mut status = self.status();
        status.by_udp = self.config.transport == Transport::Auto && !status.by_udp;
        status.by_udp
    }

    /// The cause with nothing secret in what a library says of it. Our own words stay as they are: a user may be called `user`.
    fn shown(&self, cause: Cause) -> Cause {
        match cause {
            Cause::Other(text) => Cause::Other(scrubbed(&text, &self.config.url)),
            Cause::MissingPlugin(name) => Cause::MissingPlugin(scrubbed(&name, &self.config.url)),
            cause => cause,
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
        let why = format!("{kept}cannot be shown: {}", scrubbed(why, &self.config.url));
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
                if silent < status.patience.limit(self.config.stall_after) {
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
            let stamp = sample.buffer().and_then(|b| b.pts()).and_then(|pts| stamps.of(pts));
            shared.take(attempt, sample, stamp)
        };
        let branch = Branch::start(&decoder.stamps, seen, tells, takes)?;
        *decoder.branch() = Some(branch);
        Ok(())
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
            // A clock that was set back begins a new epoch, so that nothing waits for the time to be caught up with.
            let set_back = run.last_captured.is_some_and(|last| last.seconds_since(captured_at) > SET);
            if let Some(last) = run.last_captured.filter(|_| !set_back) {
                captured_at = captured_at.max(last.plus(Duration::from_micros(1)));
            }
            let seq = run.frames;
            let frame = Frame::new(buffer, &info, seq, captured_at, stream_time).map_err(|_| gst::FlowError::Error)?;
            if run.frames == 0 || set_back {
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

/// The status that an RTSP server answered with, out of what rtspsrc says beside an error: `Service Unavailable (503)`, `Error (453): …`.
fn status_in(debug: &str) -> Option<u16> {
    let last = debug.lines().last()?;
    let (_, after) = last.rsplit_once('(')?;
    let (digits, _) = after.split_once(')')?;
    digits.parse().ok().filter(|status| (400..600).contains(status))
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
        (Cause::Transport, _) => {
            format!(
                "{place} does not send by the transport that it is asked for. Set the transport of this camera to the other one, or to auto."
            )
        }
        (Cause::Status(status), _) => format!("{place} {}", status_words(*status)),
        (Cause::Other(text), _) => format!("The {what} failed: {text}"),
    }
}

/// What an RTSP status (RFC 2326 §7.1.1) means for the operator, after the name of the camera.
fn status_words(status: u16) -> String {
    let said = match status {
        400 | 405 | 451 | 501 | 505 | 551 => {
            "does not understand the request. Check that its address is that of an RTSP stream"
        }
        403 => "does not let this user see the stream. Give the user that right in the camera, or use another one",
        408 | 504 => "took too long to answer. Check the network, and the recorder or proxy in between",
        453 => {
            "serves no more sessions or has no bandwidth left. End other connections to it, or use its second stream"
        }
        454 | 455 | 457 | 459 | 460 => {
            "lost the session. It is tried again; where that happens often, restart the camera"
        }
        500 => "has an error of its own. Restart the camera",
        502 => "is a gateway that does not reach the camera behind it. Check that camera and its network",
        503 => {
            "is too busy or just starting. It is tried again; where that lasts, end other connections to it or restart it"
        }
        _ => "refuses the stream",
    };
    format!("{said} (RTSP status {status}).")
}
