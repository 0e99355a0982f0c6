//! Looking back: videos that come as files, and what is found in them.
mod jobs;
mod uploads;

use super::widgets::Pictures;
use crate::site::{Command, SiteState};
use egui::{Context, Margin, ScrollArea, Ui};

/// What the review screen remembers between two repaints.
#[derive(Default)]
pub struct Review {
    uploads: uploads::Uploads,
    jobs: jobs::Jobs,
}

impl Review {
    /// Draws the screen.
    pub fn ui(&mut self, ui: &mut Ui, state: &SiteState, pictures: &mut Pictures) -> Vec<Command> {
        let mut asked = Vec::new();
        egui::Frame::new().inner_margin(Margin::symmetric(18, 14)).show(ui, |ui| {
            ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                asked.extend(self.jobs.ui(ui, state));
                ui.add_space(18.0);
                asked.extend(self.uploads.ui(ui, state, pictures, &self.jobs));
            });
        });
        asked
    }

    /// What was dropped onto the window, whatever screen is open; `None` when nothing was.
    pub fn dropped(&self, context: &Context) -> Option<Command> {
        uploads::dropped(context)
    }
}
