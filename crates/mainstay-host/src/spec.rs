//! What to run.

use std::path::PathBuf;
use std::time::Duration;

use mainstay_base::AppId;

/// One app to run.
#[derive(Clone, Debug)]
pub struct AppSpec {
    /// Its name.
    pub app: AppId,
    /// Program and arguments; never empty. `${NAME}` stands for a variable of [`crate::Prepared`].
    pub command: Vec<String>,
    /// Working directory.
    pub dir: PathBuf,
    /// Variables of the manifest and its env files, in this order; a later one wins. The replica's own come after.
    /// `${NAME}` stands for one of those.
    pub env: Vec<(String, String)>,
    /// How many copies.
    pub replicas: u32,
    /// What must be there first.
    pub needs: Vec<Need>,
    /// How its health is found out.
    pub probes: Probes,
    /// What happens when it ends.
    pub restart: RestartPolicy,
    /// How it is ended.
    pub stop: StopPolicy,
}

/// Something that must be there before an app starts.
#[derive(Clone, Debug)]
pub struct Need {
    /// What is waited for.
    pub app: AppId,
    /// Until when.
    pub condition: Condition,
}

/// Until when another app is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Every replica's process runs, or ended well.
    Started,
    /// Every replica is ready, or has been and ended well since.
    Healthy,
    /// It ended with exit code 0.
    Completed,
}

/// The three probes of Kubernetes; each optional. Without a readiness probe, an app with a port is ready once the port
/// accepts connections, one without once it started.
#[derive(Clone, Debug, Default)]
pub struct Probes {
    /// Holds back the other two until it succeeded; failing restarts.
    pub startup: Option<Probe>,
    /// Failing takes the replica out of traffic.
    pub readiness: Option<Probe>,
    /// Failing restarts the replica.
    pub liveness: Option<Probe>,
}

/// One probe. Names and defaults are those of Kubernetes, except for `period` (1 s: this is one machine).
#[derive(Clone, Debug)]
pub struct Probe {
    /// What is tried.
    pub action: ProbeAction,
    /// Wait before the first try.
    pub initial_delay: Duration,
    /// Time between tries.
    pub period: Duration,
    /// How long a try may take.
    pub timeout: Duration,
    /// Successes in a row that make it good.
    pub success_threshold: u32,
    /// Failures in a row that make it bad.
    pub failure_threshold: u32,
}

/// What a probe tries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeAction {
    /// `GET` answers 200 to 399. Port of the replica when absent.
    Http {
        /// Path with query.
        path: String,
        /// Another port than the replica's.
        port: Option<u16>,
    },
    /// The port accepts a connection.
    Tcp {
        /// Another port than the replica's.
        port: Option<u16>,
    },
    /// The command exits with 0.
    Exec {
        /// Program and arguments.
        command: Vec<String>,
    },
    /// A line of output contains this text.
    Log {
        /// The text.
        contains: String,
    },
}

/// Whether an app that ended is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// Always.
    Always,
    /// Only after an exit code other than 0 or a signal.
    OnFailure,
    /// Never.
    Never,
}

/// What happens when an app ends.
#[derive(Clone, Debug)]
pub struct RestartPolicy {
    /// Whether it is started again.
    pub restart: Restart,
    /// Wait before the first restart.
    pub backoff_min: Duration,
    /// Longest wait. Each restart in a row doubles the wait; each wait is shorter by a random part of up to a quarter.
    pub backoff_max: Duration,
    /// Running this long makes the next wait the shortest again.
    pub calm: Duration,
    /// Give up after this many restarts in a row; never when absent.
    pub max_restarts: Option<u32>,
}

/// How an app is ended.
#[derive(Clone, Debug)]
pub struct StopPolicy {
    /// Signal number that asks it to end; 15 is SIGTERM, which also stands in for a real-time signal.
    pub signal: i32,
    /// How long it may take before its whole process group is killed.
    pub grace: Duration,
    /// How long calls under way may take to end before that.
    pub drain: Duration,
}
