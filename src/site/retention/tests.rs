//! A whole site that deletes what is old: rows, objects and what the log says of it.
use super::*;
use crate::{
    cli::prerequisites,
    model::{Action, AgedBefore, DetectionRecord, Hold, Outcome, Sighting, Suspect, SystemClock, Tracklet, Upload},
    servers,
    site::{CameraConfig, Misfit, Site, SiteConfig},
    store::{
        Address, Addresses, LogFilter, TrackletFilter, cameras::tests as examples, tracklets::tests::tracklet,
        url_of_key,
    },
};
use std::{path::Path, sync::Arc};

const DAY: u64 = 86_400;

fn open(data: &Path, stores: Addresses) -> Site {
    let camera = CameraConfig { active: false, ..CameraConfig::new("Gate", "test:") };
    let config = SiteConfig { cameras: vec![camera], stores, ..SiteConfig::default() };
    Site::open(config, data, &prerequisites::models_dir(None), Arc::new(SystemClock)).unwrap()
}

fn jpeg() -> Vec<u8> {
    let mut bytes = Vec::new();
    let picture = image::RgbImage::from_pixel(16, 32, image::Rgb([90, 70, 80]));
    image::codecs::jpeg::JpegEncoder::new(&mut bytes).encode_image(&picture).unwrap();
    bytes
}

/// What was put there, by how long ago.
struct Filled {
    camera: CameraId,
    now: Timestamp,
}

impl Filled {
    fn ago(&self, days: u64) -> Timestamp {
        self.now.minus(Duration::from_secs(days * DAY))
    }

    async fn object(&self, shared: &Shared, key: &str) -> String {
        shared.records.stores.objects.put(key, jpeg(), "image/jpeg").await.unwrap();
        url_of_key(key)
    }

    async fn detection(&self, shared: &Shared, days: u64, suspect: Option<Uuid>) {
        let d = examples::detection(self.camera, suspect, self.ago(days));
        let image_url = self.object(shared, &format!("frames/2026-01-01/{}.jpg", d.id)).await;
        shared.records.stores.cameras.put_detection(&DetectionRecord { image_url, ..d }).await.unwrap();
    }

    async fn stay(&self, shared: &Shared, days: u64, suspect: Option<Uuid>) {
        let (id, at) = (Uuid::now_v7(), self.ago(days));
        let crop_url = self.object(shared, &format!("tracklets/2026-01-01/{id}.jpg")).await;
        let t =
            Tracklet { id, starts_at: at, ends_at: at, suspect, crop_url, upload: None, ..tracklet(self.camera, 0) };
        shared.records.stores.cameras.put_tracklet(&t).await.unwrap();
    }

    /// Somebody marked so many days ago and followed until then, with the stay where that happened: both have one picture.
    async fn suspect(&self, shared: &Shared, marked: u64, expires_at: Timestamp) -> Uuid {
        let s = examples::suspect(self.camera, "Suspect 9");
        let crop_url = self.object(shared, &format!("crops/{}.jpg", s.id)).await;
        let at = self.ago(marked);
        let s = Suspect { marked_at: at, changed_at: at, expires_at, crop_url: crop_url.clone(), ..s };
        shared.records.stores.cameras.put_suspect(&s).await.unwrap();
        let seen = Sighting { entered_at: at, last_seen_at: at, left_at: Some(at), crop_url, ..examples::sighting(&s) };
        shared.records.stores.cameras.put_sighting(&seen).await.unwrap();
        s.id
    }

    async fn upload(&self, shared: &Shared, days: u64) {
        let id = Uuid::now_v7();
        shared.records.stores.objects.put(&format!("videos/{id}.mp4"), b"abc".to_vec(), "video/mp4").await.unwrap();
        let thumbnail = self.object(shared, &format!("thumbnails/{id}.jpg")).await;
        let upload = Upload {
            id,
            camera: self.camera,
            video_url: url_of_key(&format!("videos/{id}.mp4")),
            duration: 3,
            resolution: "2x2".to_owned(),
            size: 3,
            format: "mp4".to_owned(),
            metadata: json!({"name": "a.mp4", "uploaded_at": self.ago(days).to_string(), "thumbnail": thumbnail}),
            date: self.ago(days + 1),
        };
        shared.records.stores.cameras.put_upload(&upload).await.unwrap();
    }
}

#[test]
fn old_data_goes_with_its_objects_what_is_kept_stays_and_the_stores_still_fit() {
    for on_a_server in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let cameras = on_a_server.then(|| Address::parse(&servers::postgres().database()).unwrap());
        let site = open(folder.path(), Addresses { cameras, ..Addresses::default() });
        let shared = &site.shared;
        shared.runtime.block_on(async {
            assert!(shared.records.delivery.flush().await, "the camera is registered");
            let (store, now) = (&shared.records.stores.cameras, shared.records.clock.now());
            let filled = Filled { camera: store.cameras().await.unwrap()[0].id, now };
            let followed = filled.suspect(shared, 60, now.plus(Duration::from_secs(3600))).await;
            let closed = filled.suspect(shared, 60, filled.ago(55)).await;
            for (days, suspect) in [(5, None), (31, None), (50, None), (59, Some(closed)), (59, Some(followed))] {
                filled.detection(shared, days, suspect).await;
                filled.stay(shared, days, suspect).await;
            }
            filled.upload(shared, 3).await;
            filled.upload(shared, 40).await;
            let hold = Hold {
                id: Uuid::now_v7(),
                case: None,
                camera: Some(filled.camera),
                from: filled.ago(51),
                until: filled.ago(49),
                reason: "case 7".to_owned(),
                placed_by: "1".to_owned(),
                placed_at: now,
                released: None,
            };
            shared.casework.take_hold(hold); // has not reached the database yet
            assert!(shared.records.check(("1", ""), true, false).await.unwrap().is_whole(), "at first");

            shared.sweep_data().await.unwrap();
            let checked = shared.records.check(("1", ""), true, false).await.unwrap();
            assert!(checked.misfits.is_empty(), "{checked:?}");
            let left = store.tracklets(&TrackletFilter::default()).await.unwrap().len();
            assert_eq!((store.detections(&Default::default()).await.unwrap().len(), left), (3, 3));
            let suspects: Vec<_> = store.suspects().await.unwrap().into_iter().map(|s| s.id).collect();
            assert_eq!((suspects, store.sightings(None, 9).await.unwrap().len()), (vec![followed], 1));
            assert_eq!(store.uploads(None).await.unwrap().len(), 1);
            assert_eq!(
                checked.objects,
                3 + 3 + 1 + 2,
                "frames, stays, the picture of a suspect, a video with its picture"
            );

            // One entry for each kind, with what and how many; the next sweep finds nothing and says nothing.
            shared.sweep_data().await.unwrap();
            assert!(shared.records.delivery.flush().await);
            let log = shared.records.stores.actions.page(&LogFilter::default(), None, 100).await.unwrap();
            let told: BTreeMap<_, _> = log
                .iter()
                .filter(|e| e.action == Action::DeleteData && e.outcome == Outcome::Succeeded)
                .map(|e| (e.details["what"].as_str().unwrap(), e.details["cameras"]["Gate"].as_u64().unwrap()))
                .collect();
            let expected = [("uploads", 1), ("detections", 2), ("stays", 2), ("sightings", 1), ("suspects", 1)];
            assert_eq!(told, BTreeMap::from(expected));
            assert_eq!(log.iter().filter(|e| e.action == Action::DeleteData).count(), expected.len());

            // Broken off between rows and objects: the check tells of what is left, and the next sweep goes on there.
            filled.detection(shared, 45, None).await;
            let before = AgedBefore::of_test(filled.ago(30));
            let mut book = Book { kept: &|| shared.kept(now), entry: &mut |_| None };
            let swept = store.sweep(Aged::Detections, before, now, &mut book, None, PIECE).await.unwrap();
            assert_eq!(swept.deleted.len(), 1);
            let checked = shared.records.check(("1", ""), false, false).await.unwrap();
            assert!(matches!(&checked.misfits[..], [Misfit::Orphan { .. }]), "{checked:?}");
            shared.sweep_data().await.unwrap();
            assert!(shared.records.check(("1", ""), false, false).await.unwrap().misfits.is_empty());
        });
    }
}

#[test]
fn zero_days_keep_for_ever_and_days_are_not_negative() {
    let keep = RetentionConfig { detections_days: 0.0, suspects_days: 0.0, uploads_days: 0.0 };
    assert!(keep.checks().iter().all(|(fine, _)| *fine));
    assert!(!RetentionConfig { uploads_days: -1.0, ..keep }.checks().iter().all(|(fine, _)| *fine));
    assert!(Aged::ALL.iter().all(|what| keep.days(*what) == 0.0));
}
