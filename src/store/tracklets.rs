//! Tracklets: what was seen of one person in one stay. Kept compactly: a path takes 12 bytes a box, an appearance vector two bytes
//! a number, and both are read only where asked for.
use super::{
    CameraStore, StoreError,
    sql::{Row, json, sql},
};
use crate::model::{CameraId, Descriptor, DescriptorKind, Rect, SuspectId, Timestamp, TrackId, Tracklet, TrackletId};
use uuid::Uuid;

/// Which tracklets to read; the default is the newest hundred of all, with their paths and without their vectors.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackletFilter {
    /// Of these cameras only.
    pub cameras: Option<Vec<CameraId>>,
    /// Of one uploaded video only.
    pub upload: Option<Uuid>,
    /// Taken for this suspect only.
    pub suspect: Option<SuspectId>,
    /// Still in view at this instant or later.
    pub from: Option<Timestamp>,
    /// Began before this instant.
    pub until: Option<Timestamp>,
    /// Older than this one (its start and identity): the next page.
    pub before: Option<(Timestamp, TrackletId)>,
    /// At most so many.
    pub limit: u32,
    /// Whether the appearance vectors are read, too; without them `gallery` is empty.
    pub vectors: bool,
}

impl Default for TrackletFilter {
    fn default() -> Self {
        Self {
            cameras: None,
            upload: None,
            suspect: None,
            from: None,
            until: None,
            before: None,
            limit: 100,
            vectors: false,
        }
    }
}

impl CameraStore {
    /// Records a tracklet. Boxes are kept to a quarter of a pixel, vectors to 1/32767.
    ///
    /// # Errors
    /// [`StoreError::BadRecord`] when its camera is not registered; otherwise the store's trouble.
    pub async fn put_tracklet(&self, t: &Tracklet) -> Result<(), StoreError> {
        let upsert = sql("INSERT INTO tracklets (id, camera, track, upload, starts_at, ends_at, width, height, path,
             crop_url, gallery, characteristics, suspect)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
             ON CONFLICT (id) DO UPDATE SET camera = excluded.camera, track = excluded.track, upload = excluded.upload,
             starts_at = excluded.starts_at, ends_at = excluded.ends_at, width = excluded.width,
             height = excluded.height, path = excluded.path, crop_url = excluded.crop_url,
             gallery = excluded.gallery, characteristics = excluded.characteristics, suspect = excluded.suspect")
        .bind(t.id)
        .bind(t.camera)
        .bind(t.track.0.cast_signed()) // SQL has no unsigned integers
        .bind(t.upload)
        .bind(t.starts_at)
        .bind(t.ends_at)
        .bind(t.frame.0)
        .bind(t.frame.1)
        .bind(path_bytes(&t.path))
        .bind(&t.crop_url)
        .bind(gallery_bytes(&t.gallery))
        .bind(json(&t.characteristics)?)
        .bind(t.suspect);
        self.db.execute(upsert).await
    }

    /// The tracklets that pass the filter, newest start first.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn tracklets(&self, filter: &TrackletFilter) -> Result<Vec<Tracklet>, StoreError> {
        if filter.cameras.as_ref().is_some_and(Vec::is_empty) {
            return Ok(Vec::new());
        }
        let mut page = sql(if filter.vectors {
            "SELECT * FROM tracklets WHERE TRUE"
        } else {
            "SELECT id, camera, track, upload, starts_at, ends_at, width, height, path, crop_url, characteristics, suspect
             FROM tracklets WHERE TRUE"
        });
        for (i, camera) in filter.cameras.iter().flatten().enumerate() {
            page = page.and(if i == 0 { " AND camera IN (" } else { ", " }, *camera);
        }
        if filter.cameras.is_some() {
            page = page.text(")");
        }
        if let Some(upload) = filter.upload {
            page = page.and(" AND upload = ", upload);
        }
        if let Some(suspect) = filter.suspect {
            page = page.and(" AND suspect = ", suspect);
        }
        if let Some(from) = filter.from {
            page = page.and(" AND ends_at >= ", from);
        }
        if let Some(until) = filter.until {
            page = page.and(" AND starts_at < ", until);
        }
        if let Some((starts_at, id)) = filter.before {
            page = page.and(" AND (starts_at, id) < (", starts_at).and(", ", id).text(")");
        }
        page = page.and(" ORDER BY starts_at DESC, id DESC LIMIT ", filter.limit);
        let vectors = filter.vectors;
        self.db.fetch(page, move |row| tracklet_from_row(row, vectors)).await
    }

    /// One tracklet, whole; `None` when there is none.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn tracklet(&self, id: TrackletId) -> Result<Option<Tracklet>, StoreError> {
        let one = sql("SELECT * FROM tracklets WHERE id = $1").bind(id);
        Ok(self.db.fetch(one, |row| tracklet_from_row(row, true)).await?.pop())
    }
}

fn tracklet_from_row(row: &Row, vectors: bool) -> sqlx::Result<Tracklet> {
    let damaged = |column: &str| sqlx::Error::Decode(format!("the column {column} of a tracklet is damaged").into());
    let pixels = |column: &str| u32::try_from(row.get::<i64>(column)?).map_err(|_| damaged(column));
    let gallery = if vectors {
        gallery_from_bytes(&row.get::<Vec<u8>>("gallery")?).ok_or_else(|| damaged("gallery"))?
    } else {
        Vec::new()
    };
    Ok(Tracklet {
        id: row.uuid("id")?,
        camera: row.uuid("camera")?,
        track: TrackId(row.get::<i64>("track")?.cast_unsigned()),
        upload: row.uuid_or_null("upload")?,
        starts_at: row.instant("starts_at")?,
        ends_at: row.instant("ends_at")?,
        frame: (pixels("width")?, pixels("height")?),
        path: path_from_bytes(&row.get::<Vec<u8>>("path")?).ok_or_else(|| damaged("path"))?,
        crop_url: row.get("crop_url")?,
        gallery,
        characteristics: row.json("characteristics")?,
        suspect: row.uuid_or_null("suspect")?,
    })
}

/// The instant of the first box in microseconds (8 bytes), then for each box the microseconds since the one before (4 bytes) and x, y,
/// width and height in quarters of a pixel (2 bytes each); little-endian. What does not fit is clamped.
fn path_bytes(path: &[(Timestamp, Rect)]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 + 12 * path.len());
    let Some((first, _)) = path.first() else { return bytes };
    bytes.extend(first.0.to_le_bytes());
    let mut last = first.0;
    for (at, r) in path {
        let since = u32::try_from((at.0 - last).max(0)).unwrap_or(u32::MAX);
        last += i64::from(since);
        bytes.extend(since.to_le_bytes());
        for side in [r.x, r.y, r.w, r.h] {
            bytes.extend(((side * 4.0).round() as i16).to_le_bytes()); // `as` saturates
        }
    }
    bytes
}

fn path_from_bytes(bytes: &[u8]) -> Option<Vec<(Timestamp, Rect)>> {
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let (first, boxes) = bytes.split_first_chunk::<8>()?;
    let mut at = i64::from_le_bytes(*first);
    let (boxes, rest) = boxes.as_chunks::<12>();
    let read = |b: &[u8; 12]| {
        let [t0, t1, t2, t3, sides @ ..] = *b;
        at = at.checked_add(u32::from_le_bytes([t0, t1, t2, t3]).into())?;
        let [x0, x1, y0, y1, w0, w1, h0, h1] = sides;
        let [x, y, w, h] =
            [[x0, x1], [y0, y1], [w0, w1], [h0, h1]].map(|side| f32::from(i16::from_le_bytes(side)) / 4.0);
        Some((Timestamp(at), Rect::new(x, y, w, h)))
    };
    if rest.is_empty() { boxes.iter().map(read).collect() } else { None }
}

/// What a number of a unit vector is multiplied by.
const SCALE: f32 = 32_767.0;

/// For each vector its kind (1 byte), its length (2 bytes) and its numbers times [`SCALE`] (2 bytes each); little-endian.
fn gallery_bytes(gallery: &[Descriptor]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for d in gallery {
        let Ok(length) = u16::try_from(d.vector.len()) else { continue }; // no descriptor is that long
        bytes.push(match d.kind {
            DescriptorKind::ColourStripes => 0,
            DescriptorKind::Learned => 1,
        });
        bytes.extend(length.to_le_bytes());
        bytes.extend(d.vector.iter().flat_map(|v| ((v * SCALE).round() as i16).to_le_bytes()));
    }
    bytes
}

fn gallery_from_bytes(mut bytes: &[u8]) -> Option<Vec<Descriptor>> {
    let mut gallery = Vec::new();
    while let Some(([kind, a, b], rest)) = bytes.split_first_chunk::<3>() {
        let kind = match kind {
            0 => DescriptorKind::ColourStripes,
            1 => DescriptorKind::Learned,
            _ => return None,
        };
        let (numbers, rest) = rest.split_at_checked(2 * usize::from(u16::from_le_bytes([*a, *b])))?;
        let (numbers, _) = numbers.as_chunks::<2>();
        let vector = numbers.iter().map(|n| f32::from(i16::from_le_bytes(*n)) / SCALE).collect();
        gallery.push(Descriptor { kind, vector });
        bytes = rest;
    }
    bytes.is_empty().then_some(gallery)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::store::{cameras::tests::camera, sql::tests::backends};
    use proptest::prelude::*;
    use std::time::Duration;

    const T0: Timestamp = Timestamp(1_795_000_000_000_000);

    pub(crate) fn tracklet(camera: CameraId, second: u64) -> Tracklet {
        let starts_at = T0.plus(Duration::from_secs(second));
        let path: Vec<_> = (0..5u16)
            .map(|i| {
                let at = starts_at.plus(Duration::from_millis(200 * u64::from(i)));
                (at, Rect::new(1.25 + 3.0 * f32::from(i), -2.5, 30.75, 80.0))
            })
            .collect();
        let vector = |kind, v: [i16; 3]| Descriptor { kind, vector: v.iter().map(|n| f32::from(*n) / SCALE).collect() };
        Tracklet {
            id: Uuid::new_v4(),
            camera,
            track: TrackId(7),
            upload: None,
            starts_at,
            ends_at: path[4].0,
            frame: (768, 576),
            path,
            crop_url: "objects:crops/t.jpg".to_owned(),
            gallery: vec![
                vector(DescriptorKind::ColourStripes, [32_767, 0, -5]),
                vector(DescriptorKind::Learned, [-1, 20_000, 3]),
            ],
            characteristics: serde_json::Value::Null,
            suspect: None,
        }
    }

    #[tokio::test]
    async fn tracklets_read_back_with_or_without_vectors_and_the_newest_version_counts() {
        for fresh in backends() {
            let store = CameraStore::connect(&fresh.address).await.unwrap();
            let camera = camera();
            let mut first = tracklet(camera.id, 0);
            assert!(store.put_tracklet(&first).await.unwrap_err().is_bad_record(), "of an unknown camera");
            store.upsert_camera(&camera).await.unwrap();
            store.put_tracklet(&first).await.unwrap();
            first.suspect = Some(Uuid::new_v4());
            first.upload = Some(Uuid::new_v4());
            first.characteristics = serde_json::json!({ "upper": "red" });
            first.path.push((first.ends_at.plus(Duration::from_secs(90)), Rect::new(0.0, 0.0, 20.0, 50.0)));
            store.put_tracklet(&first).await.unwrap();
            let all = TrackletFilter { vectors: true, ..TrackletFilter::default() };
            assert_eq!(store.tracklets(&all).await.unwrap(), std::slice::from_ref(&first));
            assert_eq!(store.tracklet(first.id).await.unwrap(), Some(first.clone()));
            let plain = Tracklet { gallery: Vec::new(), ..first.clone() };
            assert_eq!(store.tracklets(&TrackletFilter::default()).await.unwrap(), [plain]);
            assert_eq!(store.tracklet(Uuid::new_v4()).await.unwrap(), None);
        }
    }

    #[tokio::test]
    async fn filters_combine_and_pages_follow_each_other() {
        for fresh in backends() {
            let store = CameraStore::connect(&fresh.address).await.unwrap();
            let cameras = [camera(), camera(), camera()];
            let mut all = Vec::new();
            for c in &cameras {
                store.upsert_camera(c).await.unwrap();
                for second in 0..6 {
                    let t = tracklet(c.id, 10 * second);
                    store.put_tracklet(&t).await.unwrap();
                    all.push(t);
                }
            }
            let ids = |found: Vec<Tracklet>| found.into_iter().map(|t| t.id).collect::<Vec<_>>();
            let at = |s: f64| Some(T0.plus(Duration::from_secs_f64(s)));
            // whoever was in view between 10.5 and 31 s, the one who came at 10 and left at 10.8 included
            let some = TrackletFilter {
                cameras: Some(vec![cameras[0].id, cameras[2].id]),
                from: at(10.5),
                until: at(31.0),
                ..TrackletFilter::default()
            };
            let found = store.tracklets(&some).await.unwrap();
            assert_eq!(found.len(), 6);
            assert!(found.iter().all(|t| t.camera != cameras[1].id) && found.is_sorted_by_key(|t| -t.starts_at.0));
            let nowhere = TrackletFilter { cameras: Some(Vec::new()), ..TrackletFilter::default() };
            assert_eq!(store.tracklets(&nowhere).await.unwrap(), []);
            let (mut pages, mut before) = (Vec::new(), None);
            loop {
                let page = TrackletFilter { limit: 4, before, ..TrackletFilter::default() };
                let page = store.tracklets(&page).await.unwrap();
                let Some(last) = page.last() else { break };
                before = Some((last.starts_at, last.id));
                pages.extend(page);
            }
            all.sort_by_key(|t| std::cmp::Reverse((t.starts_at, t.id)));
            assert_eq!(ids(pages), ids(all));
        }
    }

    proptest! {
        #[test]
        fn what_is_kept_is_near_what_was_seen(
            start in 0i64..4_000_000_000_000_000,
            boxes in prop::collection::vec((0u32..10_000_000, -500f32..8000.0, -500f32..8000.0, 1f32..4000.0, 1f32..4000.0), 0..50),
        ) {
            let mut at = start;
            let path: Vec<_> = boxes.iter().map(|&(dt, x, y, w, h)| {
                at += i64::from(dt);
                (Timestamp(at), Rect::new(x, y, w, h))
            }).collect();
            let kept = path_from_bytes(&path_bytes(&path)).unwrap();
            prop_assert_eq!(kept.len(), path.len());
            for ((t, a), (u, b)) in path.iter().zip(&kept) {
                prop_assert_eq!(t, u);
                let far = (a.x - b.x).abs().max((a.y - b.y).abs()).max((a.w - b.w).abs()).max((a.h - b.h).abs());
                prop_assert!(far <= 0.126, "{a:?} {b:?}");
            }
        }

        #[test]
        fn damaged_bytes_are_refused_or_read_and_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = (path_from_bytes(&bytes), gallery_from_bytes(&bytes));
        }
    }

    #[test]
    fn a_cut_path_or_gallery_is_damage() {
        let t = tracklet(Uuid::new_v4(), 0);
        let (path, gallery) = (path_bytes(&t.path), gallery_bytes(&t.gallery));
        assert_eq!((path.len(), gallery.len()), (8 + 12 * 5, 2 * (3 + 6)));
        assert_eq!(path_from_bytes(&path[..path.len() - 1]), None);
        assert_eq!(gallery_from_bytes(&gallery[..gallery.len() - 1]), None);
    }
}
