//! The closed-loop load tools and what they print.

use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::child::Core;
use crate::process::{output, tool};

/// What a load tool reports.
#[derive(Debug, PartialEq)]
pub(crate) struct Throughput {
    /// Answered, with whatever status.
    pub(crate) requests: u64,
    /// Answered with anything but 2xx (wrk: 3xx).
    pub(crate) refused: u64,
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
    if let Some(line) = text.lines().find(|line| line.trim().starts_with("Socket errors")) {
        bail!("wrk: {}", line.trim());
    }
    let refused = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("Non-2xx or 3xx responses:"));
    let refused = refused.map_or(Ok(0), |count| count.trim().parse())?;
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
        refused,
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
    if count(" errored") != Some(0) || count(" timeout") != Some(0) {
        bail!("h2load: {requests}");
    }
    let good: u64 = line("status codes: ")?
        .split(" 2xx")
        .next()
        .unwrap_or_default()
        .parse()?;
    let requests = count(" done").context("h2load counted no requests")?;
    Ok(Throughput {
        requests,
        refused: requests.saturating_sub(good),
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
                refused: 0,
                per_second: 67_518.12
            }
        );
        let some_refused = text.replace("Requests/sec", "  Non-2xx or 3xx responses: 3\nRequests/sec");
        assert_eq!(parse_wrk(&some_refused).unwrap().refused, 3);
        let broken = text.replace("Requests/sec", "  Socket errors: connect 0, read 1\nRequests/sec");
        assert!(parse_wrk(&broken).is_err());
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
                refused: 0,
                per_second: 33_855.5
            }
        );
        let some_refused = text.replace("67711 2xx", "67701 2xx").replace("0 5xx", "10 5xx");
        assert_eq!(parse_h2load(&some_refused).unwrap().refused, 10);
        assert!(parse_h2load(&text.replace("0 errored", "9 errored")).is_err());
    }
}
