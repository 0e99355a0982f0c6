//! Files that a test makes and reads.
use gstreamer::{self as gst, prelude::*};
use std::{ops::ControlFlow, path::Path};
use vigia::video::{FileError, Frame, init, read_file};

/// Runs a pipeline to its end; its element `f` writes `to`.
pub fn launch(description: &str, to: &Path) {
    init().unwrap();
    let pipeline = gst::parse::launch(description).unwrap_or_else(|e| panic!("{description}: {e}"));
    let sink = pipeline.downcast_ref::<gst::Bin>().unwrap().by_name("f").unwrap();
    sink.set_property("location", to.to_str().unwrap());
    pipeline.set_state(gst::State::Playing).unwrap();
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let message = pipeline.bus().unwrap().timed_pop_filtered(gst::ClockTime::from_seconds(60), &ends);
    let _ = pipeline.set_state(gst::State::Null);
    if let gst::MessageView::Error(error) = message.expect("the pipeline to end").view() {
        panic!("{description}: {} {:?}", error.error(), error.debug());
    }
}

pub fn frames(path: &Path) -> Result<Vec<Frame>, FileError> {
    let mut all = Vec::new();
    read_file(path, |frame| {
        all.push(frame);
        ControlFlow::Continue(())
    })?;
    Ok(all)
}

pub fn first(path: &Path) -> Frame {
    frames(path).unwrap().remove(0)
}

/// The luma of a picture, row by row.
pub fn luma(frame: &Frame) -> Vec<u8> {
    let plane = frame.planes().next().unwrap();
    (0..plane.height).flat_map(|y| plane.data[y * plane.stride..][..plane.width].to_vec()).collect()
}
