//! A PostgreSQL server of our own: in a folder of its own, reached through a socket in it, run by a user without rights.

use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mainstay_store::postgres::{Options, SchemaName};
use rustix::process::{Pid, Signal, kill_process};
use tokio_postgres::NoTls;

/// `nobody`: PostgreSQL does not run as root.
const NOBODY: u32 = 65_534;

const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a server until its input ends, which it does when this process is gone, however that came about. Then it stops
/// the server and removes the folder, unless it was told to keep it.
const GUARD: &str = r#"
    folder=$1; shift; "$@" & server=$!
    read -r keep
    kill -INT "$server" 2>/dev/null; wait "$server"
    test "$keep" || rm -rf "$folder"
"#;

pub(crate) struct Server {
    folder: PathBuf,
    programs: PathBuf,
    /// The guard; `None` while the server is down.
    guard: Option<Child>,
    /// Part of the name of its socket, and where it listens if the settings say so.
    pub(crate) port: u16,
    /// What the next start takes besides.
    pub(crate) settings: Vec<String>,
}

/// Where PostgreSQL is installed, or `None`; then the test says that it is skipped. CI skips nothing.
#[expect(clippy::print_stderr, reason = "says why a test is skipped")]
pub(crate) fn programs() -> Option<PathBuf> {
    let installed = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut folders: Vec<_> = installed.map(|version| version.path().join("bin")).collect();
    folders.extend(std::env::split_paths(
        &std::env::var_os("PATH").unwrap_or_default(),
    ));
    let found = folders.into_iter().find(|folder| folder.join("initdb").exists());
    if found.is_none() {
        let why = "PostgreSQL is not installed: run scripts/test-tools.sh";
        assert!(std::env::var("CI").is_err(), "{why}");
        eprintln!("skipped: {why}");
    }
    found
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A command that is run without rights.
#[expect(
    clippy::disallowed_methods,
    reason = "the test runs the server that it tests against"
)]
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

impl Server {
    /// A new server that runs; `None` where PostgreSQL is not installed.
    pub(crate) async fn start_new() -> Option<Self> {
        let programs = programs()?;
        let folder = tempfile::tempdir().unwrap().keep();
        if is_root() {
            chown(&folder, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let made = command(programs.join("initdb"))
            .args([
                "--auth=trust",
                "--username=mainstay",
                "--encoding=UTF8",
                "--no-sync",
            ])
            .args(["--locale=C", "--data-checksums", "-D"])
            .arg(folder.join("data"))
            .current_dir(&folder)
            .status()
            .unwrap();
        assert!(made.success(), "initdb: {made}");
        let mut server = Self {
            folder,
            programs,
            guard: None,
            port: 5_432,
            settings: Vec::new(),
        };
        server.start().await;
        Some(server)
    }

    /// Starts it again, with what it has.
    pub(crate) async fn start(&mut self) {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("log"))
            .unwrap();
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
        self.guard = Some(guard.spawn().unwrap());
        let port = self.port.to_string();
        let ready = || {
            let asked = command(self.programs.join("pg_isready"))
                .args(["-p", &port, "-h"])
                .arg(&self.folder)
                .status();
            asked.unwrap().success()
        };
        until(ready, || self.log()).await;
    }

    /// Kills all processes of the server at once.
    pub(crate) async fn kill(&mut self) {
        let file = std::fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap();
        let postmaster: i32 = file.lines().next().unwrap().parse().unwrap();
        let children = format!("/proc/{postmaster}/task/{postmaster}/children");
        let children = std::fs::read_to_string(children).unwrap();
        let mut processes = vec![postmaster];
        processes.extend(children.split_whitespace().map(|pid| pid.parse::<i32>().unwrap()));
        for process in &processes {
            // One that ended by itself meanwhile is as good.
            let _ = kill_process(Pid::from_raw(*process).unwrap(), Signal::KILL);
        }
        // The next server does not start while one of these still has the shared memory.
        until(
            || !processes.iter().any(|process| is_alive(*process)),
            || self.log(),
        )
        .await;
        self.stop_guard("keep\n");
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn stop_guard(&mut self, last_words: &str) {
        if let Some(mut guard) = self.guard.take() {
            let mut input = guard.stdin.take().unwrap();
            input.write_all(last_words.as_bytes()).unwrap();
            drop(input);
            guard.wait().unwrap();
        }
    }

    /// How to reach it, with the tables in `schema`.
    pub(crate) fn options(&self, schema: &str) -> Options {
        let mut options = Options::new(&self.url()).unwrap();
        options.schema = SchemaName::new(schema).unwrap();
        options
    }

    /// Where its files are; it may read what is put here.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes a file that only the server may read.
    pub(crate) fn write_secret(&self, name: &str, text: &str) {
        let path = self.folder.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        if is_root() {
            chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }

    /// A connection past the store.
    pub(crate) async fn connect(&self) -> tokio_postgres::Client {
        let (client, connection) = tokio_postgres::connect(&self.url(), NoTls).await.unwrap();
        // It ends with the client.
        tokio::spawn(connection);
        client
    }

    pub(crate) fn url(&self) -> String {
        let folder = self.folder.to_str().unwrap().replace('/', "%2F");
        format!("postgres://mainstay@{folder}/postgres")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop_guard("");
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Whether a process runs; one that has ended and that nobody has asked about does not.
fn is_alive(process: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let state = status
        .rsplit_once(") ")
        .map(|(_, rest)| rest.as_bytes().first().copied());
    state.is_some_and(|state| !matches!(state, Some(b'Z' | b'X')))
}

/// Waits until something is so.
async fn until(is_so: impl Fn() -> bool, log: impl Fn() -> String) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !is_so() {
        assert!(tokio::time::Instant::now() < deadline, "the server: {}", log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
