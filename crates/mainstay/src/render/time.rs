//! Spans of time as people read them.

use std::time::Duration;

/// A span in at most two units: `850ms`, `2.5s`, `3m20s`, `2h5m`, `4d3h`.
pub(crate) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{}ms", duration.as_millis()),
        1..10 => format!("{seconds}.{}s", duration.subsec_millis() / 100),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        for (millis, text) in [
            (0, "0ms"),
            (850, "850ms"),
            (2_540, "2.5s"),
            (59_900, "59s"),
            (200_000, "3m20s"),
            (7_500_000, "2h5m"),
            (356_400_000, "4d3h"),
        ] {
            assert_eq!(span(Duration::from_millis(millis)), text);
        }
    }
}
