//! The connection's own pipeline: from the address to the tap.
use super::{Decoder, Shared, Transport};
use crate::video::{
    address::{Address, RtspAddress},
    decoding::{MissingElement, Seen, chain, frame_sink, make, packet_parser, read_into, rtp_parser},
};
use gstreamer::{self as gst, prelude::*};
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

/// The camera's clock is measured at most so often, nanoseconds.
const MEASURE_EVERY: u64 = 100_000_000;

impl Shared {
    pub(super) fn build(
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
                let path = gst::glib::filename_from_uri(uri).map(|(path, _)| path).unwrap_or_default();
                // A file comes at its own speed, as a camera does.
                let pace = make("clocksync")?;
                let sink = self.tap(attempt, &pipeline, decoder);
                chain(bin, &[&pace, &sink])?;
                read_into(bin, &path, &packet_parser(&pace, seen)?)?;
            }
            Address::Rtsp(rtsp) => {
                let sink = self.tap(attempt, &pipeline, decoder);
                chain(bin, &[&sink])?;
                let source = self.rtsp(rtsp, bin, &sink, seen)?;
                self.measure_clock(attempt, &pipeline, &source);
                bin.add(&source).map_err(|_| MissingElement("rtspsrc".into()))?;
            }
        }
        Ok(pipeline)
    }

    fn rtsp(
        &self,
        address: &RtspAddress,
        bin: &gst::Bin,
        sink: &gst::Element,
        seen: &Seen,
    ) -> Result<gst::Element, MissingElement> {
        let source = make("rtspsrc")?;
        source.set_property("location", &address.location);
        if let Some((user, password)) = &address.credentials {
            source.set_property("user-id", user);
            source.set_property("user-pw", password);
        }
        let protocols = match self.config.transport {
            Transport::Udp => "udp",
            Transport::Auto if self.status().by_udp => "udp+udp-mcast",
            Transport::Auto | Transport::Tcp => "tcp",
        };
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
        let (bin, sink, seen) = (bin.downgrade(), sink.downgrade(), seen.clone());
        source.connect_pad_added(move |_, pad| {
            let (Some(bin), Some(sink)) = (bin.upgrade(), sink.upgrade()) else { return };
            if sink.static_pad("sink").is_none_or(|pad| pad.is_linked()) {
                return;
            }
            let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
            let encoding = caps.structure(0).and_then(|s| s.get::<String>("encoding-name").ok()).unwrap_or_default();
            let parser = rtp_parser(&bin, &encoding, &sink).or_else(|| {
                let parser = packet_parser(&sink, &seen).ok()?;
                bin.add(&parser).ok()?;
                let _ = parser.sync_state_with_parent();
                Some(parser)
            });
            if let Some(Err(error)) = parser.and_then(|p| p.static_pad("sink")).map(|sink| pad.link(&sink)) {
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
}
