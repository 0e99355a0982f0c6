//! Exporting evidence, against a plain copy of the same recorded files on the same disk.
use crate::{
    model::{
        Camera, CameraId, Characteristics, Decision, Rect, Segment, Sighting, Suspect, SystemClock, Timestamp, TrackId,
    },
    site::{ExportOf, ExportRequest, Office, SiteConfig},
    store::{Addresses, DataFolder, Stores, url_of_key},
    vision::sha256_of,
};
use anyhow::{Context as _, bail};
use gstreamer::{self as gst, prelude::*};
use serde_json::json;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use uuid::Uuid;

/// 2026-11-22T14:03:22Z
const T0: Timestamp = Timestamp(1_795_356_202_000_000);
/// Of one recorded file, as a site records them.
const SECONDS: u32 = 20;

/// One stay over `segments` recorded files of 20 s (720p, H.264, 4 Mbit/s), exported and copied in turns.
pub(super) fn measure(segments: u32, rounds: u32) -> anyhow::Result<serde_json::Value> {
    super::in_a_folder(|folder| measure_in(folder, segments, rounds))
}

fn measure_in(folder: &Path, segments: u32, rounds: u32) -> anyhow::Result<serde_json::Value> {
    let data = folder.join("data");
    let (suspect, files) = site(&data, segments)?;
    let bytes: u64 = files.iter().map(|f| fs::metadata(f).map_or(0, |m| m.len())).sum();
    let office = Office::open(&SiteConfig::default(), &data, Arc::new(SystemClock))?;
    let (mut exports, mut copies) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let to = folder.join(format!("copy-{round}"));
        fs::create_dir(&to)?;
        let begun = Instant::now();
        for (number, file) in files.iter().enumerate() {
            let copy = to.join(format!("{number}.mkv"));
            fs::copy(file, &copy)?;
            File::open(&copy)?.sync_all()?;
        }
        copies.push(begun.elapsed());
        fs::remove_dir_all(&to)?;
        let request = ExportRequest {
            of: ExportOf::Suspect(suspect),
            to: folder.join(format!("package-{round}.zip")),
            reason: "bench".to_owned(),
            recipient: "bench".to_owned(),
            case: None,
            pending: false,
            burn_in: false,
            margin: Duration::ZERO,
        };
        let begun = Instant::now();
        let done = office.export_evidence(&request, Arc::new(|_, _| true))?;
        exports.push(begun.elapsed());
        if !done.manifest.missing.is_empty() || done.bytes < bytes * 9 / 10 {
            bail!("the package does not hold the recorded video: {} of {bytes} bytes", done.bytes);
        }
        fs::remove_file(&request.to)?;
    }
    let best = |times: &[Duration]| bytes as f64 / 1e6 / times.iter().min().map_or(f64::MAX, Duration::as_secs_f64);
    let (export, copy) = (best(&exports), best(&copies));
    Ok(json!({
        "bench": "export", "files": segments, "mb": bytes as f64 / 1e6, "rounds": rounds,
        "export_mb_s": export, "copy_mb_s": copy, "export_of_copy": export / copy,
    }))
}

/// A data folder in which a suspect was in one camera's view all the time; returns the recorded files.
fn site(data: &Path, segments: u32) -> anyhow::Result<(Uuid, Vec<PathBuf>)> {
    let video = data.with_extension("mkv");
    record(&video)?;
    let sha256 = sha256_of(&video)?;
    let folder = DataFolder::open(data)?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let stores = Stores::open(&folder, &Addresses::default()).await?;
        let camera = Camera {
            id: CameraId::from_u128(1),
            name: "Gate".to_owned(),
            url: "test:".to_owned(),
            location: None,
            field_of_view: None,
            placed: false,
            added_at: T0,
            active: false,
            is_virtual: true,
            configured: false,
            version: 1,
        };
        let until = T0.plus(Duration::from_secs(u64::from(segments * SECONDS)));
        let suspect = Suspect {
            id: Uuid::from_u128(7),
            label: "Suspect 1".to_owned(),
            colour: [255, 176, 0],
            reason: "bench".to_owned(),
            marked_by: "bench".to_owned(),
            marked_at: T0,
            camera: camera.id,
            expires_at: until,
            ended_at: None,
            crop_url: String::new(),
            gallery: Vec::new(),
            characteristics: Characteristics::default(),
            changed_at: T0,
            proposed_until: None,
            resumed_at: None,
        };
        let sighting = Sighting {
            id: Uuid::from_u128(9),
            suspect: suspect.id,
            camera: camera.id,
            track: TrackId(1),
            entered_at: T0,
            last_seen_at: until,
            left_at: Some(until),
            probability: 1.0,
            decision: Decision::Origin,
            crop_url: String::new(),
            rect: Rect::new(0.0, 0.0, 10.0, 20.0),
        };
        stores.cameras.upsert_camera(&camera).await?;
        stores.cameras.put_suspect(&suspect).await?;
        stores.cameras.put_sighting(&sighting).await?;
        let mut files = Vec::new();
        for n in 0..segments {
            let key = format!("videos/{n}.mkv");
            stores.objects.put_file(&key, &video, &|_| ()).await?;
            let starts_at = T0.plus(Duration::from_secs(u64::from(n * SECONDS)));
            let segment = Segment {
                id: Uuid::from_u128(100 + u128::from(n)),
                camera: camera.id,
                starts_at,
                ends_at: starts_at.plus(Duration::from_secs(u64::from(SECONDS))),
                video_url: url_of_key(&key),
                format: "matroska".to_owned(),
                codec: "h264".to_owned(),
                width: 1280,
                height: 720,
                size: fs::metadata(&video)?.len(),
                sha256: sha256.clone(),
                upload: None,
                clock_offset: None,
            };
            stores.cameras.put_segment(&segment).await?;
            files.push(stores.objects.local_file(&key).context("the objects are not on this disk")?);
        }
        Ok((suspect.id, files))
    })
}

fn record(to: &Path) -> anyhow::Result<()> {
    crate::video::init()?;
    let pipeline = gst::parse::launch(&format!(
        "videotestsrc num-buffers={} pattern=ball ! video/x-raw,format=I420,width=1280,height=720,framerate=25/1 \
         ! x264enc speed-preset=ultrafast pass=cbr bitrate=4000 key-int-max=50 option-string=nal-hrd=cbr:filler=1 ! h264parse \
         ! matroskamux ! filesink location=\"{}\"",
        25 * SECONDS,
        to.display()
    ))?;
    pipeline.set_state(gst::State::Playing)?;
    let bus = pipeline.bus().context("no bus")?;
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let end = bus.timed_pop_filtered(gst::ClockTime::from_seconds(300), &ends);
    pipeline.set_state(gst::State::Null)?;
    match end.as_ref().map(|m| m.view()) {
        Some(gst::MessageView::Eos(_)) => Ok(()),
        Some(gst::MessageView::Error(error)) => bail!("the video could not be made: {}", error.error()),
        _ => bail!("the video could not be made"),
    }
}
