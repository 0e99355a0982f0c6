//! Two consoles that see the same people on the same camera of one PostgreSQL server: what is recorded is there once.
use super::*;
use crate::{
    cli::prerequisites,
    model::{
        Class, Clock as _, Descriptor, DescriptorKind, Detection, DetectionKind, DetectionRecord, ManualClock, Rect,
        SystemClock, Tracklet,
    },
    servers,
    site::{
        Access, CameraConfig, Command, NoticeLevel, RecordMode, RecordingConfig, Site, SiteConfig,
        analysis::Analysis,
        recording::tests::{config, footage_of, gaps, open_of, stored},
    },
    store::{Address, Addresses, CameraStore, DetectionFilter, TrackletFilter},
    video::{Color, Frame},
    vision::Analysed,
};
use std::sync::Arc;
use tokio::runtime::Runtime;

const CLASSES: [Class; 2] = [Class::Person, Class::Knife];

/// Cameras database and objects that several consoles share; the rest is of each of them.
fn stores(database: &str) -> Addresses {
    let objects = Address::parse(&servers::s3().prefix()).unwrap();
    Addresses { cameras: Some(Address::parse(database).unwrap()), objects: Some(objects), ..Addresses::default() }
}

struct Console {
    analysis: Analysis,
    site: Site,
    _data: tempfile::TempDir,
}

struct Fixture {
    runtime: Runtime,
    stores: Addresses,
    clock: Arc<ManualClock>,
}

impl Fixture {
    fn new(database: &str) -> Self {
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        Self { runtime: Runtime::new().unwrap(), stores: stores(database), clock }
    }

    /// A console that shows the gate; its pictures come from the test.
    fn console(&self) -> Console {
        gstreamer::init().unwrap();
        let gate = CameraConfig { active: false, ..CameraConfig::new("Gate", "test:") };
        let config = SiteConfig { cameras: vec![gate], stores: self.stores.clone(), ..SiteConfig::default() };
        let data = tempfile::tempdir().unwrap();
        let site = Site::open(config, data.path(), &prerequisites::models_dir(None), self.clock.clone()).unwrap();
        let analysis = Analysis::new(Arc::clone(&site.shared));
        let console = Console { analysis, site, _data: data };
        console.delivered();
        std::thread::sleep(Duration::from_millis(1500)); // by then it has asked for the duty
        console
    }

    /// Somebody is in view of all consoles for so many frames, and holds a knife or not.
    fn see(&self, consoles: &mut [&mut Console], frames: usize, armed: bool) {
        let [person, knife] = CLASSES;
        let mut found = vec![(person, Rect::new(100.0, 40.0, 60.0, 160.0))];
        found.extend(armed.then(|| (knife, Rect::new(158.0, 120.0, 22.0, 10.0))));
        self.show(consoles, frames, &found);
    }

    /// All consoles find this on so many frames.
    fn show(&self, consoles: &mut [&mut Console], frames: usize, found: &[(Class, Rect)]) {
        let look = Descriptor { kind: DescriptorKind::ColourStripes, vector: [1.0, 0.0].into() };
        for _ in 0..frames {
            self.clock.advance(Duration::from_millis(200));
            for console in &mut *consoles {
                let detection = |&(class, rect)| Detection { rect, score: 0.8, class };
                let analysed = Analysed {
                    camera: console.camera(),
                    frame: self.frame(),
                    epoch: 0,
                    detections: found.iter().map(detection).collect(),
                    descriptors: found.iter().map(|(class, _)| (*class == CLASSES[0]).then(|| look.clone())).collect(),
                };
                console.analysis.take(&analysed);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What every console shows now.
    fn frame(&self) -> Frame {
        let bytes: Vec<u8> = (0..320 * 240 * 3 / 2u32).map(|i| (i * 37 % 251) as u8).collect();
        Frame::from_i420(320, 240, &bytes, Color::BT601, 0, self.clock.now()).unwrap()
    }

    fn stored(&self) -> (Vec<Sighting>, Vec<DetectionRecord>, Vec<Tracklet>) {
        self.runtime.block_on(async {
            let store = CameraStore::connect(self.stores.cameras.as_ref().unwrap()).await.unwrap();
            let all = DetectionFilter { limit: 1000, ..DetectionFilter::default() };
            (
                store.sightings(None, 1000).await.unwrap(),
                store.detections(&all).await.unwrap(),
                store.tracklets(&TrackletFilter::default()).await.unwrap(),
            )
        })
    }
}

impl Console {
    fn camera(&self) -> CameraId {
        self.site.shared.cameras.paths()[0].camera.id
    }

    fn keeps(&self) -> bool {
        self.site.shared.duty.is_held(self.camera())
    }

    fn delivered(&self) {
        let shared = &self.site.shared;
        assert!(shared.runtime.block_on(shared.records.delivery.flush()));
    }

    fn sightings(&self) -> Vec<Sighting> {
        self.site.shared.board.lock().sightings().into_iter().map(|v| v.sighting.clone()).collect()
    }

    fn alerts(&self) -> usize {
        self.site.shared.board.lock().notices.iter().filter(|n| n.level == NoticeLevel::Alert).count()
    }
}

/// As if the console had been killed: it renews and records nothing any more.
fn silence(site: &mut Site) {
    site.workers.stop();
    site.workers.take_duties().iter().for_each(tokio::task::JoinHandle::abort);
}

fn wait(what: &str, seconds: u64, mut done: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(seconds), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
    begun.elapsed()
}

#[test]
fn what_two_consoles_see_is_recorded_once_and_goes_on_when_one_is_closed_or_falls_silent() {
    for silent in [false, true] {
        one_after_the_other(silent);
    }
}

fn one_after_the_other(silent: bool) {
    let fixture = Fixture::new(&servers::postgres().database());
    let mut a = fixture.console();
    let mut b = fixture.console();
    assert_eq!((a.keeps(), b.keeps()), (true, false), "the first one has it");
    assert!(matches!(b.site.shared.duty.keeper(b.camera()), Keeper::Other(name) if name == a.site.shared.duty.name));

    // an armed person is proposed once; the other console hears of the suspect and sees it, too
    fixture.see(&mut [&mut a, &mut b], 20, true);
    wait("the suspect on the other console", 10, || {
        fixture.see(&mut [&mut a, &mut b], 1, false);
        b.site.shared.board.lock().suspects.len() == 1 && !b.sightings().is_empty()
    });
    fixture.see(&mut [&mut a, &mut b], 100, false); // longer than a tracklet goes without its first record
    let matches = |console: &Console| console.site.shared.follower().matches(console.camera()).len();
    assert_eq!((matches(&a), matches(&b)), (1, 1), "both draw the suspect");
    a.delivered();
    b.delivered();
    let (sightings, detections, tracklets) = fixture.stored();
    let [stay] = &sightings[..] else { panic!("{sightings:?}") };
    assert_eq!(detections.iter().filter(|d| d.kinds.contains(&DetectionKind::Knife)).count(), 1, "{detections:?}");
    assert_eq!(tracklets.len(), 1, "one person came");
    assert_eq!((a.alerts(), b.alerts()), (1, 1), "everybody is told of the knife");
    assert!(stay.left_at.is_none() && b.sightings().len() == 1 && b.sightings()[0].id == stay.id);

    // the first one is gone: the other one goes on with that very stay
    let before = stay.clone();
    if silent {
        silence(&mut a.site);
    } else {
        drop(a.analysis);
        drop(a.site);
    }
    let took = wait("the other console", 15, || b.keeps());
    assert!(took < Duration::from_secs(if silent { 8 } else { 3 }), "{took:?}");
    fixture.see(&mut [&mut b], 40, false);
    b.delivered();
    let (sightings, _, tracklets) = fixture.stored();
    let [stay] = &sightings[..] else { panic!("{sightings:?}") };
    assert_eq!(stay.id, before.id);
    assert!(stay.last_seen_at > before.last_seen_at && stay.left_at.is_none(), "{stay:?} after {before:?}");
    assert!(tracklets.len() <= 2, "who went on in view came when the other console took over: {tracklets:?}");
}

#[test]
fn whoever_has_the_duty_keeps_it_while_the_server_is_away_and_nobody_else_takes_it() {
    let server = servers::Postgres::start();
    let fixture = Fixture::new(&server.database());
    let mut a = fixture.console();
    let mut b = fixture.console();
    assert_eq!((a.keeps(), b.keeps()), (true, false));
    server.kill();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(8) {
        fixture.see(&mut [&mut a, &mut b], 5, true);
        assert_eq!((a.keeps(), b.keeps()), (true, false), "longer than the lease");
    }
    server.restart();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(8) {
        fixture.see(&mut [&mut a, &mut b], 1, false);
        assert_eq!((a.keeps(), b.keeps()), (true, false), "the holder renews first");
    }
    wait("the delivery", 60, || {
        let backlog = |c: &Console| c.site.shared.records.journal.backlog();
        backlog(&a) + backlog(&b) == 0
    });
    let (sightings, detections, _) = fixture.stored();
    assert_eq!(sightings.len(), 1, "{sightings:?}");
    assert_eq!(detections.iter().filter(|d| d.kinds.contains(&DetectionKind::Knife)).count(), 1);
}

#[test]
fn a_suspect_who_comes_back_while_the_database_is_away_is_an_alert_on_a_watching_console_too() {
    let server = servers::Postgres::start();
    let fixture = Fixture::new(&server.database());
    let mut a = fixture.console();
    let mut b = fixture.console();
    fixture.see(&mut [&mut a, &mut b], 20, true);
    wait("the suspect on the other console", 10, || {
        fixture.see(&mut [&mut a, &mut b], 1, false);
        !b.sightings().is_empty()
    });
    fixture.show(&mut [&mut a, &mut b], 100, &[]); // gone
    a.delivered();
    server.kill();
    let untold = |console: &Console| {
        let board = console.site.shared.board.lock();
        board.notices.iter().filter(|n| n.level == NoticeLevel::Alert && n.text.contains("has not told of it")).count()
    };
    fixture.see(&mut [&mut a, &mut b], 40, false);
    assert_eq!((untold(&a), untold(&b)), (0, 1), "once");
    assert!(a.sightings().len() == 2 && b.sightings().len() == 1, "and one record of it");
}

#[test]
fn whoever_is_marked_on_a_watching_console_has_one_stay_which_the_other_goes_on_with() {
    let fixture = Fixture::new(&servers::postgres().database());
    let mut a = fixture.console();
    let mut b = fixture.console();
    let (cc, name, email) = ("1".to_owned(), "Ana Sousa".to_owned(), "ana@police.example".to_owned());
    let password = "correct horse battery staple".to_owned();
    b.site.send(Command::CreateAdministrator { cc, name, email, password });
    wait("the login", 30, || matches!(b.site.state().access, Access::LoggedIn(_)));
    fixture.see(&mut [&mut a, &mut b], 20, false);
    let seen = b.site.shared.cameras.paths()[0].seen.get().unwrap();
    let [person] = &seen.tracks[..] else { panic!("one person is in view") };
    b.site.send(Command::SelectSuspect {
        camera: b.camera(),
        track: person.track.id,
        frame: fixture.frame(),
        rect: person.track.rect,
        reason: "theft".to_owned(),
        expires_in: Duration::from_secs(3600),
    });
    let certain = |console: &Console| {
        let matches = console.site.shared.follower().matches(console.camera());
        matches.len() == 1 && matches.values().all(|m| m.certain)
    };
    wait("the suspect on both consoles", 60, || {
        fixture.see(&mut [&mut a, &mut b], 1, false);
        std::thread::sleep(Duration::from_millis(150)); // about as fast as time goes
        assert!(a.sightings().len() <= 1 && b.sightings().len() <= 1, "{:?} {:?}", a.sightings(), b.sightings());
        certain(&a) && certain(&b)
    });
    fixture.see(&mut [&mut a, &mut b], 60, false);
    a.delivered();
    b.delivered();
    let (sightings, ..) = fixture.stored();
    let [before] = &sightings[..] else { panic!("{sightings:?}") };
    assert!(before.decision == Decision::Origin && before.left_at.is_none(), "{before:?}");

    // the one where that was is closed; the other one, which had the duty all the time, goes on
    drop(b.analysis);
    drop(b.site);
    fixture.see(&mut [&mut a], 100, false);
    a.delivered();
    let (sightings, ..) = fixture.stored();
    let [after] = &sightings[..] else { panic!("{sightings:?}") };
    assert_eq!((after.id, &after.decision, after.left_at), (before.id, &Decision::Origin, None));
    assert!(after.last_seen_at.seconds_since(before.last_seen_at) > 10.0, "{after:?} after {before:?}");
}

/// A console that shows a video file as a camera.
fn recording(data: &std::path::Path, video: &std::path::Path, stores: &Addresses, record: RecordMode) -> Site {
    let recording = RecordingConfig { record, segment_s: 120.0, ..RecordingConfig::default() };
    let url = format!("file://{}", video.display());
    let site = open_of(data, SiteConfig { stores: stores.clone(), ..config(url, recording) });
    // the camera is registered, and its duty was asked for
    assert!(site.shared.runtime.block_on(site.shared.records.delivery.flush()));
    std::thread::sleep(Duration::from_millis(1500));
    site
}

fn camera(site: &Site) -> CameraId {
    site.shared.cameras.paths()[0].camera.id
}

#[test]
fn the_console_that_can_do_more_for_a_camera_keeps_its_records() {
    let folder = tempfile::tempdir().unwrap();
    let video = folder.path().join("a.mkv");
    footage_of(&video, 120);
    let stores = stores(&servers::postgres().database());
    let a = recording(&folder.path().join("a"), &video, &stores, RecordMode::Never);
    wait("the duty", 10, || a.shared.duty.is_held(camera(&a)));
    let b = recording(&folder.path().join("b"), &video, &stores, RecordMode::Always);
    wait("the duty at the one that records", 20, || b.shared.duty.is_held(camera(&b)));
    wait("the word that another one has it", 5, || a.shared.duty.is_of_another(camera(&a)));
    wait("video", 30, || {
        b.shared.recording.cut(camera(&b));
        std::thread::sleep(Duration::from_millis(500));
        !stored(&b).is_empty()
    });
    assert_eq!(gaps(&b), Vec::new(), "nobody recorded it before");
    // its journal takes nothing any more: better one without video than none
    b.shared.duty.unrecorded();
    wait("the duty at the first one", 20, || a.shared.duty.is_held(camera(&a)));
    wait("the word that the other one has it", 5, || b.shared.duty.is_of_another(camera(&b)));
}

#[test]
fn a_gap_that_another_console_left_open_ends_with_the_first_pictures_here() {
    let folder = tempfile::tempdir().unwrap();
    let video = folder.path().join("a.mkv");
    footage_of(&video, 120);
    let stores = stores(&servers::postgres().database());
    let a = recording(&folder.path().join("a"), &video, &stores, RecordMode::Always);
    let since = || a.shared.duty.since(camera(&a));
    wait("the duty", 10, || since().is_some());
    let since = since().unwrap();
    // a console that was closed tells of its gap when this one records already
    let late = Gap {
        id: uuid::Uuid::now_v7(),
        camera: camera(&a),
        from: since.minus(Duration::from_secs(2)),
        until: None,
        reason: "The console was stopped".to_owned(),
    };
    a.shared.runtime.block_on(a.shared.records.stores.cameras.put_gap(&late)).unwrap();
    wait("its end", 60, || gaps(&a).iter().any(|gap| gap.id == late.id && gap.until == Some(since)));
}

#[test]
fn a_stay_of_another_console_is_this_one_only_if_it_was_told_of_while_the_track_was_in_view() {
    let fixture = Fixture::new(&servers::postgres().database());
    let a = fixture.console();
    let now = fixture.clock.now();
    let ago = |s: u64| now.minus(Duration::from_secs(s));
    let own = Sighting {
        id: uuid::Uuid::from_u128(1),
        suspect: uuid::Uuid::from_u128(9),
        camera: a.camera(),
        track: crate::model::TrackId(4),
        entered_at: ago(20),
        last_seen_at: now,
        left_at: None,
        probability: 0.7,
        decision: Decision::Pending,
        crop_url: String::new(),
        rect: Rect::new(0.0, 0.0, 10.0, 20.0),
    };
    let told = Sighting { id: uuid::Uuid::from_u128(2), entered_at: ago(60), last_seen_at: ago(3), ..own.clone() };
    let shared = &a.site.shared;
    let is_of = |other: Sighting| shared.is_of(&other, &own, &shared.follower());
    assert!(is_of(told.clone()));
    assert!(is_of(Sighting { left_at: Some(ago(1)), ..told.clone() }), "that track was lost there a moment ago");
    assert!(!is_of(Sighting { left_at: Some(ago(3)), ..told.clone() }), "who left is not who is in view");
    assert!(!is_of(Sighting { last_seen_at: ago(21), ..told.clone() }), "before this track came");
    assert!(!is_of(Sighting { suspect: uuid::Uuid::from_u128(8), ..told.clone() }));
    assert!(!is_of(Sighting { decision: Decision::Rejected { by: "1".to_owned(), at: now }, ..told.clone() }));
    shared.duty.tell_of(told.id, told.suspect);
    assert!(!is_of(told), "it is told of here");
}

#[test]
fn the_video_of_a_console_that_falls_silent_goes_on_at_another_and_the_gap_between_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let video = folder.path().join("a.mkv");
    footage_of(&video, 60);
    let stores = stores(&servers::postgres().database());
    let mut a = recording(&folder.path().join("a"), &video, &stores, RecordMode::Always);
    let b = recording(&folder.path().join("b"), &video, &stores, RecordMode::Always);
    wait("the word that another one records", 10, || b.shared.duty.is_of_another(camera(&b)));
    assert!(b.shared.recording.health().is_none(), "it shows the camera only");
    // who watches gets what the other one is recording
    let cut = || {
        b.shared.recording.cut(camera(&b));
        b.shared.runtime.block_on(b.shared.ask_for_cut(camera(&b)));
    };
    for n in 1..3 {
        std::thread::sleep(Duration::from_secs(2));
        cut();
        wait("what was asked for", 10, || stored(&b).len() == n);
    }

    // killed: no lease is renewed, nothing more is recorded or stored
    silence(&mut a);
    a.shared.cameras.paths().iter().for_each(|path| path.stop());
    let killed_at = SystemClock.now();
    let took = wait("the other console", 15, || b.shared.duty.is_held(camera(&b)));
    assert!(took < Duration::from_secs(8), "{took:?}");
    wait("its recordings", 30, || {
        cut();
        std::thread::sleep(Duration::from_millis(500));
        stored(&b).len() > 3
    });
    wait("the end of the gap", 10, || gaps(&b).iter().any(|gap| gap.until.is_some_and(|until| until > killed_at)));
    let (all, gaps) = (stored(&b), gaps(&b));
    for (one, next) in all.iter().zip(all.iter().skip(1)) {
        assert!(one.ends_at <= next.starts_at, "{one:?} and {next:?}");
    }
    let [.., gap] = &gaps[..] else { panic!("no gap") };
    assert!(gap.reason.contains(&a.shared.duty.name) && gap.reason.contains("fell silent"), "{gap:?}");
    assert!(gaps.iter().all(|gap| gap.until.is_some()), "{gaps:?}");
    let (last, first) = (all[1].ends_at, all[2].starts_at);
    assert!(gap.from == last && first > killed_at, "{gap:?} {all:?}");
    assert!(gap.until.is_some_and(|until| until.seconds_since(first).abs() < 0.5), "{gap:?} {all:?}");
}
