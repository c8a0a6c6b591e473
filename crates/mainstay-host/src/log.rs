//! The output of everything that runs, line by line.

mod buffer;
mod splitter;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;

use mainstay_base::{AppId, ReplicaId};
use tokio::sync::watch;

pub(crate) use buffer::LogBuffer;
use buffer::{Cursor, Progress};
pub(crate) use splitter::LineSplitter;

/// Longest text of a line in bytes; longer ones are cut and say so.
pub(crate) const MAX_LINE_BYTES: usize = 64 * 1024;

/// One line.
#[derive(Clone, Debug)]
pub struct LogLine {
    /// Counts all lines of the host; gaps mean lines of other apps, or lines that were dropped from the bounded buffer.
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
    /// Mainstay, about an app as a whole: a rolling restart, lines that this reader was too slow for.
    Note(AppId),
}

impl LogSource {
    /// The app that the line belongs to.
    pub fn app(&self) -> &AppId {
        match self {
            Self::Output(replica) | Self::Error(replica) | Self::Event(replica) => &replica.app,
            Self::Note(app) => app,
        }
    }
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

/// Lines of the past and, when following, the future. A reader that is too slow loses lines and is told how many by a
/// [`LogSource::Note`].
#[derive(Debug)]
pub struct LogStream {
    buffer: Arc<LogBuffer>,
    cursor: Cursor,
    ready: VecDeque<Arc<LogLine>>,
    progress: watch::Receiver<Progress>,
    follow: bool,
}

impl LogStream {
    pub(crate) fn new(buffer: Arc<LogBuffer>, filter: LogFilter) -> Self {
        let LogFilter { apps, tail, follow } = filter;
        let progress = buffer.progress();
        let (cursor, ready) = buffer.open(&apps, tail);
        Self {
            buffer,
            cursor,
            ready,
            progress,
            follow,
        }
    }

    /// The next line; `None` at the end: of the past, or of the host when following. Cancel safe.
    pub async fn next(&mut self) -> Option<Arc<LogLine>> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some(line);
            }
            // Read before the lines are, so that a line that comes in between is noticed below.
            let closed = self.progress.borrow_and_update().closed;
            self.buffer.read(&mut self.cursor, &mut self.ready);
            if !self.ready.is_empty() {
                continue;
            }
            if closed || !self.follow {
                return None;
            }
            self.progress.changed().await.ok()?;
        }
    }
}
