//! One thread that looks at the newest frame of every camera. A frame that is overtaken before its turn is dropped and counted:
//! under load the rate of analysis falls, never its age.
use super::{Appearance, Compute, Detector, VisionError};
use crate::{
    model::{CameraId, Class, Descriptor, Detection, Slot},
    video::Frame,
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
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
    /// Starts the thread. `on_result` and `on_error` run on it: the first for every analysed frame, the second when the analysis
    /// itself fails; it then goes on with the next frames.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn spawn(
        detector: Detector,
        appearance: Arc<Appearance>,
        mut on_result: impl FnMut(Analysed) + Send + 'static,
        mut on_error: impl FnMut(VisionError) + Send + 'static,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let inner = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("vision".to_owned()).spawn(move || {
            detector.compute().enter();
            let mut seen: BTreeMap<CameraId, u64> = BTreeMap::new();
            let mut turn = 0usize;
            let mut live = 0u32;
            while !inner.stop.load(Ordering::Acquire) {
                let batch = next_batch(&inner, &mut seen, &mut turn, batch_size(detector.compute()));
                if batch.is_empty() || live >= LIVE_BEFORE_RECORDED {
                    let recorded = inner.recorded.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    if let Some(Request { frames, answer }) = recorded {
                        live = 0;
                        let _ = answer.send(analyse(&detector, &appearance, frames)); // nobody waits for it any more
                    } else if batch.is_empty() {
                        inner.sleep();
                    }
                }
                if batch.is_empty() {
                    continue;
                }
                live += 1;
                match analyse(&detector, &appearance, batch) {
                    Ok(results) => results.into_iter().for_each(&mut on_result),
                    Err(error) => {
                        on_error(error);
                        std::thread::sleep(Duration::from_millis(500)); // a lasting fault must not spin
                    }
                }
            }
        })?;
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

/// The newest unseen frames of up to `limit` cameras, in turn, so that no camera starves.
fn next_batch(
    shared: &Shared,
    seen: &mut BTreeMap<CameraId, u64>,
    turn: &mut usize,
    limit: usize,
) -> Vec<(CameraId, Frame, u64)> {
    let inputs = shared.inputs.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut batch = Vec::new();
    for step in 0..inputs.len() {
        let index = (*turn + step) % inputs.len();
        let Some(input) = inputs.get(index) else { continue };
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
