//! The branch in which a camera's packets become frames: a pipeline and a thread of its own. It may be slow, fail or be
//! absent without anything happening to the connection; then pictures are missing on the screen, never in the recording.
use super::decoding::{MissingElement, Seen, chain, frame_sink, video_decoder};
use crate::model::Timestamp;
use gstreamer::{self as gst, prelude::*};
use gstreamer_app as gst_app;
use std::{
    cmp::Ordering,
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// What may wait for the decoder, bytes; beyond that pictures are left out up to the next key frame.
const WAITING_BYTES: u64 = 16 << 20;
/// What waited longer than this is not decoded any more: the screen is to show now.
const LATE_MAX: Duration = Duration::from_secs(2);
/// So many packets on their way through the decoder keep their stamp.
const STAMPS: usize = 4096;
/// A frame further than this from every packet is of none of them.
const SHIFTED_MAX: Duration = Duration::from_secs(1);

/// What is known of a packet since it came, and of its frame later.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    pub captured_at: Timestamp,
    pub stream_time: Duration,
    pub arrived: Instant,
}

/// The stamps of the latest packets, by their presentation time in nanoseconds.
#[derive(Default)]
pub(super) struct Stamps(Mutex<BTreeMap<u64, Stamp>>);

impl Stamps {
    fn with<T>(&self, f: impl FnOnce(&mut BTreeMap<u64, Stamp>) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn put(&self, pts: gst::ClockTime, stamp: Stamp) {
        self.with(|stamps| {
            stamps.insert(pts.nseconds(), stamp);
            if stamps.len() > STAMPS {
                stamps.pop_first();
            }
        });
    }

    /// The stamp of this frame. A parser or decoder may have shifted its time a little, or made one up where it was missing: it is
    /// then told from the packet next to it.
    pub fn of(&self, pts: gst::ClockTime) -> Option<Stamp> {
        let pts = pts.nseconds();
        self.with(|stamps| {
            let (before, after) = (stamps.range(..=pts).next_back(), stamps.range(pts..).next());
            let (near, stamp) = before.into_iter().chain(after).min_by_key(|(at, _)| at.abs_diff(pts))?;
            let apart = Duration::from_nanos(near.abs_diff(pts));
            let shifted = match pts.cmp(near) {
                Ordering::Less => (stamp.captured_at.minus(apart), stamp.stream_time.saturating_sub(apart)),
                _ => (stamp.captured_at.plus(apart), stamp.stream_time + apart),
            };
            (apart <= SHIFTED_MAX).then_some(Stamp { captured_at: shifted.0, stream_time: shifted.1, ..*stamp })
        })
    }

    fn arrived(&self, pts: gst::ClockTime) -> Option<Instant> {
        self.with(|stamps| stamps.get(&pts.nseconds()).map(|s| s.arrived))
    }
}

/// Where one packet does not pass, the ones after it cannot be decoded: none passes before the next key frame.
struct Gate {
    shut: bool,
}

impl Gate {
    fn passes(&mut self, fits: bool, key: bool) -> bool {
        self.shut = !fits || (self.shut && !key);
        !self.shut
    }
}

/// Whether decoding can begin here.
pub(super) fn is_key(buffer: &gst::BufferRef) -> bool {
    !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT)
}

/// `appsrc ! decodebin ! videoconvert ! appsink`, running.
pub(super) struct Branch {
    pub pipeline: gst::Pipeline,
    input: gst_app::AppSrc,
    caps: Option<gst::Caps>,
    gate: Gate,
}

impl Branch {
    /// Starts it. `tells` gets what its bus says, `takes` every decoded picture.
    pub fn start(
        stamps: &Arc<Stamps>,
        seen: &Seen,
        tells: impl Fn(&gst::Message) + Send + Sync + 'static,
        mut takes: impl FnMut(&gst::Sample) -> Result<gst::FlowSuccess, gst::FlowError> + Send + 'static,
    ) -> Result<Self, MissingElement> {
        let pipeline = gst::Pipeline::new();
        let bin: &gst::Bin = pipeline.upcast_ref();
        let (target, sink) = frame_sink(bin)?;
        sink.set_property("sync", false);
        sink.set_property("async", false);
        sink.set_property("max-buffers", 1u32);
        let takes = move |sink: &gst_app::AppSink| takes(&sink.pull_sample().map_err(|_| gst::FlowError::Eos)?);
        sink.set_callbacks(gst_app::AppSinkCallbacks::builder().new_sample(takes).build());
        // How much may wait is for `push` to say, which knows what is a key frame.
        let input = gst_app::AppSrc::builder().format(gst::Format::Time).max_bytes(0).build();
        if let Some(pad) = input.static_pad("src") {
            let (stamps, gate) = (Arc::clone(stamps), Mutex::new(Gate { shut: false }));
            pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
                let Some(buffer) = info.buffer() else { return gst::PadProbeReturn::Ok };
                let arrived = buffer.pts().and_then(|pts| stamps.arrived(pts));
                let in_time = arrived.is_none_or(|arrived| arrived.elapsed() <= LATE_MAX);
                match gate.lock().unwrap_or_else(PoisonError::into_inner).passes(in_time, is_key(buffer)) {
                    true => gst::PadProbeReturn::Ok,
                    false => gst::PadProbeReturn::Drop,
                }
            });
        }
        chain(bin, &[input.upcast_ref(), &video_decoder(&target, seen, Some(1))?])?;
        if let Some(bus) = pipeline.bus() {
            bus.set_sync_handler(move |_, message| {
                tells(message);
                gst::BusSyncReply::Drop
            });
        }
        // A failure to start is on the bus, with its reason.
        let _ = pipeline.set_state(gst::State::Playing);
        Ok(Self { pipeline, input, caps: None, gate: Gate { shut: true } })
    }

    /// Hands a packet to the decoder. Never waits.
    pub fn push(&mut self, caps: &gst::Caps, buffer: gst::Buffer) {
        if !self.gate.passes(self.input.current_level_bytes() < WAITING_BYTES, is_key(&buffer)) {
            return;
        }
        if self.caps.as_ref() != Some(caps) {
            self.input.set_caps(Some(caps));
            self.caps = Some(caps.clone());
        }
        // A decoder that is gone tells why on its bus.
        let _ = self.input.push_buffer(buffer);
    }

    /// No more comes; what waits is decoded, and then the bus tells of the end.
    pub fn end(&self) {
        let _ = self.input.end_of_stream();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_loss_nothing_passes_before_the_next_key_frame() {
        let mut gate = Gate { shut: true };
        let told =
            [(true, false), (true, true), (true, false), (false, false), (true, false), (false, true), (true, true)]
                .map(|(fits, key)| gate.passes(fits, key));
        assert_eq!(told, [false, true, true, false, false, false, true]);
    }

    #[test]
    fn a_frame_finds_the_stamp_of_its_packet_and_the_stamps_stay_few() {
        let stamps = Stamps::default();
        let pts = gst::ClockTime::from_mseconds;
        let stamp = |n: i64| Stamp { captured_at: Timestamp(n), stream_time: Duration::ZERO, arrived: Instant::now() };
        for n in [0, 120, 40, 80] {
            stamps.put(pts(n), stamp(n as i64)); // as they are decoded, not as they are shown
        }
        let shown = [0, 40, 80, 90, 120, 80, 5000].map(|n| stamps.of(pts(n)).map(|s| s.captured_at.0));
        // 90 ms is of no packet: 10 ms, in microseconds, after the one at 80 ms.
        assert_eq!(shown, [Some(0), Some(40), Some(80), Some(80 + 10_000), Some(120), Some(80), None]);
        (0..5000).for_each(|n| stamps.put(pts(n), stamp(0)));
        assert!(stamps.arrived(pts(4999)).is_some() && stamps.arrived(pts(0)).is_none());
    }
}
