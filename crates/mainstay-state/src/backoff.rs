//! Waiting before something is tried again that met a rival.

use std::time::Duration;

/// The longest pause between two attempts.
const MAX_PAUSE_MS: u64 = 32;

/// Waits before the next attempt after the one of this number, counted from 0; of random length, so that rivals do not meet
/// again at once. Cancel safe.
pub(crate) async fn pause(attempt: u32) {
    let most_ms = (1_u64 << attempt.min(16)).min(MAX_PAUSE_MS);
    let mut random = [0; 8];
    // Without randomness it is the longest.
    let share = getrandom::fill(&mut random).map_or(u64::MAX, |()| u64::from_ne_bytes(random));
    tokio::time::sleep(Duration::from_micros(share % (most_ms * 1_000))).await;
}
