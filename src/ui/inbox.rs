//! The possible matches that wait for a person's decision.
use super::commands::{Part, UiCommand};
use super::keys::Keys;
use super::tokens;
use super::widgets::{self, Pictures};
use crate::model::{SightingId, Timestamp};
use crate::site::{Command, Judgement, SightingView, SiteState};
use egui::{Align, Layout, RichText, ScrollArea, Sense, Ui, UiBuilder, vec2};
use std::collections::HashMap;

/// A decision is taken as under way for this long; when the site has not taken it over by then, the match comes back.
const UNDER_WAY: f64 = 3.0;

/// What the inbox remembers between two repaints.
#[derive(Default)]
pub struct Inbox {
    /// Stays on its match whatever arrives, so that a key never decides about one that just came in.
    selected: Option<SightingId>,
    place: usize,
    scroll: bool,
    decided: HashMap<SightingId, Timestamp>,
}

impl Inbox {
    /// The matches that wait, newest first.
    pub fn pending<'a>(&self, state: &'a SiteState) -> Vec<&'a SightingView> {
        let under_way = |id| self.decided.get(id).is_some_and(|at| state.now.seconds_since(*at) < UNDER_WAY);
        state
            .sightings
            .iter()
            .map(|view| &**view)
            .filter(|view| view.sighting.decision.is_pending() && !under_way(&view.sighting.id))
            .collect()
    }

    /// Keeps the selection on a match that still waits: the same one, or the one that took its place.
    fn select<'a>(&mut self, pending: &[&'a SightingView]) -> Option<&'a SightingView> {
        let same = pending.iter().position(|view| Some(view.sighting.id) == self.selected);
        self.place = same.unwrap_or(self.place).min(pending.len().saturating_sub(1));
        let view = pending.get(self.place).copied();
        self.selected = view.map(|view| view.sighting.id);
        view
    }

    /// The match that keys decide about: the selected one.
    pub fn selected(&self) -> Option<SightingId> {
        self.selected
    }

    /// Moves the selection by one.
    pub fn step(&mut self, state: &SiteState, forward: bool) {
        let pending = self.pending(state);
        self.select(&pending);
        let place = if forward { self.place + 1 } else { self.place.saturating_sub(1) };
        if let Some(view) = pending.get(place) {
            self.selected = Some(view.sighting.id);
            self.scroll = true;
        }
    }

    /// Decides about this match, as it is shown; `None` when it waits no more.
    pub fn decide(&mut self, state: &SiteState, id: SightingId, judgement: Judgement) -> Option<Command> {
        let command = self.pending(state).iter().find(|view| view.sighting.id == id)?.judged(judgement);
        self.decided.retain(|_, at| state.now.seconds_since(*at) < UNDER_WAY);
        self.decided.insert(id, state.now);
        Some(command)
    }

    /// Draws the inbox; the selected card says by which keys it is decided while it has them.
    pub fn ui(&mut self, ui: &mut Ui, state: &SiteState, pictures: &mut Pictures, keys: &mut Keys) -> Option<Command> {
        let pending = self.pending(state);
        let selected = self.select(&pending).map(|view| view.sighting.id);
        if pending.is_empty() {
            let hint = if state.suspects.iter().any(|view| view.suspect.is_followed(state.now)) {
                "When a suspect may have been seen, both pictures appear here for your decision"
            } else {
                "Click on a person on the wall to mark a suspect. Possible matches on other cameras then wait here for your decision"
            };
            widgets::empty(ui, "No possible matches", hint);
            return None;
        }
        let has_keys = keys.has(Part::Inbox);
        let mut decision = None;
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            for view in &pending {
                let id = view.sighting.id;
                let is_selected = selected == Some(id);
                let response = ui.scope_builder(UiBuilder::new().id_salt(id).sense(Sense::CLICK), |ui| {
                    widgets::card(is_selected && has_keys)
                        .show(ui, |ui| {
                            ui.set_width(ui.available_width());
                            ui.spacing_mut().interact_size.y = 20.0;
                            if is_selected {
                                whole(ui, state, view, pictures, has_keys)
                            } else {
                                brief(ui, state, view, pictures)
                            }
                        })
                        .inner
                });
                if let Some(judgement) = response.inner {
                    decision = Some((id, judgement));
                }
                if response.response.clicked() {
                    self.selected = Some(id);
                }
                if is_selected && has_keys {
                    keys.arm(ui.ctx(), id);
                }
                if is_selected && std::mem::take(&mut self.scroll) {
                    response.response.scroll_to_me(None);
                }
            }
        });
        decision.and_then(|(id, judgement)| self.decide(state, id, judgement))
    }
}

fn title(ui: &mut Ui, state: &SiteState, view: &SightingView) {
    ui.horizontal(|ui| {
        ui.label(tokens::strong(format!("Possible match {}", widgets::percent(view.sighting.probability))).size(15.0));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if let Some(suspect) = widgets::suspect(state, view.sighting.suspect) {
                ui.label(&suspect.suspect.label);
                widgets::swatch(ui, &suspect.suspect);
            }
        });
    });
}

fn brief(ui: &mut Ui, state: &SiteState, view: &SightingView, pictures: &mut Pictures) -> Option<Judgement> {
    title(ui, state, view);
    ui.horizontal(|ui| {
        let size = vec2(44.0, 60.0);
        let marked = widgets::suspect(state, view.sighting.suspect).and_then(|view| view.crop.as_ref());
        pictures.show(ui, marked, size, "The suspect when marked");
        pictures.show(ui, view.crop.as_ref(), size, "The possible match");
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 3.0;
            ui.add_space(8.0);
            ui.label(widgets::camera_name(state, view.sighting.camera));
            ui.label(tokens::small(times(view)));
        });
    });
    None
}

fn whole(
    ui: &mut Ui,
    state: &SiteState,
    view: &SightingView,
    pictures: &mut Pictures,
    has_keys: bool,
) -> Option<Judgement> {
    title(ui, state, view);
    let suspect = widgets::suspect(state, view.sighting.suspect);
    let half = (ui.available_width() - tokens::SPACE) / 2.0;
    ui.horizontal_top(|ui| {
        for (crop, alt, camera, time) in [
            (
                suspect.and_then(|view| view.crop.as_ref()),
                "The suspect when marked",
                suspect.map_or("", |view| widgets::camera_name(state, view.suspect.camera)),
                suspect.map_or(String::new(), |view| format!("Marked {}", view.suspect.marked_at.local_time())),
            ),
            (
                view.crop.as_ref(),
                "The possible match",
                widgets::camera_name(state, view.sighting.camera),
                format!("Seen {}", times(view)),
            ),
        ] {
            ui.allocate_ui(vec2(half, 0.0), |ui| {
                ui.vertical(|ui| {
                    ui.set_width(half);
                    ui.spacing_mut().item_spacing.y = 3.0;
                    pictures.show(ui, crop, vec2(half, 186.0), alt);
                    ui.add(egui::Label::new(RichText::new(camera)).truncate());
                    ui.label(tokens::small(time));
                });
            });
        }
    });
    if let Some(view) = suspect {
        ui.label(tokens::weak(format!("Reason: {}", view.suspect.reason)));
    }
    let mut decision = None;
    ui.horizontal(|ui| {
        for (command, judgement) in
            [(UiCommand::ConfirmMatch, Judgement::Confirm), (UiCommand::RejectMatch, Judgement::Reject)]
        {
            let confirms = judgement == Judgement::Confirm;
            let button = if confirms { widgets::primary(command.text()) } else { egui::Button::new(command.text()) };
            let button = button.min_size(vec2(half, 34.0));
            let button = if has_keys { button.shortcut_text(command.keys_text()) } else { button };
            if ui.add(button).on_hover_text(command.help()).clicked() {
                decision = Some(judgement);
            }
        }
    });
    decision
}

/// `14:03:22 – 14:03:40`, `14:03:22, in view`.
pub fn times(view: &SightingView) -> String {
    let entered = view.sighting.entered_at.local_time();
    view.sighting
        .left_at
        .map_or_else(|| format!("{entered}, in view"), |left| format!("{entered} – {}", left.local_time()))
}
