//! A camera as the site knows it.
use super::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A camera's identity; never reused.
pub type CameraId = Uuid;

/// One row of `cameras`, with the address of its stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Camera {
    /// Identity.
    pub id: CameraId,
    /// Name shown on the wall.
    pub name: String,
    /// Where the stream is: `rtsp://…`, `file:///…` or `test:`. May carry credentials: show only [`redact_url`] of it.
    pub url: String,
    /// Latitude and longitude in degrees, when placed on the map.
    pub location: Option<(f64, f64)>,
    /// When it was registered.
    pub added_at: Timestamp,
    /// An inactive camera is not connected.
    pub active: bool,
    /// A window cut out of shared footage rather than a device of its own; labelled so wherever it is shown.
    pub is_virtual: bool,
}

/// The address without user name, password and query: what may be shown and logged.
pub fn redact_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    // Everything up to the last @ goes first: a password may hold any character, / and ? among them.
    let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let rest = rest.split_once('?').map_or(rest, |(path, _)| path);
    format!("{scheme}://{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_never_survive_redaction() {
        assert_eq!(redact_url("rtsp://admin:p@ss:w@10.0.0.9:554/ch1?token=abc"), "rtsp://10.0.0.9:554/ch1");
        assert_eq!(redact_url("rtsp://admin:pa/s?s@host/x"), "rtsp://host/x");
        assert_eq!(redact_url("file:///a/b.mp4"), "file:///a/b.mp4");
        assert_eq!(redact_url("test:"), "test:");
    }
}
