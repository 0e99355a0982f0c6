//! Cuts a window out of a video and stores it as a camera would send it: the footage of a virtual camera.
use super::{
    FileError,
    decoding::{Cause, MissingElement, Seen, chain, file_sink, make, read_into, upright, video_decoder},
    file::{Running, check},
};
use gstreamer::{self as gst, prelude::*};
use serde::{Deserialize, Serialize};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

/// How a camera compresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// H.264, baseline tools, a key frame every second.
    H264,
    /// H.265, no B-frames, a key frame every second.
    H265,
    /// A JPEG per frame.
    Mjpeg,
}

/// A window of a picture in pixels, from the top left corner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Left edge; even numbers are exact, odd ones may move by one.
    pub x: u32,
    /// Top edge.
    pub y: u32,
    /// Width; even.
    pub width: u32,
    /// Height; even.
    pub height: u32,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ViewReport {
    /// Size of the file.
    pub bytes: u64,
    /// Length of the video.
    pub duration: Duration,
}

/// Why a view could not be made.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ViewError {
    /// The input.
    #[error(transparent)]
    Input(#[from] FileError),
    /// The window reaches beyond the picture.
    #[error("the window {}×{} at ({}, {}) does not fit into the picture of {width}×{height}", .window.width, .window.height, .window.x, .window.y)]
    Window {
        /// What was asked for.
        window: Window,
        /// Width of the input.
        width: u32,
        /// Height of the input.
        height: u32,
    },
    /// The output.
    #[error("{} cannot be written: {}", .0.display(), .1)]
    Output(PathBuf, String),
}

/// Cuts `window` out of the video `input`, encodes it and writes the Matroska file `output`: complete or not at all (a
/// `.part` file beside it is renamed at the end). `on_progress` hears of 0.0 to 1.0 a few times a second.
///
/// # Errors
/// When the input cannot be read, the window does not fit, or the output cannot be written.
pub fn make_view(
    input: &Path,
    window: Window,
    codec: Codec,
    output: &Path,
    on_progress: &mut dyn FnMut(f32),
) -> Result<ViewReport, ViewError> {
    check(input)?;
    super::init().map_err(FileError::from)?;
    let mut part = output.as_os_str().to_owned();
    part.push(OsString::from(".part"));
    let part = PathBuf::from(part);
    let result = encode(input, window, codec, &part, on_progress);
    let finished = result.and_then(|duration| {
        let failed = |e: std::io::Error| ViewError::Output(output.to_owned(), e.to_string());
        let bytes =
            std::fs::File::open(&part).and_then(|f| f.sync_all().and_then(|()| f.metadata())).map_err(failed)?.len();
        std::fs::rename(&part, output).map_err(failed)?;
        Ok(ViewReport { bytes, duration })
    });
    if finished.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    finished
}

/// The elements that compress, `fps` frames to a key frame.
fn encoder(codec: Codec, fps: u32) -> Result<Vec<gst::Element>, FileError> {
    let elements = match codec {
        Codec::H264 => {
            let x264 = make("x264enc")?;
            x264.set_property_from_str("tune", "zerolatency");
            x264.set_property_from_str("speed-preset", "superfast");
            x264.set_property("bframes", 0u32);
            x264.set_property("key-int-max", fps);
            x264.set_property("bitrate", 2000u32);
            vec![x264, make("h264parse")?]
        }
        Codec::H265 => {
            let x265 = make("x265enc")?;
            x265.set_property_from_str("tune", "zerolatency");
            x265.set_property_from_str("speed-preset", "ultrafast");
            x265.set_property("key-int-max", i32::try_from(fps).unwrap_or(25));
            x265.set_property("bitrate", 1500u32);
            x265.set_property_from_str("option-string", "bframes=0:log-level=none");
            vec![x265, make("h265parse")?]
        }
        Codec::Mjpeg => {
            let jpeg = make("jpegenc")?;
            jpeg.set_property("quality", 85i32);
            vec![jpeg, make("jpegparse")?]
        }
    };
    Ok(elements)
}

fn encode(
    input: &Path,
    window: Window,
    codec: Codec,
    part: &Path,
    on_progress: &mut dyn FnMut(f32),
) -> Result<Duration, ViewError> {
    let (width, height, fps) = shape(input)?;
    let margin = |start: u32, length: u32, all: u32| start.checked_add(length).and_then(|end| all.checked_sub(end));
    let right = margin(window.x, window.width, width);
    let bottom = margin(window.y, window.height, height);
    let (Some(right), Some(bottom)) = (right, bottom) else { return Err(ViewError::Window { window, width, height }) };
    if window.width < 16 || window.height < 16 {
        return Err(ViewError::Window { window, width, height });
    }

    let pipeline = Running(gst::Pipeline::new());
    let bin: &gst::Bin = pipeline.0.upcast_ref();
    let (head, tail) = upright(bin, &["I420"]).map_err(FileError::from)?;
    let crop = make("videocrop").map_err(FileError::from)?;
    for (side, pixels) in [("left", window.x), ("top", window.y), ("right", right), ("bottom", bottom)] {
        crop.set_property(side, i32::try_from(pixels).unwrap_or(i32::MAX));
    }
    let encoder = encoder(codec, fps)?;
    let muxer = make("matroskamux").map_err(FileError::from)?;
    let sink = file_sink(part).map_err(FileError::from)?;
    let mut elements = vec![&crop];
    elements.extend(&encoder);
    elements.extend([&muxer, &sink]);
    chain(bin, &elements).map_err(FileError::from)?;
    tail.link(&crop).map_err(|_| FileError::from(MissingElement("videocrop".to_owned())))?;
    let seen = Seen::default();
    let decoder = video_decoder(&head, &seen, None).map_err(FileError::from)?;
    read_into(bin, input, &decoder).map_err(FileError::from)?;

    let no_bus = || FileError::GStreamer("GStreamer's pipeline has no bus.".to_owned());
    let bus = pipeline.0.bus().ok_or_else(no_bus)?;
    let _ = pipeline.0.set_state(gst::State::Playing);
    let mut position = Duration::ZERO;
    loop {
        let message = bus.timed_pop(gst::ClockTime::from_mseconds(200));
        match message.as_ref().map(|m| m.view()) {
            Some(gst::MessageView::Eos(_)) => break,
            Some(gst::MessageView::Error(error)) => {
                let ours = error.src().is_some_and(|s| s == sink.upcast_ref::<gst::Object>());
                let text = error.error().message().to_owned();
                return Err(match seen.cause(&error.error()) {
                    _ if ours => ViewError::Output(part.to_owned(), text),
                    Cause::MissingPlugin(name) => FileError::MissingPlugin(input.to_owned(), name).into(),
                    _ => FileError::Damaged(input.to_owned(), text).into(),
                });
            }
            Some(_) => {
                if let Some(message) = &message {
                    seen.note_message(message);
                }
            }
            None => {}
        }
        position = sink.query_position::<gst::ClockTime>().map_or(position, Duration::from);
        if message.is_none()
            && let Some(all) = crop.query_duration::<gst::ClockTime>().map(Duration::from).filter(|d| !d.is_zero())
        {
            on_progress((position.as_secs_f32() / all.as_secs_f32()).clamp(0.0, 1.0));
        }
    }
    on_progress(1.0);
    Ok(sink.query_position::<gst::ClockTime>().map_or(position, Duration::from))
}

/// Width, height and frames per second of the input's first frame.
fn shape(input: &Path) -> Result<(u32, u32, u32), FileError> {
    let report = super::read_file(input, |_| std::ops::ControlFlow::Break(()))?;
    let fps = report.fps_nominal.round().clamp(1.0, 60.0) as u32;
    Ok((report.width, report.height, if report.fps_nominal > 0.0 { fps } else { 25 }))
}
