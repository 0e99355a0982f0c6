//! Whether the stores of a site agree with each other, on embedded stores and on real servers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // helpers of tests fail as tests do
#[path = "check/migrate.rs"]
mod migrate;
mod servers;

use std::{collections::BTreeSet, fs, path::Path, sync::Arc, time::Duration};
use uuid::Uuid;
use vigia::{
    model::{
        Action, Camera, Clock as _, Decision, DetectionKind, DetectionRecord, Outcome, Rect, Segment, Sighting,
        Suspect, SystemClock, TrackId,
    },
    site::{Misfit, Office, SiteConfig},
    store::{Address, Addresses, DataFolder, DetectionFilter, LogFilter, NewUser, Stores, url_of_key},
};

const SHA256_OF_ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn jpeg() -> Vec<u8> {
    let mut bytes = Vec::new();
    let picture = image::RgbImage::from_fn(16, 32, |x, y| image::Rgb([x as u8 * 9, y as u8 * 7, 80]));
    image::codecs::jpeg::JpegEncoder::new(&mut bytes).encode_image(&picture).unwrap();
    bytes
}

/// A camera, a suspect with a sighting and a detection, a recorded file, and an operator who may see the camera.
async fn fill(stores: &Stores) -> (Camera, Suspect, DetectionRecord) {
    let now = SystemClock.now();
    let camera: Camera = serde_json::from_value(serde_json::json!({
        "id": Uuid::now_v7(), "name": "Gate", "url": "test:", "location": null, "added_at": now, "active": false,
        "is_virtual": false, "configured": false,
    }))
    .unwrap();
    let later = now.plus(Duration::from_secs(9000));
    let suspect: Suspect = serde_json::from_value(serde_json::json!({
        "id": Uuid::now_v7(), "label": "Suspect 1", "colour": [1, 2, 3], "reason": "theft", "marked_by": "1",
        "marked_at": now, "camera": camera.id, "expires_at": later, "ended_at": null,
        "crop_url": url_of_key("crops/a.jpg"), "gallery": [], "changed_at": now,
    }))
    .unwrap();
    let sighting = Sighting {
        id: Uuid::now_v7(),
        suspect: suspect.id,
        camera: camera.id,
        track: TrackId(1),
        entered_at: now,
        last_seen_at: now,
        left_at: Some(now),
        probability: 1.0,
        decision: Decision::Origin,
        crop_url: suspect.crop_url.clone(), // the same picture
        rect: Rect::new(0.0, 0.0, 10.0, 20.0),
    };
    let detection = DetectionRecord {
        id: Uuid::now_v7(),
        camera: camera.id,
        image_url: url_of_key("frames/a.jpg"),
        suspect_id: Some(suspect.id),
        captured_at: now,
        metadata: serde_json::Value::Null,
        kinds: vec![DetectionKind::Suspect],
        detection_box: Rect::new(0.0, 0.0, 10.0, 20.0).polygon().to_vec(),
    };
    let segment = Segment {
        id: Uuid::now_v7(),
        camera: camera.id,
        starts_at: now,
        ends_at: later,
        video_url: url_of_key("segments/a.mkv"),
        format: "matroska".to_owned(),
        codec: "h264".to_owned(),
        width: 320,
        height: 240,
        size: 3,
        sha256: SHA256_OF_ABC.to_owned(),
        upload: None,
        clock_offset: None,
    };
    stores.objects.put("crops/a.jpg", jpeg(), "image/jpeg").await.unwrap();
    stores.objects.put("frames/a.jpg", jpeg(), "image/jpeg").await.unwrap();
    stores.objects.put("segments/a.mkv", b"abc".to_vec(), "video/x-matroska").await.unwrap();
    stores.cameras.upsert_camera(&camera).await.unwrap();
    stores.cameras.put_suspect(&suspect).await.unwrap();
    stores.cameras.put_sighting(&sighting).await.unwrap();
    stores.cameras.put_detection(&detection).await.unwrap();
    let hour_ago = now.minus(Duration::from_secs(3600));
    let earlier = DetectionRecord { id: Uuid::now_v7(), captured_at: hour_ago, ..detection.clone() };
    stores.cameras.put_detection(&earlier).await.unwrap();
    stores.cameras.put_segment(&segment).await.unwrap();
    stores.suspects.put_suspect(&suspect).await.unwrap();
    let user = |cc: &str| NewUser {
        cc: cc.to_owned(),
        email: format!("{cc}@police.example"),
        name: "Ana Sousa".to_owned(),
        password: "correct horse battery staple".to_owned(),
        is_admin: cc == "1",
    };
    stores.users.create_first_administrator(user("1"), now).await.unwrap();
    let operator = stores.users.create(user("2"), now).await.unwrap();
    stores.users.set_grants("2", &BTreeSet::from([camera.id]), operator.version).await.unwrap();
    (camera, suspect, detection)
}

struct Site {
    folder: tempfile::TempDir,
    config: SiteConfig,
    runtime: tokio::runtime::Runtime,
}

impl Site {
    fn new(stores: Addresses) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = SiteConfig { stores, ..SiteConfig::default() };
        Self { folder, config, runtime: tokio::runtime::Runtime::new().unwrap() }
    }

    fn data(&self) -> &Path {
        self.folder.path()
    }

    /// Does something to the stores behind Vigia's back.
    fn stores<T>(&self, work: impl AsyncFnOnce(&Stores) -> T) -> T {
        let folder = DataFolder::open(self.data()).unwrap();
        self.runtime.block_on(async {
            let stores = Stores::open(&folder, &self.config.stores).await.unwrap();
            work(&stores).await
        })
    }

    /// Runs a statement on the cameras database without Vigia.
    fn behind_the_back(&self, statement: &'static str) {
        self.runtime.block_on(async {
            if let Some(address) = &self.config.stores.cameras {
                let mut db = <sqlx::PgConnection as sqlx::Connection>::connect(address.secret()).await.unwrap();
                sqlx::query(statement).execute(&mut db).await.unwrap();
            } else {
                let file = format!("sqlite:{}", self.data().join("databases/cameras.sqlite").display());
                let mut db = <sqlx::SqliteConnection as sqlx::Connection>::connect(&file).await.unwrap();
                sqlx::query(statement).execute(&mut db).await.unwrap();
            }
        });
    }

    fn office(&self) -> Office {
        Office::open(&self.config, self.data(), Arc::new(SystemClock)).unwrap()
    }

    /// A whole site fits; then everything is spoilt that can be, found, and put right where it can be derived.
    fn is_checked(&self) {
        let (camera, suspect, detection) = self.stores(fill);
        let whole = self.office().check(true, false).unwrap();
        assert!(whole.misfits.is_empty() && whole.is_whole(), "{whole:?}");
        assert_eq!((whole.records, whole.objects), (5, 3));

        let (nowhere, nobody) = (Uuid::now_v7(), Uuid::now_v7());
        self.stores(async |stores| {
            stores.objects.put("crops/left.jpg", jpeg(), "image/jpeg").await.unwrap();
            stores.objects.delete("frames/a.jpg").await.unwrap();
            stores.objects.delete("segments/a.mkv").await.unwrap();
            stores.objects.put("segments/a.mkv", b"abd".to_vec(), "video/x-matroska").await.unwrap();
            let lost = DetectionRecord { id: nobody, suspect_id: Some(nobody), ..detection.clone() };
            stores.cameras.put_detection(&lost).await.unwrap();
            let version = stores.users.user("2").await.unwrap().unwrap().version;
            stores.users.set_grants("2", &BTreeSet::from([camera.id, nowhere]), version).await.unwrap();
            stores
                .cameras
                .put_suspect(&Suspect { ended_at: Some(SystemClock.now()), ..suspect.clone() })
                .await
                .unwrap();
        });
        self.behind_the_back("UPDATE detections_a_minute SET n = n + 5");
        let found = self.office().check(true, false).unwrap();
        assert!(!found.is_whole());
        let has = |what: &str, is: &dyn Fn(&Misfit) -> bool| {
            assert!(found.misfits.iter().any(is), "{what}: {:?}", found.misfits);
        };
        let frame = detection.image_url.as_str();
        has("the frame", &|m| matches!(m, Misfit::MissingObject { record: "detection", url, .. } if url == frame));
        has("the video", &|m| matches!(m, Misfit::WrongObject { record: "segment", .. }));
        has("the picture", &|m| matches!(m, Misfit::Orphan { key, .. } if key == "crops/left.jpg"));
        has("nobody", &|m| matches!(m, Misfit::Dangling { missing, .. } if *missing == nobody));
        has("the count", &|m| matches!(m, Misfit::Count { counted: 6, there: 1, repaired: false, .. }));
        has("the right", &|m| matches!(m, Misfit::Grant { camera, repaired: false, .. } if *camera == nowhere));
        let shallow = self.office().check(false, true).unwrap();
        assert!(!shallow.misfits.iter().any(|m| matches!(m, Misfit::WrongObject { .. })), "only read when told to");
        assert!(shallow.misfits.iter().any(|m| matches!(m, Misfit::Grant { repaired: true, .. })), "{shallow:?}");
        let again = self.office().check(false, false).unwrap();
        let put_right = |m: &Misfit| matches!(m, Misfit::Grant { .. } | Misfit::Count { .. });
        assert!(!again.misfits.iter().any(put_right), "{again:?}");
        assert!(again.misfits.iter().any(|m| matches!(m, Misfit::Orphan { .. })), "never deleted");

        self.stores(async |stores| {
            let filter = LogFilter { action: Some(Action::CheckStores), ..LogFilter::default() };
            let entries = stores.actions.page(&filter, None, 10).await.unwrap();
            assert_eq!(entries.len(), 4);
            assert!(entries.iter().all(|e| e.outcome == Outcome::Succeeded));
        });
    }
}

#[test]
fn embedded_stores_are_compared() {
    let site = Site::new(Addresses::default());
    site.is_checked();
    let check = |more: &[&str]| {
        let mut vigia = std::process::Command::new(env!("CARGO_BIN_EXE_vigia"));
        vigia.args(["check", "--data-dir"]).arg(site.data()).args(more).output().unwrap()
    };
    let out = check(&[]);
    assert_eq!(out.status.code(), Some(1));
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(text.contains("crops/left.jpg") && text.contains("not everything fits"), "{text}");
    fs::write(site.data().join("objects/crops/left.jpg"), b"spoilt").unwrap(); // nobody's: not read
    let json: serde_json::Value = serde_json::from_slice(&check(&["--deep", "--json"]).stdout).unwrap();
    assert_eq!(json["objects"], 3);
}

/// A detection of a camera that nobody knows is refused; once the camera is there it is offered again and taken.
#[test]
fn what_a_store_refused_is_listed_with_its_reason_and_offered_again() {
    let site = Site::new(Addresses::default());
    let (camera, _, detection) = site.stores(fill);
    let unknown = Camera { id: Uuid::now_v7(), name: "Later".to_owned(), ..camera };
    let early = DetectionRecord { id: Uuid::now_v7(), camera: unknown.id, ..detection };
    site.runtime.block_on(async {
        let journal = site.data().join("databases/journal.sqlite");
        let journal = vigia::sync::Journal::open(journal, Arc::new(SystemClock)).await.unwrap();
        journal.append(&[vigia::sync::Record::Detection(early.clone())]).await.unwrap();
        journal.close().await;
    });
    let office = site.office();
    let refused = loop {
        let (stores, refused) = office.journal().unwrap();
        if !refused.is_empty() {
            assert_eq!(stores.iter().find(|s| s.store == "cameras").unwrap().set_aside, 1);
            break refused;
        }
    };
    assert_eq!((refused.len(), refused[0].store.as_str()), (1, "cameras"));
    assert!(refused[0].record.contains(&early.id.to_string()) && refused[0].why.contains("FOREIGN KEY"), "{refused:?}");
    drop(office);

    site.stores(async |stores| stores.cameras.upsert_camera(&unknown).await.unwrap());
    let mut vigia = std::process::Command::new(env!("CARGO_BIN_EXE_vigia"));
    let out = vigia.args(["journal", "--offer-again", "--data-dir"]).arg(site.data()).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(out.status.success() && text.contains("1 offered again"), "{text}");
    site.stores(async |stores| {
        let filter = DetectionFilter { camera: Some(unknown.id), ..DetectionFilter::default() };
        assert_eq!(stores.cameras.detections(&filter).await.unwrap(), [early]);
        let filter = LogFilter { action: Some(Action::RetryRecords), ..LogFilter::default() };
        let entries = stores.actions.page(&filter, None, 10).await.unwrap();
        assert_eq!(entries.len(), 1);
        assert!(entries[0].details.to_string().contains("detection:"), "{:?}", entries[0].details);
    });
}

#[test]
fn stores_on_servers_are_compared() {
    let address = |text: &str| Some(Address::parse(text).unwrap());
    let site = Site::new(Addresses {
        users: address(&servers::postgres().database()),
        cameras: address(&servers::postgres().database()),
        action_logs: address(&servers::mongo().database()),
        objects: address(&servers::s3().prefix()),
        suspects: address(&servers::redis().namespace()),
    });
    site.is_checked();
}
