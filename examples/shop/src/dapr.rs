//! The Dapr API of the runtime: calls to other services.

use anyhow::Context as _;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Context, Problem};

/// The largest answer that is read, in bytes.
const ANSWER_MAX: usize = 1024 * 1024;

/// The way to other services. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Dapr {
    http: Client<HttpConnector, Full<Bytes>>,
    base: String,
    token: Option<HeaderValue>,
}

/// What a service answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Whether the runtime answered in place of the service.
    pub fallback: bool,
    retry_after: Option<HeaderValue>,
    etag: Option<HeaderValue>,
    body: Bytes,
}

impl Dapr {
    /// From the variables that the runtime gives every service.
    ///
    /// # Errors
    /// When they are missing or unreadable.
    pub fn from_env() -> anyhow::Result<Self> {
        let port: u16 = std::env::var("DAPR_HTTP_PORT")
            .context("DAPR_HTTP_PORT is not set: start this service with `mainstay run`")?
            .parse()
            .context("DAPR_HTTP_PORT is not a port")?;
        let token = std::env::var("DAPR_API_TOKEN").ok();
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Ok(Self {
            http: Client::builder(TokioExecutor::new()).build(connector),
            base: format!("http://127.0.0.1:{port}"),
            token: token.map(|token| token.parse()).transpose()?,
        })
    }

    /// Gets `method` of `app`.
    ///
    /// # Errors
    /// When the runtime itself does not answer; an answer of any status is `Ok`.
    pub async fn get(&self, app: &str, method: &str, context: &Context) -> Result<Answer, Problem> {
        self.send(Method::GET, app, method, Bytes::new(), context).await
    }

    /// Posts `body` as JSON to `method` of `app`.
    ///
    /// # Errors
    /// When the runtime itself does not answer; an answer of any status is `Ok`.
    pub async fn post(
        &self,
        app: &str,
        method: &str,
        body: &impl Serialize,
        context: &Context,
    ) -> Result<Answer, Problem> {
        let body = serde_json::to_vec(body).map_err(Problem::bug)?;
        self.send(Method::POST, app, method, body.into(), context).await
    }

    /// Puts `body` as JSON to `method` of `app`.
    ///
    /// # Errors
    /// When the runtime itself does not answer; an answer of any status is `Ok`.
    pub async fn put(
        &self,
        app: &str,
        method: &str,
        body: &impl Serialize,
        context: &Context,
    ) -> Result<Answer, Problem> {
        let body = serde_json::to_vec(body).map_err(Problem::bug)?;
        self.send(Method::PUT, app, method, body.into(), context).await
    }

    async fn send(
        &self,
        verb: Method,
        app: &str,
        method: &str,
        body: Bytes,
        context: &Context,
    ) -> Result<Answer, Problem> {
        let path = format!("v1.0/invoke/{app}/method/{method}");
        self.ask(verb, &path, body, context).await
    }

    /// Asks the runtime itself for something.
    pub(crate) async fn api(
        &self,
        verb: Method,
        path: &str,
        body: Option<&serde_json::Value>,
        context: &Context,
    ) -> Result<Answer, Problem> {
        let body = body.map(serde_json::to_vec).transpose().map_err(Problem::bug)?;
        self.ask(verb, path, body.unwrap_or_default().into(), context)
            .await
    }

    async fn ask(&self, verb: Method, path: &str, body: Bytes, context: &Context) -> Result<Answer, Problem> {
        let mut request = Request::builder()
            .method(verb)
            .uri(format!("{}/{path}", self.base))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(Problem::bug)?;
        request.headers_mut().extend(context.headers());
        if let Some(token) = &self.token {
            request.headers_mut().insert("dapr-api-token", token.clone());
        }
        let no_answer = |error: &dyn std::fmt::Display| {
            Problem::new(StatusCode::BAD_GATEWAY, format!("no answer to {path}: {error}"))
        };
        let response = self
            .http
            .request(request)
            .await
            .map_err(|error| no_answer(&error))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, ANSWER_MAX).collect().await;
        Ok(Answer {
            status: head.status,
            fallback: head.headers.contains_key("mainstay-fallback"),
            retry_after: head.headers.get(header::RETRY_AFTER).cloned(),
            etag: head.headers.get(header::ETAG).cloned(),
            body: body.map_err(|error| no_answer(&error))?.to_bytes(),
        })
    }
}

impl Answer {
    /// Its body, when it is a good one.
    ///
    /// # Errors
    /// The answer's own status and text when it is not a success, 502 when its body is not what was expected.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        if !self.status.is_success() {
            let mut problem = Problem::new(self.status, self.text());
            problem.retry_after.clone_from(&self.retry_after);
            return Err(problem);
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            Problem::new(
                StatusCode::BAD_GATEWAY,
                format!("an answer is not what it should be: {error}"),
            )
        })
    }

    /// The tag of the value that it holds.
    pub(crate) fn etag(&self) -> Option<String> {
        Some(self.etag.as_ref()?.to_str().ok()?.to_owned())
    }

    /// What went wrong, in the words of a service (`error`) or of the runtime (`message`).
    pub(crate) fn text(&self) -> String {
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let text = body.get("error").or_else(|| body.get("message"));
        match text.and_then(serde_json::Value::as_str) {
            Some(text) => text.to_owned(),
            None => String::from_utf8_lossy(&self.body).into_owned(),
        }
    }
}
