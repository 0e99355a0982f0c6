//! The dialog that hands out a package, of a suspect or of a stretch of video: what it will hold and what is missing, why and to whom,
//! and how far it is.
use super::{
    dialog::FileDialog,
    form::{Fields, needed},
    modal, tokens,
    widgets::{self},
};
use crate::{
    model::{Case, CaseId, Timestamp},
    site::{
        Command, ExportCommand, ExportOf, ExportPlan, ExportRequest, ExportStage, ExportView, NoticeLevel, SiteState,
    },
};
use egui::{ComboBox, Context, ProgressBar, RichText, ScrollArea, TextEdit, Ui};
use std::path::{Path, PathBuf};

/// A plan that has not come after this long will not come, seconds: the site waits at most 15 s for a file under way.
const PLANNED_WITHIN: f64 = 20.0;

/// What is typed; forgotten for another suspect or stretch.
#[derive(Default)]
pub struct Form {
    of: Option<ExportOf>,
    case: Option<CaseId>,
    reason: String,
    recipient: String,
    path: String,
    pending: bool,
    burn_in: bool,
    /// Just opened: the first field has the keyboard.
    fresh: bool,
    /// Whether it was tried to send it as it is.
    tried: bool,
    dialog: Option<FileDialog>,
    trouble: Option<String>,
    /// Since when a plan is asked for.
    asked_at: Option<Timestamp>,
}

impl Form {
    /// A plan was just asked for.
    pub fn is_asked(&mut self, state: &SiteState) {
        self.asked_at = Some(state.now);
    }

    /// Says that the plan is under way: the site may wait for the file that is being recorded.
    fn waits(&self, context: &Context, state: &SiteState) {
        let Some(at) = self.asked_at.filter(|at| state.now.seconds_since(*at) < PLANNED_WITHIN) else { return };
        if state.notices.iter().any(|notice| notice.level == NoticeLevel::Error && notice.at >= at) {
            return;
        }
        egui::Area::new(egui::Id::unique("export is planned"))
            .order(egui::Order::Middle)
            .anchor(egui::Align2::CENTER_TOP, egui::vec2(0.0, tokens::BAR_HEIGHT + 12.0))
            .interactable(false)
            .show(context, |ui| {
                widgets::card(false).show(ui, |ui| {
                    ui.horizontal(|ui| {
                        ui.spinner();
                        ui.label("Looking what there is; what is being recorded now is finished first");
                    });
                });
            });
    }

    /// Draws the dialog where an export was asked for.
    pub fn ui(&mut self, context: &Context, state: &SiteState) -> Option<Command> {
        let Some(view) = &state.export else {
            self.waits(context, state);
            *self = Self { asked_at: self.asked_at, ..Self::default() };
            return None;
        };
        if self.of.as_ref() != Some(&view.of) {
            *self = Self { of: Some(view.of.clone()), path: proposed(state, &view.of), fresh: true, ..Self::default() };
        }
        self.take_answer();
        let asked = modal::dialog(context, "export", 560.0, |ui| {
            match &view.of {
                ExportOf::Suspect(_) => {
                    ui.label(tokens::strong(format!("Export evidence of {}", label(state, &view.of))).size(18.0));
                }
                ExportOf::Stretch { cameras, from, until } => {
                    let stretch = format!("{} – {}", from.local_date_time(), until.local_time());
                    ui.label(tokens::strong(format!("Save clip, {stretch}")).size(18.0));
                    let names: Vec<_> = cameras.iter().map(|id| widgets::camera_name(state, *id)).collect();
                    ui.label(names.join(", "));
                }
            }
            match &view.stage {
                ExportStage::Running { done, what } => {
                    ui.label(what);
                    ui.add(ProgressBar::new(*done).desired_width(560.0).fill(tokens::ACCENT).show_percentage());
                    ui.label(tokens::small("The package appears when it is whole; cancelled, nothing of it is left"));
                    ui.button("Cancel").clicked().then_some(ExportCommand::Cancel)
                }
                ExportStage::Done { to, bytes, sha256, key } => {
                    ui.label(RichText::new(format!("Written: {}", to.display())).color(tokens::GOOD));
                    ui.label(format!(
                        "{:.1} MiB. That it was handed out is in the action log",
                        *bytes as f64 / 1_048_576.0
                    ));
                    for (name, value) in
                        [("SHA-256 of the file", sha256.to_string()), ("Public key of this site", key.clone())]
                    {
                        ui.label(tokens::small(name));
                        ui.add(egui::Label::new(tokens::digits(value).size(11.0)).selectable(true).wrap());
                    }
                    ui.label(tokens::small("Anyone checks it with: vigia verify PACKAGE --key KEY"));
                    ui.button("Close").clicked().then_some(ExportCommand::Close)
                }
                ExportStage::Planned | ExportStage::Failed(_) => self.form(ui, state, view),
            }
        });
        asked.map(Command::Export)
    }

    /// Whether something is typed.
    pub fn is_dirty(&self) -> bool {
        !self.reason.trim().is_empty() || !self.recipient.trim().is_empty()
    }

    fn form(&mut self, ui: &mut Ui, state: &SiteState, view: &ExportView) -> Option<ExportCommand> {
        let mut asked = None;
        match &view.plan {
            Ok(plan) => contents(ui, &view.of, plan),
            Err(why) => {
                ui.label(RichText::new(why).color(tokens::WARN));
            }
        }
        match &view.of {
            ExportOf::Suspect(_) => {
                let words = "Also possible matches that nobody has decided about";
                if ui.checkbox(&mut self.pending, words).changed() {
                    asked = Some(ExportCommand::Plan { of: view.of.clone(), pending: self.pending });
                }
                let words = "Also a copy of each clip with the boxes drawn into it (encoded anew; takes longer)";
                ui.checkbox(&mut self.burn_in, words);
            }
            ExportOf::Stretch { .. } => self.for_case(ui, state),
        }
        let mut fields = Fields::new("export", &mut self.tried);
        let why = "Say why it is handed out: that goes into the action log and the package";
        let hint = "why it is handed out: a case number, a warrant";
        let reason = fields.text(ui, "Reason", hint, &mut self.reason, needed(why));
        if std::mem::take(&mut self.fresh) {
            reason.request_focus();
        }
        fields.text(ui, "Recipient", "to whom", &mut self.recipient, needed("Say to whom it is handed out"));
        let name = ui.label(tokens::strong("File").size(13.0));
        let file = ui.horizontal(|ui| {
            let field = TextEdit::singleline(&mut self.path).hint_text("/media/stick/package.zip").desired_width(440.0);
            let file = ui.add(field).labelled_by(name.id);
            let choose = ui.add_enabled(self.dialog.is_none(), egui::Button::new("Choose…"));
            if choose.on_disabled_hover_text("A dialog is open already").clicked() {
                self.trouble = None;
                let proposed = Path::new(&self.path).file_name().map(|n| n.to_string_lossy().into_owned());
                self.dialog = Some(FileDialog::save(ui.ctx(), "Packages", &["zip"], proposed.unwrap_or_default()));
            }
            file
        });
        fields.check(ui, &file.inner, needed("Name the file into which it is written")(&self.path));
        if let Some(trouble) = &self.trouble {
            ui.label(RichText::new(trouble).color(tokens::WARN));
        }
        if let ExportStage::Failed(why) = &view.stage {
            ui.label(RichText::new(why).color(tokens::BAD));
        }
        ui.add_space(6.0);
        ui.horizontal(|ui| {
            let word = if matches!(view.of, ExportOf::Suspect(_)) { "Export" } else { "Save" };
            let export = ui.add_enabled(view.plan.is_ok(), widgets::primary(word));
            let pressed =
                export.on_disabled_hover_text("See above: it is not known what there is to hand out").clicked();
            if fields.sends(pressed) {
                asked = Some(ExportCommand::Start(ExportRequest {
                    to: PathBuf::from(self.path.trim()),
                    reason: self.reason.trim().to_owned(),
                    recipient: self.recipient.trim().to_owned(),
                    case: self.case,
                    pending: self.pending,
                    burn_in: self.burn_in,
                    ..ExportRequest::new(view.of.clone())
                }));
            }
            if ui.button("Not now").clicked() {
                asked = Some(ExportCommand::Close);
            }
        });
        asked
    }

    /// In which case it is noted, of the open ones of whoever is at the console.
    fn for_case(&mut self, ui: &mut Ui, state: &SiteState) {
        let open: Vec<_> = state.casework.cases.iter().map(|v| &v.case).filter(|c| c.closed.is_none()).collect();
        if open.is_empty() {
            return;
        }
        let name = |case: &Case| format!("{} {}", case.number, case.name);
        let chosen = open.iter().find(|c| Some(c.id) == self.case);
        self.case = chosen.map(|c| c.id); // one that was closed meanwhile is none
        let text = chosen.map_or_else(|| "none".to_owned(), |c| name(c));
        let label = ui.label(tokens::small("For the case"));
        let list = ComboBox::from_id_salt("for case").selected_text(text).width(ui.available_width());
        let shown = modal::choose(list, ui, |ui| {
            ui.selectable_value(&mut self.case, None, "none");
            for case in open {
                ui.selectable_value(&mut self.case, Some(case.id), name(case));
            }
        });
        shown.response.labelled_by(label.id);
    }

    fn take_answer(&mut self) {
        match self.dialog.as_ref().and_then(FileDialog::answer) {
            Some(Ok(paths)) => {
                self.dialog = None;
                if let Some(path) = paths.first() {
                    self.path = path.display().to_string();
                }
            }
            Some(Err(why)) => {
                self.dialog = None;
                self.trouble = Some(why.to_owned());
            }
            None => {}
        }
    }
}

/// What the package will hold, and what it lacks.
fn contents(ui: &mut Ui, of: &ExportOf, plan: &ExportPlan) {
    let mib = plan.bytes as f64 / 1_048_576.0;
    let (what, whole) = match of {
        ExportOf::Suspect(_) => {
            let stays = widgets::count(plan.stops.len() as u64, "stay", "stays");
            let stretches = widgets::count(plan.stretches as u64, "stretch", "stretches");
            let more = "with pictures, movement log and the entries of the action log";
            (format!("{stays}, {stretches} of video, about {mib:.1} MiB; {more}"), "every stay")
        }
        ExportOf::Stretch { .. } => {
            let cameras = widgets::count(plan.stretches as u64, "camera", "cameras");
            (
                format!("Video of {cameras} as it was recorded, from the key frame before, about {mib:.1} MiB"),
                "all of it",
            )
        }
    };
    ui.label(format!("{what}. Signed with this site's key"));
    if plan.missing.is_empty() {
        ui.label(RichText::new(format!("There is video of {whole}")).color(tokens::GOOD));
        return;
    }
    let parts = widgets::count(plan.missing.len() as u64, "interval", "intervals");
    ui.label(RichText::new(format!("No video of {parts}:")).color(tokens::WARN));
    ScrollArea::vertical().max_height(120.0).show(ui, |ui| {
        for gap in &plan.missing {
            let (from, until) = (gap.from.local_date_time(), gap.until.local_time());
            ui.label(tokens::small(format!("{} · {from} – {until} · {}", gap.camera_name, gap.reason)));
        }
    });
}

/// The suspect's name.
fn label(state: &SiteState, of: &ExportOf) -> String {
    let is = |id| matches!(of, ExportOf::Suspect(suspect) if *suspect == id);
    let found = state.suspects.iter().find(|v| is(v.suspect.id));
    found.map_or_else(|| "a suspect".to_owned(), |v| v.suspect.label.clone())
}

/// A file in the user's folder, named by suspect and time, or by the beginning of the stretch.
fn proposed(state: &SiteState, of: &ExportOf) -> String {
    let (what, at) = match of {
        ExportOf::Suspect(_) => (label(state, of), state.now),
        ExportOf::Stretch { from, .. } => ("clip".to_owned(), *from),
    };
    let plain = |text: &str| {
        text.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect::<String>()
    };
    let folder = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    folder.join(format!("{}-{}.zip", plain(&what), plain(&at.local_date_time()))).display().to_string()
}
