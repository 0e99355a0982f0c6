//! The video of a package: recorded files are fetched from the objects and the stretches cut out of them, as they were encoded.
use super::{ExportError, ExportProgress, blocking, stretches::Stretch};
use crate::{
    evidence::Item,
    model::{Segment, Tracklet},
    site::records::Records,
    store::{key_of_url, sqlite::io_error},
    video::{self, BoxTrack, Piece},
    vision::sha256_of,
};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    pin::pin,
    time::Duration,
};

/// Between two looks whether to go on, while something takes its time.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Whether the operator wants to go on, and where an export is. Cheap to clone.
#[derive(Clone)]
pub(super) struct Watched {
    pub progress: ExportProgress,
    /// `0.0..=1.0`
    pub fraction: f32,
}

impl Watched {
    /// `false` when the operator broke it off.
    pub fn goes_on(&self) -> bool {
        (self.progress)(self.fraction, "")
    }

    /// Waits for the end of `work`, or gives it up when the operator breaks the export off.
    pub async fn wait<T>(&self, work: impl Future<Output = Result<T, ExportError>>) -> Result<T, ExportError> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep(LOOK_EVERY) => if !self.goes_on() { return Err(ExportError::Cancelled) },
            }
        }
    }
}

impl Records {
    /// Cuts a stretch out of its files; what is wrong with a file is noted by its place.
    pub(super) async fn cut(
        &self,
        stretch: &Stretch,
        scratch: &Path,
        stem: &str,
        watched: &Watched,
    ) -> Result<(Vec<video::Clip>, Vec<(usize, String)>), ExportError> {
        let (mut pieces, mut there) = (Vec::new(), Vec::new());
        for (place, segment) in stretch.segments.iter().enumerate() {
            let fetched = scratch.join(format!("segment-{place}"));
            let (path, is_there) = watched.wait(self.file_of(segment, &fetched)).await?;
            there.push(is_there.then(|| path.clone()));
            pieces.push(Piece { path, starts_at: segment.starts_at });
        }
        let (folder, stem, watching) = (scratch.to_owned(), stem.to_owned(), watched.clone());
        let (from, until) = (stretch.from, stretch.until);
        let cutting = blocking(move || {
            let cut = video::cut_while(&pieces, from, until, &folder, &stem, &|| watching.goes_on());
            (cut, pieces)
        });
        // Meanwhile the files are read once more, to tell whether they are the ones that were recorded.
        let (cut, hashes) = tokio::join!(cutting, hashes_of(there, watched));
        let (cut, pieces) = cut?;
        for fetched in pieces.iter().filter(|piece| piece.path.starts_with(scratch)) {
            let _ = fs::remove_file(&fetched.path);
        }
        let cut = cut?;
        let mut notes = Vec::new();
        for ((place, segment), hash) in stretch.segments.iter().enumerate().zip(hashes?) {
            let starts = segment.starts_at;
            match hash {
                None => notes.push((place, format!("the recorded file of {starts} is gone"))),
                Some(hash) if hash != segment.sha256 => {
                    notes.push((place, format!("the recorded file of {starts} is not the one that was recorded")));
                }
                Some(_) => {}
            }
        }
        let told: BTreeSet<usize> = notes.iter().map(|(place, _)| *place).collect();
        notes.extend(cut.notes.into_iter().filter(|(place, _)| !told.contains(place)).map(|(place, note)| {
            let starts = stretch.segments.get(place).map_or(stretch.from, |s| s.starts_at);
            (place, format!("the recorded file of {starts} is {note}"))
        }));
        Ok((cut.clips, notes))
    }

    /// Where a recorded file can be read: in its place where that is on this machine, else copied to `to`; and whether it is
    /// there at all.
    async fn file_of(&self, segment: &Segment, to: &Path) -> Result<(PathBuf, bool), ExportError> {
        // What waits on this machine is taken from there; a moment later it may be in the store instead.
        let waiting = self.recording.get().and_then(|recording| recording.spooled(segment.id));
        if waiting.is_some_and(|file| fs::hard_link(&file, to).or_else(|_| fs::copy(&file, to).map(drop)).is_ok()) {
            return Ok((to.to_owned(), true));
        }
        let Some(key) = key_of_url(&segment.video_url) else { return Ok((to.to_owned(), false)) };
        if let Some(path) = self.stores.objects.local_file(key) {
            let there = fs::metadata(&path);
            return match there {
                Ok(_) => Ok((path, true)),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok((path, false)),
                Err(e) => Err(ExportError::Store(io_error(&path, &e))),
            };
        }
        Ok((to.to_owned(), self.stores.objects.get_to_file(key, to).await?))
    }
}

/// Makes the copy of a clip with the boxes drawn; returns its name in the package.
pub(super) async fn burn(
    clip: &video::Clip,
    tracklets: &[Tracklet],
    colour: [u8; 3],
    items: &mut Vec<Item>,
    watched: &Watched,
) -> Result<String, ExportError> {
    let stem = clip.path.file_stem().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let drawn = clip.path.with_file_name(format!("{stem}-boxes.mp4"));
    let track = |t: &Tracklet| BoxTrack { frame: t.frame, path: t.path.clone(), colour };
    let tracks = tracklets.iter().map(track).collect();
    let (from, input, output, watching) = (clip.from, clip.path.clone(), drawn.clone(), watched.clone());
    blocking(move || video::burn(&input, from, tracks, &output, &|| watching.goes_on())).await??;
    let name = format!("videos/{stem}-boxes.mp4");
    items.push(Item::File(name.clone(), drawn));
    Ok(name)
}

/// SHA-256 of each file that is there, hexadecimal.
async fn hashes_of(files: Vec<Option<PathBuf>>, watched: &Watched) -> Result<Vec<Option<String>>, ExportError> {
    let watching = watched.clone();
    let hash = move |path: PathBuf| match watching.goes_on() {
        true => sha256_of(&path).map_err(|e| ExportError::Store(io_error(&path, &e))),
        false => Err(ExportError::Cancelled),
    };
    blocking(move || files.into_iter().map(|file| file.map(&hash).transpose()).collect()).await?
}
