//! A whole site goes from files to real servers and back, and is the same afterwards.
use super::{Site, fill, jpeg, servers};
use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader},
    ops::ControlFlow,
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};
use uuid::Uuid;
use vigia::{
    model::{
        Action, Camera, Clock as _, DetectionRecord, Gap, Hold, Looked, Outcome, Rect, Suspect, SystemClock, TrackId,
        Tracklet, Upload,
    },
    site::{CameraEdit, MigrateError, MigrateStep, Migrated, Office, SiteConfig},
    store::{Address, Addresses, DataFolder, DetectionFilter, LogFilter, NewUser, Stores, TrackletFilter, url_of_key},
    sync::{Journal, Record},
};

/// The addresses of new, empty stores on servers, as text.
fn on_servers() -> [String; 5] {
    [
        servers::postgres().database(),
        servers::postgres().database(),
        servers::mongo().database(),
        servers::s3().prefix(),
        servers::redis().namespace(),
    ]
}

fn config(addresses: &[String; 5]) -> SiteConfig {
    let at = |i: usize| Some(Address::parse(&addresses[i]).unwrap());
    let stores = Addresses { users: at(0), cameras: at(1), action_logs: at(2), objects: at(3), suspects: at(4) };
    SiteConfig { stores, ..SiteConfig::default() }
}

fn file_of(addresses: &[String; 5], folder: &Path) -> std::path::PathBuf {
    let [users, cameras, logs, objects, suspects] = addresses;
    let text = format!(
        "[stores]\nusers = {users:?}\ncameras = {cameras:?}\naction_logs = {logs:?}\nobjects = {objects:?}\nsuspects = {suspects:?}\n"
    );
    let file = folder.join("servers.toml");
    fs::write(&file, text).unwrap();
    file
}

fn quiet(_: MigrateStep<'_>) {}

/// What [`fill`] leaves out: every other kind of record, numbers and words that the databases keep in different ways, and an object
/// that goes to S3 in parts.
async fn fill_up(stores: &Stores, camera: &Camera, suspect: &Suspect) {
    let now = SystemClock.now();
    let later = now.plus(Duration::from_secs(60));
    let words = serde_json::json!({
        "à\n\"quoted\"": [0.1 + 0.2, 1.5e-7, null, true], "a.b": { "$c": "{ \"x\" : 1 }" }, "n": 9_007_199_254_740_993_i64,
    });
    let upload = Upload {
        id: Uuid::now_v7(),
        camera: camera.id,
        video_url: url_of_key("videos/long.mp4"),
        duration: 7,
        resolution: "1280x720".to_owned(),
        size: 9 << 20,
        format: "mp4".to_owned(),
        metadata: words.clone(),
        date: now,
    };
    stores.objects.put("videos/long.mp4", vec![7; 9 << 20], "video/mp4").await.unwrap();
    stores.cameras.put_upload(&upload).await.unwrap();
    let gap = Gap { id: Uuid::now_v7(), camera: camera.id, from: now, until: None, reason: "no signal".to_owned() };
    stores.cameras.put_gap(&gap).await.unwrap();
    let hold = Hold {
        id: Uuid::now_v7(),
        case: Some(Uuid::now_v7()),
        camera: None,
        from: now,
        until: later,
        reason: "court".to_owned(),
        placed_by: "1".to_owned(),
        placed_at: now,
        released: None,
    };
    stores.cameras.put_hold(&hold).await.unwrap();
    let looked = Looked {
        id: Uuid::now_v7(),
        camera: camera.id,
        minute: Looked::minute_of(now),
        received: 1500,
        analysed: 900,
        above_rate: 600,
        overtaken: 0,
        trouble: String::new(),
        model: "NanoDet".to_owned(),
    };
    stores.cameras.put_looked(&looked).await.unwrap();
    let job = serde_json::from_value(serde_json::json!({
        "id": Uuid::now_v7(), "title": "Gate", "console": Uuid::now_v7(), "by": ["1", "Ana Sousa"], "made_at": now, "ended_at": null,
        "segments": [], "cameras": [camera.id], "rate": 2.5, "state": { "state": "open" }, "finished": 0, "position": { "secs": 3, "nanos": 5 },
        "total_s": 7.25, "looked_s": 0.1, "worked_s": 0.30000000000000004, "pictures": 3, "people": 1, "findings": [], "troubles": [],
    }));
    stores.cameras.put_job(&job.unwrap()).await.unwrap();
    stores.objects.put("tracklets/a.jpg", jpeg(), "image/jpeg").await.unwrap();
    for n in 0..1200 {
        let at = now.plus(Duration::from_millis(n * 500));
        stores
            .cameras
            .put_tracklet(&Tracklet {
                id: Uuid::now_v7(),
                camera: camera.id,
                track: TrackId(n),
                upload: (n % 2 == 0).then_some(upload.id),
                starts_at: at,
                ends_at: at.plus(Duration::from_millis(400)),
                frame: (1280, 720),
                path: vec![(at, Rect::new(0.1, 2.3, 40.5, 90.0))],
                crop_url: url_of_key("tracklets/a.jpg"),
                gallery: Vec::new(),
                characteristics: serde_json::json!({ "above": "red" }),
                suspect: (n == 3).then_some(suspect.id),
            })
            .await
            .unwrap();
        stores
            .cameras
            .put_detection(&DetectionRecord {
                id: Uuid::now_v7(),
                camera: camera.id,
                image_url: url_of_key("frames/a.jpg"),
                suspect_id: None,
                captured_at: at,
                metadata: if n == 0 { words.clone() } else { serde_json::Value::Null },
                kinds: vec![vigia::model::DetectionKind::Knife, vigia::model::DetectionKind::Gun],
                detection_box: Rect::new(0.1, 0.2, 10.3, 20.7).polygon().to_vec(),
            })
            .await
            .unwrap();
    }
    assert!(stores.users.verify_login("2", "not the password at all", "a console", now).await.is_ok());
}

/// Everything that a site holds, but for what reads differently by nature.
async fn contents(stores: &Stores) -> serde_json::Value {
    let filter = DetectionFilter { limit: 100_000, ..DetectionFilter::default() };
    let all_time = (vigia::model::Timestamp(0), SystemClock.now().plus(Duration::from_secs(1_000_000)));
    let tracklets = TrackletFilter { limit: 100_000, ..TrackletFilter::default() };
    let mut objects = Vec::new();
    for room in stores.objects.rooms().await.unwrap().into_iter().filter(|room| room != "anchors") {
        for object in stores.objects.list(&room, None, 100_000).await.unwrap() {
            let hash = stores.objects.hash(&object.key).await.unwrap().unwrap();
            objects.push((object.key, object.size, hash.to_string()));
        }
    }
    let camera = stores.cameras.cameras().await.unwrap()[0].id;
    serde_json::json!({
        "users": stores.users.users().await.unwrap(), "rights": stores.users.all_grants().await.unwrap(),
        "cameras": stores.cameras.cameras().await.unwrap(), "detections": stores.cameras.detections(&filter).await.unwrap(),
        "suspects": stores.cameras.suspects().await.unwrap(), "sightings": stores.cameras.sightings(None, 1000).await.unwrap(),
        "tracklets": stores.cameras.tracklets(&tracklets).await.unwrap(), "uploads": stores.cameras.uploads(None).await.unwrap(),
        "holds": stores.cameras.holds().await.unwrap(), "gaps": stores.cameras.open_gaps().await.unwrap(),
        "jobs": stores.cameras.jobs(100).await.unwrap(), "looked": stores.cameras.looked(camera, all_time.0, all_time.1).await.unwrap(),
        "segments": stores.cameras.oldest_recorded(None, 1000).await.unwrap(),
        "consoles": stores.actions.consoles().await.unwrap(), "objects": objects,
    })
}

fn same(after: &serde_json::Value, before: &serde_json::Value) {
    for (kind, before) in before.as_object().unwrap() {
        let after = &after[kind];
        let short = |v: &serde_json::Value| v.to_string().chars().take(3000).collect::<String>();
        assert!(after == before, "{kind} differ:\n{}\n{}", short(after), short(before));
    }
}

/// All entries with their links, in the order of their chains.
async fn entries(stores: &Stores) -> Vec<vigia::model::ActionRecord> {
    let mut all = Vec::new();
    let mut take = |kept: vigia::model::KeptAction| {
        assert_eq!(kept.misfiled, None);
        all.push(kept.entry.unwrap());
        ControlFlow::Continue(())
    };
    stores.actions.each_chain(&mut take).await.unwrap();
    all
}

fn opened<T>(site: &Site, config: &SiteConfig, data: &Path, work: impl AsyncFnOnce(&Stores) -> T) -> T {
    let folder = DataFolder::open(data).unwrap();
    site.runtime.block_on(async { work(&Stores::open(&folder, &config.stores).await.unwrap()).await })
}

fn office(config: &SiteConfig, data: &Path) -> Office {
    Office::open(config, data, Arc::new(SystemClock)).unwrap()
}

#[test]
fn a_site_goes_to_servers_and_back_unchanged_and_on_after_a_kill() {
    let site = Site::new(Addresses::default());
    site.stores(async |stores| {
        let (camera, suspect, _) = fill(stores).await;
        fill_up(stores, &camera, &suspect).await;
        for n in 0..300 {
            stores.objects.put(&format!("crops/many/{n}.jpg"), jpeg(), "image/jpeg").await.unwrap();
        }
    });
    let edit = CameraEdit {
        name: Some("Yard".into()),
        url: Some("test:".into()),
        location: Some((38.7, -9.1)),
        ..CameraEdit::default()
    };
    site.office().add_camera(&edit).unwrap();
    site.office().add_camera(&edit).unwrap_err();
    let before = site.stores(contents);

    // There, killed in the middle of it.
    let addresses = on_servers();
    let servers = config(&addresses);
    let file = file_of(&addresses, site.data());
    let mut child = Command::new(env!("CARGO_BIN_EXE_vigia"))
        .args(["migrate", "--to"])
        .arg(&file)
        .arg("--data-dir")
        .arg(site.data())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let told = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let copying = told.into_iter().find(|line| line.contains("copying objects"));
    assert!(copying.is_some(), "it ended by itself");
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
    let half = opened(&site, &servers, site.data(), async |stores: &Stores| {
        (stores.cameras.cameras().await.unwrap().len(), stores.actions.newest_id().await.unwrap())
    });
    assert_eq!(half, (2, None), "the rows are there, and the log not yet");

    let told = Mutex::new(BTreeSet::new());
    let progress = |step: MigrateStep<'_>| {
        told.lock().unwrap().insert(step.what.to_owned());
    };
    let migrated: Migrated = office(&site.config, site.data()).migrate(&servers, None, &progress).unwrap();
    assert_eq!((migrated.rows["tracklets"], migrated.rows["detections"]), (1200, 1202));
    assert_eq!((migrated.objects, migrated.findings.len()), (305, 0), "{migrated:?}");
    assert!(told.lock().unwrap().contains("comparing objects"));
    same(&opened(&site, &servers, site.data(), contents), &before);
    let (here, there) = (site.stores(entries), opened(&site, &servers, site.data(), entries));
    assert_eq!(here, there, "chains and all");
    let last = here.last().unwrap();
    assert_eq!((last.action, &last.outcome), (Action::MigrateSite, &Outcome::Succeeded));
    assert_eq!(last.details["copied"]["objects"], 305);
    assert!(!last.details.to_string().contains("vigia:"), "no password: {}", last.details);

    // The console goes on there, in the same chain.
    let moved = office(&servers, site.data());
    assert_eq!(moved.verify_log().unwrap().1, []);
    let checked = moved.check(true, false).unwrap();
    let left = checked.misfits.iter().filter(|m| !matches!(m, vigia::site::Misfit::Orphan { .. })).count();
    assert_eq!(left, 0, "{checked:?}");
    let now = SystemClock.now();
    drop(moved);
    let login = opened(&site, &servers, site.data(), async |stores: &Stores| {
        stores.users.verify_login("1", "correct horse battery staple", "a console", now).await.unwrap()
    });
    assert!(matches!(login, vigia::store::LoginOutcome::Granted(_)), "{login:?}");

    // And back, into another folder.
    let back = tempfile::tempdir().unwrap();
    let home = SiteConfig::default();
    office(&servers, site.data()).migrate(&home, Some(back.path()), &quiet).unwrap();
    same(&opened(&site, &home, back.path(), contents), &before);
    assert_eq!(opened(&site, &home, back.path(), entries), opened(&site, &servers, site.data(), entries));
    let office = office(&home, back.path());
    assert_eq!(office.verify_log().unwrap().1, [], "a chain of its own begins behind those that came");
    assert!(office.check(true, false).unwrap().misfits.iter().all(|m| matches!(m, vigia::site::Misfit::Orphan { .. })));
}

#[test]
fn what_is_at_the_target_is_never_touched_and_a_source_in_use_is_not_copied() {
    let site = Site::new(Addresses::default());
    site.stores(fill);
    let refused = |config: &SiteConfig| {
        let error = office(&site.config, site.data()).migrate(config, None, &quiet).unwrap_err();
        assert!(!matches!(error, MigrateError::NotTheSame(_)), "{error}");
        error.to_string()
    };
    assert!(refused(&site.config).contains("nothing to copy"));

    // Each store in turn holds something of somebody else.
    for strange in 0..5 {
        let addresses = on_servers();
        let target = config(&addresses);
        opened(&site, &target, site.data(), async |stores: &Stores| {
            let now = SystemClock.now();
            let user = NewUser {
                cc: "9".to_owned(),
                email: "x@police.example".to_owned(),
                name: "Eva Reis".to_owned(),
                password: "correct horse battery staple".to_owned(),
                is_admin: true,
            };
            let camera: Camera = serde_json::from_value(serde_json::json!({
                "id": Uuid::now_v7(), "name": "Other", "url": "test:", "location": null, "added_at": now, "active": false,
                "is_virtual": false, "configured": false,
            }))
            .unwrap();
            let suspect: Suspect = serde_json::from_value(serde_json::json!({
                "id": Uuid::now_v7(), "label": "Suspect 1", "colour": [1, 2, 3], "reason": "theft", "marked_by": "1",
                "marked_at": now, "camera": camera.id, "expires_at": now.plus(Duration::from_secs(9000)), "ended_at": null,
                "crop_url": url_of_key("crops/a.jpg"), "gallery": [], "changed_at": now,
            }))
            .unwrap();
            match strange {
                0 => drop(stores.users.create_first_administrator(user, now).await.unwrap()),
                1 => stores.cameras.upsert_camera(&camera).await.unwrap(),
                2 => drop(stores.actions.claim(Uuid::new_v4()).await.unwrap()),
                3 => stores.objects.put("crops/other.jpg", jpeg(), "image/jpeg").await.unwrap(),
                _ => stores.suspects.put_suspect(&suspect).await.unwrap(),
            }
        });
        let why = refused(&target);
        assert!(why.contains("hold something else already"), "{strange}: {why}");
        let copied = opened(&site, &target, site.data(), async |stores: &Stores| {
            (stores.users.users().await.unwrap().len(), stores.cameras.cameras().await.unwrap().len())
        });
        assert_eq!(copied, (usize::from(strange == 0), usize::from(strange == 1)), "nothing was copied");
    }

    // Somebody works with the source, or with the target.
    {
        let _running = DataFolder::open(site.data()).unwrap();
        let error = Office::open(&site.config, site.data(), Arc::new(SystemClock)).err().unwrap();
        assert!(error.to_string().contains("is using"), "{error}");
    }
    let addresses = on_servers();
    let target = config(&addresses);
    let other = site.runtime.block_on(async {
        let address =
            format!("{}{}application_name=vigia%201", addresses[1], if addresses[1].contains('?') { "&" } else { "?" });
        <sqlx::PgConnection as sqlx::Connection>::connect(&address).await.unwrap()
    });
    let why = refused(&target);
    assert!(why.contains("1 other consoles are connected to the database of cameras"), "{why}");
    site.runtime.block_on(async { sqlx::Connection::close(other).await.unwrap() });

    // What is not in its store yet would not be in the copy.
    let nowhere =
        Addresses { suspects: Some(Address::parse("redis://127.0.0.1:1/0").unwrap()), ..Addresses::default() };
    let waiting = SiteConfig { stores: nowhere, ..SiteConfig::default() };
    let suspect = site.stores(async |stores| stores.cameras.suspects().await.unwrap().remove(0));
    site.runtime.block_on(async {
        let journal = site.data().join("databases/journal.sqlite");
        let journal = Journal::open(journal, Arc::new(SystemClock)).await.unwrap();
        journal.append(&[Record::Suspect(suspect)]).await.unwrap();
        journal.close().await;
    });
    let error = office(&waiting, site.data()).migrate(&target, None, &quiet).unwrap_err();
    assert!(matches!(error, MigrateError::Waiting(1)), "{error}");

    site.stores(async |stores| {
        let filter = LogFilter { action: Some(Action::MigrateSite), ..LogFilter::default() };
        let entries = stores.actions.page(&filter, None, 100).await.unwrap();
        assert_eq!(entries.len(), 8, "each attempt is an entry");
        assert!(entries.iter().all(|e| matches!(e.outcome, Outcome::Refused(_))), "{entries:?}");
    });
}
