//! `vigia evidence`: the key that signs what a site hands out.
use super::site;
use crate::{evidence::SiteKey, store::DataFolder};
use std::process::ExitCode;

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Print the site's public key, made at the first use: give it to whoever checks packages with `vigia verify`
    Key {
        #[command(flatten)]
        site: site::Args,
    },
}

pub(super) fn run(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Key { site } => {
            println!("{}", SiteKey::open(&DataFolder::evidence_key_in(&site.data()))?.public());
            Ok(ExitCode::SUCCESS)
        }
    }
}
