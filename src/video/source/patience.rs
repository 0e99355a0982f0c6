//! How long a camera may be silent before its connection is given up: some pictures of its own pace. A camera that sends one picture in
//! five seconds is not gone between two of them.
use std::time::{Duration, Instant};

/// So many pictures may be missing.
const MISSING: u32 = 4;
/// A connection with fewer pictures tells nothing of the camera's pace.
const FEW: u32 = 3;
/// The longest wait for a camera whose pace is not known.
const LONGEST: Duration = Duration::from_secs(60);

/// Learns a camera's pace, over all its connections.
#[derive(Default)]
pub(super) struct Patience {
    /// The usual time between two pictures; zero where none is known.
    usual: Duration,
    /// Of this connection.
    pictures: u32,
    last: Option<Instant>,
    /// Connections in a row that were given up after a picture or two.
    given_up: u32,
}

impl Patience {
    /// A connection begins.
    pub fn begin(&mut self) {
        self.given_up = match self.pictures {
            0 => self.given_up,
            1..FEW => self.given_up.saturating_add(1),
            _ => 0,
        };
        (self.pictures, self.last) = (0, None);
    }

    /// A picture came.
    pub fn picture(&mut self, now: Instant) {
        if let Some(last) = self.last.replace(now) {
            let apart = now.saturating_duration_since(last);
            // Follows within a few pictures, and is not thrown off by one that is late.
            self.usual = if self.usual.is_zero() { apart } else { (self.usual * 3 + apart.min(self.usual * 4)) / 4 };
        }
        self.pictures = self.pictures.saturating_add(1);
    }

    /// The longest silence, where a camera of unknown pace is given `least`.
    pub fn limit(&self, least: Duration) -> Duration {
        if self.usual.is_zero() {
            let longer = least.saturating_mul(1 << self.given_up.min(16));
            return longer.min(LONGEST.max(least));
        }
        least.max(self.usual * MISSING)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn a_camera_that_sends_a_picture_in_five_seconds_is_waited_for_once_that_is_known() {
        let (mut patience, begun) = (Patience::default(), Instant::now());
        patience.begin();
        patience.picture(begun);
        assert_eq!(patience.limit(S(3)), S(3), "given up after one picture");
        patience.begin();
        patience.picture(begun + S(4));
        assert_eq!(patience.limit(S(3)), S(6), "so it is waited for longer");
        patience.picture(begun + S(9));
        assert_eq!(patience.limit(S(3)), S(20));
        patience.begin();
        assert_eq!(patience.limit(S(3)), S(20), "it is known over connections");
    }

    #[test]
    fn a_quick_camera_is_given_up_as_configured_even_after_bad_connections() {
        let (mut patience, begun) = (Patience::default(), Instant::now());
        patience.begin();
        (0..50).for_each(|n| patience.picture(begun + Duration::from_millis(40 * n)));
        for n in 0..20 {
            patience.begin();
            patience.picture(begun + S(10 + n));
            assert_eq!(patience.limit(S(3)), S(3));
        }
        // A change of its pace is followed.
        patience.begin();
        (0..30).for_each(|n| patience.picture(begun + S(100 + 2 * n)));
        assert_eq!(patience.limit(S(3)).as_secs_f64().round(), 8.0);
    }

    #[test]
    fn a_wait_for_the_unknown_ends() {
        let (mut patience, begun) = (Patience::default(), Instant::now());
        for n in 0..100 {
            patience.begin();
            patience.picture(begun + S(n * 100));
        }
        assert_eq!((patience.limit(S(3)), patience.limit(S(90))), (S(60), S(90)));
    }
}
