//! The operator's console: a function of [`SiteState`] that returns [`Command`]s. It never blocks, reads no store and does no
//! inference.
use crate::model::SuspectId;
use crate::site::{Access, Command, FindCommand, FindWho, Notice, NoticeLevel, SiteState};
use commands::UiCommand;
use egui::{Align, Frame, Layout, Margin, RichText, ScrollArea, Stroke, Ui, vec2};
use egui_notify::{Anchor, Toast, ToastLevel, Toasts};
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
mod health;
mod inbox;
mod log;
mod map;
mod proposals;
mod review;
mod suspects;
pub mod tokens;
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
}

/// What belongs to the user who is logged in, and is forgotten at logout.
#[derive(Default)]
struct Session {
    screen: Screen,
    tab: Tab,
    wall: wall::Wall,
    card: Option<card::Card>,
    inbox: inbox::Inbox,
    suspects: suspects::Suspects,
    export: export::Form,
    map: map::Map,
    cases: cases::Cases,
    administration: administration::Administration,
    own_password: administration::OwnPassword,
    review: review::Review,
    find: find::Find,
    log: log::Log,
    /// The form of a bookmark that is being put.
    bookmark: Option<bookmark::Form>,
    shortcuts: bool,
    health: bool,
    /// The form for one's own password is open.
    password: bool,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Screen {
    #[default]
    Wall,
    Review,
    Map,
    Cases,
    Log,
    Administration,
    Find,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Tab {
    #[default]
    Inbox,
    Suspects,
}

impl Console {
    /// A console that draws live pictures with `render_state`; without one they are left out. Sets fonts and style of
    /// `context` and puts the shader into the renderer.
    pub fn new(context: &egui::Context, render_state: Option<&egui_wgpu::RenderState>) -> Self {
        tokens::install(context);
        let toasts = Toasts::new()
            .with_anchor(Anchor::BottomRight)
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
        }
    }

    /// Draws the console and returns what the operator asked for. Never blocks.
    pub fn ui(&mut self, ui: &mut Ui, state: &SiteState) -> Vec<Command> {
        if !tokens::fonts_ready(ui.ctx()) {
            ui.ctx().request_repaint();
            return Vec::new();
        }
        self.pictures.tidy(ui.ctx());
        let mut asked = Vec::new();
        let used = ui.input(|input| input.events.iter().any(is_use));
        let pressed = commands::pressed(ui.ctx());
        if let Access::LoggedIn(user) = &state.access {
            self.form.clear();
            let told = state.session.is_none_or(|s| state.now.seconds_since(s.used_at) < TOLD_EVERY);
            if used && !told {
                asked.push(Command::StillHere);
            }
            self.announce(state);
            for (command, position) in pressed {
                self.session.run(ui.ctx(), state, command, position, user.is_admin, &mut asked);
            }
            self.session.ui(ui, state, user, self.largest, &mut self.pictures, &mut asked);
        } else {
            self.session = Session::default();
            self.toasts.dismiss_all_toasts();
            if pressed.iter().any(|(command, _)| *command == UiCommand::Quit) {
                ui.ctx().send_viewport_cmd(egui::ViewportCommand::Close);
            }
            asked.extend(self.form.ui(ui, state));
        }
        self.toasts.show(ui.ctx());
        asked
    }

    /// Shows each new notice once.
    fn announce(&mut self, state: &SiteState) {
        for notice in &state.notices {
            if self.newest_notice.is_none_or(|newest| notice.serial > newest) {
                self.newest_notice = Some(notice.serial);
                if state.now.seconds_since(notice.at) <= NEWS {
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

impl Session {
    fn run(
        &mut self,
        context: &egui::Context,
        state: &SiteState,
        command: UiCommand,
        position: usize,
        is_admin: bool,
        asked: &mut Vec<Command>,
    ) {
        // A key decides only about a match that is on screen.
        let inbox_shown =
            self.screen == Screen::Wall && self.tab == Tab::Inbox && self.card.is_none() && !self.shortcuts;
        let dialog = state.export.is_some();
        if dialog && !matches!(command, UiCommand::Back | UiCommand::LogOut | UiCommand::Quit) {
            return;
        }
        if self.screen == Screen::Review && !self.shortcuts && self.review.run(state, command, position, asked) {
            return;
        }
        match command {
            UiCommand::ConfirmMatch | UiCommand::RejectMatch if inbox_shown => {
                asked.extend(self.inbox.decide(state, command == UiCommand::ConfirmMatch));
            }
            UiCommand::NextMatch | UiCommand::PreviousMatch if inbox_shown => {
                self.inbox.step(state, command == UiCommand::NextMatch);
            }
            UiCommand::NextMatch | UiCommand::PreviousMatch if self.screen == Screen::Log => {
                self.log.step(state, command == UiCommand::NextMatch);
            }
            UiCommand::ConfirmMatch | UiCommand::RejectMatch | UiCommand::NextMatch | UiCommand::PreviousMatch => {}
            UiCommand::MarkSuspect => {
                if let Some(card) = &mut self.card {
                    card.open_form();
                }
            }
            UiCommand::PickReason => {
                if let Some(card) = &mut self.card {
                    card.pick_reason(context, state, position);
                }
            }
            UiCommand::Back if state.export.is_some() => {
                asked.push(Command::Export(crate::site::ExportCommand::Close)); // one that runs stays
            }
            UiCommand::Back => self.back(),
            UiCommand::ShowCamera => {
                self.screen = Screen::Wall;
                self.wall.toggle(state, position);
            }
            UiCommand::ShowInbox => self.open(Tab::Inbox),
            UiCommand::ShowSuspects => self.open(Tab::Suspects),
            UiCommand::ShowShortcuts => self.shortcuts = !self.shortcuts,
            UiCommand::ShowWall => self.screen = Screen::Wall,
            UiCommand::ShowReview => self.screen = Screen::Review,
            UiCommand::Replay => {
                if let Some(camera) = self.wall.pointed_at(state) {
                    self.screen = Screen::Review;
                    self.card = None;
                    self.review.show_replay();
                    asked.push(Command::Review(crate::site::ReviewCommand::Replay(camera)));
                }
            }
            UiCommand::PutBookmark if self.screen == Screen::Wall => {
                let camera = self.wall.pointed_at(state).and_then(|id| widgets::camera(state, id));
                self.bookmark = camera.map(|view| {
                    let at = view.frame.as_ref().map_or(state.now, crate::video::Frame::captured_at);
                    bookmark::Form::new(view.camera.id, at, at)
                });
            }
            UiCommand::PutBookmark => {}
            UiCommand::ShowMap => self.screen = Screen::Map,
            UiCommand::ShowCases => self.screen = Screen::Cases,
            UiCommand::ShowLog if is_admin => self.screen = Screen::Log,
            UiCommand::ShowAdministration if is_admin => self.screen = Screen::Administration,
            UiCommand::ShowLog | UiCommand::ShowAdministration => {}
            UiCommand::ChangePassword => self.password = true,
            UiCommand::ConfirmProposal | UiCommand::DropProposal
                if self.screen == Screen::Wall && self.card.is_none() =>
            {
                asked.extend(proposals::decide(state, command == UiCommand::ConfirmProposal));
            }
            UiCommand::ConfirmProposal | UiCommand::DropProposal => {}
            UiCommand::FindPerson => {
                self.screen = Screen::Find;
                if let Some(who) = self.card.as_ref().map(|card| card.who(state)) {
                    asked.push(self.find.start(state, who));
                }
            }
            UiCommand::ShowHealth => self.health = !self.health,
            UiCommand::LogOut => asked.push(Command::Logout),
            UiCommand::Quit => context.send_viewport_cmd(egui::ViewportCommand::Close),
        }
    }

    fn open(&mut self, tab: Tab) {
        self.screen = Screen::Wall;
        self.card = None;
        self.tab = tab;
    }

    fn start_find(&mut self, state: &SiteState, who: FindWho, asked: &mut Vec<Command>) {
        self.screen = Screen::Find;
        asked.push(self.find.start(state, who));
    }

    fn show_suspect(&mut self, id: SuspectId) {
        self.open(Tab::Suspects);
        self.suspects.show(id);
    }

    /// Closes the topmost open thing.
    fn back(&mut self) {
        if self.bookmark.take().is_some() {
            return;
        }
        if std::mem::take(&mut self.password) {
            self.own_password = administration::OwnPassword::default();
            return;
        }
        if std::mem::take(&mut self.shortcuts) || std::mem::take(&mut self.health) {
            return;
        }
        if let Some(card) = &mut self.card {
            if !card.close_form() {
                self.card = None;
            }
        } else if (self.screen == Screen::Administration && self.administration.back())
            || (self.screen == Screen::Map && self.map.back())
            || (self.screen == Screen::Cases && self.cases.back())
            || (self.screen == Screen::Log && self.log.close())
        {
            // that was the topmost
        } else if self.screen != Screen::Wall {
            self.screen = Screen::Wall;
        } else if !self.suspects.close() {
            self.wall.show_all();
        }
    }

    fn ui(
        &mut self,
        ui: &mut Ui,
        state: &SiteState,
        user: &crate::model::User,
        largest: Option<u32>,
        pictures: &mut Pictures,
        asked: &mut Vec<Command>,
    ) {
        let bar = Frame::new().fill(tokens::PANEL).inner_margin(Margin::symmetric(14, 0));
        egui::Panel::top("bar").exact_size(tokens::BAR_HEIGHT).frame(bar).show(ui, |ui| {
            if let Some(command) = self.bar(ui, state, user) {
                self.run(ui.ctx(), state, command, 0, user.is_admin, asked);
            }
        });
        egui::Panel::bottom("status").exact_size(tokens::STATUS_HEIGHT).frame(bar).show(ui, |ui| {
            if health::status_bar(ui, state, &user.name) {
                self.health = !self.health;
            }
        });
        if self.screen == Screen::Wall || (self.screen == Screen::Review && self.card.is_some()) {
            let side = Frame::new().fill(tokens::PANEL).inner_margin(Margin::same(12));
            egui::Panel::right("side")
                .resizable(false)
                .exact_size(tokens::SIDE_WIDTH)
                .frame(side)
                .show(ui, |ui| self.side(ui, state, pictures, asked));
        }
        // The window is cleared to the background colour: no fill here.
        egui::CentralPanel::default().frame(Frame::NONE).show(ui, |ui| match self.screen {
            Screen::Review => {
                let open = self.card.as_ref().map(card::Card::subject);
                if let Some(click) = self.review.ui(ui, state, largest, open, pictures, asked) {
                    self.card = Some(card::Card::new(click, self.card.take()));
                }
            }
            Screen::Map => asked.extend(self.map.ui(ui, state, user.is_admin)),
            Screen::Cases => asked.extend(self.cases.ui(ui, state, user, pictures)),
            Screen::Administration => asked.extend(self.administration.ui(ui, state, user, pictures)),
            Screen::Find => {
                let command = self.find.ui(ui, state, pictures);
                if matches!(command, Some(Command::Find(FindCommand::Close))) {
                    self.find = find::Find::default();
                    self.screen = Screen::Wall;
                }
                asked.extend(command);
            }
            Screen::Log => asked.extend(self.log.ui(ui, state)),
            Screen::Wall => {
                let open = self.card.as_ref().map(card::Card::subject);
                if let Some(click) = self.wall.ui(ui, state, largest, open) {
                    self.card = Some(card::Card::new(click, self.card.take()));
                }
            }
        });
        match self.cases.take_lead() {
            Some(cases::Leads::Watch(b)) => {
                self.screen = Screen::Review;
                self.review.go_to(state, &b, asked);
            }
            Some(cases::Leads::Suspect(id)) => self.show_suspect(id),
            Some(cases::Leads::Map(id)) => {
                self.map.show(id);
                self.screen = Screen::Map;
            }
            None => {}
        }
        if self.review.wants_wall() {
            self.screen = Screen::Wall;
        }
        if self.screen != Screen::Review {
            asked.extend(self.review.leave(state));
        }
        if matches!(self.screen, Screen::Log | Screen::Administration) && !user.is_admin {
            self.screen = Screen::Wall; // an administrator no more
        }
        if self.password {
            asked.extend(self.own_password.ui(ui.ctx(), state, &mut self.password));
        }
        farewell(ui.ctx(), state);
        if let Some(command) = self.review.dropped(ui.ctx()) {
            self.screen = Screen::Review;
            asked.push(command);
        }
        asked.extend(self.export.ui(ui.ctx(), state));
        self.bookmark = self.review.take_bookmark().or(self.bookmark.take());
        if let Some(form) = &mut self.bookmark {
            let mut open = true;
            asked.extend(form.ui(ui.ctx(), state, &mut open));
            self.bookmark = self.bookmark.take().filter(|_| open);
        }
        if self.health {
            asked.extend(health::window(ui.ctx(), state, &mut self.health));
        }
        if self.shortcuts {
            self.shortcuts = !sheet(ui.ctx());
        }
    }

    /// The bar at the top: where one is, what waits, who is logged in.
    fn bar(&mut self, ui: &mut Ui, state: &SiteState, user: &crate::model::User) -> Option<UiCommand> {
        let mut chosen = None;
        ui.horizontal_centered(|ui| {
            let (mark, _) = ui.allocate_exact_size(vec2(28.0, 22.0), egui::Sense::hover());
            access::logo(ui.painter(), mark.center(), 9.0);
            ui.label(tokens::strong("Vigia").size(16.0));
            ui.label(tokens::weak(&state.name));
            ui.add_space(12.0);
            let screens = [
                (UiCommand::ShowWall, Screen::Wall),
                (UiCommand::FindPerson, Screen::Find),
                (UiCommand::ShowReview, Screen::Review),
                (UiCommand::ShowMap, Screen::Map),
                (UiCommand::ShowCases, Screen::Cases),
                (UiCommand::ShowLog, Screen::Log),
                (UiCommand::ShowAdministration, Screen::Administration),
            ];
            let open_to_all = |screen: &Screen| {
                matches!(screen, Screen::Wall | Screen::Find | Screen::Review | Screen::Map | Screen::Cases)
            };
            for (command, screen) in screens.into_iter().filter(|(_, screen)| open_to_all(screen) || user.is_admin) {
                let button = egui::Button::selectable(self.screen == screen, command.text());
                if ui.add(button).on_hover_text(format!("{} ({})", command.tooltip(), command.keys_text())).clicked() {
                    chosen = Some(command);
                }
            }
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                ui.menu_button(format!("{} ⏷", user.name), |ui| {
                    ui.set_min_width(220.0);
                    ui.label(tokens::small(format!(
                        "{} · {}",
                        user.cc,
                        if user.is_admin { "administrator" } else { "operator" }
                    )));
                    ui.separator();
                    for command in [
                        UiCommand::ShowShortcuts,
                        UiCommand::ShowHealth,
                        UiCommand::ChangePassword,
                        UiCommand::LogOut,
                        UiCommand::Quit,
                    ] {
                        let button = egui::Button::new(command.text()).shortcut_text(command.keys_text());
                        if ui.add(button).on_hover_text(command.tooltip()).clicked() {
                            chosen = Some(command);
                            ui.close();
                        }
                    }
                });
                let waiting = self.inbox.pending(state).len();
                let inbox_shown = self.screen == Screen::Wall && self.tab == Tab::Inbox && self.card.is_none();
                if waiting > 0 && !inbox_shown {
                    let words = if waiting == 1 {
                        "1 possible match".to_owned()
                    } else {
                        format!("{waiting} possible matches")
                    };
                    let button = egui::Button::new(RichText::new(words).color(tokens::WARN))
                        .stroke(Stroke::new(1.0, tokens::WARN));
                    if ui.add(button).on_hover_text(UiCommand::ShowInbox.tooltip()).clicked() {
                        chosen = Some(UiCommand::ShowInbox);
                    }
                }
            });
        });
        chosen
    }

    /// The panel at the right: the card of a clicked person, else inbox or suspects.
    fn side(&mut self, ui: &mut Ui, state: &SiteState, pictures: &mut Pictures, asked: &mut Vec<Command>) {
        if let Some(card) = &mut self.card {
            let outcome = ScrollArea::vertical().auto_shrink(false).show(ui, |ui| card.ui(ui, state, pictures)).inner;
            match outcome {
                card::Outcome::Stays => {}
                card::Outcome::Closed => self.card = None,
                card::Outcome::Marked(command) => {
                    asked.push(command);
                    if self.screen == Screen::Review {
                        self.card = None; // what is watched goes on
                    } else {
                        self.open(Tab::Suspects);
                    }
                }
                card::Outcome::Show(suspect) => self.show_suspect(suspect),
                card::Outcome::Find(who) => self.start_find(state, who, asked),
            }
            return;
        }
        let waiting = self.inbox.pending(state).len();
        let followed = state.suspects.iter().filter(|view| view.suspect.is_followed(state.now)).count();
        ui.horizontal(|ui| {
            let width = (ui.available_width() - tokens::SPACE) / 2.0;
            for (tab, command, count) in
                [(Tab::Inbox, UiCommand::ShowInbox, waiting), (Tab::Suspects, UiCommand::ShowSuspects, followed)]
            {
                let words = if count > 0 { format!("{} {count}", command.text()) } else { command.text().to_owned() };
                let button = egui::Button::selectable(self.tab == tab, words)
                    .frame_when_inactive(true)
                    .min_size(vec2(width, 32.0));
                if ui.add(button).on_hover_text(format!("{} ({})", command.tooltip(), command.keys_text())).clicked() {
                    self.tab = tab;
                }
            }
        });
        ui.add_space(2.0);
        asked.extend(proposals::ui(ui, state, pictures));
        asked.extend(match self.tab {
            Tab::Inbox => self.inbox.ui(ui, state, pictures),
            Tab::Suspects => self.suspects.ui(ui, state, pictures),
        });
        if let Some(suspect) = self.suspects.take_find() {
            self.start_find(state, FindWho::Suspect(suspect), asked);
        }
        if let Some(suspect) = self.suspects.on_the_map() {
            self.map.show(suspect);
            self.screen = Screen::Map;
        }
    }
}

/// The sheet of shortcuts; `true` when it was closed.
fn sheet(context: &egui::Context) -> bool {
    let modal = egui::Modal::new(egui::Id::unique("shortcuts")).backdrop_color(tokens::BACKDROP).frame(
        Frame::new()
            .fill(tokens::RAISED)
            .stroke(Stroke::new(1.0, tokens::LINE_STRONG))
            .corner_radius(10)
            .inner_margin(Margin::same(24)),
    );
    let response = modal.show(context, |ui| {
        ui.heading("Keyboard shortcuts");
        ui.add_space(8.0);
        let height = context.content_rect().height() - 120.0; // of a small window it is a part, to be scrolled
        ScrollArea::vertical().max_height(height).min_scrolled_height(height).show(ui, |ui| {
            egui::Grid::new("shortcuts").num_columns(3).spacing(vec2(24.0, 2.0)).show(ui, |ui| {
                for command in UiCommand::ALL {
                    widgets::key(ui, &command.keys_text());
                    ui.label(command.text().trim_end_matches('…'));
                    ui.label(tokens::weak(command.tooltip()));
                    ui.end_row();
                }
            });
        });
    });
    response.backdrop_response.clicked()
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
