//! The lock API over HTTP and gRPC.

use std::collections::BTreeMap;
use std::sync::Arc;

use dapr::dapr::proto::runtime::v1 as runtime;
use http::Method;
use mainstay_api::{Blocks, LockComponent};
use mainstay_lock::{InMemory, InMemoryOptions, KeyPrefix};
use tonic::Code;

use crate::support::{Front, about, in_time};

fn front() -> Front {
    let component = LockComponent {
        about: about("lock.in-memory"),
        store: Arc::new(InMemory::new(InMemoryOptions::default())),
        prefix: KeyPrefix::default(),
    };
    let blocks = Arc::new(Blocks {
        locks: BTreeMap::from([("lockstore".to_owned(), component)]),
        ..Blocks::default()
    });
    Front::start_with(&[], |options| options.blocks = blocks)
}

#[tokio::test]
async fn a_lock_is_taken_once_and_given_back() {
    let front = front();
    let lock = async |body: &'static str| front.ask(Method::POST, "/v1.0-alpha1/lock/lockstore", body).await;
    let unlock = async |body: &'static str| {
        front
            .ask(Method::POST, "/v1.0-alpha1/unlock/lockstore", body)
            .await
    };
    let first = lock(r#"{"resourceId":"r","lockOwner":"a","expiryInSeconds":60}"#).await;
    assert_eq!(first.told(), (200, r#"{"success":true}"#));
    let token: u64 = first.header("mainstay-fencing-token").unwrap().parse().unwrap();
    let second = lock(r#"{"resource_id":"r","lock_owner":"b","expiry_in_seconds":"60"}"#).await;
    assert_eq!(second.told(), (200, r#"{"success":false}"#));
    assert_eq!(second.header("mainstay-fencing-token"), None);
    for (body, status) in [
        (r#"{"resourceId":"none","lockOwner":"a"}"#, r#"{"status":1}"#),
        (r#"{"resourceId":"r","lockOwner":"b"}"#, r#"{"status":2}"#),
        (r#"{"resourceId":"r","lockOwner":"a"}"#, r#"{"status":0}"#),
    ] {
        assert_eq!(unlock(body).await.told(), (200, status), "{body}");
    }
    let again = lock(r#"{"resourceId":"r","lockOwner":"b","expiryInSeconds":60}"#).await;
    let later: u64 = again.header("mainstay-fencing-token").unwrap().parse().unwrap();
    assert!(later > token);
}

#[tokio::test]
async fn mistakes_have_dapr_s_codes() {
    let front = front();
    for (path, body, status, code) in [
        ("lock/lockstore", "", 400, "ERR_MALFORMED_REQUEST"),
        ("lock/lockstore", "{", 400, "ERR_MALFORMED_REQUEST"),
        (
            "lock/lockstore",
            r#"{"resourceId":"r","lockOwner":"a","expiryInSeconds":0}"#,
            400,
            "ERR_MALFORMED_REQUEST",
        ),
        (
            "lock/lockstore",
            r#"{"lockOwner":"a","expiryInSeconds":1}"#,
            400,
            "ERR_MALFORMED_REQUEST",
        ),
        (
            "lock/lockstore",
            r#"{"resourceId":"r","expiryInSeconds":1}"#,
            400,
            "ERR_MALFORMED_REQUEST",
        ),
        (
            "lock/lockstore",
            r#"{"resourceId":"a||b","lockOwner":"a","expiryInSeconds":1}"#,
            400,
            "ERR_TRY_LOCK",
        ),
        (
            "lock/none",
            r#"{"resourceId":"r","lockOwner":"a","expiryInSeconds":1}"#,
            400,
            "ERR_LOCK_STORE_NOT_FOUND",
        ),
        (
            "unlock/lockstore",
            r#"{"resourceId":"r"}"#,
            400,
            "ERR_MALFORMED_REQUEST",
        ),
        (
            "unlock/none",
            r#"{"resourceId":"r","lockOwner":"a"}"#,
            400,
            "ERR_LOCK_STORE_NOT_FOUND",
        ),
    ] {
        let answer = front
            .ask(Method::POST, &format!("/v1.0-alpha1/{path}"), body)
            .await;
        let told: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(
            (answer.status.as_u16(), told["errorCode"].as_str()),
            (status, Some(code)),
            "{path} {body}"
        );
    }
}

#[tokio::test]
async fn messages_do_what_requests_do() {
    let front = front();
    let mut client = front.client().await;
    let asked = |owner: &str| runtime::TryLockRequest {
        store_name: "lockstore".to_owned(),
        resource_id: "r".to_owned(),
        lock_owner: owner.to_owned(),
        expiry_in_seconds: 60,
    };
    let taken = in_time(client.try_lock_alpha1(asked("a"))).await.unwrap();
    assert!(taken.metadata().get("mainstay-fencing-token").is_some());
    assert!(taken.into_inner().success);
    assert!(
        !in_time(client.try_lock_alpha1(asked("b")))
            .await
            .unwrap()
            .into_inner()
            .success
    );
    let unlock = |owner: &str| runtime::UnlockRequest {
        store_name: "lockstore".to_owned(),
        resource_id: "r".to_owned(),
        lock_owner: owner.to_owned(),
    };
    for (owner, status) in [("b", 2), ("a", 0), ("a", 1)] {
        let told = in_time(client.unlock_alpha1(unlock(owner))).await.unwrap();
        assert_eq!(told.into_inner().status, status, "{owner}");
    }
    let mut nobody = asked("");
    nobody.expiry_in_seconds = 5;
    let refused = in_time(client.try_lock_alpha1(nobody)).await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.message()),
        (
            Code::InvalidArgument,
            "LockOwner is empty in lock store lockstore"
        )
    );
    let bare = Front::start(&[]);
    let refused = in_time(bare.client().await.try_lock_alpha1(asked("a")))
        .await
        .unwrap_err();
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::FailedPrecondition, "lock store is not configured")
    );
}
