//! Safe hands in the whole program: a real window under Xvfb, typed keys, a real pointer, and what lies on the disk afterwards.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // helpers of tests fail as tests do
mod screen;

use screen::{Console, Disk, Display, wait_for};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

const PASSWORD: &str = "correct horse battery staple";

/// A console with its first administrator logged in.
fn first_start(display: &Display, disk: &Disk, data: &Path) -> Console {
    let console = Console::start(display, &["demo"], data);
    for text in ["10001", "Ana Sousa", "ana@police.example", PASSWORD] {
        display.type_text(text);
        display.key("Tab");
    }
    display.type_text(PASSWORD);
    display.key("Return");
    wait_for("the first administrator", Duration::from_secs(60), || disk.did("LOGIN") == 1);
    std::thread::sleep(Duration::from_millis(1500));
    console
}

/// How often somebody tried to log in, whatever came of it.
fn attempts(disk: &Disk) -> usize {
    disk.actions().iter().filter(|action| action.0 == "LOGIN").count()
}

#[test]
fn nobody_gets_in_by_undo_no_text_decides_and_nobody_quits_logged_out() {
    let data = tempfile::tempdir().unwrap();
    let shots = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let display = Display::start();
    let disk = Disk::new(data.path());
    let mut console = first_start(&display, &disk, data.path());

    // What is typed into nothing leads nowhere; the question mark opens the sheet, which takes all keys.
    display.type_text("identified by the cashier: my cat, recorded, jc rc ic");
    std::thread::sleep(Duration::from_millis(1500));
    // Under a software renderer each of these letters may take a repaint of its own.
    std::thread::sleep(Duration::from_secs(12));
    display.key("Escape");
    display.key("F3");
    std::thread::sleep(Duration::from_millis(2500));
    // The bar at the top is darker under a dialog.
    let bar = |name: &str| -> u64 {
        let picture = display.screenshot(&shots.join(name));
        (0..1600).flat_map(|x| picture.get_pixel(x, 24).0).map(u64::from).sum()
    };
    let free = bar("hands-wall.png");
    display.key("question");
    wait_for("the sheet of shortcuts", Duration::from_secs(20), || bar("hands-sheet.png") * 10 < free * 7);
    display.type_text("crm");
    display.key("F4");
    std::thread::sleep(Duration::from_millis(2500));
    assert!(bar("hands-sheet-typed.png") * 10 < free * 7, "the sheet took a key for another screen");
    display.key("Escape");
    wait_for("the wall", Duration::from_secs(20), || bar("hands-wall-again.png") * 10 > free * 8);
    assert_eq!(disk.did("DECIDE_MATCH") + disk.did("EDIT_SUSPECT") + disk.did("ACCESS_LOGS"), 0);

    // Ctrl+Q asks, since cameras are recorded, and Esc stays.
    display.key("ctrl+q");
    std::thread::sleep(Duration::from_millis(1200));
    display.screenshot(&shots.join("hands-quit.png"));
    assert!(console.is_running());
    display.key("Escape");

    display.key("ctrl+l");
    wait_for("the logout", Duration::from_secs(20), || disk.did("LOGOUT") == 1);
    std::thread::sleep(Duration::from_millis(1000));
    // The badge number, then undo in the field of the password.
    display.type_text("10001");
    display.key("Tab");
    for _ in 0..6 {
        display.key("ctrl+z");
    }
    display.key("Return");
    std::thread::sleep(Duration::from_millis(2500));
    display.screenshot(&shots.join("hands-undo.png"));
    assert_eq!((attempts(&disk), disk.did("LOGIN")), (1, 1), "logged in as the one before");

    // Logged out, neither key nor window manager closes it.
    display.key("ctrl+q");
    display.close_window();
    std::thread::sleep(Duration::from_millis(2500));
    assert!(console.is_running(), "somebody who is not logged in ended the recording");
    display.screenshot(&shots.join("hands-logged-out.png"));

    display.key("ctrl+a");
    display.type_text(PASSWORD);
    display.key("Return");
    wait_for("the login", Duration::from_secs(60), || disk.did("LOGIN") == 2);
    std::thread::sleep(Duration::from_millis(1000));
    // Whoever is logged in is asked by the window's own button, too.
    display.close_window();
    std::thread::sleep(Duration::from_millis(2000));
    assert!(console.is_running(), "nobody was asked");
    display.screenshot(&shots.join("hands-close.png"));
    console.interrupt();
}
