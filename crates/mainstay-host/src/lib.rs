//! Runs processes: start, probe, restart, drain, capture output. The only crate that spawns.
//!
//! Shape: [`HostOptions`] and [`AppSpec`]s go in, a [`Handle`] comes out; the service behind it owns its channels.

mod handle;
mod log;
mod spec;
mod status;
mod surroundings;

pub use handle::{Handle, HostOptions, StartError, UnknownApp, start};
pub use log::{LogFilter, LogLine, LogSource, LogStream};
pub use spec::{AppSpec, Condition, Need, Probe, ProbeAction, Probes, Restart, RestartPolicy, StopPolicy};
pub use status::{AppStatus, Exit, ReplicaState, ReplicaStatus, Snapshot, Usage};
pub use surroundings::{NetworkProbe, PrepareError, Prepared, Surroundings};
