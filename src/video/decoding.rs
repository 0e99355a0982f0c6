//! The part every reader shares: whatever comes in is decoded by the best decoder GStreamer has, and what goes wrong on
//! the way is told apart.
use super::{dhav::Dhav, program_stream};
use gstreamer::{self as gst, prelude::*};
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;
use std::{
    fs::File,
    io::BufReader,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// The widest pixels there are, and as many times higher than wide the highest: those of 352×576 shown at 16:9 are 2.9 (ITU-R BT.601).
const WIDEST_PIXEL: f64 = 4.0;

/// An element of GStreamer that is not installed, or two that do not fit together.
#[derive(Debug, Clone, thiserror::Error)]
#[error("GStreamer's element {0} is missing. Install the package that brings it (`vigia doctor` lists them).")]
pub(super) struct MissingElement(pub String);

/// Makes an element.
pub(super) fn make(factory: &str) -> Result<gst::Element, MissingElement> {
    gst::ElementFactory::make(factory).build().map_err(|_| MissingElement(factory.to_owned()))
}

/// Reads a file, whatever bytes its name is made of.
pub(super) fn file_source(path: &Path) -> Result<gst::Element, MissingElement> {
    of_file("filesrc", path)
}

/// Adds a `decodebin` or `parsebin` to the bin, and in front of it a file: as it is, or the pictures of a program stream, which GStreamer
/// takes for what they are not. Returns the container where that is known so.
pub(super) fn read_into(
    bin: &gst::Bin,
    path: &Path,
    parser: &gst::Element,
) -> Result<Option<&'static str>, MissingElement> {
    let source = file_source(path)?;
    if let Some(file) = Dhav::open(path) {
        chain(bin, &[source_of(file).upcast_ref(), parser])?;
        return Ok(Some("dhav"));
    }
    let Some(media) = program_stream::pictures_of(path) else {
        chain(bin, &[&source, parser])?;
        return Ok(None);
    };
    let demuxer = make("mpegpsdemux")?;
    chain(bin, &[&source, &demuxer])?;
    bin.add(parser).map_err(|_| MissingElement("parsebin".to_owned()))?;
    let weak = parser.downgrade();
    demuxer.connect_pad_added(move |_, pad| {
        let target = weak.upgrade().and_then(|parser| parser.static_pad("sink")).filter(|sink| !sink.is_linked());
        let Some(target) = target.filter(|_| pad.name().starts_with("video")) else { return };
        let caps = gst::Caps::builder(media).field("stream-format", "byte-stream").build();
        pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
            let other = match info.event().map(|event| event.view()) {
                Some(gst::EventView::Caps(_)) => Some(gst::event::Caps::new(&caps)),
                // The demuxer lets the stream begin where it found a time first, and what is before that would be left out.
                Some(gst::EventView::Segment(_)) => {
                    Some(gst::event::Segment::new(&gst::FormattedSegment::<gst::ClockTime>::new()))
                }
                _ => None,
            };
            if let Some(other) = other {
                info.data = Some(gst::PadProbeData::Event(other));
            }
            gst::PadProbeReturn::Ok
        });
        if let Err(error) = pad.link(&target) {
            tracing::warn!(%error, "the pictures of a program stream could not be linked");
        }
    });
    Ok(Some("mpegps"))
}

/// The pictures of a recorder's file, which can be searched.
fn source_of(file: Dhav<BufReader<File>>) -> gst_app::AppSrc {
    let caps = gst::Caps::builder(file.media).field("stream-format", "byte-stream").build();
    let source = gst_app::AppSrc::builder()
        .caps(&caps)
        .format(gst::Format::Time)
        .stream_type(gst_app::AppStreamType::Seekable)
        .build();
    source.set_duration(file.entries.last().and_then(|last| gst::ClockTime::try_from(last.at).ok()));
    let reader = Arc::new(Mutex::new((file, 0)));
    let searched = Arc::clone(&reader);
    let feed = move |source: &gst_app::AppSrc, _: u32| {
        let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, next) = &mut *reader;
        let Some(entry) = file.entries.get(*next).copied() else {
            let _ = source.end_of_stream();
            return;
        };
        *next += 1;
        let data = match file.data(entry) {
            Ok(data) => data,
            Err(error) => {
                gst::element_error!(source, gst::ResourceError::Read, ["{error}"]);
                let _ = source.end_of_stream();
                return;
            }
        };
        let mut buffer = gst::Buffer::from_slice(data);
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(gst::ClockTime::try_from(entry.at).ok());
            if !entry.key {
                buffer.set_flags(gst::BufferFlags::DELTA_UNIT);
            }
        }
        let _ = source.push_buffer(buffer); // flushing: somebody searches
    };
    let search = move |_: &gst_app::AppSrc, to: u64| {
        let mut reader = searched.lock().unwrap_or_else(PoisonError::into_inner);
        reader.1 = reader.0.key_before(Duration::from_nanos(to));
        true
    };
    source.set_callbacks(gst_app::AppSrcCallbacks::builder().need_data(feed).seek_data(search).build());
    source
}

/// Writes a file, whatever bytes its name is made of.
pub(super) fn file_sink(path: &Path) -> Result<gst::Element, MissingElement> {
    of_file("filesink", path)
}

/// The property of the file's name takes only UTF-8; an address takes any bytes (RFC 3986 §2.1).
fn of_file(factory: &str, path: &Path) -> Result<gst::Element, MissingElement> {
    let element = make(factory)?;
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut uri = "file://".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'~' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => uri.push(char::from(*byte)),
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    let handler = element.dynamic_cast_ref::<gst::URIHandler>();
    let set = handler.is_some_and(|handler| handler.set_uri(&uri).is_ok());
    if set { Ok(element) } else { Err(MissingElement(factory.to_owned())) }
}

/// Adds the elements to the bin and links them in order.
pub(super) fn chain(bin: &gst::Bin, elements: &[&gst::Element]) -> Result<(), MissingElement> {
    let fault = |_| MissingElement(elements.last().map_or_else(String::new, |e| e.name().to_string()));
    bin.add_many(elements.iter().copied()).map_err(fault)?;
    gst::Element::link_many(elements.iter().copied()).map_err(fault)
}

/// What has been seen so far of a stream on its way through the decoder.
#[derive(Clone, Default)]
pub(super) struct Seen(Arc<Mutex<SeenInner>>);

#[derive(Default)]
struct SeenInner {
    video: bool,
    other: bool,
    missing: Vec<String>,
}

impl Seen {
    fn with<T>(&self, f: impl FnOnce(&mut SeenInner) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Video was found (decodable or not).
    pub fn note_video(&self) {
        self.with(|s| s.video = true);
    }

    /// Sound, captions or data were found.
    pub fn note_other(&self) {
        self.with(|s| s.other = true);
    }

    /// Keeps what a missing-plugin message names; other messages are left alone.
    pub fn note_message(&self, message: &gst::MessageRef) {
        let Some(structure) = message.structure().filter(|s| s.name() == "missing-plugin") else { return };
        let name = structure.get::<String>("name").ok().filter(|n| !n.is_empty());
        let name = name.or_else(|| structure.get::<gst::Caps>("detail").ok().map(|c| c.to_string()));
        let name = name.unwrap_or_else(|| "decoder".to_owned());
        self.with(|s| s.missing.push(name));
    }

    /// What was missing did not matter.
    pub fn forget_missing(&self) {
        self.with(|s| s.missing.clear());
    }

    /// What an error on the bus means, given what was seen before it.
    pub fn cause(&self, error: &gst::glib::Error) -> Cause {
        if let Some(missing) = self.with(|s| s.missing.first().cloned()) {
            return Cause::MissingPlugin(missing);
        }
        let (video, other) = self.with(|s| (s.video, s.other));
        if other && !video {
            return Cause::NoVideo;
        }
        if let Some(e) = error.kind::<gst::ResourceError>() {
            return match e {
                gst::ResourceError::NotFound => Cause::NotFound,
                gst::ResourceError::NotAuthorized => Cause::NotAuthorized,
                gst::ResourceError::OpenRead | gst::ResourceError::OpenReadWrite => Cause::Unreachable,
                _ => Cause::Other(error.message().to_owned()),
            };
        }
        match error.kind::<gst::StreamError>() {
            Some(gst::StreamError::CodecNotFound) => Cause::MissingPlugin("decoder".to_owned()),
            Some(gst::StreamError::TypeNotFound | gst::StreamError::WrongType) if !video => Cause::NotMedia,
            Some(gst::StreamError::Demux | gst::StreamError::Decode | gst::StreamError::Format) => Cause::Damaged,
            _ => Cause::Other(error.message().to_owned()),
        }
    }
}

/// Why no pictures come; each reader has its own words for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cause {
    NotFound,
    NotAuthorized,
    Unreachable,
    NotMedia,
    NoVideo,
    MissingPlugin(String),
    Damaged,
    /// The server sends by another transport only.
    Transport,
    /// What an RTSP server answered.
    Status(u16),
    Other(String),
}

impl Cause {
    /// What this status of RTSP means.
    pub fn of_status(status: u16) -> Self {
        match status {
            401 | 407 => Self::NotAuthorized,
            404 | 410 => Self::NotFound,
            406 | 461 => Self::Transport,
            _ => Self::Status(status),
        }
    }
}

/// A `decodebin` that decodes video only and links the first video stream to `target`'s sink pad.
///
/// Software decoders of libav get `threads` threads when given: one per camera is the cheapest way to decode many.
pub(super) fn video_decoder(
    target: &gst::Element,
    seen: &Seen,
    threads: Option<i32>,
) -> Result<gst::Element, MissingElement> {
    let decoder = make("decodebin")?;
    decoder.connect("autoplug-continue", false, |values| {
        let caps = values.get(2).and_then(|v| v.get::<gst::Caps>().ok());
        Some(caps.is_none_or(|caps| !is_of_other_kind(&caps)).to_value())
    });
    let (weak, noted) = (target.downgrade(), seen.clone());
    decoder.connect_pad_added(move |_, pad| {
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        if !caps.structure(0).is_some_and(|s| s.name().starts_with("video/x-raw")) {
            return noted.note_other();
        }
        noted.note_video();
        let sink = weak.upgrade().and_then(|t| t.static_pad("sink")).filter(|s| !s.is_linked());
        if let Some(Err(error)) = sink.map(|s| pad.link(&s)) {
            tracing::warn!(%error, "the decoder's output could not be linked");
        }
    });
    if let Some(bin) = decoder.downcast_ref::<gst::Bin>() {
        bin.connect_deep_element_added(move |_, _, element| {
            let factory = element.factory().map(|f| f.name().to_string()).unwrap_or_default();
            if let Some(threads) =
                threads.filter(|_| factory.starts_with("avdec_") && element.has_property("max-threads"))
            {
                element.set_property("max-threads", threads);
            }
            if matches!(factory.as_str(), "h264parse" | "h265parse") {
                trust_the_stream(element);
            }
        });
    }
    Ok(decoder)
}

/// What a container says of colours is left out before the parser: where the stream says it itself, that counts. Boxes of containers are
/// written by whoever wrote the file last, and say nothing of the range.
fn trust_the_stream(parser: &gst::Element) {
    let Some(pad) = parser.static_pad("sink") else { return };
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, |_, info| {
        let said = match info.event().map(|event| event.view()) {
            Some(gst::EventView::Caps(caps)) => caps.caps_owned(),
            _ => return gst::PadProbeReturn::Ok,
        };
        if said.structure(0).is_some_and(|s| s.has_field("colorimetry")) {
            let mut caps = said;
            caps.make_mut().iter_mut().for_each(|structure| structure.remove_field("colorimetry"));
            info.data = Some(gst::PadProbeData::Event(gst::event::Caps::new(&caps)));
        }
        gst::PadProbeReturn::Ok
    });
}

/// A `parsebin` that links the first video stream to `target`'s sink pad, still encoded: whole pictures, each key frame with
/// all that a decoder needs.
pub(super) fn packet_parser(target: &gst::Element, seen: &Seen) -> Result<gst::Element, MissingElement> {
    let parser = make("parsebin")?;
    parser.connect("autoplug-continue", false, |values| {
        let caps = values.get(2).and_then(|v| v.get::<gst::Caps>().ok());
        Some(caps.is_none_or(|caps| !is_of_other_kind(&caps)).to_value())
    });
    let (weak, noted) = (target.downgrade(), seen.clone());
    parser.connect_pad_added(move |_, pad| {
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        if !caps.structure(0).is_some_and(|s| s.name().starts_with("video/") || s.name().starts_with("image/")) {
            return noted.note_other();
        }
        noted.note_video();
        let sink = weak.upgrade().and_then(|t| t.static_pad("sink")).filter(|s| !s.is_linked());
        if let Some(Err(error)) = sink.map(|s| pad.link(&s)) {
            tracing::warn!(%error, "the stream's packets could not be linked");
        }
    });
    if let Some(bin) = parser.downcast_ref::<gst::Bin>() {
        bin.connect_deep_element_added(|_, _, element| {
            if element.factory().is_some_and(|f| matches!(f.name().as_str(), "h264parse" | "h265parse")) {
                element.set_property("config-interval", -1i32);
            }
        });
    }
    Ok(parser)
}

/// What takes the pictures of an RTP stream of this encoding to `target`, whole: `None` where [`packet_parser`] finds the way.
///
/// Depayloaded as a byte stream, a picture whose slices each come with their parameter sets would be told as several.
pub(super) fn rtp_parser(bin: &gst::Bin, encoding: &str, target: &gst::Element) -> Option<gst::Element> {
    let (depayloader, caps, parser) = match encoding {
        "H264" => ("rtph264depay", ("video/x-h264", "avc"), "h264parse"),
        "H265" => ("rtph265depay", ("video/x-h265", "hvc1"), "h265parse"),
        _ => return None,
    };
    let way = || {
        let caps = gst::Caps::builder(caps.0).field("stream-format", caps.1).field("alignment", "au").build();
        let (depayloader, filter, parser) = (make(depayloader)?, make("capsfilter")?, make(parser)?);
        filter.set_property("caps", caps);
        parser.set_property("config-interval", -1i32);
        bin.add_many([&depayloader, &filter, &parser]).map_err(|_| MissingElement(encoding.to_owned()))?;
        let linked = gst::Element::link_many([&depayloader, &filter, &parser, target]);
        linked.map_err(|_| MissingElement(encoding.to_owned()))?;
        for element in [&parser, &filter, &depayloader] {
            let _ = element.sync_state_with_parent();
        }
        Ok::<_, MissingElement>(depayloader)
    };
    way().inspect_err(|error| tracing::warn!(%error, "the camera's stream cannot be taken apart")).ok()
}

/// Sound, captions and data leave undecoded, so that nothing is spent on them and no plugin is missed for them.
fn is_of_other_kind(caps: &gst::Caps) -> bool {
    let media = caps.structure(0).map(|s| s.name().as_str().to_owned()).unwrap_or_default();
    ["audio/", "text/", "subpicture/", "closedcaption/", "meta/"].iter().any(|p| media.starts_with(p))
}

/// What makes of decoded pictures what eyes and networks are to see: whole ones (of two fields the first, doubled), upright, with square
/// pixels, in `formats`. Every reader's pictures go this way; those that are so already pass untouched.
///
/// Returns the element to link a decoder to, and the one whose pictures are so.
pub(super) fn upright(bin: &gst::Bin, formats: &[&str]) -> Result<(gst::Element, gst::Element), MissingElement> {
    let (whole, convert) = (make("deinterlace")?, make("videoconvert")?);
    // One picture of each two fields: what is recorded has as many pictures as are shown.
    whole.set_property_from_str("fields", "top");
    convert.set_property("n-threads", 1u32);
    let (turn, scale, filter) = (make("videoflip")?, make("videoscale")?, make("capsfilter")?);
    turn.set_property_from_str("video-direction", "auto"); // as the container says
    let caps = gst::Caps::builder("video/x-raw")
        .field("format", gst::List::new(formats))
        .field("pixel-aspect-ratio", gst::Fraction::new(1, 1));
    filter.set_property("caps", caps.build());
    if let Some(pad) = whole.static_pad("sink") {
        pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, |_, info| {
            if let Some(caps) = info.event().and_then(|event| believable(event)) {
                info.data = Some(gst::PadProbeData::Event(gst::event::Caps::new(&caps)));
            }
            gst::PadProbeReturn::Ok
        });
    }
    chain(bin, &[&whole, &convert, &turn, &scale, &filter])?;
    Ok((whole, filter))
}

/// Caps without the shape of pixels that they tell of, where no camera has such pixels: a picture of it would fill the memory.
fn believable(event: &gst::EventRef) -> Option<gst::Caps> {
    let gst::EventView::Caps(caps) = event.view() else { return None };
    let mut caps = caps.caps_owned();
    let ratio = caps.structure(0)?.get::<gst::Fraction>("pixel-aspect-ratio").ok()?;
    let shape = f64::from(ratio.numer()) / f64::from(ratio.denom().max(1));
    if (1.0 / WIDEST_PIXEL..=WIDEST_PIXEL).contains(&shape) {
        return None;
    }
    caps.make_mut().set("pixel-aspect-ratio", gst::Fraction::new(1, 1));
    Some(caps)
}

/// [`upright`] pictures in an appsink, for [`Frame`](super::Frame)s: I420 and NV12 pass untouched, everything else is converted.
/// Returns the element to link a decoder to, and the sink.
pub(super) fn frame_sink(bin: &gst::Bin) -> Result<(gst::Element, gst_app::AppSink), MissingElement> {
    let (head, tail) = upright(bin, &["I420", "NV12"])?;
    let formats = [gst_video::VideoFormat::I420, gst_video::VideoFormat::Nv12];
    let sink = gst_app::AppSink::builder()
        .caps(&gst_video::VideoCapsBuilder::new().format_list(formats).build())
        .enable_last_sample(false)
        .build();
    // Said to understand strides, decoders hand out their own pictures; otherwise they copy each into a packed one.
    if let Some(pad) = sink.static_pad("sink") {
        pad.add_probe(gst::PadProbeType::QUERY_DOWNSTREAM, |_, info| {
            let Some(query) = info.query_mut() else { return gst::PadProbeReturn::Ok };
            match query.view_mut() {
                gst::QueryViewMut::Allocation(allocation) => {
                    allocation.add_allocation_meta::<gst_video::VideoMeta>(None);
                    gst::PadProbeReturn::Handled
                }
                _ => gst::PadProbeReturn::Ok,
            }
        });
    }
    bin.add(&sink).map_err(|_| MissingElement("appsink".to_owned()))?;
    tail.link(&sink).map_err(|_| MissingElement("appsink".to_owned()))?;
    Ok((head, sink))
}
