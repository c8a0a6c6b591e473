//! Changes of state that only count while a lock is held: what their metadata says.
//!
//! | metadata | means |
//! |---|---|
//! | `mainstay.lock` | the resource whose lock protects the change |
//! | `mainstay.lockOwner` | who has to hold it |
//! | `mainstay.lockStore` | the lock component; `lockstore` when absent |
//! | `mainstay.fencingToken` | which grant of the lock has to be the present one; any of that owner when absent |

use mainstay_lock::{Fence, LockError};
use mainstay_state::Condition;

use super::OPERATION_TIMEOUT;
use super::state::Metadata;
use crate::blocks::Blocks;
use crate::errors::{ApiError, fence as errors};

/// The lock component that is meant when none is named.
const DEFAULT_STORE: &str = "lockstore";

/// The lock that has to be held, as metadata names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Guard {
    store: String,
    resource: String,
    owner: String,
    token: Option<String>,
}

impl Guard {
    /// The lock that this metadata names, if it names one.
    fn of(metadata: &Metadata) -> Result<Option<Self>, ApiError> {
        let text = |name: &str| metadata.get(name).cloned();
        let Some(resource) = text("mainstay.lock") else {
            return Ok(None);
        };
        Ok(Some(Self {
            store: text("mainstay.lockStore").unwrap_or_else(|| DEFAULT_STORE.to_owned()),
            resource,
            owner: text("mainstay.lockOwner").ok_or_else(errors::no_owner)?,
            token: text("mainstay.fencingToken"),
        }))
    }

    /// The locks that any of these names, each once.
    pub(super) fn all<'a>(metadata: impl Iterator<Item = &'a Metadata>) -> Result<Vec<Self>, ApiError> {
        let mut guards = Vec::new();
        for metadata in metadata {
            if let Some(guard) = Self::of(metadata)?
                && !guards.contains(&guard)
            {
                guards.push(guard);
            }
        }
        Ok(guards)
    }

    /// What makes the present grant of the lock a condition of a change.
    async fn fence(&self, blocks: &Blocks, app: &str) -> Result<Fence, ApiError> {
        let Self {
            store,
            resource,
            owner,
            token,
        } = self;
        let component = blocks.locks.get(store).ok_or_else(|| errors::no_store(store))?;
        let failed = |error: LockError| errors::failed(&error);
        let name = component.prefix.full_name(app, store, resource);
        let name = name.map_err(|error| failed(error.into()))?;
        let finding = tokio::time::timeout(OPERATION_TIMEOUT, component.store.fence(&name, owner));
        let found = finding.await.map_err(|_| errors::timed_out(OPERATION_TIMEOUT))?;
        let fence = found.map_err(failed)?;
        let fence = fence.ok_or_else(|| errors::not_held(resource, owner))?;
        match token {
            Some(token) if *token != fence.token().to_string() => Err(errors::not_held(resource, owner)),
            _ => Ok(fence),
        }
    }
}

/// The conditions that these locks are held.
pub(super) async fn conditions(
    blocks: &Blocks,
    app: &str,
    guards: Vec<Guard>,
) -> Result<Vec<Condition>, ApiError> {
    let mut conditions = Vec::with_capacity(guards.len());
    for guard in guards {
        conditions.push(guard.fence(blocks, app).await?.condition());
    }
    Ok(conditions)
}
