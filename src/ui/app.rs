//! The window: eframe around [`Console`].
use super::{Console, commands::UiCommand, tokens};
use crate::{
    site::{Access, CameraStatus, Command, SiteState},
    supervise,
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

/// The console repaints at most this often by itself (input repaints at once).
const LIVE_REPAINT: Duration = Duration::from_millis(33);
/// Under a slow, that is a software, renderer: from one repaint to the next, this many times what the last one cost, so
/// that drawing leaves the processor to decoding and analysis.
const REST: f32 = 2.0;
/// However slow, a live wall moves at least this often.
const SLOWEST_REPAINT: Duration = Duration::from_millis(250);
/// How long it is shown that a screen could not be drawn.
const FAILURE_SHOWN: Duration = Duration::from_secs(20);
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
        super::questions::leave(&self.0);
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
        // Nothing here has gradients, and under a software renderer dithering costs as much as the rest.
        dithering: false,
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
        Ok(Box::new(App {
            console: Console::new(&context.egui_ctx, context.wgpu_render_state.as_ref()),
            site,
            send,
            later: Vec::new(),
            failed: None,
        }))
    };
    Ok(eframe::run_native("vigia", options, Box::new(create))?)
}

struct App<S, C> {
    console: Console,
    site: S,
    send: C,
    /// Input that came after something that may move the focus, for the next repaint.
    later: Vec<egui::Event>,
    /// Why a screen could not be drawn, and when that was.
    failed: Option<(String, Instant)>,
}

/// Cuts `events` after the first one that may move the focus and returns the rest: Tab, Enter, Escape, a click, and, unless somebody is
/// `typing`, any shortcut. The focus moves between two repaints: on a slow display, what was typed right after would otherwise land in the
/// field before it, or nowhere.
fn after_focus_moves(events: &mut Vec<egui::Event>, typing: bool) -> Vec<egui::Event> {
    use egui::{Event, Key};
    let within_fields = |key: &Key| matches!(key, Key::Tab | Key::Enter | Key::Escape);
    let moves_focus = |event: &Event| match event {
        // A letter that is no shortcut moves nothing: what is typed into nothing does not wait in line.
        Event::Key { key, pressed, modifiers, .. } => {
            *pressed && (within_fields(key) || (!typing && UiCommand::is_any(*key, *modifiers)))
        }
        Event::PointerButton { pressed, .. } => !pressed,
        _ => false,
    };
    let Some(at) = events.iter().position(moves_focus) else { return Vec::new() };
    // The letter of a shortcut comes as text, too, and is not meant for what the shortcut opens.
    let is_letter = matches!(events.get(at), Some(Event::Key { key, .. }) if !within_fields(key));
    let own = usize::from(is_letter && matches!(events.get(at + 1), Some(Event::Text(_))));
    events.split_off(at + 1 + own)
}

impl<S: FnMut() -> SiteState, C: FnMut(Command)> eframe::App for App<S, C> {
    fn raw_input_hook(&mut self, context: &egui::Context, input: &mut egui::RawInput) {
        let mut events = std::mem::take(&mut self.later);
        events.append(&mut input.events);
        self.later = after_focus_moves(&mut events, context.egui_wants_keyboard_input());
        input.events = events;
        if !self.later.is_empty() {
            context.request_repaint();
        }
    }

    fn ui(&mut self, ui: &mut egui::Ui, frame: &mut eframe::Frame) {
        let state = (self.site)();
        // A screen that cannot be drawn must not end what is recorded: it is closed, and the wall takes its place.
        match catch_unwind(AssertUnwindSafe(|| self.console.ui(ui, &state))) {
            Ok(commands) => commands.into_iter().for_each(&mut self.send),
            Err(panic) => {
                let why = supervise::words(panic.as_ref());
                tracing::error!("the screen failed: {why}");
                self.console = Console::new(ui.ctx(), frame.wgpu_render_state());
                self.failed = Some((why, Instant::now()));
            }
        }
        if let Some((why, _)) = self.failed.as_ref().filter(|(_, at)| at.elapsed() < FAILURE_SHOWN) {
            let text = format!("The screen failed and was closed ({why}). Cameras, recording and analysis go on.");
            let place = ui.ctx().content_rect().center_top() + egui::vec2(0.0, tokens::BAR_HEIGHT);
            let layer = egui::LayerId::new(egui::Order::Foreground, egui::Id::unique("screen failed"));
            let painter = ui.ctx().layer_painter(layer);
            let galley = painter.layout_no_wrap(text, egui::FontId::proportional(14.0), tokens::BAD);
            let rect = egui::Align2::CENTER_TOP.anchor_size(place, galley.size());
            painter.rect_filled(rect.expand(8.0), 4.0, tokens::BACKGROUND);
            painter.galley(rect.min, galley, tokens::BAD);
        }
        let live = matches!(state.access, Access::LoggedIn(_))
            && state.cameras.iter().any(|camera| camera.status == CameraStatus::Live);
        let cost = Duration::from_secs_f32(frame.info().cpu_usage.unwrap_or(0.0).max(0.0));
        let pace = cost.mul_f32(REST).clamp(LIVE_REPAINT, SLOWEST_REPAINT);
        ui.ctx().request_repaint_after(if live { pace } else { IDLE_REPAINT });
    }

    fn clear_color(&self, _visuals: &egui::Visuals) -> [f32; 4] {
        tokens::BACKGROUND.to_normalized_gamma_f32()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use egui::{Event, Key, Modifiers};

    fn key(key: Key) -> Event {
        Event::Key { key, physical_key: None, pressed: true, repeat: false, modifiers: Modifiers::NONE }
    }

    fn text(text: &str) -> Event {
        Event::Text(text.to_owned())
    }

    #[test]
    fn what_is_typed_after_tab_waits_for_the_next_field() {
        let mut events = vec![key(Key::A), text("a"), key(Key::Tab), text("b"), key(Key::Tab), text("c")];
        let mut rest = after_focus_moves(&mut events, true);
        assert_eq!(events, [key(Key::A), text("a"), key(Key::Tab)]);
        assert_eq!(rest, [text("b"), key(Key::Tab), text("c")]);
        let last = after_focus_moves(&mut rest, true);
        assert_eq!(last, [text("c")]);
    }

    #[test]
    fn what_is_typed_after_a_shortcut_or_a_click_waits_for_what_it_opens() {
        let mut events = vec![key(Key::M), text("m"), key(Key::L), text("l"), text("e")];
        let rest = after_focus_moves(&mut events, false);
        assert_eq!(events, [key(Key::M), text("m")]);
        assert_eq!(rest, [key(Key::L), text("l"), text("e")]);
        let button = |pressed| Event::PointerButton {
            pos: egui::pos2(1.0, 1.0),
            button: egui::PointerButton::Primary,
            pressed,
            modifiers: Modifiers::NONE,
        };
        let mut events = vec![button(true), button(false), key(Key::L), text("l")];
        let rest = after_focus_moves(&mut events, true);
        assert_eq!(events, [button(true), button(false)]);
        assert_eq!(rest, [key(Key::L), text("l")]);
    }

    #[test]
    fn a_screen_that_cannot_be_drawn_is_closed_and_said_so_and_the_window_stays() {
        let context = egui::Context::default();
        let mut frame = eframe::Frame::_new_kittest();
        let console = Console::new(&context, None);
        let state = super::super::bench::site(4);
        let mut app = App { console, site: move || state.clone(), send: |_| {}, later: Vec::new(), failed: None };
        let mut draw = |app: &mut App<_, _>| {
            let mut drawn = context.run_ui(egui::RawInput::default(), |ui| eframe::App::ui(app, ui, &mut frame));
            drawn.textures_delta.clear();
            drawn.shapes.iter().map(|shape| format!("{:?}", shape.shape)).collect::<String>()
        };
        draw(&mut app);
        let whole = draw(&mut app);
        assert!(whole.contains("Suspects") && !whole.contains("The screen failed"));
        app.console.fails = true;
        let failed = draw(&mut app);
        assert!(failed.contains("The screen failed and was closed (an internal error: tripped by a test)"));
        draw(&mut app);
        let again = draw(&mut app);
        assert!(again.contains("Suspects") && again.contains("Cameras, recording and analysis go on"));
    }
}
