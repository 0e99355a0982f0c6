//! Every command of the console with its words and its keys. Menus, tooltips and the sheet of shortcuts follow from here.
use egui::{Event, Key, KeyboardShortcut, ModifierNames, Modifiers};

/// What the operator can ask the console for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UiCommand {
    /// Confirms the selected possible match.
    ConfirmMatch,
    /// Rejects the selected possible match.
    RejectMatch,
    /// Selects the next possible match.
    NextMatch,
    /// Selects the previous possible match.
    PreviousMatch,
    /// Confirms the most urgent proposed suspect.
    ConfirmProposal,
    /// Drops the most urgent proposed suspect.
    DropProposal,
    /// Opens the form that marks the person on the card as a suspect.
    MarkSuspect,
    /// Takes one of the last reasons.
    PickReason,
    /// Closes what is open, one thing at a time.
    Back,
    /// Shows one camera alone.
    ShowCamera,
    /// Shows the inbox.
    ShowInbox,
    /// Shows the suspects.
    ShowSuspects,
    /// Shows the sheet of shortcuts.
    ShowShortcuts,
    /// Shows the wall.
    ShowWall,
    /// Shows videos that came as files, and what was found in them.
    ShowReview,
    /// Searches everybody seen for the person on the card, or shows that search.
    FindPerson,
    /// Shows the last half minute of a camera again.
    Replay,
    /// Puts a bookmark on what is watched.
    PutBookmark,
    /// Shows the cases.
    ShowCases,
    /// Shows the map.
    ShowMap,
    /// Shows the action log.
    ShowLog,
    /// Shows users, rights and cameras.
    ShowAdministration,
    /// Opens the form for one's own new password.
    ChangePassword,
    /// Shows how cameras and stores are doing.
    ShowHealth,
    /// Logs out.
    LogOut,
    /// Closes the console.
    Quit,
}

const fn plain(key: Key) -> KeyboardShortcut {
    KeyboardShortcut::new(Modifiers::NONE, key)
}

const fn control(key: Key) -> KeyboardShortcut {
    KeyboardShortcut::new(Modifiers::CTRL, key)
}

const fn alt(key: Key) -> KeyboardShortcut {
    KeyboardShortcut::new(Modifiers::ALT, key)
}

impl UiCommand {
    /// All commands, in the order of the sheet.
    pub const ALL: [Self; 25] = [
        Self::ConfirmMatch,
        Self::RejectMatch,
        Self::NextMatch,
        Self::PreviousMatch,
        Self::ConfirmProposal,
        Self::DropProposal,
        Self::MarkSuspect,
        Self::PickReason,
        Self::Back,
        Self::ShowCamera,
        Self::ShowInbox,
        Self::ShowSuspects,
        Self::ShowWall,
        Self::ShowReview,
        Self::FindPerson,
        Self::Replay,
        Self::PutBookmark,
        Self::ShowCases,
        Self::ShowMap,
        Self::ShowLog,
        Self::ShowAdministration,
        Self::ShowHealth,
        Self::ShowShortcuts,
        Self::LogOut,
        Self::Quit,
    ];

    /// Its name.
    pub fn text(self) -> &'static str {
        match self {
            Self::ConfirmMatch => "Confirm",
            Self::RejectMatch => "Reject",
            Self::NextMatch => "Next possible match",
            Self::PreviousMatch => "Previous possible match",
            Self::ConfirmProposal => "Confirm suspect",
            Self::DropProposal => "Drop",
            Self::MarkSuspect => "Mark as suspect…",
            Self::PickReason => "Take a recent reason",
            Self::Back => "Back",
            Self::ShowCamera => "Show one camera alone",
            Self::ShowInbox => "Inbox",
            Self::ShowSuspects => "Suspects",
            Self::ShowShortcuts => "Keyboard shortcuts…",
            Self::ShowWall => "Wall",
            Self::ShowReview => "Review",
            Self::FindPerson => "Find",
            Self::Replay => "Instant replay",
            Self::PutBookmark => "Bookmark…",
            Self::ShowCases => "Cases",
            Self::ShowMap => "Map",
            Self::ShowLog => "Action log",
            Self::ShowAdministration => "Administration",
            Self::ChangePassword => "Change password…",
            Self::ShowHealth => "Health…",
            Self::LogOut => "Log out",
            Self::Quit => "Quit",
        }
    }

    /// What it does, in one sentence.
    pub fn tooltip(self) -> &'static str {
        match self {
            Self::ConfirmMatch => "Records that the selected possible match shows the suspect",
            Self::RejectMatch => "Records that the selected possible match shows somebody else",
            Self::NextMatch => "Selects the next possible match in the inbox",
            Self::PreviousMatch => "Selects the previous possible match in the inbox",
            Self::ConfirmProposal => "Keeps following the proposed suspect who holds a weapon",
            Self::DropProposal => "Stops following the proposed suspect; the record stays",
            Self::MarkSuspect => "Follows the person on the card across all cameras; asks for a reason",
            Self::PickReason => "Fills in one of the reasons used last",
            Self::Back => "Closes what is open, one thing at a time",
            Self::ShowCamera => "Enlarges a camera by its number; the same key or Back shows all again",
            Self::ShowInbox => "Shows the possible matches that wait for a decision",
            Self::ShowSuspects => "Shows the suspects and where they were seen",
            Self::ShowShortcuts => "Lists every key",
            Self::ShowWall => "Shows all cameras",
            Self::FindPerson => "Searches everybody seen for the person on the card, or shows that search",
            Self::ShowReview => "Shows recordings and videos that came as files, and what was found in them",
            Self::Replay => {
                "Shows the last 30 s of the camera under the pointer, or of the one shown alone; Esc goes back to live"
            }
            Self::PutBookmark => {
                "Puts a bookmark on the instant, or the marked stretch, of the player; or on the camera under the pointer, now"
            }
            Self::ShowCases => "Shows the cases you work on: suspects, bookmarks, notes and what was handed out",
            Self::ShowMap => "Shows where cameras stand and which way a suspect went",
            Self::ShowLog => "Shows what operators did (administrators only)",
            Self::ShowAdministration => "Manages users, what each may see, and cameras (administrators only)",
            Self::ChangePassword => "Gives you a new password; asks for the one you have",
            Self::ShowHealth => "Shows how cameras and stores are doing",
            Self::LogOut => "Ends this session; cameras and follows go on",
            Self::Quit => "Closes the console",
        }
    }

    /// Its keys; several keys of one command are alternatives, or numbers.
    pub fn keys(self) -> &'static [KeyboardShortcut] {
        match self {
            Self::ConfirmMatch => const { &[plain(Key::C)] },
            Self::RejectMatch => const { &[plain(Key::R)] },
            Self::NextMatch => const { &[plain(Key::J), plain(Key::ArrowDown)] },
            Self::PreviousMatch => const { &[plain(Key::K), plain(Key::ArrowUp)] },
            Self::ConfirmProposal => const { &[control(Key::Y)] },
            Self::DropProposal => const { &[control(Key::N)] },
            Self::MarkSuspect => const { &[plain(Key::M)] },
            Self::PickReason => {
                const {
                    &[
                        alt(Key::Num1),
                        alt(Key::Num2),
                        alt(Key::Num3),
                        alt(Key::Num4),
                        alt(Key::Num5),
                        alt(Key::Num6),
                        alt(Key::Num7),
                        alt(Key::Num8),
                    ]
                }
            }
            Self::Back => const { &[plain(Key::Escape)] },
            Self::ShowCamera => {
                const {
                    &[
                        plain(Key::Num1),
                        plain(Key::Num2),
                        plain(Key::Num3),
                        plain(Key::Num4),
                        plain(Key::Num5),
                        plain(Key::Num6),
                        plain(Key::Num7),
                        plain(Key::Num8),
                        plain(Key::Num9),
                    ]
                }
            }
            Self::ShowInbox => const { &[plain(Key::I)] },
            Self::ShowSuspects => const { &[plain(Key::S)] },
            Self::ShowShortcuts => const { &[plain(Key::F1), plain(Key::Questionmark)] },
            Self::ShowWall => const { &[plain(Key::F3)] },
            Self::ShowReview => const { &[plain(Key::F5)] },
            Self::FindPerson => const { &[plain(Key::F)] },
            Self::Replay => const { &[plain(Key::P)] },
            Self::PutBookmark => const { &[plain(Key::B)] },
            Self::ShowCases => const { &[plain(Key::F9)] },
            Self::ShowMap => const { &[plain(Key::F7)] },
            Self::ShowLog => const { &[plain(Key::F4)] },
            Self::ShowAdministration => const { &[plain(Key::F8)] },
            Self::ChangePassword => &[],
            Self::ShowHealth => const { &[plain(Key::F6)] },
            Self::LogOut => const { &[control(Key::L)] },
            Self::Quit => const { &[control(Key::Q)] },
        }
    }

    /// Its keys in words: `C`, `J or Down`, `1 – 9`.
    pub fn keys_text(self) -> String {
        let name = |keys: &KeyboardShortcut| match keys.logical_key {
            Key::ArrowDown => "Down".to_owned(),
            Key::ArrowUp => "Up".to_owned(),
            Key::Escape => "Esc".to_owned(),
            Key::Questionmark => "?".to_owned(),
            _ => keys.format(&ModifierNames::NAMES, false),
        };
        match self.keys() {
            [one] => name(one),
            [one, other] => format!("{} or {}", name(one), name(other)),
            [first, .., last] => format!("{} – {}", name(first), name(last)),
            [] => String::new(),
        }
    }
}

/// Takes the commands whose keys were pressed in this pass out of the input, each with the position of the key among
/// [`UiCommand::keys`]. While a text is being edited, keys that write are left to it. A key held down counts once.
pub fn pressed(context: &egui::Context) -> Vec<(UiCommand, usize)> {
    let typing = context.text_edit_focused();
    let mut found = Vec::new();
    context.input_mut(|input| {
        input.events.retain(|event| {
            let Event::Key { key, pressed: true, repeat, modifiers, .. } = event else { return true };
            let Some(command) = command_of(*key, *modifiers, typing) else { return true };
            if !repeat {
                found.push(command);
            }
            false
        });
        // Alt with a digit would also write the digit.
        if found.iter().any(|(command, _)| *command == UiCommand::PickReason) {
            input.events.retain(|event| !matches!(event, Event::Text(_)));
        }
    });
    found
}

fn command_of(key: Key, modifiers: Modifiers, typing: bool) -> Option<(UiCommand, usize)> {
    UiCommand::ALL.into_iter().find_map(|command| {
        let position = command.keys().iter().position(|shortcut| {
            // `?` is written with Shift on most keyboards.
            let modifiers = if shortcut.logical_key == Key::Questionmark { Modifiers::NONE } else { modifiers };
            let writes = shortcut.modifiers.is_none()
                && !matches!(
                    shortcut.logical_key,
                    Key::Escape | Key::F1 | Key::F3 | Key::F4 | Key::F5 | Key::F6 | Key::F7 | Key::F8 | Key::F9
                );
            shortcut.logical_key == key && modifiers.matches_exact(shortcut.modifiers) && !(typing && writes)
        })?;
        Some((command, position))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_commands_share_a_key() {
        let keys: Vec<_> = UiCommand::ALL.iter().flat_map(|command| command.keys()).collect();
        for (i, key) in keys.iter().enumerate() {
            assert!(!keys[..i].contains(key), "{key:?} is used twice");
        }
    }

    #[test]
    fn letters_are_left_to_a_text_field_and_function_keys_are_not() {
        assert_eq!(command_of(Key::C, Modifiers::NONE, false), Some((UiCommand::ConfirmMatch, 0)));
        assert_eq!(command_of(Key::C, Modifiers::NONE, true), None);
        assert_eq!(command_of(Key::Num3, Modifiers::NONE, true), None);
        assert_eq!(command_of(Key::Num3, Modifiers::ALT, true), Some((UiCommand::PickReason, 2)));
        assert_eq!(command_of(Key::Escape, Modifiers::NONE, true), Some((UiCommand::Back, 0)));
        assert_eq!(command_of(Key::C, Modifiers::CTRL, false), None, "copying is not confirming");
    }

    #[test]
    fn keys_have_words() {
        assert_eq!(UiCommand::NextMatch.keys_text(), "J or Down");
        assert_eq!(UiCommand::ShowCamera.keys_text(), "1 – 9");
        assert_eq!(UiCommand::PickReason.keys_text(), "Alt+1 – Alt+8");
    }
}
