//! `vigia audit`: checks the action log, and takes it out of Vigia.
use super::site;
use crate::{
    audit::{Finding, Format, export},
    model::{Action, OutcomeKind, Timestamp},
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
        /// An export to check instead of the site's log; with a site (--data-dir or --config) also whether that site's log knows of
        /// it as it is
        #[arg(value_name = "FILE")]
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
        /// Only about the camera with this id
        #[arg(long, value_name = "ID")]
        camera: Option<String>,
        /// Only about the suspect with this id
        #[arg(long, value_name = "ID")]
        suspect: Option<String>,
        /// Only what ended so: succeeded, refused or failed
        #[arg(long, value_parser = outcome)]
        outcome: Option<OutcomeKind>,
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

fn outcome(text: &str) -> Result<OutcomeKind, String> {
    OutcomeKind::parse(text).ok_or_else(|| "an outcome is succeeded, refused or failed".to_owned())
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
                    let mut checked = export::verify(opened).with_context(|| path.display().to_string())?;
                    if site.config.is_some() || site.data_dir.is_some() {
                        match site.office()?.export_entry(checked.seal)? {
                            Some(entry) if !*json => {
                                println!(
                                    "exported by {} at {}: entry {}",
                                    entry.user_cc, entry.timestamp, entry.log_id
                                );
                            }
                            Some(_) => {}
                            None => checked.findings.push(export::unknown()),
                        }
                    }
                    (checked.export.complete, checked.entries, checked.findings)
                }
                None => {
                    let (entries, findings) = site.office()?.verify_log()?;
                    (true, entries, findings)
                }
            };
            Ok(report(*json, complete, entries, &findings))
        }
        Command::Export { format, out, user, action, camera, suspect, outcome, from, until, site } => {
            let filter = LogFilter {
                user: user.clone(),
                action: *action,
                camera: camera.clone(),
                suspect: suspect.clone(),
                outcome: *outcome,
                from: *from,
                until: *until,
            };
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
