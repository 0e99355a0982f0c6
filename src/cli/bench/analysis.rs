//! An analysis job over a video that came as a file, against the time that the video runs.
use crate::{
    cli::prerequisites,
    model::{JobState, SystemClock, Timestamp},
    site::{Access, CameraEdit, Command, JobCommand, Office, Site, SiteConfig, SiteState},
};
use anyhow::{Context as _, bail};
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

/// Nothing a site does but the analysis itself takes longer.
const PATIENCE: Duration = Duration::from_secs(60);
/// No more than one analysis may take.
const LONGEST: Duration = Duration::from_secs(3600);

/// Uploads the video to a site of its own, without live cameras, and looks at every picture (or at `rate` a second).
pub(super) fn measure(
    video: Option<PathBuf>,
    models: Option<&Path>,
    rate: Option<f32>,
) -> anyhow::Result<serde_json::Value> {
    let video = super::video_or_demo(video)?;
    super::in_a_folder(|folder| measure_in(folder, &video, models, rate))
}

fn measure_in(
    folder: &Path,
    video: &Path,
    models: Option<&Path>,
    rate: Option<f32>,
) -> anyhow::Result<serde_json::Value> {
    let config = SiteConfig::default();
    let office = || Office::open(&config, folder, Arc::new(SystemClock)); // delivers first what the one before left
    let gate = CameraEdit {
        name: Some("Gate".to_owned()),
        url: Some("test:".to_owned()),
        active: Some(false),
        ..CameraEdit::default()
    };
    office()?.add_camera(&gate)?;
    let upload = office()?.upload(video, "Gate", Some(Timestamp(1_795_356_202_000_000)), &|_| ())?.id;
    let site = Site::open(config, folder, &prerequisites::models_dir(models), Arc::new(SystemClock))?;
    site.send(Command::CreateAdministrator {
        cc: "1".to_owned(),
        name: "Bench".to_owned(),
        email: "bench@example.org".to_owned(),
        password: format!("{:x}", uuid::Uuid::new_v4().as_u128()),
    });
    until(&site, "the login", PATIENCE, |s| matches!(s.access, Access::LoggedIn(_)))?;
    site.send(Command::Job(JobCommand::Analyse { uploads: vec![upload], rate }));
    let state = until(&site, "the end of the analysis", LONGEST, |s| {
        s.jobs.first().is_some_and(|job| job.state != JobState::Open)
    })?;
    let job = state.jobs.first().context("the analysis is gone")?;
    if job.state != JobState::Done || !job.troubles.is_empty() {
        bail!("the analysis did not come to its end: {:?} {:?}", job.state, job.troubles);
    }
    Ok(json!({
        "bench": "analysis", "video": video.display().to_string(), "pictures": job.pictures, "people": job.people,
        "video_s": job.looked_s, "seconds": job.worked_s, "pictures_per_s": job.pictures as f64 / job.worked_s,
        "of_real_time": job.speed(),
    }))
}

fn until(
    site: &Site,
    what: &str,
    patience: Duration,
    mut done: impl FnMut(&SiteState) -> bool,
) -> anyhow::Result<SiteState> {
    let begun = Instant::now();
    loop {
        let state = site.state();
        if done(&state) {
            return Ok(state);
        }
        if begun.elapsed() > patience {
            bail!("{what} did not come: {:?}", state.notices.iter().map(|n| &n.text).collect::<Vec<_>>());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
