//! `vigia run`: a configured site, in a window or without one.
use super::{prerequisites, site};
use crate::{
    model::{Clock, SystemClock},
    site::{CameraStatus, Site, SiteConfig},
    ui,
};
use anyhow::Context as _;
use serde_json::json;
use std::{
    io::Write as _,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// Flags of everything that runs a site.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub site: site::Args,
    /// Folder of the trained weights
    #[arg(long, value_name = "DIR")]
    pub models: Option<PathBuf>,
    /// Run without a window: one JSON line a second, and a summary last
    #[arg(long)]
    pub headless: bool,
    /// Write a record of the run into this new folder, for `vigia replay`; every camera is recorded meanwhile
    #[arg(long, value_name = "DIR")]
    pub record_replay: Option<PathBuf>,
    /// Stop by itself after this many seconds
    #[arg(long, value_name = "N")]
    pub seconds: Option<f64>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    run_site(args.site.site_config()?, &args.site.data(), args)
}

/// Runs a site until it is closed, interrupted, or its time is up.
pub(super) fn run_site(mut config: SiteConfig, data: &std::path::Path, args: &Args) -> anyhow::Result<ExitCode> {
    if let Some(folder) = &args.record_replay {
        config.replay.folder = Some(folder.clone());
    }
    let interrupted = Arc::new(AtomicBool::new(false));
    let window: Arc<Mutex<Option<ui::Window>>> = Arc::default();
    let close = {
        let (interrupted, window) = (Arc::clone(&interrupted), Arc::clone(&window));
        move || {
            interrupted.store(true, Ordering::Release);
            if let Some(window) = window.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
                window.close();
            }
        }
    };
    ctrlc::set_handler(close.clone()).context("cannot listen for Ctrl-C")?;

    let models = prerequisites::models_dir(args.models.as_deref());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let site = Site::open(config, data, &models, clock)?;
    if args.headless {
        headless(&site, args.seconds, &interrupted)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(seconds) = args.seconds {
        std::thread::spawn(move || {
            std::thread::sleep(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
            close();
        });
    }
    ui::run(
        || site.state(),
        |command| site.send(command),
        |opened| {
            *window.lock().unwrap_or_else(PoisonError::into_inner) = Some(opened.clone());
            if interrupted.load(Ordering::Acquire) {
                opened.close();
            }
        },
    )?;
    Ok(ExitCode::SUCCESS)
}

fn headless(site: &Site, seconds: Option<f64>, interrupted: &AtomicBool) -> anyhow::Result<()> {
    let start = Instant::now();
    let mut next = Duration::from_secs(1);
    let mut out = std::io::stdout().lock();
    let limit = seconds.map_or(Duration::MAX, |s| Duration::try_from_secs_f64(s).unwrap_or(Duration::MAX));
    loop {
        std::thread::sleep(Duration::from_millis(50));
        if start.elapsed() >= next {
            next += Duration::from_secs(1);
            writeln!(out, "{}", line(site, start.elapsed()))?;
        }
        if interrupted.load(Ordering::Acquire) || start.elapsed() >= limit {
            break;
        }
    }
    writeln!(out, "{}", serde_json::to_string(&site.summary())?)?;
    Ok(())
}

/// One second of a run without a window.
fn line(site: &Site, elapsed: Duration) -> serde_json::Value {
    let stores = site.stores();
    let cameras: Vec<_> = site
        .cameras()
        .iter()
        .map(|c| {
            let (status, reason) = match &c.status {
                CameraStatus::Connecting => ("connecting", None),
                CameraStatus::Live => ("live", None),
                CameraStatus::Stale { reason, .. } => ("stale", Some(reason.as_str())),
                CameraStatus::Inactive => ("inactive", None),
            };
            let n = &c.counters;
            json!({
                "name": c.camera.name, "status": status, "reason": reason, "fps": n.fps, "analysed_fps": n.analysed_fps,
                "received": n.received, "analysed": n.analysed, "dropped": n.dropped, "tracks_now": c.tracks.len(),
                "latency_ms": n.latency_ms,
            })
        })
        .collect();
    let trouble: Vec<_> = stores
        .iter()
        .filter_map(|s| {
            s.error
                .as_ref()
                .map(|e| json!({ "store": s.store, "error": e, "backlog": s.backlog, "since": s.failing_since.map(|t| t.to_string()) }))
        })
        .collect();
    let backlog = stores.iter().find(|s| s.store == "journal").map_or(0, |s| s.backlog);
    json!({ "t": (elapsed.as_secs_f64() * 10.0).round() / 10.0, "cameras": cameras, "rss_mib": resident_mib(), "backlog": backlog, "trouble": trouble })
}

/// Resident memory of this process, MiB; `None` where the system does not tell.
fn resident_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib / 1024)
}
