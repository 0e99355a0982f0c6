//! Which operator sees which camera: a grid of both.
use super::{Pending, confirm};
use crate::{
    model::{CameraId, User},
    site::{AdminCommand, SiteState, UserView},
    ui::{tokens, widgets},
};
use egui::{Align2, Frame, Margin, RichText, ScrollArea, Sense, Ui, vec2};
use std::collections::{BTreeMap, BTreeSet};

const NAME: f32 = 220.0;
const CELL: f32 = 104.0;
const ROW: f32 = 34.0;

/// What the screen remembers.
#[derive(Default)]
pub struct Rights {
    /// Rows that were changed and not saved, each with the user as of the first change.
    changed: BTreeMap<String, (User, BTreeSet<CameraId>)>,
    saving: bool,
    asking: bool,
    pending: Pending,
}

impl Rights {
    /// Whether something is ticked that is not saved.
    pub fn is_dirty(&self) -> bool {
        !self.asking && !self.saving && !self.changed.is_empty()
    }

    /// Takes a question back, else the unsaved changes; `false` when there are none.
    pub fn back(&mut self) -> bool {
        if self.saving {
            return true;
        }
        std::mem::take(&mut self.asking) || !std::mem::take(&mut self.changed).is_empty()
    }

    /// Draws the grid.
    pub fn ui(&mut self, ui: &mut Ui, state: &SiteState) -> Option<AdminCommand> {
        let mut asked = None;
        let frame = Frame::new().inner_margin(Margin { left: 20, right: 20, top: 4, bottom: 12 });
        egui::CentralPanel::default().frame(frame).show(ui, |ui| {
            let Some(users) = &state.admin.users else {
                widgets::empty(ui, "Rights are being read", "They appear here in a moment");
                return;
            };
            let operators: Vec<&UserView> = users.iter().filter(|v| !v.user.is_admin && v.user.active).collect();
            if operators.is_empty() || state.cameras.is_empty() {
                let hint = "Administrators see every camera. Register an operator and a camera first";
                widgets::empty(ui, "No operator or no camera yet", hint);
                return;
            }
            self.settle(state, users);
            asked = self.head(ui, state, users, &operators);
            self.grid(ui, state, &operators);
        });
        asked
    }

    /// What was saved is no change any more; a failure ends the saving.
    fn settle(&mut self, state: &SiteState, users: &[UserView]) {
        if self.pending.ended(state) == Some(false) {
            self.saving = false;
        }
        self.changed.retain(|cc, (_, wanted)| users.iter().any(|v| v.user.cc == *cc && v.cameras != *wanted));
        self.saving &= !self.changed.is_empty();
    }

    fn head(
        &mut self,
        ui: &mut Ui,
        state: &SiteState,
        users: &[UserView],
        operators: &[&UserView],
    ) -> Option<AdminCommand> {
        let hold = state.admin.rights_hold();
        let words = if hold {
            "Operators see the cameras that are ticked and no others: not on the wall, not in the log, nowhere. Administrators see all."
        } else {
            "No rights are given, so every operator sees every camera. With the first tick that is saved, operators see what is ticked and no others."
        };
        ui.label(tokens::weak(words));
        let late: Vec<String> = self
            .changed
            .values()
            .filter_map(|(before, _)| {
                let now = users.iter().find(|v| v.user.cc == before.cc)?;
                (now.user.version != before.version).then(|| now.user.name.clone())
            })
            .collect();
        if !late.is_empty() && !self.saving {
            let names = late.join(", ");
            widgets::note(
                ui,
                tokens::WARN,
                &format!(
                    "Somebody else changed {names} meanwhile: changes of these rows are not saved. Discard them, look at what is ticked now, then change it again"
                ),
            );
        }
        self.pending.ui(ui);
        let mut asked = None;
        if self.asking {
            let without: Vec<&str> =
                operators.iter().filter(|v| self.wanted(v).is_empty()).map(|v| v.user.name.as_str()).collect();
            let question = if without.is_empty() {
                "From now on operators see what is ticked and no other camera. Save?".to_owned()
            } else {
                format!(
                    "From now on operators see what is ticked and no other camera; nothing is ticked for {}. Save?",
                    without.join(", ")
                )
            };
            if let Some(answer) = confirm(ui, &question, "Save", "Not yet") {
                self.asking = false;
                self.saving = answer;
            }
        } else {
            ui.horizontal(|ui| {
                let any = !self.changed.is_empty() && !self.saving;
                let why = if self.saving { "The last change is being stored" } else { "Nothing is changed" };
                let save = ui.add_enabled(any, widgets::primary("Save changes")).on_disabled_hover_text(why);
                if save.clicked() {
                    self.asking = !hold;
                    self.saving = hold;
                }
                let discard = ui.add_enabled(any, egui::Button::new("Discard")).on_disabled_hover_text(why);
                if discard.clicked() {
                    self.changed.clear();
                    self.pending = Pending::default();
                }
                if self.saving {
                    ui.spinner();
                } else if any {
                    let n = self.changed.len();
                    let words = if n == 1 { "1 operator changed".to_owned() } else { format!("{n} operators changed") };
                    ui.label(RichText::new(words).color(tokens::WARN));
                }
            });
        }
        // One after another: each is an entry of its own, with its own outcome.
        if self.saving
            && !self.pending.waits()
            && let Some((before, wanted)) = self.changed.values().next()
        {
            let (cc, cameras) = (before.cc.clone(), wanted.clone());
            asked = Some(AdminCommand::SetUserCameras { cc, cameras, version: before.version });
            self.pending.send(state);
        }
        asked
    }

    fn wanted<'a>(&'a self, view: &'a UserView) -> &'a BTreeSet<CameraId> {
        self.changed.get(&view.user.cc).map_or(&view.cameras, |(_, wanted)| wanted)
    }

    fn grid(&mut self, ui: &mut Ui, state: &SiteState, operators: &[&UserView]) {
        ui.add_space(4.0);
        let hold = state.admin.rights_hold();
        ScrollArea::both().auto_shrink(false).show(ui, |ui| {
            ui.spacing_mut().item_spacing = vec2(0.0, 3.0);
            ui.horizontal(|ui| {
                ui.allocate_exact_size(vec2(NAME, 26.0), Sense::hover());
                for view in &state.cameras {
                    let label = egui::Label::new(tokens::small(&view.camera.name)).truncate();
                    ui.add_sized(vec2(CELL, 26.0), label).on_hover_text(&view.camera.name);
                }
            });
            for view in operators {
                let width = NAME + CELL * (state.cameras.len() as f32 + 1.0);
                let top = ui.cursor().min;
                let changed = self.changed.contains_key(&view.user.cc);
                let back = egui::Rect::from_min_size(top, vec2(width, ROW));
                ui.painter().rect_filled(back, 4.0, if changed { tokens::SELECTED } else { tokens::PANEL });
                ui.horizontal(|ui| self.row(ui, state, view, hold));
            }
        });
    }

    fn row(&mut self, ui: &mut Ui, state: &SiteState, view: &UserView, hold: bool) {
        let user = &view.user;
        let (rect, response) = ui.allocate_exact_size(vec2(NAME, ROW), Sense::hover());
        let name = ui.painter().layout(user.name.clone(), tokens::strong_font(14.0), tokens::TEXT, NAME - 20.0);
        let at = Align2::LEFT_CENTER.align_size_within_rect(name.size(), rect.shrink2(vec2(10.0, 0.0)));
        ui.painter().galley(at.min, name, tokens::TEXT);
        response.on_hover_text(format!("{} · {}", user.cc, user.email));
        let mut wanted = self.wanted(view).clone();
        let mut touched = false;
        for camera in &state.cameras {
            let id = camera.camera.id;
            let mut ticked = wanted.contains(&id);
            ui.allocate_ui_with_layout(
                vec2(CELL, ROW),
                egui::Layout::centered_and_justified(egui::Direction::LeftToRight),
                |ui| {
                    let tick = ui.add_enabled(!self.saving, egui::Checkbox::without_text(&mut ticked));
                    let name = format!("{} sees {}", user.name, camera.camera.name);
                    tick.widget_info(|| egui::WidgetInfo::selected(egui::Role::CheckBox, !self.saving, ticked, &name));
                    touched |= tick.on_hover_text(&name).changed();
                },
            );
            if ticked {
                wanted.insert(id);
            } else {
                wanted.remove(&id);
            }
        }
        let seen = state.cameras.iter().filter(|c| wanted.contains(&c.camera.id)).count();
        let words = match seen {
            _ if !hold && self.changed.is_empty() => "every camera".to_owned(),
            0 => "no camera".to_owned(),
            n => format!("{n} of {}", state.cameras.len()),
        };
        ui.add_sized(vec2(CELL, ROW), egui::Label::new(tokens::small(words)));
        if touched {
            if wanted == view.cameras {
                self.changed.remove(&user.cc);
            } else {
                self.changed.entry(user.cc.clone()).or_insert_with(|| (user.clone(), BTreeSet::new())).1 = wanted;
            }
        }
    }
}
