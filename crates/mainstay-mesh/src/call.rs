//! The call path: one file that reads top to bottom as the life of a call.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::uri::{PathAndQuery, Scheme};
use http::{Method, Request, Response, StatusCode, Uri, Version, header};
use hyper::client::conn::http1;
use mainstay_base::Clock;

use crate::answer::{Answer, Exchange};
use crate::dial::{self, Connection};
use crate::edge::Edge;
use crate::mesh::Inner;
use crate::replica::Replica;
use crate::trace::TraceContext;
use crate::{AppProtocol, Body, CallError, Caller, Mesh, Reason, headers, upgrade};

/// One call.
#[derive(Debug)]
pub struct Call {
    /// Who calls.
    pub caller: Caller,
    /// Who is called.
    pub target: Target,
    /// What the callee receives: the path is the method's, `dapr-app-id` and the API token are already gone. Everything
    /// that every hop does (hop-by-hop headers, forwarding headers, trace, deadline, app token) is the mesh's work.
    pub request: Request<Body>,
    /// How outcomes are read.
    pub protocol: Protocol,
}

/// Who is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// An app or an external service of the manifest, by name.
    Name(String),
    /// An absolute URL (Dapr's `http(s)://host` form); must lie under an external service's URL.
    Url(String),
}

/// How outcomes are read and errors of the mesh are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// By status code.
    Http,
    /// By the `grpc-status` trailer.
    Grpc,
}

impl Mesh {
    /// Makes one call: deadline, admission, attempts, fallback, record.
    ///
    /// An answer of the callee is `Ok` whatever its status. A fallback answer is `Ok` and carries the header
    /// `mainstay-fallback`. Dropping the future or the answer's body ends the call and frees what it holds.
    ///
    /// # Errors
    /// When there is no answer: the error says what happened, whose fault it is and when to come back.
    pub async fn call(&self, call: Call) -> Result<Response<Body>, CallError> {
        let mesh = &*self.inner;
        // Identify the caller and resolve the target: an edge that the topology allows.
        let name = match &call.target {
            Target::Name(name) | Target::Url(name) => name,
        };
        let edge = mesh.directory.edge(&call.caller.state, name)?;
        if call.request.method() == Method::CONNECT {
            let message = format!("`{}` cannot be reached with CONNECT", edge.config.target);
            return Err(CallError::new(Reason::InvalidRequest, message));
        }
        let mut request = call.request;
        let upgrade = upgrade::take(&mut request);
        let trace = request.headers().get(headers::TRACEPARENT);
        let trace = trace
            .and_then(|value| TraceContext::parse(value.as_bytes()))
            .map_or_else(|| TraceContext::generate(1.0), TraceContext::child);
        headers::prepare_request(request.headers_mut(), &edge, call.caller.client.as_deref());
        request.headers_mut().insert(headers::TRACEPARENT, trace.header());
        if let Some(upgrade) = &upgrade {
            upgrade.announce(request.headers_mut());
        }
        let replica = pick(&edge).ok_or_else(|| no_replica(&edge))?;
        address(&mut request, &edge, &replica, call.caller.client.is_some())?;
        let attempt = mesh.send(&edge, replica, request, upgrade);
        let limit = edge.config.policy.attempt_timeout;
        let mut response = match tokio::time::timeout(limit, attempt).await {
            Ok(answer) => answer?,
            Err(_) => return Err(timed_out(&edge, limit)),
        };
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            headers::strip_hop_by_hop(response.headers_mut());
        }
        Ok(response)
    }
}

/// Writes down where the request goes: the path alone for HTTP/1.1, scheme and authority as well for HTTP/2.
fn address(
    request: &mut Request<Body>,
    edge: &Edge,
    replica: &Replica,
    keep_host: bool,
) -> Result<(), CallError> {
    let path = request.uri().path_and_query().cloned();
    let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
    if edge.callee.config.protocol == AppProtocol::Http {
        *request.uri_mut() = Uri::from(path);
        *request.version_mut() = Version::HTTP_11;
        if !keep_host || !request.headers().contains_key(header::HOST) {
            request.headers_mut().insert(header::HOST, replica.host.clone());
        }
        return Ok(());
    }
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(replica.authority.clone());
    parts.path_and_query = Some(path);
    let uri = Uri::from_parts(parts);
    *request.uri_mut() = uri.map_err(|error| invalid_request(edge, &error.to_string()))?;
    *request.version_mut() = Version::HTTP_2;
    request.headers_mut().remove(header::HOST);
    Ok(())
}

fn pick(edge: &Edge) -> Option<Arc<Replica>> {
    let replicas = edge.callee.state.replicas.load();
    replicas.iter().min_by_key(|replica| replica.in_flight()).cloned()
}

impl Inner {
    /// Sends `request` to `replica` on a connection of this worker and waits for the head of the answer.
    async fn send(
        &self,
        edge: &Edge,
        replica: Arc<Replica>,
        request: Request<Body>,
        upgrade: Option<upgrade::Upgrade>,
    ) -> Result<Response<Body>, CallError> {
        let worker = self.workers.current();
        if edge.callee.config.protocol != AppProtocol::Http {
            return self.send_http2(edge, replica, worker, request).await;
        }
        let mut request = request;
        loop {
            let waiting = match &upgrade {
                Some(_) => None,
                None => replica.pool.take(worker, self.clock.now()),
            };
            let reused = waiting.is_some();
            let mut sender = match waiting {
                Some(sender) => sender,
                None => self.open_http1(edge, &replica, worker, upgrade.is_some()).await?,
            };
            let answer = sender.try_send_request(request);
            let exchange = Exchange::new(replica.clone(), Some(sender), worker, self.clock);
            match answer.await {
                Ok(response) => {
                    return Ok(upgrade::finish(self, response, upgrade, exchange));
                }
                Err(mut error) => match error.take_message() {
                    // The peer closed the waiting connection just now: nothing was sent.
                    Some(unsent) if reused => request = unsent,
                    _ => return Err(broken(edge, &error.into_error())),
                },
            }
        }
    }

    async fn send_http2(
        &self,
        edge: &Edge,
        replica: Arc<Replica>,
        worker: usize,
        request: Request<Body>,
    ) -> Result<Response<Body>, CallError> {
        let mut sender = match replica.pool.shared(worker) {
            Some(sender) => sender,
            None => {
                let address = replica.address;
                let opened = self.open(worker, dial::http2(address)).await;
                let Connection::Http2(sender) = opened.map_err(|error| connect_failed(edge, &error))? else {
                    return Err(CallError::new(
                        Reason::Internal,
                        "no HTTP/2 connection".to_owned(),
                    ));
                };
                replica.pool.share(worker, sender.clone());
                sender
            }
        };
        let exchange = Exchange::new(replica, None, worker, self.clock);
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| broken(edge, &error))?;
        Ok(response.map(|incoming| Body::answer(Answer::new(incoming, exchange))))
    }

    async fn open_http1(
        &self,
        edge: &Edge,
        replica: &Replica,
        worker: usize,
        upgrade: bool,
    ) -> Result<http1::SendRequest<Body>, CallError> {
        let address = replica.address;
        let opened = if upgrade {
            self.open(worker, dial::http1_for_upgrade(address)).await
        } else {
            self.open(worker, dial::http1(address)).await
        };
        match opened.map_err(|error| connect_failed(edge, &error))? {
            Connection::Http1(sender) => Ok(sender),
            Connection::Http2(_) => Err(CallError::new(
                Reason::Internal,
                "no HTTP/1.1 connection".to_owned(),
            )),
        }
    }

    /// Opens a connection on a worker, so that it lives as long as the worker, whoever asked for it.
    async fn open(
        &self,
        worker: usize,
        opening: impl Future<Output = io::Result<Connection>> + Send + 'static,
    ) -> io::Result<Connection> {
        let runtime = self.workers.runtime(worker).ok_or(io::ErrorKind::NotConnected)?;
        runtime.spawn(opening).await.map_err(io::Error::other)?
    }
}

fn no_replica(edge: &Edge) -> CallError {
    let target = &edge.config.target;
    CallError::new(
        Reason::NoReplica,
        format!("no replica of `{target}` is ready: see `mainstay status`"),
    )
}

fn connect_failed(edge: &Edge, error: &io::Error) -> CallError {
    let target = &edge.config.target;
    CallError::new(
        Reason::ConnectFailed,
        format!("`{target}` accepts no connection: {error}"),
    )
}

fn timed_out(edge: &Edge, limit: Duration) -> CallError {
    let target = &edge.config.target;
    let limit = mainstay_base::format_duration(limit);
    CallError::new(
        Reason::AttemptTimeout,
        format!("`{target}` did not answer within {limit}"),
    )
}

fn invalid_request(edge: &Edge, why: &str) -> CallError {
    let target = &edge.config.target;
    CallError::new(
        Reason::InvalidRequest,
        format!("`{target}` cannot be sent this request: {why}"),
    )
}

fn broken(edge: &Edge, error: &hyper::Error) -> CallError {
    let target = &edge.config.target;
    let (reason, what) = if error.is_parse() {
        (Reason::Garbage, "answered with something that is no HTTP")
    } else if error.is_user() {
        (Reason::RequestBody, "did not get the whole request")
    } else {
        (Reason::Broken, "broke the connection before it answered")
    };
    CallError::new(reason, format!("`{target}` {what}: {error}"))
}
