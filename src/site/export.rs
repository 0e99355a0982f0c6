//! Taking evidence out of Vigia: every stretch of video in which a suspect appears, with pictures, movement log, audit extract and
//! a signed list, as one package. What is missing is told before it starts; the package is whole or absent; each attempt is an
//! entry of the log.
use super::{
    SiteError,
    records::{Actor, Records},
};
use crate::{
    audit::{Export, Format, export},
    evidence::{
        self, CameraEntry, ClipEntry, Contents, Item, KeyError, Manifest, Missing, PackageError, SiteKey, Stop,
        manifest,
    },
    model::{
        Action, Camera, CameraId, Decision, Gap, Hash, Outcome, Rights, Segment, Sighting, Suspect, SuspectId,
        Timestamp, Tracklet,
    },
    store::{DataFolder, LogFilter, StoreError, TrackletFilter, file, key_of_url, sqlite::io_error},
    sync::{JournalError, Record},
    video::{self, BoxTrack, BurnError, ClipError, Piece},
    vision::sha256_of,
};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use uuid::Uuid;

/// Video is missing where there is none for longer than this, microseconds: recorders leave a moment between two files.
const TOLERATED: i64 = 500_000;
/// Sightings, tracklets and entries that one package may hold.
const MOST: u32 = 100_000;
/// Entries of the log read at once.
const PAGE: u32 = 1000;

/// What is to be handed out, and to whom.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportRequest {
    /// Who.
    pub suspect: SuspectId,
    /// The package: a file that does not exist yet.
    pub to: PathBuf,
    /// Why it is handed out.
    pub reason: String,
    /// To whom.
    pub recipient: String,
    /// Also possible matches that nobody has decided about; rejected ones never.
    pub pending: bool,
    /// Also a copy of each clip with the boxes drawn into it, encoded anew.
    pub burn_in: bool,
    /// How much more is cut out before and after each stay.
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

/// What an export will hold, told before it starts.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportPlan {
    /// Who.
    pub suspect: Suspect,
    /// The stays, oldest first.
    pub stops: Vec<Sighting>,
    /// Stretches of video that will be cut out.
    pub stretches: usize,
    /// Stays, or parts of them, without video.
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
    Burn(#[from] BurnError),
    /// Writing the package.
    #[error(transparent)]
    Package(PackageError),
    /// Cutting clips.
    #[error("a clip could not be cut: {0}")]
    Clip(#[from] ClipError),
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

impl ExportError {
    fn outcome(&self) -> Outcome {
        match self {
            Self::NoSuspect(_) | Self::NoReason | Self::NoRecipient | Self::Nothing(_) | Self::Exists(_) => {
                Outcome::Refused(self.to_string())
            }
            _ => Outcome::Failed(self.to_string()),
        }
    }
}

/// A stretch of one camera's video that goes into the package.
struct Stretch {
    camera: CameraId,
    from: Timestamp,
    until: Timestamp,
    /// The stays in it, without margins.
    stays: Vec<(Timestamp, Timestamp)>,
    segments: Vec<Segment>,
    gaps: Vec<Gap>,
}

struct Work {
    plan: ExportPlan,
    cameras: Vec<Camera>,
    stretches: Vec<Stretch>,
}

impl Records {
    /// What an export would hold.
    ///
    /// # Errors
    /// [`ExportError`].
    pub async fn plan_export(&self, rights: &Rights, request: &ExportRequest) -> Result<ExportPlan, ExportError> {
        self.delivery.flush().await;
        self.work(rights, request).await.map(|work| work.plan)
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
        let done = self.write_evidence(who, rights, site, request, &progress).await;
        let outcome = done.as_ref().map_or_else(ExportError::outcome, |_| Outcome::Succeeded);
        let mut entry = self.entry(who, Action::ExportEvidence, outcome);
        entry.target = Some(request.suspect.to_string());
        entry.details = json!({
            "suspect": request.suspect, "reason": request.reason.trim(), "recipient": request.recipient.trim(),
            "file": request.to.display().to_string(), "undecided_matches": request.pending,
            "sha256": done.as_ref().ok().map(|e| e.sha256), "bytes": done.as_ref().ok().map(|e| e.bytes),
            "clips": done.as_ref().ok().map(|e| e.manifest.clips.len()),
            "missing": done.as_ref().ok().map(|e| e.manifest.missing.len()),
        });
        if let Err(error) = self.journal.append(&[Record::Action(entry)]).await {
            if done.is_ok() {
                let _ = fs::remove_file(&request.to); // what is not recorded was not handed out
                return Err(ExportError::NotRecorded(error));
            }
            tracing::error!("an export that failed is not in the log: {error}");
        }
        done
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
            check_target(to, 0)?;
            let cameras = self.stores.cameras.cameras().await?;
            let mut stays = self.stores.cameras.sightings(Some(suspect), MOST).await?;
            stays.retain(|s| rights.allow(s.camera) && !matches!(s.decision, Decision::Rejected { .. }));
            if stays.is_empty() {
                return Err(ExportError::NoSuspect(suspect));
            }
            stays.sort_by_key(|s| (s.entered_at, s.id));
            let name = |id| cameras.iter().find(|c| c.id == id).map_or("", |c| c.name.as_str());
            let stops: Vec<_> = stays.iter().map(|s| Stop::new(s, name(s.camera), None)).collect();
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

    async fn work(&self, rights: &Rights, request: &ExportRequest) -> Result<Work, ExportError> {
        let store = &self.stores.cameras;
        let unknown = || ExportError::NoSuspect(request.suspect);
        let suspect = store.suspects().await?.into_iter().find(|s| s.id == request.suspect).ok_or_else(unknown)?;
        let mut stops = store.sightings(Some(suspect.id), MOST).await?;
        stops.retain(|s| rights.allow(s.camera));
        if stops.is_empty() && !rights.allow(suspect.camera) {
            return Err(unknown());
        }
        stops.retain(|s| match s.decision {
            Decision::Origin | Decision::Confirmed { .. } => true,
            Decision::Pending => request.pending,
            Decision::Rejected { .. } => false,
        });
        stops.sort_by_key(|s| (s.entered_at, s.id));
        if stops.is_empty() {
            return Err(ExportError::Nothing(suspect.label));
        }
        let cameras = store.cameras().await?;
        let mut stretches = stretches(&stops, request.margin);
        for stretch in &mut stretches {
            let of = [stretch.camera];
            stretch.segments = store.segments(Some(&of), stretch.from, stretch.until).await?;
            stretch.gaps = store.gaps(Some(&of), stretch.from, stretch.until).await?;
        }
        let missing = stretches
            .iter()
            .flat_map(|s| {
                let there: Vec<_> = s.segments.iter().map(|s| (s.starts_at, s.ends_at)).collect();
                missing(s, &cameras, &there, None)
            })
            .collect();
        let bytes = stretches.iter().map(Stretch::bytes).sum();
        let with_video = stretches.iter().filter(|s| !s.segments.is_empty()).count();
        Ok(Work { plan: ExportPlan { suspect, stops, stretches: with_video, missing, bytes }, cameras, stretches })
    }

    async fn write_evidence(
        &self,
        who: Actor<'_>,
        rights: &Rights,
        site: &str,
        request: &ExportRequest,
        progress: &ExportProgress,
    ) -> Result<Exported, ExportError> {
        if request.reason.trim().is_empty() {
            return Err(ExportError::NoReason);
        }
        if request.recipient.trim().is_empty() {
            return Err(ExportError::NoRecipient);
        }
        let Work { plan, cameras, stretches } = self.work(rights, request).await?;
        check_target(&request.to, plan.bytes)?;
        let key = SiteKey::open(&DataFolder::evidence_key_in(&self.data))?;
        let scratch = Scratch::new(&self.data)?;
        let go_on = |fraction: f32, what: &str| {
            if progress(fraction, what) { Ok(()) } else { Err(ExportError::Cancelled) }
        };
        let mut items = Vec::new();
        let (mut clips, mut lacking) = (Vec::new(), Vec::new());
        for (number, stretch) in (1..).zip(&stretches) {
            let camera = cameras.iter().find(|c| c.id == stretch.camera);
            let name = camera.map_or_else(|| stretch.camera.to_string(), |c| c.name.clone());
            let fraction = 0.8 * (number - 1) as f32 / stretches.len() as f32;
            go_on(fraction, &format!("Video of {name}, {}", stretch.from.local_date_time()))?;
            let stem = format!("{number:03}-{}-{}", slug(&name), compact(stretch.from));
            let (cut, notes) = self.cut(stretch, &scratch.0, &stem, &|| go_on(fraction, "")).await?;
            let there: Vec<_> = cut.iter().map(|c| (c.from, c.until)).collect();
            let why = (!notes.is_empty()).then(|| notes.iter().map(|(_, n)| n.as_str()).collect::<Vec<_>>().join("; "));
            lacking.extend(missing(stretch, &cameras, &there, why.as_deref()));
            for clip in cut {
                let file = clip.path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
                let tracklets = self.tracklets(&plan, &clip, stretch.camera).await?;
                let boxes = (!tracklets.is_empty()).then(|| format!("boxes/{}.json", file.replace('.', "-")));
                if let Some(boxes) = &boxes {
                    items.push(Item::Bytes(boxes.clone(), boxes_of(&clip, &file, &tracklets)));
                }
                let burnt_in = match boxes.is_some() && request.burn_in {
                    true => Some(burn(&clip, &tracklets, plan.suspect.colour, &mut items).await?),
                    false => None,
                };
                let noted = notes.iter().filter(|(place, _)| clip.pieces.contains(place)).map(|(_, n)| n.as_str());
                let note = noted.collect::<Vec<_>>().join("; ");
                let cut_from = clip.pieces.iter().filter_map(|p| Hash::parse(&stretch.segments.get(*p)?.sha256));
                clips.push(ClipEntry {
                    file: format!("videos/{file}"),
                    boxes,
                    burnt_in,
                    camera: stretch.camera,
                    from: clip.from.into(),
                    until: clip.until.into(),
                    codec: clip.codec.clone(),
                    width: clip.width,
                    height: clip.height,
                    cut_from: cut_from.collect(),
                    note: (!note.is_empty()).then_some(note),
                });
                items.push(Item::File(format!("videos/{file}"), clip.path));
            }
        }
        go_on(0.8, "Pictures and log")?;
        let mut stops = Vec::new();
        for sighting in &plan.stops {
            let name = cameras.iter().find(|c| c.id == sighting.camera).map_or("", |c| &c.name);
            let file = format!("crops/{}.jpg", sighting.id);
            let crop = self.picture_bytes(&sighting.crop_url).await?;
            stops.push(Stop::new(sighting, name, crop.is_some().then(|| file.clone())));
            items.extend(crop.map(|bytes| Item::Bytes(file, bytes)));
        }
        if rights.allow(plan.suspect.camera)
            && let Some(bytes) = self.picture_bytes(&plan.suspect.crop_url).await?
        {
            items.push(Item::Bytes("crops/suspect.jpg".to_owned(), bytes));
        }
        items.push(Item::Bytes("audit.jsonl".to_owned(), self.audit_extract(&plan, rights, &cameras).await?));
        let shown: BTreeSet<CameraId> = plan.stops.iter().map(|s| s.camera).collect();
        let manifest = Manifest {
            vigia_evidence: manifest::VERSION,
            program: concat!("Vigia ", env!("CARGO_PKG_VERSION")).to_owned(),
            site: site.to_owned(),
            made_at: self.clock.now().into(),
            suspect: (&plan.suspect).into(),
            reason: request.reason.trim().to_owned(),
            recipient: request.recipient.trim().to_owned(),
            exported_by: (who.0.to_owned(), who.1.to_owned()),
            model: self.models(&plan).await?,
            cameras: cameras.iter().filter(|c| shown.contains(&c.id)).map(camera_entry).collect(),
            stops,
            clips,
            missing: lacking
                .into_iter()
                .map(|m| Missing {
                    camera: m.camera,
                    camera_name: m.camera_name,
                    from: m.from.into(),
                    until: m.until.into(),
                    reason: m.reason,
                })
                .collect(),
            files: Vec::new(),
            key: String::new(),
        };
        let written = write_package(Contents { manifest, items }, key, &request.to, Arc::clone(progress)).await;
        drop(scratch);
        written
    }

    /// Fetches the files of a stretch and cuts it out of them; what is wrong with a file is noted by its place.
    async fn cut(
        &self,
        stretch: &Stretch,
        scratch: &Path,
        stem: &str,
        go_on: &(dyn Fn() -> Result<(), ExportError> + Send + Sync),
    ) -> Result<(Vec<video::Clip>, Vec<(usize, String)>), ExportError> {
        let mut pieces = Vec::new();
        let mut notes = Vec::new();
        for (place, segment) in stretch.segments.iter().enumerate() {
            go_on()?;
            let path = scratch.join(format!("segment-{place}"));
            let there = match key_of_url(&segment.video_url) {
                Some(key) => self.stores.objects.get_to_file(key, &path).await?,
                None => false,
            };
            if !there {
                notes.push((place, format!("the recorded file of {} is gone", segment.starts_at)));
            } else if hash_of(&path).await? != segment.sha256 {
                notes.push((
                    place,
                    format!("the recorded file of {} is not the one that was recorded", segment.starts_at),
                ));
            }
            pieces.push(Piece { path, starts_at: segment.starts_at });
        }
        let (folder, stem) = (scratch.to_owned(), stem.to_owned());
        let (from, until) = (stretch.from, stretch.until);
        let cut = blocking(move || {
            let cut = video::cut(&pieces, from, until, &folder, &stem);
            for piece in &pieces {
                let _ = fs::remove_file(&piece.path);
            }
            cut
        })
        .await??;
        let gone: BTreeSet<usize> = notes.iter().map(|(place, _)| *place).collect();
        notes.extend(cut.notes.into_iter().filter(|(place, _)| !gone.contains(place)).map(|(place, note)| {
            let starts = stretch.segments.get(place).map_or(stretch.from, |s| s.starts_at);
            (place, format!("the recorded file of {starts} is {note}"))
        }));
        Ok((cut.clips, notes))
    }

    /// The tracklets that belong to the suspect's stays, and what of them is in the clip.
    async fn tracklets(
        &self,
        plan: &ExportPlan,
        clip: &video::Clip,
        camera: CameraId,
    ) -> Result<Vec<Tracklet>, ExportError> {
        let filter = TrackletFilter {
            cameras: Some(vec![camera]),
            from: Some(clip.from),
            until: Some(clip.until),
            limit: MOST,
            ..TrackletFilter::default()
        };
        let mut found = self.stores.cameras.tracklets(&filter).await?;
        found.retain(|t| {
            t.suspect == Some(plan.suspect.id)
                || plan.stops.iter().any(|s| {
                    s.camera == camera
                        && s.track == t.track
                        && t.starts_at <= s.left_at.unwrap_or(s.last_seen_at)
                        && s.entered_at <= t.ends_at
                })
        });
        Ok(found)
    }

    async fn picture_bytes(&self, url: &str) -> Result<Option<Vec<u8>>, ExportError> {
        match key_of_url(url) {
            Some(key) => Ok(self.stores.objects.get(key).await?),
            None => Ok(None),
        }
    }

    /// The entries about the suspect, each provable by its place in its console's chain; those about cameras that the user may
    /// not see are left out.
    async fn audit_extract(
        &self,
        plan: &ExportPlan,
        rights: &Rights,
        cameras: &[Camera],
    ) -> Result<Vec<u8>, ExportError> {
        let suspect = plan.suspect.id.to_string();
        let mut entries = self.stores.actions.about(&suspect).await?;
        let hidden =
            |named: &str| cameras.iter().any(|c| !rights.allow(c.id) && (c.id.to_string() == named || c.name == named));
        entries.retain(|e| !e.camera().is_some_and(hidden));
        let filter = LogFilter { suspect: Some(suspect), ..LogFilter::default() };
        let covers = Export { complete: false, made_at: self.clock.now(), anchors: Vec::new(), filter };
        let written = (|| {
            let mut writer = export::Writer::begin(Vec::new(), Format::Jsonl, &covers)?;
            entries.iter().try_for_each(|entry| writer.entry(entry))?;
            Ok(writer.finish()?.0)
        })();
        Ok(written.map_err(SiteError::Threads)?)
    }

    /// The models that looked when the stays were seen, by the log.
    async fn models(&self, plan: &ExportPlan) -> Result<String, ExportError> {
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

impl Stretch {
    /// About how many bytes of the segments are within the stretch.
    fn bytes(&self) -> u64 {
        let part = |s: &Segment| {
            let whole = (s.ends_at.0 - s.starts_at.0).max(1) as f64;
            let inside = (s.ends_at.min(self.until).0 - s.starts_at.max(self.from).0).max(0) as f64;
            (s.size as f64 * inside / whole) as u64
        };
        self.segments.iter().map(part).sum()
    }
}

/// The stays with their margins, those of one camera that touch made one; ordered by time.
fn stretches(stops: &[Sighting], margin: Duration) -> Vec<Stretch> {
    let mut by_camera: BTreeMap<CameraId, Vec<Stretch>> = BTreeMap::new();
    for stop in stops {
        let (from, until) = (stop.entered_at, stop.left_at.unwrap_or(stop.last_seen_at).max(stop.entered_at));
        let of = by_camera.entry(stop.camera).or_default();
        match of.last_mut().filter(|last| from.minus(margin) <= last.until) {
            Some(last) => {
                last.until = last.until.max(until.plus(margin));
                last.stays.push((from, until));
            }
            None => of.push(Stretch {
                camera: stop.camera,
                from: from.minus(margin),
                until: until.plus(margin),
                stays: vec![(from, until)],
                segments: Vec::new(),
                gaps: Vec::new(),
            }),
        }
    }
    let mut all: Vec<_> = by_camera.into_values().flatten().collect();
    all.sort_by_key(|s| (s.from, s.camera));
    all
}

/// The parts of the stays that are in none of `there`. `why` is told where it is known; else what the recorder noted.
fn missing(
    stretch: &Stretch,
    cameras: &[Camera],
    there: &[(Timestamp, Timestamp)],
    why: Option<&str>,
) -> Vec<MissingVideo> {
    let mut there = there.to_vec();
    there.sort_unstable();
    let camera_name =
        cameras.iter().find(|c| c.id == stretch.camera).map_or_else(|| stretch.camera.to_string(), |c| c.name.clone());
    let mut found: Vec<MissingVideo> = Vec::new();
    for (from, until) in &stretch.stays {
        let mut holes = Vec::new();
        let mut at = *from;
        for (start, end) in there.iter().filter(|(start, end)| end > from && start <= until) {
            if *start > at {
                holes.push((at, *start));
            }
            at = at.max(*end);
        }
        if at < *until || (there.is_empty() && from == until) {
            holes.push((at, *until));
        }
        let none = there.iter().all(|(start, end)| end <= from || start > until);
        for (from, until) in holes.into_iter().filter(|(from, until)| none || until.0 - from.0 > TOLERATED) {
            let noted = || {
                let gap = stretch.gaps.iter().find(|g| g.from < until && g.until.is_none_or(|end| end > from));
                gap.map_or_else(|| "no video was recorded".to_owned(), |g| g.reason.clone())
            };
            let reason = why.map_or_else(noted, str::to_owned);
            found.push(MissingVideo { camera: stretch.camera, camera_name: camera_name.clone(), from, until, reason });
        }
    }
    found
}

fn camera_entry(camera: &Camera) -> CameraEntry {
    CameraEntry {
        id: camera.id,
        name: camera.name.clone(),
        location: camera.location,
        is_virtual: camera.is_virtual,
        clock_offset: None, // frames are stamped by the site's clock when they come in; the camera's own is not asked
    }
}

/// The boxes of a clip: for each of the suspect's stays the measured box of every analysed frame, in pixels of frames of the
/// size given, at seconds from the clip's first frame.
fn boxes_of(clip: &video::Clip, file: &str, tracklets: &[Tracklet]) -> Vec<u8> {
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
    let layer =
        json!({ "video": format!("videos/{file}"), "first_frame_utc": clip.from.to_string(), "tracks": tracks });
    serde_json::to_vec_pretty(&layer).unwrap_or_default()
}

/// Makes the copy of a clip with the boxes drawn; returns its name in the package.
async fn burn(
    clip: &video::Clip,
    tracklets: &[Tracklet],
    colour: [u8; 3],
    items: &mut Vec<Item>,
) -> Result<String, ExportError> {
    let stem = clip.path.file_stem().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let drawn = clip.path.with_file_name(format!("{stem}-boxes.mp4"));
    let track = |t: &Tracklet| BoxTrack { frame: t.frame, path: t.path.clone(), colour };
    let tracks = tracklets.iter().map(track).collect();
    let (from, input, output) = (clip.from, clip.path.clone(), drawn.clone());
    blocking(move || video::burn(&input, from, tracks, &output)).await??;
    let name = format!("videos/{stem}-boxes.mp4");
    items.push(Item::File(name.clone(), drawn));
    Ok(name)
}

/// A place that can be written, with room, where nothing is yet.
fn check_target(to: &Path, bytes: u64) -> Result<(), ExportError> {
    if fs::symlink_metadata(to).is_ok() {
        return Err(ExportError::Exists(to.to_owned()));
    }
    let folder = file::folder_of(to);
    let probe = folder.join(format!(".{}", Uuid::new_v4()));
    let tried = fs::File::options().write(true).create_new(true).open(&probe);
    let _ = fs::remove_file(&probe);
    tried.map_err(|e| ExportError::Target(io_error(folder, &e)))?;
    let needed = bytes + bytes / 20 + (8 << 20);
    match fs4::available_space(folder) {
        Ok(free) if free < needed => Err(ExportError::NoRoom { place: folder.to_owned(), free, needed }),
        _ => Ok(()), // where the system does not say, writing will
    }
}

async fn write_package(
    contents: Contents,
    key: SiteKey,
    to: &Path,
    progress: ExportProgress,
) -> Result<Exported, ExportError> {
    let to = to.to_owned();
    let total: u64 = contents
        .items
        .iter()
        .map(|item| match item {
            Item::Bytes(_, bytes) => bytes.len() as u64,
            Item::File(_, path) => fs::metadata(path).map_or(0, |m| m.len()),
        })
        .sum();
    blocking(move || {
        let mut refused = None;
        let mut written = None;
        let whole = file::write_whole(file::folder_of(&to), &to, |package| {
            let passed = |done: u64| progress(0.8 + 0.2 * (done as f32 / total.max(1) as f32).min(1.0), "Package");
            match evidence::write(contents, &key, package, passed) {
                Ok(list) => {
                    written = Some((list, package.metadata()?.len()));
                    Ok(())
                }
                Err(PackageError::Write(e)) => Err(e),
                Err(error) => {
                    let told = io::Error::other(error.to_string());
                    refused = Some(error);
                    Err(told)
                }
            }
        });
        match (whole, refused, written) {
            (_, Some(PackageError::Cancelled), _) => Err(ExportError::Cancelled),
            (_, Some(error), _) => Err(ExportError::Package(error)),
            (Err(e), ..) => Err(ExportError::Target(io_error(&to, &e))),
            (Ok(()), _, Some(((manifest, sha256), bytes))) => Ok(Exported { to, bytes, sha256, manifest }),
            (Ok(()), _, None) => Err(ExportError::Target(io_error(&to, &io::Error::other("nothing was written")))),
        }
    })
    .await?
}

/// A private folder for the time of one export.
struct Scratch(PathBuf);

impl Scratch {
    fn new(data: &Path) -> Result<Self, ExportError> {
        use std::os::unix::fs::DirBuilderExt as _;
        let folder = DataFolder::exports_in(data).join(Uuid::new_v4().to_string());
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(|e| ExportError::Store(io_error(&folder, &e)))?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

async fn hash_of(path: &Path) -> Result<String, ExportError> {
    let path = path.to_owned();
    let hashed = blocking(move || sha256_of(&path));
    Ok(hashed.await?.map_err(SiteError::Threads)?)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ExportError> {
    tokio::task::spawn_blocking(work).await.map_err(|e| SiteError::Threads(io::Error::other(e)).into())
}

/// A name of which a file can be called.
fn slug(name: &str) -> String {
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let parts: Vec<_> = plain.split('-').filter(|p| !p.is_empty()).collect();
    if parts.is_empty() { "camera".to_owned() } else { parts.join("-").chars().take(40).collect() }
}

/// `20261122T140322Z`.
fn compact(t: Timestamp) -> String {
    let text: String = t.to_string().chars().take(19).filter(|c| !matches!(c, '-' | ':')).collect();
    format!("{text}Z")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        evidence::{Finding, verify},
        model::{Rect, SystemClock, TrackId},
        site::SiteConfig,
        store::{cameras, url_of_key},
        video::tests::launch,
    };
    use std::sync::Mutex;

    const T0: Timestamp = Timestamp(1_795_356_202_000_000);

    fn at(seconds: f64) -> Timestamp {
        Timestamp(T0.0 + (seconds * 1e6) as i64)
    }

    /// A site with two cameras: ten seconds of the gate are recorded, in two files, and nothing of the yard. The suspect was
    /// clicked at the gate, confirmed in the yard, possibly seen at the gate again, and rejected there once.
    struct Scene {
        dir: tempfile::TempDir,
        records: Records,
        gate: Camera,
        yard: Camera,
        suspect: Suspect,
        keys: Vec<String>,
        _folder: DataFolder,
    }

    impl Scene {
        async fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let folder = DataFolder::open(dir.path().join("data")).unwrap();
            let records = Records::open(&folder, &SiteConfig::default(), Arc::new(SystemClock)).await.unwrap();
            let store = records.stores.cameras.clone();
            let gate = Camera { name: "Gate north".to_owned(), ..cameras::tests::camera() };
            let yard = Camera { id: Uuid::now_v7(), name: "Yard".to_owned(), ..cameras::tests::camera() };
            for camera in [&gate, &yard] {
                store.upsert_camera(camera).await.unwrap();
            }
            let file = dir.path().join("segment.mkv");
            launch(&format!(
                "videotestsrc num-buffers=125 pattern=ball ! video/x-raw,format=I420,width=160,height=120,framerate=25/1 ! \
                 x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 ! h264parse ! matroskamux ! filesink location=\"{}\"",
                file.display()
            ));
            let mut keys = Vec::new();
            for n in 0..2_u32 {
                let key = format!("videos/{n}.mkv");
                records.stores.objects.put_file(&key, &file, &|_| ()).await.unwrap();
                let (starts_at, ends_at) = (at(5.0 * f64::from(n)), at(5.0 * f64::from(n + 1)));
                let segment = Segment {
                    id: Uuid::now_v7(),
                    camera: gate.id,
                    starts_at,
                    ends_at,
                    video_url: url_of_key(&key),
                    format: "matroska".to_owned(),
                    codec: "h264".to_owned(),
                    width: 160,
                    height: 120,
                    size: fs::metadata(&file).unwrap().len(),
                    sha256: hash_of(&file).await.unwrap(),
                    upload: None,
                };
                store.put_segment(&segment).await.unwrap();
                keys.push(key);
            }
            let gap = Gap {
                id: Uuid::now_v7(),
                camera: yard.id,
                from: at(-100.0),
                until: None,
                reason: "the camera is not recorded".to_owned(),
            };
            store.put_gap(&gap).await.unwrap();
            let suspect = Suspect { marked_at: at(4.0), ..cameras::tests::suspect(gate.id, "Suspect 1") };
            store.put_suspect(&suspect).await.unwrap();
            let by = "12345678".to_owned();
            for (camera, from, until, decision) in [
                (&gate, 4.0, 6.0, Decision::Origin),
                (&yard, 20.0, 30.0, Decision::Confirmed { by: by.clone(), at: at(31.0) }),
                (&gate, 8.0, 9.0, Decision::Pending),
                (&gate, 1.0, 2.0, Decision::Rejected { by, at: at(31.0) }),
            ] {
                let sighting = Sighting {
                    id: Uuid::now_v7(),
                    camera: camera.id,
                    track: TrackId(from as u64),
                    entered_at: at(from),
                    last_seen_at: at(until),
                    left_at: Some(at(until)),
                    decision,
                    ..cameras::tests::sighting(&suspect)
                };
                store.put_sighting(&sighting).await.unwrap();
            }
            let tracklet = Tracklet {
                id: Uuid::now_v7(),
                camera: gate.id,
                track: TrackId(4),
                upload: None,
                starts_at: at(4.0),
                ends_at: at(6.0),
                frame: (160, 120),
                path: (0..20).map(|n| (at(4.0 + f64::from(n) / 10.0), Rect::new(8.0, 8.0, 20.0, 40.0))).collect(),
                crop_url: String::new(),
                gallery: Vec::new(),
                characteristics: serde_json::Value::Null,
                suspect: None,
            };
            store.put_tracklet(&tracklet).await.unwrap();
            let crop = key_of_url(&suspect.crop_url).unwrap();
            records.stores.objects.put(crop, b"\xff\xd8picture".to_vec(), "image/jpeg").await.unwrap();
            for (action, camera) in [(Action::SelectSuspect, &gate), (Action::DecideMatch, &yard)] {
                let mut entry = records.entry(("12345678", "Ana Sousa"), action, Outcome::Succeeded);
                entry.target = Some(suspect.id.to_string());
                entry.details = json!({ "suspect": suspect.id, "camera": camera.name, "camera_id": camera.id });
                records.journal.append(&[Record::Action(entry)]).await.unwrap();
            }
            Self { dir, records, gate, yard, suspect, keys, _folder: folder }
        }

        fn request(&self, name: &str) -> ExportRequest {
            ExportRequest {
                suspect: self.suspect.id,
                to: self.dir.path().join(name),
                reason: "case 17".to_owned(),
                recipient: "the court".to_owned(),
                pending: false,
                burn_in: true,
                margin: Duration::from_secs(1),
            }
        }

        async fn export(&self, rights: &Rights, request: &ExportRequest) -> Result<Exported, ExportError> {
            self.export_watched(rights, request, Arc::new(|_, _| true)).await
        }

        async fn export_watched(
            &self,
            rights: &Rights,
            request: &ExportRequest,
            progress: ExportProgress,
        ) -> Result<Exported, ExportError> {
            self.records.export_evidence(("12345678", "Ana Sousa"), rights, "Harbour", request, progress).await
        }

        /// The newest entry of the log.
        async fn logged(&self) -> crate::model::ActionRecord {
            self.records.delivery.flush().await;
            self.records.stores.actions.page(&LogFilter::default(), None, 1).await.unwrap().remove(0)
        }

        fn left_over(&self) -> Vec<String> {
            let here = fs::read_dir(self.dir.path()).unwrap().map(|e| e.unwrap().file_name());
            let exports = DataFolder::exports_in(&self.records.data);
            let inside = fs::read_dir(exports).into_iter().flatten().map(|e| e.unwrap().file_name());
            let names = here.chain(inside).map(|n| n.to_string_lossy().into_owned());
            names.filter(|n| !["data", "segment.mkv"].contains(&n.as_str())).collect()
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_package_holds_all_stays_names_what_is_missing_and_verifies() {
        let scene = Scene::new().await;
        let request = scene.request("package.zip");
        let plan = scene.records.plan_export(&Rights::All, &request).await.unwrap();
        assert_eq!((plan.stops.len(), plan.stretches), (2, 1));
        let missing = MissingVideo {
            camera: scene.yard.id,
            camera_name: "Yard".to_owned(),
            from: at(20.0),
            until: at(30.0),
            reason: "the camera is not recorded".to_owned(),
        };
        assert_eq!(plan.missing, [missing]);
        let heard: Arc<Mutex<Vec<f32>>> = Arc::default();
        let hears = Arc::clone(&heard);
        let progress = move |fraction: f32, _: &str| {
            hears.lock().unwrap().push(fraction);
            true
        };
        let done = scene.export_watched(&Rights::All, &request, Arc::new(progress)).await.unwrap();
        assert!(heard.lock().unwrap().is_sorted() && heard.lock().unwrap().last() > Some(&0.9));
        let key = SiteKey::open(&DataFolder::evidence_key_in(&scene.records.data)).unwrap().public();
        let verdict = verify(&request.to, Some(key)).unwrap();
        assert_eq!((verdict.findings, verdict.manifest.as_ref()), (Vec::<Finding>::new(), Some(&done.manifest)));
        let m = &done.manifest;
        assert_eq!((m.clips.len(), m.stops.len(), m.missing.len()), (1, 2, 1));
        // from the key frame at 3 s (asked for) to 7 s, over two files
        assert_eq!((&m.clips[0].from.utc, &m.clips[0].until.utc), (&at(3.0).to_string(), &at(7.0).to_string()));
        assert_eq!((m.clips[0].cut_from.len(), &m.clips[0].note), (2, &None));
        let drawn = m.clips[0].burnt_in.as_deref();
        assert_eq!(drawn, Some("videos/001-gate-north-20261122T140325Z-1-boxes.mp4"));
        let names: Vec<&str> = m.files.iter().map(|f| f.name.as_str()).collect();
        assert!(names.contains(&"videos/001-gate-north-20261122T140325Z-1.mp4"), "{names:?}");
        assert!(names.iter().any(|n| n.starts_with("boxes/")) && names.contains(&"audit.jsonl"), "{names:?}");
        assert_eq!(scene.left_over(), ["package.zip"]);
        let entry = scene.logged().await;
        assert_eq!((entry.action, &entry.outcome), (Action::ExportEvidence, &Outcome::Succeeded));
        assert_eq!(entry.details["sha256"], hash_of(&request.to).await.unwrap().as_str());
        assert_eq!((&entry.details["reason"], &entry.details["recipient"]), (&"case 17".into(), &"the court".into()));

        let table = scene.dir.path().join("movement.csv");
        let export = async || scene.records.export_movement(("1", "A"), &Rights::All, scene.suspect.id, &table).await;
        assert_eq!(export().await.unwrap(), 3);
        let text = fs::read_to_string(&table).unwrap();
        assert!(text.lines().count() == 4 && text.contains("Yard") && text.contains("confirmed,12345678"), "{text}");
        assert_eq!(scene.logged().await.details["what"], "movement log");
        assert!(matches!(export().await, Err(ExportError::Exists(_))));

        let more = ExportRequest { pending: true, ..scene.request("more.zip") };
        let done = scene.export(&Rights::All, &more).await.unwrap();
        assert_eq!(done.manifest.stops.len(), 3, "the rejected one is in no package");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn cameras_that_a_user_may_not_see_are_not_handed_out() {
        let scene = Scene::new().await;
        let gate = Rights::Only([scene.gate.id].into());
        let done = scene.export(&gate, &scene.request("gate.zip")).await.unwrap();
        assert_eq!((done.manifest.stops.len(), done.manifest.missing.len(), done.manifest.cameras.len()), (1, 0, 1));
        let text = String::from_utf8_lossy(&fs::read(&done.to).unwrap()).into_owned();
        assert!(!text.contains("Yard") && !text.contains(&scene.yard.id.to_string()));
        let elsewhere = Rights::Only([Uuid::from_u128(99)].into());
        let refused = scene.export(&elsewhere, &scene.request("none.zip")).await.unwrap_err();
        assert!(matches!(refused, ExportError::NoSuspect(_)), "{refused}");
        let entry = scene.logged().await;
        assert!(matches!(entry.outcome, Outcome::Refused(_)) && entry.action == Action::ExportEvidence);
        assert_eq!(scene.left_over(), ["gate.zip"]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_goes_wrong_is_told_recorded_and_leaves_nothing_behind() {
        let scene = Scene::new().await;
        let told = async |request: &ExportRequest, progress: ExportProgress| {
            let told = scene.export_watched(&Rights::All, request, progress).await.unwrap_err().to_string();
            let entry = scene.logged().await;
            assert_eq!(entry.action, Action::ExportEvidence);
            assert_eq!(entry.outcome.parts().1, Some(told.as_str()));
            assert_eq!(scene.left_over(), Vec::<String>::new());
            told
        };
        let yes: ExportProgress = Arc::new(|_, _| true);
        let request = scene.request("p.zip");
        assert!(
            told(&ExportRequest { reason: " ".to_owned(), ..request.clone() }, yes.clone()).await.contains("reason")
        );
        let to_nobody = ExportRequest { recipient: String::new(), ..request.clone() };
        assert!(told(&to_nobody, yes.clone()).await.contains("whom"));
        let nowhere = ExportRequest { to: scene.dir.path().join("no folder/p.zip"), ..request.clone() };
        assert!(told(&nowhere, yes.clone()).await.contains("cannot be written"));
        let there = ExportRequest { to: scene.dir.path().join("segment.mkv"), ..request.clone() };
        assert!(told(&there, yes.clone()).await.contains("exists already"));
        for stop_at in [0.0, 0.8, 0.81] {
            let stops: ExportProgress = Arc::new(move |fraction, _| fraction < stop_at);
            assert!(told(&request, stops).await.contains("cancelled"));
        }
        // The store fails in the middle: the second file turns out to be a folder.
        let second = scene.records.data.join("objects").join(&scene.keys[1]);
        let kept = fs::read(&second).unwrap();
        fs::remove_file(&second).unwrap();
        fs::create_dir(&second).unwrap();
        assert!(told(&request, yes.clone()).await.contains("broken off"));
        // It is gone, or another: the rest is handed out, and the package says so.
        fs::remove_dir(&second).unwrap();
        let done = scene.export(&Rights::All, &request).await.unwrap();
        let at_gate: Vec<_> = done.manifest.missing.iter().filter(|m| m.camera == scene.gate.id).collect();
        assert!(at_gate.len() == 1 && at_gate[0].reason.contains("is gone"), "{at_gate:?}");
        assert_eq!(at_gate[0].until.utc, at(6.0).to_string());
        fs::write(&second, &kept[..kept.len() / 2]).unwrap();
        let other = ExportRequest { to: scene.dir.path().join("other.zip"), ..request };
        let done = scene.export(&Rights::All, &other).await.unwrap();
        assert!(done.manifest.clips[0].note.as_ref().is_some_and(|n| n.contains("not the one that was recorded")));
    }
}
