//! One file being written, from its first key frame to its name and its description.
use super::{Packet, RecorderError, Spooled};
use crate::{
    model::{CameraId, ClockOffset, Segment, Timestamp},
    video::{
        decoding::{chain, file_sink, make},
        file::Running,
    },
};
use gstreamer::{self as gst, prelude::*};
use gstreamer_app as gst_app;
use sha2::{Digest as _, Sha256};
use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use uuid::Uuid;

/// What a file's writer may hold before the recorder waits for it, bytes.
const WRITER_BYTES: u64 = 8 << 20;
/// So often what is written is brought to the disk for good.
const SYNC_EVERY: Duration = Duration::from_secs(5);
/// How long a file may take to be finished.
const FINISH_WITHIN: Duration = Duration::from_secs(20);
/// How long a picture is shown of which nothing is known.
const ALONE: Duration = Duration::from_millis(40);

/// One file being written.
pub(super) struct Writer {
    pipeline: Running,
    input: gst_app::AppSrc,
    part: PathBuf,
    id: Uuid,
    camera: CameraId,
    caps: gst::Caps,
    starts_at: Timestamp,
    /// Of the camera's clock: one for the whole file.
    offset: Option<ClockOffset>,
    /// Of the first picture in its connection.
    base: Duration,
    /// End of the last picture, from the beginning of the file.
    end: Duration,
    /// The last picture, from the beginning of the file.
    last: Duration,
    pictures: u64,
    synced: Instant,
}

impl Writer {
    pub fn begin(spool: &Path, camera: CameraId, first: &Packet) -> Result<Self, RecorderError> {
        let id = Uuid::now_v7();
        let part = spool.join(format!("{camera}_{}_{id}.part", first.captured_at.0));
        let parser = match first.caps.structure(0).map(|s| s.name().as_str().to_owned()).as_deref() {
            Some("video/x-h264") => Some("h264parse"),
            Some("video/x-h265") => Some("h265parse"),
            Some("image/jpeg") => Some("jpegparse"),
            Some("video/mpeg") => None,
            Some(name) if name.starts_with("video/x-vp") => None,
            other => return Err(RecorderError::Codec(other.unwrap_or("unknown").to_owned())),
        };
        let pipeline = Running(gst::Pipeline::new());
        let input = gst_app::AppSrc::builder()
            .caps(&first.caps)
            .format(gst::Format::Time)
            .block(true)
            .max_bytes(WRITER_BYTES)
            .build();
        let muxer = make("matroskamux")?;
        muxer.set_property("writing-app", "Vigia");
        let sink = file_sink(&part)?;
        sink.set_property_from_str("buffer-mode", "unbuffered"); // a killed process loses nothing
        sink.set_property("sync", false);
        sink.set_property("async", false);
        let bin: &gst::Bin = pipeline.0.upcast_ref();
        match parser {
            Some(parser) => chain(bin, &[input.upcast_ref(), &make(parser)?, &muxer, &sink])?,
            None => chain(bin, &[input.upcast_ref(), &muxer, &sink])?,
        }
        let writer = Self {
            pipeline,
            input,
            part,
            id,
            camera,
            caps: first.caps.clone(),
            starts_at: first.captured_at,
            offset: first.offset,
            base: first.at,
            end: Duration::ZERO,
            last: Duration::ZERO,
            pictures: 0,
            synced: Instant::now(),
        };
        let started = writer.pipeline.0.set_state(gst::State::Playing);
        started.map_err(|_| writer.failure("it cannot be opened"))?;
        Ok(writer)
    }

    /// The next file begins at this instant, and this one ends there: clocks that are read twice differ by microseconds.
    pub fn end_with(&mut self, at: Timestamp) {
        self.end = u64::try_from(at.0 - self.starts_at.0).map_or(self.end, Duration::from_micros);
    }

    /// Where its bytes are, and from when to when they show anything.
    pub fn holds(&self) -> (PathBuf, Timestamp, Timestamp) {
        (self.part.clone(), self.starts_at, self.starts_at.plus(self.end))
    }

    pub fn write(&mut self, packet: &Packet) -> Result<(), RecorderError> {
        let Some(at) = packet.at.checked_sub(self.base) else {
            return Ok(()); // of before the key frame: only together with the file before could it be decoded
        };
        let mut buffer = packet.buffer.copy();
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(gst::ClockTime::try_from(at).ok());
            buffer.set_dts(gst::ClockTime::NONE);
        }
        if self.pictures > 0 && at > self.last {
            self.end = at + (at - self.last); // until something better is known, as long as the one before
        }
        if let Some(length) = packet.buffer.duration().map(Duration::from).filter(|d| !d.is_zero()) {
            self.end = self.end.max(at + length);
        }
        self.last = self.last.max(at);
        self.offset = self.offset.or(packet.offset);
        self.pictures += 1;
        if self.input.push_buffer(buffer).is_err() || self.error().is_some() {
            return Err(self.failure("it was closed"));
        }
        if self.synced.elapsed() >= SYNC_EVERY {
            self.synced = Instant::now();
            let synced = File::open(&self.part).and_then(|f| f.sync_data());
            synced.map_err(|e| RecorderError::Disk(self.part.clone(), e.to_string()))?;
        }
        Ok(())
    }

    fn error(&self) -> Option<String> {
        let message = self.pipeline.0.bus()?.pop_filtered(&[gst::MessageType::Error])?;
        if let gst::MessageView::Error(error) = message.view() {
            Some(error.error().message().to_owned())
        } else {
            None
        }
    }

    fn failure(&self, otherwise: &str) -> RecorderError {
        let folder = self.part.parent().unwrap_or(&self.part).to_owned();
        RecorderError::Disk(folder, self.error().unwrap_or_else(|| otherwise.to_owned()))
    }

    /// Closes the file and gives it its name; `None` when nothing is in it.
    pub fn finish(self) -> Result<Option<Spooled>, RecorderError> {
        let _ = self.input.end_of_stream();
        let ended = self.pipeline.0.bus().and_then(|bus| {
            let wait = gst::ClockTime::try_from(FINISH_WITHIN).ok();
            bus.timed_pop_filtered(wait, &[gst::MessageType::Eos, gst::MessageType::Error])
        });
        let disk = |e: &dyn std::fmt::Display| RecorderError::Disk(self.part.clone(), e.to_string());
        match ended.as_ref().map(|m| m.view()) {
            Some(gst::MessageView::Eos(_)) => {}
            Some(gst::MessageView::Error(error)) => return Err(disk(&error.error().message())),
            _ => return Err(disk(&"it takes too long to finish a file")),
        }
        let _ = self.pipeline.0.set_state(gst::State::Null);
        if self.pictures == 0 {
            let _ = fs::remove_file(&self.part);
            return Ok(None);
        }
        let described = (|| {
            File::open(&self.part)?.sync_all()?;
            let (sha256, size) = hash(&self.part)?;
            let structure = self.caps.structure(0);
            let side = |name: &str| structure.and_then(|s| s.get::<i32>(name).ok()).and_then(|v| u32::try_from(v).ok());
            let segment = Segment {
                id: self.id,
                camera: self.camera,
                starts_at: self.starts_at,
                ends_at: self.starts_at.plus(if self.pictures > 1 { self.end } else { self.end.max(ALONE) }),
                video_url: String::new(),
                format: "matroska".to_owned(),
                codec: codec(&self.caps),
                width: side("width").unwrap_or(0),
                height: side("height").unwrap_or(0),
                size,
                sha256,
                upload: None,
                clock_offset: self.offset,
            };
            let file = self.part.with_extension("mkv");
            let json = serde_json::to_vec(&segment).map_err(io::Error::other)?;
            let (half, whole) = (self.part.with_extension("tmp"), self.part.with_extension("json"));
            let mut to = File::create(&half)?;
            to.write_all(&json)?;
            to.sync_all()?;
            fs::rename(&half, &whole)?;
            fs::rename(&self.part, &file)?;
            Ok::<_, io::Error>(Spooled { segment, file })
        })();
        described.map(Some).map_err(|e| disk(&e))
    }
}

/// Whether pictures of both kinds can be in one file.
pub(super) fn alike(a: &gst::Caps, b: &gst::Caps) -> bool {
    let same = |a: &gst::StructureRef, b: &gst::StructureRef| {
        let value = |s: &gst::StructureRef, field: &str| s.value(field).ok().and_then(|v| v.serialize().ok());
        a.name() == b.name()
            && ["width", "height", "stream-format", "codec_data"].iter().all(|field| value(a, field) == value(b, field))
    };
    a == b || a.structure(0).zip(b.structure(0)).is_some_and(|(a, b)| same(a, b))
}

/// `h264`, `h265`, `mjpeg`, …
fn codec(caps: &gst::Caps) -> String {
    match caps.structure(0).map(|s| s.name().as_str()) {
        Some("image/jpeg") => "mjpeg".to_owned(),
        Some("video/mpeg") => "mpeg".to_owned(),
        Some(name) => name.trim_start_matches("video/x-").to_owned(),
        None => "unknown".to_owned(),
    }
}

pub(super) fn hash(path: &Path) -> io::Result<(String, u64)> {
    let (mut file, mut sha, mut size, mut piece) = (File::open(path)?, Sha256::new(), 0, vec![0; 1 << 18]);
    loop {
        let read = file.read(&mut piece)?;
        let Some(part) = piece.get(..read).filter(|p| !p.is_empty()) else {
            let hex = sha.finalize().iter().map(|b| format!("{b:02x}")).collect();
            return Ok((hex, size));
        };
        sha.update(part);
        size += part.len() as u64;
    }
}
