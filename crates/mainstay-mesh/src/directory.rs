//! Who there is to call and who calls: the topology as the call path sees it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use mainstay_base::{AppId, Clock, Priority, ReplicaId, SystemClock};
use mainstay_policy::derive::{Promise, derive_edge};
use mainstay_policy::gate::Gate;
use mainstay_policy::{EdgePolicy, TargetPolicy};

use crate::callee::{Callee, CalleeState};
use crate::edge::{CallerState, Edge};
use crate::origin::Origin;
use crate::span::Spans;
use crate::{CallError, EdgeConfig, ExternalConfig, TargetConfig, Topology};

/// The topology. Read without a lock; changes are made one at a time.
#[derive(Debug)]
pub(crate) struct Directory {
    current: ArcSwap<Entries>,
    changing: Mutex<()>,
    workers: usize,
    spans: Arc<Spans>,
    clock: SystemClock,
}

#[derive(Debug, Default)]
pub(crate) struct Entries {
    pub(crate) callees: HashMap<AppId, Arc<Callee>>,
    pub(crate) callers: HashMap<AppId, Arc<CallerState>>,
    /// The URLs of external services, the longest first.
    urls: Vec<(http::Uri, AppId)>,
    undeclared: Option<EdgePolicy>,
}

impl Entries {
    /// Every edge, sorted by caller and callee.
    pub(crate) fn edges(&self) -> Vec<Arc<Edge>> {
        let callers = self.callers.values();
        let mut edges: Vec<_> = callers.flat_map(|caller| caller.edges.load().to_vec()).collect();
        edges.sort_by(|left, right| left.names().cmp(&right.names()));
        edges
    }
}

impl Directory {
    pub(crate) fn new(workers: usize, spans: Arc<Spans>, clock: SystemClock) -> Self {
        Self {
            current: ArcSwap::default(),
            changing: Mutex::new(()),
            workers,
            spans,
            clock,
        }
    }

    pub(crate) fn entries(&self) -> Arc<Entries> {
        self.current.load_full()
    }

    /// Makes `topology` the present one.
    pub(crate) fn configure(&self, topology: Topology) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.current.load_full();
        let mut callees = HashMap::new();
        let mut urls = Vec::new();
        for config in topology.targets {
            callees.insert(config.app.clone(), self.app(config, &before));
        }
        for config in topology.externals {
            urls.push((config.url.clone(), config.name.clone()));
            callees.insert(config.name.clone(), self.external(config, &before));
        }
        urls.sort_by_key(|(url, _)| std::cmp::Reverse(url.path().len()));
        let callers = self.callers(topology.edges, &callees, &before);
        self.current.store(Arc::new(Entries {
            callees,
            callers,
            urls,
            undeclared: topology.undeclared,
        }));
    }

    fn app(&self, config: TargetConfig, before: &Entries) -> Arc<Callee> {
        let known = before
            .callees
            .get(&config.app)
            .filter(|callee| callee.protocol.is_some());
        let callee = Arc::new(Callee {
            gate: self.gate(&config.policy, known),
            state: self.state(known),
            app: config.app,
            sla: config.sla,
            policy: config.policy,
            protocol: Some(config.protocol),
            token: config.token,
            headers: Vec::new(),
        });
        if let Some(known) = known.filter(|known| known.policy != callee.policy) {
            callee.set_replicas(known.places(), true, self.clock.now());
        }
        callee
    }

    fn external(&self, config: ExternalConfig, before: &Entries) -> Arc<Callee> {
        let known = before
            .callees
            .get(&config.name)
            .filter(|callee| callee.protocol.is_none());
        let anew = known.is_some_and(|known| known.policy != config.policy);
        let callee = Arc::new(Callee {
            gate: self.gate(&config.policy, known),
            state: self.state(known),
            app: config.name,
            sla: config.sla,
            policy: config.policy,
            protocol: None,
            token: None,
            headers: config.headers,
        });
        let replica = ReplicaId {
            app: callee.app.clone(),
            index: 1,
        };
        let places = Origin::external(&config.url, config.tls.clone()).map(|origin| (replica, origin));
        callee.set_replicas(places.into_iter().collect(), anew, self.clock.now());
        callee
    }

    fn state(&self, known: Option<&Arc<Callee>>) -> Arc<CalleeState> {
        let known = known.map(|known| known.state.clone());
        known.unwrap_or_else(|| Arc::new(CalleeState::new(self.workers)))
    }

    fn gate(&self, policy: &TargetPolicy, known: Option<&Arc<Callee>>) -> Arc<Gate> {
        match known {
            Some(known) if known.policy == *policy => known.gate.clone(),
            _ => Gate::new(policy.queue.clone(), policy.limit.initial, Arc::new(self.clock)),
        }
    }

    fn callers(
        &self,
        configs: Vec<EdgeConfig>,
        callees: &HashMap<AppId, Arc<Callee>>,
        before: &Entries,
    ) -> HashMap<AppId, Arc<CallerState>> {
        let mut edges: HashMap<AppId, Vec<Arc<Edge>>> = HashMap::new();
        for name in callees.keys().chain(before.callers.keys()) {
            edges.entry(name.clone()).or_default();
        }
        for config in configs {
            let of_caller = edges.entry(config.caller.clone()).or_default();
            if let Some(callee) = callees.get(&config.target) {
                let known = before.callers.get(&config.caller);
                let known = known.and_then(|caller| caller.edge(config.target.as_str()));
                let shared = (&self.spans, self.clock);
                of_caller.push(Arc::new(Edge::new(
                    config,
                    callee.clone(),
                    known.as_deref(),
                    shared,
                )));
            }
        }
        let caller = |(app, mut edges): (AppId, Vec<Arc<Edge>>)| {
            edges.sort_by(|left, right| left.config.target.cmp(&right.config.target));
            let known = before.callers.get(&app).cloned();
            let state = known.unwrap_or_else(|| Arc::new(CallerState::new(app.clone())));
            state.edges.store(Arc::new(edges));
            (app, state)
        };
        edges.into_iter().map(caller).collect()
    }

    /// The edge from `caller` to `target`.
    pub(crate) fn resolve(&self, caller: &CallerState, target: &str) -> Result<Arc<Edge>, CallError> {
        match caller.edge(target) {
            Some(edge) => Ok(edge),
            None => self.undeclared(caller, target),
        }
    }

    /// The edge that the topology declares from `caller` to `target`.
    pub(crate) fn declared(&self, caller: &AppId, target: &AppId) -> Option<Arc<Edge>> {
        let entries = self.current.load();
        entries.callers.get(caller)?.edge(target.as_str())
    }

    /// The external service under whose URL `url` lies, and the path that leads there from its URL.
    pub(crate) fn external_at(&self, url: &str) -> Option<(AppId, String)> {
        let url: http::Uri = url.parse().ok()?;
        let path_under = |base: &http::Uri| {
            let path = url.path().strip_prefix(base.path().trim_end_matches('/'))?;
            let lies_under = base.scheme() == url.scheme()
                && base.authority() == url.authority()
                && (path.is_empty() || path.starts_with('/'));
            lies_under.then(|| path.trim_end_matches('/').to_owned())
        };
        let entries = self.current.load();
        entries
            .urls
            .iter()
            .find_map(|(base, name)| Some((name.clone(), path_under(base)?)))
    }

    /// An edge that nobody declared is made at its first call, where that is allowed at all.
    #[cold]
    fn undeclared(&self, caller: &CallerState, target: &str) -> Result<Arc<Edge>, CallError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(edge) = caller.edge(target) {
            return Ok(edge);
        }
        let entries = self.current.load();
        let callee = entries
            .callees
            .get(target)
            .ok_or_else(|| CallError::unknown_target(target))?;
        let policy = if caller.app == callee.app {
            own_policy(callee)
        } else {
            let undeclared = entries.undeclared.clone();
            undeclared.ok_or_else(|| CallError::not_allowed(&caller.app, target))?
        };
        let config = EdgeConfig {
            caller: caller.app.clone(),
            target: callee.app.clone(),
            policy,
            fallback: None,
            priority: Priority::default(),
        };
        let edge = Arc::new(Edge::new(config, callee.clone(), None, (&self.spans, self.clock)));
        let mut edges = caller.edges.load().to_vec();
        edges.push(edge.clone());
        edges.sort_by(|left, right| left.config.target.cmp(&right.config.target));
        caller.edges.store(Arc::new(edges));
        Ok(edge)
    }
}

/// What an app does about itself: what its promise says.
fn own_policy(callee: &Callee) -> EdgePolicy {
    let mut promise = Promise::nothing(callee.app.clone());
    promise.sla = callee.sla.clone();
    derive_edge(&promise, None, None).policy
}
