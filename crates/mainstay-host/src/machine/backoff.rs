//! How long to wait before a restart.

use std::time::Duration;

use mainstay_base::Rng;

use crate::RestartPolicy;

/// The share of the wait that is left to chance, so that replicas that fell together do not start together.
const JITTER: f64 = 0.25;

/// The wait after `quick_ends` ends in a row: `backoff_min` doubled as often, at most `backoff_max`, less up to a
/// quarter (exponential backoff with jitter; never longer than what the user set as the longest).
pub(super) fn wait(policy: &RestartPolicy, quick_ends: u32, rng: &mut impl Rng) -> Duration {
    let doubled = 2_u32
        .checked_pow(quick_ends)
        .and_then(|factor| policy.backoff_min.checked_mul(factor))
        .unwrap_or(policy.backoff_max);
    doubled.min(policy.backoff_max).mul_f64(1.0 - JITTER * rng.unit())
}
