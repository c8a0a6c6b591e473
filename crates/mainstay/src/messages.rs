//! Mainstay's own messages: to standard error, so that standard output holds only what was asked for.

use std::io;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

use crate::failure::Failure;
use crate::render::color::Palette;

/// The variable that says how much is told: `error`, `warn`, `info`, `debug`, `trace`, `off`, or levels per module like
/// `mainstay_mesh=debug,warn`.
const VARIABLE: &str = "MAINSTAY_LOG";

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Begins to write messages. The variable wins over `level`.
pub(crate) fn start(level: &str, format: Format) -> Result<(), Failure> {
    let text = std::env::var(VARIABLE).unwrap_or_else(|_| level.to_owned());
    let targets: Targets = text.parse().map_err(|_| {
        Failure::usage(format!(
            "{VARIABLE}={text} is not a log level: use error, warn, info, debug, trace or off, or levels per module \
             like mainstay_mesh=debug,warn"
        ))
    })?;
    let plain = fmt::layer()
        .with_writer(io::stderr)
        .with_target(false)
        .with_ansi(Palette::of(&io::stderr()).is_colored());
    let layer = match format {
        Format::Text => plain.without_time().boxed(),
        Format::Json => plain.json().boxed(),
    };
    tracing_subscriber::registry()
        .with(layer.with_filter(targets))
        .try_init()
        .map_err(|error| Failure::refused(error.to_string()))
}
