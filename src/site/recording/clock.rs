//! What becomes of gaps and files when this console's clock is set: no gap is the camera's for time that never was, and none stays
//! open because its end seems to lie before its beginning.
use super::{GAP_AFTER, NOT_RUNNING, Recording, State};
use crate::{
    model::{Action, CameraId, ClockOffset, ClockStep, Gap, Outcome, Segment, Timestamp},
    site::{Shared, console_user, steady::capital},
    sync::Record,
};
use serde_json::json;
use std::collections::BTreeMap;
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
        let whole = Silence { from, until, step: None };
        return if end < from { Vec::new() } else { vec![whole] };
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
    if step.was_unset() {
        NOT_RUNNING.to_owned()
    } else {
        format!("{}: that time never was", capital(&step.to_string()))
    }
}

/// Up to when each camera is known to have video.
pub(super) type Ends = BTreeMap<CameraId, Vec<Timestamp>>;

/// A recording that got the time that it is of: its id, and when it had seemed to start.
pub(super) type Redated = (Segment, Timestamp);

impl Recording {
    /// The gaps between two pictures, as the clock and the camera made them.
    pub(super) fn gaps_between(
        &self,
        camera: CameraId,
        (from, until): (Timestamp, Timestamp),
        why: &str,
        ends: &Ends,
    ) -> Vec<Gap> {
        self.gaps_of(camera, silences(from, Some(until), until, &self.steady.steps()), why, ends)
    }

    /// The gaps since the last picture, where there is none for longer than a camera may take; the last of them is open.
    pub(super) fn gaps_since(
        &self,
        camera: CameraId,
        (from, now): (Timestamp, Timestamp),
        why: &str,
        ends: &Ends,
    ) -> Vec<Gap> {
        let silences = silences(from, None, now, &self.steady.steps());
        let silent = silences.iter().filter(|s| s.step.is_none()).map(|s| s.seconds(now)).sum::<f64>();
        if silent <= GAP_AFTER || silences.last().is_none_or(|s| s.until.is_some()) {
            return Vec::new(); // the clock's part is told with the next picture
        }
        self.gaps_of(camera, silences, why, ends)
    }

    /// Whether the clock was set and gaps do not go by that yet.
    pub(super) fn is_behind_the_clock(&self) -> bool {
        self.steady.has_untold()
    }

    /// Whether pictures have been missing for longer than a camera may take, whatever the clock was set to meanwhile.
    pub(super) fn is_silent(&self, from: Timestamp, now: Timestamp) -> bool {
        !self.gaps_since(CameraId::nil(), (from, now), "", &Ends::new()).is_empty()
    }

    fn gaps_of(&self, camera: CameraId, silences: Vec<Silence>, why: &str, ends: &Ends) -> Vec<Gap> {
        let ends = ends.get(&camera).map(Vec::as_slice).unwrap_or_default();
        let gap = |s: Silence| {
            let reason = s.step.map_or_else(|| why.to_owned(), reason);
            let gap = Gap { id: Uuid::now_v7(), camera, from: s.from, until: s.until, reason };
            s.step.map_or_else(|| Some(gap.clone()), |step| self.without_video(gap.clone(), step, ends))
        };
        silences.into_iter().filter_map(gap).collect()
    }

    /// What of the time that a step left out has no video: before the clock was set wrongly, or by an earlier run, some of it may have
    /// been recorded.
    fn without_video(&self, gap: Gap, step: ClockStep, ends: &[Timestamp]) -> Option<Gap> {
        let mut until = gap.until?;
        if step.was_unset() {
            // What this run recorded before gets the time that it is of.
            until = Timestamp(step.to.0.saturating_sub(step.from.0.saturating_sub(self.began_at.0))).min(until);
        }
        let known = ends.iter().copied().filter(|end| *end < until).max();
        // By a clock that was not set nothing is known of when there was no video, unless an earlier run tells.
        let from = if step.was_unset() {
            known.filter(|end| *end > step.from)?
        } else {
            known.map_or(gap.from, |end| end.max(gap.from))
        };
        (until.seconds_since(from) > HOLE).then_some(Gap { from, until: Some(until), ..gap })
    }

    /// Up to when each camera is known to have video; only where the clock was set this matters.
    pub(super) fn ends(&self, state: &State) -> Ends {
        let mut ends = Ends::new();
        if !self.steady.steps().is_empty() {
            for segment in &state.recent {
                ends.entry(segment.camera).or_default().push(segment.ends_at);
            }
            for (camera, per) in &state.cameras {
                ends.entry(*camera).or_default().extend(per.covered_until);
            }
        }
        ends
    }

    /// A recording of this run as of the time that it is of, where the clock was set since it began.
    pub(super) fn dated(&self, segment: &Segment) -> Option<Segment> {
        let mut dated = segment.clone();
        for step in self.steady.steps().into_iter().filter(|step| step.was_unset()) {
            if dated.starts_at <= step.from {
                let moved = |at: Timestamp| Timestamp(at.0.saturating_add(step.by()));
                (dated.starts_at, dated.ends_at) = (moved(dated.starts_at), moved(dated.ends_at));
                dated.clock_offset = dated.clock_offset.map(|offset| ClockOffset(offset.0.saturating_sub(step.by())));
            }
        }
        (dated != *segment).then_some(dated)
    }

    /// What was recorded before the clock was set at last gets its time.
    fn redate(&self, state: &mut State) {
        let State { recent, spooled, earlier, owed, redated, .. } = state;
        for segment in recent.iter_mut().filter(|s| !earlier.contains(&s.id)) {
            let Some(dated) = self.dated(segment) else { continue };
            redated.push((dated.clone(), segment.starts_at));
            owed.push(Record::Segment(dated.clone()));
            if let Some(waiting) = spooled.iter_mut().find(|s| s.segment.id == dated.id) {
                waiting.segment = dated.clone();
            }
            *segment = dated;
        }
    }

    /// The recording as it is dated now: it may have been on its way to the store when the clock was set.
    pub(super) fn as_dated(&self, segment: &Segment) -> Segment {
        let state = self.state();
        let waiting = state.spooled.iter().find(|s| s.segment.id == segment.id);
        waiting.map_or(segment, |s| &s.segment).clone()
    }

    /// The clock was set: files begin anew, and gaps that last go on with the time that it shows now.
    pub(in crate::site) fn clock_was_set(&self, step: ClockStep) {
        let mut state = self.state();
        let ends = self.ends(&state);
        if step.was_unset() {
            self.redate(&mut state);
        }
        let State { cameras, owed, .. } = &mut *state;
        for (camera, per) in cameras {
            if let Some(gap) = per.gap.take() {
                if gap.from > step.from {
                    per.gap = Some(gap); // of after the step
                } else {
                    let (reason_of, id) = (gap.reason.clone(), Uuid::now_v7());
                    owed.push(Record::Gap(Gap { until: Some(step.from), ..gap }));
                    if step.is_forward() {
                        let id = Uuid::now_v7();
                        let left_out =
                            Gap { id, camera: *camera, from: step.from, until: Some(step.to), reason: reason(step) };
                        let ends = ends.get(camera).map(Vec::as_slice).unwrap_or_default();
                        owed.extend(self.without_video(left_out, step, ends).map(Record::Gap));
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

impl Shared {
    /// Once a second: which recordings got their time because the clock was set is in the log, so that nobody takes it for what the
    /// clock showed.
    pub(super) async fn tell_of_redated(&self) {
        let redated = std::mem::take(&mut self.recording.state().redated);
        if redated.is_empty() {
            return;
        }
        let told = |(segment, seemed): &Redated| {
            json!({
                "id": segment.id, "camera": self.camera_name(segment.camera), "starts_at": segment.starts_at.to_string(),
                "clock_showed": seemed.to_string(),
            })
        };
        let recordings: Vec<_> = redated.iter().map(told).collect();
        let mut entry = self.records.entry((&console_user(), ""), Action::NoticeClock, Outcome::Succeeded);
        entry.details = json!({
            "what": "recordings were made while this console's clock was not set", "recordings": recordings,
            "why": "their time is counted back from when it was",
        });
        if !self.commit(&[Record::Action(entry)], "The log does not say which recordings were dated anew").await {
            self.recording.state().redated.extend(redated);
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
