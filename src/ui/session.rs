//! What one user sees and has open, between login and logout.
use super::{
    access, administration, bookmark, card, cases,
    commands::{Part, UiCommand},
    export, find, health, inbox,
    keys::{Innermost, Keys},
    log, map, modal, proposals,
    questions::{self, Question},
    review, sheet, suspects, tokens, undo, wall,
    widgets::{self, Pictures},
};
use crate::model::{SuspectId, User};
use crate::site::{
    Clicked, Command, ExportCommand, ExportStage, FindCommand, FindWho, Judgement, ReviewCommand, SiteState,
};
use egui::{Align, Frame, Layout, Margin, RichText, ScrollArea, Stroke, Ui, vec2};

/// What belongs to the user who is logged in, and is forgotten at logout.
#[derive(Default)]
pub struct Session {
    keys: Keys,
    screen: Screen,
    tab: Tab,
    wall: wall::Wall,
    card: Option<card::Card>,
    inbox: inbox::Inbox,
    proposals: proposals::Proposals,
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
    question: Option<Question>,
    /// The person of whom the site was told that the card is open.
    pinned: Option<Clicked>,
    undo: undo::Offer,
}

/// What can lie open over a screen, or be under way on it.
#[derive(Clone, Copy, PartialEq)]
enum Opened {
    Question,
    Sheet,
    Bookmark,
    Export,
    Password,
    Health,
    Case,
    LogExport,
    Administration,
    MarkForm,
    Suspects,
}

impl Opened {
    /// Whether it is a part of the screen, and no dialog over it.
    fn is_form(self) -> bool {
        matches!(self, Self::Administration | Self::Suspects)
    }
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

impl Session {
    /// What is innermost now: it takes the keys, and Esc closes it.
    fn innermost(&self, state: &SiteState) -> Innermost {
        match self.opened(state) {
            Some((Opened::Sheet, _)) => Innermost::Sheet,
            Some((Opened::MarkForm, _)) => Innermost::MarkForm,
            Some((opened, dirty)) if opened.is_form() => {
                if dirty {
                    Innermost::Form
                } else {
                    Innermost::Screen
                }
            }
            Some(_) => Innermost::Dialog,
            None => Innermost::Screen,
        }
    }

    /// The innermost thing that is open beside the screen itself, and whether something is typed in it.
    fn opened(&self, state: &SiteState) -> Option<(Opened, bool)> {
        if self.question.is_some() {
            return Some((Opened::Question, false));
        }
        if self.shortcuts {
            return Some((Opened::Sheet, false));
        }
        if let Some(form) = &self.bookmark {
            return Some((Opened::Bookmark, form.is_dirty()));
        }
        if let Some(view) = &state.export {
            let asks = matches!(view.stage, ExportStage::Planned | ExportStage::Failed(_));
            return Some((Opened::Export, asks && self.export.is_dirty()));
        }
        if self.password {
            return Some((Opened::Password, self.own_password.is_dirty()));
        }
        if self.health {
            return Some((Opened::Health, false));
        }
        match self.screen {
            Screen::Cases => self.cases.dialog_is_dirty().map(|dirty| (Opened::Case, dirty)),
            Screen::Log => self.log.has_dialog().then_some((Opened::LogExport, false)),
            Screen::Administration => self.administration.is_dirty().then_some((Opened::Administration, true)),
            Screen::Wall | Screen::Review | Screen::Find => match self.form_on_card() {
                Some(dirty) => Some((Opened::MarkForm, dirty)),
                None if self.screen == Screen::Wall && self.card.is_none() && self.tab == Tab::Suspects => {
                    self.suspects.is_dirty(state).then_some((Opened::Suspects, true))
                }
                None => None,
            },
            Screen::Map => None,
        }
    }

    /// Takes the keys that were pressed, and does what they mean.
    pub fn keys(&mut self, context: &egui::Context, state: &SiteState, user: &User, asked: &mut Vec<Command>) {
        let innermost = self.innermost(state);
        for (command, position) in self.keys.pressed(context, innermost, self.base()) {
            self.run(context, state, command, position, user.is_admin, asked);
        }
    }

    fn run(
        &mut self,
        context: &egui::Context,
        state: &SiteState,
        command: UiCommand,
        position: usize,
        is_admin: bool,
        asked: &mut Vec<Command>,
    ) {
        let in_player = self.screen == Screen::Review && matches!(self.keys.part(), Some(Part::Player | Part::Card));
        if in_player && self.review.run(state, command, position, asked) {
            return;
        }
        match command {
            UiCommand::ConfirmMatch | UiCommand::RejectMatch => {
                let confirms = command == UiCommand::ConfirmMatch;
                let judgement = if confirms { Judgement::Confirm } else { Judgement::Reject };
                let selected = self.inbox.selected();
                if let Some(id) = selected.filter(|id| self.keys.decides(context, *id)) {
                    asked.extend(self.inbox.decide(state, id, judgement));
                }
            }
            UiCommand::NextMatch | UiCommand::PreviousMatch => {
                self.show(Tab::Inbox);
                self.inbox.step(state, command == UiCommand::NextMatch);
            }
            UiCommand::ShowProposal => {
                if !proposals::waiting(state).is_empty() {
                    self.keys.give(Some(Part::Proposal));
                }
            }
            UiCommand::ConfirmProposal | UiCommand::DropProposal => {
                if self.proposals.shown().is_some_and(|id| self.keys.decides(context, id)) {
                    asked.extend(self.proposals.decide(state, command == UiCommand::ConfirmProposal));
                }
            }
            UiCommand::NextEntry | UiCommand::PreviousEntry => self.log.step(state, command == UiCommand::NextEntry),
            UiCommand::NewerEntries | UiCommand::OlderEntries => {
                asked.extend(self.log.turn(state, command == UiCommand::NewerEntries));
            }
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
            UiCommand::Back => self.back(state, asked),
            UiCommand::ShowCamera => {
                self.go(Screen::Wall, state, asked);
                self.wall.toggle(state, position);
            }
            UiCommand::ShowInbox => self.show(Tab::Inbox),
            UiCommand::ShowSuspects => self.show(Tab::Suspects),
            UiCommand::ShowShortcuts => self.shortcuts = !self.shortcuts,
            UiCommand::ShowWall => self.go(Screen::Wall, state, asked),
            UiCommand::ShowReview => self.go(Screen::Review, state, asked),
            UiCommand::Replay => {
                if let Some(camera) = self.wall.pointed_at(state) {
                    self.screen = Screen::Review;
                    self.keys.give(Some(Part::Player));
                    self.card = None;
                    self.review.show_replay();
                    asked.push(Command::Review(ReviewCommand::Replay(camera)));
                }
            }
            UiCommand::PutBookmark => {
                let camera = self.wall.pointed_at(state).and_then(|id| widgets::camera(state, id));
                self.bookmark = camera.map(|view| {
                    let at = view.frame.as_ref().map_or(state.now, crate::video::Frame::captured_at);
                    bookmark::Form::new(view.camera.id, at, at)
                });
            }
            UiCommand::ShowMap => self.go(Screen::Map, state, asked),
            UiCommand::ShowCases => self.go(Screen::Cases, state, asked),
            UiCommand::ShowLog if is_admin => self.go(Screen::Log, state, asked),
            UiCommand::ShowAdministration if is_admin => self.go(Screen::Administration, state, asked),
            UiCommand::ShowLog | UiCommand::ShowAdministration => {}
            UiCommand::ChangePassword => self.password = true,
            UiCommand::FindPerson => {
                self.go(Screen::Find, state, asked);
                if let Some(who) = self.card.as_ref().map(|card| card.who(state)) {
                    asked.push(self.find.start(state, who));
                }
            }
            UiCommand::ShowHealth => self.health = !self.health,
            UiCommand::LogOut => asked.push(Command::Logout),
            UiCommand::Quit => self.quit(context, state),
            // Keys of the player, which has done what they mean.
            UiCommand::PlayPause
            | UiCommand::PlayForward
            | UiCommand::PlayBackward
            | UiCommand::Stand
            | UiCommand::StepOn
            | UiCommand::StepBack
            | UiCommand::JumpOn
            | UiCommand::JumpBack
            | UiCommand::MarkIn
            | UiCommand::MarkOut => {}
        }
    }

    /// Closes the console, or asks where that would end something.
    pub fn quit(&mut self, context: &egui::Context, state: &SiteState) {
        if questions::ends(state).is_empty() {
            questions::leave(context);
        } else {
            self.question = Some(Question::Quit);
        }
    }

    /// Shows a screen and gives the keys to its own part.
    fn go(&mut self, screen: Screen, state: &SiteState, asked: &mut Vec<Command>) {
        let came = self.screen != screen;
        self.screen = screen;
        self.keys.give(self.base());
        if came && screen == Screen::Review {
            self.review.come_back(state, asked);
        }
    }

    /// Shows inbox or suspects and gives them the keys.
    fn show(&mut self, tab: Tab) {
        self.screen = Screen::Wall;
        self.card = None;
        self.tab = tab;
        self.keys.give(Some(match tab {
            Tab::Inbox => Part::Inbox,
            Tab::Suspects => Part::Suspects,
        }));
    }

    /// Esc: closes the innermost thing, and nothing else; a form with something typed asks first.
    fn back(&mut self, state: &SiteState, asked: &mut Vec<Command>) {
        match self.opened(state) {
            Some((_, true)) => self.question = Some(Question::Discard),
            Some((opened, false)) => self.close(opened, state, asked),
            None => self.back_on_screen(state, asked),
        }
    }

    fn close(&mut self, opened: Opened, state: &SiteState, asked: &mut Vec<Command>) {
        match opened {
            Opened::Question => self.question = None,
            Opened::Sheet => self.shortcuts = false,
            Opened::Bookmark => self.bookmark = None,
            // One that is being written goes on until its own button stops it.
            Opened::Export if matches!(&state.export, Some(v) if matches!(v.stage, ExportStage::Running { .. })) => {}
            Opened::Export => asked.push(Command::Export(ExportCommand::Close)),
            Opened::Password => {
                self.password = false;
                self.own_password = administration::OwnPassword::default();
            }
            Opened::Health => self.health = false,
            Opened::Case => drop(self.cases.back()),
            Opened::LogExport => drop(self.log.close()),
            Opened::Administration => drop(self.administration.back()),
            Opened::MarkForm => drop(self.card.as_mut().map(card::Card::close_form)),
            Opened::Suspects => drop(self.suspects.close()),
        }
    }

    /// Nothing lies over the screen: what is open on it is closed, at last the screen itself.
    fn back_on_screen(&mut self, state: &SiteState, asked: &mut Vec<Command>) {
        if self.shows_card() {
            self.card = None;
            self.keys.give(self.base());
            return;
        }
        let closed = match self.screen {
            Screen::Administration => self.administration.back(),
            Screen::Map => self.map.back(),
            Screen::Cases => self.cases.back(),
            Screen::Log => self.log.close(),
            Screen::Wall => self.suspects.close() || self.wall.show_all(),
            Screen::Review | Screen::Find => false,
        };
        if !closed && self.screen != Screen::Wall {
            self.go(Screen::Wall, state, asked);
        }
    }

    /// The answer to a question.
    fn answer(&mut self, context: &egui::Context, state: &SiteState, asked: &mut Vec<Command>) {
        let Some(question) = self.question else { return };
        let Some(yes) = question.ui(context, state) else { return };
        self.question = None;
        if !yes {
            return;
        }
        match question {
            Question::Quit => questions::leave(context),
            Question::Discard => {
                if let Some((opened, _)) = self.opened(state) {
                    self.close(opened, state, asked);
                }
            }
        }
    }

    /// The site keeps what was seen of the person whose card is open.
    fn pin(&mut self, asked: &mut Vec<Command>) {
        match (&self.card, &self.pinned) {
            (Some(card), pinned) if !pinned.as_ref().is_some_and(|pinned| card.is_of(pinned)) => {
                let clicked = card.clicked();
                asked.push(Command::OpenCard(clicked.clone()));
                self.pinned = Some(clicked);
            }
            (None, Some(_)) => {
                asked.push(Command::CloseCard);
                self.pinned = None;
            }
            _ => {}
        }
    }

    fn start_find(&mut self, state: &SiteState, who: FindWho, asked: &mut Vec<Command>) {
        self.go(Screen::Find, state, asked);
        asked.push(self.find.start(state, who));
    }

    fn show_suspect(&mut self, id: SuspectId) {
        self.show(Tab::Suspects);
        self.suspects.show(id);
    }

    /// Draws the console for this user.
    pub fn ui(
        &mut self,
        ui: &mut Ui,
        state: &SiteState,
        user: &User,
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
            if health::status_bar(ui, state, &user.name, self.keys.part()) {
                self.health = !self.health;
            }
        });
        if self.screen == Screen::Wall || self.shows_card() {
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
                if self.review.shows_player() {
                    self.keys.claim(ui, Part::Player, ui.max_rect());
                }
                let open = self.card.as_ref().map(card::Card::subject);
                if let Some(click) = self.review.ui(ui, state, largest, open, pictures, asked) {
                    self.open_card(click);
                }
            }
            Screen::Map => {
                self.keys.claim(ui, Part::Other, ui.max_rect());
                asked.extend(self.map.ui(ui, state, user.is_admin));
            }
            Screen::Cases => {
                self.keys.claim(ui, Part::Other, ui.max_rect());
                asked.extend(self.cases.ui(ui, state, user, pictures));
            }
            Screen::Administration => asked.extend(self.administration.ui(ui, state, user, pictures)),
            Screen::Find => {
                self.keys.claim(ui, Part::Other, ui.max_rect());
                let command = self.find.ui(ui, state, pictures);
                if let Some(person) = self.find.take_marked() {
                    self.open_card(person);
                }
                if matches!(command, Some(Command::Find(FindCommand::Close))) {
                    self.find = find::Find::default();
                    self.card.take_if(|card| card.is_stored());
                    self.go(Screen::Wall, state, asked);
                }
                asked.extend(command);
            }
            Screen::Log => {
                self.keys.claim(ui, Part::Log, ui.max_rect());
                asked.extend(self.log.ui(ui, state));
            }
            Screen::Wall => {
                self.keys.claim(ui, Part::Wall, ui.max_rect());
                let open = self.card.as_ref().map(card::Card::subject);
                if let Some(click) = self.wall.ui(ui, state, largest, open) {
                    self.open_card(click);
                }
            }
        });
        match self.cases.take_lead() {
            Some(cases::Leads::Watch(b)) => {
                self.screen = Screen::Review;
                self.review.go_to(state, &b, asked);
                self.keys.give(Some(Part::Player));
            }
            Some(cases::Leads::Suspect(id)) => self.show_suspect(id),
            Some(cases::Leads::Map(id)) => {
                self.map.show(id);
                self.go(Screen::Map, state, asked);
            }
            None => {}
        }
        if self.review.wants_wall() {
            self.go(Screen::Wall, state, asked);
        }
        if self.screen != Screen::Review {
            asked.extend(self.review.leave(state));
        }
        if matches!(self.screen, Screen::Log | Screen::Administration) && !user.is_admin {
            self.go(Screen::Wall, state, asked); // an administrator no more
        }
        self.dialogs(ui.ctx(), state, asked);
        self.pin(asked);
        if asked.iter().any(|command| matches!(command, Command::Export(ExportCommand::Plan { .. }))) {
            self.export.is_asked(state);
        }
        self.keys.end(ui.ctx());
    }

    /// What lies over the screen.
    fn dialogs(&mut self, context: &egui::Context, state: &SiteState, asked: &mut Vec<Command>) {
        asked.extend(self.undo.ui(context, state));
        if self.password {
            asked.extend(self.own_password.ui(context, state, &mut self.password));
        }
        if let Some(command) = self.review.dropped(context) {
            self.go(Screen::Review, state, asked);
            asked.push(command);
        }
        asked.extend(self.export.ui(context, state));
        self.bookmark = self.review.take_bookmark().or(self.bookmark.take());
        if let Some(form) = &mut self.bookmark {
            let mut open = true;
            asked.extend(form.ui(context, state, &mut open));
            if !open {
                self.bookmark = None;
                self.keys.give_back();
            }
        }
        if self.health {
            asked.extend(health::window(context, state, &mut self.health));
        }
        if self.shortcuts {
            self.shortcuts = !sheet::ui(context);
        }
        self.answer(context, state, asked);
    }

    /// Whether a card is on the screen. Beside a search it is only that of somebody whom it found.
    fn shows_card(&self) -> bool {
        self.card.as_ref().is_some_and(|card| match self.screen {
            Screen::Wall | Screen::Review => true,
            Screen::Find => card.is_stored(),
            Screen::Map | Screen::Cases | Screen::Log | Screen::Administration => false,
        })
    }

    /// Whether something is typed in the form on the card, where one is on the screen.
    fn form_on_card(&self) -> Option<bool> {
        self.card.as_ref().filter(|_| self.shows_card())?.form_is_dirty()
    }

    /// The card of a person who was just clicked takes the keys.
    fn open_card(&mut self, click: Clicked) {
        self.card = Some(card::Card::new(click, self.card.take()));
        self.keys.give(Some(Part::Card));
    }

    /// The part of the screen that is under a card.
    fn base(&self) -> Option<Part> {
        match self.screen {
            Screen::Wall => Some(Part::Wall),
            Screen::Review => Some(Part::Player).filter(|_| self.review.shows_player()),
            Screen::Log => Some(Part::Log),
            Screen::Map | Screen::Cases | Screen::Find => Some(Part::Other),
            Screen::Administration => None,
        }
    }

    /// The bar at the top: where one is, what waits, who is logged in.
    fn bar(&mut self, ui: &mut Ui, state: &SiteState, user: &User) -> Option<UiCommand> {
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
                if ui.add(button).on_hover_text(command.help()).clicked() {
                    chosen = Some(command);
                }
            }
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                modal::menu(ui, format!("{} ⏷", user.name), |ui| {
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
            self.keys.claim(ui, Part::Card, ui.max_rect());
            let outcome = ScrollArea::vertical().auto_shrink(false).show(ui, |ui| card.ui(ui, state, pictures)).inner;
            match outcome {
                card::Outcome::Stays => {}
                card::Outcome::Closed => {
                    self.card = None;
                    self.keys.give(self.base());
                }
                card::Outcome::Marked(command) => {
                    asked.push(command);
                    if self.screen != Screen::Wall {
                        self.card = None; // what is watched, or searched, goes on
                        self.keys.give(self.base());
                    } else {
                        self.show(Tab::Suspects);
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
                if ui.add(button).on_hover_text(command.help()).clicked() {
                    self.show(tab);
                }
            }
        });
        ui.add_space(2.0);
        let part = if self.tab == Tab::Inbox { Part::Inbox } else { Part::Suspects };
        self.keys.claim(ui, part, ui.max_rect().expand(8.0));
        asked.extend(self.proposals.ui(ui, state, pictures, &mut self.keys));
        asked.extend(match self.tab {
            Tab::Inbox => self.inbox.ui(ui, state, pictures, &mut self.keys),
            Tab::Suspects => self.suspects.ui(ui, state, pictures),
        });
        if let Some(suspect) = self.suspects.take_find() {
            self.start_find(state, FindWho::Suspect(suspect), asked);
        }
        if let Some(suspect) = self.suspects.on_the_map() {
            self.map.show(suspect);
            self.go(Screen::Map, state, asked);
        }
    }
}
