//! Where a migration notes how it is.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mainstay_base::{Clock, Timestamp};
use tokio::sync::watch;

use crate::compare::Compared;
use crate::journal::Record;
use crate::progress::Progress;
use crate::stage::Stage;
use crate::status::{Phase, Problem, Status};

/// Notes and tells.
pub(crate) struct Board {
    clock: Arc<dyn Clock>,
    status: watch::Sender<Option<Status>>,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    progress: Progress,
    /// Whether what was begun has not ended.
    is_counting: bool,
    /// When the follower last had everything.
    had_everything: Option<Timestamp>,
}

impl Board {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            status: watch::channel(None).0,
            notes: Mutex::default(),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Option<Status>> {
        self.status.subscribe()
    }

    /// This is the migration from now on.
    pub(crate) fn begin_with(&self, record: &Record) {
        *self.lock() = Notes::default();
        self.status.send_replace(Some(first(record)));
    }

    /// It is at this stage.
    pub(crate) fn at(&self, record: &Record) {
        let phase = phase_of(&record.stage);
        self.change(|status| {
            if status.phase != phase {
                status.lag_bytes = None;
                status.lag_ms = None;
            }
            status.phase = phase;
            status.serves = record.stage.recovery().serves;
            status.is_over = record.stage.is_over();
        });
    }

    /// Something with a beginning and an end begins.
    pub(crate) fn begin(&self, phase: Phase, done: u64, total: Option<u64>) {
        let progress = Progress::begin(done, total, self.now());
        let mut notes = self.lock();
        notes.progress = progress;
        notes.is_counting = true;
        drop(notes);
        self.change(|status| status.phase = phase);
        self.show();
    }

    pub(crate) fn is_counting(&self) -> bool {
        self.lock().is_counting
    }

    pub(crate) fn copied(&self, entries: u64, bytes: u64) {
        let now = self.now();
        self.lock().progress.add(entries, now);
        self.change(|status| status.copied_bytes += bytes);
        self.show();
    }

    pub(crate) fn compared(&self, entries: u64) {
        let now = self.now();
        self.lock().progress.add(entries, now);
        self.show();
    }

    /// What was begun has come to its end: there is nothing to come of it.
    pub(crate) fn end(&self) {
        self.lock().is_counting = false;
        self.change(|status| {
            status.keys_total = Some(status.keys);
            status.keys_per_second = None;
            status.time_left_ms = None;
        });
    }

    /// What comparing came to; `None` when it is to be done again.
    pub(crate) fn verified(&self, compared: Option<&Compared>) {
        self.change(|status| {
            status.verified_ranges = compared.map(|compared| compared.ranges);
            status.repaired_ranges = compared.map(|compared| compared.repaired);
        });
    }

    /// So much is waiting for the follower.
    pub(crate) fn lag(&self, bytes: u64) {
        let now = self.now();
        let mut notes = self.lock();
        if bytes == 0 || notes.had_everything.is_none() {
            notes.had_everything = Some(now);
        }
        let since = notes.had_everything.map(|then| now.since(then));
        drop(notes);
        self.change(|status| {
            status.lag_bytes = Some(bytes);
            status.lag_ms = since.map(as_ms);
        });
    }

    pub(crate) fn paused(&self, pause: Duration) {
        self.change(|status| status.pause_ms = Some(as_ms(pause)));
    }

    pub(crate) fn problem(&self, problem: Option<Problem>) {
        self.change(|status| status.problem = problem);
    }

    /// What was tried again works.
    pub(crate) fn works(&self) {
        self.change(|status| status.problem = status.problem.take().filter(|problem| !problem.is_retried));
    }

    fn show(&self) {
        let now = self.now();
        let notes = self.lock();
        let (keys, total) = (notes.progress.done(), notes.progress.total());
        let (rate, left) = (notes.progress.per_second(now), notes.progress.time_left(now));
        drop(notes);
        self.change(|status| {
            status.keys = keys;
            status.keys_total = total;
            status.keys_per_second = rate;
            status.time_left_ms = left.map(as_ms);
        });
    }

    fn change(&self, change: impl FnOnce(&mut Status)) {
        self.status.send_modify(|status| {
            if let Some(status) = status {
                change(status);
            }
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn first(record: &Record) -> Status {
    Status {
        phase: phase_of(&record.stage),
        source: record.source.location.clone(),
        target: record.target.location.clone(),
        target_reference: record.target.reference.clone(),
        source_reference: record.source.reference.clone(),
        serves: record.stage.recovery().serves,
        is_over: record.stage.is_over(),
        began_unix_ms: record.began_unix_ms,
        keys: 0,
        keys_total: None,
        copied_bytes: 0,
        keys_per_second: None,
        time_left_ms: None,
        lag_bytes: None,
        lag_ms: None,
        verified_ranges: None,
        repaired_ranges: None,
        pause_ms: None,
        problem: None,
    }
}

const fn phase_of(stage: &Stage) -> Phase {
    match stage {
        Stage::Preparing => Phase::Preparing,
        Stage::Copying { .. } => Phase::Copying,
        Stage::Following => Phase::Following,
        Stage::Ready => Phase::Ready,
        Stage::CuttingOver | Stage::Promoting { .. } => Phase::CuttingOver,
        Stage::Moved => Phase::FollowingBack,
        Stage::CuttingBack | Stage::PromotingBack { .. } | Stage::Dropping => Phase::BackingOut,
        Stage::Finishing => Phase::Finishing,
        Stage::Finished => Phase::Finished,
        Stage::BackedOut => Phase::BackedOut,
    }
}

fn as_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
