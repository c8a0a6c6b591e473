//! What there is to call and how: handed in as a whole, applied at once.

use std::net::SocketAddr;
use std::time::Duration;

use http::HeaderValue;
use mainstay_base::{AppId, ReplicaId, Sla};
use mainstay_policy::{EdgePolicy, TargetPolicy};

use crate::tls::ClientTls;

/// Everything there is to call.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    /// Apps of the manifest.
    pub targets: Vec<TargetConfig>,
    /// External services of the manifest and Dapr `HTTPEndpoint`s.
    pub externals: Vec<ExternalConfig>,
    /// Who may call whom, and how.
    pub edges: Vec<EdgeConfig>,
    /// What a caller does about a callee to which it has no edge: such a call is refused when this is absent, unless
    /// an app calls itself.
    pub undeclared: Option<EdgePolicy>,
}

/// An app that can be called.
#[derive(Clone, Debug)]
pub struct TargetConfig {
    /// Its name.
    pub app: AppId,
    /// What it promises.
    pub sla: Sla,
    /// What protects it.
    pub policy: TargetPolicy,
    /// What it speaks.
    pub protocol: AppProtocol,
    /// The `dapr-api-token` it expects of its runtime (`APP_API_TOKEN`).
    pub token: Option<HeaderValue>,
}

/// What an app speaks, always without TLS (Dapr's `--app-protocol`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AppProtocol {
    /// HTTP/1.1.
    #[default]
    Http,
    /// HTTP over HTTP/2 with prior knowledge.
    H2c,
    /// gRPC. An HTTP invocation reaches it as `AppCallback.OnInvoke`; that translation is `mainstay-api`'s work.
    Grpc,
}

/// A service that Mainstay does not run.
#[derive(Clone, Debug)]
pub struct ExternalConfig {
    /// Its name.
    pub name: AppId,
    /// `http://` or `https://`, with an optional path prefix.
    pub url: http::Uri,
    /// Headers added to every request.
    pub headers: Vec<(http::HeaderName, HeaderValue)>,
    /// What is special about its TLS, where `https://` is spoken.
    pub tls: Option<ClientTls>,
    /// What it promises.
    pub sla: Sla,
    /// What protects it.
    pub policy: TargetPolicy,
}

/// One edge.
#[derive(Clone, Debug)]
pub struct EdgeConfig {
    /// Who calls.
    pub caller: AppId,
    /// Who is called: an app or an external service.
    pub target: AppId,
    /// What the caller does about it.
    pub policy: EdgePolicy,
    /// What is answered when there is no answer.
    pub fallback: Option<Fallback>,
    /// The priority of its calls where the request names none (`mainstay-priority`).
    pub priority: mainstay_base::Priority,
}

/// What is answered when there is no answer. Marked with the header `mainstay-fallback: static` or `: app NAME`.
#[derive(Clone, Debug)]
pub enum Fallback {
    /// A fixed answer.
    Static {
        /// Its status.
        status: http::StatusCode,
        /// Its content type.
        content_type: HeaderValue,
        /// Its body.
        body: bytes::Bytes,
    },
    /// The same request to another app (an edge to it must exist).
    App(AppId),
}

/// Where a replica listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Which replica.
    pub replica: ReplicaId,
    /// Its address.
    pub address: SocketAddr,
}

/// The time a connection to an app may take to come about.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
