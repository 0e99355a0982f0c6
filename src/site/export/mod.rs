//! Taking evidence out of Vigia: every stretch of video in which a suspect appears, with pictures, movement log, audit extract and
//! a signed list, as one package; or a stretch of some cameras' video, without a suspect. What is missing is told before it starts;
//! the package is whole or absent; each attempt is an entry of the log. [`stretches`] says what belongs in it, [`cutting`] fetches
//! and cuts the video, [`annexes`] gathers what goes with it, [`package`] writes it.
mod annexes;
mod cutting;
mod package;
mod stretches;
#[cfg(test)]
mod tests;

use super::{
    SiteError,
    records::{Actor, Records},
};
use crate::{
    evidence::{self, KeyError, Manifest, PackageError, Stop},
    model::{
        Action, CameraId, Case, CaseChange, CaseFact, CaseId, Clip, ClockOffset, Decision, Hash, Outcome, Rights,
        Sighting, Suspect, SuspectId, Timestamp,
    },
    store::{StoreError, file, sqlite::io_error},
    sync::{JournalError, Record},
    video::{BurnError, ClipError},
};
use serde_json::json;
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use uuid::Uuid;

/// Sightings, tracklets and entries that one package may hold.
const MOST: u32 = 100_000;

/// So long after it was given or renewed, the promise of a plan holds.
const PROMISED: Duration = Duration::from_secs(3600);

/// What is handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportOf {
    /// Every stay of a suspect, with pictures, movement log and the entries of the action log.
    Suspect(SuspectId),
    /// A stretch of some cameras' video as it was recorded.
    Stretch {
        /// Of these cameras.
        cameras: Vec<CameraId>,
        /// From when.
        from: Timestamp,
        /// Until when.
        until: Timestamp,
    },
}

impl ExportOf {
    /// What an entry of the log is about: the suspect, or the cameras.
    pub(super) fn target(&self) -> String {
        match self {
            Self::Suspect(suspect) => suspect.to_string(),
            Self::Stretch { cameras, .. } => cameras.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        }
    }
}

/// What is to be handed out, and to whom.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportRequest {
    /// What.
    pub of: ExportOf,
    /// The package: a file that does not exist yet.
    pub to: PathBuf,
    /// Why it is handed out.
    pub reason: String,
    /// To whom.
    pub recipient: String,
    /// The case that it is handed out for, and noted in. The cases of a suspect note it without being named.
    pub case: Option<CaseId>,
    /// Of a suspect: also possible matches that nobody has decided about; rejected ones never.
    pub pending: bool,
    /// Of a suspect: also a copy of each clip with the boxes drawn into it, encoded anew.
    pub burn_in: bool,
    /// Of a suspect: how much more is cut out before and after each stay.
    pub margin: Duration,
}

/// Called with how far it is (`0.0..=1.0`) and what is done now; says whether to go on.
pub type ExportProgress = Arc<dyn Fn(f32, &str) -> bool + Send + Sync>;

/// Video that belongs in a package and does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingVideo {
    /// Of which camera.
    pub camera: CameraId,
    /// Its name.
    pub camera_name: String,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
}

impl From<MissingVideo> for evidence::Missing {
    fn from(m: MissingVideo) -> Self {
        Self {
            camera: m.camera,
            camera_name: m.camera_name,
            from: m.from.into(),
            until: m.until.into(),
            reason: m.reason,
        }
    }
}

/// What an export will hold, told before it starts.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportPlan {
    /// Who; `None` where it is a stretch of video.
    pub suspect: Option<Suspect>,
    /// The suspect's stays, oldest first.
    pub stops: Vec<Sighting>,
    /// Stretches of video that will be cut out.
    pub stretches: usize,
    /// Parts of what is asked for that have no video.
    pub missing: Vec<MissingVideo>,
    /// About how large the package will be, bytes.
    pub bytes: u64,
}

/// A package that was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Exported {
    /// Where.
    pub to: PathBuf,
    /// Bytes.
    pub bytes: u64,
    /// SHA-256 of the file.
    pub sha256: Hash,
    /// The list that was signed.
    pub manifest: Manifest,
    /// What was written down in cases.
    pub told: Vec<CaseFact>,
}

/// Why nothing was exported, in words for the operator.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// There is no such suspect, or not for this user.
    #[error("there is no suspect {0}")]
    NoSuspect(SuspectId),
    /// An export needs a reason.
    #[error("say why this is handed out: an export needs a reason")]
    NoReason,
    /// An export needs a recipient.
    #[error("say to whom this is handed out: an export needs a recipient")]
    NoRecipient,
    /// There is nothing to export.
    #[error(
        "there is nothing to export: no stay of {0} is confirmed; possible matches are left out unless they are asked for"
    )]
    Nothing(String),
    /// More than a package or a table may hold.
    #[error("{0} has more than {MOST} stays, which is more than can be exported at once")]
    TooMany(String),
    /// There is no video of that time.
    #[error("there is no video of these cameras between these instants")]
    NoVideo,
    /// The file exists.
    #[error("{} exists already and was left as it is. Choose another name", .0.display())]
    Exists(PathBuf),
    /// The package cannot be written there.
    #[error("the package cannot be written: {0}")]
    Target(StoreError),
    /// Too little room.
    #[error("the disk of {} has {} MiB free, and the package needs about {} MiB. Free some space, or choose another disk", place.display(), free >> 20, needed >> 20)]
    NoRoom {
        /// Where.
        place: PathBuf,
        /// Free bytes.
        free: u64,
        /// Needed bytes.
        needed: u64,
    },
    /// The site's key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Drawing boxes.
    #[error("the boxes could not be drawn into a clip: {0}")]
    Burn(BurnError),
    /// Writing the package.
    #[error(transparent)]
    Package(PackageError),
    /// Cutting clips.
    #[error("a clip could not be cut: {0}")]
    Clip(ClipError),
    /// A store.
    #[error("the export was broken off, and nothing of it is left: {0}")]
    Store(#[from] StoreError),
    /// The operator broke it off.
    #[error("the export was cancelled; nothing was written")]
    Cancelled,
    /// The log.
    #[error("the export could not be recorded, so the package was removed again: {0}")]
    NotRecorded(JournalError),
    /// The site.
    #[error(transparent)]
    Site(#[from] SiteError),
}

impl From<ClipError> for ExportError {
    fn from(error: ClipError) -> Self {
        if matches!(error, ClipError::Cancelled) { Self::Cancelled } else { Self::Clip(error) }
    }
}

impl From<BurnError> for ExportError {
    fn from(error: BurnError) -> Self {
        if matches!(error, BurnError::Cancelled) { Self::Cancelled } else { Self::Burn(error) }
    }
}

impl ExportError {
    fn outcome(&self) -> Outcome {
        match self {
            Self::NoSuspect(_)
            | Self::NoReason
            | Self::NoRecipient
            | Self::Nothing(_)
            | Self::TooMany(_)
            | Self::NoVideo
            | Self::Exists(_) => Outcome::Refused(self.to_string()),
            _ => Outcome::Failed(self.to_string()),
        }
    }
}

impl Records {
    /// What an export would hold.
    ///
    /// # Errors
    /// [`ExportError`].
    pub async fn plan_export(&self, rights: &Rights, request: &ExportRequest) -> Result<ExportPlan, ExportError> {
        self.delivery.flush().await;
        self.work(rights, request, None).await.map(|work| work.plan)
    }

    /// Like [`plan_export`](Self::plan_export); and what the plan says is there stays there, until the promise is
    /// [over](crate::store::CameraStore::end_promise) or has not been [renewed](Self::keep_promise) for an hour.
    ///
    /// # Errors
    /// [`ExportError`].
    pub(super) async fn plan_and_promise(
        &self,
        rights: &Rights,
        request: &ExportRequest,
        promise: Uuid,
    ) -> Result<ExportPlan, ExportError> {
        self.delivery.flush().await;
        self.work(rights, request, Some(promise)).await.map(|work| work.plan)
    }

    /// What was promised is needed for another hour.
    ///
    /// # Errors
    /// The store's trouble.
    pub(super) async fn keep_promise(&self, promise: Uuid) -> Result<(), StoreError> {
        self.stores.cameras.renew_promise(promise, self.clock.now().plus(PROMISED)).await
    }

    /// What was promised is not needed any more.
    pub(super) async fn end_promise(&self, promise: Uuid) {
        if let Err(error) = self.stores.cameras.end_promise(promise).await {
            tracing::warn!(%error, "the video of a plan stays for up to an hour");
        }
    }

    /// Writes the package, and the entry that says so; `model` is what saw, where the caller knows it better than the log.
    ///
    /// # Errors
    /// [`ExportError`], recorded; nothing of the package is left then.
    pub async fn export_evidence(
        &self,
        who: Actor<'_>,
        rights: &Rights,
        site: &str,
        request: &ExportRequest,
        progress: ExportProgress,
    ) -> Result<Exported, ExportError> {
        self.delivery.flush().await;
        let cases = Case::of(&self.stores.cameras.case_facts().await.unwrap_or_default());
        let promise = Uuid::now_v7();
        let mut done = self.write_evidence(who, rights, site, request, promise, &progress).await;
        self.end_promise(promise).await;
        if let Ok(done) = &mut done {
            done.told = self.hand_outs(who, &cases, request, done);
        }
        let outcome = done.as_ref().map_or_else(ExportError::outcome, |_| Outcome::Succeeded);
        let mut entry = self.entry(who, Action::ExportEvidence, outcome);
        entry.target = Some(request.of.target());
        entry.details = json!({
            "reason": request.reason.trim(), "recipient": request.recipient.trim(), "case_id": request.case,
            "file": request.to.display().to_string(),
            "sha256": done.as_ref().ok().map(|e| e.sha256), "bytes": done.as_ref().ok().map(|e| e.bytes),
            "cameras": done.as_ref().ok().map(|e| e.manifest.cameras.iter().map(|c| c.name.clone()).collect::<Vec<_>>()),
            "clips": done.as_ref().ok().map(|e| e.manifest.clips.len()),
            "missing": done.as_ref().ok().map(|e| e.manifest.missing.len()),
        });
        let what = match &request.of {
            ExportOf::Suspect(suspect) => json!({ "suspect": suspect, "undecided_matches": request.pending }),
            ExportOf::Stretch { cameras, from, until } => {
                json!({ "what": "clip", "camera_ids": cameras, "from": from.to_string(), "until": until.to_string() })
            }
        };
        if let (Some(details), serde_json::Value::Object(what)) = (entry.details.as_object_mut(), what) {
            details.extend(what);
        }
        let mut records = vec![Record::Action(entry)];
        records.extend(done.iter().flat_map(|done| &done.told).cloned().map(Record::CaseFact));
        if let Err(error) = self.journal.append(&records).await {
            if done.is_ok() {
                let _ = fs::remove_file(&request.to); // what is not recorded was not handed out
                return Err(ExportError::NotRecorded(error));
            }
            tracing::error!("an export that failed is not in the log: {error}");
        }
        done
    }

    /// What is known of the camera's own clock at the time of a stay.
    async fn clock_at(&self, stay: &Sighting) -> Result<Option<ClockOffset>, ExportError> {
        let until = stay.left_at.unwrap_or(stay.last_seen_at);
        Ok(self.stores.cameras.clock_offset(stay.camera, stay.entered_at, until).await?)
    }

    /// That this package was handed out, for each case that it belongs to.
    fn hand_outs(&self, who: Actor<'_>, cases: &[Case], request: &ExportRequest, done: &Exported) -> Vec<CaseFact> {
        let package = done.to.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let suspect = match request.of {
            ExportOf::Suspect(suspect) => Some(suspect),
            ExportOf::Stretch { .. } => None,
        };
        let clip = Clip {
            suspect,
            package,
            sha256: done.sha256,
            bytes: done.bytes,
            recipient: request.recipient.trim().to_owned(),
            reason: request.reason.trim().to_owned(),
        };
        let of = cases.iter().filter(|case| {
            request.case == Some(case.id) || suspect.is_some_and(|suspect| case.suspects.contains(&suspect))
        });
        of.map(|case| CaseFact {
            id: Uuid::now_v7(),
            case: case.id,
            at: self.clock.now(),
            by: who.0.to_owned(),
            by_name: who.1.to_owned(),
            change: CaseChange::HandOut(clip.clone()),
        })
        .collect()
    }

    /// Writes the log of a suspect's movement as a table, whole or not at all; returns how many stays are in it.
    ///
    /// # Errors
    /// [`ExportError`], recorded.
    pub async fn export_movement(
        &self,
        who: Actor<'_>,
        rights: &Rights,
        suspect: SuspectId,
        to: &Path,
    ) -> Result<usize, ExportError> {
        self.delivery.flush().await;
        let written = async {
            package::check_target(to, 0)?;
            let cameras = self.stores.cameras.cameras().await?;
            let mut stays = self.stores.cameras.sightings(Some(suspect), MOST + 1).await?;
            if stays.len() > MOST as usize {
                return Err(ExportError::TooMany("this suspect".to_owned()));
            }
            stays.retain(|s| rights.allow(s.camera) && !matches!(s.decision, Decision::Rejected { .. }));
            if stays.is_empty() {
                return Err(ExportError::NoSuspect(suspect));
            }
            stays.sort_by_key(|s| (s.entered_at, s.id));
            let name = |id| cameras.iter().find(|c| c.id == id).map_or("", |c| c.name.as_str());
            let mut stops = Vec::with_capacity(stays.len());
            for stay in &stays {
                stops.push(Stop::new(stay, name(stay.camera), None, self.clock_at(stay).await?));
            }
            let table = evidence::movement_csv(&stops).map_err(|e| ExportError::Target(io_error(to, &e)))?;
            let whole = file::write_whole(file::folder_of(to), to, |file| io::Write::write_all(file, &table));
            whole.map_err(|e| ExportError::Target(io_error(to, &e)))?;
            Ok(stops.len())
        };
        let written = written.await;
        let outcome = written.as_ref().map_or_else(ExportError::outcome, |_| Outcome::Succeeded);
        let mut entry = self.entry(who, Action::ExportEvidence, outcome);
        entry.target = Some(suspect.to_string());
        entry.details = json!({
            "suspect": suspect, "what": "movement log", "file": to.display().to_string(), "stays": written.as_ref().ok(),
        });
        if let Err(error) = self.journal.append(&[Record::Action(entry)]).await {
            if written.is_ok() {
                let _ = fs::remove_file(to);
            }
            return Err(ExportError::NotRecorded(error));
        }
        written
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ExportError> {
    tokio::task::spawn_blocking(work).await.map_err(|e| SiteError::Threads(io::Error::other(e)).into())
}
