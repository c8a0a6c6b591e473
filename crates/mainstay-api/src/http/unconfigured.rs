//! Building blocks that do not exist yet. Their routes are Dapr's, so they are not passed to an app; they answer what
//! daprd answers without a component for them, and 501 where it has no such answer.

use http::{Method, Response, StatusCode};
use mainstay_mesh::Body;
use tonic::Code;

use super::path::InvalidEscape;
use super::query::Parameters;
use super::route::parameter;
use crate::errors::{ApiError, Detail};
use crate::reply;

/// A building block that does not exist here, with the name under which it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unconfigured {
    /// Publish and subscribe.
    PubSub(String),
    /// Output binding.
    Binding(String),
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
    let write = post || put;
    let found = match segments {
        [b"v1.0" | b"v1.0-alpha1", b"publish", b"bulk", pubsub, _, ..] if write => {
            Unconfigured::PubSub(parameter(pubsub)?)
        }
        [b"v1.0", b"publish", pubsub, _, ..] if write => Unconfigured::PubSub(parameter(pubsub)?),
        [b"v1.0", b"bindings", name] if write => Unconfigured::Binding(parameter(name)?),
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
    /// The answer to a request with this query.
    pub(super) fn answer(&self, query: Option<&str>) -> Response<Body> {
        let internal = StatusCode::INTERNAL_SERVER_ERROR;
        match self {
            Self::PubSub(pubsub) => pubsub_not_found(pubsub, query),
            Self::Binding(name) => {
                let message =
                    format!("error invoking output binding {name}: couldn't find output binding {name}");
                reply::problem(internal, "ERR_INVOKE_OUTPUT_BINDING", message)
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

fn pubsub_not_found(pubsub: &str, query: Option<&str>) -> Response<Body> {
    let metadata = Parameters::of(query).metadata().into_iter().collect();
    ApiError::new(
        StatusCode::NOT_FOUND,
        Code::NotFound,
        "ERR_PUBSUB_NOT_FOUND",
        format!("pubsub {pubsub} is not found"),
    )
    .detail(Detail::Info("DAPR_PUBSUB_NOT_FOUND", metadata))
    .response()
}
