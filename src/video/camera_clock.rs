//! What a camera's clock says: senders of RTP tell in their reports (RTCP) which instant of their own clock a picture is of.
//! Pure: the reports are measured against arrivals that are handed in.
use crate::model::{ClockOffset, Timestamp};
use std::collections::VecDeque;

/// From 1900-01-01, where NTP begins, to 1970-01-01, seconds.
const NTP_TO_UNIX: i64 = 2_208_988_800;
/// A sender without a clock counts from its own beginning, for less than 68 years (RFC 3550, 6.4.1).
const NO_CLOCK_BELOW: i64 = 1 << 31;
/// How long the picture that came fastest counts, microseconds.
const WINDOW: i64 = 10_000_000;

/// One connection's measurements. A picture arrives later than it was taken, never earlier: the largest difference of the last
/// seconds is the one with the least delay in it. A clock that was set back is therefore seen some seconds later.
#[derive(Default)]
pub(super) struct CameraClock {
    measured: VecDeque<(Timestamp, ClockOffset)>,
}

impl CameraClock {
    /// A picture that came at `arrived` is of this time by the camera's clock, in nanoseconds of NTP.
    pub fn picture(&mut self, ntp: u64, arrived: Timestamp) {
        let micros = i64::try_from(ntp / 1000).unwrap_or(i64::MAX);
        if micros / 1_000_000 < NO_CLOCK_BELOW {
            return;
        }
        let offset = ClockOffset((micros - NTP_TO_UNIX * 1_000_000).saturating_sub(arrived.0));
        // `abs_diff`: the console's clock may have been set
        while self.measured.front().is_some_and(|(at, _)| arrived.0.abs_diff(at.0) > WINDOW.unsigned_abs()) {
            self.measured.pop_front();
        }
        // What is older and smaller will never be the largest again.
        while self.measured.back().is_some_and(|(_, smaller)| *smaller <= offset) {
            self.measured.pop_back();
        }
        self.measured.push_back((arrived, offset));
    }

    /// How far it is from the console's now; `None` as long as the camera has not told.
    pub fn offset(&self) -> Option<ClockOffset> {
        self.measured.front().map(|(_, offset)| *offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const T0: Timestamp = Timestamp(1_795_356_202_000_000);

    fn ntp(of: Timestamp) -> u64 {
        (of.0 + NTP_TO_UNIX * 1_000_000) as u64 * 1000
    }

    /// A picture a tenth of a second, each 50 ms on its way and some much longer; `ahead` says what the camera's clock is at.
    fn measured(clock: &mut CameraClock, seconds: std::ops::Range<u64>, ahead: i64) -> Option<ClockOffset> {
        for tenth in seconds.start * 10..seconds.end * 10 {
            let taken = T0.plus(Duration::from_millis(tenth * 100));
            let way = if tenth % 7 == 3 { 2_500 } else { 50 };
            let shown = Timestamp(taken.0 + ahead * 1_000_000);
            clock.picture(ntp(shown), taken.plus(Duration::from_millis(way)));
        }
        clock.offset()
    }

    #[test]
    fn the_offset_is_that_of_the_picture_that_came_fastest_and_follows_a_clock_that_is_set() {
        let mut clock = CameraClock::default();
        assert_eq!(clock.offset(), None);
        assert_eq!(measured(&mut clock, 0..5, 7), Some(ClockOffset(6_950_000)));
        assert_eq!(measured(&mut clock, 5..6, 3600), Some(ClockOffset(3_599_950_000)), "set forward: at once");
        assert_eq!(measured(&mut clock, 6..10, -30), Some(ClockOffset(3_599_950_000)));
        assert_eq!(measured(&mut clock, 10..20, -30), Some(ClockOffset(-30_050_000)), "set back: after the window");
        assert!(clock.measured.len() < 110);
    }

    #[test]
    fn a_camera_without_a_clock_tells_nothing_and_one_that_begins_in_1970_does() {
        let mut clock = CameraClock::default();
        clock.picture(0, T0);
        clock.picture(86_400 * 1_000_000_000, T0); // a day since it was switched on
        assert_eq!(clock.offset(), None);
        clock.picture(ntp(Timestamp(0)), T0);
        assert_eq!(clock.offset(), Some(ClockOffset(-T0.0)));
    }
}
