//! A camera as the site knows it.
use super::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A camera's identity; never reused.
pub type CameraId = Uuid;

/// What a camera sees of the ground, as a sector: set by hand, for people who read the map.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldOfView {
    /// The way it looks, degrees clockwise from north, `0.0..360.0`.
    pub heading: f64,
    /// How wide it sees, degrees, above 0 and at most 360.
    pub angle: f64,
    /// How far people can be made out, metres, above 0 and at most [`FieldOfView::FARTHEST`].
    pub range: f64,
}

impl FieldOfView {
    /// Metres.
    pub const FARTHEST: f64 = 10_000.0;

    /// A camera that looks that way, with the angle of a usual lens (3.6 mm on a 1/3″ sensor: 70°) and 25 m.
    pub fn towards(heading: f64) -> Self {
        Self { heading: heading.rem_euclid(360.0), angle: 70.0, range: 25.0 }
    }

    /// Whether all three numbers are what they can be.
    pub fn is_possible(&self) -> bool {
        (0.0..360.0).contains(&self.heading)
            && self.angle > 0.0
            && self.angle <= 360.0
            && self.range > 0.0
            && self.range <= Self::FARTHEST
    }
}

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
    /// What it sees of the ground there, when somebody said.
    #[serde(default)]
    pub field_of_view: Option<FieldOfView>,
    /// Place and field of view were set here, not in the configuration file, whose own hold no more.
    #[serde(default)]
    pub placed: bool,
    /// When it was registered.
    pub added_at: Timestamp,
    /// An inactive camera is not connected.
    pub active: bool,
    /// A window cut out of shared footage rather than a device of its own; labelled so wherever it is shown.
    pub is_virtual: bool,
    /// Described in the configuration file, which is where it is changed; others are kept in the database alone.
    #[serde(default = "configured")]
    pub configured: bool,
    /// Grows with every change, from 1: a change of an older version undoes nothing.
    #[serde(default = "first_version")]
    pub version: i64,
}

/// What all cameras were before they could be kept in the database alone.
fn configured() -> bool {
    true
}

/// The version of records that were written before cameras had one.
fn first_version() -> i64 {
    1
}

/// Whether this begins as the address of a stream does.
pub fn is_stream_address(url: &str) -> bool {
    // A scheme may be written in capitals (RFC 3986 §3.1).
    let begins = |scheme: &str| url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    ["rtsp://", "rtsps://", "rtsph://", "file://", "test:"].iter().any(|scheme| begins(scheme))
}

/// The address without user name, password and query: what may be shown and logged. Where it cannot be told what is a password
/// and what is not, only the scheme is left.
pub fn redact_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        let scheme = url.split_once(':').map(|(scheme, _)| scheme).unwrap_or_default();
        return if url.contains('@') { format!("{scheme}:…") } else { url.to_owned() };
    };
    // Everything up to the last @ goes first: a password may hold any character, / and ? among them.
    let (before, rest) = rest.rsplit_once('@').unwrap_or(("", rest));
    if before.split_once('?').is_some_and(|(_, query)| query.contains('=')) {
        return format!("{scheme}://…"); // the @ may belong to a password in the query: `?password=a@b`
    }
    let rest = rest.split_once('?').map_or(rest, |(path, _)| path);
    format!("{scheme}://{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_before_versions_is_of_the_first() {
        let old = r#"{"id":"00000000-0000-0000-0000-000000000001","name":"Rossio","url":"test:","location":null,
            "added_at":0,"active":true,"is_virtual":false}"#;
        assert_eq!(serde_json::from_str::<Camera>(old).unwrap().version, 1);
    }

    #[test]
    fn credentials_never_survive_redaction() {
        assert_eq!(redact_url("rtsp://admin:p@ss:w@10.0.0.9:554/ch1?token=abc"), "rtsp://10.0.0.9:554/ch1");
        assert_eq!(redact_url("rtsp://admin:pa/s?s@host/x"), "rtsp://host/x");
        assert_eq!(redact_url("file:///a/b.mp4"), "file:///a/b.mp4");
        assert_eq!(redact_url("test:"), "test:");
        assert_eq!(redact_url("postgres://db.example/users?user=vigia&password=s3cret"), "postgres://db.example/users");
        assert_eq!(redact_url("mongodb://u:s3cret@a:1,b:2/log?authSource=admin"), "mongodb://a:1,b:2/log");
        for unclear in ["postgres://db/users?password=s3@cret", "redis://:s3?x=@cret@db/0", "postgres:u:s3cret@db"] {
            let shown = redact_url(unclear);
            assert!(!shown.contains("s3") && !shown.contains("cret"), "{shown}");
        }
    }
}
