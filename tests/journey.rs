//! The whole program as an operator meets it: the demo in a real window under Xvfb, typed keys, a real pointer.
//!
//! First start → administrator → people on the wall → click on one → suspect → possible match in another camera → confirm → restart →
//! login → everything still there, in the log too. What is checked is what lies on the disk, not what the program says of itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // helpers of tests fail as tests do
mod screen;

use screen::{Console, Disk, Display, find_boxes, wait_for};
use sqlx::Row as _;
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

const PASSWORD: &str = "correct horse battery staple";
/// Clicks on people until one more is a suspect: they walk, and a click may come too late.
fn mark_somebody(display: &Display, disk: &Disk, shots: &Path) {
    let suspects = || disk.count("SELECT COUNT(*) FROM suspects");
    let (before, start, mut attempt) = (suspects(), Instant::now(), 0);
    while suspects() == before {
        assert!(start.elapsed() < Duration::from_secs(180), "nobody could be marked; see {}", shots.display());
        let boxes = find_boxes(&display.screenshot(&shots.join("wall.png")), 26);
        attempt += 1;
        // something in the picture may look like a box: not always the same one is tried
        let Some(&(x, y)) = boxes.get(attempt % boxes.len().clamp(1, 4)) else { continue };
        display.click(x, y);
        std::thread::sleep(Duration::from_millis(700));
        display.key("m");
        std::thread::sleep(Duration::from_millis(300));
        display.type_text("left a bag at the station");
        display.screenshot(&shots.join("card.png"));
        display.key("Return");
        std::thread::sleep(Duration::from_millis(1200));
        if suspects() == before {
            display.key("Escape");
            display.key("Escape");
        }
    }
}

#[test]
fn an_operator_marks_a_suspect_who_is_seen_again_and_survives_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let shots = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let display = Display::start();
    let disk = Disk::new(data.path());

    let console = Console::start(&display, &["demo"], data.path());
    for text in ["10001", "Ana Sousa", "ana@police.example", PASSWORD] {
        display.type_text(text);
        display.key("Tab");
    }
    display.type_text(PASSWORD);
    display.key("Return");
    wait_for("the first administrator", Duration::from_secs(60), || {
        disk.did("CREATE_USER") == 1 && disk.did("LOGIN") == 1
    });
    let stored = disk.rows("databases/users.sqlite", "SELECT password FROM users");
    assert!(stored[0].get::<String, _>(0).starts_with("$argon2id$"));

    mark_somebody(&display, &disk, &shots);
    wait_for("the entry of the selection", Duration::from_secs(20), || disk.did("SELECT_SUSPECT") >= 1);
    let reason: String = disk.rows("databases/cameras.sqlite", "SELECT reason FROM suspects")[0].get(0);
    assert_eq!(reason, "left a bag at the station");

    // The stored crop decodes and is a picture of something, not a drawn shape.
    let url: String = disk.rows("databases/cameras.sqlite", "SELECT crop_url FROM suspects")[0].get(0);
    let key = vigia::store::key_of_url(&url).unwrap();
    let crop_file = data.path().join("objects").join(key);
    wait_for("the stored crop", Duration::from_secs(20), || crop_file.is_file());
    let crop = image::open(&crop_file).unwrap().to_rgb8();
    let values: std::collections::BTreeSet<[u8; 3]> = crop.pixels().map(|p| p.0).collect();
    assert!(
        crop.height() > crop.width() && values.len() > 100,
        "{}×{}, {} colours",
        crop.width(),
        crop.height(),
        values.len()
    );

    let elsewhere = "SELECT COUNT(*) FROM sightings s JOIN suspects u ON u.id = s.suspect WHERE s.camera <> u.camera";
    // Not everybody walks into another camera: two more are marked where the first does not.
    let start = Instant::now();
    for patience in [70, 140, 240] {
        while disk.count(elsewhere) == 0 && start.elapsed() < Duration::from_secs(patience) {
            std::thread::sleep(Duration::from_millis(250));
        }
        if disk.count(elsewhere) == 0 && patience < 240 {
            mark_somebody(&display, &disk, &shots);
        }
    }
    assert!(disk.count(elsewhere) > 0, "no possible match in another camera came");
    std::thread::sleep(Duration::from_millis(800));
    display.screenshot(&shots.join("match.png"));
    display.key("i"); // the inbox: marking had opened the suspects
    std::thread::sleep(Duration::from_millis(1000));
    display.screenshot(&shots.join("inbox.png"));
    display.key("c");
    wait_for("the decision", Duration::from_secs(20), || disk.did("DECIDE_MATCH") == 1);
    assert!(disk.count("SELECT COUNT(*) FROM sightings WHERE decision = 'confirmed'") == 1);
    let (suspects, sightings) =
        (disk.count("SELECT COUNT(*) FROM suspects"), disk.count("SELECT COUNT(*) FROM sightings"));
    assert!(disk.count("SELECT COUNT(*) FROM detections") >= 2);
    let took = console.interrupt();
    assert!(took < Duration::from_secs(6), "stopping took {took:?}");

    let console = Console::start(&display, &["demo"], data.path());
    for text in ["10001", PASSWORD] {
        display.type_text(text);
        display.key(if text == PASSWORD { "Return" } else { "Tab" });
    }
    wait_for("the login after the restart", Duration::from_secs(60), || disk.did("LOGIN") == 2);
    assert_eq!(disk.count("SELECT COUNT(*) FROM suspects"), suspects);
    assert!(disk.count("SELECT COUNT(*) FROM sightings") >= sightings);
    display.key("F4");
    std::thread::sleep(Duration::from_millis(1000));
    display.key("Return"); // "Read the log" has the focus
    wait_for("the reading of the log", Duration::from_secs(30), || disk.did("ACCESS_LOGS") >= 1);
    std::thread::sleep(Duration::from_millis(800));
    display.screenshot(&shots.join("log.png"));
    let read = disk.actions().into_iter().find(|a| a.0 == "ACCESS_LOGS").unwrap();
    assert!(read.2.is_some(), "log_accessed names what was read");
    console.interrupt();
}
