//! What an earlier run, or a failed disk, left in the spool: whole files are taken up, and what is unfinished is made whole as far as
//! it goes.
use super::{
    Packet, RecorderError, Spooled,
    writer::{Writer, hash},
};
use crate::{
    model::{CameraId, Timestamp},
    video::{
        decoding::{chain, file_source, make},
        file::Running,
        init,
    },
};
use gstreamer::{self as gst, prelude::*};
use gstreamer_app as gst_app;
use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

/// What is in a spool.
#[derive(Debug, Default, PartialEq)]
pub struct Recovered {
    /// Whole files, oldest first.
    pub whole: Vec<Spooled>,
    /// Descriptions without a file: it was stored.
    pub described: Vec<Spooled>,
    /// Those that were given up ([`Spooled::give_up`]).
    pub lost: Vec<Spooled>,
}

/// Everything in the spool. What a run that was killed left unfinished is made whole as far as it goes; what holds not one picture is
/// deleted.
///
/// # Errors
/// When the spool cannot be read.
pub fn recover(spool: &Path) -> Result<Recovered, RecorderError> {
    init()?;
    let disk = |e: io::Error| RecorderError::Disk(spool.to_owned(), e.to_string());
    fs::create_dir_all(spool).map_err(disk)?;
    let mut found = Recovered::default();
    let entries = fs::read_dir(spool).map_err(disk)?.collect::<Result<Vec<_>, _>>().map_err(disk)?;
    let there: BTreeSet<PathBuf> = entries.iter().map(fs::DirEntry::path).collect();
    for path in &there {
        let beside = |extension: &str| there.contains(&path.with_extension(extension));
        match path.extension().and_then(|e| e.to_str()) {
            Some("mkv" | "json") if beside("lost") => drop(fs::remove_file(path)),
            Some("lost") => {
                found.lost.extend(described_in(path).map(|s| Spooled { file: path.with_extension("mkv"), ..s }));
            }
            Some("mkv") => found.whole.extend(described(path).or_else(|| rescued(spool, path))),
            Some("json") if !beside("mkv") && !beside("part") => {
                found.described.extend(described_in(path).map(|s| Spooled { file: path.with_extension("mkv"), ..s }));
            }
            Some("part") => {
                // Written whole, and killed before it had its name: only the name is missing.
                let whole = described(path).filter(|s| hash(path).is_ok_and(|(h, _)| h == s.segment.sha256));
                let renamed = whole.and_then(|s| {
                    let file = path.with_extension("mkv");
                    fs::rename(path, &file).ok().map(|()| Spooled { file, ..s })
                });
                found.whole.extend(renamed.or_else(|| rescued(spool, path)));
            }
            Some("tmp") => drop(fs::remove_file(path)), // a description that was cut off
            _ => {}
        }
    }
    found.whole.sort_by_key(|s| s.segment.starts_at);
    Ok(found)
}

/// The file with what stands in the description beside it.
fn described(file: &Path) -> Option<Spooled> {
    Some(Spooled { file: file.to_owned(), ..described_in(&file.with_extension("json"))? })
}

/// What stands in a description.
fn described_in(json: &Path) -> Option<Spooled> {
    let segment = serde_json::from_slice(&fs::read(json).ok()?).ok()?;
    Some(Spooled { segment, file: json.to_owned() })
}

/// A whole file out of one that was cut off.
pub(super) fn rescued(spool: &Path, part: &Path) -> Option<Spooled> {
    let name = part.file_stem()?.to_str()?;
    let mut words = name.split('_');
    let camera = words.next()?.parse().ok()?;
    let starts_at = Timestamp(words.next()?.parse().ok()?);
    match remux(spool, part, camera, starts_at) {
        Ok(spooled) => {
            let _ = fs::remove_file(part);
            let _ = fs::remove_file(part.with_extension("json"));
            spooled
        }
        Err(error) => {
            tracing::warn!(file = %part.display(), %error, "an unfinished recording was left as it is");
            None
        }
    }
}

fn remux(spool: &Path, part: &Path, camera: CameraId, starts_at: Timestamp) -> Result<Option<Spooled>, RecorderError> {
    let pipeline = Running(gst::Pipeline::new());
    let (source, demuxer) = (file_source(part)?, make("matroskademux")?);
    let sink = gst_app::AppSink::builder().sync(false).max_buffers(64).build();
    let bin: &gst::Bin = pipeline.0.upcast_ref();
    chain(bin, &[&source, &demuxer])?;
    bin.add(&sink).map_err(|_| RecorderError::GStreamer("GStreamer's appsink cannot be used".to_owned()))?;
    let weak = sink.downgrade();
    demuxer.connect_pad_added(move |_, pad| {
        if let Some(target) = weak.upgrade().and_then(|s| s.static_pad("sink")).filter(|t| !t.is_linked()) {
            let _ = pad.link(&target);
        }
    });
    let _ = pipeline.0.set_state(gst::State::Playing);
    let mut writer: Option<Writer> = None;
    let bus = pipeline.0.bus();
    loop {
        if let Some(sample) = sink.try_pull_sample(gst::ClockTime::from_mseconds(100)) {
            let (Some(buffer), Some(caps)) = (sample.buffer_owned(), sample.caps_owned()) else { continue };
            let Some(pts) = buffer.pts().map(Duration::from) else { continue };
            let packet = Packet { run: 0, caps, buffer, at: pts, captured_at: starts_at.plus(pts), offset: None };
            match &mut writer {
                Some(writer) => writer.write(&packet)?,
                None if packet.is_key() => {
                    writer.insert(Writer::begin(spool, camera, &packet)?).write(&packet)?;
                }
                None => {}
            }
            continue;
        }
        // A file that was cut off ends with an error or an end, after everything that is in it.
        let failed = bus.as_ref().is_some_and(|b| b.pop_filtered(&[gst::MessageType::Error]).is_some());
        if sink.is_eos() || failed {
            break;
        }
    }
    writer.map_or(Ok(None), Writer::finish)
}
