//! `vigia replay`: runs a recorded site again and compares its tracks and sightings, byte for byte.
use super::prerequisites;
use crate::{
    follow::{FollowConfig, Follower, Observed, Topology, stands_in_view},
    model::{CameraId, Class, Descriptor, Rect, SightingId, Suspect, SuspectId, Timestamp, Track, TrackId},
    site::{self, Replayed, replay::appearance_hash, tape::event_line},
    store::{file, url_of_key},
    tracking::{Observation, Tracker, TrackerConfig},
    video::{Frame, try_read_file},
    vision::{
        Appearance, Compute, Detector, DetectorConfig, DeviceChoice, SiteModels, VisionError, describe_persons,
        sha256_of,
    },
};
use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::Write as _,
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};
use uuid::Uuid;

/// Flags of `vigia replay`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The record: the folder that `--record-replay` of a running site wrote, or a file (TOML) with cameras by file, suspects and
    /// configuration; its log lies beside it
    #[arg(value_name = "RECORD")]
    record: PathBuf,
    /// Run a file for the first time: completes the record with all hashes and settings, and writes the log
    #[arg(long)]
    write: bool,
    /// Folder of the trained weights
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
}

/// Everything that a run follows from.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    /// Of the weights in use; filled in by the first run.
    #[serde(default)]
    weights: Weights,
    #[serde(default)]
    detector: DetectorConfig,
    #[serde(default)]
    models: SiteModels,
    #[serde(default)]
    follow: FollowConfig,
    #[serde(default = "TrackerConfig::nanodet")]
    tracker: TrackerConfig,
    #[serde(rename = "camera")]
    cameras: Vec<Camera>,
    /// Groups of cameras, by name, whose views overlap.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    overlaps: Vec<Vec<String>>,
    #[serde(rename = "suspect", default, skip_serializing_if = "Vec::is_empty")]
    suspects: Vec<Marked>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Weights {
    detector: String,
    appearance: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Camera {
    name: String,
    /// Video, beside the record unless absolute.
    file: PathBuf,
    /// Of that file; filled in by the first run.
    #[serde(default)]
    sha256: String,
    /// When its first frame was seen, seconds after that of the site.
    #[serde(default)]
    starts_s: f64,
    /// Every n-th frame is analysed.
    #[serde(default = "one")]
    every: u32,
}

fn one() -> u32 {
    1
}

/// A click: whoever is at the point on that frame is a suspect from there on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Marked {
    camera: String,
    /// Counted from 0; the first analysed frame from there on counts.
    frame: u32,
    /// Pixels.
    at: [f32; 2],
    #[serde(default = "shift")]
    expires_s: f64,
}

fn shift() -> f64 {
    8.0 * 3600.0
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.record.is_dir() {
        return of_a_site(&args.record, &prerequisites::models_dir(args.models.as_deref()));
    }
    let text =
        std::fs::read_to_string(&args.record).with_context(|| format!("cannot read {}", args.record.display()))?;
    let mut record: Record =
        toml::from_str(&text).with_context(|| format!("{} is no record", args.record.display()))?;
    let log = args.record.with_extension("log");
    let compute = Compute::choose(DeviceChoice::Cpu, 1)?; // one thread of one processor adds in one order
    let models = prerequisites::models_dir(args.models.as_deref());
    let detector = Detector::load_for_site(&models, compute, record.detector, &record.models)?;
    let appearance = Appearance::load_for_site(&models, compute, &record.models)?;
    let weights = Weights {
        detector: detector.sha256().to_owned(),
        appearance: appearance_hash(&appearance, &models, &record.models)?,
    };
    let folder = file::folder_of(&args.record).to_owned();
    let mut different = Vec::new();
    for (what, was, is) in [
        ("the detector's weights", &mut record.weights.detector, weights.detector),
        ("the appearance weights", &mut record.weights.appearance, weights.appearance),
    ] {
        same(what, was, is, args.write, &mut different);
    }
    for camera in &mut record.cameras {
        let video = folder.join(&camera.file);
        let is = sha256_of(&video).with_context(|| format!("cannot read {}", video.display()))?;
        same(&format!("the video of {}", camera.name), &mut camera.sha256, is, args.write, &mut different);
    }
    let found = replay(&record, &folder, &detector, &appearance)?;
    if args.write {
        let complete = toml::to_string(&record)?;
        for (path, text) in [(&args.record, &complete), (&log, &found)] {
            file::write_whole(file::folder_of(path), path, |to| to.write_all(text.as_bytes()))
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        println!("Recorded {} lines in {}", found.lines().count(), log.display());
        return Ok(ExitCode::SUCCESS);
    }
    let expected = std::fs::read_to_string(&log)
        .with_context(|| format!("cannot read {}; the first run makes it with --write", log.display()))?;
    Ok(tell(&different, &expected, &found))
}

/// A record that a running site wrote.
fn of_a_site(folder: &Path, models: &Path) -> anyhow::Result<ExitCode> {
    let Replayed { frames, recorded, log, different } = site::replay(folder, models)?;
    println!("{frames} frames analysed again");
    Ok(tell(&different, &recorded, &log))
}

/// Exit status 0 where both logs are the same to the byte, and so is everything that they follow from.
fn tell(different: &[String], expected: &str, found: &str) -> ExitCode {
    for what in different {
        eprintln!("vigia: {what} differs from the recorded");
    }
    match first_difference(expected, found) {
        None => {
            println!("Identical: {} lines", found.lines().count());
            if different.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Some((line, was, is)) => {
            println!("First difference in line {line}:\nrecorded  {was}\nreplayed  {is}");
            ExitCode::FAILURE
        }
    }
}

/// Fills in what the first run finds; later runs note what is not the same.
fn same(what: &str, was: &mut String, is: String, write: bool, different: &mut Vec<String>) {
    if write {
        *was = is;
    } else if *was != is {
        different.push(what.to_owned());
    }
}

/// One analysed frame of one camera, as the follower sees it.
struct Step {
    at: Timestamp,
    camera: CameraId,
    tracks: Vec<Track>,
    /// Of the frame.
    size: (f32, f32),
    looks: BTreeMap<TrackId, Descriptor>,
    ended: Vec<TrackId>,
    /// Suspects clicked on this frame.
    marked: Vec<(Marked, TrackId, Rect, Vec<Descriptor>)>,
}

/// The log of a run: a line for each measured box, sighting and gallery, in the order of the frames' times.
fn replay(record: &Record, folder: &Path, detector: &Detector, appearance: &Appearance) -> anyhow::Result<String> {
    let mut steps = Vec::new();
    for camera in &record.cameras {
        let marked: Vec<Marked> = record.suspects.iter().filter(|s| s.camera == camera.name).cloned().collect();
        steps.extend(analyse(camera, folder, marked, &record.tracker, detector, appearance)?);
    }
    if let Some(lost) = record.suspects.iter().find(|s| record.cameras.iter().all(|c| c.name != s.camera)) {
        bail!("a suspect is marked on \"{}\", which is no camera of the record", lost.camera);
    }
    steps.sort_by_key(|s| s.at); // stable: at one instant the cameras come in the order of the record
    let names: BTreeMap<CameraId, &str> = record.cameras.iter().map(|c| (id_of(&c.name), c.name.as_str())).collect();
    let name = |camera: &CameraId| names.get(camera).copied().unwrap_or_default();
    let mut follower = Follower::new(record.follow, crop_url);
    let overlaps = record.overlaps.iter().map(|group| group.iter().map(|name| id_of(name)).collect());
    follower.set_topology(Topology::new(overlaps, []));
    let mut log = String::new();
    let mut number = 0;
    for step in &steps {
        let mut events = Vec::new();
        for track in &step.ended {
            events.extend(follower.track_ended(step.camera, *track));
        }
        let observed: Vec<Observed<'_>> = step
            .tracks
            .iter()
            .map(|track| Observed {
                track,
                descriptor: step.looks.get(&track.id),
                stands: stands_in_view(&track.rect, step.size),
            })
            .collect();
        events.extend(follower.observe(step.camera, step.at, &observed));
        for (marked, track, rect, gallery) in &step.marked {
            number += 1;
            let suspect = suspect(number, marked, step, gallery.clone());
            events.extend(follower.mark(&suspect, *track, *rect));
        }
        for t in step.tracks.iter().filter(|t| t.measured_at == t.at) {
            let Rect { x, y, w, h } = t.rect;
            let _ = writeln!(
                log,
                "{} track {} {} {x:?} {y:?} {w:?} {h:?} {:?}",
                step.at,
                name(&step.camera),
                t.id.0,
                t.score
            );
        }
        for event in events {
            let _ = writeln!(log, "{} {}", step.at, event_line(&event));
        }
    }
    Ok(log)
}

/// Detector, looks and tracker over one camera's file.
fn analyse(
    camera: &Camera,
    folder: &Path,
    mut marked: Vec<Marked>,
    config: &TrackerConfig,
    detector: &Detector,
    appearance: &Appearance,
) -> anyhow::Result<Vec<Step>> {
    let id = id_of(&camera.name);
    let mut tracker: Option<Tracker> = None; // the frame's size comes with the first frame
    let mut steps = Vec::new();
    let mut number = 0u32;
    let later = Duration::try_from_secs_f64(camera.starts_s).context("`starts_s` is no time")?;
    let mut first: Option<Timestamp> = None;
    try_read_file(&folder.join(&camera.file), |frame| {
        let this = number;
        number += 1;
        if !this.is_multiple_of(camera.every.max(1)) {
            return anyhow::Ok(ControlFlow::Continue(()));
        }
        let size = (frame.width() as f32, frame.height() as f32);
        let begin = *first.get_or_insert(frame.captured_at());
        let at = Timestamp(frame.captured_at().0 - begin.0).plus(later);
        let tracker =
            tracker.get_or_insert_with(|| Tracker::new(TrackerConfig { frame: Some(size), ..config.clone() }));
        let mut step = look(&frame, at, id, tracker, detector, appearance)?;
        let clicked = |m: &Marked| m.frame <= this && at_point(&step.tracks, m.at).is_some();
        let (now, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut marked).into_iter().partition(clicked);
        marked = rest;
        for m in now {
            if let Some((track, rect)) = at_point(&step.tracks, m.at) {
                let gallery = step.looks.get(&track).cloned().into_iter().collect();
                step.marked.push((m, track, rect, gallery));
            }
        }
        steps.push(step);
        Ok(ControlFlow::Continue(()))
    })?;
    match marked.first() {
        Some(m) => bail!("nobody is at {:?} of {} from frame {} on", m.at, m.camera, m.frame),
        None => Ok(steps),
    }
}

fn look(
    frame: &Frame,
    at: Timestamp,
    camera: CameraId,
    tracker: &mut Tracker,
    detector: &Detector,
    appearance: &Appearance,
) -> Result<Step, VisionError> {
    let found = detector.detect(std::slice::from_ref(frame))?.pop().unwrap_or_default();
    let persons: Vec<_> = found.into_iter().filter(|d| d.class == Class::Person).collect();
    let descriptors = describe_persons(appearance, frame, &persons)?;
    let observations: Vec<_> = persons
        .iter()
        .zip(&descriptors)
        .map(|(d, descriptor)| Observation { rect: d.rect, score: d.score, descriptor: descriptor.as_ref() })
        .collect();
    let step = tracker.step(at, &observations);
    let looks = step.matched.iter().zip(descriptors).filter_map(|(id, d)| Some(((*id)?, d?))).collect();
    let size = (frame.width() as f32, frame.height() as f32);
    Ok(Step { at, camera, tracks: step.tracks, size, looks, ended: step.ended, marked: Vec::new() })
}

/// The measured track at a point, the smallest where there are several.
fn at_point(tracks: &[Track], [x, y]: [f32; 2]) -> Option<(TrackId, Rect)> {
    let there = tracks.iter().filter(|t| t.measured_at == t.at && t.rect.contains(x, y));
    there.min_by(|a, b| a.rect.area().total_cmp(&b.rect.area())).map(|t| (t.id, t.rect))
}

fn suspect(number: u32, marked: &Marked, step: &Step, gallery: Vec<Descriptor>) -> Suspect {
    let id: SuspectId = id_of(&format!("suspect {number}"));
    Suspect {
        id,
        label: format!("Suspect {number}"),
        colour: [255, 176, 0],
        reason: "replay".to_owned(),
        marked_by: "replay".to_owned(),
        marked_at: step.at,
        camera: step.camera,
        expires_at: step.at.plus(Duration::try_from_secs_f64(marked.expires_s).unwrap_or(Duration::MAX)),
        ended_at: None,
        crop_url: crop_url(id),
        gallery,
        characteristics: Default::default(),
        changed_at: step.at,
        proposed_until: None,
        resumed_at: None,
    }
}

fn crop_url(id: SightingId) -> String {
    url_of_key(&format!("crops/{id}.jpg"))
}

/// The same name has the same identity in every run.
fn id_of(name: &str) -> Uuid {
    let digest: [u8; 32] = Sha256::digest(name.as_bytes()).into();
    let (first, _) = digest.split_at(16);
    uuid::Builder::from_custom_bytes(first.try_into().unwrap_or([0; 16])).into_uuid()
}

/// The first line that is not the same: its number from 1, and both.
fn first_difference(was: &str, is: &str) -> Option<(usize, String, String)> {
    let (mut a, mut b) = (was.lines(), is.lines());
    let end = |line: Option<&str>| line.unwrap_or("(the log ends)").to_owned();
    (1..).find_map(|number| match (a.next(), b.next()) {
        (None, None) => Some(None),
        (x, y) if x == y => None,
        (x, y) => Some(Some((number, end(x), end(y)))),
    })?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_found_also_where_one_log_is_shorter() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), Some((2, "b".to_owned(), "c".to_owned())));
        assert_eq!(first_difference("a\n", "a\nb\n"), Some((2, "(the log ends)".to_owned(), "b".to_owned())));
        assert_eq!(first_difference("", ""), None);
    }
}
