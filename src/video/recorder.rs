//! Records one camera as it comes, without re-encoding: the encoded pictures of its one connection go into short Matroska
//! files that begin with a key frame.
//!
//! A file being written is `*.part` in the spool; what a kill or a power cut leaves of it is a video as far as it goes, and
//! [`recover`] makes a whole file of it. A file that is whole is `*.mkv` with a `*.json` beside it that says what it is; it
//! stays until whoever stores it deletes both ([`Spooled::remove`]). The live picture never waits for the disk.
use super::{
    InitError,
    branch::is_key,
    decoding::{MissingElement, chain, make},
    file::Running,
};
use crate::model::{CameraId, ClockOffset, Segment, Timestamp};
use gstreamer::{self as gst, prelude::*};
use gstreamer_app as gst_app;
use sha2::{Digest as _, Sha256};
use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};
use uuid::Uuid;

/// What may wait for a slow disk, bytes and pictures; beyond that pictures are lost, which shows as a gap.
const WAITING_BYTES: usize = 32 << 20;
const WAITING_PICTURES: usize = 2048;
/// What a file's writer may hold before the recorder waits for it, bytes.
const WRITER_BYTES: u64 = 8 << 20;
/// An event that is told of so long after it happened still has its whole pre-roll: a busy machine analyses late.
const EVENT_TOLD_WITHIN: Duration = Duration::from_secs(3);
/// Most that is kept in memory of the time before an event, bytes.
const PRE_ROLL_BYTES: usize = 64 << 20;
/// So often what is written is brought to the disk for good.
const SYNC_EVERY: Duration = Duration::from_secs(5);
/// How long a file may take to be finished.
const FINISH_WITHIN: Duration = Duration::from_secs(20);
/// Pictures further apart than this are not one stretch of video, seconds.
const HOLE: f64 = 1.0;
/// A wall clock that jumped by more than this begins a new file, seconds.
const JUMP: f64 = 0.25;
/// How long a picture is shown of which nothing is known.
const ALONE: Duration = Duration::from_millis(40);
/// After a failure to write, this long passes before the next attempt.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// One encoded picture. Cloning shares it.
#[derive(Clone)]
pub struct Packet {
    /// Grows with every connection.
    pub(super) run: u64,
    pub(super) caps: gst::Caps,
    pub(super) buffer: gst::Buffer,
    /// Position in the connection.
    pub(super) at: Duration,
    pub(super) captured_at: Timestamp,
    /// Of the camera's clock, as far as the camera has told.
    pub(super) offset: Option<ClockOffset>,
}

impl Packet {
    /// Whether decoding can begin here.
    pub fn is_key(&self) -> bool {
        is_key(&self.buffer)
    }

    /// When the picture was captured, as of its decoded frame.
    pub fn captured_at(&self) -> Timestamp {
        self.captured_at
    }
}

impl std::fmt::Debug for Packet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Packet({} bytes at {}, key: {})", self.buffer.size(), self.captured_at, self.is_key())
    }
}

/// Why nothing can be recorded, in words for the operator.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RecorderError {
    /// The spool's disk.
    #[error("the recording cannot be written to {}: {}", .0.display(), .1)]
    Disk(PathBuf, String),
    /// Pictures came faster than the disk took them.
    #[error("the disk is too slow for the recording; pictures were lost")]
    Slow,
    /// GStreamer is incomplete or does not start.
    #[error("{0}")]
    GStreamer(String),
    /// Nothing that can be put into a file.
    #[error("pictures of the kind {0} cannot be recorded")]
    Codec(String),
}

impl From<MissingElement> for RecorderError {
    fn from(error: MissingElement) -> Self {
        Self::GStreamer(error.to_string())
    }
}

impl From<InitError> for RecorderError {
    fn from(error: InitError) -> Self {
        Self::GStreamer(error.to_string())
    }
}

/// How one camera is recorded.
#[derive(Clone, Debug)]
pub struct RecorderConfig {
    /// Whose pictures.
    pub camera: CameraId,
    /// Where files are written.
    pub spool: PathBuf,
    /// A file ends with the first key frame after this long.
    pub segment: Duration,
    /// Only around events; otherwise all the time.
    pub events_only: bool,
    /// What is kept before an event (to the key frame before), and after it.
    pub pre_roll: Duration,
    /// See [`pre_roll`](Self::pre_roll).
    pub post_roll: Duration,
}

/// What a recorder tells.
#[derive(Clone, Debug)]
pub enum Recorded {
    /// A file is whole.
    Segment(Spooled),
    /// Pictures come again after a while without, or for the first time.
    Resumed {
        /// The last picture before; `None` when there was none.
        last: Option<Timestamp>,
        /// The first picture after it.
        at: Timestamp,
    },
    /// Nothing is written for now; it is tried again.
    Failed(RecorderError),
}

/// A whole file in the spool. Its `video_url` is empty: where it goes is for whoever stores it to say.
#[derive(Clone, Debug, PartialEq)]
pub struct Spooled {
    /// What it is.
    pub segment: Segment,
    /// Where it lies.
    pub file: PathBuf,
}

impl Spooled {
    /// Deletes the file and its description. What is gone already is no error.
    ///
    /// # Errors
    /// What the file system says.
    pub fn remove(&self) -> io::Result<()> {
        for path in [self.file.clone(), self.file.with_extension("json")] {
            match fs::remove_file(path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        Ok(())
    }
}

enum Message {
    /// A picture, and whether others before it were lost.
    Packet(Packet, bool),
    Event(Timestamp),
    Cut,
}

/// What a recorder is doing, readable at any time.
#[derive(Default)]
struct Progress {
    /// The last picture that was taken care of: written or, between events, kept for the next.
    covered_until: Mutex<Option<Timestamp>>,
    waiting: AtomicUsize,
    /// Pictures were lost since the last one that was taken.
    lost: AtomicBool,
}

/// A camera being recorded. Dropping it finishes the file under way.
pub struct Recorder {
    sender: Option<SyncSender<Message>>,
    progress: Arc<Progress>,
    thread: Option<JoinHandle<()>>,
}

impl Recorder {
    /// Starts a recorder; `told` is called on its thread.
    ///
    /// # Errors
    /// When the spool cannot be made or no thread can be had.
    pub fn start(config: RecorderConfig, told: impl Fn(Recorded) + Send + 'static) -> Result<Self, RecorderError> {
        super::init()?;
        fs::create_dir_all(&config.spool).map_err(|e| RecorderError::Disk(config.spool.clone(), e.to_string()))?;
        let (sender, messages) = sync_channel(WAITING_PICTURES);
        let progress = Arc::new(Progress::default());
        let seen = Arc::clone(&progress);
        let spool = config.spool.clone();
        let thread = std::thread::Builder::new()
            .name("recorder".into())
            .spawn(move || Work { config, told: Box::new(told), seen, state: State::default() }.run(&messages))
            .map_err(|e| RecorderError::Disk(spool, e.to_string()))?;
        Ok(Self { sender: Some(sender), progress, thread: Some(thread) })
    }

    /// Takes a picture. Never waits: when too much waits already, the picture is lost, and the operator is told.
    pub fn take(&self, packet: Packet) {
        let size = packet.buffer.size();
        let waiting = self.progress.waiting.fetch_add(size, Ordering::Relaxed);
        let after_loss = self.progress.lost.swap(false, Ordering::Relaxed);
        if waiting + size > WAITING_BYTES || !self.send(Message::Packet(packet, after_loss)) {
            self.progress.waiting.fetch_sub(size, Ordering::Relaxed);
            self.progress.lost.store(true, Ordering::Relaxed);
        }
    }

    /// Something happened: the time around it is kept.
    pub fn event(&self, at: Timestamp) {
        self.send(Message::Event(at));
    }

    /// Ends the file under way with the next key frame, so that it can be played.
    pub fn cut(&self) {
        self.send(Message::Cut);
    }

    /// Up to when pictures have been taken care of; `None` before the first, and from a failure until it works again the
    /// time of the failure.
    pub fn covered_until(&self) -> Option<Timestamp> {
        *self.progress.covered_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, message: Message) -> bool {
        self.sender.as_ref().is_some_and(|s| s.try_send(message).is_ok())
    }

    /// Finishes the file under way and waits for that.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        drop(self.sender.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Recorder(until {:?})", self.covered_until())
    }
}

struct Work {
    config: RecorderConfig,
    told: Box<dyn Fn(Recorded) + Send>,
    seen: Arc<Progress>,
    state: State,
}

#[derive(Default)]
struct State {
    writer: Option<Writer>,
    /// What came since a key frame at least the pre-roll ago; only between events.
    kept: VecDeque<Packet>,
    kept_bytes: usize,
    /// Recorded up to here, when only around events.
    wanted_until: Option<Timestamp>,
    /// Something happened since the last picture, maybe longer ago than the post-roll.
    due: bool,
    cut: bool,
    /// The connection that the pictures come by; `None` where the next one begins anew.
    run: Option<u64>,
    /// The last picture taken care of.
    last: Option<Timestamp>,
    failed_at: Option<Instant>,
}

impl Work {
    fn run(mut self, messages: &Receiver<Message>) {
        loop {
            match messages.recv_timeout(SYNC_EVERY) {
                Ok(Message::Packet(packet, after_loss)) => {
                    self.seen.waiting.fetch_sub(packet.buffer.size(), Ordering::Relaxed);
                    self.packet(packet, after_loss);
                }
                Ok(Message::Event(at)) => {
                    self.forget(at);
                    self.state.due = true;
                    let until = at.plus(self.config.post_roll);
                    self.state.wanted_until = Some(self.state.wanted_until.map_or(until, |u| u.max(until)));
                }
                Ok(Message::Cut) => self.state.cut = true,
                // Nothing comes any more: what there is can be watched.
                Err(RecvTimeoutError::Timeout) => self.finish(),
                Err(RecvTimeoutError::Disconnected) => return self.finish(),
            }
        }
    }

    fn packet(&mut self, packet: Packet, after_loss: bool) {
        if after_loss {
            self.finish();
            self.state.run = None;
            (self.told)(Recorded::Failed(RecorderError::Slow));
        }
        let at = packet.captured_at;
        let state = &mut self.state;
        let goes_on =
            state.run == Some(packet.run) && state.last.is_some_and(|last| at.seconds_since(last).abs() <= HOLE);
        let mut resumed = None;
        if !goes_on {
            self.finish();
            let state = &mut self.state;
            state.kept.clear();
            state.kept_bytes = 0;
            if !packet.is_key() || state.failed_at.is_some_and(|failed| failed.elapsed() < RETRY_AFTER) {
                state.run = None;
                return;
            }
            // A camera that was connected again within the same second has no hole worth telling.
            if state.last.is_none_or(|last| at.seconds_since(last).abs() > HOLE) {
                resumed = Some(Recorded::Resumed { last: state.last, at });
            }
        }
        let due = std::mem::take(&mut self.state.due);
        let wanted = !self.config.events_only || due || self.state.wanted_until.is_some_and(|until| at <= until);
        let run = packet.run;
        let done = if wanted {
            self.write_all(&packet)
        } else {
            self.finish();
            self.keep(packet);
            Ok(())
        };
        let state = &mut self.state;
        match done {
            Ok(()) => {
                (state.run, state.last, state.failed_at) = (Some(run), Some(at), None);
                *self.seen.covered_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
                if let Some(resumed) = resumed {
                    (self.told)(resumed);
                }
            }
            Err(error) => {
                // What was written stays as it is, and is taken up at the next start.
                (state.writer, state.run, state.failed_at) = (None, None, Some(Instant::now()));
                (self.told)(Recorded::Failed(error));
            }
        }
    }

    /// Keeps the time before an event that may come, and of which is told some time after it happened.
    fn keep(&mut self, packet: Packet) {
        let now = packet.captured_at;
        self.state.kept_bytes += packet.buffer.size();
        self.state.kept.push_back(packet);
        self.forget(now.minus(EVENT_TOLD_WITHIN));
    }

    /// Lets go of what is not needed for an event at `at` or later.
    fn forget(&mut self, at: Timestamp) {
        let State { kept, kept_bytes, .. } = &mut self.state;
        // The next key frame can be the first as long as it still lies before the pre-roll.
        loop {
            let next = kept.iter().skip(1).position(|p| p.is_key()).map(|i| i + 1);
            let Some(next) = next else { break };
            let early = kept.get(next).is_some_and(|p| p.captured_at <= at.minus(self.config.pre_roll));
            if !early && *kept_bytes <= PRE_ROLL_BYTES {
                break;
            }
            *kept_bytes -= kept.drain(..next).map(|p| p.buffer.size()).sum::<usize>();
        }
    }

    fn write_all(&mut self, packet: &Packet) -> Result<(), RecorderError> {
        self.state.kept_bytes = 0;
        for before in std::mem::take(&mut self.state.kept) {
            self.write(&before)?;
        }
        self.write(packet)
    }

    fn write(&mut self, packet: &Packet) -> Result<(), RecorderError> {
        let over = self.state.writer.as_ref().is_some_and(|w| {
            let wanted = self.state.cut || w.length(packet) >= self.config.segment;
            packet.is_key() && (wanted || !alike(&w.caps, &packet.caps) || w.jumped(packet))
        });
        if over {
            self.state.cut = false;
            if let Some(writer) = self.state.writer.as_mut().filter(|w| !w.jumped(packet)) {
                writer.end_with(packet);
            }
            self.finish();
        }
        match &mut self.state.writer {
            Some(writer) => writer.write(packet),
            None if packet.is_key() => {
                let writer = Writer::begin(&self.config.spool, self.config.camera, packet)?;
                self.state.writer.insert(writer).write(packet)
            }
            None => Ok(()), // cannot be decoded
        }
    }

    fn finish(&mut self) {
        if let Some(writer) = self.state.writer.take() {
            match writer.finish() {
                Ok(Some(spooled)) => (self.told)(Recorded::Segment(spooled)),
                Ok(None) => {}
                Err(error) => (self.told)(Recorded::Failed(error)),
            }
        }
    }
}

/// One file being written.
struct Writer {
    pipeline: Running,
    input: gst_app::AppSrc,
    part: PathBuf,
    id: Uuid,
    camera: CameraId,
    caps: gst::Caps,
    starts_at: Timestamp,
    /// Of the camera's clock: one for the whole file.
    offset: Option<ClockOffset>,
    /// Of the first picture in its connection.
    base: Duration,
    /// End of the last picture, from the beginning of the file.
    end: Duration,
    /// The last picture, from the beginning of the file.
    last: Duration,
    pictures: u64,
    synced: Instant,
}

impl Writer {
    fn begin(spool: &Path, camera: CameraId, first: &Packet) -> Result<Self, RecorderError> {
        let id = Uuid::now_v7();
        let part = spool.join(format!("{camera}_{}_{id}.part", first.captured_at.0));
        let parser = match first.caps.structure(0).map(|s| s.name().as_str().to_owned()).as_deref() {
            Some("video/x-h264") => Some("h264parse"),
            Some("video/x-h265") => Some("h265parse"),
            Some("image/jpeg") => Some("jpegparse"),
            Some("video/mpeg") => None,
            Some(name) if name.starts_with("video/x-vp") => None,
            other => return Err(RecorderError::Codec(other.unwrap_or("unknown").to_owned())),
        };
        let pipeline = Running(gst::Pipeline::new());
        let input = gst_app::AppSrc::builder()
            .caps(&first.caps)
            .format(gst::Format::Time)
            .block(true)
            .max_bytes(WRITER_BYTES)
            .build();
        let muxer = make("matroskamux")?;
        muxer.set_property("writing-app", "Vigia");
        let sink = make("filesink")?;
        sink.set_property("location", part.to_string_lossy().as_ref());
        sink.set_property_from_str("buffer-mode", "unbuffered"); // a killed process loses nothing
        sink.set_property("sync", false);
        sink.set_property("async", false);
        let bin: &gst::Bin = pipeline.0.upcast_ref();
        match parser {
            Some(parser) => chain(bin, &[input.upcast_ref(), &make(parser)?, &muxer, &sink])?,
            None => chain(bin, &[input.upcast_ref(), &muxer, &sink])?,
        }
        let writer = Self {
            pipeline,
            input,
            part,
            id,
            camera,
            caps: first.caps.clone(),
            starts_at: first.captured_at,
            offset: first.offset,
            base: first.at,
            end: Duration::ZERO,
            last: Duration::ZERO,
            pictures: 0,
            synced: Instant::now(),
        };
        let started = writer.pipeline.0.set_state(gst::State::Playing);
        started.map_err(|_| writer.failure("it cannot be opened"))?;
        Ok(writer)
    }

    /// How long the file would be with this picture as its end.
    fn length(&self, packet: &Packet) -> Duration {
        packet.at.saturating_sub(self.base)
    }

    /// Whether the wall clock, or the camera's own, was set meanwhile.
    fn jumped(&self, packet: &Packet) -> bool {
        packet.captured_at.seconds_since(self.starts_at.plus(self.length(packet))).abs() > JUMP
            || self.offset.zip(packet.offset).is_some_and(|(before, now)| now.jumped_from(before))
    }

    /// The next file begins with this picture, and this one ends there: clocks that are read twice differ by microseconds.
    fn end_with(&mut self, packet: &Packet) {
        self.end = u64::try_from(packet.captured_at.0 - self.starts_at.0).map_or(self.end, Duration::from_micros);
    }

    fn write(&mut self, packet: &Packet) -> Result<(), RecorderError> {
        let Some(at) = packet.at.checked_sub(self.base) else {
            return Ok(()); // of before the key frame: only together with the file before could it be decoded
        };
        let mut buffer = packet.buffer.copy();
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(gst::ClockTime::try_from(at).ok());
            buffer.set_dts(gst::ClockTime::NONE);
        }
        if self.pictures > 0 && at > self.last {
            self.end = at + (at - self.last); // until something better is known, as long as the one before
        }
        if let Some(length) = packet.buffer.duration().map(Duration::from).filter(|d| !d.is_zero()) {
            self.end = self.end.max(at + length);
        }
        self.last = self.last.max(at);
        self.offset = self.offset.or(packet.offset);
        self.pictures += 1;
        if self.input.push_buffer(buffer).is_err() || self.error().is_some() {
            return Err(self.failure("it was closed"));
        }
        if self.synced.elapsed() >= SYNC_EVERY {
            self.synced = Instant::now();
            let synced = File::open(&self.part).and_then(|f| f.sync_data());
            synced.map_err(|e| RecorderError::Disk(self.part.clone(), e.to_string()))?;
        }
        Ok(())
    }

    fn error(&self) -> Option<String> {
        let message = self.pipeline.0.bus()?.pop_filtered(&[gst::MessageType::Error])?;
        if let gst::MessageView::Error(error) = message.view() {
            Some(error.error().message().to_owned())
        } else {
            None
        }
    }

    fn failure(&self, otherwise: &str) -> RecorderError {
        let folder = self.part.parent().unwrap_or(&self.part).to_owned();
        RecorderError::Disk(folder, self.error().unwrap_or_else(|| otherwise.to_owned()))
    }

    /// Closes the file and gives it its name; `None` when nothing is in it.
    fn finish(self) -> Result<Option<Spooled>, RecorderError> {
        let _ = self.input.end_of_stream();
        let ended = self.pipeline.0.bus().and_then(|bus| {
            let wait = gst::ClockTime::try_from(FINISH_WITHIN).ok();
            bus.timed_pop_filtered(wait, &[gst::MessageType::Eos, gst::MessageType::Error])
        });
        let disk = |e: &dyn std::fmt::Display| RecorderError::Disk(self.part.clone(), e.to_string());
        match ended.as_ref().map(|m| m.view()) {
            Some(gst::MessageView::Eos(_)) => {}
            Some(gst::MessageView::Error(error)) => return Err(disk(&error.error().message())),
            _ => return Err(disk(&"it takes too long to finish a file")),
        }
        let _ = self.pipeline.0.set_state(gst::State::Null);
        if self.pictures == 0 {
            let _ = fs::remove_file(&self.part);
            return Ok(None);
        }
        let described = (|| {
            File::open(&self.part)?.sync_all()?;
            let (sha256, size) = hash(&self.part)?;
            let structure = self.caps.structure(0);
            let side = |name: &str| structure.and_then(|s| s.get::<i32>(name).ok()).and_then(|v| u32::try_from(v).ok());
            let segment = Segment {
                id: self.id,
                camera: self.camera,
                starts_at: self.starts_at,
                ends_at: self.starts_at.plus(if self.pictures > 1 { self.end } else { self.end.max(ALONE) }),
                video_url: String::new(),
                format: "matroska".to_owned(),
                codec: codec(&self.caps),
                width: side("width").unwrap_or(0),
                height: side("height").unwrap_or(0),
                size,
                sha256,
                upload: None,
                clock_offset: self.offset,
            };
            let file = self.part.with_extension("mkv");
            let json = serde_json::to_vec(&segment).map_err(io::Error::other)?;
            let (half, whole) = (self.part.with_extension("tmp"), self.part.with_extension("json"));
            let mut to = File::create(&half)?;
            to.write_all(&json)?;
            to.sync_all()?;
            fs::rename(&half, &whole)?;
            fs::rename(&self.part, &file)?;
            Ok::<_, io::Error>(Spooled { segment, file })
        })();
        described.map(Some).map_err(|e| disk(&e))
    }
}

/// Whether pictures of both kinds can be in one file.
fn alike(a: &gst::Caps, b: &gst::Caps) -> bool {
    let same = |a: &gst::StructureRef, b: &gst::StructureRef| {
        let value = |s: &gst::StructureRef, field: &str| s.value(field).ok().and_then(|v| v.serialize().ok());
        a.name() == b.name()
            && ["width", "height", "stream-format", "codec_data"].iter().all(|field| value(a, field) == value(b, field))
    };
    a == b || a.structure(0).zip(b.structure(0)).is_some_and(|(a, b)| same(a, b))
}

/// `h264`, `h265`, `mjpeg`, …
fn codec(caps: &gst::Caps) -> String {
    match caps.structure(0).map(|s| s.name().as_str()) {
        Some("image/jpeg") => "mjpeg".to_owned(),
        Some("video/mpeg") => "mpeg".to_owned(),
        Some(name) => name.trim_start_matches("video/x-").to_owned(),
        None => "unknown".to_owned(),
    }
}

fn hash(path: &Path) -> io::Result<(String, u64)> {
    let (mut file, mut sha, mut size, mut piece) = (File::open(path)?, Sha256::new(), 0, vec![0; 1 << 18]);
    loop {
        let read = file.read(&mut piece)?;
        let Some(part) = piece.get(..read).filter(|p| !p.is_empty()) else {
            let hex = sha.finalize().iter().map(|b| format!("{b:02x}")).collect();
            return Ok((hex, size));
        };
        sha.update(part);
        size += part.len() as u64;
    }
}

/// Everything whole in the spool, oldest first. What a run that was killed left unfinished is made whole as far as it goes;
/// what holds not one picture is deleted.
///
/// # Errors
/// When the spool cannot be read.
pub fn recover(spool: &Path) -> Result<Vec<Spooled>, RecorderError> {
    super::init()?;
    let disk = |e: io::Error| RecorderError::Disk(spool.to_owned(), e.to_string());
    fs::create_dir_all(spool).map_err(disk)?;
    let mut found = Vec::new();
    for entry in fs::read_dir(spool).map_err(disk)? {
        let path = entry.map_err(disk)?.path();
        match path.extension().and_then(|e| e.to_str()) {
            Some("mkv") => found.extend(described(&path).or_else(|| rescued(spool, &path))),
            Some("part") => {
                // Written whole, and killed before it had its name: only the name is missing.
                let whole = described(&path).filter(|s| hash(&path).is_ok_and(|(h, _)| h == s.segment.sha256));
                let renamed = whole.and_then(|s| {
                    let file = path.with_extension("mkv");
                    fs::rename(&path, &file).ok().map(|()| Spooled { file, ..s })
                });
                found.extend(renamed.or_else(|| rescued(spool, &path)));
            }
            Some("tmp") => drop(fs::remove_file(&path)), // a description that was cut off
            _ => {}
        }
    }
    found.sort_by_key(|s| s.segment.starts_at);
    Ok(found)
}

/// The file with what stands in the description beside it.
fn described(file: &Path) -> Option<Spooled> {
    let segment = serde_json::from_slice(&fs::read(file.with_extension("json")).ok()?).ok()?;
    Some(Spooled { segment, file: file.to_owned() })
}

/// A whole file out of one that was cut off.
fn rescued(spool: &Path, part: &Path) -> Option<Spooled> {
    let name = part.file_stem()?.to_str()?;
    let mut words = name.split('_');
    let camera = words.next()?.parse().ok()?;
    let starts_at = Timestamp(words.next()?.parse().ok()?);
    match remux(spool, part, camera, starts_at) {
        Ok(spooled) => {
            let _ = fs::remove_file(part);
            let _ = fs::remove_file(part.with_extension("json"));
            spooled
        }
        Err(error) => {
            tracing::warn!(file = %part.display(), %error, "an unfinished recording was left as it is");
            None
        }
    }
}

fn remux(spool: &Path, part: &Path, camera: CameraId, starts_at: Timestamp) -> Result<Option<Spooled>, RecorderError> {
    let pipeline = Running(gst::Pipeline::new());
    let (source, demuxer) = (make("filesrc")?, make("matroskademux")?);
    source.set_property("location", part.to_string_lossy().as_ref());
    let sink = gst_app::AppSink::builder().sync(false).max_buffers(64).build();
    let bin: &gst::Bin = pipeline.0.upcast_ref();
    chain(bin, &[&source, &demuxer])?;
    bin.add(&sink).map_err(|_| RecorderError::GStreamer("GStreamer's appsink cannot be used".to_owned()))?;
    let weak = sink.downgrade();
    demuxer.connect_pad_added(move |_, pad| {
        if let Some(target) = weak.upgrade().and_then(|s| s.static_pad("sink")).filter(|t| !t.is_linked()) {
            let _ = pad.link(&target);
        }
    });
    let _ = pipeline.0.set_state(gst::State::Playing);
    let mut writer: Option<Writer> = None;
    let bus = pipeline.0.bus();
    loop {
        if let Some(sample) = sink.try_pull_sample(gst::ClockTime::from_mseconds(100)) {
            let (Some(buffer), Some(caps)) = (sample.buffer_owned(), sample.caps_owned()) else { continue };
            let Some(pts) = buffer.pts().map(Duration::from) else { continue };
            let packet = Packet { run: 0, caps, buffer, at: pts, captured_at: starts_at.plus(pts), offset: None };
            match &mut writer {
                Some(writer) => writer.write(&packet)?,
                None if packet.is_key() => {
                    writer.insert(Writer::begin(spool, camera, &packet)?).write(&packet)?;
                }
                None => {}
            }
            continue;
        }
        // A file that was cut off ends with an error or an end, after everything that is in it.
        let failed = bus.as_ref().is_some_and(|b| b.pop_filtered(&[gst::MessageType::Error]).is_some());
        if sink.is_eos() || failed {
            break;
        }
    }
    writer.map_or(Ok(None), Writer::finish)
}

#[cfg(test)]
mod tests;
