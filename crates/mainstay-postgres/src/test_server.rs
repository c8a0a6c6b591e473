//! A PostgreSQL server of the tests' own: in a folder of its own, reached through a socket in it, run by a user without
//! rights, gone with the tests however they end.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "tests, though compiled as a library for the tests of components"
)]

use std::io::Write as _;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::OnceCell;

use crate::{Options, Postgres, Session};

/// `nobody`: PostgreSQL does not run as root.
const NOBODY: u32 = 65_534;

const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a server until its input ends, which it does when this process is gone, however that came about. Then it stops the
/// server and removes the folder, unless it was told to keep it, or to kill everything.
const GUARD: &str = r#"
    folder=$1; shift; "$@" & server=$!
    read -r word
    if test "$word" = crash; then
        # Stopped, it starts no more processes.
        kill -STOP "$server"
        processes="$server $(cat "/proc/$server/task/$server/children")"
        kill -KILL $processes; wait "$server"
        # The next server does not start while one of these still has the shared memory.
        for process in $processes; do
            while grep -qs '^State:.[^ZX]' "/proc/$process/status"; do sleep 0.01; done
        done
    else
        kill -INT "$server" 2>/dev/null; wait "$server"
    fi
    test "$word" || rm -rf "$folder"
"#;

/// A server. It keeps what it acknowledges, unless the settings say otherwise.
#[derive(Debug)]
pub struct TestServer {
    folder: PathBuf,
    programs: PathBuf,
    settings: Vec<String>,
    /// Part of the name of its socket, and where it listens if the settings say so.
    port: u16,
    guard: Option<Child>,
}

/// Whether PostgreSQL is installed. Where it is not, says that a test is skipped; CI skips nothing.
pub fn available() -> bool {
    let found = programs().is_some();
    if !found {
        let why = "PostgreSQL is not installed: run scripts/test-tools.sh";
        assert!(std::env::var("CI").is_err(), "{why}");
        eprintln!("skipped: {why}");
    }
    found
}

/// One server for all tests of a binary: to make one takes seconds. Give each test its own tables, see [`new_schema`].
pub async fn shared() -> &'static TestServer {
    static SERVER: OnceCell<TestServer> = OnceCell::const_new();
    SERVER.get_or_init(TestServer::start).await
}

/// The same; `None` where [`available`] says that it cannot be.
pub async fn shared_if_available() -> Option<&'static TestServer> {
    if available() { Some(shared().await) } else { None }
}

/// The name of a schema that no other test of the binary has.
pub fn new_schema() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn programs() -> Option<PathBuf> {
    let installed = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut folders: Vec<_> = installed.map(|version| version.path().join("bin")).collect();
    folders.extend(std::env::split_paths(
        &std::env::var_os("PATH").unwrap_or_default(),
    ));
    folders.into_iter().find(|folder| folder.join("initdb").exists())
}

/// A command that is run without rights.
fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

impl TestServer {
    /// A new server that runs.
    pub async fn start() -> Self {
        let mut server = Self::prepare();
        server.resume().await;
        server
    }

    /// The same; `None` where [`available`] says that it cannot be.
    pub async fn start_if_available() -> Option<Self> {
        if available() {
            Some(Self::start().await)
        } else {
            None
        }
    }

    /// A server that does not run yet: files that it needs can be put into its folder.
    pub fn prepare() -> Self {
        let programs = programs().expect("PostgreSQL is installed");
        let folder = tempfile::tempdir().expect("a folder can be made").keep();
        own(&folder);
        let made = command(programs.join("initdb"))
            .args([
                "--auth=trust",
                "--username=mainstay",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "--data-checksums",
                "-D",
            ])
            .arg(folder.join("data"))
            .current_dir(&folder)
            .status();
        assert!(made.is_ok_and(|status| status.success()), "initdb fails");
        Self {
            folder,
            programs,
            settings: Vec::new(),
            port: 5_432,
            guard: None,
        }
    }

    /// Listens on a port of this machine too, from the next start on.
    pub fn listen_on(&mut self, port: u16) {
        self.port = port;
        self.set("listen_addresses=127.0.0.1");
    }

    /// Takes a setting at the next start, such as `ssl=on`.
    pub fn set(&mut self, setting: impl Into<String>) {
        self.settings.push(setting.into());
    }

    /// Writes a file that only the server may read.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.folder.join(name);
        std::fs::write(&path, text).expect("a file can be written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&path, mode).expect("a file can be protected");
        own(&path);
    }

    /// Starts it, with what it has. What it says goes into the file `log` in its folder.
    pub async fn resume(&mut self) {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("log"))
            .expect("a log can be written");
        let mut guard = command("/bin/sh");
        guard
            .args(["-c", GUARD, "guard"])
            .arg(&self.folder)
            .arg(self.programs.join("postgres"))
            .arg("-D")
            .arg(self.folder.join("data"))
            .args(["-p", &self.port.to_string(), "-k"])
            .arg(&self.folder)
            .args(["-c", "listen_addresses=", "-c", "max_connections=300"])
            .args(self.settings.iter().flat_map(|setting| ["-c", setting]))
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stderr(log);
        self.guard = Some(guard.spawn().expect("a server can be started"));
        let ready = async {
            while !self.is_ready() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, ready).await.is_ok();
        let log = || std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        assert!(in_time, "the server is not ready: {}", log());
    }

    fn is_ready(&self) -> bool {
        let port = self.port.to_string();
        let asked = command(self.programs.join("pg_isready"))
            .args(["-p", &port, "-h"])
            .arg(&self.folder)
            .status();
        asked.is_ok_and(|status| status.success())
    }

    /// Stops it; it keeps what it has.
    pub fn stop(&mut self) {
        self.end("keep\n");
    }

    /// Kills all its processes at once (`kill -9`) and tells nobody; it finds what it has at the next start, from its log.
    pub fn crash(&mut self) {
        self.end("crash\n");
    }

    /// A connection past the component.
    pub async fn connect(&self) -> Session {
        let connected = Postgres::new(self.options()).expect("the options are valid");
        connected.session().await.expect("the server is there")
    }

    fn end(&mut self, last_words: &str) {
        if let Some(mut guard) = self.guard.take() {
            if let Some(mut input) = guard.stdin.take() {
                // It is gone already when the server ended by itself.
                let _ = input.write_all(last_words.as_bytes());
            }
            let _ = guard.wait();
        }
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How to reach it.
    pub fn connection_string(&self) -> String {
        let (folder, port) = (self.folder.display(), self.port);
        format!("host={folder} port={port} user=mainstay database=postgres")
    }

    /// The same as a URL.
    pub fn url(&self) -> String {
        let (folder, port) = (self.folder.display(), self.port);
        format!("postgres://mainstay@/postgres?host={folder}&port={port}")
    }

    /// The same, read.
    pub fn options(&self) -> Options {
        Options::new(&self.connection_string()).expect("the string is valid")
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.end("");
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn own(path: &Path) {
    if is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).expect("root may give files away");
    }
}
