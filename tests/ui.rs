//! The operator's console without a window: typed keys and clicks in, commands and pixels out.
//! With `VIGIA_SCREENS=DIR` every screen that is looked at here is also written there as a PNG.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // helpers of tests, too
#[path = "ui/administration.rs"]
mod administration;
#[path = "ui/casework.rs"]
mod casework;
#[path = "ui/export.rs"]
mod export;
#[path = "ui/find.rs"]
mod find;
#[path = "ui/hands.rs"]
mod hands;
#[path = "ui/map.rs"]
mod map;
#[path = "ui/review.rs"]
mod review;

use egui::{Event, Key, Modifiers, Pos2, pos2, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use egui_kittest::wgpu::{WgpuTestRenderer, create_render_state, default_wgpu_setup};
use gstreamer as gst;
use gstreamer_video as gst_video;
use image::RgbaImage;
use std::{sync::Arc, time::Duration};
use uuid::Uuid;
use vigia::audit::{Fault, Finding, Format};
use vigia::model::{
    Action, ActionRecord, Camera, Characteristics, Class, ClockOffset, ColourName, Decision, Detection, KeptAction,
    Looked, Outcome, Outline, Picture, Rect, Sighting, Suspect, Timestamp, Track, TrackId, User,
};
use vigia::site::{
    About, Access, CameraCounters, CameraStatus, CameraView, Command, FailingWorker, Judgement, Keeper, LogCommand,
    LogSheet, LogView, LogWork, MatchView, Notice, NoticeLevel, SessionTimes, SightingView, SiteState, StoreHealth,
    SuspectView, TrackView, Verdict, WeaponView,
};
use vigia::store::LogFilter;
use vigia::sync::RefusedRecord;
use vigia::ui::{Console, tokens};
use vigia::video::{Color, Frame};

/// 2026-11-22T14:03:22Z.
pub(crate) const NOW: Timestamp = Timestamp(1_795_356_202_000_000);
const SIZE: [f32; 2] = [1600.0, 900.0];

/// The console on a state that the test sets by hand.
pub(crate) struct App {
    console: Console,
    pub(crate) state: SiteState,
    pub(crate) asked: Vec<Command>,
}

impl eframe::App for App {
    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        let asked = self.console.ui(ui, &self.state);
        self.asked.extend(asked);
    }
}

pub(crate) fn open(state: SiteState) -> Harness<'static, App> {
    open_paced(state, 0.25)
}

/// With so many seconds from one pass to the next.
pub(crate) fn open_paced(state: SiteState, seconds: f32) -> Harness<'static, App> {
    let device = create_render_state(default_wgpu_setup(), egui_wgpu::RendererOptions::PREDICTABLE);
    let mut harness = Harness::builder()
        .with_size(SIZE)
        .with_step_dt(seconds)
        .renderer(WgpuTestRenderer::from_render_state(device))
        .build_eframe(|context| App {
            console: Console::new(&context.egui_ctx, context.wgpu_render_state.as_ref()),
            state,
            asked: Vec::new(),
        });
    harness.run_steps(4);
    harness
}

/// Renders, and keeps the picture where a person wants to look at it.
pub(crate) fn look(harness: &mut Harness<'_, App>, name: &str) -> RgbaImage {
    let mut image = harness.render().expect("the console can be rendered");
    // The window clears to this colour; the test's renderer to nothing.
    let ground = tokens::BACKGROUND.to_array();
    for pixel in image.pixels_mut() {
        let uncovered = u16::from(255 - pixel.0[3]);
        for (c, g) in pixel.0.iter_mut().zip(ground) {
            *c += (u16::from(g) * uncovered / 255) as u8;
        }
    }
    if let Some(folder) = std::env::var_os("VIGIA_SCREENS") {
        image.save(std::path::Path::new(&folder).join(format!("{name}.png"))).expect("the folder can be written");
    }
    let texts = texts(harness);
    assert!(
        !texts.iter().any(|text| text.to_lowercase().contains("identified")),
        "a match is never an identification: {texts:?}"
    );
    image
}

/// All words on the screen, those of toasts too.
fn texts(harness: &Harness<'_, App>) -> Vec<String> {
    fn collect(shape: &egui::Shape, found: &mut Vec<String>) {
        match shape {
            egui::Shape::Text(text) => found.push(text.galley.text().to_owned()),
            egui::Shape::Vec(shapes) => shapes.iter().for_each(|shape| collect(shape, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    harness.output().shapes.iter().for_each(|clipped| collect(&clipped.shape, &mut found));
    found
}

fn shows(harness: &Harness<'_, App>, words: &str) -> bool {
    texts(harness).iter().any(|text| text.replace('\n', " ").contains(words))
}

fn write(harness: &mut Harness<'_, App>, text: &str) {
    for letter in text.chars() {
        // A keyboard sends the key and the text.
        if let Some(key) = Key::from_name(&letter.to_uppercase().to_string()) {
            harness.key_down(key);
            harness.event(Event::Text(letter.to_string()));
            harness.key_up(key);
        } else {
            harness.event(Event::Text(letter.to_string()));
        }
    }
    harness.run_steps(2);
}

fn press(harness: &mut Harness<'_, App>, key: Key) {
    harness.key_press(key);
    harness.run_steps(2);
}

fn click(harness: &mut Harness<'_, App>, at: Pos2) {
    harness.hover_at(at);
    harness.drag_at(at);
    harness.event(Event::PointerButton {
        pos: at,
        button: egui::PointerButton::Primary,
        pressed: false,
        modifiers: Modifiers::NONE,
    });
    harness.run_steps(3);
}

/// What the operator asked for; that the site keeps whose card is open has a test of its own.
fn asked(harness: &mut Harness<'_, App>) -> Vec<Command> {
    let mut asked = std::mem::take(&mut harness.state_mut().asked);
    asked.retain(|command| !matches!(command, Command::OpenCard(_) | Command::CloseCard));
    asked
}

/// Where a camera's picture is, its black borders included.
fn picture_of(harness: &Harness<'_, App>, camera: &str) -> egui::Rect {
    harness.get_by_label(&format!("Picture of {camera}")).rect()
}

pub(crate) fn state(access: Access) -> SiteState {
    let store =
        |name: &str| StoreHealth { store: name.to_owned(), backlog: 0, error: None, failing_since: None, set_aside: 0 };
    SiteState {
        now: NOW,
        name: "North precinct".to_owned(),
        access,
        cameras: Vec::new(),
        suspects: Vec::new(),
        sightings: Vec::new(),
        recent_reasons: Vec::new(),
        session: None,
        admin: Arc::default(),
        review: Default::default(),
        uploads: Vec::new(),
        jobs: Vec::new(),
        export: None,
        map: Default::default(),
        log: LogView::default(),
        failing: Vec::new(),
        stores: ["users", "cameras", "action log", "objects", "journal"].map(store).to_vec(),
        refused: Arc::default(),
        notices: Vec::new(),
        analysis: "NanoDet-g on CPU · appearance: colour stripes".to_owned(),
        find: None,
        card: None,
        recording: Vec::new(),
        records: false,
        casework: Arc::default(),
    }
}

pub(crate) fn logged_in(is_admin: bool) -> Access {
    let (cc, name) = if is_admin { ("1001", "Ana Duarte") } else { ("2002", "Rui Costa") };
    Access::LoggedIn(User {
        cc: cc.into(),
        email: "x@police.example".into(),
        name: name.into(),
        is_admin,
        active: true,
        version: 1,
    })
}

pub(crate) fn camera(number: u128, name: &str, frame: Option<Frame>) -> CameraView {
    CameraView {
        camera: Camera {
            id: Uuid::from_u128(number),
            name: name.to_owned(),
            url: "test:".to_owned(),
            location: None,
            field_of_view: None,
            placed: false,
            added_at: Timestamp(0),
            active: true,
            is_virtual: true,
            configured: true,
            version: 1,
        },
        status: CameraStatus::Live,
        frame,
        tracks: Arc::default(),
        weapons: Arc::default(),
        counters: CameraCounters {
            received: 900,
            analysed: 300,
            dropped: 600,
            fps: 12.0,
            analysed_fps: 4.0,
            latency_ms: 84.0,
        },
        clock_offset: None,
        keeper: Keeper::Alone,
        looked: Arc::default(),
    }
}

/// A frame of one colour: `[y, u, v]`.
fn plain(width: u32, height: u32, [y, u, v]: [u8; 3], color: Color) -> Frame {
    halves(width, height, [y, u, v], [y, u, v], color)
}

/// A frame with one colour in its upper half and another in its lower half.
fn halves(width: u32, height: u32, upper: [u8; 3], lower: [u8; 3], color: Color) -> Frame {
    gst::init().unwrap();
    let (w, h) = (width as usize, height as usize);
    let mut bytes = Vec::new();
    for (plane, (pw, ph)) in
        [(w, h), (w.div_ceil(2), h.div_ceil(2)), (w.div_ceil(2), h.div_ceil(2))].into_iter().enumerate()
    {
        for row in 0..ph {
            bytes.resize(bytes.len() + pw, if row < ph / 2 { upper[plane] } else { lower[plane] });
        }
    }
    Frame::from_i420(width, height, &bytes, color, 0, NOW).unwrap()
}

/// One colour as NV12, in a buffer with long rows.
fn nv12(width: u32, height: u32, [y, u, v]: [u8; 3], stride: usize) -> Frame {
    gst::init().unwrap();
    let luma = stride * height as usize;
    let mut bytes = vec![y; luma];
    bytes.extend([u, v].into_iter().cycle().take(stride * (height as usize).div_ceil(2)));
    let colorimetry = gst_video::VideoColorimetry::new(
        gst_video::VideoColorRange::Range16_235,
        gst_video::VideoColorMatrix::Bt709,
        gst_video::VideoTransferFunction::Bt709,
        gst_video::VideoColorPrimaries::Bt709,
    );
    let info = gst_video::VideoInfo::builder(gst_video::VideoFormat::Nv12, width, height)
        .colorimetry(&colorimetry)
        .offset(&[0, luma])
        .stride(&[stride as i32, stride as i32])
        .build()
        .unwrap();
    Frame::new(gst::Buffer::from_slice(bytes), &info, 0, NOW, Duration::ZERO).unwrap()
}

/// A street of a kind: sky, ground, and a person in every box.
fn street(width: u32, height: u32, people: &[Rect]) -> Frame {
    gst::init().unwrap();
    let (w, h) = (width as usize, height as usize);
    let (cw, ch) = (w.div_ceil(2), h.div_ceil(2));
    let person = |x: usize, y: usize| people.iter().position(|r| r.contains(x as f32, y as f32));
    let mut bytes = Vec::with_capacity(w * h * 3 / 2);
    for y in 0..h {
        for x in 0..w {
            let ground = if y < h / 3 {
                150 - (y * 60 / h) as u8
            } else {
                90 + (y * 40 / h) as u8 + ((x / 16 + y / 16) % 2) as u8 * 6
            };
            bytes.push(person(x, y).map_or(ground, |i| 60 + (i as u8 % 4) * 40));
        }
    }
    for plane in 0..2u8 {
        for y in 0..ch {
            for x in 0..cw {
                bytes.push(person(x * 2, y * 2).map_or(128, |i| 90 + ((i as u8 * 47 + plane * 31) % 80)));
            }
        }
    }
    Frame::from_i420(width, height, &bytes, Color::BT601, 0, NOW).unwrap()
}

pub(crate) fn track(id: u64, rect: Rect, measured_before: Duration, suspect: Option<MatchView>) -> TrackView {
    TrackView {
        track: Track {
            id: TrackId(id),
            rect,
            velocity: [0.0; 2],
            at: NOW,
            measured_at: NOW.minus(measured_before),
            first_seen: NOW.minus(Duration::from_secs(9)),
            score: 0.8,
            hits: 20,
        },
        suspect,
        outline: None,
    }
}

fn crop(tint: [u8; 3]) -> Option<Picture> {
    let pixels = (0..64 * 128).flat_map(|i| tint.map(|c| c.saturating_sub((i / 640) as u8 * 5)));
    Picture::new(64, 128, pixels.collect())
}

pub(crate) fn suspect(number: u128, colour: [u8; 3], reason: &str, crop: Option<Picture>) -> Arc<SuspectView> {
    Arc::new(SuspectView {
        suspect: Suspect {
            id: Uuid::from_u128(100 + number),
            label: format!("Suspect {number}"),
            colour,
            reason: reason.to_owned(),
            marked_by: "1001".to_owned(),
            marked_at: NOW.minus(Duration::from_secs(1800)),
            camera: Uuid::from_u128(1),
            expires_at: NOW.plus(Duration::from_secs(84_600)),
            ended_at: None,
            crop_url: String::new(),
            gallery: Vec::new(),
            characteristics: Characteristics::default(),
            changed_at: NOW,
            proposed_until: None,
            resumed_at: None,
        },
        crop,
    })
}

pub(crate) fn sighting(
    number: u128,
    suspect: u128,
    camera: u128,
    probability: f32,
    decision: Decision,
    crop: Option<Picture>,
) -> Arc<SightingView> {
    Arc::new(SightingView {
        sighting: Sighting {
            id: Uuid::from_u128(1000 + number),
            suspect: Uuid::from_u128(100 + suspect),
            camera: Uuid::from_u128(camera),
            track: TrackId(7),
            entered_at: NOW.minus(Duration::from_secs(60 * number as u64)),
            last_seen_at: NOW.minus(Duration::from_secs(60 * number as u64 - 20)),
            left_at: (number > 1).then(|| NOW.minus(Duration::from_secs(60 * number as u64 - 20))),
            probability,
            decision,
            crop_url: String::new(),
            rect: Rect::new(0.0, 0.0, 10.0, 20.0),
        },
        crop,
    })
}

const PEOPLE: [Rect; 3] =
    [Rect::new(60.0, 90.0, 40.0, 110.0), Rect::new(180.0, 100.0, 44.0, 120.0), Rect::new(300.0, 80.0, 36.0, 100.0)];

/// Four cameras, one of them stale; two suspects; three people on the first camera.
pub(crate) fn busy(frames: [Option<Frame>; 4]) -> SiteState {
    let mut state = state(logged_in(true));
    state.cameras = ["North gate", "Market street", "Car park", "Station hall"]
        .into_iter()
        .zip(frames)
        .enumerate()
        .map(|(i, (name, frame))| camera(i as u128 + 1, name, frame))
        .collect();
    let taken_for = |suspect: u128, probability, certain| {
        Some(MatchView { suspect: Uuid::from_u128(100 + suspect), probability, certain })
    };
    let soon = Duration::from_millis(120);
    state.cameras[0].tracks = Arc::new(vec![
        track(1, PEOPLE[0], soon, None),
        track(2, PEOPLE[1], soon, taken_for(1, 1.0, true)),
        track(3, PEOPLE[2], Duration::from_millis(700), None),
    ]);
    state.cameras[1].tracks =
        Arc::new(vec![track(1, PEOPLE[1], soon, taken_for(2, 0.83, false)), track(2, PEOPLE[0], soon, None)]);
    state.cameras[2].tracks = Arc::new(vec![track(1, PEOPLE[0], soon, None)]);
    state.cameras[3].is_stale();
    state.suspects = vec![
        suspect(2, [250, 190, 60], "Threw a bottle at the tram stop", crop([220, 160, 60])),
        suspect(1, [235, 80, 150], "Left a bag at the north gate", crop([200, 60, 120])),
    ];
    state.sightings = vec![
        sighting(1, 2, 2, 0.83, Decision::Pending, crop([210, 150, 70])),
        sighting(2, 1, 3, 0.61, Decision::Pending, crop([150, 70, 110])),
        sighting(3, 1, 1, 1.0, Decision::Origin, crop([200, 60, 120])),
    ];
    state.recent_reasons =
        vec!["Left a bag at the north gate".into(), "Shoplifting".into(), "Matches the description of the call".into()];
    state
}

trait Stale {
    fn is_stale(&mut self);
}

impl Stale for CameraView {
    fn is_stale(&mut self) {
        self.status = CameraStatus::Stale {
            since: Some(NOW.minus(Duration::from_secs(40))),
            reason: "The camera closed the connection".to_owned(),
            retry_at: NOW.plus(Duration::from_secs(3)),
        };
    }
}

fn four_streets() -> [Option<Frame>; 4] {
    [0, 1, 2, 3].map(|_| Some(street(384, 288, &PEOPLE)))
}

/// Where a point of the frame is on the screen.
fn on_screen(harness: &Harness<'_, App>, camera: &str, (x, y): (f32, f32), (w, h): (f32, f32)) -> Pos2 {
    let body = picture_of(harness, camera);
    let scale = (body.width() / w).min(body.height() / h);
    body.center() + vec2(x - w / 2.0, y - h / 2.0) * scale
}

#[track_caller]
fn assert_pixel(image: &RgbaImage, at: Pos2, expected: [u8; 3]) {
    let [r, g, b, _] = image.get_pixel(at.x as u32, at.y as u32).0;
    let close = [r, g, b].into_iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 3);
    assert!(close, "{at:?} is {:?}, expected {expected:?}", [r, g, b]);
}

/// A line of this colour goes by within two points.
fn assert_near(image: &RgbaImage, at: Pos2, expected: [u8; 3]) {
    let around = (-2..=2).flat_map(|dx| (-2..=2).map(move |dy| (at.x as i32 + dx, at.y as i32 + dy)));
    let mut pixels = around.map(|(x, y)| image.get_pixel(x as u32, y as u32).0);
    let close = |p: [u8; 4]| p.iter().zip(expected).all(|(a, b)| a.abs_diff(b) < 40);
    assert!(pixels.any(close), "no line at {at:?}");
}

#[test]
fn first_start_takes_typed_keys_and_creates_the_administrator() {
    let mut harness = open(state(Access::FirstStart));
    look(&mut harness, "first_start");
    for text in ["1001", "Ana Duarte", "ana@police.example", "short"] {
        write(&mut harness, text);
        press(&mut harness, Key::Tab);
    }
    press(&mut harness, Key::Enter);
    assert!(asked(&mut harness).is_empty(), "a short password is not sent");
    assert!(shows(&harness, "5 of 15 characters"));
    // The short password has the focus again; the same one twice.
    write(&mut harness, " but longer now");
    press(&mut harness, Key::Tab);
    write(&mut harness, "short but longer");
    assert!(shows(&harness, "The passwords differ"));
    write(&mut harness, " now");
    press(&mut harness, Key::Enter);
    let commands = asked(&mut harness);
    let [Command::CreateAdministrator { cc, name, email, password }] = &commands[..] else { panic!("{commands:?}") };
    assert_eq!(
        (cc.as_str(), name.as_str(), email.as_str(), password.as_str()),
        ("1001", "Ana Duarte", "ana@police.example", "short but longer now")
    );
}

#[test]
fn login_takes_typed_keys_and_shows_what_was_wrong() {
    let mut harness = open(state(Access::LoggedOut { error: None, locked_until: None }));
    write(&mut harness, "1001");
    press(&mut harness, Key::Tab);
    write(&mut harness, "correct horse battery");
    look(&mut harness, "login");
    press(&mut harness, Key::Enter);
    let commands = asked(&mut harness);
    let [Command::Login { cc, password }] = &commands[..] else { panic!("{commands:?}") };
    assert_eq!((cc.as_str(), password.as_str()), ("1001", "correct horse battery"));

    harness.state_mut().state.access = Access::Working;
    harness.run_steps(2);
    assert!(shows(&harness, "Logging in…"));
    press(&mut harness, Key::Enter);
    assert!(asked(&mut harness).is_empty(), "one request at a time");

    let locked_until = Some(NOW.plus(Duration::from_secs(27)));
    harness.state_mut().state.access =
        Access::LoggedOut { error: Some("Badge number or password is wrong".into()), locked_until };
    harness.run_steps(2);
    harness.get_by_label("Badge number or password is wrong");
    harness.get_by_label("The next attempt is accepted in 27 s");
    look(&mut harness, "login_refused");
    write(&mut harness, "another password");
    press(&mut harness, Key::Enter);
    assert!(asked(&mut harness).is_empty(), "nothing is sent while locked out");
}

#[test]
fn the_wall_draws_planes_in_their_right_colours() {
    let full = Color { full_range: true, ..Color::BT601 };
    // Primaries as BT.601 and BT.709 code them.
    let frames = [
        plain(320, 240, [81, 90, 240], Color::BT601),
        plain(320, 240, [63, 102, 240], Color::BT709),
        plain(320, 240, [76, 85, 255], full),
        nv12(320, 240, [173, 42, 26], 384),
    ];
    let mut harness = open(busy(frames.map(Some)));
    for view in &mut harness.state_mut().state.cameras {
        view.status = CameraStatus::Live;
        view.tracks = Arc::default();
    }
    harness.run_steps(2);
    let image = look(&mut harness, "colours");
    for (name, expected) in [
        ("North gate", [254, 0, 0]),
        ("Market street", [255, 0, 0]),
        ("Car park", [254, 0, 0]),
        ("Station hall", [0, 255, 0]),
    ] {
        assert_pixel(&image, picture_of(&harness, name).center(), expected);
    }
    // An odd size, upright, and new pixels in the textures that are there already.
    let odd = halves(321, 241, [63, 102, 240], [32, 240, 118], Color::BT709);
    harness.state_mut().state.cameras[0].frame = Some(odd);
    harness.state_mut().state.cameras[1].frame = Some(plain(320, 240, [173, 42, 26], Color::BT709));
    harness.run_steps(1);
    let image = look(&mut harness, "colours_odd");
    let at = |x, y| on_screen(&harness, "North gate", (x, y), (321.0, 241.0));
    for x in [3.0, 318.0] {
        assert_pixel(&image, at(x, 4.0), [255, 0, 0]);
        assert_pixel(&image, at(x, 237.0), [0, 0, 255]);
    }
    assert_pixel(&image, picture_of(&harness, "Market street").center(), [0, 255, 0]);
}

#[test]
fn a_weapon_is_boxed_on_its_frame_and_not_long_after() {
    let grey = || plain(320, 240, [100, 128, 128], Color::BT601);
    let mut harness = open(busy([0; 4].map(|_| Some(grey()))));
    let at = harness.state_mut().state.cameras[0].frame.as_ref().unwrap().captured_at();
    let detection = Detection { rect: Rect::new(100.0, 100.0, 60.0, 40.0), score: 0.61, class: Class::Knife };
    let edge = |harness: &Harness<'_, App>| on_screen(harness, "North gate", (130.0, 140.0), (320.0, 240.0));
    for (age, boxed) in [(0, true), (2_000_000, false)] {
        for view in &mut harness.state_mut().state.cameras {
            view.status = CameraStatus::Live;
            view.tracks = Arc::default();
            view.weapons = Arc::new(vec![WeaponView { detection, at: Timestamp(at.0 - age) }]);
        }
        harness.run_steps(2);
        let image = look(&mut harness, "weapon");
        let [r, g, b, _] = image.get_pixel(edge(&harness).x as u32, edge(&harness).y as u32).0;
        assert_eq!(r > g.saturating_add(60) && r > b.saturating_add(60), boxed, "age {age}: {:?}", [r, g, b]);
    }
}

#[test]
fn a_suspects_outline_is_drawn_in_its_colour_and_moves_with_the_box() {
    let person = Rect::new(200.0, 80.0, 60.0, 200.0);
    let mut state = state(logged_in(false));
    let first = suspect(1, [255, 176, 0], "Took a bag", None);
    let found = MatchView { suspect: first.suspect.id, probability: 1.0, certain: true };
    let mut view = track(7, person, Duration::from_millis(200), Some(found));
    view.track.velocity = [100.0, 0.0];
    view.track.at = NOW.minus(Duration::from_millis(200)); // 20 pixels to the left of where the box is drawn
    let diamond = [[230.0, 90.0], [250.0, 180.0], [230.0, 270.0], [210.0, 180.0]];
    view.outline = Outline::new(&diamond, &person);
    state.suspects = vec![first];
    let mut camera = camera(1, "North", Some(plain(640, 360, [60, 128, 128], Color::BT709)));
    camera.tracks = Arc::new(vec![view]);
    state.cameras = vec![camera];
    let mut harness = open(state);
    let image = look(&mut harness, "outline");
    for corner in diamond {
        let at = on_screen(&harness, "North", (corner[0] + 20.0, corner[1]), (640.0, 360.0));
        assert_near(&image, at, [255, 176, 0]);
    }
}

#[test]
fn a_stale_camera_says_so_and_is_not_bright() {
    let mut harness = open(busy([0; 4].map(|_| Some(plain(320, 240, [235, 128, 128], Color::BT601)))));
    let image = look(&mut harness, "stale");
    let since = NOW.minus(Duration::from_secs(40)).local_time();
    harness.get_by_label(&format!("Stale since {since}"));
    harness.get_by_label("The camera closed the connection");
    harness.get_by_label("Next attempt in 3 s");
    let brightest = |name: &str| {
        let body = picture_of(&harness, name);
        let (x, y) = (body.left() as u32 + 4, body.top() as u32 + 4);
        // The corner, away from the words.
        (0..40).flat_map(|dx| (0..40).map(move |dy| (x + dx, y + dy))).map(|(x, y)| image.get_pixel(x, y).0[1]).max()
    };
    assert!(brightest("Station hall") < Some(90), "{:?}", brightest("Station hall"));
    assert!(brightest("Car park") > Some(200));
    // Its people cannot be clicked either.
    let at = picture_of(&harness, "Station hall").center();
    click(&mut harness, at);
    assert!(harness.query_by_label("Mark as suspect…").is_none());
}

#[test]
fn a_picture_that_stands_still_is_not_shown_as_live() {
    let mut harness = open(busy([0; 4].map(|_| Some(plain(320, 240, [235, 128, 128], Color::BT601)))));
    assert!(!shows(&harness, "The picture stands still"));
    harness.state_mut().state.now = NOW.plus(Duration::from_secs(20));
    harness.run_steps(2);
    assert!(shows(&harness, "The picture stands still"));
    harness.state_mut().state.cameras[0].frame = Some(plain(320, 240, [235, 128, 128], Color::BT601));
    harness.state_mut().state.cameras.truncate(1);
    harness.run_steps(2);
    assert!(!shows(&harness, "The picture stands still"));
}

#[test]
fn clicking_a_person_and_giving_a_reason_marks_a_suspect() {
    let mut harness = open(busy(four_streets()));
    look(&mut harness, "wall");
    let frame = harness.state().state.cameras[0].frame.clone().unwrap();
    // The box of track 1, away from its middle.
    let at = on_screen(&harness, "North gate", (70.0, 110.0), (384.0, 288.0));
    harness.hover_at(at);
    harness.run_steps(2);
    look(&mut harness, "wall_hover");
    click(&mut harness, at);
    look(&mut harness, "card");
    harness.get_by_label("Mark as suspect…").click();
    harness.run_steps(3);
    press(&mut harness, Key::Enter);
    assert!(asked(&mut harness).is_empty(), "a reason is needed");
    assert!(shows(&harness, "A reason is needed"));
    write(&mut harness, "cut the fence");
    look(&mut harness, "card_reason");
    press(&mut harness, Key::Enter);
    let commands = asked(&mut harness);
    let [Command::SelectSuspect { camera, track, frame: clicked, rect, reason, expires_in }] = &commands[..] else {
        panic!("{commands:?}")
    };
    assert_eq!((*camera, *track, *rect), (Uuid::from_u128(1), TrackId(1), PEOPLE[0]));
    assert!(clicked.same(&frame));
    assert_eq!((reason.as_str(), *expires_in), ("cut the fence", Duration::from_secs(24 * 3600)));
    assert!(harness.query_by_label("Reason").is_none(), "the card is closed");
}

#[test]
fn a_click_means_the_frame_that_was_on_screen() {
    let mut harness = open(busy(four_streets()));
    let before = harness.state().state.cameras[0].frame.clone().unwrap();
    let at = on_screen(&harness, "North gate", (70.0, 110.0), (384.0, 288.0));
    harness.hover_at(at);
    harness.drag_at(at);
    harness.step();
    // A new frame arrives with the release of the button: the person has moved on.
    let moved = Rect { x: 10.0, ..PEOPLE[0] };
    harness.state_mut().state.cameras[0].frame = Some(street(384, 288, &[moved]));
    harness.state_mut().state.cameras[0].tracks = Arc::new(vec![track(1, moved, Duration::ZERO, None)]);
    harness.event(Event::PointerButton {
        pos: at,
        button: egui::PointerButton::Primary,
        pressed: false,
        modifiers: Modifiers::NONE,
    });
    harness.run_steps(3);
    press(&mut harness, Key::M);
    write(&mut harness, "x");
    press(&mut harness, Key::Enter);
    let commands = asked(&mut harness);
    let [Command::SelectSuspect { frame, rect, .. }] = &commands[..] else { panic!("{commands:?}") };
    assert!(frame.same(&before));
    assert_eq!(*rect, PEOPLE[0]);
}

#[test]
fn a_recent_reason_and_another_expiry_can_be_chosen_with_keys_and_clicks() {
    let mut harness = open(busy(four_streets()));
    let at = on_screen(&harness, "North gate", (70.0, 110.0), (384.0, 288.0));
    click(&mut harness, at);
    press(&mut harness, Key::M);
    harness.key_press_modifiers(Modifiers::ALT, Key::Num2);
    harness.run_steps(2);
    harness.get_by_label("3 days").click();
    harness.run_steps(2);
    harness.get_by_label("Mark as suspect").click();
    harness.run_steps(2);
    let commands = asked(&mut harness);
    let [Command::SelectSuspect { reason, expires_in, .. }] = &commands[..] else { panic!("{commands:?}") };
    assert_eq!((reason.as_str(), *expires_in), ("Shoplifting", Duration::from_secs(3 * 24 * 3600)));
}

#[test]
fn a_click_on_nobody_opens_nothing_and_escape_closes_one_thing_at_a_time() {
    let mut harness = open(busy(four_streets()));
    let nobody = on_screen(&harness, "North gate", (20.0, 20.0), (384.0, 288.0));
    click(&mut harness, nobody);
    assert!(harness.query_by_label("Mark as suspect…").is_none());
    let at = on_screen(&harness, "North gate", (70.0, 110.0), (384.0, 288.0));
    click(&mut harness, at);
    press(&mut harness, Key::M);
    assert!(harness.query_by_label("Follow for").is_some());
    press(&mut harness, Key::Escape);
    assert!(harness.query_by_label("Follow for").is_none());
    assert!(harness.query_by_label("Mark as suspect…").is_some());
    press(&mut harness, Key::Escape);
    assert!(harness.query_by_label("Mark as suspect…").is_none());
    assert!(asked(&mut harness).is_empty());
}

#[test]
fn one_key_shows_one_camera_alone_and_another_all_again() {
    let mut harness = open(busy(four_streets()));
    let small = picture_of(&harness, "Market street");
    press(&mut harness, Key::Num2);
    assert!(picture_of(&harness, "Market street").width() > 1.5 * small.width());
    assert!(harness.query_by_label("Picture of North gate").is_none());
    look(&mut harness, "alone");
    press(&mut harness, Key::Escape);
    assert_eq!(picture_of(&harness, "Market street"), small);
}

#[test]
fn keys_decide_about_the_selected_match_and_each_only_once() {
    let mut harness = open(busy(four_streets()));
    harness.get_by_label("Possible match 83 %");
    press(&mut harness, Key::C);
    assert!(asked(&mut harness).is_empty(), "the card does not have the keys");
    press(&mut harness, Key::F3); // `C` meant nothing: what follows it at once would not count
    harness.run_steps(6);
    press(&mut harness, Key::I);
    harness.run_steps(2);
    // A key held down repeats: it does not decide about the next match too.
    harness.key_down(Key::C);
    harness.key_down(Key::C);
    harness.key_down(Key::C);
    harness.key_up(Key::C);
    harness.run_steps(2);
    let commands = asked(&mut harness);
    assert!(
        matches!(&commands[..], [Command::Decide { sighting, judgement: Judgement::Confirm, .. }] if *sighting == Uuid::from_u128(1001)),
        "{commands:?}"
    );
    // A newer match arrives on top; the selection stays on the one that was selected.
    harness.state_mut().state.sightings.insert(0, sighting(9, 1, 2, 0.5, Decision::Pending, None));
    harness.run_steps(2);
    press(&mut harness, Key::R);
    let commands = asked(&mut harness);
    assert!(
        matches!(&commands[..], [Command::Decide { sighting, judgement: Judgement::Reject, .. }] if *sighting == Uuid::from_u128(1002)),
        "{commands:?}"
    );
}

#[test]
fn matches_can_be_walked_through_and_decided_with_the_pointer() {
    let mut harness = open(busy(four_streets()));
    press(&mut harness, Key::J);
    harness.get_by_role_and_label(egui::accesskit::Role::Button, "Reject R").click();
    harness.run_steps(2);
    let commands = asked(&mut harness);
    assert!(
        matches!(&commands[..], [Command::Decide { sighting, judgement: Judgement::Reject, .. }] if *sighting == Uuid::from_u128(1002)),
        "{commands:?}"
    );
}

#[test]
fn letters_of_a_reason_decide_nothing() {
    let mut harness = open(busy(four_streets()));
    let at = on_screen(&harness, "North gate", (70.0, 110.0), (384.0, 288.0));
    click(&mut harness, at);
    // The inbox is covered by the card: keys do not reach it even without a text field.
    press(&mut harness, Key::C);
    press(&mut harness, Key::M);
    write(&mut harness, "crc");
    press(&mut harness, Key::Escape);
    assert!(asked(&mut harness).is_empty());
}

#[test]
fn suspects_are_listed_and_a_follow_ends_only_after_a_question() {
    let mut harness = open(busy(four_streets()));
    press(&mut harness, Key::S);
    look(&mut harness, "suspects");
    assert!(shows(&harness, "Left a bag at the north gate"));
    assert!(shows(&harness, "Followed for another 23 h 30 min"));
    harness.get_all_by_label("End follow…").next().unwrap().click();
    harness.run_steps(2);
    assert!(asked(&mut harness).is_empty());
    harness.get_by_label("End follow").click();
    harness.run_steps(2);
    let commands = asked(&mut harness);
    assert!(matches!(&commands[..], [Command::EndSuspect(id)] if *id == Uuid::from_u128(102)), "{commands:?}");
}

#[test]
fn how_a_suspect_looks_is_shown_searched_and_edited() {
    let mut state = busy(four_streets());
    Arc::make_mut(&mut state.suspects[0]).suspect.characteristics = Characteristics {
        upper: Some(ColourName::Red),
        lower: Some(ColourName::Black),
        height: Some(0.3),
        carried: String::new(),
        notes: "Limps".into(),
    };
    let mut harness = open(state);
    press(&mut harness, Key::S);
    assert!(shows(&harness, "red above, black below") && shows(&harness, "Limps"));
    harness.get_by_label("Search suspects").click();
    harness.run_steps(2);
    write(&mut harness, "RED limps");
    assert!(shows(&harness, "Threw a bottle at the tram stop") && !shows(&harness, "Followed for another 0"));
    let cards = |harness: &Harness<'_, App>| harness.query_all_by_label("Edit looks…").count();
    assert_eq!(cards(&harness), 1, "the other suspect is not red");
    harness.get_by_label("Edit looks…").click();
    harness.run_steps(2);
    harness.get_by_label("Carried object").click();
    harness.run_steps(2);
    write(&mut harness, "green rucksack");
    look(&mut harness, "suspect_looks");
    assert!(asked(&mut harness).is_empty());
    harness.get_by_label("Save looks").click();
    harness.run_steps(2);
    let commands = asked(&mut harness);
    let [Command::EditSuspect { suspect, characteristics }] = &commands[..] else { panic!("{commands:?}") };
    assert_eq!(*suspect, Uuid::from_u128(102));
    assert_eq!((characteristics.carried.as_str(), characteristics.notes.as_str()), ("green rucksack", "Limps"));
    assert_eq!((characteristics.upper, characteristics.lower), (Some(ColourName::Red), Some(ColourName::Black)));
    harness.get_by_label("Search suspects").click();
    harness.run_steps(2);
    write(&mut harness, " yellow");
    assert!(shows(&harness, "Nobody looks like that"));
}

#[test]
fn a_notice_is_shown_once() {
    let mut harness = open(busy(four_streets()));
    let text = "Suspect 2 may be on Market street: possible match 83 %";
    harness.state_mut().state.notices = vec![Notice {
        serial: 1,
        at: NOW,
        level: NoticeLevel::Alert,
        text: text.into(),
        sighting: None,
        about: About::Everybody,
        undo: None,
    }];
    harness.run_steps(30);
    look(&mut harness, "toast");
    assert!(shows(&harness, text));
    harness.run_steps(120 * 10);
    assert!(!shows(&harness, text));
    harness.run_steps(10);
    assert!(!shows(&harness, text));
}

#[test]
fn only_an_administrator_reads_the_log() {
    let mut site = busy(four_streets());
    site.access = logged_in(false);
    let mut harness = open(site);
    press(&mut harness, Key::F4);
    assert!(harness.query_by_label("Read the log").is_none());
    assert!(harness.query_by_label("Action log").is_none());

    let mut harness = open(busy(four_streets()));
    press(&mut harness, Key::F4);
    harness.get_by_label("Read the log").click();
    harness.run_steps(2);
    let Some(Command::Log(LogCommand::Read(filter))) = asked(&mut harness).pop() else { panic!("not read") };
    assert_eq!(filter, LogFilter::default());
    let sheet = a_page_of_the_log(false);
    harness.state_mut().state.log.page = Some(Arc::new(sheet));
    harness.run_steps(2);
    look(&mut harness, "log");
    for words in ["refused", "The password is wrong", "Mark suspect", "camera: North gate · reason: Left a bag"] {
        assert!(shows(&harness, words), "{words}");
    }
    assert!(shows(&harness, "cannot be read"), "a damaged entry has its row");
}

fn a_page_of_the_log(older: bool) -> LogSheet {
    let entry = |log_id, action, outcome, details| ActionRecord {
        log_id,
        user_cc: "1001".into(),
        user_name: "Ana Duarte".into(),
        action,
        log_accessed: (action == Action::AccessLogs).then_some(41),
        timestamp: NOW.minus(Duration::from_secs(100 - log_id as u64)),
        outcome,
        target: (action == Action::SelectSuspect).then(|| "Suspect 1".to_owned()),
        details,
        link: None,
    };
    let records = [
        entry(42, Action::AccessLogs, Outcome::Succeeded, serde_json::Value::Null),
        entry(
            41,
            Action::SelectSuspect,
            Outcome::Succeeded,
            serde_json::json!({"camera": "North gate", "reason": "Left a bag"}),
        ),
        entry(40, Action::Login, Outcome::Succeeded, serde_json::Value::Null),
        entry(39, Action::Login, Outcome::Refused("The password is wrong".into()), serde_json::Value::Null),
        entry(
            38,
            Action::StartDetection,
            Outcome::Failed("The weights are damaged".into()),
            serde_json::json!({"camera": "Car park"}),
        ),
    ];
    let kept = |entry: Result<ActionRecord, String>, log_id| KeptAction {
        log_id: Some(log_id),
        console: Some(Uuid::from_u128(9)),
        seq: Some(log_id),
        entry,
        misfiled: None,
    };
    let mut entries: Vec<_> = records.into_iter().map(|r| (r.log_id, Ok(r))).map(|(id, e)| kept(e, id)).collect();
    entries.push(kept(Err("column details: expected value at line 1".to_owned()), 37));
    LogSheet { filter: LogFilter::default(), entries, passed: 0, older, read_at: NOW }
}

#[test]
fn the_log_is_filtered_paged_opened_and_exported() {
    let mut site = busy(four_streets());
    site.log.page = Some(Arc::new(a_page_of_the_log(true)));
    let mut harness = open(site);
    press(&mut harness, Key::F4);

    // what is typed and chosen holds together
    harness.get_by_label("User").click();
    harness.run_steps(2);
    write(&mut harness, "1001");
    harness.get_by_label("From").click();
    harness.run_steps(2);
    write(&mut harness, "2026-11-2");
    harness.run_steps(2);
    assert!(shows(&harness, "A time looks like"), "an unfinished time is told");
    write(&mut harness, "2 14:00");
    harness.run_steps(2);
    assert!(!shows(&harness, "A time looks like"));
    press(&mut harness, Key::Enter);
    let Some(Command::Log(LogCommand::Read(filter))) = asked(&mut harness).pop() else { panic!("not read") };
    assert_eq!((filter.user.as_deref(), filter.from), (Some("1001"), Timestamp::parse_local("2026-11-22 14:00")));
    harness.get_by_label("Clear").click();
    harness.run_steps(2);

    // pages
    harness.get_by_label("Older").click();
    harness.run_steps(2);
    assert!(matches!(&asked(&mut harness)[..], [Command::Log(LogCommand::Older)]));

    // an entry with all that it says
    harness.get_by_label("Entry 41").click();
    harness.run_steps(2);
    look(&mut harness, "log_entry");
    for words in ["SELECT_SUSPECT", "Left a bag", "2026-11-22T14:02:23"] {
        assert!(shows(&harness, words), "{words}");
    }
    press(&mut harness, Key::ArrowDown);
    assert!(shows(&harness, "2026-11-22T14:02:22"), "the arrow keys go from entry to entry");
    press(&mut harness, Key::Escape);
    assert!(!shows(&harness, "SELECT_SUSPECT") && shows(&harness, "Action log"));

    // export
    harness.get_by_label("Export…").click();
    harness.run_steps(3);
    look(&mut harness, "log_export");
    harness.get_by_label("JSON lines").click();
    harness.run_steps(2);
    let proposed = harness.get_by_label("File").value().unwrap();
    let retype = |harness: &mut Harness<'_, App>, text: &str| {
        harness.get_by_label("File").focus();
        harness.run_steps(2);
        harness.key_press_modifiers(Modifiers::COMMAND, Key::A);
        harness.run_steps(2);
        write(harness, text);
        harness.get_by_label("Export").click();
        harness.run_steps(2);
    };
    retype(&mut harness, "log.jsonl");
    assert!(asked(&mut harness).is_empty() && shows(&harness, "Type the whole path of the file"));
    retype(&mut harness, &proposed);
    let Some(Command::Log(LogCommand::Export { filter, format, to, replace })) = asked(&mut harness).pop() else {
        panic!("not exported")
    };
    assert_eq!((filter, format, replace), (LogFilter::default(), Format::Jsonl, false));
    assert!(to.is_absolute() && to.extension().is_some_and(|e| e == "jsonl"), "{}", to.display());
}

#[test]
fn a_verification_shows_whether_the_log_is_whole_and_where_not() {
    let mut site = busy(four_streets());
    site.log.page = Some(Arc::new(a_page_of_the_log(false)));
    let mut harness = open(site);
    press(&mut harness, Key::F4);
    harness.get_by_label("Verify").click();
    harness.run_steps(2);
    assert!(matches!(&asked(&mut harness)[..], [Command::Log(LogCommand::Verify)]));
    harness.state_mut().state.log.work = Some(LogWork::Verifying(123_000));
    harness.run_steps(2);
    assert!(shows(&harness, "Verifying… 123000 entries"));
    harness.get_by_label("Verify").click();
    harness.run_steps(2);
    assert!(asked(&mut harness).is_empty(), "one thing at a time");

    let log = &mut harness.state_mut().state.log;
    log.work = None;
    log.verdict = Some(Arc::new(Verdict { at: NOW, entries: 5120, findings: Vec::new() }));
    harness.run_steps(2);
    assert!(shows(&harness, "The log is whole: 5120 entries"));
    look(&mut harness, "log_whole");
    let finding = |seq, fault| Finding {
        console: Some(Uuid::from_u128(9)),
        seq: Some(seq),
        log_id: Some(40),
        fault,
        detail: None,
    };
    let findings = vec![finding(12, Fault::Changed), finding(90, Fault::Missing { count: 3 })];
    harness.state_mut().state.log.verdict = Some(Arc::new(Verdict { at: NOW, entries: 5117, findings }));
    harness.run_steps(2);
    look(&mut harness, "log_broken");
    assert!(shows(&harness, "2 places of 5117 entries are not as they were written"));
    assert!(shows(&harness, "place 12") && shows(&harness, "3 entries were taken out"));
    harness.get_by_label("Hide").click();
    harness.run_steps(2);
    assert!(!shows(&harness, "place 12"));
}

#[test]
fn empty_screens_say_what_to_do_next() {
    let mut harness = open(state(logged_in(true)));
    look(&mut harness, "empty");
    assert!(shows(&harness, "vigia demo"));
    assert!(shows(&harness, "Click on a person on the wall to mark a suspect"));
}

#[test]
fn failing_stores_and_all_shortcuts_are_told() {
    let mut site = busy(four_streets());
    site.stores[1] = StoreHealth {
        error: Some("No answer".to_owned()),
        backlog: 7,
        failing_since: Some(site.now.minus(Duration::from_secs(90))),
        ..site.stores[1].clone()
    };
    site.stores[2].error = Some("The disk is full".to_owned());
    site.stores[4].backlog = 12;
    let mut harness = open(site);
    assert!(shows(&harness, "a store fails"));
    assert!(shows(&harness, "journal: 12 waiting"));
    assert!(shows(&harness, "cameras fails; 7 waiting") && shows(&harness, "action log fails"));
    press(&mut harness, Key::F6);
    look(&mut harness, "health");
    assert!(shows(&harness, "No answer; 7 waiting for 2 min"));
    assert!(shows(&harness, "The disk is full"));
    press(&mut harness, Key::Escape);
    press(&mut harness, Key::F1);
    look(&mut harness, "shortcuts");
    let tops: Vec<_> = harness.get_all_by_label("Keyboard shortcuts").map(|node| node.rect().top()).collect();
    assert!(tops.iter().all(|top| *top > 0.0), "the sheet is higher than the window: {tops:?}");
    let mut shown: Vec<String> = texts(&harness).iter().map(|text| text.replace('\n', " ")).collect();
    // The rest is there once it was scrolled to.
    harness.event(Event::PointerMoved(pos2(800.0, 450.0)));
    harness.event(Event::MouseWheel {
        unit: egui::MouseWheelUnit::Point,
        delta: vec2(0.0, -5000.0),
        phase: egui::TouchPhase::Move,
        source: egui::MouseWheelSource::Wheel,
        modifiers: Modifiers::NONE,
    });
    harness.run_steps(20);
    look(&mut harness, "shortcuts-end");
    shown.extend(texts(&harness).iter().map(|text| text.replace('\n', " ")));
    for command in vigia::ui::commands::UiCommand::ALL {
        assert!(shown.iter().any(|text| text.contains(command.tooltip())), "{command:?}");
    }
}

#[test]
fn the_health_window_answers_whether_a_camera_was_looked_at() {
    let mut site = busy(four_streets());
    let this = Looked::minute_of(site.now);
    let minute = |ago: u32, analysed, trouble: &str| Looked {
        id: Uuid::from_u128(u128::from(ago)),
        camera: site.cameras[0].camera.id,
        minute: this.minus(Duration::from_secs(60) * ago),
        received: 720,
        analysed,
        above_rate: 700 - analysed,
        overtaken: 20,
        trouble: trouble.to_owned(),
        model: "NanoDet-g 5d0e".to_owned(),
    };
    // Half an hour ago the machine could not keep up, and nothing is recorded of the first ten minutes.
    let minutes = (1..=50).rev().map(|ago| if ago == 30 { minute(30, 12, "stale") } else { minute(ago, 300, "") });
    site.cameras[0].looked = Arc::new(minutes.collect());
    let mut harness = open(site);
    press(&mut harness, Key::F6);
    // The window grows with the answer, so the strip moves.
    let ask = |harness: &mut Harness<'_, App>, minute: f32| {
        let strip = harness.get_by_label("North gate: looked at in 49 of the last 60 minutes").rect();
        click(harness, pos2(strip.left() + 3.0 * minute + 1.0, strip.center().y));
        harness.run_steps(2);
    };
    ask(&mut harness, 30.0);
    look(&mut harness, "health_looked");
    assert!(shows(&harness, "no: 720 frames received, 12 analysed, 688 above the configured rate, 20 overtaken"));
    assert!(shows(&harness, "; stale (NanoDet-g 5d0e)"));
    ask(&mut harness, 59.0);
    assert!(shows(&harness, "yes: 720 frames received, 300 analysed"));
    ask(&mut harness, 0.0);
    assert!(shows(&harness, "no: nothing is recorded of that minute"));
}

#[test]
fn a_part_of_the_console_that_fails_is_named_in_the_bar_and_in_the_health_window() {
    let mut site = busy(four_streets());
    let failing =
        |name: &str, words: &str| FailingWorker { name: name.to_owned(), words: words.to_owned(), camera: None };
    site.failing = vec![
        failing("Recording of North gate", "failed (an internal error: no disk); begins again in 4 s"),
        failing("Analysis", "has given no sign of life for 12 s"),
    ];
    let mut harness = open(site);
    assert!(shows(&harness, "a part of the console fails") && shows(&harness, "Recording of North gate fails"));
    press(&mut harness, Key::F6);
    look(&mut harness, "health_failing");
    assert!(shows(&harness, "begins again in 4 s") && shows(&harness, "has given no sign of life for 12 s"));
}

#[test]
fn a_camera_whose_own_clock_is_off_says_so_on_its_tile_and_in_the_health_window() {
    let mut site = busy(four_streets());
    site.cameras[0].clock_offset = Some(ClockOffset::from(-75.0));
    site.cameras[1].clock_offset = Some(ClockOffset::from(0.2));
    let mut harness = open(site);
    assert!(shows(&harness, "own clock 1 min 15 s behind"), "{:?}", texts(&harness));
    assert!(!shows(&harness, "own clock within"), "what is right needs no words");
    press(&mut harness, Key::F6);
    look(&mut harness, "clocks");
    let told = texts(&harness);
    let of = |words: &str| told.iter().filter(|text| text.as_str() == words).count();
    assert_eq!((of("1 min 15 s behind"), of("within a second"), of("not told")), (1, 1, 2), "{told:?}");
}

#[test]
fn a_camera_that_another_console_records_says_so_on_its_tile_and_in_the_health_window() {
    let mut site = busy(four_streets());
    for (camera, keeper) in
        site.cameras.iter_mut().zip([Keeper::Other("desk-2 (4f1a)".to_owned()), Keeper::Here, Keeper::Nobody])
    {
        camera.keeper = keeper;
    }
    let mut harness = open(site);
    let told = texts(&harness);
    assert_eq!(told.iter().filter(|text| *text == "watched only").count(), 1, "{told:?}");
    look(&mut harness, "wall of a watching console");
    press(&mut harness, Key::F6);
    look(&mut harness, "keepers");
    let told = texts(&harness);
    let of = |words: &str| told.iter().filter(|text| text.as_str() == words).count();
    assert_eq!((of("kept by desk-2 (4f1a)"), of("kept by nobody"), of("kept here")), (1, 1, 2), "{told:?}");
}

#[test]
fn what_a_store_refused_is_listed_with_its_reason_and_offered_again() {
    let mut site = busy(four_streets());
    let refused = |id: i64, record: &str, why: &str| RefusedRecord {
        id,
        store: "cameras".to_owned(),
        record: record.to_owned(),
        why: why.to_owned(),
        at: NOW,
    };
    site.refused = Arc::new(vec![
        refused(
            7,
            "detection:0199f3a0-0000-7000-8000-000000000001",
            "the record is not accepted: FOREIGN KEY constraint failed",
        ),
        refused(
            9,
            "object:crops/a.jpg",
            "the record is not accepted: there is another object under the key crops/a.jpg",
        ),
    ]);
    site.stores[1].set_aside = 2;
    site.stores[1].error = Some("2 set aside, the last because the record is not accepted".to_owned());
    let mut harness = open(site);
    press(&mut harness, Key::F6);
    look(&mut harness, "refused");
    assert!(shows(&harness, "FOREIGN KEY constraint failed") && shows(&harness, "object:crops/a.jpg"));
    harness.get_all_by_label("Offer again").nth(1).unwrap().click();
    harness.run_steps(3);
    assert!(matches!(&asked(&mut harness)[..], [Command::OfferAgain(ids)] if ids[..] == [9]));
    harness.get_by_label("Offer all 2 again").click();
    harness.run_steps(3);
    assert!(matches!(&asked(&mut harness)[..], [Command::OfferAgain(ids)] if ids[..] == [7, 9]));
}

#[test]
fn logging_out_forgets_what_was_open() {
    let mut harness = open(busy(four_streets()));
    let at = on_screen(&harness, "North gate", (70.0, 110.0), (384.0, 288.0));
    click(&mut harness, at);
    press(&mut harness, Key::M);
    write(&mut harness, "half a reason");
    harness.key_press_modifiers(Modifiers::CTRL, Key::L);
    harness.run_steps(2);
    assert!(matches!(&asked(&mut harness)[..], [Command::Logout]));
    harness.state_mut().state.access = Access::LoggedOut { error: None, locked_until: None };
    harness.run_steps(2);
    assert!(!shows(&harness, "North gate") && !shows(&harness, "half a reason"));
    harness.state_mut().state.access = logged_in(false);
    harness.run_steps(2);
    assert!(harness.query_by_label("Follow for").is_none());
}

#[test]
fn many_cameras_fit() {
    let mut site = busy(four_streets());
    let frame = street(384, 288, &PEOPLE);
    site.cameras =
        (1..=9).map(|i| camera(i, &format!("Camera {i} with a rather long name"), Some(frame.clone()))).collect();
    let mut harness = open(site);
    look(&mut harness, "nine");
    let screen = egui::Rect::from_min_max(pos2(0.0, 0.0), pos2(SIZE[0], SIZE[1]));
    for i in 1..=9 {
        let body = picture_of(&harness, &format!("Camera {i} with a rather long name"));
        assert!(screen.contains_rect(body) && body.width() > 200.0, "{body:?}");
    }
}

#[test]
fn a_wall_can_be_measured_without_a_window() {
    let cost = vigia::ui::bench::measure(2, 3).unwrap();
    assert!(cost.cpu_ms > 0.0 && cost.wall_ms > 0.0 && !cost.adapter.is_empty(), "{cost:?}");
}

#[test]
fn a_session_that_nobody_uses_is_warned_about_and_any_input_keeps_it() {
    let mut idle = state(logged_in(false));
    let ends = |used: u64, left: u64, latest: u64| SessionTimes {
        used_at: NOW.minus(Duration::from_secs(used)),
        ends_at: NOW.plus(Duration::from_secs(left)),
        ends_at_latest: NOW.plus(Duration::from_secs(latest)),
    };
    idle.session = Some(ends(1758, 42, 9000));
    let mut harness = open(idle);
    asked(&mut harness);
    look(&mut harness, "session-ends");
    assert!(shows(&harness, "This session ends in 42 s") && shows(&harness, "Press a key"));
    harness.run_steps(3);
    assert!(asked(&mut harness).is_empty(), "nobody did anything");
    harness.hover_at(pos2(400.0, 300.0));
    harness.run_steps(1);
    assert!(asked(&mut harness).iter().all(|c| matches!(c, Command::StillHere)));
    harness.state_mut().state.session = Some(ends(0, 1800, 9000));
    harness.hover_at(pos2(420.0, 300.0));
    harness.run_steps(2);
    assert!(asked(&mut harness).is_empty(), "told a moment ago");
    assert!(!shows(&harness, "This session ends"));
    harness.state_mut().state.session = Some(ends(1, 30, 30));
    harness.run_steps(2);
    assert!(shows(&harness, "log in again then"));
}
