//! Where a camera is: an address taken apart so that its credentials go one way and everything that is shown another.
use crate::model::redact_url;

/// What kind of source an address names.
pub(super) enum Address {
    /// `rtsp://…` or `rtsps://…`.
    Rtsp(RtspAddress),
    /// `file:///…`, kept as the URI.
    File(String),
    /// `test:`, the moving test picture.
    Test,
}

/// An RTSP address without its credentials, and the credentials.
pub(super) struct RtspAddress {
    /// Scheme, host, path and query: what the server is asked for. The query may hold a token: never shown.
    pub location: String,
    /// `host` or `host:port`: may be shown.
    pub host: String,
    /// `/path` without the query: may be shown.
    pub path: String,
    /// User name and password, percent-decoded.
    pub credentials: Option<(String, String)>,
}

impl Address {
    /// Takes `url` apart; `None` when it is no address of a source, or when it cannot be told where its password ends: an RTSP
    /// address with a bare `@` after its first `/` or `?`.
    pub fn parse(url: &str) -> Option<Self> {
        let url = url.trim();
        if url.eq_ignore_ascii_case("test:") {
            return Some(Self::Test);
        }
        let (scheme, rest) = url.split_once("://")?;
        // A scheme may be written in capitals (RFC 3986 §3.1).
        let scheme = scheme.to_ascii_lowercase();
        if scheme == "file" && rest.starts_with('/') {
            return Some(Self::File(format!("file://{rest}")));
        }
        // `rtsph` is RTSP inside HTTP.
        if !matches!(scheme.as_str(), "rtsp" | "rtsps" | "rtspt" | "rtspu" | "rtsph") {
            return None;
        }
        let (authority, path) = rest.find(['/', '?']).map_or((rest, ""), |i| rest.split_at(i));
        // `admin:12/34@host`: host `admin`, port 12, or a password with a `/`? Host and path are shown, so no guess is made.
        if path.contains('@') {
            return None;
        }
        // A password may hold an `@`; a host never does.
        let (userinfo, host) = authority.rsplit_once('@').map_or((None, authority), |(u, h)| (Some(u), h));
        if host.is_empty() {
            return None;
        }
        let credentials = userinfo.map(|u| {
            let (user, password) = u.split_once(':').unwrap_or((u, ""));
            (percent_decoded(user), percent_decoded(password))
        });
        Some(Self::Rtsp(RtspAddress {
            location: format!("{scheme}://{host}{path}"),
            host: host.to_owned(),
            path: path.split('?').next().unwrap_or("").to_owned(),
            credentials,
        }))
    }
}

/// Why this is no address of a source, and what to write.
pub(super) fn refusal(url: &str) -> &'static str {
    let scheme = url.trim().split_once("://").map_or("", |(scheme, _)| scheme);
    if ["http", "https"].iter().any(|http| scheme.eq_ignore_ascii_case(http)) {
        return "Pictures over HTTP are not read. Write the camera's RTSP address, rtsp://user:password@host/path, which its manual or \
                its web page tells.";
    }
    "This is no address of a camera. Write rtsp://user:password@host/path, file:///path or test:. In a user name or password write \
     / as %2F, ? as %3F and @ as %40; in a path write @ as %40."
}

/// `text` with everything secret in `url` taken out: for words that come from a library and may quote the address.
pub(super) fn scrubbed(text: &str, url: &str) -> String {
    let mut out = text.replace(url, &redact_url(url));
    if let Some(Address::Rtsp(address)) = Address::parse(url) {
        let query = address.location.split_once('?').map(|(_, query)| query.to_owned());
        let raw =
            url.rsplit_once('@').and_then(|(left, _)| left.split_once("://")).map(|(_, userinfo)| userinfo.to_owned());
        let raw_password = raw.as_deref().and_then(|u| u.split_once(':')).map(|(_, password)| password.to_owned());
        let (user, password) = address.credentials.unzip();
        for secret in [raw, raw_password, password, user, query].into_iter().flatten().filter(|s| !s.is_empty()) {
            out = out.replace(&secret, "…");
        }
    }
    out
}

/// `text` as it may stand in the user part of an address (RFC 3986 §2.1, §2.3).
pub(super) fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// RFC 3986 §2.1; a stray `%` stands for itself.
fn percent_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        let hex = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16)).and_then(|d| u8::try_from(d).ok());
        match (byte, hex(ahead.next()), hex(ahead.next())) {
            (b'%', Some(high), Some(low)) => {
                out.push(high << 4 | low);
                bytes = ahead;
            }
            _ => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rtsp(url: &str) -> RtspAddress {
        match Address::parse(url) {
            Some(Address::Rtsp(address)) => address,
            _ => panic!("{url} is an RTSP address"),
        }
    }

    #[test]
    fn credentials_are_taken_out_of_the_address() {
        let a = rtsp("rtsp://admin:p@ss%3Aw%40rd@10.0.0.9:554/ch1?token=abc");
        assert_eq!(a.location, "rtsp://10.0.0.9:554/ch1?token=abc");
        assert_eq!((a.host.as_str(), a.path.as_str()), ("10.0.0.9:554", "/ch1"));
        assert_eq!(a.credentials, Some(("admin".into(), "p@ss:w@rd".into())));
        assert_eq!(rtsp("rtsp://host").credentials, None);
        assert_eq!(percent_decoded(&percent_encoded("ü @:/%")), "ü @:/%");
        assert_eq!(rtsp("rtsp://u:100%@h/").credentials, Some(("u".into(), "100%".into())));
    }

    #[test]
    fn a_scheme_may_be_written_in_capitals() {
        assert_eq!(rtsp("RTSP://10.0.0.9/Ch1").location, "rtsp://10.0.0.9/Ch1");
        assert!(matches!(Address::parse("FILE:///a/B.mp4"), Some(Address::File(uri)) if uri == "file:///a/B.mp4"));
        assert!(matches!(Address::parse("Test:"), Some(Address::Test)));
    }

    #[test]
    fn what_is_no_source_is_refused_and_told_apart() {
        assert!(refusal("http://10.0.0.9/video.mjpg").contains("over HTTP"));
        assert!(refusal("10.0.0.9").contains("no address of a camera"));
        for url in ["", "10.0.0.9", "rtsp://", "rtsp://user:pw@/x", "ftp://host/x", "/home/me/a.mp4"] {
            assert!(Address::parse(url).is_none(), "{url}");
        }
    }

    #[test]
    fn a_password_is_never_taken_for_host_or_path() {
        for url in ["rtsp://u:se/cret@h/x", "rtsp://u:12/cret@h", "rtsp://u:se?cret@h/x", "rtsp://u:a@se/cret@h/x"] {
            assert!(Address::parse(url).is_none(), "{url}");
        }
        let a = rtsp("rtsp://u:12%2Fse%3Fcret@h/x%40y?z=%40");
        assert_eq!((a.host.as_str(), a.path.as_str()), ("h", "/x%40y"));
        assert_eq!(a.credentials, Some(("u".into(), "12/se?cret".into())));
    }

    #[test]
    fn secrets_are_scrubbed_from_borrowed_words() {
        let url = "rtsp://admin:s%20cret@h/p?token=abc";
        let said = "cannot open rtsp://admin:s%20cret@h/p?token=abc (user admin, password s cret, token=abc)";
        let shown = scrubbed(said, url);
        for secret in ["admin", "s cret", "s%20cret", "abc"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
