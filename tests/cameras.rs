//! Cameras that come, change and go while the site runs: real streams, a real database, changed by somebody else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // helpers of tests fail as tests do
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use uuid::Uuid;
use vigia::{
    cli::prerequisites,
    model::{Action, Camera, FieldOfView, SystemClock, Timestamp},
    site::{Access, CameraConfig, CameraStatus, CameraView, Command, Site, SiteConfig},
    store::{ActionLog, CameraStore, LogFilter},
};

fn until(site: &Site, name: &str, what: &str, done: impl Fn(&CameraView) -> bool) -> CameraView {
    let start = Instant::now();
    loop {
        let state = site.state();
        if let Some(view) = state.cameras.iter().find(|v| v.camera.name == name && done(v)) {
            return view.clone();
        }
        let now: Vec<_> = state.cameras.iter().map(|v| (&v.camera.name, &v.status)).collect();
        assert!(start.elapsed() < Duration::from_secs(30), "{what} did not come; there are {now:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Opens the site and lets somebody in: nobody else is shown anything.
fn open(config: SiteConfig, data: &Path) -> Site {
    let site = Site::open(config, data, &prerequisites::models_dir(None), Arc::new(SystemClock)).unwrap();
    let (cc, password) = ("1".to_owned(), "correct horse battery staple".to_owned());
    site.send(match site.state().access {
        Access::FirstStart => Command::CreateAdministrator {
            cc,
            name: "Ana Sousa".to_owned(),
            email: "ana@police.example".to_owned(),
            password,
        },
        _ => Command::Login { cc, password },
    });
    site
}

fn live(view: &CameraView) -> bool {
    view.status == CameraStatus::Live && view.counters.analysed > 0
}

#[test]
fn a_camera_changed_by_somebody_else_follows_without_a_restart() {
    gstreamer::init().unwrap();
    let data = tempfile::tempdir().unwrap();
    let config = SiteConfig { cameras: vec![CameraConfig::new("Gate", "test:")], ..SiteConfig::default() };
    let site = open(config.clone(), data.path());
    until(&site, "Gate", "the configured camera", live);

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = runtime.block_on(CameraStore::open(data.path().join("databases/cameras.sqlite"))).unwrap();
    let added = Camera {
        id: Uuid::now_v7(),
        name: "Hall".to_owned(),
        url: "test:".to_owned(),
        location: None,
        field_of_view: None,
        placed: false,
        added_at: Timestamp(1_795_000_000_000_000),
        active: true,
        is_virtual: false,
        configured: false,
        version: 1,
    };
    runtime.block_on(store.upsert_camera(&added)).unwrap();
    let there = until(&site, "Hall", "the new camera", live);
    assert_eq!(there.camera.id, added.id);

    let renamed = Camera { name: "Great hall".to_owned(), location: Some((38.7, -9.1)), ..added };
    let renamed = runtime.block_on(store.edit_camera(&renamed)).unwrap();
    let view = until(&site, "Great hall", "the new name", |_| true);
    assert!(view.counters.received >= there.counters.received, "the stream began anew for a name");
    assert_eq!((view.status.clone(), view.camera.location), (CameraStatus::Live, Some((38.7, -9.1))));

    let off = Camera { active: false, ..renamed };
    let off = runtime.block_on(store.edit_camera(&off)).unwrap();
    let view = until(&site, "Great hall", "the end of the stream", |v| v.status == CameraStatus::Inactive);
    assert!(!view.camera.active);
    let there = Camera { active: true, url: "file:///nowhere/at-all.mkv".to_owned(), ..off };
    let there = runtime.block_on(store.edit_camera(&there)).unwrap();
    until(&site, "Great hall", "the trouble of the new address", |v| matches!(v.status, CameraStatus::Stale { .. }));
    let back = Camera { url: "test:".to_owned(), ..there };
    runtime.block_on(store.edit_camera(&back)).unwrap();
    until(&site, "Great hall", "the stream after it is back", live);
    until(&site, "Gate", "the configured camera all along", live);

    // A camera of the configuration file is placed from elsewhere: its stream goes on, and the place is kept.
    let gate = runtime.block_on(store.cameras()).unwrap().into_iter().find(|c| c.name == "Gate").unwrap();
    let sees = FieldOfView { heading: 90.0, angle: 60.0, range: 30.0 };
    let gate = Camera { location: Some((38.7, -9.2)), field_of_view: Some(sees), placed: true, ..gate };
    runtime.block_on(store.edit_camera(&gate)).unwrap();
    let placed = |v: &CameraView| v.camera.location == Some((38.7, -9.2)) && v.camera.field_of_view == Some(sees);
    let view = until(&site, "Gate", "the place of the configured camera", placed);
    assert_eq!(view.status, CameraStatus::Live, "its stream went on");
    drop(site);
    let site = open(config, data.path());
    until(&site, "Gate", "the place after another start", placed);
    drop(site);

    let log = runtime.block_on(async {
        let log = ActionLog::open(data.path().join("databases/action_logs.sqlite")).await.unwrap();
        log.page(&LogFilter::default(), None, 100).await.unwrap()
    });
    let started: Vec<_> =
        log.iter().filter(|e| e.action == Action::StartDetection).map(|e| &e.details["cameras"]).collect();
    assert_eq!(started.iter().filter(|names| names[0] == "Great hall").count(), 2, "{started:?}");
}

#[test]
fn an_address_on_the_screen_has_no_credentials() {
    gstreamer::init().unwrap();
    let data = tempfile::tempdir().unwrap();
    let site = open(SiteConfig::default(), data.path());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = runtime.block_on(CameraStore::open(data.path().join("databases/cameras.sqlite"))).unwrap();
    let secret = Camera {
        id: Uuid::now_v7(),
        name: "Yard".to_owned(),
        url: "rtsp://admin:s3cret@127.0.0.1:9/1".to_owned(),
        location: None,
        field_of_view: None,
        placed: false,
        added_at: Timestamp(0),
        active: true,
        is_virtual: false,
        configured: false,
        version: 1,
    };
    runtime.block_on(store.upsert_camera(&secret)).unwrap();
    let view = until(&site, "Yard", "the camera", |v| matches!(v.status, CameraStatus::Stale { .. }));
    assert!(!format!("{view:?}").contains("s3cret"), "{view:?}");
}
