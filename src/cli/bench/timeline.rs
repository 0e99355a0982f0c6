//! The timeline at every zoom over a full cameras database: what reading it costs, and what a frame of it costs to draw.
use super::{
    percentiles,
    stores::{CAMERAS, DAY, DAYS, FIRST_DAY, camera_id, fill, name, put_cameras},
};
use crate::{
    model::Timestamp,
    site::Timeline,
    store::{Address, CameraStore, Clothes, DetectionFilter},
    ui,
};
use anyhow::bail;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// What is on screen, hours.
const ZOOMS: [(&str, f64); 8] = [
    ("10 min", 1.0 / 6.0),
    ("1 h", 1.0),
    ("6 h", 6.0),
    ("1 d", 24.0),
    ("3 d", 72.0),
    ("7 d", 168.0),
    ("30 d", 720.0),
    ("60 d", 1440.0),
];
/// One in so many files has a hole before it.
const HOLE_EVERY: u64 = 50;

/// Fills an empty database with so many detections and files of twenty cameras in thirty days, and reads and draws it.
///
/// # Errors
/// The store's or the graphics' trouble, or a database that is not empty.
pub(super) fn measure(address: Option<&str>, rows: u64, segments: u64, reads: usize) -> anyhow::Result<Value> {
    super::in_a_folder(|folder| {
        let embedded = Address::sqlite(&folder.join("cameras.sqlite"));
        let address = address.map(Address::parse).transpose()?.unwrap_or(embedded);
        tokio::runtime::Runtime::new()?.block_on(zooms(&address, rows, segments, reads))
    })
}

async fn zooms(address: &Address, rows: u64, segments: u64, reads: usize) -> anyhow::Result<Value> {
    let store = CameraStore::connect(address).await?;
    if !store.detections(&DetectionFilter { limit: 1, ..DetectionFilter::default() }).await?.is_empty() {
        bail!("{address} has detections already: give a database of its own");
    }
    put_cameras(&store).await?;
    let filled = Instant::now();
    fill(address, rows).await?;
    let files = record(address, segments).await?;
    let fill_s = filled.elapsed().as_secs_f64();
    let cameras: Vec<Uuid> = (0..CAMERAS).map(camera_id).collect();
    let end = Timestamp(FIRST_DAY).plus(DAY * u32::try_from(DAYS)?);
    let mut found = Vec::new();
    for (zoom, hours) in ZOOMS {
        let span = Duration::from_secs_f64(hours * 3600.0);
        let (mut times, mut newest) = (Vec::new(), Timeline::default());
        for i in 0..reads as u64 {
            // places far from those before, as somebody who jumps through a month
            let until = end.minus((DAY * u32::try_from(DAYS)?).mul_f64((i * 7919 % 1000) as f64 / 1000.0));
            let begun = Instant::now();
            // as the screen asks: half a screen more on both sides
            newest =
                Timeline::read(&store, &cameras, until.minus(span * 3 / 2), until.plus(span / 2), Clothes::default())
                    .await?;
            times.push(begun.elapsed());
        }
        let (counts, coverage) = (newest.counts.len(), newest.coverage.len());
        let frames = ui::bench::timeline(newest, CAMERAS as usize, reads);
        found.push(json!({
            "zoom": zoom, "counts": counts, "stretches_of_video": coverage,
            "read_ms": percentiles(times), "draw_ms": percentiles(frames),
        }));
    }
    Ok(json!({
        "bench": "timeline", "store": name(address), "detections": rows, "files": files, "cameras": CAMERAS,
        "days": DAYS, "fill_s": fill_s, "zooms": found,
    }))
}

/// Files of all cameras, one after the other, with a hole now and then; and the coverage that a store keeps of them as they come.
async fn record(address: &Address, segments: u64) -> anyhow::Result<u64> {
    let each = (segments / CAMERAS).max(1);
    let length = i64::try_from(DAYS * DAY.as_secs() * 1_000_000 / each)?;
    let hole = length / 4;
    let first = FIRST_DAY;
    let numbers = |table: &str| {
        format!(
            "SELECT c.i AS c, s.i AS s FROM (SELECT i FROM {table} WHERE i < {CAMERAS}) AS c CROSS JOIN {table} AS s WHERE s.i < {each}"
        )
    };
    let starts = format!("({first} + s * {length} + CASE WHEN s % {HOLE_EVERY} = 0 THEN {hole} ELSE 0 END)");
    let ends = format!("({first} + (s + 1) * {length})");
    let coverage = |camera: &str| {
        format!(
            "INSERT INTO coverage (camera, starts_at, ends_at)
             SELECT {camera}, {first} + h * {HOLE_EVERY} * {length} + {hole},
             {first} + CASE WHEN (h + 1) * {HOLE_EVERY} < {each} THEN (h + 1) * {HOLE_EVERY} ELSE {each} END * {length}
             FROM (SELECT c.i AS c, s.i AS h FROM (SELECT i FROM n WHERE i < {CAMERAS}) AS c CROSS JOIN n AS s
             WHERE s.i * {HOLE_EVERY} < {each}) AS holes"
        )
    };
    if let Some(path) = address.path() {
        let mut db = SqliteConnection::connect(&format!("sqlite:{}", path.display())).await?;
        let camera = "printf('00000000-0000-0000-0000-%012x', c + 1)";
        let instant = |us: &str| {
            format!("strftime('%Y-%m-%dT%H:%M:%S', {us} / 1000000, 'unixepoch') || printf('.%06dZ', {us} % 1000000)")
        };
        let n = format!(
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {})",
            each.max(CAMERAS)
        );
        let insert = format!(
            "{n} INSERT INTO segments (id, camera, starts_at, ends_at, video_url, format, codec, width, height, size, sha256)
             SELECT printf('%08x-0000-7000-9000-%012x', c, s), {camera}, {}, {}, 'objects:bench.mkv', 'matroska', 'h264', 1280, 720, 1, ''
             FROM ({})",
            instant(&starts),
            instant(&ends),
            numbers("n")
        );
        sqlx::query(AssertSqlSafe(insert)).execute(&mut db).await?;
        sqlx::query(AssertSqlSafe(format!("{n} {}", coverage(camera)))).execute(&mut db).await?;
        sqlx::query("ANALYZE").execute(&mut db).await?;
    } else {
        let mut db = PgConnection::connect(address.secret()).await?;
        let camera = "lpad(to_hex(c + 1), 32, '0')::uuid";
        let n = format!("WITH n AS (SELECT i FROM generate_series(0::bigint, {}) AS i)", each.max(CAMERAS) - 1);
        let instant = |us: &str| format!("to_timestamp({us} / 1000000.0)");
        let insert = format!(
            "{n} INSERT INTO segments (id, camera, starts_at, ends_at, video_url, format, codec, width, height, size, sha256)
             SELECT (lpad(to_hex(c), 8, '0') || '000070009000' || lpad(to_hex(s), 12, '0'))::uuid, {camera}, {}, {},
             'objects:bench.mkv', 'matroska', 'h264', 1280, 720, 1, '' FROM ({}) AS numbers",
            instant(&starts),
            instant(&ends),
            numbers("n")
        );
        sqlx::query(AssertSqlSafe(insert)).execute(&mut db).await?;
        sqlx::query(AssertSqlSafe(format!("{n} {}", coverage(camera)))).execute(&mut db).await?;
        sqlx::query("ANALYZE").execute(&mut db).await?;
    }
    Ok(each * CAMERAS)
}
