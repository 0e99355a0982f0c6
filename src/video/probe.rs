//! What a video file is, before anybody works on it: container, codec, size, how long it really is, and when it was recorded
//! where it says so.
use super::{
    FileError, Frame,
    decoding::{Seen, make, read_into},
    file::{Running, check, read_file},
    heads::shortfall,
};
use crate::model::Timestamp;
use gstreamer::{self as gst, prelude::*};
use std::{
    ops::ControlFlow,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long reading may stand still before the file is given up.
const PATIENCE: Duration = Duration::from_secs(20);
/// No camera recorded anything before 1990: an earlier creation time is a clock that was never set.
pub const FIRST_BELIEVABLE: Timestamp = Timestamp(631_152_000_000_000);

/// A video file as it was found.
#[derive(Clone)]
pub struct Probe {
    /// Container: `mp4`, `quicktime`, `matroska`, `webm`, `avi`, `mpegts`, `mpegps`, `ogg`, `flv`, `asf`, …
    pub container: String,
    /// Codec of the pictures: `h264`, `h265`, `mjpeg`, `vp8`, `vp9`, `av1`, `mpeg2`, `mpeg4`, `raw`, …
    pub codec: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// From the first picture to the end of the last one that is there, whatever the file announces.
    pub duration: Duration,
    /// Where in the file the first picture is: not at its beginning where somebody cut it, or sound began before.
    pub begin: Duration,
    /// Where in the file the last picture ends: later than `duration` where the first picture is not at its beginning.
    pub end: Duration,
    /// Pictures.
    pub frames: u64,
    /// When it was made, where the file says so.
    pub created_at: Option<Timestamp>,
    /// Why there may be less in it than there was once, one sentence; `None` for a file that is whole.
    pub damage: Option<String>,
    /// The first picture.
    pub first: Frame,
}

/// Looks at a file. Its first picture is decoded, the rest is read through without decoding, so that its length is that of
/// what is there.
///
/// # Errors
/// When no picture can be had from it, with the reason.
pub fn probe(path: &Path) -> Result<Probe, FileError> {
    check(path)?;
    let mut first = None;
    read_file(path, |frame| {
        first = Some(frame);
        ControlFlow::Break(())
    })?;
    let first = first.ok_or_else(|| FileError::Damaged(path.to_owned(), "no frame".to_owned()))?;
    let read = match read_through(path)? {
        read if read.frames > 0 => read,
        // It can be decoded, but not taken apart: decoding all of it tells how long it is.
        read => {
            let report = read_file(path, |_| ControlFlow::Continue(()))?;
            Read {
                frames: report.frames,
                first: Some(Duration::ZERO),
                end: report.duration,
                damage: report.truncated,
                ..read
            }
        }
    };
    let duration = read.end.saturating_sub(read.first.unwrap_or_default());
    let short = read.announced.filter(|all| all.saturating_sub(read.end) > Duration::from_millis(500).max(*all / 50));
    let short = short.map(|all| {
        let (all, end) = (all.as_secs_f64(), read.end.as_secs_f64());
        format!("The file announces {all:.1} s, but its pictures end after {end:.1} s: it seems cut short.")
    });
    let several = (read.videos > 1).then(|| {
        let (n, width, height) = (read.videos, first.width(), first.height());
        format!("The file holds {n} videos; only the first ({width}×{height}) is used.")
    });
    let bare = matches!(read.container.as_deref(), Some("h264" | "h265"));
    let assumed = bare.then(|| {
        let rate = if read.fps > 0.0 {
            format!("the {:.3} a second that the stream states", read.fps)
        } else {
            "25 a second".to_owned()
        };
        format!("The file holds pictures without times: {rate} are assumed.")
    });
    let told: Vec<String> =
        shortfall(path).or(short).or(read.damage).into_iter().chain(several).chain(assumed).collect();
    Ok(Probe {
        container: read.container.unwrap_or_else(|| "unknown".to_owned()),
        codec: read.codec.unwrap_or_else(|| "unknown".to_owned()),
        width: first.width(),
        height: first.height(),
        duration,
        begin: read.first.unwrap_or_default(),
        end: read.end,
        frames: read.frames,
        created_at: read.created_at,
        damage: (!told.is_empty()).then(|| told.join(" ")),
        first,
    })
}

/// The containers that can be kept, each with the usual ending of its files; `h264` and `h265` are pictures alone, without one.
pub const ENDINGS: [(&str, &str); 14] = [
    ("mp4", "mp4"),
    ("quicktime", "mov"),
    ("matroska", "mkv"),
    ("webm", "webm"),
    ("avi", "avi"),
    ("mpegts", "ts"),
    ("mpegps", "mpg"),
    ("ogg", "ogv"),
    ("flv", "flv"),
    ("asf", "wmv"),
    ("yuv4mpeg", "y4m"),
    ("h264", "264"),
    ("h265", "265"),
    ("dhav", "dav"),
];

/// The usual ending of a file of this container; `None` for one that is not known here.
pub fn extension(container: &str) -> Option<&'static str> {
    ENDINGS.iter().find(|(known, _)| *known == container).map(|(_, ending)| *ending)
}

/// What reading through has shown so far.
#[derive(Clone, Default)]
struct Read {
    container: Option<String>,
    codec: Option<String>,
    /// Streams of pictures.
    videos: usize,
    frames: u64,
    first: Option<Duration>,
    end: Duration,
    fps: f64,
    announced: Option<Duration>,
    created_at: Option<Timestamp>,
    damage: Option<String>,
}

impl Read {
    fn take(&mut self, segment: &gst::FormattedSegment<gst::ClockTime>, buffer: &gst::BufferRef) {
        let shown = buffer.duration().map(Duration::from).filter(|d| !d.is_zero());
        let shown =
            shown.or_else(|| (self.fps > 0.0).then(|| Duration::from_secs_f64(1.0 / self.fps))).unwrap_or_default();
        let at = buffer.pts().or(buffer.dts()).and_then(|t| segment.to_stream_time(t)).map(Duration::from);
        let at = at.unwrap_or(self.end); // some old containers stamp only part of their pictures
        self.frames += 1;
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.end = self.end.max(at + shown);
    }
}

/// Takes the file apart without decoding anything: `filesrc ! parsebin`.
fn read_through(path: &Path) -> Result<Read, FileError> {
    super::init()?;
    let read: Arc<Mutex<Read>> = Arc::default();
    let update = |change: &dyn Fn(&mut Read)| change(&mut read.lock().unwrap_or_else(PoisonError::into_inner));
    let pipeline = Running(gst::Pipeline::new());
    let bin: &gst::Bin = pipeline.0.upcast_ref();
    let parse = make("parsebin")?;
    let container = read_into(bin, path, &parse)?;
    update(&|r| r.container = container.map(str::to_owned));
    // What it finds out first is the container.
    if let Some(find) = parse.downcast_ref::<gst::Bin>().and_then(|bin| bin.by_name("typefind")) {
        let found = Arc::clone(&read);
        find.connect("have-type", false, move |values| {
            let caps = values.get(2).and_then(|v| v.get::<gst::Caps>().ok());
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            found.container = container.map(str::to_owned).or_else(|| caps.as_ref().and_then(container_of));
            None
        });
    }
    let (weak, parsed) = (pipeline.0.downgrade(), Arc::clone(&read));
    parse.connect_pad_added(move |_, pad| {
        let Some(pipeline) = weak.upgrade() else { return };
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let codec = caps.structure(0).and_then(codec_of);
        parsed.lock().unwrap_or_else(PoisonError::into_inner).videos += usize::from(codec.is_some());
        // The first video stream is the one that counts; the others flow away unlooked at.
        let first = codec.is_some() && parsed.lock().unwrap_or_else(PoisonError::into_inner).codec.is_none();
        if first {
            watch(pad, codec, &caps, &parsed);
        }
        let Ok(sink) = make("fakesink") else { return };
        sink.set_property("sync", false);
        sink.set_property("async", false);
        let linked = pipeline.add(&sink).is_ok() && sink.sync_state_with_parent().is_ok();
        if let Some(target) = sink.static_pad("sink").filter(|_| linked)
            && let Err(error) = pad.link(&target)
        {
            tracing::warn!(%error, "a stream of the file could not be read through");
        }
    });
    let bus = pipeline.0.bus().ok_or_else(|| FileError::GStreamer("GStreamer's pipeline has no bus.".to_owned()))?;
    let _ = pipeline.0.set_state(gst::State::Playing);
    let seen = Seen::default();
    let (mut frames, mut moved) = (0, Instant::now());
    loop {
        let message = bus.timed_pop(gst::ClockTime::from_mseconds(50));
        let now = read.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if now.announced.is_none() && now.frames > 0 {
            let all = pipeline.0.query_duration::<gst::ClockTime>().map(Duration::from);
            update(&|r| r.announced = Some(all.unwrap_or_default()));
        }
        if now.frames != frames {
            (frames, moved) = (now.frames, Instant::now());
        } else if moved.elapsed() > PATIENCE {
            update(&|r| r.damage = Some(format!("Reading stopped {:.1} s into the video.", r.end.as_secs_f64())));
            break;
        }
        let Some(message) = message else { continue };
        seen.note_message(&message);
        match message.view() {
            gst::MessageView::Tag(tag) => {
                let made = tag.tags().get::<gst::tags::DateTime>().and_then(|t| instant(&t.get()));
                if made.is_some() {
                    update(&|r| r.created_at = r.created_at.or(made));
                }
            }
            gst::MessageView::Eos(_) => break,
            gst::MessageView::Error(_) => {
                let at = now.end.as_secs_f64();
                let why = format!("The file is damaged {at:.1} s into the video; the rest could not be read.");
                update(&|r| r.damage = Some(why.clone()));
                break;
            }
            _ => {}
        }
    }
    drop(pipeline);
    let read = read.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(Read { announced: read.announced.filter(|all| !all.is_zero()), ..read })
}

/// Counts the pictures that come out of a parser's pad.
fn watch(pad: &gst::Pad, codec: Option<String>, caps: &gst::Caps, read: &Arc<Mutex<Read>>) {
    let rate = caps.structure(0).and_then(|s| s.get::<gst::Fraction>("framerate").ok());
    {
        let mut read = read.lock().unwrap_or_else(PoisonError::into_inner);
        read.codec = codec;
        read.fps = rate.filter(|r| r.denom() > 0).map_or(0.0, |r| f64::from(r.numer()) / f64::from(r.denom()));
    }
    let counted = Arc::clone(read);
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        let segment = pad.sticky_event::<gst::event::Segment>(0).map(|e| e.segment().clone());
        let segment = segment.and_then(|s| s.downcast::<gst::ClockTime>().ok());
        // What the stream is may be known only now.
        if let Some(codec) = pad.current_caps().and_then(|caps| caps.structure(0).and_then(codec_of)) {
            counted.lock().unwrap_or_else(PoisonError::into_inner).codec = Some(codec);
        }
        if let (Some(segment), Some(buffer)) = (segment, info.buffer()) {
            let mut read = counted.lock().unwrap_or_else(PoisonError::into_inner);
            // Headers are no pictures; those of H.264 and H.265 come with one.
            let with_picture = matches!(read.codec.as_deref(), Some("h264" | "h265"));
            if with_picture || !buffer.flags().contains(gst::BufferFlags::HEADER) || buffer.pts().is_some() {
                read.take(&segment, buffer);
            }
        }
        gst::PadProbeReturn::Ok
    });
}

/// The short name of a container.
fn container_of(caps: &gst::Caps) -> Option<String> {
    let structure = caps.structure(0)?;
    let variant = structure.get::<String>("variant").unwrap_or_default();
    Some(match structure.name().as_str() {
        "video/quicktime" if variant.is_empty() || variant == "apple" => "quicktime".to_owned(),
        "video/quicktime" => "mp4".to_owned(),
        "video/x-matroska" => "matroska".to_owned(),
        "video/webm" => "webm".to_owned(),
        "video/x-msvideo" => "avi".to_owned(),
        "video/mpegts" => "mpegts".to_owned(),
        "video/mpeg" => "mpegps".to_owned(),
        "application/ogg" => "ogg".to_owned(),
        "video/x-flv" => "flv".to_owned(),
        "video/x-ms-asf" => "asf".to_owned(),
        "application/x-yuv4mpeg" => "yuv4mpeg".to_owned(),
        other => short(other),
    })
}

/// The short name of a codec; `None` for sound, text and data.
fn codec_of(structure: &gst::StructureRef) -> Option<String> {
    Some(match structure.name().as_str() {
        "image/jpeg" => "mjpeg".to_owned(),
        // What is not said is not known.
        "video/mpeg" => structure.get::<i32>("mpegversion").map_or_else(|_| "mpeg".to_owned(), |v| format!("mpeg{v}")),
        "video/x-divx" | "video/x-xvid" => "mpeg4".to_owned(),
        "video/x-raw" => "raw".to_owned(),
        name if name.starts_with("video/") || name.starts_with("image/") => short(name),
        _ => return None,
    })
}

/// `video/x-h264` is `h264`.
fn short(media: &str) -> String {
    let name = media.split_once('/').map_or(media, |(_, name)| name);
    name.strip_prefix("x-").unwrap_or(name).to_owned()
}

fn instant(made: &gst::DateTime) -> Option<Timestamp> {
    // Only a date says too little about when the video starts.
    if !made.has_time() {
        return None;
    }
    let made = Timestamp(made.to_g_date_time().ok()?.to_unix().checked_mul(1_000_000)?);
    (made >= FIRST_BELIEVABLE).then_some(made)
}

#[cfg(test)]
mod tests;
