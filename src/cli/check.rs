//! `vigia check`: whether the stores of a site agree with each other.
use super::site;
use crate::site::Misfit;
use std::process::ExitCode;

/// Flags of `vigia check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Read every object, too: compare it with its hash, decode it where it is a picture
    #[arg(long)]
    deep: bool,
    /// Put right what can be derived from the durable records, and say so
    #[arg(long)]
    repair: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    site: site::Args,
}

/// Exit status 0 when everything fits, or does now; 1 when something does not, or a store does not answer.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let checked = args.site.office()?.check(args.deep, args.repair)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&checked)?);
    } else {
        checked.misfits.iter().for_each(|misfit| println!("{}", words(misfit)));
        let read = if args.deep { "read" } else { "there" };
        let verdict = if checked.is_whole() { "everything fits" } else { "not everything fits" };
        println!("{verdict}: {} records with an object, {} objects {read}", checked.records, checked.objects);
    }
    Ok(if checked.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn words(misfit: &Misfit) -> String {
    let done = |repaired: &bool| if *repaired { "; put right" } else { "" };
    match misfit {
        Misfit::MissingObject { record, id, url } => format!("{record} {id}: its object {url} is not there"),
        Misfit::WrongObject { record, id, url, why } => {
            format!("{record} {id}: its object {url} is not as it was stored: {why}")
        }
        Misfit::Orphan { key, size } => {
            format!("object {key} ({size} bytes) belongs to no record; it was left where it is")
        }
        Misfit::Dangling { record, id, target, missing } => {
            format!("{record} {id} names the {target} {missing}, which is not there")
        }
        Misfit::Grant { user, camera, repaired } => {
            format!("user {user} may see the camera {camera}, which is not there{}", done(repaired))
        }
        Misfit::Count { camera, minute, of, counted, there, repaired } => format!(
            "camera {camera}, minute of {minute}: {counted} detections of {of} are counted and {there} are there{}",
            done(repaired)
        ),
        Misfit::State { suspect, repaired } => {
            format!("the shared state of suspect {suspect} lacks what its record says{}", done(repaired))
        }
    }
}
