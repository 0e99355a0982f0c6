//! `vigia track`: the tracker alone, on MOTChallenge detections.
use crate::tracking::{
    OfflineConfig, TrackerConfig, parse_detections, track_detections, track_recording, write_results,
};
use anyhow::Context as _;
use std::{path::PathBuf, process::ExitCode};

/// Flags of `vigia track`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Detections: frame,id,x,y,w,h,score,… with frames from 1
    #[arg(long, value_name = "FILE")]
    det: PathBuf,
    /// Frames a second
    #[arg(long)]
    fps: f64,
    /// Width of the frames, pixels
    #[arg(long)]
    width: u32,
    /// Height of the frames, pixels
    #[arg(long)]
    height: u32,
    /// Results: frame,id,x,y,w,h,score,-1,-1,-1
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// A second pass over the whole: tracks joined, gaps filled, weak tracks left out
    #[arg(long)]
    offline: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(&args.det).with_context(|| format!("cannot read {}", args.det.display()))?;
    let detections = parse_detections(&text).with_context(|| args.det.display().to_string())?;
    let config = TrackerConfig { frame: Some((args.width as f32, args.height as f32)), ..TrackerConfig::default() };
    let rows = if args.offline {
        track_recording(&detections, args.fps, config, &OfflineConfig::default())
    } else {
        track_detections(&detections, args.fps, config)
    };
    std::fs::write(&args.out, write_results(&rows)).with_context(|| format!("cannot write {}", args.out.display()))?;
    Ok(ExitCode::SUCCESS)
}
