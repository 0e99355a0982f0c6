//! Going to an instant of a recording, against GStreamer's own exact seek on the same file in the same run.
use crate::{
    model::Timestamp,
    video::{Deck, init, read_file},
};
use anyhow::{Context as _, bail};
use gstreamer::{self as gst, prelude::*};
use gstreamer_app as gst_app;
use serde_json::{Value, json};
use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Goes to `seeks` places in no order, one and the same for both; every picture is waited for, and must be the same one.
pub(super) fn measure(video: Option<PathBuf>, seeks: usize) -> anyhow::Result<Value> {
    let video = super::video_or_demo(video)?;
    init()?;
    let mut times = Vec::new();
    read_file(&video, |frame| {
        times.push(frame.stream_time());
        ControlFlow::Continue(())
    })?;
    if times.is_empty() {
        bail!("{} has no pictures", video.display());
    }
    let places: Vec<Duration> =
        (0..seeks).filter_map(|i| times.get(i.wrapping_mul(7919) % times.len()).copied()).collect();

    let mut deck = Deck::open(&video, Timestamp(0))?;
    let bare = Bare::open(&video)?;
    let (mut ours, mut theirs, mut previews) = (Vec::new(), Vec::new(), Vec::new());
    let (mut wrong, mut bare_wrong) = (0, 0);
    for (i, place) in places.iter().enumerate() {
        // In turns, and each as often the first: what else the machine does meets both alike.
        for turn in [i % 2 == 0, i % 2 == 1] {
            let begun = Instant::now();
            if turn {
                wrong += usize::from(deck.frame_at(*place)?.stream_time() != *place);
                ours.push(begun.elapsed());
            } else {
                bare_wrong += usize::from(!bare.seek(*place)?);
                theirs.push(begun.elapsed());
            }
        }
    }
    for place in &places {
        let begun = Instant::now();
        deck.preview_at(*place)?;
        previews.push(begun.elapsed());
    }
    let seconds = previews.iter().sum::<Duration>().as_secs_f64();
    let (ours, theirs) = (super::percentiles(ours), super::percentiles(theirs));
    let p95 = |of: &Value| of.get("p95").and_then(Value::as_f64);
    Ok(json!({
        "bench": "seek", "video": video.display().to_string(), "pictures": times.len(), "seeks": places.len(),
        "exact_ms": ours, "other_picture_shown": wrong,
        "preview_ms": super::percentiles(previews.clone()), "previews_per_s": previews.len() as f64 / seconds,
        "bare_gstreamer_ms": theirs, "bare_other_picture_shown": bare_wrong,
        "p95_of_bare": p95(&ours).zip(p95(&theirs)).map(|(ours, theirs)| ours / theirs),
    }))
}

/// `filesrc ! decodebin ! appsink` with flushing, accurate seeks.
struct Bare {
    pipeline: gst::Pipeline,
    sink: gst_app::AppSink,
}

impl Bare {
    fn open(video: &Path) -> anyhow::Result<Self> {
        let pipeline =
            gst::parse::launch("filesrc name=file ! decodebin ! appsink name=sink sync=false max-buffers=2")?;
        let pipeline = pipeline.downcast::<gst::Pipeline>().map_err(|_| anyhow::anyhow!("no pipeline"))?;
        let file = pipeline.by_name("file").context("no file")?;
        file.set_property("location", video.to_string_lossy().as_ref());
        let sink = pipeline.by_name("sink").and_then(|s| s.downcast::<gst_app::AppSink>().ok()).context("no sink")?;
        let bare = Self { pipeline, sink };
        bare.pipeline.set_state(gst::State::Paused)?;
        bare.pipeline.state(gst::ClockTime::from_seconds(10)).0?;
        bare.pipeline.set_state(gst::State::Playing)?;
        Ok(bare)
    }

    /// Goes there; whether the picture that comes is that one.
    fn seek(&self, place: Duration) -> anyhow::Result<bool> {
        let to = gst::ClockTime::try_from(place)?;
        self.pipeline.seek_simple(gst::SeekFlags::FLUSH | gst::SeekFlags::ACCURATE, to)?;
        let sample = self.sink.pull_sample()?;
        let segment = sample.segment().and_then(|s| s.downcast_ref::<gst::ClockTime>());
        let at = segment.zip(sample.buffer().and_then(|b| b.pts())).and_then(|(s, pts)| s.to_stream_time(pts));
        Ok(at == Some(to))
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}
