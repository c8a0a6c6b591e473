//! A change of what a component holds, and what the cache does about it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use mainstay_state::{CommitError, Condition, Delete, Operation, Set, StateError, StateStore};

use super::Inner;
use crate::port::Selection;

/// How long a change is waited for. Who asked for it waits for less.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(60);

/// A change as it was asked for: a component may do each kind in its own way.
pub(super) enum Change {
    Transact(Vec<Operation>, Vec<Condition>),
    Set(Set),
    Delete(Delete),
    BulkSet(Vec<Set>),
    BulkDelete(Vec<Delete>),
}

impl Change {
    /// Makes the change and forgets its keys, whatever became of it: what failed may have been made, and who met another
    /// `ETag` has to see it.
    ///
    /// It is a task of its own. A change is made although who asked for it is gone, and the cache has to hear of that.
    pub(super) async fn run(self, inner: &Arc<Inner>) -> Result<(), StateError> {
        let (component, values) = (inner.source.component.clone(), inner.values.clone());
        let keys: Vec<Selection> = self.keys().into_iter().map(Selection::Key).collect();
        let changing = inner.changes.spawn(async move {
            let making = tokio::time::timeout(CHANGE_TIMEOUT, self.make(&*component));
            let outcome = making.await.unwrap_or_else(|_| Err(unknown("it took too long")));
            // A store that is gone makes up for it before it is read again.
            if let Err(error) = values.invalidate_all(keys).await {
                tracing::debug!(%error, "the cache forgets later");
            }
            outcome
        });
        let outcome = changing.await;
        outcome.unwrap_or_else(|_| Err(unknown("Mainstay is stopping")))
    }

    async fn make(self, component: &dyn StateStore) -> Result<(), StateError> {
        match self {
            Self::Transact(operations, conditions) => component.transact_while(operations, conditions).await,
            Self::Set(set) => component.set(set).await,
            Self::Delete(delete) => component.delete(delete).await,
            Self::BulkSet(sets) => component.bulk_set(sets).await,
            Self::BulkDelete(deletes) => component.bulk_delete(deletes).await,
        }
    }

    /// Its keys, each once.
    fn keys(&self) -> BTreeSet<String> {
        match self {
            Self::Transact(operations, _) => operations.iter().map(|one| one.key().to_owned()).collect(),
            Self::Set(set) => [set.key.clone()].into(),
            Self::Delete(delete) => [delete.key.clone()].into(),
            Self::BulkSet(sets) => sets.iter().map(|set| set.key.clone()).collect(),
            Self::BulkDelete(deletes) => deletes.iter().map(|delete| delete.key.clone()).collect(),
        }
    }
}

fn unknown(reason: &str) -> StateError {
    CommitError::UnknownOutcome(reason.into()).into()
}
