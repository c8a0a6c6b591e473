//! What host and guard tell each other over their socket.
//!
//! Host to guard: bytes. Each is the number of a signal for the app's process group; `SIGKILL` (9), like the end of the
//! stream, means: kill everything and end. Guard to host: lines of text, below.

use std::fmt;

use crate::Exit;

/// The byte that means: kill everything and end.
pub(crate) const KILL: u8 = 9;

/// Longest line in bytes, generously.
pub(crate) const MAX_LINE_BYTES: usize = 64;

/// One line from the guard. When the stream ends, so have all processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// The app's program runs; this is its process and its process group.
    Started(u32),
    /// The operating system refused to run the program, with this error number.
    Refused(i32),
    /// The app's main process has ended.
    Ended(Exit),
    /// So many processes were still there after the main process had ended.
    Left(u32),
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started(pid) => write!(formatter, "started {pid}"),
            Self::Refused(errno) => write!(formatter, "refused {errno}"),
            Self::Ended(Exit::Code(code)) => write!(formatter, "ended {code}"),
            Self::Ended(Exit::Signal(signal)) => write!(formatter, "killed {signal}"),
            Self::Left(count) => write!(formatter, "left {count}"),
        }
    }
}

impl Report {
    /// Reads a line without its line break.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (word, number) = line.split_once(' ')?;
        Some(match word {
            "started" => Self::Started(number.parse().ok()?),
            "refused" => Self::Refused(number.parse().ok()?),
            "ended" => Self::Ended(Exit::Code(number.parse().ok()?)),
            "killed" => Self::Ended(Exit::Signal(number.parse().ok()?)),
            "left" => Self::Left(number.parse().ok()?),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_guard_writes_the_host_reads() {
        for report in [
            Report::Started(u32::MAX),
            Report::Refused(2),
            Report::Ended(Exit::Code(i32::MIN)),
            Report::Ended(Exit::Signal(9)),
            Report::Left(u32::MAX),
        ] {
            let line = report.to_string();
            assert_eq!(Report::parse(&line), Some(report));
            assert!(line.len() < MAX_LINE_BYTES);
        }
        for line in ["", "started", "started x", "hello 1"] {
            assert_eq!(Report::parse(line), None, "{line}");
        }
    }
}
