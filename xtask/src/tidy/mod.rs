//! What neither the compiler nor clippy checks. Each check is a pure function from what was read to findings; its test
//! plants the fault it looks for.

mod documents;
mod graph;
mod leftovers;
mod lints;
mod lock;
mod metadata;
mod rooms;
mod sizes;
mod tree;

#[cfg(test)]
mod tests;

use anyhow::{Result, bail};

use metadata::Metadata;
use tree::Tree;

/// Something that is not as it should be.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    /// `path` or `path:line`.
    place: String,
    /// What is wrong and what to do about it.
    message: String,
}

impl Finding {
    fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            message: message.into(),
        }
    }

    fn at(path: &str, line_index: usize, message: impl Into<String>) -> Self {
        Self::new(format!("{path}:{}", line_index + 1), message)
    }
}

/// Checks the workspace and prints what is wrong with it.
///
/// # Errors
/// When anything is.
pub(crate) fn run() -> Result<()> {
    let tree = Tree::read(&crate::process::root())?;
    let metadata = Metadata::read()?;
    let fuzz = metadata::packages_of("fuzz/Cargo.toml")?;

    let sizes = sizes::measure(&tree);
    println!("{}", sizes.summary());
    for warning in sizes.warnings() {
        println!("warning: {}: {}", warning.place, warning.message);
    }

    let mut findings = sizes.findings();
    findings.extend(graph::check(&metadata));
    findings.extend(lints::check(&tree, &metadata));
    findings.extend(lock::check(&tree, &metadata, &fuzz));
    findings.extend(leftovers::check(&tree, &leftovers::private_paths()));
    findings.extend(documents::check_links(&tree));
    findings.extend(documents::check_dependencies(&tree, &metadata));
    findings.extend(documents::check_commands(&tree));
    findings.sort_by(|a, b| a.place.cmp(&b.place));

    for finding in &findings {
        println!("{}: {}", finding.place, finding.message);
    }
    match findings.len() {
        0 => Ok(()),
        1 => bail!("tidy found 1 fault"),
        count => bail!("tidy found {count} faults"),
    }
}
