//! Every colour, size and space of the console, its fonts and its style, in one place.
use egui::{
    Color32, CornerRadius, FontData, FontDefinitions, FontFamily, FontId, Margin, RichText, Stroke, TextStyle, vec2,
};
use std::sync::Arc;

/// Behind everything.
pub const BACKGROUND: Color32 = Color32::from_rgb(11, 14, 18);
/// Bars and side panels.
pub const PANEL: Color32 = Color32::from_rgb(18, 22, 28);
/// Cards and tiles on a panel.
pub const RAISED: Color32 = Color32::from_rgb(26, 32, 40);
/// Buttons.
pub const CONTROL: Color32 = Color32::from_rgb(37, 45, 56);
/// A button under the pointer.
pub const CONTROL_HOVER: Color32 = Color32::from_rgb(49, 60, 74);
/// Text fields, behind pictures.
pub const WELL: Color32 = Color32::from_rgb(7, 9, 12);
/// Lines between things.
pub const LINE: Color32 = Color32::from_rgb(42, 51, 62);
/// Lines around what can be used.
pub const LINE_STRONG: Color32 = Color32::from_rgb(66, 79, 95);
/// Text.
pub const TEXT: Color32 = Color32::from_rgb(231, 236, 242);
/// Secondary text; 7:1 on [`PANEL`].
pub const TEXT_WEAK: Color32 = Color32::from_rgb(158, 171, 187);
/// The one thing to do next; selection; focus.
pub const ACCENT: Color32 = Color32::from_rgb(92, 169, 245);
/// Fill of the main button.
pub const ACCENT_FILL: Color32 = Color32::from_rgb(31, 99, 172);
/// Fill of what is selected.
pub const SELECTED: Color32 = Color32::from_rgb(30, 74, 122);
/// Text on [`SELECTED`] and the line around what has the keyboard.
pub const FOCUS: Color32 = Color32::from_rgb(198, 224, 255);
/// Works.
pub const GOOD: Color32 = Color32::from_rgb(82, 200, 142);
/// Needs an eye on it.
pub const WARN: Color32 = Color32::from_rgb(245, 190, 84);
/// Does not work.
pub const BAD: Color32 = Color32::from_rgb(248, 113, 120);
/// Fill of a button that ends something.
pub const BAD_FILL: Color32 = Color32::from_rgb(140, 42, 50);
/// The box of a person who is no suspect.
pub const PERSON: Color32 = Color32::from_rgb(165, 226, 240);
/// Bookmarks on the timeline.
pub const BOOKMARK: Color32 = Color32::from_rgb(196, 160, 255);
/// Under lines and text drawn on a picture, so that they show on bright ones too.
pub const ON_PICTURE: Color32 = Color32::from_rgba_premultiplied(0, 0, 0, 150);
/// The plate behind a message on a picture.
pub const PLATE: Color32 = Color32::from_rgba_premultiplied(9, 12, 15, 232);
/// The hatching over a picture that is not live.
pub const HATCH: Color32 = Color32::from_rgba_premultiplied(56, 48, 30, 60);
/// Behind a dialog.
pub const BACKDROP: Color32 = Color32::from_rgba_premultiplied(0, 0, 0, 170);

/// The window as it opens, points.
pub const WINDOW_SIZE: [f32; 2] = [1600.0, 900.0];
/// The smallest window in which everything can still be reached, points.
pub const WINDOW_MIN_SIZE: [f32; 2] = [1000.0, 620.0];
/// The bar at the top.
pub const BAR_HEIGHT: f32 = 46.0;
/// The bar at the bottom.
pub const STATUS_HEIGHT: f32 = 30.0;
/// The panel at the right.
pub const SIDE_WIDTH: f32 = 396.0;
/// A tile's header.
pub const HEADER_HEIGHT: f32 = 28.0;
/// Between tiles.
pub const TILE_GAP: f32 = 8.0;
/// The usual space between two things.
pub const SPACE: f32 = 8.0;
/// Corners of cards and tiles.
pub const RADIUS: u8 = 6;
/// Corners of buttons and fields.
pub const RADIUS_SMALL: u8 = 5;
/// A form's width.
pub const FORM_WIDTH: f32 = 440.0;
/// A box measured, predicted, of a suspect, under the pointer: line widths, points.
pub const BOX_LINES: [f32; 4] = [1.6, 1.1, 2.4, 3.4];
/// Distance between hatching lines, points.
pub const HATCH_STEP: f32 = 14.0;

/// Text in the emphasised weight.
pub fn strong(text: impl Into<String>) -> RichText {
    RichText::new(text).family(semibold()).color(TEXT)
}

/// Secondary text.
pub fn weak(text: impl Into<String>) -> RichText {
    RichText::new(text).color(TEXT_WEAK)
}

/// Small secondary text.
pub fn small(text: impl Into<String>) -> RichText {
    RichText::new(text).color(TEXT_WEAK).size(12.0)
}

/// Times and numbers that should not jitter.
pub fn digits(text: impl Into<String>) -> RichText {
    RichText::new(text).family(FontFamily::Monospace).size(12.5)
}

/// The emphasised weight at a size, for painters.
pub fn strong_font(size: f32) -> FontId {
    FontId::new(size, semibold())
}

fn semibold() -> FontFamily {
    FontFamily::Name("semibold".into())
}

/// Whether the fonts of [`install`] are in use: they are from the pass after the one that installed them.
pub fn fonts_ready(context: &egui::Context) -> bool {
    context.fonts(|fonts| fonts.definitions().families.contains_key(&semibold()))
}

/// Sets fonts, colours and spaces.
pub fn install(context: &egui::Context) {
    let mut fonts = FontDefinitions::default();
    for (name, bytes) in [
        ("inter", &include_bytes!("../../assets/fonts/Inter-Regular.otf")[..]),
        ("inter-semibold", &include_bytes!("../../assets/fonts/Inter-SemiBold.otf")[..]),
    ] {
        fonts.font_data.insert(name.to_owned(), Arc::new(FontData::from_static(bytes)));
    }
    let fallbacks = fonts.families.get(&FontFamily::Proportional).cloned().unwrap_or_default();
    let with_fallbacks =
        |first: &str| -> Vec<String> { std::iter::once(first.to_owned()).chain(fallbacks.iter().cloned()).collect() };
    fonts.families.insert(FontFamily::Proportional, with_fallbacks("inter"));
    fonts.families.insert(semibold(), with_fallbacks("inter-semibold"));
    context.set_fonts(fonts);
    context.set_theme(egui::Theme::Dark);
    context.all_styles_mut(style);
}

fn style(style: &mut egui::Style) {
    style.text_styles = [
        (TextStyle::Small, FontId::proportional(12.0)),
        (TextStyle::Body, FontId::proportional(14.0)),
        (TextStyle::Button, FontId::proportional(14.0)),
        (TextStyle::Heading, FontId::new(20.0, semibold())),
        (TextStyle::Monospace, FontId::monospace(13.0)),
    ]
    .into();
    style.interaction.selectable_labels = false;
    style.interaction.tooltip_delay = 0.4;
    style.animation_time = 0.1;
    let spacing = &mut style.spacing;
    spacing.item_spacing = vec2(SPACE, SPACE);
    spacing.button_padding = vec2(12.0, 6.0);
    spacing.interact_size = vec2(36.0, 30.0);
    spacing.window_margin = Margin::same(18);
    spacing.menu_margin = Margin::same(6);
    spacing.icon_width = 18.0;
    spacing.icon_width_inner = 10.0;
    spacing.icon_spacing = 8.0;
    spacing.tooltip_width = 320.0;
    let visuals = &mut style.visuals;
    *visuals = egui::Visuals::dark();
    visuals.panel_fill = PANEL;
    visuals.window_fill = RAISED;
    visuals.window_stroke = Stroke::new(1.0, LINE_STRONG);
    visuals.window_corner_radius = CornerRadius::same(RADIUS);
    visuals.menu_corner_radius = CornerRadius::same(RADIUS);
    visuals.extreme_bg_color = WELL;
    visuals.text_edit_bg_color = Some(WELL);
    visuals.faint_bg_color = RAISED;
    visuals.code_bg_color = CONTROL;
    visuals.hyperlink_color = ACCENT;
    visuals.warn_fg_color = WARN;
    visuals.error_fg_color = BAD;
    visuals.weak_text_color = Some(TEXT_WEAK);
    visuals.selection.bg_fill = SELECTED;
    visuals.selection.stroke = Stroke::new(1.5, FOCUS);
    visuals.text_cursor.stroke = Stroke::new(2.0, ACCENT);
    visuals.button_frame = true;
    let corner_radius = CornerRadius::same(RADIUS_SMALL);
    for (widget, fill, stroke, text) in [
        (&mut visuals.widgets.noninteractive, CONTROL, Stroke::new(1.0, LINE), TEXT),
        (&mut visuals.widgets.inactive, CONTROL, Stroke::new(1.0, LINE_STRONG), TEXT),
        (&mut visuals.widgets.hovered, CONTROL_HOVER, Stroke::new(1.0, TEXT_WEAK), Color32::WHITE),
        (&mut visuals.widgets.active, CONTROL_HOVER, Stroke::new(1.5, ACCENT), Color32::WHITE),
        (&mut visuals.widgets.open, CONTROL, Stroke::new(1.0, LINE_STRONG), TEXT),
    ] {
        widget.bg_fill = fill;
        widget.weak_bg_fill = fill;
        widget.bg_stroke = stroke;
        widget.fg_stroke = Stroke::new(1.2, text);
        widget.corner_radius = corner_radius;
        widget.expansion = 0.0;
    }
}
