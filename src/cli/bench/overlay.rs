//! How well drawn boxes lie on people: the box at the displayed frame's time against ground truth, when few frames are analysed and
//! when all are; and the detector's average precision on the same frames.
use super::truth;
use crate::{
    model::{Class, Descriptor, Detection, Rect, Timestamp, Track},
    tracking::{Observation, Tracker, TrackerConfig},
    video::try_read_file,
    vision::{Appearance, Compute, Detector, DetectorConfig, DeviceChoice, describe_persons},
};
use anyhow::bail;
use serde_json::json;
use std::{ops::ControlFlow, path::Path};

/// A drawn box and a true one are of one person when they overlap this much (IoU).
const SAME: f32 = 0.3;

struct Seen {
    at: Timestamp,
    persons: Vec<Detection>,
    descriptors: Vec<Option<Descriptor>>,
    truth: Vec<Rect>,
}

pub(super) fn measure(video: &Path, gt: &Path, fps: f64, models: &Path) -> anyhow::Result<serde_json::Value> {
    let compute = Compute::choose(DeviceChoice::Auto, 1)?;
    let detector = Detector::load(models, compute, DetectorConfig::default())?;
    let appearance = Appearance::load(models, compute)?;
    let truth = truth(gt)?;
    let mut frames: Vec<Seen> = Vec::new();
    let mut size = (0.0, 0.0);
    try_read_file(video, |frame| {
        size = (frame.width() as f32, frame.height() as f32);
        let found = detector.detect(std::slice::from_ref(&frame))?.pop().unwrap_or_default();
        let persons: Vec<_> = found.into_iter().filter(|d| d.class == Class::Person).collect();
        let descriptors = describe_persons(&appearance, &frame, &persons)?;
        let people = truth.get(&(frames.len() as u32 + 1)).map(Vec::as_slice).unwrap_or_default();
        let truth = people.iter().map(|(_, rect)| *rect).collect();
        frames.push(Seen { at: frame.captured_at(), persons, descriptors, truth });
        anyhow::Ok(ControlFlow::Continue(()))
    })?;
    if frames.iter().all(|f| f.truth.is_empty()) {
        bail!("{} says nothing of {}", gt.display(), video.display());
    }
    let (every, few) = (overlay(&frames, size, f64::INFINITY), overlay(&frames, size, fps));
    Ok(json!({
        "bench": "overlay", "frames": frames.len(), "fps": fps, "appearance": appearance.name(),
        "person_ap50": average_precision(&frames),
        "every_frame": { "mean_iou": every.0, "drawn": every.1 }, "few_frames": { "mean_iou": few.0, "drawn": few.1 },
        "ratio": few.0 / every.0, "ratio_of_drawn": few.1 / every.1,
    }))
}

/// Mean over all true boxes of the IoU with the drawn box of that person: 0 where none is drawn; and the same over those alone that
/// have one. At most `fps` frames a second are analysed; boxes are drawn on all.
fn overlay(frames: &[Seen], size: (f32, f32), fps: f64) -> (f64, f64) {
    let mut tracker = Tracker::new(TrackerConfig { frame: Some(size), ..TrackerConfig::nanodet() });
    let mut tracks: Vec<Track> = Vec::new();
    let mut analysed: Option<Timestamp> = None;
    let (mut sum, mut people, mut drawn) = (0.0f64, 0u32, 0u32);
    for frame in frames {
        // As the wall's path does: a frame that comes a little early counts.
        if analysed.is_none_or(|t| frame.at.seconds_since(t) >= 0.9 / fps) {
            analysed = Some(frame.at);
            let observations: Vec<_> = frame
                .persons
                .iter()
                .zip(&frame.descriptors)
                .map(|(d, descriptor)| Observation { rect: d.rect, score: d.score, descriptor: descriptor.as_ref() })
                .collect();
            tracks = tracker.step(frame.at, &observations).tracks;
        }
        let boxes: Vec<Rect> = tracks.iter().filter_map(|t| t.rect_at(frame.at)?.clamped(size.0, size.1)).collect();
        let mut pairs: Vec<(f32, usize, usize)> = Vec::new();
        for (i, truth) in frame.truth.iter().enumerate() {
            let overlaps = boxes.iter().enumerate().map(|(j, b)| (truth.iou(b), i, j));
            pairs.extend(overlaps.filter(|(iou, ..)| *iou >= SAME));
        }
        for (iou, ..) in greedy(pairs) {
            sum += f64::from(iou);
            drawn += 1;
        }
        people += frame.truth.len() as u32;
    }
    (sum / f64::from(people.max(1)), sum / f64::from(drawn.max(1)))
}

/// The best pairs, each side once.
fn greedy(mut pairs: Vec<(f32, usize, usize)>) -> Vec<(f32, usize, usize)> {
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
    let mut taken: Vec<(f32, usize, usize)> = Vec::new();
    for pair in pairs {
        if taken.iter().all(|t| t.1 != pair.1 && t.2 != pair.2) {
            taken.push(pair);
        }
    }
    taken
}

/// Average precision of persons at IoU .5: the area under precision over recall, precision made to fall (PASCAL VOC 2010).
fn average_precision(frames: &[Seen]) -> f64 {
    let people: usize = frames.iter().map(|f| f.truth.len()).sum();
    let mut hits: Vec<(f32, bool)> = Vec::new();
    for frame in frames {
        let mut free: Vec<bool> = vec![true; frame.truth.len()];
        for person in &frame.persons {
            let best = frame
                .truth
                .iter()
                .zip(&mut free)
                .filter(|(_, free)| **free)
                .map(|(t, free)| (t.iou(&person.rect), free));
            let best = best.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(iou, _)| *iou >= 0.5);
            hits.push((person.score, best.is_some()));
            if let Some((_, free)) = best {
                *free = false;
            }
        }
    }
    hits.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut found, mut curve) = (0.0f64, Vec::new());
    for (rank, (_, hit)) in hits.iter().enumerate() {
        found += f64::from(u8::from(*hit));
        curve.push((found / people.max(1) as f64, found / (rank + 1) as f64));
    }
    let (mut area, mut best, mut recall) = (0.0, 0.0f64, curve.last().map_or(0.0, |(r, _)| *r));
    for (r, p) in curve.into_iter().rev() {
        area += (recall - r) * best;
        best = best.max(p);
        recall = r;
    }
    area + recall * best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(i: i64, x: f32, scores: &[(f32, f32)]) -> Seen {
        let persons: Vec<_> = scores
            .iter()
            .map(|(x, score)| Detection { rect: Rect::new(*x, 10.0, 20.0, 60.0), score: *score, class: Class::Person })
            .collect();
        let descriptors = vec![None; persons.len()];
        Seen { at: Timestamp(i * 40_000), persons, descriptors, truth: vec![Rect::new(x, 10.0, 20.0, 60.0)] }
    }

    #[test]
    fn average_precision_of_known_rankings() {
        assert!((average_precision(&[seen(0, 0.0, &[(0.0, 0.9)])]) - 1.0).abs() < 1e-9);
        // Two people; ranked: hit, miss, hit.
        let frames = [seen(0, 0.0, &[(0.0, 0.9), (100.0, 0.8)]), seen(1, 0.0, &[(0.0, 0.7)])];
        assert!((average_precision(&frames) - (0.5 + 0.5 * 2.0 / 3.0)).abs() < 1e-9, "{}", average_precision(&frames));
        assert_eq!(average_precision(&[seen(0, 0.0, &[])]), 0.0);
    }

    #[test]
    fn somebody_who_walks_evenly_is_boxed_as_well_with_few_analysed_frames() {
        let frames: Vec<_> = (0..100).map(|i| seen(i, 2.0 * i as f32, &[(2.0 * i as f32, 0.8)])).collect();
        let (every, few) = (overlay(&frames, (640.0, 480.0), f64::INFINITY), overlay(&frames, (640.0, 480.0), 5.0));
        assert!(every.0 > 0.9 && few.0 > 0.85, "{every:?} {few:?}");
    }
}
