//! Small files: one concept each. Lines of tests do not count.

use super::Finding;
use super::tree::{Tree, has_extension};

/// More lines than this are worth a second look.
const WARN_LINES: usize = 500;
/// More lines than this are a fault.
const MAX_LINES: usize = 1_000;

/// Lines of the Rust files that are not tests, shortest first.
pub(crate) struct Sizes(Vec<(usize, String)>);

/// Counts.
pub(crate) fn measure(tree: &Tree) -> Sizes {
    let sources = tree
        .texts()
        .filter(|(path, _)| has_extension(path, "rs") && !is_test(path));
    let mut sizes: Vec<_> = sources
        .map(|(path, text)| (lines_without_tests(text), path.to_owned()))
        .collect();
    sizes.sort();
    Sizes(sizes)
}

fn is_test(path: &str) -> bool {
    path.split('/')
        .any(|part| matches!(part, "tests" | "benches" | "tests.rs"))
}

/// Lines before the inline test module, which by convention is last.
fn lines_without_tests(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let inline_tests = lines.windows(2).position(|pair| {
        pair[0].trim() == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].trim_end().ends_with('{')
    });
    inline_tests.unwrap_or(lines.len())
}

impl Sizes {
    /// One line about all files.
    pub(crate) fn summary(&self) -> String {
        let at = |percent: usize| {
            self.0
                .get(self.0.len().saturating_sub(1) * percent / 100)
                .map_or(0, |size| size.0)
        };
        format!(
            "{} Rust files without tests: median {} lines, 95th percentile {}, largest {}",
            self.0.len(),
            at(50),
            at(95),
            at(100)
        )
    }

    /// Files that are large but allowed.
    pub(crate) fn warnings(&self) -> Vec<Finding> {
        let large = self
            .0
            .iter()
            .filter(|(lines, _)| (WARN_LINES + 1..=MAX_LINES).contains(lines));
        large
            .map(|(lines, path)| Finding::new(path, format!("{lines} lines; does it hold one concept?")))
            .collect()
    }

    /// Files that are too large.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let huge = self.0.iter().filter(|(lines, _)| *lines > MAX_LINES);
        huge.map(|(lines, path)| Finding::new(path, format!("{lines} lines, {MAX_LINES} at most: split it")))
            .collect()
    }
}
