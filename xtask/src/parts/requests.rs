//! A client of Mainstay's state over HTTP: one thread with many connections, as `redis-benchmark` is one.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;

use super::STORE;
use super::puts::{Report, VALUE_BYTES};
use crate::load::{self, Histogram};
use crate::procfs;

/// Who asks for what, for how long.
#[derive(clap::Args)]
pub(crate) struct Options {
    kind: Kind,
    address: SocketAddr,
    /// The token of the app.
    #[arg(long)]
    token: String,
    #[arg(long)]
    clients: usize,
    #[arg(long)]
    seconds: f64,
    /// Keys are any of so many.
    #[arg(long)]
    keys: u64,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// One value a request is put.
    Put,
    /// A hundred values a request are put.
    PutHundred,
    /// Values are put in the order of their keys, a hundred a request, each once; no longer than that takes.
    Fill,
    /// One value a request is read.
    Get,
}

/// Values in one request of [`Kind::PutHundred`].
pub(crate) const HUNDRED: u64 = 100;

/// Asks, and prints what was found.
pub(super) fn run(options: &Options) -> Result<()> {
    let mut requests = Requests {
        options,
        body: Vec::new(),
        next: 0,
    };
    let own = std::process::id();
    let cpu = procfs::cpu(own)?;
    let answers = if options.kind == Kind::Fill {
        fill(&mut requests)?
    } else {
        let duration = Duration::from_secs_f64(options.seconds);
        load::closed(options.address, options.clients, duration, |buffer| {
            requests.write(buffer);
        })?
    };
    let quantile_us = |share| quantile_us(&answers.latency, share);
    let report = Report {
        puts: answers.latency.total(),
        seconds: answers.took.as_secs_f64(),
        cpu_seconds: procfs::cpu(own)?.saturating_sub(cpu).as_secs_f64(),
        p50_us: quantile_us(0.5),
        p99_us: quantile_us(0.99),
        p999_us: quantile_us(0.999),
        max_us: quantile_us(1.0),
        peak_resident_bytes: procfs::peak_resident_bytes(own)?,
    };
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

/// One connection after the other would be slow and all at once would not know when to stop, so this goes on in short
/// turns until every key is there.
fn fill(requests: &mut Requests<'_>) -> Result<load::Answers> {
    const TURN: Duration = Duration::from_millis(100);
    loop {
        let options = requests.options;
        let answers = load::closed(options.address, options.clients, TURN, |buffer| {
            requests.write(buffer);
        })?;
        if requests.next >= options.keys {
            return Ok(answers);
        }
    }
}

fn quantile_us(latency: &Histogram, share: f64) -> f64 {
    latency.quantile(share).as_secs_f64() * 1e6
}

struct Requests<'a> {
    options: &'a Options,
    body: Vec<u8>,
    /// The next key of those that are put in order.
    next: u64,
}

impl Requests<'_> {
    fn write(&mut self, into: &mut Vec<u8>) {
        let Options {
            kind, address, token, ..
        } = self.options;
        let values = match kind {
            Kind::Get => {
                let key = self.key();
                // A `Vec` takes everything.
                let _ = write!(
                    into,
                    "GET /v1.0/state/{STORE}/key:{key:012} HTTP/1.1\r\nhost: {address}\r\ndapr-api-token: {token}\r\n\r\n"
                );
                return;
            }
            Kind::Put => 1,
            Kind::PutHundred | Kind::Fill => HUNDRED,
        };
        self.body.clear();
        for place in 0..values {
            let key = self.key();
            self.body.push(if place == 0 { b'[' } else { b',' });
            let _ = write!(self.body, "{{\"key\":\"key:{key:012}\",\"value\":\"");
            // With its quotes the value has as many bytes as everybody's.
            self.body.resize(self.body.len() + VALUE_BYTES - 2, b'x');
            self.body.extend_from_slice(b"\"}");
        }
        self.body.push(b']');
        let length = self.body.len();
        let _ = write!(
            into,
            "POST /v1.0/state/{STORE} HTTP/1.1\r\nhost: {address}\r\ndapr-api-token: {token}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        into.extend_from_slice(&self.body);
    }

    fn key(&mut self) -> u64 {
        if self.options.kind == Kind::Fill {
            self.next += 1;
            return (self.next - 1) % self.options.keys;
        }
        fastrand::u64(..self.options.keys)
    }
}
