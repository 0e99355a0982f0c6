//! Cuts a stretch of time out of recorded files: the compressed pictures are copied as they are, from the key frame at which the
//! stretch can begin. Nothing is decoded and nothing encoded anew.
use super::{
    FileError,
    decoding::{Cause, MissingElement, Seen, chain, file_sink, make, read_into},
    file::{Running, check},
};
use crate::model::Timestamp;
use gstreamer::{self as gst, prelude::*};
use gstreamer_app::{AppSink, AppSrc};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// How long a file may take for its next picture, and a clip to be finished.
const PATIENCE: Duration = Duration::from_secs(30);
/// Files of one camera that are at most this far apart are one clip, nanoseconds.
const JOIN: i64 = 1_000_000_000;
/// Reading begins so far before the place asked for: demultiplexers get the times of the first pictures behind a jump wrong, so
/// the first group of pictures is only read to find the next.
const RUN_UP: Duration = Duration::from_secs(20);
/// The stream's time at which a clip begins, nanoseconds: some pictures are decoded before the first is shown.
const LEAD: u64 = 3_600_000_000_000;
/// At most so many bytes wait to be written.
const WAITING: u64 = 8 << 20;

/// One recorded file.
#[derive(Clone, Debug)]
pub struct Piece {
    /// Where it lies.
    pub path: PathBuf,
    /// Wall clock of its first frame: the frame at file time `t` is of `starts_at + t`.
    pub starts_at: Timestamp,
}

/// One file that was cut: MP4 for H.264 and H.265, Matroska for everything else.
#[derive(Clone, Debug, PartialEq)]
pub struct Clip {
    /// Where it lies.
    pub path: PathBuf,
    /// Wall clock of its first frame: a key frame, at or before the instant asked for where there is one.
    pub from: Timestamp,
    /// Wall clock of the end of its last frame.
    pub until: Timestamp,
    /// `h264`, `h265`, `mjpeg`, …
    pub codec: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Frames.
    pub frames: u64,
    /// Which of the pieces it was cut from, by their places in the list.
    pub pieces: Vec<usize>,
}

/// What became of a stretch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cut {
    /// The clips, in order. There are several where the camera changed its codec or picture size, and over gaps.
    pub clips: Vec<Clip>,
    /// What is wrong with the pieces: each as far as it could be used.
    pub notes: Vec<(usize, String)>,
}

/// Why nothing was cut.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ClipError {
    /// GStreamer is incomplete.
    #[error("{0}")]
    GStreamer(String),
    /// Whoever asked for it does not want it any more.
    #[error("it was cancelled")]
    Cancelled,
    /// The clip cannot be written.
    #[error("{} cannot be written: {}", .0.display(), .1)]
    Output(PathBuf, String),
}

impl From<MissingElement> for ClipError {
    fn from(error: MissingElement) -> Self {
        Self::GStreamer(error.to_string())
    }
}

/// Cuts the stretch `from..until` out of the pieces of one camera, ascending in time, into files of `folder` whose names begin
/// with `name`. A piece that is damaged is used as far as it goes, and noted. On an error files may be left in the folder.
///
/// # Errors
/// [`ClipError`].
pub fn cut(pieces: &[Piece], from: Timestamp, until: Timestamp, folder: &Path, name: &str) -> Result<Cut, ClipError> {
    cut_while(pieces, from, until, folder, name, &|| true)
}

/// Like [`cut`], as long as `goes_on`, which is asked at every picture.
///
/// # Errors
/// [`ClipError`].
pub fn cut_while(
    pieces: &[Piece],
    from: Timestamp,
    until: Timestamp,
    folder: &Path,
    name: &str,
    goes_on: &dyn Fn() -> bool,
) -> Result<Cut, ClipError> {
    super::init().map_err(|e| ClipError::GStreamer(e.to_string()))?;
    let mut cutter =
        Cutter { from: nanos(from), until: nanos(until), folder, name, cut: Cut::default(), open: None, goes_on };
    let mut ahead = None;
    for (place, piece) in pieces.iter().enumerate() {
        let opened = ahead.take().map_or_else(|| cutter.open(piece), Ok)?;
        // A file takes a while to be opened: the next one is, while this one is read.
        ahead = pieces.get(place + 1).map(|next| cutter.open(next)).transpose()?;
        if let Err(note) = cutter.piece(place, piece, opened)? {
            cutter.cut.notes.push((place, note));
        }
    }
    cutter.close()?;
    Ok(cutter.cut)
}

fn nanos(t: Timestamp) -> i64 {
    t.0.saturating_mul(1000)
}

/// One compressed picture; times are of the wall clock, in nanoseconds.
struct Packet {
    buffer: gst::Buffer,
    caps: gst::Caps,
    shown: i64,
    decoded: i64,
    length: i64,
    key: bool,
}

struct Cutter<'a> {
    from: i64,
    until: i64,
    folder: &'a Path,
    name: &'a str,
    cut: Cut,
    open: Option<Writer>,
    goes_on: &'a dyn Fn() -> bool,
}

/// A file at the place where it is wanted, and the picture that had to be read to find it; or why it cannot be read.
type Opened = Result<(Reader, Option<Packet>), FileError>;

impl Cutter<'_> {
    /// Opens a piece where the stretch needs it.
    fn open(&self, piece: &Piece) -> Result<Opened, ClipError> {
        let into = Duration::from_nanos(u64::try_from(self.from - nanos(piece.starts_at)).unwrap_or(0));
        Reader::jump(piece, into, self.from)
    }

    /// Takes what the stretch needs of a piece; `Ok(Err)` says how far it could be used.
    fn piece(&mut self, place: usize, piece: &Piece, opened: Opened) -> Result<Result<(), String>, ClipError> {
        let (mut reader, mut first) = match opened {
            Ok(opened) => opened,
            Err(why) => return Ok(Err(why.to_string())),
        };
        // The group of pictures in which the stretch begins; a stretch that goes on from the piece before begins at once.
        let (mut group, mut begun): (Vec<Packet>, bool) = (Vec::new(), false);
        let (mut latest, mut end) = (None, None);
        let trouble = loop {
            if !(self.goes_on)() {
                return Err(ClipError::Cancelled);
            }
            let packet = match first.take().map_or_else(|| reader.next(), |packet| Ok(Some(packet))) {
                Ok(Some(packet)) => packet,
                Ok(None) => break None,
                Err(why) => break Some((why, end)),
            };
            // Pictures that are shown before others that were decoded first still belong to the stretch.
            let behind = latest.is_none_or(|latest| packet.shown > latest);
            if behind && end.unwrap_or(packet.shown) >= self.until {
                break None;
            }
            latest = latest.max(Some(packet.shown));
            end = end.max(Some(packet.shown + packet.length));
            if !begun {
                if packet.key && packet.shown <= self.from {
                    group.clear();
                }
                begun = packet.shown + packet.length > self.from;
                if !group.is_empty() || packet.key {
                    group.push(packet);
                }
                if begun && !group.is_empty() {
                    for packet in std::mem::take(&mut group) {
                        self.packet(place, packet)?;
                    }
                }
                begun = begun && self.open.is_some();
                continue;
            }
            self.packet(place, packet)?;
        };
        Ok(trouble.map_or(Ok(()), |(why, end)| {
            let into = end.map_or(0.0, |end| (end - nanos(piece.starts_at)) as f64 / 1e9);
            Err(format!("damaged {into:.1} s into it ({why}); the rest could not be read"))
        }))
    }

    fn packet(&mut self, place: usize, packet: Packet) -> Result<(), ClipError> {
        let goes_on = self.open.as_ref().is_some_and(|w| {
            same_stream(&w.caps, &packet.caps) && packet.decoded > w.last_decoded && packet.shown - w.end <= JOIN
        });
        if !goes_on {
            if !packet.key {
                return Ok(()); // not to be understood without the key frame before it
            }
            self.close()?;
            self.open = Some(Writer::open(self.folder, self.name, self.cut.clips.len() + 1, &packet)?);
        }
        match &mut self.open {
            Some(writer) => writer.push(place, packet),
            None => Ok(()),
        }
    }

    fn close(&mut self) -> Result<(), ClipError> {
        if let Some(writer) = self.open.take() {
            self.cut.clips.push(writer.finish()?);
        }
        Ok(())
    }
}

/// Whether one file can hold both.
fn same_stream(a: &gst::Caps, b: &gst::Caps) -> bool {
    let (Some(a), Some(b)) = (a.structure(0), b.structure(0)) else { return false };
    let size = |s: &gst::StructureRef, field: &str| s.get::<i32>(field).ok();
    let data = |s: &gst::StructureRef| {
        let buffer = s.get::<gst::Buffer>("codec_data").ok()?;
        buffer.map_readable().ok().map(|map| map.to_vec())
    };
    a.name() == b.name() && ["width", "height"].iter().all(|f| size(a, f) == size(b, f)) && data(a) == data(b)
}

/// The compressed pictures of a file, in the order in which they are decoded.
struct Reader {
    pipeline: Running,
    bus: gst::Bus,
    sink: AppSink,
    seen: Seen,
    path: PathBuf,
    starts_at: i64,
}

impl Reader {
    /// Opens the file at a key frame that is shown at `from` or before, if it can; `into` is how far into it that is. Returns
    /// that frame, too, where it had to be read.
    fn jump(piece: &Piece, into: Duration, from: i64) -> Result<Opened, ClipError> {
        if into > 2 * RUN_UP {
            let mut reader = match Self::open(piece, into - RUN_UP)? {
                Ok(reader) => reader,
                Err(why) => return Ok(Err(why)),
            };
            let mut keys = 0;
            while let Ok(Some(packet)) = reader.next() {
                keys += u32::from(packet.key);
                if packet.shown > from {
                    break; // the next key frame is too late
                }
                if keys == 2 {
                    return Ok(Ok((reader, Some(packet))));
                }
            }
        }
        Ok(Self::open(piece, Duration::ZERO)?.map(|reader| (reader, None)))
    }

    fn open(piece: &Piece, into: Duration) -> Result<Result<Self, FileError>, ClipError> {
        if let Err(error) = check(&piece.path) {
            return Ok(Err(error));
        }
        let pipeline = Running(gst::Pipeline::new());
        let bin: &gst::Bin = pipeline.0.upcast_ref();
        let parser = make("parsebin")?;
        read_into(bin, &piece.path, &parser)?;
        let sink = AppSink::builder().sync(false).max_buffers(64).build();
        bin.add(&sink).map_err(|_| MissingElement("appsink".to_owned()))?;
        let (seen, target, weak) = (Seen::default(), sink.clone(), pipeline.0.downgrade());
        let noted = seen.clone();
        parser.connect_pad_added(move |_, pad| {
            let Some(pipeline) = weak.upgrade() else { return };
            let media = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
            let media = media.structure(0).map(|s| s.name().to_string()).unwrap_or_default();
            let ours = (media.starts_with("video/") || media.starts_with("image/"))
                && target.static_pad("sink").is_some_and(|pad| !pad.is_linked());
            if ours {
                noted.note_video();
            } else {
                noted.note_other();
            }
            let linked = if ours { link(&pipeline, pad, &media, &target) } else { ignore(&pipeline, pad) };
            if let Err(error) = linked {
                tracing::warn!(%error, "a stream of a recorded file could not be linked");
            }
        });
        let bus =
            pipeline.0.bus().ok_or_else(|| ClipError::GStreamer("GStreamer's pipeline has no bus.".to_owned()))?;
        let reader = Self { pipeline, bus, sink, seen, path: piece.path.clone(), starts_at: nanos(piece.starts_at) };
        if !into.is_zero() {
            let _ = reader.pipeline.0.set_state(gst::State::Paused);
            let (ready, ..) = reader.pipeline.0.state(gst::ClockTime::try_from(PATIENCE).ok());
            let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::KEY_UNIT | gst::SeekFlags::SNAP_BEFORE;
            if let (Ok(_), Ok(to)) = (ready, gst::ClockTime::try_from(into)) {
                let _ = reader.pipeline.0.seek_simple(flags, to); // else it is read from its start
            }
        }
        let _ = reader.pipeline.0.set_state(gst::State::Playing);
        Ok(Ok(reader))
    }

    fn next(&mut self) -> Result<Option<Packet>, String> {
        let step = Duration::from_millis(50);
        let mut idle = Duration::ZERO;
        loop {
            if let Some(sample) = self.sink.try_pull_sample(gst::ClockTime::try_from(step).ok()) {
                if let Some(packet) = self.packet(&sample) {
                    return Ok(Some(packet));
                }
                continue;
            }
            while let Some(message) = self.bus.pop() {
                self.seen.note_message(&message);
                if let gst::MessageView::Error(error) = message.view() {
                    return Err(match self.seen.cause(&error.error()) {
                        Cause::MissingPlugin(name) => FileError::MissingPlugin(self.path.clone(), name).to_string(),
                        Cause::NoVideo => FileError::NoVideo(self.path.clone()).to_string(),
                        Cause::NotMedia => FileError::NotVideo(self.path.clone()).to_string(),
                        _ => error.error().message().trim_end_matches('.').to_owned(),
                    });
                }
            }
            if self.sink.is_eos() {
                return Ok(None);
            }
            idle += step;
            if idle > PATIENCE {
                return Err("reading it stopped".to_owned());
            }
        }
    }

    fn packet(&self, sample: &gst::Sample) -> Option<Packet> {
        let (buffer, caps) = (sample.buffer_owned()?, sample.caps_owned()?);
        let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?.clone();
        let stamp = buffer.pts().or(buffer.dts())?;
        let nanoseconds = |t: gst::ClockTime| i64::try_from(t.nseconds()).unwrap_or(i64::MAX);
        let shown = self.starts_at.saturating_add(nanoseconds(segment.to_stream_time(stamp)?));
        let decoded = shown - buffer.dts().map_or(0, |dts| nanoseconds(stamp) - nanoseconds(dts));
        Some(Packet {
            shown,
            decoded,
            length: buffer.duration().map_or(0, nanoseconds),
            key: !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT),
            buffer,
            caps,
        })
    }
}

/// Puts between parser and sink what makes the stream fit into a container, without touching a picture: H.264 and H.265 with
/// their headers apart, and with the times of decoding that Matroska does not keep.
fn link(pipeline: &gst::Pipeline, pad: &gst::Pad, media: &str, sink: &AppSink) -> Result<(), MissingElement> {
    let (elements, form): (&[&str], _) = match media {
        "video/x-h264" => (&["h264parse", "h264timestamper", "capsfilter"], Some("avc")),
        "video/x-h265" => (&["h265parse", "h265timestamper", "capsfilter"], Some("hvc1")),
        _ => (&["identity"], None),
    };
    let elements: Vec<gst::Element> = elements.iter().map(|name| make(name)).collect::<Result<_, _>>()?;
    if let (Some(form), Some(filter)) = (form, elements.last()) {
        let caps = gst::Caps::builder(media).field("stream-format", form).field("alignment", "au").build();
        filter.set_property("caps", caps);
    }
    let fault = || MissingElement(media.to_owned());
    chain(pipeline.upcast_ref(), &elements.iter().collect::<Vec<_>>())?;
    elements.last().ok_or_else(fault)?.link(sink).map_err(|_| fault())?;
    for element in &elements {
        let _ = element.sync_state_with_parent();
    }
    let first = elements.first().and_then(|e| e.static_pad("sink")).ok_or_else(fault)?;
    pad.link(&first).map(drop).map_err(|_| fault())
}

fn ignore(pipeline: &gst::Pipeline, pad: &gst::Pad) -> Result<(), MissingElement> {
    let sink = make("fakesink")?;
    sink.set_property("sync", false);
    sink.set_property("async", false);
    chain(pipeline.upcast_ref(), &[&sink])?;
    let _ = sink.sync_state_with_parent();
    let fault = || MissingElement("fakesink".to_owned());
    pad.link(&sink.static_pad("sink").ok_or_else(fault)?).map(drop).map_err(|_| fault())
}

/// A clip that is being written.
struct Writer {
    pipeline: Running,
    bus: gst::Bus,
    source: AppSrc,
    caps: gst::Caps,
    segment: gst::FormattedSegment<gst::ClockTime>,
    /// When its first frame is shown, which is the file's time zero; pictures that lead it need what was before and are left out.
    first: i64,
    last_decoded: i64,
    end: i64,
    clip: Clip,
}

impl Writer {
    fn open(folder: &Path, name: &str, number: usize, first: &Packet) -> Result<Self, ClipError> {
        let structure = first.caps.structure(0);
        let media = structure.map(|s| s.name().as_str()).unwrap_or_default();
        let size = |field: &str| structure.and_then(|s| s.get::<i32>(field).ok()).and_then(|v| u32::try_from(v).ok());
        let (codec, muxer, ending) = match media {
            "video/x-h264" => ("h264", "mp4mux", "mp4"),
            "video/x-h265" => ("h265", "mp4mux", "mp4"),
            "image/jpeg" => ("mjpeg", "matroskamux", "mkv"),
            other => (other.rsplit_once("x-").map_or(other, |(_, codec)| codec), "matroskamux", "mkv"),
        };
        let path = folder.join(format!("{name}-{number}.{ending}"));
        let pipeline = Running(gst::Pipeline::new());
        let source = AppSrc::builder().caps(&first.caps).format(gst::Format::Time).handle_segment_change(true).build();
        let mut segment = gst::FormattedSegment::new();
        segment.set_start(gst::ClockTime::from_nseconds(LEAD));
        let sink = file_sink(&path)?;
        let mux = make(muxer)?;
        chain(pipeline.0.upcast_ref(), &[&mux, &sink])?;
        let refused = |_| MissingElement(muxer.to_owned());
        pipeline.0.add(&source).map_err(refused)?;
        source.link_pads(None, &mux, Some("video_%u")).map_err(refused)?;
        let bus =
            pipeline.0.bus().ok_or_else(|| ClipError::GStreamer("GStreamer's pipeline has no bus.".to_owned()))?;
        let _ = pipeline.0.set_state(gst::State::Playing);
        let clip = Clip {
            path,
            from: Timestamp(first.shown.div_euclid(1000)),
            until: Timestamp(0),
            codec: codec.to_owned(),
            width: size("width").unwrap_or_default(),
            height: size("height").unwrap_or_default(),
            frames: 0,
            pieces: Vec::new(),
        };
        Ok(Self {
            pipeline,
            bus,
            source,
            caps: first.caps.clone(),
            segment,
            first: first.shown,
            last_decoded: i64::MIN,
            end: first.shown,
            clip,
        })
    }

    fn push(&mut self, place: usize, packet: Packet) -> Result<(), ClipError> {
        let Packet { mut buffer, shown, decoded, length, .. } = packet;
        if shown < self.first {
            return Ok(());
        }
        let time = |wall| LEAD.checked_add_signed(wall - self.first).map(gst::ClockTime::from_nseconds);
        {
            let buffer = buffer.make_mut();
            buffer.set_pts(time(shown));
            buffer.set_dts(time(decoded));
        }
        while self.source.current_level_bytes() > WAITING {
            self.trouble()?;
            std::thread::sleep(Duration::from_millis(2));
        }
        let sample = gst::Sample::builder().buffer(&buffer).caps(&self.caps).segment(&self.segment).build();
        if self.source.push_sample(&sample).is_err() {
            self.trouble()?;
            return Err(ClipError::Output(self.clip.path.clone(), "it does not take any more".to_owned()));
        }
        let known = if length > 0 { length } else { (shown - self.end).max(0) };
        self.end = self.end.max(shown + known);
        self.last_decoded = decoded;
        self.clip.frames += 1;
        if self.clip.pieces.last() != Some(&place) {
            self.clip.pieces.push(place);
        }
        Ok(())
    }

    /// What the container's writer complains of, if anything.
    fn trouble(&self) -> Result<(), ClipError> {
        while let Some(message) = self.bus.pop_filtered(&[gst::MessageType::Error]) {
            if let gst::MessageView::Error(error) = message.view() {
                return Err(ClipError::Output(self.clip.path.clone(), error.error().message().to_owned()));
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Clip, ClipError> {
        let _ = self.source.end_of_stream();
        let wanted = [gst::MessageType::Eos, gst::MessageType::Error];
        match self.bus.timed_pop_filtered(gst::ClockTime::try_from(PATIENCE).ok(), &wanted) {
            Some(message) => {
                if let gst::MessageView::Error(error) = message.view() {
                    return Err(ClipError::Output(self.clip.path, error.error().message().to_owned()));
                }
            }
            None => return Err(ClipError::Output(self.clip.path, "writing it stopped".to_owned())),
        }
        let _ = self.pipeline.0.set_state(gst::State::Null);
        self.clip.until = Timestamp(self.end.div_euclid(1000));
        Ok(self.clip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::video::{read_file, tests::launch};
    use std::{hash::Hasher as _, ops::ControlFlow};

    const START: Timestamp = Timestamp(1_795_356_202_000_000);
    const H264: &str = "x264enc speed-preset=ultrafast key-int-max=25 bframes=0 threads=1 ! h264parse";
    const H264_B: &str = "x264enc speed-preset=veryfast key-int-max=25 bframes=2 threads=1 ! h264parse";
    const H265: &str =
        "x265enc speed-preset=ultrafast key-int-max=25 option-string=bframes=2:log-level=none ! h265parse";
    const MJPEG: &str = "jpegenc ! jpegparse";

    fn at(seconds: f64) -> Timestamp {
        Timestamp(START.0 + (seconds * 1e6) as i64)
    }

    /// `frames` pictures, 25 a second, of a ball that moves.
    fn footage(folder: &Path, name: &str, frames: u32, size: (u32, u32), encoder: &str, muxer: &str) -> PathBuf {
        let path = folder.join(name);
        launch(&format!(
            "videotestsrc num-buffers={frames} pattern=ball ! \
             video/x-raw,format=I420,width={},height={},framerate=25/1 ! {encoder} ! {muxer} ! \
             filesink location=\"{}\"",
            size.0,
            size.1,
            path.display()
        ));
        path
    }

    /// The time in the file and a hash of the pixels of every frame.
    fn frames(path: &Path) -> Vec<(f64, u64)> {
        let mut frames = Vec::new();
        read_file(path, |frame| {
            let mut hash = std::hash::DefaultHasher::new();
            for plane in frame.planes() {
                plane
                    .data
                    .chunks(plane.stride)
                    .for_each(|row| hash.write(&row[..row.len().min(frame.width() as usize / 2)]));
            }
            frames.push((frame.stream_time().as_secs_f64(), hash.finish()));
            ControlFlow::Continue(())
        })
        .unwrap();
        frames
    }

    /// The clip's frames are those of the original that begin at `from`, at the same distances.
    fn assert_part(clip: &Clip, original: &[(f64, u64)], original_starts: Timestamp) {
        let cut = frames(&clip.path);
        assert_eq!(cut.len() as u64, clip.frames, "{clip:?}");
        let from = clip.from.seconds_since(original_starts);
        let first = original.iter().position(|(t, _)| (t - from).abs() < 0.003).expect("begins at a frame");
        for ((t, pixels), (t0, pixels0)) in cut.iter().zip(&original[first..]) {
            assert_eq!(pixels, pixels0, "the frame at {t}");
            let (here, there) = (t - cut[0].0, t0 - original[first].0);
            assert!((here - there).abs() < 0.003, "{here} against {there}");
        }
        assert!(cut.len() <= original.len() - first);
    }

    #[test]
    fn a_clip_holds_the_very_frames_of_its_stretch_in_every_codec() {
        let dir = tempfile::tempdir().unwrap();
        for (name, encoder, muxer, codec) in [
            ("a.mkv", H264, "matroskamux", "h264"),
            ("b.mp4", H264_B, "mp4mux", "h264"),
            ("b.mkv", H264_B, "matroskamux", "h264"),
            ("c.mkv", H265, "matroskamux", "h265"),
            ("d.avi", MJPEG, "avimux", "mjpeg"),
            ("e.ts", H264_B, "mpegtsmux", "h264"),
        ] {
            let file = footage(dir.path(), name, 250, (160, 120), encoder, muxer);
            let original = frames(&file);
            let piece = Piece { path: file, starts_at: START };
            let out = tempfile::tempdir().unwrap();
            let cut = cut(&[piece], at(3.3), at(6.6), out.path(), "gate").unwrap();
            assert_eq!((cut.clips.len(), &cut.notes), (1, &Vec::new()), "{name}: {cut:?}");
            let clip = &cut.clips[0];
            assert_eq!((clip.codec.as_str(), clip.width, clip.height), (codec, 160, 120), "{name}");
            assert!(clip.from <= at(3.3) && clip.from >= at(2.2), "{name}: {clip:?}");
            assert!(clip.until >= at(6.59) && clip.until <= at(7.0), "{name}: {clip:?}");
            assert_part(clip, &original, START);
        }
    }

    #[test]
    fn segments_become_one_clip_and_a_change_of_codec_or_a_gap_begins_another() {
        let dir = tempfile::tempdir().unwrap();
        let small = (160, 120);
        let file = |name: &str, size, encoder| footage(dir.path(), name, 50, size, encoder, "matroskamux");
        let a = file("a.mkv", small, H264);
        let pieces = [
            (a.clone(), 0.0),
            (a.clone(), 2.0),
            (file("c.mkv", small, H265), 4.0),
            (file("d.mkv", (192, 144), H265), 6.0),
            (file("e.mkv", (192, 144), H265), 20.0),
        ]
        .map(|(path, starts)| Piece { path, starts_at: at(starts) });
        let cut = cut(&pieces, at(1.2), at(21.0), dir.path(), "clip").unwrap();
        let of: Vec<_> = cut.clips.iter().map(|c| (c.codec.as_str(), c.width, c.pieces.clone())).collect();
        let expected =
            [("h264", 160, vec![0, 1]), ("h265", 160, vec![2]), ("h265", 192, vec![3]), ("h265", 192, vec![4])];
        assert_eq!(of, expected);
        assert_eq!(cut.notes, []);
        let mut both = frames(&a);
        both.extend(frames(&a).into_iter().map(|(t, pixels)| (t + 2.0, pixels)));
        assert_part(&cut.clips[0], &both, START);
        assert_eq!(cut.clips[0].from, at(1.0));
        assert!((cut.clips[0].until.seconds_since(at(4.0))).abs() < 0.01, "{:?}", cut.clips[0]);
    }

    #[test]
    fn a_damaged_piece_is_used_as_far_as_it_goes_and_an_unreadable_one_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let whole = footage(dir.path(), "whole.mkv", 100, (160, 120), H264, "matroskamux");
        let bytes = std::fs::read(&whole).unwrap();
        let (half, none) = (dir.path().join("half.mkv"), dir.path().join("none.mkv"));
        std::fs::write(&half, &bytes[..bytes.len() / 2]).unwrap();
        std::fs::write(&none, "minutes of the meeting").unwrap();
        let gone = dir.path().join("gone.mkv");
        let pieces: Vec<_> = [half, none, gone, whole]
            .into_iter()
            .zip([0.0, 4.0, 8.0, 12.0])
            .map(|(path, starts)| Piece { path, starts_at: at(starts) })
            .collect();
        let cut = cut(&pieces, at(0.0), at(16.0), dir.path(), "clip").unwrap();
        assert_eq!(cut.clips.len(), 2, "{cut:?}");
        assert!(cut.clips[0].frames > 20 && cut.clips[0].frames < 80, "{cut:?}");
        assert_eq!((cut.clips[1].frames, cut.clips[1].from), (100, at(12.0)));
        let noted: Vec<_> = cut.notes.iter().map(|(place, _)| *place).collect();
        assert!(noted.ends_with(&[1, 2]), "{cut:?}");
    }

    #[test]
    fn a_stretch_deep_in_a_long_file_and_one_without_video() {
        let dir = tempfile::tempdir().unwrap();
        let file = footage(dir.path(), "long.mp4", 1500, (64, 48), H264_B, "mp4mux");
        let original = frames(&file);
        let piece = [Piece { path: file, starts_at: START }];
        let deep = cut(&piece, at(50.5), at(52.0), dir.path(), "deep").unwrap();
        assert_eq!(deep.clips.len(), 1);
        assert!(deep.clips[0].from <= at(50.5) && deep.clips[0].from > at(49.0), "{deep:?}");
        assert_part(&deep.clips[0], &original, START);
        assert_eq!(cut(&piece, at(70.0), at(80.0), dir.path(), "after").unwrap().clips, []);
        assert_eq!(cut(&piece, at(-9.0), at(-1.0), dir.path(), "before").unwrap().clips, []);
        let looked = std::cell::Cell::new(0);
        let a_while = || looked.replace(looked.get() + 1) < 20;
        let cancelled = cut_while(&piece, at(0.0), at(60.0), dir.path(), "cancelled", &a_while);
        assert!(matches!(cancelled, Err(ClipError::Cancelled)), "{cancelled:?}");
        let refused = cut(&piece, at(1.0), at(2.0), &dir.path().join("no folder"), "x").unwrap_err().to_string();
        assert!(refused.contains("cannot be written"), "{refused}");
    }
}
