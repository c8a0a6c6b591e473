//! Progress on a terminal: one line that is written over.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Mutex;
use std::time::Duration;

use mainstay_backup::{Phase, Progress};
use mainstay_base::{Clock as _, SystemClock, Timestamp};

use crate::render::size::size;

/// How often the line is written.
const INTERVAL: Duration = Duration::from_millis(100);

/// Shows how far something is, where somebody watches.
pub(crate) struct Meter {
    clock: SystemClock,
    is_shown: bool,
    state: Mutex<State>,
}

struct State {
    phase: Option<Phase>,
    phase_began: Timestamp,
    told: Option<Timestamp>,
}

impl Meter {
    /// Shows nothing where the result is for a program, or standard error is no terminal.
    pub(crate) fn new(json: bool) -> Self {
        let clock = SystemClock::new();
        let phase_began = clock.now();
        Self {
            clock,
            is_shown: !json && io::stderr().is_terminal(),
            state: Mutex::new(State {
                phase: None,
                phase_began,
                told: None,
            }),
        }
    }

    /// Takes a report.
    pub(crate) fn report(&self, progress: &Progress) {
        if !self.is_shown {
            return;
        }
        let Ok(mut state) = self.state.lock() else { return };
        let now = self.clock.now();
        if state.phase != Some(progress.phase) {
            state.phase = Some(progress.phase);
            state.phase_began = now;
        } else if state.told.is_some_and(|told| now.since(told) < INTERVAL) {
            return;
        }
        state.told = Some(now);
        let line = line(progress, now.since(state.phase_began));
        // Nobody is hurt when it cannot be shown.
        let _ = write!(io::stderr(), "\r\x1b[K{line}");
    }

    /// Takes the line away.
    pub(crate) fn end(&self) {
        let was_shown = self
            .state
            .lock()
            .is_ok_and(|mut state| state.told.take().is_some());
        if was_shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.end();
    }
}

fn line(progress: &Progress, since: Duration) -> String {
    let (what, count) = match progress.phase {
        Phase::Writing => ("backing up", progress.entries),
        Phase::Verifying => ("verifying", progress.entries + progress.commits),
        Phase::Restoring => ("restoring", progress.entries),
        Phase::Replaying => ("replaying", progress.commits),
    };
    let counted = match progress.phase {
        Phase::Replaying => "commits",
        _ => "keys",
    };
    let seconds = since.as_secs_f64().max(0.001);
    let rate = size((progress.content_bytes as f64 / seconds) as u64);
    let bytes = size(progress.content_bytes);
    format!("{what}: {count} {counted}, {bytes}, {rate}/s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_keys_bytes_and_rate() {
        let progress = |phase| Progress {
            phase,
            entries: 12,
            commits: 3,
            content_bytes: 20 << 20,
            container_bytes: 1,
        };
        for (phase, text) in [
            (Phase::Writing, "backing up: 12 keys, 20 MiB, 10 MiB/s"),
            (Phase::Verifying, "verifying: 15 keys, 20 MiB, 10 MiB/s"),
            (Phase::Restoring, "restoring: 12 keys, 20 MiB, 10 MiB/s"),
            (Phase::Replaying, "replaying: 3 commits, 20 MiB, 10 MiB/s"),
        ] {
            assert_eq!(line(&progress(phase), Duration::from_secs(2)), text);
        }
    }
}
