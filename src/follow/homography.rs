//! How the ground of one view lies in another: the plane that people walk on, seen twice.

/// Where somebody stands in a picture, pixels, and how tall they are there: the measure of distances around them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Foot {
    /// From the left.
    pub x: f64,
    /// From the top.
    pub y: f64,
    /// Height of the person.
    pub height: f64,
}

impl Foot {
    /// How far a place in the picture is from this foot, in heights of the person.
    pub fn distance(&self, (x, y): (f64, f64)) -> f64 {
        (self.x - x).hypot(self.y - y) / self.height.max(1.0)
    }
}

/// From the pixels of one view to those of another, row by row. Its denominator is positive where it was fitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Homography([f64; 9]);

impl From<[f64; 9]> for Homography {
    fn from(rows: [f64; 9]) -> Self {
        Self(rows)
    }
}

impl From<Homography> for [f64; 9] {
    fn from(homography: Homography) -> Self {
        homography.0
    }
}

/// By how much feet are usually found beside where they are, heights.
const NOISE: f64 = 0.15;
/// Views whose scale changes by more than this over the spread of people are rare: the deviation of the perspective terms.
const PERSPECTIVE: f64 = 0.3;
/// Denominators below this are beyond the horizon, or nearly.
const HORIZON: f64 = 0.1;

impl Homography {
    /// The one that brings the first of each pair nearest to the second, distances counted in heights; with few pairs, or on a line, rather
    /// one without perspective. `None` for fewer than four pairs, or where they all are at one place.
    pub fn fit(pairs: &[(Foot, Foot)]) -> Option<Self> {
        if pairs.len() < 4 {
            return None;
        }
        let (a, b) = (Frame::of(pairs.iter().map(|p| p.0))?, Frame::of(pairs.iter().map(|p| p.1))?);
        let mut h = [0.0f64; 8];
        for pass in 0..3 {
            let (mut normal, mut right) = ([[0.0f64; 8]; 8], [0.0f64; 8]);
            for (i, row) in normal.iter_mut().enumerate() {
                for (j, value) in row.iter_mut().enumerate().filter(|(j, _)| *j == i) {
                    *value = if j < 6 { 1e-6 } else { 1.0 / (PERSPECTIVE * PERSPECTIVE) };
                }
            }
            for (one, other) in pairs {
                let ((x, y), (u, v)) = (a.inside(one), b.inside(other));
                let [.., g, k] = h;
                let denominator = if pass == 0 { 1.0 } else { (g * x + k * y + 1.0).max(HORIZON) };
                let weight = (b.scale / (NOISE * other.height.max(1.0) * denominator)).powi(2);
                let rows =
                    [([x, y, 1.0, 0.0, 0.0, 0.0, -u * x, -u * y], u), ([0.0, 0.0, 0.0, x, y, 1.0, -v * x, -v * y], v)];
                for (row, target) in rows {
                    for ((line, r), out) in normal.iter_mut().zip(&row).zip(&mut right) {
                        for (value, s) in line.iter_mut().zip(&row) {
                            *value += weight * r * s;
                        }
                        *out += weight * r * target;
                    }
                }
            }
            h = solve(normal, right)?;
        }
        let [h0, h1, h2, h3, h4, h5, h6, h7] = h;
        let fitted = product(&b.outward(), &product(&[h0, h1, h2, h3, h4, h5, h6, h7, 1.0], &a.inward()));
        fitted.iter().all(|v| v.is_finite()).then_some(Self(fitted))
    }

    /// Where a place of the first view is in the second; `None` beyond the horizon.
    pub fn apply(&self, (x, y): (f64, f64)) -> Option<(f64, f64)> {
        let [a, b, c, d, e, f, g, h, i] = self.0;
        let w = g * x + h * y + i;
        (w > HORIZON).then(|| ((a * x + b * y + c) / w, (d * x + e * y + f) / w))
    }

    /// From the second view to the first.
    pub fn inverse(&self) -> Option<Self> {
        let [a, b, c, d, e, f, g, h, i] = self.0;
        let adjugate = [
            e * i - f * h,
            c * h - b * i,
            b * f - c * e,
            f * g - d * i,
            a * i - c * g,
            c * d - a * f,
            d * h - e * g,
            b * g - a * h,
            a * e - b * d,
        ];
        let [first, _, _, second, _, _, third, ..] = adjugate;
        let determinant = a * first + b * second + c * third;
        let inverse = adjugate.map(|v| v / determinant);
        inverse.iter().all(|v| v.is_finite()).then_some(Self(inverse))
    }
}

/// Coordinates in which points lie around the origin, at about the distance 1.
struct Frame {
    x: f64,
    y: f64,
    scale: f64,
}

impl Frame {
    fn of(feet: impl Iterator<Item = Foot> + Clone) -> Option<Self> {
        let n = feet.clone().count() as f64;
        let (x, y) = feet.clone().fold((0.0, 0.0), |(x, y), f| (x + f.x / n, y + f.y / n));
        let scale = (feet.map(|f| (f.x - x).powi(2) + (f.y - y).powi(2)).sum::<f64>() / n).sqrt();
        (scale > 1.0).then_some(Self { x, y, scale })
    }

    fn inside(&self, f: &Foot) -> (f64, f64) {
        ((f.x - self.x) / self.scale, (f.y - self.y) / self.scale)
    }

    fn inward(&self) -> [f64; 9] {
        let s = 1.0 / self.scale;
        [s, 0.0, -self.x * s, 0.0, s, -self.y * s, 0.0, 0.0, 1.0]
    }

    fn outward(&self) -> [f64; 9] {
        [self.scale, 0.0, self.x, 0.0, self.scale, self.y, 0.0, 0.0, 1.0]
    }
}

fn product(m: &[f64; 9], n: &[f64; 9]) -> [f64; 9] {
    let mut all = [0.0; 9];
    for (k, value) in all.iter_mut().enumerate() {
        let row = m.iter().skip(k / 3 * 3).take(3);
        *value = row.zip(n.iter().skip(k % 3).step_by(3)).map(|(a, b)| a * b).sum();
    }
    all
}

/// By Gauss, with pivots; `None` where there is no answer.
fn solve<const N: usize>(mut m: [[f64; N]; N], mut right: [f64; N]) -> Option<[f64; N]> {
    for i in 0..N {
        let pivot = (i..N).max_by(|a, b| at(&m, *a, i).abs().total_cmp(&at(&m, *b, i).abs()))?;
        m.swap(i, pivot);
        right.swap(i, pivot);
        let (line, value) = (*m.get(i)?, *right.get(i)?);
        let head = *line.get(i)?;
        if head.abs() < 1e-12 {
            return None;
        }
        for (below, out) in m.iter_mut().zip(&mut right).skip(i + 1) {
            let factor = *below.get(i)? / head;
            for (cell, above) in below.iter_mut().zip(&line).skip(i) {
                *cell -= factor * above;
            }
            *out -= factor * value;
        }
    }
    let mut x = [0.0; N];
    for i in (0..N).rev() {
        let known: f64 = m.get(i)?.iter().zip(&x).skip(i + 1).map(|(a, b)| a * b).sum();
        let value = (right.get(i)? - known) / at(&m, i, i);
        *x.get_mut(i)? = value;
    }
    Some(x)
}

fn at<const N: usize>(m: &[[f64; N]; N], row: usize, column: usize) -> f64 {
    m.get(row).and_then(|r| r.get(column)).copied().unwrap_or_default()
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A camera over the ground, which a test looks through: metres, radians, pixels.
    #[derive(Clone, Copy, Debug)]
    pub struct View {
        /// Where it stands.
        pub x: f64,
        /// And in the other direction.
        pub y: f64,
        /// Where it looks.
        pub yaw: f64,
        /// How far down.
        pub tilt: f64,
    }

    impl View {
        /// Somebody who stands on the ground, where the picture of 1280 × 720 pixels shows the feet.
        pub fn of(&self, (x, y): (f64, f64)) -> Option<Foot> {
            let (dx, dy, high, focal) = (x - self.x, y - self.y, 6.0, 800.0);
            let (ahead, right) = (dx * self.yaw.cos() + dy * self.yaw.sin(), dx * self.yaw.sin() - dy * self.yaw.cos());
            let depth = ahead * self.tilt.cos() + high * self.tilt.sin();
            let down = high * self.tilt.cos() - ahead * self.tilt.sin();
            let foot = Foot {
                x: 640.0 + focal * right / depth,
                y: 360.0 + focal * down / depth,
                height: focal * 1.7 * self.tilt.cos() / depth,
            };
            (depth > 1.0 && (0.0..1280.0).contains(&foot.x) && (0.0..720.0).contains(&foot.y)).then_some(foot)
        }
    }

    /// Two cameras that look at the middle of a place of twelve by twelve metres from two sides.
    pub fn two_views() -> impl Strategy<Value = (View, View)> {
        let view = |yaw: f64| View { x: 6.0 - 12.0 * yaw.cos(), y: 6.0 - 12.0 * yaw.sin(), yaw, tilt: 0.45 };
        (0.0f64..6.2, 0.5f64..2.0).prop_map(move |(yaw, turned)| (view(yaw), view(yaw + turned)))
    }

    proptest! {
        #[test]
        fn a_ground_is_found_from_noisy_feet_and_inverted(
            (one, other) in two_views(),
            places in proptest::collection::vec((0.0f64..12.0, 0.0f64..12.0, -1.0f64..1.0, -1.0f64..1.0), 60),
        ) {
            let pairs: Vec<(Foot, Foot)> = places.iter().filter_map(|(x, y, dx, dy)| {
                let (a, b) = (one.of((*x, *y))?, other.of((*x, *y))?);
                Some((a, Foot { x: b.x + 0.08 * dx * b.height, y: b.y + 0.08 * dy * b.height, ..b }))
            }).collect();
            prop_assume!(pairs.len() >= 30);
            let there = Homography::fit(&pairs).unwrap();
            let back = there.inverse().unwrap();
            for place in [(5.0, 5.0), (7.0, 6.0), (6.0, 7.5)] {
                let (a, b) = (one.of(place).unwrap(), other.of(place).unwrap());
                prop_assert!(b.distance(there.apply((a.x, a.y)).unwrap()) < 0.15);
                prop_assert!(a.distance(back.apply((b.x, b.y)).unwrap()) < 0.15);
            }
        }
    }

    #[test]
    fn one_place_makes_no_ground() {
        let foot = Foot { x: 100.0, y: 200.0, height: 80.0 };
        assert!(Homography::fit(&[(foot, foot); 9]).is_none());
        assert!(Homography::fit(&[]).is_none());
    }
}
