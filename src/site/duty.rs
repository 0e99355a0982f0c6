//! Which console keeps the records of which camera. In a control room every console shows every camera; were each to record what it
//! sees there, every stay, alert and recording would be there once a console. So one console has the *duty* of a camera: a lease in
//! the shared database ([`renew_duties`](crate::store::CameraStore::renew_duties)), renewed once a second. It records detections,
//! tracklets, stays, video and proof of looking. The others analyse the camera for their screens and record nothing of it.
//!
//! Only consoles that share database and objects agree so: where each keeps pictures and video in a folder of its own, each records.
//! The duty goes to the console that can do more for the camera ([`fitness`](Shared::fitness)): it gets pictures and analyses them, its
//! journal takes records, it is to record the video and can.
//!
//! A stay is told of by the console that opened it, until it ends: by the one that had the duty then, or the one where the suspect
//! was marked. Other consoles [join](crate::follow::Follower::join) it: whom they see is that stay, so that decisions reach it,
//! and when they get the duty, or nobody tells of it any more, they go on with it under the same identity.
//!
//! While the database does not answer, whoever had a duty keeps it, and nobody else begins: one console goes on. A console that
//! alone lost its way to the database cannot tell that from a server that is down; it goes on, too, since what nobody records is
//! lost, and what two consoles recorded can be told apart. A console that sees the database again waits until a holder had time to
//! renew before it takes a lease that has run out.
use super::{
    Shared,
    following::Following,
    path::CameraPath,
    recording::NOT_RUNNING,
    state::{CameraStatus, Keeper, NoticeLevel},
};
use crate::{
    follow::Event,
    model::{CameraId, Decision, Gap, Sighting, SightingId, Suspect, SuspectId, Timestamp, Track},
    store::{Duty as Lease, DutyWish, Stores},
    sync::Record,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// A lease that was not renewed for so long, while the database answered, is taken when it has run out.
const PATIENCE: Duration = Duration::from_secs(3);
/// None is taken so soon after the database was away: its holder may see it again a little later.
const AFTER_OUTAGE: Duration = Duration::from_secs(6);
/// Another console can do less for so long before its duty is taken: a camera that is connected again at once moves nothing.
const STEADY: Duration = Duration::from_secs(2);
/// A journal that refused a record is not relied on for so long.
const DISTRUST: Duration = Duration::from_secs(60);
/// An analysis that finishes no frame of a camera for so long, seconds, although they come, is none.
const STUCK_SECONDS: f64 = 10.0;
/// For so long, seconds, the stay in which somebody was marked on another console is waited for. Of two records that were committed
/// together one may be heard of some time before the other, and it is a stay of its own that would be there twice.
const HEARD_WITHIN: f64 = 60.0;
/// A stay of which its console has told nothing for so long, seconds, is told of by whoever has the duty. Longer than between two
/// of its records.
const SILENT_SECONDS: f64 = 12.0;
/// Where whoever has the duty tells nothing of a stay for so long, seconds, the operator here is warned of it all the same.
const TOLD_WITHIN: f64 = 3.0;
/// A track that was seen at most so long after a stay had ended, seconds, can be the one that ended.
const ENDED_WITHIN: f64 = 2.0;
/// What begins with a duty has begun after so long, seconds; a gap that another console left open is over then.
const OVER_A_GAP: f64 = 30.0;
/// Clocks of consoles differ by less than this, seconds.
const CLOCKS_AGREE: f64 = 5.0;
/// A stay that ended so long ago, seconds, does not go on.
const OVER_SECONDS: f64 = 600.0;

/// The duties as this console knows them.
pub(super) struct Duty {
    console: String,
    name: String,
    /// Database or objects are of this machine alone: nobody else keeps records with it.
    alone: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Those of which nothing is known are nobody's yet.
    cameras: BTreeMap<CameraId, Kept>,
    /// The stays that this console tells of.
    stays: BTreeMap<SightingId, SuspectId>,
    /// Those which deserve an alert and of which nobody tells: since when, until the operator was warned.
    untold: BTreeMap<SightingId, Option<Timestamp>>,
    /// The leases of others.
    leases: BTreeMap<CameraId, Heard>,
    /// What this console could do for its cameras when it was asked last.
    fitness: BTreeMap<CameraId, i64>,
    /// Since when others can do less.
    weaker: BTreeMap<CameraId, Instant>,
    /// When the journal refused something last.
    unrecorded: Option<Instant>,
    /// When other consoles asked last for what is being recorded.
    cuts: BTreeMap<CameraId, Timestamp>,
    /// When the database answered last.
    renewed: Option<Instant>,
    is_cut_off: bool,
    /// The console is closing.
    is_leaving: bool,
    /// When the database answered again after it had not.
    back_since: Option<Instant>,
}

/// A lease of another console.
struct Heard {
    until: Timestamp,
    /// Since when that is known here and has not changed.
    since: Instant,
    fitness: i64,
}

enum Kept {
    /// Since when.
    Here(Timestamp),
    /// By the console of this name.
    There(String),
}

/// A camera whose duty came, and why there is a gap in its video of which the store does not know; `None` where whoever had it tells.
type Came = (CameraId, Option<String>);

/// What changed about duties.
#[derive(Default)]
struct Learnt {
    came: Vec<Came>,
    went: Vec<CameraId>,
    /// What is recorded here and wanted by another console.
    cuts: Vec<CameraId>,
    /// What went did so while this console was heard of: another one gets pictures, and this one does not.
    handed_over: bool,
}

impl Duty {
    /// Of the console of this identity; nothing is known yet.
    pub fn new(console: &str, stores: &Stores) -> Self {
        let alone = !(stores.cameras.is_shared() && stores.objects.on_server());
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let short = console.get(..4).unwrap_or(console);
        let name = if host.trim().is_empty() { short.to_owned() } else { format!("{} ({short})", host.trim()) };
        Self { console: console.to_owned(), name, alone, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there can be no other console.
    pub fn is_alone(&self) -> bool {
        self.alone
    }

    /// The console is closing: what it has it renews, and begins nothing any more.
    pub fn leave(&self) {
        self.state().is_leaving = true;
    }

    fn is_leaving(&self) -> bool {
        self.state().is_leaving
    }

    /// The journal refused records.
    pub fn unrecorded(&self) {
        self.state().unrecorded = Some(Instant::now());
    }

    /// Whether this console keeps the records of the camera.
    pub fn is_held(&self, camera: CameraId) -> bool {
        self.alone || self.since(camera).is_some()
    }

    /// Who keeps the records of the camera, for the screen.
    pub fn keeper(&self, camera: CameraId) -> Keeper {
        if self.alone {
            return Keeper::Alone;
        }
        match self.state().cameras.get(&camera) {
            Some(Kept::Here(_)) => Keeper::Here,
            Some(Kept::There(name)) => Keeper::Other(name.clone()),
            None => Keeper::Nobody,
        }
    }

    /// Whether another console keeps the records of the camera.
    pub fn is_of_another(&self, camera: CameraId) -> bool {
        matches!(self.state().cameras.get(&camera), Some(Kept::There(_)))
    }

    /// The cameras of which other consoles keep the records.
    pub fn of_others(&self) -> BTreeSet<CameraId> {
        let state = self.state();
        state.cameras.iter().filter(|(_, kept)| matches!(kept, Kept::There(_))).map(|(camera, _)| *camera).collect()
    }

    /// From now on this console tells of the stay.
    pub fn tell_of(&self, sighting: SightingId, suspect: SuspectId) {
        if !self.alone {
            self.state().stays.insert(sighting, suspect);
        }
    }

    /// The stay could not be recorded.
    pub fn untell(&self, sighting: SightingId) {
        self.state().stays.remove(&sighting);
    }

    /// What of it this console records: of stays that others tell of, they do.
    pub fn of_this_console(&self, mut events: Vec<Event>) -> Vec<Event> {
        if !self.alone && !events.is_empty() {
            let state = self.state();
            events.retain(|event| match event {
                Event::Opened(s) | Event::Alert(s) | Event::Changed(s) => state.stays.contains_key(&s.id),
                Event::Gallery(suspect) => state.stays.values().any(|s| *s == suspect.id),
            });
        }
        events
    }

    /// Whether the camera's duty is this console's, and came since the stay was last told of.
    fn came_after(&self, sighting: &Sighting) -> bool {
        self.since(sighting.camera).is_some_and(|since| sighting.last_seen_at < since)
    }

    /// The cameras of which no keeper is known.
    fn unkept(&self, cameras: &[Arc<CameraPath>]) -> Vec<CameraId> {
        let state = self.state();
        let all = cameras.iter().map(|path| path.camera.id);
        if self.alone { Vec::new() } else { all.filter(|camera| !state.cameras.contains_key(camera)).collect() }
    }

    /// Takes cameras of which no keeper is known, but those of `others`; returns them.
    fn assume(&self, cameras: Vec<CameraId>, others: &BTreeSet<CameraId>, now: Timestamp) -> Vec<Came> {
        let mut state = self.state();
        let (theirs, free): (Vec<_>, Vec<_>) = cameras.into_iter().partition(|camera| others.contains(camera));
        state.cameras.extend(theirs.into_iter().map(|camera| (camera, Kept::There("another console".to_owned()))));
        state.cameras.extend(free.iter().map(|camera| (*camera, Kept::Here(now))));
        free.into_iter().map(|camera| (camera, Some(NOT_RUNNING.to_owned()))).collect()
    }

    /// What the console wishes of each of its cameras, for which it can do so much.
    fn wishes(&self, cameras: impl Iterator<Item = (CameraId, i64)>) -> Vec<DutyWish> {
        let mut state = self.state();
        if !state.is_leaving {
            let distrusted = state.unrecorded.is_some_and(|at| at.elapsed() < DISTRUST);
            state.fitness = cameras.map(|(camera, fitness)| (camera, if distrusted { 0 } else { fitness })).collect();
        }
        let State { fitness, leases, weaker, .. } = &mut *state;
        let is_weaker =
            |(camera, lease): &(&CameraId, &Heard)| fitness.get(camera).is_some_and(|own| *own > lease.fitness);
        let now_weaker: BTreeSet<_> = leases.iter().filter(is_weaker).map(|(camera, _)| *camera).collect();
        weaker.retain(|camera, _| now_weaker.contains(camera));
        for camera in now_weaker {
            weaker.entry(camera).or_insert_with(Instant::now);
        }
        let settled = state.back_since.is_none_or(|since| since.elapsed() >= AFTER_OUTAGE) && !state.is_leaving;
        let wish = |(camera, fitness): (&CameraId, &i64)| DutyWish {
            camera: *camera,
            fitness: *fitness,
            patient: settled && state.leases.get(camera).is_some_and(|lease| lease.since.elapsed() >= PATIENCE),
            insists: settled && state.weaker.get(camera).is_some_and(|since| since.elapsed() >= STEADY),
        };
        state.fitness.iter().map(wish).collect()
    }

    /// Takes over what the database said of `cameras`.
    fn learn(&self, cameras: &[CameraId], leases: &[Lease], now: Timestamp) -> Learnt {
        let mut state = self.state();
        // Whoever was silent is not asked whether it may be followed.
        let handed_over = state.renewed.replace(Instant::now()).is_some_and(|at| at.elapsed() < PATIENCE);
        if std::mem::take(&mut state.is_cut_off) {
            state.back_since = Some(Instant::now());
        }
        let mut learnt = Learnt { handed_over, ..Learnt::default() };
        let State { cameras: kept, cuts, leases: known, .. } = &mut *state;
        kept.retain(|camera, _| cameras.contains(camera));
        cuts.retain(|camera, _| cameras.contains(camera));
        known.retain(|camera, _| cameras.contains(camera));
        for camera in cameras {
            let lease = leases.iter().find(|lease| lease.camera == *camera);
            // Of a camera that the database does not know yet, this console is the one that registers it.
            let here = lease.is_none_or(|lease| lease.console == self.console);
            let had = matches!(state.cameras.get(camera), Some(Kept::Here(_)));
            match lease {
                Some(lease) if !here => {
                    state.cameras.insert(*camera, Kept::There(lease.name.clone()));
                    let known = state.leases.get(camera).is_some_and(|known| known.until == lease.until);
                    if !known {
                        let Lease { until, fitness, .. } = *lease;
                        state.leases.insert(*camera, Heard { until, since: Instant::now(), fitness });
                    }
                }
                _ => {
                    let lease = state.leases.remove(camera);
                    if !had {
                        let why = match state.cameras.insert(*camera, Kept::Here(now)) {
                            Some(Kept::There(name)) => lease
                                .filter(|lease| lease.since.elapsed() >= PATIENCE)
                                .map(|_| format!("The console {name}, which recorded this camera, fell silent")),
                            _ => Some(NOT_RUNNING.to_owned()),
                        };
                        learnt.came.push((*camera, why));
                    }
                }
            }
            if let Some(cut_at) = lease.and_then(|lease| lease.cut_at)
                && state.cuts.insert(*camera, cut_at) != Some(cut_at)
            {
                learnt.cuts.push(*camera);
            }
            if had && !here {
                learnt.went.push(*camera);
            }
        }
        learnt
    }

    /// Since when this console has the duty of the camera, if it has.
    fn since(&self, camera: CameraId) -> Option<Timestamp> {
        if let Some(Kept::Here(since)) = self.state().cameras.get(&camera) { Some(*since) } else { None }
    }

    /// The database does not answer: whether others renew is not known any more.
    fn cut_off(&self) {
        let mut state = self.state();
        state.leases.clear();
        state.is_cut_off = true;
    }
}

impl Shared {
    /// Once a second: renews this console's duties, and takes those that it may have.
    pub(super) async fn keep_duties(self: &Arc<Self>) {
        if self.duty.is_alone() {
            return;
        }
        let paths = self.cameras.paths();
        let cameras: Vec<_> = paths.iter().map(|path| path.camera.id).collect();
        let wishes = self.duty.wishes(paths.iter().map(|path| (path.camera.id, self.fitness(path))));
        let store = &self.records.stores.cameras;
        let leases = match store.renew_duties(&self.duty.console, &self.duty.name, &wishes).await {
            Ok(leases) => leases,
            Err(error) => {
                tracing::debug!(%error, "duties are not renewed");
                self.duty.cut_off();
                return self.assume_duties();
            }
        };
        if self.duty.is_leaving() {
            return;
        }
        let learnt = {
            let _order = self.order.lock().await;
            self.duty.learn(&cameras, &leases, self.records.clock.now())
        };
        for camera in learnt.went {
            self.recording.end_duty(camera, learnt.handed_over);
        }
        learnt.cuts.iter().for_each(|camera| self.recording.cut(*camera));
        self.begin_recording(learnt.came);
    }

    /// How much this console can do for a camera: 0 where it gets no pictures or does not analyse them; more where it is to record
    /// the video, and can.
    fn fitness(&self, path: &CameraPath) -> i64 {
        let analyses =
            path.status() == CameraStatus::Live && !path.meters.is_stuck(self.records.clock.now(), STUCK_SECONDS);
        if analyses { 1 + self.recording.fitness(path.camera.id) } else { 0 }
    }

    /// Now and then: what is recorded is what this console has the duty of, and the gaps that others left open have ended.
    pub(super) async fn settle_duties(self: &Arc<Self>) {
        if self.duty.is_alone() || self.duty.is_leaving() {
            return;
        }
        let now = self.records.clock.now();
        let paths = self.cameras.paths();
        for camera in paths.iter().map(|path| path.camera.id) {
            match self.duty.since(camera) {
                // `abs`, here and below: a clock that is set back must not put it off
                Some(since) if now.seconds_since(since).abs() > OVER_A_GAP && self.recording.is_missing(camera) => {
                    self.recording.begin_duty(camera, None, None, None);
                }
                Some(_) => {}
                None => self.recording.end_duty(camera, false),
            }
        }
        {
            let (follower, board) = (self.follower(), self.board.lock());
            let goes_on = |id: &SightingId| {
                let left = board.sighting(*id).map(|v| v.sighting.left_at);
                follower.sees(*id)
                    || left.is_some_and(|left| left.is_none_or(|left| now.seconds_since(left) < OVER_SECONDS))
            };
            let mut state = self.duty.state();
            state.stays.retain(|id, _| goes_on(id));
            state.untold.retain(|id, _| follower.sees(*id));
        }
        // Gaps of this console that are not delivered yet would look as if they were still open.
        if self.records.journal.backlog() == 0
            && let Ok(open) = self.records.stores.cameras.open_gaps().await
        {
            let ended = |gap: Gap| {
                let since = self.duty.since(gap.camera).filter(|since| gap.from < *since)?;
                let over = now.seconds_since(since).abs() > OVER_A_GAP && self.recording.goes_on_without(&gap);
                over.then_some(Record::Gap(Gap { until: Some(since), ..gap }))
            };
            let ended: Vec<_> = open.into_iter().filter_map(ended).collect();
            self.commit(&ended, "The end of a gap of the recording is not recorded").await;
        }
    }

    /// Makes what another console is recording of the camera now playable soon.
    pub(super) async fn ask_for_cut(&self, camera: CameraId) {
        if self.duty.is_of_another(camera)
            && let Err(error) = self.records.stores.cameras.ask_for_cut(camera).await
        {
            tracing::warn!(%error, "what another console records can be played when its file is whole");
        }
    }

    /// Without the database: of what no keeper is known is this console's, unless another one had it when it was last heard of.
    pub(super) fn assume_duties(self: &Arc<Self>) {
        let unkept = self.duty.unkept(&self.cameras.paths());
        if !unkept.is_empty() {
            let others = self.known.read().others;
            self.begin_recording(self.duty.assume(unkept, &others, self.records.clock.now()));
        }
    }

    /// Begins to record cameras; what the store knows of their video is not waited for.
    fn begin_recording(self: &Arc<Self>, cameras: Vec<Came>) {
        if cameras.is_empty() {
            return;
        }
        let shared = Arc::clone(self);
        self.runtime.spawn(async move {
            let store = &shared.records.stores.cameras;
            // Of what a store that does not answer knows, nothing is known.
            let gaps = store.open_gaps().await.unwrap_or_default();
            let until: BTreeMap<_, _> = store.recorded_until().await.unwrap_or_default().into_iter().collect();
            for (camera, why) in cameras.iter().filter(|(camera, _)| shared.duty.is_held(*camera)) {
                let gap = gaps.iter().find(|gap| gap.camera == *camera).cloned();
                shared.recording.begin_duty(*camera, gap, until.get(camera).copied(), why.as_deref());
            }
        });
    }

    /// The console closes: another one may go on at once.
    pub(super) async fn leave_duties(&self) {
        if let Err(error) = self.records.stores.cameras.leave_duties(&self.duty.console).await {
            tracing::warn!(%error, "other consoles take over when the duties of this one have run out");
        }
    }

    /// What this console records of `events` of one camera, of which it has seen a frame at `at` with these tracks: what happens to
    /// stays that it tells of. Where it has the duty, that is everybody it sees of whom nobody else tells.
    pub(super) fn dutiful(&self, camera: CameraId, at: Timestamp, tracks: &[Track], events: Vec<Event>) -> Vec<Event> {
        if self.duty.is_alone() {
            return events;
        }
        let mut kept = self.duty.of_this_console(events);
        let held = self.duty.is_held(camera);
        let mut follower = self.follower();
        for stay in follower.stays(camera) {
            if self.duty.state().stays.contains_key(&stay.id) {
                continue;
            }
            let (known, other) = {
                let board = self.board.lock();
                let known = board.sighting(stay.id).map(|v| v.sighting.clone());
                let other = || board.last_sighting(|s| self.is_of(s, &stay, &follower)).cloned();
                let other = if known.is_none() { other() } else { None };
                (known, other)
            };
            if let Some(other) = other {
                // Of whom somebody is sure, this must be for sure, too; until then nothing is said.
                if !other.decision.is_certain() || stay.probability >= self.config.follow.alert {
                    follower.join(stay.id, &other);
                }
                continue; // with the next frame it is known
            }
            if !held {
                if known.is_none() {
                    self.warn_of_untold(&stay, at);
                }
                continue;
            }
            let alert = |s: &Sighting| s.probability >= self.config.follow.alert && s.decision.is_pending();
            match known {
                None => {
                    // It is told of with the picture of this frame; a track that is not on it has another chance.
                    let track = tracks.iter().find(|t| t.id == stay.track && t.measured_at == at);
                    let Some(track) = track.filter(|_| !self.origin_is_due(&stay, at)) else { continue };
                    let stay = Sighting { rect: track.rect, ..stay };
                    follower.join(stay.id, &stay);
                    self.duty.tell_of(stay.id, stay.suspect);
                    kept.push(Event::Opened(stay.clone()));
                    if alert(&stay) {
                        kept.push(Event::Alert(stay));
                    }
                }
                Some(told) if self.duty.came_after(&told) || at.seconds_since(told.last_seen_at) > SILENT_SECONDS => {
                    self.duty.tell_of(stay.id, stay.suspect);
                    kept.push(Event::Changed(stay.clone()));
                    if alert(&stay) && !alert(&told) {
                        kept.push(Event::Alert(stay));
                    }
                }
                Some(_) => {} // another console tells of it
            }
        }
        kept
    }

    /// Whoever has the duty of the camera should have told of this stay by now: here the operator is to know.
    fn warn_of_untold(&self, stay: &Sighting, at: Timestamp) {
        if stay.probability < self.config.follow.alert || !stay.decision.is_pending() {
            return;
        }
        let is_due = {
            let mut state = self.duty.state();
            let since = state.untold.entry(stay.id).or_insert(Some(at));
            since.take_if(|since| at.seconds_since(*since).abs() > TOLD_WITHIN).is_some()
        };
        if is_due {
            let camera = self.camera_name(stay.camera);
            let mut board = self.board.lock();
            let text = super::analysis::alert(stay, board.suspect(stay.suspect), &camera);
            let text = format!("{text}. The console that keeps the records of this camera has not told of it");
            board.notice(at, NoticeLevel::Alert, text, super::About::Cameras(vec![stay.camera]));
        }
    }

    /// Somebody was marked here as `suspect`: this console tells of that stay, and not of another one's that ends with it.
    pub(super) fn tell_of_mark(&self, events: &mut Vec<Event>, suspect: SuspectId) {
        for event in events.iter() {
            if let Event::Changed(s) = event
                && s.suspect == suspect
            {
                self.duty.tell_of(s.id, suspect);
            }
        }
        *events = self.duty.of_this_console(std::mem::take(events));
    }

    /// Whether the stay is of somebody in view here who was marked on another console just now: that console tells of it.
    fn origin_is_due(&self, stay: &Sighting, at: Timestamp) -> bool {
        let board = self.board.lock();
        let just_now = |s: &Suspect| {
            let in_view = s.camera == stay.camera && s.marked_at.seconds_since(stay.entered_at) > -CLOCKS_AGREE;
            in_view && at.seconds_since(s.marked_at) < HEARD_WITHIN
        };
        board.suspect(stay.suspect).is_some_and(|v| just_now(&v.suspect))
            && !board.has_sighting(|s| s.suspect == stay.suspect && s.decision == Decision::Origin)
    }

    /// Whether another console's sighting is of this stay, and of no other one here: of the same suspect on the same camera, told of
    /// while this track was in view, and not ended while it stayed.
    fn is_of(&self, other: &Sighting, stay: &Sighting, follower: &Following) -> bool {
        let goes_on = other.left_at.is_none_or(|left| stay.last_seen_at.seconds_since(left) <= ENDED_WITHIN);
        (other.suspect, other.camera) == (stay.suspect, stay.camera)
            && other.last_seen_at >= stay.entered_at
            && goes_on
            && !matches!(other.decision, Decision::Rejected { .. })
            && !follower.sees(other.id)
            && !self.duty.state().stays.contains_key(&other.id)
    }
}

#[cfg(test)]
mod tests;
