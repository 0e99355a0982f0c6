//! The sheet of shortcuts: the list of commands, by where they work.
use super::{
    commands::{Place, UiCommand},
    modal, tokens, widgets,
};
use egui::{Grid, vec2};

/// Draws it; `true` when it was closed.
pub fn ui(context: &egui::Context) -> bool {
    modal::dialog(context, "shortcuts", 1180.0, |ui| {
        ui.heading("Keyboard shortcuts");
        ui.label(tokens::weak(
            "A part of the screen has the keys, and shows it by a line around it. Click into another one to give it the keys.",
        ));
        ui.add_space(8.0);
        Grid::new("shortcuts").num_columns(4).spacing(vec2(20.0, 2.0)).show(ui, |ui| {
            for command in UiCommand::ALL {
                widgets::key(ui, &command.keys_text());
                ui.label(command.text().trim_end_matches('…'));
                ui.label(tokens::small(place(command)));
                ui.add(egui::Label::new(tokens::weak(command.tooltip())).wrap());
                ui.end_row();
            }
        });
        ui.add_space(8.0);
        ui.button("Close").on_hover_text("Esc").clicked()
    })
}

/// `wall, inbox`; `everywhere`.
fn place(command: UiCommand) -> String {
    match command.place() {
        Place::Anywhere => "everywhere".to_owned(),
        Place::MarkForm => "the form that marks".to_owned(),
        Place::In(parts) => parts.iter().map(|part| part.name()).collect::<Vec<_>>().join(", "),
    }
}
