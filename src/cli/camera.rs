//! `vigia camera`: the cameras that are kept in the database, managed from the command line.
use super::site;
use crate::{
    model::{Camera, FieldOfView, redact_url},
    site::CameraEdit,
};
use anyhow::bail;
use serde_json::json;
use std::process::ExitCode;

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Register a camera
    Add {
        /// Name on the wall
        #[arg(long)]
        name: String,
        /// Address of the stream: rtsp://…, rtsps://…, file://… or test:
        #[arg(long)]
        url: String,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        site: site::Args,
    },
    /// List all cameras, addresses without credentials
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        site: site::Args,
    },
    /// Change a camera; what is not given stays
    Edit {
        /// Name or id
        camera: String,
        /// New name
        #[arg(long)]
        name: Option<String>,
        /// New address
        #[arg(long)]
        url: Option<String>,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        site: site::Args,
    },
    /// Deactivate a camera: it is kept and not connected
    Disable {
        /// Name or id
        camera: String,
        #[command(flatten)]
        site: site::Args,
    },
    /// Reactivate a camera
    Enable {
        /// Name or id
        camera: String,
        #[command(flatten)]
        site: site::Args,
    },
}

/// A place on the map, and what the camera sees of it.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Place {
    /// Latitude, degrees
    #[arg(long, allow_negative_numbers = true)]
    lat: Option<f64>,
    /// Longitude, degrees
    #[arg(long, allow_negative_numbers = true)]
    lon: Option<f64>,
    /// The way it looks, degrees clockwise from north: 90 is east
    #[arg(long)]
    heading: Option<f64>,
    /// How wide it sees, degrees
    #[arg(long)]
    angle: Option<f64>,
    /// How far people can be made out, metres
    #[arg(long)]
    range: Option<f64>,
}

impl Place {
    fn edit(self) -> anyhow::Result<CameraEdit> {
        let location = match (self.lat, self.lon) {
            (Some(lat), Some(lon)) => Some((lat, lon)),
            (None, None) => None,
            _ => bail!("give --lat and --lon together"),
        };
        let Self { heading, angle, range, .. } = self;
        Ok(CameraEdit { location, heading, angle, range, ..CameraEdit::default() })
    }
}

pub(super) fn run(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Add { name, url, place, site } => {
            let edit = CameraEdit { name: Some(name.clone()), url: Some(url.clone()), ..place.edit()? };
            println!("registered: {}", line(&site.office()?.add_camera(&edit)?));
        }
        Command::List { json, site } => {
            let cameras = site.office()?.cameras()?;
            if *json {
                let shown: Vec<_> = cameras.iter().map(shown).collect();
                println!("{}", serde_json::to_string_pretty(&shown)?);
            } else if cameras.is_empty() {
                println!("no cameras yet: `vigia camera add --name … --url …` registers one");
            }
            cameras.iter().filter(|_| !json).for_each(|camera| println!("{}", line(camera)));
        }
        Command::Edit { camera, name, url, place, site } => {
            let edit = CameraEdit { name: name.clone(), url: url.clone(), ..place.edit()? };
            println!("changed: {}", line(&site.office()?.edit_camera(camera, &edit)?));
        }
        Command::Disable { camera, site } => {
            let edit = CameraEdit { active: Some(false), ..CameraEdit::default() };
            println!("deactivated: {}", line(&site.office()?.edit_camera(camera, &edit)?));
        }
        Command::Enable { camera, site } => {
            let edit = CameraEdit { active: Some(true), ..CameraEdit::default() };
            println!("reactivated: {}", line(&site.office()?.edit_camera(camera, &edit)?));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn shown(camera: &Camera) -> serde_json::Value {
    json!({
        "id": camera.id, "name": camera.name, "url": redact_url(&camera.url), "location": camera.location,
        "field_of_view": camera.field_of_view,
        "added_at": camera.added_at, "active": camera.active, "virtual": camera.is_virtual,
        "from_configuration": camera.configured, "version": camera.version,
    })
}

fn line(camera: &Camera) -> String {
    let state = if camera.active { "" } else { "  deactivated" };
    let place = camera.location.map(|(lat, lon)| format!("  {lat:.5}, {lon:.5}")).unwrap_or_default();
    let sees = |f: FieldOfView| format!("  looks {:.0}°, {:.0}° wide, {:.0} m", f.heading, f.angle, f.range);
    let sees = camera.field_of_view.map(sees).unwrap_or_default();
    let from = if camera.configured { "  (configuration file)" } else { "" };
    format!("{}  {}  {}{place}{sees}{from}{state}", camera.id, camera.name, redact_url(&camera.url))
}
