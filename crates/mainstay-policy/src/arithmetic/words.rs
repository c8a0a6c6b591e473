//! Findings in words.

use std::time::Duration;

use mainstay_base::{AppId, Availability, format_duration};

use super::Amplification;
use super::finding::{Finding, Part, Way};

impl Finding {
    /// What is wrong, in one sentence with its figures.
    pub fn message(&self) -> String {
        let time = |time: &Duration| format_duration(*time);
        match self {
            Self::Availability {
                service,
                promised,
                bound,
                factors,
                ..
            } => {
                format!(
                    "{service} promises {promised}, and needs {}",
                    product(factors, *bound)
                )
            }
            Self::Latency {
                service,
                p99,
                promised,
                needed,
                parts,
                ..
            } => {
                let figure = if *p99 { "" } else { " at most" };
                let promised = time(promised);
                format!(
                    "{service} promises {promised}{figure}, and its calls take {}",
                    sum(parts, *needed)
                )
            }
            Self::Amplification(amplification) => amplification.message(),
            Self::SinglePoint {
                service,
                external,
                dependents,
                path,
            } => {
                let what = if *external {
                    "is outside of your hands"
                } else {
                    "runs as one replica"
                };
                let outside = || "requests from outside".to_owned();
                let who = if path.is_empty() {
                    names(dependents)
                } else {
                    outside()
                };
                format!("{service} {what}, and {who} cannot do without it")
            }
            Self::Cycle { .. } => {
                "these services call each other in a circle: one request may go round until its deadline"
                    .to_owned()
            }
            Self::Timing(timing) => timing.message(),
        }
    }

    /// What to do about it.
    pub fn ways(&self) -> Vec<String> {
        match self {
            Self::Availability { service, ways, .. } | Self::Latency { service, ways, .. } => {
                ways.iter().map(|way| way.for_service(service)).collect()
            }
            Self::Amplification(amplification) => amplification.ways(),
            // The front door has nothing else to answer.
            Self::SinglePoint { service, path, .. } if path.len() == 2 => {
                vec![format!("run it twice: `replicas: 2` for {service}")]
            }
            Self::SinglePoint {
                service,
                external: false,
                ..
            } => vec![
                format!("run it twice: `replicas: 2` for {service}"),
                format!("give the calls to {service} a fallback"),
                format!("call {service} after the answer, not before it"),
            ],
            Self::SinglePoint { service, .. } => vec![
                format!("give the calls to {service} a fallback"),
                format!("name a second provider as the fallback of {service}"),
                format!("call {service} after the answer, not before it"),
            ],
            Self::Cycle { path } => {
                let closing: String = path.windows(2).next_back().map(edge).unwrap_or_default();
                vec![
                    format!("take the call {closing} out: hand over what is needed with the request"),
                    "move what both need into a service of its own".to_owned(),
                    "make one of the calls after the answer, not before it".to_owned(),
                ]
            }
            Self::Timing(timing) => timing.ways(),
        }
    }
}

impl Amplification {
    fn message(&self) -> String {
        let attempts: Vec<String> = self.attempts.iter().map(u32::to_string).collect();
        format!(
            "one call may become {} = {} calls of {}; the retry budgets hold that to {:.2} times the load",
            attempts.join(" x "),
            self.worst,
            self.path.last().map_or("", AppId::as_str),
            self.load
        )
    }

    fn ways(&self) -> Vec<String> {
        let first: String = self.path.windows(2).next().map(edge).unwrap_or_default();
        vec![
            format!("retry only next to what fails: `maxRetries: 0` for {first} in a Resiliency file"),
            "take a layer out of the path".to_owned(),
            "give a call on the path a fallback, so that its caller has nothing to retry".to_owned(),
        ]
    }
}

impl Way {
    fn for_service(&self, service: &AppId) -> String {
        match self {
            Self::PromiseAvailability(bound) => format!("promise less: at most {bound} for {service}"),
            Self::Fallback {
                target,
                then,
                enough: true,
            } => {
                format!("give the call {service}->{target} a fallback: then {service} can promise {then}")
            }
            Self::Fallback {
                target,
                then,
                enough: false,
            } => {
                format!(
                    "give the call {service}->{target} a fallback; alone that allows {then}, others are needed"
                )
            }
            Self::RaiseAvailability { target, to } => format!("let {target} promise {to}"),
            Self::RaiseAll(to) => {
                format!("let each of them promise more: {to} on its own")
            }
            Self::PromiseLatency(time) => format!("promise less: {} for {service}", format_duration(*time)),
            Self::Parallel { then } => {
                format!(
                    "make the calls at the same time (`parallel: true`): then they take {}",
                    format_duration(*then)
                )
            }
            Self::Avoid { target, then, enough } => {
                let alone = if *enough { "" } else { "; alone that is not enough" };
                let then = format_duration(*then);
                format!("answer without {target}, from a cache or later: the other calls take {then}{alone}")
            }
            Self::LowerLatency { target, to } => {
                format!("let {target} promise {}", format_duration(round_down(*to)))
            }
        }
    }
}

/// `2 x orders 120ms + max(catalog 80ms, images 50ms) = 320ms`.
fn sum(parts: &[Part], needed: Duration) -> String {
    let shown = |part: &Part| {
        let each = format!("{} {}", part.target, format_duration(part.each));
        if part.times == 1 {
            each
        } else {
            format!("{} x {each}", part.times)
        }
    };
    let mut terms: Vec<String> = parts.iter().filter(|part| !part.parallel).map(shown).collect();
    let parallel: Vec<String> = parts.iter().filter(|part| part.parallel).map(shown).collect();
    match parallel.as_slice() {
        [] => {}
        [one] => terms.push(one.clone()),
        several => terms.push(format!("max({})", several.join(", "))),
    }
    equation(&terms, " + ", &format_duration(needed))
}

fn names(names: &[AppId]) -> String {
    let names: Vec<&str> = names.iter().map(AppId::as_str).collect();
    match names.as_slice() {
        [all @ .., last] if !all.is_empty() => format!("{} and {last}", all.join(", ")),
        other => other.concat(),
    }
}

/// `orders 99.9% x payments 99.5% = 99.4%`.
fn product(factors: &[(AppId, f64)], bound: f64) -> String {
    let shown = |(name, own): &(AppId, f64)| format!("{name} {}", Availability::from_ratio(*own));
    let terms: Vec<String> = factors.iter().map(shown).collect();
    equation(&terms, " x ", &Availability::from_ratio(bound).to_string())
}

/// Terms with their result; a single term is its own result.
fn equation(terms: &[String], operator: &str, result: &str) -> String {
    match terms {
        [one] if one.ends_with(&format!(" {result}")) => one.clone(),
        several => format!("{} = {result}", several.join(operator)),
    }
}

/// `orders->payments`.
fn edge(two: &[AppId]) -> String {
    let names: Vec<&str> = two.iter().map(AppId::as_str).collect();
    names.join("->")
}

/// To a whole millisecond, where there is one.
fn round_down(time: Duration) -> Duration {
    let millis = Duration::from_millis(time.as_millis() as u64);
    if millis.is_zero() { time } else { millis }
}
