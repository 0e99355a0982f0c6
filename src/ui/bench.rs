//! What a repaint of the wall costs: the real console, drawn with the real shader into a texture, without a window.
use super::{Console, review::TimelineView, tokens};
use crate::model::{Camera, CameraId, Timestamp, User};
use crate::site::{Access, CameraCounters, CameraStatus, CameraView, Keeper, SiteState, Timeline};
use crate::video::{Color, Frame, FrameError};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// What [`measure`] found.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct UiCost {
    /// Cameras on the wall, each with a new 1280×720 frame at every repaint.
    pub tiles: usize,
    /// Repaints measured.
    pub frames: usize,
    /// CPU time of the whole process for one repaint, milliseconds; with a software adapter this includes the drawing.
    pub cpu_ms: f64,
    /// From state to finished picture, milliseconds.
    pub wall_ms: f64,
    /// The graphics adapter.
    pub adapter: String,
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// GStreamer could not be started.
    #[error("GStreamer could not be started: {0}")]
    Gstreamer(String),
    /// A frame could not be made.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// No usable graphics adapter.
    #[error("no graphics adapter can be used: {0}. Install a Vulkan driver (Mesa's software one will do)")]
    Adapter(String),
    /// The adapter stopped answering.
    #[error("the graphics adapter stopped answering: {0}")]
    Device(String),
}

/// Draws a wall of `tiles` cameras `frames` times at 1600×900 after ten repaints to warm up.
///
/// # Errors
/// When there is no graphics adapter, or it fails.
pub fn measure(tiles: usize, frames: usize) -> Result<UiCost, BenchError> {
    gstreamer::init().map_err(|error| BenchError::Gstreamer(error.to_string()))?;
    let setup = egui_wgpu::WgpuSetup::without_display_handle();
    let instance = block_on(setup.new_instance());
    let configuration = egui_wgpu::WgpuConfiguration { wgpu_setup: setup, ..Default::default() };
    let options = egui_wgpu::RendererOptions { dithering: false, ..Default::default() };
    let device = egui_wgpu::RenderState::create(&configuration, &instance, None, options);
    let render_state = block_on(device).map_err(|error| BenchError::Adapter(error.to_string()))?;
    let stock = (0..4).map(moving_bars).collect::<Result<Vec<_>, _>>()?;
    let context = egui::Context::default();
    let mut console = Console::new(&context, Some(&render_state));
    let mut state = site(tiles);
    let screen = Screen::new(&render_state);
    let (mut cpu, mut start) = (cpu_time(), Instant::now());
    const WARM_UP: usize = 10;
    for i in 0..WARM_UP + frames {
        if i == WARM_UP {
            (cpu, start) = (cpu_time(), Instant::now());
        }
        for (tile, view) in state.cameras.iter_mut().enumerate() {
            view.frame = stock.get((i + tile) % stock.len()).cloned();
        }
        screen.draw(&context, i as f64 / 30.0, &render_state, |ui| {
            console.ui(ui, &state);
        })?;
    }
    let per_frame = |d: Duration| d.as_secs_f64() * 1e3 / frames.max(1) as f64;
    Ok(UiCost {
        tiles,
        frames,
        cpu_ms: per_frame(cpu_time().saturating_sub(cpu)),
        wall_ms: per_frame(start.elapsed()),
        adapter: render_state.adapter.get_info().name,
    })
}

/// What frames of the timeline cost, from state to triangles, without the graphics adapter: `frames` times for each of `cameras`
/// cameras, whose identities are 1, 2, …
pub fn timeline(timeline: Timeline, cameras: usize, frames: usize) -> Vec<Duration> {
    let context = egui::Context::default();
    tokens::install(&context);
    let mut state = site(cameras);
    let half = (timeline.until.0 - timeline.from.0) / 4;
    state.now = Timestamp(timeline.until.0 - half);
    let shown = (Timestamp(timeline.from.0 + half), state.now);
    state.review.timeline = Some(Arc::new(timeline));
    let mut view = TimelineView::of(shown.0, shown.1);
    let draw = |i: usize| {
        let input = egui::RawInput {
            screen_rect: Some(egui::Rect::from_min_size(egui::Pos2::ZERO, egui::vec2(tokens::WINDOW_SIZE[0], 720.0))),
            time: Some(i as f64 / 30.0),
            ..Default::default()
        };
        let begun = Instant::now();
        let mut output = context.run_ui(input, |ui| {
            if tokens::fonts_ready(ui.ctx()) {
                view.ui(ui, &state, None, &[], &mut Vec::new());
            }
        });
        output.textures_delta.clear(); // there is no adapter to take them
        context.tessellate(output.shapes, output.pixels_per_point);
        begun.elapsed()
    };
    (0..frames + 10).map(draw).skip(10).collect()
}

/// An off-screen picture to draw into.
struct Screen {
    view: wgpu::TextureView,
    descriptor: egui_wgpu::ScreenDescriptor,
}

impl Screen {
    fn new(render_state: &egui_wgpu::RenderState) -> Self {
        let [width, height] = tokens::WINDOW_SIZE.map(|side| side as u32);
        let texture = render_state.device.create_texture(&wgpu::TextureDescriptor {
            label: Some("screen"),
            size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: render_state.target_format,
            usage: wgpu::TextureUsages::RENDER_ATTACHMENT,
            view_formats: &[],
        });
        let descriptor = egui_wgpu::ScreenDescriptor { size_in_pixels: [width, height], pixels_per_point: 1.0 };
        Self { view: texture.create_view(&Default::default()), descriptor }
    }

    /// One repaint, until the adapter has finished it.
    fn draw(
        &self,
        context: &egui::Context,
        time: f64,
        render_state: &egui_wgpu::RenderState,
        contents: impl FnMut(&mut egui::Ui),
    ) -> Result<(), BenchError> {
        let input = egui::RawInput {
            screen_rect: Some(egui::Rect::from_min_size(egui::Pos2::ZERO, tokens::WINDOW_SIZE.into())),
            time: Some(time),
            ..Default::default()
        };
        let mut output = context.run_ui(input, contents);
        let shapes = context.tessellate(output.shapes, output.pixels_per_point);
        let (device, queue) = (&render_state.device, &render_state.queue);
        let mut renderer = render_state.renderer.write();
        for (id, deltas) in output.textures_delta.set.drain() {
            for delta in deltas {
                renderer.update_texture(device, queue, id, &delta);
            }
        }
        let mut encoder = device.create_command_encoder(&Default::default());
        let mut buffers = renderer.update_buffers(device, queue, &mut encoder, &shapes, &self.descriptor);
        {
            let attachment = wgpu::RenderPassColorAttachment {
                view: &self.view,
                resolve_target: None,
                ops: wgpu::Operations { load: wgpu::LoadOp::Clear(wgpu::Color::BLACK), store: wgpu::StoreOp::Store },
                depth_slice: None,
            };
            let descriptor =
                wgpu::RenderPassDescriptor { color_attachments: &[Some(attachment)], ..Default::default() };
            let mut pass = encoder.begin_render_pass(&descriptor).forget_lifetime();
            renderer.render(&mut pass, &shapes, &self.descriptor);
        }
        buffers.push(encoder.finish());
        queue.submit(buffers);
        for id in output.textures_delta.free.drain() {
            renderer.free_texture(&id);
        }
        let wait = wgpu::PollType::Wait { submission_index: None, timeout: Some(Duration::from_secs(20)) };
        device.poll(wait).map_err(|error| BenchError::Device(error.to_string()))?;
        Ok(())
    }
}

pub(super) fn site(tiles: usize) -> SiteState {
    let now = Timestamp(0);
    let camera = |i: usize| CameraView {
        camera: Camera {
            id: CameraId::from_u128(i as u128 + 1),
            name: format!("Camera {}", i + 1),
            url: "test:".to_owned(),
            location: None,
            field_of_view: None,
            placed: false,
            added_at: now,
            active: true,
            is_virtual: false,
            configured: true,
            version: 1,
        },
        status: CameraStatus::Live,
        frame: None,
        tracks: Arc::default(),
        weapons: Arc::default(),
        counters: CameraCounters::default(),
        clock_offset: None,
        keeper: Keeper::default(),
        looked: Arc::default(),
    };
    let user = User {
        cc: "1".to_owned(),
        email: String::new(),
        name: "Bench".to_owned(),
        is_admin: false,
        active: true,
        version: 1,
    };
    SiteState {
        now,
        name: "Bench".to_owned(),
        access: Access::LoggedIn(user),
        cameras: (0..tiles).map(camera).collect(),
        suspects: Vec::new(),
        sightings: Vec::new(),
        recent_reasons: Vec::new(),
        session: None,
        admin: Arc::default(),
        review: Default::default(),
        uploads: Vec::new(),
        jobs: Vec::new(),
        export: None,
        map: Default::default(),
        log: Default::default(),
        failing: Vec::new(),
        stores: Vec::new(),
        refused: Arc::default(),
        notices: Vec::new(),
        analysis: String::new(),
        find: None,
        card: None,
        recording: Vec::new(),
        records: false,
        casework: Arc::default(),
    }
}

/// 720p with grey bars at a place of their own.
fn moving_bars(k: usize) -> Result<Frame, FrameError> {
    const W: usize = 1280;
    const H: usize = 720;
    let mut bytes: Vec<u8> = (0..W * H).map(|i| 40 + ((i % W / 80 + k) % 8) as u8 * 24).collect();
    bytes.resize(W * H * 3 / 2, 128);
    Frame::from_i420(W as u32, H as u32, &bytes, Color::BT709, k as u64, Timestamp(0))
}

/// CPU time of all threads of this process so far; zero where the system does not tell.
fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for one timespec, and that is all the call writes.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) } != 0;
    if failed { Duration::ZERO } else { Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32) }
}

/// wgpu's futures on native systems are ready when they are made; this polls them without a runtime.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        std::thread::yield_now();
    }
}
