//! A site without its cameras running: what the command line works on.
use super::{
    SiteConfig, SiteError,
    administration::{AdministrationError, CameraEdit},
    calibration::SiteCalibration,
    check::Checked,
    console_user,
    export::{ExportError, ExportPlan, ExportProgress, ExportRequest, Exported},
    finding::{FindError, FindRequest, Found},
    migrate::{MigrateError, MigrateProgress, Migrated},
    records::{Actor, Records},
    state::StartFrom,
    upload::{UploadError, UploadStep, UploadWish, start_of},
};
use crate::{
    audit::{Finding, Format},
    model::{Action, ActionRecord, Camera, Clock, CommonGround, Hash, Job, Looked, Rights, Timestamp, Upload, User},
    store::{Addresses, DataFolder, LogFilter, NewUser, StoreError},
    sync::{Health, RefusedRecord},
    video::probe,
};
use std::{future::Future, path::Path, sync::Arc, time::Duration};
use tokio::runtime::Runtime;

/// The records of a site, opened to administer or audit it. All it does is recorded as done by the console's user of the
/// operating system. Dropping it delivers what was recorded.
pub struct Office {
    console_user: String,
    site: String,
    records: Records,
    runtime: Runtime,
    stores: Addresses,
    folder: DataFolder,
}

impl Office {
    /// Opens the data folder and the stores.
    ///
    /// # Errors
    /// When the folder is in use by a running Vigia, or a store cannot be used.
    pub fn open(config: &SiteConfig, data: &Path, clock: Arc<dyn Clock>) -> Result<Self, SiteError> {
        let folder = DataFolder::open(data)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let records = runtime.block_on(Records::open(&folder, config, clock))?;
        let (site, stores) = (config.name.clone(), config.stores.clone());
        Ok(Self { console_user: console_user(), site, records, runtime, stores, folder })
    }

    fn who(&self) -> Actor<'_> {
        (&self.console_user, "")
    }

    /// Does something that is recorded, and writes the new head of the chain down.
    fn act<T>(
        &self,
        action: Action,
        work: impl Future<Output = Result<T, AdministrationError>>,
    ) -> Result<T, AdministrationError> {
        self.runtime.block_on(async {
            self.permit(action).await.map_err(SiteError::from)?;
            let done = work.await;
            self.records.anchor().await?;
            done
        })
    }

    /// Refuses, and records that, where the site wants nothing done while the log is away.
    async fn permit(&self, action: Action) -> Result<(), StoreError> {
        self.records.permit(self.who(), action).await
    }

    /// Registers a user; the first must be an administrator.
    ///
    /// # Errors
    /// [`AdministrationError`]; it is recorded, too.
    pub fn add_user(&self, new: NewUser) -> Result<User, AdministrationError> {
        self.act(Action::CreateUser, self.records.add_user(self.who(), new))
    }

    /// All users.
    ///
    /// # Errors
    /// The store's trouble.
    pub fn users(&self) -> Result<Vec<User>, SiteError> {
        Ok(self.runtime.block_on(self.records.stores.users.users())?)
    }

    /// Deactivates or reactivates a user.
    ///
    /// # Errors
    /// [`AdministrationError`]; it is recorded, too.
    pub fn set_user_active(&self, cc: &str, active: bool) -> Result<User, AdministrationError> {
        let action = if active { Action::ReactivateUser } else { Action::DeactivateUser };
        self.act(action, self.records.set_user_active(self.who(), cc, active))
    }

    /// Gives a user a new password.
    ///
    /// # Errors
    /// [`AdministrationError`]; it is recorded, too.
    pub fn set_user_password(&self, cc: &str, password: String) -> Result<User, AdministrationError> {
        self.act(Action::ChangePassword, self.records.set_user_password(self.who(), cc, password))
    }

    /// Says which cameras (names or ids) a user may see.
    ///
    /// # Errors
    /// [`AdministrationError`]; it is recorded, too.
    pub fn set_user_cameras(&self, cc: &str, cameras: &[String]) -> Result<User, AdministrationError> {
        self.act(Action::ChangeRights, self.records.name_user_cameras(self.who(), cc, cameras))
    }

    /// What became of the frames of a camera (its name or id) in the minute of `at`, at each console.
    ///
    /// # Errors
    /// When there is no such camera; the store's trouble.
    pub fn looked(&self, camera: &str, at: Timestamp) -> Result<Vec<Looked>, AdministrationError> {
        let cameras = self.cameras()?;
        let id = cameras.iter().find(|c| c.name == camera || c.id.to_string() == camera).map(|c| c.id);
        let id = id.ok_or_else(|| AdministrationError::NoCamera(camera.to_owned()))?;
        let minute = Looked::minute_of(at);
        let until = minute.plus(Duration::from_secs(60));
        let looked = self.runtime.block_on(self.records.stores.cameras.looked(id, minute, until));
        Ok(looked.map_err(SiteError::from)?)
    }

    /// Registers a camera.
    ///
    /// # Errors
    /// [`AdministrationError`]; it is recorded, too.
    pub fn add_camera(&self, edit: &CameraEdit) -> Result<Camera, AdministrationError> {
        self.act(Action::ChangeCamera, self.records.add_camera(self.who(), edit))
    }

    /// Changes a camera, named by its name or id.
    ///
    /// # Errors
    /// [`AdministrationError`]; it is recorded, too.
    pub fn edit_camera(&self, which: &str, edit: &CameraEdit) -> Result<Camera, AdministrationError> {
        self.act(Action::ChangeCamera, self.records.edit_camera(self.who(), which, edit))
    }

    /// All cameras, deactivated ones too.
    ///
    /// # Errors
    /// The store's trouble.
    pub fn cameras(&self) -> Result<Vec<Camera>, AdministrationError> {
        self.runtime.block_on(self.records.cameras())
    }

    /// What running consoles learned of views that overlap, where it is known still; the cameras by their names.
    ///
    /// # Errors
    /// The store's trouble.
    pub fn grounds(&self) -> Result<Vec<([String; 2], CommonGround)>, AdministrationError> {
        let cameras = self.cameras()?;
        let known = self.runtime.block_on(self.records.stores.cameras.grounds()).map_err(SiteError::from)?;
        let named = |id| cameras.iter().find(|c| c.id == id).map(|c| c.name.clone());
        let both = |g: CommonGround| Some(([named(g.cameras.0)?, named(g.cameras.1)?], g));
        Ok(known.into_iter().filter(|g| g.walks > 0).filter_map(both).collect())
    }

    /// Uploads a file as video of a camera, named by its name or id. Without a start, that of the file's name or of the file
    /// itself is taken. Called again after an interruption it goes on where it was.
    ///
    /// # Errors
    /// [`UploadError`]; it is recorded, too.
    pub fn upload(
        &self,
        path: &Path,
        camera: &str,
        starts_at: Option<Timestamp>,
        progress: &(dyn Fn(UploadStep<'_>) + Send + Sync),
    ) -> Result<Upload, UploadError> {
        self.runtime.block_on(async {
            self.permit(Action::UploadVideo).await?;
            let mut of = None;
            let uploaded = async {
                let cameras = self.records.stores.cameras.cameras().await?;
                let found = cameras.iter().find(|c| c.name == camera || c.id.to_string() == camera);
                let camera = found.ok_or_else(|| UploadError::NoCamera(camera.to_owned()))?.id;
                of = Some(camera);
                let given = starts_at.map(|t| (t, StartFrom::Operator));
                let start = match given {
                    None => start_of(path, &probe(path)?),
                    given => given,
                };
                let (starts_at, start_from) = start.ok_or(UploadError::NoStart)?;
                let wish = UploadWish { path: path.to_owned(), camera, starts_at, start_from };
                self.records.upload(self.who(), &Rights::All, &wish, progress).await
            };
            let uploaded = uploaded.await;
            if let Err(error) = &uploaded {
                self.records.not_uploaded(self.who(), path, of, error).await?;
            }
            if let Err(error) = self.records.anchor().await {
                tracing::warn!("the end of the action log was not written down elsewhere: {error}");
            }
            uploaded
        })
    }

    /// Fits the site's own curves from likeness to probability to what was confirmed and rejected, where that is enough. Recorded.
    ///
    /// # Errors
    /// The store's trouble.
    pub fn calibrate(&self) -> Result<Vec<SiteCalibration>, SiteError> {
        self.runtime.block_on(async {
            let found = self.records.calibrate(self.who()).await;
            self.records.anchor().await?;
            found
        })
    }

    /// Compares the stores with each other, see [`Checked`]; `deep` reads every object, `repair` puts right what can be derived.
    /// Recorded.
    ///
    /// # Errors
    /// The first store that does not answer, and when records still wait for one: then nothing is known.
    pub fn check(&self, deep: bool, repair: bool) -> Result<Checked, SiteError> {
        self.runtime.block_on(async {
            self.permit(Action::CheckStores).await?;
            let checked = self.records.check(self.who(), deep, repair).await;
            self.records.anchor().await?;
            checked
        })
    }

    /// Copies the site to the stores of another configuration, and compares the copy with it. Embedded stores of that configuration
    /// are in the data folder `to`, else in this one. What is at the target is never replaced; called again after an interruption
    /// it goes on.
    ///
    /// # Errors
    /// [`MigrateError`]; it is recorded, too.
    pub fn migrate(
        &self,
        config: &SiteConfig,
        to: Option<&Path>,
        progress: MigrateProgress<'_>,
    ) -> Result<Migrated, MigrateError> {
        self.runtime.block_on(self.permit(Action::MigrateSite))?;
        let other = to.filter(|to| *to != self.folder.path()).map(DataFolder::open).transpose()?;
        let folder = other.as_ref().unwrap_or(&self.folder);
        let here = self.stores.in_folder(&self.folder);
        self.runtime.block_on(self.records.migrate(self.who(), here, config, folder, progress))
    }

    /// How the delivery to each store is doing, after one more attempt, and the records that stores refused for what they are.
    ///
    /// # Errors
    /// The journal's trouble.
    pub fn journal(&self) -> Result<(Vec<Health>, Vec<RefusedRecord>), SiteError> {
        self.runtime.block_on(async {
            self.records.delivery.flush().await;
            Ok((self.records.delivery.health(), self.records.journal.refusals(u32::MAX).await?))
        })
    }

    /// Offers all refused records to their stores again; returns how many. Recorded.
    ///
    /// # Errors
    /// The journal's trouble.
    pub fn offer_again(&self) -> Result<u64, SiteError> {
        self.runtime.block_on(async {
            self.permit(Action::RetryRecords).await?;
            let refused = self.records.journal.refusals(u32::MAX).await?;
            let ids: Vec<i64> = refused.iter().map(|record| record.id).collect();
            self.records.offer_again(self.who(), &ids).await
        })
    }

    /// The newest analyses of recorded video, and all that are not over, newest first.
    ///
    /// # Errors
    /// The store's trouble.
    pub fn jobs(&self) -> Result<Vec<Job>, SiteError> {
        Ok(self.runtime.block_on(self.records.stores.cameras.jobs(100))?)
    }

    /// Checks the action log: how many entries there are, and all that is wrong with them. Recorded as a reading.
    ///
    /// # Errors
    /// The store's trouble: then nothing is known.
    pub fn verify_log(&self) -> Result<(u64, Vec<Finding>), SiteError> {
        self.runtime.block_on(async {
            self.permit(Action::AccessLogs).await?;
            self.records.delivery.flush().await;
            let done = self.records.verify_log(self.who(), &|_| {}).await;
            self.records.anchor().await?;
            done
        })
    }

    /// The entry that recorded the export with this seal.
    ///
    /// # Errors
    /// The store's trouble.
    pub fn export_entry(&self, seal: Hash) -> Result<Option<ActionRecord>, SiteError> {
        self.runtime.block_on(self.records.export_entry(seal))
    }

    /// What an export of evidence would hold, and what is missing.
    ///
    /// # Errors
    /// [`ExportError`].
    pub fn plan_export(&self, request: &ExportRequest) -> Result<ExportPlan, ExportError> {
        self.runtime.block_on(self.records.plan_export(&Rights::All, request))
    }

    /// Writes a package of evidence, whole or not at all.
    ///
    /// # Errors
    /// [`ExportError`]; it is recorded, too.
    pub fn export_evidence(&self, request: &ExportRequest, progress: ExportProgress) -> Result<Exported, ExportError> {
        self.runtime.block_on(async {
            self.permit(Action::ExportEvidence).await?;
            let who = self.who();
            let done = self.records.export_evidence(who, &Rights::All, &self.site, request, progress).await;
            self.records.anchor().await?;
            done
        })
    }

    /// Ranks everybody seen by how probably it is that person; also how many looks were compared.
    ///
    /// # Errors
    /// [`FindError`]; it is recorded, too.
    pub fn find_people(&self, request: &FindRequest) -> Result<(Vec<Found>, usize), FindError> {
        self.runtime.block_on(async {
            self.permit(Action::FindPerson).await.map_err(SiteError::from)?;
            let found = self.records.find_people(self.who(), request).await;
            self.records.anchor().await?;
            found
        })
    }

    /// Writes the entries that pass the filter to a file; returns how many.
    ///
    /// # Errors
    /// The store's or the file's trouble; it is recorded, too.
    pub fn export_log(&self, filter: &LogFilter, format: Format, to: &Path) -> Result<u64, SiteError> {
        self.runtime.block_on(async {
            self.permit(Action::ExportLog).await?;
            self.records.delivery.flush().await;
            let done = self.records.export_log(self.who(), filter, format, to, &|_| {}).await;
            self.records.anchor().await?;
            done
        })
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        self.runtime.block_on(self.records.delivery.flush());
    }
}
