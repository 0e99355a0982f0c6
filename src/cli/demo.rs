//! `vigia demo`: four virtual cameras over real RTSP, served by a second process, and the console on them.
use super::{console, prerequisites, simulate};
use crate::site::{CameraConfig, OverlapConfig, RecordMode, RecordingConfig, SiteConfig};
use std::process::ExitCode;

/// What the demo keeps of its recordings, 10⁹ bytes.
const DEMO_GB: f64 = 2.0;
/// Where the virtual cameras stand on the map, in the order of the wall, and which way they look: around a square, into it, for
/// nothing but show.
const PLACES: [((f64, f64), f64); 4] = [
    ((38.71402, -9.13962), 135.0),
    ((38.71402, -9.13905), 225.0),
    ((38.71358, -9.13962), 45.0),
    ((38.71358, -9.13905), 315.0),
];

pub(super) fn run(args: &console::Args) -> anyhow::Result<ExitCode> {
    // Prepared here, so that progress and trouble are seen before a window opens.
    simulate::demo_cameras()?;
    let mut config = match &args.site.config {
        Some(file) => SiteConfig::load(file)?,
        None => SiteConfig {
            name: "Demo site".to_owned(),
            recording: RecordingConfig { record: RecordMode::Always, max_gb: DEMO_GB, ..RecordingConfig::default() },
            ..SiteConfig::default()
        },
    };
    let (simulator, served) = simulate::start_process(&[])?;
    // Every two of the windows have a part of the footage in common.
    config.overlaps = vec![OverlapConfig { cameras: served.cameras.iter().map(|c| c.name.clone()).collect() }];
    config.cameras = served
        .cameras
        .into_iter()
        .zip(PLACES)
        .map(|(c, (location, heading))| CameraConfig {
            location: Some(location),
            heading: Some(heading),
            is_virtual: true,
            ..CameraConfig::new(c.name, c.url)
        })
        .collect();
    let data = args.site.data_dir.clone().unwrap_or_else(|| prerequisites::data_dir(None).join("demo"));
    let result = console::run_site(config, &data, args);
    drop(simulator);
    result
}
