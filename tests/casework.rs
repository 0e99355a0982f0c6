//! What investigators keep beside the recordings, on running sites: bookmarks and cases, seen by those whom they are for and by nobody else.
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
    model::{Action, ActionRecord, Bookmark, CameraId, CaseChange, Outcome, Rect, SystemClock, Timestamp, TrackId},
    site::{
        Access, BookmarkCommand, CameraConfig, CaseCommand, CaseView, Command, ExportCommand, ExportOf, ExportRequest,
        LogCommand, Site, SiteConfig, SiteState,
    },
    store::{Address, Addresses, LogFilter, NewUser, UserStore},
    video::{Color, Frame},
};

const PASSWORD: &str = "correct horse battery staple";

struct Console(Site);

fn open(data: &Path, stores: &Addresses) -> Console {
    gstreamer::init().unwrap();
    let camera = |name: &str| CameraConfig { active: false, ..CameraConfig::new(name, "test:") };
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
        self.0.cameras().iter().find(|v| v.camera.name == name).unwrap().camera.id
    }

    fn bookmark(&self, command: BookmarkCommand) {
        self.0.send(Command::Bookmark(command));
    }

    /// Puts a bookmark of a second.
    fn put(&self, camera: Option<CameraId>, words: &str) {
        self.put_in(camera, words, None);
    }

    /// Puts it into a case.
    fn put_in(&self, camera: Option<CameraId>, words: &str, case: Option<Uuid>) {
        let from = self.0.state().now.minus(Duration::from_secs(600));
        let until = from.plus(Duration::from_secs(1));
        self.bookmark(BookmarkCommand::Put { camera, from, until, words: words.to_owned(), case });
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

/// Two consoles on the same servers: Ana, an administrator, and Rui and Marta, who may see the gate only.
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
        let marta = runtime.block_on(users.create(user("3", "Marta Reis"), Timestamp(0))).unwrap();
        let ana = open(folders[0].path(), &stores);
        ana.0.send(Command::Login { cc: "1".into(), password: PASSWORD.into() });
        ana.until("the login", |s| matches!(s.access, Access::LoggedIn(_)));
        ana.until("the delivery", |s| s.stores.iter().all(|h| h.backlog == 0));
        let gate = BTreeSet::from([ana.camera("Gate")]);
        runtime.block_on(users.set_grants("2", &gate, rui.version)).unwrap();
        runtime.block_on(users.set_grants("3", &gate, marta.version)).unwrap();
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

/// A console with stores of its own, and its first administrator.
fn first_console(data: &Path) -> Console {
    let console = open(data, &Addresses::default());
    console.0.send(Command::CreateAdministrator {
        cc: "1".into(),
        name: "Ana Sousa".into(),
        email: "ana@police.example".into(),
        password: PASSWORD.into(),
    });
    console.until("the login", |s| matches!(s.access, Access::LoggedIn(_)));
    console
}

#[test]
fn bookmarks_are_there_after_a_restart_of_a_single_console() {
    let folder = tempfile::tempdir().unwrap();
    let console = first_console(folder.path());
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

impl Console {
    fn case(&self, command: CaseCommand) {
        self.0.send(Command::Case(command));
    }

    fn change(&self, case: Uuid, change: CaseChange) {
        self.case(CaseCommand::Change(case, change));
    }

    fn note(&self, case: Uuid, text: &str) {
        self.change(case, CaseChange::Note { text: text.to_owned() });
    }

    fn hold(&self, case: Uuid, camera: Option<CameraId>) {
        let until = self.0.state().now;
        let from = until.minus(Duration::from_secs(600));
        self.case(CaseCommand::Hold { case, camera, from, until, reason: "for the court".to_owned() });
    }

    /// Waits until the case is on the screen and is so.
    fn until_case(&self, what: &str, is: impl Fn(&CaseView) -> bool) -> CaseView {
        let find = |s: &SiteState| s.casework.cases.iter().find(|v| is(v)).cloned();
        find(&self.until(what, |s| find(s).is_some())).unwrap()
    }

    /// Marks somebody on this camera.
    fn mark(&self, camera: CameraId, reason: &str) -> Uuid {
        let (w, h) = (320u32, 240u32);
        let luma = (0..w * h).map(|i| 40 + ((i % w) / 2 + (i / w) / 3) as u8 % 180);
        let bytes: Vec<u8> = luma.chain((0..w * h / 2).map(|i| 100 + (i % 60) as u8)).collect();
        self.0.send(Command::SelectSuspect {
            camera,
            track: TrackId(3),
            frame: Frame::from_i420(w, h, &bytes, Color::BT601, 0, self.0.state().now).unwrap(),
            rect: Rect::new(50.0, 40.0, 60.0, 120.0),
            reason: reason.into(),
            expires_in: Duration::from_secs(3600),
        });
        let new = |s: &SiteState| s.suspects.iter().find(|v| v.suspect.reason == reason).map(|v| v.suspect.id);
        new(&self.until("the suspect", |s| new(s).is_some())).unwrap()
    }
}

#[test]
fn a_case_is_for_the_people_on_it_and_two_consoles_lose_nothing() {
    let Fixture { ana, rui, _folders } = &Fixture::new();
    let (gate, hall) = (ana.camera("Gate"), ana.camera("Hall"));
    rui.case(CaseCommand::Open { number: " 118/26 ".to_owned(), name: "Kiosk".to_owned() });
    let id = rui.until_case("the case", |v| v.case.number == "118/26").case.id;
    ana.until_case("the case of another console", |v| v.case.id == id && v.case.people.contains_key("2"));
    rui.case(CaseCommand::Open { number: "119/26".to_owned(), name: " ".to_owned() });
    rui.until_error("a case needs a name");

    // A suspect of a camera that Rui may not see: he cannot add it, and sees it in the case when it was added.
    let suspect = ana.mark(hall, "left a bag");
    rui.change(id, CaseChange::AddSuspect { suspect });
    rui.until_error("there is no such suspect for this user");
    ana.change(id, CaseChange::AddSuspect { suspect });
    let view = rui.until_case("the suspect in the case", |v| v.suspects.iter().any(|s| s.label == "Suspect 1"));
    assert_eq!((view.suspects[0].reason.as_str(), view.suspects[0].id), ("left a bag", suspect));
    assert!(rui.0.state().suspects.is_empty(), "but not beside it");

    // Bookmarks of the case: on a hidden camera without the camera; for whoever is not on the case not at all.
    ana.put_in(Some(hall), "waits at the stairs", Some(id));
    ana.put_in(Some(gate), "hands over a bag", Some(id));
    let view = rui.until_case("the bookmarks of the case", |v| v.bookmarks.len() == 2);
    let camera = |words: &str| view.bookmarks.iter().find(|b| b.words == words).unwrap().camera;
    assert_eq!((camera("waits at the stairs"), camera("hands over a bag")), (Some(Uuid::nil()), Some(gate)));
    rui.until_bookmarks(&["hands over a bag"]);

    // Both write at once: both notes are there, on both consoles.
    ana.note(id, "of Ana");
    rui.note(id, "of Rui");
    let notes = |v: &CaseView| v.case.notes.iter().map(|n| n.what.clone()).collect::<BTreeSet<_>>();
    let both = BTreeSet::from(["of Ana".to_owned(), "of Rui".to_owned()]);
    for console in [ana, rui] {
        console.until_case("both notes", |v| notes(v) == both);
    }

    // For Marta it does not exist, whatever she sends, until it is handed to her; her cameras stay what they were.
    rui.log_in("3");
    rui.until_bookmarks(&[]);
    assert!(rui.0.state().casework.cases.is_empty());
    rui.note(id, "hidden");
    rui.until_error("there is no such case for this user");
    rui.case(CaseCommand::Close { case: id, why: "hidden".to_owned(), lift_holds: true });
    rui.hold(id, Some(gate));
    rui.put_in(Some(gate), "hidden", Some(id));
    rui.until_error("No bookmark was put: there is no such case");
    rui.log_in("2");
    let add = |cc: &str| CaseChange::AddPerson { cc: cc.to_owned(), name: String::new() };
    rui.change(id, add("99"));
    rui.until_error("no active user has this number");
    rui.change(id, add("3"));
    rui.until_case("the colleague", |v| v.case.people.get("3").is_some_and(|name| name == "Marta Reis"));
    rui.log_in("3");
    let view = rui.until_case("the case that was handed over", |v| v.case.id == id);
    assert_eq!((notes(&view), view.suspects.len(), view.bookmarks.len()), (both, 1, 2));
    assert_eq!(rui.0.state().cameras.len(), 1);
    rui.change(id, CaseChange::RemovePerson { cc: "2".to_owned() });
    rui.until_error("who opened the case, or an administrator");

    // Holds: on cameras that one sees; lifted by who sees them.
    rui.hold(id, Some(gate));
    rui.hold(id, Some(hall));
    rui.until_error("not among those this user may see");
    rui.hold(id, None);
    rui.until_error("only who may see every camera holds all");
    ana.hold(id, Some(hall));
    let view = rui.until_case("both holds", |v| v.holds.len() == 2);
    let of_hall = view.holds.iter().find(|h| h.camera == Some(Uuid::nil())).unwrap().id;
    let lift = |hold| CaseCommand::Lift { hold, reason: "done".to_owned() };
    rui.case(lift(of_hall));
    rui.until_error("there is no such hold for this user");
    rui.case(CaseCommand::Close { case: id, why: "solved".to_owned(), lift_holds: true });
    rui.until_error("an administrator lets that go");
    assert!(view.holds.iter().all(|h| h.released.is_none()));
    let of_gate = view.holds.iter().find(|h| h.camera == Some(gate)).unwrap().id;
    rui.case(lift(of_gate));
    ana.until_case("the lifted hold", |v| v.holds.iter().any(|h| h.id == of_gate && h.released.is_some()));
    ana.case(CaseCommand::Close { case: id, why: "solved".to_owned(), lift_holds: true });
    let view = rui.until_case("the end", |v| v.case.closed.is_some() && v.holds.iter().all(|h| h.released.is_some()));
    assert_eq!(view.case.closed.as_ref().map(|c| (c.by.as_str(), c.what.as_str())), Some(("Ana Sousa", "solved")));
    ana.change(id, CaseChange::RemoveSuspect { suspect });
    ana.until_error("the case is closed");
    rui.change(id, CaseChange::Reopen { why: "a witness".to_owned() });
    ana.until_case("the case open again", |v| v.case.id == id && v.case.closed.is_none());
    rui.change(id, CaseChange::RemovePerson { cc: "3".to_owned() });
    rui.until("the case gone", |s| s.casework.cases.is_empty());

    // Every change and every refusal is an entry; a refusal says nothing of a case that is for others.
    let entries = ana.entries(&[Action::ChangeCase, Action::HoldEvidence]);
    let told: Vec<_> =
        entries.iter().map(|e| (e.details["change"].as_str().unwrap(), e.outcome.kind().as_str())).collect();
    let expected = [
        ("suspect added", "succeeded"),
        ("note", "succeeded"),
        ("held", "succeeded"),
        ("lifted", "succeeded"),
        ("closed", "succeeded"),
        ("suspect removed", "refused"),
    ];
    assert_eq!(told, expected, "{entries:?}");
    assert_eq!(entries[0].suspect(), Some(suspect.to_string().as_str()));
    rui.log_in("1");
    let refused = rui.entries(&[Action::ChangeCase, Action::HoldEvidence, Action::ChangeBookmark]);
    let of_marta: Vec<_> =
        refused.iter().filter(|e| e.user_cc == "3" && e.outcome.kind().as_str() == "refused").collect();
    assert!(of_marta.len() >= 8, "{of_marta:?}");
    assert!(of_marta.iter().take(4).all(|e| !e.details.to_string().contains("Kiosk")), "{of_marta:?}");
}

fn sha256(bytes: &[u8]) -> String {
    sha2::Digest::finalize(sha2::Digest::chain_update(<sha2::Sha256 as sha2::Digest>::new(), bytes))
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}

#[test]
fn a_package_that_is_exported_is_on_the_list_of_its_case() {
    let folder = tempfile::tempdir().unwrap();
    let console = first_console(folder.path());
    let gate = console.camera("Gate");
    let suspect = console.mark(gate, "left a bag");
    console.case(CaseCommand::Open { number: "118/26".to_owned(), name: "Kiosk".to_owned() });
    let id = console.until_case("the case", |_| true).case.id;
    console.change(id, CaseChange::AddSuspect { suspect });
    let view = console.until_case("the suspect with its picture", |v| v.suspects.iter().any(|s| s.crop.is_some()));
    assert_eq!(view.suspects[0].id, suspect);
    console.0.send(Command::Export(ExportCommand::Plan { of: ExportOf::Suspect(suspect), pending: false }));
    console.until("the plan", |s| s.export.as_ref().is_some_and(|e| e.plan.is_ok()));
    let to = folder.path().join("kiosk.zip");
    let request = ExportRequest {
        to: to.clone(),
        reason: "trial".to_owned(),
        recipient: "court".to_owned(),
        ..ExportRequest::new(ExportOf::Suspect(suspect))
    };
    console.0.send(Command::Export(ExportCommand::Start(request)));
    let view = console.until_case("the package in the case", |v| !v.case.clips.is_empty());
    let clip = &view.case.clips[0];
    assert_eq!((clip.by.as_str(), clip.what.package.as_str()), ("Ana Sousa", "kiosk.zip"));
    assert_eq!((clip.what.recipient.as_str(), clip.what.reason.as_str()), ("court", "trial"));
    let bytes = std::fs::read(&to).unwrap();
    assert_eq!((clip.what.bytes, clip.what.suspect), (bytes.len() as u64, Some(suspect)));
    assert_eq!(clip.what.sha256.to_string(), sha256(&bytes));

    // For a case that is not this user's nothing is handed out.
    let request = ExportRequest {
        to: folder.path().join("other.zip"),
        reason: "trial".to_owned(),
        recipient: "court".to_owned(),
        case: Some(Uuid::from_u128(9)),
        ..ExportRequest::new(ExportOf::Suspect(suspect))
    };
    console.0.send(Command::Export(ExportCommand::Start(request)));
    console.until("the refusal", |s| s.notices.iter().any(|n| n.text.contains("there is no such open case")));
    assert!(!folder.path().join("other.zip").exists());

    // All of it is there after a restart, and a bookmark with it.
    console.put_in(None, "alarm", Some(id));
    console.until_bookmarks(&["alarm"]);
    let before = console.until_case("the bookmark in the case", |v| v.bookmarks.len() == 1).case;
    drop(console);
    let console = open(folder.path(), &Addresses::default());
    console.0.send(Command::Login { cc: "1".into(), password: PASSWORD.into() });
    let after = console.until_case("the case after a restart", |v| v.bookmarks.len() == 1);
    assert_eq!(after.case, before);
}
