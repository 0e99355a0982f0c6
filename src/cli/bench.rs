//! `vigia bench`: measurements as JSON, each beside a peer or a limit in the same run.
mod analysis;
mod export;
mod follow;
mod follow_load;
mod growth;
mod overlay;
mod search;
mod seek;
mod stores;
mod timeline;

use super::{prerequisites, simulate};
use crate::{
    follow::{Calibration, Gallery, Reliability},
    model::{Class, Clock, Rect, SystemClock, polygon_contains},
    store::{LoginOutcome, NewUser, UserStore},
    tracking::{MotDetection, TrackerConfig, parse_detections, track_detections},
    ui,
    video::{Frame, Source, SourceConfig, read_file, try_read_file},
    vision::{
        Appearance, Compute, Detector, DetectorConfig, DeviceChoice, OUTLINE_FILE, Outliner, VisionError,
        characteristics, describe_persons,
    },
};
use anyhow::{Context as _, bail};
use clap::Subcommand;
use serde_json::json;
use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// What can be measured.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// CPU of receiving and decoding N RTSP streams, against gst-launch-1.0 into fakesink on the same streams
    Decode {
        /// Streams
        #[arg(long, default_value_t = 4)]
        streams: usize,
        /// Seconds of each of the two runs
        #[arg(long, default_value_t = 20.0)]
        seconds: f64,
    },
    /// Frames a second of the detector alone and with appearance, on decoded frames
    Detector {
        /// Video (default: the demo footage)
        #[arg(long)]
        video: Option<PathBuf>,
        /// Frames
        #[arg(long, default_value_t = 100)]
        frames: usize,
        /// CPU threads of one inference
        #[arg(long, default_value_t = 1)]
        threads: u32,
        /// Folder of the trained weights
        #[arg(long)]
        models: Option<PathBuf>,
        /// The same network as a TorchScript module, to compare with
        #[arg(long)]
        reference: Option<PathBuf>,
    },
    /// Frames a second of the tracker alone, on MOTChallenge detections; built with `--features peers` also of trackforge
    Tracker {
        /// Detections
        #[arg(long)]
        det: PathBuf,
        /// Frames a second of the video
        #[arg(long, default_value_t = 30.0)]
        fps: f64,
    },
    /// Appearance across virtual cameras: rank-1, mean average precision, and the calibration fitted on it
    Appearance {
        /// MOTChallenge ground truth of the demo footage (PETS09-S2L1/gt/gt.txt)
        #[arg(long)]
        gt: PathBuf,
        /// Folder of the trained weights
        #[arg(long)]
        models: Option<PathBuf>,
    },
    /// Outlines in the detector's boxes against masks drawn by hand: intersection over union, beside that of the plain box
    Outline {
        /// Masks: {"footage": …, "masks": [{"frame": 0, "polygon": [[x, y], …]}, …]}
        #[arg(long, default_value = "tests/outlines.json")]
        masks: PathBuf,
        /// Folder of the trained weights
        #[arg(long)]
        models: Option<PathBuf>,
        /// The same network as a TorchScript module, to compare with
        #[arg(long)]
        reference: Option<PathBuf>,
    },
    /// Following across cameras: IDF1, false follows, time to the first correct alert; over the demo's virtual cameras, and from one room
    /// into another where that footage lies beside the demo's
    Follow {
        /// MOTChallenge ground truth of the demo footage: its gt.txt, or a folder that holds PETS09-S2L1
        #[arg(long)]
        gt: PathBuf,
        /// Who is where in the two rooms
        #[arg(long, default_value = "tests/two_rooms.json")]
        rooms: PathBuf,
        /// Folder of the trained weights
        #[arg(long)]
        models: Option<PathBuf>,
    },
    /// Processor time of following many suspects among many people on many cameras
    FollowLoad(follow_load::Load),
    /// Search among stored appearances, against one pass over the same memory
    Search {
        /// Vectors
        #[arg(long, default_value_t = 1_000_000)]
        vectors: usize,
        /// Numbers in a vector
        #[arg(long, default_value_t = 256)]
        length: usize,
    },
    /// Overlap of drawn boxes with ground truth when few frames are analysed, against all; and the detector's average precision
    Overlay {
        /// MOTChallenge ground truth (…/gt/gt.txt)
        #[arg(long)]
        gt: PathBuf,
        /// Its video (default: the demo footage, which is PETS09-S2L1)
        #[arg(long)]
        video: Option<PathBuf>,
        /// Analysed frames a second
        #[arg(long, default_value_t = 5.0)]
        fps: f64,
        /// Folder of the trained weights
        #[arg(long)]
        models: Option<PathBuf>,
    },
    /// Cost of the tracker for one frame with more and more people in view
    Growth {
        /// People in view
        #[arg(long, value_delimiter = ',', default_values_t = [10, 50, 200, 1000])]
        people: Vec<usize>,
    },
    /// Time of deciding a login: the right password, and for comparison a number that belongs to nobody
    Login {
        /// Logins of each kind
        #[arg(long, default_value_t = 50)]
        logins: u32,
    },
    /// Going to an instant of a recording, and previews while scrubbing, against GStreamer's own exact seek on the same file
    Seek {
        /// Video (default: a camera of the demo)
        #[arg(long)]
        video: Option<PathBuf>,
        /// How often
        #[arg(long, default_value_t = 300)]
        seeks: usize,
    },
    /// An analysis job over a video that came as a file, against the time that the video runs
    Analysis {
        /// Video (default: a camera of the demo)
        #[arg(long)]
        video: Option<PathBuf>,
        /// Pictures a second; every one without it
        #[arg(long)]
        rate: Option<f32>,
        /// Folder of the trained weights
        #[arg(long)]
        models: Option<PathBuf>,
    },
    /// Exporting evidence, against a plain copy of the same recorded files
    Export {
        /// Recorded files of 20 s, 10 MB each
        #[arg(long, default_value_t = 60)]
        files: u32,
        /// Times each; the best counts
        #[arg(long, default_value_t = 3)]
        rounds: u32,
    },
    #[command(flatten)]
    Stores(stores::Command),
    /// The timeline at every zoom over many detections and recorded files: reading it, and drawing a frame of it
    Timeline {
        /// An empty PostgreSQL database; an SQLite file is made and deleted without it
        #[arg(long)]
        address: Option<String>,
        /// Detections, of twenty cameras in thirty days
        #[arg(long, default_value_t = 10_000_000)]
        rows: u64,
        /// Recorded files, of the same cameras and days
        #[arg(long, default_value_t = 2_000_000)]
        segments: u64,
        /// Reads of each zoom, each at another place
        #[arg(long, default_value_t = 40)]
        reads: usize,
    },
    /// CPU of drawing one frame of the wall, planes to pixels, every picture new
    Ui {
        /// Tiles
        #[arg(long, default_value_t = 4)]
        tiles: usize,
        /// Repaints
        #[arg(long, default_value_t = 100)]
        frames: usize,
    },
}

pub(super) fn run(command: &Command) -> anyhow::Result<ExitCode> {
    let result = match command {
        Command::Decode { streams, seconds } => decode(*streams, *seconds)?,
        Command::Detector { video, frames, threads, models, reference } => {
            let video = video.clone().unwrap_or_else(|| prerequisites::footage("vtest.avi"));
            detector(&video, *frames, *threads, &prerequisites::models_dir(models.as_deref()), reference.as_deref())?
        }
        Command::Tracker { det, fps } => tracker(det, *fps)?,
        Command::Appearance { gt, models } => appearance(gt, &prerequisites::models_dir(models.as_deref()))?,
        Command::Outline { masks, models, reference } => {
            outline(masks, &prerequisites::models_dir(models.as_deref()), reference.as_deref())?
        }
        Command::Follow { gt, rooms, models } => {
            let models = prerequisites::models_dir(models.as_deref());
            let compute = Compute::choose(DeviceChoice::Auto, 1)?;
            let detector = Detector::load(&models, compute, DetectorConfig::default())?;
            follow::measure(&truth(gt)?, rooms, &detector, &Appearance::load(&models, compute)?)?
        }
        Command::FollowLoad(load) => follow_load::measure(load, || cpu_seconds(libc::RUSAGE_SELF)),
        Command::Search { vectors, length } => search::measure(*vectors, *length),
        Command::Overlay { gt, video, fps, models } => {
            let video = video.clone().unwrap_or_else(|| prerequisites::footage(simulate::FOOTAGE));
            overlay::measure(&video, gt, *fps, &prerequisites::models_dir(models.as_deref()))?
        }
        Command::Growth { people } => growth::measure(people),
        Command::Login { logins } => {
            in_a_folder(|folder| tokio::runtime::Runtime::new()?.block_on(login(folder, *logins)))?
        }
        Command::Seek { video, seeks } => seek::measure(video.clone(), *seeks)?,
        Command::Analysis { video, rate, models } => analysis::measure(video.clone(), models.as_deref(), *rate)?,
        Command::Export { files, rounds } => export::measure(*files, *rounds)?,
        Command::Stores(command) => stores::run(command)?,
        Command::Timeline { address, rows, segments, reads } => {
            timeline::measure(address.as_deref(), *rows, *segments, *reads)?
        }
        Command::Ui { tiles, frames } => {
            json!({ "bench": "ui", "result": ui::bench::measure(*tiles, *frames)? })
        }
    };
    println!("{result}");
    Ok(ExitCode::SUCCESS)
}

#[derive(serde::Deserialize)]
struct Masks {
    /// A file of the demo's footage.
    footage: String,
    masks: Vec<Mask>,
}

#[derive(serde::Deserialize)]
struct Mask {
    /// Counted from 0.
    frame: u32,
    polygon: Vec<[f32; 2]>,
}

fn outline(masks: &Path, models: &Path, reference: Option<&Path>) -> anyhow::Result<serde_json::Value> {
    let compute = Compute::choose(DeviceChoice::Auto, 1)?;
    let detector = Detector::load(models, compute, DetectorConfig::default())?;
    let Some(outliner) = Outliner::load(models, compute)? else {
        bail!("{} is missing: run `make setup`", models.join(OUTLINE_FILE).display())
    };
    let text = std::fs::read_to_string(masks).with_context(|| format!("cannot read {}", masks.display()))?;
    let Masks { footage, masks } = serde_json::from_str(&text).context("these are not masks")?;
    let (mut outlines, mut boxes, mut times, mut undetected) = (Vec::new(), Vec::new(), Vec::new(), 0u32);
    let mut clothes = Vec::new();
    let mut number = 0u32;
    let mut failure = None;
    read_file(&prerequisites::footage(&footage), |frame| {
        for mask in masks.iter().filter(|m| m.frame == number) {
            match outline_of(&detector, &outliner, &frame, &mask.polygon) {
                Ok(Some(Outlined { rect, outline, looks, time })) => {
                    clothes.push(looks);
                    times.push(time);
                    outlines.push(polygon_iou(&outline, &mask.polygon));
                    boxes.push(polygon_iou(&rect.polygon(), &mask.polygon));
                }
                Ok(None) => undetected += 1,
                Err(error) => failure = Some(error),
            }
        }
        number += 1;
        let more = failure.is_none() && masks.iter().any(|m| m.frame >= number);
        if more { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    if let Some(error) = failure {
        return Err(error.into());
    }
    let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len().max(1) as f64;
    Ok(json!({
        "bench": "outline", "masks": masks.len(), "undetected": undetected, "mean_iou": mean(&outlines), "mean_iou_of_the_box": mean(&boxes),
        "iou": outlines, "looks": clothes, "outline_ms": percentiles(times), "device": compute.describe(),
        "reference": reference.map(|r| outliner.compare(r, 30)).transpose()?,
    }))
}

/// A detected box, the outline in it (the box where there is none), and how long that took.
struct Outlined {
    rect: Rect,
    outline: Vec<[f32; 2]>,
    /// The clothes within the outline, in words.
    looks: String,
    time: Duration,
}

/// What is found around a mask; `None` where nobody is detected.
fn outline_of(
    detector: &Detector,
    outliner: &Outliner,
    frame: &Frame,
    mask: &[[f32; 2]],
) -> Result<Option<Outlined>, VisionError> {
    let around = bounds(mask);
    let found = detector.detect(std::slice::from_ref(frame))?.pop().unwrap_or_default();
    let persons = found.iter().filter(|d| d.class == Class::Person && d.rect.iou(&around) > 0.4);
    let best = persons.max_by(|a, b| a.rect.iou(&around).total_cmp(&b.rect.iou(&around)));
    let Some(rect) = best.map(|d| d.rect) else { return Ok(None) };
    let start = Instant::now();
    let outline = outliner.outline(frame, rect)?;
    let time = start.elapsed();
    let looks = characteristics(frame, rect, outline.as_ref()).words();
    let outline = outline.map_or_else(|| rect.polygon().to_vec(), |o| o.on(&rect));
    Ok(Some(Outlined { rect, outline, looks, time }))
}

/// Intersection over union of two polygons, by half pixels.
fn polygon_iou(a: &[[f32; 2]], b: &[[f32; 2]]) -> f64 {
    let (a_box, b_box) = (bounds(a), bounds(b));
    let (left, top) = (a_box.x.min(b_box.x).floor(), a_box.y.min(b_box.y).floor());
    let columns = (2.0 * (a_box.right().max(b_box.right()) - left)) as u32;
    let rows = (2.0 * (a_box.bottom().max(b_box.bottom()) - top)) as u32;
    let (mut common, mut either) = (0u32, 0u32);
    for row in 0..=rows {
        for column in 0..=columns {
            let (x, y) = (left + column as f32 / 2.0 + 0.25, top + row as f32 / 2.0 + 0.25);
            let (a, b) = (polygon_contains(a, x, y), polygon_contains(b, x, y));
            common += u32::from(a && b);
            either += u32::from(a || b);
        }
    }
    f64::from(common) / f64::from(either.max(1))
}

fn bounds(polygon: &[[f32; 2]]) -> Rect {
    let all = polygon.iter().fold([f32::MAX, f32::MAX, f32::MIN, f32::MIN], |[left, top, right, bottom], [x, y]| {
        [left.min(*x), top.min(*y), right.max(*x), bottom.max(*y)]
    });
    let [left, top, right, bottom] = all;
    Rect::from_corners(left, top, right, bottom)
}

/// Milliseconds of a login on an SQLite file of its own, one after the other.
async fn login(folder: &Path, logins: u32) -> anyhow::Result<serde_json::Value> {
    let users = UserStore::open(folder.join("users.sqlite")).await?;
    let password = uuid::Uuid::new_v4().to_string();
    let user = NewUser {
        cc: "1".to_owned(),
        email: "bench@example.org".to_owned(),
        name: "Bench".to_owned(),
        password: password.clone(),
        is_admin: false,
    };
    users.create(user, SystemClock.now()).await?;
    let (mut right, mut strangers) = (Vec::new(), Vec::new());
    for i in 0..logins {
        let start = Instant::now();
        let granted = users.verify_login("1", &password, "bench", SystemClock.now()).await?;
        right.push(start.elapsed());
        // a number of its own each time, lest the lock-out answers instead
        let start = Instant::now();
        let refused =
            users.verify_login(&format!("stranger {i}"), &password, &format!("bench {i}"), SystemClock.now()).await?;
        strangers.push(start.elapsed());
        if !matches!((&granted, &refused), (LoginOutcome::Granted(_), LoginOutcome::WrongCredentials { .. })) {
            bail!("a login was decided wrongly: {granted:?}, {refused:?}");
        }
    }
    Ok(
        json!({ "bench": "login", "logins": logins, "right_ms": percentiles(right), "stranger_ms": percentiles(strangers) }),
    )
}

/// Does something in a folder of its own, which is removed afterwards.
fn in_a_folder<T>(work: impl FnOnce(&Path) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let folder = std::env::temp_dir().join(format!("vigia-bench-{}", uuid::Uuid::new_v4().simple()));
    std::fs::create_dir(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let result = work(&folder);
    std::fs::remove_dir_all(&folder).with_context(|| format!("{} cannot be removed", folder.display()))?;
    result
}

/// The video that was named, or that of the demo's first camera.
fn video_or_demo(video: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    match video {
        Some(video) => Ok(video),
        None => Ok(simulate::demo_cameras()?.into_iter().next().context("the demo has no camera")?.file),
    }
}

/// The median, the 95th and the 99th percentile (nearest rank) in milliseconds; `null` without a measurement.
fn percentiles(mut times: Vec<Duration>) -> serde_json::Value {
    times.sort_unstable();
    let at = |percent: usize| {
        times.get((times.len() * percent).div_ceil(100).saturating_sub(1)).map(|t| t.as_secs_f64() * 1e3)
    };
    json!({ "p50": at(50), "p95": at(95), "p99": at(99) })
}

/// User and system CPU seconds of this process, or of its children that have ended.
fn cpu_seconds(who: libc::c_int) -> f64 {
    // SAFETY: `rusage` is plain data for which all zeroes is a value, and `getrusage` only writes into it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(who, &raw mut usage);
        usage
    };
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 * 1e-6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

fn decode(streams: usize, seconds: f64) -> anyhow::Result<serde_json::Value> {
    let (_server, served) = simulate::start_process(&[])?;
    let h264: Vec<String> = served
        .cameras
        .into_iter()
        .filter(|c| c.name.ends_with("west") || c.name.ends_with("east"))
        .map(|c| c.url)
        .collect();
    let Some(first) = h264.first().cloned() else { bail!("no stream is served") };
    let urls: Vec<String> =
        (0..streams).map(|i| h264.get(i % h264.len()).cloned().unwrap_or_else(|| first.clone())).collect();
    let run = Duration::try_from_secs_f64(seconds)?;

    let frames = Arc::new(AtomicU64::new(0));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let before = cpu_seconds(libc::RUSAGE_SELF);
    let sources: Vec<Source> = urls
        .iter()
        .map(|url| {
            let frames = Arc::clone(&frames);
            let config = SourceConfig::new(url);
            Source::open(config, Arc::clone(&clock), move |_: Frame, _: u64| {
                frames.fetch_add(1, Ordering::Relaxed);
            })
        })
        .collect();
    std::thread::sleep(run);
    sources.into_iter().for_each(Source::stop);
    let ours = cpu_seconds(libc::RUSAGE_SELF) - before;

    let mut pipeline: Vec<String> = Vec::new();
    for url in &urls {
        pipeline.extend(
            [
                "rtspsrc",
                "protocols=tcp",
                "latency=100",
                &format!("location={url}"),
                "!",
                "decodebin",
                "!",
                "fakesink",
                "sync=false",
            ]
            .map(str::to_owned),
        );
    }
    let before = cpu_seconds(libc::RUSAGE_CHILDREN);
    let mut child = std::process::Command::new("gst-launch-1.0")
        .arg("-q")
        .args(&pipeline)
        .stdout(Stdio::null())
        .spawn()
        .context("gst-launch-1.0 is needed for the comparison")?;
    std::thread::sleep(run);
    child.kill()?;
    child.wait()?;
    let peer = cpu_seconds(libc::RUSAGE_CHILDREN) - before;
    Ok(json!({
        "bench": "decode", "streams": streams, "seconds": seconds, "frames": frames.load(Ordering::Relaxed),
        "cpu_s": ours, "peer": "gst-launch-1.0 rtspsrc ! decodebin ! fakesink", "peer_cpu_s": peer, "ratio": ours / peer,
    }))
}

fn detector(
    video: &Path,
    count: usize,
    threads: u32,
    models: &Path,
    reference: Option<&Path>,
) -> anyhow::Result<serde_json::Value> {
    let compute = Compute::choose(DeviceChoice::Auto, threads)?;
    let detector = Detector::load(models, compute, DetectorConfig::default())?;
    let appearance = Appearance::load(models, compute)?;
    let mut frames = Vec::new();
    read_file(video, |frame| {
        frames.push(frame);
        if frames.len() < count { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    if frames.is_empty() {
        bail!("{} has no frames", video.display());
    }
    for frame in frames.iter().take(5) {
        detector.detect(std::slice::from_ref(frame))?; // caches and allocators warm up
    }
    let start = Instant::now();
    let mut found = Vec::with_capacity(frames.len());
    for frame in &frames {
        found.push(detector.detect(std::slice::from_ref(frame))?.pop().unwrap_or_default());
    }
    let detection = start.elapsed().as_secs_f64();
    let start = Instant::now();
    for (frame, detections) in frames.iter().zip(&found) {
        describe_persons(&appearance, frame, detections)?;
    }
    let description = start.elapsed().as_secs_f64();
    let n = frames.len() as f64;
    Ok(json!({
        "bench": "detector", "frames": frames.len(), "device": compute.describe(), "threads": threads,
        "detector_fps": n / detection, "detector_ms": detection * 1e3 / n,
        "appearance": appearance.name(), "appearance_ms": description * 1e3 / n,
        "reference": reference.map(|r| detector.compare(r, 30)).transpose()?,
        "detections": found.iter().map(Vec::len).sum::<usize>(),
    }))
}

/// Seconds that one tracker is run before it is the other's turn, and turns of each.
const TURN: Duration = Duration::from_millis(500);
const TURNS: u32 = 4;

fn tracker(det: &Path, fps: f64) -> anyhow::Result<serde_json::Value> {
    let text = std::fs::read_to_string(det).with_context(|| format!("cannot read {}", det.display()))?;
    let detections = parse_detections(&text)?;
    let frames = detections.iter().map(|d| d.frame).max().unwrap_or(0);
    let mut rows = 0;
    let mut ours = || rows = track_detections(&detections, fps, TrackerConfig::default()).len();
    let mut peer = peer(&detections, frames);
    // In turns, so that a busy machine is as busy for both.
    let (mut our_rates, mut peer_rates) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        our_rates.push(f64::from(frames) * rounds_per_s(&mut ours));
        peer_rates.extend(peer.as_mut().map(|peer| f64::from(frames) * rounds_per_s(peer)));
    }
    let best = |rates: &[f64]| rates.iter().copied().reduce(f64::max);
    Ok(json!({
        "bench": "tracker", "frames": frames, "detections": detections.len(), "rows": rows,
        "frames_per_s": best(&our_rates), "peer": peer.is_some().then_some("trackforge ByteTrack"),
        "peer_frames_per_s": best(&peer_rates),
        "ratio": best(&our_rates).zip(best(&peer_rates)).map(|(ours, peer)| ours / peer),
    }))
}

fn rounds_per_s(mut run: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut rounds = 0u32;
    while start.elapsed() < TURN {
        run();
        rounds += 1;
    }
    f64::from(rounds) / start.elapsed().as_secs_f64()
}

/// The fastest other tracker in Rust that was found, on the same detections; where this was built to compare.
#[cfg(feature = "peers")]
fn peer(detections: &[MotDetection], frames: u32) -> Option<Box<dyn FnMut()>> {
    use trackforge::trackers::byte_track::{ByteTrack, ByteTrackParams};
    let mut by_frame = vec![Vec::new(); frames as usize];
    for MotDetection { frame, rect, score } in detections {
        if let Some(now) = by_frame.get_mut((*frame as usize).saturating_sub(1)) {
            now.push(([rect.x, rect.y, rect.w, rect.h], *score, 0));
        }
    }
    Some(Box::new(move || {
        let mut tracker = ByteTrack::from_params(ByteTrackParams::default());
        for detections in &by_frame {
            std::hint::black_box(tracker.update(detections.clone()));
        }
    }))
}

#[cfg(not(feature = "peers"))]
fn peer(_: &[MotDetection], _: u32) -> Option<Box<dyn FnMut()>> {
    None
}

/// The people of each frame (from 1) of a MOTChallenge ground truth: number and box.
fn truth(gt: &Path) -> anyhow::Result<BTreeMap<u32, Vec<(u32, Rect)>>> {
    let inside = gt.join("PETS09-S2L1/gt/gt.txt");
    let gt = if inside.is_file() { inside.as_path() } else { gt };
    let text = std::fs::read_to_string(gt).with_context(|| format!("cannot read {}", gt.display()))?;
    let mut truth: BTreeMap<u32, Vec<(u32, Rect)>> = BTreeMap::new();
    for line in text.lines() {
        let n: Vec<f32> = line.split(',').filter_map(|v| v.trim().parse().ok()).collect();
        if let [frame, id, x, y, w, h, ..] = n.as_slice() {
            truth.entry(*frame as u32).or_default().push((*id as u32, Rect::new(*x, *y, *w, *h)));
        }
    }
    Ok(truth)
}

/// Frames between two crops of a person: enough to look different.
const CROP_EVERY: u32 = 5;
/// One chance in this many that a candidate is the suspect, the order of people in a view.
const CANDIDATES: f64 = 8.0;

/// Each person in each view of the demo is one tracklet of up to twelve crops; every pair of tracklets of different views is a pair.
fn appearance(gt: &Path, models: &Path) -> anyhow::Result<serde_json::Value> {
    let compute = Compute::choose(DeviceChoice::Auto, 1)?;
    let appearance = Appearance::load(models, compute)?;
    let truth = truth(gt)?;
    let mut tracklets: BTreeMap<(usize, u32), Gallery> = BTreeMap::new();
    let mut number = 0u32;
    try_read_file(&prerequisites::footage(simulate::FOOTAGE), |frame| {
        number += 1;
        if number % CROP_EVERY != 1 {
            return anyhow::Ok(ControlFlow::Continue(()));
        }
        let people = truth.get(&number).map(Vec::as_slice).unwrap_or_default();
        let alone = |r: &Rect| people.iter().filter(|(_, o)| o.iou(r) > 0.2).count() == 1;
        for (view, window) in simulate::demo_windows().into_iter().enumerate() {
            let inside: Vec<_> =
                people.iter().filter(|(_, r)| alone(r) && r.intersection(&window).area() > 0.9 * r.area()).collect();
            let described = appearance.describe(&frame, &inside.iter().map(|(_, r)| *r).collect::<Vec<_>>())?;
            for ((id, _), descriptor) in inside.iter().zip(described) {
                if let Some(d) = descriptor {
                    // A look at the same instant through another window would be the same pixels: views take turns.
                    if (number / CROP_EVERY) as usize % 4 == view {
                        tracklets.entry((view, *id)).or_default().add(&d, 12);
                    }
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    tracklets.retain(|_, g| g.len() >= 3);
    let mut pairs = Vec::new();
    let (mut queries, mut first, mut precision) = (0usize, 0usize, 0.0f64);
    for ((view, id), query) in &tracklets {
        let mut ranked: Vec<(f32, bool)> = tracklets
            .iter()
            .filter(|((other, _), _)| other != view)
            .filter_map(|((_, other), g)| Some((query.similarity(g)?, other == id)))
            .collect();
        pairs.extend(&ranked);
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
        let relevant = ranked.iter().filter(|r| r.1).count();
        if relevant == 0 {
            continue;
        }
        queries += 1;
        first += usize::from(ranked.first().is_some_and(|r| r.1));
        let mut hits = 0.0;
        let mut sum = 0.0;
        for (rank, _) in ranked.iter().enumerate().filter(|(_, r)| r.1) {
            hits += 1.0;
            sum += hits / (rank + 1) as f64;
        }
        precision += sum / relevant as f64;
    }
    let curve = Calibration::fit(&pairs, 1.0 / CANDIDATES);
    let shipped = Calibration::shipped(appearance.kind());
    let said: Vec<_> = pairs.iter().map(|(s, same)| (shipped.probability(*s), *same)).collect();
    let reliability = Reliability::of(&said, 1.0 / CANDIDATES);
    Ok(json!({
        "bench": "appearance", "model": appearance.name(), "tracklets": tracklets.len(), "queries": queries,
        "rank1": first as f64 / queries.max(1) as f64, "map": precision / queries.max(1) as f64,
        "pairs": pairs.len(), "same": pairs.iter().filter(|p| p.1).count(), "calibration": curve, "shipped_curve": reliability,
    }))
}
