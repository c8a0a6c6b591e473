//! The server is killed and comes back; the component does not have to be opened again.

use std::time::Duration;

use mainstay_base::ErrorKind;
use mainstay_state::{Consistency, Set, StateError, StateStore};
use mainstay_store::{CommitError, ReadError};

use super::{item, open, options, start};

/// How long something may take that has to happen.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_works_again_when_the_server_is_back() {
    let Some(mut server) = start(&[]).await else {
        return;
    };
    let state = open(options(&server, 0));
    state.set(Set::new("before", "1")).await.unwrap();
    let etag = item(&state, "before").await.unwrap().etag;
    for _ in 0..2 {
        server.stop();
        let keys = ["before".to_owned()];
        for _ in 0..5 {
            let refused = tokio::time::timeout(PATIENCE, state.set(Set::new("lost", "1")))
                .await
                .unwrap()
                .unwrap_err();
            // The first may be sent before it is noticed that the server is gone.
            assert!(
                matches!(
                    refused,
                    StateError::Commit(CommitError::Unavailable(_) | CommitError::UnknownOutcome(_))
                ),
                "{refused}"
            );
            assert_eq!(refused.kind(), ErrorKind::Unavailable);
            let refused = state.get(&keys, Consistency::Strong).await.unwrap_err();
            assert!(
                matches!(refused, StateError::Read(ReadError::Unavailable(_))),
                "{refused}"
            );
            assert!(
                refused.to_string().contains("Redis cannot be reached: 127.0.0.1"),
                "{refused}"
            );
        }
        server.resume().await;
        state.set(Set::new("after", "2")).await.unwrap();
        assert_eq!(item(&state, "before").await.unwrap().etag, etag);
        assert_eq!(item(&state, "after").await.unwrap().value, "2");
        assert_eq!(item(&state, "lost").await, None);
    }
}

/// A server that is back before anybody asked it anything: nobody notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_between_two_calls_is_not_noticed() {
    let Some(mut server) = start(&[]).await else {
        return;
    };
    let state = open(options(&server, 0));
    for number in 0..5 {
        state.set(Set::new("k", number.to_string())).await.unwrap();
        server.stop();
        server.resume().await;
        assert_eq!(item(&state, "k").await.unwrap().value, number.to_string());
    }
}

/// Many wait for a server that is gone: all are told soon, none one after the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_who_wait_are_told_together() {
    let Some(mut server) = start(&[]).await else {
        return;
    };
    let state = open(options(&server, 0));
    state.connect().await.unwrap();
    server.stop();
    let calls: Vec<_> = (0..1_000)
        .map(|_| {
            let state = state.clone();
            tokio::spawn(async move { state.set(Set::new("k", "1")).await })
        })
        .collect();
    let all = async {
        for call in calls {
            assert!(call.await.unwrap().is_err());
        }
    };
    tokio::time::timeout(PATIENCE, all).await.unwrap();
}
