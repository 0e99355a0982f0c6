//! A whole site that records: real encoded video, real stores.
use super::*;
use crate::{
    cli::prerequisites,
    model::SystemClock,
    site::{CameraConfig, Site, SiteConfig},
    store::LogFilter,
};
use gstreamer::{self as gst, prelude::*};
use std::{path::Path, time::Instant};

/// Five seconds of encoded video with a key frame every half second.
pub(in crate::site) fn footage(path: &Path) {
    crate::video::init().unwrap();
    let pipeline = gst::parse::launch(&format!(
        "videotestsrc num-buffers=125 pattern=ball ! video/x-raw,format=I420,width=320,height=240,framerate=25/1 ! \
         x264enc tune=zerolatency speed-preset=ultrafast key-int-max=12 ! h264parse ! matroskamux ! filesink location=\"{}\"",
        path.display()
    ));
    let pipeline = pipeline.unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let ended = pipeline.bus().unwrap().timed_pop_filtered(gst::ClockTime::from_seconds(60), &[gst::MessageType::Eos]);
    pipeline.set_state(gst::State::Null).unwrap();
    ended.unwrap();
}

pub(in crate::site) fn open(data: &Path, video: &Path, record: RecordMode) -> Site {
    let config = SiteConfig {
        recording: RecordingConfig { record, segment_s: 1.0, ..RecordingConfig::default() },
        cameras: vec![CameraConfig {
            name: "Gate".to_owned(),
            url: format!("file://{}", video.display()),
            location: None,
            is_virtual: false,
            record: None,
            active: true,
        }],
        ..SiteConfig::default()
    };
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

fn stored(site: &Site) -> Vec<Segment> {
    let cameras = &site.shared.records.stores.cameras;
    site.shared.runtime.block_on(cameras.segments(None, ALWAYS.0, ALWAYS.1)).unwrap()
}

fn gaps(site: &Site) -> Vec<Gap> {
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
        released_at: None,
    };
    let shared = &site.shared;
    shared.runtime.block_on(shared.records.stores.cameras.put_hold(&held)).unwrap();
    let (second, third) = (&segments[1], &segments[2]);
    let before = third.ends_at;
    let deleted = shared.runtime.block_on(shared.delete_recordings("older than it may be", |s, _| s.ends_at < before));
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
