//! `mainstay check`: is the manifest sound, and can its promises hold together?

use std::time::Duration;

use clap::Args as ClapArgs;
use mainstay_base::AppId;
use mainstay_mesh::Fallback;
use mainstay_policy::arithmetic::{self, Call, Finding, Graph, Needs, Report, Role, Service, Substitute};
use mainstay_policy::derive::{Promise, UNLIMITED};
use mainstay_policy::retry::Backoff;
use serde_json::{Value, json};

use crate::assembly::{Assembly, Edge, assemble};
use crate::client::{print, print_json};
use crate::failure::Outcome;
use crate::folder::Folder;
use crate::manifest::{self, INGRESS, Manifest};
use crate::render;
use crate::render::color::Palette;

/// Check the manifest, and whether the SLAs in it can hold together
///
/// Exit code 0 when they can, 1 when one cannot, 2 when the manifest or a resource file is wrong.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Args {
    #[command(flatten)]
    folder: Folder,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Checks.
pub(crate) fn run(args: &Args) -> Outcome {
    let manifest = match manifest::load(args.folder.path()) {
        Ok(manifest) => manifest,
        Err(mistakes) if args.json => {
            print_json(&json!({ "holds": null, "diagnostics": mistakes.to_json() }))?;
            return Ok(2);
        }
        Err(mistakes) => return Err(mistakes.into()),
    };
    let report = arithmetic::analyse(&graph(&manifest, &assemble(&manifest)));
    if args.json {
        print_json(&to_json(&manifest, &report))?;
    } else {
        print(&render::check::report(
            &manifest,
            &report,
            Palette::of(&std::io::stdout()),
        ))?;
    }
    Ok(u8::from(!report.holds()))
}

/// The call graph of a manifest, with the policies that hold on its edges.
fn graph(manifest: &Manifest, assembly: &Assembly) -> Graph {
    let service = |promise: &Promise, role, replicas| Service {
        name: promise.service.clone(),
        role,
        latency: promise.latency_at.is_some().then_some(promise.sla.latency),
        availability: promise
            .availability_at
            .is_some()
            .then_some(promise.sla.availability),
        replicas,
    };
    let door = AppId::new(INGRESS)
        .ok()
        .map(|name| service(&Promise::nothing(name), Role::Door, 1));
    let apps = manifest
        .apps
        .iter()
        .map(|app| service(&app.promise, Role::App, app.spec.replicas));
    let externals = manifest
        .externals
        .iter()
        .map(|external| service(&external.promise, Role::External, 1));
    let calls = assembly
        .edges
        .iter()
        .filter(|edge| edge.place.is_some())
        .map(|edge| call(manifest, edge));
    Graph::new(
        door.into_iter().chain(apps).chain(externals).collect(),
        calls.collect(),
    )
}

fn call(manifest: &Manifest, edge: &Edge) -> Call {
    let policy = &edge.derived.policy;
    let declared = manifest.apps.iter().find(|app| *app.id() == edge.caller);
    let declared = declared.and_then(|app| app.calls.iter().find(|call| call.target == edge.target));
    let wait = match policy.retry.backoff {
        Backoff::FullJitter { .. } => Duration::ZERO,
        Backoff::Constant(wait) => wait,
        // Jittered by half.
        Backoff::Exponential { initial, .. } => initial / 2,
    };
    let attempts = match policy.retry.max_retries {
        // As many as there is time for.
        UNLIMITED => {
            let each = wait.max(Duration::from_millis(1)).as_nanos();
            u32::try_from(policy.call_timeout.as_nanos() / each).unwrap_or(u32::MAX)
        }
        retries => retries,
    };
    Call {
        caller: edge.caller.clone(),
        target: edge.target.clone(),
        substitute: match &edge.fallback {
            None => Substitute::Nothing,
            Some(Fallback::Static { .. }) => Substitute::Answer,
            Some(Fallback::App(app)) => Substitute::Service(app.clone()),
        },
        per_request: declared.map_or(1, |call| call.per_request),
        parallel: declared.is_some_and(|call| call.parallel),
        attempts: attempts.saturating_add(1),
        retry_wait: wait,
        budget_ratio: policy.budget.ratio,
        attempt_timeout: policy.attempt_timeout,
        call_timeout: policy.call_timeout,
    }
}

fn to_json(manifest: &Manifest, report: &Report) -> Value {
    let seconds = |time: Duration| time.as_secs_f64();
    let service = |needs: &Needs| {
        let promise = promise_of(manifest, &needs.service);
        let latency = promise.filter(|promise| promise.latency_at.is_some());
        let availability = promise.filter(|promise| promise.availability_at.is_some());
        json!({
            "service": needs.service.as_str(),
            "promised": {
                "p99_seconds": latency.map(|promise| seconds(promise.sla.latency.p99)),
                "max_seconds": latency.map(|promise| seconds(promise.longest())),
                "availability": availability.map(|promise| promise.sla.availability.ratio()),
            },
            "its_calls": {
                "p99_seconds": seconds(needs.p99),
                "max_seconds": seconds(needs.max),
                "availability": needs.availability,
            },
        })
    };
    let names = |path: &[AppId]| path.iter().map(|name| json!(name.as_str())).collect::<Value>();
    let finding = |finding: &Finding| {
        json!({
            "kind": finding.kind(),
            "severity": if finding.is_breach() { "error" } else { "warning" },
            "path": names(&finding.path()),
            "message": finding.message(),
            "ways_out": finding.ways(),
            "place": place(manifest, finding),
        })
    };
    json!({
        "holds": report.holds(),
        "services": report.services.iter().map(service).collect::<Value>(),
        "findings": report.findings.iter().map(finding).collect::<Value>(),
        "retry_amplification": report.amplification.as_ref().map(|found| json!({
            "path": names(&found.path),
            "attempts": found.attempts,
            "worst": found.worst,
            "load": found.load,
        })),
        "diagnostics": manifest.notices.to_json(),
    })
}

/// What a service of the manifest promises.
pub(crate) fn promise_of<'a>(manifest: &'a Manifest, service: &AppId) -> Option<&'a Promise> {
    let apps = manifest.apps.iter().map(|app| &app.promise);
    let externals = manifest.externals.iter().map(|external| &external.promise);
    apps.chain(externals).find(|promise| promise.service == *service)
}

/// Where the promise or the service stands that a finding is about: `mainstay.yaml:14`.
pub(crate) fn place(manifest: &Manifest, finding: &Finding) -> Option<String> {
    let path = finding.path();
    let service = match finding {
        Finding::SinglePoint { service, .. } => service,
        _ => path.iter().find(|service| service.as_str() != INGRESS)?,
    };
    let promise = promise_of(manifest, service)?;
    let promised = match finding {
        Finding::Availability { .. } => promise.availability_at.as_deref(),
        Finding::Latency { .. } => promise.latency_at.as_deref(),
        _ => None,
    };
    if let Some(place) = promised {
        return Some(place.to_owned());
    }
    let app = manifest
        .apps
        .iter()
        .find(|app| app.id() == service)
        .map(|app| &app.place);
    let external = || {
        manifest
            .externals
            .iter()
            .find(|external| external.name == *service)
            .map(|it| &it.place)
    };
    app.or_else(external).map(crate::diagnostic::Place::short)
}

#[cfg(test)]
mod tests;
