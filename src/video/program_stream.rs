//! What kind of pictures an MPEG program stream (ISO/IEC 13818-1 §2.5) holds. GStreamer's demuxer takes them for MPEG-2 whatever the
//! stream's map says, and many recorders write H.264 or H.265 without any map, some behind a head of their own (`IMKH`).
use std::{fs::File, io::Read as _, path::Path};

/// So much of a file is looked at: more than any recorder puts before its first key frame's parameters.
const LOOKED_AT: u64 = 8 << 20;
/// What a recorder may put in front of its first pack, bytes: 40 where it begins with `IMKH`.
const MOST_IN_FRONT: usize = 4096;
/// Of a picture's data, so much is looked at for what it is.
const ENOUGH: usize = 4 << 20;

/// The caps of the pictures in a program stream that holds H.264 or H.265; `None` for any other file.
pub(super) fn pictures_of(path: &Path) -> Option<&'static str> {
    let mut head = Vec::new();
    File::open(path).ok()?.take(LOOKED_AT).read_to_end(&mut head).ok()?;
    pictures_in(&head)
}

fn pictures_in(head: &[u8]) -> Option<&'static str> {
    let first = (0..MOST_IN_FRONT.min(head.len())).find(|at| is_pack(head.get(*at..).unwrap_or_default()))?;
    let (pictures, mapped) = of_first_video(head.get(first..)?);
    // What the map says counts where nothing of the pictures does.
    kind_of(&pictures).or(mapped.filter(|_| !is_mpeg(&pictures)))
}

/// What a byte stream of encoded pictures is, by what stands in front of a key frame: `None` where that is neither H.264 nor H.265.
pub(super) fn kind_of(pictures: &[u8]) -> Option<&'static str> {
    if is_mpeg(pictures) {
        return None;
    }
    // Parameter sets of H.265 with temporal id 0: VPS, SPS (ITU-T H.265 §7.3.1.2); of H.264 SPS.
    if units(pictures).any(|(nal, after)| matches!(nal, 0x40 | 0x42) && after == 1) {
        return Some("video/x-h265");
    }
    units(pictures).any(|(nal, _)| nal & 0x9f == 7 && nal & 0x60 != 0).then_some("video/x-h264")
}

/// The first two bytes of each unit.
fn units(pictures: &[u8]) -> impl Iterator<Item = (u8, u8)> {
    pictures.windows(5).filter_map(|w| if let [0, 0, 1, nal, after] = w { Some((*nal, *after)) } else { None })
}

/// Whether these are pictures of MPEG-1 or MPEG-2: with headers of sequences, groups or pictures (ISO/IEC 13818-2 §6.2), which are no units of
/// H.264, and of H.265 only where a 1 follows.
fn is_mpeg(pictures: &[u8]) -> bool {
    units(pictures).any(|(code, after)| matches!(code, 0xb3 | 0xb8) || (code == 0 && after != 1))
}

/// Whether a pack of MPEG-2 begins here, and another start code behind it.
fn is_pack(bytes: &[u8]) -> bool {
    let Some([0, 0, 1, 0xba, marks, rest @ ..]) = bytes.get(..14) else { return false };
    let stuffing = rest.last().map_or(0, |last| usize::from(last & 7));
    marks & 0xc4 == 0x44 && bytes.get(14 + stuffing..).is_some_and(|after| after.starts_with(&[0, 0, 1]))
}

/// The data of the first video stream, as far as it is looked at, and what the stream's map says of video.
fn of_first_video(mut bytes: &[u8]) -> (Vec<u8>, Option<&'static str>) {
    let (mut stream, mut data, mut mapped) = (None, Vec::new(), None);
    while data.len() < ENOUGH {
        let next = match bytes {
            [0, 0, 1, 0xba, ..] => 14 + bytes.get(13).map_or(0, |last| usize::from(last & 7)),
            [0, 0, 1, 0xb9, ..] => 4,
            [0, 0, 1, id, high, low, ..] if *id >= 0xbb => {
                let length = 6 + usize::from(u16::from_be_bytes([*high, *low]));
                if (0xe0..=0xef).contains(id) && *stream.get_or_insert(*id) == *id {
                    let header = 9 + bytes.get(8).map_or(0, |n| usize::from(*n));
                    data.extend_from_slice(bytes.get(header..length.min(bytes.len())).unwrap_or_default());
                }
                if *id == 0xbc {
                    mapped = mapped.or_else(|| in_map(bytes.get(..length)?));
                }
                length
            }
            [] => break,
            _ => 1, // out of step: on to the next start code
        };
        bytes = bytes.get(next..).unwrap_or_default();
    }
    (data, mapped)
}

/// The first kind of video in a program stream map (ISO/IEC 13818-1 §2.5.4) that GStreamer does not know.
fn in_map(map: &[u8]) -> Option<&'static str> {
    let two = |at: usize| Some(usize::from(u16::from_be_bytes([*map.get(at)?, *map.get(at + 1)?])));
    let mut at = 10 + two(8)? + 2;
    while at + 4 <= map.len().saturating_sub(4) {
        match map.get(at)? {
            0x1b => return Some("video/x-h264"),
            0x24 => return Some("video/x-h265"),
            _ => at += 4 + two(at + 2)?,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pack() -> Vec<u8> {
        vec![0, 0, 1, 0xba, 0x44, 0, 4, 0, 4, 1, 0, 0x2b, 0x4f, 0xf8]
    }

    fn packet(id: u8, data: &[u8]) -> Vec<u8> {
        let length = u16::try_from(data.len() + 3).unwrap().to_be_bytes();
        [&[0, 0, 1, id, length[0], length[1], 0x80, 0, 0], data].concat()
    }

    #[test]
    fn what_is_in_the_stream_counts_with_and_without_a_map_and_behind_a_head() {
        let h264 = [0, 0, 0, 1, 0x67, 0x64, 0, 0x1e];
        let h265 = [0, 0, 0, 1, 0x40, 1, 0xc, 1];
        let mpeg2 = [0, 0, 1, 0xb3, 0x14, 0, 0xf0, 0x13];
        let sound = packet(0xc0, &h265);
        let of = |in_front: &[u8], data: &[u8]| {
            pictures_in(&[in_front, &pack(), &sound, &packet(0xe0, data), &packet(0xe1, &mpeg2)].concat())
        };
        let map = [0, 0, 1, 0xbc, 0, 0xe, 0xc1, 0xff, 0, 0, 0, 4, 0x1b, 0xe0, 0, 0, 0, 0, 0, 0];
        let mapped = pictures_in(&[&pack()[..], &map, &packet(0xe0, &[0, 0, 1, 0x41, 0x9a, 0, 0])].concat());
        assert_eq!((of(&[], &h264), mapped), (Some("video/x-h264"), Some("video/x-h264")));
        let head = [b"IMKH".as_slice(), &[7; 36]].concat();
        assert_eq!((of(&head, &h264), of(&head, &h265)), (Some("video/x-h264"), Some("video/x-h265")));
        // In the middle of MPEG-2: a slice whose number is that of a parameter set.
        let slices = [0, 0, 1, 0, 0x0f, 0xff, 0, 0, 1, 0x27, 0x22, 0, 0, 1, 0x28, 0x22];
        assert_eq!((of(&[], &mpeg2), of(&[], &slices), pictures_in(b"RIFF....AVI LIST")), (None, None, None));
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in prop::collection::vec(prop::sample::select(vec![0u8, 1, 0xba, 0xbb, 0xe0, 0x44, 0x67, 0xff]), 0..400)) {
            pictures_in(&bytes);
            pictures_in(&[pack(), bytes].concat());
        }
    }
}
