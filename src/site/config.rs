//! A site's configuration: one TOML file. A mistake is told with its line and key, never guessed around.
use super::recording::{RecordMode, RecordingConfig};
use super::retention::RetentionConfig;
use crate::{
    follow::{FollowConfig, WeaponConfig},
    model::{FieldOfView, is_stream_address},
    store::Addresses,
    video::{SourceConfig, Transport},
    vision::{DetectorConfig, DeviceChoice, SiteModels},
};
use serde::{Deserialize, Serialize};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {why}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        why: std::io::Error,
    },
    /// The file is not what it should be; the text names line, column and key.
    #[error("the configuration {} has a mistake:\n{why}", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// The place and the mistake.
        why: String,
    },
}

/// Everything a site can be told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SiteConfig {
    /// Name of the site, shown in the title.
    pub name: String,
    /// How frames are analysed.
    pub analysis: AnalysisConfig,
    /// A site's own models: manifests in the models folder, by slot.
    pub models: SiteModels,
    /// How streams are received.
    pub video: VideoConfig,
    /// When a possible match is shown.
    pub follow: FollowConfig,
    /// How long somebody stays logged in.
    pub session: SessionConfig,
    /// The audit trail.
    pub audit: AuditConfig,
    /// What is recorded, and for how long it is kept.
    pub recording: RecordingConfig,
    /// For how long everything else is kept.
    pub retention: RetentionConfig,
    /// When a knife or a gun counts, and what becomes of whoever holds one.
    pub weapons: WeaponConfig,
    /// A record of the run, to run it again.
    pub replay: ReplayConfig,
    /// What is under the map.
    pub map: MapConfig,
    /// Where the stores are; the embedded ones unless told otherwise.
    pub stores: Addresses,
    /// The cameras, in the order of the wall.
    #[serde(rename = "camera")]
    pub cameras: Vec<CameraConfig>,
    /// Groups of cameras whose views overlap.
    #[serde(rename = "overlap")]
    pub overlaps: Vec<OverlapConfig>,
}

impl Default for SiteConfig {
    fn default() -> Self {
        Self {
            name: "Vigia".to_owned(),
            analysis: AnalysisConfig::default(),
            models: SiteModels::default(),
            video: VideoConfig::default(),
            follow: FollowConfig::default(),
            session: SessionConfig::default(),
            audit: AuditConfig::default(),
            recording: RecordingConfig::default(),
            retention: RetentionConfig::default(),
            weapons: WeaponConfig::default(),
            replay: ReplayConfig::default(),
            map: MapConfig::default(),
            stores: Addresses::default(),
            cameras: Vec::new(),
            overlaps: Vec::new(),
        }
    }
}

/// Cameras of which every two may show one person at the same instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverlapConfig {
    /// Their names, two or more.
    pub cameras: Vec<String>,
}

/// How frames are analysed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AnalysisConfig {
    /// `auto`, `cpu` or `cuda`.
    pub device: DeviceChoice,
    /// CPU threads of one inference.
    pub threads: u32,
    /// At most this many frames a second of one camera are analysed; the rest are only shown.
    pub max_fps: f32,
    /// The detector.
    pub detector: DetectorConfig,
}

impl Default for AnalysisConfig {
    fn default() -> Self {
        Self { device: DeviceChoice::Auto, threads: 1, max_fps: 15.0, detector: DetectorConfig::default() }
    }
}

/// How streams are received; each camera may differ.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VideoConfig {
    /// `auto`, `tcp` or `udp`.
    pub transport: Transport,
    /// Jitter buffer, milliseconds.
    pub latency_ms: u64,
    /// A camera that sends nothing for this long is stale, seconds.
    pub stall_after_s: f64,
    /// How long a camera may take to answer, seconds.
    pub connect_timeout_s: f64,
}

impl Default for VideoConfig {
    fn default() -> Self {
        Self { transport: Transport::Auto, latency_ms: 100, stall_after_s: 3.0, connect_timeout_s: 10.0 }
    }
}

/// How long somebody stays logged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionConfig {
    /// Minutes without a key, a click or a move of the mouse after which the session ends. In a control room people look for
    /// long and touch little; NIST SP 800-63B-4 wants an hour at most.
    pub idle_minutes: u32,
    /// Hours after which a session ends however busy it is: a shift. NIST SP 800-63B-4 wants 24 at most.
    pub longest_hours: u32,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self { idle_minutes: 30, longest_hours: 12 }
    }
}

/// The audit trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuditConfig {
    /// What becomes of an action whose entry cannot reach the log now.
    pub when_unreachable: WhenUnreachable,
    /// For how many days an anchor on S3 can be neither changed nor deleted, by nobody.
    pub anchor_lock_days: u32,
}

/// What becomes of an action whose entry cannot reach the action log now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WhenUnreachable {
    /// It is done; its entry waits in the journal.
    #[default]
    Queue,
    /// It is refused before anything is done; that it was tried waits in the journal.
    Refuse,
}

impl AuditConfig {
    /// How long an anchor is locked.
    pub fn lock_for(self) -> Duration {
        Duration::from_secs(u64::from(self.anchor_lock_days) * 86_400)
    }
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self { when_unreachable: WhenUnreachable::Queue, anchor_lock_days: 365 }
    }
}

/// A record of the run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReplayConfig {
    /// Where it is written: a folder that holds none yet. While one is written every camera is recorded all the time.
    pub folder: Option<PathBuf>,
}

/// What is under the map.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MapConfig {
    /// A PMTiles archive of PNG, JPEG or WebP tiles on this machine, beside the configuration file unless its path is whole.
    /// Without one the map is a plain grid.
    pub tiles: Option<PathBuf>,
}

/// One camera.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraConfig {
    /// Unique name.
    pub name: String,
    /// `rtsp://…`, `file:///…` or `test:`.
    pub url: String,
    /// Latitude and longitude, degrees.
    #[serde(default)]
    pub location: Option<(f64, f64)>,
    /// The way it looks, degrees clockwise from north.
    #[serde(default)]
    pub heading: Option<f64>,
    /// How wide it sees, degrees; only with `heading`.
    #[serde(default)]
    pub angle: Option<f64>,
    /// How far people can be made out, metres; only with `heading`.
    #[serde(default)]
    pub range: Option<f64>,
    /// A window cut out of shared footage.
    #[serde(default, rename = "virtual")]
    pub is_virtual: bool,
    /// `always`, `events` or `never`; what `[recording]` says where it is left out.
    #[serde(default)]
    pub record: Option<RecordMode>,
    /// Off: kept, not connected.
    #[serde(default = "yes")]
    pub active: bool,
}

impl CameraConfig {
    /// A camera of which nothing else is said.
    pub fn new(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            url: url.into(),
            location: None,
            heading: None,
            angle: None,
            range: None,
            is_virtual: false,
            record: None,
            active: true,
        }
    }

    /// What it sees of the ground; what is left out is that of a usual camera.
    pub fn field_of_view(&self) -> Option<FieldOfView> {
        let usual = FieldOfView::towards(self.heading?);
        let (angle, range) = (self.angle.unwrap_or(usual.angle), self.range.unwrap_or(usual.range));
        Some(FieldOfView { angle, range, ..usual })
    }
}

fn yes() -> bool {
    true
}

impl SiteConfig {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// When it cannot be read, is not TOML, has an unknown or mistyped key, or two cameras of one name.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|why| ConfigError::Unreadable { path: path.to_owned(), why })?;
        let mut config = Self::parse(&text).map_err(|why| ConfigError::Malformed { path: path.to_owned(), why })?;
        if let (Some(tiles), Some(folder)) = (&mut config.map.tiles, path.parent()) {
            *tiles = folder.join(&*tiles);
        }
        Ok(config)
    }

    fn parse(text: &str) -> Result<Self, String> {
        // The message quotes the line, which may hold an address with a password.
        let config: Self = toml::from_str(text).map_err(|e| without_credentials(&e.to_string()))?;
        config.check_numbers()?;
        if config.map.tiles.as_ref().is_some_and(|tiles| tiles.to_string_lossy().contains("://")) {
            return Err("`map.tiles` is a file on this machine: maps are not fetched from anywhere".to_owned());
        }
        for (i, camera) in config.cameras.iter().enumerate() {
            if camera.name.trim().is_empty() {
                return Err(format!("camera {} has an empty `name`", i + 1));
            }
            if config.cameras.iter().take(i).any(|c| c.name == camera.name) {
                return Err(format!("two cameras have the `name` \"{}\"; names must differ", camera.name));
            }
            if !is_stream_address(&camera.url) {
                return Err(format!(
                    "camera \"{}\": `url` must start with rtsp://, rtsps://, file:// or test:",
                    camera.name
                ));
            }
            let on_earth = |(lat, lon): (f64, f64)| (-90.0..=90.0).contains(&lat) && (-180.0..=180.0).contains(&lon);
            if !camera.location.is_none_or(on_earth) {
                let why = "`location` is latitude (-90 to 90) and longitude (-180 to 180), degrees";
                return Err(format!("camera \"{}\": {why}", camera.name));
            }
            if camera.heading.is_none() && (camera.angle.is_some() || camera.range.is_some()) {
                return Err(format!("camera \"{}\": `angle` and `range` need a `heading`", camera.name));
            }
            if !camera.field_of_view().is_none_or(|f| f.is_possible()) {
                let why = "`heading` is in degrees from north, `angle` above 0 to 360 degrees, `range` above 0 to 10000 metres";
                return Err(format!("camera \"{}\": {why}", camera.name));
            }
        }
        if config.overlaps.iter().any(|o| o.cameras.len() < 2) {
            return Err("an `[[overlap]]` needs the names of at least two `cameras`".to_owned());
        }
        Ok(config)
    }

    fn check_numbers(&self) -> Result<(), String> {
        let (v, a, f, w) = (&self.video, &self.analysis, &self.follow, &self.weapons);
        let seconds = |s: f64| s > 0.0 && s <= 3600.0;
        let checks = [
            (seconds(v.stall_after_s), "`video.stall_after_s` must be above 0 and at most 3600 seconds"),
            (seconds(v.connect_timeout_s), "`video.connect_timeout_s` must be above 0 and at most 3600 seconds"),
            (v.latency_ms <= 60_000, "`video.latency_ms` must be at most 60000 milliseconds"),
            (a.max_fps > 0.0 && a.max_fps <= 1000.0, "`analysis.max_fps` must be above 0 and at most 1000"),
            ((1..=1440).contains(&self.session.idle_minutes), "`session.idle_minutes` must be between 1 and 1440"),
            ((1..=168).contains(&self.session.longest_hours), "`session.longest_hours` must be between 1 and 168"),
            ((1..=256).contains(&a.threads), "`analysis.threads` must be between 1 and 256"),
            (
                DetectorConfig::takes(a.detector.input),
                "`analysis.detector.input` must be a multiple of 32 between 32 and 2048",
            ),
            (f.alert > 0.0 && f.alert <= 1.0, "`follow.alert` must be above 0 and at most 1"),
            (
                [w.knife, w.gun].iter().all(|s| *s > 0.0 && *s <= 1.0),
                "`weapons.knife` and `weapons.gun` must be above 0 and at most 1",
            ),
            (
                w.hits > 0 && w.window >= w.hits && w.window <= 1000,
                "`weapons.hits` must be at least 1 and at most `weapons.window`, which is at most 1000",
            ),
            (seconds(w.forget_s), "`weapons.forget_s` must be above 0 and at most 3600 seconds"),
            (
                w.decide_within_s > 0.0 && w.decide_within_s <= 86_400.0,
                "`weapons.decide_within_s` must be above 0 and at most 86400 seconds",
            ),
            (
                w.follow_hours > 0.0 && w.follow_hours <= 8760.0,
                "`weapons.follow_hours` must be above 0 and at most 8760",
            ),
            (f.list > 0.0 && f.list <= f.alert, "`follow.list` must be above 0 and at most `follow.alert`"),
            (
                (0.0..=8760.0).contains(&f.search_back_hours),
                "`follow.search_back_hours` must be between 0 (off) and 8760",
            ),
            (f.gallery > 0 && f.track_gallery > 0, "`follow.gallery` and `follow.track_gallery` must be at least 1"),
        ];
        checks
            .iter()
            .chain(&self.recording.checks())
            .chain(&self.retention.checks())
            .find(|(fine, _)| !fine)
            .map_or(Ok(()), |(_, why)| Err((*why).to_owned()))
    }

    /// How the stream at `url` is received.
    pub(super) fn source(&self, url: &str) -> SourceConfig {
        let v = &self.video;
        let seconds = |s: f64| Duration::try_from_secs_f64(s).unwrap_or(Duration::from_secs(3));
        SourceConfig {
            url: url.to_owned(),
            transport: v.transport,
            latency: Duration::from_millis(v.latency_ms),
            stall_after: seconds(v.stall_after_s),
            connect_timeout: seconds(v.connect_timeout_s),
        }
    }
}

/// `text` with everything between `://` and the last `@` of each line replaced.
fn without_credentials(text: &str) -> String {
    let clean = |line: &str| match (line.find("://"), line.rfind('@')) {
        (Some(start), Some(end)) if start + 3 <= end => {
            format!("{}…{}", line.get(..start + 3).unwrap_or_default(), line.get(end..).unwrap_or_default())
        }
        _ => line.to_owned(),
    };
    text.lines().map(clean).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_told_with_line_and_key() {
        let unknown = SiteConfig::parse("name = \"A\"\n[video]\nlatency = 3\n").unwrap_err();
        assert!(unknown.contains("line 3") && unknown.contains("latency"), "{unknown}");
        let mistyped = SiteConfig::parse("[analysis]\nthreads = \"two\"\n").unwrap_err();
        assert!(mistyped.contains("line 2") && mistyped.contains("threads"), "{mistyped}");
        let twice = "[[camera]]\nname=\"A\"\nurl=\"test:\"\n[[camera]]\nname=\"A\"\nurl=\"test:\"\n";
        assert!(SiteConfig::parse(twice).unwrap_err().contains("\"A\""));
        assert!(SiteConfig::parse("[[camera]]\nname=\"A\"\nurl=\"http://x\"\n").unwrap_err().contains("rtsp://"));
        let secret = SiteConfig::parse("[[camera]]\nname=\"A\"\nulr=\"rtsp://u:pass@w@10.0.0.1/x\"\n").unwrap_err();
        assert!(secret.contains("line 3") && !secret.contains("pass"), "{secret}");
        for (text, key) in [
            ("[video]\nconnect_timeout_s = 1e19\n", "connect_timeout_s"),
            ("[video]\nstall_after_s = 0\n", "stall_after_s"),
            ("[analysis.detector]\ninput = 100\n", "input"),
            ("[follow]\nalert = nan\n", "alert"),
            ("[follow]\nalert = 0.5\nlist = 0.6\n", "list"),
            ("[[overlap]]\ncameras = [\"A\"]\n", "overlap"),
            ("[session]\nidle_minutes = 0\n", "idle_minutes"),
            ("[map]\ntiles = \"https://tiles.example/{z}\"\n", "map.tiles"),
            ("[recording]\nsegment_s = 0\n", "segment_s"),
            ("[[camera]]\nname=\"A\"\nurl=\"test:\"\nlocation=[91.0, 0.0]\n", "location"),
            ("[[camera]]\nname=\"A\"\nurl=\"test:\"\nangle=60\n", "heading"),
            ("[[camera]]\nname=\"A\"\nurl=\"test:\"\nheading=60\nrange=0\n", "range"),
            ("[recording]\nrecord = \"sometimes\"\n", "record"),
        ] {
            let told = SiteConfig::parse(text).unwrap_err();
            assert!(told.contains(key), "{told}");
        }
    }

    #[test]
    fn an_empty_file_is_a_site_without_cameras() {
        assert_eq!(SiteConfig::parse("").unwrap(), SiteConfig::default());
    }
}
