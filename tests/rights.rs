//! What one may not see does not exist: a user with one camera against a site with suspects, sightings, proposals, bookmarks and a
//! case on both.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // helpers of tests fail as tests do

use std::{
    collections::BTreeSet,
    io::Read as _,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use uuid::Uuid;
use vigia::{
    cli::prerequisites,
    model::{
        ActionRecord, CameraId, CaseChange, Characteristics, Clock as _, Decision, Outcome, Rect, Sighting,
        SystemClock, Timestamp, TrackId,
    },
    site::{
        Access, BookmarkCommand, CameraConfig, CaseCommand, Clicked, Command, ExportCommand, ExportOf, ExportRequest,
        ExportStage, FindCommand, FindWho, Judgement, LogCommand, MapCommand, ReviewCommand, SeenMatch, Site,
        SiteConfig, SiteState, Undo,
    },
    store::{DataFolder, LogFilter, NewUser, Stores},
    video::{Color, Frame},
};

const PASSWORD: &str = "correct horse battery staple";

struct Console(Site);

fn open(data: &Path) -> Console {
    gstreamer::init().unwrap();
    let camera = |name: &str| CameraConfig { active: false, ..CameraConfig::new(name, "test:") };
    let config = SiteConfig { cameras: vec![camera("Gate"), camera("Cellar")], ..SiteConfig::default() };
    Console(Site::open(config, data, &prerequisites::models_dir(None), Arc::new(SystemClock)).unwrap())
}

fn frame(at: Timestamp) -> Frame {
    let (w, h) = (320u32, 240u32);
    let luma = (0..w * h).map(|i| 40 + ((i % w) / 2 + (i / w) / 3) as u8 % 180);
    let bytes: Vec<u8> = luma.chain((0..w * h / 2).map(|i| 100 + (i % 60) as u8)).collect();
    Frame::from_i420(w, h, &bytes, Color::BT601, 0, at).unwrap()
}

const RECT: Rect = Rect { x: 50.0, y: 40.0, w: 60.0, h: 120.0 };

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

    fn log_in(&self, cc: &str) -> SiteState {
        self.0.send(Command::Logout);
        self.until("the logout", |s| matches!(s.access, Access::LoggedOut { .. }));
        self.0.send(Command::Login { cc: cc.into(), password: PASSWORD.into() });
        self.until("the login", |s| matches!(&s.access, Access::LoggedIn(user) if user.cc == cc))
    }

    fn camera(&self, name: &str) -> CameraId {
        self.0.cameras().iter().find(|v| v.camera.name == name).unwrap().camera.id
    }

    /// Marks somebody there.
    fn mark(&self, camera: CameraId, reason: &str) -> Uuid {
        self.0.send(Command::SelectSuspect {
            camera,
            track: TrackId(3),
            frame: frame(self.0.state().now),
            rect: RECT,
            reason: reason.into(),
            expires_in: Duration::from_secs(3600),
        });
        let new = |s: &SiteState| s.suspects.iter().find(|v| v.suspect.reason == reason).map(|v| v.suspect.id);
        new(&self.until("the suspect", |s| new(s).is_some())).unwrap()
    }

    fn bookmark(&self, camera: CameraId, words: &str) -> Uuid {
        let from = self.0.state().now.minus(Duration::from_secs(600));
        let put = BookmarkCommand::Put { camera: Some(camera), from, until: from, words: words.to_owned(), case: None };
        self.0.send(Command::Bookmark(put));
        let new = |s: &SiteState| s.casework.bookmarks.iter().find(|b| b.words == words).map(|b| b.id);
        new(&self.until("the bookmark", |s| new(s).is_some())).unwrap()
    }

    /// The newest entries, oldest first, of an administrator's console.
    fn log(&self) -> Vec<ActionRecord> {
        self.until("the delivery", |s| s.stores.iter().all(|h| h.backlog == 0));
        let before = self.0.state().log.page;
        self.0.send(Command::Log(LogCommand::Read(LogFilter::default())));
        let state = self.until("the log", |s| match (&before, &s.log.page) {
            (None, Some(_)) => true,
            (Some(a), Some(b)) => !Arc::ptr_eq(a, b),
            _ => false,
        });
        let mut log: Vec<_> =
            state.log.page.unwrap().entries.iter().filter_map(|kept| kept.entry.clone().ok()).collect();
        log.reverse();
        log
    }
}

/// A site with two cameras: Ana, an administrator, has marked somebody on each, and Rui may see the gate only.
struct Scene {
    folder: tempfile::TempDir,
    gate: CameraId,
    cellar: CameraId,
    /// Marked on the gate, and seen in the cellar.
    known: Uuid,
    /// Marked in the cellar and never seen elsewhere.
    hidden: Uuid,
    /// Marked in the cellar and possibly seen on the gate.
    passed: Uuid,
    /// Proposed in the cellar.
    proposed: Uuid,
    /// Of `known`, in the cellar.
    below: Uuid,
    bookmark: Uuid,
    case: Uuid,
}

const AT_GATE: &str = "left a bag at the barrier";
const IN_CELLAR: &str = "forced the lock of the safe";
const PASSED: &str = "carried the drill";
const PROPOSED: &str = "weapon: pistol";

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let first = open(&data);
        first.0.send(Command::CreateAdministrator {
            cc: "1".into(),
            name: "Ana Sousa".into(),
            email: "ana@police.example".into(),
            password: PASSWORD.into(),
        });
        first.until("the login", |s| matches!(s.access, Access::LoggedIn(_)));
        let (gate, cellar) = (first.camera("Gate"), first.camera("Cellar"));
        let (known, hidden) = (first.mark(gate, AT_GATE), first.mark(cellar, IN_CELLAR));
        let passed = first.mark(cellar, PASSED);
        first.bookmark(gate, "barrier up");
        let bookmark = first.bookmark(cellar, "safe opened");
        first.0.send(Command::Case(CaseCommand::Open { number: "118/26".into(), name: "Safebreakers".into() }));
        let case = first.until("the case", |s| !s.casework.cases.is_empty()).casework.cases[0].case.id;
        for suspect in [known, hidden] {
            first.0.send(Command::Case(CaseCommand::Change(case, CaseChange::AddSuspect { suspect })));
        }
        first.until("the suspects in the case", |s| s.casework.cases[0].suspects.len() == 2);
        first.until("the delivery", |s| s.stores.iter().all(|h| h.backlog == 0));
        drop(first);
        let (below, proposed) = (Uuid::now_v7(), Uuid::now_v7());
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let now = SystemClock.now();
            let stores = Stores::open(&DataFolder::open(&data).unwrap(), &Default::default()).await.unwrap();
            let user = NewUser {
                cc: "2".into(),
                email: "rui@police.example".into(),
                name: "Rui Costa".into(),
                password: PASSWORD.into(),
                is_admin: false,
            };
            let rui = stores.users.create(user, now).await.unwrap();
            stores.users.set_grants("2", &BTreeSet::from([gate]), rui.version).await.unwrap();
            let template = stores.cameras.suspects().await.unwrap().into_iter().find(|s| s.id == hidden).unwrap();
            let proposal = vigia::model::Suspect {
                id: proposed,
                label: "Suspect 77".into(),
                reason: PROPOSED.into(),
                proposed_until: Some(now.plus(Duration::from_secs(3000))),
                ..template
            };
            stores.cameras.put_suspect(&proposal).await.unwrap();
            let seen = |id, suspect, camera| Sighting {
                id,
                suspect,
                camera,
                track: TrackId(9),
                entered_at: now.minus(Duration::from_secs(60)),
                last_seen_at: now.minus(Duration::from_secs(50)),
                left_at: Some(now.minus(Duration::from_secs(50))),
                probability: 0.9,
                decision: Decision::Pending,
                crop_url: String::new(),
                rect: RECT,
            };
            stores.cameras.put_sighting(&seen(below, known, cellar)).await.unwrap();
            stores.cameras.put_sighting(&seen(Uuid::now_v7(), passed, gate)).await.unwrap();
        });
        Self { folder, gate, cellar, known, hidden, passed, proposed, below, bookmark, case }
    }

    fn open(&self) -> Console {
        open(&self.folder.path().join("data"))
    }
}

fn log_in_first(console: &Console, cc: &str) -> SiteState {
    console.until("the start", |s| matches!(s.access, Access::LoggedOut { .. }));
    console.0.send(Command::Login { cc: cc.into(), password: PASSWORD.into() });
    console.until("the login", |s| matches!(&s.access, Access::LoggedIn(user) if user.cc == cc))
}

#[test]
fn nothing_of_a_hidden_camera_leaves_the_site() {
    let scene = Scene::new();
    let console = scene.open();
    log_in_first(&console, "1");
    let another = console.mark(scene.cellar, "held the lamp"); // its notice is still there when Rui comes
    let all = console.until("all suspects with their pictures", |s| {
        s.suspects.len() == 5 && s.suspects.iter().filter(|v| v.crop.is_some()).count() >= 4
    });
    assert!(all.notices.iter().any(|n| n.text.contains("is followed")), "{:?}", all.notices);
    let names_of = |id| all.suspects.iter().find(|v| v.suspect.id == id).unwrap().suspect.label.clone();

    console.log_in("2");
    let state = console.until("the bookmarks", |s| !s.casework.bookmarks.is_empty());
    let told = format!("{state:?}");
    assert!(told.contains(AT_GATE) && told.contains("barrier up"), "what is seen is there");
    let hidden_ids = [scene.cellar, scene.hidden, scene.proposed, scene.below, scene.bookmark, scene.case, another];
    for id in hidden_ids {
        assert!(!told.contains(&id.to_string()), "{id} in {told}");
    }
    let hidden_labels = [names_of(scene.hidden), names_of(scene.proposed), names_of(another)];
    let hidden_words =
        ["Cellar", IN_CELLAR, PASSED, PROPOSED, "held the lamp", "safe opened", "118/26", "Safebreakers"];
    for words in hidden_words.into_iter().chain(hidden_labels.iter().map(|l| l.as_str())) {
        assert!(!told.contains(words), "{words} in {told}");
    }
    assert!(state.notices.iter().all(|n| !n.text.contains("followed")), "{:?}", state.notices);
    let known: BTreeSet<_> = state.suspects.iter().map(|v| v.suspect.id).collect();
    assert_eq!(known, BTreeSet::from([scene.known, scene.passed]));
    assert!(state.sightings.iter().all(|v| v.sighting.camera == scene.gate));
    assert_eq!(state.recent_reasons, [AT_GATE]);

    // Whoever was marked out of sight and came by: name and colour, and neither where, why, nor a picture of there.
    let view = state.suspects.iter().find(|v| v.suspect.id == scene.passed).unwrap();
    assert!(
        (view.crop.is_none(), view.suspect.camera, view.suspect.gallery.len()) == (true, Uuid::nil(), 0),
        "{view:?}"
    );
    assert_eq!(view.suspect.label, names_of(scene.passed));

    // Nor does Find show that picture, or count what was seen elsewhere.
    let start = |who| FindCommand::Start { who, cameras: None, from: Timestamp(0), until: state.now };
    console.0.send(Command::Find(start(FindWho::Suspect(scene.passed))));
    let answered = |s: &SiteState| s.find.is_some() || s.notices.iter().any(|n| n.text.contains("searched for"));
    let found = console.until("the search", answered).find;
    assert!(found.is_none_or(|f| f.picture.is_none() && f.compared == 0 && f.cameras == [scene.gate]));

    // Nothing at all while nobody is logged in.
    console.0.send(Command::Logout);
    let state = console.until("the logout", |s| matches!(s.access, Access::LoggedOut { .. }));
    let told = format!("{state:?}");
    for words in ["Gate", "Cellar", AT_GATE, IN_CELLAR, "barrier up"] {
        assert!(!told.contains(words), "{words} in {told}");
    }
}

#[test]
fn what_is_hidden_is_refused_in_the_words_for_what_is_not_there() {
    let scene = Scene::new();
    let console = scene.open();
    log_in_first(&console, "2");
    let now = console.0.state().now;
    let seen = || SeenMatch { decision: Decision::Pending, probability: 0.9 };
    // Each with an identity in the cellar, and the same with one of nothing.
    let commands = |camera: CameraId, suspect: Uuid, sighting: Uuid, bookmark: Uuid, case: Uuid| {
        let find = |who, cameras| Command::Find(FindCommand::Start { who, cameras, from: Timestamp(0), until: now });
        vec![
            Command::SelectSuspect {
                camera,
                track: TrackId(3),
                frame: frame(now),
                rect: RECT,
                reason: "hidden".into(),
                expires_in: Duration::from_secs(60),
            },
            Command::Decide { sighting, judgement: Judgement::Confirm, seen: seen() },
            Command::Undo(Undo::Match { sighting, decision: Decision::Pending }),
            Command::Undo(Undo::End { suspect, ended_at: now }),
            Command::Undo(Undo::Proposal { suspect, until: now }),
            Command::EndSuspect(suspect),
            Command::EditSuspect { suspect, characteristics: Characteristics::default() },
            Command::DecideProposal { suspect, confirm: false, until: now },
            find(FindWho::Suspect(suspect), None),
            find(FindWho::Suspect(scene.known), Some(vec![camera])),
            find(FindWho::Person { camera, track: TrackId(3), frame: frame(now), rect: RECT }, None),
            Command::Map(MapCommand::Movement(suspect)),
            Command::Export(ExportCommand::Plan { of: ExportOf::Suspect(suspect), pending: false }),
            Command::Export(ExportCommand::Movement { suspect, to: scene.folder.path().join("m.csv") }),
            Command::Review(ReviewCommand::Open { cameras: vec![scene.gate, camera], at: now }),
            Command::Bookmark(BookmarkCommand::Remove(bookmark)),
            Command::Case(CaseCommand::Change(case, CaseChange::Note { text: "hidden".into() })),
        ]
    };
    let nothing = || Uuid::now_v7();
    let hidden = commands(scene.cellar, scene.proposed, scene.below, scene.bookmark, scene.case);
    let absent = commands(nothing(), nothing(), nothing(), nothing(), nothing());
    let asked = hidden.len();
    // A card is nothing that is entered; of a hidden camera there is none.
    let card = Clicked { camera: scene.cellar, track: TrackId(3), frame: frame(now), rect: RECT };
    console.0.send(Command::OpenCard(card));
    assert!(console.0.state().card.is_none());
    for (hidden, absent) in hidden.into_iter().zip(absent) {
        console.0.send(hidden);
        console.0.send(absent);
        std::thread::sleep(Duration::from_millis(60)); // the queue is short
    }
    console.log_in("1");
    let log = console.log();
    let refused: Vec<_> = log
        .iter()
        .filter_map(|e| match &e.outcome {
            Outcome::Refused(why) if e.user_cc == "2" => Some((e.action, why.clone(), e.details.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(refused.len(), 2 * asked, "{refused:?}");
    for pair in refused.chunks(2) {
        assert_eq!(pair[0], pair[1], "the answer tells whether there is one");
    }
    let state = console.0.state();
    let suspect = state.suspects.iter().find(|v| v.suspect.id == scene.proposed).unwrap();
    assert!(suspect.suspect.ended_at.is_none(), "and nothing was done");
    assert!(!scene.folder.path().join("m.csv").exists());
}

#[test]
fn the_extract_of_a_package_tells_nothing_of_hidden_cameras() {
    let scene = Scene::new();
    let console = scene.open();
    log_in_first(&console, "1");
    let of = || ExportOf::Suspect(scene.known);
    console.0.send(Command::Map(MapCommand::Movement(scene.known)));
    console.until("the movement", |s| s.map.movement.is_some());
    let search = FindWho::Suspect(scene.known);
    let until = console.0.state().now;
    console.0.send(Command::Find(FindCommand::Start { who: search, cameras: None, from: Timestamp(0), until }));
    let below = console.until("the match", |s| s.sightings.iter().any(|v| v.sighting.id == scene.below));
    let view = below.sightings.iter().find(|v| v.sighting.id == scene.below).unwrap();
    console.0.send(view.judged(Judgement::Confirm));
    console.until("the decision", |s| {
        s.sightings.iter().any(|v| v.sighting.id == scene.below && v.sighting.decision != Decision::Pending)
    });
    let package = |name: &str| {
        console.0.send(Command::Export(ExportCommand::Plan { of: of(), pending: true }));
        console.until("the plan", |s| s.export.as_ref().is_some_and(|e| e.plan.is_ok() && e.of == of()));
        let to = scene.folder.path().join(name);
        let (reason, recipient) = ("trial".to_owned(), "court".to_owned());
        let request = ExportRequest { to: to.clone(), reason, recipient, pending: true, ..ExportRequest::new(of()) };
        console.0.send(Command::Export(ExportCommand::Start(request)));
        let done = |s: &SiteState| s.export.as_ref().is_some_and(|e| matches!(e.stage, ExportStage::Done { .. }));
        console.until("the package", done);
        let mut zip = zip::ZipArchive::new(std::fs::File::open(to).unwrap()).unwrap();
        let mut read = |name: &str| {
            let mut text = String::new();
            zip.by_name(name).unwrap().read_to_string(&mut text).unwrap();
            text
        };
        (read("audit.jsonl"), read("manifest.json"))
    };
    let (whole, _) = package("whole.zip");
    assert!(whole.contains("Cellar") && whole.contains("118/26") && whole.contains("READ_MOVEMENT"), "{whole}");

    console.log_in("2");
    let (extract, list) = package("part.zip");
    assert!(extract.contains(AT_GATE), "what is theirs is there: {extract}");
    for words in ["Cellar", &scene.cellar.to_string(), &scene.below.to_string(), "118/26", "READ_MOVEMENT"] {
        assert!(!extract.contains(words), "{words} in {extract}");
        assert!(!list.contains(words), "{words} in {list}");
    }
}
