//! Whether somebody set this console's clock: wall time is compared with time that only passes. Pure: the readings are handed in.
use super::{Clock, ClockOffset, MADE_AFTER, Timestamp};
use std::{fmt, time::Duration};

/// What a clock may differ by without having been set, microseconds: two readings are not of one instant, and a recorder begins a
/// new file at a quarter of a second as well.
const STEP: i64 = 250_000;
/// How fast a clock may be turned without being set: chrony slews by at most a twelfth (`maxslewrate` 83333 ppm), ntpd and the kernel by
/// far less. Of a second and a half this is an eighth of a second; a look that comes late allows more.
const SLEW: i64 = 12;
/// A reading between whose two halves the thread lost its turn for longer says nothing.
const ONE_INSTANT: Duration = Duration::from_millis(5);
/// So often such a reading is tried again.
const ATTEMPTS: u32 = 8;

/// Wall time and steady time of one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockReading {
    /// What the clock shows.
    pub wall: Timestamp,
    /// What has passed.
    pub steady: Duration,
}

impl ClockReading {
    /// Reads both at one instant; `None` where this machine is too busy for that.
    pub fn of(clock: &dyn Clock) -> Option<Self> {
        for _ in 0..ATTEMPTS {
            let (before, wall, steady) = (clock.steady(), clock.now(), clock.steady());
            if steady.saturating_sub(before) <= ONE_INSTANT {
                return Some(Self { wall, steady });
            }
        }
        None
    }

    /// What the clock would show at this reading, had nobody set it since `earlier`.
    pub fn expected_since(&self, earlier: Self) -> Timestamp {
        earlier.wall.plus(self.steady.saturating_sub(earlier.steady))
    }
}

/// This console's clock was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockStep {
    /// What the clock would have shown when that was noticed.
    pub from: Timestamp,
    /// What it showed instead.
    pub to: Timestamp,
}

impl ClockStep {
    /// By how many microseconds: positive forward, negative back.
    pub fn by(self) -> i64 {
        self.to.0.saturating_sub(self.from.0)
    }

    /// By how many seconds, to the millisecond.
    pub fn seconds(self) -> f64 {
        ClockOffset(self.by()).seconds()
    }

    /// Whether the clock had not been set before: it showed a time of before this version was made.
    pub fn was_unset(self) -> bool {
        self.is_forward() && self.from < MADE_AFTER
    }

    /// Whether it was set forward.
    pub fn is_forward(self) -> bool {
        self.by() > 0
    }
}

/// `this console's clock was set by +3600 s`.
impl fmt::Display for ClockStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.seconds();
        // Whole seconds are what people set clocks by; below ten the tenths say more.
        let shown = if seconds.abs() < 10.0 { (seconds * 10.0).round() / 10.0 } else { seconds.round() };
        write!(f, "this console's clock was set by {shown:+} s")
    }
}

/// Compares readings, one after another.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClockWatch {
    last: Option<ClockReading>,
}

impl ClockWatch {
    /// Takes a reading; whether the clock was set since the one before.
    pub fn look(&mut self, now: ClockReading) -> Option<ClockStep> {
        let last = self.last.replace(now)?;
        let step = ClockStep { from: now.expected_since(last), to: now.wall };
        let passed = i64::try_from(now.steady.saturating_sub(last.steady).as_micros()).unwrap_or(i64::MAX);
        let slewed = STEP.saturating_add(passed / SLEW);
        (step.by().unsigned_abs() > slewed.unsigned_abs()).then_some(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ManualClock, SystemClock};
    use proptest::prelude::*;

    const T0: Timestamp = Timestamp(1_795_000_000_000_000);

    #[derive(Clone, Copy, Debug)]
    enum Doing {
        /// A second passes, of which the clock shows so many microseconds more or less.
        Second(i64),
        /// The clock is set by so many.
        Set(i64),
    }

    fn doing() -> impl Strategy<Value = Doing> {
        let set = (500_000_i64..40_000_000_000_000, prop::bool::ANY);
        prop_oneof![
            3 => (-83_333_i64..83_333).prop_map(Doing::Second),
            1 => set.prop_map(|(by, back)| Doing::Set(if back { -by } else { by })),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_watch_tells_exactly_the_steps_with_their_sign_and_size(doings in prop::collection::vec(doing(), 1..200)) {
            let clock = ManualClock::at(T0);
            let mut watch = ClockWatch::default();
            prop_assert_eq!(watch.look(ClockReading::of(&clock).unwrap()), None);
            for doing in doings {
                let set = match doing {
                    Doing::Second(slewed) => {
                        clock.advance(Duration::from_secs(1));
                        clock.step(slewed);
                        0
                    }
                    Doing::Set(by) => {
                        clock.step(by);
                        by
                    }
                };
                let told = watch.look(ClockReading::of(&clock).unwrap());
                prop_assert_eq!(told.map_or(0, ClockStep::by), set);
                prop_assert_eq!(told.map(|step| step.to), (set != 0).then(|| clock.now()));
            }
        }
    }

    #[test]
    fn a_step_is_told_in_seconds_with_its_sign() {
        let told = |by: i64| ClockStep { from: T0, to: Timestamp(T0.0 + by) }.to_string();
        assert_eq!(told(3_600_000_123), "this console's clock was set by +3600 s");
        assert_eq!(told(-1_800_000_000), "this console's clock was set by -1800 s");
        assert_eq!(told(-540_000), "this console's clock was set by -0.5 s");
    }

    #[test]
    fn the_machines_steady_time_goes_on_with_its_wall_time() {
        let (before, mut watch) = (SystemClock.steady(), ClockWatch::default());
        let readings = std::iter::repeat_with(|| ClockReading::of(&SystemClock)).take(1000).flatten();
        let mut last = before;
        for reading in readings {
            assert!(reading.steady >= last);
            last = reading.steady;
            assert_eq!(watch.look(reading), None);
        }
    }
}
