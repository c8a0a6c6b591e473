//! Telling every replica of an app what has changed: `POST /configuration/{store}/{key}`.

use std::collections::BTreeMap;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use mainstay_base::{AppId, Retryability};
use mainstay_configuration::{Changes, Item, Subscription};
use mainstay_mesh::{Body, Protocol, Target};
use serde_json::{Value, json};

use crate::http::path;
use crate::operations::invoke::Invoker;
use crate::reply;

/// First wait before something is told again to who did not take it; it doubles.
const MIN_WAIT: Duration = Duration::from_millis(500);
/// Longest wait.
const MAX_WAIT: Duration = Duration::from_secs(30);
/// How often the same is told before it is given up: a replica that never takes it has no place for it.
const MAX_ROUNDS: u32 = 8;

/// Makes a request one that may be sent twice; being told the same again changes nothing.
static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Who is told.
pub(super) struct Audience {
    pub(super) invoker: Invoker,
    pub(super) id: AppId,
    pub(super) store: String,
}

/// Tells the app of all changes of a subscription, until it is dropped.
pub(super) async fn run(app: Audience, id: String, mut subscription: Subscription) {
    let mut pending = Changes::new();
    let (mut round, mut wait) = (0, MIN_WAIT);
    loop {
        tokio::select! {
            changed = subscription.changed() => match changed {
                Ok(changes) => {
                    pending.extend(changes);
                    (round, wait) = (0, MIN_WAIT);
                }
                Err(error) if error.retryability() == Retryability::Never => {
                    tracing::error!(app = %app.id, store = app.store, %error, "changes of settings are not followed any more");
                    return;
                }
                Err(error) => {
                    tracing::warn!(app = %app.id, store = app.store, %error, "changes of settings cannot be read");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(MAX_WAIT);
                    continue;
                }
            },
            () = tokio::time::sleep(wait), if !pending.is_empty() => wait = (wait * 2).min(MAX_WAIT),
        }
        if app.tell(&id, &pending).await {
            pending.clear();
            continue;
        }
        round += 1;
        if round == MAX_ROUNDS {
            let keys: Vec<&String> = pending.keys().collect();
            tracing::warn!(app = %app.id, store = app.store, ?keys, "the app does not take changes of its settings");
            pending.clear();
        }
    }
}

impl Audience {
    /// Tells every replica of every change; whether all have taken it.
    async fn tell(&self, id: &str, changes: &Changes) -> bool {
        let body = reply::json_bytes(&event(id, changes));
        let replicas = self.invoker.mesh.replicas(self.id.as_str());
        let mut taken = !replicas.is_empty();
        for key in changes.keys() {
            for replica in &replicas {
                let request = self.request(id, key, changes, body.clone());
                let target = Target::Replica(replica.clone());
                taken &= self.send(target, request).await;
            }
        }
        taken
    }

    async fn send(&self, target: Target, request: Request<Body>) -> bool {
        if self.invoker.is_grpc_app(&target) {
            let answer = self.invoker.http_to_callback(target, request).await;
            return answer.is_ok_and(|answer| answer.status().is_success());
        }
        let call = self.invoker.to_call(target, request, Protocol::Http);
        let answer = self.invoker.mesh.call(call).await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    fn request(&self, id: &str, key: &str, changes: &Changes, body: Vec<u8>) -> Request<Body> {
        let version = changes
            .get(key)
            .and_then(Option::as_ref)
            .map_or("", |item| &item.version);
        let mut request = Request::new(Body::full(body));
        *request.method_mut() = Method::POST;
        let to = path::rooted(format!("configuration/{}/{key}", self.store).as_bytes());
        *request.uri_mut() = Uri::try_from(to).unwrap_or_default();
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, reply::JSON);
        if let Ok(value) = HeaderValue::try_from(format!("{id}-{version}")) {
            headers.insert(&IDEMPOTENCY_KEY, value);
        }
        request
    }
}

/// What has changed, as Dapr writes it.
fn event(id: &str, changes: &Changes) -> Value {
    let items: BTreeMap<&String, Value> = changes
        .iter()
        .map(|(key, item)| (key, item_json(&told(item.as_ref()))))
        .collect();
    json!({ "id": id, "items": items })
}

/// A setting as it is told. Dapr has no word for one that was deleted: it is told as empty, and its metadata says so.
pub(crate) fn told(item: Option<&Item>) -> Item {
    item.cloned().unwrap_or_else(|| Item {
        metadata: [("deleted".to_owned(), "true".to_owned())].into(),
        ..Item::default()
    })
}

/// A setting as Dapr writes it in JSON.
pub(crate) fn item_json(item: &Item) -> Value {
    let mut written = json!({});
    if let Some(fields) = written.as_object_mut() {
        for (name, text) in [("value", &item.value), ("version", &item.version)] {
            if !text.is_empty() {
                fields.insert(name.to_owned(), text.as_str().into());
            }
        }
        fields.insert("metadata".to_owned(), json!(item.metadata));
    }
    written
}
