//! The bytes around the files of a package: ZIP with 64-bit sizes, nothing compressed, no dates. They follow from names, sizes
//! and contents alone, so that a verifier can tell every single byte, and every ordinary program opens the file.
//!
//! Format: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3 and 4.5.3.
use crc32fast::Hasher as Crc32;
use sha2::{Digest as _, Sha256};
use std::{
    io::{self, Read, Seek, SeekFrom, Write},
    sync::{Arc, mpsc},
    thread,
};

use crate::model::Hash;

const UNKNOWN_32: [u8; 4] = [0xff; 4]; // the true value is in the 64-bit part
const UTF8_NAMES: u16 = 1 << 11;
const VERSION: u16 = 45; // the first that knows 64-bit sizes
const FIRST_DAY: u16 = 0x21; // 1980-01-01: dates are in the manifest
const ZIP64: u16 = 1;

/// What the container has to know of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub name: String,
    pub size: u64,
    pub crc: u32,
    /// Where its header begins.
    pub offset: u64,
    pub sha256: Hash,
}

impl Entry {
    pub fn local_header(&self) -> Vec<u8> {
        let mut header = b"PK\x03\x04".to_vec();
        self.common(&mut header, 20);
        header.extend(self.name.as_bytes());
        put16(&mut header, &[ZIP64, 16]);
        put64(&mut header, &[self.size, self.size]);
        header
    }

    fn central_header(&self) -> Vec<u8> {
        let mut header = b"PK\x01\x02".to_vec();
        put16(&mut header, &[3 << 8 | VERSION]); // made on Unix
        self.common(&mut header, 28);
        put16(&mut header, &[0, 0, 0]); // no comment, first disk, nothing is text
        header.extend((0o100_644_u32 << 16).to_le_bytes());
        header.extend(UNKNOWN_32);
        header.extend(self.name.as_bytes());
        put16(&mut header, &[ZIP64, 24]);
        put64(&mut header, &[self.size, self.size, self.offset]);
        header
    }

    fn common(&self, header: &mut Vec<u8>, extra: u16) {
        put16(header, &[VERSION, UTF8_NAMES, 0, 0, FIRST_DAY]);
        header.extend(self.crc.to_le_bytes());
        header.extend(UNKNOWN_32);
        header.extend(UNKNOWN_32);
        put16(header, &[u16::try_from(self.name.len()).unwrap_or(u16::MAX), extra]);
    }

    /// Where its contents begin.
    pub fn contents(&self) -> u64 {
        self.offset + self.local_header().len() as u64
    }

    /// Where the next header begins.
    pub fn end(&self) -> u64 {
        self.contents() + self.size
    }
}

/// What stands behind the last file.
pub(super) fn directory(entries: &[Entry]) -> Vec<u8> {
    let start = entries.last().map_or(0, Entry::end);
    let mut bytes: Vec<u8> = entries.iter().flat_map(Entry::central_header).collect();
    let (size, count) = (bytes.len() as u64, entries.len() as u64);
    bytes.extend(b"PK\x06\x06");
    put64(&mut bytes, &[44]); // of the rest of this record
    put16(&mut bytes, &[3 << 8 | VERSION, VERSION]);
    bytes.extend([0; 8]);
    put64(&mut bytes, &[count, count, size, start]);
    bytes.extend(b"PK\x06\x07");
    bytes.extend([0; 4]);
    put64(&mut bytes, &[start + size]);
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend(b"PK\x05\x06");
    put16(&mut bytes, &[0, 0, u16::MAX, u16::MAX]);
    bytes.extend(UNKNOWN_32);
    bytes.extend(UNKNOWN_32);
    put16(&mut bytes, &[0]);
    bytes
}

fn put16(bytes: &mut Vec<u8>, values: &[u16]) {
    bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
}

fn put64(bytes: &mut Vec<u8>, values: &[u64]) {
    bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
}

/// Bytes read at once, and pieces that wait to be hashed at most.
const PIECE: usize = 1 << 20;
const WAITING: usize = 4;

/// Copies to `out` piece by piece; returns size, CRC-32 and SHA-256 of what went through. The hash, which takes longest, is made on a
/// thread of its own.
pub(super) fn copy(
    mut from: impl Read,
    mut out: impl Write,
    mut passed: impl FnMut(u64) -> io::Result<()>,
) -> io::Result<(u64, u32, Hash)> {
    thread::scope(|scope| {
        let (pieces, to_hash) = mpsc::sync_channel::<Arc<Vec<u8>>>(WAITING);
        let hashing = scope.spawn(move || {
            let hashed = to_hash.iter().fold(Sha256::new(), |sha, piece| sha.chain_update(&*piece));
            Hash(hashed.finalize().into())
        });
        let (mut size, mut crc) = (0, Crc32::new());
        loop {
            let mut piece = Vec::with_capacity(PIECE);
            (&mut from).take(PIECE as u64).read_to_end(&mut piece)?;
            if piece.is_empty() {
                break;
            }
            let n = piece.len() as u64;
            let piece = Arc::new(piece);
            // Its receiver is gone only where it panicked, which joining tells.
            let _ = pieces.send(Arc::clone(&piece));
            crc.update(&piece);
            out.write_all(&piece)?;
            size += n;
            passed(n)?;
        }
        drop(pieces);
        let hash = hashing.join().map_err(|_| io::Error::other("a file could not be hashed"))?;
        Ok((size, crc.finalize(), hash))
    })
}

/// Writes a container, file by file.
pub(super) struct Writer<W: Write + Seek> {
    out: W,
    entries: Vec<Entry>,
}

impl<W: Write + Seek> Writer<W> {
    /// Begins; `out` is empty.
    pub fn new(out: W) -> Self {
        Self { out, entries: Vec::new() }
    }

    /// Adds a file; `passed` is called with the bytes of each piece, and may break off.
    pub fn add(
        &mut self,
        name: &str,
        from: impl Read,
        passed: impl FnMut(u64) -> io::Result<()>,
    ) -> io::Result<&Entry> {
        let offset = self.entries.last().map_or(0, Entry::end);
        let mut entry = Entry { name: name.to_owned(), size: 0, crc: 0, offset, sha256: Hash::NONE };
        self.out.write_all(&entry.local_header())?;
        (entry.size, entry.crc, entry.sha256) = copy(from, &mut self.out, passed)?;
        self.out.seek(SeekFrom::Start(offset))?;
        self.out.write_all(&entry.local_header())?; // of the same length, now that the rest is known
        self.out.seek(SeekFrom::Start(entry.end()))?;
        self.entries.push(entry);
        self.entries.last().ok_or_else(|| io::Error::other("the list of files is empty"))
    }

    /// Files so far.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Ends the file.
    pub fn finish(mut self) -> io::Result<()> {
        self.out.write_all(&directory(&self.entries))?;
        self.out.flush()
    }
}
