//! The player on real files. Each picture says which it is: its brightness counts, in two places.
use super::*;
use crate::{
    model::SystemClock,
    video::tests::{H264, H265, MJPEG, launch, wait},
};

const T0: Timestamp = Timestamp(1_795_000_000_000_000);
const FRAME: Duration = Duration::from_millis(40);

/// A file of `frames` pictures, 25 a second: the left half of picture n is grey 40 + 16 (n mod 12), the right half
/// 40 + 16 (n div 12).
fn counting(folder: &Path, name: &str, frames: u32, encoder: &str, muxer: &str) -> PathBuf {
    crate::video::init().unwrap();
    let path = folder.join(name);
    let pipeline = gst::parse::launch(&format!(
        "appsrc name=source format=time caps=video/x-raw,format=I420,width=128,height=64,framerate=25/1 ! \
         {encoder} ! {muxer} ! filesink location=\"{}\"",
        path.display()
    ));
    let pipeline = pipeline.unwrap().downcast::<gst::Pipeline>().unwrap();
    let source = pipeline.by_name("source").unwrap().downcast::<gst_app::AppSrc>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    for n in 0..frames {
        let (left, right) = (40 + 16 * (n % 12) as u8, 40 + 16 * (n / 12) as u8);
        let mut bytes = Vec::new();
        for _ in 0..64 {
            bytes.extend([left; 64]);
            bytes.extend([right; 64]);
        }
        bytes.resize(128 * 64 * 3 / 2, 128);
        let mut buffer = gst::Buffer::from_slice(bytes);
        let b = buffer.get_mut().unwrap();
        b.set_pts(gst::ClockTime::from_mseconds(40 * u64::from(n)));
        b.set_duration(gst::ClockTime::from_mseconds(40));
        source.push_buffer(buffer).unwrap();
    }
    source.end_of_stream().unwrap();
    let ended = pipeline.bus().unwrap().timed_pop_filtered(gst::ClockTime::from_seconds(60), &[gst::MessageType::Eos]);
    pipeline.set_state(gst::State::Null).unwrap();
    ended.unwrap();
    path
}

/// Which picture it is.
fn number(frame: &Frame) -> u32 {
    let plane = frame.planes().next().unwrap();
    let grey = |x: usize| (f32::from(plane.data[32 * plane.stride + x]) - 40.0) / 16.0;
    (grey(96).round() * 12.0 + grey(32).round()) as u32
}

fn at(n: u32) -> Duration {
    FRAME * n
}

#[test]
fn the_exact_frame_in_every_order_of_every_codec_and_container() {
    let folder = tempfile::tempdir().unwrap();
    // Two frames may depend on the one after them: decoding order is not time.
    let reordered = "x264enc bframes=2 b-adapt=false key-int-max=30 ! h264parse";
    for (name, encoder, muxer) in [
        ("a.mkv", H264, "matroskamux"),
        ("b.mkv", H265, "matroskamux"),
        ("c.mkv", MJPEG, "matroskamux"),
        ("d.mp4", reordered, "mp4mux"),
        ("e.mkv", reordered, "matroskamux"),
        ("f.mkv", H264, "matroskamux streamable=true"), // no index, as of a recorder that was killed
    ] {
        let mut deck = Deck::open(&counting(folder.path(), name, 140, encoder, muxer), T0).unwrap();
        let mut order: Vec<u32> = (0..20).chain((100..140).rev()).collect();
        order.extend((0..60).map(|i| i * 89 % 140)); // here and there
        for n in order {
            for t in [at(n), at(n) + Duration::from_millis(1), at(n) + Duration::from_millis(39)] {
                let frame = deck.frame_at(t).unwrap();
                assert_eq!((number(&frame), frame.captured_at()), (n, T0.plus(at(n))), "{name} at {t:?}");
            }
        }
        for n in [139, 70, 1, 0] {
            let near = |f: Option<Frame>| f.map(|f| number(&f));
            assert_eq!(near(deck.frame_before(at(n)).unwrap()), n.checked_sub(1), "{name} before {n}");
            assert_eq!(near(deck.frame_after(at(n)).unwrap()), Some(n + 1).filter(|n| *n < 140), "{name} after {n}");
        }
        let preview = number(&deck.preview_at(at(77)).unwrap());
        assert!(preview <= 77 && preview + 30 > 77, "{name}: {preview}");
        assert_eq!(number(&deck.frame_at(at(77)).unwrap()), 77, "{name}: exact after a preview");
    }
}

#[test]
fn what_cannot_be_played_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("a.mkv");
    std::fs::write(&text, "no video at all, only words, quite a few of them").unwrap();
    assert!(Deck::open(&text, T0).is_err());
    assert!(matches!(Deck::open(&folder.path().join("b.mkv"), T0), Err(FileError::Missing(_))));
    let sound = folder.path().join("c.mkv");
    launch(&format!(
        "audiotestsrc num-buffers=20 ! audioconvert ! vorbisenc ! matroskamux ! filesink location={}",
        sound.display()
    ));
    assert!(Deck::open(&sound, T0).is_err());
    // Cut off: as far as it goes.
    let whole = counting(folder.path(), "d.mkv", 100, H264, "matroskamux");
    let bytes = std::fs::read(&whole).unwrap();
    std::fs::write(&whole, &bytes[..bytes.len() / 2]).unwrap();
    let mut deck = Deck::open(&whole, T0).unwrap();
    assert_eq!(number(&deck.frame_at(at(20)).unwrap()), 20);
    assert!(number(&deck.frame_at(at(99)).unwrap()) > 20);
}

struct Watching {
    player: Player,
    cameras: [CameraId; 2],
    _folder: tempfile::TempDir,
}

impl Watching {
    /// Two cameras: one with pictures 0 – 99 from T0 and again 0 – 49 from T0 + 6 s, one with pictures 0 – 99 from T0 + 1 s.
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cameras = [Uuid::from_u128(1), Uuid::from_u128(2)];
        let mut segments = Vec::new();
        for (name, camera, start, frames) in
            [("a", cameras[0], 0, 100), ("b", cameras[0], 6, 50), ("c", cameras[1], 1, 100)]
        {
            counting(folder.path(), name, frames, H264, "matroskamux");
            let starts_at = T0.plus(Duration::from_secs(start));
            segments.push(Segment {
                id: Uuid::new_v4(),
                camera,
                starts_at,
                ends_at: starts_at.plus(at(frames)),
                video_url: name.to_owned(),
                format: "matroska".to_owned(),
                codec: "h264".to_owned(),
                width: 128,
                height: 64,
                size: 0,
                sha256: String::new(),
                upload: None,
                clock_offset: None,
            });
        }
        let place = folder.path().to_owned();
        let locate: Arc<Locate> = Arc::new(move |s: &Segment| Ok(place.join(&s.video_url)));
        let player = Player::open(&cameras, T0, Arc::new(SystemClock), &locate);
        for camera in cameras {
            player.set_segments(camera, segments.iter().filter(|s| s.camera == camera).cloned().collect());
        }
        Self { player, cameras, _folder: folder }
    }

    /// What the cameras show once they show the instant.
    fn shows(&self, at: Timestamp) -> Vec<Option<u32>> {
        let look = || {
            let all: Option<Vec<Showing>> = self.player.showing().into_iter().map(|(_, s)| s).collect();
            all.filter(|all| all.iter().all(|s| s.at == at && matches!(s.what, What::Exact | What::Nothing)))
        };
        let all = wait(look, || format!("{at} in {:?}", self.player.showing()));
        all.iter().map(|s| s.frame.as_ref().map(number)).collect()
    }
}

#[test]
fn cameras_show_one_instant_and_gaps_stay_gaps() {
    let w = Watching::start();
    let second = |s: f64| T0.plus(Duration::from_secs_f64(s));
    for (to, expected) in [
        (2.0, [Some(50), Some(25)]),
        (0.5, [Some(12), None]),
        (4.5, [None, Some(87)]),
        (6.04, [Some(1), None]),
        (1.0, [Some(25), Some(0)]),
        (99.0, [None, None]),
    ] {
        w.player.seek(second(to), false);
        assert_eq!(w.shows(second(to)), expected, "at {to} s");
        assert_eq!(w.player.position(), second(to), "the instant asked for is never moved");
    }
    // Scrubbing ends with the exact frame, too.
    for to in [3.0, 0.2, 2.52] {
        w.player.seek(second(to), true);
    }
    assert_eq!(w.shows(second(2.52)), [Some(63), Some(38)]);
    // Step by step over the end of one file, through the gap, into the next.
    w.player.seek(second(3.92), false);
    let mut seen = Vec::new();
    for _ in 0..4 {
        let before = w.player.position();
        w.player.step(w.cameras[0], 1);
        let there = wait(|| Some(w.player.position()).filter(|p| *p != before), || "a step".to_owned());
        seen.push((there.seconds_since(T0), w.shows(there)[0]));
    }
    assert_eq!(seen, [(3.96, Some(99)), (4.0, None), (6.0, Some(0)), (6.04, Some(1))]);
    for expected in [(6.0, Some(0)), (3.96, Some(99)), (3.92, Some(98))] {
        let before = w.player.position();
        w.player.step(w.cameras[0], -1);
        let there = wait(|| Some(w.player.position()).filter(|p| *p != before), || "a step back".to_owned());
        assert_eq!((there.seconds_since(T0), w.shows(there)[0]), expected);
    }
}

#[test]
fn it_plays_forwards_and_backwards_each_frame_in_order() {
    let w = Watching::start();
    w.player.seek(T0.plus(at(30)), false);
    for rate in [0.5, -0.5] {
        w.player.play(rate);
        let mut seen: Vec<u32> = Vec::new();
        wait(
            || {
                let frame = w.player.showing().first().cloned().and_then(|(_, s)| s)?.frame?;
                if seen.last() != Some(&number(&frame)) {
                    seen.push(number(&frame));
                }
                (seen.len() > 12).then_some(())
            },
            || "frames in a row".to_owned(),
        );
        let on = seen.windows(2).all(|w| if rate > 0.0 { w[0] < w[1] } else { w[0] > w[1] });
        assert!(on || seen.iter().skip(1).is_sorted_by(|a, b| (a < b) == (rate > 0.0)), "{rate}: {seen:?}");
    }
    w.player.play(0.0);
    let stands = w.player.position();
    assert_eq!(w.player.position(), stands);
    assert_eq!(w.player.rate(), 0.0);
}
