//! Locks over HTTP: JSON in and out.

use std::sync::Arc;

use http::{HeaderValue, Request, Response, StatusCode};
use mainstay_lock::Unlock;
use mainstay_mesh::Body;
use serde::{Deserialize, Deserializer};
use serde_json::json;

use super::state::decode;
use crate::app::App;
use crate::errors::ApiError;
use crate::operations::lock::{self, Asked};
use crate::reply;

/// What is asked of a lock component, by the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LockRoute {
    pub(crate) store: String,
    pub(crate) unlock: bool,
}

/// The names of protobuf's JSON, and those of its fields.
#[derive(Debug, Default, Deserialize)]
struct Written {
    #[serde(default, rename = "resourceId", alias = "resource_id")]
    resource: String,
    #[serde(default, rename = "lockOwner", alias = "lock_owner")]
    owner: String,
    #[serde(
        default,
        rename = "expiryInSeconds",
        alias = "expiry_in_seconds",
        deserialize_with = "number"
    )]
    expiry_seconds: i32,
}

/// Protobuf's JSON writes a number as a number or as a text.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number<'a> {
        Number(i32),
        Text(&'a str),
    }
    match Number::deserialize(deserializer)? {
        Number::Number(number) => Ok(number),
        Number::Text(text) => text.parse().map_err(serde::de::Error::custom),
    }
}

/// Answers.
pub(super) async fn serve(app: Arc<App>, route: LockRoute, request: Request<Body>) -> Response<Body> {
    let body = match app.read(request.into_body()).await {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let answer = answer(&app, &route, &body).await;
    answer.unwrap_or_else(|error| error.response())
}

async fn answer(app: &App, route: &LockRoute, body: &[u8]) -> Result<Response<Body>, ApiError> {
    let written = if body.is_empty() {
        Written::default()
    } else {
        decode(body)?
    };
    let asked = Asked {
        app: app.options.app.as_str(),
        store: &route.store,
        resource: &written.resource,
        owner: &written.owner,
    };
    let blocks = &app.options.blocks;
    if route.unlock {
        let status = match lock::unlock(blocks, asked).await? {
            Unlock::Unlocked => 0,
            Unlock::DoesNotExist => 1,
            Unlock::BelongsToOthers => 2,
        };
        return Ok(reply::json(StatusCode::OK, &json!({ "status": status })));
    }
    let token = lock::try_lock(blocks, asked, written.expiry_seconds).await?;
    let mut response = reply::json(StatusCode::OK, &json!({ "success": token.is_some() }));
    if let Some(token) = token {
        let value = HeaderValue::from(token.as_u64());
        response.headers_mut().insert(&reply::FENCING_TOKEN, value);
    }
    Ok(response)
}
