//! What the tests that drive the whole program share: a display of their own, the program in its window, what is drawn on it, and
//! what lies on the disk.
#![allow(dead_code, reason = "each test uses a part of it")]
use image::RgbImage;
use sqlx::{Connection as _, Row as _, SqliteConnection, sqlite::SqliteConnectOptions};
use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// The colour of a person's box on the wall (`ui::tokens::PERSON`).
const BOX: [u8; 3] = [165, 226, 240];

/// An X server of this test's own.
pub struct Display {
    server: Child,
    pub name: String,
}

impl Display {
    pub fn start() -> Self {
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

    pub fn xdotool(&self, args: &[&str]) -> String {
        let out = Command::new("xdotool").args(args).env("DISPLAY", &self.name).output().expect("xdotool: make setup");
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }

    pub fn type_text(&self, text: &str) {
        self.xdotool(&["type", "--delay", "25", text]);
    }

    pub fn key(&self, key: &str) {
        self.xdotool(&["key", "--delay", "40", key]);
        std::thread::sleep(Duration::from_millis(120));
    }

    pub fn click(&self, x: u32, y: u32) {
        self.xdotool(&["mousemove", &x.to_string(), &y.to_string()]);
        std::thread::sleep(Duration::from_millis(150));
        self.xdotool(&["click", "1"]);
    }

    /// Asks the program to close its window, as the button of a window manager does.
    pub fn close_window(&self) {
        let window = self.xdotool(&["search", "--name", "^Vigia"]);
        let window: u64 = window.lines().next().unwrap().parse().unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/screen/close_window.py");
        let window = window.to_string();
        let out = Command::new("python3").args([script, &window]).env("DISPLAY", &self.name).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }

    pub fn screenshot(&self, to: &Path) -> RgbImage {
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
pub struct Console {
    child: Child,
}

impl Console {
    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Opens its window, with these arguments, on this data folder; answers when keys reach it.
    pub fn start(display: &Display, args: &[&str], data: &Path) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_vigia"))
            .args(args)
            .arg("--data-dir")
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
    pub fn interrupt(mut self) -> Duration {
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

pub fn wait_for(what: &str, limit: Duration, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < limit, "{what} did not come within {limit:?}");
        std::thread::sleep(Duration::from_millis(250));
    }
}

/// The middles of drawn person boxes, solid or dashed, the tallest first: pairs of vertical lines of the box colour, as high as each
/// other and as far apart as a person is wide. Lines between two pixels are fainter: a standing picture needs more tolerance.
pub fn find_boxes(picture: &RgbImage, tolerance: u8) -> Vec<(u32, u32)> {
    const LONGEST_GAP: u32 = 8;
    let is_box = |x: u32, y: u32| picture.get_pixel(x, y).0.iter().zip(BOX).all(|(a, b)| a.abs_diff(b) < tolerance);
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

/// A rectangle of one colour on the screen, pixels; the last row and column included.
#[derive(Clone, Copy, Debug)]
pub struct Filled {
    pub left: u32,
    pub top: u32,
    pub right: u32,
    pub bottom: u32,
}

impl Filled {
    pub fn middle(self) -> (u32, u32) {
        ((self.left + self.right) / 2, (self.top + self.bottom) / 2)
    }
}

/// The buttons of this fill, in reading order: regions of the colour at least as large as a small button. Words on them do not
/// part them, but a button that may not be used is fainter and none of them.
pub fn find_filled(picture: &RgbImage, fill: [u8; 3]) -> Vec<Filled> {
    let (width, height) = picture.dimensions();
    let is_fill = |x: u32, y: u32| picture.get_pixel(x, y).0.iter().zip(fill).all(|(a, b)| a.abs_diff(b) < 4);
    let mut seen = vec![false; (width * height) as usize];
    let mut found: Vec<Filled> = Vec::new();
    for y in 0..height {
        for x in 0..width {
            if seen[(y * width + x) as usize] || !is_fill(x, y) {
                continue;
            }
            let mut region = Filled { left: x, top: y, right: x, bottom: y };
            let (mut pixels, mut open) = (0, vec![(x, y)]);
            seen[(y * width + x) as usize] = true;
            while let Some((x, y)) = open.pop() {
                pixels += 1;
                region.left = region.left.min(x);
                region.right = region.right.max(x);
                region.bottom = region.bottom.max(y);
                let around = [(x.wrapping_sub(1), y), (x + 1, y), (x, y.wrapping_sub(1)), (x, y + 1)];
                for (x, y) in around.into_iter().filter(|(x, y)| *x < width && *y < height) {
                    let seen = &mut seen[(y * width + x) as usize];
                    if !*seen && is_fill(x, y) {
                        *seen = true;
                        open.push((x, y));
                    }
                }
            }
            let (w, h) = (region.right - region.left + 1, region.bottom - region.top + 1);
            if (24..600).contains(&w) && (16..60).contains(&h) && pixels * 2 > w * h {
                found.push(region);
            }
        }
    }
    found.sort_by_key(|b| (b.top / 4, b.left));
    found
}

/// The embedded stores of a data folder, read as they lie there.
pub struct Disk {
    runtime: tokio::runtime::Runtime,
    data: PathBuf,
}

impl Disk {
    pub fn new(data: &Path) -> Self {
        Self { runtime: tokio::runtime::Runtime::new().unwrap(), data: data.to_owned() }
    }

    pub fn rows(&self, file: &str, sql: &str) -> Vec<sqlx::sqlite::SqliteRow> {
        self.runtime.block_on(async {
            let options = SqliteConnectOptions::new().filename(self.data.join(file)).read_only(true);
            let Ok(mut db) = SqliteConnection::connect_with(&options).await else { return Vec::new() };
            sqlx::query(sqlx::AssertSqlSafe(sql.to_owned())).fetch_all(&mut db).await.unwrap_or_default()
        })
    }

    pub fn actions(&self) -> Vec<(String, String, Option<i64>)> {
        self.rows(
            "databases/action_logs.sqlite",
            "SELECT action, outcome, log_accessed FROM action_logs ORDER BY log_id",
        )
        .iter()
        .map(|r| (r.get(0), r.get(1), r.get(2)))
        .collect()
    }

    pub fn count(&self, sql: &str) -> i64 {
        self.rows("databases/cameras.sqlite", sql).first().map_or(0, |r| r.get(0))
    }

    pub fn did(&self, action: &str) -> usize {
        self.actions().iter().filter(|a| a.0 == action && a.1 == "succeeded").count()
    }
}
