//! Suspects that the console proposes because they hold a weapon: each waits for an operator to confirm or drop it.
use super::commands::{Part, UiCommand};
use super::keys::Keys;
use super::tokens;
use super::widgets::{self, Pictures};
use crate::model::SuspectId;
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

/// Which proposal is shown: it stays until it is decided, whatever becomes more urgent meanwhile.
#[derive(Default)]
pub struct Proposals {
    shown: Option<SuspectId>,
}

impl Proposals {
    /// The proposal that is on screen, by its id.
    pub fn shown(&self) -> Option<SuspectId> {
        self.shown
    }

    /// Decides about the proposal that is shown; `None` when it waits no more.
    pub fn decide(&self, state: &SiteState, confirm: bool) -> Option<Command> {
        let view = waiting(state).into_iter().find(|view| Some(view.suspect.id) == self.shown)?;
        let until = view.suspect.proposed_until?;
        Some(Command::DecideProposal { suspect: view.suspect.id, confirm, until })
    }

    /// Draws one proposal; nothing when none waits.
    pub fn ui(&mut self, ui: &mut Ui, state: &SiteState, pictures: &mut Pictures, keys: &mut Keys) -> Option<Command> {
        let waiting = waiting(state);
        let view = *waiting.iter().find(|view| Some(view.suspect.id) == self.shown).or(waiting.first())?;
        let suspect = &view.suspect;
        self.shown = Some(suspect.id);
        let has_keys = keys.has(Part::Proposal);
        if has_keys {
            keys.arm(ui.ctx(), suspect.id);
        }
        let mut command = None;
        let card = ui.push_id(suspect.id, |ui| {
            widgets::card(has_keys).show(ui, |ui| {
                ui.set_width(ui.available_width());
                let size = vec2(64.0, 92.0);
                widgets::suspect_head(
                    ui,
                    view,
                    pictures,
                    size,
                    |_| (),
                    |ui| {
                        ui.label(RichText::new(&suspect.reason).color(tokens::BAD));
                        ui.label(widgets::camera_name(state, suspect.camera));
                        let left = suspect.proposed_until.map_or(0.0, |until| until.seconds_since(state.now));
                        let more = waiting.len() - 1;
                        let more = if more > 0 { format!(" · {more} more") } else { String::new() };
                        ui.label(tokens::small(format!("Decide within {}{more}", widgets::span(left))));
                    },
                );
                let half = (ui.available_width() - tokens::SPACE) / 2.0;
                ui.horizontal(|ui| {
                    for (entry, confirm) in [(UiCommand::ConfirmProposal, true), (UiCommand::DropProposal, false)] {
                        let button =
                            if confirm { widgets::primary(entry.text()) } else { egui::Button::new(entry.text()) };
                        let button = button.min_size(vec2(half, 32.0));
                        let button = if has_keys { button.shortcut_text(entry.keys_text()) } else { button };
                        if ui.add(button).on_hover_text(entry.help()).clicked() {
                            command = self.decide(state, confirm);
                        }
                    }
                });
            })
        });
        let rect = card.inner.response.rect;
        widgets::dashed(ui, rect, tokens::BAD);
        keys.claim(ui, Part::Proposal, rect);
        ui.add_space(4.0);
        command
    }
}
