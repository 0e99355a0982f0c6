//! The recorder on real streams: real RTSP on loopback, real files.
use super::{course::HOLE, writer::hash, *};
use crate::{
    model::SystemClock,
    video::{
        Frame, Source, SourceConfig, read_file, serve,
        tests::{H264, H265, MJPEG, camera, footage, wait},
    },
};
use std::{ops::ControlFlow, path::Path, process::Command};
use uuid::Uuid;

/// A camera that is shown and recorded.
struct Site {
    source: Option<Source>,
    recorder: Option<Arc<Recorder>>,
    supervisor: Supervisor,
    live: Arc<Mutex<Vec<Frame>>>,
    told: Arc<Mutex<Vec<Recorded>>>,
}

impl Site {
    fn start(url: &str, spool: &Path, change: impl FnOnce(&mut RecorderConfig)) -> Self {
        let mut config = RecorderConfig {
            camera: Uuid::from_u128(7),
            spool: spool.to_owned(),
            segment: Duration::from_secs(1),
            events_only: false,
            pre_roll: Duration::from_secs(1),
            post_roll: Duration::from_secs(1),
        };
        change(&mut config);
        let live: Arc<Mutex<Vec<Frame>>> = Arc::default();
        let told: Arc<Mutex<Vec<Recorded>>> = Arc::default();
        let (all, telling) = (Arc::clone(&live), Arc::clone(&told));
        let supervisor = Supervisor::default();
        let recorder =
            Arc::new(Recorder::start(config, &supervisor, move |r| telling.lock().unwrap().push(r)).unwrap());
        let taking = Arc::clone(&recorder);
        let mut from = SourceConfig::new(url);
        from.stall_after = Duration::from_secs(1);
        let source = Source::open_recorded(
            from,
            Arc::new(SystemClock),
            &supervisor,
            None,
            move |frame, _| all.lock().unwrap().push(frame),
            Some(Box::new(move |packet| taking.take(packet))),
        );
        Self { source: Some(source), recorder: Some(recorder), supervisor, live, told }
    }

    fn segments(&self) -> Vec<Spooled> {
        let told = self.told.lock().unwrap();
        told.iter().filter_map(|r| if let Recorded::Segment(s) = r { Some(s.clone()) } else { None }).collect()
    }

    fn segments_once(&self, n: usize) -> Vec<Spooled> {
        wait(|| Some(self.segments()).filter(|s| s.len() >= n), || format!("{n} segments of {:?}", self.told))
    }

    fn stop(&mut self) {
        drop(self.source.take());
        let recorder = self.recorder.take();
        wait(
            || recorder.as_ref().filter(|r| Arc::strong_count(r) == 1).map(|_| ()),
            || "the source to let go of the recorder".to_owned(),
        );
        drop(recorder);
    }
}

/// The frames of a file with their wall-clock times.
fn frames(spooled: &Spooled) -> Vec<(Timestamp, Frame)> {
    let mut frames = Vec::new();
    let start = spooled.segment.starts_at;
    let report = read_file(&spooled.file, |frame| {
        frames.push((start.plus(frame.stream_time()), frame));
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(report.truncated, None, "{spooled:?}");
    frames
}

fn luma(frame: &Frame) -> Vec<u8> {
    let plane = frame.planes().next().unwrap();
    (0..plane.height).flat_map(|y| plane.data[y * plane.stride..][..plane.width].to_vec()).collect()
}

#[test]
fn every_picture_that_was_shown_is_in_a_segment_with_its_own_time() {
    let folder = tempfile::tempdir().unwrap();
    for (name, encoder) in [("h264", H264), ("h265", H265), ("mjpeg", MJPEG)] {
        let file = footage(folder.path(), name, 100, 320, 240, encoder);
        let server = serve(&[camera(name, &file)], 0, None).unwrap();
        let mut site = Site::start(&server.urls()[0], &folder.path().join(format!("spool-{name}")), |_| {});
        site.segments_once(3);
        site.stop();
        let segments = site.segments();
        let mut recorded = Vec::new();
        for (i, s) in segments.iter().enumerate() {
            let of = &s.segment;
            assert_eq!((of.codec.as_str(), of.format.as_str(), of.width, of.height), (name, "matroska", 320, 240));
            assert_eq!((of.sha256.clone(), of.size), hash(&s.file).unwrap());
            let all = frames(s);
            assert_eq!(all[0].0, of.starts_at);
            let end = all.last().unwrap().0;
            assert!(of.ends_at > end && of.ends_at.seconds_since(end) < 0.2, "{of:?} ends with {end}");
            if i > 0 {
                let before = &segments[i - 1].segment;
                assert!(before.ends_at.seconds_since(of.starts_at).abs() < 0.7, "no picture between is lost");
            }
            recorded.extend(all);
        }
        // Each picture on the screen is in the recording, pixel by pixel, at its own time.
        let live = site.live.lock().unwrap();
        let (from, until) = (recorded[0].0, recorded.last().unwrap().0);
        let mut compared = 0;
        for frame in live.iter().filter(|f| f.captured_at() >= from && f.captured_at() <= until) {
            let nearest = recorded.iter().min_by_key(|(at, _)| at.0.abs_diff(frame.captured_at().0)).unwrap();
            let off = nearest.0.seconds_since(frame.captured_at());
            assert!(off.abs() < 0.02, "{name}: {off} s off");
            assert!(luma(&nearest.1) == luma(frame), "{name}: another picture at {}", nearest.0);
            compared += 1;
        }
        assert!(compared > 30, "{compared} pictures compared");
    }
}

#[test]
fn a_stalled_camera_leaves_a_whole_file_and_a_hole_that_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = footage(folder.path(), "a", 500, 320, 240, H264);
    let server = serve(&[camera("a", &file)], 0, None).unwrap();
    let site = Site::start(&server.urls()[0], &folder.path().join("spool"), |c| c.segment = Duration::from_secs(60));
    wait(|| (site.live.lock().unwrap().len() > 30).then_some(()), || "pictures".to_owned());
    server.freeze(true);
    let first = site.segments_once(1).remove(0); // although its minute is not over
    assert!(frames(&first).len() > 10);
    server.freeze(false);
    let resumed = || {
        site.told.lock().unwrap().iter().find_map(|r| match r {
            Recorded::Resumed { last: Some(last), at, .. } => Some((*last, *at)),
            _ => None,
        })
    };
    let (last, at) = wait(resumed, || format!("the end of the hole: {:?}", site.told));
    assert!(at.seconds_since(last) > HOLE);
    assert!(first.segment.ends_at.seconds_since(last).abs() < 0.2, "the hole begins where the file ends");
}

#[test]
fn around_events_only_the_time_before_is_there_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = footage(folder.path(), "a", 500, 320, 240, H264);
    let server = serve(&[camera("a", &file)], 0, None).unwrap();
    let mut site = Site::start(&server.urls()[0], &folder.path().join("spool"), |c| {
        c.events_only = true;
        c.segment = Duration::from_secs(60);
    });
    let event = wait(|| site.live.lock().unwrap().get(60).map(|f| f.captured_at()), || "pictures".to_owned());
    assert!(site.segments().is_empty());
    site.recorder.as_ref().unwrap().event(event);
    let kept = site.segments_once(1).remove(0).segment;
    let (before, after) = (event.seconds_since(kept.starts_at), kept.ends_at.seconds_since(event));
    // The key frame before the pre-roll is at most one group of pictures (0.48 s) earlier; all pictures until then came.
    assert!((1.0..2.0).contains(&before) && (0.9..1.8).contains(&after), "{before} s before, {after} s after");
    // A busy machine tells of one when its post-roll is over: what was before and after is there all the same.
    let seen = |n: usize| wait(|| site.live.lock().unwrap().get(n).map(|f| f.captured_at()), || "pictures".to_owned());
    let number = site.live.lock().unwrap().len() + 50;
    let event = seen(number);
    seen(number + 38); // a second and a half
    site.recorder.as_ref().unwrap().event(event);
    let late = site.segments_once(2).remove(1).segment;
    let (before, after) = (event.seconds_since(late.starts_at), late.ends_at.seconds_since(event));
    assert!((1.0..2.0).contains(&before) && after > 1.0, "{before} s before, {after} s after");
    site.stop();
    assert_eq!(site.segments().len(), 2, "nothing else happened");
}

#[test]
fn a_spool_that_cannot_be_written_is_told_and_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = footage(folder.path(), "a", 500, 320, 240, H264);
    let server = serve(&[camera("a", &file)], 0, None).unwrap();
    let spool = folder.path().join("spool");
    let site = Site::start(&server.urls()[0], &spool, |_| {});
    site.segments_once(1);
    // The recorder may begin a file while the folder is being emptied.
    wait(|| fs::remove_dir_all(&spool).is_ok().then_some(()), || "the spool does not go away".to_owned());
    fs::write(&spool, "in the way").unwrap();
    let failed = || site.told.lock().unwrap().iter().any(|r| matches!(r, Recorded::Failed(_))).then_some(());
    wait(failed, || format!("a failure: {:?}", site.told));
    fs::remove_file(&spool).unwrap();
    fs::create_dir(&spool).unwrap();
    let there = site.segments().len();
    let next = site.segments_once(there + 1).pop().unwrap();
    assert!(frames(&next).len() > 1);
}

/// Not a test: the process that the next one kills.
#[test]
#[ignore = "run by what_a_killed_process_left_is_taken_up"]
fn records_until_killed() {
    let (url, spool) = (std::env::var("VIGIA_TEST_URL").unwrap(), std::env::var("VIGIA_TEST_SPOOL").unwrap());
    let _site = Site::start(&url, Path::new(&spool), |c| c.segment = Duration::from_secs(600));
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn what_a_killed_process_left_is_taken_up() {
    let folder = tempfile::tempdir().unwrap();
    let file = footage(folder.path(), "a", 500, 320, 240, H264);
    let server = serve(&[camera("a", &file)], 0, None).unwrap();
    let spool = folder.path().join("spool");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "video::recorder::tests::records_until_killed"])
        .env("VIGIA_TEST_URL", &server.urls()[0])
        .env("VIGIA_TEST_SPOOL", &spool)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let part = || {
        let part = fs::read_dir(&spool)
            .ok()?
            .flatten()
            .map(|e| e.path())
            .find(|p| p.extension().is_some_and(|e| e == "part"))?;
        (fs::metadata(&part).ok()?.len() > 40_000).then_some(part)
    };
    let part = wait(part, || "a file being written".to_owned());
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
    let bytes = fs::read(&part).unwrap();
    // A power cut may cut anywhere.
    for (i, length) in [bytes.len(), bytes.len() - 1, bytes.len() * 2 / 3, bytes.len() / 3].into_iter().enumerate() {
        let other = folder.path().join(format!("cut-{i}"));
        fs::create_dir(&other).unwrap();
        fs::write(other.join(part.file_name().unwrap()), &bytes[..length]).unwrap();
        let found = recover(&other).unwrap().whole;
        assert_eq!(found.len(), 1, "{length} of {} bytes", bytes.len());
        let of = &found[0].segment;
        let named = part.file_stem().unwrap().to_str().unwrap().split('_').nth(1).unwrap().parse().unwrap();
        assert_eq!((of.camera, of.starts_at), (Uuid::from_u128(7), Timestamp(named)));
        let all = frames(&found[0]);
        let end = all.last().unwrap().0;
        assert!(all.len() > 2 && of.ends_at > end && of.ends_at.seconds_since(end) < 0.2, "{of:?}, last {end}");
        assert_eq!(recover(&other).unwrap().whole, found, "taken up once");
        assert_eq!(fs::read_dir(&other).unwrap().count(), 2, "nothing else is left");
        found[0].remove().unwrap();
        assert_eq!(recover(&other).unwrap(), Recovered::default());
    }
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    fs::write(empty.join(part.file_name().unwrap()), "").unwrap();
    assert_eq!(recover(&empty).unwrap(), Recovered::default());
}

#[test]
fn a_recorder_that_fails_saves_what_it_wrote_and_goes_on_at_the_next_key_frame() {
    let folder = tempfile::tempdir().unwrap();
    let file = footage(folder.path(), "h264", 200, 320, 240, H264);
    let server = serve(&[camera("h264", &file)], 0, None).unwrap();
    // One long file, so that it is under way when the thread fails.
    let mut site =
        Site::start(&server.urls()[0], &folder.path().join("spool"), |c| c.segment = Duration::from_secs(60));
    wait(|| Some(site.live.lock().unwrap().len()).filter(|n| *n > 40), || "pictures".to_owned());
    site.supervisor.trip("recording", crate::supervise::Trip::Panic);
    let before = site.segments_once(1).remove(0);
    let resumed = |told: &Recorded| matches!(told, Recorded::Resumed { last: Some(_), why: Some(Why::Failed), .. });
    wait(
        || site.told.lock().unwrap().iter().find(|t| resumed(t)).cloned(),
        || format!("it goes on: {:?}", site.told.lock().unwrap()),
    );
    let shown = site.live.lock().unwrap().len();
    wait(|| Some(site.live.lock().unwrap().len()).filter(|n| *n > shown + 30), || "more pictures".to_owned());
    site.stop();
    let segments = site.segments();
    assert_eq!(segments[0], before);
    let told = site.told.lock().unwrap();
    let Some((last, at)) = told.iter().find_map(|t| match t {
        Recorded::Resumed { last: Some(last), at, why: Some(Why::Failed) } => Some((*last, *at)),
        _ => None,
    }) else {
        panic!("{told:?}")
    };
    let (first, second) = (&segments[0].segment, &segments[1].segment);
    assert!(first.ends_at.seconds_since(last).abs() < 0.2, "what was written before is whole: {first:?}, {last}");
    assert_eq!(second.starts_at, at);
    assert!(!frames(&segments[0]).is_empty() && !frames(&segments[1]).is_empty());
    assert!(site.supervisor.look().iter().any(|news| news.to_string().contains("tripped by a test")));
}
