//! The review screen: videos that come as files.
use super::*;
use vigia::site::{StartFrom, UploadCommand, UploadStage, UploadView};

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
    harness.get_by_role(egui::accesskit::Role::ComboBox).click();
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
        upload(1, "a.mp4", UploadStage::Looking),
        upload(2, "b.mp4", UploadStage::Waiting),
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
