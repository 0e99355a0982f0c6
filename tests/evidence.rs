//! Evidence from end to end, by the program itself: export a suspect's video, check the package on "another machine", and find
//! out every interference with it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // helpers of tests fail as tests do
use gstreamer::prelude::*;
use serde_json::Value;
use std::{
    fs,
    path::Path,
    process::{Command, Output},
};
use uuid::Uuid;
use vigia::{
    model::{Camera, Decision, Rect, Segment, Sighting, Suspect, Timestamp, TrackId},
    store::{Addresses, DataFolder, Stores, url_of_key},
};

/// 2026-11-22T14:03:22Z.
const T0: Timestamp = Timestamp(1_795_356_202_000_000);

fn vigia(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vigia")).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp(T0.0 + seconds * 1_000_000)
}

/// Eight seconds of H.265.
fn footage(to: &Path, pattern: &str) {
    gstreamer::init().unwrap();
    let pipeline = gstreamer::parse::launch(&format!(
        "videotestsrc num-buffers=200 pattern={pattern} ! video/x-raw,format=I420,width=320,height=240,framerate=25/1 ! \
         x265enc speed-preset=ultrafast key-int-max=25 option-string=log-level=none ! h265parse ! matroskamux ! \
         filesink location=\"{}\"",
        path(to)
    ))
    .unwrap();
    pipeline.set_state(gstreamer::State::Playing).unwrap();
    let ends = [gstreamer::MessageType::Eos, gstreamer::MessageType::Error];
    let end = pipeline.bus().unwrap().timed_pop_filtered(gstreamer::ClockTime::from_seconds(60), &ends).unwrap();
    assert!(matches!(end.view(), gstreamer::MessageView::Eos(_)));
    pipeline.set_state(gstreamer::State::Null).unwrap();
}

/// A data folder in which a suspect was seen at the gate for two seconds, of which there is video.
fn site(folder: &Path, pattern: &str) -> Suspect {
    let video = folder.with_extension("mkv");
    footage(&video, pattern);
    let data = DataFolder::open(folder).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let stores = runtime.block_on(Stores::open(&data, &Addresses::default())).unwrap();
    let camera: Camera = serde_json::from_value(serde_json::json!({
        "id": Uuid::from_u128(1), "name": "Gate", "url": "test:", "location": null, "added_at": 0, "active": true,
        "is_virtual": true,
    }))
    .unwrap();
    let suspect: Suspect = serde_json::from_value(serde_json::json!({
        "id": Uuid::from_u128(7), "label": "Suspect 1", "colour": [1, 2, 3], "reason": "theft", "marked_by": "12345678",
        "marked_at": at(3).0, "camera": camera.id, "expires_at": at(9000).0, "ended_at": null, "crop_url": "",
        "gallery": [], "changed_at": at(3).0,
    }))
    .unwrap();
    let sighting = Sighting {
        id: Uuid::from_u128(9),
        suspect: suspect.id,
        camera: camera.id,
        track: TrackId(1),
        entered_at: at(3),
        last_seen_at: at(5),
        left_at: Some(at(5)),
        probability: 1.0,
        decision: Decision::Origin,
        crop_url: String::new(),
        rect: Rect::new(0.0, 0.0, 10.0, 20.0),
    };
    let bytes = fs::read(&video).unwrap();
    let segment = Segment {
        id: Uuid::from_u128(2),
        camera: camera.id,
        starts_at: at(0),
        ends_at: at(8),
        video_url: url_of_key("videos/gate.mkv"),
        format: "matroska".to_owned(),
        codec: "h265".to_owned(),
        width: 320,
        height: 240,
        size: bytes.len() as u64,
        sha256: sha256(&bytes),
        upload: None,
        clock_offset: None,
    };
    runtime.block_on(async {
        stores.objects.put_file("videos/gate.mkv", &video, &|_| ()).await.unwrap();
        stores.cameras.upsert_camera(&camera).await.unwrap();
        stores.cameras.put_suspect(&suspect).await.unwrap();
        stores.cameras.put_sighting(&sighting).await.unwrap();
        stores.cameras.put_segment(&segment).await.unwrap();
    });
    suspect
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    vigia::model::Hash(sha2::Sha256::digest(bytes).into()).to_string()
}

/// Runs the program with files of at most so many bytes: what a full disk looks like to whoever writes.
fn vigia_with_small_files(bytes: usize, args: &[&str]) -> Output {
    // The limit is ignored as a signal, so that writing fails instead.
    let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", bytes / 1024);
    Command::new("bash").args(["-c", &script, env!("CARGO_BIN_EXE_vigia")]).args(args).output().unwrap()
}

#[test]
fn a_disk_that_fills_up_while_a_package_is_written_leaves_nothing_that_looks_like_one() {
    let dir = tempfile::tempdir().unwrap();
    let (data, package) = (dir.path().join("data"), dir.path().join("evidence.zip"));
    // Snow compresses badly: the package is larger than the databases.
    let suspect = site(&data, "snow").id.to_string();
    let args =
        ["export", "--suspect", &suspect, "--out", path(&package), "--reason", "case 17", "--recipient", "court"];
    let args = [&args[..], &["--margin", "9", "--data-dir", path(&data)]].concat();
    assert!(vigia(&args).status.success());
    let whole = fs::metadata(&package).unwrap().len() as usize;
    fs::remove_file(&package).unwrap();
    // One that fits everything but the package, and one that does not fit a clip.
    for limit in [whole - 2048, whole / 4] {
        let run = vigia_with_small_files(limit, &args);
        let told = text(&run.stderr);
        assert!(!run.status.success() && told.contains("written"), "{limit} of {whole}: {told}");
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(!left.iter().any(|name| !["data", "data.mkv"].iter().any(|n| name == n)), "{left:?}");
        assert!(!data.join("exports").exists() || fs::read_dir(data.join("exports")).unwrap().next().is_none());
    }
    assert!(vigia(&args).status.success(), "nothing is in the way of the next attempt");
}

#[test]
fn a_package_is_exported_checked_elsewhere_and_every_interference_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let (data, package) = (dir.path().join("data"), dir.path().join("evidence.zip"));
    let suspect = site(&data, "ball").id.to_string();
    let export = |reason: &str| {
        let args =
            ["export", "--suspect", &suspect, "--out", path(&package), "--reason", reason, "--recipient", "court"];
        vigia(&[&args[..], &["--margin", "1", "--data-dir", path(&data)]].concat())
    };
    let refused = export(" ");
    assert!(!refused.status.success() && text(&refused.stderr).contains("reason"), "{}", text(&refused.stderr));
    assert!(!package.exists());
    let run = export("case 17");
    assert!(run.status.success(), "{}", text(&run.stderr));
    let told = text(&run.stdout);
    let bytes = fs::read(&package).unwrap();
    assert!(told.contains("1 clips") && told.contains(&sha256(&bytes)), "{told}");
    let again = export("case 17");
    assert!(!again.status.success() && text(&again.stderr).contains("exists already"), "{}", text(&again.stderr));
    assert_eq!(fs::read(&package).unwrap(), bytes);

    let key = text(&vigia(&["evidence", "key", "--data-dir", path(&data)]).stdout).trim().to_owned();
    let verify = |file: &Path, key: &str| {
        let run = vigia(&["verify", path(file), "--key", key, "--json"]);
        let value: Value = serde_json::from_slice(&run.stdout).unwrap();
        (run.status.code().unwrap(), value)
    };
    let (code, verdict) = verify(&package, &key);
    assert_eq!((code, &verdict["whole"]), (0, &true.into()), "{verdict}");
    let manifest = &verdict["manifest"];
    assert_eq!((&manifest["reason"], &manifest["recipient"]), (&"case 17".into(), &"court".into()));
    // whole groups of pictures: from the key frame at 2 s to 6 s
    let clip = &manifest["clips"][0];
    assert_eq!((&clip["codec"], clip["width"].as_i64()), (&"h265".into(), Some(320)));
    assert_eq!(clip["from"]["utc"], at(2).to_string());
    let (code, verdict) = verify(&package, &"00".repeat(32));
    assert_eq!((code, &verdict["findings"][0]["fault"]), (1, &"other_key".into()), "{verdict}");

    let spoiled = dir.path().join("spoiled.zip");
    for place in [30, bytes.len() / 2, bytes.len() - 60, bytes.len() - 3] {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        fs::write(&spoiled, changed).unwrap();
        let (code, verdict) = verify(&spoiled, &key);
        assert!(code == 1 && !verdict["findings"].as_array().unwrap().is_empty(), "byte {place}: {verdict}");
    }

    // the attempts are in the log: one refused, one done, one refused again
    let log = dir.path().join("log.jsonl");
    let export_log = ["audit", "export", "--format", "jsonl", "--action", "EXPORT_EVIDENCE"];
    let run = vigia(&[&export_log[..], &["--out", path(&log), "--data-dir", path(&data)]].concat());
    assert!(run.status.success(), "{}", text(&run.stderr));
    let lines: Vec<Value> =
        fs::read_to_string(&log).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let lines: Vec<Value> = lines.into_iter().filter(|l| l["outcome"].is_string()).collect(); // without header and seal
    let outcomes: Vec<&str> = lines.iter().map(|l| l["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["refused", "succeeded", "refused"]);
    assert_eq!(lines[1]["details"]["sha256"], sha256(&bytes));
    if let Some(keep) = std::env::var_os("VIGIA_SCREENS") {
        fs::copy(&package, Path::new(&keep).join("evidence.zip")).unwrap(); // to be looked at
    }
}
