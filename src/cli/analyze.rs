//! `vigia analyze`: detector and tracker over whole files, every frame.
use super::prerequisites;
use crate::{
    model::Class,
    store::file,
    tracking::{Observation, OfflineConfig, Recording, ResultRow, Tracker, TrackerConfig, write_results},
    video::{Frame, try_read_file},
    vision::{Appearance, Compute, Detector, DetectorConfig, DeviceChoice, VisionError, describe_persons},
};
use anyhow::{Context as _, bail};
use serde_json::json;
use std::{
    io::Write as _,
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

/// Flags of `vigia analyze`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Video files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Where <file stem>.txt (MOTChallenge) and <file stem>.json go
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Folder of the trained weights
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
    /// A second pass over the whole: tracks joined, gaps filled, weak tracks left out
    #[arg(long)]
    offline: bool,
    /// Longer side of the detector's input, pixels, a multiple of 32: more finds people who are smaller, and takes longer
    #[arg(long, value_name = "PIXELS", default_value_t = DetectorConfig::default().input, value_parser = input)]
    input: u32,
    /// CPU threads of one inference
    #[arg(long, default_value_t = 1)]
    threads: u32,
    /// Where to compute
    #[arg(long, default_value = "auto", value_parser = device)]
    device: DeviceChoice,
}

fn device(text: &str) -> Result<DeviceChoice, String> {
    match text {
        "auto" => Ok(DeviceChoice::Auto),
        "cpu" => Ok(DeviceChoice::Cpu),
        "cuda" => Ok(DeviceChoice::Cuda),
        _ => Err("auto, cpu or cuda".to_owned()),
    }
}

fn input(text: &str) -> Result<u32, String> {
    let input = text.parse().ok().filter(|input| DetectorConfig::takes(*input));
    input.ok_or_else(|| "a multiple of 32 between 32 and 2048".to_owned())
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let models = prerequisites::models_dir(args.models.as_deref());
    let compute = Compute::choose(args.device, args.threads)?;
    let config = DetectorConfig { input: args.input, ..DetectorConfig::default() };
    let detector = Detector::load(&models, compute, config)?;
    let appearance = Appearance::load(&models, compute)?;
    std::fs::create_dir_all(&args.out).with_context(|| format!("cannot create {}", args.out.display()))?;
    for (i, file) in args.files.iter().enumerate() {
        if let Some(other) = args.files.iter().take(i).find(|f| f.file_stem() == file.file_stem()) {
            bail!("{} and {} would write the same result files", other.display(), file.display());
        }
    }
    let mut all_well = true;
    for file in &args.files {
        if let Err(error) = analyze(file, args, &detector, &appearance, config) {
            // One bad file of many does not cost the others.
            eprintln!("vigia: {}: {error:#}", file.display());
            all_well = false;
        }
    }
    Ok(if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn analyze(
    file: &Path,
    args: &Args,
    detector: &Detector,
    appearance: &Appearance,
    config: DetectorConfig,
) -> anyhow::Result<()> {
    let start = Instant::now();
    let tracker_config = TrackerConfig::nanodet();
    let mut tracker: Option<Tracker> = None; // the frame's size comes with the first frame
    let offline = args.offline.then(OfflineConfig::nanodet);
    let mut recording = Recording::default();
    let mut rows = Vec::new();
    // From which frame on pictures are of which size.
    let mut sizes: Vec<(u32, (f32, f32))> = Vec::new();
    let mut number = 0u32;
    let report = try_read_file(file, |frame| {
        number += 1;
        let size = (frame.width() as f32, frame.height() as f32);
        let tracker =
            tracker.get_or_insert_with(|| Tracker::new(TrackerConfig { frame: Some(size), ..tracker_config.clone() }));
        if sizes.last().is_none_or(|(_, before)| *before != size) {
            if !sizes.is_empty() {
                // Where somebody was in a picture of another size says nothing of where they are.
                tracker.reset();
                tracker.set_frame(size);
            }
            sizes.push((number, size));
        }
        let kept = offline.is_some().then_some(&mut recording);
        rows.extend(look(detector, appearance, tracker, kept, &frame, number)?);
        anyhow::Ok(ControlFlow::Continue(()))
    })?;
    if let Some(config) = &offline {
        rows = recording.finish(config);
    }
    let stem = file.file_stem().map_or_else(|| "video".into(), |s| s.to_string_lossy().into_owned());
    let summary = json!({
        "file": file, "frames": report.frames, "analysed": number, "seconds": start.elapsed().as_secs_f64(),
        "width": report.width, "height": report.height, "sizes": sizes, "damage": report.truncated,
        "model": { "name": detector.name(), "sha256": detector.sha256() },
        "appearance": appearance.name(), "device": detector.compute().describe(),
        "configuration": { "detector": config, "tracker": tracker_config, "offline": offline },
    });
    write_text(&args.out.join(format!("{stem}.txt")), &write_results(&rows))?;
    write_text(&args.out.join(format!("{stem}.json")), &format!("{summary:#}\n"))?;
    if let Some(damage) = report.truncated {
        eprintln!("vigia: {}: {damage}; used as far as it goes, {number} frames", file.display());
    }
    Ok(())
}

fn look(
    detector: &Detector,
    appearance: &Appearance,
    tracker: &mut Tracker,
    recording: Option<&mut Recording>,
    frame: &Frame,
    number: u32,
) -> Result<Vec<ResultRow>, VisionError> {
    let found = detector.detect(std::slice::from_ref(frame))?.pop().unwrap_or_default();
    let persons: Vec<_> = found.into_iter().filter(|d| d.class == Class::Person).collect();
    let descriptors = describe_persons(appearance, frame, &persons)?;
    let observations: Vec<_> = persons
        .iter()
        .zip(&descriptors)
        .map(|(d, descriptor)| Observation { rect: d.rect, score: d.score, descriptor: descriptor.as_ref() })
        .collect();
    let step = tracker.step(frame.captured_at(), &observations);
    if let Some(recording) = recording {
        recording.push(frame.captured_at(), &observations, &step);
    }
    Ok(step
        .tracks
        .iter()
        .filter(|t| t.measured_at == t.at)
        .map(|t| ResultRow { frame: number, id: t.id.0, rect: t.rect, score: t.score })
        .collect())
}

fn write_text(path: &Path, text: &str) -> anyhow::Result<()> {
    file::write_whole(file::folder_of(path), path, |to| to.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
}
