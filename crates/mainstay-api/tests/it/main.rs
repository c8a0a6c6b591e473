//! The servers against real sockets, with the real data plane and apps that answer as a test wants.
#![expect(clippy::disallowed_methods, reason = "these tests are the clients")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail as tests do"
)]

mod backup;
mod components;
mod configuration;
mod control;
mod faults;
mod fences;
mod fixed_routes;
mod grpc;
mod hostile;
mod ingress;
mod invoke;
mod lock;
mod migration;
mod secrets;
mod state;
mod streams;
mod support;
mod transports;
