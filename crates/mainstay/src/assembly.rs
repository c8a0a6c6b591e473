//! From the manifest to the policies: one pure function that `run`, `explain` and `check` share, so that they cannot
//! disagree.

use std::collections::HashMap;

use http::HeaderValue;
use mainstay_base::{AppId, Priority};
use mainstay_mesh::{EdgeConfig, ExternalConfig, Fallback, TargetConfig, Topology};
use mainstay_policy::derive::{Derived, EdgeField, Origin, Promise, TargetField, derive_edge, derive_target};
use mainstay_policy::{EdgePolicy, TargetPolicy};

use crate::components::Secured;
use crate::diagnostic::Place;
use crate::manifest::{App, Call, INGRESS, Manifest};
use crate::resources;

/// Every policy of a system.
#[derive(Debug)]
pub(crate) struct Assembly {
    /// Who may call whom, and what the caller does about it: the front door first, then in the order of the manifest.
    pub(crate) edges: Vec<Edge>,
    /// What protects each callee: apps, then external services.
    pub(crate) targets: Vec<Target>,
}

/// An edge with its policy.
#[derive(Debug)]
pub(crate) struct Edge {
    /// Who calls.
    pub(crate) caller: AppId,
    /// Who is called.
    pub(crate) target: AppId,
    /// The policy and the reason for each of its numbers.
    pub(crate) derived: Derived<EdgePolicy, EdgeField>,
    /// What is answered when there is no answer.
    pub(crate) fallback: Option<Fallback>,
    /// Who is served first.
    pub(crate) priority: Priority,
    /// Where it is declared; absent for the call of an app to itself, which needs no declaration.
    pub(crate) place: Option<Place>,
}

/// A callee with its policy.
#[derive(Debug)]
pub(crate) struct Target {
    /// Its name.
    pub(crate) name: AppId,
    /// The policy and the reason for each of its numbers.
    pub(crate) derived: Derived<TargetPolicy, TargetField>,
}

/// Derives every policy of `manifest` and applies what its Resiliency resources say.
pub(crate) fn assemble(manifest: &Manifest) -> Assembly {
    let promises = manifest.apps.iter().map(|app| &app.promise);
    let promises: Vec<&Promise> = promises
        .chain(manifest.externals.iter().map(|external| &external.promise))
        .collect();
    let promise_of = |name: &AppId| promises.iter().copied().find(|promise| promise.service == *name);
    let edge = |caller: Caller<'_>, target: &AppId, call: Option<&Call>, place| {
        let callee = promise_of(target)?;
        let hedge = call.filter(|call| call.hedge).map(|call| Origin::Call {
            place: call.place.short().into(),
        });
        let mut derived = derive_edge(callee, caller.promise, hedge);
        let overrides = resources::overrides(&manifest.resiliencies, caller.name, target);
        overrides.apply(&mut derived, caller.promise);
        Some(Edge {
            caller: caller.name.clone(),
            target: target.clone(),
            derived,
            fallback: call.and_then(|call| call.fallback.clone()),
            priority: call.and_then(|call| call.priority).unwrap_or(caller.priority),
            place,
        })
    };
    let ingress = AppId::new(INGRESS).ok();
    let doors = manifest.apps.iter().filter(|app| !app.routes.is_empty());
    let doors = doors.filter_map(|app| {
        let caller = Caller {
            name: ingress.as_ref()?,
            promise: None,
            priority: app.promise.sla.priority,
        };
        edge(caller, app.id(), None, Some(app.place.clone()))
    });
    let mut edges: Vec<Edge> = doors.collect();
    for app in &manifest.apps {
        let calls = app.calls.iter();
        edges.extend(
            calls.filter_map(|call| edge(app.into(), &call.target, Some(call), Some(call.place.clone()))),
        );
        if !app.calls.iter().any(|call| call.target == *app.id()) {
            edges.extend(edge(app.into(), app.id(), None, None));
        }
    }
    let apps = manifest.apps.iter().map(|app| (&app.promise, app.replicas_max));
    let targets = apps.chain(manifest.externals.iter().map(|external| (&external.promise, 1)));
    let target = |(promise, replicas): (&Promise, u32)| Target {
        name: promise.service.clone(),
        derived: derive_target(promise, replicas),
    };
    Assembly {
        edges,
        targets: targets.map(target).collect(),
    }
}

#[derive(Clone, Copy)]
struct Caller<'a> {
    name: &'a AppId,
    /// Absent for the front door.
    promise: Option<&'a Promise>,
    priority: Priority,
}

impl<'a> From<&'a App> for Caller<'a> {
    fn from(app: &'a App) -> Self {
        Self {
            name: app.id(),
            promise: Some(&app.promise),
            priority: app.promise.sla.priority,
        }
    }
}

impl Assembly {
    /// What the mesh is configured with. `token` gives the `dapr-api-token` that an app expects of its runtime, `secured` what
    /// external services are called with.
    pub(crate) fn topology(
        &self,
        manifest: &Manifest,
        token: impl Fn(&App) -> Option<HeaderValue>,
        secured: &HashMap<AppId, Secured>,
    ) -> Topology {
        let policy = |name: &AppId| {
            let target = self.targets.iter().find(|target| target.name == *name);
            target.map(|target| target.derived.policy.clone())
        };
        let targets = manifest.apps.iter().filter_map(|app| {
            Some(TargetConfig {
                app: app.id().clone(),
                sla: app.promise.sla.clone(),
                policy: policy(app.id())?,
                protocol: app.protocol,
                token: token(app),
            })
        });
        let externals = manifest.externals.iter().filter_map(|external| {
            let Secured { headers, tls } = secured.get(&external.name)?.clone();
            Some(ExternalConfig {
                name: external.name.clone(),
                url: external.url.clone(),
                headers,
                tls,
                sla: external.promise.sla.clone(),
                policy: policy(&external.name)?,
            })
        });
        let edges = self.edges.iter().map(|edge| EdgeConfig {
            caller: edge.caller.clone(),
            target: edge.target.clone(),
            policy: edge.derived.policy.clone(),
            fallback: edge.fallback.clone(),
            priority: edge.priority,
        });
        Topology {
            targets: targets.collect(),
            externals: externals.collect(),
            edges: edges.collect(),
            undeclared: None,
        }
    }
}
