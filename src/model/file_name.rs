//! Names of files as text. A name is bytes, and old recorders and cards write some that are not UTF-8: these keep their bytes, in a form
//! that leads back to them.
use std::{os::unix::ffi::OsStrExt as _, path::Path};

/// What stands in front of the text of a path that is not UTF-8.
const BYTES: &str = "bytes:";

/// The last part of a path as text: as it is, or with `\xE9` for each byte that is not UTF-8 (and `\\` for a backslash).
pub fn shown_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_str().map_or_else(|| escaped(name.as_bytes()), str::to_owned)
}

fn escaped(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(&chunk.valid().replace('\\', "\\\\"));
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02X}")));
    }
    text
}

fn unescaped(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        match after {
            [b'\\', after @ ..] => {
                bytes.push(b'\\');
                rest = after;
            }
            [b'x', high, low, after @ ..] => {
                let digits = [*high, *low];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
                rest = after;
            }
            _ => return None,
        }
    }
    Some(bytes)
}

/// A path as text that leads back to it: itself, or `bytes:` and the [escaped](shown_name) form. For `#[serde(with = "…")]`.
pub mod as_text {
    use super::{BYTES, escaped, unescaped};
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use std::{
        ffi::OsString,
        os::unix::ffi::{OsStrExt as _, OsStringExt as _},
        path::{Path, PathBuf},
    };

    /// Writes a path.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        match path.to_str().filter(|text| !text.starts_with(BYTES)) {
            Some(text) => to.serialize_str(text),
            None => to.serialize_str(&format!("{BYTES}{}", escaped(path.as_os_str().as_bytes()))),
        }
    }

    /// Reads a path.
    ///
    /// # Errors
    /// When it is no text, or not one that [`serialize`] writes.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
        let text = String::deserialize(from)?;
        let Some(escaped) = text.strip_prefix(BYTES) else { return Ok(text.into()) };
        let bytes = unescaped(escaped).ok_or_else(|| D::Error::custom("a path that is not whole"))?;
        Ok(OsString::from_vec(bytes).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};
    use std::{ffi::OsString, os::unix::ffi::OsStringExt as _, path::PathBuf};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Wish {
        #[serde(with = "as_text")]
        path: PathBuf,
    }

    fn path(bytes: &[u8]) -> PathBuf {
        OsString::from_vec(bytes.to_vec()).into()
    }

    #[test]
    fn a_name_that_is_not_utf8_is_shown_with_its_bytes() {
        assert_eq!(shown_name(&path(b"/media/caf\xe9.mp4")), "caf\\xE9.mp4");
        assert_eq!(shown_name(Path::new("/media/café \\ 1.mp4")), "café \\ 1.mp4");
        assert_eq!(serde_json::to_string(&Wish { path: "/a/b.mp4".into() }).unwrap(), r#"{"path":"/a/b.mp4"}"#);
    }

    proptest! {
        #[test]
        fn every_path_comes_back(bytes in prop::collection::vec(any::<u8>(), 0..40), before in any::<bool>()) {
            let bytes = if before { [b"bytes:".as_slice(), &bytes].concat() } else { bytes };
            let wish = Wish { path: path(&bytes) };
            let text = serde_json::to_string(&wish).unwrap();
            prop_assert_eq!(serde_json::from_str::<Wish>(&text).unwrap(), wish);
        }
    }
}
