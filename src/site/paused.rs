//! People on a standing picture of the player: found when it has stood for a moment, so that whoever is clicked on any recorded
//! picture can be marked, analysed before or not.
use super::Shared;
use crate::{
    model::{CameraId, Class, Rect, Timestamp, Track, TrackId},
    supervise::Pulse,
    video::{Frame, What},
    vision::Background,
};
use std::{collections::BTreeMap, time::Duration};

/// A picture stands when it was the same at two looks in a row.
const LOOK_EVERY: Duration = Duration::from_millis(150);
/// Persons below this score are not offered: a person decides, so more of them than the tracker believes.
const LEAST_SCORE: f32 = 0.35;
/// A box that overlaps one of the stored analysis by so much shows the same person.
const SAME_PERSON: f32 = 0.4;

/// What was found on the picture that a camera shows.
pub(super) struct Still {
    /// Which picture.
    at: Timestamp,
    /// The boxes of people, pixels of the picture, with their scores; `None` while it is being looked at.
    people: Option<Vec<(Rect, f32)>>,
}

/// The people of the pictures that stand now.
#[derive(Default)]
pub(super) struct Paused {
    /// What each camera showed at the last look.
    last: BTreeMap<CameraId, Timestamp>,
    found: BTreeMap<CameraId, Still>,
}

impl Paused {
    /// The pictures that have stood for a look and were not looked at yet; from now on they are being looked at. `showing` is what
    /// each camera shows; nothing while the player plays.
    fn due(&mut self, showing: Vec<(CameraId, Frame)>) -> Vec<(CameraId, Frame)> {
        let now: BTreeMap<_, _> = showing.iter().map(|(camera, frame)| (*camera, frame.captured_at())).collect();
        self.found.retain(|camera, still| now.get(camera) == Some(&still.at));
        let due = showing.into_iter().filter(|(camera, frame)| {
            self.last.get(camera) == Some(&frame.captured_at()) && !self.found.contains_key(camera)
        });
        let due: Vec<_> = due.collect();
        self.found.extend(due.iter().map(|(camera, f)| (*camera, Still { at: f.captured_at(), people: None })));
        self.last = now;
        due
    }

    fn put(&mut self, camera: CameraId, at: Timestamp, people: Vec<(Rect, f32)>) {
        if let Some(still) = self.found.get_mut(&camera).filter(|still| still.at == at) {
            still.people = Some(people);
        }
    }

    /// Whether this picture is being looked at.
    pub fn looking(&self, camera: CameraId, frame: &Frame) -> bool {
        self.found.get(&camera).is_some_and(|still| still.at == frame.captured_at() && still.people.is_none())
    }

    /// The people on this picture whom the stored analysis, whose boxes on it are `known`, does not have.
    pub fn others(&self, camera: CameraId, frame: &Frame, known: &[Rect]) -> Vec<Track> {
        let at = frame.captured_at();
        let people = self.found.get(&camera).filter(|still| still.at == at).and_then(|still| still.people.as_ref());
        let others = people
            .into_iter()
            .flatten()
            .zip(1..)
            .filter(|((rect, _), _)| known.iter().all(|other| rect.iou(other) < SAME_PERSON));
        others
            .map(|((rect, score), number)| Track {
                id: TrackId::on_a_still(number),
                rect: *rect,
                velocity: [0.0; 2],
                at,
                measured_at: at,
                first_seen: at,
                score: *score,
                hits: 1,
            })
            .collect()
    }
}

impl Shared {
    /// Looks at pictures of the player as they come to stand, for as long as the site runs.
    pub(super) async fn look_at_paused(&self, background: &Background, pulse: &Pulse) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            pulse.beat();
            let due = self.review.with_player(|player, paused| {
                let standing = player.rate() == 0.0;
                let showing = player.showing().into_iter().filter(|_| standing).filter_map(|(camera, shown)| {
                    let shown = shown.filter(|s| s.what == What::Exact)?;
                    Some((camera, shown.frame?))
                });
                paused.due(showing.collect())
            });
            for (camera, frame) in due.unwrap_or_default() {
                let (background, at) = (background.clone(), frame.captured_at());
                let found = tokio::task::spawn_blocking(move || background.analyse_first(vec![(camera, frame)])).await;
                let people = match found {
                    Ok(Some(Ok(analysed))) => analysed
                        .iter()
                        .flat_map(|a| &a.detections)
                        .filter(|d| d.class == Class::Person && d.score >= LEAST_SCORE)
                        .map(|d| (d.rect, d.score))
                        .collect(),
                    Ok(Some(Err(error))) => {
                        self.error(format!("People could not be looked for on this picture: {error}"));
                        Vec::new()
                    }
                    _ => return, // the console is closing
                };
                self.review.with_player(|_, paused| paused.put(camera, at, people));
            }
        }
    }
}
