//! Resilience mechanisms and their derivation from an SLA: pure state machines with an injected clock.
//!
//! No I/O, no runtime, no sockets, no HTTP.

pub mod balance;
pub mod breaker;
mod bucket;
pub mod budget;
pub mod derive;
pub mod ejection;
pub mod gate;
pub mod hedge;
pub mod layer;
pub mod limiter;
mod outcome;
pub mod overrides;
mod policy;
pub mod retry;
mod window;

pub use outcome::Outcome;
pub use policy::{EdgePolicy, TargetPolicy};
