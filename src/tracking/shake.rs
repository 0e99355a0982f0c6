//! Whether the camera moves: what the shifts of all boxes have in common, weighed against what chance would make of it.

/// So many people must agree before a common shift is taken for the camera's.
const MIN_WITNESSES: usize = 4;
/// Weight of the newest frame in what is usual.
const LEARNING: f64 = 0.05;
/// Standard error of a median, for one median absolute deviation of a single value (normal distribution).
const MEDIAN_ERROR: f64 = 1.86;
/// So many people are doubted as the setting says, more of them less: what many have in common is small when it is wrong.
const CROWD: f64 = 8.0;

/// What is known of one camera's motion.
///
/// The median of a few boxes' noise is not nothing: taken for the camera's motion it pushes everybody's prediction off the
/// person. So a common shift counts as far as such shifts have lately been larger than the boxes' disagreement explains.
#[derive(Clone, Debug, Default)]
pub(super) struct Shake {
    /// Squared common shifts, on average,
    seen: f64,
    /// and what of that is expected by chance.
    expected: f64,
    frames: u32,
}

impl Shake {
    /// The camera's part in the shifts of people, which it learns from. Shifts that are, squared, no larger than `doubt` times what
    /// chance explains are none of the camera's, and from twice that on they are all of it.
    pub(super) fn of(&mut self, shifts: &[(f64, f64)], doubt: f64) -> Option<(f64, f64)> {
        if shifts.len() < MIN_WITNESSES {
            return None;
        }
        let (x, error_x) = middle(shifts.iter().map(|s| s.0))?;
        let (y, error_y) = middle(shifts.iter().map(|s| s.1))?;
        self.frames = self.frames.saturating_add(1);
        let weight = LEARNING.max(1.0 / f64::from(self.frames));
        self.seen += weight * (x * x + y * y - self.seen);
        self.expected += weight * (error_x + error_y - self.expected);
        let chance = doubt * self.expected * CROWD / shifts.len() as f64;
        let share = if chance > 0.0 { (self.seen / chance - 1.0).clamp(0.0, 1.0) } else { 1.0 };
        (share > 0.0).then_some((x * share, y * share))
    }
}

/// The median and its squared standard error, by the median absolute deviation.
fn middle(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let mut values: Vec<f64> = values.collect();
    let middle = median(&mut values)?;
    values.iter_mut().for_each(|v| *v = (*v - middle).abs());
    Some((middle, (MEDIAN_ERROR * median(&mut values)?).powi(2) / values.len() as f64))
}

fn median(values: &mut [f64]) -> Option<f64> {
    let middle = values.len() / 2;
    (!values.is_empty()).then(|| *values.select_nth_unstable_by(middle, f64::total_cmp).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shifts of `people` who each move on their own, by up to a pixel, with the camera's own on top.
    fn shifts(frame: u32, people: u32, camera: (f64, f64)) -> Vec<(f64, f64)> {
        let noise = |seed: u32| f64::from(seed.wrapping_mul(2_654_435_761).rotate_left(13) % 2001) / 1000.0 - 1.0;
        let one = |i: u32| (camera.0 + noise(frame * 101 + 2 * i), camera.1 + noise(frame * 101 + 2 * i + 1));
        (0..people).map(one).collect()
    }

    #[test]
    fn the_boxes_own_noise_is_not_taken_for_a_moving_camera() {
        let (mut shake, mut taken) = (Shake::default(), 0.0f64);
        for frame in 0..200 {
            let (x, y) = shake.of(&shifts(frame, 5, (0.0, 0.0)), 1.0).unwrap_or_default();
            if frame >= 40 {
                taken += x.hypot(y) / 160.0;
            }
        }
        assert!(taken < 0.1, "{taken} pixels a frame"); // the medians alone: .5
    }

    #[test]
    fn a_camera_that_moves_is_followed_at_once_and_one_that_stops_is_left_alone() {
        let mut shake = Shake::default();
        for frame in 0..60 {
            let (x, y) = shake.of(&shifts(frame, 5, (6.0, -2.0)), 1.0).unwrap();
            assert!((x - 6.0).abs() < 1.0 && (y + 2.0).abs() < 1.0, "{x}, {y}");
        }
        let rest: Vec<_> = (60..260).map(|frame| shake.of(&shifts(frame, 5, (0.0, 0.0)), 1.0)).collect();
        assert!(rest.iter().rev().take(50).filter(|s| s.is_some()).count() < 25);
        let shock: Vec<_> = (0..3).filter_map(|frame| shake.of(&shifts(frame, 5, (9.0, 0.0)), 1.0)).collect();
        assert!(shock.iter().any(|(x, _)| *x > 8.0), "a push after a long rest: {shock:?}");
    }

    #[test]
    fn without_doubt_whatever_is_common_is_the_camera() {
        let (mut shake, seen) = (Shake::default(), shifts(7, 5, (0.0, 0.0)));
        let middle = |value: fn(&(f64, f64)) -> f64| median(&mut seen.iter().map(value).collect::<Vec<_>>()).unwrap();
        assert_eq!(shake.of(&seen, 0.0), Some((middle(|s| s.0), middle(|s| s.1))));
    }

    #[test]
    fn all_alike_is_the_camera_and_few_tell_nothing() {
        assert_eq!(Shake::default().of(&[(3.0, 0.0); 4], 1.0), Some((3.0, 0.0)));
        assert_eq!(Shake::default().of(&[(3.0, 0.0); 3], 1.0), None);
        assert_eq!(Shake::default().of(&[(0.0, 0.0); 9], 1.0).unwrap_or_default(), (0.0, 0.0));
    }
}
