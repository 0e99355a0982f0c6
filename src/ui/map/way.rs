//! A suspect's way: its stays, numbered in order of time, the legs between them, and the log beside the map.
use super::{Map, ground::plate, position};
use crate::{
    evidence,
    model::{CameraId, Decision, SightingId, SuspectId, Timestamp},
    site::{Command, ExportCommand, MOST_STAYS, SightingView, SiteState},
    ui::{dialog::FileDialog, modal, tokens, widgets},
};
use egui::{RichText, Shape, Stroke, Ui, vec2};
use std::{collections::BTreeMap, path::PathBuf};
use walkers::{Position, Projector};

/// Seconds without sight up to which a suspect was seen walking from one camera into the next; beyond, the way is inferred.
const SEEN_THROUGH: f64 = 2.0;
/// Between the lines of legs between the same two cameras, points.
const LANE: f32 = 14.0;
/// The newest stays that are shown at first, and how many more at a time.
pub(super) const SHOWN: usize = 200;

/// One stay of the suspect, numbered in order of time.
pub(super) struct Stop<'a> {
    pub number: usize,
    pub view: &'a SightingView,
    pub at: Option<Position>,
}

impl Stop<'_> {
    /// An operator clicked or confirmed it.
    pub fn certain(&self) -> bool {
        !self.view.sighting.decision.is_pending()
    }

    /// From when to when, in local time; with the day where that is not the day of `now`.
    pub fn times(&self, now: Timestamp) -> String {
        let from = self.view.sighting.entered_at;
        if from.local_day() == now.local_day() {
            from.local_times_to(self.left())
        } else {
            from.local_stay_until(self.left())
        }
    }

    /// When it ended, or was seen last.
    pub fn left(&self) -> Timestamp {
        self.view.sighting.left_at.unwrap_or(self.view.sighting.last_seen_at)
    }
}

impl Map {
    /// The log of the suspect's movement.
    pub(super) fn movement(
        &mut self,
        ui: &mut Ui,
        state: &SiteState,
        stops: &[Stop<'_>],
        earlier: usize,
    ) -> Option<Command> {
        let mut asked = None;
        ui.label(tokens::strong("Movement").size(18.0));
        let chosen = self.suspect.and_then(|id| widgets::suspect(state, id)).map(|v| v.suspect.label.as_str());
        let width = ui.available_width();
        let list = egui::ComboBox::from_id_salt("whose way").selected_text(chosen.unwrap_or("Choose a suspect"));
        modal::choose(list.width(width), ui, |ui| {
            for view in &state.suspects {
                ui.selectable_value(&mut self.suspect, Some(view.suspect.id), &view.suspect.label);
            }
        });
        let Some(id) = self.suspect else {
            let hint = if state.suspects.is_empty() {
                "Nobody is marked as a suspect"
            } else {
                "Its stays appear here, and its way on the map"
            };
            ui.label(tokens::weak(hint));
            return None;
        };
        let read = state.map.movement.as_ref().filter(|read| read.suspect == id);
        if read.is_some_and(|read| read.is_cut_off) {
            let words = format!(
                "Only the newest {MOST_STAYS} stays are listed and numbered; saved as CSV the list holds the earlier ones, too"
            );
            widgets::note(ui, tokens::WARN, &words);
        }
        match read.map(|read| &read.stays) {
            Some(Ok(_)) if stops.is_empty() => {
                ui.label(tokens::weak("Not seen yet where you may look"));
            }
            Some(Ok(_)) => {}
            Some(Err(why)) => {
                let words = format!("Only the newest stays are shown, the others cannot be read: {why}");
                widgets::note(ui, tokens::WARN, &words);
            }
            None => {
                ui.label(tokens::weak("Earlier stays are being read"));
            }
        }
        if earlier > 0 {
            ui.label(tokens::weak(format!("The newest {} of {} stays", stops.len(), stops.len() + earlier)));
            if ui.button(format!("Show {} earlier", earlier.min(SHOWN))).clicked() {
                self.shown += SHOWN;
            }
        }
        for stop in stops {
            let s = &stop.view.sighting;
            let entry = evidence::Stop::new(s, widgets::camera_name(state, s.camera), None, None);
            let (decision, by) = entry.decided();
            ui.horizontal_top(|ui| {
                ui.label(tokens::digits(format!("{:>2}", stop.number)));
                ui.vertical(|ui| {
                    ui.spacing_mut().item_spacing.y = 1.0;
                    let off = if stop.at.is_none() { " · not on the map" } else { "" };
                    ui.label(tokens::strong(format!("{}{off}", entry.camera_name)));
                    ui.label(tokens::digits(s.entered_at.local_stay_until(stop.left())));
                    let sure = if s.decision == Decision::Origin {
                        String::new()
                    } else {
                        format!("{} · ", widgets::percent(s.probability))
                    };
                    let by = if by.is_empty() { String::new() } else { format!(" by {by}") };
                    let tint = if stop.certain() { tokens::TEXT_WEAK } else { tokens::WARN };
                    ui.label(RichText::new(format!("{sure}{decision}{by}")).size(12.0).color(tint));
                });
            });
        }
        if !stops.is_empty() {
            let save = ui.add_enabled(self.dialog.is_none(), egui::Button::new("Save as CSV…"));
            let save = save.on_disabled_hover_text("A dialog is open already");
            if save.on_hover_text("Writes this list to a file; recorded in the action log").clicked() {
                self.trouble = None;
                self.dialog = Some(FileDialog::save(ui.ctx(), "Tables", &["csv"], "movement.csv".to_owned()));
            }
        }
        match self.dialog.as_ref().and_then(FileDialog::answer) {
            Some(Ok(paths)) => {
                self.dialog = None;
                let saved = |to: PathBuf| Command::Export(ExportCommand::Movement { suspect: id, to });
                asked = paths.into_iter().next().map(saved);
            }
            Some(Err(why)) => {
                self.dialog = None;
                self.trouble = Some(why.to_owned());
            }
            None => {}
        }
        if let Some(trouble) = &self.trouble {
            ui.label(RichText::new(trouble).color(tokens::WARN));
        }
        ui.label(tokens::small(
            "Solid: seen from one view into the next. Dashed: inferred, nobody saw the way. A ? is a possible match",
        ));
        asked
    }
}

/// The stays of a suspect that nobody rejected, in order of time: those that were read, and newer ones as the board has them.
pub(super) fn stops(state: &SiteState, suspect: SuspectId) -> Vec<Stop<'_>> {
    let read = state.map.movement.as_ref().filter(|read| read.suspect == suspect);
    let read = read.and_then(|read| read.stays.as_ref().ok()).into_iter().flatten();
    let newest = state.sightings.iter().map(|v| &**v).filter(|v| v.sighting.suspect == suspect);
    let all: BTreeMap<SightingId, &SightingView> = read.chain(newest).map(|v| (v.sighting.id, v)).collect();
    let rejected = |v: &&SightingView| matches!(v.sighting.decision, Decision::Rejected { .. });
    let mut own: Vec<&SightingView> = all.into_values().filter(|v| !rejected(v)).collect();
    own.sort_by_key(|v| (v.sighting.entered_at, v.sighting.id));
    let at = |v: &SightingView| widgets::camera(state, v.sighting.camera).and_then(position);
    own.into_iter().zip(1..).map(|(view, number)| Stop { number, view, at: at(view) }).collect()
}

/// The ways from one camera straight to another, of which there is one picture however often they were gone.
struct Leg {
    from: Position,
    to: Position,
    times: usize,
    /// How long nobody saw the suspect on it, seconds: at least and at most.
    unseen: (f64, f64),
    /// An operator is sure of both ends, each time.
    sure: bool,
}

impl Leg {
    /// `seen` from one view into the next; else inferred.
    fn words(&self, seen: bool) -> String {
        let times = if self.times > 1 { format!("{} × ", self.times) } else { String::new() };
        if seen {
            return times.trim_end().to_owned();
        }
        let why = if self.sure { "" } else { "possible match, " };
        let (least, most) = (widgets::span(self.unseen.0), widgets::span(self.unseen.1));
        let span = if least == most { most } else { format!("{least} to {most}") };
        format!("{times}{why}inferred · {span} unseen")
    }
}

/// The legs of a way by where they lead and whether they were seen.
fn legs_of(stops: &[Stop<'_>]) -> BTreeMap<(CameraId, CameraId, bool), Leg> {
    let mut legs = BTreeMap::new();
    for (a, b) in stops.iter().zip(stops.iter().skip(1)) {
        let (Some(from), Some(to)) = (a.at, b.at) else { continue };
        let cameras = (a.view.sighting.camera, b.view.sighting.camera);
        if cameras.0 == cameras.1 {
            continue;
        }
        let unseen = b.view.sighting.entered_at.seconds_since(a.left());
        let sure = a.certain() && b.certain();
        let seen = sure && unseen <= SEEN_THROUGH;
        let fresh = Leg { from, to, times: 0, unseen: (unseen, unseen), sure };
        let leg = legs.entry((cameras.0, cameras.1, seen)).or_insert(fresh);
        leg.times += 1;
        leg.unseen = (leg.unseen.0.min(unseen), leg.unseen.1.max(unseen));
        leg.sure &= sure;
    }
    legs
}

/// The way from stop to stop: solid where it was seen, dashed where it is inferred. Of several legs between the same two cameras each
/// has a line of its own, to the right of whoever goes there.
pub(super) fn legs(ui: &Ui, state: &SiteState, projector: &Projector<'_>, stops: &[Stop<'_>]) {
    let Some(first) = stops.first() else { return };
    let tint = widgets::suspect(state, first.view.sighting.suspect)
        .map_or(tokens::ACCENT, |v| widgets::colour(v.suspect.colour));
    let (painter, stroke) = (ui.painter(), Stroke::new(2.5, tint));
    let legs = legs_of(stops);
    let lines = |a: CameraId, b: CameraId| {
        let all = [(a, b, true), (a, b, false), (b, a, true), (b, a, false)];
        all.iter().filter(|key| legs.contains_key(key)).count()
    };
    let mut labels = Vec::new();
    for (&(a, b, seen), leg) in &legs {
        let (from, to) = (projector.project(leg.from).to_pos2(), projector.project(leg.to).to_pos2());
        let direction = (to - from).normalized();
        let right = -direction.rot90();
        let lane = match (lines(a, b), seen) {
            (1, _) => 0.0,
            (_, true) => LANE * 0.5,
            (_, false) => LANE * 1.5,
        };
        let (from, to) = (from + direction * 12.0 + right * lane, to - direction * 12.0 + right * lane);
        if seen {
            painter.line_segment([from, to], stroke);
        } else {
            painter.extend(Shape::dashed_line(&[from, to], stroke, 9.0, 6.0));
        }
        let tip = from + (to - from) * 0.62;
        let head = vec![tip + direction * 10.0, tip + right * 6.0, tip - right * 6.0];
        painter.add(Shape::convex_polygon(head, tint, Stroke::NONE));
        labels.push((from + (to - from) * 0.45 + right * lane.min(LANE), leg.words(seen)));
    }
    for (middle, words) in labels.iter().filter(|(_, words)| !words.is_empty()) {
        plate(ui, *middle - vec2(0.0, 10.0), words, tokens::TEXT_WEAK);
    }
}
