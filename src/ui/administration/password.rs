//! One's own password: for everybody.
use super::{NewPassword, Pending, users::submit};
use crate::{
    site::{AdminCommand, Command, SiteState},
    ui::{modal, secret::Secret, tokens, widgets},
};

/// The dialog; it asks for the old password again, so that an unattended screen gives no account away.
#[derive(Default)]
pub struct OwnPassword {
    old: Secret,
    new: NewPassword,
    opened: bool,
    pending: Pending,
}

impl OwnPassword {
    /// Draws the dialog; `open` becomes false when it is over.
    pub fn ui(&mut self, context: &egui::Context, state: &SiteState, open: &mut bool) -> Option<Command> {
        const FORM: &str = "own password";
        if self.pending.ended(state) == Some(true) {
            *self = Self::default();
            *open = false;
            return None;
        }
        modal::dialog(context, FORM, tokens::FORM_WIDTH - 48.0, |ui| {
            ui.heading("Change password");
            let mut entered = false;
            let old = self.old.field(ui, FORM, "Password now", "", self.new.shown, &mut entered);
            if !std::mem::replace(&mut self.opened, true) {
                old.request_focus();
            }
            let missing = self.old.is_empty().then_some("Type the password you have");
            widgets::fault(ui, missing.filter(|_| self.new.tried));
            self.new.ui(ui, FORM, &mut entered);
            self.pending.ui(ui);
            let ready = missing.is_none() && self.new.is_ready();
            let mut asked = None;
            if submit(ui, "Change password", ready, &mut self.new.tried, &self.pending, entered) {
                let (old, new) = (self.old.as_str().to_owned(), self.new.first.as_str().to_owned());
                self.pending.send(state);
                asked = Some(Command::Administer(AdminCommand::ChangeOwnPassword { old, new }));
            }
            if ui.button("Cancel").clicked() {
                *self = Self::default();
                *open = false;
            }
            asked
        })
    }

    /// Whether something is typed.
    pub fn is_dirty(&self) -> bool {
        !self.old.is_empty() || self.new.is_dirty()
    }
}
