//! `vigia looked`: was anybody looking at this camera then?
use super::site;
use crate::model::Timestamp;
use anyhow::bail;
use std::process::ExitCode;

/// Flags of `vigia looked`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the camera
    #[arg(long)]
    camera: String,
    /// The instant, as 2026-11-25T14:05:00Z
    #[arg(long)]
    at: String,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    site: site::Args,
}

/// Exit status 0 when the camera was looked at in that minute, 1 when it was not or nothing is recorded of it.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Some(at) = Timestamp::parse(&args.at) else {
        bail!("`--at` is an instant with its zone, such as 2026-11-25T14:05:00Z or 2026-11-25T14:05:00+01:00");
    };
    let found = args.site.office()?.looked(&args.camera, at)?;
    let looking = found.iter().any(crate::model::Looked::is_looking);
    if args.json {
        println!("{}", serde_json::to_string(&found)?);
    } else if found.is_empty() {
        println!("no: nothing is recorded of {} in that minute, so nobody was looking", args.camera);
    }
    for l in found.iter().filter(|_| !args.json) {
        println!("{}: {}", if l.is_looking() { "yes" } else { "no" }, l.words());
    }
    Ok(if looking { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
