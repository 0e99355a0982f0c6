//! Every command of the console, once: its words, its keys, and which part of the screen must have the keys for them to work. Menus,
//! tooltips, the sheet of shortcuts and [`super::keys`] follow from here.
use egui::{Key, KeyboardShortcut, ModifierNames, Modifiers};

/// A part of the screen that can have the keys. One has them at a time, and shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The pictures of the cameras.
    Wall,
    /// The card of a clicked person.
    Card,
    /// The possible matches; the keys decide about the card that is marked.
    Inbox,
    /// The proposed suspect.
    Proposal,
    /// The list of suspects.
    Suspects,
    /// The player of recordings.
    Player,
    /// The action log.
    Log,
    /// Another screen: from there letters only lead elsewhere.
    Other,
}

impl Part {
    /// Its name, as the status bar tells who has the keys.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wall => "wall",
            Self::Card => "person",
            Self::Inbox => "inbox",
            Self::Proposal => "proposed suspect",
            Self::Suspects => "suspects",
            Self::Player => "player",
            Self::Log => "action log",
            Self::Other => "screen",
        }
    }
}

/// Where the keys of a command work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Wherever no dialog, menu or form is open. Never a key that writes.
    Anywhere,
    /// Where one of these parts has the keys.
    In(&'static [Part]),
    /// In the form that marks a suspect.
    MarkForm,
}

/// The screen of the wall with all that lies beside it.
const WALL: Place = Place::In(&[Part::Wall, Part::Inbox, Part::Proposal, Part::Suspects]);
/// Where letters lead elsewhere.
const LEADS: Place = Place::In(&[Part::Wall, Part::Inbox, Part::Proposal, Part::Suspects, Part::Other]);
const PLAYER: Place = Place::In(&[Part::Player]);
const LOG: Place = Place::In(&[Part::Log]);

/// What the operator can ask the console for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UiCommand {
    /// Confirms the possible match whose card has the keys.
    ConfirmMatch,
    /// Rejects the possible match whose card has the keys.
    RejectMatch,
    /// Selects the next possible match and gives its card the keys.
    NextMatch,
    /// Selects the previous possible match and gives its card the keys.
    PreviousMatch,
    /// Gives the proposed suspect the keys.
    ShowProposal,
    /// Confirms the proposed suspect that is shown and has the keys.
    ConfirmProposal,
    /// Drops the proposed suspect that is shown and has the keys.
    DropProposal,
    /// Opens the form that marks the person on the card as a suspect.
    MarkSuspect,
    /// Takes one of the last reasons.
    PickReason,
    /// Closes the innermost open thing.
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
    /// Shows recordings and videos that came as files.
    ShowReview,
    /// Searches everybody seen for the person on the card, or shows that search.
    FindPerson,
    /// Shows the last half minute of a camera again.
    Replay,
    /// Puts a bookmark on what is watched.
    PutBookmark,
    /// Plays, or stands.
    PlayPause,
    /// Plays; again: faster.
    PlayForward,
    /// Plays backwards; again: faster.
    PlayBackward,
    /// Stands.
    Stand,
    /// One frame on.
    StepOn,
    /// One frame back.
    StepBack,
    /// Ten seconds on.
    JumpOn,
    /// Ten seconds back.
    JumpBack,
    /// Marks the beginning of a stretch.
    MarkIn,
    /// Marks the end of a stretch.
    MarkOut,
    /// Shows the cases.
    ShowCases,
    /// Shows the map.
    ShowMap,
    /// Shows the action log.
    ShowLog,
    /// Opens the entry below.
    NextEntry,
    /// Opens the entry above.
    PreviousEntry,
    /// Reads the newer page of the log.
    NewerEntries,
    /// Reads the older page of the log.
    OlderEntries,
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

const fn shift(key: Key) -> KeyboardShortcut {
    KeyboardShortcut::new(Modifiers::SHIFT, key)
}

/// The digits 1 to `N` with these modifiers.
const fn digits<const N: usize>(modifiers: Modifiers) -> [KeyboardShortcut; N] {
    const DIGITS: [Key; 9] =
        [Key::Num1, Key::Num2, Key::Num3, Key::Num4, Key::Num5, Key::Num6, Key::Num7, Key::Num8, Key::Num9];
    let mut keys = [KeyboardShortcut::new(modifiers, Key::Num1); N];
    let mut i = 0;
    while i < N {
        #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which refuses an index out of range")]
        {
            keys[i] = KeyboardShortcut::new(modifiers, DIGITS[i]);
        }
        i += 1;
    }
    keys
}

const ONE_TO_NINE: &[KeyboardShortcut] = &digits::<9>(Modifiers::NONE);
const ALT_ONE_TO_EIGHT: &[KeyboardShortcut] = &digits::<8>(Modifiers::ALT);

/// What the list says of a command.
struct Entry {
    text: &'static str,
    tooltip: &'static str,
    place: Place,
    keys: &'static [KeyboardShortcut],
}

impl UiCommand {
    /// All commands that have keys, in the order of the sheet.
    pub const ALL: [Self; 40] = [
        Self::ConfirmMatch,
        Self::RejectMatch,
        Self::NextMatch,
        Self::PreviousMatch,
        Self::ShowProposal,
        Self::ConfirmProposal,
        Self::DropProposal,
        Self::MarkSuspect,
        Self::PickReason,
        Self::ShowCamera,
        Self::ShowInbox,
        Self::ShowSuspects,
        Self::Replay,
        Self::PutBookmark,
        Self::FindPerson,
        Self::PlayPause,
        Self::PlayForward,
        Self::PlayBackward,
        Self::Stand,
        Self::StepOn,
        Self::StepBack,
        Self::JumpOn,
        Self::JumpBack,
        Self::MarkIn,
        Self::MarkOut,
        Self::NextEntry,
        Self::PreviousEntry,
        Self::NewerEntries,
        Self::OlderEntries,
        Self::Back,
        Self::ShowWall,
        Self::ShowReview,
        Self::ShowMap,
        Self::ShowCases,
        Self::ShowLog,
        Self::ShowAdministration,
        Self::ShowHealth,
        Self::ShowShortcuts,
        Self::LogOut,
        Self::Quit,
    ];

    /// The list: text, what it does in one sentence, where its keys work, and its keys.
    const fn entry(self) -> Entry {
        const fn of(
            text: &'static str,
            tooltip: &'static str,
            place: Place,
            keys: &'static [KeyboardShortcut],
        ) -> Entry {
            Entry { text, tooltip, place, keys }
        }
        const INBOX: Place = Place::In(&[Part::Inbox]);
        const PROPOSAL: Place = Place::In(&[Part::Proposal]);
        const ANYWHERE: Place = Place::Anywhere;
        match self {
            Self::ConfirmMatch => of(
                "Confirm",
                "Records that the selected possible match shows the suspect",
                INBOX,
                const { &[plain(Key::C)] },
            ),
            Self::RejectMatch => of(
                "Reject",
                "Records that the selected possible match shows somebody else",
                INBOX,
                const { &[plain(Key::R)] },
            ),
            Self::NextMatch => of(
                "Next possible match",
                "Selects the next possible match in the inbox",
                const { Place::In(&[Part::Wall, Part::Inbox, Part::Proposal]) },
                const { &[plain(Key::J), plain(Key::ArrowDown)] },
            ),
            Self::PreviousMatch => of(
                "Previous possible match",
                "Selects the previous possible match in the inbox",
                const { Place::In(&[Part::Wall, Part::Inbox, Part::Proposal]) },
                const { &[plain(Key::K), plain(Key::ArrowUp)] },
            ),
            Self::ShowProposal => of(
                "Proposed suspect",
                "Gives the keys to the proposed suspect who holds a weapon",
                WALL,
                const { &[plain(Key::W)] },
            ),
            Self::ConfirmProposal => of(
                "Confirm suspect",
                "Keeps following the proposed suspect who holds a weapon",
                PROPOSAL,
                const { &[control(Key::Y)] },
            ),
            Self::DropProposal => of(
                "Drop",
                "Stops following the proposed suspect; the record stays",
                PROPOSAL,
                const { &[control(Key::N)] },
            ),
            Self::MarkSuspect => of(
                "Mark as suspect…",
                "Follows the person on the card across all cameras; asks for a reason",
                const { Place::In(&[Part::Card]) },
                const { &[plain(Key::M)] },
            ),
            Self::PickReason => {
                of("Take a recent reason", "Fills in one of the reasons used last", Place::MarkForm, ALT_ONE_TO_EIGHT)
            }
            Self::Back => of(
                "Back",
                "Closes the innermost open thing; a form with something typed asks first",
                ANYWHERE,
                const { &[plain(Key::Escape)] },
            ),
            Self::ShowCamera => of(
                "Show one camera alone",
                "Enlarges a camera by its number; the same key or Back shows all again",
                const { Place::In(&[Part::Wall, Part::Inbox, Part::Proposal, Part::Suspects, Part::Player]) },
                ONE_TO_NINE,
            ),
            Self::ShowInbox => of(
                "Inbox",
                "Shows the possible matches that wait for a decision, and gives them the keys",
                LEADS,
                const { &[plain(Key::I)] },
            ),
            Self::ShowSuspects => {
                of("Suspects", "Shows the suspects and where they were seen", LEADS, const { &[plain(Key::S)] })
            }
            Self::ShowShortcuts => of(
                "Keyboard shortcuts…",
                "Lists every key",
                ANYWHERE,
                const { &[plain(Key::F1), plain(Key::Questionmark)] },
            ),
            Self::ShowWall => of("Wall", "Shows all cameras", ANYWHERE, const { &[plain(Key::F3)] }),
            Self::ShowReview => of(
                "Review",
                "Shows recordings and videos that came as files, and what was found in them",
                ANYWHERE,
                const { &[plain(Key::F5)] },
            ),
            Self::FindPerson => of(
                "Find",
                "Searches everybody seen for the person on the card, or shows that search",
                const {
                    Place::In(&[
                        Part::Wall,
                        Part::Inbox,
                        Part::Proposal,
                        Part::Suspects,
                        Part::Card,
                        Part::Player,
                        Part::Other,
                    ])
                },
                const { &[plain(Key::F)] },
            ),
            Self::Replay => of(
                "Instant replay",
                "Shows the last 30 s of the camera under the pointer, or of the one shown alone; Esc goes back to live",
                WALL,
                const { &[plain(Key::P)] },
            ),
            Self::PutBookmark => of(
                "Bookmark…",
                "Puts a bookmark on the instant, or the marked stretch, of the player; or on the camera under the pointer, now",
                const { Place::In(&[Part::Wall, Part::Inbox, Part::Proposal, Part::Suspects, Part::Player]) },
                const { &[plain(Key::B)] },
            ),
            Self::PlayPause => of("Play or pause", "Plays, or stands", PLAYER, const { &[plain(Key::Space)] }),
            Self::PlayForward => of("Play", "Plays; again: faster", PLAYER, const { &[plain(Key::L)] }),
            Self::PlayBackward => {
                of("Play backwards", "Plays backwards; again: faster", PLAYER, const { &[plain(Key::J)] })
            }
            Self::Stand => of("Pause", "Stands", PLAYER, const { &[plain(Key::K)] }),
            Self::StepOn => of("One frame on", "Shows the next frame", PLAYER, const { &[plain(Key::ArrowRight)] }),
            Self::StepBack => {
                of("One frame back", "Shows the frame before", PLAYER, const { &[plain(Key::ArrowLeft)] })
            }
            Self::JumpOn => of("Ten seconds on", "Goes ten seconds on", PLAYER, const { &[shift(Key::ArrowRight)] }),
            Self::JumpBack => {
                of("Ten seconds back", "Goes ten seconds back", PLAYER, const { &[shift(Key::ArrowLeft)] })
            }
            Self::MarkIn => of("In", "Marks the beginning of a stretch", PLAYER, const { &[plain(Key::I)] }),
            Self::MarkOut => of("Out", "Marks the end of a stretch", PLAYER, const { &[plain(Key::O)] }),
            Self::ShowCases => of(
                "Cases",
                "Shows the cases you work on: suspects, bookmarks, notes and what was handed out",
                ANYWHERE,
                const { &[plain(Key::F9)] },
            ),
            Self::ShowMap => of(
                "Map",
                "Shows where cameras stand and which way a suspect went",
                ANYWHERE,
                const { &[plain(Key::F7)] },
            ),
            Self::ShowLog => of(
                "Action log",
                "Shows what operators did (administrators only)",
                ANYWHERE,
                const { &[plain(Key::F4)] },
            ),
            Self::NextEntry => of(
                "Entry below",
                "Opens the entry below the open one",
                LOG,
                const { &[plain(Key::ArrowDown), plain(Key::J)] },
            ),
            Self::PreviousEntry => of(
                "Entry above",
                "Opens the entry above the open one",
                LOG,
                const { &[plain(Key::ArrowUp), plain(Key::K)] },
            ),
            Self::NewerEntries => of("Newer", "Reads the page of newer entries", LOG, const { &[plain(Key::PageUp)] }),
            Self::OlderEntries => {
                of("Older", "Reads the page of older entries", LOG, const { &[plain(Key::PageDown)] })
            }
            Self::ShowAdministration => of(
                "Administration",
                "Manages users, what each may see, and cameras (administrators only)",
                ANYWHERE,
                const { &[plain(Key::F8)] },
            ),
            Self::ChangePassword => {
                of("Change password…", "Gives you a new password; asks for the one you have", ANYWHERE, &[])
            }
            Self::ShowHealth => {
                of("Health…", "Shows how cameras and stores are doing", ANYWHERE, const { &[plain(Key::F6)] })
            }
            Self::LogOut => {
                of("Log out", "Ends this session; cameras and follows go on", ANYWHERE, const { &[control(Key::L)] })
            }
            Self::Quit => of(
                "Quit",
                "Closes the console; asks where that would end a recording",
                ANYWHERE,
                const { &[control(Key::Q)] },
            ),
        }
    }

    /// Its name.
    pub const fn text(self) -> &'static str {
        self.entry().text
    }

    /// What it does, in one sentence.
    pub const fn tooltip(self) -> &'static str {
        self.entry().tooltip
    }

    /// Where its keys work.
    pub const fn place(self) -> Place {
        self.entry().place
    }

    /// Its keys; several keys of one command are alternatives, or numbers.
    pub const fn keys(self) -> &'static [KeyboardShortcut] {
        self.entry().keys
    }

    /// Whether the key means a command anywhere.
    pub fn is_any(key: Key, modifiers: Modifiers) -> bool {
        let is_meant = |keys: &KeyboardShortcut| {
            keys.logical_key == key && (modifiers.matches_exact(keys.modifiers) || key == Key::Questionmark)
        };
        Self::ALL.iter().flat_map(|command| command.keys()).any(is_meant)
    }

    /// What it does and its keys: `Shows all cameras (F3)`.
    pub fn help(self) -> String {
        match self.keys() {
            [] => self.tooltip().to_owned(),
            _ => format!("{} ({})", self.tooltip(), self.keys_text()),
        }
    }

    /// Its keys in words: `C`, `J or Down`, `1 – 9`.
    pub fn keys_text(self) -> String {
        let name = |keys: &KeyboardShortcut| match keys.logical_key {
            Key::ArrowDown => "Down".to_owned(),
            Key::ArrowUp => "Up".to_owned(),
            Key::ArrowLeft if keys.modifiers.is_none() => "Left".to_owned(),
            Key::ArrowRight if keys.modifiers.is_none() => "Right".to_owned(),
            Key::ArrowLeft => "Shift+Left".to_owned(),
            Key::ArrowRight => "Shift+Right".to_owned(),
            Key::PageUp => "Page up".to_owned(),
            Key::PageDown => "Page down".to_owned(),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether both may be meant by one key at one time.
    fn meet(a: Place, b: Place) -> bool {
        match (a, b) {
            (Place::In(a), Place::In(b)) => a.iter().any(|part| b.contains(part)),
            (Place::MarkForm, Place::In(_)) | (Place::In(_), Place::MarkForm) => false,
            _ => true,
        }
    }

    #[test]
    fn no_key_means_two_things_in_one_place() {
        for (i, one) in UiCommand::ALL.iter().enumerate() {
            for other in &UiCommand::ALL[..i] {
                let shared = one.keys().iter().any(|key| other.keys().contains(key));
                assert!(!shared || !meet(one.place(), other.place()), "{one:?} and {other:?}");
            }
        }
    }

    #[test]
    fn what_decides_on_evidence_needs_its_card() {
        for command in [
            UiCommand::ConfirmMatch,
            UiCommand::RejectMatch,
            UiCommand::ConfirmProposal,
            UiCommand::DropProposal,
            UiCommand::MarkSuspect,
        ] {
            assert!(matches!(command.place(), Place::In([_])), "{command:?}");
        }
    }

    #[test]
    fn keys_have_words() {
        assert_eq!(UiCommand::NextMatch.keys_text(), "J or Down");
        assert_eq!(UiCommand::ShowCamera.keys_text(), "1 – 9");
        assert_eq!(UiCommand::PickReason.keys_text(), "Alt+1 – Alt+8");
        assert_eq!(UiCommand::JumpOn.keys_text(), "Shift+Right");
        assert_eq!(UiCommand::ShowWall.help(), "Shows all cameras (F3)");
    }
}
