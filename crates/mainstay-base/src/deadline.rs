//! The moment until which an answer is of use to the caller.

use std::time::Duration;

use crate::Timestamp;

/// The moment until which an answer is of use. It travels from hop to hop as the time that is left (clocks of two
/// machines need not agree) and only ever shrinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Timestamp);

impl Deadline {
    /// The deadline at `moment`.
    pub const fn at(moment: Timestamp) -> Self {
        Self(moment)
    }

    /// The deadline `left` after `now`.
    pub fn after(now: Timestamp, left: Duration) -> Self {
        Self(now + left)
    }

    /// The moment itself.
    pub const fn moment(self) -> Timestamp {
        self.0
    }

    /// What is left at `now`; zero when it has passed.
    pub const fn left(self, now: Timestamp) -> Duration {
        self.0.since(now)
    }

    /// Whether it has passed at `now`.
    pub fn is_expired(self, now: Timestamp) -> bool {
        self.0 <= now
    }

    /// The earlier of this deadline and `left` after `now`: a hop can shorten a deadline, never extend it.
    #[must_use]
    pub fn capped(self, now: Timestamp, left: Duration) -> Self {
        Self(self.0.min(now + left))
    }

    /// Reads a `grpc-timeout` value: up to eight digits and a unit out of `H M S m u n`.
    ///
    /// Source: gRPC over HTTP/2, "Timeout". `None` when the text is not of that form.
    pub fn parse_grpc_timeout(text: &str) -> Option<Duration> {
        let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let amount: u64 = digits.parse().ok()?;
        Some(match unit {
            "H" => Duration::from_secs(amount * 3600),
            "M" => Duration::from_secs(amount * 60),
            "S" => Duration::from_secs(amount),
            "m" => Duration::from_millis(amount),
            "u" => Duration::from_micros(amount),
            "n" => Duration::from_nanos(amount),
            _ => return None,
        })
    }

    /// Writes what is left as a `grpc-timeout` value: `(amount, unit)` with the finest unit that fits eight digits.
    pub fn grpc_timeout(left: Duration) -> (u32, char) {
        const LIMIT: u128 = 100_000_000;
        let nanos = left.as_nanos();
        let units = [
            (1, 'n'),
            (1_000, 'u'),
            (1_000_000, 'm'),
            (1_000_000_000, 'S'),
            (60_000_000_000, 'M'),
        ];
        for (nanos_per_unit, unit) in units {
            if nanos / nanos_per_unit < LIMIT {
                return ((nanos / nanos_per_unit) as u32, unit);
            }
        }
        ((nanos / 3_600_000_000_000).min(LIMIT - 1) as u32, 'H')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hop_shortens_and_never_extends() {
        let now = Timestamp::from_nanos(1_000);
        let deadline = Deadline::after(now, Duration::from_millis(5));
        assert_eq!(
            deadline.capped(now, Duration::from_millis(2)).left(now),
            Duration::from_millis(2)
        );
        assert_eq!(
            deadline.capped(now, Duration::from_millis(9)).left(now),
            Duration::from_millis(5)
        );
        assert!(deadline.is_expired(now + Duration::from_millis(5)));
    }

    #[test]
    fn grpc_timeout_is_read_and_written() {
        for (text, millis) in [
            ("1H", 3_600_000),
            ("2M", 120_000),
            ("3S", 3_000),
            ("250m", 250),
            ("5000u", 5),
        ] {
            assert_eq!(
                Deadline::parse_grpc_timeout(text),
                Some(Duration::from_millis(millis)),
                "{text}"
            );
        }
        for text in ["", "m", "12", "-1S", "123456789m", "1x", "1µ"] {
            assert_eq!(Deadline::parse_grpc_timeout(text), None, "{text}");
        }
        assert_eq!(Deadline::grpc_timeout(Duration::from_nanos(42)), (42, 'n'));
        assert_eq!(Deadline::grpc_timeout(Duration::from_secs(90)), (90_000_000, 'u'));
        assert_eq!(Deadline::grpc_timeout(Duration::MAX).1, 'H');
    }
}
