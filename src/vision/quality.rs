//! Whether a crop shows a person well enough to be compared with others: size, sharpness, what stands before it, the picture's edge.
use crate::{model::Rect, video::Frame};

/// A person lower or narrower than this, in pixels, says too little.
const LEAST_HEIGHT: f32 = 40.0;
const LEAST_WIDTH: f32 = 14.0;
/// At most this part of the box may be covered by somebody who stands nearer.
const MOST_COVERED: f32 = 0.35;
/// A box that ends at a side of the picture and is narrower than this, of its height, is half a person; one that ends at its top or
/// bottom and is wider than [`WIDEST_CUT`] likewise. Standing people are .3 to .5 wide.
const NARROWEST_CUT: f32 = 0.28;
const WIDEST_CUT: f32 = 0.55;
/// A box that is wider than this, of its height, may show a part of a standing person only. Measured on every tenth frame of vtest.avi: of 419
/// people seen whole one is wider; with a sign painted before the lower third, half or two thirds of them 28, 74 and 95 % are.
const WIDEST: f32 = 0.6;
/// How near to the edge a box ends there, pixels.
const EDGE: f32 = 2.0;
/// A crop with less than this part of the sharpness usual in its camera is blurred. Measured on the same people: none is less sharp than that;
/// smeared sideways by 5, 7, 9 or 13 pixels, about 40 being a person's width, 57, 70, 76 and 80 % are.
const LEAST_SHARPNESS: f32 = 0.5;
/// Weight of the newest crop in what is usual.
const LEARNING: f32 = 0.02;
/// Points measured along each side of a crop.
const SAMPLES: usize = 24;

/// How well one crop shows a person.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Look {
    /// The greater the better; comparable within one camera only.
    pub quality: f32,
    /// Good enough to enter a gallery.
    pub good: bool,
    /// What an operator should know of it.
    pub flaw: Option<Flaw>,
}

/// Why a crop is a bad one to look for somebody by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The box lies outside the picture.
    Outside,
    /// Too few pixels.
    Small,
    /// Somebody stands before the person.
    Covered,
    /// The edge of the picture cuts the person off.
    Cut,
    /// Less sharp than usual in its camera.
    Blurred,
    /// Wider than a standing person is. Somebody who sits or bends down is that wide as well, so such a crop may enter a gallery all the same.
    Partial,
}

impl Flaw {
    /// In words for the operator.
    pub fn words(self) -> &'static str {
        match self {
            Self::Outside => "This person is outside the picture",
            Self::Small => "This person is too small in the picture to be compared well",
            Self::Covered => "Somebody nearer to the camera covers this person",
            Self::Cut => "The edge of the picture cuts this person off",
            Self::Blurred => "This picture is blurred",
            Self::Partial => "Only a part of this person may be visible",
        }
    }
}

/// Judges the crops of one camera. Sharpness is judged by what is usual there: a soft lens is not blur.
#[derive(Clone, Debug, Default)]
pub struct QualityGate {
    usual_sharpness: Option<f32>,
}

impl QualityGate {
    /// How well the person at `rect` is seen; `all` are the boxes of everybody on the frame, this one included.
    pub fn look(&mut self, frame: &Frame, rect: Rect, all: &[Rect]) -> Look {
        let size = (frame.width() as f32, frame.height() as f32);
        let Some(visible) = rect.clamped(size.0, size.1) else {
            return Look { flaw: Some(Flaw::Outside), ..Look::default() };
        };
        let sharpness = sharpness(frame, visible);
        let usual = *self.usual_sharpness.get_or_insert(sharpness);
        self.usual_sharpness = Some(usual + LEARNING * (sharpness - usual));
        let (covered, cut) = (covered(rect, all), is_cut(rect, size));
        let shown = (1.0 - covered).max(0.0) * visible.area() / rect.area().max(1.0);
        let flaw = flaw(rect, visible, covered, cut, sharpness < LEAST_SHARPNESS * usual);
        Look {
            quality: visible.area().sqrt() * sharpness.max(1e-3) * shown * if cut { 0.5 } else { 1.0 },
            good: flaw.is_none_or(|flaw| flaw == Flaw::Partial),
            flaw,
        }
    }

    /// How sharp crops of this camera usually are; `None` before the first.
    pub fn usual_sharpness(&self) -> Option<f32> {
        self.usual_sharpness
    }
}

/// Why the person at `rect` is seen too badly to be compared with others; `all` are the boxes of everybody known on the frame. Whether it is
/// blurred is told where `usual` is known, see [`QualityGate::usual_sharpness`].
pub fn why_poor(frame: &Frame, rect: Rect, all: &[Rect], usual: Option<f32>) -> Option<Flaw> {
    // A frame that is a part of a picture is judged by that: its own edges are no edges.
    let (size, shown) = (frame.whole_size(), rect);
    let rect = frame.in_whole(rect);
    let Some(visible) = rect.clamped(size.0, size.1) else { return Some(Flaw::Outside) };
    let blurred = usual.is_some_and(|usual| sharpness(frame, shown) < LEAST_SHARPNESS * usual);
    flaw(rect, visible, covered(rect, all), is_cut(rect, size), blurred)
}

/// The first that holds; [`Flaw::Partial`] is the last, being the least certain.
fn flaw(rect: Rect, visible: Rect, covered: f32, cut: bool, blurred: bool) -> Option<Flaw> {
    if visible.h < LEAST_HEIGHT || visible.w < LEAST_WIDTH {
        Some(Flaw::Small)
    } else if covered > MOST_COVERED {
        Some(Flaw::Covered)
    } else if cut {
        Some(Flaw::Cut)
    } else if blurred {
        Some(Flaw::Blurred)
    } else if rect.w > WIDEST * rect.h {
        Some(Flaw::Partial)
    } else {
        None
    }
}

/// The part of `rect` that somebody nearer covers. Who stands on the ground nearer to the camera ends lower in the picture.
fn covered(rect: Rect, all: &[Rect]) -> f32 {
    let nearer = all.iter().filter(|o| **o != rect && o.bottom() > rect.bottom());
    nearer.map(|o| o.intersection(&rect).area()).sum::<f32>() / rect.area().max(1.0)
}

fn is_cut(r: Rect, (width, height): (f32, f32)) -> bool {
    let aspect = r.w / r.h.max(1.0);
    let sides = r.x <= EDGE || r.right() >= width - EDGE;
    let ends = r.y <= EDGE || r.bottom() >= height - EDGE;
    (sides && aspect < NARROWEST_CUT) || (ends && aspect > WIDEST_CUT)
}

/// Mean absolute Laplacian of the luma over its spread, on a grid as fine for near people as for far ones: falls with blur, hardly
/// with light.
fn sharpness(frame: &Frame, r: Rect) -> f32 {
    let Some(luma) = frame.planes().next() else { return 0.0 };
    let step = ((r.h / 96.0).round() as usize).max(1);
    let at = |x: usize, y: usize| {
        let (x, y) = (x.min(luma.width.saturating_sub(1)), y.min(luma.height.saturating_sub(1)));
        luma.data.get(y * luma.stride + x).map_or(0.0, |v| f32::from(*v))
    };
    let (mut laplacian, mut sum, mut squares, mut n) = (0.0f32, 0.0f32, 0.0f32, 0.0f32);
    for i in 0..SAMPLES {
        for j in 0..SAMPLES {
            let x = (r.x + r.w * (i as f32 + 0.5) / SAMPLES as f32) as usize;
            let y = (r.y + r.h * (j as f32 + 0.5) / SAMPLES as f32) as usize;
            let c = at(x, y);
            let around =
                at(x.saturating_sub(step), y) + at(x + step, y) + at(x, y.saturating_sub(step)) + at(x, y + step);
            laplacian += (4.0 * c - around).abs();
            sum += c;
            squares += c * c;
            n += 1.0;
        }
    }
    let spread = (squares / n - (sum / n).powi(2)).max(0.0).sqrt();
    laplacian / n / (spread + 4.0) // 4 grey levels: noise on a plain surface is no detail
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::prerequisites,
        model::{Class, Timestamp},
        site,
        video::{self, Color},
        vision,
    };

    #[test]
    fn why_a_picture_is_a_poor_one_is_told_in_words() {
        let frame = striped(2);
        let person = Rect::new(100.0, 60.0, 40.0, 120.0);
        assert_eq!(why_poor(&frame, person, &[person], None), None);
        let told = |rect: Rect, all: &[Rect]| why_poor(&frame, rect, all, None).map_or("", Flaw::words);
        assert!(told(Rect::new(100.0, 60.0, 10.0, 30.0), &[]).contains("too small"));
        assert!(told(person, &[person, Rect::new(105.0, 90.0, 60.0, 120.0)]).contains("covers"));
        assert!(told(Rect::new(0.0, 60.0, 20.0, 120.0), &[]).contains("edge"));
        let part = frame.cut(Rect::new(100.0, 60.0, 30.0, 120.0), 512).unwrap();
        let narrow = part.in_part(Rect::new(101.0, 60.0, 29.0, 120.0));
        assert_eq!(why_poor(&part, narrow, &[], None), None, "what was cut out is not cut off");
        assert!(told(Rect::new(900.0, 60.0, 40.0, 120.0), &[]).contains("outside"));
        assert!(told(Rect::new(100.0, 60.0, 60.0, 60.0), &[]).contains("a part"));
        let mut gate = QualityGate::default();
        gate.look(&frame, person, &[]);
        let usual = gate.usual_sharpness();
        assert_eq!(why_poor(&frame, person, &[], usual), None);
        assert_eq!(why_poor(&striped(16), person, &[], usual), Some(Flaw::Blurred));
    }

    /// A picture of stripes, each `width` pixels wide.
    fn striped(width: usize) -> Frame {
        gstreamer::init().unwrap();
        let mut bytes = vec![128u8; 320 * 240 * 3 / 2];
        for (i, v) in bytes.iter_mut().take(320 * 240).enumerate() {
            *v = if (i % 320 / width).is_multiple_of(2) { 40 } else { 200 };
        }
        Frame::from_i420(320, 240, &bytes, Color::BT601, 0, Timestamp(0)).unwrap()
    }

    #[test]
    fn small_covered_cut_and_blurred_crops_do_not_pass() {
        let frame = striped(2);
        let whole = Rect::new(100.0, 50.0, 40.0, 100.0);
        let mut gate = QualityGate::default();
        assert!(gate.look(&frame, whole, &[whole]).good);
        let small = Rect::new(100.0, 50.0, 12.0, 30.0);
        assert!(!gate.look(&frame, small, &[small]).good);
        let nearer = Rect::new(110.0, 60.0, 40.0, 110.0);
        assert!(!gate.look(&frame, whole, &[whole, nearer]).good);
        assert!(gate.look(&frame, nearer, &[whole, nearer]).good, "whoever stands before others is seen whole");
        for cut in [Rect::new(0.0, 50.0, 20.0, 100.0), Rect::new(100.0, 180.0, 40.0, 60.0)] {
            assert!(!gate.look(&frame, cut, &[cut]).good, "{cut:?}");
        }
        // the same camera, the same place, fewer edges
        assert!(!gate.look(&striped(16), whole, &[whole]).good);
    }

    #[test]
    fn a_soft_camera_is_judged_by_itself() {
        let whole = Rect::new(100.0, 50.0, 40.0, 100.0);
        assert!(QualityGate::default().look(&striped(16), whole, &[whole]).good);
    }

    #[test]
    fn of_two_crops_the_larger_and_less_covered_is_better() {
        let frame = striped(2);
        let (near, far) = (Rect::new(100.0, 50.0, 40.0, 100.0), Rect::new(100.0, 50.0, 20.0, 50.0));
        let mut gate = QualityGate::default();
        let [large, small, covered] =
            [(near, vec![near]), (far, vec![far]), (near, vec![near, Rect::new(120.0, 60.0, 40.0, 110.0)])]
                .map(|(r, all)| gate.look(&frame, r, &all).quality);
        assert!(large > small && large > covered, "{large} {small} {covered}");
    }

    fn detector() -> vision::Detector {
        gstreamer::init().unwrap();
        let compute = vision::Compute::choose(vision::DeviceChoice::Cpu, 2).unwrap();
        let kind = site::SiteConfig::default().analysis.detector;
        let models = prerequisites::models_dir(None);
        vision::Detector::load_for_site(&models, compute, kind, &vision::SiteModels::default()).unwrap()
    }

    fn people(detector: &vision::Detector, frame: &Frame, least: f32) -> Vec<Rect> {
        let found = detector.detect(std::slice::from_ref(frame)).unwrap().pop().unwrap();
        found.iter().filter(|d| d.class == Class::Person && d.score > least).map(|d| d.rect).collect()
    }

    /// Every twentieth frame of the demo's footage with the people on it.
    fn footage(detector: &vision::Detector) -> Vec<(Frame, Vec<Rect>)> {
        let (mut all, mut number) = (Vec::new(), 0);
        video::read_file_from(&prerequisites::footage("vtest.avi"), Timestamp(0), |frame| {
            number += 1;
            if number % 20 == 0 {
                let found = people(detector, &frame, 0.5);
                all.push((frame, found));
            }
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
        all
    }

    /// The samples of a picture, plane by plane.
    fn samples(frame: &Frame) -> Vec<u8> {
        let rows = frame.planes().flat_map(|p| p.data.chunks(p.stride).take(p.height).map(move |row| &row[..p.width]));
        rows.flatten().copied().collect()
    }

    /// The picture with a grey sign in it.
    fn with_sign(frame: &Frame, sign: Rect) -> Frame {
        let mut bytes = samples(frame);
        let (w, h) = (frame.width() as usize, frame.height() as usize);
        for y in (sign.y.max(0.0) as usize)..(sign.bottom() as usize).min(h) {
            for x in (sign.x.max(0.0) as usize)..(sign.right() as usize).min(w) {
                bytes[y * w + x] = 190;
                let chroma = w * h + (y / 2) * (w / 2) + x / 2;
                (bytes[chroma], bytes[chroma + w * h / 4]) = (128, 128);
            }
        }
        Frame::from_i420(frame.width(), frame.height(), &bytes, frame.color(), 0, Timestamp(0)).unwrap()
    }

    /// The picture as it is where everything moves sideways by so many pixels while it is taken.
    fn smeared(frame: &Frame, pixels: usize) -> Frame {
        let mut bytes = samples(frame);
        let (w, h) = (frame.width() as usize, frame.height() as usize);
        for row in bytes[..w * h].chunks_mut(w) {
            let sharp = row.to_vec();
            for (x, v) in row.iter_mut().enumerate() {
                let around = &sharp[x.saturating_sub(pixels / 2)..(x + pixels.div_ceil(2)).min(w)];
                *v = (around.iter().map(|v| u32::from(*v)).sum::<u32>() / around.len() as u32) as u8;
            }
        }
        Frame::from_i420(frame.width(), frame.height(), &bytes, frame.color(), 0, Timestamp(0)).unwrap()
    }

    fn part(of: &[Option<Flaw>], flaw: Flaw) -> f32 {
        of.iter().filter(|f| **f == Some(flaw)).count() as f32 / of.len() as f32
    }

    #[test]
    fn on_real_footage_blur_and_signs_are_told_and_whoever_is_seen_well_is_not_warned_of() {
        let detector = detector();
        let mut gate = QualityGate::default();
        let (mut well, mut blurred, mut behind) = (Vec::new(), Vec::new(), Vec::new());
        for (frame, all) in footage(&detector) {
            for r in &all {
                gate.look(&frame, *r, &all);
            }
            let usual = gate.usual_sharpness();
            let size = (frame.width() as f32, frame.height() as f32);
            let whole = |r: &&Rect| r.h >= 60.0 && r.w >= LEAST_WIDTH && covered(**r, &all) < 0.1 && !is_cut(**r, size);
            let smear = smeared(&frame, 9);
            for r in all.iter().filter(whole) {
                well.push(why_poor(&frame, *r, &all, usual));
                blurred.push(why_poor(&smear, *r, &all, usual));
            }
            // A sign before the lower half of the tallest: what the detector makes of the rest.
            let Some(r) = all.iter().filter(whole).max_by(|a, b| a.h.total_cmp(&b.h)) else { continue };
            let rest = Rect::new(r.x, r.y, r.w, r.h / 2.0);
            let sign = with_sign(&frame, Rect::new(r.x - 20.0, rest.bottom(), r.w + 40.0, r.h / 2.0 + 10.0));
            let left = people(&detector, &sign, 0.35).into_iter();
            let left = left.max_by(|a, b| a.iou(&rest).total_cmp(&b.iou(&rest))).filter(|d| d.iou(&rest) > 0.4);
            behind.extend(left.map(|d| why_poor(&sign, d, &[], usual)));
        }
        assert!(well.len() > 100 && behind.len() > 20, "{} {}", well.len(), behind.len());
        let warned = well.iter().filter(|f| f.is_some()).count() as f32 / well.len() as f32;
        let (blurred, behind) = (part(&blurred, Flaw::Blurred), part(&behind, Flaw::Partial));
        assert!(warned < 0.02 && blurred > 0.65 && behind > 0.6, "{warned} {blurred} {behind}");
    }
}
