//! One decoded picture, still YUV and still in GStreamer's memory: cloning shares it, nothing is copied.
use super::part::Part;
use crate::model::{Picture, Rect, Timestamp};
use gstreamer as gst;
use gstreamer_video::{self as gst_video, prelude::*};
use std::{sync::Arc, time::Duration};

/// How the planes are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Y, U, V planes, chroma halved both ways.
    I420,
    /// Y plane and one interleaved UV plane, chroma halved both ways (what most hardware decoders give).
    Nv12,
}

/// What the numbers in the planes mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Color {
    /// Weight of red in luma: .299 for BT.601, .2126 for BT.709, .2627 for BT.2020 (ITU-R recommendations of these numbers).
    pub kr: f32,
    /// Weight of blue in luma.
    pub kb: f32,
    /// Full range (JPEG) instead of 16–235 / 16–240.
    pub full_range: bool,
}

impl Color {
    /// Standard definition, 16–235.
    pub const BT601: Self = Self { kr: 0.299, kb: 0.114, full_range: false };
    /// High definition, 16–235.
    pub const BT709: Self = Self { kr: 0.2126, kb: 0.0722, full_range: false };

    fn of(info: &gst_video::VideoInfo) -> Self {
        let c = info.colorimetry();
        let full_range = c.range() == gst_video::VideoColorRange::Range0_255;
        match c.matrix() {
            gst_video::VideoColorMatrix::Bt709 => Self { full_range, ..Self::BT709 },
            gst_video::VideoColorMatrix::Bt2020 => Self { kr: 0.2627, kb: 0.0593, full_range },
            _ => Self { full_range, ..Self::BT601 },
        }
    }

    /// The rows of the matrix `rgb = M · [y, u, v, 1]` for planes scaled to `0.0..=1.0`: the shader, the detector and
    /// the crops all use this one (ITU-R BT.601 §2.5, BT.709 §3).
    pub fn yuv_to_rgb(&self) -> [[f32; 4]; 3] {
        let (kr, kb) = (self.kr, self.kb);
        let kg = 1.0 - kr - kb;
        let (y_scale, y_off, c_scale) =
            if self.full_range { (1.0, 0.0, 1.0) } else { (255.0 / 219.0, 16.0 / 255.0, 255.0 / 224.0) };
        let c_off = 128.0 / 255.0;
        let (rv, bu) = (2.0 * (1.0 - kr) * c_scale, 2.0 * (1.0 - kb) * c_scale);
        let (gu, gv) = (-bu * kb / kg, -rv * kr / kg);
        let y0 = -y_scale * y_off;
        [
            [y_scale, 0.0, rv, y0 - rv * c_off],
            [y_scale, gu, gv, y0 - (gu + gv) * c_off],
            [y_scale, bu, 0.0, y0 - bu * c_off],
        ]
    }
}

/// One plane of a frame: `height` rows of `width` samples (an NV12 chroma sample is two bytes), `stride` bytes apart.
#[derive(Clone, Copy)]
pub struct Plane<'a> {
    /// At least `stride * (height - 1) + width * bytes_per_sample` bytes.
    pub data: &'a [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
    /// Samples in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// 1, or 2 for interleaved chroma.
    pub bytes_per_sample: usize,
}

/// A decoded frame. Cheap to clone, safe to share.
#[derive(Clone)]
pub struct Frame(Arc<Inner>);

struct Inner {
    video: gst_video::VideoFrame<gst_video::video_frame::Readable>,
    layout: Layout,
    color: Color,
    seq: u64,
    captured_at: Timestamp,
    stream_time: Duration,
    /// `None` for a whole picture.
    part: Option<Part>,
}

/// Why a buffer is not a frame.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// Not one of [`Layout`].
    #[error("pixel format {0} is not supported here")]
    Format(String),
    /// The buffer could not be mapped or is too small for its caps.
    #[error("the decoded buffer does not fit its description")]
    Map,
}

impl Frame {
    /// Maps a decoded buffer. `seq` counts the frames of one connection from 0; `stream_time` is the position in the stream.
    ///
    /// # Errors
    /// When the format is not I420 or NV12, or the buffer does not fit `info`.
    pub fn new(
        buffer: gst::Buffer,
        info: &gst_video::VideoInfo,
        seq: u64,
        captured_at: Timestamp,
        stream_time: Duration,
    ) -> Result<Self, FrameError> {
        let layout = match info.format() {
            gst_video::VideoFormat::I420 => Layout::I420,
            gst_video::VideoFormat::Nv12 => Layout::Nv12,
            other => return Err(FrameError::Format(other.to_string())),
        };
        let color = Color::of(info);
        let video = gst_video::VideoFrame::from_buffer_readable(buffer, info).map_err(|_| FrameError::Map)?;
        Ok(Self(Arc::new(Inner { video, layout, color, seq, captured_at, stream_time, part: None })))
    }

    /// A frame of tightly packed I420 bytes: `width * height` luma, then the two chroma planes of
    /// `ceil(width / 2) * ceil(height / 2)` each. For tests, benches and stills; needs no initialised GStreamer pipeline.
    ///
    /// # Errors
    /// When `bytes` is too short for the size.
    pub fn from_i420(
        width: u32,
        height: u32,
        bytes: &[u8],
        color: Color,
        seq: u64,
        captured_at: Timestamp,
    ) -> Result<Self, FrameError> {
        let (w, h) = (width as usize, height as usize);
        let (cw, ch) = (w.div_ceil(2), h.div_ceil(2));
        if w == 0 || h == 0 || bytes.len() < w * h + 2 * cw * ch {
            return Err(FrameError::Map);
        }
        let matrix = match color.kr {
            ..0.25 => gst_video::VideoColorMatrix::Bt709,
            ..0.28 => gst_video::VideoColorMatrix::Bt2020,
            _ => gst_video::VideoColorMatrix::Bt601,
        };
        let range = if color.full_range {
            gst_video::VideoColorRange::Range0_255
        } else {
            gst_video::VideoColorRange::Range16_235
        };
        let colorimetry = gst_video::VideoColorimetry::new(
            range,
            matrix,
            gst_video::VideoTransferFunction::Bt709,
            gst_video::VideoColorPrimaries::Bt709,
        );
        let info = gst_video::VideoInfo::builder(gst_video::VideoFormat::I420, width, height)
            .colorimetry(&colorimetry)
            .build()
            .map_err(|_| FrameError::Map)?;
        // GStreamer pads rows to four bytes: copy row by row into its layout.
        let mut packed = vec![0u8; info.size()];
        let mut source = bytes;
        for (plane, (pw, ph)) in [(w, h), (cw, ch), (cw, ch)].into_iter().enumerate() {
            let offset = info.offset().get(plane).copied().unwrap_or(0);
            let stride = info.stride().get(plane).and_then(|s| usize::try_from(*s).ok()).unwrap_or(pw);
            for row in 0..ph {
                let (line, rest) = source.split_at(pw);
                source = rest;
                if let Some(target) = packed.get_mut(offset + row * stride..offset + row * stride + pw) {
                    target.copy_from_slice(line);
                }
            }
        }
        Self::new(gst::Buffer::from_slice(packed), &info, seq, captured_at, Duration::ZERO)
    }

    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.0.video.width()
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.0.video.height()
    }

    /// How the planes are laid out.
    pub fn layout(&self) -> Layout {
        self.0.layout
    }

    /// What the numbers mean.
    pub fn color(&self) -> Color {
        self.0.color
    }

    /// Counts the frames of one connection from 0.
    pub fn seq(&self) -> u64 {
        self.0.seq
    }

    /// When the frame was captured: the wall clock at arrival less the known latency, or a file's own start plus position. UTC.
    pub fn captured_at(&self) -> Timestamp {
        self.0.captured_at
    }

    /// The same frame, of another instant.
    pub fn dated(self, captured_at: Timestamp) -> Self {
        match Arc::try_unwrap(self.0) {
            Ok(inner) => Self(Arc::new(Inner { captured_at, ..inner })),
            // Somebody else holds it as it was.
            Err(shared) => Self(shared),
        }
    }

    /// Position in the stream.
    pub fn stream_time(&self) -> Duration {
        self.0.stream_time
    }

    /// Which part of a picture it shows; `None` for a whole one.
    pub(super) fn part(&self) -> Option<Part> {
        self.0.part
    }

    /// This frame, which nobody else holds, as a part of a picture.
    pub(super) fn into_part(self, part: Part) -> Option<Self> {
        let inner = Arc::try_unwrap(self.0).ok()?;
        Some(Self(Arc::new(Inner { part: Some(part), ..inner })))
    }

    /// Whether both are the same frame in memory.
    pub fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The planes: three for I420, two for NV12.
    pub fn planes(&self) -> impl Iterator<Item = Plane<'_>> {
        let v = &self.0.video;
        let (w, h) = (self.width() as usize, self.height() as usize);
        let shapes: &[(usize, usize, usize)] = match self.0.layout {
            Layout::I420 => &[(1, 1, 1), (2, 2, 1), (2, 2, 1)],
            Layout::Nv12 => &[(1, 1, 1), (2, 2, 2)],
        };
        shapes.iter().enumerate().filter_map(move |(i, &(dx, dy, bytes_per_sample))| {
            let data = v.plane_data(i as u32).ok()?;
            let stride = usize::try_from(*v.plane_stride().get(i)?).ok()?;
            Some(Plane { data, stride, width: w.div_ceil(dx), height: h.div_ceil(dy), bytes_per_sample })
        })
    }

    /// Width and height of the [`picture`](Self::picture) of a region that lies in the frame.
    pub fn size_of_picture(r: Rect, max_side: u32) -> (u32, u32) {
        let scale = (max_side as f32 / r.w.max(r.h)).min(1.0);
        (((r.w * scale).round() as u32).max(1), ((r.h * scale).round() as u32).max(1))
    }

    /// The part under `rect` as RGB, scaled down so that no side is longer than `max_side`. Nearest sample; for crops and
    /// stored stills, never for the live picture. `None` when `rect` lies outside the frame.
    pub fn picture(&self, rect: Rect, max_side: u32) -> Option<Picture> {
        let r = rect.clamped(self.width() as f32, self.height() as f32)?;
        let (ow, oh) = Self::size_of_picture(r, max_side);
        let planes: Vec<_> = self.planes().collect();
        let luma = planes.first()?;
        let m = self.0.color.yuv_to_rgb();
        let sample = |p: &Plane<'_>, x: usize, y: usize, byte: usize| -> Option<f32> {
            let (x, y) = (x.min(p.width.saturating_sub(1)), y.min(p.height.saturating_sub(1)));
            p.data.get(y * p.stride + x * p.bytes_per_sample + byte).map(|&b| f32::from(b) / 255.0)
        };
        let mut rgb = Vec::with_capacity((ow * oh * 3) as usize);
        for oy in 0..oh {
            let sy = (r.y + (oy as f32 + 0.5) * r.h / oh as f32) as usize;
            for ox in 0..ow {
                let sx = (r.x + (ox as f32 + 0.5) * r.w / ow as f32) as usize;
                let y = sample(luma, sx, sy, 0)?;
                let (u, v) = match self.0.layout {
                    Layout::I420 => {
                        (sample(planes.get(1)?, sx / 2, sy / 2, 0)?, sample(planes.get(2)?, sx / 2, sy / 2, 0)?)
                    }
                    Layout::Nv12 => {
                        (sample(planes.get(1)?, sx / 2, sy / 2, 0)?, sample(planes.get(1)?, sx / 2, sy / 2, 1)?)
                    }
                };
                for [a, b, c, d] in &m {
                    rgb.push(((a * y + b * u + c * v + d) * 255.0).round().clamp(0.0, 255.0) as u8);
                }
            }
        }
        Picture::new(ow, oh, rgb)
    }
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Frame(#{} {}×{} {:?} at {})",
            self.seq(),
            self.width(),
            self.height(),
            self.0.layout,
            self.0.captured_at
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(width: u32, height: u32, color: Color, y: u8) -> Frame {
        gst::init().unwrap();
        let (w, h) = (width as usize, height as usize);
        let mut bytes = vec![y; w * h];
        bytes.resize(w * h + 2 * w.div_ceil(2) * h.div_ceil(2), 128);
        Frame::from_i420(width, height, &bytes, color, 0, Timestamp(0)).unwrap()
    }

    #[test]
    fn limited_and_full_range_are_told_apart() {
        let white = grey(4, 4, Color::BT709, 235).picture(Rect::new(0.0, 0.0, 4.0, 4.0), 4).unwrap();
        assert!(white.rgb().iter().all(|&c| c == 255));
        let full = grey(4, 4, Color { full_range: true, ..Color::BT601 }, 235)
            .picture(Rect::new(0.0, 0.0, 4.0, 4.0), 4)
            .unwrap();
        assert!(full.rgb().iter().all(|&c| c == 235));
    }

    #[test]
    fn odd_sizes_have_all_their_samples() {
        let frame = grey(321, 241, Color::BT601, 100);
        let planes: Vec<_> = frame.planes().collect();
        assert_eq!(
            planes.iter().map(|p| (p.width, p.height)).collect::<Vec<_>>(),
            [(321, 241), (161, 121), (161, 121)]
        );
        assert!(frame.picture(Rect::new(310.0, 230.0, 50.0, 50.0), 64).is_some());
        assert!(frame.picture(Rect::new(400.0, 0.0, 10.0, 10.0), 64).is_none());
    }

    #[test]
    fn too_few_bytes_are_refused() {
        gst::init().unwrap();
        assert!(Frame::from_i420(16, 16, &[0; 100], Color::BT601, 0, Timestamp(0)).is_err());
    }
}
