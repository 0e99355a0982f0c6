//! Following across cameras against ground truth: over the demo's virtual cameras, and from one room into another.
use super::super::{
    prerequisites, simulate,
    views::{Seen, look},
};
use crate::{
    follow::{Event, FollowConfig, Follower, Gallery, Grounds, Observed, Topology, stands_in_view},
    model::{CameraId, Decision, Descriptor, Rect, Suspect, Timestamp, Track, TrackId},
    vision::{Appearance, Detector},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    path::Path,
};
use uuid::Uuid;

/// Who is where on each frame, counted from 1.
type People = BTreeMap<u32, Vec<(u32, Rect)>>;

/// A track shows whom it overlaps so much (IoU).
const SAME_PLACE: f32 = 0.5;
/// Good crops of a track before somebody is marked on it.
const CROPS: u32 = 4;

/// Several cameras at one time.
struct Scene {
    /// What each saw; `Seen::frame` counts from the scene's begin.
    views: Vec<Vec<Seen>>,
    /// Who is in view of each, in its pixels.
    truth: Vec<People>,
    /// A frame, microseconds.
    frame_us: i64,
    /// Every so many frames one is analysed.
    every: u32,
    /// Whether every two views overlap.
    overlapping: bool,
}

/// Whom an operator marks, and how the operator goes on.
#[derive(Clone, Copy)]
struct Plan<'a> {
    marks: fn(u32) -> bool,
    /// Decides every alert rightly at once.
    decides: bool,
    /// What is known beforehand of views that overlap; `None` where nothing is to be learned of them either.
    grounds: Option<&'a Grounds>,
}

/// Every second frame (5 a second) of each of the four views goes through detector, tracker and quality gate; every second person of the ground
/// truth is marked as soon as it is seen well, and then followed through all views, unattended and with an operator who decides
/// rightly; then the same with the other half of the people marked, and both together are told: one person lost early on moves the
/// numbers of one half much. The views overlap and share one sensor: real cameras are harder. How views lie to each other is learned on the way, as a site does,
/// and never from the ground truth; what that gives is told by the same runs without it. Constants were chosen by the first half, but
/// with the results of the second in sight, so that neither half proves how it goes elsewhere.
/// Then the man of the two rooms, where their footage and `labels` are there.
pub(super) fn measure(
    truth: &People,
    labels: &Path,
    detector: &Detector,
    appearance: &Appearance,
) -> anyhow::Result<Value> {
    let mut views = Vec::new();
    for camera in simulate::demo_cameras()? {
        views.push(look(&camera.file, 2, 100_000, detector, appearance)?);
    }
    let truth = (0..views.len()).map(|view| in_view(truth, view)).collect();
    let demo = Scene { views, truth, frame_us: 100_000, every: 2, overlapping: true };
    let nothing = Grounds::new();
    let all = Plan { marks: |_| true, decides: false, grounds: Some(&nothing) };
    let last = demo.views.iter().flatten().map(|seen| seen.frame).max().unwrap_or(0);
    // The odd people marked, then the even ones; and what the views taught of places on the way, whoever is marked.
    let halves = |frames: Range<u32>, plan: Plan<'_>| {
        let (odd, grounds) = run(&demo, frames.clone(), Plan { marks: |id| id % 2 == 1, ..plan });
        let (even, _) = run(&demo, frames, Plan { marks: |id| id % 2 == 0, ..plan });
        (odd.and(even).told(), grounds)
    };
    let both = |frames: Range<u32>, plan: Plan<'_>| {
        let (unattended, grounds) = halves(frames.clone(), plan);
        let (with_operator, _) = halves(frames, Plan { decides: true, ..plan });
        (json!({ "unattended": unattended, "with_operator": with_operator }), grounds)
    };
    let (first_half, learned) = both(0..last / 2, all);
    let knowing = Plan { grounds: Some(&learned), ..all };
    let by_looks = Plan { grounds: None, ..all };
    let rooms = match rooms(labels, detector, appearance)? {
        Some([forth, back]) => json!({
            "from_the_first_into_the_second": run(&forth, 0..u32::MAX, all).0.told(),
            "from_the_second_into_the_first": run(&back, 0..u32::MAX, all).0.told(),
        }),
        None => json!("skipped: no such files"),
    };
    Ok(json!({
        "bench": "follow", "appearance": appearance.name(),
        "vtest_four_virtual_cameras_5_fps": {
            "whole": both(0..u32::MAX, all).0, "first_half": first_half, "second_half": both(last / 2..u32::MAX, all).0,
            "second_half_with_what_the_first_taught_of_places": both(last / 2..u32::MAX, knowing).0,
            "by_looks_alone": {
                "whole": both(0..u32::MAX, by_looks).0, "first_half": both(0..last / 2, by_looks).0,
                "second_half": both(last / 2..u32::MAX, by_looks).0,
            },
        },
        "two_rooms_5_fps": rooms,
    }))
}

/// Who is in a window of the demo footage: people of whom nearly all is inside.
fn in_view(truth: &People, view: usize) -> People {
    let Some(window) = simulate::demo_windows().get(view).copied() else { return People::new() };
    let of = |people: &Vec<(u32, Rect)>| {
        let inside = people.iter().filter(|(_, r)| r.intersection(&window).area() > 0.7 * r.area());
        inside.map(|(id, r)| (*id, Rect::new(r.x - window.x, r.y - window.y, r.w, r.h))).collect()
    };
    truth.iter().map(|(frame, people)| (*frame, of(people))).collect()
}

/// Boxes drawn by hand.
#[derive(Deserialize)]
struct Labels {
    rooms: Vec<Room>,
}

/// Frame, left, top, width, height.
type Label = (u32, f32, f32, f32, f32);

#[derive(Deserialize)]
struct Room {
    file: String,
    people: BTreeMap<u32, Vec<Label>>,
}

/// Frames between the two rooms: ten seconds.
const WAY: u32 = 300;

/// The way from the first room into the second, and that from the second into the first.
fn rooms(labels: &Path, detector: &Detector, appearance: &Appearance) -> anyhow::Result<Option<[Scene; 2]>> {
    let Ok(text) = std::fs::read_to_string(labels) else { return Ok(None) };
    let labels: Labels = serde_json::from_str(&text)?;
    let mut scenes = Vec::new();
    for turned in [false, true] {
        let (mut views, mut truth, mut begin) = (Vec::new(), Vec::new(), 0);
        let mut order: Vec<&Room> = labels.rooms.iter().collect();
        if turned {
            order.reverse();
        }
        for room in order {
            let file = prerequisites::footage(&room.file);
            if !file.is_file() {
                return Ok(None);
            }
            let mut seen = look(&file, 6, 33_333, detector, appearance)?;
            let length = seen.last().map_or(0, |s| s.frame);
            for s in &mut seen {
                s.frame += begin;
                let later = std::time::Duration::from_micros(u64::from(begin) * 33_333);
                for (t, _) in &mut s.people {
                    (t.at, t.measured_at, t.first_seen) =
                        (t.at.plus(later), t.measured_at.plus(later), t.first_seen.plus(later));
                }
            }
            truth.push(room.people(begin));
            views.push(seen);
            begin += length + WAY;
        }
        scenes.push(Scene { views, truth, frame_us: 33_333, every: 6, overlapping: false });
    }
    Ok(scenes.try_into().ok())
}

impl Room {
    /// Who is where, `begin` frames later, straight between the labels.
    fn people(&self, begin: u32) -> People {
        let mut all = People::new();
        for (id, boxes) in &self.people {
            for (a, b) in boxes.iter().zip(boxes.iter().skip(1)) {
                for frame in a.0..=b.0 {
                    let part = (frame - a.0) as f32 / (b.0 - a.0).max(1) as f32;
                    let mix = |x: f32, y: f32| x + (y - x) * part;
                    let rect = Rect::new(mix(a.1, b.1), mix(a.2, b.2), mix(a.3, b.3), mix(a.4, b.4));
                    let people = all.entry(frame + begin).or_default();
                    people.retain(|(other, _)| other != id);
                    people.push((*id, rect));
                }
            }
        }
        all
    }
}

fn camera(view: usize) -> CameraId {
    Uuid::from_u128(view as u128 + 1)
}

/// Whom a track shows.
fn whom(here: &[(u32, Rect)], track: &Track) -> Option<u32> {
    let best = here.iter().max_by(|a, b| a.1.iou(&track.rect).total_cmp(&b.1.iou(&track.rect)));
    best.filter(|(_, rect)| rect.iou(&track.rect) >= SAME_PLACE).map(|(id, _)| *id)
}

/// What became of the suspects of one run, or of several.
#[derive(Default)]
struct Tally {
    suspects: usize,
    /// Boxes in other views than where somebody was marked: given the right name, given a wrong one, and not given theirs.
    right: u32,
    wrong: u32,
    missed: u32,
    /// Alerts, and what was listed without one.
    true_follows: u32,
    false_follows: u32,
    listed: u32,
    /// How often somebody marked came into another view, and how many seconds it took to be told so, where that was.
    entries: usize,
    delays: Vec<f64>,
    camera_hours: f64,
    grounds: usize,
}

impl Tally {
    fn and(mut self, other: Self) -> Self {
        self.delays.extend(other.delays);
        Self {
            suspects: self.suspects + other.suspects,
            right: self.right + other.right,
            wrong: self.wrong + other.wrong,
            missed: self.missed + other.missed,
            true_follows: self.true_follows + other.true_follows,
            false_follows: self.false_follows + other.false_follows,
            listed: self.listed + other.listed,
            entries: self.entries + other.entries,
            delays: self.delays,
            camera_hours: self.camera_hours + other.camera_hours,
            grounds: self.grounds.max(other.grounds),
        }
    }

    fn told(mut self) -> Value {
        self.delays.sort_by(f64::total_cmp);
        let (tp, fp, fneg) = (f64::from(self.right), f64::from(self.wrong), f64::from(self.missed));
        json!({
            "suspects": self.suspects, "cross_camera_idf1": 2.0 * tp / (2.0 * tp + fp + fneg).max(1.0),
            "id_precision": tp / (tp + fp).max(1.0), "id_recall": tp / (tp + fneg).max(1.0),
            "true_follows": self.true_follows, "false_follows": self.false_follows,
            "listed_without_alert": self.listed.saturating_sub(self.true_follows + self.false_follows),
            "false_follows_per_camera_hour": f64::from(self.false_follows) / self.camera_hours.max(1e-9),
            "entries_into_other_views": self.entries, "found": self.delays.len(),
            "median_s_to_first_correct_alert": self.delays.get(self.delays.len() / 2), "longest_s": self.delays.last(),
            "pairs_of_views_whose_ground_is_known": self.grounds,
        })
    }
}

/// What was measured, and what was learned of views that overlap.
fn run(scene: &Scene, frames: Range<u32>, plan: Plan<'_>) -> (Tally, Grounds) {
    let config = FollowConfig { places: plan.grounds.is_some(), ..FollowConfig::default() };
    let mut follower = Follower::new(config, |id| id.to_string());
    follower.set_grounds(plan.grounds.cloned().unwrap_or_default());
    if scene.overlapping {
        follower.set_topology(Topology::new([(0..scene.views.len()).map(camera).collect()], []));
    }
    let mut crops: BTreeMap<(usize, TrackId), u32> = BTreeMap::new();
    let mut origin: BTreeMap<u32, (usize, TrackId)> = BTreeMap::new();
    // When somebody marked came into another view, and when that was told rightly.
    let mut came: BTreeMap<(u32, usize), Timestamp> = BTreeMap::new();
    let mut told: BTreeMap<(u32, usize), Timestamp> = BTreeMap::new();
    let mut tally = Tally::default();
    let mut order: Vec<(u32, usize, &Seen)> = Vec::new();
    for (view, all) in scene.views.iter().enumerate() {
        order.extend(all.iter().filter(|s| frames.contains(&s.frame)).map(|s| (s.frame, view, s)));
    }
    order.sort_by_key(|(frame, view, _)| (*frame, *view));
    for (frame, view, seen) in &order {
        let (view, at) = (*view, Timestamp(i64::from(*frame) * scene.frame_us));
        let here = scene.truth.get(view).and_then(|t| t.get(frame)).map_or(&[][..], Vec::as_slice);
        let who = |track: &Track| whom(here, track);
        for id in &seen.ended {
            follower.track_ended(camera(view), *id);
        }
        let stands = |track: &Track| stands_in_view(&track.rect, seen.size);
        let observed: Vec<_> = seen
            .people
            .iter()
            .map(|(track, d)| Observed { track, descriptor: d.as_ref(), stands: stands(track) })
            .collect();
        for event in follower.observe(camera(view), at, &observed) {
            tally.listed += u32::from(matches!(event, Event::Opened(_)));
            let Event::Alert(sighting) = event else { continue };
            let truly = seen.people.iter().find(|(t, _)| t.id == sighting.track).and_then(|(t, _)| who(t));
            let same = truly.is_some_and(|id| Uuid::from_u128(id.into()) == sighting.suspect);
            tally.true_follows += u32::from(same);
            tally.false_follows += u32::from(!same);
            if let (true, Some(id)) = (same, truly) {
                told.entry((id, view)).or_insert(at);
            }
            if plan.decides {
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
                    tally.right += 1;
                } else {
                    tally.wrong += 1;
                }
            }
            let count = crops.entry((view, track.id)).or_default();
            *count += u32::from(descriptor.is_some());
            if let Some(id) = truly.filter(|id| (plan.marks)(*id) && !origin.contains_key(id) && *count >= CROPS) {
                let gallery = follower.appearance_of(camera(view), track.id);
                follower.mark(&suspect(id, view, at, gallery), track.id, track.rect);
                origin.insert(id, (view, track.id));
            }
        }
        for (id, _) in here {
            let Some((first_view, first_track)) = origin.get(id) else { continue };
            let shown_by: BTreeSet<TrackId> =
                seen.people.iter().filter(|(t, _)| who(t) == Some(*id)).map(|(t, _)| t.id).collect();
            if *first_view == view && shown_by.contains(first_track) {
                continue;
            }
            came.entry((*id, view)).or_insert(at);
            let found =
                shown_by.iter().any(|t| taken.get(t).is_some_and(|m| m.suspect == Uuid::from_u128((*id).into())));
            tally.missed += u32::from(!found);
        }
    }
    tally.suspects = origin.len();
    tally.entries = came.len();
    tally.delays = came.iter().filter_map(|(key, since)| Some(told.get(key)?.seconds_since(*since))).collect();
    tally.camera_hours = order.len() as f64 * f64::from(scene.every) * scene.frame_us as f64 / 3.6e9;
    tally.grounds = follower.grounds().len();
    (tally, follower.grounds().clone())
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
        resumed_at: None,
    }
}
