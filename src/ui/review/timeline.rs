//! The timeline: what there is of every camera over hours to weeks, and what was seen in it.
use super::bookmarks;
use crate::model::{CameraId, ColourName, Decision, DetectionKind, Sighting, SuspectId, Timestamp};
use crate::site::{Command, ReviewCommand, SiteState, Timeline};
use crate::store::Clothes;
use crate::ui::{modal, tokens, widgets};
use egui::{Align2, Color32, ComboBox, FontId, Rect, ScrollArea, Sense, Stroke, Ui, pos2, vec2};
use std::collections::BTreeSet;

const HOUR: f64 = 3600.0;
/// The shortest and the longest stretch that fills the width, seconds.
const SPAN: [f64; 2] = [10.0, 60.0 * 24.0 * HOUR];
const ROW: f32 = 26.0;
/// Room for the cameras' names.
const NAMES: f32 = 130.0;
const AXIS: f32 = 22.0;
/// The timeline is asked for again this often where it reaches the present, seconds.
const NEWS: f64 = 5.0;
/// Distances between two lines of the axis, seconds.
const STEPS: [f64; 18] = [
    1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 14_400.0, 21_600.0, 43_200.0,
    86_400.0, 172_800.0, 604_800.0,
];

/// What the timeline remembers between two repaints.
#[derive(Default)]
pub struct TimelineView {
    /// The stretch on screen; `None` until first drawn.
    range: Option<(f64, f64)>,
    asked_for: Option<(Timestamp, Timestamp, Timestamp, Clothes)>,
    mark_in: Option<Timestamp>,
    mark_out: Option<Timestamp>,
    filters: Filters,
    /// The wall was asked for.
    pub leave: bool,
}

/// Which marks are drawn.
struct Filters {
    knives: bool,
    guns: bool,
    suspects: bool,
    only: Option<SuspectId>,
    decided: Decided,
    clothes: Clothes,
    /// Cameras whose rows are left out.
    without: BTreeSet<CameraId>,
}

impl Default for Filters {
    fn default() -> Self {
        Self {
            knives: true,
            guns: true,
            suspects: true,
            only: None,
            decided: Decided::NotRejected,
            clothes: Clothes::default(),
            without: BTreeSet::new(),
        }
    }
}

/// By what was decided of a possible match.
#[derive(Clone, Copy, PartialEq)]
enum Decided {
    NotRejected,
    Sure,
    Open,
    Rejected,
}

impl Decided {
    const ALL: [(Self, &str); 4] = [
        (Self::NotRejected, "Not rejected"),
        (Self::Sure, "Confirmed"),
        (Self::Open, "Undecided"),
        (Self::Rejected, "Rejected"),
    ];

    fn takes(self, decision: &Decision) -> bool {
        match decision {
            Decision::Origin | Decision::Confirmed { .. } => matches!(self, Self::NotRejected | Self::Sure),
            Decision::Pending | Decision::Withdrawn { .. } => matches!(self, Self::NotRejected | Self::Open),
            Decision::Rejected { .. } => self == Self::Rejected,
        }
    }
}

impl Filters {
    /// Whether something is filtered by whom it shows: what does not say that is left out then.
    fn by_person(&self) -> bool {
        self.only.is_some() || self.clothes != Clothes::default() || self.decided != Decided::NotRejected
    }

    fn counts(&self, kind: DetectionKind) -> bool {
        match kind {
            // A weapon has no clothes, and nobody decides about it here.
            DetectionKind::Knife => self.knives && !self.by_person(),
            DetectionKind::Gun => self.guns && !self.by_person(),
            // Suspects have bars of their own, in their colours.
            DetectionKind::Suspect => self.suspects && !self.by_person(),
        }
    }

    fn stay(&self, state: &SiteState, s: &Sighting) -> bool {
        let wears = |colours: Clothes| {
            let looks = widgets::suspect(state, s.suspect).map(|view| &view.suspect.characteristics);
            let fits = |asked: Option<ColourName>, known: Option<ColourName>| asked.is_none() || asked == known;
            looks.is_some_and(|c| fits(colours.upper, c.upper) && fits(colours.lower, c.lower))
        };
        self.suspects
            && self.only.is_none_or(|only| only == s.suspect)
            && self.decided.takes(&s.decision)
            && (self.clothes == Clothes::default() || wears(self.clothes))
    }

    /// How much there is to see between two instants: `12 stays · 3 people · 40 knives`.
    fn words(&self, state: &SiteState, timeline: &Timeline, from: f64, until: f64) -> String {
        let (from, until) = (instant(from), instant(until));
        let row = |camera: CameraId| !self.without.contains(&camera) && widgets::camera(state, camera).is_some();
        let touches = |a: Timestamp, b: Timestamp| b >= from && a <= until;
        let stays = timeline.sightings.iter().filter(|s| {
            row(s.camera) && touches(s.entered_at, s.left_at.unwrap_or(s.last_seen_at)) && self.stay(state, s)
        });
        let mut parts = vec![widgets::count(stays.count() as u64, "stay", "stays")];
        if self.people() && timeline.clothes != Clothes::default() {
            let people = timeline.people.iter().filter(|(camera, a, b)| row(*camera) && touches(*a, *b));
            parts.push(widgets::count(people.count() as u64, "person", "people"));
        }
        let length = i64::from(timeline.minutes) * 60_000_000;
        for (kind, one, many) in [(DetectionKind::Knife, "knife", "knives"), (DetectionKind::Gun, "gun", "guns")] {
            let counts = timeline.counts.iter().filter(|c| c.kind == kind && self.counts(kind) && row(c.camera));
            let n: u64 = counts.filter(|c| touches(c.from, Timestamp(c.from.0 + length))).map(|c| c.n).sum();
            if n > 0 {
                parts.push(widgets::count(n, one, many));
            }
        }
        if timeline.cut {
            parts.push("the newest only".to_owned());
        }
        parts.join(" · ")
    }

    /// Stays of anybody in these colours: of no suspect, nothing decided.
    fn people(&self) -> bool {
        self.only.is_none() && self.decided == Decided::NotRejected
    }
}

/// The part of a list, ordered by camera, that is of one.
fn of<T>(list: &[T], camera: CameraId, of: impl Fn(&T) -> CameraId) -> &[T] {
    let from = list.partition_point(|item| of(item) < camera);
    let until = list.partition_point(|item| of(item) <= camera);
    list.get(from..until).unwrap_or_default()
}

/// An instant that was pointed at.
pub struct Pointed {
    /// Which.
    pub at: Timestamp,
    /// The pointer is still down.
    pub scrubbing: bool,
}

fn seconds(t: Timestamp) -> f64 {
    t.0 as f64 / 1e6
}

fn instant(s: f64) -> Timestamp {
    Timestamp((s * 1e6) as i64)
}

impl TimelineView {
    /// With this stretch on screen.
    pub fn of(from: Timestamp, until: Timestamp) -> Self {
        Self { range: Some((seconds(from), seconds(until))), ..Self::default() }
    }

    /// Marks the beginning of a stretch.
    pub fn mark_in(&mut self, at: Timestamp) {
        self.mark_in = Some(at);
        self.mark_out = self.mark_out.filter(|out| *out > at);
    }

    /// Marks the end of a stretch.
    pub fn mark_out(&mut self, at: Timestamp) {
        self.mark_out = Some(at);
        self.mark_in = self.mark_in.filter(|begin| *begin < at);
    }

    /// The marked stretch.
    pub fn stretch(&self) -> Option<(Timestamp, Timestamp)> {
        Some((self.mark_in?, self.mark_out?))
    }

    /// Moves an instant into the picture.
    pub fn show(&mut self, at: Timestamp) {
        if let Some((from, until)) = &mut self.range
            && !(*from..=*until).contains(&seconds(at))
        {
            let half = (*until - *from) / 2.0;
            (*from, *until) = (seconds(at) - half, seconds(at) + half);
        }
    }

    /// Length of the marked stretch, seconds.
    pub fn marked(&self) -> Option<f64> {
        Some(self.mark_out?.seconds_since(self.mark_in?))
    }

    /// Draws it; `at` is the instant of the player, `watched` its cameras. Returns the instant that was pointed at.
    pub fn ui(
        &mut self,
        ui: &mut Ui,
        state: &SiteState,
        at: Option<Timestamp>,
        watched: &[CameraId],
        asked: &mut Vec<Command>,
    ) -> Option<Pointed> {
        self.filters(ui, state);
        let area = ui.available_rect_before_wrap().shrink2(vec2(8.0, 2.0));
        ui.advance_cursor_after_rect(area);
        let now = seconds(state.now);
        let (mut from, mut until) = *self.range.get_or_insert((now - 3.0 * HOUR, now + 600.0));
        // A player that walks out of the picture takes it along.
        if let Some(at) = at.map(seconds).filter(|_| state.review.rate != 0.0)
            && !(from..=until).contains(&at)
        {
            let half = (until - from) / 2.0;
            (from, until) = (at - half, at + half);
        }
        let lane = Rect::from_min_max(pos2(area.left() + NAMES, area.top()), area.max);
        let response = ui.interact(lane, ui.scope_id().with("timeline"), Sense::click_and_drag());
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Slider, true, "Timeline"));
        let to_x = |s: f64, from: f64, until: f64| lane.left() + ((s - from) / (until - from)) as f32 * lane.width();
        let to_s = |x: f32, from: f64, until: f64| from + f64::from((x - lane.left()) / lane.width()) * (until - from);
        if let Some(hover) = response.hover_pos() {
            let (zoom, scroll) = ui.input(|i| (i.zoom_delta(), i.smooth_scroll_delta()));
            let wheel = f64::from(zoom) * f64::from(scroll.y / 300.0).exp();
            if (wheel - 1.0).abs() > 1e-4 {
                let pivot = to_s(hover.x, from, until);
                let span = ((until - from) / wheel).clamp(SPAN[0], SPAN[1]);
                let part = (pivot - from) / (until - from);
                (from, until) = (pivot - span * part, pivot + span * (1.0 - part));
            }
            if scroll.x != 0.0 {
                let by = f64::from(scroll.x / lane.width()) * (until - from);
                (from, until) = (from - by, until - by);
            }
        }
        if response.dragged_by(egui::PointerButton::Secondary) || response.dragged_by(egui::PointerButton::Middle) {
            let by = f64::from(response.drag_delta().x / lane.width()) * (until - from);
            (from, until) = (from - by, until - by);
        }
        self.range = Some((from, until));
        self.ask(state, from, until, asked);

        self.axis(ui, lane, from, until);
        let rows = Rect::from_min_max(pos2(area.left(), area.top() + AXIS), area.max);
        let mut scrolled = ui.new_child(egui::UiBuilder::new().max_rect(rows));
        ScrollArea::vertical().auto_shrink(false).scroll_source(egui::scroll_area::ScrollSource::SCROLL_BAR).show(
            &mut scrolled,
            |ui| {
                ui.spacing_mut().item_spacing.y = 2.0;
                for view in state.cameras.iter().filter(|v| !self.filters.without.contains(&v.camera.id)) {
                    let (row, _) = ui.allocate_exact_size(vec2(rows.width(), ROW), Sense::hover());
                    let lane = Rect::from_min_max(pos2(lane.left(), row.top()), pos2(lane.right(), row.bottom()));
                    let on = watched.contains(&view.camera.id);
                    let font = FontId::proportional(12.5);
                    let tint = if on { tokens::TEXT } else { tokens::TEXT_WEAK };
                    let clip = Rect::from_min_max(row.min, pos2(lane.left() - 4.0, row.bottom()));
                    ui.painter().with_clip_rect(clip.intersect(ui.clip_rect())).text(
                        row.left_center(),
                        Align2::LEFT_CENTER,
                        &view.camera.name,
                        font,
                        tint,
                    );
                    self.row(ui, state, view.camera.id, lane, from, until);
                }
            },
        );
        let painter = ui.painter().with_clip_rect(lane.intersect(ui.clip_rect()));
        let below_hours = lane.top() + AXIS - 5.0;
        let mark = |t: Timestamp, top: f32, tint: Color32, width: f32| {
            let x = to_x(seconds(t), from, until);
            painter.line_segment([pos2(x, top), pos2(x, lane.bottom())], Stroke::new(width, tint));
        };
        if let (Some(a), Some(b)) = (self.mark_in, self.mark_out) {
            let between =
                Rect::from_x_y_ranges(to_x(seconds(a), from, until)..=to_x(seconds(b), from, until), lane.y_range());
            painter.rect_filled(between, 0.0, tokens::ACCENT.gamma_multiply(0.12));
        }
        for t in [self.mark_in, self.mark_out].into_iter().flatten() {
            mark(t, below_hours, tokens::ACCENT, 1.5);
        }
        mark(state.now, below_hours, tokens::GOOD, 1.0);
        if let Some(at) = at {
            // Up into the hours, where it is grabbed; the others leave their words readable.
            mark(at, lane.top(), Color32::WHITE, 2.0);
        }
        let x = |t: Timestamp| to_x(seconds(t), from, until);
        let axis = lane.with_max_y(lane.top() + AXIS);
        if let Some(words) = bookmarks::draw(&painter, state, None, axis, x, response.hover_pos()) {
            tip(ui, words, response.hover_pos());
        }
        let pointer = response.interact_pointer_pos()?;
        let primary = response.dragged_by(egui::PointerButton::Primary);
        let released = response.drag_stopped_by(egui::PointerButton::Primary) || response.clicked();
        (primary || released).then(|| Pointed {
            at: bookmarks::near(state, pointer.x, x)
                .filter(|_| released)
                .unwrap_or_else(|| instant(to_s(pointer.x.clamp(lane.left(), lane.right()), from, until))),
            scrubbing: !released,
        })
    }

    /// Asks the site for what is on screen, with something on both sides, when it has not been asked for yet.
    fn ask(&mut self, state: &SiteState, from: f64, until: f64, asked: &mut Vec<Command>) {
        let (wide_from, wide_until) = (from - (until - from) * 0.5, until + (until - from) * 0.5);
        let clothes = self.filters.clothes;
        let there = self.asked_for.is_some_and(|(a, b, when, wearing)| {
            let (a, b) = (seconds(a), seconds(b));
            let fresh = b < seconds(state.now) || state.now.seconds_since(when) < NEWS;
            let as_fine = (b - a) < 4.0 * (until - from);
            a <= from && until <= b && fresh && as_fine && wearing == clothes
        });
        if !there {
            let (from, until) = (instant(wide_from), instant(wide_until));
            self.asked_for = Some((from, until, state.now, clothes));
            asked.push(Command::Review(ReviewCommand::Timeline { from, until, clothes }));
        }
    }

    fn filters(&mut self, ui: &mut Ui, state: &SiteState) {
        let filters = &mut self.filters;
        ui.horizontal_wrapped(|ui| {
            ui.add_space(8.0);
            ui.checkbox(&mut filters.suspects, "Suspects");
            ui.checkbox(&mut filters.knives, "Knives");
            ui.checkbox(&mut filters.guns, "Guns");
            let shown = state.cameras.iter().filter(|v| !filters.without.contains(&v.camera.id)).count();
            modal::switches(ui, format!("{shown} of {} cameras ⏷", state.cameras.len()), |ui| {
                if ui.button("All").clicked() {
                    filters.without.clear();
                }
                for view in &state.cameras {
                    let mut on = !filters.without.contains(&view.camera.id);
                    if ui.checkbox(&mut on, &view.camera.name).changed() {
                        if on {
                            filters.without.remove(&view.camera.id);
                        } else {
                            filters.without.insert(view.camera.id);
                        }
                    }
                }
            })
            .on_hover_text("Cameras that have a row here");
            let label = |id: SuspectId| widgets::suspect(state, id).map_or("Removed", |v| v.suspect.label.as_str());
            let whose = filters.only.map_or("All suspects", label);
            let list = ComboBox::from_id_salt("suspect of the timeline").selected_text(whose).width(110.0);
            modal::choose(list, ui, |ui| {
                ui.selectable_value(&mut filters.only, None, "All suspects");
                for view in &state.suspects {
                    ui.selectable_value(&mut filters.only, Some(view.suspect.id), &view.suspect.label);
                }
            });
            let decided = Decided::ALL.iter().find(|(d, _)| *d == filters.decided).map_or("", |(_, words)| words);
            let list = ComboBox::from_id_salt("decision of the timeline").selected_text(decided).width(100.0);
            modal::choose(list, ui, |ui| {
                for (decided, words) in Decided::ALL {
                    ui.selectable_value(&mut filters.decided, decided, words);
                }
            });
            let clothes = [
                ("Above", "above the waist", &mut filters.clothes.upper),
                ("Below", "below the waist", &mut filters.clothes.lower),
            ];
            for (name, place, colour) in clothes {
                let words = colour.map_or_else(|| format!("{name}: any"), |c| format!("{name}: {}", c.name()));
                modal::choose(ComboBox::from_id_salt(place).selected_text(words).width(100.0), ui, |ui| {
                    ui.selectable_value(colour, None, "any");
                    for one in ColourName::ALL {
                        ui.selectable_value(colour, Some(one), one.name());
                    }
                })
                .response
                .on_hover_text(format!("Everybody seen who wears this colour {place}"));
            }
            let now = seconds(state.now);
            for (name, span) in
                [("Hour", HOUR), ("Day", 24.0 * HOUR), ("Week", 168.0 * HOUR), ("30 days", 720.0 * HOUR)]
            {
                if ui.button(name).on_hover_text("Shows so much time, up to now").clicked() {
                    self.range = Some((now - span, now + span * 0.05));
                }
            }
            if let (Some(timeline), Some((from, until))) = (&state.review.timeline, self.range) {
                ui.label(tokens::small(filters.words(state, timeline, from, until)))
                    .on_hover_text("What the rows below show of the time on screen");
            }
        });
    }

    /// The hours above the rows. A day stands where it begins, in the zone of this machine, and at the first hour.
    fn axis(&self, ui: &Ui, lane: Rect, from: f64, until: f64) {
        let painter = ui.painter().with_clip_rect(lane.intersect(ui.clip_rect()));
        let wanted = (until - from) * 110.0 / f64::from(lane.width().max(1.0));
        let step = STEPS.into_iter().find(|s| *s >= wanted).unwrap_or(2_419_200.0);
        let mut day_is_told = false;
        for (s, local) in ticks(from, until, step, |s| instant(s).local_offset()) {
            let x = lane.left() + ((s - from) / (until - from)) as f32 * lane.width();
            painter.line_segment(
                [pos2(x, lane.top() + AXIS - 5.0), pos2(x, lane.bottom())],
                Stroke::new(1.0, tokens::LINE),
            );
            if x < lane.left() {
                continue; // its words would be cut off
            }
            let t = instant(s).local_date_time();
            let midnight = local.rem_euclid(86_400.0) < 0.5;
            let words = match (step >= 86_400.0, step >= 60.0) {
                (true, _) => t.get(..10),
                (_, true) if midnight => t.get(5..10),
                (_, true) if day_is_told => t.get(11..16),
                (_, true) => t.get(5..16),
                (_, false) if day_is_told => t.get(11..19),
                (_, false) => t.get(5..19),
            };
            day_is_told = true;
            painter.text(
                pos2(x + 3.0, lane.top()),
                Align2::LEFT_TOP,
                words.unwrap_or_default(),
                FontId::proportional(11.0),
                if midnight { tokens::TEXT } else { tokens::TEXT_WEAK },
            );
        }
    }

    fn row(&self, ui: &Ui, state: &SiteState, camera: CameraId, lane: Rect, from: f64, until: f64) {
        let painter = ui.painter().with_clip_rect(lane.intersect(ui.clip_rect()));
        painter.rect_filled(lane, 2.0, tokens::WELL);
        let Some(timeline) = &state.review.timeline else { return };
        let x = |t: Timestamp| {
            let x = f64::from(lane.left()) + (seconds(t) - from) / (until - from) * f64::from(lane.width());
            x.clamp(f64::from(lane.left()) - 4.0, f64::from(lane.right()) + 4.0) as f32
        };
        let stretch = |a: Timestamp, b: Timestamp, top: f32, bottom: f32| {
            let (a, b) = (x(a), x(b));
            Rect::from_min_max(pos2(a, lane.top() + top), pos2(b.max(a + 1.0), lane.top() + bottom))
        };
        let on_screen = |a: Timestamp, b: Timestamp| seconds(b) >= from && seconds(a) <= until;
        for (_, a, b) in of(&timeline.coverage, camera, |c| c.0).iter().filter(|(_, a, b)| on_screen(*a, *b)) {
            painter.rect_filled(stretch(*a, *b, ROW - 8.0, ROW - 2.0), 0.0, tokens::SELECTED);
        }
        let hover = ui.input(|i| i.pointer.hover_pos()).filter(|p| lane.contains(*p));
        let mut tip = None;
        for gap in of(&timeline.gaps, camera, |g| g.camera) {
            let end = gap.until.unwrap_or(state.now);
            if on_screen(gap.from, end) {
                let rect = stretch(gap.from, end, ROW - 8.0, ROW - 2.0);
                painter.rect_filled(rect, 0.0, tokens::BAD.gamma_multiply(0.55));
                if hover.is_some_and(|p| rect.expand2(vec2(3.0, 8.0)).contains(p)) {
                    tip = Some(format!("No video: {}", gap.reason));
                }
            }
        }
        let length = i64::from(timeline.minutes) * 60_000_000;
        let most = timeline.counts.iter().map(|c| c.n).max().unwrap_or(1).max(1) as f32;
        for count in of(&timeline.counts, camera, |c| c.camera) {
            let tint = if count.kind == DetectionKind::Suspect { tokens::PERSON } else { tokens::BAD };
            let end = Timestamp(count.from.0 + length);
            if self.filters.counts(count.kind) && on_screen(count.from, end) {
                let height = 2.0 + 7.0 * (1.0 + count.n as f32).ln() / (1.0 + most).ln();
                painter.rect_filled(stretch(count.from, end, 10.0 - height, 10.0), 0.0, tint.gamma_multiply(0.7));
            }
        }
        if self.filters.people() && timeline.clothes == self.filters.clothes {
            // Many stays of one pixel are one mark.
            let mut drawn = f32::MIN;
            for (_, a, b) in of(&timeline.people, camera, |p| p.0).iter().filter(|(_, a, b)| on_screen(*a, *b)) {
                let rect = stretch(*a, *b, 2.0, 9.0);
                if rect.right() > drawn + 0.5 {
                    drawn = rect.right();
                    painter.rect_filled(rect, 0.0, tokens::GOOD);
                }
                if hover.is_some_and(|p| rect.expand(2.0).contains(p)) {
                    tip = Some(format!("Somebody in these colours · {}", a.local_date_time()));
                }
            }
        }
        for s in of(&timeline.sightings, camera, |s| s.camera).iter().filter(|s| self.filters.stay(state, s)) {
            let end = s.left_at.unwrap_or(s.last_seen_at);
            if !on_screen(s.entered_at, end) {
                continue;
            }
            let Some(view) = widgets::suspect(state, s.suspect) else { continue };
            let tint = widgets::colour(view.suspect.colour);
            let rect = stretch(s.entered_at, end, 11.0, ROW - 9.0);
            let rect = rect.with_max_x(rect.right().max(rect.left() + 3.0));
            let sure = matches!(s.decision, Decision::Origin | Decision::Confirmed { .. });
            painter.rect_filled(rect, 1.0, if sure { tint } else { tint.gamma_multiply(0.55) });
            if hover.is_some_and(|p| rect.expand(2.0).contains(p)) {
                let words = if sure { "" } else { "Possible match: " };
                tip = Some(format!("{words}{} · {}", view.suspect.label, s.entered_at.local_date_time()));
            }
        }
        let wide = |t: Timestamp| lane.left() + ((seconds(t) - from) / (until - from)) as f32 * lane.width();
        if let Some(words) = bookmarks::draw(&painter, state, Some(camera), lane, wide, hover) {
            tip = Some(words);
        }
        if let Some(words) = tip {
            self::tip(ui, words, hover);
        }
    }
}

/// Whole steps between two instants as a clock on the wall shows them, which is `offset` seconds ahead of UTC: each with what it
/// shows. Where clocks are changed they stay hours and days of that clock.
fn ticks(from: f64, until: f64, step: f64, offset: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
    let here = offset(from);
    let first = ((from + here) / step).floor();
    let mut ticks: Vec<_> = (0..)
        .map(|n| (first + f64::from(n)) * step)
        .map(|local| (local - offset(local - here), local))
        .take_while(|(s, _)| *s <= until)
        .collect();
    ticks.dedup_by_key(|(s, _)| *s); // an hour that is left out in spring
    ticks
}

/// A few words beside the pointer.
fn tip(ui: &Ui, words: String, pointer: Option<egui::Pos2>) {
    if let Some(at) = pointer {
        let painter = ui.painter().clone().with_layer_id(egui::LayerId::new(egui::Order::Tooltip, ui.scope_id()));
        let painter = painter.with_clip_rect(ui.ctx().content_rect());
        let galley = painter.layout_no_wrap(words, FontId::proportional(12.5), tokens::TEXT);
        let plate = Rect::from_min_size(at + vec2(12.0, -26.0), galley.size() + vec2(12.0, 6.0));
        painter.rect_filled(plate, 3.0, tokens::PLATE);
        painter.galley(plate.min + vec2(6.0, 3.0), galley, tokens::TEXT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_and_days_stand_where_clocks_show_them_also_where_these_are_changed() {
        let at = |text: &str| seconds(Timestamp::parse(text).unwrap());
        let (autumn, spring) = (at("2026-10-25T01:00:00Z"), at("2026-03-29T01:00:00Z"));
        let lisbon = move |s: f64| if (spring..autumn).contains(&s) { 3600.0 } else { 0.0 };
        let told = |from: &str, until: &str, step: f64| -> Vec<String> {
            let all = ticks(at(from), at(until), step, lisbon);
            assert!(all.windows(2).all(|pair| pair[0].0 < pair[1].0), "{all:?}");
            assert!(all.iter().all(|(s, _)| (s + lisbon(*s)).rem_euclid(step) == 0.0), "{all:?}");
            all.iter().map(|(s, _)| instant(*s).to_string().chars().take(16).collect()).collect()
        };
        assert_eq!(
            told("2026-10-24T05:00:00Z", "2026-10-27T05:00:00Z", 86_400.0),
            ["2026-10-23T23:00", "2026-10-24T23:00", "2026-10-26T00:00", "2026-10-27T00:00"]
        );
        assert_eq!(told("2026-10-24T20:30:00Z", "2026-10-25T04:10:00Z", 3600.0).len(), 8, "one hour is there twice");
        assert_eq!(
            told("2026-03-28T23:30:00Z", "2026-03-29T02:00:00Z", 3600.0),
            ["2026-03-28T23:00", "2026-03-29T00:00", "2026-03-29T01:00", "2026-03-29T02:00"]
        );
    }
}
