//! The administration screens, clicked and typed on.
use super::*;
use std::collections::BTreeSet;
use vigia::site::{AddressTest, AdminCommand, AdminState, TestOutcome, UserView};

const PASSWORD: &str = "correct horse battery staple";

fn user(cc: &str, name: &str, is_admin: bool) -> User {
    User { cc: cc.into(), email: format!("{cc}@police.example"), name: name.into(), is_admin, active: true, version: 1 }
}

fn site(cameras_of_rui: &[u128]) -> SiteState {
    let mut state = state(logged_in(true));
    state.cameras = ["North gate", "Market street", "Car park", "Station hall"]
        .into_iter()
        .enumerate()
        .map(|(i, name)| camera(i as u128 + 1, name, None))
        .collect();
    for view in state.cameras.iter_mut().skip(2) {
        view.camera.configured = false;
        view.camera.url = "rtsp://10.0.0.9/stream1".into();
        view.camera.location = Some((38.7139, -9.1394));
    }
    state.cameras[3].is_stale();
    let mut left = user("3003", "Joana Reis", false);
    left.active = false;
    let views = vec![
        UserView { user: user("1001", "Ana Duarte", true), cameras: BTreeSet::new() },
        UserView { user: left, cameras: BTreeSet::new() },
        UserView { user: user("4004", "Pedro Lopes", false), cameras: BTreeSet::new() },
        UserView {
            user: user("2002", "Rui Costa", false),
            cameras: cameras_of_rui.iter().map(|n| Uuid::from_u128(*n)).collect(),
        },
    ];
    state.admin = Arc::new(AdminState { users: Some(Arc::new(views)), ..AdminState::default() });
    state
}

fn administration(state: SiteState) -> Harness<'static, App> {
    let mut harness = open(state);
    press(&mut harness, Key::F8);
    let opened = asked(&mut harness);
    assert!(matches!(&opened[..], [Command::Administer(AdminCommand::Open)]), "{opened:?}");
    harness
}

fn change(harness: &mut Harness<'_, App>, change: impl FnOnce(&mut AdminState)) {
    change(Arc::make_mut(&mut harness.state_mut().state.admin));
    harness.run_steps(3);
}

fn answer(harness: &mut Harness<'_, App>, answer: Result<&str, &str>) {
    change(harness, |admin| {
        admin.answers += 1;
        admin.answer = Some(answer.map(str::to_owned).map_err(str::to_owned));
    });
}

fn press_button(harness: &mut Harness<'_, App>, label: &str) {
    harness.get_by_role_and_label(egui::accesskit::Role::Button, label).click();
    harness.run_steps(3);
}

fn type_into(harness: &mut Harness<'_, App>, label: &str, text: &str) {
    harness.get_by_role_and_label(egui::accesskit::Role::TextInput, label).focus();
    harness.run_steps(2);
    harness.key_press_modifiers(Modifiers::CTRL | Modifiers::COMMAND, Key::A);
    harness.run_steps(2);
    harness.event(Event::Text(text.to_owned()));
    harness.run_steps(2);
}

fn type_password(harness: &mut Harness<'_, App>, label: &str, text: &str) {
    harness.get_by_role_and_label(egui::accesskit::Role::PasswordInput, label).focus();
    harness.run_steps(2);
    harness.event(Event::Text(text.to_owned()));
    harness.run_steps(2);
}

fn administered(harness: &mut Harness<'_, App>) -> AdminCommand {
    let mut all = asked(harness);
    assert_eq!(all.len(), 1, "{all:?}");
    match all.remove(0) {
        Command::Administer(command) => command,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_user_is_registered_and_a_refusal_stays_beside_what_was_typed() {
    let mut harness = administration(site(&[]));
    look(&mut harness, "administration-users");
    press_button(&mut harness, "Add user…");
    assert!(!shows(&harness, "Type the badge number"), "nobody is told off before they try");
    press_button(&mut harness, "Register user");
    for words in ["Type the badge number", "Type the full name", "Type an e-mail address", "At least 15 characters"] {
        assert!(shows(&harness, words), "{words}");
    }
    assert!(asked(&mut harness).is_empty());
    type_into(&mut harness, "Badge number", "5005");
    type_into(&mut harness, "Full name", "Marta Nunes");
    type_into(&mut harness, "E-mail", "marta@police.example");
    type_password(&mut harness, "New password", "short");
    assert!(shows(&harness, "5 of 15 characters"));
    type_password(&mut harness, "New password", &PASSWORD["short".len()..]);
    type_password(&mut harness, "New password again", PASSWORD);
    assert!(shows(&harness, "The passwords differ"));
    press_button(&mut harness, "Register user");
    assert!(asked(&mut harness).is_empty(), "a form that is not ready was sent");
    harness.get_by_role_and_label(egui::accesskit::Role::PasswordInput, "New password").focus();
    harness.run_steps(2);
    harness.key_press_modifiers(Modifiers::CTRL | Modifiers::COMMAND, Key::A);
    harness.run_steps(2);
    harness.event(Event::Text(PASSWORD.into()));
    harness.run_steps(2);
    look(&mut harness, "administration-add-user");
    press_button(&mut harness, "Register user");
    let AdminCommand::AddUser(new) = administered(&mut harness) else { panic!("something else was asked for") };
    assert_eq!((new.cc.as_str(), new.name.as_str(), new.is_admin), ("5005", "Marta Nunes", false));
    assert_eq!(new.password, PASSWORD);
    answer(&mut harness, Err("There is already a user with this badge number"));
    assert!(shows(&harness, "There is already a user with this badge number"));
    look(&mut harness, "administration-add-user-refused");
    type_into(&mut harness, "Badge number", "6006");
    press_button(&mut harness, "Register user");
    assert!(matches!(administered(&mut harness), AdminCommand::AddUser(new) if new.cc == "6006"));
}

#[test]
fn what_somebody_else_changed_meanwhile_is_shown_before_it_is_replaced() {
    let mut harness = administration(site(&[]));
    press_button(&mut harness, "Rui Costa");
    type_into(&mut harness, "Full name", "Rui Manuel Costa");
    change(&mut harness, |admin| {
        let users = Arc::make_mut(admin.users.as_mut().unwrap());
        let rui = users.iter_mut().find(|v| v.user.cc == "2002").unwrap();
        rui.user.email = "rui.costa@police.example".into();
        rui.user.version = 2;
    });
    assert!(shows(&harness, "Somebody else changed this meanwhile"));
    assert!(shows(&harness, "E-mail: 2002@police.example → rui.costa@police.example"));
    look(&mut harness, "administration-conflict");
    press_button(&mut harness, "Keep mine");
    press_button(&mut harness, "Save");
    let AdminCommand::EditUser(edited) = administered(&mut harness) else { panic!("something else was asked for") };
    assert_eq!((edited.name.as_str(), edited.version), ("Rui Manuel Costa", 2));
    assert_eq!(edited.email, "rui.costa@police.example", "what was not typed is theirs");

    let mut harness = administration(site(&[]));
    press_button(&mut harness, "Rui Costa");
    change(&mut harness, |admin| {
        let users = Arc::make_mut(admin.users.as_mut().unwrap());
        let rui = users.iter_mut().find(|v| v.user.cc == "2002").unwrap();
        (rui.user.name, rui.user.version) = ("Rui M. Costa".into(), 2);
    });
    assert!(!shows(&harness, "Somebody else"), "nothing was typed: there is nothing to lose");
}

#[test]
fn deactivation_asks_first_and_nobody_deactivates_themselves() {
    let mut harness = administration(site(&[]));
    press_button(&mut harness, "Rui Costa");
    press_button(&mut harness, "Deactivate…");
    assert!(asked(&mut harness).is_empty());
    assert!(shows(&harness, "Their sessions end at once"));
    look(&mut harness, "administration-deactivate");
    press(&mut harness, Key::Escape);
    assert!(!shows(&harness, "Their sessions end at once"));
    press_button(&mut harness, "Deactivate…");
    press_button(&mut harness, "Deactivate");
    assert!(matches!(administered(&mut harness), AdminCommand::SetUserActive { cc, active: false } if cc == "2002"));
    press(&mut harness, Key::Escape);
    press_button(&mut harness, "Ana Duarte");
    assert!(shows(&harness, "Nobody can deactivate themselves"));
    assert!(harness.query_by_label("Deactivate…").is_none());
    press_button(&mut harness, "Joana Reis");
    press_button(&mut harness, "Reactivate");
    assert!(matches!(administered(&mut harness), AdminCommand::SetUserActive { cc, active: true } if cc == "3003"));
}

#[test]
fn the_first_rights_say_who_sees_nothing_from_then_on() {
    let mut harness = administration(site(&[]));
    press_button(&mut harness, "Who sees what");
    assert!(shows(&harness, "every operator sees every camera"));
    harness.get_by_label("Rui Costa sees Car park").click();
    harness.run_steps(2);
    harness.get_by_label("Rui Costa sees North gate").click();
    harness.run_steps(2);
    look(&mut harness, "administration-rights-changed");
    press_button(&mut harness, "Save changes");
    assert!(asked(&mut harness).is_empty());
    assert!(shows(&harness, "nothing is ticked for Pedro Lopes"));
    look(&mut harness, "administration-rights-first");
    press_button(&mut harness, "Save");
    let wanted: BTreeSet<Uuid> = [1, 3].map(Uuid::from_u128).into();
    let AdminCommand::SetUserCameras { cc, cameras, version } = administered(&mut harness) else { panic!() };
    assert_eq!((cc.as_str(), &cameras, version), ("2002", &wanted, 1));
    change(&mut harness, |admin| {
        let users = Arc::make_mut(admin.users.as_mut().unwrap());
        let rui = users.iter_mut().find(|v| v.user.cc == "2002").unwrap();
        (rui.cameras, rui.user.version) = (cameras, 2);
        admin.answers += 1;
        admin.answer = Some(Ok(String::new()));
    });
    assert!(shows(&harness, "Operators see the cameras that are ticked and no others"));
    assert!(shows(&harness, "2 of 4") && shows(&harness, "no camera"));
    look(&mut harness, "administration-rights");
    assert!(asked(&mut harness).is_empty(), "it was saved once");
}

#[test]
fn a_camera_is_tested_registered_and_edited() {
    let mut harness = administration(site(&[]));
    press_button(&mut harness, "Cameras");
    look(&mut harness, "administration-cameras");
    press_button(&mut harness, "Add camera…");
    type_into(&mut harness, "Name", "Quay");
    type_into(&mut harness, "Address", "http://10.0.0.4");
    assert!(shows(&harness, "An address starts with rtsp://"));
    type_into(&mut harness, "Address", "rtsp://u:s3cret@10.0.0.4/1");
    type_into(&mut harness, "Latitude", "95");
    type_into(&mut harness, "Longitude", "-9.1");
    assert!(shows(&harness, "Latitude is -90 to 90"));
    type_into(&mut harness, "Latitude", "38,71");
    type_into(&mut harness, "Angle, °", "90");
    assert!(shows(&harness, "Type the way the camera looks"));
    type_into(&mut harness, "Looks, ° from north", "270");
    press_button(&mut harness, "Test the address");
    let AdminCommand::TestAddress { camera: None, url: Some(url) } = administered(&mut harness) else { panic!() };
    assert_eq!(url, "rtsp://u:s3cret@10.0.0.4/1");
    let picture = Picture::new(64, 36, [120, 150, 190].repeat(64 * 36)).unwrap();
    change(&mut harness, |admin| {
        let outcome = TestOutcome::Seen(picture, (1280, 720));
        admin.test = Some(AddressTest { address: "rtsp://10.0.0.4/1".into(), outcome });
    });
    assert!(shows(&harness, "rtsp://10.0.0.4/1 answers with 1280 × 720 pixels"));
    look(&mut harness, "administration-add-camera");
    press_button(&mut harness, "Register camera");
    let AdminCommand::AddCamera(edit) = administered(&mut harness) else { panic!() };
    assert_eq!((edit.name.as_deref(), edit.location), (Some("Quay"), Some((38.71, -9.1))));
    assert_eq!((edit.heading, edit.angle, edit.range), (Some(270.0), Some(90.0), Some(25.0)));
    answer(&mut harness, Ok("Quay is registered"));

    press_button(&mut harness, "Station hall");
    look(&mut harness, "administration-camera");
    type_into(&mut harness, "Name", "Main hall");
    press_button(&mut harness, "Save");
    let AdminCommand::EditCamera { id, edit } = administered(&mut harness) else { panic!() };
    assert_eq!((id, edit.name.as_deref(), edit.version), (Uuid::from_u128(4), Some("Main hall"), Some(1)));
    assert!(edit.url.is_none() && edit.location.is_none() && !edit.unplaced && edit.active.is_none());

    press(&mut harness, Key::Escape);
    assert!(shows(&harness, "Drop what you typed?"), "a form with something typed asks");
    press(&mut harness, Key::Escape);
    assert!(!shows(&harness, "Drop what you typed?") && shows(&harness, "Station hall"));
    press(&mut harness, Key::Escape);
    press_button(&mut harness, "Drop it");
    press_button(&mut harness, "North gate");
    assert!(shows(&harness, "described in the site's configuration file"));
    assert!(harness.query_by_label("Test the address").is_none() && harness.query_by_label("Deactivate…").is_none());
    type_into(&mut harness, "Latitude", "38.7");
    type_into(&mut harness, "Longitude", "-9.1");
    press_button(&mut harness, "Save");
    let AdminCommand::EditCamera { id, edit } = administered(&mut harness) else { panic!() };
    assert_eq!((id, edit.location, edit.name), (Uuid::from_u128(1), Some((38.7, -9.1)), None));
}

#[test]
fn an_operator_has_no_administration_and_a_password_of_their_own() {
    let mut state = site(&[]);
    state.access = logged_in(false);
    state.admin = Arc::default();
    let mut harness = open(state);
    press(&mut harness, Key::F8);
    assert!(asked(&mut harness).is_empty() && !shows(&harness, "Administration"));
    press_button(&mut harness, "Rui Costa ⏷");
    harness.get_by_label_contains("Change password…").click();
    harness.run_steps(3);
    type_password(&mut harness, "Password now", "the old one");
    type_password(&mut harness, "New password", PASSWORD);
    type_password(&mut harness, "New password again", PASSWORD);
    look(&mut harness, "own-password");
    press_button(&mut harness, "Change password");
    let AdminCommand::ChangeOwnPassword { old, new } = administered(&mut harness) else { panic!() };
    assert_eq!((old.as_str(), new.as_str()), ("the old one", PASSWORD));
    answer(&mut harness, Err("The password you have now is another one"));
    assert!(shows(&harness, "The password you have now is another one"));
    press_button(&mut harness, "Change password");
    assert_eq!(asked(&mut harness).len(), 1);
    answer(&mut harness, Ok("Your password is changed"));
    assert!(!shows(&harness, "Password now"));
}
