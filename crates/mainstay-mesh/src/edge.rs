//! Callers and their edges.

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::HeaderValue;
use mainstay_base::AppId;

use crate::EdgeConfig;
use crate::callee::Callee;

/// A caller: an app, the ingress or the command line, with its edges. Cheap to clone; resolve it once per listener with
/// [`Mesh::caller`](crate::Mesh::caller). It follows every change of the topology.
#[derive(Clone, Debug)]
pub struct Caller {
    pub(crate) state: Arc<CallerState>,
    /// The client behind a front door.
    pub(crate) client: Option<Arc<Client>>,
}

impl Caller {
    /// The same caller for a connection of the client at `address`: the caller is a front door then, so what the
    /// client claims in `x-forwarded-*` and `forwarded` is replaced, and the callee sees the client's `host`.
    #[must_use]
    pub fn with_client(&self, address: IpAddr) -> Self {
        Self {
            state: self.state.clone(),
            client: Some(Arc::new(Client::new(address))),
        }
    }

    /// Its name.
    pub fn app(&self) -> &AppId {
        &self.state.app
    }
}

/// A client's address as headers tell it.
#[derive(Debug)]
pub(crate) struct Client {
    /// `x-forwarded-for`.
    pub(crate) address: HeaderValue,
    /// `forwarded` (RFC 7239).
    pub(crate) forwarded: HeaderValue,
}

impl Client {
    fn new(address: IpAddr) -> Self {
        let node = match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("\"[{address}]\""),
        };
        let header = |text: String| {
            HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
        };
        Self {
            address: header(address.to_string()),
            forwarded: header(format!("for={node};by=_mainstay;proto=http")),
        }
    }
}

/// What is known of a caller. Lives as long as somebody calls as it.
#[derive(Debug)]
pub(crate) struct CallerState {
    pub(crate) app: AppId,
    /// Sorted by the name of the callee.
    pub(crate) edges: ArcSwap<Vec<Arc<Edge>>>,
}

impl CallerState {
    pub(crate) fn new(app: AppId) -> Self {
        Self {
            app,
            edges: ArcSwap::default(),
        }
    }

    pub(crate) fn edge(&self, target: &str) -> Option<Arc<Edge>> {
        let edges = self.edges.load();
        let index = edges
            .binary_search_by(|edge| edge.config.target.as_str().cmp(target))
            .ok()?;
        edges.get(index).cloned()
    }
}

/// One edge, as configured now.
#[derive(Debug)]
pub(crate) struct Edge {
    pub(crate) config: EdgeConfig,
    pub(crate) callee: Arc<Callee>,
    pub(crate) headers: EdgeHeaders,
}

/// Headers that are the same for every call of an edge.
#[derive(Debug)]
pub(crate) struct EdgeHeaders {
    pub(crate) caller: HeaderValue,
    pub(crate) callee: HeaderValue,
}

impl Edge {
    pub(crate) fn new(config: EdgeConfig, callee: Arc<Callee>) -> Self {
        // Every app id is a valid header value.
        let header = |app: &AppId| {
            HeaderValue::from_str(app.as_str()).unwrap_or_else(|_| HeaderValue::from_static(""))
        };
        let headers = EdgeHeaders {
            caller: header(&config.caller),
            callee: header(&config.target),
        };
        Self {
            config,
            callee,
            headers,
        }
    }
}
