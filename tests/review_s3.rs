//! Looking back on a running site whose objects are on a server: nothing of them is on this machine until somebody asks for it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // helpers of tests fail as tests do
mod servers;

use gstreamer::prelude::*;
use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use vigia::{
    cli::prerequisites,
    evidence::{SiteKey, verify},
    model::{JobState, SystemClock, Timestamp},
    site::{
        Access, CameraConfig, Command, ExportCommand, ExportOf, ExportRequest, ExportStage, JobCommand, ReviewCommand,
        Site, SiteConfig, SiteState, UploadCommand, UploadStage,
    },
    store::{Address, Addresses, DataFolder},
};

/// Pictures of 25 a second, a key frame each second.
fn clip(path: &Path, pictures: u32) {
    gstreamer::init().unwrap();
    let pipeline = gstreamer::parse::launch(&format!(
        "videotestsrc num-buffers={pictures} pattern=snow ! video/x-raw,format=I420,width=640,height=360,framerate=25/1 ! \
         x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 ! h264parse ! matroskamux ! filesink location=\"{}\"",
        path.display()
    ));
    let pipeline = pipeline.unwrap();
    pipeline.set_state(gstreamer::State::Playing).unwrap();
    let ends = [gstreamer::MessageType::Eos, gstreamer::MessageType::Error];
    let end = pipeline.bus().unwrap().timed_pop_filtered(gstreamer::ClockTime::from_seconds(60), &ends);
    assert!(matches!(end.unwrap().view(), gstreamer::MessageView::Eos(_)));
    pipeline.set_state(gstreamer::State::Null).unwrap();
}

fn until(site: &Site, what: &str, mut done: impl FnMut(&SiteState) -> bool) -> SiteState {
    let start = Instant::now();
    loop {
        let state = site.state();
        if done(&state) {
            return state;
        }
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "{what} did not come; review is {:?}, notices are {:?}",
            state.review,
            state.notices
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_is_on_a_server_is_watched_analysed_and_handed_out_whatever_became_of_the_working_folders() {
    let (data, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let video = files.path().join("yard 2026-11-20T10:00:00Z.mkv");
    clip(&video, 75);
    let server = servers::S3::start();
    let stores = Addresses { objects: Some(Address::parse(&server.prefix()).unwrap()), ..Addresses::default() };
    let camera = CameraConfig { active: false, ..CameraConfig::new("Gate", "test:") };
    let config = SiteConfig { cameras: vec![camera], stores, ..SiteConfig::default() };
    let site = Site::open(config, data.path(), &prerequisites::models_dir(None), Arc::new(SystemClock)).unwrap();
    let (cc, name, email) = ("1".to_owned(), "Ana Sousa".to_owned(), "ana@police.example".to_owned());
    let password = "correct horse battery staple".to_owned();
    site.send(Command::CreateAdministrator { cc, name, email, password });
    until(&site, "the login", |s| matches!(s.access, Access::LoggedIn(_)));
    let camera = site.cameras()[0].camera.id;

    site.send(Command::Upload(UploadCommand::Look(vec![video])));
    let state = until(&site, "the look", |s| s.uploads.first().is_some_and(|u| u.stage == UploadStage::Ready));
    let (id, starts_at) = (state.uploads[0].id, Timestamp::parse("2026-11-20T10:00:00Z").unwrap());
    site.send(Command::Upload(UploadCommand::Start { id, camera, starts_at }));
    let state = until(&site, "the upload", |s| s.uploads[0].stage == UploadStage::Done);
    let upload = state.uploads[0].upload.unwrap();

    until(&site, "the delivery", |s| s.stores.iter().all(|store| store.backlog == 0));

    // Twice: as they are after the start, and after somebody tidied up.
    for round in 0..2 {
        for work in ["cache", "scratch", "exports"] {
            let _ = fs::remove_dir_all(data.path().join(work));
        }
        let at = starts_at.plus(Duration::from_secs(1));
        site.send(Command::Review(ReviewCommand::Open { cameras: vec![camera], at }));
        until(&site, "a picture in the player", |s| s.review.channels.iter().any(|c| c.frame.is_some()));
        site.send(Command::Review(ReviewCommand::Close));

        site.send(Command::Job(JobCommand::Analyse { uploads: vec![upload], rate: Some(5.0) }));
        let ended = |s: &SiteState| s.jobs.len() > round && s.jobs.iter().all(|j| j.state != JobState::Open);
        let state = until(&site, "the end of the analysis", ended);
        assert!(state.jobs.iter().all(|j| j.state == JobState::Done && j.pictures > 10), "{:?}", state.jobs);

        let of = ExportOf::Stretch { cameras: vec![camera], from: starts_at, until: at };
        site.send(Command::Export(ExportCommand::Plan { of: of.clone(), pending: false }));
        let planned = |s: &SiteState| s.export.as_ref().is_some_and(|e| e.of == of && e.stage == ExportStage::Planned);
        let state = until(&site, "the plan", planned);
        assert_eq!(state.export.unwrap().plan.unwrap().missing, []);
        let to = files.path().join(format!("{round}.zip"));
        let (reason, recipient) = ("case 17".to_owned(), "the court".to_owned());
        let request = ExportRequest { to: to.clone(), reason, recipient, ..ExportRequest::new(of) };
        site.send(Command::Export(ExportCommand::Start(request)));
        let ended = |s: &SiteState| {
            s.export.as_ref().is_some_and(|e| matches!(e.stage, ExportStage::Done { .. } | ExportStage::Failed(_)))
        };
        let state = until(&site, "the package", ended);
        assert!(matches!(state.export.as_ref().unwrap().stage, ExportStage::Done { .. }), "{:?}", state.export);
        let key = SiteKey::open(&DataFolder::evidence_key_in(data.path())).unwrap().public();
        let verdict = verify(&to, Some(key)).unwrap();
        let manifest = verdict.manifest.unwrap();
        assert_eq!((verdict.findings, manifest.clips.len(), manifest.missing.len()), (Vec::new(), 1, 0));
        site.send(Command::Export(ExportCommand::Close));
        until(&site, "the end of the export", |s| s.export.is_none());
    }
}
