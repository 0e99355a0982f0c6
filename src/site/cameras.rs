//! The cameras of a site while it runs: they come, go and change, whoever changes them: this console, another one on the same
//! database, or the command line. Those of the configuration file stay as the file describes them, and belong to the console whose
//! file it is: no other one deactivates them.
use super::{Shared, SiteError, console_user, path::CameraPath};
use crate::{
    model::{Action, Camera, CameraId, Outcome, redact_url},
    sync::Record,
    vision::{Input, Inputs},
};
use serde_json::json;
use std::{
    collections::BTreeSet,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicI64, Ordering},
    },
};
use uuid::Uuid;

/// The paths of all cameras. Whoever needs them takes the list of the instant and keeps it for as short as possible.
pub(super) struct Cameras {
    paths: RwLock<Arc<Vec<Arc<CameraPath>>>>,
    inputs: Inputs,
    /// Held by whoever changes the list.
    changing: tokio::sync::Mutex<()>,
    /// The version of the database's cameras that was read last.
    read: AtomicI64,
}

impl Cameras {
    /// No camera yet; the worker behind `inputs` will look at those that come.
    pub fn new(inputs: Inputs) -> Self {
        let (paths, changing) = (RwLock::default(), tokio::sync::Mutex::default());
        Self { paths, inputs, changing, read: AtomicI64::new(-1) }
    }

    /// All cameras now, in the order of the wall: those of the configuration, then the others as they were registered.
    pub fn paths(&self) -> Arc<Vec<Arc<CameraPath>>> {
        Arc::clone(&self.paths.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The camera of this id.
    pub fn get(&self, id: CameraId) -> Option<Arc<CameraPath>> {
        self.paths().iter().find(|path| path.camera.id == id).cloned()
    }

    fn set(&self, paths: Vec<Arc<CameraPath>>) {
        let inputs = paths.iter().map(|p| Input { camera: p.camera.id, frames: p.waiting.clone() }).collect();
        *self.paths.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(paths);
        self.inputs.watch(inputs);
    }
}

/// A camera with the whole address of its stream.
pub(super) type Located = (Camera, String);

impl Shared {
    /// Connects the configured cameras, and those of the database, which are `known`.
    pub async fn start_cameras(&self, known: Vec<Camera>) -> Result<(), SiteError> {
        let cameras = self.known_cameras(known).await?;
        self.retire(&cameras).await?;
        self.change_cameras(cameras).await;
        Ok(())
    }

    /// Ends configured cameras that run under an identity of their own, because the database was away when they came, where
    /// it has another one for them. What was seen stays under the identity it was seen under.
    async fn retire(&self, cameras: &[Located]) -> Result<(), SiteError> {
        let stays = |path: &CameraPath| cameras.iter().any(|(camera, _)| camera.id == path.camera.id);
        let all = self.cameras.paths();
        let (staying, retired): (Vec<_>, Vec<_>) =
            all.iter().cloned().partition(|path| !path.camera.configured || stays(path));
        if retired.is_empty() {
            return Ok(());
        }
        let off = |path: &Arc<CameraPath>| {
            let (camera, version) = (path.camera.clone(), path.camera.version + 1);
            Record::Camera(Camera { active: false, version, ..camera })
        };
        self.records.journal.append(&retired.iter().map(off).collect::<Vec<_>>()).await?;
        {
            let _order = self.order.lock().await;
            self.cameras.set(staying);
            let lost = retired.iter().flat_map(|path| self.follower().camera_lost(path.camera.id)).collect::<Vec<_>>();
            let lost = self.duty.of_this_console(lost);
            if self.commit(&self.records_of(&lost, None), "The end of a sighting is not recorded").await {
                self.show(&lost, None);
            }
        }
        let _ = tokio::task::spawn_blocking(move || retired.iter().for_each(|path| path.stop())).await;
        Ok(())
    }

    /// Takes over what somebody changed in the database; asked for once a second. A database that does not answer changes
    /// nothing.
    pub async fn read_cameras(&self) {
        let store = &self.records.stores.cameras;
        let Ok(version) = store.cameras_version().await else { return };
        if version == self.cameras.read.load(Ordering::Relaxed) {
            return;
        }
        let Ok(known) = store.cameras().await else { return };
        self.change_cameras(known.into_iter().filter_map(|c| self.located(c)).collect()).await;
        self.cameras.read.store(version, Ordering::Relaxed);
    }

    /// A camera of the database as it runs here. Of one that the configuration file describes only what is set on the map comes
    /// from the database; `None` where it is described in another console's file.
    pub fn located(&self, camera: Camera) -> Option<Located> {
        if !camera.configured {
            return Some(located(camera));
        }
        let here = self.cameras.get(camera.id)?;
        let Camera { location, field_of_view, placed, version, .. } = camera;
        let address = here.address().to_owned();
        Some((Camera { location, field_of_view, placed, version, ..here.camera.clone() }, address))
    }

    /// Makes the cameras that run those given, where these are new or newer; all others go on as they are. A changed name
    /// or place leaves the stream alone.
    pub async fn change_cameras(&self, known: Vec<Located>) {
        let _changing = self.cameras.changing.lock().await;
        let mut started = Vec::new();
        for (camera, address) in known {
            let old = self.cameras.get(camera.id);
            match old {
                Some(old) if old.camera.version >= camera.version => {}
                Some(old) if old.serves(&camera, &address) => self.put_path(old.with(camera)).await,
                old => {
                    if let Some(old) = &old {
                        let old = Arc::clone(old);
                        let _ = tokio::task::spawn_blocking(move || old.stop()).await; // only the runtime's end cancels it
                    }
                    if camera.active {
                        started.push(camera.name.clone());
                    }
                    let generation = old.map_or(0, |old| old.generation + 1);
                    let (source, inputs) = (self.config.source(&address), self.cameras.inputs.clone());
                    let max_fps = self.config.analysis.max_fps;
                    let on_packet = self.recording.start(&camera, &address, self.record_mode(&camera));
                    let wake = move || inputs.wake();
                    let path = CameraPath::start(camera, source, generation, max_fps, &self.records, wake, on_packet);
                    self.put_path(path).await;
                }
            }
        }
        self.record_start(&started).await;
    }

    /// Puts a path in the place of the one that the camera had, or behind the others. Who was followed on a stream that is given
    /// up is lost from view.
    async fn put_path(&self, path: CameraPath) {
        let _order = self.order.lock().await;
        let (id, generation) = (path.camera.id, path.generation);
        let mut paths = self.cameras.paths().to_vec();
        let mut events = Vec::new();
        match paths.iter_mut().find(|p| p.camera.id == id) {
            Some(place) => {
                if place.generation != generation {
                    events = self.duty.of_this_console(self.follower().camera_lost(id));
                }
                *place = Arc::new(path);
            }
            None => paths.push(Arc::new(path)),
        }
        self.cameras.set(paths);
        if self.commit(&self.records_of(&events, None), "The end of a sighting is not recorded").await {
            self.show(&events, None);
        }
    }

    /// The entry that says that somebody began to look: detection runs from here on, on these cameras, with this model.
    async fn record_start(&self, cameras: &[String]) {
        if cameras.is_empty() {
            return; // nothing is looked at
        }
        let mut entry = self.records.entry((&console_user(), ""), Action::StartDetection, Outcome::Succeeded);
        entry.details = json!({ "cameras": cameras, "model": self.model });
        self.commit(&[Record::Action(entry)], "The log does not say that detection began").await;
    }

    /// The configured cameras, each with the identity it had before (new ones are recorded), then those that are kept in the
    /// database alone.
    async fn known_cameras(&self, known: Vec<Camera>) -> Result<Vec<Located>, SiteError> {
        let mut cameras = Vec::with_capacity(known.len());
        let (mut records, mut changed) = (Vec::new(), Vec::new());
        for wanted in &self.config.cameras {
            let old = known.iter().find(|c| c.configured && c.name == wanted.name);
            let by_hand = old.filter(|c| c.placed);
            let mut camera = Camera {
                id: old.map_or_else(Uuid::now_v7, |c| c.id),
                name: wanted.name.clone(),
                url: redact_url(&wanted.url), // credentials stay in the configuration
                location: by_hand.map_or(wanted.location, |c| c.location),
                field_of_view: by_hand.map_or_else(|| wanted.field_of_view(), |c| c.field_of_view),
                placed: by_hand.is_some(),
                added_at: old.map_or_else(|| self.records.clock.now(), |c| c.added_at),
                active: wanted.active,
                is_virtual: wanted.is_virtual,
                configured: true,
                version: old.map_or(1, |c| c.version),
            };
            if old != Some(&camera) {
                camera.version += i64::from(old.is_some());
                records.push(Record::Camera(camera.clone()));
                changed.push(camera.name.clone());
            }
            cameras.push((camera, wanted.url.clone()));
        }
        cameras.extend(known.iter().filter(|c| !c.configured).cloned().map(located));
        // Of a database of several consoles, those that this one ran: another one's are described in its own file.
        let is_shared = self.records.stores.cameras.is_shared();
        let ran: BTreeSet<CameraId> = if is_shared { self.known.read().ids() } else { BTreeSet::new() };
        let was_configured =
            known.into_iter().filter(|k| k.configured && k.active && (!is_shared || ran.contains(&k.id)));
        for gone in was_configured.filter(|k| self.config.cameras.iter().all(|c| c.name != k.name)) {
            changed.push(gone.name.clone());
            records.push(Record::Camera(Camera { active: false, version: gone.version + 1, ..gone }));
        }
        if !changed.is_empty() {
            let mut entry = self.records.entry((&console_user(), ""), Action::ChangeCamera, Outcome::Succeeded);
            entry.details = json!({ "cameras": changed, "by": "configuration" });
            records.push(Record::Action(entry));
        }
        if !records.is_empty() {
            self.records.journal.append(&records).await?;
        }
        Ok(cameras)
    }
}

/// A camera that is kept in the database with its whole address.
pub(super) fn located(camera: Camera) -> Located {
    let address = camera.url.clone();
    (camera, address)
}
