//! One thread that looks at the newest frame of every camera. A frame that is overtaken before its turn is dropped and counted:
//! under load the rate of analysis falls, never its age.
use super::{Appearance, Compute, Detector, VisionError};
use crate::{
    model::{CameraId, Class, Descriptor, Detection, Slot},
    supervise::{self, Enrolled, Pulse, Supervisor, Who},
    video::Frame,
};
use std::{
    collections::{BTreeMap, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Frames of one camera waiting for analysis: the newest only.
#[derive(Clone)]
pub struct Input {
    /// Which camera.
    pub camera: CameraId,
    /// The newest frame and the connection it came by.
    pub frames: Slot<(Frame, u64)>,
}

/// One analysed frame.
pub struct Analysed {
    /// Which camera.
    pub camera: CameraId,
    /// The frame.
    pub frame: Frame,
    /// The connection it came by; tracks do not outlive it.
    pub epoch: u64,
    /// What was found, best first.
    pub detections: Vec<Detection>,
    /// The appearance of each detection that is a person and large enough; parallel to `detections`.
    pub descriptors: Vec<Option<Descriptor>>,
}

/// Persons below this score get no descriptor: their boxes are too often half wrong.
const LEAST_SCORE_FOR_APPEARANCE: f32 = 0.3;
/// Frames computed at once. On a CPU a batch saves nothing and makes the first camera wait for the last.
const CUDA_BATCH: usize = 16;
/// Live frames come first; where there are always some, a recording's turn comes after so many, so that it ends some day.
const LIVE_BEFORE_RECORDED: u32 = 8;

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    ready: Mutex<bool>,
    wake: Condvar,
    inputs: Mutex<Vec<Input>>,
    recorded: Mutex<VecDeque<Request>>,
}

/// Frames of a recording that wait, and who waits for them.
struct Request {
    frames: Vec<(CameraId, Frame, u64)>,
    answer: SyncSender<Result<Vec<Analysed>, VisionError>>,
}

/// The running thread; dropping it stops and joins it.
pub struct Worker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts the thread. `on_result` runs on it, for every analysed frame. A camera whose frame, or what follows from it, fails waits
    /// for a while, which the `supervisor` tells; the others go on.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn spawn(
        detector: Detector,
        appearance: Arc<Appearance>,
        supervisor: &Supervisor,
        mut on_result: impl FnMut(Analysed) + Send + 'static,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let inner = Arc::clone(&shared);
        let mut failing = Failing { supervisor: supervisor.clone(), cameras: BTreeMap::new() };
        let work = move |pulse: &Pulse| {
            detector.compute().enter();
            let mut seen: BTreeMap<CameraId, u64> = BTreeMap::new();
            let mut turn = 0usize;
            let mut live = 0u32;
            while !inner.stop.load(Ordering::Acquire) {
                pulse.beat();
                let batch = next_batch(&inner, &failing, &mut seen, &mut turn, batch_size(detector.compute()));
                if batch.is_empty() || live >= LIVE_BEFORE_RECORDED {
                    let recorded = inner.recorded.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    if let Some(Request { frames, answer }) = recorded {
                        live = 0;
                        let _ = answer.send(guarded(|| analyse(&detector, &appearance, frames))); // nobody waits for it any more
                    } else if batch.is_empty() {
                        inner.sleep();
                    }
                }
                if batch.is_empty() {
                    continue;
                }
                live += 1;
                let alone = batch.len() == 1;
                let found = match guarded(|| analyse(&detector, &appearance, batch.clone())) {
                    Err(_) if !alone => {
                        // Which of them it is shows when each is looked at alone.
                        let each = batch.into_iter().map(|one| {
                            let camera = one.0;
                            guarded(|| analyse(&detector, &appearance, vec![one])).map_err(|error| (camera, error))
                        });
                        each.collect()
                    }
                    found => batch
                        .first()
                        .map(|(camera, ..)| found.map_err(|error| (*camera, error)))
                        .into_iter()
                        .collect::<Vec<_>>(),
                };
                for found in found {
                    match found {
                        Ok(results) => {
                            for analysed in results {
                                let camera = analysed.camera;
                                match guarded(|| {
                                    on_result(analysed);
                                    Ok(())
                                }) {
                                    Ok(()) => failing.works(camera),
                                    Err(error) => failing.failed(camera, &error),
                                }
                            }
                        }
                        Err((camera, error)) => failing.failed(camera, &error),
                    }
                }
            }
        };
        let thread = supervisor.thread("vision", Who::beats("analysis"), work)?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// The way in for frames of recordings, which are looked at when no live frame waits. `compute` is the detector's.
    pub fn background(&self, compute: Compute) -> Background {
        Background { shared: Arc::clone(&self.shared), batch: batch_size(compute) }
    }

    /// What the thread looks at.
    pub fn inputs(&self) -> Inputs {
        Inputs(Arc::clone(&self.shared))
    }
}

/// What a [`Worker`] looks at; may change while it runs. Cloning shares it.
#[derive(Clone)]
pub struct Inputs(Arc<Shared>);

impl Inputs {
    /// Replaces the cameras that are looked at.
    pub fn watch(&self, inputs: Vec<Input>) {
        *self.0.inputs.lock().unwrap_or_else(PoisonError::into_inner) = inputs;
        self.wake();
    }

    /// Tells the thread of a new frame; to be called after putting one. Never blocks for long.
    pub fn wake(&self) {
        *self.0.ready.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.wake.notify_one();
    }
}

/// Looks at frames of recordings, as the worker has time.
#[derive(Clone)]
pub struct Background {
    shared: Arc<Shared>,
    batch: usize,
}

impl Background {
    /// Frames that are best looked at together.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Looks at frames, after others that wait, until that is done; `None` when the worker has stopped.
    ///
    /// # Errors
    /// When libtorch refuses.
    pub fn analyse(&self, frames: Vec<(CameraId, Frame)>) -> Option<Result<Vec<Analysed>, VisionError>> {
        self.ask(frames, VecDeque::push_back)
    }

    /// Looks at frames that a person is waiting for: before others of recordings.
    ///
    /// # Errors
    /// When libtorch refuses.
    pub fn analyse_first(&self, frames: Vec<(CameraId, Frame)>) -> Option<Result<Vec<Analysed>, VisionError>> {
        self.ask(frames, VecDeque::push_front)
    }

    fn ask(
        &self,
        frames: Vec<(CameraId, Frame)>,
        put: impl FnOnce(&mut VecDeque<Request>, Request),
    ) -> Option<Result<Vec<Analysed>, VisionError>> {
        let (answer, answered) = sync_channel(1);
        let frames = frames.into_iter().map(|(camera, frame)| (camera, frame, 0)).collect();
        put(&mut self.shared.recorded.lock().unwrap_or_else(PoisonError::into_inner), Request { frames, answer });
        Inputs(Arc::clone(&self.shared)).wake();
        loop {
            match answered.recv_timeout(Duration::from_millis(200)) {
                Ok(found) => return Some(found),
                Err(RecvTimeoutError::Timeout) if !self.shared.stop.load(Ordering::Acquire) => {}
                Err(_) => return None,
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.inputs().wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // at most the one batch under way
        }
    }
}

impl Shared {
    fn sleep(&self) {
        let guard = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.wake.wait_timeout_while(guard, Duration::from_millis(200), |ready| !*ready);
        let (mut guard, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *guard = false;
    }
}

fn batch_size(compute: Compute) -> usize {
    if matches!(compute.device, tch::Device::Cuda(_)) { CUDA_BATCH } else { 1 }
}

/// The cameras whose frames failed, and until when each waits: a lasting fault neither spins nor holds up the others.
struct Failing {
    supervisor: Supervisor,
    cameras: BTreeMap<CameraId, (Enrolled, Instant)>,
}

impl Failing {
    fn failed(&mut self, camera: CameraId, error: &VisionError) {
        let Self { supervisor, cameras } = self;
        let enrol = || (supervisor.enrol(Who::takes_its_time("analysis").of(camera)), Instant::now());
        let (enrolled, until) = cameras.entry(camera).or_insert_with(enrol);
        *until = Instant::now() + enrolled.failed(error.to_string());
    }

    fn works(&mut self, camera: CameraId) {
        if let Some((enrolled, _)) = self.cameras.remove(&camera) {
            enrolled.works();
        }
    }

    fn waits(&self, camera: CameraId) -> bool {
        self.cameras.get(&camera).is_some_and(|(_, until)| Instant::now() < *until)
    }
}

/// What `work` says; where it panics, that.
fn guarded<T>(work: impl FnOnce() -> Result<T, VisionError>) -> Result<T, VisionError> {
    let done = catch_unwind(AssertUnwindSafe(work));
    done.unwrap_or_else(|panic| Err(VisionError::Internal(supervise::words(panic.as_ref()))))
}

/// The newest unseen frames of up to `limit` cameras, in turn, so that no camera starves.
fn next_batch(
    shared: &Shared,
    failing: &Failing,
    seen: &mut BTreeMap<CameraId, u64>,
    turn: &mut usize,
    limit: usize,
) -> Vec<(CameraId, Frame, u64)> {
    let inputs = shared.inputs.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut batch = Vec::new();
    for step in 0..inputs.len() {
        let index = (*turn + step) % inputs.len();
        let Some(input) = inputs.get(index).filter(|input| !failing.waits(input.camera)) else { continue };
        let version = input.frames.version();
        if seen.get(&input.camera) == Some(&version) {
            continue;
        }
        let Some((frame, epoch)) = input.frames.get() else { continue };
        seen.insert(input.camera, version);
        batch.push((input.camera, frame, epoch));
        if batch.len() == limit {
            *turn = index + 1;
            break;
        }
    }
    batch
}

fn analyse(
    detector: &Detector,
    appearance: &Appearance,
    batch: Vec<(CameraId, Frame, u64)>,
) -> Result<Vec<Analysed>, VisionError> {
    let frames: Vec<Frame> = batch.iter().map(|(_, frame, _)| frame.clone()).collect();
    let found = detector.detect(&frames)?;
    batch
        .into_iter()
        .zip(found)
        .map(|((camera, frame, epoch), detections)| {
            let descriptors = describe_persons(appearance, &frame, &detections)?;
            Ok(Analysed { camera, frame, epoch, detections, descriptors })
        })
        .collect()
}

/// Descriptors parallel to `detections`: persons of a fair score only, `None` for all else.
///
/// # Errors
/// When libtorch refuses.
pub fn describe_persons(
    appearance: &Appearance,
    frame: &Frame,
    detections: &[Detection],
) -> Result<Vec<Option<Descriptor>>, VisionError> {
    let worth = |d: &&Detection| d.class == Class::Person && d.score >= LEAST_SCORE_FOR_APPEARANCE;
    let rects: Vec<_> = detections.iter().filter(worth).map(|d| d.rect).collect();
    let mut described = appearance.describe(frame, &rects)?.into_iter();
    Ok(detections.iter().map(|d| if worth(&d) { described.next().flatten() } else { None }).collect())
}
