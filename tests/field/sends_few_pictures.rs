//! A camera that sends two pictures in five seconds, and a key frame at every third.
use super::cameras::{LiveCamera, Watched, until};
use std::time::Duration;
use vigia::video::SourceState;

#[test]
fn it_stays_connected_and_every_picture_is_recorded_in_one_stretch() {
    let folder = tempfile::tempdir().unwrap();
    let camera = LiveCamera::start(
        "videorate ! video/x-raw,framerate=2/5 ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=3 \
         ! rtph264pay name=pay0 pt=96 config-interval=-1",
    );
    let watched = Watched::start(&camera.url, &folder.path().join("spool"), Duration::ZERO);
    // It is given up once, after two seconds, until its pace is known.
    until("three pictures by one connection", || {
        let packets = watched.packets.lock().unwrap();
        let apart = |pair: &[(vigia::model::Timestamp, bool)]| pair[1].0.seconds_since(pair[0].0);
        (packets.len() >= 3 && packets[packets.len() - 3..].windows(2).all(|p| (2.0..3.0).contains(&apart(p))))
            .then_some(())
    });
    assert_eq!(watched.source.state(), SourceState::Live);
}
