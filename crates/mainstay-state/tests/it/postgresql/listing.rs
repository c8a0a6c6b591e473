//! Lists and watches of a table that others write to.

use std::time::Duration;

use mainstay_state::{Delete, KeyChange, KeyChanges, Listing, Set, StateStore};

use super::{new_options, open, shared};

/// How long something may take that has to happen.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn keys_of_others_are_listed_as_far_as_they_are_keys() {
    let Some(server) = shared().await else { return };
    let options = new_options(server);
    let state = open(&options);
    let keys = ["a\0", "a\u{1}", "a\u{2}", "a%_\\", "a", "ä"];
    let sets = keys.iter().map(|key| Set::new(*key, "1"));
    state.bulk_set(sets.collect()).await.unwrap();
    let mut expected = keys.to_vec();
    expected.sort_unstable();
    // It stands for no key here.
    let foreign = format!(
        "INSERT INTO {} (key, value) VALUES (E'a\\x01x', '1')",
        options.table
    );
    server.connect().await.batch_execute(&foreign).await.unwrap();
    let mut listing = Listing {
        prefix: String::new(),
        after: None,
        limit: 1,
    };
    let mut found = Vec::new();
    loop {
        let page = state.list(&listing).await.unwrap();
        listing.after = page.keys.last().map(|last| last.key.clone());
        found.extend(page.keys.into_iter().map(|listed| listed.key));
        if !page.more {
            break;
        }
    }
    assert_eq!(found, expected);
}

#[tokio::test]
async fn changes_of_another_process_are_told() {
    let Some(server) = shared().await else { return };
    let options = new_options(server);
    let (one, two) = (open(&options), open(&options));
    one.set(Set::new("app||k", "1")).await.unwrap();
    let mut changes = KeyChanges::of(one, "app||".to_owned()).await.unwrap();
    for value in [Some("2"), None] {
        match value {
            Some(value) => two.set(Set::new("app||k", value)).await.unwrap(),
            None => two.delete(Delete::new("app||k")).await.unwrap(),
        }
        let change = tokio::time::timeout(PATIENCE, changes.next()).await.unwrap();
        let KeyChange { key, item } = change.unwrap().unwrap();
        assert_eq!(key, "app||k");
        assert_eq!(item.map(|item| item.value), value.map(Into::into));
    }
}
