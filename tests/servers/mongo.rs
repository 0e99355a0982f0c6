//! MongoDB, from a wheel that carries its program (SSPL: a server of the tests, no part of Vigia).
use super::process::{Process, installed};
use mongodb::{
    Client,
    bson::{Document, doc},
    error::Error,
};
use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

/// A replica set of one member (so that there are transactions and majority writes), with accounts; `root` has every right.
pub struct Mongo {
    process: Process,
    password: String,
}

impl Mongo {
    /// Starts a server of its own.
    pub fn start() -> Self {
        let password = super::password();
        let program = installed("mongod");
        let process = Process::start(
            "mongod",
            |folder, [port]| {
                let key = folder.join("key");
                fs::write(&key, super::password().repeat(3)).unwrap();
                fs::set_permissions(&key, fs::Permissions::from_mode(0o400)).unwrap();
                let data = folder.join("data");
                fs::create_dir(&data).unwrap();
                let program = program.clone();
                Box::new(move || {
                    let mut command = Command::new(&program);
                    command.arg("--dbpath").arg(&data).arg("--keyFile").arg(&key).args(["--port", &port.to_string()]);
                    command.args(["--bind_ip", "127.0.0.1", "--nounixsocket", "--replSet", "rs0"]);
                    command.args(["--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "64"]);
                    command.args(["--wiredTigerEngineConfigString", "log=(file_max=16MB,prealloc=false)"]);
                    command.args(["--setParameter", "diagnosticDataCollectionEnabled=false"]);
                    command.args(["--enableFreeMonitoring", "off"]);
                    command
                })
            },
            |process| initialise(process, &password),
        );
        Self { process, password }
    }

    /// The address of a database that does not exist yet, with every right.
    pub fn database(&self) -> String {
        address(&self.process, &format!("root:{}@", self.password), &super::fresh_name())
    }

    /// The same database for a new account that may do nothing but insert into and find in its collection `collection`.
    pub fn restricted(&self, database: &str, collection: &str) -> String {
        let (name, password) = (super::fresh_name(), super::password());
        let of = database.rsplit('/').next().and_then(|end| end.split('?').next()).unwrap();
        let privilege = doc! { "resource": { "db": of, "collection": collection }, "actions": ["insert", "find"] };
        let role = doc! { "createRole": &name, "privileges": [privilege], "roles": [] };
        let user = doc! { "createUser": &name, "pwd": &password, "roles": [&name] };
        let root = self.database();
        super::block_on(async || {
            run(&root, role).await.unwrap();
            run(&root, user).await.unwrap();
        });
        address(&self.process, &format!("{name}:{password}@"), of)
    }

    /// SIGKILL.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Starts again after [`kill`](Self::kill), same port and data; returns when it takes writes.
    pub fn restart(&self) {
        self.process.spawn_again();
        let root = self.database();
        super::block_on(async || primary(&self.process, &root).await).unwrap();
    }

    /// It keeps its connections and answers nothing.
    pub fn freeze(&self) {
        self.process.freeze();
    }

    /// Lets it go on after [`freeze`](Self::freeze).
    pub fn thaw(&self) {
        self.process.thaw();
    }
}

fn address(process: &Process, account: &str, database: &str) -> String {
    let authenticate = if account.is_empty() { "directConnection=true" } else { "replicaSet=rs0&authSource=admin" };
    format!("mongodb://{account}127.0.0.1:{}/{database}?{authenticate}", process.port())
}

/// Runs a command in the database `admin`. A short time-out for finding the server: it is on this machine or not up yet.
async fn run(address: &str, command: Document) -> Result<Document, Error> {
    let client = Client::with_uri_str(format!("{address}&serverSelectionTimeoutMS=500")).await?;
    let answer = client.database("admin").run_command(command).await;
    client.shutdown().immediate(true).await;
    answer
}

async fn primary(process: &Process, address: &str) -> Result<(), String> {
    super::until_ready(
        "mongod",
        || process.alive(),
        async || {
            let hello = run(address, doc! { "hello": 1 }).await.map_err(|e| e.to_string())?;
            if hello.get_bool("isWritablePrimary").unwrap_or_default() {
                Ok(())
            } else {
                Err("not primary yet".to_owned())
            }
        },
    )
    .await
}

/// The replica set, and the first account by the localhost exception.
fn initialise(process: &Process, password: &str) -> Result<(), String> {
    let direct = address(process, "", "admin");
    let member = doc! { "_id": 0, "host": format!("127.0.0.1:{}", process.port()) };
    let set = doc! { "_id": "rs0", "members": [member] };
    super::block_on(async || {
        super::until_ready("mongod", || process.alive(), async || run(&direct, doc! { "ping": 1 }).await.map(drop))
            .await?;
        run(&direct, doc! { "replSetInitiate": set }).await.map_err(|e| e.to_string())?;
        primary(process, &direct).await?;
        let root = doc! { "createUser": "root", "pwd": password, "roles": ["root"] };
        run(&direct, root).await.map(drop).map_err(|e| e.to_string())
    })
}
