//! One's own password: for everybody.
use super::{NewPassword, Pending, users::submit};
use crate::{
    site::{AdminCommand, Command, SiteState},
    ui::{tokens, widgets},
};
use egui::{Frame, Margin, Stroke};

/// The dialog; it asks for the old password again, so that an unattended screen gives no account away.
#[derive(Default)]
pub struct OwnPassword {
    old: String,
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
        let frame = Frame::new()
            .fill(tokens::RAISED)
            .stroke(Stroke::new(1.0, tokens::LINE_STRONG))
            .corner_radius(10)
            .inner_margin(Margin::same(24));
        let modal = egui::Modal::new(egui::Id::unique(FORM)).backdrop_color(tokens::BACKDROP).frame(frame);
        modal
            .show(context, |ui| {
                ui.set_width(tokens::FORM_WIDTH - 48.0);
                ui.heading("Change password");
                let mut entered = false;
                let old = widgets::field(ui, FORM, "Password now", "", &mut self.old, !self.new.shown, &mut entered);
                if !std::mem::replace(&mut self.opened, true) {
                    old.request_focus();
                }
                self.new.ui(ui, FORM, &mut entered);
                self.pending.ui(ui);
                let gap = if self.old.is_empty() {
                    Some("Type the password you have")
                } else if self.new.is_ready() {
                    None
                } else {
                    Some("Type the new password twice, long enough and the same")
                };
                let mut asked = None;
                if submit(ui, "Change password", gap, &self.pending, entered) {
                    let (old, new) = (self.old.clone(), self.new.first.clone());
                    self.pending.send(state);
                    asked = Some(Command::Administer(AdminCommand::ChangeOwnPassword { old, new }));
                }
                if ui.button("Cancel").clicked() {
                    *self = Self::default();
                    *open = false;
                }
                asked
            })
            .inner
    }
}
