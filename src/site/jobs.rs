//! Analyses of recorded video: every picture of it through detector, tracker and comparison with the suspects, one job after
//! another, while the live cameras come first. A job goes on after a restart where it was.
use super::{
    About, NoticeLevel, Shared, analysis,
    gate::Gate,
    observer::{Observations, Observer},
};
use crate::{
    follow::{Event, FollowConfig, Follower},
    model::{
        Action, CameraId, Class, DetectionKind, Finding, Job, JobState, Outcome, Rights, Segment, SightingId,
        SuspectId, Timestamp, User,
    },
    store::{StoreError, WorkFolder, key_of_url, sqlite::is_there, url_of_key},
    supervise::{self, Pulse},
    sync::Record,
    video::{FileError, Frame, try_read_file_from},
    vision::{Background, VisionError},
};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use uuid::Uuid;

/// Jobs shown, the newest; those that are open are shown in any case.
const SHOWN: u32 = 50;
/// A job's progress is recorded at least so often.
const SAVE_EVERY: Duration = Duration::from_secs(5);
/// The screen learns of it so often.
const SHOW_EVERY: Duration = Duration::from_millis(200);
/// Before a store that does not answer is asked again.
const RETRY: Duration = Duration::from_secs(3);
/// Recordings of one camera that are no further apart are one stay for whoever is in view.
const CONTINUES_SECONDS: f64 = 1.0;
/// Knives seen in one camera no further apart are one finding.
const SAME_KNIFE_SECONDS: f64 = 12.0;
/// Findings kept in a job's summary; the records of all are in the stores.
const MOST_FINDINGS: usize = 1000;
/// Troubles told of one job.
const MOST_TROUBLES: usize = 20;

/// What the screen asks for.
#[derive(Clone, Debug)]
pub enum JobCommand {
    /// Looks at uploaded videos.
    Analyse {
        /// Rows of `uploads`.
        uploads: Vec<Uuid>,
        /// Pictures a second; `None`: every one.
        rate: Option<f32>,
    },
    /// Looks for weapons and suspects in all video there is, recorded or uploaded, of every camera that the user may see.
    CheckEverything {
        /// Of the last hours only.
        hours: Option<u32>,
        /// Pictures a second; `None`: every one.
        rate: Option<f32>,
    },
    /// Gives a job up. What it found stays.
    Cancel(Uuid),
}

/// The jobs of this console, and what is known of those of others.
pub(super) struct Jobs {
    /// Newest first.
    all: Mutex<Vec<Arc<Job>>>,
    cancelled: Mutex<BTreeMap<Uuid, String>>,
    ready: Mutex<bool>,
    wake: Condvar,
    stop: AtomicBool,
    /// Where videos of a server are put while they are looked at.
    scratch: WorkFolder,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Jobs {
    /// No job yet.
    pub fn new(scratch: WorkFolder) -> Self {
        Self {
            all: Mutex::default(),
            cancelled: Mutex::default(),
            ready: Mutex::new(false),
            wake: Condvar::new(),
            stop: AtomicBool::new(false),
            scratch,
        }
    }

    /// What the user may see: jobs over cameras that are all among their rights.
    pub fn views(&self, gate: &Gate) -> Vec<Arc<Job>> {
        lock(&self.all).iter().filter(|job| gate.job(job)).cloned().collect()
    }

    /// Whether the user may see this one.
    pub fn shows(&self, id: Uuid, gate: &Gate) -> bool {
        lock(&self.all).iter().any(|job| job.id == id && gate.job(job))
    }

    /// Forgets jobs that retention deleted.
    pub fn forget(&self, ids: &BTreeSet<Uuid>) {
        lock(&self.all).retain(|job| !ids.contains(&job.id));
    }

    /// Ends the work; what is under way goes on at the next start.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.wake();
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    fn wake(&self) {
        *lock(&self.ready) = true;
        self.wake.notify_all();
    }

    /// Waits for something to do, or for as long as that.
    fn rest(&self, at_most: Duration) {
        let guard = lock(&self.ready);
        let waited = self.wake.wait_timeout_while(guard, at_most, |ready| !*ready);
        *waited.unwrap_or_else(PoisonError::into_inner).0 = false;
    }

    fn put(&self, job: &Job) {
        let mut all = lock(&self.all);
        match all.iter_mut().find(|j| j.id == job.id) {
            Some(known) => *known = Arc::new(job.clone()),
            None => {
                let place = all.partition_point(|j| j.made_at > job.made_at);
                all.insert(place, Arc::new(job.clone()));
            }
        }
    }

    /// The oldest open job of this console.
    fn next(&self, console: Uuid) -> Option<Job> {
        let all = lock(&self.all);
        all.iter().rev().find(|j| j.console == console && j.state == JobState::Open).map(|j| Job::clone(j))
    }

    fn canceller(&self, id: Uuid) -> Option<String> {
        lock(&self.cancelled).get(&id).cloned()
    }
}

impl Shared {
    /// Does what the screen asks about jobs.
    pub(super) async fn job_command(&self, user: &User, command: JobCommand) {
        match command {
            JobCommand::Cancel(id) => {
                lock(&self.jobs.cancelled).insert(id, user.name.clone());
                self.jobs.wake();
            }
            JobCommand::Analyse { uploads, rate } => {
                self.records.delivery.flush().await; // what was uploaded a moment ago is on its way
                let rights = self.rights_of(user).await;
                let (mut segments, mut lacks_one) = (Vec::new(), false);
                for id in uploads {
                    match self.records.stores.cameras.segment(id).await {
                        Ok(Some(segment)) => segments.push(segment),
                        Ok(None) => lacks_one = true,
                        Err(error) => return self.no_job(user, Outcome::Failed(error.to_string())).await,
                    }
                }
                if lacks_one || segments.iter().any(|s| !rights.allow(s.camera)) {
                    let why = super::session::HIDDEN.to_owned();
                    return self.no_job(user, Outcome::Refused(why)).await;
                }
                let title = match segments.as_slice() {
                    [one] => {
                        format!("Video of {} from {}", self.camera_name(one.camera), one.starts_at.local_date_time())
                    }
                    all => format!("{} videos", all.len()),
                };
                self.start_job(user, title, segments, rate).await;
            }
            JobCommand::CheckEverything { hours, rate } => {
                self.records.delivery.flush().await;
                let cameras: Option<Vec<CameraId>> = match self.rights_of(user).await {
                    Rights::All => None,
                    Rights::Only(cameras) => Some(cameras.into_iter().collect()),
                };
                let now = self.records.clock.now();
                let from = hours.map_or(Timestamp(0), |h| now.minus(Duration::from_secs(u64::from(h) * 3600)));
                match self.records.stores.cameras.segments(cameras.as_deref(), from, now).await {
                    Ok(segments) => {
                        let of = hours.map_or("all video".to_owned(), |h| format!("the last {h} hours"));
                        self.start_job(user, format!("Weapons and suspects in {of}"), segments, rate).await;
                    }
                    Err(error) => self.no_job(user, Outcome::Failed(error.to_string())).await,
                }
            }
        }
    }

    async fn no_job(&self, user: &User, outcome: Outcome) {
        if let Outcome::Refused(why) | Outcome::Failed(why) = &outcome {
            self.error(format!("Nothing is analysed: {why}"));
        }
        let entry = self.records.entry((&user.cc, &user.name), Action::StartDetection, outcome);
        self.commit(&[Record::Action(entry)], "An analysis that was not started was not recorded").await;
    }

    async fn start_job(&self, user: &User, title: String, mut segments: Vec<Segment>, rate: Option<f32>) {
        if segments.is_empty() {
            let why = "there is no video to look at. Upload some, or record a camera".to_owned();
            return self.no_job(user, Outcome::Refused(why)).await;
        }
        segments.sort_by_key(|s| (s.camera, s.upload, s.starts_at));
        let Ok((head, _)) = self.records.journal.chain().await else {
            return self.no_job(user, Outcome::Failed("the journal does not answer".to_owned())).await;
        };
        let job = Job {
            id: Uuid::now_v7(),
            title,
            console: head.console,
            by: (user.cc.clone(), user.name.clone()),
            made_at: self.records.clock.now(),
            ended_at: None,
            cameras: segments.iter().map(|s| s.camera).collect::<BTreeSet<_>>().into_iter().collect(),
            total_s: segments.iter().map(|s| s.ends_at.seconds_since(s.starts_at).max(0.0)).sum(),
            segments: segments.into_iter().map(|s| s.id).collect(),
            rate: rate.filter(|r| r.is_finite() && *r > 0.0),
            state: JobState::Open,
            finished: 0,
            position: Duration::ZERO,
            looked_s: 0.0,
            worked_s: 0.0,
            pictures: 0,
            people: 0,
            findings: Vec::new(),
            troubles: Vec::new(),
        };
        if self.commit(&[Record::Job(job.clone())], "The analysis was not started").await {
            self.jobs.put(&job);
            self.jobs.wake();
        }
    }

    /// Works on jobs until it is stopped; runs on a thread of its own.
    pub(super) fn run_jobs(self: &Arc<Self>, background: &Background, pulse: &Pulse) {
        self.jobs.scratch.remove(); // what a crash left there
        let console = loop {
            let known = self.runtime.block_on(async {
                let (head, _) = self.records.journal.chain().await.ok()?;
                Some((head.console, self.records.stores.cameras.jobs(SHOWN).await.ok()?))
            });
            if self.jobs.stopped() {
                return;
            }
            match known {
                Some((console, jobs)) => {
                    jobs.iter().for_each(|job| self.jobs.put(job));
                    break console;
                }
                None => self.jobs.rest(RETRY),
            }
        };
        while !self.jobs.stopped() {
            pulse.beat();
            match self.jobs.next(console) {
                Some(job) => Work::new(self, background, job).run(),
                None => self.jobs.rest(Duration::from_secs(5)),
            }
        }
    }
}

/// Why a job does not go on now.
enum Halt {
    /// The console stops: later.
    Later,
    /// Somebody gave it up.
    Cancelled(String),
    /// The analysis itself fails.
    Vision(VisionError),
}

/// Why a file is not read to its end.
enum Unread {
    File(FileError),
    Halt(Halt),
}

impl From<FileError> for Unread {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl From<Halt> for Unread {
    fn from(halt: Halt) -> Self {
        Self::Halt(halt)
    }
}

/// A job being worked on.
struct Work<'a> {
    shared: &'a Arc<Shared>,
    background: &'a Background,
    job: Job,
    follower: Follower,
    followed: BTreeSet<SuspectId>,
    watching: Option<Watching>,
    /// Which finding a sighting is.
    open: BTreeMap<SightingId, usize>,
    /// Records of tracklets that go with the next commit.
    waiting: Vec<Record>,
    saved: Instant,
    shown: Instant,
    lap: Instant,
}

/// The recording that is being looked at.
struct Watching {
    observer: Observer,
    camera: CameraId,
    upload: Option<Uuid>,
    size: (u32, u32),
    until: Timestamp,
}

impl<'a> Work<'a> {
    fn new(shared: &'a Arc<Shared>, background: &'a Background, job: Job) -> Self {
        // Recorded video is compared whatever the site's law says of live pictures: this is review.
        // Of one video after the other nobody sees who stands where at the same time.
        let config = FollowConfig { live_follow: true, places: false, ..shared.config.follow };
        let mut follower = Follower::new(config, |id| url_of_key(&format!("crops/{id}.jpg")));
        follower.set_topology(shared.topology());
        follower.set_curves(shared.follower().curves());
        let start = Instant::now();
        let (watching, open, waiting) = (None, BTreeMap::new(), Vec::new());
        let followed = BTreeSet::new();
        Self {
            shared,
            background,
            job,
            follower,
            followed,
            watching,
            open,
            waiting,
            saved: start,
            shown: start,
            lap: start,
        }
    }

    fn run(mut self) {
        let ended = loop {
            let Some(id) = self.job.segments.get(self.job.finished).copied() else { break Ok(()) };
            match catch_unwind(AssertUnwindSafe(|| self.segment(id))) {
                Ok(Ok(())) => {}
                Ok(Err(halt)) => break Err(halt),
                // A file that cannot be worked on costs no other.
                Err(panic) => {
                    self.watching = None;
                    self.trouble(format!("A recording could not be looked at: {}", supervise::words(panic.as_ref())));
                }
            }
            self.job.finished += 1;
            self.job.position = Duration::ZERO;
        };
        let left = self.leave();
        let ended = ended.and(left);
        self.job.state = match ended {
            Err(Halt::Later) => {
                let _ = self.save(Vec::new());
                return;
            }
            Ok(()) if self.job.pictures == 0 => JobState::Failed(
                self.job.troubles.first().cloned().unwrap_or_else(|| "there was nothing to look at".to_owned()),
            ),
            Ok(()) => JobState::Done,
            Err(Halt::Cancelled(who)) => JobState::Cancelled(who),
            Err(Halt::Vision(error)) => JobState::Failed(error.to_string()),
        };
        let now = self.shared.records.clock.now();
        self.job.ended_at = Some(now);
        let percent = (self.job.part() * 100.0).round();
        let outcome = match &self.job.state {
            JobState::Cancelled(who) => Outcome::Failed(format!("given up by {who} after {percent:.0} %")),
            JobState::Failed(why) => Outcome::Failed(why.clone()),
            JobState::Open | JobState::Done => Outcome::Succeeded,
        };
        let mut entry = self.shared.records.entry((&self.job.by.0, &self.job.by.1), Action::StartDetection, outcome);
        entry.target = Some(self.job.id.to_string());
        let names: Vec<_> = self.job.cameras.iter().map(|c| self.shared.camera_name(*c)).collect();
        entry.details = json!({
            "what": self.job.title, "cameras": names, "files": self.job.segments.len(), "rate": self.job.rate,
            "video_s": self.job.looked_s.round(), "pictures": self.job.pictures, "people": self.job.people,
            "findings": self.job.findings.len(), "model": self.shared.model,
        });
        if self.save(vec![Record::Action(entry)]).is_ok() {
            let (level, text) = words(&self.job);
            self.shared.board.lock().notice(now, level, text, About::Cameras(self.job.cameras.clone()));
        }
    }

    /// Whoever was marked meanwhile is looked for from here on.
    fn take_up_suspects(&mut self) {
        let now = self.shared.records.clock.now();
        for view in &self.shared.board.lock().suspects {
            if view.suspect.is_followed(now) && self.followed.insert(view.suspect.id) {
                self.follower.follow(view.suspect.clone());
            }
        }
    }

    /// Looks at one file. One that is gone or damaged is told and costs no other.
    fn segment(&mut self, id: Uuid) -> Result<(), Halt> {
        self.take_up_suspects();
        let stores = &self.shared.records.stores;
        let Some(segment) = self.until_answered(|| stores.cameras.segment(id))? else {
            self.trouble("A recording was deleted meanwhile".to_owned());
            return Ok(());
        };
        let length = segment.ends_at.seconds_since(segment.starts_at).max(0.0);
        let before = self.job.looked_s - self.job.position.as_secs_f64().min(length);
        let Some(file) = self.file_of(&segment)? else {
            self.trouble(format!(
                "The video of {} is not in the store of objects",
                segment.starts_at.local_date_time()
            ));
            self.job.looked_s = before + length;
            return Ok(());
        };
        let gap = self.watching.as_ref().is_none_or(|w| {
            (w.camera, w.upload, w.size) != (segment.camera, segment.upload, (segment.width, segment.height))
                || segment.starts_at.seconds_since(w.until).abs() > CONTINUES_SECONDS
        });
        if gap {
            self.leave()?;
            self.watching = Some(Watching {
                observer: Observer::new(
                    segment.camera,
                    segment.upload,
                    (segment.width as f32, segment.height as f32),
                    self.shared.config.weapons,
                ),
                camera: segment.camera,
                upload: segment.upload,
                size: (segment.width, segment.height),
                until: segment.starts_at,
            });
        }
        let (mut batch, mut due) = (Vec::new(), self.job.position);
        let size = self.background.batch();
        let read = try_read_file_from(&file.path, segment.starts_at, |frame| {
            self.goes_on()?;
            let at = frame.stream_time();
            if at >= due {
                due = self.job.rate.map_or(due, |rate| at + Duration::from_secs_f32(0.999 / rate));
                batch.push(frame);
            }
            if batch.len() >= size {
                self.look(&segment, before, length, std::mem::take(&mut batch))?;
            }
            Ok(ControlFlow::Continue(()))
        });
        let trouble = match read {
            Ok(report) => report.truncated,
            Err(Unread::File(error)) => Some(error.to_string()),
            Err(Unread::Halt(halt)) => return Err(halt),
        };
        if !batch.is_empty() {
            self.look(&segment, before, length, batch)?;
        }
        trouble.into_iter().for_each(|trouble| self.trouble(trouble));
        self.job.looked_s = before + length;
        if let Some(watching) = &mut self.watching {
            watching.until = segment.ends_at;
        }
        Ok(())
    }

    /// Looks at frames that follow each other, and records what they show.
    fn look(&mut self, segment: &Segment, before: f64, length: f64, frames: Vec<Frame>) -> Result<(), Halt> {
        let frames = frames.into_iter().map(|frame| (segment.camera, frame)).collect();
        let analysed = self.background.analyse(frames).ok_or(Halt::Later)?.map_err(Halt::Vision)?;
        for analysed in &analysed {
            let Some(watching) = &mut self.watching else { continue };
            let seen = watching.observer.observe(analysed, &mut self.follower);
            let (frame, at) = (&analysed.frame, analysed.frame.stream_time());
            self.job.pictures += 1;
            self.job.people += seen.new_tracks;
            self.job.position = at + Duration::from_micros(1);
            self.job.looked_s = before + at.as_secs_f64().min(length);
            self.take(segment, frame, seen)?;
        }
        self.job.worked_s += self.lap.elapsed().as_secs_f64();
        self.lap = Instant::now();
        if self.shown.elapsed() > SHOW_EVERY {
            self.shown = Instant::now();
            self.shared.jobs.put(&self.job);
        }
        Ok(())
    }

    fn take(&mut self, segment: &Segment, frame: &Frame, seen: Observations) -> Result<(), Halt> {
        self.waiting.extend(seen.tracklets);
        let events = self.decided(seen.events);
        let mut records = self.shared.records_of(&events, Some((segment.camera, frame)));
        self.note(segment, &events);
        for weapon in seen.weapons.iter().filter(|w| w.is_new).map(|w| w.weapon) {
            let metadata = json!({ "score": weapon.score, "model": self.shared.model });
            let corners = weapon.rect.polygon().to_vec();
            let kind = if weapon.class == Class::Gun { DetectionKind::Gun } else { DetectionKind::Knife };
            records.extend(analysis::detection(segment.camera, frame, corners, None, vec![kind], metadata));
        }
        for weapon in &seen.armed {
            let kind = if weapon.class == Class::Gun { DetectionKind::Gun } else { DetectionKind::Knife };
            self.note_weapon(segment, kind, frame.captured_at(), weapon.score);
        }
        for record in &mut records {
            if let Record::Detection(detection) = record
                && let Some(known) = detection.metadata.as_object_mut()
            {
                known.insert("job".to_owned(), json!(self.job.id));
                known.insert("upload".to_owned(), json!(segment.upload));
            }
        }
        if records.is_empty() && self.saved.elapsed() < SAVE_EVERY {
            return Ok(());
        }
        self.save(records)?;
        self.show(&events, Some(frame));
        Ok(())
    }

    /// Events as they stand beside what an operator decided meanwhile.
    fn decided(&self, mut events: Vec<Event>) -> Vec<Event> {
        let board = self.shared.board.lock();
        for event in &mut events {
            if let Event::Opened(sighting) | Event::Changed(sighting) = event
                && let Some(known) = board.sighting(sighting.id)
            {
                sighting.merge(&known.sighting);
            }
        }
        events
    }

    /// Puts committed events on the board: they wait in the inbox, without an alarm of their own each.
    fn show(&self, events: &[Event], frame: Option<&Frame>) {
        for event in events {
            if let Event::Opened(sighting) | Event::Changed(sighting) = event {
                let opened = matches!(event, Event::Opened(_));
                let picture = frame.filter(|_| opened).and_then(|f| analysis::crop(f, sighting.rect));
                self.shared.board.lock().put_sighting(sighting.clone(), picture);
            }
        }
    }

    /// Keeps possible matches in the summary.
    fn note(&mut self, segment: &Segment, events: &[Event]) {
        for event in events {
            let (Event::Opened(sighting) | Event::Changed(sighting)) = event else { continue };
            if let Some(finding) = self.open.get(&sighting.id).and_then(|i| self.job.findings.get_mut(*i)) {
                finding.until = sighting.last_seen_at;
                finding.probability = finding.probability.max(sighting.probability);
            } else if matches!(event, Event::Opened(_)) && self.job.findings.len() < MOST_FINDINGS {
                self.open.insert(sighting.id, self.job.findings.len());
                self.job.findings.push(Finding {
                    kind: DetectionKind::Suspect,
                    camera: segment.camera,
                    segment: segment.id,
                    from: sighting.entered_at,
                    until: sighting.last_seen_at,
                    suspect: Some(sighting.suspect),
                    sighting: Some(sighting.id),
                    probability: sighting.probability,
                });
            }
        }
    }

    fn note_weapon(&mut self, segment: &Segment, kind: DetectionKind, at: Timestamp, score: f32) {
        let same = |f: &&mut Finding| {
            f.kind == kind && f.segment == segment.id && at.seconds_since(f.until).abs() <= SAME_KNIFE_SECONDS
        };
        if let Some(finding) = self.job.findings.iter_mut().rev().find(same) {
            finding.until = at;
            finding.probability = finding.probability.max(score);
        } else if self.job.findings.len() < MOST_FINDINGS {
            self.job.findings.push(Finding {
                kind,
                camera: segment.camera,
                segment: segment.id,
                from: at,
                until: at,
                suspect: None,
                sighting: None,
                probability: score,
            });
        }
    }

    /// Whoever is in view has left: the recording is over, or the job is.
    fn leave(&mut self) -> Result<(), Halt> {
        let Some(mut watching) = self.watching.take() else { return Ok(()) };
        let size = (watching.size.0 as f32, watching.size.1 as f32);
        let (_, events, tracklets) = watching.observer.restart(size, &mut self.follower);
        self.waiting.extend(tracklets);
        let events = self.decided(events);
        for event in &events {
            if let Event::Changed(sighting) = event
                && let Some(finding) = self.open.get(&sighting.id).and_then(|i| self.job.findings.get_mut(*i))
            {
                finding.until = sighting.last_seen_at;
            }
        }
        self.save(self.shared.records_of(&events, None))?;
        self.show(&events, None);
        Ok(())
    }

    /// Commits records with how far the job is: after a crash neither is without the other. A journal that refuses is tried
    /// again until the console stops.
    fn save(&mut self, mut records: Vec<Record>) -> Result<(), Halt> {
        records.append(&mut self.waiting);
        records.push(Record::Job(self.job.clone()));
        loop {
            if self.shared.runtime.block_on(self.shared.commit(&records, "An analysis waits")) {
                self.saved = Instant::now();
                self.shared.jobs.put(&self.job);
                return Ok(());
            }
            if self.shared.jobs.stopped() {
                return Err(Halt::Later);
            }
            self.shared.jobs.rest(RETRY);
        }
    }

    fn goes_on(&self) -> Result<(), Halt> {
        if self.shared.jobs.stopped() {
            return Err(Halt::Later);
        }
        match self.shared.jobs.canceller(self.job.id) {
            Some(who) => Err(Halt::Cancelled(who)),
            None => Ok(()),
        }
    }

    /// Asks a store until it answers, the console stops, or somebody gives the job up.
    fn until_answered<T, F: Future<Output = Result<T, StoreError>>>(&self, ask: impl Fn() -> F) -> Result<T, Halt> {
        loop {
            self.goes_on()?;
            match self.shared.runtime.block_on(ask()) {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    let about = About::Cameras(self.job.cameras.clone());
                    self.shared.trouble(about, format!("An analysis waits: {error}"));
                    self.shared.jobs.rest(RETRY);
                }
            }
        }
    }

    /// The video as a file on this machine; `None` where the store has none.
    fn file_of(&self, segment: &Segment) -> Result<Option<LocalFile>, Halt> {
        let Some(key) = key_of_url(&segment.video_url) else { return Ok(None) };
        let objects = &self.shared.records.stores.objects;
        if let Some(path) = objects.local_file(key) {
            let there = self.until_answered(|| async { is_there(&path) })?;
            return Ok(there.then_some(LocalFile { path, copy: false }));
        }
        let ending = key.rsplit_once('.').map_or("mkv", |(_, ending)| ending);
        let (scratch, name) = (&self.shared.jobs.scratch, format!("{}.{ending}", segment.id));
        let copy = self.until_answered(|| async {
            let path = scratch.file(&name)?;
            Ok(objects.get_to_file(key, &path).await?.then_some(path))
        })?;
        Ok(copy.map(|path| LocalFile { path, copy: true }))
    }

    fn trouble(&mut self, text: String) {
        if self.job.troubles.len() < MOST_TROUBLES && !self.job.troubles.contains(&text) {
            self.job.troubles.push(text);
        }
    }
}

/// A video as a file of this machine: the store's own, or a copy that goes when it is not needed any more.
struct LocalFile {
    path: PathBuf,
    copy: bool,
}

impl Drop for LocalFile {
    fn drop(&mut self) {
        if self.copy {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// What a job came to, in words.
fn words(job: &Job) -> (NoticeLevel, String) {
    let of = |kind| job.findings.iter().filter(|f| f.kind == kind).count();
    let several = |n: usize, one: &str, many: &str| match n {
        0 => None,
        1 => Some(format!("1 {one}")),
        n => Some(format!("{n} {many}")),
    };
    let found: Vec<_> = [
        several(of(DetectionKind::Suspect), "possible match", "possible matches"),
        several(of(DetectionKind::Knife), "possible knife", "possible knives"),
        several(of(DetectionKind::Gun), "possible gun", "possible guns"),
    ]
    .into_iter()
    .flatten()
    .collect();
    let found = if found.is_empty() { "nothing found".to_owned() } else { found.join(", ") };
    match &job.state {
        JobState::Cancelled(_) => (NoticeLevel::Info, format!("{}: given up; {found} so far", job.title)),
        JobState::Failed(why) => (NoticeLevel::Error, format!("{}: {why}", job.title)),
        _ if job.findings.is_empty() => (NoticeLevel::Info, format!("{}: {found}", job.title)),
        _ => (NoticeLevel::Alert, format!("{}: {found}", job.title)),
    }
}
