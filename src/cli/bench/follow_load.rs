//! What following costs: many suspects, cameras and people, without the vision before it.
use crate::{
    follow::{Event, FollowConfig, Follower, Observed, Topology},
    model::{CameraId, Descriptor, DescriptorKind, Rect, Suspect, Timestamp, Track, TrackId},
};
use serde_json::json;
use std::time::Duration;
use uuid::Uuid;

/// How much is to be followed.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Load {
    /// Suspects
    #[arg(long, default_value_t = 100)]
    suspects: u32,
    /// Cameras
    #[arg(long, default_value_t = 64)]
    cameras: u32,
    /// People in view of each camera
    #[arg(long, default_value_t = 50)]
    people: u32,
    /// Analysed frames a second of each camera
    #[arg(long, default_value_t = 5.0)]
    fps: f64,
    /// Seconds of the site's time
    #[arg(long, default_value_t = 20.0)]
    seconds: f64,
    /// The views of so many cameras at a time overlap
    #[arg(long, default_value_t = 1)]
    overlapping: usize,
    /// Numbers in an appearance vector
    #[arg(long, default_value_t = 256)]
    length: usize,
}

/// Share of all vectors that strangers have in common: their similarity is about the square of it, as with real ones.
const COMMON: f32 = 0.6;
/// Share of the picture's noise in one look.
const NOISE: f32 = 0.35;
/// Looks of each suspect.
const GALLERY: u64 = 12;
/// One in so many people is a suspect.
const ONE_IN: u64 = 40;
/// How long somebody stays in view, frames.
const STAY: u64 = 100;

/// Everybody is seen well on every frame, which is the worst; a look is never the same twice. People stay 100 frames; one in 40
/// is a suspect. `cpu` says how many seconds of a processor this process has used.
pub(super) fn measure(load: &Load, cpu: impl Fn() -> f64) -> serde_json::Value {
    let noises: Vec<Vec<f32>> = (0..997u64).map(|i| noise(1_000_000 + i, load.length)).collect();
    let common = noise(0, load.length);
    // A person's own vector, mixed with what all have in common and what one look brings.
    let own: Vec<Vec<f32>> = (0..4096u64).map(|i| noise(1 + i, load.length)).collect();
    let look = |person: u64, nth: u64| {
        let person = own.get((person % 4096) as usize).map_or(&[][..], Vec::as_slice);
        let brought = noises.get((nth.wrapping_mul(7_919) % 997) as usize).map_or(&[][..], Vec::as_slice);
        let mixed = common.iter().zip(person).zip(brought);
        let vector: Vec<f32> =
            mixed.map(|((c, p), n)| COMMON * c + (1.0 - COMMON * COMMON).sqrt() * p + NOISE * n).collect();
        let norm = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
        Descriptor { kind: DescriptorKind::Learned, vector: vector.iter().map(|v| v / norm).collect() }
    };
    let mut follower = Follower::new(FollowConfig::default(), |id| id.to_string());
    let cameras: Vec<CameraId> = (1..=u128::from(load.cameras)).map(Uuid::from_u128).collect();
    follower.set_topology(Topology::new(cameras.chunks(load.overlapping.max(1)).map(<[CameraId]>::to_vec), []));
    for i in 0..u64::from(load.suspects) {
        follower.follow(suspect(i, (0..GALLERY).map(|n| look(i, n * 31 + i)).collect()));
    }
    let frames = (load.seconds * load.fps) as u64;
    let step = Duration::try_from_secs_f64(1.0 / load.fps.max(0.01)).unwrap_or(Duration::from_millis(200));
    let (mut used, mut alerts, mut listed) = (0.0, 0u64, 0u64);
    for frame in 0..frames {
        let at = Timestamp(0).plus(step * u32::try_from(frame).unwrap_or(u32::MAX));
        for camera in 0..u64::from(load.cameras) {
            let id: CameraId = Uuid::from_u128(u128::from(camera) + 1);
            let (mut tracks, mut looks, mut ended) = (Vec::new(), Vec::new(), Vec::new());
            for place in 0..u64::from(load.people) {
                // Not all leave at once.
                let (stay, age) = ((frame + 7 * place) / STAY, (frame + 7 * place) % STAY);
                let number = stay * u64::from(load.people) + place;
                if age == 0 && stay > 0 {
                    ended.push(TrackId(number - u64::from(load.people)));
                }
                let who = number.wrapping_mul(31).wrapping_add(camera * 977);
                let person = if who.is_multiple_of(ONE_IN) {
                    (who / ONE_IN) % u64::from(load.suspects.max(1))
                } else {
                    u64::from(load.suspects) + who
                };
                looks.push(look(person, number.wrapping_mul(13) + age * 101 + camera));
                tracks.push(Track {
                    id: TrackId(number),
                    rect: Rect::new(40.0 * place as f32, 50.0, 30.0, 90.0),
                    velocity: [0.0; 2],
                    at,
                    measured_at: at,
                    first_seen: Timestamp(at.0 - (step * u32::try_from(age).unwrap_or(0)).as_micros() as i64),
                    score: 0.8,
                    hits: 10,
                });
            }
            let observed: Vec<Observed<'_>> = tracks
                .iter()
                .zip(&looks)
                .map(|(track, d)| Observed { track, descriptor: Some(d), stands: true })
                .collect();
            let before = cpu();
            ended.into_iter().for_each(|track| drop(follower.track_ended(id, track)));
            for event in follower.observe(id, at, &observed) {
                alerts += u64::from(matches!(event, Event::Alert(_)));
                listed += u64::from(matches!(event, Event::Opened(_)));
            }
            used += cpu() - before;
        }
    }
    let seconds = frames as f64 / load.fps.max(0.01);
    json!({
        "bench": "follow-load", "suspects": load.suspects, "cameras": load.cameras, "people_in_view": load.people, "fps": load.fps,
        "overlapping": load.overlapping, "grounds": follower.grounds().len(),
        "site_seconds": seconds, "cpu_s": used, "cores": used / seconds.max(1e-9), "limit": 1.0, "alerts": alerts, "opened": listed,
    })
}

/// A unit vector that follows from a number (SplitMix64; each value the sum of four uniform ones).
fn noise(seed: u64, length: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    let vector: Vec<f32> = (0..length).map(|_| next() + next() + next() + next()).collect();
    let norm = vector.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-9);
    vector.iter().map(|v| v / norm).collect()
}

fn suspect(number: u64, gallery: Vec<Descriptor>) -> Suspect {
    Suspect {
        id: Uuid::from_u128(u128::from(number) + 1),
        label: format!("Suspect {number}"),
        colour: [255, 255, 255],
        reason: "bench".to_owned(),
        marked_by: "bench".to_owned(),
        marked_at: Timestamp(0),
        camera: Uuid::nil(),
        expires_at: Timestamp(i64::MAX),
        ended_at: None,
        crop_url: String::new(),
        gallery,
        characteristics: Default::default(),
        changed_at: Timestamp(0),
        proposed_until: None,
        resumed_at: None,
    }
}
