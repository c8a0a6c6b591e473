//! The server is killed and comes back; the component does not have to be opened again.

use std::time::Duration;

use mainstay_base::ErrorKind;
use mainstay_postgres::test_server::TestServer;
use mainstay_state::postgresql::Options;
use mainstay_state::{Consistency, Set, StateError, StateStore};
use mainstay_store::{CommitError, ReadError};

use super::{item, open};

/// How long something may take that has to happen.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_works_again_when_the_server_is_back() {
    let Some(mut server) = TestServer::start_if_available().await else {
        return;
    };
    let state = open(&Options::from(server.options()));
    state.set(Set::new("before", "1")).await.unwrap();
    let etag = item(&state, "before").await.unwrap().etag;
    server.crash();
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
        let keys = ["before".to_owned()];
        let refused = state.get(&keys, Consistency::Strong).await.unwrap_err();
        assert!(
            matches!(refused, StateError::Read(ReadError::Unavailable(_))),
            "{refused}"
        );
    }
    server.resume().await;
    state.set(Set::new("after", "2")).await.unwrap();
    assert_eq!(item(&state, "before").await.unwrap().etag, etag);
    assert_eq!(item(&state, "after").await.unwrap().value, "2");
    assert_eq!(item(&state, "lost").await, None);
}

/// Calls that wait for a lock give their connection up in time, and others find one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_of_somebody_else_is_not_waited_for_without_end() {
    let Some(server) = super::shared().await else {
        return;
    };
    let mut options = super::new_options(server);
    options.server.timeout = Duration::from_secs(1);
    options.server.max_connections = Some(2);
    let state = open(&options);
    state.set(Set::new("k", "1")).await.unwrap();
    let other = server.connect().await;
    let lock = format!("BEGIN; SELECT FROM {} FOR UPDATE", options.table);
    other.batch_execute(&lock).await.unwrap();
    let refused = tokio::time::timeout(PATIENCE, state.set(Set::new("k", "2")))
        .await
        .unwrap();
    assert!(
        matches!(refused, Err(StateError::Commit(CommitError::Unavailable(_)))),
        "{refused:?}"
    );
    assert_eq!(item(&state, "k").await.unwrap().value, "1");
    other.batch_execute("ROLLBACK").await.unwrap();
    state.set(Set::new("k", "3")).await.unwrap();
}
