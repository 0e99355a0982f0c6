//! Files of Dahua recorders (`.dav`): frames one after the other, each with a head of its own and a tail that repeats its length. There is no
//! public specification; this reads what `libavformat/dhav.c` of FFmpeg documents: `DHAV`, kind, channel, numbers, length, date, milliseconds
//! (modulo 65536), length of what extends the head; then the data, and `dhav` with the length again.
use super::program_stream::kind_of;
use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::Path,
    time::Duration,
};

const MAGIC: &[u8; 4] = b"DHAV";
/// What begins the tail of a frame.
const TAIL_MAGIC: &[u8; 4] = b"dhav";
/// Of the head that is always there, and of the tail, bytes.
const HEAD: u64 = 24;
const TAIL: u64 = 8;
/// What a recorder may put in front of its first frame, bytes.
const MOST_IN_FRONT: usize = 64 << 10;
/// Read at once where a frame is searched for, bytes.
const BLOCK: u64 = 256 << 10;
/// A frame that claims to be longer is none.
const LONGEST: u64 = 64 << 20;
/// Key pictures looked at for what they are.
const LOOKED_AT: usize = 3;
/// Two pictures are not further apart by their counters of milliseconds: then the date says how far.
const COUNTED: u64 = 30;

/// Where a picture lies in the file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Entry {
    place: u64,
    length: u64,
    /// From the first picture.
    pub at: Duration,
    /// Whether decoding can begin here.
    pub key: bool,
}

/// A file of that kind.
pub(super) struct Dhav<R> {
    file: R,
    /// Its pictures, in their order.
    pub entries: Vec<Entry>,
    /// Their caps: `video/x-h264` or `video/x-h265`.
    pub media: &'static str,
    /// Bytes between frames that are of none.
    passed_over: u64,
    /// The last frame is not all there.
    cut_short: bool,
}

/// What a head says.
struct Head {
    kind: u8,
    length: u64,
    date: u32,
    ms: u16,
    extended: u64,
}

impl Dhav<BufReader<File>> {
    /// Opens a file; `None` where it is not of that kind, or holds other pictures than H.264 and H.265.
    pub fn open(path: &Path) -> Option<Self> {
        let mut start = Vec::new();
        File::open(path).ok()?.take(MOST_IN_FRONT as u64).read_to_end(&mut start).ok()?;
        let is = start.windows(HEAD as usize).any(|bytes| head_of(bytes).is_some());
        is.then(|| Self::read(BufReader::new(File::open(path).ok()?)).ok().flatten())?
    }
}

impl<R: Read + Seek> Dhav<R> {
    /// Looks through the heads of all frames.
    fn read(mut file: R) -> io::Result<Option<Self>> {
        let end = file.seek(SeekFrom::End(0))?;
        let (mut entries, mut place): (Vec<Entry>, u64) = (Vec::new(), 0);
        let (mut passed_over, mut cut_short, mut frames) = (0, false, 0u64);
        let mut before: Option<(u32, u16, Duration)> = None;
        while let Some((at, head)) = next_head(&mut file, place, end)? {
            // What is in front of the first one is the recorder's own.
            passed_over += if frames > 0 { at - place } else { 0 };
            frames += 1;
            place = at + head.length;
            cut_short = place > end;
            let data = HEAD + head.extended;
            if !matches!(head.kind, 0xfc..=0xfe) || head.length <= data + TAIL {
                continue;
            }
            let since =
                before.map_or(Duration::ZERO, |(date, ms, since)| since + apart((date, ms), (head.date, head.ms)));
            before = Some((head.date, head.ms, since));
            let length = (head.length - data - TAIL).min(end.saturating_sub(at + data));
            entries.push(Entry { place: at + data, length, at: since, key: head.kind == 0xfd });
        }
        passed_over += if frames > 0 { end.saturating_sub(place) } else { 0 };
        let mut this = Self { file, entries, media: "", passed_over, cut_short };
        let keys: Vec<_> = this.entries.iter().filter(|entry| entry.key).take(LOOKED_AT).copied().collect();
        let mut pictures = Vec::new();
        for entry in keys {
            pictures.extend(this.data(entry)?);
        }
        Ok(kind_of(&pictures).map(|media| Self { media, ..this }))
    }

    /// What is wrong with it, one sentence; `None` for a whole one.
    pub fn damage(&self) -> Option<String> {
        if self.passed_over > 0 {
            return Some(format!(
                "{} bytes of the file are of no frame: it is damaged there, and pictures may be missing.",
                self.passed_over
            ));
        }
        self.cut_short.then(|| "The file was cut short in its last frame.".to_owned())
    }

    /// The encoded picture, a byte stream.
    ///
    /// # Errors
    /// What the file system says.
    pub fn data(&mut self, entry: Entry) -> io::Result<Vec<u8>> {
        self.file.seek(SeekFrom::Start(entry.place))?;
        let mut data = Vec::new();
        self.file.by_ref().take(entry.length).read_to_end(&mut data)?;
        Ok(data)
    }

    /// The place of the last picture at or before `to` at which decoding can begin.
    pub fn key_before(&self, to: Duration) -> usize {
        let until = self.entries.partition_point(|entry| entry.at <= to);
        self.entries.iter().take(until).rposition(|entry| entry.key).unwrap_or(0)
    }
}

/// The next frame at or after a place: one whose tail agrees with its head, or that the end of the file cuts off.
fn next_head<R: Read + Seek>(file: &mut R, mut at: u64, end: u64) -> io::Result<Option<(u64, Head)>> {
    while at + HEAD <= end {
        file.seek(SeekFrom::Start(at))?;
        let mut bytes = Vec::new();
        file.by_ref().take(HEAD).read_to_end(&mut bytes)?;
        if let Some(head) = head_of(&bytes)
            && tail_agrees(file, at, head.length, end)?
        {
            return Ok(Some((at, head)));
        }
        // On to where the next one may begin.
        at += 1;
        loop {
            file.seek(SeekFrom::Start(at))?;
            let mut block = Vec::new();
            file.by_ref().take(BLOCK).read_to_end(&mut block)?;
            if let Some(found) = block.windows(MAGIC.len()).position(|w| w == MAGIC) {
                at += found as u64;
                break;
            }
            if at + BLOCK >= end {
                return Ok(None);
            }
            at += BLOCK - MAGIC.len() as u64 + 1;
        }
    }
    Ok(None)
}

fn tail_agrees<R: Read + Seek>(file: &mut R, at: u64, length: u64, end: u64) -> io::Result<bool> {
    if at + length > end {
        // Cut off, unless another frame follows: then the length is wrong.
        return Ok(!another_follows(file, at + 1, end)?);
    }
    file.seek(SeekFrom::Start(at + length - TAIL))?;
    let mut tail = Vec::new();
    file.by_ref().take(TAIL).read_to_end(&mut tail)?;
    Ok(tail.strip_prefix(TAIL_MAGIC).is_some_and(|said| said == (length as u32).to_le_bytes()))
}

fn another_follows<R: Read + Seek>(file: &mut R, mut at: u64, end: u64) -> io::Result<bool> {
    while at < end {
        file.seek(SeekFrom::Start(at))?;
        let mut block = Vec::new();
        file.by_ref().take(BLOCK).read_to_end(&mut block)?;
        if block.windows(HEAD as usize).any(|bytes| head_of(bytes).is_some()) {
            return Ok(true);
        }
        at += BLOCK - HEAD + 1;
    }
    Ok(false)
}

fn head_of(bytes: &[u8]) -> Option<Head> {
    let &[b'D', b'H', b'A', b'V', kind, _, _, _, _, _, _, _, l0, l1, l2, l3, d0, d1, d2, d3, m0, m1, extended, _] =
        bytes
    else {
        return None;
    };
    let length = u64::from(u32::from_le_bytes([l0, l1, l2, l3]));
    (HEAD + TAIL..LONGEST).contains(&length).then(|| Head {
        kind,
        length,
        date: u32::from_le_bytes([d0, d1, d2, d3]),
        ms: u16::from_le_bytes([m0, m1]),
        extended: u64::from(extended),
    })
}

/// From one picture to the next: what the counters of milliseconds say, unless the dates are further apart than these can count.
fn apart(before: (u32, u16), now: (u32, u16)) -> Duration {
    let seconds = seconds_of(now.0).saturating_sub(seconds_of(before.0));
    if seconds > COUNTED {
        return Duration::from_secs(seconds);
    }
    let counted = u64::from(now.1.wrapping_sub(before.1));
    // A counter that was set says more than the date allows.
    Duration::from_millis(if counted > (seconds + 2) * 1000 { seconds * 1000 } else { counted })
}

/// The packed date (years since 2000, months, days, hours, minutes, seconds) in seconds. The days of a month before the first of March
/// are those of the year before, by which leap years come last (H. Hinnant, *chrono-compatible low-level date algorithms*, `days_from_civil`).
fn seconds_of(date: u32) -> u64 {
    let part = |from: u32, bits: u32| u64::from((date >> from) & ((1 << bits) - 1));
    let (year, month, day) = (2000 + part(26, 6), part(22, 4), part(17, 5));
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day;
    ((days * 24 + part(12, 5)) * 60 + part(6, 6)) * 60 + part(0, 6)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    /// A frame as a recorder writes it.
    pub(crate) fn frame(kind: u8, date: u32, ms: u16, data: &[u8]) -> Vec<u8> {
        let extended = [0x81, 0, 8, 25];
        let length = u32::try_from(HEAD as usize + extended.len() + data.len() + TAIL as usize).unwrap().to_le_bytes();
        let mut bytes = [b"DHAV".as_slice(), &[kind, 0, 0, 0, 0, 0, 0, 0], &length].concat();
        bytes.extend(date.to_le_bytes());
        bytes.extend(ms.to_le_bytes());
        bytes.extend([extended.len() as u8, 0]);
        bytes.extend(extended);
        bytes.extend(data);
        bytes.extend(b"dhav");
        bytes.extend(length);
        bytes
    }

    const SPS: [u8; 8] = [0, 0, 0, 1, 0x67, 0x64, 0, 0x1e];

    fn date(month: u32, day: u32, hour: u32, minute: u32, second: u32) -> u32 {
        (28 << 26) | (month << 22) | (day << 17) | (hour << 12) | (minute << 6) | second
    }

    #[test]
    fn pictures_have_their_places_times_and_kinds_and_junk_and_sound_are_passed_over() {
        let noon = date(12, 1, 12, 0, 0);
        let bytes = [
            b"junk of a D recorder".to_vec(),
            frame(0xf1, noon, 65_500, b"what the recorder is"),
            frame(0xfc, noon, 65_500, b"of the picture before"),
            frame(0xfd, noon, 65_500, &SPS),
            frame(0xf0, noon, 65_510, b"sound"),
            frame(0xfc, noon, 4, b"12"),     // 40 ms: the counter begins anew
            frame(0xfd, noon + 50, 9, &SPS), // fifty seconds on
        ];
        let mut file = Dhav::read(Cursor::new(bytes.concat())).unwrap().unwrap();
        assert_eq!((file.media, file.damage()), ("video/x-h264", None));
        let told: Vec<_> = file.entries.iter().map(|e| (e.at.as_millis(), e.key)).collect();
        assert_eq!(told, [(0, false), (0, true), (40, false), (50_040, true)]);
        assert_eq!(file.data(file.entries[2]).unwrap(), b"12");
        assert_eq!([0, 39, 50_039, 50_040].map(|ms| file.key_before(Duration::from_millis(ms))), [1, 1, 1, 3]);
        assert!(Dhav::read(Cursor::new(frame(0xfd, noon, 0, b"something else"))).unwrap().is_none());
    }

    #[test]
    fn midnight_is_no_gap_whatever_the_month() {
        for (before, after) in [((4, 30), (5, 1)), ((2, 28), (2, 29)), ((2, 29), (3, 1)), ((11, 30), (12, 1))] {
            let dates = (date(before.0, before.1, 23, 59, 59), date(after.0, after.1, 0, 0, 0));
            assert_eq!(seconds_of(dates.1) - seconds_of(dates.0), 1, "{before:?}");
            assert_eq!(apart((dates.0, 960), (dates.1, 1000)), Duration::from_millis(40));
        }
    }

    #[test]
    fn a_broken_frame_costs_itself_and_a_hole_is_told() {
        let noon = date(12, 1, 12, 0, 0);
        let all: Vec<_> = (0..75u16).map(|n| frame(0xfd, noon, n * 40, &SPS)).collect();
        let read = |bytes: Vec<u8>| Dhav::read(Cursor::new(bytes)).unwrap().unwrap();
        assert_eq!((read(all.concat()).entries.len(), read(all.concat()).damage()), (75, None));
        for wrong in [14, 15] {
            let mut broken = all.clone();
            broken[5][wrong] ^= 1; // its length
            let file = read(broken.concat());
            assert_eq!(file.entries.len(), 74);
            assert!(file.damage().unwrap().contains("of no frame"));
        }
        let hole = [all[..25].concat(), vec![0; (4 << 20) + 4096], all[25..].concat()].concat();
        let file = read(hole);
        assert_eq!((file.entries.len(), file.damage().is_some()), (75, true));
        let whole = all.concat();
        let file = read(whole[..whole.len() - 12].to_vec());
        assert_eq!(
            (file.entries.len(), file.damage().as_deref()),
            (75, Some("The file was cut short in its last frame."))
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.dav");
        std::fs::write(&path, [vec![7; 1000], whole].concat()).unwrap();
        assert_eq!(Dhav::open(&path).unwrap().entries.len(), 75, "behind a recorder's own head");
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(mut bytes in prop::collection::vec(any::<u8>(), 0..300), cut in 0_usize..200, at in 0_usize..100, with in any::<u8>()) {
            let whole = [frame(0xfd, 5, 7, &SPS), frame(0xfc, 5, 47, b"12")].concat();
            let mut broken = whole[..cut.min(whole.len())].to_vec();
            if let Some(byte) = broken.get_mut(at) { *byte = with; }
            bytes.extend(broken);
            if let Ok(Some(mut file)) = Dhav::read(Cursor::new(bytes)) {
                for entry in file.entries.clone() {
                    prop_assert!(file.data(entry).unwrap().len() < 400);
                }
            }
        }
    }
}
