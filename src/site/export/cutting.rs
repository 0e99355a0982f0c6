//! The video of a package: recorded files are fetched from the objects and the stretches cut out of them, as they were encoded.
use super::{ExportError, blocking, stretches::Stretch};
use crate::{
    evidence::Item,
    model::Tracklet,
    site::{SiteError, records::Records},
    store::key_of_url,
    video::{self, BoxTrack, Piece},
    vision::sha256_of,
};
use std::{collections::BTreeSet, fs, path::Path};

impl Records {
    /// Fetches the files of a stretch and cuts it out of them; what is wrong with a file is noted by its place.
    pub(super) async fn cut(
        &self,
        stretch: &Stretch,
        scratch: &Path,
        stem: &str,
        go_on: &(dyn Fn() -> Result<(), ExportError> + Send + Sync),
    ) -> Result<(Vec<video::Clip>, Vec<(usize, String)>), ExportError> {
        let mut pieces = Vec::new();
        let mut notes = Vec::new();
        for (place, segment) in stretch.segments.iter().enumerate() {
            go_on()?;
            let path = scratch.join(format!("segment-{place}"));
            let there = match key_of_url(&segment.video_url) {
                Some(key) => self.stores.objects.get_to_file(key, &path).await?,
                None => false,
            };
            if !there {
                notes.push((place, format!("the recorded file of {} is gone", segment.starts_at)));
            } else if hash_of(&path).await? != segment.sha256 {
                notes.push((
                    place,
                    format!("the recorded file of {} is not the one that was recorded", segment.starts_at),
                ));
            }
            pieces.push(Piece { path, starts_at: segment.starts_at });
        }
        let (folder, stem) = (scratch.to_owned(), stem.to_owned());
        let (from, until) = (stretch.from, stretch.until);
        let cut = blocking(move || {
            let cut = video::cut(&pieces, from, until, &folder, &stem);
            for piece in &pieces {
                let _ = fs::remove_file(&piece.path);
            }
            cut
        })
        .await??;
        let gone: BTreeSet<usize> = notes.iter().map(|(place, _)| *place).collect();
        notes.extend(cut.notes.into_iter().filter(|(place, _)| !gone.contains(place)).map(|(place, note)| {
            let starts = stretch.segments.get(place).map_or(stretch.from, |s| s.starts_at);
            (place, format!("the recorded file of {starts} is {note}"))
        }));
        Ok((cut.clips, notes))
    }
}

/// Makes the copy of a clip with the boxes drawn; returns its name in the package.
pub(super) async fn burn(
    clip: &video::Clip,
    tracklets: &[Tracklet],
    colour: [u8; 3],
    items: &mut Vec<Item>,
) -> Result<String, ExportError> {
    let stem = clip.path.file_stem().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let drawn = clip.path.with_file_name(format!("{stem}-boxes.mp4"));
    let track = |t: &Tracklet| BoxTrack { frame: t.frame, path: t.path.clone(), colour };
    let tracks = tracklets.iter().map(track).collect();
    let (from, input, output) = (clip.from, clip.path.clone(), drawn.clone());
    blocking(move || video::burn(&input, from, tracks, &output)).await??;
    let name = format!("videos/{stem}-boxes.mp4");
    items.push(Item::File(name.clone(), drawn));
    Ok(name)
}

/// SHA-256 of a file, hexadecimal.
pub(super) async fn hash_of(path: &Path) -> Result<String, ExportError> {
    let path = path.to_owned();
    let hashed = blocking(move || sha256_of(&path));
    Ok(hashed.await?.map_err(SiteError::Threads)?)
}
