//! What waits to be committed. Bounded by number and bytes: more is refused at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc::error::{TryRecvError, TrySendError};
use tokio::sync::{mpsc, oneshot};

use crate::batch::Batch;
use crate::error::CommitError;
use crate::port::Commit;

/// The answer to a batch.
pub(super) type Answer = Result<Commit, CommitError>;

/// A batch that waits, and who waits for it.
#[derive(Debug)]
pub(super) struct Waiting {
    pub batch: Batch,
    pub answer: oneshot::Sender<Answer>,
}

/// Where batches go in. When it is dropped, what waits is still committed.
#[derive(Debug)]
pub(super) struct Entrance {
    sender: mpsc::Sender<Waiting>,
    bytes: Arc<AtomicUsize>,
    max_bytes: usize,
}

/// Where they come out.
#[derive(Debug)]
pub(super) struct Exit {
    receiver: mpsc::Receiver<Waiting>,
    bytes: Arc<AtomicUsize>,
}

pub(super) fn queue(max_batches: usize, max_bytes: usize) -> (Entrance, Exit) {
    let (sender, receiver) = mpsc::channel(max_batches.max(1));
    let bytes = Arc::new(AtomicUsize::new(0));
    let entrance = Entrance {
        sender,
        bytes: bytes.clone(),
        max_bytes,
    };
    (entrance, Exit { receiver, bytes })
}

impl Entrance {
    /// Lets a batch wait, if there is room. One batch fits into an empty queue whatever its size.
    pub(super) fn push(&self, waiting: Waiting) -> Result<(), CommitError> {
        let bytes = cost_bytes(&waiting.batch);
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let refusal = if before > 0 && before + bytes > self.max_bytes {
            CommitError::Overloaded
        } else {
            match self.sender.try_send(waiting) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(_)) => CommitError::Overloaded,
                Err(TrySendError::Closed(_)) => CommitError::Closed,
            }
        };
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        Err(refusal)
    }
}

impl Exit {
    /// Waits for something to come, and takes what is there: up to `max_batches`, and about `max_bytes`. Empty when
    /// nothing will come any more.
    ///
    /// Cancel safe.
    pub(super) async fn take(&mut self, max_batches: usize, max_bytes: usize) -> Vec<Waiting> {
        let Some(first) = self.receiver.recv().await else {
            return Vec::new();
        };
        let mut taken = self.release(&first);
        let mut group = vec![first];
        while group.len() < max_batches
            && taken < max_bytes
            && let Ok(next) = self.receiver.try_recv()
        {
            taken += self.release(&next);
            group.push(next);
        }
        group
    }

    /// Takes the next without waiting.
    pub(super) fn take_one(&mut self) -> Result<Waiting, TryRecvError> {
        let waiting = self.receiver.try_recv()?;
        self.release(&waiting);
        Ok(waiting)
    }

    fn release(&self, waiting: &Waiting) -> usize {
        let bytes = cost_bytes(&waiting.batch);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        bytes
    }
}

/// What a batch counts for: what it writes, and something for each of its parts, which take time on the server even when
/// they are small.
fn cost_bytes(batch: &Batch) -> usize {
    const PART: usize = 256;
    batch.size_bytes() + PART * (batch.writes().len() + batch.conditions().len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Key, Value};

    fn waiting(bytes: usize) -> Waiting {
        let mut batch = Batch::new();
        batch.put(Key::new("k").unwrap(), Value::new(vec![0; bytes - 1]).unwrap());
        Waiting {
            batch,
            answer: oneshot::channel().0,
        }
    }

    #[tokio::test]
    async fn it_refuses_what_it_has_no_room_for() {
        let (entrance, mut exit) = queue(3, 1_000);
        entrance.push(waiting(500)).unwrap();
        assert_eq!(
            entrance.push(waiting(1)),
            Err(CommitError::Overloaded),
            "by bytes"
        );
        assert_eq!(exit.take(10, usize::MAX).await.len(), 1);
        for _ in 0..3 {
            entrance.push(waiting(2)).unwrap();
        }
        assert_eq!(
            entrance.push(waiting(2)),
            Err(CommitError::Overloaded),
            "by number"
        );
        assert_eq!(exit.take(10, 300).await.len(), 2);
        entrance.push(waiting(2)).unwrap();
        drop(entrance);
        assert_eq!(
            exit.take(1, 1_000).await.len(),
            1,
            "what waits is still handed out"
        );
        assert!(exit.take_one().is_ok());
        assert_eq!(exit.take_one().unwrap_err(), TryRecvError::Disconnected);
        assert!(exit.take(1, 1).await.is_empty());
    }
}
