//! What a sidecar can call: its own app and the external services of its resource files.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use http::HeaderValue;
use mainstay_base::{AppId, Latency, Priority};
use mainstay_mesh::{AppProtocol, EdgeConfig, ExternalConfig, TargetConfig, Topology};
use mainstay_policy::derive::{Promise, derive_edge, derive_target};
use mainstay_secrets::Scopes;

use crate::components::{self, Home, Planned, Secured};
use crate::daprd::args::Args;
use crate::diagnostic::{Diagnostics, Place};
use crate::document;
use crate::failure::Failure;
use crate::resources::{self, Configuration, Resources, configuration};

/// Dapr cuts no call unless a Resiliency resource says so; a bound there has to be.
const LONGEST_CALL: Duration = Duration::from_secs(3600);

/// For the queue at the door, which such a bound would make endless.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What the files of a sidecar say.
#[derive(Debug)]
pub(crate) struct Files {
    /// What is in the folders of `--resources-path`.
    pub(crate) resources: Resources,
    /// Its components.
    pub(crate) components: Vec<Planned>,
    /// Which secrets its app may read: what `--config` names.
    pub(crate) secret_scopes: Scopes,
}

/// Reads the folders of `--resources-path` and the files of `--config`; what has no effect here is told in the log.
pub(crate) fn files(args: &Args) -> Result<Files, Failure> {
    let environment = |name: &str| std::env::var(name).ok();
    let mut all = Resources::default();
    let mut diagnostics = Diagnostics::default();
    for folder in &args.resources_path {
        let folder = folder.to_string_lossy();
        let place = Place::file(&folder);
        let read = resources::load(Path::new(""), &folder, place, &environment, &mut diagnostics);
        all.resiliencies.extend(read.resiliencies);
        all.endpoints.extend(read.endpoints);
        all.components.extend(read.components);
        for configuration in read.configurations {
            // As in Dapr.
            let name = configuration.name;
            tracing::info!("the Configuration `{name}` has no effect: name its file with --config");
        }
    }
    let declared = std::mem::take(&mut all.components);
    let components = components::plan(declared, Home::Sidecar, &mut diagnostics);
    let configurations = configurations(args, &environment, &mut diagnostics);
    configuration::check(
        &configurations,
        &components::secret_stores(&components),
        &mut diagnostics,
    );
    let secret_scopes = configuration::merged(&configurations).unwrap_or_else(|error| {
        diagnostics.push(*error);
        Scopes::default()
    });
    if diagnostics.has_errors() {
        return Err(diagnostics.sorted().into());
    }
    for diagnostic in diagnostics.iter() {
        tracing::info!("{diagnostic}");
    }
    Ok(Files {
        resources: all,
        components,
        secret_scopes,
    })
}

fn configurations(
    args: &Args,
    environment: &dyn Fn(&str) -> Option<String>,
    diagnostics: &mut Diagnostics,
) -> Vec<Configuration> {
    let mut found = Resources::default();
    for path in &args.config {
        let shown = path.to_string_lossy();
        match document::read(path, &shown) {
            Ok(text) => found.add(&text, &shown, environment, diagnostics),
            Err(error) => diagnostics.push(error),
        }
    }
    found.configurations
}

/// The topology of a sidecar of `app`.
pub(crate) fn topology(
    app: &AppId,
    protocol: AppProtocol,
    args: &Args,
    resources: &Resources,
    (token, secured): (Option<HeaderValue>, &HashMap<AppId, Secured>),
) -> Topology {
    let may_call = |scopes: &[String]| scopes.is_empty() || scopes.iter().any(|scope| scope == app.as_str());
    let endpoints = || {
        resources
            .endpoints
            .iter()
            .filter(|endpoint| may_call(&endpoint.scopes))
    };
    let edge = |target: &AppId| {
        let mut derived = derive_edge(&promise(target, None, LONGEST_CALL), None, None);
        resources::overrides(&resources.resiliencies, app, target).apply(&mut derived, None);
        let mut policy = derived.policy;
        // Nothing is promised, so nothing is slow.
        policy.slow_after = policy.attempt_timeout;
        EdgeConfig {
            caller: app.clone(),
            target: target.clone(),
            policy,
            fallback: None,
            priority: Priority::Normal,
        }
    };
    let own = promise(app, args.max_concurrency(), LONGEST_WAIT);
    let external = |endpoint: &resources::Endpoint| {
        let promise = promise(&endpoint.name, None, LONGEST_WAIT);
        let Secured { headers, tls } = secured.get(&endpoint.name)?.clone();
        Some(ExternalConfig {
            name: endpoint.name.clone(),
            url: endpoint.url.clone(),
            headers,
            tls,
            policy: derive_target(&promise, 1).policy,
            sla: promise.sla,
        })
    };
    Topology {
        targets: vec![TargetConfig {
            app: app.clone(),
            policy: derive_target(&own, 1).policy,
            sla: own.sla,
            protocol,
            token,
        }],
        externals: endpoints().filter_map(external).collect(),
        edges: std::iter::once(app)
            .chain(endpoints().map(|endpoint| &endpoint.name))
            .map(edge)
            .collect(),
        undeclared: None,
    }
}

/// What is assumed of a service behind a sidecar: nothing but that it answers at some time.
fn promise(service: &AppId, concurrency: Option<u32>, longest: Duration) -> Promise {
    let latency = Latency {
        p99: Duration::from_secs(1),
        max: Some(longest),
    };
    let promise = Promise::nothing(service.clone()).latency(latency, "daprd");
    match concurrency {
        Some(concurrency) => promise.concurrency(concurrency, "--app-max-concurrency"),
        None => promise,
    }
}
