//! What `mainstay explain` prints.

use std::fmt::Write as _;

use mainstay_mesh::Fallback;
use mainstay_policy::derive::Reason;

use crate::assembly::{Edge, Target};
use crate::render::color::{Color, Palette};
use crate::render::table::{Align, Cell, table};

/// All edges, one a line.
pub(crate) fn list(edges: &[&Edge], palette: Palette) -> String {
    if edges.is_empty() {
        return "nobody calls anyone: there is no `calls` and no `ingress` in the manifest\n".to_owned();
    }
    let heads = [
        ("CALLER", Align::Left),
        ("TARGET", Align::Left),
        ("ATTEMPT", Align::Right),
        ("DEADLINE", Align::Right),
        ("RETRIES", Align::Right),
        ("FALLBACK", Align::Left),
        ("DECLARED", Align::Left),
    ];
    let row = |edge: &&Edge| {
        let shown = |name: &str| {
            let line = edge.derived.lines().iter().find(|line| line.field.name() == name);
            Cell::from(line.map_or("", |line| line.reason.value.as_str()))
        };
        vec![
            edge.caller.as_str().into(),
            edge.target.as_str().into(),
            shown("attempt_timeout"),
            shown("deadline"),
            shown("retries"),
            fallback(edge.fallback.as_ref()).into(),
            edge.place
                .as_ref()
                .map(crate::diagnostic::Place::short)
                .unwrap_or_default()
                .into(),
        ]
    };
    let rows: Vec<_> = edges.iter().map(row).collect();
    table(&heads, &rows, palette)
}

/// Every number of one edge, and of what protects its callee.
pub(crate) fn edge(edge: &Edge, target: &Target, palette: Palette) -> String {
    let mut text = String::new();
    let title = format!("{} -> {}", edge.caller, edge.target);
    let place = edge.place.as_ref().map_or_else(
        || "every app may call itself".to_owned(),
        crate::diagnostic::Place::short,
    );
    let _ = writeln!(
        text,
        "{}  {}",
        palette.paint(Color::BOLD, title),
        palette.paint(Color::DIM, place)
    );
    let mut rows = Vec::new();
    for line in edge.derived.lines() {
        push(
            &mut rows,
            line.field.name(),
            &line.reason,
            line.overridden.as_ref(),
        );
    }
    let plain = |name: &str, value: String| [name.into(), value.into(), "".into(), "".into()].to_vec();
    rows.push(plain("fallback", fallback(edge.fallback.as_ref())));
    rows.push(plain("priority", edge.priority.as_str().to_owned()));
    text += &numbers(&rows, palette);
    let title = format!("{}, whoever calls", target.name);
    let _ = writeln!(text, "\n{}", palette.paint(Color::BOLD, title));
    let mut rows = Vec::new();
    for line in target.derived.lines() {
        push(
            &mut rows,
            line.field.name(),
            &line.reason,
            line.overridden.as_ref(),
        );
    }
    text + &numbers(&rows, palette)
}

fn numbers(rows: &[Vec<Cell>], palette: Palette) -> String {
    let heads = [
        ("NUMBER", Align::Left),
        ("VALUE", Align::Left),
        ("SUM", Align::Left),
        ("ORIGIN", Align::Left),
    ];
    table(&heads, rows, palette)
}

/// A line, and below it what it takes the place of.
fn push(rows: &mut Vec<Vec<Cell>>, name: &str, reason: &Reason, overridden: Option<&Reason>) {
    rows.push(vec![
        name.into(),
        match overridden {
            None => reason.value.as_str().into(),
            Some(_) => Cell::colored(reason.value.as_str(), Color::YELLOW),
        },
        reason.sum.as_str().into(),
        reason.origin.to_string().into(),
    ]);
    if let Some(before) = overridden {
        let dim = |text: &str| Cell::colored(text, Color::DIM);
        rows.push(vec![
            dim("  instead of"),
            dim(&before.value),
            dim(&before.sum),
            dim(&before.origin.to_string()),
        ]);
    }
}

fn fallback(fallback: Option<&Fallback>) -> String {
    match fallback {
        None => "none".to_owned(),
        Some(Fallback::App(app)) => app.to_string(),
        Some(Fallback::Static { status, body, .. }) => {
            format!("{} with {} bytes", status.as_u16(), body.len())
        }
    }
}
