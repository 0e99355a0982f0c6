//! Watching recordings: who watches which cameras at which instant, what is shown with the pictures, and the timeline.
//!
//! That somebody watches is an entry before the first picture is shown, and what was watched from when to when one when it ends.
use super::{Shared, paused::Paused, state::TrackView};
use crate::{
    model::{
        Action, CameraId, Decision, Gap, MatchView, Outcome, Rect, Rights, Segment, Sighting, Timestamp, Track,
        TrackId, Tracklet, User,
    },
    store::{CameraStore, Clothes, DetectionCount, StoreError, TrackletFilter, stretch_minutes},
    supervise::Pulse,
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
/// Stays of a timeline.
const MOST_STAYS: u32 = 5000;
/// Counts of detections are told for about as many stretches of a timeline's time.
const COLUMNS: u32 = 500;
/// Video is told to this part of a timeline's time: finer than a pixel.
const GRAINS: i64 = 4000;

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
    Timeline {
        /// From when.
        from: Timestamp,
        /// To when.
        until: Timestamp,
        /// With the stays of everybody who wears this, where a colour is given.
        clothes: Clothes,
    },
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
    /// The boxes of this very frame: of the stored analysis, and, once it has stood for a moment, of whoever else is on it.
    pub tracks: Arc<Vec<TrackView>>,
    /// It stands, and people are being looked for on it.
    pub looking: bool,
}

/// What there is of all cameras between two instants. Every list is ordered by camera, then by time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timeline {
    /// From when.
    pub from: Timestamp,
    /// To when.
    pub until: Timestamp,
    /// Stretches with video.
    pub coverage: Vec<(CameraId, Timestamp, Timestamp)>,
    /// Video that should be there and is not; of gaps that begin as good as together the longest.
    pub gaps: Vec<Gap>,
    /// How many detections in each stretch of [`minutes`](Self::minutes).
    pub counts: Vec<DetectionCount>,
    /// Length of those stretches.
    pub minutes: u32,
    /// Stays of suspects, and possible ones.
    pub sightings: Vec<Sighting>,
    /// The colours that were asked for.
    pub clothes: Clothes,
    /// Stays of people who wear them.
    pub people: Vec<(CameraId, Timestamp, Timestamp)>,
    /// There are more stays than these newest ones.
    pub cut: bool,
}

impl Timeline {
    /// Reads what the store has of these cameras. What it costs depends on the cameras, not on how long the time is nor on how much
    /// there is in it: counts and coverage are kept in several lengths, and of stays only the newest are told.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn read(
        store: &CameraStore,
        cameras: &[CameraId],
        from: Timestamp,
        until: Timestamp,
        clothes: Clothes,
    ) -> Result<Self, StoreError> {
        let span = until.0.saturating_sub(from.0).max(1);
        let (minutes, grain) = (stretch_minutes(span, COLUMNS), span / GRAINS);
        let sightings = store.sightings_between(cameras, from, until, MOST_STAYS).await?;
        let people = store.people_wearing(clothes, cameras, from, until, MOST_STAYS).await?;
        let cut = [sightings.len(), people.len()].iter().any(|n| *n >= MOST_STAYS as usize);
        let mut timeline = Self {
            from,
            until,
            coverage: store.coverage(cameras, from, until, grain).await?,
            gaps: thinned(store.absences(cameras, from, until).await?, grain),
            counts: store.detection_counts(Some(cameras), from, until, minutes).await?,
            minutes,
            sightings,
            clothes,
            people,
            cut,
        };
        timeline.sort();
        Ok(timeline)
    }

    /// Puts every list into its order.
    pub fn sort(&mut self) {
        self.coverage.sort_unstable();
        self.gaps.sort_unstable_by_key(|g| (g.camera, g.from, g.id));
        self.counts.sort_unstable_by_key(|c| (c.camera, c.from, c.kind));
        self.sightings.sort_unstable_by_key(|s| (s.camera, s.entered_at, s.id));
        self.people.sort_unstable();
    }
}

/// Of the gaps of one camera that begin within the same `grain` microseconds, the longest.
fn thinned(mut gaps: Vec<Gap>, grain: i64) -> Vec<Gap> {
    let place = |g: &Gap| (g.camera, g.from.0.div_euclid(grain.max(1)));
    let length = |g: &Gap| g.until.map_or(i64::MAX, |until| until.0 - g.from.0);
    gaps.sort_by(|a, b| place(a).cmp(&place(b)).then(length(b).cmp(&length(a))));
    gaps.dedup_by(|later, first| place(later) == place(first));
    gaps
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
    paused: Paused,
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

    /// Does something with what is watched now; `None` when nothing is.
    pub fn with_player<T>(&self, act: impl FnOnce(&Player, &mut Paused) -> T) -> Option<T> {
        self.viewing().as_mut().map(|v| act(&v.player, &mut v.paused))
    }

    /// For the screen: what these rights allow of it.
    pub fn state(&self, user: &User, rights: &Rights, sightings: &[Arc<super::state::SightingView>]) -> ReviewState {
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
            let mut tracks = frame.as_ref().map(|f| boxes(&v.tracklets, camera, f, sightings)).unwrap_or_default();
            if let Some(frame) = &frame {
                let known: Vec<Rect> = tracks.iter().map(|t| t.track.rect).collect();
                tracks.extend(
                    v.paused.others(camera, frame, &known).into_iter().map(|t| marked_on(t, camera, sightings)),
                );
            }
            let looking = frame.as_ref().is_some_and(|f| v.paused.looking(camera, f));
            let gap = gap.map(|g| g.reason.clone());
            ChannelView { camera, frame, what, gap, next, tracks: Arc::new(tracks), looking }
        });
        ReviewState { channels: channels.collect(), at: v.player.position(), rate: v.player.rate(), timeline }
    }
}

/// The boxes of the people on a frame: measured on it, or between two measurements.
fn boxes(
    tracklets: &[Tracklet],
    camera: CameraId,
    frame: &Frame,
    sightings: &[Arc<super::state::SightingView>],
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
                id: t.track.recorded(),
                rect,
                velocity: [0.0; 2],
                at,
                measured_at: if measured { at } else { at.minus(Duration::from_millis(500)) },
                first_seen: t.starts_at,
                score: 1.0,
                hits: u32::try_from(t.path.len()).unwrap_or(u32::MAX),
            };
            let suspect = taken_for(t, sightings);
            Some(TrackView { track, suspect, outline: None })
        })
        .collect()
}

/// Somebody found on a standing picture, with the suspect that was marked there.
fn marked_on(track: Track, camera: CameraId, sightings: &[Arc<super::state::SightingView>]) -> TrackView {
    let own = sightings.iter().map(|v| &v.sighting).find(|s| {
        s.camera == camera && s.track == track.id && s.entered_at == track.at && s.decision == Decision::Origin
    });
    let suspect = own.map(|s| MatchView { suspect: s.suspect, probability: s.probability, certain: true });
    TrackView { track, suspect, outline: None }
}

/// The suspect that a stay is taken for: by an operator, else by the console, unless somebody rejected it.
fn taken_for(stay: &Tracklet, sightings: &[Arc<super::state::SightingView>]) -> Option<MatchView> {
    let of_stay = sightings.iter().map(|v| &v.sighting).filter(|s| {
        let until = s.left_at.unwrap_or(s.last_seen_at);
        let own = s.track == stay.track || stay.suspect == Some(s.suspect);
        own && s.camera == stay.camera && s.entered_at <= stay.ends_at && stay.starts_at <= until
    });
    let views = of_stay.filter(|s| !matches!(s.decision, Decision::Rejected { .. })).map(|s| {
        let certain = matches!(s.decision, Decision::Origin | Decision::Confirmed { .. });
        MatchView { suspect: s.suspect, probability: s.probability, certain }
    });
    views.max_by(|a, b| a.certain.cmp(&b.certain).then(a.probability.total_cmp(&b.probability)))
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
                self.ask_for_cut(camera).await;
            }
            ReviewCommand::Close => self.stop_watching().await,
            ReviewCommand::Timeline { from, until, clothes } => {
                if let Err(error) = self.load_timeline(from, until, clothes).await {
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
            paused: Paused::default(),
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
    pub(super) async fn run_review(&self, pulse: &Pulse) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            pulse.beat();
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
            let gaps = self.records.stores.cameras.absences(&cameras, from, until).await?;
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

    /// The stay that the box of a person on a recording belongs to; `None` for a live track, or where there is none any more.
    pub(super) async fn recorded_stay(&self, camera: CameraId, track: TrackId, at: Timestamp) -> Option<Tracklet> {
        let track = track.of_stay()?;
        let filter = TrackletFilter {
            cameras: Some(vec![camera]),
            from: Some(at.minus(BOX_SLACK)),
            until: Some(at.plus(BOX_SLACK)),
            limit: MOST_TRACKLETS,
            vectors: true,
            ..TrackletFilter::default()
        };
        let found = self.records.stores.cameras.tracklets(&filter).await.unwrap_or_default(); // the click counts all the same
        found.into_iter().find(|t| t.track == track)
    }

    async fn load_timeline(&self, from: Timestamp, until: Timestamp, clothes: Clothes) -> Result<(), StoreError> {
        if until <= from {
            return Ok(());
        }
        let rights = self.board.lock().rights.clone();
        let seen: Vec<CameraId> =
            self.cameras.paths().iter().map(|p| p.camera.id).filter(|id| rights.allow(*id)).collect();
        let mut timeline = Timeline::read(&self.records.stores.cameras, &seen, from, until, clothes).await?;
        let recent = self.recording.recent(&seen, from, until);
        timeline.coverage.extend(recent.iter().map(|s| (s.camera, s.starts_at, s.ends_at)));
        timeline.sort();
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
