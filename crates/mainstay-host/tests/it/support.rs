//! A host with shell scripts as apps, and ways to wait for what it does.

use std::future::Future;
use std::net::TcpListener;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mainstay_base::{AppId, ReplicaId};
use mainstay_host::{
    AppSpec, Condition, Handle, HostOptions, LogFilter, LogLine, LogSource, Need, NetworkProbe, PrepareError,
    Prepared, Probes, ReplicaState, ReplicaStatus, Restart, RestartPolicy, Snapshot, StopPolicy,
    Surroundings,
};
use tempfile::TempDir;
use tokio::sync::watch;

/// Longer than anything here takes on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_mins(2);

pub(crate) fn app(name: &str) -> AppId {
    AppId::new(name).unwrap()
}

/// An app that runs a shell script and restarts quickly.
pub(crate) fn shell(name: &str, script: &str) -> AppSpec {
    AppSpec {
        app: app(name),
        command: ["sh", "-c", script].map(str::to_owned).to_vec(),
        dir: std::env::temp_dir(),
        env: Vec::new(),
        replicas: 1,
        needs: Vec::new(),
        probes: Probes::default(),
        restart: RestartPolicy {
            restart: Restart::OnFailure,
            backoff_min: Duration::from_millis(10),
            backoff_max: Duration::from_millis(50),
            calm: Duration::from_mins(1),
            max_restarts: None,
        },
        stop: StopPolicy {
            signal: 15,
            grace: Duration::from_secs(10),
            drain: Duration::ZERO,
        },
    }
}

pub(crate) fn needs(name: &str, condition: Condition) -> Need {
    Need {
        app: app(name),
        condition,
    }
}

/// What happens around the host, as the tests want it.
#[derive(Debug)]
pub(crate) struct Outside {
    /// The apps that are given a port.
    ports: Vec<AppId>,
    /// Why a replica cannot be prepared.
    refusal: Mutex<Option<String>>,
    /// Replicas in the order in which they were drained.
    drained: Mutex<Vec<ReplicaId>>,
    /// What an HTTP probe is answered.
    answer: Mutex<Result<(), String>>,
    /// The newest HTTP probe.
    asked: watch::Sender<String>,
}

impl Default for Outside {
    fn default() -> Self {
        Self::with_ports(&[])
    }
}

impl Outside {
    pub(crate) fn with_ports(apps: &[&str]) -> Self {
        Self {
            ports: apps.iter().map(|name| app(name)).collect(),
            refusal: Mutex::default(),
            drained: Mutex::default(),
            answer: Mutex::new(Ok(())),
            asked: watch::Sender::new(String::new()),
        }
    }

    pub(crate) fn refuse(&self, reason: Option<&str>) {
        *self.refusal.lock().unwrap() = reason.map(str::to_owned);
    }

    pub(crate) fn answer(&self, answer: &Result<(), String>) {
        self.answer.lock().unwrap().clone_from(answer);
    }

    pub(crate) fn drained(&self) -> Vec<ReplicaId> {
        self.drained.lock().unwrap().clone()
    }

    pub(crate) async fn until_asked(&self, wanted: &str) {
        let mut asked = self.asked.subscribe();
        let asked = asked.wait_for(|asked| asked == wanted);
        assert!(tokio::time::timeout(LIMIT, asked).await.is_ok(), "no `{wanted}`");
    }
}

impl Surroundings for Outside {
    fn prepare(&self, replica: &ReplicaId) -> Result<Prepared, PrepareError> {
        if let Some(reason) = &*self.refusal.lock().unwrap() {
            return Err(PrepareError(reason.clone()));
        }
        let mut env = vec![("REPLICA".to_owned(), replica.to_string())];
        let port = self.ports.contains(&replica.app).then(free_port);
        env.extend(port.map(|port| ("PORT".to_owned(), port.to_string())));
        Ok(Prepared { port, env })
    }

    fn drain<'a>(
        &'a self,
        replica: &'a ReplicaId,
        _limit: Duration,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        self.drained.lock().unwrap().push(replica.clone());
        Box::pin(std::future::ready(()))
    }

    fn probe<'a>(
        &'a self,
        probe: &'a NetworkProbe,
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>> {
        Box::pin(async move {
            match probe {
                NetworkProbe::Tcp { port } => connect(*port).await,
                NetworkProbe::Http { port, path } => {
                    self.asked.send_replace(format!("GET {port}{path}"));
                    self.answer.lock().unwrap().clone()
                }
            }
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "the test plays the data plane")]
async fn connect(port: u16) -> Result<(), String> {
    let connected = tokio::net::TcpStream::connect(("127.0.0.1", port)).await;
    connected.map(drop).map_err(|error| error.to_string())
}

/// Waits for something that has no event to wait for.
pub(crate) async fn until(mut reached: impl FnMut() -> bool) {
    let looked = async {
        while !reached() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LIMIT, looked).await.unwrap();
}

/// The number in a file that a script writes, once it is there.
pub(crate) async fn pid_in(file: &Path) -> u32 {
    let mut pid = None;
    until(|| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        pid = text.trim().parse().ok();
        pid.is_some()
    })
    .await;
    pid.unwrap()
}

/// Waits until a process has ended; it need not be a child.
pub(crate) async fn until_gone(pid: u32) {
    let waited = tokio::task::spawn_blocking(move || {
        let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
        let Ok(process) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) else {
            return true;
        };
        let mut polled = [rustix::event::PollFd::new(&process, rustix::event::PollFlags::IN)];
        let limit = rustix::event::Timespec::try_from(LIMIT).unwrap();
        rustix::event::poll(&mut polled, Some(&limit)).unwrap() == 1
    });
    assert!(waited.await.unwrap(), "process {pid} lives on");
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A host under test.
pub(crate) struct World {
    pub(crate) handle: Handle,
    pub(crate) outside: Arc<Outside>,
}

impl World {
    pub(crate) fn start(specs: Vec<AppSpec>) -> Self {
        Self::start_with(specs, Outside::default())
    }

    pub(crate) fn start_with(specs: Vec<AppSpec>, outside: Outside) -> Self {
        let options = HostOptions::new(vec![env!("CARGO_BIN_EXE_replica-guard").into()]);
        let outside = Arc::new(outside);
        let surroundings: Arc<dyn Surroundings> = Arc::<Outside>::clone(&outside);
        let handle = mainstay_host::start(options, specs, surroundings).unwrap();
        Self { handle, outside }
    }

    pub(crate) fn replica(&self, name: &str, index: u32) -> ReplicaStatus {
        find(&self.handle.watch().borrow(), name, index)
    }

    /// Waits until a replica's status is as wanted.
    pub(crate) async fn until(
        &self,
        name: &str,
        index: u32,
        wanted: impl Fn(&ReplicaStatus) -> bool,
    ) -> ReplicaStatus {
        let mut watch = self.handle.watch();
        let reached = watch.wait_for(|snapshot| wanted(&find(snapshot, name, index)));
        if let Ok(reached) = tokio::time::timeout(LIMIT, reached).await {
            return find(&reached.unwrap(), name, index);
        }
        panic!(
            "{name}-{index} did not come as far: {:?}\n{}",
            self.replica(name, index),
            self.log().await.join("\n")
        );
    }

    pub(crate) async fn until_state(&self, name: &str, wanted: ReplicaState) -> ReplicaStatus {
        self.until(name, 1, |status| status.state == wanted).await
    }

    /// Waits for a line that contains `text`; gives it.
    pub(crate) async fn until_line(&self, text: &str) -> Arc<LogLine> {
        let mut stream = self.handle.logs(LogFilter {
            follow: true,
            ..LogFilter::default()
        });
        let found = async {
            while let Some(line) = stream.next().await {
                if line.text.contains(text) {
                    return line;
                }
            }
            panic!("the log ended without `{text}`");
        };
        if let Ok(line) = tokio::time::timeout(LIMIT, found).await {
            return line;
        }
        panic!("no line with `{text}` in\n{}", self.log().await.join("\n"));
    }

    /// All lines so far; those of Mainstay begin with a `*`.
    pub(crate) async fn log(&self) -> Vec<String> {
        let mut stream = self.handle.logs(LogFilter::default());
        let mut lines = Vec::new();
        while let Some(line) = stream.next().await {
            lines.push(match &line.source {
                LogSource::Output(id) | LogSource::Error(id) => format!("{id} {}", line.text),
                LogSource::Event(id) => format!("* {id} {}", line.text),
                LogSource::Note(app) => format!("* {app} {}", line.text),
            });
        }
        lines
    }

    /// Waits until everything has stopped.
    pub(crate) async fn stopped(&self) {
        let stopped = tokio::time::timeout(LIMIT, self.handle.stopped()).await;
        assert!(stopped.is_ok(), "not stopped: {:?}", self.handle.watch().borrow());
    }

    pub(crate) async fn stop(&self) {
        self.handle.stop();
        self.stopped().await;
    }
}

fn find(snapshot: &Snapshot, name: &str, index: u32) -> ReplicaStatus {
    let status = snapshot.apps.iter().find(|status| status.app.as_str() == name);
    status.unwrap().replicas[index as usize - 1].clone()
}

/// A directory for files that scripts write.
pub(crate) fn dir() -> TempDir {
    tempfile::tempdir().unwrap()
}
