//! End-to-end tests: each starts the real binary.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests fail loudly"
)]
#![expect(unreachable_pub, reason = "`pub` marks what tests may use of the harness")]

mod backup;
mod blocks;
mod cache;
mod calls;
mod clients;
mod command_line;
mod daprd;
mod examples;
mod faults;
mod grpc;
mod harness;
mod migrate;
mod planning;
mod policies;
mod sdk;
mod start;
mod state;
mod supervision;
mod telemetry;
mod tls;
mod tools;
