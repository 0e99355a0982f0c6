//! Administration from the screen: what is asked for there goes through the same functions as the command line's. What the
//! screen learns of it is an [`AdminState`], which only an administrator's screen gets.
use super::{AdministrationError, CameraEdit};
use crate::{
    model::{Action, CameraId, Outcome, Picture, Rect, User, redact_url},
    site::{Shared, cameras::located},
    store::{LoginOutcome, NewUser, StoreError},
    sync::Record,
    video::{Frame, Source, SourceState},
};
use serde_json::json;
use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex, PoisonError, mpsc},
    time::{Duration, Instant},
};

/// Longest side of the picture that a test of an address shows, pixels.
const TEST_SIDE: u32 = 640;
/// How long a test of an address may take beyond the time a camera has to answer.
const TEST_GRACE: Duration = Duration::from_secs(2);
const ADMINISTRATORS_ONLY: &str = "only administrators manage users and cameras";

/// What an administrator asks for; [`ChangeOwnPassword`](Self::ChangeOwnPassword) is for everybody.
#[derive(Clone)]
pub enum AdminCommand {
    /// Shows users and rights from now on.
    Open,
    /// Registers a user.
    AddUser(NewUser),
    /// Changes name, e-mail address and whether the user is an administrator, of the version that was on the screen.
    EditUser(User),
    /// Deactivates or reactivates a user.
    SetUserActive {
        /// Badge number.
        cc: String,
        /// Reactivates.
        active: bool,
    },
    /// Gives a user a new password.
    SetUserPassword {
        /// Badge number.
        cc: String,
        /// The new one.
        password: String,
    },
    /// Says which cameras a user may see, of the version that was on the screen.
    SetUserCameras {
        /// Badge number.
        cc: String,
        /// These and no others.
        cameras: BTreeSet<CameraId>,
        /// Of the user, as it was on the screen.
        version: i64,
    },
    /// Gives whoever asks a new password.
    ChangeOwnPassword {
        /// The one they have.
        old: String,
        /// The one they want.
        new: String,
    },
    /// Registers a camera.
    AddCamera(CameraEdit),
    /// Changes a camera.
    EditCamera {
        /// Which.
        id: CameraId,
        /// What to change.
        edit: CameraEdit,
    },
    /// Connects to an address and shows the first picture.
    TestAddress {
        /// Whose address where none is typed.
        camera: Option<CameraId>,
        /// The address typed.
        url: Option<String>,
    },
}

impl AdminCommand {
    /// What stands in the log when it is refused, and whom or what it is about; `None` where nothing is done.
    pub(in crate::site) fn entry(&self) -> Option<(Action, Option<String>)> {
        Some(match self {
            Self::Open => return None,
            Self::AddUser(new) => (Action::CreateUser, Some(new.cc.trim().to_owned())),
            Self::EditUser(user) => (Action::EditUser, Some(user.cc.clone())),
            Self::SetUserActive { cc, active: true } => (Action::ReactivateUser, Some(cc.clone())),
            Self::SetUserActive { cc, active: false } => (Action::DeactivateUser, Some(cc.clone())),
            Self::SetUserPassword { cc, .. } => (Action::ChangePassword, Some(cc.clone())),
            Self::SetUserCameras { cc, .. } => (Action::ChangeRights, Some(cc.clone())),
            Self::ChangeOwnPassword { .. } => (Action::ChangePassword, None),
            Self::AddCamera(edit) => (Action::ChangeCamera, edit.name.clone()),
            Self::EditCamera { id, .. } => (Action::ChangeCamera, Some(id.to_string())),
            Self::TestAddress { camera, .. } => (Action::TestCamera, camera.map(|id| id.to_string())),
        })
    }
}

impl fmt::Debug for AdminCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Passwords and addresses are in some of them.
        match self.entry() {
            Some((action, target)) => write!(f, "AdminCommand({}, {target:?})", action.as_str()),
            None => f.write_str("AdminCommand(open)"),
        }
    }
}

/// A user with the cameras granted to them.
#[derive(Clone, Debug, PartialEq)]
pub struct UserView {
    /// The user.
    pub user: User,
    /// The cameras granted; whether that matters is said by [`AdminState::rights_hold`].
    pub cameras: BTreeSet<CameraId>,
}

/// What the administration screens show.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AdminState {
    /// All users by name; `None` before [`AdminCommand::Open`] was done.
    pub users: Option<Arc<Vec<UserView>>>,
    /// Why users cannot be shown, or are no longer the newest, in words.
    pub trouble: Option<String>,
    /// Grows by one with every answer.
    pub answers: u64,
    /// How the last command ended: what was done, or why it was not, in words.
    pub answer: Option<Result<String, String>>,
    /// The test of an address that was asked for last.
    pub test: Option<AddressTest>,
}

impl AdminState {
    /// Whether operators see only the cameras granted to them: as soon as anybody has a grant.
    pub fn rights_hold(&self) -> bool {
        self.users.iter().flat_map(|all| all.iter()).any(|view| !view.cameras.is_empty())
    }

    fn answer(&mut self, answer: Result<String, String>) {
        self.answers += 1;
        self.answer = Some(answer);
    }
}

/// A connection to an address, to see what it shows.
#[derive(Clone, Debug, PartialEq)]
pub struct AddressTest {
    /// The address without credentials.
    pub address: String,
    /// What became of it.
    pub outcome: TestOutcome,
}

/// What became of the test of an address.
#[derive(Clone, Debug, PartialEq)]
pub enum TestOutcome {
    /// Nothing yet.
    Connecting,
    /// The first picture, with the stream's width and height.
    Seen(Picture, (u32, u32)),
    /// Why there is none, in words without credentials.
    Failed(String),
}

type Done = Result<String, AdministrationError>;

impl Shared {
    /// Whether the user may ask for this now; a refusal is recorded and told.
    pub(in crate::site) async fn may_administer(&self, command: &AdminCommand, user: &User) -> bool {
        if matches!(command, AdminCommand::ChangeOwnPassword { .. }) {
            return true;
        }
        // As the user is now, not as of the last second. A store that does not answer refuses the command itself.
        let now = self.records.stores.users.user(&user.cc).await.ok().flatten();
        if matches!(now.as_ref().unwrap_or(user), User { is_admin: true, active: true, .. }) {
            return true;
        }
        if let Some((action, target)) = command.entry() {
            let mut entry =
                self.records.entry((&user.cc, &user.name), action, Outcome::Refused(ADMINISTRATORS_ONLY.to_owned()));
            entry.target = target;
            self.commit(&[Record::Action(entry)], "A refusal was not recorded").await;
        }
        self.error(format!("That was not done: {ADMINISTRATORS_ONLY}"));
        false
    }

    /// Does what is asked for and tells the screen how it ended.
    pub(in crate::site) async fn administer(self: &Arc<Self>, user: &User, command: AdminCommand) {
        let (by, records) = ((user.cc.as_str(), user.name.as_str()), &self.records);
        let done: Done = match command {
            AdminCommand::Open => return self.read_users(true).await,
            AdminCommand::TestAddress { camera, url } => return self.test_address(user, camera, url),
            AdminCommand::AddUser(new) => records.add_user(by, new).await.map(|u| format!("{} is registered", u.name)),
            AdminCommand::EditUser(edited) => {
                records.edit_user(by, &edited).await.map(|u| format!("{} is changed", u.name))
            }
            AdminCommand::SetUserActive { cc, active } => {
                let words = if active { "reactivated" } else { "deactivated" };
                records.set_user_active(by, &cc, active).await.map(|u| format!("{} is {words}", u.name))
            }
            AdminCommand::SetUserPassword { cc, password } => {
                let done = records.set_user_password(by, &cc, password).await;
                done.map(|u| format!("{} has a new password", u.name))
            }
            AdminCommand::SetUserCameras { cc, cameras, version } => {
                let done = records.set_user_cameras(by, &cc, &cameras, version).await;
                done.map(|u| format!("The rights of {} are changed", u.name))
            }
            AdminCommand::ChangeOwnPassword { old, new } => self.change_own_password(user, &old, new).await,
            AdminCommand::AddCamera(edit) => match records.add_camera(by, &edit).await {
                Ok(camera) => {
                    let name = camera.name.clone();
                    self.change_cameras(vec![located(camera)]).await;
                    Ok(format!("{name} is registered"))
                }
                Err(error) => Err(error),
            },
            AdminCommand::EditCamera { id, edit } => match records.edit_camera(by, &id.to_string(), &edit).await {
                Ok(camera) => {
                    let name = camera.name.clone();
                    self.change_cameras(self.located(camera).into_iter().collect()).await;
                    Ok(format!("{name} is changed"))
                }
                Err(error) => Err(error),
            },
        };
        self.read_users(false).await;
        self.board.lock().change_admin(|admin| admin.answer(done.map_err(|e| sentence(&e.to_string()))));
    }

    /// The one who asks says the old password again: an unattended screen must not give an account away.
    async fn change_own_password(&self, user: &User, old: &str, new: String) -> Done {
        let (by, records) = ((user.cc.as_str(), user.name.as_str()), &self.records);
        let verified = records.stores.users.verify_login(&user.cc, old, &records.console, records.clock.now()).await;
        let refused = match verified {
            Ok(LoginOutcome::Granted(_)) => {
                let done = records.set_user_password(by, &user.cc, new).await;
                return done.map(|_| "Your password is changed".to_owned());
            }
            Ok(LoginOutcome::Locked { until }) => Ok(AdministrationError::Locked(until)),
            Ok(LoginOutcome::WrongCredentials { .. } | LoginOutcome::Deactivated) => {
                Ok(AdministrationError::OldPassword)
            }
            Err(error) => Err(error),
        };
        let error = refused.unwrap_or_else(AdministrationError::User);
        records.recorded(by, Action::ChangePassword, &user.cc, serde_json::Value::Null, Err(error)).await
    }

    /// Reads users and rights for the screen of an administrator: where `opened`, from now on; else when they changed since
    /// they were read and the screen shows them. Asked for once a second.
    pub(in crate::site) async fn read_users(&self, opened: bool) {
        let shown = {
            let board = self.board.lock();
            board.is_admin() && (opened || board.admin().users.is_some() || board.admin().trouble.is_some())
        };
        if !shown {
            return;
        }
        let read = self.users_if_changed(opened).await;
        let mut board = self.board.lock();
        if !board.is_admin() {
            return; // left meanwhile
        }
        match read {
            Ok(None) => board.change_admin(|admin| admin.trouble = None),
            Ok(Some((version, users))) => {
                board.users_read = version;
                board.change_admin(|admin| (admin.users, admin.trouble) = (Some(Arc::new(users)), None));
            }
            Err(error) => {
                board.change_admin(|admin| admin.trouble = Some(format!("Users cannot be read: {error}")));
            }
        }
    }

    async fn users_if_changed(&self, opened: bool) -> Result<Option<(i64, Vec<UserView>)>, StoreError> {
        let store = &self.records.stores.users;
        let version = store.users_version().await?;
        let known = {
            let board = self.board.lock();
            board.admin().users.is_some() && board.users_read == version
        };
        if known && !opened {
            return Ok(None);
        }
        let mut grants = store.all_grants().await?;
        let view = |user: User| UserView { cameras: grants.remove(&user.cc).unwrap_or_default(), user };
        Ok(Some((version, store.users().await?.into_iter().map(view).collect())))
    }

    /// Connects without keeping anybody waiting; the answer is on the board when there is one.
    fn test_address(self: &Arc<Self>, user: &User, camera: Option<CameraId>, url: Option<String>) {
        let path = camera.and_then(|id| self.cameras.get(id));
        let Some(url) = url.or_else(|| path.map(|p| p.address().to_owned())) else { return };
        let address = redact_url(&url);
        let test = AddressTest { address: address.clone(), outcome: TestOutcome::Connecting };
        self.board.lock().change_admin(|admin| admin.test = Some(test));
        let (shared, user) = (Arc::clone(self), user.clone());
        self.runtime.spawn(async move {
            let source = shared.config.source(&url);
            let clock = Arc::clone(&shared.records.clock);
            let seen = tokio::task::spawn_blocking(move || first_picture(source, clock)).await;
            let seen = seen.unwrap_or_else(|_| Err("The console is closing".to_owned()));
            let outcome = seen.as_ref().map_or_else(|why| Outcome::Failed(why.clone()), |_| Outcome::Succeeded);
            let mut entry = shared.records.entry((&user.cc, &user.name), Action::TestCamera, outcome);
            entry.target = camera.map(|id| id.to_string());
            entry.details = json!({ "url": address, "camera_id": camera });
            // Who looks unrecorded sees nothing.
            if !shared.commit(&[Record::Action(entry)], "That was not recorded, so it is not shown").await {
                shared.board.lock().change_admin(|admin| admin.test = None);
                return;
            }
            let outcome = seen.map_or_else(TestOutcome::Failed, |(picture, size)| TestOutcome::Seen(picture, size));
            shared.board.lock().change_admin(|admin| {
                if let Some(test) = admin.test.as_mut().filter(|test| test.address == address) {
                    test.outcome = outcome;
                }
            });
        });
    }
}

/// Connects and waits for the first picture.
fn first_picture(
    config: crate::video::SourceConfig,
    clock: Arc<dyn crate::model::Clock>,
) -> Result<(Picture, (u32, u32)), String> {
    if !crate::model::is_stream_address(&config.url) {
        return Err(sentence(&AdministrationError::CameraAddress.to_string()));
    }
    let deadline = Instant::now() + config.connect_timeout + TEST_GRACE;
    let (sender, frames) = mpsc::sync_channel::<Frame>(1);
    let sender = Mutex::new(sender);
    let source = Source::open(config, clock, move |frame, _| {
        let _ = sender.lock().unwrap_or_else(PoisonError::into_inner).try_send(frame); // the first is enough
    });
    let seen = loop {
        match frames.recv_timeout(Duration::from_millis(100)) {
            Ok(frame) => {
                let size = (frame.width(), frame.height());
                let whole = Rect::new(0.0, 0.0, size.0 as f32, size.1 as f32);
                let picture = frame.picture(whole, TEST_SIDE);
                break picture.map(|p| (p, size)).ok_or_else(|| "The stream's picture cannot be shown".to_owned());
            }
            Err(_) => match source.state() {
                // One that is connected may only wait for a key frame.
                SourceState::Stale { reason, .. } if !source.is_connected() || Instant::now() >= deadline => {
                    break Err(reason);
                }
                _ if Instant::now() >= deadline => break Err("The address does not answer in time".to_owned()),
                _ => {}
            },
        }
    };
    source.stop();
    seen
}

/// A message as a sentence of its own.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
