//! A Redis server of our own, on a free port, with its files in a folder of its own.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mainstay_state::redis::{Options, Redis};
use rustix::process::{Pid, Signal, kill_process};

const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a server until its input ends, which it does when this process is gone, however that came about. Then it stops
/// the server and removes the folder, unless it was told to keep it.
const GUARD: &str = r#"
    folder=$1; shift; "$@" & server=$!; echo "$server" > "$folder/pid"
    read -r keep
    kill -KILL "$server" 2>/dev/null; wait "$server"
    test "$keep" || rm -rf "$folder"
"#;

pub(crate) struct Server {
    folder: PathBuf,
    port: u16,
    settings: Vec<String>,
    /// `None` while the server is down.
    guard: Option<Child>,
}

/// Whether Redis is installed; otherwise the test says that it is skipped. CI skips nothing.
#[expect(clippy::print_stderr, reason = "says why a test is skipped")]
pub(crate) fn is_installed() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = std::env::split_paths(&path).any(|folder| folder.join("redis-server").exists());
    if !is_there {
        let why = "Redis is not installed: run scripts/test-tools.sh";
        assert!(std::env::var("CI").is_err(), "{why}");
        eprintln!("skipped: {why}");
    }
    is_there
}

impl Server {
    /// A new server that runs, with these settings besides; `None` where Redis is not installed.
    pub(crate) async fn start_new(settings: &[&str]) -> Option<Self> {
        if !is_installed() {
            return None;
        }
        // Free a moment ago; nobody else is given it soon, because the system hands out ports in turn.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut server = Self {
            folder: tempfile::tempdir().unwrap().keep(),
            port: port.local_addr().unwrap().port(),
            settings: settings.iter().map(|&setting| setting.to_owned()).collect(),
            guard: None,
        };
        drop(port);
        server.start().await;
        Some(server)
    }

    /// Starts it again, with what it has.
    #[expect(
        clippy::disallowed_methods,
        reason = "the test runs the server that it tests against"
    )]
    pub(crate) async fn start(&mut self) {
        let mut guard = Command::new("/bin/sh");
        guard
            .args(["-c", GUARD, "guard"])
            .arg(&self.folder)
            .args([
                "redis-server",
                "--bind",
                "127.0.0.1",
                "--port",
                &self.port.to_string(),
            ])
            .args(["--appendonly", "yes", "--appendfsync", "always", "--save", ""])
            .args(["--databases", "256", "--logfile", "log", "--dir"])
            .arg(&self.folder)
            .args(&self.settings)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.guard = Some(guard.spawn().unwrap());
        let state = Redis::new(&self.options(0)).unwrap();
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while let Err(error) = state.connect().await {
            // It is up when it asks who we are.
            if error.to_string().contains("NOAUTH") {
                break;
            }
            let log = || std::fs::read_to_string(self.folder.join("log"));
            assert!(tokio::time::Instant::now() < deadline, "{error}: {:?}", log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Kills it at once.
    pub(crate) fn kill(&mut self) {
        let pid = std::fs::read_to_string(self.folder.join("pid")).unwrap();
        let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
        kill_process(pid, Signal::KILL).unwrap();
        // The guard ends when the server has, so nobody listens any more.
        self.stop_guard("keep\n");
    }

    fn stop_guard(&mut self, last_words: &str) {
        if let Some(mut guard) = self.guard.take() {
            let mut input = guard.stdin.take().unwrap();
            input.write_all(last_words.as_bytes()).unwrap();
            drop(input);
            guard.wait().unwrap();
        }
    }

    /// How to reach one of its databases.
    pub(crate) fn options(&self, database: u32) -> Options {
        let mut options = Options::new("127.0.0.1", self.port);
        options.database = database;
        options
    }

    /// Where its files are; it may read what is put here.
    pub(crate) fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    /// What the next start takes.
    pub(crate) fn set(&mut self, settings: &[&str]) {
        self.settings = settings.iter().map(|&setting| setting.to_owned()).collect();
    }

    /// A connection past the component.
    pub(crate) async fn connect(&self, database: u32) -> redis::aio::MultiplexedConnection {
        let url = format!("redis://127.0.0.1:{}/{database}", self.port);
        let client = redis::Client::open(url).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop_guard("");
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
