//! Following across the demo's virtual cameras, against the footage's ground truth.
use super::super::simulate;
use crate::{
    follow::{Event, FollowConfig, Follower, Gallery, Observed, Topology},
    model::{CameraId, Class, Decision, Descriptor, Rect, Suspect, Timestamp, Track, TrackId},
    tracking::{Observation, Tracker, TrackerConfig},
    video::read_file,
    vision::{Appearance, Detector, QualityGate, describe_persons},
};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
};
use uuid::Uuid;

/// Who is where on each frame of the footage, counted from 1.
type People = BTreeMap<u32, Vec<(u32, Rect)>>;

/// A frame of the footage, microseconds.
const FRAME: i64 = 100_000;
/// A track shows whom it overlaps so much (IoU).
const SAME_PLACE: f32 = 0.5;
/// Good crops of a track before somebody is marked on it.
const CROPS: u32 = 4;

/// What one camera saw on one frame.
struct Seen {
    frame: u32,
    people: Vec<(Track, Option<Descriptor>)>,
    ended: Vec<TrackId>,
}

/// Every second frame (5 a second) of each of the four views goes through detector, tracker and quality gate; every second person of the ground
/// truth is marked as soon as it is seen well, and then followed through all views, unattended and with an operator who decides
/// rightly. The views overlap and share one sensor: real cameras are harder.
pub(super) fn measure(
    truth: &People,
    detector: &Detector,
    appearance: &Appearance,
) -> anyhow::Result<serde_json::Value> {
    let mut views = Vec::new();
    for camera in simulate::demo_cameras()? {
        views.push(look(&camera.file, detector, appearance)?);
    }
    Ok(json!({
        "bench": "follow", "footage": "vtest, four virtual cameras, 5 frames/s analysed", "appearance": appearance.name(),
        "unattended": run(truth, &views, false), "with_operator": run(truth, &views, true),
    }))
}

fn look(file: &std::path::Path, detector: &Detector, appearance: &Appearance) -> anyhow::Result<Vec<Seen>> {
    let mut tracker: Option<Tracker> = None;
    let mut gate = QualityGate::default();
    let (mut all, mut number, mut failure) = (Vec::new(), 0u32, None);
    read_file(file, |frame| {
        number += 1;
        if number.is_multiple_of(2) {
            return ControlFlow::Continue(());
        }
        let size = (frame.width() as f32, frame.height() as f32);
        let tracker = tracker
            .get_or_insert_with(|| Tracker::new(TrackerConfig { frame: Some(size), ..TrackerConfig::nanodet() }));
        let found = detector.detect(std::slice::from_ref(&frame)).map(|mut f| f.pop().unwrap_or_default());
        let described = found.and_then(|found| {
            let persons: Vec<_> = found.into_iter().filter(|d| d.class == Class::Person).collect();
            Ok((describe_persons(appearance, &frame, &persons)?, persons))
        });
        let (descriptors, persons) = match described {
            Ok(described) => described,
            Err(error) => {
                failure = Some(error);
                return ControlFlow::Break(());
            }
        };
        let observations: Vec<_> = persons
            .iter()
            .zip(&descriptors)
            .map(|(d, a)| Observation { rect: d.rect, score: d.score, descriptor: a.as_ref() })
            .collect();
        let step = tracker.step(Timestamp(i64::from(number) * FRAME), &observations);
        let boxes: Vec<Rect> = step.tracks.iter().map(|t| t.rect).collect();
        let looks: BTreeMap<TrackId, &Descriptor> =
            step.matched.iter().zip(&descriptors).filter_map(|(id, d)| Some(((*id)?, d.as_ref()?))).collect();
        let people = step.tracks.into_iter().map(|t| {
            let good = gate.look(&frame, t.rect, &boxes).good;
            let descriptor = looks.get(&t.id).filter(|_| good).map(|d| (*d).clone());
            (t, descriptor)
        });
        all.push(Seen { frame: number, people: people.collect(), ended: step.ended });
        ControlFlow::Continue(())
    })?;
    failure.map_or(Ok(all), |error| Err(error.into()))
}

/// Who is in a view on a frame, in its pixels: people of whom nearly all is inside.
fn in_view(truth: &People, frame: u32, view: usize) -> Vec<(u32, Rect)> {
    let windows = simulate::demo_windows();
    let (Some(people), Some(window)) = (truth.get(&frame), windows.get(view)) else { return Vec::new() };
    let inside = people.iter().filter(|(_, r)| r.intersection(window).area() > 0.7 * r.area());
    inside.map(|(id, r)| (*id, Rect::new(r.x - window.x, r.y - window.y, r.w, r.h))).collect()
}

fn camera(view: usize) -> CameraId {
    Uuid::from_u128(view as u128 + 1)
}

fn run(truth: &People, views: &[Vec<Seen>], operator: bool) -> serde_json::Value {
    let mut follower = Follower::new(FollowConfig::default(), |id| id.to_string());
    follower.set_topology(Topology::new([(0..views.len()).map(camera).collect()], [])); // as the demo configures them
    let mut crops: BTreeMap<(usize, TrackId), u32> = BTreeMap::new();
    let mut origin: BTreeMap<u32, (usize, TrackId)> = BTreeMap::new();
    // When somebody marked came into another view, and when that was told rightly.
    let mut came: BTreeMap<(u32, usize), Timestamp> = BTreeMap::new();
    let mut told: BTreeMap<(u32, usize), Timestamp> = BTreeMap::new();
    let (mut right, mut wrong, mut missed, mut false_follows, mut true_follows) = (0u32, 0u32, 0u32, 0u32, 0u32);
    let mut listed = 0u32;
    let frames = views.iter().map(Vec::len).min().unwrap_or(0);
    for i in 0..frames {
        for (view, seen) in views.iter().enumerate().filter_map(|(v, all)| Some((v, all.get(i)?))) {
            let at = Timestamp(i64::from(seen.frame) * FRAME);
            let here = in_view(truth, seen.frame, view);
            let who = |track: &Track| {
                let best = here.iter().max_by(|a, b| a.1.iou(&track.rect).total_cmp(&b.1.iou(&track.rect)));
                best.filter(|(_, rect)| rect.iou(&track.rect) >= SAME_PLACE).map(|(id, _)| *id)
            };
            for id in &seen.ended {
                follower.track_ended(camera(view), *id);
            }
            let observed: Vec<_> =
                seen.people.iter().map(|(track, d)| Observed { track, descriptor: d.as_ref() }).collect();
            for event in follower.observe(camera(view), at, &observed) {
                listed += u32::from(matches!(event, Event::Opened(_)));
                let Event::Alert(sighting) = event else { continue };
                let truly = seen.people.iter().find(|(t, _)| t.id == sighting.track).and_then(|(t, _)| who(t));
                let same = truly.is_some_and(|id| Uuid::from_u128(id.into()) == sighting.suspect);
                (true_follows, false_follows) = (true_follows + u32::from(same), false_follows + u32::from(!same));
                if let (true, Some(id)) = (same, truly) {
                    told.entry((id, view)).or_insert(at);
                }
                if operator {
                    let by = "operator".to_owned();
                    let decision = if same { Decision::Confirmed { by, at } } else { Decision::Rejected { by, at } };
                    follower.decide(&sighting, decision);
                }
            }
            let taken = follower.matches(camera(view));
            for (track, descriptor) in &seen.people {
                let truly = who(track);
                let is_origin = truly.is_some_and(|id| origin.get(&id) == Some(&(view, track.id)));
                if let Some(m) = taken.get(&track.id).filter(|_| track.measured_at == track.at && !is_origin) {
                    if truly.is_some_and(|id| Uuid::from_u128(id.into()) == m.suspect) {
                        right += 1;
                    } else {
                        wrong += 1;
                    }
                }
                let count = crops.entry((view, track.id)).or_default();
                *count += u32::from(descriptor.is_some());
                if let Some(id) = truly.filter(|id| id % 2 == 1 && !origin.contains_key(id) && *count >= CROPS) {
                    let gallery = follower.appearance_of(camera(view), track.id);
                    follower.mark(&suspect(id, view, at, gallery), track.id, track.rect);
                    origin.insert(id, (view, track.id));
                }
            }
            for (id, _) in &here {
                let Some((first_view, first_track)) = origin.get(id) else { continue };
                let shown_by: BTreeSet<TrackId> =
                    seen.people.iter().filter(|(t, _)| who(t) == Some(*id)).map(|(t, _)| t.id).collect();
                if *first_view == view && shown_by.contains(first_track) {
                    continue;
                }
                came.entry((*id, view)).or_insert(at);
                let found =
                    shown_by.iter().any(|t| taken.get(t).is_some_and(|m| m.suspect == Uuid::from_u128((*id).into())));
                missed += u32::from(!found);
            }
        }
    }
    let mut delays: Vec<f64> =
        came.iter().filter_map(|(key, since)| Some(told.get(key)?.seconds_since(*since))).collect();
    delays.sort_by(f64::total_cmp);
    let hours = views.len() as f64 * frames as f64 * 2.0 * FRAME as f64 / 3.6e9;
    let (tp, fp, fneg) = (f64::from(right), f64::from(wrong), f64::from(missed));
    json!({
        "suspects": origin.len(), "cross_camera_idf1": 2.0 * tp / (2.0 * tp + fp + fneg).max(1.0),
        "id_precision": tp / (tp + fp).max(1.0), "id_recall": tp / (tp + fneg).max(1.0),
        "true_follows": true_follows, "false_follows": false_follows, "listed_without_alert": listed.saturating_sub(true_follows + false_follows),
        "false_follows_per_camera_hour": f64::from(false_follows) / hours,
        "entries_into_other_views": came.len(), "found": delays.len(),
        "median_s_to_first_correct_alert": delays.get(delays.len() / 2), "longest_s": delays.last(),
    })
}

fn suspect(id: u32, view: usize, at: Timestamp, gallery: Vec<Descriptor>) -> Suspect {
    Suspect {
        id: Uuid::from_u128(id.into()),
        label: format!("Suspect {id}"),
        colour: [255, 255, 255],
        reason: "bench".to_owned(),
        marked_by: "bench".to_owned(),
        marked_at: at,
        camera: camera(view),
        expires_at: Timestamp(i64::MAX),
        ended_at: None,
        crop_url: String::new(),
        gallery: Gallery::new(gallery).vectors().to_vec(),
        characteristics: Default::default(),
        changed_at: at,
        proposed_until: None,
    }
}
