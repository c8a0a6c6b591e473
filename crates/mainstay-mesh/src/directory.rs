//! Who there is to call and who calls: the topology as the call path sees it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use mainstay_base::{AppId, Priority};
use mainstay_policy::EdgePolicy;

use crate::callee::{Callee, CalleeState};
use crate::edge::{CallerState, Edge};
use crate::{CallError, EdgeConfig, Reason, Topology};

/// The topology. Read without a lock; changes are made one at a time.
#[derive(Debug)]
pub(crate) struct Directory {
    current: ArcSwap<Entries>,
    changing: Mutex<()>,
    workers: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Entries {
    pub(crate) callees: HashMap<AppId, Arc<Callee>>,
    pub(crate) callers: HashMap<AppId, Arc<CallerState>>,
    undeclared: Option<EdgePolicy>,
}

impl Directory {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            current: ArcSwap::default(),
            changing: Mutex::new(()),
            workers,
        }
    }

    pub(crate) fn entries(&self) -> Arc<Entries> {
        self.current.load_full()
    }

    /// Makes `topology` the present one.
    pub(crate) fn configure(&self, topology: Topology) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.current.load_full();
        let callees: HashMap<_, _> = topology
            .targets
            .into_iter()
            .map(|config| {
                let known = before.callees.get(&config.app).map(|callee| callee.state.clone());
                let state = known.unwrap_or_else(|| Arc::new(CalleeState::new(self.workers)));
                (config.app.clone(), Arc::new(Callee { config, state }))
            })
            .collect();
        let mut edges: HashMap<AppId, Vec<Arc<Edge>>> = HashMap::new();
        for name in callees.keys().chain(before.callers.keys()) {
            edges.entry(name.clone()).or_default();
        }
        for config in topology.edges {
            let of_caller = edges.entry(config.caller.clone()).or_default();
            if let Some(callee) = callees.get(&config.target) {
                of_caller.push(Arc::new(Edge::new(config, callee.clone())));
            }
        }
        let callers = edges
            .into_iter()
            .map(|(app, mut edges)| {
                edges.sort_by(|left, right| left.config.target.cmp(&right.config.target));
                let known = before.callers.get(&app).cloned();
                let state = known.unwrap_or_else(|| Arc::new(CallerState::new(app.clone())));
                state.edges.store(Arc::new(edges));
                (app, state)
            })
            .collect();
        self.current.store(Arc::new(Entries {
            callees,
            callers,
            undeclared: topology.undeclared,
        }));
    }

    /// The edge from `caller` to `target`.
    pub(crate) fn edge(&self, caller: &CallerState, target: &str) -> Result<Arc<Edge>, CallError> {
        match caller.edge(target) {
            Some(edge) => Ok(edge),
            None => self.undeclared_edge(caller, target),
        }
    }

    /// An edge that nobody declared is made at its first call, where that is allowed at all.
    #[cold]
    fn undeclared_edge(&self, caller: &CallerState, target: &str) -> Result<Arc<Edge>, CallError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(edge) = caller.edge(target) {
            return Ok(edge);
        }
        let entries = self.current.load();
        let callee = entries.callees.get(target).ok_or_else(|| unknown(target))?;
        let policy = entries
            .undeclared
            .clone()
            .ok_or_else(|| not_allowed(&caller.app, target))?;
        let edge = Arc::new(Edge::new(
            EdgeConfig {
                caller: caller.app.clone(),
                target: callee.config.app.clone(),
                policy,
                fallback: None,
                priority: Priority::default(),
            },
            callee.clone(),
        ));
        let mut edges = caller.edges.load_full().to_vec();
        edges.push(edge.clone());
        edges.sort_by(|left, right| left.config.target.cmp(&right.config.target));
        caller.edges.store(Arc::new(edges));
        Ok(edge)
    }
}

fn unknown(target: &str) -> CallError {
    let message = format!("there is no app and no external service called `{target}` in the manifest");
    CallError::new(Reason::UnknownTarget, message)
}

fn not_allowed(caller: &AppId, target: &str) -> CallError {
    let message =
        format!("`{caller}` may not call `{target}`: add it to `calls:` of {caller} in the manifest");
    CallError::new(Reason::NotAllowed, message)
}
