//! Whether this console's clock may decide that data is old enough to be deleted. One clock alone never may: it is compared with the
//! database's clock and with the progress that was seen so far. Pure: whoever asks hands in what the clocks show.
//!
//! The rule. Deletion by age goes on while all of these agree within [`TOLERANCE`]:
//! - this console's clock and the cameras database's, where that is on a server;
//! - this console's clock and the last instant that was trusted, plus the time that has passed since. While the console runs, that is
//!   known to the second. Over a restart it is known that the clock cannot be earlier than what was trusted (or recorded) last, and it
//!   is believed up to [`AWAY`] later: a night or a day off is usual, and so little cannot be told from it.
//!
//! A clock that is further ahead after a start may be right (a console that was off over the holidays) or wrong. Then a database on
//! *another* machine that agrees is the second witness. Where there is none, the clock is believed once it has stood for
//! [`STANDS_FOR`] without being set: whoever looks after the site has seen the alarm for a whole day by then, and a maximum age must not be
//! exceeded for ever. A database that disagrees is never overruled.
use super::{ClockOffset, ClockReading, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What clocks of one site may differ by. Without a time server they drift by some seconds a day, and nobody keeps data by the minute.
pub const TOLERANCE: Duration = Duration::from_secs(300);
/// How far the clock may be ahead of what was trusted last when a console starts.
pub const AWAY: Duration = Duration::from_secs(86_400);
/// For how long a clock that nobody else vouches for must stand: each shift has seen the alarm.
pub const STANDS_FOR: Duration = Duration::from_secs(86_400);
/// 2026-11-01T00:00:00Z. This version was made after it: a clock that is before it was never set.
pub const MADE_AFTER: Timestamp = Timestamp(1_793_491_200_000_000);

/// 2025-01-01T00:00:00Z. Nothing was recorded before it: what says so was recorded by a clock that was not set, and may be of today.
pub const NOTHING_BEFORE: Timestamp = Timestamp(1_735_689_600_000_000);

/// An instant at which this console's clock was found to be right. Only [`ClockTrust::judge`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustedNow(Timestamp);

impl TrustedNow {
    /// The instant.
    pub fn instant(self) -> Timestamp {
        self.0
    }

    /// What is older than so many days may be deleted for it.
    pub fn days_ago(self, days: f64) -> AgedBefore {
        AgedBefore(self.0.minus(Duration::try_from_secs_f64(days * 86_400.0).unwrap_or(Duration::MAX)))
    }
}

/// What is of before this instant is old enough to be deleted. Only a [`TrustedNow`] makes one, so that no sweep goes by a clock that
/// nobody vouches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgedBefore(Timestamp);

impl AgedBefore {
    /// The instant.
    pub fn instant(self) -> Timestamp {
        self.0
    }

    /// Of stores' own tests, which have no clock.
    #[cfg(test)]
    pub fn of_test(instant: Timestamp) -> Self {
        Self(instant)
    }
}

/// What another clock shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Witness {
    /// Read with this console's.
    pub shows: Timestamp,
    /// It is of another machine: where it agrees, that says something.
    pub elsewhere: bool,
}

/// What is kept over restarts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// The newest instant that was trusted; 0 where none was.
    pub trusted: Timestamp,
    /// While the clock is not believed: what it showed last, and for how many seconds it had stood then.
    pub stood: Option<(Timestamp, u64)>,
}

/// What became of the question.
#[derive(Clone, Debug, PartialEq)]
pub enum Judgement {
    /// All agree.
    Trusted(TrustedNow),
    /// They do not.
    Doubted {
        /// Why, for people.
        why: String,
        /// The earliest of the instants that it may be: what must be kept until then is kept.
        careful: Timestamp,
    },
}

/// What is known of this console's clock.
#[derive(Clone, Copy, Debug)]
pub struct ClockTrust {
    progress: Progress,
    /// When it was trusted last in this run.
    trusted: Option<ClockReading>,
    /// Since when a clock that is not believed has stood, and how long it had before.
    standing: Option<(ClockReading, Duration)>,
}

impl ClockTrust {
    /// Begins with what an earlier run kept; without that, with the newest record in the stores, where there is one.
    pub fn new(kept: Option<Progress>, newest_record: Option<Timestamp>) -> Self {
        let known = Progress { trusted: newest_record.unwrap_or_default(), stood: None };
        Self { progress: kept.unwrap_or(known), trusted: None, standing: None }
    }

    /// What the next run is to begin with.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// Whether the clock is right, as far as anybody can say; `database` is the clock of a database on a server.
    pub fn judge(&mut self, now: ClockReading, database: Option<Witness>) -> Judgement {
        let (doubt, overruled) = match self.doubt(now, database) {
            None => (None, false),
            Some((why, may_stand)) => {
                let stood = self.stand(now);
                (Some(why), may_stand && stood >= STANDS_FOR)
            }
        };
        match doubt {
            Some(why) if !overruled => {
                let known = [Some(now.wall), self.expected(now), database.map(|d| d.shows)];
                let careful = known.into_iter().flatten().min().unwrap_or(now.wall);
                Judgement::Doubted { why, careful }
            }
            _ => {
                (self.trusted, self.standing) = (Some(now), None);
                self.progress = Progress { trusted: now.wall, stood: None };
                Judgement::Trusted(TrustedNow(now.wall))
            }
        }
    }

    /// What the clock should show, or not be before.
    fn expected(&self, now: ClockReading) -> Option<Timestamp> {
        let known = (self.progress.trusted != Timestamp::default()).then_some(self.progress.trusted);
        self.trusted.map(|trusted| now.expected_since(trusted)).or(known)
    }

    /// What speaks against the clock, and whether that may be overruled by the clock's having stood for long.
    fn doubt(&self, now: ClockReading, database: Option<Witness>) -> Option<(String, bool)> {
        let agrees = |other: Timestamp| differs(now.wall, other) <= TOLERANCE;
        if now.wall < MADE_AFTER {
            return Some(("this console's clock was not set".to_owned(), false));
        }
        if let Some(witness) = database.filter(|witness| !agrees(witness.shows)) {
            let offset = ClockOffset(now.wall.0.saturating_sub(witness.shows.0));
            return Some((format!("this console's clock is {offset} of the cameras database's"), false));
        }
        let expected = self.expected(now)?;
        if self.trusted.is_some() {
            let offset = ClockOffset(now.wall.0.saturating_sub(expected.0));
            let why =
                || format!("this console's clock is {offset} of what it was, and of the time that has passed since");
            return (!agrees(expected)).then(|| (why(), true));
        }
        // The time in which the console did not run is known to nobody here.
        let offset = ClockOffset(now.wall.0.saturating_sub(expected.0));
        if now.wall < expected && !agrees(expected) {
            let confirmed = database.is_some_and(|witness| witness.elsewhere);
            let why = format!("this console's clock is {offset} of what was recorded last");
            return (!confirmed).then_some((why, true));
        }
        let confirmed = database.is_some_and(|witness| witness.elsewhere);
        if now.wall > expected.plus(AWAY) && !confirmed {
            let why = format!(
                "this console's clock is {offset} of what was recorded last: the console was off for so long, or the clock is wrong"
            );
            return Some((why, true));
        }
        None
    }

    /// For how long the clock has stood since it was not believed any more, without being set.
    fn stand(&mut self, now: ClockReading) -> Duration {
        let (since, before) = match self.standing {
            Some((since, before)) if differs(now.wall, now.expected_since(since)) <= TOLERANCE => (since, before),
            Some(_) => (now, Duration::ZERO), // set again
            None => {
                // Of an earlier run: it may have been off in between, but not for so long that the clock may have been set.
                let goes_on = |(wall, _): &(Timestamp, u64)| *wall <= now.wall && now.wall <= wall.plus(AWAY);
                let stood = self.progress.stood.filter(|_| self.trusted.is_none()).filter(goes_on);
                (now, Duration::from_secs(stood.map_or(0, |(_, stood)| stood)))
            }
        };
        self.standing = Some((since, before));
        let stood = before.saturating_add(now.steady.saturating_sub(since.steady));
        self.progress.stood = Some((now.wall, stood.as_secs()));
        stood
    }
}

fn differs(a: Timestamp, b: Timestamp) -> Duration {
    Duration::from_micros(a.0.abs_diff(b.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Clock as _, ManualClock};
    use proptest::prelude::*;

    const T0: Timestamp = Timestamp(1_795_000_000_000_000);
    const HOUR: u64 = 3600;
    const DAY: u64 = 24 * HOUR;

    fn micros(seconds: u64) -> i64 {
        i64::try_from(seconds).unwrap() * 1_000_000
    }

    fn reading(clock: &ManualClock) -> ClockReading {
        ClockReading::of(clock).unwrap()
    }

    fn hours(clock: &ManualClock, n: u64) {
        clock.advance(Duration::from_secs(n * HOUR));
    }

    fn is_trusted(trust: &mut ClockTrust, clock: &ManualClock, database: Option<Witness>) -> bool {
        matches!(trust.judge(reading(clock), database), Judgement::Trusted(now) if now.instant() == clock.now())
    }

    #[test]
    fn a_clock_that_is_ahead_for_two_minutes_deletes_nothing_and_one_that_was_set_back_goes_on() {
        let (clock, mut trust) = (ManualClock::at(T0), ClockTrust::new(None, None));
        assert!(is_trusted(&mut trust, &clock, None));
        clock.step(micros(400 * DAY));
        clock.advance(Duration::from_secs(60));
        let Judgement::Doubted { why, careful } = trust.judge(reading(&clock), None) else { panic!() };
        assert!(why.contains("400 d 0 h ahead"), "{why}");
        assert_eq!(careful, T0.plus(Duration::from_secs(60)), "what must be kept is judged by the earliest");
        clock.advance(Duration::from_secs(60));
        assert!(!is_trusted(&mut trust, &clock, None));
        clock.step(-micros(400 * DAY));
        assert!(is_trusted(&mut trust, &clock, None));
        // Corrections of a time server are none of this.
        clock.step(-micros(20));
        assert!(is_trusted(&mut trust, &clock, None));
    }

    #[test]
    fn a_database_that_disagrees_is_never_overruled() {
        let (clock, mut trust) = (ManualClock::at(T0), ClockTrust::new(None, None));
        for elsewhere in [false, true] {
            let database =
                |clock: &ManualClock| Some(Witness { shows: clock.now().plus(Duration::from_secs(HOUR)), elsewhere });
            for _ in 0..50 {
                assert!(!is_trusted(&mut trust, &clock, database(&clock)));
                hours(&clock, 1);
            }
        }
        let agrees = Some(Witness { shows: clock.now(), elsewhere: false });
        assert!(is_trusted(&mut trust, &clock, agrees));
    }

    #[test]
    fn after_a_long_holiday_a_second_witness_or_a_day_is_waited_for() {
        let kept = Some(Progress { trusted: T0, stood: None });
        let started = || ManualClock::at(T0.plus(Duration::from_secs(14 * DAY)));
        let clock = started();
        let witness = |elsewhere| Some(Witness { shows: clock.now(), elsewhere });
        assert!(is_trusted(&mut ClockTrust::new(kept, None), &clock, witness(true)));
        // One on this machine has the same clock.
        assert!(!is_trusted(&mut ClockTrust::new(kept, None), &clock, witness(false)));
        let mut trust = ClockTrust::new(kept, None);
        for _ in 0..24 {
            assert!(!is_trusted(&mut trust, &clock, None));
            hours(&clock, 1);
        }
        assert!(is_trusted(&mut trust, &clock, None));
        // A weekday's night needs none of this.
        let clock = ManualClock::at(T0.plus(Duration::from_secs(14 * HOUR)));
        assert!(is_trusted(&mut ClockTrust::new(kept, None), &clock, None));
    }

    #[test]
    fn a_start_does_not_begin_to_believe_a_wrong_clock_and_counts_on_what_has_stood() {
        let clock = ManualClock::at(T0);
        let mut trust = ClockTrust::new(None, None);
        assert!(is_trusted(&mut trust, &clock, None));
        clock.step(micros(400 * DAY));
        let mut hours_until_trusted = 0;
        while !is_trusted(&mut trust, &clock, None) {
            hours(&clock, 1);
            hours_until_trusted += 1;
            let _ = trust.judge(reading(&clock), None);
            // Started anew each hour.
            trust = ClockTrust::new(Some(trust.progress()), None);
            assert!(hours_until_trusted < 100);
        }
        assert!((24..=50).contains(&hours_until_trusted), "{hours_until_trusted}");
    }

    #[test]
    fn a_clock_that_was_never_set_is_not_believed_and_one_before_the_newest_record_neither() {
        let clock = ManualClock::at(Timestamp::parse("2019-01-01T00:00:00Z").unwrap());
        let mut trust = ClockTrust::new(None, None);
        for _ in 0..50 {
            assert!(!is_trusted(&mut trust, &clock, None));
            hours(&clock, 1);
        }
        let mut trust = ClockTrust::new(None, Some(T0.plus(Duration::from_secs(HOUR))));
        let clock = ManualClock::at(T0);
        let Judgement::Doubted { why, .. } = trust.judge(reading(&clock), None) else { panic!() };
        assert!(why.contains("1 h 0 min behind"), "{why}");
        hours(&clock, 1);
        assert!(is_trusted(&mut trust, &clock, None));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever is done to the clock within a day: what is trusted is no further from the truth than clocks may differ.
        #[test]
        fn within_a_day_no_step_is_trusted(steps in prop::collection::vec((1_u64..600, -4_000_000_i64..4_000_000), 1..100)) {
            let (clock, mut trust) = (ManualClock::at(T0), ClockTrust::new(None, None));
            prop_assert!(is_trusted(&mut trust, &clock, None));
            let mut set = 0;
            for (passed, by) in steps {
                clock.advance(Duration::from_secs(passed));
                // Each of the steps is far beyond what clocks may differ by, or none at all.
                let by = if by.unsigned_abs() > 1_000_000 { by * 1000 } else { 0 };
                clock.step(by);
                set += by;
                let trusted = is_trusted(&mut trust, &clock, None);
                prop_assert_eq!(trusted, set.unsigned_abs() <= TOLERANCE.as_micros() as u64);
                if trusted {
                    set = 0;
                }
            }
        }
    }
}
