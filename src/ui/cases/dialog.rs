//! The dialogs of a case: each says what is wrong in which field.
use super::super::{
    bookmark::place,
    form::{Fields, needed},
    modal, tokens, widgets,
};
use crate::{
    model::{CameraId, CaseChange, CaseId, Timestamp, User},
    site::{CaseCommand, Command, SiteState},
};
use egui::{ComboBox, Context, Ui};
use uuid::Uuid;

/// What is wrong with a time that cannot be read.
const A_TIME: &str = "Type a time such as 2026-11-22 14:03:22";

/// What is being said.
pub enum Dialog {
    /// A new case.
    Open { number: String, name: String },
    /// Another number or name.
    Rename { case: CaseId, number: String, name: String },
    /// The case ends.
    Close { case: CaseId, why: String },
    /// The case goes on.
    Reopen { case: CaseId, why: String },
    /// Video is not to be deleted.
    Hold { case: CaseId, camera: Option<CameraId>, from: String, until: String, reason: String },
    /// Video may be deleted again.
    Lift { hold: Uuid, what: String, reason: String },
}

/// The dialog that is open.
pub struct Asked {
    dialog: Dialog,
    /// Whether it was tried to send it as it is.
    tried: bool,
}

impl Asked {
    /// A dialog that just opened.
    pub fn new(dialog: Dialog) -> Self {
        Self { dialog, tried: false }
    }

    /// Whether something is typed.
    pub fn is_dirty(&self) -> bool {
        self.dialog.is_dirty()
    }

    /// Draws the dialog; the command once it is said. `done` becomes true when it is left.
    pub fn ui(&mut self, context: &Context, state: &SiteState, user: &User, done: &mut bool) -> Option<Command> {
        let Self { dialog, tried } = self;
        modal::dialog(context, "case", tokens::FORM_WIDTH, |ui| dialog.ui(ui, state, user, tried, done))
    }
}

impl Dialog {
    fn is_dirty(&self) -> bool {
        let typed = |texts: &[&String]| texts.iter().any(|text| !text.trim().is_empty());
        match self {
            Self::Open { number, name } => typed(&[number, name]),
            Self::Rename { .. } => true,
            Self::Close { why: text, .. } | Self::Reopen { why: text, .. } => typed(&[text]),
            Self::Hold { reason: text, .. } | Self::Lift { reason: text, .. } => typed(&[text]),
        }
    }

    /// Holding this stretch for a case.
    pub fn hold(case: CaseId, camera: Option<CameraId>, from: Timestamp, until: Timestamp, reason: String) -> Self {
        let (from, until) = (from.local_with_offset(), until.local_with_offset());
        Self::Hold { case, camera, from, until, reason }
    }

    /// Draws it; the command once it is said. `done` becomes true when it is left.
    fn ui(
        &mut self,
        ui: &mut Ui,
        state: &SiteState,
        user: &User,
        tried: &mut bool,
        done: &mut bool,
    ) -> Option<Command> {
        let mut form = Fields::new("case", tried);
        // The words of each button, whether it ends something, and what it asks for once all is said.
        let mut buttons: Vec<(&str, bool, CaseCommand)> = Vec::new();
        match self {
            Self::Open { number, name } => {
                let words = "You work on it, and whom you hand it to. Nobody else sees it but administrators";
                title(ui, "New case", words);
                named(ui, &mut form, number, name);
                buttons.push(("Open case", false, CaseCommand::Open { number: number.clone(), name: name.clone() }));
            }
            Self::Rename { case, number, name } => {
                title(ui, "Rename the case", "Its earlier names stay in the action log");
                named(ui, &mut form, number, name);
                let rename = CaseChange::Rename { number: number.clone(), name: name.clone() };
                buttons.push(("Rename", false, CaseCommand::Change(*case, rename)));
            }
            Self::Close { case, why } => {
                let id = *case;
                let view = state.casework.cases.iter().find(|v| v.case.id == id);
                let held = view.map_or(0, |v| v.holds.iter().filter(|h| h.released.is_none()).count());
                let words = match held {
                    0 => "Nothing is held for it. It can be opened again".to_owned(),
                    1 => "One stretch of video is held for it: decide what becomes of it".to_owned(),
                    n => format!("{n} stretches of video are held for it: decide what becomes of them"),
                };
                title(ui, "Close the case", &words);
                let missing = needed("Say why it is closed: that stays with the case");
                form.text(ui, "Why", "solved, handed to the court, …", why, missing);
                let close = |lift_holds| CaseCommand::Close { case: id, why: why.clone(), lift_holds };
                if held == 0 {
                    buttons.push(("Close case", false, close(false)));
                } else {
                    buttons.push(("Close, keep holding", false, close(false)));
                    buttons.push(("Close, lift the holds", true, close(true)));
                }
            }
            Self::Reopen { case, why } => {
                title(ui, "Open the case again", "Holds that were lifted stay lifted");
                let missing = needed("Say why it is opened again: that stays with the case");
                form.text(ui, "Why", "a new witness", why, missing);
                buttons.push((
                    "Open again",
                    false,
                    CaseCommand::Change(*case, CaseChange::Reopen { why: why.clone() }),
                ));
            }
            Self::Hold { case, camera, from, until, reason } => {
                let words = "What is held, with all that was seen on it, is not deleted until the hold is lifted";
                title(ui, "Hold video", words);
                camera_to_hold(ui, state, user, camera);
                let hint = "2026-11-22 14:03:22";
                form.text(ui, "From", hint, from, |text| Timestamp::parse_local(text).is_none().then_some(A_TIME));
                let starts = Timestamp::parse_local(from);
                form.text(ui, "To", hint, until, |text| match Timestamp::parse_local(text) {
                    None => Some(A_TIME),
                    Some(ends) => starts.filter(|starts| *starts > ends).map(|_| "This is before the beginning"),
                });
                form.text(ui, "Reason", "evidence for the court", reason, needed("Say why the video is held"));
                // Where one cannot be read the form is not sent.
                let [from, until] = [from, until].map(|text| Timestamp::parse_local(text).unwrap_or(state.now));
                let (case, camera, reason) = (*case, *camera, reason.clone());
                buttons.push(("Hold", false, CaseCommand::Hold { case, camera, from, until, reason }));
            }
            Self::Lift { hold, what, reason } => {
                let words = format!("{what}. What is older than this site keeps is deleted soon after");
                title(ui, "Lift the hold", &words);
                form.text(ui, "Reason", "the court is done", reason, needed("Say why it is no longer held"));
                buttons.push(("Lift", true, CaseCommand::Lift { hold: *hold, reason: reason.clone() }));
            }
        }
        ui.add_space(8.0);
        let only = buttons.len() == 1; // Enter decides only where there is nothing to choose
        let mut command = None;
        ui.horizontal(|ui| {
            for (words, ends, wanted) in buttons {
                let button = if ends { widgets::danger(words) } else { widgets::primary(words) };
                let pressed = ui.add(button).clicked() || (form.entered() && only && !ends);
                if form.sends(pressed) {
                    command = Some(Command::Case(wanted));
                }
            }
            *done = ui.button("Not now").on_hover_text("Esc").clicked();
        });
        command
    }
}

/// Number and name of a case.
fn named(ui: &mut Ui, form: &mut Fields<'_>, number: &mut String, name: &mut String) {
    form.text(ui, "Number", "118/2026", number, needed("Type the number of the case"));
    form.text(ui, "Name", "Theft at the kiosk", name, needed("Type a name that tells the case from others"));
}

fn camera_to_hold(ui: &mut Ui, state: &SiteState, user: &User, camera: &mut Option<CameraId>) {
    ui.horizontal(|ui| {
        ui.label(tokens::strong("Camera").size(13.0));
        let list = ComboBox::from_id_salt("camera to hold").selected_text(place(state, *camera));
        modal::choose(list.width(240.0), ui, |ui| {
            if user.is_admin {
                ui.selectable_value(camera, None, "All cameras");
            }
            for view in &state.cameras {
                ui.selectable_value(camera, Some(view.camera.id), &view.camera.name);
            }
        });
    });
}

fn title(ui: &mut Ui, title: &str, words: &str) {
    ui.label(tokens::strong(title).size(18.0));
    ui.label(tokens::weak(words));
    ui.add_space(4.0);
}
