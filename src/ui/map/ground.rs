//! The ground of the map: a plain grid in metres, scale and north, and words on it.
use crate::ui::tokens;
use egui::{Align2, Color32, FontId, Pos2, Rect, Shape, Stroke, Ui, pos2, vec2};
use walkers::{Position, Projector, lat_lon};

/// Words on a dark plate, centred under a point; returns where the plate ends.
pub(super) fn plate(ui: &Ui, top: Pos2, words: &str, tint: Color32) -> f32 {
    let painter = ui.painter();
    let galley = painter.layout_no_wrap(words.to_owned(), FontId::proportional(12.5), tint);
    let rect = Rect::from_min_size(top - vec2(galley.size().x / 2.0 + 5.0, 0.0), galley.size() + vec2(10.0, 4.0));
    painter.rect_filled(rect, 4.0, tokens::PLATE);
    painter.galley(rect.min + vec2(5.0, 2.0), galley, tint);
    rect.bottom()
}

/// A message at the top of the map.
pub(super) fn banner(ui: &Ui, area: Rect, words: &str) {
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

/// Lines through fixed places, so that they move with the map.
pub(super) fn grid(ui: &Ui, projector: &Projector<'_>, area: Rect, anchor: Position) {
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

/// Scale and north, and whose map it is.
pub(super) fn furniture(ui: &Ui, projector: &Projector<'_>, area: Rect, at: Position, credit: &str) {
    let painter = ui.painter();
    let pixels_a_metre = projector.scale_pixel_per_meter(at);
    let metres = step(pixels_a_metre);
    let length = (metres * f64::from(pixels_a_metre)) as f32;
    let left = area.left_bottom() + vec2(18.0, -20.0);
    let behind = Rect::from_min_max(left - vec2(9.0, 25.0), left + vec2(length + 9.0, 9.0));
    painter.rect_filled(behind, 4.0, tokens::PLATE);
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
    if !credit.is_empty() {
        let galley = painter.layout_no_wrap(credit.to_owned(), FontId::proportional(11.5), tokens::TEXT_WEAK);
        let corner = area.right_bottom() - vec2(16.0, 12.0) - galley.size();
        painter.rect_filled(Rect::from_min_size(corner, galley.size()).expand(4.0), 4.0, tokens::PLATE);
        painter.galley(corner, galley, tokens::TEXT_WEAK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_has_round_steps_that_can_be_seen() {
        for (pixels_a_metre, metres) in [(1.0, 100.0), (10.0, 10.0), (100.0, 1.0), (0.03, 5000.0)] {
            assert!((step(pixels_a_metre) - metres).abs() < 1e-6, "{} at {pixels_a_metre}", step(pixels_a_metre));
        }
    }
}
