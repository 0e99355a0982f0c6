//! From an analysed frame to tracks on the screen and records in the journal. Runs on the vision worker's thread.
use super::{
    Shared,
    state::{NoticeLevel, TrackView},
    stills,
};
use crate::{
    follow::{Event, Observed},
    model::{CameraId, Class, Descriptor, DetectionKind, DetectionRecord, Picture, Rect, Sighting, Timestamp, TrackId},
    store::url_of_key,
    sync::Record,
    tracking::{Observation, Tracker, TrackerConfig},
    video::Frame,
    vision::Analysed,
};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use uuid::Uuid;

/// Between two stored detections of a knife in one camera: flicker is not news.
const KNIFE_EVERY_SECONDS: f64 = 5.0;
/// Margin around a stored crop, of the box's sides.
const CROP_MARGIN: f32 = 0.12;
/// Longest sides of stored crops and frames, pixels.
const CROP_SIDE: u32 = 512;
const FRAME_SIDE: u32 = u32::MAX; // as received: the box is in its pixels

/// The trackers of all cameras, and where their results go.
pub(super) struct Analysis {
    shared: Arc<Shared>,
    cameras: BTreeMap<CameraId, PerCamera>,
}

struct PerCamera {
    tracker: Tracker,
    epoch: u64,
    known: BTreeSet<TrackId>,
    last_knife: Option<Timestamp>,
}

impl Analysis {
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared, cameras: BTreeMap::new() }
    }

    /// Tracks, follows, records, then shows: in this order, so that nothing is on the screen that is not on the disk.
    pub fn take(&mut self, analysed: &Analysed) {
        let Some(path) = self.shared.paths.iter().find(|p| p.camera.id == analysed.camera) else { return };
        let frame = &analysed.frame;
        let size = (frame.width() as f32, frame.height() as f32);
        let per = self.cameras.entry(analysed.camera).or_insert_with(|| PerCamera {
            tracker: Tracker::new(TrackerConfig { frame: Some(size), ..TrackerConfig::nanodet() }),
            epoch: analysed.epoch,
            known: BTreeSet::new(),
            last_knife: None,
        });
        let mut events = Vec::new();
        let mut follower = self.shared.follower();
        if per.epoch != analysed.epoch {
            // Another connection: whoever is in view now need not be who was. Tracks end here.
            per.epoch = analysed.epoch;
            for id in per.tracker.reset() {
                events.extend(follower.track_ended(analysed.camera, id));
            }
        }
        let persons: Vec<(&_, Option<&Descriptor>)> = analysed
            .detections
            .iter()
            .zip(&analysed.descriptors)
            .filter(|(d, _)| d.class == Class::Person)
            .map(|(d, a)| (d, a.as_ref()))
            .collect();
        let observations: Vec<Observation<'_>> = persons
            .iter()
            .map(|(d, descriptor)| Observation { rect: d.rect, score: d.score, descriptor: *descriptor })
            .collect();
        let step = per.tracker.step(frame.captured_at(), &observations);
        for id in &step.ended {
            per.known.remove(id);
            events.extend(follower.track_ended(analysed.camera, *id));
        }
        let appearance: BTreeMap<TrackId, &Descriptor> = step
            .matched
            .iter()
            .zip(&persons)
            .filter_map(|(id, (_, descriptor))| Some(((*id)?, (*descriptor)?)))
            .collect();
        let observed: Vec<Observed<'_>> = step
            .tracks
            .iter()
            .map(|track| Observed { track, descriptor: appearance.get(&track.id).copied() })
            .collect();
        events.extend(follower.observe(analysed.camera, frame.captured_at(), &observed));
        let matches = follower.matches(analysed.camera);
        drop(follower);

        let new_tracks = step.tracks.iter().filter(|t| per.known.insert(t.id)).count() as u64;
        let mut records = self.shared.records_of(&events, Some((analysed.camera, frame)));
        let knife = analysed.detections.iter().find(|d| d.class == Class::Knife);
        if let Some(knife) = knife {
            let at = frame.captured_at();
            if per.last_knife.is_none_or(|t| at.seconds_since(t) >= KNIFE_EVERY_SECONDS) {
                per.last_knife = Some(at);
                let metadata = json!({ "score": knife.score, "model": self.shared.model });
                records.extend(detection(analysed.camera, frame, knife.rect, None, DetectionKind::Knife, metadata));
                let text = format!("Possible knife in {}", path.camera.name);
                self.shared.board.lock().notice(at, NoticeLevel::Alert, text, None);
            }
        }
        self.shared.commit_and_show(&records, events, Some(frame));

        let views = step
            .tracks
            .into_iter()
            .map(|track| TrackView { suspect: matches.get(&track.id).copied(), track })
            .collect::<Vec<_>>();
        path.tracks.put(Arc::new(views));
        let now = self.shared.clock.now();
        path.meters.analysed(now, (now.seconds_since(frame.captured_at()) * 1e3) as f32, new_tracks);
    }
}

impl Shared {
    /// The records of follow events; `seen` is the frame they come from, where there is one, for crops and detections.
    pub fn records_of(&self, events: &[Event], seen: Option<(CameraId, &Frame)>) -> Vec<Record> {
        let mut records = Vec::new();
        for event in events {
            match event {
                Event::Gallery(suspect) => records.push(Record::Suspect(suspect.clone())),
                Event::Changed(sighting) => {
                    records.push(Record::Sighting(sighting.clone()));
                    if let (Some((camera, frame)), None) = (seen, sighting.left_at)
                        && camera == sighting.camera
                        && frame.captured_at() == sighting.last_seen_at
                    {
                        records.extend(self.detection_of(sighting, frame));
                    }
                }
                Event::Opened(sighting) => {
                    records.push(Record::Sighting(sighting.clone()));
                    if let Some((_, frame)) = seen {
                        records.extend(crop(frame, sighting.rect).and_then(|p| object(&sighting.crop_url, &p)));
                        records.extend(self.detection_of(sighting, frame));
                    }
                }
            }
        }
        records
    }

    /// The detection row of a suspect seen on `frame`, and the frame itself as an object.
    pub fn detection_of(&self, sighting: &Sighting, frame: &Frame) -> Vec<Record> {
        let metadata = json!({
            "track": sighting.track, "probability": sighting.probability, "sighting": sighting.id,
            "decision": sighting.decision, "model": self.model,
        });
        detection(sighting.camera, frame, sighting.rect, Some(sighting.suspect), DetectionKind::Suspect, metadata)
    }

    /// Commits records to the journal, then puts the events on the board. Where the journal refuses, the operator is told and
    /// the board stays as it was.
    pub fn commit_and_show(&self, records: &[Record], events: Vec<Event>, frame: Option<&Frame>) {
        let now = self.clock.now();
        if !records.is_empty()
            && let Err(error) = self.runtime.block_on(self.journal.append(records))
        {
            self.board.lock().notice(now, NoticeLevel::Error, format!("Nothing more is recorded: {error}"), None);
            return;
        }
        for event in events {
            match event {
                Event::Gallery(suspect) => self.board.lock().put_suspect(suspect, None),
                Event::Changed(sighting) => self.board.lock().put_sighting(sighting, None),
                Event::Opened(sighting) => {
                    let picture = frame.and_then(|f| crop(f, sighting.rect));
                    let camera = self.camera_name(sighting.camera);
                    let mut board = self.board.lock();
                    let label = board.suspect(sighting.suspect).map_or("suspect", |s| &s.suspect.label).to_owned();
                    let percent = (sighting.probability * 100.0).round();
                    let text = format!("Possible match {percent:.0} %: {label} in {camera}");
                    board.notice(now, NoticeLevel::Alert, text, Some(sighting.id));
                    board.put_sighting(sighting, picture);
                }
            }
        }
    }
}

/// The crop of a person as it is stored and shown.
pub(super) fn crop(frame: &Frame, rect: Rect) -> Option<Picture> {
    frame.picture(rect.grown(CROP_MARGIN), CROP_SIDE)
}

/// A picture as an object record under an address.
pub(super) fn object(url: &str, picture: &Picture) -> Option<Record> {
    let key = crate::store::key_of_url(url)?.to_owned();
    Some(Record::Object { key, content_type: "image/jpeg".to_owned(), bytes: stills::to_jpeg(picture)? })
}

/// A detection row and its frame.
fn detection(
    camera: CameraId,
    frame: &Frame,
    rect: Rect,
    suspect_id: Option<Uuid>,
    kind: DetectionKind,
    metadata: serde_json::Value,
) -> Vec<Record> {
    let id = Uuid::now_v7();
    let captured_at = frame.captured_at();
    let day = captured_at.to_string().chars().take(10).collect::<String>();
    let image_url = url_of_key(&format!("frames/{day}/{id}.jpg"));
    let whole = Rect::new(0.0, 0.0, frame.width() as f32, frame.height() as f32);
    let picture = frame.picture(whole, FRAME_SIDE);
    let Some(image) = picture.and_then(|p| object(&image_url, &p)) else { return Vec::new() };
    let row = DetectionRecord {
        id,
        camera,
        image_url,
        suspect_id,
        captured_at,
        metadata,
        kinds: vec![kind],
        detection_box: rect.polygon().to_vec(),
    };
    vec![image, Record::Detection(row)]
}
