//! Resilience mechanisms and their derivation from an SLA: pure state machines with an injected clock.
//!
//! No I/O, no runtime, no sockets, no HTTP. What a callee promises goes in ([`mod@derive`]), the numbers that keep the promise
//! come out ([`EdgePolicy`], [`TargetPolicy`]), each with the sum that led to it; the mechanisms run on them:
//!
//! | mechanism | whose | after |
//! |---|---|---|
//! | [`retry`]: full jitter, only what may be made twice, only while it can still help | edge | AWS, gRPC A6 |
//! | [`budget`]: 20 % of calls and 10/s | edge | Finagle `RetryBudget` |
//! | [`breaker`]: opens on a failing edge, one probe, then a ramp | edge | Nygard, "Release It!" |
//! | [`hedge`]: a second attempt after the 95th percentile, 5 % | edge | Dean and Barroso, "The Tail at Scale" |
//! | [`gate`]: a short queue with priorities before the callee | callee | `CoDel`; adaptive LIFO |
//! | [`limiter`]: a learnt limit of calls at a time | replica | gradient limiters of Envoy and Netflix |
//! | [`ejection`]: leaves a failing replica out | replica | Envoy outlier detection |
//! | [`balance`]: power of two choices on peak EWMA | replica | Finagle, Linkerd |
//!
//! All of them take `&self`, are shared by many threads, and neither lock nor allocate on the good path; a call through the
//! whole pipeline allocates nothing (`tests/it`, `benches/policy.rs`).
//!
//! Inside Mainstay the mesh runs them. Alone, they are tower layers: see [`layer`] and `examples/resilient_client.rs`.

pub mod arithmetic;
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
