//! Questions before something is lost: what was typed, or what closing the console would end.
use super::{modal, tokens, widgets};
use crate::site::{ExportStage, SiteState};
use egui::{Context, Id, Ui};

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Whether what is typed in the innermost form may be dropped.
    Discard,
    /// Whether the console is to be closed.
    Quit,
}

/// The two answers to a question, what would be lost at the left: whether it is to be done. Nothing is chosen beforehand, so that no key typed for
/// something else answers it.
pub fn answers(ui: &mut Ui, yes: &str, no: &str) -> Option<bool> {
    ui.horizontal(|ui| {
        let done = ui.add(widgets::danger(yes)).clicked();
        let left = ui.button(no).clicked();
        if left { Some(false) } else { done.then_some(true) }
    })
    .inner
}

impl Question {
    /// Draws the question; whether it is to be done, once that is answered.
    pub fn ui(self, context: &Context, state: &SiteState) -> Option<bool> {
        modal::dialog(context, "question", 420.0, |ui| {
            let (title, yes, no) = match self {
                Self::Discard => ("Drop what you typed?", "Drop it", "Keep typing"),
                Self::Quit => ("Quit Vigia?", "Quit", "Stay"),
            };
            ui.label(tokens::strong(title).size(18.0));
            match self {
                Self::Discard => drop(ui.label("It is not stored anywhere.")),
                Self::Quit => {
                    ui.label("This ends:");
                    for words in ends(state) {
                        ui.label(format!("·  {words}"));
                    }
                }
            }
            ui.add_space(8.0);
            answers(ui, yes, no)
        })
    }
}

/// What closing this console would end, in words.
pub fn ends(state: &SiteState) -> Vec<String> {
    let mut ends = Vec::new();
    let recorded = &state.recording;
    if !recorded.is_empty() {
        let names: Vec<_> = recorded.iter().take(4).map(|id| widgets::camera_name(state, *id)).collect();
        let more = recorded.len().saturating_sub(names.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let cameras = widgets::count(recorded.len() as u64, "camera", "cameras");
        ends.push(format!("the recording of {cameras}: {}{more}", names.join(", ")));
    } else if state.records {
        ends.push("the recording of cameras that you may not see".to_owned());
    }
    if state.export.as_ref().is_some_and(|view| matches!(view.stage, ExportStage::Running { .. })) {
        ends.push("the export that is being written".to_owned());
    }
    ends
}

/// Closes the window, whatever is being recorded: whoever may has said so, or the operating system asked for it.
pub fn leave(context: &Context) {
    context.data_mut(|data| data.insert_temp(leaving(), true));
    context.send_viewport_cmd(egui::ViewportCommand::Close);
}

/// Whether the window may close.
pub fn is_leaving(context: &Context) -> bool {
    context.data(|data| data.get_temp(leaving())).unwrap_or(false)
}

fn leaving() -> Id {
    Id::unique("leaving")
}
