//! `Resiliency`: which policies hold for calls to which app.

use std::collections::BTreeMap;

use mainstay_base::AppId;
use mainstay_policy::overrides::Overrides;

use super::file;
use super::policies::Reader;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Place};
use crate::document::{Document, did_you_mean};

/// One resource, read.
#[derive(Debug)]
pub(crate) struct Resiliency {
    /// Apps to whose calls it applies; all when empty.
    pub(crate) scopes: Vec<String>,
    /// By kind and name.
    policies: BTreeMap<(Kind, String), Overrides>,
    /// By app: the names of policies.
    pub(crate) targets: Vec<Target>,
}

/// The kinds of policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Timeout,
    Retry,
    CircuitBreaker,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Timeout, Self::Retry, Self::CircuitBreaker];

    /// The names under which a policy holds for every app that no target names, the most specific first.
    const fn defaults(self) -> &'static [&'static str] {
        match self {
            Self::Timeout => &["DefaultAppTimeoutPolicy", "DefaultTimeoutPolicy"],
            Self::Retry => &[
                "DefaultAppRetryPolicy",
                "DefaultRetryPolicy",
                "DaprBuiltInServiceRetries",
            ],
            Self::CircuitBreaker => &["DefaultAppCircuitBreakerPolicy", "DefaultCircuitBreakerPolicy"],
        }
    }

    const fn section(self) -> &'static str {
        match self {
            Self::Timeout => "timeouts",
            Self::Retry => "retries",
            Self::CircuitBreaker => "circuitBreakers",
        }
    }
}

/// What holds for calls to one app.
#[derive(Debug)]
pub(crate) struct Target {
    /// The app.
    pub(crate) app: String,
    /// Where its name stands.
    pub(crate) place: Place,
    names: Vec<(Kind, String, Place)>,
}

impl Resiliency {
    pub(super) fn read(file: &file::Resiliency, document: &Document, diagnostics: &mut Diagnostics) -> Self {
        let file::ResiliencySpec {
            policies: written,
            targets,
        } = &file.spec;
        let mut reader = Reader {
            document,
            diagnostics,
        };
        let mut policies = BTreeMap::new();
        for (name, timeout) in written.timeouts.iter() {
            policies.insert((Kind::Timeout, name.clone()), reader.timeout(name, timeout.0));
        }
        for (name, retry) in written.retries.iter() {
            policies.insert((Kind::Retry, name.clone()), reader.retry(name, retry));
        }
        for (name, breaker) in written.circuit_breakers.iter() {
            policies.insert(
                (Kind::CircuitBreaker, name.clone()),
                reader.circuit_breaker(name, breaker),
            );
        }
        for (section, present) in [
            ("actors", targets.actors.is_some()),
            ("components", targets.components.is_some()),
        ] {
            if present {
                let message = format!("`targets.{section}` is not used yet");
                let place = document.find(&["spec", "targets", section]);
                reader
                    .diagnostics
                    .push(Diagnostic::error(Code::NOT_USED, place, message).note());
            }
        }
        let targets = targets.apps.iter();
        Self {
            scopes: file.scopes.clone(),
            policies,
            targets: targets
                .map(|(app, target)| Target::read(app, target, document, diagnostics))
                .collect(),
        }
    }

    fn applies_to(&self, caller: &AppId) -> bool {
        self.scopes.is_empty() || self.scopes.iter().any(|scope| scope == caller.as_str())
    }
}

impl Target {
    fn read(app: &str, file: &file::AppTarget, document: &Document, diagnostics: &mut Diagnostics) -> Self {
        let at = |key: &str| document.find(&["spec", "targets", "apps", app, key]);
        if file.circuit_breaker_cache_size.is_some() {
            let message =
                "`circuitBreakerCacheSize` has no effect: there is one breaker per caller and callee";
            let place = at("circuitBreakerCacheSize");
            diagnostics.push(Diagnostic::error(Code::NOT_USED, place, message).note());
        }
        let names = [
            (Kind::Timeout, &file.timeout, "timeout"),
            (Kind::Retry, &file.retry, "retry"),
            (Kind::CircuitBreaker, &file.circuit_breaker, "circuitBreaker"),
        ];
        let names = names
            .into_iter()
            .filter_map(|(kind, name, key)| Some((kind, name.clone()?, at(key))));
        Self {
            app: app.to_owned(),
            place: document.find(&["spec", "targets", "apps", app]),
            names: names.collect(),
        }
    }
}

/// What the resources change about the calls of `caller` to `target`. As in Dapr, a later resource wins over an earlier
/// one, and policies that hold by their name do so only for apps that no target names.
pub(crate) fn overrides(resources: &[Resiliency], caller: &AppId, target: &AppId) -> Overrides {
    let applying = || {
        resources
            .iter()
            .rev()
            .filter(|resource| resource.applies_to(caller))
    };
    let policy = |kind: Kind, name: &str| {
        let key = (kind, name.to_owned());
        applying().find_map(|resource| resource.policies.get(&key))
    };
    let named = applying()
        .flat_map(|resource| &resource.targets)
        .find(|named| named.app == target.as_str());
    let found = Kind::ALL.into_iter().filter_map(|kind| match named {
        Some(named) => {
            let (_, name, _) = named.names.iter().find(|(known, ..)| *known == kind)?;
            policy(kind, name)
        }
        None => kind.defaults().iter().find_map(|name| policy(kind, name)),
    });
    found.fold(Overrides::default(), |all, one| Overrides {
        timeout: one.timeout.clone().or(all.timeout),
        max_retries: one.max_retries.clone().or(all.max_retries),
        backoff: one.backoff.clone().or(all.backoff),
        retry_on: one.retry_on.clone().or(all.retry_on),
        trip: one.trip.clone().or(all.trip),
        window: one.window.clone().or(all.window),
        open: one.open.clone().or(all.open),
    })
}

/// Checks that targets name policies that exist, and tells where a target is named twice.
pub(super) fn check_names(resources: &[Resiliency], diagnostics: &mut Diagnostics) {
    let all: Vec<&(Kind, String)> = resources
        .iter()
        .flat_map(|resource| resource.policies.keys())
        .collect();
    let mut first: BTreeMap<(&str, &[String]), &Place> = BTreeMap::new();
    for (resource, target) in resources
        .iter()
        .flat_map(|resource| resource.targets.iter().map(move |target| (resource, target)))
    {
        for (kind, name, place) in &target.names {
            let of_kind = || {
                all.iter()
                    .filter(|(known, _)| known == kind)
                    .map(|(_, name)| name.as_str())
            };
            if !of_kind().any(|known| known == name) {
                let message = format!("there is no `{name}` among the {}", kind.section());
                let help = did_you_mean(name, of_kind().collect::<Vec<_>>());
                diagnostics.push(Diagnostic::error(Code::UNKNOWN_POLICY, place.clone(), message).help(help));
            }
        }
        if let Some(earlier) = first.insert((&target.app, &resource.scopes), &target.place) {
            let message = format!(
                "this takes the place of what {} says of calls to `{}`",
                earlier.short(),
                target.app
            );
            diagnostics.push(Diagnostic::error(Code::OVERRIDDEN, target.place.clone(), message).warning());
        }
    }
}
