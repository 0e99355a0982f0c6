//! Real servers for the tests: PostgreSQL, MongoDB, S3 (SeaweedFS) and Redis, each started at first use, once a test process.
//!
//! Every server listens on a free loopback port, has a random password, keeps its files in a temporary folder, and is there
//! when its function returns. All of them end with the test process, also when that is killed, and their folder goes too.
//! `X::start()` gives a test a server of its own, to be killed, frozen and started again.
#![allow(dead_code)] // no test binary uses everything
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // helpers of tests fail as tests do
mod mongo;
mod postgres;
mod process;
mod redis;
mod s3;

pub use self::{mongo::Mongo, postgres::Postgres, redis::Redis, s3::S3};

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

/// The PostgreSQL server of this test process.
pub fn postgres() -> &'static Postgres {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    SERVER.get_or_init(Postgres::start)
}

/// The MongoDB server of this test process: a replica set of one member, with accounts.
pub fn mongo() -> &'static Mongo {
    static SERVER: OnceLock<Mongo> = OnceLock::new();
    SERVER.get_or_init(Mongo::start)
}

/// The S3 server of this test process.
pub fn s3() -> &'static S3 {
    static SERVER: OnceLock<S3> = OnceLock::new();
    SERVER.get_or_init(S3::start)
}

/// The Redis server of this test process.
pub fn redis() -> &'static Redis {
    static SERVER: OnceLock<Redis> = OnceLock::new();
    SERVER.get_or_init(Redis::start)
}

/// A name that no other call in this process gets: of a database, a bucket, a set of keys.
fn fresh_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(1);
    format!("test{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A random password of letters and digits.
fn password() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// Runs `work` on a thread and a runtime of its own, so that tests with and without a runtime can call it.
fn block_on<T: Send>(work: impl AsyncFnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let worker = scope.spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(work())
        });
        worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Tries until it works. Fails with the last error after 40 s, or with what `alive` says when the server has ended.
async fn until_ready<E: std::fmt::Display>(
    what: &str,
    alive: impl Fn() -> Result<(), String>,
    mut attempt: impl AsyncFnMut() -> Result<(), E>,
) -> Result<(), String> {
    let start = Instant::now();
    loop {
        let error = match tokio::time::timeout(Duration::from_secs(5), attempt()).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        alive()?;
        if start.elapsed() > Duration::from_secs(40) {
            return Err(format!("{what} is not ready after 40 s: {error}"));
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}
