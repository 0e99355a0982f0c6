//! The map: where cameras stand, how they are doing, and which way a suspect went. It has no tiles and asks nobody for any: a
//! plain grid in metres, with a scale and north.
use super::{dialog::FileDialog, tokens, widgets};
use crate::{
    evidence,
    model::{CameraId, Decision, SuspectId},
    site::{AdminCommand, CameraEdit, CameraStatus, CameraView, Command, ExportCommand, SightingView, SiteState},
};
use egui::{
    Align2, Color32, FontId, Margin, Pos2, Rect, RichText, ScrollArea, Sense, Shape, Stroke, TextEdit, Ui, pos2, vec2,
};
use std::path::PathBuf;
use walkers::{MapMemory, Position, Projector, lat_lon};

/// Seconds without sight up to which a suspect was seen walking from one camera into the next; beyond, the way is inferred.
const SEEN_THROUGH: f64 = 2.0;
/// Metres of a degree of latitude (mean, IUGG).
const METRES_A_DEGREE: f64 = 111_195.0;
/// Metres of a pixel at the equator at zoom 0 (Web Mercator, tiles of 256 pixels).
const METRES_A_PIXEL: f64 = 156_543.034;

/// What the map remembers between two repaints.
#[derive(Default)]
pub struct Map {
    memory: MapMemory,
    /// The view was moved to the cameras once.
    fitted: bool,
    suspect: Option<SuspectId>,
    /// Cameras can be dragged.
    moving: bool,
    placing: Option<CameraId>,
    /// The camera that is dragged, and where it is now.
    dragged: Option<(CameraId, Position)>,
    place: String,
    dialog: Option<FileDialog>,
    trouble: Option<String>,
}

/// One stay of the suspect, numbered in order of time.
struct Stop<'a> {
    number: usize,
    view: &'a SightingView,
    at: Option<Position>,
}

impl Stop<'_> {
    /// An operator clicked or confirmed it.
    fn certain(&self) -> bool {
        !matches!(self.view.sighting.decision, Decision::Pending)
    }

    fn left(&self) -> crate::model::Timestamp {
        self.view.sighting.left_at.unwrap_or(self.view.sighting.last_seen_at)
    }
}

impl Map {
    /// Shows the way of this suspect.
    pub fn show(&mut self, suspect: SuspectId) {
        self.suspect = Some(suspect);
    }

    /// Stops what is under way; `false` when nothing was.
    pub fn back(&mut self) -> bool {
        self.placing.take().is_some() || std::mem::take(&mut self.moving)
    }

    /// Draws the screen.
    pub fn ui(&mut self, ui: &mut Ui, state: &SiteState, is_admin: bool) -> Vec<Command> {
        let mut asked = Vec::new();
        self.suspect = self.suspect.filter(|id| widgets::suspect(state, *id).is_some());
        let stops = self.suspect.map(|id| stops(state, id)).unwrap_or_default();
        let side = egui::Frame::new().fill(tokens::PANEL).inner_margin(Margin::same(12));
        egui::Panel::right("movement").resizable(false).exact_size(tokens::SIDE_WIDTH).frame(side).show(ui, |ui| {
            ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                asked.extend(self.movement(ui, state, &stops));
                if is_admin {
                    self.cameras(ui, state);
                }
            });
        });
        egui::CentralPanel::default().frame(egui::Frame::NONE).show(ui, |ui| {
            asked.extend(self.map(ui, state, &stops));
        });
        asked
    }

    fn map(&mut self, ui: &mut Ui, state: &SiteState, stops: &[Stop<'_>]) -> Option<Command> {
        let placed: Vec<(&CameraView, Position)> =
            state.cameras.iter().filter_map(|v| Some((v, position(v)?))).collect();
        let area = ui.available_rect_before_wrap();
        if !self.fitted && !placed.is_empty() {
            self.fit(&placed, area);
        }
        let centre = self.memory.detached().unwrap_or_else(|| lat_lon(0.0, 0.0));
        let mut memory = std::mem::take(&mut self.memory);
        let shown = walkers::Map::new(None, &mut memory, centre).zoom_with_ctrl(false).double_click_to_zoom(true).show(
            ui,
            |ui, response, projector, _| {
                ui.painter().rect_filled(response.rect, 0.0, tokens::WELL);
                grid(ui, projector, response.rect, centre);
                legs(ui, state, projector, stops);
                let mut asked = None;
                for (view, at) in &placed {
                    asked = self.camera(ui, view, *at, projector, stops).or(asked.take());
                }
                if let (Some(id), Some(pointer)) = (self.placing, response.interact_pointer_pos())
                    && response.clicked()
                {
                    asked = edit(state, id, projector.unproject(pointer.to_vec2()));
                    self.placing = None;
                }
                furniture(ui, projector, response.rect, centre);
                asked
            },
        );
        self.memory = memory;
        let area = shown.response.rect;
        if let Some(id) = self.placing {
            ui.ctx().set_cursor_icon(egui::CursorIcon::Crosshair);
            let words = format!("Click where {} stands, or press Esc", widgets::camera_name(state, id));
            banner(ui, area, &words);
        } else if placed.is_empty() {
            let words = "No camera is on the map. An administrator places cameras: choose one at the right, then click here; \
                or type latitude and longitude under Administration";
            banner(ui, area, words);
        }
        shown.inner
    }

    /// Moves the view to the cameras.
    fn fit(&mut self, placed: &[(&CameraView, Position)], area: Rect) {
        let bounds = |of: fn(&Position) -> f64| {
            placed.iter().map(|(_, p)| of(p)).fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(v), b.max(v)))
        };
        let ((south, north), (west, east)) = (bounds(|p| p.y()), bounds(|p| p.x()));
        let middle = lat_lon((south + north) / 2.0, (west + east) / 2.0);
        let narrow = middle.y().to_radians().cos().max(0.01);
        let metres = |degrees: f64, pixels: f32| degrees * METRES_A_DEGREE / (f64::from(pixels).max(100.0) * 0.55);
        let a_pixel = metres(north - south, area.height()).max(metres((east - west) * narrow, area.width())).max(0.05);
        self.memory.center_at(middle);
        let _ = self.memory.set_zoom((METRES_A_PIXEL * narrow / a_pixel).log2().clamp(2.0, 22.0));
        self.fitted = true;
    }

    fn camera(
        &mut self,
        ui: &mut Ui,
        view: &CameraView,
        at: Position,
        projector: &Projector<'_>,
        stops: &[Stop<'_>],
    ) -> Option<Command> {
        let camera = &view.camera;
        let at = self.dragged.filter(|(id, _)| *id == camera.id).map_or(at, |(_, at)| at);
        let point = projector.project(at).to_pos2();
        let can_move = self.moving && !camera.configured;
        let sense = if can_move { Sense::click_and_drag() } else { Sense::hover() };
        let marker = Rect::from_center_size(point, vec2(26.0, 26.0));
        let response = ui.interact(marker, egui::Id::unique(("camera on the map", camera.id)), sense);
        let mut asked = None;
        if let Some(pointer) = response.interact_pointer_pos().filter(|_| response.dragged()) {
            self.dragged = Some((camera.id, projector.unproject(pointer.to_vec2())));
        }
        if response.drag_stopped()
            && let Some((_, to)) = self.dragged.take()
        {
            asked = Some(place(view, to));
        }
        let (tint, words) = status(view);
        let painter = ui.painter();
        painter.circle_filled(point, 9.0, tokens::PLATE);
        painter.circle_stroke(point, 9.0, Stroke::new(if can_move { 3.0 } else { 2.0 }, tint));
        painter.circle_filled(point, 4.0, tint);
        let kind = if camera.is_virtual { " (virtual)" } else { "" };
        let mut y = plate(ui, point + vec2(0.0, 14.0), &format!("{}{kind} · {words}", camera.name), tokens::TEXT);
        for stop in stops.iter().filter(|s| s.view.sighting.camera == camera.id) {
            let s = &stop.view.sighting;
            let sure = if stop.certain() { String::new() } else { format!(" ? {}", widgets::percent(s.probability)) };
            let times = format!("{} · {} – {}{sure}", stop.number, s.entered_at.local_time(), stop.left().local_time());
            y = plate(ui, pos2(point.x, y + 2.0), &times, if stop.certain() { tokens::TEXT } else { tokens::WARN });
        }
        let help = match (self.moving, camera.configured) {
            (true, true) => "Described in the configuration file: its place is changed there",
            (true, false) => "Drag it to where it stands",
            _ => "",
        };
        if !help.is_empty() {
            response.on_hover_text(help);
        }
        asked
    }

    /// The log of the suspect's movement.
    fn movement(&mut self, ui: &mut Ui, state: &SiteState, stops: &[Stop<'_>]) -> Option<Command> {
        let mut asked = None;
        ui.label(tokens::strong("Movement").size(18.0));
        let chosen = self.suspect.and_then(|id| widgets::suspect(state, id)).map(|v| v.suspect.label.as_str());
        let width = ui.available_width();
        egui::ComboBox::from_id_salt("whose way")
            .selected_text(chosen.unwrap_or("Choose a suspect"))
            .width(width)
            .show_ui(ui, |ui| {
                for view in &state.suspects {
                    ui.selectable_value(&mut self.suspect, Some(view.suspect.id), &view.suspect.label);
                }
            });
        let Some(id) = self.suspect else {
            let hint = if state.suspects.is_empty() {
                "Nobody is marked as a suspect"
            } else {
                "Its stays appear here, and its way on the map"
            };
            ui.label(tokens::weak(hint));
            return None;
        };
        if stops.is_empty() {
            ui.label(tokens::weak("Not seen yet where you may look"));
        }
        for stop in stops {
            let s = &stop.view.sighting;
            let entry = evidence::Stop::new(s, widgets::camera_name(state, s.camera), None);
            let (decision, by) = entry.decided();
            ui.horizontal_top(|ui| {
                ui.label(tokens::digits(format!("{:>2}", stop.number)));
                ui.vertical(|ui| {
                    ui.spacing_mut().item_spacing.y = 1.0;
                    let off = if stop.at.is_none() { " · not on the map" } else { "" };
                    ui.label(tokens::strong(format!("{}{off}", entry.camera_name)));
                    ui.label(tokens::digits(format!(
                        "{} – {}",
                        s.entered_at.local_date_time(),
                        stop.left().local_time()
                    )));
                    let sure = if s.decision == Decision::Origin {
                        String::new()
                    } else {
                        format!("{} · ", widgets::percent(s.probability))
                    };
                    let by = if by.is_empty() { String::new() } else { format!(" by {by}") };
                    let tint = if stop.certain() { tokens::TEXT_WEAK } else { tokens::WARN };
                    ui.label(RichText::new(format!("{sure}{decision}{by}")).size(12.0).color(tint));
                });
            });
        }
        if !stops.is_empty() {
            let save = ui.add_enabled(self.dialog.is_none(), egui::Button::new("Save as CSV…"));
            if save.on_hover_text("Writes this list to a file; recorded in the action log").clicked() {
                self.trouble = None;
                self.dialog = Some(FileDialog::save(ui.ctx(), "Tables", &["csv"], "movement.csv".to_owned()));
            }
        }
        match self.dialog.as_ref().and_then(FileDialog::answer) {
            Some(Ok(paths)) => {
                self.dialog = None;
                let saved = |to: PathBuf| Command::Export(ExportCommand::Movement { suspect: id, to });
                asked = paths.into_iter().next().map(saved);
            }
            Some(Err(why)) => {
                self.dialog = None;
                self.trouble = Some(why.to_owned());
            }
            None => {}
        }
        if let Some(trouble) = &self.trouble {
            ui.label(RichText::new(trouble).color(tokens::WARN));
        }
        ui.label(tokens::small(
            "Solid: seen from one view into the next. Dashed: inferred, nobody saw the way. A ? is a possible match",
        ));
        asked
    }

    /// Placing cameras, for administrators.
    fn cameras(&mut self, ui: &mut Ui, state: &SiteState) {
        ui.separator();
        ui.label(tokens::strong("Cameras on the map").size(15.0));
        ui.checkbox(&mut self.moving, "Move cameras by dragging");
        for view in state.cameras.iter().filter(|v| v.camera.location.is_none()) {
            ui.horizontal(|ui| {
                let place =
                    egui::Button::selectable(self.placing == Some(view.camera.id), "Place").frame_when_inactive(true);
                let configured = view.camera.configured;
                let help = "Described in the configuration file: give it a `location` there";
                if ui.add_enabled(!configured, place).on_disabled_hover_text(help).clicked() {
                    self.placing = Some(view.camera.id);
                }
                ui.label(&view.camera.name);
            });
        }
        ui.horizontal(|ui| {
            let field = TextEdit::singleline(&mut self.place).hint_text("38.7139, -9.1394").desired_width(180.0);
            let entered = ui.add(field).lost_focus() && ui.input(|i| i.key_pressed(egui::Key::Enter));
            if (ui.button("Go there").clicked() || entered)
                && let Some(at) = coordinates(&self.place)
            {
                self.memory.center_at(at);
                self.fitted = true;
            }
        });
        if !self.place.trim().is_empty() && coordinates(&self.place).is_none() {
            ui.label(
                RichText::new("Latitude and longitude in degrees, such as 38.7139, -9.1394")
                    .size(12.0)
                    .color(tokens::WARN),
            );
        }
    }
}

/// The stays of a suspect that nobody rejected, in order of time.
fn stops(state: &SiteState, suspect: SuspectId) -> Vec<Stop<'_>> {
    let rejected = |v: &&SightingView| matches!(v.sighting.decision, Decision::Rejected { .. });
    let own = state.sightings.iter().filter(|v| v.sighting.suspect == suspect && !rejected(v));
    let mut own: Vec<&SightingView> = own.collect();
    own.sort_by_key(|v| (v.sighting.entered_at, v.sighting.id));
    let at = |v: &SightingView| widgets::camera(state, v.sighting.camera).and_then(position);
    own.into_iter().zip(1..).map(|(view, number)| Stop { number, view, at: at(view) }).collect()
}

fn position(view: &CameraView) -> Option<Position> {
    view.camera.location.map(|(lat, lon)| lat_lon(lat, lon))
}

fn status(view: &CameraView) -> (Color32, &'static str) {
    match view.status {
        CameraStatus::Live => (tokens::GOOD, "live"),
        CameraStatus::Connecting => (tokens::WARN, "connecting"),
        CameraStatus::Stale { .. } => (tokens::BAD, "stale"),
        CameraStatus::Inactive => (tokens::TEXT_WEAK, "off"),
    }
}

fn edit(state: &SiteState, id: CameraId, to: Position) -> Option<Command> {
    widgets::camera(state, id).map(|view| place(view, to))
}

/// The change that puts a camera there, of the version that is on the screen.
fn place(view: &CameraView, to: Position) -> Command {
    let location = Some((to.y().clamp(-90.0, 90.0), to.x().clamp(-180.0, 180.0)));
    let edit = CameraEdit { location, version: Some(view.camera.version), ..CameraEdit::default() };
    Command::Administer(AdminCommand::EditCamera { id: view.camera.id, edit })
}

fn coordinates(text: &str) -> Option<Position> {
    let (lat, lon) = text.split_once([',', ' '])?;
    let (lat, lon): (f64, f64) = (lat.trim().parse().ok()?, lon.trim_matches([',', ' ']).parse().ok()?);
    ((-85.0..=85.0).contains(&lat) && (-180.0..=180.0).contains(&lon)).then(|| lat_lon(lat, lon))
}

/// The way from stop to stop: solid where it was seen, dashed where it is inferred.
fn legs(ui: &Ui, state: &SiteState, projector: &Projector<'_>, stops: &[Stop<'_>]) {
    let painter = ui.painter();
    for (a, b) in stops.iter().zip(stops.iter().skip(1)) {
        let (Some(from), Some(to)) = (a.at, b.at) else { continue };
        if a.view.sighting.camera == b.view.sighting.camera {
            continue;
        }
        let tint = widgets::suspect(state, a.view.sighting.suspect)
            .map_or(tokens::ACCENT, |v| widgets::colour(v.suspect.colour));
        let (from, to) = (projector.project(from).to_pos2(), projector.project(to).to_pos2());
        let direction = (to - from).normalized();
        let (from, to) = (from + direction * 12.0, to - direction * 12.0);
        let unseen = b.view.sighting.entered_at.seconds_since(a.left());
        let sure = a.certain() && b.certain();
        let stroke = Stroke::new(2.5, tint);
        if sure && unseen <= SEEN_THROUGH {
            painter.line_segment([from, to], stroke);
        } else {
            painter.extend(Shape::dashed_line(&[from, to], stroke, 9.0, 6.0));
            let why = if sure { String::new() } else { "possible match, ".to_owned() };
            let middle = from + (to - from) * 0.5;
            plate(ui, middle, &format!("{why}inferred · {} unseen", widgets::span(unseen)), tokens::TEXT_WEAK);
        }
        let tip = from + (to - from) * 0.62;
        let across = direction.rot90() * 6.0;
        let head = vec![tip + direction * 10.0, tip + across, tip - across];
        painter.add(Shape::convex_polygon(head, tint, Stroke::NONE));
    }
}

/// Words on a dark plate, centred under a point; returns where the plate ends.
fn plate(ui: &Ui, top: Pos2, words: &str, tint: Color32) -> f32 {
    let painter = ui.painter();
    let galley = painter.layout_no_wrap(words.to_owned(), FontId::proportional(12.5), tint);
    let rect = Rect::from_min_size(top - vec2(galley.size().x / 2.0 + 5.0, 0.0), galley.size() + vec2(10.0, 4.0));
    painter.rect_filled(rect, 4.0, tokens::PLATE);
    painter.galley(rect.min + vec2(5.0, 2.0), galley, tint);
    rect.bottom()
}

fn banner(ui: &Ui, area: Rect, words: &str) {
    let painter = ui.painter();
    let galley =
        painter.layout(words.to_owned(), FontId::proportional(14.0), tokens::TEXT, (area.width() - 80.0).min(560.0));
    let rect = Rect::from_center_size(pos2(area.center().x, area.top() + 44.0), galley.size() + vec2(28.0, 18.0));
    painter.rect(rect, 6.0, tokens::RAISED, Stroke::new(1.0, tokens::LINE_STRONG), egui::StrokeKind::Inside);
    painter.galley(rect.min + vec2(14.0, 9.0), galley, tokens::TEXT);
}

/// Metres between two lines of the grid: 1, 2 or 5 times a power of ten, at least 70 pixels.
fn step(pixels_a_metre: f32) -> f64 {
    let least = 70.0 / f64::from(pixels_a_metre.max(1e-9));
    let power = 10_f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|n| n * power).find(|s| *s >= least).unwrap_or(10.0 * power)
}

fn grid(ui: &Ui, projector: &Projector<'_>, area: Rect, anchor: Position) {
    let pixels_a_metre = projector.scale_pixel_per_meter(anchor);
    let gap = (step(pixels_a_metre) * f64::from(pixels_a_metre)) as f32;
    // The lines go through a fixed place, so that they move with the map.
    let fixed = projector.project(lat_lon(anchor.y().round(), anchor.x().round()));
    let stroke = Stroke::new(1.0, tokens::RAISED);
    let first = |fixed: f32, start: f32| start + (fixed - start).rem_euclid(gap);
    let mut x = first(fixed.x, area.left());
    while x < area.right() && gap > 8.0 {
        ui.painter().vline(x, area.y_range(), stroke);
        x += gap;
    }
    let mut y = first(fixed.y, area.top());
    while y < area.bottom() && gap > 8.0 {
        ui.painter().hline(area.x_range(), y, stroke);
        y += gap;
    }
}

/// Scale and north.
fn furniture(ui: &Ui, projector: &Projector<'_>, area: Rect, at: Position) {
    let painter = ui.painter();
    let pixels_a_metre = projector.scale_pixel_per_meter(at);
    let metres = step(pixels_a_metre);
    let length = (metres * f64::from(pixels_a_metre)) as f32;
    let left = area.left_bottom() + vec2(18.0, -20.0);
    let stroke = Stroke::new(2.0, tokens::TEXT);
    painter.line_segment([left, left + vec2(length, 0.0)], stroke);
    for end in [left, left + vec2(length, 0.0)] {
        painter.line_segment([end - vec2(0.0, 5.0), end + vec2(0.0, 5.0)], stroke);
    }
    let words = if metres >= 1000.0 { format!("{} km", metres / 1000.0) } else { format!("{metres} m") };
    painter.text(
        left + vec2(length / 2.0, -6.0),
        Align2::CENTER_BOTTOM,
        words,
        FontId::proportional(12.5),
        tokens::TEXT,
    );
    let north = area.right_top() + vec2(-30.0, 30.0);
    let arrow = vec![north + vec2(0.0, -16.0), north + vec2(8.0, 8.0), north + vec2(0.0, 3.0), north + vec2(-8.0, 8.0)];
    painter.add(Shape::Path(egui::epaint::PathShape::closed_line(arrow, Stroke::new(1.5, tokens::TEXT))));
    painter.text(north + vec2(0.0, 10.0), Align2::CENTER_TOP, "N", tokens::strong_font(13.0), tokens::TEXT);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_nonsense_is_not() {
        for text in ["38.7139, -9.1394", "38.7139,-9.1394", "38.7139 -9.1394"] {
            let at = coordinates(text).unwrap();
            assert_eq!((at.y(), at.x()), (38.7139, -9.1394));
        }
        for text in ["", "38", "91, 0", "a, b", "1, 2, 3"] {
            assert!(coordinates(text).is_none(), "{text}");
        }
    }

    #[test]
    fn the_grid_has_round_steps_that_can_be_seen() {
        for (pixels_a_metre, metres) in [(1.0, 100.0), (10.0, 10.0), (100.0, 1.0), (0.03, 5000.0)] {
            assert!((step(pixels_a_metre) - metres).abs() < 1e-6, "{} at {pixels_a_metre}", step(pixels_a_metre));
        }
    }
}
