//! Locks: what HTTP and gRPC ask of a component, in terms of neither.

use mainstay_lock::{Expiry, FencingToken, LockError, TryLock, Unlock};

use super::measured;
use crate::blocks::{Blocks, LockComponent};
use crate::errors::ApiError;
use crate::errors::lock::{self as errors, Failed};
use crate::metrics::Measured;

/// Whose lock is asked for, and in which component.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) app: &'a str,
    pub(crate) store: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) owner: &'a str,
}

/// Takes a lock; `None` when somebody holds it.
pub(crate) async fn try_lock(
    blocks: &Blocks,
    asked: Asked<'_>,
    expiry_seconds: i32,
) -> Result<Option<FencingToken>, ApiError> {
    let failed = |error: LockError| errors::undone(Failed::TryLock, &error.into());
    let Ok(expiry) = Expiry::from_seconds(expiry_seconds) else {
        return Err(if expiry_seconds > 0 {
            failed(mainstay_lock::InvalidExpiry.into())
        } else {
            errors::missing("ExpiryInSeconds is not positive", asked.store)
        });
    };
    let component = component(blocks, asked)?;
    let request = TryLock {
        resource: full_name(component, asked).map_err(failed)?,
        owner: asked.owner.to_owned(),
        expiry,
    };
    bounded(Failed::TryLock, component, component.store.try_lock(&request)).await
}

/// Gives a lock back.
pub(crate) async fn unlock(blocks: &Blocks, asked: Asked<'_>) -> Result<Unlock, ApiError> {
    let failed = |error: LockError| errors::undone(Failed::Unlock, &error.into());
    let component = component(blocks, asked)?;
    let resource = full_name(component, asked).map_err(failed)?;
    let unlocking = component.store.unlock(&resource, asked.owner);
    bounded(Failed::Unlock, component, unlocking).await
}

fn full_name(component: &LockComponent, asked: Asked<'_>) -> Result<String, LockError> {
    let Asked {
        app, store, resource, ..
    } = asked;
    Ok(component.prefix.full_name(app, store, resource)?)
}

fn component<'a>(blocks: &'a Blocks, asked: Asked<'_>) -> Result<&'a LockComponent, ApiError> {
    if blocks.locks.is_empty() {
        return Err(errors::not_configured());
    }
    if asked.resource.is_empty() {
        return Err(errors::missing("ResourceId is empty", asked.store));
    }
    if asked.owner.is_empty() {
        return Err(errors::missing("LockOwner is empty", asked.store));
    }
    let found = blocks.locks.get(asked.store);
    found.ok_or_else(|| errors::not_found(asked.store))
}

async fn bounded<T>(
    what: Failed,
    component: &LockComponent,
    doing: impl Future<Output = Result<T, LockError>>,
) -> Result<T, ApiError> {
    let operation = match what {
        Failed::TryLock => Measured::TryLock,
        Failed::Unlock => Measured::Unlock,
    };
    let done = measured(&component.about, operation, doing, LockError::fault).await;
    done.map_err(|undone| errors::undone(what, &undone))
}
