//! Unmodified official SDKs.

use dapr::Client;
use dapr::client::{ClientOptions, TonicClientWithAuth};
use dapr::dapr::proto::common::v1::{Etag, StateItem};

use super::engines::{Engines, without_query};
use crate::harness::{Store, System, on_each_store};
use crate::sdk::{all_is_well, program};
use crate::tools;

on_each_store!(
    the_python_sdk_keeps_state,
    the_javascript_sdk_keeps_state,
    the_rust_sdk_keeps_state,
);

/// A system whose only app runs a program to its end.
async fn runs(store: Store, language: &str, name: &str, node_path: &str) {
    let engines = Engines::start().await;
    let manifest = format!(
        r#"
resources: resources
apps:
  # The system lives until it is told how the caller ended.
  keeper: {{ command: [testapp] }}
  caller:
    command: ["{language}", "{program}"]
    env: {{ STORES: "{stores}", WITHOUT_QUERY: "{without_query}", DAPR_HEALTH_TIMEOUT: 30, NODE_PATH: "{node_path}" }}
    restart: never
"#,
        program = program(name).display(),
        stores = engines.stores(),
        without_query = without_query(),
    );
    let system = engines.add_to(System::on(store, &manifest)).launch();
    all_is_well(&system, &["caller"]).await;
}

async fn the_python_sdk_keeps_state(store: Store) {
    let Some(sdks) = tools::sdks() else { return };
    runs(store, sdks.python.to_str().expect("text"), "state.py", "").await;
}

async fn the_javascript_sdk_keeps_state(store: Store) {
    let Some(sdks) = tools::sdks() else { return };
    runs(store, "node", "state.cjs", sdks.node_path.to_str().expect("text")).await;
}

async fn connect(system: &System) -> Client<TonicClientWithAuth> {
    let address = format!("http://{}", system.api_address("app").await);
    let token = system.api_token("app").await;
    let options = ClientOptions::new().with_address(address).with_api_token(&token);
    Client::from_options(options).await.expect("it connects")
}

fn item(key: &str, value: &str) -> StateItem {
    StateItem {
        key: key.to_owned(),
        value: value.as_bytes().to_vec(),
        ..StateItem::default()
    }
}

async fn the_rust_sdk_keeps_state(store: Store) {
    let engines = Engines::start().await;
    let manifest = "resources: resources\napps: { app: { command: [testapp], ingress: {} } }";
    let system = System::on(store, manifest);
    let system = engines.add_to(system).start().await;
    let mut client = connect(&system).await;
    let (stores, without_query) = (engines.stores(), without_query());
    for store in stores.split(',') {
        let saved = client
            .save_state(store, "a", b"1".to_vec(), None, None, None)
            .await;
        saved.expect("it is saved");
        let read = client.get_state(store, "a", None).await.expect("it is read");
        assert_eq!(read.data, b"1");
        let etag = |value: &str| {
            Some(Etag {
                value: value.to_owned(),
            })
        };
        let replaced = client
            .save_state(store, "a", b"2".to_vec(), etag(&read.etag), None, None)
            .await;
        replaced.expect("the right ETag");
        let late = client
            .save_state(store, "a", b"3".to_vec(), etag(&read.etag), None, None)
            .await;
        assert!(format!("{late:?}").contains("Aborted"), "{late:?}");
        let many = vec![item("b", "{\"n\":1}"), item("c", "3")];
        client.save_bulk_states(store, many).await.expect("all are saved");
        if !without_query.split(',').any(|without| without == store) {
            let query = serde_json::json!({ "filter": { "EQ": { "n": 1 } } });
            let found = client
                .query_state_alpha1(store, query, None)
                .await
                .expect("an answer");
            assert_eq!(found.results[0].key, "b");
        }
        let gone = vec![("a".to_owned(), Vec::new()), ("b".to_owned(), Vec::new())];
        client
            .delete_bulk_state(store.to_owned(), gone)
            .await
            .expect("they are deleted");
        client
            .delete_state(store, "c", None)
            .await
            .expect("it is deleted");
        for key in ["a", "b", "c"] {
            assert!(
                client
                    .get_state(store, key, None)
                    .await
                    .expect("an answer")
                    .data
                    .is_empty()
            );
        }
    }
    let others = client.get_state("private", "a", None).await;
    assert!(
        format!("{others:?}").contains("state store private is not found"),
        "{others:?}"
    );
}
