//! What investigators keep beside the recordings, on running sites: bookmarks, seen by those whom they are for and by nobody else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // helpers of tests fail as tests do
mod servers;

use std::{
    collections::BTreeSet,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::runtime::Runtime;
use uuid::Uuid;
use vigia::{
    cli::prerequisites,
    model::{Action, ActionRecord, Bookmark, CameraId, Outcome, SystemClock, Timestamp},
    site::{Access, BookmarkCommand, CameraConfig, Command, LogCommand, Site, SiteConfig, SiteState},
    store::{Address, Addresses, LogFilter, NewUser, UserStore},
};

const PASSWORD: &str = "correct horse battery staple";

struct Console(Site);

fn open(data: &Path, stores: &Addresses) -> Console {
    gstreamer::init().unwrap();
    let camera = |name: &str| CameraConfig {
        name: name.to_owned(),
        url: "test:".to_owned(),
        location: None,
        heading: None,
        angle: None,
        range: None,
        is_virtual: false,
        record: None,
        active: false,
    };
    let stores = stores.clone();
    let config = SiteConfig { cameras: vec![camera("Gate"), camera("Hall")], stores, ..SiteConfig::default() };
    Console(Site::open(config, data, &prerequisites::models_dir(None), Arc::new(SystemClock)).unwrap())
}

fn user(cc: &str, name: &str) -> NewUser {
    NewUser {
        cc: cc.into(),
        email: format!("{cc}@police.example"),
        name: name.into(),
        password: PASSWORD.into(),
        is_admin: cc == "1",
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

    fn log_in(&self, cc: &str) {
        self.0.send(Command::Logout);
        self.until("the logout", |s| matches!(s.access, Access::LoggedOut { .. }));
        self.0.send(Command::Login { cc: cc.into(), password: PASSWORD.into() });
        self.until("the login", |s| matches!(&s.access, Access::LoggedIn(user) if user.cc == cc));
    }

    fn camera(&self, name: &str) -> CameraId {
        self.0.state().cameras.iter().find(|v| v.camera.name == name).unwrap().camera.id
    }

    fn bookmark(&self, command: BookmarkCommand) {
        self.0.send(Command::Bookmark(command));
    }

    /// Puts a bookmark of a second.
    fn put(&self, camera: Option<CameraId>, words: &str) {
        let from = self.0.state().now.minus(Duration::from_secs(600));
        let until = from.plus(Duration::from_secs(1));
        self.bookmark(BookmarkCommand::Put { camera, from, until, words: words.to_owned() });
    }

    /// Waits until exactly these bookmarks are on the screen.
    fn until_bookmarks(&self, expected: &[&str]) -> Vec<Bookmark> {
        let expected: BTreeSet<_> = expected.iter().copied().collect();
        let words = |s: &SiteState| s.casework.bookmarks.iter().map(|b| b.words.clone()).collect::<BTreeSet<_>>();
        let there = |s: &SiteState| words(s).iter().map(String::as_str).collect::<BTreeSet<_>>() == expected;
        self.until(&format!("{expected:?}"), there).casework.bookmarks.clone()
    }

    /// Waits for an error that says so.
    fn until_error(&self, words: &str) {
        self.until(words, |s| s.notices.iter().any(|n| n.text.contains(words)));
    }

    /// Entries of these actions, oldest first, of an administrator's console.
    fn entries(&self, actions: &[Action]) -> Vec<ActionRecord> {
        self.until("the delivery", |s| s.stores.iter().all(|h| h.backlog == 0));
        let before = self.0.state().log.page;
        self.0.send(Command::Log(LogCommand::Read(LogFilter::default())));
        let state = self.until("the log", |s| match (&before, &s.log.page) {
            (None, Some(_)) => true,
            (Some(a), Some(b)) => !Arc::ptr_eq(a, b),
            _ => false,
        });
        let page = state.log.page.unwrap();
        let entries = page.entries.iter().filter_map(|kept| kept.entry.clone().ok());
        let mut entries: Vec<_> = entries.filter(|e| actions.contains(&e.action)).collect();
        entries.reverse();
        entries
    }
}

/// Two consoles on the same servers: Ana, an administrator, and Rui, who may see the gate only.
struct Fixture {
    _folders: [tempfile::TempDir; 2],
    ana: Console,
    rui: Console,
}

impl Fixture {
    fn new() -> Self {
        let address = |text: &str| Some(Address::parse(text).unwrap());
        let users = servers::postgres().database();
        let stores = Addresses {
            users: address(&users),
            cameras: address(&servers::postgres().database()),
            ..Addresses::default()
        };
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let runtime = Runtime::new().unwrap();
        let users = runtime.block_on(UserStore::connect(&address(&users).unwrap())).unwrap();
        runtime.block_on(users.create_first_administrator(user("1", "Ana Sousa"), Timestamp(0))).unwrap();
        let rui = runtime.block_on(users.create(user("2", "Rui Costa"), Timestamp(0))).unwrap();
        let ana = open(folders[0].path(), &stores);
        ana.0.send(Command::Login { cc: "1".into(), password: PASSWORD.into() });
        ana.until("the login", |s| matches!(s.access, Access::LoggedIn(_)));
        ana.until("the delivery", |s| s.stores.iter().all(|h| h.backlog == 0));
        let gate = BTreeSet::from([ana.camera("Gate")]);
        runtime.block_on(users.set_grants("2", &gate, rui.version)).unwrap();
        let console = open(folders[1].path(), &stores);
        console.0.send(Command::Login { cc: "2".into(), password: PASSWORD.into() });
        console.until("the login", |s| matches!(s.access, Access::LoggedIn(_)));
        Self { _folders: folders, ana, rui: console }
    }
}

#[test]
fn bookmarks_are_on_every_console_for_whom_they_are_and_do_not_exist_for_others() {
    let Fixture { ana, rui, _folders } = &Fixture::new();
    let (gate, hall) = (ana.camera("Gate"), ana.camera("Hall"));
    ana.put(Some(gate), "hands over a bag");
    ana.put(Some(hall), "waits at the stairs");
    ana.put(None, "alarm of the bank");
    let all = ana.until_bookmarks(&["hands over a bag", "waits at the stairs", "alarm of the bank"]);
    let known = rui.until_bookmarks(&["hands over a bag", "alarm of the bank"]);
    assert!(known.iter().all(|b| b.made_by == "1" && b.made_by_name == "Ana Sousa"));
    assert!(known.iter().all(|b| b.until.seconds_since(b.from) == 1.0));

    // What one may not see does not exist, by command neither.
    let of = |words: &str| all.iter().find(|b| b.words == words).unwrap().id;
    rui.bookmark(BookmarkCommand::Remove(of("waits at the stairs")));
    rui.until_error("not among those this user may see");
    rui.put(Some(hall), "hidden");
    rui.put(Some(gate), "  ");
    rui.until_error("a bookmark needs words");
    rui.bookmark(BookmarkCommand::Remove(of("hands over a bag")));
    rui.until_error("only who put it, or an administrator");
    ana.put(Some(Uuid::now_v7()), "nowhere");
    ana.until_error("there is no such camera");

    rui.put(Some(gate), "runs away");
    ana.until_bookmarks(&["hands over a bag", "waits at the stairs", "alarm of the bank", "runs away"]);
    ana.bookmark(BookmarkCommand::Remove(
        rui.until_bookmarks(&["hands over a bag", "alarm of the bank", "runs away"])
            .iter()
            .find(|b| b.words == "runs away")
            .unwrap()
            .id,
    ));
    ana.bookmark(BookmarkCommand::Remove(of("alarm of the bank")));
    rui.until_bookmarks(&["hands over a bag"]);
    ana.until_bookmarks(&["hands over a bag", "waits at the stairs"]);

    let entries = ana.entries(&[Action::ChangeBookmark]); // of this console: each has a log of its own here
    let told: Vec<_> = entries.iter().map(|e| (e.details["change"].as_str(), e.outcome.kind().as_str())).collect();
    let put = |outcome| (Some("put"), outcome);
    let removed = (Some("removed"), "succeeded");
    assert_eq!(
        told,
        [put("succeeded"), put("succeeded"), put("succeeded"), put("refused"), removed, removed],
        "{entries:?}"
    );
    assert_eq!(
        (entries[1].camera(), entries[1].target.as_deref()),
        (Some(hall.to_string().as_str()), Some(of("waits at the stairs").to_string().as_str()))
    );
    rui.log_in("1");
    let refused: Vec<_> = rui
        .entries(&[Action::ChangeBookmark])
        .into_iter()
        .filter(|e| e.user_cc == "2" && matches!(e.outcome, Outcome::Refused(_)))
        .collect();
    assert_eq!(refused.len(), 4, "{refused:?}");
    assert_eq!(refused[0].target.as_deref(), Some(of("waits at the stairs").to_string().as_str()));
    assert!(refused[0].details.is_null(), "not even its words");
}

#[test]
fn bookmarks_are_there_after_a_restart_of_a_single_console() {
    let folder = tempfile::tempdir().unwrap();
    let console = open(folder.path(), &Addresses::default());
    console.0.send(Command::CreateAdministrator {
        cc: "1".into(),
        name: "Ana Sousa".into(),
        email: "ana@police.example".into(),
        password: PASSWORD.into(),
    });
    console.until("the login", |s| matches!(s.access, Access::LoggedIn(_)));
    let gate = console.camera("Gate");
    console.put(Some(gate), "hands over a bag");
    console.put(Some(gate), "nothing after all");
    let both = console.until_bookmarks(&["hands over a bag", "nothing after all"]);
    let wrong = both.iter().find(|b| b.words == "nothing after all").unwrap();
    console.bookmark(BookmarkCommand::Remove(wrong.id));
    console.until_bookmarks(&["hands over a bag"]);
    drop(console);
    let console = open(folder.path(), &Addresses::default());
    assert!(console.0.state().casework.bookmarks.is_empty(), "nobody is logged in");
    console.0.send(Command::Login { cc: "1".into(), password: PASSWORD.into() });
    let kept = console.until_bookmarks(&["hands over a bag"]);
    assert_eq!(kept[0].camera, Some(gate));
}
