//! The pipe for state: it holds the newest value and forgets older ones. Nobody waits for a reader.
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

/// A shared place for the newest value. Writers overwrite; readers take a cheap clone. Clones share the place.
pub struct Slot<T>(Arc<Inner<T>>);

struct Inner<T> {
    value: Mutex<Option<T>>,
    version: AtomicU64,
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self(Arc::new(Inner { value: Mutex::new(None), version: AtomicU64::new(0) }))
    }
}

impl<T: Clone> Slot<T> {
    /// An empty slot.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the value; the old one is dropped outside the lock.
    pub fn put(&self, value: T) {
        let old = {
            let mut guard = self.0.value.lock().unwrap_or_else(PoisonError::into_inner);
            self.0.version.fetch_add(1, Ordering::Release);
            guard.replace(value)
        };
        drop(old);
    }

    /// Empties the slot.
    pub fn clear(&self) {
        let old = {
            let mut guard = self.0.value.lock().unwrap_or_else(PoisonError::into_inner);
            self.0.version.fetch_add(1, Ordering::Release);
            guard.take()
        };
        drop(old);
    }

    /// The newest value, if any.
    pub fn get(&self) -> Option<T> {
        self.0.value.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Grows by one with every [`put`](Self::put) and [`clear`](Self::clear): tells cheaply whether something is new.
    pub fn version(&self) -> u64 {
        self.0.version.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_see_the_newest_value_only() {
        let slot = Slot::new();
        let reader = slot.clone();
        assert_eq!(reader.get(), None);
        slot.put(1);
        slot.put(2);
        assert_eq!((reader.get(), reader.version()), (Some(2), 2));
        slot.clear();
        assert_eq!((reader.get(), reader.version()), (None, 3));
    }
}
