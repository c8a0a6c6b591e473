//! The wall clock, read in one place: only what is shown to people or written down uses it.

use std::time::SystemTime;

use crate::render::time;

/// Milliseconds since 1970 in UTC.
#[expect(
    clippy::disallowed_methods,
    reason = "the binary is where the machine's clock is plugged in"
)]
pub(crate) fn unix_ms() -> u64 {
    time::unix_ms(SystemTime::now())
}
