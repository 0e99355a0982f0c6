//! The search among everybody seen: asked for, ranked, judged.
use super::*;
use vigia::site::{CardView, Clicked, FindCommand, FindView, FindWho, HitView};

fn hit(number: u128, camera: u128, probability: f32, judged: Option<bool>) -> HitView {
    let starts_at = NOW.minus(Duration::from_secs(600 * number as u64));
    HitView {
        tracklet: Uuid::from_u128(number),
        camera: Uuid::from_u128(camera),
        starts_at,
        ends_at: starts_at.plus(Duration::from_secs(12)),
        probability,
        crop: crop([60 + 20 * number as u8, 90, 110]),
        person: None,
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

#[test]
fn whoever_was_found_is_marked_with_reason_and_expiry_and_the_search_goes_on() {
    let mut state = site();
    state.recent_reasons = vec!["theft".to_owned()];
    let picture = crop([120, 60, 60]).unwrap();
    let at = NOW.minus(Duration::from_secs(1195));
    let region = Rect::new(200.0, 100.0, picture.width() as f32, picture.height() as f32);
    let frame = Frame::of_picture(&picture, region, (640.0, 480.0), at).unwrap();
    let rect = Rect::new(4.0, 6.0, 30.0, 60.0);
    let person = Clicked { camera: Uuid::from_u128(2), track: TrackId(7).recorded(), frame, rect };
    let who = || FindView {
        who: "person in Gate at 14:03:22".to_owned(),
        suspect: None,
        picture: crop([90, 60, 40]),
        cameras: vec![Uuid::from_u128(1), Uuid::from_u128(2)],
        from: NOW,
        until: NOW,
        compared: 12,
        hits: vec![hit(1, 1, 0.9, None), HitView { person: Some(person.clone()), ..hit(2, 2, 0.8, None) }],
    };
    state.find = Some(Arc::new(who()));
    let mut harness = open(state);
    press(&mut harness, Key::F);
    harness.get_all_by_label("Mark as suspect…").next().unwrap().click();
    harness.run_steps(3);
    assert!(asked(&mut harness).is_empty(), "the first has no record in the stores yet");
    harness.get_all_by_label("Mark as suspect…").nth(1).unwrap().click();
    harness.run_steps(3);
    let told = std::mem::take(&mut harness.state_mut().asked);
    let [Command::OpenCard(clicked)] = &told[..] else { panic!("{told:?}") };
    assert_eq!((clicked.camera, clicked.track, clicked.rect), (person.camera, person.track, rect));
    assert!(shows(&harness, "Hall") && shows(&harness, "90 %"), "beside the hits");
    let (camera, track) = (person.camera, person.track);
    harness.state_mut().state.card = Some(CardView { camera, track, at, looks: Some(3), poor: None, better: None });
    press(&mut harness, Key::M);
    harness.run_steps(2);
    look(&mut harness, "find-mark");
    press(&mut harness, Key::Enter);
    assert!(asked(&mut harness).is_empty() && shows(&harness, "A reason is needed"));
    write(&mut harness, "fraud");
    harness.get_by_label("8 hours").click();
    harness.run_steps(2);
    harness.get_all_by_label("Mark as suspect").last().unwrap().click();
    harness.run_steps(2);
    let commands = asked(&mut harness);
    let Some(Command::SelectSuspect { camera, track, frame, rect, reason, expires_in }) = commands.first() else {
        panic!("{commands:?}")
    };
    assert_eq!((*camera, *track, *rect), (person.camera, person.track, person.rect));
    assert_eq!((frame.captured_at(), reason.as_str(), expires_in.as_secs()), (at, "fraud", 8 * 3600));
    assert!(shows(&harness, "Find a person") && !shows(&harness, "Follow for"), "the search goes on");

    // Who is the suspect that is searched for is not marked again; Esc closes the card, then the screen.
    let confirmed = HitView { person: Some(person.clone()), ..hit(2, 2, 0.8, Some(true)) };
    let view = FindView { suspect: Some(Uuid::from_u128(101)), hits: vec![confirmed], ..who() };
    harness.state_mut().state.find = Some(Arc::new(view));
    harness.run_steps(2);
    assert_eq!(harness.query_all_by_label("Mark as suspect…").count(), 0);
    harness.state_mut().state.find = Some(Arc::new(who()));
    harness.run_steps(2);
    harness.get_all_by_label("Mark as suspect…").nth(1).unwrap().click();
    harness.run_steps(3);
    press(&mut harness, Key::Escape);
    assert!(shows(&harness, "Find a person") && !shows(&harness, "Track"));
    press(&mut harness, Key::Escape);
    assert!(!shows(&harness, "Find a person"));
}
