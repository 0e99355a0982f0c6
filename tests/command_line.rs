//! The program from outside: what it prints, what it writes, how it ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // helpers of tests fail as tests do
use gstreamer::prelude::*;
use serde_json::Value;
use std::{
    fmt::Write as _,
    path::Path,
    process::{Command, Output},
};
use vigia::cli::prerequisites;

fn vigia(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vigia")).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The first `frames` frames of the demo footage, as H.264 in Matroska.
fn clip(frames: u32, to: &Path) {
    gstreamer::init().unwrap();
    let pipeline = gstreamer::parse::launch(&format!(
        "filesrc location=\"{}\" ! decodebin ! identity eos-after={frames} ! videoconvert ! \
         x264enc speed-preset=veryfast bitrate=3000 threads=1 ! h264parse ! matroskamux ! filesink location=\"{}\"",
        prerequisites::footage("vtest.avi").display(),
        to.display()
    ))
    .unwrap();
    pipeline.set_state(gstreamer::State::Playing).unwrap();
    let bus = pipeline.bus().unwrap();
    let end = bus.timed_pop_filtered(
        gstreamer::ClockTime::from_seconds(60),
        &[gstreamer::MessageType::Eos, gstreamer::MessageType::Error],
    );
    assert!(matches!(end.unwrap().view(), gstreamer::MessageView::Eos(_)));
    pipeline.set_state(gstreamer::State::Null).unwrap();
}

#[test]
fn outlines_fit_masks_drawn_by_hand_better_than_boxes_do() {
    let run = vigia(&["bench", "outline"]);
    assert!(run.status.success(), "{}", text(&run.stderr));
    let found: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!((found["masks"].as_u64(), found["undetected"].as_u64()), (Some(6), Some(0)), "{found}");
    let (outline, plain) = (found["mean_iou"].as_f64().unwrap(), found["mean_iou_of_the_box"].as_f64().unwrap());
    assert!(outline > 0.8 && plain < outline - 0.2, "{found}");
    // Clothes as one sees them on the crops; the last one's jeans are between blue and grey.
    let looks: Vec<_> = found["looks"].as_array().unwrap().iter().map(|l| l.as_str().unwrap()).collect();
    assert_eq!(looks[..3], ["black above, black below", "black above, blue below", "black above, blue below"]);
    assert_eq!(looks[3..5], ["black above, black below"; 2]);
    assert!(["red above, blue below", "red above, grey below"].contains(&looks[5]), "{looks:?}");
}

#[test]
fn a_recorded_site_is_replayed_to_the_byte_and_a_difference_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    clip(60, &dir.path().join("corner.mkv"));
    let record = dir.path().join("night.toml");
    let cameras = "[[camera]]\nname = \"A\"\nfile = \"corner.mkv\"\nevery = 2\n\
                   [[camera]]\nname = \"B\"\nfile = \"corner.mkv\"\nstarts_s = 1.05\nevery = 2\n";
    std::fs::write(&record, cameras).unwrap();
    assert!(!vigia(&["replay", path(&record)]).status.success(), "nothing is recorded yet");
    let first = vigia(&["replay", path(&record), "--write"]);
    assert!(first.status.success(), "{}", text(&first.stderr));
    let log = dir.path().join("night.log");
    let tracks = std::fs::read_to_string(&log).unwrap();
    // Whoever camera A sees first is marked, and is looked for in B, where the same people walk a second later.
    let seen = tracks.lines().find(|l| l.contains(" track A ")).unwrap().to_owned();
    let n: Vec<f32> = seen.split(' ').skip(4).map(|v| v.parse().unwrap()).collect();
    let (x, y) = (n[0] + n[2] / 2.0, n[1] + n[3] / 2.0);
    let complete = std::fs::read_to_string(&record).unwrap();
    let marked = format!("{complete}\n[[suspect]]\ncamera = \"A\"\nframe = 0\nat = [{x:?}, {y:?}]\n");
    std::fs::write(&record, marked).unwrap();
    let second = vigia(&["replay", path(&record), "--write"]);
    assert!(second.status.success(), "{}", text(&second.stderr));
    let sightings = std::fs::read_to_string(&log).unwrap();
    assert!(sightings.contains(" opened ") && sightings.contains("\"state\":\"origin\""), "{sightings}");

    let again = vigia(&["replay", path(&record)]);
    assert!(again.status.success() && text(&again.stdout).starts_with("Identical: "), "{}", text(&again.stdout));

    let (whole, number) = (sightings.clone(), sightings.lines().position(|l| l.contains(" opened ")).unwrap());
    let forged = whole.replacen(" opened ", " reopened ", 1);
    std::fs::write(&log, forged).unwrap();
    let found = vigia(&["replay", path(&record)]);
    let told = text(&found.stdout);
    assert!(
        !found.status.success() && told.starts_with(&format!("First difference in line {}:", number + 1)),
        "{told}"
    );
    let other = std::fs::read_to_string(&record).unwrap().replace("alert = 0.6", "alert = 0.99");
    std::fs::write(&log, whole).unwrap();
    std::fs::write(&record, other).unwrap();
    assert!(!vigia(&["replay", path(&record)]).status.success(), "another threshold opens other sightings");
}

#[test]
fn analysis_of_a_file_finds_people_and_is_the_same_every_time() {
    let dir = tempfile::tempdir().unwrap();
    let video = dir.path().join("corner.mkv");
    clip(40, &video);
    let mut results = Vec::new();
    for out in ["a", "b"] {
        let out = dir.path().join(out);
        let run = vigia(&["analyze", path(&video), "--out", path(&out)]);
        assert!(run.status.success(), "{}", text(&run.stderr));
        results.push(std::fs::read_to_string(out.join("corner.txt")).unwrap());
        let summary: Value = serde_json::from_str(&std::fs::read_to_string(out.join("corner.json")).unwrap()).unwrap();
        assert!((38..=40).contains(&summary["analysed"].as_u64().unwrap()), "{summary}");
        assert_eq!(summary["model"]["sha256"], vigia::vision::DETECTOR_SHA256);
    }
    assert_eq!(results[0], results[1]);
    let rows: Vec<Vec<f32>> = results[0].lines().map(|l| l.split(',').map(|v| v.parse().unwrap()).collect()).collect();
    assert!(rows.len() > 40, "people walk through all of this clip; {} rows", rows.len());
    for row in &rows {
        assert_eq!((row.len(), &row[7..]), (10, &[-1.0f32, -1.0, -1.0][..]));
        assert!((1.0..=40.0).contains(&row[0]) && row[5] > row[4] * 0.8, "a standing person: {row:?}");
    }
}

#[test]
fn a_finer_look_is_one_of_the_detectors_sizes_and_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (video, out) = (dir.path().join("corner.mkv"), dir.path().join("out"));
    clip(12, &video);
    let refused = vigia(&["analyze", path(&video), "--out", path(&out), "--input", "500"]);
    assert!(!refused.status.success() && text(&refused.stderr).contains("multiple of 32"), "{}", text(&refused.stderr));
    let run = vigia(&["analyze", path(&video), "--out", path(&out), "--input", "512"]);
    assert!(run.status.success(), "{}", text(&run.stderr));
    let summary: Value = serde_json::from_str(&std::fs::read_to_string(out.join("corner.json")).unwrap()).unwrap();
    assert_eq!(summary["configuration"]["detector"]["input"], 512);
    assert!(std::fs::metadata(out.join("corner.txt")).unwrap().len() > 0, "people walk through all of this clip");
}

#[test]
fn files_that_are_no_videos_are_told_and_cost_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (good, bad, empty) = (dir.path().join("good.mkv"), dir.path().join("notes.avi"), dir.path().join("empty.mp4"));
    clip(12, &good);
    std::fs::write(&bad, "minutes of the meeting").unwrap();
    std::fs::write(&empty, "").unwrap();
    let out = dir.path().join("out");
    let run = vigia(&["analyze", path(&bad), path(&empty), path(&good), "--out", path(&out)]);
    assert!(!run.status.success());
    let told = text(&run.stderr);
    assert!(told.contains("notes.avi") && told.contains("empty.mp4") && !told.contains("panicked"), "{told}");
    assert!(out.join("good.txt").is_file() && !out.join("notes.txt").exists() && !out.join("empty.txt").exists());
}

#[test]
fn missing_and_damaged_weights_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let args = ["demo", "--headless", "--seconds", "1", "--data-dir", path(dir.path()), "--models", path(dir.path())];
    let run = vigia(&args);
    assert!(!run.status.success() && text(&run.stderr).contains("nanodet.bin"), "{}", text(&run.stderr));
    std::fs::write(dir.path().join("nanodet.bin"), "cut off").unwrap();
    let run = vigia(&args);
    assert!(!run.status.success() && text(&run.stderr).contains("sha256"), "{}", text(&run.stderr));
}

#[test]
fn the_tracker_alone_is_deterministic_and_tells_bad_lines() {
    let dir = tempfile::tempdir().unwrap();
    let det = dir.path().join("det.txt");
    let mut lines = String::new();
    for frame in 1..=60 {
        writeln!(lines, "{frame},-1,{},100,40,100,0.99", 100 + frame * 3).unwrap();
        writeln!(lines, "{frame},-1,{},300,40,100,0.98", 900 - frame * 4).unwrap();
    }
    std::fs::write(&det, &lines).unwrap();
    let track = |out: &Path| {
        vigia(&["track", "--det", path(&det), "--fps", "30", "--width", "1920", "--height", "1080", "--out", path(out)])
    };
    let (a, b) = (dir.path().join("a.txt"), dir.path().join("b.txt"));
    assert!(track(&a).status.success() && track(&b).status.success());
    let result = std::fs::read_to_string(&a).unwrap();
    assert_eq!(result, std::fs::read_to_string(&b).unwrap());
    let ids: std::collections::BTreeSet<&str> = result.lines().map(|l| l.split(',').nth(1).unwrap()).collect();
    assert_eq!(ids.len(), 2, "two people, two tracks");

    // One of them unseen for half a second: the second pass has them both on every frame.
    let seen =
        |line: &&str| !line.contains(",300,") || !(20..35).contains(&line.split(',').next().unwrap().parse().unwrap());
    std::fs::write(&det, lines.lines().filter(seen).collect::<Vec<_>>().join("\n")).unwrap();
    assert!(track(&a).status.success());
    let online = std::fs::read_to_string(&a).unwrap();
    let offline = [&a, &b].map(|out| {
        let flags = ["--fps", "30", "--width", "1920", "--height", "1080", "--offline", "--out", path(out)];
        assert!(vigia(&[&["track", "--det", path(&det)], &flags[..]].concat()).status.success());
        std::fs::read_to_string(out).unwrap()
    });
    assert_eq!(offline[0], offline[1]);
    assert_eq!(offline[0].lines().count(), 120);
    assert!(online.lines().count() < 120, "or there was nothing to fill");

    std::fs::write(&det, "1,-1,10,10,20,40,0.9\n2,-1,ten,10,20,40,0.9\n").unwrap();
    let run = track(&a);
    assert!(!run.status.success() && text(&run.stderr).contains("line 2"), "{}", text(&run.stderr));
}

#[test]
fn a_site_without_a_window_tells_every_second_how_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("site.toml");
    std::fs::write(
        &config,
        "[[camera]]\nname = \"Test\"\nurl = \"test:\"\n\
         [[camera]]\nname = \"Gone\"\nurl = \"rtsp://guest:s3cret@127.0.0.1:9/none\"\n",
    )
    .unwrap();
    let data = dir.path().join("data");
    let run = vigia(&["run", "--headless", "--seconds", "6", "--config", path(&config), "--data-dir", path(&data)]);
    assert!(run.status.success(), "{}", text(&run.stderr));
    let out = text(&run.stdout);
    assert!(!out.contains("s3cret") && !text(&run.stderr).contains("s3cret"), "credentials are never printed");
    let lines: Vec<Value> = out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(lines.len() >= 5);
    let second = &lines[lines.len() - 2]["cameras"];
    assert_eq!((&second[0]["status"], &second[1]["status"]), (&"live".into(), &"stale".into()));
    assert!(second[1]["reason"].as_str().is_some_and(|r| !r.is_empty()));
    let summary = lines.last().unwrap();
    let test = &summary["cameras"][0];
    assert!(test["received"].as_u64().unwrap() > 20 && test["analysed"].as_u64().unwrap() > 5, "{summary}");
    assert!(test["latency_ms"]["p95"].as_f64().unwrap() > 0.0);
    assert_eq!((&summary["suspects"], &summary["backlog"]), (&0.into(), &0.into()));

    std::fs::write(&config, "[[camera]]\nname = \"Test\"\nadress = \"test:\"\n").unwrap();
    let run = vigia(&["run", "--headless", "--config", path(&config), "--data-dir", path(&data)]);
    let told = text(&run.stderr);
    assert!(!run.status.success() && told.contains("line 3") && told.contains("adress"), "{told}");
}

#[test]
fn the_key_of_a_site_is_printed_and_is_the_same_every_time() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let key = || vigia(&["evidence", "key", "--data-dir", path(&data)]);
    let (first, second) = (key(), key());
    assert!(first.status.success(), "{}", text(&first.stderr));
    assert_eq!((first.stdout.len(), &first.stdout), (65, &second.stdout));

    let nothing = dir.path().join("package.zip");
    std::fs::write(&nothing, "minutes of the meeting").unwrap();
    let run = vigia(&["verify", path(&nothing), "--key", text(&first.stdout).trim()]);
    assert_eq!(run.status.code(), Some(1));
    assert!(text(&run.stdout).contains("NOT what was exported"), "{}", text(&run.stdout));
    let run = vigia(&["verify", path(&dir.path().join("gone.zip"))]);
    assert!(run.status.code() == Some(2) && text(&run.stderr).contains("gone.zip"), "{}", text(&run.stderr));
    let run = vigia(&["verify", path(&nothing), "--key", "12ab"]);
    assert!(run.status.code() == Some(2) && text(&run.stderr).contains("12ab"), "{}", text(&run.stderr));
}
