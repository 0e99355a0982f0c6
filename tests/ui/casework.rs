//! Bookmarks and cases on the screen.
use super::review::watching;
use super::*;
use vigia::model::{Authored, Bookmark, Case, CaseChange, Clip, Hash, Hold, Release};
use vigia::site::{
    BookmarkCommand, CaseCommand, CaseSuspect, CaseView, CaseworkState, ExportCommand, ExportOf, ReviewCommand,
};

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
        cases: Vec::new(),
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
    assert!(!shows(&harness, "Say what there is to see"), "nobody is told of what they have not typed yet");
    press(&mut harness, Key::Enter);
    assert!(puts(&mut harness).is_empty(), "it needs words");
    look(&mut harness, "bookmark-empty");
    assert!(shows(&harness, "Say what there is to see: a bookmark is found by its words"));
    write(&mut harness, "a blue bag");
    look(&mut harness, "bookmark-form");
    press(&mut harness, Key::Enter);
    let gate = Some(Uuid::from_u128(1));
    let words = "a blue bag".to_owned();
    assert_eq!(puts(&mut harness), [BookmarkCommand::Put { camera: gate, from: at, until: at, words, case: None }]);
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
    assert!(!shows(&harness, "What is there to see?"), "after a dialog was left letters mean nothing");
    let picture = harness.get_by_label("Recorded picture of Gate").rect().right_top() + vec2(-9.0, 9.0);
    click(&mut harness, picture);
    press(&mut harness, Key::B);
    harness.run_steps(2);
    write(&mut harness, "alarm");
    harness.get_by_label("On all cameras").click();
    harness.run_steps(2);
    harness.get_by_label("Put bookmark").click();
    harness.run_steps(2);
    let put = BookmarkCommand::Put { camera: None, from, until, words: "alarm".to_owned(), case: None };
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
    assert_eq!(
        puts(&mut harness),
        [BookmarkCommand::Put { camera, from: at, until: at, words: "falls".to_owned(), case: None }]
    );
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

fn authored<T>(ago_s: i64, by: &str, what: T) -> Authored<T> {
    Authored { at: Timestamp(NOW.0 - ago_s * 1_000_000), by: by.to_owned(), what }
}

fn held(number: u128, camera: Option<u128>, lifted: bool) -> Hold {
    Hold {
        id: Uuid::from_u128(number),
        case: Some(Uuid::from_u128(50)),
        camera: camera.map(Uuid::from_u128),
        from: Timestamp(NOW.0 - 7_200_000_000),
        until: Timestamp(NOW.0 - 3_600_000_000),
        reason: "evidence for the court".to_owned(),
        placed_by: "2002".to_owned(),
        placed_at: Timestamp(NOW.0 - 1_800_000_000),
        released: lifted.then(|| Release { at: NOW, by: "1001".to_owned(), why: "the court is done".to_owned() }),
    }
}

/// A case of Rui with all that a case can have; one of its suspects and of its bookmarks are on a camera that he may not see.
pub(super) fn with_a_case() -> SiteState {
    let mut state = bookmarked();
    let gate = Uuid::from_u128(1);
    let picture = Picture::new(40, 80, vec![120; 40 * 80 * 3]);
    let known = suspect(1, [255, 176, 0], "left a bag at the kiosk", picture);
    let of = |id: u128, label: &str, crop: Option<Picture>| CaseSuspect {
        id: Uuid::from_u128(id),
        label: label.to_owned(),
        colour: [255, 176, 0],
        reason: "left a bag at the kiosk".to_owned(),
        marked_at: Timestamp(NOW.0 - 900_000_000),
        crop,
    };
    let case = Case {
        id: Uuid::from_u128(50),
        number: "118/2026".to_owned(),
        name: "Theft at the kiosk".to_owned(),
        opened: authored(90_000, "Rui Costa", "2002".to_owned()),
        people: [("2002", "Rui Costa"), ("3003", "Marta Reis")]
            .map(|(cc, name)| (cc.to_owned(), name.to_owned()))
            .into(),
        suspects: vec![Uuid::from_u128(101), Uuid::from_u128(72)],
        uploads: vec![(Uuid::from_u128(77), "kiosk inside.mp4".to_owned())],
        notes: vec![
            authored(5000, "Rui Costa", "The owner says that it was about ten past one.".to_owned()),
            authored(2000, "Marta Reis", "Asked the shop next door for its video: comes tomorrow.".to_owned()),
        ],
        clips: vec![authored(
            600,
            "Rui Costa",
            Clip {
                suspect: Some(Uuid::from_u128(101)),
                package: "suspect-1-2026-11-22.zip".to_owned(),
                sha256: Hash([0xab; 32]),
                bytes: 48 << 20,
                recipient: "district court".to_owned(),
                reason: "warrant 9".to_owned(),
            },
        )],
        closed: None,
    };
    let closed = Case {
        id: Uuid::from_u128(51),
        number: "97/2026".to_owned(),
        name: "Fence".to_owned(),
        suspects: Vec::new(),
        uploads: Vec::new(),
        notes: Vec::new(),
        clips: Vec::new(),
        closed: Some(authored(100, "Rui Costa", "nobody was there".to_owned())),
        ..case.clone()
    };
    state.suspects = vec![known.clone()];
    let hidden = Bookmark { camera: Some(Uuid::nil()), ..bookmark(5, None, 700, 0, "Waits at the back door") };
    let casework = CaseworkState {
        bookmarks: state.casework.bookmarks.clone(),
        cases: vec![
            CaseView {
                case,
                suspects: vec![of(101, "Suspect 1", known.crop.clone()), of(72, "Suspect 4", None)],
                bookmarks: vec![bookmark(1, Some(1), 600, 30, "Hands over a blue bag"), hidden],
                holds: vec![held(61, Some(1), false), held(62, None, true)],
            },
            CaseView { case: closed, suspects: Vec::new(), bookmarks: Vec::new(), holds: Vec::new() },
        ],
    };
    assert_eq!(state.cameras[0].camera.id, gate);
    state.casework = Arc::new(casework);
    state
}

fn of_cases(harness: &mut Harness<'_, App>) -> Vec<CaseCommand> {
    let commands = asked(harness).into_iter();
    commands.filter_map(|c| if let Command::Case(command) = c { Some(command) } else { None }).collect()
}

#[test]
fn a_case_is_opened_with_a_number_and_a_name() {
    let mut harness = open(state(logged_in(false)));
    press(&mut harness, Key::F9);
    assert!(shows(&harness, "No cases yet") && shows(&harness, "Only the people who work on it"));
    look(&mut harness, "cases-none");
    harness.get_by_label("New case…").click();
    harness.run_steps(3);
    press(&mut harness, Key::Escape);
    assert!(!shows(&harness, "Nobody else sees it"));
    harness.get_by_label("New case…").click();
    harness.run_steps(3);
    harness.get_by_label("Open case").click();
    harness.run_steps(2);
    look(&mut harness, "case-empty");
    assert!(of_cases(&mut harness).is_empty());
    assert!(shows(&harness, "Type the number of the case") && shows(&harness, "Type a name that tells"));
    write(&mut harness, "118/26"); // the first field with a gap has the keyboard
    harness.run_steps(2);
    assert!(!shows(&harness, "Type the number of the case") && shows(&harness, "Type a name that tells"));
    harness.get_by_label("Name").click();
    harness.run_steps(2);
    write(&mut harness, "Kiosk");
    look(&mut harness, "case-new");
    press(&mut harness, Key::Enter);
    let opened = CaseCommand::Open { number: "118/26".to_owned(), name: "Kiosk".to_owned() };
    assert_eq!(of_cases(&mut harness), [opened]);
}

#[test]
fn a_case_shows_all_that_belongs_to_it_and_leads_there() {
    let mut harness = open(with_a_case());
    press(&mut harness, Key::F9);
    harness.run_steps(3);
    look(&mut harness, "case");
    for words in [
        "Theft at the kiosk",
        "Suspect 4",
        "Seen only on cameras that you may not see",
        "A camera that you may not see",
        "Waits at the back door",
        "Marta Reis",
        "comes tomorrow",
        "suspect-1-2026-11-22.zip",
        "to district court: warrant 9",
        "kiosk inside.mp4",
        "the court is done",
    ] {
        assert!(shows(&harness, words), "{words}");
    }
    assert_eq!(harness.get_all_by_label("Go there").count(), 1, "not to the hidden camera");
    // A note, a colleague, a suspect taken out.
    let case = Uuid::from_u128(50);
    harness.get_by_label("New note").click();
    harness.run_steps(2);
    write(&mut harness, "found");
    harness.get_by_label("Add note").click();
    harness.run_steps(2);
    assert_eq!(of_cases(&mut harness), [CaseCommand::Change(case, CaseChange::Note { text: "found".to_owned() })]);
    harness.get_by_label("Badge number of a colleague").click();
    harness.run_steps(2);
    write(&mut harness, "4004");
    press(&mut harness, Key::Enter);
    let add = CaseChange::AddPerson { cc: "4004".to_owned(), name: String::new() };
    assert_eq!(of_cases(&mut harness), [CaseCommand::Change(case, add)]);
    // Exported one after another; what is left unwritten ends it.
    harness.get_by_label("Export…").click();
    harness.run_steps(2);
    let plans: Vec<_> = asked(&mut harness).into_iter().filter(|c| matches!(c, Command::Export(_))).collect();
    let first = Command::Export(ExportCommand::Plan { of: ExportOf::Suspect(Uuid::from_u128(101)), pending: false });
    assert_eq!(format!("{plans:?}"), format!("{:?}", [first]), "only whom one may see");
    // The bookmark leads into the player, with its stretch.
    harness.get_by_label("Go there").click();
    harness.run_steps(3);
    assert!(shows(&harness, "marked 30 s"));
    let sought = asked(&mut harness);
    let seek =
        |c: &Command| matches!(c, Command::Review(ReviewCommand::Seek { to, .. }) if to.0 == NOW.0 - 600_000_000);
    assert!(sought.iter().any(seek), "{sought:?}");
    press(&mut harness, Key::F9);
    harness.get_by_label("Show").click();
    harness.run_steps(3);
    assert!(shows(&harness, "End follow…"), "the suspects' panel");
    let window = harness.ctx.content_rect();
    for button in ["Edit looks…", "Export…", "On the map", "Add to case…"] {
        let there = harness.get_by_label(button).rect();
        assert!(window.contains_rect(there), "{button} at {there}");
    }
    // From there into another case.
    harness.get_by_label("Add to case…").click();
    harness.run_steps(3);
    assert!(shows(&harness, "No other open case of yours"));
}

#[test]
fn video_is_held_and_let_go_and_closing_a_case_asks_what_becomes_of_it() {
    let mut harness = open(with_a_case());
    press(&mut harness, Key::F9);
    harness.run_steps(3);
    let case = Uuid::from_u128(50);
    harness.get_by_label("Hold…").click();
    harness.run_steps(3);
    look(&mut harness, "case-hold");
    harness.get_by_label("Hold").click();
    harness.run_steps(2);
    let at = NOW.0 - 600_000_000;
    let hold = CaseCommand::Hold {
        case,
        camera: Some(Uuid::from_u128(1)),
        from: Timestamp(at - 300_000_000),
        until: Timestamp(at + 330_000_000),
        reason: "Hands over a blue bag".to_owned(),
    };
    assert_eq!(of_cases(&mut harness), [hold]);
    harness.get_by_label("Lift…").click();
    harness.run_steps(3);
    harness.get_by_label("Lift").click();
    harness.run_steps(2);
    assert!(of_cases(&mut harness).is_empty(), "it needs a reason");
    assert!(shows(&harness, "Say why it is no longer held"));
    write(&mut harness, "done");
    harness.get_by_label("Lift").click();
    harness.run_steps(2);
    assert_eq!(of_cases(&mut harness), [CaseCommand::Lift { hold: Uuid::from_u128(61), reason: "done".to_owned() }]);
    harness.get_by_label("Close case…").click();
    harness.run_steps(3);
    assert!(shows(&harness, "One stretch of video is held for it"));
    harness.get_by_label("Close, lift the holds").click();
    harness.run_steps(2);
    assert!(of_cases(&mut harness).is_empty() && shows(&harness, "Say why it is closed"));
    write(&mut harness, "solved");
    look(&mut harness, "case-close");
    harness.get_by_label("Close, keep holding").click();
    harness.run_steps(2);
    assert_eq!(of_cases(&mut harness), [CaseCommand::Close { case, why: "solved".to_owned(), lift_holds: false }]);
    harness.get_by_label("Case 97/2026").click();
    harness.run_steps(3);
    assert!(shows(&harness, "nobody was there"));
    look(&mut harness, "case-closed");
    harness.get_by_label("Open again…").click();
    harness.run_steps(3);
    assert!(shows(&harness, "Holds that were lifted stay lifted"));
}

#[test]
fn a_bookmark_is_put_into_a_case() {
    let mut harness = open(with_a_case());
    press(&mut harness, Key::F5);
    press(&mut harness, Key::B);
    harness.run_steps(2);
    write(&mut harness, "a bag");
    harness.get_all_by_role(egui::accesskit::Role::ComboBox).last().unwrap().click();
    harness.run_steps(3);
    harness.get_by_label("Theft at the kiosk").click();
    harness.run_steps(3);
    look(&mut harness, "bookmark-case");
    harness.get_by_label("Put bookmark").click();
    harness.run_steps(2);
    let put = puts(&mut harness);
    assert!(
        matches!(&put[..], [BookmarkCommand::Put { case: Some(case), .. }] if *case == Uuid::from_u128(50)),
        "{put:?}"
    );
}

#[test]
fn a_hold_says_which_time_is_wrong_and_a_note_and_a_colleague_are_not_sent_empty() {
    let mut harness = open(with_a_case());
    press(&mut harness, Key::F9);
    harness.run_steps(3);
    for (button, words) in [("Add note", "Type the note first"), ("Hand to", "Type the badge number of a colleague")] {
        assert!(!shows(&harness, words));
        harness.get_by_label(button).click();
        harness.run_steps(2);
        assert!(shows(&harness, words) && of_cases(&mut harness).is_empty(), "{button}");
    }
    look(&mut harness, "case-gaps");
    harness.get_by_label("Hold video…").click();
    harness.run_steps(3);
    let retype = |harness: &mut Harness<'_, App>, field: &str, text: &str| {
        harness.get_by_label(field).focus();
        harness.run_steps(2);
        harness.key_press_modifiers(Modifiers::COMMAND, Key::A);
        harness.run_steps(2);
        write(harness, text);
        harness.get_by_label("Hold").click();
        harness.run_steps(2);
    };
    let times = "Type a time such as 2026-11-22 14:03:22";
    retype(&mut harness, "From", "yesterday");
    look(&mut harness, "case-hold-gaps");
    assert!(shows(&harness, times) && shows(&harness, "Say why the video is held"));
    retype(&mut harness, "From", "2026-11-22 14:03:22Z");
    assert!(!shows(&harness, times));
    retype(&mut harness, "To", "2026-11-22 13:00:00Z");
    assert!(shows(&harness, "This is before the beginning"));
    retype(&mut harness, "To", "2026-11-22 15:00:00Z");
    assert!(!shows(&harness, "This is before the beginning") && of_cases(&mut harness).is_empty());
    retype(&mut harness, "Reason", "for the court");
    let held = of_cases(&mut harness);
    assert!(matches!(&held[..], [CaseCommand::Hold { reason, .. }] if reason == "for the court"), "{held:?}");
}
