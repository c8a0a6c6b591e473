//! The configuration API over HTTP and gRPC, and the requests that tell an app of changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use dapr::dapr::proto::runtime::v1 as runtime;
use http::{Method, Response, StatusCode};
use http_body_util::BodyExt;
use mainstay_api::{Blocks, ConfigurationComponent};
use mainstay_configuration::Stored;
use mainstay_configuration::stored::Change;
use mainstay_mesh::Body;
use mainstay_store::simulated::Simulated;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tonic::Code;

use crate::support::{Callee, Front, about, app, in_time};

struct Setup {
    settings: Stored,
    blocks: Arc<Blocks>,
}

impl Setup {
    fn new() -> Self {
        let settings = Stored::new(Arc::new(Simulated::new()), "configstore").unwrap();
        let component = ConfigurationComponent {
            about: about("configuration.mainstay"),
            store: Arc::new(settings.clone()),
            stored: Some(settings.clone()),
        };
        let blocks = Arc::new(Blocks {
            configuration: BTreeMap::from([("configstore".to_owned(), component)]),
            ..Blocks::default()
        });
        Self { settings, blocks }
    }

    fn front(&self, callees: &[Callee]) -> Front {
        Front::start_with(callees, |options| {
            options.blocks = Arc::clone(&self.blocks);
            options.metadata.is_callable = true;
        })
    }

    async fn set(&self, key: &str, value: &str) {
        let changes = [Change::set(key, value)];
        self.settings.change(&changes, "test").await.unwrap();
    }

    async fn delete(&self, key: &str) {
        let changes = [Change::delete(key)];
        self.settings.change(&changes, "test").await.unwrap();
    }
}

fn told(answer: &str) -> Value {
    serde_json::from_str(answer).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

#[tokio::test]
async fn settings_are_read() {
    let setup = Setup::new();
    let front = setup.front(&[]);
    assert_eq!(
        front.get("/v1.0/configuration/configstore").await.told(),
        (204, "")
    );
    setup.set("color", "blue").await;
    setup.set("size", "10").await;
    let one = told(
        &front
            .get("/v1.0/configuration/configstore?key=color&key=none")
            .await
            .body,
    );
    assert_eq!(one["color"]["value"], "blue");
    assert!(one["color"]["version"].is_string());
    assert_eq!(one["color"]["metadata"], json!({}));
    assert_eq!(one.as_object().unwrap().len(), 1);
    let all = told(&front.get("/v1.0-alpha1/configuration/configstore").await.body);
    assert_eq!(all.as_object().unwrap().len(), 2);

    let mut client = front.client().await;
    let asked = runtime::GetConfigurationRequest {
        store_name: "configstore".to_owned(),
        keys: vec!["size".to_owned()],
        ..Default::default()
    };
    let items = in_time(client.get_configuration(asked))
        .await
        .unwrap()
        .into_inner()
        .items;
    assert_eq!(items["size"].value, "10");
}

#[tokio::test]
async fn a_stream_tells_of_changes_until_it_is_ended() {
    let setup = Setup::new();
    let front = setup.front(&[]);
    let mut client = front.client().await;
    let asked = runtime::SubscribeConfigurationRequest {
        store_name: "configstore".to_owned(),
        keys: vec!["color".to_owned()],
        ..Default::default()
    };
    let mut updates = in_time(client.subscribe_configuration(asked))
        .await
        .unwrap()
        .into_inner();
    let first = in_time(updates.message()).await.unwrap().unwrap();
    assert!(!first.id.is_empty() && first.items.is_empty(), "{first:?}");
    setup.set("size", "10").await;
    setup.set("color", "red").await;
    let update = in_time(updates.message()).await.unwrap().unwrap();
    assert_eq!(
        (update.items["color"].value.as_str(), update.items.len()),
        ("red", 1)
    );
    setup.delete("color").await;
    let update = in_time(updates.message()).await.unwrap().unwrap();
    assert_eq!(update.items["color"].value, "");
    assert_eq!(update.items["color"].metadata["deleted"], "true");

    let end = |id: &str| runtime::UnsubscribeConfigurationRequest {
        store_name: "configstore".to_owned(),
        id: id.to_owned(),
    };
    assert!(
        in_time(client.unsubscribe_configuration(end(&first.id)))
            .await
            .unwrap()
            .into_inner()
            .ok
    );
    assert!(
        in_time(updates.message()).await.unwrap().is_none(),
        "the stream ends"
    );
    let again = in_time(client.unsubscribe_configuration(end(&first.id)))
        .await
        .unwrap()
        .into_inner();
    assert!(!again.ok);
    assert!(
        again.message.ends_with("subscription does not exist"),
        "{}",
        again.message
    );
}

/// An app that refuses the first request and says what it is told.
async fn listening() -> (std::net::SocketAddr, mpsc::UnboundedReceiver<(String, Value)>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let refused = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let address = app(move |request| {
        let (sender, refused) = (sender.clone(), Arc::clone(&refused));
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            if head.method != Method::POST || !refused.swap(true, std::sync::atomic::Ordering::SeqCst) {
                let mut answer = Response::new(Body::empty());
                *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                return answer;
            }
            let path = head.uri.path().to_owned();
            sender
                .send((path, serde_json::from_slice(&body).unwrap()))
                .unwrap();
            Response::new(Body::empty())
        }
    })
    .await;
    (address, receiver)
}

#[tokio::test]
async fn an_app_is_told_by_requests_until_it_has_heard() {
    let setup = Setup::new();
    let (address, mut heard) = listening().await;
    let front = setup.front(&[Callee::http("front", address)]);
    let path = "/v1.0/configuration/configstore/subscribe?key=a%20key&key=other";
    let id = told(&front.get(path).await.body)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let same = "/v1.0/configuration/configstore/subscribe?key=other&key=a%20key";
    assert_eq!(
        told(&front.get(same).await.body)["id"],
        id.as_str(),
        "one for all replicas"
    );
    setup.set("unwatched", "1").await;
    setup.set("a key", "1").await;
    let (path, event) = in_time(heard.recv()).await.unwrap();
    assert_eq!(path, "/configuration/configstore/a%20key");
    assert_eq!(event["id"], id.as_str());
    assert_eq!(event["items"]["a key"]["value"], "1");

    let end = format!("/v1.0/configuration/configstore/{id}/unsubscribe");
    assert_eq!(front.get(&end).await.told(), (200, r#"{"ok":true}"#));
    let twice = front.get(&end).await;
    assert_eq!(twice.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(told(&twice.body)["ok"], false);
}

#[tokio::test]
async fn mistakes_have_dapr_s_codes() {
    let setup = Setup::new();
    let front = setup.front(&[]);
    for path in ["none", "none/subscribe", "none/1/unsubscribe"] {
        let answer = front.get(&format!("/v1.0/configuration/{path}")).await;
        assert_eq!(
            answer.told(),
            (
                400,
                r#"{"errorCode":"ERR_CONFIGURATION_STORE_NOT_FOUND","message":"configuration store none not found"}"#
            ),
            "{path}"
        );
    }
    let mute = Front::start_with(&[], |options| options.blocks = Arc::clone(&setup.blocks));
    let answer = mute.get("/v1.0/configuration/configstore/subscribe").await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(told(&answer.body)["errorCode"], "ERR_APP_CHANNEL_NIL");
    let asked = runtime::GetConfigurationRequest {
        store_name: "none".to_owned(),
        ..Default::default()
    };
    let status = in_time(front.client().await.get_configuration(asked.clone()))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let bare = Front::start(&[]);
    let status = in_time(bare.client().await.get_configuration(asked))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
}
