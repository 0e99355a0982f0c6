//! How cameras and stores are doing: a line at the bottom, and a window with the numbers.
use super::commands::{Part, UiCommand};
use super::{modal, tokens, widgets};
use crate::{
    model::{CameraId, Looked, Timestamp},
    site::{CameraStatus, CameraView, Command, Keeper, SiteState, StoreHealth},
    sync::RefusedRecord,
};
use egui::{Align, Color32, Grid, Layout, RichText, Sense, Ui, vec2};
use std::time::Duration;

/// Height of the list of refused records at most.
const REFUSED_HEIGHT: f32 = 180.0;

/// Draws the line at the bottom; `true` when it was clicked.
pub fn status_bar(ui: &mut Ui, state: &SiteState, user: &str, keys: Option<Part>) -> bool {
    let mut clicked = false;
    ui.spacing_mut().interact_size.y = 20.0;
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        // The zone of every time on the screen.
        ui.label(tokens::small(state.now.local_zone()));
        ui.label(tokens::digits(state.now.local_date_time()).color(tokens::TEXT));
        ui.label(tokens::small(user));
        let words = keys.map_or_else(|| "keys: off".to_owned(), |part| format!("keys: {}", part.name()));
        ui.label(tokens::small(words))
            .on_hover_text("Which part of the screen has the keys: click into another to give it them");
        ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
            let (tint, words) = summary(state);
            widgets::dot(ui, tint);
            let button = egui::Button::new(RichText::new(words).size(12.5)).frame(false);
            let help = UiCommand::ShowHealth;
            clicked = ui.add(button).on_hover_text(help.help()).clicked();
            for store in state.stores.iter().filter(|store| store.error.is_some() || store.backlog > 0) {
                let (tint, words) = describe(store, state.now);
                // The bar is narrow: the whole sentence is in the window, and under the pointer.
                let short = match (&store.error, store.backlog) {
                    (Some(_), 0) => format!("{} fails", store.store),
                    (Some(_), n) => format!("{} fails; {n} waiting", store.store),
                    (None, _) => format!("{}: {words}", store.store),
                };
                widgets::chip(ui, short, tint).on_hover_text(format!("{}: {words}", store.store));
            }
            for worker in &state.failing {
                widgets::chip(ui, format!("{} fails", worker.name), tokens::BAD)
                    .on_hover_text(format!("{}: {}", worker.name, worker.words));
            }
            ui.add(egui::Label::new(tokens::small(&state.analysis)).truncate());
        });
    });
    clicked
}

/// Draws the dialog with the numbers; `open` becomes false when it is closed.
pub fn window(context: &egui::Context, state: &SiteState, open: &mut bool) -> Option<Command> {
    let mut asked = None;
    modal::dialog(context, "health", 1240.0, |ui| {
        ui.horizontal(|ui| {
            ui.heading("Health");
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                *open &= !ui.button("Close").on_hover_text("Esc").clicked();
            });
        });
        ui.label(tokens::weak(&state.analysis));
        ui.add_space(4.0);
        Grid::new("cameras").num_columns(11).spacing(vec2(20.0, 6.0)).striped(false).show(ui, |ui| {
            for title in [
                "Camera",
                "State",
                "Received",
                "Analysed",
                "Overtaken",
                "fps",
                "Analysed/s",
                "Latency",
                "Own clock",
                "Records",
                "Looked at",
            ] {
                ui.label(tokens::small(title));
            }
            ui.end_row();
            for view in &state.cameras {
                let counters = &view.counters;
                ui.label(&view.camera.name);
                let (tint, words) = match view.status {
                    CameraStatus::Live => (tokens::GOOD, "live"),
                    CameraStatus::Connecting => (tokens::WARN, "connecting"),
                    CameraStatus::Stale { .. } => (tokens::BAD, "stale"),
                    CameraStatus::Inactive => (tokens::TEXT_WEAK, "off"),
                };
                ui.label(RichText::new(words).color(tint));
                ui.label(tokens::digits(counters.received.to_string()));
                ui.label(tokens::digits(counters.analysed.to_string()));
                ui.label(tokens::digits(counters.dropped.to_string()));
                ui.label(tokens::digits(format!("{:.1}", counters.fps)));
                ui.label(tokens::digits(format!("{:.1}", counters.analysed_fps)));
                ui.label(tokens::digits(format!("{:.0} ms", counters.latency_ms)));
                own_clock(ui, view);
                let (tint, words) = keeper(&view.keeper);
                ui.label(RichText::new(words).color(tint));
                looked(ui, view, state.now);
                ui.end_row();
            }
        });
        answer(ui, state);
        ui.separator();
        Grid::new("stores").num_columns(2).spacing(vec2(20.0, 6.0)).show(ui, |ui| {
            for store in &state.stores {
                let (tint, words) = describe(store, state.now);
                ui.label(&store.store);
                ui.horizontal(|ui| {
                    widgets::dot(ui, tint);
                    ui.label(words);
                });
                ui.end_row();
            }
        });
        if !state.failing.is_empty() {
            ui.separator();
            ui.label(tokens::small("Parts of this console that do not work as they should"));
            Grid::new("failing").num_columns(2).spacing(vec2(20.0, 6.0)).show(ui, |ui| {
                for worker in &state.failing {
                    ui.label(&worker.name);
                    ui.horizontal(|ui| {
                        widgets::dot(ui, tokens::BAD);
                        ui.label(&worker.words);
                    });
                    ui.end_row();
                }
            });
        }
        if !state.refused.is_empty() {
            ui.separator();
            asked = refused(ui, &state.refused);
        }
    });
    asked
}

/// What the camera's own clock shows against the console's.
fn own_clock(ui: &mut Ui, view: &CameraView) {
    let (tint, words, more) = match view.clock_offset {
        None => {
            (tokens::TEXT_WEAK, "not told".to_owned(), "This camera does not say what its own clock shows".to_owned())
        }
        Some(offset) => (
            if offset.is_notable() { tokens::WARN } else { tokens::GOOD },
            offset.to_string(),
            format!("{offset} of this console's, by which all times here are kept"),
        ),
    };
    ui.label(RichText::new(words).color(tint)).on_hover_text(more);
}

/// Which console keeps the records of a camera.
fn keeper(keeper: &Keeper) -> (Color32, String) {
    match keeper {
        Keeper::Alone | Keeper::Here => (tokens::TEXT, "kept here".to_owned()),
        Keeper::Other(name) => (tokens::TEXT_WEAK, format!("kept by {name}")),
        Keeper::Nobody => (tokens::WARN, "kept by nobody".to_owned()),
    }
}

/// The records that stores refused for what they are, each with its reason.
fn refused(ui: &mut Ui, records: &[RefusedRecord]) -> Option<Command> {
    let mut asked = None;
    ui.label(RichText::new("Refused by their stores").strong());
    let kept = "They are kept on this console. Put right what the reason says, then offer them again.";
    ui.label(tokens::small(kept));
    ui.add_space(4.0);
    egui::ScrollArea::vertical().max_height(REFUSED_HEIGHT).show(ui, |ui| {
        for record in records {
            ui.horizontal(|ui| {
                let offer =
                    ui.button("Offer again").on_hover_text(format!("Offer {} to its store once more", record.record));
                if offer.clicked() {
                    asked = Some(Command::OfferAgain(vec![record.id]));
                }
                ui.vertical(|ui| {
                    ui.label(tokens::digits(format!("{} · {}", record.record, record.at.local_date_time())));
                    ui.add(egui::Label::new(tokens::weak(format!("{}: {}", record.store, record.why))).wrap());
                });
            });
            ui.add_space(2.0);
        }
    });
    if records.len() > 1 && ui.button(format!("Offer all {} again", records.len())).clicked() {
        asked = Some(Command::OfferAgain(records.iter().map(|record| record.id).collect()));
    }
    asked
}

/// Minutes shown.
const MINUTES: i64 = 60;
const MINUTE: Duration = Duration::from_secs(60);
/// Width and height of one of them, points.
const CELL: [f32; 2] = [3.0, 14.0];

/// The minute that was clicked.
fn asked() -> egui::Id {
    egui::Id::unique("minute looked at")
}

/// The last hour of a camera, a cell a minute: whether it was looked at. A click asks what became of the frames of that minute.
fn looked(ui: &mut Ui, view: &CameraView, now: Timestamp) {
    let end = Looked::minute_of(now);
    let minute = |cell: i64| end.minus(MINUTE * u32::try_from(MINUTES - cell).unwrap_or(0));
    let (rect, response) = ui.allocate_exact_size(vec2(CELL[0] * MINUTES as f32, CELL[1]), Sense::click());
    let mut good = 0;
    for cell in 0..MINUTES {
        let of_minute: Vec<&Looked> = of(view, minute(cell)).collect();
        let tint = match of_minute.as_slice() {
            [] => tokens::LINE,
            all if all.iter().any(|l| l.is_looking()) => tokens::GOOD,
            all if all.iter().any(|l| l.analysed > 0) => tokens::WARN,
            _ => tokens::BAD,
        };
        good += u32::from(tint == tokens::GOOD);
        let at = rect.min + vec2(CELL[0] * cell as f32, 0.0);
        ui.painter().rect_filled(egui::Rect::from_min_size(at, vec2(CELL[0] - 1.0, CELL[1])), 0.0, tint);
    }
    let words = format!("{}: looked at in {good} of the last {MINUTES} minutes", view.camera.name);
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &words));
    let under = response.hover_pos().or(response.interact_pointer_pos());
    let under = under.map(|at| minute((((at.x - rect.left()) / CELL[0]) as i64).clamp(0, MINUTES - 1)));
    if let (true, Some(minute)) = (response.clicked(), under) {
        ui.data_mut(|data| data.insert_temp(asked(), (view.camera.id, minute)));
    }
    response.on_hover_ui_at_pointer(|ui| {
        ui.label(words);
        if let Some(minute) = under {
            ui.label(sentence(view, minute));
        }
    });
}

fn of(view: &CameraView, minute: Timestamp) -> impl Iterator<Item = &Looked> {
    view.looked.iter().filter(move |l| l.minute == minute)
}

/// Whether anybody was looking at the camera in that minute, and what became of its frames at each console.
fn sentence(view: &CameraView, minute: Timestamp) -> String {
    let at = format!("{} at {}", view.camera.name, minute.local_date_time());
    let all: Vec<String> =
        of(view, minute).map(|l| format!("{}: {}", if l.is_looking() { "yes" } else { "no" }, l.words())).collect();
    if all.is_empty() {
        return format!("{at} \u{2013} no: nothing is recorded of that minute");
    }
    format!("{at} \u{2013} {}", all.join("\n"))
}

/// The answer to the last click on a minute.
fn answer(ui: &mut Ui, state: &SiteState) {
    let asked: Option<(CameraId, Timestamp)> = ui.data(|data| data.get_temp(asked()));
    if let Some((camera, minute)) = asked
        && let Some(view) = widgets::camera(state, camera)
    {
        ui.add_space(4.0);
        ui.label(sentence(view, minute));
    }
}

fn describe(store: &StoreHealth, now: Timestamp) -> (Color32, String) {
    let since = store.failing_since.map_or(String::new(), |t| format!(" for {}", widgets::span(now.seconds_since(t))));
    match (&store.error, store.backlog) {
        (Some(error), 0) => (tokens::BAD, format!("{error}{since}")),
        (Some(error), n) => (tokens::BAD, format!("{error}; {n} waiting{since}")),
        (None, 0) => (tokens::GOOD, "up to date".to_owned()),
        (None, n) => (tokens::WARN, format!("{n} waiting")),
    }
}

/// The worst of it, in a few words.
fn summary(state: &SiteState) -> (Color32, String) {
    let live = state.cameras.iter().filter(|view| view.status == CameraStatus::Live).count();
    let wanted = state.cameras.iter().filter(|view| view.status != CameraStatus::Inactive).count();
    let cameras = format!("{live} of {wanted} cameras live");
    let failing = state.stores.iter().any(|store| store.error.is_some());
    let waiting = state.stores.iter().any(|store| store.backlog > 0);
    if !state.failing.is_empty() {
        (tokens::BAD, format!("{cameras} · a part of the console fails"))
    } else if failing {
        (tokens::BAD, format!("{cameras} · a store fails"))
    } else if live < wanted || waiting {
        (tokens::WARN, if waiting { format!("{cameras} · records waiting") } else { cameras })
    } else {
        (tokens::GOOD, format!("{cameras} · stores up to date"))
    }
}
