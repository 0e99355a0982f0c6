//! What goes with the video of a package: boxes, pictures, the extract of the log, the models that looked, the cameras.
use super::{ExportError, ExportPlan, MOST, stretches::Stretch};
use crate::{
    audit::{Export, Format, export},
    evidence::CameraEntry,
    model::{Action, Camera, CameraId, Case, CaseId, ClockOffset, Rights, Suspect, Timestamp, Tracklet},
    site::{
        SiteError,
        gate::Extract,
        records::{Actor, Records},
    },
    store::{LogFilter, TrackletFilter, key_of_url},
    video,
};
use serde_json::json;
use std::collections::BTreeSet;

/// Entries of the log read at once.
const PAGE: u32 = 1000;

impl Records {
    /// The tracklets that belong to the suspect's stays, and what of them is in the clip.
    pub(super) async fn tracklets(
        &self,
        plan: &ExportPlan,
        clip: &video::Clip,
        camera: CameraId,
    ) -> Result<Vec<Tracklet>, ExportError> {
        let Some(suspect) = &plan.suspect else { return Ok(Vec::new()) };
        let filter = TrackletFilter {
            cameras: Some(vec![camera]),
            from: Some(clip.from),
            until: Some(clip.until),
            limit: MOST,
            ..TrackletFilter::default()
        };
        let mut found = self.stores.cameras.tracklets(&filter).await?;
        found.retain(|t| {
            t.suspect == Some(suspect.id)
                || plan.stops.iter().any(|s| {
                    s.camera == camera
                        && s.track == t.track
                        && t.starts_at <= s.left_at.unwrap_or(s.last_seen_at)
                        && s.entered_at <= t.ends_at
                })
        });
        Ok(found)
    }

    /// A kept picture; `None` where there is none.
    pub(super) async fn picture_bytes(&self, url: &str) -> Result<Option<Vec<u8>>, ExportError> {
        match key_of_url(url) {
            Some(key) => Ok(self.stores.objects.get(key).await?),
            None => Ok(None),
        }
    }

    /// The entries about the suspect, each provable by its place in its console's chain; what tells of anything that the user may
    /// not see is left out.
    pub(super) async fn audit_extract(
        &self,
        who: Actor<'_>,
        rights: &Rights,
        suspect: &Suspect,
        cameras: &[Camera],
    ) -> Result<Vec<u8>, ExportError> {
        let extract = Extract { by: who.0, rights, cameras, cases: self.cases_of(who).await?, suspect };
        let suspect = suspect.id.to_string();
        let mut entries = self.stores.actions.about(&suspect).await?;
        extract.pass(&mut entries);
        let filter = LogFilter { suspect: Some(suspect), ..LogFilter::default() };
        let covers = Export { complete: false, made_at: self.clock.now(), anchors: Vec::new(), filter };
        let written = (|| {
            let mut writer = export::Writer::begin(Vec::new(), Format::Jsonl, &covers)?;
            entries.iter().try_for_each(|entry| writer.entry(entry))?;
            Ok(writer.finish()?.0)
        })();
        Ok(written.map_err(SiteError::Threads)?)
    }

    /// The cases that exist for whoever hands out; `None` where all do: for administrators, and on the command line.
    async fn cases_of(&self, who: Actor<'_>) -> Result<Option<BTreeSet<CaseId>>, ExportError> {
        let Some(user) = self.stores.users.user(who.0).await? else { return Ok(None) };
        if user.is_admin {
            return Ok(None);
        }
        let facts = self.stores.cameras.case_facts().await?;
        Ok(Some(Case::of(&facts).into_iter().filter(|case| case.is_for(&user)).map(|case| case.id).collect()))
    }

    /// The models that looked when the stays were seen, by the log.
    pub(super) async fn models(&self, plan: &ExportPlan) -> Result<String, ExportError> {
        if plan.suspect.is_none() {
            return Ok("none: video as it was recorded".to_owned());
        }
        let first = plan.stops.first().map_or(Timestamp(0), |s| s.entered_at);
        let filter = LogFilter {
            action: Some(Action::StartDetection),
            until: plan.stops.last().map(|s| s.last_seen_at),
            ..LogFilter::default()
        };
        let mut models = BTreeSet::new();
        for entry in self.stores.actions.page(&filter, None, PAGE).await? {
            models.extend(entry.details.get("model").and_then(|m| m.as_str()).map(str::to_owned));
            if entry.timestamp <= first && !models.is_empty() {
                break;
            }
        }
        let known = models.into_iter().collect::<Vec<_>>().join(", ");
        Ok(if known.is_empty() { "not known".to_owned() } else { known })
    }
}

/// The camera as the list names it.
pub(super) fn camera_entry(camera: &Camera, stretches: &[Stretch]) -> CameraEntry {
    let segments = stretches.iter().filter(|s| s.camera == camera.id).flat_map(|s| &s.segments);
    let newest = segments.filter(|s| s.clock_offset.is_some()).max_by_key(|s| s.ends_at);
    CameraEntry {
        id: camera.id,
        name: camera.name.clone(),
        location: camera.location,
        is_virtual: camera.is_virtual,
        clock_offset: newest.and_then(|s| s.clock_offset).map(ClockOffset::seconds),
    }
}

/// The boxes of a clip: for each of the suspect's stays the measured box of every analysed frame, in pixels of frames of the
/// size given, at seconds from the clip's first frame.
pub(super) fn boxes_of(clip: &video::Clip, file: &str, tracklets: &[Tracklet]) -> Vec<u8> {
    let tracks: Vec<_> = tracklets
        .iter()
        .map(|t| {
            let inside = t.path.iter().filter(|(at, _)| *at >= clip.from && *at <= clip.until);
            let boxes: Vec<_> = inside
                .map(|(at, r)| {
                    json!({ "seconds": at.seconds_since(clip.from), "utc": at.to_string(), "x": r.x, "y": r.y, "w": r.w, "h": r.h })
                })
                .collect();
            json!({ "tracklet": t.id, "track": t.track, "frame": t.frame, "boxes": boxes })
        })
        .collect();
    let layer = json!({
        "video": format!("videos/{file}"), "first_frame_utc": clip.from.to_string(), "stored": (clip.width, clip.height),
        "boxes_are_in": "pixels of the picture as it is shown (upright, square pixels), whose width and height is `frame`; `stored` is what \
                         the file holds",
        "tracks": tracks,
    });
    serde_json::to_vec_pretty(&layer).unwrap_or_default()
}
