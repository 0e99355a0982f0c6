//! What operators do: the entries of `action_logs`.
use super::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use uuid::Uuid;

/// What was done. The first six keep the users' spelling; later ones were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Action {
    /// Logged in, or tried to.
    Login,
    /// Uploaded a video.
    UploadVideo,
    /// Started detection on a camera or a video.
    StartDetection,
    /// Logged out.
    Logout,
    /// Read the action log; `log_accessed` names the newest entry that was read.
    AccessLogs,
    /// Marked a person as a suspect.
    SelectSuspect,
    /// Confirmed or rejected a possible match.
    DecideMatch,
    /// Ended a suspect's follow before it expired.
    EndSuspect,
    /// Registered a user.
    CreateUser,
    /// Changed name, e-mail address or administrator's rights of a user.
    EditUser,
    /// Deactivated a user, whose sessions end at once.
    DeactivateUser,
    /// Reactivated a user.
    ReactivateUser,
    /// Gave a user a new password.
    ChangePassword,
    /// Changed which cameras a user may see.
    ChangeRights,
    /// Registered, edited or deactivated a camera.
    ChangeCamera,
    /// Connected to an address to see what it shows.
    TestCamera,
    /// Took entries of the action log out of Vigia.
    ExportLog,
    /// Looked at recorded video.
    WatchRecording,
    /// Searched recorded people for somebody who looks alike.
    FindPerson,
    /// Took video and pictures of a suspect out of Vigia.
    ExportEvidence,
    /// Put data on legal hold, or released it.
    HoldEvidence,
    /// Deleted data that was kept long enough.
    DeleteData,
    /// Opened, changed, handed over or closed a case.
    ChangeCase,
    /// Put a bookmark, or removed one.
    ChangeBookmark,
    /// Changed what is noted about a suspect.
    EditSuspect,
    /// Looked at the whole movement of a suspect.
    ReadMovement,
    /// Compared the stores with each other, or repaired what is derivable.
    CheckStores,
    /// Copied a site to other stores.
    MigrateSite,
    /// Offered records to a store again that it had refused.
    RetryRecords,
    /// Began a new chain of entries, because the log holds more of the old one than this console knows of; `details` say where
    /// the old one ended.
    BeginChain,
    /// Fitted the curve from likeness to probability to what was confirmed and rejected at this site, or tried to.
    Calibrate,
    /// Noticed that this console's clock was set, or that it disagrees with other clocks or agrees with them again; `details` say
    /// what and by how much.
    NoticeClock,
    /// A part of the console failed, was silent, or works again.
    NoticeFailure,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 33] = [
        Self::Login,
        Self::UploadVideo,
        Self::StartDetection,
        Self::Logout,
        Self::AccessLogs,
        Self::SelectSuspect,
        Self::DecideMatch,
        Self::EndSuspect,
        Self::CreateUser,
        Self::EditUser,
        Self::DeactivateUser,
        Self::ReactivateUser,
        Self::ChangePassword,
        Self::ChangeRights,
        Self::ChangeCamera,
        Self::TestCamera,
        Self::ExportLog,
        Self::WatchRecording,
        Self::FindPerson,
        Self::ExportEvidence,
        Self::HoldEvidence,
        Self::DeleteData,
        Self::ChangeCase,
        Self::ChangeBookmark,
        Self::EditSuspect,
        Self::ReadMovement,
        Self::CheckStores,
        Self::MigrateSite,
        Self::RetryRecords,
        Self::BeginChain,
        Self::Calibrate,
        Self::NoticeClock,
        Self::NoticeFailure,
    ];

    /// The action with this spelling.
    pub fn parse(spelling: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == spelling)
    }

    /// The spelling in the log: `LOGIN`, `SELECT_SUSPECT`, …
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Login => "LOGIN",
            Self::UploadVideo => "UPLOAD_VIDEO",
            Self::StartDetection => "START_DETECTION",
            Self::Logout => "LOGOUT",
            Self::AccessLogs => "ACCESS_LOGS",
            Self::SelectSuspect => "SELECT_SUSPECT",
            Self::DecideMatch => "DECIDE_MATCH",
            Self::EndSuspect => "END_SUSPECT",
            Self::CreateUser => "CREATE_USER",
            Self::EditUser => "EDIT_USER",
            Self::DeactivateUser => "DEACTIVATE_USER",
            Self::ReactivateUser => "REACTIVATE_USER",
            Self::ChangePassword => "CHANGE_PASSWORD",
            Self::ChangeRights => "CHANGE_RIGHTS",
            Self::ChangeCamera => "CHANGE_CAMERA",
            Self::TestCamera => "TEST_CAMERA",
            Self::ExportLog => "EXPORT_LOG",
            Self::WatchRecording => "WATCH_RECORDING",
            Self::FindPerson => "FIND_PERSON",
            Self::ExportEvidence => "EXPORT_EVIDENCE",
            Self::HoldEvidence => "HOLD_EVIDENCE",
            Self::DeleteData => "DELETE_DATA",
            Self::ChangeCase => "CHANGE_CASE",
            Self::ChangeBookmark => "CHANGE_BOOKMARK",
            Self::EditSuspect => "EDIT_SUSPECT",
            Self::ReadMovement => "READ_MOVEMENT",
            Self::CheckStores => "CHECK_STORES",
            Self::MigrateSite => "MIGRATE_SITE",
            Self::RetryRecords => "RETRY_RECORDS",
            Self::BeginChain => "BEGIN_CHAIN",
            Self::Calibrate => "CALIBRATE",
            Self::NoticeClock => "NOTICE_CLOCK",
            Self::NoticeFailure => "NOTICE_FAILURE",
        }
    }
}

/// The three ways in which an action can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutcomeKind {
    /// See [`Outcome::Succeeded`].
    Succeeded,
    /// See [`Outcome::Refused`].
    Refused,
    /// See [`Outcome::Failed`].
    Failed,
}

impl OutcomeKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Succeeded, Self::Refused, Self::Failed];

    /// The word in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }

    /// What [`as_str`](Self::as_str) gave.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// How an action ended: written after it ran, so that a failed action never looks like a successful one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "outcome", content = "why")]
pub enum Outcome {
    /// It was done.
    Succeeded,
    /// The rules said no (wrong password, missing right).
    Refused(String),
    /// It was allowed and went wrong.
    Failed(String),
}

impl Outcome {
    /// Which of the three it is.
    pub fn kind(&self) -> OutcomeKind {
        match self {
            Self::Succeeded => OutcomeKind::Succeeded,
            Self::Refused(_) => OutcomeKind::Refused,
            Self::Failed(_) => OutcomeKind::Failed,
        }
    }

    /// The word for it, as it is stored, and why.
    pub fn parts(&self) -> (&'static str, Option<&str>) {
        let why = match self {
            Self::Succeeded => None,
            Self::Refused(why) | Self::Failed(why) => Some(why.as_str()),
        };
        (self.kind().as_str(), why)
    }

    /// The outcome with these [`parts`](Self::parts); `None` for another word.
    pub fn of_parts(word: &str, why: String) -> Option<Self> {
        Some(match OutcomeKind::parse(word)? {
            OutcomeKind::Succeeded => Self::Succeeded,
            OutcomeKind::Refused => Self::Refused(why),
            OutcomeKind::Failed => Self::Failed(why),
        })
    }
}

/// One entry of the action log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActionRecord {
    /// Integer identity: unique over all consoles, increasing on each of them.
    pub log_id: i64,
    /// Who: `users.cc`, or what was typed where no such user exists.
    pub user_cc: String,
    /// Full name at the time; empty where no such user exists.
    pub user_name: String,
    /// What.
    pub action: Action,
    /// Only for [`Action::AccessLogs`]: the `log_id` that was read.
    pub log_accessed: Option<i64>,
    /// When, UTC.
    pub timestamp: Timestamp,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// On what: a suspect, a camera, a sighting.
    pub target: Option<String>,
    /// What else is known.
    pub details: serde_json::Value,
    /// Its place in the chain of its console; given when the journal accepts the entry. `None` before that, and in entries
    /// from before there was a chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<Link>,
}

impl ActionRecord {
    /// Whether both say the same, wherever they stand in a chain.
    pub fn says_the_same(&self, other: &Self) -> bool {
        Self { link: None, ..self.clone() } == Self { link: None, ..other.clone() }
    }

    /// The camera the entry is about: its id where it is told, else its name.
    pub fn camera(&self) -> Option<&str> {
        ["camera_id", "camera"].into_iter().find_map(|key| self.details.get(key)?.as_str())
    }

    /// The suspect the entry is about.
    pub fn suspect(&self) -> Option<&str> {
        match self.action {
            Action::SelectSuspect | Action::EndSuspect | Action::EditSuspect => self.target.as_deref(),
            _ => self.details.get("suspect")?.as_str(),
        }
    }
}

/// An entry as it lies in the store, whole or not.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptAction {
    /// Its number, as far as it can be read.
    pub log_id: Option<i64>,
    /// Whose chain it stands in, as far as that can be read.
    pub console: Option<Uuid>,
    /// Its place there.
    pub seq: Option<i64>,
    /// The entry, or why it cannot be read.
    pub entry: Result<ActionRecord, String>,
    /// A column or field beside the entry (one that is only searched by) that says something else than the entry.
    pub misfiled: Option<String>,
}

/// The place of an entry in the chain of the console that wrote it (see `audit::chain`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Which console's chain.
    pub console: Uuid,
    /// 1, 2, 3, … without gaps.
    pub seq: i64,
    /// Hash of the entry before; [`Hash::NONE`] for the first.
    pub prev: Hash,
    /// Hash of this entry with everything in it.
    pub hash: Hash,
}

/// A SHA-256, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// Stands before the first entry of a chain.
    pub const NONE: Self = Self([0; 32]);

    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("a hash is 64 hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_six_given_actions_keep_their_spelling() {
        for (action, spelling) in [
            (Action::Login, "LOGIN"),
            (Action::UploadVideo, "UPLOAD_VIDEO"),
            (Action::StartDetection, "START_DETECTION"),
            (Action::Logout, "LOGOUT"),
            (Action::AccessLogs, "ACCESS_LOGS"),
            (Action::SelectSuspect, "SELECT_SUSPECT"),
        ] {
            assert_eq!(action.as_str(), spelling);
            assert_eq!(Action::parse(spelling), Some(action));
        }
        for action in Action::ALL {
            assert_eq!(serde_json::to_value(action).unwrap(), action.as_str());
        }
    }
}
