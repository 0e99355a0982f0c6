//! The audit trail's proof that nobody changed it: entries chained by hash ([`chain`]), heads kept outside the log
//! ([`anchor`]), and exports that can be checked anywhere ([`export`]).
pub mod anchor;
pub mod chain;
pub mod export;

pub use anchor::{Anchor, Anchors};
pub(crate) use chain::digest;
pub use chain::{Fault, Finding, Head, Verifier};
pub use export::{Checked, Export, ExportError, Format};
