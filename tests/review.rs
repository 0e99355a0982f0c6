//! Looking back, on a running site: videos that come as files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // helpers of tests fail as tests do
mod servers;

use gstreamer::prelude::*;
use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use uuid::Uuid;
use vigia::{
    cli::prerequisites,
    model::{Action, ActionRecord, Class, DetectionKind, JobState, Outcome, Rect, SystemClock, Timestamp, TrackId},
    site::{
        Access, CameraConfig, Command, JobCommand, LogCommand, Office, ReviewCommand, Site, SiteConfig, SiteState,
        StartFrom, UploadCommand, UploadStage, UploadView,
    },
    store::{
        Address, Addresses, CameraStore, DetectionFilter, LogFilter, NewUser, ObjectStore, TrackletFilter, key_of_url,
    },
    video::{Frame, read_file},
    vision::{Compute, Detector, DetectorConfig, DeviceChoice},
};

const PASSWORD: &str = "correct horse battery staple";

struct Running(Site);

fn config(stores: Addresses) -> SiteConfig {
    let camera = |name: &str| CameraConfig { active: false, ..CameraConfig::new(name, "test:") };
    SiteConfig { cameras: vec![camera("Gate"), camera("Hall")], stores, ..SiteConfig::default() }
}

fn open_site(config: SiteConfig, data: &Path, cc: &str) -> Running {
    gstreamer::init().unwrap();
    let running = Running(Site::open(config, data, &prerequisites::models_dir(None), Arc::new(SystemClock)).unwrap());
    match running.0.state().access {
        Access::FirstStart => running.0.send(Command::CreateAdministrator {
            cc: "1".into(),
            name: "Ana Sousa".into(),
            email: "ana@police.example".into(),
            password: PASSWORD.into(),
        }),
        _ => running.0.send(Command::Login { cc: cc.into(), password: PASSWORD.into() }),
    }
    running.until("the login", |s| matches!(s.access, Access::LoggedIn(_)));
    running
}

fn open_on(data: &Path, stores: Addresses) -> Running {
    open_site(config(stores), data, "1")
}

fn open_as(data: &Path, stores: Addresses, cc: &str) -> Running {
    open_site(config(stores), data, cc)
}

fn open(data: &Path) -> Running {
    open_on(data, Addresses::default())
}

impl Running {
    fn until(&self, what: &str, mut done: impl FnMut(&SiteState) -> bool) -> SiteState {
        let start = Instant::now();
        loop {
            let state = self.0.state();
            if done(&state) {
                return state;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "{what} did not come; uploads are {:?}", state.uploads);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn upload(&self, command: UploadCommand) {
        self.0.send(Command::Upload(command));
    }

    fn look(&self, path: &Path) -> UploadView {
        self.upload(UploadCommand::Look(vec![path.to_owned()]));
        let name = path.file_name().unwrap().to_str().unwrap();
        let of = |s: &SiteState| s.uploads.iter().find(|u| u.name == name).cloned();
        let looked = |s: &SiteState| of(s).is_some_and(|u| u.stage != UploadStage::Looking);
        of(&self.until("the look at the file", looked)).unwrap()
    }

    fn start(&self, id: Uuid, camera: usize, starts_at: Timestamp) {
        let camera = self.0.state().cameras[camera].camera.id;
        self.upload(UploadCommand::Start { id, camera, starts_at });
    }

    fn stage(&self, id: Uuid, what: &str, is: impl Fn(&UploadStage) -> bool) -> UploadView {
        let of = |s: &SiteState| s.uploads.iter().find(|u| u.id == id).cloned();
        of(&self.until(what, |s| of(s).is_some_and(|u| is(&u.stage)))).unwrap()
    }

    fn done(&self, id: Uuid) -> UploadView {
        self.stage(id, "the end of the upload", |s| *s == UploadStage::Done)
    }

    /// The entries of one action, oldest first.
    fn entries(&self, action: Action) -> Vec<ActionRecord> {
        let before = self.0.state().log.page;
        self.0.send(Command::Log(LogCommand::Read(LogFilter::default())));
        let state = self.until("the log", |s| match (&before, &s.log.page) {
            (None, Some(_)) => true,
            (Some(a), Some(b)) => !Arc::ptr_eq(a, b),
            _ => false,
        });
        let mut log: Vec<_> = state
            .log
            .page
            .unwrap()
            .entries
            .iter()
            .filter_map(|kept| kept.entry.clone().ok())
            .filter(|e| e.action == action)
            .collect();
        log.reverse();
        log
    }
}

/// Runs a pipeline until its stream ends.
fn run_to_end(description: &str) {
    let pipeline = gstreamer::parse::launch(description).unwrap();
    pipeline.set_state(gstreamer::State::Playing).unwrap();
    let ends = [gstreamer::MessageType::Eos, gstreamer::MessageType::Error];
    let end = pipeline.bus().unwrap().timed_pop_filtered(gstreamer::ClockTime::from_seconds(60), &ends);
    assert!(matches!(end.unwrap().view(), gstreamer::MessageView::Eos(_)));
    pipeline.set_state(gstreamer::State::Null).unwrap();
}

/// Pictures of 25 a second.
fn clip(folder: &Path, name: &str, pictures: u32, tail: &str) -> PathBuf {
    gstreamer::init().unwrap();
    let path = folder.join(name);
    run_to_end(&format!(
        "videotestsrc num-buffers={pictures} pattern=snow ! video/x-raw,format=I420,width=640,height=360,framerate=25/1 ! {tail} \
         ! filesink location=\"{}\"",
        path.display()
    ));
    path
}

const H264: &str = "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 ! h264parse";

fn t(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// Regression 4 of the old system: one real upload is one entry, and whatever was not uploaded is one, too.
#[test]
fn an_upload_is_a_row_an_object_a_segment_and_one_entry() {
    let (data, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let video = clip(files.path(), "yard 2026-11-20T10:00:00Z.mp4", 75, &format!("{H264} ! mp4mux"));
    let running = open(data.path());
    let seen = running.look(&video);
    assert_eq!(seen.stage, UploadStage::Ready);
    assert_eq!((seen.starts_at, seen.start_from), (Some(t("2026-11-20T10:00:00Z")), Some(StartFrom::Name)));
    assert_eq!((seen.resolution, seen.format.as_deref()), (Some((640, 360)), Some("mp4 · h264")));
    assert!(seen.thumbnail.is_some());
    running.start(seen.id, 0, t("2026-11-20T10:00:05Z"));
    let id = running.done(seen.id).upload.unwrap();

    // the same file under another name, to another camera
    let copy = files.path().join("copy.mp4");
    fs::copy(&video, &copy).unwrap();
    let again = running.look(&copy);
    running.start(again.id, 1, t("2026-11-20T12:00:00Z"));
    let refused = running.stage(again.id, "the refusal", |s| matches!(s, UploadStage::Refused(_)));
    assert!(
        matches!(refused.stage, UploadStage::Refused(why) if why.contains("uploaded before") && why.contains("in Gate"))
    );
    fs::write(files.path().join("notes.mp4"), "minutes of the meeting").unwrap();
    assert!(
        matches!(running.look(&files.path().join("notes.mp4")).stage, UploadStage::Refused(why) if why.contains("not a video"))
    );
    let early = clip(files.path(), "early.mkv", 25, &format!("{H264} ! matroskamux"));
    let early = running.look(&early);
    running.start(early.id, 0, t("2199-01-01T00:00:00Z"));
    running.stage(early.id, "the refusal", |s| matches!(s, UploadStage::Refused(why) if why.contains("future")));

    let entries = running.entries(Action::UploadVideo);
    let said: Vec<_> = entries.iter().map(|e| e.outcome.parts().0).collect();
    assert_eq!(said, ["succeeded", "refused", "refused", "refused"], "{entries:?}");
    let first = &entries[0];
    assert_eq!((first.user_cc.as_str(), first.target.as_deref()), ("1", Some(id.to_string().as_str())));
    assert_eq!(
        (&first.details["camera"], &first.details["file"]),
        (&"Gate".into(), &"yard 2026-11-20T10:00:00Z.mp4".into())
    );
    drop(running);

    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let cameras = CameraStore::open(data.path().join("databases/cameras.sqlite")).await.unwrap();
        let [upload] = &cameras.uploads(None).await.unwrap()[..] else { panic!("one upload") };
        assert_eq!((upload.duration, upload.resolution.as_str(), upload.format.as_str()), (3, "640x360", "mp4"));
        assert_eq!((upload.size as u64, upload.date), (fs::metadata(&video).unwrap().len(), t("2026-11-20T10:00:05Z")));
        assert_eq!(upload.metadata["by"], "1");
        let [segment] =
            &cameras.segments(None, t("2026-11-20T00:00:00Z"), t("2026-11-21T00:00:00Z")).await.unwrap()[..]
        else {
            panic!("one segment")
        };
        assert_eq!((segment.upload, segment.codec.as_str()), (Some(id), "h264"));
        assert!((segment.ends_at.seconds_since(segment.starts_at) - 3.0).abs() < 0.1);
        let objects = ObjectStore::open(data.path().join("objects")).unwrap();
        let stored = objects.get(key_of_url(&upload.video_url).unwrap()).await.unwrap().unwrap();
        assert!(stored == fs::read(&video).unwrap());
    });
}

#[test]
fn what_was_interrupted_goes_on_after_a_restart_and_once() {
    let (data, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let video = clip(files.path(), "a.mkv", 50, &format!("{H264} ! matroskamux"));
    let gone = clip(files.path(), "gone.mkv", 30, &format!("{H264} ! matroskamux"));
    let running = open(data.path());
    let start = t("2026-11-20T10:00:00Z");
    for path in [&video, &gone] {
        let id = running.look(path).id;
        // paused before its turn comes or in the middle of it: either way nothing of it counts
        running.start(id, 0, start);
        running.upload(UploadCommand::Pause(id));
        let at_rest = running.stage(id, "the pause", |s| matches!(s, UploadStage::Paused | UploadStage::Done));
        assert_eq!(at_rest.stage, UploadStage::Paused, "a command is faster than an upload");
    }
    assert!(running.entries(Action::UploadVideo).is_empty(), "nothing has ended yet");
    drop(running);
    fs::remove_file(&gone).unwrap();

    let running = open(data.path());
    let state = running.until("what was interrupted", |s| s.uploads.len() == 2);
    for upload in &state.uploads {
        assert_eq!(upload.stage, UploadStage::Paused);
        running.upload(UploadCommand::Resume(upload.id));
    }
    let of = |name: &str| state.uploads.iter().find(|u| u.name == name).unwrap().id;
    running.done(of("a.mkv"));
    let lost = running.stage(of("gone.mkv"), "the failure", |s| matches!(s, UploadStage::Failed(_)));
    assert!(matches!(lost.stage, UploadStage::Failed(why) if why.contains("does not exist")));
    let mut entries = running.entries(Action::UploadVideo);
    for _ in 0..200 {
        if entries.len() >= 2 {
            break; // the entry comes after what it tells of
        }
        std::thread::sleep(Duration::from_millis(100));
        entries = running.entries(Action::UploadVideo);
    }
    let outcomes: Vec<_> = entries.iter().map(|e| e.outcome.parts().0).collect();
    assert!(outcomes.len() == 2 && outcomes.contains(&"succeeded") && outcomes.contains(&"failed"), "{entries:?}");
    drop(running);

    let running = open(data.path());
    let state = running.until("the earlier upload", |s| !s.uploads.is_empty());
    let shown: Vec<_> = state.uploads.iter().map(|u| (u.name.as_str(), u.stage.clone())).collect();
    assert_eq!(shown, [("a.mkv", UploadStage::Done)]);
}

#[test]
fn a_store_that_is_away_is_waited_for_and_giving_up_is_an_entry() {
    let (data, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let video = clip(files.path(), "a.mkv", 50, &format!("{H264} ! matroskamux"));
    let other = clip(files.path(), "b.mkv", 40, &format!("{H264} ! matroskamux"));
    let server = servers::S3::start();
    let stores = Addresses { objects: Some(Address::parse(&server.prefix()).unwrap()), ..Addresses::default() };
    let running = open_on(data.path(), stores);
    let (a, b) = (running.look(&video).id, running.look(&other).id);
    server.kill();
    for id in [a, b] {
        running.start(id, 0, t("2026-11-20T10:00:00Z"));
        let waits = running.stage(id, "the wait", |s| matches!(s, UploadStage::Retrying { .. }));
        assert!(matches!(waits.stage, UploadStage::Retrying { why, .. } if why.contains("cannot be used now")));
    }
    running.upload(UploadCommand::Cancel(b));
    running.stage(b, "the end", |s| matches!(s, UploadStage::Failed(_)));
    server.restart();
    running.done(a);
    let entries = running.entries(Action::UploadVideo);
    let outcomes: Vec<_> = entries.iter().map(|e| (e.details["file"].as_str().unwrap(), &e.outcome)).collect();
    assert!(matches!(outcomes[..], [("b.mkv", Outcome::Failed(_)), ("a.mkv", Outcome::Succeeded)]), "{outcomes:?}");
}

/// The first `pictures` of the demo footage: people walk through all of it.
fn street(folder: &Path, name: &str, pictures: u32) -> PathBuf {
    gstreamer::init().unwrap();
    let path = folder.join(name);
    run_to_end(&format!(
        "filesrc location=\"{}\" ! decodebin ! identity eos-after={} ! videoconvert ! \
         x264enc speed-preset=veryfast bitrate=3000 threads=1 ! h264parse ! matroskamux ! filesink location=\"{}\"",
        prerequisites::footage("vtest.avi").display(),
        pictures + 1,
        path.display()
    ));
    path
}

/// The largest person on the picture with this number, and the picture.
fn somebody(video: &Path, number: u64) -> (Frame, Rect) {
    let compute = Compute::choose(DeviceChoice::Cpu, 1).unwrap();
    let detector = Detector::load(&prerequisites::models_dir(None), compute, DetectorConfig::default()).unwrap();
    let mut found = None;
    read_file(video, |frame| {
        if frame.seq() < number {
            return ControlFlow::Continue(());
        }
        let sure = detector.detect(std::slice::from_ref(&frame)).unwrap().pop().unwrap();
        let sure = sure.into_iter().filter(|d| d.class == Class::Person && d.score > 0.6);
        found = sure.max_by(|a, b| a.rect.h.total_cmp(&b.rect.h)).map(|d| (frame, d.rect));
        ControlFlow::Break(())
    })
    .unwrap();
    found.unwrap()
}

#[test]
fn an_uploaded_video_is_analysed_and_a_suspect_is_found_in_it() {
    let (data, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let video = street(files.path(), "street 2026-11-20T10:00:00Z.mkv", 60);
    let running = open(data.path());
    running.0.send(Command::Job(JobCommand::CheckEverything { hours: None, rate: None }));
    running.until("that there is nothing", |s| s.notices.iter().any(|n| n.text.contains("no video to look at")));
    let seen = running.look(&video);
    running.start(seen.id, 0, seen.starts_at.unwrap());
    let upload = running.done(seen.id).upload.unwrap();
    let (frame, rect) = somebody(&video, 30);
    let mut end = 0.0; // of the file, which need not begin at zero
    read_file(&video, |frame| {
        end = frame.stream_time().as_secs_f64() + 0.1;
        ControlFlow::Continue(())
    })
    .unwrap();
    let camera = running.0.cameras()[0].camera.id;
    let (track, reason, expires_in) = (TrackId(900), "seen with a bag".to_owned(), Duration::from_secs(3600));
    running.0.send(Command::SelectSuspect { camera, track, frame, rect, reason, expires_in });
    running.until("the suspect", |s| !s.suspects.is_empty());

    running.0.send(Command::Job(JobCommand::CheckEverything { hours: None, rate: None }));
    let state = running.until("the end of the analysis", |s| s.jobs.iter().any(|j| j.state != JobState::Open));
    let job = &state.jobs[0];
    assert_eq!((&job.state, job.part()), (&JobState::Done, 1.0), "{job:?}");
    assert!((58..=61).contains(&job.pictures) && job.people >= 3, "{job:?}");
    let start = seen.starts_at.unwrap();
    let found: Vec<_> = job.findings.iter().filter(|f| f.kind == DetectionKind::Suspect).collect();
    assert!(!found.is_empty(), "the person who was marked walks through the very video: {job:?}");
    for finding in &found {
        let (from, until) = (finding.from.seconds_since(start), finding.until.seconds_since(start));
        assert!(finding.segment == upload && from >= 0.0 && until <= end && from <= until, "{finding:?}");
        let sighting =
            state.sightings.iter().find(|s| Some(s.sighting.id) == finding.sighting).expect("it waits in the inbox");
        assert!(sighting.sighting.left_at.is_some() && sighting.crop.is_some(), "{sighting:?}");
    }
    let entries = running.entries(Action::StartDetection);
    let outcomes: Vec<_> = entries.iter().map(|e| e.outcome.parts().0).collect();
    assert_eq!(outcomes, ["refused", "succeeded"], "{entries:?}");
    assert_eq!(entries[1].target.as_deref(), Some(job.id.to_string().as_str()));
    drop(running);

    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let cameras = CameraStore::open(data.path().join("databases/cameras.sqlite")).await.unwrap();
        let filter = TrackletFilter { upload: Some(upload), vectors: true, ..TrackletFilter::default() };
        let tracklets = cameras.tracklets(&filter).await.unwrap();
        assert!(tracklets.len() >= 3, "{} people left a tracklet", tracklets.len());
        for t in &tracklets {
            let (from, until) = (t.starts_at.seconds_since(start), t.ends_at.seconds_since(start));
            assert!(from >= 0.0 && until <= end && t.path.len() >= 4, "{from} to {until}, {} boxes", t.path.len());
        }
        let filter = DetectionFilter { camera: Some(camera), from: Some(start), ..DetectionFilter::default() };
        let rows = cameras.detections(&filter).await.unwrap();
        let of_job: Vec<_> = rows.iter().filter(|d| d.metadata["job"] == job.id.to_string()).collect();
        assert!(!of_job.is_empty() && of_job.iter().all(|d| d.metadata["upload"] == upload.to_string()), "{rows:?}");
    });
}

#[test]
fn a_job_goes_on_after_a_restart_where_it_was_and_can_be_given_up() {
    let (data, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let video = street(files.path(), "street.mkv", 120);
    let running = open(data.path());
    let id = running.look(&video).id;
    running.start(id, 0, t("2026-11-20T10:00:00Z"));
    let upload = running.done(id).upload.unwrap();
    running.0.send(Command::Job(JobCommand::Analyse { uploads: vec![upload], rate: None }));
    let looked = |s: &SiteState| s.jobs.first().is_some_and(|j| j.pictures >= 10);
    running.until("the beginning of the analysis", looked);
    drop(running);

    let running = open(data.path());
    let state = running.until("the job", |s| !s.jobs.is_empty());
    assert_eq!(state.jobs[0].state, JobState::Open, "it was interrupted in the middle");
    assert!(state.jobs[0].pictures >= 10);
    let state = running.until("the end of the analysis", |s| s.jobs[0].state != JobState::Open);
    let job = &state.jobs[0];
    assert_eq!(job.state, JobState::Done);
    assert!((118..=121).contains(&job.pictures), "every picture once: {job:?}");

    running.0.send(Command::Job(JobCommand::Analyse { uploads: vec![upload], rate: None }));
    running.until("the second analysis", |s| s.jobs.len() == 2 && s.jobs[0].pictures >= 2);
    let second = running.0.state().jobs[0].id;
    running.0.send(Command::Job(JobCommand::Cancel(second)));
    let given_up = JobState::Cancelled("Ana Sousa".to_owned());
    running.until("its end", |s| s.jobs[0].state == given_up);
    let entries = running.entries(Action::StartDetection);
    let said: Vec<_> = entries.iter().map(|e| e.outcome.parts()).collect();
    let [("succeeded", None), ("failed", Some(why))] = said[..] else { panic!("{entries:?}") };
    assert!(why.contains("given up by Ana Sousa"), "{why}");
}

#[test]
fn who_may_not_see_a_camera_neither_uploads_to_it_nor_analyses_it() {
    let (data, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let video = clip(files.path(), "a.mkv", 50, &format!("{H264} ! matroskamux"));
    let other = clip(files.path(), "b.mkv", 40, &format!("{H264} ! matroskamux"));
    let running = open(data.path());
    let gate = running.0.cameras()[0].camera.id;
    let id = running.look(&video).id;
    running.start(id, 0, t("2026-11-20T10:00:00Z"));
    let upload = running.done(id).upload.unwrap();
    running.0.send(Command::Job(JobCommand::Analyse { uploads: vec![upload], rate: Some(5.0) }));
    running.until("the end of the analysis", |s| s.jobs.iter().any(|j| j.state == JobState::Done));
    drop(running);
    {
        let office = Office::open(&config(Addresses::default()), data.path(), Arc::new(SystemClock)).unwrap();
        office
            .add_user(NewUser {
                cc: "2".into(),
                email: "rui@police.example".into(),
                name: "Rui Costa".into(),
                password: PASSWORD.into(),
                is_admin: false,
            })
            .unwrap();
        office.set_user_cameras("2", &["Hall".to_owned()]).unwrap();
    }
    let running = open_as(data.path(), Addresses::default(), "2");
    let state = running.0.state();
    assert!(state.uploads.is_empty() && state.jobs.is_empty() && state.cameras.len() == 1);
    let id = running.look(&other).id;
    running.upload(UploadCommand::Start { id, camera: gate, starts_at: t("2026-11-20T10:00:00Z") });
    running.until("the refusal", |s| s.notices.iter().any(|n| n.text.contains("not among those")));
    running.0.send(Command::Job(JobCommand::Analyse { uploads: vec![upload], rate: None }));
    running.0.send(Command::Job(JobCommand::CheckEverything { hours: None, rate: None }));
    running.until("the refusal", |s| s.notices.iter().any(|n| n.text.contains("no video to look at")));
    // the very file again, to the camera that may be seen: nothing is said of where it is already
    let again = running.look(&video).id;
    running.start(again, 0, t("2026-11-20T10:00:00Z"));
    let refused = running.stage(again, "the refusal", |s| matches!(s, UploadStage::Refused(_)));
    assert!(
        matches!(refused.stage, UploadStage::Refused(why) if why.contains("uploaded before") && !why.contains("Gate"))
    );
    drop(running);

    let running = open(data.path());
    let of_rui = |action| {
        let entries = running.entries(action).into_iter().filter(|e| e.user_cc == "2");
        entries.map(|e| e.outcome.parts().0).collect::<Vec<_>>()
    };
    assert_eq!(of_rui(Action::UploadVideo), ["refused", "refused"]);
    assert_eq!(of_rui(Action::StartDetection), ["refused", "refused"]);
}

#[test]
fn a_job_comes_to_its_end_beside_cameras_that_always_have_a_picture_waiting() {
    let (data, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let video = street(files.path(), "street.mkv", 30);
    let running = open(data.path());
    let id = running.look(&video).id;
    running.start(id, 0, t("2026-11-20T10:00:00Z"));
    let upload = running.done(id).upload.unwrap();
    drop(running);
    let mut live = config(Addresses::default());
    live.analysis.max_fps = 1000.0;
    for camera in &mut live.cameras {
        camera.active = true;
    }
    let running = open_site(live, data.path(), "1");
    running.until("live pictures", |s| s.cameras.iter().all(|c| c.counters.analysed > 3));
    running.0.send(Command::Job(JobCommand::Analyse { uploads: vec![upload], rate: None }));
    running.until("the job", |s| !s.jobs.is_empty());
    let looked = |s: &SiteState| s.cameras.iter().map(|c| c.counters.analysed).sum::<u64>();
    let before = looked(&running.0.state());
    let state = running.until("its end", |s| s.jobs[0].state == JobState::Done);
    let (live, recorded) = (looked(&state) - before, state.jobs[0].pictures);
    assert!((28..=31).contains(&recorded));
    assert!(live > recorded, "live cameras come first: {live} of their pictures beside {recorded} of the job");
}

/// Every container that can be told for what it is, as usual programs and cameras write it.
#[test]
fn every_container_goes_from_upload_through_analysis_to_the_player() {
    let h265 = "x265enc speed-preset=ultrafast key-int-max=25 option-string=log-level=none ! h265parse ! matroskamux";
    let kinds = [
        ("a.mp4", format!("{H264} ! mp4mux")),
        ("b.mkv", h265.to_owned()),
        ("c.webm", "vp8enc deadline=1 ! webmmux".to_owned()),
        ("d.mov", format!("{H264} ! qtmux")),
        ("e.avi", "jpegenc ! avimux".to_owned()),
        ("f.ts", format!("{H264} ! mpegtsmux")),
        ("g.flv", format!("{H264} ! flvmux")),
        ("h.mpg", "mpeg2enc ! mpegpsmux".to_owned()),
        ("i.ogv", "theoraenc speed-level=2 ! oggmux".to_owned()),
        ("j.wmv", "avenc_wmv2 bitrate=4000000 ! asfmux".to_owned()),
        ("damaged.mkv", format!("{H264} ! matroskamux")),
    ];
    let (data, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let running = open(data.path());
    let mut uploads = Vec::new();
    for (hour, (name, tail)) in kinds.iter().enumerate() {
        let damaged = name.starts_with("damaged");
        let video = clip(files.path(), name, if damaged { 51 } else { 25 }, tail);
        if damaged {
            let whole = fs::read(&video).unwrap();
            fs::write(&video, &whole[..whole.len() / 2]).unwrap();
        }
        let seen = running.look(&video);
        assert_eq!((seen.stage.clone(), seen.damage.is_some()), (UploadStage::Ready, damaged), "{name}: {seen:?}");
        let starts_at = t(&format!("2026-11-20T{hour:02}:00:00Z"));
        running.start(seen.id, 0, starts_at);
        uploads.push((*name, starts_at, running.done(seen.id).upload.unwrap()));
    }
    let ids = uploads.iter().map(|(_, _, id)| *id).collect();
    running.0.send(Command::Job(JobCommand::Analyse { uploads: ids, rate: None }));
    let state = running.until("the end of the analysis", |s| s.jobs.iter().any(|j| j.state != JobState::Open));
    let job = &state.jobs[0];
    let about = 25 * uploads.len() as u64;
    assert_eq!(job.state, JobState::Done, "{job:?}");
    assert!((about - 12..=about + 12).contains(&job.pictures), "{} pictures of about {about}", job.pictures);

    let camera = state.cameras[0].camera.id;
    for (name, starts_at, _) in uploads {
        let at = starts_at.plus(Duration::from_millis(400));
        running.0.send(Command::Review(ReviewCommand::Open { cameras: vec![camera], at }));
        let state = running.until(name, |s| {
            let shown = s.review.channels.first().and_then(|c| c.frame.as_ref());
            s.review.at == at && shown.is_some_and(|f| f.captured_at().seconds_since(at).abs() < 0.1)
        });
        assert_eq!(state.review.channels[0].gap, None, "{name}");
    }
}

/// FR7 on any recorded picture: nobody has looked at this video before.
#[test]
fn whoever_is_on_a_standing_picture_can_be_marked_though_nobody_analysed_the_video() {
    let (data, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let video = street(files.path(), "street.mkv", 60);
    let running = open(data.path());
    let start = t("2026-11-20T10:00:00Z");
    let id = running.look(&video).id;
    running.start(id, 0, start);
    running.done(id);
    let camera = running.0.state().cameras[0].camera.id;
    let review = |command| running.0.send(Command::Review(command));
    review(ReviewCommand::Open { cameras: vec![camera], at: start.plus(Duration::from_secs(3)) });
    let people = |s: &SiteState| s.review.channels.first().map_or(0, |c| c.tracks.len());
    let state = running.until("people on the standing picture", |s| people(s) > 0);
    let channel = &state.review.channels[0];
    let shown = channel.frame.as_ref().unwrap();

    // They are those of this very picture.
    let mut there = None;
    read_file(&video, |frame| {
        if frame.stream_time() == shown.stream_time() {
            there = Some(frame);
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    let models = prerequisites::models_dir(None);
    let compute = Compute::choose(DeviceChoice::Cpu, 1).unwrap();
    let detector = Detector::load(&models, compute, DetectorConfig::default()).unwrap();
    let expected = &detector.detect(&[there.unwrap()]).unwrap()[0];
    for view in channel.tracks.iter() {
        let best = expected.iter().map(|d| d.rect.iou(&view.track.rect)).fold(0.0, f32::max);
        assert!(best > 0.95, "{view:?} is nobody on this picture");
    }

    // One is marked: the crop is of this picture, and the box is a suspect's from then on.
    let chosen = channel.tracks[0].track.clone();
    running.0.send(Command::SelectSuspect {
        camera,
        track: chosen.id,
        frame: shown.clone(),
        rect: chosen.rect,
        reason: "seen with a bag".to_owned(),
        expires_in: Duration::from_secs(3600),
    });
    let marked = |s: &SiteState| {
        s.review.channels[0].tracks.iter().any(|v| v.track.id == chosen.id && v.suspect.is_some_and(|m| m.certain))
    };
    let state = running.until("the suspect's box", marked);
    let suspect = &state.suspects[0];
    assert_eq!(suspect.suspect.marked_at, shown.captured_at());
    let crop = suspect.crop.as_ref().unwrap();
    let (of_crop, of_box) = (crop.width() as f32 / crop.height() as f32, chosen.rect.w / chosen.rect.h);
    assert!((of_crop / of_box - 1.0).abs() < 0.1, "the crop shows the box: {of_crop} and {of_box}");

    // Playing, nobody is looked for: what is drawn belongs to the picture it is drawn on.
    review(ReviewCommand::Step(camera, 1));
    running.until("the people of the next picture", |s| {
        people(s) > 0 && s.review.channels[0].frame.as_ref().is_some_and(|f| f.stream_time() > shown.stream_time())
    });
    review(ReviewCommand::Play(0.25));
    running.until("a picture without boxes", |s| s.review.rate > 0.0 && people(s) == 0);
}
