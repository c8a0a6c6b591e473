//! Over gRPC.

use dapr::dapr::proto::common::v1::state_options::{StateConcurrency, StateConsistency};
use dapr::dapr::proto::common::v1::{Etag, StateItem, StateOptions};
use dapr::dapr::proto::runtime::v1 as runtime;
use dapr::google::rpc;
use prost::Message;
use tonic::Code;

use super::front;
use crate::support::{Front, in_time};

fn item(key: &str, value: &str) -> StateItem {
    StateItem {
        key: key.to_owned(),
        value: value.as_bytes().to_vec(),
        ..StateItem::default()
    }
}

fn save(states: Vec<StateItem>) -> runtime::SaveStateRequest {
    runtime::SaveStateRequest {
        store_name: "statestore".to_owned(),
        states,
    }
}

fn get(key: &str) -> runtime::GetStateRequest {
    runtime::GetStateRequest {
        store_name: "statestore".to_owned(),
        key: key.to_owned(),
        ..runtime::GetStateRequest::default()
    }
}

#[tokio::test]
async fn messages_do_what_requests_do() {
    let front = front();
    let mut client = front.client().await;
    let first_write = StateOptions {
        concurrency: StateConcurrency::ConcurrencyFirstWrite.into(),
        consistency: StateConsistency::ConsistencyStrong.into(),
    };
    let mut only_once = item("a", "1");
    only_once.options = Some(first_write);
    only_once
        .metadata
        .insert("ttlInSeconds".to_owned(), "60".to_owned());
    in_time(client.save_state(save(vec![only_once.clone(), item("b", "2")])))
        .await
        .unwrap();
    let mismatch = in_time(client.save_state(save(vec![only_once])))
        .await
        .unwrap_err();
    assert_eq!(mismatch.code(), Code::Aborted);
    let read = in_time(client.get_state(get("a"))).await.unwrap().into_inner();
    assert_eq!(read.data, b"1");
    assert!(read.metadata["ttlExpireTime"].ends_with('Z'));
    assert_eq!(
        in_time(client.get_state(get("none"))).await.unwrap().into_inner(),
        runtime::GetStateResponse::default()
    );

    let delete = |key: &str, etag: &str| runtime::DeleteStateRequest {
        store_name: "statestore".to_owned(),
        key: key.to_owned(),
        etag: Some(Etag {
            value: etag.to_owned(),
        }),
        ..runtime::DeleteStateRequest::default()
    };
    let stale = in_time(client.delete_state(delete("a", "99"))).await.unwrap_err();
    assert_eq!(stale.code(), Code::Aborted);
    assert!(
        stale
            .message()
            .starts_with("failed deleting state with key a: possible etag mismatch")
    );
    in_time(client.delete_state(delete("a", &read.etag)))
        .await
        .unwrap();
}

#[tokio::test]
async fn many_are_changed_at_once() {
    let front = front();
    let mut client = front.client().await;
    in_time(client.save_state(save(vec![item("b", "2")])))
        .await
        .unwrap();
    let step = |operation: &str, request| runtime::TransactionalStateOperation {
        operation_type: operation.to_owned(),
        request: Some(request),
    };
    let transaction = |operations| runtime::ExecuteStateTransactionRequest {
        store_name: "statestore".to_owned(),
        operations,
        ..runtime::ExecuteStateTransactionRequest::default()
    };
    let steps = vec![
        step("upsert", item("c", "{\"x\":3}")),
        step("delete", item("b", "")),
    ];
    in_time(client.execute_state_transaction(transaction(steps)))
        .await
        .unwrap();
    let gone = in_time(client.get_state(get("b"))).await.unwrap().into_inner();
    assert!(gone.data.is_empty());
    let unknown = in_time(client.execute_state_transaction(transaction(vec![step("merge", item("c", ""))])))
        .await
        .unwrap_err();
    assert_eq!(
        (unknown.code(), unknown.message()),
        (Code::Unimplemented, "operation type merge not supported")
    );

    let query = runtime::QueryStateRequest {
        store_name: "statestore".to_owned(),
        query: r#"{"filter":{"EQ":{"x":3}}}"#.to_owned(),
        ..runtime::QueryStateRequest::default()
    };
    let found = in_time(client.query_state_alpha1(query))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(found.results[0].key, "c");

    let states = vec![item("c", ""), item("none", "")];
    let store_name = "statestore".to_owned();
    in_time(client.delete_bulk_state(runtime::DeleteBulkStateRequest { store_name, states }))
        .await
        .unwrap();
    let gone = in_time(client.get_state(get("c"))).await.unwrap().into_inner();
    assert!(gone.data.is_empty());
}

#[tokio::test]
async fn mistakes_in_messages_have_dapr_s_statuses() {
    let front = front();
    let mut client = front.client().await;
    let mut unknown = save(vec![item("k", "1")]);
    unknown.store_name = "none".to_owned();
    let status = in_time(client.save_state(unknown)).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::InvalidArgument, "state store none is not found")
    );
    let details = rpc::Status::decode(status.details()).unwrap().details;
    assert_eq!(details.len(), 1);
    assert!(
        details[0]
            .value
            .windows(20)
            .any(|part| part == b"DAPR_STATE_NOT_FOUND")
    );

    let empty = in_time(client.save_state(save(vec![item("", "1")])))
        .await
        .unwrap_err();
    assert_eq!(
        (empty.code(), empty.message()),
        (Code::InvalidArgument, "state key cannot be empty")
    );
    let illegal = in_time(client.save_state(save(vec![item("a||b", "1")])))
        .await
        .unwrap_err();
    assert_eq!(illegal.code(), Code::InvalidArgument);
    assert_eq!(rpc::Status::decode(illegal.details()).unwrap().details.len(), 3);
    let query = runtime::QueryStateRequest {
        store_name: "sealed".to_owned(),
        query: "{}".to_owned(),
        ..runtime::QueryStateRequest::default()
    };
    let sealed = in_time(client.query_state_alpha1(query)).await.unwrap_err();
    assert_eq!(
        (sealed.code(), sealed.message()),
        (
            Code::Internal,
            "state store sealed query failed: cannot query encrypted store"
        )
    );

    let bare = Front::start(&[]);
    let status = in_time(bare.client().await.get_state(get("k")))
        .await
        .unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (
            Code::FailedPrecondition,
            "state store statestore is not configured"
        )
    );
}
