//! Vigia: a native desktop console for control rooms. `ARCHITECTURE.md` walks through the rooms.
pub mod audit;
pub mod cli;
pub mod evidence;
pub mod follow;
pub mod model;
pub mod site;
pub mod store;
pub mod supervise;
pub mod sync;
pub mod tracking;
pub mod ui;
pub mod video;
pub mod vision;

#[cfg(test)]
#[path = "../tests/servers/mod.rs"]
pub mod servers;
