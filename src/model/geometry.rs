//! Boxes in an image, and outlines in boxes. Pixels, origin top left, x right, y down.
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// An axis-aligned box in pixels; `w` and `h` are never negative in a box that [`Rect::from_corners`] made.
#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Rect {
    /// Left edge.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Width.
    pub w: f32,
    /// Height.
    pub h: f32,
}

impl Rect {
    /// The box with this left top corner, width and height.
    pub const fn new(x: f32, y: f32, w: f32, h: f32) -> Self {
        Self { x, y, w, h }
    }

    /// The box between two corners; an inverted side becomes zero.
    pub fn from_corners(x0: f32, y0: f32, x1: f32, y1: f32) -> Self {
        Self::new(x0, y0, (x1 - x0).max(0.0), (y1 - y0).max(0.0))
    }

    /// Right edge.
    pub fn right(&self) -> f32 {
        self.x + self.w
    }

    /// Bottom edge.
    pub fn bottom(&self) -> f32 {
        self.y + self.h
    }

    /// Area in square pixels.
    pub fn area(&self) -> f32 {
        self.w * self.h
    }

    /// Centre point.
    pub fn center(&self) -> (f32, f32) {
        (self.x + self.w / 2.0, self.y + self.h / 2.0)
    }

    /// The common part of two boxes; empty (zero area) when they do not touch.
    pub fn intersection(&self, other: &Self) -> Self {
        Self::from_corners(
            self.x.max(other.x),
            self.y.max(other.y),
            self.right().min(other.right()),
            self.bottom().min(other.bottom()),
        )
    }

    /// Intersection over union, in `0.0..=1.0`; 0 for empty boxes.
    pub fn iou(&self, other: &Self) -> f32 {
        let common = self.intersection(other).area();
        let union = self.area() + other.area() - common;
        if union > 0.0 { common / union } else { 0.0 }
    }

    /// Whether the point lies inside (edges included).
    pub fn contains(&self, x: f32, y: f32) -> bool {
        x >= self.x && x <= self.right() && y >= self.y && y <= self.bottom()
    }

    /// The part inside an image of `width` × `height`, or `None` when nothing of it (less than one pixel) is inside.
    pub fn clamped(&self, width: f32, height: f32) -> Option<Self> {
        let r = self.intersection(&Self::new(0.0, 0.0, width, height));
        (r.w >= 1.0 && r.h >= 1.0).then_some(r)
    }

    /// The box grown on every side by `fraction` of its width and height.
    pub fn grown(&self, fraction: f32) -> Self {
        let (dx, dy) = (self.w * fraction, self.h * fraction);
        Self::new(self.x - dx, self.y - dy, self.w + 2.0 * dx, self.h + 2.0 * dy)
    }

    /// The four corners, clockwise from the top left: the `Polygon` of the detections table.
    pub fn polygon(&self) -> [[f32; 2]; 4] {
        [[self.x, self.y], [self.right(), self.y], [self.right(), self.bottom()], [self.x, self.bottom()]]
    }
}

/// The outline of somebody in a box: a closed polygon whose corners are fractions of the box's sides, so that it moves and grows with
/// the box. Corners may lie a little outside. Cloning shares the corners.
#[derive(Clone, Debug, PartialEq)]
pub struct Outline(Arc<[[f32; 2]]>);

impl Outline {
    /// The outline with these corners (pixels) of somebody whose box is `rect`; `None` for fewer than three or an empty box.
    pub fn new(corners: &[[f32; 2]], rect: &Rect) -> Option<Self> {
        (corners.len() >= 3 && rect.area() > 0.0)
            .then(|| Self(corners.iter().map(|[x, y]| [(x - rect.x) / rect.w, (y - rect.y) / rect.h]).collect()))
    }

    /// The corners in pixels where the box is `rect`.
    pub fn on(&self, rect: &Rect) -> Vec<[f32; 2]> {
        self.0.iter().map(|[u, v]| [rect.x + u * rect.w, rect.y + v * rect.h]).collect()
    }
}

/// Whether the point lies inside the closed polygon (even–odd rule).
pub fn polygon_contains(corners: &[[f32; 2]], x: f32, y: f32) -> bool {
    let ends = corners.iter().cycle().skip(1);
    corners.iter().zip(ends).fold(false, |inside, ([ax, ay], [bx, by])| {
        let crosses = (*ay > y) != (*by > y) && x < (bx - ax) * (y - ay) / (by - ay) + ax;
        inside != crosses
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outline_moves_and_grows_with_its_box() {
        let triangle = [[10.0, 10.0], [20.0, 30.0], [10.0, 30.0]];
        let outline = Outline::new(&triangle, &Rect::new(10.0, 10.0, 10.0, 20.0)).unwrap();
        assert_eq!(outline.on(&Rect::new(10.0, 10.0, 10.0, 20.0)), triangle);
        let moved = outline.on(&Rect::new(0.0, 0.0, 20.0, 40.0));
        assert_eq!(moved, [[0.0, 0.0], [20.0, 40.0], [0.0, 40.0]]);
        assert!(polygon_contains(&moved, 2.0, 30.0) && !polygon_contains(&moved, 15.0, 10.0));
        assert_eq!(Outline::new(&triangle[..2], &Rect::new(0.0, 0.0, 1.0, 1.0)), None);
    }

    #[test]
    fn iou_of_halves_and_strangers() {
        let a = Rect::new(0.0, 0.0, 10.0, 10.0);
        assert!((a.iou(&Rect::new(5.0, 0.0, 10.0, 10.0)) - 1.0 / 3.0).abs() < 1e-6);
        assert_eq!(a.iou(&Rect::new(20.0, 0.0, 5.0, 5.0)), 0.0);
        assert_eq!(Rect::default().iou(&Rect::default()), 0.0);
    }

    #[test]
    fn clamping_drops_what_is_outside() {
        assert_eq!(Rect::new(-50.0, 0.0, 40.0, 40.0).clamped(100.0, 100.0), None);
        assert_eq!(Rect::new(-10.0, 90.0, 40.0, 40.0).clamped(100.0, 100.0), Some(Rect::new(0.0, 90.0, 30.0, 10.0)));
    }
}
