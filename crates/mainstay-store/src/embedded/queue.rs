//! What waits for the committer. Bounded: more is refused at once.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::group::{copies, following};
use crate::batch::Batch;
use crate::error::CommitError;
use crate::port::Commit;
use crate::replication::{Committed, FollowError};
use crate::version::Version;

/// What waits, and who waits for it.
#[derive(Debug)]
pub(super) enum Work {
    /// A batch.
    Commit(Batch, oneshot::Sender<Result<Commit, CommitError>>),
    /// A follower.
    Follow(following::Request, oneshot::Sender<Result<Version, FollowError>>),
    /// Somebody who moves the store.
    TakeOver(copies::Request, oneshot::Sender<Result<Version, CommitError>>),
}

impl Work {
    fn size_bytes(&self) -> usize {
        match self {
            Self::Commit(batch, _) => batch.size_bytes(),
            Self::TakeOver(copies::Request::Copy(portion), _) => portion.size_bytes(),
            Self::TakeOver(copies::Request::Apply(commits), _) => {
                commits.iter().map(Committed::size_bytes).sum()
            }
            Self::Follow(..) | Self::TakeOver(..) => 0,
        }
    }
}

/// The queue.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
    max_batches: usize,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<(usize, Work)>,
    bytes: usize,
    nudged: bool,
    closed: bool,
    /// How often the committer was given something to do.
    #[cfg(test)]
    turns: u64,
}

/// What the committer is to do next.
#[derive(Debug)]
pub(super) enum Next {
    /// Decide about these together. It may be none: then something else has happened that wants attention.
    Group(Vec<Work>),
    /// There is nothing left, and nothing will come.
    Closed,
}

impl Queue {
    pub(super) fn new(max_batches: usize, max_bytes: usize) -> Self {
        Self {
            state: Mutex::default(),
            arrived: Condvar::new(),
            max_batches,
            max_bytes,
        }
    }

    /// Lets something wait, if there is room. One fits into an empty queue whatever its size.
    pub(super) fn push(&self, work: Work) -> Result<(), CommitError> {
        let bytes = work.size_bytes();
        let mut state = self.lock();
        if state.closed {
            return Err(CommitError::Closed);
        }
        let full = state.waiting.len() >= self.max_batches || state.bytes + bytes > self.max_bytes;
        if full && !state.waiting.is_empty() {
            return Err(CommitError::Overloaded);
        }
        let was_empty = state.waiting.is_empty();
        state.bytes += bytes;
        state.waiting.push_back((bytes, work));
        drop(state);
        if was_empty {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Takes everything that waits, up to about `max_bytes`. Waits for something to come, at most for `patience`.
    pub(super) fn take(&self, max_bytes: usize, patience: Duration) -> Next {
        let state = self.lock();
        let (mut state, _) = self
            .arrived
            .wait_timeout_while(state, patience, |state| {
                state.waiting.is_empty() && !state.nudged && !state.closed
            })
            .unwrap_or_else(PoisonError::into_inner);
        state.nudged = false;
        #[cfg(test)]
        {
            state.turns += 1;
        }
        if state.closed && state.waiting.is_empty() {
            return Next::Closed;
        }
        let mut group = Vec::with_capacity(state.waiting.len());
        let mut taken = 0;
        while taken < max_bytes
            && let Some((bytes, work)) = state.waiting.pop_front()
        {
            taken += bytes;
            group.push(work);
        }
        state.bytes -= taken;
        Next::Group(group)
    }

    /// Wakes the committer although nothing waits.
    pub(super) fn nudge(&self) {
        self.lock().nudged = true;
        self.arrived.notify_one();
    }

    /// Takes nothing more. What waits is still committed.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_one();
    }

    /// Takes nothing more, and lets go of what waits: nobody will commit it.
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.waiting.clear();
        state.bytes = 0;
    }

    #[cfg(test)]
    pub(super) fn turns(&self) -> u64 {
        self.lock().turns
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Key, Value};

    fn waiting(bytes: usize) -> Work {
        let mut batch = Batch::new();
        batch.put(Key::new("k").unwrap(), Value::new(vec![0; bytes - 1]).unwrap());
        Work::Commit(batch, oneshot::channel().0)
    }

    fn take(queue: &Queue, max_bytes: usize) -> Option<usize> {
        match queue.take(max_bytes, Duration::ZERO) {
            Next::Group(group) => Some(group.len()),
            Next::Closed => None,
        }
    }

    #[test]
    fn it_refuses_what_it_has_no_room_for() {
        let queue = Queue::new(3, 100);
        queue.push(waiting(500)).unwrap();
        assert_eq!(queue.push(waiting(1)), Err(CommitError::Overloaded), "by bytes");
        assert_eq!(take(&queue, usize::MAX), Some(1));
        for _ in 0..3 {
            queue.push(waiting(2)).unwrap();
        }
        assert_eq!(queue.push(waiting(2)), Err(CommitError::Overloaded), "by number");
        assert_eq!(take(&queue, 3), Some(2));
        queue.push(waiting(2)).unwrap();
        queue.close();
        assert_eq!(queue.push(waiting(2)), Err(CommitError::Closed));
        assert_eq!(
            take(&queue, usize::MAX),
            Some(2),
            "what waits is still handed out"
        );
        assert_eq!(take(&queue, usize::MAX), None);
    }

    #[test]
    fn a_nudge_gives_an_empty_group() {
        let queue = Queue::new(3, 100);
        queue.nudge();
        assert!(matches!(queue.take(1, Duration::from_secs(60)), Next::Group(group) if group.is_empty()));
    }
}
