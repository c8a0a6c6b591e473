//! How long a lock lasts.

use std::time::Duration;

use crate::limits::MAX_EXPIRY_SECONDS;

/// How long a lock lasts after it was taken or renewed: a millisecond at least, [`MAX_EXPIRY_SECONDS`] at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Expiry(u64);

/// A time that no lock may last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a lock must last for more than 0 and at most {MAX_EXPIRY_SECONDS} seconds")]
pub struct InvalidExpiry;

impl Expiry {
    /// So long; what is below a millisecond is cut off.
    pub fn new(duration: Duration) -> Result<Self, InvalidExpiry> {
        match u64::try_from(duration.as_millis()) {
            Ok(millis @ 1..) if millis <= u64::from(MAX_EXPIRY_SECONDS) * 1_000 => Ok(Self(millis)),
            _ => Err(InvalidExpiry),
        }
    }

    /// Dapr's `expiryInSeconds`.
    pub fn from_seconds(seconds: i32) -> Result<Self, InvalidExpiry> {
        let seconds = u64::try_from(seconds).map_err(|_| InvalidExpiry)?;
        Self::new(Duration::from_secs(seconds))
    }

    /// In milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The same as a duration.
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_positive_and_bounded() {
        for seconds in [i32::MIN, -1, 0, 2_592_001, i32::MAX] {
            assert_eq!(Expiry::from_seconds(seconds), Err(InvalidExpiry), "{seconds}");
        }
        assert_eq!(Expiry::from_seconds(1).unwrap().as_millis(), 1_000);
        assert!(Expiry::from_seconds(2_592_000).is_ok());
        assert_eq!(Expiry::new(Duration::from_micros(999)), Err(InvalidExpiry));
        assert_eq!(Expiry::new(Duration::MAX), Err(InvalidExpiry));
    }
}
