//! How far a camera's own clock is from the console's. It is told, never used: every time that is stored is of the console's
//! clock, at the arrival of the picture.
use serde::{Deserialize, Serialize};
use std::fmt;

/// Microseconds by which a camera's clock is ahead of the console's; negative where it is behind. The picture's way to the console
/// is in it, so it is true to some tenths of a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClockOffset(pub i64);

impl ClockOffset {
    /// What is worth telling, and what a clock does not do without being set: a second.
    const NOTABLE: u64 = 1_000_000;

    /// Whether somebody who reads the camera's own clock must know of it.
    pub fn is_notable(self) -> bool {
        self.0.unsigned_abs() > Self::NOTABLE
    }

    /// Whether one of the two clocks was set between both measurements.
    pub fn jumped_from(self, earlier: Self) -> bool {
        self.0.abs_diff(earlier.0) > Self::NOTABLE
    }

    /// In seconds, to the millisecond.
    pub fn seconds(self) -> f64 {
        (self.0 as f64 / 1e3).round() / 1e3
    }
}

impl From<f64> for ClockOffset {
    /// Of seconds.
    fn from(seconds: f64) -> Self {
        Self((seconds * 1e6).round() as i64)
    }
}

/// `3.2 s ahead`, `1 h 2 min behind`, `within a second`.
impl fmt::Display for ClockOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_notable() {
            return f.write_str("within a second");
        }
        let micros = self.0.unsigned_abs();
        let seconds = micros.saturating_add(500_000) / 1_000_000;
        match seconds {
            0..60 => write!(f, "{:.1} s", micros as f64 / 1e6)?,
            60..3600 => write!(f, "{} min {} s", seconds / 60, seconds % 60)?,
            3600..86_400 => write!(f, "{} h {} min", seconds / 3600, seconds % 3600 / 60)?,
            _ => write!(f, "{} d {} h", seconds / 86_400, seconds % 86_400 / 3600)?,
        }
        f.write_str(if self.0 > 0 { " ahead" } else { " behind" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_told_in_the_words_of_a_clock() {
        let told = |seconds: f64| ClockOffset::from(seconds).to_string();
        assert_eq!(
            [0.0, -0.9, 3.24, -75.05, 3723.0, 7199.95, -90_000.0].map(told),
            [
                "within a second",
                "within a second",
                "3.2 s ahead",
                "1 min 15 s behind",
                "1 h 2 min ahead",
                "2 h 0 min ahead",
                "1 d 1 h behind"
            ]
        );
        assert!(ClockOffset(1_000_001).is_notable() && !ClockOffset(-1_000_000).is_notable());
        assert!(ClockOffset(i64::MIN).jumped_from(ClockOffset(i64::MAX)));
        assert!(!ClockOffset(3_000_000).jumped_from(ClockOffset(3_900_000)));
    }
}
