//! The action log, for administrators: filtered, page by page, each entry with all its details; verified and exported.
use super::{commands::UiCommand, dialog::FileDialog, form::Fields, modal, tokens, widgets};
use crate::audit::Format;
use crate::model::{Action, ActionRecord, KeptAction, Outcome, OutcomeKind, Timestamp};
use crate::site::{Command, LogCommand, LogSheet, LogWork, SiteState, Verdict};
use crate::store::LogFilter;
use egui::{
    Align, Color32, ComboBox, Frame, Label, Layout, Margin, RichText, ScrollArea, Sense, Stroke, TextEdit, Ui,
    UiBuilder, vec2,
};
use std::path::PathBuf;

/// Columns: title and width in points; a width of 0 takes what is left.
const COLUMNS: [(&str, f32); 6] =
    [("Time", 160.0), ("Who", 200.0), ("Action", 140.0), ("Outcome", 90.0), ("On", 160.0), ("Details", 0.0)];
const ROW: f32 = 30.0;
/// The panel of an opened entry.
const DETAILS_WIDTH: f32 = 430.0;
/// Findings of a verification that are listed.
const FINDINGS: usize = 200;

/// What the screen remembers between two repaints.
#[derive(Default)]
pub struct Log {
    asked: Asked,
    /// Which row is open.
    open: Option<usize>,
    export: Option<Export>,
    hide_verdict: Option<Timestamp>,
}

/// The filter as it is typed.
#[derive(Clone, Default, PartialEq)]
struct Asked {
    user: String,
    action: Option<Action>,
    camera: Option<String>,
    suspect: Option<String>,
    outcome: Option<OutcomeKind>,
    from: String,
    until: String,
}

/// The form of an export.
struct Export {
    format: Format,
    path: String,
    dialog: Option<FileDialog>,
    /// What was chosen in a dialog, which has asked whether a file may be replaced.
    chosen: Option<PathBuf>,
    note: Option<&'static str>,
    /// Whether it was tried to send it as it is.
    tried: bool,
}

impl Asked {
    /// The filter; `None` while an instant cannot be read.
    fn filter(&self) -> Option<LogFilter> {
        let instant = |text: &str| {
            if text.trim().is_empty() { Some(None) } else { Timestamp::parse_local(text).map(Some) }
        };
        let user = self.user.trim();
        Some(LogFilter {
            user: (!user.is_empty()).then(|| user.to_owned()),
            action: self.action,
            camera: self.camera.clone(),
            suspect: self.suspect.clone(),
            outcome: self.outcome,
            from: instant(&self.from)?,
            until: instant(&self.until)?,
        })
    }
}

impl Log {
    /// Closes what is open; `false` when nothing is.
    pub fn close(&mut self) -> bool {
        self.export.take().is_some() || self.open.take().is_some()
    }

    /// Opens the entry below or above the one that is open.
    pub fn step(&mut self, state: &SiteState, down: bool) {
        let count = state.log.page.as_ref().map_or(0, |page| page.entries.len());
        if let Some(open) = &mut self.open {
            let to = if down { *open + 1 } else { open.saturating_sub(1) };
            *open = to.min(count.saturating_sub(1));
        }
    }

    /// Whether the dialog that exports is open.
    pub fn has_dialog(&self) -> bool {
        self.export.is_some()
    }

    /// Turns to the page of newer, or older, entries, where there is one.
    pub fn turn(&mut self, state: &SiteState, newer: bool) -> Option<Command> {
        let sheet = state.log.page.as_deref().filter(|_| state.log.work.is_none())?;
        let there = if newer { sheet.passed > 0 } else { sheet.older };
        there.then(|| {
            self.open = None;
            Command::Log(if newer { LogCommand::Newer } else { LogCommand::Older })
        })
    }

    /// Draws the log; asks for it only when the operator does, for reading it is itself recorded.
    pub fn ui(&mut self, ui: &mut Ui, state: &SiteState) -> Option<Command> {
        let mut command = None;
        Frame::new().inner_margin(Margin::same(20)).show(ui, |ui| {
            command = self.header(ui, state);
            command = self.filter_bar(ui, state).or(command.take());
            self.verdict(ui, state);
            ui.add_space(4.0);
            let Some(sheet) = state.log.page.as_deref() else {
                command = self.unread(ui, state).or(command.take());
                return;
            };
            if sheet.entries.is_empty() {
                let (title, hint) = if sheet.filter == LogFilter::default() {
                    ("No entries", "Everything operators do is recorded here from now on")
                } else {
                    ("No entry passes this filter", "Change or clear the filter above, then read again")
                };
                widgets::empty(ui, title, hint);
                return;
            }
            command = self.page(ui, state, sheet).or(command.take());
        });
        command = self.export_form(ui.ctx(), state).or(command);
        command.map(Command::Log)
    }

    fn header(&mut self, ui: &mut Ui, state: &SiteState) -> Option<LogCommand> {
        let mut command = None;
        ui.horizontal(|ui| {
            ui.heading("Action log");
            match state.log.work {
                Some(LogWork::Reading) => ui.label(tokens::weak("Reading…")),
                Some(LogWork::Verifying(n)) => ui.label(tokens::weak(format!("Verifying… {n} entries"))),
                Some(LogWork::Exporting(n)) => ui.label(tokens::weak(format!("Exporting… {n} entries"))),
                None => match state.log.page.as_deref() {
                    Some(sheet) => ui.label(tokens::weak(covers(sheet))),
                    None => ui.label(""),
                },
            };
            let free = state.log.work.is_none();
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                ui.add_enabled_ui(free, |ui| {
                    let verify = ui.button("Verify").on_hover_text(
                        "Checks every chain of the whole log and the anchors outside it, which is recorded",
                    );
                    if verify.clicked() {
                        self.hide_verdict = None;
                        command = Some(LogCommand::Verify);
                    }
                    let export = ui
                        .button("Export…")
                        .on_hover_text("Writes all entries that pass the filter to a file, which is recorded");
                    if export.clicked() {
                        self.export = Some(Export::new(Format::Csv, state.now));
                    }
                    if let Some(sheet) = state.log.page.as_deref()
                        && ui.button("Refresh").on_hover_text("Reads the newest entries, which is recorded").clicked()
                    {
                        self.open = None;
                        command = Some(LogCommand::Read(sheet.filter.clone()));
                    }
                });
            });
        });
        command
    }

    fn filter_bar(&mut self, ui: &mut Ui, state: &SiteState) -> Option<LogCommand> {
        let mut read = false;
        ui.horizontal_wrapped(|ui| {
            let asked = &mut self.asked;
            let mut field = |ui: &mut Ui, name: &str, text: &mut String, hint: &str, width: f32, wrong: bool| {
                let label = ui.label(tokens::small(name));
                let mut edit = TextEdit::singleline(text).hint_text(hint).desired_width(width);
                if wrong {
                    edit = edit.text_color(tokens::BAD);
                }
                let response = ui.add(edit).labelled_by(label.id);
                read |= widgets::entered(ui, &response);
            };
            field(ui, "User", &mut asked.user, "badge number", 124.0, false);
            let wrong = |text: &str| !text.trim().is_empty() && Timestamp::parse_local(text).is_none();
            let (from_wrong, until_wrong) = (wrong(&asked.from), wrong(&asked.until));
            field(ui, "From", &mut asked.from, "2026-11-25 14:00", 148.0, from_wrong);
            field(ui, "Until", &mut asked.until, "2026-11-25 15:00", 148.0, until_wrong);
            let actions = Action::ALL.map(|a| (a, action(a).to_owned()));
            choice(ui, "Action", &mut asked.action, &actions);
            let cameras: Vec<_> =
                state.cameras.iter().map(|v| (v.camera.id.to_string(), v.camera.name.clone())).collect();
            choice(ui, "Camera", &mut asked.camera, &cameras);
            let suspects: Vec<_> =
                state.suspects.iter().map(|v| (v.suspect.id.to_string(), v.suspect.label.clone())).collect();
            choice(ui, "Suspect", &mut asked.suspect, &suspects);
            let outcomes = OutcomeKind::ALL.map(|kind| (kind, outcome(kind).0.to_owned()));
            choice(ui, "Outcome", &mut asked.outcome, &outcomes);
            if *asked != Asked::default() && ui.button("Clear").on_hover_text("Any entry passes").clicked() {
                *asked = Asked::default();
            }
            let changed = state.log.page.as_ref().is_some_and(|page| Some(&page.filter) != asked.filter().as_ref());
            let ready = asked.filter().is_some() && state.log.work.is_none();
            let why =
                if state.log.work.is_some() { "The log is being read or verified" } else { "A time cannot be read" };
            read |= changed && ui.add_enabled(ready, widgets::primary("Read")).on_disabled_hover_text(why).clicked();
            if from_wrong || until_wrong {
                ui.label(RichText::new("A time looks like 2026-11-25 14:00").color(tokens::BAD));
            }
        });
        let filter = self.asked.filter().filter(|_| read && state.log.work.is_none())?;
        self.open = None;
        Some(LogCommand::Read(filter))
    }

    /// The picture of the last verification.
    fn verdict(&mut self, ui: &mut Ui, state: &SiteState) {
        let Some(verdict) = state.log.verdict.as_deref().filter(|v| self.hide_verdict != Some(v.at)) else { return };
        let Verdict { at, entries, findings } = verdict;
        let tint = if findings.is_empty() { tokens::GOOD } else { tokens::BAD };
        let frame = Frame::new()
            .fill(tint.gamma_multiply(0.12))
            .stroke(Stroke::new(1.0, tint.gamma_multiply(0.6)))
            .corner_radius(tokens::RADIUS)
            .inner_margin(Margin::same(12));
        frame.show(ui, |ui| {
            ui.horizontal(|ui| {
                widgets::dot(ui, tint);
                let words = match findings.len() {
                    0 => format!("The log is whole: {entries} entries, in unbroken chains that reach every anchor"),
                    1 => format!("The log is not whole: one place of {entries} entries is not as it was written"),
                    n => format!("The log is not whole: {n} places of {entries} entries are not as they were written"),
                };
                ui.label(tokens::strong(words).color(tint));
                ui.label(tokens::small(format!("verified {}", at.local_date_time())));
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    if ui.button("Hide").clicked() {
                        self.hide_verdict = Some(*at);
                    }
                });
            });
            if !findings.is_empty() {
                ScrollArea::vertical().id_salt("findings").max_height(140.0).auto_shrink([false, true]).show(
                    ui,
                    |ui| {
                        for finding in findings.iter().take(FINDINGS) {
                            ui.add(Label::new(finding.to_string()).selectable(true));
                        }
                        if let Some(more) = findings.len().checked_sub(FINDINGS).filter(|more| *more > 0) {
                            ui.label(tokens::weak(format!("and {more} more: `vigia audit verify` lists all")));
                        }
                    },
                );
            }
        });
    }

    fn unread(&mut self, ui: &mut Ui, state: &SiteState) -> Option<LogCommand> {
        widgets::empty(ui, "The log has not been read yet", "Who reads it and when is recorded in the log itself");
        let mut command = None;
        ui.vertical_centered(|ui| {
            let ready = state.log.work.is_none() && self.asked.filter().is_some();
            let read = ui.add_enabled(ready, widgets::primary("Read the log").min_size(vec2(180.0, 36.0)));
            if ui.memory(|memory| memory.focused().is_none()) {
                read.request_focus(); // Enter reads
            }
            if read.clicked() {
                command = self.asked.filter().map(LogCommand::Read);
            }
        });
        command
    }

    fn page(&mut self, ui: &mut Ui, state: &SiteState, sheet: &LogSheet) -> Option<LogCommand> {
        let mut command = None;
        egui::Panel::bottom("pages").frame(Frame::NONE).show_separator_line(false).show(ui, |ui| {
            ui.add_space(6.0);
            ui.horizontal(|ui| {
                let free = state.log.work.is_none();
                let newer = ui.add_enabled(free && sheet.passed > 0, egui::Button::new("Newer"));
                let older = ui.add_enabled(free && sheet.older, egui::Button::new("Older"));
                if newer.on_hover_text(UiCommand::NewerEntries.help()).clicked() {
                    command = Some(LogCommand::Newer);
                }
                if older.on_hover_text(UiCommand::OlderEntries.help()).clicked() {
                    command = Some(LogCommand::Older);
                }
                ui.label(tokens::small("Each page that is read is an entry of the log"));
            });
        });
        if command.is_some() {
            self.open = None;
        }
        if let Some(kept) = self.open.and_then(|i| sheet.entries.get(i)) {
            let frame = Frame::new().fill(tokens::PANEL).corner_radius(tokens::RADIUS).inner_margin(Margin::same(14));
            let side = egui::Panel::right("entry").resizable(false).exact_size(DETAILS_WIDTH).frame(frame);
            side.show(ui, |ui| {
                if entry(ui, state, kept) {
                    self.open = None;
                }
            });
        }
        egui::CentralPanel::default().frame(Frame::NONE).show(ui, |ui| self.rows(ui, sheet));
        command
    }

    fn rows(&mut self, ui: &mut Ui, sheet: &LogSheet) {
        row(ui, None, |ui, column| {
            let title = COLUMNS.get(column).map_or("", |(title, _)| title);
            ui.label(tokens::small(title));
        });
        ui.spacing_mut().item_spacing.y = 0.0;
        let place = (sheet.passed, sheet.read_at); // another page begins at its top
        let scroll = ScrollArea::vertical().id_salt(place).auto_shrink(false);
        scroll.show_rows(ui, ROW, sheet.entries.len(), |ui, range| {
            for (i, kept) in sheet.entries.iter().enumerate().skip(range.start).take(range.len()) {
                let fill = match (self.open == Some(i), i % 2 == 0) {
                    (true, _) => tokens::SELECTED,
                    (false, true) => tokens::PANEL,
                    (false, false) => tokens::BACKGROUND,
                };
                let response = row(ui, Some(fill), |ui, column| cell(ui, kept, column));
                let number = kept.log_id.unwrap_or_default();
                response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, format!("Entry {number}")));
                if response.on_hover_cursor(egui::CursorIcon::PointingHand).clicked() {
                    self.open = if self.open == Some(i) { None } else { Some(i) };
                }
            }
        });
    }

    fn export_form(&mut self, context: &egui::Context, state: &SiteState) -> Option<LogCommand> {
        let form = self.export.as_mut()?;
        let filter = self.asked.filter();
        form.poll();
        let mut outcome = None;
        modal::dialog(context, "export log", 520.0, |ui| {
            ui.heading("Export the log");
            let what = match &filter {
                Some(filter) if *filter == LogFilter::default() => "Every entry of the log",
                Some(_) => "All entries that pass the filter",
                None => "The filter has a time that cannot be read",
            };
            ui.label(tokens::weak(format!(
                "{what}, oldest first. `vigia audit verify FILE` checks the file anywhere. The export is recorded"
            )));
            ui.add_space(6.0);
            ui.horizontal(|ui| {
                for (format, words) in [(Format::Csv, "Table (CSV)"), (Format::Jsonl, "JSON lines")] {
                    if ui.radio(form.format == format, words).clicked() {
                        form.set_format(format);
                    }
                }
            });
            let file = ui.horizontal(|ui| {
                let label = ui.label(tokens::small("File"));
                let width = ui.available_width() - 110.0;
                let file = ui.add(TextEdit::singleline(&mut form.path).desired_width(width)).labelled_by(label.id);
                let browse = ui.add_enabled(form.dialog.is_none(), egui::Button::new("Browse…"));
                if browse.on_disabled_hover_text("A dialog is open already").clicked() {
                    form.note = None;
                    form.dialog = Some(form.browse(context));
                }
                file
            });
            let path = PathBuf::from(form.path.trim());
            let mut fields = Fields::new("export log", &mut form.tried);
            let fault = (!path.is_absolute()).then_some("Type the whole path of the file, such as /home/ana/log.csv");
            fields.check(ui, &file.inner, fault);
            if let Some(note) = form.note {
                ui.label(RichText::new(note).color(tokens::WARN));
            }
            ui.add_space(6.0);
            ui.horizontal(|ui| {
                let blocked = match &filter {
                    None => Some("The filter has a time that cannot be read"),
                    Some(_) if state.log.work.is_some() => Some("The log is being read or verified: wait for that"),
                    Some(_) if form.dialog.is_some() => Some("A dialog is open: choose a file there first"),
                    Some(_) => None,
                };
                let export = ui.add_enabled(blocked.is_none(), widgets::primary("Export"));
                if fields.sends(export.on_disabled_hover_text(blocked.unwrap_or_default()).clicked()) {
                    let replace = form.chosen.as_ref() == Some(&path);
                    let filter = filter.clone().unwrap_or_default();
                    outcome = Some(Some(LogCommand::Export { filter, format: form.format, to: path, replace }));
                }
                if ui.button("Cancel").clicked() {
                    outcome = Some(None);
                }
            });
        });
        if outcome.is_some() {
            self.export = None;
        }
        outcome.flatten()
    }
}

impl Export {
    fn new(format: Format, now: Timestamp) -> Self {
        let home = std::env::var_os("HOME").map_or_else(std::env::temp_dir, PathBuf::from);
        let stamp: String = now.local_date_time().chars().map(|c| if c == ' ' { '-' } else { c }).collect();
        let name = format!("action-log-{}.{}", stamp.replace(':', ""), ending(format));
        let path = home.join(name).display().to_string();
        Self { format, path, dialog: None, chosen: None, note: None, tried: false }
    }

    fn browse(&self, context: &egui::Context) -> FileDialog {
        let name = PathBuf::from(&self.path).file_name().map(|name| name.display().to_string()).unwrap_or_default();
        let (kind, endings): (_, &[_]) = match self.format {
            Format::Csv => ("Tables", &["csv"]),
            Format::Jsonl => ("JSON lines", &["jsonl"]),
        };
        FileDialog::save(context, kind, endings, name)
    }

    fn set_format(&mut self, format: Format) {
        self.path = PathBuf::from(&self.path).with_extension(ending(format)).display().to_string();
        self.format = format;
    }

    fn poll(&mut self) {
        let Some(answer) = self.dialog.as_ref().and_then(FileDialog::answer) else { return };
        self.dialog = None;
        match answer {
            Ok(paths) => {
                if let Some(path) = paths.into_iter().next() {
                    self.path = path.display().to_string();
                    self.chosen = Some(path);
                }
            }
            Err(why) => self.note = Some(why),
        }
    }
}

fn ending(format: Format) -> &'static str {
    match format {
        Format::Jsonl => "jsonl",
        Format::Csv => "csv",
    }
}

/// Which entries the page has, in words.
fn covers(sheet: &LogSheet) -> String {
    let filtered = if sheet.filter == LogFilter::default() { "" } else { " that pass the filter" };
    match sheet.entries.len() {
        0 => String::new(),
        n if sheet.passed == 0 && !sheet.older => format!("all {n} entries{filtered}"),
        n if sheet.passed == 0 => format!("the {n} newest entries{filtered}"),
        n => format!("entries {} to {}{filtered}, counted from the newest", sheet.passed + 1, sheet.passed + n),
    }
}

/// A box to choose from; `None` is any.
fn choice<T: Clone + PartialEq>(ui: &mut Ui, name: &str, chosen: &mut Option<T>, all: &[(T, String)]) {
    let words = chosen.as_ref().and_then(|c| all.iter().find(|(value, _)| value == c)).map(|(_, words)| words.as_str());
    let shown = match (&chosen, words) {
        (None, _) => format!("{name}: any"),
        (Some(_), words) => words.unwrap_or("one that is gone").to_owned(),
    };
    let list = ComboBox::from_id_salt(name).selected_text(shown).width(118.0).height(420.0);
    modal::choose(list, ui, |ui| {
        ui.selectable_value(chosen, None, "Any");
        for (value, words) in all {
            ui.selectable_value(chosen, Some(value.clone()), words);
        }
    });
}

fn row(ui: &mut Ui, fill: Option<Color32>, mut cell: impl FnMut(&mut Ui, usize)) -> egui::Response {
    let sense = if fill.is_some() { Sense::click() } else { Sense::hover() };
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), sense);
    let fill = fill.map_or(Color32::TRANSPARENT, |fill| {
        if response.hovered() && fill != tokens::SELECTED { tokens::RAISED } else { fill }
    });
    ui.painter().rect_filled(rect, 3.0, fill);
    let fixed: f32 = COLUMNS.iter().map(|(_, width)| width).sum();
    let mut left = rect.left() + 10.0;
    for (column, (_, width)) in COLUMNS.iter().enumerate() {
        let width = if *width > 0.0 { *width } else { (rect.width() - 20.0 - fixed).max(60.0) };
        let inner = egui::Rect::from_min_size(egui::pos2(left, rect.top()), vec2(width - 10.0, rect.height()));
        let mut child =
            ui.new_child(UiBuilder::new().id_salt(column).max_rect(inner).layout(Layout::left_to_right(Align::Center)));
        child.shrink_clip_rect(inner);
        cell(&mut child, column);
        left += width;
    }
    response
}

fn cell(ui: &mut Ui, kept: &KeptAction, column: usize) {
    // not selectable: a click opens the entry, where everything can be copied
    let text = |ui: &mut Ui, text: RichText| drop(ui.add(Label::new(text).truncate().selectable(false)));
    let record = match &kept.entry {
        Ok(record) => record,
        Err(why) => {
            match column {
                0 => text(ui, RichText::new("cannot be read").color(tokens::BAD)),
                5 => text(ui, RichText::new(why).color(tokens::BAD)),
                _ => {}
            }
            return;
        }
    };
    match column {
        0 => text(ui, tokens::digits(record.timestamp.local_date_time())),
        1 => text(ui, RichText::new(who(record))),
        2 => text(ui, RichText::new(action(record.action))),
        3 => {
            let (words, tint) = outcome(record.outcome.kind());
            widgets::chip(ui, words, tint);
        }
        4 => text(ui, RichText::new(record.target.as_deref().unwrap_or("–"))),
        _ => text(ui, tokens::weak(details(record))),
    }
}

fn who(record: &ActionRecord) -> String {
    if record.user_name.is_empty() {
        record.user_cc.clone()
    } else {
        format!("{} ({})", record.user_name, record.user_cc)
    }
}

fn outcome(kind: OutcomeKind) -> (&'static str, Color32) {
    match kind {
        OutcomeKind::Succeeded => ("done", tokens::GOOD),
        OutcomeKind::Refused => ("refused", tokens::WARN),
        OutcomeKind::Failed => ("failed", tokens::BAD),
    }
}

/// Everything about one entry; `true` when it is to be closed.
fn entry(ui: &mut Ui, state: &SiteState, kept: &KeptAction) -> bool {
    let mut closed = false;
    ui.horizontal(|ui| {
        let title = kept.entry.as_ref().map_or("Cannot be read", |record| action(record.action));
        ui.label(tokens::strong(title).size(16.0));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| closed = ui.button("Close").clicked());
    });
    let fact = |ui: &mut Ui, name: &str, value: String| {
        ui.horizontal_top(|ui| {
            let (label, _) = ui.allocate_exact_size(vec2(84.0, 20.0), Sense::hover());
            let mut beside = ui.new_child(UiBuilder::new().id_salt(name).max_rect(label));
            beside.add(Label::new(tokens::small(name)).truncate());
            ui.vertical(|ui| ui.add(Label::new(value).wrap().selectable(true)));
        });
    };
    let number = |n: Option<i64>| n.map_or_else(|| "–".to_owned(), |n| n.to_string());
    ScrollArea::vertical().id_salt("entry").auto_shrink(false).show(ui, |ui| {
        match &kept.entry {
            Err(why) => fact(ui, "Why", why.clone()),
            Ok(record) => {
                fact(ui, "When", record.timestamp.local_date_time());
                fact(ui, "UTC", record.timestamp.to_string());
                fact(ui, "Who", who(record));
                fact(ui, "Action", record.action.as_str().to_owned());
                let (words, _) = outcome(record.outcome.kind());
                fact(ui, "Outcome", words.to_owned());
                if let Outcome::Refused(why) | Outcome::Failed(why) = &record.outcome {
                    fact(ui, "Why", why.clone());
                }
                if let Some(target) = &record.target {
                    fact(ui, "On", target.clone());
                }
                if let Some(name) = camera(state, record) {
                    fact(ui, "Camera", name);
                }
                if let Some(label) = suspect(state, record) {
                    fact(ui, "Suspect", label);
                }
                if record.log_accessed.is_some() {
                    fact(ui, "Log read", number(record.log_accessed));
                }
                if let serde_json::Value::Object(map) = &record.details {
                    for (key, value) in map {
                        let words = value.as_str().map_or_else(|| format!("{value:#}"), str::to_owned);
                        fact(ui, key, words);
                    }
                } else if !record.details.is_null() {
                    fact(ui, "Details", record.details.to_string());
                }
            }
        }
        fact(ui, "Number", number(kept.log_id));
        match (&kept.entry, kept.console) {
            (Ok(ActionRecord { link: Some(link), .. }), _) => {
                fact(ui, "Console", link.console.to_string());
                fact(ui, "Place", link.seq.to_string());
                fact(ui, "Hash", link.hash.to_string());
                fact(ui, "Hash before", link.prev.to_string());
            }
            (_, Some(console)) => {
                fact(ui, "Console", console.to_string());
                fact(ui, "Place", number(kept.seq));
            }
            (_, None) => fact(ui, "Chain", "none".to_owned()),
        }
        if let Some(column) = &kept.misfiled {
            fact(ui, "Misfiled", format!("{column} says something else than the entry"));
        }
    });
    closed
}

fn camera(state: &SiteState, record: &ActionRecord) -> Option<String> {
    let id = record.camera()?.parse().ok()?;
    Some(widgets::camera(state, id)?.camera.name.clone())
}

fn suspect(state: &SiteState, record: &ActionRecord) -> Option<String> {
    let id = record.suspect()?.parse().ok()?;
    Some(widgets::suspect(state, id)?.suspect.label.clone())
}

/// The action in words.
fn action(action: Action) -> &'static str {
    match action {
        Action::Login => "Log in",
        Action::UploadVideo => "Upload video",
        Action::StartDetection => "Start detection",
        Action::Logout => "Log out",
        Action::AccessLogs => "Read the log",
        Action::SelectSuspect => "Mark suspect",
        Action::DecideMatch => "Decide match",
        Action::EndSuspect => "End follow",
        Action::CreateUser => "Create user",
        Action::EditUser => "Edit user",
        Action::DeactivateUser => "Deactivate user",
        Action::ReactivateUser => "Reactivate user",
        Action::ChangePassword => "Change password",
        Action::ChangeRights => "Change rights",
        Action::ChangeCamera => "Change camera",
        Action::TestCamera => "Test camera",
        Action::ExportLog => "Export log",
        Action::WatchRecording => "Watch recording",
        Action::FindPerson => "Find person",
        Action::ExportEvidence => "Export evidence",
        Action::HoldEvidence => "Hold evidence",
        Action::DeleteData => "Delete data",
        Action::ChangeCase => "Change case",
        Action::ChangeBookmark => "Change bookmark",
        Action::EditSuspect => "Edit suspect",
        Action::ReadMovement => "Show movement",
        Action::CheckStores => "Check stores",
        Action::MigrateSite => "Migrate site",
        Action::RetryRecords => "Retry records",
        Action::BeginChain => "Begin chain",
        Action::Calibrate => "Calibrate matches",
        Action::NoticeClock => "Console's clock",
        Action::NoticeFailure => "Failure of the console",
    }
}

/// Why it did not work, and what else is known, on one line.
fn details(record: &ActionRecord) -> String {
    let mut parts = Vec::new();
    if let Outcome::Refused(why) | Outcome::Failed(why) = &record.outcome {
        parts.push(why.clone());
    }
    match &record.details {
        serde_json::Value::Null => {}
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                parts.push(format!("{key}: {value}"));
            }
        }
        other => parts.push(other.to_string()),
    }
    parts.join(" · ")
}
