//! Settings from the environment.

use std::fmt::Display;
use std::str::FromStr;

use anyhow::anyhow;

/// The value of the variable `name`, or `default` when it is not set.
///
/// # Errors
/// When it is set to something that cannot be read; the message names the variable.
pub fn knob<T>(name: &str, default: T) -> anyhow::Result<T>
where
    T: FromStr<Err: Display>,
{
    match std::env::var(name) {
        Ok(text) => text.parse().map_err(|error| anyhow!("{name}={text}: {error}")),
        Err(_) => Ok(default),
    }
}
