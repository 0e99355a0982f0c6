//! The operator's console: a function of [`SiteState`] that returns [`Command`]s. It never blocks, reads no store and does no
//! inference.
use crate::site::{Access, Command, Notice, NoticeLevel, SiteState};
use egui::{Margin, RichText, Stroke, Ui, vec2};
use egui_notify::{Anchor, Toast, ToastLevel, Toasts};
use session::Session;
use std::time::Duration;
use widgets::Pictures;

mod access;
mod administration;
pub mod app;
pub mod bench;
mod bookmark;
mod card;
mod cases;
pub mod commands;
mod dialog;
mod export;
mod find;
mod form;
mod health;
mod held;
mod inbox;
mod keys;
mod log;
mod map;
mod modal;
mod proposals;
mod questions;
mod review;
mod secret;
mod session;
mod sheet;
mod suspects;
pub mod tokens;
mod undo;
mod wall;
mod widgets;
mod yuv;

pub use app::{Window, WindowError, run};

/// A notice older than this when first seen is no news any more, seconds.
const NEWS: f64 = 10.0;

/// So often the site is told that somebody uses the console, seconds.
const TOLD_EVERY: f64 = 5.0;
/// So long before a session ends the operator is warned, seconds.
const WARNING: f64 = 60.0;

/// The console's own memory between two repaints: which screen is open, what is typed, which textures are loaded.
pub struct Console {
    /// Largest side of a picture the graphics device can show.
    largest: Option<u32>,
    form: access::Form,
    session: Session,
    pictures: Pictures,
    toasts: Toasts,
    newest_notice: Option<u64>,
    /// The lists as they were drawn last, while nobody's hand was on the screen.
    lists: Option<held::Lists>,
    /// Somebody was logged in when the last pass was drawn.
    was_in: bool,
    /// A test lets the next pass fail.
    #[cfg(test)]
    fails: bool,
}

impl Console {
    /// A console that draws live pictures with `render_state`; without one they are left out. Sets fonts and style of
    /// `context` and puts the shader into the renderer.
    pub fn new(context: &egui::Context, render_state: Option<&egui_wgpu::RenderState>) -> Self {
        tokens::install(context);
        context.add_plugin(keys::Shield::default());
        let toasts = Toasts::new()
            .with_anchor(Anchor::BottomLeft)
            .with_margin(vec2(14.0, tokens::STATUS_HEIGHT + 14.0))
            .with_padding(vec2(14.0, 12.0))
            .with_shadow(egui::Shadow { offset: [0, 4], blur: 16, spread: 2, color: tokens::BACKDROP });
        Self {
            largest: render_state.map(yuv::install),
            form: access::Form::default(),
            session: Session::default(),
            pictures: Pictures::default(),
            toasts,
            newest_notice: None,
            lists: None,
            was_in: false,
            #[cfg(test)]
            fails: false,
        }
    }

    /// Draws the console and returns what the operator asked for. Never blocks.
    pub fn ui(&mut self, ui: &mut Ui, state: &SiteState) -> Vec<Command> {
        if !tokens::fonts_ready(ui.ctx()) {
            ui.ctx().request_repaint();
            return Vec::new();
        }
        #[cfg(test)]
        assert!(!self.fails, "tripped by a test");
        self.pictures.tidy(ui.ctx());
        let mut asked = Vec::new();
        let used = ui.input(|input| input.events.iter().any(is_use));
        let is_in = matches!(state.access, Access::LoggedIn(_));
        if std::mem::replace(&mut self.was_in, is_in) != is_in {
            secret::forget_typed(ui.ctx());
        }
        if let Access::LoggedIn(user) = &state.access {
            self.form.clear();
            let told = state.session.is_none_or(|s| state.now.seconds_since(s.used_at) < TOLD_EVERY);
            if used && !told {
                asked.push(Command::StillHere);
            }
            self.announce(state);
            // What somebody's hand is on stays as it was drawn.
            let held = self.lists.as_ref().filter(|_| held::is_touched(ui.ctx())).map(|lists| lists.put_into(state));
            let shown = held.as_ref().unwrap_or(state);
            self.session.keys(ui.ctx(), shown, user, &mut asked);
            self.session.ui(ui, shown, user, self.largest, &mut self.pictures, &mut asked);
            farewell(ui.ctx(), state);
            if held.is_none() {
                self.lists = Some(held::Lists::of(state));
            }
        } else {
            self.session = Session::default();
            self.lists = None;
            self.toasts.dismiss_all_toasts();
            asked.extend(self.form.ui(ui, state));
        }
        self.closing(ui.ctx(), state);
        self.toasts.show(ui.ctx());
        asked
    }

    /// The window was asked to close. Whoever is logged in is asked where that would end a recording; logged out, nobody can, but
    /// before the first user exists.
    fn closing(&mut self, context: &egui::Context, state: &SiteState) {
        let asked = context.input(|input| input.viewport().close_requested());
        if !asked || questions::is_leaving(context) {
            return;
        }
        match state.access {
            Access::FirstStart => return,
            Access::LoggedIn(_) if questions::ends(state).is_empty() => return,
            Access::LoggedIn(_) => self.session.quit(context, state),
            Access::LoggedOut { .. } | Access::Working => self.form.refuse_to_quit(),
        }
        context.send_viewport_cmd(egui::ViewportCommand::CancelClose);
    }

    /// Shows each new notice once.
    fn announce(&mut self, state: &SiteState) {
        for notice in &state.notices {
            if self.newest_notice.is_none_or(|newest| notice.serial > newest) {
                self.newest_notice = Some(notice.serial);
                // What can be taken back is told beside its button.
                if notice.undo.is_none() && state.now.seconds_since(notice.at) <= NEWS {
                    self.toasts.add(toast(notice));
                }
            }
        }
    }
}

/// Whether a person's hand is behind the event.
fn is_use(event: &egui::Event) -> bool {
    use egui::Event as E;
    matches!(
        event,
        E::Key { .. }
            | E::Text(_)
            | E::Paste(_)
            | E::Copy
            | E::Cut
            | E::PointerMoved(_)
            | E::PointerButton { .. }
            | E::MouseWheel { .. }
            | E::Touch { .. }
    )
}

/// Warns before the session ends.
fn farewell(context: &egui::Context, state: &SiteState) {
    let Some(session) = state.session else { return };
    let left = session.ends_at.seconds_since(state.now);
    if left > WARNING {
        return;
    }
    let advice = if session.ends_at < session.ends_at_latest {
        "Press a key or move the mouse to stay logged in"
    } else {
        "It has lasted as long as a session may: log in again then"
    };
    let frame = widgets::card(false).stroke(Stroke::new(1.0, tokens::WARN)).inner_margin(Margin::symmetric(20, 12));
    egui::Area::new(egui::Id::unique("farewell"))
        .order(egui::Order::Foreground)
        .anchor(egui::Align2::CENTER_TOP, vec2(0.0, tokens::BAR_HEIGHT + 12.0))
        .interactable(false)
        .show(context, |ui| {
            frame.show(ui, |ui| {
                ui.vertical_centered(|ui| {
                    let words = format!("This session ends in {}", widgets::span(left));
                    ui.label(tokens::strong(words).size(16.0).color(tokens::WARN));
                    ui.label(advice);
                });
            });
        });
}

fn toast(notice: &Notice) -> Toast {
    let (tint, seconds) = match notice.level {
        NoticeLevel::Info => (tokens::GOOD, 5),
        NoticeLevel::Alert => (tokens::WARN, 12),
        NoticeLevel::Error => (tokens::BAD, 12),
    };
    let mut toast = Toast::custom(
        RichText::new(wrapped(&notice.text, 44)).color(tokens::TEXT),
        ToastLevel::Custom("●".to_owned(), tint),
    );
    toast.duration(Duration::from_secs(seconds)).show_progress_bar(false);
    toast
}

/// The text in lines of at most `width` characters where words allow; toasts do not wrap by themselves.
fn wrapped(text: &str, width: usize) -> String {
    let mut lines = String::new();
    let mut length = 0;
    for word in text.split_whitespace() {
        let count = word.chars().count();
        if length > 0 {
            let fits = length + 1 + count <= width;
            lines.push(if fits { ' ' } else { '\n' });
            length = if fits { length + 1 } else { 0 };
        }
        lines.push_str(word);
        length += count;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_notices_are_wrapped_at_words() {
        assert_eq!(wrapped("one two  three", 7), "one two\nthree");
        assert_eq!(wrapped("incomprehensibilities", 5), "incomprehensibilities");
    }
}
