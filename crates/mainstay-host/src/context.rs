//! What all tasks of one host share.

use std::sync::Arc;
use std::time::SystemTime;

use mainstay_base::{AppId, SystemClock};
use tokio::sync::watch;

use crate::board::Board;
use crate::log::LogBuffer;
use crate::{AppSpec, HostOptions, LogSource, Surroundings};

/// How urgently everything shall stop. Only ever grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum StopLevel {
    /// Not at all.
    Run,
    /// In order, with time to end.
    Stop,
    /// At once.
    Kill,
}

/// What all tasks of one host share.
pub(crate) struct Context {
    pub(crate) options: HostOptions,
    pub(crate) specs: Vec<AppSpec>,
    pub(crate) surroundings: Arc<dyn Surroundings>,
    pub(crate) board: Board,
    pub(crate) logs: Arc<LogBuffer>,
    pub(crate) clock: SystemClock,
    pub(crate) stop: watch::Sender<StopLevel>,
    /// Whether the app at this index shall be at rest although the others run.
    pub(crate) app_stops: Vec<watch::Sender<bool>>,
}

impl Context {
    /// Writes a line about an app as a whole.
    pub(crate) fn note(&self, app: &AppId, text: &str) {
        let source = LogSource::Note(app.clone());
        self.logs.push(wall_clock(), &source, std::iter::once(text));
    }
}

/// The time of day, for people to read; nothing is decided by it.
#[expect(clippy::disallowed_methods, reason = "the time of day is only shown")]
pub(crate) fn wall_clock() -> SystemTime {
    SystemTime::now()
}
