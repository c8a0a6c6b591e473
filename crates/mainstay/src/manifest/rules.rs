//! What a schema cannot say: names that must exist, things that must not be there twice, waits that never end.

mod needs;

use std::collections::{BTreeMap, BTreeSet};

use mainstay_base::{AppId, format_duration};

use super::build::{BACKOFF_MAX, BACKOFF_MIN};
use super::file::{App, Calls, Fallback, Probe, Replicas, Restart};
use super::{INGRESS, Parsed};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Place};
use crate::document::{Value, did_you_mean};
use crate::resources::Resources;

pub(super) use needs::{needs_of, restart_word};

/// Checks all rules.
pub(crate) fn check(parsed: &Parsed, resources: &Resources) -> Diagnostics {
    let mut rules = Rules {
        parsed,
        resources,
        apps: keys(parsed, "apps"),
        externals: keys(parsed, "external"),
        endpoints: resources
            .endpoints
            .iter()
            .map(|endpoint| endpoint.name.as_str())
            .collect(),
        diagnostics: Diagnostics::default(),
    };
    rules.names();
    rules.endpoints();
    rules.resiliency();
    rules.ports();
    rules.routes();
    for (name, app) in parsed.file.apps.iter() {
        rules.calls(name, app);
        rules.needs(name, app);
        rules.probes(name, app);
        rules.restart(name, app);
    }
    rules.needs_cycles();
    rules.diagnostics
}

/// The keys under `section` as they are written, also those whose content is wrong: a call to them is no second mistake.
fn keys<'a>(parsed: &'a Parsed, section: &str) -> Vec<&'a str> {
    match parsed.document.root.get(section).map(|node| &node.value) {
        Some(Value::Map(entries)) => entries.iter().map(|entry| entry.key.as_str()).collect(),
        _ => Vec::new(),
    }
}

struct Rules<'a> {
    parsed: &'a Parsed,
    resources: &'a Resources,
    apps: Vec<&'a str>,
    externals: Vec<&'a str>,
    endpoints: Vec<&'a str>,
    diagnostics: Diagnostics,
}

impl<'a> Rules<'a> {
    fn place(&self, path: &[&str]) -> Place {
        self.parsed.document.find(path)
    }

    fn error(&mut self, code: Code, path: &[&str], message: String, help: impl Into<String>) {
        let place = self.place(path);
        self.diagnostics
            .push(Diagnostic::error(code, place, message).help(help));
    }

    fn names(&mut self) {
        for (section, names) in [("apps", self.apps.clone()), ("external", self.externals.clone())] {
            if names.contains(&INGRESS) {
                let message = format!("`{INGRESS}` is the name under which the front door calls");
                self.error(
                    Code::NAME_TAKEN,
                    &[section, INGRESS],
                    message,
                    "give it another name",
                );
            }
        }
        for name in self.externals.clone() {
            if self.apps.contains(&name) {
                let message = format!("`{name}` is an app and an external service");
                let help = format!(
                    "the app is at {}; rename one of the two",
                    self.place(&["apps", name]).short()
                );
                self.error(Code::NAME_TAKEN, &["external", name], message, help);
            }
        }
    }

    fn ports(&mut self) {
        let mut first: BTreeMap<u16, &str> = BTreeMap::new();
        for (name, app) in self.parsed.file.apps.iter() {
            let Some(port) = app.port else { continue };
            let path = ["apps", name.as_str(), "port"];
            let most = match &app.replicas {
                None => 1,
                Some(Replicas::Fixed(number)) => *number,
                Some(Replicas::Range(range)) => range.0.1,
            };
            if most > 1 {
                let message =
                    format!("`{name}` has up to {most} replicas, they cannot all listen on port {port}");
                let help = "take `port` out and let each replica listen on its own $PORT";
                self.error(Code::PORT_WITH_REPLICAS, &path, message, help);
            }
            if let Some(other) = first.get(&port) {
                let message = format!("port {port} is already that of `{other}`");
                let help = format!(
                    "choose another port than that of {}, or take `port` out: each app is then given a free one in $PORT",
                    self.place(&["apps", other, "port"]).short()
                );
                self.error(Code::DUPLICATE_PORT, &path, message, help);
            } else {
                first.insert(port, name.as_str());
            }
        }
    }

    fn routes(&mut self) {
        let mut first: BTreeMap<(Option<String>, String), (&AppId, usize)> = BTreeMap::new();
        for (name, app) in self.parsed.file.apps.iter() {
            let routes = app.ingress.as_ref().map_or(&[][..], |routes| routes.as_slice());
            for (index, route) in routes.iter().enumerate() {
                let path = ["apps", name.as_str(), "ingress", &index.to_string(), "path"];
                if !route.path.starts_with('/')
                    || route.path.contains(['?', '#'])
                    || route.path.contains(char::is_whitespace)
                {
                    let message = format!("`{}` is not the beginning of a path", route.path);
                    self.error(
                        Code::WRONG_FORM,
                        &path,
                        message,
                        "write it with a `/` in front and without `?` or `#`, for example /shop",
                    );
                    continue;
                }
                let trimmed = route.path.trim_end_matches('/').to_owned();
                let key = (route.host.as_ref().map(|host| host.to_ascii_lowercase()), trimmed);
                if let Some((other, _)) = first.get(&key) {
                    let host = key
                        .0
                        .as_ref()
                        .map_or_else(String::new, |host| format!(" on host {host}"));
                    let message = format!("`{}`{host} already goes to `{other}`", route.path);
                    let help = format!(
                        "see {}; give one of them a longer path or a host",
                        self.place(&["apps", other.as_str(), "ingress"]).short()
                    );
                    self.error(Code::DUPLICATE_ROUTE, &path, message, help);
                } else {
                    first.insert(key, (name, index));
                }
            }
        }
    }

    /// Everything that can be called.
    fn callable(&self) -> Vec<&'a str> {
        let mut all = [&self.apps[..], &self.externals, &self.endpoints].concat();
        all.sort_unstable();
        all.dedup();
        all
    }

    fn endpoints(&mut self) {
        let mut first: BTreeMap<&str, &Place> = BTreeMap::new();
        for endpoint in &self.resources.endpoints {
            let name = endpoint.name.as_str();
            let external = self
                .parsed
                .file
                .external
                .iter()
                .find(|(known, _)| known.as_str() == name);
            let taken = if let Some(place) = first.insert(name, &endpoint.place) {
                Some(("another HTTPEndpoint", place.clone()))
            } else if self.apps.contains(&name) {
                Some(("an app", self.place(&["apps", name])))
            } else if name == INGRESS {
                Some((
                    "the name of the front door",
                    Place::file(&self.parsed.document.file),
                ))
            } else if external.is_some_and(|(_, external)| external.url.is_some()) {
                Some((
                    "an external service with a `url`",
                    self.place(&["external", name, "url"]),
                ))
            } else {
                None
            };
            if let Some((what, place)) = taken {
                let message = format!("the HTTPEndpoint `{name}` has the name of {what}");
                let help = format!("see {}; keep one of the two, or rename one", place.short());
                self.diagnostics
                    .push(Diagnostic::error(Code::NAME_TAKEN, endpoint.place.clone(), message).help(help));
            }
        }
    }

    /// Targets of Resiliency resources that do not exist; a warning, because such files are shared between systems.
    fn resiliency(&mut self) {
        for target in self
            .resources
            .resiliencies
            .iter()
            .flat_map(|resource| &resource.targets)
        {
            if !self.callable().contains(&target.app.as_str()) {
                let message = format!(
                    "there is no app `{}`: what is said of it has no effect",
                    target.app
                );
                let help = did_you_mean(&target.app, self.callable());
                let diagnostic = Diagnostic::error(Code::UNKNOWN_APP, target.place.clone(), message);
                self.diagnostics.push(diagnostic.help(help).warning());
            }
        }
    }

    /// An `HTTPEndpoint` may be for certain callers only.
    fn scope(&mut self, name: &AppId, target: &AppId, path: &[&str]) {
        let endpoint = self
            .resources
            .endpoints
            .iter()
            .find(|endpoint| endpoint.name == *target);
        let Some(endpoint) = endpoint else { return };
        if !endpoint.scopes.is_empty() && !endpoint.scopes.iter().any(|scope| scope == name.as_str()) {
            let message = format!(
                "`{name}` calls `{target}`, whose scopes are {}",
                endpoint.scopes.join(", ")
            );
            let help = format!(
                "add `{name}` to the scopes at {}, or take the call out",
                endpoint.place.short()
            );
            self.error(Code::UNKNOWN_APP, path, message, help);
        }
    }

    fn calls(&mut self, name: &AppId, app: &App) {
        let calls: Vec<(&AppId, Option<&Fallback>, String)> = match &app.calls {
            Calls::List(list) => {
                let items = list.iter().enumerate();
                items
                    .map(|(index, target)| (&target.0, None, index.to_string()))
                    .collect()
            }
            Calls::Map(map) => map
                .iter()
                .map(|(target, call)| {
                    let fallback = call.as_ref().and_then(|call| call.fallback.as_ref());
                    (target, fallback, target.to_string())
                })
                .collect(),
        };
        let targets: Vec<&str> = calls.iter().map(|(target, ..)| target.as_str()).collect();
        let mut seen = BTreeSet::new();
        for (target, fallback, key) in &calls {
            let path = ["apps", name.as_str(), "calls", key.as_str()];
            if !self.callable().contains(&target.as_str()) {
                let message =
                    format!("`{name}` calls `{target}`, which is neither an app nor an external service");
                let help = did_you_mean(target.as_str(), self.callable());
                self.error(Code::UNKNOWN_APP, &path, message, help);
            }
            self.scope(name, target, &path);
            if !seen.insert(*target) {
                self.error(
                    Code::DUPLICATE_KEY,
                    &path,
                    format!("`{target}` is named twice"),
                    "keep one of the two",
                );
            }
            if let Some(fallback) = fallback {
                self.fallback(name, target, fallback, &targets);
            }
        }
    }

    fn fallback(&mut self, name: &AppId, target: &AppId, fallback: &Fallback, targets: &[&str]) {
        let path = ["apps", name.as_str(), "calls", target.as_str(), "fallback"];
        let fixed = fallback.status.is_some() || fallback.content_type.is_some() || fallback.body.is_some();
        match &fallback.app {
            None if !fixed => {
                let help = "write `app: NAME`, or `body` with `status` and `content_type`";
                self.error(
                    Code::CONTRADICTION,
                    &path,
                    "the fallback says nothing".to_owned(),
                    help,
                );
            }
            Some(_) if fixed => {
                let message = "the fallback names an app and a fixed answer".to_owned();
                self.error(
                    Code::CONTRADICTION,
                    &path,
                    message,
                    "keep `app`, or `status`, `content_type` and `body`",
                );
            }
            Some(other) if other.0 == *target => {
                let message = format!("`{target}` cannot stand in for itself");
                self.error(
                    Code::CONTRADICTION,
                    &path,
                    message,
                    "name another app, or give a fixed answer",
                );
            }
            Some(other) if !self.callable().contains(&other.0.as_str()) => {
                let message = format!(
                    "the fallback `{}` is neither an app nor an external service",
                    other.0
                );
                let help = did_you_mean(
                    other.0.as_str(),
                    targets
                        .iter()
                        .copied()
                        .filter(|known| *known != target.as_str())
                        .collect::<Vec<_>>(),
                );
                self.error(Code::UNKNOWN_APP, &path, message, help);
            }
            Some(other) if !targets.contains(&other.0.as_str()) => {
                let message = format!("the fallback `{}` is not among the calls of `{name}`", other.0);
                let help = format!(
                    "add `{}` to the calls of `{name}`: every call is declared",
                    other.0
                );
                self.error(Code::UNKNOWN_APP, &path, message, help);
            }
            Some(_) | None => {}
        }
    }

    fn probes(&mut self, name: &AppId, app: &App) {
        let probes = &app.probes;
        let all = [
            ("startup", &probes.startup),
            ("readiness", &probes.readiness),
            ("liveness", &probes.liveness),
        ];
        for (kind, probe) in all {
            let Some(probe) = probe else { continue };
            let path = ["apps", name.as_str(), "probes", kind];
            let given = actions(probe);
            if given.len() != 1 {
                let message = if given.is_empty() {
                    "the probe tries nothing".to_owned()
                } else {
                    format!("the probe tries several things: {}", given.join(", "))
                };
                self.error(
                    Code::CONTRADICTION,
                    &path,
                    message,
                    "give exactly one of `http`, `tcp`, `exec` and `log`",
                );
            }
        }
    }

    fn restart(&mut self, name: &AppId, app: &App) {
        let Some(Restart::Full(full)) = &app.restart else {
            return;
        };
        let min = full.backoff_min.as_ref().map_or(BACKOFF_MIN, |time| time.0);
        let max = full.backoff_max.as_ref().map_or(BACKOFF_MAX, |time| time.0);
        if min > max {
            let message = format!(
                "the shortest wait {} is longer than the longest, {}",
                format_duration(min),
                format_duration(max)
            );
            let path = ["apps", name.as_str(), "restart", "backoff_max"];
            let help = "give `backoff_min` and `backoff_max` the other way round";
            self.error(Code::OUT_OF_RANGE, &path, message, help);
        }
    }
}

fn actions(probe: &Probe) -> Vec<&'static str> {
    let given = [
        ("http", probe.http.is_some()),
        ("tcp", probe.tcp.is_some()),
        ("exec", probe.exec.is_some()),
        ("log", probe.log.is_some()),
    ];
    given
        .into_iter()
        .filter(|(_, given)| *given)
        .map(|(name, _)| name)
        .collect()
}
