//! What is kept of everybody who walks through a camera's view, suspect or not: the tracklets that search and review work on. The
//! live analysis and jobs over recordings come through here.
use super::{analysis, stills};
use crate::{
    follow::Gallery,
    model::{CameraId, Descriptor, MatchView, Rect, Timestamp, Track, TrackId, Tracklet},
    store::{key_of_url, url_of_key},
    sync::Record,
    video::Frame,
    vision::{self, Look, QualityGate},
};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use uuid::Uuid;

/// What the keys of their pictures begin with.
pub(super) const KEYS: &str = "tracklets/";
/// Whoever was measured fewer times, or for less long, was a ghost.
const LEAST_BOXES: usize = 4;
const LEAST_SECONDS: f64 = 0.6;
/// Somebody who stays is recorded after so long, and again whenever the stay has doubled.
const FIRST_RECORD_SECONDS: f64 = 20.0;
/// A longer stay goes on as a tracklet of its own.
const LONGEST_SECONDS: f64 = 600.0;
/// Looks kept of one stay.
const LOOKS: usize = 6;
/// A crop replaces the best one when it is better by so much.
const CLEARLY_BETTER: f32 = 1.2;

/// The tracklets of one camera, or of one uploaded video, as they grow.
pub(super) struct Tracklets {
    camera: CameraId,
    upload: Option<Uuid>,
    gate: QualityGate,
    growing: BTreeMap<TrackId, Growing>,
}

struct Growing {
    tracklet: Tracklet,
    gallery: Gallery,
    /// The best crop so far, as JPEG, until it is recorded.
    crop: Vec<u8>,
    quality: f32,
    recorded: bool,
    next_record: f64,
}

impl Tracklets {
    /// Nobody yet. `upload` is the video's, for recordings.
    pub fn new(camera: CameraId, upload: Option<Uuid>) -> Self {
        Self { camera, upload, gate: QualityGate::default(), growing: BTreeMap::new() }
    }

    /// How sharp crops of this camera usually are.
    pub fn usual_sharpness(&self) -> Option<f32> {
        self.gate.usual_sharpness()
    }

    /// How well each of the tracks measured on this frame is seen.
    pub fn looks(&mut self, frame: &Frame, tracks: &[Track]) -> BTreeMap<TrackId, Look> {
        let boxes: Vec<Rect> = tracks.iter().map(|t| t.rect).collect();
        let measured = tracks.iter().filter(|t| t.measured_at == t.at);
        measured.map(|t| (t.id, self.gate.look(frame, t.rect, &boxes))).collect()
    }

    /// Takes the tracks of one frame with what [`looks`](Self::looks) says of them, and whom each is taken for. Returns the records of
    /// those who have stayed long.
    pub fn observe(
        &mut self,
        frame: &Frame,
        tracks: &[Track],
        looks: &BTreeMap<TrackId, Look>,
        appearance: &BTreeMap<TrackId, &Descriptor>,
        matches: &BTreeMap<TrackId, MatchView>,
    ) -> Vec<Record> {
        let mut records = Vec::new();
        for track in tracks.iter().filter(|t| t.measured_at == t.at) {
            let stay = self.growing.get(&track.id).map(|g| track.at.seconds_since(g.tracklet.starts_at));
            if stay.is_some_and(|s| s >= LONGEST_SECONDS) {
                records.extend(self.end(track.id));
            }
            let (camera, upload) = (self.camera, self.upload);
            let growing =
                self.growing.entry(track.id).or_insert_with(|| Growing::new(camera, upload, frame, track.id, track.at));
            let look = looks.get(&track.id).copied().unwrap_or_default();
            growing.see(frame, track, look, appearance.get(&track.id).copied());
            growing.tracklet.suspect = matches.get(&track.id).map(|m| m.suspect);
            let stay = growing.tracklet.ends_at.seconds_since(growing.tracklet.starts_at);
            if stay >= growing.next_record {
                growing.next_record = 2.0 * stay;
                records.extend(growing.records());
            }
        }
        records
    }

    /// A track ended: its records, none for a ghost.
    pub fn end(&mut self, track: TrackId) -> Vec<Record> {
        self.growing.remove(&track).map(|mut growing| growing.records()).unwrap_or_default()
    }

    /// All tracks ended.
    pub fn finish(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.growing).into_values().flat_map(|mut growing| growing.records()).collect()
    }
}

impl Growing {
    fn new(camera: CameraId, upload: Option<Uuid>, frame: &Frame, track: TrackId, at: Timestamp) -> Self {
        let id = tracklet_id(camera, upload, track, at);
        let day = at.utc_day();
        Self {
            tracklet: Tracklet {
                id,
                camera,
                track,
                upload,
                starts_at: at,
                ends_at: at,
                frame: (frame.width(), frame.height()),
                path: Vec::new(),
                crop_url: url_of_key(&format!("{KEYS}{day}/{id}.jpg")),
                gallery: Vec::new(),
                characteristics: serde_json::Value::Null,
                suspect: None,
            },
            gallery: Gallery::default(),
            crop: Vec::new(),
            quality: -1.0,
            recorded: false,
            next_record: FIRST_RECORD_SECONDS,
        }
    }

    fn see(&mut self, frame: &Frame, track: &Track, look: Look, descriptor: Option<&Descriptor>) {
        self.tracklet.ends_at = track.at;
        self.tracklet.path.push((track.at, track.rect));
        if let Some(descriptor) = descriptor.filter(|_| look.good) {
            self.gallery.add(descriptor, LOOKS);
        }
        // A stored object never changes: once recorded, the crop stays.
        let quality = if look.good { look.quality } else { 0.1 * look.quality };
        if !self.recorded
            && quality > CLEARLY_BETTER * self.quality
            && let Some(jpeg) = analysis::crop(frame, track.rect).and_then(|p| stills::to_jpeg(&p))
        {
            self.crop = jpeg;
            self.quality = quality;
            let looks = vision::characteristics(frame, track.rect, None);
            self.tracklet.characteristics = serde_json::to_value(looks).unwrap_or_default();
        }
    }

    fn records(&mut self) -> Vec<Record> {
        let stay = self.tracklet.ends_at.seconds_since(self.tracklet.starts_at);
        let Some(key) = key_of_url(&self.tracklet.crop_url).map(str::to_owned) else { return Vec::new() };
        if self.tracklet.path.len() < LEAST_BOXES || stay < LEAST_SECONDS || (self.crop.is_empty() && !self.recorded) {
            return Vec::new();
        }
        self.tracklet.gallery = self.gallery.vectors().to_vec();
        let mut records = Vec::new();
        if !std::mem::replace(&mut self.recorded, true) {
            let bytes = std::mem::take(&mut self.crop);
            records.push(Record::Object { key, content_type: "image/jpeg".to_owned(), bytes });
        }
        records.push(Record::Tracklet(self.tracklet.clone()));
        records
    }
}

/// The same stay has the same identity however often it is computed: a job that is done again writes the same records.
fn tracklet_id(camera: CameraId, upload: Option<Uuid>, track: TrackId, starts_at: Timestamp) -> Uuid {
    let mut hash = Sha256::new();
    hash.update(camera.as_bytes());
    hash.update(upload.unwrap_or_default().as_bytes());
    hash.update(track.0.to_be_bytes());
    hash.update(starts_at.0.to_be_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    let (first, _) = digest.split_at(16);
    uuid::Builder::from_custom_bytes(first.try_into().unwrap_or([0; 16])).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::DescriptorKind, video::Color};

    const CAMERA: CameraId = Uuid::from_u128(1);

    fn frame(at: Timestamp) -> Frame {
        gstreamer::init().unwrap();
        let bytes: Vec<u8> = (0..160 * 120 * 3 / 2u32).map(|i| (i * 37 % 251) as u8).collect();
        Frame::from_i420(160, 120, &bytes, Color::BT601, 0, at).unwrap()
    }

    fn track(id: u64, at: Timestamp) -> Track {
        Track {
            id: TrackId(id),
            rect: Rect::new(40.0, 20.0, 30.0, 80.0),
            velocity: [0.0; 2],
            at,
            measured_at: at,
            first_seen: Timestamp(0),
            score: 0.7,
            hits: 5,
        }
    }

    /// Somebody stays for so many frames of a fifth of a second; what was recorded meanwhile.
    fn stay(tracklets: &mut Tracklets, id: u64, frames: std::ops::Range<i64>) -> Vec<Record> {
        let descriptor = Descriptor { kind: DescriptorKind::ColourStripes, vector: [1.0, 0.0].into() };
        let mut records = Vec::new();
        for i in frames {
            let frame = frame(Timestamp(i * 200_000));
            let tracks = [track(id, frame.captured_at())];
            let looks = tracklets.looks(&frame, &tracks);
            let appearance = [(TrackId(id), &descriptor)].into();
            records.extend(tracklets.observe(&frame, &tracks, &looks, &appearance, &BTreeMap::new()));
        }
        records
    }

    #[test]
    fn a_stay_leaves_one_tracklet_with_path_look_and_picture_and_a_ghost_none() {
        let mut tracklets = Tracklets::new(CAMERA, None);
        assert_eq!(stay(&mut tracklets, 1, 0..10), []);
        stay(&mut tracklets, 2, 0..3);
        assert_eq!(tracklets.end(TrackId(2)), []);
        let records = tracklets.end(TrackId(1));
        let [Record::Object { key, bytes, .. }, Record::Tracklet(t)] = &records[..] else { panic!("{records:?}") };
        assert_eq!(url_of_key(key), t.crop_url);
        let picture = stills::from_jpeg(bytes.clone()).unwrap();
        assert!(picture.height() > picture.width(), "a person's picture is upright");
        assert_eq!((t.path.len(), t.gallery.len(), t.frame), (10, 1, (160, 120)));
        assert_eq!((t.starts_at, t.ends_at), (Timestamp(0), Timestamp(1_800_000)));
        assert_eq!(tracklets.end(TrackId(1)), []);
    }

    #[test]
    fn whoever_stays_is_recorded_meanwhile_under_one_identity_with_one_picture() {
        let mut tracklets = Tracklets::new(CAMERA, None);
        let mut records = stay(&mut tracklets, 1, 0..600);
        records.extend(tracklets.finish());
        let pictures = records.iter().filter(|r| matches!(r, Record::Object { .. })).count();
        let stays: Vec<_> =
            records.iter().filter_map(|r| if let Record::Tracklet(t) = r { Some(t) } else { None }).collect();
        assert_eq!(pictures, 1);
        assert!(stays.len() >= 3 && stays.len() <= 5, "{}", stays.len());
        assert!(stays.iter().all(|t| t.id == stays[0].id && t.crop_url == stays[0].crop_url));
        assert_eq!(stays.last().unwrap().path.len(), 600);
    }

    #[test]
    fn a_very_long_stay_is_cut_and_a_repeated_job_has_the_same_identities() {
        let ids = || {
            let mut tracklets = Tracklets::new(CAMERA, Some(Uuid::from_u128(9)));
            let mut records = stay(&mut tracklets, 1, 0..3100);
            records.extend(tracklets.finish());
            let mut ids: Vec<_> =
                records.iter().filter_map(|r| if let Record::Tracklet(t) = r { Some(t.id) } else { None }).collect();
            ids.dedup();
            ids
        };
        assert_eq!(ids().len(), 2);
        assert_eq!(ids(), ids());
    }
}
