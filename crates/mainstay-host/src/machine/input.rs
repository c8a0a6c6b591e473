//! What a machine hears and what it says.

use std::time::Duration;

use super::check::{ProbeKind, Try};
use super::event::Event;
use crate::Exit;
use crate::needs::Verdict;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// How the needs stand; of interest until they are met.
    Needs(Verdict),
    /// No process was started, and none can be: no such command.
    Unstartable(String),
    /// No process was started this time: no free port, no memory.
    Unavailable(String),
    /// The program runs.
    Started { pid: u32, port: Option<u16> },
    /// The operating system refused the program; `for_good` when it would do so again.
    Refused { reason: String, for_good: bool },
    /// The main process ended; others may still be there.
    Ended(Exit),
    /// So many processes were still there after the end of the main process.
    Left(u32),
    /// No process is left.
    Gone,
    /// A probe that was asked for gave its result, or a log line fulfilled one.
    Probed(ProbeKind, Result<(), String>),
    /// The surroundings have drained.
    Drained,
    /// Stop for good.
    Stop,
    /// Stop for good, at once.
    Kill,
    /// Stop and start anew, or start anew at once.
    Restart,
    /// Time has passed, see [`Machine::deadline`].
    Tick,
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    /// Prepare and start the process.
    Start,
    /// Make one probe and report its result.
    Probe(Try),
    /// Let the surroundings drain.
    Drain(Duration),
    /// Send this signal to the process group.
    Signal(i32),
    /// Kill everything.
    Kill,
    /// Nothing helps: forget the processes.
    Abandon,
    /// Tell the user.
    Log(Event),
}
