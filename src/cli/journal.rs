//! `vigia journal`: what still waits for its store, and what a store refused.
use super::site;
use std::process::ExitCode;

/// Flags of `vigia journal`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Offer the records that their stores refused to them again
    #[arg(long)]
    offer_again: bool,
    #[command(flatten)]
    site: site::Args,
}

/// Exit status 0 when nothing waits and nothing is refused.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let office = args.site.office()?;
    if args.offer_again {
        println!("{} offered again", office.offer_again()?);
    }
    let (stores, refused) = office.journal()?;
    for store in stores.iter().filter(|store| store.store != "journal") {
        let error = store.error.as_ref().map(|error| format!("  {error}")).unwrap_or_default();
        println!("{:14} {:>8} waiting  {:>8} refused{error}", store.store, store.backlog, store.set_aside);
    }
    for record in &refused {
        println!("refused: {} of {}: {}", record.record, record.at, record.why);
    }
    let whole = refused.is_empty() && stores.iter().all(|store| store.backlog == 0);
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
