use super::*;
use crate::video::tests::launch;
use std::{fs, path::PathBuf, str::FromStr as _};

/// 50 pictures of 25 a second.
fn clip(folder: &Path, name: &str, tail: &str) -> PathBuf {
    let path = folder.join(name);
    launch(&format!(
        "videotestsrc num-buffers=50 pattern=ball ! video/x-raw,format=I420,width=322,height=242,framerate=25/1 ! {tail} \
         ! filesink location=\"{}\"",
        path.display()
    ));
    path
}

const H264: &str = "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=12 ! h264parse";
const H265: &str =
    "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=12 option-string=bframes=0:log-level=none ! h265parse";

#[test]
fn every_usual_file_is_told_for_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    for (name, tail, container, codec) in [
        ("a.mp4", &format!("{H264} ! mp4mux")[..], "mp4", "h264"),
        ("b.mp4", &format!("{H265} ! mp4mux"), "mp4", "h265"),
        ("a.mkv", &format!("{H264} ! matroskamux"), "matroska", "h264"),
        ("b.mkv", &format!("{H265} ! matroskamux"), "matroska", "h265"),
        ("c.mkv", "jpegenc ! matroskamux", "matroska", "mjpeg"),
        ("a.webm", "vp8enc deadline=1 ! webmmux", "webm", "vp8"),
        ("b.webm", "vp9enc deadline=1 cpu-used=8 ! webmmux", "webm", "vp9"),
        ("a.mov", &format!("{H264} ! qtmux"), "quicktime", "h264"),
        ("a.avi", "jpegenc ! avimux", "avi", "mjpeg"),
        ("b.avi", &format!("{H264} ! avimux"), "avi", "h264"),
        ("a.ts", &format!("{H264} ! mpegtsmux"), "mpegts", "h264"),
        ("b.ts", &format!("{H265} ! mpegtsmux"), "mpegts", "h265"),
    ] {
        let found = probe(&clip(folder.path(), name, tail)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!((found.container.as_str(), found.codec.as_str()), (container, codec), "{name}");
        assert_eq!((found.width, found.height), (322, 242), "{name}");
        assert!((found.duration.as_secs_f64() - 2.0).abs() < 0.1, "{name}: {:?}", found.duration);
        assert!((49..=51).contains(&found.frames), "{name}: {} pictures", found.frames);
        assert_eq!(found.damage, None, "{name}");
        assert!(extension(&found.container).is_some_and(|e| name.ends_with(e)), "{name}");
    }
}

#[test]
fn a_file_says_when_it_was_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dated.mkv");
    launch(&format!(
        "videotestsrc num-buffers=25 ! video/x-raw,width=160,height=120,framerate=25/1 \
         ! {H264} ! matroskamux ! filesink location=\"{}\"",
        path.display()
    ));
    let made = probe(&path).unwrap().created_at;
    // Matroska files carry the time at which their writing began.
    let now = Timestamp(i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_micros()).unwrap());
    assert!(made.is_some_and(|t| now.seconds_since(t).abs() < 3600.0), "{made:?}");
}

#[test]
fn a_file_cut_short_is_used_as_far_as_it_goes_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    for (name, tail) in [
        ("a.mkv", &format!("{H264} ! matroskamux")[..]),
        ("a.avi", "jpegenc ! avimux"),
        ("a.mp4", &format!("{H264} ! mp4mux faststart=true")),
        ("a.webm", "vp8enc deadline=1 ! webmmux"),
    ] {
        let path = clip(folder.path(), name, tail);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let found = probe(&path).unwrap_or_else(|e| panic!("{name}: {e}"));
        let seconds = found.duration.as_secs_f64();
        assert!((0.2..1.8).contains(&seconds), "{name}: {seconds} s of what is half a file");
        assert!(found.damage.is_some(), "{name}");
    }
}

#[test]
fn what_is_no_video_is_told_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    launch(&format!(
        "audiotestsrc num-buffers=50 ! vorbisenc ! oggmux ! filesink location=\"{}\"",
        file("sound.ogg").display()
    ));
    fs::write(file("notes.mp4"), "minutes of the meeting").unwrap();
    fs::write(file("empty.mp4"), "").unwrap();
    let of = |name: &str| probe(&file(name)).err().unwrap_or_else(|| panic!("{name} passed")).to_string();
    assert!(of("sound.ogg").contains("only sound"), "{}", of("sound.ogg"));
    assert!(of("notes.mp4").contains("not a video"), "{}", of("notes.mp4"));
    assert!(of("empty.mp4").contains("empty"), "{}", of("empty.mp4"));
    assert!(of("absent.mp4").contains("does not exist"), "{}", of("absent.mp4"));
    assert!(probe(folder.path()).err().unwrap().to_string().contains("folder"));
}

#[test]
fn what_a_stream_does_not_say_of_itself_is_not_made_up() {
    crate::video::init().unwrap();
    let of = |caps: &str| codec_of(&gst::Structure::from_str(caps).unwrap());
    assert_eq!(of("video/mpeg, mpegversion=(int)2").as_deref(), Some("mpeg2"));
    assert_eq!(of("video/mpeg, mpegversion=(int){ 1, 2 }").as_deref(), Some("mpeg"));
    assert_eq!(of("video/mpeg").as_deref(), Some("mpeg"));
    assert_eq!(of("audio/mpeg, mpegversion=(int)4"), None);
}
