//! The fields of a form. A form can always be sent as far as the button goes: where something is missing or wrong, each field then says what and
//! why beside itself, and the first of them has the keyboard.
use super::widgets;
use egui::{Response, Ui};

/// What a form knows while it is drawn.
pub struct Fields<'a> {
    scope: &'a str,
    /// Whether it was tried to send it as it is: before that nobody is told of what they have not typed yet.
    tried: &'a mut bool,
    entered: bool,
    gap: Option<Response>,
}

impl<'a> Fields<'a> {
    /// Nothing drawn yet. `tried` is kept by the form from one repaint to the next.
    pub fn new(scope: &'a str, tried: &'a mut bool) -> Self {
        Self { scope, tried, entered: false, gap: None }
    }

    /// A field of one line under its label, and beside it what is wrong: `fault` of what is typed.
    pub fn text(
        &mut self,
        ui: &mut Ui,
        label: &str,
        hint: &str,
        text: &mut String,
        fault: impl FnOnce(&str) -> Option<&'static str>,
    ) -> Response {
        let response = widgets::field(ui, self.scope, label, hint, text, &mut self.entered);
        self.check(ui, &response, fault(text));
        response
    }

    /// What is wrong with a field that was just drawn.
    pub fn check(&mut self, ui: &mut Ui, field: &Response, fault: Option<&str>) {
        widgets::fault(ui, fault.filter(|_| *self.tried));
        if fault.is_some() {
            self.points_at(field);
        }
    }

    /// Something is wrong with this field, which says so itself.
    pub fn points_at(&mut self, field: &Response) {
        self.gap.get_or_insert_with(|| field.clone());
    }

    /// Whether Enter was pressed in one of the fields.
    pub fn entered(&self) -> bool {
        self.entered
    }

    /// Whether the form is sent, where its button was `pressed`.
    pub fn sends(&mut self, pressed: bool) -> bool {
        let Some(gap) = &self.gap else { return pressed };
        if pressed {
            *self.tried = true;
            gap.request_focus();
        }
        false
    }
}

/// What is wrong with a field in which something must be typed.
pub fn needed(words: &'static str) -> impl FnOnce(&str) -> Option<&'static str> {
    move |text| text.trim().is_empty().then_some(words)
}
