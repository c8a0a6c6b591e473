//! A Redis server of a test's own: on a free port, in a folder of its own, gone with the test however it ends.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests, though compiled as a library for the tests of components"
)]

use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::{Options, Redis};

const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a server until its input ends, which it does when this process is gone, however that came about.
const GUARD: &str = r#""$@" & read -r _; kill -KILL $!; wait $!"#;

/// A server.
#[derive(Debug)]
pub struct TestServer {
    folder: TempDir,
    port: u16,
    arguments: Vec<String>,
    guard: Option<Child>,
}

/// Whether Redis is installed. Where it is not, says that a test is skipped; CI skips nothing.
pub fn available() -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders).any(|folder| folder.join("redis-server").exists());
    if !found {
        let why = "Redis is not installed: run scripts/test-tools.sh";
        assert!(std::env::var("CI").is_err(), "{why}");
        eprintln!("skipped: {why}");
    }
    found
}

impl TestServer {
    /// A new server that runs.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with further arguments.
    pub async fn start_with(arguments: &[&str]) -> Self {
        let server = Self::prepare(arguments);
        server.running().await
    }

    /// A server that does not run yet: files that it needs can be put into its folder.
    pub fn prepare(arguments: &[&str]) -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder can be made"),
            port: free_port(),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            guard: None,
        }
    }

    /// Starts a prepared server.
    pub async fn running(mut self) -> Self {
        self.resume().await;
        self
    }

    /// Starts it again, with what its arguments made it keep: nothing, unless they say so.
    pub async fn resume(&mut self) {
        let mut command = Command::new("/bin/sh");
        command
            .args([
                "-c",
                GUARD,
                "guard",
                "redis-server",
                "--bind",
                "127.0.0.1",
                "--port",
            ])
            .arg(self.port.to_string())
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(self.folder.path())
            .args(&self.arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.guard = Some(command.spawn().expect("a server can be started"));
        let ready = async {
            while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let started = tokio::time::timeout(PATIENCE, ready).await;
        started.expect("the server listens");
    }

    /// Kills it at once.
    pub fn stop(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            if let Some(mut input) = guard.stdin.take() {
                // It is gone already when the server ended by itself.
                let _ = input.write_all(b"\n");
            }
            let _ = guard.wait();
        }
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where it listens on this machine.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// How to reach it.
    pub fn options(&self) -> Options {
        Options::new("127.0.0.1", self.port)
    }

    /// A connection.
    pub async fn connect(&self) -> Redis {
        match Redis::connect(self.options()).await {
            Ok(redis) => redis,
            Err(error) => panic!("{error}"),
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A port that nobody uses at the moment.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    listener.local_addr().expect("it has an address").port()
}
