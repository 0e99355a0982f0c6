//! Videos that come as files: chosen or dropped, bound to a camera and a start, and watched on their way.
use super::jobs::{Jobs, is_analysed};
use crate::{
    model::{CameraId, Timestamp},
    site::{Command, SiteState, StartFrom, UploadCommand, UploadStage, UploadView},
    ui::{
        dialog::FileDialog,
        form::Fields,
        modal, tokens,
        widgets::{self, Pictures},
    },
};
use egui::{Align, Color32, Context, Layout, ProgressBar, RichText, TextEdit, Ui, vec2};
use std::{collections::HashMap, path::PathBuf};
use uuid::Uuid;

/// What the usual video files are called.
const ENDINGS: &[&str] =
    &["mp4", "m4v", "mkv", "webm", "mov", "avi", "ts", "mts", "m2ts", "mpg", "ogv", "flv", "wmv", "3gp"];
const THUMBNAIL: egui::Vec2 = vec2(144.0, 81.0);
/// Where the controls of a line begin, from the right.
const CONTROLS: f32 = 520.0;

/// What the list remembers between two repaints.
#[derive(Default)]
pub struct Uploads {
    forms: HashMap<Uuid, Form>,
    /// Taken for the next file, too: files often come from one camera.
    camera: Option<CameraId>,
    path: String,
    dialog: Option<FileDialog>,
    trouble: Option<String>,
}

/// What is being said about a file.
struct Form {
    camera: Option<CameraId>,
    start: String,
    /// Whether it was tried to send it as it is.
    tried: bool,
}

impl Uploads {
    /// Draws the list and what belongs above it.
    pub fn ui(&mut self, ui: &mut Ui, state: &SiteState, pictures: &mut Pictures, jobs: &Jobs) -> Vec<Command> {
        let mut asked: Vec<UploadCommand> = Vec::new();
        let mut analyse = None;
        self.forms.retain(|id, _| state.uploads.iter().any(|u| u.id == *id));
        asked.extend(self.bar(ui, state));
        if let Some(trouble) = &self.trouble {
            ui.label(RichText::new(trouble).color(tokens::WARN));
        }
        ui.add_space(4.0);
        if state.uploads.is_empty() {
            let hint = "Drop video files onto this window, or add them with the button above. Each is bound to a camera and to \
                the time at which it starts";
            widgets::empty(ui, "No videos yet", hint);
        }
        for view in &state.uploads {
            widgets::card(false).show(ui, |ui| {
                ui.set_width(ui.available_width());
                ui.push_id(view.id, |ui| {
                    asked.extend(self.line(ui, state, view, pictures, &mut analyse));
                });
            });
        }
        let uploads = asked.into_iter().map(Command::Upload);
        uploads.chain(analyse.map(|id| jobs.analyse(id))).collect()
    }

    fn bar(&mut self, ui: &mut Ui, state: &SiteState) -> Vec<UploadCommand> {
        let mut asked = Vec::new();
        ui.horizontal(|ui| {
            ui.label(tokens::strong("Videos").size(20.0));
            ui.add_space(8.0);
            let add = widgets::primary("Add videos…");
            let hover = "Uploads video files to a camera. They can be dropped onto the window, too";
            let add = ui.add_enabled(self.dialog.is_none(), add).on_hover_text(hover);
            if add.on_disabled_hover_text("A dialog is open already").clicked() {
                self.trouble = None;
                self.dialog = Some(FileDialog::open(ui.ctx(), "Videos", ENDINGS));
            }
            let field = TextEdit::singleline(&mut self.path)
                .id(egui::Id::unique("path of a video"))
                .hint_text("or the path of a file, then Enter")
                .desired_width(320.0);
            let response = ui.add(field);
            let entered = widgets::entered(ui, &response);
            if entered && !self.path.trim().is_empty() {
                asked.push(UploadCommand::Look(vec![PathBuf::from(std::mem::take(&mut self.path).trim())]));
            }
            let ready = self.ready(state);
            if ready.len() > 1 {
                let words = format!("Upload all {}", ready.len());
                if ui.add(widgets::primary(words)).clicked() {
                    asked.extend(ready);
                }
            }
        });
        match self.dialog.as_ref().and_then(FileDialog::answer) {
            Some(Ok(paths)) => {
                self.dialog = None;
                if !paths.is_empty() {
                    asked.push(UploadCommand::Look(paths));
                }
            }
            Some(Err(why)) => {
                self.dialog = None;
                self.trouble = Some(why.to_owned());
            }
            None => {}
        }
        asked
    }

    /// The uploads that could start as they stand.
    fn ready(&self, state: &SiteState) -> Vec<UploadCommand> {
        let ready = state.uploads.iter().filter(|u| u.stage == UploadStage::Ready);
        ready.filter_map(|u| self.forms.get(&u.id)?.start(u.id, state)).collect()
    }

    fn line(
        &mut self,
        ui: &mut Ui,
        state: &SiteState,
        view: &UploadView,
        pictures: &mut Pictures,
        analyse: &mut Option<Uuid>,
    ) -> Option<UploadCommand> {
        let mut asked = None;
        ui.horizontal(|ui| {
            if view.thumbnail.is_some() || view.stage == UploadStage::Looking {
                pictures.show(ui, view.thumbnail.as_ref(), THUMBNAIL, &format!("First picture of {}", view.name));
            } else {
                ui.allocate_exact_size(vec2(THUMBNAIL.x, 24.0), egui::Sense::hover());
            }
            let width = (ui.available_width() - CONTROLS).max(220.0);
            ui.allocate_ui(vec2(width, THUMBNAIL.y), |ui| {
                ui.set_width(width);
                ui.vertical(|ui| about(ui, state, view));
            });
            ui.vertical(|ui| {
                ui.set_width(ui.available_width());
                asked = match &view.stage {
                    UploadStage::Ready => self.form(ui, state, view),
                    _ => progress(ui, state, view),
                };
                if let Some(upload) = view.upload {
                    let words = if is_analysed(state, upload) { "Analyse again" } else { "Analyse" };
                    let hover = "Looks for people, weapons and suspects in this video";
                    if ui.button(words).on_hover_text(hover).clicked() {
                        *analyse = Some(upload);
                    }
                }
            });
        });
        asked
    }

    fn form(&mut self, ui: &mut Ui, state: &SiteState, view: &UploadView) -> Option<UploadCommand> {
        let mut asked = None;
        let only = if let [only] = state.cameras.as_slice() { Some(only.camera.id) } else { None };
        let form = self.forms.entry(view.id).or_insert_with(|| Form {
            camera: named(state, &view.name)
                .or_else(|| self.camera.or(only).filter(|id| widgets::camera(state, *id).is_some())),
            start: view.starts_at.map(Timestamp::local_with_offset).unwrap_or_default(),
            tried: false,
        });
        let drawn = ui.horizontal(|ui| {
            let chosen = form.camera.map_or("Choose a camera", |id| widgets::camera_name(state, id));
            let list = egui::ComboBox::from_id_salt(("camera", view.id)).selected_text(chosen).width(180.0);
            let list = modal::choose(list, ui, |ui| {
                for camera in &state.cameras {
                    if ui.selectable_value(&mut form.camera, Some(camera.camera.id), &camera.camera.name).changed() {
                        self.camera = form.camera;
                    }
                }
            });
            let field = TextEdit::singleline(&mut form.start)
                .id(egui::Id::unique(("start", view.id)))
                .hint_text("2026-11-22 14:03:22")
                .desired_width(210.0);
            let help =
                "Date and time of the first picture, with its offset from UTC; without one in the zone of this machine";
            (list.response, ui.add(field).on_hover_text(help))
        });
        let (list, field) = drawn.inner;
        let start = form.start(view.id, state);
        let mut tried = form.tried;
        let mut fields = Fields::new("upload", &mut tried);
        let chosen = form.camera.is_some_and(|id| widgets::camera(state, id).is_some());
        fields.check(ui, &list, (!chosen).then_some("Choose the camera that took this video"));
        let (tint, words) = match Timestamp::parse_local(&form.start) {
            Some(at) if at > state.now => (tokens::BAD, "That is in the future".to_owned()),
            Some(at) => {
                let from = match view
                    .start_from
                    .filter(|_| view.starts_at.is_some_and(|t| t.local_with_offset() == form.start))
                {
                    Some(StartFrom::Name) => " · read from its name",
                    Some(StartFrom::File) => " · read from the file: often when it was written, not when it was filmed",
                    _ => "",
                };
                (
                    tokens::TEXT_WEAK,
                    format!("{} UTC{from}", at.to_string().get(..19).unwrap_or_default().replace('T', " ")),
                )
            }
            None if form.start.trim().is_empty() => {
                (tokens::WARN, "When does the video start? Neither its name nor the file says".to_owned())
            }
            None => (
                tokens::BAD,
                "Write date and time as 2026-11-22 14:03:22, with an offset such as +01:00 if need be".to_owned(),
            ),
        };
        ui.label(RichText::new(words).color(tint).size(12.0));
        if chosen && start.is_none() {
            fields.points_at(&field); // what is wrong with it stands there already
        }
        ui.horizontal(|ui| {
            if fields.sends(ui.add(widgets::primary("Upload")).clicked()) {
                asked = start;
            }
            if ui.button("Leave out").clicked() {
                asked = Some(UploadCommand::Dismiss(view.id));
            }
        });
        form.tried = tried;
        asked
    }
}

impl Form {
    fn start(&self, id: Uuid, state: &SiteState) -> Option<UploadCommand> {
        let camera = self.camera.filter(|id| widgets::camera(state, *id).is_some())?;
        let starts_at = Timestamp::parse_local(&self.start).filter(|at| *at <= state.now)?;
        Some(UploadCommand::Start { id, camera, starts_at })
    }
}

/// The camera whose name occurs in the name of a file; of several the longest.
fn named(state: &SiteState, file: &str) -> Option<CameraId> {
    let file = file.to_lowercase();
    let named = state.cameras.iter().map(|view| &view.camera).filter(|c| file.contains(&c.name.to_lowercase()));
    named.max_by_key(|c| c.name.len()).map(|c| c.id)
}

/// What the file is.
fn about(ui: &mut Ui, state: &SiteState, view: &UploadView) {
    ui.spacing_mut().item_spacing.y = 3.0;
    ui.add(egui::Label::new(tokens::strong(&view.name)).truncate());
    let mut facts = Vec::new();
    facts.extend(view.duration.map(|d| length(d.as_secs_f64())));
    facts.extend(view.resolution.map(|(w, h)| format!("{w} × {h}")));
    facts.extend(view.format.clone());
    facts.push(bytes(view.size));
    ui.add(egui::Label::new(tokens::small(facts.join(" · "))).truncate());
    if !matches!(view.stage, UploadStage::Ready | UploadStage::Looking)
        && let (Some(camera), Some(start)) = (view.camera, view.starts_at)
    {
        let place = format!("{} · {}", widgets::camera_name(state, camera), start.local_with_offset());
        ui.add(egui::Label::new(tokens::small(place)).truncate());
    }
    if let Some(damage) = &view.damage {
        ui.label(RichText::new(damage).color(tokens::WARN).size(12.0));
    }
}

/// How far it is, and what can be done about it.
fn progress(ui: &mut Ui, state: &SiteState, view: &UploadView) -> Option<UploadCommand> {
    let part = |done: u64| if view.size > 0 { done as f32 / view.size as f32 } else { 0.0 };
    let (tint, words, bar): (Color32, String, Option<f32>) = match &view.stage {
        UploadStage::Looking => (tokens::TEXT_WEAK, "Looking at the file…".to_owned(), None),
        UploadStage::Ready => return None,
        UploadStage::Waiting => (tokens::TEXT_WEAK, "Waits for its turn".to_owned(), Some(0.0)),
        UploadStage::Reading(done) => {
            (tokens::TEXT, format!("Reading · {} of {}", bytes(*done), bytes(view.size)), Some(part(*done) / 2.0))
        }
        UploadStage::Storing(done) => {
            (tokens::TEXT, format!("Storing · {} of {}", bytes(*done), bytes(view.size)), Some(0.5 + part(*done) / 2.0))
        }
        UploadStage::Paused => (tokens::WARN, "Paused".to_owned(), None),
        UploadStage::Retrying { why, at } => {
            (tokens::WARN, format!("{why}. Next attempt in {}", widgets::span(at.seconds_since(state.now))), None)
        }
        UploadStage::Done => (tokens::GOOD, "Uploaded".to_owned(), None),
        UploadStage::Refused(why) => (tokens::WARN, why.clone(), None),
        UploadStage::Failed(why) => (tokens::BAD, why.clone(), None),
    };
    ui.add(egui::Label::new(RichText::new(words).color(tint)).wrap());
    if let Some(bar) = bar {
        ui.add(ProgressBar::new(bar.clamp(0.0, 1.0)).desired_width(360.0).desired_height(8.0).fill(tokens::ACCENT));
    }
    let mut asked = None;
    ui.with_layout(Layout::left_to_right(Align::Min), |ui| {
        let mut button = |ui: &mut Ui, words: &str, command: UploadCommand| {
            if ui.button(words).clicked() {
                asked = Some(command);
            }
        };
        match view.stage {
            UploadStage::Waiting | UploadStage::Reading(_) | UploadStage::Storing(_) => {
                button(ui, "Pause", UploadCommand::Pause(view.id));
                button(ui, "Give up", UploadCommand::Cancel(view.id));
            }
            UploadStage::Paused => {
                button(ui, "Go on", UploadCommand::Resume(view.id));
                button(ui, "Give up", UploadCommand::Cancel(view.id));
            }
            UploadStage::Retrying { .. } => {
                button(ui, "Try now", UploadCommand::Resume(view.id));
                button(ui, "Pause", UploadCommand::Pause(view.id));
                button(ui, "Give up", UploadCommand::Cancel(view.id));
            }
            UploadStage::Refused(_) | UploadStage::Failed(_) => {
                button(ui, "Take off the list", UploadCommand::Dismiss(view.id));
            }
            UploadStage::Looking | UploadStage::Ready | UploadStage::Done => {}
        }
    });
    asked
}

/// What was dropped onto the window in this pass. While files hover over it, it says so.
pub fn dropped(context: &Context) -> Option<Command> {
    let (hovered, paths) = context.input(|input| {
        let paths: Vec<PathBuf> = input.raw.dropped_files.iter().map(|f| f.path().to_owned()).collect();
        (input.raw.hovered_files.len(), paths)
    });
    if hovered > 0 {
        let layer = egui::LayerId::new(egui::Order::Foreground, egui::Id::unique("drop"));
        let (painter, area) = (context.layer_painter(layer), context.content_rect());
        painter.rect_filled(area, 0.0, tokens::BACKDROP);
        let words = if hovered == 1 { "Drop the video here".to_owned() } else { format!("Drop {hovered} videos here") };
        painter.text(area.center(), egui::Align2::CENTER_CENTER, words, tokens::strong_font(28.0), tokens::TEXT);
    }
    (!paths.is_empty()).then(|| Command::Upload(UploadCommand::Look(paths)))
}

/// `1:02:03`, `2:03`.
fn length(seconds: f64) -> String {
    let s = seconds.round().max(0.0) as u64;
    if s >= 3600 {
        format!("{}:{:02}:{:02}", s / 3600, s % 3600 / 60, s % 60)
    } else {
        format!("{}:{:02}", s / 60, s % 60)
    }
}

/// `312 MiB`.
fn bytes(n: u64) -> String {
    match n {
        0..1024 => format!("{n} bytes"),
        1024..1_048_576 => format!("{} KiB", n >> 10),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", n as f64 / 1_048_576.0),
        _ => format!("{:.2} GiB", n as f64 / 1_073_741_824.0),
    }
}
