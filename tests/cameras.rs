//! Cameras that come, change and go while the site runs: real streams, a real database, changed by somebody else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // helpers of tests fail as tests do
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use uuid::Uuid;
use vigia::{
    cli::prerequisites,
    model::{Action, Camera, SystemClock, Timestamp},
    site::{CameraConfig, CameraStatus, CameraView, Site, SiteConfig},
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

fn live(view: &CameraView) -> bool {
    view.status == CameraStatus::Live && view.counters.analysed > 0
}

#[test]
fn a_camera_changed_by_somebody_else_follows_without_a_restart() {
    gstreamer::init().unwrap();
    let data = tempfile::tempdir().unwrap();
    let config = SiteConfig {
        cameras: vec![CameraConfig {
            name: "Gate".to_owned(),
            url: "test:".to_owned(),
            location: None,
            is_virtual: false,
            record: None,
            active: true,
        }],
        ..SiteConfig::default()
    };
    let site = Site::open(config, data.path(), &prerequisites::models_dir(None), Arc::new(SystemClock)).unwrap();
    until(&site, "Gate", "the configured camera", live);

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = runtime.block_on(CameraStore::open(data.path().join("databases/cameras.sqlite"))).unwrap();
    let added = Camera {
        id: Uuid::now_v7(),
        name: "Hall".to_owned(),
        url: "test:".to_owned(),
        location: None,
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
    let site = Site::open(SiteConfig::default(), data.path(), &prerequisites::models_dir(None), Arc::new(SystemClock));
    let site = site.unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = runtime.block_on(CameraStore::open(data.path().join("databases/cameras.sqlite"))).unwrap();
    let secret = Camera {
        id: Uuid::now_v7(),
        name: "Yard".to_owned(),
        url: "rtsp://admin:s3cret@127.0.0.1:9/1".to_owned(),
        location: None,
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
