//! Users: who may log in.
use super::{
    Column, Conflict, NewPassword, Pending, change, confirm, conflict, row, side, state_chip, table, text, titles,
};
use crate::{
    model::User,
    site::{AdminCommand, AdminState, SiteState, UserView},
    store::NewUser,
    ui::{access::plausible_email, tokens, widgets},
};
use egui::{ScrollArea, Ui, vec2};

const COLUMNS: [Column; 6] =
    [("Name", 0.0), ("Badge number", 130.0), ("E-mail", 240.0), ("Role", 120.0), ("Sees", 130.0), ("State", 110.0)];

/// What the screen remembers.
#[derive(Default)]
pub struct Users {
    find: String,
    form: Option<Form>,
    pending: Pending,
}

enum Form {
    New(New),
    Edit(Box<Edit>),
}

#[derive(Default)]
struct New {
    cc: String,
    name: String,
    email: String,
    is_admin: bool,
    password: NewPassword,
    fresh: bool,
}

struct Edit {
    /// As it was when the form was opened.
    before: User,
    name: String,
    email: String,
    is_admin: bool,
    password: NewPassword,
    /// Deactivation waits for the second word.
    asking: bool,
    /// What was sent last.
    sent: Option<Sent>,
}

#[derive(Clone, Copy, PartialEq)]
enum Sent {
    Fields,
    Password,
    Active,
}

impl Edit {
    fn of(user: &User) -> Self {
        Self {
            before: user.clone(),
            name: user.name.clone(),
            email: user.email.clone(),
            is_admin: user.is_admin,
            password: NewPassword::default(),
            asking: false,
            sent: None,
        }
    }

    fn edited(&self) -> User {
        let (name, email) = (self.name.trim().to_owned(), self.email.trim().to_owned());
        User { name, email, is_admin: self.is_admin, ..self.before.clone() }
    }
}

impl Users {
    /// Whether a form is open in which something is typed.
    pub fn is_dirty(&self) -> bool {
        match &self.form {
            None => false,
            Some(Form::New(new)) => {
                [&new.cc, &new.name, &new.email].iter().any(|text| !text.is_empty()) || new.password.is_dirty()
            }
            Some(Form::Edit(edit)) => !edit.asking && (edit.edited() != edit.before || edit.password.is_dirty()),
        }
    }

    /// Closes a question, else the form; `false` when neither was open.
    pub fn back(&mut self) -> bool {
        if let Some(Form::Edit(edit)) = &mut self.form
            && std::mem::take(&mut edit.asking)
        {
            return true;
        }
        self.form.take().is_some()
    }

    /// The button that opens an empty form.
    pub fn add_button(&mut self, ui: &mut Ui) {
        if ui.add(widgets::primary("Add user…")).clicked() {
            self.form = Some(Form::New(New { fresh: true, ..New::default() }));
            self.pending = Pending::default();
        }
        ui.add(
            egui::TextEdit::singleline(&mut self.find).hint_text("Find by name, number or e-mail").desired_width(240.0),
        );
    }

    /// Draws list and form.
    pub fn ui(&mut self, ui: &mut Ui, state: &SiteState, user: &User) -> Option<AdminCommand> {
        let ended = self.pending.ended(state);
        let mut asked = None;
        side(ui, |ui| asked = self.form(ui, state, user, ended));
        table(ui, |ui| self.list(ui, state));
        if asked.is_some() {
            self.pending.send(state);
        }
        asked
    }

    fn list(&mut self, ui: &mut Ui, state: &SiteState) {
        let Some(users) = &state.admin.users else {
            widgets::empty(ui, "Users are being read", "They appear here in a moment");
            return;
        };
        let find = self.find.trim().to_lowercase();
        let fits = |v: &&UserView| {
            let user = &v.user;
            [&user.name, &user.cc, &user.email].iter().any(|field| field.to_lowercase().contains(&find))
        };
        let found: Vec<&UserView> = users.iter().filter(fits).collect();
        if found.is_empty() {
            widgets::empty(ui, "Nobody is found", "No name, number or e-mail address has these letters");
            return;
        }
        let open = match &self.form {
            Some(Form::Edit(edit)) => Some(edit.before.cc.clone()),
            _ => None,
        };
        titles(ui, &COLUMNS);
        ui.spacing_mut().item_spacing.y = 3.0;
        let mut clicked = None;
        ScrollArea::vertical().auto_shrink(false).show_rows(ui, super::ROW, found.len(), |ui, range| {
            for view in found.iter().skip(range.start).take(range.len()) {
                let selected = open.as_ref() == Some(&view.user.cc);
                let response = row(ui, &COLUMNS, &view.user.name, selected, |ui, column| cell(ui, state, view, column));
                if response.clicked() {
                    clicked = Some(view.user.clone());
                }
            }
        });
        if let Some(user) = clicked {
            self.form = Some(Form::Edit(Box::new(Edit::of(&user))));
            self.pending = Pending::default();
        }
    }

    fn form(&mut self, ui: &mut Ui, state: &SiteState, me: &User, ended: Option<bool>) -> Option<AdminCommand> {
        let pending = &self.pending;
        match &mut self.form {
            None => {
                widgets::empty(ui, "No user is selected", "Choose one in the list, or add one");
                None
            }
            Some(Form::New(new)) => {
                if ended == Some(true) {
                    let added =
                        state.admin.users.iter().flat_map(|all| all.iter()).find(|v| v.user.cc == new.cc.trim());
                    self.form = added.map(|view| Form::Edit(Box::new(Edit::of(&view.user))));
                    return None;
                }
                new.ui(ui, state, pending)
            }
            Some(Form::Edit(edit)) => {
                let now = state.admin.users.iter().flat_map(|all| all.iter()).find(|v| v.user.cc == edit.before.cc);
                let Some(now) = now else {
                    self.form = None;
                    return None;
                };
                if ended == Some(true) {
                    let typed = (edit.sent != Some(Sent::Password)).then(|| std::mem::take(&mut edit.password));
                    let fields = (edit.sent != Some(Sent::Fields))
                        .then(|| (edit.name.clone(), edit.email.clone(), edit.is_admin));
                    let unchanged = edit.edited() == edit.before;
                    **edit = Edit::of(&now.user);
                    edit.password = typed.unwrap_or_default();
                    if let Some((name, email, is_admin)) = fields.filter(|_| !unchanged) {
                        (edit.name, edit.email, edit.is_admin) = (name, email, is_admin);
                    }
                }
                edit.ui(ui, state, &now.user, me, pending)
            }
        }
    }
}

impl New {
    fn ui(&mut self, ui: &mut Ui, state: &SiteState, pending: &Pending) -> Option<AdminCommand> {
        const FORM: &str = "new user";
        ui.heading("Add user");
        ui.label(tokens::weak(rights_words(&state.admin)));
        let mut entered = false;
        let hint = "Citizen-card or badge number";
        let cc = widgets::field(ui, FORM, "Badge number", hint, &mut self.cc, &mut entered);
        if std::mem::take(&mut self.fresh) {
            cc.request_focus();
        }
        let tried = self.password.tried;
        let missing = self.cc.trim().is_empty().then_some("Type the badge number");
        widgets::fault(ui, missing.filter(|_| tried));
        let hint = "As it will stand in the action log";
        let fit =
            person(ui, FORM, (hint, "name@department.example"), &mut self.name, &mut self.email, tried, &mut entered);
        ui.checkbox(&mut self.is_admin, "Administrator: manages users and cameras, reads the log");
        ui.separator();
        self.password.ui(ui, FORM, &mut entered);
        pending.ui(ui);
        let ready = missing.is_none() && fit && self.password.is_ready();
        let sent = submit(ui, "Register user", ready, &mut self.password.tried, pending, entered);
        sent.then(|| {
            AdminCommand::AddUser(NewUser {
                cc: self.cc.trim().to_owned(),
                email: self.email.trim().to_owned(),
                name: self.name.trim().to_owned(),
                password: self.password.first.as_str().to_owned(),
                is_admin: self.is_admin,
            })
        })
    }
}

impl Edit {
    fn ui(&mut self, ui: &mut Ui, state: &SiteState, now: &User, me: &User, pending: &Pending) -> Option<AdminCommand> {
        let form = format!("user {}", self.before.cc);
        ui.heading(&now.name);
        ui.horizontal(|ui| {
            ui.label(tokens::weak(&now.cc));
            state_chip(ui, now.active);
        });
        if now.version != self.before.version {
            let changes = changes(&self.before, now);
            if self.edited() == self.before {
                // Nothing is typed: what it is now is what is shown.
                let password = std::mem::take(&mut self.password);
                *self = Self { password, ..Self::of(now) };
            } else if !pending.waits() {
                match conflict(ui, &changes) {
                    Some(Conflict::Take) => *self = Self::of(now),
                    Some(Conflict::Keep) => self.rebase(now),
                    None => {}
                }
            }
        }
        let mut asked = None;
        let mut entered = false;
        let fit = person(ui, &form, ("", ""), &mut self.name, &mut self.email, true, &mut entered);
        ui.checkbox(&mut self.is_admin, "Administrator: manages users and cameras, reads the log");
        if self.sent != Some(Sent::Password) {
            pending.ui(ui);
        }
        let is_changed = self.edited() != self.before;
        if save(ui, is_changed, fit, &mut false, pending, entered) {
            self.sent = Some(Sent::Fields);
            asked = Some(AdminCommand::EditUser(self.edited()));
        }
        ui.separator();
        ui.label(tokens::strong("Password"));
        let mut entered = false;
        self.password.ui(ui, &form, &mut entered);
        if self.sent == Some(Sent::Password) {
            pending.ui(ui);
        }
        let ready = self.password.is_ready();
        if submit(ui, "Set password", ready, &mut self.password.tried, pending, entered) {
            self.sent = Some(Sent::Password);
            let password = self.password.first.as_str().to_owned();
            asked = Some(AdminCommand::SetUserPassword { cc: self.before.cc.clone(), password });
        }
        ui.separator();
        if let Some(command) = self.activity(ui, now, me, pending) {
            self.sent = Some(Sent::Active);
            asked = Some(command);
        }
        ui.add_space(4.0);
        ui.label(tokens::small(rights_words(&state.admin)));
        asked
    }

    /// What was typed goes on top of what somebody else made of it; what was not stays theirs.
    fn rebase(&mut self, now: &User) {
        let before = std::mem::replace(&mut self.before, now.clone());
        if self.name.trim() == before.name {
            self.name.clone_from(&now.name);
        }
        if self.email.trim() == before.email {
            self.email.clone_from(&now.email);
        }
        if self.is_admin == before.is_admin {
            self.is_admin = now.is_admin;
        }
    }

    fn activity(&mut self, ui: &mut Ui, now: &User, me: &User, pending: &Pending) -> Option<AdminCommand> {
        let set = |active| AdminCommand::SetUserActive { cc: now.cc.clone(), active };
        if !now.active {
            ui.label(tokens::weak("This user cannot log in."));
            return ui.add_enabled(!pending.waits(), egui::Button::new("Reactivate")).clicked().then(|| set(true));
        }
        if now.cc == me.cc {
            ui.label(tokens::weak("Nobody can deactivate themselves: another administrator can."));
            return None;
        }
        if !self.asking {
            self.asking = ui.add_enabled(!pending.waits(), egui::Button::new("Deactivate…")).clicked();
            return None;
        }
        let question = format!(
            "Deactivate {}? Their sessions end at once, on every console. What they did stays in the log.",
            now.name
        );
        let answer = confirm(ui, &question, "Deactivate", "Leave active")?;
        self.asking = false;
        answer.then(|| set(false))
    }
}

fn cell(ui: &mut Ui, state: &SiteState, view: &UserView, column: usize) {
    let user = &view.user;
    match column {
        0 => text(ui, tokens::strong(&user.name)),
        1 => text(ui, &user.cc),
        2 => text(ui, tokens::weak(&user.email)),
        3 => text(ui, if user.is_admin { "administrator" } else { "operator" }),
        4 => text(ui, sees(state, view)),
        _ => state_chip(ui, user.active),
    }
}

/// Which cameras the user sees, in two words.
fn sees(state: &SiteState, view: &UserView) -> String {
    if view.user.is_admin || !state.admin.rights_hold() {
        return "every camera".to_owned();
    }
    match view.cameras.iter().filter(|id| state.cameras.iter().any(|c| c.camera.id == **id)).count() {
        0 => "no camera".to_owned(),
        n => format!("{n} of {}", state.cameras.len()),
    }
}

fn rights_words(admin: &AdminState) -> &'static str {
    if admin.rights_hold() {
        "Operators see the cameras given to them under Who sees what, and no others."
    } else {
        "Operators see every camera until rights are given under Who sees what."
    }
}

/// The fields of name and e-mail, with what is wrong in them once it was `tried`; whether they can be sent.
fn person(
    ui: &mut Ui,
    form: &str,
    (name_hint, email_hint): (&str, &str),
    name: &mut String,
    email: &mut String,
    tried: bool,
    entered: &mut bool,
) -> bool {
    widgets::field(ui, form, "Full name", name_hint, name, entered);
    let unnamed = name.trim().is_empty();
    widgets::fault(ui, (tried && unnamed).then_some("Type the full name"));
    widgets::field(ui, form, "E-mail", email_hint, email, entered);
    let wrong = !plausible_email(email.trim());
    widgets::fault(ui, (tried && wrong).then_some("Type an e-mail address such as name@example.org"));
    !(unnamed || wrong)
}

fn changes(before: &User, now: &User) -> Vec<String> {
    let role = |user: &User| if user.is_admin { "administrator" } else { "operator" };
    let active = |user: &User| if user.active { "active" } else { "deactivated" };
    let mut changes: Vec<String> = [
        change("Name", &before.name, &now.name),
        change("E-mail", &before.email, &now.email),
        change("Role", role(before), role(now)),
        change("State", active(before), active(now)),
    ]
    .into_iter()
    .flatten()
    .collect();
    if changes.is_empty() {
        changes.push("The password or the cameras the user may see".to_owned());
    }
    changes
}

/// The button at the end of a form; Enter presses it, too. Whether it can be sent: where it is not `ready`, `tried` becomes true, and the
/// fields say what is wrong.
pub(super) fn submit(
    ui: &mut Ui,
    words: &str,
    ready: bool,
    tried: &mut bool,
    pending: &Pending,
    entered: bool,
) -> bool {
    button(ui, words, None, ready, tried, pending, entered)
}

/// The same for a form of what there is already: where nothing is changed there is nothing to save, and the button says so.
pub(super) fn save(
    ui: &mut Ui,
    is_changed: bool,
    ready: bool,
    tried: &mut bool,
    pending: &Pending,
    entered: bool,
) -> bool {
    button(ui, "Save", (!is_changed).then_some("Nothing is changed"), ready, tried, pending, entered)
}

fn button(
    ui: &mut Ui,
    words: &str,
    blocked: Option<&str>,
    ready: bool,
    tried: &mut bool,
    pending: &Pending,
    entered: bool,
) -> bool {
    let enabled = blocked.is_none() && !pending.waits();
    let mut pressed = entered && enabled;
    ui.horizontal(|ui| {
        let button = widgets::primary(words).min_size(vec2(130.0, 32.0));
        let why = blocked.unwrap_or("The last change is being stored");
        pressed |= ui.add_enabled(enabled, button).on_disabled_hover_text(why).clicked();
        if pending.waits() {
            ui.spinner();
        }
    });
    *tried |= pressed && !ready;
    pressed && ready
}
