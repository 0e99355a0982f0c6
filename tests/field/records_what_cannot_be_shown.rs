//! A camera whose pictures no decoder here understands.
use super::cameras::{LiveCamera, Watched, until};
use gstreamer::{self as gst, prelude::*};
use std::time::Duration;

#[test]
fn a_camera_without_a_decoder_is_recorded_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let camera = LiveCamera::start("vp8enc deadline=1 keyframe-max-dist=12 ! rtpvp8pay name=pay0 pt=96");
    let vp8 = gst::Caps::builder("video/x-vp8").build();
    let decoders = gst::ElementFactory::factories_with_type(gst::ElementFactoryType::DECODER, gst::Rank::MARGINAL);
    for decoder in decoders.iter().filter(|d| d.can_sink_any_caps(&vp8)) {
        decoder.set_rank(gst::Rank::NONE); // as if it were not installed; no other test needs it
    }
    let watched = Watched::start(&camera.url, folder.path(), Duration::ZERO);
    let reason = watched.stale("recorded, cannot be shown: no decoder for ");
    assert!(reason.to_lowercase().contains("vp8"), "{reason}");
    until("packets", || (watched.packets.lock().unwrap().len() > 75).then_some(()));
    let (packets, frames, _) = watched.end();
    let apart = packets.windows(2).map(|p| p[1].0.seconds_since(p[0].0)).fold(0.0, f64::max);
    assert!(apart < 0.5 && frames.is_empty(), "one connection: packets are {apart} s apart");
    let kept = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|e| e.unwrap())
        .filter(|e| e.path().extension().is_some_and(|x| x == "mkv"));
    let bytes: u64 = kept.map(|e| e.metadata().unwrap().len()).sum();
    assert!(bytes > 10_000, "{bytes} bytes in files");
}
