//! What is shown and analysed is upright, whole, of square pixels and in true colours, whatever the file or the camera stores (F1 to F4,
//! F15).
use super::files::{first, frames, launch, luma};
use std::path::{Path, PathBuf};
use vigia::video::{FileError, Frame};

/// Good enough that the bars of the test picture look as they should.
const H264: &str = "x264enc tune=zerolatency speed-preset=veryfast bitrate=8000 key-int-max=12 ! h264parse";

/// A moving ball of `caps`, through `tail`.
fn video(folder: &Path, name: &str, caps: &str, tail: &str) -> PathBuf {
    let path = folder.join(name);
    launch(
        &format!(
            "videotestsrc num-buffers=24 pattern=smpte ! video/x-raw,format=I420,{caps} ! {tail} ! filesink name=f"
        ),
        &path,
    );
    path
}

fn sizes(path: &Path) -> Result<Vec<(u32, u32)>, FileError> {
    let mut sizes: Vec<_> = frames(path)?.iter().map(|f| (f.width(), f.height())).collect();
    sizes.dedup();
    Ok(sizes)
}

#[test]
fn pixels_that_are_not_square_are_shown_and_analysed_in_their_shape() {
    let folder = tempfile::tempdir().unwrap();
    for (name, mux) in [("a.mp4", "mp4mux"), ("a.mkv", "matroskamux"), ("a.ts", "mpegtsmux"), ("a.avi", "avimux")] {
        for (stored, ratio, shown) in [
            ("width=352,height=576", "24/11", (768, 576)), // 2CIF at 4:3
            ("width=704,height=576", "12/11", (768, 576)), // D1
            ("width=960,height=576", "4/5", (768, 576)),   // 960H
            ("width=640,height=480", "1/1", (640, 480)),   // as most are
            ("width=640,height=480", "100/1", (640, 480)), // no camera has such pixels
        ] {
            let caps = format!("{stored},framerate=12/1,pixel-aspect-ratio={ratio}");
            let file = video(folder.path(), name, &caps, &format!("{H264} ! {mux}"));
            assert_eq!(sizes(&file).unwrap(), [shown], "{name} {caps}");
        }
    }
}

/// Writes this matrix into the head of an MP4's only track (`tkhd`, ISO/IEC 14496-12 §8.3.2), of which `w` and `h` are the stored sizes.
fn lay(path: &Path, matrix: [i32; 9]) {
    let mut bytes = std::fs::read(path).unwrap();
    let head = bytes.windows(4).position(|w| w == b"tkhd").unwrap() + 4;
    assert_eq!(bytes[head], 0, "version");
    let place = head + 40;
    for (n, value) in matrix.iter().enumerate() {
        bytes[place + 4 * n..place + 4 * n + 4].copy_from_slice(&value.to_be_bytes());
    }
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_picture_that_lies_on_its_side_is_turned_as_the_file_says() {
    const ONE: i32 = 1 << 16;
    const LAST: i32 = 1 << 30;
    let folder = tempfile::tempdir().unwrap();
    let caps = "width=320,height=240,framerate=12/1";
    let straight = first(&video(folder.path(), "straight.mp4", caps, &format!("{H264} ! mp4mux")));
    let (w, h) = (ONE * 240, ONE * 320); // as stored, where it lies on its side
    // How it is stored against how it is seen, and the matrix that leads back.
    for (stored, size, matrix) in [
        ("90l", (240, 320), [0, ONE, 0, -ONE, 0, 0, h, 0, LAST]),
        ("90r", (240, 320), [0, -ONE, 0, ONE, 0, 0, 0, w, LAST]),
        ("180", (320, 240), [-ONE, 0, 0, 0, -ONE, 0, h, w, LAST]),
        ("horiz", (320, 240), [-ONE, 0, 0, 0, ONE, 0, h, 0, LAST]),
    ] {
        let file =
            video(folder.path(), "turned.mp4", caps, &format!("videoflip video-direction={stored} ! {H264} ! mp4mux"));
        let as_stored = first(&file);
        assert_eq!((as_stored.width(), as_stored.height()), size, "{stored}");
        lay(&file, matrix);
        let turned = first(&file);
        assert_eq!((turned.width(), turned.height()), (320, 240), "{stored}");
        // Below lies noise, which is another one each time.
        let bars = |frame: &Frame| luma(frame)[..180 * 320].to_vec();
        let (seen, wanted) = (bars(&turned), bars(&straight));
        let off = seen.iter().zip(&wanted).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / seen.len() as f64;
        assert!(off < 3.0, "{stored}: {off} grey levels off");
    }
}

/// How combed a picture is: neighbouring rows that differ more than rows of the same field.
fn combed(frame: &Frame) -> f64 {
    let (rows, width) = (luma(frame), frame.width() as usize);
    let apart = |n: usize| -> f64 {
        rows.windows((n + 1) * width)
            .step_by(width)
            .map(|w| (0..width).map(|x| f64::from(w[x].abs_diff(w[n * width + x]))).sum::<f64>())
            .sum()
    };
    apart(1) / apart(2).max(1.0)
}

#[test]
fn two_fields_are_one_whole_picture() {
    let folder = tempfile::tempdir().unwrap();
    for (name, first) in [("tff.mkv", true), ("bff.mkv", false)] {
        let path = folder.path().join(name);
        launch(
            &format!(
                "videotestsrc num-buffers=48 pattern=ball motion=hsweep ! video/x-raw,format=I420,width=320,height=240,framerate=50/1 \
                 ! interlace field-pattern=1:1 top-field-first={first} ! x264enc tune=zerolatency speed-preset=ultrafast interlaced=true \
                 ! h264parse ! matroskamux ! filesink name=f"
            ),
            &path,
        );
        let all = frames(&path).unwrap();
        assert!((20..=25).contains(&all.len()), "{name}: {} pictures of 48 fields", all.len());
        for frame in &all {
            let combed = combed(frame);
            assert!(combed < 1.05, "{name}: combed by {combed} at {:?}", frame.stream_time());
        }
    }
}

#[test]
fn what_the_stream_says_of_its_colours_counts_and_not_what_the_container_says() {
    let folder = tempfile::tempdir().unwrap();
    for (name, mux) in [("a.mp4", "mp4mux"), ("a.mkv", "matroskamux")] {
        let path = folder.path().join(name);
        launch(
            &format!(
                "videotestsrc num-buffers=12 pattern=solid-color foreground-color=0xffbebebe \
                 ! video/x-raw,format=I420,width=320,height=240,framerate=12/1,colorimetry=1:3:5:1 ! {H264} \
                 ! capssetter caps=video/x-h264,colorimetry=bt709 ! {mux} ! filesink name=f"
            ),
            &path,
        );
        // Black of a full range is 0, not 16: taken for the other one, shadows are crushed and clothes change their colours.
        assert!(first(&path).color().full_range, "{name}");
    }
}

#[test]
fn a_file_that_changes_its_size_gives_each_picture_in_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let tail = format!("{H264} ! mpegtsmux");
    let small = video(folder.path(), "a.ts", "width=320,height=240,framerate=12/1", &tail);
    let large = video(folder.path(), "b.ts", "width=640,height=480,framerate=12/1", &tail);
    let both = folder.path().join("both.ts");
    std::fs::write(&both, [std::fs::read(small).unwrap(), std::fs::read(large).unwrap()].concat()).unwrap();
    assert_eq!(sizes(&both).unwrap(), [(320, 240), (640, 480)]);
}
