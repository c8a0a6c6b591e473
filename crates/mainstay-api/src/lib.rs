//! Servers: the Dapr API over HTTP and gRPC, the ingress, the control API. The only crate that knows status codes.
//!
//! It contains no decisions: decode, one call, encode.

mod app;
mod blocks;
mod body;
mod control;
mod errors;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod grpc;
mod http;
mod ingress;
mod listener;
mod metrics;
mod operations;
mod public;
mod reply;
mod step;
mod token;
pub mod wire;

pub use app::{AppMetadata, AppServerOptions, CallCaches, HealthCheck, Ready, Shutdown, serve_app};
pub use blocks::{About, Blocks, ConfigurationComponent, LockComponent, SecretComponent, StateComponent};
pub use control::{ControlOptions, PROCESS_METRIC_TABLE, serve_control};
pub use ingress::{IngressOptions, Route, serve_ingress};
pub use listener::{Limits, Server};
pub use metrics::{METRIC_TABLE, Meter, Metrics};
pub use operations::metadata::Notes;
pub use public::{MetricsOptions, serve_metrics, serve_public};
pub use token::AppToken;
