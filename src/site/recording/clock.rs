//! What becomes of gaps and files when this console's clock is set: no gap is the camera's for time that never was, and none stays
//! open because its end seems to lie before its beginning.
use super::{GAP_AFTER, Recording};
use crate::{
    model::{CameraId, ClockStep, Gap, Timestamp},
    sync::Record,
};
use uuid::Uuid;

/// Two readings of the clock that are of one step lie no further apart, seconds: the watch looks once a second, and pictures come in
/// between.
const NEAR: f64 = 1.5;
/// Less than this between two pictures is no silence of the camera, seconds; the recorder tells of none that is shorter.
const HOLE: f64 = 1.0;

/// A stretch without pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Silence {
    from: Timestamp,
    /// `None` where it lasts.
    until: Option<Timestamp>,
    /// The step that made it; `None` where the camera was silent.
    step: Option<ClockStep>,
}

impl Silence {
    fn seconds(&self, now: Timestamp) -> f64 {
        self.until.unwrap_or(now).seconds_since(self.from)
    }
}

/// What silence there was between the last picture at `from`, which is of before the steps, and `until`, or `now` where it lasts. Time
/// that was left out is the clock's; time that is there twice counts on both sides of the step.
fn silences(from: Timestamp, until: Option<Timestamp>, now: Timestamp, steps: &[ClockStep]) -> Vec<Silence> {
    let end = until.unwrap_or(now);
    let crossed = crossed(from, end, steps);
    if crossed.is_empty() {
        return vec![Silence { from, until, step: None }];
    }
    let mut at = from;
    let mut found = Vec::new();
    for step in crossed {
        found.push(Silence { from: at, until: Some(step.from.max(at)), step: None });
        // Noticed up to a second after it was done: pictures may have come meanwhile.
        let to = step.to.min(end);
        if step.is_forward() {
            found.push(Silence { from: step.from.max(at), until: Some(to), step: Some(step) });
        }
        at = to;
    }
    found.push(Silence { from: at, until: until.map(|until| until.max(at)), step: None });
    // What is too short to be the camera's belongs to the clock's beside it, so that no seam is left.
    let short = |s: &Silence| s.step.is_none() && s.seconds(end) <= HOLE;
    for i in 0..found.len() {
        let (before, after) = (i.checked_sub(1).and_then(|i| found.get(i)).copied(), found.get(i + 1).copied());
        let Some(s) = found.get_mut(i).filter(|s| s.step.is_some()) else { continue };
        if let Some(before) = before.filter(short) {
            s.from = before.from;
        }
        if let Some(after) = after.filter(short)
            && let Some(until) = after.until
        {
            s.until = Some(until);
        }
    }
    found.retain(|s| !short(s));
    found
}

/// The steps between two pictures, in their order: those whose time is left out in between, and the one that went back behind `from`.
fn crossed(from: Timestamp, end: Timestamp, steps: &[ClockStep]) -> Vec<ClockStep> {
    if end < from {
        let back = steps.iter().rev().find(|step| !step.is_forward() && step.from.seconds_since(from) > -NEAR);
        return back.into_iter().copied().collect();
    }
    let mut crossed: Vec<ClockStep> = Vec::new();
    for (i, step) in steps.iter().enumerate().filter(|(_, step)| step.is_forward()) {
        // Time that was left out and came after all, because the clock went back behind it.
        let came = steps.iter().skip(i + 1).any(|later| !later.is_forward() && later.to < step.to);
        let inside = step.from.seconds_since(from) > -NEAR && end.seconds_since(step.to) > -NEAR;
        if inside && !came && end.seconds_since(from) > step.seconds() - NEAR {
            crossed.push(*step);
        }
    }
    crossed
}

/// The reason of a gap that a step made.
fn reason(step: ClockStep) -> String {
    format!("{}: that time never was", super::super::steady::capital(&step.to_string()))
}

impl Recording {
    /// The gaps between two pictures, as the clock and the camera made them.
    pub(super) fn gaps_between(&self, camera: CameraId, from: Timestamp, until: Timestamp, why: &str) -> Vec<Gap> {
        self.gaps_of(camera, silences(from, Some(until), until, &self.steady.steps()), why)
    }

    /// The gaps since the last picture, where there is none for longer than a camera may take; the last of them is open.
    pub(super) fn gaps_since(&self, camera: CameraId, from: Timestamp, now: Timestamp, why: &str) -> Vec<Gap> {
        let silences = silences(from, None, now, &self.steady.steps());
        let silent = silences.iter().filter(|s| s.step.is_none()).map(|s| s.seconds(now)).sum::<f64>();
        if silent <= GAP_AFTER || silences.last().is_none_or(|s| s.until.is_some()) {
            return Vec::new(); // the clock's part is told with the next picture
        }
        self.gaps_of(camera, silences, why)
    }

    /// Whether the clock was set and gaps do not go by that yet.
    pub(super) fn is_behind_the_clock(&self) -> bool {
        self.steady.has_untold()
    }

    /// Whether pictures have been missing for longer than a camera may take, whatever the clock was set to meanwhile.
    pub(super) fn is_silent(&self, from: Timestamp, now: Timestamp) -> bool {
        !self.gaps_since(CameraId::nil(), from, now, "").is_empty()
    }

    fn gaps_of(&self, camera: CameraId, silences: Vec<Silence>, why: &str) -> Vec<Gap> {
        let gap = |s: Silence| {
            let reason = s.step.map_or_else(|| why.to_owned(), reason);
            Gap { id: Uuid::now_v7(), camera, from: s.from, until: s.until, reason }
        };
        silences.into_iter().map(gap).collect()
    }

    /// The clock was set: files begin anew, and gaps that last go on with the time that it shows now.
    pub(in crate::site) fn clock_was_set(&self, step: ClockStep) {
        let mut state = self.state();
        let super::State { cameras, owed, .. } = &mut *state;
        for (camera, per) in cameras {
            if let Some(gap) = per.gap.take() {
                if gap.from > step.from {
                    per.gap = Some(gap); // of after the step
                } else {
                    let (reason_of, id) = (gap.reason.clone(), Uuid::now_v7());
                    owed.push(Record::Gap(Gap { until: Some(step.from), ..gap }));
                    if step.is_forward() {
                        let id = Uuid::now_v7();
                        let (from, until) = (step.from, Some(step.to));
                        owed.push(Record::Gap(Gap { id, camera: *camera, from, until, reason: reason(step) }));
                    }
                    let goes_on = Gap { id, camera: *camera, from: step.to, until: None, reason: reason_of };
                    owed.push(Record::Gap(goes_on.clone()));
                    per.gap = Some(goes_on);
                }
            }
            if let Some(recorder) = &per.recorder {
                recorder.cut();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Timestamp = Timestamp(1_795_000_000_000_000);

    fn at(seconds: f64) -> Timestamp {
        Timestamp(T0.0 + (seconds * 1e6) as i64)
    }

    fn step(from: f64, to: f64) -> ClockStep {
        ClockStep { from: at(from), to: at(to) }
    }

    /// Seconds from, until, and whether the clock made it.
    fn told(from: f64, until: f64, steps: &[ClockStep]) -> Vec<(f64, f64, bool)> {
        let found = silences(at(from), Some(at(until)), at(until), steps);
        let seconds = |t: Timestamp| t.seconds_since(T0);
        found.iter().map(|s| (seconds(s.from), s.until.map_or(f64::NAN, seconds), s.step.is_some())).collect()
    }

    #[test]
    fn time_that_was_left_out_is_the_clocks_and_only_what_the_camera_was_silent_for_is_its_own() {
        let forward = [step(100.0, 3700.0)];
        assert_eq!(told(99.96, 3700.02, &forward), [(99.96, 3700.02, true)], "no picture was missed");
        assert_eq!(told(50.0, 3700.1, &forward), [(50.0, 100.0, false), (100.0, 3700.1, true)]);
        let both = [(50.0, 100.0, false), (100.0, 3700.0, true), (3700.0, 3720.0, false)];
        assert_eq!(told(50.0, 3720.0, &forward), both);
        assert_eq!(told(3710.0, 3720.0, &forward), [(3710.0, 3720.0, false)], "of after it");
        assert_eq!(told(10.0, 20.0, &forward), [(10.0, 20.0, false)], "of before it");
        assert_eq!(told(99.5, 3699.6, &forward), [(99.5, 3699.6, true)], "noticed after the next picture");
    }

    #[test]
    fn a_clock_that_went_back_makes_no_gap_and_hides_none() {
        let back = [step(3700.0, 100.0)];
        assert_eq!(told(3699.96, 100.02, &back), []);
        assert_eq!(told(3680.0, 130.0, &back), [(3680.0, 3700.0, false), (100.0, 130.0, false)]);
        assert_eq!(told(150.0, 160.0, &back), [(150.0, 160.0, false)], "long after it");
        // An hour that was left out comes after all, and in it the camera is silent.
        let both = [step(100.0, 3700.0), step(3760.0, 160.0)];
        assert_eq!(told(90.0, 3800.0, &both), [(90.0, 3800.0, false)]);
    }

    #[test]
    fn a_silence_that_lasts_is_open_on_this_side_of_the_step() {
        let steps = [step(100.0, 3700.0)];
        let found = silences(at(90.0), None, at(3720.0), &steps);
        assert_eq!(found.last().map(|s| (s.from, s.until, s.step)), Some((at(3700.0), None, None)));
        assert_eq!(found.len(), 3);
        // The next picture is to be waited for.
        let found = silences(at(99.9), None, at(3700.5), &steps);
        assert!(found.iter().all(|s| s.step.is_some()), "{found:?}");
    }
}
