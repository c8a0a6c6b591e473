//! Values that merge, on two nodes that share the component.

use std::sync::Arc;

use mainstay_store::SystemWallClock;

use super::{State, Subject, assert_mismatch, set, text};
use crate::crdt::{Change, InvalidReplicated, Merge, Merging, Step};
use crate::query::Query;
use crate::{Concurrency, Delete, Operation, Set, StateError};

const ROUNDS: usize = 20;

/// The same component as two nodes see it.
fn nodes(subject: &impl Subject) -> [State; 2] {
    ["a", "b"]
        .map(|node| -> State { Arc::new(Merging::new(subject.state(), node, Arc::new(SystemWallClock))) })
}

fn merge_of(key: &str, kind: &str, operation: Option<&str>, value: &str) -> Merge {
    Merge {
        set: Set::new(key, ""),
        change: Change::read(kind, operation, value.as_bytes()).expect("a change"),
    }
}

fn count(key: &str, by: &str) -> Step {
    Step::Merge(merge_of(key, "counter", None, by))
}

fn add(key: &str, members: &str) -> Step {
    Step::Merge(merge_of(key, "set", None, members))
}

fn remove(key: &str, members: &str) -> Step {
    Step::Merge(merge_of(key, "set", Some("remove"), members))
}

fn write(key: &str, value: &str) -> Step {
    Step::Merge(merge_of(key, "register", None, value))
}

async fn merge(state: &State, steps: Vec<Step>) {
    state
        .merge(steps, Vec::new())
        .await
        .expect("the values are merged");
}

pub async fn two_nodes_converge(subject: &impl Subject) {
    let nodes = nodes(subject);
    let writers = nodes.iter().enumerate().flat_map(|(number, node)| {
        (0..2).map(move |writer| {
            let node = Arc::clone(node);
            tokio::spawn(async move {
                for round in 0..ROUNDS {
                    let member = format!("\"{number}-{writer}-{round}\"");
                    let steps = vec![count("count", "3"), count("count", "-1"), add("set", &member)];
                    merge(&node, steps).await;
                    if round % 2 == 1 {
                        merge(&node, vec![remove("set", &member), write("register", &member)]).await;
                    }
                }
            })
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("a writer");
    }
    let [one, two] = &nodes;
    for key in ["count", "set", "register"] {
        assert_eq!(text(one, key).await, text(two, key).await);
    }
    assert_eq!(text(one, "count").await, Some((4 * ROUNDS * 2).to_string()));
    let members: Vec<String> = serde_json::from_str(&text(two, "set").await.unwrap()).unwrap();
    assert_eq!(members.len(), 4 * ROUNDS / 2);
}

pub async fn what_is_read_is_what_users_write(subject: &impl Subject) {
    let [one, two] = &nodes(subject);
    let mut typed = merge_of("app||r", "register", None, "<a/>");
    typed.set.content_type = Some("application/xml".to_owned());
    merge(
        one,
        vec![
            Step::Merge(typed),
            count("app||c", "-7"),
            add("app||s", "[\"b\", \"a\", 1]"),
        ],
    )
    .await;
    for (key, expected) in [
        ("app||r", "<a/>"),
        ("app||c", "-7"),
        ("app||s", "[\"a\",\"b\",1]"),
    ] {
        assert_eq!(text(two, key).await.as_deref(), Some(expected));
    }
    let item = super::read(two, "app||r").await.unwrap();
    assert_eq!(item.content_type.as_deref(), Some("application/xml"));
    if one.features().query {
        let found = two.query(&Query::default(), "app||").await.unwrap();
        let found: Vec<_> = found
            .results
            .iter()
            .map(|found| (found.key.as_str(), &found.item.value[..]))
            .collect();
        assert_eq!(found, [("app||c", &b"-7"[..]), ("app||s", b"[\"a\",\"b\",1]")]);
    }
}

pub async fn merges_of_another_kind_are_refused(subject: &impl Subject) {
    let [one, two] = &nodes(subject);
    set(one, Set::new("plain", "7")).await;
    merge(one, vec![count("counter", "7")]).await;
    for (step, told) in [
        (count("plain", "1"), InvalidReplicated::Plain("counter")),
        (
            add("counter", "1"),
            InvalidReplicated::Kind {
                asked: "set",
                found: "counter",
            },
        ),
    ] {
        let key = step.key().to_owned();
        let refused = two.merge(vec![count("other", "1"), step], Vec::new()).await;
        assert_eq!(refused, Err(StateError::NotMerged { key, reason: told }));
    }
    assert_eq!(text(one, "other").await, None);
    // A set and a delete do not ask what is there.
    set(two, Set::new("counter", "plain")).await;
    one.delete(Delete::new("plain")).await.unwrap();
    merge(two, vec![add("plain", "[]")]).await;
    assert_eq!(text(one, "plain").await.as_deref(), Some("[]"));
}

pub async fn what_looks_like_one_is_not_set(subject: &impl Subject) {
    let [one, _] = &nodes(subject);
    merge(one, vec![count("k", "1")]).await;
    // As it is kept; of an encrypted component, that says nothing to anybody.
    let kept = super::read(&subject.state(), "k").await.unwrap().value;
    for outcome in [
        one.set(Set::new("l", kept.clone())).await,
        one.merge(
            vec![Step::Plain(Operation::Set(Set::new("l", kept.clone())))],
            Vec::new(),
        )
        .await,
    ] {
        assert_eq!(outcome, Err(StateError::Marked("l".to_owned())));
    }
}

pub async fn steps_are_made_in_their_order(subject: &impl Subject) {
    let [one, two] = &nodes(subject);
    merge(one, vec![count("k", "1")]).await;
    let delete = |key: &str| Step::Plain(Operation::Delete(Delete::new(key)));
    let set_plain = |key: &str| Step::Plain(Operation::Set(Set::new(key, "plain")));
    merge(
        two,
        vec![
            count("k", "5"),
            delete("k"),
            count("k", "2"),
            count("k", "2"),
            set_plain("other"),
        ],
    )
    .await;
    assert_eq!(text(one, "k").await.as_deref(), Some("4"));
    assert_eq!(text(one, "other").await.as_deref(), Some("plain"));
    merge(one, vec![count("k", "1"), set_plain("k")]).await;
    assert_eq!(text(two, "k").await.as_deref(), Some("plain"));
    let refused = one.merge(vec![set_plain("l"), count("l", "1")], Vec::new()).await;
    assert!(
        matches!(refused, Err(StateError::NotMerged { .. })),
        "{refused:?}"
    );
    assert_eq!(text(two, "l").await, None);
}

pub async fn merges_keep_what_is_required(subject: &impl Subject) {
    let [one, two] = &nodes(subject);
    let first = |key: &str| {
        let mut merge = merge_of(key, "counter", None, "1");
        merge.set.concurrency = Concurrency::FirstWrite;
        vec![Step::Merge(merge)]
    };
    one.merge(first("k"), Vec::new()).await.unwrap();
    assert_mismatch(two.merge(first("k"), Vec::new()).await);
    let seen = super::read(two, "k").await.unwrap().etag;
    let matching = || {
        let mut merge = merge_of("k", "counter", None, "1");
        merge.set.etag = Some(seen.clone());
        vec![Step::Merge(merge)]
    };
    two.merge(matching(), Vec::new()).await.unwrap();
    assert_mismatch(one.merge(matching(), Vec::new()).await);
    // What is required of another key counts as much.
    let mut absent = Set::new("k", "1");
    absent.concurrency = Concurrency::FirstWrite;
    let both = vec![count("l", "1"), Step::Plain(Operation::Set(absent))];
    assert_mismatch(one.merge(both, Vec::new()).await);
    assert_eq!(text(two, "k").await.as_deref(), Some("2"));
    assert_eq!(text(two, "l").await, None);
}

pub async fn a_merged_value_expires(subject: &impl Subject) {
    let [one, two] = &nodes(subject);
    let mut lasting = merge_of("k", "counter", None, "5");
    lasting.set.time_to_live = super::lasting("k", "", 1).time_to_live;
    merge(one, vec![Step::Merge(lasting)]).await;
    assert!(super::read(two, "k").await.unwrap().expires_at_ms.is_some());
    subject.pass_seconds(2).await;
    merge(two, vec![count("k", "1")]).await;
    assert_eq!(text(one, "k").await.as_deref(), Some("1"));
}
