//! An S3 server of the tests' own (SeaweedFS): on free ports, in a folder of its own, gone with the tests however they end.
//! It checks signatures.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "tests, though compiled as a library for the tests of the binary"
)]

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::sync::OnceCell;

use crate::repository::{Repository as _, S3, S3Options};

/// The bucket that there is.
pub const BUCKET: &str = "backups";

const KEY: &str = "tests";

const SECRET: &str = "secret-of-tests";

const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a server until its input ends, which it does when this process is gone, however that came about. Then it removes the
/// folder.
const GUARD: &str = r#"folder=$1; shift; "$@" & read -r _; kill -KILL $!; wait $!; rm -rf "$folder""#;

/// A server.
#[derive(Debug)]
pub struct TestServer {
    port: u16,
    guard: Child,
}

fn program() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("s3-test/.venv/bin/weed")
}

/// Whether the server is installed. Where it is not, says that a test is skipped; CI skips nothing.
pub fn available() -> bool {
    let found = program().exists();
    if !found {
        let why = "the S3 server for tests is not installed: run scripts/test-tools.sh";
        assert!(std::env::var("CI").is_err(), "{why}");
        eprintln!("skipped: {why}");
    }
    found
}

/// One server for all tests of a binary: to start one takes seconds. Give each test a prefix of its own.
pub async fn shared() -> &'static TestServer {
    static SERVER: OnceCell<TestServer> = OnceCell::const_new();
    SERVER.get_or_init(TestServer::start).await
}

impl TestServer {
    /// A new server that runs, with an empty bucket.
    pub async fn start() -> Self {
        let (port, guard) = spawn();
        let server = Self { port, guard };
        let ready = async {
            while !server.is_ready().await {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, ready)
            .await
            .expect("the server is ready");
        server
    }

    /// Whether an object can be written, for which all of its parts have to know each other.
    async fn is_ready(&self) -> bool {
        let Ok(bucket) = S3::new(BUCKET, "ready/", &self.options()) else {
            return false;
        };
        // One that exists is as good.
        let _ = bucket.make_bucket().await;
        bucket.put("yes", "yes".into()).await.is_ok()
    }

    /// Where it listens.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its port on this machine.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// How to reach it.
    pub fn options(&self) -> S3Options {
        S3Options {
            endpoint: Some(self.endpoint()),
            region: None,
            access_key: Some(KEY.to_owned()),
            secret_key: Some(SECRET.to_owned()),
            session_token: None,
        }
    }

    /// The same as variables for a program.
    pub fn environment(&self) -> Vec<(String, String)> {
        let variables = [
            ("AWS_ENDPOINT_URL_S3", self.endpoint()),
            ("AWS_ACCESS_KEY_ID", KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
        ];
        variables.map(|(name, value)| (name.to_owned(), value)).into()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        // Its input ends.
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

/// Starts the parts of a server; gives the port of the gateway.
fn spawn() -> (u16, Child) {
    let folder = tempfile::tempdir().expect("a folder can be made").keep();
    let identities = serde_json::json!({"identities": [{
        "name": "tests",
        "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
        "actions": ["Admin", "Read", "Write", "List"],
    }]});
    let config = folder.join("s3.json");
    std::fs::write(&config, identities.to_string()).expect("a file can be written");
    // Held together, so that no port is given twice.
    let ports: [TcpListener; 8] =
        std::array::from_fn(|_| TcpListener::bind(("127.0.0.1", 0)).expect("a port is free"));
    let ports = ports.map(|listener| listener.local_addr().expect("it has an address").port());
    let [
        master,
        master_grpc,
        volume,
        volume_grpc,
        filer,
        filer_grpc,
        port,
        grpc,
    ] = ports;
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", GUARD, "guard"])
        .arg(&folder)
        .arg(program())
        .args(["server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3"])
        .args([
            "-master.telemetry=false",
            "-master.volumeSizeLimitMB=64",
            "-volume.max=50",
        ])
        .args([
            "-s3.autoCreateBucket=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
        ])
        .arg(format!("-dir={}", folder.display()))
        .arg(format!("-s3.config={}", config.display()))
        .arg(format!(
            "-filer.localSocket={}",
            folder.join("filer.sock").display()
        ))
        .arg(format!("-s3.localSocket={}", folder.join("s3.sock").display()))
        .args([
            format!("-master.port={master}"),
            format!("-master.port.grpc={master_grpc}"),
        ])
        .args([
            format!("-volume.port={volume}"),
            format!("-volume.port.grpc={volume_grpc}"),
        ])
        .args([
            format!("-filer.port={filer}"),
            format!("-filer.port.grpc={filer_grpc}"),
        ])
        .args([format!("-s3.port={port}"), format!("-s3.port.grpc={grpc}")])
        .current_dir(&folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    (port, command.spawn().expect("a server can be started"))
}
