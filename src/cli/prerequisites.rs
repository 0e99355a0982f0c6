//! What Vigia needs of the machine it runs on, where its models and footage lie, and whether all of it is there.
use crate::vision::{DETECTOR_FILE, DETECTOR_SHA256, LEARNED_FILE, OUTLINE_FILE, OUTLINE_SHA256, sha256_of};
use gstreamer as gst;
use gstreamer::prelude::*;
use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    pin::pin,
    task::{Context, Poll, Waker},
};

/// The demo's footage: OpenCV's pedestrians, 768×576, 10 frames a second.
const DEMO_FOOTAGE: &str = "vtest.avi";
/// Below this many bytes free, recording would soon stop.
const FREE_BYTES: u64 = 1 << 30;
const SETUP: &str = "run `make setup`";

/// One thing Vigia needs or can use.
#[derive(Debug, Clone)]
pub struct Prerequisite {
    /// What it is and what for.
    pub name: String,
    /// Whether the console cannot do its work without it.
    pub required: bool,
    /// Its version or place; or what to do to get it.
    pub found: Result<String, String>,
}

impl Prerequisite {
    fn required(name: impl Into<String>, found: Result<String, String>) -> Self {
        Self { name: name.into(), required: true, found }
    }

    fn optional(name: impl Into<String>, found: Result<String, String>) -> Self {
        Self { name: name.into(), required: false, found }
    }

    /// Required and not there.
    #[must_use]
    pub const fn blocks(&self) -> bool {
        self.required && self.found.is_err()
    }
}

/// The folder of the trained weights: the one named, else `$VIGIA_MODELS`, else `.vigia/models` in the working directory
/// or beside the executable or above it, else where the set-up puts them. The last is returned when none exists, so that
/// a message can name it.
#[must_use]
pub fn models_dir(explicit: Option<&Path>) -> PathBuf {
    if let Some(dir) = explicit {
        return dir.to_owned();
    }
    variable("VIGIA_MODELS").unwrap_or_else(|| installed("models", &roots(), &cache_dir()))
}

/// A file of the demo footage, found as [`models_dir`] is (`$VIGIA_FOOTAGE` names the folder).
#[must_use]
pub fn footage(name: &str) -> PathBuf {
    variable("VIGIA_FOOTAGE").unwrap_or_else(|| installed("footage", &roots(), &cache_dir())).join(name)
}

/// The data folder: the one named, else `$VIGIA_DATA`, else `vigia` in the user's data folder (XDG base directories).
#[must_use]
pub fn data_dir(explicit: Option<&Path>) -> PathBuf {
    if let Some(dir) = explicit {
        return dir.to_owned();
    }
    variable("VIGIA_DATA")
        .unwrap_or_else(|| variable("XDG_DATA_HOME").unwrap_or_else(|| home().join(".local/share")).join("vigia"))
}

/// Looks at everything. Slow things first seen here (GStreamer's registry, the graphics drivers) take a second or two.
#[must_use]
pub fn all(models: &Path, data: &Path) -> Vec<Prerequisite> {
    let mut list = gstreamer();
    list.push(Prerequisite::required("libtorch (analysis)", libtorch()));
    list.push(Prerequisite::optional("NVIDIA GPU for the analysis", cuda()));
    let detector = models.join(DETECTOR_FILE);
    list.push(Prerequisite::required("detector weights NanoDet-g", weights(&detector, DETECTOR_SHA256)));
    list.push(Prerequisite::optional("outline weights", weights(&models.join(OUTLINE_FILE), OUTLINE_SHA256)));
    list.push(Prerequisite::optional("learned appearance model", appearance(models)));
    list.push(Prerequisite::optional("demo footage", present(&footage(DEMO_FOOTAGE))));
    list.push(Prerequisite::required("graphics adapter (window)", graphics()));
    list.push(Prerequisite::optional("display", display()));
    list.push(Prerequisite::optional("XDG_RUNTIME_DIR", runtime_dir()));
    list.push(Prerequisite::optional("file dialogs", dialogs()));
    list.push(Prerequisite::required("free space for the data", free_space(data)));
    list
}

fn variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from)
}

fn home() -> PathBuf {
    variable("HOME").unwrap_or_else(|| PathBuf::from("/"))
}

/// Where this user's downloads and everything derived from them are kept: `$VIGIA_CACHE`, `$XDG_CACHE_HOME/vigia` or `~/.cache/vigia`.
pub fn cache_dir() -> PathBuf {
    variable("VIGIA_CACHE")
        .unwrap_or_else(|| variable("XDG_CACHE_HOME").unwrap_or_else(|| home().join(".cache")).join("vigia"))
}

/// Folders that may be a checkout: the working directory, and every folder above the executable.
fn roots() -> Vec<PathBuf> {
    let above = env::current_exe().map(|exe| exe.ancestors().skip(1).map(Path::to_owned).collect::<Vec<_>>());
    env::current_dir().into_iter().chain(above.unwrap_or_default()).collect()
}

fn installed(what: &str, roots: &[PathBuf], cache: &Path) -> PathBuf {
    let here = roots.iter().map(|root| root.join(".vigia").join(what)).find(|dir| dir.is_dir());
    here.unwrap_or_else(|| cache.join(what))
}

/// GStreamer element, what it is for, the Debian package that brings it, whether the console needs it (the others serve
/// the simulated cameras of the demo and other people's files).
const ELEMENTS: [(&str, &str, &str, bool); 34] = [
    ("rtspsrc", "RTSP cameras", "gstreamer1.0-plugins-good", true),
    ("udpsrc", "RTSP over UDP", "gstreamer1.0-plugins-good", true),
    ("rtpjitterbuffer", "RTSP cameras", "gstreamer1.0-plugins-good", true),
    ("rtph264depay", "H.264 cameras", "gstreamer1.0-plugins-good", true),
    ("rtph265depay", "H.265 cameras", "gstreamer1.0-plugins-good", true),
    ("rtpjpegdepay", "MJPEG cameras", "gstreamer1.0-plugins-good", true),
    ("h264parse", "H.264", "gstreamer1.0-plugins-bad", true),
    ("h265parse", "H.265", "gstreamer1.0-plugins-bad", true),
    ("avdec_h264", "H.264", "gstreamer1.0-libav", true),
    ("avdec_h265", "H.265", "gstreamer1.0-libav", true),
    ("jpegdec", "MJPEG", "gstreamer1.0-plugins-good", true),
    ("uridecodebin", "files", "gstreamer1.0-plugins-base", true),
    ("videoconvert", "unusual pixel formats", "gstreamer1.0-plugins-base", true),
    ("videoscale", "scaling, pixels that are not square", "gstreamer1.0-plugins-base", true),
    ("deinterlace", "interlaced pictures", "gstreamer1.0-plugins-good", true),
    ("videoflip", "pictures that lie on their side", "gstreamer1.0-plugins-good", true),
    ("videorate", "frame rates", "gstreamer1.0-plugins-base", true),
    ("videotestsrc", "test picture", "gstreamer1.0-plugins-base", true),
    ("appsink", "frames to Vigia", "gstreamer1.0-plugins-base", true),
    ("qtdemux", "mp4 and mov files", "gstreamer1.0-plugins-good", true),
    ("matroskademux", "mkv and webm files", "gstreamer1.0-plugins-good", true),
    ("avidemux", "avi files", "gstreamer1.0-plugins-good", true),
    ("tsdemux", "ts files", "gstreamer1.0-plugins-bad", true),
    ("matroskamux", "recording", "gstreamer1.0-plugins-good", true),
    ("jpegenc", "simulated MJPEG camera", "gstreamer1.0-plugins-good", false),
    ("x264enc", "simulated H.264 cameras", "gstreamer1.0-plugins-ugly", false),
    ("x265enc", "simulated H.265 camera", "gstreamer1.0-plugins-bad", false),
    ("rtph264pay", "simulated cameras", "gstreamer1.0-plugins-good", false),
    ("rtph265pay", "simulated cameras", "gstreamer1.0-plugins-good", false),
    ("rtpjpegpay", "simulated cameras", "gstreamer1.0-plugins-good", false),
    ("videocrop", "the demo's virtual cameras", "gstreamer1.0-plugins-good", false),
    ("avdec_msmpeg4", "the demo's footage", "gstreamer1.0-libav", false),
    ("vp9dec", "VP9 files", "gstreamer1.0-plugins-good", false),
    ("av1dec", "AV1 files", "gstreamer1.0-plugins-bad", false),
];

/// Decoders of the common graphics cards, in GStreamer's VA, NVIDIA and Video4Linux plugins.
const HARDWARE: [&str; 6] = ["vah264dec", "vaapih264dec", "nvh264dec", "nvh264sldec", "v4l2h264dec", "v4l2slh264dec"];

fn gstreamer() -> Vec<Prerequisite> {
    let version = match gst::init() {
        Err(why) => Err(format!("GStreamer does not start: {why}; {SETUP}")),
        Ok(()) => {
            let (major, minor, micro, _) = gst::version();
            if (major, minor) < (1, 22) {
                Err(format!("{major}.{minor}.{micro} is too old: Vigia needs 1.22 (Debian 12) or newer"))
            } else {
                Ok(format!("{major}.{minor}.{micro}"))
            }
        }
    };
    let usable = version.is_ok();
    let mut list = vec![Prerequisite::required("GStreamer (video)", version)];
    if usable {
        list.extend(ELEMENTS.iter().map(|&(element, purpose, package, required)| Prerequisite {
            name: format!("{element} ({purpose})"),
            required,
            found: plugin_of(element).ok_or_else(|| format!("apt-get install {package}")),
        }));
        let hardware: Vec<&str> = HARDWARE.into_iter().filter(|e| gst::ElementFactory::find(e).is_some()).collect();
        let none =
            || "none: the processor decodes (a graphics driver's VA-API or NVIDIA's plugin brings them)".to_owned();
        let found = if hardware.is_empty() { Err(none()) } else { Ok(hardware.join(", ")) };
        list.push(Prerequisite::optional("hardware video decoders", found));
    }
    list
}

/// The version of the plugin that brings the element.
fn plugin_of(element: &str) -> Option<String> {
    let factory = gst::ElementFactory::find(element)?;
    Some(factory.plugin().map_or_else(String::new, |p| p.version().to_string()))
}

/// Version and place of the libtorch that this process has loaded.
fn libtorch() -> Result<String, String> {
    let maps = fs::read_to_string("/proc/self/maps").map_err(|why| format!("/proc/self/maps cannot be read: {why}"))?;
    let lib = maps.lines().find_map(|line| {
        let path = Path::new(line.get(line.find('/')?..)?);
        (path.file_name() == Some(OsStr::new("libtorch_cpu.so"))).then(|| path.to_owned())
    });
    let home = lib.as_deref().and_then(Path::parent).and_then(Path::parent).ok_or_else(|| SETUP.to_owned())?;
    let version = fs::read_to_string(home.join("build-version"));
    Ok(format!("{} in {}", version.as_deref().map_or("unknown version", str::trim), home.display()))
}

fn cuda() -> Result<String, String> {
    let cards: Vec<String> = fs::read_dir("/proc/driver/nvidia/gpus")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|gpu| fs::read_to_string(gpu.path().join("information")).ok())
        .filter_map(|text| text.lines().find_map(|l| l.strip_prefix("Model:")).map(|model| model.trim().to_owned()))
        .collect();
    if tch::Cuda::is_available() {
        let cudnn = if tch::Cuda::cudnn_is_available() { "with" } else { "without" };
        Ok(format!("{} in use, {cudnn} cuDNN: {}", tch::Cuda::device_count(), cards.join(", ")))
    } else if cards.is_empty() {
        Err("none: the processor analyses".to_owned())
    } else {
        Err(format!(
            "{} is here but libtorch cannot use it: {SETUP} for the CUDA build, then build again",
            cards.join(", ")
        ))
    }
}

fn weights(path: &Path, expected: &str) -> Result<String, String> {
    match sha256_of(path) {
        Ok(sum) if sum == expected => Ok(format!("{}, checksum right", path.display())),
        Ok(sum) => {
            Err(format!("{} is damaged: sha256 is {sum}, expected {expected}; delete it and {SETUP}", path.display()))
        }
        Err(why) => {
            Err(format!("{} cannot be read ({why}): {SETUP}, or name the folder with --models", path.display()))
        }
    }
}

fn appearance(models: &Path) -> Result<String, String> {
    present(&models.join(LEARNED_FILE)).map_err(|_| {
        format!(
            "{LEARNED_FILE} is not in {}: the built-in colour stripes are used instead (Open Model Zoo's \
             person-reidentification-retail-0288, as TorchScript, does better)",
            models.display()
        )
    })
}

fn present(path: &Path) -> Result<String, String> {
    match fs::metadata(path) {
        Ok(meta) if meta.is_file() && meta.len() > 0 => Ok(path.display().to_string()),
        Ok(_) => Err(format!("{} is empty or no file: delete it and {SETUP}", path.display())),
        Err(why) => Err(format!("{} cannot be read ({why}): {SETUP}", path.display())),
    }
}

fn graphics() -> Result<String, String> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let backends = wgpu::Backends::VULKAN | wgpu::Backends::GL;
    // Natively the answer is there at once; only a browser makes one wait.
    let adapters = match pin!(instance.enumerate_adapters(backends)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(adapters) => adapters,
        Poll::Pending => Vec::new(),
    };
    let mut names: Vec<String> = adapters
        .iter()
        .map(|adapter| {
            let info = adapter.get_info();
            format!("{} ({:?})", info.name, info.backend)
        })
        .collect();
    names.dedup();
    if names.is_empty() {
        Err("no Vulkan or OpenGL: apt-get install mesa-vulkan-drivers libgl1-mesa-dri".to_owned())
    } else {
        Ok(names.join(", "))
    }
}

fn display() -> Result<String, String> {
    let named = |name: &str| variable(name).map(|value| format!("{name}={}", value.display()));
    named("WAYLAND_DISPLAY")
        .or_else(|| named("DISPLAY"))
        .ok_or_else(|| "none: start from a desktop, or use --headless".to_owned())
}

fn runtime_dir() -> Result<String, String> {
    let advice = "export XDG_RUNTIME_DIR=/run/user/$(id -u), or any folder that is yours alone (mode 700)";
    match variable("XDG_RUNTIME_DIR") {
        Some(dir) if dir.is_dir() => Ok(dir.display().to_string()),
        Some(dir) => Err(format!("{} is no folder: {advice}", dir.display())),
        None => Err(format!("not set: {advice}")),
    }
}

fn dialogs() -> Result<String, String> {
    let portal = Path::new("/usr/share/dbus-1/services/org.freedesktop.portal.Desktop.service");
    if portal.is_file() && variable("DBUS_SESSION_BUS_ADDRESS").is_some() {
        return Ok("the desktop's portal".to_owned());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .map(|dir| dir.join("zenity"))
        .find(|program| program.is_file())
        .map(|program| program.display().to_string())
        .ok_or_else(|| "neither a desktop portal nor zenity: apt-get install zenity".to_owned())
}

fn free_space(data: &Path) -> Result<String, String> {
    // The folder itself is made at the first start.
    let disk = data.ancestors().find(|dir| dir.is_dir()).unwrap_or_else(|| Path::new("."));
    let disk = if disk.as_os_str().is_empty() { Path::new(".") } else { disk };
    match fs4::available_space(disk) {
        Ok(free) => enough(free, data),
        Err(why) => Err(format!("the disk of {} cannot be asked: {why}", data.display())),
    }
}

/// `free` is in bytes.
fn enough(free: u64, data: &Path) -> Result<String, String> {
    let (mb, at) = (free / 1_000_000, data.display());
    if free >= FREE_BYTES {
        Ok(format!("{mb} MB for {at}"))
    } else {
        Err(format!("{mb} MB for {at} is too little: free some (1 GB at least), or choose another --data-dir"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_models_folder_wins_even_when_it_is_not_there() {
        assert_eq!(models_dir(Some(Path::new("/no/such/models"))), Path::new("/no/such/models"));
    }

    #[test]
    fn a_checkout_is_found_from_inside_before_the_cache() {
        let temp = tempfile::tempdir().unwrap();
        let (checkout, cache) = (temp.path().join("checkout"), temp.path().join("cache"));
        let roots = [checkout.join("target/release"), checkout.join("target"), checkout.clone()];
        assert_eq!(installed("models", &roots, &cache), cache.join("models"), "nothing set up: the cache is named");
        fs::create_dir_all(checkout.join(".vigia/models")).unwrap();
        assert_eq!(installed("models", &roots, &cache), checkout.join(".vigia/models"));
        assert_eq!(installed("footage", &roots, &cache), cache.join("footage"));
    }

    #[test]
    fn weights_are_known_by_their_checksum() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("x.bin");
        let of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert!(weights(&path, of_abc).unwrap_err().contains("make setup"));
        fs::write(&path, "abc").unwrap();
        assert!(weights(&path, of_abc).is_ok());
        fs::write(&path, "abd").unwrap();
        let damaged = weights(&path, of_abc).unwrap_err();
        assert!(damaged.contains("damaged") && damaged.contains(of_abc), "{damaged}");
    }

    #[test]
    fn empty_footage_is_not_found() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("vtest.avi");
        assert!(present(&path).is_err());
        fs::write(&path, "").unwrap();
        assert!(present(&path).unwrap_err().contains("empty"));
        fs::write(&path, "RIFF").unwrap();
        assert!(present(&path).is_ok());
    }

    #[test]
    fn a_full_disk_blocks() {
        let data = Path::new("/data");
        assert!(Prerequisite::required("space", enough(FREE_BYTES - 1, data)).blocks());
        assert!(!Prerequisite::required("space", enough(FREE_BYTES, data)).blocks());
        assert!(!Prerequisite::optional("space", enough(0, data)).blocks());
        assert!(free_space(Path::new("a/folder/not/made/yet")).is_ok(), "the nearest folder above is asked");
    }

    #[test]
    fn an_element_that_nobody_has_is_missing() {
        gst::init().unwrap();
        assert!(plugin_of("identity").is_some_and(|version| version.starts_with("1.")));
        assert!(plugin_of("nosuchelement").is_none());
    }

    #[test]
    fn this_build_runs_with_the_libtorch_of_the_set_up() {
        // Calls into libtorch, so that it is linked and loaded.
        assert!(tch::get_num_threads() > 0);
        assert!(libtorch().unwrap().starts_with("2.13.0 in /"));
    }
}
