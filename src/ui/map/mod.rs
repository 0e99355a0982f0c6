//! The map: where cameras stand, what they see, how they are doing, and which way a suspect went. Under it lie the tiles of an
//! archive on this machine, or a plain grid in metres; nobody is asked for any.
mod cameras;
mod ground;
mod tiles;
mod way;

use super::{dialog::FileDialog, tokens, widgets};
use crate::{
    model::{CameraId, SuspectId},
    site::{CameraView, Command, MapCommand, SiteState},
};
use cameras::Drag;
use egui::{Color32, Margin, Rect, ScrollArea, Ui};
use ground::{banner, furniture, grid};
use std::path::PathBuf;
use tiles::Archive;
use walkers::{MapMemory, Position, lat_lon};
use way::{SHOWN, Stop, legs, stops};

/// Metres of a degree of latitude (mean, IUGG).
const METRES_A_DEGREE: f64 = 111_195.0;
/// Metres of a pixel at the equator at zoom 0 (Web Mercator, tiles of 256 pixels).
const METRES_A_PIXEL: f64 = 156_543.034;
/// Over the tiles, which are made for white paper, so that cameras and ways stand out in a dark room.
const VEIL: Color32 = Color32::from_rgba_premultiplied(5, 7, 10, 150);

/// What the map remembers between two repaints.
pub struct Map {
    memory: MapMemory,
    /// The view was moved to the cameras once.
    fitted: bool,
    tiles: Option<Archive>,
    suspect: Option<SuspectId>,
    /// Whose whole movement was asked for and is not there yet.
    asked: Option<SuspectId>,
    /// So many of the newest stays are shown.
    shown: usize,
    /// Cameras can be dragged.
    moving: bool,
    placing: Option<CameraId>,
    dragged: Option<(CameraId, Drag)>,
    place: String,
    dialog: Option<FileDialog>,
    trouble: Option<String>,
}

impl Default for Map {
    fn default() -> Self {
        Self {
            memory: MapMemory::default(),
            fitted: false,
            tiles: None,
            suspect: None,
            asked: None,
            shown: SHOWN,
            moving: false,
            placing: None,
            dragged: None,
            place: String::new(),
            dialog: None,
            trouble: None,
        }
    }
}

impl Map {
    /// Shows the way of this suspect.
    pub fn show(&mut self, suspect: SuspectId) {
        self.suspect = Some(suspect);
    }

    /// Stops what is under way; `false` when nothing was.
    pub fn back(&mut self) -> bool {
        self.placing.take().is_some() || std::mem::take(&mut self.moving)
    }

    /// Draws the screen.
    pub fn ui(&mut self, ui: &mut Ui, state: &SiteState, is_admin: bool) -> Vec<Command> {
        let mut asked = Vec::new();
        let before = self.suspect;
        self.suspect = self.suspect.filter(|id| widgets::suspect(state, *id).is_some());
        asked.extend(self.ask(state));
        let all = self.suspect.map(|id| stops(state, id)).unwrap_or_default();
        let earlier = all.len().saturating_sub(self.shown);
        let stops = all.get(earlier..).unwrap_or_default();
        let side = egui::Frame::new().fill(tokens::PANEL).inner_margin(Margin::same(12));
        egui::Panel::right("movement").resizable(false).exact_size(tokens::SIDE_WIDTH).frame(side).show(ui, |ui| {
            ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                asked.extend(self.movement(ui, state, stops, earlier));
                self.cameras(ui, state, is_admin);
            });
        });
        if self.suspect != before {
            self.shown = SHOWN;
        }
        egui::CentralPanel::default().frame(egui::Frame::NONE).show(ui, |ui| {
            asked.extend(self.map(ui, state, stops));
        });
        asked
    }

    /// The board has the newest sightings of all suspects; the whole movement of the one chosen is asked for.
    fn ask(&mut self, state: &SiteState) -> Option<Command> {
        let there = state.map.movement.as_ref().is_some_and(|read| Some(read.suspect) == self.suspect);
        if there {
            self.asked = None;
            return None;
        }
        let wanted = self.suspect.filter(|_| self.asked != self.suspect);
        self.asked = self.suspect;
        wanted.map(|id| Command::Map(MapCommand::Movement(id)))
    }

    fn map(&mut self, ui: &mut Ui, state: &SiteState, stops: &[Stop<'_>]) -> Option<Command> {
        let placed: Vec<(&CameraView, Position)> =
            state.cameras.iter().filter_map(|v| Some((v, position(v)?))).collect();
        let area = ui.available_rect_before_wrap();
        if !self.fitted && !placed.is_empty() {
            self.fit(&placed, area);
        }
        let mut tiles = self.tiles(ui, state.map.tiles.as_ref());
        let centre = self.memory.detached().unwrap_or_else(|| lat_lon(0.0, 0.0));
        let mut memory = std::mem::take(&mut self.memory);
        ui.painter().rect_filled(area, 0.0, tokens::WELL);
        let (plain, credit) = (tiles.is_none(), tiles.as_ref().map_or("", |tiles| tiles.credit()).to_owned());
        let shown = walkers::Map::new(tiles.as_mut().map(|tiles| tiles as _), &mut memory, centre)
            .zoom_with_ctrl(false)
            .double_click_to_zoom(true)
            .show(ui, |ui, response, projector, _| {
                if plain {
                    grid(ui, projector, response.rect, centre);
                } else {
                    ui.painter().rect_filled(response.rect, 0.0, VEIL);
                }
                self.views(ui, &placed, projector);
                legs(ui, state, projector, stops);
                let mut asked = None;
                for (view, at) in &placed {
                    asked = self.camera(ui, view, *at, projector, (state.now, stops)).or(asked.take());
                }
                if let (Some(id), Some(pointer)) = (self.placing, response.interact_pointer_pos())
                    && response.clicked()
                {
                    let at = projector.unproject(pointer.to_vec2());
                    asked = widgets::camera(state, id).map(|view| cameras::place(view, at));
                    self.placing = None;
                }
                furniture(ui, projector, response.rect, centre, &credit);
                asked
            });
        self.memory = memory;
        let area = shown.response.rect;
        if let Some(id) = self.placing {
            ui.ctx().set_cursor_icon(egui::CursorIcon::Crosshair);
            let words = format!("Click where {} stands, or press Esc", widgets::camera_name(state, id));
            banner(ui, area, &words);
        } else if let Some(trouble) = tiles.as_ref().and_then(|tiles| tiles.trouble()) {
            banner(ui, area, trouble);
        } else if placed.is_empty() {
            let words = "No camera is on the map. An administrator places cameras: choose one at the right, then click here; \
                or type latitude and longitude under Administration";
            banner(ui, area, words);
        }
        self.tiles = tiles;
        shown.inner
    }

    /// The archive that the site names, opened where it is not open yet.
    fn tiles(&mut self, ui: &Ui, named: Option<&PathBuf>) -> Option<Archive> {
        let named = named?;
        let open = self.tiles.take().filter(|archive| archive.path() == named);
        let mut archive = open.unwrap_or_else(|| Archive::open(named, ui.ctx()));
        archive.tidy();
        Some(archive)
    }

    /// Moves the view to the cameras.
    fn fit(&mut self, placed: &[(&CameraView, Position)], area: Rect) {
        let bounds = |of: fn(&Position) -> f64| {
            placed.iter().map(|(_, p)| of(p)).fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(v), b.max(v)))
        };
        let ((south, north), (west, east)) = (bounds(|p| p.y()), bounds(|p| p.x()));
        let middle = lat_lon((south + north) / 2.0, (west + east) / 2.0);
        let narrow = middle.y().to_radians().cos().max(0.01);
        let metres = |degrees: f64, pixels: f32| degrees * METRES_A_DEGREE / (f64::from(pixels).max(100.0) * 0.55);
        let a_pixel = metres(north - south, area.height()).max(metres((east - west) * narrow, area.width())).max(0.05);
        self.memory.center_at(middle);
        let _ = self.memory.set_zoom((METRES_A_PIXEL * narrow / a_pixel).log2().clamp(2.0, 22.0));
        self.fitted = true;
    }
}

/// Where a camera stands.
fn position(view: &CameraView) -> Option<Position> {
    view.camera.location.map(|(lat, lon)| lat_lon(lat, lon))
}
