use super::*;
use crate::{
    evidence::{Finding, SiteKey, verify},
    model::{Camera, Gap, Rect, Segment, SystemClock, TrackId, Tracklet},
    site::{
        SiteConfig,
        small_disk::{fill, on_a_small_disk},
    },
    store::{DataFolder, DeletedBy, LogFilter, cameras, key_of_url, url_of_key},
    video::tests::launch,
    vision::sha256_of,
};
use std::sync::Mutex;
use uuid::Uuid;

const T0: Timestamp = Timestamp(1_795_356_202_000_000);

fn at(seconds: f64) -> Timestamp {
    Timestamp(T0.0 + (seconds * 1e6) as i64)
}

/// A site with two cameras: ten seconds of the gate are recorded, in two files, and nothing of the yard. The suspect was
/// clicked at the gate, confirmed in the yard, possibly seen at the gate again, and rejected there once.
struct Scene {
    dir: tempfile::TempDir,
    records: Records,
    gate: Camera,
    yard: Camera,
    suspect: Suspect,
    keys: Vec<String>,
    _folder: DataFolder,
}

impl Scene {
    async fn new() -> Self {
        Self::of(SiteConfig::default()).await
    }

    async fn of(config: SiteConfig) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(dir.path().join("data")).unwrap();
        let records = Records::open(&folder, &config, Arc::new(SystemClock)).await.unwrap();
        let store = records.stores.cameras.clone();
        let gate = Camera { name: "Gate north".to_owned(), ..cameras::tests::camera() };
        let yard = Camera { id: Uuid::now_v7(), name: "Yard".to_owned(), ..cameras::tests::camera() };
        for camera in [&gate, &yard] {
            store.upsert_camera(camera).await.unwrap();
        }
        let file = dir.path().join("segment.mkv");
        launch(&format!(
            "videotestsrc num-buffers=125 pattern=ball ! video/x-raw,format=I420,width=160,height=120,framerate=25/1 ! \
             x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 ! h264parse ! matroskamux ! filesink location=\"{}\"",
            file.display()
        ));
        let mut keys = Vec::new();
        for n in 0..2_u32 {
            let key = format!("videos/{n}.mkv");
            records.stores.objects.put_file(&key, &file, &|_| ()).await.unwrap();
            let (starts_at, ends_at) = (at(5.0 * f64::from(n)), at(5.0 * f64::from(n + 1)));
            let segment = Segment {
                id: Uuid::now_v7(),
                camera: gate.id,
                starts_at,
                ends_at,
                video_url: url_of_key(&key),
                format: "matroska".to_owned(),
                codec: "h264".to_owned(),
                width: 160,
                height: 120,
                size: fs::metadata(&file).unwrap().len(),
                sha256: sha256_of(&file).unwrap(),
                upload: None,
                clock_offset: None,
            };
            store.put_segment(&segment).await.unwrap();
            keys.push(key);
        }
        let gap = Gap {
            id: Uuid::now_v7(),
            camera: yard.id,
            from: at(-100.0),
            until: None,
            reason: "the camera is not recorded".to_owned(),
        };
        store.put_gap(&gap).await.unwrap();
        let suspect = Suspect { marked_at: at(4.0), ..cameras::tests::suspect(gate.id, "Suspect 1") };
        store.put_suspect(&suspect).await.unwrap();
        let by = "12345678".to_owned();
        for (camera, from, until, decision) in [
            (&gate, 4.0, 6.0, Decision::Origin),
            (&yard, 20.0, 30.0, Decision::Confirmed { by: by.clone(), at: at(31.0) }),
            (&gate, 8.0, 9.0, Decision::Pending),
            (&gate, 1.0, 2.0, Decision::Rejected { by, at: at(31.0) }),
        ] {
            let sighting = Sighting {
                id: Uuid::now_v7(),
                camera: camera.id,
                track: TrackId(from as u64),
                entered_at: at(from),
                last_seen_at: at(until),
                left_at: Some(at(until)),
                decision,
                ..cameras::tests::sighting(&suspect)
            };
            store.put_sighting(&sighting).await.unwrap();
        }
        let tracklet = Tracklet {
            id: Uuid::now_v7(),
            camera: gate.id,
            track: TrackId(4),
            upload: None,
            starts_at: at(4.0),
            ends_at: at(6.0),
            frame: (160, 120),
            path: (0..20).map(|n| (at(4.0 + f64::from(n) / 10.0), Rect::new(8.0, 8.0, 20.0, 40.0))).collect(),
            crop_url: String::new(),
            gallery: Vec::new(),
            characteristics: serde_json::Value::Null,
            suspect: None,
        };
        store.put_tracklet(&tracklet).await.unwrap();
        let crop = key_of_url(&suspect.crop_url).unwrap();
        records.stores.objects.put(crop, b"\xff\xd8picture".to_vec(), "image/jpeg").await.unwrap();
        for (action, camera) in [(Action::SelectSuspect, &gate), (Action::DecideMatch, &yard)] {
            let mut entry = records.entry(("12345678", "Ana Sousa"), action, Outcome::Succeeded);
            entry.target = Some(suspect.id.to_string());
            entry.details = json!({ "suspect": suspect.id, "camera": camera.name, "camera_id": camera.id });
            records.journal.append(&[Record::Action(entry)]).await.unwrap();
        }
        Self { dir, records, gate, yard, suspect, keys, _folder: folder }
    }

    /// Records the yard from `starts` on, seconds, by this encoder; returns what the index knows of it.
    async fn record_yard(&self, name: &str, starts: f64, seconds: u32, encoder: &str, codec: &str) -> Segment {
        let file = self.dir.path().join("yard.mkv");
        launch(&format!(
            "videotestsrc num-buffers={} pattern=ball ! video/x-raw,format=I420,width=160,height=120,framerate=25/1 ! \
             {encoder} ! matroskamux ! filesink location=\"{}\"",
            25 * seconds,
            file.display()
        ));
        let key = format!("videos/{name}.mkv");
        self.records.stores.objects.put_file(&key, &file, &|_| ()).await.unwrap();
        let segment = Segment {
            id: Uuid::now_v7(),
            camera: self.yard.id,
            starts_at: at(starts),
            ends_at: at(starts + f64::from(seconds)),
            video_url: url_of_key(&key),
            format: "matroska".to_owned(),
            codec: codec.to_owned(),
            width: 160,
            height: 120,
            size: fs::metadata(&file).unwrap().len(),
            sha256: sha256_of(&file).unwrap(),
            upload: None,
            clock_offset: None,
        };
        fs::remove_file(&file).unwrap();
        self.records.stores.cameras.put_segment(&segment).await.unwrap();
        segment
    }

    fn request(&self, name: &str) -> ExportRequest {
        ExportRequest {
            of: ExportOf::Suspect(self.suspect.id),
            to: self.dir.path().join(name),
            reason: "case 17".to_owned(),
            recipient: "the court".to_owned(),
            case: None,
            pending: false,
            burn_in: true,
            margin: Duration::from_secs(1),
        }
    }

    async fn export(&self, rights: &Rights, request: &ExportRequest) -> Result<Exported, ExportError> {
        self.export_watched(rights, request, Arc::new(|_, _| true)).await
    }

    async fn export_watched(
        &self,
        rights: &Rights,
        request: &ExportRequest,
        progress: ExportProgress,
    ) -> Result<Exported, ExportError> {
        self.records.export_evidence(("12345678", "Ana Sousa"), rights, "Harbour", request, progress).await
    }

    /// The newest entry of the log.
    async fn logged(&self) -> crate::model::ActionRecord {
        self.records.delivery.flush().await;
        self.records.stores.actions.page(&LogFilter::default(), None, 1).await.unwrap().remove(0)
    }

    fn left_over(&self) -> Vec<String> {
        let here = fs::read_dir(self.dir.path()).unwrap().map(|e| e.unwrap().file_name());
        let exports = DataFolder::exports_in(&self.records.data);
        let inside = fs::read_dir(exports.path().unwrap()).into_iter().flatten().map(|e| e.unwrap().file_name());
        let names = here.chain(inside).map(|n| n.to_string_lossy().into_owned());
        names.filter(|n| !["data", "segment.mkv"].contains(&n.as_str())).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_holds_all_stays_names_what_is_missing_and_verifies() {
    let scene = Scene::new().await;
    let request = scene.request("package.zip");
    let plan = scene.records.plan_export(&Rights::All, &request).await.unwrap();
    assert_eq!((plan.stops.len(), plan.stretches), (2, 1));
    let missing = MissingVideo {
        camera: scene.yard.id,
        camera_name: "Yard".to_owned(),
        from: at(20.0),
        until: at(30.0),
        reason: "the camera is not recorded".to_owned(),
    };
    assert_eq!(plan.missing, [missing]);
    let heard: Arc<Mutex<Vec<f32>>> = Arc::default();
    let hears = Arc::clone(&heard);
    let progress = move |fraction: f32, _: &str| {
        hears.lock().unwrap().push(fraction);
        true
    };
    let done = scene.export_watched(&Rights::All, &request, Arc::new(progress)).await.unwrap();
    assert!(heard.lock().unwrap().is_sorted() && heard.lock().unwrap().last() > Some(&0.9));
    let key = SiteKey::open(&DataFolder::evidence_key_in(&scene.records.data)).unwrap().public();
    let verdict = verify(&request.to, Some(key)).unwrap();
    assert_eq!((verdict.findings, verdict.manifest.as_ref()), (Vec::<Finding>::new(), Some(&done.manifest)));
    let m = &done.manifest;
    assert_eq!((m.clips.len(), m.stops.len(), m.missing.len()), (1, 2, 1));
    // from the key frame at 3 s (asked for) to 7 s, over two files
    assert_eq!((&m.clips[0].from.utc, &m.clips[0].until.utc), (&at(3.0).to_string(), &at(7.0).to_string()));
    assert_eq!((m.clips[0].cut_from.len(), &m.clips[0].note), (2, &None));
    let drawn = m.clips[0].burnt_in.as_deref();
    assert_eq!(drawn, Some("videos/001-gate-north-20261122T140325Z-1-boxes.mp4"));
    let names: Vec<&str> = m.files.iter().map(|f| f.name.as_str()).collect();
    assert!(names.contains(&"videos/001-gate-north-20261122T140325Z-1.mp4"), "{names:?}");
    assert!(names.iter().any(|n| n.starts_with("boxes/")) && names.contains(&"audit.jsonl"), "{names:?}");
    assert_eq!(scene.left_over(), ["package.zip"]);
    let entry = scene.logged().await;
    assert_eq!((entry.action, &entry.outcome), (Action::ExportEvidence, &Outcome::Succeeded));
    assert_eq!(entry.details["sha256"], sha256_of(&request.to).unwrap().as_str());
    assert_eq!((&entry.details["reason"], &entry.details["recipient"]), (&"case 17".into(), &"the court".into()));

    let table = scene.dir.path().join("movement.csv");
    let export = async || scene.records.export_movement(("1", "A"), &Rights::All, scene.suspect.id, &table).await;
    assert_eq!(export().await.unwrap(), 3);
    let text = fs::read_to_string(&table).unwrap();
    assert!(text.lines().count() == 4 && text.contains("Yard") && text.contains("confirmed,12345678"), "{text}");
    assert_eq!(scene.logged().await.details["what"], "movement log");
    assert!(matches!(export().await, Err(ExportError::Exists(_))));

    let more = ExportRequest { pending: true, ..scene.request("more.zip") };
    let done = scene.export(&Rights::All, &more).await.unwrap();
    assert_eq!(done.manifest.stops.len(), 3, "the rejected one is in no package");
}

#[tokio::test(flavor = "multi_thread")]
async fn cameras_that_a_user_may_not_see_are_not_handed_out() {
    let scene = Scene::new().await;
    let gate = Rights::Only([scene.gate.id].into());
    let done = scene.export(&gate, &scene.request("gate.zip")).await.unwrap();
    assert_eq!((done.manifest.stops.len(), done.manifest.missing.len(), done.manifest.cameras.len()), (1, 0, 1));
    let text = String::from_utf8_lossy(&fs::read(&done.to).unwrap()).into_owned();
    assert!(!text.contains("Yard") && !text.contains(&scene.yard.id.to_string()));
    let elsewhere = Rights::Only([Uuid::from_u128(99)].into());
    let refused = scene.export(&elsewhere, &scene.request("none.zip")).await.unwrap_err();
    assert!(matches!(refused, ExportError::NoSuspect(_)), "{refused}");
    let entry = scene.logged().await;
    assert!(matches!(entry.outcome, Outcome::Refused(_)) && entry.action == Action::ExportEvidence);
    assert_eq!(scene.left_over(), ["gate.zip"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_told_recorded_and_leaves_nothing_behind() {
    let scene = Scene::new().await;
    let told = async |request: &ExportRequest, progress: ExportProgress| {
        let told = scene.export_watched(&Rights::All, request, progress).await.unwrap_err().to_string();
        let entry = scene.logged().await;
        assert_eq!(entry.action, Action::ExportEvidence);
        assert_eq!(entry.outcome.parts().1, Some(told.as_str()));
        assert_eq!(scene.left_over(), Vec::<String>::new());
        told
    };
    let yes: ExportProgress = Arc::new(|_, _| true);
    let request = scene.request("p.zip");
    assert!(told(&ExportRequest { reason: " ".to_owned(), ..request.clone() }, yes.clone()).await.contains("reason"));
    let to_nobody = ExportRequest { recipient: String::new(), ..request.clone() };
    assert!(told(&to_nobody, yes.clone()).await.contains("whom"));
    let nowhere = ExportRequest { to: scene.dir.path().join("no folder/p.zip"), ..request.clone() };
    assert!(told(&nowhere, yes.clone()).await.contains("cannot be written"));
    let there = ExportRequest { to: scene.dir.path().join("segment.mkv"), ..request.clone() };
    assert!(told(&there, yes.clone()).await.contains("exists already"));
    for stop_at in [0.0, 0.8, 0.81] {
        let stops: ExportProgress = Arc::new(move |fraction, _| fraction < stop_at);
        assert!(told(&request, stops).await.contains("cancelled"));
    }
    // The store fails in the middle: the second file turns out to be a folder.
    let second = scene.records.data.join("objects").join(&scene.keys[1]);
    let kept = fs::read(&second).unwrap();
    fs::remove_file(&second).unwrap();
    fs::create_dir(&second).unwrap();
    assert!(told(&request, yes.clone()).await.contains("broken off"));
    // It is gone, or another: the rest is handed out, and the package says so.
    fs::remove_dir(&second).unwrap();
    let done = scene.export(&Rights::All, &request).await.unwrap();
    let at_gate: Vec<_> = done.manifest.missing.iter().filter(|m| m.camera == scene.gate.id).collect();
    assert!(at_gate.len() == 1 && at_gate[0].reason.contains("is gone"), "{at_gate:?}");
    assert_eq!(at_gate[0].until.utc, at(6.0).to_string());
    fs::write(&second, &kept[..kept.len() / 2]).unwrap();
    let other = ExportRequest { to: scene.dir.path().join("other.zip"), ..request };
    let done = scene.export(&Rights::All, &other).await.unwrap();
    assert!(done.manifest.clips[0].note.as_ref().is_some_and(|n| n.contains("not the one that was recorded")));
}

const H264: &str = "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 ! h264parse";
const H265: &str = "x265enc speed-preset=ultrafast key-int-max=25 option-string=log-level=none ! h265parse";

/// The report of a package.
fn report(package: &Path) -> String {
    let mut zip = zip::ZipArchive::new(fs::File::open(package).unwrap()).unwrap();
    let mut page = String::new();
    io::Read::read_to_string(&mut zip.by_name("report.html").unwrap(), &mut page).unwrap();
    page
}

#[tokio::test(flavor = "multi_thread")]
async fn how_far_a_cameras_own_clock_was_off_goes_with_its_video_and_no_time_is_changed_by_it() {
    let scene = Scene::new().await;
    let told = |offset, segment: Segment| Segment { clock_offset: Some(ClockOffset(offset)), ..segment };
    let yard = scene.record_yard("a", 20.0, 4, H264, "h264").await;
    let later = scene.record_yard("b", 24.0, 7, H264, "h264").await;
    for segment in [told(3_250_000, yard), told(3_602_000_000, later)] {
        scene.records.stores.cameras.put_segment(&segment).await.unwrap();
    }
    let done = scene.export(&Rights::All, &scene.request("package.zip")).await.unwrap();
    let m = &done.manifest;
    let of = |camera| m.stops.iter().find(|s| s.camera == camera).unwrap();
    assert_eq!((of(scene.gate.id).clock_offset, of(scene.yard.id).clock_offset), (None, Some(3.25)));
    assert_eq!(of(scene.yard.id).entered.utc, at(20.0).to_string());
    let clip = m.clips.iter().find(|c| c.camera == scene.yard.id).unwrap();
    assert_eq!((clip.clock_offset, &clip.from.utc, clip.uploaded), (Some(3.25), &at(20.0).to_string(), false));
    let jump = format!(
        "from {} on the camera's own clock is 1 h 0 min ahead of the site's, before that it was 3.2 s ahead",
        at(24.0)
    );
    assert_eq!(clip.note.as_deref(), Some(jump.as_str()));
    let camera = |id| m.cameras.iter().find(|c| c.id == id).unwrap().clock_offset;
    assert_eq!((camera(scene.gate.id), camera(scene.yard.id)), (None, Some(3602.0)), "as it was told last");
    let page = report(&done.to);
    assert!(page.contains("Yard: 1 h 0 min ahead") && page.contains("Gate north: not told by the camera"), "{page}");

    let cameras = vec![scene.yard.id, scene.gate.id];
    let of = ExportOf::Stretch { cameras, from: at(5.0), until: at(22.0) };
    let clip = scene.export(&Rights::All, &ExportRequest { of, ..scene.request("clip.zip") }).await.unwrap();
    let offsets: Vec<_> = clip.manifest.clips.iter().map(|c| (c.camera, c.clock_offset)).collect();
    assert_eq!(offsets, [(scene.yard.id, Some(3.25)), (scene.gate.id, None)]);
    let page = report(&clip.to);
    assert!(page.contains("<td>3.2 s ahead</td>") && page.contains("<td>not told by the camera</td>"), "{page}");

    let table = scene.dir.path().join("movement.csv");
    scene.records.export_movement(("1", "A"), &Rights::All, scene.suspect.id, &table).await.unwrap();
    let table = fs::read_to_string(&table).unwrap();
    let ends: Vec<_> = table.lines().map(|line| line.rsplit(',').next().unwrap()).collect();
    let unknown = "not told by the camera";
    assert_eq!(ends, ["camera_clock_ahead_seconds", unknown, unknown, "3.250"], "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_codec_and_a_clock_that_was_set_back_are_several_clips_and_nothing_is_missing() {
    let scene = Scene::new().await;
    scene.record_yard("a", 20.0, 4, H264, "h264").await;
    scene.record_yard("b", 24.0, 4, H265, "h265").await;
    // The clock is set back by two seconds here: what follows overlaps, and is told twice.
    scene.record_yard("c", 26.0, 5, H265, "h265").await;
    let done = scene.export(&Rights::All, &scene.request("package.zip")).await.unwrap();
    let m = &done.manifest;
    assert_eq!(m.missing, Vec::new());
    let yard: Vec<_> = m.clips.iter().filter(|c| c.camera == scene.yard.id).collect();
    let of: Vec<_> = yard.iter().map(|c| (c.codec.as_str(), c.from.utc.as_str(), c.cut_from.len())).collect();
    let [a, b, c] = [20.0, 24.0, 26.0].map(|t| at(t).to_string());
    assert_eq!(of, [("h264", a.as_str(), 1), ("h265", b.as_str(), 1), ("h265", c.as_str(), 1)]);
    assert!(yard.iter().all(|c| c.note.is_none()), "{yard:?}");
    assert!(Timestamp::parse(&yard[2].until.utc).unwrap() >= at(30.0), "to the end of the stay");
    let key = SiteKey::open(&DataFolder::evidence_key_in(&scene.records.data)).unwrap().public();
    assert_eq!(verify(&done.to, Some(key)).unwrap().findings, Vec::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_dies_or_hangs_in_the_middle_leaves_nothing_behind() {
    let server = crate::servers::S3::start();
    let objects = crate::store::Address::parse(&server.prefix()).unwrap();
    let mut config = SiteConfig::default();
    config.stores.objects = Some(objects);
    let scene = Arc::new(Scene::of(config).await);
    scene.records.delivery.flush().await;

    // It hangs while a file is read, and the operator does not wait.
    let server = Arc::new(server);
    let (hangs, asked) = (Arc::clone(&server), Arc::new(Mutex::new(0)));
    let cancels: ExportProgress = Arc::new(move |_, what: &str| {
        let mut asked = asked.lock().unwrap();
        if what.starts_with("Video") {
            hangs.freeze();
        }
        *asked += 1;
        *asked < 4
    });
    let request = scene.request("p.zip");
    let exporting = scene.export_watched(&Rights::All, &request, cancels);
    let told = tokio::time::timeout(Duration::from_secs(60), exporting).await.unwrap().unwrap_err();
    server.thaw();
    assert!(matches!(told, ExportError::Cancelled), "{told}");
    assert_eq!(scene.left_over(), Vec::<String>::new());
    assert!(matches!(scene.logged().await.outcome, Outcome::Failed(_)));

    // It is killed.
    let killed = Arc::clone(&server);
    let kills: ExportProgress = Arc::new(move |_, what: &str| {
        if what.starts_with("Video") {
            killed.kill();
        }
        true
    });
    let told = scene.export_watched(&Rights::All, &scene.request("p.zip"), kills).await.unwrap_err();
    assert!(told.to_string().contains("broken off, and nothing of it is left"), "{told}");
    assert_eq!(scene.left_over(), Vec::<String>::new());
    let entry = scene.logged().await;
    assert_eq!((entry.action, entry.outcome.parts().1), (Action::ExportEvidence, Some(told.to_string().as_str())));

    // It is back, and so is the evidence.
    server.restart();
    let done = scene.export(&Rights::All, &scene.request("p.zip")).await.unwrap();
    assert_eq!(done.manifest.clips.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_that_does_not_fit_or_cannot_be_written_is_refused_before_anything_is_cut() {
    let scene = Scene::new().await;
    let mut vast = scene.record_yard("vast", 20.0, 2, H264, "h264").await;
    vast.size = 1 << 60;
    vast.id = Uuid::now_v7();
    scene.records.stores.cameras.put_segment(&vast).await.unwrap();
    let told = scene.export(&Rights::All, &scene.request("p.zip")).await.unwrap_err();
    assert!(matches!(told, ExportError::NoRoom { .. }) && told.to_string().contains("MiB free"), "{told}");
    // Nobody writes there, not even root.
    let there = ExportRequest { to: PathBuf::from("/sys/kernel/p.zip"), ..scene.request("p.zip") };
    let told = scene.export(&Rights::All, &there).await.unwrap_err().to_string();
    assert!(told.contains("cannot be written") && told.contains("/sys/kernel"), "{told}");
    assert!(matches!(scene.logged().await.outcome, Outcome::Failed(_)));
    assert_eq!(scene.left_over(), Vec::<String>::new());
}

#[test]
fn a_disk_that_fills_up_meanwhile_is_told_and_nothing_half_written_is_left_on_it() {
    let name = "site::export::tests::a_disk_that_fills_up_meanwhile_is_told_and_nothing_half_written_is_left_on_it";
    on_a_small_disk(name, 16, |disk| {
        let there = || -> Vec<_> { fs::read_dir(disk).unwrap().map(|e| e.unwrap().file_name()).collect() };
        let filler = disk.join("filler");
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let scene = Scene::new().await;
            let fills = |at: &'static str| -> ExportProgress {
                let filler = filler.clone();
                Arc::new(move |_, what: &str| {
                    if what.starts_with(at) && !filler.exists() {
                        fill(&filler, 0);
                    }
                    true
                })
            };
            // The disk of the package.
            let request = ExportRequest { to: disk.join("p.zip"), ..scene.request("p.zip") };
            let told = scene.export_watched(&Rights::All, &request, fills("Pictures")).await.unwrap_err();
            assert!(matches!(told, ExportError::Target(StoreError::Full { .. })), "{told}");
            assert_eq!(there(), ["filler"]);
            assert_eq!(scene.logged().await.outcome, Outcome::Failed(told.to_string()));
            fs::remove_file(&filler).unwrap();
            let done = scene.export(&Rights::All, &request).await.unwrap();
            assert_eq!(verify(&done.to, None).unwrap().findings, []);
            fs::remove_file(&done.to).unwrap();

            // The disk on which clips are cut.
            DataFolder::exports_in(&scene.records.data).remove();
            std::os::unix::fs::symlink(disk, scene.records.data.join("exports")).unwrap();
            let request = scene.request("p.zip");
            let told = scene.export_watched(&Rights::All, &request, fills("Video")).await.unwrap_err();
            assert!(told.to_string().contains("cannot be written"), "{told}");
            assert_eq!(there(), ["filler"]);
            assert!(!request.to.exists());
            assert_eq!(scene.logged().await.outcome, Outcome::Failed(told.to_string()));
        });
    });
}

/// The size limit takes all that nothing keeps.
async fn make_room(records: &Records) -> usize {
    let (store, now) = (&records.stores.cameras, records.clock.now());
    let mut book = crate::store::Book { kept: &crate::store::Kept::default, entry: &mut |_| None };
    let piece = store.delete_oldest_recorded(DeletedBy::Size, now, &mut book, None, 99, &mut |_| true).await.unwrap();
    piece.deleted.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_plan_promised_stays_and_what_was_deleted_is_not_called_never_recorded() {
    let scene = Arc::new(Scene::new().await);
    let store = &scene.records.stores.cameras;
    let ended = Suspect { ended_at: Some(at(40.0)), changed_at: scene.records.clock.now(), ..scene.suspect.clone() };
    store.put_suspect(&ended).await.unwrap(); // so that nothing but the promise keeps it
    let of = ExportOf::Stretch { cameras: vec![scene.gate.id], from: at(4.0), until: at(6.0) };
    let request = |name: &str| ExportRequest { of: of.clone(), ..scene.request(name) };

    let promise = Uuid::now_v7();
    let plan = scene.records.plan_and_promise(&Rights::All, &request("a.zip"), promise).await.unwrap();
    assert_eq!((plan.stretches, plan.missing), (1, Vec::new()));
    assert_eq!(make_room(&scene.records).await, 0, "both files of it are promised");
    scene.records.end_promise(promise).await;

    // While the package is written, too.
    let (watched, deleted) = (Arc::clone(&scene), Arc::new(Mutex::new(None)));
    let told = Arc::clone(&deleted);
    let progress: ExportProgress = Arc::new(move |_, what: &str| {
        if what.starts_with("Video") {
            let now = tokio::runtime::Handle::current();
            *told.lock().unwrap() = Some(tokio::task::block_in_place(|| now.block_on(make_room(&watched.records))));
        }
        true
    });
    let done = scene.export_watched(&Rights::All, &request("a.zip"), progress).await.unwrap();
    assert_eq!((*deleted.lock().unwrap(), done.manifest.missing.len()), (Some(0), 0));

    assert_eq!(make_room(&scene.records).await, 2, "nobody needs it any more");
    let said = format!("recorded and deleted on {} by the size limit", scene.records.clock.now().utc_day());
    let plan = scene.records.plan_export(&Rights::All, &scene.request("b.zip")).await.unwrap();
    let gate = plan.missing.iter().find(|m| m.camera == scene.gate.id).unwrap();
    assert_eq!((gate.from, gate.until, &gate.reason), (at(4.0), at(6.0), &said));
    let done = scene.export(&Rights::All, &scene.request("b.zip")).await.unwrap();
    assert!(done.manifest.missing.iter().any(|m| m.reason == said), "{:?}", done.manifest.missing);
    assert!(report(&done.to).contains(&said));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hole_has_as_many_reasons_as_it_has() {
    let scene = Scene::new().await;
    let store = &scene.records.stores.cameras;
    let gap = Gap {
        id: Uuid::now_v7(),
        camera: scene.gate.id,
        from: at(12.0),
        until: Some(at(15.0)),
        reason: "no pictures".to_owned(),
    };
    store.put_gap(&gap).await.unwrap();
    let of = ExportOf::Stretch { cameras: vec![scene.gate.id], from: at(8.0), until: at(20.0) };
    let plan = scene.records.plan_export(&Rights::All, &ExportRequest { of, ..scene.request("a.zip") }).await.unwrap();
    let told: Vec<_> = plan.missing.iter().map(|m| (m.from, m.until, m.reason.as_str())).collect();
    let none = "no video was recorded";
    assert_eq!(told, [(at(10.0), at(12.0), none), (at(12.0), at(15.0), "no pictures"), (at(15.0), at(20.0), none)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clip_is_cut_out_of_the_cameras_shown_and_says_what_it_lacks() {
    let scene = Scene::new().await;
    let cameras = vec![scene.gate.id, scene.yard.id];
    let of = ExportOf::Stretch { cameras, from: at(4.5), until: at(12.0) };
    let request = |name: &str| ExportRequest { of: of.clone(), ..scene.request(name) };
    let clip = request("clip.zip");
    let plan = scene.records.plan_export(&Rights::All, &clip).await.unwrap();
    let missing: Vec<_> =
        plan.missing.iter().map(|m| (m.camera_name.as_str(), m.from, m.until, m.reason.as_str())).collect();
    let lacking = [
        ("Gate north", at(10.0), at(12.0), "no video was recorded"),
        ("Yard", at(4.5), at(12.0), "the camera is not recorded"),
    ];
    assert_eq!((plan.stretches, &missing[..]), (1, &lacking[..]));
    assert!(plan.bytes > 0);

    let done = scene.export(&Rights::All, &clip).await.unwrap();
    let key = SiteKey::open(&DataFolder::evidence_key_in(&scene.records.data)).unwrap().public();
    let verdict = verify(&clip.to, Some(key)).unwrap();
    assert_eq!((verdict.findings, verdict.manifest.as_ref()), (Vec::<Finding>::new(), Some(&done.manifest)));
    let m = &done.manifest;
    assert!(m.suspect.is_none() && m.stops.is_empty() && m.missing.len() == 2 && m.cameras.len() == 2);
    // from the key frame at 4 s to the end of the video, over two files
    assert_eq!(m.clips.len(), 1);
    assert_eq!((&m.clips[0].from.utc, &m.clips[0].until.utc), (&at(4.0).to_string(), &at(10.0).to_string()));
    assert_eq!(scene.left_over(), ["clip.zip"]);
    let entry = scene.logged().await;
    let target = format!("{} {}", scene.gate.id, scene.yard.id);
    assert_eq!((entry.action, &entry.outcome), (Action::ExportEvidence, &Outcome::Succeeded));
    assert_eq!(entry.target, Some(target));
    assert_eq!((&entry.details["what"], &entry.details["reason"]), (&"clip".into(), &"case 17".into()));
    assert_eq!(entry.details["sha256"], sha256_of(&clip.to).unwrap().as_str());

    // Of a case it is noted there, and in no other.
    let fact = |n: u128| CaseFact {
        id: Uuid::from_u128(n),
        case: Uuid::from_u128(n),
        at: at(0.0),
        by: "12345678".to_owned(),
        by_name: "Ana Sousa".to_owned(),
        change: CaseChange::Open { number: format!("{n}/26"), name: "Kiosk".to_owned() },
    };
    let opened: Vec<_> = [1, 2].map(fact).into_iter().map(Record::CaseFact).collect();
    scene.records.journal.append(&opened).await.unwrap();
    let case = Some(Uuid::from_u128(2));
    let done = scene.export(&Rights::All, &ExportRequest { case, ..request("case.zip") }).await.unwrap();
    let [CaseFact { case: noted, change: CaseChange::HandOut(noted_clip), .. }] = &done.told[..] else {
        panic!("{:?}", done.told)
    };
    assert_eq!((Some(*noted), noted_clip.suspect, noted_clip.package.as_str()), (case, None, "case.zip"));
    scene.records.delivery.flush().await;
    let kept = Case::of(&scene.records.stores.cameras.case_facts().await.unwrap());
    assert_eq!(kept.iter().map(|c| c.clips.len()).collect::<Vec<_>>(), [0, 1]);

    // What may not be seen is not in it; what lacks a reason, or has no video, is refused and written down.
    let yard = Rights::Only([scene.yard.id].into());
    assert!(matches!(scene.export(&yard, &request("yard.zip")).await, Err(ExportError::NoVideo)));
    assert!(matches!(scene.logged().await.outcome, Outcome::Refused(_)));
    let gate = Rights::Only([scene.gate.id].into());
    let done = scene.export(&gate, &request("gate.zip")).await.unwrap();
    assert_eq!((done.manifest.cameras.len(), done.manifest.missing.len()), (1, 1));
    let silent = ExportRequest { reason: " ".to_owned(), ..request("silent.zip") };
    assert!(matches!(scene.export(&Rights::All, &silent).await, Err(ExportError::NoReason)));
    assert!(matches!(scene.export(&Rights::All, &clip).await, Err(ExportError::Exists(_))));
}
