//! A camera's address and how to read it, as configuration files write it.
use crate::model::redact_url;
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

/// How RTP packets travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// What suits most sites: TCP, and UDP where the camera does not send by it.
    #[default]
    Auto,
    /// Inside the RTSP connection: nothing is lost.
    Tcp,
    /// Datagrams: less delay on a good network, torn pictures on a bad one.
    Udp,
}

/// A camera's address and how to read it. Durations are written in seconds in configuration files.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// `rtsp://user:password@host/path`, `file:///path` (played at its own speed, over and over) or `test:`.
    pub url: String,
    /// How RTP packets travel.
    #[serde(default)]
    pub transport: Transport,
    /// How long a late or missing packet is waited for.
    #[serde(default = "default_latency", with = "seconds")]
    pub latency: Duration,
    /// A live camera without a packet for this long is stale.
    #[serde(default = "default_stall_after", with = "seconds")]
    pub stall_after: Duration,
    /// An attempt without a first packet for this long has failed.
    #[serde(default = "default_connect_timeout", with = "seconds")]
    pub connect_timeout: Duration,
}

fn default_latency() -> Duration {
    Duration::from_millis(100)
}
fn default_stall_after() -> Duration {
    Duration::from_secs(3)
}
fn default_connect_timeout() -> Duration {
    Duration::from_secs(10)
}

/// Durations as seconds, negative and absurd ones refused.
mod seconds {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::time::Duration;

    pub fn serialize<S: Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_f64(d.as_secs_f64())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(d)?)
            .ok()
            .filter(|d| *d <= Duration::from_secs(3600))
            .ok_or_else(|| D::Error::custom("a duration is a number of seconds from 0 to 3600"))
    }
}

impl SourceConfig {
    /// This address with the usual settings: TCP, 100 ms latency, stale after 3 s, 10 s to connect.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            transport: Transport::Auto,
            latency: default_latency(),
            stall_after: default_stall_after(),
            connect_timeout: default_connect_timeout(),
        }
    }
}

impl fmt::Debug for SourceConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceConfig")
            .field("url", &redact_url(&self.url))
            .field("transport", &self.transport)
            .field("latency", &self.latency)
            .field("stall_after", &self.stall_after)
            .field("connect_timeout", &self.connect_timeout)
            .finish()
    }
}
