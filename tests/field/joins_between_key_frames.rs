//! A stream that is joined between two key frames that are far apart.
use super::cameras::{LiveCamera, Watched, until};
use std::time::Duration;
use vigia::video::SourceState;

#[test]
fn it_waits_for_a_key_frame_shows_nothing_before_and_stays_connected() {
    let folder = tempfile::tempdir().unwrap();
    let camera = LiveCamera::start(
        "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=250 option-string=scenecut=0 \
         ! rtph264pay name=pay0 pt=96 config-interval=-1",
    );
    let first = Watched::start(&camera.url, &folder.path().join("first"), Duration::ZERO);
    until("a second of pictures", || (first.frames.lock().unwrap().len() > 25).then_some(()));
    let second = Watched::start(&camera.url, &folder.path().join("second"), Duration::ZERO);
    // Longer than it may take to connect, and than a camera may be silent.
    let reason = second.stale("(5 s)");
    assert_eq!(reason, "connected, waits for a key frame (5 s)");
    assert!(second.source.waits_for_key_frame());
    assert_eq!((second.frames.lock().unwrap().len(), second.source.epoch()), (0, 0), "nothing is shown before");
    until("the key frame", || (second.frames.lock().unwrap().len() > 10).then_some(()));
    assert_eq!((second.source.state(), second.source.epoch()), (SourceState::Live, 1));
    assert!(!second.source.waits_for_key_frame());
    let (packets, frames, recorded) = second.end();
    let key = packets.iter().position(|(_, key)| *key).unwrap();
    assert!(key > 100, "{key} packets before the key frame came by the same connection");
    assert_eq!(frames[0], packets[key].0, "the first picture is the key frame");
    assert_eq!(recorded, packets.len() - key);
    first.end();
}
