//! Writes a package: gathers all its parts in a private folder, signs the list and puts the file in its place, whole or not at all.
use super::{
    ExportError, ExportProgress, ExportRequest, Exported,
    annexes::{boxes_of, camera_entry},
    blocking,
    cutting::{Watched, burn},
    stretches::{Stretch, Work, missing},
};
use crate::{
    evidence::{self, ClipEntry, Contents, Item, Manifest, Missing, PackageError, SiteKey, Stop, manifest},
    model::{Camera, Hash, Rights, Timestamp},
    site::records::{Actor, Records},
    store::{DataFolder, WorkFolder, file, sqlite::io_error},
    video,
};
use std::{fs, io, path::Path, sync::Arc};
use uuid::Uuid;

impl Records {
    /// Writes the package; nothing of it is left when this fails. Its video stays meanwhile: that is the promise.
    pub(super) async fn write_evidence(
        &self,
        who: Actor<'_>,
        rights: &Rights,
        site: &str,
        request: &ExportRequest,
        promise: Uuid,
        progress: &ExportProgress,
    ) -> Result<Exported, ExportError> {
        if request.reason.trim().is_empty() {
            return Err(ExportError::NoReason);
        }
        if request.recipient.trim().is_empty() {
            return Err(ExportError::NoRecipient);
        }
        let Work { plan, cameras, stretches } = self.work(rights, request, Some(promise)).await?;
        check_target(&request.to, plan.bytes)?;
        let key = SiteKey::open(&DataFolder::evidence_key_in(&self.data))?;
        let scratch = Scratch::new(&self.data);
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
            self.keep_promise(promise).await?;
            let stem = format!("{number:03}-{}-{}", slug(&name), compact(stretch.from));
            let watched = Watched { progress: Arc::clone(progress), fraction };
            let (cut, notes) = self.cut(stretch, scratch.0.path()?, &stem, &watched).await?;
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
                let burnt_in = match plan.suspect.as_ref().filter(|_| boxes.is_some() && request.burn_in) {
                    Some(suspect) => Some(burn(&clip, &tracklets, suspect.colour, &mut items, &watched).await?),
                    None => None,
                };
                clips.push(ClipEntry { boxes, burnt_in, ..clip_entry(&clip, &file, stretch, &notes) });
                items.push(Item::File(format!("videos/{file}"), clip.path));
            }
        }
        go_on(0.8, "Pictures and log")?;
        let mut stops = Vec::new();
        for sighting in &plan.stops {
            let name = cameras.iter().find(|c| c.id == sighting.camera).map_or("", |c| &c.name);
            let file = format!("crops/{}.jpg", sighting.id);
            let crop = self.picture_bytes(&sighting.crop_url).await?;
            let clock = self.clock_at(sighting).await?;
            stops.push(Stop::new(sighting, name, crop.is_some().then(|| file.clone()), clock));
            items.extend(crop.map(|bytes| Item::Bytes(file, bytes)));
        }
        if let Some(suspect) = &plan.suspect {
            if rights.allow(suspect.camera)
                && let Some(bytes) = self.picture_bytes(&suspect.crop_url).await?
            {
                items.push(Item::Bytes("crops/suspect.jpg".to_owned(), bytes));
            }
            let extract = self.audit_extract(who, rights, suspect, &cameras).await?;
            items.push(Item::Bytes("audit.jsonl".to_owned(), extract));
        }
        let shown = |camera: &&Camera| stretches.iter().any(|s| s.camera == camera.id);
        let manifest = Manifest {
            vigia_evidence: manifest::VERSION,
            program: concat!("Vigia ", env!("CARGO_PKG_VERSION")).to_owned(),
            site: site.to_owned(),
            made_at: self.clock.now().into(),
            suspect: plan.suspect.as_ref().map(Into::into),
            reason: request.reason.trim().to_owned(),
            recipient: request.recipient.trim().to_owned(),
            exported_by: (who.0.to_owned(), who.1.to_owned()),
            model: self.models(&plan).await?,
            cameras: cameras.iter().filter(shown).map(|c| camera_entry(c, &stretches)).collect(),
            stops,
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

/// A clip in the list, without boxes; `file` is its name, `notes` are about the stretch's files by their places.
fn clip_entry(clip: &video::Clip, file: &str, stretch: &Stretch, notes: &[(usize, String)]) -> ClipEntry {
    let segments: Vec<_> = clip.pieces.iter().filter_map(|p| stretch.segments.get(*p)).collect();
    let mut noted: Vec<_> =
        notes.iter().filter(|(place, _)| clip.pieces.contains(place)).map(|(_, note)| note.clone()).collect();
    let clocks: Vec<_> = segments.iter().filter_map(|s| Some((s.starts_at, s.clock_offset?))).collect();
    noted.extend(clocks.windows(2).filter_map(|pair| {
        let &[(_, before), (at, now)] = pair else { return None };
        now.jumped_from(before)
            .then(|| format!("from {at} on the camera's own clock is {now} of the site's, before that it was {before}"))
    }));
    let note = noted.join("; ");
    let cut_from = segments.iter().filter_map(|s| Hash::parse(&s.sha256));
    ClipEntry {
        file: format!("videos/{file}"),
        boxes: None,
        burnt_in: None,
        camera: stretch.camera,
        from: clip.from.into(),
        until: clip.until.into(),
        codec: clip.codec.clone(),
        width: clip.width,
        height: clip.height,
        cut_from: cut_from.collect(),
        clock_offset: clocks.first().map(|(_, offset)| offset.seconds()),
        uploaded: segments.iter().any(|s| s.upload.is_some()),
        note: (!note.is_empty()).then_some(note),
    }
}

/// A place that can be written, with room, where nothing is yet.
pub(super) fn check_target(to: &Path, bytes: u64) -> Result<(), ExportError> {
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
            (Ok(()), _, Some(((manifest, sha256), bytes))) => {
                Ok(Exported { to, bytes, sha256, manifest, told: Vec::new() })
            }
            (Ok(()), _, None) => Err(ExportError::Target(io_error(&to, &io::Error::other("nothing was written")))),
        }
    })
    .await?
}

/// A private folder for the time of one export.
struct Scratch(WorkFolder);

impl Scratch {
    fn new(data: &Path) -> Self {
        Self(DataFolder::exports_in(data).within(&Uuid::new_v4().to_string()))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.0.remove();
    }
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
