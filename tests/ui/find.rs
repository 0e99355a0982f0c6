//! The search among everybody seen: asked for, ranked, judged.
use super::*;
use vigia::site::{FindCommand, FindView, FindWho, HitView};

fn hit(number: u128, camera: u128, probability: f32, judged: Option<bool>) -> HitView {
    let starts_at = NOW.minus(Duration::from_secs(600 * number as u64));
    HitView {
        tracklet: Uuid::from_u128(number),
        camera: Uuid::from_u128(camera),
        starts_at,
        ends_at: starts_at.plus(Duration::from_secs(12)),
        probability,
        crop: crop([60 + 20 * number as u8, 90, 110]),
        judged,
    }
}

fn site() -> SiteState {
    let mut state = state(logged_in(false));
    state.cameras = vec![camera(1, "Gate", None), camera(2, "Hall", None)];
    state.suspects = vec![suspect(1, [86, 180, 233], "theft", crop([90, 60, 40]))];
    state
}

#[test]
fn a_search_for_a_suspect_is_ranked_and_each_hit_can_be_judged() {
    let mut harness = open(site());
    press(&mut harness, Key::F);
    assert!(shows(&harness, "Nobody is searched for"));
    look(&mut harness, "find-empty");
    assert!(asked(&mut harness).is_empty(), "whom to search for is not known");

    press(&mut harness, Key::S);
    harness.get_by_label("Find…").click();
    harness.run_steps(3);
    let commands = asked(&mut harness);
    let [Command::Find(FindCommand::Start { who: FindWho::Suspect(who), cameras: None, from, until })] = &commands[..]
    else {
        panic!("{commands:?}")
    };
    assert_eq!(*who, Uuid::from_u128(101));
    assert!((until.seconds_since(*from) - 86_400.0).abs() < 5.0, "24 hours unless said otherwise");
    assert!(shows(&harness, "Searching…"));

    harness.state_mut().state.find = Some(Arc::new(FindView {
        who: "Suspect 1".to_owned(),
        suspect: Some(*who),
        picture: crop([90, 60, 40]),
        cameras: vec![Uuid::from_u128(1), Uuid::from_u128(2)],
        from: *from,
        until: *until,
        compared: 4321,
        hits: vec![hit(1, 1, 0.97, Some(true)), hit(2, 2, 0.81, None), hit(3, 1, 0.42, Some(false))],
    }));
    harness.run_steps(3);
    look(&mut harness, "find");
    for words in
        ["4321 appearances compared", "97 %", "81 %", "42 %", "confirmed", "rejected", "possible, never certain"]
    {
        assert!(shows(&harness, words), "{words}: {:?}", texts(&harness));
    }
    let order: Vec<_> = texts(&harness).into_iter().filter(|t| t.ends_with(" %")).collect();
    assert_eq!(order, ["97 %", "81 %", "42 %"], "the most probable first");

    harness.get_all_by_label("Same").nth(1).unwrap().click();
    harness.run_steps(2);
    harness.get_all_by_label("Other").nth(1).unwrap().click();
    harness.run_steps(2);
    let judged: Vec<_> = asked(&mut harness)
        .into_iter()
        .filter_map(|c| {
            if let Command::Find(FindCommand::Judge { tracklet, same }) = c { Some((tracklet, same)) } else { None }
        })
        .collect();
    assert_eq!(judged, [(Uuid::from_u128(2), true), (Uuid::from_u128(2), false)]);

    harness.get_by_label("Close search").click();
    harness.run_steps(2);
    assert!(matches!(asked(&mut harness)[..], [Command::Find(FindCommand::Close)]));
    assert!(shows(&harness, "Inbox"), "the wall again");
}

#[test]
fn other_hours_and_cameras_ask_again() {
    let mut harness = open(site());
    press(&mut harness, Key::S);
    harness.get_by_label("Find…").click();
    harness.run_steps(3);
    asked(&mut harness);
    harness.get_by_label("7 days").click();
    harness.run_steps(2);
    let commands = asked(&mut harness);
    let [Command::Find(FindCommand::Start { cameras: None, from, until, .. })] = &commands[..] else {
        panic!("{commands:?}")
    };
    assert!((until.seconds_since(*from) - 7.0 * 86_400.0).abs() < 5.0);
    harness.get_by_label("2 of 2 cameras ⏷").click();
    harness.run_steps(3);
    harness.get_by_role_and_label(egui::accesskit::Role::CheckBox, "Hall").click();
    harness.run_steps(3);
    let commands = asked(&mut harness);
    let [Command::Find(FindCommand::Start { cameras: Some(cameras), .. })] = &commands[..] else {
        panic!("{commands:?}")
    };
    assert_eq!(*cameras, [Uuid::from_u128(1)], "without the hall");

    let nobody = FindView {
        who: "Suspect 1".to_owned(),
        suspect: Some(Uuid::from_u128(101)),
        picture: None,
        cameras: cameras.clone(),
        from: NOW,
        until: NOW,
        compared: 0,
        hits: Vec::new(),
    };
    harness.state_mut().state.find = Some(Arc::new(nobody));
    harness.run_steps(3);
    assert!(!shows(&harness, "Nobody was seen there and then"), "nothing moves under an open list");
    press(&mut harness, Key::Escape);
    harness.run_steps(3);
    look(&mut harness, "find-nobody");
    assert!(shows(&harness, "Nobody was seen there and then"));
}
