//! Whatever runs as long as the site has an owner here: when a thread or a task ends though nobody asked for that, it begins again
//! after a pause, and that is told; when one gives no sign of life, that is told, too.
//!
//! A panic is caught where the worker began: it takes nobody else with it. What it shared with others lies behind locks that do not
//! care ([`PoisonError`]), and what it had of its own is made anew.
mod life;

use crate::model::CameraId;
use futures_util::FutureExt as _;
use life::Life;
pub use life::{Change, Doing};
use std::{
    any::Any,
    fmt,
    future::Future,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// After so long without a sign of life a worker is told to be silent.
pub const SILENT_AFTER: Duration = Duration::from_secs(8);
/// The same for one that asks stores in between, each of which may take [`STORE_TIMEOUT`](crate::store::STORE_TIMEOUT) and is told by itself.
pub const SILENT_WITH_STORES_AFTER: Duration = Duration::from_secs(30);
/// A task that is silent for so long is given up and begins anew. A thread cannot be given up: it is told for as long as it is silent.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(60);

/// Who a worker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// In the operator's words, a noun without its article: `analysis`.
    pub name: String,
    /// Whose, where it works for one camera.
    pub camera: Option<CameraId>,
    /// After which silence that is told; `None` of one that may rightly take any time.
    pub silent_after: Option<Duration>,
}

impl Who {
    /// One that always gives signs of life.
    pub fn beats(name: &str) -> Self {
        Self { name: name.to_owned(), camera: None, silent_after: Some(SILENT_AFTER) }
    }

    /// One that asks stores in between.
    pub fn asks_stores(name: &str) -> Self {
        Self { silent_after: Some(SILENT_WITH_STORES_AFTER), ..Self::beats(name) }
    }

    /// One that may rightly take any time over its work: only its end is told.
    pub fn takes_its_time(name: &str) -> Self {
        Self { silent_after: None, ..Self::beats(name) }
    }

    /// The same, for one camera.
    #[must_use]
    pub fn of(self, camera: CameraId) -> Self {
        Self { camera: Some(camera), ..self }
    }
}

/// News of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// Whose.
    pub who: Who,
    /// What.
    pub change: Change,
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.who.name;
        match &self.change {
            Change::Silent(silence) => write!(f, "{name} has given no sign of life for {} s", silence.as_secs()),
            Change::Ended(why, pause) => write!(f, "{name} failed ({why}). It begins again in {} s", pause.as_secs()),
            Change::Works => write!(f, "{name} works again"),
        }
    }
}

/// A worker that does not work as it should, for the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Who.
    pub who: Who,
    /// What is the matter, one sentence without a full stop.
    pub words: String,
}

/// The owner of all workers of a site. Cloning shares it; its end ends nobody, but whoever pauses then does not begin again.
#[derive(Clone, Default)]
pub struct Supervisor(Arc<Inner>);

struct Inner {
    zero: Instant,
    workers: Mutex<Vec<Arc<Worker>>>,
    news: Mutex<Vec<News>>,
    stopped: Mutex<bool>,
    stop: Condvar,
    stopping: Notify,
}

impl Default for Inner {
    fn default() -> Self {
        let (workers, news, stopped, stop) = Default::default();
        Self { zero: Instant::now(), workers, news, stopped, stop, stopping: Notify::new() }
    }
}

struct Worker {
    who: Who,
    life: Mutex<Life>,
    given_up: Notify,
    #[cfg(test)]
    trip: Mutex<Option<Trip>>,
    #[cfg(test)]
    tripped: Notify,
}

/// What a test does to a worker at its next sign of life.
#[cfg(test)]
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trip {
    Panic,
    Hang(Duration),
}

/// By which a worker gives its signs of life.
#[derive(Clone)]
pub struct Pulse {
    inner: Arc<Inner>,
    worker: Arc<Worker>,
}

/// A worker waits for something that may take any time; its end is a sign of life.
pub struct Resting<'a>(&'a Pulse);

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    fn now(&self) -> Duration {
        self.zero.elapsed()
    }

    fn tell(&self, worker: &Worker, change: Change) {
        lock(&self.news).push(News { who: worker.who.clone(), change });
    }

    fn enrol(self: &Arc<Self>, who: Who) -> Pulse {
        let life = Mutex::new(Life::new(who.silent_after, self.now()));
        let worker = Worker {
            who,
            life,
            given_up: Notify::new(),
            #[cfg(test)]
            trip: Mutex::default(),
            #[cfg(test)]
            tripped: Notify::new(),
        };
        let worker = Arc::new(worker);
        lock(&self.workers).push(Arc::clone(&worker));
        Pulse { inner: Arc::clone(self), worker }
    }
}

impl Pulse {
    /// A sign of life. To be given at every turn of a worker's loop; cheap.
    pub fn beat(&self) {
        self.sign(false);
        #[cfg(test)]
        {
            let trip = lock(&self.worker.trip).take();
            match trip {
                Some(Trip::Panic) => panic!("tripped by a test"),
                Some(Trip::Hang(time)) => std::thread::sleep(time),
                None => {}
            }
        }
    }

    /// A test may let a task fail wherever it waits.
    #[cfg(test)]
    async fn or_tripped(&self, work: impl Future<Output = ()>) {
        tokio::select! {
            () = work => {}
            () = self.worker.tripped.notified() => {
                let _ = lock(&self.worker.trip).take();
                panic!("tripped by a test")
            }
        }
    }

    /// From now on the worker waits for something that may take any time.
    #[must_use]
    pub fn rest(&self) -> Resting<'_> {
        self.sign(true);
        Resting(self)
    }

    fn sign(&self, rests: bool) {
        let news = lock(&self.worker.life).beat(self.inner.now(), rests);
        if let Some(change) = news {
            self.inner.tell(&self.worker, change);
        }
    }

    /// Tells of an end that nobody asked for; returns after which pause it is to begin again.
    fn ended(&self, why: String) -> Duration {
        let pause = lock(&self.worker.life).ended(self.inner.now(), why.clone());
        self.inner.tell(&self.worker, Change::Ended(why, pause));
        pause
    }

    fn begin(&self) {
        lock(&self.worker.life).begin(self.inner.now());
    }
}

impl Drop for Resting<'_> {
    fn drop(&mut self) {
        self.0.sign(false);
    }
}

/// One that is watched; dropped, it is over.
pub struct Enrolled(Pulse);

impl Enrolled {
    /// It failed; returns after which pause it is to be tried again.
    pub fn failed(&self, why: String) -> Duration {
        self.0.ended(why)
    }

    /// It works.
    pub fn works(&self) {
        self.0.sign(false);
    }
}

impl Drop for Enrolled {
    fn drop(&mut self) {
        let Pulse { inner, worker } = &self.0;
        lock(&inner.workers).retain(|w| !Arc::ptr_eq(w, worker));
    }
}

impl Supervisor {
    /// Watches something that is neither a thread nor a task of its own, such as the share of one camera in a common thread.
    pub fn enrol(&self, who: Who) -> Enrolled {
        Enrolled(self.0.enrol(who))
    }

    /// Starts a thread. When `work` panics it is called again after a pause; when it returns the thread is over.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn thread(
        &self,
        thread: &str,
        who: Who,
        mut work: impl FnMut(&Pulse) + Send + 'static,
    ) -> io::Result<JoinHandle<()>> {
        let enrolled = Enrolled(self.0.enrol(who));
        std::thread::Builder::new().name(thread.to_owned()).spawn(move || {
            let pulse = &enrolled.0;
            loop {
                pulse.begin();
                let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(pulse))) else { return };
                let pause = pulse.ended(words(panic.as_ref()));
                let stopped = lock(&pulse.inner.stopped);
                let waited = pulse.inner.stop.wait_timeout_while(stopped, pause, |stopped| !*stopped);
                if *waited.unwrap_or_else(PoisonError::into_inner).0 {
                    return;
                }
            }
        })
    }

    /// The task that does what `make` makes. When that panics, or is silent for a minute, it is made anew after a pause; when it returns
    /// the task is over.
    pub fn task<F, Fut>(&self, who: Who, mut make: F) -> impl Future<Output = ()> + Send + use<F, Fut>
    where
        F: FnMut(Pulse) -> Fut + Send,
        Fut: Future<Output = ()> + Send,
    {
        let enrolled = Enrolled(self.0.enrol(who));
        async move {
            let pulse = &enrolled.0;
            loop {
                pulse.begin();
                let work = make(pulse.clone());
                #[cfg(test)]
                let work = pulse.or_tripped(work);
                let why = tokio::select! {
                    done = AssertUnwindSafe(work).catch_unwind() => match done {
                        Ok(()) => return,
                        Err(panic) => words(panic.as_ref()),
                    },
                    () = pulse.worker.given_up.notified() => "it was given up, since it gave no sign of life".to_owned(),
                };
                let pause = pulse.ended(why);
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = pulse.inner.stopping.notified() => return,
                }
            }
        }
    }

    /// Looks at everybody; to be called every second by a thread that does nothing else. What has become known since is returned.
    pub fn look(&self) -> Vec<News> {
        let now = self.0.now();
        for worker in lock(&self.0.workers).iter() {
            let (change, silence) = {
                let mut life = lock(&worker.life);
                (life.judge(now), life.silence(now))
            };
            if let Some(change) = change {
                self.0.tell(worker, change);
            }
            if silence.is_some_and(|silence| silence >= GIVEN_UP_AFTER) {
                worker.given_up.notify_waiters();
            }
        }
        std::mem::take(&mut *lock(&self.0.news))
    }

    /// Who does not work as it should now.
    pub fn troubles(&self) -> Vec<Trouble> {
        let now = self.0.now();
        let trouble = |worker: &Arc<Worker>| {
            let words = match lock(&worker.life).doing() {
                Doing::Works => return None,
                Doing::Silent(since) => {
                    format!("has given no sign of life for {} s", now.saturating_sub(*since).as_secs())
                }
                Doing::Ended { why, again_at } if *again_at > now => {
                    format!("failed ({why}); begins again in {} s", again_at.saturating_sub(now).as_secs() + 1)
                }
                Doing::Ended { why, .. } => format!("failed ({why}); begins again"),
            };
            Some(Trouble { who: worker.who.clone(), words })
        };
        lock(&self.0.workers).iter().filter_map(trouble).collect()
    }

    /// The site closes: whoever pauses does not begin again.
    pub fn stop(&self) {
        *lock(&self.0.stopped) = true;
        self.0.stop.notify_all();
        self.0.stopping.notify_waiters();
    }

    /// Waits a second, or until the site closes; whether it goes on.
    pub fn wait(&self) -> bool {
        let stopped = lock(&self.0.stopped);
        let waited = self.0.stop.wait_timeout_while(stopped, Duration::from_secs(1), |stopped| !*stopped);
        !*waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Everybody there is, and what happens at the next sign of life of one.
    #[cfg(test)]
    pub(crate) fn names(&self) -> Vec<String> {
        lock(&self.0.workers).iter().map(|w| w.who.name.clone()).collect()
    }

    #[cfg(test)]
    pub(crate) fn trip(&self, name: &str, trip: Trip) {
        for worker in lock(&self.0.workers).iter().filter(|w| w.who.name == name) {
            *lock(&worker.trip) = Some(trip);
            if matches!(trip, Trip::Panic) {
                worker.tripped.notify_waiters();
            }
        }
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Supervisor({:?})", self.troubles())
    }
}

/// What a panic said.
pub fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("an internal error: {}", text.unwrap_or("no words for it"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// What is told until `enough` of it is.
    fn told(supervisor: &Supervisor, enough: impl Fn(&[News]) -> bool) -> Vec<Change> {
        let (mut all, begun) = (Vec::new(), Instant::now());
        while !enough(&all) {
            assert!(begun.elapsed() < Duration::from_secs(60), "told only {all:?}");
            all.extend(supervisor.look());
            std::thread::sleep(Duration::from_millis(20));
        }
        all.into_iter().map(|news| news.change).collect()
    }

    #[test]
    fn a_thread_that_panics_begins_again_and_one_that_returns_is_over() {
        let supervisor = Supervisor::default();
        let turns = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&turns);
        let thread = supervisor.thread("worker", Who::beats("work"), move |pulse| {
            if counted.fetch_add(1, Ordering::Relaxed) == 0 {
                panic!("the first turn fails");
            }
            pulse.beat();
        });
        let told = told(&supervisor, |news| news.len() >= 2);
        let why = "an internal error: the first turn fails".to_owned();
        assert_eq!(told, [Change::Ended(why, life::FIRST_PAUSE), Change::Works]);
        thread.unwrap().join().unwrap();
        assert_eq!((turns.load(Ordering::Relaxed), supervisor.names()), (2, vec![]));
    }

    #[test]
    fn who_pauses_when_the_site_closes_does_not_begin_again() {
        let supervisor = Supervisor::default();
        let thread = supervisor.thread("worker", Who::beats("work"), |_| panic!("always")).unwrap();
        told(&supervisor, |news| !news.is_empty());
        supervisor.stop();
        thread.join().unwrap();
        assert!(!supervisor.wait(), "it closes");
    }

    #[test]
    fn silence_is_told_with_its_end_but_not_while_there_is_nothing_to_do() {
        let supervisor = Supervisor::default();
        let who = |name: &str| Who { silent_after: Some(Duration::from_millis(300)), ..Who::beats(name) };
        let hangs = supervisor.thread("worker", who("hangs"), |pulse| {
            std::thread::sleep(Duration::from_secs(2));
            pulse.beat();
        });
        let rests = supervisor.thread("worker", who("rests"), |pulse| {
            let _rest = pulse.rest();
            std::thread::sleep(Duration::from_secs(2));
        });
        let news = told(&supervisor, |news| news.len() >= 2);
        assert!(matches!(news.as_slice(), [Change::Silent(_), Change::Works]), "{news:?}");
        hangs.unwrap().join().unwrap();
        rests.unwrap().join().unwrap();
        assert_eq!(supervisor.troubles(), []);
    }

    #[test]
    fn a_task_that_panics_is_made_anew() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let supervisor = Supervisor::default();
        let task = runtime.spawn(supervisor.task(Who::takes_its_time("work"), |pulse| async move {
            pulse.beat();
            std::future::pending::<()>().await;
        }));
        std::thread::sleep(Duration::from_millis(200));
        supervisor.trip("work", Trip::Panic);
        let news = told(&supervisor, |news| !news.is_empty());
        assert!(matches!(news.as_slice(), [Change::Ended(why, _)] if why.contains("tripped")), "{news:?}");
        assert_eq!(supervisor.troubles().len(), 1);
        assert_eq!(told(&supervisor, |news| !news.is_empty()), [Change::Works]);
        task.abort();
    }
}
