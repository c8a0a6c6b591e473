//! What a user declares: `cache: { ttl: 30s, stale: 5m, refresh: 80%, negative: 5s, max: 64MiB, vary: [accept-language] }`.

use std::time::Duration;

use ::http::HeaderName;
use mainstay_base::format_duration;

use crate::policy::Lifetime;

/// The refresh of who does not say one: at 80 % of the time to live.
const DEFAULT_REFRESH_PERCENT: u8 = 80;

/// Absent values of who does not say more: 5 s.
const DEFAULT_NEGATIVE: Duration = Duration::from_secs(5);

/// The room of who does not say more: 64 MiB.
const DEFAULT_MAX_BYTES: u64 = 64 * 1_024 * 1_024;

const SHORTEST_TTL: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3_600);
const LEAST_BYTES: u64 = 64 * 1_024;
const MOST_BYTES: u64 = 64 * 1_024 * 1_024 * 1_024;
const REFRESH_PERCENTS: std::ops::RangeInclusive<u8> = 10..=95;
const MOST_VARY: usize = 16;

/// A cache as it was declared; what is `None` was not said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declaration {
    /// How long a value is given without asking anyone: 10 ms to 30 days.
    pub ttl: Duration,
    /// How long after that it is given when it cannot be loaded: at most 30 days, not at all without.
    pub stale: Option<Duration>,
    /// The part of `ttl` after which a value that is asked for is loaded anew in the background: 10 to 95 percent, 80
    /// without, never with 0.
    pub refresh_percent: Option<u8>,
    /// How long "there is none" is given: at most `ttl`, never with 0; the shorter of 5 s and `ttl` without.
    pub negative: Option<Duration>,
    /// Most bytes of a cache in this process: 64 KiB to 64 GiB, 64 MiB without.
    pub max_bytes: Option<u64>,
    /// Request headers that an answer depends on, beside `accept-encoding`: at most 16. Naming `authorization` or `cookie`
    /// lets requests with them be cached, each value by itself.
    pub vary: Vec<String>,
}

/// A declaration that holds. Cheap to clone but for `vary`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    found: Lifetime,
    absent: Lifetime,
    refresh: Option<u8>,
    max_bytes: u64,
    vary: Vec<HeaderName>,
}

/// What is wrong with a declaration, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSetting {
    /// Too short or too long.
    #[error("`ttl: {}` is out of range: between 10ms and 720h", format_duration(*.0))]
    Ttl(Duration),
    /// Too long.
    #[error("`stale: {}` is too long: 720h at most", format_duration(*.0))]
    Stale(Duration),
    /// Not a part of the time to live.
    #[error("`refresh: {0}%` is out of range: between 10% and 95%, or 0% for never")]
    Refresh(u8),
    /// Longer than what is there is kept.
    #[error("`negative: {}` is longer than `ttl: {}`", format_duration(*.negative), format_duration(*.ttl))]
    Negative {
        /// What was declared.
        negative: Duration,
        /// What it must not be longer than.
        ttl: Duration,
    },
    /// Too little or too much.
    #[error("`max: {0}` bytes is out of range: between 64KiB and 64GiB")]
    Max(u64),
    /// Not the name of a header.
    #[error("`{0}` in `vary` is not the name of a request header")]
    Vary(String),
    /// More headers than can be useful.
    #[error("{0} headers in `vary`: 16 at most")]
    VaryCount(usize),
}

impl InvalidSetting {
    /// The key in the manifest that is wrong.
    pub const fn field(&self) -> &'static str {
        match self {
            Self::Ttl(_) => "ttl",
            Self::Stale(_) => "stale",
            Self::Refresh(_) => "refresh",
            Self::Negative { .. } => "negative",
            Self::Max(_) => "max",
            Self::Vary(_) | Self::VaryCount(_) => "vary",
        }
    }
}

impl Settings {
    /// Checks a declaration.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn new(declared: &Declaration) -> Result<Self, Vec<InvalidSetting>> {
        let mut errors = Vec::new();
        let mut require = |holds: bool, error: InvalidSetting| {
            if !holds {
                errors.push(error);
            }
        };
        let ttl = declared.ttl;
        require((SHORTEST_TTL..=LONGEST).contains(&ttl), InvalidSetting::Ttl(ttl));
        let stale = declared.stale.unwrap_or_default();
        require(stale <= LONGEST, InvalidSetting::Stale(stale));
        let percent = declared.refresh_percent.unwrap_or(DEFAULT_REFRESH_PERCENT);
        require(
            percent == 0 || REFRESH_PERCENTS.contains(&percent),
            InvalidSetting::Refresh(percent),
        );
        let negative = declared.negative.unwrap_or(DEFAULT_NEGATIVE.min(ttl));
        require(negative <= ttl, InvalidSetting::Negative { negative, ttl });
        let max_bytes = declared.max_bytes.unwrap_or(DEFAULT_MAX_BYTES);
        require(
            (LEAST_BYTES..=MOST_BYTES).contains(&max_bytes),
            InvalidSetting::Max(max_bytes),
        );
        let vary = read_vary(&declared.vary, &mut errors);
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self {
            found: Lifetime { ttl, stale },
            absent: Lifetime {
                ttl: negative,
                stale: Duration::ZERO,
            },
            refresh: Some(percent).filter(|percent| *percent > 0),
            max_bytes,
            vary,
        })
    }

    /// How long a value is good for.
    pub const fn found(&self) -> Lifetime {
        self.found
    }

    /// How long "there is none" is good for.
    pub const fn absent(&self) -> Lifetime {
        self.absent
    }

    /// The part of the time to live after which a value is loaded anew in the background.
    pub fn refresh_fraction(&self) -> Option<f64> {
        self.refresh.map(|percent| f64::from(percent) / 100.0)
    }

    /// Most bytes of a cache in this process.
    pub const fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    /// Request headers that answers depend on, as declared, each once and in one order.
    pub fn vary(&self) -> &[HeaderName] {
        &self.vary
    }
}

fn read_vary(declared: &[String], errors: &mut Vec<InvalidSetting>) -> Vec<HeaderName> {
    let mut vary = Vec::new();
    for text in declared {
        match HeaderName::from_bytes(text.as_bytes()) {
            // `*` is a valid name by its characters, but stands for "nothing can tell" in answers.
            Ok(name) if text != "*" => vary.push(name),
            _ => errors.push(InvalidSetting::Vary(text.clone())),
        }
    }
    vary.sort_by(|left, right| left.as_str().cmp(right.as_str()));
    vary.dedup();
    if vary.len() > MOST_VARY {
        errors.push(InvalidSetting::VaryCount(vary.len()));
    }
    vary
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declaration(ttl: Duration) -> Declaration {
        Declaration {
            ttl,
            ..Declaration::default()
        }
    }

    #[test]
    fn little_has_to_be_said() {
        let settings = Settings::new(&declaration(Duration::from_secs(30))).unwrap();
        assert_eq!(settings.found().ttl, Duration::from_secs(30));
        assert_eq!(settings.found().stale, Duration::ZERO);
        assert_eq!(settings.absent().total(), Duration::from_secs(5));
        assert_eq!(settings.refresh_fraction(), Some(0.8));
        assert_eq!(settings.max_bytes(), 64 << 20);
        let short = Settings::new(&declaration(Duration::from_secs(1))).unwrap();
        assert_eq!(short.absent().total(), Duration::from_secs(1));
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let errors = Settings::new(&Declaration {
            ttl: Duration::from_millis(1),
            stale: Some(Duration::from_secs(10_000_000)),
            refresh_percent: Some(99),
            negative: Some(Duration::from_secs(1)),
            max_bytes: Some(1),
            vary: vec!["accept-language".into(), "no header".into(), "*".into()],
        })
        .unwrap_err();
        let fields: Vec<_> = errors.iter().map(InvalidSetting::field).collect();
        assert_eq!(
            fields,
            ["ttl", "stale", "refresh", "negative", "max", "vary", "vary"]
        );
        let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(texts[0], "`ttl: 1ms` is out of range: between 10ms and 720h");
        assert_eq!(texts[3], "`negative: 1s` is longer than `ttl: 1ms`");
    }

    #[test]
    fn zero_switches_off() {
        let settings = Settings::new(&Declaration {
            refresh_percent: Some(0),
            negative: Some(Duration::ZERO),
            ..declaration(Duration::from_secs(1))
        })
        .unwrap();
        assert_eq!(settings.refresh_fraction(), None);
        assert_eq!(settings.absent().total(), Duration::ZERO);
    }

    #[test]
    fn the_order_of_vary_does_not_matter() {
        let vary = |names: &[&str]| {
            let vary = names.iter().map(ToString::to_string).collect();
            let declared = Declaration {
                vary,
                ..declaration(Duration::from_secs(1))
            };
            Settings::new(&declared).unwrap().vary().to_vec()
        };
        assert_eq!(
            vary(&["accept-language", "Accept", "accept"]),
            vary(&["accept", "accept-language"])
        );
        let many: Vec<_> = (0..17).map(|index| format!("x-{index}")).collect();
        let declared = Declaration {
            vary: many,
            ..declaration(Duration::from_secs(1))
        };
        let errors = Settings::new(&declared).unwrap_err();
        assert_eq!(errors, [InvalidSetting::VaryCount(17)]);
    }
}
