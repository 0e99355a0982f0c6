//! Users and cameras managed on a running site: real stores, real commands, every attempt in the log with its true outcome.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // helpers of tests fail as tests do
use std::{
    collections::BTreeSet,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use vigia::{
    cli::prerequisites,
    model::{Action, Outcome, SystemClock},
    site::{
        Access, AdminCommand, CameraEdit, CameraStatus, Command, Site, SiteConfig, SiteState, TestOutcome, UserView,
    },
    store::{ActionLog, CameraStore, LogFilter, NewUser, UserStore},
};

const PASSWORD: &str = "correct horse battery staple";
const OTHER: &str = "o farol acende sozinho";

struct Running(Site);

impl Running {
    fn open(data: &Path) -> Self {
        gstreamer::init().unwrap();
        let models = prerequisites::models_dir(None);
        Self(Site::open(SiteConfig::default(), data, &models, Arc::new(SystemClock)).unwrap())
    }

    fn until(&self, what: &str, mut done: impl FnMut(&SiteState) -> bool) -> SiteState {
        let start = Instant::now();
        loop {
            let state = self.0.state();
            if done(&state) {
                return state;
            }
            assert!(
                start.elapsed() < Duration::from_secs(30),
                "{what} did not come; {:?}",
                (state.access, state.admin)
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn login(&self, cc: &str, password: &str) -> Access {
        self.0.send(Command::Login { cc: cc.into(), password: password.into() });
        self.until("the answer to the login", |s| s.access != Access::Working).access
    }

    fn logout(&self) {
        self.0.send(Command::Logout);
        self.until("the logout", |s| matches!(s.access, Access::LoggedOut { .. }));
    }

    fn ask(&self, command: AdminCommand) -> Result<String, String> {
        let before = self.0.state().admin.answers;
        self.0.send(Command::Administer(command));
        let state = self.until("the answer", |s| s.admin.answers > before);
        state.admin.answer.clone().unwrap()
    }

    fn user(&self, cc: &str) -> UserView {
        let state = self.until("users", |s| s.admin.users.is_some());
        state.admin.users.as_ref().unwrap().iter().find(|v| v.user.cc == cc).unwrap().clone()
    }
}

fn new_user(cc: &str, password: &str) -> NewUser {
    let (name, email) = ("Rui Costa".into(), "rui@police.example".into());
    NewUser { cc: cc.into(), name, email, password: password.into(), is_admin: false }
}

fn test_camera(name: &str) -> CameraEdit {
    CameraEdit { name: Some(name.into()), url: Some("test:".into()), ..CameraEdit::default() }
}

#[test]
fn users_and_cameras_are_managed_on_a_running_site_and_every_attempt_is_an_entry() {
    let data = tempfile::tempdir().unwrap();
    let site = Running::open(data.path());
    site.0.send(Command::CreateAdministrator {
        cc: "1".into(),
        name: "Ana Sousa".into(),
        email: "ana@police.example".into(),
        password: PASSWORD.into(),
    });
    site.until("the administrator", |s| matches!(s.access, Access::LoggedIn(_)));
    site.0.send(Command::Administer(AdminCommand::Open));
    assert!(site.ask(AdminCommand::AddUser(new_user("2", "short"))).unwrap_err().contains("too short"));
    site.ask(AdminCommand::AddUser(new_user("2", PASSWORD))).unwrap();
    assert!(site.ask(AdminCommand::AddUser(new_user("2", PASSWORD))).unwrap_err().contains("already"));
    let rui = site.user("2").user;

    // Somebody else is quicker, beside this console's back.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let users = runtime.block_on(UserStore::open(data.path().join("databases/users.sqlite"))).unwrap();
    let theirs = vigia::model::User { email: "rui.costa@police.example".into(), ..rui.clone() };
    runtime.block_on(users.edit(&theirs)).unwrap();
    site.until("their change", |s| s.admin.users.iter().flat_map(|u| u.iter()).any(|v| v.user.email == theirs.email));
    let mine = vigia::model::User { name: "Rui M. Costa".into(), ..rui };
    let late = site.ask(AdminCommand::EditUser(mine.clone())).unwrap_err();
    assert!(late.contains("Somebody else"), "{late}");
    let mine = vigia::model::User { name: mine.name, ..site.user("2").user };
    site.ask(AdminCommand::EditUser(mine)).unwrap();
    let kept = site.user("2").user;
    assert_eq!((kept.name.as_str(), kept.email.as_str()), ("Rui M. Costa", "rui.costa@police.example"));

    // A camera is tested, registered, seen, and kept from the operator.
    site.0.send(Command::Administer(AdminCommand::TestAddress { camera: None, url: Some("test:".into()) }));
    site.until("the picture of the address", |s| {
        s.admin.test.as_ref().is_some_and(|t| matches!(t.outcome, TestOutcome::Seen(..)))
    });
    let nowhere = "rtsp://admin:s3cret@127.0.0.1:9/1".to_owned();
    site.0.send(Command::Administer(AdminCommand::TestAddress { camera: None, url: Some(nowhere) }));
    let state = site.until("the failure of the address", |s| {
        s.admin.test.as_ref().is_some_and(|t| matches!(t.outcome, TestOutcome::Failed(_)))
    });
    assert!(!format!("{:?}", state.admin).contains("s3cret"));
    site.ask(AdminCommand::AddCamera(test_camera("Quay"))).unwrap();
    assert!(site.ask(AdminCommand::AddCamera(test_camera("Quay"))).unwrap_err().contains("already"));
    site.ask(AdminCommand::AddCamera(test_camera("Yard"))).unwrap();
    let live =
        |s: &SiteState, name: &str| s.cameras.iter().any(|v| v.camera.name == name && v.status == CameraStatus::Live);
    let state = site.until("both cameras", |s| live(s, "Quay") && live(s, "Yard"));
    let quay = state.cameras.iter().find(|v| v.camera.name == "Quay").unwrap().camera.clone();
    let off = CameraEdit { active: Some(false), version: Some(quay.version), ..CameraEdit::default() };
    site.ask(AdminCommand::EditCamera { id: quay.id, edit: off.clone() }).unwrap();
    site.until("the camera is off", |s| {
        s.cameras.iter().any(|v| v.camera.name == "Quay" && v.status == CameraStatus::Inactive)
    });
    let late = site.ask(AdminCommand::EditCamera { id: quay.id, edit: off }).unwrap_err();
    assert!(late.contains("meanwhile"), "{late}");
    let (cameras, version) = (BTreeSet::from([quay.id]), site.user("2").user.version);
    site.ask(AdminCommand::SetUserCameras { cc: "2".into(), cameras: cameras.clone(), version }).unwrap();
    assert!(site.ask(AdminCommand::SetUserCameras { cc: "2".into(), cameras, version }).is_err());
    assert!(site.ask(AdminCommand::SetUserActive { cc: "1".into(), active: false }).unwrap_err().contains("Nobody"));
    site.ask(AdminCommand::SetUserPassword { cc: "2".into(), password: OTHER.into() }).unwrap();
    site.logout();

    // The operator sees the one camera, manages nothing, and has a password of their own.
    assert!(matches!(site.login("2", OTHER), Access::LoggedIn(_)));
    let state = site.0.state();
    assert_eq!(state.cameras.iter().map(|v| v.camera.name.as_str()).collect::<Vec<_>>(), ["Quay"]);
    assert!(state.admin.users.is_none() && state.admin.test.is_none());
    site.0.send(Command::Administer(AdminCommand::SetUserActive { cc: "1".into(), active: false }));
    site.until("the refusal", |s| s.notices.iter().any(|n| n.text.contains("only administrators")));
    site.0.send(Command::Administer(AdminCommand::Open));
    let own = |old: &str, new: &str| AdminCommand::ChangeOwnPassword { old: old.into(), new: new.into() };
    assert!(site.ask(own(PASSWORD, OTHER)).unwrap_err().contains("another one"));
    site.ask(own(OTHER, PASSWORD)).unwrap();
    assert!(site.0.state().admin.users.is_none());
    site.logout();
    assert!(matches!(site.login("2", PASSWORD), Access::LoggedIn(_)));
    drop(site);

    let log = runtime.block_on(async {
        let log = ActionLog::open(data.path().join("databases/action_logs.sqlite")).await.unwrap();
        log.page(&LogFilter::default(), None, 200).await.unwrap()
    });
    let count = |action: Action, outcome: fn(&Outcome) -> bool| {
        log.iter().filter(|e| e.action == action && outcome(&e.outcome)).count()
    };
    let done = |o: &Outcome| *o == Outcome::Succeeded;
    let refused = |o: &Outcome| matches!(o, Outcome::Refused(_));
    let failed = |o: &Outcome| matches!(o, Outcome::Failed(_));
    assert_eq!((count(Action::CreateUser, done), count(Action::CreateUser, refused)), (2, 2));
    assert_eq!((count(Action::EditUser, done), count(Action::EditUser, refused)), (1, 1));
    assert_eq!((count(Action::TestCamera, done), count(Action::TestCamera, failed)), (1, 1));
    assert_eq!((count(Action::ChangeCamera, done), count(Action::ChangeCamera, refused)), (3, 2));
    assert_eq!((count(Action::ChangeRights, done), count(Action::ChangeRights, refused)), (1, 1));
    assert_eq!((count(Action::DeactivateUser, done), count(Action::DeactivateUser, refused)), (0, 2));
    assert_eq!((count(Action::ChangePassword, done), count(Action::ChangePassword, refused)), (2, 1));
    let text = serde_json::to_string(&log).unwrap();
    assert!(!text.contains("horse") && !text.contains("farol") && !text.contains("s3cret"), "a secret is in the log");
    let edit = log.iter().find(|e| e.action == Action::EditUser && e.outcome == Outcome::Succeeded).unwrap();
    assert_eq!((edit.user_cc.as_str(), edit.details["before"]["name"].as_str()), ("1", Some("Rui Costa")));
    assert_eq!(edit.details["after"]["name"], "Rui M. Costa");
    let cameras = runtime.block_on(async {
        CameraStore::open(data.path().join("databases/cameras.sqlite")).await.unwrap().cameras().await.unwrap()
    });
    assert_eq!(
        cameras.iter().map(|c| (c.name.as_str(), c.active)).collect::<Vec<_>>(),
        [("Quay", false), ("Yard", true)]
    );
}
