//! The forms of Dapr's resources.

use std::time::Duration;

use mainstay_base::parse_duration;

use super::Form;

/// A duration as Dapr reads it: Go's notation, or a whole number of milliseconds.
#[derive(Debug)]
pub(crate) enum DaprTimeForm {}

impl Form for DaprTimeForm {
    type Value = Duration;
    const NAME: &'static str = "dapr-duration";
    const EXAMPLES: &'static [&'static str] = &["5s"];
    const TYPES: &'static [&'static str] = &["string", "integer"];

    fn read(text: &str) -> Result<Duration, String> {
        match text.parse::<u64>() {
            Ok(millis) => Ok(Duration::from_millis(millis)),
            Err(_) => parse_duration(text).map_err(|error| error.to_string()),
        }
    }
}

/// `429,500-599`.
#[derive(Debug)]
pub(crate) enum HttpCodesForm {}

impl Form for HttpCodesForm {
    type Value = Vec<(u16, u16)>;
    const NAME: &'static str = "http-status-codes";
    const EXAMPLES: &'static [&'static str] = &["429,500-599"];
    const TYPES: &'static [&'static str] = &["string", "integer"];

    fn read(text: &str) -> Result<Self::Value, String> {
        codes(text, 100, 599)
    }
}

/// `1-4,14`.
#[derive(Debug)]
pub(crate) enum GrpcCodesForm {}

impl Form for GrpcCodesForm {
    type Value = Vec<(u16, u16)>;
    const NAME: &'static str = "grpc-status-codes";
    const EXAMPLES: &'static [&'static str] = &["1-4,14"];
    const TYPES: &'static [&'static str] = &["string", "integer"];

    fn read(text: &str) -> Result<Self::Value, String> {
        codes(text, 1, 16)
    }
}

/// Reads codes and ranges of codes, separated by commas.
fn codes(text: &str, min: u16, max: u16) -> Result<Vec<(u16, u16)>, String> {
    let code = |text: &str| {
        text.trim()
            .parse::<u16>()
            .ok()
            .filter(|code| (min..=max).contains(code))
    };
    let range = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let range = (code(from)?, code(to)?);
        (range.0 <= range.1).then_some(range)
    };
    let ranges: Option<Vec<_>> = text.split(',').map(range).collect();
    ranges.ok_or_else(|| format!("`{text}` is not a list of status codes from {min} to {max}"))
}
