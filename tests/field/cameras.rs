//! Cameras that send one live stream to whoever comes, and how one is watched and recorded.
use gstreamer as gst;
use gstreamer_rtsp_server::{self as rtsp, gst_rtsp, prelude::*};
use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use vigia::{
    model::{SystemClock, Timestamp},
    supervise::Supervisor,
    video::{Recorded, Recorder, RecorderConfig, Source, SourceConfig, SourceState, read_file},
};

/// A camera whose stream runs on, whoever joins when.
pub struct LiveCamera {
    pub url: String,
    main_loop: gst::glib::MainLoop,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl LiveCamera {
    /// `encoder` makes the stream of 25 pictures a second and ends in `rtp…pay name=pay0 pt=96`.
    pub fn start(encoder: &str) -> Self {
        Self::over(gst_rtsp::RTSPLowerTrans::TCP, encoder)
    }

    /// The same, by no other way than this one.
    pub fn over(transport: gst_rtsp::RTSPLowerTrans, encoder: &str) -> Self {
        gst::init().unwrap();
        let context = gst::glib::MainContext::new();
        let main_loop = gst::glib::MainLoop::new(Some(&context), false);
        let server = rtsp::RTSPServer::new();
        server.set_address("127.0.0.1");
        server.set_service("0");
        let factory = rtsp::RTSPMediaFactory::new();
        factory.set_launch(&format!(
            "( videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=320,height=240,framerate=25/1 ! {encoder} )"
        ));
        factory.set_shared(true);
        factory.set_protocols(transport);
        server.mount_points().unwrap().add_factory("/live", factory);
        let source = server.attach(Some(&context)).unwrap();
        let url = format!("rtsp://127.0.0.1:{}/live", server.bound_port());
        let (running, of) = (main_loop.clone(), context);
        let thread = std::thread::spawn(move || {
            of.with_thread_default(|| running.run()).unwrap();
            server.client_filter(Some(&mut |_, _| rtsp::RTSPFilterResult::Remove));
            if let Some(source) = of.find_source_by_id(&source) {
                source.destroy();
            }
        });
        Self { url, main_loop, thread: Some(thread) }
    }
}

impl Drop for LiveCamera {
    fn drop(&mut self) {
        self.main_loop.quit();
        self.thread.take().unwrap().join().unwrap();
    }
}

/// A camera that is watched and recorded, with all that came of it.
pub struct Watched {
    pub source: Source,
    pub frames: Arc<Mutex<Vec<Timestamp>>>,
    /// When each packet came, and whether it is a key frame.
    pub packets: Arc<Mutex<Vec<(Timestamp, bool)>>>,
    told: Arc<Mutex<Vec<Recorded>>>,
    recorder: Arc<Recorder>,
}

impl Watched {
    /// Whatever is done with a frame takes `each`.
    pub fn start(url: &str, spool: &Path, each: Duration) -> Self {
        let told: Arc<Mutex<Vec<Recorded>>> = Arc::default();
        let hears = Arc::clone(&told);
        let config = RecorderConfig {
            camera: uuid::Uuid::from_u128(7),
            spool: spool.to_owned(),
            segment: Duration::from_secs(2),
            events_only: false,
            pre_roll: Duration::ZERO,
            post_roll: Duration::ZERO,
        };
        let supervisor = Supervisor::default();
        let recorder = Arc::new(Recorder::start(config, &supervisor, move |r| hears.lock().unwrap().push(r)).unwrap());
        let (frames, packets) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<Mutex<Vec<_>>>::default());
        let (seen, came, takes) = (Arc::clone(&frames), Arc::clone(&packets), Arc::clone(&recorder));
        let mut config = SourceConfig::new(url);
        (config.stall_after, config.connect_timeout) = (Duration::from_secs(2), Duration::from_secs(3));
        let source = Source::open_recorded(
            config,
            Arc::new(SystemClock),
            &supervisor,
            None,
            move |frame, _| {
                seen.lock().unwrap().push(frame.captured_at());
                std::thread::sleep(each);
            },
            Some(Box::new(move |packet| {
                came.lock().unwrap().push((packet.captured_at(), packet.is_key()));
                takes.take(packet);
            })),
        );
        Self { source, frames, packets, told, recorder }
    }

    /// The state once it is stale for a reason that holds `word`.
    pub fn stale(&self, word: &str) -> String {
        until(word, || match self.source.state() {
            SourceState::Stale { reason, .. } if reason.contains(word) => Some(reason),
            _ => None,
        })
    }

    /// Ends it; what came of packets and frames, and how many pictures are in files. No trouble was told.
    pub fn end(self) -> (Vec<(Timestamp, bool)>, Vec<Timestamp>, usize) {
        self.source.stop();
        until("the end of the connection", || (Arc::strong_count(&self.recorder) == 1).then_some(()));
        drop(self.recorder);
        let told = self.told.lock().unwrap();
        let mut recorded = 0;
        for what in told.iter() {
            match what {
                Recorded::Segment(spooled) => {
                    recorded += read_file(&spooled.file, |_| std::ops::ControlFlow::Continue(()))
                        .map_or(0, |report| report.frames as usize);
                }
                Recorded::Resumed { last, .. } => assert_eq!(*last, None, "there is no gap"),
                Recorded::Failed(error) => panic!("{error}"),
                Recorded::Lost(from, until, why) => panic!("{from} to {until} is lost: {why}"),
                Recorded::Noticed(_) => {} // that its key frames are rare
            }
        }
        (self.packets.lock().unwrap().clone(), self.frames.lock().unwrap().clone(), recorded)
    }
}

/// What comes within half a minute.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
