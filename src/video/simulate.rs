//! Virtual cameras: an RTSP server on loopback that plays encoded files as if they were live. Nothing is transcoded.
//!
//! All cameras share one timeline, as long as the longest file and [`PAUSE`]: at any instant they show the same moment of
//! their footage, whoever connected when. At the end of its file a camera ends its streams, as one does that restarts;
//! whoever reconnects during the pause misses nothing of the next round.
use super::{
    FileError, InitError,
    address::percent_encoded,
    decoding::{MissingElement, chain, file_source, make},
    file::{Running, check},
};
use gstreamer::{self as gst, glib, prelude::*};
use gstreamer_app as gst_app;
use gstreamer_rtsp_server::{self as rtsp, gst_rtsp, prelude::*};
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Between the end of the footage and its next beginning.
const PAUSE: Duration = Duration::from_millis(500);
/// What a client that does not read may leave unread.
const BACKLOG: gst::ClockTime = gst::ClockTime::from_seconds(5);
/// The one role of the server: whoever knows the credentials.
const ROLE: &str = "viewer";

/// One virtual camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimulatedCamera {
    /// The path it is served under, without the slash: letters, digits, `-`, `_`, `.` and inner `/`.
    pub name: String,
    /// A Matroska file with one H.264, H.265 or Motion JPEG stream, as [`make_view`](super::make_view) writes it.
    pub file: PathBuf,
}

/// Why virtual cameras could not be served.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SimulateError {
    /// A camera's file.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file with another codec.
    #[error("{} holds {}; a virtual camera is made of H.264, H.265 or Motion JPEG in a Matroska file", .0.display(), .1)]
    Codec(PathBuf, String),
    /// A name that cannot be part of an address, or is there twice.
    #[error("{0:?} cannot be the name of a virtual camera: use letters, digits, - and _, and each name once")]
    Name(String),
    /// The port cannot be had.
    #[error("port {0} on 127.0.0.1 cannot be opened; something else listens there. Choose another, or 0 for any")]
    Port(u16),
    /// The server's threads cannot be started.
    #[error("the server's threads cannot be started: {0}")]
    Thread(String),
}

impl From<MissingElement> for SimulateError {
    fn from(error: MissingElement) -> Self {
        FileError::from(error).into()
    }
}

impl From<InitError> for SimulateError {
    fn from(error: InitError) -> Self {
        FileError::from(error).into()
    }
}

/// Serves `cameras` on 127.0.0.1, over TCP and UDP, until the server is stopped or dropped. `port` 0 takes a free one.
/// With `credentials` (user, password) clients must know them (digest authentication).
///
/// # Errors
/// When a file is unusable, a name is, or the port is taken.
pub fn serve(
    cameras: &[SimulatedCamera],
    port: u16,
    credentials: Option<(String, String)>,
) -> Result<Server, SimulateError> {
    super::init()?;
    for (i, SimulatedCamera { name, .. }) in cameras.iter().enumerate() {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        let twice = cameras.iter().take(i).any(|c| c.name == *name);
        if name.is_empty() || twice || !name.chars().all(fits) || name.starts_with('/') || name.ends_with('/') {
            return Err(SimulateError::Name(name.clone()));
        }
    }
    let footage = cameras.iter().map(|camera| Footage::load(&camera.file)).collect::<Result<_, _>>()?;
    let timeline = Arc::new(Timeline::new(footage));

    let server = rtsp::RTSPServer::new();
    server.set_address("127.0.0.1");
    server.set_service(&port.to_string());
    // A client waits for the next key frame while it connects: no other must wait behind it.
    if let Some(pool) = server.thread_pool() {
        pool.set_max_threads(-1);
    }
    let mut userinfo = String::new();
    if let Some((user, password)) = credentials {
        let auth = rtsp::RTSPAuth::new();
        let token = rtsp::RTSPToken::builder().field(rtsp::RTSP_TOKEN_MEDIA_FACTORY_ROLE, ROLE).build();
        auth.set_supported_methods(gst_rtsp::RTSPAuthMethod::Digest);
        auth.add_digest(&user, &password, &token);
        server.set_auth(Some(&auth));
        userinfo = format!("{}:{}@", percent_encoded(&user), percent_encoded(&password));
    }
    let mounts = server.mount_points().unwrap_or_default();
    for (track, camera) in cameras.iter().enumerate() {
        let factory = rtsp::RTSPMediaFactory::new();
        let payloader = timeline.footage.get(track).map_or("", |f| f.kind.payloader());
        factory.set_launch(&format!("( appsrc name=source ! {payloader} name=pay0 )"));
        // Each client has its own stream: one that has come to its end is never handed to the next client.
        factory.set_shared(false);
        factory.set_protocols(gst_rtsp::RTSPLowerTrans::TCP | gst_rtsp::RTSPLowerTrans::UDP);
        if !userinfo.is_empty() {
            let role = gst::Structure::builder(ROLE)
                .field(rtsp::RTSP_PERM_MEDIA_FACTORY_ACCESS.as_str(), true)
                .field(rtsp::RTSP_PERM_MEDIA_FACTORY_CONSTRUCT.as_str(), true)
                .build();
            factory.add_role_from_structure(&role);
        }
        let timeline = Arc::clone(&timeline);
        factory.connect_media_configure(move |_, media| timeline.configure(track, media));
        mounts.add_factory(&format!("/{}", camera.name), factory);
    }
    server.set_mount_points(Some(&mounts));

    let context = glib::MainContext::new();
    let main_loop = glib::MainLoop::new(Some(&context), false);
    let source = server.attach(Some(&context)).map_err(|_| SimulateError::Port(port))?;
    let port = u16::try_from(server.bound_port()).map_err(|_| SimulateError::Port(port))?;
    let urls = cameras.iter().map(|camera| format!("rtsp://{userinfo}127.0.0.1:{port}/{}", camera.name)).collect();
    let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
        std::thread::Builder::new().name(name.into()).spawn(work).map_err(|e| SimulateError::Thread(e.to_string()))
    };
    let feeder = {
        let timeline = Arc::clone(&timeline);
        spawn("footage", Box::new(move || timeline.play()))?
    };
    let listener = {
        let (context, main_loop) = (context.clone(), main_loop.clone());
        spawn(
            "rtsp server",
            Box::new(move || {
                if let Err(error) = context.with_thread_default(|| main_loop.run()) {
                    tracing::error!(%error, "the RTSP server's loop does not run");
                }
            }),
        )
    };
    let mut running =
        Server { urls, timeline, server, source: Some(source), context, main_loop, threads: vec![feeder] };
    running.threads.push(listener?);
    Ok(running)
}

/// Virtual cameras being served. Dropping it stops them.
pub struct Server {
    urls: Vec<String>,
    timeline: Arc<Timeline>,
    server: rtsp::RTSPServer,
    source: Option<glib::SourceId>,
    context: glib::MainContext,
    main_loop: glib::MainLoop,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    /// The cameras' addresses, in the order given, with the credentials when there are any: not for showing.
    pub fn urls(&self) -> &[String] {
        &self.urls
    }

    /// Keeps every connection open and sends nothing.
    #[cfg(test)]
    pub(super) fn freeze(&self, frozen: bool) {
        self.timeline.frozen.store(frozen, Ordering::Relaxed);
    }

    /// From now on the cameras' clocks are so many seconds ahead of this machine's.
    #[cfg(test)]
    pub(crate) fn set_clocks(&self, ahead: i64) {
        self.timeline.ahead.store(ahead, Ordering::Relaxed);
    }

    /// Disconnects every client and closes the port.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.timeline.stop();
        if let Some(source) = self.source.take().and_then(|id| self.context.find_source_by_id(&id)) {
            source.destroy();
        }
        self.server.client_filter(Some(&mut |_, _| rtsp::RTSPFilterResult::Remove));
        self.main_loop.quit();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({} cameras)", self.urls.len())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    H264,
    H265,
    Jpeg,
}

impl Kind {
    fn of(caps: &gst::CapsRef) -> Option<Self> {
        match caps.structure(0)?.name().as_str() {
            "video/x-h264" => Some(Self::H264),
            "video/x-h265" => Some(Self::H265),
            "image/jpeg" => Some(Self::Jpeg),
            _ => None,
        }
    }

    /// The parser, and what it is to deliver: whole pictures with everything a decoder needs at each key frame.
    fn parser(self) -> Result<(gst::Element, gst::Caps), MissingElement> {
        let (factory, media) = match self {
            Self::H264 => ("h264parse", "video/x-h264"),
            Self::H265 => ("h265parse", "video/x-h265"),
            Self::Jpeg => return Ok((make("jpegparse")?, gst::Caps::new_empty_simple("image/jpeg"))),
        };
        let parser = make(factory)?;
        parser.set_property("config-interval", -1i32);
        let caps = gst::Caps::builder(media).field("stream-format", "byte-stream").field("alignment", "au").build();
        Ok((parser, caps))
    }

    fn payloader(self) -> &'static str {
        match self {
            Self::H264 => "rtph264pay pt=96 config-interval=-1",
            Self::H265 => "rtph265pay pt=96 config-interval=-1",
            Self::Jpeg => "rtpjpegpay pt=26",
        }
    }
}

/// One file's encoded pictures, in memory.
struct Footage {
    kind: Kind,
    caps: gst::Caps,
    units: Vec<Unit>,
}

/// One encoded picture.
struct Unit {
    /// From the first picture of the file.
    at: Duration,
    key: bool,
    buffer: gst::Buffer,
}

impl Footage {
    fn load(path: &Path) -> Result<Self, SimulateError> {
        check(path)?;
        let pipeline = Running(gst::Pipeline::new());
        let bin: &gst::Bin = pipeline.0.upcast_ref();
        let source = file_source(path)?;
        let demuxer = make("matroskademux")?;
        chain(bin, &[&source, &demuxer])?;
        let sink = gst_app::AppSink::builder().sync(false).max_buffers(8).build();
        chain(bin, &[sink.upcast_ref()])?;
        let kind: Arc<Mutex<Option<Result<Kind, String>>>> = Arc::default();
        let (weak, target, found) = (bin.downgrade(), sink.clone(), Arc::clone(&kind));
        demuxer.connect_pad_added(move |_, pad| {
            let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
            let media = caps.structure(0).map(|s| s.name().to_string()).unwrap_or_default();
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            let (Some(bin), false) = (weak.upgrade(), matches!(*found, Some(Ok(_)))) else { return };
            let Some(kind) = Kind::of(&caps) else {
                *found = Some(Err(media));
                return;
            };
            let linked = kind.parser().and_then(|(parser, caps)| {
                target.set_caps(Some(&caps));
                chain(&bin, &[&parser])?;
                let fault = || MissingElement(parser.name().to_string());
                parser.link(&target).map_err(|_| fault())?;
                pad.link(&parser.static_pad("sink").ok_or_else(fault)?).map_err(|_| fault())?;
                let _ = parser.sync_state_with_parent();
                Ok(kind)
            });
            *found = Some(linked.map_err(|e| e.to_string()));
        });
        let bus =
            pipeline.0.bus().ok_or_else(|| FileError::GStreamer("GStreamer's pipeline has no bus.".to_owned()))?;
        let _ = pipeline.0.set_state(gst::State::Playing);
        let damaged = |why: &str| SimulateError::File(FileError::Damaged(path.to_owned(), why.to_owned()));
        let mut units: Vec<Unit> = Vec::new();
        let mut described = None;
        let mut first = None;
        let mut failure = None;
        let mut idle = 0;
        while failure.is_none() {
            let Some(sample) = sink.try_pull_sample(gst::ClockTime::from_mseconds(50)) else {
                if sink.is_eos() {
                    break;
                }
                idle += 1;
                failure = bus.pop_filtered(&[gst::MessageType::Error]).and_then(|m| match m.view() {
                    gst::MessageView::Error(e) => Some(e.error().message().to_owned()),
                    _ => None,
                });
                if idle > 200 {
                    failure = Some("reading it does not come to an end".to_owned());
                }
                continue;
            };
            let (Some(buffer), Some(caps)) = (sample.buffer_owned(), sample.caps_owned()) else { continue };
            let Some(pts) = buffer.pts().or(buffer.dts()).map(Duration::from) else { continue };
            let first = *first.get_or_insert(pts);
            described.get_or_insert(caps);
            let key = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
            units.push(Unit { at: pts.saturating_sub(first), key, buffer });
        }
        let kind = kind.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match (kind, described) {
            (Some(Ok(kind)), Some(caps)) if units.first().is_some_and(|u| u.key) => Ok(Self { kind, caps, units }),
            (Some(Err(other)), _) => Err(SimulateError::Codec(path.to_owned(), other)),
            _ => Err(damaged(failure.as_deref().unwrap_or("it does not begin with a key frame"))),
        }
    }

    /// From the first picture to the end of the last.
    fn duration(&self) -> Duration {
        let last = self.units.last().map_or(Duration::ZERO, |u| u.at);
        let length = self.units.last().and_then(|u| u.buffer.duration()).map(Duration::from);
        last + length.unwrap_or(Duration::from_millis(40))
    }
}

/// What all cameras of a server have in common: the footage and the time in it.
struct Timeline {
    begun: Instant,
    period: Duration,
    footage: Vec<Footage>,
    viewers: Mutex<Viewers>,
    changed: Condvar,
    frozen: AtomicBool,
    /// By so many seconds the cameras' clocks are ahead, as their reports tell.
    #[cfg(test)]
    ahead: std::sync::atomic::AtomicI64,
}

#[derive(Default)]
struct Viewers {
    joined: Vec<Viewer>,
    stopped: bool,
}

/// One client of one camera.
struct Viewer {
    source: gst_app::AppSrc,
    track: usize,
    /// The round and the picture that is due next; `None` until it is placed on the timeline.
    next: Option<(u32, usize)>,
    /// The running time of its stream at the instant 0 of its round.
    base: Option<i64>,
}

impl Timeline {
    fn new(footage: Vec<Footage>) -> Self {
        let period = footage.iter().map(Footage::duration).max().unwrap_or_default() + PAUSE;
        Self {
            begun: Instant::now(),
            period,
            footage,
            viewers: Mutex::default(),
            changed: Condvar::new(),
            frozen: AtomicBool::new(false),
            #[cfg(test)]
            ahead: std::sync::atomic::AtomicI64::new(0),
        }
    }

    /// Prepares the stream of a client that connects; it joins when its pipeline runs.
    fn configure(self: &Arc<Self>, track: usize, media: &rtsp::RTSPMedia) {
        let source = media.element().downcast::<gst::Bin>().ok().and_then(|bin| bin.by_name("source"));
        let source = source.and_then(|s| s.downcast::<gst_app::AppSrc>().ok());
        let (Some(source), Some(footage)) = (source, self.footage.get(track)) else { return };
        source.set_caps(Some(&footage.caps));
        source.set_is_live(true);
        source.set_format(gst::Format::Time);
        source.set_max_bytes(0);
        source.set_max_time(BACKLOG);
        source.set_leaky_type(gst_app::AppLeakyType::Downstream);
        #[cfg(test)]
        self.tell_other_time(media);
        let (timeline, mut joined) = (Arc::downgrade(self), false);
        let join = move |source: &gst_app::AppSrc, _: u32| {
            let Some(timeline) = timeline.upgrade().filter(|_| !joined) else { return };
            joined = true;
            let mut viewers = timeline.viewers.lock().unwrap_or_else(PoisonError::into_inner);
            viewers.joined.push(Viewer { source: source.clone(), track, next: None, base: None });
            timeline.changed.notify_one();
        };
        source.set_callbacks(gst_app::AppSrcCallbacks::builder().need_data(join).build());
    }

    /// Sets the clock that a client's stream is told of: in every sender's report that leaves, as the wire has it.
    #[cfg(test)]
    fn tell_other_time(self: &Arc<Self>, media: &rtsp::RTSPMedia) {
        let timeline = Arc::downgrade(self);
        media.connect_prepared(move |media| {
            let pipeline = media.element().parent().and_then(|p| p.downcast::<gst::Bin>().ok()).unwrap();
            let rtp = pipeline.iterate_all_by_element_factory_name("rtpbin").next().unwrap().unwrap();
            let session: glib::Object = rtp.emit_by_name("get-internal-session", &[&0_u32]);
            session.set_property("rtcp-min-interval", 300_000_000_u64); // a test does not wait for five seconds
            let pad = rtp.static_pad("send_rtcp_src_0").unwrap();
            let timeline = timeline.clone();
            pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
                let ahead = timeline.upgrade().map_or(0, |t| t.ahead.load(Ordering::Relaxed));
                if let Some(mut report) = info.buffer_mut().map(|b| b.make_mut().map_writable().unwrap())
                    && report[1] == 200
                {
                    let seconds = u32::from_be_bytes(report[8..12].try_into().unwrap());
                    report[8..12].copy_from_slice(&seconds.wrapping_add(ahead as u32).to_be_bytes());
                }
                gst::PadProbeReturn::Ok
            });
        });
    }

    fn stop(&self) {
        self.viewers.lock().unwrap_or_else(PoisonError::into_inner).stopped = true;
        self.changed.notify_one();
    }

    /// Hands out what is due until the server stops.
    fn play(&self) {
        let mut viewers = self.viewers.lock().unwrap_or_else(PoisonError::into_inner);
        while !viewers.stopped {
            let now = self.begun.elapsed();
            let mut wake = now + Duration::from_secs(1);
            viewers.joined.retain_mut(|viewer| match self.serve(viewer, now) {
                Some(due) => {
                    wake = wake.min(due);
                    true
                }
                None => false,
            });
            let left = wake.saturating_sub(self.begun.elapsed());
            viewers = self.changed.wait_timeout(viewers, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Hands a viewer what is due by `now`; returns when the next is, or `None` when the viewer is done or gone.
    fn serve(&self, viewer: &mut Viewer, now: Duration) -> Option<Duration> {
        let units = &self.footage.get(viewer.track)?.units;
        let (round, mut index) = viewer.next.or_else(|| self.entry(units, now))?;
        loop {
            let unit = units.get(index);
            let due = self.period * round + unit?.at;
            if due > now || self.frozen.load(Ordering::Relaxed) {
                viewer.next = Some((round, index));
                return Some(due.max(now + Duration::from_millis(5)));
            }
            let unit = unit?;
            let at = i64::try_from(unit.at.as_nanos()).ok()?;
            let running = || viewer.source.current_running_time().map_or(0, gst::ClockTime::nseconds);
            let base = *viewer.base.get_or_insert_with(|| i64::try_from(running()).unwrap_or(0) - at);
            let mut buffer = unit.buffer.copy();
            if let Some(buffer) = buffer.get_mut() {
                buffer.set_pts(u64::try_from(base + at).ok().map(gst::ClockTime::from_nseconds));
                buffer.set_dts(None);
            }
            viewer.source.push_buffer(buffer).ok()?;
            index += 1;
            if index == units.len() {
                let _ = viewer.source.end_of_stream();
                return None;
            }
        }
    }

    /// Where somebody who comes now begins: the next key frame.
    fn entry(&self, units: &[Unit], now: Duration) -> Option<(u32, usize)> {
        let round = u32::try_from(now.as_nanos().checked_div(self.period.as_nanos())?).ok()?;
        let position = now.saturating_sub(self.period * round);
        let next = units.iter().position(|u| u.key && u.at >= position);
        Some(next.map_or((round + 1, 0), |index| (round, index)))
    }
}
