//! The card of a clicked person, and the form that marks that person as a suspect.
use super::commands::UiCommand;
use super::tokens;
use super::widgets::{self, Pictures};
use crate::model::{CameraId, Picture, Rect, SuspectId, TrackId};
use crate::site::{CardView, Clicked, Command, FindWho, MatchView, SiteState};
use crate::video::Frame;
use egui::{Align, Id, Layout, Margin, RichText, TextEdit, Ui, text::CCursor, text::CCursorRange, vec2};
use std::time::Duration;

const HOUR: u64 = 3600;
/// How long a suspect may be followed; the second is chosen until the operator chooses another.
const EXPIRIES: [(&str, Duration); 4] = [
    ("8 hours", Duration::from_secs(8 * HOUR)),
    ("24 hours", Duration::from_secs(24 * HOUR)),
    ("3 days", Duration::from_secs(72 * HOUR)),
    ("7 days", Duration::from_secs(168 * HOUR)),
];
const REASON_LENGTH: usize = 200;
/// Part of the box's size that the crop shows around it.
const MARGIN: f32 = 0.12;

/// The person that was clicked, frozen at that frame.
pub struct Card {
    click: Clicked,
    /// The picture that a suspect is made from: the clicked one, or a better one of the same person.
    shot: Shot,
    crop: Option<Picture>,
    form: Option<Form>,
}

/// A picture of the person.
#[derive(Clone)]
struct Shot {
    frame: Frame,
    rect: Rect,
}

struct Form {
    reason: String,
    expiry: usize,
    focus: bool,
    missing: bool,
}

impl Shot {
    fn crop(&self) -> Option<Picture> {
        self.frame.picture(self.rect.grown(MARGIN), 480)
    }
}

/// What happened to the card.
pub enum Outcome {
    /// It stays open.
    Stays,
    /// The operator closed it.
    Closed,
    /// The operator marked the person.
    Marked(Command),
    /// The operator wants to see this suspect.
    Show(SuspectId),
    /// The operator wants to know where else this person was.
    Find(FindWho),
}

impl Card {
    /// A card of this click. A form that was open on `before` stays open with what was typed.
    pub fn new(click: Clicked, before: Option<Self>) -> Self {
        let form = before.and_then(|card| card.form).map(|form| Form { focus: true, ..form });
        let shot = Shot { frame: click.frame.clone(), rect: click.rect };
        Self { crop: shot.crop(), shot, click, form }
    }

    /// What the site is told of it, so that it keeps what was seen of this person.
    pub fn clicked(&self) -> Clicked {
        self.click.clone()
    }

    /// Whether it is of a stored picture, not of one that was clicked.
    pub fn is_stored(&self) -> bool {
        self.click.frame.is_part()
    }

    /// Whether it is the card of this click.
    pub fn is_of(&self, clicked: &Clicked) -> bool {
        self.click.camera == clicked.camera
            && self.click.track == clicked.track
            && self.click.frame.captured_at() == clicked.frame.captured_at()
    }

    /// Whether the form is open, and whether something is typed in it.
    pub fn form_is_dirty(&self) -> Option<bool> {
        self.form.as_ref().map(|form| !form.reason.trim().is_empty())
    }

    /// What the site keeps of this person, once it has looked.
    fn view<'a>(&self, state: &'a SiteState) -> Option<&'a CardView> {
        let at = self.click.frame.captured_at();
        let is_own = |v: &&CardView| v.camera == self.click.camera && v.track == self.click.track && v.at == at;
        state.card.as_ref().filter(is_own)
    }

    fn take(&mut self, shot: Shot) {
        self.crop = shot.crop();
        self.shot = shot;
    }

    /// Says where the picture is a bad one to look for somebody by, and offers a better one.
    fn quality(&mut self, ui: &mut Ui, state: &SiteState) {
        let Some(view) = self.view(state) else { return };
        let at = self.shot.frame.captured_at();
        let at_click = at == self.click.frame.captured_at();
        match &view.poor {
            Some(why) if at_click => {
                widgets::note(ui, tokens::WARN, &format!("{why}. Somebody marked by this picture may not be found"));
                match &view.better {
                    Some(better) => {
                        let words = format!("Take the picture of {}", better.at.local_time());
                        let help = "A better look at the same person, seconds apart";
                        if ui.button(words).on_hover_text(help).clicked() {
                            self.take(Shot { frame: better.frame.clone(), rect: better.rect });
                        }
                    }
                    None if self.is_stored() => {} // of that stay it is the best picture
                    None => drop(ui.label(tokens::small("Click on this person again at a better instant"))),
                }
            }
            _ if !at_click => {
                // Wrapped: a line that is too long would widen the panel.
                ui.horizontal_wrapped(|ui| {
                    ui.label(tokens::small(format!("Picture of {}", at.local_time())));
                    if ui.link("Back to the clicked picture").clicked() {
                        self.take(Shot { frame: self.click.frame.clone(), rect: self.click.rect });
                    }
                });
            }
            _ if view.looks == Some(0) => widgets::note(
                ui,
                tokens::WARN,
                "No good look at this person is kept. Click on this person again at a better instant",
            ),
            _ => {}
        }
    }

    /// Whose card it is.
    pub fn subject(&self) -> (CameraId, TrackId) {
        (self.click.camera, self.click.track)
    }

    /// The person, to be searched for: the suspect that this certainly is, or whoever is in the box.
    pub fn who(&self, state: &SiteState) -> FindWho {
        if let Some(known) = self.taken_for(state).filter(|found| found.certain) {
            return FindWho::Suspect(known.suspect);
        }
        let (Clicked { camera, track, .. }, Shot { frame, rect }) = (&self.click, self.shot.clone());
        FindWho::Person { camera: *camera, track: *track, frame, rect }
    }

    /// The suspect that the person is taken for now, live or on the recording that is watched.
    fn taken_for(&self, state: &SiteState) -> Option<MatchView> {
        let live = widgets::camera(state, self.click.camera).map(|view| &view.tracks);
        let recorded = state.review.channels.iter().find(|c| c.camera == self.click.camera).map(|c| &c.tracks);
        let mut tracks = live.into_iter().chain(recorded).flat_map(|tracks| tracks.iter());
        tracks.find(|view| view.track.id == self.click.track)?.suspect
    }

    /// Opens the form.
    pub fn open_form(&mut self) {
        self.form.get_or_insert(Form { reason: String::new(), expiry: 1, focus: true, missing: false });
    }

    /// Closes the form; `false` when it was not open.
    pub fn close_form(&mut self) -> bool {
        self.form.take().is_some()
    }

    /// Takes the reason at `position` of the recent ones; nothing happens when there is none or the form is closed.
    pub fn pick_reason(&mut self, context: &egui::Context, state: &SiteState, position: usize) {
        if let (Some(form), Some(reason)) = (&mut self.form, state.recent_reasons.get(position)) {
            form.reason = reason.chars().take(REASON_LENGTH).collect();
            form.focus = true;
            form.missing = false;
            // The cursor goes behind the text, so that more can be typed.
            let mut edit = TextEdit::load_state(context, reason_id()).unwrap_or_default();
            edit.cursor.set_char_range(Some(CCursorRange::one(CCursor::new(form.reason.chars().count()))));
            TextEdit::store_state(context, reason_id(), edit);
        }
    }

    /// Draws the card.
    pub fn ui(&mut self, ui: &mut Ui, state: &SiteState, pictures: &mut Pictures) -> Outcome {
        let mut outcome = Outcome::Stays;
        ui.horizontal(|ui| {
            ui.heading("Person");
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if ui.button("Close").on_hover_text("Shows inbox and suspects again (Esc)").clicked() {
                    outcome = Outcome::Closed;
                }
            });
        });
        let height: f32 = if self.form.is_some() { 210.0 } else { 340.0 };
        let size = vec2(ui.available_width(), height.min(ui.available_height() * 0.5));
        pictures.show(ui, self.crop.as_ref(), size, "Picture of the person that was clicked");
        egui::Grid::new("person").num_columns(2).spacing(vec2(16.0, 4.0)).show(ui, |ui| {
            ui.spacing_mut().interact_size.y = 20.0;
            let at = self.shot.frame.captured_at();
            let mut row = |name: &str, value: &str| {
                ui.label(tokens::weak(name));
                ui.label(value);
                ui.end_row();
            };
            row("Camera", widgets::camera_name(state, self.click.camera));
            row("Time", &at.local_date_time());
            row("Track", &self.click.track.number().to_string());
        });
        let taken_for = self.taken_for(state).and_then(|m| Some((m, widgets::suspect(state, m.suspect)?)));
        if let Some((found, view)) = taken_for {
            ui.horizontal(|ui| {
                widgets::swatch(ui, &view.suspect);
                let words = if found.certain {
                    format!("Followed as {}", view.suspect.label)
                } else {
                    format!("Possible match {} with {}", widgets::percent(found.probability), view.suspect.label)
                };
                ui.label(words);
                if ui.link("Show").clicked() {
                    outcome = Outcome::Show(found.suspect);
                }
            });
        }
        self.quality(ui, state);
        ui.separator();
        if self.form.is_some() {
            if let Some(next) = self.form_ui(ui, state) {
                outcome = next;
            }
        } else {
            let command = UiCommand::MarkSuspect;
            let button = widgets::primary(command.text()).min_size(vec2(ui.available_width(), 36.0));
            let response = ui.vertical_centered(|ui| ui.add(button)).inner;
            if response.on_hover_text(command.help()).clicked() {
                self.open_form();
            }
            let command = UiCommand::FindPerson;
            let button = egui::Button::new("Find this person…").min_size(vec2(ui.available_width(), 32.0));
            let response = ui.vertical_centered(|ui| ui.add(button)).inner;
            if response.on_hover_text(command.help()).clicked() {
                outcome = Outcome::Find(self.who(state));
            }
        }
        outcome
    }

    fn form_ui(&mut self, ui: &mut Ui, state: &SiteState) -> Option<Outcome> {
        let form = self.form.as_mut()?;
        let label = ui.label(tokens::strong("Reason"));
        let edit = ui
            .add(
                TextEdit::singleline(&mut form.reason)
                    .id(reason_id())
                    .char_limit(REASON_LENGTH)
                    .hint_text("Why is this person followed?")
                    .margin(Margin::symmetric(10, 8))
                    .desired_width(f32::INFINITY),
            )
            .labelled_by(label.id);
        if std::mem::take(&mut form.focus) {
            edit.request_focus();
        }
        let mut confirmed = widgets::entered(ui, &edit);
        form.missing &= form.reason.trim().is_empty();
        if form.missing {
            ui.label(RichText::new("A reason is needed: it is stored with the suspect").color(tokens::WARN));
        }
        let mut picked = None;
        if !state.recent_reasons.is_empty() {
            ui.label(tokens::small("Recent reasons (Alt with the number)"));
            ui.horizontal_wrapped(|ui| {
                ui.spacing_mut().item_spacing = vec2(6.0, 6.0);
                for (i, reason) in state.recent_reasons.iter().take(8).enumerate() {
                    let short: String = reason.chars().take(34).collect();
                    let dots = if short.len() < reason.len() { "…" } else { "" };
                    let text = RichText::new(format!("{}  {short}{dots}", i + 1)).size(12.5);
                    let button = egui::Button::new(text).corner_radius(13).min_size(vec2(0.0, 26.0));
                    if ui.add(button).on_hover_text(reason).clicked() {
                        picked = Some(i);
                    }
                }
            });
        }
        ui.add_space(2.0);
        ui.label(tokens::strong("Follow for"));
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = 6.0;
            for (i, (name, _)) in EXPIRIES.iter().enumerate() {
                if ui.add(egui::Button::selectable(form.expiry == i, *name).frame_when_inactive(true)).clicked() {
                    form.expiry = i;
                }
            }
        });
        ui.add_space(6.0);
        let mut cancelled = false;
        ui.horizontal(|ui| {
            let width = (ui.available_width() - tokens::SPACE) * 0.62;
            confirmed |= ui
                .add(widgets::primary("Mark as suspect").min_size(vec2(width, 36.0)))
                .on_hover_text("Enter")
                .clicked();
            let cancel = egui::Button::new("Cancel").min_size(vec2(ui.available_width(), 36.0));
            cancelled = ui.add(cancel).on_hover_text("Esc").clicked();
        });
        if let Some(i) = picked {
            self.pick_reason(ui.ctx(), state, i);
            return None;
        }
        if cancelled {
            self.form = None;
            return None;
        }
        let form = self.form.as_mut()?;
        if !confirmed {
            return None;
        }
        if form.reason.trim().is_empty() {
            form.missing = true;
            form.focus = true;
            return None;
        }
        let expires_in = EXPIRIES.get(form.expiry).map_or(Duration::from_secs(24 * HOUR), |(_, duration)| *duration);
        Some(Outcome::Marked(Command::SelectSuspect {
            camera: self.click.camera,
            track: self.click.track,
            frame: self.shot.frame.clone(),
            rect: self.shot.rect,
            reason: form.reason.trim().to_owned(),
            expires_in,
        }))
    }
}

fn reason_id() -> Id {
    Id::unique("reason")
}
