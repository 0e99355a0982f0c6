//! Memory that is free is given back to the system.
use crate::supervise::Pulse;
use std::time::Duration;

/// Between two times of giving back.
const EVERY: Duration = Duration::from_secs(60);

/// Gives back what the allocator keeps, once a minute, for as long as it is polled. glibc gives pages back only from the end of an
/// arena, and pictures, tensors and answers of stores come and go between things that stay: without this four cameras grow by 5 MiB
/// a minute of which less than one is in use (`malloc_stats`).
pub(super) async fn give_back(pulse: Pulse) {
    loop {
        pulse.beat();
        tokio::time::sleep(EVERY).await;
        let _ = tokio::task::spawn_blocking(trim).await;
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn trim() {
    // SAFETY: takes no pointer, and locks what it touches (malloc_trim(3): MT-Safe).
    let _released = unsafe { libc::malloc_trim(0) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn trim() {}
