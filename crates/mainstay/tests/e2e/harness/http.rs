//! A plain HTTP client.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{self, Error};
use hyper_util::rt::TokioExecutor;

use super::within;

/// A client with a pool of connections and headers that every request carries.
#[derive(Clone, Debug)]
pub struct Client {
    base: String,
    headers: HeaderMap,
    inner: legacy::Client<HttpConnector, Full<Bytes>>,
}

/// An answer as a whole.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Client {
    /// Talks HTTP/1.1 to `address`.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            base: format!("http://{address}"),
            headers: HeaderMap::new(),
            inner: legacy::Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// Talks HTTP/2 without TLS to `address`.
    pub fn http2(address: SocketAddr) -> Self {
        Self {
            inner: legacy::Client::builder(TokioExecutor::new())
                .http2_only(true)
                .build_http(),
            ..Self::new(address)
        }
    }

    /// Adds a header to every request.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, value.parse().expect("a value"));
        self
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, Bytes::new()).await
    }

    /// `POST`.
    pub async fn post(&self, path: &str, body: impl Into<Bytes>) -> Answer {
        self.send(Method::POST, path, body.into()).await
    }

    /// One request; panics when there is no answer.
    pub async fn send(&self, method: Method, path: &str, body: Bytes) -> Answer {
        let shown = format!("{method} {}{path}", self.base);
        self.attempt(method, path, body)
            .await
            .unwrap_or_else(|error| panic!("{shown}: {error}"))
    }

    /// One request that may fail.
    pub async fn attempt(&self, method: Method, path: &str, body: Bytes) -> Result<Answer, String> {
        let request = self.request(method, path, body);
        within(path, async {
            let response = self.inner.request(request).await.map_err(|error| chain(&error))?;
            let (head, body) = response.into_parts();
            let body = body.collect().await.map_err(|error| chain(&error))?;
            Ok(Answer {
                status: head.status,
                headers: head.headers,
                body: body.to_bytes(),
            })
        })
        .await
    }

    /// One request whose body has not been read yet.
    pub async fn open(&self, method: Method, path: &str) -> Result<Response<Incoming>, Error> {
        let request = self.request(method, path, Bytes::new());
        within(path, self.inner.request(request)).await
    }

    fn request(&self, method: Method, path: &str, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = format!("{}{path}", self.base).parse().expect("a path");
        *request.headers_mut() = self.headers.clone();
        request
    }
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header; empty when absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("text"))
    }

    /// A header that arrived at the test app, out of its echo; empty when absent.
    pub fn echoed_header(&self, name: &str) -> String {
        let echo = self.json();
        let headers = echo["headers"].as_array().expect("headers").iter();
        headers
            .filter(|pair| pair[0] == name)
            .map(|pair| pair[1].as_str().expect("text").to_owned())
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
