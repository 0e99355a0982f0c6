//! The map: cameras, a suspect's way, and where nothing is yet.
use super::*;
use pmtiles::{PmTilesWriter, TileCoord, TileType};
use std::{fs::File, io::Cursor, path::Path};
use vigia::{
    model::FieldOfView,
    site::{AdminCommand, MapCommand, Movement},
};

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
    Arc::make_mut(&mut state.sightings[0]).sighting.left_at = Some(state.sightings[1].sighting.entered_at);
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
    assert!(!shows(&harness, "Move and turn"), "that is for administrators");
    assert!(shows(&harness, "Not on the map") && harness.query_by_label("Place it").is_none());
    let [Command::Map(MapCommand::Movement(who))] = asked(&mut harness)[..] else { panic!() };
    assert_eq!(who, Uuid::from_u128(101), "the whole movement is asked for, once");
    press(&mut harness, Key::Escape);
    assert!(shows(&harness, "Inbox"));
}

#[test]
fn legs_between_the_same_two_cameras_have_a_line_each_and_one_for_all_times_they_were_gone() {
    let mut state = site(false);
    let confirmed = || Decision::Confirmed { by: "1001".to_owned(), at: NOW };
    let stay = |number, camera, decision| sighting(number, 1, camera, 0.9, decision, None);
    state.sightings = vec![
        stay(12, 1, Decision::Origin),
        stay(11, 2, confirmed()),
        stay(10, 1, confirmed()),
        stay(9, 2, confirmed()),
        stay(7, 1, confirmed()),
        stay(5, 2, Decision::Pending),
    ];
    // seen walking from the gate into the yard, once
    Arc::make_mut(&mut state.sightings[0]).sighting.left_at = Some(state.sightings[1].sighting.entered_at);
    let mut harness = open(state);
    press(&mut harness, Key::S);
    harness.get_by_label("On the map").click();
    harness.run_steps(4);
    look(&mut harness, "map-legs");
    let legs: Vec<String> = texts(&harness).into_iter().filter(|t| t.contains("unseen")).collect();
    let there = "2 × possible match, inferred · 40 s to 2 min unseen";
    let back = "2 × inferred · 40 s to 2 min unseen";
    assert_eq!(legs.len(), 2, "{legs:?}");
    assert!(legs.iter().any(|t| t == there) && legs.iter().any(|t| t == back), "{legs:?}");
}

#[test]
fn an_administrator_places_and_moves_cameras() {
    let mut harness = open(site(true));
    press(&mut harness, Key::F7);
    harness.run_steps(3);
    harness.get_by_label("Place it").click();
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

/// One command, an edit of a camera.
fn edited(harness: &mut Harness<'_, App>) -> (Uuid, vigia::site::CameraEdit) {
    let commands = asked(harness);
    let [Command::Administer(AdminCommand::EditCamera { id, edit })] = &commands[..] else { panic!("{commands:?}") };
    (*id, edit.clone())
}

fn drag(harness: &mut Harness<'_, App>, from: Pos2, by: egui::Vec2) {
    harness.hover_at(from);
    harness.run_steps(1);
    harness.drag_at(from);
    harness.run_steps(1);
    for part in [0.5, 1.0] {
        harness.hover_at(from + by * part);
        harness.run_steps(1);
    }
    harness.event(Event::PointerButton {
        pos: from + by,
        button: egui::PointerButton::Primary,
        pressed: false,
        modifiers: Modifiers::NONE,
    });
    harness.run_steps(2);
}

#[test]
fn cameras_are_turned_and_widened_on_the_map() {
    let mut state = site(true);
    state.cameras[0].camera.field_of_view = Some(FieldOfView { heading: 90.0, angle: 60.0, range: 20.0 });
    state.cameras[2].camera.configured = true;
    let mut harness = open(state);
    press(&mut harness, Key::F7);
    harness.run_steps(3);
    harness.get_by_label("Move and turn cameras by dragging").click();
    harness.run_steps(2);
    look(&mut harness, "map-views");
    let front = harness.get_by_label("Which way Gate looks").rect().center();
    // Eastwards is to the right; further to the right is further away.
    drag(&mut harness, front, vec2(30.0, 0.0));
    let (id, edit) = edited(&mut harness);
    assert_eq!((id, edit.heading, edit.location, edit.version), (Uuid::from_u128(1), Some(90.0), None, Some(1)));
    let range = edit.range.unwrap();
    assert!(range > 21.0 && range < 60.0, "{range}");
    let side = harness.get_by_label("How wide Gate sees").rect().center();
    drag(&mut harness, side, vec2(-10.0, 40.0));
    let (_, edit) = edited(&mut harness);
    assert!(edit.angle.unwrap() > 65.0 && edit.heading.is_none(), "{:?}", edit.angle);
    // One that says nothing yet, and is described in the configuration file, looks north at first.
    let front = harness.get_by_label("Which way Quay looks").rect().center();
    assert!(harness.query_by_label("How wide Quay sees").is_none());
    drag(&mut harness, front, vec2(60.0, 60.0));
    let (id, edit) = edited(&mut harness);
    assert_eq!(id, Uuid::from_u128(3));
    assert!((1.0..179.0).contains(&edit.heading.unwrap()), "{:?}", edit.heading);
}

#[test]
fn a_movement_is_shown_beyond_the_newest_sightings() {
    let mut state = site(false);
    let long_ago = |n: i64| {
        let mut view = Arc::unwrap_or_clone(sighting(9, 1, 1 + (n % 3) as u128, 0.9, Decision::Origin, None));
        view.sighting.id = Uuid::from_u128(100_000 + n as u128);
        view.sighting.entered_at = Timestamp(NOW.0 - 86_400_000_000 + n * 60_000_000);
        view.sighting.last_seen_at = Timestamp(view.sighting.entered_at.0 + 1_000_000);
        view.sighting.left_at = Some(view.sighting.last_seen_at);
        view
    };
    let stays = (0..700).map(long_ago).collect();
    state.map.movement =
        Some(Arc::new(Movement { suspect: Uuid::from_u128(101), stays: Ok(stays), is_cut_off: false }));
    let mut harness = open(state);
    press(&mut harness, Key::S);
    harness.get_by_label("On the map").click();
    harness.run_steps(4);
    assert!(asked(&mut harness).is_empty(), "it was read already");
    assert!(shows(&harness, "The newest 200 of 703 stays") && shows(&harness, "703 · "), "{:?}", texts(&harness));
    look(&mut harness, "map-long");
    harness.get_by_label("Show 200 earlier").click();
    harness.run_steps(2);
    assert!(shows(&harness, "The newest 400 of 703 stays"));
    assert!(!shows(&harness, "Only the newest"));
    let whole = harness.state().state.map.movement.clone().unwrap();
    harness.state_mut().state.map.movement = Some(Arc::new(Movement { is_cut_off: true, ..Movement::clone(&whole) }));
    harness.run_steps(2);
    assert!(shows(&harness, "Only the newest 20000 stays are listed"), "{:?}", texts(&harness));

    let stays = Err("the database does not answer".to_owned());
    let unread = Movement { suspect: Uuid::from_u128(101), stays, is_cut_off: false };
    harness.state_mut().state.map.movement = Some(Arc::new(unread));
    harness.run_steps(2);
    assert!(shows(&harness, "the database does not answer") && shows(&harness, "3 · "));
}

/// An archive of the whole earth at zoom 0 to 2, each tile of one colour: green at 0, blue at 1, red at 2.
fn archive(path: &Path, format: image::ImageFormat, kind: TileType) {
    let metadata = r#"{"attribution":"<b>&copy; The test</b>"}"#;
    let writer = PmTilesWriter::new(kind).min_zoom(0).max_zoom(2).metadata(metadata);
    let mut writer = writer.create(File::create(path).unwrap()).unwrap();
    for zoom in 0..=2_u8 {
        for (x, y) in (0..1_u32 << zoom).flat_map(|x| (0..1_u32 << zoom).map(move |y| (x, y))) {
            let colour = [[40, 200, 40], [40, 40, 200], [230, 40, 40]][usize::from(zoom)];
            let tile = image::RgbImage::from_pixel(256, 256, image::Rgb(colour));
            let mut bytes = Cursor::new(Vec::new());
            tile.write_to(&mut bytes, format).unwrap();
            writer.add_tile(TileCoord::new(zoom, x, y).unwrap(), bytes.get_ref()).unwrap();
        }
    }
    writer.finalize().unwrap();
}

/// Draws until the map under the cameras is as wanted, or for ten seconds.
fn drawn(harness: &mut Harness<'_, App>, wanted: impl Fn(&Harness<'_, App>, [u8; 3]) -> bool) -> [u8; 3] {
    let begun = std::time::Instant::now();
    loop {
        harness.run_steps(1);
        let image = harness.render().unwrap();
        let [r, g, b, _] = image.get_pixel(60, 400).0;
        if wanted(harness, [r, g, b]) || begun.elapsed().as_secs() > 10 {
            return [r, g, b];
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_tiles_of_an_archive_lie_under_the_map_also_beyond_its_finest() {
    let dir = tempfile::tempdir().unwrap();
    for (name, format, kind) in [
        ("png", image::ImageFormat::Png, TileType::Png),
        ("jpeg", image::ImageFormat::Jpeg, TileType::Jpeg),
        ("webp", image::ImageFormat::WebP, TileType::Webp),
    ] {
        let path = dir.path().join(format!("{name}.pmtiles"));
        archive(&path, format, kind);
        let mut state = site(false);
        state.map.tiles = Some(path);
        let mut harness = open(state);
        press(&mut harness, Key::F7);
        // The cameras are tens of metres apart: zoom 18, drawn of the finest tile there is.
        let red = |rgb: [u8; 3]| rgb[0] > 60 && rgb[0] > 2 * rgb[1] && rgb[0] > 2 * rgb[2];
        let seen = drawn(&mut harness, |_, rgb| red(rgb));
        assert!(red(seen), "{name}: {seen:?}");
        assert!(shows(&harness, "© The test"), "whose map it is");
        look(&mut harness, &format!("map-tiles-{name}"));
    }
}

#[test]
fn a_map_file_that_cannot_be_used_is_told_and_the_cameras_stay() {
    let dir = tempfile::tempdir().unwrap();
    let gone = dir.path().join("gone.pmtiles");
    let nonsense = dir.path().join("nonsense.pmtiles");
    std::fs::write(&nonsense, b"not an archive").unwrap();
    let vector = dir.path().join("vector.pmtiles");
    archive(&vector, image::ImageFormat::Png, TileType::Mvt);
    let cut = dir.path().join("cut.pmtiles");
    archive(&cut, image::ImageFormat::Png, TileType::Png);
    let length = std::fs::metadata(&cut).unwrap().len();
    File::options().write(true).open(&cut).unwrap().set_len(length - 400).unwrap();
    for (path, words) in [
        (gone, "cannot be used: No such file"),
        (nonsense, "cannot be used: "),
        (vector, "not of vector tiles"),
        (cut, "cannot be read: "),
    ] {
        let mut state = site(false);
        state.map.tiles = Some(path.clone());
        let mut harness = open(state);
        press(&mut harness, Key::F7);
        drawn(&mut harness, |harness, _| shows(harness, words));
        assert!(shows(&harness, words) && shows(&harness, "Gate (virtual) · live"), "{path:?}: {:?}", texts(&harness));
    }
}
