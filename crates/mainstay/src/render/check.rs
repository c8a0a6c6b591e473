//! What `mainstay check` prints.

use std::fmt::Write as _;

use mainstay_base::{AppId, Availability, format_duration};
use mainstay_policy::arithmetic::{Finding, Needs, Report};

use crate::check::{place, promise_of};
use crate::diagnostic::Severity;
use crate::manifest::Manifest;
use crate::render::color::{Color, Palette};
use crate::render::table::{Align, Cell, table};

/// What each service promises and needs, what is wrong, and the verdict.
pub(crate) fn report(manifest: &Manifest, report: &Report, palette: Palette) -> String {
    let mut text = services(manifest, report, palette);
    if let Some(found) = &report.amplification {
        let attempts: Vec<String> = found.attempts.iter().map(u32::to_string).collect();
        let _ = writeln!(
            text,
            "\nretries   {} attempts at worst, {:.2} times the load with the budgets   {}",
            attempts.join(" x "),
            found.load,
            palette.paint(Color::DIM, path(&found.path))
        );
    }
    for finding in &report.findings {
        text.push('\n');
        text += &self::finding(manifest, finding, palette);
    }
    for notice in manifest.notices.iter() {
        let color = if notice.severity == Severity::Note {
            Color::DIM
        } else {
            Color::YELLOW
        };
        let _ = writeln!(text, "\n{}", palette.paint(color, notice));
    }
    text.push('\n');
    text + &verdict(report, palette)
}

fn services(manifest: &Manifest, report: &Report, palette: Palette) -> String {
    let heads = [
        ("SERVICE", Align::Left),
        ("P99", Align::Right),
        ("ITS CALLS TAKE", Align::Right),
        ("AVAILABILITY", Align::Right),
        ("WHAT IT NEEDS HAS", Align::Right),
    ];
    let breach = |service: &AppId, availability: bool| {
        report.findings.iter().any(|finding| match finding {
            Finding::Availability { service: of, .. } => availability && of == service,
            Finding::Latency { service: of, .. } => !availability && of == service,
            _ => false,
        })
    };
    let against = |text: String, promised: bool, broken: bool| match (promised, broken) {
        (_, true) => Cell::colored(text, Color::RED),
        (true, false) => Cell::colored(text, Color::GREEN),
        (false, false) => text.into(),
    };
    let row = |needs: &Needs| {
        let promise = promise_of(manifest, &needs.service);
        let latency = promise.filter(|promise| promise.latency_at.is_some());
        let availability = promise.filter(|promise| promise.availability_at.is_some());
        let calls = if needs.max.is_zero() {
            "-".to_owned()
        } else {
            format_duration(needs.p99)
        };
        let needed = Availability::from_ratio(needs.availability);
        let needed = if needs.availability < 1.0 {
            needed.to_string()
        } else {
            "-".to_owned()
        };
        vec![
            needs.service.as_str().into(),
            latency
                .map_or_else(
                    || "-".to_owned(),
                    |promise| format_duration(promise.sla.latency.p99),
                )
                .into(),
            against(calls, latency.is_some(), breach(&needs.service, false)),
            availability
                .map_or_else(|| "-".to_owned(), |promise| promise.sla.availability.to_string())
                .into(),
            against(needed, availability.is_some(), breach(&needs.service, true)),
        ]
    };
    // An app that promises nothing and calls nobody, like a build, has nothing to say here.
    let concerned = |needs: &&Needs| {
        let promise = promise_of(manifest, &needs.service);
        let promises = promise.is_some_and(|it| it.latency_at.is_some() || it.availability_at.is_some());
        promises || !needs.max.is_zero() || needs.availability < 1.0
    };
    let rows: Vec<_> = report.services.iter().filter(concerned).map(row).collect();
    table(&heads, &rows, palette)
}

fn finding(manifest: &Manifest, finding: &Finding, palette: Palette) -> String {
    let (word, color) = if finding.is_breach() {
        ("cannot hold", Color::RED)
    } else {
        ("warning", Color::YELLOW)
    };
    let place = place(manifest, finding)
        .map(|place| format!("{place}: "))
        .unwrap_or_default();
    let mut text = format!("{place}{}: {}\n", palette.paint(color, word), finding.message());
    let _ = writeln!(text, "    {}", palette.paint(Color::DIM, path(&finding.path())));
    for way in finding.ways() {
        let _ = writeln!(text, "    - {way}");
    }
    text
}

fn path(path: &[AppId]) -> String {
    path.iter().map(AppId::as_str).collect::<Vec<_>>().join(" -> ")
}

fn verdict(report: &Report, palette: Palette) -> String {
    let broken = report
        .findings
        .iter()
        .filter(|finding| finding.is_breach())
        .count();
    let warnings = report.findings.len() - broken;
    let warnings = match warnings {
        0 => String::new(),
        1 => ", 1 warning".to_owned(),
        several => format!(", {several} warnings"),
    };
    let verdict = match broken {
        0 => palette.paint(Color::GREEN, "the SLAs can hold"),
        1 => palette.paint(Color::RED, "1 SLA cannot hold"),
        several => palette.paint(Color::RED, format!("{several} SLAs cannot hold")),
    };
    format!("{verdict}{warnings}\n")
}
