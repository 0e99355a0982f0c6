//! What happens when servers and the console itself are killed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // helpers of tests fail as tests do
mod servers;

use mongodb::bson::{Document, doc};
use sqlx::{Connection as _, Executor as _, PgConnection};
use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};
use uuid::Uuid;
use vigia::{
    model::{
        Action, ActionRecord, Camera, Clock as _, Decision, DetectionKind, DetectionRecord, Outcome, Rect, Sighting,
        Suspect, SystemClock, Timestamp, TrackId,
    },
    store::{Address, Addresses, DataFolder, DetectionFilter, LogFilter, StoreError, Stores, url_of_key},
    supervise::Supervisor,
    sync::{Delivery, Journal, Record},
};

/// The servers of the tests themselves: each keeps what it was told when it is killed, and comes back at the same address.
#[tokio::test]
async fn the_servers_come_back_with_their_data() {
    let postgres = servers::Postgres::start();
    let address = postgres.database();
    PgConnection::connect(&address).await.unwrap().execute("CREATE TABLE kept AS SELECT 7 AS n").await.unwrap();
    postgres.kill();
    assert!(PgConnection::connect(&address).await.is_err());
    postgres.restart();
    let mut db = PgConnection::connect(&address).await.unwrap();
    assert_eq!(sqlx::query_scalar::<_, i32>("SELECT n FROM kept").fetch_one(&mut db).await.unwrap(), 7);

    let mongo = servers::Mongo::start();
    let address = mongo.database();
    let kept = async |address: &str| mongodb::Client::with_uri_str(address).await.unwrap().default_database().unwrap();
    kept(&address).await.collection::<Document>("kept").insert_one(doc! { "n": 7 }).await.unwrap();
    mongo.kill();
    mongo.restart();
    let limited = mongo.restricted(&address, "kept");
    let kept = kept(&limited).await.collection::<Document>("kept");
    assert_eq!(kept.find_one(doc! {}).await.unwrap().unwrap().get_i32("n").unwrap(), 7);
    kept.insert_one(doc! { "n": 8 }).await.unwrap();
    assert!(kept.delete_one(doc! {}).await.is_err(), "the limited account may delete");

    let redis = servers::Redis::start();
    let told =
        async |address: &str| redis::Client::open(address).unwrap().get_multiplexed_async_connection().await.unwrap();
    redis::cmd("SET").arg("kept").arg(7).exec_async(&mut told(&redis.address()).await).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await; // it writes once a second
    redis.kill();
    redis.restart();
    let n: i32 = redis::cmd("GET").arg("kept").query_async(&mut told(&redis.address()).await).await.unwrap();
    assert_eq!(n, 7);
    let mut limited = told(&redis.restricted()).await;
    assert!(redis::cmd("FLUSHALL").exec_async(&mut limited).await.is_err(), "the limited account may flush");

    let s3 = servers::S3::start();
    s3.kill();
    s3.restart(); // returns when what it had is there
}

const CHILD: &str = "VIGIA_TEST_CONSOLE_TO_BE_KILLED";
/// How long records are written while servers and the console die.
const UNDER_FIRE: Duration = Duration::from_secs(16);
/// At most so long, until enough was accepted.
const PATIENCE: Duration = Duration::from_secs(90);
const SUSPECT: Uuid = Uuid::from_u128(1);
const CAMERA: Uuid = Uuid::from_u128(2);
const T0: i64 = 1_795_000_000_000_000;

/// Everything that one click records, all of it with the number of the click.
fn click(n: i64) -> Vec<Record> {
    let (id, at) = (Uuid::from_u128(1_000_000 + n as u128), Timestamp(T0 + n));
    let url = url_of_key(&key(n));
    let rect = Rect::new(1.0, 2.0, 30.0, 80.0);
    vec![
        Record::Object { key: key(n), content_type: "image/jpeg".to_owned(), bytes: bytes(n) },
        Record::Sighting(Sighting {
            id,
            suspect: SUSPECT,
            camera: CAMERA,
            track: TrackId(n as u64),
            entered_at: at,
            last_seen_at: at,
            left_at: None,
            probability: 0.5,
            decision: Decision::Pending,
            crop_url: url.clone(),
            rect,
        }),
        Record::Detection(DetectionRecord {
            id,
            camera: CAMERA,
            image_url: url,
            suspect_id: Some(SUSPECT),
            captured_at: at,
            metadata: serde_json::json!({ "click": n }),
            kinds: vec![DetectionKind::Suspect],
            detection_box: rect.polygon().to_vec(),
        }),
        Record::Action(ActionRecord {
            log_id: n,
            user_cc: "1".to_owned(),
            user_name: "Ana Sousa".to_owned(),
            action: Action::SelectSuspect,
            log_accessed: None,
            timestamp: at,
            outcome: Outcome::Succeeded,
            target: Some(id.to_string()),
            details: serde_json::Value::Null,
            link: None,
        }),
    ]
}

fn key(n: i64) -> String {
    format!("crops/{n}.jpg")
}

fn bytes(n: i64) -> Vec<u8> {
    n.to_be_bytes().repeat(500)
}

/// What all clicks are about.
fn marked() -> [Record; 2] {
    let now = SystemClock.now();
    [
        Record::Camera(Camera {
            id: CAMERA,
            name: "Gate".to_owned(),
            url: "test:".to_owned(),
            location: None,
            field_of_view: None,
            placed: false,
            added_at: Timestamp(T0),
            active: true,
            is_virtual: false,
            configured: false,
            version: 1,
        }),
        Record::Suspect(Suspect {
            id: SUSPECT,
            label: "Suspect 1".to_owned(),
            colour: [255, 176, 0],
            reason: "theft".to_owned(),
            marked_by: "1".to_owned(),
            marked_at: Timestamp(T0),
            camera: CAMERA,
            expires_at: now.plus(Duration::from_secs(3600)),
            ended_at: None,
            crop_url: String::new(),
            gallery: Vec::new(),
            characteristics: Default::default(),
            changed_at: now,
            proposed_until: None,
            resumed_at: None,
        }),
    ]
}

/// A console without its cameras and screen: stores, journal and delivery in one data folder.
struct Deliverer {
    journal: Journal,
    stores: Stores,
    delivery: Delivery,
    _folder: DataFolder,
}

impl Deliverer {
    async fn open(data: &Path, addresses: &Addresses) -> Result<Self, StoreError> {
        let folder = DataFolder::open(data).unwrap();
        let stores = Stores::open(&folder, addresses).await?;
        let journal = Journal::open(folder.journal(), Arc::new(SystemClock)).await.unwrap();
        let delivery = Delivery::spawn(journal.clone(), stores.clone(), Arc::new(SystemClock), &Supervisor::default());
        // A server that was away at the start is reached as soon as it is there.
        let late = stores.clone();
        tokio::spawn(async move {
            loop {
                late.reach().await;
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        });
        Ok(Self { journal, stores, delivery, _folder: folder })
    }
}

/// Only does something as a process of its own, started by the test below: clicks from a number on, each told when it is accepted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn console_to_be_killed() {
    let Some(task) = std::env::var_os(CHILD) else { return };
    let task = task.into_string().unwrap();
    let [data, first, users, cameras, log, objects, suspects] =
        task.split('\n').collect::<Vec<_>>().try_into().unwrap();
    let address = |text: &str| Some(Address::parse(text).unwrap());
    let addresses = Addresses {
        users: address(users),
        cameras: address(cameras),
        action_logs: address(log),
        objects: address(objects),
        suspects: address(suspects),
    };
    // A store that refuses while it starts or stops ends this process; the test starts another.
    let Ok(console) = Deliverer::open(Path::new(data), &addresses).await else { return };
    console.journal.append(&marked()).await.unwrap();
    for n in first.parse::<i64>().unwrap().. {
        console.journal.append(&click(n)).await.unwrap();
        let mut out = std::io::stdout();
        writeln!(out, "\naccepted {n}").unwrap();
        out.flush().unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Numbers that are the same for the same seed (SplitMix64, Steele, Lea & Flood 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }

    fn pause(&mut self, from: u64, to: u64) {
        std::thread::sleep(Duration::from_millis(from + self.below(to - from)));
    }
}

/// Clicks are recorded all the while every server is killed and started again, and the console itself is, at random moments (the seed is
/// told; `VIGIA_TEST_SEED` sets it). In the end every click that was accepted is in every store, once.
#[test]
fn under_load_and_fire_nothing_is_lost_and_nothing_doubled() {
    let seed = std::env::var("VIGIA_TEST_SEED").ok().and_then(|s| s.parse().ok());
    let seed = seed.unwrap_or_else(|| SystemClock.now().0.cast_unsigned());
    println!("VIGIA_TEST_SEED={seed}");
    let servers = std::thread::scope(|scope| {
        let postgres = scope.spawn(servers::Postgres::start);
        let mongo = scope.spawn(servers::Mongo::start);
        let s3 = scope.spawn(servers::S3::start);
        let redis = servers::Redis::start();
        (postgres.join().unwrap(), mongo.join().unwrap(), s3.join().unwrap(), redis)
    });
    let (postgres, mongo, s3, redis) = (&servers.0, &servers.1, &servers.2, &servers.3);
    let places = [postgres.database(), postgres.database(), mongo.database(), s3.prefix(), redis.namespace()];
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    let start = Instant::now();

    let mut accepted = BTreeSet::new();
    let mut consoles = 0;
    let deaths = std::thread::scope(|scope| {
        // Each on its own, so that several are away at once; every one at least once.
        let die = |n: u64, kill: &dyn Fn(), restart: &dyn Fn()| {
            let mut random = Random(seed.wrapping_add(n));
            let mut deaths = 0;
            while deaths == 0 || start.elapsed() < UNDER_FIRE {
                random.pause(300, 3000);
                kill();
                random.pause(100, 1500);
                restart();
                deaths += 1;
            }
            deaths
        };
        let servers = [
            scope.spawn(move || die(1, &|| postgres.kill(), &|| postgres.restart())),
            scope.spawn(move || die(2, &|| mongo.kill(), &|| mongo.restart())),
            scope.spawn(move || die(3, &|| s3.kill(), &|| s3.restart())),
            scope.spawn(move || die(4, &|| redis.kill(), &|| redis.restart())),
        ];
        let mut random = Random(seed);
        // On a machine with little time left it takes longer until there is something to count.
        while start.elapsed() < UNDER_FIRE || (start.elapsed() < PATIENCE && (accepted.len() <= 50 || consoles < 2)) {
            let first = accepted.last().map_or(1, |n| n + 10); // what was accepted last may not have been told
            let mut task = vec![data.to_str().unwrap().to_owned(), first.to_string()];
            task.extend(places.clone());
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["console_to_be_killed", "--exact", "--nocapture", "--test-threads=1"])
                .env(CHILD, task.join("\n"))
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
            let reader = scope
                .spawn(|| lines.filter_map(|l| l.strip_prefix("accepted ")?.parse::<i64>().ok()).collect::<Vec<_>>());
            random.pause(1000, 4000);
            child.kill().unwrap(); // SIGKILL
            child.wait().unwrap();
            let told = reader.join().unwrap();
            consoles += usize::from(!told.is_empty());
            accepted.extend(told);
        }
        servers.map(|server| server.join().unwrap())
    });
    println!("{} clicks accepted by {consoles} consoles; servers died {deaths:?} times", accepted.len());
    assert!(accepted.len() > 50 && consoles >= 2);

    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let [users, cameras, log, objects, suspects] = places.map(|text| Some(Address::parse(&text).unwrap()));
        let addresses = Addresses { users, cameras, action_logs: log, objects, suspects };
        let console = Deliverer::open(data, &addresses).await.unwrap();
        let patience = Instant::now();
        while !console.delivery.flush().await {
            assert!(patience.elapsed() < Duration::from_secs(60), "{:?}", console.delivery);
        }
        assert!(console.delivery.health().iter().all(|h| h.set_aside == 0), "{:?}", console.delivery);
        let Stores { cameras, actions, objects, suspects: state, .. } = &console.stores;

        // What had been accepted when the console was killed, but not told yet, may be there as well: as a whole.
        let log = actions.page(&LogFilter::default(), None, 1_000_000).await.unwrap();
        let clicks: BTreeSet<i64> = log.iter().map(|e| e.log_id).collect();
        assert_eq!(clicks.len(), log.len(), "an entry of the log is doubled");
        assert_eq!(accepted.difference(&clicks).count(), 0, "an entry of the log is lost");
        assert!(clicks.len() <= accepted.len() + consoles, "{} entries, {} accepted", clicks.len(), accepted.len());
        let mut verifier = vigia::audit::Verifier::new([]);
        let look = &mut |kept: vigia::model::KeptAction| {
            let entry = kept.entry.unwrap();
            verifier.entry(&entry);
            std::ops::ControlFlow::Continue(())
        };
        actions.each_chain(look).await.unwrap();
        let end = console.journal.chain().await.unwrap().0;
        verifier.own_end(end);
        verifier.ends_at(end);
        let (entries, findings) = verifier.finish();
        assert_eq!((entries, findings), (clicks.len() as u64, Vec::new()), "the chain of the log is broken");

        let expected: BTreeSet<Uuid> = clicks.iter().map(|n| Uuid::from_u128(1_000_000 + *n as u128)).collect();
        let once = |what: &str, ids: Vec<Uuid>| {
            let set: BTreeSet<Uuid> = ids.iter().copied().collect();
            assert_eq!(set.len(), ids.len(), "{what}: something is doubled");
            assert!(set == expected, "{what}: {} instead of {}", set.len(), expected.len());
        };
        let filter = DetectionFilter { limit: 1_000_000, ..DetectionFilter::default() };
        once("detections", cameras.detections(&filter).await.unwrap().iter().map(|d| d.id).collect());
        once("sightings", cameras.sightings(None, 1_000_000).await.unwrap().iter().map(|s| s.id).collect());
        once("stream", state.sightings(SUSPECT, 1_000_000).await.unwrap().iter().map(|s| s.id).collect());
        once("state", state.suspect(SUSPECT).await.unwrap().unwrap().open.iter().map(|s| s.id).collect());
        let mut stored = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = objects.list("crops/", after.as_deref(), 1000).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.key.clone());
            stored.extend(page.into_iter().map(|o| o.key));
        }
        let keys: BTreeSet<String> = clicks.iter().map(|n| key(*n)).collect();
        assert!(stored.len() == keys.len() && stored.into_iter().collect::<BTreeSet<_>>() == keys, "objects");
        for n in clicks.iter().step_by(7) {
            assert_eq!(objects.get(&key(*n)).await.unwrap(), Some(bytes(*n)), "picture {n}");
        }
    });
}
