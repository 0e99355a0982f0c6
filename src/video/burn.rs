//! A copy of a clip with boxes drawn into its pictures, for people who have nothing that draws the layer of boxes. It is encoded
//! anew; the clip itself stays as it is.
use super::{
    FileError,
    decoding::{Cause, MissingElement, Seen, chain, file_sink, make, read_into, upright, video_decoder},
    file::{Running, check},
};
use crate::model::{Rect, Timestamp};
use gstreamer::{self as gst, prelude::*};
use gstreamer_video::{self as gst_video, prelude::*};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// How long the encoder may go without finishing a picture.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two measured boxes further apart than this none is drawn, seconds.
const APART: f64 = 1.0;

/// The boxes of one person: instants ascending, boxes in pixels of frames of the size given.
#[derive(Clone, Debug, PartialEq)]
pub struct BoxTrack {
    /// Width and height of the frames the boxes are in.
    pub frame: (u32, u32),
    /// What was measured.
    pub path: Vec<(Timestamp, Rect)>,
    /// sRGB.
    pub colour: [u8; 3],
}

impl BoxTrack {
    /// The box at an instant, between two measured ones that are not far apart; in fractions of the picture.
    fn at(&self, t: Timestamp) -> Option<Rect> {
        let next = self.path.partition_point(|(at, _)| *at < t);
        let (b_at, b) = *self.path.get(next)?;
        let (a_at, a) = next.checked_sub(1).and_then(|i| self.path.get(i)).copied().unwrap_or((b_at, b));
        let apart = b_at.seconds_since(a_at);
        if apart > APART || (apart == 0.0 && b_at != t) {
            return None;
        }
        let part = if apart > 0.0 { (t.seconds_since(a_at) / apart) as f32 } else { 1.0 };
        let mix = |a: f32, b: f32| a + (b - a) * part;
        let (w, h) = (self.frame.0.max(1) as f32, self.frame.1.max(1) as f32);
        Some(Rect::new(mix(a.x, b.x) / w, mix(a.y, b.y) / h, mix(a.w, b.w) / w, mix(a.h, b.h) / h))
    }
}

/// Why there is no copy.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BurnError {
    /// The clip.
    #[error(transparent)]
    Input(#[from] FileError),
    /// Whoever asked for it does not want it any more.
    #[error("it was cancelled")]
    Cancelled,
    /// The copy.
    #[error("{} cannot be written: {}", .0.display(), .1)]
    Output(PathBuf, String),
}

impl From<MissingElement> for BurnError {
    fn from(error: MissingElement) -> Self {
        Self::Input(error.into())
    }
}

/// Writes an MP4 (H.264) of the video `input`, whose first frame is of `from`, with the boxes drawn, as long as `goes_on`. On an
/// error `output` may be left unfinished.
///
/// # Errors
/// [`BurnError`].
pub fn burn(
    input: &Path,
    from: Timestamp,
    tracks: Vec<BoxTrack>,
    output: &Path,
    goes_on: &dyn Fn() -> bool,
) -> Result<(), BurnError> {
    check(input)?;
    super::init().map_err(FileError::from)?;
    let pipeline = Running(gst::Pipeline::new());
    let bin: &gst::Bin = pipeline.0.upcast_ref();
    let (head, tail) = upright(bin, &["I420"])?;
    let x264 = make("x264enc")?;
    x264.set_property_from_str("speed-preset", "veryfast");
    x264.set_property_from_str("pass", "qual");
    x264.set_property("quantizer", 21u32);
    x264.set_property("key-int-max", 50u32);
    let sink = file_sink(output)?;
    chain(bin, &[&x264, &make("h264parse")?, &make("mp4mux")?, &sink])?;
    tail.link(&x264).map_err(|_| MissingElement("x264enc".to_owned()))?;
    let seen = Seen::default();
    read_into(bin, input, &video_decoder(&head, &seen, None)?)?;
    let pad = tail.static_pad("src").ok_or_else(|| MissingElement("capsfilter".to_owned()))?;
    let first = std::sync::OnceLock::new();
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        let video = pad.current_caps().and_then(|caps| gst_video::VideoInfo::from_caps(&caps).ok());
        if let (Some(video), Some(buffer)) = (video, info.buffer_mut())
            && let Some(pts) = buffer.pts()
        {
            let into = pts.saturating_sub(*first.get_or_init(|| pts));
            draw(buffer, &video, &tracks, from.plus(Duration::from(into)));
        }
        gst::PadProbeReturn::Ok
    });
    let no_bus = || FileError::GStreamer("GStreamer's pipeline has no bus.".to_owned());
    let bus = pipeline.0.bus().ok_or_else(no_bus)?;
    let _ = pipeline.0.set_state(gst::State::Playing);
    let (mut position, mut idle) = (None, Duration::ZERO);
    let step = Duration::from_millis(200);
    loop {
        if !goes_on() {
            return Err(BurnError::Cancelled);
        }
        let message = bus.timed_pop(gst::ClockTime::try_from(step).ok());
        match message.as_ref().map(|m| m.view()) {
            Some(gst::MessageView::Eos(_)) => return Ok(()),
            Some(gst::MessageView::Error(error)) => {
                let ours = error.src().is_some_and(|s| s == sink.upcast_ref::<gst::Object>());
                let text = error.error().message().to_owned();
                return Err(match seen.cause(&error.error()) {
                    _ if ours => BurnError::Output(output.to_owned(), text),
                    Cause::MissingPlugin(name) => FileError::MissingPlugin(input.to_owned(), name).into(),
                    _ => FileError::Damaged(input.to_owned(), text).into(),
                });
            }
            Some(_) => {}
            None => {
                let now = sink.query_position::<gst::ClockTime>();
                idle = if now == position { idle + step } else { Duration::ZERO };
                position = now;
                if idle > PATIENCE {
                    return Err(BurnError::Output(output.to_owned(), "encoding it stopped".to_owned()));
                }
            }
        }
    }
}

/// Draws the boxes of an instant into a picture (I420).
fn draw(buffer: &mut gst::Buffer, info: &gst_video::VideoInfo, tracks: &[BoxTrack], t: Timestamp) {
    let boxes: Vec<(Rect, [u8; 3])> = tracks.iter().filter_map(|track| Some((track.at(t)?, track.colour))).collect();
    if boxes.is_empty() {
        return;
    }
    let Ok(mut frame) = gst_video::VideoFrameRef::from_buffer_ref_writable(buffer.make_mut(), info) else { return };
    let (width, height) = (info.width() as usize, info.height() as usize);
    let thick = (height / 180).max(2);
    for (r, colour) in boxes {
        let yuv = yuv(colour);
        for (plane, value) in (0_u32..).zip(yuv) {
            let shrink = if plane == 0 { 1 } else { 2 };
            let (w, h) = (width.div_ceil(shrink), height.div_ceil(shrink));
            let stride = frame.plane_stride().get(plane as usize).map_or(0, |s| usize::try_from(*s).unwrap_or(0));
            let Ok(data) = frame.plane_data_mut(plane) else { return };
            let edge =
                |part: f32, all: usize| ((part.clamp(0.0, 1.0) * all as f32) as usize).min(all.saturating_sub(1));
            let (x0, x1, y0, y1) = (edge(r.x, w), edge(r.right(), w), edge(r.y, h), edge(r.bottom(), h));
            let t = (thick / shrink).max(1);
            for y in y0..=y1 {
                let Some(row) = data.get_mut(y * stride..(y * stride + w).min(data.len())) else { continue };
                let whole = y < y0 + t || y + t > y1;
                for (x, pixel) in row.iter_mut().enumerate().take(x1 + 1).skip(x0) {
                    if whole || x < x0 + t || x + t > x1 {
                        *pixel = value;
                    }
                }
            }
        }
    }
}

/// BT.601, limited range.
fn yuv([r, g, b]: [u8; 3]) -> [u8; 3] {
    let (r, g, b) = (f32::from(r), f32::from(g), f32::from(b));
    [
        (16.0 + 0.257 * r + 0.504 * g + 0.098 * b) as u8,
        (128.0 - 0.148 * r - 0.291 * g + 0.439 * b) as u8,
        (128.0 + 0.439 * r - 0.368 * g - 0.071 * b) as u8,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::video::{read_file, tests::launch};
    use std::ops::ControlFlow;

    #[test]
    fn boxes_are_drawn_where_and_when_they_were_measured_and_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        let (input, output) = (dir.path().join("in.mp4"), dir.path().join("out.mp4"));
        launch(&format!(
            "videotestsrc num-buffers=50 pattern=black ! video/x-raw,format=I420,width=320,height=240,framerate=25/1 ! \
             x264enc tune=zerolatency ! h264parse ! mp4mux ! filesink location=\"{}\"",
            input.display()
        ));
        let from = Timestamp(1_795_356_202_000_000);
        let at = |ms: i64| Timestamp(from.0 + ms * 1000);
        // from the first half second on; in frames of half the size
        let path = vec![(at(500), Rect::new(20.0, 20.0, 40.0, 60.0)), (at(1000), Rect::new(40.0, 20.0, 40.0, 60.0))];
        let track = BoxTrack { frame: (160, 120), path, colour: [255, 255, 255] };
        burn(&input, from, vec![track], &output, &|| true).unwrap();
        let mut frames = Vec::new();
        read_file(&output, |frame| {
            let plane = frame.planes().next().unwrap();
            let luma = |x: usize, y: usize| plane.data[y * plane.stride + x];
            // left edge of the first box, inside of both, left edge of the last
            frames.push((luma(41, 100), luma(100, 100), luma(81, 100)));
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(frames.len(), 50);
        let bright = |v: u8| v > 120;
        assert!(!bright(frames[5].0) && !bright(frames[40].2), "{:?} {:?}", frames[5], frames[40]);
        assert!(bright(frames[13].0) && !bright(frames[13].1), "{:?}", frames[13]);
        assert!(bright(frames[25].2) && !bright(frames[25].1), "{:?}", frames[25]);
        assert!(burn(&input, from, Vec::new(), &dir.path().join("no/folder.mp4"), &|| true).is_err());
        assert!(burn(&dir.path().join("gone.mp4"), from, Vec::new(), &output, &|| true).is_err());
        let cancelled = burn(&input, from, Vec::new(), &output, &|| false);
        assert!(matches!(cancelled, Err(BurnError::Cancelled)), "{cancelled:?}");
    }
}
