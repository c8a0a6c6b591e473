//! The closed-loop load tools and what they print.

use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::child::Core;
use crate::process::{output, tool};

/// What a load tool reports.
#[derive(Debug, PartialEq)]
pub(crate) struct Throughput {
    pub(crate) requests: u64,
    pub(crate) per_second: f64,
}

/// HTTP/1.1 over kept connections.
pub(crate) fn wrk(url: &str, connections: usize, duration: Duration) -> Result<Throughput> {
    let seconds = duration.as_secs().max(1).to_string();
    let connections = connections.to_string();
    let printed = pinned(&["wrk", "-t", "1", "-c", &connections, "-d", &seconds, url])?;
    parse_wrk(&printed)
}

/// HTTP/2 without TLS; further arguments make it gRPC.
pub(crate) fn h2load(url: &str, duration: Duration, further: &[&str]) -> Result<Throughput> {
    let seconds = duration.as_secs().max(1).to_string();
    // 64 requests under way: 16 connections with 4 streams.
    let mut words = vec!["h2load", "-t", "1", "-c", "16", "-m", "4", "-D", &seconds];
    words.extend(further);
    words.push(url);
    parse_h2load(&pinned(&words)?)
}

fn pinned(words: &[&str]) -> Result<String> {
    let words: Vec<&str> = Core::Load.pin().iter().chain(words).copied().collect();
    output(tool(words[0]).args(&words[1..]))
}

fn parse_wrk(text: &str) -> Result<Throughput> {
    for line in text.lines().map(str::trim) {
        if line.starts_with("Non-2xx") || line.starts_with("Socket errors") {
            bail!("wrk: {line}");
        }
    }
    let requests = text
        .lines()
        .find(|line| line.contains(" requests in "))
        .context("wrk counted no requests")?;
    let rate = text
        .lines()
        .find_map(|line| line.strip_prefix("Requests/sec:"))
        .context("wrk gave no rate")?;
    let requests = requests.split_whitespace().next().unwrap_or_default();
    Ok(Throughput {
        requests: requests.parse()?,
        per_second: rate.trim().parse()?,
    })
}

fn parse_h2load(text: &str) -> Result<Throughput> {
    let line = |start: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(start))
            .with_context(|| format!("h2load gave no {start}"))
    };
    let finished = line("finished in ")?;
    let rate = finished
        .split(',')
        .nth(1)
        .and_then(|rate| rate.trim().strip_suffix(" req/s"));
    let requests = line("requests: ")?;
    let count = |word: &str| {
        let part = requests.split(", ").find(|part| part.ends_with(word));
        part.and_then(|part| part.split_whitespace().next())
            .and_then(|count| count.parse::<u64>().ok())
    };
    if count(" failed") != Some(0) || count(" errored") != Some(0) || count(" timeout") != Some(0) {
        bail!("h2load: {requests}");
    }
    let statuses = line("status codes: ")?;
    if !statuses.ends_with("0 3xx, 0 4xx, 0 5xx") {
        bail!("h2load: {statuses}");
    }
    let requests = count(" done").context("h2load counted no requests")?;
    Ok(Throughput {
        requests,
        per_second: rate.context("h2load gave no rate")?.parse()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrk_is_understood() {
        let text = "Running 2s test @ http://x/\n  1 threads and 64 connections\n  \
                    135711 requests in 2.01s, 33.91MB read\nRequests/sec:  67518.12\nTransfer/sec:     16.87MB\n";
        assert_eq!(
            parse_wrk(text).unwrap(),
            Throughput {
                requests: 135_711,
                per_second: 67_518.12
            }
        );
        assert!(
            parse_wrk(&text.replace("Requests/sec", "Non-2xx or 3xx responses: 3\nRequests/sec")).is_err()
        );
        assert!(parse_wrk("unable to connect").is_err());
    }

    #[test]
    fn h2load_is_understood() {
        let text = "finished in 2.00s, 33855.50 req/s, 8.10MB/s\n\
                    requests: 67711 total, 67775 started, 67711 done, 67711 succeeded, 0 failed, 0 errored, 0 timeout\n\
                    status codes: 67711 2xx, 0 3xx, 0 4xx, 0 5xx\n";
        assert_eq!(
            parse_h2load(text).unwrap(),
            Throughput {
                requests: 67_711,
                per_second: 33_855.5
            }
        );
        assert!(parse_h2load(&text.replace("0 failed", "9 failed")).is_err());
        assert!(parse_h2load(&text.replace("0 5xx", "7 5xx")).is_err());
    }
}
