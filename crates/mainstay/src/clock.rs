//! The wall clock, read in one place: only what is shown to people or written down uses it.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970 in UTC; 0 before.
#[expect(
    clippy::disallowed_methods,
    reason = "the binary is where the machine's clock is plugged in"
)]
pub(crate) fn unix_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}
