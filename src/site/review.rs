//! Watching recordings: who watches which cameras at which instant, what is shown with the pictures, and the timeline.
//!
//! That somebody watches is an entry before the first picture is shown, and what was watched from when to when one when it ends.
use super::{Shared, state::TrackView};
use crate::{
    model::{
        Action, CameraId, Decision, Gap, MatchView, Outcome, Rect, Rights, Segment, Sighting, Timestamp, Track,
        TrackId, Tracklet, User,
    },
    store::{DetectionCount, StoreError, TrackletFilter},
    sync::Record,
    video::{Frame, Player, What},
};
use serde_json::json;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// At most so many cameras are watched at once.
pub const MOST_CAMERAS: usize = 9;
/// What a live camera's replay begins with, seconds.
pub const REPLAY_SECONDS: u64 = 30;
/// Between two looks at what is watched.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Segments are known this far around the instant shown.
const KNOWN: Duration = Duration::from_secs(4 * 3600);
/// They are asked for again this far before the end of what is known.
const MARGIN: f64 = 1800.0;
/// Near the present there is news so often.
const NEWS_EVERY: Duration = Duration::from_secs(2);
/// Boxes are known this far around the instant shown.
const BOXES: Duration = Duration::from_secs(90);
const MOST_TRACKLETS: u32 = 2000;
/// A box is that of a frame when its instant is at most so far from the frame's, seconds: half of what separates two frames.
const SAME_FRAME: f64 = 0.02;
/// Between two boxes further apart than this nobody knows where a person was, seconds.
const BETWEEN: f64 = 1.0;
/// Sightings of a timeline.
const MOST_SIGHTINGS: u32 = 5000;
/// Columns of a timeline: it is asked for in about as many stretches of time.
const COLUMNS: i64 = 500;
const MINUTE: i64 = 60_000_000;
/// Tracks of recordings have numbers that no live track has.
const OF_A_RECORDING: u64 = 1 << 62;

/// What the screen asks of the player and the timeline.
#[derive(Clone, Debug, PartialEq)]
pub enum ReviewCommand {
    /// Watches these cameras (at most nine) at an instant, standing.
    Open {
        /// In the order shown.
        cameras: Vec<CameraId>,
        /// Which instant.
        at: Timestamp,
    },
    /// Watches the last half minute of a live camera.
    Replay(CameraId),
    /// Ends the watching.
    Close,
    /// Goes to an instant. While `scrubbing`, the next one follows at once.
    Seek {
        /// Which instant.
        to: Timestamp,
        /// Key frames do for now.
        scrubbing: bool,
    },
    /// Plays at so many times the true speed, backwards when negative; 0 stands.
    Play(f64),
    /// Stands and goes so many frames of this camera on, or back.
    Step(CameraId, i32),
    /// Asks for the timeline of all cameras between two instants.
    Timeline(Timestamp, Timestamp),
}

/// What is watched of one camera.
#[derive(Clone, Debug)]
pub struct ChannelView {
    /// Which.
    pub camera: CameraId,
    /// Its picture; none while there is none.
    pub frame: Option<Frame>,
    /// What it is.
    pub what: What,
    /// Where there is no video: why, as far as it is known.
    pub gap: Option<String>,
    /// Where there is no video: when there is again.
    pub next: Option<Timestamp>,
    /// The boxes of this very frame.
    pub tracks: Arc<Vec<TrackView>>,
}

/// What there is of all cameras between two instants.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timeline {
    /// From when.
    pub from: Timestamp,
    /// To when.
    pub until: Timestamp,
    /// Stretches with video.
    pub coverage: Vec<(CameraId, Timestamp, Timestamp)>,
    /// Video that should be there and is not.
    pub gaps: Vec<Gap>,
    /// How many detections in each stretch of [`minutes`](Self::minutes).
    pub counts: Vec<DetectionCount>,
    /// Length of those stretches.
    pub minutes: u32,
    /// Stays of suspects, and possible ones.
    pub sightings: Vec<Sighting>,
}

/// The player and the timeline as the screen shows them.
#[derive(Clone, Debug, Default)]
pub struct ReviewState {
    /// What is watched; empty when nothing is.
    pub channels: Vec<ChannelView>,
    /// The instant shown.
    pub at: Timestamp,
    /// How fast it plays; 0 when it stands.
    pub rate: f64,
    /// The newest timeline that was asked for; `None` before the first.
    pub timeline: Option<Arc<Timeline>>,
}

/// What is watched now, and the timeline.
#[derive(Default)]
pub(super) struct Review {
    viewing: Mutex<Option<Viewing>>,
    /// With the rights under which it was read: it is for no others.
    timeline: Mutex<Option<(Rights, Arc<Timeline>)>>,
}

struct Viewing {
    user: User,
    cameras: Vec<CameraId>,
    player: Player,
    known: Option<(Timestamp, Timestamp, Instant)>,
    starts: Vec<(CameraId, Timestamp)>,
    gaps: Vec<Gap>,
    boxes: Option<(Timestamp, Timestamp, Instant)>,
    tracklets: Arc<Vec<Tracklet>>,
    /// What was shown of each camera.
    watched: BTreeMap<CameraId, Vec<(Timestamp, Timestamp)>>,
}

impl Review {
    fn viewing(&self) -> MutexGuard<'_, Option<Viewing>> {
        self.viewing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn timeline(&self) -> MutexGuard<'_, Option<(Rights, Arc<Timeline>)>> {
        self.timeline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the screen: what these rights allow of it.
    pub fn state(&self, user: &User, rights: &Rights, sightings: &[super::state::SightingView]) -> ReviewState {
        let timeline = self.timeline().as_ref().filter(|(of, _)| of == rights).map(|(_, t)| Arc::clone(t));
        let mut viewing = self.viewing();
        let Some(v) = viewing.as_mut().filter(|v| v.user.cc == user.cc) else {
            return ReviewState { timeline, ..ReviewState::default() };
        };
        let showing = v.player.showing().into_iter().filter(|(camera, _)| rights.allow(*camera));
        let channels = showing.map(|(camera, shown)| {
            let (frame, what, at) = match shown {
                Some(shown) => (shown.frame, shown.what, shown.at),
                None => (None, What::Loading, v.player.position()),
            };
            let nothing = what == What::Nothing;
            let gap = v
                .gaps
                .iter()
                .filter(|_| nothing)
                .find(|g| g.camera == camera && g.from <= at && g.until.is_none_or(|until| at < until));
            let next = v.starts.iter().filter(|(c, s)| nothing && *c == camera && *s > at).map(|(_, s)| *s).min();
            if let Some(frame) = &frame {
                note_watched(&mut v.watched, camera, frame.captured_at());
            }
            let tracks = frame.as_ref().map(|f| boxes(&v.tracklets, camera, f, sightings)).unwrap_or_default();
            ChannelView { camera, frame, what, gap: gap.map(|g| g.reason.clone()), next, tracks: Arc::new(tracks) }
        });
        ReviewState { channels: channels.collect(), at: v.player.position(), rate: v.player.rate(), timeline }
    }
}

/// The boxes of the people on a frame: measured on it, or between two measurements.
fn boxes(
    tracklets: &[Tracklet],
    camera: CameraId,
    frame: &Frame,
    sightings: &[super::state::SightingView],
) -> Vec<TrackView> {
    let at = frame.captured_at();
    let of_now = tracklets
        .iter()
        .filter(|t| t.camera == camera && t.starts_at <= at.plus(BOX_SLACK) && at.minus(BOX_SLACK) <= t.ends_at);
    of_now
        .filter_map(|t| {
            let (rect, measured) = box_at(&t.path, at)?;
            let scale =
                (frame.width() as f32 / t.frame.0.max(1) as f32, frame.height() as f32 / t.frame.1.max(1) as f32);
            let rect = Rect::new(rect.x * scale.0, rect.y * scale.1, rect.w * scale.0, rect.h * scale.1);
            let track = Track {
                id: TrackId(OF_A_RECORDING | t.track.0),
                rect,
                velocity: [0.0; 4],
                at,
                measured_at: if measured { at } else { at.minus(Duration::from_millis(500)) },
                first_seen: t.starts_at,
                score: 1.0,
                hits: u32::try_from(t.path.len()).unwrap_or(u32::MAX),
            };
            let suspect = t.suspect.and_then(|suspect| {
                let stay = sightings.iter().map(|v| &v.sighting).find(|s| {
                    let until = s.left_at.unwrap_or(s.last_seen_at);
                    s.suspect == suspect && s.camera == camera && s.entered_at <= t.ends_at && t.starts_at <= until
                })?;
                let certain = matches!(stay.decision, Decision::Origin | Decision::Confirmed { .. });
                let rejected = matches!(stay.decision, Decision::Rejected { .. });
                (!rejected).then_some(MatchView { suspect, probability: stay.probability, certain })
            });
            Some(TrackView { track, suspect, outline: None })
        })
        .collect()
}

const BOX_SLACK: Duration = Duration::from_millis(20);

/// The box at an instant, and whether it was measured on the frame of that instant.
fn box_at(path: &[(Timestamp, Rect)], at: Timestamp) -> Option<(Rect, bool)> {
    let after = path.partition_point(|(t, _)| *t < at);
    let (before, next) = (after.checked_sub(1).and_then(|i| path.get(i)), path.get(after));
    let near = [before, next].into_iter().flatten().min_by_key(|(t, _)| t.0.abs_diff(at.0))?;
    if near.0.seconds_since(at).abs() <= SAME_FRAME {
        return Some((near.1, true));
    }
    let ((t0, a), (t1, b)) = (before?, next?);
    let span = t1.seconds_since(*t0);
    if span > BETWEEN || span <= 0.0 {
        return None;
    }
    let part = (at.seconds_since(*t0) / span) as f32;
    let mix = |a: f32, b: f32| a + (b - a) * part;
    Some((Rect::new(mix(a.x, b.x), mix(a.y, b.y), mix(a.w, b.w), mix(a.h, b.h)), false))
}

impl ReviewCommand {
    /// The cameras that it is about.
    pub(super) fn cameras(&self) -> &[CameraId] {
        match self {
            Self::Open { cameras, .. } => cameras,
            Self::Replay(camera) | Self::Step(camera, _) => std::slice::from_ref(camera),
            _ => &[],
        }
    }
}

impl Shared {
    /// Does what was asked; that the user may see the cameras is known.
    pub(super) async fn review_command(self: &Arc<Self>, user: &User, command: ReviewCommand) {
        match command {
            ReviewCommand::Open { mut cameras, at } => {
                cameras.truncate(MOST_CAMERAS);
                self.watch(user, cameras, at.min(self.records.clock.now()), 0.0).await;
            }
            ReviewCommand::Replay(camera) => {
                self.recording.cut(camera);
                let at = self.records.clock.now().minus(Duration::from_secs(REPLAY_SECONDS));
                self.watch(user, vec![camera], at, 1.0).await;
            }
            ReviewCommand::Close => self.stop_watching().await,
            ReviewCommand::Timeline(from, until) => {
                if let Err(error) = self.load_timeline(from, until).await {
                    self.error(format!("The timeline cannot be read: {error}"));
                }
            }
            ReviewCommand::Seek { to, scrubbing } => {
                if let Some(v) = self.review.viewing().as_ref() {
                    v.player.seek(to.min(self.records.clock.now()), scrubbing);
                }
            }
            ReviewCommand::Play(rate) => {
                if let Some(v) = self.review.viewing().as_ref() {
                    v.player.play(rate);
                }
            }
            ReviewCommand::Step(camera, frames) => {
                if let Some(v) = self.review.viewing().as_ref() {
                    v.player.step(camera, frames);
                }
            }
        }
    }

    async fn watch(self: &Arc<Self>, user: &User, cameras: Vec<CameraId>, at: Timestamp, rate: f64) {
        self.stop_watching().await;
        if cameras.is_empty() {
            return;
        }
        let mut entry = self.records.entry((&user.cc, &user.name), Action::WatchRecording, Outcome::Succeeded);
        let names: Vec<_> = cameras.iter().map(|c| self.camera_name(*c)).collect();
        entry.details = json!({ "cameras": names, "camera_ids": cameras, "from": at.to_string() });
        // What cannot be recorded is not shown.
        if !self.commit(&[Record::Action(entry)], "That was not recorded and not done").await {
            return;
        }
        let (weak, runtime) = (Arc::downgrade(self), self.runtime.clone());
        let locate: Arc<crate::video::Locate> = Arc::new(move |segment: &Segment| {
            let shared = weak.upgrade().ok_or("The console is closing")?;
            runtime.block_on(shared.video_file(segment)).map_err(|e| e.to_string())
        });
        let player = Player::open(&cameras, at, Arc::clone(&self.records.clock), &locate);
        let viewing = Viewing {
            user: user.clone(),
            cameras,
            player,
            known: None,
            starts: Vec::new(),
            gaps: Vec::new(),
            boxes: None,
            tracklets: Arc::default(),
            watched: BTreeMap::new(),
        };
        *self.review.viewing() = Some(viewing);
        if let Err(error) = self.look_up().await {
            self.error(format!("Recordings cannot be looked up: {error}"));
        }
        if let Some(v) = self.review.viewing().as_ref().filter(|_| rate != 0.0) {
            v.player.play(rate);
        }
    }

    /// Ends the watching, with the entry of what was watched.
    pub(super) async fn stop_watching(&self) {
        let Some(v) = self.review.viewing().take() else { return };
        let Viewing { user, watched, player, .. } = v;
        drop(player);
        if watched.is_empty() {
            return; // nothing was to be seen
        }
        let stretches = |of: &[(Timestamp, Timestamp)]| -> Vec<_> {
            of.iter().map(|(from, until)| [from.to_string(), until.to_string()]).collect()
        };
        let cameras: Vec<_> = watched
            .iter()
            .map(|(id, of)| json!({ "camera": self.camera_name(*id), "camera_id": id, "watched": stretches(of) }))
            .collect();
        let from = watched.values().flatten().map(|(from, _)| *from).min();
        let until = watched.values().flatten().map(|(_, until)| *until).max();
        let mut entry = self.records.entry((&user.cc, &user.name), Action::WatchRecording, Outcome::Succeeded);
        entry.details = json!({
            "watched": cameras, "from": from.map(|t| t.to_string()), "until": until.map(|t| t.to_string()),
        });
        self.commit(&[Record::Action(entry)], "The log does not say what was watched").await;
    }

    /// What the player needs to know is kept up to date, for as long as the site runs.
    pub(super) async fn run_review(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if let Err(error) = self.look_up().await {
                tracing::warn!(%error, "recordings cannot be looked up");
            }
        }
    }

    async fn look_up(&self) -> Result<(), StoreError> {
        let now = self.records.clock.now();
        let (cameras, at, segments_due, boxes_due) = {
            let viewing = self.review.viewing();
            let Some(v) = viewing.as_ref() else { return Ok(()) };
            let at = v.player.position();
            let near_now = now.seconds_since(at) < 180.0;
            let due = |known: Option<(Timestamp, Timestamp, Instant)>, margin: f64| {
                known.is_none_or(|(from, until, loaded)| {
                    at.seconds_since(from) < margin
                        || until.seconds_since(at) < margin
                        || (near_now && loaded.elapsed() > NEWS_EVERY)
                })
            };
            (v.cameras.clone(), at, due(v.known, MARGIN), due(v.boxes, 20.0))
        };
        if segments_due {
            let (from, until) = (at.minus(KNOWN), at.plus(KNOWN));
            let segments = self.segments(&cameras, from, until).await?;
            let gaps = self.records.stores.cameras.gaps(Some(&cameras), from, until).await?;
            let mut viewing = self.review.viewing();
            if let Some(v) = viewing.as_mut().filter(|v| v.cameras == cameras) {
                for camera in &cameras {
                    v.player.set_segments(*camera, segments.iter().filter(|s| s.camera == *camera).cloned().collect());
                }
                v.starts = segments.iter().map(|s| (s.camera, s.starts_at)).collect();
                v.gaps = gaps;
                v.known = Some((from, until, Instant::now()));
            }
        }
        if boxes_due {
            let (from, until) = (at.minus(BOXES), at.plus(BOXES));
            let filter = TrackletFilter {
                cameras: Some(cameras.clone()),
                from: Some(from),
                until: Some(until),
                limit: MOST_TRACKLETS,
                ..TrackletFilter::default()
            };
            let tracklets = self.records.stores.cameras.tracklets(&filter).await?;
            let mut viewing = self.review.viewing();
            if let Some(v) = viewing.as_mut().filter(|v| v.cameras == cameras) {
                v.tracklets = Arc::new(tracklets);
                v.boxes = Some((from, until, Instant::now()));
            }
        }
        Ok(())
    }

    async fn load_timeline(&self, from: Timestamp, until: Timestamp) -> Result<(), StoreError> {
        if until <= from {
            return Ok(());
        }
        let rights = self.board.lock().rights.clone();
        let seen: Vec<CameraId> =
            self.cameras.paths().iter().map(|p| p.camera.id).filter(|id| rights.allow(*id)).collect();
        let store = &self.records.stores.cameras;
        let span = until.0 - from.0;
        let minutes = u32::try_from((span / COLUMNS / MINUTE).clamp(1, 7 * 1440)).unwrap_or(1);
        let mut coverage = store.coverage(Some(&seen), from, until, (span / 2000).max(1_000_000)).await?;
        coverage.extend(self.recording.recent(&seen, from, until).iter().map(|s| (s.camera, s.starts_at, s.ends_at)));
        let timeline = Timeline {
            from,
            until,
            coverage,
            gaps: store.gaps(Some(&seen), from, until).await?,
            counts: store.detection_counts(Some(&seen), from, until, minutes).await?,
            minutes,
            sightings: store.sightings_between(&seen, from, until, MOST_SIGHTINGS).await?,
        };
        *self.review.timeline() = Some((rights, Arc::new(timeline)));
        Ok(())
    }

    /// What one user saw is not for the next.
    pub(super) async fn leave_review(&self) {
        self.stop_watching().await;
        *self.review.timeline() = None;
    }
}

/// This frame of the camera was on the screen.
fn note_watched(watched: &mut BTreeMap<CameraId, Vec<(Timestamp, Timestamp)>>, camera: CameraId, at: Timestamp) {
    let stretches = watched.entry(camera).or_default();
    let near =
        |(from, until): &&mut (Timestamp, Timestamp)| from.seconds_since(at) < 10.0 && at.seconds_since(*until) < 10.0;
    match stretches.iter_mut().rev().take(20).find(near) {
        Some((from, until)) => (*from, *until) = ((*from).min(at), (*until).max(at)),
        None => stretches.push((at, at)),
    }
}

#[cfg(test)]
mod tests;
