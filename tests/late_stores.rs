//! A console that starts while its servers are down: it follows what it knew, keeps what it sees, and takes the servers up when
//! they come. Real servers, killed and started again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // helpers of tests fail as tests do
mod servers;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use vigia::{
    cli::prerequisites,
    model::{Action, Outcome, Rect, SystemClock, TrackId},
    site::{
        Access, AdminCommand, AuditConfig, CameraConfig, CameraEdit, CameraStatus, Command, LogCommand, Site,
        SiteConfig, SiteError, SiteState, WhenUnreachable,
    },
    store::{Address, Addresses, LogFilter, StoreError},
    video::{Color, Frame},
};

const PASSWORD: &str = "correct horse battery staple";

fn open(data: &Path, stores: &Addresses) -> Result<Site, SiteError> {
    open_with(data, stores, WhenUnreachable::Queue)
}

fn open_with(data: &Path, stores: &Addresses, when_unreachable: WhenUnreachable) -> Result<Site, SiteError> {
    gstreamer::init().unwrap();
    let gate = CameraConfig::new("Gate", "test:");
    let audit = AuditConfig { when_unreachable, ..AuditConfig::default() };
    let config = SiteConfig { cameras: vec![gate], stores: stores.clone(), audit, ..SiteConfig::default() };
    Site::open(config, data, &prerequisites::models_dir(None), Arc::new(SystemClock))
}

fn until(site: &Site, what: &str, mut done: impl FnMut(&SiteState) -> bool) -> SiteState {
    let start = Instant::now();
    loop {
        let state = site.state();
        if done(&state) {
            return state;
        }
        if start.elapsed() > Duration::from_secs(60) {
            panic!("{what} did not come: {:?} {:?} {:?}", state.access, state.stores, state.notices);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn live(site: &Site, name: &str) -> bool {
    site.cameras().iter().any(|v| v.camera.name == name && v.status == CameraStatus::Live && v.counters.analysed > 0)
}

fn create_administrator(site: &Site) {
    site.send(Command::CreateAdministrator {
        cc: "1".into(),
        name: "Ana Sousa".into(),
        email: "ana@police.example".into(),
        password: PASSWORD.into(),
    });
    until(site, "the administrator", |s| matches!(s.access, Access::LoggedIn(_)));
}

fn log_in(site: &Site) -> Access {
    site.send(Command::Login { cc: "1".into(), password: PASSWORD.into() });
    until(site, "the answer to the login", |s| s.access != Access::Working).access
}

fn failing(state: &SiteState) -> Vec<&str> {
    state.stores.iter().filter(|s| s.error.is_some()).map(|s| s.store.as_str()).collect()
}

fn address(text: &str) -> Option<Address> {
    Some(Address::parse(text).unwrap())
}

#[test]
fn a_console_starts_while_its_servers_are_down_and_takes_them_up_when_they_come() {
    let (postgres, mongo, s3) = (servers::Postgres::start(), servers::Mongo::start(), servers::S3::start());
    let stores = Addresses {
        users: address(&postgres.database()),
        cameras: address(&postgres.database()),
        action_logs: address(&mongo.database()),
        objects: address(&s3.prefix()),
        suspects: None,
    };
    let data = tempfile::tempdir().unwrap();
    let (suspect, gate) = {
        let site = open(data.path(), &stores).unwrap();
        create_administrator(&site);
        let quay = CameraEdit { name: Some("Quay".into()), url: Some("test:".into()), ..CameraEdit::default() };
        site.send(Command::Administer(AdminCommand::AddCamera(quay)));
        let state = until(&site, "both cameras", |_| live(&site, "Gate") && live(&site, "Quay"));
        let gate = state.cameras.iter().find(|v| v.camera.name == "Gate").unwrap().camera.id;
        let bytes: Vec<u8> = (0..320 * 360).map(|i| (i % 200) as u8).collect();
        site.send(Command::SelectSuspect {
            camera: gate,
            track: TrackId(3),
            frame: Frame::from_i420(320, 240, &bytes, Color::BT601, 0, state.now).unwrap(),
            rect: Rect::new(50.0, 40.0, 60.0, 120.0),
            reason: "left a bag".into(),
            expires_in: Duration::from_secs(3600),
        });
        let state = until(&site, "the suspect", |s| s.suspects.len() == 1);
        (state.suspects[0].suspect.id, gate)
    };
    postgres.kill();
    mongo.kill();
    s3.kill();

    let site = open(data.path(), &stores).unwrap();
    let state = site.state();
    let Access::LoggedOut { error: Some(words), .. } = &state.access else { panic!("{:?}", state.access) };
    assert!(words.contains("Nobody can log in") && words.contains("follows go on"), "{words}");
    until(&site, "the cameras this console knew", |_| live(&site, "Gate") && live(&site, "Quay"));
    assert_eq!(site.cameras().iter().find(|v| v.camera.name == "Gate").unwrap().camera.id, gate);
    assert_eq!(site.summary().suspects, 1, "followed, though nobody is shown it");
    let state = until(&site, "the trouble of every store", |s| failing(s).len() >= 4);
    for store in ["users", "cameras", "action log", "objects"] {
        assert!(failing(&state).contains(&store), "{store} is not said to be missing: {:?}", state.stores);
    }
    assert!(matches!(log_in(&site), Access::LoggedOut { error: Some(e), .. } if e.contains("Nobody can log in")));
    let backlog = |s: &SiteState| s.stores.iter().find(|h| h.store == "journal").unwrap().backlog;
    assert!(backlog(&site.state()) >= 2, "the attempt and the start wait in the journal");
    let shown = format!("{:?} {:?}", site.state().stores, site.state().access);
    let secrets = [&stores.users, &stores.action_logs, &stores.objects].map(|a| a.clone().unwrap());
    for secret in secrets.iter().filter_map(|a| a.secret().split(['@', ':']).nth(2).map(str::to_owned)) {
        assert!(!shown.contains(&secret), "a password is shown");
    }

    postgres.restart();
    mongo.restart();
    s3.restart();
    let out = |s: &SiteState| s.access == Access::LoggedOut { error: None, locked_until: None };
    until(&site, "the end of the trouble", |s| out(s) && failing(s).is_empty() && backlog(s) == 0);
    assert!(matches!(log_in(&site), Access::LoggedIn(user) if user.cc == "1"));
    let state = until(&site, "the suspect's own record", |s| s.suspects.iter().any(|v| v.crop.is_some()));
    assert_eq!(state.suspects.iter().map(|v| v.suspect.id).collect::<Vec<_>>(), [suspect]);
    assert_eq!((state.sightings.len(), state.cameras.len()), (1, 2));
    site.send(Command::Log(LogCommand::Read(LogFilter::default())));
    let page = until(&site, "the log", |s| s.log.page.is_some()).log.page.unwrap();
    let log: Vec<_> = page.entries.iter().filter_map(|kept| kept.entry.as_ref().ok()).collect();
    let failed = log.iter().filter(|e| e.action == Action::Login && matches!(e.outcome, Outcome::Failed(_))).count();
    assert_eq!(failed, 1, "the login that could not be decided is an entry");
    assert!(log.iter().filter(|e| e.action == Action::StartDetection).count() >= 2);
    drop(site);
    let config = SiteConfig { stores, ..SiteConfig::default() };
    let office = vigia::site::Office::open(&config, data.path(), Arc::new(SystemClock)).unwrap();
    let (_, findings) = office.verify_log().unwrap();
    assert!(findings.is_empty(), "{findings:?}");
}

#[test]
fn a_first_start_without_its_databases_waits_for_the_first_user_and_a_wrong_password_is_told_at_once() {
    let postgres = servers::Postgres::start();
    let (users, cameras) = (postgres.database(), postgres.database());
    let stores = Addresses { users: address(&users), cameras: address(&cameras), ..Addresses::default() };
    postgres.kill();
    let data = tempfile::tempdir().unwrap();
    let site = open(data.path(), &stores).unwrap();
    until(&site, "the configured camera", |_| live(&site, "Gate"));
    assert!(matches!(site.state().access, Access::LoggedOut { error: Some(_), .. }));
    postgres.restart();
    until(&site, "the question for the first user", |s| s.access == Access::FirstStart && failing(s).is_empty());
    create_administrator(&site);
    assert_eq!(site.cameras().len(), 1);
    drop(site);

    let secret = users.split(['@', ':']).nth(2).unwrap().to_owned();
    let stores = Addresses { users: address(&users.replace(&secret, "0ther")), ..stores };
    let error = open(data.path(), &stores).err().expect("a wrong password is no reason to wait");
    assert!(matches!(&error, SiteError::Store(StoreError::Denied { .. })), "{error:?}");
    assert!(!error.to_string().contains("0ther"), "{error}");
}

/// Marks whoever stands in the middle of a picture of the first camera.
fn mark(site: &Site) {
    let state = site.state();
    let bytes: Vec<u8> = (0..320 * 360).map(|i| (i % 200) as u8).collect();
    site.send(Command::SelectSuspect {
        camera: state.cameras[0].camera.id,
        track: TrackId(3),
        frame: Frame::from_i420(320, 240, &bytes, Color::BT601, 0, state.now).unwrap(),
        rect: Rect::new(50.0, 40.0, 60.0, 120.0),
        reason: "left a bag".into(),
        expires_in: Duration::from_secs(3600),
    });
}

fn is_told(state: &SiteState, words: &str) -> bool {
    state.notices.iter().any(|n| n.text.contains(words))
}

/// `when_unreachable = "refuse"`: nothing that belongs in the log is done, the cameras go on, and what was tried is in the log later.
#[test]
fn where_the_site_wants_it_nothing_is_done_while_the_log_on_a_server_is_down() {
    let mongo = servers::Mongo::start();
    let stores = Addresses { action_logs: address(&mongo.database()), ..Addresses::default() };
    let data = tempfile::tempdir().unwrap();
    let site = open_with(data.path(), &stores, WhenUnreachable::Refuse).unwrap();
    create_administrator(&site);
    until(&site, "the camera", |_| live(&site, "Gate"));
    mongo.kill();

    mark(&site);
    let state = until(&site, "the refusal", |s| is_told(s, "nothing is done that cannot be entered in the action log"));
    assert!(state.suspects.is_empty() && live(&site, "Gate"));
    until(&site, "the trouble on the health screen", |s| {
        s.stores
            .iter()
            .any(|h| h.store == "action log" && h.error.as_ref().is_some_and(|e| e.contains("nobody can log in")))
    });
    let quay = CameraEdit { name: Some("Quay".into()), url: Some("test:".into()), ..CameraEdit::default() };
    site.send(Command::Administer(AdminCommand::AddCamera(quay)));
    site.send(Command::Logout);
    until(&site, "the way out", |s| matches!(s.access, Access::LoggedOut { .. }));
    let Access::LoggedOut { error: Some(words), .. } = log_in(&site) else { panic!("somebody is logged in") };
    assert!(words.contains("Nobody can log in now") && words.contains("follows go on"), "{words}");

    mongo.restart();
    until(&site, "the end of the trouble", |s| failing(s).is_empty());
    assert!(matches!(log_in(&site), Access::LoggedIn(_)));
    assert_eq!(site.state().cameras.len(), 1, "the other camera was not registered");
    mark(&site);
    until(&site, "the suspect", |s| s.suspects.len() == 1);
    site.send(Command::Log(LogCommand::Read(LogFilter::default())));
    let page = until(&site, "the log", |s| s.log.page.is_some()).log.page.unwrap();
    let log: Vec<_> = page.entries.iter().filter_map(|kept| kept.entry.as_ref().ok()).collect();
    for (action, who) in [(Action::SelectSuspect, "1"), (Action::ChangeCamera, "1"), (Action::Login, "1")] {
        let tried = |e: &&&vigia::model::ActionRecord| {
            let Outcome::Refused(why) = &e.outcome else { return false };
            e.action == action && e.user_cc == who && why.contains("action log")
        };
        assert_eq!(log.iter().filter(tried).count(), 1, "{action:?}");
    }
}

/// The same at the command line: the attempt fails with its reason, changes nothing, and is in the log when the log is back.
#[test]
fn where_the_site_wants_it_no_command_does_anything_while_the_log_on_a_server_is_down() {
    let mongo = servers::Mongo::start();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let config = format!("[stores]\naction_logs = {:?}\n[audit]\nwhen_unreachable = \"refuse\"\n", mongo.database());
    std::fs::write(data.join("site.toml"), config).unwrap();
    let vigia = |args: &[&str]| {
        let mut vigia = std::process::Command::new(env!("CARGO_BIN_EXE_vigia"));
        let out = vigia.args(args).arg("--data-dir").arg(&data).stdin(std::process::Stdio::null()).output().unwrap();
        (out.status.success(), String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned())
    };
    let (done, told) = vigia(&["camera", "add", "--name", "Gate", "--url", "test:"]);
    assert!(done, "{told}");

    mongo.kill();
    for command in [
        &["camera", "add", "--name", "Quay", "--url", "test:"][..],
        &["camera", "disable", "Gate"],
        &["user", "disable", "12345678"],
        &["check"],
    ] {
        let (done, told) = vigia(command);
        assert!(
            !done && told.contains("nothing is done that cannot be entered in the action log"),
            "{command:?}: {told}"
        );
    }

    mongo.restart();
    let (_, told) = vigia(&["camera", "list"]);
    assert!(told.contains("Gate") && !told.contains("Quay") && !told.contains("disabled"), "{told}");
    let log = folder.path().join("log.jsonl");
    let (done, told) = vigia(&["audit", "export", "--format", "jsonl", "--out", log.to_str().unwrap()]);
    assert!(done, "{told}");
    let log = std::fs::read_to_string(log).unwrap();
    let refused = |action: &str| log.lines().filter(|l| l.contains(action) && l.contains("refused")).count();
    let counts = ["CHANGE_CAMERA", "DEACTIVATE_USER", "CHECK_STORES"].map(refused);
    assert_eq!(counts, [2, 1, 1], "{log}");
}

#[test]
fn where_the_site_wants_it_nothing_is_done_while_the_embedded_log_is_broken() {
    let data = tempfile::tempdir().unwrap();
    let site = open_with(data.path(), &Addresses::default(), WhenUnreachable::Refuse).unwrap();
    create_administrator(&site);
    until(&site, "the camera", |_| live(&site, "Gate"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let database = async |name: &str| {
        let file = data.path().join("databases").join(name);
        <sqlx::SqliteConnection as sqlx::Connection>::connect(&format!("sqlite:{}", file.display())).await.unwrap()
    };
    runtime.block_on(async {
        sqlx::query("DROP TABLE action_logs").execute(&mut database("action_logs.sqlite").await).await.unwrap();
    });
    mark(&site);
    let state = until(&site, "the refusal", |s| is_told(s, "nothing is done that cannot be entered in the action log"));
    assert!(state.suspects.is_empty() && live(&site, "Gate"));
    site.send(Command::Logout);
    until(&site, "the way out", |s| matches!(s.access, Access::LoggedOut { .. }));
    assert!(matches!(log_in(&site), Access::LoggedOut { error: Some(e), .. } if e.contains("Nobody can log in now")));
    // What was tried is kept.
    let kept: Vec<String> = runtime.block_on(async {
        let bodies = sqlx::query_scalar("SELECT body FROM journal WHERE kind = 'action' ORDER BY id");
        bodies.fetch_all(&mut database("journal.sqlite").await).await.unwrap()
    });
    for action in ["SELECT_SUSPECT", "LOGIN"] {
        assert!(kept.iter().any(|e| e.contains(action) && e.contains("refused")), "{action}: {kept:?}");
    }
}

#[test]
fn the_doctor_says_what_each_server_is_like() {
    let (postgres, mongo, s3) = (servers::Postgres::start(), servers::Mongo::start(), servers::S3::start());
    let good = [postgres.database(), mongo.database(), s3.prefix()];
    let secrets: Vec<String> = good.iter().map(|a| a.split(['@', ':']).nth(2).unwrap().to_owned()).collect();
    let folder = tempfile::tempdir().unwrap();
    let doctor = |users: &str, log: &str, objects: &str| {
        let file = folder.path().join("site.toml");
        let text = format!("[stores]\nusers = {users:?}\naction_logs = {log:?}\nobjects = {objects:?}\n");
        std::fs::write(&file, text).unwrap();
        let out = std::process::Command::new(env!("CARGO_BIN_EXE_vigia"))
            .args(["doctor", "--json", "--config"])
            .arg(&file)
            .output()
            .unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        assert!(secrets.iter().all(|secret| !text.contains(secret)) && !text.contains("0ther"), "{text}");
        let all: serde_json::Value = serde_json::from_str(&text).unwrap();
        ["users", "action log", "objects"].map(|store| {
            let name = format!("store: {store}");
            let mut items = all["prerequisites"].as_array().unwrap().iter();
            let item = items.find(|i| i["name"] == name.as_str()).unwrap();
            let found = item["found"].as_bool().unwrap();
            (found, item[if found { "version" } else { "todo" }].as_str().unwrap().to_owned())
        })
    };
    let [users, log, objects] = doctor(&good[0], &good[1], &good[2]);
    assert!(users.0 && users.1.contains("PostgreSQL") && users.1.contains("may create its tables"), "{users:?}");
    assert!(users.1.contains("not encrypted, on this machine"), "{users:?}");
    assert!(log.0 && log.1.contains("safer"), "{log:?}");
    assert!(objects.0 && objects.1.contains("answers"), "{objects:?}");

    let limited = mongo.restricted(&good[1], "action_logs");
    let wrong = good[0].replace(&secrets[0], "0ther");
    s3.kill();
    let [users, log, objects] = doctor(&wrong, &limited, &good[2]);
    assert!(!users.0 && users.1.contains("refuses this console"), "{users:?}");
    assert!(log.0 && log.1.contains("neither change nor delete"), "{log:?}");
    assert!(!objects.0 && objects.1.contains("cannot be used now"), "{objects:?}");
}
