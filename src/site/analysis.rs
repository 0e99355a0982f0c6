//! From an analysed frame to tracks on the screen and records in the journal. Runs on the vision worker's thread.
use super::{
    About, Shared,
    observer::Observers,
    path::Seen,
    proposals::{Armed, Scene},
    state::{CameraStatus, NoticeLevel, SuspectView, TrackView, WeaponView},
    stills, tracklets,
};
use crate::{
    follow::{Event, Topology},
    model::{CameraId, Class, DetectionKind, DetectionRecord, Picture, Rect, Sighting, SightingId, Timestamp, TrackId},
    store::url_of_key,
    sync::Record,
    video::Frame,
    vision::Analysed,
};
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc};
use uuid::Uuid;

/// What the operator reads where the journal refuses what the cameras saw.
pub(super) const UNRECORDED: &str = "Nothing more is recorded";
/// Tracklets wait at most so long for a commit, seconds.
const FLUSH_SECONDS: f64 = 1.0;
/// Records of tracklets kept while the journal refuses; the operator has been told that nothing more is recorded.
const MOST_WAITING: usize = 1024;
/// Margin around a stored crop, of the box's sides.
const CROP_MARGIN: f32 = 0.12;
/// Longest sides of stored crops and frames, pixels.
const CROP_SIDE: u32 = 512;
const FRAME_SIDE: u32 = u32::MAX; // as received: the box is in its pixels

/// The trackers of all cameras, and where their results go.
pub(super) struct Analysis {
    shared: Arc<Shared>,
    observers: Observers,
    /// Ends of sightings that the journal refused; they go with the next commit.
    owed: BTreeMap<SightingId, Sighting>,
    /// Tracklets and their pictures; they go with the next commit, or after a second.
    waiting: Vec<Record>,
    flushed_at: Timestamp,
}

impl Analysis {
    pub fn new(shared: Arc<Shared>) -> Self {
        let flushed_at = shared.records.clock.now();
        let observers = Observers::new(shared.config.weapons);
        Self { shared, observers, owed: BTreeMap::new(), waiting: Vec::new(), flushed_at }
    }

    /// A frame of this camera could not be worked on: its tracks begin anew.
    pub fn doubt(&mut self, camera: CameraId) {
        self.observers.doubt(camera);
    }

    /// Tracks, follows, records, then shows: in this order, so that nothing is on the screen that is not on the disk.
    pub fn take(&mut self, analysed: &Analysed) {
        let frame = &analysed.frame;
        // What is decided on the follower and what is committed must come in one order: nobody else does either meanwhile.
        let shared = Arc::clone(&self.shared);
        let order = shared.order.blocking_lock();
        let path = shared.cameras.get(analysed.camera).filter(|path| path.is_current(analysed.epoch));
        let Some(path) = path else { return }; // switched off, or at another address by now
        let mut events: Vec<Event> = std::mem::take(&mut self.owed).into_values().map(Event::Changed).collect();
        let held = self.shared.duty.is_held(analysed.camera);
        self.waiting.extend(self.observers.keep(analysed.camera, held));
        let seen = self.shared.follower().observe(analysed, &path.camera.name, &mut self.observers);
        self.shared.outlines.forget(analysed.camera, &seen.ended);
        self.waiting.extend(seen.tracklets);
        events.extend(self.shared.dutiful(analysed.camera, frame.captured_at(), &seen.tracks, seen.events));

        let mut outlined = Ok(());
        for event in &events {
            if let Event::Opened(sighting) = event {
                // Its detection is stored now, with the outline.
                let found = self.shared.outlines.look(analysed.camera, sighting.track, frame, sighting.rect);
                outlined = outlined.and(found);
            }
        }
        let mut records = self.shared.records_of(&events, Some((analysed.camera, frame)));
        let at = frame.captured_at();
        let mut armed: Vec<Armed> = Vec::new();
        for weapon in seen.weapons {
            let scene = Scene { camera: analysed.camera, frame, tracks: &seen.tracks, matches: &seen.matches };
            if !held {
                // Another console records it and proposes the suspect; everybody is to know at once.
                let text = self.shared.alarm(&weapon, &scene);
                let about = About::Cameras(vec![analysed.camera]);
                self.shared.board.lock().notice(at, NoticeLevel::Alert, text, about);
                continue;
            }
            let proposed = armed.iter().filter(|a| a.suspect.is_some()).count();
            let mut news = self.shared.arm(weapon, &scene, proposed);
            records.append(&mut news.records);
            armed.push(news);
        }
        // Whoever was marked just now is drawn so on this very frame.
        let matches = if armed.is_empty() { seen.matches } else { self.shared.follower().matches(analysed.camera) };
        let now = self.shared.records.clock.now();
        if !records.is_empty() || now.seconds_since(self.flushed_at).abs() >= FLUSH_SECONDS {
            self.flushed_at = now;
            records.append(&mut self.waiting);
        }
        let committed = self.shared.runtime.block_on(self.shared.commit(&records, UNRECORDED));
        if committed {
            self.shared.show(&events, Some(frame));
        }
        let concerns = |event: &Event| match event {
            Event::Opened(s) | Event::Alert(s) | Event::Changed(s) => {
                s.camera == analysed.camera && s.left_at.is_none()
            }
            Event::Gallery(_) => false,
        };
        if !armed.is_empty() || events.iter().any(concerns) {
            self.shared.recording.event(analysed.camera, at);
        }
        for news in armed {
            if committed {
                self.shared.show_armed(news, at);
            } else {
                self.observers.untell(analysed.camera, &news.seen);
                self.shared.disarm(&news);
            }
        }
        if !committed {
            self.waiting.extend(records.into_iter().filter(is_of_tracklet).take(MOST_WAITING));
            let mut follower = self.shared.follower();
            for event in events {
                match event {
                    Event::Opened(sighting) | Event::Alert(sighting) => {
                        follower.unopen(&sighting);
                        self.shared.duty.untell(sighting.id);
                    }
                    Event::Changed(sighting) if sighting.left_at.is_some() => {
                        self.owed.insert(sighting.id, sighting);
                    }
                    Event::Changed(_) | Event::Gallery(_) => {} // comes again by itself
                }
            }
        }

        drop(order); // what follows changes neither follower nor records
        self.shared.looks.take(analysed.camera, frame, &seen.tracks, &seen.looks, seen.usual_sharpness);
        let suspects = seen.tracks.iter().filter(|t| matches.contains_key(&t.id));
        if let Err(error) = outlined.and(self.shared.outlines.refresh(analysed.camera, frame, suspects)) {
            self.shared.trouble(About::Everybody, error.to_string());
        }
        let suspect_of = |id: &TrackId| matches.get(id).copied().filter(|_| committed);
        let tracks = seen
            .tracks
            .into_iter()
            .map(|track| {
                let suspect = suspect_of(&track.id);
                let outline = suspect.and_then(|_| self.shared.outlines.of(analysed.camera, track.id, at));
                TrackView { suspect, outline, track }
            })
            .collect::<Vec<_>>();
        let armed = analysed.detections.iter().filter(|d| d.class != Class::Person);
        let weapons = armed.map(|d| WeaponView { detection: *d, at }).collect::<Vec<_>>();
        path.seen.put(Seen { epoch: analysed.epoch, tracks: Arc::new(tracks), weapons: Arc::new(weapons) });
        path.meters.analysed(now, (now.seconds_since(frame.captured_at()) * 1e3) as f32, seen.new_tracks);
    }
}

impl Drop for Analysis {
    /// Whoever is in view when the site stops leaves a tracklet, too.
    fn drop(&mut self) {
        let mut records = std::mem::take(&mut self.waiting);
        records.extend(self.observers.finish());
        self.shared.runtime.block_on(self.shared.commit(&records, UNRECORDED));
    }
}

fn is_of_tracklet(record: &Record) -> bool {
    match record {
        Record::Tracklet(_) => true,
        Record::Object { key, .. } => key.starts_with(tracklets::KEYS),
        _ => false,
    }
}

impl Shared {
    /// The records of follow events; `seen` is the frame they come from, where there is one, for crops and detections.
    pub fn records_of(&self, events: &[Event], seen: Option<(CameraId, &Frame)>) -> Vec<Record> {
        let mut records = Vec::new();
        for event in events {
            match event {
                Event::Gallery(suspect) => records.push(Record::Suspect(suspect.clone())),
                Event::Alert(sighting) => records.push(Record::Sighting(sighting.clone())),
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
                    // Marked on another console, the suspect may not have been delivered yet: the sighting needs it.
                    let suspect = self.board.lock().suspect(sighting.suspect).map(|v| v.suspect.clone());
                    records.extend(suspect.map(Record::Suspect));
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

    /// The detection row of a suspect seen on `frame`, with the outline where there is one, and the frame itself as an object.
    pub fn detection_of(&self, sighting: &Sighting, frame: &Frame) -> Vec<Record> {
        let mut metadata = json!({
            "track": sighting.track, "probability": sighting.probability, "sighting": sighting.id,
            "decision": sighting.decision, "model": self.model,
        });
        // The box is in pixels of the stored image, also where that is a part of the camera's picture.
        let rect = frame.in_part(sighting.rect);
        if let (true, Some(metadata)) = (frame.is_part(), metadata.as_object_mut()) {
            metadata.insert("box_in_whole_picture".to_owned(), json!(sighting.rect));
        }
        let outline = self.outlines.of(sighting.camera, sighting.track, frame.captured_at());
        let outline = outline.map_or_else(|| rect.polygon().to_vec(), |o| o.on(&rect));
        detection(sighting.camera, frame, outline, Some(sighting.suspect), vec![DetectionKind::Suspect], metadata)
    }

    /// Commits records to the journal. Where it refuses, the operator is told so after `refused`, which says what is not done
    /// now, and the answer is `false`.
    pub async fn commit(&self, records: &[Record], refused: &str) -> bool {
        if records.is_empty() {
            return true;
        }
        match self.records.journal.append(records).await {
            Ok(()) => {
                self.search.committed(records);
                true
            }
            Err(error) => {
                self.duty.unrecorded();
                self.trouble(About::Everybody, format!("{refused}: {error}"));
                false
            }
        }
    }

    /// Puts committed events on the board, an opened sighting with its picture out of `frame`.
    pub fn show(&self, events: &[Event], frame: Option<&Frame>) {
        let now = self.records.clock.now();
        for event in events {
            let event = event.clone();
            match event {
                Event::Gallery(suspect) => self.board.lock().put_suspect(suspect, None),
                Event::Changed(sighting) => self.board.lock().put_sighting(sighting, None),
                Event::Opened(sighting) => {
                    let picture = frame.and_then(|f| crop(f, sighting.rect));
                    self.board.lock().put_sighting(sighting, picture);
                }
                Event::Alert(sighting) => {
                    let camera = self.camera_name(sighting.camera);
                    let mut board = self.board.lock();
                    let text = alert(&sighting, board.suspect(sighting.suspect), &camera);
                    let about = About::Match { sighting: sighting.id, camera: sighting.camera };
                    board.notice(now, NoticeLevel::Alert, text, about);
                    board.put_sighting(sighting, None);
                }
            }
        }
    }

    /// Which views overlap, as the configuration says it by the cameras' names, and where the cameras stand.
    pub fn topology(&self) -> Topology {
        let paths = self.cameras.paths();
        let named = |name: &String| paths.iter().find(|p| p.camera.name == *name).map(|p| p.camera.id);
        Topology::new(
            self.config.overlaps.iter().map(|group| group.cameras.iter().filter_map(named).collect()),
            paths.iter().filter_map(|p| Some((p.camera.id, p.camera.location?))),
        )
    }

    /// Learns how long people take from camera to camera, from the decided sightings that are on the board.
    pub fn learn_travel(&self) {
        let known = self.board.lock().sightings();
        self.follower().learn_travel(known.into_iter().map(|v| v.sighting.clone()));
    }

    /// Once a second: sightings of cameras that are gone and of suspects that have expired end without waiting for a frame; what was learned of
    /// overlapping views is recorded.
    pub async fn tick(&self) {
        let _order = self.order.lock().await;
        let now = self.records.clock.now();
        self.looks.forget(now);
        let mut events = Vec::new();
        let topology = self.topology();
        {
            let mut follower = self.follower();
            follower.set_topology(topology); // cameras come and go
            for path in self.cameras.paths().iter() {
                if matches!(path.status(), CameraStatus::Stale { .. }) {
                    events.extend(follower.camera_lost(path.camera.id));
                }
            }
            events.extend(follower.expire(now));
        }
        let mut events = self.duty.of_this_console(events);
        events.extend(self.abandoned(now));
        if let Some(trouble) = self.tape.as_ref().and_then(|tape| tape.trouble()) {
            self.trouble(About::Everybody, trouble);
        }
        let grounds = self.news_of_grounds(now);
        if !events.is_empty() || !grounds.is_empty() {
            let mut records = self.records_of(&events, None);
            records.extend(grounds.iter().copied().map(Record::Ground));
            if self.commit(&records, UNRECORDED).await {
                self.keep_grounds(grounds);
                self.show(&events, None);
            }
        }
    }
}

/// What the operator reads of a possible match.
pub(super) fn alert(sighting: &Sighting, suspect: Option<&SuspectView>, camera: &str) -> String {
    let label = suspect.map_or("suspect", |v| &v.suspect.label);
    let percent = (sighting.probability * 100.0).round();
    format!("Possible match {percent:.0} %: {label} in {camera}")
}

/// The crop of a person as it is stored and shown.
pub(super) fn crop(frame: &Frame, rect: Rect) -> Option<Picture> {
    frame.picture(around(rect), CROP_SIDE)
}

/// What a stored crop shows of the picture.
pub(super) fn around(rect: Rect) -> Rect {
    rect.grown(CROP_MARGIN)
}

/// Width and height of the stored crop that shows `region`, which lies in the picture.
pub(super) fn crop_size(region: Rect) -> (u32, u32) {
    Frame::size_of_picture(region, CROP_SIDE)
}

/// A picture as an object record under an address.
pub(super) fn object(url: &str, picture: &Picture) -> Option<Record> {
    let key = crate::store::key_of_url(url)?.to_owned();
    Some(Record::Object { key, content_type: "image/jpeg".to_owned(), bytes: stills::to_jpeg(picture)? })
}

/// A detection row and its frame.
pub(super) fn detection(
    camera: CameraId,
    frame: &Frame,
    detection_box: Vec<[f32; 2]>,
    suspect_id: Option<Uuid>,
    kinds: Vec<DetectionKind>,
    metadata: serde_json::Value,
) -> Vec<Record> {
    let id = Uuid::now_v7();
    let captured_at = frame.captured_at();
    let day = captured_at.utc_day();
    let image_url = url_of_key(&format!("frames/{day}/{id}.jpg"));
    let whole = Rect::new(0.0, 0.0, frame.width() as f32, frame.height() as f32);
    let picture = frame.picture(whole, FRAME_SIDE);
    let Some(image) = picture.and_then(|p| object(&image_url, &p)) else { return Vec::new() };
    let row = DetectionRecord { id, camera, image_url, suspect_id, captured_at, metadata, kinds, detection_box };
    vec![image, Record::Detection(row)]
}
