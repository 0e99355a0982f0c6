//! The record of a run, for `vigia replay`: every analysed frame by its camera, instant and the hash of its pictures, everything the
//! follower was told, in the order in which it came true, and what followed from it. The pictures are the recorder's own files.
//!
//! ```text
//! DIR/site.toml     what the run was configured with, and the hashes of its weights
//! DIR/told.jsonl    frames, suspects, decisions, videos: one a line, as it happens
//! DIR/site.log      tracks, sightings and galleries, each a line: what a replay must give again, byte for byte
//! DIR/videos/       a link to (or copy of) each recorded file
//! ```
use crate::{
    follow::{Curves, Event, FollowConfig, Topology, WeaponConfig},
    model::{
        CameraId, CommonGround, Decision, Descriptor, Rect, Segment, Sighting, SightingId, Suspect, SuspectId,
        Timestamp, Track, TrackId,
    },
    video::{Frame, Spooled},
    vision::SiteModels,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

pub(super) const SITE: &str = "site.toml";
pub(super) const TOLD: &str = "told.jsonl";
pub(super) const LOG: &str = "site.log";
const VIDEOS: &str = "videos";

/// What a run follows from besides what it is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Recorded {
    /// SHA-256 of the detector's weights.
    pub detector_sha256: String,
    /// SHA-256 of the appearance model's file; a name where it is part of the program.
    pub appearance: String,
    pub analysis: super::AnalysisConfig,
    pub models: SiteModels,
    pub follow: FollowConfig,
    pub weapons: WeaponConfig,
}

/// One thing that a run is told, or a file that it leaves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Told {
    /// A frame was analysed.
    Frame { camera: CameraId, name: String, epoch: u64, at: Timestamp, pictures: String },
    /// A suspect of an earlier run is followed.
    Follow { suspect: Suspect },
    /// Another console's, or the database's, version of a suspect.
    TakeOver { suspect: Suspect, at: Timestamp },
    /// A click.
    Mark { suspect: Suspect, track: TrackId, rect: Rect },
    /// A click on the record of a stay that is over.
    MarkStay { suspect: Suspect, origin: Sighting },
    /// Following ends.
    End { suspect: SuspectId },
    /// An ended follow goes on.
    Resume { suspect: Suspect },
    /// Time passed.
    Expire { at: Timestamp },
    /// A camera is gone.
    CameraLost { camera: CameraId },
    /// The console's clock was set by so many microseconds.
    ClockSet { by: i64, now: Timestamp },
    /// An operator decided.
    Decide { sighting: Sighting, decision: Decision },
    /// How the person of a sighting looked, out of a store.
    Remember { sighting: SightingId, looks: Vec<Descriptor> },
    /// How the cameras lie to each other.
    Topology { topology: Topology },
    /// How probable likeness is at this site.
    Curves { curves: Curves },
    /// Where places of one view are in others, as it was learned before.
    Grounds { grounds: Vec<CommonGround> },
    /// All certain stays that are known.
    Travel { certain: Vec<Sighting> },
    /// The journal refused a decision.
    Undecide { sighting: Sighting },
    /// The journal refused a sighting.
    Unopen { sighting: Sighting },
    /// Another console tells of a stay that is seen here, too.
    Join { sighting: SightingId, other: Sighting },
    /// Recorded video, by its name among the record's files.
    Video { segment: Segment, file: String },
}

/// Writes the record of a run as it happens.
#[derive(Debug)]
pub(super) struct Tape {
    folder: PathBuf,
    files: Mutex<Files>,
}

#[derive(Debug)]
struct Files {
    told: File,
    log: File,
    /// Cameras that were told to be lost and have shown nothing since.
    lost: BTreeSet<CameraId>,
    /// Why nothing is written any more, until somebody asked.
    failed: bool,
    trouble: Option<String>,
}

impl Tape {
    /// Begins a record in a folder that holds none yet; it is made where it is missing.
    ///
    /// # Errors
    /// When there is a record already, or the disk refuses.
    pub fn begin(folder: &Path, recorded: &Recorded) -> io::Result<Self> {
        fs::create_dir_all(folder.join(VIDEOS))?;
        let site = toml::to_string(recorded).map_err(io::Error::other)?;
        let new = |name: &str| File::create_new(folder.join(name));
        new(SITE)?.write_all(site.as_bytes())?;
        let files = Files { told: new(TOLD)?, log: new(LOG)?, lost: BTreeSet::new(), failed: false, trouble: None };
        Ok(Self { folder: folder.to_owned(), files: Mutex::new(files) })
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what was told and what followed from it.
    pub fn note(&self, told: &Told, tracks: &[Track], events: &[Event]) {
        let mut files = self.files();
        match told {
            Told::Frame { camera, .. } => drop(files.lost.remove(camera)),
            // Told once a second for as long as it lasts.
            Told::CameraLost { camera } if !files.lost.insert(*camera) && events.is_empty() => return,
            Told::Expire { .. } if events.is_empty() => return,
            _ => {}
        }
        files.write(told, &log_lines(told, tracks, events));
    }

    /// Keeps a file of the recorder, which its owner may delete from now on.
    pub fn video(&self, spooled: &Spooled) {
        let file = format!("{VIDEOS}/{}-{}.mkv", spooled.segment.camera, spooled.segment.starts_at.0);
        let to = self.folder.join(&file);
        let kept = fs::hard_link(&spooled.file, &to).or_else(|_| fs::copy(&spooled.file, &to).map(drop));
        let mut files = self.files();
        match kept {
            Ok(()) => files.write(&Told::Video { segment: spooled.segment.clone(), file }, ""),
            Err(error) => files.fail(&error),
        }
    }

    /// What went wrong since it was asked last, in words for the operator.
    pub fn trouble(&self) -> Option<String> {
        let trouble = self.files().trouble.take()?;
        Some(format!("The record for replay in {} ends here: {trouble}", self.folder.display()))
    }
}

impl Files {
    fn write(&mut self, told: &Told, lines: &str) {
        if self.failed {
            return;
        }
        let line = serde_json::to_string(told).map_err(io::Error::other);
        let written = line.and_then(|line| self.told.write_all(format!("{line}\n").as_bytes()));
        if let Err(error) = written.and_then(|()| self.log.write_all(lines.as_bytes())) {
            self.fail(&error);
        }
    }

    fn fail(&mut self, error: &io::Error) {
        self.failed = true;
        self.trouble = Some(error.to_string());
    }
}

/// What the log says of one thing that was told: each measured box, sighting and gallery a line. Numbers are written so that they
/// read back to the bit.
pub(super) fn log_lines(told: &Told, tracks: &[Track], events: &[Event]) -> String {
    let head = match told {
        Told::Frame { name, at, .. } => format!("{at} {name}"),
        Told::Mark { suspect, .. } | Told::MarkStay { suspect, .. } => format!("{} marked", suspect.label),
        Told::Expire { at } => format!("{at} expired"),
        Told::Decide { sighting, .. } => format!("decided {}", sighting.id),
        Told::CameraLost { camera } => format!("lost {camera}"),
        _ => "told".to_owned(),
    };
    let mut lines = String::new();
    for t in tracks.iter().filter(|t| t.measured_at == t.at) {
        let Rect { x, y, w, h } = t.rect;
        let _ = writeln!(lines, "{head}: track {} {x:?} {y:?} {w:?} {h:?} {:?}", t.id.0, t.score);
    }
    for event in events {
        let _ = writeln!(lines, "{head}: {}", event_line(event));
    }
    lines
}

/// An event as the logs of replays tell it.
pub(crate) fn event_line(event: &Event) -> String {
    let json = |sighting: &Sighting| serde_json::to_string(sighting).unwrap_or_else(|error| error.to_string());
    match event {
        Event::Opened(sighting) => format!("opened {}", json(sighting)),
        Event::Alert(sighting) => format!("alert {}", json(sighting)),
        Event::Changed(sighting) => format!("changed {}", json(sighting)),
        Event::Gallery(suspect) => format!("gallery {} {}", suspect.label, gallery_hash(&suspect.gallery)),
    }
}

/// Of all vectors, to the bit.
fn gallery_hash(gallery: &[Descriptor]) -> String {
    let mut hash = Sha256::new();
    for value in gallery.iter().flat_map(|d| d.vector.iter()) {
        hash.update(value.to_bits().to_be_bytes());
    }
    format!("{} {}", gallery.len(), hexadecimal(hash, 8))
}

/// Of a frame's size, layout and pictures, without the padding of its rows.
pub(super) fn pictures_hash(frame: &Frame) -> String {
    let mut hash = Sha256::new();
    hash.update(format!("{}x{} {:?} {:?}", frame.width(), frame.height(), frame.layout(), frame.color()));
    for plane in frame.planes() {
        let length = plane.width * plane.bytes_per_sample;
        for row in plane.data.chunks(plane.stride.max(1)).take(plane.height) {
            hash.update(row.get(..length).unwrap_or(row));
        }
    }
    hexadecimal(hash, 16)
}

fn hexadecimal(hash: Sha256, bytes: usize) -> String {
    hash.finalize().iter().take(bytes).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
