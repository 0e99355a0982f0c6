//! An investigation after the fact, as an investigator does it: the whole program in a real window under Xvfb, typed keys, a real
//! pointer, on video of real people.
//!
//! Upload of two cameras' video → analysis → click on a person in the player → suspect → find → confirm → map → export → the
//! package verified → the log read. What is checked is what lies on the disk, not what the program says of itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // helpers of tests fail as tests do
mod screen;

use gstreamer::prelude::*;
use screen::{Console, Disk, Display, Filled, find_boxes, find_filled, wait_for};
use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};
use vigia::{
    cli::prerequisites,
    model::{Clock as _, SystemClock, Timestamp},
};

const PASSWORD: &str = "correct horse battery staple";
/// Fills of `ui::tokens`: the button for the next thing to do, what is selected, other buttons.
const PRIMARY: [u8; 3] = [31, 99, 172];
const SELECTED: [u8; 3] = [30, 74, 122];
const CONTROL: [u8; 3] = [37, 45, 56];
/// The panel at the right begins here in a window of 1600 points.
const SIDE: u32 = 1600 - 396;

/// Sixteen seconds of the demo footage as one of two cameras sees them whose views overlap: people walk out of one and into the
/// other.
fn footage(left: u32, to: &Path) {
    gstreamer::init().unwrap();
    let pipeline = gstreamer::parse::launch(&format!(
        "filesrc location=\"{}\" ! decodebin ! valve name=end drop-mode=forward-sticky-events ! videocrop left={left} right={} bottom=216 ! \
         videoconvert ! x264enc speed-preset=veryfast bitrate=2000 threads=1 key-int-max=20 ! h264parse ! matroskamux ! \
         filesink location=\"{}\"",
        prerequisites::footage("vtest.avi").display(),
        288 - left,
        to.display()
    ))
    .unwrap();
    let pipeline = pipeline.downcast::<gstreamer::Pipeline>().unwrap();
    // All of the footage is read; what comes later is left out.
    let valve = pipeline.by_name("end").unwrap();
    let pictures = valve.static_pad("sink").unwrap();
    pictures.add_probe(gstreamer::PadProbeType::BUFFER, move |_, info| {
        let late = info.buffer().and_then(|b| b.pts()).is_some_and(|pts| pts >= gstreamer::ClockTime::from_seconds(16));
        valve.set_property("drop", late);
        gstreamer::PadProbeReturn::Ok
    });
    pipeline.set_state(gstreamer::State::Playing).unwrap();
    let ends = [gstreamer::MessageType::Eos, gstreamer::MessageType::Error];
    let end = pipeline.bus().unwrap().timed_pop_filtered(gstreamer::ClockTime::from_seconds(120), &ends);
    assert!(matches!(end.unwrap().view(), gstreamer::MessageView::Eos(_)));
    pipeline.set_state(gstreamer::State::Null).unwrap();
}

struct Investigator {
    display: Display,
    disk: Disk,
    shots: PathBuf,
}

impl Investigator {
    /// The buttons of one fill on the screen now, in reading order.
    fn buttons(&self, name: &str, fill: [u8; 3]) -> Vec<Filled> {
        find_filled(&self.display.screenshot(&self.shots.join(format!("investigation-{name}.png"))), fill)
    }

    /// Waits until such buttons are there and clicks on the one that is chosen.
    fn press(&self, name: &str, fill: [u8; 3], choose: impl Fn(&[Filled]) -> Option<Filled>) -> Filled {
        let mut found = None;
        wait_for(&format!("{name} (see investigation-{name}.png)"), Duration::from_secs(60), || {
            found = choose(&self.buttons(name, fill));
            found.is_some()
        });
        let button = found.unwrap();
        self.display.click(button.middle().0, button.middle().1);
        button
    }

    fn count(&self, sql: &str) -> i64 {
        self.disk.count(sql)
    }

    /// The tab of the review screen beside the one that is open.
    fn show_tab(&self, uploads: bool) {
        let tab = |found: &[Filled]| found.iter().find(|b| b.top < 110 && b.left < 210 && b.top > 46).copied();
        wait_for("the other tab of the review screen", Duration::from_secs(60), || {
            let Some(open) = tab(&self.buttons("tab", SELECTED)) else { return false };
            if (open.left > 60) == uploads {
                return true;
            }
            let x = if uploads { open.right + 50 } else { open.left - 50 };
            self.display.click(x, open.middle().1);
            std::thread::sleep(Duration::from_millis(600));
            false
        });
    }

    /// Uploads a file by its path; camera and start are read from its name.
    fn upload(&self, file: &Path, before: i64) {
        let mut lines = Vec::new();
        wait_for("the list of videos", Duration::from_secs(30), || {
            lines = self.buttons("uploads", PRIMARY);
            lines.len() >= 2
        });
        let add = lines[1];
        self.display.click(add.right + 120, add.middle().1);
        std::thread::sleep(Duration::from_millis(300));
        self.display.type_text(file.to_str().unwrap());
        self.display.key("Return");
        self.press("upload", PRIMARY, |found| found.get(2).copied());
        wait_for("the upload", Duration::from_secs(60), || {
            self.count("SELECT COUNT(*) FROM uploads") == before + 1
                && self.disk.did("UPLOAD_VIDEO") as i64 == before + 1
        });
    }

    /// Clicks on people of the standing picture until the card of one of them marked a suspect.
    fn mark_somebody(&self) -> (u32, u32) {
        let start = Instant::now();
        for attempt in 0.. {
            assert!(start.elapsed() < Duration::from_secs(120), "nobody could be marked; see investigation-player.png");
            let boxes = find_boxes(&self.display.screenshot(&self.shots.join("investigation-player.png")), 44);
            let Some(&(x, y)) = boxes.get(attempt % boxes.len().max(1)) else {
                std::thread::sleep(Duration::from_millis(500));
                continue;
            };
            self.display.click(x, y);
            std::thread::sleep(Duration::from_millis(900));
            // Something in the picture may look like a box: without a card, what is typed would move the player.
            if !self.buttons("card", PRIMARY).iter().any(|b| b.left > SIDE) {
                continue;
            }
            self.display.key("m");
            std::thread::sleep(Duration::from_millis(500));
            self.display.type_text("took the bag");
            self.display.key("Return");
            let waited = Instant::now();
            while waited.elapsed() < Duration::from_secs(5) {
                if self.count("SELECT COUNT(*) FROM suspects") == 1 {
                    return (x, y);
                }
                std::thread::sleep(Duration::from_millis(200));
            }
            self.display.key("Escape");
            self.display.key("Escape");
        }
        unreachable!()
    }
}

#[test]
fn an_investigation_from_the_uploaded_video_to_the_verified_package() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let config = folder.path().join("site.toml");
    let camera = |name: &str, place: &str| {
        format!("[[camera]]\nname = \"{name}\"\nurl = \"test:\"\nactive = false\nlocation = {place}\n")
    };
    let cameras = [camera("Gate", "[38.7139, -9.1394]"), camera("Hall", "[38.7141, -9.1390]")].concat();
    std::fs::write(&config, format!("name = \"Station\"\n{cameras}")).unwrap();
    // Filmed half an hour ago.
    let began = Timestamp(SystemClock.now().minus(Duration::from_secs(1800)).0 / 1_000_000 * 1_000_000);
    let stamp: String = began.to_string().chars().filter(|c| c.is_ascii_digit()).take(14).collect();
    let named = |camera: &str| folder.path().join(format!("{camera}-{}_{}Z.mkv", &stamp[..8], &stamp[8..]));
    let files = [named("gate"), named("hall")];
    footage(0, &files[0]);
    footage(288, &files[1]);

    let display = Display::start();
    let console = Console::start(&display, &["run", "--config", config.to_str().unwrap()], &data);
    let shots = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let at_work = Investigator { display, disk: Disk::new(&data), shots };
    let Investigator { display, disk, .. } = &at_work;
    for text in ["10001", "Ana Sousa", "ana@police.example", PASSWORD] {
        display.type_text(text);
        display.key("Tab");
    }
    display.type_text(PASSWORD);
    display.key("Return");
    wait_for("the first administrator", Duration::from_secs(60), || disk.did("LOGIN") == 1);

    // Upload: each file says by its name whose it is and when it begins.
    display.key("F5");
    at_work.show_tab(true);
    for (file, before) in files.iter().zip(0..) {
        at_work.upload(file, before);
    }
    let starts = "SELECT COUNT(DISTINCT camera) FROM segments WHERE upload IS NOT NULL AND starts_at";
    wait_for("both on their own cameras, at the instant of their names", Duration::from_secs(20), || {
        at_work.count(&format!("{starts} = '{began}'")) == 2
    });

    // Analysis: everything of the last day, by one button.
    at_work.press("check everything", PRIMARY, |found| found.first().copied());
    wait_for("the end of the analysis", Duration::from_secs(240), || {
        at_work.count("SELECT COUNT(*) FROM jobs WHERE NOT is_open") == 1
    });
    wait_for("what the analysis found", Duration::from_secs(20), || {
        disk.did("START_DETECTION") == 1
            && at_work.count("SELECT COUNT(*) FROM tracklets") >= 4
            && at_work.count("SELECT COUNT(DISTINCT camera) FROM tracklets") == 2
    });

    // Player: eight seconds into it, on both cameras.
    at_work.show_tab(false);
    let watch = at_work.buttons("watch", PRIMARY)[0];
    display.click(watch.left - 90, watch.middle().1);
    std::thread::sleep(Duration::from_millis(300));
    display.type_text(&began.plus(Duration::from_secs(8)).to_string());
    display.key("Return");
    wait_for("the entry of the watching", Duration::from_secs(30), || disk.did("WATCH_RECORDING") == 1);
    let (x, y) = at_work.mark_somebody();
    wait_for("the entry of the selection", Duration::from_secs(20), || disk.did("SELECT_SUSPECT") == 1);
    let origin = "SELECT COUNT(*) FROM sightings WHERE decision = 'origin'
        AND julianday(left_at) - julianday(entered_at) > 1.0 / 86400";
    wait_for("the whole of that stay as the first sighting", Duration::from_secs(20), || at_work.count(origin) == 1);

    // Find: the same person clicked again is the suspect; whoever else looks so is judged.
    display.click(x, y);
    std::thread::sleep(Duration::from_millis(900));
    display.key("f");
    wait_for("the entry of the search", Duration::from_secs(60), || disk.did("FIND_PERSON") == 1);
    let confirmed = "SELECT COUNT(*) FROM sightings WHERE decision = 'confirmed'";
    let start = Instant::now();
    while at_work.count(confirmed) == 0 {
        assert!(start.elapsed() < Duration::from_secs(60), "nothing could be confirmed; see investigation-find.png");
        // On the first card, the stay that was marked, "Same" is selected already: that of the next card lies to its right, behind "Other".
        display.xdotool(&["mousemove", "1590", "880"]); // a button under the pointer has another colour
        std::thread::sleep(Duration::from_millis(800));
        let own = at_work.buttons("find", SELECTED).into_iter().find(|b| b.top > 150);
        let Some(own) = own else { continue };
        let same = at_work.buttons("find", CONTROL).into_iter();
        let behind_other = own.right + (own.right - own.left) + 16;
        let mut same = same.filter(|b| b.middle().1.abs_diff(own.middle().1) < 6 && b.left > behind_other);
        let Some(next) = same.next() else { continue };
        display.click(next.middle().0, next.middle().1);
        std::thread::sleep(Duration::from_millis(1500));
    }
    wait_for("the entry of the decision", Duration::from_secs(20), || disk.did("DECIDE_MATCH") >= 1);

    // Map: the suspect's way.
    display.key("s");
    // The card's last two rows of buttons: "Edit looks…" and "Export…", "On the map" and "Add to case…".
    let card = |found: &[Filled]| -> Option<(Filled, Filled)> {
        let mut buttons: Vec<_> =
            found.iter().filter(|b| b.left > SIDE && b.top > 150 && b.bottom - b.top >= 20).copied().collect();
        buttons.sort_by_key(|b| (b.middle().1 / 4, b.left));
        let beside = |a: &Filled, b: &Filled| {
            b.middle().1.abs_diff(a.middle().1) < 3 && b.left > a.right && b.left < a.right + 20
        };
        let pairs: Vec<_> = buttons.windows(2).filter(|w| beside(&w[0], &w[1])).map(|w| (w[0], w[1])).collect();
        let [.., (_, export), (map, _)] = pairs[..] else { return None };
        Some((export, map))
    };
    at_work.press("suspect", CONTROL, |found| card(found).map(|(_, map)| map));
    wait_for("the entry of the movement that was read", Duration::from_secs(20), || disk.did("READ_MOVEMENT") >= 1);
    std::thread::sleep(Duration::from_millis(1500));
    display.screenshot(&at_work.shots.join("investigation-map.png"));

    // Export.
    display.key("s");
    let package = folder.path().join("evidence.zip");
    display.xdotool(&["mousemove", "600", "860"]); // a button under the pointer has another colour
    std::thread::sleep(Duration::from_millis(800));
    at_work.press("export", CONTROL, |found| card(found).map(|(export, _)| export));
    wait_for("the dialog of the export", Duration::from_secs(60), || {
        at_work.buttons("dialog", CONTROL).iter().any(|b| b.right < SIDE && b.top > 300)
    });
    std::thread::sleep(Duration::from_millis(500));
    display.type_text("case 7");
    display.key("Tab");
    display.type_text("court");
    display.key("Tab");
    display.key("ctrl+a");
    display.type_text(package.to_str().unwrap());
    display.screenshot(&at_work.shots.join("investigation-dialog.png"));
    at_work.press("export now", PRIMARY, |found| found.last().copied());
    wait_for("the package", Duration::from_secs(120), || package.is_file() && disk.did("EXPORT_EVIDENCE") >= 1);
    display.screenshot(&at_work.shots.join("investigation-exported.png"));

    // The log is read, which is an entry of it.
    display.key("Escape");
    display.key("F4");
    std::thread::sleep(Duration::from_millis(1200));
    display.key("Return");
    wait_for("the reading of the log", Duration::from_secs(30), || disk.did("ACCESS_LOGS") >= 1);
    display.screenshot(&at_work.shots.join("investigation-log.png"));
    console.interrupt();

    // On another machine: whole, by the site's key, and not any more with one byte changed.
    let vigia = |args: &[&str]| Command::new(env!("CARGO_BIN_EXE_vigia")).args(args).output().unwrap();
    let key = vigia(&["evidence", "key", "--data-dir", data.to_str().unwrap()]);
    let key = String::from_utf8(key.stdout).unwrap();
    let verify = || vigia(&["verify", package.to_str().unwrap(), "--key", key.trim(), "--json"]);
    let whole = verify();
    let said: serde_json::Value = serde_json::from_slice(&whole.stdout).unwrap();
    assert!(whole.status.success() && said["whole"] == true, "{said}");
    let manifest = &said["manifest"];
    assert_eq!((manifest["reason"].as_str(), manifest["recipient"].as_str()), (Some("case 7"), Some("court")));
    let stops: Vec<_> = manifest["stops"].as_array().unwrap().iter().map(|s| s["decision"].to_string()).collect();
    assert!(stops.len() >= 2, "marked and confirmed: {stops:?}");
    let videos = |v: &serde_json::Value| v["name"].as_str().unwrap().starts_with("videos/");
    assert!(manifest["files"].as_array().unwrap().iter().any(videos), "there is video in it");
    let mut bytes = std::fs::read(&package).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&package, bytes).unwrap();
    assert!(!verify().status.success(), "one changed bit is found");
    let log = vigia(&["audit", "verify", "--data-dir", data.to_str().unwrap()]);
    assert!(log.status.success(), "{}", String::from_utf8_lossy(&log.stderr));
}
