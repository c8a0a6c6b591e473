//! The output of everything that runs, line by line.

use std::sync::Arc;
use std::time::SystemTime;

use mainstay_base::{AppId, ReplicaId};

/// One line.
#[derive(Clone, Debug)]
pub struct LogLine {
    /// Counts all lines of the host; gaps mean lines that were dropped from the bounded buffer.
    pub number: u64,
    /// When it was read.
    pub time: SystemTime,
    /// Who wrote it.
    pub source: LogSource,
    /// Its text without the line break; invalid UTF-8 replaced, at most 64 KiB.
    pub text: Arc<str>,
}

/// Who wrote a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogSource {
    /// A replica, on its standard output.
    Output(ReplicaId),
    /// A replica, on its standard error.
    Error(ReplicaId),
    /// Mainstay, about a replica: started, ready, ended, restarts in 2 s.
    Event(ReplicaId),
}

/// Which lines are wanted.
#[derive(Clone, Debug, Default)]
pub struct LogFilter {
    /// Only these apps; all when empty.
    pub apps: Vec<AppId>,
    /// The newest lines of the past to begin with; all that are kept when absent.
    pub tail: Option<usize>,
    /// Go on with new lines.
    pub follow: bool,
}

/// Lines of the past and, when following, the future. A reader that is too slow loses lines and is told how many.
#[derive(Debug)]
pub struct LogStream {}

impl LogStream {
    /// The next line; `None` at the end. Cancel safe.
    pub async fn next(&mut self) -> Option<Arc<LogLine>> {
        todo!("host")
    }
}
