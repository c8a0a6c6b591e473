//! What host and guard tell each other over their socket.
//!
//! Host to guard: first the command, as its length and its arguments, each with a NUL at its end. Not as arguments of the
//! guard, where a `pkill -f` meant for the app would find it. Then bytes. Each is the number of a signal for the app's process group; `SIGKILL` (9), like the end of the
//! stream, means: kill everything and end. Guard to host: lines of text, below.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStringExt as _;

use crate::Exit;

/// The byte that means: kill everything and end.
pub(crate) const KILL: u8 = 9;

/// Longest line in bytes, generously.
pub(crate) const MAX_LINE_BYTES: usize = 64;

/// Longest command in bytes: what Linux takes at most (`ARG_MAX` is a quarter of the stack, 2 MiB as a rule).
const MAX_COMMAND_BYTES: usize = 2 * 1024 * 1024;

/// Tells the guard what to run.
pub(crate) fn write_command(to: &mut impl Write, command: &[String]) -> io::Result<()> {
    let mut bytes = vec![0; size_of::<u32>()];
    for arg in command {
        if arg.contains('\0') {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "an argument contains a NUL",
            ));
        }
        bytes.extend_from_slice(arg.as_bytes());
        bytes.push(0);
    }
    let length = bytes.len() - size_of::<u32>();
    if length > MAX_COMMAND_BYTES {
        return Err(io::ErrorKind::ArgumentListTooLong.into());
    }
    bytes.splice(..size_of::<u32>(), (length as u32).to_ne_bytes());
    to.write_all(&bytes)
}

/// Reads what to run.
pub(crate) fn read_command(from: &mut impl Read) -> io::Result<Vec<OsString>> {
    let mut length = [0; size_of::<u32>()];
    from.read_exact(&mut length)?;
    let length = u32::from_ne_bytes(length) as usize;
    if length > MAX_COMMAND_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    let args = bytes.split_inclusive(|byte| *byte == 0);
    Ok(args
        .map(|arg| OsString::from_vec(arg.strip_suffix(&[0]).unwrap_or(arg).to_vec()))
        .collect())
}

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
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_line_is_too_odd(line in ".*") {
            let _ = Report::parse(&line);
        }
    }

    #[test]
    fn what_one_writes_the_other_reads() {
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
        let command = ["sh", "", "ä b"].map(str::to_owned);
        let mut bytes = Vec::new();
        write_command(&mut bytes, &command).unwrap();
        let read = read_command(&mut bytes.as_slice()).unwrap();
        assert_eq!(read, command.map(OsString::from));
        assert!(read_command(&mut &bytes[..bytes.len() - 1]).is_err());
        assert!(write_command(&mut bytes, &["a\0b".to_owned()]).is_err());

        for line in ["", "started", "started x", "hello 1"] {
            assert_eq!(Report::parse(line), None, "{line}");
        }
    }
}
