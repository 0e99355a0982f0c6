//! The suspects and where they were seen.
use super::commands::UiCommand;
use super::inbox::times;
use super::widgets::{self, Pictures};
use super::{modal, questions, tokens};
use crate::model::{CameraId, CaseChange, Characteristics, ColourName, Decision, Suspect, SuspectId};
use crate::site::{CaseCommand, Command, ExportCommand, ExportOf, Judgement, SightingView, SiteState, SuspectView};
use egui::{Align, Color32, Layout, RichText, ScrollArea, Ui, vec2};

/// What the panel remembers between two repaints.
#[derive(Default)]
pub struct Suspects {
    ending: Option<SuspectId>,
    search: String,
    editing: Option<(SuspectId, Characteristics)>,
    scroll_to: Option<SuspectId>,
    finding: Option<SuspectId>,
    on_the_map: Option<SuspectId>,
}

impl Suspects {
    /// Scrolls to this suspect at the next repaint.
    pub fn show(&mut self, id: SuspectId) {
        self.scroll_to = Some(id);
    }

    /// The suspect that the operator just asked to find elsewhere.
    pub fn take_find(&mut self) -> Option<SuspectId> {
        self.finding.take()
    }

    /// Whether the form is open in which something is changed.
    pub fn is_dirty(&self, state: &SiteState) -> bool {
        self.editing.as_ref().is_some_and(|(id, draft)| {
            widgets::suspect(state, *id).is_none_or(|view| view.suspect.characteristics != *draft)
        })
    }

    /// Takes back the question whether a follow is to be ended, or closes the form; `false` when neither was open.
    pub fn close(&mut self) -> bool {
        self.ending.take().is_some() || self.editing.take().is_some()
    }

    /// Whose way is to be shown on the map; asked once.
    pub fn on_the_map(&mut self) -> Option<SuspectId> {
        self.on_the_map.take()
    }

    /// Draws the panel.
    pub fn ui(&mut self, ui: &mut Ui, state: &SiteState, pictures: &mut Pictures) -> Option<Command> {
        if state.suspects.is_empty() {
            widgets::empty(ui, "No suspects", "Click on a person on the wall to mark a suspect");
            return None;
        }
        let search = egui::TextEdit::singleline(&mut self.search)
            .hint_text("Search by colour, object, note, reason…")
            .margin(egui::Margin::symmetric(10, 6))
            .desired_width(f32::INFINITY);
        let search = ui.add(search);
        search.widget_info(|| egui::WidgetInfo::labeled(egui::Role::TextInput, true, "Search suspects"));
        let wanted = self.search.to_lowercase();
        let found = state.suspects.iter().filter(|view| answers(&view.suspect, &wanted));
        let mut command = None;
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            let (followed, past): (Vec<_>, Vec<_>) = found.partition(|view| view.suspect.is_followed(state.now));
            if followed.is_empty() && past.is_empty() {
                widgets::empty(
                    ui,
                    "Nobody looks like that",
                    "Every word must occur: a colour, an object, a note, a reason",
                );
            }
            for view in followed {
                let shown = ui.push_id(view.suspect.id, |ui| self.suspect(ui, state, view, pictures));
                command = shown.inner.or(command.take());
            }
            if !past.is_empty() {
                ui.label(tokens::small("No longer followed"));
            }
            for view in past {
                let shown = ui.push_id(view.suspect.id, |ui| self.suspect(ui, state, view, pictures));
                command = shown.inner.or(command.take());
            }
        });
        command
    }

    fn suspect(
        &mut self,
        ui: &mut Ui,
        state: &SiteState,
        view: &SuspectView,
        pictures: &mut Pictures,
    ) -> Option<Command> {
        let suspect = &view.suspect;
        let mut command = None;
        let card = widgets::card(self.ending == Some(suspect.id)).show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.spacing_mut().interact_size.y = 22.0;
            let (mut ends, mut finds) = (false, false);
            let small = |words: &str| egui::Button::new(RichText::new(words).size(12.5)).min_size(vec2(0.0, 24.0));
            let beside = |ui: &mut Ui| {
                if suspect.is_followed(state.now) {
                    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                        ends = ui.add(small("End follow…")).clicked();
                        let help = "Searches everybody seen for this suspect";
                        finds = ui.add(small("Find…")).on_hover_text(help).clicked();
                    });
                }
            };
            widgets::suspect_head(ui, view, pictures, vec2(72.0, 104.0), beside, |ui| {
                ui.label(&suspect.reason);
                looks(ui, &suspect.characteristics);
                let (words, tint) = if let Some(ended) = suspect.ended_at {
                    (format!("Ended {}", ended.local_date_time()), tokens::TEXT_WEAK)
                } else if suspect.is_followed(state.now) {
                    let rest = suspect.expires_at.seconds_since(state.now);
                    (format!("Followed for another {}", widgets::span(rest)), tokens::GOOD)
                } else {
                    (format!("Expired {}", suspect.expires_at.local_date_time()), tokens::TEXT_WEAK)
                };
                ui.label(RichText::new(words).size(12.5).color(tint));
                if let Some(words) = seen_lately(state, suspect.id) {
                    ui.label(RichText::new(words).size(12.5));
                }
                ui.label(tokens::small(format!(
                    "Marked {} by {}",
                    suspect.marked_at.local_date_time(),
                    suspect.marked_by
                )));
                // Wrapped: a card is as wide as its panel, whatever the words.
                ui.horizontal_wrapped(|ui| {
                    if self.editing.as_ref().is_none_or(|(id, _)| *id != suspect.id)
                        && ui.add(small("Edit looks…")).on_hover_text("Colours, carried object and notes").clicked()
                    {
                        self.editing = Some((suspect.id, suspect.characteristics.clone()));
                    }
                    let help = "Hands out all video of this suspect, with pictures and log, as one signed package";
                    if ui.add(small("Export…")).on_hover_text(help).clicked() {
                        command = Some(Command::Export(ExportCommand::Plan {
                            of: ExportOf::Suspect(suspect.id),
                            pending: false,
                        }));
                    }
                    if ui.add(small("On the map")).on_hover_text("Shows where this suspect went").clicked() {
                        self.on_the_map = Some(suspect.id);
                    }
                    command = add_to_case(ui, state, suspect.id).or(command.take());
                });
            });
            if ends {
                self.ending = Some(suspect.id);
            }
            if finds {
                self.finding = Some(suspect.id);
            }
            if let Some((_, draft)) = self.editing.as_mut().filter(|(id, _)| *id == suspect.id) {
                ui.separator();
                match form(ui, draft) {
                    Some(true) => {
                        let characteristics = draft.clone();
                        command = Some(Command::EditSuspect { suspect: suspect.id, characteristics });
                        self.editing = None;
                    }
                    Some(false) => self.editing = None,
                    None => {}
                }
            }
            if self.ending == Some(suspect.id) {
                ui.separator();
                ui.label(format!(
                    "End the follow of {}? Cameras stop looking for this person; the record stays.",
                    suspect.label
                ));
                if let Some(yes) = questions::answers(ui, "End follow", "Keep following") {
                    command = yes.then_some(Command::EndSuspect(suspect.id)).or(command.take());
                    self.ending = None;
                }
            }
            command = sightings(ui, state, suspect.id).or(command.take());
        });
        if self.scroll_to.take_if(|id| *id == suspect.id).is_some() {
            card.response.scroll_to_me(Some(Align::TOP));
        }
        command
    }
}

/// The menu of the cases that a suspect can be added to.
fn add_to_case(ui: &mut Ui, state: &SiteState, suspect: SuspectId) -> Option<Command> {
    let mut command = None;
    let menu = modal::menu(ui, RichText::new("Add to case…").size(12.5), |ui| {
        let open = state.casework.cases.iter().map(|v| &v.case).filter(|c| c.closed.is_none());
        let mut others = open.filter(|c| !c.suspects.contains(&suspect)).peekable();
        if others.peek().is_none() {
            let key = UiCommand::ShowCases.keys_text();
            ui.label(tokens::weak(format!("No other open case of yours: open one first ({key})")));
        }
        for case in others {
            if ui.button(format!("{} · {}", case.number, case.name)).clicked() {
                command = Some(Command::Case(CaseCommand::Change(case.id, CaseChange::AddSuspect { suspect })));
                ui.close();
            }
        }
    });
    menu.on_hover_text("Gathers what is known of this suspect in a case");
    command
}

/// `Seen 14 times in the last 24 h, 2 confirmed`: what nobody rejected.
fn seen_lately(state: &SiteState, id: SuspectId) -> Option<String> {
    let own = state.sightings.iter().map(|view| &view.sighting).filter(|s| s.suspect == id);
    let lately = own.filter(|s| state.now.seconds_since(s.last_seen_at) <= 24.0 * 3600.0);
    let (mut seen, mut confirmed) = (0, 0);
    for sighting in lately {
        match sighting.decision {
            Decision::Pending | Decision::Withdrawn { .. } => seen += 1,
            Decision::Confirmed { .. } => (seen, confirmed) = (seen + 1, confirmed + 1),
            Decision::Origin | Decision::Rejected { .. } => {}
        }
    }
    let times = if seen == 1 { "once".to_owned() } else { format!("{seen} times") };
    (seen > 0).then(|| format!("Possibly seen {times} in the last 24 h, {confirmed} confirmed"))
}

/// Whether every word that is looked for occurs in what is known of a suspect.
fn answers(suspect: &Suspect, wanted: &str) -> bool {
    let looks = &suspect.characteristics;
    let known = format!("{} {} {} {}", suspect.label, suspect.reason, looks.words(), looks.notes).to_lowercase();
    wanted.split_whitespace().all(|word| known.contains(word))
}

fn looks(ui: &mut Ui, looks: &Characteristics) {
    let words = looks.words();
    if !words.is_empty() {
        ui.label(RichText::new(words).size(12.5)).on_hover_text("Colours are measured on the clicked picture");
    }
    if !looks.notes.is_empty() {
        ui.label(tokens::small(&looks.notes));
    }
}

/// The form for how a suspect looks: `Some(true)` to save, `Some(false)` to leave it.
fn form(ui: &mut Ui, draft: &mut Characteristics) -> Option<bool> {
    egui::Grid::new("looks").num_columns(2).spacing(vec2(12.0, 6.0)).show(ui, |ui| {
        for (label, colour) in [("Above the waist", &mut draft.upper), ("Below the waist", &mut draft.lower)] {
            ui.label(label);
            let list = egui::ComboBox::from_id_salt(label).selected_text(colour.map_or("not known", ColourName::name));
            modal::choose(list, ui, |ui| {
                ui.selectable_value(colour, None, "not known");
                for one in ColourName::ALL {
                    ui.selectable_value(colour, Some(one), one.name());
                }
            });
            ui.end_row();
        }
        for (label, words) in [("Carried object", &mut draft.carried), ("Notes", &mut draft.notes)] {
            let label = ui.label(label);
            let edit = egui::TextEdit::singleline(words).char_limit(Characteristics::TEXT).desired_width(f32::INFINITY);
            ui.add(edit).labelled_by(label.id);
            ui.end_row();
        }
    });
    let mut answer = None;
    ui.horizontal(|ui| {
        if ui.add(widgets::primary("Save looks")).clicked() {
            answer = Some(true);
        }
        if ui.button("Cancel").clicked() {
            answer = Some(false);
        }
    });
    answer
}

fn sightings(ui: &mut Ui, state: &SiteState, id: SuspectId) -> Option<Command> {
    let own: Vec<&SightingView> =
        state.sightings.iter().map(|view| &**view).filter(|view| view.sighting.suspect == id).collect();
    if own.is_empty() {
        return None;
    }
    ui.separator();
    let mut cameras: Vec<CameraId> = Vec::new();
    for view in &own {
        if !cameras.contains(&view.sighting.camera) {
            cameras.push(view.sighting.camera);
        }
    }
    let mut command = None;
    ui.spacing_mut().item_spacing.y = 3.0;
    ui.spacing_mut().button_padding = vec2(8.0, 2.0);
    for camera in cameras {
        ui.label(tokens::strong(widgets::camera_name(state, camera)).size(13.0));
        for view in own.iter().filter(|view| view.sighting.camera == camera) {
            ui.push_id(view.sighting.id, |ui| {
                ui.horizontal(|ui| {
                    ui.label(tokens::digits(times(view)).size(12.0));
                    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                        command = decision(ui, view).or(command.take());
                    });
                });
            });
        }
    }
    command
}

fn decision(ui: &mut Ui, view: &SightingView) -> Option<Command> {
    let (words, tint, tooltip): (String, Color32, String) = match &view.sighting.decision {
        Decision::Origin => ("marked here".to_owned(), tokens::TEXT_WEAK, String::new()),
        Decision::Pending | Decision::Withdrawn { .. } => {
            let words = format!("possible match {}", widgets::percent(view.sighting.probability));
            (words, tokens::WARN, "Waits for a decision".to_owned())
        }
        Decision::Confirmed { by, at } => {
            ("confirmed".to_owned(), tokens::GOOD, format!("By {by} at {}", at.local_date_time()))
        }
        Decision::Rejected { by, at } => {
            ("rejected".to_owned(), tokens::TEXT_WEAK, format!("By {by} at {}", at.local_date_time()))
        }
    };
    if view.sighting.decision == Decision::Origin {
        ui.label(RichText::new(words).size(12.0).color(tint));
        return None;
    }
    let mut command = None;
    let menu = modal::menu(ui, RichText::new(format!("{words}…")).size(12.0).color(tint), |ui| {
        for (words, help, judgement) in [
            (UiCommand::ConfirmMatch.text(), UiCommand::ConfirmMatch.tooltip(), Judgement::Confirm),
            (UiCommand::RejectMatch.text(), UiCommand::RejectMatch.tooltip(), Judgement::Reject),
            ("Undecide", "Takes the decision back: the match waits again", Judgement::Undecide),
        ] {
            let says_so = match view.sighting.decision {
                Decision::Confirmed { .. } => judgement == Judgement::Confirm,
                Decision::Rejected { .. } => judgement == Judgement::Reject,
                _ => judgement == Judgement::Undecide,
            };
            if !says_so && ui.button(words).on_hover_text(help).clicked() {
                command = Some(view.judged(judgement));
                ui.close();
            }
        }
    });
    menu.on_hover_text(format!("{tooltip}\nThe last decision counts; all are kept").trim());
    command
}
