//! Metadata of our own, which stands beside Dapr's. A misspelt name must not be passed over: a lock would not protect, and a
//! counter would be overwritten.

use super::state::Metadata;
use crate::errors::ApiError;

/// What stands before all of them.
const PREFIX: &str = "mainstay.";

/// What any change of state may say.
pub(super) const OF_ALL: &[&str] = &[
    "mainstay.lock",
    "mainstay.lockOwner",
    "mainstay.lockStore",
    "mainstay.fencingToken",
];

/// What a save may say.
pub(super) const OF_SAVES: &[&str] = &[
    "mainstay.lock",
    "mainstay.lockOwner",
    "mainstay.lockStore",
    "mainstay.fencingToken",
    "mainstay.crdt",
    "mainstay.op",
];

/// Refuses names that mean nothing.
pub(super) fn check<'a>(
    known: &[&str],
    mut metadata: impl Iterator<Item = &'a Metadata>,
) -> Result<(), ApiError> {
    metadata.try_for_each(|metadata| {
        let mut names = metadata.keys().map(String::as_str);
        let unknown = names.find(|name| name.starts_with(PREFIX) && !known.contains(name));
        unknown.map_or(Ok(()), |unknown| {
            let known = known.join(", ");
            let message = format!("the metadata `{unknown}` means nothing here: there are {known}");
            Err(ApiError::malformed(message))
        })
    })
}
