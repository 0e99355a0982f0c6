//! The room as a whole, on real parts: real files, real RTSP on loopback.
use super::*;
use crate::{
    model::{Clock as _, ManualClock, SystemClock, Timestamp},
    supervise::Supervisor,
};
use gstreamer::{self as gst, prelude::*};
use std::{
    net::TcpListener,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// Runs a pipeline to its end: makes the tests' files.
pub(crate) fn launch(description: &str) {
    init().unwrap();
    let pipeline = gst::parse::launch(description).unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let bus = pipeline.bus().unwrap();
    let message =
        bus.timed_pop_filtered(gst::ClockTime::from_seconds(60), &[gst::MessageType::Eos, gst::MessageType::Error]);
    let _ = pipeline.set_state(gst::State::Null);
    match message.unwrap().view() {
        gst::MessageView::Error(error) => panic!("{description}: {} {:?}", error.error(), error.debug()),
        other => assert!(matches!(other, gst::MessageView::Eos(_))),
    }
}

pub(super) const H264: &str = "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=12 ! h264parse";
pub(super) const H265: &str =
    "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=12 option-string=bframes=0:log-level=none ! h265parse";
pub(super) const MJPEG: &str = "jpegenc ! jpegparse";

/// `frames` frames of 25 a second in a Matroska file.
pub(super) fn footage(folder: &Path, name: &str, frames: u32, width: u32, height: u32, encoder: &str) -> PathBuf {
    let path = folder.join(name);
    launch(&format!(
        "videotestsrc num-buffers={frames} pattern=ball ! video/x-raw,format=I420,width={width},height={height},framerate=25/1 \
         ! {encoder} ! matroskamux ! filesink location=\"{}\"",
        path.display()
    ));
    path
}

pub(super) fn camera(name: &str, file: &Path) -> SimulatedCamera {
    SimulatedCamera { name: name.to_owned(), file: file.to_owned() }
}

/// A source with what it delivered.
struct Watched {
    source: Source,
    frames: Arc<Mutex<Vec<(Frame, u64)>>>,
}

impl Watched {
    fn new(url: &str, change: impl FnOnce(&mut SourceConfig)) -> Self {
        let mut config = SourceConfig::new(url);
        config.stall_after = Duration::from_secs(1);
        config.connect_timeout = Duration::from_secs(5);
        change(&mut config);
        let frames: Arc<Mutex<Vec<(Frame, u64)>>> = Arc::default();
        let kept = Arc::clone(&frames);
        let source = Source::open(config, Arc::new(SystemClock), move |frame, epoch| {
            let mut kept = kept.lock().unwrap();
            if kept.len() < 5000 {
                kept.push((frame, epoch));
            }
        });
        Self { source, frames }
    }

    /// The first frame of an epoch, waited for.
    fn frame_of(&self, epoch: u64) -> Frame {
        wait(
            || self.frames.lock().unwrap().iter().find(|(_, e)| *e == epoch).map(|(f, _)| f.clone()),
            || format!("epoch {epoch} of {:?}", self.source),
        )
    }

    /// The state once it is stale for a reason that holds `word`.
    fn stale(&self, word: &str) -> (Option<Timestamp>, String) {
        let look = || match self.source.state() {
            SourceState::Stale { since, reason, .. } if reason.contains(word) => Some((since, reason)),
            _ => None,
        };
        wait(look, || format!("{word:?} in {:?}", self.source))
    }
}

pub(super) fn wait<T>(mut look: impl FnMut() -> Option<T>, what: impl Fn() -> String) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(40), "waited in vain for {}", what());
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn every_codec_plays_over_tcp_and_udp_and_the_loop_is_a_new_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let cameras = [("h264", H264), ("h265", H265), ("mjpeg", MJPEG)]
        .map(|(name, encoder)| camera(name, &footage(folder.path(), name, 50, 320, 240, encoder)));
    let server = serve(&cameras, 0, None).unwrap();
    let mut watched: Vec<_> = server.urls().iter().map(|url| Watched::new(url, |_| {})).collect();
    watched.push(Watched::new(&server.urls()[0], |c| c.transport = Transport::Udp));
    for w in &watched {
        let frame = w.frame_of(1);
        assert_eq!((frame.width(), frame.height()), (320, 240));
    }
    for w in &watched {
        w.frame_of(2);
        let frames = w.frames.lock().unwrap();
        for pair in frames.windows(2) {
            let ((a, ea), (b, eb)) = (&pair[0], &pair[1]);
            assert!(ea < eb || (ea == eb && a.seq() + 1 == b.seq() && a.captured_at() < b.captured_at()));
        }
        // Every frame from the key frame at which it came in to the end of the file.
        assert!(frames.iter().filter(|(_, e)| *e == 1).count() >= 10);
    }
}

#[test]
fn virtual_cameras_show_the_same_moment() {
    let folder = tempfile::tempdir().unwrap();
    // The picture's brightness tells the time: one step a second.
    let path = folder.path().join("clock.mkv");
    let parts: String = [30, 90, 150, 210]
        .map(|y| format!("videotestsrc num-buffers=25 pattern=solid-color foreground-color={} ! video/x-raw,format=I420,width=160,height=120,framerate=25/1 ! c. ", 0xff00_0000_u32 | y << 16 | y << 8 | y))
        .concat();
    launch(&format!("concat name=c ! {H264} ! matroskamux ! filesink location={} {parts}", path.display()));
    let server = serve(&[camera("a", &path), camera("b/main", &path)], 0, None).unwrap();
    let early = Watched::new(&server.urls()[0], |_| {});
    early.frame_of(1);
    let late = Watched::new(&server.urls()[1], |_| {});
    late.frame_of(1);
    late.frame_of(2);
    let luma = |f: &Frame| f.planes().next().unwrap().data[0];
    let (early, late) = (early.frames.lock().unwrap(), late.frames.lock().unwrap());
    // Compare the instants at which both pass from one brightness to the next.
    let steps = |frames: &[(Frame, u64)]| -> Vec<(u8, Timestamp)> {
        frames
            .windows(2)
            .filter(|p| luma(&p[0].0).abs_diff(luma(&p[1].0)) > 20)
            .map(|p| (luma(&p[1].0), p[1].0.captured_at()))
            .collect()
    };
    let (a, b) = (steps(&early), steps(&late));
    let apart = |(y, t): &(u8, Timestamp)| {
        a.iter().filter(|(z, _)| z.abs_diff(*y) < 5).map(|(_, u)| t.seconds_since(*u).abs()).min_by(f64::total_cmp)
    };
    let differences: Vec<_> = b.iter().filter_map(apart).collect();
    assert!(!differences.is_empty() && differences.iter().all(|d| *d < 0.5), "{differences:?} s apart");
}

#[test]
fn refusals_are_explained_and_credentials_stay_secret() {
    let folder = tempfile::tempdir().unwrap();
    let file = footage(folder.path(), "a.mkv", 50, 160, 120, H264);
    let secret = ("operator".to_owned(), "p@ss: wörd/1%".to_owned());
    let server = serve(&[camera("gate", &file)], 0, Some(secret)).unwrap();
    let right = server.urls()[0].clone();
    Watched::new(&right, |_| {}).frame_of(1);

    let wrong = right.replace("operator:", "intruder:hunter2");
    let (since, reason) = Watched::new(&wrong, |_| {}).stale("password");
    assert_eq!(since, None);
    let elsewhere = right.replace("/gate", "/cellar?token=hunter2");
    let not_found = Watched::new(&elsewhere, |_| {});
    let (_, missing) = not_found.stale("no stream named /cellar");
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (_, gone) = Watched::new(&format!("rtsp://operator:hunter2@{nobody}/x"), |_| {}).stale("cannot be reached");
    assert!(gone.contains(&nobody.to_string()), "{gone}");
    let (_, nonsense) = Watched::new("http://operator:hunter2@host/x", |_| {}).stale("over HTTP");
    let (_, unclear) = Watched::new("rtsp://operator:12/hunter2@127.0.0.1:9/x", |_| {}).stale("%2F");
    let shown = format!(
        "{reason} {missing} {gone} {nonsense} {unclear} {:?} {server:?} {:?}",
        not_found.source,
        SourceConfig::new(&right)
    );
    for word in ["hunter2", "intruder", "operator", "wörd", "w%C3", "p@ss", "p%40"] {
        assert!(!shown.contains(word), "{word} in {shown}");
    }
}

#[test]
fn a_killed_camera_comes_back_with_another_size() {
    let folder = tempfile::tempdir().unwrap();
    let small = footage(folder.path(), "small.mkv", 250, 160, 120, H264);
    let large = footage(folder.path(), "large.mkv", 250, 352, 288, H265);
    let server = serve(&[camera("c", &small)], 0, None).unwrap();
    let url = server.urls()[0].clone();
    let port = url.rsplit(':').next().unwrap().split('/').next().unwrap().parse().unwrap();
    let watched = Watched::new(&url, |_| {});
    assert_eq!(watched.frame_of(1).width(), 160);
    assert_eq!((watched.source.state(), watched.source.epoch()), (SourceState::Live, 1));
    server.stop();
    let (since, _) = watched.stale("");
    assert!(since.is_some());
    watched.stale("cannot be reached");
    let _server = serve(&[camera("c", &large)], port, None).unwrap();
    assert_eq!(watched.frame_of(2).width(), 352);
    assert_eq!(watched.source.state(), SourceState::Live);
}

#[test]
fn silence_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let file = footage(folder.path(), "a.mkv", 250, 160, 120, H264);
    let server = serve(&[camera("c", &file)], 0, None).unwrap();
    let frozen = Watched::new(&server.urls()[0], |c| c.connect_timeout = Duration::from_secs(2));
    frozen.frame_of(1);
    server.freeze(true);
    // Accepts connections and never answers.
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("rtsp://{}/x", deaf.local_addr().unwrap());
    let unanswered = Watched::new(&url, |c| c.connect_timeout = Duration::from_millis(700));
    let (since, _) = unanswered.stale("No picture came");
    assert_eq!(since, None);
    let (since, _) = frozen.stale("no picture for 1 s");
    assert!(since.is_some());
    server.freeze(false);
    frozen.frame_of(2);
}

#[test]
fn a_camera_tells_its_own_clock_and_where_that_is_set_a_new_file_begins() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(&[camera("gate", &footage(folder.path(), "gate", 1500, 160, 120, H264))], 0, None).unwrap();
    server.set_clocks(3600);
    let udp = Watched::new(&server.urls()[0], |c| c.transport = Transport::Udp);
    let told: Arc<Mutex<Vec<Recorded>>> = Arc::default();
    let hears = Arc::clone(&told);
    let config = RecorderConfig {
        camera: uuid::Uuid::from_u128(1),
        spool: folder.path().join("spool"),
        segment: Duration::from_secs(60),
        events_only: false,
        pre_roll: Duration::ZERO,
        post_roll: Duration::ZERO,
    };
    let recorder = Arc::new(
        Recorder::start(config, &Supervisor::default(), move |recorded| hears.lock().unwrap().push(recorded)).unwrap(),
    );
    let takes = Arc::clone(&recorder);
    let on_packet: OnPacket = Box::new(move |packet| takes.take(packet));
    let tcp = SourceConfig::new(&server.urls()[0]);
    let tcp =
        Source::open_recorded(tcp, Arc::new(SystemClock), &Supervisor::default(), None, |_, _| {}, Some(on_packet));
    let near = |source: &Source, seconds: f64| {
        let off = || source.clock_offset().filter(|o| (o.seconds() - seconds).abs() < 3.0); // a busy machine's delay is in it
        wait(off, || format!("{seconds} s in {:?}", source.clock_offset()));
    };
    near(&udp.source, 3600.0);
    near(&tcp, 3600.0);
    let captured = udp.frames.lock().unwrap().last().unwrap().0.captured_at();
    assert!(SystemClock.now().seconds_since(captured).abs() < 5.0, "pictures are of the console's clock");
    server.set_clocks(-30);
    near(&tcp, -30.0);
    let first = || told.lock().unwrap().iter().any(|r| matches!(r, Recorded::Segment(_))).then_some(());
    wait(first, || "the end of the first file".to_owned());
    drop(tcp);
    drop(udp);
    Arc::try_unwrap(recorder).unwrap().stop();
    let segments: Vec<_> = told
        .lock()
        .unwrap()
        .iter()
        .filter_map(|r| match r {
            Recorded::Segment(spooled) => Some(spooled.segment.clone()),
            _ => None,
        })
        .collect();
    let offsets: Vec<_> = segments.iter().map(|s| s.clock_offset.unwrap().seconds()).collect();
    assert_eq!(offsets.len(), 2, "{segments:?}");
    assert!((offsets[0] - 3600.0).abs() < 3.0 && (offsets[1] + 30.0).abs() < 3.0, "{segments:?}");
    assert!(segments[1].starts_at.seconds_since(segments[0].ends_at).abs() < 0.1, "nothing is lost between them");
}

#[test]
fn files_and_the_test_picture_are_sources_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = footage(folder.path(), "with space.mkv", 20, 160, 120, H264);
    let url = gst::glib::filename_to_uri(&file, None).unwrap();
    let looped = Watched::new(&url, |_| {});
    looped.frame_of(2);
    assert_eq!(looped.frames.lock().unwrap().iter().filter(|(_, e)| *e == 1).count(), 20);
    let test = Watched::new("test:", |_| {});
    assert_eq!(test.frame_of(1).width(), 640);
    Watched::new("file:///nowhere/at/all.mp4", |_| {}).stale("does not exist");
    let text = folder.path().join("a.txt");
    std::fs::write(&text, "This is no video.\n".repeat(50)).unwrap();
    Watched::new(&gst::glib::filename_to_uri(&text, None).unwrap(), |_| {}).stale("not video");
}

#[test]
fn nothing_is_handed_over_after_stop() {
    let calls = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&calls);
    let clock = Arc::new(ManualClock::at(Timestamp(1_000_000)));
    let last = Mutex::new(Timestamp(i64::MIN));
    let source = Source::open(SourceConfig::new("test:"), clock, move |frame, _| {
        // The clock stands still; the time stamps must not.
        let before = std::mem::replace(&mut *last.lock().unwrap(), frame.captured_at());
        *counted.lock().unwrap() += u64::from(frame.captured_at() > before);
    });
    wait(|| (*calls.lock().unwrap() > 2).then_some(()), || "frames".into());
    source.stop();
    let then = *calls.lock().unwrap();
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(*calls.lock().unwrap(), then);
}

#[test]
fn settings_are_read_in_seconds() {
    let config: SourceConfig =
        toml::from_str("url = 'rtsp://u:secret@h/1'\nlatency = 0.25\ntransport = 'udp'").unwrap();
    assert_eq!((config.latency, config.transport), (Duration::from_millis(250), Transport::Udp));
    assert_eq!(config.stall_after, Duration::from_secs(3));
    assert!(toml::from_str::<SourceConfig>("url = 'test:'\nlatency = -1.0").is_err());
    assert!(toml::from_str::<SourceConfig>("url = 'test:'\nlatencyy = 1.0").is_err());
}

fn read_all(path: &Path) -> Result<(FileReport, Vec<Frame>), FileError> {
    let mut frames = Vec::new();
    let report = read_file(path, |frame| {
        frames.push(frame);
        ControlFlow::Continue(())
    })?;
    Ok((report, frames))
}

#[test]
fn odd_sizes_ten_bits_and_variable_rates_are_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join("odd.mkv");
    launch(&format!(
        "videotestsrc num-buffers=30 ! video/x-raw,format=Y444,width=321,height=241,framerate=25/1 ! x264enc speed-preset=ultrafast \
         ! matroskamux ! filesink location={}",
        odd.display()
    ));
    let (report, frames) = read_all(&odd).unwrap();
    assert_eq!((report.frames, report.width, report.height, report.truncated), (30, 321, 241, None));
    assert_eq!(report.fps_nominal, 25.0);
    assert!(frames.iter().enumerate().all(|(i, f)| f.seq() == i as u64 && f.layout() == Layout::I420));
    assert_eq!(frames[29].stream_time().as_millis(), 29 * 40);

    let deep = folder.path().join("deep.mkv");
    launch(&format!(
        "videotestsrc num-buffers=10 ! video/x-raw,format=I420_10LE,width=160,height=120,framerate=25/1 \
         ! x265enc speed-preset=ultrafast option-string=log-level=none ! h265parse ! matroskamux ! filesink location={}",
        deep.display()
    ));
    assert_eq!(read_all(&deep).unwrap().0.frames, 10);

    // Half at 10, half at 25 frames per second.
    let uneven = folder.path().join("uneven.mkv");
    let part = |rate: u32| {
        format!("videotestsrc num-buffers=10 ! video/x-raw,format=I420,width=160,height=120,framerate={rate}/1 ! c. ")
    };
    launch(&format!(
        "concat name=c ! capssetter caps=video/x-raw,framerate=0/1 ! jpegenc ! matroskamux ! filesink location={} {}{}",
        uneven.display(),
        part(10),
        part(25)
    ));
    let (report, frames) = read_all(&uneven).unwrap();
    assert_eq!(report.frames, 20);
    let step = |i: usize| (frames[i + 1].stream_time() - frames[i].stream_time()).as_millis();
    assert_eq!((step(3), step(15)), (100, 40));
}

#[test]
fn the_same_file_gives_the_same_frames_and_can_be_left_early() {
    let folder = tempfile::tempdir().unwrap();
    let file = footage(folder.path(), "a.mkv", 60, 320, 240, "x264enc speed-preset=ultrafast bframes=2 ! h264parse");
    let print = || {
        let (_, frames) = read_all(&file).unwrap();
        // What lies between the rows is nobody's.
        let row =
            |p: &Plane<'_>, y: usize| p.data[y * p.stride..][..p.width].iter().map(|b| u64::from(*b)).sum::<u64>();
        let sum = |p: Plane<'_>| (0..p.height).map(|y| row(&p, y) * (1 + y as u64)).sum::<u64>();
        let line = |f: &Frame| (f.stream_time(), f.planes().map(sum).collect::<Vec<_>>());
        frames.iter().map(line).collect::<Vec<_>>()
    };
    let first = print();
    assert_eq!(first.len(), 60);
    assert!(first.windows(2).all(|p| p[0].0 < p[1].0));
    assert_eq!(first, print());
    let mut seen = 0;
    let report = read_file(&file, |_| {
        seen += 1;
        if seen == 5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .unwrap();
    assert_eq!((seen, report.frames, report.truncated), (5, 5, None));
}

#[test]
fn unusable_files_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    assert!(matches!(read_all(&at("none.mp4")), Err(FileError::Missing(_))));
    assert!(matches!(read_all(folder.path()), Err(FileError::Unreadable(..))));
    std::fs::write(at("empty.mp4"), "").unwrap();
    assert!(matches!(read_all(&at("empty.mp4")), Err(FileError::Empty(_))));
    std::fs::write(at("text.mp4"), "This is no video.\n".repeat(50)).unwrap();
    assert!(matches!(read_all(&at("text.mp4")), Err(FileError::NotVideo(_))), "{:?}", read_all(&at("text.mp4")).err());
    std::fs::write(
        at("noise.mp4"),
        (0..4000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect::<Vec<_>>(),
    )
    .unwrap();
    assert!(
        matches!(read_all(&at("noise.mp4")), Err(FileError::NotVideo(_))),
        "{:?}",
        read_all(&at("noise.mp4")).err()
    );
    launch(&format!("audiotestsrc num-buffers=50 ! wavenc ! filesink location={}", at("a.wav").display()));
    launch(&format!("audiotestsrc num-buffers=50 ! vorbisenc ! oggmux ! filesink location={}", at("a.ogg").display()));
    for sound in ["a.wav", "a.ogg"] {
        assert!(
            matches!(read_all(&at(sound)), Err(FileError::NoVideo(_))),
            "{sound}: {:?}",
            read_all(&at(sound)).err()
        );
    }
    // A codec that no decoder exists for.
    let odd = "video/x-raw,format=I420,width=64,height=64,framerate=25/1";
    launch(&format!(
        "videotestsrc num-buffers=5 ! {odd} ! jpegenc ! matroskamux ! filesink location={}",
        at("codec.mkv").display()
    ));
    let mut bytes = std::fs::read(at("codec.mkv")).unwrap();
    let name = bytes.windows(4).position(|w| w == b"MJPG").unwrap();
    bytes[name..name + 4].copy_from_slice(b"XYZY");
    std::fs::write(at("codec.mkv"), bytes).unwrap();
    let error = read_all(&at("codec.mkv")).err();
    assert!(matches!(&error, Some(FileError::MissingPlugin(_, name)) if !name.is_empty()), "{error:?}");
}

#[test]
fn a_file_that_was_cut_short_is_used_as_far_as_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    for (name, muxer) in [("a.mkv", "matroskamux"), ("a.avi", "avimux"), ("a.mp4", "mp4mux faststart=true")] {
        let path = folder.path().join(name);
        let source =
            "videotestsrc num-buffers=100 pattern=snow ! video/x-raw,format=I420,width=160,height=120,framerate=25/1";
        let encoder = "x264enc speed-preset=ultrafast key-int-max=10 ! h264parse";
        let sound = "audiotestsrc num-buffers=100 ! alawenc ! queue ! m.";
        let sound = if name == "a.avi" { sound } else { "" };
        launch(&format!("{source} ! {encoder} ! {muxer} name=m ! filesink location={} {sound}", path.display()));
        assert_eq!(read_all(&path).unwrap().0.truncated, None, "{name}");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let (report, _) = read_all(&path).unwrap();
        assert!((20..90).contains(&report.frames), "{name}: {report:?}");
        assert!(report.truncated.is_some(), "{name}: {report:?}");
    }
}

#[test]
fn a_view_shows_its_window_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in.mkv");
    // White at the right, black elsewhere.
    let part = |n: u32, colour: u32| {
        format!(
            "videotestsrc num-buffers=50 pattern=solid-color foreground-color={colour} ! video/x-raw,format=I420,width=160,height=120,framerate=25/1 ! c.sink_{n} "
        )
    };
    launch(&format!(
        "compositor name=c sink_1::xpos=160 ! video/x-raw,width=320,height=120 ! {H264} ! matroskamux ! filesink location={} {}{}",
        input.display(),
        part(0, 0xff00_0000),
        part(1, 0xffff_ffff)
    ));
    for (codec, name) in [(Codec::H264, "a"), (Codec::H265, "b"), (Codec::Mjpeg, "c")] {
        let output = folder.path().join(name);
        let mut last = 0.0;
        let right = Window { x: 160, y: 20, width: 160, height: 96 };
        let report = make_view(&input, right, codec, &output, &mut |p| last = p).unwrap();
        assert_eq!((last, report.bytes), (1.0, std::fs::metadata(&output).unwrap().len()));
        let (read, frames) = read_all(&output).unwrap();
        assert_eq!((read.frames, read.width, read.height, read.truncated), (50, 160, 96, None));
        let luma = frames[20].planes().next().unwrap();
        assert!((0..96).all(|row| luma.data[row * luma.stride..row * luma.stride + 160].iter().all(|y| *y > 200)));
    }
    let beyond = Window { x: 200, y: 0, width: 160, height: 96 };
    let output = folder.path().join("beyond");
    assert!(matches!(make_view(&input, beyond, Codec::H264, &output, &mut |_| {}), Err(ViewError::Window { .. })));
    let nowhere = folder.path().join("no/such/folder.mkv");
    let inside = Window { x: 0, y: 0, width: 160, height: 96 };
    assert!(matches!(make_view(&input, inside, Codec::H264, &nowhere, &mut |_| {}), Err(ViewError::Output(..))));
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 4, "{left:?}");
}

#[test]
fn what_cannot_be_served_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let vp8 = folder.path().join("vp8.mkv");
    launch(&format!("videotestsrc num-buffers=5 ! vp8enc ! matroskamux ! filesink location={}", vp8.display()));
    assert!(
        matches!(serve(&[camera("a", &vp8)], 0, None), Err(SimulateError::Codec(_, codec)) if codec.contains("vp8"))
    );
    let file = footage(folder.path(), "a.mkv", 10, 160, 120, MJPEG);
    assert!(matches!(serve(&[camera("a b", &file)], 0, None), Err(SimulateError::Name(_))));
    assert!(matches!(serve(&[camera("a", &file), camera("a", &file)], 0, None), Err(SimulateError::Name(_))));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    assert!(matches!(serve(&[camera("a", &file)], port, None), Err(SimulateError::Port(p)) if p == port));
}
