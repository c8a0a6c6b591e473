//! Changes of state that only count while a lock is held.

use std::collections::BTreeMap;
use std::sync::Arc;

use dapr::dapr::proto::common::v1::StateItem;
use dapr::dapr::proto::runtime::v1 as runtime;
use http::Method;
use mainstay_api::{Blocks, LockComponent, StateComponent};
use mainstay_state::{InMemory, InMemoryOptions, KeyPrefix, StateStore};
use mainstay_store::simulated::Simulated;
use tonic::Code;

use crate::support::{Front, about, in_time};

fn front() -> Front {
    let store = Arc::new(Simulated::new());
    let state = |values: Arc<dyn StateStore>| StateComponent {
        about: about("state"),
        store: values,
        cache: None,
        prefix: KeyPrefix::App,
        namespace: String::new(),
    };
    let stored = mainstay_state::Stored::new(store.clone(), "statestore").unwrap();
    let memory = InMemory::new(InMemoryOptions::default());
    let lock = LockComponent {
        about: about("lock.mainstay"),
        store: Arc::new(mainstay_lock::Stored::new(store, "lockstore").unwrap()),
        prefix: mainstay_lock::KeyPrefix::default(),
    };
    let blocks = Arc::new(Blocks {
        state: BTreeMap::from([
            ("statestore".to_owned(), state(Arc::new(stored))),
            ("memory".to_owned(), state(Arc::new(memory))),
        ]),
        locks: BTreeMap::from([("lockstore".to_owned(), lock)]),
        ..Blocks::default()
    });
    Front::start_with(&[], |options| options.blocks = blocks)
}

impl Front {
    async fn lock(&self, owner: &str) -> u64 {
        let body = format!(r#"{{"resourceId":"r","lockOwner":"{owner}","expiryInSeconds":60}}"#);
        let answer = self.ask(Method::POST, "/v1.0-alpha1/lock/lockstore", body).await;
        assert_eq!(answer.body, r#"{"success":true}"#);
        answer.header("mainstay-fencing-token").unwrap().parse().unwrap()
    }

    async fn unlock(&self, owner: &str) {
        let body = format!(r#"{{"resourceId":"r","lockOwner":"{owner}"}}"#);
        let answer = self
            .ask(Method::POST, "/v1.0-alpha1/unlock/lockstore", body)
            .await;
        assert_eq!(answer.body, r#"{"status":0}"#);
    }

    /// Saves with this metadata; the status.
    async fn save(&self, store: &str, metadata: &str) -> u16 {
        let body = format!(r#"[{{"key":"k","value":1,"metadata":{metadata}}}]"#);
        let path = format!("/v1.0/state/{store}");
        self.ask(Method::POST, &path, body).await.status.as_u16()
    }
}

#[tokio::test]
async fn only_the_holder_of_the_lock_changes_what_it_protects() {
    let front = front();
    let by = |owner: &str| format!(r#"{{"mainstay.lock":"r","mainstay.lockOwner":"{owner}"}}"#);
    assert_eq!(front.save("statestore", &by("a")).await, 409, "nobody holds it");
    let first = front.lock("a").await;
    assert_eq!(front.save("statestore", &by("a")).await, 204);
    assert_eq!(front.save("statestore", &by("b")).await, 409);
    front.unlock("a").await;
    front.lock("b").await;
    assert_eq!(front.save("statestore", &by("a")).await, 409);
    front.unlock("b").await;
    let second = front.lock("a").await;
    let with = |token: u64| {
        format!(r#"{{"mainstay.lock":"r","mainstay.lockOwner":"a","mainstay.fencingToken":"{token}"}}"#)
    };
    assert_eq!(
        front.save("statestore", &with(first)).await,
        409,
        "an earlier grant"
    );
    assert_eq!(front.save("statestore", &with(second)).await, 204);
    let path = "/v1.0/state/statestore/k?metadata.mainstay.lock=r&metadata.mainstay.lockOwner=b";
    assert_eq!(front.ask(Method::DELETE, path, "").await.status, 409);
    assert_eq!(front.get("/v1.0/state/statestore/k").await.body, "1");
}

#[tokio::test]
async fn a_transaction_is_protected_as_a_whole() {
    let front = front();
    front.lock("a").await;
    let mut client = front.client().await;
    let transaction = |owner: &str| runtime::ExecuteStateTransactionRequest {
        store_name: "statestore".to_owned(),
        operations: vec![runtime::TransactionalStateOperation {
            operation_type: "upsert".to_owned(),
            request: Some(StateItem {
                key: "k".to_owned(),
                value: b"1".to_vec(),
                ..StateItem::default()
            }),
        }],
        metadata: [("mainstay.lock", "r"), ("mainstay.lockOwner", owner)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
    };
    in_time(client.execute_state_transaction(transaction("a")))
        .await
        .unwrap();
    let refused = in_time(client.execute_state_transaction(transaction("b")))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::Aborted);
    assert_eq!(
        refused.message(),
        "b does not hold the lock r: nothing was changed"
    );
}

#[tokio::test]
async fn what_cannot_be_protected_is_refused() {
    let front = front();
    front.lock("a").await;
    let held = r#"{"mainstay.lock":"r","mainstay.lockOwner":"a"}"#;
    assert_eq!(
        front.save("memory", held).await,
        400,
        "the values are kept elsewhere"
    );
    let nobody = r#"{"mainstay.lock":"r"}"#;
    assert_eq!(front.save("statestore", nobody).await, 400);
    let unknown = r#"{"mainstay.lock":"r","mainstay.lockOwner":"a","mainstay.lockStore":"none"}"#;
    assert_eq!(front.save("statestore", unknown).await, 400);
}
