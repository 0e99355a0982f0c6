//! What every backend does, against a real server where it is one.
use super::*;
use crate::{
    model::{Clock as _, Decision, Descriptor, DescriptorKind, SystemClock},
    servers,
    store::cameras::tests as examples,
};
use std::time::Instant;

/// A state of its own, and how to empty it.
struct Fresh {
    store: SuspectStore,
    server: Option<servers::Redis>,
}

impl Fresh {
    async fn empty(&self) {
        match (&self.store.0, &self.server) {
            (Backend::Memory(memory), _) => memory.flush(),
            (_, Some(server)) => server.flush(),
            (Backend::Redis(_), None) => unreachable!("it shares its server with other tests"),
        }
    }

    /// The same state as another console sees it.
    fn elsewhere(&self) -> SuspectStore {
        match &self.store.0 {
            Backend::Memory(_) => self.store.clone(),
            Backend::Redis(redis) => SuspectStore(Backend::Redis(redis.again())),
        }
    }
}

fn at(address: &str) -> SuspectStore {
    SuspectStore::connect(&Address::parse(address).unwrap()).unwrap()
}

fn backends() -> [Fresh; 3] {
    [
        Fresh { store: at("memory:"), server: None },
        Fresh { store: at(&servers::redis().namespace()), server: None },
        Fresh { store: at(&servers::redis().restricted()), server: None },
    ]
}

fn suspect(label: &str) -> Suspect {
    let now = SystemClock.now();
    Suspect {
        marked_at: now,
        changed_at: now,
        proposed_until: None,
        resumed_at: None,
        expires_at: now.plus(Duration::from_secs(3600)),
        ..examples::suspect(Uuid::new_v4(), label)
    }
}

fn sighting(suspect: &Suspect) -> Sighting {
    let now = SystemClock.now();
    Sighting { entered_at: now, last_seen_at: now, ..examples::sighting(suspect) }
}

async fn next(listener: &mut Listener, count: usize) -> Vec<Change> {
    let start = Instant::now();
    let mut heard = Vec::new();
    while heard.len() < count {
        heard.extend(listener.next().await.unwrap().changes);
        assert!(start.elapsed() < Duration::from_secs(20), "heard only {heard:?}");
    }
    heard
}

#[tokio::test]
async fn a_suspect_is_kept_with_gallery_place_and_open_sightings_and_every_console_hears_of_it() {
    for fresh in backends() {
        let (store, elsewhere) = (&fresh.store, fresh.elsewhere());
        let mut listener = elsewhere.listen();
        assert!(listener.next().await.unwrap().changes.is_empty());
        let mut marked = suspect("Suspect 1");
        marked.gallery.push(Descriptor { kind: DescriptorKind::Learned, vector: [0.6, 0.8].into() });
        let first = sighting(&marked);
        store.put_suspect(&marked).await.unwrap();
        store.put_sighting(&first).await.unwrap();
        let here = elsewhere.suspect(marked.id).await.unwrap().unwrap();
        assert_eq!(here.suspect, marked, "every vector of the gallery, to the bit");
        assert_eq!(here.last_seen, (first.camera, first.last_seen_at));
        assert_eq!(here.open, std::slice::from_ref(&first));
        let told = [Change::Suspect(marked.clone()), Change::Sighting(first.clone())];
        assert_eq!(next(&mut listener, 2).await, told);

        // seen by another camera, later; then it leaves
        let camera = Uuid::new_v4();
        let later = first.last_seen_at.plus(Duration::from_secs(30));
        let second = Sighting { id: Uuid::new_v4(), camera, last_seen_at: later, ..first.clone() };
        store.put_sighting(&second).await.unwrap();
        let left = Sighting { left_at: Some(later), ..second.clone() };
        store.put_sighting(&left).await.unwrap();
        let here = elsewhere.suspect(marked.id).await.unwrap().unwrap();
        assert_eq!((here.last_seen, here.open), ((camera, later), vec![first.clone()]));
        assert_eq!(elsewhere.sightings(marked.id, 2).await.unwrap(), [left, second], "a stream, the newest first");
        assert_eq!(elsewhere.sightings(marked.id, 9).await.unwrap().len(), 3);
        assert_eq!(elsewhere.suspects().await.unwrap().len(), 1);
        assert_eq!(elsewhere.suspect(Uuid::new_v4()).await.unwrap(), None);
    }
}

#[tokio::test]
async fn what_comes_twice_or_late_changes_nothing_and_is_not_told_again() {
    for fresh in backends() {
        let store = &fresh.store;
        let first = suspect("Suspect 1");
        let mut taught = first.clone();
        taught.gallery.push(Descriptor { kind: DescriptorKind::Learned, vector: [0.0, 1.0].into() });
        taught.touch(SystemClock.now());
        let mut ended = first.clone();
        ended.ended_at = Some(SystemClock.now()); // by somebody who did not know of the new vector
        let seen = sighting(&first);
        let later = seen.last_seen_at.plus(Duration::from_secs(5));
        let left = Sighting { last_seen_at: later, left_at: Some(later), ..seen.clone() };
        let decided = |by: &str, seconds: u64, confirmed: bool| {
            let (by, at) = (by.to_owned(), seen.entered_at.plus(Duration::from_secs(seconds)));
            let decision = if confirmed { Decision::Confirmed { by, at } } else { Decision::Rejected { by, at } };
            Sighting { decision, ..seen.clone() }
        };
        let (confirmed, rejected) = (decided("1", 2, true), decided("2", 3, false));
        let mut listener = fresh.elsewhere().listen();
        listener.next().await.unwrap();
        for version in [&taught, &first, &taught, &ended, &taught, &ended] {
            store.put_suspect(version).await.unwrap();
        }
        for version in [&left, &seen, &rejected, &confirmed, &rejected, &left, &seen] {
            store.put_sighting(version).await.unwrap();
        }
        let whole = Suspect { ended_at: ended.ended_at, ..taught.clone() };
        let at_last = Sighting { decision: rejected.decision.clone(), ..left.clone() };
        let here = store.suspect(first.id).await.unwrap().unwrap();
        assert_eq!((&here.suspect, here.open.len()), (&whole, 0));
        assert_eq!(store.sightings(first.id, 1).await.unwrap(), std::slice::from_ref(&at_last));
        let expected =
            [Change::Suspect(taught), Change::Suspect(whole), Change::Sighting(left), Change::Sighting(at_last)];
        assert_eq!(next(&mut listener, 4).await, expected);
        assert!(listener.next().await.unwrap().changes.is_empty());
    }
}

#[tokio::test]
async fn suspects_go_when_they_expire() {
    for fresh in backends() {
        let store = &fresh.store;
        let mut listener = store.listen();
        listener.next().await.unwrap();
        let soon = Suspect { expires_at: SystemClock.now().plus(Duration::from_millis(1500)), ..suspect("Suspect 1") };
        let long = suspect("Suspect 2");
        for s in [&soon, &long] {
            store.put_suspect(s).await.unwrap();
        }
        store.put_sighting(&sighting(&soon)).await.unwrap();
        let labels = async || {
            let all = store.suspects().await.unwrap();
            all.into_iter().map(|f| f.suspect.label).collect::<Vec<_>>()
        };
        assert_eq!(labels().await, ["Suspect 1", "Suspect 2"]);
        tokio::time::sleep(Duration::from_millis(1600)).await;
        assert_eq!(labels().await, ["Suspect 2"]);
        assert_eq!(store.suspect(soon.id).await.unwrap(), None);
        assert!(store.sightings(soon.id, 9).await.unwrap().is_empty());
        // one that came late, after its time, is told (it may have ended) and not kept
        let over = Suspect { expires_at: SystemClock.now().minus(Duration::from_secs(1)), ..suspect("Suspect 3") };
        store.put_suspect(&over).await.unwrap();
        assert_eq!(store.suspect(over.id).await.unwrap(), None);
        assert_eq!(next(&mut listener, 4).await.last(), Some(&Change::Suspect(over)));
    }
}

#[tokio::test]
async fn an_emptied_state_has_no_mark_until_it_is_refilled() {
    let server = servers::Redis::start();
    let redis = at(&server.namespace());
    for fresh in [Fresh { store: at("memory:"), server: None }, Fresh { store: redis, server: Some(server) }] {
        let store = &fresh.store;
        let mut listener = fresh.elsewhere().listen();
        assert_eq!((store.mark().await.unwrap(), listener.next().await.unwrap().mark), (None, None));
        let marked = suspect("Suspect 1");
        let seen = sighting(&marked);
        let mut marks = Vec::new();
        for _ in 0..2 {
            let mark = store.refill(std::slice::from_ref(&marked), std::slice::from_ref(&seen)).await.unwrap();
            assert_eq!((store.mark().await.unwrap(), listener.next().await.unwrap().mark), (Some(mark), Some(mark)));
            // a second console that fills it too finds it marked
            assert_eq!(fresh.elsewhere().refill(std::slice::from_ref(&marked), &[]).await.unwrap(), mark);
            assert_eq!(store.suspect(marked.id).await.unwrap().unwrap().open, std::slice::from_ref(&seen));
            marks.push(mark);
            fresh.empty().await;
            while listener.next().await.unwrap().mark.is_some() {}
            assert_eq!((store.mark().await.unwrap(), store.suspect(marked.id).await.unwrap()), (None, None));
        }
        assert_ne!(marks[0], marks[1]);
        store.put_suspect(&marked).await.unwrap();
        assert!(next(&mut listener, 1).await.contains(&Change::Suspect(marked)), "heard after it was emptied, too");
    }
}

#[tokio::test]
async fn a_wrong_password_a_dead_and_a_frozen_server_are_told_apart_and_it_goes_on_afterwards() {
    let server = servers::Redis::start();
    let good = server.namespace();
    let secret = good.split_once("://:").unwrap().1.split_once('@').unwrap().0.to_owned();
    let error = at(&good.replace(&secret, "not-the-password")).mark().await.unwrap_err();
    assert!(matches!(error, StoreError::Denied { .. }), "{error:?}");
    assert!(!error.to_string().contains("not-the-password"), "{error}");

    let store = at(&good);
    let (first, second) = (suspect("Suspect 1"), suspect("Suspect 2"));
    store.put_suspect(&first).await.unwrap();
    let mut listener = store.listen();
    listener.next().await.unwrap();
    server.freeze();
    let start = Instant::now();
    for _ in 0..2 {
        let error = store.put_suspect(&second).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        assert!(!error.to_string().contains(&secret), "{error}");
    }
    assert!(listener.next().await.is_err());
    assert!(start.elapsed() < Duration::from_secs(15), "a frozen server holds up nobody for long");
    server.thaw();
    store.put_suspect(&second).await.unwrap();

    server.kill();
    let error = store.put_suspect(&first).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert!(listener.next().await.is_err() && !error.to_string().contains(&secret), "{error}");
    server.restart();
    // what it had not written yet it may have lost, although it had said yes
    store.refill(&[first, second], &[]).await.unwrap();
    assert_eq!(store.suspects().await.unwrap().len(), 2);
    let third = suspect("Suspect 3");
    store.put_suspect(&third).await.unwrap();
    let heard = async { while !next(&mut listener, 1).await.contains(&Change::Suspect(third.clone())) {} };
    tokio::time::timeout(Duration::from_secs(20), heard).await.unwrap();
}

#[tokio::test]
async fn over_tls_only_with_a_known_authority() {
    let server = servers::Redis::start_tls();
    let marked = suspect("Suspect 1");
    let store = at(&server.namespace());
    store.put_suspect(&marked).await.unwrap();
    assert_eq!(store.suspect(marked.id).await.unwrap().unwrap().suspect, marked);
    let unknown = server.namespace().split_once("&ca=").unwrap().0.to_owned();
    let error = at(&unknown).mark().await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
}

#[test]
fn an_address_of_no_such_store_is_refused() {
    for text in ["postgres://h/d", "redis://h/not-a-number", "rediss://h/0?ca=/nowhere.pem"] {
        let error = SuspectStore::connect(&Address::parse(text).unwrap()).unwrap_err();
        assert!(matches!(error, StoreError::Misconfigured { .. }), "{text}: {error:?}");
    }
}
