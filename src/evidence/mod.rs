//! Evidence that leaves Vigia: one package, a ZIP file whose every byte follows from what is in it, with a list of all files
//! that the site signs (Ed25519). Whoever has the package and the site's public key can tell whether it is what was exported.
//!
//! Nothing here knows a store or a site: contents and files come from the caller.
mod container;
pub mod key;
pub mod manifest;
mod movement;
pub mod package;
pub mod verify;

pub use key::{KeyError, PublicKey, SiteKey};
pub use manifest::{CameraEntry, ClipEntry, FileEntry, Manifest, Missing, Moment, Stop};
pub use movement::{movement_csv, movement_report};
pub use package::{Contents, Item, PackageError, write};
pub use verify::{Finding, Verdict, verify};

/// The list of files.
const MANIFEST: &str = "manifest.json";
/// The signature over the bytes of [`MANIFEST`]: 64 bytes.
const SIGNATURE: &str = "manifest.sig";

/// Whether a file of a package may be called so: a relative path of ASCII letters, digits, `-`, `_` and `.`, no part of which
/// starts with a point. No other name unpacks to the same place on every system.
fn is_name(name: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    name.len() <= 200 && name.split('/').all(is_part)
}
