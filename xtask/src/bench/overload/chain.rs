//! The same chain of services with Mainstay, Envoy or nothing between them.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{JITTER_MS, RETRIES, SERVICE_MS, WORKERS};
use crate::bench::child::{Child, Core};
use crate::bench::client;
use crate::bench::lab::{Lab, free_address};
use crate::bench::mainstay::{System, prometheus_sum, yaml_words};
use crate::bench::part;
use crate::bench::peers::{self, Hop};

/// A running chain.
pub(super) struct Chain {
    pub(super) name: &'static str,
    /// Where users come in.
    pub(super) entrance: SocketAddr,
    callee: SocketAddr,
    between: Between,
    _apps: Vec<Child>,
}

/// What is between the services.
enum Between {
    Mainstay(System),
    /// With the address of its admin interface.
    Envoy(
        SocketAddr,
        #[expect(dead_code, reason = "ends with its owner")] Child,
    ),
    Nothing,
}

/// What went through a chain.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Traffic {
    /// Requests that the callee has finished.
    pub(super) done: u64,
    /// Calls over all edges, the users' included; absent where nobody counts.
    pub(super) calls: Option<u64>,
    /// Further attempts at them.
    pub(super) retries: Option<u64>,
}

impl Traffic {
    /// What was added since `earlier`.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        let less = |now: Option<u64>, then: Option<u64>| Some(now?.saturating_sub(then?));
        Self {
            done: self.done.saturating_sub(earlier.done),
            calls: less(self.calls, earlier.calls),
            retries: less(self.retries, earlier.retries),
        }
    }
}

impl Chain {
    /// All apps run by Mainstay; the policies are derived, but for the number of retries.
    pub(super) fn mainstay(lab: &Lab) -> Result<Self> {
        let callee = free_address()?;
        let layer = |name: &str,
                     next: &str,
                     latency: &str,
                     availability: &str,
                     priority: &str|
         -> Result<String> {
            let door = if name.starts_with('a') {
                format!("    ingress: {{ path: /{priority} }}\n")
            } else {
                String::new()
            };
            Ok(format!(
                "  {name}:\n    command: {}\n    calls: [{next}]\n{door}    sla: {{ latency: {latency}, availability: \
                 {availability}, priority: {priority} }}\n",
                yaml_words(&part(Core::Any, &["layer", "--invoke", next])?)
            ))
        };
        // The front door takes nobody's word for a priority, so each has an entrance of its own.
        let apps = [
            layer("a-critical", "b", "80ms", "99.5%", "critical")?,
            layer("a", "b", "80ms", "99.5%", "normal")?,
            layer("a-low", "b", "80ms", "99.5%", "low")?,
            layer("b", "c", "70ms", "99.6%", "normal")?,
            layer("c", "callee", "60ms", "99.7%", "normal")?,
        ];
        let callee_command = callee_words();
        let callee_command: Vec<&str> = callee_command.iter().map(String::as_str).collect();
        let manifest = format!(
            "name: overload\nresources: ./resources\napps:\n{}  callee:\n    command: {}\n    port: {}\n    \
             sla: {{ latency: 50ms, availability: 99.9% }}\n",
            apps.concat(),
            yaml_words(&part(Core::Any, &callee_command)?),
            callee.port(),
        );
        // Dapr's own file for it: each layer retries three times, for whatever its policies leave open.
        let resiliency = format!(
            "apiVersion: dapr.io/v1alpha1\nkind: Resiliency\nmetadata: {{ name: overload }}\nspec:\n  policies:\n    \
             retries: {{ three: {{ policy: exponential, maxInterval: 100ms, maxRetries: {RETRIES} }} }}\n  targets:\n    \
             apps: {{ b: {{ retry: three }}, c: {{ retry: three }}, callee: {{ retry: three }} }}\n"
        );
        lab.write("mainstay/resources/resiliency.yaml", &resiliency)?;
        let mut system = System::start(lab, "mainstay", Core::Any, &manifest, &[])?;
        system.wait("/normal/health")?;
        let entrance = system.ingress;
        Ok(Self {
            name: "Mainstay",
            entrance,
            callee,
            between: Between::Mainstay(system),
            _apps: Vec::new(),
        })
    }

    /// One Envoy with a listener in front of each service, as sidecars would be.
    pub(super) fn envoy(lab: &Lab) -> Result<Self> {
        let apps = Apps::choose()?;
        let [a, b, c, callee] = apps.addresses;
        let (front_a, front_b, front_c, front_callee) =
            (free_address()?, free_address()?, free_address()?, free_address()?);
        let hop = |name, listen, upstream| Hop {
            name,
            listen,
            upstream,
            http2: false,
            protected: true,
        };
        let hops = [
            hop("a", front_a, a),
            hop("b", front_b, b),
            hop("c", front_c, c),
            hop("callee", front_callee, callee),
        ];
        let admin = free_address()?;
        let running = apps.start(lab, "envoy", [front_b, front_c, front_callee], 1)?;
        let mut envoy = peers::envoy_proxy(lab, Core::Any, admin, &hops)?;
        envoy.wait_for_http(front_a, "/health")?;
        let between = Between::Envoy(admin, envoy);
        Ok(Self {
            name: "Envoy",
            entrance: front_a,
            callee,
            between,
            _apps: running,
        })
    }

    /// Layers that call each other directly and retry by themselves.
    pub(super) fn bare(lab: &Lab) -> Result<Self> {
        let apps = Apps::choose()?;
        let [a, b, c, callee] = apps.addresses;
        let running = apps.start(lab, "bare", [b, c, callee], RETRIES + 1)?;
        Ok(Self {
            name: "nothing",
            entrance: a,
            callee,
            between: Between::Nothing,
            _apps: running,
        })
    }

    /// What went through so far.
    pub(super) fn traffic(&self) -> Result<Traffic> {
        let done = client::get(self.callee, "/done")?.body.trim().parse()?;
        let (calls, retries) = match &self.between {
            Between::Mainstay(system) => {
                let metrics = system.metrics()?;
                (
                    Some(prometheus_sum(&metrics, "mainstay_calls_total")),
                    Some(prometheus_sum(&metrics, "mainstay_retries_total")),
                )
            }
            Between::Envoy(admin, _) => {
                let stats = client::get(*admin, "/stats?format=json")?.body;
                (
                    Some(envoy_sum(&stats, "downstream_rq_total")?),
                    Some(envoy_sum(&stats, "upstream_rq_retry")?),
                )
            }
            Between::Nothing => (None, None),
        };
        Ok(Traffic { done, calls, retries })
    }
}

fn callee_words() -> Vec<String> {
    let option = |name: &str, value: u32| [name.to_owned(), value.to_string()];
    let options = [
        option("--workers", WORKERS),
        option("--service-ms", SERVICE_MS),
        option("--jitter-ms", JITTER_MS),
    ];
    std::iter::once("callee".to_owned())
        .chain(options.into_iter().flatten())
        .collect()
}

/// The four services, started by this tool.
struct Apps {
    addresses: [SocketAddr; 4],
}

impl Apps {
    fn choose() -> Result<Self> {
        Ok(Self {
            addresses: [free_address()?, free_address()?, free_address()?, free_address()?],
        })
    }

    /// Starts them from the last to the first; `next` is whom a, b and c call.
    fn start(&self, lab: &Lab, prefix: &str, next: [SocketAddr; 3], attempts: u32) -> Result<Vec<Child>> {
        let mut running = Vec::new();
        let attempts = attempts.to_string();
        let layer = |next: SocketAddr| {
            let url = format!("http://{next}/work");
            ["layer", "--next", &url, "--attempts", &attempts]
                .map(str::to_owned)
                .to_vec()
        };
        let words = [layer(next[0]), layer(next[1]), layer(next[2]), callee_words()];
        let named = ["a", "b", "c", "callee"]
            .into_iter()
            .zip(words)
            .zip(self.addresses);
        for ((name, words), address) in named {
            let words = part(Core::Any, &words.iter().map(String::as_str).collect::<Vec<_>>())?;
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let env = [("PORT", address.port().to_string())];
            let mut child = lab.start(&format!("{prefix}-{name}"), Core::Any, &words, &env)?;
            child.wait_for_http(address, "/health")?;
            running.push(child);
        }
        Ok(running)
    }
}

/// All counters of the hops whose name ends so, added up. Those of the admin interface are left out.
fn envoy_sum(stats: &str, end: &str) -> Result<u64> {
    let stats: Value = serde_json::from_str(stats)?;
    let all = stats["stats"].as_array().context("Envoy gave no stats")?;
    let wanted = all.iter().filter(|stat| {
        let name = stat["name"].as_str().unwrap_or_default();
        ["a", "b", "c", "callee"]
            .iter()
            .any(|hop| name == format!("http.{hop}.{end}") || name == format!("cluster.{hop}.{end}"))
    });
    Ok(wanted.filter_map(|stat| stat["value"].as_u64()).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_the_hops_are_added_up() {
        let stats = r#"{"stats": [{"name": "http.a.rq", "value": 3}, {"name": "http.admin.rq", "value": 9},
            {"name": "cluster.callee.rq", "value": 4}, {"histograms": {}}]}"#;
        assert_eq!(envoy_sum(stats, "rq").unwrap(), 7);
    }
}
