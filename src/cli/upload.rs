//! `vigia upload`: videos that come as files, from the command line.
use super::site;
use crate::{
    model::{Timestamp, Upload},
    site::UploadStep,
};
use anyhow::bail;
use std::{
    io::IsTerminal as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Flags of `vigia upload`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Video files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Whose video it is: name or id of a camera
    #[arg(long, value_name = "NAME")]
    camera: String,
    /// When the first picture was taken, RFC 3339 (default: what the file's name says, else the file itself)
    #[arg(long, value_name = "TIME", value_parser = instant)]
    starts_at: Option<Timestamp>,
    #[command(flatten)]
    site: site::Args,
}

fn instant(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| "a date and time with its zone, such as 2026-11-22T14:03:22Z".to_owned())
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.starts_at.is_some() && args.files.len() > 1 {
        bail!("--starts-at is for one file: give the files one at a time");
    }
    let office = args.site.office()?;
    let mut all_well = true;
    for file in &args.files {
        let size = std::fs::metadata(file).map_or(0, |m| m.len());
        let shown = std::io::stderr().is_terminal();
        let progress = |step: UploadStep<'_>| {
            let (what, done) = match step {
                UploadStep::Looked(_) => return,
                UploadStep::Read(done) => ("read", done),
                UploadStep::Stored(done) => ("stored", done),
            };
            if shown {
                eprint!("\r{}: {what} {} of {} MiB ", file.display(), done >> 20, size >> 20);
            }
        };
        match office.upload(file, &args.camera, args.starts_at, &progress) {
            Ok(upload) => println!("{}", line(file, &upload)),
            // One bad file of many does not cost the others.
            Err(error) => {
                eprintln!("vigia: {}: {error}", file.display());
                all_well = false;
            }
        }
    }
    Ok(if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn line(file: &Path, upload: &Upload) -> String {
    let damage = upload.metadata.get("damage").and_then(|v| v.as_str()).map(|d| format!("  {d}")).unwrap_or_default();
    format!(
        "uploaded: {}  {}  {} s  {}  {}  from {}{damage}",
        upload.id,
        file.display(),
        upload.duration,
        upload.resolution,
        upload.format,
        upload.date
    )
}
