//! The best look at everybody who is or was just in view: a small copy of the pixels around the box, so that whoever was clicked at a bad instant
//! can be marked by a better one. Of everybody at most one look, of a camera at most [`MOST`], and nobody for longer than [`FORGOTTEN_AFTER`].
use super::state::Better;
use crate::{
    model::{CameraId, Rect, Timestamp, Track, TrackId},
    video::Frame,
    vision::Look,
};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Tracks of one camera.
const MOST: usize = 64;
/// After a track was last seen, seconds.
const FORGOTTEN_AFTER: f64 = 30.0;
/// A look replaces the kept one when it is better by so much: each costs a copy.
const CLEARLY_BETTER: f32 = 1.2;
/// What is copied around the box, of its sides: as much as a stored crop shows.
const MARGIN: f32 = 0.15;
/// The longest side of a copy, pixels; the networks that look at people take less.
const MOST_SIDE: u32 = 512;

/// The best looks of all cameras.
#[derive(Default)]
pub(super) struct Looks(Mutex<BTreeMap<CameraId, OfCamera>>);

#[derive(Default)]
struct OfCamera {
    usual_sharpness: Option<f32>,
    tracks: BTreeMap<TrackId, Kept>,
}

struct Kept {
    quality: f32,
    last_seen: Timestamp,
    best: Better,
}

impl Looks {
    fn cameras(&self) -> MutexGuard<'_, BTreeMap<CameraId, OfCamera>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the tracks of one frame, and how well those measured on it are seen.
    pub fn take(
        &self,
        camera: CameraId,
        frame: &Frame,
        tracks: &[Track],
        looks: &BTreeMap<TrackId, Look>,
        usual_sharpness: Option<f32>,
    ) {
        let mut cameras = self.cameras();
        let of_camera = cameras.entry(camera).or_default();
        of_camera.usual_sharpness = usual_sharpness;
        of_camera.forget(frame.captured_at());
        for track in tracks {
            if let Some(kept) = of_camera.tracks.get_mut(&track.id) {
                kept.last_seen = track.at;
            }
            let Some(look) = looks.get(&track.id).filter(|look| look.flaw.is_none()) else { continue };
            let kept = of_camera.tracks.get(&track.id);
            if kept.is_some_and(|kept| look.quality <= CLEARLY_BETTER * kept.quality) {
                continue;
            }
            if let Some(best) = copied(frame, track.rect) {
                of_camera.tracks.insert(track.id, Kept { quality: look.quality, last_seen: track.at, best });
                of_camera.shrink();
            }
        }
    }

    /// The best look at a track.
    pub fn best(&self, camera: CameraId, track: TrackId) -> Option<Better> {
        Some(self.cameras().get(&camera)?.tracks.get(&track)?.best.clone())
    }

    /// How sharp crops of a camera usually are.
    pub fn usual_sharpness(&self, camera: CameraId) -> Option<f32> {
        self.cameras().get(&camera)?.usual_sharpness
    }

    /// Forgets whoever was seen too long before `now`, also on cameras that send nothing any more.
    pub fn forget(&self, now: Timestamp) {
        self.cameras().values_mut().for_each(|camera| camera.forget(now));
    }
}

impl OfCamera {
    fn forget(&mut self, now: Timestamp) {
        self.tracks.retain(|_, kept| now.seconds_since(kept.last_seen) <= FORGOTTEN_AFTER);
    }

    /// Where there are too many, whoever has been out of view for longest goes.
    fn shrink(&mut self) {
        while self.tracks.len() > MOST {
            let oldest = self.tracks.iter().min_by_key(|(id, kept)| (kept.last_seen, **id)).map(|(id, _)| *id);
            oldest.and_then(|id| self.tracks.remove(&id));
        }
    }
}

fn copied(frame: &Frame, rect: Rect) -> Option<Better> {
    let part = frame.cut(rect.grown(MARGIN), MOST_SIDE)?;
    let rect = part.in_part(rect);
    Some(Better { at: frame.captured_at(), frame: part, rect })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{video::Color, vision::Flaw};
    use uuid::Uuid;

    const CAMERA: CameraId = Uuid::from_u128(1);

    fn frame(second: i64) -> Frame {
        gstreamer::init().unwrap();
        let bytes: Vec<u8> = (0..640 * 480 * 3 / 2u32).map(|i| (i * 37 % 251) as u8).collect();
        Frame::from_i420(640, 480, &bytes, Color::BT601, 0, Timestamp(second * 1_000_000)).unwrap()
    }

    fn track(id: u64, second: i64) -> Track {
        let at = Timestamp(second * 1_000_000);
        let rect = Rect::new(40.0, 20.0, 30.0, 80.0);
        let (velocity, first_seen) = ([0.0; 2], Timestamp(0));
        Track { id: TrackId(id), rect, velocity, at, measured_at: at, first_seen, score: 0.7, hits: 5 }
    }

    fn take(looks: &Looks, id: u64, second: i64, quality: f32, flaw: Option<Flaw>) {
        let look = Look { quality, good: flaw.is_none(), flaw };
        looks.take(CAMERA, &frame(second), &[track(id, second)], &[(TrackId(id), look)].into(), Some(0.4));
    }

    /// The second of the look that is kept.
    fn kept(looks: &Looks, id: u64) -> Option<i64> {
        looks.best(CAMERA, TrackId(id)).map(|better| better.at.0 / 1_000_000)
    }

    #[test]
    fn the_best_look_is_kept_and_a_poor_or_hardly_better_one_is_not() {
        let looks = Looks::default();
        take(&looks, 1, 1, 10.0, Some(Flaw::Covered));
        assert_eq!(kept(&looks, 1), None);
        take(&looks, 1, 2, 1.0, None);
        take(&looks, 1, 3, 1.1, None);
        assert_eq!(kept(&looks, 1), Some(2));
        take(&looks, 1, 4, 1.5, None);
        take(&looks, 1, 5, 9.0, Some(Flaw::Blurred));
        assert_eq!(kept(&looks, 1), Some(4));
        assert_eq!(looks.usual_sharpness(CAMERA), Some(0.4));
    }

    #[test]
    fn a_look_is_a_small_copy_that_knows_where_it_was() {
        let looks = Looks::default();
        take(&looks, 1, 1, 1.0, None);
        let better = looks.best(CAMERA, TrackId(1)).unwrap();
        assert!(better.frame.width() < 50 && better.frame.height() < 120, "{:?}", better.frame);
        assert_eq!(better.frame.in_whole(better.rect), track(1, 1).rect);
        assert_eq!(better.frame.picture(better.rect, 100), frame(1).picture(track(1, 1).rect, 100));
    }

    #[test]
    fn whoever_is_gone_is_forgotten_and_a_crowd_does_not_grow_without_end() {
        let looks = Looks::default();
        for id in 0..80 {
            take(&looks, id, 1 + i64::try_from(id).unwrap() / 8, 1.0, None);
        }
        let there = (0..80).filter(|id| kept(&looks, *id).is_some()).count();
        assert_eq!((there, kept(&looks, 0), kept(&looks, 79)), (MOST, None, Some(10)));
        // One is still seen, though never better; the others have gone.
        take(&looks, 79, 35, 0.1, None);
        looks.forget(Timestamp(41_000_000));
        assert_eq!((kept(&looks, 79), kept(&looks, 78)), (Some(10), None));
        looks.forget(Timestamp(66_000_000));
        assert_eq!(kept(&looks, 79), None);
    }
}
