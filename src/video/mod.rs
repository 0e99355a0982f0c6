//! GStreamer: live cameras and whole files become decoded frames (still YUV, still in GStreamer's memory), and files
//! become virtual cameras. Nothing above this room knows GStreamer but through [`Frame`].
mod address;
mod branch;
pub mod burn;
mod camera_clock;
pub mod clip;
mod decoding;
mod dhav;
pub mod file;
pub mod frame;
mod heads;
mod part;
pub mod player;
pub mod probe;
mod program_stream;
pub mod recorder;
pub mod simulate;
pub mod source;
pub mod view;

pub use burn::{BoxTrack, BurnError, burn};
pub use clip::{Clip, ClipError, Cut, Piece, cut, cut_while};
pub use file::{FileError, FileReport, read_file, read_file_from, try_read_file, try_read_file_from};
pub use frame::{Color, Frame, FrameError, Layout, Plane};
pub use player::{Deck, Locate, Player, Showing, What};
pub use probe::{ENDINGS, FIRST_BELIEVABLE, Probe, extension, probe};
pub use recorder::{Packet, Recorded, Recorder, RecorderConfig, RecorderError, Recovered, Spooled, Why, recover};
pub use simulate::{Server, SimulateError, SimulatedCamera, serve};
pub use source::{OnPacket, Source, SourceConfig, SourceState, Transport};
pub use view::{Codec, ViewError, ViewReport, Window, make_view};

#[cfg(test)]
pub(crate) mod tests;

/// GStreamer itself is not usable on this machine.
#[derive(Debug, Clone, thiserror::Error)]
#[error("GStreamer does not start: {0}. Install its packages (`vigia doctor` lists them).")]
pub struct InitError(String);

/// Starts GStreamer. Every entry of this room does so itself; only who wants to know early needs to call it.
///
/// # Errors
/// When GStreamer refuses to start.
pub fn init() -> Result<(), InitError> {
    gstreamer::init().map_err(|e| InitError(e.to_string()))
}
