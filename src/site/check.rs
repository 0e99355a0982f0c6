//! Whether the stores of a site agree with each other: what a record names is there, nothing lies there that no record names, and
//! what is kept twice is the same. What can be derived from the durable records can be put right.
use super::{
    SiteError,
    records::{Actor, Records},
    stills,
};
use crate::{
    model::{Action, Outcome, Suspect, Timestamp},
    store::{CameraStore, Miscount, StoreError, key_of_url},
    sync::Record,
};
use serde::Serialize;
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use uuid::Uuid;

/// The rooms of objects that belong to records. `anchors` are the audit trail's, which verifies them itself.
const ROOMS: [&str; 6] = ["crops", "frames", "segments", "thumbnails", "tracklets", "videos"];
/// Rows, and keys of objects, read at once.
const PAGE: u32 = 1000;
/// Detections of minutes that ended so long ago are counted.
const COUNTED_AFTER: Duration = Duration::from_secs(300);
/// At most so many of one kind of dangling records are named.
const NAMED: u32 = 1000;

/// Something that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Misfit {
    /// A record's object is not there.
    MissingObject {
        /// What kind of record.
        record: &'static str,
        /// Which.
        id: Uuid,
        /// The object's address.
        url: String,
    },
    /// A record's object is not what was stored.
    WrongObject {
        /// What kind of record.
        record: &'static str,
        /// Which.
        id: Uuid,
        /// The object's address.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// No record names this object. It is left where it is: it may be what is left of a record.
    Orphan {
        /// Its key.
        key: String,
        /// Its length in bytes.
        size: u64,
    },
    /// A record names another that is not there.
    Dangling {
        /// What kind of record.
        record: &'static str,
        /// Which.
        id: Uuid,
        /// What kind of record it names.
        target: &'static str,
        /// Which.
        missing: Uuid,
    },
    /// A user may see a camera that is not there. Repaired by taking the right away.
    Grant {
        /// `users.cc`.
        user: String,
        /// The camera.
        camera: Uuid,
        /// Whether it was put right.
        repaired: bool,
    },
    /// The timeline counts another number of detections for a minute than there are. Repaired by counting anew.
    Count {
        /// The camera.
        camera: Uuid,
        /// The minute.
        minute: Timestamp,
        /// The type of detection.
        of: String,
        /// So many are counted.
        counted: i64,
        /// So many there are.
        there: i64,
        /// Whether it was put right.
        repaired: bool,
    },
    /// The shared state of a suspect lacks something that the durable record says. Repaired by putting the record there again.
    State {
        /// The suspect.
        suspect: Uuid,
        /// Whether it was put right.
        repaired: bool,
    },
}

impl Misfit {
    /// Whether it does not fit any more, because it was put right.
    pub fn is_repaired(&self) -> bool {
        matches!(
            self,
            Self::Grant { repaired: true, .. }
                | Self::Count { repaired: true, .. }
                | Self::State { repaired: true, .. }
        )
    }
}

/// What a check looked at and found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Records whose object was looked for.
    pub records: u64,
    /// Objects found in the store.
    pub objects: u64,
    /// What does not fit, and what was put right.
    pub misfits: Vec<Misfit>,
}

impl Checked {
    /// Whether everything fits now.
    pub fn is_whole(&self) -> bool {
        self.misfits.iter().all(Misfit::is_repaired)
    }
}

impl Records {
    /// Compares the stores with each other; with `deep` every object is read and compared with its hash, or decoded where it is a
    /// picture; with `repair` what can be derived is put right. Holds the keys of all objects in memory. Recorded as an entry.
    ///
    /// # Errors
    /// The first store that does not answer: then nothing is known. Records that still wait for a store count as that, too.
    pub async fn check(&self, who: Actor<'_>, deep: bool, repair: bool) -> Result<Checked, SiteError> {
        let checked = self.compare(deep, repair).await;
        let outcome = checked.as_ref().map_or_else(|e| Outcome::Failed(e.to_string()), |_| Outcome::Succeeded);
        let mut entry = self.entry(who, Action::CheckStores, outcome);
        entry.details = match &checked {
            Ok(c) => json!({
                "deep": deep, "repair": repair, "records": c.records, "objects": c.objects, "misfits": c.misfits.len(),
                "repaired": c.misfits.iter().filter(|m| m.is_repaired()).collect::<Vec<_>>(),
            }),
            Err(_) => json!({ "deep": deep, "repair": repair }),
        };
        self.journal.append(&[Record::Action(entry)]).await?;
        checked
    }

    async fn compare(&self, deep: bool, repair: bool) -> Result<Checked, SiteError> {
        if !self.delivery.flush().await {
            let waiting = self.journal.backlog();
            return Err(SiteError::Store(StoreError::Unavailable {
                place: "a store".to_owned(),
                detail: format!("{waiting} records still wait for it, so nothing can be said about what is missing"),
            }));
        }
        let mut checked = Checked::default();
        let mut objects = self.all_objects().await?;
        checked.objects = objects.len() as u64;
        let mut named = BTreeSet::new();
        for kind in 0..CameraStore::REFERENCES {
            let mut after = Uuid::nil();
            loop {
                let page = self.stores.cameras.references(kind, after, PAGE).await?;
                let Some(last) = page.last() else { break };
                after = last.id;
                checked.records += page.len() as u64;
                for r in page {
                    let key = key_of_url(&r.url).filter(|key| objects.contains_key(*key));
                    let Some(key) = key else {
                        checked.misfits.push(Misfit::MissingObject { record: r.record, id: r.id, url: r.url });
                        continue;
                    };
                    let is_new = named.insert(key.to_owned());
                    if !(deep && is_new) {
                        continue;
                    }
                    if let Some(why) = self.wrong(key, r.sha256.as_deref()).await? {
                        checked.misfits.push(Misfit::WrongObject { record: r.record, id: r.id, url: r.url, why });
                    }
                }
            }
        }
        objects.retain(|key, _| !named.contains(key));
        checked.misfits.extend(objects.into_iter().map(|(key, size)| Misfit::Orphan { key, size }));
        let dangling = self.stores.cameras.dangling(NAMED).await?;
        let dangling = dangling.into_iter();
        checked.misfits.extend(dangling.map(|(record, id, target, missing)| Misfit::Dangling {
            record,
            id,
            target,
            missing,
        }));
        checked.misfits.extend(self.check_counts(repair).await?);
        checked.misfits.extend(self.check_grants(repair).await?);
        checked.misfits.extend(self.check_state(repair).await?);
        Ok(checked)
    }

    /// Keys and lengths of all objects that should belong to a record.
    async fn all_objects(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        let mut all = BTreeMap::new();
        for room in ROOMS {
            let mut after: Option<String> = None;
            loop {
                let page = self.stores.objects.list(room, after.as_deref(), PAGE as usize).await?;
                after = page.last().map(|last| last.key.clone());
                all.extend(page.into_iter().map(|o| (o.key, o.size)));
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(all)
    }

    /// What is wrong with an object that is there; `None` when it is what its record says.
    async fn wrong(&self, key: &str, sha256: Option<&str>) -> Result<Option<String>, SiteError> {
        if let Some(expected) = sha256 {
            return Ok(match self.stores.objects.hash(key).await {
                Ok(hash) => {
                    (hash.map(|h| h.to_string()).as_deref() != Some(expected)).then(|| "its hash is another".to_owned())
                }
                Err(StoreError::Damaged { detail, .. }) => Some(detail),
                Err(error) => return Err(error.into()),
            });
        }
        if !key.ends_with(".jpg") {
            return Ok(None);
        }
        Ok(match self.stores.objects.get(key).await {
            Ok(Some(bytes)) => stills::from_jpeg(bytes).is_none().then(|| "it is no picture".to_owned()),
            Ok(None) => Some("it went away during the check".to_owned()),
            Err(StoreError::Damaged { detail, .. }) => Some(detail),
            Err(error) => return Err(error.into()),
        })
    }

    /// Minutes that are over for long enough: another console may be writing those of now.
    async fn check_counts(&self, repair: bool) -> Result<Vec<Misfit>, SiteError> {
        let cameras = &self.stores.cameras;
        let mut misfits = Vec::new();
        for wrong in cameras.miscounts(self.clock.now().minus(COUNTED_AFTER)).await? {
            if repair {
                cameras.recount(&wrong).await?;
            }
            let Miscount { camera, minute, kind, counted, there } = wrong;
            misfits.push(Misfit::Count { camera, minute, of: kind, counted, there, repaired: repair });
        }
        Ok(misfits)
    }

    async fn check_grants(&self, repair: bool) -> Result<Vec<Misfit>, SiteError> {
        let cameras: BTreeSet<Uuid> = self.stores.cameras.cameras().await?.into_iter().map(|c| c.id).collect();
        let mut misfits = Vec::new();
        for (cc, granted) in self.stores.users.all_grants().await? {
            let gone: Vec<Uuid> = granted.difference(&cameras).copied().collect();
            if gone.is_empty() {
                continue;
            }
            let mut repaired = false;
            if let (true, Some(user)) = (repair, self.stores.users.user(&cc).await?) {
                let left = granted.intersection(&cameras).copied().collect();
                repaired = self.stores.users.set_grants(&cc, &left, user.version).await.is_ok();
            }
            misfits.extend(gone.into_iter().map(|camera| Misfit::Grant { user: cc.clone(), camera, repaired }));
        }
        Ok(misfits)
    }

    /// Nothing where the state is this console's own: it is made of the durable records at each start.
    async fn check_state(&self, repair: bool) -> Result<Vec<Misfit>, SiteError> {
        let state = &self.stores.suspects;
        if !state.is_shared() {
            return Ok(Vec::new());
        }
        let mut misfits = Vec::new();
        // Newer things may have been heard from other consoles, whose records are still on their way; older ones must be there.
        let lacks = async |suspect: &Suspect| {
            let there = state.suspect(suspect.id).await?;
            Ok::<_, StoreError>(there.is_none_or(|mut there| there.suspect.merge(suspect)))
        };
        for suspect in self.stores.cameras.unexpired_suspects(self.clock.now()).await? {
            if !lacks(&suspect).await? {
                continue;
            }
            let repaired = repair && {
                state.put_suspect(&suspect).await?;
                !lacks(&suspect).await?
            };
            misfits.push(Misfit::State { suspect: suspect.id, repaired });
        }
        Ok(misfits)
    }
}
