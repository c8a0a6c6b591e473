//! Ten times the load that the callee can bear, through three layers that each retry up to three times.
//!
//! users -> a -> b -> c -> callee. The callee works on a fixed number of requests at a time and queues everything else;
//! what it has begun it finishes, whether or not somebody still waits. Without protection it soon works only on requests
//! that were given up (a "metastable failure").

mod chain;
mod judge;

use std::time::Duration;

use anyhow::{Result, bail};

use super::Effort;
use super::figures::{Rounds, shown};
use super::lab::Lab;
use super::results::Section;
use crate::load::{self, Class, INTERVAL, Report, Schedule};
use chain::Chain;
use judge::{Run, Verdict};

/// How often each layer calls again after a failure.
pub(super) const RETRIES: u32 = 3;
/// Requests that the callee works on at a time.
const WORKERS: u32 = 8;
/// Shortest time that it takes for one.
const SERVICE_MS: u32 = 16;
/// Random addition to it.
const JITTER_MS: u32 = 8;
/// Users wait this long.
const PATIENCE: Duration = Duration::from_secs(2);
/// Share of the load that goes on before, during and after the overload.
const STEADY_LOAD: f64 = 0.5;
/// All load during the overload.
const OVERLOAD: f64 = 10.0;

/// The parts of a run.
struct Phases {
    unloaded: Duration,
    /// At each step of the search for the peak.
    step: Duration,
    before: Duration,
    overload: Duration,
    after: Duration,
}

/// Requests per second that the callee can do.
fn capacity() -> f64 {
    f64::from(WORKERS) / (f64::from(SERVICE_MS) + f64::from(JITTER_MS) / 2.0) * 1e3
}

/// Runs the whole bench.
///
/// # Errors
/// When a participant does not start.
pub(super) fn run(effort: &Effort) -> Result<()> {
    let seconds = Duration::from_secs;
    let phases = if effort.is_quick {
        Phases {
            unloaded: seconds(3),
            step: seconds(2),
            before: seconds(2),
            overload: seconds(6),
            after: seconds(6),
        }
    } else {
        Phases {
            unloaded: seconds(10),
            step: seconds(8),
            before: seconds(5),
            overload: seconds(20),
            after: seconds(15),
        }
    };
    let lab = Lab::new()?;
    let mut verdicts = Vec::new();
    if effort.with_mainstay() {
        verdicts.push(measure(&Chain::mainstay(&lab)?, &phases)?);
    }
    if effort.with_peers() {
        verdicts.push(measure(&Chain::envoy(&lab)?, &phases)?);
        verdicts.push(measure(&Chain::bare(&lab)?, &phases)?);
    }

    let mut section = Section::new("overload", &super::versions(effort)?)?;
    section.add(&format!(
        "users → a → b → c → callee. The callee works on {WORKERS} requests at a time, {SERVICE_MS} ms and up to \
         {JITTER_MS} ms more each: {} requests/s. It queues without limit and finishes what it has begun. Each of the three \
         layers calls again up to {RETRIES} times. Users wait {} s; 5 % of their requests are critical, 65 % normal, 30 % \
         low. Open loop: {STEADY_LOAD}x of the capacity all the time, {OVERLOAD}x for {} s. All processes share both cores. \
         \"nothing\" is the same chain without anything between the services, the layers retrying by themselves.",
        shown(capacity()),
        PATIENCE.as_secs(),
        phases.overload.as_secs()
    ));
    judge::report(&mut section, &verdicts);
    section.publish(effort.is_full())
}

fn measure(chain: &Chain, phases: &Phases) -> Result<Verdict> {
    println!("overload: {}", chain.name);
    let unloaded = send(chain, 0.2, phases.unloaded)?.all();
    if unloaded.good != unloaded.offered {
        bail!(
            "{}: {} of {} unloaded requests failed",
            chain.name,
            unloaded.offered - unloaded.good,
            unloaded.offered
        );
    }
    let mut steps = Rounds::default();
    for share in [0.8, 0.9, 1.0, 1.1, 1.2] {
        let good = send(chain, share, phases.step)?.arrived();
        steps.0.push(good as f64 / phases.step.as_secs_f64());
        settle();
    }
    let before = chain.traffic()?;
    let (steady, burst) = overload(chain, phases)?;
    let during = chain.traffic()?.since(&before);
    Ok(Verdict::new(
        chain.name,
        phases,
        &Run {
            unloaded,
            steps,
            steady,
            burst,
            during,
        },
    ))
}

/// Gives what is queued time to run off between two steps.
fn settle() {
    std::thread::sleep(PATIENCE);
}

/// The steady load for the whole time and, beside it, the rest of the overload for its time.
fn overload(chain: &Chain, phases: &Phases) -> Result<(Report, Report)> {
    let whole = phases.before + phases.overload + phases.after;
    let steady = schedule(chain, STEADY_LOAD, whole);
    let burst = schedule(chain, OVERLOAD - STEADY_LOAD, phases.overload);
    let steady = std::thread::spawn(move || load::run(&steady));
    std::thread::sleep(phases.before);
    let burst = load::run(&burst)?;
    let Ok(steady) = steady.join() else {
        bail!("the load generator panicked")
    };
    Ok((steady?, burst))
}

fn send(chain: &Chain, share: f64, duration: Duration) -> Result<Report> {
    load::run(&schedule(chain, share, duration))
}

fn schedule(chain: &Chain, share: f64, duration: Duration) -> Schedule {
    let class = |weight, path| Class {
        weight,
        bytes: load::get(path, "bench", &[]),
    };
    Schedule {
        address: chain.entrance,
        classes: vec![class(5, "/critical"), class(65, "/normal"), class(30, "/low")],
        rate: capacity() * share,
        duration,
        connections: 4_000,
        timeout: PATIENCE,
    }
}

/// Number of the intervals that a time covers.
fn intervals(duration: Duration) -> usize {
    duration.div_duration_f64(INTERVAL).round() as usize
}
