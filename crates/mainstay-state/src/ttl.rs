//! How long a value lives.

use std::num::NonZeroU32;

/// How long a value lives after it was set: whole seconds, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeToLive(NonZeroU32);

/// A `ttlInSeconds` that is no time to live.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`ttlInSeconds` is `{0}`: it must be a number of seconds up to {max}, or -1 for none", max = i32::MAX)]
pub struct InvalidTtl(pub String);

impl TimeToLive {
    /// So many seconds.
    pub const fn seconds(seconds: NonZeroU32) -> Self {
        Self(seconds)
    }

    /// Reads the metadata `ttlInSeconds` of a set: whole seconds, up to 2^31 - 1. Nothing, `0` and `-1` mean that the
    /// value stays.
    pub fn parse(text: &str) -> Result<Option<Self>, InvalidTtl> {
        if text.is_empty() {
            return Ok(None);
        }
        match text.parse::<i32>() {
            Ok(seconds @ -1..) => Ok(u32::try_from(seconds).ok().and_then(NonZeroU32::new).map(Self)),
            _ => Err(InvalidTtl(text.to_owned())),
        }
    }

    /// When a value expires that is set at `now_ms`; both in milliseconds since 1970.
    pub fn expires_at_ms(self, now_ms: u64) -> u64 {
        now_ms.saturating_add(u64::from(self.0.get()) * 1_000)
    }
}

/// Whether a value with this expiry is gone at `now_ms`; both in milliseconds since 1970.
pub fn expired(expires_at_ms: Option<u64>, now_ms: u64) -> bool {
    expires_at_ms.is_some_and(|expires| expires <= now_ms)
}

/// A moment in milliseconds since 1970 as RFC 3339 shows it, in whole seconds of UTC: `2026-01-31T12:00:00Z`.
pub fn rfc3339(unix_ms: u64) -> String {
    let seconds = unix_ms / 1_000;
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    // Days to a date (Hinnant, "chrono-compatible low-level date algorithms"): years begin in March, so that the leap
    // day is the last one of a year; an era is 400 years.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        time / 3_600,
        time / 60 % 60,
        time % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_read() {
        let lives = |text| TimeToLive::parse(text).map(|ttl| ttl.map(|ttl| ttl.expires_at_ms(500)));
        assert_eq!(lives("3"), Ok(Some(3_500)));
        for none in ["", "0", "-1"] {
            assert_eq!(lives(none), Ok(None), "{none}");
        }
        for wrong in ["-2", "1.5", "soon", "2147483648", " 3"] {
            assert_eq!(lives(wrong), Err(InvalidTtl(wrong.to_owned())), "{wrong}");
        }
        assert_eq!(lives("2147483647"), Ok(Some(2_147_483_647_500)));
    }

    #[test]
    fn a_value_is_gone_at_its_expiry() {
        assert!(!expired(None, u64::MAX));
        assert!(!expired(Some(10), 9));
        assert!(expired(Some(10), 10));
    }

    #[test]
    fn moments_read_as_dates() {
        for (unix_ms, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (951_868_799_999, "2000-02-29T23:59:59Z"),
            (1_609_459_199_000, "2020-12-31T23:59:59Z"),
            (1_782_864_000_000, "2026-07-01T00:00:00Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(unix_ms), text);
        }
    }
}
