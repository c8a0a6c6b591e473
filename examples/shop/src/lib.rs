//! What the services of the shop share.
//!
//! They are plain HTTP servers that know nothing of each other's addresses: a call goes to the Dapr API beside the
//! service, by name. Timeouts, retries, breakers, limits and fallbacks are nowhere in this code; the runtime derives
//! them from the SLAs in `mainstay.yaml`. What they have to remember is in the state store of the runtime.

mod context;
mod dapr;
mod knob;
mod memory;
mod model;
mod problem;
mod service;
mod state;
mod traffic;

pub use context::Context;
pub use dapr::{Answer, Dapr};
pub use knob::knob;
pub use memory::Memory;
pub use model::{
    Cart, Charge, Charged, Order, Payment, Product, Purchase, Reservation, Reserved, Stock, check_id,
    plain_key,
};
pub use problem::Problem;
pub use service::serve;
pub use state::{Change, Kept, Saved};
pub use traffic::{Arrivals, Outcome, Tally};
