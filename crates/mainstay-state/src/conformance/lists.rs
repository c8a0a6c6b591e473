//! Lists of keys.

use super::{State, Subject, lasting, read, set};
use crate::error::StateError;
use crate::listing::{ListPage, ListedKey, Listing};
use crate::{Delete, Set};

/// Whether there is anything to test.
async fn lists(state: &State) -> bool {
    !matches!(state.list(&listing("", 1)).await, Err(StateError::CannotList))
}

fn listing(prefix: &str, limit: usize) -> Listing {
    Listing {
        prefix: prefix.to_owned(),
        after: None,
        limit,
    }
}

async fn page(state: &State, listing: &Listing) -> ListPage {
    state.list(listing).await.expect("the keys can be listed")
}

/// All keys under a prefix, by pages of so many.
async fn all(state: &State, prefix: &str, limit: usize) -> Vec<ListedKey> {
    let mut listing = listing(prefix, limit);
    let mut keys = Vec::new();
    loop {
        let found = page(state, &listing).await;
        assert!(found.keys.len() <= limit, "{}", found.keys.len());
        listing.after = found.keys.last().map(|last| last.key.clone());
        keys.extend(found.keys);
        if !found.more {
            return keys;
        }
    }
}

fn names(keys: &[ListedKey]) -> Vec<&str> {
    keys.iter().map(|listed| listed.key.as_str()).collect()
}

pub async fn keys_are_listed_in_their_order(subject: &impl Subject) {
    let state = subject.state();
    if !lists(&state).await {
        return;
    }
    assert_eq!(page(&state, &listing("", 10)).await, ListPage::default());
    for key in ["app||b", "app||ü", "app||a", "app||a/1", "app||A"] {
        set(&state, Set::new(key, "value")).await;
    }
    let mut typed = Set::new("app||a", "{}");
    typed.content_type = Some("application/json".to_owned());
    set(&state, typed).await;
    let found = page(&state, &listing("app||", 10)).await;
    assert_eq!(
        names(&found.keys),
        ["app||A", "app||a", "app||a/1", "app||b", "app||ü"]
    );
    assert!(!found.more);
    let listed = &found.keys[1];
    let kept = read(&state, "app||a").await.unwrap();
    assert_eq!(
        (&listed.etag, &listed.content_type),
        (&kept.etag, &kept.content_type)
    );
    assert!(listed.value_bytes >= kept.value.len());
    state.delete(Delete::new("app||a")).await.unwrap();
    let found = page(&state, &listing("app||a", 10)).await;
    assert_eq!(names(&found.keys), ["app||a/1"]);
}

pub async fn every_page_is_listed(subject: &impl Subject) {
    let state = subject.state();
    if !lists(&state).await {
        return;
    }
    let sets = (0..700).map(|number| Set::new(format!("app||{number:03}"), "value"));
    state.bulk_set(sets.collect()).await.unwrap();
    let expected: Vec<String> = (0..700).map(|number| format!("app||{number:03}")).collect();
    for limit in [1_000, 700, 300, 7] {
        assert_eq!(names(&all(&state, "app||", limit).await), expected, "{limit}");
    }
}

pub async fn other_prefixes_are_not_listed(subject: &impl Subject) {
    let state = subject.state();
    if !lists(&state).await {
        return;
    }
    for key in ["app||a", "app2||b", "ap||c", "plain"] {
        set(&state, Set::new(key, "1")).await;
    }
    assert_eq!(names(&all(&state, "app||", 10).await), ["app||a"]);
    assert_eq!(
        names(&all(&state, "", 2).await),
        ["app2||b", "app||a", "ap||c", "plain"]
    );
    let before_the_prefix = Listing {
        after: Some("aaa".to_owned()),
        ..listing("app||", 10)
    };
    assert_eq!(names(&page(&state, &before_the_prefix).await.keys), ["app||a"]);
    let past_the_prefix = Listing {
        after: Some("b".to_owned()),
        ..listing("app||", 10)
    };
    assert_eq!(page(&state, &past_the_prefix).await, ListPage::default());
}

pub async fn what_expired_is_not_listed(subject: &impl Subject) {
    let state = subject.state();
    if !lists(&state).await {
        return;
    }
    set(&state, lasting("app||short", "1", 1)).await;
    set(&state, Set::new("app||ever", "2")).await;
    let found = all(&state, "app||", 10).await;
    assert_eq!(names(&found), ["app||ever", "app||short"]);
    assert_eq!(
        found[1].expires_at_ms,
        read(&state, "app||short").await.unwrap().expires_at_ms
    );
    subject.pass_seconds(2).await;
    assert_eq!(names(&all(&state, "app||", 10).await), ["app||ever"]);
}
