//! Redis, from Debian's package.
use super::process::Process;
use redis::{RedisError, aio::MultiplexedConnection};
use std::{path::Path, process::Command};

/// A Redis server that keeps what it was told, up to the last second, when killed.
pub struct Redis {
    process: Process,
    password: String,
    tls: bool,
}

impl Redis {
    /// Starts a server of its own.
    pub fn start() -> Self {
        Self::start_with(false)
    }

    /// Starts one that speaks TLS alone, with a certificate of an authority that its addresses name.
    pub fn start_tls() -> Self {
        Self::start_with(true)
    }

    fn start_with(tls: bool) -> Self {
        let password = super::password();
        let process = Process::start(
            "redis",
            |folder, [port]| {
                let (folder, password) = (folder.to_owned(), password.clone());
                if tls {
                    certify(&folder);
                }
                Box::new(move || {
                    let mut command = Command::new("redis-server");
                    let plain = if tls { "0".to_owned() } else { port.to_string() };
                    command.args(["--port", &plain, "--bind", "127.0.0.1", "--requirepass", &password]);
                    command.arg("--dir").arg(&folder).args(["--appendonly", "yes", "--save", ""]);
                    if tls {
                        command.args(["--tls-port", &port.to_string(), "--tls-auth-clients", "no"]);
                        for (option, file) in
                            [("--tls-cert-file", "cert"), ("--tls-key-file", "key"), ("--tls-ca-cert-file", "cert")]
                        {
                            command.arg(option).arg(folder.join(file).with_extension("pem"));
                        }
                    }
                    command
                })
            },
            |process| ready(process, &password, tls),
        );
        Self { process, password, tls }
    }

    /// An address with a prefix of keys that nobody has used.
    pub fn namespace(&self) -> String {
        let address = self.address();
        let ca =
            if self.tls { format!("&ca={}", self.process.folder().join("cert.pem").display()) } else { String::new() };
        format!("{address}?prefix={}{ca}", super::fresh_name())
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
        address(&self.process, &self.password, self.tls)
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
        ready(&self.process, &self.password, self.tls).unwrap();
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

fn address(process: &Process, password: &str, tls: bool) -> String {
    format!("redis{}://:{password}@127.0.0.1:{}/0", if tls { "s" } else { "" }, process.port())
}

/// A certificate for loopback that is its own authority.
fn certify(folder: &Path) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
}

async fn connection(address: &str) -> Result<MultiplexedConnection, RedisError> {
    redis::Client::open(address)?.get_multiplexed_async_connection().await
}

fn ready(process: &Process, password: &str, tls: bool) -> Result<(), String> {
    let address = address(process, password, tls);
    super::block_on(async || {
        let ask = async || match tls {
            // that it listens is enough here
            true => Ok(tokio::net::TcpStream::connect(("127.0.0.1", process.port())).await.map(drop)?),
            false => redis::cmd("PING").exec_async(&mut connection(&address).await?).await,
        };
        super::until_ready("redis", || process.alive(), ask).await
    })
}
