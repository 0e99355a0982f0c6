//! `vigia verify`: whether a package of evidence is what a site exported.
use crate::evidence::{self, PublicKey};
use anyhow::Context as _;
use serde_json::json;
use std::{path::PathBuf, process::ExitCode};

/// Flags of `vigia verify`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The package
    #[arg(value_name = "PACKAGE")]
    package: PathBuf,
    /// The site's public key, 64 hexadecimal digits (on the site: `vigia evidence key`), or a file that holds it
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Exit code 0: whole; 1: not what was exported; 2: it cannot be told.
pub(super) fn run(args: &Args) -> ExitCode {
    check(args).unwrap_or_else(|error| {
        eprintln!("vigia: {error:#}");
        ExitCode::from(2)
    })
}

fn check(args: &Args) -> anyhow::Result<ExitCode> {
    let key = args.key.as_deref().map(read_key).transpose()?;
    let verdict =
        evidence::verify(&args.package, key).with_context(|| format!("{} cannot be read", args.package.display()))?;
    let whole = verdict.findings.is_empty();
    let manifest = verdict.manifest.as_ref().filter(|_| whole);
    if args.json {
        let value = json!({
            "whole": whole, "key_given": key.is_some(), "findings": verdict.findings, "manifest": manifest,
        });
        println!("{value}");
    } else {
        verdict.findings.iter().for_each(|finding| println!("{finding}"));
        match manifest {
            None => println!("{} is NOT what was exported", args.package.display()),
            Some(m) => {
                println!(
                    "{} is whole: {} files, no byte changed since the export",
                    args.package.display(),
                    m.files.len()
                );
                let what = m.suspect.as_ref().map_or("clip", |s| s.label.as_str());
                println!("{what} of {}, exported {} by {}", m.site, m.made_at.local, m.exported_by.0);
                println!("reason: {}; recipient: {}", m.reason, m.recipient);
                m.missing.iter().for_each(|gap| {
                    println!(
                        "no video of {} from {} until {}: {}",
                        gap.camera_name, gap.from.local, gap.until.local, gap.reason
                    );
                });
                if key.is_none() {
                    println!("signed by {}", m.key);
                    println!("whether that is the site's key only the site can tell: give it with --key to be sure");
                }
            }
        }
    }
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn read_key(text: &str) -> anyhow::Result<PublicKey> {
    if let Ok(key) = PublicKey::parse(text) {
        return Ok(key);
    }
    let file = std::fs::read_to_string(text)
        .with_context(|| format!("{text:?} is neither a public key nor a file that can be read"))?;
    PublicKey::parse(&file).with_context(|| text.to_owned())
}
