//! The cameras' own clocks, which they tell over RTSP: a warning when one is set. Nothing is corrected by them.
use super::{About, Shared};
use crate::model::{Camera, CameraId, ClockOffset, ClockStep};
use std::collections::BTreeMap;

/// What each camera told last, also over connections.
#[derive(Default)]
pub(super) struct Clocks(BTreeMap<CameraId, ClockOffset>);

impl Clocks {
    /// Takes down what the cameras tell now; what the operator must know of it. Where this console's own clock was set, by one of
    /// `steps`, every camera's seems to have jumped by as much, and none is to blame.
    fn look<'a>(
        &mut self,
        told: impl Iterator<Item = (&'a Camera, ClockOffset)>,
        steps: &[ClockStep],
    ) -> Vec<(CameraId, String)> {
        let mut warnings = Vec::new();
        for (camera, now) in told {
            let Some(before) = self.0.insert(camera.id, now) else { continue };
            // Several steps may lie between two measurements.
            let sums = steps.iter().scan(0_i64, |sum, step| {
                *sum = sum.saturating_add(step.by());
                Some(*sum)
            });
            let set = steps.iter().map(|step| step.by()).chain(sums);
            let own = |by: i64| !now.jumped_from(ClockOffset(before.0.saturating_sub(by)));
            if now.jumped_from(before) && !set.into_iter().any(own) {
                warnings.push((camera.id, warning(&camera.name, before, now)));
            }
        }
        warnings
    }
}

fn warning(camera: &str, before: ClockOffset, now: ClockOffset) -> String {
    format!(
        "The clock of {camera} jumped: it is {now} of this console's now, and was {before}. Times are kept by the console's clock; \
         set the camera's, or have it set by NTP"
    )
}

impl Shared {
    /// Once a second.
    pub(super) fn look_at_clocks(&self, clocks: &mut Clocks) {
        let paths = self.cameras.paths();
        let told = paths.iter().filter_map(|path| Some((&path.camera, path.clock_offset()?)));
        for (camera, warning) in clocks.look(told, &self.steady.recent()) {
            self.trouble(About::Cameras(vec![camera]), warning);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::Timestamp,
        site::{
            RecordMode,
            recording::{
                RecordingConfig,
                tests::{footage_of, open_at, stored, wait},
            },
        },
        store::cameras::tests::camera,
        video::{SimulatedCamera, serve},
    };

    #[test]
    fn a_camera_is_not_blamed_where_this_consoles_clock_was_set() {
        let [gate, yard] = ["Gate", "Yard"].map(|name| Camera { name: name.to_owned(), ..camera() });
        let all = |seconds: [f64; 2]| [(&gate, ClockOffset::from(seconds[0])), (&yard, ClockOffset::from(seconds[1]))];
        let step = |by: i64| ClockStep { from: Timestamp(0), to: Timestamp(by * 1_000_000) };
        let mut clocks = Clocks::default();
        assert_eq!(clocks.look(all([0.1, -7.0]).into_iter(), &[]), []);
        // The console's clock is set forward by an hour: all cameras fall behind by as much, as they are measured.
        assert_eq!(clocks.look(all([-3599.9, -7.0]).into_iter(), &[step(3600)]), []);
        assert_eq!(clocks.look(all([-3599.8, -3607.1]).into_iter(), &[step(3600)]), []);
        // And back in two steps of which only the sum is measured.
        assert_eq!(clocks.look(all([0.2, -7.1]).into_iter(), &[step(-1800), step(-1800)]), []);
        // A camera that is set in the same seconds by another amount is told of.
        let told = clocks.look(all([-3600.0, 53.0]).into_iter(), &[step(3600)]);
        assert_eq!(told.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [yard.id]);
        // And one that jumps by itself.
        assert_eq!(clocks.look(all([-100.0, 53.0]).into_iter(), &[]).len(), 1);
    }

    #[test]
    fn a_cameras_clock_is_shown_and_kept_with_its_recordings_and_a_jump_is_warned_of() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gate.mkv");
        footage_of(&file, 60);
        let server = serve(&[SimulatedCamera { name: "gate".to_owned(), file }], 0, None).unwrap();
        server.set_clocks(-7230); // not near a whole minute: a busy machine's delay is in it
        let recording = RecordingConfig { record: RecordMode::Always, segment_s: 1.0, ..RecordingConfig::default() };
        let site = open_at(&folder.path().join("data"), server.urls()[0].clone(), recording);
        let shown = |words: &str| {
            let offset = || site.cameras()[0].clock_offset.filter(|offset| offset.to_string() == words);
            wait(words, offset);
        };
        let notices = || -> Vec<String> { site.shared.board.lock().notices.iter().map(|n| n.text.clone()).collect() };
        shown("2 h 0 min behind");
        wait("a recording that says so", || stored(&site).iter().any(|s| s.clock_offset.is_some()).then_some(()));
        assert!(!notices().iter().any(|n| n.contains("jumped")), "{:?}", notices());
        server.set_clocks(7230);
        shown("2 h 0 min ahead");
        let warning = wait("the warning", || notices().into_iter().find(|n| n.contains("jumped")));
        assert!(warning.starts_with("The clock of Gate jumped: it is 2 h 0 min ahead"), "{warning}");
        assert!(warning.contains("and was 2 h 0 min behind."), "{warning}");
        wait("a recording of after it", || {
            let told = stored(&site).into_iter().filter_map(|s| Some((s.clock_offset?, s.starts_at)));
            told.max_by_key(|(_, at)| *at).filter(|(offset, _)| offset.seconds() > 7000.0)
        });
    }
}
