//! Small parts that several screens share.
use super::tokens;
use crate::model::{CameraId, Picture, Suspect, SuspectId};
use crate::site::{CameraView, SiteState, SuspectView};
use egui::{
    Align2, Color32, CornerRadius, FontId, Frame, Margin, Response, Sense, Stroke, StrokeKind, TextureHandle, Ui, Vec2,
    vec2,
};
use std::collections::HashMap;

/// `83 %`. A match that nobody confirmed is never shown as certain.
pub fn percent(probability: f32) -> String {
    format!("{} %", ((probability * 100.0).round() as i32).clamp(0, 99))
}

/// `41 s`, `12 min`, `5 h 3 min`, `2 d 4 h`; 0 for the past.
pub fn span(seconds: f64) -> String {
    let s = seconds.max(0.0).ceil() as u64;
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min", s.div_ceil(60)),
        3600..86_400 => format!("{} h {} min", s / 3600, s % 3600 / 60),
        _ => format!("{} d {} h", s / 86_400, s % 86_400 / 3600),
    }
}

/// `1 stay`, `2 stays`.
pub fn count(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// An sRGB colour of the model.
pub fn colour([r, g, b]: [u8; 3]) -> Color32 {
    Color32::from_rgb(r, g, b)
}

/// Black or white, whichever reads better on `fill` (relative luminance, WCAG 2).
pub fn text_on(fill: Color32) -> Color32 {
    let rgba = egui::Rgba::from(fill);
    let luminance = 0.2126 * rgba.r() + 0.7152 * rgba.g() + 0.0722 * rgba.b();
    if luminance > 0.18 { Color32::BLACK } else { Color32::WHITE }
}

/// The name of a camera, or words when it is gone, or none of this user's.
pub fn camera_name(state: &SiteState, id: CameraId) -> &str {
    if id.is_nil() {
        return "A camera that you may not see";
    }
    camera(state, id).map_or("Removed camera", |view| view.camera.name.as_str())
}

/// The camera of this id.
pub fn camera(state: &SiteState, id: CameraId) -> Option<&CameraView> {
    state.cameras.iter().find(|view| view.camera.id == id)
}

/// The suspect of this id.
pub fn suspect(state: &SiteState, id: SuspectId) -> Option<&SuspectView> {
    state.suspects.iter().find(|view| view.suspect.id == id).map(|view| &**view)
}

/// The button for what to do next.
pub fn primary(text: impl Into<String>) -> egui::Button<'static> {
    filled(text, tokens::ACCENT_FILL)
}

/// A button that ends something.
pub fn danger(text: impl Into<String>) -> egui::Button<'static> {
    filled(text, tokens::BAD_FILL)
}

fn filled(text: impl Into<String>, fill: Color32) -> egui::Button<'static> {
    egui::Button::new(tokens::strong(text).color(Color32::WHITE))
        .fill(fill)
        .stroke(Stroke::new(1.0, fill.gamma_multiply(1.6)))
}

/// Whether Enter was pressed in this text field.
pub fn entered(ui: &Ui, field: &Response) -> bool {
    field.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter))
}

/// What is wrong with a field, or missing in it, beside it.
pub fn fault(ui: &mut Ui, words: Option<&str>) {
    if let Some(words) = words {
        ui.add_space(-4.0);
        ui.add(egui::Label::new(egui::RichText::new(words).size(12.5).color(tokens::WARN)).wrap());
    }
}

/// A text field under its label, in a form called `scope`; `entered` becomes true when Enter was pressed in it. What is secret has a
/// field of its own: [`super::secret::Secret`].
pub fn field(ui: &mut Ui, scope: &str, label: &str, hint: &str, text: &mut String, entered: &mut bool) -> Response {
    let label_response = ui.label(tokens::strong(label).size(13.0));
    ui.add_space(-4.0);
    let response = ui
        .add(
            egui::TextEdit::singleline(text)
                .id(egui::Id::unique((scope, label)))
                .char_limit(256)
                .hint_text(hint.to_owned())
                .margin(Margin::symmetric(10, 8))
                .desired_width(f32::INFINITY),
        )
        .labelled_by(label_response.id);
    *entered |= self::entered(ui, &response);
    response
}

/// How a password and its repetition are doing while they are typed: a colour and a few words.
pub fn password_hint(password: &str, again: &str) -> (Color32, String) {
    const LENGTH: usize = super::access::PASSWORD_LENGTH;
    let count = password.chars().count();
    if count == 0 {
        (tokens::TEXT_WEAK, String::new())
    } else if count < LENGTH {
        (tokens::WARN, format!("{count} of {LENGTH} characters"))
    } else if again.is_empty() {
        (tokens::GOOD, format!("Long enough: {count} characters"))
    } else if again == password {
        (tokens::GOOD, "Both passwords match".to_owned())
    } else {
        (tokens::WARN, "The passwords differ".to_owned())
    }
}

/// A few words that must not be overlooked, in a tinted frame.
pub fn note(ui: &mut Ui, tint: Color32, text: &str) {
    Frame::new()
        .fill(tint.gamma_multiply(0.12))
        .stroke(Stroke::new(1.0, tint.gamma_multiply(0.6)))
        .corner_radius(tokens::RADIUS_SMALL)
        .inner_margin(Margin::symmetric(10, 7))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.label(egui::RichText::new(text).color(tint));
        });
}

/// A card on a panel.
pub fn card(selected: bool) -> Frame {
    let stroke = if selected { Stroke::new(1.5, tokens::ACCENT) } else { Stroke::new(1.0, tokens::LINE) };
    Frame::new()
        .fill(tokens::RAISED)
        .stroke(stroke)
        .corner_radius(CornerRadius::same(tokens::RADIUS))
        .inner_margin(Margin::same(12))
}

/// A dashed outline: proposed, not decided.
pub fn dashed(ui: &Ui, rect: egui::Rect, tint: Color32) {
    let outline = [rect.left_top(), rect.right_top(), rect.right_bottom(), rect.left_bottom(), rect.left_top()];
    ui.painter().extend(egui::Shape::dashed_line(&outline, Stroke::new(1.5, tint), 6.0, 5.0));
}

/// A coloured dot.
pub fn dot(ui: &mut Ui, colour: Color32) -> Response {
    let (rect, response) = ui.allocate_exact_size(vec2(9.0, ui.spacing().interact_size.y.min(18.0)), Sense::hover());
    ui.painter().circle_filled(rect.center(), 4.0, colour);
    response
}

/// A suspect's colour.
pub fn swatch(ui: &mut Ui, suspect: &Suspect) {
    let (rect, _) = ui.allocate_exact_size(vec2(12.0, 18.0), Sense::hover());
    let square = egui::Rect::from_center_size(rect.center(), Vec2::splat(12.0));
    ui.painter().rect_filled(square, 3.0, colour(suspect.colour));
}

/// The head of a suspect's card: the picture, and at its right the name with its colour, with what `beside` adds to that line, over what `below`
/// tells.
pub fn suspect_head(
    ui: &mut Ui,
    view: &SuspectView,
    pictures: &mut Pictures,
    size: Vec2,
    beside: impl FnOnce(&mut Ui),
    below: impl FnOnce(&mut Ui),
) {
    ui.horizontal_top(|ui| {
        pictures.show(ui, view.crop.as_ref(), size, "The suspect when marked");
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 4.0;
            ui.horizontal(|ui| {
                swatch(ui, &view.suspect);
                ui.label(tokens::strong(&view.suspect.label).size(15.0));
                if view.suspect.proposed_until.is_some() {
                    chip(ui, "proposed", tokens::WARN);
                }
                beside(ui);
            });
            below(ui);
        });
    });
}

/// A few words in a tinted capsule.
pub fn chip(ui: &mut Ui, text: impl Into<String>, tint: Color32) -> Response {
    let text = text.into();
    let galley = ui.painter().layout_no_wrap(text.clone(), FontId::proportional(11.5), tint);
    let (rect, response) = ui.allocate_exact_size(vec2(galley.size().x + 14.0, 19.0), Sense::hover());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, text.as_str()));
    let line = Stroke::new(1.0, tint.gamma_multiply(0.5));
    ui.painter().rect(rect, 9.0, tint.gamma_multiply(0.16), line, StrokeKind::Inside);
    ui.painter().galley(rect.center() - galley.size() / 2.0, galley, tint);
    response
}

/// A key as it looks on the keyboard. Decoration: not a node of its own for screen readers.
pub fn key(ui: &mut Ui, name: &str) {
    let galley = ui.painter().layout_no_wrap(name.to_owned(), FontId::proportional(11.5), tokens::TEXT_WEAK);
    let size = vec2(galley.size().x.max(8.0) + 10.0, 18.0);
    let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
    ui.painter().rect(rect, 4.0, tokens::PANEL, Stroke::new(1.0, tokens::LINE_STRONG), StrokeKind::Inside);
    ui.painter().galley(rect.center() - galley.size() / 2.0, galley, tokens::TEXT_WEAK);
}

/// What to do next on a screen that has nothing to show.
pub fn empty(ui: &mut Ui, title: &str, hint: &str) {
    ui.vertical_centered(|ui| {
        ui.add_space(36.0);
        ui.label(tokens::strong(title).size(15.0));
        ui.label(tokens::weak(hint));
        ui.add_space(16.0);
    });
}

/// Still pictures as textures: made at first sight, dropped when not shown for a while.
#[derive(Default)]
pub struct Pictures(HashMap<u64, Shown>);

struct Shown {
    /// Kept alive, so that no other picture can have the same key.
    _picture: Picture,
    texture: TextureHandle,
    pass: u64,
}

impl Pictures {
    /// Passes after which a picture that was not shown is dropped.
    const KEPT: u64 = 600;

    /// Drops what was not shown lately.
    pub fn tidy(&mut self, context: &egui::Context) {
        let pass = context.cumulative_pass_nr();
        self.0.retain(|_, shown| pass.saturating_sub(shown.pass) < Self::KEPT);
    }

    /// Draws the picture as large as fits into `size`, centred on a dark ground; a note when it is not there.
    pub fn show(&mut self, ui: &mut Ui, picture: Option<&Picture>, size: Vec2, alt: &str) -> Response {
        let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, alt));
        ui.painter().rect_filled(rect, f32::from(tokens::RADIUS_SMALL), tokens::WELL);
        let limit = ui.input(|input| input.max_texture_side);
        let fits = |p: &&Picture| p.width().max(p.height()) as usize <= limit;
        let Some(picture) = picture.filter(fits) else {
            let font = FontId::proportional(12.0);
            ui.painter().text(rect.center(), Align2::CENTER_CENTER, "Loading…", font, tokens::TEXT_WEAK);
            return response;
        };
        let pass = ui.ctx().cumulative_pass_nr();
        let shown = self.0.entry(picture.key()).or_insert_with(|| {
            let image =
                egui::ColorImage::from_rgb([picture.width() as usize, picture.height() as usize], picture.rgb());
            let texture = ui.ctx().load_texture("picture", image, egui::TextureOptions::LINEAR);
            Shown { _picture: picture.clone(), texture, pass }
        });
        shown.pass = pass;
        let scale = (size.x / picture.width() as f32).min(size.y / picture.height() as f32);
        let fitted = vec2(picture.width() as f32, picture.height() as f32) * scale;
        egui::Image::from_texture(&shown.texture)
            .fit_to_exact_size(fitted)
            .corner_radius(tokens::RADIUS_SMALL)
            .paint_at(ui, egui::Rect::from_center_size(rect.center(), fitted));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_undecided_match_is_never_certain() {
        assert_eq!(percent(0.826), "83 %");
        assert_eq!(percent(1.0), "99 %");
        assert_eq!(percent(f32::NAN), "0 %");
    }

    #[test]
    fn spans_round_up_and_never_go_negative() {
        assert_eq!(span(-3.0), "0 s");
        assert_eq!(span(2.1), "3 s");
        assert_eq!(span(61.0), "2 min");
        assert_eq!(span(86_399.0), "23 h 59 min");
        assert_eq!(span(90_000.0), "1 d 1 h");
    }

    #[test]
    fn text_reads_on_every_colour() {
        assert_eq!(text_on(Color32::YELLOW), Color32::BLACK);
        assert_eq!(text_on(Color32::from_rgb(60, 20, 120)), Color32::WHITE);
    }
}
