//! Redis, from Debian's package.
use super::process::Process;
use redis::{RedisError, aio::MultiplexedConnection};
use std::process::Command;

/// A Redis server that keeps what it was told, up to the last second, when killed.
pub struct Redis {
    process: Process,
    password: String,
}

impl Redis {
    /// Starts a server of its own.
    pub fn start() -> Self {
        let password = super::password();
        let process = Process::start(
            "redis",
            |folder, [port]| {
                let (folder, password) = (folder.to_owned(), password.clone());
                Box::new(move || {
                    let mut command = Command::new("redis-server");
                    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--requirepass", &password]);
                    command.arg("--dir").arg(&folder).args(["--appendonly", "yes", "--save", ""]);
                    command
                })
            },
            |process| ready(process, &password),
        );
        Self { process, password }
    }

    /// An address with a prefix of keys that nobody has used.
    pub fn namespace(&self) -> String {
        format!("{}?prefix={}", self.address(), super::fresh_name())
    }

    /// An address like [`namespace`](Self::namespace)'s, of an account that may use that prefix alone and no dangerous command.
    pub fn restricted(&self) -> String {
        let (name, password) = (super::fresh_name(), super::password());
        self.run(redis::cmd("ACL").arg("SETUSER").arg(&name).arg("on").arg(format!(">{password}")).arg(&[
            format!("~{name}:*"),
            format!("&{name}:*"),
            "+@all".to_owned(),
            "-@admin".to_owned(),
            "-@dangerous".to_owned(),
        ]));
        format!("redis://{name}:{password}@127.0.0.1:{}/0?prefix={name}", self.process.port())
    }

    /// The address of the whole database.
    pub fn address(&self) -> String {
        address(&self.process, &self.password)
    }

    /// Forgets everything, as an operator's FLUSHALL does.
    pub fn flush(&self) {
        self.run(&redis::cmd("FLUSHALL"));
    }

    fn run(&self, command: &redis::Cmd) {
        let address = self.address();
        super::block_on(async || command.exec_async(&mut connection(&address).await.unwrap()).await.unwrap());
    }

    /// SIGKILL.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Starts again after [`kill`](Self::kill), same port and data; returns when it answers.
    pub fn restart(&self) {
        self.process.spawn_again();
        ready(&self.process, &self.password).unwrap();
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

fn address(process: &Process, password: &str) -> String {
    format!("redis://:{password}@127.0.0.1:{}/0", process.port())
}

async fn connection(address: &str) -> Result<MultiplexedConnection, RedisError> {
    redis::Client::open(address)?.get_multiplexed_async_connection().await
}

fn ready(process: &Process, password: &str) -> Result<(), String> {
    let address = address(process, password);
    super::block_on(async || {
        super::until_ready(
            "redis",
            || process.alive(),
            async || redis::cmd("PING").exec_async(&mut connection(&address).await?).await,
        )
        .await
    })
}
