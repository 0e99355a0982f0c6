//! Suspects that the console proposes because they hold a weapon: each waits for an operator to confirm or drop it.
use super::commands::UiCommand;
use super::tokens;
use super::widgets::{self, Pictures};
use crate::site::{Command, SiteState, SuspectView};
use egui::{RichText, Ui, vec2};

/// The proposals that wait, the most urgent first.
pub fn waiting(state: &SiteState) -> Vec<&SuspectView> {
    let mut waiting: Vec<_> = state
        .suspects
        .iter()
        .map(|v| &**v)
        .filter(|v| v.suspect.proposed_until.is_some() && v.suspect.is_followed(state.now))
        .collect();
    waiting.sort_by_key(|v| (v.suspect.proposed_until, v.suspect.id));
    waiting
}

/// Decides about the most urgent proposal; `None` when none waits.
pub fn decide(state: &SiteState, confirm: bool) -> Option<Command> {
    let suspect = &waiting(state).first()?.suspect;
    Some(Command::DecideProposal { suspect: suspect.id, confirm, until: suspect.proposed_until? })
}

/// Draws the most urgent proposal; nothing when none waits.
pub fn ui(ui: &mut Ui, state: &SiteState, pictures: &mut Pictures) -> Option<Command> {
    let waiting = waiting(state);
    let suspect = &waiting.first()?.suspect;
    let mut command = None;
    let card = widgets::card(false).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.horizontal_top(|ui| {
            pictures.show(ui, waiting.first().and_then(|v| v.crop.as_ref()), vec2(64.0, 92.0), "The proposed suspect");
            ui.vertical(|ui| {
                ui.spacing_mut().item_spacing.y = 3.0;
                ui.horizontal(|ui| {
                    widgets::swatch(ui, suspect);
                    ui.label(tokens::strong(format!("{} · proposed", suspect.label)).size(15.0));
                });
                ui.label(RichText::new(&suspect.reason).color(tokens::BAD));
                ui.label(widgets::camera_name(state, suspect.camera));
                let left = suspect.proposed_until.map_or(0.0, |until| until.seconds_since(state.now));
                let more = if waiting.len() > 1 { format!(" · {} more", waiting.len() - 1) } else { String::new() };
                ui.label(tokens::small(format!("Decide within {}{more}", widgets::span(left))));
            });
        });
        let half = (ui.available_width() - tokens::SPACE) / 2.0;
        ui.horizontal(|ui| {
            for (entry, confirm) in [(UiCommand::ConfirmProposal, true), (UiCommand::DropProposal, false)] {
                let button = if confirm { widgets::primary(entry.text()) } else { egui::Button::new(entry.text()) };
                let button = button.min_size(vec2(half, 32.0)).shortcut_text(entry.keys_text());
                if ui.add(button).on_hover_text(entry.tooltip()).clicked() {
                    command = decide(state, confirm);
                }
            }
        });
    });
    widgets::dashed(ui, card.response.rect, tokens::BAD);
    ui.add_space(4.0);
    command
}
