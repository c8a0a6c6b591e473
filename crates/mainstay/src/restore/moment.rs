//! Moments as people give them.

use std::time::Duration;

use jiff::Timestamp;
use mainstay_store::Version;

use crate::document::form::read_long_duration;

/// A moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// In milliseconds since 1970.
    At(u64),
    /// So long ago.
    Ago(Duration),
}

/// Reads RFC 3339 with an offset, or how long ago.
pub(crate) fn parse(text: &str) -> Result<Moment, String> {
    if let Ok(ago) = read_long_duration(text) {
        return Ok(Moment::Ago(ago));
    }
    let at: Result<Timestamp, _> = text.parse();
    let unix_ms = at.ok().and_then(|at| u64::try_from(at.as_millisecond()).ok());
    unix_ms.map(Moment::At).ok_or_else(|| {
        format!("`{text}` is no moment: write 2026-01-31T12:00:00Z, with Z or an offset like +01:00, or a time ago like 10m or 2d")
    })
}

impl Moment {
    /// The last version of this moment.
    pub(crate) fn version(self, now_unix_ms: u64) -> Version {
        let unix_ms = match self {
            Self::At(unix_ms) => unix_ms,
            Self::Ago(ago) => now_unix_ms.saturating_sub(u64::try_from(ago.as_millis()).unwrap_or(u64::MAX)),
        };
        let next = Version::at_unix_ms(unix_ms.saturating_add(1)).as_u64();
        Version::from_u64(next.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read() {
        for (text, moment) in [
            ("2026-11-20T13:14:08.250Z", Moment::At(1_795_180_448_250)),
            ("2026-11-20T14:14:08.250+01:00", Moment::At(1_795_180_448_250)),
            ("1970-01-01T00:00:00Z", Moment::At(0)),
            ("10m", Moment::Ago(Duration::from_secs(600))),
            ("2d", Moment::Ago(Duration::from_secs(172_800))),
            ("0", Moment::Ago(Duration::ZERO)),
        ] {
            assert_eq!(parse(text), Ok(moment), "{text}");
        }
        for text in [
            "",
            "yesterday",
            "2026-11-20",
            "2026-11-20T13:14:08",
            "13:14",
            "-5m",
            "1950-01-01T00:00:00Z",
        ] {
            assert!(parse(text).unwrap_err().contains("is no moment"), "{text}");
        }
    }

    #[test]
    fn a_moment_ends_with_its_millisecond() {
        let last = Moment::At(5).version(0);
        assert_eq!(last.unix_ms(), 5);
        assert_eq!(last.next(), Version::at_unix_ms(6));
        assert_eq!(Moment::Ago(Duration::from_millis(3)).version(8), last);
    }
}
