//! Runs a recorded site again: the same frames out of the recorded videos, the same words to the follower, in the same order.
use super::{
    following::Following,
    observer::Observers,
    tape::{LOG, Recorded, SITE, TOLD, Told, log_lines, pictures_hash},
};
use crate::{
    follow::Follower,
    model::{CameraId, Segment, Timestamp},
    store::url_of_key,
    video::{Frame, read_file_from},
    vision::{Analysed, Appearance, Compute, Detector, SiteModels, VisionError, describe_persons, sha256_of},
};
use std::{
    collections::BTreeMap,
    io,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, sync_channel},
};

/// Decoded frames that wait for their turn, of each camera.
const AHEAD: usize = 4;
/// A frame lies in the video where its time says, give or take this, seconds.
const ABOUT: f64 = 1.5;

/// What running a record again gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Frames analysed.
    pub frames: u64,
    /// The log as it was recorded.
    pub recorded: String,
    /// The log as it came out now.
    pub log: String,
    /// What is not as it was: weights, videos.
    pub different: Vec<String>,
}

/// Why a record cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A file of it cannot be read.
    #[error("cannot read {}: {}", .0.display(), .1)]
    Unreadable(PathBuf, io::Error),
    /// A file of it is not what it should be.
    #[error("{} is no record: {}", .0.display(), .1)]
    Malformed(PathBuf, String),
    /// The analysis.
    #[error(transparent)]
    Vision(#[from] VisionError),
}

/// Runs the record in `folder` again with the weights in `models`.
///
/// # Errors
/// When the record or the weights cannot be read, or libtorch refuses. Whatever merely differs is in the answer.
pub fn replay(folder: &Path, models: &Path) -> Result<Replayed, ReplayError> {
    let site = read(&folder.join(SITE))?;
    let recorded: Recorded =
        toml::from_str(&site).map_err(|e| ReplayError::Malformed(folder.join(SITE), e.to_string()))?;
    let told = told(&folder.join(TOLD))?;
    let Recorded { analysis, follow, weapons, .. } = recorded;
    let compute = Compute::choose(analysis.device, analysis.threads)?;
    let detector = Detector::load_for_site(models, compute, analysis.detector, &recorded.models)?;
    let appearance = Appearance::load_for_site(models, compute, &recorded.models)?;
    let mut different = Vec::new();
    if detector.sha256() != recorded.detector_sha256 {
        different.push("the detector's weights".to_owned());
    }
    if appearance_hash(&appearance, models, &recorded.models)? != recorded.appearance {
        different.push("the appearance weights".to_owned());
    }
    let mut videos: BTreeMap<CameraId, Vec<(Timestamp, PathBuf)>> = BTreeMap::new();
    for (Segment { camera, starts_at, sha256, .. }, file) in told.iter().filter_map(as_video) {
        let path = folder.join(file);
        if sha256_of(&path).ok().as_ref() != Some(sha256) {
            different.push(format!("the video {file}"));
        }
        videos.entry(*camera).or_default().push((*starts_at, path));
    }
    let mut cameras: BTreeMap<CameraId, Video> =
        videos.into_iter().map(|(camera, files)| (camera, Video::read(files))).collect();
    let mut following = Following::new(Follower::new(follow, |id| url_of_key(&format!("crops/{id}.jpg"))), None);
    let mut observers = Observers::new(weapons);
    let (mut log, mut frames) = (String::new(), 0);
    for told in told {
        let Told::Frame { camera, name, epoch, at, pictures } = &told else {
            let events = following.take(&told);
            log.push_str(&log_lines(&told, &[], &events));
            continue;
        };
        let Some(frame) = cameras.get_mut(camera).and_then(|video| video.find(*at, pictures)) else {
            log.push_str(&format!("{at} {name}: this frame is not in the recorded videos\n"));
            continue;
        };
        let detections = detector.detect(std::slice::from_ref(&frame))?.pop().unwrap_or_default();
        let descriptors = describe_persons(&appearance, &frame, &detections)?;
        let analysed = Analysed { camera: *camera, frame, epoch: *epoch, detections, descriptors };
        let seen = following.observe(&analysed, name, &mut observers);
        log.push_str(&log_lines(&told, &seen.tracks, &seen.events));
        frames += 1;
    }
    Ok(Replayed { frames, recorded: read(&folder.join(LOG))?, log, different })
}

fn read(path: &Path) -> Result<String, ReplayError> {
    std::fs::read_to_string(path).map_err(|e| ReplayError::Unreadable(path.to_owned(), e))
}

/// What the run was told. A last line without an end is what a crash cut off, and is not counted.
fn told(path: &Path) -> Result<Vec<Told>, ReplayError> {
    let text = read(path)?;
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let read = |(number, line): (usize, &str)| {
        let fault = |e| ReplayError::Malformed(path.to_owned(), format!("line {}: {e}", number + 1));
        serde_json::from_str(line).map_err(fault)
    };
    whole.enumerate().map(read).collect()
}

fn as_video(told: &Told) -> Option<(&Segment, &str)> {
    match told {
        Told::Video { segment, file } => Some((segment, file)),
        _ => None,
    }
}

/// Of the file of a learned model; the colour stripes are part of the program.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn appearance_hash(
    appearance: &Appearance,
    models: &Path,
    site: &SiteModels,
) -> Result<String, ReplayError> {
    let file = match (appearance, &site.appearance) {
        (Appearance::ColourStripes, _) => return Ok(appearance.name().to_owned()),
        (_, Some(manifest)) => models.join(manifest),
        (_, None) => models.join(crate::vision::LEARNED_FILE),
    };
    sha256_of(&file).map_err(|e| ReplayError::Unreadable(file, io::Error::other(e)))
}

/// The frames of one camera's files, one after another, decoded on a thread of their own.
struct Video(Receiver<Frame>);

impl Video {
    fn read(mut files: Vec<(Timestamp, PathBuf)>) -> Self {
        files.sort();
        let (sender, frames) = sync_channel(AHEAD);
        std::thread::spawn(move || {
            for (starts_at, path) in files {
                let mut wanted = true;
                let read = read_file_from(&path, starts_at, |frame| {
                    wanted = sender.send(frame).is_ok();
                    if wanted { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
                });
                if let Err(error) = read {
                    tracing::warn!(%error, "a recorded video cannot be read");
                }
                if !wanted {
                    return;
                }
            }
        });
        Self(frames)
    }

    /// The next frame with these pictures; it is dated as it was in the run. What lies before it is passed over.
    fn find(&self, at: Timestamp, pictures: &str) -> Option<Frame> {
        for frame in &self.0 {
            if pictures_hash(&frame) == pictures {
                return Some(frame.dated(at));
            }
            if frame.captured_at().seconds_since(at) > ABOUT {
                return None;
            }
        }
        None
    }
}
