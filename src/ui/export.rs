//! The dialog that hands out evidence: what it will hold and what is missing, why and to whom, and how far it is.
use super::{
    dialog::FileDialog,
    tokens,
    widgets::{self},
};
use crate::{
    model::SuspectId,
    site::{Command, ExportCommand, ExportPlan, ExportRequest, ExportStage, ExportView, SiteState},
};
use egui::{Context, Frame, Margin, ProgressBar, RichText, ScrollArea, Stroke, TextEdit, Ui};
use std::path::{Path, PathBuf};

/// What is typed; forgotten for another suspect.
#[derive(Default)]
pub struct Form {
    suspect: Option<SuspectId>,
    reason: String,
    recipient: String,
    path: String,
    pending: bool,
    burn_in: bool,
    /// Just opened: the first field has the keyboard.
    fresh: bool,
    dialog: Option<FileDialog>,
    trouble: Option<String>,
}

impl Form {
    /// Draws the dialog where an export was asked for.
    pub fn ui(&mut self, context: &Context, state: &SiteState) -> Option<Command> {
        let Some(view) = &state.export else {
            *self = Self::default();
            return None;
        };
        if self.suspect != Some(view.suspect) {
            *self = Self { suspect: Some(view.suspect), path: proposed(state, view), fresh: true, ..Self::default() };
        }
        self.take_answer();
        let frame = Frame::new()
            .fill(tokens::RAISED)
            .stroke(Stroke::new(1.0, tokens::LINE_STRONG))
            .corner_radius(10)
            .inner_margin(Margin::same(24));
        let modal = egui::Modal::new(egui::Id::unique("export")).backdrop_color(tokens::BACKDROP).frame(frame);
        let asked = modal.show(context, |ui| {
            ui.set_width(560.0);
            let label = state.suspects.iter().find(|v| v.suspect.id == view.suspect).map(|v| v.suspect.label.as_str());
            ui.label(tokens::strong(format!("Export evidence of {}", label.unwrap_or("a suspect"))).size(18.0));
            match &view.stage {
                ExportStage::Running { done, what } => {
                    ui.label(what);
                    ui.add(ProgressBar::new(*done).desired_width(560.0).fill(tokens::ACCENT).show_percentage());
                    ui.label(tokens::small("The package appears when it is whole; cancelled, nothing of it is left"));
                    ui.button("Cancel").clicked().then_some(ExportCommand::Cancel)
                }
                ExportStage::Done { to, bytes, sha256, key } => {
                    ui.label(RichText::new(format!("Written: {}", to.display())).color(tokens::GOOD));
                    ui.label(format!("{:.1} MiB. The export is in the action log", *bytes as f64 / 1_048_576.0));
                    for (name, value) in
                        [("SHA-256 of the file", sha256.to_string()), ("Public key of this site", key.clone())]
                    {
                        ui.label(tokens::small(name));
                        ui.add(egui::Label::new(tokens::digits(value).size(11.0)).selectable(true).wrap());
                    }
                    ui.label(tokens::small("Anyone checks it with: vigia verify PACKAGE --key KEY"));
                    ui.button("Close").clicked().then_some(ExportCommand::Close)
                }
                ExportStage::Planned | ExportStage::Failed(_) => self.form(ui, view),
            }
        });
        asked.inner.map(Command::Export)
    }

    fn form(&mut self, ui: &mut Ui, view: &ExportView) -> Option<ExportCommand> {
        let mut asked = None;
        match &view.plan {
            Ok(plan) => contents(ui, plan),
            Err(why) => {
                ui.label(RichText::new(why).color(tokens::WARN));
            }
        }
        let words = "Also possible matches that nobody has decided about";
        if ui.checkbox(&mut self.pending, words).changed() {
            asked = Some(ExportCommand::Plan { suspect: view.suspect, pending: self.pending });
        }
        ui.checkbox(
            &mut self.burn_in,
            "Also a copy of each clip with the boxes drawn into it (encoded anew; takes longer)",
        );
        for (label, hint, text) in [
            ("Reason", "why it is handed out: a case number, a warrant", &mut self.reason),
            ("Recipient", "to whom", &mut self.recipient),
        ] {
            let name = ui.label(tokens::small(label));
            let field = TextEdit::singleline(text).hint_text(hint).desired_width(f32::INFINITY);
            let field = ui.add(field).labelled_by(name.id);
            if label == "Reason" && std::mem::take(&mut self.fresh) {
                field.request_focus();
            }
        }
        let name = ui.label(tokens::small("File"));
        ui.horizontal(|ui| {
            let field =
                TextEdit::singleline(&mut self.path).hint_text("/media/stick/evidence.zip").desired_width(440.0);
            ui.add(field).labelled_by(name.id);
            if ui.add_enabled(self.dialog.is_none(), egui::Button::new("Choose…")).clicked() {
                self.trouble = None;
                let proposed = Path::new(&self.path).file_name().map(|n| n.to_string_lossy().into_owned());
                self.dialog = Some(FileDialog::save(ui.ctx(), "Packages", &["zip"], proposed.unwrap_or_default()));
            }
        });
        if let Some(trouble) = &self.trouble {
            ui.label(RichText::new(trouble).color(tokens::WARN));
        }
        if let ExportStage::Failed(why) = &view.stage {
            ui.label(RichText::new(why).color(tokens::BAD));
        }
        ui.add_space(6.0);
        ui.horizontal(|ui| {
            let said = [&self.reason, &self.recipient, &self.path].iter().all(|text| !text.trim().is_empty());
            let ready = view.plan.is_ok() && said;
            let export = ui.add_enabled(ready, widgets::primary("Export"));
            if export.on_disabled_hover_text("Say why, to whom, and into which file").clicked() {
                let (reason, recipient) = (self.reason.trim().to_owned(), self.recipient.trim().to_owned());
                let to = PathBuf::from(self.path.trim());
                asked = Some(ExportCommand::Start(ExportRequest::new(
                    view.suspect,
                    to,
                    reason,
                    recipient,
                    self.pending,
                    self.burn_in,
                )));
            }
            if ui.button("Not now").clicked() {
                asked = Some(ExportCommand::Close);
            }
        });
        asked
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
fn contents(ui: &mut Ui, plan: &ExportPlan) {
    let stays = widgets::count(plan.stops.len() as u64, "stay", "stays");
    let stretches = widgets::count(plan.stretches as u64, "stretch", "stretches");
    let mib = plan.bytes as f64 / 1_048_576.0;
    ui.label(format!(
        "{stays}, {stretches} of video, about {mib:.1} MiB; with pictures, movement log and the entries of the action log. \
         Signed with this site's key"
    ));
    if plan.missing.is_empty() {
        ui.label(RichText::new("There is video of every stay").color(tokens::GOOD));
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

/// A file in the user's folder, named by suspect and time.
fn proposed(state: &SiteState, view: &ExportView) -> String {
    let label = state.suspects.iter().find(|v| v.suspect.id == view.suspect).map_or("suspect", |v| &v.suspect.label);
    let plain = |text: &str| {
        text.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect::<String>()
    };
    let folder = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    folder.join(format!("{}-{}.zip", plain(label), plain(&state.now.local_date_time()))).display().to_string()
}
