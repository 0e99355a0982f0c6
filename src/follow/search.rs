//! Who of everybody seen looks like this? A flat index of appearance vectors, searched exhaustively in one pass over memory: exact,
//! and as fast as memory is read.
use super::sighting_id;
use crate::model::{
    CameraId, Decision, Descriptor, DescriptorKind, Rect, Sighting, Suspect, SuspectId, Timestamp, TrackId, Tracklet,
    TrackletId,
};
use std::{cmp::Ordering, collections::BTreeMap};

/// Numbers of a unit vector are kept times this, in 16 bits: half the memory of floats, cosines right to four digits.
const SCALE: f32 = 32_767.0;

/// One stay of one person that can be found.
#[derive(Clone, Debug, PartialEq)]
pub struct Stay {
    /// The tracklet.
    pub id: TrackletId,
    /// Where.
    pub camera: CameraId,
    /// The camera's track.
    pub track: TrackId,
    /// From when.
    pub starts_at: Timestamp,
    /// To when.
    pub ends_at: Timestamp,
    /// Object address of its crop.
    pub crop_url: String,
}

impl From<&Tracklet> for Stay {
    fn from(t: &Tracklet) -> Self {
        let &Tracklet { id, camera, track, starts_at, ends_at, .. } = t;
        Self { id, camera, track, starts_at, ends_at, crop_url: t.crop_url.clone() }
    }
}

impl Stay {
    /// The stay as the first sighting of a suspect who was marked on a recording of it; `rect` is the box that was clicked.
    pub fn origin(self, suspect: &Suspect, rect: Rect) -> Sighting {
        let (decision, crop_url) = (Decision::Origin, suspect.crop_url.clone());
        Sighting { decision, crop_url, rect, ..self.sighting(suspect.id, 1.0) }
    }

    /// The stay as a possible match that waits for a decision; `probability` in `0.0..=1.0`. Where in the frame the person was is not
    /// kept: the box is empty.
    pub fn sighting(self, suspect: SuspectId, probability: f32) -> Sighting {
        let Self { camera, track, starts_at, ends_at, crop_url, .. } = self;
        Sighting {
            id: sighting_id(suspect, camera, track, starts_at),
            suspect,
            camera,
            track,
            entered_at: starts_at,
            last_seen_at: ends_at,
            left_at: Some(ends_at),
            probability,
            decision: Decision::Pending,
            crop_url,
            rect: Rect::default(),
        }
    }
}

/// A stay that looks like what was searched for.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// Which.
    pub stay: Stay,
    /// Mean over its looks of the greatest cosine to any look searched for, see [`Gallery::similarity`](super::Gallery::similarity).
    pub similarity: f32,
    /// Its looks.
    pub looks: Vec<Descriptor>,
}

/// The looks of one kind and length, row after row.
struct Plane {
    kind: DescriptorKind,
    length: usize,
    rows: Vec<i16>,
    /// Whose rows: a stay and how many, in the order of the rows. `None` where a newer version has taken its place.
    owners: Vec<(Option<Stay>, usize)>,
    place: BTreeMap<TrackletId, usize>,
}

/// The looks of many stays.
#[derive(Default)]
pub struct Index {
    planes: Vec<Plane>,
}

impl Index {
    /// Adds a tracklet's looks, or replaces those of an older version of it. One without looks cannot be found.
    pub fn put(&mut self, tracklet: &Tracklet) {
        let Some(first) = tracklet.gallery.first() else { return };
        let (kind, length) = (first.kind, first.vector.len());
        let place = self.planes.iter().position(|p| p.kind == kind && p.length == length).unwrap_or_else(|| {
            self.planes.push(Plane { kind, length, rows: Vec::new(), owners: Vec::new(), place: BTreeMap::new() });
            self.planes.len() - 1
        });
        if length > 0
            && let Some(plane) = self.planes.get_mut(place)
        {
            plane.put(tracklet);
        }
    }

    /// Forgets whoever left before `t`.
    pub fn forget_before(&mut self, t: Timestamp) {
        self.planes.iter_mut().for_each(|plane| plane.forget_before(t));
    }

    /// How many looks are kept.
    pub fn len(&self) -> usize {
        self.planes.iter().map(|p| p.rows.len() / p.length.max(1)).sum()
    }

    /// How many looks of acceptable stays are kept.
    pub fn count(&self, accept: impl Fn(&Stay) -> bool) -> usize {
        self.planes.iter().map(|plane| plane.count(&accept)).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The `k` acceptable stays that look most like `query` (any of its vectors), most alike first; equals by identity. Looks of
    /// another kind than the query's cannot be compared and are passed over.
    pub fn search(&self, query: &[Descriptor], k: usize, accept: impl Fn(&Stay) -> bool) -> Vec<Hit> {
        let mut best: Vec<(f32, usize, usize)> = Vec::new(); // similarity, plane, owner
        for (p, plane) in self.planes.iter().enumerate() {
            let query: Vec<Vec<i16>> = query
                .iter()
                .filter(|d| d.kind == plane.kind && d.vector.len() == plane.length)
                .map(|d| d.vector.iter().map(|v| to_fixed(*v)).collect())
                .collect();
            if !query.is_empty() {
                plane.scan(&query, &accept, |similarity, owner| keep(&mut best, k, (similarity, p, owner)));
            }
        }
        let mut hits: Vec<Hit> =
            best.into_iter().filter_map(|(s, p, owner)| self.planes.get(p)?.hit(owner, s)).collect();
        hits.sort_by(|a, b| b.similarity.total_cmp(&a.similarity).then(a.stay.id.cmp(&b.stay.id)));
        hits
    }
}

/// Keeps the `k` best: a list that is cut when it has grown to twice that.
fn keep(best: &mut Vec<(f32, usize, usize)>, k: usize, found: (f32, usize, usize)) {
    let order =
        |a: &(f32, usize, usize), b: &(f32, usize, usize)| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2)));
    let k = k.max(1);
    if let Some(worst) = best.get(k - 1)
        && order(&found, worst) == Ordering::Greater
    {
        return;
    }
    let place = best.partition_point(|b| order(b, &found) == Ordering::Less);
    best.insert(place, found);
    best.truncate(k);
}

impl Plane {
    fn count(&self, accept: impl Fn(&Stay) -> bool) -> usize {
        let counted = self.owners.iter().filter(|(stay, _)| stay.as_ref().is_some_and(&accept));
        counted.map(|(_, looks)| looks).sum()
    }

    fn put(&mut self, tracklet: &Tracklet) {
        if let Some(old) = self.place.get(&tracklet.id).and_then(|i| self.owners.get_mut(*i)) {
            old.0 = None;
        }
        let mut count = 0;
        for look in tracklet.gallery.iter().filter(|d| d.kind == self.kind && d.vector.len() == self.length) {
            self.rows.extend(look.vector.iter().map(|v| to_fixed(*v)));
            count += 1;
        }
        self.place.insert(tracklet.id, self.owners.len());
        self.owners.push((Some(Stay::from(tracklet)), count));
    }

    fn forget_before(&mut self, t: Timestamp) {
        let stays = |o: &(Option<Stay>, usize)| o.0.as_ref().is_some_and(|s| s.ends_at >= t);
        let gone: usize = self.owners.iter().filter(|o| !stays(o)).count();
        if gone * 4 < self.owners.len().max(1) {
            return; // not worth moving the rest
        }
        let (mut rows, mut owners, mut place) = (Vec::new(), Vec::new(), BTreeMap::new());
        for (owner, of_owner) in self.owners.iter().zip(self.groups()) {
            if stays(owner)
                && let Some(stay) = &owner.0
            {
                place.insert(stay.id, owners.len());
                owners.push(owner.clone());
                rows.extend_from_slice(of_owner);
            }
        }
        (self.rows, self.owners, self.place) = (rows, owners, place);
    }

    /// The rows of each owner.
    fn groups(&self) -> impl Iterator<Item = &[i16]> {
        let mut rest = self.rows.as_slice();
        self.owners.iter().map_while(move |(_, count)| {
            let (group, behind) = rest.split_at_checked(count * self.length)?;
            rest = behind;
            Some(group)
        })
    }

    fn scan(&self, query: &[Vec<i16>], accept: &impl Fn(&Stay) -> bool, mut found: impl FnMut(f32, usize)) {
        for (i, ((stay, count), group)) in self.owners.iter().zip(self.groups()).enumerate() {
            if *count == 0 || !stay.as_ref().is_some_and(accept) {
                continue;
            }
            let nearest = |row: &[i16]| query.iter().map(|q| dot(q, row)).max().unwrap_or(i32::MIN);
            let sum: i64 = group.chunks_exact(self.length).map(|row| i64::from(nearest(row))).sum();
            found(sum as f32 / *count as f32 / (SCALE * SCALE), i);
        }
    }

    fn hit(&self, owner: usize, similarity: f32) -> Option<Hit> {
        let (stay, _) = self.owners.get(owner)?;
        let looks = self.groups().nth(owner)?.chunks_exact(self.length);
        let looks = looks
            .map(|row| Descriptor { kind: self.kind, vector: row.iter().map(|v| f32::from(*v) / SCALE).collect() });
        Some(Hit { stay: stay.clone()?, similarity, looks: looks.collect() })
    }
}

fn to_fixed(v: f32) -> i16 {
    (v * SCALE).round() as i16 // `as` saturates
}

/// Sum of products. Of unit vectors it fits 32 bits (Cauchy-Schwarz); of damaged ones it wraps.
#[cfg(target_arch = "x86_64")]
fn dot(a: &[i16], b: &[i16]) -> i32 {
    use std::arch::x86_64::{_mm_add_epi32, _mm_loadu_si128, _mm_madd_epi16, _mm_setzero_si128, _mm_storeu_si128};
    let (a8, a_rest) = a.as_chunks::<8>();
    let (b8, b_rest) = b.as_chunks::<8>();
    // SAFETY: SSE2 is part of every x86_64; each load reads, unaligned, the 16 bytes of one `[i16; 8]`.
    let lanes = unsafe {
        let mut sum = _mm_setzero_si128();
        for (x, y) in a8.iter().zip(b8) {
            let products = _mm_madd_epi16(_mm_loadu_si128(x.as_ptr().cast()), _mm_loadu_si128(y.as_ptr().cast()));
            sum = _mm_add_epi32(sum, products);
        }
        let mut lanes = [0i32; 4];
        _mm_storeu_si128(lanes.as_mut_ptr().cast(), sum);
        lanes
    };
    let rest = a_rest.iter().zip(b_rest).map(|(x, y)| i32::from(*x) * i32::from(*y));
    lanes.into_iter().chain(rest).fold(0, i32::wrapping_add)
}

/// See above; compilers make the most of it elsewhere.
#[cfg(not(target_arch = "x86_64"))]
fn dot(a: &[i16], b: &[i16]) -> i32 {
    a.iter().zip(b).fold(0, |sum, (x, y)| sum.wrapping_add(i32::from(*x) * i32::from(*y)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{follow::Gallery, model::Rect};
    use proptest::prelude::*;
    use uuid::Uuid;

    fn unit(v: Vec<f32>) -> Descriptor {
        let n = v.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-6);
        Descriptor { kind: DescriptorKind::Learned, vector: v.into_iter().map(|x| x / n).collect() }
    }

    fn tracklet(id: u128, ends: i64, gallery: Vec<Descriptor>) -> Tracklet {
        Tracklet {
            id: Uuid::from_u128(id),
            camera: Uuid::from_u128(id % 3),
            track: TrackId(1),
            upload: None,
            starts_at: Timestamp(ends - 5),
            ends_at: Timestamp(ends),
            frame: (10, 10),
            path: vec![(Timestamp(ends), Rect::default())],
            crop_url: String::new(),
            gallery,
            characteristics: serde_json::Value::Null,
            suspect: None,
        }
    }

    fn gallery() -> impl Strategy<Value = Vec<Descriptor>> {
        prop::collection::vec(prop::collection::vec(-1f32..1.0, 19).prop_map(unit), 1..4)
    }

    proptest! {
        #[test]
        fn it_finds_what_comparing_one_by_one_finds(
            all in prop::collection::vec(gallery(), 1..40), query in gallery(), k in 1usize..8, camera in 0u128..4,
        ) {
            let mut index = Index::default();
            let all: Vec<_> = all.into_iter().enumerate().map(|(i, g)| tracklet(i as u128, i as i64, g)).collect();
            all.iter().for_each(|t| index.put(t));
            let accept = |stay: &Stay| stay.camera != Uuid::from_u128(camera);
            let found = index.search(&query, k, accept);
            let wanted = Gallery::new(query);
            let mut expected: Vec<_> = all
                .iter()
                .filter(|t| accept(&Stay::from(*t)))
                .map(|t| wanted.similarity(&Gallery::new(t.gallery.clone())).unwrap())
                .collect();
            expected.sort_by(|a, b| b.total_cmp(a));
            expected.truncate(k);
            prop_assert_eq!(found.len(), expected.len());
            for (hit, expected) in found.iter().zip(expected) {
                prop_assert!((hit.similarity - expected).abs() < 2e-3, "{} {expected}", hit.similarity);
                let of_hit = wanted.similarity(&Gallery::new(hit.looks.clone())).unwrap();
                prop_assert!((of_hit - hit.similarity).abs() < 2e-3);
            }
        }
    }

    #[test]
    fn a_newer_version_replaces_an_older_one_and_the_past_is_forgotten() {
        let (x, y) = (unit(vec![1.0, 0.0]), unit(vec![0.0, 1.0]));
        let mut index = Index::default();
        index.put(&tracklet(1, 10, vec![x.clone()]));
        index.put(&tracklet(1, 20, vec![y.clone(), y.clone()]));
        index.put(&tracklet(2, 15, vec![x.clone()]));
        index.put(&tracklet(3, 15, Vec::new()));
        let hits = index.search(std::slice::from_ref(&y), 9, |_| true);
        assert_eq!(hits.iter().map(|h| h.stay.id.as_u128()).collect::<Vec<_>>(), [1, 2]);
        assert_eq!((hits[0].looks.len(), hits[0].stay.ends_at), (2, Timestamp(20)));
        index.forget_before(Timestamp(16));
        assert_eq!((index.len(), index.search(&[x], 9, |_| true).len()), (2, 1));
        let other = Descriptor { kind: DescriptorKind::ColourStripes, vector: [0.0, 1.0].into() };
        assert_eq!(index.search(&[other], 9, |_| true), [], "another model's vectors cannot be compared");
    }
}
