//! Cameras on the map: where they stand and what they see, and how an administrator sets both with the mouse.
use super::{METRES_A_DEGREE, Map, Stop, ground::plate, position};
use crate::{
    model::{CameraId, FieldOfView, Timestamp},
    site::{AdminCommand, CameraEdit, CameraStatus, CameraView, Command, SiteState},
    ui::{tokens, widgets},
};
use egui::{
    Color32, CursorIcon, Mesh, Pos2, Rect, Response, RichText, Sense, Shape, Stroke, TextEdit, Ui, WidgetInfo, pos2,
    vec2,
};
use walkers::{Position, Projector, lat_lon};

/// Stays that are written under one camera.
const STAYS: usize = 4;
/// Handles are shown where they are at least so far from the camera, pixels.
const APART: f32 = 26.0;

/// What is being dragged of a camera, as it is now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Drag {
    /// Where it stands.
    Place(Position),
    /// Which way it looks, and how far.
    Way(FieldOfView),
    /// How wide it sees.
    Width(FieldOfView),
}

impl Map {
    /// What the cameras see, under everything else.
    pub(super) fn views(&self, ui: &Ui, placed: &[(&CameraView, Position)], projector: &Projector<'_>) {
        for (view, at) in placed {
            if let Some(sees) = self.sees(view) {
                sector(ui, projector, self.stands(view, *at), &sees, status(view).0);
            }
        }
    }

    /// What the camera sees, or will when it is let go.
    fn sees(&self, view: &CameraView) -> Option<FieldOfView> {
        match self.dragged {
            Some((id, Drag::Way(sees) | Drag::Width(sees))) if id == view.camera.id => Some(sees),
            _ => view.camera.field_of_view,
        }
    }

    fn stands(&self, view: &CameraView, at: Position) -> Position {
        match self.dragged {
            Some((id, Drag::Place(at))) if id == view.camera.id => at,
            _ => at,
        }
    }

    pub(super) fn camera(
        &mut self,
        ui: &mut Ui,
        view: &CameraView,
        at: Position,
        projector: &Projector<'_>,
        (now, stops): (Timestamp, &[Stop<'_>]),
    ) -> Option<Command> {
        let camera = &view.camera;
        let at = self.stands(view, at);
        let point = projector.project(at).to_pos2();
        let sense = if self.moving { Sense::click_and_drag() } else { Sense::hover() };
        let marker = Rect::from_center_size(point, vec2(26.0, 26.0));
        let response = ui.interact(marker, egui::Id::unique(("camera on the map", camera.id)), sense);
        let mut asked = None;
        if let Some(pointer) = response.interact_pointer_pos().filter(|_| response.dragged()) {
            self.dragged = Some((camera.id, Drag::Place(projector.unproject(pointer.to_vec2()))));
        }
        if response.drag_stopped()
            && let Some((_, Drag::Place(to))) = self.dragged.take()
        {
            asked = Some(place(view, to));
        }
        if self.moving {
            asked = self.handles(ui, view, at, projector).or(asked);
        }
        let (tint, words) = status(view);
        let painter = ui.painter();
        painter.circle_filled(point, 9.0, tokens::PLATE);
        painter.circle_stroke(point, 9.0, Stroke::new(if self.moving { 3.0 } else { 2.0 }, tint));
        painter.circle_filled(point, 4.0, tint);
        let kind = if camera.is_virtual { " (virtual)" } else { "" };
        let mut y = plate(ui, point + vec2(0.0, 14.0), &format!("{}{kind} · {words}", camera.name), tokens::TEXT);
        let stays: Vec<_> = stops.iter().filter(|s| s.view.sighting.camera == camera.id).collect();
        let earlier = stays.len().saturating_sub(STAYS);
        if earlier > 0 {
            y = plate(ui, pos2(point.x, y + 2.0), &format!("{earlier} earlier"), tokens::TEXT_WEAK);
        }
        for stop in stays.into_iter().skip(earlier) {
            let sure = if stop.certain() {
                String::new()
            } else {
                format!(" ? {}", widgets::percent(stop.view.sighting.probability))
            };
            let times = format!("{} · {}{sure}", stop.number, stop.times(now));
            y = plate(ui, pos2(point.x, y + 2.0), &times, if stop.certain() { tokens::TEXT } else { tokens::WARN });
        }
        if self.moving {
            response.on_hover_text("Drag it to where it stands");
        }
        asked
    }

    /// The handles that turn a camera and widen its view.
    fn handles(&mut self, ui: &mut Ui, view: &CameraView, at: Position, projector: &Projector<'_>) -> Option<Command> {
        let known = self.sees(view);
        let sees = known.unwrap_or(FieldOfView::towards(0.0));
        let centre = projector.project(at).to_pos2();
        let end = |heading: f64| projector.project(there(at, heading, sees.range)).to_pos2();
        // Where nobody said yet what it sees, the handle is beside it.
        let tip = if known.is_some() { end(sees.heading) } else { centre - vec2(0.0, 2.5 * APART) };
        let dragged = matches!(self.dragged, Some((id, Drag::Way(_) | Drag::Width(_))) if id == view.camera.id);
        if tip.distance(centre) < APART && !dragged {
            return None; // further out both would lie on the camera
        }
        let name = &view.camera.name;
        let mut asked = None;
        if known.is_none() {
            let line = Shape::dashed_line(&[centre, tip], Stroke::new(1.0, tokens::TEXT_WEAK), 4.0, 4.0);
            ui.painter().extend(line);
        }
        let front = handle(ui, view, "front", tip, known.is_some(), &format!("Which way {name} looks"));
        if let Some(to) = pulled(&front, projector) {
            let (heading, metres) = from_to(at, to);
            let range = metres.round().clamp(1.0, FieldOfView::FARTHEST);
            let sees = FieldOfView { heading: heading.round().rem_euclid(360.0), range, ..sees };
            self.dragged = Some((view.camera.id, Drag::Way(sees)));
        }
        if front.drag_stopped()
            && let Some((_, Drag::Way(sees))) = self.dragged.take()
        {
            asked = Some(change(view, |edit| {
                (edit.heading, edit.range) = (Some(sees.heading), Some(sees.range));
            }));
        }
        if known.is_some() {
            let corner = end(sees.heading + sees.angle / 2.0);
            let side = handle(ui, view, "side", corner, true, &format!("How wide {name} sees"));
            if let Some(to) = pulled(&side, projector) {
                let off = (from_to(at, to).0 - sees.heading + 180.0).rem_euclid(360.0) - 180.0;
                let angle = (2.0 * off.abs()).round().clamp(5.0, 360.0);
                self.dragged = Some((view.camera.id, Drag::Width(FieldOfView { angle, ..sees })));
            }
            if side.drag_stopped()
                && let Some((_, Drag::Width(sees))) = self.dragged.take()
            {
                asked = Some(change(view, |edit| edit.angle = Some(sees.angle)));
            }
        }
        if dragged {
            let words = format!("{:.0}° · {:.0}° wide · {:.0} m", sees.heading, sees.angle, sees.range);
            plate(ui, end(sees.heading) + vec2(0.0, 12.0), &words, tokens::TEXT);
        }
        asked
    }

    /// Which cameras are not on the map; for administrators, how to put them there.
    pub(super) fn cameras(&mut self, ui: &mut Ui, state: &SiteState, is_admin: bool) {
        let off: Vec<_> = state.cameras.iter().filter(|v| position(v).is_none()).collect();
        if !is_admin && off.is_empty() {
            return;
        }
        ui.separator();
        if is_admin {
            ui.label(tokens::strong("Cameras on the map").size(15.0));
            ui.checkbox(&mut self.moving, "Move and turn cameras by dragging");
        }
        if !off.is_empty() {
            ui.label(tokens::weak("Not on the map:"));
        }
        for view in off {
            ui.horizontal(|ui| {
                if is_admin {
                    let chosen = self.placing == Some(view.camera.id);
                    let button = egui::Button::selectable(chosen, "Place it").frame_when_inactive(true);
                    if ui.add(button).on_hover_text("Then click on the map, where it stands").clicked() {
                        self.placing = Some(view.camera.id);
                    }
                }
                ui.label(&view.camera.name);
            });
        }
        if !is_admin {
            return;
        }
        ui.horizontal(|ui| {
            let field = TextEdit::singleline(&mut self.place).hint_text("38.7139, -9.1394").desired_width(180.0);
            let field = ui.add(field);
            let entered = widgets::entered(ui, &field);
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

fn status(view: &CameraView) -> (Color32, &'static str) {
    match view.status {
        CameraStatus::Live => (tokens::GOOD, "live"),
        CameraStatus::Connecting => (tokens::WARN, "connecting"),
        CameraStatus::Stale { .. } => (tokens::BAD, "stale"),
        CameraStatus::Inactive => (tokens::TEXT_WEAK, "off"),
    }
}

/// The change that puts a camera there.
pub(super) fn place(view: &CameraView, to: Position) -> Command {
    change(view, |edit| edit.location = Some((to.y().clamp(-90.0, 90.0), to.x().clamp(-180.0, 180.0))))
}

/// A change of the version that is on the screen.
fn change(view: &CameraView, what: impl FnOnce(&mut CameraEdit)) -> Command {
    let mut edit = CameraEdit { version: Some(view.camera.version), ..CameraEdit::default() };
    what(&mut edit);
    Command::Administer(AdminCommand::EditCamera { id: view.camera.id, edit })
}

fn handle(ui: &mut Ui, view: &CameraView, which: &str, at: Pos2, filled: bool, words: &str) -> Response {
    let camera: CameraId = view.camera.id;
    let area = Rect::from_center_size(at, vec2(20.0, 20.0));
    let response = ui.interact(area, egui::Id::unique(("handle on the map", which, camera)), Sense::drag());
    response.widget_info(|| WidgetInfo::labeled(egui::Role::Slider, true, words));
    let radius = if response.hovered() || response.dragged() { 8.0 } else { 6.0 };
    ui.painter().circle(
        at,
        radius,
        if filled { tokens::FOCUS } else { tokens::PLATE },
        Stroke::new(2.0, tokens::FOCUS),
    );
    response.on_hover_cursor(CursorIcon::Grab).on_hover_text(format!("{words}: drag it"))
}

/// Where a handle is being dragged to.
fn pulled(handle: &Response, projector: &Projector<'_>) -> Option<Position> {
    let pointer = handle.interact_pointer_pos().filter(|_| handle.dragged())?;
    Some(projector.unproject(pointer.to_vec2()))
}

/// What a camera sees, brightest where it stands.
fn sector(ui: &Ui, projector: &Projector<'_>, at: Position, sees: &FieldOfView, tint: Color32) {
    let steps = (sees.angle / 5.0).ceil().clamp(2.0, 72.0) as u32;
    let arc = (0..=steps).map(|i| {
        let heading = sees.heading - sees.angle / 2.0 + sees.angle * f64::from(i) / f64::from(steps);
        projector.project(there(at, heading, sees.range)).to_pos2()
    });
    let arc: Vec<Pos2> = arc.collect();
    let centre = projector.project(at).to_pos2();
    let mut mesh = Mesh::default();
    mesh.colored_vertex(centre, tint.gamma_multiply(0.34));
    for point in &arc {
        mesh.colored_vertex(*point, tint.gamma_multiply(0.10));
    }
    (1..=steps).for_each(|i| mesh.add_triangle(0, i, i + 1));
    ui.painter().add(Shape::mesh(mesh));
    let mut outline = arc;
    if sees.angle < 360.0 {
        outline.push(centre);
    }
    ui.painter().add(Shape::closed_line(outline, Stroke::new(1.0, tint.gamma_multiply(0.55))));
}

/// The place so many metres from another one, on a plane that touches the earth there: good for what a camera sees.
fn there(from: Position, heading: f64, metres: f64) -> Position {
    let (east, north) = heading.to_radians().sin_cos();
    let narrow = from.y().to_radians().cos().max(0.01);
    let lat = from.y() + north * metres / METRES_A_DEGREE;
    lat_lon(lat, from.x() + east * metres / (METRES_A_DEGREE * narrow))
}

/// Degrees clockwise from north, `0.0..360.0`, and metres, on the same plane.
fn from_to(from: Position, to: Position) -> (f64, f64) {
    let narrow = from.y().to_radians().cos().max(0.01);
    let (east, north) = ((to.x() - from.x()) * narrow, to.y() - from.y());
    (east.atan2(north).to_degrees().rem_euclid(360.0), east.hypot(north) * METRES_A_DEGREE)
}

fn coordinates(text: &str) -> Option<Position> {
    let (lat, lon) = text.split_once([',', ' '])?;
    let (lat, lon): (f64, f64) = (lat.trim().parse().ok()?, lon.trim_matches([',', ' ']).parse().ok()?);
    ((-85.0..=85.0).contains(&lat) && (-180.0..=180.0).contains(&lon)).then(|| lat_lon(lat, lon))
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
    fn a_heading_and_a_distance_lead_there_and_back() {
        let gate = lat_lon(38.7139, -9.1394);
        for (heading, metres) in [(0.0, 25.0), (90.0, 40.0), (225.5, 3.0), (359.0, 900.0)] {
            let (back, far) = from_to(gate, there(gate, heading, metres));
            assert!((back - heading).abs() < 0.01 && (far - metres).abs() < 0.1, "{back} {far}");
        }
        assert!(there(gate, 90.0, 100.0).x() > gate.x() && there(gate, 0.0, 100.0).y() > gate.y(), "east and north");
    }
}
