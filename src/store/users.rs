//! Who may log in.
use super::{
    Address, StoreError,
    password::{self, PasswordProblem},
    sql::{Row, Schema, SqlDatabase, Statement, Transaction, sql},
};
use crate::model::{CameraId, Outcome, Rights, Timestamp, User};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

static SCHEMA: Schema =
    Schema { sqlite: sqlx::migrate!("migrations/users/sqlite"), postgres: sqlx::migrate!("migrations/users/postgres") };

/// How failures in a row are slowed down: so many are free, the next locks for a while, each further one twice as long.
struct Throttle {
    free: u32,
    first: Duration,
    longest: Duration,
}

/// One badge number at one console. Only here is the lock long, so that whoever types wrong passwords at one console locks
/// nobody out of the others.
const NUMBER_HERE: Throttle =
    Throttle { free: 4, first: Duration::from_secs(30), longest: Duration::from_secs(15 * 60) };
/// One badge number over all consoles, against somebody with several. From one console alone it takes hours to get here, and
/// every login of the user starts the count anew; NIST SP 800-63B-4 allows 100 failures in a row at most.
const NUMBER_ANYWHERE: Throttle =
    Throttle { free: 19, first: Duration::from_secs(30), longest: Duration::from_secs(15 * 60) };
/// One console, whatever numbers are typed: one password after another for all numbers becomes slow. The lock stays short, for
/// it holds up everybody at this console.
const CONSOLE: Throttle = Throttle { free: 9, first: Duration::from_secs(5), longest: Duration::from_secs(60) };
/// After this long without an attempt the failures of a number that belongs to nobody are forgotten.
const FORGET_STRANGERS: Duration = Duration::from_secs(24 * 3600);
const MAX_FIELD: usize = 200;

/// A user to be.
#[derive(Clone)]
pub struct NewUser {
    /// Citizen-card or badge number.
    pub cc: String,
    /// E-mail address.
    pub email: String,
    /// Full name.
    pub name: String,
    /// The password, see [`PasswordProblem`].
    pub password: String,
    /// May manage users and cameras and read the logs.
    pub is_admin: bool,
}

impl std::fmt::Debug for NewUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NewUser({}, password not shown)", self.cc)
    }
}

/// Why a user was not created, or a login not decided.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// Not a number anybody has.
    #[error("enter the badge number: up to {MAX_FIELD} characters on one line")]
    BadNumber,
    /// No name.
    #[error("enter the full name: up to {MAX_FIELD} characters on one line")]
    BadName,
    /// Not an address.
    #[error("enter an e-mail address such as name@example.org")]
    BadEmail,
    /// Not a password to keep.
    #[error(transparent)]
    BadPassword(#[from] PasswordProblem),
    /// The number is taken.
    #[error("there is already a user with this badge number")]
    Exists,
    /// Users exist; administrators create the others.
    #[error("this site has an administrator already: log in")]
    NotTheFirst,
    /// Nobody has the number.
    #[error("there is no user with this badge number")]
    Unknown,
    /// Somebody else changed the user meanwhile.
    #[error("somebody else changed this user meanwhile: look at what it is now, then change it again")]
    Changed,
    /// Nobody locks themselves out.
    #[error("nobody can deactivate themselves: ask another administrator")]
    Yourself,
    /// Somebody must be able to manage users.
    #[error("this is the last active administrator: make somebody else an administrator first")]
    LastAdministrator,
    /// The password could not be worked on.
    #[error("the password could not be worked on: {0}")]
    Hashing(String),
    /// The store's trouble.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl UserError {
    /// How an action ended that ended with this: the rules said no, or it went wrong.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Store(_) | Self::Hashing(_) => Outcome::Failed(self.to_string()),
            _ => Outcome::Refused(self.to_string()),
        }
    }
}

/// How a login ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginOutcome {
    /// This is the user.
    Granted(User),
    /// No such user, or not the password: nobody learns which.
    WrongCredentials {
        /// Set when the number is locked from now on.
        locked_until: Option<Timestamp>,
    },
    /// The password is right and the user deactivated.
    Deactivated,
    /// Too many failures: refused without a look at the password.
    Locked {
        /// No attempt is accepted before.
        until: Timestamp,
    },
}

/// The users of a site, in SQLite or PostgreSQL. Cloning shares it.
#[derive(Clone, Debug)]
pub struct UserStore {
    db: SqlDatabase,
}

impl UserStore {
    /// Opens the store at `address` (`sqlite:`, created where missing, or `postgres:`).
    ///
    /// # Errors
    /// [`StoreError`]: not reachable, refused, damaged, newer, read-only, full.
    pub async fn connect(address: &Address) -> Result<Self, StoreError> {
        Ok(Self { db: SqlDatabase::connect(address, &SCHEMA).await? })
    }

    /// Like [`connect`](Self::connect); but a server that does not answer now is taken up when it does, and every question until
    /// then ends with [`StoreError::Unavailable`].
    ///
    /// # Errors
    /// [`StoreError`]: refused, damaged, newer, misconfigured, read-only, full.
    pub async fn connect_late(address: &Address) -> Result<Self, StoreError> {
        Ok(Self { db: SqlDatabase::connect_late(address, &SCHEMA).await? })
    }

    /// Why the server has not been reached yet; `None` once it has.
    pub(super) fn trouble(&self) -> Option<String> {
        self.db.trouble()
    }

    /// Tries to reach the server, where it has not been reached yet.
    pub(super) async fn reach(&self) {
        let _ = self.db.get().await; // how it went is what `trouble` says
    }

    /// Opens the database, creating it where missing.
    ///
    /// # Errors
    /// [`StoreError`]: damaged, newer, read-only, full.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::connect(&Address::sqlite(path.as_ref())).await
    }

    /// For whoever copies all of it.
    pub(crate) fn database(&self) -> &SqlDatabase {
        &self.db
    }

    /// Whether anybody is registered, active or not.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn any_user(&self) -> Result<bool, StoreError> {
        let found = self.db.fetch(sql("SELECT cc FROM users LIMIT 1"), |_| Ok(())).await?;
        Ok(!found.is_empty())
    }

    /// Registers a user. Number, name and address are trimmed.
    ///
    /// # Errors
    /// [`UserError`]: a field that is not accepted, or a number that is taken.
    pub async fn create(&self, user: NewUser, now: Timestamp) -> Result<User, UserError> {
        let (user, password) = accept(user).await?;
        let mut tx = self.db.write().await?;
        if find(&mut tx, &user.cc).await?.is_some() {
            return Err(UserError::Exists);
        }
        tx.execute(insertion(&user, &password, now)).await?;
        tx.commit().await?;
        Ok(user)
    }

    /// Registers the first user, who is an administrator whatever `user` says. Of several at once, one succeeds.
    ///
    /// # Errors
    /// [`UserError::NotTheFirst`] once anybody is registered; otherwise as [`create`](Self::create).
    pub async fn create_first_administrator(&self, user: NewUser, now: Timestamp) -> Result<User, UserError> {
        if self.any_user().await? {
            return Err(UserError::NotTheFirst);
        }
        let (user, password) = accept(NewUser { is_admin: true, ..user }).await?;
        let mut tx = self.db.write().await?;
        if !tx.fetch(sql("SELECT cc FROM users LIMIT 1"), |_| Ok(())).await?.is_empty() {
            return Err(UserError::NotTheFirst);
        }
        tx.execute(insertion(&user, &password, now)).await?;
        tx.commit().await?;
        Ok(user)
    }

    /// All users, deactivated ones too, by name.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn users(&self) -> Result<Vec<User>, StoreError> {
        self.db.fetch(sql("SELECT * FROM users ORDER BY name, cc"), user_from_row).await
    }

    /// The user with this number.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn user(&self, cc: &str) -> Result<Option<User>, StoreError> {
        Ok(self.db.fetch(finding(cc), user_from_row).await?.pop())
    }

    /// Changes name, e-mail address and whether the user is an administrator; returns the user as it is now.
    ///
    /// # Errors
    /// [`UserError`]: unknown, changed by somebody else since `user.version`, a field that is not accepted, the last
    /// administrator; or the store's trouble.
    pub async fn edit(&self, user: &User) -> Result<User, UserError> {
        let wanted = accept_fields(user)?;
        let mut tx = self.db.write().await?;
        let there = at_version(&mut tx, &wanted.cc, wanted.version).await?;
        let edited = User { active: there.active, version: there.version + 1, ..wanted };
        keep_an_administrator(&mut tx, &there, &edited).await?;
        tx.execute(update(&edited)).await?;
        tx.commit().await?;
        Ok(edited)
    }

    /// Deactivates or reactivates the user, on behalf of `by` (a number, or who acts at the console).
    ///
    /// # Errors
    /// [`UserError`]: unknown, changed by somebody else since `version`, oneself, the last administrator; or the store's
    /// trouble.
    pub async fn set_active(&self, cc: &str, active: bool, by: &str, version: i64) -> Result<User, UserError> {
        if !active && cc == by {
            return Err(UserError::Yourself);
        }
        let mut tx = self.db.write().await?;
        let there = at_version(&mut tx, cc, version).await?;
        let edited = User { active, version: there.version + 1, ..there.clone() };
        keep_an_administrator(&mut tx, &there, &edited).await?;
        tx.execute(update(&edited)).await?;
        tx.commit().await?;
        Ok(edited)
    }

    /// Gives the user a new password and forgets failed attempts.
    ///
    /// # Errors
    /// [`UserError`]: unknown, or a password that is not accepted; or the store's trouble.
    pub async fn set_password(&self, cc: &str, password: String) -> Result<User, UserError> {
        let user = self.user(cc).await?.ok_or(UserError::Unknown)?;
        let kept = accept_password(&user, password).await?;
        let mut tx = self.db.write().await?;
        let update = sql("UPDATE users SET password = $2, version = version + 1 WHERE cc = $1 RETURNING *");
        let changed = tx.fetch(update.bind(cc).bind(kept), user_from_row).await?.pop().ok_or(UserError::Unknown)?;
        tx.execute(forgetting(cc)).await?;
        tx.commit().await?;
        Ok(changed)
    }

    /// The cameras granted to the user, whether or not that matters now (see [`may_see`](Self::may_see)).
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn grants(&self, cc: &str) -> Result<BTreeSet<CameraId>, StoreError> {
        let granted = sql("SELECT camera FROM camera_grants WHERE cc = $1").bind(cc);
        Ok(self.db.fetch(granted, |row| row.uuid("camera")).await?.into_iter().collect())
    }

    /// The cameras granted to each user who has any.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn all_grants(&self) -> Result<BTreeMap<String, BTreeSet<CameraId>>, StoreError> {
        let granted = |row: &Row| Ok((row.get::<String>("cc")?, row.uuid("camera")?));
        let mut grants: BTreeMap<String, BTreeSet<CameraId>> = BTreeMap::new();
        for (cc, camera) in self.db.fetch(sql("SELECT cc, camera FROM camera_grants"), granted).await? {
            grants.entry(cc).or_default().insert(camera);
        }
        Ok(grants)
    }

    /// A number that grows whenever a user or somebody's rights are changed: cheap to ask for, again and again.
    ///
    /// # Errors
    /// The store's trouble.
    pub async fn users_version(&self) -> Result<i64, StoreError> {
        // No row is ever deleted, and versions only grow.
        let sum = sql("SELECT CAST(COALESCE(SUM(version), 0) AS BIGINT) AS version FROM users");
        Ok(self.db.fetch(sum, |row| row.get("version")).await?.pop().unwrap_or(0))
    }

    /// Grants exactly these cameras to the user, who is one version on then.
    ///
    /// # Errors
    /// [`UserError`]: unknown, or changed by somebody else since `version`; or the store's trouble.
    pub async fn set_grants(&self, cc: &str, cameras: &BTreeSet<CameraId>, version: i64) -> Result<User, UserError> {
        let mut tx = self.db.write().await?;
        let there = at_version(&mut tx, cc, version).await?;
        let changed = User { version: there.version + 1, ..there };
        tx.execute(update(&changed)).await?;
        tx.execute(sql("DELETE FROM camera_grants WHERE cc = $1").bind(cc)).await?;
        for camera in cameras {
            let grant = sql("INSERT INTO camera_grants (cc, camera) VALUES ($1, $2)");
            tx.execute(grant.bind(cc).bind(*camera)).await?;
        }
        tx.commit().await?;
        Ok(changed)
    }

    /// What the user may see: administrators everything; operators everything while the site has no grant at all, and
    /// their own cameras alone once it has one.
    ///
    /// # Errors
    /// The store's trouble; then nothing may be shown.
    pub async fn may_see(&self, user: &User) -> Result<Rights, StoreError> {
        if user.is_admin {
            return Ok(Rights::All);
        }
        let any = self.db.fetch(sql("SELECT cc FROM camera_grants LIMIT 1"), |_| Ok(())).await?;
        Ok(if any.is_empty() { Rights::All } else { Rights::Only(self.grants(&user.cc).await?) })
    }

    /// Decides a login at `console`.
    ///
    /// After five failures in a row at one console the number is locked there, for 30 s and then twice as long with every
    /// further failure up to 15 min, also over a restart; after twenty on whatever consoles it is locked on all. After ten
    /// failures with whatever numbers the console is locked for 5 s up to a minute. A number that belongs to nobody is treated alike and takes as long, so that the
    /// answer does not tell who is a user.
    ///
    /// # Errors
    /// The store's trouble; nobody is logged in then.
    pub async fn verify_login(
        &self,
        cc: &str,
        password: &str,
        console: &str,
        now: Timestamp,
    ) -> Result<LoginOutcome, UserError> {
        let cc: String = cc.trim().chars().take(MAX_FIELD).collect();
        if cc.is_empty() {
            return Ok(LoginOutcome::WrongCredentials { locked_until: None }); // nobody's number
        }
        // The failure is written before the password is looked at: attempts at the same time, or a kill in the middle,
        // gain nothing.
        let locked_until = match self.count_attempt(&cc, console, now).await? {
            Attempt::Refused(until) => return Ok(LoginOutcome::Locked { until }),
            Attempt::Counted(locked_until) => locked_until,
        };
        let with_password = |row: &Row| Ok((user_from_row(row)?, row.get::<String>("password")?));
        let (user, kept) = self.db.fetch(finding(&cc), with_password).await?.pop().unzip();
        let password = password.to_owned();
        let (right, renewed) = blocking(move || {
            let right = password::verify(&password, kept.as_deref());
            let old = kept.filter(|kept| right && !password::is_current(kept));
            Ok((right, old.and_then(|old| Some((old, password::hash(&password).ok()?)))))
        })
        .await?;
        match user {
            Some(user) if right => {
                let forgetting = sql("DELETE FROM login_attempts
                     WHERE (cc = $1 AND (console = $2 OR console = '')) OR (cc = '' AND console = $2)");
                self.db.execute(forgetting.bind(&cc).bind(console)).await?;
                if let Some((old, new)) = renewed {
                    self.renew_hash(&cc, &old, &new).await;
                }
                Ok(if user.active { LoginOutcome::Granted(user) } else { LoginOutcome::Deactivated })
            }
            _ => Ok(LoginOutcome::WrongCredentials { locked_until }),
        }
    }

    /// Keeps the password under the settings of today, unless it was changed meanwhile. Not a change of the user, so the
    /// version stays; where it does not succeed the next login tries again.
    async fn renew_hash(&self, cc: &str, old: &str, new: &str) {
        let renewal =
            sql("UPDATE users SET password = $3 WHERE cc = $1 AND password = $2").bind(cc).bind(old).bind(new);
        if let Err(e) = self.db.execute(renewal).await {
            tracing::warn!("a password stays under older settings: {e}");
        }
    }

    async fn count_attempt(&self, cc: &str, console: &str, now: Timestamp) -> Result<Attempt, StoreError> {
        let mut tx = self.db.write().await?;
        let mut counted = Vec::new();
        let mut refused_until = None;
        for (cc, console, throttle) in [(cc, console, NUMBER_HERE), (cc, "", NUMBER_ANYWHERE), ("", console, CONSOLE)] {
            let before = sql("SELECT failures, locked_until FROM login_attempts WHERE cc = $1 AND console = $2");
            let read = |row: &Row| Ok((row.get::<i64>("failures")?, row.instant_or_null("locked_until")?));
            let (failures, lock) = tx.fetch(before.bind(cc).bind(console), read).await?.pop().unwrap_or_default();
            // A clock that went far back must not lock anybody out for longer than a lock can be.
            let lock = lock.filter(|until| now < *until && *until <= now.plus(throttle.longest));
            refused_until = refused_until.max(lock);
            let failures = u32::try_from(failures).unwrap_or(u32::MAX).saturating_add(1);
            counted.push((cc, console, failures, throttle.lock_after(failures).map(|d| now.plus(d))));
        }
        if let Some(until) = refused_until {
            return Ok(Attempt::Refused(until));
        }
        let mut locked_until = None;
        for (cc, console, failures, lock) in counted {
            let counting = sql("INSERT INTO login_attempts (cc, console, failures, last_failed_at, locked_until)
                 VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (cc, console) DO UPDATE SET failures = excluded.failures,
                 last_failed_at = excluded.last_failed_at, locked_until = excluded.locked_until");
            tx.execute(counting.bind(cc).bind(console).bind(failures).bind(now).bind(lock)).await?;
            locked_until = locked_until.max(lock);
        }
        let strangers =
            sql("DELETE FROM login_attempts WHERE last_failed_at < $1 AND cc NOT IN (SELECT cc FROM users)");
        tx.execute(strangers.bind(now.minus(FORGET_STRANGERS))).await?;
        tx.commit().await?;
        Ok(Attempt::Counted(locked_until))
    }
}

enum Attempt {
    /// Locked until then.
    Refused(Timestamp),
    /// Counted as a failure for now; if it is one, the number is locked until then.
    Counted(Option<Timestamp>),
}

impl Throttle {
    /// How long the lock is after so many failures in a row.
    fn lock_after(&self, failures: u32) -> Option<Duration> {
        let doublings = failures.checked_sub(self.free + 1)?;
        Some(self.first.saturating_mul(2_u32.saturating_pow(doublings)).min(self.longest))
    }
}

/// Checks the fields and turns the password into what is kept of it.
async fn accept(user: NewUser) -> Result<(User, String), UserError> {
    let NewUser { cc, email, name, password, is_admin } = user;
    let accepted = accept_fields(&User { cc, email, name, is_admin, active: true, version: 1 })?;
    let kept = accept_password(&accepted, password).await?;
    Ok((accepted, kept))
}

/// The user with trimmed fields.
fn accept_fields(user: &User) -> Result<User, UserError> {
    let one_line = |text: &str, e: UserError| {
        let text = text.trim();
        let ok = !text.is_empty() && text.chars().count() <= MAX_FIELD && !text.contains(char::is_control);
        if ok { Ok(text.to_owned()) } else { Err(e) }
    };
    let cc = one_line(&user.cc, UserError::BadNumber)?;
    let name = one_line(&user.name, UserError::BadName)?;
    let email = one_line(&user.email, UserError::BadEmail)?;
    let is_address = email.split_once('@').is_some_and(|(who, host)| {
        !who.is_empty() && !host.is_empty() && !host.contains('@') && !email.contains(char::is_whitespace)
    });
    if is_address { Ok(User { cc, email, name, ..*user }) } else { Err(UserError::BadEmail) }
}

/// What is kept of a password that this user may have.
async fn accept_password(user: &User, password: String) -> Result<String, UserError> {
    let about = [user.cc.clone(), user.name.clone(), user.email.clone()];
    blocking(move || {
        password::check(&password, &about.each_ref().map(String::as_str))?;
        password::hash(&password).map_err(|e| UserError::Hashing(e.to_string()))
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, UserError> + Send + 'static,
) -> Result<T, UserError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| Err(UserError::Hashing(e.to_string())))
}

async fn find(tx: &mut Transaction<'_>, cc: &str) -> Result<Option<User>, StoreError> {
    Ok(tx.fetch(finding(cc), user_from_row).await?.pop())
}

async fn at_version(tx: &mut Transaction<'_>, cc: &str, version: i64) -> Result<User, UserError> {
    let there = find(tx, cc).await?.ok_or(UserError::Unknown)?;
    if there.version == version { Ok(there) } else { Err(UserError::Changed) }
}

/// Refuses a change after which no active administrator is left.
async fn keep_an_administrator(tx: &mut Transaction<'_>, before: &User, after: &User) -> Result<(), UserError> {
    let counts = |u: &User| u.is_admin && u.active;
    if !counts(before) || counts(after) {
        return Ok(());
    }
    let others = sql("SELECT cc FROM users WHERE is_admin AND active AND cc <> $1 LIMIT 1").bind(&before.cc);
    if tx.fetch(others, |_| Ok(())).await?.is_empty() { Err(UserError::LastAdministrator) } else { Ok(()) }
}

fn finding(cc: &str) -> Statement {
    sql("SELECT * FROM users WHERE cc = $1").bind(cc)
}

fn insertion(user: &User, password: &str, now: Timestamp) -> Statement {
    sql("INSERT INTO users (cc, email, name, password, is_admin, active, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)")
    .bind(&user.cc)
    .bind(&user.email)
    .bind(&user.name)
    .bind(password)
    .bind(user.is_admin)
    .bind(user.active)
    .bind(now)
}

fn update(user: &User) -> Statement {
    sql("UPDATE users SET email = $2, name = $3, is_admin = $4, active = $5, version = $6 WHERE cc = $1")
        .bind(&user.cc)
        .bind(&user.email)
        .bind(&user.name)
        .bind(user.is_admin)
        .bind(user.active)
        .bind(user.version)
}

fn forgetting(cc: &str) -> Statement {
    sql("DELETE FROM login_attempts WHERE cc = $1").bind(cc)
}

fn user_from_row(row: &Row) -> sqlx::Result<User> {
    Ok(User {
        cc: row.get("cc")?,
        email: row.get("email")?,
        name: row.get("name")?,
        is_admin: row.get("is_admin")?,
        active: row.get("active")?,
        version: row.get("version")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "this console";
    use crate::store::sql::tests::{Fresh, backends};
    use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, Version};

    const PASSWORD: &str = "a gaivota dorme no telhado";
    const T0: Timestamp = Timestamp(1_795_000_000_000_000);

    fn ana() -> NewUser {
        NewUser {
            cc: " 12345678 ".to_owned(),
            email: "ana@psp.example".to_owned(),
            name: "Ana Sousa".to_owned(),
            password: PASSWORD.to_owned(),
            is_admin: false,
        }
    }

    impl Fresh {
        async fn users(&self) -> UserStore {
            UserStore::connect(&self.address).await.unwrap()
        }
    }

    /// The column `text` of a query's rows.
    async fn texts(store: &UserStore, query: &'static str) -> Vec<String> {
        store.db.fetch(sql(query), |row| row.get("text")).await.unwrap()
    }

    #[tokio::test]
    async fn the_first_user_is_one_administrator_and_the_password_is_kept_as_argon2id() {
        for fresh in backends() {
            let store = fresh.users().await;
            assert!(!store.any_user().await.unwrap());
            let second = NewUser { cc: "2".to_owned(), ..ana() };
            let (a, b) =
                tokio::join!(store.create_first_administrator(ana(), T0), store.create_first_administrator(second, T0));
            let refused = [a.as_ref().err(), b.as_ref().err()];
            assert!(matches!(refused, [Some(UserError::NotTheFirst), None] | [None, Some(UserError::NotTheFirst)]));
            assert!(a.or(b).unwrap().is_admin);
            assert!(store.any_user().await.unwrap());
            assert!(matches!(store.create_first_administrator(ana(), T0).await, Err(UserError::NotTheFirst)));

            store.create(NewUser { cc: "3".to_owned(), ..ana() }, T0).await.unwrap();
            let kept = texts(&store, "SELECT password AS text FROM users").await;
            assert_eq!(kept.len(), 2);
            assert!(kept.iter().all(|p| p.starts_with("$argon2id$v=19$") && !p.contains("gaivota")));
            assert_ne!(kept[0], kept[1], "the same password has the same salt");
            let plain = store.db.execute(sql("UPDATE users SET password = 'plain'")).await;
            assert!(plain.is_err(), "the table takes a password that is not Argon2id");
        }
    }

    #[tokio::test]
    async fn fields_are_trimmed_checked_and_unique() {
        for fresh in backends() {
            let store = fresh.users().await;
            let user = store.create(ana(), T0).await.unwrap();
            assert_eq!((user.cc.as_str(), user.active, user.is_admin), ("12345678", true, false));
            assert!(matches!(store.create(ana(), T0).await, Err(UserError::Exists)));
            let bad = |change: fn(&mut NewUser)| {
                let mut user = NewUser { cc: "9".to_owned(), ..ana() };
                change(&mut user);
                store.create(user, T0)
            };
            assert!(matches!(bad(|u| u.cc = " ".to_owned()).await, Err(UserError::BadNumber)));
            assert!(matches!(bad(|u| u.name = "Ana\nSousa".to_owned()).await, Err(UserError::BadName)));
            assert!(matches!(bad(|u| u.email = "ana".to_owned()).await, Err(UserError::BadEmail)));
            assert!(matches!(
                bad(|u| u.password = "short".to_owned()).await,
                Err(UserError::BadPassword(PasswordProblem::TooShort))
            ));
            assert!(!format!("{:?}", ana()).contains("gaivota"));
        }
    }

    #[tokio::test]
    async fn a_login_renews_a_hash_of_older_settings_and_a_wrong_password_does_not() {
        for fresh in backends() {
            let store = fresh.users().await;
            let user = store.create(ana(), T0).await.unwrap();
            let older = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(19 * 1024, 2, 1, None).unwrap());
            let older = older.hash_password(PASSWORD.as_bytes()).unwrap().to_string();
            store.db.execute(sql("UPDATE users SET password = $1").bind(&older)).await.unwrap();
            let kept = async || texts(&store, "SELECT password AS text FROM users").await.remove(0);
            let wrong = store.verify_login("12345678", "not the password at all", HERE, T0).await.unwrap();
            assert!(matches!(wrong, LoginOutcome::WrongCredentials { .. }));
            assert_eq!(kept().await, older);
            let granted = LoginOutcome::Granted(user.clone());
            assert_eq!(store.verify_login("12345678", PASSWORD, HERE, T0).await.unwrap(), granted);
            let renewed = kept().await;
            assert!(password::is_current(&renewed), "{renewed}");
            assert_eq!(store.verify_login("12345678", PASSWORD, HERE, T0).await.unwrap(), granted);
            assert_eq!(kept().await, renewed, "renewed again without need");
            // a hash that somebody replaced meanwhile is left alone
            store.renew_hash("12345678", &older, &older).await;
            assert_eq!(kept().await, renewed);
            assert_eq!(store.user("12345678").await.unwrap(), Some(user));
        }
    }

    #[tokio::test]
    async fn a_stranger_a_wrong_password_and_a_deactivated_user_are_refused() {
        for fresh in backends() {
            let store = fresh.users().await;
            let user = store.create(ana(), T0).await.unwrap();
            assert_eq!(store.verify_login("12345678 ", PASSWORD, HERE, T0).await.unwrap(), LoginOutcome::Granted(user));
            let wrong = store.verify_login("12345678", "not this one, no", HERE, T0).await.unwrap();
            let stranger = store.verify_login("87654321", PASSWORD, HERE, T0).await.unwrap();
            assert_eq!(wrong, LoginOutcome::WrongCredentials { locked_until: None });
            assert_eq!(wrong, stranger);

            store.db.execute(sql("UPDATE users SET active = FALSE")).await.unwrap();
            assert_eq!(store.verify_login("12345678", PASSWORD, HERE, T0).await.unwrap(), LoginOutcome::Deactivated);
            assert_eq!(store.verify_login("12345678", "not this one, no", HERE, T0).await.unwrap(), wrong);
        }
    }

    /// Regression 10 of the old system: there was no lock-out.
    #[tokio::test]
    async fn failures_lock_the_number_over_a_restart_and_success_forgets_them() {
        for fresh in backends() {
            let store = fresh.users().await;
            let user = store.create(ana(), T0).await.unwrap();
            let until = T0.plus(NUMBER_HERE.first);
            for cc in ["12345678", "nobody"] {
                for n in 1..=NUMBER_HERE.free + 1 {
                    let locked_until = (n == (NUMBER_HERE.free + 1)).then_some(until);
                    let outcome = store.verify_login(cc, "wrong wrong wrong", HERE, T0).await.unwrap();
                    assert_eq!(outcome, LoginOutcome::WrongCredentials { locked_until }, "{cc}, failure {n}");
                }
            }
            store.db.close().await;
            let store = fresh.users().await;
            let just_before = until.minus(Duration::from_micros(1));
            for cc in ["12345678", "nobody"] {
                let outcome = store.verify_login(cc, PASSWORD, HERE, just_before).await.unwrap();
                assert_eq!(outcome, LoginOutcome::Locked { until }, "{cc}: the right password during the lock");
            }
            let outcome = store.verify_login("12345678", "wrong wrong wrong", HERE, until).await.unwrap();
            let twice = until.plus(2 * NUMBER_HERE.first);
            assert_eq!(outcome, LoginOutcome::WrongCredentials { locked_until: Some(twice) });

            assert_eq!(
                store.verify_login("12345678", PASSWORD, HERE, twice).await.unwrap(),
                LoginOutcome::Granted(user)
            );
            let outcome = store.verify_login("12345678", "wrong wrong wrong", HERE, twice).await.unwrap();
            assert_eq!(outcome, LoginOutcome::WrongCredentials { locked_until: None }, "success did not forget");

            let next_day = T0.plus(FORGET_STRANGERS + NUMBER_HERE.first);
            store.verify_login("12345678", PASSWORD, HERE, next_day).await.unwrap();
            let left = texts(&store, "SELECT cc AS text FROM login_attempts").await;
            assert_eq!(left, [""; 0], "the numbers of strangers are kept for ever");
        }
    }

    #[tokio::test]
    async fn wrong_passwords_at_one_console_lock_nobody_out_of_another_and_slow_that_console_down() {
        for fresh in backends() {
            let store = fresh.users().await;
            let user = store.create(ana(), T0).await.unwrap();
            let (attacked, other) = ("console a", "console b");
            let mut now = T0;
            for _ in 0..12 {
                let outcome = store.verify_login(&user.cc, "wrong wrong wrong", attacked, now).await.unwrap();
                let LoginOutcome::WrongCredentials { locked_until } = outcome else { panic!("{outcome:?}") };
                now = locked_until.unwrap_or(now);
            }
            let outcome = store.verify_login(&user.cc, PASSWORD, other, now).await.unwrap();
            assert_eq!(outcome, LoginOutcome::Granted(user.clone()));
            // ... which does not help whoever guesses: there the lock goes on.
            let outcome = store.verify_login(&user.cc, "wrong wrong wrong", attacked, now).await.unwrap();
            let LoginOutcome::WrongCredentials { locked_until: Some(until) } = outcome else { panic!("{outcome:?}") };
            assert!(until.seconds_since(now) > 800.0, "{until}");

            // A number over all consoles, each of which is patient: with the failure just now twenty.
            let mut last = None;
            for n in 0..19 {
                let outcome = store.verify_login(&user.cc, "wrong wrong wrong", &format!("c{}", n / 4), until).await;
                last = Some(outcome.unwrap());
            }
            let everywhere = until.plus(NUMBER_ANYWHERE.first);
            assert_eq!(last, Some(LoginOutcome::WrongCredentials { locked_until: Some(everywhere) }));
            let outcome = store.verify_login(&user.cc, PASSWORD, other, until).await.unwrap();
            assert_eq!(outcome, LoginOutcome::Locked { until: everywhere });

            // One password after another for all numbers.
            for n in 0..9 {
                let outcome = store.verify_login(&format!("n{n}"), "wrong wrong wrong", "c", T0).await.unwrap();
                assert_eq!(outcome, LoginOutcome::WrongCredentials { locked_until: None });
            }
            let outcome = store.verify_login("n9", "wrong wrong wrong", "c", T0).await.unwrap();
            let soon = T0.plus(CONSOLE.first);
            assert_eq!(outcome, LoginOutcome::WrongCredentials { locked_until: Some(soon) });
            assert_eq!(
                store.verify_login("n10", PASSWORD, "c", T0).await.unwrap(),
                LoginOutcome::Locked { until: soon }
            );
            assert!(CONSOLE.lock_after(1000) == Some(CONSOLE.longest));
        }
    }

    #[tokio::test]
    async fn an_edit_of_an_older_version_is_refused() {
        for fresh in backends() {
            let store = fresh.users().await;
            let user = store.create(ana(), T0).await.unwrap();
            let renamed = store.edit(&User { name: " Ana Silva ".to_owned(), ..user.clone() }).await.unwrap();
            assert_eq!((renamed.name.as_str(), renamed.version), ("Ana Silva", 2));
            let late = store.edit(&User { email: "late@psp.example".to_owned(), ..user.clone() }).await;
            assert!(matches!(late, Err(UserError::Changed)));
            assert!(matches!(store.set_active(&user.cc, false, "x", 1).await, Err(UserError::Changed)));
            assert_eq!(store.user(&user.cc).await.unwrap(), Some(renamed.clone()));
            assert!(matches!(store.edit(&User { cc: "9".to_owned(), ..user }).await, Err(UserError::Unknown)));
            assert!(matches!(store.edit(&User { name: String::new(), ..renamed }).await, Err(UserError::BadName)));
        }
    }

    #[tokio::test]
    async fn an_active_administrator_is_always_left() {
        for fresh in backends() {
            let store = fresh.users().await;
            let a = store.create(NewUser { is_admin: true, ..ana() }, T0).await.unwrap();
            assert!(matches!(store.set_active(&a.cc, false, "console:x", 1).await, Err(UserError::LastAdministrator)));
            let demoted = User { is_admin: false, ..a.clone() };
            assert!(matches!(store.edit(&demoted).await, Err(UserError::LastAdministrator)));
            let b = store.create(NewUser { cc: "2".to_owned(), is_admin: true, ..ana() }, T0).await.unwrap();
            assert!(matches!(store.set_active(&a.cc, false, &a.cc, 1).await, Err(UserError::Yourself)));
            // two consoles, each deactivating the other's administrator
            let (x, y) =
                tokio::join!(store.set_active(&a.cc, false, &b.cc, 1), store.set_active(&b.cc, false, &a.cc, 1));
            assert!(x.is_ok() != y.is_ok(), "{x:?} {y:?}");
            assert_eq!(store.users().await.unwrap().iter().filter(|u| u.active && u.is_admin).count(), 1);
        }
    }

    #[tokio::test]
    async fn a_new_password_replaces_the_old_one_and_ends_the_lock() {
        for fresh in backends() {
            let store = fresh.users().await;
            let user = store.create(ana(), T0).await.unwrap();
            for _ in 0..=NUMBER_HERE.free {
                store.verify_login(&user.cc, "wrong wrong wrong", HERE, T0).await.unwrap();
            }
            let other = "o farol acende sozinho";
            assert!(matches!(
                store.set_password(&user.cc, "short".to_owned()).await,
                Err(UserError::BadPassword(PasswordProblem::TooShort))
            ));
            let changed = store.set_password(&user.cc, other.to_owned()).await.unwrap();
            assert_eq!(store.verify_login(&user.cc, other, HERE, T0).await.unwrap(), LoginOutcome::Granted(changed));
            let old = store.verify_login(&user.cc, PASSWORD, HERE, T0).await.unwrap();
            assert_eq!(old, LoginOutcome::WrongCredentials { locked_until: None });
        }
    }

    #[tokio::test]
    async fn once_a_grant_exists_operators_see_theirs_alone() {
        for fresh in backends() {
            let store = fresh.users().await;
            let operator = store.create(ana(), T0).await.unwrap();
            let other = store.create(NewUser { cc: "2".to_owned(), ..ana() }, T0).await.unwrap();
            let admin = store.create(NewUser { cc: "3".to_owned(), is_admin: true, ..ana() }, T0).await.unwrap();
            assert_eq!(store.may_see(&operator).await.unwrap(), Rights::All);
            let camera = CameraId::new_v4();
            store.set_grants(&operator.cc, &BTreeSet::from([camera]), 1).await.unwrap();
            assert_eq!(store.may_see(&operator).await.unwrap(), Rights::Only(BTreeSet::from([camera])));
            assert_eq!(store.may_see(&other).await.unwrap(), Rights::Only(BTreeSet::new()));
            assert_eq!(store.may_see(&admin).await.unwrap(), Rights::All);
            let late = store.set_grants(&operator.cc, &BTreeSet::new(), 1).await;
            assert!(matches!(late, Err(UserError::Changed)), "{late:?}");
            store.set_grants(&operator.cc, &BTreeSet::new(), 2).await.unwrap();
            assert_eq!(store.may_see(&other).await.unwrap(), Rights::All);
            assert!(matches!(store.set_grants("9", &BTreeSet::new(), 1).await, Err(UserError::Unknown)));
        }
    }

    #[test]
    fn the_lock_doubles_up_to_a_quarter_of_an_hour() {
        let seconds = |n| NUMBER_HERE.lock_after(n).map(|d| d.as_secs());
        assert_eq!(
            [4, 5, 6, 7, 9, 10, 1000].map(seconds),
            [None, Some(30), Some(60), Some(120), Some(480), Some(900), Some(900)]
        );
    }
}
