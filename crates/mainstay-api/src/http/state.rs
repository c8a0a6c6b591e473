//! State over HTTP: JSON in and out.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{AGE, ETAG, HeaderMap, IF_MATCH};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use mainstay_cache::http::CACHE_HEADER;
use mainstay_mesh::Body;
use mainstay_state::query::QueryPage;
use mainstay_state::{Concurrency, Consistency, Etag, Found, Item};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::query::Parameters;
use crate::app::App;
use crate::blocks::AppState;
use crate::errors::{ApiError, state as errors};
use crate::operations::state::{self, BulkItem, Change, Metadata, Removal, Step};
use crate::reply;

/// What is asked of a state component, by method and path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StateRoute {
    pub(crate) store: String,
    pub(crate) ask: Ask,
}

/// What is asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// `GET {key}`.
    Get(String),
    /// `DELETE {key}`.
    Delete(String),
    /// `POST`: values that are to be set.
    Save,
    /// `POST bulk`: keys that are to be read.
    GetBulk,
    /// `POST transaction`.
    Transact,
    /// `POST query`, of the alpha version.
    Query,
}

/// Answers.
pub(super) async fn serve(app: Arc<App>, route: StateRoute, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    // A component that does not exist is told before the body is read.
    let answer = match component(&app, &route) {
        Err(error) => Err(error),
        Ok(state) => match app.read(body).await {
            Err(answer) => return answer,
            Ok(body) => answer(state, &route.ask, &head, body).await,
        },
    };
    answer.unwrap_or_else(|error| error.response())
}

fn component<'a>(app: &'a App, route: &'a StateRoute) -> Result<AppState<'a>, ApiError> {
    let (blocks, id) = (&app.options.blocks, app.options.app.as_str());
    if let Some(state) = blocks.app_state(&route.store, id) {
        return Ok(state);
    }
    // Dapr's query does not tell whose store it is not.
    let told = (route.ask != Ask::Query).then_some(id);
    if blocks.state.is_empty() {
        Err(errors::not_configured(&route.store, told))
    } else {
        Err(errors::not_found(&route.store, told))
    }
}

async fn answer(
    state: AppState<'_>,
    ask: &Ask,
    head: &http::request::Parts,
    body: Bytes,
) -> Result<Response<Body>, ApiError> {
    let parameters = Parameters::of(head.uri.query());
    match ask {
        Ask::Get(key) => {
            let asked = parameters.get("consistency");
            let consistency = consistency(asked, state::READ_CONSISTENCY)?;
            Ok(item(state::get(state, key, consistency).await?))
        }
        Ask::Delete(key) => {
            let removal = Removal {
                key: key.clone(),
                etag: if_match(&head.headers),
                metadata: parameters.metadata(),
                concurrency: concurrency(parameters.get("concurrency"))?,
                consistency: consistency(parameters.get("consistency"), Consistency::default())?,
            };
            state::delete(state, removal).await?;
            Ok(reply::empty(StatusCode::NO_CONTENT))
        }
        Ask::Save => {
            let changes = decode_changes(&body, &parameters)?;
            if !changes.is_empty() {
                state::save(state, changes).await?;
            }
            Ok(reply::empty(StatusCode::NO_CONTENT))
        }
        Ask::GetBulk => {
            let asked: BulkRequest = decode(&body)?;
            let items = state::get_bulk(state, asked.keys.unwrap_or_default()).await?;
            let items: Vec<_> = items.into_iter().map(BulkAnswer::from).collect();
            Ok(reply::json(StatusCode::OK, &items))
        }
        Ask::Transact => {
            let (steps, metadata) = decode_steps(&body, &parameters)?;
            if !steps.is_empty() {
                state::transact(state, steps, &metadata).await?;
            }
            Ok(reply::empty(StatusCode::NO_CONTENT))
        }
        Ask::Query => Ok(results(state::query(state, &body).await?)),
    }
}

/// A value as its bytes, with its `ETag` and its metadata in headers. A cache marks its answers as it does those of calls.
fn item(found: Found) -> Response<Body> {
    let mut response = found
        .item
        .map_or_else(|| reply::empty(StatusCode::NO_CONTENT), value);
    if let Some(mark) = found.cache {
        let headers = response.headers_mut();
        headers.insert(CACHE_HEADER, HeaderValue::from_static(mark.status.as_str()));
        if let Some(age) = state::age_seconds(mark) {
            headers.insert(AGE, HeaderValue::from(age));
        }
    }
    response
}

fn value(item: Item) -> Response<Body> {
    let expiry = state::expiry(&item);
    let content_type = item
        .content_type
        .and_then(|kind| HeaderValue::try_from(kind).ok());
    let mut response = reply::bytes(StatusCode::OK, content_type.unwrap_or(reply::JSON), item.value);
    let headers = response.headers_mut();
    if let Ok(etag) = HeaderValue::try_from(item.etag.as_str()) {
        headers.insert(ETAG, etag);
    }
    if let Some((name, value)) = expiry {
        let name = HeaderName::try_from(format!("metadata.{name}"));
        if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
    response
}

fn if_match(headers: &HeaderMap) -> Option<Etag> {
    let value = headers.get(IF_MATCH)?;
    Etag::new(String::from_utf8_lossy(value.as_bytes()))
}

/// A value to set or a key to delete, as it is written.
#[derive(Debug, Deserialize)]
struct WrittenChange<'a> {
    #[serde(borrow, default)]
    key: Cow<'a, str>,
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
    #[serde(default)]
    etag: Option<String>,
    #[serde(default)]
    metadata: Option<Metadata>,
    #[serde(default)]
    options: Option<WrittenOptions>,
}

#[derive(Debug, Default, Deserialize)]
struct WrittenOptions {
    #[serde(default)]
    concurrency: Option<String>,
    #[serde(default)]
    consistency: Option<String>,
}

#[derive(Debug, Deserialize)]
struct BulkRequest {
    #[serde(default)]
    keys: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
struct Transaction<'a> {
    #[serde(borrow, default)]
    operations: Option<Vec<WrittenStep<'a>>>,
    #[serde(default)]
    metadata: Option<Metadata>,
}

#[derive(Debug, Deserialize)]
struct WrittenStep<'a> {
    #[serde(default)]
    operation: String,
    #[serde(borrow)]
    request: WrittenChange<'a>,
}

/// Reads a body.
pub(super) fn decode<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body)
        .map_err(|error| ApiError::malformed(format!("failed deserializing HTTP body: {error}")))
}

fn decode_changes(body: &Bytes, parameters: &Parameters) -> Result<Vec<Change>, ApiError> {
    let written: Option<Vec<WrittenChange<'_>>> =
        serde_json::from_slice(body).map_err(|error| ApiError::malformed(error.to_string()))?;
    let written = written.unwrap_or_default();
    if written.iter().any(|change| change.key.is_empty()) {
        return Err(ApiError::malformed("\"key\" is a required field"));
    }
    let metadata = parameters.metadata();
    written
        .into_iter()
        .map(|change| to_change(change, &metadata, body))
        .collect()
}

/// The steps, and the metadata of the transaction as a whole.
fn decode_steps(body: &Bytes, parameters: &Parameters) -> Result<(Vec<Step>, Metadata), ApiError> {
    let transaction: Transaction<'_> = decode(body)?;
    let mut metadata = transaction.metadata.unwrap_or_default();
    metadata.extend(parameters.metadata());
    let steps = transaction.operations.unwrap_or_default().into_iter();
    let steps = steps.map(|step| match step.operation.as_str() {
        "upsert" => Ok(Step::Upsert(to_change(step.request, &metadata, body)?)),
        "delete" => {
            let (concurrency, consistency) = options(step.request.options.as_ref())?;
            Ok(Step::Delete(Removal {
                key: step.request.key.into_owned(),
                etag: step.request.etag.and_then(Etag::new),
                metadata: step.request.metadata.unwrap_or_default(),
                concurrency,
                consistency,
            }))
        }
        other => Err(errors::unknown_operation(other)),
    });
    let steps = steps.collect::<Result<_, _>>()?;
    Ok((steps, metadata))
}

/// The value stays the bytes that were sent. What is said in the URL wins over what is said of the key, as in Dapr.
fn to_change(written: WrittenChange<'_>, more: &Metadata, body: &Bytes) -> Result<Change, ApiError> {
    let (concurrency, consistency) = options(written.options.as_ref())?;
    let mut metadata = written.metadata.unwrap_or_default();
    metadata.extend(more.iter().map(|(key, value)| (key.clone(), value.clone())));
    let value = written.value.map_or("null", RawValue::get);
    Ok(Change {
        key: written.key.into_owned(),
        value: if written.value.is_some() {
            body.slice_ref(value.as_bytes())
        } else {
            Bytes::from_static(b"null")
        },
        etag: written.etag.and_then(Etag::new),
        metadata,
        concurrency,
        consistency,
    })
}

fn options(written: Option<&WrittenOptions>) -> Result<(Concurrency, Consistency), ApiError> {
    let Some(written) = written else {
        return Ok(Default::default());
    };
    Ok((
        concurrency(written.concurrency.as_deref())?,
        consistency(written.consistency.as_deref(), Consistency::default())?,
    ))
}

fn concurrency(text: Option<&str>) -> Result<Concurrency, ApiError> {
    match text {
        None | Some("" | "last-write") => Ok(Concurrency::LastWrite),
        Some("first-write") => Ok(Concurrency::FirstWrite),
        Some(other) => Err(ApiError::malformed(format!(
            "unrecognized concurrency model '{other}': it is first-write or last-write"
        ))),
    }
}

fn consistency(text: Option<&str>, unsaid: Consistency) -> Result<Consistency, ApiError> {
    match text {
        None | Some("") => Ok(unsaid),
        Some("strong") => Ok(Consistency::Strong),
        Some("eventual") => Ok(Consistency::Eventual),
        Some(other) => Err(ApiError::malformed(format!(
            "unrecognized consistency model '{other}': it is strong or eventual"
        ))),
    }
}

/// One answer of a read of many keys, as it is written.
#[derive(Serialize)]
struct BulkAnswer {
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// A value that is no JSON has no place in this answer.
const NOT_JSON: &str = "the value is not JSON: read this key alone";

impl From<BulkItem> for BulkAnswer {
    fn from(bulk: BulkItem) -> Self {
        let empty = Self {
            key: bulk.key,
            data: None,
            etag: None,
            metadata: None,
            error: None,
        };
        let found = match bulk.found {
            Ok(found) => found,
            Err(error) => {
                return Self {
                    error: Some(error),
                    ..empty
                };
            }
        };
        let metadata = Some(state::metadata(&found)).filter(|metadata| !metadata.is_empty());
        match found.item {
            None => Self { metadata, ..empty },
            Some(item) => {
                let data = (!item.value.is_empty()).then(|| raw(&item.value));
                Self {
                    error: matches!(data, Some(None)).then(|| NOT_JSON.to_owned()),
                    data: data.flatten(),
                    etag: Some(item.etag.to_string()),
                    metadata,
                    ..empty
                }
            }
        }
    }
}

/// The value as it stands in JSON; `None` when it is not JSON.
fn raw(value: &[u8]) -> Option<Box<RawValue>> {
    serde_json::from_slice(value).ok()
}

/// The results of a query, as they are written.
#[derive(Serialize)]
struct Results {
    results: Vec<QueryAnswer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

#[derive(Serialize)]
struct QueryAnswer {
    key: String,
    data: Option<Box<RawValue>>,
    etag: String,
}

fn results(page: QueryPage) -> Response<Body> {
    if page.results.is_empty() {
        return reply::empty(StatusCode::NO_CONTENT);
    }
    let results = page.results.into_iter().map(|result| QueryAnswer {
        key: result.key,
        // Only JSON is ever found.
        data: raw(&result.item.value),
        etag: result.item.etag.to_string(),
    });
    let results = Results {
        results: results.collect(),
        token: page.token,
    };
    reply::json(StatusCode::OK, &results)
}

#[cfg(test)]
mod tests;
