//! Frames that show a part of a camera's picture: small copies, which keep nothing of the decoder's memory and know where in the picture they lie.
use super::{Color, Frame, Layout, Plane};
use crate::model::{Picture, Rect, Timestamp};

/// Which part of a camera's picture a frame shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Part {
    /// Left top corner, pixels of the whole picture.
    corner: (f32, f32),
    /// Pixels of the whole picture along one pixel of the frame.
    step: f32,
    /// Width and height of the whole picture.
    whole: (f32, f32),
}

/// What the numbers in a JPEG mean.
const JPEG: Color = Color { full_range: true, ..Color::BT601 };

impl Frame {
    /// A copy of what lies under `rect`, by itself. Scaled down by a whole number where a side would be longer than `most_side`. `None` when `rect`
    /// lies outside the frame.
    pub fn cut(&self, rect: Rect, most_side: u32) -> Option<Self> {
        let r = rect.clamped(self.width() as f32, self.height() as f32)?;
        // From an even corner, where a sample of colour begins.
        let corner = |v: f32| v.floor() as usize & !1;
        let (x, y) = (corner(r.x), corner(r.y));
        let (across, down) = (r.right().ceil() as usize - x, r.bottom().ceil() as usize - y);
        let step = across.max(down).div_ceil(most_side.max(2) as usize).max(1);
        let side = |pixels: usize| pixels.div_ceil(step).next_multiple_of(2);
        let (w, h) = (side(across), side(down));
        let planes: Vec<_> = self.planes().collect();
        let mut bytes = Vec::with_capacity(w * h * 3 / 2);
        planes.first()?.shrink((x, y), (w, h), step, 0, &mut bytes);
        for i in 0..2 {
            let (plane, byte) = match self.layout() {
                Layout::I420 => (planes.get(1 + i)?, 0),
                Layout::Nv12 => (planes.get(1)?, i),
            };
            plane.shrink((x / 2, y / 2), (w / 2, h / 2), step, byte, &mut bytes);
        }
        let cut = Self::from_i420(w as u32, h as u32, &bytes, self.color(), self.seq(), self.captured_at()).ok()?;
        let shown = self.in_whole(Rect::new(x as f32, y as f32, step as f32, 0.0));
        cut.into_part(Part { corner: (shown.x, shown.y), step: shown.w, whole: self.whole_size() })
    }

    /// A stored picture of what lay under `region` of a picture of the size `whole` at that instant. `None` where it is no picture.
    pub fn of_picture(picture: &Picture, region: Rect, whole: (f32, f32), at: Timestamp) -> Option<Self> {
        let (w, h) = (picture.width() as usize, picture.height() as usize);
        let pixels = picture.rgb().as_chunks::<3>().0;
        let (kr, kb) = (JPEG.kr, JPEG.kb);
        let split = |[r, g, b]: [f32; 3]| {
            let y = kr * r + (1.0 - kr - kb) * g + kb * b;
            [y, 128.0 + (b - y) / (2.0 - 2.0 * kb), 128.0 + (r - y) / (2.0 - 2.0 * kr)]
        };
        let byte = |v: f32| v.round().clamp(0.0, 255.0) as u8;
        let mut bytes: Vec<u8> = pixels.iter().map(|p| byte(split(p.map(f32::from))[0])).collect();
        let (mut blue, mut red) = (Vec::new(), Vec::new());
        for y in (0..h).step_by(2) {
            for x in (0..w).step_by(2) {
                let mut sum = [0.0f32; 3];
                for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                    let pixel = pixels.get((y + dy).min(h - 1) * w + (x + dx).min(w - 1))?;
                    sum.iter_mut().zip(pixel).for_each(|(sum, v)| *sum += f32::from(*v) / 4.0);
                }
                let [_, b, r] = split(sum);
                blue.push(byte(b));
                red.push(byte(r));
            }
        }
        bytes.append(&mut blue);
        bytes.append(&mut red);
        let frame = Self::from_i420(picture.width(), picture.height(), &bytes, JPEG, 0, at).ok()?;
        frame.into_part(Part { corner: (region.x, region.y), step: region.w / w as f32, whole })
    }

    /// Whether this shows a part of a picture only.
    pub fn is_part(&self) -> bool {
        self.part().is_some()
    }

    /// Width and height of the whole picture of its camera.
    pub fn whole_size(&self) -> (f32, f32) {
        self.part().map_or((self.width() as f32, self.height() as f32), |part| part.whole)
    }

    /// A box on this frame, in pixels of the whole picture of its camera.
    pub fn in_whole(&self, rect: Rect) -> Rect {
        let Some(Part { corner: (x, y), step, .. }) = self.part() else { return rect };
        Rect::new(x + rect.x * step, y + rect.y * step, rect.w * step, rect.h * step)
    }

    /// A box in pixels of the whole picture, on this frame.
    pub fn in_part(&self, rect: Rect) -> Rect {
        let Some(Part { corner: (x, y), step, .. }) = self.part() else { return rect };
        Rect::new((rect.x - x) / step, (rect.y - y) / step, rect.w / step, rect.h / step)
    }
}

impl Plane<'_> {
    /// Appends `size` samples from `corner` on, each the mean of `step` by `step`; beyond the edge the last ones again. `byte` of each sample.
    fn shrink(&self, corner: (usize, usize), size: (usize, usize), step: usize, byte: usize, to: &mut Vec<u8>) {
        let at = |x: usize, y: usize| {
            let (x, y) = (x.min(self.width.saturating_sub(1)), y.min(self.height.saturating_sub(1)));
            self.data.get(y * self.stride + x * self.bytes_per_sample + byte).copied().unwrap_or(0)
        };
        for row in 0..size.1 {
            for column in 0..size.0 {
                let (x, y) = (corner.0 + column * step, corner.1 + row * step);
                let sum: usize = (0..step * step).map(|i| usize::from(at(x + i % step, y + i / step))).sum();
                to.push(u8::try_from(sum / (step * step)).unwrap_or(u8::MAX));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_picture_is_a_part_with_its_colours_and_its_place() {
        gstreamer::init().unwrap();
        let at = |x: u32, y: u32| if x < 20 { [200, 40, 60] } else { [30, 120, 10 + y as u8] };
        let rgb = (0..61).flat_map(|y| (0..41).flat_map(move |x| at(x, y))).collect();
        let picture = Picture::new(41, 61, rgb).unwrap();
        let region = Rect::new(100.0, 50.0, 82.0, 122.0);
        let frame = Frame::of_picture(&picture, region, (640.0, 480.0), Timestamp(7)).unwrap();
        assert_eq!((frame.captured_at(), frame.whole_size()), (Timestamp(7), (640.0, 480.0)));
        assert_eq!(frame.in_whole(Rect::new(0.0, 0.0, 41.0, 61.0)), region);
        let again = frame.picture(Rect::new(0.0, 0.0, 41.0, 61.0), 64).unwrap();
        let far = again.rgb().iter().zip(picture.rgb()).filter(|(a, b)| a.abs_diff(**b) > 4).count();
        assert!(far < 61 * 3 * 2, "{far} of {} differ: more than where the colours meet", again.rgb().len());
    }

    /// A picture in which every pixel of luma tells where it is.
    fn slanted(w: u32, h: u32) -> Frame {
        gstreamer::init().unwrap();
        let mut bytes: Vec<u8> = (0..h).flat_map(|y| (0..w).map(move |x| (x + 2 * y) as u8)).collect();
        bytes.extend((0..h.div_ceil(2)).flat_map(|_| (0..w.div_ceil(2)).map(|x| 60 + x as u8)));
        bytes.extend((0..h.div_ceil(2)).flat_map(|y| (0..w.div_ceil(2)).map(move |_| 90 + y as u8)));
        Frame::from_i420(w, h, &bytes, Color::BT709, 7, Timestamp(5)).unwrap()
    }

    #[test]
    fn a_part_shows_the_same_pixels_and_knows_where_they_were() {
        let whole = slanted(80, 60);
        let person = Rect::new(21.0, 11.0, 12.0, 30.0);
        let part = whole.cut(person.grown(0.1), 512).unwrap();
        assert!(part.is_part() && !whole.is_part());
        assert!(part.width() < 20 && part.height() < 42, "{part:?}");
        assert_eq!((part.seq(), part.captured_at(), part.color()), (7, Timestamp(5), Color::BT709));
        let place = part.in_part(person);
        assert_eq!((part.in_whole(place), part.whole_size()), (person, (80.0, 60.0)));
        assert_eq!(part.picture(place, 64), whole.picture(person, 64));
        assert!(whole.cut(Rect::new(200.0, 0.0, 10.0, 10.0), 512).is_none());
    }

    #[test]
    fn a_large_part_is_scaled_down_and_still_knows_its_place() {
        let whole = slanted(81, 61); // odd: the last sample of colour stands for one pixel
        let person = Rect::new(2.0, 4.0, 79.0, 57.0);
        let part = whole.cut(person, 40).unwrap();
        assert!(part.width() <= 42 && part.height() <= 42, "{part:?}");
        let again = part.in_whole(part.in_part(person));
        assert!((again.x - person.x).abs() < 1e-3 && (again.bottom() - person.bottom()).abs() < 1e-3, "{again:?}");
        let luma: Vec<u8> = part.planes().next().unwrap().data[..4].to_vec();
        // the means of 2 by 2 pixels, whose first is (2 + 2·4)
        assert_eq!(luma, [11, 13, 15, 17]);
    }
}
