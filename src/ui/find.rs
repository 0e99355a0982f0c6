//! The search among everybody seen: a strip of pictures ranked by probability, each to be confirmed or rejected.
use super::widgets::{self, Pictures};
use super::{modal, tokens};
use crate::model::CameraId;
use crate::site::{Clicked, Command, FindCommand, FindView, FindWho, HitView, SiteState};
use egui::{Align, Layout, RichText, ScrollArea, Ui, vec2};
use std::collections::BTreeSet;
use std::time::Duration;

const HOUR: u64 = 3600;
/// How far back is searched; the second is chosen until the operator chooses another.
const SPANS: [(&str, Duration); 5] = [
    ("1 hour", Duration::from_secs(HOUR)),
    ("24 hours", Duration::from_secs(24 * HOUR)),
    ("3 days", Duration::from_secs(72 * HOUR)),
    ("7 days", Duration::from_secs(168 * HOUR)),
    ("30 days", Duration::from_secs(720 * HOUR)),
];
const CARD_WIDTH: f32 = 148.0;
/// From one card's left side to the next's.
const CARD_PITCH: f32 = 184.0;

/// What the panel remembers between two repaints.
pub struct Find {
    who: Option<FindWho>,
    span: usize,
    /// Cameras left out.
    without: BTreeSet<CameraId>,
    /// Whom the operator just wants to mark.
    marked: Option<Clicked>,
}

impl Default for Find {
    fn default() -> Self {
        Self { who: None, span: 1, without: BTreeSet::new(), marked: None }
    }
}

impl Find {
    /// The search for somebody, over the hours and cameras chosen last.
    pub fn start(&mut self, state: &SiteState, who: FindWho) -> Command {
        self.who = Some(who.clone());
        let span = SPANS.get(self.span).map_or(Duration::from_secs(24 * HOUR), |(_, span)| *span);
        let some = state.cameras.iter().map(|view| view.camera.id).filter(|id| !self.without.contains(id));
        Command::Find(FindCommand::Start {
            who,
            cameras: (!self.without.is_empty()).then(|| some.collect()),
            from: state.now.minus(span),
            until: state.now.plus(Duration::from_secs(1)),
        })
    }

    /// Whom the operator just wants to mark: a card opens for the form.
    pub fn take_marked(&mut self) -> Option<Clicked> {
        self.marked.take()
    }

    /// Draws the panel.
    pub fn ui(&mut self, ui: &mut Ui, state: &SiteState, pictures: &mut Pictures) -> Option<Command> {
        let mut command = None;
        egui::Frame::new().inner_margin(egui::Margin::same(16)).show(ui, |ui| {
            let again = self.controls(ui, state);
            if let (true, Some(who)) = (again, self.who.clone()) {
                command = Some(self.start(state, who));
            }
            ui.add_space(8.0);
            match &state.find {
                None if self.who.is_some() => {
                    ui.centered_and_justified(|ui| ui.label(tokens::weak("Searching…")));
                }
                None => widgets::empty(
                    ui,
                    "Nobody is searched for",
                    "Click on a person on the wall, or open a suspect, and choose Find: whoever looks alike appears here",
                ),
                Some(view) => match results(ui, state, view, pictures) {
                    Some(Wish::Ask(asked)) => command = Some(asked),
                    Some(Wish::Mark(person)) => self.marked = Some(person),
                    None => {}
                },
            }
        });
        command
    }

    /// Hours and cameras; `true` when they changed.
    fn controls(&mut self, ui: &mut Ui, state: &SiteState) -> bool {
        let mut changed = false;
        ui.horizontal(|ui| {
            ui.label(tokens::strong("Find a person").size(18.0));
            ui.add_space(12.0);
            for (i, (name, _)) in SPANS.iter().enumerate() {
                if ui.add(egui::Button::selectable(self.span == i, *name).frame_when_inactive(true)).clicked() {
                    self.span = i;
                    changed = true;
                }
            }
            ui.add_space(8.0);
            let shown =
                state.cameras.len() - state.cameras.iter().filter(|v| self.without.contains(&v.camera.id)).count();
            modal::switches(ui, format!("{shown} of {} cameras ⏷", state.cameras.len()), |ui| {
                for view in &state.cameras {
                    let mut searched = !self.without.contains(&view.camera.id);
                    if ui.checkbox(&mut searched, &view.camera.name).clicked() {
                        changed = true;
                        if searched {
                            self.without.remove(&view.camera.id);
                        } else {
                            self.without.insert(view.camera.id);
                        }
                    }
                }
            });
        });
        changed
    }
}

/// What a click among the hits asks for.
enum Wish {
    Ask(Command),
    Mark(Clicked),
}

fn results(ui: &mut Ui, state: &SiteState, view: &FindView, pictures: &mut Pictures) -> Option<Wish> {
    let mut wish = None;
    ui.horizontal_top(|ui| {
        widgets::card(false).show(ui, |ui| {
            ui.set_width(170.0);
            ui.vertical(|ui| {
                pictures.show(ui, view.picture.as_ref(), vec2(170.0, 230.0), "Whom is searched for");
                ui.label(tokens::strong(&view.who));
                ui.label(tokens::small(format!("{} appearances compared", view.compared)));
                ui.label(tokens::small(format!("since {}", view.from.local_date_time())));
                ui.add_space(6.0);
                ui.label(tokens::small(
                    "Confirming and rejecting improves the order. A match is possible, never certain.",
                ));
                if ui.button("Close search").clicked() {
                    wish = Some(Wish::Ask(Command::Find(FindCommand::Close)));
                }
            });
        });
        // What is left of the window: inside the list more seems to be free.
        let room =
            ui.max_rect().right().min(ui.clip_rect().right()) - ui.cursor().left() - ui.spacing().scroll.bar_width;
        let columns = ((room / CARD_PITCH) as usize).max(1);
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            // Beside the picture things stand in a line; the rows of the grid stand under each other.
            ui.vertical(|ui| {
                if view.hits.is_empty() {
                    widgets::empty(ui, "Nobody was seen there and then", "Choose more hours or more cameras");
                }
                // Cards do not wrap by themselves: their size is known only when they are drawn.
                for row in view.hits.chunks(columns) {
                    ui.horizontal_top(|ui| {
                        for hit in row {
                            // Who is the suspect already is not marked again.
                            let known = view.suspect.is_some() && hit.judged == Some(true);
                            let card = ui.push_id(hit.tracklet, |ui| hit_card(ui, state, hit, !known, pictures));
                            wish = card.inner.or(wish.take());
                        }
                    });
                }
            });
        });
    });
    wish
}

fn hit_card(
    ui: &mut Ui,
    state: &SiteState,
    hit: &HitView,
    can_be_marked: bool,
    pictures: &mut Pictures,
) -> Option<Wish> {
    let mut wish = None;
    widgets::card(hit.judged == Some(true)).show(ui, |ui| {
        ui.set_width(CARD_WIDTH);
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 4.0;
            pictures.show(ui, hit.crop.as_ref(), vec2(CARD_WIDTH, 180.0), "Somebody who may be the person");
            ui.horizontal(|ui| {
                ui.label(tokens::strong(widgets::percent(hit.probability)));
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| match hit.judged {
                    Some(true) => drop(ui.label(RichText::new("confirmed").color(tokens::GOOD).size(12.0))),
                    Some(false) => drop(ui.label(tokens::small("rejected"))),
                    None => {}
                });
            });
            ui.add(egui::Label::new(widgets::camera_name(state, hit.camera)).truncate());
            // Wrapped: a card is no wider than its picture, or the grid would leave the window.
            let when = format!("{} – {}", hit.starts_at.local_date_time(), hit.ends_at.local_time());
            ui.add(egui::Label::new(tokens::small(when)).wrap());
            ui.horizontal(|ui| {
                let half = (CARD_WIDTH - 6.0) / 2.0;
                ui.spacing_mut().item_spacing.x = 6.0;
                for (words, same, tooltip) in [("Same", true, "The same person"), ("Other", false, "Somebody else")] {
                    let button = egui::Button::selectable(hit.judged == Some(same), words).frame_when_inactive(true);
                    if ui.add(button.min_size(vec2(half, 26.0))).on_hover_text(tooltip).clicked() {
                        wish = Some(Wish::Ask(Command::Find(FindCommand::Judge { tracklet: hit.tracklet, same })));
                    }
                }
            });
            let button = egui::Button::new("Mark as suspect…").min_size(vec2(CARD_WIDTH, 26.0));
            let help = "Follows this person from now on, for a reason";
            let why = "The picture or the record of this stay is not in the stores yet";
            if can_be_marked
                && let mark = ui.add_enabled(hit.person.is_some(), button).on_hover_text(help)
                && mark.on_disabled_hover_text(why).clicked()
            {
                wish = hit.person.clone().map(Wish::Mark);
            }
        });
    });
    wish
}
