//! The command line: one file a subcommand, no logic of its own.
mod analyze;
mod audit;
mod bench;
mod calibrate;
mod camera;
mod check;
mod console;
mod demo;
pub mod doctor;
mod evidence;
mod export;
mod find;
mod jobs;
mod journal;
mod looked;
mod migrate;
pub mod prerequisites;
mod replay;
mod simulate;
mod site;
mod track;
mod upload;
mod user;
mod verify;
mod views;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Vigia: live cameras, tracked people, suspects followed from camera to camera.
#[derive(Debug, Parser)]
#[command(name = "vigia", version, about, arg_required_else_help = false)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: console::Args,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Open the console on a configured site (also without a subcommand)
    Run(console::Args),
    /// Open the console on four virtual cameras made of demo footage, over real RTSP
    Demo(console::Args),
    /// Serve virtual cameras over RTSP on this machine
    Simulate(simulate::Args),
    /// Detect and track people in whole files, every frame, and write MOTChallenge results
    Analyze(analyze::Args),
    /// Run a recorded site again: its tracks and sightings must be the same to the byte
    Replay(replay::Args),
    /// Run the tracker alone on MOTChallenge detections
    Track(track::Args),
    /// Manage who may log in
    #[command(subcommand)]
    User(user::Command),
    /// Manage cameras
    #[command(subcommand)]
    Camera(camera::Command),
    /// Upload video files as video of a camera
    Upload(upload::Args),
    /// List the analyses of recorded video and what they found
    Jobs(jobs::Args),
    /// Show what waits for its store and what a store refused, and offer that again
    Journal(journal::Args),
    /// Compare the stores with each other: what a record names must be there, and what is kept twice must be the same
    Check(check::Args),
    /// Copy a whole site to other stores, from files to servers or back, and compare the copy with it
    Migrate(migrate::Args),
    /// Check or export the action log
    #[command(subcommand)]
    Audit(audit::Command),
    /// Hand out all video in which a suspect appears, with pictures, movement log and audit extract, as one signed package
    Export(export::Args),
    /// Rank everybody seen by how probably it is this suspect, or the person on this picture
    Find(find::Args),
    /// Check a package of evidence with nothing but the package and the site's public key
    Verify(verify::Args),
    /// The key that signs packages of evidence
    #[command(subcommand)]
    Evidence(evidence::Command),
    /// How true the probabilities of possible matches are, and the curve that this site's own decisions make of them
    Calibrate(calibrate::Args),
    /// Was anybody looking at a camera then?
    Looked(looked::Args),
    /// List what Vigia needs: found or missing, version, what to do
    Doctor(doctor::Args),
    /// Measure, and print JSON
    #[command(subcommand)]
    Bench(bench::Command),
}

impl Cli {
    /// Runs the subcommand.
    ///
    /// # Errors
    /// A chain of sentences for people: what was attempted and why it failed.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let default =
            if matches!(self.command, Some(Command::Run(_) | Command::Demo(_)) | None) { "info" } else { "warn" };
        let filter = tracing_subscriber::EnvFilter::try_from_env("VIGIA_LOG")
            .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(format!("warn,vigia={default}")));
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
        if let Some(Command::Verify(args)) = &self.command {
            return Ok(verify::run(args)); // works also where there is no video
        }
        // Eighty cameras need more open files than a process may have by default; more is only asked for, not taken.
        if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
            tracing::warn!(%error, "the limit of open files stays as it is: with many cameras it may be reached");
        }
        gstreamer::init().map_err(|e| anyhow::anyhow!("GStreamer does not start: {e}. Run `vigia doctor`"))?;
        match self.command {
            None => console::run(&self.run),
            Some(Command::Run(args)) => console::run(&args),
            Some(Command::Demo(args)) => demo::run(&args),
            Some(Command::Simulate(args)) => simulate::run(&args),
            Some(Command::Analyze(args)) => analyze::run(&args),
            Some(Command::Replay(args)) => replay::run(&args),
            Some(Command::Track(args)) => track::run(&args),
            Some(Command::User(command)) => user::run(&command),
            Some(Command::Camera(command)) => camera::run(&command),
            Some(Command::Upload(args)) => upload::run(&args),
            Some(Command::Jobs(args)) => jobs::run(&args),
            Some(Command::Journal(args)) => journal::run(&args),
            Some(Command::Check(args)) => check::run(&args),
            Some(Command::Migrate(args)) => migrate::run(&args),
            Some(Command::Audit(command)) => audit::run(&command),
            Some(Command::Verify(args)) => Ok(verify::run(&args)),
            Some(Command::Export(args)) => export::run(&args),
            Some(Command::Find(args)) => find::run(&args),
            Some(Command::Evidence(command)) => evidence::run(&command),
            Some(Command::Calibrate(args)) => calibrate::run(&args),
            Some(Command::Looked(args)) => looked::run(&args),
            Some(Command::Doctor(args)) => doctor::run(&args),
            Some(Command::Bench(command)) => bench::run(&command),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
