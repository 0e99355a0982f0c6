//! A site's own models: a TOML manifest beside a TorchScript file says what the network takes and gives, so that it fills one of the
//! four slots (detector, weapon, appearance, outline) without code. A mistake is told with file and key.
use super::{Compute, VisionError, pixels::sample, weights::sha256_of};
use crate::{
    model::{Class, Detection, Rect},
    video::Frame,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};
use tch::{CModule, Device, IValue, Kind, Tensor};

/// Which manifests fill the slots: names of files in the models folder. A slot without one has the shipped model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SiteModels {
    /// Finds persons, and weapons where its classes have them.
    pub detector: Option<PathBuf>,
    /// Finds weapons besides the detector, whose own are not used then.
    pub weapon: Option<PathBuf>,
    /// Describes a person's looks as a vector.
    pub appearance: Option<PathBuf>,
    /// Finds a person's outline.
    pub outline: Option<PathBuf>,
}

/// What a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelSlot {
    /// Persons (and weapons) on whole frames.
    Detector,
    /// Weapons on whole frames.
    Weapon,
    /// Vectors of persons' crops.
    Appearance,
    /// Masks of persons' crops.
    Outline,
}

/// What is wrong with a manifest, or with the model it describes.
#[derive(Debug, thiserror::Error)]
#[error("the manifest {}: {what}", file.display())]
pub struct ManifestError {
    /// The manifest.
    pub file: PathBuf,
    /// Key and mistake, in words.
    pub what: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ChannelOrder {
    Rgb,
    Bgr,
}

/// How a frame gets the network's input size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Fit {
    /// Its aspect kept, in the top left corner; the rest is zero after normalisation.
    #[default]
    Letterbox,
    /// Stretched.
    Stretch,
}

/// Input `[1, 3, height, width]`: (value − mean) / std with values in 0–255.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    width: i64,
    height: i64,
    colour: ChannelOrder,
    /// In the order of `colour`.
    #[serde(default)]
    mean: [f32; 3],
    #[serde(default = "ones")]
    std: [f32; 3],
    #[serde(default)]
    fit: Fit,
}

fn ones() -> [f32; 3] {
    [1.0; 3]
}

/// What a row of a detector's output holds before the scores of the classes; lengths in pixels of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum Layout {
    /// Left, top, right, bottom.
    #[serde(rename = "xyxy-scores")]
    Corners,
    /// Centre, width, height.
    #[serde(rename = "cxcywh-scores")]
    Centre,
    /// Centre, width, height, and a score that there is anything, by which the others are multiplied.
    #[serde(rename = "cxcywh-objectness-scores")]
    CentreObjectness,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Output {
    layout: Layout,
    /// Columns are boxes: `[1, values, boxes]` instead of `[1, boxes, values]`.
    #[serde(default)]
    transposed: bool,
    #[serde(default = "overlap")]
    nms_iou: f32,
}

fn overlap() -> f32 {
    0.6
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    slot: ModelSlot,
    /// For people and records.
    name: String,
    /// The TorchScript file, beside the manifest.
    file: PathBuf,
    /// Of that file, 64 hexadecimal digits.
    sha256: String,
    input: Input,
    /// Detectors only.
    output: Option<Output>,
    /// Detectors only: names in the network's order. `person`, `knife` and `gun` are used, the others passed over.
    #[serde(default)]
    classes: Vec<String>,
    /// Least scores by class; for outlines `inside`, the least probability of the person's pixels.
    #[serde(default)]
    thresholds: BTreeMap<String, f32>,
    /// Appearance only: length of the vector.
    length: Option<i64>,
}

/// A site's own network with what its manifest says.
pub(super) struct SiteModel {
    module: Mutex<CModule>,
    manifest: Manifest,
    compute: Compute,
}

impl SiteModel {
    /// Reads the manifest `name` of the models folder, verifies the model's hash, and runs it once to see that it gives what the manifest
    /// says.
    ///
    /// # Errors
    /// [`ManifestError`] with the file and the key.
    pub fn load(models: &Path, name: &Path, slot: ModelSlot, compute: Compute) -> Result<Self, VisionError> {
        let file = models.join(name);
        let wrong = |what: String| VisionError::from(ManifestError { file: file.clone(), what });
        let text = std::fs::read_to_string(&file).map_err(|e| wrong(format!("cannot be read: {e}")))?;
        let manifest: Manifest = toml::from_str(&text).map_err(|e| wrong(e.to_string()))?;
        manifest.check(slot).map_err(&wrong)?;
        let path = file.parent().unwrap_or(models).join(&manifest.file);
        let found = sha256_of(&path).map_err(|e| wrong(format!("`file`: {} cannot be read: {e}", path.display())))?;
        if found != manifest.sha256.to_lowercase() {
            let (path, expected) = (path.display(), &manifest.sha256);
            return Err(wrong(format!("`sha256` is {expected}, but that of {path} is {found}")));
        }
        let _no_grad = tch::no_grad_guard();
        let mut module = CModule::load_on_device(&path, compute.device)
            .map_err(|e| wrong(format!("`file`: {} is no TorchScript module: {}", path.display(), first_line(&e))))?;
        module.set_eval();
        let model = Self { module: Mutex::new(module), manifest, compute };
        let size = [1, 3, model.manifest.input.height, model.manifest.input.width];
        let probe = Tensor::f_zeros(size, (Kind::Float, compute.device))?;
        let output =
            model.forward(&probe).map_err(|e| wrong(format!("`input`: the model does not run on {size:?}: {e}")))?;
        model.manifest.check_output(&output.size()).map_err(&wrong)?;
        Ok(model)
    }

    pub fn name(&self) -> &str {
        &self.manifest.name
    }

    pub fn sha256(&self) -> &str {
        &self.manifest.sha256
    }

    /// Least score or probability of this name.
    pub fn threshold(&self, name: &str) -> Option<f32> {
        self.manifest.thresholds.get(name).copied()
    }

    /// Sides of the input: height and width, pixels.
    pub fn input(&self) -> (i64, i64) {
        (self.manifest.input.height, self.manifest.input.width)
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor, VisionError> {
        let module = self.module.lock().unwrap_or_else(PoisonError::into_inner);
        let output = module.forward_is(&[IValue::Tensor(x.shallow_clone())])?;
        let first = match output {
            IValue::Tensor(tensor) => Some(tensor),
            IValue::Tuple(parts) => {
                parts.into_iter().find_map(|p| if let IValue::Tensor(t) = p { Some(t) } else { None })
            }
            IValue::TensorList(parts) => parts.into_iter().next(),
            _ => None,
        };
        Ok(first.ok_or(VisionError::Output)?.f_to_kind(Kind::Float)?)
    }

    /// What the network gives for the part of a frame under `rect`, stretched to its input.
    pub fn run(&self, frame: &Frame, rect: Rect) -> Result<Tensor, VisionError> {
        let (height, width) = self.input();
        let x = self.sample(frame, rect, height, width)?;
        self.forward(&x)
    }

    fn sample(&self, frame: &Frame, rect: Rect, height: i64, width: i64) -> Result<Tensor, VisionError> {
        let input = &self.manifest.input;
        let rgb = input.colour == ChannelOrder::Rgb;
        let (mut mean, mut std) = (input.mean, input.std);
        if rgb {
            mean.reverse(); // pixels come as B, G, R
            std.reverse();
        }
        let (mut gain, mut shift) = ([0.0; 3], [0.0; 3]);
        for (((gain, shift), mean), std) in gain.iter_mut().zip(&mut shift).zip(mean).zip(std) {
            (*gain, *shift) = (1.0 / std, mean / std);
        }
        let x = sample(frame, rect, height, width, gain, shift, self.compute.device)?;
        Ok(if rgb { x.f_flip([1])? } else { x })
    }

    /// Persons, knives and guns on a frame, best first; the classes that `wanted` lets through.
    pub fn detect(&self, frame: &Frame, wanted: impl Fn(Class) -> bool) -> Result<Vec<Detection>, VisionError> {
        let _no_grad = tch::no_grad_guard();
        let Some(output) = &self.manifest.output else { return Ok(Vec::new()) };
        let (input_h, input_w) = self.input();
        let (width, height) = (frame.width() as f32, frame.height() as f32);
        let whole = Rect::new(0.0, 0.0, width, height);
        let (sx, sy) = (input_w as f32 / width, input_h as f32 / height);
        let (sx, sy) = if self.manifest.input.fit == Fit::Letterbox { (sx.min(sy), sx.min(sy)) } else { (sx, sy) };
        let inner_w = ((width * sx).round() as i64).clamp(1, input_w);
        let inner_h = ((height * sy).round() as i64).clamp(1, input_h);
        let x = self.sample(frame, whole, inner_h, inner_w)?;
        let x = x.f_constant_pad_nd([0, input_w - inner_w, 0, input_h - inner_h])?;
        let y = self.forward(&x)?;
        let y = if output.transposed { y.f_transpose(1, 2)? } else { y };
        let columns = usize::try_from(y.size().get(2).copied().unwrap_or(1)).unwrap_or(1).max(1);
        let values: Vec<f32> = Vec::try_from(&y.f_contiguous()?.f_view(-1)?.f_to_device(Device::Cpu)?)?;
        let mut found = Vec::new();
        for row in values.chunks_exact(columns) {
            let &[a, b, c, d, ref rest @ ..] = row else { continue };
            let (rect, sure, scores) = match (output.layout, rest) {
                (Layout::Corners, scores) => (Rect::from_corners(a, b, c, d), 1.0, scores),
                (Layout::Centre, scores) => (Rect::new(a - c / 2.0, b - d / 2.0, c, d), 1.0, scores),
                (Layout::CentreObjectness, [sure, scores @ ..]) => {
                    (Rect::new(a - c / 2.0, b - d / 2.0, c, d), *sure, scores)
                }
                (Layout::CentreObjectness, []) => continue,
            };
            let rect = Rect::new(rect.x / sx, rect.y / sy, rect.w / sx, rect.h / sy);
            let Some(rect) = rect.clamped(width, height) else { continue };
            for (name, score) in self.manifest.classes.iter().zip(scores) {
                let score = (sure * score).clamp(0.0, 1.0);
                if let Some(class) = class(name).filter(|c| wanted(*c))
                    && score >= self.least(class)
                {
                    found.push(Detection { rect, score, class });
                }
            }
        }
        Ok(super::detector::non_maximum_suppression(found, output.nms_iou))
    }

    fn least(&self, class: Class) -> f32 {
        let (name, default) = match class {
            Class::Person => ("person", 0.1), // the tracker wants low scores, too
            Class::Knife => ("knife", 0.4),
            Class::Gun => ("gun", 0.4),
        };
        self.threshold(name).unwrap_or(default)
    }
}

fn class(name: &str) -> Option<Class> {
    match name.to_lowercase().as_str() {
        "person" => Some(Class::Person),
        "knife" => Some(Class::Knife),
        "gun" => Some(Class::Gun),
        _ => None,
    }
}

impl Manifest {
    fn check(&self, slot: ModelSlot) -> Result<(), String> {
        let word = |s: ModelSlot| format!("{s:?}").to_lowercase();
        if self.slot != slot {
            return Err(format!(
                "`slot` is \"{}\", but the configuration names it for \"{}\"",
                word(self.slot),
                word(slot)
            ));
        }
        let input = &self.input;
        for (key, side) in [("width", input.width), ("height", input.height)] {
            if !(8..=4096).contains(&side) {
                return Err(format!("`input.{key}` is {side}; it must be between 8 and 4096"));
            }
        }
        if input.std.iter().any(|s| !s.is_finite() || *s <= 0.0) || input.mean.iter().any(|m| !m.is_finite()) {
            return Err("`input.std` must be above 0 and `input.mean` a number, in 0–255".to_owned());
        }
        if self.sha256.len() != 64 || !self.sha256.chars().all(|c| c.is_ascii_hexdigit()) {
            return Err("`sha256` must have 64 hexadecimal digits".to_owned());
        }
        if let Some((name, value)) = self.thresholds.iter().find(|(_, v)| !(0.0..=1.0).contains(*v)) {
            return Err(format!("`thresholds.{name}` is {value}; it must be between 0 and 1"));
        }
        let known: Vec<Class> = self.classes.iter().filter_map(|c| class(c)).collect();
        match slot {
            ModelSlot::Detector | ModelSlot::Weapon if self.output.is_none() => {
                Err("`output` is missing: it says how boxes and scores lie".to_owned())
            }
            ModelSlot::Detector if !known.contains(&Class::Person) => {
                Err("`classes` has no \"person\": a detector must find persons".to_owned())
            }
            ModelSlot::Weapon if !known.iter().any(|c| *c != Class::Person) => {
                Err("`classes` has neither \"knife\" nor \"gun\"".to_owned())
            }
            ModelSlot::Appearance if self.length.is_none_or(|n| n < 2) => {
                Err("`length` is missing: how many numbers the vector has".to_owned())
            }
            ModelSlot::Outline if input.width != input.height => {
                Err("`input.width` and `input.height` of an outline model must be the same".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn check_output(&self, size: &[i64]) -> Result<(), String> {
        let (key, wanted, fits) = match (self.slot, &self.output) {
            (ModelSlot::Detector | ModelSlot::Weapon, Some(output)) => {
                let before = if output.layout == Layout::CentreObjectness { 5 } else { 4 };
                let values = before + self.classes.len() as i64;
                let at = if output.transposed { 1 } else { 2 };
                let wanted = if at == 1 { format!("[1, {values}, boxes]") } else { format!("[1, boxes, {values}]") };
                ("output.layout` or `classes", wanted, size.len() == 3 && size.get(at) == Some(&values))
            }
            (ModelSlot::Appearance, _) => {
                let length = self.length.unwrap_or(0);
                ("length", format!("[1, {length}]"), size.iter().product::<i64>() == length)
            }
            _ => {
                let pixels = self.input.width * self.input.height;
                let wanted = format!("[1, 1, {}, {}]", self.input.height, self.input.width);
                ("input", wanted, size.iter().product::<i64>() == pixels)
            }
        };
        if fits { Ok(()) } else { Err(format!("`{key}`: the model gives {size:?}, not {wanted}")) }
    }
}

fn first_line(error: &tch::TchError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{DescriptorKind, Timestamp},
        video::Color,
        vision::{Appearance, Detector, DetectorConfig, DeviceChoice, Outliner},
    };

    fn compute() -> Compute {
        Compute::choose(DeviceChoice::Cpu, 1).unwrap()
    }

    /// A TorchScript file made by tracing; its hash.
    fn save(path: &Path, input: &[i64], mut network: impl FnMut(&Tensor) -> Tensor) -> String {
        let _no_grad = tch::no_grad_guard();
        let x = Tensor::zeros(input, (Kind::Float, Device::Cpu));
        let mut run = |xs: &[Tensor]| vec![network(&xs[0])];
        CModule::create_by_tracing("model", "forward", &[x], &mut run).unwrap().save(path).unwrap();
        sha256_of(path).unwrap()
    }

    /// A detector of boxes at fixed places of a 64 × 64 input, whose scores for person, knife and gun are 0.9 for the first, second
    /// and third box, times how red the whole picture is.
    fn detector(dir: &Path) -> String {
        // Made before the tracing: how they are filled is not traced.
        let boxes = Tensor::from_slice(&[8f32, 8.0, 24.0, 40.0, 30.0, 20.0, 36.0, 24.0, 40.0, 20.0, 46.0, 26.0]);
        let scores = Tensor::from_slice(&[0.9f32, 0.0, 0.0, 0.0, 0.9, 0.0, 0.0, 0.0, 0.9]);
        let sha256 = save(&dir.join("net.pt"), &[1, 3, 64, 64], |x| {
            let red = x.select(1, 0).mean(Kind::Float).view([1, 1, 1]);
            Tensor::cat(&[boxes.view([1, 3, 4]), scores.view([1, 3, 3]) * red], 2)
        });
        let manifest = format!(
            "slot = \"detector\"\nname = \"Test net\"\nfile = \"net.pt\"\nsha256 = \"{sha256}\"\n\
             classes = [\"person\", \"knife\", \"gun\"]\n[input]\nwidth = 64\nheight = 64\ncolour = \"rgb\"\n\
             std = [255, 255, 255]\n[output]\nlayout = \"xyxy-scores\"\n[thresholds]\nperson = 0.3\n"
        );
        std::fs::write(dir.join("net.toml"), &manifest).unwrap();
        manifest
    }

    fn site() -> SiteModels {
        SiteModels { detector: Some("net.toml".into()), ..SiteModels::default() }
    }

    /// Full-range BT.601: a red picture, or a blue one.
    fn frame(red: bool) -> Frame {
        gstreamer::init().unwrap();
        let (w, h) = (128usize, 96usize);
        let (y, u, v) = if red { (76, 85, 255) } else { (29, 255, 107) };
        let mut bytes = vec![y; w * h];
        bytes.extend(vec![u; w * h / 4]);
        bytes.extend(vec![v; w * h / 4]);
        let color = Color { full_range: true, ..Color::BT601 };
        Frame::from_i420(128, 96, &bytes, color, 0, Timestamp(0)).unwrap()
    }

    #[test]
    fn a_sites_detector_finds_persons_knives_and_guns_where_the_manifest_says() {
        let dir = tempfile::tempdir().unwrap();
        detector(dir.path());
        let own = Detector::load_for_site(dir.path(), compute(), DetectorConfig::default(), &site()).unwrap();
        assert_eq!(own.name(), "Test net");
        let found = own.detect(&[frame(true), frame(false)]).unwrap();
        // Letterboxed by half: 128 × 96 becomes 64 × 48 in the corner, three quarters of the input are red.
        let mut classes: Vec<_> = found[0].iter().map(|d| d.class).collect();
        classes.sort();
        assert_eq!(classes, [Class::Person, Class::Knife, Class::Gun]);
        let person = found[0].iter().find(|d| d.class == Class::Person).unwrap();
        assert_eq!(person.rect, Rect::new(16.0, 16.0, 32.0, 64.0));
        assert!((person.score - 0.9 * 0.75).abs() < 0.02, "{person:?}");
        assert!(found[1].is_empty(), "a blue picture: red comes first in this network");
    }

    #[test]
    fn a_weapon_model_replaces_the_shipped_knives_and_adds_guns() {
        let dir = tempfile::tempdir().unwrap();
        let shipped = Path::new(".vigia/models").join(super::super::DETECTOR_FILE);
        if std::fs::copy(&shipped, dir.path().join(super::super::DETECTOR_FILE)).is_err() {
            return eprintln!("skipped: no such file: {}", shipped.display());
        }
        let manifest = detector(dir.path()).replace("\"detector\"", "\"weapon\"");
        std::fs::write(dir.path().join("guns.toml"), manifest).unwrap();
        let site = SiteModels { weapon: Some("guns.toml".into()), ..SiteModels::default() };
        let both = Detector::load_for_site(dir.path(), compute(), DetectorConfig::default(), &site).unwrap();
        assert_eq!(both.name(), "NanoDet-g, weapons by Test net");
        let found = both.detect(&[frame(true)]).unwrap();
        assert_eq!(found[0].iter().filter(|d| d.class == Class::Gun).count(), 1);
        assert!(found[0].iter().all(|d| d.class != Class::Person), "nobody is in a plain picture: {found:?}");
    }

    #[test]
    fn looks_and_outlines_come_from_a_sites_models_too() {
        let dir = tempfile::tempdir().unwrap();
        let sha256 = save(&dir.path().join("look.pt"), &[1, 3, 32, 16], |x| {
            x.mean_dim([2i64, 3].as_slice(), false, Kind::Float)
        });
        let head = |slot: &str, file: &str, sha256: &str, w: i64, h: i64| {
            format!(
                "slot = \"{slot}\"\nname = \"N\"\nfile = \"{file}\"\nsha256 = \"{sha256}\"\n[input]\nwidth = {w}\nheight = {h}\ncolour = \"bgr\"\n"
            )
        };
        let text = format!("length = 3\n{}", head("appearance", "look.pt", &sha256, 16, 32));
        std::fs::write(dir.path().join("look.toml"), text).unwrap();
        // Everything red is inside: B, G, R.
        let sha256 = save(&dir.path().join("mask.pt"), &[1, 3, 32, 32], |x| (x.select(1, 2) / 255.0).unsqueeze(1));
        std::fs::write(dir.path().join("mask.toml"), head("outline", "mask.pt", &sha256, 32, 32)).unwrap();
        let site = SiteModels {
            appearance: Some("look.toml".into()),
            outline: Some("mask.toml".into()),
            ..SiteModels::default()
        };
        let looks = Appearance::load_for_site(dir.path(), compute(), &site).unwrap();
        let rect = Rect::new(30.0, 10.0, 30.0, 80.0);
        let found = looks.describe(&frame(true), &[rect, Rect::new(0.0, 0.0, 2.0, 2.0)]).unwrap();
        let look = found[0].as_ref().unwrap();
        assert!(look.kind == DescriptorKind::Learned && look.vector.len() == 3 && look.vector[2] > 0.99, "{look:?}");
        assert!(found[1].is_none());
        let outliner = Outliner::load_for_site(dir.path(), compute(), &site).unwrap().unwrap();
        assert!(outliner.outline(&frame(true), rect).unwrap().is_some());
        assert_eq!(outliner.outline(&frame(false), rect).unwrap(), None);
    }

    #[test]
    fn mistakes_are_told_with_file_and_key() {
        let dir = tempfile::tempdir().unwrap();
        let right = detector(dir.path());
        let told = |text: &str| {
            std::fs::write(dir.path().join("net.toml"), text).unwrap();
            let error = Detector::load_for_site(dir.path(), compute(), DetectorConfig::default(), &site()).err();
            error.expect("a mistake").to_string()
        };
        for (from, to, key) in [
            ("sha256 = \"", "sha256 = \"00", "`sha256`"),
            ("file = \"net.pt\"", "file = \"other.pt\"", "other.pt"),
            ("slot = \"detector\"", "slot = \"outline\"", "`slot`"),
            ("slot = \"detector\"", "slott = \"detector\"", "slott"),
            ("\"person\", ", "\"bicycle\", ", "`classes`"),
            (", \"gun\"]", "]", "classes`: the model gives [1, 3, 7]"),
            ("xyxy-scores", "cxcywh-objectness-scores", "output.layout"),
            ("width = 64", "width = 4", "`input.width`"),
            ("height = 64\n", "", "height"),
            ("person = 0.3", "person = 3.0", "`thresholds.person`"),
            ("std = [255, 255, 255]", "std = [255, 0, 255]", "`input.std`"),
        ] {
            assert!(right.contains(from), "{from}");
            let told = told(&right.replace(from, to));
            assert!(told.contains("net.toml") && told.contains(key), "{key}: {told}");
        }
        let other = right.replace("sha256 = \"", "sha256 = \"f");
        assert!(told(&other).contains("64"), "too long");
        std::fs::write(dir.path().join("net.pt"), b"no module").unwrap();
        assert!(told(&right).contains("`sha256`"), "the file was changed");
        let hash = sha256_of(&dir.path().join("net.pt")).unwrap();
        let at = right.find("sha256 = \"").unwrap() + 10;
        let forged = format!("{}{hash}{}", &right[..at], &right[at + 64..]);
        assert!(told(&forged).contains("no TorchScript module"), "{}", told(&forged));
        std::fs::remove_file(dir.path().join("net.toml")).unwrap();
        let error = Detector::load_for_site(dir.path(), compute(), DetectorConfig::default(), &site()).err().unwrap();
        assert!(error.to_string().contains("net.toml"), "{error}");
    }
}
