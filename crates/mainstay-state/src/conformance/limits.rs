//! The bounds that all components share.

use super::{Subject, read, set};
use crate::limits::{MAX_BULK_KEYS, MAX_CONTENT_TYPE_BYTES, MAX_KEY_BYTES, MAX_OPERATIONS};
use crate::{Consistency, InvalidKey, Set, StateError, StateStore};

pub async fn the_largest_fit(subject: &impl Subject) {
    let state = subject.state();
    let key = "k".repeat(MAX_KEY_BYTES);
    let max_value_bytes = state.features().max_value_bytes;
    let mut largest = Set::new(&key, vec![7; max_value_bytes]);
    largest.content_type = Some("t".repeat(MAX_CONTENT_TYPE_BYTES));
    largest.time_to_live = crate::TimeToLive::parse("2147483647").unwrap();
    set(&state, largest).await;
    assert_eq!(read(&state, &key).await.unwrap().value.len(), max_value_bytes);
    let sets = (0..MAX_OPERATIONS).map(|number| Set::new(number.to_string(), "v"));
    state.bulk_set(sets.collect()).await.unwrap();
    let keys: Vec<String> = (0..MAX_BULK_KEYS).map(|number| number.to_string()).collect();
    let items = state.get(&keys, Consistency::Strong).await.unwrap();
    assert!(items.iter().all(Option::is_some));
}

pub async fn more_is_refused(subject: &impl Subject) {
    let state = subject.state();
    let state: &dyn StateStore = state.as_ref();
    let long = "k".repeat(MAX_KEY_BYTES + 1);
    let too_long = Err(StateError::InvalidKey(InvalidKey::Long(MAX_KEY_BYTES + 1)));
    assert_eq!(state.set(Set::new(&long, "v")).await, too_long);
    let empty = Err(StateError::InvalidKey(InvalidKey::Empty));
    assert_eq!(state.set(Set::new("", "v")).await, empty);
    let large = Set::new("k", vec![7; state.features().max_value_bytes + 1]);
    assert!(matches!(
        state.set(large).await,
        Err(StateError::LargeValue { .. })
    ));
    let mut typed = Set::new("k", "v");
    typed.content_type = Some("t".repeat(MAX_CONTENT_TYPE_BYTES + 1));
    let refused = state.set(typed).await;
    assert!(
        matches!(refused, Err(StateError::LongContentType(_))),
        "{refused:?}"
    );
    let sets = (0..=MAX_OPERATIONS).map(|number| Set::new(number.to_string(), "v"));
    let refused = state.bulk_set(sets.collect()).await;
    assert_eq!(refused, Err(StateError::TooManyOperations(MAX_OPERATIONS + 1)));
    let keys = vec!["k".to_owned(); MAX_BULK_KEYS + 1];
    let refused = state.get(&keys, Consistency::Strong).await;
    assert_eq!(refused, Err(StateError::TooManyKeys(MAX_BULK_KEYS + 1)));
}
