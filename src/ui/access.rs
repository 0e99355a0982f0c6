//! First start and login.
use super::{secret::Secret, tokens, widgets};
use crate::model::Timestamp;
use crate::site::{Access, Command, NoticeLevel, SiteState};
use egui::{Align, Frame, Layout, Margin, RichText, Stroke, Ui, vec2};

/// Passwords shorter than this are refused by the store of users.
pub const PASSWORD_LENGTH: usize = 15;

#[derive(Clone, Copy, PartialEq)]
enum Screen {
    FirstStart,
    Login,
}

/// What is typed on the screens before the console.
#[derive(Default)]
pub struct Form {
    screen: Option<Screen>,
    cc: String,
    name: String,
    email: String,
    password: Secret,
    again: Secret,
    shown: bool,
    /// It was sent off with something missing: each field says what.
    tried: bool,
    submitted_at: Option<Timestamp>,
    /// Somebody tried to close the window.
    wants_out: bool,
}

impl Form {
    /// Draws the screen for `state.access`; nothing is asked for while the last request is being worked on.
    pub fn ui(&mut self, ui: &mut Ui, state: &SiteState) -> Option<Command> {
        let screen = match state.access {
            Access::FirstStart => Screen::FirstStart,
            Access::LoggedOut { .. } => Screen::Login,
            Access::Working | Access::LoggedIn(_) => self.screen.unwrap_or(Screen::Login),
        };
        let opened = self.screen != Some(screen);
        self.screen = Some(screen);
        let working = state.access == Access::Working;
        egui::CentralPanel::default()
            .frame(Frame::NONE)
            .show(ui, |ui| {
                let height = if screen == Screen::FirstStart { 720.0 } else { 400.0 };
                egui::ScrollArea::vertical()
                    .show(ui, |ui| {
                        ui.vertical_centered(|ui| {
                            ui.add_space(((ui.available_height() - height) / 2.0).max(16.0));
                            brand(ui, &state.name);
                            ui.add_space(16.0);
                            Frame::new()
                                .fill(tokens::PANEL)
                                .stroke(Stroke::new(1.0, tokens::LINE))
                                .corner_radius(10)
                                .inner_margin(Margin::same(28))
                                .show(ui, |ui| {
                                    ui.set_width(tokens::FORM_WIDTH - 56.0);
                                    ui.with_layout(Layout::top_down(Align::Min), |ui| match screen {
                                        Screen::FirstStart => self.first_start(ui, state, opened, working),
                                        Screen::Login => self.login(ui, state, opened, working),
                                    })
                                    .inner
                                })
                                .inner
                        })
                        .inner
                    })
                    .inner
            })
            .inner
    }

    /// Says why the window does not close.
    pub fn refuse_to_quit(&mut self) {
        self.wants_out = true;
    }

    /// Forgets everything that was typed.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn badge(&mut self, ui: &mut Ui, entered: &mut bool) -> egui::Response {
        let hint = "Citizen-card or badge number";
        let field = widgets::field(ui, "access", "Badge number", hint, &mut self.cc, entered);
        let missing = self.cc.trim().is_empty().then_some("Type your citizen-card or badge number");
        widgets::fault(ui, missing.filter(|_| self.tried));
        field
    }

    fn login(&mut self, ui: &mut Ui, state: &SiteState, opened: bool, working: bool) -> Option<Command> {
        ui.heading("Log in");
        ui.add_space(4.0);
        let mut entered = false;
        let cc = self.badge(ui, &mut entered);
        let password = self.password.field(ui, "access", "Password", "", self.shown, &mut entered);
        widgets::fault(ui, (self.tried && self.password.is_empty()).then_some("Type your password"));
        ui.checkbox(&mut self.shown, "Show password");
        if opened {
            cc.request_focus();
        }
        let mut locked = false;
        if let Access::LoggedOut { error, locked_until } = &state.access {
            if let Some(error) = error {
                widgets::note(ui, tokens::BAD, error);
            }
            let wait = locked_until.map_or(0.0, |until| until.seconds_since(state.now));
            if wait > 0.0 {
                locked = true;
                widgets::note(ui, tokens::WARN, &format!("The next attempt is accepted in {}", widgets::span(wait)));
            }
        }
        if self.wants_out {
            widgets::note(
                ui,
                tokens::WARN,
                "Log in to quit: cameras are watched and recorded while nobody is logged in",
            );
        }
        ui.add_space(4.0);
        let ready = !working && !locked;
        let clicked = submit(ui, "Log in", "Logging in…", ready, working);
        if !(clicked || (entered && ready)) {
            return None;
        }
        let first_gap = [(self.cc.trim().is_empty(), &cc), (self.password.is_empty(), &password)];
        self.tried = first_gap.iter().any(|(missing, _)| *missing);
        if let Some((_, field)) = first_gap.into_iter().find(|(missing, _)| *missing) {
            field.request_focus();
            return None;
        }
        password.request_focus();
        Some(Command::Login { cc: self.cc.trim().to_owned(), password: self.password.take() })
    }

    fn first_start(&mut self, ui: &mut Ui, state: &SiteState, opened: bool, working: bool) -> Option<Command> {
        ui.heading("Create the administrator");
        ui.label(tokens::weak(
            "This console has no users yet. The first one manages users and cameras and reads the action log. \
             There is no default password, and nobody can read this one back: keep it safe.",
        ));
        ui.add_space(4.0);
        let mut entered = false;
        let cc = self.badge(ui, &mut entered);
        let tried = self.tried;
        let hint = "As it will stand in the action log";
        let name = widgets::field(ui, "access", "Full name", hint, &mut self.name, &mut entered);
        widgets::fault(ui, (tried && self.name.trim().is_empty()).then_some("Type your full name"));
        let email = widgets::field(ui, "access", "E-mail", "name@department.example", &mut self.email, &mut entered);
        let wrong = !plausible_email(self.email.trim());
        widgets::fault(ui, (tried && wrong).then_some("Type an e-mail address such as name@example.org"));
        let hint = format!("At least {PASSWORD_LENGTH} characters; several words are fine");
        let password = self.password.field(ui, "access", "Password", &hint, self.shown, &mut entered);
        let short = self.password.as_str().chars().count() < PASSWORD_LENGTH;
        widgets::fault(ui, (tried && short).then_some("At least 15 characters"));
        let again = self.again.field(ui, "access", "Password again", "", self.shown, &mut entered);
        let differs = self.again.as_str() != self.password.as_str();
        widgets::fault(ui, (tried && differs).then_some("Type the same password again"));
        ui.horizontal(|ui| {
            ui.checkbox(&mut self.shown, "Show passwords");
            let (tint, words) = widgets::password_hint(self.password.as_str(), self.again.as_str());
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                ui.label(RichText::new(words).size(12.5).color(tint))
            });
        });
        if opened {
            cc.request_focus();
        }
        let since = self.submitted_at;
        let failure =
            state.notices.iter().rev().find(|n| n.level == NoticeLevel::Error && since.is_some_and(|t| n.at >= t));
        if let Some(notice) = failure.filter(|_| !working) {
            widgets::note(ui, tokens::BAD, &notice.text);
        }
        ui.add_space(4.0);
        let clicked = submit(ui, "Create administrator", "Creating the administrator…", !working, working);
        if working || !(clicked || entered) {
            return None;
        }
        let first_gap = [
            (self.cc.trim().is_empty(), &cc),
            (self.name.trim().is_empty(), &name),
            (wrong, &email),
            (short, &password),
            (differs, &again),
        ]
        .into_iter()
        .find_map(|(missing, field)| missing.then_some(field));
        self.tried = first_gap.is_some();
        if let Some(field) = first_gap {
            field.request_focus();
            return None;
        }
        self.submitted_at = Some(state.now);
        Some(Command::CreateAdministrator {
            cc: self.cc.trim().to_owned(),
            name: self.name.trim().to_owned(),
            email: self.email.trim().to_owned(),
            password: self.password.as_str().to_owned(),
        })
    }
}

/// Something before and after one `@`, without spaces: what is worth checking without sending mail.
pub fn plausible_email(text: &str) -> bool {
    let mut parts = text.split('@');
    let parts = (parts.next(), parts.next(), parts.next());
    matches!(parts, (Some(user), Some(host), None) if !user.is_empty() && !host.is_empty()) && !text.contains(' ')
}

fn submit(ui: &mut Ui, text: &str, working_text: &str, enabled: bool, working: bool) -> bool {
    let width = ui.available_width();
    if working {
        ui.horizontal(|ui| {
            ui.set_min_size(vec2(width, 36.0));
            ui.spinner();
            ui.label(tokens::weak(working_text));
        });
        return false;
    }
    let button = widgets::primary(text).min_size(vec2(width, 36.0));
    ui.vertical_centered(|ui| ui.add_enabled(enabled, button)).inner.clicked()
}

fn brand(ui: &mut Ui, site: &str) {
    let (rect, _) = ui.allocate_exact_size(vec2(54.0, 40.0), egui::Sense::hover());
    logo(ui.painter(), rect.center(), 20.0);
    ui.label(tokens::strong("Vigia").size(26.0));
    ui.label(tokens::weak(site));
}

/// The mark: a lens in the corners of a viewfinder.
pub fn logo(painter: &egui::Painter, center: egui::Pos2, half: f32) {
    let line = Stroke::new((half / 8.0).max(1.5), tokens::TEXT);
    for (sx, sy) in [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)] {
        let corner = center + vec2(sx * half * 1.2, sy * half);
        painter.line(vec![corner - vec2(0.0, sy * half * 0.5), corner, corner - vec2(sx * half * 0.5, 0.0)], line);
    }
    painter.circle_stroke(center, half * 0.5, Stroke::new(line.width, tokens::ACCENT));
    painter.circle_filled(center, half * 0.2, tokens::ACCENT);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_email_has_two_sides() {
        assert!(plausible_email("ana@policia.example"));
        for bad in ["", "ana", "@x", "ana@", "a@b@c", "a b@c"] {
            assert!(!plausible_email(bad), "{bad}");
        }
    }
}
