//! Many at the same time.

use std::sync::Arc;

use super::{State, Subject, first, read, set};
use crate::{Consistency, Etag, Operation, Set, StateError};

const CLIENTS: usize = 8;

pub async fn one_of_many_first_writes_wins(subject: &impl Subject) {
    let state = subject.state();
    for round in 0..10 {
        let key = format!("round {round}");
        let tasks: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let (state, key) = (Arc::clone(&state), key.clone());
                tokio::spawn(async move { state.set(first(&key, "mine")).await })
            })
            .collect();
        let mut winners = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(()) => winners += 1,
                Err(StateError::EtagMismatch { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(winners, 1);
    }
}

async fn number(state: &State, key: &str) -> (u64, Etag) {
    let item = read(state, key).await.unwrap();
    let text = std::str::from_utf8(&item.value).unwrap();
    (text.parse().unwrap(), item.etag)
}

fn numbered(key: &str, number: u64, etag: Etag) -> Set {
    let mut set = Set::new(key, number.to_string());
    set.etag = Some(etag);
    set
}

pub async fn increments_are_not_lost(subject: &impl Subject) {
    let state = subject.state();
    set(&state, Set::new("count", "0")).await;
    let tasks: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let state = Arc::clone(&state);
            tokio::spawn(async move {
                for _ in 0..10 {
                    loop {
                        let (before, etag) = number(&state, "count").await;
                        match state.set(numbered("count", before + 1, etag)).await {
                            Ok(()) => break,
                            Err(StateError::EtagMismatch { .. }) => {}
                            Err(error) => panic!("{error}"),
                        }
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(number(&state, "count").await.0, 10 * CLIENTS as u64);
}

/// Money moves between two accounts; whoever looks finds all of it.
pub async fn transfers_keep_the_sum(subject: &impl Subject) {
    let state = subject.state();
    set(&state, Set::new("a", "1000")).await;
    set(&state, Set::new("b", "1000")).await;
    let tasks: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let state = Arc::clone(&state);
            tokio::spawn(async move {
                for _ in 0..20 {
                    let keys = ["a", "b"].map(str::to_owned);
                    let items = state.get(&keys, Consistency::Strong).await.unwrap();
                    let accounts: Vec<(u64, Etag)> = items
                        .into_iter()
                        .flatten()
                        .map(|item| {
                            let text = String::from_utf8(item.value.to_vec()).unwrap();
                            (text.parse().unwrap(), item.etag)
                        })
                        .collect();
                    let [(from, from_etag), (to, to_etag)] = accounts.try_into().unwrap();
                    assert_eq!(from + to, 2_000);
                    let operations = vec![
                        Operation::Set(numbered("a", from - 1, from_etag)),
                        Operation::Set(numbered("b", to + 1, to_etag)),
                    ];
                    match state.transact(operations).await {
                        Ok(()) | Err(StateError::EtagMismatch { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let (a, b) = (number(&state, "a").await.0, number(&state, "b").await.0);
    assert!(a + b == 2_000 && a < 1_000, "{a} and {b}");
}
