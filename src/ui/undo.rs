//! What was just decided, with *Undo*, for ten seconds.
use super::{tokens, widgets};
use crate::site::{Command, Notice, SiteState, Undo};
use egui::{Align2, Area, Context, Id, Margin, Order, Stroke, vec2};

/// So long a decision can be taken back at once, seconds; later in the list of sightings.
const OFFERED: f64 = 10.0;

/// Which offers were taken.
#[derive(Default)]
pub struct Offer {
    taken: Option<u64>,
}

impl Offer {
    /// Draws the newest offer, over the wall and beside no button.
    pub fn ui(&mut self, context: &Context, state: &SiteState) -> Option<Command> {
        let (notice, undo) =
            newest(state).filter(|(notice, _)| self.taken.is_none_or(|taken| notice.serial > taken))?;
        let frame =
            widgets::card(false).stroke(Stroke::new(1.0, tokens::ACCENT)).inner_margin(Margin::symmetric(16, 10));
        // In the middle of what lies beside the panel: notices have the corner.
        let place = vec2(-tokens::SIDE_WIDTH / 2.0, -(tokens::STATUS_HEIGHT + 14.0));
        let area = Area::new(Id::unique("undo")).order(Order::Middle).anchor(Align2::CENTER_BOTTOM, place);
        let clicked = area
            .show(context, |ui| {
                frame
                    .show(ui, |ui| {
                        ui.horizontal(|ui| {
                            ui.label(&notice.text);
                            let left = OFFERED - state.now.seconds_since(notice.at);
                            let help = format!("Takes this back; offered for {}", widgets::span(left));
                            ui.button("Undo").on_hover_text(help).clicked()
                        })
                        .inner
                    })
                    .inner
            })
            .inner;
        clicked.then(|| {
            self.taken = Some(notice.serial);
            Command::Undo(undo.clone())
        })
    }
}

/// The newest decision that can still be taken back.
fn newest(state: &SiteState) -> Option<(&Notice, &Undo)> {
    let notice = state.notices.iter().rev().find(|notice| notice.undo.is_some())?;
    let is_fresh = state.now.seconds_since(notice.at) <= OFFERED;
    Some((notice, notice.undo.as_ref()?)).filter(|_| is_fresh)
}
