//! When shoppers come, and what became of their requests.

use std::fmt;
use std::time::Duration;

use http::StatusCode;

use crate::{Answer, Problem};

/// The most latencies that are kept for one summary.
const LATENCIES_MAX: usize = 100_000;

/// How many shoppers come.
#[derive(Clone, Debug)]
pub struct Arrivals {
    /// Shoppers per second.
    pub rate: f64,
    /// A burst ends each period of this length; none when zero.
    pub burst_every: Duration,
    /// How long a burst lasts.
    pub burst_for: Duration,
    /// How many times as many shoppers come in a burst.
    pub burst_factor: f64,
}

impl Arrivals {
    /// The time from one shopper, who comes `elapsed` after the start, to the next.
    ///
    /// Shoppers know nothing of each other and do not wait for each other, so the times are exponential and the arrivals a
    /// Poisson process: load that does not slow down when the shop does.
    pub fn gap(&self, elapsed: Duration, rng: &mut fastrand::Rng) -> Duration {
        let factor = if self.is_burst(elapsed) {
            self.burst_factor
        } else {
            1.0
        };
        let rate = (self.rate * factor).max(0.001);
        let seconds = -(1.0 - rng.f64()).ln() / rate;
        Duration::from_secs_f64(seconds)
    }

    fn is_burst(&self, elapsed: Duration) -> bool {
        let period = self.burst_every.as_millis();
        period > 0 && elapsed.as_millis() % period >= period.saturating_sub(self.burst_for.as_millis())
    }
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Ok,
    /// It was done with what there was: a fallback had a hand in the answer.
    Fallback,
    /// It was turned away, because there was too much to do.
    Shed,
    /// It failed.
    Failed,
}

impl Outcome {
    /// Of an answer, if there was one.
    pub fn of(answer: &Result<Answer, Problem>) -> Self {
        let Ok(answer) = answer else {
            return Self::Failed;
        };
        match answer.status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Self::Shed,
            StatusCode::ACCEPTED => Self::Fallback,
            _ if answer.fallback => Self::Fallback,
            // "Sold out" is a good answer, too.
            status if status.is_success() || status == StatusCode::CONFLICT => Self::Ok,
            _ => Self::Failed,
        }
    }
}

/// Counts what became of requests; printed, it is one line.
#[derive(Debug, Default)]
pub struct Tally {
    ok: usize,
    fallback: usize,
    shed: usize,
    failed: usize,
    not_sent: usize,
    latencies: Vec<Duration>,
}

impl Tally {
    /// Counts one request.
    pub fn add(&mut self, outcome: Outcome, latency: Duration) {
        match outcome {
            Outcome::Ok => self.ok += 1,
            Outcome::Fallback => self.fallback += 1,
            Outcome::Shed => self.shed += 1,
            Outcome::Failed => self.failed += 1,
        }
        if self.latencies.len() < LATENCIES_MAX {
            self.latencies.push(latency);
        }
    }

    /// Counts one shopper who could not be played, because too many were in the shop.
    pub fn add_not_sent(&mut self) {
        self.not_sent += 1;
    }

    /// The line about a time that took `length`.
    pub fn summary(mut self, length: Duration) -> impl fmt::Display {
        self.latencies.sort_unstable();
        Summary { length, tally: self }
    }
}

struct Summary {
    length: Duration,
    tally: Tally,
}

impl Summary {
    /// The latency that `share` of the requests did not exceed, in milliseconds.
    fn percentile(&self, share: f64) -> f64 {
        let latencies = &self.tally.latencies;
        let index = (latencies.len() as f64 * share).ceil() as usize;
        let latency = latencies.get(index.saturating_sub(1));
        latency.map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally {
            ok,
            fallback,
            shed,
            failed,
            not_sent,
            ..
        } = &self.tally;
        let rate = (ok + fallback + shed + failed) as f64 / self.length.as_secs_f64();
        write!(
            formatter,
            "{rate:.0} requests/s: ok {ok}, fallback {fallback}, shed {shed}, failed {failed}; p50 {:.1} ms, p99 {:.1} ms",
            self.percentile(0.5),
            self.percentile(0.99),
        )?;
        if *not_sent > 0 {
            write!(formatter, "; {not_sent} shoppers not sent")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_bring_more_shoppers() {
        let arrivals = Arrivals {
            rate: 100.0,
            burst_every: Duration::from_mins(1),
            burst_for: Duration::from_secs(10),
            burst_factor: 5.0,
        };
        let mut rng = fastrand::Rng::with_seed(3);
        let mut shoppers_in = |second: u64| {
            let (mut now, mut shoppers) = (Duration::from_secs(second), 0);
            while now < Duration::from_secs(second + 10) {
                now += arrivals.gap(now, &mut rng);
                shoppers += 1;
            }
            shoppers
        };
        let (calm, burst) = (shoppers_in(0), shoppers_in(50));
        assert!((900..1100).contains(&calm), "{calm}");
        assert!((4800..5200).contains(&burst), "{burst}");
    }

    #[test]
    fn a_summary_is_one_line() {
        let mut tally = Tally::default();
        for millis in 1..=99 {
            tally.add(Outcome::Ok, Duration::from_millis(millis));
        }
        tally.add(Outcome::Fallback, Duration::from_millis(100));
        assert_eq!(
            tally.summary(Duration::from_secs(10)).to_string(),
            "10 requests/s: ok 99, fallback 1, shed 0, failed 0; p50 50.0 ms, p99 99.0 ms"
        );
    }
}
