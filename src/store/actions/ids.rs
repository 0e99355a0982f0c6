//! The numbers of the action log's entries.
use crate::model::{Clock, Timestamp};
use std::sync::{Arc, Mutex, PoisonError};

/// Milliseconds of 2025-01-01T00:00:00Z: 41 bits of milliseconds last from then until 2094.
const EPOCH_MS: i64 = 1_735_689_600_000;
/// A clock beyond this (2093) is wrong; a milliard milliseconds are left above it to count on.
const LATEST_MS: i64 = (1 << 41) - (1 << 30);
const COUNTER_BITS: u32 = 12;
const CONSOLE_BITS: u32 = 10;

/// Makes `log_id`s: unique over all consoles and increasing on each, also when the clock goes back.
///
/// From the top: 41 bits of milliseconds, 10 of the console, 12 of a counter within the millisecond; when that is used
/// up, the next millisecond is begun early.
pub struct LogIds {
    console: i64,
    clock: Arc<dyn Clock>,
    last: Mutex<(i64, i64)>,
}

impl LogIds {
    /// The largest number a console can have.
    pub const MAX_CONSOLE: u16 = (1 << CONSOLE_BITS) - 1;

    /// The numbers of one console, all above `newest`: the newest number this console gave before (see
    /// `ActionLog::newest_id` and the journal). No two running consoles of a site may have the same number; one above
    /// [`MAX_CONSOLE`](Self::MAX_CONSOLE) counts modulo that + 1.
    pub fn new(console: u16, clock: Arc<dyn Clock>, newest: Option<i64>) -> Self {
        let last_ms = newest.map_or(-1, |id| id >> (COUNTER_BITS + CONSOLE_BITS));
        let full = (1 << COUNTER_BITS) - 1;
        Self { console: i64::from(console & Self::MAX_CONSOLE), clock, last: Mutex::new((last_ms, full)) }
    }

    /// When the entry with this number was made, by the clock of its console; to the millisecond, and never before the one before it.
    pub fn instant_of(id: i64) -> Timestamp {
        Timestamp((id >> (COUNTER_BITS + CONSOLE_BITS)).saturating_add(EPOCH_MS).saturating_mul(1000))
    }

    /// The next number.
    pub fn next_id(&self) -> i64 {
        let now = (self.clock.now().0.div_euclid(1000) - EPOCH_MS).clamp(0, LATEST_MS);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (ms, counter) = *last;
        *last = if now > ms {
            (now, 0)
        } else if counter + 1 < 1 << COUNTER_BITS {
            (ms, counter + 1)
        } else {
            (ms + 1, 0)
        };
        (last.0 << (COUNTER_BITS + CONSOLE_BITS)) | (self.console << COUNTER_BITS) | last.1
    }
}

impl std::fmt::Debug for LogIds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LogIds(console {})", self.console)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ManualClock;
    use proptest::prelude::*;
    use std::collections::HashSet;

    struct JumpingClock(Mutex<Vec<i64>>);
    impl Clock for JumpingClock {
        fn now(&self) -> Timestamp {
            Timestamp(self.0.lock().unwrap().pop().unwrap_or_default())
        }

        fn steady(&self) -> std::time::Duration {
            std::time::Duration::ZERO
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn numbers_increase_whatever_the_clock_does(
            times in prop::collection::vec(-1_000_000_000i64..9_000_000_000_000_000, 1..200),
            newest in prop::option::of(0..i64::MAX / 2),
            console in 0..=LogIds::MAX_CONSOLE,
        ) {
            let n = times.len();
            let ids = LogIds::new(console, Arc::new(JumpingClock(Mutex::new(times))), newest);
            let mut before = newest.unwrap_or(-1);
            for _ in 0..n {
                let id = ids.next_id();
                prop_assert!(id > before);
                prop_assert_eq!((id >> COUNTER_BITS) & i64::from(LogIds::MAX_CONSOLE), i64::from(console));
                before = id;
            }
        }
    }

    #[test]
    fn consoles_never_give_the_same_number_and_threads_neither() {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp(1_795_000_000_000_000)));
        let consoles = [LogIds::new(1, clock.clone(), None), LogIds::new(2, clock, None)];
        let mut seen = HashSet::new();
        std::thread::scope(|s| {
            let threads: Vec<_> = (0..4)
                .map(|i| {
                    let ids = &consoles[i % 2];
                    s.spawn(move || (0..5000).map(|_| ids.next_id()).collect::<Vec<_>>())
                })
                .collect();
            for t in threads {
                for id in t.join().unwrap() {
                    assert!(id > 0 && seen.insert(id), "{id} twice");
                }
            }
        });
        let newest =
            seen.iter().max().map(|id| LogIds::instant_of(*id).seconds_since(Timestamp(1_795_000_000_000_000)));
        assert!(newest.is_some_and(|seconds| (0.0..1.0).contains(&seconds)), "{newest:?}");
        assert_eq!(seen.len(), 20_000); // more than the 4096 of a standing millisecond
    }
}
