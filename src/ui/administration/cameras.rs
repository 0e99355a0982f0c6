//! Cameras: name, address, place, on or off.
use super::{
    Column, Conflict, Pending, change, confirm, conflict, row, side, table, text, titles,
    users::{save, submit},
};
use crate::{
    model::{Camera, CameraId, FieldOfView},
    site::{AdminCommand, CameraEdit, CameraStatus, CameraView, SiteState, TestOutcome},
    ui::{secret::Secret, tokens, widgets},
};
use egui::{Color32, RichText, ScrollArea, Ui, vec2};

const COLUMNS: [Column; 5] =
    [("Name", 210.0), ("State", 130.0), ("Address", 0.0), ("Position", 180.0), ("Kept in", 120.0)];

/// What the screen remembers.
#[derive(Default)]
pub struct Cameras {
    form: Option<Form>,
    pending: Pending,
}

struct Form {
    /// As it was when the form was opened; `None` for a camera to be.
    before: Option<Camera>,
    name: String,
    /// Empty: as it is. It may hold a password.
    url: Secret,
    latitude: String,
    longitude: String,
    heading: String,
    angle: String,
    range: String,
    asking: bool,
    tested: bool,
    fresh: bool,
    /// It was sent off with something missing: each field says what.
    tried: bool,
}

impl Form {
    fn of(before: Option<&Camera>) -> Self {
        let degrees = |part: fn(&(f64, f64)) -> f64| {
            before.and_then(|c| c.location.as_ref()).map(|place| format!("{}", part(place))).unwrap_or_default()
        };
        let sees = |part: fn(&FieldOfView) -> f64| {
            before.and_then(|c| c.field_of_view.as_ref()).map(|f| format!("{}", part(f))).unwrap_or_default()
        };
        Self {
            before: before.cloned(),
            name: before.map(|c| c.name.clone()).unwrap_or_default(),
            url: Secret::default(),
            latitude: degrees(|place| place.0),
            longitude: degrees(|place| place.1),
            heading: sees(|f| f.heading),
            angle: sees(|f| f.angle),
            range: sees(|f| f.range),
            asking: false,
            tested: false,
            fresh: true,
            tried: false,
        }
    }

    /// What was typed of what the camera sees; `Err` where it cannot be so.
    fn field_of_view(&self) -> Result<Option<FieldOfView>, &'static str> {
        let typed = [&self.heading, &self.angle, &self.range];
        if typed.iter().all(|text| text.trim().is_empty()) {
            return Ok(None);
        }
        let usual =
            FieldOfView::towards(number(&self.heading).ok_or("Type the way the camera looks: 0 is north, 90 east")?);
        let or_usual = |text: &str, usual: f64| if text.trim().is_empty() { Some(usual) } else { number(text) };
        let (angle, range) = (or_usual(&self.angle, usual.angle), or_usual(&self.range, usual.range));
        let sees = angle.zip(range).map(|(angle, range)| FieldOfView { angle, range, ..usual });
        sees.filter(FieldOfView::is_possible)
            .map(Some)
            .ok_or("Angle is above 0 to 360 degrees, range above 0 to 10000 metres")
    }

    /// The place typed; `Err` where it is none.
    fn location(&self) -> Result<Option<(f64, f64)>, &'static str> {
        match (self.latitude.trim().is_empty(), self.longitude.trim().is_empty()) {
            (true, true) => Ok(None),
            (false, false) => {
                let place = number(&self.latitude).zip(number(&self.longitude));
                let on_earth = |p: &(f64, f64)| (-90.0..=90.0).contains(&p.0) && (-180.0..=180.0).contains(&p.1);
                place.filter(on_earth).map(Some).ok_or("Latitude is -90 to 90, longitude -180 to 180 degrees")
            }
            _ => Err("Type latitude and longitude, or neither"),
        }
    }

    /// What differs from `before`.
    fn edit(&self) -> CameraEdit {
        let before = self.before.as_ref();
        let name = self.name.trim().to_owned();
        let location = self.location().ok().flatten();
        let there = before.and_then(|c| c.location);
        let sees = self.field_of_view().ok().flatten();
        let looks = sees != before.and_then(|c| c.field_of_view);
        CameraEdit {
            name: (before.map(|c| &c.name) != Some(&name)).then_some(name),
            url: self.typed_url().map(str::to_owned),
            location: location.filter(|place| there != Some(*place)),
            unplaced: location.is_none() && there.is_some(),
            heading: sees.filter(|_| looks).map(|f| f.heading),
            angle: sees.filter(|_| looks).map(|f| f.angle),
            range: sees.filter(|_| looks).map(|f| f.range),
            without_view: looks && sees.is_none(),
            active: None,
            version: before.map(|c| c.version),
        }
    }

    /// What was typed goes on top of what somebody else made of it; what was not stays theirs.
    fn rebase(&mut self, now: &Camera) {
        let (edit, theirs) = (self.edit(), Self::of(Some(now)));
        if edit.name.is_none() {
            self.name = theirs.name;
        }
        if edit.location.is_none() && !edit.unplaced {
            (self.latitude, self.longitude) = (theirs.latitude, theirs.longitude);
        }
        if edit.heading.is_none() && !edit.without_view {
            (self.heading, self.angle, self.range) = (theirs.heading, theirs.angle, theirs.range);
        }
        self.before = theirs.before;
    }

    fn is_changed(&self) -> bool {
        let edit = self.edit();
        edit.name.is_some()
            || edit.url.is_some()
            || edit.location.is_some()
            || edit.unplaced
            || edit.heading.is_some()
            || edit.without_view
            || self.location().is_err()
            || self.field_of_view().is_err()
    }
}

impl Cameras {
    /// Whether a form is open in which something is typed.
    pub fn is_dirty(&self) -> bool {
        self.form.as_ref().is_some_and(|form| {
            let empty = form.before.is_none() && form.name.trim().is_empty() && form.typed_url().is_none();
            !form.asking && !empty && form.is_changed()
        })
    }

    /// Closes a question, else the form; `false` when neither was open.
    pub fn back(&mut self) -> bool {
        if let Some(form) = &mut self.form
            && std::mem::take(&mut form.asking)
        {
            return true;
        }
        self.form.take().is_some()
    }

    /// The button that opens an empty form.
    pub fn add_button(&mut self, ui: &mut Ui) {
        if ui.add(widgets::primary("Add camera…")).clicked() {
            self.open(None);
        }
    }

    fn open(&mut self, camera: Option<&Camera>) {
        self.form = Some(Form::of(camera));
        self.pending = Pending::default();
    }

    /// Draws list and form.
    pub fn ui(&mut self, ui: &mut Ui, state: &SiteState, pictures: &mut widgets::Pictures) -> Option<AdminCommand> {
        let ended = self.pending.ended(state);
        let mut asked = None;
        side(ui, |ui| asked = self.form(ui, state, pictures, ended));
        table(ui, |ui| self.list(ui, state));
        // A test has an answer of its own.
        if asked.as_ref().is_some_and(|command| !matches!(command, AdminCommand::TestAddress { .. })) {
            self.pending.send(state);
        }
        asked
    }

    fn list(&mut self, ui: &mut Ui, state: &SiteState) {
        if state.cameras.is_empty() {
            widgets::empty(ui, "No cameras", "Add one here, or describe it in the configuration file");
            return;
        }
        let open = self.form.as_ref().and_then(|f| f.before.as_ref()).map(|c| c.id);
        titles(ui, &COLUMNS);
        ui.spacing_mut().item_spacing.y = 3.0;
        let mut clicked: Option<CameraId> = None;
        ScrollArea::vertical().auto_shrink(false).show_rows(ui, super::ROW, state.cameras.len(), |ui, range| {
            for view in state.cameras.iter().skip(range.start).take(range.len()) {
                let selected = open == Some(view.camera.id);
                let response = row(ui, &COLUMNS, &view.camera.name, selected, |ui, column| cell(ui, view, column));
                if response.clicked() {
                    clicked = Some(view.camera.id);
                }
            }
        });
        if let Some(view) = clicked.and_then(|id| widgets::camera(state, id)) {
            self.open(Some(&view.camera));
        }
    }

    fn form(
        &mut self,
        ui: &mut Ui,
        state: &SiteState,
        pictures: &mut widgets::Pictures,
        ended: Option<bool>,
    ) -> Option<AdminCommand> {
        let pending = &self.pending;
        let Some(form) = &mut self.form else {
            widgets::empty(ui, "No camera is selected", "Choose one in the list, or add one");
            return None;
        };
        let now = match &form.before {
            Some(before) => widgets::camera(state, before.id),
            None => None,
        };
        if ended == Some(true) {
            let saved = match now {
                Some(now) => Some(now),
                None => state.cameras.iter().find(|v| v.camera.name == form.name.trim()),
            };
            *form = Form { fresh: false, ..Form::of(saved.map(|view| &view.camera)) };
            return None;
        }
        match now {
            None if form.before.is_some() => {
                self.form = None;
                None
            }
            None => form.add(ui, state, pictures, pending),
            Some(now) => form.change(ui, state, now, pictures, pending),
        }
    }
}

impl Form {
    fn add(
        &mut self,
        ui: &mut Ui,
        state: &SiteState,
        pictures: &mut widgets::Pictures,
        pending: &Pending,
    ) -> Option<AdminCommand> {
        ui.heading("Add camera");
        let mut entered = false;
        let tested = self.fields(ui, state, pictures, "rtsp://user:password@10.0.0.21/stream1", &mut entered);
        pending.ui(ui);
        let ready = self.is_ready();
        if submit(ui, "Register camera", ready, &mut self.tried, pending, entered) {
            return Some(AdminCommand::AddCamera(self.edit()));
        }
        tested
    }

    fn change(
        &mut self,
        ui: &mut Ui,
        state: &SiteState,
        now: &CameraView,
        pictures: &mut widgets::Pictures,
        pending: &Pending,
    ) -> Option<AdminCommand> {
        head(ui, now);
        let newer = self.before.as_ref().filter(|before| before.version != now.camera.version);
        if let Some(before) = newer {
            let changes = changes(before, &now.camera);
            if !self.is_changed() {
                *self = Self { fresh: false, ..Self::of(Some(&now.camera)) };
            } else if !pending.waits() {
                match conflict(ui, &changes) {
                    Some(Conflict::Take) => *self = Self::of(Some(&now.camera)),
                    Some(Conflict::Keep) => self.rebase(&now.camera),
                    None => {}
                }
            }
        }
        let mut entered = false;
        let mut asked = if now.camera.configured {
            described(ui, now);
            self.place(ui, &format!("camera {}", now.camera.id), &mut entered);
            None
        } else {
            self.fields(ui, state, pictures, &now.camera.url, &mut entered)
        };
        pending.ui(ui);
        let ready = self.is_ready();
        let is_changed = self.is_changed();
        if save(ui, is_changed, ready, &mut self.tried, pending, entered) {
            asked = Some(AdminCommand::EditCamera { id: now.camera.id, edit: self.edit() });
        }
        if now.camera.configured {
            return asked;
        }
        ui.separator();
        self.activity(ui, &now.camera, pending).or(asked)
    }

    fn fields(
        &mut self,
        ui: &mut Ui,
        state: &SiteState,
        pictures: &mut widgets::Pictures,
        address: &str,
        entered: &mut bool,
    ) -> Option<AdminCommand> {
        let scope = self.before.as_ref().map_or_else(|| "new camera".to_owned(), |c| format!("camera {}", c.id));
        let name = widgets::field(ui, &scope, "Name", "As it stands on the wall", &mut self.name, entered);
        if std::mem::take(&mut self.fresh) {
            name.request_focus();
        }
        widgets::fault(ui, self.fault_of_name().filter(|_| self.tried));
        self.url.field(ui, &scope, "Address", address, true, entered);
        let typed = self.typed_url().is_some();
        widgets::fault(ui, self.fault_of_address().filter(|_| self.tried || typed));
        if self.before.is_some() {
            ui.label(tokens::small(
                "Empty: the address stays as it is. It is kept with its password, which is not shown.",
            ));
        }
        self.place(ui, &scope, entered);
        let mut asked = None;
        ui.horizontal(|ui| {
            let typed = self.url.as_str().trim();
            let camera = self.before.as_ref().map(|c| c.id);
            let testing = matches!(&state.admin.test, Some(test) if test.outcome == TestOutcome::Connecting);
            let possible = (camera.is_some() || !typed.is_empty()) && !(self.tested && testing);
            let button = egui::Button::new("Test the address");
            let help = "Connects and shows the first picture; that is recorded";
            let why = if self.tested && testing { "It is being tested" } else { "Type an address first" };
            if ui.add_enabled(possible, button).on_hover_text(help).on_disabled_hover_text(why).clicked() {
                self.tested = true;
                let url = (!typed.is_empty()).then(|| typed.to_owned());
                asked = Some(AdminCommand::TestAddress { camera, url });
            }
        });
        if let Some(test) = state.admin.test.as_ref().filter(|_| self.tested && asked.is_none()) {
            match &test.outcome {
                TestOutcome::Connecting => {
                    ui.horizontal(|ui| {
                        ui.spinner();
                        ui.label(tokens::weak(format!("Connecting to {}", test.address)));
                    });
                }
                TestOutcome::Seen(picture, (width, height)) => {
                    let wide = ui.available_width();
                    let high = (wide * *height as f32 / (*width).max(1) as f32).min(260.0);
                    pictures.show(ui, Some(picture), vec2(wide, high), "The first picture of the address");
                    let words = format!("{} answers with {width} × {height} pixels", test.address);
                    ui.label(RichText::new(words).color(tokens::GOOD));
                }
                TestOutcome::Failed(why) => widgets::note(ui, tokens::BAD, why),
            }
        }
        asked
    }

    /// Where it stands and what it sees.
    fn place(&mut self, ui: &mut Ui, scope: &str, entered: &mut bool) {
        ui.columns(2, |columns| {
            if let [left, right] = columns {
                widgets::field(left, scope, "Latitude", "38.7139", &mut self.latitude, entered);
                widgets::field(right, scope, "Longitude", "-9.1394", &mut self.longitude, entered);
            }
        });
        widgets::fault(ui, self.location().err());
        ui.columns(3, |columns| {
            if let [left, middle, right] = columns {
                widgets::field(left, scope, "Looks, ° from north", "90", &mut self.heading, entered);
                widgets::field(middle, scope, "Angle, °", "70", &mut self.angle, entered);
                widgets::field(right, scope, "Range, m", "25", &mut self.range, entered);
            }
        });
        widgets::fault(ui, self.field_of_view().err());
    }

    fn activity(&mut self, ui: &mut Ui, camera: &Camera, pending: &Pending) -> Option<AdminCommand> {
        let switch = |active| {
            let edit = CameraEdit { active: Some(active), version: Some(camera.version), ..CameraEdit::default() };
            AdminCommand::EditCamera { id: camera.id, edit }
        };
        if !camera.active {
            ui.label(tokens::weak("This camera is kept and not connected."));
            return ui.add_enabled(!pending.waits(), egui::Button::new("Reactivate")).clicked().then(|| switch(true));
        }
        if !self.asking {
            self.asking = ui.add_enabled(!pending.waits(), egui::Button::new("Deactivate…")).clicked();
            return None;
        }
        let question = format!(
            "Deactivate {}? It is disconnected on every console, and nobody is seen there until it is back. What was recorded stays.",
            camera.name
        );
        let answer = confirm(ui, &question, "Deactivate", "Leave active")?;
        self.asking = false;
        answer.then(|| switch(false))
    }

    /// The address that is typed, if any.
    fn typed_url(&self) -> Option<&str> {
        Some(self.url.as_str().trim()).filter(|url| !url.is_empty())
    }

    fn is_ready(&self) -> bool {
        [self.fault_of_name(), self.fault_of_address(), self.fault_of_place()].iter().all(Option::is_none)
    }

    fn fault_of_name(&self) -> Option<&'static str> {
        self.name.trim().is_empty().then_some("Type a name")
    }

    fn fault_of_address(&self) -> Option<&'static str> {
        match self.typed_url() {
            None if self.before.is_none() => Some("Type the address of the stream"),
            Some(url) if !crate::model::is_stream_address(url) => {
                Some("An address starts with rtsp://, rtsps://, file:// or test:")
            }
            _ => None,
        }
    }

    fn fault_of_place(&self) -> Option<&'static str> {
        self.location().err().or(self.field_of_view().err())
    }
}

fn number(text: &str) -> Option<f64> {
    text.trim().replace(',', ".").parse().ok()
}

fn head(ui: &mut Ui, view: &CameraView) {
    ui.heading(&view.camera.name);
    ui.horizontal(|ui| status(ui, view));
    if let CameraStatus::Stale { reason, .. } = &view.status {
        ui.label(tokens::weak(reason));
    }
}

fn described(ui: &mut Ui, view: &CameraView) {
    ui.label(tokens::weak(&view.camera.url));
    ui.add_space(4.0);
    ui.label(
        "This camera is described in the site's configuration file: change it there and start the console again. Its place on \
         the map can be set here, which then holds instead of the file's; without a place, the file's holds from the next start.",
    );
}

fn status(ui: &mut Ui, view: &CameraView) {
    let (tint, words): (Color32, &str) = match view.status {
        CameraStatus::Live => (tokens::GOOD, "live"),
        CameraStatus::Connecting => (tokens::WARN, "connecting"),
        CameraStatus::Stale { .. } => (tokens::BAD, "stale"),
        CameraStatus::Inactive => (tokens::TEXT_WEAK, "deactivated"),
    };
    widgets::dot(ui, tint);
    ui.label(RichText::new(words).color(tint));
}

fn cell(ui: &mut Ui, view: &CameraView, column: usize) {
    let camera = &view.camera;
    match column {
        0 => text(ui, tokens::strong(&camera.name)),
        1 => status(ui, view),
        2 => text(ui, tokens::weak(&camera.url)),
        3 => match camera.location {
            Some(place) => text(ui, tokens::digits(position(place))),
            None => text(ui, tokens::weak("not placed")),
        },
        _ => text(ui, if camera.configured { "configuration" } else { "database" }),
    }
}

fn position((latitude, longitude): (f64, f64)) -> String {
    format!("{latitude:.5}, {longitude:.5}")
}

fn changes(before: &Camera, now: &Camera) -> Vec<String> {
    let place = |c: &Camera| c.location.map_or_else(|| "not placed".to_owned(), position);
    let sees = |c: &Camera| {
        let words = |f: FieldOfView| format!("{:.0}°, {:.0}° wide, {:.0} m", f.heading, f.angle, f.range);
        c.field_of_view.map_or_else(|| "not set".to_owned(), words)
    };
    let active = |c: &Camera| if c.active { "active" } else { "deactivated" };
    let mut changes: Vec<String> = [
        change("Name", &before.name, &now.name),
        change("Address", &before.url, &now.url),
        change("Position", &place(before), &place(now)),
        change("Field of view", &sees(before), &sees(now)),
        change("State", active(before), active(now)),
    ]
    .into_iter()
    .flatten()
    .collect();
    if changes.is_empty() {
        changes.push("The credentials in its address".to_owned());
    }
    changes
}
