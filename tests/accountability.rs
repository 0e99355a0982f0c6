//! The faults of the system Vigia replaces, each as a test on a running site: real stores, real models, real commands.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // helpers of tests fail as tests do
mod servers;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use vigia::{
    cli::prerequisites,
    model::{
        Action, ActionRecord, Characteristics, Clock as _, ManualClock, Outcome, Rect, SystemClock, Timestamp, TrackId,
    },
    site::{Access, CameraConfig, Command, LogCommand, Site, SiteConfig, SiteState},
    store::{Address, Addresses, DataFolder, LogFilter, NewUser, Stores, UserStore, key_of_url},
    video::{Color, Frame},
};

const PASSWORD: &str = "correct horse battery staple";

struct Running {
    site: Site,
    clock: Arc<ManualClock>,
}

fn open(data: &Path) -> Running {
    open_on(data, Addresses::default())
}

fn open_on(data: &Path, stores: Addresses) -> Running {
    gstreamer::init().unwrap();
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    let camera = |name: &str| CameraConfig { active: false, ..CameraConfig::new(name, "test:") };
    let config = SiteConfig { cameras: vec![camera("Gate"), camera("Hall")], stores, ..SiteConfig::default() };
    let site = Site::open(config, data, &prerequisites::models_dir(None), clock.clone()).unwrap();
    Running { site, clock }
}

impl Running {
    fn until(&self, what: &str, mut done: impl FnMut(&SiteState) -> bool) -> SiteState {
        let start = Instant::now();
        loop {
            let state = self.site.state();
            if done(&state) {
                return state;
            }
            assert!(start.elapsed() < Duration::from_secs(30), "{what} did not come; access is {:?}", state.access);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn create_administrator(&self) {
        self.site.send(Command::CreateAdministrator {
            cc: "1".into(),
            name: "Ana Sousa".into(),
            email: "ana@police.example".into(),
            password: PASSWORD.into(),
        });
        self.until("the administrator", |s| matches!(s.access, Access::LoggedIn(_)));
    }

    fn login(&self, cc: &str, password: &str) -> Access {
        self.site.send(Command::Login { cc: cc.into(), password: password.into() });
        self.until("the answer to the login", |s| s.access != Access::Working).access
    }

    fn logout(&self) {
        self.site.send(Command::Logout);
        self.until("the logout", |s| matches!(s.access, Access::LoggedOut { .. }));
    }

    /// The log as an administrator reads it, oldest first; reading is itself an entry of the next reading.
    fn log(&self) -> Vec<ActionRecord> {
        let before = self.site.state().log.page;
        self.site.send(Command::Log(LogCommand::Read(LogFilter::default())));
        let state = self.until("the log", |s| match (&before, &s.log.page) {
            (None, Some(_)) => true,
            (Some(a), Some(b)) => !Arc::ptr_eq(a, b),
            _ => false,
        });
        let entries = state.log.page.unwrap().entries.clone();
        let mut log: Vec<_> = entries.into_iter().map(|kept| kept.entry.unwrap()).collect();
        log.reverse();
        log
    }
}

fn frame(at: Timestamp) -> Frame {
    let (w, h) = (320u32, 240u32);
    let luma = (0..w * h).map(|i| 40 + ((i % w) / 2 + (i / w) / 3) as u8 % 180);
    let bytes: Vec<u8> = luma.chain((0..w * h / 2).map(|i| 100 + (i % 60) as u8)).collect();
    Frame::from_i420(w, h, &bytes, Color::BT601, 0, at).unwrap()
}

fn select(running: &Running, reason: &str, rect: Rect) {
    let state = running.site.state();
    running.site.send(Command::SelectSuspect {
        camera: running.site.cameras()[0].camera.id,
        track: TrackId(3),
        frame: frame(state.now),
        rect,
        reason: reason.into(),
        expires_in: Duration::from_secs(3600),
    });
}

fn operator() -> NewUser {
    NewUser {
        cc: "2".into(),
        email: "rui@police.example".into(),
        name: "Rui Costa".into(),
        password: PASSWORD.into(),
        is_admin: false,
    }
}

fn add_operator(data: &Path) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = DataFolder::open(data).unwrap();
    runtime.block_on(async {
        let stores = Stores::open(&folder, &Default::default()).await.unwrap();
        stores.users.create(operator(), SystemClock.now()).await.unwrap();
    });
}

#[test]
fn every_login_is_recorded_once_and_under_its_own_user() {
    let data = tempfile::tempdir().unwrap();
    {
        open(data.path()).create_administrator();
    }
    add_operator(data.path());
    let running = open(data.path());
    assert!(matches!(running.login("2", PASSWORD), Access::LoggedIn(u) if u.name == "Rui Costa"));
    running.logout();
    assert!(matches!(running.login("1", PASSWORD), Access::LoggedIn(_)));
    for _ in 0..50 {
        running.site.state(); // polling is nobody's action
    }
    let log = running.log();
    let logins: Vec<_> = log.iter().filter(|e| e.action == Action::Login).map(|e| e.user_name.as_str()).collect();
    assert_eq!(logins, ["Ana Sousa", "Rui Costa", "Ana Sousa"]);
    assert_eq!(
        log.iter().filter(|e| e.action == Action::Logout).map(|e| e.user_cc.as_str()).collect::<Vec<_>>(),
        ["1", "2"]
    );
    assert!(!log.iter().any(|e| e.action == Action::UploadVideo));
    assert!(log.windows(2).all(|w| w[0].log_id < w[1].log_id && w[0].timestamp <= w[1].timestamp));
    assert!(log[0].timestamp.to_string().ends_with('Z'));
}

#[test]
fn refused_attempts_are_entries_and_lock_the_number() {
    let data = tempfile::tempdir().unwrap();
    let running = open(data.path());
    running.create_administrator();
    running.logout();
    for _ in 0..5 {
        assert!(matches!(running.login("1", "not the password at all"), Access::LoggedOut { error: Some(_), .. }));
    }
    let Access::LoggedOut { locked_until: Some(until), .. } = running.login("1", PASSWORD) else {
        panic!("the right password must be refused while the number is locked")
    };
    running.clock.advance(Duration::from_micros(u64::try_from(until.0 - running.clock.now().0).unwrap() + 1));
    assert!(matches!(running.login("1", PASSWORD), Access::LoggedIn(_)));
    let log = running.log();
    let refused = log.iter().filter(|e| e.action == Action::Login && matches!(e.outcome, Outcome::Refused(_))).count();
    assert_eq!(refused, 6);
}

#[test]
fn operators_do_not_read_the_log_and_the_attempt_is_an_entry() {
    let data = tempfile::tempdir().unwrap();
    {
        open(data.path()).create_administrator();
    }
    add_operator(data.path());
    let running = open(data.path());
    running.login("2", PASSWORD);
    running.site.send(Command::Log(LogCommand::Read(LogFilter::default())));
    let state = running.until("the refusal", |s| s.notices.iter().any(|n| n.text.contains("administrators")));
    assert!(state.log.page.is_none());
    running.logout();
    running.login("1", PASSWORD);
    let first = running.log();
    assert!(
        first
            .iter()
            .any(|e| e.action == Action::AccessLogs && e.user_cc == "2" && matches!(e.outcome, Outcome::Refused(_)))
    );
    let newest_read = first.last().unwrap().log_id;
    let second = running.log();
    let reading = second.iter().find(|e| e.action == Action::AccessLogs && e.user_cc == "1").unwrap();
    assert_eq!(reading.log_accessed, Some(newest_read));
}

#[test]
fn a_selection_names_suspect_camera_and_instant_and_keeps_its_picture() {
    let data = tempfile::tempdir().unwrap();
    let running = open(data.path());
    // nobody is logged in: nothing happens
    select(&running, "too early", Rect::new(50.0, 40.0, 60.0, 120.0));
    running.create_administrator();
    select(&running, "  ", Rect::new(50.0, 40.0, 60.0, 120.0));
    select(&running, "outside", Rect::new(900.0, 40.0, 60.0, 120.0));
    running.until("the refusals", |s| s.notices.len() >= 2);
    assert!(running.site.state().suspects.is_empty());
    select(&running, "left a bag", Rect::new(50.0, 40.0, 60.0, 120.0));
    select(&running, "left a bag", Rect::new(150.0, 40.0, 60.0, 120.0));
    let state = running.until("two suspects", |s| s.suspects.len() == 2);
    assert_ne!(state.suspects[0].suspect.id, state.suspects[1].suspect.id);
    assert_eq!(state.recent_reasons, ["left a bag"]);

    let log = running.log();
    let entries: Vec<_> = log.iter().filter(|e| e.action == Action::SelectSuspect).collect();
    let outcomes: Vec<_> = entries.iter().map(|e| e.outcome == Outcome::Succeeded).collect();
    assert_eq!(outcomes, [false, false, true, true], "an entry says how it ended");
    let done = entries[2];
    assert_eq!(done.details["camera"], "Gate");
    assert!(Timestamp::parse(done.details["at"].as_str().unwrap_or_default()).is_some());
    let suspect = state.suspects.iter().find(|s| Some(s.suspect.id.to_string()) == done.target).unwrap();

    // the stored crop shows what is under the box: the picture gets brighter to the right, as the frame does
    let key = key_of_url(&suspect.suspect.crop_url).unwrap();
    let stored = image::open(data.path().join("objects").join(key)).unwrap().to_luma8();
    let column =
        |x: u32| (0..stored.height()).map(|y| u32::from(stored.get_pixel(x, y).0[0])).sum::<u32>() / stored.height();
    assert!(column(stored.width() - 2) > column(1) + 15, "{} → {}", column(1), column(stored.width() - 2));
}

#[test]
fn suspects_sightings_and_pictures_are_there_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let id = {
        let running = open(data.path());
        running.create_administrator();
        select(&running, "left a bag", Rect::new(50.0, 40.0, 60.0, 120.0));
        running.until("the suspect", |s| s.suspects.len() == 1 && s.sightings.len() == 1).suspects[0].suspect.id
    };
    let running = open(data.path());
    running.login("1", PASSWORD);
    let state = running.until("the picture", |s| s.suspects.iter().any(|v| v.crop.is_some()));
    assert_eq!(state.suspects[0].suspect.id, id);
    assert_eq!(state.sightings[0].sighting.suspect, id);
    assert!(state.sightings[0].sighting.left_at.is_some(), "a stay that nobody saw the end of is closed");
    assert_eq!(state.cameras.iter().map(|c| c.camera.name.as_str()).collect::<Vec<_>>(), ["Gate", "Hall"]);
}

#[test]
fn how_a_suspect_looks_is_edited_with_an_entry_and_is_there_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let looks = {
        let running = open(data.path());
        running.create_administrator();
        select(&running, "left a bag", Rect::new(50.0, 40.0, 60.0, 120.0));
        let state = running.until("the suspect", |s| s.suspects.len() == 1);
        let (id, measured) = (state.suspects[0].suspect.id, state.suspects[0].suspect.characteristics.clone());
        assert_eq!(measured.height, Some(0.5), "120 of 240 pixels");
        let typed = Characteristics { carried: " a red bag ".into(), height: None, ..measured };
        running.site.send(Command::EditSuspect { suspect: id, characteristics: typed });
        let state = running.until("the edit", |s| !s.suspects[0].suspect.characteristics.carried.is_empty());
        let log = running.log();
        let entry = log.iter().find(|e| e.action == Action::EditSuspect).unwrap();
        assert_eq!((&entry.outcome, entry.target.as_deref()), (&Outcome::Succeeded, Some(id.to_string().as_str())));
        assert_eq!(entry.details["after"]["carried"], "a red bag");
        state.suspects[0].suspect.characteristics.clone()
    };
    assert_eq!((looks.carried.as_str(), looks.height), ("a red bag", Some(0.5)), "what is measured stays");
    let running = open(data.path());
    assert!(running.site.state().suspects.is_empty(), "nobody is logged in");
    running.login("1", PASSWORD);
    assert_eq!(running.site.state().suspects[0].suspect.characteristics, looks);
}

#[test]
fn a_data_folder_in_use_is_refused_with_words() {
    let data = tempfile::tempdir().unwrap();
    let _running = open(data.path());
    let error = Site::open(SiteConfig::default(), data.path(), &prerequisites::models_dir(None), Arc::new(SystemClock));
    let text = error.err().map(|e| e.to_string()).unwrap_or_default();
    assert!(text.contains("another Vigia"), "{text}");
}

/// Rights are given on the command line while no console runs; what one may not see does not exist.
#[test]
fn an_operator_sees_the_granted_cameras_alone_and_is_refused_the_others() {
    let data = tempfile::tempdir().unwrap();
    {
        let running = open(data.path());
        running.create_administrator();
        select(&running, "left a bag", Rect::new(50.0, 40.0, 60.0, 120.0)); // on Gate
        running.until("the suspect", |s| s.suspects.len() == 1);
    }
    add_operator(data.path());
    {
        let office = vigia::site::Office::open(&SiteConfig::default(), data.path(), Arc::new(SystemClock)).unwrap();
        office.set_user_cameras("2", &["Hall".to_owned()]).unwrap();
        assert!(office.set_user_cameras("2", &["Roof".to_owned()]).is_err());
    }
    let running = open(data.path());
    let gate = running.site.cameras().iter().find(|c| c.camera.name == "Gate").unwrap().camera.id;
    running.login("2", PASSWORD);
    let state = running.site.state();
    assert_eq!(state.cameras.iter().map(|c| c.camera.name.as_str()).collect::<Vec<_>>(), ["Hall"]);
    assert!(state.suspects.is_empty() && state.sightings.is_empty());
    running.site.send(Command::SelectSuspect {
        camera: gate,
        track: TrackId(3),
        frame: frame(state.now),
        rect: Rect::new(50.0, 40.0, 60.0, 120.0),
        reason: "curiosity".into(),
        expires_in: Duration::from_secs(3600),
    });
    running.until("the refusal", |s| s.notices.iter().any(|n| n.text.contains("may see")));
    running.logout();
    running.login("1", PASSWORD);
    let state = running.site.state();
    assert_eq!((state.cameras.len(), state.suspects.len()), (2, 1));
    let log = running.log();
    let refused = log.iter().find(|e| e.action == Action::SelectSuspect && e.user_cc == "2").unwrap();
    assert!(matches!(refused.outcome, Outcome::Refused(_)) && refused.target == Some(gate.to_string()));
    assert_eq!(log.iter().filter(|e| e.action == Action::ChangeRights).count(), 2);
}

/// A site whose users, cameras, log and pictures are on servers: everything is there after a restart of the console, in an empty
/// data folder too, the log is whole, and a user whom another console deactivates is out at once.
#[test]
fn a_site_on_servers_keeps_everything_there() {
    let address = |text: String| Some(Address::parse(&text).unwrap());
    let users = servers::postgres().database();
    let stores = Addresses {
        users: address(users.clone()),
        cameras: address(servers::postgres().database()),
        action_logs: address(servers::mongo().database()),
        objects: address(servers::s3().prefix()),
        suspects: address(servers::redis().namespace()),
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let data = tempfile::tempdir().unwrap();
    let id = {
        let running = open_on(data.path(), stores.clone());
        running.create_administrator();
        select(&running, "left a bag", Rect::new(50.0, 40.0, 60.0, 120.0));
        running.until("the suspect", |s| s.suspects.len() == 1 && s.sightings.len() == 1).suspects[0].suspect.id
    };
    let elsewhere = tempfile::tempdir().unwrap();
    let another = runtime.block_on(async {
        let another = UserStore::connect(&Address::parse(&users).unwrap()).await.unwrap();
        another.create(operator(), SystemClock.now()).await.unwrap();
        another
    });
    let running = open_on(elsewhere.path(), stores.clone());
    assert!(matches!(running.login("2", PASSWORD), Access::LoggedIn(_)));
    let state = running.until("the picture", |s| s.suspects.iter().any(|v| v.crop.is_some()));
    assert_eq!((state.suspects[0].suspect.id, state.sightings.len()), (id, 1));
    runtime.block_on(another.set_active("2", false, "1", 1)).unwrap();
    running.until(
        "the end of the session",
        |s| matches!(&s.access, Access::LoggedOut { error: Some(e), .. } if e.contains("deactivated")),
    );
    assert!(matches!(running.login("1", PASSWORD), Access::LoggedIn(_)));
    let log = running.log();
    let out = log.iter().find(|e| e.action == Action::Logout && e.user_cc == "2").unwrap();
    assert_eq!(out.details["why"], "deactivated");
    assert!(log.iter().any(|e| e.action == Action::SelectSuspect && e.target == Some(id.to_string())));
    let consoles: std::collections::BTreeSet<_> = log.iter().map(|e| e.link.unwrap().console).collect();
    assert_eq!(consoles.len(), 2, "each data folder is a console with a chain of its own");
    drop(running);
    let config = SiteConfig { stores, ..SiteConfig::default() };
    let office = vigia::site::Office::open(&config, data.path(), Arc::new(SystemClock)).unwrap();
    let (entries, findings) = office.verify_log().unwrap();
    assert!(entries >= 6 && findings.is_empty(), "{entries}: {findings:?}");
}

/// Cameras and follows go on; the screen is nobody's.
#[test]
fn a_session_that_nobody_uses_ends_and_the_log_says_why() {
    let data = tempfile::tempdir().unwrap();
    let running = open(data.path());
    running.create_administrator();
    let times = |running: &Running| running.site.state().session.unwrap();
    assert_eq!(times(&running).ends_at, times(&running).used_at.plus(Duration::from_secs(30 * 60)));
    running.clock.advance(Duration::from_secs(29 * 60));
    running.site.send(Command::StillHere);
    assert_eq!(times(&running).used_at, running.clock.now());
    running.clock.advance(Duration::from_secs(29 * 60));
    assert!(matches!(running.site.state().access, Access::LoggedIn(_)));
    running.clock.advance(Duration::from_secs(61));
    running.site.send(Command::StillHere); // too late
    let idle =
        |s: &SiteState| matches!(&s.access, Access::LoggedOut { error: Some(e), .. } if e.contains("nobody used"));
    running.until("the end of the idle session", idle);
    assert!(running.site.state().session.is_none());
    running.login("1", PASSWORD);
    for _ in 0..26 {
        running.clock.advance(Duration::from_secs(29 * 60));
        running.site.send(Command::StillHere);
    }
    let over = |s: &SiteState| matches!(&s.access, Access::LoggedOut { error: Some(e), .. } if e.contains("12 hours"));
    running.until("the end of the shift", over);
    running.login("1", PASSWORD);
    let log = running.log();
    let ends: Vec<_> = log.iter().filter(|e| e.action == Action::Logout).map(|e| e.details["why"].clone()).collect();
    assert_eq!(ends, ["idle", "longest"]);
}
