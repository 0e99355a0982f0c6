//! `vigia export`: everything of one suspect, as one signed package.
use super::site;
use crate::site::{ExportOf, ExportPlan, ExportRequest};
use std::{
    io::{IsTerminal as _, Write as _},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};
use uuid::Uuid;

/// Flags of `vigia export`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Identity of the suspect
    #[arg(long, value_name = "ID")]
    suspect: Uuid,
    /// The package, a .zip file that does not exist yet
    #[arg(long, value_name = "PACKAGE")]
    out: PathBuf,
    /// Why it is handed out; recorded in the log and in the package
    #[arg(long)]
    reason: String,
    /// To whom; recorded in the log and in the package
    #[arg(long)]
    recipient: String,
    /// Also possible matches that nobody has decided about
    #[arg(long)]
    pending: bool,
    /// Also a copy of each clip with the boxes drawn into it, encoded anew
    #[arg(long)]
    burn_in: bool,
    /// Seconds of video before and after each stay
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(0..=600))]
    margin: u64,
    /// Only say what the package would hold and what is missing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    site: site::Args,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let office = args.site.office()?;
    let request = ExportRequest {
        of: ExportOf::Suspect(args.suspect),
        to: args.out.clone(),
        reason: args.reason.clone(),
        recipient: args.recipient.clone(),
        case: None,
        pending: args.pending,
        burn_in: args.burn_in,
        margin: Duration::from_secs(args.margin),
    };
    if args.dry_run {
        say(&office.plan_export(&request)?);
        return Ok(ExitCode::SUCCESS);
    }
    if let Ok(plan) = office.plan_export(&request) {
        say(&plan);
    } // else the attempt itself says why not, and is recorded
    let terminal = std::io::stderr().is_terminal();
    let progress = move |fraction: f32, what: &str| {
        if terminal && !what.is_empty() {
            let _ = write!(std::io::stderr(), "\r\x1b[K{:3.0} % {what}", fraction * 100.0);
        }
        true
    };
    let done = office.export_evidence(&request, Arc::new(progress));
    if terminal {
        eprint!("\r\x1b[K");
    }
    let done = done?;
    println!("{}: {} clips, {:.1} MiB", done.to.display(), done.manifest.clips.len(), done.bytes as f64 / 1048576.0);
    println!("sha256 {}", done.sha256);
    println!("signed by {}", done.manifest.key);
    Ok(ExitCode::SUCCESS)
}

fn say(plan: &ExportPlan) {
    println!(
        "{}: {} stays, {} stretches of video, about {:.1} MiB",
        plan.suspect.as_ref().map_or("", |s| s.label.as_str()),
        plan.stops.len(),
        plan.stretches,
        plan.bytes as f64 / 1048576.0
    );
    for gap in &plan.missing {
        println!(
            "no video of {} from {} until {}: {}",
            gap.camera_name,
            gap.from.local_with_zone(),
            gap.until.local_with_zone(),
            gap.reason
        );
    }
}
