//! What runs, as it stands.

use std::fmt;
use std::time::{Duration, SystemTime};

use mainstay_base::{AppId, ReplicaId};

/// Everything that runs, at one moment. Published through [`crate::Handle::watch`]; never a missed last state.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// In the order of the manifest.
    pub apps: Vec<AppStatus>,
    /// Whether the host is stopping.
    pub stopping: bool,
}

/// One app.
#[derive(Clone, Debug)]
pub struct AppStatus {
    /// Its name.
    pub app: AppId,
    /// Its replicas, by index.
    pub replicas: Vec<ReplicaStatus>,
}

/// One replica.
#[derive(Clone, Debug)]
pub struct ReplicaStatus {
    /// Which.
    pub id: ReplicaId,
    /// Where it stands.
    pub state: ReplicaState,
    /// Its process group, while one runs.
    pub pid: Option<u32>,
    /// The port it was given.
    pub port: Option<u16>,
    /// Restarts since Mainstay started.
    pub restarts: u32,
    /// When it entered its state.
    pub since: SystemTime,
    /// Whether it has been ready since Mainstay started.
    pub was_ready: bool,
    /// How it ended last.
    pub last_exit: Option<Exit>,
    /// What it uses, while it runs.
    pub usage: Usage,
}

/// Where a replica stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplicaState {
    /// Waits for others: their names with the condition, like `database (healthy)`.
    Waiting(Vec<String>),
    /// The process runs, the startup or readiness probe has not succeeded yet.
    Starting,
    /// Takes traffic.
    Ready,
    /// Runs, but a probe fails: takes no traffic.
    Unready(String),
    /// Gets no new calls and will be stopped.
    Draining,
    /// Was asked to end.
    Stopping,
    /// Ended well and stays so.
    Completed,
    /// Ended and is started again after this long.
    BackOff(Duration),
    /// Ended again and again; still tried, ever more rarely. What it said last is in the log.
    CrashLoop(Duration),
    /// Ended badly and is not started again, or cannot be started (no such command): the reason.
    Failed(String),
    /// Was stopped on purpose.
    Stopped,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// What a replica's processes use together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Processor time since the start.
    pub cpu: Duration,
    /// Resident memory in bytes.
    pub memory_bytes: u64,
    /// Open file descriptors.
    pub open_files: u64,
    /// Processes.
    pub processes: u32,
}

impl fmt::Display for Exit {
    /// `exit code 3`, `killed by SIGKILL`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(formatter, "exit code {code}"),
            Self::Signal(signal) => write!(formatter, "killed by {}", signal_name(*signal)),
        }
    }
}

/// `SIGTERM`, or `signal 40` for one without a name.
pub(crate) fn signal_name(number: i32) -> String {
    signal_hook::low_level::signal_name(number).map_or_else(|| format!("signal {number}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exits_are_named() {
        assert_eq!(Exit::Code(3).to_string(), "exit code 3");
        assert_eq!(Exit::Signal(9).to_string(), "killed by SIGKILL");
        assert_eq!(Exit::Signal(40).to_string(), "killed by signal 40");
    }
}
