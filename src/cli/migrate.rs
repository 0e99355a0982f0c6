//! `vigia migrate`: copies a whole site to other stores.
use super::site;
use crate::site::{MigrateStep, SiteConfig};
use std::{
    io::IsTerminal as _,
    path::PathBuf,
    process::ExitCode,
    sync::Mutex,
    time::{Duration, Instant},
};

/// Flags of `vigia migrate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Configuration whose stores the site is copied to
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// Where embedded stores of that configuration are, and anchors (default: the data folder that the site has)
    #[arg(long, value_name = "DIR")]
    to_data_dir: Option<PathBuf>,
    /// Configuration of the site as it is (default: site.toml in the data folder, if there is one)
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// The site's data folder
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let to = SiteConfig::load(&args.to)?;
    let site = site::Args { config: args.from.clone(), data_dir: args.data_dir.clone() };
    let (shown, told) = (std::io::stderr().is_terminal(), Mutex::new((String::new(), Instant::now())));
    let progress = |step: MigrateStep<'_>| {
        let Ok(mut told) = told.lock() else { return };
        let is_new = told.0 != step.what;
        if is_new || (shown && told.1.elapsed() > Duration::from_millis(200)) {
            if shown {
                let of = step.of.map(|of| format!(" of {of}")).unwrap_or_default();
                eprint!("\r\x1b[K{} … {}{of}", step.what, step.done);
            } else {
                eprintln!("{} …", step.what);
            }
            *told = (step.what.to_owned(), Instant::now());
        }
    };
    let migrated = site.office()?.migrate(&to, args.to_data_dir.as_deref(), &progress);
    if shown {
        eprintln!();
    }
    let migrated = migrated?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&migrated)?);
        return Ok(ExitCode::SUCCESS);
    }
    for (table, rows) in migrated.rows.iter().filter(|(_, rows)| **rows > 0) {
        println!("{rows:>10}  {table}");
    }
    println!("{:>10}  entries of the action log", migrated.entries);
    println!("{:>10}  objects, {} MiB", migrated.objects, migrated.bytes >> 20);
    for finding in &migrated.findings {
        println!("in the action log, here as there: {finding}");
    }
    println!(
        "copied and compared: the same on both sides. Start the console with the configuration {}",
        args.to.display()
    );
    if let Some(folder) = &args.to_data_dir {
        println!(
            "and the data folder {}. The key that signs evidence (keys/evidence.key) stayed behind: put it there yourself",
            folder.display()
        );
    }
    Ok(ExitCode::SUCCESS)
}
