//! Several consoles on the same stores, each a running site with a data folder of its own, on real servers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // helpers of tests fail as tests do
mod servers;

use redis::aio::MultiplexedConnection;
use std::{
    collections::BTreeSet,
    path::Path,
    time::{Duration, Instant},
};
use tokio::runtime::Runtime;
use uuid::Uuid;
use vigia::{
    cli::prerequisites,
    model::{Action, Clock as _, Decision, Rect, Sighting, Suspect, SuspectId, SystemClock, Timestamp, TrackId},
    site::{Access, CameraConfig, Command, Judgement, LogCommand, Site, SiteConfig, SiteState},
    store::{Address, Addresses, CameraStore, LogFilter, NewUser, SuspectStore, UserStore},
    video::{Color, Frame},
};

const PASSWORD: &str = "correct horse battery staple";

/// The servers of one site, and its two consoles.
struct Fixture {
    runtime: Runtime,
    stores: Addresses,
    _folders: [tempfile::TempDir; 2],
    consoles: [Console; 2],
}

struct Console(Site);

fn address(text: &str) -> Option<Address> {
    Some(Address::parse(text).unwrap())
}

fn open(data: &Path, stores: Addresses) -> Console {
    open_with(data, stores, &["Gate", "Hall"], false)
}

fn open_with(data: &Path, stores: Addresses, cameras: &[&str], active: bool) -> Console {
    gstreamer::init().unwrap();
    let camera = |name: &str| CameraConfig { active, ..CameraConfig::new(name, "test:") };
    let config =
        SiteConfig { cameras: cameras.iter().map(|name| camera(name)).collect(), stores, ..SiteConfig::default() };
    let models = prerequisites::models_dir(None);
    Console(Site::open(config, data, &models, std::sync::Arc::new(SystemClock)).unwrap())
}

impl Fixture {
    fn new(suspects: Option<Address>) -> Self {
        let users = servers::postgres().database();
        let stores = Addresses {
            users: address(&users),
            cameras: address(&servers::postgres().database()),
            action_logs: address(&servers::mongo().database()),
            objects: address(&servers::s3().prefix()),
            suspects,
        };
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let users = UserStore::connect(&Address::parse(&users).unwrap()).await.unwrap();
            let user = |cc: &str, name: &str| NewUser {
                cc: cc.into(),
                email: format!("{cc}@police.example"),
                name: name.into(),
                password: PASSWORD.into(),
                is_admin: true,
            };
            users.create_first_administrator(user("1", "Ana Sousa"), SystemClock.now()).await.unwrap();
            users.create(user("2", "Rui Costa"), SystemClock.now()).await.unwrap();
        });
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let consoles = [open(folders[0].path(), stores.clone()), open(folders[1].path(), stores.clone())];
        for (console, cc) in consoles.iter().zip(["1", "2"]) {
            console.0.send(Command::Login { cc: cc.into(), password: PASSWORD.into() });
            console.until("the login", |s| matches!(s.access, Access::LoggedIn(_)));
        }
        Self { runtime, stores, _folders: folders, consoles }
    }

    fn cameras(&self) -> CameraStore {
        self.runtime.block_on(CameraStore::connect(self.stores.cameras.as_ref().unwrap())).unwrap()
    }

    fn state(&self) -> SuspectStore {
        SuspectStore::connect(self.stores.suspects.as_ref().unwrap()).unwrap()
    }

    /// Waits until everything accepted has been delivered.
    fn delivered(&self) {
        for console in &self.consoles {
            console.until("the delivery", |s| s.stores.iter().all(|h| h.backlog == 0));
        }
    }

    /// The state of every suspect on the server: label and whether it was ended.
    fn followed(&self) -> Vec<(String, bool)> {
        let all = self.runtime.block_on(self.state().suspects()).unwrap_or_default();
        let mut all: Vec<_> = all.into_iter().map(|f| (f.suspect.label, f.suspect.ended_at.is_some())).collect();
        all.sort();
        all
    }

    fn until_followed(&self, expected: &[(&str, bool)]) {
        let expected: Vec<_> = expected.iter().map(|(label, ended)| ((*label).to_owned(), *ended)).collect();
        let start = Instant::now();
        while self.followed() != expected {
            assert!(start.elapsed() < Duration::from_secs(30), "{:?} instead of {expected:?}", self.followed());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Console {
    fn until(&self, what: &str, mut done: impl FnMut(&SiteState) -> bool) -> SiteState {
        let start = Instant::now();
        loop {
            let state = self.0.state();
            if done(&state) {
                return state;
            }
            let notices: Vec<_> = state.notices.iter().map(|n| &n.text).collect();
            assert!(start.elapsed() < Duration::from_secs(30), "{what} did not come; {notices:?} {:?}", state.stores);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Marks somebody on the first camera.
    fn mark(&self, reason: &str) -> SuspectId {
        let state = self.0.state();
        let known: BTreeSet<_> = state.suspects.iter().map(|v| v.suspect.id).collect();
        self.0.send(Command::SelectSuspect {
            camera: state.cameras[0].camera.id,
            track: TrackId(3),
            frame: frame(state.now),
            rect: Rect::new(50.0, 40.0, 60.0, 120.0),
            reason: reason.into(),
            expires_in: Duration::from_secs(3600),
        });
        let new = |s: &SiteState| s.suspects.iter().map(|v| v.suspect.id).find(|id| !known.contains(id));
        new(&self.until("the new suspect", |s| new(s).is_some())).unwrap()
    }

    fn until_suspect(&self, what: &str, id: SuspectId, is: impl Fn(&Suspect) -> bool) -> Suspect {
        let find = |s: &SiteState| s.suspects.iter().map(|v| v.suspect.clone()).find(|s| s.id == id && is(s));
        find(&self.until(what, |s| find(s).is_some())).unwrap()
    }

    fn until_sighting(&self, what: &str, id: Uuid, is: impl Fn(&Sighting) -> bool) -> Sighting {
        let find = |s: &SiteState| s.sightings.iter().map(|v| v.sighting.clone()).find(|s| s.id == id && is(s));
        find(&self.until(what, |s| find(s).is_some())).unwrap()
    }

    fn decide(&self, sighting: Uuid, confirm: bool) {
        let judgement = if confirm { Judgement::Confirm } else { Judgement::Reject };
        let view = self.0.state().sightings.into_iter().find(|v| v.sighting.id == sighting).unwrap();
        self.0.send(view.judged(judgement));
    }

    fn health(&self, store: &str) -> Option<String> {
        self.0.state().stores.into_iter().find(|h| h.store == store).unwrap().error
    }
}

fn frame(at: Timestamp) -> Frame {
    let (w, h) = (320u32, 240u32);
    let luma = (0..w * h).map(|i| 40 + ((i % w) / 2 + (i / w) / 3) as u8 % 180);
    let bytes: Vec<u8> = luma.chain((0..w * h / 2).map(|i| 100 + (i % 60) as u8)).collect();
    Frame::from_i420(w, h, &bytes, Color::BT601, 0, at).unwrap()
}

/// A possible match that a third console sees in the second camera.
fn match_elsewhere(fixture: &Fixture, suspect: &Suspect) -> Sighting {
    let state = fixture.consoles[0].0.state();
    let now = SystemClock.now();
    Sighting {
        id: Uuid::now_v7(),
        suspect: suspect.id,
        camera: state.cameras[1].camera.id,
        track: TrackId(7),
        entered_at: now,
        last_seen_at: now,
        left_at: None,
        probability: 0.83,
        decision: Decision::Pending,
        crop_url: suspect.crop_url.clone(),
        rect: Rect::new(1.0, 2.0, 30.0, 80.0),
    }
}

/// Both consoles decide on a match of a third one: the later decision counts on both, and each is an entry of the log.
fn decide_on_both(fixture: &Fixture, seen: &Sighting) {
    let [a, b] = &fixture.consoles;
    for console in [a, b] {
        let state = console.until("the match in the inbox", |s| {
            s.sightings.iter().any(|v| v.sighting.id == seen.id && v.crop.is_some())
        });
        let alert = "Possible match 83 %: Suspect 1 in Hall";
        assert!(state.notices.iter().any(|n| n.text == alert && n.sighting == Some(seen.id)));
    }
    b.decide(seen.id, true);
    let confirmed = |s: &Sighting| matches!(&s.decision, Decision::Confirmed { by, .. } if by == "2");
    a.until_sighting("the decision of the other console", seen.id, confirmed);
    a.decide(seen.id, false);
    let rejected = |s: &Sighting| matches!(&s.decision, Decision::Rejected { by, .. } if by == "1");
    b.until_sighting("the last decision", seen.id, rejected);
    fixture.delivered();
    let stored = fixture.runtime.block_on(fixture.cameras().sightings(None, 99)).unwrap();
    assert!(rejected(stored.iter().find(|s| s.id == seen.id).unwrap()));
    a.0.send(Command::Log(LogCommand::Read(LogFilter::default())));
    let page = a.until("the log", |s| s.log.page.is_some()).log.page.unwrap();
    let log: Vec<_> = page.entries.iter().filter_map(|kept| kept.entry.as_ref().ok()).collect();
    let decisions: Vec<_> =
        log.iter().filter(|e| e.action == Action::DecideMatch).map(|e| e.user_cc.as_str()).collect();
    assert_eq!(decisions, ["1", "2"]);
}

/// A camera of a configuration file is deactivated when it is not in that file any more, and by no other console.
#[test]
fn a_configured_camera_belongs_to_the_console_that_configures_it() {
    let cameras = servers::postgres().database();
    let stores = Addresses { cameras: address(&cameras), ..Addresses::default() };
    let [here, there] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let runtime = Runtime::new().unwrap();
    let run = |data: &Path, cameras: &[&str]| {
        let console = open_with(data, stores.clone(), cameras, true);
        console.until("the delivery", |s| s.stores.iter().all(|h| h.backlog == 0));
    };
    let known = || -> Vec<(String, i64)> {
        let store = runtime.block_on(CameraStore::connect(stores.cameras.as_ref().unwrap())).unwrap();
        let mut known: Vec<_> =
            runtime.block_on(store.cameras()).unwrap().into_iter().map(|c| (c.name, c.version)).collect();
        known.sort();
        known
    };
    let all = |versions: [i64; 3]| -> Vec<(String, i64)> {
        ["Gate", "Hall", "Yard"].into_iter().map(str::to_owned).zip(versions).collect()
    };
    run(here.path(), &["Gate", "Hall"]);
    run(there.path(), &["Yard"]);
    run(here.path(), &["Gate", "Hall"]);
    run(there.path(), &["Yard"]);
    assert_eq!(known(), all([1, 1, 1]), "nobody touched anybody's camera");
    run(here.path(), &["Gate"]);
    let store = runtime.block_on(CameraStore::connect(stores.cameras.as_ref().unwrap())).unwrap();
    let active =
        |name: &str| runtime.block_on(store.cameras()).unwrap().into_iter().any(|c| c.name == name && c.active);
    assert!(active("Gate") && active("Yard") && !active("Hall"));
}

#[test]
fn suspects_sightings_and_decisions_are_shared_through_redis_that_may_be_emptied_and_killed() {
    let server = servers::Redis::start();
    let namespace = server.namespace();
    let fixture = Fixture::new(address(&namespace));
    let [a, b] = &fixture.consoles;
    let state = fixture.state();

    // marked on one, followed on the other, with the gallery and the picture; the mark's sighting, too
    let id = a.mark("left a bag");
    let first = b.until_suspect("the suspect of the other console", id, |s| !s.gallery.is_empty());
    assert_eq!((first.label.as_str(), first.marked_by.as_str()), ("Suspect 1", "1"));
    b.until("its picture and sighting", |s| {
        s.suspects.iter().any(|v| v.crop.is_some()) && s.sightings.iter().any(|v| v.sighting.suspect == id)
    });
    assert!(b.0.state().notices.iter().any(|n| n.text.contains("marked on another console")));
    fixture.delivered();

    let seen = match_elsewhere(&fixture, &first);
    let cameras = fixture.cameras();
    fixture.runtime.block_on(async {
        cameras.put_sighting(&seen).await.unwrap();
        state.put_sighting(&seen).await.unwrap();
    });
    decide_on_both(&fixture, &seen);

    // nobody gives back what was heard: everything is quiet when all is said
    let length = || {
        fixture.runtime.block_on(async {
            let client = redis::Client::open(server.address()).unwrap();
            let mut connection: MultiplexedConnection = client.get_multiplexed_async_connection().await.unwrap();
            let prefix = namespace.rsplit_once('=').unwrap().1;
            redis::cmd("XLEN").arg(format!("{prefix}:changes")).query_async::<usize>(&mut connection).await.unwrap()
        })
    };
    let before = length();
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(length(), before);
    assert!((5..=12).contains(&before), "{before} changes for a mark, a match and two decisions");

    // emptied: it is filled again without anybody touching it, and goes on
    server.flush();
    fixture.until_followed(&[("Suspect 1", false)]);
    let second = b.mark("climbed the fence");
    a.until_suspect("a suspect after the flush", second, |_| true);

    // killed: the consoles still hear each other, by the database, and the health says what is missing
    server.kill();
    let third = a.mark("asked about cameras");
    b.until_suspect("a suspect without Redis", third, |_| true);
    b.0.send(Command::EndSuspect(id));
    a.until_suspect("an end without Redis", id, |s| s.ended_at.is_some());
    assert!(a.health("suspect state").is_some());
    let backlog = |s: &SiteState| s.stores.iter().find(|h| h.store == "suspect state").unwrap().backlog;
    assert!(backlog(&a.0.state()) > 0);

    // back, and emptied behind everybody's back
    server.restart();
    server.flush();
    fixture.until_followed(&[("Suspect 1", true), ("Suspect 2", false), ("Suspect 3", false)]);
    let fourth = b.mark("ran");
    a.until_suspect("a suspect with Redis again", fourth, |_| true);
    fixture.delivered();
    assert_eq!((a.health("suspect state"), b.health("suspect state")), (None, None));
    for console in [a, b] {
        let state = console.until("all suspects", |s| s.suspects.len() == 4);
        let ids: BTreeSet<_> = state.suspects.iter().map(|v| v.suspect.id).collect();
        assert_eq!(ids, BTreeSet::from([id, second, third, fourth]), "each once");
    }
}

#[test]
fn without_redis_a_shared_database_tells_what_changed() {
    let fixture = Fixture::new(None);
    let [a, b] = &fixture.consoles;
    let id = a.mark("left a bag");
    let first = b.until_suspect("the suspect of the other console", id, |s| !s.gallery.is_empty());
    let seen = match_elsewhere(&fixture, &first);
    fixture.runtime.block_on(fixture.cameras().put_sighting(&seen)).unwrap();
    decide_on_both(&fixture, &seen);
    b.0.send(Command::EndSuspect(id));
    a.until_suspect("the end", id, |s| s.ended_at.is_some());
    assert!(a.0.state().notices.iter().any(|n| n.text.contains("ended on another console")));
}
