//! The review screen: videos that come as files.
use super::*;
use vigia::model::{DetectionKind, Finding, Gap, Job, JobState};
use vigia::site::{
    ChannelView, ExportCommand, ExportOf, ExportPlan, ExportStage, ExportView, JobCommand, MissingVideo, ReviewCommand,
    ReviewState, StartFrom, Timeline, UploadCommand, UploadStage, UploadView,
};
use vigia::store::{Clothes, DetectionCount};
use vigia::video::What;

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
    state.uploads = vec![UploadView { camera: None, ..upload(1, "clip 2026-11-22 12.03.22.mp4", UploadStage::Ready) }];
    let mut harness = open(state);
    press(&mut harness, Key::F5);
    harness.get_by_label("Uploads").click();
    harness.run_steps(2);
    asked(&mut harness); // the timeline of the player
    assert!(shows(&harness, "read from its name"));
    harness.get_by_label("Upload").click();
    harness.run_steps(2);
    assert!(asked(&mut harness).is_empty(), "no camera yet");
    look(&mut harness, "review-gap");
    assert!(shows(&harness, "Choose the camera that took this video"));
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

    // A file that is called after a camera is its video until somebody says otherwise.
    let named = UploadView { camera: None, ..upload(2, "GATE 2026-11-22 12.03.22.mp4", UploadStage::Ready) };
    harness.state_mut().state.uploads = vec![named];
    harness.run_steps(2);
    harness.get_by_label("Upload").click();
    harness.run_steps(2);
    let asked = super::asked(&mut harness);
    let [Command::Upload(UploadCommand::Start { camera, .. })] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!(*camera, Uuid::from_u128(1));
}

#[test]
fn uploads_show_how_far_they_are_and_what_can_be_done() {
    let mut state = state(logged_in(false));
    state.cameras = vec![camera(1, "Gate", None)];
    let mut harness = open(state);
    press(&mut harness, Key::F5);
    harness.get_by_label("Uploads").click();
    harness.run_steps(2);
    asked(&mut harness); // the timeline of the player
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
    harness.get_by_label("Uploads").click();
    harness.run_steps(2);
    asked(&mut harness); // the timeline of the player
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
    harness.get_all_by_label("Watch").next().unwrap().click();
    harness.run_steps(1);
    let watched = asked(&mut harness);
    let open = Command::Review(ReviewCommand::Open {
        cameras: vec![Uuid::from_u128(1)],
        at: Timestamp(NOW.0 - 1_000_000_000),
    });
    assert!(watched.iter().any(|c| format!("{c:?}") == format!("{open:?}")), "{watched:?}");
    harness.get_by_label("Uploads").click();
    harness.run_steps(2);
    asked(&mut harness);
    harness.get_by_label("Show 3 more").click();
    harness.run_steps(2);
    assert!(shows(&harness, "Show fewer"));
    harness.get_by_label("Give up").click();
    harness.run_steps(2);
    let third = asked(&mut harness);
    assert!(matches!(&third[..], [Command::Job(JobCommand::Cancel(id))] if *id == Uuid::from_u128(1)), "{third:?}");
}

/// A person on a recorded frame, two cameras, one of them without video.
pub(crate) fn watching() -> SiteState {
    let mut state = state(logged_in(false));
    state.cameras = vec![camera(1, "Gate", None), camera(2, "Hall", None)];
    let at = Timestamp(NOW.0 - 600_000_000);
    let frame = plain(320, 240, [120, 110, 140], Color::BT601);
    let track = Track {
        id: TrackId(7),
        rect: Rect::new(100.0, 60.0, 60.0, 120.0),
        velocity: [0.0; 2],
        at: frame.captured_at(),
        measured_at: frame.captured_at(),
        first_seen: frame.captured_at(),
        score: 1.0,
        hits: 9,
    };
    let channel = |id: u128, frame: Option<Frame>| ChannelView {
        camera: Uuid::from_u128(id),
        what: if frame.is_some() { What::Exact } else { What::Nothing },
        tracks: Arc::new(
            frame.iter().map(|_| TrackView { track: track.clone(), suspect: None, outline: None }).collect(),
        ),
        frame,
        gap: Some("10.0.0.9 cannot be reached.".to_owned()),
        next: Some(Timestamp(at.0 + 60_000_000)),
        looking: false,
    };
    state.review = ReviewState {
        channels: vec![channel(1, Some(frame)), channel(2, None)],
        at,
        rate: 0.0,
        timeline: Some(Arc::new(Timeline {
            from: Timestamp(NOW.0 - 20_000_000_000),
            until: Timestamp(NOW.0 + 2_000_000_000),
            coverage: vec![(Uuid::from_u128(1), Timestamp(NOW.0 - 8_000_000_000), NOW)],
            gaps: vec![Gap {
                id: Uuid::from_u128(1),
                camera: Uuid::from_u128(2),
                from: Timestamp(NOW.0 - 3_000_000_000),
                until: None,
                reason: "10.0.0.9 cannot be reached.".to_owned(),
            }],
            minutes: 1,
            ..Timeline::default()
        })),
    };
    state
}

fn reviews(harness: &mut Harness<'_, App>) -> Vec<ReviewCommand> {
    let commands = asked(harness).into_iter().filter_map(|c| match c {
        Command::Review(ReviewCommand::Timeline { .. }) => None, // as often as the screen likes
        Command::Review(command) => Some(command),
        _ => None,
    });
    commands.collect()
}

fn exports(harness: &mut Harness<'_, App>) -> Vec<ExportCommand> {
    let commands = asked(harness).into_iter();
    commands.filter_map(|c| if let Command::Export(command) = c { Some(command) } else { None }).collect()
}

#[test]
fn the_player_is_moved_by_keys_buttons_and_the_timeline() {
    let mut harness = open(watching());
    press(&mut harness, Key::F5);
    look(&mut harness, "player");
    assert!(shows(&harness, "No video of this time") && shows(&harness, "10.0.0.9 cannot be reached."));
    assert!(shows(&harness, "Video again from"));
    reviews(&mut harness);
    let gate = Uuid::from_u128(1);
    for (key, expected) in [
        (Key::L, ReviewCommand::Play(1.0)),
        (Key::J, ReviewCommand::Play(-1.0)),
        (Key::K, ReviewCommand::Play(0.0)),
        (Key::Space, ReviewCommand::Play(1.0)),
        (Key::ArrowRight, ReviewCommand::Step(gate, 1)),
        (Key::ArrowLeft, ReviewCommand::Step(gate, -1)),
    ] {
        press(&mut harness, key);
        assert_eq!(reviews(&mut harness), [expected], "{key:?}");
    }
    // The digit of a camera shows it alone at the same instant.
    press(&mut harness, Key::Num2);
    let at = harness.state().state.review.at;
    assert_eq!(reviews(&mut harness), [ReviewCommand::Open { cameras: vec![Uuid::from_u128(2)], at }]);
    harness.get_by_label("16×").click();
    harness.run_steps(2);
    assert_eq!(reviews(&mut harness), [ReviewCommand::Play(16.0)]);
    let lane = harness.get_by_label("Timeline").rect();
    click(&mut harness, pos2(lane.left() + lane.width() * 0.5, lane.top() + 40.0));
    let sought = reviews(&mut harness);
    assert!(matches!(sought.last(), Some(ReviewCommand::Seek { scrubbing: false, .. })), "{sought:?}");
    // A stretch: I, then O later.
    press(&mut harness, Key::I);
    harness.state_mut().state.review.at = Timestamp(at.0 + 30_000_000);
    press(&mut harness, Key::O);
    assert!(shows(&harness, "marked 30 s"));
    press(&mut harness, Key::F3);
    assert_eq!(reviews(&mut harness), [ReviewCommand::Close], "whoever leaves watches no more");
}

#[test]
fn a_person_on_a_recording_is_marked_like_one_on_the_wall() {
    let mut harness = open(watching());
    press(&mut harness, Key::F5);
    let picture = harness.get_by_label("Recorded picture of Gate").rect();
    click(&mut harness, picture.center());
    assert!(shows(&harness, "Person"));
    press(&mut harness, Key::M);
    harness.run_steps(3);
    write(&mut harness, "theft");
    press(&mut harness, Key::Enter);
    let marked = asked(&mut harness).into_iter().find_map(|c| match c {
        Command::SelectSuspect { camera, track, reason, rect, .. } => Some((camera, track, reason, rect)),
        _ => None,
    });
    let rect = Rect::new(100.0, 60.0, 60.0, 120.0);
    assert_eq!(marked, Some((Uuid::from_u128(1), TrackId(7), "theft".to_owned(), rect)));
    assert!(shows(&harness, "recorded"), "the player stays");
}

#[test]
fn a_replay_starts_from_the_wall_and_escape_goes_back_to_live() {
    let mut state = state(logged_in(false));
    state.cameras = vec![camera(1, "Gate", None)];
    let mut harness = open(state);
    press(&mut harness, Key::P);
    assert_eq!(reviews(&mut harness), [ReviewCommand::Replay(Uuid::from_u128(1))]);
    harness.state_mut().state.review = watching().review;
    harness.run_steps(2);
    assert!(shows(&harness, "recorded"));
    press(&mut harness, Key::Escape);
    assert_eq!(reviews(&mut harness), [ReviewCommand::Close]);
    assert!(!shows(&harness, "recorded"));
}

#[derive(Debug)]
struct Dropped(std::path::PathBuf);

impl egui::DroppedFile for Dropped {
    fn path(&self) -> &std::path::Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        panic!("a video is never read into memory")
    }
}

#[test]
fn files_dropped_anywhere_are_looked_at_and_the_review_opens() {
    let mut state = state(logged_in(false));
    state.cameras = vec![camera(1, "Gate", None)];
    let mut harness = open(state);
    harness.input_mut().hovered_files = vec![egui::HoveredFile::default(); 2];
    harness.run_steps(1);
    assert!(shows(&harness, "Drop 2 videos here"));
    harness.input_mut().hovered_files.clear();
    harness.input_mut().dropped_files =
        ["/v/a.mp4", "/v/b.avi"].map(|path| Arc::new(Dropped(path.into())) as egui::DroppedFileHandle).to_vec();
    harness.run_steps(2);
    let asked = asked(&mut harness);
    let [Command::Upload(UploadCommand::Look(paths))] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!(paths[..], ["/v/a.mp4", "/v/b.avi"].map(std::path::PathBuf::from));
    assert!(shows(&harness, "No videos yet"), "the review screen is open");
}

#[test]
fn the_timeline_shows_what_the_filters_leave_and_says_how_much() {
    let mut state = watching();
    let (gate, yard) = (Uuid::from_u128(1), Uuid::from_u128(2));
    state.suspects = vec![suspect(1, [86, 180, 233], "theft", None), suspect(2, [240, 96, 60], "assault", None)];
    Arc::make_mut(&mut state.suspects[0]).suspect.characteristics.upper = Some(ColourName::Red);
    let by = "1001".to_owned();
    let stays = [
        sighting(1, 1, 1, 1.0, Decision::Origin, None),
        sighting(2, 1, 2, 0.8, Decision::Pending, None),
        sighting(3, 2, 1, 0.9, Decision::Confirmed { by: by.clone(), at: NOW }, None),
        sighting(4, 2, 2, 0.4, Decision::Rejected { by, at: NOW }, None),
    ];
    let count = |camera, kind, n| DetectionCount { camera, from: Timestamp(NOW.0 - 600_000_000), kind, n };
    let mut timeline = Timeline {
        sightings: stays.iter().map(|v| v.sighting.clone()).collect(),
        counts: vec![
            count(gate, DetectionKind::Knife, 3),
            count(yard, DetectionKind::Knife, 4),
            count(yard, DetectionKind::Gun, 1),
        ],
        ..(**state.review.timeline.as_ref().unwrap()).clone()
    };
    timeline.sort();
    state.review.timeline = Some(Arc::new(timeline));
    let mut harness = open(state);
    press(&mut harness, Key::F5);
    look(&mut harness, "timeline");
    assert!(shows(&harness, "3 stays · 7 knives · 1 gun"), "{:?}", texts(&harness));
    let choose = |harness: &mut Harness<'_, App>, shown: &str, then: &str| {
        harness.get_by_value(shown).click();
        harness.run_steps(3);
        harness.get_by_label(then).click();
        harness.run_steps(3);
    };
    harness.get_by_label("Guns").click();
    harness.run_steps(2);
    assert!(shows(&harness, "3 stays · 7 knives") && !shows(&harness, "1 gun"));
    choose(&mut harness, "Not rejected", "Rejected");
    assert!(shows(&harness, "1 stay") && !shows(&harness, "knives"), "nobody decides about a knife here");
    choose(&mut harness, "Rejected", "Undecided");
    assert!(shows(&harness, "1 stay"));
    choose(&mut harness, "Undecided", "Not rejected");
    choose(&mut harness, "All suspects", "Suspect 1");
    assert!(shows(&harness, "2 stays"));
    choose(&mut harness, "Suspect 1", "All suspects");

    // A camera without its row is not counted either.
    harness.get_by_label("2 of 2 cameras ⏷").click();
    harness.run_steps(3);
    harness.get_by_role_and_label(egui::accesskit::Role::CheckBox, "Gate").click();
    harness.run_steps(2);
    assert!(shows(&harness, "1 stay · 4 knives"), "{:?}", texts(&harness));
    press(&mut harness, Key::Escape); // closes the list, and the screen

    // By a colour: everybody who wears it is asked for, and suspects are those who do.
    press(&mut harness, Key::F5);
    asked(&mut harness);
    choose(&mut harness, "Above: any", "red");
    let wanted = Clothes { upper: Some(ColourName::Red), lower: None };
    let commands = asked(&mut harness);
    let told =
        |c: &Command| matches!(c, Command::Review(ReviewCommand::Timeline { clothes, .. }) if *clothes == wanted);
    assert!(commands.iter().any(told), "{commands:?}");
    let review = &mut harness.state_mut().state.review;
    let before = (**review.timeline.as_ref().unwrap()).clone();
    let people = (0..5).map(|i| {
        (yard, Timestamp(NOW.0 - 900_000_000 + i * 60_000_000), Timestamp(NOW.0 - 880_000_000 + i * 60_000_000))
    });
    review.timeline = Some(Arc::new(Timeline { clothes: wanted, people: people.collect(), cut: true, ..before }));
    harness.run_steps(3);
    look(&mut harness, "timeline-red");
    assert!(shows(&harness, "1 stay · 5 people · the newest only"), "{:?}", texts(&harness));
}

#[test]
fn a_marked_stretch_is_saved_as_a_clip_after_it_is_said_what_is_missing_why_and_to_whom() {
    let mut harness = open(watching());
    press(&mut harness, Key::F5);
    assert!(!shows(&harness, "Save clip…"), "nothing is marked");
    let from = harness.state().state.review.at;
    let until = Timestamp(from.0 + 30_000_000);
    press(&mut harness, Key::I);
    harness.state_mut().state.review.at = until;
    press(&mut harness, Key::O);
    asked(&mut harness);
    harness.get_by_label("Save clip…").click();
    harness.run_steps(3);
    let cameras = vec![Uuid::from_u128(1), Uuid::from_u128(2)];
    let of = ExportOf::Stretch { cameras: cameras.clone(), from, until };
    let commands = exports(&mut harness);
    assert!(
        matches!(&commands[..], [ExportCommand::Plan { of: planned, pending: false }] if *planned == of),
        "{commands:?}"
    );

    let missing = MissingVideo {
        camera: cameras[1],
        camera_name: "Hall".to_owned(),
        from,
        until,
        reason: "10.0.0.9 cannot be reached".to_owned(),
    };
    let plan = ExportPlan { suspect: None, stops: Vec::new(), stretches: 1, missing: vec![missing], bytes: 5 << 20 };
    let view = ExportView { of: of.clone(), plan: Ok(Arc::new(plan)), stage: ExportStage::Planned };
    let state = &mut harness.state_mut().state;
    state.casework = casework::with_a_case().casework;
    state.export = Some(view.clone());
    harness.run_steps(4);
    look(&mut harness, "clip");
    assert!(shows(&harness, "about 5.0 MiB") && shows(&harness, "No video of 1 interval"), "{:?}", texts(&harness));
    assert!(shows(&harness, "10.0.0.9 cannot be reached"));
    harness.get_by_label("Save").click();
    harness.run_steps(2);
    assert!(exports(&mut harness).is_empty(), "nobody said why");
    press(&mut harness, Key::S);
    harness.get_by_role_and_label(egui::accesskit::Role::TextInput, "Reason").click(); // a key does nothing else while the dialog is open
    harness.run_steps(2);
    write(&mut harness, "case 7");
    press(&mut harness, Key::Tab);
    write(&mut harness, "court");
    harness.get_by_label("For the case").click();
    harness.run_steps(3);
    look(&mut harness, "clip-case");
    harness.get_by_label("118/2026 Theft at the kiosk").click();
    harness.run_steps(3);
    harness.get_by_label("Save").click();
    harness.run_steps(2);
    let commands = exports(&mut harness);
    let [ExportCommand::Start(request)] = &commands[..] else { panic!("{commands:?}") };
    assert_eq!((&request.of, request.case), (&of, Some(Uuid::from_u128(50))));
    assert_eq!((request.reason.as_str(), request.recipient.as_str()), ("case 7", "court"));
    let running = ExportStage::Running { done: 0.4, what: "Video of Gate".to_owned() };
    harness.state_mut().state.export = Some(ExportView { stage: running, ..view });
    harness.run_steps(3);
    harness.get_by_label("Cancel").click();
    harness.run_steps(2);
    assert!(matches!(exports(&mut harness)[..], [ExportCommand::Cancel]));
}
