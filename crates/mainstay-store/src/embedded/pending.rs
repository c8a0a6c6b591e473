//! What was decided about and is not answered yet: the answer waits until the group is durable.

use tokio::sync::oneshot;

use super::group::{Decision, Group};
use super::queue::Work;
use crate::batch::Batch;
use crate::error::CommitError;
use crate::port::Commit;
use crate::replication::FollowError;
use crate::version::Version;

/// Who waits, and what to answer if the group becomes durable.
#[derive(Debug)]
pub(super) enum Pending {
    Commit(Waiting<Commit, CommitError>),
    Follow(Waiting<Version, FollowError>),
    TakeOver(Waiting<Version, CommitError>),
}

#[derive(Debug)]
pub(super) struct Waiting<T, E> {
    sender: oneshot::Sender<Result<T, E>>,
    decided: Result<T, E>,
}

impl Pending {
    /// Decides about what waited.
    pub(super) fn decide(work: Work, group: &mut Group<'_>) -> Self {
        match work {
            Work::Commit(batch, sender) => Self::Commit(Waiting {
                sender,
                decided: commit(&batch, group),
            }),
            Work::Follow(request, sender) => Self::Follow(Waiting {
                sender,
                decided: group.follow(request),
            }),
            Work::TakeOver(request, sender) => Self::TakeOver(Waiting {
                sender,
                decided: group.take_over(request),
            }),
        }
    }

    /// Answers, now that the group was written or not. If not, that is the answer even to those who asked for no writes:
    /// what was decided about them may rest on what was not written.
    pub(super) fn answer(self, written: &Result<(), CommitError>) {
        match self {
            Self::Commit(waiting) => waiting.answer(written),
            Self::Follow(waiting) => waiting.answer(written),
            Self::TakeOver(waiting) => waiting.answer(written),
        }
    }
}

impl<T, E: From<CommitError>> Waiting<T, E> {
    fn answer(self, written: &Result<(), CommitError>) {
        let answer = written.clone().map_err(E::from).and(self.decided);
        // Nobody may be waiting any more; then nobody hears it.
        let _ = self.sender.send(answer);
    }
}

/// Answers without deciding.
pub(super) fn refuse(work: Work, refusal: CommitError) {
    // Nobody may be waiting any more; then nobody hears it.
    match work {
        Work::Commit(_, sender) => drop(sender.send(Err(refusal))),
        Work::Follow(_, sender) => drop(sender.send(Err(refusal.into()))),
        Work::TakeOver(_, sender) => drop(sender.send(Err(refusal))),
    }
}

fn commit(batch: &Batch, group: &mut Group<'_>) -> Result<Commit, CommitError> {
    let (version, replayed) = match group.decide(batch)? {
        Decision::Commit(version) => (version, false),
        Decision::Replay(version) => (version, true),
        Decision::Conflict(conflict) => return Err(CommitError::Conflict(conflict)),
        Decision::Replica => return Err(CommitError::Replica),
    };
    Ok(Commit { version, replayed })
}
