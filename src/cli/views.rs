//! Footage as a site's cameras see it: detector, tracker, appearance and quality gate over whole files.
use crate::{
    model::{Class, Descriptor, Rect, Timestamp, Track, TrackId},
    tracking::{Observation, Tracker, TrackerConfig},
    video::try_read_file,
    vision::{Appearance, Detector, QualityGate, describe_persons},
};
use std::{collections::BTreeMap, ops::ControlFlow, path::Path};

/// What one camera saw on one frame.
pub(super) struct Seen {
    /// Counted from 1.
    pub frame: u32,
    /// Width and height of the picture.
    pub size: (f32, f32),
    /// The tracks, with their look where it is good enough to compare.
    pub people: Vec<(Track, Option<Descriptor>)>,
    /// Tracks that are over.
    pub ended: Vec<TrackId>,
}

/// Every `every`-th frame of a file, the first included; a frame takes `frame_us` microseconds.
///
/// # Errors
/// When the file cannot be read, or the device fails.
pub(super) fn look(
    file: &Path,
    every: u32,
    frame_us: i64,
    detector: &Detector,
    appearance: &Appearance,
) -> anyhow::Result<Vec<Seen>> {
    let mut tracker: Option<Tracker> = None;
    let mut gate = QualityGate::default();
    let (mut all, mut number) = (Vec::new(), 0u32);
    try_read_file(file, |frame| {
        number += 1;
        if !(number - 1).is_multiple_of(every.max(1)) {
            return anyhow::Ok(ControlFlow::Continue(()));
        }
        let size = (frame.width() as f32, frame.height() as f32);
        let tracker = tracker
            .get_or_insert_with(|| Tracker::new(TrackerConfig { frame: Some(size), ..TrackerConfig::nanodet() }));
        let found = detector.detect(std::slice::from_ref(&frame))?.pop().unwrap_or_default();
        let persons: Vec<_> = found.into_iter().filter(|d| d.class == Class::Person).collect();
        let descriptors = describe_persons(appearance, &frame, &persons)?;
        let observations: Vec<_> = persons
            .iter()
            .zip(&descriptors)
            .map(|(d, a)| Observation { rect: d.rect, score: d.score, descriptor: a.as_ref() })
            .collect();
        let step = tracker.step(Timestamp(i64::from(number) * frame_us), &observations);
        let boxes: Vec<Rect> = step.tracks.iter().map(|t| t.rect).collect();
        let looks: BTreeMap<TrackId, &Descriptor> =
            step.matched.iter().zip(&descriptors).filter_map(|(id, d)| Some(((*id)?, d.as_ref()?))).collect();
        let people = step.tracks.into_iter().map(|t| {
            let good = gate.look(&frame, t.rect, &boxes).good;
            let descriptor = looks.get(&t.id).filter(|_| good).map(|d| (*d).clone());
            (t, descriptor)
        });
        all.push(Seen { frame: number, size, people: people.collect(), ended: step.ended });
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(all)
}
