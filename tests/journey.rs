//! The whole program as an operator meets it: the demo in a real window under Xvfb, typed keys, a real pointer.
//!
//! First start → administrator → people on the wall → click on one → suspect → possible match in another camera → confirm → restart →
//! login → everything still there, in the log too. What is checked is what lies on the disk, not what the program says of itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // helpers of tests fail as tests do
use image::RgbImage;
use sqlx::{Connection as _, Row as _, SqliteConnection, sqlite::SqliteConnectOptions};
use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const PASSWORD: &str = "correct horse battery staple";
/// The colour of a person's box on the wall (`ui::tokens::PERSON`).
const BOX: [u8; 3] = [165, 226, 240];

/// An X server of this test's own.
struct Display {
    server: Child,
    name: String,
}

impl Display {
    fn start() -> Self {
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "1600x900x24", "-nolisten", "tcp"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb is a prerequisite: make setup");
        let mut number = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut number).unwrap();
        Self { server, name: format!(":{}", number.trim()) }
    }

    fn xdotool(&self, args: &[&str]) -> String {
        let out = Command::new("xdotool").args(args).env("DISPLAY", &self.name).output().expect("xdotool: make setup");
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }

    fn type_text(&self, text: &str) {
        self.xdotool(&["type", "--delay", "25", text]);
    }

    fn key(&self, key: &str) {
        self.xdotool(&["key", "--delay", "40", key]);
        std::thread::sleep(Duration::from_millis(120));
    }

    fn click(&self, x: u32, y: u32) {
        self.xdotool(&["mousemove", &x.to_string(), &y.to_string()]);
        std::thread::sleep(Duration::from_millis(150));
        self.xdotool(&["click", "1"]);
    }

    fn screenshot(&self, to: &Path) -> RgbImage {
        let status = Command::new("import")
            .args(["-display", &self.name, "-window", "root"])
            .arg(to)
            .status()
            .expect("ImageMagick is a prerequisite: make setup");
        assert!(status.success());
        image::open(to).unwrap().to_rgb8()
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// A running console.
struct Console {
    child: Child,
}

impl Console {
    fn start(display: &Display, data: &Path) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_vigia"))
            .args(["demo", "--data-dir"])
            .arg(data)
            .env("DISPLAY", &display.name)
            .env_remove("WAYLAND_DISPLAY")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let console = Self { child };
        wait_for("the window", Duration::from_secs(90), || {
            !display.xdotool(&["search", "--name", "^Vigia"]).is_empty()
        });
        std::thread::sleep(Duration::from_secs(2));
        // without a window manager nobody else gives the window the keyboard
        let window = display.xdotool(&["search", "--name", "^Vigia"]);
        let window = window.lines().next().unwrap_or_default();
        display.xdotool(&["windowmove", window, "0", "0"]);
        display.xdotool(&["windowfocus", window]);
        std::thread::sleep(Duration::from_millis(500));
        console
    }

    /// Ctrl-C; must end within two seconds (measured with a margin for a busy machine).
    fn interrupt(mut self) -> Duration {
        let start = Instant::now();
        Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        while self.child.try_wait().unwrap().is_none() {
            assert!(start.elapsed() < Duration::from_secs(20), "the console does not end on Ctrl-C");
            std::thread::sleep(Duration::from_millis(20));
        }
        start.elapsed()
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_for(what: &str, limit: Duration, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < limit, "{what} did not come within {limit:?}");
        std::thread::sleep(Duration::from_millis(250));
    }
}

/// The middles of drawn person boxes, solid or dashed, the tallest first: pairs of vertical lines of the box colour, as high as each
/// other and as far apart as a person is wide.
fn find_boxes(picture: &RgbImage) -> Vec<(u32, u32)> {
    const LONGEST_GAP: u32 = 8;
    let is_box = |x: u32, y: u32| picture.get_pixel(x, y).0.iter().zip(BOX).all(|(a, b)| a.abs_diff(b) < 26);
    let mut lines: Vec<(u32, u32, u32)> = Vec::new();
    for x in 0..picture.width() {
        let (mut top, mut last, mut filled) = (0, 0, 0);
        for y in (0..picture.height()).filter(|y| is_box(x, *y)).chain([u32::MAX]) {
            if filled > 0 && y - last > LONGEST_GAP {
                let height = last - top + 1;
                if height >= 36 && filled * 5 >= height * 2 {
                    lines.push((x, top, last));
                }
                filled = 0;
            }
            if filled == 0 {
                top = y;
            }
            filled += 1;
            last = y;
        }
    }
    let mut found = Vec::new();
    for (i, &(x0, top0, bottom0)) in lines.iter().enumerate() {
        let height = bottom0 - top0;
        if let Some(&(x1, ..)) = lines[i + 1..].iter().find(|(x1, top1, bottom1)| {
            let width = x1 - x0;
            (14..120).contains(&width)
                && top1.abs_diff(top0) < 14
                && bottom1.abs_diff(bottom0) < 14
                && (width * 13 / 10..width * 5).contains(&height)
        }) {
            found.push((height, (x0 + x1) / 2, top0 + height / 2));
        }
    }
    found.sort_unstable_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, x, y)| (x, y)).collect()
}

struct Disk {
    runtime: tokio::runtime::Runtime,
    data: PathBuf,
}

impl Disk {
    fn rows(&self, file: &str, sql: &str) -> Vec<sqlx::sqlite::SqliteRow> {
        self.runtime.block_on(async {
            let options = SqliteConnectOptions::new().filename(self.data.join(file)).read_only(true);
            let Ok(mut db) = SqliteConnection::connect_with(&options).await else { return Vec::new() };
            sqlx::query(sqlx::AssertSqlSafe(sql.to_owned())).fetch_all(&mut db).await.unwrap_or_default()
        })
    }

    fn actions(&self) -> Vec<(String, String, Option<i64>)> {
        self.rows(
            "databases/action_logs.sqlite",
            "SELECT action, outcome, log_accessed FROM action_logs ORDER BY log_id",
        )
        .iter()
        .map(|r| (r.get(0), r.get(1), r.get(2)))
        .collect()
    }

    fn count(&self, sql: &str) -> i64 {
        self.rows("databases/cameras.sqlite", sql).first().map_or(0, |r| r.get(0))
    }

    fn did(&self, action: &str) -> usize {
        self.actions().iter().filter(|a| a.0 == action && a.1 == "succeeded").count()
    }
}

/// Clicks on people until one more is a suspect: they walk, and a click may come too late.
fn mark_somebody(display: &Display, disk: &Disk, shots: &Path) {
    let suspects = || disk.count("SELECT COUNT(*) FROM suspects");
    let (before, start, mut attempt) = (suspects(), Instant::now(), 0);
    while suspects() == before {
        assert!(start.elapsed() < Duration::from_secs(180), "nobody could be marked; see {}", shots.display());
        let boxes = find_boxes(&display.screenshot(&shots.join("wall.png")));
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
    let disk = Disk { runtime: tokio::runtime::Runtime::new().unwrap(), data: data.path().to_owned() };

    let console = Console::start(&display, data.path());
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

    let console = Console::start(&display, data.path());
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
