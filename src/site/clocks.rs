//! The cameras' own clocks, which they tell over RTSP: a warning when one is set. Nothing is corrected by them.
use super::{About, Shared, path::CameraPath};
use crate::model::{CameraId, ClockOffset};
use std::{collections::BTreeMap, sync::Arc};

/// What each camera told last, also over connections.
#[derive(Default)]
pub(super) struct Clocks(BTreeMap<CameraId, ClockOffset>);

impl Clocks {
    /// Takes down what the cameras tell now; what the operator must know of it.
    fn look(&mut self, paths: &[Arc<CameraPath>]) -> Vec<(CameraId, String)> {
        let told = paths.iter().filter_map(|path| Some((&path.camera, path.clock_offset()?)));
        told.filter_map(|(camera, now)| {
            let before = self.0.insert(camera.id, now)?;
            now.jumped_from(before).then(|| (camera.id, warning(&camera.name, before, now)))
        })
        .collect()
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
        for (camera, warning) in clocks.look(&self.cameras.paths()) {
            self.trouble(About::Cameras(vec![camera]), warning);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        site::{
            RecordMode,
            recording::{
                RecordingConfig,
                tests::{footage_of, open_at, stored, wait},
            },
        },
        video::{SimulatedCamera, serve},
    };

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
