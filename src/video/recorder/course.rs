//! What a recorder does with each packet: a state machine without files, threads or clocks, so that every order of arrivals, losses,
//! steps of the clock and failures of the disk can be tried.
//!
//! What it keeps to, whatever comes:
//! - a file begins with a key frame, and files of one connection that follow each other tile;
//! - a packet goes into one file, stays in memory for an event that may come, or lies in a hole that is told with its reason;
//! - a hole never covers what is in a file.
use crate::model::{ClockOffset, Timestamp};
use std::{collections::VecDeque, time::Duration};

/// Between two connections pictures further apart than this are told as a hole, seconds.
pub(super) const HOLE: f64 = 1.0;
/// A wall clock that jumped by more than this begins a new file, seconds.
const JUMP: f64 = 0.25;
/// Where the disk failed, this long passes before the next attempt.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// An event that is told of so long after it happened still has its whole pre-roll: a busy machine analyses late.
const EVENT_TOLD_WITHIN: Duration = Duration::from_secs(15);
/// Most that is kept in memory of the time before an event, bytes: a minute and a half of 20 Mbit/s.
const PRE_ROLL_BYTES: usize = 256 << 20;
/// Key frames further apart than this are told: a file can begin, and a search can look, only at one.
const KEY_FRAMES_RARE: Duration = Duration::from_secs(10);
/// Without a key frame a file ends after so long, or with so many bytes, all the same.
const LONGEST: Duration = Duration::from_secs(3600);
const LARGEST: usize = 2 << 30;

/// What is to be known of a packet.
pub(super) trait Arrival: Clone {
    /// Grows with every connection.
    fn run(&self) -> u64;
    /// Position in the connection.
    fn position(&self) -> Duration;
    /// When it was captured, by the wall clock.
    fn at(&self) -> Timestamp;
    /// Whether decoding can begin here.
    fn is_key(&self) -> bool;
    /// Its size.
    fn bytes(&self) -> usize;
    /// Of the camera's own clock.
    fn offset(&self) -> Option<ClockOffset>;
    /// Whether both can be in one file.
    fn is_alike(&self, other: &Self) -> bool;
}

/// Why packets that came are in no file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// They came before the first key frame.
    NoKeyFrame,
    /// They came faster than the disk took them.
    Slow,
    /// The disk failed.
    Disk,
    /// The recorder itself failed.
    Failed,
}

/// What a recorder is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing can be written before the next key frame; `None` where no packet was lost so far.
    Waiting(Option<Why>),
    /// Between events: what comes is kept in memory.
    Keeping,
    /// What comes goes into a file.
    Writing,
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step<P> {
    /// The file under way ends; at this instant, where the next one begins there.
    Finish(Option<Timestamp>),
    /// A file begins with this packet.
    Begin(P),
    /// The packet goes into the file under way.
    Write(P),
    /// Pictures are taken care of again. Between both instants there are none, for this reason or because none came.
    Resumed { last: Option<Timestamp>, at: Timestamp, why: Option<Why> },
    /// The camera sends key frames rarely: seconds between the last two.
    KeyFramesRare(u64),
    /// The time before an event does not fit into the memory: so many seconds of it do.
    PreRollCut(u64),
}

/// How a camera is to be recorded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub segment: Duration,
    pub events_only: bool,
    pub pre_roll: Duration,
    pub post_roll: Duration,
}

/// The file under way.
struct Open<P> {
    first: P,
    offset: Option<ClockOffset>,
    bytes: usize,
}

impl<P: Arrival> Open<P> {
    /// How long the file would be with this packet as its end.
    fn length(&self, packet: &P) -> Duration {
        packet.position().saturating_sub(self.first.position())
    }

    /// Whether the wall clock, or the camera's own, was set meanwhile.
    fn jumped(&self, packet: &P) -> bool {
        packet.at().seconds_since(self.first.at().plus(self.length(packet))).abs() > JUMP
            || self.offset.zip(packet.offset()).is_some_and(|(before, now)| now.jumped_from(before))
    }
}

/// The course of one camera's recording.
pub(super) struct Course<P> {
    plan: Plan,
    state: State,
    open: Option<Open<P>>,
    /// What came since a key frame at least the pre-roll ago, maybe over several connections; only between events.
    kept: VecDeque<P>,
    kept_bytes: usize,
    /// Recorded up to here, when only around events.
    wanted_until: Option<Timestamp>,
    /// Whether nobody can tell what happens: then everything is recorded.
    unwatched: bool,
    cut: bool,
    /// The last packet taken care of, and the one before it: connection, position, instant.
    last: Option<(u64, Duration, Timestamp)>,
    before: Option<(u64, Duration, Timestamp)>,
    /// The last packet before the wall clock was set; the file under way goes on to the next key frame by the old one.
    set_after: Option<Timestamp>,
    /// The last key frame of this connection, and whether it was told that they are rare.
    key: Option<(u64, Duration)>,
    rare_told: Option<u64>,
    cut_told: bool,
    /// The usual time between two packets.
    pace: Duration,
    failed_at: Option<Duration>,
}

impl<P: Arrival> Course<P> {
    pub fn new(plan: Plan) -> Self {
        Self {
            plan,
            state: State::Waiting(None),
            open: None,
            kept: VecDeque::new(),
            kept_bytes: 0,
            wanted_until: None,
            unwatched: false,
            cut: false,
            last: None,
            before: None,
            set_after: None,
            key: None,
            rare_told: None,
            cut_told: false,
            pace: Duration::ZERO,
            failed_at: None,
        }
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    /// The usual time between two packets; zero before the second.
    pub fn pace(&self) -> Duration {
        self.pace
    }

    /// Something happened: the time around it is to be kept, what came before it at once.
    pub fn event(&mut self, at: Timestamp) -> Vec<Step<P>> {
        let until = at.plus(self.plan.post_roll);
        self.wanted_until = Some(self.wanted_until.map_or(until, |u| u.max(until)));
        self.forget(at);
        let mut steps = Vec::new();
        self.write_kept(&mut steps);
        steps
    }

    /// The file under way ends with the next key frame.
    pub fn cut(&mut self) {
        self.cut = true;
    }

    /// Whether nobody looks at this camera's pictures, so that no event would be told.
    pub fn unwatched(&mut self, unwatched: bool) {
        self.unwatched = unwatched;
    }

    /// Nothing comes any more for now: what there is can be watched.
    pub fn silence(&mut self) -> Vec<Step<P>> {
        let finish = self.finish(None);
        if self.state == State::Writing {
            self.state = State::Waiting(None);
        }
        finish.into_iter().collect()
    }

    /// The recorder failed, and is a new one: what the old one took care of ends there.
    pub fn go_on_after(&mut self, last: Option<Timestamp>) {
        (self.set_after, self.state) = (last, State::Waiting(Some(Why::Failed)));
    }

    /// What was to be done with the last packet failed, at this time of a clock that is never set.
    pub fn failed(&mut self, now: Duration) {
        self.open = None;
        self.last = self.before;
        self.state = State::Waiting(Some(Why::Disk));
        self.failed_at = Some(now);
    }

    /// Takes a packet, at this time of a clock that is never set; `lost` says that others before it were lost.
    pub fn packet(&mut self, packet: P, lost: bool, now: Duration) -> Vec<Step<P>> {
        let mut steps = Vec::new();
        self.measure(&packet, &mut steps);
        let goes_on =
            !lost && !matches!(self.state, State::Waiting(_)) && self.last.is_some_and(|(run, ..)| run == packet.run());
        if !goes_on {
            steps.extend(self.finish(None));
            let why = match &self.state {
                State::Waiting(why) => why.clone(),
                _ => None,
            };
            let why = if lost { Some(Why::Slow) } else { why };
            let failed = self.failed_at.is_some_and(|failed| now.saturating_sub(failed) < RETRY_AFTER);
            if !packet.is_key() || failed {
                self.state = State::Waiting(Some(why.unwrap_or(Why::NoKeyFrame)));
                return steps;
            }
            let last = self.set_after.take().or(self.last.map(|(_, _, at)| at));
            let apart = last.map_or(f64::INFINITY, |last| packet.at().seconds_since(last).abs());
            // A camera that was connected again within the same second has no hole worth telling, but what was lost is told.
            if why.is_some() || apart > HOLE.max(2.0 * self.pace.as_secs_f64()) {
                steps.push(Step::Resumed { last, at: packet.at(), why });
            }
        }
        let taken = (packet.run(), packet.position(), packet.at());
        self.failed_at = None;
        let wanted =
            !self.plan.events_only || self.unwatched || self.wanted_until.is_some_and(|until| packet.at() <= until);
        // A group of pictures is kept whole: what came after an event is of no use to the next one without its key frame.
        let whole = self.open.is_some() && !packet.is_key();
        if wanted || whole {
            self.state = State::Writing;
            self.write_kept(&mut steps);
            self.write(packet, &mut steps);
        } else {
            steps.extend(self.finish(None));
            self.state = State::Keeping;
            self.keep(packet, &mut steps);
        }
        if !matches!(self.state, State::Waiting(_)) {
            self.before = self.last.replace(taken);
        }
        steps
    }

    fn write_kept(&mut self, steps: &mut Vec<Step<P>>) {
        self.kept_bytes = 0;
        for packet in std::mem::take(&mut self.kept) {
            self.write(packet, steps);
        }
    }

    /// How often packets, and key frames, come.
    fn measure(&mut self, packet: &P, steps: &mut Vec<Step<P>>) {
        if let Some((run, before, at)) = self.last
            && run == packet.run()
        {
            let apart = packet.position().saturating_sub(before);
            if (packet.at().seconds_since(at) - apart.as_secs_f64()).abs() > JUMP && packet.position() >= before {
                self.set_after.get_or_insert(at);
            }
            // Follows within a few packets, and is not thrown off by one that is late.
            self.pace = if self.pace.is_zero() { apart } else { (self.pace * 3 + apart.min(self.pace * 4)) / 4 };
        }
        if packet.is_key() {
            if let Some((run, before)) = self.key
                && run == packet.run()
            {
                let apart = packet.position().saturating_sub(before);
                if apart > KEY_FRAMES_RARE && self.rare_told != Some(run) {
                    self.rare_told = Some(run);
                    steps.push(Step::KeyFramesRare(apart.as_secs()));
                }
            }
            self.key = Some((packet.run(), packet.position()));
        }
    }

    fn finish(&mut self, at: Option<Timestamp>) -> Option<Step<P>> {
        self.open.take().map(|_| Step::Finish(at))
    }

    fn write(&mut self, packet: P, steps: &mut Vec<Step<P>>) {
        if let Some(open) = &self.open {
            let other = open.first.run() != packet.run();
            let due = self.cut || open.length(&packet) >= self.plan.segment;
            let jumped = !other && open.jumped(&packet);
            if packet.is_key() && (other || due || jumped || !open.first.is_alike(&packet)) {
                self.cut = false;
                steps.extend(self.finish(Some(packet.at()).filter(|_| !other && !jumped)));
                // Time that never was, or that is there twice.
                if let Some(last) = self.set_after.take().filter(|last| packet.at().seconds_since(*last).abs() > HOLE) {
                    steps.push(Step::Resumed { last: Some(last), at: packet.at(), why: None });
                }
            } else if open.length(&packet) > LONGEST || open.bytes > LARGEST {
                steps.extend(self.finish(None));
            }
        }
        match &mut self.open {
            Some(open) => {
                open.bytes += packet.bytes();
                open.offset = open.offset.or(packet.offset());
                steps.push(Step::Write(packet));
            }
            None if packet.is_key() => {
                self.open = Some(Open { first: packet.clone(), offset: packet.offset(), bytes: packet.bytes() });
                steps.push(Step::Begin(packet));
            }
            None => self.state = State::Waiting(Some(Why::NoKeyFrame)),
        }
    }

    /// Keeps the time before an event that may come, and of which is told some time after it happened.
    fn keep(&mut self, packet: P, steps: &mut Vec<Step<P>>) {
        let now = packet.at();
        self.kept_bytes += packet.bytes();
        self.kept.push_back(packet);
        self.forget(now.minus(EVENT_TOLD_WITHIN));
        if self.kept_bytes <= PRE_ROLL_BYTES {
            return;
        }
        match self.next_key() {
            Some(next) => self.drop_first(next),
            // One group of pictures alone is too large: nothing of it can be kept.
            None => {
                (self.kept_bytes, self.state) = (0, State::Waiting(Some(Why::NoKeyFrame)));
                self.kept.clear();
            }
        }
        if !std::mem::replace(&mut self.cut_told, true) {
            let seconds = self.kept.front().map_or(0.0, |first| now.seconds_since(first.at()));
            steps.push(Step::PreRollCut(seconds.max(0.0) as u64));
        }
    }

    fn next_key(&self) -> Option<usize> {
        self.kept.iter().skip(1).position(Arrival::is_key).map(|i| i + 1)
    }

    fn drop_first(&mut self, n: usize) {
        self.kept_bytes -= self.kept.drain(..n).map(|p| p.bytes()).sum::<usize>();
    }

    /// Lets go of what is not needed for an event at `at` or later: the next key frame can be the first as long as it still lies
    /// before the pre-roll.
    fn forget(&mut self, at: Timestamp) {
        let first = at.minus(self.plan.pre_roll);
        while let Some(next) = self.next_key().filter(|n| self.kept.get(*n).is_some_and(|p| p.at() <= first)) {
            self.drop_first(next);
        }
    }
}

#[cfg(test)]
mod tests;
