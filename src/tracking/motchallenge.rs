//! The text files of the MOTChallenge: public detections in, tracking results out (<https://arxiv.org/abs/1603.00831>).
use super::{Observation, OfflineConfig, Recording, Step, Tracker, TrackerConfig, score::ScoreScale};
use crate::model::{Rect, Timestamp};
use std::fmt::Write as _;

/// Frame numbers above this are refused: nobody records a camera of 60 frames/s for a year in one file, and every
/// frame up to the last is stepped.
const MAX_FRAME: u32 = 10_000_000;

/// One detection of a MOTChallenge file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MotDetection {
    /// Frame number, from 1.
    pub frame: u32,
    /// Box in pixels.
    pub rect: Rect,
    /// The detector's confidence, in the detector's own scale.
    pub score: f32,
}

/// One row of a result file: a track on one frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ResultRow {
    /// Frame number, from 1.
    pub frame: u32,
    /// The track's identity.
    pub id: u64,
    /// Box in pixels.
    pub rect: Rect,
    /// Score of the track's last detection, on the tracker's scale.
    pub score: f32,
}

/// Why a detection file cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the detections: {reason}; expected frame,id,left,top,width,height,score")]
pub struct MotError {
    /// Line number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

/// Reads detections, `frame,id,left,top,width,height,score[,…]` a line; the id and what follows the score are not
/// looked at, empty lines are skipped. Sorted by frame; within a frame the file's order is kept.
///
/// # Errors
/// The first line that has fewer than seven columns, a column that is not a finite number, a frame that is not a whole
/// number from 1, or a box without width or height.
pub fn parse_detections(text: &str) -> Result<Vec<MotDetection>, MotError> {
    let mut detections = Vec::new();
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        detections.push(parse_line(line).map_err(|reason| MotError { line: index + 1, reason })?);
    }
    detections.sort_by_key(|d| d.frame);
    Ok(detections)
}

fn parse_line(line: &str) -> Result<MotDetection, String> {
    let fields: Vec<&str> = line.trim().split(',').map(str::trim).collect();
    let [frame, _, x, y, w, h, score, ..] = fields.as_slice() else {
        return Err(format!("{} columns", fields.len()));
    };
    let number = |name: &str, text: &str| match text.parse::<f32>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ => Err(format!("the {name} '{text}' is not a finite number")),
    };
    let frame = match frame.parse::<f64>() {
        Ok(value) if value.fract() == 0.0 && (1.0..=f64::from(MAX_FRAME)).contains(&value) => value as u32,
        _ => return Err(format!("the frame '{frame}' is not a whole number in 1..={MAX_FRAME}")),
    };
    let rect = Rect::new(number("left", x)?, number("top", y)?, number("width", w)?, number("height", h)?);
    if rect.w <= 0.0 || rect.h <= 0.0 {
        return Err(format!("the box is empty, width {w} height {h}"));
    }
    Ok(MotDetection { frame, rect, score: number("score", score)? })
}

/// Follows everybody in a file of detections. Every frame from 1 to the last one with a detection is stepped, those
/// without detections too; frame `n` is taken at `(n - 1) / fps` seconds. `detections` must be sorted by frame, as
/// [`parse_detections`] returns them. Rows come sorted by frame, then id. An `fps` that is not above 0 is taken as 1.
/// Scores are brought to the tracker's scale by what the detector has said up to that frame.
pub fn track_detections(detections: &[MotDetection], fps: f64, config: TrackerConfig) -> Vec<ResultRow> {
    let mut rows = Vec::new();
    follow(detections, fps, config, |frame, _, _, step| {
        rows.extend(step.tracks.iter().map(|t| ResultRow { frame, id: t.id.0, rect: t.rect, score: t.score }));
    });
    rows
}

/// The same with a second pass over the whole; see [`Recording::finish`].
pub fn track_recording(
    detections: &[MotDetection],
    fps: f64,
    config: TrackerConfig,
    offline: &OfflineConfig,
) -> Vec<ResultRow> {
    let mut recording = Recording::default();
    follow(detections, fps, config, |_, at, observations, step| recording.push(at, observations, step));
    recording.finish(offline)
}

/// Steps a tracker over all frames and shows each with its number, its instant, and what came in and out.
fn follow(
    detections: &[MotDetection],
    fps: f64,
    config: TrackerConfig,
    mut show: impl FnMut(u32, Timestamp, &[Observation<'_>], &Step),
) {
    let fps = if fps.is_finite() && fps > 0.0 { fps } else { 1.0 };
    let mut tracker = Tracker::new(config);
    let mut scale = ScoreScale::default();
    let mut rest = detections;
    let last = detections.last().map_or(0, |d| d.frame);
    for frame in 1..=last {
        let (now, later) = rest.split_at(rest.partition_point(|d| d.frame <= frame));
        rest = later;
        scale.learn(now.iter().map(|d| d.score));
        let observations: Vec<Observation<'_>> =
            now.iter().map(|d| Observation { rect: d.rect, score: scale.apply(d.score), descriptor: None }).collect();
        let at = Timestamp((f64::from(frame - 1) / fps * 1e6).round() as i64);
        let step = tracker.step(at, &observations);
        show(frame, at, &observations, &step);
    }
}

/// The rows as a result file, `frame,id,left,top,width,height,score,-1,-1,-1` a line: two decimals for pixels, four for
/// the score, so that the same rows are the same bytes.
pub fn write_results(rows: &[ResultRow]) -> String {
    let mut text = String::with_capacity(rows.len() * 56);
    for ResultRow { frame, id, rect, score } in rows {
        let Rect { x, y, w, h } = rect;
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{frame},{id},{x:.2},{y:.2},{w:.2},{h:.2},{score:.4},-1,-1,-1");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detections_are_read_and_sorted_by_frame() {
        let found = parse_detections("\u{feff}2,-1,1,2,3,4,0.5,-1,-1,-1\r\n\n1,-1,10.5,-2,30,40,1\n").unwrap();
        assert_eq!(found.iter().map(|d| d.frame).collect::<Vec<_>>(), [1, 2]);
        assert_eq!((found[0].rect, found[0].score), (Rect::new(10.5, -2.0, 30.0, 40.0), 1.0));
        assert_eq!(parse_detections(""), Ok(vec![]));
    }

    #[test]
    fn a_bad_line_is_named_with_the_reason() {
        for (bad, reason) in [
            ("1,-1,1,2,3,4", "6 columns"),
            ("0,-1,1,2,3,4,1", "the frame '0'"),
            ("1.5,-1,1,2,3,4,1", "the frame '1.5'"),
            ("99999999999,-1,1,2,3,4,1", "the frame"),
            ("1,-1,x,2,3,4,1", "the left 'x'"),
            ("1,-1,1,2,3,NaN,1", "the height 'NaN'"),
            ("1,-1,1,2,0,4,1", "the box is empty"),
            ("1,-1,1,2,3,4,inf", "the score 'inf'"),
        ] {
            let error = parse_detections(&format!("1,-1,1,2,3,4,1\n{bad}\n")).unwrap_err();
            assert_eq!(error.line, 2, "{bad}");
            assert!(error.reason.starts_with(reason), "{bad}: {error}");
        }
    }

    #[test]
    fn results_have_fixed_decimals() {
        let row = ResultRow { frame: 7, id: 3, rect: Rect::new(1.0, -2.345, 30.5, 60.0), score: 0.9 };
        assert_eq!(write_results(&[row]), "7,3,1.00,-2.35,30.50,60.00,0.9000,-1,-1,-1\n");
    }

    #[test]
    fn later_scores_do_not_change_earlier_rows() {
        let seen = |frame: u32, score| MotDetection { frame, rect: Rect::new(100.0, 100.0, 40.0, 100.0), score };
        let early: Vec<_> = (1..=20).map(|f| seen(f, 30.0 + f as f32)).collect();
        let all: Vec<_> = early.iter().copied().chain((21..=40).map(|f| seen(f, -500.0 + 90.0 * f as f32))).collect();
        let rows = |detections: &[MotDetection]| track_detections(detections, 30.0, TrackerConfig::default());
        let expected = rows(&early);
        assert!(!expected.is_empty());
        assert!(rows(&all).starts_with(&expected));
    }

    #[test]
    fn a_detector_that_never_says_1_is_followed_as_well() {
        let walkers = |frame: u32| {
            [0.0f32, 500.0].map(|y| MotDetection {
                frame,
                rect: Rect::new(100.0 + 3.0 * frame as f32, y, 40.0, 100.0),
                score: [0.97, 0.99, 1.0, 0.98][(frame as usize + y as usize) % 4],
            })
        };
        let detections: Vec<_> = (1..=40).flat_map(walkers).collect();
        let rows = |transform: fn(f32) -> f32| {
            let changed: Vec<_> = detections.iter().map(|d| MotDetection { score: transform(d.score), ..*d }).collect();
            let rows = track_detections(&changed, 30.0, TrackerConfig::default());
            rows.iter().map(|r| (r.frame, r.id)).collect::<Vec<_>>()
        };
        let expected = rows(|s| s);
        assert!(expected.len() > 70);
        for transform in [|s: f32| 0.6 * s, |s| s * s, |s| 0.5 + s / 2.0] {
            assert_eq!(rows(transform), expected);
        }
    }

    #[test]
    fn frames_without_detections_are_stepped_too() {
        let seen = |frame| MotDetection { frame, rect: Rect::new(100.0, 100.0, 40.0, 100.0), score: 1.0 };
        let mut detections: Vec<_> = (1..=30).chain(34..=40).map(seen).collect();
        detections.push(MotDetection { score: 0.5, ..seen(200) }); // too weak to be somebody new
        let rows = track_detections(&detections, 30.0, TrackerConfig::default());
        assert!(rows.iter().any(|r| r.frame == 32), "coasts over the gap");
        assert!(rows.iter().all(|r| r.id == 1 && r.frame < 60), "ends long before frame 200");
        assert!(rows.is_sorted_by_key(|r| (r.frame, r.id)));
    }
}
