//! Brings records from the journal to their stores: at least once, in order per store, never lost.
use super::{
    Destination, Others, Record,
    journal::{Entry, Journal},
};
use crate::{
    model::{Clock, Timestamp},
    store::{StoreError, Stores},
    supervise::{Supervisor, Who},
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{Mutex, Notify, watch},
    task::JoinSet,
    time::sleep,
};
use uuid::Uuid;

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// So often a record is offered to a store that works and refuses it.
const MAX_ATTEMPTS: u32 = 3;
/// How long the action log may take to say that it takes entries, where actions wait for that.
const LOG_WITHIN: Duration = Duration::from_secs(4);
/// Records taken from the journal at once.
const BATCH: u32 = 16;
/// Sightings that an emptied suspect state gets back beside those that are open or undecided.
const REFILLED_SIGHTINGS: u32 = 500;

/// How the delivery to one store, or the journal itself, is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// `cameras`, `action log`, `objects`, `suspect state` or `journal`.
    pub store: &'static str,
    /// Records accepted and not yet delivered; for the journal those of all stores.
    pub backlog: u64,
    /// Records that the store refused for what they are; kept in the journal, not tried again.
    pub set_aside: u64,
    /// The last failure, in words; `None` when the last delivery went well and nothing is set aside.
    pub error: Option<String>,
    /// Since when nothing can be delivered; `None` while the store takes records.
    pub failing_since: Option<Timestamp>,
}

/// What one queue last did.
#[derive(Debug, Default)]
struct Progress {
    /// Number of the round under way, or of the last one.
    round: u64,
    /// Number of the last round that got stuck.
    stuck: u64,
    /// Why the last round got stuck, and since when rounds do.
    failing: Option<(String, Timestamp)>,
    /// Why the record that was set aside last was refused.
    refusal: Option<String>,
}

/// The running delivery: one queue a store, each in a task. Dropping it stops it at once, which loses nothing.
pub struct Delivery {
    queues: Vec<Arc<Queue>>,
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
    journal: Journal,
    stores: Stores,
}

impl Delivery {
    /// Starts to deliver what is and comes into the journal. Must be called on a tokio runtime with time.
    #[expect(clippy::needless_pass_by_value, reason = "the clock is a shared handle, cloned for each queue")]
    pub fn spawn(journal: Journal, stores: Stores, clock: Arc<dyn Clock>, supervisor: &Supervisor) -> Self {
        let stop = watch::Sender::new(false);
        let mut tasks = JoinSet::new();
        let queues = Destination::ALL.map(|destination| {
            let queue = Arc::new(Queue {
                destination,
                journal: journal.clone(),
                stores: stores.clone(),
                clock: Arc::clone(&clock),
                progress: watch::Sender::default(),
                hurry: Arc::default(),
                mark: Mutex::default(),
            });
            let (running, stopped) = (Arc::clone(&queue), stop.subscribe());
            let who = Who::takes_its_time(&format!("delivery to {}", destination.name()));
            tasks.spawn(supervisor.task(who, move |pulse| {
                let (running, stopped) = (Arc::clone(&running), stopped.clone());
                async move {
                    pulse.beat();
                    running.run(stopped).await;
                }
            }));
            queue
        });
        Self { queues: queues.into(), tasks, stop, journal, stores }
    }

    /// How every store's delivery is doing, and the journal last. Cheap.
    pub fn health(&self) -> Vec<Health> {
        let mut all: Vec<Health> = self.queues.iter().map(|q| q.health()).collect();
        all.push(Health {
            store: "journal",
            backlog: all.iter().map(|h| h.backlog).sum(),
            set_aside: all.iter().map(|h| h.set_aside).sum(),
            error: self.journal.trouble(),
            failing_since: None,
        });
        all
    }

    /// Hears from now on what other consoles change.
    pub fn others(&self) -> Others {
        let queue = self.queues.iter().find(|q| q.destination == Destination::Suspects);
        Others::new(self.stores.clone(), queue.map(|q| Arc::clone(&q.hurry)).unwrap_or_default())
    }

    /// Delivers now, without waiting for the end of a pause: until nothing is left (`true`) or until each store that has
    /// something left has failed once more (`false`).
    pub async fn flush(&self) -> bool {
        let mut empty = true;
        for queue in &self.queues {
            empty &= queue.flush().await;
        }
        empty
    }

    /// Whether the action log takes entries now: what waits for it is delivered, and the log itself is asked.
    ///
    /// # Errors
    /// Why not.
    pub async fn reaches_the_log(&self) -> Result<(), StoreError> {
        let away = |detail: String| StoreError::Unavailable { place: Destination::Actions.name().to_owned(), detail };
        let asked = async {
            self.stores.actions.takes_entries().await?;
            let Some(queue) = self.queues.iter().find(|q| q.destination == Destination::Actions) else { return Ok(()) };
            if queue.flush().await { Ok(()) } else { Err(away(queue.health().error.unwrap_or_default())) }
        };
        tokio::time::timeout(LOG_WITHIN, asked).await.unwrap_or_else(|_| Err(away("no answer".to_owned())))
    }

    /// Stops after the records under way. What is left stays in the journal for the next start.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Delivery").field(&self.health()).finish()
    }
}

/// The way of the records of one store.
struct Queue {
    destination: Destination,
    journal: Journal,
    stores: Stores,
    clock: Arc<dyn Clock>,
    progress: watch::Sender<Progress>,
    /// Ends the pause under way.
    hurry: Arc<Notify>,
    /// What the last refill of the suspect state left there; `None` when it is not known to be whole.
    mark: Mutex<Option<Uuid>>,
}

impl Queue {
    async fn run(&self, mut stop: watch::Receiver<bool>) {
        let mut counts = self.journal.watch();
        let refusal = self.journal.last_refusal(self.destination).await.ok().flatten();
        self.progress.send_modify(|p| p.refusal = refusal);
        let mut pause = FIRST_PAUSE;
        while !*stop.borrow() {
            self.progress.send_modify(|p| p.round += 1);
            let round = self.round(&stop).await;
            self.note(round.as_ref().err());
            let wait = match round {
                Ok(true) => continue,
                // accepted after this round had looked: nobody would wake us for it
                Ok(false) if self.journal.waiting(self.destination).pending > 0 => continue,
                Ok(false) => {
                    pause = FIRST_PAUSE;
                    LONGEST_PAUSE
                }
                Err(_) => {
                    let this = pause;
                    pause = (2 * pause).min(LONGEST_PAUSE);
                    this
                }
            };
            let idle = self.journal.waiting(self.destination).pending == 0;
            tokio::select! {
                () = sleep(wait) => {}
                () = self.hurry.notified() => {}
                _ = stop.wait_for(|s| *s) => {}
                _ = counts.wait_for(|c| c.get(self.destination as usize).is_some_and(|w| w.pending > 0)), if idle => {}
            }
        }
    }

    /// The suspect state gets back all that it lost: when somebody emptied it, when it was away, and when this console starts. What
    /// still waits for the cameras database belongs to it, too.
    async fn keep_whole(&self) -> Result<(), StoreError> {
        let Stores { cameras, suspects: state, .. } = &self.stores;
        let mut known = self.mark.lock().await;
        let mark = match state.mark().await {
            Ok(mark) if mark.is_some() && mark == *known => return Ok(()),
            answer => {
                *known = None;
                answer?
            }
        };
        // The journal first: what leaves it meanwhile is in the database then.
        let (mut suspects, mut sightings) = self.journal.undelivered_state().await?;
        suspects.extend(cameras.unexpired_suspects(self.clock.now()).await?);
        sightings.extend(cameras.unfinished_sightings().await?);
        sightings.extend(cameras.sightings(None, REFILLED_SIGHTINGS).await?);
        tracing::info!(suspects = suspects.len(), emptied = mark.is_none(), "the suspect state is filled");
        *known = Some(state.refill(&suspects, &sightings).await?);
        Ok(())
    }

    /// Offers the records that have waited longest; `false` when there are none.
    async fn round(&self, stop: &watch::Receiver<bool>) -> Result<bool, StoreError> {
        if self.destination == Destination::Suspects {
            self.keep_whole().await?;
        }
        let entries = self.journal.oldest(self.destination, BATCH).await?;
        if entries.is_empty() {
            self.journal.recount(self.destination).await?;
            return Ok(false);
        }
        let mut done = Vec::new();
        let mut refused = None;
        let mut stuck = None;
        for entry in entries.iter().take_while(|_| !*stop.borrow()) {
            match self.deliver(entry).await {
                Ok(()) => done.push(entry),
                Err(e) => {
                    if e.is_bad_record() {
                        refused = Some((entry, e.to_string(), entry.attempts + 1 >= MAX_ATTEMPTS));
                    }
                    stuck = Some(e);
                    break;
                }
            }
        }
        self.journal.delivered(self.destination, &done).await?;
        if let Some((entry, why, set_aside)) = refused {
            self.journal.refused(self.destination, entry, &why, set_aside).await?;
            if set_aside {
                tracing::error!(store = self.destination.name(), "a record was set aside: {why}");
                self.progress.send_modify(|p| p.refusal = Some(why));
                return Ok(true); // the way is free for those behind it
            }
        }
        stuck.map_or(Ok(true), Err)
    }

    async fn deliver(&self, entry: &Entry) -> Result<(), StoreError> {
        let Stores { cameras, actions, objects, suspects, .. } = &self.stores;
        let record = entry.record.as_ref().map_err(|e| StoreError::BadRecord(e.clone()))?;
        if self.destination == Destination::Suspects {
            return match record {
                Record::Suspect(suspect) => suspects.put_suspect(suspect).await,
                Record::Sighting(sighting) => suspects.put_sighting(sighting).await,
                _ => Ok(()), // never sent there
            };
        }
        match record {
            Record::Action(action) => actions.append(action).await,
            Record::Camera(camera) => cameras.upsert_camera(camera).await,
            Record::Detection(detection) => cameras.put_detection(detection).await,
            Record::Suspect(suspect) => cameras.put_suspect(suspect).await,
            Record::Sighting(sighting) => cameras.put_sighting(sighting).await,
            Record::Tracklet(tracklet) => cameras.put_tracklet(tracklet).await,
            Record::Looked(minute) => cameras.put_looked(minute).await,
            Record::Segment(segment) => cameras.put_segment(segment).await,
            Record::Gap(gap) => cameras.put_gap(gap).await,
            Record::Upload(upload) => cameras.put_upload(upload).await,
            Record::Hold(hold) => cameras.put_hold(hold).await,
            Record::Job(job) => cameras.put_job(job).await,
            Record::Bookmark(bookmark) => cameras.put_bookmark(bookmark).await,
            Record::CaseFact(fact) => cameras.put_case_fact(fact).await,
            Record::Curve(curve) => cameras.put_curve(curve).await,
            Record::Ground(ground) => cameras.put_ground(ground).await,
            Record::Object { key, content_type, bytes } => objects.put(key, bytes.clone(), content_type).await,
        }
    }

    fn note(&self, error: Option<&StoreError>) {
        let now = self.clock.now();
        if error.is_some() && self.destination == Destination::Suspects {
            // What it had may be gone when it is back.
            if let Ok(mut mark) = self.mark.try_lock() {
                *mark = None;
            }
        }
        self.progress.send_modify(|p| match error {
            None => p.failing = None,
            Some(e) => {
                let since = p.failing.as_ref().map_or(now, |(_, since)| *since);
                if p.failing.is_none() {
                    tracing::warn!(store = self.destination.name(), "records wait: {e}");
                }
                p.failing = Some((e.to_string(), since));
                p.stuck = p.round;
            }
        });
    }

    fn health(&self) -> Health {
        let waiting = self.journal.waiting(self.destination);
        let progress = self.progress.borrow();
        let set_aside = (waiting.set_aside > 0).then(|| {
            let why = progress.refusal.as_deref().unwrap_or("refused by the store");
            format!("{} set aside, the last because {why}", waiting.set_aside)
        });
        Health {
            store: self.destination.name(),
            backlog: waiting.pending,
            set_aside: waiting.set_aside,
            error: progress.failing.as_ref().map(|(why, _)| why.clone()).or(set_aside),
            failing_since: progress.failing.as_ref().map(|(_, since)| *since),
        }
    }

    async fn flush(&self) -> bool {
        let mut counts = self.journal.watch();
        let mut progress = self.progress.subscribe();
        let before = progress.borrow_and_update().round;
        self.hurry.notify_one();
        loop {
            if counts.borrow_and_update().get(self.destination as usize).is_none_or(|w| w.pending == 0) {
                return true;
            }
            if progress.borrow_and_update().stuck > before {
                return false;
            }
            tokio::select! {
                _ = counts.changed() => {}
                _ = progress.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{Action, ActionRecord, DetectionRecord, Outcome, Suspect, SystemClock},
        servers,
        store::{
            Address, Addresses, DataFolder, DetectionFilter, LogFilter, cameras::tests as examples,
            tracklets::tests::tracklet,
        },
    };
    use std::{collections::BTreeMap, fs};

    struct Site {
        _dir: tempfile::TempDir,
        folder: DataFolder,
        journal: Journal,
        stores: Stores,
        delivery: Delivery,
    }

    impl Site {
        async fn open() -> Self {
            Self::open_with(Default::default()).await
        }

        async fn open_with(addresses: Addresses) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let folder = DataFolder::open(dir.path()).unwrap();
            let clock: Arc<dyn Clock> = Arc::new(SystemClock);
            let journal = Journal::open(folder.journal(), Arc::clone(&clock)).await.unwrap();
            let stores = Stores::open(&folder, &addresses).await.unwrap();
            let delivery = Delivery::spawn(journal.clone(), stores.clone(), clock, &Supervisor::default());
            Self { _dir: dir, folder, journal, stores, delivery }
        }

        fn health(&self, store: &str) -> Health {
            self.delivery.health().into_iter().find(|h| h.store == store).unwrap()
        }
    }

    fn action(log_id: i64) -> Record {
        Record::Action(ActionRecord {
            log_id,
            user_cc: "1".to_owned(),
            user_name: String::new(),
            action: Action::Login,
            log_accessed: None,
            timestamp: Timestamp(1_795_000_000_000_000),
            outcome: Outcome::Succeeded,
            target: None,
            details: serde_json::Value::Null,
            link: None,
        })
    }

    fn object(n: u8) -> Record {
        Record::Object { key: format!("crops/{n}.jpg"), content_type: "image/jpeg".to_owned(), bytes: vec![n; 1000] }
    }

    #[tokio::test]
    async fn records_arrive_and_leave_the_journal() {
        let site = Site::open().await;
        let camera = examples::camera();
        let suspect = examples::suspect(camera.id, "Suspect 1");
        let sighting = examples::sighting(&suspect);
        let detection = examples::detection(camera.id, Some(suspect.id), Timestamp(1_795_000_000_000_000));
        let tracklet = tracklet(camera.id, 1);
        let click = [
            Record::Camera(camera.clone()),
            object(1),
            Record::Suspect(suspect.clone()),
            Record::Sighting(sighting.clone()),
            Record::Detection(detection.clone()),
            Record::Tracklet(tracklet.clone()),
            action(1),
        ];
        // delivered again, all but the action, which a console never records twice
        for records in [&click[..], &click[..6]] {
            site.journal.append(records).await.unwrap();
            assert!(site.delivery.flush().await, "{:?}", site.delivery);
        }
        let stores = &site.stores;
        assert_eq!(stores.cameras.cameras().await.unwrap(), [camera]);
        assert_eq!(stores.cameras.suspects().await.unwrap(), [suspect]);
        assert_eq!(stores.cameras.sightings(None, 9).await.unwrap(), [sighting]);
        assert_eq!(stores.cameras.detections(&DetectionFilter::default()).await.unwrap(), [detection]);
        assert_eq!(stores.cameras.tracklet(tracklet.id).await.unwrap(), Some(tracklet));
        assert_eq!(stores.objects.get("crops/1.jpg").await.unwrap(), Some(vec![1; 1000]));
        assert_eq!(stores.actions.page(&LogFilter::default(), None, 9).await.unwrap().len(), 1);
        assert!(site.delivery.health().iter().all(|h| h.backlog == 0 && h.error.is_none()));
        let left: i64 = site.journal.recorded().await;
        assert_eq!(left, 0, "delivered records stay in the journal");
    }

    /// A record accepted just as a queue had found nothing waited for the end of the longest pause.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_record_that_comes_while_a_queue_falls_asleep_is_not_overslept() {
        let site = Site::open().await;
        let camera = examples::camera();
        for _ in 0..150 {
            site.journal.append(&[Record::Camera(camera.clone())]).await.unwrap();
            let arrived = async {
                while site.journal.backlog() > 0 {
                    tokio::task::yield_now().await;
                }
            };
            assert!(tokio::time::timeout(LONGEST_PAUSE / 2, arrived).await.is_ok(), "{:?}", site.delivery);
        }
    }

    #[tokio::test]
    async fn a_store_that_is_down_holds_up_its_own_records_only_and_loses_none() {
        let site = Site::open().await;
        let (objects, aside) = (site.folder.objects(), site.folder.path().join("aside"));
        fs::rename(&objects, &aside).unwrap();
        fs::write(&objects, "not a folder").unwrap();
        for n in 0..20 {
            site.journal.append(&[object(n), action(i64::from(n))]).await.unwrap();
        }
        assert!(!site.delivery.flush().await);
        assert_eq!(site.stores.actions.page(&LogFilter::default(), None, 100).await.unwrap().len(), 20);
        let health = site.health("objects");
        assert_eq!((health.backlog, health.set_aside), (20, 0), "a store that is down is not the record's fault");
        assert!(health.error.unwrap().contains("cannot be used now") && health.failing_since.is_some());
        assert_eq!(site.health("action log").error, None);
        assert_eq!(site.health("journal").backlog, 20);

        fs::remove_file(&objects).unwrap();
        fs::rename(&aside, &objects).unwrap();
        assert!(site.delivery.flush().await, "{:?}", site.delivery);
        for n in 0..20 {
            let bytes = site.stores.objects.get(&format!("crops/{n}.jpg")).await.unwrap();
            assert_eq!(bytes, Some(vec![n; 1000]));
        }
        assert_eq!(fs::read_dir(objects.join("crops")).unwrap().count(), 20);
        let health = site.health("objects");
        assert_eq!((health.backlog, health.error, health.failing_since), (0, None, None));
    }

    #[tokio::test]
    async fn a_record_that_is_refused_is_set_aside_shown_and_free_to_come_again() {
        let site = Site::open().await;
        let camera = examples::camera();
        let good = examples::detection(camera.id, None, Timestamp(1_795_000_000_000_000));
        let poison = DetectionRecord { kinds: Vec::new(), ..examples::detection(camera.id, None, Timestamp(0)) };
        let records = [Record::Camera(camera), Record::Detection(poison.clone()), Record::Detection(good.clone())];
        site.journal.append(&records).await.unwrap();
        while !site.delivery.flush().await {} // each is one more attempt
        assert_eq!(
            site.stores.cameras.detections(&DetectionFilter::default()).await.unwrap(),
            std::slice::from_ref(&good)
        );
        let health = site.health("cameras");
        assert_eq!((health.backlog, health.set_aside, health.failing_since), (0, 1, None));
        assert!(health.error.unwrap().contains("1 set aside, the last because the record is not accepted"));

        // a restart neither forgets it nor tries it again
        site.delivery.stop().await;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let journal = Journal::open(site.folder.journal(), Arc::clone(&clock)).await.unwrap();
        let delivery = Delivery::spawn(journal.clone(), site.stores.clone(), clock, &Supervisor::default());
        assert!(delivery.flush().await);
        assert_eq!(delivery.health().iter().map(|h| h.set_aside).collect::<Vec<_>>(), [1, 0, 0, 0, 1]);

        let cured = DetectionRecord { kinds: good.kinds.clone(), ..poison };
        journal.append(&[Record::Detection(cured)]).await.unwrap();
        assert!(delivery.flush().await);
        assert!(delivery.health().iter().all(|h| h.set_aside == 0 && h.error.is_none()), "{delivery:?}");
        assert_eq!(site.stores.cameras.detections(&DetectionFilter::default()).await.unwrap().len(), 2);
    }

    /// The suspect state is down at the start, comes, is emptied, dies with records on their way, and comes back: it has all of them
    /// each time, and nobody else waits for it.
    #[tokio::test]
    async fn a_suspect_state_that_was_away_or_emptied_gets_everything_back() {
        let server = servers::Redis::start();
        server.kill();
        let suspects = Some(Address::parse(&server.namespace()).unwrap());
        let site = Site::open_with(Addresses { suspects, ..Addresses::default() }).await;
        let camera = examples::camera();
        let now = SystemClock.now();
        let suspect = |label: &str| Suspect {
            expires_at: now.plus(Duration::from_secs(600)),
            ..examples::suspect(camera.id, label)
        };
        let (first, second) = (suspect("Suspect 1"), suspect("Suspect 2"));
        let seen = examples::sighting(&first);
        let click = [Record::Camera(camera.clone()), Record::Suspect(first.clone()), Record::Sighting(seen.clone())];
        site.journal.append(&click).await.unwrap();
        assert!(!site.delivery.flush().await);
        assert_eq!(site.stores.cameras.suspects().await.unwrap().len(), 1, "the others do not wait for it");
        let health = site.health("suspect state");
        assert!(health.backlog == 2 && health.set_aside == 0 && health.failing_since.is_some(), "{health:?}");

        let state = async || {
            let all = site.stores.suspects.suspects().await.unwrap();
            all.into_iter().map(|f| (f.suspect.label, f.open.len())).collect::<BTreeMap<_, _>>()
        };
        let only_first = BTreeMap::from([("Suspect 1".to_owned(), 1)]);
        server.restart();
        assert!(site.delivery.flush().await, "{:?}", site.delivery);
        assert_eq!(state().await, only_first);
        assert_eq!(site.health("suspect state").error, None);

        let mut others = site.delivery.others();
        let listening = tokio::spawn(async move { others.next().await });
        server.flush();
        let filled = async {
            while state().await != only_first {
                sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(tokio::time::timeout(LONGEST_PAUSE / 2, filled).await.is_ok(), "noticed before the next record");
        listening.abort();

        server.kill();
        site.journal.append(&[Record::Suspect(second)]).await.unwrap();
        assert!(!site.delivery.flush().await);
        server.restart();
        server.flush();
        assert!(site.delivery.flush().await, "{:?}", site.delivery);
        assert_eq!(state().await.len(), 2);
        assert_eq!(site.stores.suspects.sightings(first.id, 9).await.unwrap(), [seen], "each once");
    }

    #[tokio::test]
    async fn what_is_left_at_the_stop_is_delivered_after_the_next_start() {
        let site = Site::open().await;
        site.delivery.stop().await;
        site.journal.append(&[action(1), action(2)]).await.unwrap();
        assert_eq!(site.stores.actions.page(&LogFilter::default(), None, 9).await.unwrap(), []);
        let delivery =
            Delivery::spawn(site.journal.clone(), site.stores.clone(), Arc::new(SystemClock), &Supervisor::default());
        assert!(delivery.flush().await);
        assert_eq!(site.stores.actions.page(&LogFilter::default(), None, 9).await.unwrap().len(), 2);
    }
}
