//! What objects on S3 do beyond what every backend does.
use super::*;
use crate::{
    servers::{self, S3},
    store::objects::{
        Backend, ObjectStore,
        tests::{KEY, backends, bytes, s3},
    },
};
use std::net::TcpStream;

const VIDEO: &str = "videos/a.mkv";

fn buckets(store: &ObjectStore) -> &S3Buckets {
    match store.0.there().unwrap() {
        Backend::S3(buckets) => buckets,
        Backend::Folder(_) => panic!("this store is a folder"),
    }
}

/// Status and body of a plain GET, as anybody on the network can send it.
fn http_get(address: &str) -> (u16, Vec<u8>) {
    let (host, path) = address.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut line = TcpStream::connect(host).unwrap();
    write!(line, "GET /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    line.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), answer[end + 4..].to_vec())
}

#[tokio::test]
async fn nobody_reads_a_bucket_without_an_account_except_by_an_address_that_expires() {
    let store = s3(servers::s3()).await;
    store.put(KEY, b"a face".to_vec(), "image/jpeg").await.unwrap();
    let signed = store.presigned(KEY, Duration::from_secs(900)).await.unwrap().unwrap();
    assert_eq!(http_get(&signed), (200, b"a face".to_vec()));

    let plain = signed.split_once('?').unwrap().0;
    let bucket = plain.strip_suffix("/2026-11-22/a.jpg").unwrap();
    for address in [plain, bucket, &format!("{bucket}/?list-type=2"), &signed.replace("a.jpg", "b.jpg")] {
        let (status, body) = http_get(address);
        assert_eq!(status, 403, "{address}: {}", String::from_utf8_lossy(&body));
    }
    assert!(store.presigned(KEY, Duration::from_secs(901)).await.unwrap_err().is_bad_record());
}

/// Somebody with rights to the server exchanges the bytes and keeps what stands beside them.
#[tokio::test]
async fn exchanged_bytes_are_found() {
    let (dir, store) = (tempfile::tempdir().unwrap(), s3(servers::s3()).await);
    store.put(KEY, b"one".to_vec(), "image/jpeg").await.unwrap();
    let raw = buckets(&store);
    let exchange = |sum: Option<String>| {
        let put = raw.client.put_object().bucket(raw.bucket("crops")).key("2026-11-22/a.jpg");
        put.set_metadata(sum.map(|sum| [("sha256".to_owned(), sum)].into()))
            .body(ByteStream::from_static(b"two"))
            .send()
    };
    for sum in [Some(hash_of(b"one").to_string()), None] {
        exchange(sum).await.unwrap();
        let to = dir.path().join("to");
        for error in [store.get(KEY).await.unwrap_err(), store.get_to_file(KEY, &to).await.unwrap_err()] {
            assert!(matches!(error, StoreError::Damaged { .. }) && error.to_string().contains(KEY), "{error}");
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn content_type_is_kept() {
    let store = s3(servers::s3()).await;
    store.put(KEY, b"one".to_vec(), "image/jpeg").await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("v"), bytes(PART + 1, 2)).unwrap();
    store.put_file(VIDEO, &dir.path().join("v"), &|_| ()).await.unwrap();
    let raw = buckets(&store);
    for (room, name, expected) in [("crops", "2026-11-22/a.jpg", "image/jpeg"), ("videos", "a.mkv", "video/x-matroska")]
    {
        let head = raw.client.head_object().bucket(raw.bucket(room)).key(name).send().await.unwrap();
        assert_eq!(head.content_type(), Some(expected));
    }
}

/// The server dies in the middle of an upload; after both are back, only what is missing is sent.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_goes_on_where_the_server_died() {
    let server = S3::start();
    let dir = tempfile::tempdir().unwrap();
    let (file, video) = (dir.path().join("v"), bytes(5 * PART + 99, 3));
    fs::write(&file, &video).unwrap();
    let address = Address::parse(&server.prefix()).unwrap();
    let store = ObjectStore::connect(&address).await.unwrap();
    let kill = |done: u64| {
        if done == 2 * PART {
            server.kill();
        }
    };
    let error = store.put_file(VIDEO, &file, &kill).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");

    tokio::task::block_in_place(|| server.restart());
    let store = ObjectStore::connect(&address).await.unwrap(); // as after a restart of the console
    assert_eq!(store.get(VIDEO).await.unwrap(), None);
    let raw = buckets(&store);
    let begun = raw.uploads(&raw.bucket("videos"), "").await.unwrap();
    assert_eq!(begun.len(), 1);
    let there = raw.parts(&raw.bucket("videos"), "a.mkv", &begun[0].id).await.unwrap();
    assert_eq!(there.len(), 2, "{there:?}");
    store.put_file(VIDEO, &file, &|_| ()).await.unwrap();
    assert!(store.get(VIDEO).await.unwrap().unwrap() == video);
    assert_eq!(raw.uploads(&raw.bucket("videos"), "").await.unwrap().len(), 0);
}

/// Parts of another file with the same lengths do not become part of this one.
#[tokio::test]
async fn parts_of_another_file_are_found_and_thrown_away() {
    let store = s3(servers::s3()).await;
    let dir = tempfile::tempdir().unwrap();
    let (file, video) = (dir.path().join("v"), bytes(2 * PART, 4));
    fs::write(&file, &video).unwrap();
    let raw = buckets(&store);
    let (bucket, name) = raw.bucket_for(VIDEO).await.unwrap();
    let upload = raw.begin_upload(&bucket, name, VIDEO, hash_of(&video)).await.unwrap();
    raw.put_part(&bucket, name, &upload, 1, bytes(PART, 5)).await.unwrap();

    let error = store.put_file(VIDEO, &file, &|_| ()).await.unwrap_err();
    assert!(error.to_string().contains("another file"), "{error}");
    assert_eq!(store.get(VIDEO).await.unwrap(), None);
    store.put_file(VIDEO, &file, &|_| ()).await.unwrap();
    assert!(store.get(VIDEO).await.unwrap().unwrap() == video);
}

#[tokio::test]
async fn uploads_that_nobody_goes_on_with_are_removed() {
    let store = s3(servers::s3()).await;
    let raw = buckets(&store);
    let (bucket, name) = raw.bucket_for(VIDEO).await.unwrap();
    let upload = raw.begin_upload(&bucket, name, VIDEO, hash_of(b"x")).await.unwrap();
    raw.put_part(&bucket, name, &upload, 1, bytes(PART, 6)).await.unwrap();
    let now = jiff::Timestamp::now().as_second();
    assert_eq!(raw.abort_begun_before(&bucket, now - 3600).await.unwrap(), 0);
    assert_eq!(raw.abort_begun_before(&bucket, now + 3600).await.unwrap(), 1);
    assert_eq!(raw.uploads(&bucket, "").await.unwrap().len(), 0);
}

/// What is locked stays, even for the account that wrote it; what cannot be locked is stored and says so.
#[tokio::test]
async fn a_locked_object_outlives_its_deletion() {
    let (_dir, [folder, store]) = backends().await;
    let (key, words) = ("anchors/1.json", b"{}".to_vec());
    let until = Timestamp(jiff::Timestamp::now().as_microsecond() + 3_600_000_000);
    assert!(!folder.put_locked(key, words.clone(), until).await.unwrap());
    assert_eq!(folder.get(key).await.unwrap().unwrap(), words);

    assert!(store.put_locked(key, words.clone(), until).await.unwrap());
    assert!(store.put_locked(key, words.clone(), until).await.unwrap());
    assert!(store.put_locked(KEY, words.clone(), until).await.unwrap_err().is_bad_record());
    let raw = buckets(&store);
    let head = raw.head(key).await.unwrap().unwrap();
    let version = head.version_id().unwrap();
    let delete = raw.client.delete_object().bucket(raw.bucket("anchors")).key("1.json").version_id(version);
    let error = delete.send().await.unwrap_err();
    assert!(matches!(raw.error(&error), StoreError::Denied { .. }), "{error:?}");
    assert_eq!(store.get(key).await.unwrap().unwrap(), words);
}

#[tokio::test]
async fn a_wrong_account_and_a_missing_server_are_told_apart_and_show_no_secret() {
    let address = servers::s3().prefix();
    let secret = address.split(['@', ':']).nth(2).unwrap().to_owned();
    let refused = ObjectStore::connect(&Address::parse(&address.replace(&secret, "0ther")).unwrap()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Denied { .. }), "{refused:?}");
    let nobody = format!("s3+http://app:{secret}@127.0.0.1:9/test");
    let missing = ObjectStore::connect(&Address::parse(&nobody).unwrap()).await.unwrap_err();
    assert!(matches!(missing, StoreError::Unavailable { .. }), "{missing:?}");
    let shown = format!("{refused} {refused:?} {missing} {missing:?} {:?}", s3(servers::s3()).await);
    assert!(!shown.contains(&secret) && !shown.contains("0ther"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_does_not_hang_the_console() {
    let server = S3::start();
    let store = s3(&server).await;
    store.put(KEY, b"one".to_vec(), "image/jpeg").await.unwrap();
    server.freeze();
    let error = store.get(KEY).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }) && error.to_string().contains("no answer"), "{error:?}");
    server.thaw();
    assert_eq!(store.get(KEY).await.unwrap().unwrap(), b"one");
}

#[tokio::test]
async fn addresses_that_cannot_be_used_say_why() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca");
    fs::write(&file, "no certificate").unwrap();
    let bad_ca = format!("s3://k:s@127.0.0.1/vigia?ca={}", file.display());
    for (address, word) in [
        ("s3://k:s@host/", "prefix"),
        ("s3://k:s@host/UPPER", "prefix"),
        ("s3://host/vigia", "access key"),
        ("s3+http://k:s@192.0.2.1/vigia", "encrypted"),
        (&bad_ca, "PEM"),
    ] {
        let error = ObjectStore::connect(&Address::parse(address).unwrap()).await.unwrap_err();
        assert!(error.to_string().contains(word), "{address}: {error}");
    }
}

/// A server that refuses every request with this code, and whose clock is so many seconds from ours; its port. The server of the other
/// tests does not look at the time of a request.
fn refusing(code: &'static str, seconds: i64) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut line in listener.incoming().flatten() {
            let mut asked = Vec::new();
            let mut piece = [0; 4096];
            while !asked.windows(4).any(|w| w == b"\r\n\r\n") {
                match line.read(&mut piece) {
                    Ok(n) if n > 0 => asked.extend_from_slice(&piece[..n]),
                    _ => break,
                }
            }
            let date = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
            let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT");
            let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>no</Message></Error>");
            let shown = if asked.starts_with(b"HEAD") { "" } else { &body };
            let length = body.len();
            let _ = write!(
                line,
                "HTTP/1.1 403 Forbidden\r\nDate: {date}\r\nContent-Type: application/xml\r\nContent-Length: {length}\r\n\
                 Connection: close\r\n\r\n{shown}"
            );
        }
    });
    port
}

#[tokio::test]
async fn a_console_whose_clock_is_wrong_is_told_so_starts_all_the_same_and_its_account_is_not_blamed() {
    let at = |port: u16| Address::parse(&format!("s3+http://app:secret@127.0.0.1:{port}/test")).unwrap();
    for seconds in [-1200, 1200, -400 * 86_400] {
        let address = at(refusing("RequestTimeTooSkewed", seconds));
        let error = ObjectStore::connect(&address).await.unwrap_err();
        let told = error.to_string();
        assert!(
            error.is_away() && told.contains("this console's clock is") && told.contains("of the store's"),
            "{told}"
        );
        assert!(told.contains(if seconds < 0 { "ahead" } else { "behind" }) && !told.contains("account"), "{told}");
        let late = ObjectStore::connect_late(&address).await.unwrap();
        assert!(late.trouble().is_some_and(|told| told.contains("of the store's")), "what it waits for is told");
    }
    let refused = ObjectStore::connect(&at(refusing("AccessDenied", 0))).await.unwrap_err();
    assert!(matches!(refused, StoreError::Denied { .. }), "{refused:?}");
}

#[test]
fn a_certificate_that_is_not_valid_yet_is_told_with_what_the_clock_shows() {
    use rustls::{CertificateError, Error, pki_types::UnixTime};
    let now = Timestamp::parse("2019-01-01T12:00:00Z").unwrap();
    let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let early = CertificateError::NotValidYetContext { time: at(1_546_344_000), not_before: at(1_795_000_000) };
    for early in [early, CertificateError::NotValidYet] {
        for words in [Error::InvalidCertificate(early.clone()).to_string(), format!("{early:?}")] {
            let told = certificate_time(&words, now).unwrap_or_else(|| panic!("{words}"));
            assert!(
                told.starts_with("its certificate is not valid yet by this console's clock, which shows 2019-01-01"),
                "{told}"
            );
        }
    }
    let late = CertificateError::ExpiredContext { time: at(1_795_000_000), not_after: at(1_546_344_000) };
    let told = certificate_time(&Error::InvalidCertificate(late).to_string(), now).unwrap();
    assert!(told.starts_with("its certificate has expired"), "{told}");
    assert_eq!(certificate_time(&Error::InvalidCertificate(CertificateError::UnknownIssuer).to_string(), now), None);
}
