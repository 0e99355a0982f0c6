//! A small still picture: a crop, a thumbnail. Never a live frame.
use std::sync::Arc;

/// 8-bit RGB, rows top to bottom without padding. Cloning shares the pixels.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    width: u32,
    height: u32,
    rgb: Arc<[u8]>,
}

impl Picture {
    /// A picture of these pixels; `None` unless `rgb.len() == width * height * 3` and both sides are at least 1.
    pub fn new(width: u32, height: u32, rgb: Vec<u8>) -> Option<Self> {
        let wanted = (width as usize).checked_mul(height as usize)?.checked_mul(3)?;
        (wanted > 0 && rgb.len() == wanted).then(|| Self { width, height, rgb: rgb.into() })
    }

    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The pixels, `width * height * 3` bytes.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// A number that is the same exactly while this and its clones are the same pixels in memory: a cache key.
    pub fn key(&self) -> u64 {
        self.rgb.as_ptr() as u64
    }
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Picture({}×{})", self.width, self.height)
    }
}
