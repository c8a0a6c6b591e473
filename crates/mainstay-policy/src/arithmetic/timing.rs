//! Timeouts and waits that do not fit together. Those derived from SLAs do; a Resiliency file can break them.

use std::time::Duration;

use mainstay_base::{AppId, format_duration};

use super::graph::{Edge, Graph};

/// Times that do not fit together.
#[derive(Clone, Debug, PartialEq)]
pub enum Timing {
    /// A caller gives up while its target is still waiting for somebody else.
    GivesUp {
        /// Caller, target, the one the target waits for.
        path: [AppId; 3],
        /// How long the caller waits for an attempt.
        waits: Duration,
        /// How long the target may wait.
        target_waits: Duration,
    },
    /// A caller cuts off answers that its target may take.
    CutsOff {
        /// The caller.
        caller: AppId,
        /// The target.
        target: AppId,
        /// How long the caller waits for an attempt.
        waits: Duration,
        /// The 99th percentile that the target promises.
        p99: Duration,
    },
    /// Retries wait longer than the call may take.
    RetriesNever {
        /// The caller.
        caller: AppId,
        /// The target.
        target: AppId,
        /// The wait before the second attempt.
        wait: Duration,
        /// How long the call may take.
        deadline: Duration,
    },
}

/// Looks at every call.
pub(super) fn timings(graph: &Graph) -> Vec<Timing> {
    let mut found = Vec::new();
    for edge in &graph.calls {
        found.extend(retries_never(edge));
        match cuts_off(graph, edge) {
            Some(timing) => found.push(timing),
            // One finding for one timeout; and a circle of calls has its own.
            None => found.extend(
                graph
                    .calls_of(edge.target)
                    .filter(|next| next.target != edge.caller)
                    .filter_map(|next| gives_up(edge, next)),
            ),
        }
    }
    found
}

fn cuts_off(graph: &Graph, edge: &Edge) -> Option<Timing> {
    let p99 = graph.service(edge.target)?.latency?.p99;
    (edge.call.attempt_timeout < p99).then(|| Timing::CutsOff {
        caller: edge.call.caller.clone(),
        target: edge.call.target.clone(),
        waits: edge.call.attempt_timeout,
        p99,
    })
}

fn retries_never(edge: &Edge) -> Option<Timing> {
    let call = &edge.call;
    let never = call.attempts > 1 && !call.retry_wait.is_zero() && call.retry_wait >= call.call_timeout;
    never.then(|| Timing::RetriesNever {
        caller: call.caller.clone(),
        target: call.target.clone(),
        wait: call.retry_wait,
        deadline: call.call_timeout,
    })
}

fn gives_up(edge: &Edge, next: &Edge) -> Option<Timing> {
    let target_waits = next.call.attempt_timeout.min(next.call.call_timeout);
    (edge.call.attempt_timeout < target_waits).then(|| Timing::GivesUp {
        path: [
            edge.call.caller.clone(),
            edge.call.target.clone(),
            next.call.target.clone(),
        ],
        waits: edge.call.attempt_timeout,
        target_waits,
    })
}

impl Timing {
    /// The word for it in JSON.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::GivesUp { .. } => "gives_up_too_early",
            Self::CutsOff { .. } => "cuts_off_answers",
            Self::RetriesNever { .. } => "retries_never",
        }
    }

    /// The services it concerns, in the order of the calls.
    pub fn path(&self) -> Vec<AppId> {
        match self {
            Self::GivesUp { path, .. } => path.to_vec(),
            Self::CutsOff { caller, target, .. } | Self::RetriesNever { caller, target, .. } => {
                vec![caller.clone(), target.clone()]
            }
        }
    }

    pub(super) fn message(&self) -> String {
        let time = |time: &Duration| format_duration(*time);
        match self {
            Self::GivesUp {
                path: [caller, target, last],
                waits,
                target_waits,
            } => format!(
                "{caller} gives up on {target} after {}, while {target} may wait {} for {last}",
                time(waits),
                time(target_waits)
            ),
            Self::CutsOff {
                caller,
                target,
                waits,
                p99,
            } => format!(
                "{caller} waits {} for an attempt, and {target} promises 99 of 100 answers within {}",
                time(waits),
                time(p99)
            ),
            Self::RetriesNever {
                caller,
                target,
                wait,
                deadline,
            } => format!(
                "{caller} waits {} before it calls {target} again, and the call may take {} in all",
                time(wait),
                time(deadline)
            ),
        }
    }

    pub(super) fn ways(&self) -> Vec<String> {
        let time = |time: &Duration| format_duration(*time);
        match self {
            Self::GivesUp {
                path: [caller, target, last],
                waits,
                target_waits,
            } => vec![
                format!("let {target} promise a `max` of at least {}", time(target_waits)),
                format!("let {last} promise a `max` of at most {}", time(waits)),
                format!("give the call {target}->{last} a fallback, or {caller}->{target}"),
            ],
            Self::CutsOff {
                target, p99, waits, ..
            } => vec![
                format!("raise the timeout for {target} to at least {}", time(p99)),
                format!("take the timeout out of the Resiliency file: the SLA of {target} gives one"),
                format!("let {target} promise a p99 of at most {}", time(waits)),
            ],
            Self::RetriesNever { caller, deadline, .. } => vec![
                format!("wait less than {} between attempts", time(deadline)),
                "take the retry policy out of the Resiliency file: the SLA gives one".to_owned(),
                format!("let {caller} promise a longer `max`"),
            ],
        }
    }
}
