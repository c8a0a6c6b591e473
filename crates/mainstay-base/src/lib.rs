//! The vocabulary of Mainstay: identifiers, the SLA, deadlines, dates, error kinds, and the ports for time and randomness.
//!
//! This crate does no I/O and knows no runtime, no HTTP and no serialisation format. A type comes in only when three
//! crates need it.

mod cache;
mod clock;
mod date;
mod deadline;
mod duration;
mod error;
mod id;
pub mod limits;
pub mod metric;
mod reply;
mod rng;
mod sla;

pub use cache::CacheStatus;
pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use date::{rfc3339, rfc3339_millis};
pub use deadline::Deadline;
pub use duration::{InvalidDuration, format_duration, parse_duration};
pub use error::{ErrorKind, Fault, Retryability};
pub use id::{AppId, InvalidAppId, ReplicaId};
pub use reply::{Ended, Reply};
pub use rng::{Rng, SplitMix64};
pub use sla::{Availability, InvalidAvailability, Latency, Priority, Sla};
