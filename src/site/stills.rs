//! Stored pictures: JPEG in, JPEG out.
use crate::model::Picture;
use image::{ImageEncoder as _, ImageReader, codecs::jpeg::JpegEncoder};
use std::io::Cursor;

/// Quality of stored crops and frames: above it files grow and people see no more.
const QUALITY: u8 = 88;

/// The picture as JPEG; `None` only for sizes JPEG cannot hold.
pub(super) fn to_jpeg(picture: &Picture) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY)
        .write_image(picture.rgb(), picture.width(), picture.height(), image::ExtendedColorType::Rgb8)
        .ok()?;
    Some(bytes)
}

/// A stored JPEG; `None` when it is damaged.
pub(super) fn from_jpeg(bytes: Vec<u8>) -> Option<Picture> {
    let decoded = ImageReader::with_format(Cursor::new(bytes), image::ImageFormat::Jpeg).decode().ok()?.to_rgb8();
    Picture::new(decoded.width(), decoded.height(), decoded.into_raw())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_picture_opens_and_damage_is_no_picture() {
        let grey = Picture::new(40, 30, vec![120; 40 * 30 * 3]).unwrap();
        let jpeg = to_jpeg(&grey).unwrap();
        let back = from_jpeg(jpeg).unwrap();
        assert_eq!((back.width(), back.height()), (40, 30));
        assert!(back.rgb().iter().all(|&c| c.abs_diff(120) <= 2));
        assert!(from_jpeg(b"not a picture".to_vec()).is_none());
    }
}
