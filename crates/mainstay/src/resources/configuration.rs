//! `Configuration`: of all that it may say, which secrets an app may read.

use mainstay_secrets::{Access, Scope, Scopes};

use super::file;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Place};
use crate::document::{Document, did_you_mean};

/// A Configuration of a resource file.
#[derive(Clone, Debug)]
pub(crate) struct Configuration {
    /// Its name, which apps name in `config`.
    pub(crate) name: String,
    /// Which secrets may be read, each with its place.
    scopes: Vec<(Scope, Place)>,
    /// Where it is written.
    place: Place,
}

impl Configuration {
    pub(super) fn read(
        file: file::Configuration,
        document: &Document,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let name = file.metadata.name;
        for (key, restricts) in unused(&file.spec) {
            let message = format!("`{key}` of the Configuration `{name}` is not used yet");
            let place = document.find(&["spec", key]);
            let diagnostic = Diagnostic::error(Code::NOT_USED, place, message);
            // What it forbids is allowed: that should not go unseen.
            diagnostics.push(if restricts {
                diagnostic.warning()
            } else {
                diagnostic.note()
            });
        }
        let written = file.spec.secrets.map_or_else(Vec::new, |secrets| secrets.scopes);
        let mut scopes: Vec<(Scope, Place)> = Vec::new();
        for (index, scope) in written.into_iter().enumerate() {
            let path = ["spec", "secrets", "scopes", &index.to_string()];
            let place = document.find(&path);
            let first = scopes.iter().find(|(known, _)| known.store == scope.store_name);
            if let Some((_, first)) = first {
                let message = format!(
                    "there is a scope of `{}` at {} already",
                    scope.store_name,
                    first.short()
                );
                let repeated = Diagnostic::error(Code::DUPLICATE_KEY, place, message);
                diagnostics.push(repeated.help("make one of the two"));
                continue;
            }
            let written = scope.default_access.unwrap_or_default();
            let Ok(default_access) = Access::parse(&written) else {
                let place = document.find(&[&path[..], &["defaultAccess"]].concat());
                let message = format!("`defaultAccess` is `{written}`");
                let help = did_you_mean(&written, ["allow", "deny"]);
                diagnostics.push(Diagnostic::error(Code::OUT_OF_RANGE, place, message).help(help));
                continue;
            };
            let scope = Scope {
                store: scope.store_name,
                default_access,
                allowed: scope.allowed_secrets,
                denied: scope.denied_secrets,
            };
            scopes.push((scope, place));
        }
        Self {
            name,
            scopes,
            place: document.find(&["metadata", "name"]),
        }
    }
}

/// The sections without effect, and whether each forbids something.
fn unused(spec: &file::ConfigurationSpec) -> impl Iterator<Item = (&'static str, bool)> {
    let sections = [
        ("accessControl", spec.access_control.is_some(), true),
        ("api", spec.api.is_some(), true),
        ("components", spec.components.is_some(), true),
        ("appHttpPipeline", spec.app_http_pipeline.is_some(), true),
        ("httpPipeline", spec.http_pipeline.is_some(), true),
        ("features", spec.features.is_some(), false),
        ("logging", spec.logging.is_some(), false),
        ("metric", spec.metric.is_some(), false),
        ("metrics", spec.metrics.is_some(), false),
        ("mtls", spec.mtls.is_some(), false),
        ("nameResolution", spec.name_resolution.is_some(), false),
        ("tracing", spec.tracing.is_some(), false),
        ("wasm", spec.wasm.is_some(), true),
        ("workflow", spec.workflow.is_some(), false),
    ];
    let there = sections.into_iter().filter(|(_, is_there, _)| *is_there);
    there.map(|(key, _, restricts)| (key, restricts))
}

/// Tells of two Configurations of one name, and of scopes of components that do not exist.
pub(crate) fn check(configurations: &[Configuration], stores: &[&str], diagnostics: &mut Diagnostics) {
    for (index, configuration) in configurations.iter().enumerate() {
        let Configuration { name, place, .. } = configuration;
        let mut before = configurations.iter().take(index);
        if let Some(first) = before.find(|known| known.name == *name) {
            let message = format!(
                "there is a Configuration `{name}` at {} already",
                first.place.short()
            );
            let taken = Diagnostic::error(Code::NAME_TAKEN, place.clone(), message);
            diagnostics.push(taken.help("give each its own name"));
        }
        for (scope, place) in &configuration.scopes {
            if !stores.contains(&scope.store.as_str()) {
                let message = format!(
                    "there is no secret store `{}`: its scope has no effect",
                    scope.store
                );
                let help = did_you_mean(&scope.store, stores.iter().copied());
                let unknown = Diagnostic::error(Code::NO_RESOURCE, place.clone(), message);
                diagnostics.push(unknown.help(help).warning());
            }
        }
    }
}

/// Which secrets an app may read: as the Configuration says that it names, else as the only one says that has something
/// to say about secrets. `named` is the name with its place, `app` the place of the app.
pub(crate) fn scopes_of(
    configurations: &[Configuration],
    named: Option<(&str, Place)>,
    app: (&str, &Place),
) -> Result<Scopes, Box<Diagnostic>> {
    let chosen = if let Some((name, place)) = named {
        let found = configurations.iter().find(|known| known.name == name);
        Some(found.ok_or_else(|| {
            let message = format!("there is no Configuration `{name}`");
            let names: Vec<&str> = configurations.iter().map(|known| known.name.as_str()).collect();
            let help = if names.is_empty() {
                "put a Dapr Configuration of that name into the folder of `resources`".to_owned()
            } else {
                did_you_mean(name, names)
            };
            Box::new(Diagnostic::error(Code::NO_RESOURCE, place, message).help(help))
        })?)
    } else {
        let mut speaking = configurations.iter().filter(|known| !known.scopes.is_empty());
        match (speaking.next(), speaking.next()) {
            (first, None) => first,
            (_, Some(second)) => {
                let (name, place) = app;
                let message = format!("which secrets `{name}` may read is said by several Configurations");
                let help = format!("name one of them: `config: {}`", second.name);
                let unclear = Diagnostic::error(Code::CONTRADICTION, place.clone(), message);
                return Err(Box::new(unclear.help(help)));
            }
        }
    };
    merged(chosen)
}

/// Which secrets may be read when all of these hold: the files of a sidecar.
pub(crate) fn merged<'a>(
    configurations: impl IntoIterator<Item = &'a Configuration>,
) -> Result<Scopes, Box<Diagnostic>> {
    let mut scopes: Vec<Scope> = Vec::new();
    for (scope, place) in configurations.into_iter().flat_map(|one| &one.scopes) {
        if scopes.iter().any(|known| known.store == scope.store) {
            let message = format!("there are two scopes of `{}`", scope.store);
            let repeated = Diagnostic::error(Code::DUPLICATE_KEY, place.clone(), message);
            return Err(Box::new(repeated.help("make one of the two")));
        }
        scopes.push(scope.clone());
    }
    // They differ in their stores.
    Ok(Scopes::new(scopes).unwrap_or_default())
}
