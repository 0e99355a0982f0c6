//! `vigia jobs`: the analyses of recorded video.
use super::site;
use crate::model::{DetectionKind, Job, JobState};
use std::process::ExitCode;

/// Flags of `vigia jobs`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    site: site::Args,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let jobs = args.site.office()?.jobs()?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&jobs)?);
    } else if jobs.is_empty() {
        println!("no analyses yet: the review screen (F5) starts one");
    }
    jobs.iter().filter(|_| !args.json).for_each(show);
    Ok(ExitCode::SUCCESS)
}

fn show(job: &Job) {
    let state = match &job.state {
        JobState::Open => format!("{:.0} %", job.part() * 100.0),
        JobState::Done => "done".to_owned(),
        JobState::Cancelled(who) => format!("given up by {who}"),
        JobState::Failed(why) => format!("failed: {why}"),
    };
    let speed = job.speed().map(|s| format!("  {s:.1} × real time")).unwrap_or_default();
    println!("{}  {}  {}  {state}  {} pictures{speed}", job.id, job.made_at, job.title, job.pictures);
    for finding in &job.findings {
        let what = match finding.kind {
            DetectionKind::Knife => "possible knife".to_owned(),
            DetectionKind::Gun => "possible gun".to_owned(),
            DetectionKind::Suspect => format!("possible match with {}", finding.suspect.unwrap_or_default()),
        };
        let percent = (finding.probability * 100.0).round().min(99.0);
        println!("  {} to {}  camera {}  {what}  {percent:.0} %", finding.from, finding.until, finding.camera);
    }
    job.troubles.iter().for_each(|trouble| println!("  {trouble}"));
}
