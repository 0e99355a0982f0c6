//! Bookmarks: their list, and how they look on the timeline.
use crate::{
    model::{Bookmark, BookmarkId, CameraId, Timestamp},
    site::{Access, BookmarkCommand, Command, SiteState},
    ui::{
        bookmark::{place, when},
        tokens, widgets,
    },
};
use egui::{Align, Color32, Layout, Painter, Pos2, Rect, Shape, Stroke, TextEdit, Ui, pos2, vec2};

/// A click so near to a bookmark means it, points.
const NEAR: f32 = 5.0;
const ROW: f32 = 46.0;

/// What the list remembers between two repaints.
#[derive(Default)]
pub struct Bookmarks {
    search: String,
    removing: Option<BookmarkId>,
}

impl Bookmarks {
    /// Draws the list; returns the bookmark to go to.
    pub fn ui<'a>(&mut self, ui: &mut Ui, state: &'a SiteState, asked: &mut Vec<Command>) -> Option<&'a Bookmark> {
        let all = &state.casework.bookmarks;
        if all.is_empty() {
            let hint = "Press B while a recording is watched, or over a live picture, to come back to it later. In and Out \
                        (I, O) make it a stretch";
            widgets::empty(ui, "No bookmarks yet", hint);
            return None;
        }
        let search =
            TextEdit::singleline(&mut self.search).hint_text("Search by words, camera, name…").desired_width(360.0);
        let search = ui.add(search.margin(egui::Margin::symmetric(10, 6)));
        search.widget_info(|| egui::WidgetInfo::labeled(egui::Role::TextInput, true, "Search bookmarks"));
        let wanted = self.search.to_lowercase();
        let found: Vec<_> = all.iter().filter(|b| answers(state, b, &wanted)).collect();
        if found.is_empty() {
            widgets::empty(ui, "No bookmark says that", "Every word must occur: in its words, its camera, who put it");
        }
        let mut go_to = None;
        egui::ScrollArea::vertical().auto_shrink(false).show_rows(ui, ROW, found.len(), |ui, rows| {
            for bookmark in found.get(rows).unwrap_or_default() {
                ui.push_id(bookmark.id, |ui| {
                    if self.line(ui, state, bookmark, asked) {
                        go_to = Some(*bookmark);
                    }
                });
            }
        });
        go_to
    }

    /// One line; whether it is to be watched.
    fn line(&mut self, ui: &mut Ui, state: &SiteState, b: &Bookmark, asked: &mut Vec<Command>) -> bool {
        let mut go = false;
        ui.allocate_ui(vec2(ui.available_width(), ROW), |ui| {
            ui.set_min_size(vec2(ui.available_width(), ROW));
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                ui.add_space(10.0);
                if self.removing == Some(b.id) {
                    if ui.button("Keep").clicked() {
                        self.removing = None;
                    }
                    if ui.add(widgets::danger("Remove")).clicked() {
                        asked.push(Command::Bookmark(BookmarkCommand::Remove(b.id)));
                        self.removing = None;
                    }
                    ui.label("Remove this bookmark for everybody?");
                } else {
                    if may_remove(state, b) && ui.button("Remove…").clicked() {
                        self.removing = Some(b.id);
                    }
                    go = ui.add(widgets::primary("Go there")).on_hover_text("Shows it in the player").clicked();
                }
                ui.with_layout(Layout::top_down(Align::Min), |ui| {
                    ui.spacing_mut().item_spacing.y = 2.0;
                    ui.add(egui::Label::new(tokens::strong(&b.words)).truncate());
                    let line = format!("{} · {} · {}", place(state, b.camera), when(b.from, b.until), b.made_by_name);
                    ui.add(egui::Label::new(tokens::small(line)).truncate());
                });
            });
        });
        go
    }
}

fn may_remove(state: &SiteState, b: &Bookmark) -> bool {
    matches!(&state.access, Access::LoggedIn(user) if user.is_admin || user.cc == b.made_by)
}

fn answers(state: &SiteState, b: &Bookmark, wanted: &str) -> bool {
    let known = format!("{} {} {}", b.words, place(state, b.camera), b.made_by_name).to_lowercase();
    wanted.split_whitespace().all(|word| known.contains(word))
}

/// Draws the bookmarks of one camera, or those of all (`None`), as flags at the top of `lane`; `to_x` tells where an instant is.
/// Returns the words of the one under the pointer.
pub fn draw(
    painter: &Painter,
    state: &SiteState,
    camera: Option<CameraId>,
    lane: Rect,
    to_x: impl Fn(Timestamp) -> f32,
    pointer: Option<Pos2>,
) -> Option<String> {
    let mut under = None;
    for b in state.casework.bookmarks.iter().filter(|b| b.camera == camera) {
        let (left, right) = (to_x(b.from), to_x(b.until));
        if right < lane.left() - NEAR || left > lane.right() {
            continue;
        }
        let tint = tokens::BOOKMARK;
        if right - left > 1.0 {
            painter.rect_filled(Rect::from_x_y_ranges(left..=right, lane.y_range()), 0.0, tint.gamma_multiply(0.18));
        }
        painter.line_segment([pos2(left, lane.top()), pos2(left, lane.bottom())], Stroke::new(1.5, tint));
        let flag = vec![pos2(left, lane.top()), pos2(left + 8.0, lane.top() + 3.5), pos2(left, lane.top() + 7.0)];
        painter.add(Shape::convex_polygon(flag, tint, Stroke::new(1.0, Color32::BLACK)));
        let about = Rect::from_x_y_ranges(left - NEAR..=right.max(left) + 9.0, lane.y_range());
        if pointer.is_some_and(|p| about.contains(p)) {
            under = Some(format!("{} · {} · {}", b.words, when(b.from, b.until), b.made_by_name));
        }
    }
    under
}

/// The beginning of the bookmark that is meant by a click at `x`; `None` when there is none near.
pub fn near(state: &SiteState, x: f32, to_x: impl Fn(Timestamp) -> f32) -> Option<Timestamp> {
    let starts = state.casework.bookmarks.iter().map(|b| (b.from, (to_x(b.from) - x).abs()));
    starts.filter(|(_, far)| *far <= NEAR).min_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(from, _)| from)
}
