//! Frames in, boxes of persons and knives out.
use super::{
    Compute, DETECTOR_FILE, DETECTOR_SHA256, VisionError,
    manifest::{ModelSlot, SiteModel, SiteModels},
    nanodet::{BINS, CLASSES, NanoDet},
    pixels::sample,
};
use crate::{
    model::{Class, Detection, Rect},
    video::Frame,
};
use serde::{Deserialize, Serialize};
use std::{
    path::{Path, PathBuf},
    time::Instant,
};
use tch::Tensor;

/// Mean and standard deviation of BGR, 0–255, that the network was trained with.
const MEAN: [f32; 3] = [103.53, 116.28, 123.675];
const STD: [f32; 3] = [57.375, 57.12, 58.395];

/// What the detector keeps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DetectorConfig {
    /// The longer side of the network's input, pixels; a multiple of 32.
    pub input: u32,
    /// Persons below this score are not reported. Low scores are wanted: the tracker rescues people with them.
    pub person_score: f32,
    /// Knives below this score are not reported.
    pub knife_score: f32,
    /// Of two boxes of a class that overlap more than this (IoU), the better one stays.
    pub nms_iou: f32,
}

impl Default for DetectorConfig {
    fn default() -> Self {
        Self { input: 416, person_score: 0.1, knife_score: 0.4, nms_iou: 0.6 }
    }
}

impl DetectorConfig {
    /// Whether the network takes this as its [`input`](Self::input): a multiple of 32 between 32 and 2048.
    pub fn takes(input: u32) -> bool {
        (32..=2048).contains(&input) && input.is_multiple_of(32)
    }
}

/// How the network stands beside a reference.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Comparison {
    /// Fastest forward pass of ours, milliseconds.
    pub ours_ms: f64,
    /// Fastest forward pass of the reference, milliseconds.
    pub reference_ms: f64,
    /// How many times as fast ours is.
    pub ratio: f64,
    /// Largest difference between any two outputs.
    pub difference: f64,
}

/// What finds persons, and weapons.
enum Network {
    NanoDet(NanoDet),
    Site(Box<SiteModel>),
}

/// The shipped NanoDet-g, or a site's own networks, on one device.
pub struct Detector {
    net: Network,
    /// Finds weapons instead of the network above.
    weapons: Option<SiteModel>,
    name: String,
    sha256: String,
    compute: Compute,
    config: DetectorConfig,
}

impl Detector {
    /// Loads the shipped weights from the models folder and verifies them.
    ///
    /// # Errors
    /// When the file is missing, unreadable or damaged, or libtorch refuses it.
    pub fn load(models: &Path, compute: Compute, config: DetectorConfig) -> Result<Self, VisionError> {
        Self::load_for_site(models, compute, config, &SiteModels::default())
    }

    /// Loads what the site's manifests name, and the shipped weights where they name nothing.
    ///
    /// # Errors
    /// As [`load`](Self::load), and [`ManifestError`](super::ManifestError) for a manifest or its model.
    pub fn load_for_site(
        models: &Path,
        compute: Compute,
        config: DetectorConfig,
        site: &SiteModels,
    ) -> Result<Self, VisionError> {
        compute.enter();
        let _no_grad = tch::no_grad_guard();
        let load = |name: &PathBuf, slot| SiteModel::load(models, name, slot, compute);
        let own = site.detector.as_ref().map(|name| load(name, ModelSlot::Detector)).transpose()?;
        let weapons = site.weapon.as_ref().map(|name| load(name, ModelSlot::Weapon)).transpose()?;
        let (mut name, mut sha256) = match &own {
            Some(own) => (own.name().to_owned(), own.sha256().to_owned()),
            None => ("NanoDet-g".to_owned(), DETECTOR_SHA256.to_owned()),
        };
        if let Some(weapons) = &weapons {
            name = format!("{name}, weapons by {}", weapons.name());
            sha256 = format!("{sha256}+{}", weapons.sha256());
        }
        let net = match own {
            Some(own) => Network::Site(Box::new(own)),
            None => Network::NanoDet(NanoDet::load(&models.join(DETECTOR_FILE), compute.device)?),
        };
        Ok(Self { net, weapons, name, sha256, compute, config })
    }

    /// Name for people and records.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 of the weights in use; two joined by `+` where weapons have a network of their own.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Where it computes.
    pub fn compute(&self) -> Compute {
        self.compute
    }

    /// Runs the bare network and the same one as a TorchScript module (traced in Python from the same weights; input
    /// `[1, 3, 416, 416]`, output sigmoid scores `[1, cells, 80]` and distance logits `[1, cells, 44]`) on one input in turn.
    ///
    /// # Errors
    /// When the module cannot be loaded or gives something else.
    pub fn compare(&self, reference: &Path, rounds: u32) -> Result<Comparison, VisionError> {
        let _no_grad = tch::no_grad_guard();
        let Network::NanoDet(net) = &self.net else { return Err(VisionError::Output) };
        let device = self.compute.device;
        let mut module = tch::CModule::load_on_device(reference, device)?;
        module.set_eval();
        tch::manual_seed(1);
        let x = Tensor::f_randn([1, 3, 416, 416], (tch::Kind::Float, device))?;
        let nhwc = x.f_permute([0, 2, 3, 1])?.f_contiguous()?.f_permute([0, 3, 1, 2])?;
        let (mut ours_s, mut theirs_s) = (f64::MAX, f64::MAX);
        let mut difference = 0.0f64;
        for _ in 0..rounds.max(1) {
            let start = Instant::now();
            let levels = net.forward(&nhwc)?;
            ours_s = ours_s.min(start.elapsed().as_secs_f64());
            let start = Instant::now();
            let tch::IValue::Tuple(outputs) = module.forward_is(&[tch::IValue::Tensor(x.shallow_clone())])? else {
                return Err(VisionError::Planes);
            };
            theirs_s = theirs_s.min(start.elapsed().as_secs_f64());
            let [tch::IValue::Tensor(scores), tch::IValue::Tensor(distances)] = outputs.as_slice() else {
                return Err(VisionError::Planes);
            };
            let classes = Tensor::from_slice(&CLASSES).f_to_device(device)?;
            let ours = levels.iter().map(|l| l.scores.f_sigmoid()).collect::<Result<Vec<_>, _>>()?;
            let ours = Tensor::f_cat(&ours, 2)?.f_transpose(1, 2)?;
            let apart = |a: &Tensor, b: &Tensor| -> Result<f64, tch::TchError> {
                Ok(a.f_sub(b)?.f_abs()?.f_max()?.double_value(&[]))
            };
            difference = difference.max(apart(&ours, &scores.f_index_select(2, &classes)?)?);
            let ours = levels.iter().map(|l| &l.distances).collect::<Vec<_>>();
            difference = difference.max(apart(&Tensor::f_cat(&ours, 2)?.f_transpose(1, 2)?, distances)?);
        }
        Ok(Comparison { ours_ms: ours_s * 1e3, reference_ms: theirs_s * 1e3, ratio: theirs_s / ours_s, difference })
    }

    /// Detections of each frame, best first, in pixels of that frame. Frames of equal size are computed as one batch by the shipped
    /// network, one by one by a site's own.
    ///
    /// # Errors
    /// When libtorch refuses (out of memory, for one) or a frame lacks planes.
    pub fn detect(&self, frames: &[Frame]) -> Result<Vec<Vec<Detection>>, VisionError> {
        let _no_grad = tch::no_grad_guard();
        let mut found = match &self.net {
            Network::NanoDet(net) => self.detect_shipped(net, frames)?,
            Network::Site(own) => frames.iter().map(|f| own.detect(f, |_| true)).collect::<Result<_, _>>()?,
        };
        if let Some(weapons) = &self.weapons {
            for (frame, list) in frames.iter().zip(&mut found) {
                list.retain(|d| d.class == Class::Person);
                list.extend(weapons.detect(frame, |class| class != Class::Person)?);
                list.sort_by(|a, b| b.score.total_cmp(&a.score));
            }
        }
        Ok(found)
    }

    fn detect_shipped(&self, net: &NanoDet, frames: &[Frame]) -> Result<Vec<Vec<Detection>>, VisionError> {
        let mut found: Vec<Vec<Detection>> = vec![Vec::new(); frames.len()];
        let mut sizes: Vec<(u32, u32)> = frames.iter().map(|f| (f.width(), f.height())).collect();
        sizes.sort_unstable();
        sizes.dedup();
        for size in sizes {
            let group: Vec<usize> =
                frames.iter().enumerate().filter(|(_, f)| (f.width(), f.height()) == size).map(|(i, _)| i).collect();
            let batch = group.iter().filter_map(|&i| frames.get(i)).collect::<Vec<_>>();
            for (index, detections) in group.iter().zip(self.detect_equal(net, &batch, size)?) {
                if let Some(slot) = found.get_mut(*index) {
                    *slot = detections;
                }
            }
        }
        Ok(found)
    }

    fn detect_equal(
        &self,
        net: &NanoDet,
        frames: &[&Frame],
        (width, height): (u32, u32),
    ) -> Result<Vec<Vec<Detection>>, VisionError> {
        let scale = self.config.input as f32 / width.max(height) as f32;
        let inner_w = ((width as f32 * scale).round() as i64).max(1);
        let inner_h = ((height as f32 * scale).round() as i64).max(1);
        let (padded_w, padded_h) = (inner_w.div_euclid(32) * 32, inner_h.div_euclid(32) * 32);
        let padded_w = if padded_w < inner_w { padded_w + 32 } else { padded_w };
        let padded_h = if padded_h < inner_h { padded_h + 32 } else { padded_h };
        let whole = Rect::new(0.0, 0.0, width as f32, height as f32);
        let (mut gain, mut shift) = ([0.0; 3], [0.0; 3]);
        for (((gain, shift), mean), std) in gain.iter_mut().zip(&mut shift).zip(MEAN).zip(STD) {
            (*gain, *shift) = (1.0 / std, mean / std);
        }
        let mut inputs = Vec::with_capacity(frames.len());
        for frame in frames {
            let x = sample(frame, whole, inner_h, inner_w, gain, shift, self.compute.device)?;
            inputs.push(x.f_constant_pad_nd([0, padded_w - inner_w, 0, padded_h - inner_h])?);
        }
        let x = Tensor::f_cat(&inputs, 0)?;
        let x = x.f_permute([0, 2, 3, 1])?.f_contiguous()?.f_permute([0, 3, 1, 2])?;
        let levels = net.forward(&x)?;

        let mut found = vec![Vec::new(); frames.len()];
        for level in &levels {
            let scores = level.scores.f_sigmoid()?.f_contiguous()?.f_to_device(tch::Device::Cpu)?;
            let (n, classes, cells) = scores.size3()?;
            let scores: Vec<f32> = Vec::try_from(&scores.f_view(-1)?)?;
            let cells = usize::try_from(cells).unwrap_or(1).max(1);
            let classes = usize::try_from(classes).unwrap_or(1);
            // Cells with anything worth keeping: only their distances leave the device.
            let mut picked: Vec<(usize, usize, Class, f32)> = Vec::new();
            for (row, values) in scores.chunks_exact(cells).enumerate() {
                let (image, class) = (row / classes, row % classes);
                let (class, least) = match CLASSES.get(class) {
                    Some(0) => (Class::Person, self.config.person_score),
                    _ => (Class::Knife, self.config.knife_score),
                };
                picked.extend(
                    values.iter().enumerate().filter(|(_, s)| **s >= least).map(|(cell, s)| (image, cell, class, *s)),
                );
            }
            if picked.is_empty() || n == 0 {
                continue;
            }
            let rows: Vec<i64> = picked.iter().map(|(image, cell, ..)| (image * cells + cell) as i64).collect();
            let rows = Tensor::from_slice(&rows).f_to_device(self.compute.device)?;
            // [N, 44, cells] → [N * cells, 44] → the picked rows → expectation of each side's distribution.
            let distances =
                level.distances.f_permute([0, 2, 1])?.f_reshape([-1, 4 * BINS])?.f_index_select(0, &rows)?;
            let bins = Tensor::f_arange(BINS, (tch::Kind::Float, self.compute.device))?;
            let sides = distances.f_view([-1, 4, BINS])?.f_softmax(2, tch::Kind::Float)?.f_matmul(&bins)?;
            let sides: Vec<f32> = Vec::try_from(&sides.f_contiguous()?.f_view(-1)?.f_to_device(tch::Device::Cpu)?)?;
            let stride = level.stride as f32;
            let columns = usize::try_from(level.columns).unwrap_or(1).max(1);
            for ((image, cell, class, score), side) in picked.into_iter().zip(sides.chunks_exact(4)) {
                let &[left, top, right, bottom] = side else { continue };
                let (cx, cy) = (((cell % columns) as f32 + 0.5) * stride, ((cell / columns) as f32 + 0.5) * stride);
                let rect = Rect::from_corners(
                    (cx - left * stride) / scale,
                    (cy - top * stride) / scale,
                    (cx + right * stride) / scale,
                    (cy + bottom * stride) / scale,
                );
                if let (Some(rect), Some(list)) = (rect.clamped(width as f32, height as f32), found.get_mut(image)) {
                    list.push(Detection { rect, score, class });
                }
            }
        }
        Ok(found.into_iter().map(|list| non_maximum_suppression(list, self.config.nms_iou)).collect())
    }
}

/// Greedy suppression per class, best first; ties keep their order, so that the result is the same every time.
pub(super) fn non_maximum_suppression(mut list: Vec<Detection>, limit: f32) -> Vec<Detection> {
    list.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<Detection> = Vec::with_capacity(list.len());
    for d in list {
        if kept.iter().all(|k| k.class != d.class || k.rect.iou(&d.rect) <= limit) {
            kept.push(d);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suppression_keeps_the_better_of_two_and_both_of_different_classes() {
        let d = |x: f32, score: f32, class| Detection { rect: Rect::new(x, 0.0, 10.0, 10.0), score, class };
        let kept = non_maximum_suppression(
            vec![
                d(0.0, 0.5, Class::Person),
                d(1.0, 0.9, Class::Person),
                d(1.0, 0.3, Class::Knife),
                d(40.0, 0.2, Class::Person),
            ],
            0.6,
        );
        assert_eq!(kept.iter().map(|d| d.score).collect::<Vec<_>>(), [0.9, 0.3, 0.2]);
    }
}
