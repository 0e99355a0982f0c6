//! `vigia audit`: checks the action log, and takes it out of Vigia.
use super::site;
use crate::{
    audit::{Finding, Format, export},
    model::{Action, Timestamp},
    store::LogFilter,
};
use anyhow::Context as _;
use serde_json::json;
use std::{fs::File, path::PathBuf, process::ExitCode};

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Check that nobody changed, took out, put in, moved or cut off entries; exit code 0 only when the log is whole
    Verify {
        /// An export to check instead of the site's log
        #[arg(value_name = "FILE", conflicts_with_all = ["config", "data_dir"])]
        file: Option<PathBuf>,
        /// As JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        site: site::Args,
    },
    /// Write entries to a file that people can read and `vigia audit verify` can check; recorded in the log
    Export {
        /// How
        #[arg(long)]
        format: Format,
        /// Where
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Only of this user's number
        #[arg(long)]
        user: Option<String>,
        /// Only of this action, such as LOGIN
        #[arg(long, value_parser = action)]
        action: Option<Action>,
        /// Only from this instant on, such as 2026-11-25T10:00:00Z
        #[arg(long, value_parser = instant)]
        from: Option<Timestamp>,
        /// Only before this instant
        #[arg(long, value_parser = instant)]
        until: Option<Timestamp>,
        #[command(flatten)]
        site: site::Args,
    },
}

fn action(text: &str) -> Result<Action, String> {
    Action::parse(text).ok_or_else(|| {
        let all: Vec<_> = Action::ALL.iter().map(|a| a.as_str()).collect();
        format!("the actions are {}", all.join(", "))
    })
}

fn instant(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| "an instant looks like 2026-11-25T10:00:00Z".to_owned())
}

pub(super) fn run(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Verify { file, json, site } => {
            let (complete, entries, findings) = match file {
                Some(path) => {
                    let opened = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
                    let (covers, entries, findings) =
                        export::verify(opened).with_context(|| path.display().to_string())?;
                    (covers.complete, entries, findings)
                }
                None => {
                    let (entries, findings) = site.office()?.verify_log()?;
                    (true, entries, findings)
                }
            };
            Ok(report(*json, complete, entries, &findings))
        }
        Command::Export { format, out, user, action, from, until, site } => {
            let filter =
                LogFilter { user: user.clone(), action: *action, from: *from, until: *until, ..LogFilter::default() };
            let entries = site.office()?.export_log(&filter, *format, out)?;
            println!("{entries} entries in {}", out.display());
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn report(as_json: bool, complete: bool, entries: u64, findings: &[Finding]) -> ExitCode {
    let whole = findings.is_empty();
    if as_json {
        println!("{}", json!({ "whole": whole, "complete": complete, "entries": entries, "findings": findings }));
    } else {
        findings.iter().for_each(|finding| println!("{finding}"));
        match (whole, complete) {
            (true, true) => println!("{entries} entries, all whole, in unbroken chains"),
            (true, false) => println!("{entries} entries, each whole; the file leaves others out, as its filter asked"),
            (false, _) => println!("{entries} entries; {} places are not as they were written", findings.len()),
        }
    }
    if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
