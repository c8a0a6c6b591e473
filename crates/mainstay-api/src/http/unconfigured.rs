//! Building blocks that do not exist yet. Their routes are Dapr's, so they are not passed to an app; they answer what
//! daprd answers without a component for them, and 501 where it has no such answer.

use http::{Method, Response, StatusCode};
use mainstay_mesh::Body;
use serde_json::json;

use super::path::InvalidEscape;
use super::route::parameter;
use crate::reply;

/// A building block that does not exist here, with the name under which it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unconfigured {
    /// State store.
    State(String),
    /// Query of a state store.
    StateQuery(String),
    /// Publish and subscribe.
    PubSub(String),
    /// Output binding.
    Binding(String),
    /// Secret store.
    Secrets,
    /// Configuration store.
    Configuration,
    /// Lock store.
    Lock,
    /// Cryptography.
    Crypto,
    /// Actors, workflows, jobs, conversation.
    Unimplemented,
}

/// The building block that a route belongs to, by the segments of its path.
///
/// # Errors
/// When a name cannot be decoded.
pub(super) fn find(method: &Method, segments: &[&[u8]]) -> Result<Option<Unconfigured>, InvalidEscape> {
    let (post, put) = (method == Method::POST, method == Method::PUT);
    let (get, delete) = (method == Method::GET, method == Method::DELETE);
    let write = post || put;
    let found = match segments {
        [b"v1.0", b"state", store, _key] if get || delete => Unconfigured::State(parameter(store)?),
        [b"v1.0", b"state", store] if write => Unconfigured::State(parameter(store)?),
        [b"v1.0", b"state", store, b"bulk" | b"transaction"] if write => {
            Unconfigured::State(parameter(store)?)
        }
        [b"v1.0-alpha1", b"state", store, b"query"] if write => Unconfigured::StateQuery(parameter(store)?),
        [b"v1.0" | b"v1.0-alpha1", b"publish", b"bulk", pubsub, _, ..] if write => {
            Unconfigured::PubSub(parameter(pubsub)?)
        }
        [b"v1.0", b"publish", pubsub, _, ..] if write => Unconfigured::PubSub(parameter(pubsub)?),
        [b"v1.0", b"bindings", name] if write => Unconfigured::Binding(parameter(name)?),
        [b"v1.0", b"secrets", _store, _key] if get => Unconfigured::Secrets,
        [b"v1.0" | b"v1.0-alpha1", b"configuration", _store]
        | [b"v1.0" | b"v1.0-alpha1", b"configuration", _store, b"subscribe"]
        | [
            b"v1.0" | b"v1.0-alpha1",
            b"configuration",
            _store,
            _,
            b"unsubscribe",
        ] if get => Unconfigured::Configuration,
        [b"v1.0-alpha1", b"lock" | b"unlock", _store] if post => Unconfigured::Lock,
        [b"v1.0-alpha1", b"crypto", _name, b"encrypt" | b"decrypt"] if put => Unconfigured::Crypto,
        [b"v1.0-alpha1", b"subtlecrypto", _name, _operation] if post => Unconfigured::Crypto,
        [
            b"v1.0" | b"v1.0-alpha1" | b"v1.0-alpha2" | b"v1.0-beta1",
            b"actors" | b"workflows" | b"jobs" | b"conversation",
            _,
            ..,
        ] => Unconfigured::Unimplemented,
        _ => return Ok(None),
    };
    Ok(Some(found))
}

impl Unconfigured {
    /// The answer to `app`, which asked with this query.
    pub(super) fn answer(&self, app: &str, query: Option<&str>) -> Response<Body> {
        let internal = StatusCode::INTERNAL_SERVER_ERROR;
        match self {
            Self::State(store) => state(store, json!({ "appID": app })),
            Self::StateQuery(store) => state(store, serde_json::Value::Null),
            Self::PubSub(pubsub) => detailed(
                StatusCode::NOT_FOUND,
                "ERR_PUBSUB_NOT_FOUND",
                &format!("pubsub {pubsub} is not found"),
                ("DAPR_PUBSUB_NOT_FOUND", metadata_of(query)),
            ),
            Self::Binding(name) => {
                let message =
                    format!("error invoking output binding {name}: couldn't find output binding {name}");
                reply::problem(internal, "ERR_INVOKE_OUTPUT_BINDING", message)
            }
            Self::Secrets => {
                let message = "secret store is not configured";
                reply::problem(internal, "ERR_SECRET_STORES_NOT_CONFIGURED", message)
            }
            Self::Configuration => {
                let message = "configuration stores not configured";
                reply::problem(internal, "ERR_CONFIGURATION_STORE_NOT_CONFIGURED", message)
            }
            Self::Lock => {
                let message = "lock store is not configured";
                reply::problem(internal, "ERR_LOCK_STORE_NOT_CONFIGURED", message)
            }
            Self::Crypto => {
                let message = "crypto providers not configured";
                reply::problem(internal, "ERR_CRYPTO_PROVIDERS_NOT_CONFIGURED", message)
            }
            Self::Unimplemented => {
                let message = "this API is currently not implemented";
                reply::problem(StatusCode::NOT_IMPLEMENTED, "ERR_API_UNIMPLEMENTED", message)
            }
        }
    }
}

fn state(store: &str, metadata: serde_json::Value) -> Response<Body> {
    detailed(
        StatusCode::INTERNAL_SERVER_ERROR,
        "ERR_STATE_STORE_NOT_CONFIGURED",
        &format!("state store {store} is not configured"),
        ("DAPR_STATE_NOT_CONFIGURED", metadata),
    )
}

/// An error with an `ErrorInfo`, written as `dapr/kit errors` writes it.
fn detailed(
    status: StatusCode,
    code: &str,
    message: &str,
    (reason, metadata): (&str, serde_json::Value),
) -> Response<Body> {
    let body = json!({
        "errorCode": code,
        "message": message,
        "details": [{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "domain": "dapr.io",
            "metadata": metadata,
            "reason": reason,
        }],
    });
    reply::json(status, &body)
}

/// The `metadata.*` parameters of a query.
fn metadata_of(query: Option<&str>) -> serde_json::Value {
    let pairs = query.unwrap_or_default().split('&');
    let metadata = pairs.filter_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let key = parameter(key.as_bytes()).ok()?;
        let key = key.strip_prefix("metadata.")?.to_owned();
        Some((key, parameter(value.as_bytes()).ok()?.into()))
    });
    serde_json::Value::Object(metadata.collect())
}
