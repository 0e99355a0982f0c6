//! An S3 server: SeaweedFS, from a wheel that carries its program.
use super::process::{Process, delete_at_the_end, installed};
use aws_sdk_s3::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig},
    error::DisplayErrorContext,
    primitives::ByteStream,
};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use std::{fs, process::Command};

const ACCESS_KEY: &str = "app";

/// An S3 server with one account that may do everything. Buckets come into being only when they are made.
pub struct S3 {
    process: Process,
    secret_key: String,
}

impl S3 {
    /// Starts a server of its own.
    pub fn start() -> Self {
        let secret_key = super::password();
        let program = installed("weed");
        let process = Process::start(
            "weed",
            |folder, ports: [u16; 10]| {
                let accounts = serde_json::json!({ "identities": [{
                    "name": "app", "credentials": [{ "accessKey": ACCESS_KEY, "secretKey": secret_key }],
                    "actions": ["Admin", "Read", "Write", "List", "Tagging"],
                }] });
                fs::write(folder.join("s3.json"), accounts.to_string()).unwrap();
                fs::create_dir(folder.join("data")).unwrap();
                for port in ports {
                    delete_at_the_end(&format!("/tmp/seaweedfs-*-{port}.sock")); // its inner connections
                }
                let (folder, program) = (folder.to_owned(), program.clone());
                Box::new(move || {
                    let mut command = Command::new(&program);
                    let place = |flag: &str, file: &str| format!("-{flag}={}", folder.join(file).display());
                    command.args([place("logdir", ""), "mini".to_owned(), place("dir", "data")]);
                    command.args([place("s3.config", "s3.json"), place("filer.localSocket", "filer.sock")]);
                    command.arg(place("s3.localSocket", "s3.sock"));
                    // By default it listens on every address and reports to its makers.
                    command.args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false", "-webdav=false"]);
                    // Left to itself it allows as many volumes as the free disk holds full ones, and a bucket takes several.
                    command.args(["-volume.max=10000"]);
                    command.args(["-admin.ui=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]);
                    command.args(["-s3.autoCreateBucket=false", "-s3.allowDeleteBucketNotEmpty=false"]);
                    let flags = [
                        "s3.port",
                        "s3.port.grpc",
                        "master.port",
                        "master.port.grpc",
                        "volume.port",
                        "volume.port.grpc",
                        "filer.port",
                        "filer.port.grpc",
                        "admin.port",
                        "admin.port.grpc",
                    ];
                    command.args(flags.iter().zip(ports).map(|(flag, port)| format!("-{flag}={port}")));
                    command
                })
            },
            |process| ready(process, &secret_key),
        );
        Self { process, secret_key }
    }

    /// An address whose buckets nobody has used.
    pub fn prefix(&self) -> String {
        format!("s3+http://{ACCESS_KEY}:{}@127.0.0.1:{}/{}", self.secret_key, self.process.port(), super::fresh_name())
    }

    /// SIGKILL.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Starts again after [`kill`](Self::kill), same ports and data; returns when it keeps objects.
    pub fn restart(&self) {
        self.process.spawn_again();
        ready(&self.process, &self.secret_key).unwrap();
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

/// It answers long before it can keep anything, so readiness is an object put and got.
fn ready(process: &Process, secret_key: &str) -> Result<(), String> {
    let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(http)
        .endpoint_url(format!("http://127.0.0.1:{}", process.port()))
        .force_path_style(true)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new(ACCESS_KEY, secret_key, None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .build();
    let client = Client::from_conf(config);
    super::block_on(async || {
        super::until_ready(
            "weed",
            || process.alive(),
            async || {
                let words = |e: &dyn std::error::Error| DisplayErrorContext(e).to_string();
                let _ = client.create_bucket().bucket("ready").send().await; // may be there already
                let object = client.put_object().bucket("ready").key("ready").body(ByteStream::from_static(b"ready"));
                object.send().await.map_err(|e| words(&e))?;
                client.get_object().bucket("ready").key("ready").send().await.map(drop).map_err(|e| words(&e))
            },
        )
        .await
    })
}
