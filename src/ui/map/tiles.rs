//! The tiles under the map, out of one PMTiles archive on this machine. A thread reads and decodes; nothing is fetched from
//! anywhere, and the screen never waits.
use bytes::Bytes;
use egui::{ColorImage, Context, Rect, TextureHandle, TextureOptions, pos2, vec2};
use pmtiles::{AsyncBackend, AsyncPmTilesReader, BackendResponse, PmtError, PmtResult, TileCoord, TileType};
use std::{
    collections::HashMap,
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, Sender, channel},
};
use walkers::{Tile, TileId, TilePiece, Tiles, sources::Attribution};

/// Tiles kept; a screen shows about forty.
const KEPT: usize = 512;
/// Pixels of a tile's side, at most.
const LARGEST: u32 = 4096;

/// An archive that is being read.
pub(super) struct Archive {
    path: PathBuf,
    context: Context,
    wanted: Sender<TileId>,
    answers: Receiver<Answer>,
    opened: Option<Opened>,
    trouble: Option<String>,
    tiles: HashMap<TileId, Kept>,
}

/// What the archive says of itself.
struct Opened {
    zooms: std::ops::RangeInclusive<u8>,
    attribution: String,
}

struct Kept {
    /// `None` until it comes, and where the archive has none.
    texture: Option<TextureHandle>,
    /// The repaint that wanted it last.
    used: u64,
}

enum Answer {
    Opened(Opened),
    Unusable(String),
    Tile(TileId, Option<ColorImage>),
    Damaged(TileId, String),
}

impl Archive {
    /// Begins to read; what is wrong with the file is told by [`trouble`](Self::trouble) later.
    pub fn open(path: &Path, context: &Context) -> Self {
        let ((wanted, requests), (sender, answers)) = (channel(), channel());
        let (file, wake) = (path.to_owned(), context.clone());
        let answer = move |answer| {
            let heard = sender.send(answer).is_ok();
            wake.request_repaint();
            heard
        };
        let thread = std::thread::Builder::new().name("map tiles".to_owned());
        let trouble = thread.spawn(move || read(&file, &requests, answer)).err().map(|e| e.to_string());
        let (path, context, tiles) = (path.to_owned(), context.clone(), HashMap::new());
        Self { path, context, wanted, answers, opened: None, trouble, tiles }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes up what was read since the last repaint.
    pub fn tidy(&mut self) {
        for answer in self.answers.try_iter() {
            match answer {
                Answer::Opened(opened) => self.opened = Some(opened),
                Answer::Unusable(why) => {
                    self.trouble = Some(format!("The map file {} cannot be used: {why}", self.path.display()));
                }
                Answer::Damaged(id, why) => {
                    let (TileId { zoom, x, y }, file) = (id, self.path.display());
                    self.trouble = Some(format!("Tile {zoom}/{x}/{y} of the map file {file} cannot be read: {why}"));
                }
                Answer::Tile(id, image) => {
                    let texture = image.map(|image| {
                        let name = format!("map tile {}/{}/{}", id.zoom, id.x, id.y);
                        self.context.load_texture(name, image, TextureOptions::LINEAR)
                    });
                    if let Some(kept) = self.tiles.get_mut(&id) {
                        kept.texture = texture;
                    }
                }
            }
        }
        if self.tiles.len() > KEPT {
            let mut used: Vec<_> = self.tiles.values().map(|kept| kept.used).collect();
            used.sort_unstable();
            let oldest = used.get(KEPT / 2).copied().unwrap_or(0);
            self.tiles.retain(|_, kept| kept.used > oldest);
        }
    }

    /// What is wrong with the file, in words.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Whose map it is, which its licence may ask to show; empty where the archive does not say.
    pub fn credit(&self) -> &str {
        self.opened.as_ref().map_or("", |opened| &opened.attribution)
    }

    /// The texture of a tile, or of the part of a coarser one; asks for the tile where it is new.
    fn piece(&mut self, id: TileId) -> Option<TilePiece> {
        let zooms = self.opened.as_ref()?.zooms.clone();
        let now = self.context.cumulative_pass_nr();
        let finest = id.zoom.min(*zooms.end());
        for zoom in (*zooms.start()..=finest).rev() {
            let (coarser, uv) = part_of(id, zoom);
            if zoom == finest && !self.tiles.contains_key(&coarser) {
                let _ = self.wanted.send(coarser); // a thread that ended said why
                self.tiles.insert(coarser, Kept { texture: None, used: now });
            }
            if let Some(kept) = self.tiles.get_mut(&coarser) {
                kept.used = now;
                if let Some(texture) = &kept.texture {
                    return Some(TilePiece::new(Tile::Raster(texture.clone()), uv));
                }
            }
        }
        None
    }
}

impl Tiles for Archive {
    fn at(&mut self, tile_id: TileId) -> Option<TilePiece> {
        self.piece(tile_id)
    }

    fn attribution(&self) -> Attribution {
        Attribution { text: "", url: "", logo_light: None, logo_dark: None } // drawn by the map: `credit`
    }

    fn tile_size(&self) -> u32 {
        256
    }
}

/// The tile of a coarser zoom in which this one lies, and which part of it it is.
fn part_of(id: TileId, zoom: u8) -> (TileId, Rect) {
    let deeper = u32::from(id.zoom.saturating_sub(zoom)).min(31);
    let side = 1.0 / (1_u64 << deeper) as f32;
    let within = |n: u32| (n & ((1 << deeper) - 1)) as f32 * side;
    let coarser = TileId { x: id.x >> deeper, y: id.y >> deeper, zoom };
    (coarser, Rect::from_min_size(pos2(within(id.x), within(id.y)), vec2(side, side)))
}

/// The thread: opens the archive, then reads what is wanted, the newest wish first, until nobody listens.
fn read(path: &Path, requests: &Receiver<TileId>, answer: impl Fn(Answer) -> bool) {
    let opened = (|| -> Result<_, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|e| e.to_string())?;
        let file = File::open(path).map_err(|e| e.to_string())?;
        let archive = runtime.block_on(AsyncPmTilesReader::try_from_source(Local(file)));
        Ok((runtime, archive.map_err(|e| e.to_string())?))
    })();
    let (runtime, archive) = match opened {
        Ok(opened) => opened,
        Err(why) => {
            answer(Answer::Unusable(why));
            return;
        }
    };
    let header = archive.get_header();
    if !matches!(header.tile_type, TileType::Png | TileType::Jpeg | TileType::Webp | TileType::Unknown) {
        let why = "its tiles are no pictures. The map is drawn of PNG, JPEG or WebP tiles, not of vector tiles";
        answer(Answer::Unusable(why.to_owned()));
        return;
    }
    let metadata = runtime.block_on(archive.get_metadata()).unwrap_or_default();
    let zooms = header.min_zoom..=header.max_zoom;
    answer(Answer::Opened(Opened { zooms, attribution: attribution(&metadata) }));
    let mut waiting = Vec::new();
    loop {
        waiting.extend(requests.try_iter());
        let Some(id) = waiting.pop().or_else(|| requests.recv().ok()) else { return };
        let tile = TileCoord::new(id.zoom, id.x, id.y)
            .and_then(|coord| runtime.block_on(archive.get_tile_decompressed(coord)))
            .map_err(|e| e.to_string())
            .and_then(|bytes| bytes.map(|bytes| picture(&bytes)).transpose());
        let heard = match tile {
            Ok(image) => answer(Answer::Tile(id, image)),
            Err(why) => answer(Answer::Damaged(id, why)),
        };
        if !heard {
            return;
        }
    }
}

fn picture(bytes: &[u8]) -> Result<ColorImage, String> {
    let mut reader =
        image::ImageReader::new(io::Cursor::new(bytes)).with_guessed_format().map_err(|e| e.to_string())?;
    let mut limits = image::Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(LARGEST), Some(LARGEST));
    reader.limits(limits);
    let image = reader.decode().map_err(|e| e.to_string())?.to_rgba8();
    let size = [image.width() as usize, image.height() as usize];
    Ok(ColorImage::from_rgba_unmultiplied(size, image.as_raw()))
}

/// What the archive's metadata say of whose map it is, without their HTML.
fn attribution(metadata: &str) -> String {
    let said = serde_json::from_str::<serde_json::Value>(metadata).ok();
    let html = said.as_ref().and_then(|m| m.get("attribution")).and_then(|a| a.as_str()).unwrap_or_default();
    let mut inside = false;
    let plain = html.chars().filter(|c| {
        inside = (inside || *c == '<') && *c != '>';
        !inside && *c != '>'
    });
    plain.collect::<String>().replace("&copy;", "©").replace("&amp;", "&").trim().chars().take(200).collect()
}

/// The archive as a file: read, not mapped into memory, so that one that is replaced or cut short meanwhile ends nothing.
struct Local(File);

impl AsyncBackend for Local {
    async fn read(&self, offset: u64, length: usize) -> PmtResult<BackendResponse> {
        let there = self.0.metadata().map_err(PmtError::Reading)?.len();
        let length = length.min(usize::try_from(there.saturating_sub(offset)).unwrap_or(usize::MAX));
        let mut bytes = vec![0; length];
        self.0.read_exact_at(&mut bytes, offset).map_err(PmtError::Reading)?;
        Ok(BackendResponse::new(Bytes::from(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tile_is_part_of_each_coarser_one() {
        let id = TileId { x: 13, y: 6, zoom: 4 };
        assert_eq!(part_of(id, 4), (id, Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0))));
        let quarter = Rect::from_min_max(pos2(0.25, 0.5), pos2(0.5, 0.75));
        assert_eq!(part_of(id, 2), (TileId { x: 3, y: 1, zoom: 2 }, quarter));
    }

    #[test]
    fn whose_map_it_is_is_told_without_html() {
        let osm = r#"{"attribution":"<a href=\"https://x\">&copy; OpenStreetMap</a> contributors"}"#;
        assert_eq!(attribution(osm), "© OpenStreetMap contributors");
        assert_eq!(attribution("{}"), "");
        assert_eq!(attribution("no json"), "");
    }
}
