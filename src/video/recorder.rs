//! Records one camera as it comes, without re-encoding: the encoded pictures of its one connection go into short Matroska
//! files that begin with a key frame.
//!
//! What becomes of each packet is decided by [`Course`](course::Course), a state machine without files; here are its thread, and what it
//! does to files. A file being written is `*.part` in the spool; what a kill or a power cut leaves of it is a video as far as it goes, and
//! [`recover`] makes a whole file of it. A file that is whole is `*.mkv` with a `*.json` beside it that says what it is; it
//! stays until whoever stores it deletes both ([`Spooled::remove`]). The live picture never waits for the disk.
mod course;
mod intake;
mod recover;
mod writer;

use super::{InitError, branch::is_key, decoding::MissingElement};
use crate::{
    model::{CameraId, ClockOffset, Segment, Timestamp},
    supervise::{Pulse, Supervisor, Who},
};
pub use course::Why;
use course::{Arrival, Course, Plan, State, Step};
use gstreamer as gst;
use intake::Intake;
pub use recover::{Recovered, recover};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    time::{Duration, Instant},
};
use writer::Writer;

/// Messages that may wait for the recorder's thread; how many bytes is for [`Intake`] to say.
const WAITING_PICTURES: usize = 2048;
/// A camera that sends nothing for so long, or for some pictures of its own pace, has its file finished: it can be watched then.
const SILENCE: Duration = Duration::from_secs(5);
/// Between two attempts to make whole what a failed disk left.
const RESCUE_EVERY: Duration = Duration::from_secs(10);
/// How long whoever ends a recorder waits for its file.
const STOP_WITHIN: Duration = Duration::from_secs(5);

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

impl Arrival for Packet {
    fn run(&self) -> u64 {
        self.run
    }
    fn position(&self) -> Duration {
        self.at
    }
    fn at(&self) -> Timestamp {
        self.captured_at
    }
    fn is_key(&self) -> bool {
        is_key(&self.buffer)
    }
    fn bytes(&self) -> usize {
        self.buffer.size()
    }
    fn offset(&self) -> Option<ClockOffset> {
        self.offset
    }
    fn is_alike(&self, other: &Self) -> bool {
        writer::alike(&self.caps, &other.caps)
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
    /// Pictures are recorded again after a while without, or for the first time.
    Resumed {
        /// The last picture before; `None` when there was none.
        last: Option<Timestamp>,
        /// The first picture after it.
        at: Timestamp,
        /// Why pictures that came in between are lost; `None` where none came.
        why: Option<Why>,
    },
    /// Nothing is written for now; it is tried again.
    Failed(RecorderError),
    /// What was written from one instant to the other before a failure could not be saved, with what was said.
    Lost(Timestamp, Timestamp, String),
    /// Something that the operator should know, in a sentence.
    Noticed(String),
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
    /// Deletes the file and notes that it is lost, in one step that is done or not, until [`remove`](Self::remove) ends that. What was
    /// given up before is no error.
    ///
    /// # Errors
    /// What the file system says.
    pub fn give_up(&self) -> io::Result<()> {
        let lost = self.file.with_extension("lost");
        match fs::rename(self.file.with_extension("json"), &lost) {
            Err(e) if e.kind() == io::ErrorKind::NotFound && !lost.try_exists()? => {
                fs::write(&lost, serde_json::to_vec(&self.segment).map_err(io::Error::other)?)?;
            }
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        match fs::remove_file(&self.file) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    /// Deletes the file and its description. What is gone already is no error.
    ///
    /// # Errors
    /// What the file system says.
    pub fn remove(&self) -> io::Result<()> {
        for path in ["mkv", "json", "lost"].map(|extension| self.file.with_extension(extension)) {
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
    /// Look at what else is wanted.
    Look,
}

/// What whoever feeds the recorder and its thread share.
#[derive(Default)]
struct Shared {
    /// The last picture that was taken care of: written or, between events, kept for the next.
    covered_until: Mutex<Option<Timestamp>>,
    intake: Intake,
    wanted: Mutex<Wanted>,
    ended: Mutex<bool>,
    end: Condvar,
    waits: AtomicBool,
    /// The usual time between two pictures, microseconds.
    pace: AtomicU64,
}

/// What is asked of the recorder beside taking pictures. It never waits in a queue, so that none of it is lost.
#[derive(Default)]
struct Wanted {
    /// The first and the last of what happened.
    event: Option<(Timestamp, Timestamp)>,
    cut: bool,
    unwatched: bool,
}

/// A camera being recorded. Dropping it finishes the file under way.
pub struct Recorder {
    sender: Mutex<Option<SyncSender<Message>>>,
    shared: Arc<Shared>,
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Recorder {
    /// Starts a recorder; `told` is called on its thread. Should that fail, what it was writing is saved, and the next key frame begins
    /// another file.
    ///
    /// # Errors
    /// When the spool cannot be made or no thread can be had.
    pub fn start(
        config: RecorderConfig,
        supervisor: &Supervisor,
        told: impl Fn(Recorded) + Send + 'static,
    ) -> Result<Self, RecorderError> {
        super::init()?;
        fs::create_dir_all(&config.spool).map_err(|e| RecorderError::Disk(config.spool.clone(), e.to_string()))?;
        let (sender, messages) = sync_channel(WAITING_PICTURES);
        let shared = Arc::new(Shared::default());
        let (who, spool) = (Who::beats("recording").of(config.camera), config.spool.clone());
        let (end, began) = (End(Arc::clone(&shared)), Instant::now());
        let (mut broken, mut failed) = (Vec::new(), false);
        let work = move |pulse: &Pulse| {
            // Told with the first picture that is recorded again.
            let failed = std::mem::replace(&mut failed, true);
            let shared = &end.0;
            let mut work = Work::new(&config, &told, shared, began, &mut broken);
            if failed {
                work.go_on();
            }
            work.run(&messages, pulse);
        };
        supervisor.thread("recorder", who, work).map_err(|e| RecorderError::Disk(spool, e.to_string()))?;
        Ok(Self { sender: Mutex::new(Some(sender)), shared })
    }

    /// Takes a picture. Never waits: when too much waits already, the picture is lost, and the operator is told.
    pub fn take(&self, packet: Packet) {
        let (size, key) = (packet.buffer.size(), packet.is_key());
        if let Some(after_loss) = self.shared.intake.admit(size, key)
            && !self.send(Message::Packet(packet, after_loss))
        {
            self.shared.intake.refuse(size);
        }
    }

    /// Something happened: the time around it is kept.
    pub fn event(&self, at: Timestamp) {
        let mut wanted = lock(&self.shared.wanted);
        wanted.event = Some(wanted.event.map_or((at, at), |(first, last)| (first.min(at), last.max(at))));
        drop(wanted);
        self.send(Message::Look);
    }

    /// Ends the file under way with the next key frame, so that it can be played.
    pub fn cut(&self) {
        lock(&self.shared.wanted).cut = true;
    }

    /// Says whether nobody looks at this camera's pictures: then everything is recorded, since no event would be told.
    pub fn unwatched(&self, unwatched: bool) {
        lock(&self.shared.wanted).unwatched = unwatched;
    }

    /// Up to when pictures have been taken care of; `None` before the first, and from a failure until it works again the
    /// time of the failure.
    pub fn covered_until(&self) -> Option<Timestamp> {
        *lock(&self.shared.covered_until)
    }

    /// Whether pictures come of which none can be the first of a file.
    pub fn waits_for_key_frame(&self) -> bool {
        self.shared.waits.load(Ordering::Relaxed)
    }

    /// The usual time between two pictures; zero before the second.
    pub fn pace(&self) -> Duration {
        Duration::from_micros(self.shared.pace.load(Ordering::Relaxed))
    }

    fn send(&self, message: Message) -> bool {
        lock(&self.sender).as_ref().is_some_and(|s| s.try_send(message).is_ok())
    }

    /// Takes no more; the file under way is finished meanwhile. Whoever has several to end tells all of them first.
    pub fn end(&self) {
        lock(&self.sender).take();
    }

    /// Finishes the file under way and waits for that, five seconds at most: a disk that hangs holds nobody up. What is not finished
    /// by then is taken up at the next start.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.end();
        let ended = lock(&self.shared.ended);
        let waited = self.shared.end.wait_timeout_while(ended, STOP_WITHIN, |ended| !*ended);
        if !*waited.unwrap_or_else(PoisonError::into_inner).0 {
            tracing::warn!("a recording could not be finished: its disk does not answer");
        }
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Recorder(until {:?})", self.covered_until())
    }
}

/// Says that the recorder's thread is over, however it ended.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        *lock(&self.0.ended) = true;
        self.0.end.notify_all();
    }
}

/// An unfinished file, and from when to when it holds pictures.
type Unfinished = (PathBuf, Timestamp, Timestamp);

/// The recorder's thread.
struct Work<'a> {
    config: &'a RecorderConfig,
    told: &'a dyn Fn(Recorded),
    shared: &'a Shared,
    course: Course<Packet>,
    writer: Option<Writer>,
    began: Instant,
    /// What a disk that failed, or a thread, left.
    broken: &'a mut Vec<Unfinished>,
    rescued_at: Instant,
}

impl Drop for Work<'_> {
    /// Where the thread failed, what it was writing is taken up again.
    fn drop(&mut self) {
        self.give_up();
    }
}

impl<'a> Work<'a> {
    fn new(
        config: &'a RecorderConfig,
        told: &'a dyn Fn(Recorded),
        shared: &'a Shared,
        began: Instant,
        broken: &'a mut Vec<Unfinished>,
    ) -> Self {
        let &RecorderConfig { segment, events_only, pre_roll, post_roll, .. } = config;
        let course = Course::new(Plan { segment, events_only, pre_roll, post_roll });
        Self { config, told, shared, course, writer: None, began, broken, rescued_at: Instant::now() }
    }

    /// The thread begins again after it failed.
    fn go_on(&mut self) {
        self.course.go_on_after(*lock(&self.shared.covered_until));
        self.rescue();
    }

    fn run(mut self, messages: &Receiver<Message>, pulse: &Pulse) {
        loop {
            let silence = SILENCE.max(3 * self.course.pace());
            let message = {
                let _rest = pulse.rest();
                messages.recv_timeout(silence)
            };
            pulse.beat();
            self.look();
            match message {
                Ok(Message::Packet(packet, after_loss)) => {
                    self.shared.intake.done(packet.buffer.size());
                    self.packet(packet, after_loss);
                }
                Ok(Message::Look) => {}
                Err(RecvTimeoutError::Timeout) => {
                    let steps = self.course.silence();
                    self.take(steps);
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let steps = self.course.silence();
                    self.take(steps);
                    self.rescue();
                    return;
                }
            }
            if !self.broken.is_empty() && self.rescued_at.elapsed() >= RESCUE_EVERY {
                self.rescue();
            }
            let waits = matches!(self.course.state(), State::Waiting(Some(Why::NoKeyFrame)));
            self.shared.waits.store(waits, Ordering::Relaxed);
            let pace = u64::try_from(self.course.pace().as_micros()).unwrap_or(u64::MAX);
            self.shared.pace.store(pace, Ordering::Relaxed);
        }
    }

    /// Takes up what is asked beside the pictures.
    fn look(&mut self) {
        let (event, cut, unwatched) = {
            let mut wanted = lock(&self.shared.wanted);
            (wanted.event.take(), std::mem::take(&mut wanted.cut), wanted.unwatched)
        };
        if cut {
            self.course.cut();
        }
        self.course.unwatched(unwatched);
        if let Some((first, last)) = event {
            let mut steps = self.course.event(first);
            steps.extend(self.course.event(last));
            self.take(steps);
        }
    }

    fn packet(&mut self, packet: Packet, after_loss: bool) {
        if after_loss {
            (self.told)(Recorded::Failed(RecorderError::Slow));
        }
        let at = packet.captured_at;
        let steps = self.course.packet(packet, after_loss, self.began.elapsed());
        if self.take(steps) && !matches!(self.course.state(), State::Waiting(_)) {
            *lock(&self.shared.covered_until) = Some(at);
        }
    }

    /// Does all of it; whether that could be done.
    fn take(&mut self, steps: Vec<Step<Packet>>) -> bool {
        let mut resumed = None;
        for step in steps {
            let done = match step {
                Step::Finish(at) => {
                    self.finish(at);
                    Ok(())
                }
                Step::Begin(packet) => Writer::begin(&self.config.spool, self.config.camera, &packet)
                    .and_then(|writer| self.writer.insert(writer).write(&packet)),
                Step::Write(packet) => self.writer.as_mut().map_or(Ok(()), |writer| writer.write(&packet)),
                Step::Resumed { last, at, why } => {
                    resumed = Some(Recorded::Resumed { last, at, why });
                    Ok(())
                }
                Step::KeyFramesRare(seconds) => {
                    (self.told)(Recorded::Noticed(format!(
                        "sends a key frame only every {seconds} s: recordings begin, and can be searched, only there. Set its key \
                         frame interval to a few seconds"
                    )));
                    Ok(())
                }
                Step::PreRollCut(seconds) => {
                    (self.told)(Recorded::Noticed(format!(
                        "sends so much that only {seconds} s before an event can be kept. Make `recording.pre_roll_s` or the \
                         camera's bit rate smaller"
                    )));
                    Ok(())
                }
            };
            if let Err(error) = done {
                self.give_up();
                self.course.failed(self.began.elapsed());
                (self.told)(Recorded::Failed(error));
                return false;
            }
        }
        if let Some(resumed) = resumed {
            (self.told)(resumed);
        }
        true
    }

    fn finish(&mut self, at: Option<Timestamp>) {
        let Some(mut writer) = self.writer.take() else { return };
        if let Some(at) = at {
            writer.end_with(at);
        }
        let (part, from, until) = writer.holds();
        match writer.finish() {
            Ok(Some(spooled)) => (self.told)(Recorded::Segment(spooled)),
            Ok(None) => {}
            Err(error) => {
                self.broken.push((part, from, until));
                (self.told)(Recorded::Failed(error));
            }
        }
    }

    /// Leaves the file under way as it is, to be made whole later.
    fn give_up(&mut self) {
        self.broken.extend(self.writer.take().map(|writer| writer.holds()));
    }

    /// Makes whole what a failure left; what cannot be read is told as lost, once.
    fn rescue(&mut self) {
        self.rescued_at = Instant::now();
        for (part, from, until) in std::mem::take(self.broken) {
            // What a disk does not tell is not gone: only what it says is not there.
            let gone = |path: &Path| matches!(path.try_exists(), Ok(false));
            if gone(&part) && gone(&part.with_extension("mkv")) {
                (self.told)(Recorded::Lost(from, until, "its file is gone".to_owned()));
                continue;
            }
            match recover::rescued(&self.config.spool, &part) {
                Some(spooled) => (self.told)(Recorded::Segment(spooled)),
                // The disk may come back.
                None if !gone(&part) => self.broken.push((part, from, until)),
                None => (self.told)(Recorded::Lost(from, until, "nothing of it can be read".to_owned())),
            }
        }
    }
}

#[cfg(test)]
mod tests;
