//! Whole files: every frame, in order, as fast as the decoder goes.
use super::{
    Frame, InitError,
    decoding::{Cause, MissingElement, Seen, frame_sink, read_into, video_decoder},
    heads::{has_no_index, shortfall},
};
use crate::model::Timestamp;
use gstreamer::{self as gst, prelude::*};
use gstreamer_video as gst_video;
use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::Duration,
};

/// How long a decoder may go without a frame before the file is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a file turned out to hold.
#[derive(Clone, Debug, PartialEq)]
pub struct FileReport {
    /// Frames handed over.
    pub frames: u64,
    /// Width of the first frame in pixels.
    pub width: u32,
    /// Height of the first frame in pixels.
    pub height: u32,
    /// From the first frame to the end of the last.
    pub duration: Duration,
    /// Frames per second: what the file announces or, when it announces none (variable rate), the mean.
    pub fps_nominal: f64,
    /// Why there may be less in it than there was once, one sentence; `None` for a file that is whole.
    pub truncated: Option<String>,
}

/// Why nothing could be read from a file.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FileError {
    /// No such file.
    #[error("{} does not exist. Check the name.", .0.display())]
    Missing(PathBuf),
    /// A file that this user may not read, a folder, …
    #[error("{} cannot be opened: {}.", .0.display(), .1)]
    Unreadable(PathBuf, String),
    /// Zero bytes.
    #[error("{} is empty (0 bytes). Copy or download it again.", .0.display())]
    Empty(PathBuf),
    /// No container or stream that GStreamer knows.
    #[error("{} is not a video file.", .0.display())]
    NotVideo(PathBuf),
    /// Sound, but no pictures.
    #[error("{} holds no video, only sound or text.", .0.display())]
    NoVideo(PathBuf),
    /// The decoder, or the element that opens the container, is not installed.
    #[error("{} needs {}, which is not installed. Install the GStreamer plugin for it.", .0.display(), .1)]
    MissingPlugin(PathBuf, String),
    /// An MP4 whose index was never written.
    #[error(
        "{} was never finished: its pictures are there, but not the index (moov) that says where, as when a recorder lost power or a copy broke off. Copy it again from the recorder; a repair tool can rebuild the index with a whole file of the same recorder beside it.",
        .0.display()
    )]
    Unfinished(PathBuf),
    /// A video without a single usable frame.
    #[error("{} is damaged: no picture could be decoded ({}).", .0.display(), .1)]
    Damaged(PathBuf, String),
    /// GStreamer is incomplete or does not start.
    #[error("{0}")]
    GStreamer(String),
}

impl From<MissingElement> for FileError {
    fn from(error: MissingElement) -> Self {
        Self::GStreamer(error.to_string())
    }
}

impl From<InitError> for FileError {
    fn from(error: InitError) -> Self {
        Self::GStreamer(error.to_string())
    }
}

/// Hands every frame of the file to `on_frame`, in order, until it says [`ControlFlow::Break`]. The same file gives the
/// same frames every time.
///
/// `Frame::stream_time` is the exact position in the file; `captured_at` is that position counted from the epoch
/// (1970), for callers that know no better start. A file that ends early or is damaged on the way is used as far as it
/// goes; the report says so.
///
/// # Errors
/// When there is no frame to be had, with the reason.
pub fn read_file(path: &Path, on_frame: impl FnMut(Frame) -> ControlFlow<()>) -> Result<FileReport, FileError> {
    read_file_from(path, Timestamp(0), on_frame)
}

/// Like [`read_file`], for a file whose start is known: `captured_at` is the position counted from `starts_at`.
///
/// # Errors
/// Those of [`read_file`].
pub fn read_file_from(
    path: &Path,
    starts_at: Timestamp,
    mut on_frame: impl FnMut(Frame) -> ControlFlow<()>,
) -> Result<FileReport, FileError> {
    try_read_file_from(path, starts_at, |frame| Ok(on_frame(frame)))
}

/// Like [`read_file`], for work that can fail, which ends the reading.
///
/// # Errors
/// Those of [`read_file`] and of `on_frame`.
pub fn try_read_file<E: From<FileError>>(
    path: &Path,
    on_frame: impl FnMut(Frame) -> Result<ControlFlow<()>, E>,
) -> Result<FileReport, E> {
    try_read_file_from(path, Timestamp(0), on_frame)
}

/// Like [`read_file_from`] and [`try_read_file`].
///
/// # Errors
/// Those of [`try_read_file`].
pub fn try_read_file_from<E: From<FileError>>(
    path: &Path,
    starts_at: Timestamp,
    mut on_frame: impl FnMut(Frame) -> Result<ControlFlow<()>, E>,
) -> Result<FileReport, E> {
    let seen = Seen::default();
    let (pipeline, sink) = decoded(path, &seen, None, 4)?;
    let bus = pipeline.0.bus().ok_or_else(|| FileError::GStreamer("GStreamer's pipeline has no bus.".to_owned()))?;
    let _ = pipeline.0.set_state(gst::State::Playing);

    let mut progress = Progress { starts_at, ..Progress::default() };
    let mut warnings = 0u32;
    let mut idle = Duration::ZERO;
    let step = Duration::from_millis(50);
    let failure = loop {
        if let Some(sample) = sink.try_pull_sample(gst::ClockTime::try_from(step).ok()) {
            idle = Duration::ZERO;
            if progress.announced.is_none() {
                progress.announced = sink.query_duration::<gst::ClockTime>().map(Duration::from);
            }
            match progress.frame(&sample) {
                Ok(frame) => {
                    if on_frame(frame)?.is_break() {
                        return progress.report(None, false).ok_or_else(|| damaged(path, "no frame").into());
                    }
                }
                Err(error) => break Some(error),
            }
            continue;
        }
        while let Some(message) = bus.pop() {
            seen.note_message(&message);
            if let gst::MessageView::Warning(w) = message.view() {
                warnings += u32::from(w.error().is::<gst::StreamError>());
            }
            if let gst::MessageView::Error(error) = message.view() {
                let (cause, text) = (seen.cause(&error.error()), error.error().message().to_owned());
                if progress.frames > 0 {
                    let at = progress.end().as_secs_f64();
                    let why = format!("The file is damaged {at:.1} s into the video; the rest could not be read.");
                    return progress.report(Some(why), true).ok_or_else(|| damaged(path, &text).into());
                }
                return Err(match cause {
                    _ if has_no_index(path) => FileError::Unfinished(path.to_owned()),
                    Cause::MissingPlugin(name) => FileError::MissingPlugin(path.to_owned(), name),
                    Cause::NoVideo => FileError::NoVideo(path.to_owned()),
                    Cause::NotMedia => FileError::NotVideo(path.to_owned()),
                    _ => damaged(path, text.trim_end_matches('.')),
                }
                .into());
            }
        }
        if sink.is_eos() {
            break None;
        }
        idle += step;
        if idle > PATIENCE {
            break Some("the decoder stopped answering".to_owned());
        }
    };
    if let (Some(why), true) = (&failure, progress.frames > 0) {
        let at = progress.end().as_secs_f64();
        let why = format!("Reading stopped {at:.1} s into the video: {why}.");
        return progress.report(Some(why), true).ok_or_else(|| damaged(path, "no frame").into());
    }
    let note = shortfall(path);
    let note = note.or_else(|| {
        (warnings > 0).then(|| "Some pictures of the file are damaged and could not be decoded.".to_owned())
    });
    progress.report(note, true).ok_or_else(|| {
        if has_no_index(path) {
            FileError::Unfinished(path.to_owned())
        } else if seen.cause(&gst::glib::Error::new(gst::StreamError::Failed, "")) == Cause::NoVideo {
            FileError::NoVideo(path.to_owned())
        } else {
            damaged(path, failure.as_deref().unwrap_or("it ends before the first picture"))
        }
        .into()
    })
}

/// What can be told without GStreamer.
pub(super) fn check(path: &Path) -> Result<(), FileError> {
    let meta = std::fs::metadata(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => FileError::Missing(path.to_owned()),
        _ => FileError::Unreadable(path.to_owned(), e.to_string()),
    })?;
    if meta.is_dir() {
        return Err(FileError::Unreadable(path.to_owned(), "it is a folder".to_owned()));
    }
    if meta.len() == 0 {
        return Err(FileError::Empty(path.to_owned()));
    }
    std::fs::File::open(path).map_err(|e| FileError::Unreadable(path.to_owned(), e.to_string()))?;
    Ok(())
}

fn damaged(path: &Path, why: &str) -> FileError {
    FileError::Damaged(path.to_owned(), why.to_owned())
}

/// A pipeline that is brought down when it is left.
pub(super) struct Running(pub gst::Pipeline);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.set_state(gst::State::Null);
    }
}

/// The pictures of a file, decoded as fast as they are taken: a pipeline that is not playing yet and its sink, which holds at most
/// `ahead` of them. Software decoders get `threads` threads when given.
pub(super) fn decoded(
    path: &Path,
    seen: &Seen,
    threads: Option<i32>,
    ahead: u32,
) -> Result<(Running, gstreamer_app::AppSink), FileError> {
    check(path)?;
    super::init()?;
    let pipeline = Running(gst::Pipeline::new());
    let bin: &gst::Bin = pipeline.0.upcast_ref();
    let (target, sink) = frame_sink(bin)?;
    sink.set_property("sync", false);
    sink.set_property("max-buffers", ahead);
    read_into(bin, path, &video_decoder(&target, seen, threads)?)?;
    Ok((pipeline, sink))
}

/// What has been read so far.
#[derive(Default)]
struct Progress {
    starts_at: Timestamp,
    frames: u64,
    size: Option<(u32, u32)>,
    fps: f64,
    first: Option<Duration>,
    last: Duration,
    last_length: Option<Duration>,
    announced: Option<Duration>,
}

impl Progress {
    fn frame(&mut self, sample: &gst::Sample) -> Result<Frame, String> {
        let unusable = |why: &str| format!("a decoded picture is unusable ({why})");
        let buffer = sample.buffer_owned().ok_or_else(|| unusable("it is empty"))?;
        let caps = sample.caps().ok_or_else(|| unusable("it has no description"))?;
        let info = gst_video::VideoInfo::from_caps(caps).map_err(|e| unusable(&e.to_string()))?;
        if self.size.is_none() {
            self.size = Some((info.width(), info.height()));
            let rate = info.fps();
            self.fps = if rate.denom() > 0 { f64::from(rate.numer()) / f64::from(rate.denom()) } else { 0.0 };
        }
        let segment = sample.segment().and_then(|s| s.downcast_ref::<gst::ClockTime>());
        let position = segment.zip(buffer.pts()).and_then(|(s, pts)| s.to_stream_time(pts)).map(Duration::from);
        // Some old containers stamp only part of their pictures.
        let at = position.unwrap_or_else(|| if self.frames == 0 { Duration::ZERO } else { self.last + self.length() });
        self.last_length = buffer.duration().map(Duration::from).filter(|d| !d.is_zero());
        let frame = Frame::new(buffer, &info, self.frames, self.starts_at.plus(at), at)
            .map_err(|e| unusable(&e.to_string()))?;
        self.first.get_or_insert(at);
        self.last = at;
        self.frames += 1;
        Ok(frame)
    }

    /// How long the last frame is shown.
    fn length(&self) -> Duration {
        let nominal = || (self.fps > 0.0).then(|| Duration::from_secs_f64(1.0 / self.fps));
        self.last_length.or_else(nominal).unwrap_or_default()
    }

    /// Where the last frame ends.
    fn end(&self) -> Duration {
        self.last + self.length()
    }

    /// `None` when there was no frame. A `complete` reading is compared with the length that the file announces.
    fn report(&self, truncated: Option<String>, complete: bool) -> Option<FileReport> {
        let (width, height) = self.size.filter(|_| self.frames > 0)?;
        let duration = self.end().saturating_sub(self.first.unwrap_or_default());
        let mean = if duration.is_zero() { 0.0 } else { self.frames as f64 / duration.as_secs_f64() };
        let short = self.announced.filter(|all| {
            let missing = all.saturating_sub(self.end());
            complete && missing > Duration::from_millis(500).max(*all / 50)
        });
        let short = short.map(|all| {
            let (all, end) = (all.as_secs_f64(), self.end().as_secs_f64());
            format!("The file announces {all:.1} s, but its pictures end after {end:.1} s: it seems cut short.")
        });
        Some(FileReport {
            frames: self.frames,
            width,
            height,
            duration,
            fps_nominal: if self.fps > 0.0 { self.fps } else { mean },
            truncated: truncated.or(short),
        })
    }
}
