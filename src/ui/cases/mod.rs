//! Cases: their list, and one of them open with its suspects, bookmarks, held video, people, notes and what was handed out.
mod dialog;

use super::{
    bookmark::{place, when},
    form::{Fields, needed},
    modal, tokens,
    widgets::{self, Pictures},
};
use crate::{
    model::{Bookmark, Case, CaseChange, CaseId, SuspectId, User},
    site::{CaseCommand, CaseSuspect, CaseView, Command, ExportCommand, ExportOf, ExportStage, SiteState, UploadStage},
};
use dialog::{Asked, Dialog};
use egui::{Align, Context, Layout, Margin, RichText, ScrollArea, TextEdit, Ui, vec2};
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// Width of the list.
const LIST: f32 = 300.0;
/// Height of two lines.
const LINE: f32 = 36.0;
/// What is held around a bookmark where nothing else is said.
const AROUND: Duration = Duration::from_secs(300);
/// What is held where nothing else is said: so long before now.
const BEFORE_NOW: Duration = Duration::from_secs(3600);

/// What the screen remembers between two repaints.
#[derive(Default)]
pub struct Cases {
    open: Option<CaseId>,
    search: String,
    /// What is typed for each case: a note belongs to the case it was begun in.
    drafts: BTreeMap<CaseId, Draft>,
    dialog: Option<Asked>,
    exports: Exports,
    leads: Option<Leads>,
}

/// What is typed and not stored yet.
#[derive(Default)]
struct Draft {
    note: String,
    person: String,
    /// Whether one of these two was to be sent empty.
    note_tried: bool,
    person_tried: bool,
}

/// Where a click leads.
pub enum Leads {
    /// Into the player.
    Watch(Bookmark),
    /// To a suspect.
    Suspect(SuspectId),
    /// To a suspect's way on the map.
    Map(SuspectId),
}

/// Suspects that are exported one after another, each by the dialog of exports.
#[derive(Default)]
struct Exports {
    waiting: VecDeque<SuspectId>,
    /// The next one was asked for and is not on the screen yet.
    asked: bool,
    /// Whether the one on the screen was written; `None` while there is none.
    written: Option<bool>,
}

impl Exports {
    /// The next to plan. When one is left unwritten, so are those behind it.
    fn next(&mut self, state: &SiteState) -> Option<Command> {
        if let Some(view) = &state.export {
            self.asked = false;
            self.written = Some(matches!(view.stage, ExportStage::Done { .. }));
            return None;
        }
        if self.written.take() == Some(false) {
            self.waiting.clear();
        }
        if self.asked {
            return None;
        }
        let suspect = self.waiting.pop_front()?;
        self.asked = true;
        Some(Command::Export(ExportCommand::Plan { of: ExportOf::Suspect(suspect), pending: false }))
    }
}

impl Cases {
    /// Where the operator just wants to go.
    pub fn take_lead(&mut self) -> Option<Leads> {
        self.leads.take()
    }

    /// Whether a dialog is open, and whether something is typed in it.
    pub fn dialog_is_dirty(&self) -> Option<bool> {
        self.dialog.as_ref().map(Asked::is_dirty)
    }

    /// Closes what is open on top; `false` when nothing was.
    pub fn back(&mut self) -> bool {
        self.dialog.take().is_some()
    }

    /// Draws the screen.
    pub fn ui(&mut self, ui: &mut Ui, state: &SiteState, user: &User, pictures: &mut Pictures) -> Vec<Command> {
        let mut asked = Vec::new();
        asked.extend(self.exports.next(state));
        let cases = &state.casework.cases;
        if !cases.iter().any(|v| Some(v.case.id) == self.open) {
            self.open = cases.iter().find(|v| v.case.closed.is_none()).or(cases.first()).map(|v| v.case.id);
        }
        let area = ui.available_rect_before_wrap().shrink2(vec2(10.0, 8.0));
        ui.advance_cursor_after_rect(area);
        let (left, right) = area.split_left_right_at_x(area.left() + LIST);
        let mut list = ui.new_child(egui::UiBuilder::new().max_rect(left).layout(Layout::top_down(Align::Min)));
        self.list(&mut list, state);
        let right = right.with_min_x(right.left() + 14.0);
        let mut one = ui.new_child(egui::UiBuilder::new().max_rect(right).layout(Layout::top_down(Align::Min)));
        match cases.iter().find(|v| Some(v.case.id) == self.open) {
            Some(view) => self.case(&mut one, state, user, view, pictures, &mut asked),
            None => widgets::empty(
                &mut one,
                "No cases yet",
                "Open one to gather suspects, bookmarks, notes and what was handed out under one name. Only the people who \
                 work on it, and administrators, see it",
            ),
        }
        asked.extend(self.dialog(ui.ctx(), state, user));
        asked
    }

    fn list(&mut self, ui: &mut Ui, state: &SiteState) {
        ui.horizontal(|ui| {
            ui.label(tokens::strong("Cases").size(20.0));
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if ui.add(widgets::primary("New case…")).clicked() {
                    self.dialog = Some(Asked::new(Dialog::Open { number: String::new(), name: String::new() }));
                }
            });
        });
        let search = TextEdit::singleline(&mut self.search).hint_text("Search by number, name, person…");
        let search = ui.add(search.margin(Margin::symmetric(10, 6)).desired_width(f32::INFINITY));
        search.widget_info(|| egui::WidgetInfo::labeled(egui::Role::TextInput, true, "Search cases"));
        let wanted = self.search.to_lowercase();
        let found = state.casework.cases.iter().filter(|v| answers(&v.case, &wanted));
        let (open, closed): (Vec<_>, Vec<_>) = found.partition(|v| v.case.closed.is_none());
        ScrollArea::vertical().id_salt("cases").auto_shrink(false).show(ui, |ui| {
            for (words, views) in [("", open), ("Closed", closed)] {
                if !words.is_empty() && !views.is_empty() {
                    ui.label(tokens::small(words));
                }
                for view in views {
                    let case = &view.case;
                    let card = widgets::card(self.open == Some(case.id)).show(ui, |ui| {
                        ui.set_width(ui.available_width());
                        ui.spacing_mut().item_spacing.y = 3.0;
                        ui.add(egui::Label::new(tokens::strong(&case.name)).truncate());
                        let suspects = widgets::count(case.suspects.len() as u64, "suspect", "suspects");
                        let people = widgets::count(case.people.len() as u64, "person on it", "people on it");
                        ui.label(tokens::small(format!("{} · {suspects} · {people}", case.number)));
                    });
                    let card = ui.interact(card.response.rect, ui.scope_id().with(case.id), egui::Sense::click());
                    card.widget_info(|| {
                        egui::WidgetInfo::labeled(egui::Role::Button, true, format!("Case {}", case.number))
                    });
                    if card.clicked() && self.open != Some(case.id) {
                        self.open = Some(case.id);
                    }
                }
            }
        });
    }

    fn case(
        &mut self,
        ui: &mut Ui,
        state: &SiteState,
        user: &User,
        view: &CaseView,
        pictures: &mut Pictures,
        asked: &mut Vec<Command>,
    ) {
        let case = &view.case;
        ui.horizontal(|ui| {
            ui.add(egui::Label::new(tokens::strong(&case.name).size(20.0)).truncate());
            match &case.closed {
                None => widgets::chip(ui, "open", tokens::GOOD),
                Some(closed) => widgets::chip(ui, "closed", tokens::TEXT_WEAK).on_hover_text(&closed.what),
            };
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if case.closed.is_none() {
                    if ui.button("Close case…").clicked() {
                        self.dialog = Some(Asked::new(Dialog::Close { case: case.id, why: String::new() }));
                    }
                    if ui.button("Rename…").clicked() {
                        let (number, name) = (case.number.clone(), case.name.clone());
                        self.dialog = Some(Asked::new(Dialog::Rename { case: case.id, number, name }));
                    }
                } else if ui.button("Open again…").clicked() {
                    self.dialog = Some(Asked::new(Dialog::Reopen { case: case.id, why: String::new() }));
                }
                let seen: VecDeque<_> =
                    case.suspects.iter().copied().filter(|id| widgets::suspect(state, *id).is_some()).collect();
                let export = ui.add_enabled(!seen.is_empty(), egui::Button::new("Export…"));
                let help = "Hands out all video of each suspect as a signed package, one suspect after another";
                if export.on_hover_text(help).on_disabled_hover_text("Add a suspect first").clicked() {
                    self.exports = Exports { waiting: seen, ..Exports::default() };
                }
            });
        });
        let opened = format!("{} · opened {} by {}", case.number, case.opened.at.local_date_time(), case.opened.by);
        ui.label(tokens::small(opened));
        if let Some(closed) = &case.closed {
            let words = format!("Closed {} by {}: {}", closed.at.local_date_time(), closed.by, closed.what);
            widgets::note(ui, tokens::TEXT_WEAK, &words);
        }
        ui.add_space(4.0);
        ScrollArea::vertical().id_salt("case").auto_shrink(false).show(ui, |ui| {
            ui.columns(2, |columns| {
                if let [left, right] = columns {
                    self.suspects(left, state, view, pictures, asked);
                    self.bookmarks(left, state, view);
                    self.holds(left, state, view);
                    videos(left, state, case, asked);
                    self.people(right, user, case, asked);
                    self.notes(right, case, asked);
                    handed_out(right, view);
                }
            });
        });
    }

    fn suspects(
        &mut self,
        ui: &mut Ui,
        state: &SiteState,
        view: &CaseView,
        pictures: &mut Pictures,
        asked: &mut Vec<Command>,
    ) {
        section(ui, "Suspects", None);
        if view.suspects.is_empty() {
            ui.label(tokens::weak("None yet. On a suspect's card (S), choose Add to case…"));
        }
        for suspect in &view.suspects {
            widgets::card(false).show(ui, |ui| {
                ui.set_width(ui.available_width());
                ui.horizontal_top(|ui| {
                    pictures.show(ui, suspect.crop.as_ref(), vec2(56.0, 80.0), "The suspect when marked");
                    ui.vertical(|ui| {
                        ui.spacing_mut().item_spacing.y = 4.0;
                        self.suspect(ui, state, view, suspect, asked);
                    });
                });
            });
        }
    }

    fn suspect(
        &mut self,
        ui: &mut Ui,
        state: &SiteState,
        view: &CaseView,
        suspect: &CaseSuspect,
        asked: &mut Vec<Command>,
    ) {
        let known = widgets::suspect(state, suspect.id);
        ui.horizontal(|ui| {
            if let Some(known) = known {
                widgets::swatch(ui, &known.suspect);
            }
            let label = if suspect.label.is_empty() { "A suspect whose record was deleted" } else { &suspect.label };
            ui.label(tokens::strong(label));
            if known.is_some_and(|v| v.suspect.is_followed(state.now)) {
                widgets::chip(ui, "followed", tokens::GOOD);
            }
        });
        if !suspect.reason.is_empty() {
            ui.add(egui::Label::new(&suspect.reason).wrap());
            ui.label(tokens::small(format!("Marked {}", suspect.marked_at.local_date_time())));
        }
        let small = |words: &str| egui::Button::new(RichText::new(words).size(12.5)).min_size(vec2(0.0, 24.0));
        ui.horizontal_wrapped(|ui| {
            if known.is_some() {
                if ui.add(small("Show")).on_hover_text("Shows the suspect with its sightings").clicked() {
                    self.leads = Some(Leads::Suspect(suspect.id));
                }
                if ui.add(small("On the map")).clicked() {
                    self.leads = Some(Leads::Map(suspect.id));
                }
                if ui.add(small("Export this…")).clicked() {
                    let waiting = VecDeque::from([suspect.id]);
                    self.exports = Exports { waiting, ..Exports::default() };
                }
            } else if !suspect.label.is_empty() {
                ui.label(tokens::small("Seen only on cameras that you may not see"));
            }
            if view.case.closed.is_none() && ui.add(small("Take out")).clicked() {
                asked.push(change(&view.case, CaseChange::RemoveSuspect { suspect: suspect.id }));
            }
        });
    }

    fn bookmarks(&mut self, ui: &mut Ui, state: &SiteState, view: &CaseView) {
        section(ui, "Bookmarks", None);
        if view.bookmarks.is_empty() {
            ui.label(tokens::weak("None yet. Put one in the player or on a live picture (B), and choose this case"));
        }
        for b in &view.bookmarks {
            let seen = b.camera.is_none_or(|id| widgets::camera(state, id).is_some());
            ui.push_id(b.id, |ui| {
                line(
                    ui,
                    &b.words,
                    &format!("{} · {} · {}", place(state, b.camera), when(b.from, b.until), b.made_by_name),
                    |ui| {
                        if !seen {
                            return;
                        }
                        if view.case.closed.is_none()
                            && ui.small_button("Hold…").on_hover_text("Keeps this video from being deleted").clicked()
                        {
                            let (from, until) = (b.from.minus(AROUND), b.until.plus(AROUND));
                            self.dialog =
                                Some(Asked::new(Dialog::hold(view.case.id, b.camera, from, until, b.words.clone())));
                        }
                        if ui.small_button("Go there").clicked() {
                            self.leads = Some(Leads::Watch(b.clone()));
                        }
                    },
                );
            });
        }
    }

    fn holds(&mut self, ui: &mut Ui, state: &SiteState, view: &CaseView) {
        let open = view.case.closed.is_none();
        if section(ui, "Held video", open.then_some("Hold video…")) {
            let camera = state.cameras.first().map(|v| v.camera.id);
            let from = state.now.minus(BEFORE_NOW);
            self.dialog = Some(Asked::new(Dialog::hold(view.case.id, camera, from, state.now, String::new())));
        }
        if view.holds.is_empty() {
            ui.label(tokens::weak(
                "None. Video, and what was seen on it, is deleted when its time is over, unless it is held",
            ));
        }
        for hold in &view.holds {
            let seen = hold.camera.is_none_or(|id| widgets::camera(state, id).is_some());
            let what = format!("{} · {}", place(state, hold.camera), when(hold.from, hold.until));
            let below = match &hold.released {
                None => format!("{} · since {}", hold.reason, hold.placed_at.local_date_time()),
                Some(r) => format!("{} · lifted {} by {}: {}", hold.reason, r.at.local_date_time(), r.by, r.why),
            };
            ui.push_id(hold.id, |ui| {
                line(ui, &what, &below, |ui| {
                    if hold.released.is_some() {
                        widgets::chip(ui, "lifted", tokens::TEXT_WEAK);
                    } else if seen && ui.small_button("Lift…").clicked() {
                        let (hold, what) = (hold.id, what.clone());
                        self.dialog = Some(Asked::new(Dialog::Lift { hold, what, reason: String::new() }));
                    }
                });
            });
        }
    }

    fn people(&mut self, ui: &mut Ui, user: &User, case: &Case, asked: &mut Vec<Command>) {
        section(ui, "People on it", None);
        let leads = user.is_admin || case.opened.what == user.cc;
        for (cc, name) in &case.people {
            let own = *cc == user.cc;
            ui.push_id(cc, |ui| {
                line(ui, name, cc, |ui| {
                    let words = if own { "Leave" } else { "Take off" };
                    if case.people.len() > 1 && (leads || own) && ui.small_button(words).clicked() {
                        asked.push(change(case, CaseChange::RemovePerson { cc: cc.clone() }));
                    }
                });
            });
        }
        let Draft { person, person_tried, .. } = self.drafts.entry(case.id).or_default();
        let mut fields = Fields::new("person", person_tried);
        let (mut pressed, mut typed) = (false, None);
        ui.horizontal(|ui| {
            let field = TextEdit::singleline(person).hint_text("badge number of a colleague").desired_width(240.0);
            let field = ui.add(field);
            field.widget_info(|| egui::WidgetInfo::labeled(egui::Role::TextInput, true, "Badge number of a colleague"));
            pressed = widgets::entered(ui, &field);
            let help = "Your colleague works on the case from then on; which cameras they see does not change";
            pressed |= ui.button("Hand to").on_hover_text(help).clicked();
            typed = Some(field);
        });
        if let Some(field) = typed {
            fields.check(ui, &field, needed("Type the badge number of a colleague")(person));
        }
        if fields.sends(pressed) {
            let cc = std::mem::take(person).trim().to_owned();
            *person_tried = false;
            asked.push(change(case, CaseChange::AddPerson { cc, name: String::new() }));
        }
    }

    fn notes(&mut self, ui: &mut Ui, case: &Case, asked: &mut Vec<Command>) {
        section(ui, "Notes", None);
        for note in &case.notes {
            widgets::card(false).show(ui, |ui| {
                ui.set_width(ui.available_width());
                ui.label(tokens::small(format!("{} · {}", note.at.local_date_time(), note.by)));
                ui.add(egui::Label::new(&note.what).wrap().selectable(true));
            });
        }
        let Draft { note, note_tried, .. } = self.drafts.entry(case.id).or_default();
        let mut fields = Fields::new("note", note_tried);
        let field = TextEdit::multiline(note).desired_rows(3).char_limit(Case::NOTE).desired_width(f32::INFINITY);
        let field = ui.add(
            field
                .hint_text("What is known, what is to be done. A note is never changed")
                .margin(Margin::symmetric(10, 8)),
        );
        field.widget_info(|| egui::WidgetInfo::labeled(egui::Role::MultilineTextInput, true, "New note"));
        fields.check(ui, &field, needed("Type the note first")(note));
        let pressed = ui.horizontal(|ui| ui.button("Add note").clicked()).inner;
        if fields.sends(pressed) {
            let text = std::mem::take(note).trim().to_owned();
            *note_tried = false;
            asked.push(change(case, CaseChange::Note { text }));
        }
    }

    /// Draws what is being said; the command once it is said.
    fn dialog(&mut self, context: &Context, state: &SiteState, user: &User) -> Option<Command> {
        let mut done = false;
        let command = self.dialog.as_mut()?.ui(context, state, user, &mut done);
        if done || command.is_some() {
            self.dialog = None;
        }
        command
    }
}

/// A heading, with a button at its right where there is one; whether that was clicked.
fn section(ui: &mut Ui, name: &str, button: Option<&str>) -> bool {
    ui.add_space(8.0);
    let mut clicked = false;
    ui.horizontal(|ui| {
        ui.label(tokens::strong(name).size(15.0));
        if let Some(words) = button {
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| clicked = ui.small_button(words).clicked());
        }
    });
    clicked
}

/// Two lines, with buttons at their right.
fn line(ui: &mut Ui, above: &str, below: &str, buttons: impl FnOnce(&mut Ui)) {
    widgets::card(false).inner_margin(Margin::symmetric(10, 6)).show(ui, |ui| {
        let size = vec2(ui.available_width(), LINE);
        ui.allocate_ui_with_layout(size, Layout::right_to_left(Align::Center), |ui| {
            buttons(ui);
            ui.with_layout(Layout::top_down(Align::Min), |ui| {
                ui.spacing_mut().item_spacing.y = 2.0;
                ui.add(egui::Label::new(above).truncate()).on_hover_text(above);
                ui.add(egui::Label::new(tokens::small(below)).truncate()).on_hover_text(below);
            });
        });
    });
}

/// Videos that came as files.
fn videos(ui: &mut Ui, state: &SiteState, case: &Case, asked: &mut Vec<Command>) {
    section(ui, "Videos", None);
    for (upload, name) in &case.uploads {
        ui.horizontal(|ui| {
            ui.add(egui::Label::new(name).truncate());
            if case.closed.is_none() && ui.small_button("Take out").clicked() {
                asked.push(change(case, CaseChange::RemoveUpload { upload: *upload }));
            }
        });
    }
    let uploaded = state.uploads.iter().filter(|u| u.stage == UploadStage::Done);
    let others: Vec<_> = uploaded
        .filter_map(|u| Some((u.upload?, &u.name)))
        .filter(|(id, _)| case.uploads.iter().all(|(there, _)| there != id))
        .collect();
    if others.is_empty() {
        if case.uploads.is_empty() {
            ui.label(tokens::weak("None. A video that came as a file (Review, Uploads) can be added here"));
        }
    } else if case.closed.is_none() {
        modal::menu(ui, "Add a video…", |ui| {
            for (id, name) in others {
                if ui.button(name).clicked() {
                    asked.push(change(case, CaseChange::AddUpload { upload: id, name: name.clone() }));
                    ui.close();
                }
            }
        });
    }
}

fn handed_out(ui: &mut Ui, view: &CaseView) {
    section(ui, "Handed out", None);
    if view.case.clips.is_empty() {
        ui.label(tokens::weak(
            "Nothing yet. Packages of its suspects, and clips that are saved for it in Review, are listed here",
        ));
    }
    for clip in &view.case.clips {
        let label = match clip.what.suspect {
            Some(id) => view.suspects.iter().find(|s| s.id == id).map_or("a suspect", |s| s.label.as_str()),
            None => "video",
        };
        widgets::card(false).show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.spacing_mut().item_spacing.y = 3.0;
            ui.add(egui::Label::new(tokens::strong(&clip.what.package)).truncate());
            ui.label(format!("{label}, to {}: {}", clip.what.recipient, clip.what.reason));
            let size = clip.what.bytes as f64 / 1_048_576.0;
            ui.label(tokens::small(format!("{} · {} · {size:.1} MiB", clip.at.local_date_time(), clip.by)));
            let hash = format!("SHA-256 {}", clip.what.sha256);
            ui.add(egui::Label::new(tokens::digits(hash).size(10.5)).truncate().selectable(true));
        });
    }
}

fn change(case: &Case, change: CaseChange) -> Command {
    Command::Case(CaseCommand::Change(case.id, change))
}

fn answers(case: &Case, wanted: &str) -> bool {
    let people: Vec<_> = case.people.values().map(String::as_str).collect();
    let known = format!("{} {} {}", case.number, case.name, people.join(" ")).to_lowercase();
    wanted.split_whitespace().all(|word| known.contains(word))
}
