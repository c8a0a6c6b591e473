//! The data plane: replicas, discovery, balancing, the call path. The only crate that dials apps and peers.

mod body;
mod call;
pub mod client;
mod error;
mod mesh;
mod report;
mod topology;
mod trace;
mod worker;

pub use body::Body;
pub use call::{Call, Caller, Protocol, Target};
pub use error::{CallError, Reason};
pub use mesh::{Mesh, MeshOptions, StartError, TraceExport};
pub use report::{EdgeReport, ReplicaReport, Report, TargetReport};
pub use topology::{AppProtocol, EdgeConfig, Endpoint, ExternalConfig, Fallback, TargetConfig, Topology};
pub use trace::TraceContext;
pub use worker::Workers;
