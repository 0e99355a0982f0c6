//! The form of a bookmark: what there is to see, at which instant or in which stretch, on one camera or on all.
use super::{
    form::{Fields, needed},
    modal, tokens, widgets,
};
use crate::{
    model::{Bookmark, CameraId, CaseId, Timestamp},
    site::{BookmarkCommand, Command, SiteState},
};
use egui::{Context, Margin, TextEdit, Ui};

/// A bookmark that is being put.
pub struct Form {
    camera: CameraId,
    from: Timestamp,
    until: Timestamp,
    everywhere: bool,
    case: Option<CaseId>,
    words: String,
    focus: bool,
    /// Whether it was tried to send it as it is.
    tried: bool,
}

impl Form {
    /// A bookmark on this camera, of an instant or a stretch.
    pub fn new(camera: CameraId, from: Timestamp, until: Timestamp) -> Self {
        Self { camera, from, until, everywhere: false, case: None, words: String::new(), focus: true, tried: false }
    }

    /// Whether something is typed.
    pub fn is_dirty(&self) -> bool {
        !self.words.trim().is_empty()
    }

    /// Draws the dialog. `open` becomes false when it is done.
    pub fn ui(&mut self, context: &Context, state: &SiteState, open: &mut bool) -> Option<Command> {
        let mut command = None;
        modal::dialog(context, "bookmark", tokens::FORM_WIDTH, |ui| {
            ui.label(tokens::strong("Bookmark").size(18.0));
            ui.label(format!("{} · {}", self.place(state), when(self.from, self.until)));
            let label = ui.label(tokens::small("What is there to see?"));
            let field = TextEdit::singleline(&mut self.words)
                .id(egui::Id::unique("words of a bookmark"))
                .char_limit(Bookmark::WORDS)
                .hint_text("hands over a bag")
                .margin(Margin::symmetric(10, 8))
                .desired_width(f32::INFINITY);
            let field = ui.add(field).labelled_by(label.id);
            if std::mem::take(&mut self.focus) {
                field.request_focus();
            }
            let entered = widgets::entered(ui, &field);
            let mut tried = self.tried;
            let mut fields = Fields::new("bookmark", &mut tried);
            let missing = "Say what there is to see: a bookmark is found by its words";
            fields.check(ui, &field, needed(missing)(&self.words));
            ui.checkbox(&mut self.everywhere, "On all cameras");
            self.choose_case(ui, state);
            ui.add_space(6.0);
            ui.horizontal(|ui| {
                let put = ui.add(widgets::primary("Put bookmark")).on_hover_text("Enter");
                if fields.sends(put.clicked() || entered) {
                    let camera = (!self.everywhere).then_some(self.camera);
                    let words = self.words.trim().to_owned();
                    let (from, until, case) = (self.from, self.until, self.case);
                    let put = BookmarkCommand::Put { camera, from, until, words, case };
                    command = Some(Command::Bookmark(put));
                    *open = false;
                }
                if ui.button("Not now").on_hover_text("Esc").clicked() {
                    *open = false;
                }
            });
            self.tried = tried;
        });
        command
    }

    fn choose_case(&mut self, ui: &mut Ui, state: &SiteState) {
        let open: Vec<_> = state.casework.cases.iter().filter(|v| v.case.closed.is_none()).collect();
        if open.is_empty() {
            return;
        }
        let named = |id: CaseId| open.iter().find(|v| v.case.id == id).map(|v| v.case.name.as_str());
        ui.horizontal(|ui| {
            ui.label("Case");
            let chosen = self.case.and_then(named).unwrap_or("none: for all who may see the camera");
            let list = egui::ComboBox::from_id_salt("case of a bookmark").selected_text(chosen).width(320.0);
            modal::choose(list, ui, |ui| {
                ui.selectable_value(&mut self.case, None, "none: for all who may see the camera");
                for view in &open {
                    ui.selectable_value(&mut self.case, Some(view.case.id), &view.case.name);
                }
            });
        });
    }

    fn place<'a>(&self, state: &'a SiteState) -> &'a str {
        if self.everywhere { "All cameras" } else { widgets::camera_name(state, self.camera) }
    }
}

/// Where something is: the camera's name, all of them, or one that is none of this user's.
pub fn place(state: &SiteState, camera: Option<CameraId>) -> &str {
    match camera {
        None => "All cameras",
        Some(id) => widgets::camera_name(state, id),
    }
}

/// `2026-11-22 14:03:22`, or from when to when.
pub fn when(from: Timestamp, until: Timestamp) -> String {
    if from == until {
        return from.local_date_time();
    }
    let (a, b) = (from.local_date_time(), until.local_date_time());
    match (a.get(..10), b.get(..10)) {
        (Some(day), Some(other)) if day == other => format!("{a} – {}", until.local_time()),
        _ => format!("{a} – {b}"),
    }
}
