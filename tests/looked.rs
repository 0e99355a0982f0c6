//! Was anybody looking at this camera then? Asked of a site that really looked, and of one that did not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // helpers of tests fail as tests do
use std::{
    path::Path,
    process::Command as Process,
    sync::Arc,
    time::{Duration, Instant},
};
use uuid::Uuid;
use vigia::{
    cli::prerequisites,
    model::{Clock as _, Looked, ManualClock, SystemClock, Timestamp},
    site::{Access, CameraConfig, Command, Site, SiteConfig},
    store::{DataFolder, Stores},
};

/// Exit status and answer of `vigia looked`.
fn asked(data: &Path, at: Timestamp) -> (Option<i32>, String) {
    let at = at.to_string();
    let args = ["looked", "--camera", "Gate", "--at", &at, "--data-dir", data.to_str().unwrap()];
    let out = Process::new(env!("CARGO_BIN_EXE_vigia")).args(args).output().unwrap();
    (out.status.code(), String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned())
}

#[test]
fn a_minute_that_was_looked_at_is_told_from_one_that_was_not() {
    gstreamer::init().unwrap();
    let data = tempfile::tempdir().unwrap();
    let minute = Looked::minute_of(SystemClock.now());
    let seconds = |s: u64| minute.plus(Duration::from_secs(s));
    let clock = Arc::new(ManualClock::at(seconds(30)));
    let camera = CameraConfig::new("Gate", "test:");
    let config = SiteConfig { cameras: vec![camera], ..SiteConfig::default() };
    let site = Site::open(config, data.path(), &prerequisites::models_dir(None), clock.clone()).unwrap();
    let until = |what: &str, done: &dyn Fn(&Site) -> bool| {
        let start = Instant::now();
        while !done(&site) {
            assert!(start.elapsed() < Duration::from_secs(60), "{what} did not come");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let (name, email, password) =
        ("Ana Sousa".into(), "ana@police.example".into(), "correct horse battery staple".into());
    site.send(Command::CreateAdministrator { cc: "1".into(), name, email, password });
    until("the login", &|s| matches!(s.state().access, Access::LoggedIn(_)));
    // Real pictures, seen by the detector; the clock of the site stands still meanwhile, so that its rate lets few of them through.
    for step in 1..=5u64 {
        until("an analysed picture", &|s| s.summary().cameras[0].analysed >= step);
        clock.advance(Duration::from_secs(1));
    }
    clock.advance(Duration::from_secs(30));
    // The screen knows it, too.
    until("the record of the minute", &|s| {
        s.state().cameras[0].looked.iter().any(|l| l.minute == minute && l.analysed >= 5)
    });
    let camera = site.state().cameras[0].camera.id;
    drop(site);

    let (code, told) = asked(data.path(), seconds(40));
    assert_eq!(code, Some(1), "{told}");
    let numbers: Vec<u64> = told.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
    assert!(told.starts_with("no: ") && numbers[0] >= numbers[1] && numbers[1] >= 5, "{told}");
    let (code, told) = asked(data.path(), minute.minus(Duration::from_secs(90)));
    assert!(code == Some(1) && told.contains("nothing is recorded"), "{told}");

    // A minute in which every fifth picture of 1500 was looked at, as another console recorded it.
    let looked = Looked {
        id: Uuid::now_v7(),
        camera,
        minute: minute.minus(Duration::from_secs(600)),
        received: 1500,
        analysed: 300,
        above_rate: 1190,
        overtaken: 10,
        trouble: String::new(),
        model: "NanoDet-g".to_owned(),
    };
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let stores = Stores::open(&DataFolder::open(data.path()).unwrap(), &Default::default()).await.unwrap();
        stores.cameras.put_looked(&looked).await.unwrap();
    });
    let (code, told) = asked(data.path(), looked.minute.plus(Duration::from_secs(59)));
    assert!(code == Some(0) && told.starts_with("yes: 1500 frames received, 300 analysed, 1190 above"), "{told}");
}
