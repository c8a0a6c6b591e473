//! From a promise to the numbers that keep it.

mod origin;
mod promise;

pub use origin::Origin;
pub use promise::Promise;
