//! The review screen: videos that come as files.
use super::*;
use vigia::model::{DetectionKind, Finding, Job, JobState};
use vigia::site::{JobCommand, StartFrom, UploadCommand, UploadStage, UploadView};

/// A file on its way to a camera.
fn upload(number: u128, name: &str, stage: UploadStage) -> UploadView {
    UploadView {
        id: Uuid::from_u128(number),
        name: name.to_owned(),
        camera: Some(Uuid::from_u128(1)),
        starts_at: Some(Timestamp(NOW.0 - 7_200_000_000)),
        start_from: Some(StartFrom::Name),
        size: 48 << 20,
        duration: Some(Duration::from_secs(754)),
        resolution: Some((1280, 720)),
        format: Some("mp4 · h264".to_owned()),
        damage: None,
        thumbnail: Picture::new(32, 18, vec![90; 32 * 18 * 3]),
        upload: None,
        stage,
    }
}

#[test]
fn a_video_is_bound_to_a_camera_and_a_start_before_it_is_uploaded() {
    let mut state = state(logged_in(false));
    state.cameras = vec![camera(1, "Gate", None), camera(2, "Hall", None)];
    state.uploads = vec![UploadView { camera: None, ..upload(1, "gate 2026-11-22 12.03.22.mp4", UploadStage::Ready) }];
    let mut harness = open(state);
    press(&mut harness, Key::F5);
    assert!(shows(&harness, "read from its name"));
    harness.get_by_label("Upload").click();
    harness.run_steps(2);
    assert!(asked(&mut harness).is_empty(), "no camera yet");
    harness.get_all_by_role(egui::accesskit::Role::ComboBox).last().unwrap().click();
    harness.run_steps(3);
    harness.get_by_label("Hall").click();
    harness.run_steps(3);
    harness.get_by_label("Upload").click();
    harness.run_steps(2);
    look(&mut harness, "review-ready");
    let asked = asked(&mut harness);
    let [Command::Upload(UploadCommand::Start { id, camera, starts_at })] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!((*id, *camera), (Uuid::from_u128(1), Uuid::from_u128(2)));
    assert_eq!(*starts_at, Timestamp(NOW.0 - 7_200_000_000));
}

#[test]
fn uploads_show_how_far_they_are_and_what_can_be_done() {
    let mut state = state(logged_in(false));
    state.cameras = vec![camera(1, "Gate", None)];
    let mut harness = open(state);
    press(&mut harness, Key::F5);
    assert!(shows(&harness, "No videos yet"));
    look(&mut harness, "review-empty");
    let why = "S3 at 10.0.0.7 cannot be used now: no answer".to_owned();
    harness.state_mut().state.uploads = vec![
        upload(3, "c.mp4", UploadStage::Storing(12 << 20)),
        upload(4, "d.mp4", UploadStage::Retrying { why, at: Timestamp(NOW.0 + 4_000_000) }),
        upload(5, "e.mp4", UploadStage::Paused),
        UploadView { damage: Some("It was cut short.".to_owned()), ..upload(6, "f.mp4", UploadStage::Done) },
        upload(7, "g.mp4", UploadStage::Failed("g.mp4 does not exist. Check the name.".to_owned())),
    ];
    harness.run_steps(3);
    look(&mut harness, "review-uploads");
    assert!(shows(&harness, "Storing · 12.0 MiB of 48.0 MiB") && shows(&harness, "Next attempt in 4 s"));
    assert!(shows(&harness, "It was cut short.") && shows(&harness, "does not exist"));
    harness.get_by_label("Go on").click();
    harness.run_steps(2);
    let asked = asked(&mut harness);
    assert!(
        matches!(&asked[..], [Command::Upload(UploadCommand::Resume(id))] if *id == Uuid::from_u128(5)),
        "{asked:?}"
    );
}

/// An analysis of one uploaded video.
fn job(number: u128, state: JobState) -> Job {
    Job {
        id: Uuid::from_u128(number),
        title: "Weapons and suspects in the last 24 hours".to_owned(),
        console: Uuid::from_u128(9),
        by: ("1001".to_owned(), "Ana Duarte".to_owned()),
        made_at: Timestamp(NOW.0 - 600_000_000),
        ended_at: None,
        segments: vec![Uuid::from_u128(77)],
        cameras: vec![Uuid::from_u128(1)],
        rate: None,
        state,
        finished: 0,
        position: Duration::from_secs(60),
        total_s: 600.0,
        looked_s: 150.0,
        worked_s: 75.0,
        pictures: 3750,
        people: 41,
        findings: Vec::new(),
        troubles: Vec::new(),
    }
}

#[test]
fn one_button_checks_everything_and_the_summary_tells_times_and_places() {
    let mut state = state(logged_in(false));
    state.cameras = vec![camera(1, "Gate", None)];
    state.uploads = vec![UploadView { upload: Some(Uuid::from_u128(77)), ..upload(1, "a.mp4", UploadStage::Done) }];
    let mut harness = open(state);
    press(&mut harness, Key::F5);
    harness.get_by_label("Check everything for weapons and suspects").click();
    harness.run_steps(2);
    let first = asked(&mut harness);
    assert!(
        matches!(&first[..], [Command::Job(JobCommand::CheckEverything { hours: Some(24), rate: None })]),
        "{first:?}"
    );
    harness.get_by_label("Analyse the new video").click();
    harness.run_steps(2);
    let second = asked(&mut harness);
    let [Command::Job(JobCommand::Analyse { uploads, .. })] = &second[..] else { panic!("{second:?}") };
    assert_eq!(uploads[..], [Uuid::from_u128(77)]);

    let finding = |kind, from: i64, suspect| Finding {
        kind,
        camera: Uuid::from_u128(1),
        segment: Uuid::from_u128(77),
        from: Timestamp(NOW.0 + from * 1_000_000),
        until: Timestamp(NOW.0 + (from + 9) * 1_000_000),
        suspect,
        sighting: None,
        probability: 0.83,
    };
    let mut done = job(2, JobState::Done);
    done.findings = (0..8).map(|i| finding(DetectionKind::Suspect, -900 + i * 20, None)).collect();
    done.findings.insert(0, finding(DetectionKind::Knife, -1000, None));
    done.troubles = vec!["The file is damaged 3.1 s into the video; the rest could not be read.".to_owned()];
    harness.state_mut().state.jobs = vec![Arc::new(job(1, JobState::Open)), Arc::new(done)];
    harness.run_steps(3);
    look(&mut harness, "review-jobs");
    assert!(shows(&harness, "4 min left · 2.0 × real time · 3750 pictures"), "how long it takes");
    assert!(
        shows(&harness, "Possible knife")
            && shows(&harness, "13:46:42")
            && shows(&harness, "83 %")
            && shows(&harness, "Gate")
    );
    assert!(!shows(&harness, "Analyse the new video"), "a job looks at it");
    harness.get_by_label("Show 3 more").click();
    harness.run_steps(2);
    assert!(shows(&harness, "Show fewer"));
    harness.get_by_label("Give up").click();
    harness.run_steps(2);
    let third = asked(&mut harness);
    assert!(matches!(&third[..], [Command::Job(JobCommand::Cancel(id))] if *id == Uuid::from_u128(1)), "{third:?}");
}
