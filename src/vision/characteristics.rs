//! What a crop tells of somebody's looks: the colours of the clothes, by their names.
use crate::{
    model::{Characteristics, ColourName, Outline, Rect, polygon_contains},
    video::Frame,
};

/// Longest side of the crop that is looked at, pixels.
const SIDE: u32 = 96;
/// Where clothes are, in parts of the person's height from the top: below the head to above the waist, and from the hips to the
/// ankles. The waist itself belongs to neither.
const UPPER: (f32, f32) = (0.2, 0.46);
const LOWER: (f32, f32) = (0.54, 0.88);
/// Without an outline only the middle of the box is looked at, in parts of its width.
const MIDDLE: (f32, f32) = (0.28, 0.72);
/// A colour that fewer of the pixels have than this does not name a garment.
const LEAST_SHARE: f32 = 0.34;
/// Fewer pixels say nothing.
const LEAST_PIXELS: u32 = 40;

/// Colours of the clothes of the person whose box is `rect`, within the outline where there is one, and the height of the box as a part
/// of the frame's. A colour is `None` where the pixels do not agree on one.
pub fn characteristics(frame: &Frame, rect: Rect, outline: Option<&Outline>) -> Characteristics {
    let (width, height) = (frame.width() as f32, frame.height() as f32);
    let tall = frame.in_whole(rect).h / frame.whole_size().1.max(1.0);
    let mut found = Characteristics { height: Some(tall), ..Characteristics::default() };
    let (Some(seen), Some(picture)) = (rect.clamped(width, height), frame.picture(rect, SIDE)) else { return found };
    let corners = outline.map(|o| o.on(&rect));
    let (columns, rows) = (picture.width() as usize, picture.height() as usize);
    let (mut upper, mut lower) = (Votes::default(), Votes::default());
    for (i, pixel) in picture.rgb().chunks_exact(3).enumerate() {
        let &[r, g, b] = pixel else { continue };
        let x = seen.x + ((i % columns) as f32 + 0.5) / columns as f32 * seen.w;
        let y = seen.y + ((i / columns) as f32 + 0.5) / rows as f32 * seen.h;
        let (across, down) = ((x - rect.x) / rect.w, (y - rect.y) / rect.h);
        let inside = match &corners {
            Some(corners) => polygon_contains(corners, x, y),
            None => (MIDDLE.0..=MIDDLE.1).contains(&across),
        };
        if !inside {
            continue;
        }
        if (UPPER.0..=UPPER.1).contains(&down) {
            upper.add(name([r, g, b]));
        } else if (LOWER.0..=LOWER.1).contains(&down) {
            lower.add(name([r, g, b]));
        }
    }
    (found.upper, found.lower) = (upper.winner(), lower.winner());
    found
}

#[derive(Default)]
struct Votes {
    counts: std::collections::BTreeMap<ColourName, u32>,
    all: u32,
}

impl Votes {
    fn add(&mut self, colour: ColourName) {
        *self.counts.entry(colour).or_default() += 1;
        self.all += 1;
    }

    fn winner(&self) -> Option<ColourName> {
        let (colour, count) = self.counts.iter().max_by_key(|(_, count)| **count)?;
        (self.all >= LEAST_PIXELS && *count as f32 >= LEAST_SHARE * self.all as f32).then_some(*colour)
    }
}

/// The name of a colour (sRGB): that of the nearest example in CIELAB, where distances are those that people see.
pub fn name(rgb: [u8; 3]) -> ColourName {
    let colour = lab(rgb);
    let distance = |example: &[f32; 3]| colour.iter().zip(example).map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
    let examples = EXAMPLES_LAB.get_or_init(|| EXAMPLES.map(|(rgb, name)| (lab(rgb), name)));
    examples.iter().min_by(|a, b| distance(&a.0).total_cmp(&distance(&b.0))).map_or(ColourName::Grey, |(_, name)| *name)
}

static EXAMPLES_LAB: std::sync::OnceLock<[([f32; 3], ColourName); EXAMPLES.len()]> = std::sync::OnceLock::new();

/// Named colours of the web (CSS Color Module Level 4, section "Named Colors") in the groups in which they are usually listed, and
/// darker and duller ones between them, as cameras see cloth.
#[rustfmt::skip]
const EXAMPLES: [([u8; 3], ColourName); 62] = {
    use ColourName::{Black, Blue, Brown, Green, Grey, Orange, Pink, Purple, Red, White, Yellow};
    [
        ([0, 0, 0], Black), ([28, 28, 30], Black), ([38, 36, 40], Black), ([22, 22, 42], Black), ([40, 26, 26], Black),
        ([84, 84, 84], Grey), ([105, 105, 105], Grey), ([128, 128, 128], Grey), ([169, 169, 169], Grey), ([192, 192, 192], Grey),
        ([112, 128, 144], Grey), ([120, 112, 108], Grey), ([62, 64, 66], Grey),
        ([255, 255, 255], White), ([245, 245, 245], White), ([220, 220, 220], White), ([240, 248, 255], White), ([250, 240, 230], White),
        ([255, 0, 0], Red), ([220, 20, 60], Red), ([178, 34, 34], Red), ([139, 0, 0], Red), ([205, 92, 92], Red), ([110, 28, 36], Red),
        ([255, 165, 0], Orange), ([255, 140, 0], Orange), ([255, 99, 71], Orange), ([255, 127, 80], Orange), ([220, 110, 40], Orange),
        ([255, 255, 0], Yellow), ([255, 215, 0], Yellow), ([240, 230, 140], Yellow), ([255, 250, 205], Yellow), ([205, 180, 50], Yellow),
        ([0, 128, 0], Green), ([0, 255, 0], Green), ([34, 139, 34], Green), ([0, 100, 0], Green), ([154, 205, 50], Green),
        ([85, 107, 47], Green), ([143, 188, 143], Green), ([60, 80, 60], Green), ([46, 139, 87], Green), ([0, 128, 128], Green),
        ([0, 0, 255], Blue), ([0, 0, 128], Blue), ([25, 25, 112], Blue), ([65, 105, 225], Blue), ([70, 130, 180], Blue),
        ([135, 206, 235], Blue), ([50, 60, 95], Blue), ([95, 115, 150], Blue), ([0, 191, 255], Blue),
        ([128, 0, 128], Purple), ([148, 0, 211], Purple), ([186, 85, 211], Purple), ([90, 60, 100], Purple),
        ([255, 192, 203], Pink), ([255, 105, 180], Pink),
        ([139, 69, 19], Brown), ([101, 67, 45], Brown), ([160, 120, 85], Brown),
    ]
};

/// CIELAB (1976) of an sRGB colour (IEC 61966-2-1) under D65.
fn lab(rgb: [u8; 3]) -> [f32; 3] {
    let linear = rgb.map(|c| {
        let c = f32::from(c) / 255.0;
        if c <= 0.040_45 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    });
    let [r, g, b] = linear;
    let xyz = [
        (0.412_456_4 * r + 0.357_576_1 * g + 0.180_437_5 * b) / 0.950_47,
        0.212_672_9 * r + 0.715_152_2 * g + 0.072_175 * b,
        (0.019_333_9 * r + 0.119_192 * g + 0.950_304_1 * b) / 1.088_83,
    ];
    let [x, y, z] = xyz.map(|t| {
        const D: f32 = 6.0 / 29.0;
        if t > D * D * D { t.cbrt() } else { t / (3.0 * D * D) + 4.0 / 29.0 }
    });
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::Timestamp, video::Color};

    /// A frame on which a person in these clothes (sRGB) stands before a wall, full-range BT.601.
    fn person(upper: [u8; 3], lower: [u8; 3], wall: [u8; 3], rect: Rect) -> Frame {
        gstreamer::init().unwrap();
        let (w, h) = (320usize, 240usize);
        let at = |x: usize, y: usize| {
            let (across, down) = ((x as f32 - rect.x) / rect.w, (y as f32 - rect.y) / rect.h);
            let body = (0.0..1.0).contains(&down) && (across - 0.5).abs() < 0.25;
            match body {
                true if down < 0.14 => [190, 150, 130],
                true if down < 0.5 => upper,
                true => lower,
                false => wall,
            }
        };
        let yuv = |[r, g, b]: [u8; 3]| {
            let [r, g, b] = [r, g, b].map(f32::from);
            let y = 0.299 * r + 0.587 * g + 0.114 * b;
            [y, 128.0 + (b - y) * 0.564, 128.0 + (r - y) * 0.713].map(|v| v.round().clamp(0.0, 255.0) as u8)
        };
        let mut bytes: Vec<u8> = (0..w * h).map(|i| yuv(at(i % w, i / w))[0]).collect();
        for plane in [1, 2] {
            bytes.extend((0..w * h / 4).map(|i| yuv(at(i % (w / 2) * 2, i / (w / 2) * 2))[plane]));
        }
        let color = Color { full_range: true, ..Color::BT601 };
        Frame::from_i420(320, 240, &bytes, color, 0, Timestamp(0)).unwrap()
    }

    #[test]
    fn clothes_are_named_as_people_name_them() {
        use ColourName::*;
        for (rgb, expected) in [
            ([15, 15, 18], Black),
            ([235, 235, 230], White),
            ([130, 130, 132], Grey),
            ([190, 25, 35], Red),
            ([240, 130, 20], Orange),
            ([235, 215, 40], Yellow),
            ([40, 120, 55], Green),
            ([50, 80, 160], Blue),
            ([110, 40, 130], Purple),
            ([245, 150, 185], Pink),
            ([115, 75, 45], Brown),
        ] {
            assert_eq!(name(rgb), expected, "{rgb:?}");
            let rect = Rect::new(100.0, 20.0, 80.0, 200.0);
            let frame = person(rgb, [40, 55, 110], [150, 150, 150], rect);
            let found = characteristics(&frame, rect, None);
            assert_eq!((found.upper, found.lower), (Some(expected), Some(Blue)), "{rgb:?}");
            assert!((found.height.unwrap() - 200.0 / 240.0).abs() < 1e-6);
        }
    }

    #[test]
    fn an_outline_keeps_the_wall_out_and_a_tiny_person_has_no_colours() {
        // The person stands in the left half of the box only; the wall is green.
        let body = Rect::new(60.0, 20.0, 80.0, 200.0);
        let frame = person([190, 25, 35], [15, 15, 18], [40, 120, 55], body);
        let rect = Rect::new(75.0, 20.0, 160.0, 200.0);
        let corners = [[80.0, 20.0], [120.0, 20.0], [120.0, 220.0], [80.0, 220.0]];
        let outline = Outline::new(&corners, &rect).unwrap();
        let inside = characteristics(&frame, rect, Some(&outline));
        assert_eq!((inside.upper, inside.lower), (Some(ColourName::Red), Some(ColourName::Black)));
        assert_eq!(
            characteristics(&frame, rect, None).upper,
            Some(ColourName::Green),
            "the box alone is mistaken here"
        );
        let tiny = characteristics(&frame, Rect::new(90.0, 60.0, 4.0, 10.0), None);
        assert_eq!((tiny.upper, tiny.lower), (None, None));
        assert_eq!(characteristics(&frame, Rect::new(900.0, 0.0, 4.0, 10.0), None).upper, None);
    }

    #[test]
    fn lab_of_known_colours() {
        // Reference values of the sRGB primaries (Lindbloom).
        for (rgb, expected) in [
            ([255, 255, 255], [100.0, 0.0, 0.0]),
            ([255, 0, 0], [53.24, 80.09, 67.2]),
            ([0, 0, 255], [32.3, 79.19, -107.86]),
        ] {
            assert!(lab(rgb).iter().zip(expected).all(|(a, b): (&f32, f32)| (a - b).abs() < 0.1), "{:?}", lab(rgb));
        }
    }
}
