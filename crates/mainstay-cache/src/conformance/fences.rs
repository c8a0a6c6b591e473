use super::{Store, Subject, entry, fence, invalidate, key, prefix, put, value};
use crate::Selection;

/// What covers the key `a/1`.
fn covering() -> [Selection; 4] {
    [key("a/1"), prefix("a/"), prefix(""), Selection::All]
}

pub async fn stay_while_nothing_is_invalidated(subject: &impl Subject) {
    let store = subject.store();
    put(&store, "a/1", entry("1")).await;
    let before = fence(&store, "a/1").await;
    put(&store, "a/1", entry("2")).await;
    put(&store, "b", entry("1")).await;
    assert_eq!(fence(&store, "a/1").await, before);
}

pub async fn change_with_what_covers_the_key(subject: &impl Subject) {
    let (store, elsewhere) = (subject.store(), subject.elsewhere());
    put(&store, "a/1", entry("1")).await;
    for by in [&store, &elsewhere] {
        for selection in covering() {
            let before = fence(&store, "a/1").await;
            invalidate(by, selection.clone()).await;
            assert_ne!(fence(&store, "a/1").await, before, "{selection:?}");
        }
    }
}

async fn refuse(store: &Store, by: &Store) {
    for is_there in [false, true] {
        for selection in covering() {
            if is_there {
                put(store, "a/1", entry("there")).await;
            }
            let before = fence(store, "a/1").await;
            invalidate(by, selection.clone()).await;
            let stored = store.put("a/1", entry("old"), before).await;
            assert_eq!(stored, Ok(false), "{selection:?}");
            assert_eq!(value(store, "a/1").await, None, "{selection:?}");
        }
    }
}

pub async fn refuse_what_was_loaded_before_an_invalidation(subject: &impl Subject) {
    refuse(&subject.store(), &subject.store()).await;
}

pub async fn refuse_what_was_loaded_before_an_invalidation_elsewhere(subject: &impl Subject) {
    refuse(&subject.store(), &subject.elsewhere()).await;
}

/// The slow loader of an old value comes after the quick one of the new value.
pub async fn keep_what_was_loaded_after_it(subject: &impl Subject) {
    let (store, elsewhere) = (subject.store(), subject.elsewhere());
    for selection in covering() {
        let before = fence(&store, "a/1").await;
        invalidate(&store, selection.clone()).await;
        put(&elsewhere, "a/1", entry("new")).await;
        assert_eq!(store.put("a/1", entry("old"), before).await, Ok(false));
        assert_eq!(value(&store, "a/1").await, Some("new".into()), "{selection:?}");
    }
}

pub async fn do_not_care_for_other_keys(subject: &impl Subject) {
    let store = subject.store();
    put(&store, "a/1", entry("1")).await;
    let before = fence(&store, "a/1").await;
    // Keys may share a shard by chance, but not all of these.
    let mut unchanged = 0;
    for index in 0..8 {
        invalidate(&store, key(&format!("other/{index}"))).await;
        unchanged += u32::from(fence(&store, "a/1").await == before);
    }
    assert!(unchanged > 0);
}
