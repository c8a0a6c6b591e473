//! The forms of the manifest.

use std::time::Duration;

use mainstay_base::{AppId, Availability, format_duration, parse_duration};

use super::{Form, Formed};

/// `300ms`, `1m30s`.
#[derive(Debug)]
pub(crate) enum DurationForm {}

impl Form for DurationForm {
    type Value = Duration;
    const NAME: &'static str = "duration-with-unit";
    const EXAMPLES: &'static [&'static str] = &["300ms", "1m30s"];

    fn read(text: &str) -> Result<Duration, String> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && text != "0" {
            return Err(format!(
                "`{text}` has no unit: is it {text}ms or {text}s? (units: ns us ms s m h)"
            ));
        }
        parse_duration(text).map_err(|error| error.to_string())
    }
}

/// A duration that is not zero.
#[derive(Debug)]
pub(crate) enum PositiveDurationForm {}

impl Form for PositiveDurationForm {
    type Value = Duration;
    const NAME: &'static str = "positive-duration";
    const EXAMPLES: &'static [&'static str] = DurationForm::EXAMPLES;

    fn read(text: &str) -> Result<Duration, String> {
        match DurationForm::read(text)? {
            Duration::ZERO => Err(format!(
                "`{text}` must be longer than {}",
                format_duration(Duration::ZERO)
            )),
            duration => Ok(duration),
        }
    }
}

/// `7d`, `36h`.
#[derive(Debug)]
pub(crate) enum LongDurationForm {}

impl Form for LongDurationForm {
    type Value = Duration;
    const NAME: &'static str = "long-duration";
    const EXAMPLES: &'static [&'static str] = &["7d", "36h"];

    fn read(text: &str) -> Result<Duration, String> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!(
                "`{text}` has no unit: is it {text}d or {text}h? (units: ns us ms s m h d)"
            ));
        }
        match read_long_duration(text)? {
            Duration::ZERO => Err(format!("`{text}` must be longer than 0")),
            duration => Ok(duration),
        }
    }
}

/// Reads a duration that may be given in days: `7d`, `36h`, `1m30s`.
pub(crate) fn read_long_duration(text: &str) -> Result<Duration, String> {
    let Some(days) = text.strip_suffix('d') else {
        return DurationForm::read(text);
    };
    let days = days.parse().ok().filter(|days| (1..=36_500).contains(days));
    let days: u64 = days.ok_or_else(|| format!("`{text}` is not a number of days: write 1d to 36500d"))?;
    Ok(Duration::from_secs(days * 86_400))
}

/// `99.9%`.
#[derive(Debug)]
pub(crate) enum AvailabilityForm {}

impl Form for AvailabilityForm {
    type Value = Availability;
    const NAME: &'static str = "percentage";
    const EXAMPLES: &'static [&'static str] = &["99.9%", "99.95%"];

    fn read(text: &str) -> Result<Availability, String> {
        text.parse().map_err(
            |error: mainstay_base::InvalidAvailability| match text.parse::<f64>() {
                Ok(_) => format!("`{text}` has no percent sign: write {text}%"),
                Err(_) => error.to_string(),
            },
        )
    }
}

/// `80%`: whole percents, up to 100.
#[derive(Debug)]
pub(crate) enum PercentForm {}

impl Form for PercentForm {
    type Value = u8;
    const NAME: &'static str = "whole-percentage";
    const EXAMPLES: &'static [&'static str] = &["80%"];

    fn read(text: &str) -> Result<u8, String> {
        let Some(number) = text.strip_suffix('%') else {
            return Err(format!("`{text}` has no percent sign: write 80%"));
        };
        let number = number.parse().ok().filter(|number| *number <= 100);
        number.ok_or_else(|| format!("`{text}` is not a whole percentage: write 0% to 100%"))
    }
}

/// `64MiB`.
#[derive(Debug)]
pub(crate) enum SizeForm {}

impl Form for SizeForm {
    type Value = u64;
    const NAME: &'static str = "size-in-bytes";
    const EXAMPLES: &'static [&'static str] = &["64MiB", "512KiB"];

    fn read(text: &str) -> Result<u64, String> {
        let units = [("KiB", 1_u64 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
        let found = units.iter().find_map(|(unit, factor)| {
            let number: u64 = text.strip_suffix(unit)?.trim().parse().ok()?;
            number.checked_mul(*factor)
        });
        found.ok_or_else(|| format!("`{text}` is not a size: write a number and KiB, MiB or GiB, like 64MiB"))
    }
}

/// `orders`.
#[derive(Debug)]
pub(crate) enum NameForm {}

impl Form for NameForm {
    type Value = AppId;
    const NAME: &'static str = "app-name";
    const EXAMPLES: &'static [&'static str] = &["orders"];

    fn read(text: &str) -> Result<AppId, String> {
        AppId::new(text).map_err(|error| error.to_string())
    }
}

/// Text; numbers need no quotes.
pub(crate) type Text = Formed<TextForm>;

/// Text of any kind; numbers and words like `true` need no quotes and stay as they are written.
#[derive(Debug)]
pub(crate) enum TextForm {}

impl Form for TextForm {
    type Value = String;
    const NAME: &'static str = "text";
    const EXAMPLES: &'static [&'static str] = &[];
    const TYPES: &'static [&'static str] = &["string", "number", "boolean"];

    fn read(text: &str) -> Result<String, String> {
        Ok(text.to_owned())
    }
}

/// `2..6`: the smallest and the largest number of replicas.
#[derive(Debug)]
pub(crate) enum ReplicasForm {}

impl Form for ReplicasForm {
    type Value = (u32, u32);
    const NAME: &'static str = "replica-range";
    const EXAMPLES: &'static [&'static str] = &["2..6"];

    fn read(text: &str) -> Result<(u32, u32), String> {
        let range = text.split_once("..").and_then(|(min, max)| {
            let number = |text: &str| {
                text.trim()
                    .parse::<u32>()
                    .ok()
                    .filter(|number| (1..=MAX_REPLICAS).contains(number))
            };
            Some((number(min)?, number(max)?))
        });
        match range {
            Some((min, max)) if min <= max => Ok((min, max)),
            Some((min, max)) => Err(format!("`{text}` is the wrong way round: write {max}..{min}")),
            None => Err(format!(
                "`{text}` is not a number of replicas: write 2 or 2..6, from 1 to {MAX_REPLICAS}"
            )),
        }
    }
}

/// Most replicas of one app on one machine.
pub(crate) const MAX_REPLICAS: u32 = 100;

/// `LOG_LEVEL`.
#[derive(Debug)]
pub(crate) enum VariableForm {}

impl Form for VariableForm {
    type Value = String;
    const NAME: &'static str = "environment-variable";
    const EXAMPLES: &'static [&'static str] = &["LOG_LEVEL"];

    fn read(text: &str) -> Result<String, String> {
        if text.is_empty() || text.contains(['=', '\0']) {
            return Err(format!("`{text}` is not the name of a variable"));
        }
        Ok(text.to_owned())
    }
}
