//! Files as recorders and telephones leave them (F6 to F10, F12, F13).
use super::files::{frames, launch};
use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt as _, path::Path, time::Duration};
use vigia::{
    model::Timestamp,
    video::{Deck, FileError, probe},
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
