//! The data plane: replicas, discovery, balancing, the call path. The only crate that dials apps and peers.

mod answer;
mod body;
mod call;
mod callee;
pub mod client;
mod dial;
mod directory;
mod edge;
mod error;
mod headers;
mod mesh;
mod metrics;
mod pool;
mod replica;
mod report;
mod topology;
mod trace;
mod upgrade;
mod worker;

pub use body::Body;
pub use call::{Call, Protocol, Target};
pub use edge::Caller;
pub use error::{CallError, Reason};
pub use mesh::{Mesh, MeshOptions, StartError, TraceExport};
pub use report::{EdgeReport, ReplicaReport, Report, TargetReport};
pub use topology::{AppProtocol, EdgeConfig, Endpoint, ExternalConfig, Fallback, TargetConfig, Topology};
pub use trace::TraceContext;
pub use worker::Workers;
