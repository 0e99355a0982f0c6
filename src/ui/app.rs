//! The window: eframe around [`Console`].
use super::{Console, tokens};
use crate::site::{Access, CameraStatus, Command, SiteState};
use std::time::Duration;

/// The console repaints at most this often by itself (input repaints at once).
const LIVE_REPAINT: Duration = Duration::from_millis(33);
/// Repaint of a screen without live pictures: clocks and countdowns move, answers of the site appear.
const IDLE_REPAINT: Duration = Duration::from_millis(200);

/// Why the window could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum WindowError {
    /// No display, no usable graphics adapter, or the event loop failed.
    #[error(
        "the console's window could not be opened: {0}. Check that DISPLAY or WAYLAND_DISPLAY names a running display and that a Vulkan or OpenGL driver is installed (Mesa's software one will do), or run with --headless"
    )]
    Open(#[from] eframe::Error),
}

/// A handle on the open window for other threads. Cheap to clone; does nothing once the window is closed.
#[derive(Clone)]
pub struct Window(egui::Context);

impl Window {
    /// Asks for a repaint now, for instance after a new notice.
    pub fn wake(&self) {
        self.0.request_repaint();
    }

    /// Closes the window; [`run`] then returns. For Ctrl-C.
    pub fn close(&self) {
        self.0.send_viewport_cmd(egui::ViewportCommand::Close);
        self.0.request_repaint();
    }
}

/// Opens the console and blocks until it is closed. Must be called on the main thread.
///
/// `site` gives the state of the instant and is asked once a repaint; `send` takes what the operator asked for; both must
/// return at once. `opened` gets a handle on the window as soon as it exists.
///
/// # Errors
/// When no window can be opened.
pub fn run<'app>(
    site: impl FnMut() -> SiteState + 'app,
    send: impl FnMut(Command) + 'app,
    opened: impl FnOnce(Window) + 'app,
) -> Result<(), WindowError> {
    let mut options = eframe::NativeOptions {
        renderer: eframe::Renderer::Wgpu,
        viewport: egui::ViewportBuilder::default()
            .with_title("Vigia")
            .with_app_id("vigia")
            .with_inner_size(tokens::WINDOW_SIZE)
            .with_min_inner_size(tokens::WINDOW_MIN_SIZE),
        ..Default::default()
    };
    // Waiting for the display's vertical sync would block the console while its window is hidden.
    options.wgpu_options.surface.present_mode = wgpu::PresentMode::AutoNoVsync;
    let create = move |context: &eframe::CreationContext<'_>| -> Result<Box<dyn eframe::App + 'app>, _> {
        opened(Window(context.egui_ctx.clone()));
        Ok(Box::new(App { console: Console::new(&context.egui_ctx, context.wgpu_render_state.as_ref()), site, send }))
    };
    Ok(eframe::run_native("vigia", options, Box::new(create))?)
}

struct App<S, C> {
    console: Console,
    site: S,
    send: C,
}

impl<S: FnMut() -> SiteState, C: FnMut(Command)> eframe::App for App<S, C> {
    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        let state = (self.site)();
        for command in self.console.ui(ui, &state) {
            (self.send)(command);
        }
        let live = matches!(state.access, Access::LoggedIn(_))
            && state.cameras.iter().any(|camera| camera.status == CameraStatus::Live);
        ui.ctx().request_repaint_after(if live { LIVE_REPAINT } else { IDLE_REPAINT });
    }

    fn clear_color(&self, _visuals: &egui::Visuals) -> [f32; 4] {
        tokens::BACKGROUND.to_normalized_gamma_f32()
    }
}
