//! Several appearance vectors of one person, few and different from each other.
use crate::model::Descriptor;

/// Two vectors more alike than this say the same thing twice.
const SAME: f32 = 0.97;

/// At most a fixed number of descriptors, chosen for diversity.
#[derive(Clone, Debug, Default)]
pub struct Gallery {
    vectors: Vec<Descriptor>,
}

impl Gallery {
    /// A gallery of these vectors.
    pub fn new(vectors: Vec<Descriptor>) -> Self {
        Self { vectors }
    }

    /// Adds a vector when it says something new; at `limit` it replaces one of the two most alike, never the first, which is the
    /// one an operator clicked. Tells whether the gallery changed.
    pub fn add(&mut self, descriptor: &Descriptor, limit: usize) -> bool {
        if self.nearest(descriptor).is_some_and(|s| s > SAME) {
            return false;
        }
        if self.vectors.len() < limit {
            self.vectors.push(descriptor.clone());
            return true;
        }
        let mut closest: Option<(f32, usize)> = None;
        for (i, a) in self.vectors.iter().enumerate() {
            for (j, b) in self.vectors.iter().enumerate().skip(i + 1) {
                let s = a.similarity(b).unwrap_or(-1.0);
                if closest.is_none_or(|(best, _)| s > best) {
                    closest = Some((s, j));
                }
            }
        }
        match closest {
            Some((s, j)) if self.nearest(descriptor).is_none_or(|n| n < s) => {
                if let Some(slot) = self.vectors.get_mut(j) {
                    *slot = descriptor.clone();
                }
                true
            }
            _ => false,
        }
    }

    /// The greatest similarity to any vector of the same kind; `None` when there is none.
    pub fn nearest(&self, descriptor: &Descriptor) -> Option<f32> {
        self.vectors.iter().filter_map(|v| v.similarity(descriptor)).max_by(f32::total_cmp)
    }

    /// Mean over `descriptors` of the greatest similarity to this gallery: how alike a track is to a suspect.
    pub fn similarity(&self, descriptors: &Self) -> Option<f32> {
        let all: Vec<f32> = descriptors.vectors.iter().filter_map(|d| self.nearest(d)).collect();
        (!all.is_empty()).then(|| all.iter().sum::<f32>() / all.len() as f32)
    }

    /// The half of the vectors that are least like `other`, one at least where there is any.
    pub fn least_like(&self, other: &Self) -> Self {
        let like = |v: &Descriptor| other.nearest(v).unwrap_or(-1.0);
        let mut vectors = self.vectors.clone();
        vectors.sort_by(|a, b| like(a).total_cmp(&like(b)));
        vectors.truncate(vectors.len().div_ceil(2));
        Self { vectors }
    }

    /// Drops the vectors that are as good as equal to one of `other`: what a rejected match had brought in. The first stays.
    pub fn remove(&mut self, other: &Self) -> bool {
        let before = self.vectors.len();
        let mut index = 0;
        self.vectors.retain(|v| {
            index += 1;
            index == 1 || other.nearest(v).is_none_or(|s| s <= SAME)
        });
        self.vectors.len() != before
    }

    /// The vectors, the clicked one first.
    pub fn vectors(&self) -> &[Descriptor] {
        &self.vectors
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.vectors.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.vectors.is_empty()
    }
}
