//! An open-loop HTTP/1.1 load generator: requests start when the schedule says so, whether or not earlier ones have been
//! answered, and latency counts from the intended start. (A closed loop waits politely while the server is slow and so
//! never sees the slowness: "coordinated omission".)
//!
//! One thread and one epoll, no runtime: it shares a core with what it measures.

mod closed;
mod connection;
mod generator;
mod histogram;
mod response;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Duration;

pub(crate) use closed::{Answers, run as closed};
pub(crate) use generator::run;
pub(crate) use histogram::Histogram;

/// What to send, how often, how long.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    pub(crate) address: SocketAddr,
    /// Kinds of requests.
    pub(crate) classes: Vec<Class>,
    /// Requests per second, evenly spaced.
    pub(crate) rate: f64,
    pub(crate) duration: Duration,
    /// Connections at most; a request that finds none free waits, and the wait counts.
    pub(crate) connections: usize,
    /// A request that has no answer this long after its intended start is given up and its connection closed.
    pub(crate) timeout: Duration,
}

/// A kind of request.
#[derive(Clone, Debug)]
pub(crate) struct Class {
    /// How many of `weights added up` requests are of this kind.
    pub(crate) weight: usize,
    /// The request as sent.
    pub(crate) bytes: Vec<u8>,
}

/// A `GET` with these headers.
pub(crate) fn get(path: &str, host: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut text = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n");
    for (name, value) in headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// What came back.
pub(crate) struct Report {
    /// In the order of the schedule's classes.
    pub(crate) classes: Vec<Outcomes>,
    /// The same over time.
    pub(crate) intervals: Vec<Interval>,
}

/// Length of the intervals that a report is cut into.
pub(crate) const INTERVAL: Duration = Duration::from_millis(500);

/// One interval of a report.
#[derive(Clone)]
pub(crate) struct Interval {
    /// Requests that were to start in it.
    pub(crate) offered: u64,
    /// Of those, the ones that were answered with 2xx.
    pub(crate) good: u64,
    pub(crate) good_latency: Histogram,
    /// Good answers that came in it, whenever their requests were to start.
    pub(crate) arrived: u64,
}

/// What became of the requests of one class.
#[derive(Clone)]
pub(crate) struct Outcomes {
    /// Started, whatever became of them.
    pub(crate) offered: u64,
    /// Answered with 2xx.
    pub(crate) good: u64,
    /// Answered with 2xx and the mark of a fallback; part of `good`.
    pub(crate) fallbacks: u64,
    /// Answered with 503 or 429.
    pub(crate) refused: u64,
    /// Answered with anything else.
    pub(crate) failed: u64,
    /// Not answered in time.
    pub(crate) timed_out: u64,
    /// The connection could not be made or broke.
    pub(crate) broken: u64,
    /// From intended start to the whole good answer.
    pub(crate) good_latency: Histogram,
    /// From intended start to any other whole answer.
    pub(crate) other_latency: Histogram,
}

impl Outcomes {
    fn new() -> Self {
        Self {
            offered: 0,
            good: 0,
            fallbacks: 0,
            refused: 0,
            failed: 0,
            timed_out: 0,
            broken: 0,
            good_latency: Histogram::new(),
            other_latency: Histogram::new(),
        }
    }

    /// Adds those of another class or run.
    pub(crate) fn add(&mut self, other: &Self) {
        self.offered += other.offered;
        self.good += other.good;
        self.fallbacks += other.fallbacks;
        self.refused += other.refused;
        self.failed += other.failed;
        self.timed_out += other.timed_out;
        self.broken += other.broken;
        self.good_latency.add(&other.good_latency);
        self.other_latency.add(&other.other_latency);
    }
}

impl Report {
    /// Good answers that came within the schedule's duration.
    pub(crate) fn arrived(&self) -> u64 {
        self.intervals.iter().map(|interval| interval.arrived).sum()
    }

    /// All classes together.
    pub(crate) fn all(&self) -> Outcomes {
        let mut all = Outcomes::new();
        for class in &self.classes {
            all.add(class);
        }
        all
    }
}
