//! From a process's output to the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::LogSource;
use crate::context::wall_clock;
use crate::log::{LineSplitter, LogBuffer};
use crate::machine::ProbeKind;
use crate::{ProbeAction, Probes};

/// Bytes read at a time: the largest piece of work between two chances for other tasks.
const CHUNK_BYTES: usize = 16 * 1024;

/// What one stream may write per second; above it the app waits at its pipe, as it would at a slow terminal. So an app
/// that writes without end costs a few per cent of a processor and not all of it.
const BYTES_PER_SECOND: u32 = 32 * 1024 * 1024;

/// A line costs as much as this many bytes.
const LINE_COST_BYTES: usize = 128;

/// How much may come at once before the pace counts.
const BURST: Duration = Duration::from_secs(1);

/// Reads a stream of a replica to its end into the log. Cancel safe only in that what was read is kept.
pub(crate) async fn pump(
    mut stream: impl AsyncRead + Unpin,
    source: LogSource,
    logs: Arc<LogBuffer>,
    watch: Arc<LogWatch>,
) {
    let mut splitter = LineSplitter::default();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut pace = Pace::new();
    let mut lines: Vec<String> = Vec::new();
    loop {
        let read = stream.read(&mut chunk).await.unwrap_or(0);
        let bytes = chunk.get(..read).unwrap_or_default();
        let mut emit = |line: &str| lines.push(line.to_owned());
        if read == 0 {
            splitter.finish(&mut emit);
        } else {
            splitter.feed(bytes, &mut emit);
        }
        if !lines.is_empty() {
            logs.push(wall_clock(), &source, lines.iter().map(String::as_str));
            // Only now, so that the line comes before what it leads to.
            for line in &lines {
                watch.see(line);
            }
        }
        if read == 0 {
            return;
        }
        pace.spend(read + lines.len() * LINE_COST_BYTES).await;
        lines.clear();
    }
}

/// Holds a reader to a number of bytes per second.
struct Pace {
    /// When everything read so far will have been paid for.
    paid: Instant,
}

impl Pace {
    fn new() -> Self {
        Self { paid: Instant::now() }
    }

    async fn spend(&mut self, bytes: usize) {
        let cost = Duration::from_secs_f64(bytes as f64 / f64::from(BYTES_PER_SECOND));
        let now = Instant::now();
        self.paid = self.paid.max(now) + cost;
        if self.paid > now + BURST {
            tokio::time::sleep_until(self.paid - BURST / 2).await;
        } else {
            tokio::task::yield_now().await;
        }
    }
}

/// Looks for the texts that log probes wait for.
#[derive(Debug)]
pub(crate) struct LogWatch {
    wanted: Vec<Wanted>,
    seen: Notify,
}

#[derive(Debug)]
struct Wanted {
    kind: ProbeKind,
    text: String,
    seen: AtomicBool,
    told: AtomicBool,
}

impl LogWatch {
    pub(crate) fn new(probes: &Probes) -> Self {
        let kinds = [
            (ProbeKind::Startup, &probes.startup),
            (ProbeKind::Readiness, &probes.readiness),
            (ProbeKind::Liveness, &probes.liveness),
        ];
        let wanted = kinds
            .into_iter()
            .filter_map(|(kind, probe)| match &probe.as_ref()?.action {
                ProbeAction::Log { contains } => Some(Wanted {
                    kind,
                    text: contains.clone(),
                    seen: AtomicBool::new(false),
                    told: AtomicBool::new(false),
                }),
                _ => None,
            });
        Self {
            wanted: wanted.collect(),
            seen: Notify::new(),
        }
    }

    fn see(&self, line: &str) {
        for wanted in &self.wanted {
            if !wanted.seen.load(Ordering::Relaxed) && line.contains(&wanted.text) {
                wanted.seen.store(true, Ordering::Relaxed);
                self.seen.notify_one();
            }
        }
    }

    /// Whether the text of this probe was written since the process started.
    pub(crate) fn has_seen(&self, kind: ProbeKind) -> bool {
        self.wanted
            .iter()
            .any(|wanted| wanted.kind == kind && wanted.seen.load(Ordering::Relaxed))
    }

    /// The next probe whose text was written; each is told once. Cancel safe.
    pub(crate) async fn next(&self) -> ProbeKind {
        loop {
            let new = self.wanted.iter().find(|wanted| {
                wanted.seen.load(Ordering::Relaxed) && !wanted.told.swap(true, Ordering::Relaxed)
            });
            if let Some(wanted) = new {
                return wanted.kind;
            }
            self.seen.notified().await;
        }
    }
}
