//! A whole site that records: real encoded video, real stores.
use super::*;
use crate::{
    cli::prerequisites,
    model::{Action, AgedBefore, Class, Detection, Hold, Outcome, Rect, SystemClock, TrackId},
    site::{
        Access, CameraConfig, Command, Site, SiteConfig,
        analysis::Analysis,
        small_disk::{fill, on_a_small_disk},
    },
    store::{Address, Addresses, LogFilter},
    video::{Color, Frame},
    vision::Analysed,
};
use gstreamer::{self as gst, prelude::*};
use std::path::Path;

/// Five seconds of encoded video with a key frame every half second.
pub(in crate::site) fn footage(path: &Path) {
    footage_of(path, 5);
}

pub(in crate::site) fn footage_of(path: &Path, seconds: u32) {
    crate::video::init().unwrap();
    let pipeline = gst::parse::launch(&format!(
        "videotestsrc num-buffers={} pattern=ball ! video/x-raw,format=I420,width=320,height=240,framerate=25/1 ! \
         x264enc tune=zerolatency speed-preset=ultrafast key-int-max=12 ! h264parse ! matroskamux ! filesink location=\"{}\"",
        25 * seconds,
        path.display()
    ));
    let pipeline = pipeline.unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let ended = pipeline.bus().unwrap().timed_pop_filtered(gst::ClockTime::from_seconds(60), &[gst::MessageType::Eos]);
    pipeline.set_state(gst::State::Null).unwrap();
    ended.unwrap();
}

pub(in crate::site) fn open(data: &Path, video: &Path, record: RecordMode) -> Site {
    open_with(data, video, RecordingConfig { record, segment_s: 1.0, ..RecordingConfig::default() })
}

fn open_with(data: &Path, video: &Path, recording: RecordingConfig) -> Site {
    open_at(data, format!("file://{}", video.display()), recording)
}

/// A site with one camera at this address.
pub(in crate::site) fn open_at(data: &Path, url: String, recording: RecordingConfig) -> Site {
    open_of(data, config(url, recording))
}

pub(in crate::site) fn config(url: String, recording: RecordingConfig) -> SiteConfig {
    SiteConfig { recording, cameras: vec![CameraConfig::new("Gate", url)], ..SiteConfig::default() }
}

pub(in crate::site) fn open_of(data: &Path, config: SiteConfig) -> Site {
    Site::open(config, data, &prerequisites::models_dir(None), Arc::new(SystemClock)).unwrap()
}

pub(in crate::site) fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

const ALWAYS: (Timestamp, Timestamp) = (Timestamp(0), Timestamp(4_000_000_000_000_000));

pub(in crate::site) fn stored(site: &Site) -> Vec<Segment> {
    let cameras = &site.shared.records.stores.cameras;
    site.shared.runtime.block_on(cameras.segments(None, ALWAYS.0, ALWAYS.1)).unwrap()
}

pub(in crate::site) fn gaps(site: &Site) -> Vec<Gap> {
    let cameras = &site.shared.records.stores.cameras;
    site.shared.runtime.block_on(cameras.gaps(None, ALWAYS.0, ALWAYS.1)).unwrap()
}

#[test]
fn recordings_reach_the_store_wait_where_it_fails_and_gaps_have_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let (data, video) = (folder.path().join("data"), folder.path().join("a.mkv"));
    footage(&video);
    let site = open(&data, &video, RecordMode::Always);
    let first = wait("two segments in the store", || Some(stored(&site)).filter(|s| s.len() >= 2));
    for segment in &first {
        let file = site.shared.runtime.block_on(site.shared.video_file(segment)).unwrap();
        assert_eq!(fs::metadata(file).unwrap().len(), segment.size);
    }
    // The store is in the way of itself: nothing is lost, and the screen says so.
    let (room, aside) = (data.join("objects/segments"), data.join("objects/aside"));
    wait("the room of recordings out of the way", || fs::rename(&room, &aside).ok());
    let _ = fs::remove_dir_all(&room);
    wait("the store to fail", || {
        let _ = fs::remove_dir_all(&room).and_then(|()| fs::write(&room, "in the way"));
        if !room.exists() {
            fs::write(&room, "in the way").unwrap();
        }
        let state = site.state();
        let health = state.stores.iter().find(|s| s.store == "recordings").cloned().unwrap();
        (health.error.is_some() && health.backlog > 1).then_some(())
    });
    let waiting = site.shared.recording.state().spooled.len();
    assert!(waiting > 1);
    let known = stored(&site).len();
    fs::remove_file(&room).unwrap();
    fs::rename(&aside, &room).unwrap();
    wait("what waited to be stored", || (stored(&site).len() >= known + waiting).then_some(()));
    assert!(gaps(&site).is_empty(), "nothing was lost: {:?}", gaps(&site));
    drop(site);

    let site = open(&data, &video, RecordMode::Always);
    let gap = wait("the end of the gap", || gaps(&site).into_iter().find(|g| g.until.is_some()));
    assert_eq!(gap.reason, "The console was stopped");
    let last = stored(&site).iter().map(|s| s.ends_at).filter(|t| *t <= gap.from.plus(Duration::from_secs(1))).max();
    assert!(gap.from.seconds_since(last.unwrap()).abs() < 0.5, "{gap:?} after {last:?}");
    fs::remove_file(&video).unwrap(); // the file cannot be opened any more
    let lasting = wait("the gap of a lost camera", || gaps(&site).into_iter().find(|g| g.until.is_none()));
    assert!(lasting.reason.contains("does not exist"), "{lasting:?}");
}

#[test]
fn what_is_too_old_or_too_much_goes_except_what_is_held_and_the_log_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (data, video) = (folder.path().join("data"), folder.path().join("a.mkv"));
    footage(&video);
    let site = open(&data, &video, RecordMode::Always);
    let segments = wait("three segments", || Some(stored(&site)).filter(|s| s.len() >= 3));
    let held = Hold {
        id: Uuid::now_v7(),
        case: None,
        camera: Some(segments[0].camera),
        from: segments[0].starts_at,
        until: segments[0].starts_at,
        reason: "case 7".to_owned(),
        placed_by: "1".to_owned(),
        placed_at: segments[0].starts_at,
        released: None,
    };
    let shared = &site.shared;
    shared.runtime.block_on(shared.records.stores.cameras.put_hold(&held)).unwrap();
    let (second, third) = (&segments[1], &segments[2]);
    let before = third.ends_at;
    let deleted = shared.runtime.block_on(shared.delete_recordings(
        DeletedBy::Age(AgedBefore::of_test(before)),
        "older than it may be",
        |_, _| true,
    ));
    assert_eq!(deleted, 1);
    let left = stored(&site);
    assert_eq!(left[..2], [segments[0].clone(), third.clone()]);
    assert!(shared.runtime.block_on(shared.video_file(second)).is_err());
    assert!(shared.runtime.block_on(shared.video_file(&segments[0])).is_ok());
    let entry = wait("the entry", || {
        let log =
            shared.runtime.block_on(shared.records.stores.actions.page(&LogFilter::default(), None, 100)).unwrap();
        log.into_iter().find(|e| e.action == Action::DeleteData)
    });
    assert_eq!((entry.outcome, &entry.details["ids"][0]), (Outcome::Succeeded, &json!(second.id)));
    assert_eq!(entry.details["cameras"]["Gate"], 1);
}

#[test]
fn what_a_followed_suspect_was_seen_in_makes_no_room_and_when_only_that_is_left_an_alarm_says_so_once() {
    let folder = tempfile::tempdir().unwrap();
    let recording =
        RecordingConfig { record: RecordMode::Never, max_gb: 1e-9, keep_days: 0.0, ..RecordingConfig::default() };
    let site = open_at(&folder.path().join("data"), "test:".to_owned(), recording);
    let shared = &site.shared;
    let store = &shared.records.stores.cameras;
    shared.runtime.block_on(async {
        assert!(shared.records.delivery.flush().await, "the camera is registered");
        let (camera, now) = (store.cameras().await.unwrap()[0].id, SystemClock.now());
        let at = |seconds: u64| now.minus(Duration::from_secs(86_400 - seconds));
        for n in 0..3 {
            let (starts_at, ends_at) = (at(n * 1000), at(n * 1000 + 10));
            let (id, video_url) = (Uuid::now_v7(), format!("objects:segments/{n}.mkv"));
            let (format, codec, sha256) = ("matroska".to_owned(), "h264".to_owned(), "ab".repeat(32));
            let (width, height, size, upload, clock_offset) = (2, 2, 1000, None, None);
            let segment = Segment {
                id,
                camera,
                starts_at,
                ends_at,
                video_url,
                format,
                codec,
                width,
                height,
                size,
                sha256,
                upload,
                clock_offset,
            };
            store.put_segment(&segment).await.unwrap();
        }
        let s = crate::store::cameras::tests::suspect(camera, "Suspect 1");
        let s = crate::model::Suspect { expires_at: now.plus(Duration::from_secs(3600)), ..s };
        store.put_suspect(&s).await.unwrap();
        let stay = crate::store::cameras::tests::sighting(&s);
        let stay = crate::model::Sighting { entered_at: at(3), last_seen_at: at(4), left_at: Some(at(4)), ..stay };
        store.put_sighting(&stay).await.unwrap();

        for _ in 0..2 {
            shared.retain_recordings(SWEEP_EVERY).await;
            let left = store.segments(None, ALWAYS.0, ALWAYS.1).await.unwrap();
            assert_eq!(left.iter().map(|s| s.starts_at).collect::<Vec<_>>(), [at(0)]);
        }
    });
    let told = shared.board.lock().notices.iter().filter(|n| n.text.contains("followed suspect")).count();
    assert_eq!(told, 1, "once an hour");
}

#[test]
fn a_full_store_gives_up_the_oldest_recordings_for_new_ones_but_what_is_held_it_does_not_give_up() {
    let name = "site::recording::tests::a_full_store_gives_up_the_oldest_recordings_for_new_ones_but_what_is_held_it_does_not_give_up";
    on_a_small_disk(name, 16, |disk| {
        let folder = tempfile::tempdir().unwrap();
        let (data, video) = (folder.path().join("data"), folder.path().join("a.mkv"));
        footage_of(&video, 30);
        let objects = disk.join("objects");
        fs::create_dir(&objects).unwrap();
        let filler = disk.join("filler");
        fill(&filler, fs::metadata(&video).unwrap().len() / 4); // room for seven seconds
        let recording = RecordingConfig { record: RecordMode::Always, segment_s: 1.0, ..RecordingConfig::default() };
        let stores = Addresses {
            objects: Some(Address::parse(&format!("file:{}", objects.display())).unwrap()),
            ..Addresses::default()
        };
        let site = open_of(&data, SiteConfig { stores, ..config(format!("file://{}", video.display()), recording) });
        let shared = &site.shared;
        let deletions = || {
            let log = shared.runtime.block_on(shared.records.stores.actions.page(&LogFilter::default(), None, 100));
            log.unwrap().into_iter().filter(|e| e.action == Action::DeleteData).collect::<Vec<_>>()
        };
        let entry = wait("the first deletion", || deletions().pop());
        assert_eq!((&entry.outcome, &entry.details["why"]), (&Outcome::Succeeded, &json!("the store is full")));
        let room_made = SystemClock.now();
        wait("recordings of after it", || {
            stored(&site).last().is_some_and(|s| s.ends_at > room_made.plus(Duration::from_secs(2))).then_some(())
        });
        let notices: Vec<_> = shared.board.lock().notices.iter().map(|n| n.text.clone()).collect();
        assert!(
            notices.iter().any(|n| n.contains("of the oldest recordings were deleted: the store is full")),
            "{notices:?}"
        );

        let held = Hold {
            id: Uuid::now_v7(),
            case: None,
            camera: None,
            from: ALWAYS.0,
            until: ALWAYS.1,
            reason: "case 7".to_owned(),
            placed_by: "1".to_owned(),
            placed_at: SystemClock.now(),
            released: None,
        };
        shared.runtime.block_on(shared.records.stores.cameras.put_hold(&held)).unwrap();
        let kept = stored(&site);
        let waiting = wait("recordings that wait", || {
            let health = site.stores().into_iter().find(|s| s.store == "recordings")?;
            let full = health.error.is_some_and(|e| e.contains("full"));
            (full && health.backlog > 2).then_some(health.backlog)
        });
        assert!(kept.iter().all(|s| stored(&site).contains(s)), "what is held stays");
        fs::remove_file(&filler).unwrap();
        let all = wait("what waited", || Some(stored(&site)).filter(|s| s.len() as u64 >= kept.len() as u64 + waiting));
        for pair in all.windows(2) {
            let hole = pair[1].starts_at.seconds_since(pair[0].ends_at);
            assert!(hole < 1.5, "nothing was lost but what was given up: {hole} s before {:?}", pair[1]);
        }
    });
}

#[test]
fn the_last_seconds_are_handed_out_although_their_file_was_under_way_and_no_store_takes_it() {
    use crate::site::{ExportCommand, ExportOf, ExportRequest, ExportStage};
    let folder = tempfile::tempdir().unwrap();
    let (data, video) = (folder.path().join("data"), folder.path().join("a.mkv"));
    footage_of(&video, 40);
    fs::create_dir_all(data.join("objects")).unwrap();
    fs::write(data.join("objects/segments"), "in the way").unwrap();
    let recording = RecordingConfig { record: RecordMode::Always, segment_s: 600.0, ..RecordingConfig::default() };
    let site = open_with(&data, &video, recording);
    let password = "correct horse battery staple".to_owned();
    let (cc, name, email) = ("1".to_owned(), "Ana Sousa".to_owned(), "ana@police.example".to_owned());
    site.send(Command::CreateAdministrator { cc, name, email, password });
    wait("the login", || matches!(site.state().access, Access::LoggedIn(_)).then_some(()));
    wait("four seconds of pictures", || (site.summary().cameras[0].received > 100).then_some(()));
    assert!(stored(&site).is_empty() && site.shared.recording.state().spooled.is_empty(), "its file is under way");
    let (camera, now) = (site.cameras()[0].camera.id, SystemClock.now());
    let of = ExportOf::Stretch { cameras: vec![camera], from: now.minus(Duration::from_secs(2)), until: now };
    site.send(Command::Export(ExportCommand::Plan { of: of.clone(), pending: false }));
    let plan = wait("the plan", || site.state().export).plan.unwrap();
    assert_eq!((plan.stretches, &plan.missing[..]), (1, &[][..]));
    let to = folder.path().join("a.zip");
    let (reason, recipient) = ("case 17".to_owned(), "the court".to_owned());
    let request = ExportRequest { to: to.clone(), reason, recipient, ..ExportRequest::new(of) };
    site.send(Command::Export(ExportCommand::Start(request)));
    let stage = wait("the package", || {
        site.state()
            .export
            .map(|e| e.stage)
            .filter(|s| !matches!(s, ExportStage::Running { .. } | ExportStage::Planned))
    });
    assert!(matches!(stage, ExportStage::Done { .. }), "{stage:?}");
    let verdict = crate::evidence::verify(&to, None).unwrap();
    let manifest = verdict.manifest.unwrap();
    assert_eq!((verdict.findings, manifest.clips.len(), manifest.missing.len()), (Vec::new(), 1, 0));
    assert!(stored(&site).is_empty(), "no store has it");

    // What is not finished is called so.
    wait("some seconds more", || (SystemClock.now() > now.plus(Duration::from_secs(6))).then_some(()));
    let ahead = |request: &ExportRequest| {
        site.shared.runtime.block_on(site.shared.records.plan_export(&crate::model::Rights::All, request))
    };
    let until = SystemClock.now();
    let of = ExportOf::Stretch { cameras: vec![camera], from: now.minus(Duration::from_secs(1)), until };
    let plan = ahead(&ExportRequest::new(of)).unwrap();
    let told: Vec<_> = plan.missing.iter().map(|m| m.reason.as_str()).collect();
    assert!(!told.is_empty() && told.iter().all(|reason| reason.starts_with("not finished yet")), "{told:?}");
}

#[test]
fn around_a_click_the_seconds_before_and_after_are_recorded_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (data, video) = (folder.path().join("data"), folder.path().join("a.mkv"));
    footage_of(&video, 30);
    let recording = RecordingConfig {
        record: RecordMode::Events,
        segment_s: 1.0,
        pre_roll_s: 2.0,
        post_roll_s: 1.5,
        ..RecordingConfig::default()
    };
    let site = open_with(&data, &video, recording);
    let password = "correct horse battery staple".to_owned();
    let (cc, name, email) = ("1".to_owned(), "Ana Sousa".to_owned(), "ana@police.example".to_owned());
    site.send(Command::CreateAdministrator { cc, name, email, password });
    wait("the login", || matches!(site.state().access, Access::LoggedIn(_)).then_some(()));
    let view = wait("four seconds of pictures", || {
        site.state().cameras.into_iter().next().filter(|v| v.counters.received > 100 && v.frame.is_some())
    });
    assert!(stored(&site).is_empty() && site.shared.recording.state().spooled.is_empty(), "nothing has happened yet");
    site.send(Command::SelectSuspect {
        camera: view.camera.id,
        track: TrackId(1),
        frame: view.frame.unwrap(),
        rect: Rect::new(40.0, 40.0, 60.0, 120.0),
        reason: "theft".to_owned(),
        expires_in: Duration::from_secs(3600),
    });
    let marked = wait("the suspect", || site.state().suspects.first().map(|v| v.suspect.marked_at));
    let after = marked.plus(Duration::from_millis(1500));
    let covered = || {
        let all = stored(&site);
        Some((all.first()?.starts_at, all.last()?.ends_at)).filter(|(_, until)| *until >= after)
    };
    wait("the seconds after the click", covered);
    wait("some seconds more", || (SystemClock.now() > after.plus(Duration::from_secs(4))).then_some(()));
    let (from, until) = covered().unwrap();
    let (before, past) = (marked.seconds_since(from), until.seconds_since(marked));
    assert!((2.0..5.0).contains(&before), "recorded from {before} s before the click");
    assert!((1.5..4.5).contains(&past), "recorded until {past} s after the click");
}

#[test]
fn a_knife_opens_a_recording_that_has_the_seconds_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let (data, video) = (folder.path().join("data"), folder.path().join("a.mkv"));
    footage_of(&video, 30);
    let recording =
        RecordingConfig { record: RecordMode::Events, segment_s: 1.0, pre_roll_s: 2.0, ..RecordingConfig::default() };
    let site = open_with(&data, &video, recording);
    wait("four seconds of pictures", || (site.summary().cameras[0].received > 100).then_some(()));
    assert!(stored(&site).is_empty() && site.shared.recording.state().spooled.is_empty(), "nothing has happened yet");
    // No footage of an armed person can be had: what a detector would say is made by hand.
    let camera = site.shared.cameras.paths()[0].camera.id;
    let mut analysis = Analysis::new(Arc::clone(&site.shared));
    let armed_at = SystemClock.now();
    for i in 0..8 {
        let at = armed_at.plus(Duration::from_millis(100 * i));
        let frame = Frame::from_i420(320, 240, &vec![90; 320 * 240 * 3 / 2], Color::BT601, 0, at).unwrap();
        let found = |class, rect| Detection { rect, score: 0.8, class };
        let person = found(Class::Person, Rect::new(100.0, 40.0, 60.0, 160.0));
        let knife = found(Class::Knife, Rect::new(158.0, 120.0, 22.0, 10.0));
        let detections = vec![person, knife];
        analysis.take(&Analysed { camera, frame, epoch: 0, detections, descriptors: vec![None, None] });
    }
    let first = wait("the recording", || stored(&site).first().cloned());
    let before = armed_at.seconds_since(first.starts_at);
    assert!((2.0..6.0).contains(&before), "recorded from {before} s before the knife");
}

#[test]
fn a_dead_store_costs_the_oldest_recordings_first_and_each_loss_is_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let (data, video) = (folder.path().join("data"), folder.path().join("a.mkv"));
    footage_of(&video, 40);
    // The store is dead from the start: its room is a file.
    fs::create_dir_all(data.join("objects")).unwrap();
    let room = data.join("objects/segments");
    fs::write(&room, "in the way").unwrap();
    let most = fs::metadata(&video).unwrap().len() / 8; // five seconds
    let recording = RecordingConfig {
        record: RecordMode::Always,
        segment_s: 1.0,
        spool_gb: most as f64 / 1e9,
        ..RecordingConfig::default()
    };
    let site = open_with(&data, &video, recording);
    let lost =
        |gaps: Vec<Gap>| gaps.into_iter().filter(|g| g.reason.contains("could hold no more")).collect::<Vec<_>>();
    wait("three lost recordings", || (lost(gaps(&site)).len() >= 3).then_some(()));
    let analysed = site.summary().cameras[0].received;
    assert!(analysed > 0, "the live picture goes on");
    let state = site.state();
    let health = state.stores.iter().find(|s| s.store == "recordings");
    assert!(health.is_none_or(|h| h.error.is_some()), "{health:?}");
    let kept = site.shared.recording.state().spooled.len();
    assert!(kept >= 1);
    fs::remove_file(&room).unwrap();
    let all = wait("what was kept in the store", || Some(stored(&site)).filter(|s| s.len() >= kept));
    let lost = lost(gaps(&site));
    for gap in &lost {
        let until = gap.until.unwrap();
        let told_twice = all.iter().find(|s| s.starts_at < until && s.ends_at > gap.from);
        assert!(told_twice.is_none(), "{gap:?} is there: {told_twice:?}");
    }
    let newest_lost = lost.iter().filter_map(|g| g.until).max().unwrap();
    assert!(all.iter().any(|s| s.starts_at >= newest_lost), "the oldest went first");
}
