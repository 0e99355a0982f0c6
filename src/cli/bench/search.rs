//! Search among stored appearances.
use crate::{
    follow::Index,
    model::{Descriptor, DescriptorKind, Timestamp, TrackId, Tracklet},
};
use serde_json::json;
use std::time::Instant;

/// Top 20 of random unit vectors, five to a stay, beside the sum of as many bytes: what reading them once costs.
pub(super) fn measure(vectors: usize, length: usize) -> serde_json::Value {
    const ROUNDS: usize = 5;
    const LOOKS: usize = 5;
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    let mut look = || {
        let mut v: Vec<f32> = (0..length)
            .map(|_| {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                (seed >> 40) as f32 / (1u64 << 23) as f32 - 1.0
            })
            .collect();
        let norm = v.iter().map(|x| x * x).sum::<f32>().sqrt();
        v.iter_mut().for_each(|x| *x /= norm);
        Descriptor { kind: DescriptorKind::Learned, vector: v.into() }
    };
    let mut index = Index::default();
    let mut tracklet = Tracklet {
        id: uuid::Uuid::nil(),
        camera: uuid::Uuid::nil(),
        track: TrackId(0),
        upload: None,
        starts_at: Timestamp(0),
        ends_at: Timestamp(0),
        frame: (0, 0),
        path: Vec::new(),
        crop_url: String::new(),
        gallery: Vec::new(),
        characteristics: serde_json::Value::Null,
        suspect: None,
    };
    for stay in 0..vectors.div_ceil(LOOKS) {
        tracklet.id = uuid::Uuid::from_u128(stay as u128);
        tracklet.gallery = (0..LOOKS).map(|_| look()).collect();
        index.put(&tracklet);
    }
    let memory = vec![1i64; index.len() * length / 4]; // as many bytes as the index holds: two a number
    let fastest = |mut work: Box<dyn FnMut() + '_>| {
        let timed = (0..ROUNDS).map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64() * 1e3
        });
        timed.fold(f64::MAX, f64::min)
    };
    let pass = fastest(Box::new(|| {
        std::hint::black_box(memory.iter().fold(0i64, |sum, v| sum.wrapping_add(*v)));
    }));
    let mut times = serde_json::Map::new();
    for looks in [1, 6] {
        let query: Vec<_> = (0..looks).map(|_| look()).collect();
        let ms = fastest(Box::new(|| {
            std::hint::black_box(index.search(&query, 20, |_| true));
        }));
        times.insert(format!("query_of_{looks}"), json!({ "ms": ms, "ratio": ms / pass }));
    }
    json!({
        "bench": "search", "vectors": index.len(), "length": length, "bytes": memory.len() * 8, "top": 20,
        "one_pass_ms": pass, "search": times,
    })
}
