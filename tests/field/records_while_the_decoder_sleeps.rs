//! Recording does not wait for whatever is done with pictures.
use super::cameras::{LiveCamera, Watched, until};
use std::{collections::HashSet, time::Duration};
use vigia::{
    model::{Clock as _, SystemClock},
    video::SourceState,
};

#[test]
fn every_packet_is_in_a_file_although_each_frame_takes_eight_times_too_long() {
    let encoders = [
        "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=12 ! rtph264pay name=pay0 pt=96 config-interval=-1",
        "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=12 ! h265parse ! rtph265pay name=pay0 pt=96 config-interval=-1",
        "jpegenc ! rtpjpegpay name=pay0 pt=96",
    ];
    for encoder in encoders {
        let folder = tempfile::tempdir().unwrap();
        let camera = LiveCamera::start(encoder);
        let watched = Watched::start(&camera.url, folder.path(), Duration::from_millis(300));
        until("seven seconds of packets", || (watched.packets.lock().unwrap().len() > 175).then_some(()));
        assert_eq!((watched.source.state(), watched.source.epoch()), (SourceState::Live, 1), "{encoder}");
        let shown = *watched.frames.lock().unwrap().last().unwrap();
        let late = SystemClock.now().seconds_since(shown);
        assert!(late < 4.0, "{encoder}: the decoder goes on with what is new, {late} s late");
        let (packets, frames, recorded) = watched.end();
        let apart = packets.windows(2).map(|p| p[1].0.seconds_since(p[0].0)).fold(0.0, f64::max);
        assert!(apart < 0.5, "{encoder}: packets are {apart} s apart");
        let playable = packets.iter().skip_while(|(_, key)| !key).count();
        assert_eq!(recorded, playable, "{encoder}: every packet is in a file");
        let stamps: HashSet<_> = packets.iter().map(|(at, _)| *at).collect();
        assert!(frames.len() > 10 && frames.iter().all(|at| stamps.contains(at)), "{encoder}: one instant for both");
    }
}
