//! The life of one worker as a state machine: it works, it is silent, it has ended and begins again. Times are since some fixed
//! instant of a clock that never steps.
use std::time::Duration;

/// Between an unexpected end and the next beginning, the first time.
pub const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// And at most, after several.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Who has worked for so long begins again soon.
const PROVEN_AFTER: Duration = Duration::from_secs(60);

/// How a worker is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doing {
    /// As it should.
    Works,
    /// It has given no sign of life since.
    Silent(Duration),
    /// It has ended for this reason, and begins again then.
    Ended {
        /// What it said last.
        why: String,
        /// When it begins again.
        again_at: Duration,
    },
}

/// What there is to tell of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It has given no sign of life for so long.
    Silent(Duration),
    /// It has ended for this reason, and begins again after a pause.
    Ended(String, Duration),
    /// It works again.
    Works,
}

/// The state of one worker.
#[derive(Clone, Debug)]
pub(super) struct Life {
    /// After which silence it is told; `None` of one that may rightly take any time over its work.
    limit: Option<Duration>,
    began: Duration,
    /// Its last sign of life; `None` while it waits for something that may take any time.
    beat: Option<Duration>,
    doing: Doing,
    pause: Duration,
}

impl Life {
    pub fn new(limit: Option<Duration>, now: Duration) -> Self {
        Self { limit, began: now, beat: Some(now), doing: Doing::Works, pause: FIRST_PAUSE }
    }

    pub fn doing(&self) -> &Doing {
        &self.doing
    }

    /// It begins, for the first time or again.
    pub fn begin(&mut self, now: Duration) {
        (self.began, self.beat) = (now, Some(now));
    }

    /// A sign of life; `None` for `now`: it rests. Of one that was silent or had ended this is news.
    pub fn beat(&mut self, now: Duration, rests: bool) -> Option<Change> {
        self.beat = (!rests).then_some(now);
        (self.doing != Doing::Works).then(|| {
            self.doing = Doing::Works;
            Change::Works
        })
    }

    /// It has ended for this reason though nobody asked for that; returns after which pause it is to begin again.
    pub fn ended(&mut self, now: Duration, why: String) -> Duration {
        if now.saturating_sub(self.began) >= PROVEN_AFTER {
            self.pause = FIRST_PAUSE;
        }
        let pause = self.pause;
        self.pause = (2 * pause).min(LONGEST_PAUSE);
        self.doing = Doing::Ended { why, again_at: now + pause };
        pause
    }

    /// Looks whether it still gives signs of life: says so once when it does not.
    pub fn judge(&mut self, now: Duration) -> Option<Change> {
        let silence = now.saturating_sub(self.beat?);
        if self.doing != Doing::Works || silence < self.limit? {
            return None;
        }
        self.doing = Doing::Silent(now - silence);
        Some(Change::Silent(silence))
    }

    /// For how long it has been silent, where that has been told.
    pub fn silence(&self, now: Duration) -> Option<Duration> {
        if let Doing::Silent(since) = self.doing { Some(now.saturating_sub(since)) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn silence_is_told_once_and_so_is_its_end() {
        let mut life = Life::new(Some(S(10)), S(0));
        assert_eq!(life.beat(S(3), false), None);
        assert_eq!(life.judge(S(12)), None);
        assert_eq!(life.judge(S(13)), Some(Change::Silent(S(10))));
        assert_eq!(life.judge(S(14)), None, "once");
        assert_eq!(life.silence(S(20)), Some(S(17)));
        assert_eq!(life.beat(S(21), false), Some(Change::Works));
        assert_eq!(life.beat(S(22), true), None);
        assert_eq!(life.judge(S(9999)), None, "it waits for something that may take any time");
    }

    #[test]
    fn pauses_grow_and_shrink_again_after_a_minute_of_work() {
        let (mut life, mut now, mut pauses) = (Life::new(None, S(0)), S(0), Vec::new());
        for _ in 0..8 {
            life.begin(now);
            let pause = life.ended(now, "why".to_owned());
            pauses.push(pause.as_secs());
            now += pause;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        life.begin(now);
        assert_eq!(life.ended(now + S(60), "why".to_owned()), S(1));
    }

    proptest! {
        /// Whatever happens in whatever order: after silence or end "works" is told exactly once, before the next trouble, and no trouble is
        /// told twice in a row without an end of its own.
        #[test]
        fn troubles_and_their_ends_alternate(happens in prop::collection::vec((0_u8..5, 0_u64..20), 1..200)) {
            let (mut life, mut now) = (Life::new(Some(S(10)), S(0)), S(0));
            let mut troubled = false;
            for (what, after) in happens {
                now += S(after);
                let told = match what {
                    0 | 1 => life.beat(now, what == 1),
                    2 => { let pause = life.ended(now, String::new()); Some(Change::Ended(String::new(), pause)) }
                    3 => { life.begin(now); None }
                    _ => life.judge(now),
                };
                match told {
                    Some(Change::Works) => { prop_assert!(troubled); troubled = false; }
                    Some(Change::Silent(silence)) => { prop_assert!(!troubled && silence >= S(10)); troubled = true; }
                    Some(Change::Ended(_, pause)) => { prop_assert!(pause >= FIRST_PAUSE && pause <= LONGEST_PAUSE); troubled = true; }
                    None => {}
                }
                prop_assert_eq!(troubled, *life.doing() != Doing::Works);
            }
        }
    }
}
