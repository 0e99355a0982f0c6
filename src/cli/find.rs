//! `vigia find`: who of everybody seen looks like this?
use super::{prerequisites, site};
use crate::{
    model::{Clock as _, Rect, SystemClock},
    site::FindRequest,
    video::read_file,
    vision::{Appearance, Compute, DeviceChoice},
};
use anyhow::Context as _;
use std::{ops::ControlFlow, path::PathBuf, process::ExitCode, time::Duration};
use uuid::Uuid;

/// Flags of `vigia find`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Identity of the suspect to look for
    #[arg(long, value_name = "ID", required_unless_present = "picture", conflicts_with = "picture")]
    suspect: Option<Uuid>,
    /// A picture of the person, cut to the person: JPEG or PNG
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
    /// Look on this camera, by name or identity; may be repeated (default: all)
    #[arg(long, value_name = "NAME")]
    camera: Vec<String>,
    /// Look at the last so many hours
    #[arg(long, default_value_t = 24.0)]
    hours: f64,
    /// At most so many
    #[arg(long, default_value_t = 40)]
    limit: usize,
    /// Folder of the trained weights
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
    #[command(flatten)]
    site: site::Args,
}

/// One JSON line for each possible match, the most probable first.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let looks = match &args.picture {
        Some(file) => {
            let (models, compute) =
                (prerequisites::models_dir(args.models.as_deref()), Compute::choose(DeviceChoice::Auto, 1)?);
            let appearance = Appearance::load_for_site(&models, compute, &args.site.site_config()?.models)?;
            let mut picture = None;
            read_file(file, |frame| {
                picture = Some(frame);
                ControlFlow::Break(())
            })?;
            let picture = picture.with_context(|| format!("there is no picture in {}", file.display()))?;
            let whole = Rect::new(0.0, 0.0, picture.width() as f32, picture.height() as f32);
            let described = appearance.describe(&picture, &[whole])?;
            Some((file.display().to_string(), described.into_iter().flatten().collect()))
        }
        None => None,
    };
    let until = SystemClock.now();
    let back = Duration::try_from_secs_f64(args.hours * 3600.0).context("`--hours` is a number of hours")?;
    let request = FindRequest {
        suspect: args.suspect,
        looks,
        cameras: args.camera.clone(),
        from: until.minus(back),
        until,
        limit: args.limit,
    };
    for found in args.site.office()?.find_people(&request)?.0 {
        println!("{}", serde_json::to_string(&found)?);
    }
    Ok(ExitCode::SUCCESS)
}
