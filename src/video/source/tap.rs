//! Where a connection's packets leave its pipeline: each is stamped, once, goes to whoever records, and then to the decoder.
use super::{Decoder, SET, Shared};
use crate::{
    model::Timestamp,
    video::{
        branch::{Stamp, is_key},
        recorder::Packet,
    },
};
use gstreamer::{self as gst, prelude::*};
use gstreamer_app as gst_app;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Makes the stamps of one connection's packets.
#[derive(Default)]
struct Stamper {
    /// The packet furthest on so far: its position and its instant.
    furthest: Option<(Duration, Timestamp)>,
}

impl Stamper {
    /// The instant of a packet at this position in the connection, of which the clocks say `told`: clocks that are read twice differ
    /// by microseconds, and packets keep their order all the same. A clock that was set is followed at once.
    fn instant(&mut self, position: Duration, told: Timestamp) -> Timestamp {
        let instant = match self.furthest {
            Some((before, at)) if position > before => {
                let least = at.plus(Duration::from_micros(1));
                if least.seconds_since(told) < SET { told.max(least) } else { told }
            }
            Some((before, at)) => return at.minus(before - position),
            None => told,
        };
        self.furthest = Some((position, instant));
        instant
    }
}

impl Shared {
    /// The wall clock at this running time. Smoothed over the network's jitter, a picture may be of a little later than it came.
    pub(super) fn captured_at(&self, pipeline: &gst::Pipeline, running: Option<gst::ClockTime>) -> Timestamp {
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

    /// When this picture came, and where in the connection. The jitter buffer stamps packets with their smoothed arrival in running time.
    pub(super) fn stamp(&self, pipeline: &gst::Pipeline, sample: &gst::Sample) -> Option<(Stamp, Duration)> {
        let buffer = sample.buffer()?;
        let pts = buffer.pts().or(buffer.dts())?;
        let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
        let running = segment.to_running_time(pts)?;
        let stream_time = segment.to_stream_time(pts).map_or(Duration::ZERO, Duration::from);
        let captured_at = self.captured_at(pipeline, Some(running));
        Some((Stamp { captured_at, stream_time, arrived: Instant::now() }, running.into()))
    }

    /// The end of the connection's own pipeline.
    pub(super) fn tap(
        self: &Arc<Self>,
        attempt: u64,
        pipeline: &gst::Pipeline,
        decoder: &Arc<Decoder>,
    ) -> gst::Element {
        let sink =
            gst_app::AppSink::builder().sync(false).async_(false).enable_last_sample(false).max_buffers(1).build();
        let (shared, weak, decoder) = (Arc::downgrade(self), pipeline.downgrade(), Arc::downgrade(decoder));
        let mut stamper = Stamper::default();
        let takes = move |sink: &gst_app::AppSink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let (Some(shared), Some(pipeline), Some(decoder)) = (shared.upgrade(), weak.upgrade(), decoder.upgrade())
            else {
                return Err(gst::FlowError::Eos);
            };
            let (Some(mut buffer), Some(caps)) = (sample.buffer_owned(), sample.caps_owned()) else {
                return Ok(gst::FlowSuccess::Ok);
            };
            let stamped = match shared.stamp(&pipeline, &sample) {
                Some((stamp, at)) => {
                    let stamp = Stamp { captured_at: stamper.instant(at, stamp.captured_at), ..stamp };
                    if let Some(pts) = buffer.pts() {
                        decoder.stamps.put(pts, stamp);
                    }
                    Some((stamp.captured_at, at))
                }
                // What has no time of its own belongs to the picture before, and nothing begins with it.
                None => {
                    buffer.make_mut().set_flags(gst::BufferFlags::DELTA_UNIT);
                    stamper.furthest.map(|(at, instant)| (instant, at))
                }
            };
            let offset = {
                let mut status = shared.status();
                if status.stopped || status.attempt != attempt {
                    return Err(gst::FlowError::Eos);
                }
                status.run.packet(Instant::now(), is_key(&buffer));
                status.patience.picture(Instant::now());
                status.run.camera_clock.offset()
            };
            let encoded = caps.structure(0).is_some_and(|s| !s.name().starts_with("video/x-raw"));
            if let (Some(on_packet), Some((captured_at, at)), true) = (&shared.on_packet, stamped, encoded) {
                let (caps, buffer) = (caps.clone(), buffer.clone());
                on_packet(Packet { run: attempt, caps, buffer, at, captured_at, offset });
            }
            if let Some(branch) = &mut *decoder.branch() {
                branch.push(&caps, buffer);
            }
            Ok(gst::FlowSuccess::Ok)
        };
        sink.set_callbacks(gst_app::AppSinkCallbacks::builder().new_sample(takes).build());
        sink.upcast()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn packets_keep_their_order_and_a_clock_that_was_set_is_followed_at_once() {
        let mut stamper = Stamper::default();
        let at = |ms: i64| Timestamp(1_000_000_000 + ms * 1000);
        assert_eq!(stamper.instant(MS(0), at(0)), at(0));
        assert_eq!(stamper.instant(MS(40), at(40)), at(40));
        let later = stamper.instant(MS(41), at(38));
        assert!(later > at(40) && later < at(41), "two readings of the clocks do not change the order");
        // A picture that is shown before the one that came first.
        assert_eq!(stamper.instant(MS(31), at(50)), later.minus(MS(10)));
        assert_eq!(stamper.instant(MS(81), at(-3_600_000)), at(-3_600_000), "set back by an hour");
        assert_eq!(stamper.instant(MS(121), at(-3_599_960)), at(-3_599_960));
        assert_eq!(stamper.instant(MS(161), at(80)), at(80), "and on again");
    }
}
