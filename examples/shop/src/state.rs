//! What a service keeps: values under keys in the runtime's state store, which outlive it and are shared by its replicas.

use http::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{Context, Dapr, Problem};

/// The state store that every app has.
const STORE: &str = "statestore";

/// A value and the tag that names it: who saves with the tag replaces this very value, or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept<T> {
    /// The value.
    pub value: T,
    etag: String,
}

/// One value of a change. All values of a change are saved, or none.
#[derive(Clone, Debug)]
pub struct Saved(Value);

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was made.
    Made,
    /// Somebody else was faster: look again and decide anew.
    Overtaken,
}

impl Saved {
    /// Saves `value` under `key` in place of what was `found` there; of nothing, when nothing was.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn instead_of<T: Serialize>(key: &str, value: &T, found: Option<&Kept<T>>) -> Result<Self, Problem> {
        let value = serde_json::to_value(value).map_err(Problem::bug)?;
        let mut request = json!({ "key": key, "value": value, "options": { "concurrency": "first-write" } });
        if let (Some(found), Some(fields)) = (found, request.as_object_mut()) {
            fields.insert("etag".to_owned(), found.etag.as_str().into());
        }
        Ok(Self(request))
    }

    /// The same, and forgets it after so many seconds.
    #[must_use]
    pub fn for_seconds(mut self, seconds: u32) -> Self {
        if let Some(fields) = self.0.as_object_mut() {
            let metadata = json!({ "ttlInSeconds": seconds.to_string() });
            fields.insert("metadata".to_owned(), metadata);
        }
        self
    }
}

impl Dapr {
    /// What is kept under `key`.
    ///
    /// # Errors
    /// When the state store does not answer, or with something else.
    pub async fn kept<T: DeserializeOwned>(&self, key: &str) -> Result<Option<Kept<T>>, Problem> {
        let path = format!("v1.0/state/{STORE}/{key}");
        let answer = self.api(Method::GET, &path, None, &Context::default()).await?;
        if answer.status == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        let etag = answer.etag().unwrap_or_default();
        let value = answer.json()?;
        Ok(Some(Kept { value, etag }))
    }

    /// Saves all values or none.
    ///
    /// # Errors
    /// When the state store does not answer. Then the change may have been made or not.
    pub async fn save(&self, values: Vec<Saved>) -> Result<Change, Problem> {
        let operations: Vec<Value> = values
            .into_iter()
            .map(|Saved(request)| json!({ "operation": "upsert", "request": request }))
            .collect();
        let body = json!({ "operations": operations });
        let path = format!("v1.0/state/{STORE}/transaction");
        let answer = self
            .api(Method::POST, &path, Some(&body), &Context::default())
            .await?;
        if answer.status.is_success() {
            return Ok(Change::Made);
        }
        if answer.text().contains("etag mismatch") {
            return Ok(Change::Overtaken);
        }
        Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, answer.text()))
    }

    /// Values that answer a query, in Dapr's words.
    ///
    /// # Errors
    /// When the state store does not answer, or with something else.
    pub async fn found<T: DeserializeOwned>(&self, query: &Value) -> Result<Vec<T>, Problem> {
        let path = format!("v1.0-alpha1/state/{STORE}/query");
        let answer = self
            .api(Method::POST, &path, Some(query), &Context::default())
            .await?;
        if answer.status == StatusCode::NO_CONTENT {
            return Ok(Vec::new());
        }
        let page: Page<T> = answer.json()?;
        Ok(page.results.into_iter().map(|result| result.data).collect())
    }
}

#[derive(serde::Deserialize)]
struct Page<T> {
    results: Vec<Found<T>>,
}

#[derive(serde::Deserialize)]
struct Found<T> {
    data: T,
}
