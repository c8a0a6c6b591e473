//! The tables of `mainstay status`.

use std::time::Duration;

use mainstay_api::wire::{Breaker, Edge, Exit, Replica, State, Status, Target};

use crate::render::color::{Color, Palette};
use crate::render::table::{Align, Cell, table};
use crate::render::time::span;

/// Processes, then the traffic between them, as of `now_unix_ms`.
pub(crate) fn status(status: &Status, now_unix_ms: u64, palette: Palette) -> String {
    let mut text = processes(status, now_unix_ms, palette);
    // Every app may call itself; hardly any does.
    let is_shown = |edge: &&Edge| edge.calls_total > 0 || edge.caller != edge.target;
    let shown: Vec<_> = status.edges.iter().filter(is_shown).collect();
    if !shown.is_empty() {
        text.push('\n');
        text.push_str(&edges(&shown, palette));
    }
    if !status.targets.is_empty() {
        text.push('\n');
        text.push_str(&targets(&status.targets, palette));
    }
    if status.stopping {
        text.push_str("\nstopping\n");
    }
    text
}

fn processes(status: &Status, now_unix_ms: u64, palette: Palette) -> String {
    let heads = [
        ("APP", Align::Left),
        ("REPLICA", Align::Right),
        ("STATE", Align::Left),
        ("PID", Align::Right),
        ("PORT", Align::Right),
        ("RESTARTS", Align::Right),
        ("CPU", Align::Right),
        ("MEMORY", Align::Right),
    ];
    let row = |app: &str, replica: &Replica| {
        let running = replica.pid.is_some();
        vec![
            app.into(),
            replica.index.into(),
            state(replica, now_unix_ms),
            or_dash(replica.pid),
            or_dash(replica.port),
            match replica.restarts {
                0 => 0.into(),
                restarts => Cell::colored(restarts.to_string(), Color::YELLOW),
            },
            or_dash(running.then(|| format!("{:.1}s", replica.cpu_seconds))),
            or_dash(running.then(|| megabytes(replica.memory_bytes))),
        ]
    };
    let rows: Vec<_> = status
        .apps
        .iter()
        .flat_map(|app| app.replicas.iter().map(|replica| row(&app.app, replica)))
        .collect();
    table(&heads, &rows, palette)
}

fn edges(edges: &[&Edge], palette: Palette) -> String {
    let heads = [
        ("EDGE", Align::Left),
        ("CALLS", Align::Right),
        ("FAILED", Align::Right),
        ("FALLBACKS", Align::Right),
        ("RETRIES", Align::Right),
        ("BUDGET", Align::Right),
        ("P50", Align::Right),
        ("P99", Align::Right),
        ("BREAKER", Align::Left),
    ];
    let row = |edge: &Edge| {
        let latency = edge.latency;
        vec![
            format!("{} -> {}", edge.caller, edge.target).into(),
            edge.calls_total.into(),
            warned(edge.failures_total, Color::RED),
            warned(edge.fallbacks_total, Color::YELLOW),
            edge.retries_total.into(),
            format!("{:.0}", edge.retry_budget).into(),
            or_dash(latency.map(|latency| seconds(latency.p50_seconds))),
            or_dash(latency.map(|latency| seconds(latency.p99_seconds))),
            breaker(edge.breaker),
        ]
    };
    let rows: Vec<_> = edges.iter().copied().map(row).collect();
    table(&heads, &rows, palette)
}

fn targets(targets: &[Target], palette: Palette) -> String {
    let heads = [
        ("TARGET", Align::Left),
        ("IN FLIGHT", Align::Right),
        ("LIMIT", Align::Right),
        ("WAITING", Align::Right),
        ("SHED", Align::Right),
        ("REPLICAS", Align::Right),
        ("EJECTED", Align::Right),
    ];
    let row = |target: &Target| {
        let limit: u64 = target
            .replicas
            .iter()
            .map(|replica| u64::from(replica.concurrency_limit))
            .sum();
        let ejected = target.replicas.iter().filter(|replica| replica.ejected).count() as u64;
        vec![
            (&target.target).into(),
            target.in_flight.into(),
            limit.into(),
            target.waiting.into(),
            warned(target.shed_total, Color::YELLOW),
            target.replicas.len().into(),
            warned(ejected, Color::RED),
        ]
    };
    let rows: Vec<_> = targets.iter().map(row).collect();
    table(&heads, &rows, palette)
}

/// The state of a replica with what belongs to it, and for how long.
fn state(replica: &Replica, now_unix_ms: u64) -> Cell {
    let since = span(Duration::from_millis(
        now_unix_ms.saturating_sub(replica.since_unix_ms),
    ));
    let exit = replica.last_exit.map(describe_exit).unwrap_or_default();
    match &replica.state {
        State::Waiting { waits_for } => Cell::colored(
            format!("waiting for {} ({since})", waits_for.join(", ")),
            Color::YELLOW,
        ),
        State::Starting => Cell::colored(format!("starting ({since})"), Color::YELLOW),
        State::Ready => Cell::colored(format!("ready ({since})"), Color::GREEN),
        State::Unready { reason } => Cell::colored(format!("unready: {reason} ({since})"), Color::RED),
        State::Draining => Cell::colored(format!("draining ({since})"), Color::YELLOW),
        State::Stopping => Cell::colored(format!("stopping ({since})"), Color::YELLOW),
        State::Completed => Cell::colored("completed", Color::GREEN),
        State::BackOff { restart_in_ms } => {
            let wait = span(Duration::from_millis(*restart_in_ms));
            Cell::colored(format!("{exit}, restarts after {wait}"), Color::YELLOW)
        }
        State::CrashLoop { restart_in_ms } => {
            let wait = span(Duration::from_millis(*restart_in_ms));
            Cell::colored(format!("crash loop: {exit}, restarts after {wait}"), Color::RED)
        }
        State::Failed { reason } => Cell::colored(format!("failed: {reason}"), Color::RED),
        State::Stopped => Cell::colored("stopped", Color::DIM),
    }
}

fn describe_exit(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => format!("exit code {code}"),
        Exit::Signal(signal) => format!("signal {signal}"),
    }
}

fn breaker(breaker: Breaker) -> Cell {
    match breaker {
        Breaker::Closed => Cell::colored("closed", Color::GREEN),
        Breaker::Open => Cell::colored("open", Color::RED),
        Breaker::HalfOpen => Cell::colored("half-open", Color::YELLOW),
        Breaker::Ramping => Cell::colored("ramping", Color::YELLOW),
    }
}

fn warned(count: u64, color: Color) -> Cell {
    match count {
        0 => 0.into(),
        count => Cell::colored(count.to_string(), color),
    }
}

fn or_dash<T: ToString>(value: Option<T>) -> Cell {
    value.map_or_else(|| "-".into(), Cell::from)
}

fn seconds(value: Option<f64>) -> String {
    value.map_or_else(
        || "> 60s".to_owned(),
        |seconds| match seconds {
            seconds if seconds < 0.001 => format!("{:.1}ms", seconds * 1000.0),
            seconds if seconds < 1.0 => format!("{:.0}ms", seconds * 1000.0),
            seconds => format!("{seconds:.1}s"),
        },
    )
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests;
