//! Values that merge: what the metadata of a save says.
//!
//! | metadata | means |
//! |---|---|
//! | `mainstay.crdt` | the kind of value that is merged into: `counter`, `register` or `set` |
//! | `mainstay.op` | what the saved value does there: `increment` or `decrement`, `set`, `add` or `remove`; the first one of the kind when absent |

use mainstay_state::crdt::{Change as Merged, InvalidChange};

use super::state::{Change, Metadata, Step};

const KIND: &str = "mainstay.crdt";
const OPERATION: &str = "mainstay.op";

/// What the metadata of a transaction says, for each of its upserts that does not say it itself.
pub(super) fn spread(metadata: &Metadata, steps: &mut [Step]) {
    for name in [KIND, OPERATION] {
        let Some(value) = metadata.get(name) else { continue };
        for step in &mut *steps {
            if let Step::Upsert(change) = step {
                let said = change.metadata.entry(name.to_owned());
                said.or_insert_with(|| value.clone());
            }
        }
    }
}

/// Whether anything is to be merged.
pub(super) fn is_wanted<'a>(mut metadata: impl Iterator<Item = &'a Metadata>) -> bool {
    metadata.any(|metadata| metadata.contains_key(KIND) || metadata.contains_key(OPERATION))
}

/// What is to be merged, if anything is. An operation without a kind is a mistake.
pub(super) fn of(change: &Change) -> Result<Option<Merged>, InvalidChange> {
    let text = |name: &str| change.metadata.get(name).map(String::as_str);
    match (text(KIND), text(OPERATION)) {
        (None, None) => Ok(None),
        (kind, operation) => Merged::read(kind.unwrap_or_default(), operation, &change.value).map(Some),
    }
}
