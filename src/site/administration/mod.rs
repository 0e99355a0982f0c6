//! Managing users and cameras: each change with its entry in the action log, refused and failed ones too. The screen and the
//! command line come through here.
mod console;

pub use console::{AddressTest, AdminCommand, AdminState, TestOutcome, UserView};

use super::{
    SiteError,
    records::{Actor, Records},
};
use crate::{
    model::{Action, Camera, CameraId, FieldOfView, Outcome, Timestamp, User, is_stream_address, redact_url},
    store::{NewUser, StoreError, UserError},
    sync::{JournalError, Record},
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};
use uuid::Uuid;

/// Why something about users or cameras was not changed, in words for the administrator.
#[derive(Debug, thiserror::Error)]
pub enum AdministrationError {
    /// The users' store says no.
    #[error(transparent)]
    User(#[from] UserError),
    /// There is no such camera.
    #[error("there is no camera called {0:?}: `vigia camera list` shows all")]
    NoCamera(String),
    /// The name is taken.
    #[error("there is a camera called {0:?} already; names must differ")]
    CameraExists(String),
    /// The name is empty or no name.
    #[error("enter a name for the camera, on one line")]
    CameraName,
    /// Not an address of a stream.
    #[error("the address of a camera starts with rtsp://, rtsps://, file:// or test:")]
    CameraAddress,
    /// Not a place on the earth.
    #[error("latitude is -90 to 90 degrees, longitude -180 to 180, and both are given together")]
    Location,
    /// Not a field of view.
    #[error(
        "a camera looks 0 to 359 degrees from north, sees above 0 to 360 degrees wide and above 0 to 10000 metres far"
    )]
    FieldOfView,
    /// The camera is described in the configuration file.
    #[error(
        "{0:?} is described in the configuration file: change it there; only its place on the map is also set here"
    )]
    Configured(String),
    /// The first user must be an administrator.
    #[error("nobody is registered yet: the first user must be an administrator (--admin)")]
    FirstMustBeAdministrator,
    /// Somebody who asks for a new password does not have the old one.
    #[error("the password you have now is another one")]
    OldPassword,
    /// Too many wrong passwords.
    #[error("too many wrong passwords: the next attempt is accepted at {}", .0.local_date_time())]
    Locked(Timestamp),
    /// It was not recorded, so it was not done (or is not certain to be remembered).
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A store's trouble.
    #[error(transparent)]
    Site(#[from] SiteError),
}

impl AdministrationError {
    fn outcome(&self) -> Outcome {
        match self {
            Self::User(error) => error.outcome(),
            Self::Site(SiteError::Store(StoreError::Changed(_))) => Outcome::Refused(self.to_string()),
            Self::Journal(_) | Self::Site(_) => Outcome::Failed(self.to_string()),
            _ => Outcome::Refused(self.to_string()),
        }
    }
}

type Result<T> = std::result::Result<T, AdministrationError>;

/// A camera to be, or what to change of one; `None` leaves as it is.
#[derive(Clone, Default)]
pub struct CameraEdit {
    /// Name.
    pub name: Option<String>,
    /// Address of the stream.
    pub url: Option<String>,
    /// Latitude and longitude, degrees.
    pub location: Option<(f64, f64)>,
    /// Takes it off the map, where no new place is given.
    pub unplaced: bool,
    /// The way it looks, degrees clockwise from north.
    pub heading: Option<f64>,
    /// How wide it sees, degrees.
    pub angle: Option<f64>,
    /// How far people can be made out, metres.
    pub range: Option<f64>,
    /// Nobody says any more what it sees, where none of the three is given.
    pub without_view: bool,
    /// Whether it is connected.
    pub active: Option<bool>,
    /// The version that whoever changes it has seen: one that somebody else changed since is left as it is. `None` takes it as
    /// it is now.
    pub version: Option<i64>,
}

impl CameraEdit {
    /// Whether it changes where the camera stands or what it sees.
    fn places(&self) -> bool {
        self.location.is_some() || self.unplaced || self.views() || self.without_view
    }

    fn views(&self) -> bool {
        self.heading.is_some() || self.angle.is_some() || self.range.is_some()
    }

    /// What the camera sees of the ground when this is done.
    fn field_of_view(&self, before: Option<FieldOfView>) -> Option<FieldOfView> {
        if !self.views() {
            return before.filter(|_| !self.without_view);
        }
        let old = before.unwrap_or(FieldOfView::towards(0.0));
        Some(FieldOfView {
            heading: self.heading.unwrap_or(old.heading),
            angle: self.angle.unwrap_or(old.angle),
            range: self.range.unwrap_or(old.range),
        })
    }
}

impl Records {
    /// Registers a user.
    ///
    /// # Errors
    /// [`AdministrationError`], recorded.
    pub async fn add_user(&self, by: Actor<'_>, new: NewUser) -> Result<User> {
        let details = json!({ "name": new.name.trim(), "email": new.email.trim(), "administrator": new.is_admin });
        let cc = new.cc.trim().to_owned();
        let added = async {
            if self.stores.users.any_user().await.map_err(UserError::from)? {
                Ok(self.stores.users.create(new, self.clock.now()).await?)
            } else if new.is_admin {
                Ok(self.stores.users.create_first_administrator(new, self.clock.now()).await?)
            } else {
                Err(AdministrationError::FirstMustBeAdministrator)
            }
        };
        self.recorded(by, Action::CreateUser, &cc, details, added.await).await
    }

    /// Changes name, e-mail address and whether the user is an administrator, of the version given.
    ///
    /// # Errors
    /// [`AdministrationError`], recorded.
    pub async fn edit_user(&self, by: Actor<'_>, wanted: &User) -> Result<User> {
        let described = |u: &User| json!({ "name": u.name, "email": u.email, "administrator": u.is_admin });
        let before = self.stores.users.user(&wanted.cc).await.ok().flatten();
        let changed = self.stores.users.edit(wanted).await.map_err(AdministrationError::from);
        let details = json!({
            "before": before.as_ref().map(described), "after": described(changed.as_ref().unwrap_or(wanted)),
        });
        self.recorded(by, Action::EditUser, &wanted.cc, details, changed).await
    }

    /// Deactivates or reactivates a user.
    ///
    /// # Errors
    /// [`AdministrationError`], recorded.
    pub async fn set_user_active(&self, by: Actor<'_>, cc: &str, active: bool) -> Result<User> {
        let action = if active { Action::ReactivateUser } else { Action::DeactivateUser };
        let changed = async {
            let user = self.stores.users.user(cc).await.map_err(UserError::from)?.ok_or(UserError::Unknown)?;
            Ok(self.stores.users.set_active(cc, active, by.0, user.version).await?)
        };
        self.recorded(by, action, cc, Value::Null, changed.await).await
    }

    /// Gives a user a new password.
    ///
    /// # Errors
    /// [`AdministrationError`], recorded.
    pub async fn set_user_password(&self, by: Actor<'_>, cc: &str, password: String) -> Result<User> {
        let changed = self.stores.users.set_password(cc, password).await.map_err(AdministrationError::from);
        self.recorded(by, Action::ChangePassword, cc, Value::Null, changed).await
    }

    /// Says which cameras, by name or id, a user may see, whatever that was before.
    ///
    /// # Errors
    /// [`AdministrationError`], recorded.
    pub async fn name_user_cameras(&self, by: Actor<'_>, cc: &str, cameras: &[String]) -> Result<User> {
        let found = async {
            let known = self.cameras().await?;
            let ids: Result<BTreeSet<CameraId>> = cameras.iter().map(|w| Ok(find(&known, w)?.id)).collect();
            let user = self.stores.users.user(cc).await.map_err(UserError::from)?.ok_or(UserError::Unknown)?;
            Ok((ids?, user.version))
        };
        match found.await {
            Ok((ids, version)) => self.set_user_cameras(by, cc, &ids, version).await,
            Err(error) => self.recorded(by, Action::ChangeRights, cc, json!({ "cameras": cameras }), Err(error)).await,
        }
    }

    /// Says which cameras the user may see, who is of the version given.
    ///
    /// # Errors
    /// [`AdministrationError`], recorded.
    pub async fn set_user_cameras(
        &self,
        by: Actor<'_>,
        cc: &str,
        cameras: &BTreeSet<CameraId>,
        version: i64,
    ) -> Result<User> {
        let known = self.cameras().await.unwrap_or_default(); // names are for the reader of the log only
        let named = |ids: &BTreeSet<CameraId>| {
            let name =
                |id: &CameraId| known.iter().find(|c| c.id == *id).map_or_else(|| id.to_string(), |c| c.name.clone());
            ids.iter().map(name).collect::<Vec<_>>()
        };
        let before = self.stores.users.grants(cc).await.ok();
        let changed = self.stores.users.set_grants(cc, cameras, version).await.map_err(AdministrationError::from);
        let details = json!({ "before": before.as_ref().map(named), "cameras": named(cameras) });
        self.recorded(by, Action::ChangeRights, cc, details, changed).await
    }

    /// Registers a camera that is kept in the database, not in the configuration file.
    ///
    /// # Errors
    /// [`AdministrationError`], recorded.
    pub async fn add_camera(&self, by: Actor<'_>, edit: &CameraEdit) -> Result<Camera> {
        self.settle_cameras().await;
        let made = async {
            let camera = Camera {
                id: Uuid::now_v7(),
                name: edit.name.clone().unwrap_or_default().trim().to_owned(),
                url: edit.url.clone().unwrap_or_default(),
                location: edit.location,
                field_of_view: edit.field_of_view(None),
                placed: false,
                added_at: self.clock.now(),
                active: edit.active.unwrap_or(true),
                is_virtual: false,
                configured: false,
                version: 1,
            };
            self.accept(&camera).await?;
            Ok(camera)
        };
        let made = made.await;
        let record = made.as_ref().ok().cloned().map(Record::Camera);
        self.record_camera(by, None, None, made, record).await
    }

    /// Changes a camera, named by its name or id.
    ///
    /// # Errors
    /// [`AdministrationError`], recorded.
    pub async fn edit_camera(&self, by: Actor<'_>, which: &str, edit: &CameraEdit) -> Result<Camera> {
        self.settle_cameras().await;
        let mut before = None;
        let edited = async {
            let old = find(&self.cameras().await?, which)?.clone();
            before = Some(old.clone());
            if old.configured && (edit.name.is_some() || edit.url.is_some() || edit.active.is_some()) {
                return Err(AdministrationError::Configured(old.name));
            }
            let camera = Camera {
                name: edit.name.as_ref().map_or(old.name, |name| name.trim().to_owned()),
                url: edit.url.clone().unwrap_or(old.url),
                location: edit.location.or(old.location.filter(|_| !edit.unplaced)),
                field_of_view: edit.field_of_view(old.field_of_view),
                // Off the map, it stands where the configuration file says again, when the console starts.
                placed: if edit.unplaced && edit.location.is_none() { false } else { old.placed || edit.places() },
                active: edit.active.unwrap_or(old.active),
                version: edit.version.unwrap_or(old.version),
                ..old
            };
            self.accept(&camera).await?;
            // Straight to the store, which alone knows whether somebody else changed it meanwhile.
            Ok(self.stores.cameras.edit_camera(&camera).await.map_err(SiteError::from)?)
        }
        .await;
        self.record_camera(by, Some(which), before.as_ref(), edited, None).await
    }

    /// All cameras.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn cameras(&self) -> Result<Vec<Camera>> {
        Ok(self.stores.cameras.cameras().await.map_err(SiteError::from)?)
    }

    /// Waits a little for a camera that was registered a moment ago and is still on its way into the database: its name is taken, and
    /// it can be changed.
    async fn settle_cameras(&self) {
        let _ = tokio::time::timeout(Duration::from_secs(2), self.delivery.flush()).await;
    }

    async fn accept(&self, camera: &Camera) -> Result<()> {
        if camera.name.is_empty() || camera.name.contains(char::is_control) || camera.name.chars().count() > 100 {
            return Err(AdministrationError::CameraName);
        }
        if !is_stream_address(&camera.url) {
            return Err(AdministrationError::CameraAddress);
        }
        let on_earth = |(lat, lon): (f64, f64)| (-90.0..=90.0).contains(&lat) && (-180.0..=180.0).contains(&lon);
        if !camera.location.is_none_or(on_earth) {
            return Err(AdministrationError::Location);
        }
        if !camera.field_of_view.is_none_or(|f| f.is_possible()) {
            return Err(AdministrationError::FieldOfView);
        }
        let taken = self.cameras().await?.into_iter().any(|c| c.name == camera.name && c.id != camera.id);
        if taken { Err(AdministrationError::CameraExists(camera.name.clone())) } else { Ok(()) }
    }

    async fn record_camera(
        &self,
        by: Actor<'_>,
        which: Option<&str>,
        before: Option<&Camera>,
        result: Result<Camera>,
        record: Option<Record>,
    ) -> Result<Camera> {
        let outcome = result.as_ref().map_or_else(AdministrationError::outcome, |_| Outcome::Succeeded);
        let mut entry = self.entry(by, Action::ChangeCamera, outcome);
        let described = |c: &Camera| json!({ "name": c.name, "url": redact_url(&c.url), "location": c.location, "field_of_view": c.field_of_view, "active": c.active });
        let id: Option<CameraId> = before.or(result.as_ref().ok()).map(|c| c.id);
        entry.target = id.map(|id| id.to_string()).or(which.map(str::to_owned));
        entry.details = json!({
            "camera_id": id, "before": before.map(described), "after": result.as_ref().ok().map(described),
        });
        let mut records: Vec<Record> = record.into_iter().collect();
        records.push(Record::Action(entry));
        self.journal.append(&records).await?;
        result
    }

    /// Writes the entry of what was done, or was not, to the user `cc`.
    async fn recorded<T>(
        &self,
        by: Actor<'_>,
        action: Action,
        cc: &str,
        details: Value,
        result: Result<T>,
    ) -> Result<T> {
        let outcome = result.as_ref().map_or_else(AdministrationError::outcome, |_| Outcome::Succeeded);
        let mut entry = self.entry(by, action, outcome);
        entry.target = Some(cc.to_owned());
        entry.details = details;
        self.journal.append(&[Record::Action(entry)]).await?;
        result
    }
}

fn find<'a>(cameras: &'a [Camera], which: &str) -> Result<&'a Camera> {
    let found = cameras.iter().find(|c| c.name == which || c.id.to_string() == which);
    found.ok_or_else(|| AdministrationError::NoCamera(which.to_owned()))
}
