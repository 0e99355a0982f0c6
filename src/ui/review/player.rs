//! The player: cameras on one instant, the keys and buttons that move it, and the timeline under it.
use super::timeline::TimelineView;
use crate::model::{CameraId, Rect, Timestamp, TrackId};
use crate::site::{ChannelView, Clicked, Command, ExportCommand, ExportOf, ReviewCommand, SiteState};
use crate::ui::commands::UiCommand;
use crate::ui::wall;
use crate::ui::yuv::{self, Look};
use crate::ui::{bookmark, modal, tokens, widgets};
use crate::video::{Frame, What};
use egui::{
    Align, Align2, CornerRadius, FontId, Layout, RichText, Sense, Stroke, StrokeKind, TextEdit, Ui, UiBuilder, vec2,
};
use std::collections::HashMap;
use std::time::Duration;

/// The speeds of the row of buttons.
const RATES: [f64; 7] = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0];
/// Height of the timeline with its controls, points.
const BELOW: f32 = 268.0;
/// A jump by the keys with Shift, seconds.
const JUMP: f64 = 10.0;
/// What is opened where nothing else is said: so long before now, seconds.
const BEFORE_NOW: u64 = 60;

/// What the player remembers between two repaints.
#[derive(Default)]
pub struct PlayerView {
    timeline: TimelineView,
    /// Cameras chosen for the next opening.
    chosen: Vec<CameraId>,
    /// The camera whose frames are stepped by.
    active: Option<CameraId>,
    typed: String,
    wrong: bool,
    seen: HashMap<CameraId, Seen>,
    /// A bookmark that was asked for.
    bookmark: Option<bookmark::Form>,
    /// Leaving was asked for.
    leaving: bool,
    /// What was watched when the screen was left, and where.
    left: Option<(Vec<CameraId>, Timestamp)>,
}

/// What a tile showed last: a click is meant for that.
struct Seen {
    frame: Frame,
    boxes: Vec<(TrackId, Rect)>,
}

impl PlayerView {
    /// Ends the watching when the screen is left.
    pub fn leave(&mut self, state: &SiteState) -> Option<Command> {
        let open = !state.review.channels.is_empty();
        let leave = open && !self.leaving;
        self.leaving = open;
        if leave {
            self.left = Some((state.review.channels.iter().map(|c| c.camera).collect(), state.review.at));
        }
        leave.then_some(Command::Review(ReviewCommand::Close))
    }

    /// A replay was asked for from the wall.
    pub fn replayed(&mut self) {
        self.leaving = true; // nothing of the old is to be closed while the new one opens
    }

    /// Does what a key of the player asks for; `false` when it is none of its own.
    pub fn run(&mut self, state: &SiteState, command: UiCommand, position: usize, asked: &mut Vec<Command>) -> bool {
        let review = &state.review;
        let rate = review.rate;
        let jump = |seconds: f64| ReviewCommand::Seek {
            to: Timestamp(review.at.0.saturating_add((seconds * 1e6) as i64)),
            scrubbing: false,
        };
        let step = |by| self.active.map(|active| ReviewCommand::Step(active, by));
        let wanted = match command {
            UiCommand::PlayPause => Some(ReviewCommand::Play(if rate == 0.0 { 1.0 } else { 0.0 })),
            UiCommand::PlayForward => Some(ReviewCommand::Play(if rate > 0.0 { (rate * 2.0).min(16.0) } else { 1.0 })),
            UiCommand::PlayBackward => {
                Some(ReviewCommand::Play(if rate < 0.0 { (rate * 2.0).max(-16.0) } else { -1.0 }))
            }
            UiCommand::Stand => Some(ReviewCommand::Play(0.0)),
            UiCommand::StepOn => step(1),
            UiCommand::StepBack => step(-1),
            UiCommand::JumpOn => Some(jump(JUMP)),
            UiCommand::JumpBack => Some(jump(-JUMP)),
            UiCommand::MarkIn => {
                self.timeline.mark_in(review.at);
                None
            }
            UiCommand::MarkOut => {
                self.timeline.mark_out(review.at);
                None
            }
            UiCommand::PutBookmark => {
                self.put_bookmark(state);
                None
            }
            UiCommand::ShowCamera => {
                if let Some(view) = state.cameras.get(position) {
                    let id = view.camera.id;
                    let alone = review.channels.len() == 1 && review.channels.iter().all(|c| c.camera == id);
                    let cameras = if alone { self.chosen.clone() } else { vec![id] };
                    self.open(state, cameras, self.instant(state), asked);
                }
                None
            }
            _ => return false,
        };
        let watched = !review.channels.is_empty();
        asked.extend(wanted.filter(|_| watched).map(Command::Review));
        true
    }

    /// Asks for words about the marked stretch, else about the frame that is shown.
    fn put_bookmark(&mut self, state: &SiteState) {
        let shown = state.review.channels.iter().find(|c| Some(c.camera) == self.active);
        let Some(shown) = shown.or(state.review.channels.first()) else { return };
        let at = shown.frame.as_ref().map_or(state.review.at, Frame::captured_at);
        let (from, until) = self.timeline.stretch().unwrap_or((at, at));
        self.bookmark = Some(bookmark::Form::new(shown.camera, from, until));
    }

    /// The bookmark that was just asked for.
    pub fn take_bookmark(&mut self) -> Option<bookmark::Form> {
        self.bookmark.take()
    }

    /// Goes to an instant of a camera (`None`: of those that are watched), and marks the stretch from there.
    pub fn go_to(
        &mut self,
        state: &SiteState,
        camera: Option<CameraId>,
        at: Timestamp,
        until: Timestamp,
        asked: &mut Vec<Command>,
    ) {
        let mut shown = state.review.channels.iter().map(|c| c.camera);
        let there = camera.map_or(shown.len() > 0, |id| shown.any(|c| c == id));
        if there {
            asked.push(Command::Review(ReviewCommand::Seek { to: at, scrubbing: false }));
        } else {
            if self.chosen.is_empty() {
                self.chosen = state.cameras.iter().take(4).map(|v| v.camera.id).collect();
            }
            let cameras = camera.map_or_else(|| self.chosen.clone(), |id| vec![id]);
            self.open(state, cameras, at, asked);
        }
        if until > at {
            self.timeline.mark_in(at);
            self.timeline.mark_out(until);
        }
        self.timeline.show(at);
    }

    /// The instant that is watched, else the one that was watched last.
    fn instant(&self, state: &SiteState) -> Timestamp {
        match &self.left {
            _ if !state.review.channels.is_empty() => state.review.at,
            Some((_, at)) => *at,
            None => state.now.minus(Duration::from_secs(BEFORE_NOW)),
        }
    }

    /// The screen is shown again: what was watched when it was left is opened there once more.
    pub fn come_back(&mut self, state: &SiteState, asked: &mut Vec<Command>) {
        if state.review.channels.is_empty()
            && let Some((cameras, at)) = self.left.clone()
        {
            self.timeline.show(at);
            self.open(state, cameras, at, asked);
        }
    }

    fn open(&mut self, state: &SiteState, cameras: Vec<CameraId>, at: Timestamp, asked: &mut Vec<Command>) {
        self.active = cameras.first().copied();
        if !cameras.is_empty() {
            let playing = state.review.rate;
            asked.push(Command::Review(ReviewCommand::Open { cameras, at }));
            if playing != 0.0 {
                asked.push(Command::Review(ReviewCommand::Play(playing)));
            }
        }
    }

    /// Draws the player; `largest` is the largest side of a picture that can be shown, `open` the person whose card is open.
    /// Returns the person that was clicked.
    pub fn ui(
        &mut self,
        ui: &mut Ui,
        state: &SiteState,
        largest: Option<u32>,
        open: Option<(CameraId, TrackId)>,
        asked: &mut Vec<Command>,
    ) -> Option<Clicked> {
        self.leaving = false;
        let review = &state.review;
        if !review.channels.iter().any(|c| Some(c.camera) == self.active) {
            self.active = review.channels.first().map(|c| c.camera);
        }
        self.chosen.retain(|id| widgets::camera(state, *id).is_some());
        if self.chosen.is_empty() {
            self.chosen = state.cameras.iter().take(4).map(|v| v.camera.id).collect();
        }
        let area = ui.available_rect_before_wrap();
        let (top, rest) = area.split_top_bottom_at_y(area.top() + 40.0);
        let (pictures, below) = rest.split_top_bottom_at_y(rest.bottom() - BELOW.min(rest.height() * 0.5));
        ui.advance_cursor_after_rect(area);
        let mut bar = ui.new_child(UiBuilder::new().max_rect(top).layout(Layout::left_to_right(Align::Center)));
        self.chooser(&mut bar, state, asked);
        let clicked = self.pictures(ui, state, pictures, largest, open);
        let mut lower = ui.new_child(UiBuilder::new().max_rect(below).layout(Layout::top_down(Align::Min)));
        self.transport(&mut lower, state, asked);
        let active = review.channels.iter().map(|c| c.camera).collect::<Vec<_>>();
        let at = (!review.channels.is_empty()).then_some(review.at);
        if let Some(to) = self.timeline.ui(&mut lower, state, at, &active, asked) {
            if review.channels.is_empty() {
                self.open(state, self.chosen.clone(), to.at, asked);
            } else {
                asked.push(Command::Review(ReviewCommand::Seek { to: to.at, scrubbing: to.scrubbing }));
            }
        }
        clicked
    }

    /// Which cameras, and which instant.
    fn chooser(&mut self, ui: &mut Ui, state: &SiteState, asked: &mut Vec<Command>) {
        let shown: Vec<CameraId> = state.review.channels.iter().map(|c| c.camera).collect();
        let names = match &self.chosen[..] {
            [one] => widgets::camera_name(state, *one).to_owned(),
            all => format!("{} cameras", all.len()),
        };
        modal::switches(ui, format!("{names} ⏷"), |ui| {
            ui.set_min_width(220.0);
            for view in &state.cameras {
                let id = view.camera.id;
                let mut on = self.chosen.contains(&id);
                let full = !on && self.chosen.len() >= crate::site::MOST_CAMERAS;
                if ui.add_enabled(!full, egui::Checkbox::new(&mut on, &view.camera.name)).changed() {
                    if on {
                        self.chosen.push(id);
                    } else {
                        self.chosen.retain(|c| *c != id);
                    }
                    let order = |c: &CameraId| state.cameras.iter().position(|v| v.camera.id == *c);
                    self.chosen.sort_by_key(order);
                }
            }
        })
        .on_hover_text("Cameras watched together, at most nine");
        let field = TextEdit::singleline(&mut self.typed)
            .id(egui::Id::unique("instant of the player"))
            .hint_text("2026-11-22 14:03:22")
            .text_color(if self.wrong { tokens::BAD } else { tokens::TEXT })
            .desired_width(170.0);
        let response = ui.add(field).on_hover_text("Date and time, in the zone of this machine");
        self.wrong &= !response.changed();
        let entered = widgets::entered(ui, &response);
        let words = if shown == self.chosen { "Go there" } else { "Watch" };
        let go = ui
            .add(widgets::primary(words))
            .on_hover_text("Opens the chosen cameras at this time. It is recorded who watches what");
        if go.clicked() || entered {
            let at = if self.typed.trim().is_empty() {
                Some(self.instant(state))
            } else {
                Timestamp::parse_local(&self.typed)
            };
            self.wrong = at.is_none();
            if let Some(to) = at {
                if shown == self.chosen {
                    asked.push(Command::Review(ReviewCommand::Seek { to, scrubbing: false }));
                } else {
                    self.open(state, self.chosen.clone(), to, asked);
                }
            }
        }
        if self.wrong {
            ui.label(RichText::new("Write a date and a time, such as 2026-11-22 14:03:22").color(tokens::BAD));
        }
        if !shown.is_empty() {
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if ui.button("Back to live").on_hover_text("Shows the wall (F3 or Esc)").clicked() {
                    asked.push(Command::Review(ReviewCommand::Close));
                    self.timeline.leave = true;
                }
            });
        }
    }

    /// Whether the operator asked for the wall.
    pub fn wants_wall(&mut self) -> bool {
        std::mem::take(&mut self.timeline.leave)
    }

    fn pictures(
        &mut self,
        ui: &mut Ui,
        state: &SiteState,
        area: egui::Rect,
        largest: Option<u32>,
        open: Option<(CameraId, TrackId)>,
    ) -> Option<Clicked> {
        let channels = &state.review.channels;
        self.seen.retain(|id, _| channels.iter().any(|c| c.camera == *id));
        if channels.is_empty() {
            let mut ui = ui.new_child(UiBuilder::new().max_rect(area));
            widgets::empty(
                &mut ui,
                "Nothing is being watched",
                "Choose cameras and a time above, or click into the timeline below",
            );
            return None;
        }
        let aspects: Vec<f32> =
            channels.iter().filter_map(|c| c.frame.as_ref()).map(|f| f.width() as f32 / f.height() as f32).collect();
        let aspect = if aspects.is_empty() { 16.0 / 9.0 } else { aspects.iter().sum::<f32>() / aspects.len() as f32 };
        let tiles = wall::tiles(area.shrink(4.0), channels.len(), aspect.clamp(1.0, 2.0));
        let mut clicked = None;
        for (channel, rect) in channels.iter().zip(tiles) {
            let open = open.filter(|(camera, _)| *camera == channel.camera).map(|(_, track)| track);
            let tile = self.tile(ui, state, channel, rect, largest, open);
            clicked = clicked.or(tile);
        }
        clicked
    }

    fn tile(
        &mut self,
        ui: &mut Ui,
        state: &SiteState,
        channel: &ChannelView,
        rect: egui::Rect,
        largest: Option<u32>,
        open: Option<TrackId>,
    ) -> Option<Clicked> {
        let id = channel.camera;
        let name = widgets::camera_name(state, id);
        let tint = if self.active == Some(id) { tokens::ACCENT } else { tokens::LINE };
        ui.painter().rect_stroke(rect, tokens::RADIUS, Stroke::new(1.0, tint), StrokeKind::Outside);
        let (header, body) = rect.split_top_bottom_at_y(rect.top() + tokens::HEADER_HEIGHT);
        let top = CornerRadius { nw: tokens::RADIUS, ne: tokens::RADIUS, ..CornerRadius::ZERO };
        ui.painter().rect_filled(header, top, tokens::PANEL);
        let inner = header.shrink2(vec2(10.0, 0.0));
        let mut bar = ui.new_child(UiBuilder::new().max_rect(inner).layout(Layout::right_to_left(Align::Center)));
        bar.shrink_clip_rect(inner);
        bar.spacing_mut().interact_size.y = 18.0;
        if let Some(frame) = &channel.frame {
            let at = frame.captured_at();
            bar.label(
                tokens::digits(format!("{}.{:03}", at.local_date_time(), at.0.rem_euclid(1_000_000) / 1000))
                    .color(tokens::TEXT),
            );
        }
        bar.with_layout(Layout::left_to_right(Align::Center), |ui| {
            widgets::chip(ui, "recorded", tokens::WARN).on_hover_text("A recording, not the live picture");
            ui.add(egui::Label::new(tokens::strong(name)).truncate());
        });
        let response = ui.interact(body, ui.scope_id().with(("recorded picture", id)), Sense::CLICK);
        response
            .widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, format!("Recorded picture of {name}")));
        if response.clicked() {
            self.active = Some(id);
        }
        let clicked = response.clicked().then(|| response.interact_pointer_pos()).flatten().and_then(|at| {
            let seen = self.seen.get(&id)?;
            let at = wall::to_frame(at, body, &seen.frame)?;
            let (track, rect) = wall::hit(&seen.boxes, at, wall::slack(body, &seen.frame))?;
            Some(Clicked { camera: id, track, frame: seen.frame.clone(), rect })
        });
        let Some(frame) =
            channel.frame.as_ref().filter(|f| largest.is_some_and(|side| f.width().max(f.height()) <= side))
        else {
            ui.painter().rect_filled(body, 0.0, tokens::WELL);
            self.seen.remove(&id);
            nothing(ui, body, channel, largest.is_some());
            return None;
        };
        let picture = wall::fitted(body, frame);
        for bar in wall::around(body, picture) {
            ui.painter().rect_filled(bar, 0.0, tokens::WELL);
        }
        ui.painter().add(yuv::shape(picture, id, frame.clone(), Look::LIVE, ui.ctx().cumulative_pass_nr()));
        let boxes: Vec<_> = channel
            .tracks
            .iter()
            .filter_map(|t| Some((t, t.track.rect.clamped(frame.width() as f32, frame.height() as f32)?)))
            .collect();
        let plain: Vec<_> = boxes.iter().map(|(t, rect)| (t.track.id, *rect)).collect();
        let hovered = wall::hovered(ui, &response, &plain, body, frame);
        let painter = ui.painter().with_clip_rect(picture.intersect(ui.clip_rect()));
        for (track, rect) in &boxes {
            let marked = Some(track.track.id) == hovered || Some(track.track.id) == open;
            wall::draw_box(&painter, state, track, wall::to_screen(*rect, picture, frame), frame.captured_at(), marked);
        }
        let note = match channel.what {
            What::Preview => Some(("preview", tokens::WARN)),
            _ if channel.looking => Some(("looking for people…", tokens::TEXT)),
            _ => None,
        };
        if let Some((words, tint)) = note {
            let corner = picture.right_top() + vec2(-8.0, 8.0);
            painter.text(corner, Align2::RIGHT_TOP, words, FontId::proportional(12.0), tint);
        }
        self.seen.insert(id, Seen { frame: frame.clone(), boxes: plain });
        clicked
    }

    fn transport(&mut self, ui: &mut Ui, state: &SiteState, asked: &mut Vec<Command>) {
        let review = &state.review;
        let on = !review.channels.is_empty();
        ui.horizontal(|ui| {
            ui.add_space(8.0);
            ui.spacing_mut().item_spacing.x = 4.0;
            let button = |ui: &mut Ui, text: &str, help: &str, selected: bool| {
                let button =
                    egui::Button::selectable(selected, text).frame_when_inactive(true).min_size(vec2(34.0, 28.0));
                ui.add_enabled(on, button).on_hover_text(help).clicked()
            };
            let play = |rate: f64| Command::Review(ReviewCommand::Play(rate));
            if let Some(active) = self.active
                && button(ui, "◀|", &UiCommand::StepBack.help(), false)
            {
                asked.push(Command::Review(ReviewCommand::Step(active, -1)));
            }
            if button(ui, "◀", &UiCommand::PlayBackward.help(), review.rate < 0.0) {
                asked.push(play(if review.rate < 0.0 { (review.rate * 2.0).max(-16.0) } else { -1.0 }));
            }
            if review.rate == 0.0 {
                if button(ui, "▶ Play", &UiCommand::PlayPause.help(), false) {
                    asked.push(play(1.0));
                }
            } else if button(ui, "⏸ Pause", &UiCommand::PlayPause.help(), false) {
                asked.push(play(0.0));
            }
            if let Some(active) = self.active
                && button(ui, "|▶", &UiCommand::StepOn.help(), false)
            {
                asked.push(Command::Review(ReviewCommand::Step(active, 1)));
            }
            ui.add_space(10.0);
            for rate in RATES {
                let name = match rate {
                    0.25 => "¼×".to_owned(),
                    0.5 => "½×".to_owned(),
                    _ => format!("{rate:.0}×"),
                };
                if button(ui, &name, "Plays at this speed", review.rate == rate) {
                    asked.push(play(rate));
                }
            }
            ui.add_space(10.0);
            if button(ui, "In", &UiCommand::MarkIn.help(), false) {
                self.timeline.mark_in(review.at);
            }
            if button(ui, "Out", &UiCommand::MarkOut.help(), false) {
                self.timeline.mark_out(review.at);
            }
            if let Some((from, until)) = self.timeline.stretch() {
                let help = "Hands out the marked stretch of the cameras shown, as a signed package";
                if button(ui, "Save clip…", help, false) {
                    let cameras = review.channels.iter().map(|c| c.camera).collect();
                    let of = ExportOf::Stretch { cameras, from, until };
                    asked.push(Command::Export(ExportCommand::Plan { of, pending: false }));
                }
            }
            if button(ui, "Bookmark…", &UiCommand::PutBookmark.help(), false) {
                self.put_bookmark(state);
            }
            ui.add_space(10.0);
            if on {
                let words = format!("{}.{:03}", review.at.local_date_time(), review.at.0.rem_euclid(1_000_000) / 1000);
                ui.label(tokens::digits(words).size(15.0).color(tokens::TEXT));
            }
            if let Some(length) = self.timeline.marked() {
                ui.label(tokens::weak(format!("marked {}", widgets::span(length))));
            }
        });
    }
}

/// Why there is no picture.
fn nothing(ui: &Ui, body: egui::Rect, channel: &ChannelView, can_draw: bool) {
    let (title, tint, reason) = match &channel.what {
        _ if !can_draw => ("No graphics device", tokens::WARN, None),
        What::Nothing => (
            "No video of this time",
            tokens::WARN,
            Some(channel.gap.clone().unwrap_or_else(|| "It was not recorded, or not kept".to_owned())),
        ),
        What::Trouble(why) => ("This video cannot be played", tokens::BAD, Some(why.clone())),
        What::Loading | What::Preview | What::Exact => ("Loading…", tokens::TEXT_WEAK, None),
    };
    let painter = ui.painter().with_clip_rect(body.intersect(ui.clip_rect()));
    if channel.what == What::Nothing {
        let mut x = body.left() - body.height();
        while x < body.right() {
            let line = [egui::pos2(x, body.bottom()), egui::pos2(x + body.height(), body.top())];
            painter.line_segment(line, Stroke::new(3.0, tokens::HATCH));
            x += tokens::HATCH_STEP;
        }
    }
    let width = body.width() - 24.0;
    let mut lines = vec![(title.to_owned(), 16.0, tint)];
    lines.extend(reason.map(|r| (r, 13.0, tokens::TEXT)));
    lines.extend(channel.next.map(|t| (format!("Video again from {}", t.local_date_time()), 12.5, tokens::TEXT_WEAK)));
    let galleys: Vec<_> = lines
        .into_iter()
        .map(|(text, size, tint)| painter.layout(text, FontId::proportional(size), tint, width))
        .collect();
    let height: f32 = galleys.iter().map(|g| g.size().y + 4.0).sum();
    let mut y = body.center().y - height / 2.0;
    for galley in galleys {
        let size = galley.size();
        painter.galley(egui::pos2(body.center().x - size.x / 2.0, y), galley, tokens::TEXT);
        y += size.y + 4.0;
    }
}
