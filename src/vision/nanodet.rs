//! NanoDet-g (RangiLyu/nanodet): a plain convolutional detector without anchors, built from its published weights.
//!
//! Layers are the 34 convolutions of the published graph in its order, batch normalisation already folded in, weights
//! float16 in HWIO. The network is: stem, four stages of tiny residual blocks, a PAN neck, two-convolution heads.
use super::VisionError;
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// Classes that are asked for, as indices into COCO's 80: person and knife. The head's other outputs are not computed.
pub(super) const CLASSES: [i64; 2] = [0, 43];
/// Bins of the distance distribution per side (generalised focal loss, arXiv:2006.04388): distances 0..=10 strides.
pub(super) const BINS: i64 = 11;
/// Pixels per cell of the three levels.
pub(super) const STRIDES: [i64; 3] = [8, 16, 32];

const COCO_CLASSES: i64 = 80;

/// Input channels, output channels, kernel side, stride, byte offset of weights, byte offset of biases.
type Layer = (i64, i64, i64, i64, usize, usize);

#[rustfmt::skip]
const LAYERS: [Layer; 34] = [
    (3, 32, 3, 2, 5545944, 5547672),      (32, 32, 3, 1, 5547866, 5566298),     (32, 16, 3, 1, 5518068, 5527284),
    (16, 16, 3, 1, 5513364, 5517972),     (32, 32, 3, 1, 5527384, 5545816),     (64, 64, 3, 2, 5566430, 5640158),
    (64, 32, 3, 1, 5365452, 5402316),     (32, 32, 3, 1, 5346892, 5365324),     (64, 32, 3, 1, 5402448, 5439312),
    (32, 32, 3, 1, 5328332, 5346764),     (64, 64, 3, 1, 5439444, 5513172),     (128, 128, 3, 2, 5640354, 5935266),
    (128, 64, 3, 1, 4737796, 4885252),    (64, 64, 3, 1, 4663876, 4737604),     (128, 64, 3, 1, 4885448, 5032904),
    (64, 64, 3, 1, 4589956, 4663684),     (128, 128, 3, 1, 5033100, 5328012),   (256, 256, 3, 2, 5935590, 7115238),
    (256, 128, 3, 1, 1639288, 2229112),   (128, 128, 3, 1, 1344056, 1638968),   (256, 128, 3, 1, 2229436, 2819260),
    (128, 128, 3, 1, 1048824, 1343736),   (256, 128, 3, 1, 2819584, 3409408),   (128, 128, 3, 1, 753592, 1048504),
    (256, 256, 3, 1, 3409732, 4589380),   (128, 128, 1, 1, 654680, 687448),     (256, 128, 1, 1, 687736, 753272),
    (512, 128, 1, 1, 7115786, 7246858),   (128, 128, 3, 1, 120, 295032),        (128, 124, 1, 1, 295320, 327064),
    (128, 128, 3, 1, 327408, 622320),     (128, 124, 1, 1, 622608, 654352),     (128, 128, 3, 1, 7247306, 7542218),
    (128, 124, 1, 1, 7542506, 7574250),
];

struct Conv {
    weight: Tensor,
    bias: Tensor,
    stride: i64,
    padding: i64,
    slope: Tensor,
}

impl Conv {
    fn linear(&self, x: &Tensor) -> Result<Tensor, VisionError> {
        let (s, p) = ([self.stride; 2], [self.padding; 2]);
        Ok(x.f_conv2d(&self.weight, Some(&self.bias), s, p, [1, 1], 1)?)
    }

    /// Convolution and leaky ReLU of slope 0.1.
    fn forward(&self, x: &Tensor) -> Result<Tensor, VisionError> {
        // As PReLU with one weight, which is one pass: the binding's leaky_relu takes no slope.
        Ok(self.linear(x)?.f_prelu(&self.slope)?)
    }
}

/// One output level: scores before the sigmoid `[N, 2, cells]` and distance logits `[N, 4 * BINS, cells]`, cells row by row.
pub(super) struct Level {
    pub scores: Tensor,
    pub distances: Tensor,
    pub columns: i64,
    pub stride: i64,
}

/// The network on a device.
pub(super) struct NanoDet {
    convs: Vec<Conv>,
}

impl NanoDet {
    /// Builds the network from the published file.
    ///
    /// # Errors
    /// When the file cannot be read, is another file, or libtorch cannot hold it.
    pub fn load(path: &Path, device: Device) -> Result<Self, VisionError> {
        let bytes = super::weights::read_verified(path, super::DETECTOR_SHA256)?;
        let floats = |offset: usize, count: i64| -> Result<Tensor, VisionError> {
            let count_bytes = usize::try_from(count).unwrap_or(usize::MAX).saturating_mul(2);
            let part = bytes.get(offset..offset.saturating_add(count_bytes)).ok_or(VisionError::Planes)?;
            Ok(Tensor::f_from_data_size(part, &[count], Kind::Half)?.f_to_kind(Kind::Float)?)
        };
        let slope = Tensor::from_slice(&[0.1f32]).f_to_device(device)?;
        let mut convs = Vec::with_capacity(LAYERS.len());
        for (index, (input, output, kernel, stride, weights, biases)) in LAYERS.into_iter().enumerate() {
            let hwio = floats(weights, kernel * kernel * input * output)?.f_view([kernel, kernel, input, output])?;
            // Stored as O, H, W, I and seen as O, I, H, W: channels-last memory, measured a fifth faster on CPUs.
            let mut weight = hwio.f_permute([3, 0, 1, 2])?.f_contiguous()?.f_permute([0, 3, 1, 2])?;
            let mut bias = floats(biases, output)?;
            if matches!(index, 29 | 31 | 33) {
                let mut keep = CLASSES.to_vec();
                keep.extend(COCO_CLASSES..output);
                let keep = Tensor::from_slice(&keep);
                weight = weight.f_index_select(0, &keep)?;
                bias = bias.f_index_select(0, &keep)?;
            }
            convs.push(Conv {
                weight: weight.f_to_device(device)?,
                bias: bias.f_to_device(device)?,
                stride,
                padding: kernel / 2,
                slope: slope.shallow_clone(),
            });
        }
        Ok(Self { convs })
    }

    fn conv(&self, index: usize) -> Result<&Conv, VisionError> {
        self.convs.get(index).ok_or(VisionError::Planes)
    }

    /// A chain of tiny residual blocks: each concatenates two convolutions; the last convolution is concatenated with the
    /// stage's input convolution.
    fn stage(&self, x: &Tensor, first: usize, blocks: usize) -> Result<Tensor, VisionError> {
        let mut y = x.shallow_clone();
        let mut index = first;
        for _ in 0..blocks {
            let a = self.conv(index)?.forward(&y)?;
            let b = self.conv(index + 1)?.forward(&a)?;
            y = Tensor::f_cat(&[&b, &a], 1)?;
            index += 2;
        }
        let last = self.conv(index)?.forward(&y)?;
        Ok(Tensor::f_cat(&[&last, x], 1)?)
    }

    /// `[N, 3, H, W]` (BGR, normalised; H and W multiples of 32) to the three levels.
    pub fn forward(&self, x: &Tensor) -> Result<[Level; 3], VisionError> {
        let stem = self.conv(0)?.forward(x)?.f_max_pool2d([3, 3], [2, 2], [1, 1], [1, 1], false)?;
        let entry = self.conv(1)?.forward(&stem)?;
        let a = self.conv(2)?.forward(&entry)?;
        let b = self.conv(3)?.forward(&a)?;
        let c = self.conv(4)?.forward(&Tensor::f_cat(&[&b, &a], 1)?)?;
        let one = Tensor::f_cat(&[&c, &entry], 1)?;
        let two = self.stage(&self.conv(5)?.forward(&one)?, 6, 2)?;
        let three = self.stage(&self.conv(11)?.forward(&two)?, 12, 2)?;
        let four = self.stage(&self.conv(17)?.forward(&three)?, 18, 3)?;

        let (l8, l16, l32) =
            (self.conv(25)?.linear(&two)?, self.conv(26)?.linear(&three)?, self.conv(27)?.linear(&four)?);
        let p16 = l16.f_add(&resize_like(&l32, &l16)?)?;
        let p8 = l8.f_add(&resize_like(&p16, &l8)?)?;
        let p16 = p16.f_add(&p8.f_avg_pool2d([2, 2], [2, 2], [0, 0], false, true, None)?)?;
        let p32 = l32.f_add(&p16.f_avg_pool2d([2, 2], [2, 2], [0, 0], false, true, None)?)?;

        let head = |p: &Tensor, first: usize, stride: i64| -> Result<Level, VisionError> {
            let y = self.conv(first + 1)?.linear(&self.conv(first)?.forward(p)?)?;
            let columns = y.size().last().copied().unwrap_or(0);
            let y = y.f_flatten(2, 3)?;
            let classes = CLASSES.len() as i64;
            Ok(Level {
                scores: y.f_narrow(1, 0, classes)?,
                distances: y.f_narrow(1, classes, 4 * BINS)?,
                columns,
                stride,
            })
        };
        let [s8, s16, s32] = STRIDES;
        Ok([head(&p8, 28, s8)?, head(&p16, 30, s16)?, head(&p32, 32, s32)?])
    }
}

fn resize_like(x: &Tensor, like: &Tensor) -> Result<Tensor, VisionError> {
    let (_, _, h, w) = like.size4()?;
    Ok(x.f_upsample_bilinear2d([h, w], false, None, None)?)
}
