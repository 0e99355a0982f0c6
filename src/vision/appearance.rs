//! What a person looks like, as a vector: for following through occlusion and from camera to camera.
use super::{
    Compute, VisionError,
    manifest::{ModelSlot, SiteModel, SiteModels},
    pixels::sample,
};
use crate::{
    model::{Descriptor, DescriptorKind, Picture, Rect},
    video::Frame,
};
use std::{
    path::Path,
    sync::{Mutex, PoisonError},
};
use tch::{CModule, IValue, Tensor};

/// File name of the learned model in the models folder: Open Model Zoo's person-reidentification-retail-0288 (Apache-2.0) as
/// TorchScript. Input `[N, 3, 256, 128]` BGR 0–255, output 256 numbers a crop.
pub const LEARNED_FILE: &str = "omz_reid_0288.torchscript.pt";

/// Below this height or width (pixels) a crop says too little about a person.
const LEAST_HEIGHT: f32 = 32.0;
const LEAST_WIDTH: f32 = 12.0;

/// The embedder in use.
pub enum Appearance {
    /// Colour histograms of horizontal stripes; needs no file.
    ColourStripes,
    /// A learned network; one crop or batch at a time.
    Learned(Mutex<Learned>),
    /// A site's own network.
    Site(Box<SiteVectors>),
}

/// A site's own network that describes crops.
pub struct SiteVectors(SiteModel);

/// A TorchScript network and where it computes.
pub struct Learned {
    module: CModule,
    compute: Compute,
}

impl Appearance {
    /// The learned model when its file lies in the models folder, else the built-in descriptor.
    ///
    /// # Errors
    /// When the file is there but libtorch cannot load it: a site that brings a model is told, not silently given less.
    pub fn load(models: &Path, compute: Compute) -> Result<Self, VisionError> {
        let path = models.join(LEARNED_FILE);
        if matches!(path.try_exists(), Ok(false)) {
            return Ok(Self::ColourStripes);
        }
        let mut module = CModule::load_on_device(&path, compute.device)?;
        module.set_eval();
        Ok(Self::Learned(Mutex::new(Learned { module, compute })))
    }

    /// What the site's manifest names, else as [`load`](Self::load). Vectors of different learned networks cannot be told apart: a site
    /// that changes its network marks its suspects anew.
    ///
    /// # Errors
    /// As [`load`](Self::load), and [`ManifestError`](super::ManifestError) for the manifest or its model.
    pub fn load_for_site(models: &Path, compute: Compute, site: &SiteModels) -> Result<Self, VisionError> {
        match &site.appearance {
            Some(name) => {
                let model = SiteModel::load(models, name, ModelSlot::Appearance, compute)?;
                Ok(Self::Site(Box::new(SiteVectors(model))))
            }
            None => Self::load(models, compute),
        }
    }

    /// Which kind of vectors it makes.
    pub fn kind(&self) -> DescriptorKind {
        match self {
            Self::ColourStripes => DescriptorKind::ColourStripes,
            Self::Learned(_) | Self::Site(_) => DescriptorKind::Learned,
        }
    }

    /// Name for people.
    pub fn name(&self) -> &str {
        match self {
            Self::ColourStripes => "colour stripes",
            Self::Learned(_) => "person-reidentification-retail-0288",
            Self::Site(own) => own.0.name(),
        }
    }

    /// A descriptor for each box; `None` where the visible crop is too small to say anything.
    ///
    /// # Errors
    /// When libtorch refuses.
    pub fn describe(&self, frame: &Frame, rects: &[Rect]) -> Result<Vec<Option<Descriptor>>, VisionError> {
        let size = (frame.width() as f32, frame.height() as f32);
        let usable = |r: &Rect| r.clamped(size.0, size.1).filter(|r| r.h >= LEAST_HEIGHT && r.w >= LEAST_WIDTH);
        match self {
            Self::ColourStripes => Ok(rects
                .iter()
                .map(|r| usable(r).and_then(|r| frame.picture(r, 96)).and_then(|p| colour_stripes(&p)))
                .collect()),
            Self::Site(own) => {
                let _no_grad = tch::no_grad_guard();
                let vector = |rect: Rect| -> Result<Option<Descriptor>, VisionError> {
                    let y = own.0.run(frame, rect)?.f_contiguous()?.f_view(-1)?.f_to_device(tch::Device::Cpu)?;
                    Ok(unit(Vec::try_from(&y)?).map(|vector| Descriptor { kind: DescriptorKind::Learned, vector }))
                };
                rects.iter().map(|r| usable(r).map_or(Ok(None), vector)).collect()
            }
            Self::Learned(learned) => learned
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .describe(frame, &rects.iter().map(usable).collect::<Vec<_>>()),
        }
    }
}

impl Learned {
    fn describe(&self, frame: &Frame, rects: &[Option<Rect>]) -> Result<Vec<Option<Descriptor>>, VisionError> {
        let _no_grad = tch::no_grad_guard();
        let crops = rects
            .iter()
            .flatten()
            .map(|r| sample(frame, *r, 256, 128, [1.0; 3], [0.0; 3], self.compute.device))
            .collect::<Result<Vec<_>, _>>()?;
        if crops.is_empty() {
            return Ok(vec![None; rects.len()]);
        }
        let batch = Tensor::f_cat(&crops, 0)?.f_clamp(0.0, 255.0)?;
        let IValue::Tensor(y) = self.module.forward_is(&[IValue::Tensor(batch)])? else {
            return Err(VisionError::Planes);
        };
        let y = y.f_flatten(1, -1)?.f_to_kind(tch::Kind::Float)?.f_to_device(tch::Device::Cpu)?;
        let mut rows = (0..y.size().first().copied().unwrap_or(0)).map(|i| -> Result<_, VisionError> {
            let v: Vec<f32> = Vec::try_from(&y.f_select(0, i)?.f_contiguous()?)?;
            Ok(unit(v))
        });
        rects
            .iter()
            .map(|r| match r {
                None => Ok(None),
                Some(_) => match rows.next() {
                    Some(vector) => Ok(vector?.map(|vector| Descriptor { kind: DescriptorKind::Learned, vector })),
                    None => Ok(None),
                },
            })
            .collect()
    }
}

const STRIPES: usize = 8;
const HUES: usize = 12;
const GREYS: usize = 4;
const BINS: usize = HUES + GREYS;

/// Histograms of hue (12 bins, where there is colour) and brightness (4 bins, where there is none) for eight horizontal stripes,
/// pixels weighted towards the vertical middle line where the person is, square-rooted (Hellinger) and scaled to unit length.
fn colour_stripes(picture: &Picture) -> Option<Descriptor> {
    let (w, h) = (picture.width() as usize, picture.height() as usize);
    let mut histogram = vec![0.0f32; STRIPES * BINS];
    for (y, row) in picture.rgb().chunks_exact(w * 3).enumerate() {
        let stripe = histogram.get_mut((y * STRIPES / h) * BINS..)?.get_mut(..BINS)?;
        for (x, pixel) in row.chunks_exact(3).enumerate() {
            let &[r, g, b] = pixel else { continue };
            let off = (x as f32 + 0.5) / w as f32 - 0.5;
            let weight = (-off * off / (2.0 * 0.2 * 0.2)).exp();
            let (hue, saturation, value) = hsv(r, g, b);
            // Colour counts as far as there is any: dark and pale pixels go over to the grey bins smoothly.
            let colour = (saturation * value * 4.0).min(1.0);
            spread(stripe.get_mut(..HUES)?, hue * HUES as f32, true, weight * colour);
            spread(stripe.get_mut(HUES..)?, value * GREYS as f32 - 0.5, false, weight * (1.0 - colour));
        }
    }
    for stripe in histogram.chunks_exact_mut(BINS) {
        let sum: f32 = stripe.iter().sum();
        stripe.iter_mut().for_each(|v| *v = if sum > 0.0 { (*v / sum).sqrt() } else { 0.0 });
    }
    unit(histogram).map(|vector| Descriptor { kind: DescriptorKind::ColourStripes, vector })
}

/// Adds `weight` to the two bins nearest to `position`, in proportion to their nearness.
fn spread(bins: &mut [f32], position: f32, circular: bool, weight: f32) {
    let n = bins.len() as i64;
    let low = position.floor();
    let part = position - low;
    for (offset, share) in [(0, 1.0 - part), (1, part)] {
        let i = low as i64 + offset;
        let i = if circular { i.rem_euclid(n) } else { i.clamp(0, n - 1) };
        if let Some(bin) = usize::try_from(i).ok().and_then(|i| bins.get_mut(i)) {
            *bin += weight * share;
        }
    }
}

/// Hue, saturation and value, each in `0.0..=1.0`.
fn hsv(r: u8, g: u8, b: u8) -> (f32, f32, f32) {
    let (r, g, b) = (f32::from(r) / 255.0, f32::from(g) / 255.0, f32::from(b) / 255.0);
    let (most, least) = (r.max(g).max(b), r.min(g).min(b));
    let spread = most - least;
    if spread <= 0.0 {
        return (0.0, 0.0, most);
    }
    let sixth = if most == r {
        ((g - b) / spread).rem_euclid(6.0)
    } else if most == g {
        (b - r) / spread + 2.0
    } else {
        (r - g) / spread + 4.0
    };
    (sixth / 6.0, spread / most, most)
}

/// Scaled to length one; `None` for vectors without a direction.
fn unit(mut v: Vec<f32>) -> Option<std::sync::Arc<[f32]>> {
    let length = v.iter().map(|x| x * x).sum::<f32>().sqrt();
    (length.is_finite() && length > 1e-6).then(|| {
        v.iter_mut().for_each(|x| *x /= length);
        v.into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(shirt: [u8; 3], trousers: [u8; 3], width: u32) -> Picture {
        let rgb =
            (0..96u32).flat_map(|y| (0..width).flat_map(move |_| if y < 48 { shirt } else { trousers })).collect();
        Picture::new(width, 96, rgb).unwrap()
    }

    #[test]
    fn same_clothes_are_nearer_than_other_clothes() {
        let (red, blue, black) = ([200, 30, 30], [30, 40, 180], [20, 20, 20]);
        let of = |p: &Picture| colour_stripes(p).unwrap();
        let a = of(&person(red, black, 40));
        let same_darker_and_wider = of(&person([150, 25, 25], black, 44));
        let other = of(&person(blue, black, 40));
        let upside_down = of(&person(black, red, 40));
        let near = a.similarity(&same_darker_and_wider).unwrap();
        assert!(near > 0.9, "{near}");
        assert!(near > a.similarity(&other).unwrap() + 0.2);
        assert!(near > a.similarity(&upside_down).unwrap() + 0.2);
        assert!((a.similarity(&a).unwrap() - 1.0).abs() < 1e-5);
    }

    #[test]
    fn a_crop_that_is_too_small_has_no_descriptor() {
        gstreamer::init().unwrap();
        let frame =
            Frame::from_i420(64, 64, &[90; 64 * 64 * 3 / 2], crate::video::Color::BT601, 0, crate::model::Timestamp(0))
                .unwrap();
        let all = Appearance::ColourStripes
            .describe(
                &frame,
                &[Rect::new(0.0, 0.0, 8.0, 60.0), Rect::new(0.0, 0.0, 30.0, 60.0), Rect::new(60.0, 60.0, 90.0, 90.0)],
            )
            .unwrap();
        assert_eq!(all.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true, false]);
    }
}
