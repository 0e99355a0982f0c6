//! PostgreSQL, from Debian's package.
use super::process::Process;
use sqlx::{Connection as _, Executor as _, PgConnection};
use std::{
    fs,
    os::unix::{
        fs::{MetadataExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::Command,
};

/// A PostgreSQL server, superuser `postgres`. It does not wait for the disk: it survives SIGKILL, not a power cut.
pub struct Postgres {
    process: Process,
    password: String,
}

impl Postgres {
    /// Starts a server of its own.
    pub fn start() -> Self {
        let password = super::password();
        let process = Process::start(
            "postgres",
            |folder, [port]| {
                initialise(folder, &password);
                let (folder, programs) = (folder.to_owned(), programs());
                Box::new(move || {
                    let mut command = as_owner(Command::new(programs.join("postgres")));
                    command.arg("-D").arg(folder.join("data")).args(["-p", &port.to_string()]);
                    for setting in [
                        "listen_addresses=127.0.0.1",
                        "unix_socket_directories=",
                        "fsync=off",
                        "full_page_writes=off",
                        "max_connections=200",
                        "shared_buffers=64MB",
                    ] {
                        command.args(["-c", setting]);
                    }
                    command
                })
            },
            |process| ready(process, &password),
        );
        Self { process, password }
    }

    /// The address of a new, empty database.
    pub fn database(&self) -> String {
        let name = super::fresh_name();
        let admin = address(&self.process, &self.password, "postgres");
        super::block_on(async || {
            let mut db = PgConnection::connect(&admin).await.unwrap();
            db.execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
            db.close().await.unwrap();
        });
        address(&self.process, &self.password, &name)
    }

    /// SIGKILL.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Starts again after [`kill`](Self::kill), same port and data; returns when it answers.
    pub fn restart(&self) {
        // The dead server's helpers may hold its memory for a moment, in which the new one refuses to start.
        let mut answer = Ok(());
        for _ in 0..50 {
            self.process.spawn_again();
            answer = ready(&self.process, &self.password);
            if answer.is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        answer.unwrap();
    }
}

fn address(process: &Process, password: &str, database: &str) -> String {
    format!("postgres://postgres:{password}@127.0.0.1:{}/{database}", process.port())
}

fn ready(process: &Process, password: &str) -> Result<(), String> {
    let address = address(process, password, "postgres");
    super::block_on(async || {
        super::until_ready(
            "postgres",
            || process.alive(),
            async || PgConnection::connect(&address).await?.close().await,
        )
        .await
    })
}

/// The folder of the newest installed version's programs.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions.filter_map(|v| v.file_name().to_str()?.parse::<u32>().ok()).max();
    let newest = newest.expect("PostgreSQL is not there: run `make setup`");
    PathBuf::from(format!("/usr/lib/postgresql/{newest}/bin"))
}

/// PostgreSQL refuses to run as root: there it runs as Debian's user for it.
fn as_owner(mut command: Command) -> Command {
    if let Some((user, group)) = owner() {
        command.uid(user).gid(group);
    }
    command
}

/// `None` when this process is not root and runs the server itself.
fn owner() -> Option<(u32, u32)> {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find(|l| l.starts_with("postgres:")).expect("no user postgres: run `make setup`");
    let mut ids = line.split(':').skip(2).map(|id| id.parse().unwrap());
    Some((ids.next().unwrap(), ids.next().unwrap()))
}

fn initialise(folder: &Path, password: &str) {
    let file = folder.join("password");
    fs::write(&file, password).unwrap();
    if let Some((user, group)) = owner() {
        chown(folder, Some(user), Some(group)).unwrap();
        chown(&file, Some(user), Some(group)).unwrap();
    }
    let mut command = as_owner(Command::new(programs().join("initdb")));
    command.arg("-D").arg(folder.join("data")).arg("--pwfile").arg(&file).current_dir(folder);
    command.args(["-U", "postgres", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]);
    let done = command.output().unwrap();
    assert!(done.status.success(), "initdb: {}", String::from_utf8_lossy(&done.stderr));
}
