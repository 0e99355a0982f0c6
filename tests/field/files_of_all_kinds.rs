//! Files as recorders and telephones leave them (F6 to F10, F12, F13).
use super::files::{frames, launch};
use gstreamer::{self as gst, prelude::*};
use gstreamer_app::AppSink;
use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt as _, path::Path, time::Duration};
use vigia::{
    model::Timestamp,
    video::{Deck, FileError, extension, init, probe},
};

const H264: &str = "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=12 ! h264parse";

fn video(path: &Path, tail: &str) {
    launch(
        &format!(
            "videotestsrc num-buffers=24 ! video/x-raw,format=I420,width=320,height=240,framerate=12/1 ! {tail} ! filesink name=f"
        ),
        path,
    );
}

#[test]
fn a_name_that_is_not_utf8_opens() {
    let folder = tempfile::tempdir().unwrap();
    let (plain, odd) = (folder.path().join("a.mp4"), folder.path().join(OsStr::from_bytes(b"caf\xe9 %20#.mp4")));
    video(&plain, &format!("{H264} ! mp4mux"));
    fs::copy(&plain, &odd).unwrap();
    assert_eq!(frames(&odd).unwrap().len(), 24);
    assert_eq!((probe(&odd).unwrap().frames, probe(&odd).unwrap().damage), (24, None));
}

#[test]
fn two_videos_in_one_file_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mov");
    let one = "videotestsrc num-buffers=24 ! video/x-raw,format=I420,framerate=12/1";
    launch(
        &format!(
            "qtmux name=m ! filesink name=f {one},width=640,height=360 ! {H264} ! m. {one},width=320,height=240 ! {H264} ! m."
        ),
        &path,
    );
    let damage = probe(&path).unwrap().damage.unwrap();
    assert!(damage.starts_with("The file holds 2 videos; only the first ("), "{damage}");
}

#[test]
fn an_avi_from_a_pipe_is_whole_and_an_mp4_without_its_index_says_what_happened() {
    let folder = tempfile::tempdir().unwrap();
    let avi = folder.path().join("a.avi");
    video(&avi, &format!("{H264} ! avimux"));
    let mut bytes = fs::read(&avi).unwrap();
    for size in [[0xff; 4], [0; 4]] {
        bytes[4..8].copy_from_slice(&size);
        fs::write(&avi, &bytes).unwrap();
        assert_eq!(probe(&avi).unwrap().damage, None);
    }
    let mp4 = folder.path().join("a.mp4");
    video(&mp4, &format!("{H264} ! mp4mux"));
    let bytes = fs::read(&mp4).unwrap();
    let index = bytes.windows(4).position(|w| w == b"moov").unwrap() - 4;
    fs::write(&mp4, &bytes[..index]).unwrap();
    for error in [probe(&mp4).err(), frames(&mp4).err()] {
        assert!(matches!(error, Some(FileError::Unfinished(_))), "{error:?}");
    }
}

#[test]
fn a_picture_that_is_late_in_its_file_is_found_there_and_the_next_one_is_the_first() {
    let folder = tempfile::tempdir().unwrap();
    // Sound begins at once, pictures after two seconds: in an MP4 an empty edit stands in front of them.
    for (name, mux) in [("a.mp4", "mp4mux"), ("a.mkv", "matroskamux")] {
        let path = folder.path().join(name);
        launch(
            &format!(
                "{mux} name=m ! filesink name=f audiotestsrc num-buffers=180 ! audio/x-raw,rate=44100 ! avenc_aac ! aacparse ! m. \
                 videotestsrc num-buffers=24 timestamp-offset=2000000000 \
                 ! video/x-raw,format=I420,width=320,height=240,framerate=12/1 ! {H264} ! m."
            ),
            &path,
        );
        let found = probe(&path).unwrap();
        let (begin, length) = (found.begin.as_secs_f64(), found.duration.as_secs_f64());
        assert!((begin - 2.0).abs() < 0.1 && (length - 2.0).abs() < 0.1, "{name}: from {begin}, {length} s");
        let all = frames(&path).unwrap();
        assert!(all[0].stream_time().abs_diff(found.begin) < Duration::from_millis(2), "{name}");
        let mut deck = Deck::open(&path, Timestamp(0)).unwrap();
        let next = deck.frame_after(Duration::from_millis(500)).unwrap().unwrap();
        assert_eq!(next.stream_time(), all[0].stream_time(), "{name}: from before the first picture: the first");
    }
}

/// The encoded pictures of a short video, each with whether decoding can begin there.
fn pictures(encoder: &str) -> Vec<(bool, Vec<u8>)> {
    init().unwrap();
    let description = format!(
        "videotestsrc num-buffers=50 pattern=ball ! video/x-raw,format=I420,width=320,height=240,framerate=25/1 ! {encoder} \
         ! appsink name=s sync=false max-buffers=100"
    );
    let pipeline = gst::parse::launch(&description).unwrap();
    let sink = pipeline.downcast_ref::<gst::Bin>().unwrap().by_name("s").unwrap().downcast::<AppSink>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let mut all = Vec::new();
    while let Ok(sample) = sink.pull_sample() {
        let buffer = sample.buffer().unwrap();
        let key = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
        all.push((key, buffer.map_readable().unwrap().to_vec()));
    }
    let _ = pipeline.set_state(gst::State::Null);
    all
}

const H264_BYTES: &str = "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=12 ! h264parse config-interval=-1 \
                          ! video/x-h264,stream-format=byte-stream,alignment=au";
const H265_BYTES: &str = "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=12 option-string=bframes=0:log-level=none \
                          ! h265parse config-interval=-1 ! video/x-h265,stream-format=byte-stream,alignment=au";

/// A file of a Dahua recorder: frames with heads and tails, sound between them.
fn dav(pictures: &[(bool, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut frame = |kind: u8, n: usize, data: &[u8]| {
        let length = u32::try_from(24 + 4 + data.len() + 8).unwrap().to_le_bytes();
        let date = (26u32 << 26) | (12 << 22) | (1 << 17) | (10 << 12) | u32::try_from(n * 40 / 1000).unwrap();
        bytes.extend(b"DHAV");
        bytes.extend([kind, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend(length);
        bytes.extend(date.to_le_bytes());
        bytes.extend(u16::try_from((60_000 + n * 40) % 65_536).unwrap().to_le_bytes());
        bytes.extend([4, 0, 0x81, 0, 8, 25]);
        bytes.extend(data);
        bytes.extend(b"dhav");
        bytes.extend(length);
    };
    for (n, (key, data)) in pictures.iter().enumerate() {
        frame(if *key { 0xfd } else { 0xfc }, n, data);
        frame(0xf0, n, b"sound");
    }
    bytes
}

/// An MPEG program stream (ISO/IEC 13818-1 §2.5): a pack for each picture, and a map in front.
fn program_stream(codec: &str, pictures: &[(bool, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (n, (_, data)) in pictures.iter().enumerate() {
        let (scr, pts) = (n as u64 * 3600, n as u64 * 3600 + 9000);
        bytes.extend([0, 0, 1, 0xba, 0x44 | ((scr >> 27) & 0x38) as u8 | ((scr >> 28) & 3) as u8, (scr >> 20) as u8]);
        bytes.extend([
            ((scr >> 12) & 0xf8) as u8 | 4 | ((scr >> 13) & 3) as u8,
            (scr >> 5) as u8,
            (scr << 3) as u8 & 0xf8 | 4,
        ]);
        bytes.extend([1, 1, 0x89, 0xc3, 0xf8]);
        if n == 0 {
            let kind = if codec == "h264" { 0x1b } else { 0x24 };
            bytes.extend([0, 0, 1, 0xbc, 0, 14, 0xe1, 0xff, 0, 0, 0, 4, kind, 0xe0, 0, 0, 0, 0, 0, 0]);
        }
        let length = u16::try_from(data.len() + 8).unwrap().to_be_bytes();
        bytes.extend([0, 0, 1, 0xe0, length[0], length[1], 0x80, 0x80, 5]);
        bytes.extend([0x21 | ((pts >> 29) & 0x0e) as u8, (pts >> 22) as u8, ((pts >> 14) & 0xfe) as u8 | 1]);
        bytes.extend([(pts >> 7) as u8, ((pts << 1) & 0xfe) as u8 | 1]);
        bytes.extend(data);
    }
    bytes.extend([0, 0, 1, 0xb9]);
    bytes
}

#[test]
fn what_recorders_hand_out_opens_is_whole_and_can_be_searched() {
    let folder = tempfile::tempdir().unwrap();
    for (codec, encoder) in [("h264", H264_BYTES), ("h265", H265_BYTES)] {
        let pictures = pictures(encoder);
        assert_eq!(pictures.len(), 50);
        let stream = pictures.iter().flat_map(|(_, data)| data.clone()).collect::<Vec<u8>>();
        let mapped = program_stream(codec, &pictures);
        // Without the map that says what the pictures are, and behind a recorder's own head.
        let mut unmapped = mapped.clone();
        while let Some(at) = unmapped.windows(4).position(|w| w == [0, 0, 1, 0xbc]) {
            let length = 6 + usize::from(u16::from_be_bytes([unmapped[at + 4], unmapped[at + 5]]));
            unmapped.drain(at..at + length);
        }
        let headed = [b"IMKH".as_slice(), &[1; 36], &unmapped].concat();
        for (name, container, bytes) in [
            (format!("a.{}", &codec[1..]), codec, stream),
            ("mapped.mpg".to_owned(), "mpegps", mapped),
            ("unmapped.mpg".to_owned(), "mpegps", unmapped),
            ("headed.mp4".to_owned(), "mpegps", headed),
            ("a.dav".to_owned(), "dhav", dav(&pictures)),
        ] {
            let path = folder.path().join(format!("{codec}-{name}"));
            fs::write(&path, bytes).unwrap();
            let found = probe(&path).unwrap_or_else(|e| panic!("{codec} {name}: {e}"));
            assert_eq!((found.container.as_str(), found.codec.as_str()), (container, codec), "{name}");
            assert_eq!((found.frames, frames(&path).unwrap().len()), (50, 50), "{codec} {name}");
            let length = found.duration.as_secs_f64();
            assert!((length - 2.0).abs() < 0.1, "{codec} {name}: {length} s");
            // A stream without a container has no times of its own, and says so.
            let assumed = found.damage.as_deref().map(|d| d.contains("are assumed"));
            assert_eq!(assumed, (container == codec).then_some(true), "{codec} {name}: {:?}", found.damage);
            assert!(extension(&found.container).is_some(), "it can be kept");
            let mut deck = Deck::open(&path, Timestamp(0)).unwrap();
            for at in [1.5, 0.3, 1.0] {
                let at = found.begin + Duration::from_secs_f64(at + 0.001);
                let shown = deck.frame_at(at).unwrap().stream_time();
                assert!(at.abs_diff(shown) < Duration::from_millis(41), "{codec} {name}: {shown:?} for {at:?}");
            }
        }
    }
}
