//! What the user is told about a replica, in words.

use std::fmt;
use std::time::Duration;

use mainstay_base::format_duration;

use crate::Exit;
use crate::status::signal_name;

/// Something to tell about a replica.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    Waits(Vec<String>),
    Started {
        pid: u32,
        port: Option<u16>,
    },
    Ready {
        after: Duration,
    },
    /// Is not ready for so long already: what is missing.
    StillWaits {
        what: String,
        since: Duration,
    },
    Unready(String),
    ReadyAgain,
    /// A probe demands its end.
    MustEnd(String),
    Stopping {
        signal: i32,
        grace: Duration,
    },
    /// Did not end in time.
    Overdue(Duration),
    Left(u32),
    RestartsIn {
        reason: String,
        ran_for: Duration,
        wait: Duration,
        /// Quick ends in a row, once they make a crash loop.
        crash_loop: Option<u32>,
    },
    Completed,
    Failed(String),
    Stopped(Option<Exit>),
}

impl Event {
    /// Whether the last lines of output help to understand it.
    pub(crate) fn wants_output(&self) -> bool {
        matches!(
            self,
            Self::Failed(_)
                | Self::RestartsIn {
                    crash_loop: Some(_),
                    ..
                }
        )
    }
}

impl fmt::Display for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waits(names) => write!(formatter, "waits for {}", names.join(", ")),
            Self::Started {
                pid,
                port: Some(port),
            } => write!(formatter, "started: process {pid}, port {port}"),
            Self::Started { pid, port: None } => write!(formatter, "started: process {pid}"),
            Self::Ready { after } => write!(formatter, "ready after {}", rounded(*after)),
            Self::StillWaits { what, since } => {
                write!(formatter, "not ready after {}: {what}", rounded(*since))
            }
            Self::Unready(reason) => write!(formatter, "takes no more calls: {reason}"),
            Self::ReadyAgain => formatter.write_str("ready again"),
            Self::MustEnd(reason) => write!(formatter, "has to end: {reason}"),
            Self::Stopping { signal, grace } => {
                let name = signal_name(*signal);
                write!(formatter, "stops: {name}, has {}", rounded(*grace))
            }
            Self::Overdue(grace) => write!(formatter, "did not end within {}: killed", rounded(*grace)),
            Self::Left(1) => formatter.write_str("left 1 process behind, which was ended"),
            Self::Left(count) => write!(formatter, "left {count} processes behind, which were ended"),
            Self::RestartsIn {
                reason,
                ran_for,
                wait,
                crash_loop,
            } => {
                if let Some(count) = crash_loop {
                    write!(formatter, "crash loop, {count} quick ends in a row: ")?;
                }
                formatter.write_str(reason)?;
                if !ran_for.is_zero() {
                    write!(formatter, " after {}", rounded(*ran_for))?;
                }
                write!(formatter, "; next start in {}", rounded(*wait))
            }
            Self::Completed => formatter.write_str("completed"),
            Self::Failed(reason) => write!(formatter, "failed: {reason}"),
            Self::Stopped(Some(exit)) => write!(formatter, "stopped: {exit}"),
            Self::Stopped(None) => formatter.write_str("stopped"),
        }
    }
}

/// A duration as a person wants to read it: three digits at most below a minute, whole seconds from there on.
pub(crate) fn rounded(duration: Duration) -> String {
    let unit = match duration.as_millis() {
        0..1_000 => 1,
        1_000..10_000 => 10,
        10_000..60_000 => 100,
        _ => 1_000,
    };
    let millis = (duration.as_millis() as u64 + unit / 2) / unit * unit;
    format_duration(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_rounded_for_people() {
        for (micros, text) in [
            (300, "0"),
            (1_600, "1ms"),
            (1_234_567, "1.23s"),
            (12_345_678, "12.3s"),
            (83_600_000, "1m24s"),
        ] {
            assert_eq!(rounded(Duration::from_micros(micros)), text, "{micros}");
        }
    }
}
