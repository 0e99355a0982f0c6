//! `vigia simulate`: virtual cameras over real RTSP, on this machine only.
use super::prerequisites;
use crate::{
    model::Rect,
    video::{Codec, SimulatedCamera, Window, make_view, serve},
};
use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use std::{
    io::{BufRead as _, BufReader, IsTerminal as _, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    sync::mpsc,
};

/// Flags of `vigia simulate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Encoded files to serve as cameras (default: the four views of the demo)
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 8554)]
    port: u16,
    /// End when standard input is closed, as the demo does with its server
    #[arg(long)]
    until_stdin_closes: bool,
}

/// One view of the demo: a window of the footage, seen by a camera of its own.
#[derive(Clone, Copy)]
struct View {
    name: &'static str,
    /// Where in the footage.
    window: Window,
    codec: Codec,
}

/// The demo's footage (Debian's `opencv-doc`): 768 × 576, 10 frames a second, one street corner seen from above.
pub(super) const FOOTAGE: &str = "vtest.avi";

const fn window(x: u32, y: u32) -> Window {
    Window { x, y, width: 480, height: 360 }
}

/// Four windows that overlap, so that people walk out of one camera and into another.
const VIEWS: [View; 4] = [
    View { name: "north-west", window: window(0, 0), codec: Codec::H264 },
    View { name: "north-east", window: window(288, 0), codec: Codec::H265 },
    View { name: "south-west", window: window(0, 216), codec: Codec::Mjpeg },
    View { name: "south-east", window: window(288, 216), codec: Codec::H264 },
];

/// The windows of the demo's views in the footage.
pub(super) fn demo_windows() -> [Rect; 4] {
    VIEWS.map(|v| {
        let w = v.window;
        Rect::new(w.x as f32, w.y as f32, w.width as f32, w.height as f32)
    })
}

/// The demo's cameras, cut out of the footage once and kept in the cache.
pub(super) fn demo_cameras() -> anyhow::Result<Vec<SimulatedCamera>> {
    let footage = prerequisites::footage(FOOTAGE);
    if !footage.is_file() {
        bail!("the demo footage {} is missing; run `make setup`", footage.display());
    }
    let cache = prerequisites::cache_dir().join("views");
    std::fs::create_dir_all(&cache).with_context(|| format!("cannot create {}", cache.display()))?;
    let mut cameras = Vec::new();
    for view in &VIEWS {
        let file = cache.join(format!("{FOOTAGE}-{}-v1.mkv", view.name));
        if !file.is_file() {
            make(view, &footage, &file)?;
        }
        cameras.push(SimulatedCamera { name: view.name.to_owned(), file });
    }
    Ok(cameras)
}

fn make(view: &View, footage: &Path, file: &Path) -> anyhow::Result<()> {
    let terminal = std::io::stderr().is_terminal();
    let mut told = -1i32;
    let mut progress = |part: f32| {
        let percent = (part * 100.0) as i32;
        if terminal && percent != told {
            told = percent;
            eprint!("\rpreparing virtual camera {} … {percent:3} %", view.name);
        }
    };
    make_view(footage, view.window, view.codec, file, &mut progress)
        .with_context(|| format!("cannot prepare the virtual camera {}", view.name))?;
    if terminal {
        eprintln!();
    }
    Ok(())
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let cameras = if args.files.is_empty() {
        demo_cameras()?
    } else {
        args.files
            .iter()
            .map(|file| {
                let name = file.file_stem().map_or_else(|| "camera".to_owned(), |s| s.to_string_lossy().into_owned());
                SimulatedCamera { name, file: file.clone() }
            })
            .collect()
    };
    let names: Vec<String> = cameras.iter().map(|c| c.name.clone()).collect();
    let (done, wait) = mpsc::channel();
    let on_signal = done.clone();
    ctrlc::set_handler(move || {
        let _ = on_signal.send(());
    })
    .context("cannot listen for Ctrl-C")?;
    let server = serve(&cameras, args.port, None)?;
    let urls = server.urls().to_vec();
    let served =
        Served { cameras: names.into_iter().zip(urls).map(|(name, url)| ServedCamera { name, url }).collect() };
    let mut out = std::io::stdout();
    writeln!(out, "{}", serde_json::to_string(&served)?)?;
    out.flush()?;
    if args.until_stdin_closes {
        std::thread::spawn(move || {
            let mut byte = [0u8];
            while std::io::stdin().read(&mut byte).is_ok_and(|n| n > 0) {}
            let _ = done.send(());
        });
    }
    let _ = wait.recv();
    drop(server);
    Ok(ExitCode::SUCCESS)
}

/// What a server prints on its first line.
#[derive(Serialize, Deserialize)]
pub(super) struct Served {
    pub cameras: Vec<ServedCamera>,
}

/// One camera and its address.
#[derive(Serialize, Deserialize)]
pub(super) struct ServedCamera {
    pub name: String,
    pub url: String,
}

/// The server's process; ends with this one, whatever happens: its standard input closes.
pub(super) struct Simulator(Child);

impl Drop for Simulator {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts `vigia simulate` as a process of its own on a free port and waits until it serves.
pub(super) fn start_process(files: &[PathBuf]) -> anyhow::Result<(Simulator, Served)> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let mut child = Command::new(program)
        .args(["simulate", "--port", "0", "--until-stdin-closes"])
        .args(files)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start the server of the virtual cameras")?;
    let out = child.stdout.take();
    let simulator = Simulator(child);
    let mut line = String::new();
    if let Some(out) = out {
        BufReader::new(out).read_line(&mut line)?;
    }
    match serde_json::from_str(&line) {
        Ok(served) => Ok((simulator, served)),
        Err(_) => bail!("the server of the virtual cameras ended at once; `vigia simulate` says why"),
    }
}
