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
/// How near to the edge a box ends there, pixels.
const EDGE: f32 = 2.0;
/// A crop with less than this part of the sharpness usual in its camera is blurred.
const LEAST_SHARPNESS: f32 = 0.5;
/// Weight of the newest crop in what is usual.
const LEARNING: f32 = 0.02;
/// Points measured along each side of a crop.
const SAMPLES: usize = 24;

/// How well one crop shows a person.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// The greater the better; comparable within one camera only.
    pub quality: f32,
    /// Good enough to enter a gallery.
    pub good: bool,
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
        let Some(visible) = rect.clamped(size.0, size.1) else { return Look { quality: 0.0, good: false } };
        let sharpness = sharpness(frame, visible);
        let usual = *self.usual_sharpness.get_or_insert(sharpness);
        self.usual_sharpness = Some(usual + LEARNING * (sharpness - usual));
        let (covered, cut) = (covered(rect, all), is_cut(rect, size));
        let shown = (1.0 - covered).max(0.0) * visible.area() / rect.area().max(1.0);
        Look {
            quality: visible.area().sqrt() * sharpness.max(1e-3) * shown * if cut { 0.5 } else { 1.0 },
            good: flaw(visible, covered, cut).is_none() && sharpness >= LEAST_SHARPNESS * usual,
        }
    }
}

/// Why the person at `rect` is seen too badly to be compared with others, in words for the operator; `all` are the boxes of everybody
/// known on the frame. How sharp it is only a [`QualityGate`] knows, which has seen more of that camera.
pub fn why_poor(frame: &Frame, rect: Rect, all: &[Rect]) -> Option<&'static str> {
    let size = (frame.width() as f32, frame.height() as f32);
    match rect.clamped(size.0, size.1) {
        Some(visible) => flaw(visible, covered(rect, all), is_cut(rect, size)),
        None => Some("This person is outside the picture"),
    }
}

fn flaw(visible: Rect, covered: f32, cut: bool) -> Option<&'static str> {
    if visible.h < LEAST_HEIGHT || visible.w < LEAST_WIDTH {
        Some("This person is too small in the picture to be compared well")
    } else if covered > MOST_COVERED {
        Some("Somebody nearer to the camera covers this person")
    } else if cut {
        Some("The edge of the picture cuts this person off")
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
    use crate::{model::Timestamp, video::Color};

    #[test]
    fn why_a_picture_is_a_poor_one_is_told_in_words() {
        let frame = striped(2);
        let person = Rect::new(100.0, 60.0, 40.0, 120.0);
        assert_eq!(why_poor(&frame, person, &[person]), None);
        let told = |rect: Rect, all: &[Rect]| why_poor(&frame, rect, all).unwrap_or_default();
        assert!(told(Rect::new(100.0, 60.0, 10.0, 30.0), &[]).contains("too small"));
        assert!(told(person, &[person, Rect::new(105.0, 90.0, 60.0, 120.0)]).contains("covers"));
        assert!(told(Rect::new(0.0, 60.0, 20.0, 120.0), &[]).contains("edge"));
        assert!(told(Rect::new(900.0, 60.0, 40.0, 120.0), &[]).contains("outside"));
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
}
