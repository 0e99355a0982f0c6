//! Bookmarks on the screen.
use super::review::watching;
use super::*;
use vigia::model::Bookmark;
use vigia::site::{BookmarkCommand, CaseworkState, ReviewCommand};

fn bookmark(number: u128, camera: Option<u128>, ago_s: i64, length_s: i64, words: &str) -> Bookmark {
    let from = Timestamp(NOW.0 - ago_s * 1_000_000);
    Bookmark {
        id: Uuid::from_u128(number),
        camera: camera.map(Uuid::from_u128),
        from,
        until: Timestamp(from.0 + length_s * 1_000_000),
        words: words.to_owned(),
        case: None,
        made_by: if number == 1 { "2002" } else { "1001" }.to_owned(),
        made_by_name: if number == 1 { "Rui Costa" } else { "Ana Duarte" }.to_owned(),
        made_at: NOW,
        removed: None,
    }
}

/// A player with two cameras, and bookmarks.
fn bookmarked() -> SiteState {
    let mut state = watching();
    state.casework = Arc::new(CaseworkState {
        bookmarks: vec![
            bookmark(1, Some(1), 600, 0, "Hands over a blue bag"),
            bookmark(2, Some(2), 1800, 900, "Waits at the stairs, looks at the clock"),
            bookmark(3, None, 4000, 0, "Alarm of the bank"),
        ],
    });
    state
}

fn puts(harness: &mut Harness<'_, App>) -> Vec<BookmarkCommand> {
    let commands = asked(harness).into_iter();
    commands.filter_map(|c| if let Command::Bookmark(command) = c { Some(command) } else { None }).collect()
}

#[test]
fn a_bookmark_is_put_on_the_frame_or_the_stretch_of_the_player() {
    let mut harness = open(watching());
    press(&mut harness, Key::F5);
    let at = harness.state().state.review.channels[0].frame.as_ref().unwrap().captured_at();
    press(&mut harness, Key::B);
    harness.run_steps(2);
    assert!(shows(&harness, "What is there to see?"));
    press(&mut harness, Key::Enter);
    assert!(puts(&mut harness).is_empty(), "it needs words");
    write(&mut harness, "a blue bag");
    look(&mut harness, "bookmark-form");
    press(&mut harness, Key::Enter);
    let gate = Some(Uuid::from_u128(1));
    let words = "a blue bag".to_owned();
    assert_eq!(puts(&mut harness), [BookmarkCommand::Put { camera: gate, from: at, until: at, words }]);
    assert!(!shows(&harness, "What is there to see?"));

    // A marked stretch, on all cameras; Esc takes it back.
    let from = harness.state().state.review.at;
    press(&mut harness, Key::I);
    let until = Timestamp(from.0 + 30_000_000);
    harness.state_mut().state.review.at = until;
    press(&mut harness, Key::O);
    harness.get_by_label("Bookmark…").click();
    harness.run_steps(3);
    press(&mut harness, Key::Escape);
    assert!(!shows(&harness, "What is there to see?") && shows(&harness, "marked 30 s"));
    press(&mut harness, Key::B);
    harness.run_steps(2);
    write(&mut harness, "alarm");
    harness.get_by_label("On all cameras").click();
    harness.run_steps(2);
    harness.get_by_label("Put bookmark").click();
    harness.run_steps(2);
    let put = BookmarkCommand::Put { camera: None, from, until, words: "alarm".to_owned() };
    assert_eq!(puts(&mut harness), [put]);
}

#[test]
fn a_bookmark_is_put_on_a_live_picture() {
    let mut state = state(logged_in(false));
    let frame = plain(320, 240, [120, 110, 140], Color::BT601);
    let at = frame.captured_at();
    state.cameras = vec![camera(1, "Gate", Some(frame)), camera(2, "Hall", None)];
    let mut harness = open(state);
    let gate = picture_of(&harness, "Gate").center();
    harness.hover_at(gate);
    harness.run_steps(2);
    press(&mut harness, Key::B);
    harness.run_steps(2);
    write(&mut harness, "falls");
    press(&mut harness, Key::Enter);
    let camera = Some(Uuid::from_u128(1));
    assert_eq!(puts(&mut harness), [BookmarkCommand::Put { camera, from: at, until: at, words: "falls".to_owned() }]);
}

#[test]
fn bookmarks_are_listed_jumped_to_and_removed_by_who_put_them() {
    let mut harness = open(bookmarked());
    press(&mut harness, Key::F5);
    harness.run_steps(2);
    look(&mut harness, "bookmarks-timeline");
    harness.get_by_label("Bookmarks").click();
    harness.run_steps(2);
    look(&mut harness, "bookmarks");
    assert!(shows(&harness, "Alarm of the bank") && shows(&harness, "All cameras"));
    assert_eq!(harness.get_all_by_label("Remove…").count(), 1, "an operator removes what is theirs");
    harness.get_by_label("Remove…").click();
    harness.run_steps(2);
    harness.get_by_label("Remove").click();
    harness.run_steps(2);
    assert_eq!(puts(&mut harness), [BookmarkCommand::Remove(Uuid::from_u128(1))]);
    // The second is on a camera that is watched: the instant changes, and the stretch is marked.
    harness.get_all_by_label("Go there").nth(1).unwrap().click();
    harness.run_steps(2);
    let sought = asked(&mut harness);
    let to = Timestamp(NOW.0 - 1_800_000_000);
    let seek = |c: &Command| {
        *format!("{c:?}") == format!("{:?}", Command::Review(ReviewCommand::Seek { to, scrubbing: false }))
    };
    assert!(sought.iter().any(seek), "{sought:?}");
    assert!(shows(&harness, "marked 15 min"));
    harness.get_by_label("Bookmarks").click();
    harness.run_steps(2);
    harness.state_mut().state.casework = Arc::default();
    harness.run_steps(2);
    assert!(shows(&harness, "No bookmarks yet"));
    look(&mut harness, "bookmarks-none");
}
