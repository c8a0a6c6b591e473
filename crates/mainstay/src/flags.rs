//! Values of flags.

use std::time::Duration;

/// Reads a duration like `250ms`, `5s` or `1m30s`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    mainstay_base::parse_duration(text).map_err(|error| error.to_string())
}
