//! The one frame of every dialog, and of every list that opens over the screen. What is under it gets neither keys nor clicks.
use super::{keys, tokens};
use egui::{ComboBox, Context, Frame, InnerResponse, Margin, Response, ScrollArea, Stroke, Ui, WidgetText};

/// Left of a dialog's height for the window around it, points.
const AROUND: f32 = 96.0;

/// Draws a dialog of this width over everything else. It is closed by its own buttons and by Esc, never by a click beside it; where
/// the window is too small its content scrolls.
pub fn dialog<T>(context: &Context, name: &str, width: f32, content: impl FnOnce(&mut Ui) -> T) -> T {
    let frame = Frame::new()
        .fill(tokens::RAISED)
        .stroke(Stroke::new(1.0, tokens::LINE_STRONG))
        .corner_radius(10)
        .inner_margin(Margin::same(24));
    #[expect(clippy::disallowed_methods, reason = "the one place")]
    let shown =
        egui::Modal::new(egui::Id::unique(name)).backdrop_color(tokens::BACKDROP).frame(frame).show(context, |ui| {
            let room = ui.ctx().content_rect().size();
            ui.set_width(width.min(room.x - 2.0 * AROUND).max(240.0));
            let height = (room.y - AROUND).max(160.0);
            ScrollArea::vertical().max_height(height).min_scrolled_height(height).show(ui, content).inner
        });
    shown.inner
}

/// A button that opens a menu; a click on one of its entries, or beside it, closes it.
pub fn menu<T>(ui: &mut Ui, name: impl Into<WidgetText>, content: impl FnOnce(&mut Ui) -> T) -> Response {
    #[expect(clippy::disallowed_methods, reason = "the one place")]
    let shown = ui.menu_button(name.into(), |ui| {
        keys::keep_inside(ui);
        content(ui)
    });
    shown.response
}

/// A button that opens a list of switches, which stays open while they are used.
pub fn switches<T>(ui: &mut Ui, name: impl Into<WidgetText>, content: impl FnOnce(&mut Ui) -> T) -> Response {
    let button = egui::containers::menu::MenuButton::new(name.into());
    let config =
        egui::containers::menu::MenuConfig::new().close_behavior(egui::PopupCloseBehavior::CloseOnClickOutside);
    let (response, _) = button.config(config).ui(ui, |ui| {
        keys::keep_inside(ui);
        content(ui)
    });
    response
}

/// A list to choose one from.
pub fn choose<T>(list: ComboBox, ui: &mut Ui, content: impl FnOnce(&mut Ui) -> T) -> InnerResponse<Option<T>> {
    #[expect(clippy::disallowed_methods, reason = "the one place")]
    list.show_ui(ui, |ui| {
        keys::keep_inside(ui);
        content(ui)
    })
}
