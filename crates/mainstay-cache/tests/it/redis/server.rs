//! A Redis server of our own: in a folder of its own, reached through a socket in it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mainstay_cache::{Redis, RedisOptions};
use rustix::process::{Pid, Signal, kill_process};
use tokio::runtime::Handle;

use crate::support::PATIENCE;

/// Runs a server until its input ends, which it does when this process is gone, however that came about.
const GUARD: &str = r#"
    "$@" & server=$!
    echo "$server"
    read -r _
    kill -KILL "$server" 2>/dev/null; wait "$server"
"#;

pub(crate) struct Server {
    folder: tempfile::TempDir,
    /// The guard with the server's process; `None` while the server is down.
    running: Option<(Child, Pid)>,
    settings: Vec<String>,
}

/// Whether Redis is installed; if not, the test says that it is skipped. CI skips nothing.
#[expect(clippy::print_stderr, reason = "says why a test is skipped")]
pub(crate) fn is_installed() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join("redis-server").exists());
    if !found {
        let why = "Redis is not installed: run scripts/test-tools.sh";
        assert!(std::env::var("CI").is_err(), "{why}");
        eprintln!("skipped: {why}");
    }
    found
}

impl Server {
    /// A new server that runs; `None` where Redis is not installed.
    pub(crate) async fn start_new() -> Option<Self> {
        Self::start_with(|_| Vec::new()).await
    }

    /// The same with more settings, which may lie in the server's folder.
    pub(crate) async fn start_with(settings: impl FnOnce(&Path) -> Vec<String>) -> Option<Self> {
        if !is_installed() {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path());
        let mut server = Self {
            folder,
            running: None,
            settings,
        };
        server.start().await;
        Some(server)
    }

    /// Starts it again, empty.
    #[expect(
        clippy::disallowed_methods,
        reason = "the test runs the server that it tests against"
    )]
    pub(crate) async fn start(&mut self) {
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        let mut guard = Command::new("/bin/sh")
            .args(["-c", GUARD, "guard", "redis-server"])
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
            .arg(self.socket())
            .args(&self.settings)
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut output = BufReader::new(guard.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let server = Pid::from_raw(line.trim().parse().unwrap()).unwrap();
        // Somebody has to read what it says.
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        self.running = Some((guard, server));
        // Usable when it answers.
        drop(self.connect().await);
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    pub(crate) fn options(&self) -> RedisOptions {
        let mut options = RedisOptions::new(self.url(), "tests", Handle::current());
        // A loaded machine must not look like a server that is gone.
        options.operation_timeout = Duration::from_secs(5);
        options
    }

    /// A connection, as a process has one, that can be used.
    pub(crate) async fn connect(&self) -> Redis {
        self.connect_with(self.options()).await
    }

    pub(crate) async fn connect_with(&self, options: RedisOptions) -> Redis {
        let redis = Redis::open(options).unwrap();
        connected(&redis).await;
        redis
    }

    /// A client past the cache.
    pub(crate) async fn client(&self) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(self.url()).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let (_, server) = self.running.as_ref().unwrap();
        kill_process(*server, signal).unwrap();
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        if let Some((mut guard, _)) = self.running.take() {
            drop(guard.stdin.take());
            guard.wait().unwrap();
        }
    }
}

pub(crate) async fn connected(redis: &Redis) {
    let waited = tokio::time::timeout(PATIENCE, redis.connected()).await;
    assert!(waited.is_ok(), "the server cannot be used");
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
