//! From a mask of probabilities to one polygon: marching squares, then Douglas–Peucker.
use crate::model::Rect;

/// A closed ring of corners `[x, y]`; the last is joined with the first. A pixel's centre is at half a pixel.
pub(super) type Ring = Vec<[f32; 2]>;

/// The outer border of the region that has most of `window`, of those where the values of a square mask (`side` × `side`, row by
/// row) are at least `level`; placed between pixels by linear interpolation, clockwise on the screen. Holes are filled; regions that
/// touch only at a corner are two. `None` where there is none in the window.
pub(super) fn largest(mask: &[f32], side: usize, level: f32, window: &Rect) -> Option<Ring> {
    // Around the mask lies a frame of pixels that are out, so that every border closes.
    let wide = side + 2;
    let value = |x: usize, y: usize| -> f32 {
        if x == 0 || y == 0 || x > side || y > side {
            return -level.abs() - 1.0;
        }
        mask.get((y - 1) * side + x - 1).copied().unwrap_or(0.0)
    };
    // A border crosses edges of the grid between neighbouring centres. Edge 2n leads right from point n, edge 2n + 1 down.
    let point = |x: usize, y: usize| y * wide + x;
    let mut next = vec![0usize; 2 * wide * wide]; // 0: no border crosses here; edge 0 itself lies in the frame
    for y in 0..=side {
        for x in 0..=side {
            let inside = |dx: usize, dy: usize| value(x + dx, y + dy) >= level;
            let case = usize::from(inside(0, 0)) << 3
                | usize::from(inside(1, 0)) << 2
                | usize::from(inside(1, 1)) << 1
                | usize::from(inside(0, 1));
            let (top, left) = (2 * point(x, y), 2 * point(x, y) + 1);
            let (right, bottom) = (2 * point(x + 1, y) + 1, 2 * point(x, y + 1));
            // The region lies to the right of the way.
            let ways: &[(usize, usize)] = match case {
                1 => &[(left, bottom)],
                2 => &[(bottom, right)],
                3 => &[(left, right)],
                4 => &[(right, top)],
                5 => &[(right, top), (left, bottom)],
                6 => &[(bottom, top)],
                7 => &[(left, top)],
                8 => &[(top, left)],
                9 => &[(top, bottom)],
                10 => &[(top, left), (bottom, right)],
                11 => &[(top, right)],
                12 => &[(right, left)],
                13 => &[(right, bottom)],
                14 => &[(bottom, left)],
                _ => &[],
            };
            for (from, to) in ways {
                if let Some(slot) = next.get_mut(*from) {
                    *slot = *to;
                }
            }
        }
    }
    let crossing = |edge: usize| -> [f32; 2] {
        let (x, y) = (edge / 2 % wide, edge / 2 / wide);
        let down = edge % 2 == 1;
        let (a, b) = (value(x, y), value(x + usize::from(!down), y + usize::from(down)));
        // Towards the frame the border is the picture's own edge.
        let part = if a < 0.0 || b < 0.0 { 0.5 } else { ((level - a) / (b - a)).clamp(0.0, 1.0) };
        let (x, y) = (x as f32 - 0.5, y as f32 - 0.5);
        if down { [x, y + part] } else { [x + part, y] }
    };
    let mut best: Option<(f32, Ring)> = None;
    for start in 0..next.len() {
        let mut ring = Ring::new();
        let mut edge = start;
        while let Some(slot) = next.get_mut(edge).filter(|to| **to != 0) {
            ring.push(crossing(edge));
            edge = std::mem::take(slot);
        }
        // Pressed into the window, what lies outside has no area. Negative: the border of a hole.
        let pressed = |[x, y]: &[f32; 2]| [x.clamp(window.x, window.right()), y.clamp(window.y, window.bottom())];
        let size = area(&ring.iter().map(pressed).collect::<Ring>());
        if size > best.as_ref().map_or(0.0, |(size, _)| *size) {
            best = Some((size, ring));
        }
    }
    best.map(|(_, ring)| ring)
}

/// The area of a ring in square pixels; negative where it runs anticlockwise on the screen.
pub(super) fn area(ring: &[[f32; 2]]) -> f32 {
    let ends = ring.iter().cycle().skip(1);
    ring.iter().zip(ends).map(|([ax, ay], [bx, by])| ax * by - bx * ay).sum::<f32>() / 2.0
}

/// Fewer corners, none of those left out further than `tolerance` from the ring (Douglas & Peucker 1973); the tolerance grows until
/// at most `most` corners are left.
pub(super) fn simplified(ring: &[[f32; 2]], mut tolerance: f32, most: usize) -> Ring {
    loop {
        let simple = douglas_peucker(ring, tolerance);
        if simple.len() <= most.max(3) {
            return simple;
        }
        tolerance *= 1.4;
    }
}

fn douglas_peucker(ring: &[[f32; 2]], tolerance: f32) -> Ring {
    let Some(first) = ring.first() else { return Ring::new() };
    let apart = |p: &[f32; 2]| (p[0] - first[0]).hypot(p[1] - first[1]);
    // A ring is two lines: to the corner furthest from the first, and back.
    let half = (0..ring.len()).max_by(|a, b| {
        let of = |i: &usize| ring.get(*i).map_or(0.0, apart);
        of(a).total_cmp(&of(b))
    });
    let half = half.unwrap_or(0);
    let closed: Ring = ring.iter().chain(std::iter::once(first)).copied().collect();
    let mut keep = vec![false; closed.len()];
    let mut open = vec![(0, half), (half, closed.len() - 1)];
    while let Some((from, to)) = open.pop() {
        for end in [from, to] {
            if let Some(kept) = keep.get_mut(end) {
                *kept = true;
            }
        }
        let (Some(a), Some(b)) = (closed.get(from), closed.get(to)) else { continue };
        let between = closed.iter().enumerate().take(to).skip(from + 1);
        let furthest = between.map(|(i, p)| (i, distance(p, a, b))).max_by(|p, q| p.1.total_cmp(&q.1));
        if let Some((i, _)) = furthest.filter(|(_, d)| *d > tolerance) {
            open.extend([(from, i), (i, to)]);
        }
    }
    keep.pop(); // the first corner again
    ring.iter().zip(keep).filter(|(_, kept)| *kept).map(|(p, _)| *p).collect()
}

/// From a point to the line between two others.
fn distance(p: &[f32; 2], a: &[f32; 2], b: &[f32; 2]) -> f32 {
    let (dx, dy) = (b[0] - a[0], b[1] - a[1]);
    let length = dx.mul_add(dx, dy * dy);
    let along = if length > 0.0 { (((p[0] - a[0]) * dx + (p[1] - a[1]) * dy) / length).clamp(0.0, 1.0) } else { 0.0 };
    (p[0] - a[0] - along * dx).hypot(p[1] - a[1] - along * dy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mask(side: usize, inside: impl Fn(f32, f32) -> bool) -> Vec<f32> {
        let centre = |i: usize| i as f32 + 0.5;
        (0..side * side).map(|i| f32::from(u8::from(inside(centre(i % side), centre(i / side))))).collect()
    }

    fn whole(side: u16) -> Rect {
        Rect::new(0.0, 0.0, f32::from(side), f32::from(side))
    }

    #[test]
    fn the_largest_region_is_traced_and_its_hole_and_the_smaller_one_are_not() {
        let disc = |x: f32, y: f32, r: f32| move |px: f32, py: f32| (px - x).hypot(py - y) <= r;
        let (big, hole, small) = (disc(20.0, 30.0, 15.0), disc(20.0, 30.0, 4.0), disc(50.0, 50.0, 6.0));
        let ring = largest(&mask(64, |x, y| (big(x, y) && !hole(x, y)) || small(x, y)), 64, 0.5, &whole(64)).unwrap();
        let beside = Rect::new(42.0, 40.0, 20.0, 20.0);
        let other = largest(&mask(64, |x, y| big(x, y) || small(x, y)), 64, 0.5, &beside).unwrap();
        assert!((area(&other) / (std::f32::consts::PI * 36.0) - 1.0).abs() < 0.05, "{}", area(&other));
        assert!((area(&ring) / (std::f32::consts::PI * 225.0) - 1.0).abs() < 0.03, "{}", area(&ring));
        let simple = simplified(&ring, 0.7, 64);
        assert!(simple.len() < 24, "{}", simple.len());
        assert!((area(&simple) / area(&ring) - 1.0).abs() < 0.05);
    }

    #[test]
    fn a_region_at_the_edge_of_the_picture_closes_there_and_an_empty_one_is_none() {
        let ring = largest(&mask(16, |_, y| y > 8.0), 16, 0.5, &whole(16)).unwrap();
        assert!((area(&ring) - 128.0).abs() < 2.0, "{}", area(&ring));
        assert!(ring.iter().all(|[x, y]| (0.0..=16.0).contains(x) && (0.0..=16.0).contains(y)), "{ring:?}");
        assert_eq!(largest(&mask(16, |_, _| false), 16, 0.5, &whole(16)), None);
        assert_eq!(simplified(&[], 1.0, 64), Ring::new());
    }

    proptest! {
        #[test]
        fn any_mask_gives_a_ring_inside_the_picture_with_few_corners(values in prop::collection::vec(0.0f32..1.0, 144)) {
            if let Some(ring) = largest(&values, 12, 0.5, &whole(12)) {
                prop_assert!(area(&ring) > 0.0);
                let simple = simplified(&ring, 0.3, 20);
                prop_assert!(simple.len() <= 20);
                prop_assert!(simple.iter().flatten().all(|v| (0.0..=12.0).contains(v)));
            } else {
                prop_assert!(values.iter().all(|v| *v < 0.5));
            }
        }
    }
}
