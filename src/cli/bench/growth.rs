//! How the tracker's cost grows with the number of people in view.
use crate::{
    model::{Descriptor, DescriptorKind, Rect, Timestamp},
    tracking::{Observation, Tracker, TrackerConfig},
};
use serde_json::json;
use std::time::Instant;

/// The view, pixels: a thousand people cover half of it.
const VIEW: (f32, f32) = (3840.0, 2160.0);
const BOX: (f32, f32) = (40.0, 100.0);
/// Length of an appearance vector, as the colour stripes have it.
const LOOK: usize = 128;
const FPS: i64 = 10;
/// Frames until all tracks are confirmed, and frames that are timed.
const FIRST: i64 = 20;
const TIMED: i64 = 60;

/// Milliseconds a frame for each number of people who walk about, one in twenty not detected on a frame, with their looks.
pub(super) fn measure(people: &[usize]) -> serde_json::Value {
    let rows: Vec<(usize, f64, usize)> = people.iter().map(|n| cost(*n)).collect();
    let each = rows.first().map_or(0.0, |(n, ms, _)| ms / *n as f64);
    let rows: Vec<_> = rows
        .into_iter()
        .map(|(n, ms, tracks)| {
            let per_person = ms / n.max(1) as f64;
            json!({ "people": n, "tracks": tracks, "ms_a_frame": ms, "us_a_person": per_person * 1e3, "times_the_first": per_person / each })
        })
        .collect();
    json!({ "bench": "growth", "view": [VIEW.0, VIEW.1], "frames": TIMED, "costs": rows })
}

fn cost(people: usize) -> (usize, f64, usize) {
    let mut random = Random(people as u64 + 1);
    let mut walkers: Vec<Walker> = (0..people).map(|_| Walker::new(&mut random)).collect();
    let mut tracker = Tracker::new(TrackerConfig { frame: Some(VIEW), ..TrackerConfig::nanodet() });
    let (mut seconds, mut tracks) = (0.0, 0);
    for frame in 0..FIRST + TIMED {
        let mut boxes = Vec::with_capacity(people);
        for walker in &mut walkers {
            walker.walk();
            if random.unit() > 0.05 {
                let jitter = [random.unit() * 3.0 - 1.5, random.unit() * 3.0 - 1.5];
                let rect = Rect::new(walker.at[0] + jitter[0], walker.at[1] + jitter[1], BOX.0, BOX.1);
                boxes.push((rect, 0.5 + 0.4 * random.unit(), &walker.look));
            }
        }
        let observations: Vec<_> = boxes
            .iter()
            .map(|(rect, score, look)| Observation { rect: *rect, score: *score, descriptor: Some(look) })
            .collect();
        let start = Instant::now();
        let step = tracker.step(Timestamp(frame * 1_000_000 / FPS), &observations);
        if frame >= FIRST {
            seconds += start.elapsed().as_secs_f64();
        }
        tracks = step.tracks.len();
    }
    (people, seconds * 1e3 / TIMED as f64, tracks)
}

struct Walker {
    at: [f32; 2],
    step: [f32; 2],
    look: Descriptor,
}

impl Walker {
    fn new(random: &mut Random) -> Self {
        let mut look: Vec<f32> = (0..LOOK).map(|_| random.unit()).collect();
        let length = look.iter().map(|v| v * v).sum::<f32>().sqrt();
        look.iter_mut().for_each(|v| *v /= length);
        Self {
            at: [random.unit() * (VIEW.0 - BOX.0), random.unit() * (VIEW.1 - BOX.1)],
            step: [random.unit() * 12.0 - 6.0, random.unit() * 6.0 - 3.0],
            look: Descriptor { kind: DescriptorKind::ColourStripes, vector: look.into() },
        }
    }

    /// One step; turns back at the edge of the view.
    fn walk(&mut self) {
        for ((at, step), most) in self.at.iter_mut().zip(&mut self.step).zip([VIEW.0 - BOX.0, VIEW.1 - BOX.1]) {
            *at += *step;
            if *at < 0.0 || *at > most {
                *step = -*step;
                *at = at.clamp(0.0, most);
            }
        }
    }
}

/// A generator of its own, so that every run has the same crowd (Knuth's linear congruential generator, MMIX).
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1u64 << 24) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crowd_is_followed() {
        let (people, _, tracks) = cost(50);
        assert!((45..=60).contains(&tracks), "{tracks} tracks of {people} people");
    }
}
