//! What a service promises.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The service level agreement of an app: everything else is derived from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sla {
    /// How fast it answers.
    pub latency: Latency,
    /// How often it answers well.
    pub availability: Availability,
    /// How many calls one replica handles at a time; unbounded (learnt) when absent.
    pub concurrency: Option<u32>,
    /// Who is served first when there is not enough for all.
    pub priority: Priority,
}

impl Default for Sla {
    /// What is assumed of a service that promises nothing: 1 s at the 99th percentile, 99 % available.
    fn default() -> Self {
        Self {
            latency: Latency {
                p99: Duration::from_secs(1),
                max: None,
            },
            availability: Availability::from_ratio(0.99),
            concurrency: None,
            priority: Priority::Normal,
        }
    }
}

/// How fast a service answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// 99 of 100 answers come within this time.
    pub p99: Duration,
    /// No answer takes longer; twice [`Latency::p99`] is assumed when absent.
    pub max: Option<Duration>,
}

/// The share of calls that are answered well, in `0.0..=1.0`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Availability(f64);

/// The text is not an availability.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an availability: write a percentage above 0% and up to 100%, like 99.9%")]
pub struct InvalidAvailability(String);

impl Availability {
    /// From a ratio; clamped to `0.0..=1.0`.
    pub fn from_ratio(ratio: f64) -> Self {
        Self(ratio.clamp(0.0, 1.0))
    }

    /// As a ratio in `0.0..=1.0`.
    pub const fn ratio(self) -> f64 {
        self.0
    }

    /// The error budget: the share of calls that may fail.
    pub fn error_budget(self) -> f64 {
        1.0 - self.0
    }
}

impl FromStr for Availability {
    type Err = InvalidAvailability;

    /// Reads `99.95%`.
    fn from_str(text: &str) -> Result<Self, InvalidAvailability> {
        let percent = text
            .strip_suffix('%')
            .and_then(|number| number.trim_end().parse::<f64>().ok());
        match percent {
            Some(percent) if percent > 0.0 && percent <= 100.0 => Ok(Self(percent / 100.0)),
            _ => Err(InvalidAvailability(text.to_owned())),
        }
    }
}

impl fmt::Display for Availability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Five decimals: enough for seven nines, and 99.9 does not become 99.90000000000001.
        let text = format!("{:.5}", self.0 * 100.0);
        write!(formatter, "{}%", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// Who is served first when there is not enough for all; the lowest is shed first.
///
/// The four classes of Netflix's prioritised load shedding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// May wait for hours: batch work, prefetching.
    Bulk = 0,
    /// Nice to have: a recommendation, a preview.
    Low = 1,
    /// Everything that says nothing else.
    #[default]
    Normal = 2,
    /// The system fails its purpose without it: a payment, a login.
    Critical = 3,
}

impl Priority {
    /// All classes, the lowest first.
    pub const ALL: [Self; 4] = [Self::Bulk, Self::Low, Self::Normal, Self::Critical];

    /// The word used in manifests, headers and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bulk => "bulk",
            Self::Low => "low",
            Self::Normal => "normal",
            Self::Critical => "critical",
        }
    }

    /// The class that `word` names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|priority| priority.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn availability_is_read_and_written() {
        for text in ["99.9%", "99.95%", "100%", "99.99999%", "0.5%"] {
            assert_eq!(
                text.parse::<Availability>().map(|parsed| parsed.to_string()),
                Ok(text.to_owned())
            );
        }
        for text in ["99.9", "0%", "101%", "-1%", "%", "abc%", "NaN%"] {
            assert!(text.parse::<Availability>().is_err(), "{text}");
        }
    }

    #[test]
    fn priorities_are_ordered_and_named() {
        assert!(Priority::ALL.is_sorted());
        assert!(
            Priority::ALL
                .iter()
                .all(|priority| Priority::from_word(priority.as_str()) == Some(*priority))
        );
    }
}
