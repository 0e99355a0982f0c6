//! Cases: suspects, bookmarks, notes and what was handed out, under one name, for the people who work on it.
//!
//! A case is the sum of its facts. Facts are only added, never changed, so that two consoles that work on one case at once lose
//! nothing: whatever the order in which facts arrive, [`Case::of`] says the same.
use super::{Hash, SuspectId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

/// A case's identity.
pub type CaseId = Uuid;

/// Something that was done to a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseFact {
    /// Identity.
    pub id: Uuid,
    /// Which case.
    pub case: CaseId,
    /// When.
    pub at: Timestamp,
    /// Who: `users.cc`.
    pub by: String,
    /// Full name at the time.
    pub by_name: String,
    /// What.
    pub change: CaseChange,
}

/// What can be done to a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "change")]
pub enum CaseChange {
    /// Opened it; whoever did works on it.
    Open {
        /// Its number, as people write it.
        number: String,
        /// Its name.
        name: String,
    },
    /// Gave it another number or name.
    Rename {
        /// Its number.
        number: String,
        /// Its name.
        name: String,
    },
    /// Handed it to somebody, who works on it from then on.
    AddPerson {
        /// `users.cc`.
        cc: String,
        /// Full name at the time.
        name: String,
    },
    /// Took it from somebody, or left it.
    RemovePerson {
        /// `users.cc`.
        cc: String,
    },
    /// Added a suspect.
    AddSuspect {
        /// Who.
        suspect: SuspectId,
    },
    /// Took a suspect out of it.
    RemoveSuspect {
        /// Who.
        suspect: SuspectId,
    },
    /// Added a video that came as a file.
    AddUpload {
        /// The row of `uploads`.
        upload: Uuid,
        /// The name of the file.
        name: String,
    },
    /// Took such a video out of it.
    RemoveUpload {
        /// The row of `uploads`.
        upload: Uuid,
    },
    /// Wrote something down.
    Note {
        /// What.
        text: String,
    },
    /// Handed out a package: about one of its suspects, or a stretch of video.
    HandOut(Clip),
    /// Closed it.
    Close {
        /// Why.
        why: String,
    },
    /// Opened it again.
    Reopen {
        /// Why.
        why: String,
    },
}

impl CaseChange {
    /// The word for it in the log.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Open { .. } => "opened",
            Self::Rename { .. } => "renamed",
            Self::AddPerson { .. } => "person added",
            Self::RemovePerson { .. } => "person removed",
            Self::AddSuspect { .. } => "suspect added",
            Self::RemoveSuspect { .. } => "suspect removed",
            Self::AddUpload { .. } => "video added",
            Self::RemoveUpload { .. } => "video removed",
            Self::Note { .. } => "note",
            Self::HandOut(_) => "handed out",
            Self::Close { .. } => "closed",
            Self::Reopen { .. } => "opened again",
        }
    }
}

/// A package that was handed out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clip {
    /// About whom; `None`: a stretch of video.
    pub suspect: Option<SuspectId>,
    /// The package's file name.
    pub package: String,
    /// SHA-256 of the package.
    pub sha256: Hash,
    /// Bytes.
    pub bytes: u64,
    /// To whom.
    pub recipient: String,
    /// Why.
    pub reason: String,
}

/// Something on the record, with its author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authored<T> {
    /// When.
    pub at: Timestamp,
    /// Who: full name at the time.
    pub by: String,
    /// What.
    pub what: T,
}

/// A case as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Identity.
    pub id: CaseId,
    /// Its number, as people write it.
    pub number: String,
    /// Its name.
    pub name: String,
    /// When it was opened, and by whom (`users.cc`).
    pub opened: Authored<String>,
    /// Who works on it: `users.cc` and full name, in the order of their numbers.
    pub people: BTreeMap<String, String>,
    /// Its suspects, in the order in which they came to it.
    pub suspects: Vec<SuspectId>,
    /// Its videos: the row of `uploads` and the name of the file.
    pub uploads: Vec<(Uuid, String)>,
    /// Its notes, oldest first.
    pub notes: Vec<Authored<String>>,
    /// What was handed out, oldest first.
    pub clips: Vec<Authored<Clip>>,
    /// Why it was closed; `None` while it is open.
    pub closed: Option<Authored<String>>,
}

impl Case {
    /// The most letters of a number or a name.
    pub const NAME: usize = 120;
    /// The most letters of a note.
    pub const NOTE: usize = 4000;

    /// The cases that these facts make, in the order in which they were opened. Facts may come in any order, and more than once. Of a
    /// case whose opening has not arrived yet nothing is known.
    pub fn of<'a>(facts: impl IntoIterator<Item = &'a CaseFact>) -> Vec<Self> {
        let ordered: BTreeMap<_, _> = facts.into_iter().map(|fact| ((fact.at, fact.id), fact)).collect();
        let mut cases: BTreeMap<CaseId, Self> = BTreeMap::new();
        let mut order = Vec::new();
        // Clocks differ: an opening counts before everything else that was done to its case.
        for fact in ordered.values() {
            if let CaseChange::Open { number, name } = &fact.change
                && !cases.contains_key(&fact.case)
            {
                order.push(fact.case);
                cases.insert(fact.case, Self::opened(fact, number, name));
            }
        }
        for fact in ordered.values() {
            if let Some(case) = cases.get_mut(&fact.case) {
                case.take(fact);
            }
        }
        order.into_iter().filter_map(|id| cases.remove(&id)).collect()
    }

    fn opened(fact: &CaseFact, number: &str, name: &str) -> Self {
        Self {
            id: fact.case,
            number: number.to_owned(),
            name: name.to_owned(),
            opened: Authored { at: fact.at, by: fact.by_name.clone(), what: fact.by.clone() },
            people: BTreeMap::from([(fact.by.clone(), fact.by_name.clone())]),
            suspects: Vec::new(),
            uploads: Vec::new(),
            notes: Vec::new(),
            clips: Vec::new(),
            closed: None,
        }
    }

    fn take(&mut self, fact: &CaseFact) {
        match &fact.change {
            CaseChange::Open { .. } => {}
            CaseChange::Rename { number, name } => {
                self.number.clone_from(number);
                self.name.clone_from(name);
            }
            CaseChange::AddPerson { cc, name } => {
                self.people.insert(cc.clone(), name.clone());
            }
            CaseChange::RemovePerson { cc } => {
                self.people.remove(cc);
            }
            CaseChange::AddSuspect { suspect } => {
                if !self.suspects.contains(suspect) {
                    self.suspects.push(*suspect);
                }
            }
            CaseChange::RemoveSuspect { suspect } => self.suspects.retain(|s| s != suspect),
            CaseChange::AddUpload { upload, name } => {
                if self.uploads.iter().all(|(id, _)| id != upload) {
                    self.uploads.push((*upload, name.clone()));
                }
            }
            CaseChange::RemoveUpload { upload } => self.uploads.retain(|(id, _)| id != upload),
            CaseChange::Note { text } => self.notes.push(authored(fact, text.clone())),
            CaseChange::HandOut(clip) => self.clips.push(authored(fact, clip.clone())),
            CaseChange::Close { why } => self.closed = Some(authored(fact, why.clone())),
            CaseChange::Reopen { .. } => self.closed = None,
        }
    }

    /// Whether it is for this user: the people who work on it, and administrators.
    pub fn is_for(&self, user: &super::User) -> bool {
        user.is_admin || self.people.contains_key(&user.cc)
    }
}

fn authored<T>(fact: &CaseFact, what: T) -> Authored<T> {
    Authored { at: fact.at, by: fact.by_name.clone(), what }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fact(n: u128, case: u128, at: i64, change: CaseChange) -> CaseFact {
        CaseFact {
            id: Uuid::from_u128(n),
            case: Uuid::from_u128(case),
            at: Timestamp(at),
            by: "1".to_owned(),
            by_name: "Ana".to_owned(),
            change,
        }
    }

    fn open(n: u128, case: u128, at: i64) -> CaseFact {
        fact(n, case, at, CaseChange::Open { number: format!("{case}/26"), name: "Kiosk".to_owned() })
    }

    fn changes() -> impl Strategy<Value = CaseChange> {
        let id = || (0..4_u128).prop_map(Uuid::from_u128);
        prop_oneof![
            "[a-c]".prop_map(|name| CaseChange::Rename { number: "9".to_owned(), name }),
            "[1-3]".prop_map(|cc| CaseChange::AddPerson { name: format!("user {cc}"), cc }),
            "[1-3]".prop_map(|cc| CaseChange::RemovePerson { cc }),
            id().prop_map(|suspect| CaseChange::AddSuspect { suspect }),
            id().prop_map(|suspect| CaseChange::RemoveSuspect { suspect }),
            id().prop_map(|upload| CaseChange::AddUpload { upload, name: "a.mp4".to_owned() }),
            id().prop_map(|upload| CaseChange::RemoveUpload { upload }),
            "[a-z]{3}".prop_map(|text| CaseChange::Note { text }),
            "[a-z]{3}".prop_map(|why| CaseChange::Close { why }),
            "[a-z]{3}".prop_map(|why| CaseChange::Reopen { why }),
        ]
    }

    proptest! {
        /// Two consoles deliver late, twice and in their own order: all come to the same cases.
        #[test]
        fn facts_make_the_same_cases_in_whatever_order_and_however_often_they_come(
            made in prop::collection::vec((1..3_u128, 0..6_i64, changes()), 0..24),
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..80),
        ) {
            let mut facts: Vec<_> = made
                .into_iter()
                .enumerate()
                .map(|(i, (case, at, change))| fact(10 + i as u128, case, at, change))
                .collect();
            facts.extend([open(1, 1, 3), open(2, 2, 5)]);
            let whole = Case::of(&facts);
            let notes: usize = whole.iter().map(|c| c.notes.len()).sum();
            prop_assert_eq!(notes, facts.iter().filter(|f| matches!(f.change, CaseChange::Note { .. })).count());
            let mut shuffled: Vec<_> = order.iter().map(|i| i.get(&facts)).collect();
            shuffled.extend(facts.iter().rev());
            prop_assert_eq!(Case::of(shuffled), whole);
        }
    }

    #[test]
    fn a_case_is_what_was_done_to_it_last() {
        let clip = Clip {
            suspect: Some(Uuid::from_u128(7)),
            package: "a.zip".to_owned(),
            sha256: Hash([7; 32]),
            bytes: 9,
            recipient: "court".to_owned(),
            reason: "trial".to_owned(),
        };
        let facts = [
            open(1, 1, 0),
            fact(2, 1, 1, CaseChange::AddPerson { cc: "2".to_owned(), name: "Rui".to_owned() }),
            fact(3, 1, 2, CaseChange::AddSuspect { suspect: Uuid::from_u128(7) }),
            fact(4, 1, 3, CaseChange::HandOut(clip.clone())),
            fact(5, 1, 4, CaseChange::RemovePerson { cc: "1".to_owned() }),
            fact(6, 1, 5, CaseChange::Close { why: "solved".to_owned() }),
            fact(7, 2, 5, CaseChange::Note { text: "of a case that nobody opened here yet".to_owned() }),
        ];
        let cases = Case::of(&facts);
        let [case] = &cases[..] else { panic!("{cases:?}") };
        assert_eq!((case.number.as_str(), case.opened.what.as_str(), case.suspects.len()), ("1/26", "1", 1));
        assert_eq!(case.people.keys().collect::<Vec<_>>(), ["2"]);
        assert_eq!((&case.clips[0].what, case.closed.as_ref().unwrap().what.as_str()), (&clip, "solved"));
        let again = fact(8, 1, 6, CaseChange::Reopen { why: "a witness".to_owned() });
        assert!(Case::of(facts.iter().chain([&again]))[0].closed.is_none());
        let user = |cc: &str, is_admin| super::super::User {
            cc: cc.to_owned(),
            email: String::new(),
            name: String::new(),
            is_admin,
            active: true,
            version: 1,
        };
        assert!(case.is_for(&user("2", false)) && case.is_for(&user("9", true)) && !case.is_for(&user("1", false)));
    }

    #[test]
    fn facts_read_back_from_json() {
        for change in [
            CaseChange::Open { number: "118/26".to_owned(), name: "Kiosk".to_owned() },
            CaseChange::HandOut(Clip {
                suspect: Some(Uuid::from_u128(7)),
                package: "a.zip".to_owned(),
                sha256: Hash([7; 32]),
                bytes: 9,
                recipient: "court".to_owned(),
                reason: "trial".to_owned(),
            }),
        ] {
            let text = serde_json::to_string(&change).unwrap();
            assert_eq!(serde_json::from_str::<CaseChange>(&text).unwrap(), change);
        }
    }
}
