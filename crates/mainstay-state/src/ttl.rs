//! How long a value lives.

use std::num::NonZeroU32;

/// How long a value lives after it was set: whole seconds, at least one, or for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeToLive(Option<NonZeroU32>);

/// A `ttlInSeconds` that is no time to live.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`ttlInSeconds` is `{0}`: it must be a number of seconds up to {max}, or -1 for none", max = i32::MAX)]
pub struct InvalidTtl(pub String);

impl TimeToLive {
    /// The value stays, also where a component says how long values live of which nothing is said.
    pub const FOREVER: Self = Self(None);

    /// So many seconds.
    pub const fn seconds(seconds: NonZeroU32) -> Self {
        Self(Some(seconds))
    }

    /// Reads the metadata `ttlInSeconds` of a set as most of Dapr's components do (their `ParseTTL`): whole seconds, up to
    /// 2^31 - 1. `0` and `-1` mean that the value stays; an empty text says nothing. What is below -1 is refused.
    pub fn parse(text: &str) -> Result<Option<Self>, InvalidTtl> {
        if text.is_empty() {
            return Ok(None);
        }
        match text.parse::<i32>() {
            Ok(seconds @ -1..) => Ok(Some(Self(u32::try_from(seconds).ok().and_then(NonZeroU32::new)))),
            _ => Err(InvalidTtl(text.to_owned())),
        }
    }

    /// How many seconds; `None` for ever.
    pub fn as_seconds(self) -> Option<u32> {
        self.0.map(NonZeroU32::get)
    }

    /// When a value expires that is set at `now_ms`, both in milliseconds since 1970; `None` when it stays.
    pub fn expires_at_ms(self, now_ms: u64) -> Option<u64> {
        let seconds = u64::from(self.as_seconds()?);
        Some(now_ms.saturating_add(seconds * 1_000))
    }
}

/// Whether a value with this expiry is gone at `now_ms`; both in milliseconds since 1970.
pub fn expired(expires_at_ms: Option<u64>, now_ms: u64) -> bool {
    expires_at_ms.is_some_and(|expires| expires <= now_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_read() {
        let lives = |text| TimeToLive::parse(text).map(|ttl| ttl.map(|ttl| ttl.expires_at_ms(500)));
        assert_eq!(lives("3"), Ok(Some(Some(3_500))));
        assert_eq!(lives("+3"), Ok(Some(Some(3_500))));
        assert_eq!(lives(""), Ok(None));
        for forever in ["0", "-1", "-0"] {
            assert_eq!(lives(forever), Ok(Some(None)), "{forever}");
        }
        for wrong in ["-2", "1.5", "soon", "2147483648", " 3"] {
            assert_eq!(lives(wrong), Err(InvalidTtl(wrong.to_owned())), "{wrong}");
        }
        assert_eq!(lives("2147483647"), Ok(Some(Some(2_147_483_647_500))));
    }

    #[test]
    fn a_value_is_gone_at_its_expiry() {
        assert!(!expired(None, u64::MAX));
        assert!(!expired(Some(10), 9));
        assert!(expired(Some(10), 10));
    }
}
