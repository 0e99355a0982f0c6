//! Everybody seen can be searched: a fresh suspect in the past at once, and anybody whom an operator asks for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // helpers of tests fail as tests do
use std::{
    path::Path,
    process::Output,
    sync::Arc,
    time::{Duration, Instant},
};
use uuid::Uuid;
use vigia::{
    cli::prerequisites,
    model::{
        Action, Clock as _, Decision, Descriptor, ManualClock, Outcome, Rect, SystemClock, Timestamp, TrackId, Tracklet,
    },
    site::{Access, CameraConfig, Command, FindCommand, FindWho, Judgement, Site, SiteConfig, SiteState},
    store::{DataFolder, LogFilter, Stores},
    video::{Color, Frame},
    vision::{Appearance, Compute, DeviceChoice},
};

const BOX: Rect = Rect::new(100.0, 40.0, 60.0, 150.0);

/// A frame with somebody in a shirt and trousers of these hues (U, V) in [`BOX`].
fn frame(at: Timestamp, shirt: Hue, trousers: Hue) -> Frame {
    gstreamer::init().unwrap();
    let (w, h) = (320usize, 240usize);
    let mut bytes: Vec<u8> = (0..w * h).map(|i| 110 + (i * 7 % 23) as u8).collect();
    for plane in 0..2 {
        for y in 0..h / 2 {
            for x in 0..w / 2 {
                let (u, v) = if y < 55 { shirt } else { trousers };
                let inside = BOX.contains(2.0 * x as f32, 2.0 * y as f32);
                bytes.push(if !inside {
                    128
                } else if plane == 0 {
                    u
                } else {
                    v
                });
            }
        }
    }
    Frame::from_i420(w as u32, h as u32, &bytes, Color::BT601, 0, at).unwrap()
}

/// U and V of a colour.
type Hue = (u8, u8);

const RED: Hue = (90, 220);
const BLUE: Hue = (220, 100);
const GREEN: Hue = (60, 60);

struct Running {
    site: Site,
    now: Timestamp,
}

fn config() -> SiteConfig {
    let camera = |name: &str| CameraConfig { active: false, ..CameraConfig::new(name, "test:") };
    SiteConfig { cameras: vec![camera("Gate"), camera("Hall")], ..SiteConfig::default() }
}

fn open(data: &Path, now: Timestamp) -> Running {
    let clock = Arc::new(ManualClock::at(now));
    Running { site: Site::open(config(), data, &prerequisites::models_dir(None), clock).unwrap(), now }
}

impl Running {
    fn decide(&self, sighting: Uuid, judgement: Judgement) {
        let view = self.site.state().sightings.into_iter().find(|v| v.sighting.id == sighting).unwrap();
        self.site.send(view.judged(judgement));
    }

    fn until(&self, what: &str, mut done: impl FnMut(&SiteState) -> bool) -> SiteState {
        let start = Instant::now();
        loop {
            let state = self.site.state();
            if done(&state) {
                return state;
            }
            let notices: Vec<_> = state.notices.iter().map(|n| &n.text).collect();
            assert!(start.elapsed() < Duration::from_secs(30), "{what} did not come: {notices:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn enter(&self, first: bool) {
        let (cc, password) = ("1".to_owned(), "correct horse battery staple".to_owned());
        self.site.send(if first {
            let (name, email) = ("Ana Sousa".into(), "ana@police.example".into());
            Command::CreateAdministrator { cc, name, email, password }
        } else {
            Command::Login { cc, password }
        });
        self.until("the login", |s| matches!(s.access, Access::LoggedIn(_)));
    }
}

fn look(shirt: Hue, trousers: Hue) -> Descriptor {
    let compute = Compute::choose(DeviceChoice::Cpu, 1).unwrap();
    let appearance = Appearance::load(&prerequisites::models_dir(None), compute).unwrap();
    appearance.describe(&frame(Timestamp(0), shirt, trousers), &[BOX]).unwrap().remove(0).unwrap()
}

/// Puts stays into the stores of a site that is not running: who wore what, hours ago, in which camera.
fn seen_before(data: &Path, now: Timestamp, stays: &[(u64, usize, Hue, Hue)]) -> Vec<Uuid> {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let folder = DataFolder::open(data).unwrap();
        let stores = Stores::open(&folder, &Default::default()).await.unwrap();
        let cameras = stores.cameras.cameras().await.unwrap();
        let mut ids = Vec::new();
        for (i, &(hours, camera, shirt, trousers)) in stays.iter().enumerate() {
            let starts_at = now.minus(Duration::from_secs(hours * 3600));
            let id = Uuid::new_v4();
            ids.push(id);
            let tracklet = Tracklet {
                id,
                camera: cameras[camera].id,
                track: TrackId(100 + i as u64),
                upload: None,
                starts_at,
                ends_at: starts_at.plus(Duration::from_secs(9)),
                frame: (320, 240),
                path: vec![(starts_at, BOX)],
                crop_url: format!("objects:tracklets/{id}.jpg"),
                gallery: vec![look(shirt, trousers)],
                characteristics: serde_json::Value::Null,
                suspect: None,
            };
            stores.cameras.put_tracklet(&tracklet).await.unwrap();
        }
        ids
    })
}

fn log(data: &Path) -> Vec<Action> {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let stores = Stores::open(&DataFolder::open(data).unwrap(), &Default::default()).await.unwrap();
        let page = stores.actions.page(&LogFilter::default(), None, 100).await.unwrap();
        page.iter().map(|entry| entry.action).collect()
    })
}

fn mark(running: &Running, shirt: Hue, trousers: Hue) {
    running.site.send(Command::SelectSuspect {
        camera: running.site.cameras()[0].camera.id,
        track: TrackId(3),
        frame: frame(running.now, shirt, trousers),
        rect: BOX,
        reason: "theft".into(),
        expires_in: Duration::from_secs(3600),
    });
}

#[test]
fn a_fresh_suspect_is_searched_in_the_past_and_a_decision_teaches() {
    let data = tempfile::tempdir().unwrap();
    let now = SystemClock.now();
    open(data.path(), now).enter(true);
    seen_before(
        data.path(),
        now,
        &[
            (1, 0, RED, BLUE),
            (3, 1, RED, BLUE),
            (5, 1, GREEN, GREEN), // somebody else
            (30, 0, RED, BLUE),   // longer ago than is searched
        ],
    );
    let running = open(data.path(), now);
    running.enter(false);
    mark(&running, RED, BLUE);
    let state = running.until("the past", |s| s.sightings.len() >= 3);
    let past: Vec<_> =
        state.sightings.iter().map(|v| &v.sighting).filter(|s| s.decision == Decision::Pending).collect();
    assert_eq!(past.iter().map(|s| s.track.0).collect::<Vec<_>>(), [100, 101], "newest first, and nobody else");
    assert!(past.iter().all(|s| s.left_at.is_some() && s.probability > 0.5 && s.probability < 1.0), "{past:?}");
    running.until("the news", |s| s.notices.iter().any(|n| n.text.contains("possibly seen 2 times in the last 24 h")));
    let id = past[1].id;
    running.decide(id, Judgement::Confirm);
    let confirmed = |s: &SiteState| {
        s.sightings.iter().any(|v| v.sighting.id == id && matches!(v.sighting.decision, Decision::Confirmed { .. }))
    };
    running.until("the decision", confirmed);
    drop(running);
    // A later run knows what was found, and still learns from its looks.
    let running = open(data.path(), now);
    running.enter(false);
    running.until("the decision after a restart", confirmed);
    let other = running.site.state().sightings.iter().find(|v| v.sighting.track.0 == 100).unwrap().sighting.id;
    running.decide(other, Judgement::Reject);
    running.until("the rejection", |s| {
        s.sightings.iter().any(|v| v.sighting.id == other && matches!(v.sighting.decision, Decision::Rejected { .. }))
    });
}

#[test]
fn anybody_is_found_over_hours_and_cameras_and_saying_who_it_is_improves_the_ranking() {
    let data = tempfile::tempdir().unwrap();
    let now = SystemClock.now();
    open(data.path(), now).enter(true);
    let ids = seen_before(
        data.path(),
        now,
        &[(2, 0, RED, BLUE), (60, 1, RED, BLUE), (4, 1, GREEN, GREEN), (5, 0, BLUE, RED), (100, 1, GREEN, BLUE)],
    );
    let running = open(data.path(), now);
    running.enter(false);
    let cameras: Vec<_> = running.site.cameras().iter().map(|v| v.camera.id).collect();
    let who = FindWho::Person { camera: cameras[0], track: TrackId(9), frame: frame(now, RED, BLUE), rect: BOX };
    let start = |hours: u64, cameras| {
        let from = now.minus(Duration::from_secs(hours * 3600));
        running.site.send(Command::Find(FindCommand::Start { who: who.clone(), cameras, from, until: now }));
    };
    start(24, None);
    let found = running.until("the search", |s| s.find.is_some()).find.unwrap();
    assert_eq!(found.hits.iter().map(|h| h.tracklet).next(), Some(ids[0]));
    assert_eq!((found.hits.len(), found.hits[0].judged), (3, None), "the last day has three");
    assert!(found.hits.is_sorted_by(|a, b| a.probability >= b.probability));
    // longer ago than memory holds, in one camera
    start(24 * 7, Some(vec![cameras[1]]));
    let found = running.until("the longer search", |s| s.find.as_ref().is_some_and(|f| f.cameras.len() == 1));
    let found = found.find.unwrap();
    assert_eq!((found.hits.len(), found.hits[0].tracklet), (3, ids[1]));
    let other = found.hits.iter().find(|h| h.tracklet == ids[4]).unwrap().clone();
    running.site.send(Command::Find(FindCommand::Judge { tracklet: ids[4], same: true }));
    let better = running.until("the judgement", |s| {
        s.find.as_ref().is_some_and(|f| f.hits.iter().any(|h| h.tracklet == ids[4] && h.judged == Some(true)))
    });
    let better = better.find.unwrap().hits.iter().find(|h| h.tracklet == ids[4]).unwrap().probability;
    assert!(better > other.probability, "{better} {}", other.probability);
    running.site.send(Command::Find(FindCommand::Close));
    running.until("the end", |s| s.find.is_none());
    drop(running);
    assert_eq!(log(data.path()).iter().filter(|a| **a == Action::FindPerson).count(), 3);
}

/// `vigia find` on the site of this folder.
fn find(data: &Path, args: &[&str]) -> Output {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_vigia"));
    command.arg("find").args(args).arg("--data-dir").arg(data).output().unwrap()
}

/// The person of [`frame`] alone, as a file.
fn picture_of(shirt: Hue, trousers: Hue, to: &Path) {
    let pixel = |x: u32, y: u32| {
        let (u, v) = if y < 70 { shirt } else { trousers };
        let luma = 110 + (((y + 40) * 320 + x + 100) * 7 % 23) as u8;
        let (y, u, v) = (f32::from(luma) - 16.0, f32::from(u) - 128.0, f32::from(v) - 128.0);
        let rgb = [1.164 * y + 1.596 * v, 1.164 * y - 0.392 * u - 0.813 * v, 1.164 * y + 2.017 * u];
        image::Rgb(rgb.map(|c| c.clamp(0.0, 255.0) as u8))
    };
    image::RgbImage::from_fn(60, 150, pixel).save(to).unwrap();
}

#[test]
fn the_command_line_finds_a_suspect_and_whoever_is_on_a_picture_and_each_search_is_an_entry() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let now = SystemClock.now();
    open(&data, now).enter(true);
    let ids =
        seen_before(&data, now, &[(2, 0, RED, BLUE), (3, 1, GREEN, GREEN), (5, 1, RED, BLUE), (60, 1, RED, BLUE)]);
    let running = open(&data, now);
    running.enter(false);
    mark(&running, RED, BLUE);
    let suspect = running.until("the suspect", |s| !s.suspects.is_empty()).suspects[0].suspect.id.to_string();
    let while_open = find(&data, &["--suspect", &suspect]);
    assert!(!while_open.status.success() && while_open.stdout.is_empty(), "the console is open");
    drop(running);

    // (the stay, its camera, its probability), the most probable first
    let found = |args: &[&str]| -> Vec<(Uuid, String, f64)> {
        let run = find(&data, args);
        assert!(run.status.success(), "{args:?}: {}", String::from_utf8_lossy(&run.stderr));
        let lines = String::from_utf8(run.stdout).unwrap();
        let hits: Vec<_> = lines
            .lines()
            .map(|line| {
                let hit: serde_json::Value = serde_json::from_str(line).unwrap();
                let camera = hit["camera_name"].as_str().unwrap().to_owned();
                (hit["tracklet"].as_str().unwrap().parse().unwrap(), camera, hit["probability"].as_f64().unwrap())
            })
            .collect();
        assert!(hits.is_sorted_by(|a, b| a.2 >= b.2), "{hits:?}");
        hits
    };
    let alike = |hits: &[(Uuid, String, f64)]| -> Vec<Uuid> {
        let mut ids: Vec<_> = hits.iter().filter(|(.., p)| *p > 0.5).map(|(id, ..)| *id).collect();
        ids.sort();
        ids
    };
    let sorted = |mut ids: Vec<Uuid>| {
        ids.sort();
        ids
    };
    let day = found(&["--suspect", &suspect]);
    assert_eq!((day.len(), alike(&day)), (3, sorted(vec![ids[0], ids[2]])), "of the last day");
    let week = found(&["--suspect", &suspect, "--hours", "168"]);
    assert_eq!(alike(&week), sorted(vec![ids[0], ids[2], ids[3]]));
    let hall = found(&["--suspect", &suspect, "--camera", "Hall", "--limit", "1"]);
    assert_eq!(hall.iter().map(|(id, camera, _)| (*id, camera.as_str())).collect::<Vec<_>>(), [(ids[2], "Hall")]);
    let picture = folder.path().join("person.png");
    picture_of(GREEN, GREEN, &picture);
    assert_eq!(alike(&found(&["--picture", picture.to_str().unwrap()])), [ids[1]]);

    let refused = |args: &[&str], words: &str| {
        let run = find(&data, args);
        let told = String::from_utf8(run.stderr).unwrap();
        assert!(!run.status.success() && run.stdout.is_empty() && told.contains(words), "{args:?}: {told}");
    };
    let nobody = Uuid::new_v4().to_string();
    refused(&["--suspect", &nobody], &format!("there is no suspect {nobody}"));
    refused(&["--suspect", &suspect, "--camera", "Roof"], "there is no camera Roof");
    refused(&["--suspect", &suspect, "--picture", "a.png"], "cannot be used with");
    refused(&["--suspect", &suspect, "--hours=-1"], "hours");
    refused(&[], "--suspect");
    let (gone, text, dot) =
        (folder.path().join("gone.jpg"), folder.path().join("text.jpg"), folder.path().join("dot.png"));
    std::fs::write(&text, "minutes of the meeting").unwrap();
    image::RgbImage::new(2, 2).save(&dot).unwrap();
    refused(&["--picture", gone.to_str().unwrap()], "gone.jpg");
    refused(&["--picture", text.to_str().unwrap()], "text.jpg");
    refused(&["--picture", dot.to_str().unwrap()], "too small to compare");

    let entries = tokio::runtime::Runtime::new().unwrap().block_on(async {
        let stores = Stores::open(&DataFolder::open(&data).unwrap(), &Default::default()).await.unwrap();
        let filter = LogFilter { action: Some(Action::FindPerson), ..LogFilter::default() };
        stores.actions.page(&filter, None, 100).await.unwrap()
    });
    let done = entries.iter().filter(|e| e.outcome == Outcome::Succeeded).count();
    let refused = entries.iter().filter(|e| matches!(e.outcome, Outcome::Refused(_))).count();
    assert_eq!((done, refused), (4, 3), "what was searched for, and what there is not");
    assert!(entries.iter().any(|e| e.target.as_deref() == Some(suspect.as_str()) && e.details["hits"] == 3));
}
