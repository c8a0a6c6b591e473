//! The JSON of the control API, read and written: the command line decodes the same types.
//!
//! Fields may be added; none is renamed, removed or given another unit. Units end the name. Times are milliseconds since
//! 1970 in UTC.

mod blocks;
mod cache;
mod log;
mod migration;

use serde::{Deserialize, Serialize};

pub use self::blocks::{
    Component, Components, ConfigChange, ConfigChanged, ConfigContent, ConfigItem, ConfigRecord,
    SecretChanged, SecretItem, SecretName, SecretsRewrapped, StateChange, StateItem, StateKey, StateValue,
};
pub use self::cache::{Cache, CacheKind, Caches};

pub use self::migration::{Migration, MigrationBegin};

#[cfg(test)]
mod tests;

/// `GET /api/system`: what does not change while the system runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct System {
    /// Its name in the manifest.
    pub name: String,
    /// Mainstay's version.
    pub version: String,
    /// Process id of Mainstay.
    pub pid: u32,
    /// When it started.
    pub started_unix_ms: u64,
    /// Base URL of the control API, `http://127.0.0.1:4400`.
    pub control_url: String,
    /// Base URL of the front door, when some app has a route there.
    pub ingress_url: Option<String>,
    /// Its apps and where their Dapr API is, in the order of the manifest.
    pub apps: Vec<SystemApp>,
}

/// One app of a [`System`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemApp {
    /// Its name.
    pub app: String,
    /// Base URL of its Dapr API, HTTP and gRPC.
    pub api_url: String,
    /// URLs under which the front door reaches it.
    pub ingress_urls: Vec<String>,
}

/// `GET /api/status`: everything that runs, and the traffic between it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Whether the system is stopping.
    pub stopping: bool,
    /// The processes, in the order of the manifest.
    pub apps: Vec<App>,
    /// Every callee: apps with a port and external services.
    pub targets: Vec<Target>,
    /// Every edge.
    pub edges: Vec<Edge>,
}

/// The processes of one app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct App {
    /// Its name.
    pub app: String,
    /// Its replicas, by index.
    pub replicas: Vec<Replica>,
}

/// One replica as a process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Replica {
    /// Its name, `orders-2`.
    pub replica: String,
    /// Its number, from 1.
    pub index: u32,
    /// Where it stands.
    #[serde(flatten)]
    pub state: State,
    /// When it entered its state.
    pub since_unix_ms: u64,
    /// Its process group, while one runs.
    pub pid: Option<u32>,
    /// The port it was given.
    pub port: Option<u16>,
    /// Restarts since Mainstay started.
    pub restarts: u32,
    /// How it ended last.
    pub last_exit: Option<Exit>,
    /// Processor time since its start.
    pub cpu_seconds: f64,
    /// Resident memory.
    pub memory_bytes: u64,
    /// Open file descriptors.
    pub open_files: u64,
    /// Processes in its group.
    pub processes: u32,
}

/// Where a replica stands: the field `state`, with what belongs to it beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Waits for others.
    Waiting {
        /// Their names with the condition, `database (healthy)`.
        waits_for: Vec<String>,
    },
    /// The process runs, its startup or readiness probe has not succeeded yet.
    Starting,
    /// Takes traffic.
    Ready,
    /// Runs, but a probe fails: takes no traffic.
    Unready {
        /// Which probe, and how it fails.
        reason: String,
    },
    /// Gets no new calls and will be stopped.
    Draining,
    /// Was asked to end.
    Stopping,
    /// Ended well and stays so.
    Completed,
    /// Ended and is started again.
    BackOff {
        /// How long the wait before the restart is, counted from `since_unix_ms`.
        restart_in_ms: u64,
    },
    /// Ended again and again; still tried, ever more rarely.
    CrashLoop {
        /// How long the wait before the restart is, counted from `since_unix_ms`.
        restart_in_ms: u64,
    },
    /// Ended badly and is not started again, or cannot be started.
    Failed {
        /// Why.
        reason: String,
    },
    /// Was stopped on purpose.
    Stopped,
}

/// How a process ended: `{"code": 1}` or `{"signal": 9}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// The traffic of one callee.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Its name: an app or an external service.
    pub target: String,
    /// Calls inside.
    pub in_flight: u32,
    /// Calls waiting at the door.
    pub waiting: u64,
    /// Calls turned away since the start.
    pub shed_total: u64,
    /// Its replicas; an external service has one.
    pub replicas: Vec<TargetReplica>,
}

/// One replica as a callee.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetReplica {
    /// Its name, `orders-2`.
    pub replica: String,
    /// Where it listens, where that is known.
    pub address: Option<String>,
    /// Whether it is left out for failing.
    pub ejected: bool,
    /// Calls it may handle at a time, as learnt.
    pub concurrency_limit: u32,
    /// Calls under way.
    pub in_flight: u32,
}

/// One edge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Edge {
    /// Who calls.
    pub caller: String,
    /// Who is called.
    pub target: String,
    /// Calls ended, whatever their end.
    pub calls_total: u64,
    /// Calls that got no good answer.
    pub failures_total: u64,
    /// Calls answered by a fallback.
    pub fallbacks_total: u64,
    /// Requests sent: first attempts, retries and hedges. Fewer than calls where a breaker or the door answered.
    pub attempts_total: u64,
    /// Attempts after the first of their call.
    pub retries_total: u64,
    /// Retries that could be made now.
    pub retry_budget: f64,
    /// Where its breaker stands.
    pub breaker: Breaker,
    /// How long calls take; absent before the first.
    pub latency: Option<Latency>,
}

/// Where a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Breaker {
    /// Lets everything through.
    Closed,
    /// Lets nothing through.
    Open,
    /// Lets one probe through.
    HalfOpen,
    /// Lets a growing share through.
    Ramping,
}

/// How long calls take, from their histogram. A value is absent when it lies past the histogram's last bound (60 s).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Median.
    pub p50_seconds: Option<f64>,
    /// 99th percentile.
    pub p99_seconds: Option<f64>,
}

/// One line of `GET /api/logs`, which answers with one JSON object per line.
///
/// A gap in `number` means lines of other apps, or lines that this reader was too slow for; of those a line of Mainstay tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Counts all lines of the system.
    pub number: u64,
    /// When it was read.
    pub time_unix_ms: u64,
    /// Whose line it is.
    pub app: String,
    /// Which replica's, `orders-2`; the app's name when it is about the app as a whole.
    pub replica: String,
    /// Who wrote it.
    pub stream: Stream,
    /// Its text without the line break.
    pub text: String,
}

/// Who wrote a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// The replica, on its standard output.
    Stdout,
    /// The replica, on its standard error.
    Stderr,
    /// Mainstay, about the replica or the app.
    Event,
}

/// The body of every answer that is an error, on every port; the shape is Dapr's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// A stable word, `ERR_DIRECT_INVOKE`.
    #[serde(rename = "errorCode")]
    pub error_code: String,
    /// What is wrong and what to do.
    pub message: String,
}
