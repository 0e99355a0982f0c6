//! The administrators' screens: users, what each may see, and cameras. Also everybody's own password.
mod cameras;
mod password;
mod rights;
mod users;

pub use password::OwnPassword;

use super::{questions::answers, secret::Secret, tokens, widgets};
use crate::{
    model::{Timestamp, User},
    site::{AdminCommand, Command, SiteState},
};
use egui::{
    Align, Color32, Frame, Label, Layout, Margin, Response, RichText, Sense, Stroke, StrokeKind, Ui, UiBuilder, vec2,
};

/// A row of a table.
const ROW: f32 = 34.0;
/// An answer that has not come after this long will not come, seconds.
const PATIENCE: f64 = 30.0;
/// The rules of passwords, as the store of users applies them.
const PASSWORD_RULES: &str = "At least 15 characters; several words are fine, and any characters. Refused are common \
    passwords, repetitions, rows of keys, and the person's own name, number or e-mail address.";

/// What the screens remember between two repaints.
#[derive(Default)]
pub struct Administration {
    tab: Tab,
    users: users::Users,
    rights: rights::Rights,
    cameras: cameras::Cameras,
    asked: bool,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Tab {
    #[default]
    Users,
    Rights,
    Cameras,
}

impl Administration {
    /// Whether a form is open in which something is typed.
    pub fn is_dirty(&self) -> bool {
        match self.tab {
            Tab::Users => self.users.is_dirty(),
            Tab::Rights => self.rights.is_dirty(),
            Tab::Cameras => self.cameras.is_dirty(),
        }
    }

    /// Closes the topmost open thing; `false` when nothing was.
    pub fn back(&mut self) -> bool {
        match self.tab {
            Tab::Users => self.users.back(),
            Tab::Rights => self.rights.back(),
            Tab::Cameras => self.cameras.back(),
        }
    }

    /// Draws the screen.
    pub fn ui(
        &mut self,
        ui: &mut Ui,
        state: &SiteState,
        user: &User,
        pictures: &mut widgets::Pictures,
    ) -> Vec<Command> {
        let mut asked = Vec::new();
        if !std::mem::replace(&mut self.asked, true) {
            asked.push(AdminCommand::Open);
        }
        let bar = Frame::new().inner_margin(Margin { left: 20, right: 20, top: 16, bottom: 8 });
        egui::Panel::top("administration").frame(bar).show_separator_line(false).show(ui, |ui| {
            ui.horizontal(|ui| {
                ui.heading("Administration");
                ui.add_space(12.0);
                for (tab, words) in [(Tab::Users, "Users"), (Tab::Rights, "Who sees what"), (Tab::Cameras, "Cameras")] {
                    let button = egui::Button::selectable(self.tab == tab, words).frame_when_inactive(true);
                    if ui.add(button).clicked() {
                        self.tab = tab;
                    }
                }
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| match self.tab {
                    Tab::Users => self.users.add_button(ui),
                    Tab::Rights => {}
                    Tab::Cameras => self.cameras.add_button(ui),
                });
            });
            if let Some(trouble) = state.admin.trouble.as_ref().filter(|_| self.tab != Tab::Cameras) {
                widgets::note(ui, tokens::BAD, trouble);
            }
        });
        match self.tab {
            Tab::Users => asked.extend(self.users.ui(ui, state, user)),
            Tab::Rights => asked.extend(self.rights.ui(ui, state)),
            Tab::Cameras => asked.extend(self.cameras.ui(ui, state, pictures)),
        }
        asked.into_iter().map(Command::Administer).collect()
    }
}

/// Whether a command is under way, and how the last one ended.
#[derive(Default)]
struct Pending {
    since: Option<(u64, Timestamp)>,
    failure: Option<String>,
}

impl Pending {
    /// A command goes off now.
    fn send(&mut self, state: &SiteState) {
        *self = Self { since: Some((state.admin.answers, state.now)), failure: None };
    }

    fn waits(&self) -> bool {
        self.since.is_some()
    }

    /// To be asked at every repaint: `Some(true)` once, when the command was done, `Some(false)` when it was not.
    fn ended(&mut self, state: &SiteState) -> Option<bool> {
        let (answers, at) = self.since?;
        if state.admin.answers == answers {
            if state.now.seconds_since(at) > PATIENCE {
                *self = Self { since: None, failure: Some("No answer came: look whether it was done".to_owned()) };
                return Some(false);
            }
            return None;
        }
        self.since = None;
        self.failure = state.admin.answer.as_ref().and_then(|answer| answer.as_ref().err().cloned());
        Some(self.failure.is_none())
    }

    fn ui(&self, ui: &mut Ui) {
        if let Some(failure) = &self.failure {
            widgets::note(ui, tokens::BAD, failure);
        }
    }
}

/// The form at the right.
fn side(ui: &mut Ui, add: impl FnOnce(&mut Ui)) {
    let frame = Frame::new().fill(tokens::PANEL).inner_margin(Margin::same(16));
    egui::Panel::right("administration form").resizable(false).exact_size(tokens::SIDE_WIDTH).frame(frame).show(
        ui,
        |ui| {
            egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| add(ui));
        },
    );
}

/// What is left of the form.
fn table(ui: &mut Ui, add: impl FnOnce(&mut Ui)) {
    let frame = Frame::new().inner_margin(Margin { left: 20, right: 12, top: 4, bottom: 12 });
    egui::CentralPanel::default().frame(frame).show(ui, |ui| add(ui));
}

/// A column: its title and its width in points; 0 takes what is left.
type Column = (&'static str, f32);

fn titles(ui: &mut Ui, columns: &[Column]) {
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 22.0), Sense::hover());
    cells(ui, rect, columns, |ui, column| {
        ui.label(tokens::small(columns.get(column).map_or("", |(title, _)| title)));
    });
}

/// A row that can be clicked, called `name`.
fn row(ui: &mut Ui, columns: &[Column], name: &str, selected: bool, cell: impl FnMut(&mut Ui, usize)) -> Response {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::click());
    response.widget_info(|| egui::WidgetInfo::selected(egui::Role::Button, true, selected, name));
    let fill = if selected {
        tokens::SELECTED
    } else if response.hovered() {
        tokens::RAISED
    } else {
        tokens::PANEL
    };
    ui.painter().rect_filled(rect, f32::from(tokens::RADIUS_SMALL), fill);
    if response.has_focus() {
        let line = Stroke::new(1.5, tokens::FOCUS);
        ui.painter().rect_stroke(rect, f32::from(tokens::RADIUS_SMALL), line, StrokeKind::Inside);
    }
    cells(ui, rect, columns, cell);
    response
}

fn cells(ui: &mut Ui, rect: egui::Rect, columns: &[Column], mut cell: impl FnMut(&mut Ui, usize)) {
    let fixed: f32 = columns.iter().map(|(_, width)| width).sum();
    let mut left = rect.left() + 10.0;
    for (column, (_, width)) in columns.iter().enumerate() {
        let width = if *width > 0.0 { *width } else { (rect.width() - 20.0 - fixed).max(80.0) };
        let inner = egui::Rect::from_min_size(egui::pos2(left, rect.top()), vec2(width - 10.0, rect.height()));
        let layout = Layout::left_to_right(Align::Center);
        let mut child =
            ui.new_child(UiBuilder::new().id_salt((rect.top() as i64, column)).max_rect(inner).layout(layout));
        child.shrink_clip_rect(inner);
        cell(&mut child, column);
        left += width;
    }
}

fn text(ui: &mut Ui, text: impl Into<RichText>) {
    ui.add(Label::new(text.into()).truncate());
}

/// What to do where somebody else changed what a form is about.
enum Conflict {
    /// Drop what is typed.
    Take,
    /// Go on with what is typed, on top of theirs.
    Keep,
}

/// Shows what somebody else changed, each as `what: before → now`, and asks what to do about it.
fn conflict(ui: &mut Ui, changes: &[String]) -> Option<Conflict> {
    let mut chosen = None;
    widgets::card(true).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.label(RichText::new("Somebody else changed this meanwhile").color(tokens::WARN));
        for change in changes {
            ui.label(change);
        }
        ui.horizontal(|ui| {
            if ui.button("Take theirs").on_hover_text("Shows what it is now and drops what you typed").clicked() {
                chosen = Some(Conflict::Take);
            }
            if ui.button("Keep mine").on_hover_text("Keeps what you typed and takes the rest as it is now").clicked() {
                chosen = Some(Conflict::Keep);
            }
        });
    });
    chosen
}

/// `what: before → now`, where they differ.
fn change(what: &str, before: &str, now: &str) -> Option<String> {
    (before != now).then(|| format!("{what}: {before} → {now}"))
}

/// A question before something that hurts; `Some(true)` when it is meant.
fn confirm(ui: &mut Ui, question: &str, yes: &str, no: &str) -> Option<bool> {
    let asked = widgets::card(true).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.label(question);
        answers(ui, yes, no)
    });
    asked.inner
}

/// The two fields of a new password, with the rules.
#[derive(Default)]
struct NewPassword {
    first: Secret,
    again: Secret,
    shown: bool,
    /// The form was sent off with something missing: each field says what.
    tried: bool,
}

impl NewPassword {
    fn ui(&mut self, ui: &mut Ui, form: &str, entered: &mut bool) {
        ui.label(tokens::small(PASSWORD_RULES));
        self.first.field(ui, form, "New password", "", self.shown, entered);
        let short = self.first.as_str().chars().count() < super::access::PASSWORD_LENGTH;
        widgets::fault(ui, (self.tried && short).then_some("At least 15 characters"));
        self.again.field(ui, form, "New password again", "", self.shown, entered);
        let differs = self.first.as_str() != self.again.as_str();
        widgets::fault(ui, (self.tried && differs).then_some("Type the same password again"));
        ui.horizontal(|ui| {
            ui.checkbox(&mut self.shown, "Show passwords");
            let (tint, words) = widgets::password_hint(self.first.as_str(), self.again.as_str());
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                ui.label(RichText::new(words).size(12.5).color(tint));
            });
        });
    }

    fn is_ready(&self) -> bool {
        let first = self.first.as_str();
        first.chars().count() >= super::access::PASSWORD_LENGTH && first == self.again.as_str()
    }

    fn is_dirty(&self) -> bool {
        !self.first.is_empty() || !self.again.is_empty()
    }
}

/// The colour and word of a state.
fn state_chip(ui: &mut Ui, active: bool) {
    let (words, tint): (&str, Color32) =
        if active { ("active", tokens::GOOD) } else { ("deactivated", tokens::TEXT_WEAK) };
    widgets::chip(ui, words, tint);
}
