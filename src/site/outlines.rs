//! The outlines of the suspects in view: found on the crops of their tracks, kept until they are too old to be true.
//!
//! They are state, not records: under load there are fewer of them, and a box stands in for a missing one.
use crate::{
    model::{CameraId, Outline, Rect, Timestamp, Track, TrackId},
    video::Frame,
    vision::{Outliner, VisionError},
};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// Between two outlines of one track, seconds.
const EVERY_SECONDS: f64 = 0.15;
/// A walking person's outline is wrong after this long, seconds.
const TRUE_FOR_SECONDS: f64 = 0.6;
/// Outlines of one frame, at most.
const A_FRAME: usize = 3;
/// After an outline the analysis goes on with other things for this many times as long as that took.
const REST: u32 = 4;

/// Finds and keeps the outlines of all cameras.
pub(super) struct Outlines {
    outliner: Option<Outliner>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    outlines: BTreeMap<(CameraId, TrackId), (Timestamp, Option<Outline>)>,
    rest_until: Option<Instant>,
}

impl Outlines {
    pub fn new(outliner: Option<Outliner>) -> Self {
        Self { outliner, known: Mutex::default() }
    }

    /// For the status line.
    pub fn describe(&self) -> String {
        match &self.outliner {
            Some(outliner) => format!("outlines: {}", outliner.name()),
            None => "no outlines".to_owned(),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at one person now, whose box on `frame` is `rect`.
    ///
    /// # Errors
    /// The network's trouble.
    pub fn look(&self, camera: CameraId, track: TrackId, frame: &Frame, rect: Rect) -> Result<(), VisionError> {
        let Some(outliner) = &self.outliner else { return Ok(()) };
        let found = outliner.outline(frame, rect)?;
        self.known().outlines.insert((camera, track), (frame.captured_at(), found));
        Ok(())
    }

    /// Looks at those of `tracks` (of `camera`, measured on `frame`) again whose turn it is, the longest not looked at first, as far
    /// as there is time.
    ///
    /// # Errors
    /// The network's trouble; the others are not looked at then.
    pub fn refresh<'a>(
        &self,
        camera: CameraId,
        frame: &Frame,
        tracks: impl Iterator<Item = &'a Track>,
    ) -> Result<(), VisionError> {
        if self.outliner.is_none() {
            return Ok(());
        }
        let at = frame.captured_at();
        let mut waiting: Vec<(Option<Timestamp>, &Track)> = {
            let known = self.known();
            if known.rest_until.is_some_and(|t| Instant::now() < t) {
                return Ok(());
            }
            tracks
                .filter(|track| track.measured_at == at)
                .map(|track| (known.outlines.get(&(camera, track.id)).map(|(at, _)| *at), track))
                .filter(|(last, _)| last.is_none_or(|t| at.seconds_since(t).abs() >= EVERY_SECONDS))
                .collect()
        };
        if waiting.is_empty() {
            return Ok(());
        }
        waiting.sort_by_key(|(last, track)| (*last, track.id));
        let start = Instant::now();
        let result =
            waiting.iter().take(A_FRAME).try_for_each(|(_, track)| self.look(camera, track.id, frame, track.rect));
        self.known().rest_until = Some(Instant::now() + start.elapsed() * REST);
        result
    }

    /// The outline of a track as it is at `at`; `None` where nobody looked lately or nobody was found.
    pub fn of(&self, camera: CameraId, track: TrackId, at: Timestamp) -> Option<Outline> {
        let known = self.known();
        let (seen_at, outline) = known.outlines.get(&(camera, track))?;
        outline.clone().filter(|_| at.seconds_since(*seen_at).abs() <= TRUE_FOR_SECONDS)
    }

    /// Forgets tracks that have ended.
    pub fn forget(&self, camera: CameraId, tracks: &[TrackId]) {
        let mut known = self.known();
        for track in tracks {
            known.outlines.remove(&(camera, *track));
        }
    }
}
