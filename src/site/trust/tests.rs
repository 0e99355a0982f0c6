//! A whole site whose clock is wrong for a while: nothing may be deleted by it.
use super::*;
use crate::{
    cli::prerequisites,
    model::{Clock as _, Hold, ManualClock, Segment, Sighting, Suspect, SystemClock},
    servers,
    site::{CameraConfig, RecordingConfig, Site, SiteConfig},
    store::{
        Address, Addresses, CameraStore, DeletedBy, LogFilter, cameras::tests as examples, recordings::tests::segment,
    },
};
use std::{path::Path, sync::Arc};
use uuid::Uuid;

const DAY: u64 = 86_400;

fn open(data: &Path, stores: Addresses, clock: &Arc<ManualClock>) -> Site {
    let camera = CameraConfig { active: false, ..CameraConfig::new("Gate", "test:") };
    let recording = RecordingConfig { keep_days: 30.0, max_gb: 0.0, ..RecordingConfig::default() };
    let config = SiteConfig { cameras: vec![camera], stores, recording, ..SiteConfig::default() };
    Site::open(config, data, &prerequisites::models_dir(None), Arc::<ManualClock>::clone(clock)).unwrap()
}

async fn recorded(store: &CameraStore) -> Vec<Timestamp> {
    let all = store.segments(None, Timestamp(0), Timestamp(9_000_000_000_000_000)).await.unwrap();
    all.into_iter().map(|s| s.starts_at).collect()
}

/// What the log says of the clock: whether deletion went on, and the words.
async fn told(shared: &Shared) -> Vec<(bool, String)> {
    assert!(shared.records.delivery.flush().await);
    let log = shared.records.stores.actions.page(&LogFilter::default(), None, 100).await.unwrap();
    let of_trust = |what: &str| what.starts_with("deletion by age");
    let told = log.into_iter().filter(|e| e.action == Action::NoticeClock);
    let told = told.filter(|e| e.details["what"].as_str().is_some_and(of_trust));
    told.map(|e| (e.outcome == Outcome::Succeeded, e.details["why"].as_str().unwrap().to_owned())).collect()
}

#[test]
fn a_clock_that_is_400_days_ahead_for_one_sweep_deletes_nothing_and_that_is_told_once() {
    for on_a_server in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let cameras = on_a_server.then(|| Address::parse(&servers::postgres().database()).unwrap());
        let site = open(folder.path(), Addresses { cameras, ..Addresses::default() }, &clock);
        let (shared, began) = (&site.shared, clock.now());
        let ago = |days: u64| began.minus(Duration::from_secs(days * DAY));
        let alarms = || {
            let notices = shared.board.lock().notices.iter().map(|n| n.text.clone()).collect::<Vec<_>>();
            notices.into_iter().filter(|n| n.starts_with("Nothing is deleted for its age")).count()
        };
        shared.runtime.block_on(async {
            assert!(shared.records.delivery.flush().await, "the camera is registered");
            let store = &shared.records.stores.cameras;
            let camera = store.cameras().await.unwrap()[0].id;
            let put = async |days: u64| {
                let of = Segment {
                    starts_at: ago(days),
                    ends_at: ago(days).plus(Duration::from_secs(10)),
                    ..segment(camera, 0, 10)
                };
                store.put_segment(&of).await.unwrap();
            };
            put(20).await;
            put(19).await;
            store.put_detection(&examples::detection(camera, None, ago(20))).await.unwrap();
            // Somebody who is followed for one more hour was seen in the oldest recording.
            let suspect =
                Suspect { expires_at: began.plus(Duration::from_secs(3600)), ..examples::suspect(camera, "Suspect 1") };
            store.put_suspect(&suspect).await.unwrap();
            let (at, left_at) = (ago(20), Some(ago(20)));
            let seen = Sighting { entered_at: at, last_seen_at: at, left_at, ..examples::sighting(&suspect) };
            store.put_sighting(&seen).await.unwrap();
            let sweep = async || {
                shared.retain_recordings(60).await;
                shared.sweep_data().await.unwrap();
            };
            let detections = async || store.detections(&Default::default()).await.unwrap().len();
            sweep().await;
            assert_eq!((recorded(store).await.len(), told(shared).await), (2, Vec::new()));

            clock.step(i64::try_from(400 * DAY).unwrap() * 1_000_000);
            put(40).await; // old enough whatever the clock says
            for _ in 0..2 {
                sweep().await;
            }
            assert_eq!((recorded(store).await.len(), detections().await), (3, 1), "on a server: {on_a_server}");
            let [(false, why)] = &told(shared).await[..] else { panic!("{:?}", told(shared).await) };
            assert!(why.contains("ahead of") && (why.contains("400 d 0 h") || why.contains("399 d 23 h")), "{why}");
            assert_eq!(alarms(), 1);
            let health = site.stores().into_iter().find(|s| s.store == "clock").unwrap();
            assert!(health.error.unwrap().contains("ahead of") && health.failing_since.is_some());

            // Room is made all the same, but not by a clock that would end what keeps recordings.
            let (hold, at) = (Uuid::now_v7(), ago(40));
            let (reason, placed_by) = ("case 7".to_owned(), "1".to_owned());
            let hold = Hold {
                id: hold,
                case: None,
                camera: Some(camera),
                from: at,
                until: at,
                reason,
                placed_by,
                placed_at: at,
                released: None,
            };
            store.put_hold(&hold).await.unwrap();
            let mut left = 2;
            let deleted = shared
                .delete_recordings(DeletedBy::Size, "more than may be", |_, _| {
                    left -= 1;
                    left > 0
                })
                .await;
            assert_eq!((deleted, recorded(store).await), (1, vec![ago(40), ago(20)]), "the suspect is followed still");

            clock.step(-i64::try_from(400 * DAY).unwrap() * 1_000_000);
            let released = Some(crate::model::Release { at: began, by: "1".to_owned(), why: "over".to_owned() });
            store.put_hold(&Hold { released, ..hold }).await.unwrap();
            sweep().await;
            assert_eq!((recorded(store).await, detections().await), (vec![ago(20)], 1), "deletion goes on");
            assert_eq!(told(shared).await.iter().map(|(ended, _)| *ended).collect::<Vec<_>>().len(), 2);
            assert!(site.stores().iter().all(|s| s.store != "clock"));
        });
    }
}

#[test]
fn a_start_with_a_wrong_clock_deletes_nothing_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    let began = clock.now();
    let site = open(folder.path(), Addresses::default(), &clock);
    let shared = &site.shared;
    shared.runtime.block_on(async {
        assert!(shared.records.delivery.flush().await);
        let store = &shared.records.stores.cameras;
        let camera = store.cameras().await.unwrap()[0].id;
        let of = Segment { starts_at: began.minus(Duration::from_secs(20)), ends_at: began, ..segment(camera, 0, 10) };
        store.put_segment(&of).await.unwrap();
    });
    drop(site);
    clock.step(i64::try_from(400 * DAY).unwrap() * 1_000_000);
    let site = open(folder.path(), Addresses::default(), &clock);
    let shared = &site.shared;
    shared.runtime.block_on(async {
        shared.retain_recordings(60).await;
        assert_eq!(recorded(&shared.records.stores.cameras).await.len(), 1);
        let [(false, why)] = &told(shared).await[..] else { panic!("{:?}", told(shared).await) };
        assert!(why.contains("the console was off for so long, or the clock is wrong"), "{why}");
        // Without a second clock it is believed when it has stood for a day.
        for _ in 0..25 {
            clock.advance(Duration::from_secs(3600));
            shared.retain_recordings(60).await;
        }
        assert_eq!(recorded(&shared.records.stores.cameras).await.len(), 0);
    });
}
