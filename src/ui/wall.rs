//! All cameras, or one alone: live pictures, boxes that belong to the frame under them, and the state of each camera.
use super::tokens;
use super::widgets;
use super::yuv::{self, Look};
use crate::model::{CameraId, Class, Detection, Rect, Timestamp, TrackId};
use crate::site::{CameraStatus, CameraView, Clicked, Keeper, SiteState, SuspectView, TrackView};
use crate::video::Frame;
use egui::{
    Align, Align2, Color32, CornerRadius, CursorIcon, FontId, Label, Layout, Painter, Pos2, RichText, Sense, Shape,
    Stroke, StrokeKind, Ui, UiBuilder, Vec2, pos2, vec2,
};
use std::collections::HashMap;

/// A box counts as measured while its last detection is at most this far from the frame on screen, seconds: a little more
/// than one period of a slow analysis. Past that it is drawn as predicted.
const MEASURED_WITHIN: f64 = 0.35;
/// Weapons do not move by themselves: a box is drawn for this long after its frame, seconds.
const WEAPON_WITHIN: f64 = 0.6;
/// A camera that says it is live and shows the same frame for longer than this is not shown as live, seconds.
const FROZEN_AFTER: f64 = 5.0;
/// A click this far outside a box still means it, points.
const CLICK_SLACK: f32 = 5.0;

/// What the wall remembers between two repaints.
#[derive(Default)]
pub struct Wall {
    alone: Option<CameraId>,
    /// Under the pointer.
    pointed: Option<CameraId>,
    seen: HashMap<CameraId, Seen>,
}

/// What a tile showed last: a click is meant for that, not for a frame that came in between.
struct Seen {
    frame: Frame,
    first_at: Timestamp,
    boxes: Vec<(TrackId, Rect)>,
    aspect: f32,
}

impl Wall {
    /// Shows the camera at this place of the wall alone; all of them again when it already is, or when there is none.
    pub fn toggle(&mut self, state: &SiteState, position: usize) {
        let wanted = state.cameras.get(position).map(|view| view.camera.id);
        self.alone = if self.alone == wanted { None } else { wanted };
    }

    /// The camera that a key without a number means: under the pointer, else the one shown alone, else the only one.
    pub fn pointed_at(&self, state: &SiteState) -> Option<CameraId> {
        let only = || state.cameras.first().filter(|_| state.cameras.len() == 1).map(|v| v.camera.id);
        self.pointed.or(self.alone).or_else(only)
    }

    /// Shows all cameras; `false` when they already were.
    pub fn show_all(&mut self) -> bool {
        self.alone.take().is_some()
    }

    /// Draws the wall; `largest` is the largest side of a picture the device can show, `None` without a device; `open` is
    /// the person whose card is open. Returns the person that was clicked.
    pub fn ui(
        &mut self,
        ui: &mut Ui,
        state: &SiteState,
        largest: Option<u32>,
        open: Option<(CameraId, TrackId)>,
    ) -> Option<Clicked> {
        if state.cameras.is_empty() {
            widgets::empty(
                ui,
                "No cameras yet",
                "Add them under [[camera]] in the site's configuration and start again, or see four demo cameras with: vigia demo",
            );
            return None;
        }
        self.seen.retain(|id, _| state.cameras.iter().any(|view| view.camera.id == *id));
        self.alone = self.alone.filter(|id| state.cameras.iter().any(|view| view.camera.id == *id));
        let shown: Vec<_> = state
            .cameras
            .iter()
            .enumerate()
            .filter(|(_, view)| self.alone.is_none_or(|id| id == view.camera.id))
            .collect();
        let area = ui.available_rect_before_wrap().shrink(tokens::TILE_GAP);
        ui.advance_cursor_after_rect(area);
        let aspect = self.aspect(&shown);
        let pointer = ui.input(|i| i.pointer.hover_pos());
        self.pointed = None;
        let mut clicked = None;
        for ((number, view), rect) in
            shown.into_iter().zip(tiles(area, self.alone.map_or(state.cameras.len(), |_| 1), aspect))
        {
            let open = open.filter(|(camera, _)| *camera == view.camera.id).map(|(_, track)| track);
            if pointer.is_some_and(|p| rect.contains(p)) {
                self.pointed = Some(view.camera.id);
            }
            let tile = self.tile(ui, state, view, number, rect, largest, open);
            clicked = clicked.or(tile);
        }
        clicked
    }

    /// The usual aspect ratio of these cameras, so that tiles waste little.
    fn aspect(&self, shown: &[(usize, &CameraView)]) -> f32 {
        let known: Vec<f32> =
            shown.iter().filter_map(|(_, view)| Some(self.seen.get(&view.camera.id)?.aspect)).collect();
        if known.is_empty() { 16.0 / 9.0 } else { (known.iter().sum::<f32>() / known.len() as f32).clamp(1.0, 2.0) }
    }

    #[expect(clippy::too_many_arguments, reason = "a tile is drawn in one place only")]
    fn tile(
        &mut self,
        ui: &mut Ui,
        state: &SiteState,
        view: &CameraView,
        number: usize,
        rect: egui::Rect,
        largest: Option<u32>,
        open: Option<TrackId>,
    ) -> Option<Clicked> {
        let id = view.camera.id;
        let health = self.health(state, view);
        // Nothing is filled twice: under a software renderer every layer of the whole window costs more than the pictures.
        ui.painter().rect_stroke(rect, tokens::RADIUS, Stroke::new(1.0, tokens::LINE), StrokeKind::Outside);
        let (header, body) = rect.split_top_bottom_at_y(rect.top() + tokens::HEADER_HEIGHT);
        let top = CornerRadius { nw: tokens::RADIUS, ne: tokens::RADIUS, ..CornerRadius::ZERO };
        ui.painter().rect_filled(header, top, tokens::PANEL);
        self.header(ui, view, number, header, &health);

        let response = ui.interact(body, ui.scope_id().with(("picture", id)), Sense::CLICK);
        response.widget_info(|| {
            egui::WidgetInfo::labeled(egui::Role::Image, true, format!("Picture of {}", view.camera.name))
        });
        // Before this pass draws: what is clicked is what was on screen.
        let clicked = response.clicked().then(|| response.interact_pointer_pos()).flatten().and_then(|at| {
            let seen = self.seen.get(&id)?;
            let (track, rect) = hit(&seen.boxes, to_frame(at, body, &seen.frame)?, slack(body, &seen.frame))?;
            Some(Clicked { camera: id, track, frame: seen.frame.clone(), rect })
        });
        if response.double_clicked() && clicked.is_none() {
            self.alone = if self.alone == Some(id) { None } else { Some(id) };
        }

        let live = matches!(health, Health::Live);
        let Some(frame) = &view.frame else {
            if let Some(seen) = self.seen.get_mut(&id) {
                seen.boxes.clear();
            }
            ui.painter().rect_filled(body, 0.0, tokens::WELL);
            veil(ui, body, &health, state.now);
            return None;
        };
        if let Some(seen) = self.seen.get_mut(&id) {
            seen.frame = frame.clone();
            seen.boxes.clear();
        }
        let picture = fitted(body, frame);
        let drawable = largest.is_some_and(|side| frame.width().max(frame.height()) <= side);
        for bar in around(body, if drawable { picture } else { egui::Rect::NOTHING }) {
            ui.painter().rect_filled(bar, 0.0, tokens::WELL);
        }
        if drawable {
            let look = if live { Look::LIVE } else { Look::STALE };
            ui.painter().add(yuv::shape(picture, id, frame.clone(), look, ui.ctx().cumulative_pass_nr()));
        }
        if !live {
            veil(ui, body, &health, state.now);
            return None;
        }
        if !drawable {
            let words = if largest.is_none() {
                "No graphics device"
            } else {
                "This picture is larger than the graphics device can show"
            };
            ui.painter().text(body.center(), Align2::CENTER_CENTER, words, FontId::proportional(14.0), tokens::WARN);
        }
        let boxes: Vec<_> = view
            .tracks
            .iter()
            .filter_map(|track| {
                let rect =
                    track.track.rect_at(frame.captured_at())?.clamped(frame.width() as f32, frame.height() as f32)?;
                Some((track, rect))
            })
            .collect();
        let plain: Vec<_> = boxes.iter().map(|(track, rect)| (track.track.id, *rect)).collect();
        let hovered = hovered(ui, &response, &plain, body, frame);
        let painter = ui.painter().with_clip_rect(picture.intersect(ui.clip_rect()));
        for (track, rect) in &boxes {
            let marked = Some(track.track.id) == hovered || Some(track.track.id) == open;
            draw_box(&painter, state, track, to_screen(*rect, picture, frame), frame.captured_at(), marked);
            if let (Some(outline), Some(m), Some(whole)) =
                (&track.outline, track.suspect, track.track.rect_at(frame.captured_at()))
            {
                let on_screen = |[x, y]: [f32; 2]| to_screen(Rect::new(x, y, 0.0, 0.0), picture, frame).min;
                let corners = outline.on(&whole).into_iter().map(on_screen);
                let tint =
                    widgets::suspect(state, m.suspect).map_or(tokens::PERSON, |v| widgets::colour(v.suspect.colour));
                draw_outline(&painter, corners.collect(), tint);
            }
        }
        for weapon in view.weapons.iter() {
            if frame.captured_at().seconds_since(weapon.at).abs() <= WEAPON_WITHIN {
                draw_weapon(&painter, &weapon.detection, to_screen(weapon.detection.rect, picture, frame));
            }
        }
        if let Some(seen) = self.seen.get_mut(&id) {
            seen.boxes = plain;
        }
        clicked
    }

    /// How the tile is to be shown; remembers when a frame was first seen.
    fn health<'a>(&mut self, state: &SiteState, view: &'a CameraView) -> Health<'a> {
        if let Some(frame) = &view.frame {
            let seen = self.seen.entry(view.camera.id).or_insert_with(|| Seen {
                frame: frame.clone(),
                first_at: state.now,
                boxes: Vec::new(),
                aspect: 1.0,
            });
            if !seen.frame.same(frame) {
                // The boxes stay those of the frame that was drawn, for a click that is under way.
                seen.first_at = state.now;
            }
            seen.aspect = frame.width() as f32 / frame.height() as f32;
        }
        match &view.status {
            CameraStatus::Connecting => Health::Connecting,
            CameraStatus::Inactive => Health::Off,
            CameraStatus::Stale { since, reason, retry_at } => {
                Health::Stale { since: *since, reason, retry_at: Some(*retry_at) }
            }
            CameraStatus::Live if view.frame.is_none() => Health::Connecting,
            CameraStatus::Live => {
                let first_at = self.seen.get(&view.camera.id).map_or(state.now, |seen| seen.first_at);
                if state.now.seconds_since(first_at) > FROZEN_AFTER {
                    Health::Stale { since: Some(first_at), reason: "The picture stands still", retry_at: None }
                } else {
                    Health::Live
                }
            }
        }
    }

    fn header(&mut self, ui: &mut Ui, view: &CameraView, number: usize, rect: egui::Rect, health: &Health<'_>) {
        let response = ui.interact(rect, ui.scope_id().with(("header", view.camera.id)), Sense::CLICK);
        if response.double_clicked() {
            self.alone = if self.alone == Some(view.camera.id) { None } else { Some(view.camera.id) };
        }
        let inner = rect.shrink2(vec2(10.0, 0.0));
        let mut ui = ui.new_child(UiBuilder::new().max_rect(inner).layout(Layout::right_to_left(Align::Center)));
        ui.shrink_clip_rect(inner);
        ui.spacing_mut().item_spacing.x = 8.0;
        ui.spacing_mut().interact_size.y = 18.0;
        let is_watched = matches!(view.keeper, Keeper::Other(_));
        if let (Health::Live, Some(frame)) = (health, &view.frame) {
            ui.label(tokens::digits(frame.captured_at().local_time()).color(tokens::TEXT));
            if let Some(offset) = view.clock_offset.filter(|offset| offset.is_notable()) {
                let words =
                    if ui.available_width() > 300.0 { format!("own clock {offset}") } else { "clock".to_owned() };
                widgets::chip(&mut ui, words, tokens::WARN).on_hover_text(format!(
                    "This camera's own clock, which it may draw into its picture, is {offset} of the console's. All times here \
                     are the console's."
                ));
            }
            // A camera's name is worth more than its counters.
            if ui.available_width() > if is_watched { 460.0 } else { 360.0 } {
                let counters = &view.counters;
                ui.label(tokens::small(format!("{} · analysed {:.0}/s", pace(counters.fps), counters.analysed_fps)))
                    .on_hover_text(format!(
                        "Received {}, analysed {}, overtaken {}; {:.0} ms from capture to boxes",
                        counters.received, counters.analysed, counters.dropped, counters.latency_ms
                    ));
            }
        }
        ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
            if number < 9 {
                widgets::key(ui, &(number + 1).to_string());
            }
            let (tint, words) = health.chip();
            widgets::dot(ui, tint);
            ui.label(RichText::new(words).size(12.5).color(tint));
            let name = if view.camera.is_virtual { inner.width() > 240.0 } else { false };
            let watched = is_watched && ui.available_width() > 190.0;
            let room = ui.available_width() - if name { 62.0 } else { 0.0 } - if watched { 96.0 } else { 0.0 };
            ui.scope(|ui| {
                ui.set_max_width(room.max(20.0));
                ui.add(Label::new(tokens::strong(&view.camera.name)).truncate());
            });
            if let (Keeper::Other(console), true) = (&view.keeper, watched) {
                widgets::chip(ui, "watched only", tokens::TEXT_WEAK)
                    .on_hover_text(format!("The console {console} keeps the records of this camera"));
            }
            if name {
                widgets::chip(ui, "virtual", tokens::TEXT_WEAK)
                    .on_hover_text("A window cut out of shared footage, not a device of its own");
            }
        });
    }
}

/// A camera's state as the tile shows it.
enum Health<'a> {
    Connecting,
    Live,
    Off,
    Stale { since: Option<Timestamp>, reason: &'a str, retry_at: Option<Timestamp> },
}

impl Health<'_> {
    fn chip(&self) -> (Color32, &'static str) {
        match self {
            Self::Connecting => (tokens::WARN, "Connecting…"),
            Self::Live => (tokens::GOOD, "Live"),
            Self::Off => (tokens::TEXT_WEAK, "Off"),
            Self::Stale { .. } => (tokens::BAD, "Stale"),
        }
    }
}

/// Where the tiles go: as many columns as make the pictures largest, the rows centred.
pub(super) fn tiles(area: egui::Rect, count: usize, aspect: f32) -> Vec<egui::Rect> {
    let gap = tokens::TILE_GAP;
    let width_with = |columns: usize| {
        let rows = count.div_ceil(columns);
        let by_width = (area.width() - gap * (columns - 1) as f32) / columns as f32;
        let by_height = ((area.height() - gap * (rows - 1) as f32) / rows as f32 - tokens::HEADER_HEIGHT) * aspect;
        by_width.min(by_height)
    };
    let columns =
        (1..=count.max(1)).max_by(|a, b| width_with(*a).total_cmp(&width_with(*b)).then(b.cmp(a))).unwrap_or(1);
    let rows = count.div_ceil(columns);
    let width = width_with(columns).max(80.0).floor();
    let size = vec2(width, (width / aspect + tokens::HEADER_HEIGHT).floor());
    let whole = vec2(columns as f32 * (size.x + gap) - gap, rows as f32 * (size.y + gap) - gap);
    let origin = (area.center() - whole / 2.0).round();
    (0..count)
        .map(|i| {
            let cell = vec2((i % columns) as f32 * (size.x + gap), (i / columns) as f32 * (size.y + gap));
            egui::Rect::from_min_size(origin + cell, size)
        })
        .collect()
}

/// The frame at its aspect ratio, centred in `body`, on whole points.
pub(super) fn fitted(body: egui::Rect, frame: &Frame) -> egui::Rect {
    let (w, h) = (frame.width().max(1) as f32, frame.height().max(1) as f32);
    let scale = (body.width() / w).min(body.height() / h);
    let size = (vec2(w, h) * scale).round();
    egui::Rect::from_min_size((body.center() - size / 2.0).round(), size).intersect(body)
}

/// What `picture` leaves free of `body`: bars beside or above and below it, or the whole.
pub(super) fn around(body: egui::Rect, picture: egui::Rect) -> Vec<egui::Rect> {
    if !picture.is_positive() {
        return vec![body];
    }
    [
        egui::Rect::from_min_max(body.min, pos2(picture.left(), body.bottom())),
        egui::Rect::from_min_max(pos2(picture.right(), body.top()), body.max),
        egui::Rect::from_min_max(pos2(picture.left(), body.top()), pos2(picture.right(), picture.top())),
        egui::Rect::from_min_max(pos2(picture.left(), picture.bottom()), pos2(picture.right(), body.bottom())),
    ]
    .into_iter()
    .filter(|bar| bar.is_positive())
    .collect()
}

pub(super) fn to_screen(rect: Rect, picture: egui::Rect, frame: &Frame) -> egui::Rect {
    let scale = picture.size() / vec2(frame.width() as f32, frame.height() as f32);
    egui::Rect::from_min_size(picture.min + vec2(rect.x, rect.y) * scale, vec2(rect.w, rect.h) * scale)
}

/// The point in pixels of the frame; `None` beside the picture.
pub(super) fn to_frame(at: Pos2, body: egui::Rect, frame: &Frame) -> Option<Pos2> {
    let picture = fitted(body, frame);
    picture.contains(at).then(|| {
        let scale = vec2(frame.width() as f32, frame.height() as f32) / picture.size();
        ((at - picture.min) * scale).to_pos2()
    })
}

/// [`CLICK_SLACK`] in pixels of the frame.
pub(super) fn slack(body: egui::Rect, frame: &Frame) -> f32 {
    CLICK_SLACK * frame.width() as f32 / fitted(body, frame).width().max(1.0)
}

/// The person under the pointer, who can be clicked.
pub(super) fn hovered(
    ui: &Ui,
    response: &egui::Response,
    boxes: &[(TrackId, Rect)],
    body: egui::Rect,
    frame: &Frame,
) -> Option<TrackId> {
    let (track, _) = hit(boxes, to_frame(response.hover_pos()?, body, frame)?, slack(body, frame))?;
    ui.ctx().set_cursor_icon(CursorIcon::PointingHand);
    Some(track)
}

/// The box that a point means: a box it is in before one it is only near, then the smallest, then the one whose centre is
/// closest.
pub(super) fn hit(boxes: &[(TrackId, Rect)], at: Pos2, slack: f32) -> Option<(TrackId, Rect)> {
    let rank = |rect: &Rect| {
        let (cx, cy) = rect.center();
        (!rect.contains(at.x, at.y), rect.area(), at.distance(pos2(cx, cy)))
    };
    boxes
        .iter()
        .filter(|(_, rect)| {
            Rect::new(rect.x - slack, rect.y - slack, rect.w + 2.0 * slack, rect.h + 2.0 * slack).contains(at.x, at.y)
        })
        .min_by(|(_, a), (_, b)| {
            let (a, b) = (rank(a), rank(b));
            a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.total_cmp(&b.2))
        })
        .copied()
}

pub(super) fn draw_box(
    painter: &Painter,
    state: &SiteState,
    view: &TrackView,
    rect: egui::Rect,
    at: Timestamp,
    marked: bool,
) {
    let [measured_line, predicted_line, suspect_line, marked_line] = tokens::BOX_LINES;
    let measured = at.seconds_since(view.track.measured_at).abs() <= MEASURED_WITHIN;
    let found = view.suspect.and_then(|m| Some((m, widgets::suspect(state, m.suspect)?)));
    let tint = found.map_or(tokens::PERSON, |(_, SuspectView { suspect, .. })| widgets::colour(suspect.colour));
    let width = match (marked, found.is_some(), measured) {
        (true, ..) => marked_line,
        (_, true, _) => suspect_line,
        (_, _, true) => measured_line,
        _ => predicted_line,
    };
    if marked {
        painter.rect_filled(rect, 1.0, tint.gamma_multiply(0.18));
    }
    let proposed = found.is_some_and(|(_, view)| view.suspect.proposed_until.is_some());
    if (measured && !proposed) || marked {
        painter.rect_stroke(rect, 1.0, Stroke::new(width + 2.0, tokens::ON_PICTURE), StrokeKind::Middle);
        painter.rect_stroke(rect, 1.0, Stroke::new(width, tint), StrokeKind::Middle);
    } else {
        let outline = [rect.left_top(), rect.right_top(), rect.right_bottom(), rect.left_bottom(), rect.left_top()];
        painter.rect_stroke(rect, 1.0, Stroke::new(width + 1.0, tokens::ON_PICTURE), StrokeKind::Middle);
        painter.extend(Shape::dashed_line(&outline, Stroke::new(width, tint), 6.0, 5.0));
    }
    if let Some((m, SuspectView { suspect, .. })) = found {
        let words = if m.certain && proposed {
            format!("{} · proposed", suspect.label)
        } else if m.certain {
            suspect.label.clone()
        } else {
            format!("{}? {}", suspect.label, widgets::percent(m.probability))
        };
        tag(painter, rect, &words, tint);
    }
}

/// The outline of a suspect, thinner than the box, whose colour it has.
fn draw_outline(painter: &Painter, corners: Vec<Pos2>, tint: Color32) {
    let [measured_line, ..] = tokens::BOX_LINES;
    painter.add(Shape::closed_line(corners.clone(), Stroke::new(measured_line + 2.0, tokens::ON_PICTURE)));
    painter.add(Shape::closed_line(corners, Stroke::new(measured_line, tint)));
}

fn draw_weapon(painter: &Painter, weapon: &Detection, rect: egui::Rect) {
    let [.., suspect_line, _] = tokens::BOX_LINES;
    painter.rect_stroke(rect, 1.0, Stroke::new(suspect_line + 2.0, tokens::ON_PICTURE), StrokeKind::Middle);
    painter.rect_stroke(rect, 1.0, Stroke::new(suspect_line, tokens::BAD), StrokeKind::Middle);
    let name = match weapon.class {
        Class::Gun => "Gun",
        Class::Knife | Class::Person => "Knife",
    };
    tag(painter, rect, &format!("{name}? {}", widgets::percent(weapon.score)), tokens::BAD);
}

/// A label on a box: above it, or inside where there is no room above.
fn tag(painter: &Painter, rect: egui::Rect, words: &str, fill: Color32) {
    let text = widgets::text_on(fill);
    let galley = painter.layout_no_wrap(words.to_owned(), tokens::strong_font(12.0), text);
    let size = galley.size() + vec2(10.0, 4.0);
    let clip = painter.clip_rect();
    let left = (rect.left() - 1.0).min(clip.right() - size.x).max(clip.left());
    let top = if rect.top() - size.y >= clip.top() { rect.top() - size.y } else { rect.top() };
    let plate = egui::Rect::from_min_size(pos2(left, top), size);
    painter.rect_filled(plate, 3.0, fill);
    painter.galley(plate.min + vec2(5.0, 2.0), galley, text);
}

/// Covers a picture that is not live with hatching and says why.
fn veil(ui: &mut Ui, body: egui::Rect, health: &Health<'_>, now: Timestamp) {
    if matches!(health, Health::Stale { .. }) {
        let painter = ui.painter().with_clip_rect(body.intersect(ui.clip_rect()));
        let mut x = body.left() - body.height();
        while x < body.right() {
            let line = [pos2(x, body.bottom()), pos2(x + body.height(), body.top())];
            painter.line_segment(line, Stroke::new(3.0, tokens::HATCH));
            x += tokens::HATCH_STEP;
        }
    }
    let (title, tint, reason, next) = match health {
        Health::Live => return,
        Health::Connecting => ("Connecting…".to_owned(), tokens::TEXT, "", None),
        Health::Off => ("Switched off".to_owned(), tokens::TEXT_WEAK, "", None),
        Health::Stale { since, reason, retry_at } => {
            let title =
                since.map_or("No picture yet".to_owned(), |since| format!("Stale since {}", since.local_time()));
            let next = retry_at.map(|at| {
                let wait = at.seconds_since(now);
                if wait > 0.0 {
                    format!("Next attempt in {}", widgets::span(wait))
                } else {
                    "Trying again…".to_owned()
                }
            });
            (title, tokens::WARN, *reason, next)
        }
    };
    let width = (body.width() - 32.0).min(420.0);
    let lines = 1 + usize::from(!reason.is_empty()) + usize::from(next.is_some());
    let height = 26.0 + 20.0 * (lines as f32 - 1.0) + 20.0;
    let plate = egui::Rect::from_center_size(body.center(), vec2(width, height.min(body.height() - 8.0)));
    if lines > 1 {
        ui.painter().rect(plate, 6.0, tokens::PLATE, Stroke::new(1.0, tokens::LINE), StrokeKind::Inside);
    }
    let mut ui = ui.new_child(UiBuilder::new().max_rect(plate.shrink(10.0)).layout(Layout::top_down(Align::Center)));
    ui.spacing_mut().item_spacing = Vec2::new(4.0, 3.0);
    ui.label(tokens::strong(title).size(16.0).color(tint));
    if !reason.is_empty() {
        ui.add(Label::new(RichText::new(reason).size(13.0)).truncate()).on_hover_text(reason);
    }
    if let Some(next) = next {
        ui.label(tokens::small(next));
    }
}

/// `25 fps`, `1 picture each 5 s`.
fn pace(fps: f32) -> String {
    if fps > 0.0 && fps < 1.0 { format!("1 picture each {:.0} s", 1.0 / fps) } else { format!("{fps:.0} fps") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_click_means_the_smallest_box_around_it() {
        let big = (TrackId(1), Rect::new(0.0, 0.0, 100.0, 100.0));
        let small = (TrackId(2), Rect::new(40.0, 40.0, 20.0, 20.0));
        let beside = (TrackId(3), Rect::new(62.0, 40.0, 5.0, 5.0));
        let id = |x, y| hit(&[big, small, beside], pos2(x, y), 3.0).map(|(id, _)| id.0);
        assert_eq!(id(50.0, 50.0), Some(2));
        assert_eq!(id(5.0, 5.0), Some(1));
        assert_eq!(id(58.0, 45.0), Some(2), "inside one box beats near a smaller one");
        assert_eq!(id(102.0, 50.0), Some(1), "a near miss still counts");
        assert_eq!(id(120.0, 50.0), None);
    }

    #[test]
    fn tiles_lie_inside_the_area_and_apart_from_each_other() {
        let area = egui::Rect::from_min_size(pos2(10.0, 20.0), vec2(1180.0, 800.0));
        for count in 1..=25 {
            let tiles = tiles(area, count, 16.0 / 9.0);
            assert_eq!(tiles.len(), count);
            for (i, a) in tiles.iter().enumerate() {
                assert!(area.expand(1.0).contains_rect(*a), "{count}: {a:?}");
                assert!(tiles[..i].iter().all(|b| !a.intersects(*b)), "{count}");
            }
        }
    }
}
