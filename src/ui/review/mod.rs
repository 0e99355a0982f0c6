//! Looking back: recordings and videos that come as files, and what is found in them.
mod bookmarks;
mod jobs;
mod player;
mod timeline;
mod uploads;

pub(super) use timeline::TimelineView;

use super::commands::UiCommand;
use super::widgets::Pictures;
use super::{bookmark, tokens, widgets};
use crate::model::{Bookmark, CameraId, TrackId};
use crate::site::{Clicked, Command, SiteState};
use egui::{Context, Margin, ScrollArea, Ui, vec2};

/// What the review screen remembers between two repaints.
#[derive(Default)]
pub struct Review {
    tab: Tab,
    player: player::PlayerView,
    jobs: jobs::Jobs,
    uploads: uploads::Uploads,
    bookmarks: bookmarks::Bookmarks,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Tab {
    #[default]
    Player,
    Uploads,
    Bookmarks,
}

impl Review {
    /// Draws the screen. `largest` is the largest side of a picture that can be shown, `open` the person whose card is open.
    /// Returns the person that was clicked on a recording.
    pub fn ui(
        &mut self,
        ui: &mut Ui,
        state: &SiteState,
        largest: Option<u32>,
        open: Option<(CameraId, TrackId)>,
        pictures: &mut Pictures,
        asked: &mut Vec<Command>,
    ) -> Option<Clicked> {
        let mut clicked = None;
        egui::Frame::new().inner_margin(Margin::symmetric(10, 8)).show(ui, |ui| {
            ui.horizontal(|ui| {
                for (tab, name) in [(Tab::Player, "Player"), (Tab::Uploads, "Uploads"), (Tab::Bookmarks, "Bookmarks")] {
                    let button = egui::Button::selectable(self.tab == tab, name).frame_when_inactive(true);
                    if ui.add(button.min_size(vec2(90.0, 28.0))).clicked() {
                        self.tab = tab;
                    }
                }
                let waiting = state.uploads.iter().filter(|u| !u.stage.is_over()).count();
                if waiting > 0 {
                    widgets::chip(ui, format!("{waiting} under way"), tokens::ACCENT);
                }
            });
            match self.tab {
                Tab::Player => clicked = self.player.ui(ui, state, largest, open, asked),
                Tab::Bookmarks => {
                    if let Some(bookmark) = self.bookmarks.ui(ui, state, asked) {
                        self.go_to(state, bookmark, asked);
                    }
                }
                Tab::Uploads => {
                    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                        let of_jobs = self.jobs.ui(ui, state);
                        if of_jobs.iter().any(|command| matches!(command, Command::Review(_))) {
                            self.tab = Tab::Player; // a finding is to be watched
                        }
                        asked.extend(of_jobs);
                        ui.add_space(18.0);
                        asked.extend(self.uploads.ui(ui, state, pictures, &self.jobs));
                    });
                }
            }
        });
        clicked
    }

    /// Does what a key of the console means here; `false` when it means nothing here.
    pub fn run(&mut self, state: &SiteState, command: UiCommand, position: usize, asked: &mut Vec<Command>) -> bool {
        self.tab == Tab::Player && self.player.run(state, command, position, asked)
    }

    /// Whether the player is shown, and its keys work.
    pub fn shows_player(&self) -> bool {
        self.tab == Tab::Player
    }

    /// The screen is shown again: the player goes back to where it was.
    pub fn come_back(&mut self, state: &SiteState, asked: &mut Vec<Command>) {
        self.player.come_back(state, asked);
    }

    /// Shows the player, which a replay is about to open in.
    pub fn show_replay(&mut self) {
        self.tab = Tab::Player;
        self.player.replayed();
    }

    /// Shows a bookmark in the player.
    pub fn go_to(&mut self, state: &SiteState, bookmark: &Bookmark, asked: &mut Vec<Command>) {
        self.tab = Tab::Player;
        self.player.go_to(state, bookmark.camera, bookmark.from, bookmark.until, asked);
    }

    /// The bookmark that the operator just asked to put on what is watched.
    pub fn take_bookmark(&mut self) -> Option<bookmark::Form> {
        self.player.take_bookmark()
    }

    /// Ends what is watched, when another screen is shown.
    pub fn leave(&mut self, state: &SiteState) -> Option<Command> {
        self.player.leave(state)
    }

    /// Whether the operator asked for the wall.
    pub fn wants_wall(&mut self) -> bool {
        self.player.wants_wall()
    }

    /// What was dropped onto the window, whatever screen is open; `None` when nothing was.
    pub fn dropped(&mut self, context: &Context) -> Option<Command> {
        let dropped = uploads::dropped(context)?;
        self.tab = Tab::Uploads;
        Some(dropped)
    }
}
