//! How cameras and stores are doing: a line at the bottom, and a window with the numbers.
use super::commands::UiCommand;
use super::{tokens, widgets};
use crate::{
    model::Timestamp,
    site::{CameraStatus, SiteState, StoreHealth},
};
use egui::{Align, Align2, Color32, Grid, Layout, RichText, Ui, vec2};

/// Draws the line at the bottom; `true` when it was clicked.
pub fn status_bar(ui: &mut Ui, state: &SiteState, user: &str) -> bool {
    let mut clicked = false;
    ui.spacing_mut().interact_size.y = 20.0;
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        ui.label(tokens::digits(state.now.local_date_time()).color(tokens::TEXT));
        ui.label(tokens::small(user));
        ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
            let (tint, words) = summary(state);
            widgets::dot(ui, tint);
            let button = egui::Button::new(RichText::new(words).size(12.5)).frame(false);
            let help = UiCommand::ShowHealth;
            clicked = ui.add(button).on_hover_text(format!("{} ({})", help.tooltip(), help.keys_text())).clicked();
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
            ui.add(egui::Label::new(tokens::small(&state.analysis)).truncate());
        });
    });
    clicked
}

/// Draws the window with the numbers; `open` becomes false when it is closed.
pub fn window(context: &egui::Context, state: &SiteState, open: &mut bool) {
    egui::Window::new("Health")
        .open(open)
        .collapsible(false)
        .resizable(false)
        .anchor(Align2::LEFT_BOTTOM, vec2(12.0, -(tokens::STATUS_HEIGHT + 12.0)))
        .show(context, |ui| {
            ui.label(tokens::weak(&state.analysis));
            ui.add_space(4.0);
            Grid::new("cameras").num_columns(8).spacing(vec2(20.0, 6.0)).striped(false).show(ui, |ui| {
                for title in ["Camera", "State", "Received", "Analysed", "Overtaken", "fps", "Analysed/s", "Latency"] {
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
                    ui.end_row();
                }
            });
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
        });
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
    if failing {
        (tokens::BAD, format!("{cameras} · a store fails"))
    } else if live < wanted || waiting {
        (tokens::WARN, if waiting { format!("{cameras} · records waiting") } else { cameras })
    } else {
        (tokens::GOOD, format!("{cameras} · stores up to date"))
    }
}
