//! The request of a call: what each attempt is made of.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::uri::{InvalidUri, PathAndQuery};
use http::{Extensions, HeaderMap, Method, Request};
use http_body::Body as _;
use mainstay_base::{Deadline, Priority, SystemClock, Timestamp};

use crate::dial::Intent;
use crate::edge::{Client, Edge};
use crate::exchange::Failure;
use crate::span::Span;
use crate::trace::TraceContext;
use crate::upgrade::{self, Upgrade};
use crate::upload::Upload;
use crate::{AppProtocol, Body, Call, CallError, Protocol, Reason, deadline, headers, judge};

/// The request of a call, from which that of each attempt is made.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// `None` once it was given away for good.
    head: Option<Head>,
    payload: Payload,
    upgrade: Option<Upgrade>,
    /// The client behind a front door.
    client: Option<Arc<Client>>,
    pub(crate) protocol: Protocol,
    pub(crate) takes_fixed_answer: bool,
    pub(crate) intent: Intent,
    /// Whether doing it twice is as good as once.
    pub(crate) idempotent: bool,
    pub(crate) priority: Priority,
    /// The deadline that the caller brought.
    pub(crate) brought: Option<Deadline>,
    /// The call's own span, where it is recorded.
    pub(crate) trace: Option<TraceContext>,
}

/// The head of a request without what was meant for this hop alone.
#[derive(Debug)]
struct Head {
    parts: Parts,
    /// Whether it tells already by whom it came. That is added to every attempt's own copy, which is cheaper than
    /// copying it.
    is_forwarded: bool,
}

/// The connection that a request without an upgrade wants towards the callee of `edge`.
fn intent(protocol: Protocol, edge: &Edge) -> Intent {
    if speaks_http2(edge) || protocol == Protocol::Grpc {
        Intent::Http2
    } else {
        Intent::Any
    }
}

fn speaks_http2(edge: &Edge) -> bool {
    matches!(edge.callee.protocol, Some(AppProtocol::H2c | AppProtocol::Grpc))
}

/// The body of a request.
#[derive(Debug)]
enum Payload {
    None,
    Memory(Bytes),
    Upload(Upload),
}

impl Outgoing {
    /// Takes a call's request that came in at `now` and does to it what every hop does. Its path lies `under` another.
    ///
    /// # Errors
    /// When it cannot be sent on.
    pub(crate) fn new(
        call: Call,
        edge: &Edge,
        under: Option<&str>,
        now: Timestamp,
    ) -> Result<Self, CallError> {
        let (mut head, body) = call.request.into_parts();
        let malformed =
            |why: &dyn std::fmt::Display| CallError::on_edge(&edge.config, Reason::InvalidRequest, Some(why));
        if head.method == Method::CONNECT {
            return Err(malformed(&"CONNECT is not passed on"));
        }
        if let Some(under) = under.filter(|under| !under.is_empty()) {
            let path = head.uri.path_and_query().map_or("/", PathAndQuery::as_str);
            head.uri = format!("{under}{path}")
                .parse()
                .map_err(|error: InvalidUri| malformed(&error))?;
        }
        let brought = deadline::read(&head.headers, now).map_err(|error| malformed(&error))?;
        let client = call.caller.client;
        let priority = headers::priority(&head.headers, client.as_deref()).unwrap_or(edge.config.priority);
        let upgrade = upgrade::take(&mut head).filter(|_| !speaks_http2(edge));
        head.extensions = Extensions::new();
        headers::name_host(&mut head);
        let intent = if upgrade.is_some() {
            Intent::Upgrade
        } else {
            intent(call.protocol, edge)
        };
        headers::strip_hop_by_hop(&mut head.headers);
        let idempotent = judge::is_idempotent(&head.method, &head.headers);
        Ok(Self {
            payload: Payload::new(body, idempotent || intent == Intent::Http2, now),
            upgrade,
            protocol: call.protocol,
            takes_fixed_answer: call.takes_fixed_answer,
            intent,
            client,
            idempotent,
            priority,
            brought,
            trace: None,
            head: Some(Head {
                parts: head,
                is_forwarded: false,
            }),
        })
    }

    /// The same request once more, for the callee of `edge`; `None` when it cannot be repeated.
    pub(crate) fn take_repeatable(&mut self, edge: &Edge) -> Option<Self> {
        self.is_repeatable().then(|| Self {
            head: self.head.take(),
            payload: std::mem::replace(&mut self.payload, Payload::None),
            upgrade: self.upgrade.take(),
            client: self.client.take(),
            intent: match self.intent {
                Intent::Upgrade => Intent::Upgrade,
                Intent::Any | Intent::Http2 => intent(self.protocol, edge),
            },
            ..*self
        })
    }

    /// Begins the span of the call and makes sure that the request carries a trace.
    pub(crate) fn begin_span(&mut self, edge: &Edge, now: Timestamp) -> Option<Box<Span>> {
        let head = &mut self.head.as_mut()?.parts;
        let span = edge
            .spans
            .begin_call(&mut head.headers, &head.method, &head.uri, now);
        self.trace = span.as_ref().map(|span| span.context());
        span
    }

    /// The request for the next attempt on `edge`, with all that every hop adds. With `keep` there can be a further one.
    ///
    /// # Errors
    /// When it was given away.
    pub(crate) fn request(
        &mut self,
        edge: &Edge,
        keep: bool,
        clock: SystemClock,
    ) -> Result<Request<Body>, Failure> {
        let head = if keep {
            self.head.as_ref().map(Head::copy)
        } else {
            self.head.take()
        };
        let Head {
            mut parts,
            is_forwarded,
        } = head.ok_or(Reason::Internal)?;
        if !is_forwarded {
            headers::forward(&mut parts.headers, self.client.as_deref());
        }
        headers::introduce(&mut parts.headers, edge);
        headers::prioritize(&mut parts.headers, self.priority);
        if let Some(upgrade) = &self.upgrade {
            upgrade.announce(&mut parts.headers);
        }
        let body = match &self.payload {
            Payload::None => Body::empty(),
            Payload::Memory(bytes) => Body::full(bytes.clone()),
            Payload::Upload(upload) => Body::upload(upload.reader(clock)),
        };
        Ok(Request::from_parts(parts, body))
    }

    /// Whether two attempts can be made at a time: doing it twice is as good as once, and both have the whole request.
    pub(crate) fn is_hedgeable(&self) -> bool {
        self.idempotent && self.upload().is_none() && self.upgrade.is_none()
    }

    /// Whether the callee sees the client's `host` instead of its own address.
    pub(crate) fn keeps_host(&self) -> bool {
        self.client.is_some()
    }

    /// Takes a request back of which nothing was sent.
    pub(crate) fn restore(&mut self, unsent: Request<Body>) {
        let (parts, _) = unsent.into_parts();
        self.head = Some(Head {
            parts,
            is_forwarded: true,
        });
    }

    /// Whether there can be another attempt.
    pub(crate) fn is_repeatable(&self) -> bool {
        let body = match &self.payload {
            Payload::None | Payload::Memory(_) => true,
            Payload::Upload(upload) => upload.is_repeatable(),
        };
        body && self.head.is_some()
    }

    /// The caller's body, while it may be a stream.
    pub(crate) fn upload(&self) -> Option<&Upload> {
        match &self.payload {
            Payload::None | Payload::Memory(_) => None,
            Payload::Upload(upload) => Some(upload),
        }
    }

    /// Frees what was kept for another attempt.
    pub(crate) fn forget(&mut self) {
        self.head = None;
        if let Payload::Upload(upload) = &self.payload {
            upload.forget();
        }
    }

    /// The upgrade that the caller asks for.
    pub(crate) fn take_upgrade(&mut self) -> Option<Upgrade> {
        self.upgrade.take()
    }
}

impl Head {
    /// A copy with room for what is added. The map's own `clone` has none, and would grow again and again.
    fn copy(&self) -> Self {
        let mut parts = Request::new(()).into_parts().0;
        parts.method = self.parts.method.clone();
        parts.uri = self.parts.uri.clone();
        parts.headers = HeaderMap::with_capacity(self.parts.headers.len() + headers::ADDED);
        for (name, value) in &self.parts.headers {
            parts.headers.append(name, value.clone());
        }
        Self { parts, ..*self }
    }
}

impl Payload {
    /// The body of a request that came in at `now`; with `keep` a small one can be sent more than once.
    fn new(body: Body, keep: bool, now: Timestamp) -> Self {
        if body.is_end_stream() {
            return Self::None;
        }
        match body.as_memory() {
            Some(bytes) => Self::Memory(bytes.clone()),
            None => Self::Upload(Upload::new(body, keep, now)),
        }
    }
}
