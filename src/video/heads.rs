//! What the first bytes of a file tell that GStreamer does not: that there was more of it once, or that it was never finished.
use super::dhav::Dhav;
use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::Path,
};

/// Boxes looked at before an MP4 file counts as finished: its index is among the first few, or behind one large box of pictures.
const MOST_BOXES: usize = 64;

/// Why there may be less in a file than there was once, one sentence, where its demuxer says nothing of it.
pub(super) fn shortfall(path: &Path) -> Option<String> {
    riff_shortfall(path).or_else(|| Dhav::open(path)?.damage())
}

/// What is missing of an AVI file: its demuxer makes do with any length without a word.
fn riff_shortfall(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let mut head = [0u8; 8];
    file.read_exact(&mut head).ok()?;
    let [b'R', b'I', b'F', b'F', size @ ..] = head else { return None };
    let size = u32::from_le_bytes(size);
    // Written to a pipe, or never closed: it announces nothing.
    if matches!(size, 0 | u32::MAX) {
        return None;
    }
    let (announced, there) = (u64::from(size) + 8, file.metadata().ok()?.len());
    (there < announced)
        .then(|| format!("The file has {there} of the {announced} bytes that it announces: it was cut short."))
}

/// Whether this is an MP4 or QuickTime file whose index (`moov`, ISO/IEC 14496-12 §8.2) was never written, as whoever records it leaves it
/// when the power goes. Fragmented files have theirs in front.
pub(super) fn has_no_index(path: &Path) -> bool {
    unfinished(&mut File::open(path).ok()).unwrap_or(false)
}

fn unfinished(file: &mut Option<File>) -> io::Result<bool> {
    let Some(file) = file else { return Ok(false) };
    let length = file.seek(SeekFrom::End(0))?;
    let (mut at, mut known, mut pictures) = (0u64, false, false);
    for _ in 0..MOST_BOXES {
        if length.saturating_sub(at) < 8 {
            break;
        }
        file.seek(SeekFrom::Start(at))?;
        let mut head = [0u8; 16];
        let read = file.by_ref().take(16).read(&mut head)?;
        let [a, b, c, d, kind @ .., _, _, _, _, _, _, _, _] = head;
        let size = match u32::from_be_bytes([a, b, c, d]) {
            0 => length - at, // to the end of the file
            1 if read == 16 => u64::from_be_bytes(head[8..].try_into().unwrap_or_default()),
            size => u64::from(size),
        };
        match &kind {
            b"moov" => return Ok(false),
            b"ftyp" | b"wide" | b"free" | b"skip" | b"uuid" | b"pdin" | b"styp" => known = true,
            b"mdat" => pictures = true,
            // Not this kind of file.
            _ if !known && !pictures => return Ok(false),
            _ => {}
        }
        if size < 8 {
            break;
        }
        at = at.saturating_add(size);
    }
    Ok(pictures)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;

    fn boxes(all: &[(&[u8; 4], u32, usize)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (kind, size, there) in all {
            bytes.extend(size.to_be_bytes());
            bytes.extend(*kind);
            bytes.extend(vec![0; *there]);
        }
        bytes
    }

    fn is_unfinished(bytes: &[u8]) -> bool {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mp4");
        fs::write(&path, bytes).unwrap();
        has_no_index(&path)
    }

    #[test]
    fn only_what_has_pictures_and_no_index_is_unfinished() {
        assert!(is_unfinished(&boxes(&[(b"ftyp", 16, 8), (b"free", 8, 0), (b"mdat", 0, 500)])));
        assert!(is_unfinished(&boxes(&[(b"ftyp", 16, 8), (b"mdat", 9000, 500)])), "cut off");
        assert!(!is_unfinished(&boxes(&[(b"ftyp", 16, 8), (b"mdat", 108, 100), (b"moov", 16, 8)])));
        assert!(!is_unfinished(&boxes(&[(b"ftyp", 16, 8), (b"moov", 16, 8), (b"mdat", 0, 100)])));
        assert!(!is_unfinished(b"RIFF....AVI LIST"));
        assert!(!is_unfinished(b""));
    }

    #[test]
    fn a_size_that_was_never_written_announces_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.avi");
        let told = |size: u32| {
            let mut bytes = b"RIFF".to_vec();
            bytes.extend(size.to_le_bytes());
            bytes.extend([0; 100]);
            fs::write(&path, bytes).unwrap();
            riff_shortfall(&path)
        };
        assert_eq!((told(0), told(u32::MAX), told(100)), (None, None, None));
        assert!(told(5000).unwrap().contains("108 of the 5008 bytes"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            is_unfinished(&bytes);
        }
    }
}
