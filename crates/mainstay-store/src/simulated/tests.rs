use super::*;
use crate::batch::{Condition, Token};
use crate::key::Value;

fn key(text: &str) -> Key {
    Key::new(text.to_owned()).unwrap()
}

fn put(name: &str) -> Batch {
    let mut batch = Batch::new();
    batch.put(key(name), Value::new("v").unwrap());
    batch
}

async fn exists(store: &Simulated, name: &str) -> bool {
    store.read(&[key(name)]).await.unwrap().values[0].is_some()
}

#[tokio::test]
async fn a_crash_keeps_exactly_what_was_durable() {
    for step in Step::ALL {
        let store = Simulated::new();
        store.commit(put("before")).await.unwrap();
        store.crash_at(step);
        let error = store.commit(put("during")).await.unwrap_err();
        assert!(
            matches!(error, CommitError::UnknownOutcome(_)),
            "{step:?}: {error}"
        );
        let refused = store.commit(put("after")).await.unwrap_err();
        assert!(
            matches!(refused, CommitError::Unavailable(_)),
            "{step:?}: {refused}"
        );
        assert!(store.read(&[key("before")]).await.is_err());

        store.recover();
        assert!(exists(&store, "before").await, "{step:?}");
        assert!(!exists(&store, "after").await, "{step:?}");
        let durable = matches!(step, Step::Durable | Step::Visible);
        assert_eq!(exists(&store, "during").await, durable, "{step:?}");
    }
}

#[tokio::test]
async fn the_token_tells_what_a_crash_left_open() {
    for step in Step::ALL {
        let store = Simulated::new();
        let mut batch = put("during");
        batch.set_token(Token::new("one").unwrap());
        store.crash_at(step);
        store.commit(batch.clone()).await.unwrap_err();
        store.recover();
        let again = store.commit(batch).await.unwrap();
        assert_eq!(
            again.replayed,
            matches!(step, Step::Durable | Step::Visible),
            "{step:?}"
        );
    }
}

#[tokio::test]
async fn rivals_cause_real_conflicts() {
    let store = Simulated::with_faults(
        7,
        Faults {
            rivals: 1_000,
            ..Faults::default()
        },
    );
    let mut batch = put("a");
    batch.require(Condition::KeyAbsent { key: key("a") });
    let error = store.commit(batch).await.unwrap_err();
    let CommitError::Conflict(conflict) = error else {
        panic!("{error}");
    };
    let (version, _) = store.rivals()[0];
    assert_eq!(conflict.found, Some(version));
}

#[tokio::test]
async fn the_same_seed_gives_the_same_run() {
    let run = async |seed| {
        let faults = Faults {
            unknown: 300,
            overloads: 200,
            clock_jumps: 200,
            max_yields: 3,
            ..Faults::default()
        };
        let store = Simulated::with_faults(seed, faults);
        let mut answers = Vec::new();
        for index in 0..50 {
            answers.push(store.commit(put(&index.to_string())).await);
        }
        answers
    };
    assert_eq!(run(1).await, run(1).await);
    assert_ne!(run(1).await, run(2).await);
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let store = Simulated::new();
    let mut watch = store.watch("a".into());
    store.commit(put("b")).await.unwrap();
    store.close();
    assert_eq!(store.commit(put("a")).await, Err(CommitError::Closed));
    assert_eq!(store.read(&[key("b")]).await, Err(ReadError::Closed));
    assert!(watch.changed().await.is_err());
    assert!(store.watch("a".into()).changed().await.is_err());
}

mod replica;
