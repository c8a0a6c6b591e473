//! What components hold, through the control API.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;

use http::Method;
use http_body_util::BodyExt as _;
use mainstay_api::wire::{
    Component, Components, ConfigChange, ConfigChanged, ConfigItem, ConfigRecord, Problem, SecretChanged,
    SecretItem, SecretName, SecretsRewrapped, StateChange, StateItem, StateKey, StateValue,
};
use mainstay_api::{Blocks, ConfigurationComponent, SecretComponent, StateComponent};
use mainstay_mesh::{Body, client};
use mainstay_secrets::stored::KeyRing;
use mainstay_secrets::{Environment, SecretStore};
use mainstay_state::{InMemory, KeyPrefix, StateStore};
use mainstay_store::simulated::Simulated;
use serde::de::DeserializeOwned;

use crate::control::Control;
use crate::support::{Answer, about, in_time, request};

fn state(kind: &str, store: impl StateStore) -> StateComponent {
    StateComponent {
        about: about(kind),
        store: Arc::new(store),
        cache: None,
        prefix: KeyPrefix::App,
        namespace: String::new(),
    }
}

/// Every component of the stored kind, one in memory, and the environment.
async fn start() -> Control {
    let store = Arc::new(Simulated::new());
    let values = mainstay_state::Stored::new(store.clone(), "statestore").unwrap();
    let settings = mainstay_configuration::Stored::new(store.clone(), "configstore").unwrap();
    let keys = KeyRing::parse(&"1".repeat(64)).unwrap();
    let sealed = mainstay_secrets::Stored::new(store, "secretstore", keys).unwrap();
    let variables = [(OsString::from("APP_KEY"), OsString::from("v"))];
    let environment = SecretComponent {
        about: about("secretstores.local.env"),
        store: Arc::new(Environment::new("APP_", variables)) as Arc<dyn SecretStore>,
        stored: None,
    };
    let own = SecretComponent {
        about: about("secretstores.mainstay"),
        store: Arc::new(sealed.clone()),
        stored: Some(sealed),
    };
    let configuration = |stored: bool| ConfigurationComponent {
        about: about(if stored {
            "configuration.mainstay"
        } else {
            "configuration.redis"
        }),
        store: Arc::new(settings.clone()),
        stored: stored.then(|| settings.clone()),
    };
    let named = |name: &str| name.to_owned();
    let blocks = Blocks {
        state: BTreeMap::from([
            (named("statestore"), state("state.mainstay", values)),
            (named("memory"), state("state.in-memory", InMemory::default())),
        ]),
        configuration: BTreeMap::from([
            (named("configstore"), configuration(true)),
            (named("elsewhere"), configuration(false)),
        ]),
        secrets: BTreeMap::from([(named("secretstore"), own), (named("env"), environment)]),
        ..Blocks::default()
    };
    Control::with(Arc::new(blocks)).await
}

fn decoded<T: DeserializeOwned>(answer: &Answer) -> T {
    assert!(answer.status.is_success(), "{answer:?}");
    serde_json::from_str(&answer.body).unwrap()
}

fn lines<T: DeserializeOwned>(answer: &Answer) -> Vec<T> {
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let lines = answer.body.lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str) -> String {
    let problem: Problem = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(
        (answer.status.as_u16(), problem.error_code.as_str()),
        (status, code),
        "{}",
        problem.message
    );
    problem.message
}

/// An answer that goes on, line by line.
struct Following {
    body: Body,
    buffer: String,
}

impl Following {
    async fn of(control: &Control, path: &str) -> Self {
        let mut request = request(Method::GET, path, &[("authorization", "Bearer secret")]);
        let host = control.address().to_string().parse().unwrap();
        request.headers_mut().insert("host", host);
        let response = in_time(client::send(control.address(), request)).await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        Self {
            body: response.into_body(),
            buffer: String::new(),
        }
    }

    /// The next line; `None` at the end.
    async fn next<T: DeserializeOwned>(&mut self) -> Option<T> {
        loop {
            if let Some(end) = self.buffer.find('\n') {
                let line: String = self.buffer.drain(..=end).collect();
                return Some(serde_json::from_str(&line).unwrap());
            }
            let frame = in_time(self.body.frame()).await?.unwrap();
            self.buffer
                .push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        }
    }
}

#[tokio::test]
async fn components_are_listed() {
    let control = start().await;
    let Components { components } = decoded(&control.get("/api/components").await);
    let known = Component {
        name: "statestore".to_owned(),
        kind: "state.mainstay".to_owned(),
        version: "v1".to_owned(),
    };
    assert!(
        components.contains(&known) && components.len() == 6,
        "{components:?}"
    );
}

#[tokio::test]
async fn state_is_set_read_listed_and_deleted() {
    let control = start().await;
    let key = "/api/state/statestore/keys/a%2F1%20%C3%BC";
    let put = control
        .send(Method::PUT, &format!("{key}?app=back"), "\"v\"")
        .await;
    assert_eq!(put.told(), (204, ""));
    let item: StateItem = decoded(&control.get(&format!("{key}?app=back")).await);
    assert_eq!(
        (item.key.as_str(), &item.value),
        ("a/1 ü", &StateValue::Value("\"v\"".to_owned()))
    );

    // As it is kept, the key has the prefix of the app.
    let full = "/api/state/statestore/keys/back%7C%7Ca%2F1%20%C3%BC";
    let kept: StateItem = decoded(&control.get(full).await);
    assert_eq!((kept.key.as_str(), &kept.etag), ("back||a/1 ü", &item.etag));
    refused(&control.get(key).await, 404, "ERR_NOT_FOUND");

    let other = control.send(
        Method::PUT,
        "/api/state/statestore/keys/other%7C%7Cb",
        &b"\xff"[..],
    );
    assert_eq!(other.await.told(), (204, ""));
    let bytes: StateItem = decoded(&control.get("/api/state/statestore/keys/other%7C%7Cb").await);
    assert_eq!(bytes.value, StateValue::ValueBase64("/w==".to_owned()));

    let listed: Vec<StateKey> = lines(&control.get("/api/state/statestore/keys").await);
    let names: Vec<_> = listed.iter().map(|listed| listed.key.as_str()).collect();
    assert_eq!(names, ["back||a/1 ü", "other||b"]);
    assert_eq!((listed[0].value_bytes, &listed[0].etag), (3, &item.etag));
    let own: Vec<StateKey> = lines(&control.get("/api/state/statestore/keys?app=back").await);
    assert_eq!(own.len(), 1);
    assert_eq!(own[0].key, "a/1 ü");

    let deleted = control.ask(Method::DELETE, full).await;
    assert_eq!(deleted.told(), (204, ""));
    let gone = control.ask(Method::DELETE, full).await;
    assert!(refused(&gone, 404, "ERR_NOT_FOUND").contains("back||a/1 ü"));
}

#[tokio::test]
async fn conditions_and_times_to_live_are_kept() {
    let control = start().await;
    let key = "/api/state/memory/keys/k";
    let put = async |query: &str| control.send(Method::PUT, &format!("{key}?{query}"), "v").await;
    assert_eq!(put("first_write=true&ttl_seconds=60").await.told(), (204, ""));
    refused(&put("first_write=true").await, 409, "ERR_CONFLICT");
    let item: StateItem = decoded(&control.get(key).await);
    assert!(item.expires_unix_ms.is_some());
    let etag = item.etag;
    assert_eq!(put(&format!("etag={etag}")).await.told(), (204, ""));
    refused(&put(&format!("etag={etag}")).await, 409, "ERR_CONFLICT");
    let late = control.ask(Method::DELETE, &format!("{key}?etag={etag}")).await;
    refused(&late, 409, "ERR_CONFLICT");
    for wrong in ["ttl_seconds=soon", "first_write=yes", "if_match=1"] {
        refused(&put(wrong).await, 400, "ERR_BAD_REQUEST");
    }
}

#[tokio::test]
async fn lists_of_many_keys_are_complete_and_cut_where_it_was_asked() {
    let control = start().await;
    // More than one page.
    for number in 0..1_100 {
        let path = format!("/api/state/memory/keys/back%7C%7C{number:04}");
        assert_eq!(control.send(Method::PUT, &path, "v").await.told(), (204, ""));
    }
    let all: Vec<StateKey> = lines(&control.get("/api/state/memory/keys?app=back").await);
    let names: Vec<_> = all.into_iter().map(|listed| listed.key).collect();
    let expected: Vec<_> = (0..1_100).map(|number| format!("{number:04}")).collect();
    assert_eq!(names, expected);
    let path = "/api/state/memory/keys?app=back&prefix=10&after=1049&limit=7";
    let some: Vec<StateKey> = lines(&control.get(path).await);
    assert_eq!((some.len(), some[0].key.as_str()), (7, "1050"));
}

#[tokio::test]
async fn changes_of_state_are_told_until_the_system_stops() {
    let control = start().await;
    let mut following = Following::of(&control, "/api/state/statestore/changes?app=back&prefix=k").await;
    for key in ["other%7C%7Ck", "back%7C%7Cx", "back%7C%7Ck1"] {
        let path = format!("/api/state/statestore/keys/{key}");
        assert_eq!(control.send(Method::PUT, &path, "1").await.told(), (204, ""));
    }
    let change: StateChange = following.next().await.unwrap();
    let value = change.after.unwrap().value;
    assert_eq!(
        (change.key.as_str(), value),
        ("k1", StateValue::Value("1".to_owned()))
    );
    let path = "/api/state/statestore/keys/k1?app=back";
    assert_eq!(control.ask(Method::DELETE, path).await.told(), (204, ""));
    let change: StateChange = following.next().await.unwrap();
    assert_eq!((change.key.as_str(), change.after), ("k1", None));
    control.stop_host();
    assert!(following.next::<StateChange>().await.is_none());

    let unsupported = control.get("/api/state/memory/changes").await;
    refused(&unsupported, 501, "ERR_NOT_SUPPORTED");
}

#[tokio::test]
async fn settings_are_changed_told_remembered_and_undone() {
    let control = start().await;
    let mut following = Following::of(&control, "/api/config/configstore/changes?key=color").await;
    let set = async |value: &'static str| {
        let path = "/api/config/configstore/keys/color?by=ada&metadata.unit=name";
        decoded::<ConfigChanged>(&control.send(Method::PUT, path, value).await).version
    };
    let first = set("blue").await.unwrap();
    assert_eq!(set("blue").await, None, "it is so already");
    let item: ConfigItem = decoded(&control.get("/api/config/configstore/keys/color").await);
    assert_eq!((item.value.as_str(), &item.version), ("blue", &first));
    assert_eq!(item.metadata["unit"], "name");
    let change: ConfigChange = following.next().await.unwrap();
    assert_eq!(change.after.as_ref(), Some(&item));

    let second = set("red").await.unwrap();
    let history = control.get("/api/config/configstore/keys/color/history").await;
    let records: Vec<ConfigRecord> = lines(&history);
    assert_eq!((records.len(), records[0].version.as_str()), (2, second.as_str()));
    assert_eq!(
        (records[0].by.as_str(), records[1].before.as_ref()),
        ("ada", None)
    );

    let undo = "/api/config/configstore/keys/color/undo?by=bob";
    let late = control
        .ask(Method::POST, &format!("{undo}&version={first}"))
        .await;
    refused(&late, 409, "ERR_CONFLICT");
    let undone: ConfigChanged = decoded(
        &control
            .ask(Method::POST, &format!("{undo}&version={second}"))
            .await,
    );
    assert!(undone.version.is_some());
    let items: Vec<ConfigItem> = lines(&control.get("/api/config/configstore/keys").await);
    assert_eq!((items.len(), items[0].value.as_str()), (1, "blue"));

    let delete = "/api/config/configstore/keys/color?by=bob";
    let deleted: ConfigChanged = decoded(&control.ask(Method::DELETE, delete).await);
    assert!(deleted.version.is_some());
    refused(&control.ask(Method::DELETE, delete).await, 404, "ERR_NOT_FOUND");
    let nobody = control
        .ask(Method::DELETE, "/api/config/configstore/keys/color")
        .await;
    assert!(refused(&nobody, 400, "ERR_BAD_REQUEST").contains("`by`"));
}

#[tokio::test]
async fn settings_that_are_kept_elsewhere_are_only_read() {
    let control = start().await;
    let own = "/api/config/configstore/keys/color?by=ada";
    assert_eq!(control.send(Method::PUT, own, "blue").await.status.as_u16(), 200);
    let item: ConfigItem = decoded(&control.get("/api/config/elsewhere/keys/color").await);
    assert_eq!(item.value, "blue");
    let path = "/api/config/elsewhere/keys/color?by=ada";
    let message = refused(
        &control.send(Method::PUT, path, "red").await,
        501,
        "ERR_NOT_SUPPORTED",
    );
    assert!(message.contains("configuration.redis"), "{message}");
    refused(
        &control.get("/api/config/elsewhere/keys/color/history").await,
        501,
        "ERR_NOT_SUPPORTED",
    );
}

#[tokio::test]
async fn secrets_are_shown_only_when_that_is_asked_for() {
    let control = start().await;
    let name = "/api/secrets/secretstore/names/db";
    let set: SecretChanged = decoded(
        &control
            .send(Method::PUT, &format!("{name}?part=user"), "ada")
            .await,
    );
    let set_again = control
        .send(Method::PUT, &format!("{name}?part=password"), "hunter2")
        .await;
    assert!(decoded::<SecretChanged>(&set_again).version > set.version);

    let answer = control.get(name).await;
    assert!(!answer.body.contains("hunter2"), "{answer:?}");
    let hidden: SecretItem = decoded(&answer);
    assert_eq!(
        (hidden.parts.as_slice(), hidden.values),
        (&["password".to_owned(), "user".to_owned()][..], None)
    );
    let shown: SecretItem = decoded(&control.get(&format!("{name}?reveal=true")).await);
    assert_eq!(shown.values.as_ref().unwrap()["password"], "hunter2");
    assert!(!format!("{shown:?}").contains("hunter2"));

    let names: Vec<SecretName> = lines(&control.get("/api/secrets/secretstore/names").await);
    assert_eq!((names.len(), names[0].name.as_str()), (1, "db"));
    assert!(names[0].version.is_some() && names[0].key.is_some());
    let rewrapped = control.ask(Method::POST, "/api/secrets/secretstore/rewrap").await;
    assert_eq!(
        decoded::<SecretsRewrapped>(&rewrapped).done,
        0,
        "there is one key only"
    );

    assert_eq!(control.ask(Method::DELETE, name).await.told(), (204, ""));
    refused(&control.ask(Method::DELETE, name).await, 404, "ERR_NOT_FOUND");
    refused(&control.get(name).await, 404, "ERR_NOT_FOUND");
}

#[tokio::test]
async fn secrets_of_the_environment_are_only_read() {
    let control = start().await;
    let names: Vec<SecretName> = lines(&control.get("/api/secrets/env/names").await);
    assert_eq!((names.len(), names[0].key.as_ref()), (1, None));
    let set = control
        .send(Method::PUT, "/api/secrets/env/names/KEY", "hunter2")
        .await;
    let message = refused(&set, 501, "ERR_NOT_SUPPORTED");
    assert!(!message.contains("hunter2"), "{message}");
    refused(
        &control.ask(Method::POST, "/api/secrets/env/rewrap").await,
        501,
        "ERR_NOT_SUPPORTED",
    );
}

#[tokio::test]
async fn what_does_not_exist_is_told() {
    let control = start().await;
    for (path, code) in [
        ("/api/state/nowhere/keys", "ERR_UNKNOWN_COMPONENT"),
        ("/api/config/statestore/keys", "ERR_UNKNOWN_COMPONENT"),
        ("/api/secrets/nowhere/names", "ERR_UNKNOWN_COMPONENT"),
        ("/api/state/statestore/keys?app=nobody", "ERR_UNKNOWN_APP"),
        ("/api/state/statestore", "ERR_NOT_FOUND"),
        ("/api/state/statestore/values", "ERR_NOT_FOUND"),
        ("/api/config/configstore/keys/none", "ERR_NOT_FOUND"),
        ("/api/config/configstore/keys/none/history", "ERR_NOT_FOUND"),
    ] {
        refused(&control.get(path).await, 404, code);
    }
    let undo = "/api/config/configstore/keys/none/undo?by=ada";
    refused(&control.ask(Method::POST, undo).await, 404, "ERR_NOT_FOUND");
    for (method, path) in [
        (Method::POST, "/api/components"),
        (Method::POST, "/api/state/statestore/keys/k"),
        (Method::GET, "/api/secrets/secretstore/rewrap"),
    ] {
        refused(&control.ask(method, path).await, 405, "ERR_METHOD_NOT_ALLOWED");
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_told() {
    let control = start().await;
    for path in [
        "/api/state/statestore/keys/%zz",
        "/api/state/statestore/keys/%ff",
        "/api/state/statestore/keys?limit=many",
        "/api/state/statestore/keys/a%7C%7Cb?app=back",
    ] {
        refused(&control.get(path).await, 400, "ERR_BAD_REQUEST");
    }
    let large = vec![b'x'; 1024 * 1024];
    let large = control.send(Method::PUT, "/api/state/statestore/keys/k", large);
    refused(&large.await, 413, "ERR_TOO_LARGE");
    for path in [
        "/api/config/configstore/keys/k?by=ada",
        "/api/secrets/secretstore/names/k",
    ] {
        let bytes = control.send(Method::PUT, path, &b"\xff"[..]);
        refused(&bytes.await, 400, "ERR_BAD_REQUEST");
    }
}
