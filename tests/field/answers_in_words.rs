//! Cameras that refuse: whatever they answer, the operator reads what is wrong and what to do.
use super::cameras::until;
use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use vigia::{
    model::SystemClock,
    video::{Source, SourceConfig, SourceState},
};

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n\
                   a=fmtp:96 packetization-mode=1\r\na=control:t1\r\n";

/// An RTSP server that answers requests of this kind with this status; its address, and how often it was asked.
fn refusing(method: &'static str, status: u16) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("rtsp://{}/live", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let (Ok(reading), counts) = (stream.try_clone(), Arc::clone(&counts)) else { return };
            std::thread::spawn(move || {
                let (mut first, mut number) = (String::new(), String::new());
                for line in BufReader::new(reading).lines() {
                    let Ok(line) = line else { return };
                    if line.to_ascii_lowercase().starts_with("cseq") {
                        number = line;
                    } else if first.is_empty() {
                        first = line;
                    } else if line.is_empty() {
                        let answer = if first.starts_with(method) {
                            counts.fetch_add(1, Ordering::Relaxed);
                            format!("RTSP/1.0 {status} Some Reason\r\n{number}\r\n\r\n")
                        } else if first.starts_with("DESCRIBE") {
                            let length = SDP.len();
                            format!(
                                "RTSP/1.0 200 OK\r\n{number}\r\nContent-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n{SDP}"
                            )
                        } else {
                            format!(
                                "RTSP/1.0 200 OK\r\n{number}\r\nPublic: DESCRIBE, SETUP, PLAY\r\nSession: 1\r\n\r\n"
                            )
                        };
                        first.clear();
                        if stream.write_all(answer.as_bytes()).is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    (url, asked)
}

fn reason(url: &str) -> (Source, String) {
    let source = Source::open(SourceConfig::new(url), Arc::new(SystemClock), |_, _| {});
    let reason = until("a reason", || match source.state() {
        SourceState::Stale { reason, .. } => Some(reason),
        _ => None,
    });
    (source, reason)
}

#[test]
fn every_status_is_told_with_what_to_do() {
    for (method, status, words) in [
        ("DESCRIBE", 503, "is too busy or just starting"),
        ("DESCRIBE", 403, "does not let this user see the stream"),
        ("DESCRIBE", 404, "has no stream named /live"),
        ("DESCRIBE", 500, "has an error of its own"),
        ("DESCRIBE", 418, "refuses the stream (RTSP status 418)"),
        ("SETUP", 453, "serves no more sessions"),
        ("SETUP", 404, "has no stream named /live"),
    ] {
        let (url, _) = refusing(method, status);
        let (_source, reason) = reason(&url);
        assert!(reason.starts_with("127.0.0.1:") && reason.contains(words), "{method} {status}: {reason}");
    }
    let source = Source::open(SourceConfig::new("http://10.0.0.9/video.mjpg"), Arc::new(SystemClock), |_, _| {});
    until("a reason", || {
        matches!(source.state(), SourceState::Stale { reason, .. } if reason.contains("over HTTP")).then_some(())
    });
}

#[test]
fn a_camera_that_refuses_the_password_is_not_asked_until_it_locks_the_account() {
    let (url, asked) = refusing("DESCRIBE", 401);
    let (source, reason) = reason(&url.replace("rtsp://", "rtsp://user:wrong@"));
    assert_eq!(reason, "The camera refused the user name or password. Correct them in its address.");
    std::thread::sleep(std::time::Duration::from_secs(6)); // other failures were tried four times by then
    assert!(
        asked.load(Ordering::Relaxed) <= 2,
        "asked {} times: once without and once with the password",
        asked.load(Ordering::Relaxed)
    );
    assert!(matches!(source.state(), SourceState::Stale { .. }));
}
