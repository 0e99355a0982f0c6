//! A run that was recorded can be run again, and a changed byte shows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // helpers of tests fail as tests do
use std::{
    path::Path,
    process::Command as Process,
    sync::Arc,
    time::{Duration, Instant},
};
use vigia::{
    cli::prerequisites,
    model::{Decision, SystemClock},
    site::{
        Access, CameraConfig, Command, Judgement, OverlapConfig, ReplayConfig, Site, SiteConfig, SiteState, replay,
    },
    video::{Codec, Window, make_view},
};

fn until(site: &Site, what: &str, mut done: impl FnMut(&SiteState) -> bool) -> SiteState {
    let start = Instant::now();
    loop {
        let state = site.state();
        if done(&state) {
            return state;
        }
        let notices: Vec<_> = state.notices.iter().map(|n| &n.text).collect();
        assert!(start.elapsed() < Duration::from_secs(60), "{what} did not come: {notices:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Two real cameras that see the same people; the first whom both see well is marked, and what comes of it is decided.
fn record(folder: &Path, record: &Path) {
    let camera = |name: &str, codec| {
        let file = folder.join(format!("{name}.mkv"));
        let window = Window { x: 0, y: 0, width: 480, height: 360 };
        make_view(&prerequisites::footage("vtest.avi"), window, codec, &file, &mut |_| {}).unwrap();
        CameraConfig { is_virtual: true, ..CameraConfig::new(name, format!("file://{}", file.display())) }
    };
    let config = SiteConfig {
        cameras: vec![camera("Gate", Codec::H264), camera("Hall", Codec::Mjpeg)],
        replay: ReplayConfig { folder: Some(record.to_owned()) },
        // Both show the same people at the same instants.
        overlaps: vec![OverlapConfig { cameras: vec!["Gate".to_owned(), "Hall".to_owned()] }],
        ..SiteConfig::default()
    };
    let models = prerequisites::models_dir(None);
    let site = Site::open(config, &folder.join("data"), &models, Arc::new(SystemClock)).unwrap();
    let (name, email, password) =
        ("Ana Sousa".into(), "ana@police.example".into(), "correct horse battery staple".into());
    site.send(Command::CreateAdministrator { cc: "1".into(), name, email, password });
    until(&site, "the login", |s| matches!(s.access, Access::LoggedIn(_)));
    let sure = |state: &SiteState| {
        let gate = &state.cameras[0];
        let tall = gate.tracks.iter().find(|t| t.track.hits > 5 && t.track.rect.h > 60.0 && t.track.score > 0.6);
        gate.frame.clone().zip(tall.cloned())
    };
    let state = until(&site, "somebody in full view", |s| sure(s).is_some());
    let (frame, person) = sure(&state).unwrap();
    site.send(Command::SelectSuspect {
        camera: state.cameras[0].camera.id,
        track: person.track.id,
        frame,
        rect: person.track.rect,
        reason: "theft".into(),
        expires_in: Duration::from_secs(3600),
    });
    let state = until(&site, "the suspect", |s| !s.suspects.is_empty());
    assert_eq!(state.suspects.len(), 1);
    let open = |s: &SiteState| s.sightings.iter().find(|v| v.sighting.decision == Decision::Pending).cloned();
    let state = until(&site, "a possible match in the other camera", |s| open(s).is_some());
    site.send(open(&state).unwrap().judged(Judgement::Confirm));
    until(&site, "the decision", |s| open(s).is_none());
    std::thread::sleep(Duration::from_secs(2));
}

#[test]
fn a_recorded_run_comes_out_the_same_and_a_changed_byte_shows() {
    let folder = tempfile::tempdir().unwrap();
    let (models, kept) = (prerequisites::models_dir(None), folder.path().join("record"));
    record(folder.path(), &kept);

    let again = replay(&kept, &models).unwrap();
    assert_eq!(again.different, Vec::<String>::new());
    for what in [" Gate: track ", " Hall: track ", "Suspect 1 marked: changed ", ": opened ", "decided "] {
        assert!(again.recorded.contains(what), "{what} is not in\n{}", again.recorded);
    }
    assert!(again.frames > 20, "{} frames", again.frames);
    assert!(again.log == again.recorded, "the replay differs from the run");

    let run = |what: &str| {
        let out = Process::new(env!("CARGO_BIN_EXE_vigia")).args(["replay", what]).output().unwrap();
        (out.status.success(), String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned())
    };
    let (same, told) = run(kept.to_str().unwrap());
    assert!(same && told.contains("Identical"), "{told}");

    // One byte of the log, and the line is named.
    let log = kept.join("site.log");
    let mut bytes = std::fs::read(&log).unwrap();
    let line = bytes.iter().enumerate().filter(|(_, b)| **b == b'\n').nth(6).unwrap().0 + 1;
    bytes[line + 2] ^= 1;
    std::fs::write(&log, &bytes).unwrap();
    let (same, told) = run(kept.to_str().unwrap());
    assert!(!same && told.contains("First difference in line 8:"), "{told}");
    bytes[line + 2] ^= 1;
    std::fs::write(&log, &bytes).unwrap();

    // One byte in the middle of a video; it may lie in a frame that was not analysed. Then the middle of it all.
    let video = std::fs::read_dir(kept.join("videos")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&video).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    std::fs::remove_file(&video).unwrap(); // a link to what the site itself keeps
    std::fs::write(&video, &bytes).unwrap();
    let (same, told) = run(kept.to_str().unwrap());
    assert!(!same && told.contains("differs from the recorded"), "{told}");
    let third = bytes.len() / 3;
    bytes[third..2 * third].iter_mut().for_each(|b| *b ^= 0x55);
    std::fs::write(&video, &bytes).unwrap();
    let (same, told) = run(kept.to_str().unwrap());
    assert!(!same && told.contains("differs from the recorded") && told.contains("First difference"), "{told}");
}
