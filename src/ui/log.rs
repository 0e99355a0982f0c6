//! The action log, for administrators.
use super::{tokens, widgets};
use crate::model::{Action, ActionRecord, Outcome};
use crate::site::{Command, SiteState};
use egui::{Align, Color32, Frame, Label, Layout, Margin, RichText, ScrollArea, Sense, Ui, UiBuilder, vec2};

/// Columns: title and width in points; a width of 0 takes what is left.
const COLUMNS: [(&str, f32); 7] = [
    ("Time", 160.0),
    ("Who", 200.0),
    ("Action", 150.0),
    ("Outcome", 100.0),
    ("On", 210.0),
    ("Details", 0.0),
    ("Log read", 80.0),
];
const ROW: f32 = 30.0;

/// Draws the log; asks for it only when the operator does, for reading it is itself recorded.
pub fn ui(ui: &mut Ui, state: &SiteState) -> Option<Command> {
    let mut command = None;
    Frame::new().inner_margin(Margin::same(20)).show(ui, |ui| {
        ui.horizontal(|ui| {
            ui.heading("Action log");
            if let Some(log) = &state.log {
                ui.label(tokens::weak(format!("{} newest entries", log.len())));
            }
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if state.log.is_some()
                    && ui.button("Refresh").on_hover_text("Reads the log again, which is recorded").clicked()
                {
                    command = Some(Command::ReadLog);
                }
            });
        });
        ui.add_space(8.0);
        let Some(log) = &state.log else {
            widgets::empty(ui, "The log has not been read yet", "Who reads it and when is recorded in the log itself");
            ui.vertical_centered(|ui| {
                let read = ui.add(widgets::primary("Read the log").min_size(vec2(180.0, 36.0)));
                if ui.memory(|memory| memory.focused().is_none()) {
                    read.request_focus(); // Enter reads
                }
                if read.clicked() {
                    command = Some(Command::ReadLog);
                }
            });
            return;
        };
        if log.is_empty() {
            widgets::empty(ui, "No entries", "Everything operators do is recorded here from now on");
            return;
        }
        row(ui, None, |ui, column| {
            let title = COLUMNS.get(column).map_or("", |(title, _)| title);
            ui.label(tokens::small(title));
        });
        ScrollArea::vertical().auto_shrink(false).show_rows(ui, ROW, log.len(), |ui, range| {
            for (i, record) in log.iter().enumerate().skip(range.start).take(range.len()) {
                let fill = if i % 2 == 0 { tokens::PANEL } else { tokens::BACKGROUND };
                row(ui, Some(fill), |ui, column| cell(ui, record, column));
            }
        });
    });
    command
}

fn row(ui: &mut Ui, fill: Option<Color32>, mut cell: impl FnMut(&mut Ui, usize)) {
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::hover());
    ui.painter().rect_filled(rect, 3.0, fill.unwrap_or(Color32::TRANSPARENT));
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
}

fn cell(ui: &mut Ui, record: &ActionRecord, column: usize) {
    let text = |ui: &mut Ui, text: RichText, tooltip: &str| {
        let response = ui.add(Label::new(text).truncate().selectable(true));
        if !tooltip.is_empty() {
            response.on_hover_text(tooltip);
        }
    };
    match column {
        0 => text(ui, tokens::digits(record.timestamp.local_date_time()), &format!("{} UTC", record.timestamp)),
        1 if record.user_name.is_empty() => text(ui, RichText::new(&record.user_cc), "No such user"),
        1 => text(ui, RichText::new(format!("{} ({})", record.user_name, record.user_cc)), ""),
        2 => text(ui, RichText::new(action(record.action)), record.action.as_str()),
        3 => {
            let (words, tint) = match record.outcome {
                Outcome::Succeeded => ("done", tokens::GOOD),
                Outcome::Refused(_) => ("refused", tokens::WARN),
                Outcome::Failed(_) => ("failed", tokens::BAD),
            };
            widgets::chip(ui, words, tint);
        }
        4 => {
            let target = record.target.as_deref().unwrap_or("–");
            text(ui, RichText::new(target), target);
        }
        5 => {
            let details = details(record);
            text(ui, tokens::weak(&details), &details);
        }
        _ => {
            let read = record.log_accessed.map_or("–".to_owned(), |id| id.to_string());
            text(ui, tokens::digits(read), "Number of the newest entry that was read");
        }
    }
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
        Action::EditSuspect => "Edit suspect",
        Action::CheckStores => "Check stores",
        Action::MigrateSite => "Migrate site",
        Action::RetryRecords => "Retry records",
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
