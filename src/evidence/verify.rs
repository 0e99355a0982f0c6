//! Telling whether a package is what was exported, with nothing but the package and the site's public key.
//!
//! First the signed list is read and its signature checked; then every byte of the file is compared with what must stand there
//! by that list. Only where that fails, the file is read as ordinary programs read it, to say what is wrong. Nothing is unpacked
//! and nothing decompressed, so no package can fill a disk or the memory.
use super::{
    FileEntry, MANIFEST, Manifest, PublicKey, SIGNATURE,
    container::{self, Entry},
    is_name,
    manifest::VERSION,
};
use crate::model::Hash;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    fs::File,
    io::{self, BufReader, Read as _, Seek as _, SeekFrom},
    path::Path,
};
use zip::{CompressionMethod, ZipArchive, read::read_zipfile_from_stream};

/// No list of files is longer, bytes.
const LONGEST_LIST: u64 = 256 << 20;

/// One thing that is wrong with a package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case", tag = "fault")]
pub enum Finding {
    /// It cannot be read as a package at all: cut off, damaged, or something else.
    Unreadable {
        /// What is wrong.
        why: String,
    },
    /// A newer Vigia wrote it.
    Newer {
        /// The version of its format.
        version: u32,
    },
    /// The list of files is not what was signed.
    Signature,
    /// Another key signed it.
    OtherKey {
        /// The key that it names.
        named: String,
    },
    /// A file's contents are not those that were exported.
    Changed {
        /// Which.
        name: String,
    },
    /// A file is not there.
    Missing {
        /// Which.
        name: String,
    },
    /// A file was put in.
    Added {
        /// Which.
        name: String,
    },
    /// A file has another name.
    Renamed {
        /// What it was.
        from: String,
        /// What it is.
        to: String,
    },
    /// A file stands elsewhere in the order.
    Reordered {
        /// Which.
        name: String,
    },
    /// There is more than one file of this name.
    Duplicate {
        /// Which.
        name: String,
    },
    /// A name that would leave the folder it is unpacked into, or is not the same on every system.
    UnsafeName {
        /// Which.
        name: String,
    },
    /// A file is compressed or encrypted, which Vigia never does; it was not read.
    Compressed {
        /// Which.
        name: String,
    },
    /// Bytes around the files are not those that Vigia wrote.
    Container {
        /// The first of them.
        byte: u64,
        /// Where that is.
        place: String,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { why } => write!(f, "this is no whole package: {why}"),
            Self::Newer { version } => {
                write!(f, "a newer version of Vigia wrote this (format {version}): check it with that one")
            }
            Self::Signature => f.write_str("the list of files is not what the site signed"),
            Self::OtherKey { named } => write!(f, "another key than the one given signed this: it names {named}"),
            Self::Changed { name } => write!(f, "{name}: its contents were changed"),
            Self::Missing { name } => write!(f, "{name}: is missing"),
            Self::Added { name } => write!(f, "{name}: was put in"),
            Self::Renamed { from, to } => write!(f, "{from}: was renamed to {to}"),
            Self::Reordered { name } => write!(f, "{name}: stands elsewhere in the order"),
            Self::Duplicate { name } => write!(f, "{name}: there is more than one file of this name"),
            Self::UnsafeName { name } => write!(f, "{name:?}: no package has a file of such a name; do not unpack it"),
            Self::Compressed { name } => write!(f, "{name}: is compressed or encrypted, which Vigia never does"),
            Self::Container { byte, place } => write!(f, "byte {byte} ({place}) is not what Vigia wrote"),
        }
    }
}

/// What a verification found.
#[derive(Debug)]
pub struct Verdict {
    /// All that is wrong; empty for a package that is what was exported.
    pub findings: Vec<Finding>,
    /// What the package says of itself; not to be believed where `findings` is not empty.
    pub manifest: Option<Manifest>,
}

/// Checks a package. Without a `key` the one that the package itself names is used: then only the site can tell whether it is
/// its own.
///
/// # Errors
/// When the file cannot be opened or read.
pub fn verify(path: &Path, key: Option<PublicKey>) -> io::Result<Verdict> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let unreadable =
        |why: &str| Verdict { findings: vec![Finding::Unreadable { why: why.to_owned() }], manifest: None };
    let mut archive = match ZipArchive::new(BufReader::new(&file)) {
        Ok(archive) => archive,
        Err(zip::result::ZipError::Io(e)) if e.kind() != io::ErrorKind::UnexpectedEof => return Err(e),
        Err(e) => return Ok(unreadable(&e.to_string())),
    };
    let Some(list) = small(&mut archive, MANIFEST, LONGEST_LIST) else {
        return Ok(unreadable(&format!("{MANIFEST}, the signed list of its files, is not there")));
    };
    let signature = small(&mut archive, SIGNATURE, 64).unwrap_or_default();
    let mut findings = BTreeSet::new();
    let parsed = serde_json::from_slice::<serde_json::Value>(&list).ok();
    let version = parsed.as_ref().and_then(|v| v.get("vigia_evidence")?.as_u64());
    if let Some(version) = version.and_then(|v| u32::try_from(v).ok()).filter(|v| *v > VERSION) {
        return Ok(Verdict { findings: vec![Finding::Newer { version }], manifest: None });
    }
    let manifest: Option<Manifest> = serde_json::from_slice(&list).ok();
    let named = manifest.as_ref().and_then(|m| PublicKey::parse(&m.key).ok());
    if let (Some(key), Some(named)) = (key, named)
        && key != named
    {
        findings.insert(Finding::OtherKey { named: named.to_string() });
    } else if !key.or(named).is_some_and(|key| key.has_signed(&list, &signature)) {
        findings.insert(Finding::Signature);
    }
    let Some(manifest) = manifest else {
        findings.insert(Finding::Signature);
        return Ok(Verdict { findings: findings.into_iter().collect(), manifest: None });
    };
    let first = first_difference(&mut file, length, &manifest.files, &list, &signature)?;
    if let Some(first) = first {
        diagnose(&mut ZipArchive::new(BufReader::new(&file)), &manifest.files, &mut findings);
        duplicates(&file, &mut findings)?;
        if findings.is_empty() {
            findings.insert(first);
        }
    }
    Ok(Verdict { findings: findings.into_iter().collect(), manifest: Some(manifest) })
}

type Archive<'a> = ZipArchive<BufReader<&'a File>>;

/// A file of at most `longest` bytes, as it lies there.
fn small(archive: &mut Archive<'_>, name: &str, longest: u64) -> Option<Vec<u8>> {
    let index = archive.index_for_name(name)?;
    let file = archive.by_index_raw(index).ok()?;
    if file.compression() != CompressionMethod::Stored || file.size() > longest {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(longest).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Compares every byte of the file with what the list says; the first that differs.
fn first_difference(
    file: &mut File,
    length: u64,
    files: &[FileEntry],
    list: &[u8],
    signature: &[u8],
) -> io::Result<Option<Finding>> {
    let mut entries: Vec<Entry> = Vec::new();
    let all = files.iter().map(|f| (f.name.as_str(), f.size, f.sha256)).chain(
        [(MANIFEST, list), (SIGNATURE, signature)]
            .map(|(name, bytes)| (name, bytes.len() as u64, Hash(Sha256::digest(bytes).into()))),
    );
    for (name, size, sha256) in all {
        let offset = entries.last().map_or(0, Entry::end);
        let mut entry = Entry { name: name.to_owned(), size, crc: 0, offset, sha256 };
        if !is_name(name) || offset.checked_add(size).is_none_or(|end| end > length) {
            return Ok(Some(Finding::Container { byte: offset, place: format!("where {name:?} should begin") }));
        }
        let mut header = vec![0; entry.local_header().len()];
        file.seek(SeekFrom::Start(offset))?;
        if !filled(file, &mut header)? {
            return Ok(Some(Finding::Container { byte: offset, place: format!("where {name} should begin") }));
        }
        entry.crc = header.get(14..18).and_then(|crc| crc.try_into().ok()).map_or(0, u32::from_le_bytes);
        if let Some(at) = difference(&header, &entry.local_header()) {
            return Ok(Some(Finding::Container { byte: offset + at, place: format!("before the contents of {name}") }));
        }
        let (there, crc, hash) = container::copy(file.by_ref().take(size), io::sink(), |_| Ok(()))?;
        if there != size || hash != sha256 {
            return Ok(Some(Finding::Changed { name: name.to_owned() }));
        }
        if crc != entry.crc {
            return Ok(Some(Finding::Container { byte: offset + 14, place: format!("before the contents of {name}") }));
        }
        entries.push(entry);
    }
    let (start, expected) = (entries.last().map_or(0, Entry::end), container::directory(&entries));
    let mut there = Vec::new();
    file.seek(SeekFrom::Start(start))?;
    file.by_ref().take(expected.len() as u64 + 1).read_to_end(&mut there)?;
    Ok(difference(&there, &expected).map(|at| Finding::Container {
        byte: start + at,
        place: if at < expected.len() as u64 { "in the directory at its end" } else { "behind its end" }.to_owned(),
    }))
}

fn filled(file: &mut File, bytes: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(bytes) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        done => done.map(|()| true),
    }
}

/// The first place at which two runs of bytes differ.
fn difference(a: &[u8], b: &[u8]) -> Option<u64> {
    let at = a.iter().zip(b).position(|(a, b)| a != b);
    at.or_else(|| (a.len() != b.len()).then_some(a.len().min(b.len()))).map(|at| at as u64)
}

/// Compares the files that ordinary programs see with the list.
fn diagnose(archive: &mut zip::result::ZipResult<Archive<'_>>, files: &[FileEntry], findings: &mut BTreeSet<Finding>) {
    let Ok(archive) = archive else { return };
    let listed: BTreeMap<&str, &FileEntry> = files.iter().map(|f| (f.name.as_str(), f)).collect();
    let mut strangers: Vec<(String, Option<Hash>)> = Vec::new();
    let mut order = Vec::new();
    for index in 0..archive.len() {
        let Ok(file) = archive.by_index_raw(index) else {
            let name = archive.name_for_index(index).and_then(Result::ok).map(|n| n.into_owned()).unwrap_or_default();
            findings.insert(Finding::Changed { name });
            continue;
        };
        let name =
            file.name().map_or_else(|_| String::from_utf8_lossy(file.name_raw()).into_owned(), |n| n.into_owned());
        if !is_name(&name) {
            findings.insert(Finding::UnsafeName { name: name.clone() });
        }
        let stored = file.compression() == CompressionMethod::Stored && !file.encrypted();
        if !stored {
            findings.insert(Finding::Compressed { name: name.clone() });
        }
        let hash =
            stored.then(|| container::copy(file, io::sink(), |_| Ok(())).ok().map(|(_, _, hash)| hash)).flatten();
        if name == MANIFEST || name == SIGNATURE {
            order.push(files.len() + usize::from(name == SIGNATURE));
        } else if let Some(expected) = listed.get(name.as_str()) {
            order.push(files.iter().position(|f| f.name == name).unwrap_or_default());
            if stored && hash != Some(expected.sha256) {
                findings.insert(Finding::Changed { name });
            }
        } else {
            strangers.push((name, hash));
        }
    }
    let there: BTreeSet<usize> = order.iter().copied().collect();
    let absent = files.iter().enumerate().filter(|(position, _)| !there.contains(position));
    for (_, file) in absent {
        match strangers.iter().position(|(_, hash)| *hash == Some(file.sha256)) {
            Some(found) => {
                let (to, _) = strangers.swap_remove(found);
                findings.insert(Finding::Renamed { from: file.name.clone(), to });
            }
            None => {
                findings.insert(Finding::Missing { name: file.name.clone() });
            }
        }
    }
    if !there.contains(&(files.len() + 1)) {
        findings.insert(Finding::Missing { name: SIGNATURE.to_owned() });
    }
    findings.extend(strangers.into_iter().map(|(name, _)| Finding::Added { name }));
    let mut before = 0;
    for position in order {
        if position < before {
            let name = files.get(position).map_or(MANIFEST, |f| f.name.as_str()).to_owned();
            findings.insert(Finding::Reordered { name });
        }
        before = before.max(position);
    }
}

/// Names that stand before the contents of more than one file.
fn duplicates(mut file: &File, findings: &mut BTreeSet<Finding>) -> io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    let mut reader = BufReader::new(file);
    let mut seen = BTreeSet::new();
    while let Ok(Some(file)) = read_zipfile_from_stream(&mut reader) {
        let name = String::from_utf8_lossy(file.name_raw()).into_owned();
        if !seen.insert(name.clone()) {
            findings.insert(Finding::Duplicate { name });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        evidence::{Contents, Item, SiteKey, Stop, manifest, write},
        model::{Decision, Rect, Sighting, Timestamp, TrackId},
    };
    use proptest::prelude::*;
    use std::{fs, io::Write as _};
    use uuid::Uuid;
    use zip::write::{SimpleFileOptions, ZipWriter};

    fn manifest_of(stops: Vec<Stop>) -> Manifest {
        let at = Timestamp(1_795_356_202_000_000);
        Manifest {
            vigia_evidence: VERSION,
            program: "Vigia test".to_owned(),
            site: "Harbour <north>".to_owned(),
            made_at: at.into(),
            suspect: Some(manifest::SuspectEntry {
                id: Uuid::from_u128(7),
                label: "Suspect 1".to_owned(),
                reason: "theft & \"flight\"".to_owned(),
                marked_by: "12345678".to_owned(),
                marked_at: at.into(),
                camera: Uuid::from_u128(1),
                expires_at: at.into(),
            }),
            reason: "case 17".to_owned(),
            recipient: "the court".to_owned(),
            exported_by: ("12345678".to_owned(), "Ana Sousa".to_owned()),
            model: "NanoDet-g 00ff".to_owned(),
            cameras: Vec::new(),
            stops,
            clips: Vec::new(),
            missing: Vec::new(),
            files: Vec::new(),
            key: String::new(),
        }
    }

    fn stop() -> Stop {
        let at = Timestamp(1_795_356_202_000_000);
        let sighting = Sighting {
            id: Uuid::from_u128(3),
            suspect: Uuid::from_u128(7),
            camera: Uuid::from_u128(1),
            track: TrackId(4),
            entered_at: at,
            last_seen_at: at,
            left_at: None,
            probability: 0.83,
            decision: Decision::Confirmed { by: "=1+1".to_owned(), at },
            crop_url: String::new(),
            rect: Rect::default(),
        };
        Stop::new(&sighting, "<b>Gate</b>", Some("crops/a.jpg".to_owned()), None)
    }

    /// A package in a folder of its own, the key that signed it, and its bytes.
    fn package() -> (tempfile::TempDir, SiteKey, Vec<u8>) {
        let dir = tempfile::tempdir().unwrap();
        let key = SiteKey::open(&dir.path().join("key")).unwrap();
        let video = dir.path().join("video");
        fs::write(&video, (0..5000_u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>()).unwrap();
        let items = vec![
            Item::File("videos/gate.mp4".to_owned(), video),
            Item::Bytes("boxes/gate.json".to_owned(), b"[]".to_vec()),
            Item::Bytes("crops/a.jpg".to_owned(), b"\xff\xd8picture".to_vec()),
            Item::Bytes("audit.jsonl".to_owned(), b"{}\n".to_vec()),
        ];
        let contents = Contents { manifest: manifest_of(vec![stop()]), items };
        let mut file = File::options().read(true).write(true).create_new(true).open(dir.path().join("p.zip")).unwrap();
        let (_, hash) = write(contents, &key, &mut file, |_| true).unwrap();
        let bytes = fs::read(dir.path().join("p.zip")).unwrap();
        assert_eq!(hash, Hash(Sha256::digest(&bytes).into()));
        (dir, key, bytes)
    }

    fn findings_of(bytes: &[u8], key: Option<PublicKey>) -> Vec<Finding> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        verify(file.path(), key).unwrap().findings
    }

    /// The package's files, read by another program's rules, in order.
    fn files(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
        let mut archive = ZipArchive::new(io::Cursor::new(bytes)).unwrap();
        (0..archive.len())
            .map(|i| {
                let mut file = archive.by_index(i).unwrap();
                let mut contents = Vec::new();
                file.read_to_end(&mut contents).unwrap();
                (file.name().unwrap().into_owned(), contents)
            })
            .collect()
    }

    /// What any program would make of these files.
    fn zipped(files: &[(String, Vec<u8>)]) -> Vec<u8> {
        let mut writer = ZipWriter::new(io::Cursor::new(Vec::new()));
        let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        for (name, contents) in files {
            writer.start_file(name.as_str(), stored).unwrap();
            writer.write_all(contents).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    /// The files in Vigia's own layout: what a forger who knows it would make.
    fn laid_out(files: &[(String, Vec<u8>)]) -> Vec<u8> {
        let mut out = io::Cursor::new(Vec::new());
        let mut writer = container::Writer::new(&mut out);
        for (name, contents) in files {
            writer.add(name, contents.as_slice(), |_| Ok(())).unwrap();
        }
        writer.finish().unwrap();
        out.into_inner()
    }

    #[test]
    fn a_package_is_whole_by_its_own_and_by_the_given_key_and_not_by_another() {
        let (dir, key, bytes) = package();
        assert_eq!(findings_of(&bytes, None), []);
        assert_eq!(findings_of(&bytes, Some(key.public())), []);
        let other = SiteKey::open(&dir.path().join("other")).unwrap();
        let named = key.public().to_string();
        assert_eq!(findings_of(&bytes, Some(other.public())), [Finding::OtherKey { named }]);
        let names: Vec<_> = files(&bytes).into_iter().map(|(name, _)| name).collect();
        let expected = ["videos/gate.mp4", "boxes/gate.json", "crops/a.jpg", "audit.jsonl", "movement.csv"];
        assert_eq!(names[..5], expected);
        assert_eq!(names[5..], ["movement.json", "report.html", MANIFEST, SIGNATURE]);
    }

    #[test]
    fn the_report_and_the_table_do_no_harm() {
        let (_dir, _key, bytes) = package();
        let files: BTreeMap<_, _> = files(&bytes).into_iter().collect();
        let page = String::from_utf8(files["report.html"].clone()).unwrap();
        assert!(page.contains("&lt;b&gt;Gate&lt;/b&gt;") && page.contains("theft &amp; &quot;flight&quot;"), "{page}");
        assert!(page.contains("src=\"crops/a.jpg\"") && !page.contains("://"), "{page}");
        assert!(page.contains("no one is identified by this report"));
        let table = String::from_utf8(files["movement.csv"].clone()).unwrap();
        assert!(table.contains("confirmed,'=1+1,crops/a.jpg,not told by the camera"), "{table}");
    }

    #[test]
    fn what_was_dropped_added_renamed_reordered_or_changed_is_named_whatever_wrote_the_file() {
        let (_dir, key, bytes) = package();
        let whole = files(&bytes);
        for write in [zipped, laid_out] {
            let found = |files: &[(String, Vec<u8>)]| findings_of(&write(files), Some(key.public()));
            let mut fewer = whole.clone();
            fewer.remove(2);
            assert_eq!(found(&fewer), [Finding::Missing { name: "crops/a.jpg".to_owned() }]);
            let mut more = whole.clone();
            more.insert(1, ("crops/b.jpg".to_owned(), b"another".to_vec()));
            assert_eq!(found(&more), [Finding::Added { name: "crops/b.jpg".to_owned() }]);
            let mut renamed = whole.clone();
            renamed[0].0 = "videos/harbour.mp4".to_owned();
            let (from, to) = ("videos/gate.mp4".to_owned(), "videos/harbour.mp4".to_owned());
            assert_eq!(found(&renamed), [Finding::Renamed { from, to }]);
            let mut moved = whole.clone();
            moved.swap(1, 2);
            assert_eq!(found(&moved), [Finding::Reordered { name: "boxes/gate.json".to_owned() }]);
            let mut changed = whole.clone();
            changed[3].1 = b"{ }\n".to_vec();
            assert_eq!(found(&changed), [Finding::Changed { name: "audit.jsonl".to_owned() }]);
            let mut list = whole.clone();
            let place = list.len() - 2;
            list[place].1 = String::from_utf8(list[place].1.clone()).unwrap().replace("the court", "the press").into();
            assert_eq!(found(&list), [Finding::Signature]);
            let mut unsigned = whole.clone();
            unsigned.pop();
            assert!(found(&unsigned).contains(&Finding::Signature), "{:?}", found(&unsigned));
        }
        assert!(matches!(findings_of(&zipped(&whole), None)[..], [Finding::Container { .. }]), "the same files anew");
    }

    /// Whoever signs a changed list with a key of his own is found out by the site's key.
    #[test]
    fn a_list_that_was_signed_anew_is_another_keys() {
        let (dir, key, bytes) = package();
        let forger = SiteKey::open(&dir.path().join("forger")).unwrap();
        let mut forged = files(&bytes);
        let place = forged.len() - 2;
        for claimed in [forger.public().to_string(), key.public().to_string()] {
            let list = String::from_utf8(forged[place].1.clone()).unwrap();
            let old = serde_json::from_str::<Manifest>(&list).unwrap().key;
            forged[place].1 = list.replace(&old, &claimed).replace("the court", "the press").into_bytes();
            forged[place + 1].1 = forger.sign(&forged[place].1);
            let found = findings_of(&laid_out(&forged), Some(key.public()));
            assert!(matches!(found[..], [Finding::OtherKey { .. } | Finding::Signature]), "{found:?}");
        }
    }

    #[test]
    fn tricks_with_the_container_are_found_and_nothing_is_unpacked() {
        let (_dir, key, bytes) = package();
        let whole = files(&bytes);
        let found = |bytes: &[u8]| findings_of(bytes, Some(key.public()));
        let mut trailing = bytes.clone();
        trailing.extend(b"more");
        assert!(!found(&trailing).is_empty());
        let mut before = b"MZ, a program".to_vec();
        before.extend(&bytes);
        assert!(!found(&before).is_empty());
        let mut comment = bytes.clone();
        let end = comment.len() - 2;
        comment[end..].copy_from_slice(&4_u16.to_le_bytes());
        comment.extend(b"note");
        assert!(matches!(found(&comment)[..], [Finding::Container { .. }]), "{:?}", found(&comment));
        let mut twice = whole.clone();
        twice.insert(1, whole[0].clone());
        assert!(found(&laid_out(&twice)).contains(&Finding::Duplicate { name: "videos/gate.mp4".to_owned() }));
        let mut outside = whole;
        outside.insert(0, ("../../etc/cron.d/job".to_owned(), b"x".to_vec()));
        assert!(found(&laid_out(&outside)).contains(&Finding::UnsafeName { name: "../../etc/cron.d/job".to_owned() }));
        // A bomb: a header that promises an exabyte, and a file marked as compressed.
        let mut bomb = bytes.clone();
        let directory = bomb.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
        bomb[directory + 10] = 8;
        let size = directory + 46 + "videos/gate.mp4".len() + 4;
        bomb[size..size + 8].copy_from_slice(&(1_u64 << 60).to_le_bytes());
        let findings = found(&bomb);
        assert!(findings.contains(&Finding::Compressed { name: "videos/gate.mp4".to_owned() }), "{findings:?}");
        assert!(matches!(found(b"no package")[..], [Finding::Unreadable { .. }]));
        assert!(matches!(found(b"")[..], [Finding::Unreadable { .. }]));
    }

    #[test]
    fn a_file_that_cannot_be_named_so_or_read_makes_no_package_and_neither_does_a_cancelled_one() {
        let dir = tempfile::tempdir().unwrap();
        let key = SiteKey::open(&dir.path().join("key")).unwrap();
        let attempt = |items: Vec<Item>, go_on: bool| {
            let mut file = tempfile::tempfile().unwrap();
            let contents = Contents { manifest: manifest_of(Vec::new()), items };
            write(contents, &key, &mut file, |_| go_on).unwrap_err().to_string()
        };
        for name in ["../a", "/a", "a//b", "a\\b", "", MANIFEST, ".hidden"] {
            let told = attempt(vec![Item::Bytes(name.to_owned(), Vec::new())], true);
            assert!(told.contains("called"), "{told}");
        }
        let twice = || Item::Bytes("a.txt".to_owned(), b"a".to_vec());
        assert!(attempt(vec![twice(), twice()], true).contains("called"));
        let gone = Item::File("videos/a.mp4".to_owned(), dir.path().join("gone"));
        assert!(attempt(vec![gone], true).contains("videos/a.mp4 cannot be read"));
        assert!(attempt(vec![twice()], false).contains("cancelled"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

        /// Any flipped bit, anywhere, is found; so is any cut and any byte more or less.
        #[test]
        fn no_byte_can_be_changed_unnoticed(at in any::<prop::sample::Index>(), bit in 0..8_u8, kind in 0..4_u8) {
            static PACKAGE: std::sync::OnceLock<(PublicKey, Vec<u8>)> = std::sync::OnceLock::new();
            let (key, bytes) = PACKAGE.get_or_init(|| {
                let (_dir, key, bytes) = package();
                (key.public(), bytes)
            });
            let mut bytes = bytes.clone();
            // Half of the tries go to the last tenth, where the directory is.
            let at = at.index(bytes.len());
            let at = if kind % 2 == 0 { at } else { bytes.len() - 1 - at / 10 };
            match kind {
                0 | 1 => bytes[at] ^= 1 << bit,
                2 => { bytes.remove(at); }
                _ => bytes.truncate(at),
            }
            prop_assert!(!findings_of(&bytes, Some(*key)).is_empty(), "byte {at}");
        }
    }
}
