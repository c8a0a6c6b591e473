//! The newest lines of every app, in bounded memory. Readers follow with a cursor into it, so a slow reader costs
//! nothing but its own lines.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use mainstay_base::{AppId, ReplicaId};
use tokio::sync::watch;

use super::{LogLine, LogSource};

/// Lines handed to a reader at a time.
const BATCH: usize = 256;

/// What a kept line costs beside its text, roughly.
const LINE_OVERHEAD_BYTES: usize = 128;

/// How far the log has come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    newest: u64,
    pub(crate) closed: bool,
}

/// All apps' newest lines.
#[derive(Debug)]
pub(crate) struct LogBuffer {
    inner: Mutex<Inner>,
    progress: watch::Sender<Progress>,
    max_lines: usize,
    max_bytes: usize,
}

#[derive(Debug)]
struct Inner {
    next_number: u64,
    rings: Vec<Ring>,
}

/// The newest lines of one app.
#[derive(Debug)]
struct Ring {
    app: AppId,
    lines: VecDeque<Arc<LogLine>>,
    bytes: usize,
    /// How many lines of this app were dropped, so the position of the first kept one.
    dropped: u64,
}

/// A reader's place in the rings it wants.
#[derive(Debug)]
pub(crate) struct Cursor {
    places: Vec<Place>,
}

#[derive(Debug)]
struct Place {
    ring: usize,
    /// Counts the lines of the ring's app.
    position: u64,
}

impl LogBuffer {
    /// An empty buffer that keeps `max_lines` and about `max_bytes` of each app.
    pub(crate) fn new(apps: impl Iterator<Item = AppId>, max_lines: usize, max_bytes: usize) -> Self {
        let rings = apps.map(Ring::new).collect();
        Self {
            inner: Mutex::new(Inner {
                next_number: 1,
                rings,
            }),
            progress: watch::Sender::new(Progress::default()),
            max_lines: max_lines.max(1),
            max_bytes,
        }
    }

    /// Adds lines of one source, in order and without any other line between them.
    pub(crate) fn push<'a>(
        &self,
        time: SystemTime,
        source: &LogSource,
        lines: impl Iterator<Item = &'a str>,
    ) {
        let mut inner = self.lock();
        let Inner { next_number, rings } = &mut *inner;
        let Some(ring) = rings.iter_mut().find(|ring| &ring.app == source.app()) else {
            return;
        };
        for text in lines {
            let line = LogLine {
                number: *next_number,
                time,
                source: source.clone(),
                text: text.into(),
            };
            *next_number += 1;
            ring.push(Arc::new(line), self.max_lines, self.max_bytes);
        }
        let newest = *next_number;
        drop(inner);
        self.progress
            .send_modify(|progress| progress.newest = progress.newest.max(newest));
    }

    /// The last `count` lines that `replica` itself wrote.
    pub(crate) fn last_output(&self, replica: &ReplicaId, count: usize) -> Vec<Arc<LogLine>> {
        let own = |line: &&Arc<LogLine>| match &line.source {
            LogSource::Output(id) | LogSource::Error(id) => id == replica,
            LogSource::Event(_) | LogSource::Note(_) => false,
        };
        let inner = self.lock();
        let ring = inner.rings.iter().find(|ring| ring.app == replica.app);
        let newest_first = ring.into_iter().flat_map(|ring| ring.lines.iter().rev());
        let mut lines: Vec<_> = newest_first.filter(own).take(count).cloned().collect();
        lines.reverse();
        lines
    }

    /// No line will come any more.
    pub(crate) fn close(&self) {
        self.progress.send_modify(|progress| progress.closed = true);
    }

    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// The newest `tail` lines (else all) of these apps (of all when empty), and the place after them.
    pub(crate) fn open(&self, apps: &[AppId], tail: Option<usize>) -> (Cursor, VecDeque<Arc<LogLine>>) {
        let inner = self.lock();
        let wanted = |ring: &Ring| apps.is_empty() || apps.contains(&ring.app);
        let rings = inner.rings.iter().enumerate().filter(|(_, ring)| wanted(ring));
        let mut cursor = Cursor { places: Vec::new() };
        let mut past = Vec::new();
        for (index, ring) in rings {
            cursor.places.push(Place {
                ring: index,
                position: ring.end(),
            });
            let skipped = tail.map_or(0, |tail| ring.lines.len().saturating_sub(tail));
            past.extend(ring.lines.iter().skip(skipped).cloned());
        }
        past.sort_unstable_by_key(|line| line.number);
        let skipped = tail.map_or(0, |tail| past.len().saturating_sub(tail));
        (cursor, past.into_iter().skip(skipped).collect())
    }

    /// Moves the next lines at `cursor` to `ready`, oldest first.
    pub(crate) fn read(&self, cursor: &mut Cursor, ready: &mut VecDeque<Arc<LogLine>>) {
        let inner = self.lock();
        for place in &mut cursor.places {
            let Some(ring) = inner.rings.get(place.ring) else {
                continue;
            };
            if let (Some(lost), Some(first)) = (place.lost(ring), ring.lines.front()) {
                ready.push_back(Arc::new(LogLine {
                    number: first.number,
                    time: first.time,
                    source: LogSource::Note(ring.app.clone()),
                    text: format!("{lost} lines are missing here: this reader was too slow for them").into(),
                }));
                place.position = ring.dropped;
            }
        }
        while ready.len() < BATCH {
            let heads = cursor.places.iter_mut().filter_map(|place| {
                let line = inner.rings.get(place.ring)?.at(place.position)?;
                Some((place, line))
            });
            let Some((place, line)) = heads.min_by_key(|(_, line)| line.number) else {
                return;
            };
            place.position += 1;
            ready.push_back(Arc::clone(line));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing below the lock panics half-way through a change.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn new(app: AppId) -> Self {
        Self {
            app,
            lines: VecDeque::new(),
            bytes: 0,
            dropped: 0,
        }
    }

    fn push(&mut self, line: Arc<LogLine>, max_lines: usize, max_bytes: usize) {
        self.bytes += line.text.len() + LINE_OVERHEAD_BYTES;
        self.lines.push_back(line);
        // The newest line always stays.
        while self.lines.len() > max_lines || (self.bytes > max_bytes && self.lines.len() > 1) {
            if let Some(oldest) = self.lines.pop_front() {
                self.bytes -= oldest.text.len() + LINE_OVERHEAD_BYTES;
                self.dropped += 1;
            }
        }
    }

    fn end(&self) -> u64 {
        self.dropped + self.lines.len() as u64
    }

    fn at(&self, position: u64) -> Option<&Arc<LogLine>> {
        let index = position.checked_sub(self.dropped)?;
        self.lines.get(usize::try_from(index).ok()?)
    }
}

impl Place {
    /// How many lines were dropped before this reader came to them.
    fn lost(&self, ring: &Ring) -> Option<u64> {
        let lost = ring.dropped.saturating_sub(self.position);
        (lost > 0).then_some(lost)
    }
}

#[cfg(test)]
mod tests;
