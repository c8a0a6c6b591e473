//! Calls on an edge with a cache.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use http::{HeaderMap, Method, Request, Response};
use mainstay_cache::CacheError;
use mainstay_cache::http::{CallCache, Plan, Served};
use mainstay_mesh::{Body, CallError, DEADLINE_MS, GRPC_TIMEOUT, Protocol, Reason, Target};

use super::Invoker;

impl Invoker {
    /// Answers from the cache, or by a call whose answer the cache may keep. A call that changes something makes the cache
    /// forget what it has for the same path (RFC 9111, 4.4).
    pub(crate) async fn call_cached(
        &self,
        cache: &CallCache<CallError>,
        target: Target,
        mut request: Request<Body>,
    ) -> Result<Response<Body>, CallError> {
        if let Plan::Pass(_) = cache.rules().plan(&request) {
            cache.answers().bypassed();
            return self.call_and_forget(cache, target, request).await;
        }
        // Others may wait for the same answer, for longer than this caller can.
        let limit = take_deadline(request.headers_mut());
        let invoker = self.clone();
        let call = move |request| {
            let call = invoker.to_call(target, request, Protocol::Http);
            invoker.mesh.call(call)
        };
        let answering = cache.call(request, broken, call);
        let answer = match limit {
            None => answering.await,
            Some(limit) => match tokio::time::timeout(limit, answering).await {
                Ok(answer) => answer,
                Err(_) => return Err(expired()),
            },
        };
        let answer = answer.map_err(|error| error.into_load(missed))?;
        Ok(answer.map(|body| match body {
            Served::Whole(bytes) => Body::full(bytes),
            Served::Untouched(body) => body,
            Served::Resumed(body) => Body::boxed(body),
        }))
    }

    async fn call_and_forget(
        &self,
        cache: &CallCache<CallError>,
        target: Target,
        request: Request<Body>,
    ) -> Result<Response<Body>, CallError> {
        let changes = !request.method().is_safe() && *request.method() != Method::CONNECT;
        let path = changes.then(|| request.uri().path().to_owned());
        let answer = self
            .mesh
            .call(self.to_call(target, request, Protocol::Http))
            .await?;
        if let Some(path) = path.filter(|_| !answer.status().is_client_error()) {
            for selection in cache.rules().selections(&path, false) {
                // A store that is gone makes up for it before it is read again.
                if let Err(error) = cache.answers().invalidate(selection).await {
                    tracing::debug!(%error, "the cache forgets later");
                }
            }
        }
        Ok(answer)
    }
}

/// How long the caller waits, which it says in the mesh's header.
fn take_deadline(headers: &mut HeaderMap) -> Option<Duration> {
    headers.remove(GRPC_TIMEOUT);
    let millis = headers.remove(DEADLINE_MS)?;
    let millis = millis.to_str().ok()?.parse().ok()?;
    Some(Duration::from_millis(millis))
}

#[expect(clippy::needless_pass_by_value, reason = "the cache gives its errors away")]
fn broken(error: io::Error) -> CallError {
    CallError {
        reason: Reason::Broken,
        message: format!("the answer broke off: {error}"),
        retry_after: None,
    }
}

fn expired() -> CallError {
    CallError {
        reason: Reason::DeadlineExceeded,
        message: "the deadline has passed while the answer was fetched for the cache".to_owned(),
        retry_after: None,
    }
}

fn missed(error: &CacheError<Infallible>) -> CallError {
    CallError {
        reason: Reason::DeadlineExceeded,
        message: format!("the answer was not fetched for the cache: {error}"),
        retry_after: None,
    }
}
