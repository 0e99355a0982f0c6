//! What the stores cost: the embedded ones, and servers by their address. Servers are given databases, buckets and prefixes of their own to
//! fill: what is there already is left alone, and a database that has detections is refused.
use super::percentiles;
use crate::{
    follow::{FollowConfig, Follower, Observed},
    model::{
        Action, ActionRecord, Camera, Clock as _, Descriptor, DescriptorKind, Outcome, Rect, Suspect, SystemClock,
        Timestamp, Track, TrackId,
    },
    store::{ActionLog, Address, CameraStore, DetectionFilter, LogFilter, LogIds, ObjectStore, SuspectStore},
    sync::{Journal, Record},
};
use anyhow::bail;
use clap::Subcommand;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use uuid::Uuid;

/// Which store is measured.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// State of suspects: one suspect read whole, all of them, and how long until a change is heard elsewhere
    Suspects {
        /// `memory:` or `redis://…`
        #[arg(long, default_value = "memory:")]
        address: String,
        /// Suspects followed at once
        #[arg(long, default_value_t = 20)]
        suspects: usize,
        /// Reads of one
        #[arg(long, default_value_t = 10_000)]
        reads: usize,
    },
    /// The journal: batches of one and of ten records, each on the disk before the next
    Journal {
        /// Records of each kind of batch
        #[arg(long, default_value_t = 2000)]
        records: usize,
    },
    /// A page of one camera and day out of many detections
    Detections {
        /// An empty PostgreSQL database; an SQLite file is made and deleted without it
        #[arg(long)]
        address: Option<String>,
        /// Rows, of twenty cameras in thirty days
        #[arg(long, default_value_t = 1_000_000)]
        rows: u64,
        /// Pages
        #[arg(long, default_value_t = 300)]
        pages: usize,
    },
    /// Entries of the action log, one after the other; then many more at once, and pages through all of them
    Audit {
        /// `mongodb://…`; an SQLite file is made and deleted without it
        #[arg(long)]
        address: Option<String>,
        /// Entries
        #[arg(long, default_value_t = 2000)]
        entries: usize,
        /// Entries in the log while pages are read
        #[arg(long, default_value_t = 100_000)]
        log: usize,
    },
    /// Objects put and got: many pictures of 100 kB, and one file of 64 MB
    Objects {
        /// `s3://…`; a folder is made and deleted without it
        #[arg(long)]
        address: Option<String>,
        /// Pictures
        #[arg(long, default_value_t = 200)]
        pictures: usize,
    },
}

pub(super) fn run(command: &Command) -> anyhow::Result<Value> {
    super::in_a_folder(|folder| {
        tokio::runtime::Runtime::new()?.block_on(async {
            match command {
                Command::Suspects { address, suspects, reads } => suspects_bench(address, *suspects, *reads).await,
                Command::Journal { records } => journal(folder, *records).await,
                Command::Detections { address, rows, pages } => {
                    detections(folder, address.as_deref(), *rows, *pages).await
                }
                Command::Audit { address, entries, log } => audit(folder, address.as_deref(), *entries, *log).await,
                Command::Objects { address, pictures } => objects(folder, address.as_deref(), *pictures).await,
            }
        })
    })
}

/// The address that was given, or the embedded store in `folder`.
fn at(address: Option<&str>, embedded: Address) -> anyhow::Result<Address> {
    Ok(address.map(Address::parse).transpose()?.unwrap_or(embedded))
}

/// A suspect with a full gallery of learned vectors (12 of 256 numbers).
fn suspect(i: usize) -> Suspect {
    let now = SystemClock.now();
    let vector = |k: usize| (0..256).map(|j| (((i * 31 + k * 7 + j) % 97) as f32 / 97.0 - 0.5) / 8.0).collect();
    Suspect {
        id: Uuid::now_v7(),
        label: format!("Suspect {i}"),
        colour: [255, 176, 0],
        reason: "bench".to_owned(),
        marked_by: "1".to_owned(),
        marked_at: now,
        camera: Uuid::nil(),
        expires_at: now.plus(Duration::from_secs(600)),
        ended_at: None,
        crop_url: String::new(),
        gallery: (0..12).map(|k| Descriptor { kind: DescriptorKind::Learned, vector: vector(k) }).collect(),
        characteristics: Default::default(),
        changed_at: now,
        proposed_until: None,
        resumed_at: None,
    }
}

async fn suspects_bench(address: &str, count: usize, reads: usize) -> anyhow::Result<Value> {
    let address = Address::parse(address)?;
    let (store, elsewhere) = (SuspectStore::connect(&address)?, SuspectStore::connect(&address)?);
    let suspects: Vec<Suspect> = (0..count).map(suspect).collect();
    for suspect in &suspects {
        store.put_suspect(suspect).await?;
    }
    let (mut one, mut all) = (Vec::new(), Vec::new());
    for suspect in suspects.iter().cycle().take(reads) {
        let start = Instant::now();
        let read = store.suspect(suspect.id).await?;
        one.push(start.elapsed());
        if read.is_none_or(|r| r.suspect != *suspect) {
            bail!("a suspect was read wrongly");
        }
    }
    for _ in 0..(reads / 50).max(1) {
        let start = Instant::now();
        store.suspects().await?;
        all.push(start.elapsed());
    }
    let own = own_copy(&suspects, reads);
    // in memory there is no elsewhere
    let mut listener = if store.is_shared() { elsewhere.listen() } else { store.listen() };
    listener.next().await?;
    let mut heard = Vec::new();
    for suspect in suspects.iter().cycle().take(200) {
        let mut changed = suspect.clone();
        changed.touch(SystemClock.now());
        let start = Instant::now();
        store.put_suspect(&changed).await?;
        while listener.next().await?.changes.is_empty() {}
        heard.push(start.elapsed());
    }
    Ok(json!({
        "bench": "suspects", "store": address.to_string(), "suspects": count, "reads": reads,
        "tracker_step_on_own_copy_ms": percentiles(own), "one_ms": percentiles(one), "all_ms": percentiles(all), "put_until_heard_ms": percentiles(heard),
    }))
}

/// What the tracker does with the state, on its own copy: eight tracks of one frame against all suspects.
fn own_copy(suspects: &[Suspect], steps: usize) -> Vec<Duration> {
    let mut follower = Follower::new(FollowConfig::default(), |id| id.to_string());
    suspects.iter().for_each(|s| follower.follow(s.clone()));
    let looks: Vec<Descriptor> = (1000..1008).filter_map(|i| suspect(i).gallery.pop()).collect();
    let mut step = |n: usize| {
        let at = Timestamp(FIRST_DAY).plus(Duration::from_millis(100) * u32::try_from(n).unwrap_or(u32::MAX));
        let tracks: Vec<Track> = (0..looks.len() as u64)
            .map(|i| Track {
                id: TrackId(i),
                rect: Rect::new(100.0 * i as f32, 50.0, 60.0, 160.0),
                velocity: [0.0; 2],
                at,
                measured_at: at,
                first_seen: Timestamp(FIRST_DAY),
                score: 0.9,
                hits: 9,
            })
            .collect();
        let seen =
            tracks.iter().zip(&looks).map(|(track, look)| Observed { track, descriptor: Some(look), stands: true });
        let observed: Vec<_> = seen.collect();
        let start = Instant::now();
        follower.observe(Uuid::nil(), at, &observed);
        follower.matches(Uuid::nil());
        start.elapsed()
    };
    (0..steps).map(&mut step).collect()
}

fn entry(log_id: i64) -> ActionRecord {
    ActionRecord {
        log_id,
        user_cc: "1".to_owned(),
        user_name: "Bench".to_owned(),
        action: Action::SelectSuspect,
        log_accessed: None,
        timestamp: SystemClock.now(),
        outcome: Outcome::Succeeded,
        target: Some(Uuid::now_v7().to_string()),
        details: json!({ "camera": "Gate", "reason": "bench" }),
        link: None,
    }
}

async fn journal(folder: &Path, records: usize) -> anyhow::Result<Value> {
    let journal = Journal::open(folder.join("journal.sqlite"), Arc::new(SystemClock)).await?;
    let mut result = json!({ "bench": "journal", "records": records });
    let mut log_id = 0;
    for (batch, name) in [(1, "one_by_one"), (10, "by_ten")] {
        let mut times = Vec::new();
        let start = Instant::now();
        for _ in 0..records / batch {
            let entries: Vec<Record> = (0..batch)
                .map(|_| {
                    log_id += 1;
                    Record::Action(entry(log_id))
                })
                .collect();
            let began = Instant::now();
            journal.append(&entries).await?;
            times.push(began.elapsed());
        }
        let per_second = records as f64 / start.elapsed().as_secs_f64();
        if let Some(result) = result.as_object_mut() {
            result.insert(name.to_owned(), json!({ "records_per_s": per_second, "append_ms": percentiles(times) }));
        }
    }
    Ok(result)
}

async fn audit(folder: &Path, address: Option<&str>, entries: usize, many: usize) -> anyhow::Result<Value> {
    let address = at(address, Address::sqlite(&folder.join("actions.sqlite")))?;
    let log = ActionLog::connect(&address).await?;
    let console = Uuid::new_v4();
    let ids = LogIds::new(log.claim(console).await?, Arc::new(SystemClock), log.newest_id().await?);
    let mut head = crate::audit::Head::new(console);
    let mut times = Vec::new();
    let start = Instant::now();
    for _ in 0..entries {
        let entry = entry(ids.next_id());
        let entry = ActionRecord { link: Some(head.link(&entry)), ..entry };
        let began = Instant::now();
        log.append(&entry).await?;
        times.push(began.elapsed());
    }
    let per_second = entries as f64 / start.elapsed().as_secs_f64();
    let mut there = entries;
    while there < many {
        let batch: Vec<ActionRecord> = (0..1000)
            .map(|n| {
                let entry = ActionRecord { user_cc: (n % 10).to_string(), ..entry(ids.next_id()) };
                ActionRecord { link: Some(head.link(&entry)), ..entry }
            })
            .collect();
        log.append_all(&batch).await?;
        there += batch.len();
    }
    let one = LogFilter { user: Some("7".to_owned()), ..LogFilter::default() };
    let (all, read) = pages(&log, &LogFilter::default()).await?;
    let (filtered, _) = pages(&log, &one).await?;
    Ok(json!({
        "bench": "audit", "store": name(&address), "entries": entries, "appends_per_s": per_second,
        "append_ms": percentiles(times), "log": read, "page": LOG_PAGE, "page_ms": percentiles(all),
        "page_of_one_user_ms": percentiles(filtered),
    }))
}

/// Entries of one page on screen.
const LOG_PAGE: u32 = 500;

/// The time of each page from the newest entry to the oldest, and how many entries there were.
async fn pages(log: &ActionLog, filter: &LogFilter) -> anyhow::Result<(Vec<Duration>, usize)> {
    let (mut times, mut read, mut before) = (Vec::new(), 0, None);
    loop {
        let start = Instant::now();
        let page = log.read(filter, before.as_ref(), LOG_PAGE).await?;
        times.push(start.elapsed());
        read += page.entries.len();
        before = page.older;
        if before.is_none() {
            return Ok((times, read));
        }
    }
}

async fn objects(folder: &Path, address: Option<&str>, pictures: usize) -> anyhow::Result<Value> {
    const PICTURE: usize = 100_000;
    const FILE: usize = 64 << 20;
    let address = at(address, Address::folder(&folder.join("objects")))?;
    let store = ObjectStore::connect(&address).await?;
    let prefix = format!("bench/{}", Uuid::new_v4().simple());
    // incompressible, in case somebody compresses
    let mut seed = 1_u64;
    let mut noise = |length: usize| -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            seed ^= seed << 13; // xorshift64 (Marsaglia 2003)
            seed ^= seed >> 7;
            seed ^= seed << 17;
            bytes.extend(seed.to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    };
    let picture = noise(PICTURE);
    let key = |i: usize| format!("{prefix}/{i}.jpg");
    let (mut put, mut get) = (Vec::new(), Vec::new());
    for i in 0..pictures {
        let start = Instant::now();
        store.put(&key(i), picture.clone(), "image/jpeg").await?;
        put.push(start.elapsed());
    }
    for i in 0..pictures {
        let start = Instant::now();
        let read = store.get(&key(i)).await?;
        get.push(start.elapsed());
        if read.as_ref() != Some(&picture) {
            bail!("a picture was read wrongly");
        }
    }
    let (file, back): (PathBuf, PathBuf) = (folder.join("video.mkv"), folder.join("back.mkv"));
    std::fs::write(&file, noise(FILE))?;
    let video = format!("{prefix}/video.mkv");
    let start = Instant::now();
    store.put_file(&video, &file, &|_| {}).await?;
    let put_file = start.elapsed();
    let start = Instant::now();
    store.get_to_file(&video, &back).await?;
    let get_file = start.elapsed();
    for i in 0..pictures {
        store.delete(&key(i)).await?;
    }
    store.delete(&video).await?;
    let rate = |bytes: usize, times: &[Duration]| bytes as f64 / 1e6 / times.iter().sum::<Duration>().as_secs_f64();
    Ok(json!({
        "bench": "objects", "store": name(&address), "pictures": pictures, "picture_bytes": PICTURE, "file_bytes": FILE,
        "put_mb_s": rate(PICTURE * pictures, &put), "get_mb_s": rate(PICTURE * pictures, &get),
        "put_file_mb_s": rate(FILE, &[put_file]), "get_file_mb_s": rate(FILE, &[get_file]),
        "put_ms": percentiles(put), "get_ms": percentiles(get),
    }))
}

pub(super) const CAMERAS: u64 = 20;
pub(super) const DAYS: u64 = 30;
/// 2026-10-01T00:00:00Z
pub(super) const FIRST_DAY: i64 = 1_790_812_800_000_000;
pub(super) const DAY: Duration = Duration::from_secs(86_400);

async fn detections(folder: &Path, address: Option<&str>, rows: u64, pages: usize) -> anyhow::Result<Value> {
    let address = at(address, Address::sqlite(&folder.join("cameras.sqlite")))?;
    let store = CameraStore::connect(&address).await?;
    if !store.detections(&DetectionFilter { limit: 1, ..DetectionFilter::default() }).await?.is_empty() {
        bail!("{address} has detections already: give a database of its own");
    }
    put_cameras(&store).await?;
    let filled = Instant::now();
    fill(&address, rows).await?;
    let fill_s = filled.elapsed().as_secs_f64();
    let (mut times, mut read) = (Vec::new(), 0);
    for i in 0..pages as u64 {
        // camera and day far from those before
        let (camera, day) = (i * 7 % CAMERAS, i * 11 % DAYS);
        let from = Timestamp(FIRST_DAY).plus(DAY * u32::try_from(day)?);
        let filter = DetectionFilter {
            camera: Some(camera_id(camera)),
            from: Some(from),
            until: Some(from.plus(DAY)),
            limit: 100,
            ..DetectionFilter::default()
        };
        let start = Instant::now();
        read += store.detections(&filter).await?.len();
        times.push(start.elapsed());
    }
    Ok(json!({
        "bench": "detections", "store": name(&address), "rows": rows, "fill_s": fill_s, "pages": pages,
        "rows_a_page": read as f64 / pages.max(1) as f64, "page_ms": percentiles(times),
    }))
}

/// Registers the cameras that the rows are of.
pub(super) async fn put_cameras(store: &CameraStore) -> anyhow::Result<()> {
    for i in 0..CAMERAS {
        let camera = Camera {
            id: camera_id(i),
            name: format!("Bench {i}"),
            url: "test:".to_owned(),
            location: None,
            field_of_view: None,
            placed: false,
            added_at: Timestamp(FIRST_DAY),
            active: false,
            is_virtual: false,
            configured: false,
            version: 1,
        };
        store.upsert_camera(&camera).await?;
    }
    Ok(())
}

/// The identity of a camera by its number.
pub(super) fn camera_id(i: u64) -> Uuid {
    Uuid::from_u128(u128::from(i) + 1)
}

/// Rows in the order of time, camera after camera, as a site writes them; their identities grow as UUIDs of version 7 do.
pub(super) async fn fill(address: &Address, rows: u64) -> anyhow::Result<()> {
    let step = (DAYS * DAY.as_secs() * 1000 / rows.max(1)).max(1); // ms
    let first = FIRST_DAY / 1_000_000;
    // In parts: the log of one transaction that wrote everything would be as large as the database.
    let parts = (0..rows).step_by(500_000).map(|from| (from, (from + 500_000).min(rows)));
    if let Some(path) = address.path() {
        let mut db = SqliteConnection::connect(&format!("sqlite:{}", path.display())).await?;
        for (from, to) in parts {
            let insert = format!(
                "WITH RECURSIVE n(i) AS (SELECT {from} UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {to})
                 INSERT INTO detections (id, camera, image_url, suspect_id, captured_at, metadata, type, detection_box)
                 SELECT printf('%08x-%04x-7000-8000-%012x', i / 65536, i % 65536, i),
                     printf('00000000-0000-0000-0000-%012x', i % {CAMERAS} + 1), 'objects:frames/bench.jpg', NULL,
                     strftime('%Y-%m-%dT%H:%M:%f', {first} + i * {step} / 1000.0, 'unixepoch') || '000Z',
                     '{{\"score\":0.5}}', '[\"Knife\"]', '[[1.0,2.0],[3.0,2.0],[3.0,4.0],[1.0,4.0]]' FROM n"
            );
            sqlx::query(AssertSqlSafe(insert)).execute(&mut db).await?;
        }
        sqlx::query("ANALYZE").execute(&mut db).await?;
    } else {
        let mut db = PgConnection::connect(address.secret()).await?;
        for (from, to) in parts {
            let insert = format!(
                "INSERT INTO detections (id, camera, image_url, suspect_id, captured_at, metadata, type, detection_box)
                 SELECT (lpad(to_hex(i / 65536), 8, '0') || lpad(to_hex(i % 65536), 4, '0') || '70008000' || lpad(to_hex(i), 12, '0'))::uuid,
                     lpad(to_hex(i % {CAMERAS} + 1), 32, '0')::uuid, 'objects:frames/bench.jpg', NULL,
                     to_timestamp({first} + i * {step} / 1000.0), '{{\"score\":0.5}}', '[\"Knife\"]',
                     '((1,2),(3,2),(3,4),(1,4))' FROM generate_series({from}::bigint, {to} - 1) AS i"
            );
            sqlx::query(AssertSqlSafe(insert)).execute(&mut db).await?;
        }
        sqlx::query("ANALYZE detections").execute(&mut db).await?;
    }
    Ok(())
}

/// The kind of an embedded store, the place of a server.
pub(super) fn name(address: &Address) -> String {
    if address.path().is_some() { address.scheme().to_owned() } else { address.to_string() }
}
