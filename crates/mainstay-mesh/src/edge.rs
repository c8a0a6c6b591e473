//! Callers and their edges.

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::HeaderValue;
use mainstay_base::{AppId, Clock, SystemClock, Timestamp};
use mainstay_policy::EdgePolicy;
use mainstay_policy::breaker::{Breaker, Transition};
use mainstay_policy::budget::RetryBudget;
use mainstay_policy::hedge::Hedge;

use crate::EdgeConfig;
use crate::callee::Callee;
use crate::metrics::EdgeStats;
use crate::span::Spans;

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
    pub(crate) state: Arc<EdgeState>,
    pub(crate) stats: Arc<EdgeStats>,
    pub(crate) spans: Arc<Spans>,
    pub(crate) clock: SystemClock,
}

/// Headers that are the same for every call of an edge.
#[derive(Debug)]
pub(crate) struct EdgeHeaders {
    pub(crate) caller: HeaderValue,
    pub(crate) callee: HeaderValue,
}

/// What an edge has learnt under one policy.
#[derive(Debug)]
pub(crate) struct EdgeState {
    pub(crate) breaker: Breaker,
    pub(crate) budget: RetryBudget,
    pub(crate) hedge: Option<Hedge>,
}

impl EdgeState {
    fn new(policy: &EdgePolicy, now: Timestamp) -> Self {
        let hedge = policy.hedge.as_ref();
        Self {
            breaker: Breaker::new(policy.breaker.clone()),
            budget: RetryBudget::new(&policy.budget, now),
            hedge: hedge.map(|hedge| Hedge::new(hedge, policy.slow_after, now)),
        }
    }
}

impl Edge {
    /// The edge that `config` declares. What `before` counted is kept, and what it has learnt unless the policy changed.
    pub(crate) fn new(
        config: EdgeConfig,
        callee: Arc<Callee>,
        before: Option<&Self>,
        (spans, clock): (&Arc<Spans>, SystemClock),
    ) -> Self {
        // Every app id is a valid header value.
        let header = |app: &AppId| {
            HeaderValue::from_str(app.as_str()).unwrap_or_else(|_| HeaderValue::from_static(""))
        };
        let headers = EdgeHeaders {
            caller: header(&config.caller),
            callee: header(&config.target),
        };
        let learnt = before.filter(|before| before.config.policy == config.policy);
        let state = learnt.map_or_else(
            || Arc::new(EdgeState::new(&config.policy, clock.now())),
            |before| before.state.clone(),
        );
        Self {
            config,
            callee,
            headers,
            state,
            stats: before.map(|before| before.stats.clone()).unwrap_or_default(),
            spans: spans.clone(),
            clock,
        }
    }

    /// Caller and callee, as labels.
    pub(crate) fn names(&self) -> [&str; 2] {
        [self.config.caller.as_str(), self.config.target.as_str()]
    }

    /// Tells everybody that the breaker changed.
    pub(crate) fn breaker_changed(&self, transition: Option<Transition>) {
        let Some(transition) = transition else {
            return;
        };
        self.stats.changed(transition.to);
        tracing::info!(
            caller = %self.config.caller,
            target_app = %self.config.target,
            from = ?transition.from,
            to = ?transition.to,
            reason = transition.reason,
            "breaker changed"
        );
    }
}
