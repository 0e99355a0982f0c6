//! Watching on a whole site: real recordings of a real stream.
use super::*;
use crate::{
    site::recording::RecordMode,
    site::{Access, Command, Site, recording::tests as recorded},
    store::LogFilter,
};

fn logged_in(site: &Site) {
    site.send(Command::CreateAdministrator {
        cc: "1".to_owned(),
        name: "Ana Sousa".to_owned(),
        email: "ana@police.example".to_owned(),
        password: "correct horse battery staple".to_owned(),
    });
    recorded::wait("the login", || matches!(site.state().access, Access::LoggedIn(_)).then_some(()));
}

fn review(site: &Site, command: ReviewCommand) {
    site.send(Command::Review(command));
}

fn entries(site: &Site) -> Vec<crate::model::ActionRecord> {
    let actions = &site.shared.records.stores.actions;
    site.shared.runtime.block_on(site.shared.records.delivery.flush());
    let mut log = site.shared.runtime.block_on(actions.page(&LogFilter::default(), None, 100)).unwrap();
    log.retain(|e| e.action == Action::WatchRecording);
    log
}

#[test]
fn a_recording_is_watched_while_it_goes_on_and_the_log_says_what_was_seen() {
    let folder = tempfile::tempdir().unwrap();
    let video = folder.path().join("a.mkv");
    recorded::footage(&video);
    let site = recorded::open(&folder.path().join("data"), &video, RecordMode::Always);
    logged_in(&site);
    let camera = site.state().cameras[0].camera.id;
    let long_ago = Timestamp(1_700_000_000_000_000);
    let segments = recorded::wait("three segments", || {
        let all = site.shared.runtime.block_on(site.shared.segments(&[camera], long_ago, site.state().now)).unwrap();
        Some(all).filter(|s| s.len() >= 3)
    });
    let at = segments[1].starts_at.plus(Duration::from_millis(500));
    review(&site, ReviewCommand::Open { cameras: vec![camera], at });
    let shows = |to: Timestamp| {
        recorded::wait("the frame", || {
            let review = site.state().review;
            let channel = review.channels.into_iter().next().filter(|c| c.what == What::Exact)?;
            let frame = channel.frame?;
            let late = to.seconds_since(frame.captured_at());
            (0.0..0.05).contains(&late).then_some(frame)
        })
    };
    let first = shows(at);
    assert_eq!((first.width(), first.height()), (320, 240));
    assert_eq!(entries(&site).len(), 1, "one begun, none ended");
    review(&site, ReviewCommand::Step(camera, 1));
    let second = recorded::wait("the next frame", || {
        let frame = site.state().review.channels.first()?.frame.clone()?;
        (frame.captured_at() > first.captured_at()).then_some(frame)
    });
    assert!((0.035..0.045).contains(&second.captured_at().seconds_since(first.captured_at())));

    // Before the first recording there is nothing, and it says so; the instant asked for stays.
    let before = segments[0].starts_at.minus(Duration::from_secs(3600));
    review(&site, ReviewCommand::Seek { to: before, scrubbing: false });
    let nothing = recorded::wait("nothing to see", || {
        let review = site.state().review;
        let channel = review.channels.into_iter().next()?;
        (review.at == before && channel.what == What::Nothing && channel.frame.is_none()).then_some(channel)
    });
    assert_eq!(nothing.next, Some(segments[0].starts_at));

    review(
        &site,
        ReviewCommand::Timeline {
            from: segments[0].starts_at,
            until: segments[2].ends_at,
            clothes: Default::default(),
        },
    );
    let timeline = recorded::wait("the timeline", || site.state().review.timeline);
    assert!(timeline.coverage.iter().any(|(c, from, _)| *c == camera && *from <= segments[0].starts_at));

    review(&site, ReviewCommand::Replay(camera));
    recorded::wait("the last half minute, playing", || (site.state().review.rate == 1.0).then_some(()));
    review(&site, ReviewCommand::Close);
    recorded::wait("the end", || site.state().review.channels.is_empty().then_some(()));
    let log = recorded::wait("the entries", || Some(entries(&site)).filter(|log| log.len() >= 3));
    let ended = log.iter().find(|e| e.details.get("watched").is_some()).unwrap();
    assert_eq!((ended.user_cc.as_str(), &ended.details["watched"][0]["camera"]), ("1", &json!("Gate")));
    let watched = ended.details["watched"][0]["watched"].as_array().unwrap();
    let instant = |v: &serde_json::Value| Timestamp::parse(v.as_str().unwrap()).unwrap();
    let there = watched.iter().any(|w| instant(&w[0]) <= first.captured_at() && second.captured_at() <= instant(&w[1]));
    assert!(there, "{watched:?}");
}

#[test]
fn nobody_watches_a_camera_that_is_hidden_from_them() {
    let folder = tempfile::tempdir().unwrap();
    let video = folder.path().join("a.mkv");
    recorded::footage(&video);
    let site = recorded::open(&folder.path().join("data"), &video, RecordMode::Always);
    logged_in(&site);
    let camera = site.state().cameras[0].camera.id;
    review(&site, ReviewCommand::Open { cameras: vec![camera], at: site.state().now });
    recorded::wait("the player", || (!site.state().review.channels.is_empty()).then_some(()));
    // Rights that are taken away hold at once, for what is open, too.
    site.shared.board.lock().rights = Rights::Only(Default::default());
    assert!(site.state().review.channels.is_empty());
    let user = match site.state().access {
        Access::LoggedIn(user) => user,
        other => panic!("{other:?}"),
    };
    let open = Command::Review(ReviewCommand::Open { cameras: vec![camera], at: site.state().now });
    site.shared.board.lock().rights = Rights::Only(Default::default());
    assert!(!site.shared.runtime.block_on(site.shared.permits(&open, &user)));
    let log = recorded::wait("the refusal", || Some(entries(&site)).filter(|log| log.len() >= 2));
    assert!(log.iter().any(|e| matches!(e.outcome, Outcome::Refused(_))), "{log:?}");
}

#[test]
fn a_box_is_that_of_its_frame_or_between_two() {
    let second = |s: f64| Timestamp((s * 1e6) as i64);
    let path = [
        (second(1.0), Rect::new(0.0, 0.0, 10.0, 20.0)),
        (second(1.2), Rect::new(20.0, 0.0, 10.0, 20.0)),
        (second(5.0), Rect::new(90.0, 0.0, 10.0, 20.0)),
    ];
    assert_eq!(box_at(&path, second(1.2)), Some((path[1].1, true)));
    assert_eq!(box_at(&path, second(1.205)), Some((path[1].1, true)));
    let (rect, measured) = box_at(&path, second(1.1)).unwrap();
    assert!((rect.x - 10.0).abs() < 0.01 && !measured);
    assert_eq!(box_at(&path, second(3.0)), None, "nobody knows");
    assert_eq!(box_at(&path, second(0.5)), None);
}
