//! The map: cameras, a suspect's way, and where nothing is yet.
use super::*;
use vigia::site::AdminCommand;

fn placed(number: u128, name: &str, location: (f64, f64)) -> CameraView {
    let mut view = camera(number, name, None);
    view.camera.location = Some(location);
    view.camera.configured = false;
    view
}

fn site(is_admin: bool) -> SiteState {
    let mut state = state(logged_in(is_admin));
    state.cameras = vec![
        placed(1, "Gate", (38.7140, -9.1396)),
        placed(2, "Yard", (38.7140, -9.1390)),
        placed(3, "Quay", (38.7136, -9.1393)),
        camera(4, "Cellar", None),
    ];
    state.cameras[1].status = CameraStatus::Stale { since: Some(NOW), reason: "no answer".to_owned(), retry_at: NOW };
    state.cameras[3].camera.configured = false;
    state.suspects = vec![suspect(1, [86, 180, 233], "theft", crop([90, 60, 40]))];
    let by = "1001".to_owned();
    state.sightings = vec![
        sighting(9, 1, 1, 1.0, Decision::Origin, None),
        sighting(5, 1, 2, 0.91, Decision::Confirmed { by: by.clone(), at: NOW }, None),
        sighting(4, 1, 4, 0.7, Decision::Rejected { by, at: NOW }, None),
        sighting(2, 1, 3, 0.83, Decision::Pending, None),
    ];
    // seen walking from the gate into the yard
    state.sightings[0].sighting.left_at = Some(state.sightings[1].sighting.entered_at);
    state
}

#[test]
fn a_suspects_way_is_numbered_and_what_was_not_seen_is_said_to_be_inferred() {
    let mut harness = open(site(false));
    press(&mut harness, Key::S);
    harness.get_by_label("On the map").click();
    harness.run_steps(4);
    look(&mut harness, "map");
    for words in [
        "Gate (virtual) · live",
        "Yard (virtual) · stale",
        "1 · ",
        "2 · ",
        "3 · ",
        "possible match, inferred",
        "83 %",
        "confirmed by 1001",
        "Solid: seen",
    ] {
        assert!(shows(&harness, words), "{words}: {:?}", texts(&harness));
    }
    assert!(!shows(&harness, "4 · "), "the rejected one is no stop");
    let inferred = texts(&harness).iter().filter(|t| t.contains("unseen")).count();
    assert_eq!(inferred, 1, "the way from the gate into the yard was seen");
    assert!(!shows(&harness, "Move cameras"), "that is for administrators");
    press(&mut harness, Key::Escape);
    assert!(shows(&harness, "Inbox"));
}

#[test]
fn an_administrator_places_and_moves_cameras() {
    let mut harness = open(site(true));
    press(&mut harness, Key::F7);
    harness.run_steps(3);
    harness.get_by_label("Place").click();
    harness.run_steps(2);
    assert!(shows(&harness, "Click where Cellar stands"));
    click(&mut harness, pos2(300.0, 300.0));
    let commands = asked(&mut harness);
    let [Command::Administer(AdminCommand::EditCamera { id, edit })] = &commands[..] else { panic!("{commands:?}") };
    assert_eq!((*id, edit.version, &edit.name), (Uuid::from_u128(4), Some(1), &None));
    let (lat, lon) = edit.location.unwrap();
    assert!((38.71..38.72).contains(&lat) && (-9.15..-9.13).contains(&lon), "{lat}, {lon}");
    look(&mut harness, "map-admin");
}

#[test]
fn an_empty_map_says_how_to_place_cameras() {
    let mut state = state(logged_in(true));
    state.cameras = vec![camera(1, "Gate", None)];
    let mut harness = open(state);
    press(&mut harness, Key::F7);
    harness.run_steps(3);
    look(&mut harness, "map-empty");
    assert!(shows(&harness, "No camera is on the map"));
}
