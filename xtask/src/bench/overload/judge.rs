//! What the figures of an overload say.

use std::time::Duration;

use super::chain::Traffic;
use super::{Phases, intervals};
use crate::bench::figures::{Bound, Rounds, Target, shown};
use crate::bench::results::Section;
use crate::load::{INTERVAL, Interval, Outcomes, Report};

/// What was measured of one participant.
pub(super) struct Run {
    pub(super) unloaded: Outcomes,
    /// Good answers per second at each step of the search for the peak.
    pub(super) steps: Rounds,
    pub(super) steady: Report,
    pub(super) burst: Report,
    pub(super) during: Traffic,
}

/// What that means.
pub(super) struct Verdict {
    name: &'static str,
    /// Good answers per second at each step of the search for the peak.
    steps: Rounds,
    /// Good answers per second during the overload.
    goodput: f64,
    unloaded_p99: Duration,
    accepted_p99: Duration,
    critical: Outcomes,
    all: Outcomes,
    /// From the end of the overload until everything is as before; absent when it never was.
    recovery: Option<Duration>,
    traffic: Traffic,
}

impl Verdict {
    pub(super) fn new(name: &'static str, phases: &Phases, run: &Run) -> Self {
        let unloaded_p99 = run.unloaded.good_latency.quantile(0.99);
        let (begin, end) = (
            intervals(phases.before),
            intervals(phases.before + phases.overload),
        );
        let mut all = run.burst.all();
        let mut accepted = all.good_latency.clone();
        let mut good = run.burst.arrived();
        for interval in &run.steady.intervals[begin..end] {
            accepted.add(&interval.good_latency);
            good += interval.arrived;
        }
        all.add(&run.steady.all());
        let mut critical = run.burst.classes[0].clone();
        critical.add(&run.steady.classes[0]);
        Self {
            name,
            steps: run.steps.clone(),
            goodput: good as f64 / phases.overload.as_secs_f64(),
            unloaded_p99,
            accepted_p99: accepted.quantile(0.99),
            critical,
            all,
            recovery: recovery(&run.steady.intervals[end..], unloaded_p99),
            traffic: run.during,
        }
    }

    fn peak(&self) -> f64 {
        self.steps.0.iter().copied().fold(0.0, f64::max)
    }

    fn critical_served(&self) -> f64 {
        100.0 * self.critical.good as f64 / self.critical.offered as f64
    }

    fn attempts_per_call(&self) -> Option<f64> {
        let (calls, retries) = (self.traffic.calls?, self.traffic.retries?);
        Some((calls + retries) as f64 / calls as f64)
    }

    fn targets(&self) -> Vec<Target> {
        let target = |what: &str, found, bound, unit| Target {
            what: what.to_owned(),
            found,
            bound,
            unit,
        };
        let recovery = self
            .recovery
            .map_or(f64::INFINITY, |recovery| recovery.as_secs_f64());
        let slower = self.accepted_p99.as_secs_f64() / self.unloaded_p99.as_secs_f64();
        vec![
            target(
                "goodput / peak",
                100.0 * self.goodput / self.peak(),
                Bound::AtLeast(95.0),
                " %",
            ),
            target(
                "critical requests served",
                self.critical_served(),
                Bound::AtLeast(99.9),
                " %",
            ),
            target("accepted p99 / unloaded p99", slower, Bound::AtMost(2.0), "x"),
            target("back to normal after", recovery, Bound::AtMost(5.0), " s"),
            target(
                "attempts / calls",
                self.attempts_per_call().unwrap_or(f64::NAN),
                Bound::AtMost(1.2),
                "x",
            ),
        ]
    }
}

/// Normal: at least 99 % good, and those within twice the unloaded p99. Back to normal is the begin of the first interval
/// from which on all are.
fn recovery(after: &[Interval], unloaded_p99: Duration) -> Option<Duration> {
    let is_normal = |interval: &Interval| {
        interval.good * 100 >= interval.offered * 99
            && interval.good_latency.quantile(0.99) <= 2 * unloaded_p99
    };
    let last_bad = after.iter().rposition(|interval| !is_normal(interval));
    let begin = last_bad.map_or(0, |index| index + 1);
    (begin < after.len()).then(|| INTERVAL * begin as u32)
}

/// Tables and targets.
pub(super) fn report(section: &mut Section, verdicts: &[Verdict]) {
    let line = |verdict: &Verdict| {
        let ms = |duration: Duration| shown(duration.as_secs_f64() * 1e3);
        vec![
            verdict.name.to_owned(),
            shown(verdict.peak()),
            format!(
                "{} ({} %)",
                shown(verdict.goodput),
                shown(100.0 * verdict.goodput / verdict.peak())
            ),
            format!("{:.2} %", verdict.critical_served()),
            ms(verdict.unloaded_p99),
            ms(verdict.accepted_p99),
            verdict
                .recovery
                .map_or_else(|| "never".to_owned(), |it| format!("{} s", it.as_secs_f64())),
            verdict
                .attempts_per_call()
                .map_or_else(|| "–".to_owned(), |ratio| format!("{}x", shown(ratio))),
        ]
    };
    section.table(
        &[
            "between the services",
            "peak good/s",
            "good/s in overload",
            "critical served",
            "unloaded p99 ms",
            "accepted p99 ms",
            "back to normal",
            "attempts / calls",
        ],
        &verdicts.iter().map(line).collect::<Vec<_>>(),
    );
    section.raw("raw figures", &verdicts.iter().flat_map(raw).collect::<Vec<_>>());
    for verdict in verdicts.iter().filter(|verdict| verdict.name == "Mainstay") {
        section.targets(&verdict.targets());
    }
}

fn raw(verdict: &Verdict) -> [String; 3] {
    let all = &verdict.all;
    [
        format!(
            "{:10} good/s at 0.8 0.9 1.0 1.1 1.2x: {}",
            verdict.name,
            verdict.steps.raw()
        ),
        format!(
            "{:10} offered {} good {} (by fallback {}) refused {} failed {} timed out {} broken {}",
            verdict.name,
            all.offered,
            all.good,
            all.fallbacks,
            all.refused,
            all.failed,
            all.timed_out,
            all.broken
        ),
        format!(
            "{:10} refused or failed after p50 {:.1} ms, p99 {:.1} ms; done by the callee {}; calls over all edges {:?}, \
             retries {:?}",
            verdict.name,
            all.other_latency.quantile(0.5).as_secs_f64() * 1e3,
            all.other_latency.quantile(0.99).as_secs_f64() * 1e3,
            verdict.traffic.done,
            verdict.traffic.calls,
            verdict.traffic.retries,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Histogram;

    fn interval(good: u64, latency_ms: u64) -> Interval {
        let mut good_latency = Histogram::new();
        (0..good).for_each(|_| good_latency.record(Duration::from_millis(latency_ms)));
        Interval {
            offered: 100,
            good,
            good_latency,
            arrived: good,
        }
    }

    #[test]
    fn normal_is_when_it_stays_normal() {
        let p99 = Duration::from_millis(10);
        let normal = || interval(100, 10);
        let found = |after: &[Interval]| recovery(after, p99);
        assert_eq!(found(&[normal(), normal()]), Some(Duration::ZERO));
        assert_eq!(found(&[interval(90, 10), normal(), normal()]), Some(INTERVAL));
        assert_eq!(
            found(&[normal(), interval(100, 30), normal()]),
            Some(INTERVAL * 2)
        );
        assert_eq!(found(&[normal(), interval(0, 0)]), None);
    }
}
