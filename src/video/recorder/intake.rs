//! What may wait for a recorder's disk. Where too much waits, pictures are lost: in one piece up to the next key frame, and not before
//! half of what waits is written, so that a disk that stalls for seconds leaves one hole and not one at each picture.
use std::sync::{Mutex, PoisonError};

/// What may wait for a slow disk, bytes.
const WAITING_BYTES: usize = 32 << 20;

#[derive(Default)]
pub(super) struct Intake(Mutex<State>);

#[derive(Default)]
struct State {
    waiting: usize,
    /// Pictures were lost, and none is taken for now.
    shut: bool,
}

impl Intake {
    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether a picture of this size is taken, and if so, whether others before it were lost.
    pub fn admit(&self, size: usize, key: bool) -> Option<bool> {
        self.with(|state| {
            let after_loss = state.shut;
            let opens = !state.shut || (key && state.waiting <= WAITING_BYTES / 2);
            state.shut = !opens || (state.waiting > 0 && state.waiting + size > WAITING_BYTES);
            if state.shut {
                return None;
            }
            state.waiting += size;
            Some(after_loss)
        })
    }

    /// What was admitted could not be handed over.
    pub fn refuse(&self, size: usize) {
        self.with(|state| {
            state.waiting = state.waiting.saturating_sub(size);
            state.shut = true;
        });
    }

    /// What was admitted is not waiting any more.
    pub fn done(&self, size: usize) {
        self.with(|state| state.waiting = state.waiting.saturating_sub(size));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_stalls_leaves_one_hole() {
        let intake = Intake::default();
        let size = 1 << 20;
        let mut holes = 0;
        let mut waiting = 0;
        // Each picture is a key frame; while the disk stalls nothing is written, later two for each that comes.
        for n in 0..200 {
            match intake.admit(size, true) {
                Some(after_loss) => {
                    holes += usize::from(after_loss);
                    waiting += 1;
                }
                None => assert!(n >= 32, "32 MiB fit"),
            }
            if n >= 60 {
                for _ in 0..waiting.min(2) {
                    intake.done(size);
                    waiting -= 1;
                }
            }
        }
        assert_eq!((holes, waiting), (1, 0));
    }

    #[test]
    fn after_a_loss_nothing_is_taken_before_a_key_frame() {
        let intake = Intake::default();
        assert_eq!(intake.admit(WAITING_BYTES, true), Some(false));
        assert_eq!(intake.admit(1, false), None);
        intake.done(WAITING_BYTES);
        assert_eq!(intake.admit(1, false), None);
        assert_eq!(intake.admit(1, true), Some(true));
        assert_eq!(intake.admit(1, false), Some(false));
        intake.refuse(1);
        assert_eq!((intake.admit(1, false), intake.admit(1, true)), (None, Some(true)));
        assert_eq!(Intake::default().admit(2 * WAITING_BYTES, true), Some(false), "one alone is always taken");
    }
}
