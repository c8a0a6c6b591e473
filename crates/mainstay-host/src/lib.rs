//! Runs processes: start, probe, restart, drain, capture output. The only crate that spawns.
//!
//! Shape: [`HostOptions`] and [`AppSpec`]s go in, a [`Handle`] comes out; the service behind it owns its channels.
//!
//! Inside, `machine` decides what one replica does next and `replica` carries it out; `needs` decides who waits for
//! whom. Each replica runs under a [`guard`], so that nothing of it outlives Mainstay.

mod board;
mod complete;
mod context;
pub mod guard;
mod handle;
mod live;
mod log;
mod machine;
mod metrics;
mod needs;
mod output;
mod probe;
mod proc_fs;
mod process;
mod program;
mod replica;
mod roll;
mod spec;
mod status;
mod supervisor;
mod surroundings;
mod usage;

pub use handle::{Handle, HostOptions, StartError, UnknownApp, start};
pub use log::{LogFilter, LogLine, LogSource, LogStream};
pub use metrics::METRIC_TABLE;
pub use spec::{AppSpec, Condition, Need, Probe, ProbeAction, Probes, Restart, RestartPolicy, StopPolicy};
pub use status::{AppStatus, Exit, ReplicaState, ReplicaStatus, Snapshot, Usage};
pub use surroundings::{NetworkProbe, PrepareError, Prepared, Surroundings};
