//! The control API of a running system, as a client.

use std::net::SocketAddr;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use mainstay_api::wire::{Problem, Status, System};
use mainstay_mesh::{Body, client};
use serde::de::DeserializeOwned;

use crate::client::Location;
use crate::client::lines::Lines;
use crate::failure::Failure;

/// How long an answer may take; a stream only has to begin within it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest answer, and longest line of one that goes on: the largest value of a state component, each byte of it escaped.
pub(super) const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// The control API of one running system.
#[derive(Clone, Debug)]
pub(crate) struct Control {
    address: SocketAddr,
    token: String,
}

impl Control {
    /// The control API of the system at `location`.
    pub(crate) fn find(location: &Location) -> Result<Self, Failure> {
        let (dir, addresses) = location.find()?;
        let token = dir.read_token().map_err(|error| {
            Failure::refused(format!(
                "cannot read the token in {}: {error}",
                dir.path().display()
            ))
        })?;
        Ok(Self {
            address: addresses.control,
            token,
        })
    }

    /// What does not change while the system runs.
    pub(crate) async fn system(&self) -> Result<System, Failure> {
        self.get("/api/system").await
    }

    /// What runs, and the traffic between it.
    pub(crate) async fn status(&self) -> Result<Status, Failure> {
        self.get("/api/status").await
    }

    /// Begins to restart the replicas of `app` one after another.
    pub(crate) async fn restart(&self, app: &str) -> Result<(), Failure> {
        self.post(&format!("/api/apps/{app}/restart")).await
    }

    /// Begins to stop the system.
    pub(crate) async fn stop(&self) -> Result<(), Failure> {
        self.post("/api/stop").await
    }

    /// Reads an answer whose body is one JSON value.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.exchange(Method::GET, path, Vec::new()).await
    }

    /// Sends a body and reads an answer whose body is one JSON value.
    pub(crate) async fn exchange<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<T, Failure> {
        let answer = async {
            let response = self.open(method, path, body).await?;
            self.collect(response).await
        };
        let bytes = self.in_time(answer).await?;
        serde_json::from_slice(&bytes).map_err(|error| {
            Failure::refused(format!(
                "the control API at {} answered {path} with something else: {error}; is it another version of \
                 Mainstay?",
                self.address
            ))
        })
    }

    async fn post(&self, path: &str) -> Result<(), Failure> {
        self.send(Method::POST, path, Vec::new()).await
    }

    /// Sends a body and waits until it was taken.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Vec<u8>) -> Result<(), Failure> {
        let answer = async { self.open(method, path, body).await.map(drop) };
        self.in_time(answer).await
    }

    /// Opens an answer that goes on, such as `/api/logs`.
    pub(super) async fn lines(&self, path: &str) -> Result<Lines, Failure> {
        let response = self.in_time(self.open(Method::GET, path, Vec::new())).await?;
        Ok(Lines::new(response.into_body()))
    }

    /// Opens an answer that is no text and goes on.
    pub(crate) async fn stream(&self, path: &str) -> Result<Body, Failure> {
        let response = self.in_time(self.open(Method::GET, path, Vec::new())).await?;
        Ok(response.into_body())
    }

    async fn open(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Response<Body>, Failure> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.address.to_string())
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .body(Body::full(body))
            .map_err(|error| Failure::refused(format!("cannot ask for {path}: {error}")))?;
        let response = client::send(self.address, request)
            .await
            .map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = self.collect(response).await?;
        Err(match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) if is_wrong_usage(status) => Failure::usage(problem.message),
            Ok(problem) => Failure::refused(problem.message),
            Err(_) => Failure::refused(format!(
                "the control API at {} answered {path} with {status}",
                self.address
            )),
        })
    }

    async fn collect(&self, response: Response<Body>) -> Result<Vec<u8>, Failure> {
        let collected = http_body_util::Limited::new(response.into_body(), MAX_ANSWER_BYTES)
            .collect()
            .await
            .map_err(|error| {
                Failure::refused(format!("the control API at {} broke off: {error}", self.address))
            })?;
        Ok(collected.to_bytes().to_vec())
    }

    async fn in_time<T>(&self, answer: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        tokio::time::timeout(ANSWER_TIMEOUT, answer)
            .await
            .unwrap_or_else(|_| {
                Err(Failure::refused(format!(
                    "the control API at {} did not answer within {} s",
                    self.address,
                    ANSWER_TIMEOUT.as_secs()
                )))
            })
    }

    fn unreachable(&self, error: &std::io::Error) -> Failure {
        Failure::refused(format!(
            "cannot reach the control API at {}: {error}",
            self.address
        ))
    }
}

/// Whether asking for the very same again cannot help.
fn is_wrong_usage(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE)
}
