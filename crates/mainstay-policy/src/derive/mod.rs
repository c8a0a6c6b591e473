//! From a promise to the numbers that keep it.
//!
//! Every number of an [`EdgePolicy`](crate::EdgePolicy) and a [`TargetPolicy`](crate::TargetPolicy) follows from the SLA
//! of the callee (and, for the deadline, of the caller). Each is a [`Line`] as well: its value, the sum that led to it and
//! where the figures come from. A line's value is rendered from the policy itself, so the two cannot disagree.

mod derived;
mod edge;
mod figures;
mod origin;
mod promise;
mod target;
#[cfg(test)]
mod tests;

pub use derived::{Derived, Line, Reason};
pub(crate) use edge::set_call_timeout;
pub use edge::{EdgeField, derive_edge};
pub use figures::UNLIMITED;
pub use origin::Origin;
pub use promise::Promise;
pub use target::{TargetField, derive_target};
