//! What operators do: the entries of `action_logs`.
use super::Timestamp;
use serde::{Deserialize, Serialize};

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
    /// Registered, edited or deactivated a camera.
    ChangeCamera,
}

impl Action {
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
            Self::ChangeCamera => "CHANGE_CAMERA",
        }
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
            assert_eq!(serde_json::to_value(action).unwrap(), spelling);
        }
    }
}
