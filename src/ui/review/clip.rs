//! The dialog that hands out a stretch of video: what it will hold and what is missing, why and to whom, and how far it is.
use crate::{
    model::{CameraId, Timestamp},
    site::{ClipCommand, ClipPlan, ClipRequest, ClipView, Command, ExportStage, ReviewCommand, SiteState},
    ui::{dialog::FileDialog, tokens, widgets},
};
use egui::{Context, Frame, Margin, ProgressBar, RichText, ScrollArea, Stroke, TextEdit, Ui};
use std::path::{Path, PathBuf};

/// What is typed; forgotten for another stretch.
#[derive(Default)]
pub struct Form {
    of: Option<(Vec<CameraId>, Timestamp, Timestamp)>,
    reason: String,
    recipient: String,
    path: String,
    /// Just opened: the first field has the keyboard.
    fresh: bool,
    dialog: Option<FileDialog>,
    trouble: Option<String>,
}

impl Form {
    /// Draws the dialog where a clip was asked for.
    pub fn ui(&mut self, context: &Context, state: &SiteState) -> Option<Command> {
        let Some(view) = &state.review.clip else {
            *self = Self::default();
            return None;
        };
        let of = (view.cameras.clone(), view.from, view.until);
        if self.of.as_ref() != Some(&of) {
            *self = Self { of: Some(of), path: proposed(view), fresh: true, ..Self::default() };
        }
        self.take_answer();
        let frame = Frame::new()
            .fill(tokens::RAISED)
            .stroke(Stroke::new(1.0, tokens::LINE_STRONG))
            .corner_radius(10)
            .inner_margin(Margin::same(24));
        let modal = egui::Modal::new(egui::Id::unique("clip")).backdrop_color(tokens::BACKDROP).frame(frame);
        let asked = modal.show(context, |ui| {
            ui.set_width(560.0);
            let stretch = format!("{} – {}", view.from.local_date_time(), view.until.local_time());
            ui.label(tokens::strong(format!("Save clip, {stretch}")).size(18.0));
            let names: Vec<_> = view.cameras.iter().map(|id| widgets::camera_name(state, *id)).collect();
            ui.label(names.join(", "));
            match &view.stage {
                ExportStage::Running { done, what } => {
                    ui.label(what);
                    ui.add(ProgressBar::new(*done).desired_width(560.0).fill(tokens::ACCENT).show_percentage());
                    ui.label(tokens::small("The package appears when it is whole; cancelled, nothing of it is left"));
                    ui.button("Cancel").clicked().then_some(ClipCommand::Cancel)
                }
                ExportStage::Done { to, bytes, sha256, key } => {
                    ui.label(RichText::new(format!("Written: {}", to.display())).color(tokens::GOOD));
                    ui.label(format!("{:.1} MiB. The clip is in the action log", *bytes as f64 / 1_048_576.0));
                    for (name, value) in
                        [("SHA-256 of the file", sha256.to_string()), ("Public key of this site", key.clone())]
                    {
                        ui.label(tokens::small(name));
                        ui.add(egui::Label::new(tokens::digits(value).size(11.0)).selectable(true).wrap());
                    }
                    ui.label(tokens::small("Anyone checks it with: vigia verify PACKAGE --key KEY"));
                    ui.button("Close").clicked().then_some(ClipCommand::Close)
                }
                ExportStage::Planned | ExportStage::Failed(_) => self.form(ui, view),
            }
        });
        asked.inner.map(|asked| Command::Review(ReviewCommand::Clip(asked)))
    }

    fn form(&mut self, ui: &mut Ui, view: &ClipView) -> Option<ClipCommand> {
        let mut asked = None;
        match &view.plan {
            Ok(plan) => contents(ui, plan),
            Err(why) => drop(ui.label(RichText::new(why).color(tokens::WARN))),
        }
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
            let field = TextEdit::singleline(&mut self.path).hint_text("/media/stick/clip.zip").desired_width(440.0);
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
            let save = ui.add_enabled(view.plan.is_ok() && said, widgets::primary("Save"));
            if save.on_disabled_hover_text("Say why, to whom, and into which file").clicked() {
                asked = Some(ClipCommand::Start(ClipRequest {
                    cameras: view.cameras.clone(),
                    from: view.from,
                    until: view.until,
                    to: PathBuf::from(self.path.trim()),
                    reason: self.reason.trim().to_owned(),
                    recipient: self.recipient.trim().to_owned(),
                }));
            }
            if ui.button("Not now").clicked() {
                asked = Some(ClipCommand::Close);
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
fn contents(ui: &mut Ui, plan: &ClipPlan) {
    let cameras = widgets::count(plan.cameras as u64, "camera", "cameras");
    let mib = plan.bytes as f64 / 1_048_576.0;
    ui.label(format!(
        "Video of {cameras} as it was recorded, from the key frame before, about {mib:.1} MiB. Signed with this site's key"
    ));
    if plan.missing.is_empty() {
        ui.label(RichText::new("There is video of all of it").color(tokens::GOOD));
        return;
    }
    ui.label(RichText::new("No video of:").color(tokens::WARN));
    ScrollArea::vertical().max_height(120.0).show(ui, |ui| {
        for gap in &plan.missing {
            let (from, until) = (gap.from.local_date_time(), gap.until.local_time());
            ui.label(tokens::small(format!("{} · {from} – {until} · {}", gap.camera_name, gap.reason)));
        }
    });
}

/// A file in the user's folder, named by the beginning.
fn proposed(view: &ClipView) -> String {
    let at: String = view.from.local_date_time().chars().map(|c| if c.is_ascii_digit() { c } else { '-' }).collect();
    let folder = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    folder.join(format!("clip-{at}.zip")).display().to_string()
}
