//! Documents that must not drift from the project.

use std::collections::BTreeSet;

use super::Finding;
use super::metadata::Metadata;
use super::tree::{Tree, has_extension};

/// The one command that runs all tests. The README names it and `.ci/run` runs it.
pub(crate) const TEST_COMMAND: &str = "cargo test --workspace";

const ARCHITECTURE: &str = "ARCHITECTURE.md";

/// Links in Markdown to files and headings that do not exist.
pub(crate) fn check_links(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts().filter(|(path, _)| has_extension(path, "md")) {
        for (index, line) in prose(text) {
            for link in links(line) {
                findings.extend(broken(tree, path, link).map(|message| Finding::at(path, index, message)));
            }
        }
    }
    findings
}

/// Direct dependencies without a line in the architecture document, and lines of dependencies that are gone.
pub(crate) fn check_dependencies(tree: &Tree, metadata: &Metadata) -> Vec<Finding> {
    let Some(text) = tree.text(ARCHITECTURE) else {
        return vec![Finding::new(
            ARCHITECTURE,
            "does not exist; it says why each dependency is there",
        )];
    };
    let members: BTreeSet<&str> = metadata.members().map(|package| package.name.as_str()).collect();
    let all = metadata.members().flat_map(|package| &package.dependencies);
    let needed: BTreeSet<&str> = all
        .map(|dependency| dependency.name.as_str())
        .filter(|name| !members.contains(name))
        .collect();

    let section = text
        .lines()
        .enumerate()
        .skip_while(|(_, line)| *line != "## Dependencies");
    let explained: Vec<(usize, &str)> = section
        .filter_map(|(index, line)| Some((index, explained_dependency(line)?)))
        .collect();

    let missing = needed
        .iter()
        .filter(|name| !explained.iter().any(|(_, explained)| explained == *name));
    let gone = explained.iter().filter(|(_, name)| !needed.contains(name));
    missing
        .map(|name| {
            Finding::new(
                ARCHITECTURE,
                format!("Dependencies: no line says why `{name}` is there"),
            )
        })
        .chain(
            gone.map(|(index, name)| {
                Finding::at(ARCHITECTURE, *index, format!("nothing depends on `{name}`"))
            }),
        )
        .collect()
}

/// Whether README and `.ci/run` name the test command.
pub(crate) fn check_commands(tree: &Tree) -> Vec<Finding> {
    let without = ["README.md", ".ci/run"].into_iter().filter(|path| {
        !tree.text(path).is_some_and(|text| {
            text.lines()
                .any(|line| line.trim().trim_start_matches("$ ").starts_with(TEST_COMMAND))
        })
    });
    without
        .map(|path| {
            Finding::new(
                path,
                format!("has no line with the test command, `{TEST_COMMAND}`"),
            )
        })
        .collect()
}

/// The name in "- `name`: why".
fn explained_dependency(line: &str) -> Option<&str> {
    let (name, why) = line.strip_prefix("- `")?.split_once("`: ")?;
    (!why.trim().is_empty()).then_some(name)
}

/// Lines outside fenced code.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut inside = false;
    text.lines().enumerate().filter(move |(_, line)| {
        let delimits = line.trim_start().starts_with("```");
        inside ^= delimits;
        !inside && !delimits
    })
}

/// Targets of `[text](target)` outside inline code.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let outside_code = line.split('`').step_by(2);
    outside_code
        .flat_map(|part| part.split("](").skip(1))
        .filter_map(|rest| {
            let target = rest.split(')').next()?;
            target.split_whitespace().next()
        })
}

fn broken(tree: &Tree, from: &str, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (target, heading) = link
        .split_once('#')
        .map_or((link, None), |(target, heading)| (target, Some(heading)));
    let path = if target.is_empty() {
        Some(from.to_owned())
    } else {
        resolve(from, target)
    };
    let Some(path) = path else {
        return Some(format!("links to {target}, which leaves the project"));
    };
    if !tree.contains(&path) {
        return Some(format!("links to {target}, which does not exist"));
    }
    let heading = heading?;
    let known = tree
        .text(&path)
        .is_some_and(|text| prose(text).any(|(_, line)| anchor(line).as_deref() == Some(heading)));
    (has_extension(&path, "md") && !known)
        .then(|| format!("links to the heading #{heading}, which {path} does not have"))
}

/// `target` as seen from the folder of `from`; absent when it leaves the project.
fn resolve(from: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// The anchor that a heading gets on the usual forges.
fn anchor(line: &str) -> Option<String> {
    let title = line
        .strip_prefix('#')?
        .trim_start_matches('#')
        .strip_prefix(' ')?;
    let kept = title
        .trim()
        .chars()
        .filter(|char| char.is_alphanumeric() || " -_".contains(*char));
    Some(
        kept.flat_map(char::to_lowercase)
            .map(|char| if char == ' ' { '-' } else { char })
            .collect(),
    )
}
