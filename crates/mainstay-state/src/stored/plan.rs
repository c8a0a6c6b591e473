//! What operations add to a batch. Pure: what is stored and the time are inputs.

use std::collections::{HashMap, HashSet};

use mainstay_store::{Batch, Version};

use super::layout::{self, Layout};
use crate::error::StateError;
use crate::port::{Etag, Item, Operation, Requirement};
use crate::ttl::expired;

/// What the keys hold that something is required of, expired or not.
pub(super) type Found<'a> = HashMap<&'a str, Option<Item>>;

/// Adds the operations: what they require as conditions on what was found, and the last one of each key as a write.
pub(super) fn add(
    layout: &Layout,
    operations: &[Operation],
    found: &Found<'_>,
    now_ms: u64,
    batch: &mut Batch,
) -> Result<(), StateError> {
    for operation in operations {
        require(operation, found, now_ms)?;
    }
    for (name, item) in found {
        let version = item.as_ref().and_then(|item| version(&item.etag));
        batch.require_version(layout.record(name)?, version);
    }
    let mut seen = HashSet::with_capacity(operations.len());
    for operation in operations.iter().rev().filter(|each| seen.insert(each.key())) {
        write(layout, operation, now_ms, batch)?;
    }
    Ok(())
}

fn require(operation: &Operation, found: &Found<'_>, now_ms: u64) -> Result<(), StateError> {
    let requirement = operation.requirement();
    if let Requirement::At(etag) = requirement
        && version(etag).is_none()
    {
        return Err(StateError::InvalidEtag(etag.to_string()));
    }
    let item = found.get(operation.key()).and_then(Option::as_ref);
    let live = item.filter(|item| !expired(item.expires_at_ms, now_ms));
    requirement.check(operation.key(), live.map(|item| &item.etag))
}

fn write(layout: &Layout, operation: &Operation, now_ms: u64, batch: &mut Batch) -> Result<(), StateError> {
    let record = layout.record(operation.key())?;
    match operation {
        Operation::Delete(_) => {
            batch.delete(record);
        }
        Operation::Set(set) => {
            let expires_at_ms = set.time_to_live.and_then(|ttl| ttl.expires_at_ms(now_ms));
            batch.put(record, layout::encode(set, expires_at_ms)?);
            if let Some(expires) = expires_at_ms {
                batch.put(
                    layout.expiry(expires, &set.key)?,
                    mainstay_store::Value::default(),
                );
            }
        }
    }
    Ok(())
}

pub(super) fn version(etag: &Etag) -> Option<Version> {
    etag.number().map(Version::from_u64)
}
