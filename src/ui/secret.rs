//! What is typed and nobody else may read: passwords, and addresses with passwords in them. Such a field keeps no history (Ctrl+Z brings
//! nothing back), gives nothing to the clipboard, and is wiped when it is left.
use super::{tokens, widgets};
use egui::{Event, Id, Key, Margin, Response, TextEdit, Ui, text_edit::TextEditState};
use zeroize::Zeroize;

/// Characters that a field takes.
const LENGTH: usize = 256;

/// A text that is wiped from memory when it is dropped, and shown by no `Debug`.
#[derive(Default)]
pub struct Secret(String);

impl Secret {
    /// Hands it out to be sent off, and is empty afterwards.
    pub fn take(&mut self) -> String {
        std::mem::take(&mut self.0)
    }

    /// What is typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether nothing is typed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The field under its label, in a form called `scope`; its letters are hidden unless `shown`. `entered` becomes true when Enter was
    /// pressed in it.
    pub fn field(
        &mut self,
        ui: &mut Ui,
        scope: &str,
        label: &str,
        hint: &str,
        shown: bool,
        entered: &mut bool,
    ) -> Response {
        // Growing would leave a copy behind.
        self.0.reserve(4 * LENGTH + 4 - self.0.len().min(4 * LENGTH));
        let name = ui.label(tokens::strong(label).size(13.0));
        ui.add_space(-4.0);
        let id = Id::unique((scope, label));
        if ui.memory(|memory| memory.has_focus(id)) {
            ui.input_mut(|input| input.events.retain(|event| !gives_away(event)));
        }
        let response = ui
            .add(
                TextEdit::singleline(&mut self.0)
                    .id(id)
                    .password(!shown)
                    .char_limit(LENGTH)
                    .hint_text(hint.to_owned())
                    .margin(Margin::symmetric(10, 8))
                    .desired_width(f32::INFINITY),
            )
            .labelled_by(name.id);
        if let Some(mut state) = TextEditState::load(ui.ctx(), id) {
            state.clear_undoer();
            state.store(ui.ctx(), id);
        }
        *entered |= widgets::entered(ui, &response);
        response
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// Whether the event would copy the text, or bring an earlier one back.
fn gives_away(event: &Event) -> bool {
    match event {
        Event::Copy | Event::Cut => true,
        Event::Key { key: Key::Z | Key::Y | Key::C | Key::X, modifiers, .. } => modifiers.ctrl || modifiers.command,
        _ => false,
    }
}

/// Takes out of egui's memory what was typed into any field: history, selection, what an input method holds.
pub fn forget_typed(context: &egui::Context) {
    context.memory_mut(|memory| memory.data.remove_by_type::<TextEditState>());
}
