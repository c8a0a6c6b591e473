//! Servers: the Dapr API over HTTP and gRPC, the ingress, the control API. The only crate that knows status codes.
//!
//! It contains no decisions: decode, one call, encode.

mod app;
mod control;
mod ingress;
mod listener;
mod metrics;
mod reply;
pub mod wire;

pub use app::{AppMetadata, AppServerOptions, AppToken, HealthCheck, Ready, Shutdown, serve_app};
pub use control::{ControlOptions, serve_control};
pub use ingress::{IngressOptions, Route, serve_ingress};
pub use listener::{Limits, Server};
pub use metrics::Metrics;
