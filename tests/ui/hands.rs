//! Safe hands: no key, menu or dialog decides what nobody meant. A test for each kind of fault, with keys and clicks.
use super::*;
use egui::accesskit::Role;
use vigia::site::{
    About, ExportCommand, ExportOf, ExportPlan, ExportStage, ExportView, FindCommand, FindView, HitView, ReviewCommand,
    Undo,
};

/// People on every camera, two matches, and a proposed suspect.
fn site() -> SiteState {
    let mut state = busy(four_streets());
    state.suspects.insert(0, proposed(5, 240));
    state
}

fn proposed(number: u128, seconds: u64) -> Arc<SuspectView> {
    let mut view = Arc::unwrap_or_clone(suspect(number, [240, 60, 60], "Holds a knife", None));
    view.suspect.proposed_until = Some(NOW.plus(Duration::from_secs(seconds)));
    Arc::new(view)
}

/// Whether the command decides something, or hands something out.
fn decides(command: &Command) -> bool {
    !matches!(
        command,
        Command::StillHere
            | Command::OpenCard(_)
            | Command::CloseCard
            | Command::Review(_)
            | Command::Find(FindCommand::Start { .. } | FindCommand::Close)
            | Command::Map(_)
            | Command::Logout
            | Command::Export(ExportCommand::Plan { .. } | ExportCommand::Close)
            | Command::Administer(vigia::site::AdminCommand::Open)
    )
}

fn decisions(harness: &mut Harness<'_, App>) -> Vec<Command> {
    asked(harness).into_iter().filter(decides).collect()
}

fn export_dialog(state: &SiteState) -> ExportView {
    let plan = ExportPlan { suspect: None, stops: Vec::new(), stretches: 1, missing: Vec::new(), bytes: 1 << 20 };
    let of = ExportOf::Suspect(state.suspects[0].suspect.id);
    ExportView { of, plan: Ok(Arc::new(plan)), stage: ExportStage::Planned }
}

#[test]
fn a_password_cannot_be_brought_back_after_logout() {
    let mut state = state(logged_in(false));
    state.access = Access::LoggedOut { error: None, locked_until: None };
    let mut harness = open(state);
    write(&mut harness, "1001");
    press(&mut harness, Key::Tab);
    write(&mut harness, "correct horse battery");
    harness.run_steps(8); // the history of a field is kept by time
    press(&mut harness, Key::Enter);
    assert!(matches!(&asked(&mut harness)[..], [Command::Login { .. }]));
    harness.state_mut().state.access = logged_in(false);
    harness.run_steps(4);
    harness.key_press_modifiers(Modifiers::CTRL, Key::L);
    harness.run_steps(2);
    harness.state_mut().state.access = Access::LoggedOut { error: None, locked_until: None };
    harness.run_steps(4);
    asked(&mut harness);
    write(&mut harness, "1001");
    press(&mut harness, Key::Tab);
    for _ in 0..8 {
        harness.key_press_modifiers(Modifiers::CTRL | Modifiers::COMMAND, Key::Z);
        harness.run_steps(2);
    }
    press(&mut harness, Key::Enter);
    assert!(!asked(&mut harness).iter().any(|c| matches!(c, Command::Login { .. })), "logged in as the one before");
}

#[test]
fn a_secret_is_not_copied_and_leaves_no_history() {
    let mut state = state(logged_in(false));
    state.access = Access::LoggedOut { error: None, locked_until: None };
    let mut harness = open(state);
    press(&mut harness, Key::Tab);
    write(&mut harness, "correct horse battery");
    harness.get_by_label("Show password").click();
    harness.run_steps(2);
    harness.get_by_label("Password").focus();
    harness.run_steps(2);
    harness.key_press_modifiers(Modifiers::CTRL | Modifiers::COMMAND, Key::A);
    for event in [Event::Copy, Event::Cut] {
        harness.event(event);
        harness.run_steps(2);
        let copied = harness
            .output()
            .platform_output
            .commands
            .iter()
            .any(|command| matches!(command, egui::OutputCommand::CopyText(text) if text.contains("horse")));
        assert!(!copied);
    }
    let id = egui::Id::unique(("access", "Password"));
    let history = egui::text_edit::TextEditState::load(&harness.ctx, id).map(|state| state.undoer());
    let now = (egui::text::CCursorRange::default(), "correct horse battery".to_owned());
    assert!(history.is_some_and(|history| !history.has_undo(&now)));
    // After login nothing of any field is left.
    harness.state_mut().state.access = logged_in(false);
    harness.run_steps(2);
    assert!(egui::text_edit::TextEditState::load(&harness.ctx, id).is_none());
}

#[test]
fn what_is_typed_after_escape_decides_nothing() {
    let mut harness = open(site());
    press(&mut harness, Key::I);
    harness.run_steps(2);
    let gate = picture_of(&harness, "North gate").center();
    harness.hover_at(gate);
    press(&mut harness, Key::B);
    harness.run_steps(2);
    write(&mut harness, "cross");
    press(&mut harness, Key::Escape);
    assert!(shows(&harness, "Drop what you typed?"));
    harness.get_by_label("Drop it").click();
    harness.run_steps(3);
    write(&mut harness, "icrcjck note about a crate, rccr ic jc");
    assert!(asked(&mut harness).is_empty());
    assert!(harness.query_by_label("Picture of North gate").is_some(), "and leads nowhere");
}

#[test]
fn what_is_typed_where_nothing_takes_text_decides_nothing() {
    let mut harness = open_paced(site(), 0.15);
    for text in ["identified by the cashier", "crime scene", "jc", "ic", "my cat", "recorded cc rr"] {
        press(&mut harness, Key::F3);
        harness.run_steps(6);
        write_slowly(&mut harness, text);
        let decided = decisions(&mut harness);
        assert!(decided.is_empty(), "{text}: {decided:?}");
        press(&mut harness, Key::Escape);
        if shows(&harness, "Drop what you typed?") {
            press_label(&mut harness, "Drop it");
        }
    }
}

/// As a slow typist does it, .3 s a letter.
fn write_slowly(harness: &mut Harness<'_, App>, text: &str) {
    for letter in text.chars() {
        let mut events = Vec::new();
        if let Some(key) = Key::from_name(&letter.to_uppercase().to_string()) {
            events.push(Event::Key {
                key,
                physical_key: None,
                pressed: true,
                repeat: false,
                modifiers: Modifiers::NONE,
            });
        }
        events.push(Event::Text(letter.to_string()));
        for event in events {
            harness.event(event); // each in a pass of its own, of .15 s
        }
        harness.run_steps(1);
    }
}

fn press_label(harness: &mut Harness<'_, App>, label: &str) {
    harness.get_by_label(label).click();
    harness.run_steps(3);
}

#[test]
fn redo_in_a_text_confirms_no_proposal() {
    let mut harness = open(site());
    assert!(shows(&harness, "Suspect 5") && shows(&harness, "Decide within"));
    for key in [Key::Y, Key::N] {
        harness.key_press_modifiers(Modifiers::CTRL, key);
        harness.run_steps(2);
    }
    press(&mut harness, Key::S);
    harness.get_by_label("Search suspects").focus();
    harness.run_steps(2);
    write(&mut harness, "knife");
    for key in [Key::Z, Key::Y, Key::N] {
        harness.key_press_modifiers(Modifiers::CTRL, key);
        harness.run_steps(2);
    }
    assert!(asked(&mut harness).is_empty());
}

#[test]
fn the_proposal_that_is_shown_and_has_the_keys_is_decided_and_no_other() {
    let mut harness = open(site());
    press(&mut harness, Key::W);
    harness.run_steps(2);
    // A more urgent one comes: what is shown stays, and so does what the key means.
    harness.state_mut().state.suspects.insert(0, proposed(6, 10));
    harness.run_steps(2);
    assert!(shows(&harness, "Suspect 5") && shows(&harness, "Decide within"));
    harness.key_press_modifiers(Modifiers::CTRL, Key::Y);
    harness.run_steps(2);
    let commands = asked(&mut harness);
    let until = NOW.plus(Duration::from_secs(240));
    assert!(
        matches!(&commands[..], [Command::DecideProposal { suspect, confirm: true, until: seen }]
            if *suspect == Uuid::from_u128(105) && *seen == until),
        "{commands:?}"
    );
}

#[test]
fn a_menu_stays_with_its_sighting_when_the_list_grows() {
    let mut harness = open(busy(four_streets()));
    press(&mut harness, Key::S);
    harness.get_by_label("possible match 61 %…").click();
    harness.run_steps(3);
    assert!(shows(&harness, "Reject"));
    let newer = [sighting(8, 1, 3, 0.55, Decision::Pending, None), sighting(9, 1, 3, 0.5, Decision::Pending, None)];
    for view in newer {
        harness.state_mut().state.sightings.insert(0, view);
    }
    harness.run_steps(3);
    assert!(!shows(&harness, "possible match 55 %…"), "nothing moves under an open menu");
    press_label(&mut harness, "Reject");
    let commands = asked(&mut harness);
    let [Command::Decide { sighting, judgement: Judgement::Reject, seen }] = &commands[..] else {
        panic!("{commands:?}")
    };
    assert_eq!((*sighting, seen.probability, &seen.decision), (Uuid::from_u128(1002), 0.61, &Decision::Pending));
    harness.run_steps(3);
    assert!(shows(&harness, "possible match 55 %…"), "the list goes on when the menu is closed");
}

#[test]
fn a_row_that_comes_while_the_button_is_down_is_not_hit() {
    let mut harness = open(site());
    press(&mut harness, Key::I);
    harness.run_steps(2);
    let reject = harness.get_by_role_and_label(Role::Button, "Reject R").rect().center();
    harness.hover_at(reject);
    harness.run_steps(2);
    harness.drag_at(reject);
    harness.state_mut().state.sightings.insert(0, sighting(9, 1, 2, 0.5, Decision::Pending, None));
    harness.run_steps(2);
    harness.event(Event::PointerButton {
        pos: reject,
        button: egui::PointerButton::Primary,
        pressed: false,
        modifiers: Modifiers::NONE,
    });
    harness.run_steps(2);
    let commands = asked(&mut harness);
    assert!(
        matches!(&commands[..], [Command::Decide { sighting, judgement: Judgement::Reject, .. }]
            if *sighting == Uuid::from_u128(1001)),
        "{commands:?}"
    );
}

#[test]
fn a_click_beside_an_open_menu_only_closes_it() {
    let mut harness = open(site());
    press(&mut harness, Key::I);
    harness.run_steps(2);
    let reject = harness.get_by_role_and_label(Role::Button, "Reject R").rect().center();
    harness.get_by_label_contains("⏷").click();
    harness.run_steps(3);
    assert!(shows(&harness, "Log out"));
    click(&mut harness, reject);
    let commands = asked(&mut harness);
    assert!(commands.is_empty(), "{commands:?}");
    assert!(!shows(&harness, "Log out"));
    // Keys go to the menu alone, too.
    harness.get_by_label_contains("⏷").click();
    harness.run_steps(3);
    for key in [Key::C, Key::R, Key::Tab, Key::Tab, Key::Tab, Key::F4] {
        press(&mut harness, key);
    }
    assert!(asked(&mut harness).is_empty() && shows(&harness, "Log out"));
    press(&mut harness, Key::Escape);
    assert!(!shows(&harness, "Log out") && harness.query_by_label("Picture of North gate").is_some());
}

#[test]
fn a_decision_offers_undo_for_ten_seconds() {
    let mut state = site();
    let decision = Decision::Confirmed { by: "1001".into(), at: NOW };
    let undo = Undo::Match { sighting: Uuid::from_u128(1001), decision };
    let text = "Possible match of Suspect 2 on Market street: confirmed".to_owned();
    state.notices = vec![Notice {
        serial: 7,
        at: NOW,
        level: NoticeLevel::Info,
        text,
        sighting: None,
        about: About::Everybody,
        undo: Some(undo.clone()),
    }];
    let mut harness = open(state);
    look(&mut harness, "undo");
    assert!(shows(&harness, "Market street: confirmed"));
    press_label(&mut harness, "Undo");
    assert!(matches!(&asked(&mut harness)[..], [Command::Undo(taken)] if *taken == undo));
    assert!(harness.query_by_label("Undo").is_none(), "it is taken once");
    let mut later = site();
    later.notices = std::mem::take(&mut harness.state_mut().state.notices);
    later.now = NOW.plus(Duration::from_secs(11));
    let harness = open(later);
    assert!(harness.query_by_label("Undo").is_none());
}

#[test]
fn a_decision_is_taken_back_later_in_the_list_of_sightings() {
    let mut state = site();
    let decision = Decision::Confirmed { by: "1001".into(), at: NOW };
    state.sightings[0] = sighting(1, 2, 2, 0.83, decision.clone(), None);
    let mut harness = open(state);
    press(&mut harness, Key::S);
    press_label(&mut harness, "confirmed…");
    assert!(harness.query_by_role_and_label(Role::Button, "Confirm").is_none(), "it is confirmed already");
    press_label(&mut harness, "Undecide");
    let commands = asked(&mut harness);
    assert!(
        matches!(&commands[..], [Command::Decide { judgement: Judgement::Undecide, seen, .. }] if seen.decision == decision),
        "{commands:?}"
    );
}

#[test]
fn the_site_is_told_whose_card_is_open() {
    let mut harness = open(site());
    let at = on_screen(&harness, "North gate", (70.0, 110.0), (384.0, 288.0));
    click(&mut harness, at);
    let told = std::mem::take(&mut harness.state_mut().asked);
    let frame = harness.state().state.cameras[0].frame.clone().unwrap();
    let [Command::OpenCard(clicked)] = &told[..] else { panic!("{told:?}") };
    assert_eq!((clicked.camera, clicked.track), (Uuid::from_u128(1), TrackId(1)));
    assert_eq!(clicked.frame.captured_at(), frame.captured_at());
    harness.run_steps(8);
    assert!(std::mem::take(&mut harness.state_mut().asked).is_empty(), "once");
    press(&mut harness, Key::Escape);
    assert!(matches!(&std::mem::take(&mut harness.state_mut().asked)[..], [Command::CloseCard]));
}

#[test]
fn a_bad_picture_of_a_person_says_so_and_a_better_one_can_be_taken() {
    let mut harness = open(site());
    let at = on_screen(&harness, "North gate", (70.0, 110.0), (384.0, 288.0));
    click(&mut harness, at);
    let frame = harness.state().state.cameras[0].frame.clone().unwrap();
    let better = vigia::site::Better {
        at: NOW.minus(Duration::from_secs(3)),
        frame: Frame::from_i420(
            384,
            288,
            &vec![120; 384 * 288 * 3 / 2],
            Color::BT601,
            9,
            NOW.minus(Duration::from_secs(3)),
        )
        .unwrap(),
        rect: Rect::new(100.0, 60.0, 60.0, 180.0),
    };
    harness.state_mut().state.card = Some(vigia::site::CardView {
        camera: Uuid::from_u128(1),
        track: TrackId(1),
        at: frame.captured_at(),
        looks: Some(4),
        poor: Some("This person is half hidden".to_owned()),
        better: Some(better.clone()),
    });
    harness.run_steps(3);
    look(&mut harness, "card-poor");
    assert!(shows(&harness, "This person is half hidden"));
    let words = format!("Take the picture of {}", better.at.local_time());
    press_label(&mut harness, &words);
    assert!(!shows(&harness, "This person is half hidden"));
    look(&mut harness, "card-better");
    press_label(&mut harness, "Back to the clicked picture");
    assert!(shows(&harness, "This person is half hidden"));
    press_label(&mut harness, &words);
    press(&mut harness, Key::M);
    harness.run_steps(2);
    write(&mut harness, "theft");
    press(&mut harness, Key::Enter);
    let commands = asked(&mut harness);
    let [Command::SelectSuspect { frame, rect, track, .. }] = &commands[..] else { panic!("{commands:?}") };
    assert_eq!((frame.captured_at(), *rect, *track), (better.at, better.rect, TrackId(1)));
}

#[test]
fn quitting_asks_where_it_would_end_a_recording() {
    let closes = |harness: &Harness<'_, App>| {
        harness.ctx.data(|data| data.get_temp::<bool>(egui::Id::unique("leaving"))).unwrap_or(false)
    };
    let mut state = site();
    state.recording = state.cameras.iter().map(|view| view.camera.id).collect();
    let mut harness = open(state);
    harness.key_press_modifiers(Modifiers::CTRL, Key::Q);
    harness.run_steps(3);
    look(&mut harness, "quit");
    assert!(shows(&harness, "Quit Vigia?") && shows(&harness, "the recording of 4 cameras: North gate"));
    press(&mut harness, Key::Enter);
    press(&mut harness, Key::Escape);
    assert!(!shows(&harness, "Quit Vigia?") && !closes(&harness));
    harness.key_press_modifiers(Modifiers::CTRL, Key::Q);
    harness.run_steps(3);
    harness.get_by_role_and_label(Role::Button, "Quit").click();
    harness.run_steps(2);
    assert!(closes(&harness));
    // What the user may not see is recorded: that is asked, too.
    let mut harness = open(SiteState { records: true, ..site() });
    harness.key_press_modifiers(Modifiers::CTRL, Key::Q);
    harness.run_steps(2);
    assert!(!closes(&harness) && shows(&harness, "cameras that you may not see"));
    // Nothing is recorded: nothing to ask.
    let mut harness = open(site());
    harness.key_press_modifiers(Modifiers::CTRL, Key::Q);
    harness.run_steps(2);
    assert!(closes(&harness) && !shows(&harness, "Quit Vigia?"));
    // Logged out, nobody can.
    let mut state = site();
    state.access = Access::LoggedOut { error: None, locked_until: None };
    let mut harness = open(state);
    harness.key_press_modifiers(Modifiers::CTRL, Key::Q);
    harness.run_steps(2);
    assert!(!closes(&harness));
}

#[test]
fn find_is_a_grid_that_scrolls_with_the_best_first() {
    let mut state = site();
    let hit = |n: usize| HitView {
        tracklet: Uuid::from_u128(500 + n as u128),
        camera: Uuid::from_u128(1),
        starts_at: NOW,
        ends_at: NOW,
        probability: 0.99 - n as f32 / 100.0,
        crop: None,
        person: None,
        judged: None,
    };
    state.find = Some(Arc::new(FindView {
        who: "Suspect 1".to_owned(),
        suspect: Some(Uuid::from_u128(101)),
        picture: None,
        cameras: vec![Uuid::from_u128(1)],
        from: NOW,
        until: NOW,
        compared: 40,
        hits: (0..40).map(hit).collect(),
    }));
    let mut harness = open(state);
    for size in [vec2(1280.0, 720.0), vec2(1000.0, 620.0)] {
        harness.set_size(size);
        press(&mut harness, Key::F3);
        harness.run_steps(6);
        press(&mut harness, Key::F);
        harness.run_steps(4);
        look(&mut harness, &format!("find-grid-{}", size.x));
        let cards: Vec<_> =
            harness.get_all_by_label("Somebody who may be the person").map(|node| node.rect()).collect();
        assert!(cards.len() >= 4);
        for rect in &cards {
            assert!(rect.right() <= size.x, "{rect:?} lies outside of {size:?}");
        }
        let top = cards[0].top();
        harness.hover_at(pos2(600.0, 400.0));
        harness.event(Event::MouseWheel {
            unit: egui::MouseWheelUnit::Point,
            delta: vec2(0.0, -300.0),
            phase: egui::TouchPhase::Move,
            source: egui::MouseWheelSource::Wheel,
            modifiers: Modifiers::NONE,
        });
        harness.run_steps(12);
        let after = harness.get_all_by_label("Somebody who may be the person").next().unwrap().rect().top();
        assert!(after < top - 100.0, "{after} after {top}");
    }
}

#[test]
fn leaving_review_keeps_the_instant() {
    let mut state = site();
    let at = NOW.minus(Duration::from_secs(600));
    state.review = review::watching().review;
    state.review.at = at;
    let mut harness = open(state);
    press(&mut harness, Key::F5);
    press(&mut harness, Key::F3);
    assert!(asked(&mut harness).iter().any(|c| matches!(c, Command::Review(ReviewCommand::Close))));
    harness.state_mut().state.review = Default::default();
    harness.run_steps(2);
    press(&mut harness, Key::F5);
    let commands = asked(&mut harness);
    assert!(
        commands.iter().any(|c| matches!(c, Command::Review(ReviewCommand::Open { at: to, .. }) if *to == at)),
        "{commands:?}"
    );
}

/// A seeded stream of numbers (Steele et al., SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % below as u64) as usize
    }
}

/// Everything on a keyboard but Enter and Tab, which press the buttons of what is open by their meaning.
const KEYS: &str = "abcdefghijklmnopqrstuvwxyz0123456789?";

fn random_key(harness: &mut Harness<'_, App>, random: &mut Random) -> String {
    const NAMED: [Key; 16] = [
        Key::F3,
        Key::F4,
        Key::F5,
        Key::F6,
        Key::F7,
        Key::F8,
        Key::F9,
        Key::ArrowDown,
        Key::ArrowUp,
        Key::ArrowLeft,
        Key::ArrowRight,
        Key::PageDown,
        Key::Home,
        Key::Delete,
        Key::Backspace,
        Key::Insert,
    ];
    match random.next(10) {
        0 => {
            let key = NAMED[random.next(NAMED.len())];
            harness.key_press(key);
            format!("{key:?}")
        }
        1 => {
            // All that Ctrl does but leaving.
            let keys = [Key::Y, Key::N, Key::Z, Key::Q, Key::A, Key::C, Key::V, Key::R, Key::J];
            let key = keys[random.next(keys.len())];
            harness.key_press_modifiers(Modifiers::CTRL, key);
            format!("Ctrl+{key:?}")
        }
        _ => {
            let letter = KEYS.chars().nth(random.next(KEYS.len())).unwrap();
            if let Some(key) = Key::from_name(&letter.to_uppercase().to_string()) {
                harness.key_down(key);
                harness.event(Event::Text(letter.to_string()));
                harness.key_up(key);
            }
            letter.to_string()
        }
    }
}

#[test]
fn thousands_of_random_keys_in_every_dialog_menu_and_form_decide_nothing_behind_it() {
    type Opens = fn(&mut Harness<'_, App>);
    let on_person: Opens = |harness| {
        let at = on_screen(harness, "North gate", (70.0, 110.0), (384.0, 288.0));
        click(harness, at);
        press(harness, Key::M);
    };
    let places: [(&str, &str, Opens); 10] = [
        ("the form that marks", "Follow for", on_person),
        ("a bookmark", "What is there to see?", |harness| {
            let gate = picture_of(harness, "North gate").center();
            harness.hover_at(gate);
            press(harness, Key::B);
        }),
        ("the sheet", "Keyboard shortcuts", |harness| press(harness, Key::F1)),
        ("health", "Health", |harness| press(harness, Key::F6)),
        ("an export", "Export evidence of", |harness| {
            let view = export_dialog(&harness.state().state);
            harness.state_mut().state.export = Some(view);
        }),
        ("one's password", "Change password", |harness| {
            harness.get_by_label_contains("⏷").click();
            harness.run_steps(3);
            harness.get_by_label_contains("Change password…").click();
        }),
        ("the menu of the user", "Log out", |harness| harness.get_by_label_contains("⏷").click()),
        ("the menu of a sighting", "Reject", |harness| {
            press(harness, Key::S);
            harness.get_by_label("possible match 61 %…").click();
        }),
        ("the question before quitting", "Quit Vigia?", |harness| {
            let all = harness.state().state.cameras.iter().map(|view| view.camera.id).collect();
            harness.state_mut().state.recording = all;
            harness.key_press_modifiers(Modifiers::CTRL, Key::Q);
        }),
        ("a new case", "New case", |harness| {
            press(harness, Key::F9);
            harness.get_by_label("New case…").click();
        }),
    ];
    for (i, (name, sign, opens)) in places.into_iter().enumerate() {
        let mut random = Random(20_261_201 + i as u64);
        // A proposal would push the row of the sighting out of the list.
        let mut harness = open(if sign == "Reject" { busy(four_streets()) } else { site() });
        press(&mut harness, Key::I); // the cards of the matches have the keys, and would decide
        harness.run_steps(3);
        opens(&mut harness);
        harness.run_steps(3);
        assert!(shows(&harness, sign), "{name} is not open: {:?}", texts(&harness));
        let _ = asked(&mut harness);
        let mut typed = Vec::new();
        for _ in 0..300 {
            typed.push(random_key(&mut harness, &mut random));
            harness.step();
            let decided = decisions(&mut harness);
            assert!(decided.is_empty(), "{name}: {decided:?} after {}", typed.join(" "));
        }
    }
}
