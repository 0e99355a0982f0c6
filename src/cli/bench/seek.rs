//! Going to an instant of a recording, against GStreamer's own exact seek on the same file in the same run.
use crate::{
    cli::simulate,
    model::Timestamp,
    video::{Deck, init, read_file},
};
use anyhow::{Context as _, bail};
use gstreamer::{self as gst, prelude::*};
use gstreamer_app as gst_app;
use serde_json::json;
use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Goes to `seeks` places in no order, one and the same for both; every picture is waited for, and must be the same one.
pub(super) fn measure(video: Option<PathBuf>, seeks: usize) -> anyhow::Result<serde_json::Value> {
    let video = match video {
        Some(video) => video,
        None => simulate::demo_cameras()?.into_iter().next().context("the demo has no camera")?.file,
    };
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
    let (mut ours, mut previews, mut wrong) = (Vec::new(), Vec::new(), 0);
    for place in &places {
        let begun = Instant::now();
        wrong += usize::from(deck.frame_at(*place)?.stream_time() != *place);
        ours.push(begun.elapsed());
    }
    for place in &places {
        let begun = Instant::now();
        deck.preview_at(*place)?;
        previews.push(begun.elapsed());
    }
    drop(deck);
    let (bare, bare_wrong) = bare(&video, &places)?;
    let seconds = previews.iter().sum::<Duration>().as_secs_f64();
    Ok(json!({
        "bench": "seek", "video": video.display().to_string(), "pictures": times.len(), "seeks": places.len(),
        "exact_ms": super::percentiles(ours), "other_picture_shown": wrong,
        "preview_ms": super::percentiles(previews.clone()), "previews_per_s": previews.len() as f64 / seconds,
        "bare_gstreamer_ms": super::percentiles(bare), "bare_other_picture_shown": bare_wrong,
    }))
}

/// `filesrc ! decodebin ! appsink` with flushing, accurate seeks.
fn bare(video: &Path, places: &[Duration]) -> anyhow::Result<(Vec<Duration>, usize)> {
    let pipeline = gst::parse::launch("filesrc name=file ! decodebin ! appsink name=sink sync=false max-buffers=2")?;
    let pipeline = pipeline.downcast::<gst::Pipeline>().map_err(|_| anyhow::anyhow!("no pipeline"))?;
    let file = pipeline.by_name("file").context("no file")?;
    file.set_property("location", video.to_string_lossy().as_ref());
    let sink = pipeline.by_name("sink").and_then(|s| s.downcast::<gst_app::AppSink>().ok()).context("no sink")?;
    pipeline.set_state(gst::State::Paused)?;
    pipeline.state(gst::ClockTime::from_seconds(10)).0?;
    pipeline.set_state(gst::State::Playing)?;
    let (mut took, mut wrong) = (Vec::new(), 0);
    for place in places {
        let begun = Instant::now();
        let to = gst::ClockTime::try_from(*place)?;
        pipeline.seek_simple(gst::SeekFlags::FLUSH | gst::SeekFlags::ACCURATE, to)?;
        let sample = sink.pull_sample()?;
        let segment = sample.segment().and_then(|s| s.downcast_ref::<gst::ClockTime>());
        let at = segment.zip(sample.buffer().and_then(|b| b.pts())).and_then(|(s, pts)| s.to_stream_time(pts));
        took.push(begun.elapsed());
        wrong += usize::from(at != Some(to));
    }
    pipeline.set_state(gst::State::Null)?;
    Ok((took, wrong))
}
