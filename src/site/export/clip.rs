//! A stretch of some cameras' video as a package: cut at key frames, without a suspect, signed like any other.
use super::{
    ExportError, ExportProgress, Exported, MissingVideo,
    annexes::camera_entry,
    cutting::Watched,
    package::{Scratch, check_target, clip_entry, compact, slug, write_package},
    stretches::{Stretch, missing},
};
use crate::{
    evidence::{Contents, Item, Manifest, Missing, SiteKey, manifest},
    model::{Action, Camera, CameraId, Outcome, Rights, Timestamp},
    site::records::{Actor, Records},
    store::DataFolder,
    sync::Record,
};
use serde_json::json;
use std::{fs, path::PathBuf, sync::Arc};

/// Which video is to be handed out, and to whom.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipRequest {
    /// Of these cameras.
    pub cameras: Vec<CameraId>,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// The package: a file that does not exist yet.
    pub to: PathBuf,
    /// Why it is handed out.
    pub reason: String,
    /// To whom.
    pub recipient: String,
}

/// What a clip will hold, told before it starts.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipPlan {
    /// Cameras of which there is any video.
    pub cameras: usize,
    /// Parts of the time without video.
    pub missing: Vec<MissingVideo>,
    /// About how large the package will be, bytes.
    pub bytes: u64,
}

impl Records {
    /// What a clip would hold of the cameras that the user may see.
    ///
    /// # Errors
    /// [`ExportError`].
    pub async fn plan_clip(&self, rights: &Rights, request: &ClipRequest) -> Result<ClipPlan, ExportError> {
        self.delivery.flush().await;
        self.clip_stretches(rights, request).await.map(|(plan, ..)| plan)
    }

    /// Writes the package, and the entry that says so.
    ///
    /// # Errors
    /// [`ExportError`], recorded; nothing of the package is left then.
    pub async fn export_clip(
        &self,
        who: Actor<'_>,
        rights: &Rights,
        site: &str,
        request: &ClipRequest,
        progress: ExportProgress,
    ) -> Result<Exported, ExportError> {
        self.delivery.flush().await;
        let done = self.write_clip(who, rights, site, request, &progress).await;
        let outcome = done.as_ref().map_or_else(ExportError::outcome, |_| Outcome::Succeeded);
        let mut entry = self.entry(who, Action::ExportEvidence, outcome);
        entry.details = json!({
            "what": "clip", "camera_ids": request.cameras, "from": request.from.to_string(),
            "until": request.until.to_string(), "reason": request.reason.trim(), "recipient": request.recipient.trim(),
            "file": request.to.display().to_string(),
            "cameras": done.as_ref().ok().map(|e| e.manifest.cameras.iter().map(|c| c.name.clone()).collect::<Vec<_>>()),
            "sha256": done.as_ref().ok().map(|e| e.sha256), "bytes": done.as_ref().ok().map(|e| e.bytes),
            "clips": done.as_ref().ok().map(|e| e.manifest.clips.len()),
            "missing": done.as_ref().ok().map(|e| e.manifest.missing.len()),
        });
        if let Err(error) = self.journal.append(&[Record::Action(entry)]).await {
            if done.is_ok() {
                let _ = fs::remove_file(&request.to); // what is not recorded was not handed out
                return Err(ExportError::NotRecorded(error));
            }
            tracing::error!("a clip that failed is not in the log: {error}");
        }
        done
    }

    async fn clip_stretches(
        &self,
        rights: &Rights,
        request: &ClipRequest,
    ) -> Result<(ClipPlan, Vec<Camera>, Vec<Stretch>), ExportError> {
        let store = &self.stores.cameras;
        let cameras = store.cameras().await?;
        let mut stretches = Vec::new();
        for camera in request.cameras.iter().filter(|c| rights.allow(**c)) {
            stretches.push(Stretch {
                camera: *camera,
                from: request.from,
                until: request.until,
                stays: vec![(request.from, request.until)],
                segments: store.segments(Some(&[*camera]), request.from, request.until).await?,
                gaps: store.gaps(Some(&[*camera]), request.from, request.until).await?,
            });
        }
        let with_video = stretches.iter().filter(|s| !s.segments.is_empty()).count();
        if with_video == 0 {
            return Err(ExportError::NoVideo);
        }
        let lacking = stretches.iter().flat_map(|s| {
            let there: Vec<_> = s.segments.iter().map(|s| (s.starts_at, s.ends_at)).collect();
            missing(s, &cameras, &there, None)
        });
        let plan = ClipPlan {
            cameras: with_video,
            missing: lacking.collect(),
            bytes: stretches.iter().map(Stretch::bytes).sum(),
        };
        Ok((plan, cameras, stretches))
    }

    async fn write_clip(
        &self,
        who: Actor<'_>,
        rights: &Rights,
        site: &str,
        request: &ClipRequest,
        progress: &ExportProgress,
    ) -> Result<Exported, ExportError> {
        if request.reason.trim().is_empty() {
            return Err(ExportError::NoReason);
        }
        if request.recipient.trim().is_empty() {
            return Err(ExportError::NoRecipient);
        }
        let (plan, cameras, stretches) = self.clip_stretches(rights, request).await?;
        check_target(&request.to, plan.bytes)?;
        let key = SiteKey::open(&DataFolder::evidence_key_in(&self.data))?;
        let scratch = Scratch::new(&self.data)?;
        let go_on = |fraction: f32, what: &str| {
            if progress(fraction, what) { Ok(()) } else { Err(ExportError::Cancelled) }
        };
        let (mut items, mut clips, mut lacking) = (Vec::new(), Vec::new(), Vec::new());
        for (number, stretch) in (1..).zip(&stretches) {
            let camera = cameras.iter().find(|c| c.id == stretch.camera);
            let name = camera.map_or_else(|| stretch.camera.to_string(), |c| c.name.clone());
            let fraction = 0.8 * (number - 1) as f32 / stretches.len() as f32;
            go_on(fraction, &format!("Video of {name}"))?;
            let watched = Watched { progress: Arc::clone(progress), fraction };
            let stem = format!("{number:03}-{}-{}", slug(&name), compact(stretch.from));
            let (cut, notes) = self.cut(stretch, scratch.folder(), &stem, &watched).await?;
            let there: Vec<_> = cut.iter().map(|c| (c.from, c.until)).collect();
            let why = (!notes.is_empty()).then(|| notes.iter().map(|(_, n)| n.as_str()).collect::<Vec<_>>().join("; "));
            lacking.extend(missing(stretch, &cameras, &there, why.as_deref()));
            for clip in cut {
                let file = clip.path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
                clips.push(clip_entry(&clip, &file, stretch, &notes));
                items.push(Item::File(format!("videos/{file}"), clip.path));
            }
        }
        let shown = |camera: &&Camera| stretches.iter().any(|s| s.camera == camera.id);
        let manifest = Manifest {
            vigia_evidence: manifest::VERSION,
            program: concat!("Vigia ", env!("CARGO_PKG_VERSION")).to_owned(),
            site: site.to_owned(),
            made_at: self.clock.now().into(),
            suspect: None,
            reason: request.reason.trim().to_owned(),
            recipient: request.recipient.trim().to_owned(),
            exported_by: (who.0.to_owned(), who.1.to_owned()),
            model: "none: video as it was recorded".to_owned(),
            cameras: cameras.iter().filter(shown).map(|c| camera_entry(c, &stretches)).collect(),
            stops: Vec::new(),
            clips,
            missing: lacking.into_iter().map(Missing::from).collect(),
            files: Vec::new(),
            key: String::new(),
        };
        let written = write_package(Contents { manifest, items }, key, &request.to, Arc::clone(progress)).await;
        drop(scratch);
        written
    }
}
