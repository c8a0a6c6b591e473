//! Lists and watches beside what else is on the server.

use std::sync::Arc;
use std::time::Duration;

use mainstay_redis::redis::{AsyncCommands, cmd};
use mainstay_state::{Delete, KeyChange, KeyChanges, Listing, Set, StateError, StateStore};

use super::{connect, new_database, open, options, shared, start};

/// How long something may take that has to happen.
const PATIENCE: Duration = Duration::from_secs(60);

async fn changes(state: Arc<dyn StateStore>) -> KeyChanges {
    KeyChanges::of(state, "app||".to_owned()).await.unwrap()
}

/// Waits until this key is told of with this value, or as gone.
async fn told(changes: &mut KeyChanges, key: &str, value: Option<&'static str>) {
    let telling = async {
        loop {
            let KeyChange { key: found, item } = changes.next().await.unwrap().unwrap();
            if found == key && item.map(|item| item.value) == value.map(Into::into) {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, telling).await.unwrap();
}

#[tokio::test]
async fn what_is_no_state_is_not_listed() {
    let Some(server) = shared().await else { return };
    let database = new_database();
    let state = open(options(server, database));
    let mut raw = connect(server, database).await;
    // More than one step of a scan, most of it of others.
    let mut pipe = mainstay_redis::redis::pipe();
    for number in 0..3_000 {
        pipe.hset(format!("app||hash {number:04}"), "field", "1").ignore();
        pipe.set(format!("app||text {number:04}"), "1").ignore();
    }
    let () = pipe.query_async(&mut raw).await.unwrap();
    let _: () = raw.hset(b"app||\xff", "data", "1").await.unwrap();
    let sets = (0..1_500).map(|number| Set::new(format!("app||*[{number:04}]"), "1"));
    state.bulk_set(sets.collect()).await.unwrap();
    let mut listing = Listing {
        prefix: "app||".to_owned(),
        after: None,
        limit: 400,
    };
    let mut keys = Vec::new();
    loop {
        let page = state.list(&listing).await.unwrap();
        listing.after = page.keys.last().map(|last| last.key.clone());
        keys.extend(page.keys.into_iter().map(|listed| listed.key));
        if !page.more {
            break;
        }
    }
    let expected: Vec<String> = (0..1_500).map(|number| format!("app||*[{number:04}]")).collect();
    assert_eq!(keys, expected);
    listing.prefix = "app||*[001".to_owned();
    listing.after = None;
    assert_eq!(state.list(&listing).await.unwrap().keys.len(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_are_told_also_after_the_server_was_gone() {
    let Some(mut server) = start(&[]).await else {
        return;
    };
    let state = open(options(&server, 3));
    let mut changes = changes(state.clone()).await;
    state.set(Set::new("other||k", "1")).await.unwrap();
    state.set(Set::new("app||k", "1")).await.unwrap();
    told(&mut changes, "app||k", Some("1")).await;
    server.stop();
    server.resume().await;
    state.set(Set::new("app||k", "2")).await.unwrap();
    told(&mut changes, "app||k", Some("2")).await;
    state.delete(Delete::new("app||k")).await.unwrap();
    told(&mut changes, "app||k", None).await;
    // What others need of the notifications stays.
    let mut raw = connect(&server, 0).await;
    let settings: Vec<String> = cmd("CONFIG")
        .arg(&["GET", "notify-keyspace-events"])
        .query_async(&mut raw)
        .await
        .unwrap();
    assert!(
        settings[1].contains('K') && settings[1].contains('A'),
        "{settings:?}"
    );
}

#[tokio::test]
async fn a_server_that_is_not_to_be_told_says_so() {
    let Some(server) = start(&["--rename-command", "CONFIG", ""]).await else {
        return;
    };
    let state = open(options(&server, 0));
    let refused = state.watch("app||").await.unwrap_err();
    let StateError::NotTold(reason) = &refused else {
        panic!("{refused}");
    };
    assert!(reason.contains("notify-keyspace-events has to be KA"), "{reason}");
}
