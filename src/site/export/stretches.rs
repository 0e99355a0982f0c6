//! What belongs in a package: the stays of the suspect and the stretches of video around them, or the stretch that was marked, and what
//! of those is missing.
use super::{ExportError, ExportOf, ExportPlan, ExportRequest, MOST, MissingVideo, PROMISED};
use crate::{
    model::{Camera, CameraId, Decision, Gap, Rights, Segment, Sighting, Suspect, SuspectId, Timestamp},
    site::{gate::suspect_for, records::Records},
};
use futures_util::future::join_all;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use uuid::Uuid;

/// Video is missing where there is none for longer than this, microseconds: recorders leave a moment between two files.
const TOLERATED: i64 = 500_000;

/// A stretch of one camera's video that goes into the package.
pub(super) struct Stretch {
    pub camera: CameraId,
    pub from: Timestamp,
    pub until: Timestamp,
    /// What must not be missing of it: the stays, without margins.
    pub stays: Vec<(Timestamp, Timestamp)>,
    pub segments: Vec<Segment>,
    pub gaps: Vec<Gap>,
}

/// An export before it begins.
pub(super) struct Work {
    pub plan: ExportPlan,
    pub cameras: Vec<Camera>,
    pub stretches: Vec<Stretch>,
}

impl Records {
    /// What the request asks for, of what the user may see. Where that is a `promise`, its video stays from before it is looked for.
    pub(super) async fn work(
        &self,
        rights: &Rights,
        request: &ExportRequest,
        promise: Option<Uuid>,
    ) -> Result<Work, ExportError> {
        let store = &self.stores.cameras;
        let (suspect, stops, mut stretches) = match &request.of {
            ExportOf::Suspect(id) => {
                let (suspect, stops) = self.stays(rights, *id, request.pending).await?;
                let stretches = stretches(&stops, request.margin);
                (Some(suspect), stops, stretches)
            }
            ExportOf::Stretch { cameras, from, until } => {
                let seen = cameras.iter().filter(|camera| rights.allow(**camera));
                (None, Vec::new(), seen.map(|camera| Stretch::new(*camera, (*from, *until), (*from, *until))).collect())
            }
        };
        if let Some(promise) = promise {
            let of: Vec<_> = stretches.iter().map(|s| (s.camera, s.from, s.until)).collect();
            let now = self.clock.now();
            store.promise_video(promise, &of, now.plus(PROMISED)).await?;
        }
        if let (Some(_), Some(recording)) = (promise, self.recording.get()) {
            let last = |camera| stretches.iter().filter(|s| s.camera == camera).map(|s| s.until).max();
            let cameras: BTreeSet<_> = stretches.iter().map(|s| s.camera).collect();
            let until = cameras.into_iter().filter_map(|camera| Some((camera, last(camera)?)));
            join_all(until.map(|(camera, until)| recording.finish(camera, until))).await;
        }
        for stretch in &mut stretches {
            let of = [stretch.camera];
            stretch.segments = store.segments(Some(&of), stretch.from, stretch.until).await?;
            stretch.gaps = store.absences(&of, stretch.from, stretch.until).await?;
            if let Some(recording) = self.recording.get() {
                for recent in recording.recent(&of, stretch.from, stretch.until) {
                    if stretch.segments.iter().all(|s| s.id != recent.id) {
                        stretch.segments.push(recent);
                    }
                }
                stretch.segments.sort_by_key(|s| s.starts_at);
                stretch.gaps.extend(recording.under_way(stretch.camera));
            }
        }
        let with_video = stretches.iter().filter(|s| !s.segments.is_empty()).count();
        if suspect.is_none() && with_video == 0 {
            return Err(ExportError::NoVideo);
        }
        let cameras = store.cameras().await?;
        let missing = stretches.iter().flat_map(|s| {
            let there: Vec<_> = s.segments.iter().map(|s| (s.starts_at, s.ends_at)).collect();
            missing(s, &cameras, &there, None)
        });
        let missing = missing.collect();
        let bytes = stretches.iter().map(Stretch::bytes).sum();
        Ok(Work { plan: ExportPlan { suspect, stops, stretches: with_video, missing, bytes }, cameras, stretches })
    }

    /// The suspect, and the stays that belong in a package, oldest first.
    async fn stays(
        &self,
        rights: &Rights,
        suspect: SuspectId,
        pending: bool,
    ) -> Result<(Suspect, Vec<Sighting>), ExportError> {
        let store = &self.stores.cameras;
        let unknown = || ExportError::NoSuspect(suspect);
        let suspect = store.suspects().await?.into_iter().find(|s| s.id == suspect).ok_or_else(unknown)?;
        let mut stops = store.sightings(Some(suspect.id), MOST + 1).await?;
        if stops.len() > MOST as usize {
            return Err(ExportError::TooMany(suspect.label));
        }
        stops.retain(|s| rights.allow(s.camera));
        if stops.is_empty() && !rights.allow(suspect.camera) {
            return Err(unknown());
        }
        stops.retain(|s| match s.decision {
            Decision::Origin | Decision::Confirmed { .. } => true,
            Decision::Pending | Decision::Withdrawn { .. } => pending,
            Decision::Rejected { .. } => false,
        });
        stops.sort_by_key(|s| (s.entered_at, s.id));
        if stops.is_empty() {
            return Err(ExportError::Nothing(suspect.label));
        }
        Ok((suspect_for(rights, &suspect), stops))
    }
}

impl Stretch {
    /// Of which nothing is known yet but what is asked for; of that, `stay` must not be missing.
    fn new(camera: CameraId, (from, until): (Timestamp, Timestamp), stay: (Timestamp, Timestamp)) -> Self {
        Self { camera, from, until, stays: vec![stay], segments: Vec::new(), gaps: Vec::new() }
    }

    /// About how many bytes of the segments are within the stretch.
    pub fn bytes(&self) -> u64 {
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
            None => {
                let whole = (from.minus(margin), until.plus(margin));
                of.push(Stretch::new(stop.camera, whole, (from, until)));
            }
        }
    }
    let mut all: Vec<_> = by_camera.into_values().flatten().collect();
    all.sort_by_key(|s| (s.from, s.camera));
    all
}

/// The parts of the stays that are in none of `there`. `why` is told where it is known; else what the recorder noted.
pub(super) fn missing(
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
            let parts = match why {
                Some(why) => vec![(from, until, why.to_owned())],
                None => reasons(&stretch.gaps, from, until),
            };
            found.extend(parts.into_iter().map(|(from, until, reason)| {
                let (camera, camera_name) = (stretch.camera, camera_name.clone());
                MissingVideo { camera, camera_name, from, until, reason }
            }));
        }
    }
    found
}

/// Why there is no video between two instants, part by part: of what is known of an instant the first counts.
fn reasons(gaps: &[Gap], from: Timestamp, until: Timestamp) -> Vec<(Timestamp, Timestamp, String)> {
    let over = |g: &Gap| g.until.unwrap_or(Timestamp(i64::MAX));
    let mut edges: Vec<_> = gaps.iter().flat_map(|g| [g.from, over(g)]).filter(|t| *t > from && *t < until).collect();
    edges.extend([from, until]);
    edges.sort_unstable();
    edges.dedup();
    let mut parts: Vec<(Timestamp, Timestamp, String)> = Vec::new();
    // A hole of no length has one reason, too.
    let pairs = edges.windows(2).filter_map(|pair| Some((*pair.first()?, *pair.last()?)));
    for (start, end) in pairs.chain((from == until).then_some((from, until))) {
        let known = gaps.iter().find(|g| g.from <= start && over(g) >= end);
        let reason = known.map_or("no video was recorded", |g| g.reason.as_str());
        match parts.last_mut() {
            // Recorders and files do not begin and end at quite the same moment.
            Some((_, last, said)) if said == reason || (known.is_none() && end.0 - start.0 <= TOLERATED) => *last = end,
            _ => parts.push((start, end, reason.to_owned())),
        }
    }
    let sliver = |part: &(Timestamp, Timestamp, String)| part.1.0 - part.0.0 <= TOLERATED;
    if parts.len() > 1 && parts.first().is_some_and(sliver) {
        let (start, ..) = parts.remove(0);
        if let Some(first) = parts.first_mut() {
            first.0 = start;
        }
    }
    parts
}
