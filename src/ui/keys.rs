//! The one router of keys. What is innermost takes them: an open list, a dialog, a form; else the part of the screen that has them, and
//! shows it. While a text is typed letters belong to it, and afterwards to nobody until a part is given the keys again: by a click into it or
//! by a command that leads there. So no letter decides what was typed for something else.
use super::{
    commands::{Part, Place, UiCommand},
    tokens,
};
use egui::{Context, Event, Id, Key, LayerId, Modifiers, Rect, Stroke, StrokeKind, Ui};
use uuid::Uuid;

/// A letter that means nothing shows that somebody types blindly: for so long after the last one no letter is a command, seconds.
/// Slow typists press a key every .4 s (150 characters a minute).
const BLIND: f64 = 1.0;
/// A card decides by keys once it has had them for so long, seconds: nobody has looked at it before, and who types a text presses the
/// next key sooner.
const ARMED_AFTER: f64 = 0.4;

/// What is innermost on the screen and so takes the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Innermost {
    /// A dialog: Esc closes it.
    Dialog,
    /// The sheet of shortcuts: its own keys close it, too.
    Sheet,
    /// The form that marks a suspect.
    MarkForm,
    /// Another form with something typed.
    Form,
    /// Nothing but the screen, on which Esc still closes what is open.
    Screen,
}

/// Who has the keys.
pub struct Keys {
    part: Option<Part>,
    /// Who had them before a text or a dialog took them.
    before: Option<Part>,
    /// Parts drawn so far in this pass, and those of the pass before: what the pointer is over.
    drawing: Vec<(Part, Rect)>,
    drawn: Vec<(Part, Rect)>,
    /// A text had the keyboard when the last pass ended.
    typing: bool,
    /// Until when letters count for nothing, by egui's time.
    blind_until: f64,
    /// The card that would decide, and since when it has had the keys.
    armed: Option<(Uuid, f64)>,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            part: Some(Part::Wall),
            before: None,
            drawing: Vec::new(),
            drawn: Vec::new(),
            typing: false,
            blind_until: 0.0,
            armed: None,
        }
    }
}

impl Keys {
    /// Gives the keys to a part, or to none.
    pub fn give(&mut self, part: Option<Part>) {
        self.part = part;
        self.before = None;
    }

    /// A form was sent off: the keys go back to whom it took them from.
    pub fn give_back(&mut self) {
        self.part = self.part.or(self.before.take());
    }

    /// Who has the keys; `None` where letters do nothing.
    pub fn part(&self) -> Option<Part> {
        self.part
    }

    /// Whether this part has them.
    pub fn has(&self, part: Part) -> bool {
        self.part == Some(part)
    }

    /// The part is drawn here: a click into it gives it the keys. A line shows whether it has them.
    pub fn claim(&mut self, ui: &Ui, part: Part, rect: Rect) {
        self.drawing.push((part, rect));
        if self.has(part) {
            let line = Stroke::new(1.5, tokens::ACCENT);
            ui.painter().rect_stroke(rect.shrink(1.0), f32::from(tokens::RADIUS_SMALL), line, StrokeKind::Inside);
        }
    }

    /// The card of this record is shown and has the keys.
    pub fn arm(&mut self, context: &Context, record: Uuid) {
        let now = context.input(|input| input.time);
        let since = self.armed.filter(|(armed, _)| *armed == record).map_or(now, |(_, since)| since);
        self.armed = Some((record, since));
    }

    /// Whether keys decide about this record now, see [`arm`](Self::arm). Where they do not yet, somebody types blindly.
    pub fn decides(&mut self, context: &Context, record: Uuid) -> bool {
        let now = context.input(|input| input.time);
        let is_armed = self.armed.is_some_and(|(armed, since)| armed == record && now - since >= ARMED_AFTER);
        if !is_armed {
            self.blind_until = now + BLIND;
        }
        is_armed
    }

    /// To be called first in a pass: takes the commands whose keys were pressed out of the input, each with the position of the key
    /// among [`UiCommand::keys`]. A key held down counts once. `base` is the part under the card of a person: its keys work with those of
    /// the card.
    pub fn pressed(&mut self, context: &Context, innermost: Innermost, base: Option<Part>) -> Vec<(UiCommand, usize)> {
        self.drawn = std::mem::take(&mut self.drawing);
        if egui::Popup::is_any_open(context) {
            return Vec::new(); // a list or a menu has all keys; it closes itself by Esc
        }
        self.follow_the_pointer(context, innermost);
        let typing = self.typing || context.text_edit_focused();
        let under = base.filter(|_| self.has(Part::Card));
        let (part, busy) = (self.part, context.memory(|memory| memory.focused().is_some()));
        let mut found = Vec::new();
        let mut blind_until = self.blind_until;
        context.input_mut(|input| {
            let now = input.time;
            input.events.retain(|event| {
                let Event::Key { key, pressed: true, repeat, modifiers, .. } = event else { return true };
                let writes = writes(*key, *modifiers);
                let offered = |command: UiCommand| match (innermost, command) {
                    // Whoever leaves the console must be able to lock it at once.
                    (_, UiCommand::Back | UiCommand::LogOut) => true,
                    (Innermost::Sheet, UiCommand::ShowShortcuts) => true,
                    (Innermost::MarkForm, command) => command.place() == Place::MarkForm,
                    (Innermost::Screen, command) => match command.place() {
                        // `?` opens no more than the sheet.
                        Place::Anywhere => !(writes && typing),
                        Place::In(parts) => !typing && part.into_iter().chain(under).any(|part| parts.contains(&part)),
                        Place::MarkForm => false,
                    },
                    _ => false,
                };
                // Keys that a focused button understands are its own.
                if busy && !typing && matches!(key, Key::Space | Key::Enter) {
                    return true;
                }
                match command_of(*key, *modifiers, offered) {
                    Some(_) if writes && now < blind_until => blind_until = now + BLIND,
                    Some(command) => {
                        if !repeat {
                            found.push(command);
                        }
                        return false;
                    }
                    None if writes && !typing && is_letter(*key) => blind_until = now + BLIND,
                    None => {}
                }
                true
            });
            // Alt with a digit would also write the digit.
            if found.iter().any(|(command, _)| *command == UiCommand::PickReason) {
                input.events.retain(|event| !matches!(event, Event::Text(_)));
            }
        });
        self.blind_until = blind_until;
        // In a field alone, Esc leaves the field and nothing else.
        if self.typing && innermost == Innermost::Screen {
            found.retain(|(command, _)| *command != UiCommand::Back);
        }
        found
    }

    /// A click into a part gives it the keys.
    fn follow_the_pointer(&mut self, context: &Context, innermost: Innermost) {
        if !matches!(innermost, Innermost::Screen | Innermost::Form) {
            return;
        }
        let pressed =
            context.input(|input| input.pointer.any_pressed().then(|| input.pointer.interact_pos()).flatten());
        let Some(at) = pressed else { return };
        // Of parts within each other the innermost was drawn last.
        if let Some((part, _)) = self.drawn.iter().rev().find(|(_, rect)| rect.contains(at)) {
            self.give(Some(*part));
        }
    }

    /// To be called last in a pass: while a text is typed nobody else has the keys.
    pub fn end(&mut self, context: &Context) {
        self.typing = context.text_edit_focused();
        if self.typing {
            self.before = self.part.take().or(self.before);
        }
    }
}

/// Keeps the focus inside the list or menu that is being drawn, and tells [`Shield`] where it lies.
pub fn keep_inside(ui: &Ui) {
    let layer = ui.layer_id();
    ui.ctx().memory_mut(|memory| memory.set_modal_layer(layer));
    ui.ctx().data_mut(|data| data.insert_temp(open_list(), layer));
}

fn open_list() -> Id {
    Id::unique("open list")
}

/// A click beside an open list or menu closes it and does nothing else: what lies under it is not pressed.
#[derive(Default)]
pub struct Shield {
    /// The press was taken; its release belongs to it.
    takes_release: bool,
}

impl egui::Plugin for Shield {
    fn debug_name(&self) -> &'static str {
        "shield"
    }

    fn input_hook(&mut self, context: &Context, input: &mut egui::RawInput) {
        let mut is_open = egui::Popup::is_any_open(context);
        let layer = context.data(|data| data.get_temp::<LayerId>(open_list()));
        input.events.retain(|event| {
            let Event::PointerButton { pos, pressed, .. } = event else { return true };
            if !pressed {
                return !std::mem::take(&mut self.takes_release);
            }
            let area = layer.and_then(|layer| egui::AreaState::load(context, layer.id));
            let is_beside = is_open && !area.is_some_and(|area| area.rect().contains(*pos));
            if is_beside {
                egui::Popup::close_all(context);
                is_open = false;
            }
            self.takes_release = is_beside;
            !is_beside
        });
    }
}

/// Whether the key writes where a text is edited.
fn writes(key: Key, modifiers: Modifiers) -> bool {
    let is_function = matches!(
        key,
        Key::Escape
            | Key::F1
            | Key::F2
            | Key::F3
            | Key::F4
            | Key::F5
            | Key::F6
            | Key::F7
            | Key::F8
            | Key::F9
            | Key::F10
    );
    !(modifiers.ctrl || modifiers.alt || modifiers.command || is_function)
}

/// Letters, digits and signs: what somebody types who means a text.
fn is_letter(key: Key) -> bool {
    key.symbol_or_name().chars().count() == 1
        && !matches!(key, Key::ArrowDown | Key::ArrowUp | Key::ArrowLeft | Key::ArrowRight)
}

fn command_of(key: Key, modifiers: Modifiers, offered: impl Fn(UiCommand) -> bool) -> Option<(UiCommand, usize)> {
    UiCommand::ALL.into_iter().filter(|command| offered(*command)).find_map(|command| {
        let position = command.keys().iter().position(|shortcut| {
            // `?` is written with Shift on most keyboards.
            let modifiers = if shortcut.logical_key == Key::Questionmark { Modifiers::NONE } else { modifiers };
            shortcut.logical_key == key && modifiers.matches_exact(shortcut.modifiers)
        })?;
        Some((command, position))
    })
}
